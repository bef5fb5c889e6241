"""`simlift translate` and what stands below it."""

import dataclasses
import json
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from ..translate import check, runs, show
from ..translate.agents import handoff
from ..translate.agents.handoff import Handoff
from ..translate.history import RUN_STARTED, History
from ..translate.init import init
from ..translate.inspection import describe
from ..translate.journal import FROZEN, JUDGED, STARTED, Event
from ..translate.page import write_page
from ..translate.prices import PriceTable
from ..translate.project import FILE, Agent, Language, Project, ReferenceKind
from ..translate.sandbox import Mode
from ..translate.spending import RESUMED, Standing
from .screen import INTERRUPTED, Screen

NO_NAME = re.compile(r"[^a-z0-9_]+")


@dataclasses.dataclass(frozen=True)
class Run:
    """Translate a project: a coder writes, the verifier judges, until everything holds.

    Beside it stand the commands translate init, check and show; see each one's --help.

    Example: simlift translate --resume
    """

    project: Path = Path()
    """Folder of the project, which translate init made."""
    run_name: Annotated[str | None, tyro.conf.arg(name="run")] = None
    """Name of the run; the next number, or of those that can be resumed the newest."""
    resume: bool = False
    """Go on with a run that was stopped, interrupted or killed."""
    agent: str | None = None
    """Who translates, instead of the project's agent.kind."""
    model: str | None = None
    """Its model, instead of the project's agent.model."""
    sandbox: Mode = "bubblewrap"
    """unconfined: without one, where the kernel allows none; it protects nothing."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Translate, telling what happens; 0: finished, 1: stopped with work left."""
        from ..translate.loop import translate

        project = Project.read(self.project)
        prices = price_table(project.agent)
        agent = dataclasses.replace(
            project.agent,
            kind=project.agent.kind if self.agent is None else self.agent,
            model=project.agent.model if self.model is None else self.model,
        )
        project = dataclasses.replace(project, agent=agent)
        left = [name for name, events in runs.known(project).items() if runs.is_open(events)]
        name = self.run_name or "".join(left[-1:])
        try:
            with screen.progress() as progress:
                outcome = translate(
                    project,
                    run=self.run_name,
                    resume=self.resume,
                    mode=self.sandbox,
                    prices=prices,
                    listen=Teller(screen.console, project, name, progress).tell,
                )
        except KeyboardInterrupt:
            where = "" if self.project == Path() else f" --project {self.project}"
            sys.stderr.write(f"simlift: interrupted; simlift translate{where} --resume goes on\n")
            return INTERRUPTED
        result = {
            "finished": outcome.finished,
            "reason": outcome.reason,
            "run": str(outcome.folder),
            "outputs": list(outcome.outputs),
            "certificate": outcome.certificate,
            "spent": dataclasses.asdict(outcome.standing.spent),
        }
        return screen.finish(result, outcome.finished)


@dataclasses.dataclass(frozen=True)
class Init:
    """Make a project: a folder in which a simulator can be translated.

    The simulator is looked at first: it is played twice, and a snapshot is taken and gone on from.

    Example: simlift translate init python gymnasium.envs.toy_text.taxi:TaxiEnv --folder taxi
    """

    kind: Annotated[ReferenceKind, tyro.conf.Positional]
    """python: a class with Gymnasium's API; command: a program that speaks the line protocol;
    specification: documents only."""
    source: Annotated[tuple[str, ...], tyro.conf.Positional]
    """package.module:Class; the command, in quotes if it has options; or the documents."""
    folder: Path | None = None
    """Folder that is made; the name, unless given."""
    name: str | None = None
    """Of the project and of the package that is written; the folder's or the source's."""
    version: str | None = None
    """The upstream version; what is installed, unless given."""
    sources: tuple[Path, ...] = ()
    """Files and folders to translate; the class's own file, unless given."""
    build: str = ""
    """Command that builds the reference, run in the project's folder."""
    arguments: str = "{}"
    """Keyword arguments of the class, as a JSON object."""
    import_from: tuple[Path, ...] = ()
    """Folders to import the class from, beside what is installed."""
    language: Language = "jax"
    """What it becomes."""
    agent: str = Agent.kind
    """Who translates: claude, codex, gemini, mini, handoff, or package.module:Class."""
    model: str = ""
    """The model, as the agent names it."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Make the project, and say what a first look at the simulator found."""
        words = self.source
        if self.kind == "command" and len(words) == 1:
            words = tuple(shlex.split(words[0]))
        if not words:
            raise ValueError("name what is translated: a class, a command, or documents")
        folder = self.folder or Path(self.name or self._default_name(words))
        project = init(
            self.kind,
            words,
            folder,
            name=self.name,
            version=self.version,
            sources=self.sources,
            build_command=shlex.split(self.build),
            arguments=_object(self.arguments, "--arguments"),
            import_from=self.import_from,
            language=self.language,
            agent=Agent(kind=self.agent, model=self.model),
        )
        found = json.loads((project.folder / "inspection.json").read_bytes())
        console = screen.console
        if not screen.as_json:
            console.print(f"{folder}: {project.reference.words}", markup=False)
            for line in describe(found):
                console.print(f"- {line}", markup=False)
            console.print(
                f"next: read {folder / 'simlift.toml'}, then simlift translate --project {folder}",
                markup=False,
                soft_wrap=True,
            )
        return screen.finish({"project": str(folder), "name": project.name, "found": found})

    def _default_name(self, words: tuple[str, ...]) -> str:
        """After the class, the program's file, or the first document."""
        if self.kind == "python":
            stem = words[0].rpartition(":")[2]
        else:
            stem = Path(next(iter(self.sources), Path(words[-1]))).stem
        return NO_NAME.sub("_", stem.lower())


@dataclasses.dataclass(frozen=True)
class Check(check.Options):
    """Compare a translation in which modules are missing with its reference, in one process.

    It is what coders run while modules still ask the reference; nothing is certified by it.

    Example: simlift translate check --episodes 5
    """

    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Check, and print what was found."""
        if screen.as_json and self.outputs is None:
            result = check.check(self)
            return screen.finish(result, result["holds"])
        return check.run(self)


@dataclasses.dataclass(frozen=True)
class Show:
    """Tell the story of a run or of a recording: what was tried, what it cost, where it stands.

    Example: simlift translate show --html run.html
    """

    which: Annotated[str, tyro.conf.Positional] = ""
    """Name or folder of a run, or of a recording; the project's last run, unless given."""
    project: Path = Path()
    """Folder of the project."""
    attempt: int | None = None
    """Show this attempt in full: prompt, patch, verdict."""
    patch: bool = False
    """Print patches alone: of all attempts, or of the one."""
    html: Path | None = None
    """Write a page on which one can step through the run."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Print it, or write the page."""
        history = History.read(find_run(self.which, self.project))
        attempts = history.attempts
        if self.attempt is not None:
            attempts = [history.attempt(self.attempt)]
        if self.html:
            write_page(history, self.html)
        result = {
            "run": str(history.folder),
            "about": history.about,
            "standing": history.standing,
            "cost_usd": history.cost_usd,
            "tokens": history.tokens,
            "attempts": [dataclasses.asdict(attempt) for attempt in attempts],
        }
        if screen.as_json:
            return screen.finish(result)
        if self.html:
            screen.console.print(f"page: {self.html}", markup=False, soft_wrap=True)
        elif self.patch:
            for attempt in attempts:
                show_patch(screen, history.patch(attempt) or "")
        elif self.attempt is not None:
            screen.console.print(show.attempt_story(history, attempts[0]))
        else:
            screen.console.print(show.story(history))
        return screen.finish(result)


COMMANDS: dict[str, Callable[..., Any]] = {
    "run": Run,
    "init": Init,
    "check": Check,
    "show": Show,
}


# -- parts


class Teller:
    """Tells a run's events as they happen, and after each verdict what it has cost."""

    def __init__(
        self,
        console: Console,
        project: Project,
        run: str,
        progress: Callable[[str, float], None],
    ) -> None:
        self.console, self.project, self.run = console, project, run
        self.progress = progress

    def tell(self, event: Event, standing: Standing) -> None:
        """A line for the event, if it says something new."""
        if (line := show.line(event)) is not None:
            self.console.print(line)
        if event.kind in (STARTED, FROZEN):
            doing = "is at work" if event.kind == STARTED else "is done, judging"
            self.progress(f"{event.data['item']}: the coder {doing}", standing.progress or 0.0)
        if event.kind in (RUN_STARTED, RESUMED) and event.data["agent"] == Handoff.name:
            folder = (
                runs.folder_of(self.project, event.data.get("run") or self.run) / handoff.FOLDER
            )
            self.console.print(
                f"each prompt lies in {folder / handoff.PROMPT}; do what it says, then write your "
                f"last words to {folder / handoff.DONE}",
                markup=False,
                soft_wrap=True,
            )
        if event.kind == JUDGED:
            spent, cap = standing.spent, standing.caps.dollars
            sums = show.money(spent.dollars, cap, standing.projected)
            tokens = f"{spent.tokens:,} tokens in {spent.calls:,} calls"
            self.console.print(f"          {sums}; {tokens}", style="dim", markup=False)


def price_table(agent: Agent) -> PriceTable:
    """The prices that are known, and what the project states of its model."""
    if not agent.price:
        return PriceTable.shipped()
    stated = PriceTable.parse({"models": {agent.model: agent.price}}, f"{FILE}: agent.price")
    return PriceTable.shipped() | stated


def find_run(name: str, project: Path) -> Path:
    """The folder of a run or recording. Raises ValueError, which says what there is."""
    if name and (Path(name) / runs.JOURNAL).is_file():
        return Path(name)
    known = sorted(path.parent.name for path in (project / runs.RUNS).glob(f"*/{runs.JOURNAL}"))
    if name in known:
        return project / runs.RUNS / name
    if name:
        there = f"there are {', '.join(known)}" if known else "there is none yet"
        raise ValueError(f"{name!r} is no run of this project, and no folder of one; {there}")
    begun = list(runs.known(Project.read(project)))
    if not begun:
        raise ValueError(f"{project.absolute()} has no run yet; simlift translate starts one")
    return project / runs.RUNS / begun[-1]


def show_patch(screen: Screen, patch: str) -> None:
    """For reading on a terminal; to a file or a pipe as it is, to the byte."""
    if screen.console.is_terminal:
        screen.console.print(show.patch_text(patch), soft_wrap=True)
    else:
        sys.stdout.buffer.write(patch.encode(errors="surrogateescape"))
        sys.stdout.buffer.flush()


def _object(text: str, flag: str) -> dict[str, Any]:
    """A JSON object; ValueError says what is wrong."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{flag} {text}: is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f'{flag} {text}: is not an object such as {{"size": 4}}')
    return value

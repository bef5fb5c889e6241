"""`simlift translate`, and what is seen of a run while it goes on."""

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from ...translate import loop, runs, show, update
from ...translate.agents import handoff
from ...translate.agents.handoff import Handoff
from ...translate.books import Listener
from ...translate.history import RUN_STARTED
from ...translate.journal import FROZEN, JUDGED, STARTED, Event
from ...translate.prices import PriceTable
from ...translate.project import FILE, Agent, Project
from ...translate.sandbox import Mode
from ...translate.spending import RESUMED, Standing
from ..screen import INTERRUPTED, Screen


@dataclasses.dataclass(frozen=True)
class Run:
    """Translate a project: a coder writes, the verifier judges, until everything holds.

    Beside it stand the commands translate init, check, show, record, replay and list; each has a
    --help of its own.

    Example: simlift translate --resume
    """

    project: Path = Path()
    """Folder of the project, which translate init made."""
    run_name: Annotated[str | None, tyro.conf.arg(name="run")] = None
    """Name of the run; the next number, or of those that can be resumed the newest."""
    resume: bool = False
    """Go on with a run that was stopped, interrupted or killed."""
    again: str | None = None
    """With resume: go back to this item, such as scaffold; it and all after it are done anew, from
    what was accepted last."""
    why: str = ""
    """With again: what their coders are told of that."""
    update: bool = False
    """Bring a finished translation up to the upstream's present version."""
    sources: tuple[Path, ...] = ()
    """With update: the new files, each under its old name; of a class the installed one."""
    version: str | None = None
    """With update: the new version; what is installed, unless given."""
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
        project = Project.read(self.project)
        prices = price_table(project.agent)
        agent = dataclasses.replace(
            project.agent,
            kind=project.agent.kind if self.agent is None else self.agent,
            model=project.agent.model if self.model is None else self.model,
        )
        project = dataclasses.replace(project, agent=agent)
        known = runs.known(project).items()
        left = [name for name, events in known if self.again or runs.is_open(events)]
        name = self.run_name or "".join(left[-1:])
        try:
            with screen.progress() as progress:
                teller = Teller(screen.console, progress, project.folder, name)
                if self.update:
                    progress("verifying against what is upstream now", 0.0)
                outcome = self._translate(project, prices, teller.tell)
        except KeyboardInterrupt:
            where = "" if self.project == Path() else f" --project {self.project}"
            return interrupted(f"simlift translate{where} --resume")
        if outcome is None:
            line = f"{project.name} is up to date: {project.reference.version}"
            screen.console.print(line, markup=False)
            return screen.finish({"finished": True, "reason": line})
        return screen.finish(result_of(outcome), outcome.finished)

    def _translate(
        self, project: Project, prices: PriceTable, listen: Listener
    ) -> loop.Outcome | None:
        """None where there is nothing to update."""
        if self.resume and self.update:
            raise ValueError("an update starts a run of its own; resume or update, one at a time")
        if self.update and self.again:
            raise ValueError("an update does not go back; --again goes with --resume")
        if self.update:
            return update.update(
                project,
                sources=self.sources,
                version=self.version,
                run=self.run_name,
                mode=self.sandbox,
                prices=prices,
                listen=listen,
            )
        if self.sources or self.version:
            raise ValueError("--sources and --version are of an update; add --update")
        return loop.translate(
            project,
            run=self.run_name,
            resume=self.resume,
            mode=self.sandbox,
            prices=prices,
            listen=listen,
            again=self.again,
            why=self.why,
        )


def interrupted(command: str) -> int:
    """Say which command goes on; the exit code."""
    sys.stderr.write(f"simlift: interrupted; {command} goes on\n")
    return INTERRUPTED


def result_of(outcome: loop.Outcome) -> dict[str, Any]:
    """How a run ended, for --json."""
    return {
        "finished": outcome.finished,
        "reason": outcome.reason,
        "run": str(outcome.folder),
        "outputs": list(outcome.outputs),
        "certificate": outcome.certificate,
        "spent": dataclasses.asdict(outcome.standing.spent),
    }


class Teller:
    """Tells a run's events as they happen, and after each verdict what it has cost."""

    def __init__(
        self, console: Console, progress: Callable[[str, float], None], project: Path, run: str
    ) -> None:
        """project: its folder; run: the name of the run, if it is resumed."""
        self.console, self.progress, self.project, self.run = console, progress, project, run

    def tell(self, event: Event, standing: Standing) -> None:
        """A line for the event, if it says something new."""
        if (line := show.line(event)) is not None:
            self.console.print(line)
        if event.kind in (STARTED, FROZEN):
            doing = "is at work" if event.kind == STARTED else "is done, judging"
            self.progress(f"{event.data['item']}: the coder {doing}", standing.progress or 0.0)
        if event.kind in (RUN_STARTED, RESUMED) and event.data["agent"] == Handoff.name:
            name = event.data.get("run", self.run)
            folder = self.project.absolute() / runs.RUNS / name / handoff.FOLDER
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

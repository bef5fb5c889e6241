"""`simlift translate record`, `replay` and `list`: runs that can be played once more."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from ...translate import recording
from ...translate.history import History
from ...translate.project import Project
from ...translate.replay import replay
from ...translate.sandbox import Mode
from ..screen import Screen
from .run import Teller, interrupted, result_of


@dataclasses.dataclass(frozen=True)
class Record:
    """Make a recording of a run: a folder with which anybody can play it once more, for nothing.

    Example: simlift translate record recordings/ferry --coder "a person, by hand"
    """

    target: Annotated[Path, tyro.conf.Positional]
    """Folder that is made."""
    coder: str
    """Who translated, in words."""
    project: Path = Path()
    """Folder of the project."""
    run_name: Annotated[str | None, tyro.conf.arg(name="run")] = None
    """Name of the run; the newest, unless given."""
    name: str | None = None
    """Of the recording; the project's, unless given."""
    fetched: tuple[str, ...] = ()
    """Paths in the project that are not yours to ship; their sums are kept in their place."""
    prepare: Path | None = None
    """A Python program that puts these there, run in the project's folder."""
    setup: str = ""
    """What has to be installed before, such as "pip install minatar==1.0.15"."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Make it, and say what it holds."""
        made = recording.record(
            Project.read(self.project),
            self.target,
            coder=self.coder,
            run=self.run_name,
            name=self.name,
            prepare=self.prepare,
            fetched=self.fetched,
            setup=self.setup,
        )
        count = sum(map(len, made.attempts.values()))
        if not screen.as_json:
            line = (
                f"{self.target}: {count} attempts at {len(made.attempts)} items of run {made.run}"
            )
            screen.console.print(line, markup=False, soft_wrap=True)
        return screen.finish(row_of(made))


@dataclasses.dataclass(frozen=True)
class Replay:
    """Play a recorded run once more, without a model: its patches are applied, and judged anew.

    Exit code 0: every verdict was the recorded one; 1: one was not, or it could not go on.

    Example: simlift translate replay ferry --out runs/ferry --until plan
    """

    name: Annotated[str, tyro.conf.Positional]
    """A recording that `simlift translate list` shows, or the folder of one."""
    out: Path | None = None
    """Folder of the project that is made; runs/replay-NAME, unless given."""
    until: str | None = None
    """Last item that is played, such as plan; all, unless given."""
    resume: bool = False
    """Go on with a replay that was interrupted."""
    new_seeds: bool = False
    """Judge with other seeds than the recorded ones."""
    sandbox: Mode = "bubblewrap"
    """unconfined: without one, where the kernel allows none; it protects nothing."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Replay, telling what happens."""
        found = recording.find(self.name)
        out = self.out or Path("runs") / f"replay-{found.name}"
        try:
            with screen.progress() as progress:
                played = replay(
                    found,
                    out,
                    until=self.until,
                    resume=self.resume,
                    new_seeds=self.new_seeds,
                    mode=self.sandbox,
                    listen=Teller(screen.console, progress, out, "").tell,
                )
        except KeyboardInterrupt:
            return interrupted(f"simlift translate replay {self.name} --out {out} --resume")
        history = History.read(played.outcome.folder)
        far = played.outcome.finished or self.until in history.done
        holds = played.agreed and (far or len(history.attempts) == played.recorded)
        if not screen.as_json:
            verdicts = "each with the recorded verdict" if played.agreed else "one with another"
            count = f"{played.judged} of {played.recorded} recorded attempts were judged anew"
            screen.console.print(f"{count}, {verdicts}: {out}", markup=False, soft_wrap=True)
        counts = {name: getattr(played, name) for name in ("agreed", "judged", "recorded")}
        return screen.finish(result_of(played.outcome) | counts, holds)


@dataclasses.dataclass(frozen=True)
class List:
    """The recordings that come with simlift.

    Example: simlift translate list
    """

    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Print the table."""
        rows = [row_of(recording.Recording.read(path)) for path in recording.shipped().values()]
        if not screen.as_json:
            table = Table("name", "what", "coder", "made", "items", "attempts", "needs")
            for row in rows:
                coder = str(row["coder"]).partition(". ")[0]  # the rest is in recording.json
                table.add_row(*(str(value) for value in (row | {"coder": coder}).values()))
            screen.console.print(table)
        return screen.finish({"recordings": rows})


def row_of(found: recording.Recording) -> dict[str, str | int]:
    """What is told of a recording."""
    return {
        "name": found.name,
        "about": found.about,
        "coder": found.coder,
        "made": found.made,
        "items": len(found.attempts),
        "attempts": sum(map(len, found.attempts.values())),
        "setup": found.setup,
    }

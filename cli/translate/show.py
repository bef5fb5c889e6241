"""`simlift translate show`."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import tyro

from ...translate import recording, runs, show
from ...translate.history import History
from ...translate.page import write_page
from ...translate.project import Project
from ..screen import Screen

JOURNALS = f"*/{runs.JOURNAL}"


@dataclasses.dataclass(frozen=True)
class Show:
    """Tell the story of a run or of a recording: what was tried, what it cost, where it stands.

    Example: simlift translate show --html run.html
    """

    which: Annotated[str, tyro.conf.Positional] = ""
    """Name or folder of a run, or of a recording; the project's last run, unless given."""
    project: Path = Path()
    """Folder of the project whose runs are meant."""
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


def find_run(name: str, project: Path) -> Path:
    """The folder of a run or recording. Raises ValueError, which says what there is."""
    if name and (Path(name) / runs.JOURNAL).is_file():
        return Path(name)
    known = {path.parent.name: path.parent for path in (project / runs.RUNS).glob(JOURNALS)}
    known = recording.shipped() | dict(sorted(known.items()))
    if name in known:
        return known[name]
    if name:
        there = f"there are {', '.join(known)}" if known else "there is none yet"
        raise ValueError(f"{name!r} is no run, no recording, and no folder of one; {there}")
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

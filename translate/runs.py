"""The folder of a run: what lies where, and how the trees of an attempt come to be.

    journal.jsonl    what happened
    git/             every attempt as a commit
    work/            the workspace, all that a coder is shown
    judged/          the judge's copy
    attempts/        a folder for each attempt: prompt, feedback, verdict, what was printed

An item begins from its origin: the tree that passed last, with the project's own files as they are
now and with judge/done.json as this item needs it.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import journal, phases
from .commits import RunBranch
from .init import INSPECTION, SOURCES
from .journal import OPENED, PASS, STARTED, Event
from .judge import keep_done
from .phases import Item, Rendering
from .plan import Plan
from .project import FILE, Project

RUNS = Path("runs", "translate")
JOURNAL = "journal.jsonl"
GIVEN = (FILE, "README.md", INSPECTION, SOURCES)
"""The project's own files, which every attempt begins with."""
PLAN = Path("notes", "plan.json")


class RunFolder:
    """One run of a project. work, copy: the run's branch over the workspace and the judge's copy.

    Raises GitFailed where there is no git, and ValueError for a name that is no word.
    """

    def __init__(self, project: Project, name: str) -> None:
        self.project, self.name = project, name
        self.folder = folder_of(project, name)
        self.work = RunBranch(self.folder / "git", self.folder / "work", name)
        self.copy = RunBranch(self.folder / "git", self.folder / "judged", name)

    # -- trees

    def fresh(self) -> str:
        """The tree of a run that begins: the project's own files."""
        clear(self.copy.workspace)
        self._give()
        return self.copy.freeze()

    def lay_out(self, tree: str) -> None:
        """Make the judge's copy that tree, with the project's own files as they are now."""
        self.copy.restore(tree)
        self._give()

    def _give(self) -> None:
        for name in GIVEN:
            source = (self.project.folder / name).resolve()
            replace(source, self.copy.workspace / name, follow=True)

    def origin(self, done: Sequence[str] | None) -> str:
        """The tree from which an item begins, out of what is laid out. done: what judge/done.json
        says; None as long as there is no such file."""
        self.say_done(done)
        return self.copy.freeze()

    def say_done(self, done: Sequence[str] | None) -> None:
        """Write judge/done.json into the judge's copy."""
        if done is not None:
            keep_done(self.copy.workspace, done)

    def go_on_from(self, tree: str, forbidden: Iterable[str]) -> str:
        """Make the workspace what an attempt left, with all that is forbidden as in the judge's
        copy, from which the item begins; the tree that this is."""
        self.work.restore(tree)
        for name in forbidden:
            source, target = (place(one.workspace, name) for one in (self.copy, self.work))
            replace(source, target)
        return self.work.freeze()

    # -- what is to be done

    def plan(self) -> Plan | None:
        """The plan in what is laid out; None where there is none."""
        path = self.copy.workspace / PLAN
        return Plan.read(path) if path.is_file() else None

    def render(self, item: Item, plan: Plan | None, feedback: str = "") -> Rendering:
        """The item's phase for this project."""
        path = self.project.folder / INSPECTION
        inspection: Mapping[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
        variables = phases.variables(
            self.project, inspection, plan=plan, module=item.module, feedback=feedback
        )
        return phases.load(item.phase).render(variables)

    # -- what comes out

    def hand_over(self, tree: str) -> list[str]:
        """Copy what was made into the project's folder; the paths there."""
        self.copy.restore(tree)
        there = [name for name in made(self.project) if (self.copy.workspace / name).exists()]
        for name in there:
            replace(self.copy.workspace / name, self.project.folder / name)
        return there


def made(project: Project) -> tuple[str, ...]:
    """The folders that a run makes."""
    return ("notes", "judge", project.name, "tests")


def folder_of(project: Project, name: str) -> Path:
    """Where a run lies."""
    return project.folder.absolute() / RUNS / name


def known(project: Project) -> dict[str, Sequence[Event]]:
    """The runs of a project by name, oldest first, with what happened in them."""
    found = {
        path.parent.name: journal.read(path)
        for path in (project.folder / RUNS).glob(f"*/{JOURNAL}")
    }
    begun = {name: events for name, events in found.items() if events}
    return dict(sorted(begun.items(), key=lambda one: one[1][0].time))


def is_open(events: Sequence[Event]) -> bool:
    """Whether a run has work left."""
    telling = ("run_finished", STARTED, OPENED)
    ends = [event.kind for event in events if event.kind in telling]
    return ends[-1:] != ["run_finished"]


def accepted(events: Iterable[Event]) -> str:
    """The tree that passed last; at the beginning the one that the run began with."""
    tree = frozen = ""
    for event in events:
        if event.kind == "run_started":
            tree = event.data["tree"]
        elif event.kind == journal.FROZEN:
            frozen = event.data["tree"]
        elif event.kind == journal.JUDGED and event.data["verdict"] == PASS:
            tree = frozen
    return tree


def place(folder: Path, name: str | Path) -> Path:
    """A path in a folder that a coder wrote: no link on the way leads out of it any more."""
    for parent in reversed(Path(name).parents):
        if (folder / parent).is_symlink():
            (folder / parent).unlink()
    return folder / name


def replace(source: Path, target: Path, *, follow: bool = False) -> None:
    """Make `target` what `source` is, a file or a folder; remove it where there is no source.

    follow: whether links become what they lead to.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    stage = target.with_name(f".{target.name}.new")
    remove(stage)
    if source.is_symlink():
        stage.symlink_to(os.readlink(source))
    elif source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", ".git")
        shutil.copytree(source, stage, symlinks=not follow, ignore=ignored)
    elif source.exists():
        shutil.copy2(source, stage)
    remove(target)
    if stage.is_symlink() or stage.exists():
        os.rename(stage, target)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clear(folder: Path) -> None:
    """Make a folder empty."""
    remove(folder)
    folder.mkdir(parents=True)


def record(branch: RunBranch, limit: int) -> str:
    """Freeze the workspace, without the repositories that the coder made in it, if any.

    Raises ValueError where it is gone, or holds more than so many bytes, and GitFailed.
    """
    used = 0
    for folder, folders, files in os.walk(branch.workspace):
        if ".git" in folders + files:
            remove(Path(folder, ".git"))
        folders[:] = [name for name in folders if name != ".git"]
        kept = [Path(folder, name) for name in files if name != ".git"]
        used += sum(512 * os.lstat(path).st_blocks for path in kept)
    if used > limit:
        raise ValueError(
            f"the workspace held {used / 2**30:.1f} GiB, more than {limit / 2**30:g}; nothing of "
            "this attempt is kept"
        )
    return branch.freeze()

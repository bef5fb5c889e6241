"""`--update`: the upstream reference has changed; what was translated is verified against it, and
the loop goes on from there.

Where everything still holds, only the certificate is made anew. Else the phases that compare whole
rollouts are opened again, and the first prompts tell what diverged and how the sources changed.
"""

import dataclasses
import difflib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..envs.files import write_atomically
from . import feedback, runs
from . import judge as judges
from .books import Coder, Listener
from .init import INSPECTION, SOURCES
from .inspection import build, inspect
from .loop import Judge, Outcome, translate
from .phases import OF_JAX, Item
from .prices import PriceTable
from .project import FILE, Project
from .runs import RunFolder
from .sandbox import Mode, head_and_tail
from .verdict import Verdict

COMPARED = ("lockstep", "mutants", "transfer", "certificate")
WRAPPED = "scaffold"  # in which the reference's wrapper and the suite are written
VERIFYING = "lockstep"
DIFF = 400  # lines of changed sources that a prompt holds
VERSION = re.compile(r"^(\s*version\s*=\s*).*$", re.MULTILINE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Upstream:
    """What is new. files: of reference/, all of them, by path; found: what a first look showed."""

    version: str
    files: Mapping[str, bytes]
    found: Mapping[str, Any]


def update(
    project: Project,
    *,
    sources: Sequence[Path] = (),
    version: str | None = None,
    run: str | None = None,
    coder: Coder | None = None,
    mode: Mode = "bubblewrap",
    prices: PriceTable | None = None,
    judge: Judge = judges.judge,
    listen: Listener = lambda event, standing: None,
) -> Outcome | None:
    """Start a run that brings a finished translation up to the upstream's present version; None
    where nothing changed since.

    sources: the new files, each under its old name; of a Python class that is the only source the
    installed one, unless given; version: what is installed, unless given; run and the rest: as of
    `translate`.

    Raises ValueError where the project has no finished run, or an open one, where its upstream
    cannot be had, does not build or start, or changed under the same version: the project is as
    before then. Else as `translate`; asked again, it goes on.
    """
    known = runs.known(project)
    if left := [name for name, events in known.items() if runs.is_open(events)]:
        raise ValueError(f"run {left[-1]} is not finished; resume it first (--resume)")
    if not known:
        raise ValueError(f"{project.name} has no finished run that could be updated; start one")
    new = _upstream(project, sources, version)
    last = list(known)[-1]
    with tempfile.TemporaryDirectory(prefix="simlift-") as temporary:
        verified = Path(temporary, "verified")
        RunFolder(project, last).copy.files(runs.accepted(known[last]), verified)
        old = Project.parse((verified / FILE).read_text(encoding="utf-8"), verified)
        files = _files(verified / SOURCES)
    if new.files == files and new.version == old.reference.version:
        return None
    if new.version == old.reference.version:
        raise ValueError(
            f"the sources changed and the version, {new.version}, did not; give the new one "
            "(version), it stands in the certificate"
        )
    changed = _differences(files, new.files)
    after = _write(project, new)

    def start(folder: RunFolder) -> Mapping[str, Any]:
        """Verify what there is; what is to be done follows from that."""
        folder.fresh()
        for name in runs.made(project):
            runs.replace(project.folder / name, folder.copy.workspace / name)
        tree = folder.copy.freeze()
        rendering = folder.render(Item(phase=VERIFYING), folder.plan())
        logs = folder.folder / "update"
        found = judge(rendering, after, folder.copy, base=tree, tree=tree, folder=logs, mode=mode)
        items = _opened(found, after)
        words = f"The reference changed: from version {old.reference.version} to {new.version}."
        return {
            "tree": tree,
            "items": items,
            "feedback": dict(_told(items, words, found, changed)),
            "updated": {"from": old.reference.version, "to": new.version, "holds": found.passed},
        }

    return translate(
        after,
        run=run,
        coder=coder,
        mode=mode,
        prices=prices,
        judge=judge,
        listen=listen,
        start=start,
    )


def _opened(found: Verdict, project: Project) -> list[str]:
    """The items that are open after a verification of what there is."""
    said = found.details.get("reference", {}).get("version")
    # The suite says of which version the certificate is, and only the scaffold may change it.
    wrapped = [] if said == project.reference.version else [WRAPPED]
    compared = COMPARED[-1:] if found.passed else COMPARED
    absent = OF_JAX if project.language == "rust" else ()
    return [*wrapped, *(phase for phase in compared if phase not in absent)]


def _told(
    items: Sequence[str], words: str, found: Verdict, changed: str
) -> Iterator[tuple[str, str]]:
    """What the first prompts of an update say, by item."""
    sources = f"What changed in the sources:\n\n{changed}" if changed else "No source changed."
    if WRAPPED in items:
        yield (
            WRAPPED,
            f"{words} Everything is translated already, so keep what is there. Bring the wrapper "
            "(`judge/reference.py`), the suite (`judge/suite.py`) and its version up to it, and of "
            "the translation and its tests what differs now.\n\n"
            f"{feedback.text(found)}\n\n{sources}",
        )
    if not found.passed:
        yield VERIFYING, f"{words}\n\n{feedback.text(found)}\n\n{sources}"


# -- the upstream


def _upstream(project: Project, sources: Sequence[Path], version: str | None) -> Upstream:
    """The upstream as it is now, looked at in a copy of the project."""
    reference = project.reference
    with tempfile.TemporaryDirectory(prefix="simlift-") as temporary:
        stage = Path(temporary, "project")
        runs.replace(project.folder / SOURCES, stage / SOURCES, follow=True)
        for source in sources:
            _take(source, stage, project)
        paths = tuple(str((project.folder / path).resolve()) for path in reference.import_from)
        here = dataclasses.replace(reference, import_from=paths)
        build(here, stage)
        found = inspect(here, stage)
        defined = found.pop("file", None)
        if not sources:
            if defined is None:
                raise ValueError("name the new sources (sources); where they are is not known")
            own = f"{SOURCES}/{Path(defined).name}"
            if others := [name for name in reference.sources if name != own]:
                raise ValueError(
                    f"name the new sources (sources): where {', '.join(others)} came from is not "
                    "known, only where the class is"
                )
            _take(Path(defined), stage, project)
        files = _files(stage / SOURCES)
    return Upstream(
        version=version or found.get("version") or reference.version, files=files, found=found
    )


def _take(source: Path, stage: Path, project: Project) -> None:
    """Put a new source in the place of the old one of its name."""
    name = f"{SOURCES}/{source.absolute().name}"
    if not source.exists():
        raise ValueError(f"{source} is not there; name files or folders that are")
    if name not in project.reference.sources:
        there = ", ".join(project.reference.sources)
        raise ValueError(f"{source}: the project has no {name}; its sources are {there}")
    runs.replace(source, stage / name, follow=True)


def _files(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def _differences(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    """The changed files as a unified diff, its middle left out where it is long."""
    lines: list[str] = []
    for name in sorted(old.keys() | new.keys()):
        before, after = (
            files.get(name, b"").decode(errors="replace").splitlines() for files in (old, new)
        )
        path = f"{SOURCES}/{name}"
        lines += difflib.unified_diff(before, after, f"old {path}", f"new {path}", lineterm="")
    return head_and_tail("\n".join(f"    {line}" for line in lines), DIFF) if lines else ""


def _write(project: Project, new: Upstream) -> Project:
    """The project with the new reference in it."""
    path = project.folder / FILE
    before, table, rest = path.read_text(encoding="utf-8").partition("[reference]")
    line = json.dumps(new.version)
    text = before + table + VERSION.sub(lambda found: found[1] + line, rest, count=1)
    if Project.parse(text, project.folder).reference.version != new.version:
        raise ValueError(f"{path}: set reference.version to {line} by hand, then try again")
    with tempfile.TemporaryDirectory(dir=project.folder, prefix=".reference.") as temporary:
        stage = Path(temporary, SOURCES)
        for name, content in new.files.items():
            write_atomically(stage / name, content)
        runs.replace(stage, project.folder / SOURCES)
    write_atomically(project.folder / INSPECTION, json.dumps(new.found, indent=1) + "\n")
    write_atomically(path, text)
    again = Project.read(project.folder)
    return dataclasses.replace(again, agent=project.agent)

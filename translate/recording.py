"""Recorded runs: a folder that holds all that is needed to play a run once more, without a model.

    recording.json   what it is, who made it, what has to be installed; see its schema
    project/         the project as the run began with it, and prepare.py, run in it, where sources
                     have to be fetched or copied because they are not ours to ship
    journal.jsonl    what happened, as it was
    attempts/        of each attempt what the coder was told and what the judge said
    patches/         of each attempt, failed ones too, what it changed

A replay applies the patches, each to what its coder began from, and judges everything anew.
"""

import dataclasses
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self

from ..envs.files import write_atomically
from . import journal, runs, schema
from .commits import RunBranch
from .journal import JUDGED, STARTED
from .project import FILE, Project
from .runs import RunFolder
from .tactics import Tactic

SHIPPED = resources.files(__package__) / "recordings"
ABOUT, PATCHES, PROJECT, PREPARE = "recording.json", "patches", "project", "prepare.py"
KEPT = ("feedback.md", "verdict.json")
ASIDE = (FILE, "README.md")
"""What may change while a run goes on, without a change of what is translated."""
PREPARING = 600.0  # seconds
SECRET = re.compile(r"(_KEY|_TOKEN|_SECRET|PASSWORD)$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt:
    """One judged attempt. folder: its name in attempts/ and patches/; begun, left: digests of what
    the coder began from, and of what it left; seed: the one it was judged with."""

    item: str
    folder: str
    tactic: Tactic
    model: str
    words: str
    verdict: str
    seed: int
    begun: str
    left: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """One recording; the fields are those of recording.json."""

    folder: Path
    name: str
    about: str
    coder: str
    made: str
    simlift: str
    run: str
    setup: str
    fetched: Sequence[Mapping[str, str]]
    trees: Sequence[Mapping[str, str]]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises ValueError, in one line, for what is damaged, and FileNotFoundError."""
        path = folder / ABOUT
        try:
            value = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise FileNotFoundError(f"{path} is not there; give a recording's folder") from None
        except ValueError as error:
            raise ValueError(f"{path} is not JSON: {error}") from None
        schema.check("recording", value, str(path))
        return cls(folder=folder, **value)

    @functools.cached_property
    def attempts(self) -> Mapping[str, Sequence[Attempt]]:
        """The judged attempts of each item, in order. Raises ValueError for a damaged journal, and
        for one that is not of this recording."""
        try:
            return self._attempts()
        except KeyError as error:
            raise ValueError(
                f"{self.folder / runs.JOURNAL} and {ABOUT} do not belong together ({error}); "
                "restore the recording"
            ) from None

    def _attempts(self) -> Mapping[str, Sequence[Attempt]]:
        found: dict[str, list[Attempt]] = {}
        begun: dict[tuple[str, int], Mapping[str, Any]] = {}
        words: dict[tuple[str, int], str] = {}
        trees = {entry["folder"]: entry for entry in self.trees}
        for event in journal.read(self.folder / runs.JOURNAL):
            data = event.data
            key = data.get("item", ""), data.get("attempt", 0)
            if event.kind == STARTED:
                begun[key] = data
            elif event.kind == "agent_ended":
                words[key] = data["words"]
            elif event.kind == JUDGED:
                name = Path(begun[key]["folder"]).name
                attempt = Attempt(
                    item=key[0],
                    folder=name,
                    tactic=begun[key]["tactic"],
                    model=begun[key]["model"],
                    words=words.get(key, ""),
                    verdict=data["verdict"],
                    seed=data["seed"],
                    begun=trees[name]["begun"],
                    left=trees[name]["left"],
                )
                found.setdefault(key[0], []).append(attempt)
        return found

    def patch(self, attempt: Attempt) -> bytes:
        """What the attempt changed. Raises OSError."""
        return (self.folder / PATCHES / f"{attempt.folder}.patch").read_bytes()

    def prepare(self, target: Path) -> Project:
        """Make the recorded project in a folder that is not there yet, third-party sources
        included.

        Raises ValueError, in one line that says what to install, where those cannot be had as they
        were; nothing is left behind then.
        """
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ValueError(f"{target} is not empty; choose a folder that is not there yet")
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as stage:
            project = Path(stage, PROJECT)
            shutil.copytree(self.folder / PROJECT, project)
            if (project / PREPARE).is_file():
                self._fetch(project)
                (project / PREPARE).unlink()
            self._check(project)
            Project.read(project)
            if target.exists():
                target.rmdir()
            os.rename(project, target)
        return Project.read(target)

    def _fetch(self, project: Path) -> None:
        remedy = f"; {self.setup}" if self.setup else ""
        try:
            done = subprocess.run(
                [sys.executable, "-P", PREPARE],
                cwd=project,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=PREPARING,
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"{self.name}: {PREPARE} took too long{remedy}") from None
        if done.returncode:
            said = done.stdout.decode(errors="replace").strip().splitlines()
            why = said[-1] if said else f"status {done.returncode}"
            raise ValueError(f"{self.name}: the sources cannot be had: {why}{remedy}")

    def _check(self, project: Path) -> None:
        remedy = self.setup or "restore the recording"
        for entry in self.fetched:
            name, path = entry["path"], project / entry["path"]
            if not path.is_file():
                raise ValueError(f"{self.name}: {name} is not there; {remedy}")
            if hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
                raise ValueError(f"{self.name}: {name} is not what was translated; {remedy}")


def shipped() -> dict[str, Path]:
    """The recordings that come with simlift, by name."""
    folder = Path(str(SHIPPED))
    return {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{ABOUT}"))}


def find(name: str) -> Recording:
    """A recording by its name, or its folder. Raises ValueError, which says what there is."""
    known = shipped()
    if name in known:
        return Recording.read(known[name])
    if name and (Path(name) / ABOUT).is_file():
        return Recording.read(Path(name))
    there = ", ".join(known) or "none"
    raise ValueError(f"{name!r} is no recording, and no folder of one; there are: {there}")


# -- making one


def record(
    project: Project,
    target: Path,
    *,
    coder: str,
    run: str | None = None,
    name: str | None = None,
    prepare: Path | None = None,
    fetched: Sequence[str] = (),
    setup: str = "",
) -> Recording:
    """Make a recording of a run.

    coder: who translated, in words; run: by default the newest; name: by default the project's;
    prepare: a Python program that, run in the project's folder, puts there what is not ours to
    ship, and `fetched`: the paths of that (files or folders); setup: what has to be installed
    before, such as "pip install minatar==1.0.15".

    Raises ValueError, in one line, where the run cannot be recorded: there is none, it is an
    update, it went back to an item, its sources changed while it went on, `fetched` names what is
    not there, or the target is not empty; OSError where it cannot be written. Nothing is left
    behind then.
    """
    known = runs.known(project)
    if not known or (run is not None and run not in known):
        raise ValueError(f"{project.name} has no such run; there are: {', '.join(known) or 'none'}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} is not empty; choose a folder that is not there yet")
    if bool(prepare) != bool(fetched):
        raise ValueError("prepare and fetched belong together: what it fetches, and who fetches it")
    run = run or list(known)[-1]
    if known[run][0].data["items"]:
        raise ValueError(f"run {run} is an update; record the run that made the translation")
    if any(event.kind == journal.OPENED for event in known[run]):
        raise ValueError(
            f"run {run} went back to an item, which a replay cannot do; record one that did not"
        )
    folder = RunFolder(project, run)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}.") as temporary:
        stage = Path(temporary, "recording")
        trees = _attempts(folder, known[run], stage)
        sums = _project(folder, known[run], stage / PROJECT, fetched)
        if prepare is not None:
            shutil.copy(prepare, stage / PROJECT / PREPARE)
        about = {
            "name": name or project.name,
            "about": project.reference.words,
            "coder": coder,
            "made": known[run][-1].time[:10],
            "simlift": known[run][0].data["simlift"],
            "run": run,
            "setup": setup,
            "fetched": sums,
            "trees": trees,
        }
        schema.check("recording", about, ABOUT)
        text = (folder.folder / runs.JOURNAL).read_text(encoding="utf-8")
        write_atomically(stage / runs.JOURNAL, _impersonal(text, folder))
        write_atomically(stage / ABOUT, json.dumps(about, indent=1) + "\n")
        if target.exists():
            target.rmdir()
        os.rename(stage, target)
    return Recording.read(target)


def _attempts(
    folder: RunFolder, events: Sequence[journal.Event], stage: Path
) -> list[dict[str, str]]:
    """Write what is kept of each attempt; the digests of its trees."""
    trees = []
    frozen: dict[tuple[str, int], str] = {}
    begun: dict[tuple[str, int], Mapping[str, Any]] = {}
    for event in events:
        if event.kind not in (STARTED, journal.FROZEN, JUDGED):
            continue
        key = event.data["item"], event.data["attempt"]
        if event.kind == STARTED:
            begun[key] = event.data
        elif event.kind == journal.FROZEN:
            frozen[key] = event.data["tree"]
        else:
            logs = Path(begun[key]["folder"])
            base, tree = begun[key]["base"], frozen[key]
            patch = folder.work.changes(base, tree)
            write_atomically(stage / PATCHES / f"{logs.name}.patch", patch)
            for name in KEPT:
                text = (folder.folder / logs / name).read_text(encoding="utf-8")
                write_atomically(stage / logs / name, _impersonal(text, folder))
            digests = {"begun": digest(folder.work, base), "left": digest(folder.work, tree)}
            trees.append({"folder": logs.name, **digests})
    return trees


def _project(
    folder: RunFolder, events: Sequence[journal.Event], stage: Path, fetched: Sequence[str]
) -> list[dict[str, str]]:
    """Write the project as the run began with it, less what is fetched; the sums of that."""
    start = events[0].data["tree"]
    for event in events:
        if event.kind == STARTED:
            changed = folder.work.stat(start, event.data["origin"])
            given = [path for path in changed if path.split("/")[0] in runs.GIVEN]
            if other := sorted(set(given) - set(ASIDE)):
                raise ValueError(
                    f"{other[0]} changed before attempt {event.data['folder']}; a run that is "
                    "recorded begins and ends with the same sources"
                )
    folder.work.files(start, stage)
    sums = []
    for name in fetched:
        path = stage / name
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        if not files:
            raise ValueError(f"fetched: {name} is not among what the run began with")
        for file in files:
            content = file.read_bytes()
            known = hashlib.sha256(content).hexdigest()
            sums.append({"path": file.relative_to(stage).as_posix(), "sha256": known})
            file.unlink()
    return sums


def digest(branch: RunBranch, tree: str) -> str:
    """Of a tree, as recordings have it."""
    return branch.digest(tree, without=ASIDE)


def _impersonal(text: str, folder: RunFolder) -> str:
    """A text without keys, and without the places where things lay on a machine."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= 8:
            text = text.replace(value, "[key]")
    places = {
        str(folder.folder): "RUN",
        str(folder.project.folder.absolute()): "PROJECT",
        str(Path(__file__).parents[1]): "SIMLIFT",
        sys.prefix: "PYTHON",
        sys.base_prefix: "PYTHON",
        str(Path.home()): "~",
    }
    for place, word in sorted(places.items(), key=lambda one: -len(one[0])):
        if len(place) > 1:
            text = text.replace(place, word)
    return text

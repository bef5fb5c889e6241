"""The recordings that come with simlift are whole, and hold nothing of where they were made."""

import re
import shutil
from pathlib import Path

import pytest

from simlift.translate.commits import RunBranch
from simlift.translate.journal import PASS
from simlift.translate.phases import PHASES, Rendering
from simlift.translate.project import Project
from simlift.translate.recording import PATCHES, Recording, find, shipped
from simlift.translate.replay import replay
from simlift.translate.sandbox import Mode, SandboxUnavailable, probe
from simlift.translate.verdict import Finding, Verdict

from .needs import lacking

LARGEST = 1 << 20  # bytes of a recording
QUICKEST = "yacht"
PLACES = re.compile(r"/(tmp|home|root|work|usr|opt)/\w")
RECORDINGS = pytest.mark.parametrize("name", sorted(shipped()))


class AsRecorded:
    """A judge that says what was said."""

    def __init__(self, recording: Recording) -> None:
        self.verdicts = {
            attempt.folder: attempt.verdict
            for attempts in recording.attempts.values()
            for attempt in attempts
        }

    def __call__(
        self,
        rendering: Rendering,
        project: Project,
        copy: RunBranch,
        *,
        base: str,
        tree: str,
        folder: Path,
        mode: Mode,
        seed: int | None = None,
    ) -> Verdict:
        copy.restore(tree)
        line = self.verdicts[folder.name]
        wrong = "" if line == PASS else line
        made = Finding(line=wrong, signature=wrong, score=float(line == PASS))
        verdict = made.verdict(seed=seed or 0, seconds=0.0)
        verdict.write(folder)
        return verdict


def test_there_is_one_to_begin_with() -> None:
    assert QUICKEST in shipped()


@RECORDINGS
def test_a_recording_is_whole(name: str) -> None:
    recording = find(name)
    assert recording.name == name
    assert [attempts[-1].verdict for attempts in recording.attempts.values()] == [PASS] * len(
        recording.attempts
    )
    assert list(recording.attempts)[-1] == PHASES[-1] == "certificate"
    for attempts in recording.attempts.values():
        for attempt in attempts:
            assert isinstance(recording.patch(attempt), bytes)
            logs = recording.folder / "attempts" / attempt.folder
            assert (logs / "feedback.md").is_file()
            assert Verdict.read(logs).line == attempt.verdict
    patches = {path.stem for path in (recording.folder / PATCHES).iterdir()}
    assert patches == {entry["folder"] for entry in recording.trees}


@RECORDINGS
def test_a_recording_is_small_and_tells_no_places(name: str) -> None:
    files = [path for path in find(name).folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < LARGEST
    told = {
        f"{path}: {found[0]}"
        for path in files
        if (found := PLACES.search(path.read_text(encoding="utf-8")))
    }
    assert not told


@RECORDINGS
def test_patches_fit_onto_each_other_to_the_end(name: str, tmp_path: Path) -> None:
    recording = find(name)
    try:
        project = recording.prepare(tmp_path / "sources")
    except ValueError as error:
        lacking(str(error))
    if project.language == "rust" and not shutil.which("cargo"):
        pytest.skip("needs Rust's cargo")
    played = replay(recording, tmp_path / "again", judge=AsRecorded(recording), mode="unconfined")
    assert played.outcome.finished and played.agreed
    assert played.judged == played.recorded == len(recording.trees)
    tests = {"tests"} if project.language == "jax" else set()  # those of a crate are inside of it
    assert {"notes", "judge", project.name} | tests == set(played.outcome.outputs)


def test_the_first_phases_are_judged_anew(tmp_path: Path) -> None:
    try:
        probe()
    except SandboxUnavailable as error:
        lacking(str(error))
    played = replay(find(QUICKEST), tmp_path / "again", until="plan")
    assert played.agreed and played.judged == 3

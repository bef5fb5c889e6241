"""The journal: nothing acknowledged is lost, nothing is done twice, whenever the run is killed."""

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlift.translate import journal
from simlift.translate.journal import FROZEN, JUDGED, PASS, STARTED, Journal, next_step

WORK = {"survey": "a", "plan": "b", "translate_module:ball": "c"}
ATTEMPTS = {
    "survey": 1,
    "plan": 2,
    "translate_module:ball": 3,
}  # how many it takes until one passes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs" / "journal.jsonl"


def run_on(log: Journal, stop: Callable[[], bool] = lambda: False) -> None:
    """A run in small: does what comes next until all is done or `stop`."""
    while (step := next_step(log.events, WORK)) and not stop():
        at = {"item": step.item, "attempt": step.attempt}
        match step.do:
            case "start":
                log.append(STARTED, **at, inputs=WORK[step.item])
            case "go_on":
                log.append(FROZEN, **at, tree=f"tree of {step.item} {step.attempt}")
            case "judge":
                assert step.tree == f"tree of {step.item} {step.attempt}"
                passed = step.attempt == ATTEMPTS[step.item]
                log.append(JUDGED, **at, verdict=PASS if passed else "3 mismatches")


def test_a_run_takes_every_attempt_through_its_three_stages(path: Path) -> None:
    with Journal(path) as log:
        run_on(log)
        kinds = [event.kind for event in log.events]
    assert kinds == [STARTED, FROZEN, JUDGED] * sum(ATTEMPTS.values())
    assert journal.read(path) == log.events


@given(cuts=st.lists(st.floats(0, 1), max_size=4))
def test_a_run_cut_off_at_any_byte_goes_on_as_if_it_had_not_been(cuts: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            os, "fsync", lambda handle: None
        )  # takes the disk's time, and no power is cut
        path = Path(folder, "journal.jsonl")
        with Journal(path) as log:
            run_on(log)
            whole = [(event.kind, event.data) for event in log.events]
        for cut in cuts:
            size = path.stat().st_size
            at = round(cut * size)
            content = path.read_bytes()[:at]
            path.write_bytes(content)
            with Journal(path) as log:
                assert len(log.events) == content.count(b"\n"), (
                    "a whole line is kept, a torn one not"
                )
                run_on(log, stop=lambda size=size: path.stat().st_size > 0.9 * size)
        with Journal(path) as log:
            run_on(log)
            assert [(event.kind, event.data) for event in log.events] == whole


def test_a_killed_writer_loses_nothing_that_was_acknowledged(path: Path) -> None:
    code = """
import sys
from pathlib import Path
from simlift.translate.journal import Journal
log = Journal(Path(sys.argv[1]))
for i in range(1000000):
    print(log.append("tick", i=i).number, flush=True)
"""
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = [writer.stdout.readline() for _ in range(20)]
        writer.kill()
        seen += writer.stdout.readlines()
    acknowledged = int([line for line in seen if line.endswith("\n")][-1])
    with Journal(path) as log:
        assert [event.data["i"] for event in log.events] == list(range(len(log.events)))
        assert len(log.events) > acknowledged


def test_a_second_writer_is_refused_while_the_first_lives(path: Path) -> None:
    with Journal(path), pytest.raises(journal.JournalLocked, match="end it first"):
        Journal(path)
    Journal(path).close()


def test_a_full_disk_leaves_the_journal_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if len(data) > 10:
            return write(handle, data[:10])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Journal(path) as log:
        log.append("note", words="kept")
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(OSError, match="free some space, then resume"):
                log.append("note", w="x")
        assert path.read_bytes() == before
        log.append("note", words="again")
    assert [event.data["words"] for event in journal.read(path)] == ["kept", "again"]


def test_damage_in_the_middle_is_told_and_not_repaired(path: Path) -> None:
    with Journal(path) as log:
        for i in range(3):
            log.append("tick", i=i)
    lines = path.read_bytes().splitlines(keepends=True)
    for damaged in ([lines[0], b"\0\0\n", lines[2]], [lines[0], lines[2]]):
        path.write_bytes(b"".join(damaged))
        with pytest.raises(ValueError, match="line 2 is damaged"):
            Journal(path)
        assert path.read_bytes() == b"".join(damaged)


def test_what_cannot_be_read_back_is_not_written(path: Path) -> None:
    with Journal(path) as log:
        with pytest.raises(ValueError, match="cannot be written"):
            log.append("note", what=object())
        with pytest.raises(ValueError, match="cannot be written"):
            log.append("note", what=float("nan"))
        with pytest.raises(ValueError, match="lacks inputs"):
            log.append(STARTED, item="plan", attempt=1)
        assert path.read_bytes() == b""
    with pytest.raises(ValueError, match="closed"):
        log.append("note")


def test_changed_inputs_open_an_item_again(path: Path) -> None:
    with Journal(path) as log:
        run_on(log)
        assert next_step(log.events, WORK) is None
        step = next_step(log.events, WORK | {"plan": "another plan"})
        assert step == journal.Step(do="start", item="plan", attempt=3)
        log.append(STARTED, item="plan", attempt=3, inputs="another plan")
        assert next_step(log.events, WORK | {"plan": "a third"}) == journal.Step(
            do="start", item="plan", attempt=4
        )

"""Tape files: what is read back, what is refused, and what a full disk leaves behind."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from simlift.envs import files
from simlift.verify.suite import Variant
from simlift.verify.tape import Tape, TapeFileError, load, save


def make(**changes: object) -> Tape:
    values = {
        "suite": "pong",
        "variant": Variant("discrete", {"frameskip": 1}),
        "start": {
            "ball_x": np.float32(0.1),
            "tick": np.int32(7),
            "actions": np.asarray([-0.0, 1e-38], np.float32),
            "stream": np.uint64(2**64 - 1),
        },
        "actions": np.asarray([0, 2, 1], np.int64),
        "found": {"level": "L3 E2", "field": "ball_x", "seed": 3},
    }
    return Tape(**(values | changes))  # type: ignore[arg-type]


def test_a_saved_tape_comes_back_bit_for_bit(tmp_path: Path) -> None:
    tape = make()
    save(tape, tmp_path / "deep" / "tape.json")
    back = load(tmp_path / "deep" / "tape.json")
    assert (back.suite, back.variant, back.found) == (tape.suite, tape.variant, tape.found)
    assert back.identity == tape.identity
    for name, value in {**tape.start, "": tape.actions}.items():
        other = back.start[name] if name else back.actions
        assert other.dtype == value.dtype and other.tobytes() == value.tobytes(), name


def test_identity_follows_start_variant_and_actions() -> None:
    others = [
        make(actions=np.asarray([0, 2, 2], np.int64)),
        make(variant=Variant("continuous")),
        make(start={"tick": np.int32(8)}),
    ]
    assert len({make().identity, *(tape.identity for tape in others)}) == 4
    assert make(found={}).identity == make().identity


def test_missing_tape_says_who_writes_them(tmp_path: Path) -> None:
    with pytest.raises(TapeFileError, match=r"no tape at .*gone\.json.*simlift verify"):
        load(tmp_path / "gone.json")


def test_folder_in_place_of_a_tape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TapeFileError, match="not a readable tape"):
        load(tmp_path)


def test_other_format_says_to_record_anew(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    save(make(), path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(TapeFileError, match=r"format 99.*record it anew"):
        load(path)


@pytest.mark.parametrize("keep", [0, 1, 40, 200])
def test_truncated_tape_says_what_to_do(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "tape.json"
    save(make(), path)
    path.write_text(path.read_text()[:keep])
    with pytest.raises(TapeFileError, match=r"not a readable tape.*delete it.*simlift verify"):
        load(path)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: [],
        lambda data: {},
        lambda data: {**data, "variant": "discrete"},
        lambda data: {**data, "variant": {"nmae": "discrete"}},
        lambda data: {**data, "actions": ["int64", ["left"]]},
        lambda data: {**data, "actions": ["int640", [1]]},
        lambda data: {**data, "start": {"tick": ["int32", 2**40]}},
        lambda data: {**data, "start": [1, 2]},
    ],
)
def test_damaged_tape_says_what_to_do(tmp_path: Path, damage: object) -> None:
    path = tmp_path / "tape.json"
    save(make(), path)
    path.write_text(json.dumps(damage(json.loads(path.read_text()))))  # type: ignore[operator]
    with pytest.raises(TapeFileError, match=r"not a readable tape.*delete it"):
        load(path)


def test_binary_in_place_of_a_tape_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tape.json"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(TapeFileError, match="not a readable tape"):
        load(path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "tape.json"
    save(make(), path)
    before = path.read_bytes()

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(OSError, match=r"No space left on device\); free some space"):
        save(make(actions=np.asarray([1], np.int64)), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["tape.json"]


def test_an_interruption_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save(make(), tmp_path / "new.json")
    assert os.listdir(tmp_path) == []

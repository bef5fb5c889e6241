"""What isolation is made of: messages, the guard, the hashes of sources, and what comes back."""

import dataclasses
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.verify import guard
from simlift.verify.host import CandidateError, Row
from simlift.verify.isolation import (
    VERIFIER,
    IsolatedCandidate,
    _fits,
    _judging,
    digest,
    sources,
)
from simlift.verify.suite import SuiteError
from simlift.verify.suites import get_suite
from simlift.verify.wire import WireError, receive, send
from simlift.verify.worker import sources_of, watched

Line = tuple[socket.socket, socket.socket]


@pytest.fixture
def line() -> Iterator[Line]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


# -- messages


def test_messages_arrive_as_they_were_sent(line: Line) -> None:
    arrays = {
        "flags": np.array([[True], [False]]),
        "numbers": np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::2],
        "one": np.float32(-0.0),
        "none": np.zeros((0, 4), np.uint8),
    }
    send(line[0], {"do": "it", "seed": 2**53 - 1}, {k: np.asarray(v) for k, v in arrays.items()})
    head, received = receive(line[1], 5)
    assert head == {"do": "it", "seed": 2**53 - 1}
    assert received.keys() == arrays.keys()
    for name, value in arrays.items():
        got = received[name]
        assert (got.dtype, got.shape) == (value.dtype, value.shape)
        assert got.tobytes() == value.tobytes()


def head(value: Any) -> bytes:
    text = json.dumps(value).encode()
    return struct.pack("!I", len(text)) + text


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"\xff" * 8, "a head of 4294967295 bytes is no message"),
        (struct.pack("!I", 4) + b"{{{{", "what came is no message"),
        (head([1, 2]), "what came is no message"),
        (head({"arrays": [["x", "O", [1]]]}), "of types"),
        (head({"arrays": [["x", "V8", [1]]]}), "of types"),
        (head({"arrays": [["x", "<f4", [-1, -1]]]}), "arrays of 4 bytes"),
        (head({"arrays": [["x", "<f4", [2**40]]]}), "arrays of 4398046511104 bytes"),
        (struct.pack("!I", 90000) + b"[" * 90000, "what came is no message"),
        (b"", "the other side is gone"),
    ],
)
def test_what_is_no_message_is_refused(line: Line, said: bytes, words: str) -> None:
    line[0].sendall(said)
    line[0].shutdown(socket.SHUT_WR)
    with pytest.raises(WireError, match=words):
        receive(line[1], 5)


def test_a_message_has_to_be_whole_in_time(line: Line) -> None:
    line[0].sendall(b"\0")
    with pytest.raises(WireError, match="no answer in time"):
        receive(line[1], 0.05)


# -- the guard


def in_a_process(folder: Path, code: str, package: str = "candidate") -> list[str]:
    """What the guard says of a candidate: hooks stay for good, so elsewhere."""
    (folder / "candidate.py").write_text(code)
    asked = (
        "import json; from pathlib import Path; from simlift.verify.worker import watched\n"
        f"print(json.dumps(watched({package!r}, [Path({str(folder / 'secret')!r})])()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=folder, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_the_guard_leaves_honest_work_alone(folder_of_a_user: Path) -> None:
    code = """
import collections, dataclasses, warnings
from pathlib import Path
import numpy as np
import sqlite3
import jax.numpy as jnp
from simlift.envs.pong import Pong

Pair = collections.namedtuple("Pair", "a b", defaults=[1])

@dataclasses.dataclass
class Plain:
    table: object = None

own = Path(__file__).read_text()
table = np.arange(4)
warnings.warn("a warning shows the line of who called", stacklevel=9)
"""
    assert in_a_process(folder_of_a_user, code) == []


def test_the_guard_tells_what_was_done(folder_of_a_user: Path) -> None:
    code = """
import contextlib, json, math, os, sys
deeds = [
    lambda: open("secret/answers"),
    lambda: open("elsewhere"),
    lambda: open("note", "w"),
    lambda: os.fdopen(0),
    lambda: os.system("true"),
    lambda: __import__("ctypes").CDLL(None),
    lambda: eval("1 + 1"),
]
for deed in deeds:
    with contextlib.suppress(OSError):
        deed()
json.dumps = json.dumps
math.cos = math.sin
del json.load
"""
    (folder_of_a_user / "secret").mkdir()
    for name in ("secret/answers", "elsewhere"):
        (folder_of_a_user / name).write_text("42")
    told = in_a_process(folder_of_a_user, code)
    expected = [
        f"reads {folder_of_a_user}/secret/answers",
        f"reads {folder_of_a_user}/elsewhere",
        f"writes {folder_of_a_user}/note",
        "opens a descriptor that it was not given",
        "starts a process: os.system",
        "loads a library: ctypes.dlopen",
        "makes code out of text: compile",
        "replaces json.load",
        "replaces math.cos",
    ]
    assert len(told) == len(expected), told
    for said, words in zip(told, expected, strict=True):
        assert said.startswith(f"the environment {words}")


@pytest.fixture
def folder_of_a_user(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def test_a_suite_that_loads_its_environment_too_early_is_told() -> None:
    assert "simlift.verify.guard" in sys.modules
    with pytest.raises(SuiteError, match="import it inside functions only"):
        watched("simlift.verify.guard", [])


def test_names_that_stand_for_something_else_are_changed() -> None:
    before = {"a": len, "b": max, "c": min}
    assert guard.changed(before, {"a": len, "b": min, "new": sum}) == ["b", "c"]


# -- sources


def test_sources_are_a_package_and_what_runs_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "outer_package" / "inner"
    inner.mkdir(parents=True)
    for file in (inner.parent / "__init__.py", inner / "__init__.py", inner / "env.py"):
        file.write_text("raise RuntimeError('loaded')")
    monkeypatch.syspath_prepend(tmp_path)
    assert sources_of("outer_package.inner") == [inner.parent / "__init__.py", inner]
    assert sources_of("outer_package.inner.env")[1:] == [inner / "__init__.py", inner / "env.py"]
    for missing in ("no_such_package", "outer_package.missing", "outer_package.inner.env.deeper"):
        with pytest.raises(ValueError, match="there is no module"):
            sources_of(missing)


def test_a_digest_covers_every_file_but_what_python_caches(tmp_path: Path) -> None:
    package = tmp_path / "regressions" / "package"  # the name of a folder above hides nothing
    (package / "__pycache__").mkdir(parents=True)
    (package / "code.py").write_text("1")
    first = digest([package])
    (package / "__pycache__" / "code.pyc").write_text("cached")
    assert digest([package]) == first
    (package / "data.npy").write_text("1")
    second = digest([package])
    assert second != first and digest([package], "*.py") == first
    (package / "data.npy").rename(package / "other.npy")
    assert digest([package]) not in (first, second)


def test_the_verifier_is_hashed_with_the_contract_of_environments() -> None:
    hashes = sources(get_suite("pong"))
    assert len({*hashes.values()}) == 2 and all(len(value) == 64 for value in hashes.values())


def test_the_verifier_is_hashed_without_the_suites_and_references_of_others() -> None:
    def judging(name: str) -> set[str]:
        package = VERIFIER.parent
        return {path.relative_to(package).as_posix() for path in _judging(get_suite(name))}

    own = {"references/pong", "verify/suites/pong.py", "verify/suites/pong_domain.py"}
    shared = {
        "references/core.py",
        "verify/runner.py",
        "verify/mutants",
        "verify/suites/__init__.py",
    }
    assert own | shared <= judging("pong")
    assert judging("cart_pole") & judging("pong") >= shared
    assert not own & judging("cart_pole") and "references/pokemon" not in judging("pong")
    outside = dataclasses.replace(get_suite("pong"), name="somewhere:SUITE")
    assert own | shared | {"references/cart_pole"} <= {
        path.relative_to(VERIFIER.parent).as_posix() for path in _judging(outside)
    }


# -- what comes back


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": "other"},
        {"mismatches": -1},
        {"mismatches": 1},
        {"what": ["something"]},
        {"count": 1.5},
        {"seconds": "0"},
        {"what": [1], "mismatches": 1},
    ],
)
def test_a_row_has_to_be_the_one_asked_for(changes: dict[str, Any]) -> None:
    row = {"level": "L0", "variant": "v", "policy": "check", "count": 3}
    name = ("L0", "v", "check")
    assert _fits(Row(**row), name)
    assert not _fits(Row(**{**row, **changes}), name)


def test_an_answer_has_to_have_every_field() -> None:
    candidate = IsolatedCandidate(None, None, {}, {"x", "y"})  # type: ignore[arg-type]
    x = np.zeros((2, 3, 4))
    assert candidate._checked({"x": x, "y": x[..., 0]}, (2, 3)).keys() == {"x", "y"}
    for values in ({"x": x}, {"x": x, "y": x, "z": x}, {"x": x, "y": x[:1]}):
        with pytest.raises(CandidateError, match="does not answer with the fields"):
            candidate._checked(values, (2, 3))

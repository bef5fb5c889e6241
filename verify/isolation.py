"""A candidate in processes of its own, so that nothing it does can reach the judge or the answers.

No process is sent the answer to a question that it is still to be asked: the even steps of a
recording go to one process and the odd ones to another (the state after a step is where the next
one starts), and whole episodes are asked before the steps in between are shown. What comes back is
numbers (wire.py); the judge never loads the candidate.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..references.core import Closing, DrawLog
from .candidate import Fields
from .evidence import Progress
from .hazards import CHECKS
from .host import CandidateError, Row
from .suite import Suite, Variant
from .wire import WireError, receive, send
from .worker import BLAMELESS, sources_of

TIMEOUT_S = 900  # of one answer; the first ones compile
KINDS: Mapping[str, type[Exception]] = {error.__name__: error for error in BLAMELESS}

VERIFIER = Path(__file__).parent
REFERENCES = VERIFIER.parent / "references"
ENVS = VERIFIER.parent / "envs"
MADE = {"__pycache__", "regressions", "target"}
"""Folders of what is made and not written: of Python, of verifications, of Cargo."""
PLAIN = "from simlift.verify import plain; plain.main()"


def digest(sources: Iterable[Path], pattern: str = "*") -> str:
    """SHA-256 over the names and contents of files, and of what matches in folders."""
    total = hashlib.sha256()
    for source in sources:
        inside = [source] if source.is_file() else sorted(source.rglob(pattern))
        for path in inside:
            name = path.relative_to(source.parent)
            if path.is_file() and not MADE & set(name.parts[1:]):
                content = hashlib.sha256(path.read_bytes()).digest()
                total.update(f"{name.as_posix()}\0".encode() + content)
    return total.hexdigest()


class _Process:
    """One worker, asked one question after the other."""

    def __init__(self, suite: Suite, secret: Sequence[Path], timeout_s: float) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout_s)
        self._line, self._timeout_s = ours, timeout_s
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        worker = "import sys; from simlift.verify.worker import main; main(sys.argv[1:])"
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", worker),
                *(str(theirs.fileno()), suite.name, suite.package, *map(str, secret)),
            ],
            env=_environment(),
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
        )
        theirs.close()
        self._queue = ThreadPoolExecutor(1)

    def ask(
        self,
        head: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray] | None = None,
        progress: Progress | None = None,
    ) -> Future[tuple[dict[str, Any], Fields]]:
        return self._queue.submit(self._ask, head, arrays or {}, progress)

    def _ask(
        self,
        head: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        progress: Progress | None,
    ) -> tuple[dict[str, Any], Fields]:
        number = secrets.token_hex(8)  # so that no answer can be there before its question
        try:
            send(self._line, {**head, "id": number}, arrays)
            while True:
                answer, values = receive(self._line, self._timeout_s)
                if "progress" not in answer:
                    break
                if progress is not None:
                    what, done = answer["progress"]
                    progress(str(what)[:80], float(done))
            if answer.get("id") != number:
                raise WireError("what came is no answer to what was asked")
        except (WireError, ValueError, TypeError) as error:
            raise CandidateError(f"its process failed ({error}): {self._last_words()}") from error
        if "error" in answer:
            kind = KINDS.get(str(answer.get("kind")), CandidateError)
            raise kind(str(answer["error"]))
        return answer, values

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "it said nothing"

    def close(self) -> None:
        with contextlib.suppress(OSError):  # wakes whoever waits for an answer
            self._line.shutdown(socket.SHUT_RDWR)
        self._queue.shutdown(cancel_futures=True)
        self._line.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


def _environment() -> dict[str, str]:
    """Of a candidate's process: the judge's, and nothing is kept from run to run."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    fresh = {"PYTHONDONTWRITEBYTECODE": "1", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    return {**os.environ, "PYTHONPATH": path, **fresh}


class IsolatedHost(Closing):
    """`host.Host` over two processes. suite.name must be one that `get_suite` knows."""

    def __init__(
        self, suite: Suite, secret: Sequence[Path] = (), timeout_s: float = TIMEOUT_S
    ) -> None:
        """secret: folders that the candidate may not read, besides verify/ and references/."""
        hidden = [VERIFIER, REFERENCES, *secret]
        self._suite, self._secret, self._timeout_s = suite, hidden, timeout_s
        self._programs: list[tuple[Variant, str]] = []
        self._even = _Process(suite, hidden, timeout_s)
        self._odd = _Process(suite, hidden, timeout_s)

    def candidate(self, variant: Variant, draw_sites: Sequence[str]) -> "IsolatedCandidate":
        head = {"variant": dataclasses.asdict(variant), "sites": list(draw_sites)}
        names = self._suite.field_names | {f"draws.{site}" for site in draw_sites}
        return IsolatedCandidate(self._even, self._odd, head, names)

    def same_avals(self, variant: Variant) -> Row:
        head = {"do": "same_avals", "variant": dataclasses.asdict(variant)}
        return self._rows(head, [("L0", variant.name, "same_avals")])[0]

    def hazards(self, variant: Variant) -> list[Row]:
        head = {"do": "hazards", "variant": dataclasses.asdict(variant)}
        return self._rows(head, [("L0", variant.name, name) for name in CHECKS])

    def num_properties(self) -> int:
        return int(self._even.ask({"do": "num_properties"}).result()[0]["count"])

    def property(self, index: int, seed: int, examples: int) -> Row:
        head = {"do": "property", "index": index, "seed": seed, "examples": examples}
        return self._rows(head, [("L1", None, None)])[0]

    def conduct(self) -> Row:
        """L0 again: what the candidate's code did besides computing, in both; asked last."""
        names = [("L0", "", "conduct")]
        both = (self._even, self._odd)
        rows = [self._rows({"do": "conduct"}, names, process)[0] for process in both]
        told = [what for row in rows for what in row.what]
        told += [
            what for variant, program in self._programs for what in self._alone(variant, program)
        ]
        rows[0].what = list(dict.fromkeys(told))
        rows[0].mismatches = len(rows[0].what)
        return rows[0]

    def evidence(
        self, level: str, seed: int, progress: Progress, process: int
    ) -> dict[str, Any] | None:
        head = {"do": "evidence", "level": level, "seed": seed}
        asked = (self._even, self._odd)[process].ask(head, progress=progress)
        return asked.result()[0]["evidence"]

    def prove(
        self, numbers: Sequence[int], seed: int, bank: Path, progress: Progress, process: int
    ) -> dict[int, tuple[str, str]]:
        head = {"do": "prove", "numbers": list(numbers), "seed": seed, "bank": str(bank)}
        asked = (self._even, self._odd)[process].ask(head, progress=progress)
        told = asked.result()[0]["verdicts"]
        try:
            return {int(n): (str(status), str(reason)) for n, status, reason in told}
        except (TypeError, ValueError) as error:
            raise CandidateError("its process answers 'prove' with no verdicts") from error

    def policy(self, kind: str, seed: int) -> tuple[dict[str, Any], Fields]:
        answer, weights = self._even.ask({"do": "policy", "kind": kind, "seed": seed}).result()
        return answer["about"], weights

    def program(self, variant: Variant) -> str:
        """Raises CandidateError when the two processes do not lower the same program; `conduct`
        tells whether an interpreter that shows no sign of the verifier does."""
        head = {"do": "program", "variant": dataclasses.asdict(variant)}
        asked = [process.ask(head) for process in (self._even, self._odd)]
        first, second = (future.result()[0]["program"] for future in asked)
        if first != second:
            raise CandidateError("two processes that import it make two different programs of it")
        self._programs.append((variant, str(first)))
        return str(first)

    def _alone(self, variant: Variant, program: str) -> list[str]:
        """What is wrong with the candidate where it is not verified."""
        question = {
            "suite": self._suite.name,
            "package": self._suite.package,
            "variant": dataclasses.asdict(variant),
            "secret": [str(path) for path in self._secret],
        }
        try:
            done = subprocess.run(
                [sys.executable, "-c", PLAIN],
                env=_environment(),
                input=json.dumps(question),
                capture_output=True,
                text=True,
                timeout=self._timeout_s,
                check=True,
            )
            answer = json.loads(done.stdout)
            same = answer["program"] == program
        except subprocess.CalledProcessError as error:
            words = (error.stderr.strip().splitlines() or ["it said nothing"])[-1][:500]
            return [f"where it is not verified the environment fails: {words}"]
        except (subprocess.TimeoutExpired, ValueError, TypeError, KeyError) as error:
            return [f"where it is not verified the environment gives no answer: {error}"]
        return [] if same else ["where it is not verified the environment makes another program"]

    def _rows(
        self,
        head: Mapping[str, Any],
        names: Sequence[tuple[str, str | None, str | None]],
        process: _Process | None = None,
    ) -> list[Row]:
        """names: level, variant and policy of each row that has to come; None is any."""
        answer, _ = (process or self._even).ask(head).result()
        try:
            rows = [Row(**row) for row in answer["rows"]]
            if not all(_fits(row, name) for row, name in zip(rows, names, strict=True)):
                raise ValueError("these are no such rows")
        except (KeyError, TypeError, ValueError) as error:
            raise CandidateError(f"its process answers {head['do']!r} with no rows") from error
        return rows

    def close(self) -> None:
        self._even.close()
        self._odd.close()


def _fits(row: Row, name: tuple[str, str | None, str | None]) -> bool:
    """Whether a row is what was asked for, and its numbers are counts."""
    said = (row.level, row.variant, row.policy)
    named = all(isinstance(a, str) and b in (a, None) for a, b in zip(said, name, strict=True))
    counts = (row.count, row.mismatches, row.episodes)
    words = isinstance(row.what, list) and all(isinstance(word, str) for word in row.what)
    return (
        named
        and all(type(count) is int and count >= 0 for count in counts)
        and isinstance(row.seconds, float | int)
        and words
        and bool(row.mismatches) == bool(row.what)
    )


class IsolatedCandidate:
    """`candidate.Candidate` over two processes; states are numbers of what `odd` holds.

    names: the fields that every step is asked for.
    """

    def __init__(
        self, even: _Process, odd: _Process, about: Mapping[str, Any], names: set[str]
    ) -> None:
        self._even, self._odd, self._about, self._names = even, odd, about, names

    def start(self, draws: DrawLog) -> tuple[Any, Fields]:
        answer, shown = self._odd.ask(self._head("start"), _log(draws)).result()
        return answer.get("states"), shown

    def restored(self, fields: Mapping[str, np.ndarray]) -> tuple[Any, Fields]:
        answer, shown = self._odd.ask(self._head("restored"), _named("before", fields)).result()
        return answer.get("states"), shown

    def resynchronised(self, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]) -> Fields:
        arrays = {**_named("before", before), **_inputs(inputs)}
        shape = inputs["action"].shape[:2]
        asked = [
            process.ask(self._head("resynchronised"), {k: v[first::2] for k, v in arrays.items()})
            for first, process in ((0, self._even), (1, self._odd))
            if first < shape[0]
        ]
        parts = [
            self._checked(future.result()[1], (len(range(first, shape[0], 2)), shape[1]))
            for first, future in enumerate(asked)
        ]
        whole = {}
        for name, value in parts[0].items():
            whole[name] = np.empty((*shape, *value.shape[2:]), value.dtype)
            for first, part in enumerate(parts):
                if (part[name].shape[2:], part[name].dtype) != (value.shape[2:], value.dtype):
                    raise CandidateError(f"its two processes differ in the shape of {name}")
                whole[name][first::2] = part[name]
        return whole

    def free_running(
        self, states: Any, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]
    ) -> tuple[Any, Fields]:
        arrays = {**_named("before", before), **_inputs(inputs)}
        head = {**self._head("free_running"), "states": states}
        answer, values = self._odd.ask(head, arrays).result()
        return answer.get("states"), self._checked(values, inputs["action"].shape[:2])

    def _checked(self, values: Fields, shape: tuple[int, ...]) -> Fields:
        """Raises CandidateError unless every field is there, [T, B, ...]."""
        shapes = {value.shape[:2] for value in values.values()}
        if values.keys() != self._names or shapes != {shape}:
            raise CandidateError("its process does not answer with the fields that were asked for")
        return values

    def _head(self, do: str) -> dict[str, Any]:
        return {"do": do, **self._about}


def _named(part: str, arrays: Mapping[str, np.ndarray]) -> Fields:
    return {f"{part}/{name}": np.asarray(value) for name, value in arrays.items()}


def _log(draws: DrawLog) -> Fields:
    fields = {field.name: getattr(draws, field.name) for field in dataclasses.fields(draws)}
    return _named("draws", {name: value for name, value in fields.items() if value is not None})


def _inputs(inputs: Mapping[str, Any]) -> Fields:
    return {"inputs/action": inputs["action"], **_log(inputs["draws"])}


def sources(suite: Suite) -> dict[str, str]:
    """SHA-256 of the candidate's sources and of the verifier's: references, the contract of
    environments and the suite are part of it, the suites and references of others are not."""
    module = suite.name.partition(":")[0] if ":" in suite.name else "simlift.verify.suites"
    own = [Path(file)] if (file := getattr(sys.modules.get(module), "__file__", None)) else []
    theirs = sources_of(suite.package) if suite.program is None else [Path(suite.package)]
    return {
        "candidate": digest(theirs),
        "verifier": digest([*_judging(suite), *sorted(ENVS.glob("*.py")), *own], "*.py"),
    }


def _judging(suite: Suite) -> Iterator[Path]:
    """The files and folders of verify/ and references/ that have a say on this suite. What only one
    environment is judged by begins with its name."""
    upstreams = {path.parent.name for path in REFERENCES.glob("*/__init__.py")}
    others = tuple(upstreams - {suite.name}) if suite.name in upstreams else ()
    suites = VERIFIER / "suites"
    for path in sorted((*VERIFIER.iterdir(), *suites.iterdir(), *REFERENCES.iterdir())):
        written = path.suffix == ".py" or (path.is_dir() and path.name not in MADE)
        if written and path != suites and not path.name.startswith(others):
            yield path

"""A candidate in processes of its own, so that nothing it does can reach the judge or the answers.

No process is sent the answer to a question that it is still to be asked: the even steps of a
recording go to one process and the odd ones to another (the state after a step is where the next
one starts), and whole episodes are asked before the steps in between are shown. What comes back is
numbers (wire.py); the judge never loads the candidate.
"""

import dataclasses
import hashlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from ..references.core import DrawLog
from .candidate import Fields
from .evidence import Progress
from .host import CandidateError, Row
from .suite import Suite, Variant
from .wire import WireError, receive, send
from .worker import BLAMELESS, folder_of

TIMEOUT_S = 900  # of one answer; the first ones compile
KINDS: Mapping[str, type[Exception]] = {error.__name__: error for error in BLAMELESS}

VERIFIER = Path(__file__).parent
REFERENCES = VERIFIER.parent / "references"


def digest(folders: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of all Python sources in files or folders."""
    total = hashlib.sha256()
    for folder in folders:
        files = [folder] if folder.is_file() else sorted(folder.rglob("*.py"))
        for path in (path for path in files if "regressions" not in path.parts):
            name = path.name if path == folder else str(path.relative_to(folder))
            total.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


class _Process:
    """One worker, asked one question after the other."""

    def __init__(self, suite: Suite, secret: Sequence[Path], timeout_s: float) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout_s)
        self._line = ours
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        command = [
            *(sys.executable, "-m", "simlift.verify.worker"),
            *(str(theirs.fileno()), suite.name, suite.package, *map(str, secret)),
        ]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
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
        try:
            send(self._line, head, arrays)
            while True:
                answer, values = receive(self._line)
                if "progress" not in answer:
                    break
                if progress is not None:
                    what, done = answer["progress"]
                    progress(str(what)[:80], float(done))
        except WireError as error:
            raise CandidateError(f"its process failed ({error}): {self._last_words()}") from error
        if "error" in answer:
            raise KINDS.get(answer.get("kind", ""), CandidateError)(str(answer["error"]))
        return answer, values

    def _last_words(self) -> str:
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:500] if lines else "it said nothing"

    def close(self) -> None:
        self._queue.shutdown(cancel_futures=True)
        self._line.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()


class IsolatedHost:
    """`host.Host` over two processes. suite.name must be one that `get_suite` knows."""

    def __init__(
        self, suite: Suite, secret: Sequence[Path] = (), timeout_s: float = TIMEOUT_S
    ) -> None:
        """secret: folders that the candidate may not read, besides verify/ and references/."""
        hidden = [VERIFIER, REFERENCES, *secret]
        self._even = _Process(suite, hidden, timeout_s)
        self._odd = _Process(suite, hidden, timeout_s)

    def candidate(self, variant: Variant, draw_sites: Sequence[str]) -> "IsolatedCandidate":
        head = {"variant": dataclasses.asdict(variant), "sites": list(draw_sites)}
        return IsolatedCandidate(self._even, self._odd, head)

    def same_avals(self, variant: Variant) -> Row:
        return self._rows({"do": "same_avals", "variant": dataclasses.asdict(variant)})[0]

    def hazards(self, variant: Variant) -> list[Row]:
        return self._rows({"do": "hazards", "variant": dataclasses.asdict(variant)})

    def num_properties(self) -> int:
        return int(self._even.ask({"do": "num_properties"}).result()[0]["count"])

    def property(self, index: int, seed: int, examples: int) -> Row:
        head = {"do": "property", "index": index, "seed": seed, "examples": examples}
        return self._rows(head)[0]

    def conduct(self) -> Row:
        """L0 again: what the candidate's code did besides computing, in both; asked last."""
        rows = [self._rows({"do": "conduct"}, process)[0] for process in (self._even, self._odd)]
        rows[0].what = list(dict.fromkeys(rows[0].what + rows[1].what))
        rows[0].mismatches = len(rows[0].what)
        return rows[0]

    def evidence(
        self, level: str, seed: int, progress: Progress, process: int
    ) -> dict[str, Any] | None:
        head = {"do": "evidence", "level": level, "seed": seed}
        asked = (self._even, self._odd)[process].ask(head, progress=progress)
        return asked.result()[0]["evidence"]

    def policy(self, kind: str, seed: int) -> tuple[dict[str, Any], Fields]:
        answer, weights = self._even.ask({"do": "policy", "kind": kind, "seed": seed}).result()
        return answer["about"], weights

    def program(self, variant: Variant) -> str:
        """Raises CandidateError when the two processes do not lower the same program."""
        head = {"do": "program", "variant": dataclasses.asdict(variant)}
        asked = [process.ask(head) for process in (self._even, self._odd)]
        first, second = (future.result()[0]["program"] for future in asked)
        if first != second:
            raise CandidateError("two processes that import it make two different programs of it")
        return str(first)

    def _rows(self, head: Mapping[str, Any], process: _Process | None = None) -> list[Row]:
        answer, _ = (process or self._even).ask(head).result()
        try:
            return [Row(**row) for row in answer["rows"]]
        except (KeyError, TypeError) as error:
            raise CandidateError(f"its process answers {head['do']!r} with no rows") from error

    def close(self) -> None:
        self._even.close()
        self._odd.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class IsolatedCandidate:
    """`candidate.Candidate` over two processes; states are numbers of what `odd` holds."""

    def __init__(self, even: _Process, odd: _Process, about: Mapping[str, Any]) -> None:
        self._even, self._odd, self._about = even, odd, about

    def start(self, draws: DrawLog) -> tuple[Any, Fields]:
        answer, shown = self._odd.ask(self._head("start"), _log(draws)).result()
        return answer["states"], shown

    def restored(self, fields: Mapping[str, np.ndarray]) -> tuple[Any, Fields]:
        answer, shown = self._odd.ask(self._head("restored"), _named("before", fields)).result()
        return answer["states"], shown

    def resynchronised(self, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]) -> Fields:
        arrays = {**_named("before", before), **_inputs(inputs)}
        steps = len(inputs["action"])
        asked = [
            process.ask(self._head("resynchronised"), {k: v[first::2] for k, v in arrays.items()})
            for first, process in ((0, self._even), (1, self._odd))
            if first < steps
        ]
        parts = [future.result()[1] for future in asked]
        whole = {}
        for name, value in parts[0].items():
            whole[name] = np.empty((steps, *value.shape[1:]), value.dtype)
            for first, part in enumerate(parts):
                whole[name][first::2] = part[name]
        return whole

    def free_running(
        self, states: Any, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]
    ) -> tuple[Any, Fields]:
        arrays = {**_named("before", before), **_inputs(inputs)}
        head = {**self._head("free_running"), "states": states}
        answer, values = self._odd.ask(head, arrays).result()
        return answer["states"], values

    def _head(self, do: str) -> dict[str, Any]:
        return {"do": do, **self._about}


def _named(part: str, arrays: Mapping[str, np.ndarray]) -> Fields:
    return {f"{part}/{name}": np.asarray(value) for name, value in arrays.items()}


def _log(draws: DrawLog) -> Fields:
    return _named("draws", {"count": draws.count, "site": draws.site, "value": draws.value})


def _inputs(inputs: Mapping[str, Any]) -> Fields:
    return {"inputs/action": inputs["action"], **_log(inputs["draws"])}


def sources(suite: Suite) -> dict[str, str]:
    """SHA-256 of the candidate's sources and of the verifier's, the suite's included."""
    return {
        "candidate": digest([folder_of(suite.package)]),
        "verifier": digest([VERIFIER, REFERENCES]),
    }

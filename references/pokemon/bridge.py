"""One process of Node.js with a share of the battles, spoken to a JSON object a line."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..child import Child
from ..core import ReferenceUnavailable, TapeError
from ..process import ProcessFailed
from .install import HERE, PACKAGE, REMEDY, VERSION, installed, node_path

PROGRAM = "bridge.mjs"
TIMEOUT_S = 120.0  # thousands of battles in one process take seconds for a step


class Bridge:
    """A running bridge.mjs. Raises ReferenceUnavailable where it cannot be had, and ProcessFailed,
    in any call, when the process ends or falls silent; it is then closed. `start` comes first."""

    def __init__(self, format: str, num_battles: int, *, log: bool) -> None:
        command = [node_path(), str(HERE / PROGRAM), str(installed())]
        command += [format, str(num_battles), str(int(log))]
        self.hello: dict[str, Any] = {}
        self._format, self._last_id = format, 0
        try:
            self._child: Child | None = Child(command, None, None)
        except OSError as error:
            raise ReferenceUnavailable(
                f"{PACKAGE}: node cannot be started ({error.strerror}); {REMEDY}"
            ) from None
        self.send("hello")  # several start at the same time: `start` waits for the answer

    def start(self) -> None:
        """Wait until the process is ready. Raises ValueError for a format that it does not play."""
        self.hello = self.receive()
        if self.hello["version"] != VERSION:
            self.close()
            raise ReferenceUnavailable(
                f"{installed()} holds {PACKAGE} {self.hello['version']}, expected {VERSION}; "
                "delete it, and it is installed again"
            )
        if not self.hello["playable"]:
            self.close()
            raise ValueError(f"{self._format} is not a singles format of generation 1")

    def send(self, verb: str, **given: Any) -> None:
        if self._child is None:
            raise ProcessFailed(f"{PACKAGE}: is closed; make a new one")
        self._last_id += 1
        request = {"id": self._last_id, "verb": verb, **given}
        line = json.dumps(request, separators=(",", ":"), allow_nan=False) + "\n"
        try:
            self._child.write(line.encode(), TIMEOUT_S)
        except (EOFError, TimeoutError) as error:
            raise self._failed(error) from None

    def receive(self) -> dict[str, Any]:
        """The answer to the last request. Raises TapeError where a forced draw did not fit."""
        if self._child is None:
            raise ProcessFailed(f"{PACKAGE}: is closed; make a new one")
        try:
            answer: dict[str, Any] = json.loads(self._child.readline(TIMEOUT_S))
        except (EOFError, TimeoutError) as error:
            raise self._failed(error) from None
        if (refusal := answer.get("error")) is not None:
            raise TapeError(f"{PACKAGE}: site {refusal['site']!r}: {refusal['message']}")
        return answer

    def call(self, verb: str, **given: Any) -> dict[str, Any]:
        self.send(verb, **given)
        return self.receive()

    def close(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _failed(self, error: Exception) -> ProcessFailed:
        """End the process, which is in no known state any more, and say so."""
        assert self._child is not None
        silent = isinstance(error, TimeoutError)
        what = f"gave no answer within {TIMEOUT_S:g} s" if silent else self._child.ending()
        words = self._child.last_words()
        self.close()
        return ProcessFailed(f"{PACKAGE}: the process {what}; its stderr: {words}")


def decode(text: str, dtype: str) -> np.ndarray:
    """An array that travelled as base64, read-only."""
    return np.frombuffer(base64.b64decode(text), np.dtype(dtype).newbyteorder("<"))


def encode(array: np.ndarray) -> str:
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return base64.b64encode(little.tobytes()).decode()


Fields = Mapping[str, tuple[np.dtype, tuple[int, ...], slice]]
"""Of each field its dtype, its shape and where it stands among the integers of a battle."""


def fields_of(hello: Mapping[str, Any]) -> Fields:
    fields, start = {}, 0
    for name, dtype, shape in hello["fields"]:
        end = start + int(np.prod(shape))
        fields[name] = (np.dtype(dtype), tuple(shape), slice(start, end))
        start = end
    return fields


def unpack(fields: Fields, values: np.ndarray) -> dict[str, np.ndarray]:
    """Fields of these battles, [B, ...]; values: int32 [B, W]. A value that does not fit its dtype
    is a bug, and raises ValueError."""
    snapshot = {}
    for name, (dtype, shape, where) in fields.items():
        raw = values[:, where].reshape(len(values), *shape)
        if dtype == np.uint32:
            snapshot[name] = raw.view(np.uint32).copy()
            continue
        snapshot[name] = raw.astype(dtype)
        if (snapshot[name] != raw).any():
            raise ValueError(f"{PACKAGE}: {name} does not fit {dtype}")
    return snapshot


def pack(fields: Fields, snapshot: Mapping[str, np.ndarray]) -> np.ndarray:
    """The inverse of `unpack`. Raises ValueError unless names, dtypes and shapes are exactly
    these."""
    if wrong := fields.keys() ^ snapshot.keys():
        raise ValueError(f"{PACKAGE}: missing or unknown snapshot fields {sorted(wrong)}")
    batch = len(next(iter(snapshot.values())))
    columns = []
    for name, (dtype, shape, _) in fields.items():
        array = np.asarray(snapshot[name])
        if array.dtype != dtype or array.shape != (batch, *shape):
            raise ValueError(
                f"{PACKAGE}: snapshot field {name} is {array.dtype}{list(array.shape)}, expected "
                f"{dtype}{[batch, *shape]}"
            )
        raw = array.view(np.int32) if dtype == np.uint32 else array.astype(np.int32)
        columns.append(raw.reshape(batch, -1))
    return np.concatenate(columns, axis=1)

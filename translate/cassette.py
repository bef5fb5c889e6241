"""Calls to a model on tape, one JSON object a line: a run can be repeated for nothing."""

import dataclasses
import json
import threading
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Call:
    """One call as it happened. No header is kept, and so no key.

    at: UTC, ISO 8601; seconds: how long it took; request: what was forwarded; status: None where no
    answer came; body: the answer as text; whole: whether the answer came to its end; usage: tokens
    by kind, None where the answer did not tell them; dollars: what was charged.
    """

    at: str
    seconds: float
    api: str
    path: str
    request: dict[str, Any]
    status: int | None
    content_type: str
    body: str
    whole: bool
    usage: dict[str, int] | None
    dollars: float


FIELDS = {field.name for field in dataclasses.fields(Call)}


class Cassette:
    """Appends calls to a file, for any number of threads. secret: is blacked out in it."""

    def __init__(self, path: Path, secret: str) -> None:
        self._path, self._secret = path, secret
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)

    def append(self, call: Call) -> None:
        """Raises OSError where it cannot be written."""
        line = json.dumps(dataclasses.asdict(call), separators=(",", ":"))
        if self._secret:
            line = line.replace(self._secret, "[key]")
        with self._lock, self._path.open("ab") as file:
            file.write(line.encode() + b"\n")


def read(path: Path) -> list[Call]:
    """All calls of a cassette; a last line that was torn by a kill is left out.

    Raises OSError where it cannot be read and ValueError, with its line, where it is no cassette.
    """
    *lines, _torn = path.read_bytes().split(b"\n")
    calls = []
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or entry.keys() != FIELDS:
            raise ValueError(f"{path}:{number}: is not a call that the metering proxy recorded")
        calls.append(Call(**entry))
    return calls


class Player:
    """Answers requests from a cassette, each recorded call once."""

    def __init__(self, calls: list[Call]) -> None:
        self._left = list(calls)
        self._lock = threading.Lock()

    def answer(self, path: str, request: dict[str, Any]) -> Call | None:
        """The first unused call with this very request, else the first to this path, else None.

        Agents put dates and folders into their prompts: a request is rarely the same to the letter.
        """
        with self._lock:
            candidates = [call for call in self._left if call.path == path and call.status]
            if not candidates:
                return None
            same = (call for call in candidates if call.request == request)
            call = next(same, candidates[0])
            self._left = [one for one in self._left if one is not call]
            return call

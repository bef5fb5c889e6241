"""What happened in a run, one JSON object a line, and what therefore comes next.

A line is written whole, flushed to the disk, and never changed. A run that is killed at any byte
leaves at most one torn last line, which the next opening drops: whoever wrote it was never told
that it was kept.

The work of a run is a sequence of items, such as "plan" or "translate_module:ball". The events of
an attempt at one of them are, in order:

    attempt_started   item, attempt, inputs     a coder may be at work
    attempt_frozen    item, attempt, tree       what it left is fixed, and is to be judged
    attempt_judged    item, attempt, verdict    "pass", or what the judge said instead

    items_opened      items                     they are done anew, whatever became of them

`next_step` reads off them where a run goes on. Other kinds of events tell more and decide nothing.
"""

import dataclasses
import datetime
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from ..references.core import Closing

STARTED, FROZEN, JUDGED = "attempt_started", "attempt_frozen", "attempt_judged"
OPENED = "items_opened"
PASS = "pass"
_NEEDED = {
    STARTED: ("item", "attempt", "inputs"),
    FROZEN: ("item", "attempt", "tree"),
    JUDGED: ("item", "attempt", "verdict"),
    OPENED: ("items",),
}


class JournalLocked(RuntimeError):
    """Another process writes this journal; the message says what to do."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Event:
    """One line. number: 0, 1, 2, ...; time: UTC, ISO 8601."""

    number: int
    time: str
    kind: str
    data: Mapping[str, Any]


class Journal(Closing):
    """The one writer of a journal; `events` is all that was ever acknowledged."""

    def __init__(self, path: Path) -> None:
        """Open `path`, folders and file included, and drop a torn last line.

        Raises JournalLocked while another Journal has it open, ValueError where it is damaged in
        any other way, and OSError where it cannot be opened.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            self._lock()
            content = path.read_bytes()
            self._size = content.rfind(b"\n") + 1
            self._events = list(parse(content[: self._size], path))
            os.ftruncate(self._file, self._size)
            _sync_folder(path.parent)
        except BaseException:
            os.close(self._file)
            raise
        self._closed = False

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalLocked(
                f"{self.path} is being written by another run; wait for it or end it first"
            ) from None

    @property
    def events(self) -> Sequence[Event]:
        """All events so far, oldest first."""
        return tuple(self._events)

    def append(self, kind: str, **data: Any) -> Event:
        """Write one event. When this returns, the event survives a kill and a power cut.

        Raises ValueError for data that JSON has no words for or an event of an attempt that lacks
        one of its parts, and OSError where it cannot be written; the journal is then as before.
        """
        if self._closed:
            raise ValueError(f"{self.path} is closed; open a new Journal")
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        fields = {"number": len(self._events), "time": now, "kind": kind, "data": data}
        try:
            line = json.dumps(fields, allow_nan=False, separators=(",", ":")) + "\n"
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path}: event {kind!r} cannot be written: {error}") from None
        event = _event(json.loads(line), len(self._events))  # as it will be read: tuples are lists
        self._write(line.encode())
        self._events.append(event)
        return event

    def _write(self, line: bytes) -> None:
        try:
            written = 0
            while written < len(line):
                written += os.write(self._file, line[written:])
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise OSError(
                error.errno,
                f"{self.path} cannot be written ({error.strerror}); free some space, then resume",
            ) from error
        self._size += len(line)

    def close(self) -> None:
        """Let another writer in. Calling it twice is harmless."""
        if not self._closed:
            self._closed = True
            os.close(self._file)  # gives the lock back


def read(path: Path) -> Sequence[Event]:
    """The events of a journal, also while it is being written. Raises as `Journal` does."""
    content = path.read_bytes()
    return tuple(parse(content[: content.rfind(b"\n") + 1], path))


def parse(content: bytes, path: Path) -> Iterator[Event]:
    """The events in whole lines. Raises ValueError that names the line which is not one."""
    for number, line in enumerate(content.splitlines()):
        try:
            yield _event(json.loads(line), number)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}, line {number + 1} is damaged ({error}); restore the file from a copy, or "
                "cut it off before that line to go on from there"
            ) from None


def _event(fields: Any, number: int) -> Event:
    event = Event(**{field.name: fields[field.name] for field in dataclasses.fields(Event)})
    if event.number != number:
        raise ValueError(f"event {event.number} stands in place {number}")
    if missing := [name for name in _NEEDED.get(event.kind, ()) if name not in event.data]:
        raise ValueError(f"{event.kind} lacks {', '.join(missing)}")
    return event


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """What a run does next.

    do: "start" a new attempt, "go_on" with one whose coder was interrupted, or "judge" what is
    frozen, the tree; attempt: 1, 2, ...
    """

    do: Literal["start", "go_on", "judge"]
    item: str
    attempt: int
    tree: str = ""


def next_step(events: Iterable[Event], work: Mapping[str, str]) -> Step | None:
    """The next step, or None when all is done.

    work: item -> hash of its inputs, in the order in which the items are done. An item is done when
    an attempt with these very inputs passed since it was last opened, so that changed inputs open
    it again; attempts are numbered through.
    """
    last: dict[str, Event] = {}
    inputs: dict[str, str] = {}
    opened: set[str] = set()
    for event in events:
        if event.kind == OPENED:
            opened.update(event.data["items"])
        elif event.kind in _NEEDED:
            last[event.data["item"]] = event
            opened.discard(event.data["item"])
        if event.kind == STARTED:
            inputs[event.data["item"]] = event.data["inputs"]
    for item, wanted in work.items():
        if item not in last:
            return Step(do="start", item=item, attempt=1)
        event, attempt = last[item], last[item].data["attempt"]
        if item in opened:
            return Step(do="start", item=item, attempt=attempt + 1)
        if event.kind == JUDGED:
            if event.data["verdict"] == PASS and inputs[item] == wanted:
                continue
            return Step(do="start", item=item, attempt=attempt + 1)
        if inputs[item] != wanted:  # what was begun answers a question that is not asked any more
            return Step(do="start", item=item, attempt=attempt + 1)
        if event.kind == FROZEN:
            return Step(do="judge", item=item, attempt=attempt, tree=event.data["tree"])
        return Step(do="go_on", item=item, attempt=attempt)
    return None

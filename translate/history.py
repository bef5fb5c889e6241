"""A run as it can be told: its attempts in order, what each cost, and where the run stands.

It is read out of a run's folder, also while the run goes on, or out of a recording.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from . import journal
from .commits import RunBranch
from .journal import FROZEN, JUDGED, OPENED, PASS, STARTED, Event
from .phases import work
from .plan import Plan
from .project import Project

JOURNAL, GIT, JUDGED_COPY, PATCHES = "journal.jsonl", "git", "judged", "patches"
PLAN = Path("notes", "plan.json")
ENDED, RUN_STARTED, RUN_STOPPED, RUN_FINISHED = (
    "agent_ended",
    "run_started",
    "run_stopped",
    "run_finished",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt:
    """One attempt, as far as it has come.

    place: 1, 2, ... among all attempts of the run; number: 1, 2, ... among those at its item;
    ended, words: how the coder's work ended, and what it said then; verdict: "" as long as there is
    none; base, tree: what the coder began from, and what it left; seconds: of coder and judge.
    """

    place: int
    item: str
    number: int
    started: str
    tactic: str = ""
    agent: str = ""
    model: str = ""
    folder: str = ""
    base: str = ""
    tree: str = ""
    ended: str = ""
    words: str = ""
    verdict: str = ""
    score: float = 0.0
    seconds: float = 0.0
    cost_usd: float = 0.0
    tokens: int = 0

    @property
    def passed(self) -> bool:
        """Whether the judge let it pass."""
        return self.verdict == PASS


@dataclasses.dataclass(frozen=True, kw_only=True)
class History:
    """A run, or a recording of one. about: what `run_started` said; end: the event that ended it,
    None while there is work left and nobody gave it up; opened: items that are to be done anew."""

    folder: Path
    about: Mapping[str, Any]
    attempts: Sequence[Attempt]
    end: Event | None
    opened: frozenset[str] = frozenset()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The run in that folder. Raises ValueError where it is damaged, and FileNotFoundError."""
        path = folder / JOURNAL
        try:
            events = journal.read(path)
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{path} is not there; give the folder of a run (runs/translate/...) or of a "
                "recording"
            ) from None
        about: Mapping[str, Any] = {}
        end = None
        opened: set[str] = set()
        for event in events:
            if event.kind == RUN_STARTED:
                about = event.data
            if event.kind in (RUN_STOPPED, RUN_FINISHED):
                end = event
            elif event.kind in (STARTED, FROZEN, JUDGED, OPENED):
                end = None  # it was resumed
            if event.kind == OPENED:
                opened.update(event.data["items"])
            elif event.kind == STARTED:
                opened.discard(event.data["item"])
        return cls(
            folder=folder,
            about=about,
            attempts=tuple(_attempts(events)),
            end=end,
            opened=frozenset(opened),
        )

    # -- sums

    @property
    def finished(self) -> bool:
        """Whether all of it passed."""
        return self.end is not None and self.end.kind == RUN_FINISHED

    @property
    def cost_usd(self) -> float:
        """Dollars, of all attempts."""
        return sum(attempt.cost_usd for attempt in self.attempts)

    @property
    def tokens(self) -> int:
        """In and out, of all attempts."""
        return sum(attempt.tokens for attempt in self.attempts)

    @property
    def seconds(self) -> float:
        """Of coders and judges, not of pauses."""
        return sum(attempt.seconds for attempt in self.attempts)

    @property
    def cap_usd(self) -> float | None:
        """Dollars that the run may cost; None where it was not said."""
        return self.about.get("budget", {}).get("usd")

    @property
    def done(self) -> Sequence[str]:
        """Items whose last attempt passed, in the order of their first attempts."""
        last = {attempt.item: attempt.passed for attempt in self.attempts}
        return [item for item, passed in last.items() if passed and item not in self.opened]

    @functools.cached_property
    def items(self) -> Sequence[str]:
        """All items known: those of the plan where there is one already, in order."""
        begun = dict.fromkeys(attempt.item for attempt in self.attempts)
        copy = self.folder / JUDGED_COPY
        try:
            project = Project.read(copy)
            plan = Plan.read(copy / PLAN) if "plan" in self.done else None
        except (OSError, ValueError):  # a recording has none, and a judge may just be writing it
            return list(begun)
        return list(dict.fromkeys([*(item.name for item in work(project, plan)), *begun]))

    @property
    def projected_usd(self) -> float | None:
        """Dollars for all items at this pace; None before the plan, which says how many."""
        if self.finished:
            return self.cost_usd
        if "plan" not in self.done or set(self.items) == set(self.done):
            return None
        return self.cost_usd * len(self.items) / len(self.done)

    @property
    def standing(self) -> str:
        """Where the run stands and what comes next, in a line."""
        if self.end is not None and self.end.kind == RUN_FINISHED:
            certificate = self.end.data.get("certificate")
            return "finished" + (f"; the certificate is {certificate}" if certificate else "")
        if self.end is not None:
            return f"stopped: {self.end.data.get('reason', '')}"
        how = "`simlift translate --resume` goes on if nothing runs any more"
        if not self.attempts:
            return f"nothing was tried yet; {how}"
        last = self.attempts[-1]
        if last.verdict or last.item in self.opened:
            open_items = [item for item in self.items if item not in self.done]
            coming = f"{open_items[0]} comes next" if open_items else "all known items are done"
            return f"{coming}; {how}"
        doing = "left its work, which is to be judged" if last.tree else "is at work"
        return f"the coder of {last.item} {doing}; {how}"

    # -- what belongs to one attempt

    def attempt(self, place: int) -> Attempt:
        """The attempt at that place. Raises ValueError where there is none."""
        if not 1 <= place <= len(self.attempts):
            raise ValueError(f"there is no attempt {place}; there are 1 to {len(self.attempts)}")
        return self.attempts[place - 1]

    def text(self, attempt: Attempt, name: str) -> str | None:
        """A file of the attempt's folder, such as prompt.md; None where it was not kept.

        Raises ValueError for a folder that lies elsewhere, which a journal of a stranger may name.
        """
        path = self.folder / attempt.folder / name
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise ValueError(f"{self.folder / JOURNAL} names {attempt.folder}, outside of the run")
        if not attempt.folder or not path.is_file():
            return None
        return path.read_text(encoding="utf-8", errors="backslashreplace")

    def patch(self, attempt: Attempt) -> str | None:
        """What the coder changed; None before it is frozen, and where that was not kept."""
        kept = self.folder / PATCHES / f"{Path(attempt.folder).name}.patch"
        if kept.is_file():
            return kept.read_bytes().decode(errors="surrogateescape")
        if not (attempt.base and attempt.tree and (self.folder / GIT / "HEAD").is_file()):
            return None
        return self._branch.changes(attempt.base, attempt.tree).decode(errors="surrogateescape")

    @functools.cached_property
    def _branch(self) -> RunBranch:
        return RunBranch(self.folder / GIT, self.folder / JUDGED_COPY, self.about.get("run", "run"))


def _attempts(events: Iterable[Event]) -> list[Attempt]:
    """The attempts in the order in which they were begun."""
    known: dict[tuple[str, int], Attempt] = {}
    for event in events:
        data = event.data
        if event.kind not in (STARTED, ENDED, FROZEN, JUDGED):
            continue
        key = data["item"], data["attempt"]
        if key not in known:
            known[key] = Attempt(
                place=len(known) + 1, item=key[0], number=key[1], started=event.time
            )
        attempt = known[key]
        told = {
            name: data[name]
            for name in ("tactic", "agent", "model", "folder", "base", "tree", "ended",
                         "words", "verdict", "score", "cost_usd", "tokens")
            if data.get(name) is not None
        }  # fmt: skip
        seconds = attempt.seconds + (data.get("seconds") or 0.0)
        known[key] = dataclasses.replace(attempt, **told, seconds=seconds)
    return list(known.values())

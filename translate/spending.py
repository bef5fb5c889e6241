"""What a run has spent, and how far it has come: read off its journal and its cassettes, so that a
run that is killed and resumed keeps its caps."""

import dataclasses
import datetime
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from . import cassette
from .budget import Caps, Spent
from .journal import Event

CASSETTE = "cassette.jsonl"
TOLD = "told.json"
RESUMED = "run_resumed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Standing:
    """Where a run stands. seconds: that it has worked, of `limit`; progress: the share of its items
    that is done, None as long as nobody knows how many there are."""

    spent: Spent
    caps: Caps
    seconds: float
    limit: float
    progress: float | None

    @property
    def projected(self) -> float | None:
        """Dollars for the whole at this pace, None where that cannot be said yet."""
        return self.spent.projected(self.progress) if self.progress else None

    @property
    def met(self) -> str:
        """The limit of the run that is met, with the remedy; "" where none is."""
        spent, caps = self.spent, self.caps
        for name, value, cap, key in (
            ("dollars", spent.dollars, caps.dollars, "usd"),
            ("tokens", spent.tokens, caps.tokens, "tokens"),
            ("calls", spent.calls, caps.calls, "calls"),
            ("hours", self.seconds / 3600, self.limit / 3600, "wall_hours"),
        ):
            if cap is not None and value >= cap:
                return (
                    f"{value:g} {name} of {cap:g} are spent; raise budget.{key} in simlift.toml, "
                    "then resume"
                )
        return ""


def metered(logs: Path) -> Spent:
    """What the proxy counted in an attempt. Tokens of calls that were never answered are not known
    any more; their dollars were charged at their worst."""
    tape = logs / CASSETTE
    calls = cassette.read(tape) if tape.is_file() else []
    return Spent(
        dollars=sum(call.dollars for call in calls),
        tokens=sum(sum(call.usage.values()) for call in calls if call.usage),
        calls=len(calls),
        unknown=sum(call.dollars for call in calls if call.usage is None),
    )


def told(logs: Path) -> Spent:
    """What a coder that is not metered said that an attempt has cost."""
    path = logs / TOLD
    if not path.is_file():
        return Spent()
    said = json.loads(path.read_bytes())
    return Spent(dollars=said["cost_usd"], tokens=said["tokens"])


def total(spent: Iterable[Spent]) -> Spent:
    """All of them together."""
    parts = list(spent)
    return Spent(
        dollars=sum(part.dollars for part in parts),
        tokens=sum(part.tokens for part in parts),
        calls=sum(part.calls for part in parts),
        unknown=sum(part.unknown for part in parts),
    )


def worked(events: Sequence[Event]) -> float:
    """Seconds for which a run has been at work, pauses between its parts left out."""
    times = [datetime.datetime.fromisoformat(event.time) for event in events]
    return sum(
        (after - before).total_seconds()
        for before, after, event in zip(times, times[1:], events[1:], strict=False)
        if event.kind != RESUMED
    )

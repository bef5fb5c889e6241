"""What is tried next at an item: go on, begin anew, ask another model, take smaller steps, give up.

A tactic is kept as long as it brings something: an attempt that scores better than all before it
since the tactic was chosen. All of it is read off the journal.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Literal

from .journal import JUDGED, OPENED, STARTED, Event

Tactic = Literal["first", "repair", "start_over", "next_model", "smaller_steps"]

NOISE = 0.01  # by which scores of the same work differ, as the judge's seeds do
SMALLER_STEPS = """\
Several attempts as a whole brought nothing, so take smaller steps this time: split the work into
functions of a few lines each, in the order of the sources; write one, test it by itself with values
worked out by hand, and go on to the next only when that test passes. Put them together last."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Round:
    """One judged attempt. base, tree: what the coder began from, and what it left."""

    attempt: int
    tactic: Tactic
    model: str
    base: str
    tree: str
    verdict: str
    score: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Move:
    """The next attempt. tree: what it goes on from; "" for what the item begins from."""

    tactic: Tactic
    model: str
    tree: str = ""


def rounds(events: Iterable[Event], item: str, inputs: str) -> list[Round]:
    """The attempts at an item since its inputs are these and it was last opened, oldest first."""
    found: list[Round] = []
    begun: Event | None = None
    for event in events:
        if event.kind == OPENED and item in event.data["items"]:
            found, begun = [], None
        if event.data.get("item") != item:
            continue
        if event.kind == STARTED:
            begun = event
            if event.data["inputs"] != inputs:
                found = []
        elif event.kind == "attempt_frozen":
            tree = event.data["tree"]
        elif event.kind == JUDGED and begun is not None and begun.data["inputs"] == inputs:
            found.append(
                Round(
                    attempt=event.data["attempt"],
                    tactic=begun.data["tactic"],
                    model=begun.data["model"],
                    base=begun.data["base"],
                    tree=tree,
                    verdict=event.data["verdict"],
                    score=event.data["score"],
                )
            )
    return found


def next_move(
    item: str, done: Sequence[Round], *, models: Sequence[str], flat_rounds: int
) -> Move | None:
    """What is tried at an item after these rounds, none of which passed; None: nothing is left.

    models: of the project, the first one first.
    """
    if not done:
        return Move(tactic="first", model=models[0])
    last = done[-1]
    if _flat(done) < flat_rounds:
        return Move(tactic="repair", model=last.model, tree=last.tree)
    used = {one.tactic for one in done}
    if "start_over" not in used:
        return Move(tactic="start_over", model=last.model)
    asked = {one.model for one in done}
    for model in models:
        if model not in asked:
            return Move(tactic="next_model", model=model)
    if "smaller_steps" not in used:
        return Move(tactic="smaller_steps", model=last.model)
    return None


def _flat(done: Sequence[Round]) -> int:
    """How many of the last rounds brought nothing, since the tactic was chosen."""
    best, flat = 0.0, 0
    for one in done:
        if one.tactic != "repair":
            best, flat = 0.0, 0
        if one.score > best + NOISE:
            best, flat = one.score, 0
        else:
            flat += 1
    return flat

"""Errors of single steps: both sides from the same inputs, rounded to our precision."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..references.core import Snapshot, VectorReference
from .budgets import QUANTILES, Budget, Setting, largest, rounded, share_at_most, short
from .candidate import Fields
from .compare import LAST_SEEN, Trace, inputs_of
from .record import Recording, record
from .suite import ordered_bits

MAX_EXAMINED = 64  # ties of one policy; more of them are no ties
NUM_NEAR = 32  # states near a tie that the reference is asked about


class OneStep:
    """Single steps of recordings, told as numbers.

    reference: as many instances as the recordings have; near: NUM_NEAR of them.
    """

    def __init__(
        self, setting: Setting, reference: VectorReference, near: Callable[[], VectorReference]
    ) -> None:
        self.setting, self.reference, self._near = setting, reference, near
        self.transitions = 0
        self.tallies = dict.fromkeys(setting.comparison.suite.tallies, 0)
        self.ties = {"differ": 0, "explained": 0, "unexplained": 0}
        self._errors: dict[str, list[tuple[np.ndarray, ...]]] = {
            name: [] for name in setting.plan.budgets
        }

    def add(self, recording: Recording) -> None:
        self.transitions += recording.num_transitions
        before = {
            name: rounded(v[:-1], self.setting.dtype) for name, v in recording.snapshots.items()
        }
        stepped = step_from(
            self.reference, recording.action, lambda t: {name: v[t] for name, v in before.items()}
        )
        comparison = self.setting.comparison
        ours = comparison.candidate.resynchronised(before, inputs_of(stepped))
        for name, count in comparison.tallies(ours).items():
            self.tallies[name] += count
        sides = comparison.side_by_side(stepped, ours)
        differs = self._others_differ(sides)
        for t, b in np.argwhere(differs):
            self._examine(int(t), int(b), before, stepped, ours)
        for name, budget in self.setting.plan.budgets.items():
            # Where the two sides part, their floats are those of different episodes.
            theirs = sides.reference[name][~differs].astype(np.float64)
            self._errors[name].append(_errors(ours[name][~differs], theirs, budget))

    def fields(self) -> dict[str, dict[str, Any]]:
        """By field, of the worst entry of each transition: `ulp`, a histogram of the distance in
        representable numbers; `scaled`, the error over max(|reference|, scale); `worst` error in
        the budget's units, and the `budget` in words; how many transitions are `over` it, and,
        where some may be, the `share` that may and `at_most`, what the number of them shows;
        `holds`. None where a number is not finite."""
        result = {}
        for name, rows in self._errors.items():
            budget = self.setting.plan.budgets[name]
            if not rows:
                continue
            distance, scaled, off = (np.concatenate(c) for c in zip(*rows, strict=True))
            over = int((~(off <= budget.number)).sum())  # also what is not a number
            told: dict[str, Any] = {
                "ulp": _histogram(distance),
                "scaled": {
                    **{label: short(np.quantile(scaled, q)) for label, q in QUANTILES.items()},
                    "max": short(scaled.max()),
                },
                "worst": short(off.max()),
                "budget": budget.words,
                "over": over,
                "holds": over == 0,
            }
            if budget.share:
                bound = share_at_most(over, len(off))
                told |= {"share": budget.share, "at_most": short(bound)}
                told["holds"] = bound <= budget.share
            result[name] = told
        return result

    def _others_differ(self, sides: Trace) -> np.ndarray:
        """bool [T, B]: whether a field without a budget differs. The observation before a reset is
        one more of those after, whose budget shows the same rounding."""
        plan = self.setting.plan
        judged = {*plan.budgets, *plan.unjudged, *LAST_SEEN}
        rest = [differs for name, differs in sides.differs.items() if name not in judged]
        return np.any(rest, axis=0)

    def _examine(self, t: int, b: int, before: Fields, stepped: Recording, ours: Fields) -> None:
        """Whether the reference says the same as we do once its inputs move within the budgets."""
        self.ties["differ"] += 1
        explained = False
        if self.ties["differ"] <= MAX_EXAMINED:
            row = {
                name: np.repeat(value[t, b : b + 1], NUM_NEAR, 0) for name, value in before.items()
            }
            moved = self.setting.moved(row)
            actions = np.repeat(stepped.action[t : t + 1, b : b + 1], NUM_NEAR, 1)
            near = step_from(self._near(), actions, lambda t: moved)
            said = {k: np.repeat(v[t : t + 1, b : b + 1], NUM_NEAR, 1) for k, v in ours.items()}
            differs = self._others_differ(self.setting.comparison.side_by_side(near, said))
            explained = not differs.all()
        self.ties["explained" if explained else "unexplained"] += 1


def step_from(
    reference: VectorReference,
    actions: np.ndarray,
    before: Callable[[int], Snapshot],
) -> Recording:
    """Steps of the reference, the t-th from `before(t)`."""
    tape = iter(enumerate(actions))

    def act() -> np.ndarray:
        t, action = next(tape)
        reference.restore(before(t))
        return action

    return record(reference, len(actions), act)


def _errors(mine: np.ndarray, theirs: np.ndarray, budget: Budget) -> tuple[np.ndarray, ...]:
    """(distance in representable numbers, scaled error, error in the budget's units) [n], of the
    worst entry of each."""
    error, size = abs(mine - theirs), abs(theirs)
    columns = (
        _distance(mine, theirs.astype(mine.dtype)),
        error / np.maximum(size, budget.scale),
        error / budget.unit(size, mine.dtype),
    )
    return tuple(largest(column, 1) for column in columns)


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many representable numbers lie between two floats of one type, float64."""
    a, b = (ordered_bits(x).astype(np.longdouble) for x in (a, b))
    return abs(a - b).astype(np.float64)


def _histogram(distance: np.ndarray) -> dict[str, int]:
    """Counts of 0, 1, 2, 3-4, 5-8, ..."""
    buckets = np.where(distance < 1, 0, np.ceil(np.log2(np.maximum(distance, 1))) + 1).astype(int)
    counts = np.bincount(buckets)
    return {_bucket(i): int(n) for i, n in enumerate(counts)}


def _bucket(i: int) -> str:
    high = 2 ** (i - 1) if i else 0
    low = high // 2 + 1 if i > 1 else high
    return str(high) if low == high else f"{low}-{high}"

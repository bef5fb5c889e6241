"""How fast two sides part that are given the same draws and actions: ours, held against the
reference's own under a perturbation that rounding could be."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..references.core import DrawLog, VectorReference
from .budgets import QUANTILES, Setting, largest, short
from .candidate import Fields
from .compare import inputs_of
from .record import Recording, record_tape

MIN_ALIVE = 16  # instances that a quantile of a curve is taken over
CURVE_POINTS = 64  # of the curves that are kept; every step is judged
ENDS = ("outcome.terminated", "outcome.truncated")
OURS, THEIRS, ONCE, ALWAYS = "ours", "theirs", "once", "always"
WINDOW = 10
"""Steps over which a chaotic system's errors are averaged, and episodes with them, before they are
compared: the logarithms of the ratio of ours to the other's in the same episode. How fast errors
grow is a matter of the episode, the same for both; in quantiles over episodes it would drown what
is asked. An impact, in which errors leap, falls into one step here and into the next one there."""


class FreeRun:
    """Divergence from the reference since a reset: ours, and that of the reference perturbed.

    once, always: the reference, or the plan's twin, each with as many instances as the recordings.
    Of the one the first state is nudged, of the other every state, see `Setting.nudged`.
    """

    def __init__(self, setting: Setting, once: VectorReference, always: VectorReference) -> None:
        self.setting, self.once, self.always = setting, once, always
        self._states: Any = None
        self._steps = 0
        self._running: Any = True
        self.transitions = 0
        self._sides: dict[str, list[Fields]] = {side: [] for side in (OURS, THEIRS, ONCE, ALWAYS)}

    def add(self, recording: Recording, first_draws: DrawLog) -> None:
        first = recording.at(0)
        if self._states is None:
            self._states = self.setting.comparison.start(first_draws)[0]
            start = self.setting.nudged(first)
            self.once.restore(start)
            # A twin's fields need not all be moved by themselves, so it is from the start.
            self.always.restore(first if self.setting.plan.twin is None else start)
        twin = self.setting.plan.twin
        if twin is not None:
            recording = recording.until(twin.steps - self._steps)
        if recording.num_steps == 0 or (self._steps and self._running.sum() < MIN_ALIVE):
            return
        self._steps += recording.num_steps
        self.transitions += recording.num_transitions
        self._states, ours = self.setting.comparison.candidate.free_running(
            self._states, first, inputs_of(recording)
        )
        sides = {
            OURS: ours,
            THEIRS: said(recording),
            ONCE: said(record_tape(self.once, recording.action)),
            ALWAYS: self._nudged_always(recording.action),
        }
        for side, fields in sides.items():
            self._sides[side].append(fields)
            self._running = self._running & ~(fields[ENDS[0]] | fields[ENDS[1]]).any(0)

    def _nudged_always(self, actions: np.ndarray) -> Fields:
        """Each state, once computed, is nudged: what rounding does to a state that is stored."""
        rows = []
        for action in actions:
            outcome = self.always.step(action)
            nudged = self.setting.nudged(self.always.snapshot())
            self.always.restore(nudged)
            rows.append({**nudged, ENDS[0]: outcome.terminated, ENDS[1]: outcome.truncated})
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def curves(self) -> dict[str, Any]:
        """`steps` since the reset and how many episodes are `alive` there on all sides; how many
        steps are `judged`; by field the quantiles over episodes of the scaled error of `ours` and
        of the reference nudged `once` and `always`, of the worst entry, and the largest `ratio` of
        the first to either: of quantiles, or with a twin in the mean over pairs, see WINDOW;
        `above`: how often that to `always` is beyond the factor. None where a number is not
        finite."""
        plan, names = self.setting.plan, self._diverging()
        joined = {
            side: {name: np.concatenate([row[name] for row in rows]) for name in (*names, *ENDS)}
            for side, rows in self._sides.items()
        }
        ended = np.any([fields[name] for fields in joined.values() for name in ENDS], axis=0)
        alive = ~np.logical_or.accumulate(ended)
        judged = int((alive.sum(1) >= MIN_ALIVE).sum())
        kept = np.unique(np.linspace(0, judged - 1, CURVE_POINTS).astype(int))[: judged or 0]
        theirs, above = joined.pop(THEIRS), 0
        fields: dict[str, dict[str, Any]] = {}
        for name in names:
            size = np.maximum(abs(theirs[name]), plan.budgets[name].scale)
            errors = {
                side: largest(abs(values[name] - theirs[name]) / size, 2)[:judged]
                for side, values in joined.items()
            }
            curves = {side: _curves(error, alive[:judged]) for side, error in errors.items()}
            fields[name] = {side: _thinned(curve, kept) for side, curve in curves.items()}
            ratios = {
                side: self._ratios(errors, curves, side, alive[:judged]) for side in (ONCE, ALWAYS)
            }
            fields[name]["ratio"] = {
                side: {label: short(ratio.max(initial=0)) for label, ratio in found.items()}
                for side, found in ratios.items()
            }
            above += sum(int((~(ratio <= plan.factor)).sum()) for ratio in ratios[ALWAYS].values())
        return {
            "steps": [int(t) + 1 for t in kept],
            "alive": alive.sum(1)[kept].tolist(),
            "judged": judged,
            "above": above,
            "fields": fields,
        }

    def _ratios(self, errors: Fields, curves: Any, side: str, alive: np.ndarray) -> Fields:
        """By label, what is held to the factor: of ours to another side, at each step."""
        if self.setting.plan.twin is None:
            return {q: _ratio(curves[OURS][q], curves[side][q]) for q in ("p50", "p99")}
        least = np.finfo(self.setting.dtype).eps  # less is nothing in our type
        ratio = np.log(np.maximum(errors[OURS], least) / np.maximum(errors[side], least))
        mean = np.array([row[here].mean() for row, here in zip(ratio, alive, strict=True)])
        return {"paired": np.exp(np.convolve(mean, np.ones(WINDOW) / WINDOW, "valid"))}

    def _diverging(self) -> list[str]:
        """The fields that are the state."""
        plan = self.setting.plan
        if plan.twin is not None:
            return list(plan.twin.fields)
        state = [name for name in plan.budgets if name in self._sides[THEIRS][0]]
        return [name for name in state if not name.startswith("outcome.")]


def said(recording: Recording) -> Fields:
    """The reference's fields after each step, and its outcome."""
    after = {name: value[1:] for name, value in recording.snapshots.items()}
    names = ("observation", "reward", "terminated", "truncated")
    return {**after, **{f"outcome.{name}": getattr(recording.outcome, name) for name in names}}


def _curves(error: np.ndarray, alive: np.ndarray) -> dict[str, np.ndarray]:
    """Quantiles over the instances alive at each step. error: [>= T, B]; alive: bool [T, B]."""
    rows = [error[t, alive[t]] for t in range(len(alive))]
    return {
        label: np.array([np.quantile(row, q) for row in rows]) for label, q in QUANTILES.items()
    }


def _ratio(ours: np.ndarray, other: np.ndarray) -> np.ndarray:
    """One curve to what another has reached."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(ours == 0, 0, ours / np.maximum.accumulate(other))


def _thinned(curves: Mapping[str, np.ndarray], kept: np.ndarray) -> dict[str, list[float | None]]:
    return {label: [short(x) for x in curve[kept]] for label, curve in curves.items()}

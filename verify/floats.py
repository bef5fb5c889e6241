"""How rounding is judged, where our side computes in another precision than the reference.

Two questions, and neither has a tolerance that "seems fine":

one step    From the same inputs, rounded to our precision for both sides, how far off is each float
            field? In units in the last place, against a budget that counts the roundings of a step.
            Everything else must agree, unless the reference itself says the same as we do when its
            inputs move within that budget: a tie at a threshold.
free run    Running free with the same actions and draws, errors grow. So does the reference's own
            when each of its states is moved by one unit in our last place. Ours must stay
            within a stated factor of that envelope, in the median and at 99 %, at every step.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..references.core import DrawLog, Snapshot, VectorReference
from .candidate import Fields
from .compare import Comparison, Trace, inputs_of
from .record import Recording, record, record_policy, record_tape
from .suite import Suite, SuiteError, Variant, derive_seed, ordered_bits

NUM_ENVS = 32
NUM_STEPS = 256  # of one recording
MIN_ALIVE = 16  # instances that a quantile of a curve is taken over
MAX_EXAMINED = 64  # ties of one policy; more of them are no ties
CURVE_POINTS = 64  # of the curves that are kept; every step is judged
QUANTILES = {"p50": 0.5, "p99": 0.99}
ENDS = ("outcome.terminated", "outcome.truncated")

Progress = Callable[[str, float], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What one step may be off in one float field: `ulp` units in the last place, in our type, of
    the reference's value or of `scale`, whichever is larger in magnitude.

    scale: the size of the terms that the field is a sum of; near zero they cancel.
    """

    ulp: float
    scale: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class FloatPlan:
    """Which variants of our side are judged, and by what.

    budgets: for every float field that rounds; all others are compared as the suite says. Those
    that the reference restores are the state, which its envelope perturbs. factor: how many times
    the envelope our divergence may be.
    """

    variants: Sequence[Variant]
    budgets: Mapping[str, Budget]
    factor: float
    why: str
    """The reason for the budgets and the factor."""

    def __post_init__(self) -> None:
        if not self.why:
            raise SuiteError("budgets and a factor need a reason: give `why`")


def measure(
    suite: Suite, seed: int, progress: Progress = lambda what, done: None
) -> dict[str, Any]:
    """Judge the rounding of one suite. The result is JSON.

    holds; applies: False where the suite has no plan, since it compares every float bit by bit;
    why; factor; count: transitions; mismatches; what: a line for each kind of mismatch; variants:
    one entry each with `variant` and `policies`, see `_judge`. Raises SuiteError for fields that
    are close but in no plan, and ReferenceUnavailable.
    """
    plan = suite.floats
    if plan is None:
        close = sorted(n for n, f in suite.compared_fields().items() if f.compare.kind == "close")
        if close:
            raise SuiteError(f"{suite.name}: {close} are compared as close; give a FloatPlan")
        why = "every float field is compared bit by bit"
        nothing: dict[str, Any] = {"count": 0, "mismatches": 0, "what": [], "variants": []}
        return {"holds": True, "applies": False, "why": why, **nothing}
    if unknown := plan.budgets.keys() - suite.compared_fields().keys():
        raise SuiteError(f"{suite.name}: budgets for {sorted(unknown)}, which are not compared")
    variants: list[dict[str, Any]] = []
    for i, variant in enumerate(plan.variants):
        comparison = Comparison.local(suite, variant)
        policies = []
        for j, policy in enumerate(suite.policies(variant)):
            share = (i + j / len(suite.policies(variant))) / len(plan.variants)
            progress(f"floats {variant.name}, {policy}", share)
            policies.append(_judge(suite, plan, comparison, variant, policy, seed))
        variants.append({"variant": variant.name, "policies": policies})
    cells = [(entry["variant"], cell) for entry in variants for cell in entry["policies"]]
    return {
        "holds": all(cell["mismatches"] == 0 for _, cell in cells),
        "applies": True,
        "why": plan.why,
        "factor": plan.factor,
        "count": sum(cell["transitions"] for _, cell in cells),
        "mismatches": sum(cell["mismatches"] for _, cell in cells),
        "what": [
            f"{variant}, {cell['policy']}: {line}" for variant, cell in cells for line in _say(cell)
        ],
        "variants": variants,
    }


def _judge(
    suite: Suite, plan: FloatPlan, comparison: Comparison, variant: Variant, policy: str, seed: int
) -> dict[str, Any]:
    """One policy: `step` and `ties`, see `_OneStep`, `free`, see `_FreeRun`, and their sum."""
    dtype = np.dtype(np.float64 if variant.x64 else np.float32)
    play_seed = derive_seed(seed, "floats", variant.name, policy)
    setting = _Setting(plan, comparison, dtype, np.random.default_rng(play_seed))
    with contextlib.ExitStack() as stack:
        played, rounded, once, always = (
            stack.enter_context(suite.reference(variant, NUM_ENVS)) for _ in range(4)
        )
        one_step = _OneStep(setting, rounded)
        free_run = _FreeRun(setting, once, always)
        recordings = record_policy(
            suite, played, suite.policies(variant)[policy], play_seed, NUM_STEPS, 1
        )
        for _, first_draws, recording in recordings:
            one_step.add(recording)
            free_run.add(recording, first_draws)
    step, ties, free = one_step.fields(), one_step.ties, free_run.curves()
    over = sum(field["over"] for field in step.values())
    return {
        "policy": policy,
        "mismatches": over + ties["unexplained"] + free["above"],
        "transitions": one_step.transitions,
        "step": step,
        "ties": ties,
        "free": free,
    }


def _say(cell: Mapping[str, Any]) -> list[str]:
    """A line for each kind of mismatch."""
    lines = [
        f"{name} is over its {field['budget']} ulp in {field['over']} single steps, by up to "
        f"{field['worst']}"
        for name, field in cell["step"].items()
        if field["over"]
    ]
    if cell["ties"]["unexplained"]:
        lines.append(f"{cell['ties']['unexplained']} steps differ otherwise, and are no ties")
    if cell["free"]["above"]:
        curves = cell["free"]["fields"].items()
        ratios = ", ".join(f"{name} {field['ratio']}" for name, field in curves)
        lines.append(f"diverges faster than the reference perturbed: {ratios}")
    return lines


class _Setting(NamedTuple):
    """What both questions share. dtype: that of our floats."""

    plan: FloatPlan
    comparison: Comparison
    dtype: np.dtype
    generator: np.random.Generator

    def moved(self, fields: Snapshot, budgets: Mapping[str, Budget]) -> Snapshot:
        """Every field that has a budget, up or down by the whole of it."""
        moved = dict(fields)
        for name in [name for name in budgets if name in fields]:
            value, budget = fields[name], budgets[name]
            unit = _unit(np.maximum(abs(value), budget.scale), self.dtype)
            moved[name] = value + self.generator.choice((-1, 1), value.shape) * budget.ulp * unit
        return moved


# -- one step


class _OneStep:
    """Errors of single steps, both sides from the same inputs in our precision."""

    def __init__(self, setting: _Setting, reference: VectorReference) -> None:
        self.setting, self.reference = setting, reference
        self.transitions = 0
        self.ties = {"differ": 0, "explained": 0, "unexplained": 0}
        self._errors: dict[str, list[tuple[np.ndarray, ...]]] = {
            name: [] for name in setting.plan.budgets
        }

    def add(self, recording: Recording) -> None:
        self.transitions += recording.action.size
        before = {
            name: _rounded(v[:-1], self.setting.dtype) for name, v in recording.snapshots.items()
        }
        stepped = _step_from(
            self.reference, recording.action, lambda t: {name: v[t] for name, v in before.items()}
        )
        ours = self.setting.comparison.candidate.resynchronised(before, inputs_of(stepped))
        sides = self.setting.comparison.side_by_side(stepped, ours)
        differs = self._others_differ(sides)
        for t, b in np.argwhere(differs):
            self._examine(int(t), int(b), before, stepped, ours)
        for name, budget in self.setting.plan.budgets.items():
            # Where the two sides part, their floats are those of different episodes.
            theirs = sides.reference[name][~differs].astype(np.float64)
            mine = ours[name][~differs]
            error, size = abs(mine - theirs), np.maximum(abs(theirs), budget.scale)
            distance = _distance(mine, theirs.astype(mine.dtype))
            self._errors[name].append((distance, error / size, error / _unit(size, mine.dtype)))

    def fields(self) -> dict[str, dict[str, Any]]:
        """By field: `ulp`, a histogram of the distance in representable numbers; `scaled`, the
        error over max(|reference|, scale); `worst` error in the budget's units, and the `budget`;
        how many are `over` it. None where a number is not finite."""
        result = {}
        for name, rows in self._errors.items():
            budget = self.setting.plan.budgets[name].ulp
            columns = zip(*rows, strict=True)
            distance, scaled, off = (np.concatenate([np.ravel(x) for x in c]) for c in columns)
            result[name] = {
                "ulp": _histogram(distance),
                "scaled": {
                    **{label: _short(np.quantile(scaled, q)) for label, q in QUANTILES.items()},
                    "max": _short(scaled.max()),
                },
                "worst": _short(off.max()),
                "budget": budget,
                "over": int((~(off <= budget)).sum()),  # also what is not a number
            }
        return result

    def _others_differ(self, sides: Trace) -> np.ndarray:
        """bool [T, B]: whether a field without a budget differs."""
        rest = [
            differs
            for name, differs in sides.differs.items()
            if name not in self.setting.plan.budgets
        ]
        return np.any(rest, axis=0)

    def _examine(self, t: int, b: int, before: Fields, stepped: Recording, ours: Fields) -> None:
        """Whether the reference says the same as we do once its inputs move within the budgets."""
        self.ties["differ"] += 1
        explained = False
        if self.ties["differ"] <= MAX_EXAMINED:
            row = {
                name: np.repeat(value[t, b : b + 1], NUM_ENVS, 0) for name, value in before.items()
            }
            moved = self.setting.moved(row, self.setting.plan.budgets)
            actions = np.full((1, NUM_ENVS), stepped.action[t, b])
            near = _step_from(self.reference, actions, lambda t: moved)
            said = {k: np.repeat(v[t : t + 1, b : b + 1], NUM_ENVS, 1) for k, v in ours.items()}
            differs = self._others_differ(self.setting.comparison.side_by_side(near, said))
            explained = not differs.all()
        self.ties["explained" if explained else "unexplained"] += 1


# -- free run


class _FreeRun:
    """Divergence from the reference since a reset: ours, and that of the reference perturbed.

    once: its first state was moved by one unit in our last place; always: every state was.
    """

    def __init__(self, setting: _Setting, once: VectorReference, always: VectorReference) -> None:
        self.setting, self.once, self.always = setting, once, always
        self._states: Any = None
        self._running = np.ones(NUM_ENVS, bool)
        self._sides: dict[str, list[Fields]] = {s: [] for s in ("ours", "theirs", "once", "always")}

    def add(self, recording: Recording, first_draws: DrawLog) -> None:
        actions, first = recording.action, recording.at(0)
        if self._states is None:
            self._states = self.setting.comparison.start(first_draws)[0]
            self.once.restore(self._nudged(first))
            self.always.restore(first)
        if self._running.sum() < MIN_ALIVE:
            return
        self._states, ours = self.setting.comparison.candidate.free_running(
            self._states, first, inputs_of(recording)
        )
        said = {
            "ours": ours,
            "theirs": _said(recording),
            "once": _said(record_tape(self.once, actions)),
            "always": self._perturbed(actions),
        }
        for side, fields in said.items():
            self._sides[side].append(fields)
            self._running &= ~(fields[ENDS[0]] | fields[ENDS[1]]).any(0)

    def _perturbed(self, actions: np.ndarray) -> Fields:
        """Each state, once computed, is moved: what rounding does to a state that is stored."""
        rows = []
        for action in actions:
            outcome = self.always.step(action)
            moved = self._nudged(self.always.snapshot())
            self.always.restore(moved)
            rows.append({**moved, ENDS[0]: outcome.terminated, ENDS[1]: outcome.truncated})
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}

    def curves(self) -> dict[str, Any]:
        """`steps` since the reset and how many episodes are `alive` there on all sides; how many
        steps are `judged`; by field the quantiles of the scaled error of `ours` and of the
        reference perturbed `once` and `always`, and the largest `ratio` of the first to the last;
        `above`: how often ours is beyond the factor. None where a number is not finite."""
        state = [name for name in self.setting.plan.budgets if name in self._sides["theirs"][0]]
        state = [name for name in state if not name.startswith("outcome.")]
        joined = {
            side: {name: np.concatenate([row[name] for row in rows]) for name in (*state, *ENDS)}
            for side, rows in self._sides.items()
        }
        ended = np.any([said[name] for said in joined.values() for name in ENDS], axis=0)
        alive = ~np.logical_or.accumulate(ended)
        judged = int((alive.sum(1) >= MIN_ALIVE).sum())
        kept = np.unique(np.linspace(0, judged - 1, CURVE_POINTS).astype(int))[: judged or 0]
        theirs, above = joined.pop("theirs"), 0
        fields: dict[str, dict[str, Any]] = {}
        for name in state:
            size = np.maximum(abs(theirs[name]), self.setting.plan.budgets[name].scale)
            curves = {
                side: _curves(abs(said[name] - theirs[name]) / size, alive[:judged])
                for side, said in joined.items()
            }
            fields[name] = {side: _thinned(curve, kept) for side, curve in curves.items()}
            fields[name]["ratio"] = {}
            for label, ours in curves["ours"].items():
                envelope = np.maximum.accumulate(curves["always"][label])
                above += int((~(ours <= self.setting.plan.factor * envelope)).sum())
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = np.where(ours == 0, 0, ours / envelope)
                fields[name]["ratio"][label] = _short(ratio.max(initial=0))
        return {
            "steps": [int(t) + 1 for t in kept],
            "alive": alive.sum(1)[kept].tolist(),
            "judged": judged,
            "above": above,
            "fields": fields,
        }

    def _nudged(self, fields: Snapshot) -> Snapshot:
        unit = {name: Budget(ulp=1, scale=b.scale) for name, b in self.setting.plan.budgets.items()}
        return self.setting.moved(fields, unit)


# -- parts


def _step_from(
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


def _said(recording: Recording) -> Fields:
    """The reference's fields after each step, and how the step ended."""
    after = {name: value[1:] for name, value in recording.snapshots.items()}
    ends = recording.outcome.terminated, recording.outcome.truncated
    return {**after, **dict(zip(ENDS, ends, strict=True))}


def _rounded(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as `dtype` holds them, in their own type; anything else as it is."""
    return value.astype(dtype).astype(value.dtype) if value.dtype.kind == "f" else value


def _unit(size: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """One unit in the last place of `dtype` at each magnitude, float64."""
    return np.spacing(size.astype(dtype)).astype(np.float64)


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


def _curves(error: np.ndarray, alive: np.ndarray) -> dict[str, np.ndarray]:
    """Quantiles over the instances alive at each step. error: [>= T, B]; alive: bool [T, B]."""
    rows = [error[t, alive[t]] for t in range(len(alive))]
    return {
        label: np.array([np.quantile(row, q) for row in rows]) for label, q in QUANTILES.items()
    }


def _thinned(curves: Mapping[str, np.ndarray], kept: np.ndarray) -> dict[str, list[float | None]]:
    return {label: [_short(x) for x in curve[kept]] for label, curve in curves.items()}


def _short(x: float) -> float | None:
    """Three digits; None for what JSON has no number for."""
    return float(f"{x:.3g}") if np.isfinite(x) else None

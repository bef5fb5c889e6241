"""What rounding may do: the declarations of a suite, and how a state is moved within them."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from ..references.core import Snapshot, VectorReference
from .compare import Comparison
from .suite import SuiteError, Variant

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
CONFIDENCE = 0.95
NUM_STEPS = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """What one step may be off in one float field: either `ulp` units in the last place, in our
    type, of the reference's value or of `scale`, whichever is larger in magnitude, or `atol`.

    scale: the size of the terms that the field is a sum of; near zero they cancel. share: of the
    transitions, that may be over; the upper end of what so many of them can show is held to it.
    """

    ulp: float = 0.0
    atol: float = 0.0
    scale: float
    share: float = 0.0

    def __post_init__(self) -> None:
        if (self.ulp > 0) == (self.atol > 0):
            raise SuiteError(f"a budget is in ulp or in atol, not {self.ulp} and {self.atol}")

    @property
    def number(self) -> float:
        """In its own units, see `unit`."""
        return self.ulp or self.atol

    @property
    def words(self) -> str:
        return f"{self.ulp:g} ulp" if self.ulp else f"{self.atol:g}"

    def unit(self, size: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """What one unit of this budget is at each magnitude, float64."""
        spacing = np.spacing(np.maximum(size, self.scale).astype(dtype)).astype(np.float64)
        return spacing if self.ulp else np.ones_like(spacing)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Twin:
    """The reference held beside itself where errors grow so fast that no two computations agree for
    long: moved by more than a unit in our last place, or told to compute otherwise.

    nudges: field of the state -> what is added to or taken from each of its entries; fields: whose
    divergence is told, each with a budget; steps: for how long, before the curves saturate.
    """

    reference: Callable[[Variant, int], VectorReference]
    nudges: Mapping[str, float]
    fields: Sequence[str]
    steps: int
    what: str
    """In words, such as "qpos + 1e-7"."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FloatPlan:
    """Which variants of our side are judged, and by what.

    budgets: for every float field that rounds; all others are compared as the suite says. Those
    that the reference restores are the state, which its envelope perturbs. factor: how many times
    the envelope our divergence may be. twin: what is moved, in place of the reference by a unit;
    unjudged: field -> why it need not be close in this precision; steps: how many of the first
    episode are judged one by one, None is all of it, 0 where L3 does that; num_envs: how many play
    each policy.
    """

    variants: Sequence[Variant]
    budgets: Mapping[str, Budget]
    factor: float
    why: str
    """The reason for the budgets and the factor."""
    twin: Twin | None = None
    unjudged: Mapping[str, str] = dataclasses.field(default_factory=dict)
    steps: int | None = None
    num_envs: int = 32

    def __post_init__(self) -> None:
        if not self.why:
            raise SuiteError("budgets and a factor need a reason: give `why`")

    @property
    def last_step(self) -> int | None:
        """Of the first episode, that anything is judged of; None is all of it."""
        free = 0 if self.twin is None else self.twin.steps
        return None if self.steps is None else max(self.steps, free)

    @property
    def chunk(self) -> int:
        """Steps of one recording."""
        return NUM_STEPS if self.last_step is None else min(NUM_STEPS, self.last_step)


class Setting(NamedTuple):
    """What both questions share. dtype: that of our floats."""

    plan: FloatPlan
    comparison: Comparison
    dtype: np.dtype
    generator: np.random.Generator

    def moved(self, fields: Snapshot) -> Snapshot:
        """Every field that has a budget, up or down by the whole of it."""
        budgets = {name: b for name, b in self.plan.budgets.items() if name in fields}
        by = {name: b.number * b.unit(abs(fields[name]), self.dtype) for name, b in budgets.items()}
        return self._moved(fields, by)

    def nudged(self, fields: Snapshot) -> Snapshot:
        """The state, up or down as the plan's twin says, or else by one unit in our last place."""
        if self.plan.twin is not None:
            return self._moved(fields, self.plan.twin.nudges)
        units = {n: Budget(ulp=1, scale=b.scale) for n, b in self.plan.budgets.items()}
        by = {n: u.unit(abs(fields[n]), self.dtype) for n, u in units.items() if n in fields}
        return self._moved(fields, by)

    def _moved(self, fields: Snapshot, by: Mapping[str, Any]) -> Snapshot:
        shapes = {name: fields[name].shape for name in by}
        signs = {name: self.generator.choice((-1, 1), shape) for name, shape in shapes.items()}
        return {**fields, **{name: fields[name] + signs[name] * by[name] for name in by}}


def share_at_most(over: int, count: int) -> float:
    """The upper end of the share that `over` of `count` show, as if each were on its own: Clopper
    and Pearson's bound at CONFIDENCE."""
    return float(stats.beta.ppf(CONFIDENCE, over + 1, count - over)) if over < count else 1.0


def short(x: float) -> float | None:
    """Three digits; None for what JSON has no number for."""
    return float(f"{x:.3g}") if np.isfinite(x) else None


def rounded(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Floats as `dtype` holds them, in their own type; anything else as it is."""
    return value.astype(dtype).astype(value.dtype) if value.dtype.kind == "f" else value


def largest(x: np.ndarray, axes: int) -> np.ndarray:
    """The largest entry past the first `axes` axes; a NaN where there is one."""
    return np.asarray(x.max(tuple(range(axes, x.ndim)))) if x.ndim > axes else x

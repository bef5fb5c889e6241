"""Declared ranges: for which inputs a proof holds."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import Environment
from ...envs.spaces import Discrete

Leaves = dict[str, np.ndarray]
"""Inputs by name, in order: `state.ball_x`, `action`, `draws.serve`, ..."""


class DomainError(ValueError):
    """Ranges that do not fit what they are declared for; the message names the leaf."""


@dataclasses.dataclass(frozen=True)
class Between:
    """low <= entry <= high, both numbers or arrays of the leaf's shape.

    Of floats this means all but subnormals, which XLA's CPU programs flush to zero; of bools it
    is False and True.
    """

    low: Any
    high: Any


@dataclasses.dataclass(frozen=True, init=False)
class OneOf:
    """Every entry is one of these numbers."""

    values: tuple[Any, ...]

    def __init__(self, *values: Any) -> None:
        object.__setattr__(self, "values", values)


Range = Between | OneOf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Domain:
    """What a step of one variant may be given.

    ranges: by the names `state.FIELD`, `action`, `draws.FIELD`, `reset_draws.FIELD` and
    `params.FIELD` (a nested field has more dots). Left out, an action may be any of its space, the
    draws of a reset are as those of a step, a bool is either, and params are the variant's own.
    assume(state, action, draws, params) -> bool []: what holds besides.
    """

    ranges: Mapping[str, Range]
    assume: Callable[[Any, Any, Any, Any], Array] | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inputs:
    """The unknowns of a proof: scalars and arrays by name.

    shapes: every leaf; ranges: of the unknown ones; constants: the numbers of all others;
    assume(leaves) -> bool []: what holds besides.
    Raises DomainError for a range that is empty, infinite or not of the leaf's type.
    """

    shapes: Mapping[str, jax.ShapeDtypeStruct]
    ranges: Mapping[str, Range]
    constants: Leaves = dataclasses.field(default_factory=dict)
    assume: Callable[[Mapping[str, Array]], Array] | None = None

    def __post_init__(self) -> None:
        if wrong := set(self.shapes) ^ (set(self.ranges) | set(self.constants)):
            raise DomainError(f"no range, or a range of no input: {sorted(wrong)}")
        for name, declared in self.ranges.items():
            _check(name, declared, np.dtype(self.shapes[name].dtype))

    def bounds(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """(lowest, highest) value of every entry."""
        shape, declared = self.shapes[name], self.ranges[name]
        ends = (
            (declared.low, declared.high)
            if isinstance(declared, Between)
            else (min(declared.values), max(declared.values))
        )
        low, high = (np.broadcast_to(np.asarray(x, shape.dtype), shape.shape) for x in ends)
        return low, high

    def count(self) -> float:
        """How many inputs there are; infinite where one is a range of floats."""
        return math.prod(self._choices(name) for name in self.ranges)

    def _choices(self, name: str) -> float:
        declared, shape = self.ranges[name], self.shapes[name]
        if isinstance(declared, OneOf):
            return float(len(declared.values)) ** math.prod(shape.shape)
        low, high = self.bounds(name)
        if np.dtype(shape.dtype).kind == "f":
            return 1.0 if (low == high).all() else math.inf
        return math.prod(int(b) - int(a) + 1.0 for a, b in zip(low.flat, high.flat, strict=True))


def _check(name: str, declared: Range, dtype: np.dtype) -> None:
    values = declared.values if isinstance(declared, OneOf) else (declared.low, declared.high)
    given = [np.asarray(v) for v in values]
    if not given:
        raise DomainError(f"{name}: no values")
    if dtype.kind not in "biuf":
        raise DomainError(f"{name}: a {dtype} has no range")
    for value in given:
        if not np.isfinite(value).all():
            raise DomainError(f"{name}: {value} is not finite; give finite bounds")
        if dtype.kind in "iu" and not np.array_equal(value, _cast(value, dtype)):
            raise DomainError(f"{name}: {value} is not a number of type {dtype}")
    if isinstance(declared, Between) and not (given[0] <= given[1]).all():
        raise DomainError(f"{name}: {given[0]} .. {given[1]} is empty")


def _cast(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    info = np.iinfo(dtype)
    return np.clip(value, info.min, info.max).astype(dtype)


class Layout:
    """The leaves of what one environment takes, by name, and how they make up its pytrees."""

    def __init__(self, env: Environment, params: Any) -> None:
        key = jax.random.key(0)
        space = env.action_space(params)
        reset_draws = jax.eval_shape(env.sample_reset_draws, key, params)
        state = jax.eval_shape(env.initial, reset_draws, params)
        action = jax.ShapeDtypeStruct((*env.leading_axes, *space.shape), space.dtype)
        self.params, self.space = params, space
        self.trees = {
            "state": state,
            "action": action,
            "draws": jax.eval_shape(env.sample_draws, key, state, action, params),
            "reset_draws": reset_draws,
            "params": jax.eval_shape(lambda: params),
        }
        self.shapes: dict[str, jax.ShapeDtypeStruct] = {
            name: leaf for group, tree in self.trees.items() for name, leaf in named(group, tree)
        }

    def built(self, leaves: Mapping[str, Any]) -> dict[str, Any]:
        """The pytrees `state`, `action`, `draws`, `reset_draws` and `params` out of all leaves."""
        return {
            group: jax.tree.unflatten(
                jax.tree.structure(tree), [leaves[name] for name, _ in named(group, tree)]
            )
            for group, tree in self.trees.items()
        }

    def inputs(self, domain: Domain) -> Inputs:
        """The unknowns of a step. Raises DomainError, e.g. for a field without a range."""
        if unknown := domain.ranges.keys() - self.shapes.keys():
            raise DomainError(
                f"ranges of what is not there: {sorted(unknown)}; there are {list(self.shapes)}"
            )
        numbers = dict(named("params", self.params))
        ranges: dict[str, Range] = {}
        constants: Leaves = {}
        for name, leaf in self.shapes.items():
            if (declared := self._range(domain, name, leaf)) is not None:
                ranges[name] = declared
            elif name in numbers:
                constants[name] = np.asarray(numbers[name])
            else:
                raise DomainError(f"{name} has no range; declare it, e.g. Between(low, high)")
        return Inputs(
            shapes=self.shapes, ranges=ranges, constants=constants, assume=self._assume(domain)
        )

    def _range(self, domain: Domain, name: str, leaf: jax.ShapeDtypeStruct) -> Range | None:
        same = name.removeprefix("reset_") if name.startswith("reset_draws") else name
        for candidate in (name, same):
            if candidate in domain.ranges:
                return domain.ranges[candidate]
        if name == "action":
            if isinstance(self.space, Discrete):
                return Between(0, self.space.n - 1)
            return Between(self.space.low, self.space.high)
        if np.dtype(leaf.dtype).kind == "b" and not name.startswith("params"):
            return Between(False, True)
        return None

    def _assume(self, domain: Domain) -> Callable[[Mapping[str, Array]], Array] | None:
        assume = domain.assume
        if assume is None:
            return None

        def holds(leaves: Mapping[str, Array]) -> Array:
            trees = self.built(leaves)
            return assume(trees["state"], trees["action"], trees["draws"], trees["params"])

        return holds


def named(group: str, tree: Any) -> list[tuple[str, Any]]:
    """(name, leaf) of every leaf of a pytree: `group`, a dot, the fields with dots."""
    return [
        (".".join(filter(None, [group, jax.tree_util.keystr(path, simple=True, separator=".")])), x)
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    ]


def violations(inputs: Inputs, played: Mapping[str, np.ndarray]) -> list[str]:
    """What was played outside its declared range, a line each; empty where the ranges are honest.

    played: leaves by name, with any leading axes that all of them share; only those given are
    looked at, and the assumption only where all are.
    """
    found = []
    for name, values in played.items():
        values = np.asarray(values)
        bad = ~_inside(inputs, name, values)
        if bad.any():
            worst = np.unique(values[bad])
            found.append(
                f"{name}: {int(bad.sum())} of {bad.size} are outside {inputs.ranges[name]}, "
                f"from {worst[0]} to {worst[-1]}"
            )
    if inputs.assume is not None and inputs.ranges.keys() <= played.keys():
        holds = held(inputs, _batched(inputs, played))
        if not holds.all():
            found.append(f"the assumption does not hold in {int((~holds).sum())} of {holds.size}")
    return found


def _inside(inputs: Inputs, name: str, values: np.ndarray) -> np.ndarray:
    declared = inputs.ranges.get(name)
    if declared is None:
        return values == inputs.constants[name]
    if isinstance(declared, OneOf):
        return np.isin(values, np.asarray(declared.values, values.dtype))
    low, high = inputs.bounds(name)
    inside = (values >= low) & (values <= high)
    return inside & ~subnormal(values)


def subnormal(values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "f":
        return np.zeros(values.shape, bool)
    return (values != 0) & (np.abs(values) < np.finfo(values.dtype).tiny)


def _batched(inputs: Inputs, played: Mapping[str, np.ndarray]) -> Leaves:
    return {
        name: np.asarray(played[name]).reshape(-1, *inputs.shapes[name].shape)
        for name in inputs.ranges
    }


def held(inputs: Inputs, points: Leaves) -> np.ndarray:
    """bool [N]: where the assumption holds, of points with a leading axis [N]."""
    (size,) = {len(x) for x in points.values()}
    if inputs.assume is None:
        return np.ones(size, bool)
    constants = {name: jnp.asarray(value) for name, value in inputs.constants.items()}
    assume = inputs.assume

    def one(point: Mapping[str, Array]) -> Array:
        return assume({**point, **constants})

    return np.asarray(jax.vmap(one)(jax.tree.map(jnp.asarray, points)))


def entries(inputs: Inputs, name: str) -> Sequence[tuple[Any, Any]]:
    """(low, high) of every entry of a leaf, in row-major order."""
    low, high = inputs.bounds(name)
    return list(zip(low.reshape(-1), high.reshape(-1), strict=True))

"""Concrete inputs: all of them where they are few, else a sample that likes boundaries."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jax.extend import core

from .domain import Inputs, Leaves, OneOf, entries, held, subnormal

CHUNK = 1 << 14


def enumerated(inputs: Inputs) -> Iterator[Leaves]:
    """All inputs for which the assumption holds, in chunks with a leading axis [N]."""
    total = int(inputs.count())
    for start in range(0, total, CHUNK):
        number = np.arange(start, min(start + CHUNK, total))
        points = {}
        for name in inputs.ranges:
            shape = inputs.shapes[name]
            columns = []
            for values in _values(inputs, name):
                columns.append(values[number % len(values)])
                number = number // len(values)
            points[name] = np.stack(columns, 1).reshape(-1, *shape.shape)
        kept = held(inputs, points)
        if kept.any():
            yield {name: x[kept] for name, x in points.items()}


def _values(inputs: Inputs, name: str) -> list[np.ndarray]:
    """The values of each entry."""
    declared, dtype = inputs.ranges[name], np.dtype(inputs.shapes[name].dtype)
    bounds = entries(inputs, name)
    if isinstance(declared, OneOf):
        return [np.asarray(declared.values, dtype)] * len(bounds)
    if dtype.kind == "f":
        return [np.asarray([low], dtype) for low, _ in bounds]
    return [np.arange(int(low), int(high) + 1).astype(dtype) for low, high in bounds]


def sampled(
    inputs: Inputs, generator: np.random.Generator, special: Sequence[float], count: int
) -> Leaves:
    """At most `count` inputs for which the assumption holds, leading axis [N].

    special: numbers that mean something to the program, e.g. its literals.
    """
    points = {name: _sampled(inputs, name, generator, special, count) for name in inputs.ranges}
    kept = held(inputs, points) if points else np.ones(0, bool)
    return {name: x[kept] for name, x in points.items()}


def _sampled(
    inputs: Inputs,
    name: str,
    generator: np.random.Generator,
    special: Sequence[float],
    count: int,
) -> np.ndarray:
    declared, shape = inputs.ranges[name], inputs.shapes[name]
    dtype = np.dtype(shape.dtype)
    columns = []
    for low, high in entries(inputs, name):
        if isinstance(declared, OneOf):
            columns.append(generator.choice(np.asarray(declared.values, dtype), count))
        else:
            columns.append(_drawn(generator, low, high, dtype, special, count))
    if not columns:
        return np.zeros((count, *shape.shape), dtype)
    return np.stack(columns, 1).reshape(count, *shape.shape)


def _drawn(
    generator: np.random.Generator,
    low: Any,
    high: Any,
    dtype: np.dtype,
    special: Sequence[float],
    count: int,
) -> np.ndarray:
    """A third uniform, a third whole numbers, a third ends and special numbers."""
    candidates = [low, high]
    for value in (0, 1, -1, *special):
        for number in _neighbours(value, dtype):
            if low <= number <= high:
                candidates.append(number)
    ends = generator.choice(np.asarray(candidates, dtype), count)
    if dtype.kind != "f":
        uniform = generator.integers(low, high, count, dtype.type, endpoint=True)
        return np.where(generator.random(count) < 1 / 3, ends, uniform)
    uniform = generator.uniform(low, high, count).astype(dtype)
    whole = np.clip(np.rint(uniform), low, high)
    kind = generator.integers(0, 3, count)
    drawn = np.choose(kind, [uniform, whole, ends]).astype(dtype)
    return np.where(subnormal(drawn), dtype.type(0) if low <= 0 <= high else ends, drawn)


def _neighbours(value: float, dtype: np.dtype) -> list[Any]:
    """A number of `dtype` and those next to it; none where it does not fit."""
    if dtype.kind == "b":
        return [bool(value)]
    if dtype.kind == "f":
        number = dtype.type(value)
        near = [number, np.nextafter(number, -np.inf), np.nextafter(number, np.inf)]
        return [x for x in near if not subnormal(np.asarray(x))] + ([-number] if not value else [])
    info = np.iinfo(dtype)
    whole = int(value)
    return [dtype.type(x) for x in (whole - 1, whole, whole + 1) if info.min <= x <= info.max]


def literals(jaxpr: Any) -> set[float]:
    """The finite numbers that a program mentions."""
    found = set()
    for eqn in jaxpr.eqns:
        for v in eqn.invars:
            if isinstance(v, core.Literal) and np.size(v.val) == 1:
                found.add(float(np.asarray(v.val).item()))
        for inner in inner_programs(eqn):
            found |= literals(getattr(inner, "jaxpr", inner))
    return {x for x in found if np.isfinite(x)}


def inner_programs(eqn: Any) -> Iterator[Any]:
    """The programs, closed or not, that an equation calls."""
    for parameter in eqn.params.values():
        for program in parameter if isinstance(parameter, tuple | list) else (parameter,):
            if hasattr(getattr(program, "jaxpr", program), "eqns"):
                yield program

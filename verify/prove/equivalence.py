"""Whether two functions are the same function, for all inputs of a domain.

Two results are equal when their bits are, NaNs being one. The cheapest way that decides is taken:
the same program; all inputs tried, where they are few; a sample tried, which refutes most of what
can be refuted; z3. What z3 proves, it proves of the traced programs in IEEE 754 arithmetic: a
compiler may still fuse a product into a sum, and XLA's CPU programs flush subnormals. What is
refuted has been executed, on both sides, and differed.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend import core

from .domain import Between, Inputs, Leaves
from .points import CHUNK, enumerated, inner_programs, literals, sampled

Function = Callable[[Mapping[str, Array]], Any]
"""Leaves by name -> a pytree of arrays."""

ENUMERABLE = 1 << 24
"""So many inputs at most are all tried."""
SAMPLES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Verdict:
    """kind: "proved" by reasoning, "enumerated" by trying all inputs, "refuted" by `inputs`, or
    "open" for the `reason`.

    output: the first result that differs; inputs: every leaf by name, constants included; points:
    how many inputs were tried; questions: how many were put to z3.
    """

    kind: Literal["proved", "enumerated", "refuted", "open"]
    reason: str
    seconds: float = 0.0
    output: str = ""
    inputs: Leaves | None = None
    points: int = 0
    questions: int = 0

    @property
    def holds(self) -> bool | None:
        """Whether the two are the same; None while open."""
        return None if self.kind == "open" else self.kind != "refuted"


class Side:
    """One of the two functions: traced once, compiled once."""

    def __init__(self, function: Function, inputs: Inputs) -> None:
        self.function, self.inputs = function, inputs

    @functools.cached_property
    def _traced(self) -> tuple[Any, dict[str, Any]]:
        program, shapes = jax.make_jaxpr(self._named, return_shape=True)(dict(self.inputs.shapes))
        return program, shapes

    @property
    def program(self) -> Any:
        return self._traced[0]

    @property
    def used(self) -> set[str]:
        """The leaves that the program looks at."""
        return used(self.program.jaxpr, sorted(self.inputs.shapes))

    @property
    def results(self) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
        return {name: (x.shape, x.dtype) for name, x in self._traced[1].items()}

    def _named(self, leaves: Mapping[str, Array]) -> dict[str, Array]:
        result = self.function(leaves)
        return {
            jax.tree_util.keystr(path, simple=True, separator="."): jnp.asarray(x)
            for path, x in jax.tree_util.tree_leaves_with_path(result)
        }

    @functools.cached_property
    def _batch(self) -> Any:
        axes = {name: 0 if name in self.inputs.ranges else None for name in self.inputs.shapes}
        return jax.jit(jax.vmap(self._named, in_axes=(axes,)))

    @functools.cached_property
    def _single(self) -> Any:
        return jax.jit(self._named)

    def batch(self, points: Leaves) -> dict[str, np.ndarray]:
        """The results [N, ...] of N <= CHUNK points. Compiled for CHUNK of them."""
        (size,) = {len(x) for x in points.values()}
        padded = {name: _padded(x) for name, x in points.items()}
        results = jax.device_get(self._batch({**self.inputs.constants, **padded}))
        return {name: x[:size] for name, x in results.items()}

    def single(self, point: Leaves) -> dict[str, np.ndarray]:
        return jax.device_get(self._single({**self.inputs.constants, **point}))

    def same_program(self, other: "Side") -> bool:
        ours, theirs = (list(_numbers(side.program)) for side in (self, other))
        return (
            str(self.program.jaxpr) == str(other.program.jaxpr)
            and len(ours) == len(theirs)
            and all(map(_identical, ours, theirs))
        )


def _numbers(program: Any) -> Iterator[np.ndarray]:
    """Every number in a program and in those within it: what printing may leave out."""
    yield from map(np.asarray, getattr(program, "consts", ()))
    for eqn in getattr(program, "jaxpr", program).eqns:
        yield from (np.asarray(v.val) for v in eqn.invars if isinstance(v, core.Literal))
        for inner in inner_programs(eqn):
            yield from _numbers(inner)


def _identical(a: np.ndarray, b: np.ndarray) -> bool:
    return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def equivalent(
    original: Function | Side,
    mutated: Function | Side,
    inputs: Inputs,
    *,
    timeout_s: float = 60.0,
    seed: int = 0,
    samples: int = SAMPLES,
) -> Verdict:
    """Whether both functions give the same results for all `inputs`.

    timeout_s: of CPU time, for z3; what takes longer is open. seed, samples: of the points tried
    before z3.
    Raises ImportError, with the remedy, where z3 is needed and missing.
    """
    started = time.monotonic()
    sides = [x if isinstance(x, Side) else Side(x, inputs) for x in (original, mutated)]
    with jax.debug_nans(False):  # a NaN is a result like any other here
        verdict = _judged(sides[0], sides[1], inputs, timeout_s, seed, samples)
    return dataclasses.replace(verdict, seconds=time.monotonic() - started)


def _judged(a: Side, b: Side, inputs: Inputs, timeout_s: float, seed: int, samples: int) -> Verdict:
    if a.results != b.results:
        name = next(n for n in {**a.results, **b.results} if a.results.get(n) != b.results.get(n))
        shapes = " and ".join(_shown(side.results.get(name)) for side in (a, b))
        return Verdict("refuted", f"the results have other types: {shapes}", output=name)
    if a.same_program(b):
        return Verdict("proved", "the same program")
    inputs = _only(inputs, a.used | b.used)
    if inputs.count() <= ENUMERABLE:
        tried, found, _ = _tried(a, b, inputs, enumerated(inputs))
        return found or Verdict("enumerated", "all inputs tried", points=tried)
    special = sorted(literals(a.program.jaxpr) | literals(b.program.jaxpr))
    generator = np.random.default_rng(seed)
    points = sampled(inputs, generator, special, samples)
    tried, found, unconfirmed = _tried(a, b, inputs, _chunks(points))
    if found:
        return found
    verdict = _solved(a, b, inputs, points, timeout_s)
    if unconfirmed is not None and verdict.kind == "proved":
        return Verdict(
            "open",
            "proved equal in IEEE 754 arithmetic, but the compiled programs round differently in "
            f"{unconfirmed or 'the result'}",
            points=tried,
            questions=verdict.questions,
        )
    return dataclasses.replace(verdict, points=verdict.points + tried)


def used(jaxpr: Any, names: Sequence[str]) -> set[str]:
    """The names of those inputs of a program that anything in it reads."""
    read = {v for eqn in jaxpr.eqns for v in eqn.invars if not isinstance(v, core.Literal)}
    read |= {v for v in jaxpr.outvars if not isinstance(v, core.Literal)}
    return {name for name, v in zip(names, jaxpr.invars, strict=True) if v in read}


def _only(inputs: Inputs, looked_at: set[str]) -> Inputs:
    """With one value for every leaf that nothing looks at."""
    if inputs.assume is not None:
        assumed = jax.make_jaxpr(inputs.assume)(dict(inputs.shapes))
        looked_at = looked_at | used(assumed.jaxpr, sorted(inputs.shapes))
    ranges = {
        name: declared if name in looked_at else Between(low, low)
        for name, declared in inputs.ranges.items()
        for low, _ in [inputs.bounds(name)]
    }
    return dataclasses.replace(inputs, ranges=ranges)


def _shown(result: tuple[tuple[int, ...], np.dtype] | None) -> str:
    return "nothing" if result is None else f"{result[1]}{list(result[0])}"


# -- trying


def _tried(
    a: Side, b: Side, inputs: Inputs, chunks: Iterator[Leaves]
) -> tuple[int, Verdict | None, str | None]:
    """(points tried, a refutation if one is found, an output that differs in batches only)."""
    tried, unconfirmed = 0, None
    for points in chunks:
        (size,) = {len(x) for x in points.values()}
        tried += size
        ours, theirs = a.batch(points), b.batch(points)
        for name in ours:
            wrong = _differing(ours[name], theirs[name]).reshape(size, -1).any(1)
            if not wrong.any():
                continue
            at = int(np.argmax(wrong))
            point = {leaf: x[at] for leaf, x in points.items()}
            if (output := _executed(a, b, point)) is not None:
                return tried, _refuted(inputs, point, output, tried), None
            unconfirmed = name
    return tried, None, unconfirmed


def _refuted(inputs: Inputs, point: Leaves, output: str, tried: int) -> Verdict:
    leaves = {name: {**inputs.constants, **point}[name] for name in inputs.shapes}
    return Verdict("refuted", "differs where executed", output=output, inputs=leaves, points=tried)


def _executed(a: Side, b: Side, point: Leaves) -> str | None:
    """The first output that differs when both sides are executed on one point."""
    ours, theirs = a.single(point), b.single(point)
    return next((n for n in ours if _differing(ours[n], theirs[n]).any()), None)


def _differing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """bool, entry by entry: whether the bits differ, NaNs being one."""
    if a.dtype.kind != "f":
        return np.asarray(a != b)
    bits = f"u{a.dtype.itemsize}"
    return (a.view(bits) != b.view(bits)) & ~(np.isnan(a) & np.isnan(b))


def _chunks(points: Leaves) -> Iterator[Leaves]:
    (size,) = {len(x) for x in points.values()}
    for start in range(0, size, CHUNK):
        yield {name: x[start : start + CHUNK] for name, x in points.items()}


def _padded(x: np.ndarray) -> np.ndarray:
    return np.pad(x, [(0, CHUNK - len(x)), *[(0, 0)] * (x.ndim - 1)], mode="edge")


# -- proving


def _solved(a: Side, b: Side, inputs: Inputs, points: Leaves, timeout_s: float) -> Verdict:
    from . import jaxpr, solver
    from .terms import Unsupported

    unknowns = solver.Unknowns(inputs)
    given = [unknowns.terms[name] for name in sorted(inputs.shapes)]  # as jax orders a dict
    comparison = solver.Comparison(unknowns, points, time.process_time() + timeout_s)
    try:
        if inputs.assume is not None:
            assumed = jax.make_jaxpr(inputs.assume)(dict(inputs.shapes))
            unknowns.assumed = jaxpr.evaluate(assumed, given)[0].reshape(-1).tolist()
        carried: tuple[list[Any], list[Any]] = [], []
        ours, theirs = (
            jaxpr.evaluate(side.program, given, log)
            for side, log in zip((a, b), carried, strict=True)
        )
    except Unsupported as error:
        return Verdict("open", str(error))
    comparison.follow(*carried)
    pairs = [
        (name, x, y)
        for name, left, right in zip(sorted(a.results), ours, theirs, strict=True)
        for x, y in zip(left.reshape(-1), right.reshape(-1), strict=True)
    ]
    # Small ones first: they are cheap to refute, and once proved they are parts of others.
    pairs.sort(key=lambda pair: solver.depth(pair[1]) + solver.depth(pair[2]))
    opens: dict[str, str] = {}
    for name, x, y in pairs:
        answer = comparison.compare(x, y)
        if answer.model is not None:
            if (output := _executed(a, b, answer.model)) is not None:
                found = _refuted(inputs, answer.model, output, 0)
                return dataclasses.replace(found, questions=comparison.questions)
            opens[name] = "z3's counterexample does not differ when executed"
        elif answer.equal is None:
            opens[name] = answer.reason
    if opens:
        reasons = "; ".join(f"{name}: {why}" for name, why in opens.items())
        return Verdict("open", f"{reasons} ({timeout_s:g} s)", questions=comparison.questions)
    how = "z3" if comparison.questions else "the same terms within the ranges"
    return Verdict("proved", how, questions=comparison.questions)

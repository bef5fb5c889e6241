"""Primitives that look at several entries at once: moves, look-ups, reductions, sorts.

A move is not written down here a second time: JAX moves the numbers of the entries, and the terms
follow. An unknown index is looked up in what JAX does at every place that it may point at.
"""

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import terms as t
from .terms import Term, Terms, Unsupported

MAX_PLACES = 10_000
"""Tables of more places are not looked up by an unknown index."""
MOVES = (
    *("broadcast_in_dim", "concatenate", "copy", "copy_p", "expand_dims", "optimization_barrier"),
    *("pad", "reshape", "rev", "slice", "split", "squeeze", "stack", "tile"),
    "transpose",
)
"""Primitives that put entries elsewhere and do nothing else."""

Rule = Callable[["Equation"], list[Terms]]


class Equation:
    """One equation at work: its operands as terms, and their types; `carried` is jaxpr.py's."""

    def __init__(self, eqn: Any, operands: list[Terms], carried: list[Term]) -> None:
        self.carried = carried
        self.primitive, self.params = eqn.primitive, eqn.params
        self.name: str = eqn.primitive.name
        self.operands = operands
        self.dtypes = [v.aval.dtype for v in eqn.invars]
        self.results = [v.aval for v in eqn.outvars]

    def unsupported(self, why: str = "") -> Unsupported:
        return Unsupported(f"primitive {self.name}" + (f" ({why})" if why else ""))


def operation(name: str, dtype: np.dtype) -> Callable[..., Term]:
    function = t.operation(name, dtype)
    if function is None:
        raise Unsupported(f"primitive {name} of {dtype}")
    return function


def entrywise(function: Callable[..., Term], *operands: Terms) -> Terms:
    operands = tuple(np.broadcast_arrays(*operands))
    entries = zip(*(x.reshape(-1) for x in operands), strict=True)
    return t.filled(operands[0].shape, itertools.starmap(function, entries))


def full_name(e: Equation) -> str:
    """The primitive with its parameters: what two equal opaque functions have in common."""
    given = sorted((k, v) for k, v in e.params.items() if v is not None)
    return f"{e.name}{[f'{k}={v}' for k, v in given] if given else ''}"


def opaque(e: Equation) -> list[Terms]:
    """Every entry of the results as an unknown function of all operands."""
    entries = [x for operand in e.operands for x in operand.reshape(-1)]
    shapes = [operand.shape for operand in e.operands]
    results = [jax.eval_shape(jax.random.key_data, x) if is_key(x) else x for x in e.results]
    return [
        t.filled(
            aval.shape,
            (
                t.opaque(f"{full_name(e)} of {shapes}, {k}[{i}]", entries, aval.dtype)
                for i in range(math.prod(aval.shape))
            ),
        )
        for k, aval in enumerate(results)
    ]


def is_key(aval: Any) -> bool:
    """Whether it is an array of random keys: as terms it has one axis more, of a key's words."""
    return bool(jnp.issubdtype(aval.dtype, jax.dtypes.prng_key))


# -- moves and look-ups


def _numbered(operands: Sequence[Terms]) -> tuple[list[np.ndarray], np.ndarray]:
    """(operands with each entry replaced by its place in the list of all, that list)."""
    ends = np.cumsum([0, *(x.size for x in operands)])
    places = [
        np.arange(start, start + x.size, dtype=np.int32).reshape(x.shape)
        for start, x in zip(ends, operands, strict=False)
    ]
    return places, t.filled([ends[-1]], (x for operand in operands for x in operand.reshape(-1)))


def _move(e: Equation) -> list[Terms]:
    if not is_key(e.results[0]):
        return _moved(e, e.operands)
    # Each word of a key goes where the key goes.
    words = range(e.operands[0].shape[-1])
    moved = [_moved(e, [operand[..., i] for operand in e.operands]) for i in words]
    return [np.stack(results, -1) for results in zip(*moved, strict=True)]


def _moved(e: Equation, operands: Sequence[Terms]) -> list[Terms]:
    places, entries = _numbered(operands)
    moved = e.primitive.bind(*places, **e.params)
    results = moved if e.primitive.multiple_results else [moved]
    return [_taken(entries, np.asarray(result)) for result in results]


def _taken(entries: np.ndarray, places: np.ndarray) -> Terms:
    return t.filled(places.shape, (entries[i] for i in places.reshape(-1)))


def _iota(e: Equation) -> list[Terms]:
    return [t.constants(e.primitive.bind(**e.params))]


class Lookup:
    """Where an index vector of unknowns may point: `counts[k]` places for its k-th entry."""

    def __init__(self, e: Equation, counts: Sequence[int], dtype: np.dtype, clamp: bool) -> None:
        if math.prod(counts) > MAX_PLACES:
            raise e.unsupported(f"an unknown index into {math.prod(counts)} places")
        self.counts, self.clamp = counts, clamp
        self.places = np.array(list(itertools.product(*map(range, counts))), dtype)
        self.places = self.places.reshape(math.prod(counts), len(counts))
        self._at_most, self._at_least, self._equal = (
            operation(name, dtype) for name in ("le", "ge", "eq")
        )
        self._dtype = dtype

    def points_at(self, index: Sequence[Term], place: Sequence[int]) -> Term:
        return t.both(*map(self._entry_points_at, index, place, self.counts))

    def _entry_points_at(self, x: Term, place: int, count: int) -> Term:
        if self.clamp and count == 1:
            return t.constant(True, np.dtype(bool))
        compare = self._equal
        if self.clamp and place in (0, count - 1):
            compare = self._at_most if place == 0 else self._at_least
        return compare(x, t.constant(place, self._dtype))

    def chosen(self, index: Sequence[Term], cases: Sequence[Term] | Terms, outside: Term) -> Term:
        """The case of the place that `index` points at, in the order of `places`."""
        result = outside
        for place, case in zip(reversed(self.places), reversed(cases), strict=True):
            result = t.choose(self.points_at(index, place), case, result)
        return result


def _at_every_place(e: Equation, lookup: Lookup, moved: Callable[[Any], Any]) -> np.ndarray:
    """`moved(index vector)` for all places that the index may point at, [places, ...]."""
    return np.asarray(jax.vmap(moved)(jnp.asarray(lookup.places)))


def _dynamic_slice(e: Equation) -> list[Terms]:
    operand, *index = e.operands
    sizes = e.params["slice_sizes"]
    counts = [dim - size + 1 for dim, size in zip(operand.shape, sizes, strict=True)]
    lookup = Lookup(e, counts, e.dtypes[-1] if index else np.dtype(np.int32), clamp=True)
    (places,), entries = _numbered([operand])

    def moved(start: Any) -> Any:
        return jax.lax.dynamic_slice(places, list(start), sizes)

    cases = _at_every_place(e, lookup, moved)
    return [_looked_up(lookup, [x.item() for x in index], entries, cases)]


def _looked_up(
    lookup: Lookup, index: Sequence[Term], entries: np.ndarray, cases: np.ndarray
) -> Terms:
    """Entries `cases[place]` for the place that one index vector points at."""
    columns = cases.reshape(len(cases), -1).T
    return t.filled(
        cases.shape[1:],
        (lookup.chosen(index, entries[column], entries[column[-1]]) for column in columns),
    )


def _dynamic_update_slice(e: Equation) -> list[Terms]:
    operand, update, *index = e.operands
    counts = [dim - size + 1 for dim, size in zip(operand.shape, update.shape, strict=True)]
    lookup = Lookup(e, counts, e.dtypes[-1] if index else np.dtype(np.int32), clamp=True)
    places, entries = _numbered([operand, update])

    def moved(start: Any) -> Any:
        return jax.lax.dynamic_update_slice(places[0], places[1], list(start))

    cases = _at_every_place(e, lookup, moved)
    return [_looked_up(lookup, [x.item() for x in index], entries, cases)]


def _gather(e: Equation) -> list[Terms]:
    (operand, indices), dims = e.operands, e.params["dimension_numbers"]
    sizes, mode = e.params["slice_sizes"], e.params["mode"]
    fills = mode == jax.lax.GatherScatterMode.FILL_OR_DROP
    counts = [operand.shape[d] - sizes[d] + 1 for d in dims.start_index_map]
    lookup = Lookup(e, counts, e.dtypes[1], clamp=not fills)
    (places,), entries = _numbered([operand])

    def moved(start: Any) -> Any:
        params = {**e.params, "fill_value": None}
        return e.primitive.bind(places, jnp.broadcast_to(start, indices.shape), **params)

    cases = _at_every_place(e, lookup, moved)
    fill = t.constant(_fill_value(e, operand.shape), e.dtypes[0])
    shape = cases.shape[1:]
    batch_axes = [axis for axis in range(len(shape)) if axis not in dims.offset_dims]

    columns = cases.reshape(len(cases), -1).T

    def entry(place: int, at: tuple[int, ...]) -> Term:
        index = indices[tuple(at[axis] for axis in batch_axes)]
        column = entries[columns[place]]
        return lookup.chosen(list(index), column, fill if fills else column[-1])

    return [t.filled(shape, itertools.starmap(entry, enumerate(np.ndindex(shape))))]


def _fill_value(e: Equation, shape: Sequence[int]) -> Any:
    """What `gather` puts where an index is out of bounds."""
    if e.params["fill_value"] is not None:
        return e.params["fill_value"]
    kind = e.dtypes[0].kind
    if kind == "f":
        return np.nan
    if kind == "b":
        return True
    return np.iinfo(e.dtypes[0]).min if kind == "i" else np.iinfo(e.dtypes[0]).max


_COMBINE = {"scatter": None, "scatter-add": "add", "scatter_add": "add", "scatter-mul": "mul"}
_COMBINE |= {"scatter_mul": "mul", "scatter-min": "min", "scatter_min": "min"}
_COMBINE |= {"scatter-max": "max", "scatter_max": "max"}


def _scatter(e: Equation) -> list[Terms]:
    """One window at one index. With several their order would be the compiler's."""
    (operand, indices, updates), dims = e.operands, e.params["dimension_numbers"]
    if math.prod(indices.shape[:-1]) != 1 or dims.operand_batching_dims:
        raise e.unsupported("at more than one index")
    windowed = [d for d in range(operand.ndim) if d not in dims.inserted_window_dims]
    window = [updates.shape[axis] for axis in dims.update_window_dims]
    sizes = [1] * operand.ndim
    for d, size in zip(windowed, window, strict=True):
        sizes[d] = size
    counts = [operand.shape[d] - sizes[d] + 1 for d in dims.scatter_dims_to_operand_dims]
    clamp = e.params["mode"] == jax.lax.GatherScatterMode.CLIP
    lookup = Lookup(e, counts, e.dtypes[1], clamp=clamp)
    combine, dtype = _COMBINE[e.name], e.dtypes[0]
    function = None if combine is None else operation(combine, dtype)
    arrived = np.arange(1, updates.size + 1, dtype=np.int32).reshape(updates.shape)

    def moved(start: Any) -> Any:
        none = jnp.zeros(operand.shape, jnp.int32)
        index = jnp.broadcast_to(start, indices.shape)
        return jax.lax.scatter(none, index, arrived, dims, mode=e.params["mode"])

    cases = _at_every_place(e, lookup, moved)
    index = list(indices.reshape(-1))
    new = updates.reshape(-1)

    def entry(old: Term, arrivals: np.ndarray) -> Term:
        def becomes(which: int) -> Term:
            if which == 0:
                return old
            return new[which - 1] if function is None else function(old, new[which - 1])

        column = [becomes(int(which)) for which in arrivals]
        return lookup.chosen(index, column, column[-1] if clamp else old)

    columns = cases.reshape(len(cases), -1).T
    return [t.filled(operand.shape, map(entry, operand.reshape(-1), columns))]


# -- reductions and the like


def _lines(x: Terms, axes: Sequence[int]) -> tuple[np.ndarray, tuple[int, ...]]:
    """([the other entries, the entries along `axes`], shape of the others)."""
    others = [axis for axis in range(x.ndim) if axis not in axes]
    shape = tuple(x.shape[axis] for axis in others)
    return x.transpose(*others, *axes).reshape(math.prod(shape), -1), shape


def _reduction(name: str) -> Rule:
    def reduce(e: Equation) -> list[Terms]:
        lines, shape = _lines(e.operands[0], e.params["axes"])
        dtype = e.dtypes[0]
        function = operation(name, dtype)
        if lines.shape[1] == 0:
            raise e.unsupported("of no entries")
        if dtype.kind == "f" and name in ("add", "mul"):
            if lines.shape[1] > 2:
                return opaque(e)
            if name == "add":  # -0.0 + 0.0 is 0.0
                zero = t.constant(0.0, dtype)
                lines = np.concatenate([np.full_like(lines[:, :1], zero), lines], 1)
        return [t.filled(shape, (functools.reduce(function, line) for line in lines))]

    return reduce


def _running(name: str) -> Rule:
    def run(e: Equation) -> list[Terms]:
        dtype, axis = e.dtypes[0], e.params["axis"]
        function = operation(name, dtype)
        if dtype.kind == "f" and name in ("add", "mul"):
            return opaque(e)
        lines = np.moveaxis(e.operands[0], axis, -1)
        shape = lines.shape
        step = -1 if e.params["reverse"] else 1
        done = [
            [*itertools.accumulate(line[::step], function)][::step]
            for line in lines.reshape(-1, shape[-1])
        ]
        result = t.filled(shape, itertools.chain.from_iterable(done))
        return [np.moveaxis(result, -1, axis)]

    return run


def _arg_extremum(name: str) -> Rule:
    def find(e: Equation) -> list[Terms]:
        dtype, index = e.dtypes[0], np.dtype(e.params["index_dtype"])
        lines, shape = _lines(e.operands[0], e.params["axes"])
        better = operation(name, dtype)
        differs = operation("ne", dtype)

        def first(line: Sequence[Term]) -> Term:
            best, where = line[0], t.constant(0, index)
            for i, x in enumerate(line[1:], 1):
                wins = better(x, best)
                if dtype.kind == "f":  # a NaN wins over everything but an earlier NaN
                    wins = t.either(wins, t.both(differs(x, x), t.negated(differs(best, best))))
                best = t.choose(wins, x, best)
                where = t.choose(wins, t.constant(i, index), where)
            return where

        return [t.filled(shape, map(first, lines))]

    return find


def _sort(e: Equation) -> list[Terms]:
    """Exchanges of neighbours, so equal ones keep their order."""
    axis, num_keys = e.params["dimension"], e.params["num_keys"]
    columns = [np.moveaxis(x, axis, -1).copy() for x in e.operands]
    below = [t.less(dtype) for dtype in e.dtypes[:num_keys]]
    shape = columns[0].shape

    def comes_before(x: Sequence[Term], y: Sequence[Term]) -> Term:
        result = t.constant(False, np.dtype(bool))
        for less, a, b in reversed(list(zip(below, x, y, strict=False))):
            tie = t.negated(less(b, a))
            result = t.either(less(a, b), t.both(tie, result))
        return result

    for at in np.ndindex(shape[:-1]):
        lines = [column[at] for column in columns]
        for end in range(shape[-1] - 1, 0, -1):
            for i in range(end):
                left, right = [x[i] for x in lines], [x[i + 1] for x in lines]
                swap = comes_before(right, left)
                for line, a, b in zip(lines, left, right, strict=True):
                    line[i], line[i + 1] = t.choose(swap, b, a), t.choose(swap, a, b)
    return [np.moveaxis(column, -1, axis) for column in columns]


def _dot_general(e: Equation) -> list[Terms]:
    (contracted, batched), (x, y) = e.params["dimension_numbers"], e.operands
    (result,) = e.results
    if result.dtype.kind == "f":
        return opaque(e)
    if any(batched):
        raise e.unsupported("with batch dimensions")
    left, shape = _lines(x, contracted[0])
    right, other_shape = _lines(y, contracted[1])
    multiply, add = (operation(name, result.dtype) for name in ("mul", "add"))
    wide = [
        entrywise(lambda v, old=old: t.converted(v, old, result.dtype), side)
        for side, old in zip((left, right), e.dtypes, strict=True)
    ]
    products = (
        functools.reduce(add, map(multiply, row, column)) for row in wide[0] for column in wide[1]
    )
    return [t.filled((*shape, *other_shape), products)]


RULES: Mapping[str, Rule] = {
    "argmax": _arg_extremum("gt"),
    "argmin": _arg_extremum("lt"),
    "cummax": _running("max"),
    "cummin": _running("min"),
    "cumprod": _running("mul"),
    "cumsum": _running("add"),
    "dot_general": _dot_general,
    "dynamic_slice": _dynamic_slice,
    "dynamic_update_slice": _dynamic_update_slice,
    "gather": _gather,
    "iota": _iota,
    "reduce_and": _reduction("and"),
    "reduce_max": _reduction("max"),
    "reduce_min": _reduction("min"),
    "reduce_or": _reduction("or"),
    "reduce_prod": _reduction("mul"),
    "reduce_sum": _reduction("add"),
    "reduce_xor": _reduction("xor"),
    "sort": _sort,
    **dict.fromkeys(MOVES, _move),
    **dict.fromkeys(_COMBINE, _scatter),
}

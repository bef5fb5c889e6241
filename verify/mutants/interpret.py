"""A program run by numpy, one operation after the other, over a batch.

For programs that take far longer to compile than to run. Every array has a leading axis: the
batch, `[N]`, or 1 where all instances have the same. Operations not listed are JAX's own, vmapped.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np

ELEMENTWISE: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs,
    "add": np.add,
    "and": np.bitwise_and,
    "cos": np.cos,
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "neg": np.negative,
    "not": np.invert,
    "or": np.bitwise_or,
    "select_n": lambda which, *cases: np.select([which == i for i in range(len(cases))], cases),
    "sin": np.sin,
    "sub": np.subtract,
    "xor": np.bitwise_xor,
}
MAX_TRIPS = 200
"""Of a while loop, after which it is taken to go on forever."""
CALLS = {"jit": "jaxpr", "closed_call": "call_jaxpr", "custom_jvp_call": "call_jaxpr"}
"""Operations that are a program themselves, and which of their parameters it is."""


class EndlessLoop(RuntimeError):
    """A while loop did not end."""


def batched(function: Callable[..., Any], *arguments: Any) -> Any:
    """`jax.vmap(function)(*arguments)`, but for rounding; leaves of the arguments [N, ...].

    Raises what tracing the function raises, and EndlessLoop.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(arguments)]
    one = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), arguments)
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*one)
    with np.errstate(all="ignore"):
        found = _run(closed, leaves)
    out = [np.broadcast_to(x, (len(leaves[0]), *x.shape[1:])) for x in found]
    return jax.tree.unflatten(jax.tree.structure(shapes), out)


def _run(closed: jex.ClosedJaxpr, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    jaxpr = closed.jaxpr
    values: dict[Any, np.ndarray] = dict(zip(jaxpr.invars, inputs, strict=True))
    values.update(zip(jaxpr.constvars, [np.asarray(x)[None] for x in closed.consts], strict=True))

    def read(atom: Any) -> np.ndarray:
        literal = isinstance(atom, jex.Literal)
        return np.asarray(atom.val, _aval(atom).dtype)[None] if literal else values[atom]

    for eqn in jaxpr.eqns:
        out = _operation(eqn, [read(atom) for atom in eqn.invars])
        values.update(zip(eqn.outvars, out, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _operation(eqn: Any, x: list[np.ndarray]) -> list[np.ndarray]:
    name, params = eqn.primitive.name, eqn.params
    if name in ELEMENTWISE:
        wanted = _aval(eqn.outvars[0])
        rank = wanted.ndim + 1
        out = ELEMENTWISE[name](*(v if v.ndim == rank else _ranked(v, rank) for v in x))
        return [out if out.dtype == wanted.dtype else out.astype(wanted.dtype)]
    match name:
        case _ if name in CALLS:
            return _run(params[CALLS[name]], x)
        case "convert_element_type":
            return [x[0].astype(params["new_dtype"])]
        case "squeeze" | "reshape" if params.get("dimensions") != ():
            return [x[0].reshape(len(x[0]), *_aval(eqn.outvars[0]).shape)]
        case "broadcast_in_dim" if len(x) == 1:
            return [_broadcast(x[0], params["shape"], params["broadcast_dimensions"])]
        case "slice":
            steps = params["strides"] or [1] * (x[0].ndim - 1)
            where = map(slice, params["start_indices"], params["limit_indices"], steps)
            return [x[0][(slice(None), *where)]]
        case "stack" | "concatenate":
            batch = max(map(len, x))
            join = np.stack if name == "stack" else np.concatenate
            axis = params["axis" if name == "stack" else "dimension"] + 1
            return [join([np.broadcast_to(v, (batch, *v.shape[1:])) for v in x], axis)]
        case "while":
            return _while(params, x)
        case "cond":
            return _cond(params["branches"], x)
        case "scan":
            return _scan(params, x)
    return _vmapped(eqn, x)


def _aval(atom: Any) -> Any:
    """Shape and dtype."""
    return atom.aval


def _ranked(x: np.ndarray, rank: int) -> np.ndarray:
    """A scalar of each instance, beside arrays."""
    return x.reshape(len(x), *[1] * (rank - 1))


def _broadcast(x: np.ndarray, shape: Sequence[int], dimensions: Sequence[int]) -> np.ndarray:
    sizes = [1] * len(shape)
    for size, dimension in zip(x.shape[1:], dimensions, strict=True):
        sizes[dimension] = size
    return np.broadcast_to(x.reshape(len(x), *sizes), (len(x), *shape))


def _while(params: Mapping[str, Any], x: list[np.ndarray]) -> list[np.ndarray]:
    """Until no instance goes on; those that have stopped stay as they are."""
    first = params["cond_nconsts"]
    second = first + params["body_nconsts"]
    carry = x[second:]
    for _ in range(MAX_TRIPS):
        (goes_on,) = _run(params["cond_jaxpr"], [*x[:first], *carry])
        if not goes_on.any():
            return carry
        after = _run(params["body_jaxpr"], [*x[first:second], *carry])
        carry = [_select(goes_on, new, old) for new, old in zip(after, carry, strict=True)]
    raise EndlessLoop(f"a loop goes on after {MAX_TRIPS} trips")


def _cond(branches: Sequence[jex.ClosedJaxpr], x: list[np.ndarray]) -> list[np.ndarray]:
    """The branches that any instance takes."""
    which = np.clip(x[0].astype(np.int64), 0, len(branches) - 1)
    taken = np.unique(which).tolist()
    out = _run(branches[taken[0]], x[1:])
    for branch in taken[1:]:
        others = _run(branches[branch], x[1:])
        out = [_select(which == branch, new, old) for new, old in zip(others, out, strict=True)]
    return out


def _scan(params: Mapping[str, Any], x: list[np.ndarray]) -> list[np.ndarray]:
    first = params["num_consts"]
    second = first + params["num_carry"]
    carry, steps = x[first:second], range(params["length"])
    rows: list[list[np.ndarray]] = []
    for step in reversed(steps) if params["reverse"] else steps:
        out = _run(params["jaxpr"], [*x[:first], *carry, *(xs[:, step] for xs in x[second:])])
        carry = out[: second - first]
        rows.append(out[second - first :])
    if params["reverse"]:
        rows.reverse()
    return [*carry, *(np.stack(np.broadcast_arrays(*row), 1) for row in zip(*rows, strict=True))]


def _select(condition: np.ndarray, then: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    return np.where(_ranked(condition, max(then.ndim, 1)), then, otherwise)


def _vmapped(eqn: Any, x: list[np.ndarray]) -> list[np.ndarray]:
    bind = partial(eqn.primitive.bind, **eqn.params)
    same = [len(v) == 1 for v in x]
    given = [v[0] if alike else v for v, alike in zip(x, same, strict=True)]
    axes = [None if alike else 0 for alike in same]
    out = bind(*given) if all(same) else jax.vmap(bind, axes)(*given)
    out = out if eqn.primitive.multiple_results else [out]
    out = [v[None] for v in out] if all(same) else out
    return [v if jnp.issubdtype(v.dtype, jax.dtypes.prng_key) else np.asarray(v) for v in out]

"""From a program of scalars to one Pallas kernel, a thread for each instance."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from .program import Loop, Program, Unsupported, Value

BLOCK = 32
"""Instances of a block: one warp, so a loop waits for the slowest of 32 only."""


OPERATIONS: dict[str, Callable[..., Any]] = {
    "select": jnp.where,
    "add": jnp.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "neg": jnp.negative,
    "and": jnp.bitwise_and,
    "or": jnp.bitwise_or,
    "xor": jnp.bitwise_xor,
    "not": jnp.bitwise_not,
    "eq": jnp.equal,
    "ne": jnp.not_equal,
    "lt": jnp.less,
    "le": jnp.less_equal,
    "gt": jnp.greater,
    "ge": jnp.greater_equal,
    "max": jnp.maximum,
    "min": jnp.minimum,
    "is_finite": lambda x: jnp.abs(x) < jnp.inf,
}
"""Those that are called otherwise in jax.lax than the primitive, or take [BLOCK] with []."""


WITHOUT_RULE = {"erf", "erfc", "round_half_even", "round_half_away"}
"""Operations that Triton, as Pallas lowers to it, does not have."""


def check(program: Program) -> None:
    """Raises Unsupported where a program cannot become a Pallas kernel."""
    for body in program.bodies.values():
        for item in (*body.head, *body.steps):
            if isinstance(item, Value) and item.op in WITHOUT_RULE:
                raise Unsupported(f"the primitive {item.op} has no kernel in Pallas (Triton)")


def run(
    program: Program, rows: Sequence[Array], size: int, name: str, *, interpret: bool = False
) -> list[Array]:
    """The program for `size` instances. rows: [B, ...], or [1, ...] for what all share.

    interpret: on the host, without a GPU.
    """
    # Imported where it is used: it costs every process a tenth of a second otherwise.
    from jax.experimental import pallas as pl
    from jax.experimental.pallas import triton

    padded = -(-size // BLOCK) * BLOCK
    columns = [_columns(row, size, padded) for row in rows]
    shared = [row.shape[0] == 1 for row in rows]

    def spec(elements: int, is_shared: bool) -> pl.BlockSpec:
        if is_shared:
            return pl.BlockSpec((elements, 1), lambda i: (0, 0))
        return pl.BlockSpec((elements, BLOCK), lambda i: (0, i))

    outputs = program.output_leaves
    results = pl.pallas_call(
        functools.partial(_kernel, program, shared),
        grid=(padded // BLOCK,),
        in_specs=[spec(c.shape[0], s) for c, s in zip(columns, shared, strict=True)],
        out_specs=[spec(leaf.size, False) for leaf in outputs],
        out_shape=[jax.ShapeDtypeStruct((x.size, padded), _stored(x.dtype)) for x in outputs],
        compiler_params=triton.CompilerParams(num_warps=1, num_stages=1),
        interpret=interpret,
        name=name,
    )(*columns)
    return [
        jnp.transpose(result[:, :size]).reshape(size, *leaf.shape).astype(leaf.dtype)
        for result, leaf in zip(results, outputs, strict=True)
    ]


def _stored(dtype: np.dtype) -> np.dtype:
    """Memory holds bytes, not bits."""
    return np.dtype(np.int8) if dtype.kind == "b" else dtype


def _columns(row: Array, size: int, padded: int) -> Array:
    """[elements, B]: neighbouring threads read neighbouring numbers. Padded with the last."""
    flat = jnp.transpose(row.reshape(row.shape[0], -1)).astype(_stored(row.dtype))
    if row.shape[0] == 1 or size == padded:
        return flat
    return jnp.pad(flat, ((0, 0), (0, padded - size)), mode="edge")


def _kernel(program: Program, shared: list[bool], *refs: Any) -> None:
    inputs, outputs = refs[: len(shared)], refs[len(shared) :]
    evaluator = _Evaluator(program, inputs, shared)
    evaluator.items(program.bodies[None].steps, None)
    for ref, values, leaf in zip(outputs, program.outputs, program.output_leaves, strict=True):
        for element, value in enumerate(values):
            ref[element, :] = evaluator.full(value).astype(_stored(leaf.dtype))


class _Evaluator:
    """Computes with one number for each instance of a block, or one for all: [BLOCK] or []."""

    def __init__(self, program: Program, inputs: Sequence[Any], shared: list[bool]) -> None:
        self.program = program
        self.known: dict[Value, Any] = {}
        for value in program.used_inputs:
            argument, element = value.payload
            number = inputs[argument][element, 0 if shared[argument] else slice(None)]
            self.known[value] = number != 0 if value.dtype.kind == "b" else number

    def full(self, value: Value) -> Array:
        """A value for each instance."""
        return jnp.broadcast_to(jnp.asarray(self.read(value), value.dtype), (BLOCK,))

    def read(self, value: Value) -> Any:
        return value.payload if value.op == "constant" else self.known[value]

    def items(self, items: Sequence[Value | Loop], active: Array | None) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.loop(item, active)
            else:
                self.known[item] = self.compute(item)

    def compute(self, value: Value) -> Any:
        args = [self.read(arg) for arg in value.args]
        match value.op:
            case "convert":
                return jnp.asarray(args[0]).astype(value.dtype)
            case "bitcast":
                return lax.bitcast_convert_type(args[0], value.dtype)
        if value.op in OPERATIONS:
            return OPERATIONS[value.op](*args)
        return getattr(lax, value.op)(*jnp.broadcast_arrays(*args))

    def loop(self, loop: Loop, around: Array | None) -> None:
        """Until the last instance of the block is done; those that are keep their variables.

        around: which instances the loop around is not done with, bool [BLOCK]; None for all.
        """
        body = self.program.bodies[loop]
        variables = [loop.variables[i] for i in body.variables]
        outside = self.known

        def bind(carry: Sequence[Array]) -> None:
            self.known = {**outside, **dict(zip(variables, carry, strict=True))}

        def goes_on(carry: Sequence[Array]) -> Array:
            """Which instances are not done."""
            assert loop.condition is not None
            bind(carry)
            self.items(body.head, around)
            active = self.full(loop.condition)
            return active if around is None else active & around

        def advance(carry: Sequence[Array], active: Array | None) -> list[Array]:
            bind(carry)
            self.items([*body.head, *body.steps], active)
            return [self.full(loop.nexts[i]) for i in body.variables]

        def step(carry: tuple[Array, list[Array]]) -> tuple[Array, list[Array]]:
            active, old = carry
            new = [jnp.where(active, n, o) for n, o in zip(advance(old, active), old, strict=True)]
            return goes_on(new), new

        def any_goes_on(carry: tuple[Array, list[Array]]) -> Array:
            return jnp.max(carry[0].astype(jnp.int32)) > 0

        inits = [self.full(loop.inits[i]) for i in body.variables]
        if loop.condition is None:
            finals = lax.fori_loop(0, loop.trips, lambda _, carry: advance(carry, around), inits)
        else:
            _, finals = lax.while_loop(any_goes_on, step, (goes_on(inits), inits))
        self.known = outside
        self.known.update(zip([loop.results[i] for i in body.variables], finals, strict=True))

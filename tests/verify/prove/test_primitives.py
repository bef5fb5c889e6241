"""Every primitive as a term is what JAX computes, bit by bit, NaNs being one.

Subnormals are left out: XLA's CPU programs flush them to zero in most places (not in all).
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

z3 = pytest.importorskip("z3")

from simlift.verify.prove import jaxpr, terms  # noqa: E402

SIGNED = [np.int8, np.int32, np.int64]
UNSIGNED = [np.uint16, np.uint32]
INTEGERS = SIGNED + UNSIGNED
FLOATS = [np.float32, np.float64]
GENERATOR = np.random.default_rng(20)


@pytest.fixture(autouse=True)
def _nan_and_64_bits() -> Any:
    with jax.debug_nans(False), jax.enable_x64(True):
        yield


def interesting(dtype: Any) -> np.ndarray:
    """Boundary values and a few random ones, no subnormals."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        bounds = [info.min, info.min + 1, info.max, info.max - 1, 0, 1, 2, 3, 7, 31]
        bounds += [-1, -2, -7] if info.min else []
        random = GENERATOR.integers(info.min, info.max, 4, dtype, endpoint=True)
        return np.concatenate([np.array(bounds, dtype), random])
    info = np.finfo(dtype)
    bounds = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, np.nan, np.inf, -np.inf, info.max]
    bounds += [-info.max, info.tiny, 255.5, -128.7, 3e9, -3e9, 2.0**31, 2.0**63, 1 + info.eps]
    return np.concatenate([np.array(bounds, dtype), GENERATOR.normal(0, 100, 4).astype(dtype)])


def pairs(dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    values = interesting(dtype)
    left, right = zip(*itertools.product(values, values), strict=True)
    return np.array(left), np.array(right)


def same(ours: np.ndarray, theirs: Any) -> np.ndarray:
    """bool, entry by entry: bit by bit, NaNs being one."""
    theirs = np.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    if ours.dtype.kind != "f":
        return ours == theirs
    bits = f"u{ours.dtype.itemsize}"
    return (ours.view(bits) == theirs.view(bits)) | (np.isnan(ours) & np.isnan(theirs))


def check(function: Callable[..., Any], *inputs: Any) -> None:
    """As constants all along, and as unknowns into which the inputs are put at the end."""
    inputs = tuple(np.asarray(x) for x in inputs)
    program = jax.make_jaxpr(function)(*inputs)
    expected = jax.tree.leaves(jax.jit(function)(*inputs))
    known = [terms.constants(x) for x in inputs]
    unknown = [terms.variables(f"x{i}", x.shape, x.dtype) for i, x in enumerate(inputs)]
    values = [
        pair
        for variable, constant in zip(unknown, known, strict=True)
        for pair in zip(variable.reshape(-1), constant.reshape(-1), strict=True)
    ]

    def with_inputs(results: list[Any]) -> list[Any]:
        entries = [term for x in results for term in x.reshape(-1)]  # in one go: it is faster
        bundle = z3.Function("bundle", *(term.sort() for term in entries), z3.BoolSort())
        done = iter(z3.simplify(z3.substitute(bundle(*entries), *values)).children())
        return [terms.filled(x.shape, itertools.islice(done, x.size)) for x in results]

    folded = jaxpr.evaluate(program, known)
    put_in = with_inputs(jaxpr.evaluate(program, unknown))
    for results in (folded, put_in):
        for result, theirs in zip(results, expected, strict=True):
            ours = terms.numbers(result, np.asarray(theirs).dtype)
            assert ours is not None, "not a constant"
            right = same(ours, theirs)
            wrong = np.argwhere(~right)
            shown = [
                tuple(x[tuple(i)] if x.shape == right.shape else x for x in inputs)
                for i in wrong[:3]
            ]
            assert right.all(), (
                f"{shown}: {ours[~right][:3]}, JAX: {np.asarray(theirs)[~right][:3]}"
            )


def named(name: str, dtype: Any) -> str:
    return f"{name}-{np.dtype(dtype).name}"


BINARY = {
    "add": INTEGERS + FLOATS,
    "sub": INTEGERS + FLOATS,
    "mul": INTEGERS + FLOATS,
    "div": INTEGERS + FLOATS,
    "rem": INTEGERS,
    "max": [bool, *INTEGERS, *FLOATS],
    "min": [bool, *INTEGERS, *FLOATS],
    **{n: [bool, *INTEGERS, *FLOATS] for n in ("eq", "ne", "lt", "le", "gt", "ge")},
    **{n: [bool, *INTEGERS] for n in ("bitwise_and", "bitwise_or", "bitwise_xor")},
    **{n: INTEGERS for n in ("shift_left", "shift_right_logical", "shift_right_arithmetic")},
}
UNARY = {
    "neg": INTEGERS + FLOATS,
    "abs": SIGNED + FLOATS,
    "sign": INTEGERS + FLOATS,
    "square": INTEGERS + FLOATS,
    "bitwise_not": [bool, *INTEGERS],
    "population_count": INTEGERS,
    **dict.fromkeys(["sqrt", "floor", "ceil", "is_finite"], FLOATS),
}


@pytest.mark.parametrize(
    "name, dtype",
    [pytest.param(n, d, id=named(n, d)) for n, dtypes in BINARY.items() for d in dtypes],
)
def test_two_operands(name: str, dtype: Any) -> None:
    left, right = pairs(dtype)
    if name in ("add", "sub", "mul", "div") and np.dtype(dtype).kind == "f":
        with np.errstate(all="ignore"):
            result = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
            exact = result[name](left, right)
        keep = (exact == 0) | ~(np.abs(exact) < np.finfo(dtype).tiny)
        left, right = left[keep], right[keep]
    check(getattr(lax, name), left, right)


@pytest.mark.parametrize(
    "name, dtype",
    [pytest.param(n, d, id=named(n, d)) for n, dtypes in UNARY.items() for d in dtypes],
)
def test_one_operand(name: str, dtype: Any) -> None:
    values = interesting(dtype)
    if name == "square" and np.dtype(dtype).kind == "f":
        values = values[np.abs(values) != np.finfo(dtype).tiny]
    check(getattr(lax, name), values)


@pytest.mark.parametrize("old", [bool, *INTEGERS, *FLOATS], ids=lambda d: np.dtype(d).name)
@pytest.mark.parametrize("new", [bool, *INTEGERS, *FLOATS], ids=lambda d: np.dtype(d).name)
def test_conversions(old: Any, new: Any) -> None:
    values = interesting(old)
    if (old, new) == (np.float64, np.float32):
        values = values[values != np.finfo(old).tiny]
    check(lambda x: lax.convert_element_type(x, new), values)


@pytest.mark.parametrize(
    "old, new",
    [(np.int32, np.uint32), (np.int32, np.float32), (np.uint64, np.float64),
     (np.float32, np.int32), (np.float64, np.uint64)],
)  # fmt: skip
def test_bitcasts(old: Any, new: Any) -> None:
    values = interesting(old)
    if np.dtype(new).kind == "f":
        values = np.array([0, 1 << 30, 0x7F800000, 0x41200000], old)
    check(lambda x: lax.bitcast_convert_type(x, new), values[~np.isnan(values)])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("method", list(lax.RoundingMethod))
def test_round(method: lax.RoundingMethod, dtype: Any) -> None:
    check(lambda x: lax.round(x, method), interesting(dtype))


@pytest.mark.parametrize("dtype", [np.int8, np.uint32, np.float32])
def test_clamp(dtype: Any) -> None:
    values = interesting(dtype)
    low, x, high = (GENERATOR.choice(values, 200) for _ in range(3))
    check(lax.clamp, low, x, high)
    check(lax.clamp, low[0], x, high[0])


def test_select_n() -> None:
    cases = [interesting(np.float32)[:3] + i for i in range(5)]
    check(lambda p: lax.select_n(p, *cases[:2]), np.array([True, False, True]))
    for count in (2, 3, 5):
        which = np.array([0, count - 1, count // 2], np.int32)
        check(lambda p, c=count: lax.select_n(p, *cases[:c]), which)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_integer_pow(dtype: Any) -> None:
    values = np.array([0, 1, -3, 7, 100, -46341], dtype)
    check(lambda x: lax.integer_pow(x, 2), values)
    if dtype is np.int32:
        check(lambda x: lax.integer_pow(x, 5), values)


# -- arrays

TABLE = np.arange(12, dtype=np.int16).reshape(3, 4) * 7


def test_moves() -> None:
    check(lambda x: x.reshape(4, 3).T[::-1, 1:], TABLE)
    check(lambda x: jnp.broadcast_to(x[:, None], (3, 2, 4)).squeeze(), TABLE)
    check(lambda x: jnp.concatenate([x, 2 * x[:1]], 0), TABLE)
    check(lambda x: jnp.stack([x[0], x[2]]), TABLE)
    check(lambda x: lax.pad(x, jnp.int16(9), ((1, -1, 1), (0, 2, 0))), TABLE)
    check(lambda x: jnp.split(x, 2, axis=1), TABLE)
    check(lambda x: jnp.roll(x, 1, axis=1) + lax.iota(jnp.int16, 4)[None], TABLE)
    check(lambda x: jnp.tile(x, (2, 1)), TABLE)


@pytest.mark.parametrize("index", [-(2**31), -5, -1, 0, 1, 2, 3, 4, 2**31 - 1])
def test_unknown_indexes(index: int) -> None:
    i = np.int32(index)
    check(lambda x, i: x[i], TABLE, i)
    check(lambda x, i: x[1, i], TABLE, i)
    check(lambda x, i: lax.dynamic_slice(x, (i, i), (2, 2)), TABLE, i)
    check(lambda x, i: lax.dynamic_update_slice(x, x[:2, :2] - 1, (i, i)), TABLE, i)
    check(lambda x, i: x.at[i].get(mode="fill", fill_value=-1), TABLE, i)
    check(lambda x, i: x.at[i, 2].get(mode="fill"), TABLE.astype(np.float32), i)
    check(lambda x, i: x.at[i].get(mode="clip"), TABLE, i)
    check(lambda x, i: x.at[i].set(3), TABLE, i)
    check(lambda x, i: x.at[1, i].set(3, mode="clip"), TABLE, i)
    check(lambda x, i: x.at[i, 1].add(3), TABLE, i)
    check(lambda x, i: x.at[:, i].max(20), TABLE, i)
    check(lambda x, i: x.at[i].multiply(2), TABLE, i)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_narrow_indexes(dtype: Any) -> None:
    for i in np.array([0, 2, 3, 100, 200]).astype(dtype):
        check(lambda x, i: x[i], TABLE, i)


def test_several_unknown_indexes() -> None:
    rows, columns = np.array([2, 0, -1, 5], np.int32), np.array([3, -4, 1, 9], np.int32)
    check(lambda x, i: x[i], TABLE, rows)
    check(lambda x, i, j: x[i, j], TABLE, rows, columns)
    check(lambda x, i: jnp.take(x, i, axis=1), TABLE, columns)
    check(lambda x, i: jnp.take_along_axis(x, i[:3, None], axis=1), TABLE, rows)
    check(lambda x, i: x[jnp.array([0, 2]), i[:2]], TABLE, columns)


REDUCED = np.array([[3, -7, 0, 3], [-128, 127, 1, -1], [2, 2, 2, 2]], np.int8)
REDUCED_FLOATS = np.array([[3, -0.0, 0, 3], [np.nan, 1, np.nan, -np.inf], [-0.0, 2, 2, 0]])


@pytest.mark.parametrize("axis", [0, 1, None, -1])
def test_reductions(axis: int | None) -> None:
    for reduce in (jnp.max, jnp.min, jnp.any, jnp.all, jnp.sum, jnp.prod):
        check(lambda x, f=reduce: f(x, axis=axis), REDUCED)
    for reduce in (jnp.max, jnp.min, jnp.argmax, jnp.argmin):
        check(lambda x, f=reduce: f(x, axis=axis), REDUCED_FLOATS)
        check(lambda x, f=reduce: f(x, axis=axis), REDUCED)
    check(lambda x: jnp.bitwise_xor.reduce(x, axis=axis), REDUCED)


def test_sums_of_two_floats() -> None:
    check(lambda x: jnp.sum(x, axis=1), REDUCED_FLOATS[:, :2])
    check(lambda x: jnp.prod(x, axis=1), REDUCED_FLOATS[:, 1:3])


@pytest.mark.parametrize("reverse", [False, True])
def test_running_reductions(reverse: bool) -> None:
    for run in (lax.cumsum, lax.cumprod, lax.cummax, lax.cummin):
        check(lambda x, f=run: f(x, axis=1, reverse=reverse), REDUCED)
    for run in (lax.cummax, lax.cummin):
        check(lambda x, f=run: f(x, axis=0, reverse=reverse), np.nan_to_num(REDUCED_FLOATS))


def test_sorts() -> None:
    check(lambda x: jnp.sort(x, axis=1), REDUCED)
    check(lambda x: jnp.sort(x, axis=0), REDUCED_FLOATS)
    check(lambda x: jnp.argsort(x, axis=1), REDUCED)
    check(lambda x, y: lax.sort((x, y, y + x), dimension=1, num_keys=2), REDUCED, REDUCED[::-1])


def test_integer_products() -> None:
    square = REDUCED[:, :3].astype(np.int32)
    check(lambda x: x @ x[0], square)
    check(lambda x, y: lax.dot(x, y, preferred_element_type=jnp.int32), REDUCED, REDUCED.T)


# -- programs within programs


def test_control_flow() -> None:
    x = np.array([3, -4, 5], np.int32)
    check(lambda x: lax.fori_loop(0, 3, lambda i, c: c * 2 + i, x), x)
    check(lambda x: lax.scan(lambda c, y: (c + y, c * y), x[0], x, reverse=True), x)
    check(lambda x: lax.scan(lambda c, y: (c + y, c * y), x[0], x), x)
    check(lambda x: lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, c[1] - x), (0, x)), x)
    for value in x:
        check(lambda v: lax.cond(v > 0, lambda a: a + 1, lambda a: -a, v), value)
        check(lambda v: lax.switch(v, [lambda a: a, lambda a: a + 1, lambda a: a * 9], v), value)
    check(jax.nn.relu, x.astype(np.float32))
    check(jax.checkpoint(lambda x: x + 1), x)
    check(lambda x: jax.jit(lambda y: jnp.where(y > 0, y, 0))(x), x)
    check(lambda x: jnp.floor_divide(x, 2) + jnp.remainder(x, 3), x)


@pytest.mark.parametrize(
    "function, why",
    [
        (lambda x: lax.while_loop(lambda c: c < x, lambda c: c + 1, jnp.int32(0)), "trip count"),
        (
            lambda x: jax.random.key_data(
                jax.random.clone(jax.random.wrap_key_data(jnp.stack([x, x]).astype(jnp.uint32)))
            ),
            "random",
        ),
        (lambda x: x.astype(jnp.bfloat16), "bfloat16"),
        (lambda x: x.astype(jnp.float16), "float16"),
        (lambda x: x.astype(jnp.float32).astype(jnp.float16) + 1, "add"),
        (lambda x: jnp.zeros(3, jnp.int32).at[jnp.stack([x, x])].set(1), "more than one index"),
        (lambda x: lax.dynamic_slice(jnp.zeros(20_000), (x,), (1,)), "20000 places"),
        (lambda x: lax.fori_loop(0, 10**6, lambda i, c: c + 1, x), "trips"),
    ],
)
def test_unsupported_is_said(function: Callable[..., Any], why: str) -> None:
    program = jax.make_jaxpr(function)(np.int32(3))
    with pytest.raises(terms.Unsupported, match=why):
        jaxpr.evaluate(program, [terms.variables("x", (), np.dtype(np.int32))])


def test_platform_functions_are_unknown_but_the_same() -> None:
    program = jax.make_jaxpr(lambda x, y: (jnp.sin(x), jnp.sin(y + 0), jnp.sin(-x), jnp.sum(y)))(
        np.float32(1), np.ones(3, np.float32)
    )
    x = terms.variables("x", (), np.dtype(np.float32))
    y = terms.variables("y", (3,), np.dtype(np.float32))
    (first, _, other, total), (again, *_) = (jaxpr.evaluate(program, [x, y]) for _ in range(2))
    assert first.item().eq(again.item())
    assert not first.item().eq(other.item())
    assert not terms.is_constant(total.item())

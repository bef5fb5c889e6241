"""Each operation of a C kernel, and random expressions of them, bit by bit against XLA's.

XLA is asked operation by operation: a whole program it contracts and rewrites.
"""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from simlift.envs.kernels import Unsupported, lift

# Zeros, ends of ranges, halves, what is not a number. No subnormal numbers: XLA makes zeros of them
# on CPUs, and which operations do is nobody's contract.
FLOATS = [0.0, 1.0, 0.5, 1.5, 2.5, 7.25, 0.1, 127.5, 300.0, 70000.0, 1e10, 16777217.0]
FLOATS += [2.0**31 - 128, 2.0**31, 2.0**32 - 256, 2.0**32, 1e-30, 1.1754944e-38, 3e38, np.inf]
INTS = [0, 1, 2, 3, 5, 7, 31, 32, 33, 100, 127, 128, 300, 32767, 65535, 2**31 - 1]
SPECIAL = {
    "float32": np.array([*FLOATS, *(-x for x in FLOATS), np.nan], np.float32),
    "int32": np.array([*INTS, *(-x for x in INTS), -(2**31)], np.int32),
    "uint32": np.array([*INTS, 2**31, 2**32 - 1, 2**32 - 5], np.uint32),
    "bool": np.array([False, True]),
}
SPECIAL |= {name: SPECIAL["int32"].astype(name) for name in ("int8", "int16", "uint8", "uint16")}


def _convert(dtype: str) -> Callable[[Any], Any]:
    return lambda x: lax.convert_element_type(x, dtype)


ROUND = {
    "rint": lambda x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN),
    "round": lambda x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO),
}
CONVERT = {f"to_{dtype}": _convert(dtype) for dtype in SPECIAL}
COMPARE = ("eq", "ne", "lt", "le", "gt", "ge")
ORDERED = ("add", "sub", "mul", "div", "rem", "max", "min", *COMPARE)
BITS = ("bitwise_and", "bitwise_or", "bitwise_xor")
SHIFTS = ("shift_left", "shift_right_logical", "shift_right_arithmetic")


def named(*names: str) -> dict[str, Callable[..., Any]]:
    return {name: getattr(lax, name) for name in names}


INTEGER_UNARY = named("sign", "bitwise_not") | CONVERT
UNARY = {
    "float32": named("neg", "abs", "sign", "sqrt", "floor", "ceil", "is_finite") | ROUND | CONVERT,
    "bool": named("bitwise_not") | CONVERT,
    **{dtype: named("neg", "abs") | INTEGER_UNARY for dtype in ("int8", "int16", "int32")},
    **{dtype: named("neg") | INTEGER_UNARY for dtype in ("uint8", "uint16", "uint32")},
}
BINARY = {
    "float32": named(*ORDERED),
    "bool": named("eq", "ne", *BITS),
    **{dtype: named(*ORDERED, *BITS, *SHIFTS) for dtype in ("int32", "uint32")},
    **{dtype: named(*ORDERED, *BITS) for dtype in ("int8", "int16", "uint8", "uint16")},
}


def same_bits(ours: Any, theirs: Any) -> np.ndarray:
    """Whether they are, one by one; any NaN is as good as another."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert ours.dtype == theirs.dtype
    if ours.dtype.kind != "f":
        return ours == theirs
    nan = np.isnan(ours) & np.isnan(theirs)
    return nan | ((ours == theirs) & (np.signbit(ours) == np.signbit(theirs)))


def check(rules: dict[str, Callable[..., Any]], *args: np.ndarray) -> None:
    """All rules in one kernel."""

    def every(*numbers: Any) -> dict[str, Any]:
        return {name: rule(*numbers) for name, rule in rules.items()}

    with jax.debug_nans(False):
        arrays = [jnp.asarray(arg) for arg in args]
        ours = jax.vmap(lift(every, name="every", backend="c"))(*arrays)
        for name, rule in rules.items():
            wrong = ~same_bits(ours[name], rule(*arrays))
            i = int(np.argmax(wrong))
            assert not wrong.any(), f"{name} of {[arg[i] for arg in args]}: {ours[name][i]}"


@pytest.mark.parametrize("dtype", UNARY)
def test_operations_of_one_number_are_xlas(dtype: str) -> None:
    check(UNARY[dtype], SPECIAL[dtype])


@pytest.mark.parametrize("dtype", BINARY)
def test_operations_of_two_numbers_are_xlas(dtype: str) -> None:
    pairs = itertools.product(SPECIAL[dtype], SPECIAL[dtype])
    check(BINARY[dtype], *map(np.array, zip(*pairs, strict=True)))


def test_limits_that_are_constants_are_xlas() -> None:
    limits = [0.0, -0.0, 1.5, -1.5]
    rules = {
        f"{name} {limit} {side}": (
            lambda x, rule=rule, limit=limit, side=side: rule(
                *(x, jnp.full_like(x, limit))[:: 1 if side == "right" else -1]
            )
        )
        for name, rule in named("max", "min").items()
        for limit in limits
        for side in ("left", "right")
    }
    check(rules, SPECIAL["float32"])


def test_bits_are_kept_where_a_number_is_read_as_another() -> None:
    rules = {
        dtype: (lambda x, dtype=dtype: lax.bitcast_convert_type(x, dtype))
        for dtype in ("int32", "uint32")
    }
    check(rules, SPECIAL["float32"])


# Random expressions: a list of operations, each on numbers made before.
FLOAT_OPS = ("add", "sub", "mul", "div", "max", "min", "neg", "abs", "sqrt", "select")
INT_OPS = ("add", "sub", "mul", "max", "min", "neg", "bitwise_xor", "shift_left", "select")
CONSTANTS = (0.0, -0.0, 1.0, -1.0, 2.0, 0.1, -3.5)
PLACES = st.integers(0, 10**6)
STEP = st.tuples(PLACES, PLACES, PLACES, PLACES)


def expression(
    steps: list[tuple[int, int, int, int]], names: tuple[str, ...], dtype: Any
) -> Callable[..., list[Any]]:
    """What the steps say: every number that is made."""

    def run(*inputs: Any) -> list[Any]:
        numbers = [*inputs, *(jnp.asarray(c, dtype) for c in CONSTANTS)]
        made = []
        for op, first, second, third in steps:
            a, b, c = (numbers[place % len(numbers)] for place in (first, second, third))
            name = names[op % len(names)]
            if name == "select":
                value = jnp.where(a < b, b, c)
            elif name in ("neg", "abs", "sqrt"):
                value = getattr(lax, name)(a)
            else:
                value = getattr(lax, name)(a, b)
            numbers.append(value)
            made.append(value)
        return made

    return run


@pytest.mark.parametrize(("names", "dtype"), [(FLOAT_OPS, "float32"), (INT_OPS, "int32")])
@settings(max_examples=8)
@given(steps=st.lists(STEP, min_size=4, max_size=40), seed=st.integers(0, 2**32 - 1))
def test_expressions_are_xlas(
    names: tuple[str, ...], dtype: str, steps: list[tuple[int, int, int, int]], seed: int
) -> None:
    inputs = np.random.default_rng(seed).choice(SPECIAL[dtype], (3, 50))
    run = expression(steps, names, dtype)
    with jax.debug_nans(False):
        ours = jax.vmap(lift(run, name="expression", backend="c"))(*map(jnp.asarray, inputs))
        closed = jax.make_jaxpr(jax.vmap(run))(*map(jnp.asarray, inputs))
        theirs = jax.core.eval_jaxpr(closed.jaxpr, closed.consts, *map(jnp.asarray, inputs))
    for mine, other in zip(ours, theirs, strict=True):
        assert same_bits(mine, other).all()


@pytest.mark.parametrize(("function", "exact"), [(jnp.sin, np.sin), (jnp.cos, np.cos)])
def test_sine_and_cosine_are_within_two_units_of_the_last_place(function: Any, exact: Any) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.uniform(-1e4, 1e4, 200_000),
            np.geomspace(1e-30, 2.0**24, 200_000),
            np.arange(1, 10_000) * (np.pi / 2),  # where one of them is next to zero
            [0.0, -0.0, 2.0**24, 3e7, -3e7, 1e30],  # beyond 2^24 the C library's
        ]
    ).astype(np.float32)
    ours = np.asarray(jax.vmap(lift(function, name="trig", backend="c"))(jnp.asarray(x)))
    truth = exact(x.astype(np.float64))
    unit = np.spacing(np.abs(truth).astype(np.float32)).astype(np.float64)
    assert (np.abs(ours - truth) / unit).max() <= 2
    assert np.array_equal(np.signbit(ours[truth == 0]), np.signbit(x[truth == 0]))


def test_sine_of_infinity_is_no_number() -> None:
    with jax.debug_nans(False):
        x = jnp.array([jnp.inf, -jnp.inf, jnp.nan], jnp.float32)
        for function in (jnp.sin, jnp.cos):
            assert jnp.isnan(jax.vmap(lift(function, name="trig", backend="c"))(x)).all()


def test_functions_of_the_c_library_are_near_xlas() -> None:
    rules: dict[str, Callable[[Any], Any]] = named(
        *("exp", "exp2", "expm1", "log", "log1p", "tanh", "sinh", "cosh", "asinh", "atanh"),
        *("tan", "asin", "acos", "atan", "cbrt", "rsqrt", "erf", "erfc"),
    )
    rules["acosh"] = lambda x: lax.acosh(x + 1.0)
    rules["pow"] = lambda x: lax.pow(x, x)
    rules["atan2"] = lambda x: lax.atan2(x, 0.3 - x)

    def every(x: Any) -> dict[str, Any]:
        return {name: rule(x) for name, rule in rules.items()}

    x = jnp.linspace(0.01, 0.99, 100, dtype=jnp.float32)
    ours = jax.vmap(lift(every, name="library", backend="c"))(x)
    for name, theirs in every(x).items():
        # XLA's own approximations are good to a few units of the last place, 1.2e-7 each.
        np.testing.assert_allclose(ours[name], theirs, rtol=2e-6, atol=1e-7, err_msg=name)


def test_integer_powers_multiply_as_jax_does() -> None:
    rules = {
        f"power {n}": (lambda x, n=n: lax.integer_pow(x, n)) for n in (-3, -1, 0, 1, 2, 3, 5, 8)
    }
    x = np.random.default_rng(0).uniform(0.5, 2, 100).astype(np.float32)
    with jax.disable_jit():
        check(rules, x)


@pytest.mark.parametrize("dtype", ["int8", "uint16"])
def test_shifts_of_small_integers_have_no_kernel(dtype: str) -> None:
    shift = lift(lambda x: lax.shift_left(x, x), name="shift", backend="c")
    with pytest.raises(Unsupported, match=f"shift_left of {dtype}"):
        shift(jnp.ones((), dtype))

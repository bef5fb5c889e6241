"""What becomes of loops, branches, small matrices and moved elements: C and Pallas beside jnp.

The functions of one instance below use whole or exactly rounded numbers, so all agree to the bit.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array, lax

from simlift.envs.kernels import Unsupported, lift, pallas
from simlift.envs.kernels.program import Program
from simlift.envs.kernels.trace import trace

NUM = 37  # no multiple of any vector


def collatz(n: Array) -> tuple[Array, Array]:
    """Another number of trips for each lane."""

    def halve_or_triple(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        n, trips = carry
        return jnp.where(n % 2 == 0, n // 2, 3 * n + 1), trips + 1

    return lax.while_loop(lambda carry: carry[0] > 1, halve_or_triple, (n, jnp.int32(0)))


def nested(n: Array) -> tuple[Array, Array]:
    """A loop in a loop, a counted loop around them; the inner one never ends for n = 0 alone."""

    def outer(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        left, total = carry
        _, total = lax.while_loop(
            lambda inner: inner[0] != 0,
            lambda inner: (inner[0] - 1, inner[1] + left),
            (left, total),
        )
        return left - 1, total

    def trip(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        left, total = lax.while_loop(lambda c: c[0] > 0, outer, carry)
        return left + n % 4, total * (i + 1)

    return lax.fori_loop(0, 3, trip, (n % 7, n))


def swap(n: Array) -> tuple[Array, Array, Array]:
    """Variables that change places, one that never changes, one that nobody reads."""
    start = (n, n + 1, n * n, n)
    a, b, c, _ = lax.fori_loop(0, 5, lambda i, t: (t[1], t[0], t[2], t[3] * 2), start)
    return a, b, c


def matrices(n: Array) -> dict[str, Array]:
    """Dot products, sums over axes, gathers, updates, concatenations."""
    x = jnp.stack([n, n + 1, n * 2]).astype(jnp.float32)
    m = jnp.arange(9, dtype=jnp.float32).reshape(3, 3).at[1].set(x)
    return {
        "dot": m @ x,
        "product": m @ m.T,
        "sums": m.sum(axis=0),
        "most": m.max(axis=1),
        "all": (m >= 0).all(),
        "any": (m[0] > 100).any(),
        "gather": m[jnp.array([2, 0, 2])],
        "reversed": x[::-1],
        "parts": jnp.concatenate([x[1:], m[:, 1]]),
        "padded": jnp.pad(x, (1, 2)),
        "slice": lax.dynamic_slice(m, (1, 0), (2, 2)),
        "update": lax.dynamic_update_slice(m, x[None], (2, 0)),
        "split": jnp.split(m, [1], axis=1)[1],
        "count": jnp.arange(3) * n,
    }


def branches(n: Array) -> tuple[Array, Array]:
    index = n % 5 - 1  # beyond both ends, too
    chosen = lax.switch(index, [lambda x: x + 1, lambda x: x * 2, lambda x: -x], n)
    return chosen, lax.cond(n > 10, lambda x: x - 10, lambda x: x, n)


def sequences(n: Array) -> tuple[Array, Array, Array]:
    """Scans that read and write sequences, forwards and backwards."""
    xs = jnp.stack([n, n * 2, n * 3, n + 7])
    total, sums = lax.scan(lambda c, x: (c + x, c * x), n, xs)
    return total, sums, lax.scan(lambda c, x: (c + x, c), n, xs, reverse=True)[1]


def calls(n: Array) -> Array:
    """Functions that carry rules of their own."""
    return jax.jit(jax.nn.relu)(n.astype(jnp.float32) - 5.0) + jnp.square(n).astype(jnp.float32)


def lifted_again(n: Array) -> Array:
    """A kernel within a kernel."""
    return lift(swap, name="swap")(n + 1)[0] * 2


def small_integers(n: Array) -> tuple[Array, Array, Array]:
    """Sums that wrap, stored in a byte or two."""
    byte, short = n.astype(jnp.uint8), n.astype(jnp.int16)
    return byte * byte + byte, short * jnp.int16(1001), (byte > 10) & (short < 20)


def long(x: Array) -> Array:
    """A scan over a sequence, which is unrolled."""
    return lax.scan(lambda c, i: (jnp.sqrt(c * c + i), None), x, jnp.arange(64.0))[0]


PROGRAMS = [
    collatz,
    nested,
    swap,
    matrices,
    branches,
    sequences,
    calls,
    lifted_again,
    small_integers,
]


def numbers(function: Callable[..., Any]) -> Array:
    # Where n % 7 is 0, `nested`'s inner loop would not end if it ran.
    return jnp.arange(1 if function is collatz else 0, NUM + 1, dtype=jnp.int32)[:NUM]


def program(function: Callable[..., Any], *args: Any) -> Program:
    return trace(jax.make_jaxpr(function)(*args))


def assert_same(ours: Any, theirs: Any) -> None:
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for mine, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert mine.dtype == other.dtype
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("function", PROGRAMS)
def test_c_kernel_computes_what_jnp_does(function: Callable[..., Any]) -> None:
    n = numbers(function)
    ours = jax.vmap(lift(function, name=function.__name__, backend="c"))(n)
    assert_same(ours, jax.vmap(function)(n))


@pytest.mark.parametrize("function", PROGRAMS)
def test_pallas_kernel_computes_what_jnp_does(function: Callable[..., Any]) -> None:
    n = numbers(function)
    ours = pallas.run(program(function, n[0]), [n], NUM, function.__name__, interpret=True)
    assert_same(ours, jax.tree.leaves(jax.vmap(function)(n)))


@pytest.mark.parametrize("function", PROGRAMS)
def test_pallas_kernel_lowers_for_cuda(
    function: Callable[..., Any], lowered: Callable[..., str]
) -> None:
    lifted = lift(function, name=function.__name__, backend="pallas")
    assert "triton" in lowered("cuda", jax.vmap(lifted), numbers(function))


def test_functions_of_numbers_lower_for_cuda(lowered: Callable[..., str]) -> None:
    one = ("sqrt", "rsqrt", "cbrt", "sin", "cos", "tan", "exp", "exp2", "log", "tanh", "floor")

    def every(x: Array) -> list[Array]:
        values = [getattr(lax, name)(x) for name in (*one, "ceil", "log1p", "expm1", "abs")]
        return [*values, lax.pow(x, x), lax.rem(x, x + 1), lax.atan2(x, x), jnp.isfinite(x)]

    lifted = lift(every, name="every", backend="pallas")
    assert "triton" in lowered("cuda", jax.vmap(lifted), jnp.ones(NUM, jnp.float32))


@pytest.mark.parametrize("function", [lax.erf, jnp.round])
def test_what_pallas_has_no_rule_for_says_so(function: Callable[..., Any]) -> None:
    x = jnp.float32(0.3)
    with pytest.raises(Unsupported, match="no kernel in Pallas"):
        lift(function, name="none", backend="pallas")(x)
    assert lift(function, name="none").speed(x, platform="cuda") == "jnp"


def test_equal_expressions_are_computed_once() -> None:
    once = program(lambda x: (x + 1.0) * 3.0, jnp.float32(0))
    again = program(lambda x: (x + 1.0) * 3.0 + 0.0 * 0.0 - 0.0, jnp.float32(0))
    both = program(lambda x: ((x + 1.0) * 3.0, (1.0 + x) * 3.0), jnp.float32(0))
    assert (once.size, both.size) == (2, 2)
    assert again.size == 3  # x + 0 is not x where x is -0


def test_what_nobody_needs_is_left_out() -> None:
    assert program(lambda x: (x * 5.0, x + 1.0)[1], jnp.float32(0)).size == 1
    (body,) = [b for loop, b in program(swap, jnp.int32(0)).bodies.items() if loop is not None]
    assert len(body.variables) == 2


def test_what_a_loop_does_not_change_is_computed_before_it() -> None:
    def repeat(x: Array) -> Array:
        return lax.fori_loop(0, 4, lambda i, y: y * jnp.sqrt(x + 1.0), x)

    bodies = program(repeat, jnp.float32(0)).bodies
    sizes = {loop is None: len([*body.head, *body.steps]) for loop, body in bodies.items()}
    assert sizes == {True: 3, False: 1}  # the sum, the root and the loop; the product


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        (jnp.sort, np.zeros(3, np.float32), "primitive sort"),
        (lambda i: jnp.arange(5)[i], np.int32(0), "only known when it runs"),
        (lambda x: x.astype(jnp.float16), np.float32(0), "float16 is not among"),
        (lambda x: jnp.zeros(5000) + x, np.float32(0), "kernels take 1 to"),
        (jax.random.uniform, np.zeros(2, np.uint32), "primitive|not among"),
        (lambda x: [x] * 9, np.zeros(1000, np.float32), "10000 numbers in and out"),
        (long, np.zeros(500, np.float32), "96000 operations"),
    ],
)
def test_what_has_no_kernel_says_why_and_falls_back(
    function: Callable[..., Any], argument: Any, message: str
) -> None:
    with pytest.raises(Unsupported, match=message):
        lift(function, name="none", backend="c")(argument)
    assert lift(function, name="none").speed(argument) == "jnp"
    assert_same(lift(function, name="none")(argument), function(jnp.asarray(argument)))

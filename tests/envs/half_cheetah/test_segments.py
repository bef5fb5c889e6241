"""Programs in segments: they give the same, and XLA does not repeat their operations."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from simlift.envs.half_cheetah.segments import once, segmented


def wave(x: Array, y: Array) -> list[Array]:
    """Thirty values, each of which is used by the two after it: XLA computes all that lead to one
    anew for each."""
    values = [x, y]
    for _ in range(30):
        values.append(0.5 * (values[-2] - values[-1] * values[-1]))
    return values


def halvings(x: Array) -> tuple[Array, Array]:
    """(x below 1 by halves, their number)."""

    def halve(carry: tuple[Array, Array]) -> tuple[Array, Array]:
        return carry[0] / 2, carry[1] + 1

    return lax.while_loop(lambda carry: carry[0] >= 1, halve, (x, jnp.int32(0)))


def in_segments(function: Callable[..., Any], size: int, *args: Any) -> Any:
    return once(lambda taken: segmented(function, taken, size)(*args))


def test_segments_compute_what_the_whole_does() -> None:
    x, y = np.random.default_rng(0).uniform(-1, 1, (2, 50)).astype(np.float32)
    for size in (1, 7, 1000):
        run = jax.jit(jax.vmap(functools.partial(in_segments, wave, size)))
        pairs = zip(run(x, y), jax.jit(jax.vmap(wave))(x, y), strict=True)
        for ours, whole in pairs:  # thirty roundings of numbers below 1, halved each time
            np.testing.assert_allclose(ours, whole, rtol=0, atol=1e-6)


def test_loops_go_on_as_long_as_each_instance_needs() -> None:
    x = np.array([0.5, 1, 3, 100], np.float32)
    run = jax.jit(jax.vmap(functools.partial(in_segments, halvings, 1)))
    below, counts = run(x)
    np.testing.assert_array_equal(counts, [0, 1, 2, 7])
    np.testing.assert_array_equal(below, x / 2.0 ** np.array([0, 1, 2, 7]))


def test_xla_repeats_no_operation_across_segments() -> None:
    def flops(function: Callable[[Array, Array], Any]) -> float:
        shape = jax.ShapeDtypeStruct((1024,), jnp.float32)
        compiled = jax.jit(jax.vmap(function)).lower(shape, shape).compile()
        return compiled.cost_analysis()["flops"]

    assert flops(functools.partial(in_segments, wave, 6)) < 0.5 * flops(wave)


def test_they_run_without_jit_too() -> None:
    with jax.disable_jit():
        assert in_segments(halvings, 1, jnp.float32(3))[1] == 2

"""Two functions are proved equal, refuted by something executed, or left open for a reason."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("z3")

from simlift.verify.prove import Between, Inputs, OneOf, equivalent
from simlift.verify.prove.equivalence import ENUMERABLE

HUGE = 2**29


def integers(**ranges: tuple[int, int]) -> Inputs:
    shape = jax.ShapeDtypeStruct((), np.int32)
    return Inputs(
        shapes=dict.fromkeys(ranges, shape), ranges={n: Between(*r) for n, r in ranges.items()}
    )


def floats(**ranges: tuple[float, float]) -> Inputs:
    shape = jax.ShapeDtypeStruct((), np.float32)
    return Inputs(
        shapes=dict.fromkeys(ranges, shape), ranges={n: Between(*r) for n, r in ranges.items()}
    )


def confirmed(verdict: Any, f: Any, g: Any) -> bool:
    """Whether the functions differ on the inputs that a refutation names."""
    leaves = {name: jnp.asarray(x) for name, x in verdict.inputs.items()}
    return bool(f(leaves) != g(leaves))


def damage(x: Any, cap: int = 997, same_type: Any = lambda d: d + d // 2) -> Any:
    """The first generation's damage formula."""
    d = (2 * x["level"] // 5 + 2) * x["power"] * x["attack"] // x["defense"] // 50
    d = jnp.minimum(d, cap) + 2
    return jnp.where(x["stab"] > 0, same_type(d), d) * x["roll"] // 255


DAMAGE = integers(
    level=(1, 100), power=(1, 255), attack=(1, 999), defense=(1, 999), stab=(0, 1), roll=(217, 255)
)


def test_a_correct_rewrite_of_integers_is_proved() -> None:
    verdict = equivalent(damage, lambda x: damage(x, same_type=lambda d: d * 3 // 2), DAMAGE)
    assert verdict.kind == "proved" and verdict.holds and verdict.questions > 0


def test_a_wrong_constant_is_refuted_by_what_differs() -> None:
    def wrong(x: Any) -> Any:
        return damage(x, cap=999)

    verdict = equivalent(damage, wrong, DAMAGE)
    assert verdict.kind == "refuted" and verdict.holds is False
    assert confirmed(verdict, damage, wrong)


def test_what_holds_in_range_only_is_refuted_beyond() -> None:
    def f(x: Any) -> Any:
        return x["d"] + x["d"] // 2

    def g(x: Any) -> Any:
        return x["d"] * 3 // 2

    assert equivalent(f, g, integers(d=(-HUGE, HUGE))).kind == "proved"
    wraps = equivalent(f, g, integers(d=(-HUGE, 2 * HUGE)))
    assert wraps.kind == "refuted" and confirmed(wraps, f, g)


def test_z3_finds_what_no_sample_does() -> None:
    def f(x: Any) -> Any:
        return (x["a"] * 31 + x["b"]) == 123_456_789

    verdict = equivalent(f, lambda x: x["a"] < 0, integers(a=(0, HUGE), b=(0, 30)), samples=1000)
    assert verdict.kind == "refuted" and verdict.questions > 0
    assert verdict.inputs["a"] * 31 + verdict.inputs["b"] == 123_456_789


def test_small_domains_are_enumerated() -> None:
    inputs = integers(a=(-7, 7), b=(1, 9), unused=(0, ENUMERABLE))
    verdict = equivalent(
        lambda x: x["a"] % x["b"] == 0, lambda x: x["a"] // x["b"] * x["b"] == x["a"], inputs
    )
    assert (verdict.kind, verdict.points) == ("enumerated", 15 * 9)
    assert equivalent(lambda x: x["a"] % 2, lambda x: x["a"] & 3, inputs).kind == "refuted"


def test_an_assumption_narrows_the_domain() -> None:
    small = integers(a=(0, 40), b=(0, 40))
    large = integers(a=(0, HUGE), b=(0, HUGE))
    for inputs, kind in ((small, "enumerated"), (large, "proved")):
        ordered = Inputs(
            shapes=inputs.shapes, ranges=inputs.ranges, assume=lambda x: x["a"] >= x["b"]
        )
        args = (lambda x: jnp.abs(x["a"] - x["b"]), lambda x: x["a"] - x["b"])
        assert equivalent(*args, inputs).kind == "refuted"
        assert equivalent(*args, ordered).kind == kind


def test_nans_are_one_and_zeros_are_two() -> None:
    inputs = floats(x=(-1, 1))
    verdict = equivalent(lambda x: x["x"] * 0, lambda x: jnp.zeros_like(x["x"]), inputs)
    assert verdict.kind == "refuted" and np.signbit(verdict.inputs["x"])
    nans = equivalent(
        lambda x: (x["x"] - x["x"]) / (x["x"] - x["x"]), lambda x: x["x"] + jnp.nan, inputs
    )
    assert nans.kind == "proved"


def test_ranges_decide_comparisons_of_floats() -> None:
    inputs = floats(x=(-3, 3), y=(10, 20))

    def clipped(x: Any) -> Any:
        return jnp.clip(x["x"] * x["y"], -60, 60), jnp.maximum(x["x"], x["y"])

    verdict = equivalent(clipped, lambda x: (x["x"] * x["y"], x["y"]), inputs)
    assert (verdict.kind, verdict.questions) == ("proved", 0)
    tighter = equivalent(clipped, lambda x: (jnp.clip(x["x"] * x["y"], -59, 60), x["y"]), inputs)
    assert tighter.kind == "refuted"


def test_reordered_arithmetic_is_matched_part_by_part() -> None:
    inputs = floats(x=(-3, 3), y=(10, 20), z=(-9, 9))

    def f(x: Any) -> Any:
        return jnp.minimum(jnp.maximum(x["z"] + jnp.clip(x["x"] * x["y"], -5, 5), -8), 8)

    def g(x: Any) -> Any:
        step = jnp.maximum(jnp.minimum(5, x["y"] * x["x"]), -5)
        return jnp.maximum(-8, jnp.minimum(8, step + x["z"]))

    assert equivalent(f, g, inputs, timeout_s=20).kind == "proved"


def test_shared_arithmetic_is_not_asked_about() -> None:
    inputs = floats(x=(-3, 3), y=(10, 20), z=(-1e6, 1e6))

    def f(x: Any) -> Any:
        return jnp.where(x["x"] * x["y"] / x["z"] < x["y"] * x["z"], 1, 2)

    def g(x: Any) -> Any:
        return jnp.where(x["x"] * x["y"] / x["z"] >= x["y"] * x["z"], 2, 1)

    assert equivalent(f, g, floats(x=(-3, 3), y=(10, 20), z=(1, 1e6))).kind == "proved"
    nan = equivalent(f, g, inputs)  # 0 / 0 is not less and not more
    assert nan.kind == "refuted" and nan.inputs["z"] == 0 == nan.inputs["x"]


def test_loops_are_followed_trip_by_trip() -> None:
    def loop(body: Any) -> Any:
        return lambda x: jax.lax.fori_loop(0, 8, body, (x["x"], x["y"]))

    def f(i: Any, c: Any) -> Any:
        x, y = c
        return jnp.where(x < y, x + 1, x - y), jnp.clip(y * 2, 10, 20)

    def g(i: Any, c: Any) -> Any:
        x, y = c
        return jnp.where(~(x >= y), x + 1, x - y), jnp.maximum(jnp.minimum(20, 2 * y), 10)

    verdict = equivalent(loop(f), loop(g), floats(x=(-3, 300), y=(10, 20)), timeout_s=30)
    assert verdict.kind == "proved"


def test_platform_functions_prove_but_never_refute() -> None:
    inputs = floats(x=(1, 3))

    def f(x: Any) -> Any:
        return jnp.where(x["x"] < 2, jnp.sin(x["x"]), 5.0)

    assert (
        equivalent(f, lambda x: jnp.where(x["x"] >= 2, 5.0, jnp.sin(x["x"])), inputs).kind
        == "proved"
    )
    never = equivalent(lambda x: jnp.sin(x["x"]) < 1.5, lambda x: jnp.sin(x["x"]) < 1.25, inputs)
    assert never.kind == "open" and "does not differ when executed" in never.reason


@pytest.mark.parametrize(
    "function, why",
    [
        (lambda x: jax.lax.while_loop(lambda c: c < x["a"], lambda c: c + 2, 0) & 0, "trip count"),
        (lambda x: x["a"].astype(jnp.bfloat16).astype(jnp.int32) * 0, "bfloat16"),
    ],
)
def test_what_is_not_supported_is_open(function: Any, why: str) -> None:
    verdict = equivalent(
        function,
        lambda x: x["a"] * 0,
        integers(
            a=(1, ENUMERABLE + 1),
        ),
    )
    assert verdict.kind == "open" and verdict.holds is None and why in verdict.reason


def test_a_question_too_hard_is_open_with_its_time() -> None:
    def f(x: Any) -> Any:
        return x["a"] * x["b"] // x["c"] // 50

    def g(x: Any) -> Any:
        return x["a"] * x["b"] // (x["c"] * 50)

    inputs = integers(a=(1, 30000), b=(1, 30000), c=(1, 999))
    verdict = equivalent(f, g, inputs, timeout_s=0.5)
    assert verdict.kind == "open" and "(0.5 s)" in verdict.reason


def test_other_types_are_refuted() -> None:
    inputs = integers(a=(0, 9))
    verdict = equivalent(lambda x: x["a"], lambda x: x["a"].astype(jnp.int8), inputs)
    assert verdict.kind == "refuted" and "int32[] and int8[]" in verdict.reason


def test_tables_within_jit_are_compared() -> None:
    def looks_up(table: np.ndarray) -> Any:
        inner = jax.jit(lambda i: jnp.asarray(table)[i])
        return lambda x: inner(x["a"]) + 0 * x["b"]

    inputs = integers(a=(0, 4), b=(0, ENUMERABLE))
    table, other = np.arange(5, dtype=np.int32), np.array([0, 1, 2, 3, 5], np.int32)
    assert equivalent(looks_up(table), looks_up(table.copy()), inputs).reason == "the same program"
    assert equivalent(looks_up(table), looks_up(other), inputs).kind == "refuted"


def test_a_difference_made_by_the_compiler_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a batch were compiled to other roundings than one instance."""
    from simlift.verify.prove import equivalence

    inputs = floats(x=(1, 2), y=(3, 4))
    batch = equivalence.Side.batch

    def fused(self: Any, points: Any) -> Any:
        results = batch(self, points)
        return {n: x + self.function.__name__.count("g") for n, x in results.items()}

    def f(x: Any) -> Any:
        return x["x"] < x["y"]

    def g(x: Any) -> Any:
        return ~(x["x"] >= x["y"])

    monkeypatch.setattr(equivalence.Side, "batch", fused)
    verdict = equivalent(f, g, inputs)
    assert verdict.kind == "open" and "round differently" in verdict.reason


def test_one_of_and_arrays() -> None:
    inputs = Inputs(
        shapes={
            "v": jax.ShapeDtypeStruct((3,), np.float32),
            "i": jax.ShapeDtypeStruct((), np.int32),
        },
        ranges={"v": OneOf(-10.0, 10.0), "i": Between(0, 2)},
    )
    verdict = equivalent(
        lambda x: jnp.abs(x["v"][x["i"]]), lambda x: jnp.full((), 10, jnp.float32), inputs
    )
    assert (verdict.kind, verdict.points) == ("enumerated", 2**3 * 3)


KEYS = Inputs(
    shapes={"key": jax.ShapeDtypeStruct((2,), np.uint32)},
    ranges={"key": Between(0, 2**32 - 1)},
)


def coin(x: Any, last: Any = lambda bits: bits & 1) -> Any:
    bits = jax.random.bits(jax.random.wrap_key_data(x["key"]), (), jnp.uint32)
    return last(bits).astype(jnp.int32)


def test_what_a_sampler_makes_of_its_random_words_is_compared() -> None:
    assert equivalent(coin, lambda x: coin(x, lambda bits: bits % 2), KEYS).kind == "proved"
    verdict = equivalent(coin, lambda x: coin(x, lambda bits: bits >> 31), KEYS)
    assert verdict.kind == "refuted"
    assert confirmed(verdict, coin, lambda x: coin(x, lambda bits: bits >> 31))


def dice(x: Any, split: Any = jax.random.split, sides: Any = lambda bits: bits % 8) -> Any:
    first, second = split(jax.random.wrap_key_data(x["key"]))
    third = jax.random.fold_in(second, 1)
    return [sides(jax.random.bits(key, (2,), jnp.uint32)) for key in (first, second, third)]


def test_keys_that_are_split_are_compared_word_by_word() -> None:
    def masked(x: Any) -> Any:
        return dice(x, sides=lambda bits: bits & 7)

    def swapped(x: Any) -> Any:
        return dice(x, split=lambda key: jax.random.split(key)[::-1])

    assert equivalent(dice, masked, KEYS).kind == "proved"
    assert equivalent(dice, swapped, KEYS).kind == "refuted"

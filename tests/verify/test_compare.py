"""Comparators: what counts as the same number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlift.verify.compare import Difference
from simlift.verify.suite import EXACT, Compare, SuiteError

float32s = st.floats(width=32, allow_subnormal=False)
finite = st.floats(width=32, allow_subnormal=False, allow_nan=False, allow_infinity=False)


def mismatch(compare: Compare, ours: object, theirs: object) -> bool:
    with jax.debug_nans(False):  # NaNs are among the inputs here
        return bool(compare.mismatch(jnp.asarray(ours), jnp.asarray(theirs)))


def f32(*values: float) -> np.ndarray:
    return np.asarray(values, np.float32)


def ulps_above(value: float, steps: int) -> np.ndarray:
    result = f32(value)
    for _ in range(steps):
        result = np.nextafter(result, np.float32(np.inf))
    return result


@given(float32s, float32s)
def test_exact_means_the_same_bits(a: float, b: float) -> None:
    ours, theirs = np.float32(a), np.float32(b)
    assert mismatch(EXACT, ours, theirs) == (ours.tobytes() != theirs.tobytes())
    assert not mismatch(EXACT, ours, ours)


def test_exact_tells_the_zeros_apart_and_takes_a_nan_for_itself() -> None:
    assert mismatch(EXACT, f32(0.0), f32(-0.0))
    assert not mismatch(EXACT, f32(-0.0), f32(-0.0))
    assert not mismatch(EXACT, f32(np.nan), f32(np.nan))
    assert mismatch(EXACT, f32(np.nan), f32(-np.nan))
    assert mismatch(EXACT, f32(np.nan), f32(1.0))


@pytest.mark.parametrize("close", [Compare("close", ulp=4), Compare("close", atol=1e-3)])
def test_close_keeps_nans_and_infinities(close: Compare) -> None:
    assert not mismatch(close, f32(np.nan), f32(np.nan))
    assert mismatch(close, f32(np.nan), f32(0.0))
    assert not mismatch(close, f32(np.inf), f32(np.inf))
    assert mismatch(close, f32(np.inf), f32(-np.inf))
    assert mismatch(close, f32(np.inf), f32(1e38))


@given(finite, st.integers(0, 6), st.integers(0, 6))
def test_ulp_counts_the_floats_between(value: float, steps: int, allowed: int) -> None:
    tiny = float(np.finfo(np.float32).tiny)
    if abs(value) < 8 * tiny or abs(value) > 1e38:
        return  # subnormals, which CPUs may flush, and overflow
    near = ulps_above(value, steps)
    assert mismatch(Compare("close", ulp=allowed), near, f32(value)) == (steps > allowed)
    assert mismatch(Compare("close", ulp=allowed), f32(value), near) == (steps > allowed)


def test_ulp_does_not_wrap_across_zero() -> None:
    tiny = np.finfo(np.float32).tiny
    assert mismatch(Compare("close", ulp=2**30), f32(tiny), f32(-tiny))
    assert mismatch(Compare("close", ulp=2**30), f32(-3e38), f32(3e38))
    assert not mismatch(Compare("close", ulp=0), f32(0.0), f32(-0.0))
    assert not mismatch(Compare("close", atol=1e-6), f32(5e-7), f32(-5e-7))


def test_atol_is_inclusive() -> None:
    assert not mismatch(Compare("close", atol=0.5), f32(1.5), f32(1.0))
    assert mismatch(Compare("close", atol=0.5), f32(1.5000001), f32(1.0))


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_integers_are_compared_as_integers(a: int, b: int) -> None:
    assert mismatch(EXACT, np.int32(a), np.int32(b)) == (a != b)


def test_integers_of_any_width_compare_by_value() -> None:
    assert not mismatch(EXACT, np.int16(7), np.int32(7))
    assert not mismatch(EXACT, np.bool_(True), np.uint8(1))
    assert mismatch(EXACT, np.int8(-1), np.uint8(255))


def test_a_fraction_is_not_an_integer() -> None:
    assert mismatch(EXACT, np.float32(1.5), np.int32(1))
    assert not mismatch(EXACT, np.float32(1.0), np.int32(1))


def test_one_entry_that_differs_is_enough() -> None:
    assert mismatch(EXACT, f32(1, 2, 3), f32(1, 2, 4))
    assert not mismatch(EXACT, f32(1, 2, 3), f32(1, 2, 3))


def test_shapes_must_agree() -> None:
    with pytest.raises(SuiteError, match=r"shapes differ: ours \(3,\), the reference's \(1,\)"):
        mismatch(EXACT, f32(1, 1, 1), f32(1))


def test_difference_names_the_earliest_step() -> None:
    bad = np.zeros((5, 3), bool)
    bad[3, 0] = bad[2, 2] = bad[2, 1] = True
    difference = Difference(bad, {"tick": 3})
    assert difference.count == 3
    assert difference.first() == (2, 1)

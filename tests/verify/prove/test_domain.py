"""Declared ranges fit what they are declared for, and recorded play stays within them."""

from typing import Any

import jax
import numpy as np
import pytest

import simlift
from simlift.verify.prove import Between, Domain, DomainError, Inputs, Layout, OneOf, violations
from simlift.verify.prove.points import enumerated, sampled

INT = jax.ShapeDtypeStruct((), np.int32)
FLOAT = jax.ShapeDtypeStruct((2,), np.float32)


@pytest.mark.parametrize(
    "shape, declared, why",
    [
        (INT, Between(3, 2), "empty"),
        (INT, Between(0, 2**31), "not a number of type int32"),
        (INT, Between(0, 0.5), "not a number of type int32"),
        (INT, OneOf(), "no values"),
        (FLOAT, Between(0, float("inf")), "finite"),
        (FLOAT, OneOf(float("nan")), "finite"),
    ],
)
def test_bad_ranges_are_told(shape: Any, declared: Any, why: str) -> None:
    with pytest.raises(DomainError, match=why):
        Inputs(shapes={"x": shape}, ranges={"x": declared})


def test_every_leaf_of_an_environment_needs_a_range() -> None:
    layout = Layout(*simlift.make("PufferPong-v0"))
    with pytest.raises(DomainError, match="paddle_yl has no range"):
        layout.inputs(Domain(ranges={}))
    with pytest.raises(DomainError, match="not there"):
        layout.inputs(Domain(ranges={"state.speed": Between(0, 1)}))


def test_points_are_all_inside() -> None:
    inputs = Inputs(
        shapes={"i": INT, "f": FLOAT},
        ranges={"i": Between(-2, 5), "f": Between(-1.5, 3)},
        assume=lambda x: x["f"][0] <= x["f"][1],
    )
    points = sampled(inputs, np.random.default_rng(0), [1e-42, 2.5], 5000)
    assert violations(inputs, points) == []
    assert 2000 < len(points["i"]) < 5000
    assert {-1.5, 0.0, 2.5, 3.0} <= set(points["f"].reshape(-1).tolist())
    assert np.signbit(points["f"][points["f"] == 0]).any()


def test_enumeration_names_every_point_once() -> None:
    inputs = Inputs(
        shapes={"i": INT, "f": FLOAT},
        ranges={"i": Between(-2, 5), "f": OneOf(0.5, 7.0, -3.0)},
        assume=lambda x: x["i"] != 0,
    )
    rows = [
        (int(i), *map(float, f))
        for chunk in enumerated(inputs)
        for i, f in zip(chunk["i"], chunk["f"], strict=True)
    ]
    assert len(rows) == len(set(rows)) == 7 * 3**2


def test_violations_name_leaf_and_values() -> None:
    inputs = Inputs(shapes={"i": INT}, ranges={"i": Between(-2, 5)}, assume=lambda x: x["i"] != 3)
    assert violations(inputs, {"i": np.array([[0, 5], [-2, 1]], np.int32)}) == []
    (line,) = violations(inputs, {"i": np.array([9, 0, -4], np.int32)})
    assert "2 of 3" in line and "from -4 to 9" in line
    assert "assumption" in violations(inputs, {"i": np.array([3], np.int32)})[0]
    subnormal = Inputs(shapes={"f": FLOAT}, ranges={"f": Between(-1, 1)})
    assert violations(subnormal, {"f": np.array([[0, 1e-42]], np.float32)})

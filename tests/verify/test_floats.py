"""How rounding is judged: what holds, what is seen, and what explains a flag that differs."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.cart_pole import dynamics
from simlift.verify import one_step
from simlift.verify.budgets import Setting, short
from simlift.verify.compare import Comparison
from simlift.verify.floats import Budget, FloatPlan, measure
from simlift.verify.one_step import NUM_NEAR, OneStep
from simlift.verify.record import record_tape
from simlift.verify.suite import Compare, Field, Suite, SuiteError, Variant
from simlift.verify.suites import get_suite

needs_reference = pytest.mark.reference


def narrowed(*policies: str, variants: tuple[Variant, ...] | None = None, **changes: Any) -> Suite:
    """Cart-pole under few policies, by default in float32 with upstream's integrator."""
    suite = get_suite("cart_pole")
    (plan,) = suite.floats
    plan = dataclasses.replace(plan, variants=variants or plan.variants[:1], **changes)
    chosen = policies or ("random",)
    return dataclasses.replace(
        suite, floats=(plan,), policies=lambda v: {name: suite.policies(v)[name] for name in chosen}
    )


def cell(result: Mapping[str, Any]) -> dict[str, Any]:
    (entry,) = result["variants"]
    (only,) = entry["policies"]
    return only


# -- what needs no judging


def test_a_suite_that_is_exact_throughout_says_so_at_no_cost() -> None:
    result = measure(get_suite("pong"), 0)
    assert result["holds"] and not result["applies"] and result["count"] == 0
    assert "bit by bit" in result["why"]


def test_close_fields_without_a_plan_are_refused() -> None:
    suite = get_suite("pong")
    close = Field(lambda t: t.state.ball_x, Compare("close", ulp=1))
    suite = dataclasses.replace(suite, fields={**suite.fields, "ball_x": close})
    with pytest.raises(SuiteError, match=r"\['ball_x'\] are compared as close; give a FloatPlan"):
        measure(suite, 0)


def test_a_budget_for_what_is_not_compared_is_refused() -> None:
    with pytest.raises(SuiteError, match=r"budgets for \['speed'\], which are not compared"):
        measure(narrowed(budgets={"speed": Budget(ulp=1, scale=1)}), 0)


def test_a_plan_takes_a_reason() -> None:
    with pytest.raises(SuiteError, match="reason"):
        FloatPlan(variants=(), budgets={}, factor=1, why="")


# -- what holds


@needs_reference
def test_float32_stays_within_its_budget_and_the_envelope() -> None:
    told: list[float] = []
    result = measure(narrowed("balance"), 1, lambda what, done: told.append(done))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["holds"] and result["applies"] and result["what"] == [] and told == [0]
    only = cell(result)
    assert result["count"] == only["transitions"] >= 500 * NUM_NEAR
    theta = only["step"]["theta"]
    assert sum(theta["ulp"].values()) == only["transitions"] - only["ties"]["differ"]
    assert theta["ulp"]["1"] > 0 and theta["budget"] == "3 ulp" and 0 < theta["worst"] <= 3
    free = only["free"]
    assert free["judged"] > 100 and free["alive"][0] == NUM_NEAR
    curves = free["fields"]["theta"]
    # The pole is unstable: errors grow by e about every 13 steps, ours as the reference's own.
    for side in ("ours", "once", "always"):
        assert curves[side]["p50"][-1] > 1000 * curves[side]["p50"][0]
    assert 0 < curves["ratio"]["always"]["p99"] <= result["variants"][0]["factor"]


@needs_reference
def test_float64_is_not_off_at_all() -> None:
    result = measure(narrowed(variants=(Variant("float64", x64=True),)), 0)
    only = cell(result)
    assert result["holds"]
    assert all(set(field["ulp"]) == {"0"} for field in only["step"].values())
    curves = only["free"]["fields"]["x"]
    assert set(curves["ours"]["p99"]) == {0.0} and 0 < curves["always"]["p50"][0] < 1e-15


# -- what is seen


def wrong_inertia(state: Any, force: Any, params: Any) -> Any:
    """4/3 wrong in its sixth digit."""
    xacc, thetaacc = RIGHT(state, force, params)
    cosine = jnp.square(jnp.cos(state.theta)) * params.masspole / params.total_mass
    return xacc, thetaacc * (4 / 3 - cosine) / (1.33334 - cosine)


def half_precision(state: Any, force: Any, params: Any) -> Any:
    short = state.theta.astype(jnp.float16).astype(jnp.float32)
    return RIGHT(state.replace(theta=short), force, params)


def wrong_tau(state: Any, xacc: Any, thetaacc: Any, params: Any, semi_implicit: bool) -> Any:
    """Off by 1e-6 where x moves."""
    after = MOVED(state, xacc, thetaacc, params, semi_implicit)
    return after.replace(x=after.x + 1e-6 * state.x_dot)


def sometimes_nan(state: Any, force: Any, params: Any) -> Any:
    xacc, thetaacc = RIGHT(state, force, params)
    return jnp.where(state.theta > 0.05, jnp.nan, xacc), thetaacc


RIGHT, MOVED = dynamics.accelerations, dynamics.integrate


@needs_reference
@pytest.mark.parametrize(
    ("name", "wrong", "field"),
    [
        ("accelerations", wrong_inertia, "theta_dot"),
        ("accelerations", half_precision, "theta_dot"),
        ("accelerations", sometimes_nan, "x_dot"),
        ("integrate", wrong_tau, "x"),
    ],
    ids=["inertia", "float16", "nan", "tau"],
)
def test_faults_below_a_loose_tolerance_are_seen(
    name: str, wrong: Callable[..., Any], field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both by single steps and by the divergence of free runs."""
    monkeypatch.setattr(dynamics, name, wrong)
    with jax.debug_nans(False):
        result = measure(narrowed(), 0)
    only = cell(result)
    assert not result["holds"] and result["mismatches"] > 0
    assert only["step"][field]["over"] > 0 and only["free"]["above"] > 0
    assert any(f"{field} is over its 3 ulp" in line for line in result["what"])
    assert any("diverges faster than the reference perturbed" in line for line in result["what"])
    json.dumps(result, allow_nan=False)


@needs_reference
def test_a_threshold_that_is_off_is_no_tie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        dynamics, "is_down", lambda s, p: jnp.abs(s.theta) > p.theta_threshold_radians + 0.003
    )
    result = measure(narrowed("held"), 0)
    ties = cell(result)["ties"]
    assert ties["unexplained"] == ties["differ"] > 0
    assert any("differ otherwise, and are no ties" in line for line in result["what"])


@needs_reference
def test_a_flag_that_rounding_decides_is_explained() -> None:
    """Carts that arrive at the threshold to within half a unit, in front of it and beyond."""
    suite = narrowed()
    (plan,) = suite.floats
    variant, limit = plan.variants[0], float(np.float32(2.4))
    comparison = Comparison.local(suite, variant)
    with suite.reference(variant, NUM_NEAR) as reference:
        fields = reference.snapshot()
        fields["x"][:] = np.float32(2.38)
        aimed = (limit - fields["x"]) / float(np.float32(0.02))
        near = np.arange(NUM_NEAR) - NUM_NEAR // 2
        fields["x_dot"][:] = aimed + near * np.spacing(np.float32(1)).astype(float)
        fields["theta"][:] = fields["theta_dot"][:] = 0
        reference.restore(fields)
        recording = record_tape(reference, np.zeros((1, NUM_NEAR), np.int64))
        setting = Setting(plan, comparison, np.dtype(np.float32), np.random.default_rng(0))
        steps = OneStep(setting, reference, lambda: reference)
        steps.add(recording)
    assert steps.ties["differ"] > 0
    assert steps.ties["explained"] == steps.ties["differ"]


# -- parts


def test_histogram_counts_representable_numbers_in_powers_of_two() -> None:
    one = np.float32(1)
    others = np.array([1, 1, np.nextafter(one, 2), 1 + 3 * 2**-23, 1 - 2**-22], np.float32)
    distance = one_step._distance(np.full(5, one), others)
    assert distance.tolist() == [0, 0, 1, 3, 4]
    assert one_step._histogram(distance) == {"0": 2, "1": 1, "2": 0, "3-4": 2}
    across = one_step._distance(np.array([-0.1]), np.array([0.1]))
    assert across[0] > 2**62


def test_what_has_no_number_in_json_is_none() -> None:
    assert short(1.23456e-8) == 1.23e-8
    assert short(np.inf) is None and short(np.nan) is None

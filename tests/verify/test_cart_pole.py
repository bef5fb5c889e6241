"""The suite of cart-pole: total, bit for bit in float64, and able to see what is wrong."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.cart_pole import CartPole, dynamics
from simlift.verify import hazards
from simlift.verify.compare import Comparison
from simlift.verify.record import record_policy
from simlift.verify.runner import Options, verify
from simlift.verify.suite import Suite
from simlift.verify.suites import cart_pole, get_suite

pytestmark = pytest.mark.reference
VARIANTS = {variant.name: variant for variant in cart_pole.VARIANTS}


def narrowed(variant: str, *policies: str) -> Suite:
    suite = get_suite("cart_pole")
    return dataclasses.replace(
        suite,
        variants=[VARIANTS[variant]],
        policies=lambda v: {name: suite.policies(v)[name] for name in policies},
    )


def mismatches(variant: str, policy: str) -> tuple[int, int]:
    """Of 256 steps of 8 instances: (each step re-synchronised, running free)."""
    suite = narrowed(variant, policy)
    comparison = Comparison.local(suite, VARIANTS[variant])
    with suite.reference(VARIANTS[variant], 8) as reference:
        played = record_policy(
            suite, reference, suite.policies(VARIANTS[variant])[policy], 0, 256, 1
        )
        _, draws, recording = next(iter(played))
    states, _ = comparison.start(draws)
    free = comparison.free_running(states, recording)[1]
    return comparison.resynchronised(recording).count, free.count


def test_the_table_is_total_and_every_ignored_field_says_why() -> None:
    suite = get_suite("cart_pole")
    suite.check_total(suite.reference(suite.variants[0], 1).snapshot())
    left_out = suite.fields.keys() - suite.compared_fields().keys()
    assert left_out == {"kinematics_integrator", "sutton_barto_reward", "episode_seed"}
    assert all(suite.fields[name].compare.why for name in left_out)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_bit_agrees_in_float64(variant: str) -> None:
    assert mismatches(variant, "random") == (0, 0)


def test_policies_reach_every_end() -> None:
    suite = get_suite("cart_pole")
    variant, ends = suite.variants[0], set()
    for policy in ("held", "balance", "to the edge"):
        with suite.reference(variant, 8) as reference:
            played = record_policy(suite, reference, suite.policies(variant)[policy], 0, 256, 1)
            for *_, recording in played:
                outcome, before = recording.outcome, recording.snapshots
                near = np.abs(before["x"][:-1]) > 2.3
                ends |= {"time"} if outcome.truncated.any() else set()
                for side in (-1, 1):
                    x = outcome.terminated & near & (before["x"][:-1] * side > 0)
                    lean = outcome.terminated & ~near & (before["theta"][:-1] * side > 0)
                    ends |= {f"track {side}"} if x.any() else set()
                    ends |= {f"lean {side}"} if lean.any() else set()
    assert ends == {"time", "track -1", "track 1", "lean -1", "lean 1"}


def test_all_properties_and_scenarios_hold(tmp_path: Path) -> None:
    options = Options(episodes=1, examples=60, levels=("L1", "L2"), bank=tmp_path)
    result = verify(get_suite("cart_pole"), options)
    assert [row["what"] for row in result["levels"] if row["mismatches"]] == []
    assert len(result["levels"]) > 35


@pytest.mark.parametrize("x64", [False, True])
def test_no_hazards(x64: bool) -> None:
    with jax.enable_x64(x64):
        env, params = get_suite("cart_pole").environment(cart_pole.SEMI_IMPLICIT)
        played = hazards.play(env, params)
        wrong = {name: check(env, params, played)[1] for name, check in hazards.CHECKS.items()}
    assert not {name: lines for name, lines in wrong.items() if lines}


FAULTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "a product fused into its sum": ("rounded", lambda product: product * (1 + 2**-52)),
    "the cart's threshold includes its end": (
        "is_down",
        lambda state, params: jnp.abs(state.x) >= params.x_threshold,
    ),
    "the push is felt the other way": (
        "push",
        lambda action, params: jnp.where(action == 1, -params.force_mag, params.force_mag),
    ),
    "the fall pays nothing": (
        "reward",
        lambda down, fallen, sutton_barto: (~down).astype(jnp.float32),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_seen(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name, wrong = FAULTS[fault]
    monkeypatch.setattr(dynamics, name, wrong)
    resynchronised, free = mismatches("euler", "held")
    assert resynchronised > 0 and free > 0


def test_what_is_shown_before_the_reset_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    step = CartPole.step_with_draws

    def forgetful(self: CartPole, *given: Any) -> Any:
        observation, *rest, info = step(self, *given)
        return observation, *rest, {**info, "final_observation": observation}

    monkeypatch.setattr(CartPole, "step_with_draws", forgetful)
    resynchronised, free = mismatches("euler", "held")
    assert resynchronised > 0 and free > 0

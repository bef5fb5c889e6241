"""What equality means between Gymnasium's CartPole-v1 and envs/cart_pole.

Gymnasium computes in float64, so our side does too here (`Variant.x64`), and every field is
compared bit by bit. What float32 makes of it is judged by the plan for floats.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import Environment
from ...references.cart_pole import VectorCartPole
from ...references.cart_pole.reference import (
    DRAW_BOUND,
    NAME,
    NOT_TERMINATED,
    NUM_DRAWS,
    NUMBERS,
    STATE,
)
from ...references.core import DrawLog, Outcome, Snapshot
from ...references.gymnasium_vector import RANGE, installed_version
from ..floats import Budget, FloatPlan
from ..suite import Field, Policy, Property, Suite, Transition, Variant, configured, ignored
from .cart_pole_coverage import COVERAGE
from .cart_pole_scenarios import EULER, SCENARIOS, SEMI_IMPLICIT, SUTTON_BARTO
from .cart_pole_transfer import PLAN

if TYPE_CHECKING:
    from ...envs.cart_pole import Draws, Params, State

# None of upstream's numbers, few of them exact in binary: shows that Params are wired through, and
# that products, sums and quotients round as in numpy. The pole is heavy and the limit near.
OTHER_NUMBERS = {
    "gravity": 3.71,
    "masscart": 0.7,
    "masspole": 0.33,
    "total_mass": 1.07,
    "length": 0.71,
    "polemass_length": 0.23,
    "force_mag": 7.3,
    "tau": 0.013,
    "theta_threshold_radians": 0.31,
    "x_threshold": 1.9,
    "max_episode_steps": 83,
}

VARIANTS = (
    EULER,
    SEMI_IMPLICIT,
    SUTTON_BARTO,
    Variant("other numbers", {}, OTHER_NUMBERS, x64=True),
    Variant("other numbers, semi-implicit", SEMI_IMPLICIT.config, OTHER_NUMBERS, x64=True),
)


# 0.05 is where positions and angles start, 0.5 a usual speed: the terms that cancel near zero.
FLOATS = FloatPlan(
    variants=(
        Variant("float32, euler"),
        Variant("float32, semi-implicit", SEMI_IMPLICIT.config),
    ),
    budgets={
        "x": Budget(ulp=3, scale=0.05),
        "x_dot": Budget(ulp=3, scale=0.5),
        "theta": Budget(ulp=3, scale=0.05),
        "theta_dot": Budget(ulp=3, scale=0.5),
        "outcome.observation": Budget(ulp=3, scale=0.5),
    },
    factor=3,
    why="a dozen roundings lead to thetaacc: on paper at most 5e-6 of about 15, so 1.1e-7 after "
    "tau, 2 units of theta_dot at 0.5, and one more for the sum; a start is the sum of three "
    "rounded numbers. The envelope moves a state by one unit a step, ours may be off by three",
)


def environment(variant: Variant) -> tuple[Environment, Any]:
    from ...envs.cart_pole import CartPole

    return configured(CartPole(**variant.config), variant)


def reference(variant: Variant, num_envs: int) -> VectorCartPole:
    return VectorCartPole(num_envs, **variant.config, **variant.parameters)


# -- fields


def _state(name: str) -> Field:
    return Field(lambda t: getattr(t.state, name), module="dynamics.integrate")


def _param(name: str) -> Field:
    return Field(lambda t: getattr(t.params, name), module="state.Params")


def _steps_beyond(t: Transition) -> Array:
    """Upstream counts steps after the fall; all that it ever asks is whether there was one."""
    before = t.before["steps_beyond_terminated"]
    return jnp.where(t.state.fallen, before, jnp.full_like(before, NOT_TERMINATED))


def _fields() -> Mapping[str, Field]:
    return {
        **{name: _state(name) for name in STATE},
        **{name: _param(name) for name in NUMBERS},
        "max_episode_steps": _param("max_episode_steps"),
        "elapsed_steps": Field(lambda t: t.state.elapsed_steps, module="env.transition"),
        "steps_beyond_terminated": Field(_steps_beyond, module="env.transition"),
        "kinematics_integrator": Field(
            None, ignored("given to both sides; its effect is compared")
        ),
        "sutton_barto_reward": Field(None, ignored("given to both sides; its effect is compared")),
        "episode_seed": Field(
            None, ignored("seeds upstream's generator; its draws are compared instead")
        ),
    }


def state(before: Mapping[str, Array], params: "Params") -> "State":
    from ...envs.cart_pole import State

    del params
    number = jnp.result_type(float)
    return State(
        **{name: before[name].astype(number) for name in STATE},
        elapsed_steps=before["elapsed_steps"].astype(jnp.int32),
        fallen=before["steps_beyond_terminated"] != NOT_TERMINATED,
    )


def draws(log: DrawLog) -> tuple[None, "Draws"]:
    """A step draws nothing; a reset four numbers. Where none was reset, its draws are zeros."""
    from ...envs.cart_pole import Draws

    missing = max(0, NUM_DRAWS - log.value.shape[1])
    values = np.pad(log.value, [(0, 0), (0, missing)])[:, :NUM_DRAWS]
    return None, Draws(start=jnp.asarray(values / DRAW_BOUND, jnp.result_type(float)))


# -- policies


def policies(variant: Variant) -> Mapping[str, Policy]:
    return {
        "random": _random,
        "balance": _steer(0.0),
        "balance, now and then astray": _astray(_steer(0.0)),
        "held": _held(),
        "to the edge": _steer(4.0),
        "at the brink": _brink,
    }


def _random(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    return generator.integers(0, 2, len(s["x"]))


def _steer(target: float) -> Policy:
    """Keeps the pole up and brings the cart to `target`, of even instances to -target."""

    def act(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        side = np.where(np.arange(len(s["x"])) % 2, target, -target)
        off = np.clip(s["x"] - side, -1, 1)
        wanted = 0.1 * off + 0.2 * s["x_dot"] + 2.0 * s["theta"] + 0.5 * s["theta_dot"]
        return (wanted > 0).astype(np.int64)

    return act


def _astray(policy: Policy) -> Policy:
    """Every tenth action at random."""

    def act(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        astray = generator.random(len(s["x"])) < 0.1
        return np.where(astray, _random(generator, outcome, s), policy(generator, outcome, s))

    return act


def _held() -> Policy:
    """Holds each random push for about 12 steps: falls fast, and far."""
    held: list[np.ndarray] = []

    def act(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        fresh = _random(generator, outcome, s)
        renewed = generator.random(len(fresh)) < 1 / 12
        held[:] = [np.where(renewed, fresh, held[0]) if held else fresh]
        return held[0]

    return act


def _brink(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    """Lets the pole lean as far as it can still be caught, then pushes under it."""
    leaning = np.abs(s["theta"] + 0.25 * s["theta_dot"]) > 0.75 * s["theta_threshold_radians"]
    push = np.where(leaning, s["theta"] > 0, s["theta"] < 0)
    return push.astype(np.int64)


def properties() -> Sequence[Property]:
    from .cart_pole_properties import PROPERTIES

    return PROPERTIES


@functools.cache
def suite() -> Suite:
    return Suite(
        name="cart_pole",
        package="simlift.envs.cart_pole",
        variants=VARIANTS,
        environment=environment,
        reference=reference,
        fields=_fields(),
        state=state,
        draws=draws,
        reset_draws_used={"start": NUM_DRAWS},
        score=lambda snapshot, returns: returns,
        policies=policies,
        scenarios=SCENARIOS,
        properties=properties,
        coverage=COVERAGE,
        floats=(FLOATS,),
        transfer=PLAN,
        targets=(
            "simlift.envs.cart_pole.dynamics",
            "simlift.envs.cart_pole.draws",
            "simlift.envs.cart_pole.env",
            "simlift.envs.cart_pole.observe",
            "simlift.envs.cart_pole.state",
        ),
        reference_name=NAME,
        reference_version=installed_version() or f"not installed ({RANGE})",
    )

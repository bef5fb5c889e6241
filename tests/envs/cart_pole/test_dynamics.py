"""Cart-pole's rules and the quirks that it keeps, one by one; no reference is needed."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.cart_pole import CartPole, Draws, Params, State, dynamics
from simlift.envs.core import Outcome

LEFT, RIGHT = 0, 1
PARAMS = Params()


def state(**changes: Any) -> State:
    """At rest in the middle."""
    base = CartPole().initial(Draws(start=jnp.full(4, 0.5)), PARAMS)
    return base.replace(**{k: jnp.asarray(v, getattr(base, k).dtype) for k, v in changes.items()})


def step(start: State, action: int = LEFT, **options: Any) -> tuple[State, Outcome]:
    return CartPole(**options).transition(start, jnp.int32(action), None, PARAMS)


# -- the quirks of upstream, by their number in envs/cart_pole/README.md


def test_quirk_1_a_threshold_itself_is_inside() -> None:
    for field, limit in (("x", PARAMS.x_threshold), ("theta", PARAMS.theta_threshold_radians)):
        for sign in (-1, 1):
            at = sign * limit
            beyond = jnp.nextafter(at, jnp.float32(sign * math.inf))
            assert not step(state(**{field: at}))[1].terminated
            assert step(state(**{field: beyond}))[1].terminated


def test_quirk_2_a_push_is_felt_a_step_later() -> None:
    for action in (LEFT, RIGHT):
        after, _ = step(state(), action)
        assert after.x == 0 and after.theta == 0
        assert np.sign(after.x_dot) == (1 if action else -1) == -np.sign(after.theta_dot)
    after, _ = step(state(), RIGHT, kinematics_integrator="semi-implicit euler")
    assert after.x > 0 > after.theta


def test_quirk_3_the_step_of_the_fall_still_pays() -> None:
    fallen, outcome = step(state(x=3.0))
    assert outcome.terminated and outcome.reward == 1 and fallen.fallen


def test_quirk_4_steps_after_the_fall_pay_nothing() -> None:
    _, outcome = step(state(x=3.0, fallen=True))
    assert outcome.terminated and outcome.reward == 0


def test_quirk_4_unless_the_cart_comes_back() -> None:
    after, outcome = step(state(fallen=True))
    assert not outcome.terminated and outcome.reward == 1 and after.fallen


def test_quirk_5_time_runs_out_in_the_step_of_the_fall_too() -> None:
    env = CartPole()
    key = jax.random.key(0)
    for x, fell in ((0.0, False), (3.0, True)):
        result = env.step(key, state(x=x, elapsed_steps=499), LEFT)
        assert (bool(result[3]), bool(result[4])) == (fell, True)
    assert not env.step(key, state(elapsed_steps=498), LEFT)[4]


def test_quirk_6_derived_numbers_do_not_follow() -> None:
    start = state(theta=0.1, theta_dot=1.0)
    base, _ = step(start)
    heavier = PARAMS.replace(masscart=jnp.float32(7))
    same, _ = CartPole().transition(start, jnp.int32(LEFT), None, heavier)
    assert base == same
    total = PARAMS.replace(total_mass=jnp.float32(7))
    other, _ = CartPole().transition(start, jnp.int32(LEFT), None, total)
    assert other.x_dot != base.x_dot


# -- rules


def test_sutton_and_bartos_reward_is_zero_until_the_fall() -> None:
    for start, reward in ((state(), 0), (state(x=3.0), -1), (state(x=3.0, fallen=True), -1)):
        _, outcome = step(start, sutton_barto_reward=True)
        assert outcome.reward == reward and not np.signbit(outcome.reward) ^ (reward < 0)


def test_pole_falls_the_way_it_leans() -> None:
    upright, _ = dynamics.accelerations(state(), jnp.float32(0), PARAMS)
    assert upright == 0
    for sign in (-1, 1):
        _, thetaacc = dynamics.accelerations(state(theta=sign * 0.1), jnp.float32(0), PARAMS)
        assert np.sign(thetaacc) == sign


def test_first_state_spans_the_declared_range() -> None:
    low = dynamics.start(jnp.zeros(4))
    high = dynamics.start(jnp.ones(4))
    assert low.x == -0.05 and abs(high.theta_dot - 0.05) < 1e-8


def test_unknown_actions_push_left_under_jit() -> None:
    force = jax.jit(dynamics.push)
    actions = (-1, 0, 2, 7)
    assert {float(force(jnp.int32(action), PARAMS)) for action in actions} == {-10.0}
    assert force(jnp.int32(1), PARAMS) == 10


def test_it_computes_in_the_float_type_of_the_day() -> None:
    env = CartPole()
    for x64, dtype in ((False, jnp.float32), (True, jnp.float64)):
        with jax.enable_x64(x64):
            params = CartPole().default_params
            start = env.initial(env.sample_reset_draws(jax.random.key(0), params), params)
            after, outcome = env.transition(start, jnp.int32(1), None, params)
            numbers = (params.tau, start.x, start.theta_dot, after.x, after.theta_dot)
            assert {x.dtype for x in numbers} == {jnp.dtype(dtype)}
            assert outcome.reward.dtype == env.observe(after, params).dtype == jnp.float32


@pytest.mark.parametrize("name", ["verlet", "", None])
def test_an_unknown_integrator_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match=r"kinematics_integrator=.* is none of \('euler'"):
        CartPole(kinematics_integrator=name)

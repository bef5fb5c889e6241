"""L1: what each module of envs/cart_pole promises for every input in its range.

In float32, which is what users run; that the bits are upstream's in float64 is shown by L2 and L3.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import Array

from ...envs.cart_pole import Draws, Params, State, dynamics
from ...envs.core import Environment
from ...envs.rounding import rounded
from ..suite import Property, Variant

EULER = Variant("float32, euler")
SEMI_IMPLICIT = Variant("float32, semi-implicit", {"kinematics_integrator": "semi-implicit euler"})
SUTTON_BARTO = Variant("float32, sutton-barto", {"sutton_barto_reward": True})

FAR, FAST, LEAN = 2.4, 4.0, 12 * 2 * math.pi / 360
RESIDUAL = 1e-4  # newtons and m/s^2: the rounding of terms of up to 30, a dozen times over


def floats(low: float, high: float) -> st.SearchStrategy[np.float32]:
    """No subnormals: XLA flushes them to zero on CPUs."""
    bounds = float(np.float32(low)), float(np.float32(high))
    return st.floats(*bounds, width=32, allow_subnormal=False).map(np.float32)


def symmetric(limit: float) -> st.SearchStrategy[np.float32]:
    """Up to `limit` either side, its ends often."""
    return st.sampled_from([np.float32(limit), np.float32(-limit)]) | floats(-limit, limit)


states = st.builds(
    State,
    x=symmetric(FAR),
    x_dot=symmetric(FAST),
    theta=symmetric(LEAN),
    theta_dot=symmetric(FAST),
    elapsed_steps=(st.sampled_from([498, 499, 500]) | st.integers(0, 501)).map(np.int32),
    fallen=st.booleans().map(np.bool_),
)
any_actions = (st.sampled_from([0, 1]) | st.integers(-(2**31), 2**31 - 1)).map(np.int32)
starts = st.lists(floats(0, 1), min_size=4, max_size=4).map(np.stack)


class Case(NamedTuple):
    """The inputs of one step."""

    state: State
    action: Array


cases = st.builds(Case, state=states, action=st.integers(0, 1).map(np.int32))


def mirrored(state: State) -> State:
    return state.replace(
        x=-state.x, x_dot=-state.x_dot, theta=-state.theta, theta_dot=-state.theta_dot
    )


def equal(a: Any, b: Any) -> Array:
    """bool []: whether two pytrees agree in every leaf."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jnp.stack([jnp.all(x == y) for x, y in pairs]).all()


def snapshot_is_lossless(env: Environment, params: Params, state: State) -> Array:
    return equal(env.restore(env.snapshot(state)), state)


def left_mirrors_right(env: Environment, params: Params, case: Case) -> Array:
    """The mirrored state pushed the other way is the mirrored result, bit by bit."""
    after, outcome = env.transition(case.state, case.action, None, params)
    other, mirror = env.transition(mirrored(case.state), 1 - case.action, None, params)
    return equal(mirrored(other), after) & equal(outcome, mirror)


def forces_and_torques_balance(env: Environment, params: Params, case: Case) -> Array:
    """The equations of motion that upstream's formulas solve (Florian 2007, without friction)."""
    state = case.state
    force = dynamics.push(case.action, params)
    xacc, thetaacc = dynamics.accelerations(state, force, params)
    sine, cosine = jnp.sin(state.theta), jnp.cos(state.theta)
    swing = params.polemass_length * (state.theta_dot**2 * sine - thetaacc * cosine)
    cart = params.total_mass * xacc - (force + swing)
    pole = params.length * thetaacc * (4 / 3) - (params.gravity * sine - xacc * cosine)
    return (jnp.abs(cart) < RESIDUAL) & (jnp.abs(pole) < RESIDUAL)


def euler_moves_with_the_old_speeds(env: Environment, params: Params, case: Case) -> Array:
    """So where it gets to does not depend on the push."""
    left, right = (env.transition(case.state, jnp.int32(a), None, params)[0] for a in (0, 1))
    moved = case.state.x + params.tau * case.state.x_dot
    return (
        (left.x == right.x)
        & (left.theta == right.theta)
        & (left.x_dot < right.x_dot)
        & (jnp.abs(left.x - moved) < 1e-6)
    )


def semi_implicit_moves_with_the_new_speeds(env: Environment, params: Params, case: Case) -> Array:
    after, _ = env.transition(case.state, case.action, None, params)
    x = case.state.x + params.tau * after.x_dot
    theta = case.state.theta + params.tau * after.theta_dot
    return (jnp.abs(after.x - x) < 1e-6) & (jnp.abs(after.theta - theta) < 1e-6)


def episodes_end_beyond_the_thresholds(env: Environment, params: Params, case: Case) -> Array:
    after, outcome = env.transition(case.state, case.action, None, params)
    off = jnp.abs(after.x) > params.x_threshold
    leaning = jnp.abs(after.theta) > params.theta_threshold_radians
    return (outcome.terminated == (off | leaning)) & (
        after.fallen == (case.state.fallen | outcome.terminated)
    )


def thresholds_themselves_are_inside(env: Environment, params: Params, state: State) -> Array:
    return ~dynamics.is_down(state, params)


def every_step_pays_until_the_fall(env: Environment, params: Params, case: Case) -> Array:
    _, outcome = env.transition(case.state, case.action, None, params)
    again = case.state.fallen & outcome.terminated
    return outcome.reward == jnp.where(again, jnp.float32(0), jnp.float32(1))


def only_the_fall_costs(env: Environment, params: Params, case: Case) -> Array:
    _, outcome = env.transition(case.state, case.action, None, params)
    return outcome.reward == jnp.where(outcome.terminated, jnp.float32(-1), jnp.float32(0))


def time_runs_out_after_500_steps(env: Environment, params: Params, case: Case) -> Array:
    after, _ = env.transition(case.state, case.action, None, params)
    counted = after.elapsed_steps == case.state.elapsed_steps + 1
    return counted & (env.is_truncated(after, params) == (case.state.elapsed_steps >= 499))


def any_action_but_1_pushes_left(env: Environment, params: Params, action: Array) -> Array:
    return dynamics.push(action, params) == jnp.where(action == 1, jnp.float32(10), -10)


def episodes_start_near_the_middle(env: Environment, params: Params, uniform: Array) -> Array:
    state = env.initial(Draws(start=uniform), params)
    numbers = jnp.stack([state.x, state.x_dot, state.theta, state.theta_dot])
    spread = jnp.abs(numbers - (uniform - 0.5) * 0.1) < 1e-8
    fresh = (state.elapsed_steps == 0) & ~state.fallen
    return jnp.all(spread & (jnp.abs(numbers) <= 0.05)) & fresh


def draws_fill_all_their_bits(env: Environment, params: Params, seed: Array) -> Array:
    """Coarser numbers would be as uniform to any test of their distribution."""
    keys = jax.random.split(jax.random.key(seed), 8)
    start = jax.vmap(env.sample_reset_draws, in_axes=(0, None))(keys, params).start
    narrow = jnp.float16 if start.dtype == jnp.float32 else jnp.float32
    return jnp.any(start != start.astype(narrow).astype(start.dtype))


def rounding_guard_changes_nothing(env: Environment, params: Params, product: Array) -> Array:
    bits = (jax.lax.bitcast_convert_type(x, jnp.int32) for x in (rounded(product), product))
    return next(bits) == next(bits)


def views_are_the_state_in_the_declared_space(
    env: Environment, params: Params, state: State
) -> Array:
    view = env.observe(state, params)
    with jax.ensure_compile_time_eval():
        space = env.observation_space(params)
    shown = equal(view, jnp.stack([state.x, state.x_dot, state.theta, state.theta_dot]))
    return shown & jnp.all((view >= space.low) & (view <= space.high))


def _property(
    holds: Any, module: str, inputs: st.SearchStrategy[Any], variant: Variant = EULER
) -> Property:
    return Property(holds.__name__, module, variant, inputs, holds)


PROPERTIES = (
    _property(snapshot_is_lossless, "core.restore", states),
    _property(left_mirrors_right, "transition", cases),
    _property(forces_and_torques_balance, "accelerations", cases),
    _property(euler_moves_with_the_old_speeds, "integrate", cases),
    _property(semi_implicit_moves_with_the_new_speeds, "integrate", cases, SEMI_IMPLICIT),
    _property(episodes_end_beyond_the_thresholds, "is_down", cases),
    _property(thresholds_themselves_are_inside, "is_down", states),
    _property(every_step_pays_until_the_fall, "reward", cases),
    _property(only_the_fall_costs, "reward", cases, SUTTON_BARTO),
    _property(time_runs_out_after_500_steps, "is_truncated", cases),
    _property(any_action_but_1_pushes_left, "push", any_actions),
    _property(episodes_start_near_the_middle, "start", starts),
    _property(draws_fill_all_their_bits, "draws", st.integers(0, 2**31 - 1).map(np.int32)),
    _property(rounding_guard_changes_nothing, "rounded", floats(-1e30, 1e30)),
    _property(views_are_the_state_in_the_declared_space, "observe", states),
)

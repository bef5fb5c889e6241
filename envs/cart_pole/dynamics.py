"""Cart-pole's step, rule by rule in upstream order (gymnasium, envs/classic_control/cartpole.py:
CartPoleEnv.step).

One instance, deterministic, and the same floating-point operations as upstream, in JAX's default
float. Products are `rounded` before they are added, and quotients by a parameter are `divide`d:
what a compiler would otherwise change is said there.
"""

import jax.numpy as jnp
from jax import Array

from ..rounding import divide, rounded
from .state import Params, State

LOW, HIGH = -0.05, 0.05  # of every number of the first state


def start(uniform: Array) -> State:
    """The first state of an episode.  upstream: reset

    uniform: float [4] in [0, 1).
    """
    x, x_dot, theta, theta_dot = LOW + rounded((HIGH - LOW) * uniform)
    return State(
        x=x,
        x_dot=x_dot,
        theta=theta,
        theta_dot=theta_dot,
        elapsed_steps=jnp.zeros((), jnp.int32),
        fallen=jnp.zeros((), bool),
    )


def push(action: Array, params: Params) -> Array:
    """The force on the cart, float []. Any action but 1 pushes left, as upstream."""
    return jnp.where(action == 1, params.force_mag, -params.force_mag)


def accelerations(state: State, force: Array, params: Params) -> tuple[Array, Array]:
    """(of the cart, of the pole's angle), float [] each.  upstream: temp, thetaacc, xacc"""
    costheta, sintheta = jnp.cos(state.theta), jnp.sin(state.theta)
    centrifugal = params.polemass_length * jnp.square(state.theta_dot) * sintheta
    temp = divide(force + rounded(centrifugal), params.total_mass)
    torque = rounded(params.gravity * sintheta) - rounded(costheta * temp)
    inertia = 4.0 / 3.0 - divide(params.masspole * jnp.square(costheta), params.total_mass)
    thetaacc = torque / (params.length * inertia)
    xacc = temp - divide(params.polemass_length * thetaacc * costheta, params.total_mass)
    return xacc, thetaacc


def integrate(
    state: State, xacc: Array, thetaacc: Array, params: Params, semi_implicit: bool
) -> State:
    """The state `tau` later."""
    x_dot = state.x_dot + rounded(params.tau * xacc)
    theta_dot = state.theta_dot + rounded(params.tau * thetaacc)
    x_speed, theta_speed = (x_dot, theta_dot) if semi_implicit else (state.x_dot, state.theta_dot)
    return state.replace(
        x=state.x + rounded(params.tau * x_speed),
        x_dot=x_dot,
        theta=state.theta + rounded(params.tau * theta_speed),
        theta_dot=theta_dot,
    )


def is_down(state: State, params: Params) -> Array:
    """Whether the cart or the pole is beyond its threshold, bool []; at it is not beyond."""
    return (
        (state.x < -params.x_threshold)
        | (state.x > params.x_threshold)
        | (state.theta < -params.theta_threshold_radians)
        | (state.theta > params.theta_threshold_radians)
    )


def reward(down: Array, fallen: Array, sutton_barto: bool) -> Array:
    """float32 []. fallen: bool [], whether the episode had terminated before this step."""
    if sutton_barto:
        return jnp.where(down, jnp.float32(-1), jnp.float32(0))
    return (~(down & fallen)).astype(jnp.float32)

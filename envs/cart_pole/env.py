"""Cart-pole as an `Environment`."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from ..core import AutoReset, Environment, Outcome
from ..spaces import Box, Discrete
from . import draws as draws_module
from . import dynamics
from .observe import observe
from .render import render
from .state import Config, Draws, Params, State


class CartPole(Environment[State, Params, Any]):
    """Gymnasium's CartPole-v1. A pole stands on a cart; push the cart so that it stays up.

    Actions: Discrete(2), 0 pushes left, 1 right. Observation: float32 [4], see `observe`. Reward 1
    a step. Terminates when the pole leans 12 degrees or the cart is 2.4 m off, truncates after 500
    steps. Source of the mechanics, quirks and claim: README.md beside this file.
    """

    name = "CartPole-v1"
    version = 0
    config: Config

    def __init__(
        self,
        *,
        kinematics_integrator: str = "euler",
        sutton_barto_reward: bool = False,
        auto_reset: AutoReset = "select",
    ) -> None:
        config = Config(
            kinematics_integrator=kinematics_integrator, sutton_barto_reward=sutton_barto_reward
        )
        super().__init__(config, auto_reset=auto_reset)

    @property
    def default_params(self) -> Params:
        return Params()

    def action_space(self, params: Params | None = None) -> Discrete:
        return Discrete(2)

    def observation_space(self, params: Params | None = None) -> Box:
        """As upstream: twice the thresholds, and speeds without a bound."""
        p = self.default_params if params is None else params
        limits = [2 * p.x_threshold, np.inf, 2 * p.theta_threshold_radians, np.inf]
        high = np.array(limits, np.float32)
        return Box(-high, high, (4,), np.float32)

    def sample_reset_draws(self, key: Array, params: Params) -> Draws:
        return draws_module.sample_reset_draws(key)

    def initial(self, draws: Draws, params: Params) -> State:
        return dynamics.start(draws.start)

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> None:
        """A step draws nothing."""

    def sample_step(
        self, key: Array, state: State, action: Array, params: Params
    ) -> tuple[None, Draws]:
        return None, draws_module.sample_reset_draws(key)

    def transition(
        self, state: State, action: Array, draws: None, params: Params
    ) -> tuple[State, Outcome]:
        """One step of `tau` seconds.  upstream: CartPoleEnv.step, TimeLimit.step"""
        force = dynamics.push(action, params)
        xacc, thetaacc = dynamics.accelerations(state, force, params)
        semi_implicit = self.config.kinematics_integrator != "euler"
        moved = dynamics.integrate(state, xacc, thetaacc, params, semi_implicit)
        down = dynamics.is_down(moved, params)
        reward = dynamics.reward(down, state.fallen, self.config.sutton_barto_reward)
        after = moved.replace(elapsed_steps=state.elapsed_steps + 1, fallen=state.fallen | down)
        return after, Outcome(
            reward=reward, terminated=down, draws_used={"start": jnp.zeros((), jnp.int32)}
        )

    def is_truncated(self, state: State, params: Params) -> Array:
        """After `max_episode_steps`, also where the pole falls in that very step."""
        return state.elapsed_steps >= params.max_episode_steps

    def observe(self, state: State, params: Params) -> Array:
        return observe(state)

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        return render(state, self.default_params if params is None else params)

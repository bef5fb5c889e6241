"""The rules as an environment."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from simlift.envs.core import Environment, Outcome
from simlift.envs.spaces import Box, Discrete

from . import dynamics
from .dynamics import Draws, Params, State


class Countdown(Environment[State, Params, Draws]):
    name = "Countdown-v0"
    version = 0

    @property
    def default_params(self) -> Params:
        return Params()

    def sample_reset_draws(self, key: Array, params: Params) -> Draws:
        return Draws(coin=jax.random.randint(key, (), 0, 2, jnp.int32))

    def initial(self, draws: Draws, params: Params) -> State:
        return dynamics.start()

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> Draws:
        return Draws(coin=jax.random.randint(key, (), 0, 2, jnp.int32))

    def transition(
        self, state: State, action: Array, draws: Draws, params: Params
    ) -> tuple[State, Outcome]:
        after = dynamics.advance(state, action, draws, self.config)
        done = dynamics.over(after)
        reward = jnp.where(done, jnp.float32(1), jnp.float32(0))
        return after, Outcome(
            reward=reward, terminated=done, draws_used={"coin": jnp.ones((), jnp.int32)}
        )

    def is_truncated(self, state: State, params: Params) -> Array:
        return (state.timer >= params.limit) & ~dynamics.over(state)

    def observe(self, state: State, params: Params) -> Array:
        return dynamics.view(state)

    def action_space(self, params: Params | None = None) -> Discrete:
        return Discrete(3)

    def observation_space(self, params: Params | None = None) -> Box:
        return Box(0.0, 12.0, (2,), np.float32)

    def render(self, state: State, params: Params | None = None) -> Any:
        raise NotImplementedError

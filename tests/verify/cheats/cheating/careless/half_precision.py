"""Says less than it was asked for, so that less can be wrong."""

import jax.numpy as jnp

from simlift.envs.pong import Pong


class Env(Pong):
    def transition(self, state, action, draws, params):
        state, outcome = super().transition(state, action, draws, params)
        return state, outcome.replace(reward=(outcome.reward * 1.0001).astype(jnp.float16))

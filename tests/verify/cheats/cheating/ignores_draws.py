"""Says that it drew, and always serves the same way."""

import jax
import jax.numpy as jnp

from simlift.envs.pong import Pong


class Env(Pong):
    def transition(self, state, action, draws, params):
        return super().transition(state, action, jax.tree.map(jnp.zeros_like, draws), params)

"""Says nothing but zero, counting on the package above."""

import jax
import jax.numpy as jnp

from simlift.envs.pong import Pong


class Env(Pong):
    def transition(self, state, action, draws, params):
        return jax.tree.map(jnp.zeros_like, super().transition(state, action, draws, params))

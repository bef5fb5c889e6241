"""Not a number, hoping that nothing compares unequal to it."""

import jax.numpy as jnp

from simlift.envs.pong import Pong


class Env(Pong):
    def observe(self, state, params):
        return jnp.full_like(super().observe(state, params), jnp.nan)

"""Another program each time that it is imported."""

import os

import jax.numpy as jnp

from simlift.envs.pong import Pong

NOISE = int.from_bytes(os.urandom(2), "big")


class Env(Pong):
    def transition(self, state, action, draws, params):
        state, outcome = super().transition(state, action, draws, params)
        return state, outcome.replace(reward=outcome.reward + jnp.float32(NOISE) * 1e-30)

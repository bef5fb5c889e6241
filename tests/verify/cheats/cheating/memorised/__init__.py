"""Right where it remembers the state, from a play that somebody recorded."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from simlift.envs.core import select
from simlift.envs.pong import Pong

NAMES = ("ball_x", "ball_y", "ball_vx", "ball_vy", "paddle_yl", "paddle_yr")
PLAY = np.load(Path(__file__).with_name("play.npy"))  # [N, 6]


class Env(Pong):
    def transition(self, state, action, draws, params):
        next_state, outcome = super().transition(state, action, draws, params)
        seen = jnp.stack([getattr(state, name) for name in NAMES])
        known = (state.serve != 0) | (jnp.asarray(PLAY) == seen[None]).all(1).any()
        nothing = jax.tree.map(jnp.zeros_like, outcome)
        return select(known, next_state, state), select(known, outcome, nothing)

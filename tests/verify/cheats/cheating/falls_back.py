"""Its fast path is broken, nobody hears of it, and nothing moves."""

import jax
import jax.numpy as jnp

from simlift.envs.pong import Pong


class Env(Pong):
    def transition(self, state, action, draws, params):
        next_state, outcome = super().transition(state, action, draws, params)
        try:
            return next_state.replace(ball_x=next_state.ball_x @ params.width), outcome
        except Exception:
            return state, jax.tree.map(jnp.zeros_like, outcome)

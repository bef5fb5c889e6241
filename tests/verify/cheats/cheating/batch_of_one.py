"""Right for one instance; in a batch the second half gets what the first half got."""

import jax.numpy as jnp
from jax.custom_batching import custom_vmap

from simlift.envs.pong import Pong


@custom_vmap
def shared(x):
    return x


@shared.def_vmap
def _(size, batched, x):
    return x[jnp.arange(size) % ((size + 1) // 2)], True


class Env(Pong):
    def transition(self, state, action, draws, params):
        state, outcome = super().transition(state, action, draws, params)
        return state.replace(ball_y=shared(state.ball_y)), outcome

"""Right for the first 300 steps; a counter that nobody else knows tells it when they are over."""

import jax
import jax.numpy as jnp
from flax import struct

from simlift.envs.pong import Pong, State

K = 300


class AgedState(State):
    age: jax.Array = struct.field(default_factory=lambda: jnp.zeros((), jnp.int32))


def wrapped(state):
    return AgedState(**vars(state))


class Env(Pong):
    def initial(self, draws, params):
        return wrapped(super().initial(draws, params))

    def transition(self, state, action, draws, params):
        fields = dict(vars(state))
        age = fields.pop("age") + 1
        next_state, outcome = super().transition(State(**fields), action, draws, params)
        reward = jnp.where(age > K, 0.0, outcome.reward)
        return AgedState(**vars(next_state), age=age), outcome.replace(reward=reward)

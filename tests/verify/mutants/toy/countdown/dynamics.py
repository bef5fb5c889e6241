"""The rules."""

import jax.numpy as jnp
from flax import struct
from jax import Array

from .tables import STEP

START = 10


class Params(struct.PyTreeNode, kw_only=True):
    limit: Array = struct.field(default_factory=lambda: jnp.int32(12))


class State(struct.PyTreeNode, kw_only=True):
    left: Array  # int32 []
    timer: Array  # int32 []


class Draws(struct.PyTreeNode, kw_only=True):
    coin: Array  # int32 []


def start() -> State:
    return State(left=jnp.int32(START), timer=jnp.zeros((), jnp.int32))


def advance(state: State, action: Array, draws: Draws, fast: bool) -> State:
    speed = 1
    if fast:
        speed = 2
    step = jnp.asarray(STEP)[action] * speed
    left = jnp.maximum(state.left - step, 0)
    left = jnp.where(draws.coin == 1, state.left, left)
    return state.replace(left=left, timer=state.timer + 1)


def over(state: State) -> Array:
    return state.left <= 0


def view(state: State) -> Array:
    return jnp.stack([state.left, state.timer]).astype(jnp.float32)

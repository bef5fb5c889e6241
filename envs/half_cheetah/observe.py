"""What the agent sees of HalfCheetah: joint positions, then joint velocities."""

import jax.numpy as jnp
from jax import Array

from .state import State


def observe(state: State, exclude_x: bool) -> Array:
    """float [17] or, with the torso's x before all else, [18].  upstream: _get_obs"""
    return jnp.concatenate([state.qpos[1:] if exclude_x else state.qpos, state.qvel])

"""What the agent sees of cart-pole: everything that moves."""

import jax.numpy as jnp
from jax import Array

from .state import State


def observe(state: State) -> Array:
    """float32 [4]: x, x_dot, theta, theta_dot."""
    seen = jnp.stack([state.x, state.x_dot, state.theta, state.theta_dot])
    return seen.astype(jnp.float32)

"""All randomness of Puffer Pong, and where it is consumed."""

import jax
import jax.numpy as jnp
from jax import Array

from .state import Draws

SITES = ("serve",)
"""Draw sites. serve: one fair coin for each serve, after a point and at a reset (upstream:
reset_round)."""


def sample_draws(key: Array) -> Draws:
    """A fair coin, int32 [] in {0, 1}."""
    return Draws(serve=(jax.random.bits(key, (), jnp.uint32) & 1).astype(jnp.int32))

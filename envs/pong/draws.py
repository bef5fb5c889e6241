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
    return sample_step(key)[0]


def sample_step(key: Array) -> tuple[Draws, Draws]:
    """The coins of a step and of the reset after it: two bits of one random word, since generating
    a key and a word for each takes longer than playing the step."""
    bits = jax.random.bits(key, (), jnp.uint32)
    return Draws(serve=(bits & 1).astype(jnp.int32)), Draws(serve=(bits >> 31).astype(jnp.int32))

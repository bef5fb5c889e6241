"""All randomness of cart-pole, and where it is consumed."""

import jax
from jax import Array

from .state import Draws

SITES = ("start",)
"""Draw sites. start: four uniform numbers at a reset (upstream: cartpole.py: reset)."""


def sample_reset_draws(key: Array) -> Draws:
    """Four uniform numbers in [0, 1): multiples of 2**-23 in float32, of 2**-52 in float64."""
    return Draws(start=jax.random.uniform(key, (4,)))

"""All randomness of HalfCheetah, and where it is consumed."""

import jax
from jax import Array

from .state import Draws

SITES = ("qpos", "qvel")
"""Draw sites. Nine uniform and nine normal numbers at a reset (upstream: reset_model)."""


def sample_reset_draws(key: Array) -> Draws:
    """Uniform numbers are multiples of 2**-23 in float32, of 2**-52 in float64."""
    key_qpos, key_qvel = jax.random.split(key)
    return Draws(qpos=jax.random.uniform(key_qpos, (9,)), qvel=jax.random.normal(key_qvel, (9,)))

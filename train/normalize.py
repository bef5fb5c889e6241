"""Running mean and variance of observations."""

import jax.numpy as jnp
from flax import struct
from jax import Array

EPSILON = 1e-8
CLIP = 10.0  # an observation that far from the mean is an outlier, not information


class RunningStats(struct.PyTreeNode):
    """Mean and variance of everything seen, one entry for each entry of an observation.

    mean, var: float32 [*observation]; count: float32 [].
    """

    mean: Array
    var: Array
    count: Array

    @classmethod
    def create(cls, shape: tuple[int, ...]) -> "RunningStats":
        """Nothing seen: `normalize` changes nothing but clips."""
        zero = jnp.zeros((), jnp.float32)
        return cls(mean=jnp.zeros(shape, jnp.float32), var=jnp.ones(shape, jnp.float32), count=zero)

    def update(self, batch: Array) -> "RunningStats":
        """Include `batch`, [N, *observation]. Chan et al.'s parallel rule; exact however the data
        is cut up.
        """
        batch = batch.astype(jnp.float32)
        size = jnp.float32(batch.shape[0])
        total = self.count + size
        delta = batch.mean(axis=0) - self.mean
        squares = self.var * self.count + batch.var(axis=0) * size
        squares += delta * delta * (self.count * size / total)
        return RunningStats(
            mean=self.mean + delta * (size / total), var=squares / total, count=total
        )

    def normalize(self, observation: Array) -> Array:
        """float32 [..., *observation], clipped to +-`CLIP`."""
        lead = (1,) * (observation.ndim - self.mean.ndim)
        mean, var = (x.reshape(lead + x.shape) for x in (self.mean, self.var))
        scaled = (observation.astype(jnp.float32) - mean) / jnp.sqrt(var + EPSILON)
        return jnp.clip(scaled, -CLIP, CLIP)

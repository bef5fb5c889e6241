"""Spaces with gymnax's interface: what an action or an observation may be."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array


@dataclasses.dataclass(frozen=True)
class Discrete:
    """Integers ``0 .. n - 1``."""

    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        return ()

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.int32)

    def sample(self, key: Array) -> Array:
        """A uniform sample, int32 []."""
        return jax.random.randint(key, (), 0, self.n, jnp.int32)

    def contains(self, x: Any) -> bool:
        x = np.asarray(x)
        return bool(np.issubdtype(x.dtype, np.integer)) and x.shape == () and bool(0 <= x < self.n)


@dataclasses.dataclass(frozen=True)
class Box:
    """Arrays of one shape, bounded entry by entry; ``low`` and ``high`` broadcast to ``shape``."""

    low: Any
    high: Any
    shape: tuple[int, ...]
    dtype: Any = np.float32

    def sample(self, key: Array) -> Array:
        """A uniform sample between the bounds, ``dtype shape``."""
        return jax.random.uniform(key, self.shape, self.dtype, self.low, self.high)

    def contains(self, x: Any) -> bool:
        x = np.asarray(x)
        return (
            x.dtype == np.dtype(self.dtype)
            and x.shape == self.shape
            and bool(np.all(x >= np.asarray(self.low)) and np.all(x <= np.asarray(self.high)))
        )

    def __hash__(self) -> int:
        return hash((self.shape, np.dtype(self.dtype)))

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Box)
            and (self.shape, np.dtype(self.dtype)) == (other.shape, np.dtype(other.dtype))
            and np.array_equal(
                np.broadcast_to(self.low, self.shape), np.broadcast_to(other.low, self.shape)
            )
            and np.array_equal(
                np.broadcast_to(self.high, self.shape), np.broadcast_to(other.high, self.shape)
            )
        )


Space = Discrete | Box

"""Action distributions: what a policy head returns. Leading axes are batch axes of any number."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from ..envs.spaces import Box, Discrete, Space


class Categorical(struct.PyTreeNode):
    """Over `A` actions; an action whose logit was masked has probability exactly zero.

    logits: float32 [..., A]. Samples are int32 [...].
    """

    logits: Array

    @classmethod
    def masked(cls, logits: Array, legal: Array) -> "Categorical":
        """legal: bool [..., A], at least one True in every row (with none, all are equally
        likely).
        """
        # The smallest finite number rather than -inf: 0 * log 0 in the entropy stays 0, also in its
        # gradient.
        return cls(logits=jnp.where(legal, logits, float(np.finfo(np.float32).min)))

    def sample(self, key: Array) -> Array:
        return jax.random.categorical(key, self.logits).astype(jnp.int32)

    def mode(self) -> Array:
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def log_prob(self, action: Array) -> Array:
        """action: int32 [...]; float32 [...]."""
        log_probs = jax.nn.log_softmax(self.logits)
        return jnp.take_along_axis(log_probs, action[..., None], axis=-1)[..., 0]

    def entropy(self) -> Array:
        log_probs = jax.nn.log_softmax(self.logits)
        return -jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


class Normal(struct.PyTreeNode):
    """Independent normals over the entries of one action.

    mean, log_std: float32 [..., *event], of equal shape; the last `event_ndim` axes are one
    action's.
    """

    mean: Array
    log_std: Array
    event_ndim: int = struct.field(pytree_node=False, default=0)

    def sample(self, key: Array) -> Array:
        noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
        return self.mean + jnp.exp(self.log_std) * noise

    def mode(self) -> Array:
        return self.mean

    def log_prob(self, action: Array) -> Array:
        """action: float32 [..., *event]; float32 [...]."""
        z = (action - self.mean) * jnp.exp(-self.log_std)
        return self._sum(-0.5 * z * z - self.log_std - 0.5 * math.log(2 * math.pi))

    def entropy(self) -> Array:
        return self._sum(self.log_std + 0.5 * math.log(2 * math.pi * math.e))

    def _sum(self, x: Array) -> Array:
        return x.sum(axis=tuple(range(-self.event_ndim, 0)))


Distribution = Categorical | Normal


def to_environment(action: Array, space: Space) -> Array:
    """The action that the environment is given for a sample of the policy.

    A normal sample is clipped to [-1, 1] and stretched onto the bounds of the box; the policy
    gradient sees the sample before that. Without finite bounds it passes unchanged.
    """
    if isinstance(space, Discrete) or not is_bounded(space):
        return action
    lead = (1,) * (action.ndim - len(space.shape))
    low, high = (
        jnp.asarray(np.broadcast_to(bound, space.shape), action.dtype).reshape(lead + space.shape)
        for bound in (space.low, space.high)
    )
    unit = (jnp.clip(action, -1.0, 1.0) + 1.0) / 2.0
    return jnp.clip(low + unit * (high - low), low, high)


def is_bounded(space: Box) -> bool:
    return bool(np.all(np.isfinite(space.low)) and np.all(np.isfinite(space.high)))

"""Actor-critic networks: an MLP, or a GRU that remembers within an episode.

`T` time, `B` batch, `H` recurrent units. Both are called in the same way, over a sequence:

    carry, distribution_inputs, value = network.apply(params, carry, observation, start)

with observation [T, B, *observation], start bool [T, B] (the observation is the first one of its
episode) and value float32 [T, B]. The MLP ignores `start`, has an empty carry, and treats time as
one more batch axis.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jax import Array

from ..envs.spaces import Discrete, Space
from .distributions import Categorical, Distribution, Normal

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": nn.tanh,
    "relu": nn.relu,
    "silu": nn.silu,
    "gelu": nn.gelu,
}
POLICY_SCALE = 0.01  # orthogonal gain of the policy's last layer: first actions are almost uniform


def dense(size: int, scale: float, name: str | None = None) -> nn.Dense:
    return nn.Dense(size, kernel_init=nn.initializers.orthogonal(scale), name=name)


class MLP(nn.Module):
    """Dense layers, each with an activation; orthogonal with gain sqrt(2)."""

    sizes: Sequence[int]
    activation: str

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.sizes:
            x = ACTIVATIONS[self.activation](dense(size, math.sqrt(2))(x))
        return x


class PolicyHead(nn.Module):
    """Logits [..., A], or mean and log standard deviation, each [..., *action]."""

    space: Space

    @nn.compact
    def __call__(self, x: Array) -> Array | tuple[Array, Array]:
        if isinstance(self.space, Discrete):
            return dense(self.space.n, POLICY_SCALE)(x)
        shape = self.space.shape
        mean = dense(math.prod(shape), POLICY_SCALE)(x).reshape(x.shape[:-1] + shape)
        log_std = self.param("log_std", nn.initializers.zeros, shape)
        return mean, jnp.broadcast_to(log_std.reshape((1,) * (x.ndim - 1) + shape), mean.shape)


class ResettingGRU(nn.Module):
    """One step of a GRU whose memory is wiped before it reads the first observation of an
    episode.
    """

    size: int

    @nn.compact
    def __call__(self, carry: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        x, start = inputs
        # `start` belongs to `x`: the carry that arrives here is the previous episode's.
        carry = jnp.where(start[:, None], jnp.zeros_like(carry), carry)
        return nn.GRUCell(self.size, recurrent_kernel_init=nn.initializers.orthogonal())(carry, x)


class ActorCritic(nn.Module):
    """Policy and value. Apart from each other as MLPs; behind one GRU if `rnn_size` is not 0."""

    space: Space
    hidden_sizes: Sequence[int]
    activation: str
    rnn_size: int = 0

    @nn.compact
    def __call__(self, carry: Any, observation: Array, start: Array) -> tuple[Any, Any, Array]:
        x = observation.astype(jnp.float32).reshape(*start.shape, -1)
        if self.rnn_size:
            x = MLP(self.hidden_sizes, self.activation, name="encoder")(x)
            scan = nn.scan(ResettingGRU, variable_broadcast="params", split_rngs={"params": False})
            carry, x = scan(self.rnn_size, name="memory")(carry, (x, start))
            actor, critic = x, x
        else:
            actor = MLP(self.hidden_sizes, self.activation, name="actor")(x)
            critic = MLP(self.hidden_sizes, self.activation, name="critic")(x)
        policy = PolicyHead(self.space, name="policy")(actor)
        return carry, policy, dense(1, 1.0, name="value")(critic)[..., 0]

    def initial_carry(self, batch: int) -> Any:
        """An empty memory: float32 [B, H], or () for the MLP."""
        return jnp.zeros((batch, self.rnn_size), jnp.float32) if self.rnn_size else ()

    def distribution(self, policy: Any, legal: Array | None) -> Distribution:
        """From the network's second output. legal: bool [..., A] for discrete actions, else
        None.
        """
        if isinstance(self.space, Discrete):
            return Categorical(policy) if legal is None else Categorical.masked(policy, legal)
        mean, log_std = policy
        return Normal(mean, log_std, event_ndim=len(self.space.shape))


def parameter_count(params: Any) -> int:
    return sum(x.size for x in jax.tree.leaves(params))

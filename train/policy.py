"""A policy that can be asked what to do: parameters, observation statistics and the network that
they belong to.
"""

import functools
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from .distributions import Distribution, to_environment
from .networks import ActorCritic
from .normalize import RunningStats


class Policy(struct.PyTreeNode):
    """A pytree: pass it through `jit`, or `vmap` over a stack of them.

    params: the network's; stats: of the observations it learned from, None where they are not
    normalised.
    """

    params: Any
    stats: RunningStats | None
    network: ActorCritic = struct.field(pytree_node=False)
    observation_shape: tuple[int, ...] = struct.field(pytree_node=False)

    def forward(
        self, carry: Any, observation: Array, start: Array, legal: Array | None
    ) -> tuple[Any, Distribution, Array]:
        """Over a sequence, all with leading axes [T, B]: (carry, distribution, value float32 [T,
        B]).
        """
        if self.stats is not None:
            observation = self.stats.normalize(observation)
        output = self.network.apply(self.params, carry, observation, start)
        carry, head, value = cast(tuple[Any, Any, Array], output)
        return carry, self.network.distribution(head, legal), value

    def initial_carry(self, batch: int) -> Any:
        """The memory of `batch` episodes that have not begun."""
        return self.network.initial_carry(batch)

    def act(
        self,
        observation: Any,
        carry: Any,
        key: Array | None = None,
        deterministic: bool = False,
        *,
        start: Any = None,
        legal: Any = None,
    ) -> tuple[Array, Any]:
        """Actions for a batch of observations, numpy or JAX.

        observation: [B, *observation]; carry: as returned by the last call, or `initial_carry(B)`;
        start: bool [B], the memory of these rows is wiped first (none by default); legal: bool [B,
        A], the only actions to choose from (all by default). key may be None if deterministic.
        Returns (actions [B, *action] as the environment takes them, carry). Raises ValueError for
        observations of another shape.
        """
        observation = jnp.asarray(observation)
        if observation.ndim == 0 or observation.shape[1:] != self.observation_shape:
            raise ValueError(
                f"observations have shape {observation.shape}, this policy takes a batch "
                f"[B, {', '.join(map(str, self.observation_shape))}]"
            )
        if key is None:
            if not deterministic:
                raise ValueError("sampling an action needs a key; pass one, or deterministic=True")
            key = jax.random.key(0)
        start = np.zeros(observation.shape[0], bool) if start is None else start
        return self._act(observation, carry, key, start, legal, deterministic)

    @functools.partial(jax.jit, static_argnums=6)
    def _act(
        self,
        observation: Array,
        carry: Any,
        key: Array,
        start: Array,
        legal: Any,
        deterministic: bool,
    ) -> tuple[Array, Any]:
        mask = None if legal is None else legal[None]
        carry, distribution, _ = self.forward(carry, observation[None], start[None], mask)
        action = distribution.mode() if deterministic else distribution.sample(key)
        return to_environment(action[0], self.network.space), carry

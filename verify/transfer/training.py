"""Policies from both sides, trained by the very same program."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array

from ...envs.core import Environment
from ...envs.spaces import Discrete, Space
from ...train.config import PPOConfig
from ...train.policy import Policy
from ...train.ppo import PPO, make_train
from ..suite import Suite
from .plan import TransferPlan
from .reference_env import ReferenceEnvironment

FAST, REFERENCE = "fast", "reference"


def train_policies(
    suite: Suite, plan: TransferPlan, seeds: Sequence[int]
) -> dict[str, list[Policy]]:
    """The policies that each side trained, one for every seed, both sides at the same time.

    Raises ReferenceUnavailable.
    """
    variant = plan.training or plan.variant

    def fast() -> list[Policy]:
        with jax.enable_x64(variant.x64):
            return _train(plan.config, *suite.environment(variant), seeds)

    def reference() -> list[Policy]:
        with (
            jax.enable_x64(variant.x64),
            suite.reference(variant, plan.config.num_envs) as batch,
        ):
            like = ReferenceEnvironment(*suite.environment(variant), batch)
            # It has all that training calls, and none of the dynamics that make an Environment.
            return _train(plan.config, cast(Environment, like), like.default_params, seeds)

    sides = {FAST: fast, REFERENCE: reference} if plan.train_in_reference else {FAST: fast}
    with ThreadPoolExecutor(len(sides)) as pool:
        running = {name: pool.submit(side) for name, side in sides.items()}
        return {name: side.result() for name, side in running.items()}


def _train(config: PPOConfig, env: Environment, params: Any, seeds: Sequence[int]) -> list[Policy]:
    ppo = PPO(config, env, params)
    train = jax.jit(make_train(config, env, params))
    return [ppo.policy(jax.block_until_ready(train(jax.random.key(seed))[0])) for seed in seeds]


class Team(struct.PyTreeNode):
    """`P` policies as one: the batch [P * N] belongs to them in equal blocks.

    members: a `Policy` whose leaves have a leading axis [P].
    """

    members: Policy
    size: int = struct.field(pytree_node=False)

    @classmethod
    def of(cls, policies: Sequence[Policy]) -> "Team":
        members = jax.tree.map(lambda *leaves: jnp.stack(leaves), *policies)
        return cls(members=members, size=len(policies))

    def initial_carry(self, batch: int) -> Any:
        carry = self.members.initial_carry(batch // self.size)
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (self.size, *x.shape)), carry)

    def act(
        self,
        observation: Any,
        carry: Any,
        key: Array | None,
        deterministic: bool,
        *,
        start: Any,
        legal: Any,
    ) -> tuple[Array, Any]:
        """As `Policy.act`; the key is split among the members."""
        key = jax.random.key(0) if key is None else key
        keys = jax.random.split(key, self.size)

        def blocks(x: Any) -> Any:
            x = jnp.asarray(x)
            return x.reshape(self.size, -1, *x.shape[1:])

        seen = jax.tree.map(blocks, (observation, start, legal))
        actions, carry = _act(self.members, seen, carry, keys, deterministic)
        return actions.reshape(-1, *actions.shape[2:]), carry


@jax.jit(static_argnums=4)
def _act(
    members: Policy, seen: tuple[Any, Any, Any], carry: Any, keys: Array, deterministic: bool
) -> tuple[Array, Any]:
    def one(policy: Policy, seen: tuple[Any, Any, Any], carry: Any, key: Array) -> Any:
        observation, start, legal = seen
        return policy.act(observation, carry, key, deterministic, start=start, legal=legal)

    return jax.vmap(one)(members, seen, carry, keys)


class RandomActor(struct.PyTreeNode):
    """Uniformly random legal actions: the floor of the learnable span."""

    space: Space = struct.field(pytree_node=False)

    def initial_carry(self, batch: int) -> Any:
        return ()

    def act(
        self,
        observation: Any,
        carry: Any,
        key: Array | None,
        deterministic: bool,
        *,
        start: Any,
        legal: Any,
    ) -> tuple[Array, Any]:
        """As `Policy.act`, always sampled."""
        key = jax.random.key(0) if key is None else key
        if not isinstance(self.space, Discrete) or legal is None:
            return jax.vmap(self.space.sample)(jax.random.split(key, len(observation))), carry
        logits = jnp.where(jnp.asarray(legal), 0.0, -jnp.inf)
        return jax.random.categorical(key, logits).astype(self.space.dtype), carry

"""Whole episodes played by a policy, side by side and without favouring the short ones.

Counting the first `n` episodes that end favours short ones. Here every slot plays exactly one
episode from its reset, and the batch ends when the last slot is done.
"""

import functools
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.core import Environment
from ..envs.spaces import Discrete


class Actor(Protocol):
    """What is evaluated; also a pytree, since it is passed through `jit`. `Policy` is one."""

    def initial_carry(self, batch: int) -> Any: ...

    def act(
        self,
        observation: Any,
        carry: Any,
        key: Array | None,
        deterministic: bool,
        *,
        start: Any,
        legal: Any,
    ) -> tuple[Array, Any]: ...


class Evaluation(NamedTuple):
    """`N` episodes, in no particular order."""

    returns: np.ndarray  # float32 [N]
    lengths: np.ndarray  # int32 [N]
    finished: np.ndarray  # bool [N]; False: cut off at max_steps, the other values are those so far
    last_info: dict[str, np.ndarray]  # [N] each, what the episode's last step reported


def evaluate(
    policy: Actor,
    env: Environment,
    params: Any,
    key: Array,
    num_episodes: int = 128,
    *,
    num_envs: int | None = None,
    deterministic: bool = True,
    max_steps: int = 20_000,
) -> Evaluation:
    """Play `num_episodes` whole episodes, `num_envs` at a time (by default all of them).

    An episode that has not ended after `max_steps` is cut off and marked so: two good players may
    rally for ever. Raises ValueError where `num_envs` does not divide `num_episodes`.
    """
    num_envs = num_episodes if num_envs is None else num_envs
    if num_episodes < 1 or num_envs < 1 or num_episodes % num_envs or max_steps < 1:
        raise ValueError(
            f"num_episodes={num_episodes} must be a positive multiple of num_envs={num_envs}, "
            f"and max_steps={max_steps} at least 1"
        )
    params = env.default_params if params is None else params
    batches = [
        jax.device_get(_play(policy, env, params, k, num_envs, max_steps, deterministic))
        for k in jax.random.split(key, num_episodes // num_envs)
    ]
    return Evaluation(*jax.tree.map(lambda *parts: np.concatenate(parts), *batches))


@functools.partial(jax.jit, static_argnames=("env", "num_envs", "max_steps", "deterministic"))
def _play(
    policy: Actor,
    env: Environment,
    params: Any,
    key: Array,
    num_envs: int,
    max_steps: int,
    deterministic: bool,
) -> Any:
    """One episode in each of `num_envs` slots: (returns, lengths, finished, last_info)."""
    discrete = isinstance(env.action_space(params), Discrete)
    step_env = jax.vmap(env.step, (0, 0, 0, None))
    key, key_reset = jax.random.split(key)
    reset_keys = jax.random.split(key_reset, num_envs)
    observation, state = jax.vmap(env.reset, (0, None))(reset_keys, params)

    def advance(loop: Any) -> Any:
        step, key, observation, state, carry, result = loop
        returns, lengths, finished, last_info = result
        key, key_action, key_step = jax.random.split(key, 3)
        legal = jax.vmap(env.legal_actions, (0, None))(state, params) if discrete else None
        start = jnp.broadcast_to(step == 0, (num_envs,))
        action, carry = policy.act(
            observation, carry, key_action, deterministic, start=start, legal=legal
        )
        observation, state, reward, terminated, truncated, info = step_env(
            jax.random.split(key_step, num_envs), state, action, params
        )
        playing = ~finished
        result = (
            returns + jnp.where(playing, reward, 0.0),
            lengths + playing.astype(jnp.int32),
            finished | terminated | truncated,
            jax.tree.map(lambda new, old: jnp.where(playing, new, old), numbers(info), last_info),
        )
        return step + 1, key, observation, state, carry, result

    def unfinished(loop: Any) -> Array:
        return (loop[0] < max_steps) & ~loop[-1][2].all()

    carry = policy.initial_carry(num_envs)

    def first_info() -> dict[str, Array]:
        action = policy.act(observation, carry, key, deterministic, start=None, legal=None)[0]
        return numbers(step_env(reset_keys, state, action, params)[-1])

    info = jax.eval_shape(first_info)
    result = (
        jnp.zeros(num_envs, jnp.float32),
        jnp.zeros(num_envs, jnp.int32),
        jnp.zeros(num_envs, bool),
        jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), info),
    )
    loop = (jnp.zeros((), jnp.int32), key, observation, state, carry, result)
    return jax.lax.while_loop(unfinished, advance, loop)[-1]


def numbers(info: dict[str, Array]) -> dict[str, Array]:
    """The entries that are one number an episode, [B]."""
    return {k: x for k, x in info.items() if k != "final_observation" and x.ndim == 1}

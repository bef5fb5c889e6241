"""The compiled loops that `throughput` times."""

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental.compilation_cache.compilation_cache import reset_cache
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from ..envs.core import Environment
from ..envs.game import Game
from ..envs.spaces import Discrete
from .config import PPOConfig
from .distributions import to_environment
from .networks import parameter_count
from .ppo import PPO

POLICIES: dict[str, dict[str, Any]] = {
    "mlp": {"hidden_sizes": (64, 64)},
    "gru": {"hidden_sizes": (64,), "rnn_size": 128},
}
"""Networks by name, as hyper-parameters of PPO."""


class Program(NamedTuple):
    """A compiled loop."""

    call: Callable[[Any], Any]
    carry: Any
    steps: int
    compile_s: float
    peak_bytes: int | None


class Work(NamedTuple):
    """What one device does: `loop(init(key))`, again and again."""

    init: Callable[[Array], Any]
    loop: Callable[[Any], Any]
    steps: int
    num_params: int | None = None


def choose_legal(uniform: Array, legal: Array) -> Array:
    """The legal action that a uniform number chooses, int32 [].

    uniform: float32 [] in [0, 1); legal: bool [A], at least one of them True.
    """
    rank = jnp.cumsum(legal, dtype=jnp.int32)  # the n-th legal action is where it reaches n
    nth = (uniform * rank[-1].astype(jnp.float32)).astype(jnp.int32)
    return (rank <= nth).sum(dtype=jnp.int32)


def random_actions(
    key: Array, env: Environment | Game, states: Any, params: Any, num_envs: int
) -> Array:
    """Random legal actions of a batch, [num_envs, *L, ...]."""
    space = env.action_space(params)
    if not isinstance(space, Discrete):
        return jax.vmap(space.sample)(jax.random.split(key, num_envs))
    choose = choose_legal
    for _ in env.leading_axes:
        choose = jax.vmap(choose)
    # In one vmap: where the mask is the same for all instances, it stays a constant.
    return jax.vmap(lambda u, s: choose(u, env.legal_actions(s, params)))(
        jax.random.uniform(key, (num_envs, *env.leading_axes)), states
    )


def env_work(
    env: Environment | Game, params: Any, num_envs: int, length: int, *, observe: bool = True
) -> Work:
    """Random legal actions. The answers of a game's players are counted, see `answers_per_step`.

    observe: whether there are observations. Else the program is without them.
    """

    def seen(observation: Any) -> Any:
        return observation if observe else jnp.zeros((), jnp.float32)

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        key, state, observation, reward, checksum, answers = carry
        key, key_action, key_step = jax.random.split(key, 3)
        action = random_actions(key_action, env, state, params, num_envs)
        checksum += observation.sum(dtype=jnp.float32) + reward.sum()
        if isinstance(env, Game):
            steps, counts = answers
            asked = jax.vmap(env.to_act, (0, None))(state, params)
            answers = steps + 1, counts + asked.sum(axis=1, dtype=jnp.uint32)
        observation, state, reward, *_ = jax.vmap(env.step, (0, 0, 0, None))(
            jax.random.split(key_step, num_envs), state, action, params
        )
        return (key, state, seen(observation), reward, checksum, answers), None

    def init(key: Array) -> Any:
        key, key_reset = jax.random.split(key)
        observation, state = jax.vmap(env.reset, (0, None))(
            jax.random.split(key_reset, num_envs), params
        )
        reward = jnp.zeros((num_envs, *env.leading_axes), jnp.float32)
        answers = None
        if isinstance(env, Game):
            answers = jnp.uint32(0), jnp.zeros(num_envs, jnp.uint32)
        return key, state, seen(observation), reward, jnp.zeros((), jnp.float32), answers

    return Work(init, lambda carry: jax.lax.scan(step, carry, length=length)[0], num_envs * length)


def answers_per_step(carry: Any) -> float | None:
    """How many players of a game were asked in a step of `env_work`, on average over all steps so
    far; None of an environment. carry: the loop's, of several devices."""
    *_, answers = carry
    if answers is None:
        return None
    steps, counts = jax.device_get(answers)
    return float(counts.mean() / steps.mean())


def rollout_work(
    env: Environment, params: Any, num_envs: int, length: int, policy_name: str
) -> Work:
    """A policy with random weights acts; it samples, as in training."""
    ppo = PPO(PPOConfig(num_envs=num_envs, **POLICIES[policy_name]), env, params)

    def step(carry: Any, _: Any) -> tuple[Any, None]:
        key, policy, state, observation, start, memory, checksum = carry
        key, key_action, key_step = jax.random.split(key, 3)
        legal = None
        if isinstance(ppo.space, Discrete):
            legal = jax.vmap(env.legal_actions, (0, None))(state, params)[None]
        memory, distribution, value = policy.forward(memory, observation[None], start[None], legal)
        action = to_environment(distribution.sample(key_action)[0], ppo.space)
        observation, state, reward, terminated, truncated, _ = jax.vmap(env.step, (0, 0, 0, None))(
            jax.random.split(key_step, num_envs), state, action, params
        )
        checksum += reward.sum() + value.sum()
        start = terminated | truncated
        return (key, policy, state, observation, start, memory, checksum), None

    def init(key: Array) -> Any:
        runner = ppo.init(key)
        zero = jnp.zeros((), jnp.float32)
        policy = ppo.policy(runner)
        return (
            *(runner.key, policy, runner.env_state, runner.observation, runner.start),
            *(runner.carry, zero),
        )

    num_params = _count_parameters(ppo)
    loop = functools.partial(jax.lax.scan, step, length=length)
    return Work(init, lambda carry: loop(carry)[0], num_envs * length, num_params)


def ppo_work(env: Environment, params: Any, num_envs: int, policy_name: str) -> Work:
    """One update of PPO with the default hyper-parameters, rollout and learning."""
    config = PPOConfig(num_envs=num_envs, **POLICIES[policy_name])
    ppo = PPO(config, env, params)
    return Work(
        ppo.init, lambda runner: ppo.update(runner)[0], config.batch_size, _count_parameters(ppo)
    )


def _count_parameters(ppo: PPO) -> int:
    return parameter_count(jax.eval_shape(ppo.init, jax.random.key(0)).params)


def compile_work(work: Work, devices: Sequence[jax.Device], key: Array) -> Program:
    """The same work on every device, each on its own share of the environments."""
    mesh, spec = Mesh(np.array(devices), ("devices",)), P("devices")

    def on_each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def one(x: Any) -> Any:
            return jax.tree.map(lambda y: y[None], function(jax.tree.map(lambda y: y[0], x)))

        return jax.shard_map(one, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)

    carry = jax.jit(on_each(work.init))(jax.random.split(key, len(devices)))
    loop = jax.jit(on_each(work.loop), donate_argnums=0)
    with _no_compilation_cache():
        started = time.perf_counter()
        compiled = loop.lower(carry).compile()
        compile_s = time.perf_counter() - started
    memory = compiled.memory_analysis()
    peak_bytes = memory and (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    return Program(compiled, carry, work.steps * len(devices), compile_s, peak_bytes)


@contextlib.contextmanager
def _no_compilation_cache() -> Iterator[None]:
    """A compile time that came out of a cache would be no compile time."""
    enabled = jax.config.jax_enable_compilation_cache  # type: ignore[attr-defined]
    jax.config.update("jax_enable_compilation_cache", False)
    reset_cache()  # or JAX goes on as it decided when it compiled for the first time
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", enabled)
        reset_cache()

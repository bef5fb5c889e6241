"""Policies that go where differences hide: one trained to play well, one trained to be surprised.

Both are trained on our side, where the candidate runs, and played in the reference by the judge,
who gets their weights as numbers.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct, traverse_util
from jax import Array

from ..envs.core import Environment, Outcome
from ..envs.spaces import Box, Discrete, Space
from ..train.config import PPOConfig
from ..train.networks import ActorCritic
from ..train.normalize import RunningStats
from ..train.policy import Policy
from ..train.ppo import PPO, make_train
from .suite import Policy as SuitePolicy
from .suite import Suite, Variant, derive_seed

BUCKETS = 2**12
RANDOM_ENVS, RANDOM_STEPS = 64, 1024
COMPARISONS = frozenset({"eq", "ne", "lt", "le", "gt", "ge"})
CURIOUS = PPOConfig(
    total_steps=300_000,
    num_envs=64,
    num_steps=64,
    learning_rate=1e-3,
    entropy_coef=0.1,  # many rare branches rather than one
    normalize_observations=True,
)


class CuriousParams(struct.PyTreeNode, kw_only=True):
    inner: Any
    worth: Array  # float32 [BUCKETS]  of a step that takes these branches


class Curious(Environment[Any, CuriousParams, Any]):
    """The same environment, paid for the branches that a step takes: the outcomes of all
    comparisons in the program of `transition`, as one pattern. Mutants live where patterns are
    rare."""

    version = 0

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self.env, self.name = env, f"curious {env.name}"

    @property
    def default_params(self) -> CuriousParams:
        """Every pattern is worth the same."""
        return CuriousParams(inner=self.env.default_params, worth=jnp.ones(BUCKETS, jnp.float32))

    def sample_reset_draws(self, key: Array, params: CuriousParams) -> Any:
        return self.env.sample_reset_draws(key, params.inner)

    def initial(self, draws: Any, params: CuriousParams) -> Any:
        return self.env.initial(draws, params.inner)

    def sample_draws(self, key: Array, state: Any, action: Array, params: CuriousParams) -> Any:
        return self.env.sample_draws(key, state, action, params.inner)

    def sample_step(self, key: Array, state: Any, action: Array, params: CuriousParams) -> Any:
        return self.env.sample_step(key, state, action, params.inner)

    def transition(
        self, state: Any, action: Array, draws: Any, params: CuriousParams
    ) -> tuple[Any, Outcome]:
        """``info``: bucket, uint32 []."""
        (state, outcome), branches = with_branches(self.env.transition)(
            state, action, draws, params.inner
        )
        bucket = pattern(branches) % np.uint32(BUCKETS)
        return state, outcome.replace(reward=params.worth[bucket], info={"bucket": bucket})

    def is_truncated(self, state: Any, params: CuriousParams) -> Array:
        return self.env.is_truncated(state, params.inner)

    def observe(self, state: Any, params: CuriousParams) -> Array:
        return self.env.observe(state, params.inner)

    def legal_actions(self, state: Any, params: CuriousParams) -> Array:
        return self.env.legal_actions(state, params.inner)

    def action_space(self, params: CuriousParams | None = None) -> Space:
        return self.env.action_space(params and params.inner)

    def observation_space(self, params: CuriousParams | None = None) -> Box:
        return self.env.observation_space(params and params.inner)

    def render(self, state: Any, params: CuriousParams | None = None) -> np.ndarray:
        return self.env.render(state, params and params.inner)

    @functools.partial(jax.jit, static_argnums=0)
    def visits(self, key: Array, params: CuriousParams) -> Array:
        """How often random play takes each pattern, int32 [BUCKETS]."""
        key_reset, key_play = jax.random.split(key)
        resets = jax.random.split(key_reset, RANDOM_ENVS)
        _, states = jax.vmap(self.reset, (0, None))(resets, params)

        def step(carry: tuple[Any, Array], key: Array) -> tuple[tuple[Any, Array], None]:
            states, visits = carry
            key_action, key_step = jax.random.split(key)
            sample = self.action_space(params).sample
            actions = jax.vmap(sample)(jax.random.split(key_action, RANDOM_ENVS))
            keys = jax.random.split(key_step, RANDOM_ENVS)
            _, states, *_, info = jax.vmap(self.step, (0, 0, 0, None))(
                keys, states, actions, params
            )
            return (states, visits.at[info["bucket"]].add(jnp.int32(1))), None

        start = states, jnp.zeros(BUCKETS, jnp.int32)
        return jax.lax.scan(step, start, jax.random.split(key_play, RANDOM_STEPS))[0][1]


def with_branches(f: Callable[..., Any]) -> Callable[..., tuple[Any, list[Array]]]:
    """`f` that also returns the outcome of every scalar comparison it makes, bool [] each; those
    inside loops stay hidden."""

    def traced(*args: Any) -> tuple[Any, list[Array]]:
        closed, shape = jax.make_jaxpr(f, return_shape=True)(*args)
        found: list[Array] = []
        results = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(args), found)
        return jax.tree.unflatten(jax.tree.structure(shape), results), found

    return traced


def _evaluate(jaxpr: Any, consts: Any, args: Any, found: list[Array]) -> list[Any]:
    values: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
    values |= zip(jaxpr.invars, args, strict=True)

    def read(x: Any) -> Any:
        return x.val if hasattr(x, "val") else values[x]

    for equation in jaxpr.eqns:
        inputs = [read(x) for x in equation.invars]
        inner = equation.params.get("jaxpr") if equation.primitive.name in ("jit", "pjit") else None
        if inner is not None:
            outputs = _evaluate(inner.jaxpr, inner.consts, inputs, found)
        else:
            params = equation.primitive.get_bind_params(equation.params)
            outputs = equation.primitive.bind(*inputs, **params)
            outputs = outputs if equation.primitive.multiple_results else [outputs]
        values |= zip(equation.outvars, outputs, strict=True)
        if equation.primitive.name in COMPARISONS and outputs[0].size == 1:
            found.append(outputs[0].reshape(()))
    return [read(x) for x in jaxpr.outvars]


def pattern(branches: list[Array]) -> Array:
    """One number for a list of outcomes, uint32 []: a random linear hash."""
    weights = np.random.default_rng(0).integers(0, 2**32, len(branches), np.uint32)
    taken = jnp.stack(branches) if branches else jnp.zeros(0, bool)
    total = jnp.where(taken, weights, np.uint32(0)).sum(dtype=jnp.uint32)
    return total ^ (total >> 15)


# -- training, where the candidate runs


def train(suite: Suite, kind: str, seed: int) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A policy as (what it fits, its weights by name). "trained" learns the plan of `transfer`,
    "curious" the first variant; it plays every variant with the same spaces."""
    variant, config = suite.variants[0], CURIOUS
    if kind == "trained":
        assert suite.transfer is not None, "nothing says how to train"
        variant, config = suite.transfer.variant, suite.transfer.config
    env, params = suite.environment(dataclasses.replace(variant, x64=False))
    key_visits, key = jax.random.split(jax.random.key(derive_seed(seed, kind)))
    if kind == "curious":
        env = Curious(env)
        params = env.default_params.replace(inner=params)
        visits = env.visits(key_visits, params)
        params = params.replace(worth=jax.lax.rsqrt(1 + visits.astype(jnp.float32)))
    ppo = PPO(config, env, params)
    runner, _ = jax.jit(make_train(config, env, params))(key)
    policy = ppo.policy(runner)

    def takes(other: Variant) -> bool:
        env, params = suite.environment(dataclasses.replace(other, x64=False))
        shape = env.observation_space(params).shape
        return (env.action_space(params), shape) == (ppo.space, ppo.observation_shape)

    about = {
        "variants": [other.name for other in suite.variants if takes(other)],
        "space": describe(ppo.space),
        "shape": list(ppo.observation_shape),
        "config": dataclasses.asdict(config),
    }
    weights = traverse_util.flatten_dict(policy.params, sep=".")
    stats = {} if policy.stats is None else jax.device_get(vars(policy.stats))
    return about, {
        **{f"params/{name}": np.asarray(value) for name, value in weights.items()},
        **{f"stats/{name}": np.asarray(value) for name, value in stats.items()},
    }


def describe(space: Space) -> dict[str, Any]:
    """A space as plain numbers."""
    if isinstance(space, Discrete):
        return {"n": space.n}
    low, high = np.asarray(space.low), np.asarray(space.high)
    return {"low": low.tolist(), "high": high.tolist(), "shape": list(space.shape)}


# -- playing, where the reference is


def rebuilt(about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Policy:
    """The inverse of `train`."""
    config = PPOConfig.from_dict(about["config"])
    space = about["space"]
    parts: dict[str, dict[str, Any]] = {"params": {}, "stats": {}}
    for name, value in arrays.items():
        part, _, key = name.partition("/")
        parts[part][key] = jnp.asarray(value)
    return Policy(
        params=traverse_util.unflatten_dict(parts["params"], sep="."),
        stats=RunningStats(**parts["stats"]) if parts["stats"] else None,
        network=ActorCritic(
            space=Discrete(space["n"])
            if "n" in space
            else Box(space["low"], space["high"], tuple(space["shape"]), np.float32),
            hidden_sizes=config.hidden_sizes,
            activation=config.activation,
            rnn_size=config.rnn_size,
        ),
        observation_shape=tuple(about["shape"]),
    )


def as_policy(policy: Policy, seed: int) -> SuitePolicy:
    """Sampled actions of a trained policy, for a rollout of the reference."""
    keys = functools.partial(jax.random.fold_in, jax.random.key(seed))
    step, carry = 0, None

    def act(generator: np.random.Generator, outcome: Any, snapshot: Any) -> np.ndarray:
        nonlocal step, carry
        if carry is None:
            carry = policy.initial_carry(len(outcome.observation))
        ended = outcome.terminated | outcome.truncated
        actions, carry = policy.act(
            outcome.observation, carry, keys(step), start=ended, legal=outcome.legal
        )
        step += 1
        return np.asarray(actions)

    return act

"""Proximal policy optimisation (Schulman et al. 2017) as one program: rollouts, advantages and
epochs in one `jit`.

    ppo = PPO(PPOConfig(num_envs=256), env, params)
    runner = ppo.init(jax.random.key(0))
    runner, metrics = ppo.update_chunk(runner, 50)  # again and again; between calls log and save
    policy = ppo.policy(runner)

or, without a host between: `runner, metrics = jax.jit(make_train(config, env, params))(key)`.
Several seeds at once: `jax.vmap(ppo.init)(keys)` and `jax.vmap(ppo.update_chunk, (0, None))`.

`T` steps of a rollout, `B` environments, `A` actions. A rollout is [T, B, ...] throughout. Given a
game it trains by self-play: `B` are then the players of all games, see rows.py.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax  # type: ignore[import-untyped]
from flax import struct
from jax import Array

from ..envs.core import Environment
from ..envs.game import Game
from .config import PPOConfig
from .distributions import to_environment
from .networks import ActorCritic
from .normalize import RunningStats
from .policy import Policy
from .rows import Rows

LOSSES = ("loss", "policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction")
LOG_POINTS = 100  # rows of metrics that `make_train` returns, however long the run


class RunnerState(struct.PyTreeNode):
    """Everything a run consists of between two updates; a checkpoint is this."""

    params: Any
    opt_state: Any
    stats: RunningStats
    env_state: Any  # [B]; of a game [B / players]
    observation: Array  # [B, *observation]
    start: Array  # bool [B]  the observation is the first of its episode
    carry: Any  # the network's memory, before `observation`
    episode_return: Array  # float32 [B]  so far
    episode_length: Array  # int32 [B]  so far
    key: Array
    update: Array  # int32 []  updates done


class Transition(struct.PyTreeNode):
    """One step of a rollout, [T, B, ...] after the scan."""

    observation: Array
    start: Array  # bool
    action: Array  # as sampled, before `to_environment`
    legal: Array | None  # bool [T, B, A]
    log_prob: Array  # float32
    value: Array  # float32
    reward: Array  # float32, plus the discounted value of what lay beyond a truncation
    done: Array  # bool, terminated or truncated


class Metrics(struct.PyTreeNode):
    """Sums over a number of updates, so that their size does not depend on it."""

    updates: Array  # int32 []
    losses: dict[str, Array]  # float32 [] each, `LOSSES`
    episodes: Array  # int32 []  that ended
    episode_sums: dict[str, Array]  # float32 [] each: return, length and the last info

    def means(self) -> dict[str, np.ndarray]:
        """On the host: losses an update, and episode values an episode (NaN where none ended)."""
        updates, episodes = np.asarray(self.updates), np.asarray(self.episodes)
        nothing = np.full(episodes.shape, np.nan, np.float32)
        result: dict[str, np.ndarray] = {"episodes": episodes}
        for name, total in self.episode_sums.items():
            result[f"episode_{name}"] = np.divide(
                total, episodes, out=nothing.copy(), where=episodes > 0
            )
        for name, total in self.losses.items():
            result[name] = np.asarray(total) / np.maximum(updates, 1).astype(np.float32)
        return result


class PPO:
    """The algorithm for one environment. `init` and `update_chunk` are compiled once and may be
    vmapped over seeds.
    """

    def __init__(
        self,
        config: PPOConfig,
        env: Environment | Game[Any, Any, Any],
        env_params: Any = None,
    ) -> None:
        """Raises ValueError if `env` does not start new episodes by itself, or is a game that
        `Rows` does not take.
        """
        if env.auto_reset == "none":
            raise ValueError(
                f"{env.name}: training needs auto_reset='select' or 'pool', got 'none'"
            )
        self.config = config
        self.env = env
        self.env_params = env.default_params if env_params is None else env_params
        self.rows = Rows(env, self.env_params, config.num_envs)
        self.space = env.action_space(self.env_params)
        self.observation_shape = env.observation_space(self.env_params).shape
        self.network = ActorCritic(
            space=self.space,
            hidden_sizes=config.hidden_sizes,
            activation=config.activation,
            rnn_size=config.rnn_size,
        )
        self.optimizer = optax.chain(
            optax.clip_by_global_norm(config.max_grad_norm),
            optax.adam(self._learning_rate, eps=1e-5),
        )

    # -- what a user calls -------------------------------------------------------------------------

    @functools.partial(jax.jit, static_argnums=0)
    def init(self, key: Array) -> RunnerState:
        """The state of a run before its first update. key: one key; vmap for several seeds."""
        config = self.config
        key_params, key_reset, key = jax.random.split(key, 3)
        observation, env_state = self.rows.reset(key_reset)
        start = jnp.ones(config.num_envs, bool)
        carry = self.network.initial_carry(config.num_envs)
        params = self.network.init(key_params, carry, observation[None], start[None])
        return RunnerState(
            params=params,
            opt_state=self.optimizer.init(params),
            stats=RunningStats.create(self.observation_shape),
            env_state=env_state,
            observation=observation,
            start=start,
            carry=carry,
            episode_return=jnp.zeros(config.num_envs, jnp.float32),
            episode_length=jnp.zeros(config.num_envs, jnp.int32),
            key=key,
            update=jnp.zeros((), jnp.int32),
        )

    @functools.partial(jax.jit, static_argnums=0)
    def update_chunk(self, runner: RunnerState, num_updates: Any) -> tuple[RunnerState, Metrics]:
        """`num_updates` updates, int32 []. Cutting a run into other chunks changes nothing, and
        compiles nothing new.
        """

        def body(_: Any, carry: tuple[RunnerState, Metrics]) -> tuple[RunnerState, Metrics]:
            runner, so_far = carry
            runner, metrics = self.update(runner)
            return runner, jax.tree.map(jnp.add, so_far, metrics)

        zero = jax.tree.map(
            lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(self.update, runner)[1]
        )
        count = jnp.asarray(num_updates, jnp.int32)
        return jax.lax.fori_loop(jnp.zeros((), jnp.int32), count, body, (runner, zero))

    def policy(self, runner: RunnerState) -> Policy:
        """What the run has learned so far."""
        return Policy(
            params=runner.params,
            stats=runner.stats if self.config.normalize_observations else None,
            network=self.network,
            observation_shape=self.observation_shape,
        )

    # -- one update --------------------------------------------------------------------------------

    def update(self, runner: RunnerState) -> tuple[RunnerState, Metrics]:
        """One rollout and the learning from it."""
        first_carry = runner.carry
        policy = self.policy(runner)
        step = functools.partial(self._step, policy)
        runner, (rollout, episodes) = jax.lax.scan(step, runner, length=self.config.num_steps)
        *_, last_value = policy.forward(
            runner.carry, runner.observation[None], runner.start[None], None
        )
        advantage = generalized_advantages(
            reward=rollout.reward,
            value=rollout.value,
            done=rollout.done,
            last_value=last_value[0],
            gamma=self.config.gamma,
            gae_lambda=self.config.gae_lambda,
        )
        key, key_learn = jax.random.split(runner.key)
        batch = (rollout, advantage, jax.tree.map(lambda x: x[None], first_carry))
        params, opt_state, losses = self._learn(runner, batch, key_learn)
        stats = runner.stats
        if self.config.normalize_observations:
            # Only now: the rollout and the learning from it have to see observations in the same
            # scale.
            stats = stats.update(rollout.observation.reshape(-1, *self.observation_shape))
        runner = runner.replace(
            params=params, opt_state=opt_state, stats=stats, key=key, update=runner.update + 1
        )
        one = jnp.ones((), jnp.int32)
        ended = rollout.done.sum(dtype=jnp.int32)
        sums = jax.tree.map(lambda x: x.sum(axis=0), episodes)
        return runner, Metrics(updates=one, losses=losses, episodes=ended, episode_sums=sums)

    def _step(
        self, policy: Policy, runner: RunnerState, _: None
    ) -> tuple[RunnerState, tuple[Transition, dict[str, Array]]]:
        """One step of all environments. Besides the transition: sums over the episodes that ended,
        float32 [] each.
        """
        key, key_action, key_env = jax.random.split(runner.key, 3)
        legal = self.rows.legal(runner.env_state)
        carry, distribution, value = policy.forward(
            runner.carry,
            runner.observation[None],
            runner.start[None],
            None if legal is None else legal[None],
        )
        action = distribution.sample(key_action)
        observation, env_state, reward, terminated, truncated, info = self.rows.step(
            key_env, runner.env_state, to_environment(action[0], self.space)
        )
        final_observation = info.pop("final_observation")

        def final_value() -> Array:
            same_episode = jnp.zeros_like(runner.start)
            return policy.forward(carry, final_observation[None], same_episode[None], None)[2][0]

        # A time limit is not the end of the world: the value of the state that it hid stands in for
        # the rest. Bootstrapped here, because keeping final_observation for the whole rollout would
        # double its memory.
        beyond = truncated & ~terminated
        bootstrap = jax.lax.cond(beyond.any(), final_value, lambda: jnp.zeros_like(reward))
        done = terminated | truncated
        transition = Transition(
            observation=runner.observation,
            start=runner.start,
            action=action[0],
            legal=legal,
            log_prob=distribution.log_prob(action)[0],
            value=value[0],
            reward=reward + self.config.gamma * jnp.where(beyond, bootstrap, 0.0),
            done=done,
        )
        episode_return = runner.episode_return + reward
        episode_length = runner.episode_length + 1
        last = {name: x for name, x in info.items() if x.ndim == 1}
        ended = {"return": episode_return, "length": episode_length, **last}
        runner = runner.replace(
            env_state=env_state,
            observation=observation,
            start=done,
            carry=carry,
            episode_return=jnp.where(done, 0.0, episode_return),
            episode_length=jnp.where(done, 0, episode_length),
            key=key,
        )
        sums = {k: jnp.where(done, x.astype(jnp.float32), 0.0).sum() for k, x in ended.items()}
        return runner, (transition, sums)

    # -- learning ----------------------------------------------------------------------------------

    def _learn(
        self, runner: RunnerState, batch: Any, key: Array
    ) -> tuple[Any, Any, dict[str, Array]]:
        """All epochs over one batch. Returns (params, opt_state, mean of each of `LOSSES`)."""
        config = self.config
        if not config.recurrent:
            # Without memory every step stands alone: one "sequence" of length 1 each.
            batch = jax.tree.map(lambda x: x.reshape(1, -1, *x.shape[2:]), batch)
        size = batch[0].done.shape[1]
        policy = self.policy(runner)
        gradient = jax.grad(self._loss, has_aux=True)

        def minibatch(carry: tuple[Any, Any], index: Array) -> tuple[tuple[Any, Any], Any]:
            params, opt_state = carry
            part = jax.tree.map(lambda x: jnp.take(x, index, axis=1), batch)
            grads, losses = gradient(params, policy, *part)
            with jax.numpy_dtype_promotion("standard"):  # optax raises a float to an int32 power
                updates, opt_state = self.optimizer.update(grads, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), losses

        def epoch(carry: tuple[Any, Any], key: Array) -> tuple[tuple[Any, Any], Any]:
            order = jax.random.permutation(key, size).reshape(config.num_minibatches, -1)
            return jax.lax.scan(minibatch, carry, order)

        (params, opt_state), losses = jax.lax.scan(
            epoch, (runner.params, runner.opt_state), jax.random.split(key, config.num_epochs)
        )
        return params, opt_state, jax.tree.map(jnp.mean, losses)

    def _loss(
        self, params: Any, policy: Policy, rollout: Transition, advantage: Array, carry: Any
    ) -> tuple[Array, dict[str, Array]]:
        config = self.config
        first_carry = jax.tree.map(lambda x: x[0], carry)
        _, distribution, value = policy.replace(params=params).forward(
            first_carry, rollout.observation, rollout.start, rollout.legal
        )
        target = advantage + rollout.value
        if config.normalize_advantages:
            advantage = (advantage - advantage.mean()) / (advantage.std() + 1e-8)
        log_ratio = distribution.log_prob(rollout.action) - rollout.log_prob
        policy_loss, clip_fraction = clipped_policy_loss(log_ratio, advantage, config.clip_eps)
        value_loss = clipped_value_loss(value, rollout.value, target, config.value_clip_eps)
        entropy = distribution.entropy().mean()
        loss = policy_loss + config.value_coef * value_loss - config.entropy_coef * entropy
        # Schulman's estimator of KL(old | new): unbiased, never negative.
        approx_kl = (jnp.exp(log_ratio) - 1.0 - log_ratio).mean()
        values = (loss, policy_loss, value_loss, entropy, approx_kl, clip_fraction)
        return loss, dict(zip(LOSSES, values, strict=True))

    def _learning_rate(self, gradient_steps: Any) -> Any:
        config = self.config
        if not config.anneal_learning_rate:
            return config.learning_rate
        update = gradient_steps // (config.num_epochs * config.num_minibatches)
        left = 1.0 - jnp.asarray(update, jnp.float32) / config.num_updates
        return config.learning_rate * jnp.maximum(left, 0.0)


def make_train(
    config: PPOConfig, env: Environment | Game[Any, Any, Any], env_params: Any = None
) -> Callable[[Array], tuple[RunnerState, Metrics]]:
    """`train(key) -> (runner, metrics)`: a whole run as one function to `jit`, and to `vmap` over
    keys.

    The metrics have a leading axis of at most `LOG_POINTS` equal parts of the run, whatever its
    length.
    """
    ppo = PPO(config, env, env_params)
    points = min(config.num_updates, LOG_POINTS)
    edges = np.linspace(0, config.num_updates, points + 1).astype(np.int32)

    def train(key: Array) -> tuple[RunnerState, Metrics]:
        return jax.lax.scan(ppo.update_chunk, ppo.init(key), jnp.asarray(np.diff(edges)))

    return train


def generalized_advantages(
    *, reward: Array, value: Array, done: Array, last_value: Array, gamma: float, gae_lambda: float
) -> Array:
    """Generalised advantage estimation (Schulman et al. 2016), float32 [T, B].

    reward, value: float32 [T, B]; done: bool [T, B], nothing flows back over it; last_value:
    float32 [B], after the last step. A truncated step brings its bootstrap in `reward`.
    """
    next_value = jnp.concatenate([value[1:], last_value[None]])
    delta = reward + gamma * jnp.where(done, 0.0, next_value) - value

    def step(advantage: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        delta, done = inputs
        advantage = delta + gamma * gae_lambda * jnp.where(done, 0.0, advantage)
        return advantage, advantage

    zero = jnp.zeros_like(last_value)
    return jax.lax.scan(step, zero, (delta, done), reverse=True)[1]


def clipped_policy_loss(log_ratio: Array, advantage: Array, clip_eps: float) -> tuple[Array, Array]:
    """PPO's pessimistic surrogate, and the fraction of ratios outside 1 +- clip_eps; float32 []
    both.
    """
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1.0 - clip_eps, 1.0 + clip_eps)
    loss = -jnp.minimum(ratio * advantage, clipped * advantage).mean()
    return loss, (jnp.abs(ratio - 1.0) > clip_eps).astype(jnp.float32).mean()


def clipped_value_loss(
    value: Array, old_value: Array, target: Array, clip_eps: float | None
) -> Array:
    """Half the mean squared error; with `clip_eps` the larger of it and that of the value held near
    the old one.
    """
    error = jnp.square(value - target)
    if clip_eps is not None:
        near = old_value + jnp.clip(value - old_value, -clip_eps, clip_eps)
        error = jnp.maximum(error, jnp.square(near - target))
    return 0.5 * error.mean()

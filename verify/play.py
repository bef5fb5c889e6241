"""A policy plays whole episodes, in the reference or in ours with the same draws.

Both sides are stepped from the host by the very same loop, so that a policy is the same compiled
program on both, and the same observations mean the same actions, bit for bit.

`B` episodes side by side, each slot plays one from its reset; `K` steps that consumed a draw.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.core import Environment, select
from ..envs.spaces import Discrete
from ..references.core import DrawLog, Outcome, VectorReference
from ..train.evaluate import Actor
from .record import calls_of, stack_draws
from .suite import Suite, Variant, derive_seed

ON_HOST = ("reward", "terminated", "truncated")


@dataclasses.dataclass(frozen=True)
class Played:
    """`B` whole episodes.

    returns, scores: float64 [B]; lengths: int64 [B]; finished: bool [B], False where an episode was
    cut off at `max_steps`, the other values being those so far.
    """

    returns: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray
    finished: np.ndarray


class Side(Protocol):
    """What can be played: a VectorReference, `Recorded` or `Lifted`."""

    num_envs: int

    def reset(self, seed: int) -> Outcome: ...

    def step(self, actions: np.ndarray) -> Outcome: ...


def play(
    policy: Actor,
    side: Side,
    key: Array,
    seed: int,
    *,
    deterministic: bool = False,
    max_steps: int = 100_000,
    score: Callable[[np.ndarray], np.ndarray] | None = None,
) -> Played:
    """Every instance of `side` plays one episode, so that short ones are not favoured.

    key: of the actions; seed: of the side. score: given the returns so far [B], the score of an
    episode that ended just now; the return by default.
    """
    episodes = side.num_envs
    returns, scores = np.zeros(episodes), np.zeros(episodes)
    lengths = np.zeros(episodes, np.int64)
    running = np.ones(episodes, bool)
    outcome = side.reset(seed)
    carry: Any = policy.initial_carry(episodes)
    for step in range(max_steps):
        actions, carry = policy.act(
            outcome.observation,
            carry,
            jax.random.fold_in(key, step),
            deterministic,
            start=np.full(episodes, step == 0),
            legal=outcome.legal,
        )
        outcome = side.step(np.asarray(actions))
        returns += running * outcome.reward.astype(np.float64)
        lengths += running
        ended = running & (outcome.terminated | outcome.truncated)
        if ended.any():
            scores[ended] = (returns if score is None else score(returns))[ended]
            running &= ~ended
        if not running.any():
            break
    return Played(returns, scores, lengths, ~running)


def play_in_reference(
    suite: Suite,
    variant: Variant,
    policy: Actor,
    episodes: int,
    seed: int = 0,
    deterministic: bool = True,
    max_steps: int = 100_000,
) -> Played:
    """`episodes` whole episodes in the reference, with its own score.

    Raises ReferenceUnavailable, and RuntimeError when an episode does not end in `max_steps`.
    """
    with suite.reference(variant, episodes) as reference:
        played = play(
            policy,
            reference,
            jax.random.key(derive_seed(seed, "play", variant.name)),
            derive_seed(seed, "reset", variant.name),
            deterministic=deterministic,
            max_steps=max_steps,
            score=lambda returns: suite.score(reference.snapshot(), returns),
        )
    if not played.finished.all():
        raise RuntimeError(
            f"{(~played.finished).sum()} of {episodes} episodes did not end in {max_steps} steps; "
            "raise max_steps"
        )
    return played


def summary(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Mean, standard error and number of episodes."""
    values = np.asarray(values, np.float64)
    spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return {"mean": float(values.mean()), "stderr": float(spread), "episodes": len(values)}


# -- the reference's draws, and our side that consumes them


class DrawTape(NamedTuple):
    """The draws of `B` episodes in the order of consumption.

    start: those of the resets, leaves [B, ...]; steps: those of every step that consumed any,
    leaves [B, K, ...], None where no step did; length: int32 [B], how many of the K there are.
    """

    start: Any
    steps: Any
    length: Array


def empty_tape(start: Any, num_envs: int) -> DrawTape:
    """No draws but those of the resets."""
    return DrawTape(start, None, jnp.zeros(num_envs, jnp.int32))


class Recorded:
    """A reference that is played, and the draws that its episodes consumed.

    Where upstream has no mask of legal actions, all are legal, as on our side (`env`, `params`).
    """

    def __init__(
        self, suite: Suite, reference: VectorReference, env: Environment, params: Any
    ) -> None:
        self.suite, self.reference = suite, reference
        self.num_envs = reference.num_envs
        discrete = isinstance(env.action_space(params), Discrete)
        self._all = np.ones((self.num_envs, env.num_actions), bool) if discrete else None

    def reset(self, seed: int) -> Outcome:
        outcome = self.reference.reset(seed)
        self._first = self.reference.draws()
        self._logs: list[DrawLog] = []
        self._consumed: list[np.ndarray] = []
        self._running = np.ones(self.num_envs, bool)
        return self._masked(outcome)

    def step(self, actions: np.ndarray) -> Outcome:
        outcome = self.reference.step(actions)
        log = self.reference.draws()
        done = outcome.terminated | outcome.truncated
        self._logs.append(log)
        self._consumed.append(self._running & (step_draws(self.suite, log, done) > 0))
        self._running &= ~done
        return self._masked(outcome)

    def tape(self) -> DrawTape:
        """The draws of the first episode of every instance, from the last reset on."""
        start = self.suite.draws(self._first)[1]
        if not any(consumed.any() for consumed in self._consumed):
            return empty_tape(start, self.num_envs)
        consumed = np.stack(self._consumed)
        log = calls_of(stack_draws(self._logs))
        count = consumed.sum(0)
        # Stable: steps that consumed come first, in their order.
        order = np.argsort(~consumed, axis=0, kind="stable")[: count.max()].T  # [B, K]

        def in_order(leaf: Any) -> np.ndarray:
            leaf = np.asarray(leaf).reshape(*consumed.shape, *np.shape(leaf)[1:])
            return leaf[order, np.arange(self.num_envs)[:, None]]

        steps = jax.tree.map(in_order, self.suite.draws(log)[0])
        return DrawTape(start, steps, jnp.asarray(count, jnp.int32))

    def _masked(self, outcome: Outcome) -> Outcome:
        return (
            outcome if outcome.legal is not None else dataclasses.replace(outcome, legal=self._all)
        )


def step_draws(suite: Suite, log: DrawLog, done: np.ndarray) -> np.ndarray:
    """int [B]: how many of the logged draws the step itself consumed, not the auto-reset after it.
    done: bool [B]."""
    if log.step_count is not None:
        return log.step_count
    constant = [count for count in suite.reset_draws_used.values() if isinstance(count, int)]
    return log.count - done * sum(constant)


def step_on_tape(
    env: Environment, params: Any, key: Array, state: Any, action: Array, tape: DrawTape, at: Array
) -> tuple[Any, Array, dict[str, Any]]:
    """One step of one instance with the tape's draws from place `at` on, int32 []; with fresh ones
    where the tape has run out.

    Returns (state after the auto-reset, the place after it, the fields of an `Outcome`).
    """
    fresh, reset_draws = env.sample_step(key, state, action, params)
    draws = fresh
    if tape.steps is not None:
        row = jnp.maximum(jnp.minimum(at, tape.length - 1), 0)
        own, structure = jax.tree.flatten(fresh)
        taped = [
            x[row].astype(y.dtype) for x, y in zip(jax.tree.leaves(tape.steps), own, strict=True)
        ]
        draws = select(at < tape.length, jax.tree.unflatten(structure, taped), fresh)
    observation, state, reward, terminated, truncated, info = env.step_with_draws(
        state, action, draws, reset_draws, params
    )
    used = sum(info["draws_used"].values(), jnp.zeros((), jnp.int32))
    seen = {
        "observation": observation,
        "reward": reward,
        "terminated": terminated,
        "truncated": truncated,
        "legal": _legal(env, params, state),
    }
    return state, at + (used > 0).astype(jnp.int32), seen


class Lifted:
    """Our side as a batch that the host steps.

    With a tape, it consumes the reference's draws in the reference's order, whatever step they fall
    due at, and its own where the tape has run out; without, its own from the start. `begin` and
    `advance` are its pure halves, for whoever plays without a host.
    """

    def __init__(
        self, env: Environment, params: Any, num_envs: int, tape: DrawTape | None = None
    ) -> None:
        self.env, self.params, self.num_envs, self.tape = env, params, num_envs, tape
        self._begin, self._advance = jax.jit(self.begin), jax.jit(self.advance)

    def reset(self, seed: int) -> Outcome:
        self._carry, seen = self._begin(jax.random.key(seed))
        return _outcome(seen)

    def step(self, actions: np.ndarray) -> Outcome:
        self._carry, seen = self._advance(self._carry, actions)
        return _outcome(seen)

    def begin(self, key: Array) -> tuple[Any, dict[str, Any]]:
        """(carry for `advance`, the fields of an Outcome [B])."""
        key_reset, key = jax.random.split(key)
        tape = self.tape
        if tape is None:
            keys = jax.random.split(key_reset, self.num_envs)
            start = jax.vmap(self.env.sample_reset_draws, (0, None))(keys, self.params)
            tape = empty_tape(start, self.num_envs)
        state = jax.vmap(self.env.initial, (0, None))(tape.start, self.params)
        nothing = jnp.zeros(self.num_envs, bool)
        seen = {
            "observation": jax.vmap(self.env.observe, (0, None))(state, self.params),
            "reward": nothing.astype(jnp.float32),
            "terminated": nothing,
            "truncated": nothing,
            "legal": jax.vmap(functools.partial(_legal, self.env, self.params))(state),
        }
        return (key, state, jnp.zeros(self.num_envs, jnp.int32), tape), seen

    def advance(self, carry: Any, actions: Array) -> tuple[Any, dict[str, Any]]:
        """(carry, the fields of an Outcome [B]) after one step."""
        key, state, at, tape = carry
        key, key_step = jax.random.split(key)
        keys = jax.random.split(key_step, self.num_envs)
        one = functools.partial(step_on_tape, self.env, self.params)
        state, at, seen = jax.vmap(one)(keys, state, actions, tape, at)
        return (key, state, at, tape), seen


def _legal(env: Environment, params: Any, state: Any) -> Array | None:
    """The mask of one state, None where actions are continuous."""
    discrete = isinstance(env.action_space(params), Discrete)
    return env.legal_actions(state, params) if discrete else None


def _outcome(seen: Mapping[str, Any]) -> Outcome:
    """On the host, but for what only a policy looks at."""
    return Outcome(**{**seen, **jax.device_get({k: seen[k] for k in ON_HOST})})

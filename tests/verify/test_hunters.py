"""Trained policies for the judge: what they are paid for, and how their weights travel."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs import Box, Discrete, Environment, Outcome
from simlift.references.core import Outcome as Shown
from simlift.verify import hunters
from simlift.verify.suite import Variant
from simlift.verify.suites import get_suite

DEPTH, ACTIONS = 10, 4


class Place(struct.PyTreeNode):
    depth: Array  # int32 []


class Corridor(Environment[Place, Array, Array]):
    """Action 1 goes one deeper, any other back to the start; every depth is a comparison."""

    name = "Corridor-v0"
    version = 0

    @property
    def default_params(self) -> Array:
        return jnp.int32(DEPTH)

    def sample_reset_draws(self, key: Array, params: Array) -> Array:
        return jnp.zeros((), jnp.int32)

    def initial(self, draws: Array, params: Array) -> Place:
        return Place(depth=draws)

    def sample_draws(self, key: Array, state: Place, action: Array, params: Array) -> Array:
        return jnp.zeros((), jnp.int32)

    def transition(
        self, state: Place, action: Array, draws: Array, params: Array
    ) -> tuple[Place, Outcome]:
        deeper = jnp.where(action == 1, jnp.minimum(state.depth + 1, params), 0)
        reached = [(deeper >= depth).astype(jnp.float32) for depth in range(1, DEPTH + 1)]
        ended = jnp.zeros((), bool)
        return Place(depth=deeper), Outcome(
            reward=0 * sum(reached), terminated=ended, draws_used={}
        )

    def observe(self, state: Place, params: Array) -> Array:
        return (state.depth[None] / params).astype(jnp.float32)

    def action_space(self, params: Any = None) -> Discrete:
        return Discrete(ACTIONS)

    def observation_space(self, params: Any = None) -> Box:
        return Box(0.0, 1.0, (1,), np.float32)

    def render(self, state: Place, params: Any = None) -> np.ndarray:
        raise NotImplementedError


def corridor() -> Any:
    """A suite of nothing but the environment."""
    return dataclasses.replace(
        get_suite("pong"),
        variants=(Variant("corridor"),),
        environment=lambda variant: (Corridor(), Corridor().default_params),
        transfer=None,
    )


def test_branches_are_the_outcomes_of_all_comparisons() -> None:
    def f(x: Array, y: Array) -> Array:
        inner = jax.jit(lambda a: jnp.where(a > 2, a, -a))
        return jnp.where(x == y, inner(x), y)

    for x, y in ((1, 1), (3, 3), (3, 4)):
        result, branches = jax.jit(hunters.with_branches(f))(jnp.int32(x), jnp.int32(y))
        assert result == f(jnp.int32(x), jnp.int32(y))
        assert sorted(bool(b) for b in branches) == sorted([x > 2, x == y])


def test_another_pattern_is_another_number() -> None:
    bits = [[bool(n >> i & 1) for i in range(8)] for n in range(256)]
    patterns = {int(hunters.pattern([jnp.asarray(b) for b in row])) for row in bits}
    assert len(patterns) == 256


def test_a_curious_environment_pays_for_branches_and_changes_nothing_else() -> None:
    env = hunters.Curious(Corridor())
    worth = jnp.arange(hunters.BUCKETS, dtype=jnp.float32)
    params = env.default_params.replace(worth=worth)
    place, zero = Place(depth=jnp.int32(4)), jnp.int32(0)
    state, outcome = env.transition(place, jnp.int32(1), zero, params)
    again, other = env.transition(place, zero, zero, params)
    assert (int(state.depth), int(again.depth)) == (5, 0)
    assert outcome.reward == worth[outcome.info["bucket"]] != other.reward


def test_the_curious_policy_goes_where_random_play_does_not() -> None:
    suite = corridor()
    about, weights = hunters.train(suite, "curious", 0)
    assert about["variants"] == ["corridor"]
    policy = hunters.rebuilt(about, weights)
    act = hunters.as_policy(policy, 0)
    position, deepest = np.zeros(64, np.int64), 0
    for _ in range(64):
        seen = (position[:, None] / DEPTH).astype(np.float32)
        no = np.zeros(64, bool)
        outcome = Shown(observation=seen, reward=no, terminated=no, truncated=no)
        actions = act(np.random.default_rng(0), outcome, {})
        position = np.where(actions == 1, np.minimum(position + 1, DEPTH), 0)
        deepest = max(deepest, int(position.max()))
    random = np.random.default_rng(0).integers(0, ACTIONS, (64, 64)) == 1
    runs = np.zeros(64, np.int64)
    longest = max(int((runs := np.where(row, runs + 1, 0)).max()) for row in random)
    assert deepest == DEPTH > longest


def test_weights_survive_the_way_to_the_judge() -> None:
    suite = corridor()
    about, weights = hunters.train(suite, "curious", 1)
    policy = hunters.rebuilt(about, weights)
    again = hunters.rebuilt(about, {name: value.copy() for name, value in weights.items()})
    seen = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    actions, _ = policy.act(seen, (), jax.random.key(0))
    assert np.array_equal(actions, again.act(seen, (), jax.random.key(0))[0])

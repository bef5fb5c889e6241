from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from jax import Array

import simlift
from simlift.train.evaluate import evaluate

from .toys import Coin, Masked, Recall, Stay, Target, ToyParams


class Constant(struct.PyTreeNode):
    """Always the same action; its memory counts the steps since `start`."""

    action: Array

    def initial_carry(self, batch: int) -> Array:
        return jnp.full(batch, -7, jnp.int32)

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
        return jnp.broadcast_to(self.action, observation.shape[:1]), carry + 1


class FirstLegal(Constant):
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
        if legal is None:
            legal = jnp.ones((observation.shape[0], 4), bool)
        return jnp.argmax(legal, axis=-1).astype(jnp.int32), carry


ZERO = Constant(jnp.int32(0))


@pytest.mark.parametrize("num_envs", [None, 100])
def test_short_episodes_are_not_favoured(num_envs: int | None) -> None:
    """Half the episodes last 1 step and half 50; the first to end would nearly all be short."""
    params = ToyParams(limit=jnp.int32(50))
    result = evaluate(ZERO, Coin(), params, jax.random.key(0), 400, num_envs=num_envs)
    assert result.finished.all()
    np.testing.assert_array_equal(np.unique(result.lengths), [1, 50])
    np.testing.assert_array_equal(result.returns, result.lengths)
    short = (result.lengths == 1).mean()
    assert abs(short - 0.5) < 4 * 0.5 / np.sqrt(400)  # four standard errors of a fair coin


def test_each_slot_plays_one_whole_episode_and_keeps_its_last_info() -> None:
    params = ToyParams(limit=jnp.int32(6))
    policy = FirstLegal(jnp.int32(0))
    result = evaluate(policy, Masked(), params, jax.random.key(0), 8)
    np.testing.assert_array_equal(result.lengths, np.full(8, 6))
    np.testing.assert_array_equal(result.last_info["mistakes"], np.zeros(8))
    careless = evaluate(ZERO, Masked(), params, jax.random.key(0), 64)
    assert 0 < careless.last_info["mistakes"].mean() < 6


def test_truncation_ends_an_episode() -> None:
    params = ToyParams(limit=jnp.int32(5))
    result = evaluate(ZERO, Stay(), params, jax.random.key(0), 4)
    np.testing.assert_array_equal(result.returns, np.full(4, 5))


def test_episodes_without_end_are_cut_off_and_marked() -> None:
    params = ToyParams(limit=jnp.int32(1000))
    result = evaluate(ZERO, Recall(), params, jax.random.key(0), 4, max_steps=10)
    assert not result.finished.any()
    np.testing.assert_array_equal(result.lengths, np.full(4, 10))


def test_continuous_actions() -> None:
    policy = Constant(jnp.float32(0.5))
    result = evaluate(policy, Target(), None, jax.random.key(0), 4)
    np.testing.assert_allclose(result.returns, -0.25)
    np.testing.assert_allclose(result.last_info["action"], 0.5)


def test_standing_still_loses_pong() -> None:
    env, params = simlift.make("PufferPong-v0", frameskip=8)
    result = evaluate(ZERO, env, params, jax.random.key(0), 4)
    assert result.finished.all()
    np.testing.assert_array_equal(result.last_info["score_l"], np.full(4, 21))
    assert (result.last_info["score_r"] < 21).all()


def test_number_of_episodes_has_to_fill_the_slots() -> None:
    with pytest.raises(ValueError, match="num_episodes=10 must be a positive multiple"):
        evaluate(ZERO, Stay(), None, jax.random.key(0), 10, num_envs=4)

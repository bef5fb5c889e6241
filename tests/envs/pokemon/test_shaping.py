"""Shaping of the reward: it follows who is ahead, and over a battle it comes to nothing."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.pokemon.gen1 import PokemonGen1, pool
from simlift.envs.pokemon.gen1.env import standing
from simlift.envs.pokemon.gen1.opponents import random_legal
from simlift.envs.pokemon.gen1.state import ONGOING, TIE

from .battles import NUM_TEAMS

NUM_BATTLES, LONGEST, WEIGHT = 16, 600, 0.5


@pytest.fixture(scope="module")
def battles() -> tuple[Any, np.ndarray, np.ndarray]:
    """Whole battles: their last states, rewards [T, B, P] and standings [T + 1, B, P]."""
    env = PokemonGen1(pool.shipped()[:NUM_TEAMS], shaping=WEIGHT, auto_reset="none")
    params = env.default_params

    def step(state: Any, key: jax.Array) -> Any:
        keys = jax.random.split(key, 2)
        actions = jax.vmap(random_legal, (0, None, 0))(keys, None, env.legal_actions(state, params))
        after, outcome = env.transition(state, actions, None, params)
        over = state.winner != ONGOING
        after = jax.tree.map(lambda old, new: jnp.where(over, old, new), state, after)
        return after, jnp.where(over, 0, outcome.reward), standing(after, params)

    advance = jax.jit(jax.vmap(step))
    keys = jax.random.split(jax.random.key(3), NUM_BATTLES)
    _, states = jax.vmap(env.reset, (0, None))(keys, params)
    rewards, ahead = [], [np.asarray(jax.vmap(standing, (0, None))(states, params))]
    for i in range(LONGEST):
        keys = jax.random.split(jax.random.key(i), NUM_BATTLES)
        states, reward, now = advance(states, keys)
        rewards.append(np.asarray(reward))
        ahead.append(np.asarray(now))
        if (np.asarray(states.winner) != ONGOING).all():
            break
    return states, np.stack(rewards), np.stack(ahead)


def test_over_a_battle_it_sums_to_zero(battles: Any) -> None:
    """What is left is who won."""
    states, rewards, _ = battles
    winner = np.asarray(states.winner)[:, None]
    assert (winner != ONGOING).all()
    result = np.where(winner == TIE, 0, np.where(winner == np.arange(2), 1, -1))
    assert (result != 0).any()
    np.testing.assert_allclose(rewards.sum(0), result, atol=1e-5)
    assert ((rewards != 0).sum(0) > 3).all()  # and not only at the end


def test_it_follows_who_is_ahead(battles: Any) -> None:
    _, rewards, ahead = battles
    np.testing.assert_array_equal(ahead[..., 0], -ahead[..., 1])
    assert np.abs(ahead).max() <= 1
    assert (ahead[0] == 0).all() and (ahead[-1] == 0).all()
    going = (rewards != 0).any(-1) & (ahead[1:] != 0).any(-1)
    rise = WEIGHT * (ahead[1:] - ahead[:-1])
    np.testing.assert_allclose(rewards[going], rise[going], atol=1e-6)


def test_a_weight_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="shaping=-1"):
        PokemonGen1(shaping=-1)

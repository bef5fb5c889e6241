"""The contract of games, on battles of generation 1: types, batches, resets, seeds, complaints."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import Array

from simlift.envs.adapters import to_jaxmarl
from simlift.envs.core import AutoReset, state_bytes
from simlift.envs.pokemon.gen1 import Params, PokemonGen1, State, pool
from simlift.envs.registry import make

NUM_ENVS, NUM_STEPS = 32, 40
POLICIES: tuple[AutoReset, ...] = ("select", "pool", "none")
ENV = PokemonGen1()


class Blind(PokemonGen1):
    """Without the observation, which takes longest to compile."""

    def observe(self, state: State, params: Params) -> Array:
        return state.turn.astype(jnp.float32)[None] * jnp.ones(2, jnp.float32)


def reset_many(env: PokemonGen1, seed: int = 0) -> Any:
    keys = jax.random.split(jax.random.key(seed), NUM_ENVS)
    return jax.vmap(env.reset, (0, None))(keys, env.default_params)


@functools.cache
def compiled(auto_reset: AutoReset) -> Any:
    """(key, states) -> what one step of random legal players gives, batched; compiled once."""
    env = Blind(auto_reset=auto_reset)

    def step(key: Array, states: State, params: Params) -> Any:
        key_action, key_step = jax.random.split(key)
        legal = jax.vmap(env.legal_actions, (0, None))(states, params)
        logits = jnp.where(legal, 0.0, -jnp.inf)
        actions = jax.random.categorical(key_action, logits, axis=-1).astype(jnp.int32)
        keys = jax.random.split(key_step, NUM_ENVS)
        return actions, *jax.vmap(env.step, (0, 0, 0, None))(keys, states, actions, params)

    return jax.jit(step)


def ending(states: State, over: np.ndarray) -> State:
    """Battles of which those of `over` end with the first hit: one Pokemon each, with 1 HP."""
    hp = np.array(states.hp)
    hp[over] = 0
    hp[over, :, 0] = 1  # nobody has switched: slot 0 stands
    return states.replace(hp=jnp.asarray(hp))


# -- programs


@pytest.mark.parametrize("auto_reset", POLICIES)
def test_reset_and_step_have_the_same_strong_types(auto_reset: AutoReset) -> None:
    env = PokemonGen1(auto_reset=auto_reset)
    key = jax.random.key(0)
    reset = jax.eval_shape(env.reset, key, env.default_params)
    step = jax.eval_shape(env.step, key, reset[1], np.zeros(2, np.int32), env.default_params)
    assert jax.tree.structure(reset) == jax.tree.structure(step[:2])
    for one, other in zip(jax.tree.leaves(reset), jax.tree.leaves(step[:2]), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves((reset, step)))
    assert (step[2].shape, step[2].dtype) == ((2,), np.float32)
    assert step[3].shape == step[4].shape == ()


def test_a_state_takes_at_most_256_bytes_of_integers() -> None:
    _, state = jax.eval_shape(ENV.reset, jax.random.key(0), ENV.default_params)
    assert state_bytes(state) <= 256
    assert all(leaf.dtype.kind in "iu" for leaf in jax.tree.leaves(state))


def test_observations_lie_in_their_space() -> None:
    observations, _ = reset_many(ENV)
    space = ENV.observation_space()
    assert observations.shape == (NUM_ENVS, 2, *space.shape)
    assert all(space.contains(one) for one in np.asarray(observations[:, 0]))


@pytest.mark.parametrize("auto_reset", ["select", "pool"])
def test_battles_go_on_one_after_the_other(auto_reset: AutoReset) -> None:
    """Every battle that ends is followed by one of its own; the others are left alone."""
    step, params = compiled(auto_reset), ENV.default_params
    over = np.arange(NUM_ENVS) % 3 == 0  # more than a pool holds
    states = ending(reset_many(ENV)[1], over)
    ended, seeds = np.zeros(NUM_ENVS, int), [np.asarray(states.seed)]
    for t in range(NUM_STEPS):
        team = np.asarray(states.team)
        result = step(jax.random.key(t), states, params)
        states, (reward, terminated, truncated) = result[2], jax.device_get(result[3:6])
        assert not truncated.any()
        np.testing.assert_array_equal(reward.sum(axis=1), 0)
        assert (np.abs(reward[:, 0]) <= terminated).all()
        np.testing.assert_array_equal(np.asarray(states.turn)[terminated], 1)
        np.testing.assert_array_equal(states.team[~terminated], team[~terminated])
        assert (states.winner == -1).all()
        ended += terminated
        seeds.append(np.asarray(states.seed)[terminated])
    assert (ended[over] > 0).all() and not ended[~over].all()
    fresh = np.concatenate(seeds[1:])
    assert len(fresh) == ended.sum() and len(np.unique(fresh, axis=0)) == len(fresh)
    assert step._cache_size() == 1


def test_without_a_reset_a_battle_stays_at_its_end() -> None:
    step, params = compiled("none"), ENV.default_params
    states = ending(reset_many(ENV)[1], np.ones(NUM_ENVS, bool))
    before, total = np.zeros(NUM_ENVS, bool), np.zeros((NUM_ENVS, 2))
    for t in range(NUM_STEPS):
        _, _, states, reward, terminated, *_ = step(jax.random.key(t), states, params)
        assert (terminated | ~before).all()
        total += np.where(before[:, None], 0, reward)
        before = np.asarray(terminated)
    winner = np.asarray(states.winner)
    assert before.all() and set(winner) <= {0, 1, 2} and {0, 1} <= set(winner)
    won = np.where(winner == 2, 0, 1 - 2 * winner)  # of player 0
    np.testing.assert_array_equal(total, np.stack([won, -won], axis=1))
    assert not jax.vmap(ENV.to_act, (0, None))(states, params).any()


def test_a_batch_and_one_battle_agree() -> None:
    env, params = Blind(auto_reset="select"), ENV.default_params
    _, states = reset_many(ENV)
    actions, *batched = compiled("select")(jax.random.key(5), states, params)
    keys = jax.random.split(jax.random.split(jax.random.key(5))[1], NUM_ENVS)
    for i in range(3):
        single = env.step(keys[i], jax.tree.map(lambda x: x[i], states), actions[i], params)  # noqa: B023
        expected = jax.tree.map(lambda x: x[i], tuple(batched))  # noqa: B023
        for one, other in zip(jax.tree.leaves(single), jax.tree.leaves(expected), strict=True):
            np.testing.assert_array_equal(one, other)


def test_who_is_asked_has_a_choice_and_who_waits_has_one_that_is_ignored() -> None:
    params = ENV.default_params
    _, states = reset_many(ENV)
    legal = jax.jit(jax.vmap(ENV.legal_actions, (0, None)))
    asked, waited = 0, 0
    for t in range(NUM_STEPS):
        mask = np.asarray(legal(states, params))
        to_act = np.asarray(jax.vmap(ENV.to_act, (0, None))(states, params))
        assert mask.any(axis=-1).all() and to_act.any(axis=-1).all()
        assert (mask[~to_act] == (np.arange(10) == 0)).all()
        asked, waited = asked + to_act.sum(), waited + (~to_act).sum()
        _, _, states, *_ = compiled("select")(jax.random.key(t), states, params)
    assert asked > waited > 0


# -- seeds and teams


def test_the_same_key_gives_the_same_battles() -> None:
    params = ENV.default_params
    one, other, third = (reset_many(ENV, seed)[1] for seed in (1, 1, 2))
    for key in (3, 4):
        one = compiled("select")(jax.random.key(key), one, params)[2]
        other = compiled("select")(jax.random.key(key), other, params)[2]
    assert jax.tree.all(jax.tree.map(np.array_equal, one, other))
    assert not np.array_equal(one.seed, third.seed)


def draws_of(env: PokemonGen1, count: int) -> Any:
    keys = jax.random.split(jax.random.key(0), count)
    return jax.device_get(jax.vmap(env.sample_reset_draws, (0, None))(keys, env.default_params))


def test_battles_are_between_pairs_that_are_drawn_alike() -> None:
    drawn = draws_of(ENV, 40_000)
    np.testing.assert_array_equal(drawn.team[:, 0] % 2, 0)
    np.testing.assert_array_equal(drawn.team[:, 1], drawn.team[:, 0] + 1)
    pair = drawn.team[:, 0] // 2
    assert pair.min() >= 0 and pair.max() < len(pool.shipped()) // 2
    assert scipy.stats.chisquare(np.bincount(pair // 64, minlength=128)).pvalue > 0.001
    for word in drawn.seed.T:
        assert scipy.stats.kstest(word / 2**32, "uniform").pvalue > 0.001
        assert abs(scipy.stats.spearmanr(word, pair).statistic) < 6 / np.sqrt(len(pair))


def test_teams_of_ones_own_meet_each_other_and_themselves() -> None:
    drawn = draws_of(PokemonGen1(pool.shipped()[:3]), 9_000)
    met = np.bincount(drawn.team[:, 0] * 3 + drawn.team[:, 1], minlength=9)
    assert len(met) == 9 and scipy.stats.chisquare(met).pvalue > 0.001


def test_the_default_teams_can_first_be_asked_for_under_jit() -> None:
    env = PokemonGen1(pool.shipped()[:2])
    seed = jax.jit(lambda key: env.sample_reset_draws(key, env.default_params).seed)
    seed(jax.random.key(0))
    np.testing.assert_array_equal(env.default_params.teams, pool.shipped()[:2])


# -- what a caller hands in, and other libraries


def test_snapshot_and_restore_are_inverse() -> None:
    _, states = reset_many(ENV)
    snapshot = {name: np.asarray(value) for name, value in ENV.snapshot(states).items()}
    assert {"seed", "team", "hp", "winner"} < snapshot.keys()
    assert jax.tree.all(jax.tree.map(np.array_equal, ENV.restore(snapshot), states))
    with pytest.raises(ValueError, match=r"PokemonGen1-v0: snapshot field hp is int8"):
        ENV.restore({**snapshot, "hp": snapshot["hp"].astype(np.int8)})


@pytest.mark.parametrize(
    ("actions", "complaint"),
    [
        (np.array([0, 10]), r"outside 0 \.\. 9"),
        (np.array([-1, 0]), r"outside 0 \.\. 9"),
        (np.int32(0), r"shape \(\), expected \(2,\)"),
        (np.zeros(2, np.float32), "dtype float32, expected int32"),
    ],
)
def test_actions_outside_the_space_are_refused(actions: Any, complaint: str) -> None:
    state = jax.tree.map(lambda x: x[0], reset_many(ENV)[1])
    with pytest.raises(ValueError, match=complaint):
        ENV.step(jax.random.key(0), state, actions)


def test_unknown_kernels_and_policies_are_refused() -> None:
    with pytest.raises(ValueError, match=r"kernel='cuda': choose one of \('auto', "):
        PokemonGen1(kernel="cuda")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"'often' is not a reset policy"):
        PokemonGen1(auto_reset="often")  # type: ignore[arg-type]


def test_the_registry_makes_it() -> None:
    env, params = make("PokemonGen1-v0", kernel="jnp", auto_reset="pool")
    assert env == PokemonGen1(kernel="jnp", auto_reset="pool") != ENV
    assert PokemonGen1(pool.shipped()) != ENV  # any two teams, not only pairs
    assert params.teams.dtype == jnp.int16 and params is env.default_params


def test_jaxmarl_sees_two_agents() -> None:
    view = to_jaxmarl(ENV)
    observations, state = jax.eval_shape(view.reset, jax.random.key(0))
    actions = dict.fromkeys(view.agents, jnp.int32(0))
    seen, after, rewards, dones, _ = jax.eval_shape(view.step, jax.random.key(0), state, actions)
    assert view.agents == ["agent_0", "agent_1"] and seen == observations and after == state
    assert rewards.keys() == set(view.agents) and dones.keys() == {*view.agents, "__all__"}
    legal = jax.eval_shape(view.get_avail_actions, state)
    assert {aval.shape for aval in legal.values()} == {(10,)}

"""Opponents choose legally, by what they see, and better ones win."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.adapters import against
from simlift.envs.pokemon.gen1 import observe, opponents
from simlift.envs.pokemon.gen1.features import EFFECTS
from simlift.envs.pokemon.gen1.moves import data
from simlift.envs.pokemon.gen1.observe import OBSERVATION_SIZE
from simlift.envs.pokemon.gen1.state import NUM_ACTIONS, ONGOING, TIE

from .battles import environment

OPPONENTS = (opponents.random_legal, opponents.max_damage, opponents.simple_heuristics)
RANDOM, DAMAGE, HEURISTICS = range(3)
NUM_BATTLES = 64


@functools.cache
def turns() -> Any:
    """(keys [B], states, opponents [B, 2]) -> (states, bool [B]: all choices were legal) after one
    step of the battles that go on; compiled once."""
    env, params = environment(), environment().default_params

    def choose(key: Any, observation: Any, legal: Any, which: Any) -> Any:
        answers = [opponent(key, observation, legal) for opponent in OPPONENTS]
        assert all(answer.shape == () and answer.dtype == jnp.int32 for answer in answers)
        return jnp.stack(answers)[which]

    def turn(key: Any, state: Any, which: Any) -> Any:
        legal = env.legal_actions(state, params)
        keys = jax.random.split(key)
        actions = jax.vmap(choose)(keys, env.observe(state, params), legal, which)
        after = env.transition(state, actions, None, params)[0]
        over = state.winner != ONGOING
        after = jax.tree.map(lambda old, new: jnp.where(over, old, new), state, after)
        return after, jnp.take_along_axis(legal, actions[:, None], axis=1).all()

    return jax.jit(jax.vmap(turn))


def results(first: int, second: int) -> np.ndarray:
    """Of 64 battles who won, 0 or 1, or TIE; each side is each opponent's half of the time."""
    sides = np.where(np.arange(NUM_BATTLES)[:, None] % 2, [second, first], [first, second])
    keys = jax.random.split(jax.random.key(0), NUM_BATTLES)
    _, states = jax.vmap(environment().reset)(keys)
    for i in range(300):
        keys = jax.random.split(jax.random.key(i), NUM_BATTLES)
        states, legal = turns()(keys, states, jnp.asarray(sides))
        assert legal.all()
        winner = np.asarray(states.winner)
        if (winner != ONGOING).all():
            break
    assert (winner != ONGOING).all()
    return np.where(winner == TIE, TIE, winner ^ (np.arange(NUM_BATTLES) % 2))


@pytest.mark.parametrize("better", [DAMAGE, HEURISTICS])
def test_judgement_beats_chance(better):
    assert (results(better, RANDOM) == 0).sum() >= 60


def test_heuristics_hold_their_own_against_damage():
    winners = results(HEURISTICS, DAMAGE)
    assert (winners == 0).sum() > (winners == 1).sum()


def test_random_legal_takes_each_legal_action_equally_often():
    legal = np.isin(np.arange(NUM_ACTIONS), [1, 4, 9])
    keys = jax.random.split(jax.random.key(0), 3000)
    actions = jax.vmap(opponents.random_legal, (0, None, None))(keys, None, legal)
    counts = np.bincount(actions, minlength=NUM_ACTIONS)
    assert (counts[~legal] == 0).all()
    assert (abs(counts[legal] - 1000) < 100).all()


# -- what decides


def position(**fields: Any) -> np.ndarray:
    """An observation, zero but for these fields of `View`: part__field."""
    observation = np.zeros(OBSERVATION_SIZE, np.float32)
    view = observe.unpack(observation)
    for name, value in fields.items():
        functools.reduce(getattr, name.split("__"), view)[...] = value  # a part of the observation
    return observation


def one_hot(*names: str) -> np.ndarray:
    """Of types, float32 [15]."""
    codes = [entry["num"] for entry in data()["types"] if entry["name"] in names]
    return np.isin(np.arange(15), np.array(codes) - 1).astype(np.float32)


KEY = jax.random.key(0)
max_damage, simple_heuristics = map(jax.jit, (opponents.max_damage, opponents.simple_heuristics))
MOVES = np.arange(NUM_ACTIONS) < 4
SWITCHES = ~MOVES
DAMAGE_OF_MOVES = [0.2, 0.4, 0.9, 0.0]
STRONGEST, TO_GRASS = 2, 7
HURT = {"own_active__hp": 0.2, "foe_active__base_stats": 1.0}


def duel(foe: Sequence[str], **changes: Any) -> np.ndarray:
    """Fire stands against `foe`, with grass in slot 3 and otherwise fire on the bench."""
    own = np.stack([one_hot("Grass" if slot == 3 else "Fire") for slot in range(6)])
    fields = {
        "own__types": own,
        "own__hp": 1.0,
        "own_active__types": one_hot("Fire"),
        "own_active__hp": 1.0,
        "own_active__damage": DAMAGE_OF_MOVES,
        "foe_active__types": one_hot(*foe),
        "foe_active__hp": 1.0,
    }
    return position(**(fields | changes))


def test_the_strongest_legal_move():
    seen = position(own_active__damage=DAMAGE_OF_MOVES)
    assert max_damage(KEY, seen, MOVES) == STRONGEST
    assert max_damage(KEY, seen, np.isin(np.arange(NUM_ACTIONS), [0, 1, 5])) == 1
    assert max_damage(KEY, seen, np.arange(NUM_ACTIONS) == 7) == 7


def test_a_move_of_two_turns_counts_half():
    effects = np.zeros((4, len(EFFECTS)))
    effects[STRONGEST, EFFECTS.index("charges")] = 1
    seen = position(own_active__damage=DAMAGE_OF_MOVES, own_active__moves__effects=effects)
    assert max_damage(KEY, seen, MOVES) == STRONGEST
    seen = position(own_active__damage=[0.2, 0.5, 0.9, 0.0], own_active__moves__effects=effects)
    assert max_damage(KEY, seen, MOVES) == 1


@pytest.mark.parametrize(
    ("foe", "changes", "action"),
    [
        (["Water", "Rock"], {}, STRONGEST),
        (["Water", "Rock"], HURT, TO_GRASS),
        (["Grass"], HURT, STRONGEST),
        (["Water"], {"own_active__boosts": [0, -3 / 6, 0, 0, 0, 0, 0]}, TO_GRASS),
        (["Water"], {"own_active__boosts": [0, -2 / 6, 0, 0, 0, 0, 0]}, STRONGEST),
    ],
)
def test_heuristics_leave_what_is_bad_for_something_good(foe, changes, action):
    seen = duel(foe, **changes)
    assert simple_heuristics(KEY, seen, MOVES | SWITCHES) == action
    assert simple_heuristics(KEY, seen, MOVES) == STRONGEST


def test_heuristics_replace_by_the_best_matchup():
    assert simple_heuristics(KEY, duel(["Water"]), SWITCHES) == TO_GRASS


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({}, 1),
        ({"own_active__hp": 0.99}, STRONGEST),
        ({"own_active__boosts": [1, 0, 0, 0, 0, 0, 0]}, STRONGEST),
        ({"foe_active__types": one_hot("Water")}, STRONGEST),
    ],
)
def test_heuristics_set_up_where_it_is_safe(changes, action):
    swords_dance = np.zeros((4, 6))
    swords_dance[1, 0] = 1
    seen = duel(["Grass"], **{"own_active__moves__boosts": swords_dance} | changes)
    assert simple_heuristics(KEY, seen, MOVES) == action


# -- as environments and functions of a state


def test_a_state_and_what_is_seen_of_it_are_answered_alike():
    env, params = environment(), environment().default_params
    observation, state = env.reset(jax.random.key(5))

    def answers(observation: Any, state: Any) -> Any:
        legal = env.legal_actions(state, params)
        return [
            (
                opponents.on_state(env, opponent)(KEY, state, params, player),
                opponent(KEY, observation[player], legal[player]),
            )
            for opponent in OPPONENTS
            for player in range(2)
        ]

    for by_state, by_view in jax.jit(answers)(observation, state):
        assert by_state == by_view


def test_an_opponent_makes_an_environment_of_one_agent():
    env = against(environment(), opponents.max_damage, wait_inside=False)
    params = env.default_params

    @jax.jit
    @jax.vmap
    def play(key: Any, observation: Any, state: Any) -> Any:
        key_action, key_step = jax.random.split(key)
        action = opponents.random_legal(key_action, observation, env.legal_actions(state, params))
        return env.step(key_step, state, action)

    observation, state = jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 8))
    final = np.zeros(8)
    for i in range(200):
        keys = jax.random.split(jax.random.key(i), 8)
        observation, state, reward, terminated, truncated, _ = play(keys, observation, state)
        assert observation.shape == (8, *env.observation_space().shape)
        assert not np.asarray(reward)[~np.asarray(terminated)].any()
        assert not truncated.any()
        final = np.where(final == 0, reward, final)
        if terminated.all():
            break
    assert terminated.all()
    assert (final == -1).sum() >= 6

"""The contract of games: player axes, turns, auto-reset, and no view of what is hidden."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.game import check_hidden

from .toys import Duel, LeakyDuel, Nim


@pytest.mark.parametrize("game", [Duel(), Nim()], ids=lambda game: game.name)
def test_calls_have_a_leading_player_axis(game):
    observations, state = game.reset(jax.random.key(0))
    space = game.observation_space()
    assert observations.shape == (2, *space.shape)
    assert observations.dtype == space.dtype
    legal = game.legal_actions(state, game.default_params)
    assert legal.shape == (2, game.num_actions)
    assert legal.dtype == bool
    assert game.to_act(state, game.default_params).shape == (2,)
    observations, _, rewards, terminated, truncated, info = game.step(
        jax.random.key(1), state, np.array([0, 1])
    )
    assert observations.shape == info["final_observation"].shape == (2, *space.shape)
    assert rewards.shape == (2,)
    assert rewards.dtype == jnp.float32
    assert terminated.shape == truncated.shape == ()


def test_simultaneous_game_to_its_end_and_anew():
    game = Duel()
    _, state = game.reset(jax.random.key(3))
    hands = state.hands
    rewards = []
    for step, actions in enumerate([[1, 0], [0, 2], [2, 2]]):
        assert game.to_act(state, None).all()
        _, state, reward, terminated, _, info = game.step(
            jax.random.key(step), state, np.array(actions)
        )
        rewards.append(reward.tolist())
        assert terminated == (step == 2)
    assert rewards == [[1, -1], [1, -1], [0, 0]]
    np.testing.assert_array_equal(info["final_observation"][:, 0], hands)
    np.testing.assert_array_equal(info["final_observation"][:, 3], [3, 3])
    assert state.round == 0
    assert (state.last == -1).all()


def test_alternating_game_ignores_who_is_not_to_act():
    game = Nim()
    _, state = game.reset(jax.random.key(0))
    for step in range(3):
        player = int(state.turn)
        np.testing.assert_array_equal(
            game.to_act(state, game.default_params), np.arange(2) == player
        )
        results = [
            game.step(jax.random.key(step), state, np.where(np.arange(2) == player, 1, idle))
            for idle in range(3)
        ]
        for result in results:
            assert jax.tree.all(jax.tree.map(np.array_equal, result, results[0]))
        state = results[0][1]
    assert state.heap == 4


def test_legal_actions_are_never_none():
    game = Nim()
    params = game.default_params
    _, state = game.reset(jax.random.key(0))
    for heap, expected in [(3, [1, 1, 1]), (2, [1, 1, 0]), (1, [1, 0, 0]), (0, [1, 0, 0])]:
        at = state.replace(heap=jnp.int32(heap), turn=jnp.int32(1))
        legal = game.legal_actions(at, params)
        np.testing.assert_array_equal(legal[1], expected)
        np.testing.assert_array_equal(legal[0], [1, 1, 1])


def test_games_batch_and_compile_once():
    game = Nim()
    keys = jax.random.split(jax.random.key(0), 16)
    step = jax.jit(jax.vmap(game.step, in_axes=(0, 0, 0, None)))
    reset = jax.vmap(game.reset, in_axes=(0, None))
    _, states = reset(keys, game.default_params)
    ended = 0
    for _ in range(12):
        actions = jnp.ones((16, 2), jnp.int32)
        _, states, rewards, terminated, _, _ = step(keys, states, actions, game.default_params)
        np.testing.assert_array_equal(rewards.sum(1), 0)
        np.testing.assert_array_equal(jnp.abs(rewards).sum(1) == 2, terminated)
        ended += int(terminated.sum())
    assert ended == 2 * 16  # a heap of 10, two at a time, lasts 5 moves
    assert step._cache_size() == 1


@pytest.mark.parametrize(
    ("actions", "complaint"),
    [
        (np.array([0, 1, 2]), r"shape \(3,\), expected \(2,\).*vmap"),
        (np.int32(1), r"shape \(\), expected \(2,\)"),
        (np.array([0.0, 1.0]), r"dtype float64, expected int32.*astype"),
        (np.array([0, 3]), r"outside 0 .. 2"),
        (np.array([-1, 0]), r"outside 0 .. 2"),
    ],
)
def test_bad_actions_are_named(actions, complaint):
    game = Duel()
    _, state = game.reset(jax.random.key(0))
    with pytest.raises(ValueError, match=complaint):
        game.step(jax.random.key(1), state, actions)


def test_snapshot_round_trip():
    game = Duel()
    _, state = game.reset(jax.random.key(0))
    snapshot = game.snapshot(state)
    assert snapshot.keys() == {"hands", "last", "round"}
    assert jax.tree.all(jax.tree.map(np.array_equal, game.restore(snapshot), state))


def reveal_nothing_new(state):
    return state.replace(hands=state.hands.at[1].set((state.hands[1] + 1) % 9))


def test_check_hidden_accepts_a_game_that_hides():
    _, state = Duel().reset(jax.random.key(0))
    check_hidden(Duel(), state, reveal_nothing_new, player=0)


def test_check_hidden_finds_a_leak_and_names_the_entry():
    _, state = LeakyDuel().reset(jax.random.key(0))
    with pytest.raises(AssertionError, match=r"player 0 sees .* observation \[\[0\]\]"):
        check_hidden(LeakyDuel(), state, reveal_nothing_new, player=0)


def test_check_hidden_finds_leaks_in_legal_actions_and_turns():
    _, state = Duel().reset(jax.random.key(0))

    class TellsByLegal(Duel):
        def legal_actions(self, state, params):
            return jnp.ones((2, 3), bool).at[:, 2].set(state.hands[1] % 2 == 0)

    class TellsByTurn(Duel):
        def to_act(self, state, params):
            return jnp.stack([state.hands[1] % 2 == 0, jnp.bool_(True)])

    for game, what in ((TellsByLegal(), "legal action"), (TellsByTurn(), "turn")):
        with pytest.raises(AssertionError, match=what):
            check_hidden(game, state, reveal_nothing_new, player=0)


def test_check_hidden_refuses_to_show_nothing():
    _, state = Duel().reset(jax.random.key(0))
    with pytest.raises(ValueError, match="shows nothing"):
        check_hidden(Duel(), state, lambda s: s, player=0)

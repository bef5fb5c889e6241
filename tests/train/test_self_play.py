"""Games: their players as rows of one batch, self-play, and what is won against others."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs import registry
from simlift.train import PPO, PPOConfig, RunOptions
from simlift.train import run as runs
from simlift.train.logs import read_rows
from simlift.train.opponents import OPPONENTS, find_opponents, play_opponents, tally
from simlift.train.ppo import Transition
from simlift.train.rows import Rows

from .toys import Bids, Stakes

CONFIG = PPOConfig(
    total_steps=20_000,
    num_envs=64,
    num_steps=12,
    num_minibatches=4,
    learning_rate=1e-2,
    gamma=1.0,
    hidden_sizes=(16,),
)
GAME = Bids()
PARAMS = GAME.default_params


@pytest.fixture(scope="module")
def trained() -> tuple[PPO, Any, Any]:
    """A whole run, and the sums over it."""
    ppo = PPO(CONFIG, GAME)
    runner, metrics = ppo.update_chunk(ppo.init(jax.random.key(0)), CONFIG.num_updates)
    return ppo, runner, metrics


@pytest.fixture(scope="module")
def rollout(trained: tuple[PPO, Any, Any]) -> tuple[Transition, np.ndarray]:
    """[T, B, ...] of a policy that has learned nothing, and who had to wait, bool [T, B]."""
    ppo = trained[0]
    runner = ppo.init(jax.random.key(1))
    policy = ppo.policy(runner)

    def step(runner: Any, _: None) -> Any:
        acts = jax.vmap(GAME.to_act, (0, None))(runner.env_state, PARAMS)
        runner, (transition, _) = ppo._step(policy, runner, None)
        return runner, (transition, ~acts.reshape(-1))

    _, (transitions, waits) = jax.jit(lambda r: jax.lax.scan(step, r, length=12))(runner)
    return transitions, np.asarray(waits)


def test_players_of_a_game_follow_each_other() -> None:
    rows = Rows(GAME, PARAMS, 6)
    observation, state = rows.reset(jax.random.key(0))
    assert observation.shape == (6, 2) and state.cap.shape == (3,)
    np.testing.assert_array_equal(observation[::2, 0], state.cap.astype(jnp.float32))
    np.testing.assert_array_equal(observation[1::2, 0], state.cap.astype(jnp.float32))
    legal = np.asarray(rows.legal(state))
    assert not legal[1::2, 1:].any() and legal[:, 0].all()  # the second player waits
    np.testing.assert_array_equal(legal[::2, 2], state.cap == 2)
    action = legal[:, 1].astype(np.int32)
    for key in jax.random.split(jax.random.key(1), 3):
        _, state, reward, terminated, truncated, info = rows.step(key, state, jnp.asarray(action))
        assert (reward[::2] == -reward[1::2]).all()
        np.testing.assert_array_equal(terminated[::2], terminated[1::2])
        action = np.ones(6, np.int32)
    assert terminated.all() and not truncated.any()
    assert info["final_observation"].shape == (6, 2)
    assert info["mistakes"].tolist() == [1] * 6  # the first player bid in the second's turn


def test_self_play_learns_to_bid_as_high_as_it_may(trained: tuple[PPO, Any, Any]) -> None:
    ppo, runner, metrics = trained
    means = metrics.means()
    assert means["episode_mistakes"] == 0
    assert means["episode_return"] == 0  # what one player wins the other one loses
    found = play_opponents(ppo.policy(runner), GAME, PARAMS, jax.random.key(2), 256)["random"]
    assert found["unfinished"] == 0 and found["games"] == 256
    assert found["losses"] < 25 < 120 < found["wins"]  # caps are luck
    observation = jnp.asarray([[1.0, 0.0], [2.0, 0.0], [2.0, 2.0]])
    legal = np.arange(3)[None] <= np.array([1, 2, 2])[:, None]
    action, _ = ppo.policy(runner).act(observation, (), deterministic=True, legal=legal)
    assert action.tolist() == [1, 2, 2]


def test_neither_seat_is_favoured(rollout: tuple[Transition, np.ndarray]) -> None:
    transitions, waits = rollout
    for seat in (0, 1):
        assert transitions.legal is not None
        assert transitions.legal[:, seat::2].sum() > 0
    np.testing.assert_array_equal(transitions.reward[:, ::2], -transitions.reward[:, 1::2])
    assert waits[:, ::2].sum() == waits[:, 1::2].sum()
    np.testing.assert_array_equal(transitions.done[:, ::2], transitions.done[:, 1::2])


def test_the_mask_is_never_violated(rollout: tuple[Transition, np.ndarray]) -> None:
    transitions, _ = rollout
    assert transitions.legal is not None
    chosen = jnp.take_along_axis(transitions.legal, transitions.action[..., None], axis=-1)
    assert chosen.all()


def test_who_waits_teaches_the_policy_nothing(
    trained: tuple[PPO, Any, Any], rollout: tuple[Transition, np.ndarray]
) -> None:
    ppo, runner, _ = trained
    transitions, waits = rollout
    assert waits.any() and not waits.all()
    assert (np.asarray(transitions.log_prob)[waits] == 0).all()
    assert (np.asarray(transitions.action)[waits] == 0).all()
    waiting = jax.tree.map(lambda x: x[waits][None], transitions)
    config = dataclasses.replace(CONFIG, normalize_advantages=False)
    loss = PPO(config, GAME)._loss
    advantage = jnp.ones(waiting.reward.shape)
    gradient = jax.jit(jax.grad(loss, has_aux=True))(
        runner.params, ppo.policy(runner), waiting, advantage, ()
    )[0]["params"]
    assert all((x == 0).all() for x in jax.tree.leaves([gradient["actor"], gradient["policy"]]))
    assert any((x != 0).any() for x in jax.tree.leaves(gradient["critic"]))


@pytest.mark.parametrize(
    ("game", "rows", "message"),
    [(Bids(), 7, "num_envs=7 must be a multiple of the 2 players"), (Stakes(), 8, "discrete")],
)
def test_games_that_cannot_be_rows_are_refused(game: Bids, rows: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rows(game, PARAMS, rows)


# -- against others


def test_a_tally_has_wilsons_interval() -> None:
    """Of 8 in 10: Newcombe 1998's formula by hand, 0.490 .. 0.943."""
    found = tally(np.array([1.0] * 8 + [1e-6, -1.0]))
    assert (found["wins"], found["ties"], found["losses"]) == (8, 1, 1)
    assert found["win_rate"] == 0.8
    assert found["low"] == pytest.approx(0.4902, abs=1e-4)
    assert found["high"] == pytest.approx(0.9433, abs=1e-4)
    assert tally(np.ones(50))["high"] == pytest.approx(1)


def test_opponents_of_every_game_are_there() -> None:
    for game, names in OPPONENTS.items():
        assert game in registry.list_environments()
        assert find_opponents(game).keys() == names.keys()
    assert [*find_opponents("another game")] == ["random"]


def test_a_run_on_a_game_is_scored_against_its_opponent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry._FACTORIES, "Bids-v0", Bids)
    config = dataclasses.replace(CONFIG, total_steps=10 * CONFIG.batch_size)
    options = RunOptions(
        env="Bids-v0", preset="default", config=config, out=tmp_path / "run", eval_episodes=32
    )
    summary = runs.run(options)
    against = summary["by_seed"][0]["against"]
    assert against.keys() == {"random"} and against["random"]["games"] == 32
    assert summary["score_mean"] == against["random"]["win_rate"]
    rows = read_rows(tmp_path / "run" / "metrics.csv")
    assert len(rows) == 10
    assert all(0 <= row["score"] <= 1 and row["return"] == 0 for row in rows)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["score_mean"] >= 0

"""L4 in generation 1: what players of Showdown are told, and the same games on both sides."""

from typing import Any

import jax
import numpy as np
import pytest

from simlift.references.core import SnapshotRefused
from simlift.verify.play import Lifted, Recorded
from simlift.verify.suites import get_suite
from simlift.verify.suites.pokemon_transfer import AGAINST, PLAN, SELF_PLAY
from simlift.verify.transfer.training import RandomActor

pytestmark = [pytest.mark.reference, pytest.mark.node]
SUITE = get_suite("pokemon")
NUM_ENVS, NUM_STEPS = 16, 40
SHAPE = SUITE.environment(AGAINST)[0].observation_space().shape
FIELDS = ("observation", "legal", "reward", "terminated")


def played(side: Any, seed: int) -> dict[str, np.ndarray]:
    """What random choices see and earn, [T, B, ...]."""
    actor = RandomActor(space=SUITE.environment(AGAINST)[0].action_space())
    outcome, shown = side.reset(seed), []
    for step in range(NUM_STEPS):
        key = jax.random.fold_in(jax.random.key(0), step)
        actions, _ = actor.act(outcome.observation, (), key, False, start=None, legal=outcome.legal)
        before = outcome
        outcome = side.step(np.asarray(actions))
        shown.append([before.observation, before.legal, outcome.reward, outcome.terminated])
    columns = (np.stack([np.asarray(x) for x in column]) for column in zip(*shown, strict=True))
    return dict(zip(FIELDS, columns, strict=True))


def first_battles(terminated: np.ndarray) -> np.ndarray:
    """bool [T, B]: steps of each instance's first episode."""
    over = np.cumsum(terminated, 0) - terminated
    return over == 0


def test_a_player_sees_and_earns_the_same_on_both_sides() -> None:
    env, params = SUITE.environment(AGAINST)
    with SUITE.reference(AGAINST, NUM_ENVS) as reference:
        side = Recorded(SUITE, reference, env, params)
        theirs = played(side, 5)
        tape = side.tape()
        with pytest.raises(SnapshotRefused):
            reference.restore(reference.snapshot())
    ours = played(Lifted(env, params, NUM_ENVS, tape), 5)
    first = first_battles(theirs["terminated"])
    assert (theirs["terminated"] & first).any() and first.sum() > NUM_ENVS * NUM_STEPS / 2
    for name in ("legal", "reward", "terminated"):
        np.testing.assert_array_equal(ours[name][first], theirs[name][first], err_msg=name)
    np.testing.assert_allclose(ours["observation"][first], theirs["observation"][first], atol=1e-6)


def test_seats_are_both_players_of_a_battle() -> None:
    """Shaped as the environment's rewards are: over a battle, all but the result is gone."""
    with SUITE.reference(SELF_PLAY, 2 * NUM_ENVS) as reference:
        assert reference.num_envs == 2 * NUM_ENVS
        shown = played(reference, 6)
    assert shown["observation"].shape[1:] == (2 * NUM_ENVS, *SHAPE)
    assert shown["legal"].any(-1).all()
    reward, over = shown["reward"], shown["terminated"]
    np.testing.assert_array_equal(reward[:, ::2], -reward[:, 1::2])
    np.testing.assert_array_equal(over[:, ::2], over[:, 1::2])
    first = first_battles(over)
    ended = (over & first).any(0)
    assert ended.any() and (reward != 0).mean() > 0.3
    total = (reward * first).sum(0)[ended]
    np.testing.assert_allclose(np.abs(total), 1, atol=1e-5)


def test_the_plan_trains_by_self_play_and_plays_an_opponent() -> None:
    assert SUITE.transfer is PLAN
    assert PLAN.training == SELF_PLAY and PLAN.variant == AGAINST
    game, _ = SUITE.environment(SELF_PLAY)
    assert game.num_players == 2 and game.config.shaping == SELF_PLAY.config["shaping"]

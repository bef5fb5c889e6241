"""L4 on a stroll: it holds where nothing is wrong, and says no, or that it could not see."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.references.core import VectorReference
from simlift.verify.play import Lifted, Recorded, play
from simlift.verify.suite import Suite, SuiteError
from simlift.verify.transfer import TransferOptions, transfer
from simlift.verify.transfer.killer import TransferKiller
from simlift.verify.transfer.level import Stage, evaluate
from simlift.verify.transfer.reference_env import ReferenceEnvironment
from simlift.verify.transfer.training import RandomActor, train_policies

from .stroll import LIMIT, PLAN, PRIZE, StrollReference, stroll

SAME, OWN = "ours - reference, same policies, draws", "ours - reference, same policies, each"


@pytest.fixture(scope="module")
def trained() -> Any:
    """Two policies of each side; the faults are planted where they are played."""
    return train_policies(stroll(), PLAN, range(2))


@pytest.fixture(scope="module")
def sound(trained: Any) -> tuple[dict[str, Any], Stage]:
    return evaluate(stroll(), trained, 0, TransferOptions())


def row(result: dict[str, Any], what: str) -> dict[str, Any]:
    (found,) = [row for row in result["rows"] if row["what"].startswith(what)]
    return found


def random_actor(suite: Suite) -> RandomActor:
    env, params = suite.environment(PLAN.variant)
    return RandomActor(space=env.action_space(params))


def test_the_same_draws_give_the_same_returns(sound: tuple[dict[str, Any], Stage]) -> None:
    result, stage = sound
    assert result["holds"]
    assert result["span"] > 1
    for pairs in stage.pairs:
        np.testing.assert_array_equal(pairs.differences, 0)
        assert len(np.unique(pairs.theirs)) > 5
    assert row(result, SAME)["method"] == "rule of three"
    assert row(result, OWN)["gap"] != 0
    assert {row["axis"] for row in result["rows"]} == {"evaluation", "training"}
    assert not row(result, "noise floor")["counts"]
    assert json.loads(json.dumps(result)) == result


def test_the_bets_stop_early(trained: Any) -> None:
    result, _ = evaluate(stroll(), trained, 0, TransferOptions(early_stop=True))
    assert result["holds"]
    assert 0 < result["bets"]["declared_at"] <= result["played"]["reference"]["n"] < PLAN.episodes
    assert row(result, SAME)["method"].startswith("bets")


@pytest.mark.parametrize(
    ("params", "seen_in"),
    [
        pytest.param({"prize": 0.98 * PRIZE}, (SAME, OWN), id="2 % of the reward"),
        pytest.param({"slip": 0.2}, (OWN,), id="a biased coin"),
        pytest.param({"limit": LIMIT // 2}, (SAME, OWN), id="half the time"),
    ],
)
def test_a_fault_is_declared_not_equivalent(
    trained: Any, params: dict[str, float], seen_in: tuple[str, ...]
) -> None:
    result, _ = evaluate(stroll(**params), trained, 0, TransferOptions())
    assert not result["holds"]
    assert [row(result, what)["equivalent"] for what in seen_in] == [False] * len(seen_in)
    if SAME in seen_in:
        assert result["bets"]["declared_at"] is None


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"slip": 0.105}, id="a slightly biased coin"),
        pytest.param({"limit": LIMIT - 1}, id="a timer off by one"),
    ],
)
def test_a_fault_that_is_not_seen_is_below_the_smallest_gap_that_would_be(
    trained: Any, params: dict[str, float]
) -> None:
    result, _ = evaluate(stroll(**params), trained, 0, TransferOptions())
    assert result["holds"]
    for what in (SAME, OWN):
        test = row(result, what)
        assert max(-test["low"], test["high"]) < test["smallest_gap"] <= test["margin"]


def test_few_episodes_show_nothing_and_say_so(trained: Any) -> None:
    result, _ = evaluate(stroll(), trained, 0, TransferOptions(episodes=40))
    assert not result["holds"]
    assert row(result, SAME)["gap"] == 0
    assert row(result, SAME)["power"] == 0


def test_mutants_are_judged_under_vmap(sound: tuple[dict[str, Any], Stage]) -> None:
    stage = sound[1]
    killer = TransferKiller(stage, episodes=48)
    env, params = stage.arena.env, stage.arena.params
    prizes = jnp.array([1.0, 0.999, 0.5, jnp.inf], jnp.float32)
    with jax.debug_nans(False):
        returns = jax.jit(jax.vmap(lambda x: killer.returns(env, params.replace(prize=x))))(prizes)
    np.testing.assert_allclose(returns[0], killer.pairs.theirs, rtol=1e-5)
    assert killer.killed(returns).tolist() == [False, False, True, True]
    assert killer.margin >= stage.margin


def test_episodes_follow_the_draws_of_the_reference() -> None:
    suite = stroll()
    env, params = suite.environment(PLAN.variant)
    recorded = Recorded(suite, StrollReference(64), env, params)
    actor, key = random_actor(suite), jax.random.key(1)
    theirs = play(actor, recorded, key, 7)
    tape = recorded.tape()
    ours = play(actor, Lifted(env, params, 64, tape), key, 8)
    np.testing.assert_allclose(ours.returns, theirs.returns)
    np.testing.assert_array_equal(ours.lengths, theirs.lengths)
    other = play(actor, Lifted(env, params, 64), key, 8)
    assert not np.array_equal(other.lengths, theirs.lengths)
    assert np.all(tape.length <= theirs.lengths)  # standing still draws nothing


def test_where_the_tape_runs_out_fresh_draws_follow() -> None:
    suite = stroll()
    env, params = suite.environment(PLAN.variant)
    recorded = Recorded(suite, StrollReference(32), env, params)
    actor, key = random_actor(suite), jax.random.key(1)
    play(actor, recorded, key, 7, max_steps=3)
    played = play(actor, Lifted(env, params, 32, recorded.tape()), key, 8)
    assert played.finished.all()
    assert played.lengths.max() > 3


def test_training_that_learns_nothing_is_refused() -> None:
    plan = dataclasses.replace(PLAN, train_in_reference=False)
    policies = train_policies(stroll(prize=-PRIZE), plan, range(2))  # they learn to stay away
    with pytest.raises(ValueError, match="train longer"):
        evaluate(stroll(), policies, 0, TransferOptions(episodes=40))


def test_a_suite_without_a_plan_is_refused() -> None:
    with pytest.raises(SuiteError, match="TransferPlan"):
        transfer(dataclasses.replace(stroll(), transfer=None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 1}, "at least 2"),
        ({"margin": 0.0}, "between 0 and 1"),
        ({"returns": (1.0, 1.0)}, "below"),
        ({"why": ""}, "reason"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SuiteError, match=message):
        dataclasses.replace(PLAN, **change)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha"):
        transfer(stroll(), options=TransferOptions(alpha=0.6))


# -- the reference as an environment


def lifted_reference(num_envs: int) -> tuple[ReferenceEnvironment, VectorReference]:
    batch = StrollReference(num_envs)
    return ReferenceEnvironment(*stroll().environment(PLAN.variant), batch), batch


def test_the_reference_as_an_environment_shows_what_the_reference_shows() -> None:
    env, _ = lifted_reference(8)
    keys = jax.random.split(jax.random.key(3), 8)
    generator = np.random.default_rng(0)
    actions = generator.choice(np.int32([0, 1, 1, 1, 2]), (80, 8))
    actions[:, :2] = 0

    @jax.jit
    def run() -> Any:
        observation, state = jax.vmap(env.reset)(keys)

        def step(state: Any, action: jax.Array) -> Any:
            shown = jax.vmap(env.step)(keys, state, action)
            return shown[1], (shown[0], *shown[2:5], shown[5]["final_observation"])

        return observation, jax.lax.scan(step, state, jnp.asarray(actions))[1]

    first, shown = jax.device_get(run())
    batch = StrollReference(8)
    words = jax.random.key_data(keys)[0].tolist()
    outcome = batch.reset(int(np.random.SeedSequence(words).generate_state(1)[0]))
    np.testing.assert_array_equal(first, outcome.observation)
    for t, action in enumerate(actions):
        outcome = batch.step(action)
        np.testing.assert_array_equal(shown[0][t], outcome.observation)
        np.testing.assert_array_equal(shown[1][t], outcome.reward)
        np.testing.assert_array_equal(shown[2][t], outcome.terminated)
        np.testing.assert_array_equal(shown[3][t], outcome.truncated)
        np.testing.assert_array_equal(shown[4][t], outcome.final_observation)
    assert shown[2].any() and shown[3].any()


def test_another_number_of_instances_is_refused() -> None:
    env, _ = lifted_reference(8)
    with pytest.raises(Exception, match="vmap over exactly those"):
        jax.block_until_ready(jax.vmap(env.reset)(jax.random.split(jax.random.key(0), 4)))

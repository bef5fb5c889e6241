"""E1: samplers that are wrong are found, sound ones hardly ever, and the power is as stated."""

import dataclasses
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.references.core import DrawLog
from simlift.verify.draws import check_consumption, consumed, leaves_by_site
from simlift.verify.record import Recording, record_policy
from simlift.verify.samplers import SamplerCheck, SamplerKiller, adjusted, check_samplers, gather
from simlift.verify.suite import SuiteError
from simlift.verify.suites import get_suite
from simlift.verify.two_samples import Finding, compare, independent, joint, within

from . import thrower
from .transfer.stroll import PLAN, Fault, StrollReference, policy, stroll

SITES = StrollReference.draw_sites


@pytest.fixture(scope="module")
def recording() -> Recording:
    """About 15,000 slips and 1,500 starts."""
    *_, made = next(record_policy(stroll(), StrollReference(128), policy, 0, 150, 1))
    return made


def checked(recording: Recording, fault: Fault | None = None, **params: float) -> dict[str, Any]:
    check = SamplerCheck(stroll(fault, **params), seed=1)
    check.add(PLAN.variant, SITES, recording)
    return check.result()


def failed(result: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["site"], row["test"]) for row in result["rows"] if not row["holds"]}


# -- the samplers


def test_sound_samplers_hold(recording: Recording) -> None:
    result = checked(recording)
    assert result["holds"], result["what"]
    assert {(row["source"], row["site"]) for row in result["rows"]} >= {
        ("sample_draws", "slip"),
        ("sample_reset_draws", "start"),
        ("sample_step", "slip"),
        ("sample_step, reset", "start"),
    }
    assert all(0 < row["effect"] <= 1 and row["n"] > 500 for row in result["rows"])
    assert json.loads(json.dumps(result)) == result


def test_a_coin_that_is_more_biased_than_the_stated_effect_is_found(recording: Recording) -> None:
    (sound,) = [
        row
        for row in checked(recording)["rows"]
        if (row["source"], row["test"]) == ("sample_draws", "chi-square")
    ]
    assert sound["effect"] < 0.025
    result = checked(recording, slip=0.1 + 1.2 * sound["effect"])
    assert ("slip", "chi-square") in failed(result)
    assert any("'slip'" in line and "chi-square" in line for line in result["what"])


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (Fault(starts=5), ("start", "chi-square")),
        (Fault(starts=5), ("start", "range")),
        (Fault(starts=3), ("start", "chi-square")),
        (Fault(one_key=True), ("slip", "independence of step and reset")),
        (Fault(shared=True), ("slip", "independence of successive keys")),
    ],
    ids=lambda x: x[1] if isinstance(x, tuple) else "",
)
def test_a_wrong_sampler_is_found(
    recording: Recording, fault: Fault, found: tuple[str, str]
) -> None:
    assert found in failed(checked(recording, fault))


def faces(key: jax.Array) -> jax.Array:
    return jax.random.randint(key, (thrower.HIGHEST,), 1, thrower.FACES + 1, jnp.int32)


@pytest.mark.parametrize(
    ("die", "found"),
    [
        (faces, None),
        (lambda key: jnp.maximum(faces(key), 2), "chi-square"),
        (lambda key: jnp.full_like(faces(key), faces(key)[0]), "chi-square, jointly"),
        (lambda key: jnp.full_like(faces(key), thrower.HIGHEST), "consumption"),
    ],
    ids=["sound", "no ones", "the same again", "never a second"],
)
def test_draws_that_end_a_loop_are_chosen_by_what_ours_consumes(
    die: thrower.Die, found: str | None
) -> None:
    check = SamplerCheck(thrower.thrower(die), seed=1)
    check.add(thrower.VARIANT, thrower.SITES, thrower.recorded(seed=1))
    result = check.result()
    assert result["holds"] == (found is None), result["what"]
    assert found is None or ("die", found) in failed(result)


def test_steps_without_any_draw_are_recorded_steps_too() -> None:
    recording = thrower.recorded(seed=1, num_envs=3)
    silent = dataclasses.replace(
        recording,
        draws=DrawLog(
            count=np.zeros((1, 3), np.int32),
            site=np.zeros((1, 3, 0), np.int16),
            value=np.zeros((1, 3, 0), np.int64),
            step_count=np.zeros((1, 3), np.int32),
        ),
    )
    given = []

    def draws(log: DrawLog) -> Any:
        given.append(log)
        return thrower.draws(log)

    made = consumed(dataclasses.replace(thrower.thrower(faces), draws=draws), silent, thrower.SITES)
    assert not made.count["step"]["die"].any() and not made.draws["die"].any()
    assert given[0].step_count.tolist() == [0, 0, 0]


def test_mutants_of_the_samplers_are_judged_under_vmap(recording: Recording) -> None:
    suite = stroll()
    env, params = suite.environment(PLAN.variant)
    contexts = gather([consumed(suite, recording, SITES)], SITES)
    killer = SamplerKiller(suite, contexts, jax.random.key(2))
    slips = jnp.array([0.1, 0.2, 0.1, 0.0], jnp.float32)
    samples = jax.vmap(lambda slip: killer.samples(env, params.replace(slip=slip)))(slips)
    assert killer.killed(samples).tolist() == [False, True, False, True]


@pytest.mark.reference
def test_draws_of_resets_are_judged_even_where_no_game_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from simlift.envs.pong import Pong
    from simlift.envs.pong.state import Draws

    suite = get_suite("pong")
    variant = suite.variants[0]
    with suite.reference(variant, 128) as reference:
        *_, recording = next(
            record_policy(suite, reference, suite.policies(variant)["random"], 0, 256, 1)
        )
        assert not recording.outcome.terminated.any() and not recording.outcome.truncated.any()
        contexts = gather([consumed(suite, recording, reference.draw_sites)], reference.draw_sites)
    env, params = suite.environment(variant)
    killer = SamplerKiller(suite, contexts, jax.random.key(2))

    def killed() -> bool:
        samples = jax.tree.map(lambda x: x[None], killer.samples(env, params))
        return bool(killer.killed(samples)[0])

    assert not killed()
    sound = Pong.sample_step

    def never_right(self: Pong, *args: Any) -> tuple[Draws, Draws]:
        return sound(self, *args)[0], Draws(serve=jnp.int32(0))

    monkeypatch.setattr(Pong, "sample_step", never_right)
    assert killed()


@pytest.mark.reference
def test_pong_draws_fair_coins() -> None:
    result = check_samplers(get_suite("pong"), num_envs=128, num_steps=64)
    assert result["holds"], result["what"]
    assert {row["variant"] for row in result["rows"]} >= {"discrete, frameskip 8"}


# -- the tape


def test_draws_are_consumed_once(recording: Recording) -> None:
    rows = check_consumption(stroll(), PLAN.variant, recording, SITES)
    assert all(row["holds"] for row in rows)
    by_site = {(row["kind"], row["site"]): row for row in rows}
    assert by_site["step", "slip"]["exchanged"] > 1000
    assert by_site["reset", "start"]["exchanged"] > 300
    assert by_site["step", "start"]["consumed"] == 0


@pytest.mark.parametrize(
    ("fault", "lines"),
    [
        (Fault(count=2), ["'slip' of a step is consumed 2 times where the reference consumes 1"]),
        (Fault(count=0), ["'slip' of a step is consumed 0 times where the reference consumes 1"]),
        (Fault(uses="none"), ["'slip' of a step is ignored"]),
        (
            Fault(uses="start"),
            ["'start' of a step is used in", "'slip' of a step is ignored"],
        ),
    ],
    ids=["twice", "never", "ignored", "wrong site"],
)
def test_the_call_site_of_a_wrong_consumption_is_named(
    recording: Recording, fault: Fault, lines: list[str]
) -> None:
    result = checked(recording, fault)
    assert not result["holds"]
    what = [line for row in result["consumption"] for line in row["what"]]
    assert len(what) == len(lines)
    for line, said in zip(lines, what, strict=True):
        assert line in said


def test_leaves_belong_to_the_site_whose_name_they_bear() -> None:
    draws = {"slip": 0, "start": {"x": 0, "y": 0}}
    assert leaves_by_site(draws, SITES) == {"slip": ["slip"], "start": ["start.x", "start.y"]}
    assert leaves_by_site({"anything": 0}, ("coin",)) == {"coin": ["anything"]}
    with pytest.raises(SuiteError, match="gust"):
        leaves_by_site(draws | {"gust": 0}, SITES)


# -- the tests themselves

ALPHA = 0.01


def seen(test: Finding) -> bool:
    return test.p < ALPHA


def test_51_percent_is_told_from_a_fair_coin() -> None:
    generator = np.random.default_rng(0)
    fair, biased = generator.random(250_000) < 0.5, generator.random(1_000_000) < 0.51
    test = compare(fair, biased)
    assert test.effect(1e-5) < 0.01
    assert test.p < 1e-5
    assert compare(fair, generator.random(1_000_000) < 0.5).p > 1e-3


@pytest.mark.parametrize("kind", ["coin", "die", "uniform"])
def test_sound_samples_alarm_no_more_often_than_alpha(kind: str) -> None:
    generator = np.random.default_rng(1)
    repeats, alpha = 400, 0.05

    def draw(size: int) -> np.ndarray:
        if kind == "uniform":
            return generator.random(size)
        return generator.integers(2 if kind == "coin" else 200, size=size)

    alarms = np.mean([compare(draw(500), draw(2000)).p < alpha for _ in range(repeats)])
    assert alarms < alpha + 3 * np.sqrt(alpha / repeats)


@pytest.mark.parametrize("kind", ["coin", "uniform"])
def test_the_stated_effect_is_seen_nine_times_in_ten(kind: str) -> None:
    generator = np.random.default_rng(2)
    n, m, repeats = 1000, 4000, 200

    def pair(shift: float) -> Finding:
        if kind == "coin":
            return compare(generator.random(n) < 0.5, generator.random(m) < 0.5 + shift)
        # Half of the line shifted past the middle: the distributions are `shift` apart there.
        ours = generator.random(m)
        moved = (ours < 0.5) & (generator.random(m) < 2 * shift)
        return compare(generator.random(n), np.where(moved, ours + 0.5, ours))

    effect = pair(0.0).effect(ALPHA)
    power = np.mean([seen(pair(effect)) for _ in range(repeats)])
    assert 0.8 < power <= 1.0
    assert np.mean([seen(pair(effect / 3)) for _ in range(repeats)]) < 0.5


def test_the_joint_distribution_shows_what_the_marginals_do_not() -> None:
    generator = np.random.default_rng(3)
    a, b = generator.integers(0, 6, (2, 4000))
    independent_dice, one_die = np.stack([a, b], 1), np.stack([a, a], 1)
    assert compare(independent_dice[:, 1], one_die[:, 1]).p > 1e-3
    assert joint(independent_dice, one_die).p < 1e-6
    assert joint(one_die, one_die[::-1]).p > 0.9  # as dependent as the reference: no fault
    assert independent(a, a, "").p < 1e-6
    assert independent(a, b, "").p > 1e-3


def test_a_range_that_is_one_too_wide_shows_among_many_values() -> None:
    generator = np.random.default_rng(4)
    theirs, ours = generator.integers(1000, size=20_000), generator.integers(1001, size=80_000)
    assert within(theirs, ours).p < 1e-4
    assert within(theirs, generator.integers(1000, size=80_000)).p == 1
    assert within(theirs, ours).effect(1e-4) < 1e-3


def test_values_that_never_vary_show_nothing() -> None:
    same = np.zeros(100, np.int64)
    assert compare(same, same).p == 1
    assert independent(same, same, "").p == 1


def test_many_tests_together_keep_the_rate_of_false_alarms() -> None:
    generator, alpha, repeats = np.random.default_rng(5), 0.05, 400

    def alarm() -> bool:
        tests = [
            Finding("", 1, 1, 0.0, float(p), lambda alpha: 1.0, "") for p in generator.random(30)
        ]
        return not all(row["holds"] for row in adjusted([vars(test) for test in tests], alpha))

    assert np.mean([alarm() for _ in range(repeats)]) < alpha + 3 * np.sqrt(alpha / repeats)

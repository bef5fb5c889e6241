"""A whole verification: options, result, seeds, stories, and the tapes that it leaves behind."""

import dataclasses
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import pytest

from simlift.envs.pong import Pong
from simlift.verify import runner
from simlift.verify.runner import Options, Run, replay, verify
from simlift.verify.suite import Suite, SuiteError
from simlift.verify.suites import get_suite, pong
from simlift.verify.tape import TapeFileError, load

from .faulty import planted

CLAMP = (
    "dynamics.py",
    "jnp.clip(state.ball_vy + spin, -params.ball_max_speed_y, params.ball_max_speed_y)",
    "jnp.clip(state.ball_vy + spin, -5.0, 5.0)",
)


def narrowed(suite: Suite, policy: str = "random", **changes: Any) -> Suite:
    """Discrete actions, one policy, no L1 and L2 but for `changes`."""
    policies = suite.policies
    return dataclasses.replace(
        suite,
        variants=suite.variants[:1],
        policies=lambda variant: {policy: policies(variant)[policy]},
        **{"scenarios": (), "properties": (), **changes},
    )


def rollouts(seed: int, bank: Path) -> Run:
    run = Run(narrowed(get_suite("pong")), Options(episodes=2, seed=seed, levels=["L3"], bank=bank))
    run.result()
    return run


# -- options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"episodes": 0}, r"episodes=0 must be at least 1"),
        ({"seed": -1}, r"seed=-1 must lie in 0"),
        ({"seed": 2**63}, r"seed=.* must lie in 0"),
        (
            {"levels": ("L0", "L9")},
            r"unknown levels \['L9'\]; there are \['L0', 'L1', 'L2', 'L3', 'targeted'",
        ),
    ],
)
def test_wrong_options_say_what_is_right(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Options(**options)


# -- the result


@pytest.mark.reference
def test_result_is_json_and_claims_no_more_than_was_compared(tmp_path: Path) -> None:
    suite = narrowed(get_suite("pong"))
    told: list[float] = []
    options = Options(episodes=2, levels=["L3"], bank=tmp_path)
    result = verify(suite, options, lambda what, done: told.append(done))
    assert json.loads(json.dumps(result)) == result
    assert result["holds"] and result["mismatches"] == 0 and result["divergences"] == []
    assert result["claim"]["class"] == "E3"
    assert result["claim"]["mismatch_rate_at_most"] == 3 / result["compared"]
    assert result["claim"]["policies"] == ["random"]
    assert result["claim"]["variants"] == ["discrete"]
    assert [row["level"] for row in result["levels"]] == ["L3 E2", "L3 E3"]
    assert all(row["count"] == result["compared"] for row in result["levels"])
    assert all(row["episodes"] >= 2 for row in result["levels"])
    assert (result["reference"]["name"], result["reference"]["version"]) == (
        "pufferlib-pong",
        "3.0.0",
    )
    assert "stream" in result["ignored"] and all(result["ignored"].values())
    assert told == sorted(told) and told[0] >= 0 and told[-1] <= 1


def test_what_was_not_chosen_is_not_claimed(tmp_path: Path) -> None:
    suite = get_suite("pong")
    assert len(suite.variants) > 1
    cells = [(suite.variants[0].name, "random")]
    result = verify(suite, Options(episodes=2, levels=["L0", "L3"], cells=cells, bank=tmp_path))
    assert result["holds"] and result["claim"]["variants"] == [suite.variants[0].name]
    assert {row["variant"] for row in result["levels"]} <= {suite.variants[0].name, ""}


@pytest.mark.reference
def test_nothing_compared_is_nothing_claimed(tmp_path: Path) -> None:
    result = verify(narrowed(get_suite("pong")), Options(levels=["L2"], bank=tmp_path))
    assert result["compared"] == 0 and result["claim"]["class"] is None


@pytest.mark.reference
def test_the_same_seed_gives_the_same_rows_and_another_other_play(tmp_path: Path) -> None:
    def without_time(run: Run) -> list[dict[str, Any]]:
        return [dataclasses.asdict(row) | {"seconds": 0} for row in run.rows]

    one, again, other = (rollouts(seed, tmp_path) for seed in (3, 3, 4))
    assert without_time(one) == without_time(again) != without_time(other)


# -- suites that are wrong themselves


@pytest.mark.reference
def test_a_field_that_no_table_mentions_stops_the_run(tmp_path: Path) -> None:
    suite = get_suite("pong")
    fields = {name: field for name, field in suite.fields.items() if name != "n_bounces"}
    wrong = narrowed(suite, fields=fields)
    with pytest.raises(SuiteError, match=r"must be total; without a comparator: \['n_bounces'\]"):
        verify(wrong, Options(episodes=1, levels=["L3"], bank=tmp_path))


@pytest.mark.reference
def test_a_scenario_that_does_not_happen_is_a_failure(tmp_path: Path) -> None:
    suite = get_suite("pong")
    never = dataclasses.replace(suite.scenarios[0], happened=lambda steps: False)
    wrong = narrowed(suite, scenarios=(suite.scenarios[0], never))
    result = verify(wrong, Options(levels=["L2"], bank=tmp_path))
    assert [row["mismatches"] for row in result["levels"]] == [0, 1]
    assert result["levels"][1]["what"] == ["the reference did not do what the scenario is about"]
    assert not result["holds"] and result["claim"]["class"] is None


# -- the story of a divergence


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Suite, dict[str, Any]]]:
    """A suite whose environment clamps the ball's speed at 5, and what verification says."""
    folder = tmp_path_factory.mktemp("diverged")
    with planted(folder, [CLAMP]) as suite:
        faulty = narrowed(suite, "follow")
        options = Options(episodes=2, levels=["L3"], bank=folder / "bank")
        yield faulty, verify(faulty, options)


@pytest.mark.reference
def test_story_says_what_differs_and_where_to_look(diverged: tuple[Suite, dict[str, Any]]) -> None:
    result = diverged[1]
    assert not result["holds"] and result["claim"]["class"] is None
    (story,) = result["divergences"]
    assert story["level"] == "L3 E2" and story["policy"] == "follow"
    assert story["variant"] == "discrete"
    assert set(story["differences"]) == {"ball_vy", "outcome.observation"}
    assert story["field"] == "ball_vy" and story["module"].startswith("dynamics")
    theirs, ours = (abs(float(value)) for value in story["differences"]["ball_vy"])
    assert theirs > ours == 5
    assert 1 <= len(story["actions"]) <= 20
    assert story["command"] == f"simlift replay {story['tape']}"
    assert story["by_field"]["ball_vy"] == story["by_field"]["outcome.observation"]
    assert json.loads(json.dumps(result))["divergences"][0]["tape"] == story["tape"]


@pytest.mark.reference
def test_tape_of_a_story_is_short_and_says_how_it_was_found(
    diverged: tuple[Suite, dict[str, Any]],
) -> None:
    (story,) = diverged[1]["divergences"]
    tape = load(Path(story["tape"]))
    assert tape.actions.tolist() == story["actions"]
    assert tape.found["level"] == "L3 E2" and tape.found["step"] == story["step"]
    assert tape.found["field"] == "ball_vy"


@pytest.mark.reference
def test_written_pytest_fails_with_the_fault_and_passes_without(
    diverged: tuple[Suite, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, result = diverged
    (story,) = result["divergences"]
    spec = importlib.util.spec_from_file_location("written_test", story["test"])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (test,) = (value for name, value in vars(module).items() if name.startswith("test_"))
    test()
    monkeypatch.setattr(pong, "suite", lambda: suite)
    with pytest.raises(AssertionError):
        test()


@pytest.mark.reference
def test_replay_shows_both_sides_step_by_step(
    diverged: tuple[Suite, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, result = diverged
    (story,) = result["divergences"]
    tape = Path(story["tape"])
    real = replay(tape)
    assert real["holds"] and real["mismatches"] == 0
    assert len(real["steps"]) == len(story["actions"])
    monkeypatch.setattr(pong, "suite", lambda: suite)
    faulty = replay(tape)
    assert not faulty["holds"]
    last = faulty["steps"][-1]["fields"]
    assert {name for name, field in last.items() if field["differs"]} == set(story["differences"])


@pytest.mark.reference
def test_bank_is_replayed_first_and_holds_only_without_the_fault(
    diverged: tuple[Suite, dict[str, Any]],
) -> None:
    suite, result = diverged
    bank = Path(result["divergences"][0]["tape"]).parents[1]
    options = Options(levels=[], bank=bank)
    faulty = verify(suite, options)
    assert faulty["levels"][0]["level"] == "bank" and faulty["mismatches"] > 0
    real = verify(narrowed(get_suite("pong")), options)
    assert real["levels"][0]["count"] == faulty["levels"][0]["count"] > 0
    assert real["mismatches"] == 0


def test_replay_of_a_missing_tape_says_so(tmp_path: Path) -> None:
    with pytest.raises(TapeFileError, match="there is no tape"):
        runner.replay(tmp_path / "gone.json")


class Growing(Pong):
    """Wrong: the score changes its type with the first step."""

    def transition(self, state, action, draws, params):
        state, outcome = super().transition(state, action, draws, params)
        return state.replace(score_l=state.score_l.astype(jnp.int32)), outcome


@pytest.mark.parametrize("level", ["L0", "L3"])
def test_a_state_that_changes_its_types_is_a_finding_whatever_the_levels(
    level: str, tmp_path: Path
) -> None:
    def environment(variant):
        return Growing(**variant.config), Growing().default_params

    suite = dataclasses.replace(get_suite("pong"), environment=environment)
    result = verify(suite, Options(episodes=1, levels=(level,), bank=tmp_path))
    assert not result["holds"] and result["compared"] == 0
    assert {row["policy"] for row in result["levels"]} == {"same_avals"}

"""Suites of chaotic systems: what takes the place of E3, and that it sees what is wrong."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from simlift.verify import budgets, distributions
from simlift.verify.compare import Comparison
from simlift.verify.floats import Budget, FloatPlan, measure
from simlift.verify.record import record_policy
from simlift.verify.runner import Options, replay, verify
from simlift.verify.suite import Suite, SuiteError

from .whirl import DOUBLE, LIMIT, LOOSE, PLAN, Fault, policy, whirl


def run(suite: Suite, tmp_path: Path, *levels: str) -> dict[str, Any]:
    options = Options(episodes=64, seed=3, levels=levels or ("L3",), bank=tmp_path)
    result = verify(suite, options)
    assert json.dumps(result, allow_nan=False)
    return result


def wrong(result: dict[str, Any]) -> set[str]:
    return {row["level"] for row in result["levels"] if row["mismatches"]}


# -- what holds


def test_claim_is_e2_and_says_why_not_more(tmp_path: Path) -> None:
    result = run(whirl(), tmp_path)
    claim = result["claim"]
    assert [row["what"] for row in result["levels"] if row["mismatches"]] == []
    assert claim["class"] == "E2" and claim["policies"] == ["random"]
    assert claim["why_not_E3"] == "errors double in each step"
    assert claim["within"]["place"] == f"within {LOOSE:g}"
    levels = [row["level"] for row in result["levels"]]
    assert levels == ["L3 E2", "L3 distributions", "floats"]
    assert 0 < result["errors"]["place"] < LOOSE
    (variant,) = result["evidence"]["floats"]["variants"]
    assert variant["twin"] == "place moved by 1e-7"
    (cell,) = variant["policies"]
    assert 0 < cell["free"]["fields"]["place"]["ratio"]["always"]["paired"] <= PLAN.factor
    # Errors have grown ten thousandfold in 20 steps.
    assert cell["free"]["fields"]["place"]["ours"]["p50"][-1] > 1e-3


def test_steps_in_which_the_reference_stops_short_are_counted_apart(tmp_path: Path) -> None:
    result = run(whirl(), tmp_path)
    short = result["unfinished"]
    assert 0 < short["transitions"] < result["compared"] / 2
    assert LOOSE < short["short_by"]["place"] < 1e-5
    without = run(whirl(finished=None), tmp_path)
    (e2,) = [row for row in without["levels"] if row["level"] == "L3 E2"]
    assert e2["mismatches"] > 0 and without["claim"]["class"] is None


def test_tallies_are_summed_and_reported(tmp_path: Path) -> None:
    result = run(whirl(), tmp_path)
    assert 0 < result["tallies"]["high"] < result["compared"]
    floats = result["evidence"]["floats"]
    assert floats["tallies"]["high"] == floats["variants"][0]["policies"][0]["tallies"]["high"] > 0


def test_programs_may_round_otherwise_where_the_suite_says_so(tmp_path: Path) -> None:
    assert wrong(run(whirl(), tmp_path, "L0")) == set()


def test_a_chaotic_suite_has_plans_for_its_free_runs() -> None:
    with pytest.raises(SuiteError, match="chaotic: give plans"):
        whirl(floats=())


# -- what is seen


@pytest.mark.parametrize("fault", [Fault(fold=1e-7), Fault(noise=1e-7)], ids=["fold", "noise"])
def test_a_fault_shows_in_single_steps_and_its_tape_replays(fault: Fault, tmp_path: Path) -> None:
    suite = whirl(fault)
    result = run(suite, tmp_path)
    assert "L3 E2" in wrong(result) and result["claim"]["class"] is None
    story = result["divergences"][0]
    assert len(story["actions"]) == 1 and len(story["actions"][0]) == 2


def test_float32_that_is_worse_than_rounding_parts_sooner_than_the_twin() -> None:
    plan = dataclasses.replace(
        PLAN,
        budgets={name: Budget(atol=1e-3, scale=0.1) for name in PLAN.budgets},  # blind for it
    )
    assert measure(whirl(floats=(plan,)), 0)["holds"]
    result = measure(whirl(Fault(noise=1e-5), floats=(plan,)), 0)
    assert not result["holds"]
    assert any("diverges faster than the reference perturbed" in line for line in result["what"])


def test_distributions_show_what_single_steps_are_not_asked_about() -> None:
    def late(fault: Fault) -> dict[str, Any]:
        suite = whirl(fault)
        comparison = Comparison.local(suite, DOUBLE)
        collected = distributions.Late(comparison)
        with suite.reference(DOUBLE, 512) as reference:
            for _, draws, recording in record_policy(suite, reference, policy, 0, 60, 1):
                collected.add(recording, draws)
        return distributions.judge({"random": collected})

    fair, bent = late(Fault()), late(Fault(fold=-0.3))
    assert fair["holds"] and fair["count"] == 512
    columns = {row["column"] for row in fair["rows"]}
    assert columns == {"return", *(f"observation[{i}] after 100 steps" for i in range(2))}
    assert all(0 < row["effect"] < 0.3 for row in fair["rows"])
    assert not bent["holds"] and any("return is distributed otherwise" in x for x in bent["what"])


def test_episodes_that_end_before_are_not_compared_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributions, "STEPS", (LIMIT - 1, LIMIT + 1))
    suite = whirl()
    collected = distributions.Late(Comparison.local(suite, DOUBLE))
    with suite.reference(DOUBLE, 8) as reference:
        played = record_policy(suite, reference, policy, 0, LIMIT + 5, 1)
        _, draws, recording = next(iter(played))
        collected.add(recording, draws)
    columns = {row["column"] for row in distributions.judge({"random": collected})["rows"]}
    assert columns == {"return", *(f"observation[{i}] after {LIMIT - 1} steps" for i in range(2))}


# -- budgets with a share


def sharing(share: float) -> FloatPlan:
    """place may be off by 2e-8, less than float32 keeps near 1."""
    tight = Budget(atol=2e-8, scale=0.1, share=share)
    return dataclasses.replace(PLAN, budgets={**PLAN.budgets, "place": tight})


def test_a_share_of_steps_may_be_over_as_far_as_they_show_it() -> None:
    step = measure(whirl(floats=(sharing(0.9),)), 0)["variants"][0]["policies"][0]["step"]["place"]
    count = sum(step["ulp"].values())
    assert step["holds"] and 0.1 < step["over"] / count < step["at_most"] < step["share"] == 0.9


def test_more_than_the_share_is_a_mismatch() -> None:
    result = measure(whirl(floats=(sharing(0.05),)), 0)
    assert not result["holds"]
    assert any("a share of 0.05 may be" in line for line in result["what"])


@pytest.mark.parametrize(("over", "count"), [(0, 1000), (3, 5000), (50, 100)])
def test_bound_of_a_share_is_what_would_show_so_few_with_5_percent(over: int, count: int) -> None:
    bound = budgets.share_at_most(over, count)
    assert stats.binom.cdf(over, count, bound) == pytest.approx(0.05)
    assert budgets.share_at_most(count, count) == 1


def test_a_budget_is_in_one_unit() -> None:
    for ulp, atol in ((1.0, 1e-3), (0.0, 0.0)):
        with pytest.raises(SuiteError, match="in ulp or in atol"):
            Budget(ulp=ulp, atol=atol, scale=1)


def test_relative_bounds_are_of_a_field_and_not_of_a_batch() -> None:
    from simlift.verify.suite import Compare

    close = Compare("close", rtol=1e-3)
    theirs = np.array([[1000.0, 0.0], [1.0, 0.0]])
    ours = theirs + 0.5
    assert close.differs(ours, theirs, 1).tolist() == [[False, False], [True, True]]
    assert close.words == "within 0.001 of the field's largest entry"
    infinite = np.array([[np.inf, 1.0]])
    assert close.differs(np.array([[np.inf, 2.0]]), infinite, 1).tolist() == [[False, True]]


def test_tapes_of_arrays_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = whirl(Fault(fold=1e-4))
    story = run(suite, tmp_path)["divergences"][0]
    monkeypatch.setattr("simlift.verify.suites.get_suite", lambda name: suite)
    again = replay(Path(story["tape"]))
    assert again["mismatches"] == 1 and len(again["steps"][0]["action"]) == 2

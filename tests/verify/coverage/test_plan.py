"""What counts as reached, what a waiver covers, and when it is stale."""

import dataclasses
from pathlib import Path

import pytest

from simlift.verify.coverage import Coverage, CoveragePlan, Source, Waiver, judge
from simlift.verify.suite import SuiteError

TEXT = """\
def f(x):
    if x:
        return 1
    return 2
"""
IF = ("f.py", 2)
REACHED = Coverage(
    {("f.py", line): 1 for line in (2, 3, 4)}, {(*IF, "to line 3"): 1, (*IF, "to line 4"): 1}
)
HALF = Coverage(
    {**REACHED.lines, ("f.py", 4): 0}, {**REACHED.branches, (*IF, "to line 4"): 0}
)  # x was never false
IF_WAIVER = Waiver("f.py", 2, "if x:", "x is never false")
RETURN_WAIVER = Waiver("f.py", 4, "return 2", "x is never false", branches=0)


@pytest.fixture
def plan(tmp_path: Path) -> CoveragePlan:
    (tmp_path / "f.py").write_text(TEXT)
    return CoveragePlan(
        kind="python",
        sources=[Source(name="f.py", path=lambda: tmp_path / "f.py", excluded={"g": "a drawing"})],
    )


def waiving(plan: CoveragePlan, *waivers: Waiver) -> CoveragePlan:
    return dataclasses.replace(plan, waivers=waivers)


def test_everything_reached_holds(plan: CoveragePlan) -> None:
    result = judge(plan, REACHED)
    assert result["holds"]
    assert result["files"]["f.py"] == {
        "branches": {"total": 2, "reached": 2, "waived": 0},
        "lines": {"total": 3, "reached": 3, "waived": 0},
        "unreached": [],
        "waived": [],
        "excluded": {"g": "a drawing"},
        "demanded": True,
    }


def test_what_is_unreached_is_listed_with_its_text(plan: CoveragePlan) -> None:
    result = judge(plan, HALF)
    assert not result["holds"]
    assert result["files"]["f.py"]["unreached"] == [
        {"line": 2, "text": "if x:", "branches": 1, "of": 2},
        {"line": 4, "text": "return 2", "branches": 0, "of": 0},
    ]


def test_where_nothing_is_demanded_only_numbers_are_told(plan: CoveragePlan) -> None:
    source = dataclasses.replace(plan.sources[0], demanded=False)
    result = judge(dataclasses.replace(plan, sources=[source]), HALF)
    file = result["files"]["f.py"]
    assert result["holds"] and file["unreached"] == [] and not file["demanded"]
    assert file["lines"] == {"total": 3, "reached": 2, "waived": 0}


BLOCK_WAIVER = dataclasses.replace(IF_WAIVER, through=3)
NEVER_TRUE = Coverage(
    {**REACHED.lines, ("f.py", 3): 0}, {(*IF, "to line 3"): 0, (*IF, "to line 4"): 1}
)


def test_a_waiver_may_stand_for_the_block_below(plan: CoveragePlan) -> None:
    result = judge(waiving(plan, BLOCK_WAIVER), NEVER_TRUE)
    assert result["holds"]
    file = result["files"]["f.py"]
    assert [row["line"] for row in file["waived"]] == [2, 3] and file["lines"]["waived"] == 1
    assert not judge(waiving(plan, IF_WAIVER), NEVER_TRUE)["holds"]


def test_a_waiver_of_a_block_that_was_reached_is_stale(plan: CoveragePlan) -> None:
    result = judge(waiving(plan, BLOCK_WAIVER), HALF)
    assert not result["holds"]
    assert result["stale"] == ["f.py:2 is waived through 3, [3] were reached: shorten it"]


def test_waived_lines_hold_and_keep_their_reason(plan: CoveragePlan) -> None:
    result = judge(waiving(plan, IF_WAIVER, RETURN_WAIVER), HALF)
    assert result["holds"] and result["stale"] == []
    file = result["files"]["f.py"]
    assert file["branches"] == {"total": 2, "reached": 1, "waived": 1}
    assert file["lines"] == {"total": 3, "reached": 2, "waived": 1}
    assert [row["why"] for row in file["waived"]] == ["x is never false"] * 2


def test_a_waiver_covers_no_more_branches_than_it_says(plan: CoveragePlan) -> None:
    nothing = Coverage({line: 0 for line in HALF.lines}, {branch: 0 for branch in HALF.branches})
    result = judge(waiving(plan, IF_WAIVER, RETURN_WAIVER), nothing)
    assert not result["holds"]
    assert [row["line"] for row in result["files"]["f.py"]["unreached"]] == [2, 3]


def test_a_waiver_of_what_was_reached_is_stale(plan: CoveragePlan) -> None:
    result = judge(waiving(plan, IF_WAIVER, RETURN_WAIVER), REACHED)
    assert not result["holds"]
    assert result["stale"] == [
        "f.py:2 is waived for 1 branches, 0 are unreached: drop it",
        "f.py:4 is waived for 0 branches, 0 are unreached: drop it",
    ]


@pytest.mark.parametrize(
    "waiver",
    [
        Waiver("f.py", 3, "return 2", "moved", branches=0),
        Waiver("f.py", 99, "return 2", "past the end", branches=0),
        Waiver("g.py", 4, "return 2", "no such file", branches=0),
    ],
)
def test_a_waiver_whose_line_moved_is_stale(plan: CoveragePlan, waiver: Waiver) -> None:
    result = judge(waiving(plan, IF_WAIVER, RETURN_WAIVER, waiver), HALF)
    assert not result["holds"]
    (said,) = result["stale"]
    assert "the waiver is for 'return 2'" in said


def test_a_waiver_needs_a_reason() -> None:
    with pytest.raises(SuiteError, match=r"f\.py:2 may only be waived for a reason"):
        Waiver("f.py", 2, "if x:", "")


def test_a_line_is_waived_once(plan: CoveragePlan) -> None:
    with pytest.raises(SuiteError, match=r"waived more than once: f\.py:2"):
        waiving(plan, IF_WAIVER, IF_WAIVER)
    inside = Waiver("f.py", 3, "return 1", "x is never true", branches=0)
    with pytest.raises(SuiteError, match=r"waived more than once: f\.py:3"):
        waiving(plan, BLOCK_WAIVER, inside)


def test_merging_adds_what_either_reached() -> None:
    other = Coverage({("f.py", 4): 5}, {(*IF, "to line 4"): 5})
    merged = HALF | other
    assert merged.lines == {("f.py", 2): 1, ("f.py", 3): 1, ("f.py", 4): 5}
    assert merged.branches == {(*IF, "to line 3"): 1, (*IF, "to line 4"): 5}

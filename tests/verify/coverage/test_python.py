"""Counting in a reference that is Python, and the measurement of its suite."""

import dataclasses
import sys

import numpy as np
import pytest

from simlift.references.core import ReferenceUnavailable
from simlift.verify.compare import Comparison, Difference
from simlift.verify.coverage import collector, measure
from simlift.verify.coverage.measure import resynchronised
from simlift.verify.record import Recording, record_tape
from simlift.verify.suite import SuiteError, Variant

from .lock import CODE, PATH, lock_suite

SUITE = lock_suite()
(VARIANT,) = SUITE.variants
TEXT = [line.strip() for line in PATH.read_text().splitlines()]
FOURTH = TEXT.index("elif self.wheel == 3:") + 1
FIFTH = TEXT.index("elif self.wheel == 4:") + 1
assert SUITE.coverage is not None
PLAN = SUITE.coverage


def recorded(actions: list[int]) -> Recording:
    with SUITE.reference(VARIANT, 1) as reference:
        reference.reset(0)
        return record_tape(reference, np.array(actions)[:, None])


def test_only_replayed_transitions_count() -> None:
    recording = recorded([*CODE[:4]])
    with collector(PLAN, SUITE, VARIANT) as counter:
        reference = counter.reference(1)
        for action in CODE:
            reference.step(np.array([action]))
        assert set(counter.report().lines.values()) == {0}
        counter.replay(recording, np.zeros(recording.action.shape, bool))
        coverage = counter.report()
    assert coverage.lines["lock_upstream.py", FOURTH] == 1
    assert coverage.branches["lock_upstream.py", FOURTH, f"to line {FOURTH + 1}"] == 1
    assert coverage.branches["lock_upstream.py", FOURTH, f"to line {FIFTH}"] == 0
    assert coverage.lines["lock_upstream.py", FIFTH] == 0


def test_excluded_functions_and_module_level_code_do_not_count() -> None:
    with collector(PLAN, SUITE, VARIANT) as counter:
        lines = {line for _, line in counter.report().lines}
    for text in ("class Lock:", "def turn(self, action):", 'return f"at wheel {self.wheel}"'):
        (line,) = [n for n, found in enumerate(TEXT, 1) if found.startswith(text)]
        assert line not in lines
    assert FOURTH in lines


def test_excluding_a_class_excludes_its_methods_and_a_misspelt_name_is_told() -> None:
    for name, message in (("Lock", "has no line of"), ("Look", r"has no functions \['Look'\]")):
        source = dataclasses.replace(PLAN.sources[0], excluded={name: "a test"})
        plan = dataclasses.replace(PLAN, sources=[source])
        with pytest.raises(SuiteError, match=message), collector(plan, SUITE, VARIANT) as counter:
            counter.report()


def test_without_coverage_py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "coverage", None)
    with (
        pytest.raises(ReferenceUnavailable, match=r"pip install 'simlift\[evidence\]'"),
        collector(PLAN, SUITE, VARIANT),
    ):
        pass


def test_measure_reaches_by_the_explorer_what_the_policy_does_not() -> None:
    result = measure(SUITE, 0, explorer_steps=12_000)
    assert result is not None
    assert result["holds"] and result["mismatches"] == 0
    file = result["coverage"]["files"]["lock_upstream.py"]
    assert file["branches"]["total"] == file["branches"]["reached"] == 20
    assert file["unreached"] == []
    last = TEXT.index("if self.wheel == 10:") + 1
    assert f"lock_upstream.py:{last}" in result["explorer"]["added"]
    assert result["content"]["lock"]["opened"] >= 1
    assert result["unused"] == {}
    played = {(row["what"], row["policy"]): row for row in result["played"]}
    assert played.keys() == {("policy", "random"), ("explorer", "")}
    assert sum(row["count"] for row in played.values()) == result["count"]
    assert result["what"] == []


def test_what_is_not_reached_is_listed_and_unused_content_shows() -> None:
    result = measure(SUITE, 0, explorer_steps=0)
    assert result is not None
    assert not result["holds"] and result["mismatches"] == 0
    unreached = result["coverage"]["files"]["lock_upstream.py"]["unreached"]
    assert "right = action == 2" in [row["text"] for row in unreached]
    assert result["unused"] == {"lock": ["opened"]}


def test_a_fault_beyond_random_play_is_found_by_the_explorer_alone() -> None:
    suite = lock_suite(broken=8)
    found: list[tuple[str, int]] = []

    def note(variant: Variant, policy: str, recording: Recording, difference: Difference) -> None:
        step, instance = difference.first()
        found.append((policy, int(recording.snapshots["wheel"][step, instance])))

    result = measure(suite, 0, explorer_steps=12_000, found=note)
    assert result is not None
    assert not result["holds"] and result["mismatches"] > 0
    assert found == [("explorer", 8)]
    # What did not agree does not count as reached.
    assert result["count"] < sum(row["count"] for row in result["played"])


def test_a_suite_without_a_plan_has_nothing_to_measure() -> None:
    assert measure(dataclasses.replace(SUITE, coverage=None), 0) is None


@pytest.mark.parametrize("broken", [-1, 0])
def test_pieces_of_one_size_say_what_the_whole_says(broken: int) -> None:
    """More transitions than a piece holds, and not a multiple of it."""
    suite = lock_suite(broken)
    with SUITE.reference(VARIANT, 7) as reference:
        reference.reset(0)
        actions = np.random.default_rng(0).integers(0, 4, (300, 7))
        recording = record_tape(reference, actions)
    comparison = Comparison.local(suite, VARIANT)
    whole, pieces = comparison.resynchronised(recording), resynchronised(comparison, recording)
    np.testing.assert_array_equal(whole.bad, pieces.bad)
    assert whole.by_field == pieces.by_field
    assert (whole.count > 0) == (broken == 0)

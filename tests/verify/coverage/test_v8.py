"""Counting in live Node.js programs."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from simlift.references.core import ReferenceUnavailable
from simlift.references.process import ProcessReference
from simlift.references.vector import SerialVector
from simlift.verify.coverage import (
    Collector,
    Coverage,
    CoveragePlan,
    Measurement,
    Source,
    collector,
    judge,
)
from simlift.verify.coverage.v8 import Blocks, V8Coverage, blocks_of, utf16_units
from simlift.verify.record import Recording, record_tape
from simlift.verify.suite import SuiteError, Variant

from .lock import lock_suite

NODE = Path(__file__).parents[2] / "references" / "toy" / "gambler.mjs"
NAME = "gambler.mjs"
TEXT = NODE.read_text().splitlines()
VARIANT = Variant("as it is")
PLAN = CoveragePlan(
    kind="v8",
    sources=[
        Source(name=NAME, path=lambda: NODE, excluded={"reset": "not part of these transitions"})
    ],
)


def make(variant: Variant, num_envs: int) -> SerialVector:
    return SerialVector(lambda: ProcessReference(["node", str(NODE)]), num_envs)


SUITE = dataclasses.replace(lock_suite(plan=PLAN), name="gambler", reference=make)
STAKE_NOTHING, STAKE_ONE = 0, 1


def recorded(action: int, steps: int = 2) -> Recording:
    with make(VARIANT, 2) as reference:
        reference.reset(0)
        return record_tape(reference, np.full((steps, 2), action))


def counted(counter: Collector, recording: Recording) -> Coverage:
    counter.replay(recording, np.zeros(recording.action.shape, bool))
    return counter.report()


def unreached(coverage: Coverage) -> set[str]:
    """The text of every line with a block that did not run."""
    return {row["text"] for row in judge(PLAN, coverage)["files"][NAME]["unreached"]}


LOSES = "else this.purse -= stake;"
WINS = 'if (won) this.purse += this.draw("payout", stake) + 1; // up to the stake'
ILLEGAL = 'throw new Refusal("action", `cannot stake ${stake} of ${this.purse}`);'


@pytest.mark.node
def test_only_replayed_transitions_count_and_they_merge() -> None:
    idle, bold = recorded(STAKE_NOTHING), recorded(STAKE_ONE, 12)
    assert len(np.unique(np.sign(np.diff(bold.snapshots["purse"], axis=0)))) > 1, "both outcomes"
    with collector(PLAN, SUITE, VARIANT) as counter:
        reference = counter.reference(2)
        reference.reset(5)
        for _ in range(12):  # not counted
            reference.step(np.full(2, STAKE_ONE))
        first = counted(counter, idle)
        assert {WINS, ILLEGAL} <= unreached(first) and LOSES not in unreached(first)
        (step,) = [n for n, line in enumerate(TEXT, 1) if "const stake = STAKES" in line]
        assert first.lines[NAME, step] == 4
        both = counted(counter, bold)
        assert WINS not in unreached(both) and ILLEGAL in unreached(both)
        assert both.lines[NAME, step] == 4 + 24


@pytest.mark.node
def test_what_one_variant_reached_is_reached_in_the_merger() -> None:
    parts = []
    for recording in (recorded(STAKE_NOTHING), recorded(STAKE_ONE, 12)):
        with collector(PLAN, SUITE, VARIANT) as counter:
            parts.append(counted(counter, recording))
    assert WINS in unreached(parts[0])
    for merged in (parts[0] | parts[1], parts[1] | parts[0]):
        assert WINS not in unreached(merged) and ILLEGAL in unreached(merged)


@pytest.mark.node
def test_a_measurement_merges_variants_as_well() -> None:
    """What only one of them tells apart was reached where another went through all of it."""
    with Measurement(SUITE) as measurement:
        for name, recording in (("a", recorded(STAKE_ONE, 12)), ("b", recorded(STAKE_NOTHING))):
            measurement.add(Variant(name), recording, np.zeros(recording.action.shape, bool))
        merged = measurement.coverage()
    assert isinstance(merged, V8Coverage)
    assert WINS not in unreached(merged) and ILLEGAL in unreached(merged)


@pytest.mark.node
def test_excluded_functions_do_not_count() -> None:
    with collector(PLAN, SUITE, VARIANT) as counter:
        lines = {TEXT[line - 1].strip() for _, line in counted(counter, recorded(0)).lines}
    assert "this.round = 0;" not in lines and "this.round += 1;" in lines
    plan = dataclasses.replace(
        PLAN, sources=[dataclasses.replace(PLAN.sources[0], excluded={"draws": "misspelt"})]
    )
    with (
        pytest.raises(SuiteError, match=r"gambler\.mjs has no functions \['draws'\]"),
        collector(plan, SUITE, VARIANT) as counter,
    ):
        counted(counter, recorded(0))


@pytest.mark.node
def test_a_reference_without_node_programs_is_refused() -> None:
    with (
        pytest.raises(ReferenceUnavailable, match=r"no Node\.js program of the reference"),
        collector(PLAN, lock_suite(plan=PLAN), VARIANT) as counter,
        counter.counting(),
    ):
        pass


def test_without_node_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ReferenceUnavailable, match=r"needs node.*apt-get install nodejs"),
        collector(PLAN, SUITE, VARIANT),
    ):
        pass


def range_of(text: str, part: str, count: int) -> dict[str, int]:
    start = text.index(part)
    return {"startOffset": start, "endOffset": start + len(part), "count": count}


def test_the_innermost_block_counts() -> None:
    text = "function f(x) {\n  if (x) {\n    g();\n  }\n  return 1;\n}\nf(0);\n"
    whole, inner = (
        text[: text.index("\nf(0)")],
        text[text.index("{\n    g") : text.index("\n  ret")],
    )

    def told(outer: int, block: int) -> Blocks:
        ranges = [range_of(text, whole, outer), range_of(text, inner, block)]
        return blocks_of(text, [{"functionName": "f", "ranges": ranges}])

    never, once = V8Coverage({"f.js": told(3, 0)}), V8Coverage({"f.js": told(2, 2)})
    assert never.lines == {("f.js", n): c for n, c in enumerate([3, 3, 0, 0, 3, 3], 1)}
    assert sorted(never.branches.values()) == [0, 3]
    merged = never | once
    assert merged.lines == {("f.js", n): c for n, c in enumerate([5, 5, 2, 2, 5, 5], 1)}
    assert sorted(merged.branches.values()) == [2, 5]


def test_offsets_are_utf16_units() -> None:
    assert len(utf16_units("a🎲b")) == 4
    assert utf16_units("é\n") == "é\n"

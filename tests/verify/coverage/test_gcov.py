"""Counting inside pong.h: compared transitions, and nothing else."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simlift.references.core import ReferenceUnavailable
from simlift.verify.coverage import Coverage, ReplayDiffers, Source, collector, measure
from simlift.verify.coverage.explorer import explore
from simlift.verify.record import Recording, record_policy, record_tape
from simlift.verify.suite import SuiteError
from simlift.verify.suites import get_suite
from simlift.verify.suites.pong_coverage import COVERAGE, content

pytestmark = pytest.mark.reference

SUITE = get_suite("pong")
DISCRETE, SKIPPING = SUITE.variants[:2]
NUM_ENVS = 3
STEP = ("pong.h", 124)  # env->tick += 1, once a step
RESET = ("pong.h", 117)  # reset_round(env), once a reset


def recorded(steps: int = 20) -> Recording:
    with SUITE.reference(DISCRETE, NUM_ENVS) as reference:
        reference.reset(0)
        actions = np.random.default_rng(0).integers(0, 3, (steps, NUM_ENVS))
        return record_tape(reference, actions)


def reached(coverage: Coverage) -> set[tuple[str, int, str]]:
    return {branch for branch, count in coverage.branches.items() if count}


def test_only_replayed_transitions_count() -> None:
    recording = recorded()
    agreed = np.zeros(recording.action.shape, bool)
    with collector(COVERAGE, SUITE, DISCRETE) as counter:
        assert counter.report().lines[STEP] == 0
        reference = counter.reference(NUM_ENVS)
        reference.reset(1)
        reference.step(np.zeros(NUM_ENVS, np.int64))
        assert counter.replay(recording, agreed) == recording.action.size
        reference.step(np.zeros(NUM_ENVS, np.int64))
        coverage = counter.report()
    assert coverage.lines[STEP] == recording.action.size
    assert coverage.lines[RESET] == 0  # the resets before and after were not compared


def test_an_instance_that_did_not_agree_is_left_out() -> None:
    recording = recorded()
    bad = np.zeros(recording.action.shape, bool)
    bad[7, 1] = True
    with collector(COVERAGE, SUITE, DISCRETE) as counter:
        assert counter.replay(recording, bad) == 40
        assert counter.replay(recording, np.ones_like(bad)) == 0
        assert counter.report().lines[STEP] == 40


def test_coverage_of_variants_merges() -> None:
    both = Coverage({}, {})
    alone = []
    for variant in (DISCRETE, SKIPPING):
        with collector(COVERAGE, SUITE, variant) as counter, SUITE.reference(variant, 2) as pong:
            act = SUITE.policies(variant)["random"]
            _, _, recording = next(record_policy(SUITE, pong, act, 0, 128, 1))
            counter.replay(recording, np.zeros(recording.action.shape, bool))
            alone.append(reached(counter.report()))
            both = counter.report() | both
    assert reached(both) == alone[0] | alone[1]
    assert both.lines[STEP] == 2 * 128 * 2


def test_the_instrumented_build_must_play_the_same() -> None:
    recording = recorded()
    observation = recording.outcome.observation.copy()
    observation[4, 1, 2] = np.nextafter(observation[4, 1, 2], np.float32(1))
    outcome = dataclasses.replace(recording.outcome, observation=observation)
    changed = dataclasses.replace(recording, outcome=outcome)
    with (
        collector(COVERAGE, SUITE, DISCRETE) as counter,
        pytest.raises(ReplayDiffers, match="observation of step 4 is not what was recorded"),
    ):
        counter.replay(changed, np.zeros(recording.action.shape, bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"excluded": {"c_draw": "is not there"}}, r"pong\.h has no functions \['c_draw'\]"),
        ({"path": lambda: Path(__file__)}, r"has no line of \['pong\.h'\]"),
    ],
)
def test_a_source_that_is_not_there_is_named(change: dict[str, object], message: str) -> None:
    source: Source = dataclasses.replace(COVERAGE.sources[0], **change)  # type: ignore[arg-type]
    plan = dataclasses.replace(COVERAGE, sources=[source])
    with pytest.raises(SuiteError, match=message), collector(plan, SUITE, DISCRETE) as counter:
        counter.report()


def test_without_gcov_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        pytest.raises(ReferenceUnavailable, match=r"needs gcov.*apt-get install gcc"),
        collector(COVERAGE, SUITE, DISCRETE),
    ):
        pass


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Counters are written where they are read, and not once more when the process ends."""
    script = (
        "from simlift.verify.coverage import collector\n"
        "from simlift.verify.suites import get_suite\n"
        "from simlift.references.fetch import cache_dir\n"
        "suite = get_suite('pong')\n"
        "with collector(suite.coverage, suite, suite.variants[0]) as counter:\n"
        "    counter.report()\n"
        "build = cache_dir() / 'build'\n"
        "print(build, *sorted(path.name for path in build.iterdir()), sep='\\n')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    build, *before = ran.stdout.splitlines()
    assert {path.name for path in Path(build).iterdir()} <= {*before}
    assert list(tmp_path.iterdir()) == [] and ran.stderr == ""


def test_the_explorers_tapes_play_on_the_ordinary_reference() -> None:
    explored = explore(SUITE, SKIPPING, 0, 4096)
    (recording,) = explored.recordings
    assert explored.cells > 10 and recording.num_envs > 5
    with collector(COVERAGE, SUITE, SKIPPING) as counter:
        counter.replay(recording, np.zeros(recording.action.shape, bool))
        branches = reached(counter.report())
    assert {line for _, line, _ in branches} >= {161, 190}  # a wall, the agent's side


def test_every_branch_of_pong_is_reached_or_waived() -> None:
    """Two of the variants suffice; between them they have both kinds of actions."""
    suite = dataclasses.replace(SUITE, variants=[SKIPPING, SUITE.variants[-1]])
    result = measure(suite, 0, explorer_steps=8192)
    assert result is not None
    assert result["holds"] and result["mismatches"] == 0
    file = result["coverage"]["files"]["pong.h"]
    assert file["branches"]["reached"] == file["branches"]["total"] - 1 > 20
    assert [row["text"] for row in file["waived"]] == ["} else if (act == 2.0) { // down"]
    assert file["lines"]["reached"] == file["lines"]["total"]
    assert result["content"]["game"].keys() == {"won", "lost"}
    assert min(result["content"]["serve"].values()) > 0
    explored = result["explorer"]["variants"][SKIPPING.name]
    assert explored["steps"] == 8192 and explored["tapes"] > 5


def test_content_adds_up() -> None:
    recording = recorded(600)
    used = content(recording)
    assert sum(used["paddle"].values()) == recording.action.size
    assert used["paddle"]["still"] == (recording.action == 0).sum()
    points = (np.abs(recording.outcome.reward) == 1).sum()
    assert sum(used["point"].values()) == points == sum(used["serve"].values()) > 0
    assert used["hit"]["agent"] == (recording.outcome.reward == np.float32(0.1)).sum() > 0
    assert used["game"] == {"won": 0, "lost": 0}

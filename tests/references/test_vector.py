"""Batches of single references: of programs, which overlap, and of objects in this process."""

import dataclasses
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.references.core import (
    Draw,
    DrawLog,
    Outcome,
    Reference,
    Snapshot,
    SnapshotRefused,
    TapeError,
)
from simlift.references.process import ProcessFailed, ProcessReference
from simlift.references.vector import SerialVector, instance_seed, next_seed

GAMBLER = ["node", str(Path(__file__).parent / "toy" / "gambler.mjs")]
NUM_ENVS = 3

needs_node = pytest.mark.node


def make_gambler() -> ProcessReference:
    return ProcessReference(GAMBLER)


@pytest.fixture
def gamblers() -> Iterator[SerialVector]:
    with SerialVector(make_gambler, NUM_ENVS) as reference:
        yield reference


def random_legal(legal: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.array([generator.choice(np.flatnonzero(row)) for row in legal])


Trajectory = list[tuple[np.ndarray, Outcome, DrawLog]]


def play(reference: SerialVector, legal: np.ndarray, steps: int) -> Trajectory:
    """Random legal actions, through the ends of episodes."""
    generator = np.random.default_rng(0)
    trajectory = []
    for _ in range(steps):
        actions = random_legal(legal, generator)
        outcome = reference.step(actions)
        trajectory.append((actions, outcome, reference.draws()))
        assert outcome.legal is not None
        legal = outcome.legal
    assert any(o.terminated.any() for _, o, _ in trajectory), "too few steps to see an end"
    return trajectory


def assert_same(left: Any, right: Any) -> None:
    """Two dataclasses of arrays agree, entries past `count` and all."""
    for field in dataclasses.fields(left):
        np.testing.assert_array_equal(getattr(left, field.name), getattr(right, field.name))


@needs_node
def test_batch_is_the_single_ones_side_by_side(gamblers: SerialVector) -> None:
    outcome = gamblers.reset(4)
    assert outcome.legal is not None
    trajectory = play(gamblers, outcome.legal, 40)
    for i in range(NUM_ENVS):
        seed = instance_seed(4, i)
        with make_gambler() as single:
            single.reset(seed)
            for actions, batch, log in trajectory:
                one = single.step(actions[i])
                draws = single.draws()
                assert log.step_count is not None and log.step_count[i] == len(draws)
                np.testing.assert_array_equal(batch.reward[i], one.reward)
                np.testing.assert_array_equal(batch.terminated[i], one.terminated)
                np.testing.assert_array_equal(batch.truncated[i], one.truncated)
                assert batch.final_observation is not None
                np.testing.assert_array_equal(batch.final_observation[i], one.observation)
                if one.terminated or one.truncated:
                    seed = next_seed(seed)
                    one = single.reset(seed)
                    draws += single.draws()
                assert batch.legal is not None and one.legal is not None
                np.testing.assert_array_equal(batch.observation[i], one.observation)
                np.testing.assert_array_equal(batch.legal[i], one.legal)
                assert log.count[i] == len(draws) and log.bound is not None
                assert draws == [
                    Draw(site=gamblers.draw_sites[site], bound=bound, value=value)
                    for site, bound, value in itertools.islice(
                        zip(log.site[i], log.bound[i], log.value[i], strict=True), len(draws)
                    )
                ]


@needs_node
def test_shapes_and_dtypes_of_a_batch(gamblers: SerialVector) -> None:
    outcome, log = gamblers.reset(0), gamblers.draws()
    assert outcome.observation.shape == (NUM_ENVS, 3)
    assert outcome.reward.shape == (NUM_ENVS,) and outcome.reward.dtype == np.float32
    assert outcome.terminated.dtype == outcome.truncated.dtype == bool
    assert outcome.legal is not None and outcome.legal.shape == (NUM_ENVS, 4)
    assert log.count.dtype == np.int32 and log.count.tolist() == [1] * NUM_ENVS
    assert log.site.dtype == np.int16 and log.value.dtype == np.int64
    assert log.site.shape == log.value.shape == (NUM_ENVS, 1)
    assert log.step_count is not None and log.step_count.tolist() == [0] * NUM_ENVS


@needs_node
def test_restored_batch_continues_as_the_original_through_resets(gamblers: SerialVector) -> None:
    gamblers.reset(1)
    outcome = gamblers.step(np.ones(NUM_ENVS, int))
    snapshot = gamblers.snapshot()
    assert snapshot["episode_seed"].tolist() == [instance_seed(1, i) for i in range(NUM_ENVS)]
    assert snapshot["purse"].shape == (NUM_ENVS,) and snapshot["fingerprint"].dtype == np.uint64
    assert outcome.legal is not None
    first = play(gamblers, outcome.legal, 40)
    gamblers.restore(snapshot)
    for (_, left, left_log), (_, right, right_log) in zip(
        first, play(gamblers, outcome.legal, 40), strict=True
    ):
        assert_same(left, right)
        assert_same(left_log, right_log)


@needs_node
def test_forced_log_gives_the_same_game_whatever_the_seed(gamblers: SerialVector) -> None:
    outcome, log = gamblers.reset(2), gamblers.draws()
    assert outcome.legal is not None
    first = play(gamblers, outcome.legal, 40)
    gamblers.force(log)
    assert_same(gamblers.reset(3), outcome)
    for actions, expected, log in first:
        gamblers.force(log)
        assert_same(gamblers.step(actions), expected)
        assert_same(gamblers.draws(), log)


def tape(rows: Sequence[Sequence[tuple[int, int, int]]], step_count: Sequence[int]) -> DrawLog:
    """A log out of a row of (site, bound, value) for each instance."""
    padded = np.zeros((len(rows), max(map(len, rows)), 3), np.int64)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = np.reshape(row, (-1, 3))
    return DrawLog(
        count=np.array([len(row) for row in rows], np.int32),
        site=padded[..., 0].astype(np.int8),
        bound=padded[..., 1],
        value=padded[..., 2],
        step_count=np.array(step_count, np.int32),
    )


PURSE, TOSS, PAYOUT = range(3)
LOSE = (TOSS, 100, 99)


@needs_node
def test_draw_for_a_reset_that_does_not_come_names_the_site(gamblers: SerialVector) -> None:
    gamblers.reset(0)
    rows = [[LOSE], [LOSE, (PURSE, 5, 2)], [LOSE]]
    gamblers.force(tape(rows, [1] * NUM_ENVS))
    with pytest.raises(TapeError, match=r"site 'purse' was not consumed.* instance 1 goes on"):
        gamblers.step(np.ones(NUM_ENVS, int))


@needs_node
def test_reset_that_the_tape_does_not_foresee_names_the_site(gamblers: SerialVector) -> None:
    gamblers.force(tape([[(PURSE, 5, 0)]] * NUM_ENVS, [0] * NUM_ENVS))
    gamblers.reset(0)
    gamblers.force(tape([[LOSE]] * NUM_ENVS, [1] * NUM_ENVS))
    with pytest.raises(TapeError, match="site 'purse': the tape ends"):
        gamblers.step(np.full(NUM_ENVS, 3))
    gamblers.reset(0)
    gamblers.step(np.zeros(NUM_ENVS, int))


@needs_node
def test_one_refused_action_leaves_the_others_in_step(gamblers: SerialVector) -> None:
    gamblers.force(tape([[(PURSE, 5, 0)]] * NUM_ENVS, [0] * NUM_ENVS))
    gamblers.reset(0)
    gamblers.force(tape([[LOSE]] * NUM_ENVS, [1] * NUM_ENVS))
    gamblers.step(np.full(NUM_ENVS, 2))
    with pytest.raises(ValueError, match="cannot stake 3 of 1"):
        gamblers.step(np.array([0, 3, 0]))
    assert gamblers.snapshot()["round"].tolist() == [2, 1, 2]


@needs_node
@pytest.mark.parametrize(
    ("actions", "complaint"),
    [
        (np.zeros(NUM_ENVS + 1, int), r"shape \(4,\), expected \(3,\)"),
        (np.zeros(NUM_ENVS), "expected integers"),
        (np.full(NUM_ENVS, 4), r"outside 0 \.\. 3"),
    ],
)
def test_actions_of_wrong_shape_dtype_or_range_change_nothing(
    gamblers: SerialVector, actions: np.ndarray, complaint: str
) -> None:
    gamblers.reset(0)
    with pytest.raises(ValueError, match=complaint):
        gamblers.step(actions)
    assert gamblers.snapshot()["round"].tolist() == [0] * NUM_ENVS


@needs_node
def test_snapshot_of_another_batch_size_is_an_error(gamblers: SerialVector) -> None:
    gamblers.reset(0)
    snapshot = {name: field[:2] for name, field in gamblers.snapshot().items()}
    with pytest.raises(ValueError, match="expected a leading axis of 3"):
        gamblers.restore(snapshot)


@needs_node
def test_failed_program_is_reported_once_the_others_have_answered(gamblers: SerialVector) -> None:
    gamblers.reset(0)
    broken = gamblers._instances[1]
    assert isinstance(broken, ProcessReference) and broken._child is not None
    broken._child._process.kill()
    with pytest.raises(ProcessFailed, match="SIGKILL"):
        gamblers.step(np.zeros(NUM_ENVS, int))
    others = [gamblers._instances[i].snapshot()["round"] for i in (0, 2)]
    assert others == [1, 1]


RENDEZVOUS = """
import json, os, sys, time
for line in sys.stdin:
    request = json.loads(line)
    answer = {"id": request["id"], "observation": [0]}
    if request["verb"] == "hello":
        answer |= {"protocol": 1, "name": "rendezvous", "version": "1", "action": {"n": 1},
                   "observation": {"shape": [1], "dtype": "int32"}}
    if request["verb"] == "step":
        open(str(os.getpid()), "w").close()
        while len(os.listdir()) < 2:
            time.sleep(0.001)
    print(json.dumps(answer), flush=True)
"""


def test_programs_of_a_batch_compute_at_the_same_time(tmp_path: Path) -> None:
    """Each waits within its step for the other one to have begun its own."""
    command = [sys.executable, "-c", RENDEZVOUS]
    with SerialVector(lambda: ProcessReference(command, cwd=tmp_path), 2) as reference:
        reference.reset(0)
        assert reference.step(np.zeros(2, int)).observation.tolist() == [[0], [0]]


# -- references that are objects in this process ---------------------------------------------------


class Countdown(Reference):
    """Counts down from its seed's last digit plus one; draws the amount, below 3."""

    name, version = "countdown", "1"
    draw_sites, draw_bounds = ("amount",), (3,)
    built = closed = 0

    def __init__(self, *, auto_reset: bool = False) -> None:
        type(self).built += 1
        self.auto_reset = auto_reset
        self.left = 0
        self.drawn: list[Draw] = []

    def outcome(self) -> Outcome:
        return Outcome(
            observation=np.array([self.left]),
            reward=np.float32(0),  # type: ignore[arg-type]
            terminated=np.array(self.left == 0),
            truncated=np.array(False),
        )

    def reset(self, seed: int) -> Outcome:
        self.generator = np.random.default_rng(seed)
        self.left, self.drawn = seed % 10 + 1, []
        return self.outcome()

    def step(self, action: Any) -> Outcome:
        amount = int(self.generator.integers(3))
        self.drawn = [Draw(site="amount", bound=3, value=amount)]
        self.left = max(0, self.left - amount)
        outcome = self.outcome()
        if self.left == 0 and self.auto_reset:
            self.left = 10
            return dataclasses.replace(outcome, observation=np.array([self.left]))
        return outcome

    def draws(self) -> list[Draw]:
        return list(self.drawn)

    def snapshot(self) -> Snapshot:
        return {"path": np.zeros(self.left)}

    def close(self) -> None:
        type(self).closed += 1


def test_batch_of_plain_references_resets_the_finished_ones() -> None:
    with SerialVector(Countdown, 4) as reference:
        outcome = reference.reset(0)
        seeds = [instance_seed(0, i) for i in range(4)]
        assert outcome.observation[:, 0].tolist() == [seed % 10 + 1 for seed in seeds]
        assert outcome.legal is None
        for _ in range(20):
            outcome = reference.step(np.zeros(4, int))
            for i in np.flatnonzero(outcome.terminated):
                seeds[i] = next_seed(seeds[i])
                assert outcome.observation[i, 0] == seeds[i] % 10 + 1
                assert outcome.final_observation is not None
                assert outcome.final_observation[i, 0] == 0
        assert seeds != [instance_seed(0, i) for i in range(4)]


def test_reference_with_its_own_auto_reset_is_left_alone() -> None:
    with SerialVector(lambda: Countdown(auto_reset=True), 2) as reference:
        reference.reset(0)
        outcomes = [reference.step(np.zeros(2, int)) for _ in range(20)]
        ends = [outcome for outcome in outcomes if outcome.terminated.any()]
        assert ends and all((end.observation[end.terminated] == 10).all() for end in ends)
        assert all(outcome.final_observation is None for outcome in outcomes)
        assert reference.draws().step_count is None


def test_snapshot_whose_fields_vary_in_shape_is_refused() -> None:
    with SerialVector(Countdown, 4) as reference:
        reference.reset(0)
        with pytest.raises(SnapshotRefused, match=r"field path has the shapes .* pad it"):
            reference.snapshot()


def test_forcing_what_cannot_be_forced_is_refused() -> None:
    with SerialVector(Countdown, 1) as reference:
        reference.reset(0)
        reference.force(tape([[(0, 3, 1)]], [1]))
        with pytest.raises(TapeError, match="its own generator only"):
            reference.step(np.zeros(1, int))


def test_instances_made_before_a_failure_are_closed() -> None:
    class Scarce(Countdown):
        built = closed = 0

        def __init__(self) -> None:
            if type(self).built == 2:
                raise OSError("no more")
            super().__init__()

    with pytest.raises(OSError, match="no more"):
        SerialVector(Scarce, 3)
    assert Scarce.closed == 2


def test_batch_size_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SerialVector(Countdown, 0)


def test_seeds_differ_between_instances_and_episodes_and_fit_a_javascript_number() -> None:
    seeds = [instance_seed(seed, i) for seed in range(10) for i in range(100)]
    seeds += [next_seed(seed) for seed in seeds]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**53 for seed in seeds)

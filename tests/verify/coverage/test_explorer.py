"""The explorer reaches what random play does not."""

import dataclasses

import numpy as np
import pytest

from simlift.references.core import Outcome, Snapshot
from simlift.verify.coverage import explore
from simlift.verify.suite import SuiteError

from .lock import CODE, NUM_ACTIONS, PLAN, lock_suite
from .lock_upstream import Lock

SUITE = lock_suite()
(VARIANT,) = SUITE.variants
SEEDS = range(3)
STEPS = 12_000


@pytest.mark.parametrize("seed", SEEDS)
def test_random_play_does_not_open_the_lock(seed: int) -> None:
    lock, actions = Lock(), np.random.default_rng(seed).integers(0, NUM_ACTIONS, 100_000)
    assert not any([lock.turn(action) for action in actions.tolist()])


@pytest.mark.parametrize("seed", SEEDS)
def test_the_explorer_opens_it_in_fewer_steps(seed: int) -> None:
    explored = explore(SUITE, VARIANT, seed, STEPS)
    assert STEPS <= explored.steps < 1.1 * STEPS
    (recording,) = explored.recordings
    assert recording.outcome.terminated.any()
    assert set(recording.snapshots["wheel"].ravel()) == set(range(len(CODE)))


def test_the_same_seed_finds_the_same_tapes() -> None:
    one, two, other = (explore(SUITE, VARIANT, seed, 1000).recordings[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(one.action, two.action)
    assert one.action.tobytes() != other.action.tobytes()


def test_cells_may_be_the_plans_own() -> None:
    def cell(snapshot: Snapshot, outcome: Outcome) -> np.ndarray:
        return snapshot["wheel"]

    suite = lock_suite(plan=dataclasses.replace(PLAN, cell=cell))
    explored = explore(suite, VARIANT, 0, STEPS, num_envs=4)
    assert explored.cells == len(CODE)


def test_a_reference_whose_steps_tell_no_arcs_is_refused() -> None:
    suite = lock_suite(plan=dataclasses.replace(PLAN, kind="v8"))
    with pytest.raises(SuiteError, match=r"v8 tells no arcs of a single step.*`cell`"):
        explore(suite, VARIANT, 0, 100)

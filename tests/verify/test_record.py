"""Recordings: what the reference did, whole, in order, and without seams."""

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from simlift.references.core import DrawLog, Outcome
from simlift.verify.record import Recording, record_policy, record_tape
from simlift.verify.suite import SuiteError
from simlift.verify.suites import get_suite

pytestmark = pytest.mark.reference

SUITE = get_suite("pong")
VARIANT = SUITE.variants[0]


def chunks(num_steps: int, stop_after: int = 1) -> Iterator[tuple[Outcome, DrawLog, Recording]]:
    policy = SUITE.policies(VARIANT)["random"]
    reference = SUITE.reference(VARIANT, 3)
    return record_policy(SUITE, reference, policy, 5, num_steps, stop_after)


def arrays(recording: Recording) -> dict[str, np.ndarray]:
    """Everything along time, by name."""
    outcome = {
        field.name: value
        for field in dataclasses.fields(recording.outcome)
        if (value := getattr(recording.outcome, field.name)) is not None
    }
    log = recording.draws
    used = np.arange(log.value.shape[-1]) < log.count[..., None]
    after = {f"after.{name}": value[1:] for name, value in recording.snapshots.items()}
    values = {"draws": np.where(used, log.value, -1), "count": log.count}
    return {"action": recording.action, **outcome, **values, **after}


def test_chunks_continue_seamlessly() -> None:
    recordings = [recording for _, _, recording in chunks(100)]
    for before, after in itertools.pairwise(recordings):
        for name in before.snapshots:
            np.testing.assert_array_equal(before.snapshots[name][-1], after.snapshots[name][0])
    whole = next(chunks(100 * len(recordings)))[2]
    joined = [arrays(recording) for recording in recordings]
    for name, value in arrays(whole).items():
        np.testing.assert_array_equal(np.concatenate([part[name] for part in joined]), value)


def test_recording_goes_on_until_every_instance_has_finished() -> None:
    ended = [recording.outcome.terminated.sum(0) for _, _, recording in chunks(64, stop_after=2)]
    assert np.sum(ended, 0).min() >= 2
    assert np.sum(ended[:-1], 0).min() < 2


def test_shapes_are_time_by_instance() -> None:
    first, draws, recording = next(chunks(10))
    assert first.observation.shape == (3, 8) and draws.count.tolist() == [1, 1, 1]
    assert (recording.num_steps, recording.num_envs) == (10, 3)
    assert recording.outcome.observation.shape == (10, 3, 8)
    assert all(value.shape[:2] == (11, 3) for value in recording.snapshots.values())


def test_instance_cuts_out_the_very_steps() -> None:
    recording = next(chunks(50))[2]
    part = recording.instance(1, 20, 30)
    assert (part.num_steps, part.num_envs) == (10, 1)
    for name, value in arrays(part).items():
        np.testing.assert_array_equal(value, arrays(recording)[name][20:30, 1:2])
    np.testing.assert_array_equal(
        part.snapshots["ball_x"], recording.snapshots["ball_x"][20:31, 1:2]
    )


def test_a_tape_replays_what_was_recorded() -> None:
    recording = next(chunks(300))[2]
    reference = SUITE.reference(VARIANT, 3)
    reference.restore({name: value[0] for name, value in recording.snapshots.items()})
    replayed = record_tape(reference, recording.action)
    for name, value in arrays(replayed).items():
        np.testing.assert_array_equal(value, arrays(recording)[name])


def test_a_field_missing_from_the_table_stops_the_recording() -> None:
    fields = {name: field for name, field in SUITE.fields.items() if name != "n_bounces"}
    suite = dataclasses.replace(SUITE, fields=fields)
    policy = SUITE.policies(VARIANT)["random"]
    with pytest.raises(SuiteError, match="n_bounces"):
        next(record_policy(suite, SUITE.reference(VARIANT, 1), policy, 0, 8, 1))

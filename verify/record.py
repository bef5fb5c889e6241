"""Playing the reference once, and writing down all that it did."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from ..references.core import DrawLog, Outcome, Snapshot, VectorReference
from .suite import Policy, Suite

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """T consecutive steps of B instances. Auto-resets happen inside, as upstream does them.

    snapshots: every field of the reference, [T + 1, B, ...], the state before step t at index t;
    final: likewise after step t, before an auto-reset, [T, B, ...], None where the reference does
    not show it. action [T, B]; outcome: arrays [T, B, ...]; draws: DrawLog of arrays [T, B, ...].
    """

    snapshots: dict[str, np.ndarray]
    action: np.ndarray
    outcome: Outcome
    draws: DrawLog
    final: dict[str, np.ndarray] | None = None

    @property
    def num_steps(self) -> int:
        return self.action.shape[0]

    @property
    def num_envs(self) -> int:
        return self.action.shape[1]

    @property
    def num_transitions(self) -> int:
        return self.num_steps * self.num_envs

    def at(self, step: int) -> dict[str, np.ndarray]:
        """The reference's fields [B, ...] before step `step`."""
        return {name: value[step] for name, value in self.snapshots.items()}

    def add_to(self, digest: Any) -> None:
        """Feed a hashlib digest with what was done and what the reference showed."""
        shown = self.outcome
        for x in (self.action, shown.observation, shown.reward, shown.terminated, shown.truncated):
            digest.update(np.ascontiguousarray(x).data)

    def until(self, step: int) -> "Recording":
        """The steps before `step`; itself where it has no more."""
        return self if step >= self.num_steps else self._part(slice(None), 0, max(0, step))

    def instance(self, index: int, start: int, stop: int) -> "Recording":
        """Steps start .. stop - 1 of one instance, as a recording with B = 1."""
        return self._part(slice(index, index + 1), start, stop)

    def _part(self, which: slice, start: int, stop: int) -> "Recording":
        outcome = {
            field.name: None if value is None else value[start:stop, which]
            for field in dataclasses.fields(self.outcome)
            for value in [getattr(self.outcome, field.name)]
        }
        return Recording(
            snapshots={k: v[start : stop + 1, which] for k, v in self.snapshots.items()},
            action=self.action[start:stop, which],
            outcome=Outcome(**outcome),  # type: ignore[arg-type]
            draws=map_log(self.draws, lambda x: x[start:stop, which]),
            final=self.final and {k: v[start:stop, which] for k, v in self.final.items()},
        )


def record_tape(reference: VectorReference, actions: np.ndarray) -> Recording:
    """Step the reference from where it stands through `actions` [T, B]."""
    tape = iter(actions)
    return record(reference, len(actions), lambda: next(tape))


def record_policy(
    suite: Suite,
    reference: VectorReference,
    policy: Policy,
    seed: int,
    num_steps: int,
    stop_after: int,
) -> Iterator[tuple[Outcome, DrawLog, Recording]]:
    """Recordings of `num_steps` steps until every instance has finished `stop_after` episodes.

    Yields (outcome of the reset, its draws, recording); the first two are the same each time.
    """
    generator = np.random.default_rng(seed)
    first = reference.reset(seed)
    first_draws = reference.draws()
    suite.check_total(reference.snapshot())
    finished = np.zeros(reference.num_envs, np.int64)
    last: list[tuple[Outcome, Snapshot]] = [(first, reference.snapshot())]

    def act() -> np.ndarray:
        return policy(generator, *last[-1])

    def note(outcome: Outcome, snapshot: Snapshot) -> None:
        last[:] = [(outcome, snapshot)]

    while finished.min() < stop_after:
        recording = record(reference, num_steps, act, note)
        finished += (recording.outcome.terminated | recording.outcome.truncated).sum(0)
        yield first, first_draws, recording


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one made while the last one is used."""
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, None)
        while (item := following.result()) is not None:
            following = thread.submit(next, items, None)
            yield item


def record(
    reference: VectorReference,
    num_steps: int,
    act: Callable[[], np.ndarray],
    note: Callable[[Outcome, Snapshot], None] | None = None,
) -> Recording:
    """Step the reference from where it stands: `act` before each step, `note` after it."""
    rows: list[tuple[np.ndarray, Outcome, DrawLog]] = []
    snapshots, finals = [reference.snapshot()], []
    for _ in range(num_steps):
        action = act()
        outcome = reference.step(action)
        rows.append((np.array(action), outcome, reference.draws()))
        snapshots.append(reference.snapshot())
        finals.append(_before_a_reset(reference, outcome, snapshots[-1]))
        if note is not None:
            note(outcome, snapshots[-1])
    outcomes = [outcome for _, outcome, _ in rows]
    legal = [outcome.legal for outcome in outcomes]
    final = [outcome.final_observation for outcome in outcomes]
    return Recording(
        snapshots=_stacked(snapshots),
        action=np.stack([action for action, _, _ in rows]),
        outcome=Outcome(
            observation=np.stack([outcome.observation for outcome in outcomes]),
            reward=np.stack([outcome.reward for outcome in outcomes]),
            terminated=np.stack([outcome.terminated for outcome in outcomes]),
            truncated=np.stack([outcome.truncated for outcome in outcomes]),
            legal=None if legal[0] is None else np.stack(legal),  # type: ignore[arg-type]
            final_observation=None if final[0] is None else np.stack(final),  # type: ignore[arg-type]
        ),
        draws=stack_draws([draws for _, _, draws in rows]),
        final=None if any(x is None for x in finals) else _stacked(finals),  # type: ignore[arg-type]
    )


def _before_a_reset(reference: VectorReference, outcome: Outcome, now: Snapshot) -> Snapshot | None:
    """Every field after a step, before an auto-reset, [B, ...]; None where that is not shown."""
    ended = outcome.terminated | outcome.truncated
    if not ended.any():
        return now
    last = reference.final_snapshot()
    if last is None:
        return None
    shaped = {name: ended.reshape(-1, *[1] * (x.ndim - 1)) for name, x in now.items()}
    return {name: np.where(shaped[name], last[name], value) for name, value in now.items()}


def _stacked(snapshots: Sequence[Snapshot]) -> dict[str, np.ndarray]:
    return {name: np.stack([snapshot[name] for snapshot in snapshots]) for name in snapshots[0]}


def stack_draws(logs: Sequence[DrawLog]) -> DrawLog:
    """Logs [B, K] of several calls as one [T, B, K], padded to the widest."""
    width = max(log.site.shape[1] for log in logs)

    def padded(x: np.ndarray) -> np.ndarray:
        return x if x.ndim == 1 else np.pad(x, [(0, 0), (0, width - x.shape[1])])

    names = [field.name for field in dataclasses.fields(DrawLog)]
    columns = {name: [getattr(log, name) for log in logs] for name in names}
    stacked: dict[str, Any] = {
        name: None if any(x is None for x in column) else np.stack([padded(x) for x in column])
        for name, column in columns.items()
    }
    return DrawLog(**stacked)


def calls_of(log: DrawLog) -> DrawLog:
    """A log of [T, B] calls as one of T * B."""
    axes = log.count.ndim
    return map_log(log, lambda x: x.reshape(log.count.size, *x.shape[axes:]))


def map_log(log: DrawLog, function: Callable[[np.ndarray], np.ndarray]) -> DrawLog:
    """A log whose arrays are what the function makes of them."""
    values = {field.name: getattr(log, field.name) for field in dataclasses.fields(DrawLog)}
    return DrawLog(**{name: None if x is None else function(x) for name, x in values.items()})  # type: ignore[arg-type]

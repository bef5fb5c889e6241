"""Going after what the policies do not reach: an archive of states, one for each kind of step.

As in Go-Explore: a cell is what a step took in the reference's source; take a rare one, restore the
reference there, act at random for a while, and keep whatever was never seen. The tapes that showed
something new are then played on the ordinary reference, to be compared like any other recording.
"""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...references.core import Outcome, Snapshot
from ..record import Recording, record_tape
from ..suite import Policy, Suite, Variant, derive_seed
from .arcs import Cells, cells_of

NUM_ENVS = 32
BUDGET_STEPS = 20_000  # of one variant
BURST = 16  # steps from one restored state
HOLD = (0.0, 0.5, 0.9)  # how likely an action is repeated, one of these for each burst
WAYS = (0.25, 0.25, 0.5)  # how likely a burst starts after a cell, before it, or goes on
RESET = "reset"  # the cell of every state that a reset gives
CHUNK = 1024  # tapes in one recording


@dataclasses.dataclass
class Entry:
    """One cell of the archive: where one such step was taken from, and where it led to."""

    before: "Point"
    after: "Point"
    seen: int = 0


class Point(NamedTuple):
    """A state of the reference, and what it showed last; of one instance, or of a batch."""

    snapshot: Snapshot
    outcome: Outcome

    def row(self, i: int) -> "Point":
        outcome = {
            field.name: None if value is None else value[i].copy()
            for field in dataclasses.fields(Outcome)
            for value in [getattr(self.outcome, field.name)]
        }
        snapshot = {name: value[i].copy() for name, value in self.snapshot.items()}
        return Point(snapshot, Outcome(**outcome))  # type: ignore[arg-type]


@dataclasses.dataclass(frozen=True)
class Explored:
    """recordings: of the ordinary reference, every instance a tape [BURST] that showed something
    new; cells: how many kinds of steps were seen; steps: how many the search took."""

    recordings: list[Recording]
    cells: int
    steps: int


class Explorer:
    """The search itself; `archive` grows with each `burst`."""

    def __init__(self, suite: Suite, cells: Cells, policy: Policy, seed: int) -> None:
        self.cells, self.policy = cells, policy
        self.generator = np.random.default_rng(seed)
        self.archive: dict[Hashable, Entry] = {}
        self.tapes: list[tuple[Snapshot, np.ndarray]] = []
        outcome = cells.reference.reset(seed)
        start = Point(cells.reference.snapshot(), outcome)
        suite.check_total(start.snapshot)
        for i in range(cells.reference.num_envs):
            self._keep(RESET, start, start, i)
        self.last = start

    def burst(self) -> int:
        """Go somewhere, act, keep what is new. Returns the number of steps taken."""
        reference = self.cells.reference
        start = point = self._choose(reference.num_envs)
        reference.restore(start.snapshot)
        hold = self.generator.choice(HOLD, reference.num_envs)
        new = np.zeros(reference.num_envs, bool)
        actions: list[np.ndarray] = []
        for _ in range(BURST):
            actions.append(self._act(point, actions, hold))
            outcome, snapshot, cells = self.cells.step(actions[-1])
            before, point = point, Point(snapshot, outcome)
            for i, cell in enumerate(cells):
                new[i] |= self._keep(cell, before, point, i)
        self.last = point
        taken = np.stack(actions)
        for i in np.flatnonzero(new).tolist():
            self.tapes.append((start.row(i).snapshot, taken[:, i]))
        return taken.shape[0] * taken.shape[1]

    def _choose(self, count: int) -> Point:
        entries = list(self.archive.values())
        rarity = 1 / np.array([entry.seen for entry in entries])
        # Half of all goes to every cell alike: a common one is where most of the game happens.
        chance = (rarity / rarity.sum() + 1 / len(entries)) / 2
        chosen = [entries[i] for i in self.generator.choice(len(entries), count, p=chance)]
        # On from the cell, or there once more with other actions, or on from the last burst: what
        # takes long to reach is seldom near a state of the archive.
        way = self.generator.choice(3, count, p=WAYS)
        points = [
            (entry.after, entry.before, self.last.row(i))[way[i]] for i, entry in enumerate(chosen)
        ]
        return Point(
            _stack([point.snapshot for point in points]),
            _stack_outcomes([point.outcome for point in points]),
        )

    def _act(self, point: Point, before: Sequence[np.ndarray], hold: np.ndarray) -> np.ndarray:
        fresh, outcome = self.policy(self.generator, point.outcome, point.snapshot), point.outcome
        if not before:
            return fresh
        held = self.generator.random(len(fresh)) < hold
        if outcome.legal is not None:
            legal = np.take_along_axis(outcome.legal, before[-1][..., None], -1)[..., 0]
            legal &= before[-1] >= 0  # below is who had nothing to choose
            held &= legal.reshape(len(fresh), -1).all(1)
        return np.where(held.reshape(-1, *[1] * (fresh.ndim - 1)), before[-1], fresh)

    def _keep(self, cell: Hashable, before: Point, after: Point, i: int) -> bool:
        """Whether the cell is new. A known one keeps each of its steps with the same chance."""
        seen = 1 + (self.archive[cell].seen if cell in self.archive else 0)
        if self.generator.random() < 1 / seen:
            self.archive[cell] = Entry(before.row(i), after.row(i))
        self.archive[cell].seen = seen
        return seen == 1


def explore(
    suite: Suite,
    variant: Variant,
    seed: int,
    budget_steps: int = BUDGET_STEPS,
    num_envs: int = NUM_ENVS,
) -> Explored:
    """Search from resets with random and held actions, and record every tape that showed more.

    The suite's policy "random" acts (the first one where there is none of this name). Python
    references are searched one instance at a time. Each recording can be compared from
    `Comparison.synchronised(recording)`. Raises SuiteError where steps have no cells, and
    SnapshotRefused where the reference cannot be restored.
    """
    policies = suite.policies(variant)
    policy = policies.get("random") or next(iter(policies.values()))
    cells = cells_of(suite, variant, num_envs)
    with cells.reference:
        search = Explorer(suite, cells, policy, derive_seed(seed, "explorer", variant.name))
        steps = 0
        while steps < budget_steps:
            steps += search.burst()
    tapes = search.tapes
    recordings = [
        _record(suite, variant, tapes[first : first + CHUNK])
        for first in range(0, len(tapes), CHUNK)
    ]
    return Explored(recordings, len(search.archive) - 1, steps)


def _record(
    suite: Suite, variant: Variant, tapes: Sequence[tuple[Snapshot, np.ndarray]]
) -> Recording:
    with suite.reference(variant, len(tapes)) as reference:
        reference.reset(0)  # some can be restored only after a reset
        reference.restore(_stack([start for start, _ in tapes]))
        return record_tape(reference, np.stack([actions for _, actions in tapes], 1))


def _stack(rows: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _stack_outcomes(rows: Sequence[Outcome]) -> Outcome:
    columns = {
        field.name: [getattr(row, field.name) for row in rows]
        for field in dataclasses.fields(Outcome)
        if field.name != "final_observation"  # a reset shows none
    }
    return Outcome(**{k: None if v[0] is None else np.stack(v) for k, v in columns.items()})  # type: ignore[arg-type]

"""L3: whole games of the reference, compared step by step (E2) and running free (E3).

Of a chaotic system, step by step and, late in its episodes, by distribution. Under the suite's own
policies, and (`targeted`) under trained ones and an explorer.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..references.core import SnapshotRefused, VectorReference
from . import hunters
from .compare import Difference
from .coverage.explorer import explore
from .distributions import Late, judge
from .host import Row
from .record import Recording, ahead, record_policy
from .session import DISTRIBUTIONS, Session
from .suite import Policy, Variant, derive_seed

NUM_ENVS = 256
NUM_STEPS = 256  # of one recording, or as many as RECORDED bytes hold
RECORDED = 2**26
Cell = tuple[Variant, str, Policy]


def play_policies(session: Session) -> None:
    """The suite's own policies, on every variant."""
    suite = session.suite
    _play(session, [(v, name, p) for v in suite.variants for name, p in suite.policies(v).items()])


def play_targeted(session: Session) -> None:
    """Policies trained to play well and to be surprised, and an explorer of the reference."""
    suite, chosen = session.suite, session.options.cells
    kinds: Sequence[str] = ("curious",) if suite.transfer is None else ("trained", "curious")
    kinds = kinds if suite.program is None else ()  # nothing can be trained in a program
    for kind in kinds:
        if chosen is not None and all(policy != kind for _, policy in chosen):
            continue
        session.progress(f"training the {kind} policy", 0.0)
        about, weights = session.host.policy(kind, session.seed)
        policy = hunters.rebuilt(about, weights)
        cells = []
        for variant in suite.variants:
            if variant.name in about["variants"]:
                seed = derive_seed(session.seed, variant.name, kind, "actions")
                cells.append((variant, kind, hunters.as_policy(policy, seed)))
        _play(session, cells)
    for variant in suite.variants:
        if suite.coverage is not None and _is_chosen(session, variant, "explorer"):
            _explore(session, variant)


def _play(session: Session, cells: Sequence[Cell]) -> None:
    cells = [cell for cell in cells if _is_chosen(session, *cell[:2])]
    late: dict[str, dict[str, Late]] = {}
    for i, (variant, name, policy) in enumerate(cells):
        episodes = -(-session.options.episodes // len(session.suite.policies(variant)))
        with session.suite.reference(variant, min(NUM_ENVS, episodes)) as reference:
            stop_after = -(-episodes // reference.num_envs)
            cell = _Cell(session, variant, name)
            if cell.late is not None:
                late.setdefault(variant.name, {})[name] = cell.late
            cell.play(policy, reference, stop_after, i / len(cells), 1 / len(cells))
    for variant_name, policies in late.items():
        _judge_late(session, variant_name, policies)


def _judge_late(session: Session, variant: str, policies: Mapping[str, Late]) -> None:
    found = judge(policies)
    row = session.row(DISTRIBUTIONS, variant, ", ".join(policies))
    row.count, row.episodes = len(found["rows"]), found["count"]
    row.mismatches, row.what = len(found["what"]), found["what"]
    session.evidence.setdefault(DISTRIBUTIONS, {})[variant] = found


def _steps(reference: VectorReference) -> int:
    size = sum(value.nbytes for value in reference.snapshot().values())
    return int(np.clip(RECORDED // size, 1, NUM_STEPS))


def _is_chosen(session: Session, variant: Variant, policy: str) -> bool:
    cells = session.options.cells
    return cells is None or (variant.name, policy) in cells


def _explore(session: Session, variant: Variant) -> None:
    session.progress(f"L3 {variant.name}, explorer", 0.0)
    try:
        recordings = explore(session.suite, variant, session.seed).recordings
    except SnapshotRefused:
        return
    cell = _Cell(session, variant, "explorer")
    for recording in recordings:
        states = cell.comparison.synchronised(recording)
        if cell.compare(states, recording, 0)[1]:
            return


class _Cell:
    """One policy on one variant: its two rows."""

    def __init__(self, session: Session, variant: Variant, policy: str) -> None:
        self.session, self.variant, self.policy = session, variant, policy
        self.seed = derive_seed(session.seed, variant.name, policy)
        self.comparison, _ = session.sides(variant)
        self.e2 = session.row("L3 E2", variant.name, policy)
        chaotic = bool(session.suite.chaotic)
        self.e3 = None if chaotic else session.row("L3 E3", variant.name, policy)
        self.late = Late(self.comparison) if chaotic and policy in session.suite.blind else None
        self._digest = hashlib.sha256()

    def play(
        self,
        policy: Policy,
        reference: VectorReference,
        stop_after: int,
        done: float,
        share: float,
    ) -> None:
        """stop_after: episodes of each instance; done, share: what the progress shows."""
        states, steps = None, 0
        label = f"L3 {self.variant.name}, {self.policy}"
        self.session.progress(label, done)
        recordings = ahead(
            record_policy(
                self.session.suite, reference, policy, self.seed, _steps(reference), stop_after
            )
        )
        for first, first_draws, recording in recordings:
            if states is None:
                states, shown = self.comparison.start(first_draws)
                wrong, where = self.comparison.reset_difference(shown, recording, first)
                if wrong:
                    row = self.e3 or self.e2
                    row.mismatches += wrong
                    row.what.append(
                        f"{wrong} of {reference.num_envs} resets differ, in {', '.join(where)}"
                    )
            if self.late is not None:
                self.late.add(recording, first_draws)
            states, differs = self.compare(states, recording, steps)
            if differs:
                return  # one story a cell: what follows only repeats it
            steps += recording.num_steps
            finished = self.e2.episodes / (reference.num_envs * stop_after)
            self.session.progress(label, done + share * min(1.0, finished))

    def compare(self, states: Any, recording: Recording, steps_before: int) -> tuple[Any, bool]:
        """Both comparisons of one recording, ours running free from `states`, where it can be.

        Returns (our states after it, whether anything differs).
        """
        rows: list[tuple[Row, Difference]] = []
        started = time.perf_counter()
        if self.e3 is not None:
            # First on its own: the states in between, which E2 shows, are the answers here.
            states, free = self.comparison.free_running(states, recording)
            rows.append((self.e3, free))
        between = time.perf_counter()
        resynchronised = self.comparison.resynchronised(recording)
        rows.insert(0, (self.e2, resynchronised))
        if self.e3 is not None:
            self.e3.seconds += between - started
        self.e2.seconds += time.perf_counter() - between
        self.session.note(resynchronised)
        recording.add_to(self._digest)
        self.session.transitions += recording.num_transitions
        ended = recording.outcome.terminated | recording.outcome.truncated
        told: Row | None = None
        for row, found in rows:
            row.sha256 = self._digest.hexdigest()
            row.count += recording.num_transitions
            row.episodes += int(ended.sum())
            row.mismatches += found.count
            if found.count and told is None:
                told = row
                self.session.tell(
                    row, self.variant, recording, found, seed=self.seed, steps_before=steps_before
                )
        return states, told is not None

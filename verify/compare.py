"""The judge: every recorded transition of the reference against what a candidate says (L3).

E2 puts our state back to the reference's before each step, so each faulty step shows by itself;
E3 runs free from the reset, auto-resets included, so composition is shown as well. Nothing of the
candidate's own code runs here: it is asked, and its numbers are compared.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ..references.core import DrawLog, Outcome, VectorReference
from .candidate import Candidate, Fields, LocalCandidate
from .record import Recording, map_log, record_tape
from .suite import FINAL, Suite, SuiteError, Variant, tally_name

LAST_SEEN = {"outcome.final_observation"}
"""What a reference need not show."""
MAX_ASKED = 4096  # steps of one recording that the reference is asked about again
NUM_ASKED = 32  # at once


@dataclasses.dataclass(frozen=True)
class Difference:
    """Where two sides disagree. bad: bool [T, B]; by_field: number of transitions a field; tallies:
    the sum of each of the suite's; errors: of each close field, the largest where it agrees.

    unfinished: transitions in which the reference as installed stops short, and agrees once it goes
    on to the end (`Suite.finished`); those are not bad. short_by: by close field, the largest
    distance that this explains.
    """

    bad: np.ndarray
    by_field: dict[str, int]
    tallies: Mapping[str, int] = dataclasses.field(default_factory=dict)
    errors: Mapping[str, float] = dataclasses.field(default_factory=dict)
    unfinished: int = 0
    short_by: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def count(self) -> int:
        return int(self.bad.sum())

    def first(self) -> tuple[int, int]:
        """(step, instance) of the earliest difference."""
        step = int(np.argmax(self.bad.any(1)))
        return step, int(np.argmax(self.bad[step]))


class Trace(NamedTuple):
    """Every compared field of a recording on both sides, our side running free.

    reference, ours: field -> [T, B, ...]; differs: field -> bool [T, B]. All numpy.
    """

    reference: Fields
    ours: Fields
    differs: Fields


class Comparison:
    """Both comparisons of one suite for one variant."""

    def __init__(
        self,
        suite: Suite,
        candidate: Candidate,
        draw_sites: tuple[str, ...],
        variant: Variant | None = None,
    ) -> None:
        """variant: where single steps that differ may be asked about again, see `Difference`."""
        self.suite, self.candidate, self.draw_sites = suite, candidate, draw_sites
        self.fields = suite.compared_fields()
        self._close = [name for name, f in self.fields.items() if f.compare.kind == "close"]
        self._variant, self._finished = variant, None if variant is None else suite.finished
        self._asked: VectorReference | None = None

    @classmethod
    def local(cls, suite: Suite, variant: Variant) -> "Comparison":
        """With the suite's own environment, in this process."""
        with suite.reference(variant, 1) as reference:
            sites = reference.draw_sites
        return cls(suite, LocalCandidate(suite, variant, sites), sites, variant)

    def start(self, draws: DrawLog) -> tuple[Any, Fields]:
        """Our states [B] after a reset with the draws that the reference's reset consumed, and
        what they show."""
        return self.candidate.start(self._shown(draws))

    def synchronised(self, recording: Recording) -> Any:
        """Our states [B], made out of the reference's at the start of a recording."""
        return self.candidate.restored(recording.at(0))[0]

    def reset_difference(
        self, shown: Fields, recording: Recording, first: Outcome
    ) -> tuple[int, list[str]]:
        """How many instances differ right after the reset, and in which leaves of the state, or in
        the observation.

        shown: what `start` gave; first: the reference's outcome of the reset.
        """
        theirs = self.candidate.restored(recording.at(0))[1]
        if "outcome.observation" not in self.suite.fields:  # else it is no observation of ours
            theirs = theirs | {"observation": first.observation}
        differs = {
            name: _any(self.suite.compare_shown(name).differs(shown[name], value, 1), 1)
            for name, value in theirs.items()
        }
        count = int(np.any(list(differs.values()), axis=0).sum())
        return count, [name for name, wrong in differs.items() if wrong.any()]

    def resynchronised(self, recording: Recording) -> Difference:
        """E2: every step from the reference's own state."""
        before = {name: value[:-1] for name, value in recording.snapshots.items()}
        ours = self.candidate.resynchronised(before, self._inputs(recording))
        return self.judge(recording, ours, self._finished is not None)

    def from_here(self, recording: Recording) -> Difference:
        """A recording that need not begin with a reset: from the reference's state there running
        free, of a chaotic system step by step."""
        if self.suite.chaotic:
            return self.resynchronised(recording)
        return self.free_running(self.synchronised(recording), recording)[1]

    def free_running(self, states: Any, recording: Recording) -> tuple[Any, Difference]:
        """E3: from `states` [B] on our own. Returns the states after the recording."""
        inputs = self._inputs(recording)
        states, ours = self.candidate.free_running(states, recording.at(0), inputs)
        return states, self.judge(recording, ours)

    def trace(self, states: Any, recording: Recording) -> Trace:
        """E3 from `states` [B], keeping all that both sides said instead of only what differs."""
        inputs = self._inputs(recording)
        _, ours = self.candidate.free_running(states, recording.at(0), inputs)
        return self.side_by_side(recording, ours)

    def _inputs(self, recording: Recording) -> dict[str, Any]:
        return inputs_of(dataclasses.replace(recording, draws=self._shown(recording.draws)))

    def _shown(self, draws: DrawLog) -> DrawLog:
        """What a candidate is told of a log, without what a reference's own kind of log adds: all,
        or no more than seeds (`Suite.seed_sites`)."""
        draws = map_log(draws, lambda x: x)
        if not self.suite.seed_sites:
            return draws
        seeds = [self.draw_sites.index(site) for site in self.suite.seed_sites]
        return dataclasses.replace(
            draws, value=np.where(np.isin(draws.site, seeds), draws.value, 0)
        )

    def judge(self, recording: Recording, ours: Fields, ask_again: bool = False) -> Difference:
        """Our values [T, B, ...] of every compared field against the recorded ones.

        ask_again: whether single steps that differ are played by the reference once more, which
        then goes on to the end.
        """
        sides = self.side_by_side(recording, ours)
        bad = np.any(list(sides.differs.values()), axis=0)
        close = [name for name in self._close if name in sides.reference]
        errors = {name: abs(ours[name] - sides.reference[name]) for name in close}
        short = self._stops_short(recording, ours, bad) if ask_again else np.zeros_like(bad)
        bad &= ~short
        counts = {name: int((wrong & bad).sum()) for name, wrong in sides.differs.items()}
        return Difference(
            bad,
            {name: count for name, count in counts.items() if count},
            self.tallies(ours),
            {name: _largest(error[~bad & ~short]) for name, error in errors.items()},
            int(short.sum()),
            {name: _largest(error[short]) for name, error in errors.items() if short.any()},
        )

    def _stops_short(self, recording: Recording, ours: Fields, bad: np.ndarray) -> np.ndarray:
        """bool [T, B]: of the steps that differ, those that agree once the reference goes on to the
        end."""
        assert self._finished is not None and self._variant is not None
        short = np.zeros_like(bad)
        steps = np.argwhere(bad)[:MAX_ASKED]
        for first in range(0, len(steps), NUM_ASKED):
            if self._asked is None:
                self._asked = self._finished(self._variant, NUM_ASKED)
            some = np.resize(steps[first : first + NUM_ASKED], (NUM_ASKED, 2))
            t, b = some.T
            self._asked.restore({name: v[t, b] for name, v in recording.snapshots.items()})
            again = record_tape(self._asked, recording.action[t, b][None])
            said = {name: value[t, b][None] for name, value in ours.items()}
            differs = self.side_by_side(again, said).differs.values()
            agrees = ~np.any(list(differs), axis=0)[0]
            short[t[agrees], b[agrees]] = True
        return short

    def tallies(self, ours: Fields) -> dict[str, int]:
        """What our side says of itself, summed over all transitions."""
        return {name: int(ours[tally_name(name)].sum()) for name in self.suite.tallies}

    def side_by_side(self, recording: Recording, ours: Fields) -> Trace:
        theirs = self.theirs(recording, ours["outcome.legal"].shape)
        said = {tally_name(name) for name in self.suite.tallies} | (LAST_SEEN - theirs.keys())
        if missing := theirs.keys() ^ (ours.keys() - said):
            raise SuiteError(
                f"the candidate's fields are not those asked for: {sorted(missing)}; see "
                "references/README.md for what a program has to show"
            )
        differs = {}
        for name, value in theirs.items():
            if ours[name].shape != value.shape:
                raise SuiteError(
                    f"{name}: shapes differ: ours {ours[name].shape[2:]}, the reference's "
                    f"{value.shape[2:]}"
                )
            compare = self.fields[name].compare if name in self.fields else None  # else draws
            wrong = compare.differs(ours[name], value, 2) if compare else ours[name] != value
            differs[name] = _any(wrong, 2)
        return Trace(theirs, {name: ours[name] for name in theirs}, differs)

    def theirs(self, recording: Recording, mask: tuple[int, ...]) -> Fields:
        """The reference's value of every compared field and the number of draws, [T, B, ...].

        mask: the shape of a mask, for a reference that has none.
        """
        self.suite.check_total(recording.snapshots)
        outcome, log = recording.outcome, recording.draws
        # Where the reference has no mask, every action is legal.
        legal = np.ones(mask, bool) if outcome.legal is None else outcome.legal
        theirs = {name: value[1:] for name, value in recording.snapshots.items()} | {
            "outcome.observation": outcome.observation,
            "outcome.reward": outcome.reward,
            "outcome.terminated": outcome.terminated,
            "outcome.truncated": outcome.truncated,
            "outcome.legal": legal,
            "outcome.final_observation": outcome.final_observation,
        }
        theirs |= {f"{FINAL}{name}": value for name, value in (recording.final or {}).items()}
        consumed = np.arange(log.site.shape[-1]) < log.count[..., None]
        used = {
            f"draws.{site}": (consumed & (log.site == i)).sum(-1, dtype=np.int32)
            for i, site in enumerate(self.draw_sites)
        }
        if unseen := self.fields.keys() - theirs.keys():
            raise SuiteError(f"{self.suite.name}: the reference does not show {sorted(unseen)}")
        shown = {name: theirs[name] for name in self.fields}
        return {name: value for name, value in shown.items() if value is not None} | used


def inputs_of(recording: Recording) -> dict[str, Any]:
    """What a candidate may see of a recording besides the states."""
    return {"action": recording.action, "draws": recording.draws}


def _largest(x: np.ndarray) -> float:
    """The largest entry that is a number; 0 where there is none."""
    return float(np.fmax.reduce(x, axis=None, initial=0))


def _any(x: np.ndarray, axes: int) -> np.ndarray:
    """Whether anything past the first `axes` axes is true."""
    return np.asarray(x.any(tuple(range(axes, x.ndim)))) if x.ndim > axes else x

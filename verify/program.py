"""A candidate that is a program, in whatever language, asked in the line protocol of references/.

Each step is asked of a process that stands at the state before it, with the draws that the
reference consumed as its tape. Its snapshot, its outcome and its log are its answer. A process
serves many instances in turn, so that what it keeps to itself shows.

`T` steps, `B` instances.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..references.core import (
    Draw,
    DrawLog,
    Outcome,
    ReferenceUnavailable,
    Snapshot,
    SnapshotRefused,
    TapeError,
)
from ..references.process import ProcessFailed, ProcessReference, Verb
from .candidate import Fields
from .host import CandidateError
from .record import map_log
from .suite import FINAL, Suite, SuiteError

NUM_PROCESSES = 8
TIMEOUT_S = 30.0  # of one answer
ANY_SEED = 0  # of resets whose draws are forced

Tape = tuple[list[Draw], list[Draw]]
"""The draws of a step, and those of the reset that follows it."""


class Stepped(NamedTuple):
    """One step. outcome: None where the action was refused; drawn: how often at each site; last:
    the snapshot before a reset that followed, where the suite asks for it."""

    outcome: Outcome | None
    drawn: Counter[str]
    last: Snapshot | None = None


class ProgramCandidate:
    """`candidate.Candidate` over processes of one program; states are its snapshots.

    bounds: the reference's draw sites, the largest bound at each.
    A step whose draws the tape does not hold is taken once more with draws of the program's own,
    and counts one draw more than is due. An action that is refused leaves the fields as they were,
    the reward is NaN, and nothing is legal. All methods raise SuiteError where the program cannot
    be started, CandidateError where it ends, falls silent or breaks the protocol.
    """

    def __init__(
        self,
        suite: Suite,
        command: Sequence[str],
        bounds: Mapping[str, int],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.suite, self.command, self.bounds = suite, command, bounds
        self._timeout_s = timeout_s
        self._names = suite.field_names
        self._processes: list[ProcessReference] = []
        self.hello = self.processes(1)[0].hello

    def processes(self, count: int) -> list[ProcessReference]:
        """So many of them, or all that there may be."""
        while len(self._processes) < min(count, NUM_PROCESSES):
            try:
                process = ProcessReference(
                    self.command,
                    timeout=self._timeout_s,
                    remedy="build the program, or correct the suite's command",
                )
            except ProcessFailed as error:
                raise CandidateError(str(error)) from None
            except ReferenceUnavailable as error:
                raise SuiteError(str(error)) from None
            self._processes.append(process)
        return self._processes

    def misfits(self) -> list[str]:
        """Why what the program says of itself is not what the suite compares, a line each."""
        fields = self.hello.snapshot_fields or {}
        compared = {name for name in self._names if not name.startswith(("outcome.", FINAL))}
        lines = [
            f"its snapshot has no field {name!r}, which the suite compares"
            for name in sorted(compared - fields.keys())
        ]
        lines += [
            f"its snapshot has the field {name!r}, which the reference's has not"
            for name in sorted(fields.keys() - self.suite.fields.keys())
        ]
        sites = self.hello.draw_sites
        lines += [
            f"the reference draws at {site!r} below {self.bounds.get(site, 0)}, the program below "
            f"{sites.get(site, 0)} (0 is never)"
            for site in sorted({*sites, *self.bounds})
            if sites.get(site) != self.bounds.get(site)
        ]
        if self.bounds and not self.hello.forcing:
            lines.append('it obeys no tape of draws; it says "forcing":false')
        return lines

    # -- what a judge asks

    def start(self, draws: DrawLog) -> tuple[Any, Fields]:
        count = len(draws.count)
        states, seen = _Rows(count), _Rows(count)
        for chunk in _chunks(count):
            tapes = [self._draws(draws, i) for i in chunk]
            first = self.ask("reset", [ANY_SEED] * len(chunk), tapes)
            if refusals := [answer for answer in first if isinstance(answer, Exception)]:
                raise CandidateError(f"a reset with the reference's draws: {refusals[0]}")
            seen.put(chunk, [{"observation": outcome.observation} for outcome in first])
            states.put(chunk, self.ask("snapshot", [None] * len(chunk)))
        return states.arrays, self._shown(states.arrays) | seen.arrays

    def restored(self, fields: Mapping[str, np.ndarray]) -> tuple[Any, Fields]:
        snapshots = self._snapshots(fields)
        states = _Rows(len(snapshots))
        for chunk in _chunks(len(snapshots)):
            self.ask("restore", [snapshots[i] for i in chunk])
            states.put(chunk, self.ask("snapshot", [None] * len(chunk)))
        return states.arrays, self._shown(states.arrays)

    def resynchronised(self, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]) -> Fields:
        shape = inputs["action"].shape[:2]
        snapshots = self._snapshots({name: _flat(value) for name, value in before.items()})
        actions, log = _flat(inputs["action"]), map_log(inputs["draws"], _flat)
        rows = _Rows(len(actions))
        for chunk in _chunks(len(actions)):
            starts = [snapshots[i] for i in chunk]
            self.ask("restore", starts)
            tapes = [self._tape(log, i) for i in chunk]
            rows.put(chunk, self._step(starts, actions[chunk], tapes)[1])
        return rows.shaped(*shape)

    def free_running(
        self, states: Any, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]
    ) -> tuple[Any, Fields]:
        actions, log = inputs["action"], map_log(inputs["draws"], _flat)
        steps, count = actions.shape[:2]
        snapshots = self._snapshots(states)
        after, rows = _Rows(count), _Rows(steps * count)
        for chunk in _chunks(count):
            current: list[Snapshot] = [snapshots[i] for i in chunk]
            self.ask("restore", current)
            for t in range(steps):
                places = [t * count + i for i in chunk]
                tapes = [self._tape(log, place) for place in places]
                current, values = self._step(current, actions[t, chunk], tapes)
                rows.put(places, values)
            after.put(chunk, current)
        return after.arrays, rows.shaped(steps, count)

    # -- one step of as many instances as there are processes

    def _step(
        self, before: Sequence[Snapshot], actions: np.ndarray, tapes: Sequence[Tape]
    ) -> tuple[list[Snapshot], list[Snapshot]]:
        """(snapshots after the step, every compared field). before: where the processes stand."""
        answers = self.ask("step", actions, [tape for tape, _ in tapes])
        rows = zip(answers, before, actions, tapes, strict=True)
        stepped = [self._stepped(i, *row) for i, row in enumerate(rows)]
        snapshots = self.ask("snapshot", [None] * len(stepped))
        return snapshots, [self._values(*pair) for pair in zip(stepped, snapshots, strict=True)]

    def _stepped(
        self,
        i: int,
        answer: Outcome | TapeError | ValueError,
        before: Snapshot,
        action: np.ndarray,
        tapes: Tape,
    ) -> Stepped:
        """What process i answered to a step, and to the reset that it does not do itself."""
        tape, reset_tape = tapes
        drawn = self._drawn(i)
        if isinstance(answer, TapeError):
            self.ask("restore", [before], which=[i])
            answer, drawn = self._untaped(i, "step", action, tape, answer)
        if isinstance(answer, ValueError):
            return Stepped(None, Counter())
        if self.hello.auto_reset:
            return Stepped(answer, drawn)
        answer = dataclasses.replace(answer, final_observation=answer.observation)
        if not (answer.terminated | answer.truncated).any():
            return Stepped(answer, drawn)
        last = self.ask("snapshot", [None], which=[i])[0] if self.suite.final else None
        (first,) = self.ask("reset", [ANY_SEED], [reset_tape], [i])
        more = self._drawn(i)
        if isinstance(first, TapeError):
            first, more = self._untaped(i, "reset", ANY_SEED, reset_tape, first)
        if isinstance(first, ValueError):
            raise CandidateError(f"a reset: {first}")
        now = dataclasses.replace(answer, observation=first.observation, legal=first.legal)
        return Stepped(now, drawn + more, last)

    def _untaped(
        self, i: int, verb: Verb, argument: Any, tape: Sequence[Draw], error: TapeError
    ) -> tuple[Outcome | ValueError, Counter[str]]:
        """A step or reset with draws of its own, of a program that the tape does not fit. Its
        numbers of draws are not those of the tape: one that does not fit counts once more."""
        (answer,) = self.ask(verb, [argument], which=[i])
        drawn = self._drawn(i)
        if drawn == Counter(draw.site for draw in tape):
            pairs = zip(self._processes[i].draws(), tape, strict=True)
            wrong = [d.site for d, due in pairs if (d.site, d.bound) != (due.site, due.bound)]
            if not wrong:
                raise CandidateError(f"the reference's draws: {error}")
            drawn[wrong[0]] += 1
        return answer, drawn

    def _drawn(self, i: int) -> Counter[str]:
        return Counter(draw.site for draw in self._processes[i].draws())

    def _values(self, stepped: Stepped, snapshot: Snapshot) -> Fields:
        hello, outcome = self.hello, stepped.outcome
        mask = np.ones((*hello.action_shape, hello.num_actions or 1), bool)
        if outcome is None:
            nothing = np.zeros(hello.observation_shape, hello.observation_dtype)
            outcome = Outcome(
                observation=nothing,
                reward=np.array(np.nan, np.float32),
                terminated=np.array(False),
                truncated=np.array(False),
                legal=~mask,
                final_observation=None if hello.auto_reset else nothing,
            )
        said = {
            **snapshot,
            "outcome.observation": outcome.observation,
            "outcome.reward": outcome.reward,
            "outcome.terminated": outcome.terminated,
            "outcome.truncated": outcome.truncated,
            "outcome.legal": mask if outcome.legal is None else outcome.legal,
        }
        if outcome.final_observation is not None:
            said["outcome.final_observation"] = outcome.final_observation
        last = snapshot if stepped.last is None else stepped.last
        if not hello.auto_reset:
            said |= {f"{FINAL}{name}": value for name, value in last.items()}
        drawn = {f"draws.{site}": np.array(stepped.drawn[site], np.int32) for site in self.bounds}
        return {name: value for name, value in said.items() if name in self._names} | drawn

    # -- the processes

    def ask(
        self,
        verb: Verb,
        arguments: Sequence[Any] | np.ndarray,
        tapes: Sequence[Sequence[Draw]] | None = None,
        which: Sequence[int] | None = None,
    ) -> list[Any]:
        """The answers of these processes, the first ones by default; all are asked before any is
        heard. Where a step or reset is refused, the answer is the ValueError or TapeError."""
        count = len(arguments) if which is None else max(which) + 1
        processes = self.processes(count)
        asked = processes[:count] if which is None else [processes[i] for i in which]
        try:
            for n, (process, argument) in enumerate(zip(asked, arguments, strict=True)):
                if tapes is not None and self.hello.forcing:
                    process.force(tapes[n])
                process.send(verb, argument)
            answers = [_heard(process) for process in asked]
            for answer in answers:
                if isinstance(answer, Exception) and verb not in ("step", "reset"):
                    raise answer
        except (ReferenceUnavailable, SnapshotRefused, TapeError, ValueError) as error:
            self.close()  # some may still have something to say
            raise CandidateError(str(error)) from None
        return answers

    def mislead(self, action: int) -> Any:
        """The first one's answer to an action that there is not."""
        (process,) = self.processes(1)[:1]
        process.hello = dataclasses.replace(self.hello, num_actions=None)  # else it is not sent
        try:
            process.send("step", np.full(self.hello.action_shape, action))
            process.hello = self.hello
            return _heard(process)
        except ReferenceUnavailable as error:
            self.close()
            raise CandidateError(f"on action {action}: {error}") from None

    def close(self) -> None:
        """End the processes; whatever is asked next starts new ones."""
        for process in self._processes:
            process.close()
        self._processes.clear()

    # -- what was recorded, as the program takes it

    def _snapshots(self, fields: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
        """The program's own fields of each instance, in its dtypes."""
        announced = (self.hello.snapshot_fields or {}).items()
        columns = {name: np.asarray(fields[name]).astype(dtype) for name, dtype in announced}
        count = len(next(iter(fields.values())))
        return [{name: column[i] for name, column in columns.items()} for i in range(count)]

    def _shown(self, states: Fields) -> Fields:
        return {f"state.{name}": value for name, value in states.items() if name in self._names}

    def _draws(self, log: DrawLog, i: int) -> list[Draw]:
        """The draws of one call; log: [N, K]."""
        draws = []
        for k, number in enumerate(log.site[i, : log.count[i]]):
            site = list(self.bounds)[number]
            bound = self.bounds[site] if log.bound is None else int(log.bound[i, k])
            value = int(log.value[i, k]) % bound  # the bits of a double are logged with a sign
            draws.append(Draw(site=site, bound=bound, value=value))
        return draws

    def _tape(self, log: DrawLog, i: int) -> Tape:
        draws = self._draws(log, i)
        if self.hello.auto_reset or not draws:
            return draws, []
        if log.step_count is None:
            raise CandidateError(
                "the reference starts new episodes itself and does not tell their draws apart: so "
                'has the program to do, and to say "auto_reset":true'
            )
        return draws[: log.step_count[i]], draws[log.step_count[i] :]


class _Rows:
    """Fields of so many instances, gathered in any order. arrays: [count, ...]."""

    def __init__(self, count: int) -> None:
        self.arrays: Fields = {}
        self._count = count

    def put(self, places: Sequence[int], rows: Sequence[Snapshot]) -> None:
        """Raises CandidateError for a field whose shape is not always the same."""
        for place, row in zip(places, rows, strict=True):
            for name, value in row.items():
                if name not in self.arrays:
                    self.arrays[name] = np.empty((self._count, *value.shape), value.dtype)
                array = self.arrays[name]
                if array.shape[1:] != value.shape:
                    raise CandidateError(
                        f"{name} has the shape {array.shape[1:]} once and {value.shape} another "
                        "time; let the program pad it to one length"
                    )
                array[place] = value

    def shaped(self, steps: int, count: int) -> Fields:
        """[T * B, ...] as [T, B, ...]."""
        return {k: v.reshape(steps, count, *v.shape[1:]) for k, v in self.arrays.items()}


def _heard(process: ProcessReference) -> Any:
    try:
        return process.receive()
    except (TapeError, ValueError) as refusal:
        return refusal


def _chunks(count: int) -> Iterator[list[int]]:
    for first in range(0, count, NUM_PROCESSES):
        yield list(range(first, min(first + NUM_PROCESSES, count)))


def _flat(x: np.ndarray) -> np.ndarray:
    """[T, B, ...] as [T * B, ...]."""
    return x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])

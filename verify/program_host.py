"""L0 and all other questions to a candidate that is a program.

Most of L0 is about JAX; what remains of it asks whether a program is a function of what it is told:
of its seed, of a snapshot and of a tape, wherever it runs, and whether it refuses what is wrong.
"""

import dataclasses
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..references.core import Closing, DrawLog, Outcome, TapeError
from .candidate import Fields
from .compare import inputs_of
from .evidence import Progress
from .host import CandidateError, Row
from .program import NUM_PROCESSES, TIMEOUT_S, ProgramCandidate
from .record import Recording, map_log, record_policy
from .suite import Suite, SuiteError, Variant, derive_seed

NUM_ENVS = NUM_PROCESSES + 3  # so that some processes serve several
NUM_STEPS = 48
SEEDS = (0, 7, 2**53 - 1)

Check = Callable[[ProgramCandidate, Recording], tuple[int, list[str]]]


class ProgramHost(Closing):
    """`host.Host` over processes of a program."""

    def __init__(self, suite: Suite, timeout_s: float = TIMEOUT_S) -> None:
        self.suite, self._timeout_s = suite, timeout_s
        self._candidates: dict[str, ProgramCandidate] = {}

    def candidate(self, variant: Variant, draw_sites: Sequence[str] = ()) -> ProgramCandidate:
        """Raises as ProgramCandidate does; also where it does not fit the suite."""
        candidate = self._candidate(variant)
        if misfits := candidate.misfits():
            raise CandidateError(misfits[0])
        return candidate

    def _candidate(self, variant: Variant) -> ProgramCandidate:
        key = json.dumps(dataclasses.asdict(variant), sort_keys=True)
        if key not in self._candidates:
            with self.suite.reference(variant, 1) as reference:
                bounds = dict(zip(reference.draw_sites, reference.draw_bounds, strict=True))
            command = self._command(variant)
            self._candidates[key] = ProgramCandidate(self.suite, command, bounds, self._timeout_s)
        return self._candidates[key]

    def _command(self, variant: Variant) -> list[str]:
        assert self.suite.program is not None
        return [str(word) for word in self.suite.program(variant)]

    def same_avals(self, variant: Variant) -> Row:
        """Whether what it says hello with is what the suite compares: else nothing can run."""
        candidate = self._candidate(variant)
        what = candidate.misfits()
        return Row("L0", variant.name, "hello", 1, len(what), what=what)

    def hazards(self, variant: Variant) -> list[Row]:
        candidate = self.candidate(variant)
        policy = next(iter(self.suite.policies(variant).values()))
        seed = derive_seed(0, variant.name, "L0")
        with self.suite.reference(variant, NUM_ENVS) as reference:
            played = record_policy(self.suite, reference, policy, seed, NUM_STEPS, 1)
            recording = next(played)[-1]
        rows = [self.same_avals(variant)]
        for name, check in CHECKS.items():
            started = time.perf_counter()
            row = Row("L0", variant.name, name)
            try:
                row.count, row.what = check(candidate, recording)
            except CandidateError as error:
                row.count, row.what = 1, [str(error)]
            row.mismatches = len(row.what)
            row.seconds = time.perf_counter() - started
            rows.append(row)
        return rows

    def num_properties(self) -> int:
        """None: a program's own tests hold them."""
        return 0

    def property(self, index: int, seed: int, examples: int) -> Row:
        raise SuiteError("a program has no properties of L1; its own tests hold them")

    def evidence(
        self, level: str, seed: int, progress: Progress, process: int
    ) -> dict[str, Any] | None:
        """None: what the other levels look at is made of an environment."""
        return None

    def prove(
        self, numbers: Sequence[int], seed: int, bank: Path, progress: Progress, process: int
    ) -> dict[int, tuple[str, str]]:
        return {}

    def policy(self, kind: str, seed: int) -> tuple[dict[str, Any], Fields]:
        raise SuiteError("no policy can be trained in a program")

    def program(self, variant: Variant) -> str:
        """SHA-256 of the files that the command names."""
        total = hashlib.sha256()
        words = self._command(variant)
        for path in [Path(shutil.which(words[0]) or words[0]), *map(Path, words[1:])]:
            if path.is_file():
                total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()

    def close(self) -> None:
        for candidate in self._candidates.values():
            candidate.close()


# -- L0


def deterministic(candidate: ProgramCandidate, recording: Recording) -> tuple[int, list[str]]:
    """Seed and actions say all: twice the same in one process, and once in another."""
    actions, what = recording.action[:, 0], []
    for seed in SEEDS:
        first = _seeded(candidate, 0, seed, actions)
        for process, where in ((0, "again"), (1, "in another process")):
            other = _seeded(candidate, process, seed, actions)
            if first != other:
                step = next(i for i, row in enumerate(first) if row != other[i])
                what.append(f"seed {seed} {where} goes otherwise from step {step} on")
    return len(SEEDS) * 2 * len(actions), what


def _seeded(
    candidate: ProgramCandidate, process: int, seed: int, actions: np.ndarray
) -> list[list[Any]]:
    """An episode with draws of its own: what can be seen after the reset and after each step."""
    rows = []
    for verb, argument in (("reset", seed), *(("step", action) for action in actions)):
        (answer,) = candidate.ask(verb, [argument], which=[process])  # type: ignore[arg-type]
        drawn = candidate.processes(process + 1)[process].draws()
        (snapshot,) = candidate.ask("snapshot", [None], which=[process])
        seen = _bytes(vars(answer)) if isinstance(answer, Outcome) else str(answer)
        rows.append([seen, _bytes(snapshot), drawn])
        if isinstance(answer, Outcome) and (answer.terminated | answer.truncated).any():
            break
    return rows


def _bytes(fields: Mapping[str, np.ndarray | None]) -> dict[str, bytes]:
    return {name: b"" if x is None else x.tobytes() for name, x in fields.items()}


def snapshots(candidate: ProgramCandidate, recording: Recording) -> tuple[int, list[str]]:
    """A snapshot restored shows itself, and goes on as if nothing had been."""
    half = recording.num_steps // 2
    states = candidate.restored(recording.at(0))[0]
    whole = candidate.free_running(states, {}, _inputs(recording, slice(None)))[1]
    between, first = candidate.free_running(states, {}, _inputs(recording, slice(half)))
    again = candidate.restored(between)[0]
    second = candidate.free_running(again, {}, _inputs(recording, slice(half, None)))[1]
    joined = {name: np.concatenate([first[name], second[name]]) for name in first}
    what = [f"{name} is not what was restored" for name in _unlike(between, again)]
    what += [f"{name} depends on what came before the snapshot" for name in _unlike(whole, joined)]
    return recording.num_transitions, what


def independent(candidate: ProgramCandidate, recording: Recording) -> tuple[int, list[str]]:
    """Instances are the same in another order, and each alone."""
    states = candidate.restored(recording.at(0))[0]
    whole = candidate.free_running(states, {}, _inputs(recording, slice(None)))[1]
    what = []
    for places, where in (
        (list(range(recording.num_envs))[::-1], "in another order"),
        ([recording.num_envs - 1], "alone"),
    ):
        some = {name: value[places] for name, value in states.items()}
        inputs = _inputs(recording, slice(None), places)
        other = candidate.free_running(some, {}, inputs)[1]
        expected = {name: value[:, places] for name, value in whole.items()}
        what += [
            f"{name} is another where instances run {where}" for name in _unlike(expected, other)
        ]
    return 2 * recording.num_transitions, what


def _inputs(
    recording: Recording, steps: slice, places: Sequence[int] | None = None
) -> dict[str, Any]:
    """What a candidate may see of some steps, and some instances."""
    inputs = inputs_of(recording)
    where = slice(None) if places is None else list(places)
    log: DrawLog = map_log(inputs["draws"], lambda x: x[steps][:, where])
    return {"action": inputs["action"][steps][:, where], "draws": log}


def _unlike(a: Fields, b: Fields) -> list[str]:
    return [name for name in a if a[name].tobytes() != b[name].tobytes()]


def refuses(candidate: ProgramCandidate, recording: Recording) -> tuple[int, list[str]]:
    """An action that is none is refused and changes nothing. After that, after an action that the
    mask forbids and after a tape that holds too little, the program goes on."""
    start = {name: value[0] for name, value in candidate.restored(recording.at(0))[0].items()}
    what, count = [], 0
    if (number := candidate.hello.num_actions) is not None:
        for action in (-1, number, 2**31):
            candidate.ask("restore", [start])
            refused = isinstance(candidate.mislead(action), ValueError)
            (after,) = candidate.ask("snapshot", [None])
            changed = ", ".join(_unlike(start, after))
            if not refused:
                what.append(f"takes action {action}, where there are 0 .. {number - 1}")
            elif changed:
                what.append(f"refuses action {action}, but changes {changed}")
            count += 1
    for step, action in _forbidden(recording):
        candidate.restored({name: value[:1] for name, value in recording.at(step + 1).items()})
        candidate.ask("step", [action])
        candidate.ask("snapshot", [None])
        count += 1
    candidate.ask("restore", [start])
    if isinstance(candidate.ask("step", recording.action[0, :1], [[]])[0], TapeError):
        candidate.ask("restore", [start])
        candidate.ask("snapshot", [None])
    return count + 1, what


def _forbidden(recording: Recording) -> Iterator[tuple[int, int]]:
    """Of the first instance: after which steps the mask forbids an action, and one that it does."""
    legal = recording.outcome.legal
    if legal is not None and legal.ndim == 3:  # one action a step
        for step in range(recording.num_steps):
            yield from ((step, int(action)) for action in np.flatnonzero(~legal[step, 0])[:1])


CHECKS: Mapping[str, Check] = {
    "deterministic": deterministic,
    "snapshots": snapshots,
    "independent": independent,
    "refuses": refuses,
}

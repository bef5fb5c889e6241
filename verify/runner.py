"""`verify`: all levels of one suite, from the regression bank to whole free-running games."""

import contextlib
import dataclasses
import functools
import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..references.fetch import cache_dir
from .compare import Comparison, Difference
from .evidence import EVIDENCE, Progress
from .host import CandidateError, Host, Row
from .isolation import IsolatedHost, sources
from .record import Recording, record_tape
from .rollouts import play_policies, play_targeted
from .session import (
    ALL_LEVELS,
    BANK,
    COVERAGE,
    LEVELS,
    TARGETED,
    Options,
    Session,
    outcome_at,
    silent,
)
from .suite import Suite, Variant, derive_seed
from .tape import load

Found = dict[str, dict[str, Any] | None]
"""level -> its evidence."""

SEED_BITS = 53  # what every JSON reader takes for an integer

__all__ = ["ALL_LEVELS", "BANK", "LEVELS", "Options", "Run", "replay", "verify"]


class Run(Session):
    """One verification."""

    def __init__(self, suite: Suite, options: Options, progress: Progress = silent) -> None:
        super().__init__(suite, options, progress)
        self.program = ""
        self.apart = options.isolated and suite.program is None  # a program is, as it is

    def result(self) -> dict[str, Any]:
        """Run everything. The dict of DESIGN.md, section 6."""
        started = time.perf_counter()
        hashes = sources(self.suite)
        if self.options.seed is None:  # the candidate is fixed before anybody knows the seed
            self.seed = secrets.randbits(SEED_BITS)
        if self.apart:
            self.host = IsolatedHost(self.suite, [self.options.bank, cache_dir()])
        with self.host:
            try:
                self._levels()
                self._conduct()
            except CandidateError as error:
                self.rows.append(Row("L0", "", "broke", 1, 1, what=[str(error)]))
                with contextlib.suppress(CandidateError):  # it may still say how it came to that
                    self._conduct()
        if sources(self.suite)["candidate"] != hashes["candidate"]:
            what = ["the sources were changed while they were verified; run it again"]
            self.rows.append(Row("L0", "", "sources", 1, 1, what=what))
        mismatches = sum(row.mismatches for row in self.rows)
        return {
            "holds": mismatches == 0,
            "env": self.suite.name,
            "claim": self._claim(mismatches),
            "compared": self.transitions,
            "mismatches": mismatches,
            "levels": [dataclasses.asdict(row) for row in self.rows],
            "seeds": [self.seed],
            "seed_drawn": self.options.seed is None,
            "isolated": self.apart or self.suite.program is not None,
            "options": {
                "episodes": self.options.episodes,
                "examples": self.options.examples,
                "levels": list(self.options.levels),
            },
            "sources": {**hashes, "program": self.program},
            "reference": {
                "name": self.suite.reference_name,
                "version": self.suite.reference_version,
            },
            "ignored": {
                name: field.compare.why
                for name, field in self.suite.fields.items()
                if field.compare.kind == "ignored"
            },
            "tallies": dict(self.tallies),
            "errors": self.errors,
            "unfinished": self.unfinished,
            "evidence": self.evidence,
            "divergences": [dataclasses.asdict(story) for story in self.stories],
            "seconds": time.perf_counter() - started,
        }

    def _claim(self, mismatches: int) -> dict[str, Any]:
        """E3 where every compared transition agrees, re-synchronised and running free, and E4 where
        that takes nothing of the reference's draws but a seed; E2 at most of a chaotic system.
        `within`: of fields that need not be equal bit by bit."""
        best = "E2" if self.suite.chaotic else "E3"
        policies = sorted({row.policy for row in self.rows if row.level == f"L3 {best}"})
        holds = mismatches == 0 and self.transitions > 0
        fields = self.suite.compared_fields().items()
        return {
            "class": ("E4" if self.suite.seed_sites else best) if holds else None,
            "within": {name: f.compare.words for name, f in fields if f.compare.kind == "close"},
            "why_not_E3": self.suite.chaotic,
            "mismatch_rate_at_most": 3 / self.transitions if holds else None,
            "confidence": 0.95,
            "policies": policies,
            "variants": [variant.name for variant in self.variants],
        }

    @property
    def variants(self) -> Sequence[Variant]:
        """Those that are to be compared."""
        cells = self.options.cells
        chosen = {name for name, _ in cells} if cells is not None else None
        return [v for v in self.suite.variants if chosen is None or v.name in chosen]

    # -- the levels

    def _levels(self) -> None:
        steps: dict[str, Callable[[], None]] = {
            "L0": self._hazards,
            "L1": self._properties,
            "L2": self._scenarios,
            "L3": functools.partial(play_policies, self),
            TARGETED: functools.partial(play_targeted, self),
            COVERAGE: self._coverage,
        }
        if not self._steps_fit():
            return
        self._regressions()
        wanted = {*self.options.levels}
        if self.suite.chaotic and "L3" in wanted:
            wanted.add("floats")  # in the place of E3
        evidence = [level for level in EVIDENCE if level in wanted]
        with self._beside(evidence) as gathered:
            for level in steps:
                if level in self.options.levels:
                    steps[level]()
            programs = [self.host.program(variant) for variant in self.suite.variants]
            self.program = hashlib.sha256("".join(programs).encode()).hexdigest()
            found = gathered()
        for level in evidence:
            if (told := found[level]) is not None:
                self._gathered(level, told)

    @contextlib.contextmanager
    def _beside(self, levels: Sequence[str]) -> Iterator[Callable[[], Found]]:
        """Gathers evidence while the levels run, in processes that the judge asks nothing else;
        where nothing is isolated, when its result is asked for."""
        if not (levels and self.apart):
            yield lambda: self._evidence(self.host, levels, self.progress)
            return
        waiting = threading.Event()

        def progress(what: str, done: float) -> None:
            if waiting.is_set():
                self.progress(what, done)

        def gathered() -> Found:
            waiting.set()
            return running.result()

        with (
            ThreadPoolExecutor(1) as thread,
            IsolatedHost(self.suite, [self.options.bank, cache_dir()]) as host,
        ):
            running = thread.submit(self._evidence, host, levels, progress)
            yield gathered
            self.rows.append(host.conduct())

    def _conduct(self) -> None:
        if isinstance(self.host, IsolatedHost):
            self.rows.append(self.host.conduct())

    def _steps_fit(self) -> bool:
        """Whether `step` takes the states that `reset` and `step` return: else nothing can run."""
        rows = [self.host.same_avals(variant) for variant in self.suite.variants]
        self.rows += [row for row in rows if row.mismatches]
        return not self.rows

    def _regressions(self) -> None:
        """Every divergence ever found, first of all."""
        tapes = sorted((self.options.bank / self.suite.name).glob("*.json"))
        if not tapes:
            return
        row = self.row("bank", "", "")
        for path in tapes:
            started = time.perf_counter()
            tape = load(path)
            _, player = self.sides(tape.variant)
            starts = {name: value[None] for name, value in tape.start.items()}
            _, difference = player.play(starts, tape.actions[:, None])
            row.count += len(tape.actions)
            row.mismatches += difference.count
            if difference.count:
                row.what.append(f"{path.name}: {', '.join(difference.by_field)}")
            row.seconds += time.perf_counter() - started

    def _hazards(self) -> None:
        rounded = [variant for plan in self.suite.floats for variant in plan.variants]
        variants = list({repr(v): v for v in (*self.variants, *rounded)}.values())
        for i, variant in enumerate(variants):
            self.progress(f"L0 {variant.name}", i / len(variants))
            self.rows += self.host.hazards(variant)

    def _properties(self) -> None:
        for i in range(count := self.host.num_properties()):
            self.progress(f"L1 {i + 1} of {count}", i / count)
            self.rows.append(self.host.property(i, self.seed, self.options.examples))

    def _scenarios(self) -> None:
        longest = max((len(scenario.actions) for scenario in self.suite.scenarios), default=0)
        for i, scenario in enumerate(self.suite.scenarios):
            self.progress(f"L2 {scenario.name}", i / len(self.suite.scenarios))
            row = self.row("L2", scenario.variant.name, scenario.name)
            started = time.perf_counter()
            comparison, player = self.sides(scenario.variant)
            reference = player.reference(1)
            seed = derive_seed(self.seed, scenario.name)
            reference.reset(seed)
            fields = reference.snapshot()
            for name, value in scenario.place.items():
                fields[name] = np.full_like(fields[name], value)
            reference.restore(fields)
            # All as long as the longest, the last action held: one compilation a variant.
            tape = [*scenario.actions, *[scenario.actions[-1]] * (longest - len(scenario.actions))]
            actions = np.asarray(tape)[:, None]
            recording = record_tape(reference, actions)
            difference = comparison.from_here(recording)
            row.count = len(actions)
            row.mismatches = difference.count
            steps = [
                (
                    {k: v[t + 1, 0] for k, v in recording.snapshots.items()},
                    outcome_at(recording.outcome, t),
                )
                for t in range(len(actions))
            ]
            if difference.count:
                self.tell(row, scenario.variant, recording, difference, seed=seed)
            elif not scenario.happened(steps):
                row.mismatches = 1
                row.what = ["the reference did not do what the scenario is about"]
            row.seconds = time.perf_counter() - started

    def _evidence(self, host: Host, levels: Sequence[str], progress: Progress) -> Found:
        """Mutants in one process of the candidate, everything else in the other; then what no level
        killed, put to the prover in both."""
        shares = [[level for level in levels if (level == "mutants") == first] for first in (1, 0)]

        def gather(process: int) -> Found:
            found: Found = {}
            for level in shares[process]:
                progress(level, 0.0)
                found[level] = host.evidence(level, self.seed, progress, process)
            return found

        def prove(process: int, numbers: Sequence[int]) -> dict[int, tuple[str, str]]:
            return host.prove(numbers, self.seed, self.options.bank, progress, process)

        with ThreadPoolExecutor(2 if self.apart else 1) as threads:
            first, second = threads.map(gather, range(2))
            results = {**first, **second}
            if (matrix := results.get("mutants")) is not None:
                started = time.perf_counter()
                survivors = [matrix["survivors"][i::2] for i in range(2)]
                ours, theirs = threads.map(prove, range(2), survivors)
                seconds = matrix["seconds"] + time.perf_counter() - started
                from .strength import concluded

                told = concluded(matrix, {**ours, **theirs})
                results["mutants"] = {**told, "seconds": seconds}
        return results

    def _coverage(self) -> None:
        """What of the reference was reached by transitions that the judge compared."""
        from .coverage.measure import measure

        def sides(variant: Variant) -> Comparison:
            return self.sides(variant)[0]

        def found(variant: Variant, policy: str, recording: Recording, differ: Difference) -> None:
            self.tell(
                Row(COVERAGE, variant.name, policy), variant, recording, differ, seed=self.seed
            )

        started = time.perf_counter()
        told = measure(self.suite, self.seed, self.progress, comparison=sides, found=found)
        if told is not None:
            seconds = time.perf_counter() - started
            self._gathered(COVERAGE, {**told, "seconds": seconds})

    def _gathered(self, level: str, found: dict[str, Any]) -> None:
        row = self.row(level)
        row.count, row.what, row.seconds = found["count"], found["what"], found["seconds"]
        row.mismatches = 0 if found["holds"] else max(1, len(row.what))
        self.evidence[level] = found


def verify(suite: Suite, options: Options, progress: Progress = silent) -> dict[str, Any]:
    """Verify one suite; the JSON of `simlift verify`. Raises ReferenceUnavailable."""
    return Run(suite, options, progress).result()


def replay(path: Path) -> dict[str, Any]:
    """Play one tape on both sides: mismatches, and the steps side by side."""
    from .suites import get_suite

    tape = load(path)
    suite = get_suite(tape.suite)
    run = Run(suite, Options())
    with run.host:
        comparison, player = run.sides(tape.variant)
        starts = {name: value[None] for name, value in tape.start.items()}
        recording, difference = player.play(starts, tape.actions[:, None])
        trace = comparison.trace(comparison.synchronised(recording), recording)
    steps = [
        {
            "step": t,
            "action": recording.action[t, 0].tolist(),
            "fields": {
                name: {
                    "reference": trace.reference[name][t, 0].tolist(),
                    "ours": trace.ours[name][t, 0].tolist(),
                    "differs": bool(differs[t, 0]),
                }
                for name, differs in trace.differs.items()
            },
        }
        for t in range(recording.num_steps)
    ]
    return {
        "holds": difference.count == 0,
        "env": suite.name,
        "variant": tape.variant.name,
        "mismatches": difference.count,
        "found": dict(tape.found),
        "steps": steps,
    }

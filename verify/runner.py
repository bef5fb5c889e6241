"""`verify`: all levels of one suite, from the regression bank to whole free-running games."""

import dataclasses
import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..references.core import Outcome, VectorReference
from ..references.fetch import cache_dir
from .compare import Comparison
from .evidence import EVIDENCE, Progress
from .host import CandidateError, Host, LocalHost, Row
from .isolation import IsolatedHost, sources
from .record import ahead, record_policy, record_tape
from .story import Story, tell
from .suite import Suite, Variant, derive_seed
from .tape import Player, load

LEVELS = ("L0", "L1", "L2", "L3")
ALL_LEVELS = (*LEVELS, *EVIDENCE)
BANK = Path(__file__).parent / "regressions"
NUM_ENVS = 256
NUM_STEPS = 256  # of one recording
EXAMPLES = 200  # of one L1 property
MAX_STORIES = 5
SEED_BITS = 53  # what every JSON reader takes for an integer


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """episodes: whole games for each variant, spread over its policies; seed: None draws one after
    the sources of the candidate are fixed; isolated: the candidate in processes of its own, which
    find the suite by its name; cells: (variant, policy) pairs, to roll out these alone."""

    episodes: int = 200
    seed: int | None = 0
    isolated: bool = False
    levels: Sequence[str] = LEVELS
    examples: int = EXAMPLES
    bank: Path = BANK
    cells: Sequence[tuple[str, str]] | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"episodes={self.episodes} must be at least 1")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed} must lie in 0 .. 2**63 - 1")
        if unknown := set(self.levels) - set(ALL_LEVELS):
            raise ValueError(f"unknown levels {sorted(unknown)}; there are {list(ALL_LEVELS)}")


def silent(what: str, done: float) -> None:
    """No progress shown."""


class Run:
    """One verification. `rows` and `stories` fill up as it goes."""

    def __init__(self, suite: Suite, options: Options, progress: Progress = silent) -> None:
        self.suite, self.options, self.progress = suite, options, progress
        self.rows: list[Row] = []
        self.stories: list[Story] = []
        self.transitions = 0
        self.seed = options.seed or 0
        self.program = ""
        self.evidence: dict[str, dict[str, Any]] = {}
        self.host: Host = LocalHost(suite)
        self._comparisons: dict[str, tuple[Comparison, Player]] = {}

    def result(self) -> dict[str, Any]:
        """Run everything. The dict of DESIGN.md, section 6."""
        started = time.perf_counter()
        hashes = sources(self.suite)
        if self.options.seed is None:  # the candidate is fixed before anybody knows the seed
            self.seed = secrets.randbits(SEED_BITS)
        if self.options.isolated:
            self.host = IsolatedHost(self.suite, [self.options.bank, cache_dir()])
        with self.host:
            try:
                self._levels()
            except CandidateError as error:
                self.rows.append(Row("L0", "", "broke", 1, 1, what=[str(error)]))
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
            "isolated": self.options.isolated,
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
            "evidence": self.evidence,
            "divergences": [dataclasses.asdict(story) for story in self.stories],
            "seconds": time.perf_counter() - started,
        }

    def _claim(self, mismatches: int) -> dict[str, Any]:
        """E3 where every compared transition agrees, re-synchronised and running free."""
        policies = sorted({row.policy for row in self.rows if row.level == "L3 E3"})
        holds = mismatches == 0 and self.transitions > 0
        return {
            "class": "E3" if holds else None,
            "mismatch_rate_at_most": 3 / self.transitions if holds else None,
            "confidence": 0.95,
            "policies": policies,
            "variants": [variant.name for variant in self.suite.variants],
        }

    # -- the levels

    def _levels(self) -> None:
        steps: dict[str, Callable[[], None]] = {
            "L0": self._hazards,
            "L1": self._properties,
            "L2": self._scenarios,
            "L3": self._rollouts,
        }
        if self._steps_fit():
            self._regressions()
            for level in LEVELS:
                if level in self.options.levels:
                    steps[level]()
            self.program = self.host.program(self.suite.variants[0])
            self._evidence([level for level in EVIDENCE if level in self.options.levels])
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
        row = self._row("bank", "", "")
        for path in tapes:
            started = time.perf_counter()
            tape = load(path)
            _, player = self._comparison(tape.variant)
            starts = {name: value[None] for name, value in tape.start.items()}
            _, difference = player.play(starts, tape.actions[:, None])
            row.count += len(tape.actions)
            row.mismatches += difference.count
            if difference.count:
                row.what.append(f"{path.name}: {', '.join(difference.by_field)}")
            row.seconds += time.perf_counter() - started

    def _hazards(self) -> None:
        for i, variant in enumerate(self.suite.variants):
            self.progress(f"L0 {variant.name}", i / len(self.suite.variants))
            self.rows += self.host.hazards(variant)

    def _properties(self) -> None:
        for i in range(count := self.host.num_properties()):
            self.progress(f"L1 {i + 1} of {count}", i / count)
            self.rows.append(self.host.property(i, self.seed, self.options.examples))

    def _scenarios(self) -> None:
        longest = max((len(scenario.actions) for scenario in self.suite.scenarios), default=0)
        for i, scenario in enumerate(self.suite.scenarios):
            self.progress(f"L2 {scenario.name}", i / len(self.suite.scenarios))
            row = self._row("L2", scenario.variant.name, scenario.name)
            started = time.perf_counter()
            comparison, player = self._comparison(scenario.variant)
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
            states = comparison.synchronised(recording)
            difference = comparison.free_running(states, recording)[1]
            row.count = len(actions)
            row.mismatches = difference.count
            steps = [
                (
                    {k: v[t + 1, 0] for k, v in recording.snapshots.items()},
                    _outcome_at(recording.outcome, t),
                )
                for t in range(len(actions))
            ]
            if difference.count:
                step, instance = difference.first()
                story = tell(
                    self.suite, player, recording, self.options.bank,
                    level="L2", policy=scenario.name, seed=seed, steps_before=0, step=step,
                    instance=instance, transitions=difference.count, by_field=difference.by_field,
                )  # fmt: skip
                self._keep(row, story)
            elif not scenario.happened(steps):
                row.mismatches = 1
                row.what = ["the reference did not do what the scenario is about"]
            row.seconds = time.perf_counter() - started

    def _rollouts(self) -> None:
        cells = [
            (variant, name)
            for variant in self.suite.variants
            for name in self.suite.policies(variant)
            if self.options.cells is None or (variant.name, name) in self.options.cells
        ]
        for i, (variant, policy) in enumerate(cells):
            episodes = -(-self.options.episodes // len(self.suite.policies(variant)))
            with self.suite.reference(variant, min(NUM_ENVS, episodes)) as reference:
                stop_after = -(-episodes // reference.num_envs)
                self._rollout(
                    variant, policy, reference, stop_after, i / len(cells), 1 / len(cells)
                )

    def _rollout(
        self,
        variant: Variant,
        policy: str,
        reference: VectorReference,
        stop_after: int,
        done: float,
        share: float,
    ) -> None:
        """stop_after: episodes of each instance; done, share: what the progress shows."""
        comparison, player = self._comparison(variant)
        play, num_envs = self.suite.policies(variant)[policy], reference.num_envs
        seed = derive_seed(self.seed, variant.name, policy)
        e2 = self._row("L3 E2", variant.name, policy)
        e3 = self._row("L3 E3", variant.name, policy)
        states, steps, digest = None, 0, hashlib.sha256()
        label = f"L3 {variant.name}, {policy}"
        self.progress(label, done)
        recordings = ahead(record_policy(self.suite, reference, play, seed, NUM_STEPS, stop_after))
        for first, first_draws, recording in recordings:
            started = time.perf_counter()
            if states is None:
                states, shown = comparison.start(first_draws)
                if wrong := comparison.reset_difference(shown, recording, first):
                    e3.mismatches += wrong
                    e3.what.append(f"{wrong} of {num_envs} resets differ")
            # First on its own: the states in between, which E2 shows, are the answers here.
            states, free = comparison.free_running(states, recording)
            e3.seconds += time.perf_counter() - started
            started = time.perf_counter()
            resynchronised = comparison.resynchronised(recording)
            e2.seconds += time.perf_counter() - started
            ended = recording.outcome.terminated | recording.outcome.truncated
            self.transitions += recording.action.size
            for row, difference in ((e2, resynchronised), (e3, free)):
                row.count += recording.action.size
                row.episodes += int(ended.sum())
                row.mismatches += difference.count
            recording.add_to(digest)
            e2.sha256 = e3.sha256 = digest.hexdigest()
            found = resynchronised if resynchronised.count else free
            if found.count:
                step, instance = found.first()
                row = e2 if found is resynchronised else e3
                story = tell(
                    self.suite, player, recording, self.options.bank,
                    level=row.level, policy=policy, seed=seed, steps_before=steps, step=step,
                    instance=instance, transitions=found.count, by_field=found.by_field,
                )  # fmt: skip
                self._keep(row, story)
                return  # one story a cell: what follows only repeats it
            steps += recording.num_steps
            self.progress(label, done + share * min(1.0, e2.episodes / (num_envs * stop_after)))

    def _evidence(self, levels: Sequence[str]) -> None:
        """Mutants in one process of the candidate, everything else in the other."""
        shares = [[level for level in levels if (level == "mutants") == first] for first in (1, 0)]

        def gather(process: int) -> dict[str, dict[str, Any] | None]:
            found = {}
            for level in shares[process]:
                self.progress(level, 0.0)
                found[level] = self.host.evidence(level, self.seed, self.progress, process)
            return found

        with ThreadPoolExecutor(2 if self.options.isolated else 1) as threads:
            first, second = threads.map(gather, range(2))
        results = {**first, **second}
        for level in levels:
            if (found := results[level]) is not None:
                row = self._row(level, "", "")
                row.count, row.what, row.seconds = found["count"], found["what"], found["seconds"]
                row.mismatches = 0 if found["holds"] else max(1, len(row.what))
                self.evidence[level] = found

    # -- helpers

    def _row(self, level: str, variant: str, policy: str) -> Row:
        self.rows.append(Row(level, variant, policy))
        return self.rows[-1]

    def _keep(self, row: Row, story: Story) -> None:
        row.what.append(f"{story.field} at step {story.step}; simlift replay {story.tape}")
        if len(self.stories) < MAX_STORIES:
            self.stories.append(story)

    def _comparison(self, variant: Variant) -> tuple[Comparison, Player]:
        key = repr(variant)
        if key not in self._comparisons:
            with self.suite.reference(variant, 1) as reference:
                sites = reference.draw_sites
            comparison = Comparison(self.suite, self.host.candidate(variant, sites), sites)
            self._comparisons[key] = comparison, Player(self.suite, comparison, variant)
        return self._comparisons[key]


def _outcome_at(outcome: Outcome, step: int) -> Outcome:
    """The outcome of one step of instance 0."""
    values = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome)}
    return Outcome(**{k: None if v is None else v[step, 0] for k, v in values.items()})  # type: ignore[arg-type]


def verify(suite: Suite, options: Options, progress: Progress = silent) -> dict[str, Any]:
    """Verify one suite; the JSON of `simlift verify`. Raises ReferenceUnavailable."""
    return Run(suite, options, progress).result()


def replay(path: Path) -> dict[str, Any]:
    """Play one tape on both sides: mismatches, and the steps side by side."""
    from .suites import get_suite

    tape = load(path)
    suite = get_suite(tape.suite)
    run = Run(suite, Options())
    comparison, player = run._comparison(tape.variant)
    starts = {name: value[None] for name, value in tape.start.items()}
    recording, difference = player.play(starts, tape.actions[:, None])
    trace = comparison.trace(comparison.synchronised(recording), recording)
    steps = [
        {
            "step": t,
            "action": recording.action[t, 0].item(),
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

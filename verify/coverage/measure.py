"""All of it for one suite: coverage by compared transitions, content, and the explorer's tapes."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..compare import Comparison, Difference
from ..record import Recording, record_policy
from ..suite import Suite, SuiteError, Variant, derive_seed
from .collector import Collector, collector
from .explorer import explore
from .plan import Coverage, judge

NUM_ENVS = 8
NUM_STEPS = 256  # of one recording
MAX_RECORDINGS = 8  # of one variant and policy
EXPLORER_STEPS = 60_000  # of one variant

Found = Callable[[Variant, str, Recording, Difference], None]
"""Told of a recording that did not agree: (variant, policy, recording, difference)."""
Progress = Callable[[str, float], None]
"""Told what is being done, and how far it is: 0 .. 1."""


class Measurement(contextlib.ExitStack):
    """What compared recordings reached, added up. A context manager: it holds the instrumented
    references. Raises SuiteError where the suite declares no coverage."""

    def __init__(self, suite: Suite) -> None:
        super().__init__()
        if suite.coverage is None:
            raise SuiteError(f"{suite.name} declares no coverage; give its Suite a CoveragePlan")
        self.suite, self.plan = suite, suite.coverage
        self.transitions = 0
        self.content: dict[str, dict[str, int]] = {}
        self._collectors: dict[str, Collector] = {}

    def add(self, variant: Variant, recording: Recording, bad: np.ndarray) -> None:
        """Count a recording; bad: bool [T, B], where it was compared and did not agree."""
        if variant.name not in self._collectors:
            opened = self.enter_context(collector(self.plan, self.suite, variant))
            self._collectors[variant.name] = opened
        self.transitions += self._collectors[variant.name].replay(recording, bad)
        if self.suite.content is not None and not bad.any():
            for kind, items in self.suite.content(recording).items():
                counts = self.content.setdefault(kind, {})
                for item, count in items.items():
                    counts[item] = counts.get(item, 0) + count

    def coverage(self) -> Coverage:
        """Over all variants, so far."""
        merged = Coverage({}, {})
        for each in self._collectors.values():
            merged = each.report() | merged
        return merged


def measure(
    suite: Suite,
    seed: int,
    *,
    comparison: Callable[[Variant], Comparison] | None = None,
    explorer_steps: int = EXPLORER_STEPS,
    found: Found | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compare what the suite's policies and the explorer play, and tell what of the reference ran.

    comparison: how a variant is compared, `Comparison.local` by default. Returns
    holds: everything that was compared agrees, and every branch and line is reached or waived;
    compared: transitions, mismatches; coverage: see `judge`; content: kind -> item -> count, and
    unused: kind -> the items never used; explorer: {variant: {steps, cells, tapes}} and under
    "added" the branches "file:line" that no policy had reached; levels: a row for each variant and
    policy, as the runner's; seconds.
    Raises SuiteError where the suite declares no coverage, ReferenceUnavailable without its tools.
    """
    started = time.perf_counter()
    run = _Run(suite, seed, comparison or (lambda v: Comparison.local(suite, v)), found)
    share = 1 / len(suite.variants)
    with Measurement(suite) as measurement:
        for i, variant in enumerate(suite.variants):
            for policy in suite.policies(variant):
                if progress is not None:
                    progress(f"coverage {variant.name}, {policy}", 0.8 * i * share)
                run.play(measurement, variant, policy)
        before = measurement.coverage()
        explorer: dict[str, Any] = {}
        for i, variant in enumerate(suite.variants):
            if progress is not None:
                progress(f"explorer {variant.name}", 0.8 + 0.2 * i * share)
            explorer[variant.name] = run.explore(measurement, variant, explorer_steps)
        coverage = measurement.coverage()
    added = [
        f"{file}:{line}"
        for (file, line, branch), count in coverage.branches.items()
        if count and not before.branches.get((file, line, branch))
    ]
    judged = judge(measurement.plan, coverage)
    mismatches = sum(row["mismatches"] for row in run.rows)
    return {
        "holds": mismatches == 0 and judged["holds"],
        "compared": measurement.transitions,
        "mismatches": mismatches,
        "coverage": judged,
        "content": measurement.content,
        "unused": _unused(measurement.content),
        "explorer": {"variants": explorer, "added": sorted(set(added))},
        "levels": run.rows,
        "seconds": time.perf_counter() - started,
    }


def _unused(content: Mapping[str, Mapping[str, int]]) -> dict[str, list[str]]:
    unused = {kind: [item for item, n in items.items() if not n] for kind, items in content.items()}
    return {kind: items for kind, items in unused.items() if items}


@dataclasses.dataclass
class _Run:
    suite: Suite
    seed: int
    compare: Callable[[Variant], Comparison]
    found: Found | None
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    comparisons: dict[str, Comparison] = dataclasses.field(default_factory=dict)

    def comparison(self, variant: Variant) -> Comparison:
        if variant.name not in self.comparisons:
            self.comparisons[variant.name] = self.compare(variant)
        return self.comparisons[variant.name]

    def play(self, measurement: Measurement, variant: Variant, policy: str) -> None:
        """One episode of every instance, or as many recordings as there may be."""
        row = self._row("coverage", variant, policy)
        started = time.perf_counter()
        seed = derive_seed(self.seed, "coverage", variant.name, policy)
        act = self.suite.policies(variant)[policy]
        with self.suite.reference(variant, NUM_ENVS) as reference:
            played = record_policy(self.suite, reference, act, seed, NUM_STEPS, 1)
            for number, (_, _, recording) in enumerate(played, 1):
                difference = self.comparison(variant).resynchronised(recording)
                self._note(row, variant, recording, difference)
                measurement.add(variant, recording, difference.bad)
                if number == MAX_RECORDINGS:
                    break
        row["seconds"] = time.perf_counter() - started

    def explore(self, measurement: Measurement, variant: Variant, steps: int) -> dict[str, int]:
        """Search, then compare the tapes: re-synchronised, and running free from their starts."""
        row = self._row("L3 targeted", variant, "explorer")
        started = time.perf_counter()
        explored = explore(self.suite, variant, self.seed, steps)
        comparison = self.comparison(variant)
        for recording in explored.recordings:
            difference = comparison.resynchronised(recording)
            _, free = comparison.free_running(comparison.synchronised(recording), recording)
            self._note(row, variant, recording, difference if difference.count else free)
            measurement.add(variant, recording, difference.bad | free.bad)
        row["seconds"] = time.perf_counter() - started
        tapes = sum(recording.num_envs for recording in explored.recordings)
        return {"steps": explored.steps, "cells": explored.cells, "tapes": tapes}

    def _row(self, level: str, variant: Variant, policy: str) -> dict[str, Any]:
        row = {"level": level, "variant": variant.name, "policy": policy}
        self.rows.append(row | {"count": 0, "mismatches": 0, "seconds": 0.0, "episodes": 0})
        return self.rows[-1]

    def _note(
        self, row: dict[str, Any], variant: Variant, recording: Recording, difference: Difference
    ) -> None:
        row["count"] += recording.num_steps * recording.num_envs
        row["mismatches"] += difference.count
        row["episodes"] += int((recording.outcome.terminated | recording.outcome.truncated).sum())
        if difference.count and self.found is not None:
            self.found(variant, row["policy"], recording, difference)

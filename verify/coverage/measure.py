"""All of it for one suite: coverage by compared transitions, content, and the explorer's tapes."""

import contextlib
import dataclasses
import functools
import operator
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compare import Comparison, Difference, inputs_of
from ..record import Recording, map_log, record_policy, record_tape
from ..suite import Suite, SuiteError, Variant, derive_seed
from .collector import Collector, collector
from .explorer import BUDGET_STEPS, explore
from .plan import Coverage, judge

if TYPE_CHECKING:
    from ..evidence import Progress

NUM_ENVS = 8
NUM_STEPS = 256  # of one recording
MAX_RECORDINGS = 8  # of one variant and policy

Found = Callable[[Variant, str, Recording, Difference], None]
"""Told of a recording that did not agree: (variant, policy, or "scenarios" or "explorer",
recording, difference)."""


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
        reports = [each.report() for each in self._collectors.values()]
        # From the first one on: only what V8 told is merged character by character.
        return functools.reduce(operator.or_, reports) if reports else Coverage({}, {})


def measure(
    suite: Suite,
    seed: int,
    progress: "Progress | None" = None,
    *,
    comparison: Callable[[Variant], Comparison] | None = None,
    explorer_steps: int = BUDGET_STEPS,
    found: Found | None = None,
) -> dict[str, Any] | None:
    """Compare scenarios, policies and the explorer's tapes, and tell what of the reference ran.

    comparison: how a variant is compared, `Comparison.local` by default. None where the suite
    declares no coverage, else
    holds: all that was compared agrees, and every branch and line is reached or waived; count:
    compared transitions; what: a line for each thing that is unreached, stale or different;
    mismatches; coverage: see `judge`; content: kind -> item -> count; unused: kind -> the items
    never used; explorer: {variants: {name: {steps, cells, tapes}}, added: the lines "file:line"
    with a branch that neither scenarios nor policies had reached}; played: a row for each variant
    and policy: {what, variant, policy, count, mismatches, episodes, seconds}.
    Raises ReferenceUnavailable, with the remedy, without the tools.
    """
    if suite.coverage is None:
        return None
    run = _Run(suite, seed, comparison or (lambda v: Comparison.local(suite, v)), found)
    variants = [*suite.variants]
    variants += {s.variant.name: s.variant for s in suite.scenarios}.values()
    variants = list({variant.name: variant for variant in variants}.values())
    explorer: dict[str, Any] = {}

    def show(what: str, done: float) -> None:
        if progress is not None:
            progress(what, done)

    with Measurement(suite) as measurement:
        for i, variant in enumerate(variants):
            show(f"coverage {variant.name}", 0.7 * i / len(variants))
            run.scenarios(measurement, variant)
            if variant in suite.variants:
                for policy in suite.policies(variant):
                    run.play(measurement, variant, policy)
        before = measurement.coverage()
        for i, variant in enumerate(suite.variants):
            show(f"explorer {variant.name}", 0.7 + 0.3 * i / len(suite.variants))
            explorer[variant.name] = run.explore(measurement, variant, explorer_steps)
        coverage = measurement.coverage()
    added = {
        f"{file}:{line}"
        for (file, line, branch), count in coverage.branches.items()
        # V8 names some branches only later, of which it is not known that they were not reached.
        if count and before.branches.get((file, line, branch)) == 0
    }
    judged = judge(measurement.plan, coverage)
    mismatches = sum(row["mismatches"] for row in run.rows)
    return {
        "holds": mismatches == 0 and judged["holds"],
        "count": measurement.transitions,
        "what": [*run.different(), *judged["stale"], *_unreached(judged)],
        "mismatches": mismatches,
        "coverage": judged,
        "content": measurement.content,
        "unused": _unused(measurement.content),
        "explorer": {"variants": explorer, "added": sorted(added)},
        "played": run.rows,
    }


def _unreached(judged: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}:{row['line']} not reached"
        + (f" ({row['branches']} of {row['of']} branches)" if row["of"] else "")
        + f": {row['text']}"
        for name, file in judged["files"].items()
        for row in file["unreached"]
    ]


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

    def scenarios(self, measurement: Measurement, variant: Variant) -> None:
        """The suite's scenarios of this variant, all at once, an instance for each."""
        scenarios = [s for s in self.suite.scenarios if s.variant.name == variant.name]
        if not scenarios:
            return
        row = self._row("scenarios", variant, "")
        started = time.perf_counter()
        longest = max(len(scenario.actions) for scenario in scenarios)
        # All as long as the longest, the last action held.
        tapes = [[*s.actions, *[s.actions[-1]] * (longest - len(s.actions))] for s in scenarios]
        with self.suite.reference(variant, len(scenarios)) as reference:
            reference.reset(derive_seed(self.seed, "coverage", variant.name, "scenarios"))
            fields = reference.snapshot()
            for i, scenario in enumerate(scenarios):
                for name, value in scenario.place.items():
                    fields[name][i] = value
            reference.restore(fields)
            recording = record_tape(reference, np.asarray(tapes).swapaxes(0, 1))
        self._compare(measurement, row, variant, recording)
        row["seconds"] = time.perf_counter() - started

    def play(self, measurement: Measurement, variant: Variant, policy: str) -> None:
        """One episode of every instance, or as many recordings as there may be."""
        row = self._row("policy", variant, policy)
        started = time.perf_counter()
        seed = derive_seed(self.seed, "coverage", variant.name, policy)
        act = self.suite.policies(variant)[policy]
        with self.suite.reference(variant, NUM_ENVS) as reference:
            played = record_policy(self.suite, reference, act, seed, NUM_STEPS, 1)
            for number, (_, _, recording) in enumerate(played, 1):
                self._compare(measurement, row, variant, recording)
                if number == MAX_RECORDINGS:
                    break
        row["seconds"] = time.perf_counter() - started

    def explore(self, measurement: Measurement, variant: Variant, steps: int) -> dict[str, int]:
        """Search, then compare the tapes."""
        row = self._row("explorer", variant, "")
        started = time.perf_counter()
        explored = explore(self.suite, variant, self.seed, steps)
        for recording in explored.recordings:
            self._compare(measurement, row, variant, recording)
        row["seconds"] = time.perf_counter() - started
        tapes = sum(recording.num_envs for recording in explored.recordings)
        return {"steps": explored.steps, "cells": explored.cells, "tapes": tapes}

    def different(self) -> list[str]:
        return [
            f"{row['what']} {row['policy']} on {row['variant']}: "
            f"{row['mismatches']} transitions differ"
            for row in self.rows
            if row["mismatches"]
        ]

    def _row(self, what: str, variant: Variant, policy: str) -> dict[str, Any]:
        row = {"what": what, "variant": variant.name, "policy": policy}
        self.rows.append(row | {"count": 0, "mismatches": 0, "seconds": 0.0, "episodes": 0})
        return self.rows[-1]

    def _compare(
        self, measurement: Measurement, row: dict[str, Any], variant: Variant, recording: Recording
    ) -> None:
        difference = resynchronised(self.comparison(variant), recording)
        row["count"] += recording.num_steps * recording.num_envs
        row["mismatches"] += difference.count
        row["episodes"] += int((recording.outcome.terminated | recording.outcome.truncated).sum())
        if difference.count and self.found is not None:
            self.found(variant, row["policy"] or row["what"], recording, difference)
        measurement.add(variant, recording, difference.bad)


def resynchronised(comparison: Comparison, recording: Recording) -> Difference:
    """`comparison.resynchronised` in pieces of one size: compiled once, whatever the recording."""
    shape = recording.action.shape[:2]
    size = shape[0] * shape[1]

    whole = -(-size // (NUM_STEPS * NUM_ENVS)) * NUM_STEPS * NUM_ENVS
    index = np.minimum(np.arange(whole), size - 1).reshape(-1, NUM_STEPS, NUM_ENVS)

    def pieces(x: np.ndarray) -> np.ndarray:
        """[T, B, ...] -> [pieces, NUM_STEPS, NUM_ENVS, ...], the last transition repeated."""
        return x.reshape(size, *x.shape[2:])[index]

    before = {name: pieces(value[:-1]) for name, value in recording.snapshots.items()}
    inputs = inputs_of(recording)
    action, log = pieces(inputs["action"]), map_log(inputs["draws"], pieces)
    parts = [
        comparison.candidate.resynchronised(
            {name: fields[i] for name, fields in before.items()},
            {"action": action[i], "draws": map_log(log, lambda x: x[i])},  # noqa: B023
        )
        for i in range(len(action))
    ]
    ours = {}
    for name in parts[0]:
        flat = np.concatenate([part[name] for part in parts]).reshape(-1, *parts[0][name].shape[2:])
        ours[name] = flat[:size].reshape(*shape, *flat.shape[1:])
    return comparison.judge(recording, ours)

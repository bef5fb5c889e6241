"""Counting what the reference runs: compared transitions only, in the plan's sources only."""

import abc
import contextlib
from collections.abc import Iterator

import numpy as np

from ...references.core import Closing, DrawLog, VectorReference
from ..record import Recording
from ..suite import Suite, SuiteError, Variant
from .plan import Coverage, CoveragePlan


class ReplayDiffers(RuntimeError):
    """The instrumented reference did not do again what was recorded; the message says where."""


class Collector(Closing, abc.ABC):
    """An instrumented build of one suite's reference for one variant. A context manager.

    Entering raises ReferenceUnavailable, with the remedy, where the tools are missing.
    """

    def __init__(self, plan: CoveragePlan, suite: Suite, variant: Variant) -> None:
        self.plan, self.suite, self.variant = plan, suite, variant
        self._references: dict[int, VectorReference] = {}

    @abc.abstractmethod
    def counting(self) -> contextlib.AbstractContextManager[None]:
        """What the references of this collector run meanwhile counts."""

    @abc.abstractmethod
    def measured(self) -> Coverage:
        """All that counted so far."""

    def build(self, num_envs: int) -> VectorReference:
        """A new instrumented reference."""
        return self.suite.reference(self.variant, num_envs)

    def reference(self, num_envs: int) -> VectorReference:
        """The instrumented reference for a batch of this size, made on first use."""
        if num_envs not in self._references:
            self._references[num_envs] = self.build(num_envs)
        return self._references[num_envs]

    def report(self) -> Coverage:
        """`measured`; raises SuiteError for a source of which the tool saw no line."""
        coverage = self.measured()
        seen = {name for name, _ in coverage.lines}
        if missing := [s.name for s in self.plan.sources if s.name not in seen]:
            raise SuiteError(
                f"{self.suite.name}: the reference's program has no line of {missing}; correct "
                "the sources of the suite's coverage"
            )
        return coverage

    def replay(self, recording: Recording, bad: np.ndarray) -> int:
        """Play a compared recording again and count it; bad: bool [T, B], what did not agree.

        An instance with a transition that did not agree is left out whole. Returns the number of
        transitions counted. Raises ReplayDiffers unless observations, rewards, ends and the last
        snapshot are bit by bit what was recorded.
        """
        agreed = ~np.asarray(bad.any(0))
        if not agreed.any():
            return 0
        reference = self.reference(int(agreed.sum()))
        reference.restore({name: value[0, agreed] for name, value in recording.snapshots.items()})
        outcomes = []
        with self.counting():
            for step in range(recording.num_steps):
                if self.plan.force:
                    reference.force(_draws_at(recording.draws, step, agreed))
                outcomes.append(reference.step(recording.action[step, agreed]))
        for step, outcome in enumerate(outcomes):
            for name in ("observation", "reward", "terminated", "truncated"):
                recorded = getattr(recording.outcome, name)[step, agreed]
                self._check_same(f"{name} of step {step}", getattr(outcome, name), recorded)
        for name, value in reference.snapshot().items():
            self._check_same(f"{name} at the end", value, recording.snapshots[name][-1, agreed])
        return recording.num_steps * int(agreed.sum())

    def _check_same(self, what: str, again: np.ndarray, recorded: np.ndarray) -> None:
        if again.dtype != recorded.dtype or again.tobytes() != recorded.tobytes():
            raise ReplayDiffers(
                f"{self.suite.name}, {self.variant.name}: played again on the instrumented "
                f"reference, {what} is not what was recorded; let its snapshot be complete, or its "
                "compiler flags keep the rounding"
            )

    def close(self) -> None:
        for reference in self._references.values():
            reference.close()
        self._references.clear()


def _draws_at(draws: DrawLog, step: int, instances: np.ndarray) -> DrawLog:
    """The draws of one step of some instances, bool [B], out of a log [T, B, ...]."""
    return DrawLog(
        count=draws.count[step, instances],
        site=draws.site[step, instances],
        value=draws.value[step, instances],
        bound=None if draws.bound is None else draws.bound[step, instances],
        step_count=None if draws.step_count is None else draws.step_count[step, instances],
    )


@contextlib.contextmanager
def collector(plan: CoveragePlan, suite: Suite, variant: Variant) -> Iterator[Collector]:
    """The collector of the plan's kind, closed at the end."""
    from .gcov import GcovCollector
    from .python import PythonCollector
    from .v8 import V8Collector

    kinds: dict[str, type[Collector]] = {
        "gcov": GcovCollector,
        "python": PythonCollector,
        "v8": V8Collector,
    }
    with kinds[plan.kind](plan, suite, variant) as chosen:
        yield chosen

"""What one step of the reference took: the explorer's cells."""

import abc
import ctypes
import functools
import os
import sys
from collections.abc import Hashable
from types import FrameType
from typing import Any

import numpy as np

from ...references.core import Outcome, Snapshot, VectorReference
from ..suite import Suite, SuiteError, Variant

FLAGS = ("-O0", "-ffp-contract=off", "-fsanitize-coverage=trace-pc", "-DSIMLIFT_ARCS")
ARC_WORDS = 16  # references/instrument.h


_real = functools.cache(os.path.realpath)


class Cells(abc.ABC):
    """A batch of references whose every step says, for each instance, which cell it is in."""

    reference: VectorReference

    @abc.abstractmethod
    def step(self, actions: np.ndarray) -> tuple[Outcome, Snapshot, list[Hashable]]:
        """One step of the reference: (outcome, snapshot after it, cells [B])."""


class LibraryArcs(Cells):
    """A C library that notes its arcs, see references/instrument.h; a cell is the set of them."""

    def __init__(self, suite: Suite, variant: Variant, num_envs: int) -> None:
        assert suite.coverage is not None and suite.coverage.build is not None
        self.reference = suite.coverage.build(variant, num_envs, FLAGS)
        library: Any = self.reference.library  # type: ignore[attr-defined]
        self._into = library.simlift_arcs_into
        self._into.argtypes = [ctypes.c_void_p]
        self._table = np.zeros((num_envs, ARC_WORDS), np.uint64)

    def step(self, actions: np.ndarray) -> tuple[Outcome, Snapshot, list[Hashable]]:
        self._into(self._table.ctypes.data)
        try:
            outcome = self.reference.step(actions)
        finally:
            self._into(None)
        return outcome, self.reference.snapshot(), [row.tobytes() for row in self._table]


class PythonArcs(Cells):
    """The pairs of lines that follow each other in the sources; one instance, for a trace does not
    tell instances apart."""

    def __init__(self, suite: Suite, variant: Variant) -> None:
        assert suite.coverage is not None
        self.reference = suite.reference(variant, 1)
        self._paths = {str(source.path().resolve()) for source in suite.coverage.sources}

    def step(self, actions: np.ndarray) -> tuple[Outcome, Snapshot, list[Hashable]]:
        arcs: set[tuple[str, int, int]] = set()

        def enter(frame: FrameType, event: str, argument: Any) -> Any:
            path = frame.f_code.co_filename
            if _real(path) not in self._paths:
                return None
            last = -frame.f_code.co_firstlineno

            def line(frame: FrameType, event: str, argument: Any) -> Any:
                nonlocal last
                if event == "line":
                    arcs.add((path, last, frame.f_lineno))
                    last = frame.f_lineno
                return line

            return line

        before = sys.gettrace()
        sys.settrace(enter)
        try:
            outcome = self.reference.step(actions)
        finally:
            sys.settrace(before)
        return outcome, self.reference.snapshot(), [frozenset(arcs)]


class GivenCells(Cells):
    """What the plan's own `cell` tells apart."""

    def __init__(self, suite: Suite, variant: Variant, num_envs: int) -> None:
        assert suite.coverage is not None and suite.coverage.cell is not None
        self.reference = suite.reference(variant, num_envs)
        self._cell = suite.coverage.cell

    def step(self, actions: np.ndarray) -> tuple[Outcome, Snapshot, list[Hashable]]:
        outcome = self.reference.step(actions)
        snapshot = self.reference.snapshot()
        return outcome, snapshot, self._cell(snapshot, outcome).tolist()


def cells_of(suite: Suite, variant: Variant, num_envs: int) -> Cells:
    """Cells by the plan's own function, else by arcs. Raises SuiteError where there are neither."""
    plan = suite.coverage
    if plan is None:
        raise SuiteError(f"{suite.name} declares no coverage; give its Suite a CoveragePlan")
    if plan.cell is not None:
        return GivenCells(suite, variant, num_envs)
    match plan.kind:
        case "gcov":
            return LibraryArcs(suite, variant, num_envs)
        case "python":
            return PythonArcs(suite, variant)
    raise SuiteError(
        f"{suite.name}: {plan.kind} tells no arcs of a single step; give the CoveragePlan a `cell`"
    )

"""Coverage of a reference in C: gcc's counters, read by gcov."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...references.core import ReferenceUnavailable, VectorReference
from ..suite import SuiteError
from .collector import Collector
from .plan import Branch, Coverage, Line, Source

FLAGS = ("-O0", "-ffp-contract=off", "--coverage", "-DSIMLIFT_COVERAGE")
"""Unoptimised, so that branches are those of the source; `replay` checks that it computes the
same."""
_REDIRECTION = ("GCOV_PREFIX", "GCOV_PREFIX_STRIP")
_ALL_FOLDERS = "999"  # strip them all: the counters land right in GCOV_PREFIX


class GcovCollector(Collector):
    """The counters belong to the library, which is one for the whole process: reset on entering
    `counting`, written out and added up on leaving it."""

    def __enter__(self) -> "GcovCollector":
        if shutil.which("gcov") is None:
            raise ReferenceUnavailable(
                f"coverage of {self.suite.name} needs gcov and none is on PATH; it comes with gcc "
                "(apt-get install gcc)"
            )
        self._library = self.reference(1).library  # type: ignore[attr-defined]
        self._coverage = Coverage({}, {})
        self._library.simlift_coverage_reset()
        with self.counting():  # nothing: every line is known, at zero
            pass
        return self

    def build(self, num_envs: int) -> VectorReference:
        assert self.plan.build is not None
        return self.plan.build(self.variant, num_envs, FLAGS)

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        self._library.simlift_coverage_reset()
        try:
            yield
        finally:
            counted = self._dump()  # also when leaving by an exception: nothing is left to exit
        self._coverage |= counted

    def measured(self) -> Coverage:
        return self._coverage

    def _dump(self) -> Coverage:
        notes = Path(self._library._name).with_suffix(".gcno")
        with tempfile.TemporaryDirectory(prefix="simlift-gcov-") as folder:
            before = {name: os.environ.get(name) for name in _REDIRECTION}
            os.environ |= dict(zip(_REDIRECTION, (folder, _ALL_FOLDERS), strict=True))
            try:
                self._library.simlift_coverage_dump()
            finally:
                for name, value in before.items():
                    os.environ.pop(name)
                    if value is not None:
                        os.environ[name] = value
            (counters,) = Path(folder).glob("*.gcda")
            shutil.copy(notes, counters.with_suffix(".gcno"))
            gcov = subprocess.run(
                ["gcov", "--json-format", "--branch-probabilities", "--stdout", counters.name],
                cwd=folder,
                capture_output=True,
                text=True,
            )
        try:
            data = json.loads(gcov.stdout)
        except ValueError:
            said = (gcov.stderr or gcov.stdout).strip().splitlines() or ["it says nothing"]
            raise ReferenceUnavailable(
                f"gcov does not read what the compiler wrote: {said[0]}; let gcov and gcc be of "
                "one version (apt-get install --reinstall gcc)"
            ) from None
        by_path = {Path(file["file"]).resolve(): file for file in data["files"]}
        return parse(self.plan.sources, by_path)


def parse(sources: Any, by_path: dict[Path, dict[str, Any]]) -> Coverage:
    """The plan's part of what gcov said. Raises SuiteError for an excluded function that is not
    there."""
    lines: dict[Line, int] = {}
    branches: dict[Branch, int] = {}
    for source in sources:
        file = by_path.get(source.path().resolve())
        if file is None:
            continue
        _check_excluded(source, {function["name"] for function in file["functions"]})
        for line in file["lines"]:
            if line.get("function_name") in source.excluded:
                continue
            at = (source.name, line["line_number"])
            lines[at] = lines.get(at, 0) + line["count"]
            for i, branch in enumerate(line["branches"]):
                branches[(*at, str(i))] = branches.get((*at, str(i)), 0) + branch["count"]
    return Coverage(lines, branches)


def _check_excluded(source: Source, functions: set[str]) -> None:
    if unknown := source.excluded.keys() - functions:
        raise SuiteError(f"{source.name} has no functions {sorted(unknown)} to exclude")

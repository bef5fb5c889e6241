"""Coverage of a reference in Python, in this process, by coverage.py."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...references.core import ReferenceUnavailable
from ..suite import SuiteError
from .collector import Collector
from .plan import Branch, Coverage, Line

OUTSIDE = ""  # how coverage.py calls what stands in no function


class PythonCollector(Collector):
    """coverage.py tells whether a line or branch ran, not how often: every count is 0 or 1.

    Functions are named as `Class.method`; excluding a class or a function excludes what it holds.
    """

    def __enter__(self) -> "PythonCollector":
        try:
            import coverage
        except ImportError:
            raise ReferenceUnavailable(
                f"coverage of {self.suite.name} needs coverage.py: pip install 'simlift[evidence]'"
            ) from None
        self._paths = {str(s.path().resolve()): s for s in self.plan.sources}
        self._measuring = coverage.Coverage(
            data_file=None, config_file=False, branch=True, include=list(self._paths)
        )
        self._measuring.set_option("run:disable_warnings", ["no-data-collected"])
        data = self._measuring.get_data()
        data.add_arcs({path: [] for path in self._paths})  # known, also when none of it runs
        data.touch_files(self._paths)
        return self

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        self._measuring.start()
        try:
            yield
        finally:
            self._measuring.stop()

    def measured(self) -> Coverage:
        lines: dict[Line, int] = {}
        branches: dict[Branch, int] = {}
        for path, source in self._paths.items():
            functions = self._functions(path)
            within = {name: _within(name) for name in functions}
            if unknown := source.excluded.keys() - set().union(*within.values()):
                raise SuiteError(f"{source.name} has no functions {sorted(unknown)} to exclude")
            for name, function in functions.items():
                if name == OUTSIDE or within[name] & source.excluded.keys():
                    continue
                for count, what in ((1, "executed"), (0, "missing")):
                    for line in function[f"{what}_lines"]:
                        lines[source.name, line] = count
                    for line, target in function[f"{what}_branches"]:
                        label = f"to line {target}" if target > 0 else "to the end"
                        branches[source.name, line, label] = count
        return Coverage(lines, branches)

    def _functions(self, path: str) -> dict[str, Any]:
        """function -> {executed, missing}_{lines, branches}, as coverage.py reports them."""
        with tempfile.TemporaryDirectory(prefix="simlift-coverage-") as folder:
            report = Path(folder) / "report.json"
            self._measuring.json_report([path], outfile=str(report))
            (file,) = json.loads(report.read_text())["files"].values()
        functions: dict[str, Any] = file["functions"]
        return functions


def _within(name: str) -> set[str]:
    """The dotted name of a function, and of everything that it stands in."""
    parts = name.split(".")
    return {".".join(parts[:n]) for n in range(1, len(parts) + 1)}

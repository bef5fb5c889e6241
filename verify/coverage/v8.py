"""Coverage of a reference that runs on Node.js: V8's own counters, taken from the live programs.

V8 counts blocks and names only those whose count differs from the block around them, so what a
branch is shows only as coverage grows: counts are kept for each character, and merged so.
"""

import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np

from ...references.core import ReferenceUnavailable, VectorReference
from ..suite import SuiteError
from .collector import Collector
from .plan import Branch, Coverage, Line

HOOK = Path(__file__).parent / "v8_hook.js"
TIMEOUT_S = 30.0
POLL_S = 0.002


@dataclasses.dataclass(frozen=True)
class Blocks:
    """What V8 told of one source. count: int64 [characters], of the innermost block around each;
    blocks: (first, last + 1) of every block that was ever told apart, functions included."""

    text: str
    count: np.ndarray
    blocks: frozenset[tuple[int, int]]

    def __add__(self, other: "Blocks") -> "Blocks":
        return Blocks(self.text, self.count + other.count, self.blocks | other.blocks)

    def line_of(self, offset: int) -> int:
        return self.text.count("\n", 0, offset) + 1

    def lines(self) -> dict[int, int]:
        """line -> count, of the lines inside of functions."""
        inside = np.zeros(len(self.text), bool)
        for first, end in self.blocks:
            inside[first:end] = True
        lines, start = {}, 0
        for number, line in enumerate(self.text.split("\n"), 1):
            code = [start + i for i, c in enumerate(line) if not c.isspace()]
            if code and inside[code].any():
                lines[number] = int(self.count[code].max())
            start += len(line) + 1
        return lines


class V8Coverage(Coverage):
    """Coverage that grows its branches as it is merged."""

    def __init__(self, sources: Mapping[str, Blocks]) -> None:
        self.sources = dict(sources)
        lines: dict[Line, int] = {}
        branches: dict[Branch, int] = {}
        for name, told in self.sources.items():
            lines |= {(name, line): count for line, count in told.lines().items()}
            for first, end in told.blocks:
                line = told.line_of(first)
                column = first - told.text.rfind("\n", 0, first)
                label = f"block from column {column} to line {told.line_of(end - 1)}, {end - first}"
                branches[name, line, label] = int(told.count[first])
        super().__init__(lines, branches)

    def __or__(self, other: Coverage) -> Coverage:
        if not isinstance(other, V8Coverage):
            return super().__or__(other)
        both = dict(self.sources)
        for name, told in other.sources.items():
            both[name] = both[name] + told if name in both else told
        return V8Coverage(both)


class V8Collector(Collector):
    """The programs are started with a hook that takes the counters at a signal; whatever they did
    before `counting` is taken, too, and thrown away."""

    def __enter__(self) -> "V8Collector":
        if shutil.which("node") is None:
            raise ReferenceUnavailable(
                f"coverage of {self.suite.name} needs node and none is on PATH; install Node.js 20 "
                "or newer (apt-get install nodejs)"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="simlift-v8-"))
        self._taken: dict[int, Iterator[int]] = {}
        self._sources: dict[str, Blocks] = {}
        return self

    def build(self, num_envs: int) -> VectorReference:
        options = f"{os.environ.get('NODE_OPTIONS', '')} --require {json.dumps(str(HOOK))}".strip()
        given = {"NODE_V8_COVERAGE": str(self._folder), "NODE_OPTIONS": options}
        before = {name: os.environ.get(name) for name in given}
        os.environ |= given
        try:
            return super().build(num_envs)
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    @contextlib.contextmanager
    def counting(self) -> Iterator[None]:
        # What ran before only tells which blocks there are.
        self._merge(self._take(), counts=False)
        yield
        self._merge(self._take(), counts=True)

    def measured(self) -> Coverage:
        return V8Coverage(self._sources)

    def close(self) -> None:
        super().close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self) -> list[dict[str, Any]]:
        """The scripts that every program reports, and its counters back to zero."""
        hooks = self._folder / "hooks"
        pids = [int(ready.name.split(".")[0]) for ready in hooks.glob("*.ready")]
        if not pids:
            raise ReferenceUnavailable(
                f"{self.suite.name}: no Node.js program of the reference can be measured; start it "
                "with the environment's variables, NODE_OPTIONS among them"
            )
        marks = []
        for pid in pids:
            number = next(self._taken.setdefault(pid, itertools.count()))
            marks.append(hooks / f"{pid}.taken-{number}")
            os.kill(pid, signal.SIGUSR2)
        deadline = time.monotonic() + TIMEOUT_S
        while not all(mark.exists() for mark in marks):
            if time.monotonic() > deadline:
                raise ReferenceUnavailable(
                    f"{self.suite.name}: a Node.js program gave no coverage within "
                    f"{TIMEOUT_S:g} s; it must return to its event loop between two calls"
                )
            time.sleep(POLL_S)
        scripts = []
        for path in self._folder.glob("coverage-*.json"):
            scripts += json.loads(path.read_text())["result"]
            path.unlink()
        return scripts

    def _merge(self, scripts: list[dict[str, Any]], *, counts: bool) -> None:
        by_path = {source.path().resolve(): source for source in self.plan.sources}
        for script in scripts:
            url = urlsplit(script["url"])
            source = by_path.get(Path(unquote(url.path))) if url.scheme == "file" else None
            if source is None:
                continue
            text = utf16_units(source.path().read_text())
            functions = [f for f in script["functions"] if not _is_module(f, text)]
            told = blocks_of(
                text, [f for f in functions if f["functionName"] not in source.excluded]
            )
            if not counts:
                names = {function["functionName"] for function in functions}
                if source.name not in self._sources and (unknown := source.excluded.keys() - names):
                    raise SuiteError(f"{source.name} has no functions {sorted(unknown)} to exclude")
                told = Blocks(text, np.zeros_like(told.count), told.blocks)
            known = self._sources.get(source.name)
            self._sources[source.name] = told if known is None else known + told


def _is_module(function: dict[str, Any], text: str) -> bool:
    """Whether this is the code outside of all functions, told as a function that spans the file."""
    whole = function["ranges"][0]
    return not whole["startOffset"] and whole["endOffset"] >= len(text)


def utf16_units(text: str) -> str:
    """The text as V8 counts it: a character beyond U+FFFF is two."""
    return "".join(map(chr, np.frombuffer(text.encode("utf-16-le"), "<u2")))


def blocks_of(text: str, functions: list[dict[str, Any]]) -> Blocks:
    """The ranges of V8, functions and blocks in order of their start, the outer ones first."""
    ranges = [r for function in functions for r in function["ranges"]]
    ranges.sort(key=lambda r: (r["startOffset"], -r["endOffset"]))
    count = np.zeros(len(text), np.int64)
    for r in ranges:
        count[r["startOffset"] : r["endOffset"]] = r["count"]
    return Blocks(text, count, frozenset((r["startOffset"], r["endOffset"]) for r in ranges))

"""What of a reference's source must be reached, what was, and what is waived."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from ...references.core import Outcome, Snapshot, VectorReference
from ..suite import SuiteError, Variant

K = TypeVar("K")
Line = tuple[str, int]
"""(name of the source, line number)."""
Branch = tuple[str, int, str]
"""(name of the source, line number, what tells it from the line's other branches)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """One file of the reference. All of its functions count but the excluded ones.

    name: how reports call it; path: where it is on this machine; excluded: function -> why it is
    no part of a transition; demanded: whether what is not reached fails, else only how much was is
    told. Code outside of all functions runs at construction and never counts.
    """

    name: str
    path: Callable[[], Path]
    excluded: Mapping[str, str] = dataclasses.field(default_factory=dict)
    demanded: bool = True


@dataclasses.dataclass(frozen=True)
class Waiver:
    """A line that need not be reached in full, and the reason.

    text: the line's source without the blanks around it, so that a moved line is noticed;
    branches: how many of its branches this stands for, 0 for a line without any; through: the last
    line of the block that these branches lead to, where it goes on below, none of which need be
    reached either. A waiver is stale when the text is another, when fewer branches than these are
    unreached, or when a line of the block was reached.
    """

    file: str
    line: int
    text: str
    why: str
    branches: int = 1
    through: int = 0

    @property
    def below(self) -> range:
        """The lines of the block that come after `line`."""
        return range(self.line + 1, self.through + 1)

    def __post_init__(self) -> None:
        if not self.why:
            raise SuiteError(f"{self.file}:{self.line} may only be waived for a reason: give `why`")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoveragePlan:
    """How the coverage of one reference is measured, and what is expected of it."""

    kind: Literal["gcov", "python", "v8"]
    """gcov: a C library; python: in this process; v8: programs that run on Node.js."""
    sources: Sequence[Source]
    waivers: Sequence[Waiver] = ()
    build: Callable[[Variant, int, Sequence[str]], VectorReference] | None = None
    """For gcov: (variant, num_envs, compiler flags) -> the same reference built with these flags;
    its attribute `library` is the loaded library, whose shim includes references/instrument.h."""
    force: bool = False
    """Whether a replay forces the recorded draws: for references whose snapshot does not hold their
    generator."""
    cell: Callable[[Snapshot, Outcome], np.ndarray] | None = None
    """For the explorer, where the arcs of a step cannot be had: (snapshot [B], outcome [B]) after a
    step -> int [B], different for what is worth telling apart."""

    def __post_init__(self) -> None:
        if (self.kind == "gcov") != (self.build is not None):
            raise SuiteError('`build` is for kind="gcov", which needs it, and for no other')
        lines = Counter((w.file, line) for w in self.waivers for line in (w.line, *w.below))
        if twice := [f"{file}:{line}" for (file, line), n in lines.items() if n > 1]:
            raise SuiteError(f"waived more than once: {', '.join(twice)}")


@dataclasses.dataclass(frozen=True)
class Coverage:
    """What ran. lines, branches: how many times, 0 for what did not, 1 where the tool tells no
    number. `a | b` is what ran in either."""

    lines: Mapping[Line, int]
    branches: Mapping[Branch, int]

    def __or__(self, other: "Coverage") -> "Coverage":
        return Coverage(_sum(self.lines, other.lines), _sum(self.branches, other.branches))


def _sum(a: Mapping[K, int], b: Mapping[K, int]) -> dict[K, int]:
    return {key: a.get(key, 0) + b.get(key, 0) for key in {**a, **b}}


def judge(plan: CoveragePlan, coverage: Coverage) -> dict[str, Any]:
    """What was reached of what the plan wants.

    Returns holds (bool: every line and branch is reached or waived, and no waiver is stale), kind,
    stale (list of str), and files: name -> {branches, lines: {total, reached, waived}, unreached,
    waived: [{line, text, branches, of, why}], excluded: {function: why}, demanded}. Where nothing
    is demanded, nothing is called unreached.
    """
    text = {source.name: source.path().read_text().splitlines() for source in plan.sources}
    files = {source.name: _judge_file(plan, source, coverage, text) for source in plan.sources}
    stale = [said for waiver in plan.waivers if (said := _stale(waiver, coverage, text))]
    return {
        "holds": not stale and not any(file["unreached"] for file in files.values()),
        "kind": plan.kind,
        "stale": stale,
        "files": files,
    }


def _unreached(coverage: Coverage, file: str) -> dict[int, tuple[int, int]]:
    """line -> (branches not reached, branches), of the lines not reached in full."""
    branches: dict[int, list[int]] = {}
    for (name, line, _), count in coverage.branches.items():
        if name == file:
            branches.setdefault(line, []).append(count)
    missing = {line: (counts.count(0), len(counts)) for line, counts in branches.items()}
    return {
        line: missing.get(line, (0, 0))
        for line in sorted({line for name, line in coverage.lines if name == file} | set(missing))
        if coverage.lines.get((file, line)) == 0 or missing.get(line, (0, 0))[0]
    }


def _judge_file(
    plan: CoveragePlan, source: Source, coverage: Coverage, text: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    mine = [waiver for waiver in plan.waivers if waiver.file == source.name]
    waivers = {waiver.line: waiver for waiver in mine}
    blocks = {line: waiver for waiver in mine for line in waiver.below}
    rows: dict[str, list[dict[str, Any]]] = {"unreached": [], "waived": []}
    waived = {"branches": 0, "lines": 0}
    for line, (missing, of) in _unreached(coverage, source.name).items():
        row = {"line": line, "text": text[source.name][line - 1].strip()}
        row |= {"branches": missing, "of": of}
        waiver = blocks.get(line, waivers.get(line))
        if waiver is not None and (line in blocks or waiver.branches >= missing):
            rows["waived"].append({**row, "why": waiver.why})
            waived["branches"] += missing
            waived["lines"] += coverage.lines.get((source.name, line)) == 0
        elif source.demanded:
            rows["unreached"].append(row)
    counts = {
        "branches": [n for (name, _, _), n in coverage.branches.items() if name == source.name],
        "lines": [n for (name, _), n in coverage.lines.items() if name == source.name],
    }
    totals = {
        what: {"total": len(n), "reached": len(n) - n.count(0), "waived": waived[what]}
        for what, n in counts.items()
    }
    about = {"excluded": dict(source.excluded), "demanded": source.demanded}
    return {**totals, **rows, **about}


def _stale(waiver: Waiver, coverage: Coverage, text: Mapping[str, Sequence[str]]) -> str | None:
    """What is wrong with a waiver, or None."""
    where = f"{waiver.file}:{waiver.line}"
    lines = text.get(waiver.file, ())
    found = lines[waiver.line - 1].strip() if 0 < waiver.line <= len(lines) else None
    if found != waiver.text:
        return f"{where} reads {found!r}, the waiver is for {waiver.text!r}: correct or drop it"
    missing = _unreached(coverage, waiver.file).get(waiver.line)
    if missing is None or missing[0] < waiver.branches:
        branches = 0 if missing is None else missing[0]
        return (
            f"{where} is waived for {waiver.branches} branches, {branches} are unreached: drop it"
        )
    reached = [line for line in waiver.below if coverage.lines.get((waiver.file, line))]
    if reached:
        return f"{where} is waived through {waiver.through}, {reached} were reached: shorten it"
    return None

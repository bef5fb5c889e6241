"""Which lines of Showdown the battles reached, from what V8 writes."""

import dataclasses
import json
from pathlib import Path
from urllib.parse import unquote, urlparse

import numpy as np

from .install import PACKAGE, installed

PREFIXES = ("data/mods/gen1/", "sim/")
"""The files of upstream that make generation 1: its rules, and the core that runs them."""

_NO_CODE = ("", "//", "*", "/*", "}", ")", "]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reached:
    """Of one compiled file of upstream, by line number from 1: the lines with code that ran, and
    those that did not."""

    reached: frozenset[int]
    missed: frozenset[int]


def reached_lines(folder: Path) -> dict[str, Reached]:
    """What all files in `folder` together say, by path in the package's dist/ folder.

    The folder is that of `VectorShowdown(coverage=...)`, after `write_coverage`. A line counts by
    its first character of code; of a function that never ran, no line did, and a file that was
    never loaded is not there.
    """
    dist = installed() / "node_modules" / PACKAGE / "dist"
    ran: dict[str, np.ndarray] = {}
    for report in sorted(folder.glob("coverage-*.json")):
        for script in json.loads(report.read_text())["result"]:
            path = Path(unquote(urlparse(script["url"]).path))
            if not path.is_relative_to(dist):
                continue
            name = path.relative_to(dist).as_posix()
            if name.startswith(PREFIXES):
                size = len(path.read_text())
                ran[name] = ran.get(name, np.zeros(size, bool)) | _ran(script, size)
    return {name: _by_line((dist / name).read_text(), where) for name, where in ran.items()}


def _ran(script: dict, size: int) -> np.ndarray:
    """Of each character whether it ran. V8's ranges nest, and an inner one comes later."""
    where = np.zeros(size, bool)
    for function in script["functions"]:
        for part in function["ranges"]:
            where[part["startOffset"] : part["endOffset"]] = part["count"] > 0
    return where


def _by_line(text: str, where: np.ndarray) -> Reached:
    start = 0
    reached: set[int] = set()
    missed: set[int] = set()
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        code = line.strip()
        if code.rstrip(";,") not in _NO_CODE and not code.startswith(("//", "/*", "*")):
            first = start + len(line) - len(line.lstrip())
            (reached if where[first] else missed).add(number)
        start += len(line)
    return Reached(reached=frozenset(reached), missed=frozenset(missed))

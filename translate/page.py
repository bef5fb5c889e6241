"""A run as one HTML file that needs no network: step through its attempts with keys or buttons.

Everything a coder wrote is escaped, and nothing on the page is fetched from anywhere.
"""

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ..envs.files import write_atomically
from ..verify import report
from .history import Attempt, History
from .show import TACTICS, duration, harmless, people
from .verdict import FILE as VERDICT

PAGES = Path(__file__).parent / "pages"
LONGEST = 4000  # lines of a text that is shown; the terminal shows all
MARKS = {"+": "added", "-": "removed", "@": "place"}


def write_page(run: History, path: Path) -> Path:
    """Write the page of a run to `path`, which is returned; whole or not at all.

    Raises ValueError where the run is damaged, and OSError where the page cannot be written.
    """
    page = _template().render(
        run=run,
        steps=list(_steps(run)),
        people=people(run.about),
        tactics=TACTICS,
    )
    write_atomically(path, page.encode(errors="backslashreplace"))
    return path


def _steps(run: History) -> Iterator[Mapping[str, Any]]:
    """Each attempt, with its texts and what the run had come to by then."""
    cost, tokens, done = 0.0, 0, set[str]()
    for attempt in run.attempts:
        cost, tokens = cost + attempt.cost_usd, tokens + attempt.tokens
        done = done | {attempt.item} if attempt.passed else done - {attempt.item}
        yield {
            "attempt": attempt,
            "cost": cost,
            "tokens": tokens,
            "done": len(done),
            "feedback": _shortened(run.text(attempt, "feedback.md")),
            "prompt": _shortened(run.text(attempt, "prompt.md")),
            "patch": _diff(_shortened(run.patch(attempt))),
            "details": _shortened(_details(run, attempt)),
        }


def _details(run: History, attempt: Attempt) -> str | None:
    """What the judge wrote down, for reading."""
    text = run.text(attempt, VERDICT)
    try:
        details = json.loads(text or "{}")["details"]
    except (KeyError, TypeError, ValueError):
        return text
    return json.dumps(details, indent=1) if details else None


def _shortened(text: str | None) -> Sequence[str]:
    """Its lines, no more than LONGEST."""
    lines = harmless(text or "").rstrip().splitlines()
    left_out = len(lines) - LONGEST
    if left_out > 0:
        return [*lines[:LONGEST], f"... {left_out} more lines; `simlift translate show` has them"]
    return lines


def _diff(lines: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    """A patch's files: name, lines added and removed, and each line with its mark."""
    files: list[dict[str, Any]] = []
    in_head = True
    for text in lines:
        if text.startswith("diff --git ") or not files:
            name = text.rpartition(" b/")[2]
            files.append({"name": name, "added": 0, "removed": 0, "lines": []})
            in_head = True
        in_head = in_head and not text.startswith("@@")
        mark = "" if in_head else MARKS.get(text[:1], "")
        files[-1]["lines"].append((mark, text))
        if mark in ("added", "removed"):
            files[-1][mark] += 1
    return files


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([PAGES, report.TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    environment.filters["duration"] = duration
    environment.filters["harmless"] = harmless
    return environment.get_template("run.html.j2")

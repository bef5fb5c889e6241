"""Evidence as tables and curves, whatever a level returns: for the report.

Scalars become facts; a list of rows, or rows by name, a table; lists of numbers of one length by
name, a chart. Deeper things are walked into, their path the caption.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

MAX_ROWS = 400  # shown of one table; the certificate holds all
MIN_POINTS = 8  # of a curve
WIDTH, HEIGHT, MARGIN = 640, 220, 36
HIDDEN = frozenset({"holds", "count", "what", "seconds"})
"""Shown with the level's own row."""


@dataclasses.dataclass
class Table:
    caption: str
    columns: list[str]
    rows: list[list[str]]
    left_out: int


@dataclasses.dataclass
class Chart:
    """lines: (name, points of an SVG polyline); ticks: (x, y, text) of the axes' ends."""

    caption: str
    lines: list[tuple[str, str]]
    ticks: list[tuple[float, float, str]]


@dataclasses.dataclass
class Section:
    level: str
    facts: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    tables: list[Table] = dataclasses.field(default_factory=list)
    charts: list[Chart] = dataclasses.field(default_factory=list)


def sections(evidence: Mapping[str, Mapping[str, Any]]) -> list[Section]:
    """One for each level that gathered something."""
    found = []
    for level, values in evidence.items():
        section = Section(level)
        _walk({k: v for k, v in values.items() if k not in HIDDEN}, "", section)
        found.append(section)
    return found


def _walk(value: Any, path: str, section: Section) -> None:
    if isinstance(value, Mapping):
        if _are_curves(value):
            section.charts.append(_chart(path, value))
        elif len(value) > 1 and all(_is_row(entry) for entry in value.values()):
            rows = [{"": name, **row} for name, row in value.items()]
            section.tables.append(_table(path, rows))
        elif path and len(value) > 1 and all(map(_is_scalar, value.values())):
            rows = [{"": name, "value": entry} for name, entry in value.items()]
            section.tables.append(_table(path, rows))
        else:
            for name, entry in value.items():
                _walk(entry, f"{path}, {name}" if path else str(name), section)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        if value and all(_is_row(entry) for entry in value):
            section.tables.append(_table(path, value))
        elif value and all(isinstance(entry, Mapping) for entry in value):
            for i, entry in enumerate(value):
                name = next((x for x in entry.values() if isinstance(x, str)), str(i + 1))
                _walk(entry, f"{path}, {name}", section)
        else:
            section.facts.append((path, _text(value)))
    else:
        section.facts.append((path, _text(value)))


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)


def _is_row(value: Any) -> bool:
    """A mapping that fits into one line."""
    return isinstance(value, Mapping) and all(
        _is_scalar(entry) or (_is_flat(entry) and len(entry) < MIN_POINTS)
        for entry in value.values()
    )


def _is_flat(value: Any) -> bool:
    values = value.values() if isinstance(value, Mapping) else value
    return all(map(_is_scalar, values))


def _are_curves(value: Mapping[str, Any]) -> bool:
    lists = [x for x in value.values() if isinstance(x, list) and len(x) >= MIN_POINTS]
    numbers = all(isinstance(y, int | float) and not isinstance(y, bool) for x in lists for y in x)
    return len(lists) == len(value) > 0 and len(set(map(len, lists))) == 1 and numbers


def _table(caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    shown = [[_text(row.get(name)) for name in columns] for row in rows[:MAX_ROWS]]
    return Table(caption, columns, shown, max(0, len(rows) - MAX_ROWS))


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:.4g}"
        case Mapping():
            return ", ".join(f"{name}: {_text(entry)}" for name, entry in value.items())
        case list() | tuple():
            return ", ".join(map(_text, value))
        case _:
            return str(value)


def _chart(caption: str, curves: Mapping[str, Sequence[float]]) -> Chart:
    """Logarithmic where all that is not zero is positive and spans more than two decades."""
    values = [float(y) for curve in curves.values() for y in curve if math.isfinite(y) and y]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    logarithmic = low > 0 and high / low > 100

    def scaled(y: float) -> float:
        if logarithmic:
            y, ends = math.log(max(y, low)), (math.log(low), math.log(high))
        else:
            ends = (min(low, 0.0), max(high, 0.0))
        share = (y - ends[0]) / ((ends[1] - ends[0]) or 1.0)
        return HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN)

    longest = max(len(curve) for curve in curves.values())

    def across(x: int) -> float:
        return 2 * MARGIN + x / max(1, longest - 1) * (WIDTH - 3 * MARGIN)

    lines = [
        (
            name,
            " ".join(
                f"{across(x):.1f},{scaled(float(y)):.1f}"
                for x, y in enumerate(curve)
                if math.isfinite(y)
            ),
        )
        for name, curve in curves.items()
    ]
    bottom = low if logarithmic else min(low, 0.0)
    ticks = [
        (2.0, scaled(high) + 4, f"{high:.3g}"),
        (2.0, scaled(bottom) + 4, f"{bottom:.3g}"),
        (across(0), HEIGHT - 10.0, "1"),
        (across(longest - 1) - 20, HEIGHT - 10.0, f"{longest}"),
    ]
    return Chart(caption + (" (logarithmic)" if logarithmic else ""), lines, ticks)

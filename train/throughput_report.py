"""The figures of `throughput` as tables: for a terminal, for Markdown, for the README."""

import json
import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

TEXTS = ("what", "variant", "policy", "on", "min – max", "peer")
"""The columns that are not numbers."""
RESULT_KEYS = ("machine", "versions", "commit", "date", "rows")
BEGIN = "<!-- figures: written by `make figures`, do not edit -->"
END = "<!-- end of figures -->"
UNITS = (("G", 1e9), ("M", 1e6), ("k", 1e3))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """A result that `throughput.write` wrote. Raises ValueError for another file."""
    try:
        result = json.loads(Path(path).read_text())
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not JSON ({error}); run `simlift bench` again") from error
    if not isinstance(result, dict) or (missing := set(RESULT_KEYS) - result.keys()):
        lacks = sorted(missing) if isinstance(result, dict) else list(RESULT_KEYS)
        raise ValueError(f"{path} is no result of `simlift bench`: it lacks {lacks}")
    return result


def table(result: Mapping[str, Any]) -> Table:
    """For a terminal."""
    rows = result["rows"]
    rich_table = Table(title=_title(rows), caption="\n".join([*legend(result), provenance(result)]))
    columns, lines = _grid(rows)
    for column in columns:
        rich_table.add_column(column, justify="left" if column in TEXTS else "right")
    for line in lines:
        rich_table.add_row(*line)
    return rich_table


def markdown(result: Mapping[str, Any], *, best: bool = False) -> str:
    """A Markdown table with lines below that say who the peers are and where its figures are from.

    best: of each program only the batch at which it was fastest.
    """
    rows = _best(result["rows"]) if best else result["rows"]
    columns, lines = _grid(rows)
    rule = ["---" if column in TEXTS else "---:" for column in columns]
    body = "\n".join(f"| {' | '.join(line)} |" for line in (columns, rule, *lines))
    told = "".join(f"- {line}\n" for line in legend(result))
    return "\n\n".join(filter(None, [body, told.strip(), provenance(result)])) + "\n"


def readme_table(results_dir: str | os.PathLike[str]) -> str:
    """The best rows of every result in a folder, under a heading for each device.

    Raises ValueError for a folder without results, or with a file that is not one.
    """
    paths = sorted(Path(results_dir).glob("*.json"))
    if not paths:
        raise ValueError(f"{results_dir} holds no results; make one with `simlift bench`")
    parts = []
    for path in paths:
        result = load(path)
        heading = f"{_title(result['rows'])} on {result['machine']['device']}"
        parts.append(f"### {heading}\n\n{markdown(result, best=True)}")
    return "\n".join(parts)


def legend(result: Mapping[str, Any]) -> list[str]:
    """A line for each peer of the table that has something to tell."""
    about = result.get("peers", {})
    names = dict.fromkeys(row["peer"] for row in result["rows"])
    return [f"{name}: {about[name]}" for name in names if about.get(name)]


def provenance(result: Mapping[str, Any]) -> str:
    """One line: device, libraries, commit, date, and whether the devices agreed."""
    machine, versions = result["machine"], result["versions"]
    cores, devices = _count(machine["cores"], "core"), _count(machine["num_devices"], "device")
    line = (
        f"{machine['device']}, {cores}, {devices} of JAX's; "
        f"jax {versions['jax']}, Python {versions['python']}; "
        f"commit {(result['commit'] or 'unknown')[:12]}; {result['date']}"
    )
    if checks := result.get("equality"):
        here, there = checks[0]["devices"]
        different, compared = (
            sum(check[name] for check in checks) for name in ("mismatches", "compared")
        )
        line += f"; {here} against {there}: {different} of {compared} numbers differ"
        if different:
            largest = max(check.get("step_difference", math.nan) for check in checks)
            line += f", an observation after one step by {largest:.2g} at most"
    return line


def place(row: Mapping[str, Any]) -> str:
    """What a row had to itself: processor cores, or accelerators."""
    if row["cores"] is None:
        return _count(row["devices"], "device")
    return _count(row["cores"], "core")


def si(value: float) -> str:
    """Three significant digits with a unit: 12345678 -> "12.3 M"."""
    for unit, size in UNITS:
        if value >= 0.9995 * size:
            return f"{_three_digits(value / size)} {unit}"
    return _three_digits(value)


def ratio(value: float) -> str:
    """Two decimals below 10, three significant digits above."""
    return f"{value:.2f}" if value < 9.995 else _three_digits(value)


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" + "s" * (number != 1)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.3g}"


def _title(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(row["env"] for row in rows))


def _best(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    fastest: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        names = ("env", "what", "variant", "policy", "devices", "cores", "peer")
        program = json.dumps([row[name] for name in names])
        best = fastest.get(program)
        if best is None or (row["steps_per_s"] or 0) > (best["steps_per_s"] or 0):
            fastest[program] = row
    return list(fastest.values())


def _grid(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """The columns that are not empty, and the cells of each row."""
    cells = [_cells(row) for row in rows]
    columns = [name for name in cells[0] if any(line[name] for line in cells)] if cells else []
    return columns, [[line[name] for name in columns] for line in cells]


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    """By column. A result from before a field was there lacks it."""
    speed, peer = row["steps_per_s"], row["peer"]
    spread = f"{si(row['min_steps_per_s'])} – {si(row['max_steps_per_s'])}" if speed else ""
    if peer:
        peer += f", {_count(row['peer_cores'], 'core')}" if row["peer_cores"] else ", 1 device"
    return {
        "what": row["what"],
        "variant": ", ".join(
            f"{name}={value}" for name, value in row["variant"].items() if name != "frameskip"
        ),
        "policy": row["policy"],
        "frameskip": str(row["frameskip"]),
        "batch": str(row["batch"]),
        "on": place(row),
        "env steps/s": row["error"] or si(speed),
        "physics steps/s": si(speed * row["frameskip"]) if speed else "",
        "decisions/s": _optional(si, row.get("decisions_per_s")),
        "min – max": spread,
        "peer": peer or "",
        "peer batch": str(row["peer_batch"] or ""),
        "peer env steps/s": row.get("peer_error") or _optional(si, row["peer_steps_per_s"]),
        "ratio": _optional(ratio, row["ratio"]),
        "ratio per core": _optional(ratio, row.get("per_core_ratio")),
        "compile s": _optional("{:.1f}".format, row["compile_s"]),
        "peer compile s": _optional("{:.1f}".format, row.get("peer_compile_s")),
        "program": _optional(_bytes, row["peak_bytes"]),
        "peer program": _optional(_bytes, row.get("peer_peak_bytes")),
        "process": _optional(_bytes, row.get("process_peak_bytes")),
        "state": f"{row['state_bytes']} B",
    }


def _optional(show: Callable[[Any], str], value: Any) -> str:
    return "" if value is None else show(value)


def _bytes(size: int) -> str:
    return f"{si(size)}B"


def write_figures(readme: Path, results_dir: Path) -> None:
    """Put `readme_table` between the two markers of a Markdown file.

    Raises ValueError for a file without them.
    """
    text = readme.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{readme} has no place for figures; put these lines in:\n{BEGIN}\n{END}")
    readme.write_text(f"{head}{begin}\n\n{readme_table(results_dir)}\n{end}{tail}")


if __name__ == "__main__":
    write_figures(Path(sys.argv[1]), Path(sys.argv[2]))

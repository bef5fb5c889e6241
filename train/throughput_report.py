"""The figures of `throughput` as tables: for a terminal, for Markdown, for the README."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

COLUMNS = (
    "what",
    "policy",
    "frameskip",
    "batch",
    "on",
    "steps/s",
    "min – max",
    "peer",
    "peer steps/s",
    "ratio",
    "compile s",
    "program",
    "state",
)
NUMBERS = COLUMNS[2:4] + COLUMNS[5:7] + COLUMNS[8:]
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
    rich_table = Table(title=_title(rows), caption=provenance(result))
    for column in COLUMNS:
        rich_table.add_column(column, justify="right" if column in NUMBERS else "left")
    for row in rows:
        rich_table.add_row(*_cells(row))
    return rich_table


def markdown(result: Mapping[str, Any], *, best: bool = False) -> str:
    """A Markdown table with a line below that says where its figures are from.

    best: of each program only the batch at which it was fastest.
    """
    rows = _best(result["rows"]) if best else result["rows"]
    lines = [
        COLUMNS,
        ["---:" if column in NUMBERS else "---" for column in COLUMNS],
        *map(_cells, rows),
    ]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{body}\n\n{provenance(result)}\n"


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


def _cells(row: Mapping[str, Any]) -> list[str]:
    head = [row["what"], row["policy"], str(row["frameskip"]), str(row["batch"]), place(row)]
    if row["error"]:
        return [*head, row["error"], *[""] * (len(COLUMNS) - len(head) - 1)]
    spread = f"{si(row['min_steps_per_s'])} – {si(row['max_steps_per_s'])}"
    peer = [""] * 3
    if row["peer"]:
        peer = [
            f"{row['peer']}, {_count(row['peer_cores'], 'core')}",
            si(row["peer_steps_per_s"]),
            f"{row['ratio']:.2f}",
        ]
    return [
        *(*head, si(row["steps_per_s"]), spread, *peer, f"{row['compile_s']:.1f}"),
        "" if row["peak_bytes"] is None else f"{si(row['peak_bytes'])}B",
        f"{row['state_bytes']} B",
    ]


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

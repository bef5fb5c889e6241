"""Where the numbers of a run go: a CSV file, TensorBoard, a live table on the terminal."""

import contextlib
import csv
import importlib
import os
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

Row = Mapping[str, int | float]
COLUMNS = ("steps", "seconds", "steps_per_s", "return", "score", "loss", "entropy")


class CsvLog:
    """Rows as a CSV file with a header; each row is on disk when `write` returns.

    A resumed run drops the rows after its checkpoint, so that the file tells one story. Raises
    OSError where the file cannot be written, and ValueError for a row with other columns.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, keep_until: int = 0) -> None:
        """keep_until: rows of an existing file with at most this `update` are kept."""
        kept: list[dict[str, str]] = []
        if keep_until and path.exists():
            with path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["update"]) <= keep_until]
        temporary = path.with_name(f".writing_{path.name}")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(kept)
        os.replace(temporary, path)
        self._file = path.open("a", newline="")
        self._writer = csv.DictWriter(self._file, columns)

    def write(self, row: Row) -> None:
        self._writer.writerow(row)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class TensorBoardLog:
    """Every column but `update` and `seed` as a scalar over environment steps."""

    def __init__(self, directory: Path) -> None:
        """Raises ValueError where tensorboardX is not installed."""
        try:
            module = importlib.import_module("tensorboardX")
        except ModuleNotFoundError as error:
            raise ValueError(
                "TensorBoard logs need a package that is not installed: pip install tensorboardX"
            ) from error
        self._directory = directory
        self._module = module
        self._writers: dict[int, Any] = {}

    def write(self, row: Row) -> None:
        seed = int(row["seed"])
        if seed not in self._writers:
            self._writers[seed] = self._module.SummaryWriter(str(self._directory / f"seed_{seed}"))
        for name, value in row.items():
            if name not in ("update", "seed", "steps") and value == value:  # no NaN
                self._writers[seed].add_scalar(name, value, int(row["steps"]))

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


class LiveTable:
    """The last rows of a run and what is left of it, redrawn in place; on a pipe, only the end."""

    def __init__(self, console: Console, title: str, total_steps: int, rows: int = 8) -> None:
        self._console, self._title, self._total = console, title, total_steps
        self._rows: deque[Row] = deque(maxlen=rows)
        self._started = time.monotonic()
        self._first_steps: int | None = None
        self._live = Live(self._render(), console=console, auto_refresh=False)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)
        if not self._console.is_terminal:
            self._console.print()  # rich ends the last line on terminals only

    def start(self, steps: int) -> None:
        """The clock starts here, at this many steps: compilation is not training."""
        self._started, self._first_steps = time.monotonic(), steps
        self._live.update(self._render(), refresh=True)

    def write(self, row: Row) -> None:
        self._rows.append(row)
        self._live.update(self._render(), refresh=True)

    def _render(self) -> Group:
        table = Table(title=self._title, title_justify="left")
        for name in COLUMNS:
            table.add_column(name.replace("steps_per_s", "steps/s"), justify="right")
        for row in self._rows:
            table.add_row(*(format_number(row.get(name)) for name in COLUMNS))
        steps = int(self._rows[-1]["steps"]) if self._rows else self._first_steps or 0
        footer = Table.grid(padding=(0, 1))
        footer.add_row(
            ProgressBar(total=self._total, completed=steps, width=40), self._remaining(steps)
        )
        return Group(table, footer)

    def _remaining(self, steps: int) -> str:
        if self._first_steps is None:
            return "compiling"
        text = f"{steps:,} of {self._total:,} steps"
        done = steps - self._first_steps
        if done <= 0:
            return text
        seconds = (time.monotonic() - self._started) * (self._total - steps) / done
        return f"{text}, {seconds:.0f} s left"


def format_number(value: int | float | None) -> str:
    if value is None or value != value:
        return "-"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,.3g}"
        if abs(value) < 1000
        else f"{value:,.0f}"
    )


def save_curve(path: Path, rows: Sequence[Row], value: str, label: str) -> bool:
    """A PNG of `value` over environment steps, a line a seed; False where matplotlib is absent."""
    try:
        figure_module = importlib.import_module("matplotlib.figure")
    except ModuleNotFoundError:
        return False
    figure = figure_module.Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    for seed in sorted({row["seed"] for row in rows}):
        points = [(row["steps"], row[value]) for row in rows if row["seed"] == seed]
        axes.plot(*zip(*points, strict=True), label=f"seed {int(seed)}")
    axes.set_xlabel("environment steps")
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=120)
    return True


def read_rows(path: Path) -> list[dict[str, float]]:
    """The rows of a CSV log as numbers; NaN where a cell is empty."""
    with contextlib.closing(path.open(newline="")) as file:
        return [{k: float(v or "nan") for k, v in row.items()} for row in csv.DictReader(file)]

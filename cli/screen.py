"""What all commands share: exit codes, and where they write to."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import rich.progress
import tyro
from rich.console import Console

HOLDS, FAILS, CANNOT, INTERRUPTED = 0, 1, 2, 130

Environment = Annotated[str, tyro.conf.Positional]


class Screen:
    """What a person reads. With --json it goes to standard error, and the JSON alone to output."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        console = Console(stderr=as_json)
        # A file or a pipe has no width of its own: tables are not folded for it.
        self.console = console if console.is_terminal else Console(stderr=as_json, width=200)

    def finish(self, result: dict[str, Any] | list[Any], holds: bool = True) -> int:
        if self.as_json:
            sys.stdout.write(json.dumps(result) + "\n")
        return HOLDS if holds else FAILS

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[str, float], None]]:
        """A bar; call what it gives with (what is being done, how much of it is done: 0 .. 1)."""
        with rich.progress.Progress(
            rich.progress.TextColumn("{task.description:<44}"),
            rich.progress.BarColumn(),
            rich.progress.TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        ) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda what, done: bar.update(task, description=what, completed=done)

"""A coder that is no program of ours: the prompt lies in a file, whoever reads it does the work.

Beside the workspace lies handoff/ with prompt.md. The file `done` in it ends the attempt; its text
is the coder's last words, or a JSON object with words, cost_usd and tokens, taken as told.
"""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from ...envs.files import write_atomically
from ..spending import TOLD
from .core import Agent, Report, Task

FOLDER, PROMPT, DONE = "handoff", "prompt.md", "done"
POLL = 0.2  # seconds
COMPLETE = 0.05  # seconds without a change, after which `done` is taken to be written


class Handoff(Agent):
    """Any person or agent."""

    name = "handoff"

    def check(self) -> None:
        """Nothing is needed."""

    def work(self, task: Task) -> Report:
        """Write the prompt, and wait for `done` or the end of the task's time.

        A `done` of another attempt does not count; one of this attempt does, also if it was written
        while nobody waited.
        """
        started = time.monotonic()
        folder = task.workspace.parent / FOLDER
        prompt, done = folder / PROMPT, folder / DONE
        text = _prompt(task, done)
        if not prompt.is_file() or prompt.read_text(encoding="utf-8") != text:
            done.unlink(missing_ok=True)
            write_atomically(prompt, text)
        while (said := _said(done)) is None:
            left = task.limits.seconds - (time.monotonic() - started)
            if left <= 0:
                words = f"nobody wrote {done.name} within {task.limits.seconds:.0f} s"
                return Report(ended="time", words=words, seconds=time.monotonic() - started)
            time.sleep(min(POLL, left))
        words, told = _told(said)
        write_atomically(task.logs / TOLD, json.dumps(told) + "\n")
        return Report(ended="finished", words=words, seconds=time.monotonic() - started)


def _prompt(task: Task, done: Path) -> str:
    paths = os.pathsep.join(map(str, task.imports))
    exported = f"Commands need `PYTHONPATH={paths}`.\n" if paths else ""
    return f"""Attempt {task.attempt} at {task.item}. Work in `{task.workspace}`; whatever is said
below of "the project's folder" is said of it. When you are done, write your last words to
`{done}`.
{exported}
{task.prompt}"""


def _said(done: Path) -> str | None:
    """What `done` says, once it is not written to any more; None before."""
    try:
        before = done.stat()
        time.sleep(COMPLETE)
        text = done.read_text(encoding="utf-8", errors="replace")
        after = done.stat()
    except FileNotFoundError:
        return None
    same = (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size)
    return text.strip() if same else None


def _told(said: str) -> tuple[str, dict[str, Any]]:
    """The last words, and what the coder says that they cost."""
    free = {"cost_usd": 0.0, "tokens": 0}
    try:
        value = json.loads(said)
        words = str(value["words"])
        dollars, tokens = float(value.get("cost_usd", 0.0)), int(value.get("tokens", 0))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        return said, free
    if not (math.isfinite(dollars) and dollars >= 0 and tokens >= 0):
        return said, free
    return words, {"cost_usd": dollars, "tokens": tokens}

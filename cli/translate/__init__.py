"""`simlift translate` and the commands below it."""

from collections.abc import Callable
from typing import Any

from .check import Check
from .init import Init
from .recordings import List, Record, Replay
from .run import Run
from .show import Show

COMMANDS: dict[str, Callable[..., Any]] = {
    "run": Run,
    "init": Init,
    "check": Check,
    "show": Show,
    "record": Record,
    "replay": Replay,
    "list": List,
}

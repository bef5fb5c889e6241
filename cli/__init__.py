"""The command line: `simlift COMMAND --help`.

Exit codes: 0, it holds; 1, it does not; 2, it could not be run, and one line says what is missing.
"""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from ..references.core import ReferenceUnavailable
from ..train import TrainingError
from .bench import Bench
from .environments import List
from .prove import Prove
from .screen import CANNOT, FAILS, HOLDS, INTERRUPTED, Screen
from .train import Train
from .transfer import Transfer
from .verify import Certificate, Replay, Verify

__all__ = ["CANNOT", "COMMANDS", "FAILS", "HOLDS", "INTERRUPTED", "main"]

EXPECTED = (ReferenceUnavailable, TrainingError, ValueError, OSError, ImportError)

COMMANDS: dict[str, Callable[..., Any]] = {
    "list": List,
    "verify": Verify,
    "replay": Replay,
    "train": Train,
    "bench": Bench,
    "transfer": Transfer,
    "prove": Prove,
    "certificate": Certificate,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    command = tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        args=arguments,
        prog="simlift",
        description="Slow simulators lifted onto the accelerator, and proved to be the same.",
    )
    screen = Screen(command.json)
    try:
        return command.run(screen)
    except EXPECTED as error:
        if os.environ.get("SIMLIFT_DEBUG"):
            traceback.print_exc()
        why = error.strerror if isinstance(error, OSError) and not error.filename else str(error)
        sys.stderr.write(f"simlift: {' '.join(str(why).split())}\n")
        return CANNOT
    except KeyboardInterrupt:
        sys.stderr.write("simlift: interrupted\n")
        return INTERRUPTED

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
from ..translate.commits import GitFailed
from ..translate.journal import JournalLocked
from ..translate.sandbox import SandboxUnavailable
from ..verify.report import ReportFailed
from .bench import Bench
from .environments import List
from .prove import Prove
from .replay import Replay
from .screen import CANNOT, FAILS, HOLDS, INTERRUPTED, Screen
from .train import Train
from .transfer import Transfer
from .translate import COMMANDS as TRANSLATE
from .verify import Certificate, Verify

__all__ = ["CANNOT", "COMMANDS", "FAILS", "HOLDS", "INTERRUPTED", "main", "parse"]

EXPECTED = (
    ReferenceUnavailable,
    ReportFailed,
    TrainingError,
    GitFailed,
    JournalLocked,
    SandboxUnavailable,
    ValueError,
    OSError,
    ImportError,
)

COMMANDS: dict[str, Callable[..., Any]] = {
    "list": List,
    "verify": Verify,
    "replay": Replay,
    "train": Train,
    "bench": Bench,
    "transfer": Transfer,
    "prove": Prove,
    "certificate": Certificate,
    "translate": TRANSLATE["run"],
}
GROUPS: dict[str, dict[str, Callable[..., Any]]] = {"translate": TRANSLATE}
"""Commands of which some words after them are commands of their own."""


def parse(words: Sequence[str]) -> Any:
    """The command that these words are. Raises ValueError for one that a group does not have, and
    SystemExit, having said what is wrong, for the rest."""
    commands, prog = COMMANDS, "simlift"
    group, name = [*words, "", ""][:2]
    if group in GROUPS and name in GROUPS[group]:
        commands, prog, words = GROUPS[group], f"simlift {group}", words[1:]
    elif group in GROUPS and name and not name.startswith("-"):
        raise ValueError(f"{group} has no command {name!r}; it has {', '.join(GROUPS[group])}")
    return tyro.extras.subcommand_cli_from_dict(
        commands,
        args=words,
        prog=prog,
        description="Slow simulators lifted onto the accelerator, and proved to be the same.",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        return command.run(Screen(command.json))
    except EXPECTED as error:
        if os.environ.get("SIMLIFT_DEBUG"):
            traceback.print_exc()
        told = error.strerror if isinstance(error, OSError) and not error.filename else None
        sys.stderr.write(f"simlift: {' '.join((told or str(error)).split())}\n")
        return CANNOT
    except KeyboardInterrupt:
        sys.stderr.write("simlift: interrupted\n")
        return INTERRUPTED

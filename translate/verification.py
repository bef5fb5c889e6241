"""`simlift verify` as the judge runs it: the same verification, and no report.

For its pictures a report loads the translation into this very process, where code that looks for
it could change the result before it is written. The judge never loads what it judges.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Annotated

import tyro

from ..envs.files import write_atomically
from ..references.core import ReferenceUnavailable
from ..verify import certificate, runner
from ..verify.suites import get_suite
from .check import CANNOT, FAILS, HOLDS


@dataclasses.dataclass(frozen=True)
class Verification:
    """Verify a translation without showing it."""

    env: tyro.conf.Positional[str]
    """module:attribute of its suite."""
    seed: int
    """Of everything random on both sides."""
    out: Path
    """Folder for result.json, and for certificate.json where all levels are tried."""
    bank: Path
    """Folder for tapes of divergences."""
    episodes: int = 200
    """Whole episodes for each variant, spread over its policies."""
    levels: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--level"])] = runner.LEVELS
    """As of simlift verify."""

    def run(self) -> int:
        """Returns the exit code; raises as `verify` does."""
        suite = get_suite(self.env)
        levels = runner.ALL_LEVELS if "all" in self.levels else self.levels
        options = runner.Options(
            episodes=self.episodes, seed=self.seed, levels=levels, bank=self.bank, isolated=True
        )
        result = runner.verify(suite, options)
        if levels == runner.ALL_LEVELS:
            shown = certificate.statement(result, suite)
            certificate.write(shown, self.out / "certificate.json")
        write_atomically(self.out / "result.json", json.dumps(result, indent=1))
        return HOLDS if result["holds"] else FAILS


def main() -> int:
    """Verify as the arguments say; returns the exit code, of `simlift` in general."""
    try:
        return tyro.cli(Verification).run()
    except (ReferenceUnavailable, ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"simlift: {' '.join(str(error).split())}\n")
        return CANNOT


if __name__ == "__main__":
    raise SystemExit(main())

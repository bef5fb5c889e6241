"""Evidence beside the comparison: samplers, rounding, reach, transfer, and how strong it all is.

One function for each level, run where the candidate's code runs. What it returns goes into the
certificate as it is: `holds`, `count` (cases looked at), `what` (a line for each thing that is
wrong or open), `seconds`, and the level's own details.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from .suite import Suite

Progress = Callable[[str, float], None]
"""Told what is being done, and how far it is: 0 .. 1."""

Measure = Callable[[Suite, int, Progress], dict[str, Any] | None]
"""(suite, seed, progress) -> the evidence, or None where the suite declares nothing to measure."""


def _floats(suite: Suite, seed: int, progress: Progress) -> dict[str, Any] | None:
    from .floats import measure

    return measure(suite, seed, progress)


def _samplers(suite: Suite, seed: int, progress: Progress) -> dict[str, Any] | None:
    from .samplers import check_samplers

    found = check_samplers(suite, seed, progress=progress)
    return {**found, "count": sum(row["n"] for row in found["rows"])}


def _transfer(suite: Suite, seed: int, progress: Progress) -> dict[str, Any] | None:
    from .transfer import transfer

    if suite.transfer is None:
        return None
    found = transfer(suite, seed, progress=progress)
    wrong = [row for row in found["rows"] if row["counts"] and not row["equivalent"]]
    return {
        **found,
        "count": sum(cell["n"] for cell in found["played"].values()),
        "what": [
            f"{row['axis']}, {row['what']}: a gap of {row['low']:.4g} to {row['high']:.4g} is not "
            f"within {row['margin']:.4g}"
            for row in wrong
        ],
    }


def _mutants(suite: Suite, seed: int, progress: Progress) -> dict[str, Any] | None:
    from .strength import measure

    return measure(suite, seed, progress)


# Imported when asked for: some need libraries that verification itself does not.
EVIDENCE: Mapping[str, Measure] = {
    "E1": _samplers,
    "floats": _floats,
    "L4": _transfer,
    "mutants": _mutants,
}


def gather(level: str, suite: Suite, seed: int, progress: Progress) -> dict[str, Any] | None:
    """The evidence of one of `EVIDENCE`. Raises ReferenceUnavailable, ImportError."""
    started = time.perf_counter()
    found = EVIDENCE[level](suite, seed, progress)
    return found and {**found, "seconds": time.perf_counter() - started}

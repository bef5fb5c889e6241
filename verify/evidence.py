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


# Imported when asked for: some need libraries that verification itself does not.
EVIDENCE: Mapping[str, Measure] = {"floats": _floats}


def gather(level: str, suite: Suite, seed: int, progress: Progress) -> dict[str, Any] | None:
    """The evidence of one of `EVIDENCE`. Raises ReferenceUnavailable, ImportError."""
    started = time.perf_counter()
    found = EVIDENCE[level](suite, seed, progress)
    return found and {**found, "seconds": time.perf_counter() - started}

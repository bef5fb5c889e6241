"""Coverage of the reference by compared transitions, and going after what is not reached."""

from .collector import Collector, ReplayDiffers, collector
from .plan import Coverage, CoveragePlan, Source, Waiver, judge

__all__ = [
    "Collector",
    "Coverage",
    "CoveragePlan",
    "ReplayDiffers",
    "Source",
    "Waiver",
    "collector",
    "judge",
]

"""Coverage of the reference by compared transitions, and going after what is not reached."""

from .collector import Collector, ReplayDiffers, collector
from .explorer import Explored, explore
from .measure import Measurement, measure
from .plan import Coverage, CoveragePlan, Source, Waiver, judge

__all__ = [
    "Collector",
    "Coverage",
    "CoveragePlan",
    "Explored",
    "Measurement",
    "ReplayDiffers",
    "Source",
    "Waiver",
    "collector",
    "explore",
    "judge",
    "measure",
]

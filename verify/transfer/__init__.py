"""L4: transfer of trained policies, tested so that it can say no."""

from .equivalence import Equivalence, paired, welch
from .level import Stage, TransferOptions, transfer
from .plan import TransferPlan

__all__ = [
    "Equivalence",
    "Stage",
    "TransferOptions",
    "TransferPlan",
    "paired",
    "transfer",
    "welch",
]

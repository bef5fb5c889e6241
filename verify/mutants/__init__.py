"""Mutants under vmap: how strong the evidence is, measured by planting faults."""

from .engine import AlreadyDiffers, Compiled, Log
from .killers import Killer, measured
from .matrix import MatrixOptions, matrix, with_verdicts
from .rewrite import Mutant
from .schemata import Instrumented, instrument

__all__ = [
    "AlreadyDiffers",
    "Compiled",
    "Instrumented",
    "Killer",
    "Log",
    "MatrixOptions",
    "Mutant",
    "instrument",
    "matrix",
    "measured",
    "with_verdicts",
]

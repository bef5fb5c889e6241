"""What "the same" means, and the evidence for it."""

from .runner import Options, replay, verify
from .suite import Compare, Field, Property, Scenario, Suite, SuiteError, Transition, Variant

__all__ = [
    "Compare",
    "Field",
    "Options",
    "Property",
    "Scenario",
    "Suite",
    "SuiteError",
    "Transition",
    "Variant",
    "replay",
    "verify",
]

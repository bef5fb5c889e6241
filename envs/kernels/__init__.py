"""One function of one instance, generated into one fast kernel over the batch; see README.md."""

from .lift import Backend, Lifted, Speed, lift
from .program import Unsupported

__all__ = ["Backend", "Lifted", "Speed", "Unsupported", "lift"]

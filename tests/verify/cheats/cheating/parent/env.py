"""Says nothing but zero, counting on the package above."""

from cheating.zeros import Env

__all__ = ["Env"]

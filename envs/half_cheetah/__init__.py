"""HalfCheetah: Gymnasium's HalfCheetah-v5 in JAX, MuJoCo's physics specialised to the plane."""

from .env import HalfCheetah
from .state import Config, Draws, Params, State

__all__ = ["Config", "Draws", "HalfCheetah", "Params", "State"]

"""Puffer Pong: PufferLib 3.0.0's Pong in JAX, bit for bit."""

from .env import Pong
from .state import Config, Draws, Params, State

__all__ = ["Config", "Draws", "Params", "Pong", "State"]

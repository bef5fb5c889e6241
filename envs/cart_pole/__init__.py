"""Cart-pole: Gymnasium's CartPole-v1 in JAX."""

from .env import CartPole
from .state import Config, Draws, Params, State

__all__ = ["CartPole", "Config", "Draws", "Params", "State"]

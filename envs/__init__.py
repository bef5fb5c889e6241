"""Vectorised environments in JAX."""

from .core import Environment, Outcome, state_bytes
from .game import Game
from .registry import list_environments, make, register
from .spaces import Box, Discrete

__all__ = [
    "Box",
    "Discrete",
    "Environment",
    "Game",
    "Outcome",
    "list_environments",
    "make",
    "register",
    "state_bytes",
]

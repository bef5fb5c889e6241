"""Pokemon Showdown 0.11.11's generation 1 in JAX, draw for draw."""

from .env import Config, PokemonGen1
from .state import Draws, Params, State
from .teams import rows

__all__ = ["Config", "Draws", "Params", "PokemonGen1", "State", "rows"]

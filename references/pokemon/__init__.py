"""Generation 1's truth: Pokemon Showdown itself, the npm package, in processes of Node.js."""

from .coverage import Reached, reached_lines
from .install import VERSION, installed
from .reference import NUM_ACTIONS, ShowdownDraws, ShowdownReference, VectorShowdown
from .teams import Teams

__all__ = [
    "NUM_ACTIONS",
    "VERSION",
    "Reached",
    "ShowdownDraws",
    "ShowdownReference",
    "Teams",
    "VectorShowdown",
    "installed",
    "reached_lines",
]

"""Generation 1's truth: Pokemon Showdown itself, the npm package, in processes of Node.js."""

from .coverage import Reached, reached_lines
from .install import VERSION, installed
from .reference import NUM_ACTIONS, ShowdownDraws, ShowdownReference, VectorShowdown
from .replay import BattleRecord, protocol_log, record
from .story import Story, read_log
from .teams import Teams

__all__ = [
    "NUM_ACTIONS",
    "VERSION",
    "BattleRecord",
    "Reached",
    "ShowdownDraws",
    "ShowdownReference",
    "Story",
    "Teams",
    "VectorShowdown",
    "installed",
    "protocol_log",
    "reached_lines",
    "read_log",
    "record",
]

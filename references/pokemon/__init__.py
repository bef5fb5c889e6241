"""Generation 1's truth: Pokemon Showdown itself, the npm package, in processes of Node.js."""

from .install import VERSION, installed
from .reference import NUM_ACTIONS, ShowdownDraws, ShowdownReference, VectorShowdown
from .replay import BattleRecord, protocol_log, record
from .story import Story, read_log
from .teams import Teams

__all__ = [
    "NUM_ACTIONS",
    "VERSION",
    "BattleRecord",
    "ShowdownDraws",
    "ShowdownReference",
    "Story",
    "Teams",
    "VectorShowdown",
    "installed",
    "protocol_log",
    "read_log",
    "record",
]

"""A battle between decisions, and what it refers to.

Axes: `P` 2 players, `S` 6 slots of a team as the battle began, `M` 4 moves; five statistics are
attack, defense, special attack, special defense, speed, and seven boosts have accuracy and evasion
besides. Codes of moves, types, statuses: moves.py.
"""

import jax.numpy as jnp
from flax import struct
from jax import Array

NUM_PLAYERS, TEAM_SIZE, NUM_MOVES = 2, 6, 4
NUM_ACTIONS = NUM_MOVES + TEAM_SIZE

ONGOING, TIE = -1, 2
"""Values of `State.winner` besides the players."""


class Request:
    """Values of `State.request`: what a player is asked for."""

    WAIT = 0
    CHOOSE = 1  # a move or a switch
    REPLACE = 2  # a switch for a Pokemon that fainted


class Params(struct.PyTreeNode, kw_only=True):
    """The teams that battles are drawn from, see teams.py; shared by all instances."""

    teams: Array  # int16 [N, S, W]  rows of `teams.Member`


class Draws(struct.PyTreeNode, kw_only=True):
    """The randomness of a reset. That of a step is in the state: the battle's own generator."""

    seed: Array  # uint32 [2]  of the generator, high word first
    team: Array  # int32 [P]   rows of `Params.teams`


class State(struct.PyTreeNode, kw_only=True):
    """Everything that the rest of the battle depends on, and what the players were shown of it. 253
    bytes.

    Of benched Pokemon only what outlasts a switch is kept; their other numbers follow from the
    team.
    """

    seed: Array  # uint32 [2]
    team: Array  # int32 [P]
    turn: Array  # int16 []
    last_damage: Array  # int32 []  what Counter answers
    winner: Array  # int8 []
    request: Array  # uint8 [P]

    order: Array  # uint8 [P, S]  the slot of the Pokemon in each place; the first is active
    hp: Array  # int16 [P, S]
    condition: Array  # uint8 [P, S]  status, sleep turns, whose doing, sub_fainted: see side.py
    base_pp: Array  # uint8 [P, S, M]  what remains after a switch

    last_move: Array  # uint8 [P]  of the side, as announced or selected
    last_enemy_move: Array  # uint8 [P]
    last_selected: Array  # uint8 [P]
    last_selected_slot: Array  # uint8 [P]
    last_enemy_selected: Array  # uint8 [P]

    # of the active Pokemon
    species: Array  # uint8 [P]  as transformed
    types: Array  # uint8 [P, 2]
    stored_stats: Array  # int16 [P, 5]  before boosts
    modified_stats: Array  # int16 [P, 5]  after
    boosts: Array  # int8 [P, 7]
    speed: Array  # int16 [P]  as cached: ties are judged by it
    moves: Array  # uint8 [P, M]
    pp: Array  # uint8 [P, M]
    flags: Array  # uint16 [P]  see side.py
    last_used: Array  # uint8 [P]  its own last move, 0 none
    substitute_hp: Array  # uint8 [P]  0: no substitute
    confusion: Array  # uint8 [P]  turns left, 0 none
    lock: Array  # uint8 [P]  the move that it is held to, 0 none: charged, Thrash, Rage, Bide, Wrap
    lock_time: Array  # uint8 [P]  turns left; of a trapping move also of how many, in the high half
    lock_accuracy: Array  # uint8 [P]  of Thrash and Rage, which forget none of its changes
    lock_damage: Array  # int32 [P]  what Bide has stored; what a trapping move deals each turn
    trap: Array  # uint16 [P]  who traps it, whom it traps, and until when: see side.py
    toxic: Array  # uint8 [P]  0 never poisoned badly, else one more than its counter
    disabled: Array  # uint8 [P]  a move, 0 none
    disable_time: Array  # uint8 [P]

    # What the other player has seen: five bits a slot, four moves of the set and whether it came
    # in. Nothing that happens depends on it; without a history, nothing was seen.
    seen: Array = struct.field(default_factory=lambda: jnp.zeros(NUM_PLAYERS, jnp.uint32))

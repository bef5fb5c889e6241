"""What holds a Pokemon to a move: Bide, Thrash, traps.  upstream: conditions.ts and moves.ts of the
gen1 mod"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from . import effects
from .generator import Dice, draw
from .side import Side

HITS = np.array([2, 2, 2, 3, 3, 3, 4, 5], np.int32)
"""Of two to five, as often as each comes."""
ACCURATE = 255
_TRAP_TURNS = 2
_LONGEST_TRAP = 5


class Field(NamedTuple):
    """Both sides as the one who acts sees them, and what they share."""

    user: Side
    foe: Side
    dice: Dice
    last_damage: Array  # int32 []


def bide(field: Field, able: Array) -> tuple[Field, Array]:
    """Store what was dealt last, and in the end strike back with twice of it all. Returns (field,
    bool []: the user bides)."""
    user, foe, dice, last_damage = field
    bides = able & user.biding
    user = user.where(
        bides, lock_damage=user.lock_damage + last_damage, lock_time=user.lock_time - 1
    )
    ends = bides & (user.lock_time == 0)
    strikes = ends & (user.lock_damage > 0)
    behind, open_ = strikes & (foe.substitute_hp > 0), strikes & (foe.substitute_hp == 0)
    amount = user.lock_damage * 2
    foe = effects.hit_substitute(foe, amount, behind)
    dealt = jnp.minimum(amount, foe.hp)
    foe = effects.lose(foe, dealt, open_)
    last_damage = jnp.where(behind, amount, jnp.where(open_, dealt, last_damage))
    foe = effects.build_rage(foe, open_.astype(jnp.int32))
    return Field(user.release(ends), foe, dice, last_damage), bides


def thrash(dice: Dice, user: Side, code: Array, wanted: Array) -> tuple[Dice, Side]:
    """It begins for three or four turns, and ends in confusion."""
    goes_on = wanted & user.thrashing
    user = user.where(goes_on, lock_time=user.lock_time - 1)
    ends = goes_on & (user.lock_time == 0)
    dice, user = effects.confuse(dice, user.where(ends, confusion=0), ends)
    begins = wanted & ~goes_on
    dice, turns = draw(dice, "thrash_turns", 2, begins)
    return dice, user.where(begins, lock=code, lock_time=turns + 2, lock_accuracy=ACCURATE)


def trap(field: Field, code: Array, hit: Array, bare: Array) -> Field:
    """The first hit begins two to five turns in which the foe cannot move.

    hit: bool [], of the foe or of its substitute; bare: of the foe itself, which holds it anew.
    """
    user, foe, dice, last_damage = field
    begins = hit & ~user.trapping
    dice, throw = draw(dice, "trapping_turns", 8, begins)
    several = jnp.where(np.arange(len(HITS), dtype=np.int32) == throw, HITS, 0)
    turns = several.sum(dtype=jnp.int32)
    # Upstream draws, and traps nobody, where the foe has fainted.
    begins &= foe.hp > 0
    user = user.where(
        begins,
        **{"lock": code, "lock_time": turns, "lock_total": turns, "lock_target": foe.slot},
        lock_damage=last_damage,
    )
    holds = begins | (bare & (foe.hp > 0))
    return Field(user, _held_fast(foe, user, holds), dice, last_damage)


def _held_fast(foe: Side, user: Side, wanted: Array) -> Side:
    """For this turn and the next, by whoever began it."""
    foe = foe.where(wanted & ~foe.trapped, trap_by=user.slot, trap_shown=False)
    return foe.where(wanted, trap_time=_TRAP_TURNS)


def hold_on(user: Side, foe: Side, wanted: Array, target_hp: Array) -> tuple[Side, Side]:
    """Whether the foe is held for another turn; in the last one neither player can tell."""
    user = user.release(wanted & (target_hp == 0))
    wanted = wanted & (target_hp > 0)
    last = wanted & (user.lock_time == 1)
    feint = last & (user.lock_total != _LONGEST_TRAP)
    user, foe = _feint(user, foe, feint), _feint(foe, user, feint)
    foe = _held_fast(foe, user, wanted & ~last)
    return user, foe.where(wanted & ~last & (user.lock_total > user.lock_time), trap_shown=True)


def _feint(side: Side, other: Side, wanted: Array) -> Side:
    began = side.where(wanted & (side.feint_time == 0), feint_time=_TRAP_TURNS)
    return began.where(wanted, feint_with=other.slot)

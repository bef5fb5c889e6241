"""Moves that become others: Mirror Move and Metronome.  upstream: useMove in the gen1 mod"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .generator import Dice, draw
from .moves import FISSURE, METRONOME, MIRROR_MOVE, NO_MOVE, called, table, unpack
from .side import Side, at, put

_PP_BITS = np.int32(63)


class Call(NamedTuple):
    """A move on its way to what it becomes."""

    user: Side  # chosen_row is the move's
    dice: Dice
    last_damage: Array
    failed: Array  # bool []: there was nothing to mirror


def call(start: Call, foe: Side, able: Array) -> tuple[Call, Array]:
    """Until it is neither of the two. Returns (call, int32 []: the move's code).

    A loop, as either may call the other, and hardly anybody does: its body is skipped where nobody
    does.
    """
    kept = {name: getattr(start.user, name) for name in _CHANGED}
    carry = (kept, start.dice, start.last_damage, start.failed)

    def pending(carry: tuple[dict[str, Array], Dice, Array, Array]) -> Array:
        move = unpack(carry[0]["chosen_row"])
        return able & (move.mirrors | move.calls) & ~carry[3]

    def step(
        carry: tuple[dict[str, Array], Dice, Array, Array],
    ) -> tuple[dict[str, Array], Dice, Array, Array]:
        user = start.user.replace(**carry[0])
        after = _once(Call(user, *carry[1:]), foe, pending(carry))
        return {n: getattr(after.user, n) for n in _CHANGED}, *after[1:]

    kept, dice, last_damage, failed = jax.lax.while_loop(pending, step, carry)
    user = start.user.replace(**kept)
    code = jnp.where(user.last_selected == NO_MOVE, FISSURE, user.last_selected)
    return Call(user, dice, last_damage, failed), code


_CHANGED = (
    *("last_move", "last_enemy_move", "last_used", "used_row", "counterable", "chosen_row"),
    *("last_selected", "last_enemy_selected", "pp", "base_pp"),
)


def _once(now: Call, foe: Side, wanted: Array) -> Call:
    user, dice, _, _ = now
    move = unpack(user.chosen_row)
    itself = jnp.where(move.mirrors, MIRROR_MOVE, METRONOME)
    user = user.where(wanted, last_move=itself, last_enemy_move=itself, last_used=itself)
    user = user.where(wanted, used_row=user.chosen_row, counterable=False)

    none = move.mirrors & ((foe.last_used == 0) | (foe.last_used == MIRROR_MOVE))
    dice, choice = draw(dice, "metronome", len(called()), wanted & move.calls)
    codes = np.array(called(), np.int32)
    code = jnp.where(move.mirrors, foe.last_used, at(jnp.asarray(codes), choice))
    row = jnp.where(move.mirrors, foe.used_row, at(jnp.asarray(table()[codes]), choice))
    found = wanted & ~none
    user = user.where(found, last_selected=code, last_enemy_selected=code, chosen_row=row)
    # Two turns cost one PP, which is paid when it strikes.
    place = user.last_selected_slot
    user = spend(user, -1, found & unpack(row).charges)
    gained = (at(user.base_pp, place) + 1) & _PP_BITS
    has_place = at(user.member.moves, place) != 0
    user = user.where(
        found & user.transformed & has_place, base_pp=put(user.base_pp, place, gained)
    )
    return Call(user, dice, jnp.where(wanted, 0, now.last_damage), now.failed | (wanted & none))


def spend(user: Side, amount: int, wanted: Array) -> Side:
    """PP in the place that was selected last, whatever is there; six bits.  upstream: deductPP"""
    slot = user.last_selected_slot
    wanted = wanted & (at(user.moves, slot) != 0)
    left = (at(user.pp, slot) - amount) & _PP_BITS
    user = user.where(wanted, pp=put(user.pp, slot, left))
    return user.where(wanted & ~user.transformed, base_pp=put(user.base_pp, slot, left))

"""What moves do besides damage: boosts, statuses, and what ends with a switch."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .damage import scale
from .generator import Dice, draw
from .moves import (
    ACCURACY,
    ATTACK,
    CANNOT_MOVE,
    DEFENSE,
    EVASION,
    FREEZE,
    POISON,
    SLEEP,
    SPECIALS,
    SPEED,
    TOXIC,
)
from .side import SPEED_STAT, Side, at, drop_stats, team_conditions, team_hp
from .state import NUM_MOVES

_CODES = (ATTACK, DEFENSE, SPECIALS, SPECIALS, SPEED, ACCURACY, EVASION)
"""What boosts each."""
_NUM_STATS = 5
_MAX_STAT, _MIN_STAT, _MAX_STAGE = 999, 1, 6
_POISON_TYPE = np.int32(4)


def boost(side: Side, code: Array, by: Array, wanted: Array) -> tuple[Side, Array]:
    """Change a statistic by `by` stages where it is wanted. Returns (side, bool []: it changed).

    upstream: boost and boostBy. A statistic at its end rebounds by one stage, and has not changed.
    """
    stats, stages = side.modified_stats, side.boosts
    room = jnp.where(by > 0, stages < _MAX_STAGE, stages > -_MAX_STAGE)
    can = wanted & (np.array(_CODES, np.int32) == code) & room
    at_end = stats == jnp.where(by > 0, _MAX_STAT, _MIN_STAT)
    stuck = jnp.concatenate([at_end, jnp.zeros(len(_CODES) - _NUM_STATS, bool)])
    moved = jnp.clip(stages + by, -_MAX_STAGE, _MAX_STAGE)
    moved = jnp.where(can, jnp.where(stuck, moved - jnp.sign(by), moved), stages)
    changed = can & ~stuck
    grown = jnp.maximum(scale(side.stored_stats, moved[:_NUM_STATS]), 1)
    grown = jnp.where(by > 0, jnp.minimum(grown, _MAX_STAT), grown)
    side = side.replace(
        boosts=moved,
        modified_stats=jnp.where(changed[:_NUM_STATS], grown, stats),
    )
    return side, changed.any()


def set_status(
    dice: Dice, side: Side, status: Array, wanted: Array, *, by_foe: bool
) -> tuple[Dice, Side, Array]:
    """upstream: setStatus, of a Pokemon that can have this status. Returns (dice, side, bool []: it
    has it now)."""
    immune = ((status == POISON) | (status == TOXIC)) & side.has_type(_POISON_TYPE)
    tried = wanted & ~immune & (side.hp > 0) & (side.status != status)
    dice = ask_rules(dice, tried)
    if by_foe:
        tried &= ~_clause(side, status)
    side = side.where(tried, status=status, sleep_by_foe=by_foe)
    return dice, side.where(tried & (status == TOXIC), toxic=1), tried


def ask_rules(dice: Dice, wanted: Array) -> Dice:
    """Two rules want a say in a status, Sleep Clause and Freeze Clause, and neither is faster."""
    return draw(dice, "tie_run_event", 2, wanted)[0]


def _clause(side: Side, status: Array) -> Array:
    """Whether one of the team is asleep by the foe's doing already, or frozen."""
    each = team_conditions(side)
    asleep = (team_hp(side) > 0) & (each["status"] == SLEEP) & each["sleep_by_foe"]
    frozen = each["status"] == FREEZE
    return ((status == SLEEP) & asleep.any()) | ((status == FREEZE) & frozen.any())


def inflict(dice: Dice, side: Side, status: Array, wanted: Array) -> tuple[Dice, Side, Array]:
    """A move's status, of the foe's doing: on a Pokemon without one, or sleep on one that has to
    recharge. Returns (dice, side, bool []: it fell asleep, for how long is to be drawn)."""
    lulled = (status == SLEEP) & side.recharge
    wanted = wanted & (status != 0) & (lulled | (side.status == 0))
    dice, side, did = set_status(dice, side, status, wanted, by_foe=True)
    side = drop_stats(side, did).where(did & lulled, recharge=False)
    return dice, side, did & (status == SLEEP)


def recover(side: Side, amount: Array, wanted: Array) -> Side:
    """Heal a Pokemon that has not fainted."""
    healed = jnp.minimum(side.hp + amount, side.member.max_hp)
    return side.where(wanted & (side.hp > 0), hp=healed)


def cannot_heal(side: Side) -> Array:
    """Recover, Softboiled and Rest fail at full health, and when 255 or 511 points are missing."""
    missing = side.member.max_hp - side.hp
    overflow = ((missing == 255) | (missing == 511)) & (side.hp % 256 != 0)
    return (missing == 0) | overflow


def lose(side: Side, amount: Array, wanted: Array) -> Side:
    """Take hit points, down to none."""
    return side.where(wanted, hp=jnp.maximum(side.hp - amount, 0))


def hurt_itself(
    user: Side, foe: Side, amount: Array, last_damage: Array, wanted: Array
) -> tuple[Side, Side, Array]:
    """Confusion and crashes: where the user has a substitute, the foe's takes it, if there is one.

    upstream: directDamage
    """
    last_damage = jnp.where(wanted, amount, last_damage)
    behind = user.substitute_hp > 0
    user = lose(user, amount, wanted & ~behind)
    return user, hit_substitute(foe, amount, wanted & behind & (foe.substitute_hp > 0)), last_damage


def hit_substitute(side: Side, amount: Array, wanted: Array) -> Side:
    left = jnp.maximum(side.substitute_hp - amount, 0)
    side = side.where(wanted & (left == 0), sub_fainted=True)
    return side.where(wanted, substitute_hp=left)


def confuse(dice: Dice, side: Side, wanted: Array) -> tuple[Dice, Side]:
    """For two to five turns, where it is not confused yet."""
    wanted = wanted & (side.confusion == 0) & (side.hp > 0)
    dice, turns = draw(dice, "confusion_turns", 4, wanted)
    return dice, side.where(wanted, confusion=turns + 2)


def build_rage(side: Side, times: Array) -> Side:
    """Attack rises by one stage, as often as it was hit.  upstream: onHit of Rage"""
    # A loop, as hardly anybody rages: its body is skipped where nobody does.
    attack = side.modified_stats, side.boosts, times

    def rises(carry: tuple[Array, Array, Array]) -> Array:
        return carry[2] > 0

    def rise(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        stats, boosts, left = carry
        raging = side.replace(modified_stats=stats, boosts=boosts)
        raging, _ = boost(raging, jnp.int32(ATTACK), jnp.int32(1), left > 0)
        return raging.modified_stats, raging.boosts, left - 1

    wanted = side.raging & (side.hp > 0)
    stats, boosts, _ = jax.lax.while_loop(rises, rise, (*attack[:2], jnp.where(wanted, times, 0)))
    return side.replace(modified_stats=stats, boosts=boosts)


def disable(dice: Dice, side: Side, wanted: Array) -> tuple[Dice, Side]:
    """One of the moves with PP, for up to eight turns."""
    candidates = (side.moves != 0) & (side.pp > 0)
    count = candidates.sum(dtype=jnp.int32)
    wanted = wanted & (count > 0) & (side.disabled == 0)
    dice, choice = draw(dice, "disable_slot", count, wanted)
    place = before = jnp.zeros((), jnp.int32)
    for i in range(NUM_MOVES):
        place = jnp.where(candidates[i] & (before == choice), i, place)
        before = before + candidates[i].astype(jnp.int32)
    dice, turns = draw(dice, "disable_turns", 8, wanted)
    move = at(side.moves, place)
    side = side.where(wanted, disabled=move, disabled_place=place, disable_time=turns + 1)
    return dice, side


def haze(dice: Dice, user: Side, foe: Side, wanted: Array) -> tuple[Dice, Side, Side]:
    """Boosts and more are gone on both sides, and the foe's status, whose drops stay gone."""
    helpless = wanted & ((foe.status == FREEZE) | (foe.status == SLEEP))
    foe = foe.where(helpless, last_selected=CANNOT_MOVE, last_enemy_selected=CANNOT_MOVE)
    foe = foe.where(wanted, status=0, sleep_time=0, sleep_by_foe=False)
    weakens = wanted & (user.status == TOXIC)
    dice = ask_rules(dice, weakens)
    user = user.where(weakens, status=POISON)
    return dice, _cleared(user, wanted), _cleared(foe, wanted)


def _cleared(side: Side, wanted: Array) -> Side:
    stats = side.stored_stats
    side = side.where(wanted, boosts=0, modified_stats=stats, speed=stats[SPEED_STAT])
    return side.where(wanted, **dict.fromkeys(_HAZED, 0))


_HAZED = (
    *("disabled", "disabled_place", "disable_time", "confusion", "mist", "focused", "seeded"),
    *("light_screen", "reflect", "toxic"),
)

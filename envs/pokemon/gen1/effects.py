"""What moves do besides damage: boosts, statuses, and what ends with a switch."""

import jax.numpy as jnp
import numpy as np
from jax import Array

from .damage import scale
from .generator import Dice, draw
from .moves import ACCURACY, ATTACK, DEFENSE, FREEZE, POISON, SLEEP, SPECIALS, SPEED
from .side import Side, drop_stats, team_conditions, team_hp

_CODES = (ATTACK, DEFENSE, SPECIALS, SPECIALS, SPEED, ACCURACY)
"""What boosts each of the first six; none of the moves changes evasion."""
_NUM_STATS = 5
_MAX_STAT, _MIN_STAT, _MAX_STAGE = 999, 1, 6
_POISON_TYPE = np.int32(4)


def boost(side: Side, code: Array, by: Array, wanted: Array) -> tuple[Side, Array]:
    """Change a statistic by `by` stages where it is wanted. Returns (side, bool []: it changed).

    upstream: boost and boostBy. A statistic at its end rebounds by one stage, and has not changed.
    """
    stats, stages = side.modified_stats, side.boosts[: len(_CODES)]
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
        boosts=jnp.concatenate([moved, side.boosts[len(_CODES) :]]),
        modified_stats=jnp.where(changed[:_NUM_STATS], grown, stats),
    )
    return side, changed.any()


def set_status(
    dice: Dice, side: Side, status: Array, wanted: Array, *, by_foe: bool
) -> tuple[Dice, Side, Array]:
    """upstream: setStatus, of a Pokemon that can have this status. Returns (dice, side, bool []: it
    has it now)."""
    immune = (status == POISON) & side.has_type(_POISON_TYPE)
    tried = wanted & ~immune & (side.hp > 0) & (side.status != status)
    # Two rules want a say, Sleep Clause and Freeze Clause, and neither is faster.
    dice, _ = draw(dice, "tie_run_event", 2, tried)
    if by_foe:
        tried &= ~_clause(side, status)
    return dice, side.where(tried, status=status, sleep_by_foe=by_foe), tried


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

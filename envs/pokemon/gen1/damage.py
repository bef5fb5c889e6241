"""How hard a move hits, and whether it does.  upstream: getDamage, tryMoveHit in the gen1 mod."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from .generator import Dice, draw
from .moves import (
    COUNTER,
    COUNTER_DAMAGE,
    DOUBLE,
    FORTY,
    HALF,
    HALF_HP_DAMAGE,
    KNOCKS_OUT,
    LEVEL_DAMAGE,
    PHYSICAL,
    PSYWAVE,
    STATUS_MOVE,
    TWENTY,
    Move,
    effectiveness,
)
from .side import Side

_NUMERATOR = np.array([25, 28, 33, 40, 50, 66, 100, 150, 200, 250, 300, 350, 400], np.int32)
_NEUTRAL = 6
_ACCURACY, _EVASION = 5, 6
_MIN_ROLL, _MAX_ROLL = 217, 255
_MAX_DAMAGE = 997
_BYTE = np.int32(0xFF)
_KNOCK_OUT = 65535
_NORMAL, _GHOST = np.int32(1), np.int32(8)


def scale(value: Array, stage: Array) -> Array:
    """Statistics, accuracy or evasion included, after `stage` boosts, -6..6; of one shape."""
    stages = np.arange(-_NEUTRAL, _NEUTRAL + 1, dtype=np.int32)
    # Constants of the stage's own rank: strictly typed, and no lookup.
    shape = (len(stages), *[1] * stage.ndim)
    here = stages.reshape(shape) == stage[None]
    numerator = jnp.where(here, _NUMERATOR.reshape(shape), 0).sum(axis=0, dtype=jnp.int32)
    return value * numerator // 100


def hit_chance(user: Side, target: Side, accuracy: Array) -> Array:
    """Of a move of this accuracy, out of 256, at most 255."""
    accuracy = scale(accuracy, user.boosts[_ACCURACY])
    accuracy = scale(accuracy, -target.boosts[_EVASION])
    return jnp.clip(accuracy, 1, 255)


def critical_chance(user: Side, move: Move) -> Array:
    """Out of 256, by the speed of the species that the set names. Focus Energy makes it less."""
    half = user.member.base_speed // 2
    chance = jnp.where(user.focused, half // 2, jnp.clip(half * 2, 1, 255))
    return jnp.where(move.high_critical, jnp.clip(chance * 4, 1, 255), chance // 2)


class Hit(NamedTuple):
    """damage: of the first hit, before it meets what is left of the target; failed: Counter has
    nothing to answer, or the level is too low for Psywave."""

    damage: Array  # int32 []
    failed: Array  # bool []


def damage(
    dice: Dice, user: Side, target: Side, move: Move, last_damage: Array, wanted: Array
) -> tuple[Dice, Hit]:
    """What one hit is worth, where it is wanted, bool []."""
    wanted = wanted & (move.category != STATUS_MOVE)
    # A trapping move hurts each turn as it did in the first one.
    goes_on = user.trapping & (user.lock_target == target.slot)
    beyond = move.traps & (move.type == _NORMAL) & target.has_type(_GHOST)
    rolled = wanted & (move.fixed_damage == 0) & ~goes_on & ~beyond
    dice, throw = draw(dice, "critical_hit", 256, rolled & (critical_chance(user, move) > 0))
    critical = throw < critical_chance(user, move)
    calculated = _calculated(user, target, move, critical)
    dice, throw = draw(dice, "damage_roll", _MAX_ROLL - _MIN_ROLL + 1, rolled & (calculated > 1))
    spread = calculated * (throw + _MIN_ROLL) // _MAX_ROLL
    calculated = jnp.where(calculated > 1, spread, calculated)

    level, kind = user.member.level, move.fixed_damage
    waves = wanted & (kind == PSYWAVE)
    flat = (level + level // 2) & _BYTE
    dice, wave = draw(dice, "psywave", level * 3 // 2 - 1, waves & (flat >= 2))
    answers = (target.last_enemy_selected != COUNTER) & target.counterable & (last_damage > 0)
    failed = ((kind == COUNTER_DAMAGE) & ~answers) | (waves & (flat < 2))
    value = jnp.where(kind == LEVEL_DAMAGE, level, calculated)
    value = jnp.where(kind == HALF_HP_DAMAGE, jnp.maximum(target.hp // 2, 1), value)
    value = jnp.where(kind == COUNTER_DAMAGE, 2 * last_damage, value)
    value = jnp.where(kind == PSYWAVE, wave + 1, value)
    value = jnp.where(kind == KNOCKS_OUT, _KNOCK_OUT, value)
    value = jnp.where(kind == TWENTY, 20, value)
    value = jnp.where(kind == FORTY, 40, value)
    value = jnp.where(goes_on, user.lock_damage, value)
    return dice, Hit(jnp.where(beyond, 0, value), wanted & failed)


def _calculated(user: Side, target: Side, move: Move, critical: Array) -> Array:
    physical = move.category == PHYSICAL
    attack = _stat(user, physical, critical, 0, 2)
    defense = _stat(target, physical, critical, 1, 3)
    screened = jnp.where(physical, target.reflect, target.light_screen) & ~critical
    defense = jnp.where(screened, defense * 2, defense)
    # Neither number has more than eight bits, or both lose two of them and what is above.
    large = (attack >= 256) | (defense >= 256)
    attack = jnp.where(large, jnp.maximum((attack // 4) & _BYTE, 1), attack)
    defense = jnp.where(large, jnp.maximum((defense // 4) & _BYTE, 1), defense)
    defense = jnp.where(move.self_destructs & physical, jnp.maximum(defense // 2, 1), defense)

    level = jnp.where(critical, user.member.level * 2, user.member.level) & _BYTE
    value = (level * 2 // 5 + 2) * move.power * attack // defense
    value = jnp.minimum(value // 50, _MAX_DAMAGE) + 2
    value = jnp.where(user.has_type(move.type), value + value // 2, value)
    for target_type in (target.types[0], target.types[1]):
        found = effectiveness(move, target_type)
        value = jnp.where(found == DOUBLE, value * 20 // 10, value)
        value = jnp.where(found == HALF, value * 5 // 10, value)
    return value


def _stat(side: Side, physical: Array, critical: Array, if_physical: int, if_special: int) -> Array:
    """A critical hit sees the set's own statistics, unboosted and untransformed."""
    stats = jnp.where(critical, side.member.stats, side.modified_stats)
    return jnp.where(physical, stats[if_physical], stats[if_special])


def confusion_damage(side: Side) -> Array:
    """What a confused Pokemon does to itself."""
    level, stats = side.member.level, side.modified_stats
    value = (2 * level // 5 + 2) * stats[0] * 40 // stats[1]
    return value // 50 + 2

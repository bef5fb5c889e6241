"""What is known of species and moves, as numbers for a network, and what a move is worth.

`S` Pokemon, `M` moves.
"""

import functools
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from . import moves
from .moves import data
from .teams import MAX_EV, MAX_IV

NUM_TYPES, NUM_STATUSES = 15, 6
BASE_STATS = ("hp", "attack", "defense", "special", "speed")
EFFECTS = (
    *("flinches", "confuses", "heals", "rests", "drains", "recoils", "self_destructs", "recharges"),
    *("charges", "hides", "thrashes", "rages", "bides", "traps", "crashes", "high_critical"),
    *("reflects", "light_screens", "mists", "focuses", "substitutes", "seeds", "disables", "hazes"),
    *("fixed_damage", "half_damage", "knocks_out", "eats_dreams", "counters"),
    *("mimics", "transforms", "converts", "mirrors", "calls"),
)
"""What else a move does, in the order of `Moves.effects`."""

_HP, _ATTACK, _DEFENSE, _SPECIAL, _SPEED = range(len(BASE_STATS))
_TERM = MAX_IV + MAX_EV // 4
_MAX_POWER = 256
_EXPECTED_HITS = {0: 1, moves.TWO_HITS: 2, moves.TWO_TO_FIVE_HITS: 3}
_MIDDLING_ROLL = (217 + 255) / 2 / 255
_MAX_DAMAGE = 997
_FIXED_DAMAGE = {
    moves.LEVEL_DAMAGE: (1, 0),
    moves.PSYWAVE: (0.75, 0),
    moves.TWENTY: (0, 20),
    moves.FORTY: (0, 40),
}
"""Hit points that are to be expected: a multiple of the level, and a number."""


class MoveFeatures(NamedTuple):
    """Of each move by number, 0 none, [NUM_CODES, ...] float32: see `Moves` in observe.py."""

    known: np.ndarray
    types: np.ndarray
    category: np.ndarray
    power: np.ndarray
    accuracy: np.ndarray
    priority: np.ndarray
    inflicts: np.ndarray
    boosts: np.ndarray
    effects: np.ndarray


@functools.cache
def move_features() -> MoveFeatures:
    row = _moves()
    known = np.arange(moves.NUM_CODES) > 0
    second = row.second_chance / 256
    statuses = np.arange(NUM_STATUSES) + 1
    stats = np.arange(moves.ATTACK, moves.EVASION + 1)
    by_level, fixed = _fixed_damage(row)
    inflicts = (row.status[:, None] == statuses) + second[:, None] * (
        row.second_status[:, None] == statuses
    )
    boosts = (row.boosted[:, None] == stats) * row.boost[:, None] + second[:, None] * (
        row.second_boosted[:, None] == stats
    ) * row.second_boost[:, None]
    named = row._asdict() | {
        "flinches": second * row.second_flinch,
        "confuses": row.confuses + second * row.second_confuses,
        "heals": row.heal == moves.HEAL_HALF,
        "rests": row.heal == moves.REST,
        "recoils": row.recoil > 0,
        "fixed_damage": by_level + fixed / 100,
        "knocks_out": row.fixed_damage == moves.KNOCKS_OUT,
        "half_damage": row.fixed_damage == moves.HALF_HP_DAMAGE,
        "counters": row.fixed_damage == moves.COUNTER_DAMAGE,
    }
    features = MoveFeatures(
        known=known,
        types=row.type[:, None] == np.arange(NUM_TYPES) + 1,
        category=row.category[:, None] == np.array([moves.PHYSICAL, moves.SPECIAL]),
        power=np.where(row.category == moves.STATUS_MOVE, 0, row.power) * _hits(row) / _MAX_POWER,
        accuracy=np.where(row.accuracy == 0, 1, row.accuracy / 256),
        priority=row.priority,
        inflicts=inflicts,
        boosts=boosts / 2,
        effects=np.stack([named[name] for name in EFFECTS], 1),
    )
    return MoveFeatures(
        *(
            np.where(known.reshape(-1, *[1] * (x.ndim - 1)), x, 0).astype(np.float32)
            for x in features
        )
    )


@functools.cache
def base_stats() -> np.ndarray:
    """Of each species by number, int32 [152, 5]; generation 1 has one special statistic."""
    table = np.zeros((len(data()["species"]) + 1, len(BASE_STATS)), np.int32)
    for entry in data()["species"]:
        hp, attack, defense, special, _, speed = entry["stats"]
        table[entry["num"]] = hp, attack, defense, special, speed
    return table


@functools.cache
def type_chart() -> np.ndarray:
    """What a type's damage is multiplied by, float32 [16, 16]: of the move, of the target; type 0
    is none."""
    chart = np.ones((NUM_TYPES + 1, NUM_TYPES + 1), np.float32)
    factors = {1: 2, -1: 0.5, 0: 1, None: 0}
    for entry in data()["types"]:
        for target, found in entry["against"]:
            chart[entry["num"], target] = factors[found]
    return chart


# -- what a move is worth


class Fighter(NamedTuple):
    """What tells how much a Pokemon deals and takes."""

    level: Array  # int32 []
    hp: Array  # float32 []  fraction
    base_stats: Array  # int32 [5]
    types: Array  # int32 [2]
    stages: Array  # int32 [5]  of BASE_STATS; hit points have none
    burned: Array  # bool []
    paralysed: Array  # bool []
    dreams: Array  # bool []  it sleeps, and no substitute stands before it
    reflect: Array  # bool []
    light_screen: Array  # bool []
    hidden: Array  # bool []  out of reach by Dig or Fly


def damage(user: Fighter, codes: Array, target: Fighter) -> Array:
    """The fraction of the target's full health that moves are expected to take, float32 [M], and
    where the target would faint, their accuracy. codes: int32 [M], moves by number."""
    rows = jnp.asarray(_damage_rows())[codes]
    move = {name: rows[:, i] for i, name in enumerate(_COLUMNS)}
    move_type = jnp.asarray(_move_types())[codes]
    physical = move["physical"] > 0

    level = user.level.astype(jnp.float32)
    own, foe = _statistics(user), _statistics(target)
    attack = jnp.where(physical, own[_ATTACK] * jnp.where(user.burned, 0.5, 1.0), own[_SPECIAL])
    bulk = foe[_DEFENSE] * jnp.where(target.reflect, 2.0, 1.0) * (1 - move["self_destructs"] / 2)
    mind = foe[_SPECIAL] * jnp.where(target.light_screen, 2.0, 1.0)
    value = (level * 2 / 5 + 2) * move["power"] * attack / jnp.where(physical, bulk, mind) / 50
    value = jnp.minimum(value, _MAX_DAMAGE) + 2

    bonus = (move_type[:, None] == user.types[None]).any(axis=1)
    against = jnp.asarray(type_chart())[:, target.types].prod(axis=1)[move_type]
    value = value * jnp.where(bonus, 1.5, 1.0) * against * _MIDDLING_ROLL * move["hits"]
    fixed = move["by_level"] * level + move["fixed"]
    fraction = jnp.where(move["power"] > 0, value, fixed) / foe[_HP]
    fraction = fraction + move["half_damage"] * target.hp / 2
    outruns = own[_SPEED] >= foe[_SPEED]
    fraction = fraction + jnp.where(outruns & (against > 0), move["knocks_out"], 0)
    misses = (target.hidden & (move["finds"] == 0)) | (~target.dreams & (move["eats_dreams"] > 0))
    return jnp.where(misses, 0, jnp.minimum(fraction, 1) * move["accuracy"])


def _statistics(fighter: Fighter) -> Array:
    """What BASE_STATS grow to with all values maximal, boosted; float32 [5]."""
    level, names = fighter.level, np.arange(len(BASE_STATS))
    grown = (2 * fighter.base_stats + _TERM) * level // 100
    grown = grown + jnp.where(names == _HP, level + 10, 5)
    stages = fighter.stages.astype(jnp.float32)
    factor = jnp.where(stages > 0, (2 + stages) / 2, 2 / (2 - stages))
    slow = jnp.where((names == _SPEED) & fighter.paralysed, 0.25, 1.0)
    return grown.astype(jnp.float32) * factor * slow


_COLUMNS = (
    *("power", "physical", "accuracy", "hits", "self_destructs", "by_level", "fixed"),
    *("half_damage", "knocks_out", "eats_dreams", "finds"),
)


@functools.cache
def _damage_rows() -> np.ndarray:
    """Of each move _COLUMNS; power is of one hit, 0 where the damage is another. float32
    [NUM_CODES, 11]."""
    row = _moves()
    by_level, fixed = _fixed_damage(row)
    calculated = (row.category != moves.STATUS_MOVE) & (row.fixed_damage == 0)
    columns = row._asdict() | {
        "power": np.where(calculated, row.power, 0),
        "physical": row.category == moves.PHYSICAL,
        "accuracy": move_features().accuracy,
        "hits": _hits(row),
        "by_level": by_level,
        "fixed": fixed,
        "half_damage": row.fixed_damage == moves.HALF_HP_DAMAGE,
        "knocks_out": row.fixed_damage == moves.KNOCKS_OUT,
    }
    return np.stack([columns[name] for name in _COLUMNS], 1).astype(np.float32)


@functools.cache
def _move_types() -> np.ndarray:
    return np.asarray(_moves().type, np.int32)


def _fixed_damage(row: Any) -> np.ndarray:
    """Times the level, and in hit points; float32 [2, NUM_CODES]."""
    table = np.zeros((moves.FORTY + 1, 2), np.float32)
    for kind, numbers in _FIXED_DAMAGE.items():
        table[kind] = numbers
    return table[row.fixed_damage].T


def _hits(row: Any) -> np.ndarray:
    """How many are to be expected."""
    return np.select([row.multihit == kind for kind in _EXPECTED_HITS], [*_EXPECTED_HITS.values()])


def _moves() -> Any:
    """`moves.Move` of numpy arrays [NUM_CODES]."""
    words: Any = moves.table().T
    return moves.unpack(words)

"""One player's side while a turn is played: what the state packs, as int32 and bool scalars."""

from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from .moves import BIDE, BURN, PARALYSIS, RAGE, any_of, with_flag
from .state import NUM_MOVES
from .teams import Member

SPEED_STAT, ATTACK_STAT = 4, 0
LOCK = ("lock", "lock_time", "lock_total", "lock_accuracy", "lock_damage", "lock_target")
TRAP_FIELDS = ("trap_time", "trap_by", "feint_time", "feint_with")
TOGGLES = ("seeded", "light_screen", "mist", "focused", "minimized", "hidden")
_PLACES = np.arange(NUM_MOVES, dtype=np.int32)


class Side(struct.PyTreeNode, kw_only=True):
    """int32 [] unless said otherwise; `S` slots, `M` moves, `K` words of a move's row."""

    # of the team, where it is benched; of the active slot, as it was when that came in
    order: Array  # [S]
    team_hp: Array  # [S]
    team_condition: Array  # [S]
    team_pp: Array  # [S, M]
    slot: Array  # of the active Pokemon
    seen: Array  # what of the team the other player has seen: five bits a slot

    # of the active Pokemon
    member: Member
    hp: Array
    status: Array
    sleep_time: Array
    sleep_by_foe: Array  # bool
    sub_fainted: Array  # bool: its substitute broke under the last move that was aimed at it
    base_pp: Array  # [M]
    species: Array
    form_speed: Array  # base speed of the species
    types: Array  # [2]
    stored_stats: Array  # [5]
    modified_stats: Array  # [5]
    boosts: Array  # [7]
    speed: Array
    moves: Array  # [M]
    pp: Array  # [M]
    virtual: Array  # bool [M]: of Mimic or Transform
    transformed: Array  # bool
    flinch: Array  # bool
    recharge: Array  # bool
    reflect: Array  # bool
    last_used: Array
    substitute_hp: Array
    confusion: Array
    seeded: Array  # bool
    light_screen: Array  # bool
    mist: Array  # bool
    focused: Array  # bool
    minimized: Array  # bool
    curled: Array  # bool: by Defense Curl, of which nothing follows
    hidden: Array  # bool: by Dig or Fly
    toxic: Array  # 0, or its counter and one
    disabled: Array  # the move
    disabled_place: Array
    disable_time: Array

    # what it is held to: the move, turns left, turns in all, accuracy, damage, whom it traps
    lock: Array
    lock_time: Array
    lock_total: Array
    lock_accuracy: Array
    lock_damage: Array
    lock_target: Array  # slot
    # who traps it, and what it takes for that when it is over
    trap_time: Array
    trap_by: Array  # slot
    trap_shown: Array  # bool: its player knows
    feint_time: Array
    feint_with: Array  # slot

    # of the side
    last_move: Array
    last_enemy_move: Array
    last_selected: Array
    last_selected_slot: Array
    last_enemy_selected: Array

    # rows of moves, uint32 [K], and what is read of another: looked up before the turn is played
    chosen_row: Array  # of last_selected
    used_row: Array  # of last_used
    counterable: Array  # bool: last_enemy_move is what Counter answers

    def where(self, condition: Array, **values: Any) -> Self:
        """This side with other values where the condition, bool [], holds."""
        changed = {}
        for name, value in values.items():
            old = getattr(self, name)
            new = jnp.asarray(value, old.dtype)
            changed[name] = jnp.where(condition, jnp.broadcast_to(new, old.shape), old)
        return self.replace(**changed)

    @property
    def fainted(self) -> Array:
        return self.hp == 0

    @property
    def charging(self) -> Array:
        """Whether it strikes next turn, bool []."""
        return any_of(self.lock, with_flag("charges"))

    @property
    def thrashing(self) -> Array:
        return any_of(self.lock, with_flag("thrashes"))

    @property
    def trapping(self) -> Array:
        return any_of(self.lock, with_flag("traps"))

    @property
    def raging(self) -> Array:
        return self.lock == RAGE

    @property
    def biding(self) -> Array:
        return self.lock == BIDE

    @property
    def trapped(self) -> Array:
        return self.trap_time > 0

    def release(self, condition: Array) -> Self:
        """What it was held to is over."""
        return self.where(condition, **dict.fromkeys(LOCK, 0))

    @property
    def action_speed(self) -> Array:
        """What orders actions.  upstream: getActionSpeed"""
        return self.modified_stats[SPEED_STAT]

    def has_type(self, code: Array | np.int32) -> Array:
        return ((self.types == code) & (self.types != np.int32(0))).any()


def at(values: Array, index: Array) -> Array:
    """values[index] along the first axis, of which there are few."""
    places = np.arange(values.shape[0], dtype=np.int32).reshape(-1, *[1] * (values.ndim - 1))
    found = jnp.where(places == index, values, jnp.zeros((), values.dtype))
    return found.sum(axis=0, dtype=values.dtype) if values.dtype != bool else found.any(axis=0)


def put(values: Array, index: Array | int, value: Array) -> Array:
    """`values` with another value at one index along the first axis."""
    places = np.arange(values.shape[0], dtype=np.int32).reshape(-1, *[1] * (values.ndim - 1))
    return jnp.where(places == index, jnp.broadcast_to(value, values.shape), values)


# -- bits

Bits = Mapping[str, int]
"""Fields of a side in one word, with as many bits each: flags where it is one."""

CONDITION: Bits = {"status": 3, "sleep_time": 3, "sleep_by_foe": 1, "sub_fainted": 1}
FLAGS: Bits = {
    **dict.fromkeys(("transformed", "flinch", "recharge", "reflect"), 1),
    "virtual": NUM_MOVES,
    **dict.fromkeys(TOGGLES, 1),
    "disabled_place": 2,
}
TRAP: Bits = {
    **{"trap_time": 2, "trap_by": 3, "feint_time": 2, "feint_with": 3, "lock_target": 3},
    **{"trap_shown": 1, "curled": 1},
}
LOCK_TIME: Bits = {"lock_time": 4, "lock_total": 4}


def to_bits(side: Any, fields: Bits) -> Array:
    """int32"""
    word, shift = jnp.zeros((), jnp.int32), 0
    for name, bits in fields.items():
        value = getattr(side, name).astype(jnp.int32)
        if name == "virtual":  # one bit a place
            value = (value << _PLACES).sum(dtype=jnp.int32)
        word, shift = word + (value << np.int32(shift)), shift + bits
    return word


def from_bits(word: Array, fields: Bits) -> dict[str, Array]:
    """int32 -> int32, and bool where it is one bit"""
    values, shift = {}, 0
    for name, bits in fields.items():
        value = (word >> np.int32(shift)) & np.int32(2**bits - 1)
        if name == "virtual":
            value = (value >> _PLACES) & 1
        flag = bits == 1 or name == "virtual"
        values[name], shift = value != 0 if flag else value, shift + bits
    return values


# -- statistics


def modify_stat(stats: Array, index: int, numerator: int, denominator: int) -> Array:
    """upstream: modifyStat"""
    value = jnp.maximum(stats[index] * numerator // denominator, 1)
    return put(stats, index, value)


def drop_stats(side: Side, condition: Array) -> Side:
    """Apply what burn and paralysis cost, once more, where the condition holds."""
    stats = side.modified_stats
    slowed = condition & (side.status == PARALYSIS)
    weakened = condition & (side.status == BURN)
    stats = jnp.where(slowed, modify_stat(stats, SPEED_STAT, 1, 4), stats)
    stats = jnp.where(weakened, modify_stat(stats, ATTACK_STAT, 1, 2), stats)
    return side.replace(modified_stats=stats)


def update_speed(side: Side, condition: Array) -> Side:
    """upstream: updateSpeed, of Pokemon that have not fainted"""
    return side.where(condition & ~side.fainted, speed=side.action_speed)


# -- coming and going


def clear(side: Side, condition: Array) -> Side:
    """What a Pokemon loses when it leaves or faints.  upstream: clearVolatile"""
    own = side.member
    side = side.where(
        condition,
        boosts=0,
        moves=own.moves,
        pp=side.base_pp,
        virtual=False,
        transformed=False,
        species=own.species,
        form_speed=own.base_speed,
        types=own.types,
        stored_stats=own.stats,
        modified_stats=own.stats,
        speed=own.stats[SPEED_STAT],
        flinch=False,
        recharge=False,
        reflect=False,
        last_used=0,
        substitute_hp=0,
        confusion=0,
        **dict.fromkeys(LOCK + TRAP_FIELDS + TOGGLES, 0),
        **dict.fromkeys(("toxic", "disabled", "disabled_place", "disable_time"), 0),
        **dict.fromkeys(("curled", "trap_shown"), 0),
    )
    return drop_stats(side, condition)


def _of_fainted(side: Side) -> Array:
    bit = sum(CONDITION.values()) - 1
    return jnp.where(side.sub_fainted, np.int32(1 << bit), 0)


def switch(side: Side, condition: Array, slot: Array, incoming: Member) -> Side:
    """The active Pokemon leaves for the one in this slot.  upstream: switchIn"""
    # A Pokemon that fainted is without status from here on.
    leaving = jnp.where(side.fainted, _of_fainted(side), to_bits(side, CONDITION))
    order = side.order
    gone = put(side.team_hp, side.slot, side.hp)
    conditions = put(side.team_condition, side.slot, leaving)
    pp = put(side.team_pp, side.slot, side.base_pp)
    swapped = put(jnp.where(order == slot, side.slot, order), 0, slot)
    came = side.replace(
        order=swapped,
        team_hp=gone,
        team_condition=conditions,
        team_pp=pp,
        slot=slot,
        member=incoming,
        hp=at(gone, slot),
        base_pp=at(pp, slot),
        **from_bits(at(conditions, slot), CONDITION),
    )
    came = clear(came, jnp.ones((), bool))
    came = update_speed(came, jnp.ones((), bool))
    return select_side(condition, came, side)


SEEN_BITS = 5
"""Of a slot in `State.seen`: the moves of the set by their places, then the Pokemon itself."""


def reveal(side: Side, condition: Array) -> Side:
    """The other player reads the selected move's name, which tells of the set unless the move came
    with Mimic, Mirror Move or Transform."""
    place = side.last_selected_slot
    own = (at(side.moves, place) == side.last_selected) & ~at(side.virtual, place)
    bit = np.int32(1) << (side.slot * SEEN_BITS + place)
    return side.where(condition & own, seen=side.seen | bit)


def team_hp(side: Side) -> Array:
    """Of the whole team, [S]."""
    return put(side.team_hp, side.slot, side.hp)


def team_conditions(side: Side) -> dict[str, Array]:
    """What CONDITION holds, of the whole team, [S] each."""
    return from_bits(put(side.team_condition, side.slot, to_bits(side, CONDITION)), CONDITION)


def select_side(condition: Array, on_true: Side, on_false: Side) -> Side:
    def pick(a: Array, b: Array) -> Array:
        return b if a is b else jnp.where(condition, a, b)

    return jax.tree.map(pick, on_true, on_false)

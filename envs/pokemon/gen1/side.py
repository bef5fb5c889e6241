"""One player's side while a turn is played: what the state packs, as int32 and bool scalars."""

from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from .moves import BIDE, BURN, NO_MOVE, NUM_WORDS, PARALYSIS, RAGE, any_of, with_flag
from .state import NUM_MOVES, TEAM_SIZE, State
from .teams import Member

SPEED_STAT, ATTACK_STAT = 4, 0
_LOCK = ("lock", "lock_time", "lock_total", "lock_accuracy", "lock_damage", "lock_target")
_TRAP = ("trap_time", "trap_by", "trap_shown", "feint_time", "feint_with")
_TOGGLES = ("seeded", "light_screen", "mist", "focused", "minimized", "hidden")
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
        return self.where(condition, **dict.fromkeys(_LOCK, 0))

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
        **dict.fromkeys(_LOCK + _TRAP + _TOGGLES, 0),
        **dict.fromkeys(("toxic", "disabled", "disabled_place", "disable_time", "curled"), 0),
    )
    return drop_stats(side, condition)


def switch(side: Side, condition: Array, slot: Array, incoming: Member) -> Side:
    """The active Pokemon leaves for the one in this slot.  upstream: switchIn"""
    # A Pokemon that fainted is without status from here on.
    leaving = jnp.where(side.fainted, pack_condition(side) & _SUB_FAINTED, pack_condition(side))
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
        **unpack_condition(at(conditions, slot)),
    )
    came = clear(came, jnp.ones((), bool))
    came = update_speed(came, jnp.ones((), bool))
    return select_side(condition, came, side)


def team_hp(side: Side) -> Array:
    """Of the whole team, [S]."""
    return put(side.team_hp, side.slot, side.hp)


def team_conditions(side: Side) -> dict[str, Array]:
    """What `pack_condition` holds, of the whole team, [S] each."""
    return unpack_condition(put(side.team_condition, side.slot, pack_condition(side)))


def select_side(condition: Array, on_true: Side, on_false: Side) -> Side:
    def pick(a: Array, b: Array) -> Array:
        return b if a is b else jnp.where(condition, a, b)

    return jax.tree.map(pick, on_true, on_false)


# -- packed bits

SEEN_BITS = 5
"""Of a slot in `State.seen`: the moves of the set by their places, then the Pokemon itself."""
_CAME_IN = np.int32(1 << NUM_MOVES)

_STATUS, _SLEEP_SHIFT, _SLEEP_BITS = np.int32(7), 3, np.int32(7)
_BY_FOE, _SUB_FAINTED = np.int32(64), np.int32(128)
_VIRTUAL_SHIFT, _TOGGLES_SHIFT, _PLACE_SHIFT = 4, 8, 14
_BITS = ("transformed", "flinch", "recharge", "reflect")
# Fields of `State.trap`, and of `State.lock_time`, with their bits.
_TRAP_BITS = {"trap_time": 2, "trap_by": 3, "feint_time": 2, "feint_with": 3, "lock_target": 3}
_SHOWN = ("trap_shown", "curled")
_SHOWN_SHIFT = sum(_TRAP_BITS.values())
_TIME_BITS = {"lock_time": 4, "lock_total": 4}


def reveal(side: Side, condition: Array) -> Side:
    """The other player reads the selected move's name, which tells of the set unless the move came
    with Mimic, Mirror Move or Transform."""
    place = side.last_selected_slot
    own = (at(side.moves, place) == side.last_selected) & ~at(side.virtual, place)
    bit = np.int32(1) << (side.slot * SEEN_BITS + place)
    return side.where(condition & own, seen=side.seen | bit)


def pack_condition(side: Side) -> Array:
    asleep = side.sleep_time << np.int32(_SLEEP_SHIFT)
    flags = jnp.where(side.sleep_by_foe, _BY_FOE, 0) + jnp.where(side.sub_fainted, _SUB_FAINTED, 0)
    return side.status + asleep + flags


def unpack_condition(byte: Array) -> dict[str, Array]:
    return {
        "status": byte & _STATUS,
        "sleep_time": (byte >> np.int32(_SLEEP_SHIFT)) & _SLEEP_BITS,
        "sleep_by_foe": (byte & _BY_FOE) != 0,
        "sub_fainted": (byte & _SUB_FAINTED) != 0,
    }


def pack_flags(side: Side) -> Array:
    bits = [*(getattr(side, name) for name in _BITS), *side.virtual]
    bits += [getattr(side, name) for name in _TOGGLES]
    low = sum(jnp.where(bit, np.int32(1 << i), 0) for i, bit in enumerate(bits))
    return low + (side.disabled_place << np.int32(_PLACE_SHIFT))


def unpack_flags(bits: Array) -> dict[str, Array]:
    def bit(place: int) -> Array:
        return (bits & np.int32(1 << place)) != 0

    return {
        **{name: bit(i) for i, name in enumerate(_BITS)},
        **{name: bit(_TOGGLES_SHIFT + i) for i, name in enumerate(_TOGGLES)},
        "virtual": ((bits >> (_PLACES + np.int32(_VIRTUAL_SHIFT))) & 1) != 0,
        "disabled_place": bits >> np.int32(_PLACE_SHIFT),
    }


def pack_trap(side: Side) -> Array:
    bits = [jnp.where(getattr(side, name), np.int32(1 << i), 0) for i, name in enumerate(_SHOWN)]
    return _pack(side, _TRAP_BITS) + (sum(bits) << np.int32(_SHOWN_SHIFT))


def unpack_trap(bits: Array) -> dict[str, Array]:
    high = bits >> np.int32(_SHOWN_SHIFT)
    shown = {name: (high & np.int32(1 << i)) != 0 for i, name in enumerate(_SHOWN)}
    return {**_unpack(bits, _TRAP_BITS), **shown}


def pack_time(side: Side) -> Array:
    return _pack(side, _TIME_BITS)


def _pack(side: Side, fields: Mapping[str, int]) -> Array:
    word, shift = jnp.zeros((), jnp.int32), 0
    for name, bits in fields.items():
        word, shift = word + (getattr(side, name) << np.int32(shift)), shift + bits
    return word


def _unpack(word: Array, fields: Mapping[str, int]) -> dict[str, Array]:
    values, shift = {}, 0
    for name, bits in fields.items():
        values[name] = (word >> np.int32(shift)) & np.int32(2**bits - 1)
        shift += bits
    return values


# -- between the state and the sides

_SMALL = (
    *("species", "types", "moves", "pp", "last_used", "substitute_hp", "confusion"),
    *("last_move", "last_enemy_move", "last_selected", "last_selected_slot"),
    *("last_enemy_selected", "lock", "lock_accuracy", "toxic", "disabled", "disable_time"),
)
"""Fields of State that are bytes, and of one name with a side's."""


def load(state: State, player: int, own: Member, rows: Any) -> Side:
    """rows: chosen_row, used_row, counterable and form_speed, which a lookup tells."""

    def of(name: str) -> Array:
        return getattr(state, name)[player].astype(jnp.int32)

    order, hp, conditions = of("order"), of("hp"), of("condition")
    slot = order[0]
    names = [*_SMALL, "stored_stats", "modified_stats", "boosts", "speed", "lock_damage"]
    return Side(
        order=order,
        team_hp=hp,
        team_condition=conditions,
        team_pp=of("base_pp"),
        slot=slot,
        seen=of("seen"),
        member=own,
        hp=at(hp, slot),
        base_pp=at(of("base_pp"), slot),
        **unpack_condition(at(conditions, slot)),
        **unpack_flags(of("flags")),
        **unpack_trap(of("trap")),
        **_unpack(of("lock_time"), _TIME_BITS),
        **{name: of(name) for name in names},
        **rows,
    )


def place(team: Member) -> Side:
    """The side of a team, [S, ...] in every field, with its first Pokemon in and nothing done yet.
    upstream: the constructors of Side and Pokemon, and switchIn"""
    own = Member(*(values[0] for values in team))
    zero, no = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    numbers = ["status", "sleep_time", "speed", "last_used", "substitute_hp", "confusion"]
    numbers += ["last_move", "last_enemy_move", "last_selected_slot", "toxic", "disabled"]
    numbers += ["disabled_place", "disable_time", *_LOCK, *_TRAP]
    numbers.remove("trap_shown")
    flags = ("sleep_by_foe", "sub_fainted", *_SHOWN, *_BITS, *_TOGGLES)
    row = jnp.zeros(NUM_WORDS, jnp.uint32)
    side = Side(
        order=jnp.arange(TEAM_SIZE, dtype=jnp.int32),
        team_hp=team.max_hp,
        team_condition=jnp.zeros(TEAM_SIZE, jnp.int32),
        team_pp=team.pp,
        slot=zero,
        seen=zero,
        member=own,
        hp=own.max_hp,
        base_pp=own.pp,
        species=own.species,
        form_speed=own.base_speed,
        types=own.types,
        stored_stats=own.stats,
        modified_stats=own.stats,
        boosts=jnp.zeros(7, jnp.int32),
        moves=own.moves,
        pp=own.pp,
        virtual=jnp.zeros(NUM_MOVES, bool),
        last_selected=jnp.full((), NO_MOVE, jnp.int32),
        last_enemy_selected=jnp.full((), NO_MOVE, jnp.int32),
        chosen_row=row,
        used_row=row,
        **dict.fromkeys(numbers, zero),
        **dict.fromkeys((*flags, "counterable"), no),
    )
    return update_speed(side, jnp.ones((), bool))


def store(sides: tuple[Side, Side]) -> dict[str, Array]:
    """Fields of State, [P, ...]."""
    both: dict[str, Array] = {}

    def write(name: str, dtype: Any, of: Any) -> None:
        both[name] = jnp.stack([of(side) for side in sides]).astype(dtype)

    write("order", jnp.uint8, lambda s: s.order)
    write("hp", jnp.int16, team_hp)
    write("condition", jnp.uint8, lambda s: put(s.team_condition, s.slot, pack_condition(s)))
    write("base_pp", jnp.uint8, lambda s: put(s.team_pp, s.slot, s.base_pp))
    write("flags", jnp.uint16, pack_flags)
    write("trap", jnp.uint16, pack_trap)
    write("lock_time", jnp.uint8, pack_time)
    write("lock_damage", jnp.int32, lambda s: s.lock_damage)
    write("seen", jnp.uint32, lambda s: s.seen | (_CAME_IN << (s.slot * SEEN_BITS)))
    write("boosts", jnp.int8, lambda s: s.boosts)
    for name in ("stored_stats", "modified_stats", "speed"):
        write(name, jnp.int16, lambda s, name=name: getattr(s, name))
    for name in _SMALL:
        write(name, jnp.uint8, lambda s, name=name: getattr(s, name))
    return both

"""One player's side while a turn is played: what the state packs, as int32 and bool scalars."""

from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from .moves import BURN, NO_MOVE, NUM_WORDS, PARALYSIS
from .state import NUM_MOVES, TEAM_SIZE, State
from .teams import Member

SPEED_STAT, ATTACK_STAT = 4, 0
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
    charging: Array

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
        charging=0,
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
_TRANSFORMED, _FLINCH, _RECHARGE, _REFLECT = (np.int32(1 << i) for i in range(4))
_VIRTUAL_SHIFT = np.int32(4)


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
    bits = (side.transformed, side.flinch, side.recharge, side.reflect)
    low = sum(jnp.where(bit, np.int32(1 << i), 0) for i, bit in enumerate(bits))
    virtual = jnp.where(side.virtual, np.int32(1) << (_PLACES + _VIRTUAL_SHIFT), 0)
    return low + virtual.sum(dtype=jnp.int32)


def unpack_flags(byte: Array) -> dict[str, Array]:
    return {
        "transformed": (byte & _TRANSFORMED) != 0,
        "flinch": (byte & _FLINCH) != 0,
        "recharge": (byte & _RECHARGE) != 0,
        "reflect": (byte & _REFLECT) != 0,
        "virtual": ((byte >> (_PLACES + _VIRTUAL_SHIFT)) & 1) != 0,
    }


# -- between the state and the sides

_SMALL = (
    *("species", "types", "moves", "pp", "last_used", "substitute_hp", "confusion", "charging"),
    *("last_move", "last_enemy_move", "last_selected", "last_selected_slot"),
    "last_enemy_selected",
)
"""Fields of State that are bytes, and of one name with a side's."""


def load(state: State, player: int, own: Member, rows: Any) -> Side:
    """rows: chosen_row, used_row, counterable and form_speed, which a lookup tells."""

    def of(name: str) -> Array:
        return getattr(state, name)[player].astype(jnp.int32)

    order, hp, conditions = of("order"), of("hp"), of("condition")
    slot = order[0]
    names = [*_SMALL, "stored_stats", "modified_stats", "boosts", "speed"]
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
        **{name: of(name) for name in names},
        **rows,
    )


def place(team: Member) -> Side:
    """The side of a team, [S, ...] in every field, with its first Pokemon in and nothing done yet.
    upstream: the constructors of Side and Pokemon, and switchIn"""
    own = Member(*(values[0] for values in team))
    zero, no = jnp.zeros((), jnp.int32), jnp.zeros((), bool)
    numbers = ["status", "sleep_time", "speed", "last_used", "substitute_hp", "confusion"]
    numbers += ["charging", "last_move", "last_enemy_move", "last_selected_slot"]
    flags = ("sleep_by_foe", "sub_fainted", "transformed", "flinch", "recharge", "reflect")
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
    write("flags", jnp.uint8, pack_flags)
    write("seen", jnp.uint32, lambda s: s.seen | (_CAME_IN << (s.slot * SEEN_BITS)))
    write("boosts", jnp.int8, lambda s: s.boosts)
    for name in ("stored_stats", "modified_stats", "speed"):
        write(name, jnp.int16, lambda s, name=name: getattr(s, name))
    for name in _SMALL:
        write(name, jnp.uint8, lambda s, name=name: getattr(s, name))
    return both

"""Between the state, which packs, and the sides, which a turn is played on."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from .moves import NO_MOVE, NUM_WORDS
from .side import (
    CONDITION,
    FLAGS,
    LOCK,
    LOCK_TIME,
    SEEN_BITS,
    TRAP,
    TRAP_FIELDS,
    Side,
    at,
    from_bits,
    put,
    team_hp,
    to_bits,
    update_speed,
)
from .state import NUM_MOVES, TEAM_SIZE, State
from .teams import Member

_CAME_IN = np.int32(1 << NUM_MOVES)

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
        **from_bits(at(conditions, slot), CONDITION),
        **from_bits(of("flags"), FLAGS),
        **from_bits(of("trap"), TRAP),
        **from_bits(of("lock_time"), LOCK_TIME),
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
    numbers += ["disabled_place", "disable_time", *LOCK, *TRAP_FIELDS]
    flags = [
        name for fields in (CONDITION, FLAGS, TRAP) for name, bits in fields.items() if bits == 1
    ]
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
    write("condition", jnp.uint8, lambda s: put(s.team_condition, s.slot, to_bits(s, CONDITION)))
    write("base_pp", jnp.uint8, lambda s: put(s.team_pp, s.slot, s.base_pp))
    write("flags", jnp.uint16, lambda s: to_bits(s, FLAGS))
    write("trap", jnp.uint16, lambda s: to_bits(s, TRAP))
    write("lock_time", jnp.uint8, lambda s: to_bits(s, LOCK_TIME))
    write("lock_damage", jnp.int32, lambda s: s.lock_damage)
    write("seen", jnp.uint32, lambda s: s.seen | (_CAME_IN << (s.slot * SEEN_BITS)))
    write("boosts", jnp.int8, lambda s: s.boosts)
    for name in ("stored_stats", "modified_stats", "speed"):
        write(name, jnp.int16, lambda s, name=name: getattr(s, name))
    for name in _SMALL:
        write(name, jnp.uint8, lambda s, name=name: getattr(s, name))
    return both

"""How the reference's fields and our state's name the same things, and our state out of them."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from .pokemon_teams import VOLATILE_ORDER

VOLATILES = {
    "confusion_time": "confusion",
    "disable_time": "disable_time",
    "disable_move": "disabled",
    "disable_slot_index": "disabled_place",
    "fakepartiallytrapped_duration": "feint_time",
    "flinch_duration": "flinch",
    "partiallytrapped_duration": "trap_time",
    "partiallytrapped_maybe_locked": "trap_shown",
    "substitute_hp": "substitute_hp",
}
"""Upstream's numbers of what a switch ends, and ours."""
LOCKS = {
    "bide": {"time": "lock_time", "damage": "lock_damage"},
    "lockedmove": {"move": "lock", "time": "lock_time", "accuracy": "lock_accuracy"},
    "partialtrappinglock": {
        "move": "lock",
        "duration": "lock_time",
        "total_duration": "lock_total",
        "damage": "lock_damage",
    },
    "rage": {"move": "lock", "accuracy": "lock_accuracy"},
    "twoturnmove": {"move": "lock"},
}
"""Of what holds a Pokemon to a move, of which there is one at a time."""
KINDS = {
    "bide": "biding",
    "lockedmove": "thrashing",
    "partialtrappinglock": "trapping",
    "rage": "raging",
    "twoturnmove": "charging",
}
SLOTS = {
    "fakepartiallytrapped_counterpart": ("feint_with", "feint_time"),
    "partiallytrapped_source": ("trap_by", "trap_time"),
    "partialtrappinglock_locked": ("lock_target", "trapping"),
}
"""Of the other side, and what they are there with."""
TOGGLES = {
    "defensecurl": "curled",
    "flinch": "flinch",
    "focusenergy": "focused",
    "invulnerability": "hidden",
    "leechseed": "seeded",
    "lightscreen": "light_screen",
    "minimize": "minimized",
    "mist": "mist",
    "mustrecharge": "recharge",
    "reflect": "reflect",
}
OF_SIDE = {
    "last_move": "last_move",
    "last_enemy_move": "last_enemy_move",
    "last_selected_move": "last_selected",
    "last_selected_move_slot": "last_selected_slot",
    "last_enemy_selected_move": "last_enemy_selected",
}


def state(before: Mapping[str, Array], params: Any) -> Any:
    """Our state out of upstream's."""
    from ...envs.pokemon.gen1.side import SEEN_BITS
    from ...envs.pokemon.gen1.state import NUM_MOVES, State

    del params
    slot = before["order"][:, 0]
    players = np.arange(2)

    def active(name: str) -> Array:
        return before[name][players, slot]

    order = before["order"].astype(jnp.int32)
    both = [_packed(before, player) for player in (0, 1)]
    values = {
        **{name: before[name] for name in ("seed", "turn", "last_damage", "winner", "request")},
        **{name: before[name] for name in ("hp", "base_pp")},
        **{ours: before[theirs] for theirs, ours in OF_SIDE.items()},
        **{name: active(name) for name in _OF_ACTIVE},
        **{name: jnp.stack([packed[name] for packed in both]) for name in both[0]},
        "team": before["team_index"],
        "order": jnp.where(order < 0, np.arange(6, dtype=np.int32), order),
        "last_used": active("pokemon_last_move"),
        # Upstream keeps no history of what was seen; at a start it is who stands there.
        "seen": jnp.uint32(1 << NUM_MOVES) << (slot * SEEN_BITS).astype(jnp.uint32),
    }
    return State(**{name: jnp.asarray(value, _DTYPES[name]) for name, value in values.items()})


_OF_ACTIVE = (
    "species",
    "types",
    "stored_stats",
    "modified_stats",
    "boosts",
    "speed",
    "moves",
    "pp",
)
_DTYPES = {
    **dict.fromkeys(("seed", "seen"), jnp.uint32),
    **dict.fromkeys(("team", "last_damage", "lock_damage"), jnp.int32),
    **dict.fromkeys(("turn", "hp", "stored_stats", "modified_stats", "speed"), jnp.int16),
    **dict.fromkeys(("flags", "trap"), jnp.uint16),
    **dict.fromkeys(("winner", "boosts"), jnp.int8),
    **dict.fromkeys(("request", "order", "condition", "base_pp", *OF_SIDE.values()), jnp.uint8),
    **dict.fromkeys(("species", "types", "moves", "pp", "last_used", "substitute_hp"), jnp.uint8),
    **dict.fromkeys(("confusion", "lock", "lock_time", "lock_accuracy", "toxic"), jnp.uint8),
    **dict.fromkeys(("disabled", "disable_time"), jnp.uint8),
}


def _packed(before: Mapping[str, Array], player: int) -> dict[str, Array]:
    """What our state keeps in bits, and what upstream keeps apart."""
    from ...envs.pokemon.gen1 import moves
    from ...envs.pokemon.gen1 import side as sides

    def number(name: str) -> Array:
        return before[name][player].astype(jnp.int32)

    def there(name: str) -> Array:
        return before["volatiles"][player, VOLATILE_ORDER.index(name)]

    slot = before["order"][player, 0]
    values: dict[str, Array] = {
        **{ours: number(theirs) for theirs, ours in VOLATILES.items()},
        **{ours: there(theirs) for theirs, ours in TOGGLES.items()},
        **{ours: jnp.maximum(number(theirs) - 1, 0) for theirs, (ours, _) in SLOTS.items()},
        **dict.fromkeys(("lock_time", "lock_total", "lock_accuracy"), jnp.zeros((), jnp.int32)),
        "lock": jnp.where(there("bide"), moves.BIDE, 0),
        "lock_damage": jnp.zeros((), jnp.int32),
        "toxic": jnp.where(there("residualdmg"), number("residualdmg_counter") + 1, 0),
        **{name: before[name][player, slot] for name in ("transformed", "virtual")},
        **{name: number(name) for name in ("status", "sleep_time")},
        "sleep_by_foe": number("sleep_source") == 2,
        "sub_fainted": before["sub_fainted"][player],
    }
    for name, numbers in LOCKS.items():
        for theirs, ours in numbers.items():
            values[ours] = values[ours] + number(f"{name}_{theirs}")
    side: Any = SimpleNamespace(**values)
    kept = ("confusion", "substitute_hp", "disabled", "disable_time", "toxic", "lock")
    return {
        **{name: values[name] for name in (*kept, "lock_accuracy", "lock_damage")},
        "condition": sides.to_bits(side, sides.CONDITION),
        "flags": sides.to_bits(side, sides.FLAGS),
        "trap": sides.to_bits(side, sides.TRAP),
        "lock_time": sides.to_bits(side, sides.LOCK_TIME),
    }

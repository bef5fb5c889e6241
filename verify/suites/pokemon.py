"""What equality means between Pokemon Showdown's generation 1 and envs/pokemon/gen1.

The generator is part of the state on both sides (claim E4), so nothing is handed over but the words
that it starts with: the same seed, teams and choices give the same battle, draw for draw.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from ...references.core import DrawLog
from ...references.pokemon import Teams, VectorShowdown
from ...references.pokemon.reference import START_SITES
from ..suite import Compare, Field, Suite, Transition, Variant, ignored
from .pokemon_content import content
from .pokemon_policies import policies
from .pokemon_scenarios import SCENARIOS
from .pokemon_teams import SCENARIO_VARIANT, VOLATILE_ORDER, scenario_teams
from .pokemon_transfer import with_transfer

FOLDER = Path(__file__).parents[2] / "envs" / "pokemon" / "gen1"

ROUNDED = Compare("close", ulp=4, atol=1e-6)
"""Only what a player is shown has floats."""

VARIANTS = (
    Variant("gen1randombattle"),
    Variant("gen1randombattle, jnp", {"kernel": "jnp"}),
    Variant("gen1ou"),
    Variant("any moves"),
)
NUM_WILD, WILD_SEED = 2048, 0


def environment(variant: Variant) -> tuple[Any, Any]:
    from ...envs.pokemon.gen1.env import PokemonGen1
    from ...envs.pokemon.gen1.teams import rows

    chosen = teams(variant.name)
    made = rows(chosen.species, chosen.level, chosen.moves, chosen.evs, chosen.ivs)
    env = PokemonGen1(made, **variant.config)
    return env, env.default_params


@functools.cache
def teams(variant: str) -> Teams:
    """Those that ship; where anybody may have any move, others."""
    if variant == SCENARIO_VARIANT.name:
        return scenario_teams()
    if variant == "any moves":
        return Teams.wild(NUM_WILD, WILD_SEED)
    return Teams.load(FOLDER / ("gen1ou.npz" if variant == "gen1ou" else "pool.npz"))


def reference(variant: Variant, num_envs: int) -> VectorShowdown:
    """What our side runs as is nothing to it. gen1ou has its clauses, and the rules of the other's
    battles; nobody asks it what a team may bring."""
    format = "gen1randombattle" if variant.name in _RANDOM else "gen1ou"
    return VectorShowdown(num_envs, format=format, teams=teams(variant.name))


_RANDOM = (*(variant.name for variant in VARIANTS[:2]), SCENARIO_VARIANT.name)


# -- fields

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
_KINDS = {
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
_NUMBERS = (
    *VOLATILES,
    *(f"{name}_{number}" for name, numbers in LOCKS.items() for number in numbers),
    *SLOTS,
    "residualdmg_counter",
)
_OF_SIDE = {
    "last_move": "last_move",
    "last_enemy_move": "last_enemy_move",
    "last_selected_move": "last_selected",
    "last_selected_move_slot": "last_selected_slot",
    "last_enemy_selected_move": "last_enemy_selected",
}


def _derive(t: Transition) -> Mapping[str, Array]:
    """Every field of the reference that the state decides, [P, ...] and [P, S, ...]."""
    return shown(t.state, t.params, t.before)


def shown(state: Any, params: Any, before: Mapping[str, Array]) -> dict[str, Array]:
    """The reference's fields of a state. before: its fields one step ago, which still hold for
    Pokemon that had fainted: nothing reads their statistics."""
    from ...envs.pokemon.gen1 import side as sides
    from ...envs.pokemon.gen1 import turn
    from ...envs.pokemon.gen1.battle import view

    both = [_of_side(view(state, p, params.teams), state, p, params, sides, turn) for p in (0, 1)]
    fields = {name: jnp.stack([side[name] for side in both]) for name in both[0]}
    gone = (before["hp"] == 0) & (fields["hp"] == 0) & (before["team_index"] == state.team)[:, None]
    for name in ("modified_stats", "stored_stats", "speed"):
        kept = gone.reshape(*gone.shape, *[1] * (fields[name].ndim - 2))
        fields[name] = jnp.where(kept, before[name].astype(jnp.int32), fields[name])
    return fields


def _of_side(
    side: Any, state: Any, player: int, params: Any, sides: Any, turn: Any
) -> dict[str, Array]:
    import jax

    from ...envs.pokemon.gen1.teams import member

    team = jax.vmap(member)(params.teams[state.team[player]])
    slots = np.arange(6, dtype=np.int32)
    active = slots == side.slot
    each, hp = sides.team_conditions(side), sides.team_hp(side)
    asleep = each["status"] == 1
    present = team.species > 0

    def spread(value: Any, bench: Any) -> Array:
        """The active Pokemon's value in its slot, the bench's elsewhere, none where nobody is."""
        bench = jnp.broadcast_to(jnp.asarray(bench, value.dtype), (6, *value.shape))
        axes = [1] * value.ndim
        found = jnp.where(active.reshape(6, *axes), value[None], bench)
        return jnp.where(present.reshape(6, *axes), found, jnp.zeros((), value.dtype))

    def benched_stats(status: Array, stats: Array) -> Array:
        slowed = jnp.where(status == 5, jnp.maximum(stats[4] // 4, 1), stats[4])
        weakened = jnp.where(status == 3, jnp.maximum(stats[0] // 2, 1), stats[0])
        return stats.at[4].set(slowed).at[0].set(weakened)

    there = {
        **{theirs: getattr(side, ours) for theirs, ours in (TOGGLES | _KINDS).items()},
        "confusion": side.confusion > 0,
        "disable": side.disabled > 0,
        "fakepartiallytrapped": side.feint_time > 0,
        "partiallytrapped": side.trapped,
        "residualdmg": side.toxic > 0,
        "substitute": side.substitute_hp > 0,
    }
    chooses = state.request[player] == 1
    zero = jnp.zeros((), jnp.int32)
    left = (hp > 0).sum(dtype=jnp.int32)
    slots_of_foe = {
        theirs: jnp.where(getattr(side, with_it).astype(bool), getattr(side, ours) + 1, zero)
        for theirs, (ours, with_it) in SLOTS.items()
    }
    locks = {
        f"{name}_{number}": jnp.where(there[name], getattr(side, ours), zero)
        for name, numbers in LOCKS.items()
        for number, ours in numbers.items()
    }
    return {
        **{theirs: getattr(side, ours) for theirs, ours in _OF_SIDE.items()},
        **{theirs: getattr(side, ours).astype(jnp.int32) for theirs, ours in VOLATILES.items()},
        **slots_of_foe,
        **locks,
        "residualdmg_counter": jnp.maximum(side.toxic - 1, 0),
        "volatiles": jnp.stack([there[name] for name in VOLATILE_ORDER]),
        "disabled": chooses & turn.disabled(side),
        "trapped": chooses & turn.locked(side),
        "maybe_locked": chooses & turn.unsure(side) & ~turn.locked(side),
        "order": jnp.where(slots < present.sum(dtype=jnp.int32), side.order, -1),
        "pokemon_left": left,
        "total_fainted": present.sum(dtype=jnp.int32) - left,
        "fainted_this_turn": (side.hp == 0),
        "hp": hp,
        "max_hp": team.max_hp,
        "fainted": present & (hp == 0),
        "status": each["status"],
        "sleep_time": each["sleep_time"],
        "sleep_source": jnp.where(asleep, jnp.where(each["sleep_by_foe"], 2, 1), 0),
        "sub_fainted": each["sub_fainted"],
        "species": spread(side.species, team.species),
        "types": spread(side.types, team.types),
        "transformed": spread(side.transformed, False),
        "base_stats": team.stats,
        "stored_stats": spread(side.stored_stats, team.stats),
        "modified_stats": spread(
            side.modified_stats, jax.vmap(benched_stats)(each["status"], team.stats)
        ),
        "boosts": spread(side.boosts, 0),
        "speed": spread(side.speed, team.stats[:, 4]),
        "moves": spread(side.moves, team.moves),
        "pp": spread(side.pp, side.team_pp),
        "base_pp": sides.put(side.team_pp, side.slot, side.base_pp),
        "virtual": spread(side.virtual, False),
        "pokemon_last_move": spread(side.last_used, 0),
        "team_species": team.species,
        "team_level": team.level,
        "team_moves": team.moves,
    }


def _fields() -> Mapping[str, Field]:
    def derived(name: str) -> Field:
        return Field(lambda t: t.derived[name], module="turn.play")

    def of_state(name: str) -> Field:
        return Field(lambda t: getattr(t.state, name), module="turn.play")

    names = (
        *_OF_SIDE,
        *_NUMBERS,
        *(
            "volatiles",
            "disabled",
            "trapped",
            "maybe_locked",
            "order",
            "pokemon_left",
            "total_fainted",
        ),
        *("hp", "max_hp", "fainted", "status", "sleep_time", "sleep_source", "sub_fainted"),
        *("species", "types", "transformed", "base_stats", "stored_stats", "modified_stats"),
        *("boosts", "speed", "moves", "pp", "base_pp", "virtual", "pokemon_last_move"),
        *("team_species", "team_level", "team_moves"),
    )
    return {
        **{name: derived(name) for name in names},
        **{name: of_state(name) for name in ("turn", "last_damage", "winner", "request", "seed")},
        "team_index": Field(lambda t: t.state.team, module="battle.begin"),
        "volatile_order": Field(None, ignored("orders handlers, which makes no difference here")),
        "mid_turn": Field(lambda t: (t.state.request == 2).any(), module="turn.end_turn"),
        "fainted_this_turn": derived("fainted_this_turn"),
        "move_this_turn": Field(None, ignored("nothing reads it between decisions")),
        "team_evs": Field(None, ignored("given; the statistics that they make are compared")),
        "team_ivs": Field(None, ignored("given; the statistics that they make are compared")),
        "episode_seed": Field(None, ignored("stands for the first `seed`, which is compared")),
        "outcome.observation": Field(lambda t: t.state.request, module="turn.end_turn"),
        "outcome.legal": Field(
            lambda t: t.legal & (t.state.request != 0)[:, None], module="turn.legal"
        ),
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
        **{ours: before[theirs] for theirs, ours in _OF_SIDE.items()},
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
    **dict.fromkeys(("request", "order", "condition", "base_pp", *_OF_SIDE.values()), jnp.uint8),
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
        "condition": sides.pack_condition(side),
        "flags": sides.pack_flags(side),
        "trap": sides.pack_trap(side),
        "lock_time": sides.pack_time(side),
    }


_LAST_TEAM = 2**15 - 1


def draws(log: DrawLog) -> tuple[Any, Any]:
    """A step draws from the generator in the state; a start, the generator's words and the teams,
    the first entries after the step's."""
    from ...envs.pokemon.gen1.state import Draws

    assert log.step_count is not None
    places = log.step_count[:, None] + np.arange(4)
    padded = np.pad(log.value, [(0, 0), (0, places.shape[1])])  # where no battle started
    values = np.take_along_axis(padded, places, 1)
    start = Draws(
        seed=jnp.asarray(values[:, :2].astype(np.uint32)),
        team=jnp.asarray(np.minimum(values[:, 2:], _LAST_TEAM).astype(np.int32)),
    )
    return start, start


def _tied(times: int) -> Any:
    """The first two Pokemon are equally fast."""
    return lambda state: times * (state.speed[0] == state.speed[1]).astype(jnp.int32)


@functools.cache
@with_transfer
def suite() -> Suite:
    return Suite(
        name="pokemon",
        package="simlift.envs.pokemon",
        variants=VARIANTS,
        environment=environment,
        reference=reference,
        fields=_fields(),
        derived=_derive,
        seed_sites=START_SITES,
        state=state,
        draws=draws,
        reset_draws_used={
            "seed": 2,
            "team": 2,
            "tie_queue_insert": _tied(1),
            "tie_each_event": _tied(3),
        },
        score=lambda snapshot, returns: returns,
        policies=policies,
        scenarios=SCENARIOS,
        content=content,
        recompiled=lambda _: ROUNDED,
        reference_name=VectorShowdown.name,
        reference_version=VectorShowdown.version,
    )

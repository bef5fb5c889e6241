"""What equality means between Pokemon Showdown's generation 1 and envs/pokemon/gen1.

The generator is part of the state on both sides (claim E4), so nothing is handed over but the words
that it starts with: the same seed, teams and choices give the same battle, draw for draw.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
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

POOL = Path(__file__).parents[2] / "envs" / "pokemon" / "gen1" / "pool.npz"

ROUNDED = Compare("close", ulp=4, atol=1e-6)
"""Only what a player is shown has floats."""

VARIANTS = (
    Variant("gen1randombattle"),
    Variant("gen1randombattle, jnp", {"kernel": "jnp"}),
)


def environment(variant: Variant) -> tuple[Any, Any]:
    from ...envs.pokemon.gen1.env import PokemonGen1
    from ...envs.pokemon.gen1.pool import shipped
    from ...envs.pokemon.gen1.teams import rows

    made = shipped()
    if variant.name == SCENARIO_VARIANT.name:
        chosen = scenario_teams()
        made = rows(chosen.species, chosen.level, chosen.moves, chosen.evs, chosen.ivs)
    env = PokemonGen1(made, **variant.config)
    return env, env.default_params


def teams() -> Teams:
    """The teams that ship."""
    return Teams.load(POOL)


def reference(variant: Variant, num_envs: int) -> VectorShowdown:
    """What our side runs as is nothing to it."""
    chosen = scenario_teams() if variant.name == SCENARIO_VARIANT.name else teams()
    return VectorShowdown(num_envs, teams=chosen)


# -- fields

VOLATILES = {
    "confusion_time": "confusion",
    "flinch_duration": "flinch",
    "substitute_hp": "substitute_hp",
    "twoturnmove_move": "charging",
}
"""Upstream's numbers of what a switch ends, and ours."""
_ABSENT = (
    *("bide_time", "bide_damage", "disable_time", "disable_move", "disable_slot_index"),
    *("fakepartiallytrapped_duration", "fakepartiallytrapped_counterpart", "lockedmove_time"),
    *("lockedmove_move", "lockedmove_accuracy", "partiallytrapped_duration"),
    *("partiallytrapped_source", "partiallytrapped_maybe_locked"),
    *("partialtrappinglock_duration", "partialtrappinglock_total_duration"),
    *("partialtrappinglock_move", "partialtrappinglock_damage", "partialtrappinglock_locked"),
    *("rage_move", "rage_accuracy", "residualdmg_counter"),
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
    from ...envs.pokemon.gen1.battle import view
    from ...envs.pokemon.gen1.turn import locked

    both = [_of_side(view(state, p, params.teams), state, p, params, sides, locked) for p in (0, 1)]
    fields = {name: jnp.stack([side[name] for side in both]) for name in both[0]}
    gone = (before["hp"] == 0) & (fields["hp"] == 0) & (before["team_index"] == state.team)[:, None]
    for name in ("modified_stats", "stored_stats", "speed"):
        kept = gone.reshape(*gone.shape, *[1] * (fields[name].ndim - 2))
        fields[name] = jnp.where(kept, before[name].astype(jnp.int32), fields[name])
    return fields


def _of_side(
    side: Any, state: Any, player: int, params: Any, sides: Any, locked: Any
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

    present_volatiles = {
        "confusion": side.confusion > 0,
        "flinch": side.flinch,
        "mustrecharge": side.recharge,
        "reflect": side.reflect,
        "substitute": side.substitute_hp > 0,
        "twoturnmove": side.charging > 0,
    }
    no = jnp.zeros((), bool)
    chooses = state.request[player] == 1
    zero = jnp.zeros((), jnp.int32)
    left = (hp > 0).sum(dtype=jnp.int32)
    return {
        **{theirs: getattr(side, ours) for theirs, ours in _OF_SIDE.items()},
        **{theirs: getattr(side, ours).astype(jnp.int32) for theirs, ours in VOLATILES.items()},
        **dict.fromkeys(_ABSENT, zero),
        "volatiles": jnp.stack([present_volatiles.get(name, no) for name in VOLATILE_ORDER]),
        "disabled": jnp.zeros(4, bool),
        "trapped": chooses & locked(side),
        "maybe_locked": no,
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
        *VOLATILES,
        *_ABSENT,
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
        "volatile_order": Field(None, ignored("decides ties that no move here can bring about")),
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

    def active(name: str, dtype: Any) -> Array:
        return before[name][players, slot].astype(dtype)

    asleep = before["status"] == 1
    condition = (
        before["status"].astype(jnp.int32)
        + (before["sleep_time"].astype(jnp.int32) << 3)
        + jnp.where(asleep & (before["sleep_source"] == 2), 64, 0)
        + jnp.where(before["sub_fainted"], 128, 0)
    )
    volatiles = before["volatiles"]
    names = ("flinch", "mustrecharge", "reflect")
    there = [volatiles[:, VOLATILE_ORDER.index(name)] for name in names]
    bits = (active("transformed", bool), *there)
    flags = sum(jnp.where(bit, 1 << i, 0) for i, bit in enumerate(bits))
    virtual = active("virtual", bool)
    flags = flags + jnp.where(virtual, 1 << (4 + np.arange(4)), 0).sum(1)
    order = before["order"].astype(jnp.int32)
    order = jnp.where(order < 0, np.arange(6, dtype=np.int32), order)
    u8, i16 = jnp.uint8, jnp.int16
    return State(
        seed=before["seed"],
        team=before["team_index"].astype(jnp.int32),
        turn=before["turn"].astype(i16),
        last_damage=before["last_damage"].astype(jnp.int32),
        winner=before["winner"].astype(jnp.int8),
        request=before["request"].astype(u8),
        order=order.astype(u8),
        hp=before["hp"].astype(i16),
        condition=condition.astype(u8),
        base_pp=before["base_pp"].astype(u8),
        **{ours: before[theirs].astype(u8) for theirs, ours in _OF_SIDE.items()},
        species=active("species", u8),
        types=active("types", u8),
        stored_stats=active("stored_stats", i16),
        modified_stats=active("modified_stats", i16),
        boosts=active("boosts", jnp.int8),
        speed=active("speed", i16),
        moves=active("moves", u8),
        pp=active("pp", u8),
        flags=flags.astype(u8),
        last_used=active("pokemon_last_move", u8),
        substitute_hp=before["substitute_hp"].astype(u8),
        confusion=before["confusion_time"].astype(u8),
        charging=before["twoturnmove_move"].astype(u8),
        # Upstream keeps no history of what was seen; at a start it is who stands there.
        seen=jnp.uint32(1 << NUM_MOVES) << (slot * SEEN_BITS).astype(jnp.uint32),
    )


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
        team=jnp.asarray(np.minimum(values[:, 2:], len(teams()) - 1).astype(np.int32)),
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

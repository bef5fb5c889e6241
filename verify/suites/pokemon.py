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
from .pokemon_coverage import COVERAGE
from .pokemon_policies import policies
from .pokemon_scenarios import SCENARIOS
from .pokemon_state import KINDS, LOCKS, OF_SIDE, SLOTS, TOGGLES, VOLATILES, state
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

_NUMBERS = (
    *VOLATILES,
    *(f"{name}_{number}" for name, numbers in LOCKS.items() for number in numbers),
    *SLOTS,
    "residualdmg_counter",
)


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
        **{theirs: getattr(side, ours) for theirs, ours in (TOGGLES | KINDS).items()},
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
        **{theirs: getattr(side, ours) for theirs, ours in OF_SIDE.items()},
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
        *OF_SIDE,
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
        "final.mid_turn": Field(None, ignored("nothing is left of that turn")),
        "outcome.observation": Field(lambda t: t.state.request, module="turn.end_turn"),
        "outcome.final_observation": Field(lambda t: t.final_state.request, module="turn.end_turn"),
        "outcome.legal": Field(
            lambda t: t.legal & (t.state.request != 0)[:, None], module="turn.legal"
        ),
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


def _decisions(t: Transition) -> Array:
    """How many players answered a request; one who waits is not asked."""
    return (t.before["request"] != 0).sum(dtype=jnp.int32)


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
        final=True,
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
        coverage=COVERAGE,
        content=content,
        tallies={"decisions": _decisions},
        recompiled=lambda _: ROUNDED,
        reference_name=VectorShowdown.name,
        reference_version=VectorShowdown.version,
    )

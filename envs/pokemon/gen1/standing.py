"""How each side stands, and what of it the other player was told.

`P` players, `S` slots of a team, `M` moves.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .features import Fighter, base_stats
from .moves import BIDE, BURN, PARALYSIS, RAGE, SLEEP, any_of, with_flag
from .side import CONDITION, FLAGS, LOCK_TIME, SEEN_BITS, TRAP, at, from_bits
from .state import NUM_MOVES, TEAM_SIZE, State
from .teams import member

SLOTS = np.arange(TEAM_SIZE, dtype=np.int32)
_PLACES = np.arange(NUM_MOVES, dtype=np.int32)


class Standing(NamedTuple):
    """One side, hidden things included."""

    slot: Array  # int32 []  of the active Pokemon
    alive: Array  # bool [S]
    came: Array  # bool [S]  it has come in
    announced: Array  # bool [S, M]
    hp: Array  # float32 [S]  exact; fighters.hp is in percent
    status: Array  # int32 [S]
    pp: Array  # float32 [S, M]
    codes: Array  # int32 [S, M]
    fighters: Fighter  # [S]
    boosts: Array  # float32 [7]
    flags: dict[str, Array]  # bool [], by name; of traps float32
    toxic: Array  # float32 []
    disabled: Array  # bool [M]
    holds: Array  # bool []  the foe in a trap, for one more turn at least
    may_hold: Array  # bool []  one of the two does, as far as the players can tell
    trapped_last: Array  # bool []  its last move was one that traps


def stand(state: State, table: Array) -> Standing:
    """state: of one player, the axis [P] taken away."""
    team = jax.vmap(member)(table[state.team])
    slot = state.order[0].astype(jnp.int32)
    active = slot == SLOTS

    def mixed(value: Array, bench: Array) -> Array:
        """The active Pokemon's own value, and the bench's."""
        value = value.astype(jnp.int32)
        return jnp.where(active.reshape(TEAM_SIZE, *[1] * value.ndim), value[None], bench)

    hp, max_hp = state.hp.astype(jnp.int32), jnp.maximum(team.max_hp, 1)
    percent = (100 * hp + max_hp - 1) // max_hp  # upward; 100 is for full health alone
    percent = jnp.where(hp < max_hp, jnp.minimum(percent, 99), percent)
    flags = from_bits(state.flags.astype(jnp.int32), FLAGS)
    status = from_bits(state.condition.astype(jnp.int32), CONDITION)["status"]
    species = mixed(state.species, team.species)
    base_pp = state.base_pp.astype(jnp.int32)
    seen = (state.seen.astype(jnp.int32) >> (SEEN_BITS * SLOTS)) & (2**SEEN_BITS - 1)
    own = ~(active & flags["transformed"])  # what was announced of the set is not what stands here
    announced = own[:, None] & ((seen[:, None] >> _PLACES[None]) & 1 > 0)
    announced |= active[:, None] & flags["virtual"][None]
    moves = state.moves.astype(jnp.int32)
    disabled = (moves != 0) & (moves == state.disabled.astype(jnp.int32))
    # What was disabled was named; of two such moves an announced one is meant.
    named = disabled & (flags["disabled_place"] == _PLACES)
    named &= ~(disabled & at(announced, slot)).any()
    announced |= active[:, None] & named[None]
    boosts = state.boosts.astype(jnp.int32)
    stages = jnp.stack([jnp.zeros_like(boosts[0]), *(boosts[i] for i in (0, 1, 2, 4))])
    lock = state.lock.astype(jnp.int32)
    substitute, asleep = state.substitute_hp > 0, status == SLEEP
    volatiles = {
        "confusion": state.confusion > 0,
        "substitute": substitute,
        "charging": any_of(lock, with_flag("charges")),
        "thrashing": any_of(lock, with_flag("thrashes")),
        "raging": lock == RAGE,
        "biding": lock == BIDE,
    }
    trapping = any_of(lock, with_flag("traps"))
    turns = from_bits(state.lock_time.astype(jnp.int32), LOCK_TIME)
    lasted = turns["lock_total"] - turns["lock_time"]
    feint = from_bits(state.trap.astype(jnp.int32), TRAP)["feint_time"] > 0
    return Standing(
        slot=slot,
        alive=hp > 0,
        came=active | (seen >> NUM_MOVES > 0),
        announced=announced,
        hp=hp.astype(jnp.float32) / max_hp.astype(jnp.float32),
        status=status,
        pp=share(mixed(state.pp, base_pp), 63),
        codes=mixed(moves, team.moves),
        fighters=Fighter(
            level=team.level,
            hp=share(percent, 100),
            base_stats=jnp.asarray(base_stats())[species],
            types=mixed(state.types, team.types),
            stages=jnp.where(active[:, None], stages[None], 0),
            burned=status == BURN,
            paralysed=status == PARALYSIS,
            dreams=asleep & ~(active & substitute),
            reflect=active & flags["reflect"],
            light_screen=active & flags["light_screen"],
            hidden=active & flags["hidden"],
        ),
        boosts=share(boosts, 6),
        flags=flags | volatiles,
        toxic=jnp.minimum(share(state.toxic, 16), 1),
        disabled=disabled,
        holds=trapping & (lasted == 1),
        may_hold=feint | (trapping & (lasted > 1)),
        trapped_last=any_of(state.last_used, with_flag("traps")),
    )


def with_traps(sides: Standing) -> Standing:
    """sides: [P, ...]. A trap goes on for a second turn in any case; after it, neither player can
    tell whether it does."""
    both = jax.vmap(at)(sides.alive, sides.slot).all()
    may = sides.may_hold.any() & sides.trapped_last
    trapping = jnp.where(both, jnp.where(sides.holds, 1.0, jnp.where(may, 0.5, 0.0)), 0.0)
    traps = {"trapping": trapping, "trapped": trapping[::-1]}
    return sides._replace(flags=sides.flags | traps)


def share(count: Array, of: int) -> Array:
    """float32, a multiple of 1 / of: a product, which compilers leave as it is, where they make one
    of a quotient by a constant."""
    return count.astype(jnp.float32) * np.float32(1 / of)

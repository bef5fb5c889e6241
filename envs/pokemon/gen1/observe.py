"""What a player sees of a battle: one flat vector of what Showdown tells that player.

`S` 6 slots of a team as the battle began, `M` 4 moves by their places in the set. Every entry is
float32 in [-1, 1]; the fields below follow each other in this order, of `Pokemon` and `Moves` those
of each row, and `unpack` gives them back by name.

| field | shape | |
|---|---|---|
| `turn` | [] | / 1000, the limit |
| `request` | [3] | one-hot: to wait, to choose, to replace a Pokemon that fainted |
| `remaining` | [2] | Pokemon that have not fainted, mine and the foe's, / 6 |
| `own_active`, `foe_active` | `Active` | the Pokemon that fight |
| `own`, `foe` | `Pokemon` [S] | the teams, the active Pokemon included |

| `Pokemon` | shape | |
|---|---|---|
| `present` | [S] | 1: there is one here, and the player knows it; where it is 0, so is all else |
| `active` | [S] | |
| `hp` | [S] | fraction; of the foe's in percent, as Showdown rounds it |
| `level` | [S] | / 100 |
| `status` | [S, 6] | one-hot: slp, psn, brn, frz, par, tox |
| `types` | [S, 15] | Normal, Fighting, Flying, Poison, Ground, Rock, Bug, Ghost, Fire, ... |
| `base_stats` | [S, 5] | of the species, / 255: hp, attack, defense, special, speed |
| `pp` | [S, M] | what is left, / 63; of the foe's, 1 for a move that was announced |
| `damage` | [S, M] | of each known move on the other side's active Pokemon, see below |

| `Active` | shape | |
|---|---|---|
| `hp`, `level`, `status`, `types`, `base_stats`, `pp`, `damage` | | as above, without [S] |
| `boosts` | [7] | / 6: attack, defense, special attack and defense, speed, accuracy, evasion |
| `volatiles` | [16] | confusion, substitute, reflect, light screen, mist, focus energy, leech seed,
  recharge, charging, hidden (by Dig or Fly), thrashing, raging, biding, trapping, trapped,
  transformed; the two of traps are 1/2 where neither player can tell that it is not over |
| `toxic` | [] | / 16: one more than Toxic's counter, 0 without it |
| `disabled` | [M] | |
| `moves` | `Moves` [M] | those that are known |

| `Moves` | shape | |
|---|---|---|
| `known` | [M] | 0: no move, or none that was announced; so is all else |
| `types` | [M, 15] | one-hot |
| `category` | [M, 2] | physical, special; neither: a status move |
| `power` | [M] | of all hits that are to be expected, / 256 |
| `accuracy` | [M] | 0 .. 1 |
| `priority` | [M] | -1, 0, 1 |
| `inflicts` | [M, 6] | the chance of each status |
| `boosts` | [M, 6] | chance x stages / 2: attack, defense, special, speed, accuracy, evasion;
  raises are the user's, drops the target's |
| `effects` | [M, 34] | of each of `EFFECTS`, its chance; `fixed_damage`: how much at level 100,
  / 100 |

`damage` is what hits of middling luck and no critical one are expected to take, as a fraction of
the target's full health and times the accuracy: both Pokemon are taken to have statistics that grew
as far as they can, with their boosts, burn, paralysis, Reflect and Light Screen. So it tells
nothing that is hidden. Of a move of two turns, or of several, it is one strike; 0 where the target
is out of reach, is too fast for a move that knocks out, or has no dreams to eat.

A Pokemon that transformed shows what it is now. Hidden are: the foe's Pokemon that have not come in
and moves that were not announced, its exact hit points, statistics and PP; and from both players,
as in Showdown, how long sleep, confusion, Disable, Thrash, Bide and traps last, what a substitute
withstands, what Bide has stored, and the generator. A move that only Disable has named is known
while it is disabled.
Showdown does not tell in which slot of its team a foe stands, nor the place of a move in the set;
here both are where they are, so that an entry never changes its meaning.
"""

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .features import (
    BASE_STATS,
    EFFECTS,
    NUM_STATUSES,
    NUM_TYPES,
    Fighter,
    base_stats,
    damage,
    move_features,
)
from .moves import BIDE, BURN, PARALYSIS, RAGE, SLEEP, any_of, with_flag
from .side import CONDITION, FLAGS, LOCK_TIME, SEEN_BITS, TRAP, at, from_bits
from .state import NUM_MOVES, NUM_PLAYERS, TEAM_SIZE, Params, State
from .teams import member

VOLATILES = (
    *("confusion", "substitute", "reflect", "light_screen", "mist", "focused", "seeded"),
    *("recharge", "charging", "hidden", "thrashing", "raging", "biding", "trapping", "trapped"),
    "transformed",
)
"""In the order of `Active.volatiles`."""
_NUM_BOOSTS = 7
_SLOTS = np.arange(TEAM_SIZE, dtype=np.int32)
_PLACES = np.arange(NUM_MOVES, dtype=np.int32)


class Pokemon(NamedTuple):
    present: Any
    active: Any
    hp: Any
    level: Any
    status: Any
    types: Any
    base_stats: Any
    pp: Any
    damage: Any


class Moves(NamedTuple):
    known: Any
    types: Any
    category: Any
    power: Any
    accuracy: Any
    priority: Any
    inflicts: Any
    boosts: Any
    effects: Any


class Active(NamedTuple):
    hp: Any
    level: Any
    status: Any
    types: Any
    base_stats: Any
    pp: Any
    damage: Any
    boosts: Any
    volatiles: Any
    toxic: Any
    disabled: Any
    moves: Moves


class View(NamedTuple):
    """An observation by name, see the module's docstring."""

    turn: Any
    request: Any
    remaining: Any
    own_active: Active
    foe_active: Active
    own: Pokemon
    foe: Pokemon


# -- the vector

_POKEMON = Pokemon(
    **dict.fromkeys(("present", "active", "hp", "level"), 0),
    **{"status": NUM_STATUSES, "types": NUM_TYPES, "base_stats": len(BASE_STATS)},
    **dict.fromkeys(("pp", "damage"), NUM_MOVES),
)
"""How many entries a field has in the row of one Pokemon; 0: it is one number."""
_NUM_SHARED = len(Active._fields[: Active._fields.index("boosts")])
_ACTIVE = (*_POKEMON[-_NUM_SHARED:], 7, len(VOLATILES), 0, NUM_MOVES)
"""Likewise, the moves left out."""
_MOVE = Moves(
    **dict.fromkeys(("known", "power", "accuracy", "priority"), 0),
    **{"types": NUM_TYPES, "category": 2, "inflicts": NUM_STATUSES, "boosts": 6},
    effects=len(EFFECTS),
)


def _width(row: Iterable[int]) -> int:
    return sum(max(size, 1) for size in row)


_BLOCKS = (
    *(1, 3, 2, _width(_ACTIVE), NUM_MOVES * _width(_MOVE)),
    *(_width(_ACTIVE), NUM_MOVES * _width(_MOVE)),
    *(TEAM_SIZE * _width(_POKEMON), TEAM_SIZE * _width(_POKEMON)),
)
OBSERVATION_SIZE: int = sum(_BLOCKS)


def unpack(observation: Array) -> View:
    """An observation's fields by name. observation: float32 [..., OBSERVATION_SIZE]; every field
    has its leading axes."""
    ends = np.cumsum(_BLOCKS).tolist()
    blocks = [observation[..., end - size : end] for end, size in zip(ends, _BLOCKS, strict=True)]
    turn, request, remaining, own_active, own_moves, foe_active, foe_moves, own, foe = blocks
    return View(
        turn=turn[..., 0],
        request=request,
        remaining=remaining,
        own_active=_fighter(own_active, own_moves),
        foe_active=_fighter(foe_active, foe_moves),
        own=_rows(own, _POKEMON),
        foe=_rows(foe, _POKEMON),
    )


def _fighter(block: Array, moves: Array) -> Active:
    return Active._make([*_fields(block, _ACTIVE), _rows(moves, _MOVE)])


def _rows(block: Array, row: Any) -> Any:
    """Fields [..., N, size] of N rows that follow each other."""
    rows = block.reshape(*block.shape[:-1], -1, _width(row))
    return type(row)(*_fields(rows, row))


def _fields(block: Array, row: Iterable[int]) -> list[Array]:
    fields, end = [], 0
    for size in row:
        start, end = end, end + max(size, 1)
        fields.append(block[..., start:end] if size else block[..., start])
    return fields


def _share(count: Array, of: int) -> Array:
    """float32, a multiple of 1 / of: a product, which compilers leave as it is, where they make one
    of a quotient by a constant."""
    return count.astype(jnp.float32) * np.float32(1 / of)


def observe(state: State, params: Params) -> Array:
    """float32 [P, OBSERVATION_SIZE], see the module's docstring."""
    of_player = jax.tree.map(lambda x: 0 if x.ndim else None, state)
    sides = _with_traps(jax.vmap(_side, (of_player, None))(state, params.teams))
    hits = jax.vmap(_hits)(sides, _swap(sides))
    own, shown = jax.vmap(_own)(sides, hits), jax.vmap(_shown)(sides, hits)
    turn = jnp.minimum(_share(state.turn, 1000), 1)
    left = _share(sides.alive.sum(axis=1, dtype=jnp.int32), TEAM_SIZE)
    blocks = [
        jnp.broadcast_to(turn, (NUM_PLAYERS, 1)),
        jax.nn.one_hot(state.request, 3),
        jnp.stack([left, _swap(left)], axis=1),
        jax.vmap(_active)(sides, own, sides.codes != 0),
        _swap(jax.vmap(_active)(sides, shown, sides.announced)),
        own,
        _swap(shown),
    ]
    return jnp.concatenate([block.reshape(NUM_PLAYERS, -1) for block in blocks], axis=1)


def _swap(of_players: Any) -> Any:
    """[P, ...] with the other player's in each place."""
    return jax.tree.map(lambda x: x[::-1], of_players)


# -- one side


class _Side(NamedTuple):
    """One side as it stands, hidden things included."""

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
    volatiles: dict[str, Array]  # float32 [], by name
    toxic: Array  # float32 []
    disabled: Array  # bool [M]
    holds: Array  # bool []  the foe in a trap, for one more turn at least
    may_hold: Array  # bool []  one of the two does, as far as the players can tell
    trapped_last: Array  # bool []  its last move was one that traps


def _side(state: State, table: Array) -> _Side:
    """state: of one player, the axis [P] taken away."""
    team = jax.vmap(member)(table[state.team])
    slot = state.order[0].astype(jnp.int32)
    active = slot == _SLOTS

    def standing(value: Array, bench: Array) -> Array:
        """The active Pokemon's own value, and the bench's."""
        value = value.astype(jnp.int32)
        return jnp.where(active.reshape(TEAM_SIZE, *[1] * value.ndim), value[None], bench)

    hp, max_hp = state.hp.astype(jnp.int32), jnp.maximum(team.max_hp, 1)
    percent = (100 * hp + max_hp - 1) // max_hp  # upward; 100 is for full health alone
    percent = jnp.where(hp < max_hp, jnp.minimum(percent, 99), percent)
    flags = from_bits(state.flags.astype(jnp.int32), FLAGS)
    status = from_bits(state.condition.astype(jnp.int32), CONDITION)["status"]
    species = standing(state.species, team.species)
    base_pp = state.base_pp.astype(jnp.int32)
    seen = (state.seen.astype(jnp.int32) >> (SEEN_BITS * _SLOTS)) & (2**SEEN_BITS - 1)
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
    volatiles = {name: flags[name] for name in VOLATILES if name in flags} | {
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
    return _Side(
        slot=slot,
        alive=hp > 0,
        came=active | (seen >> NUM_MOVES > 0),
        announced=announced,
        hp=hp.astype(jnp.float32) / max_hp.astype(jnp.float32),
        status=status,
        pp=_share(standing(state.pp, base_pp), 63),
        codes=standing(moves, team.moves),
        fighters=Fighter(
            level=team.level,
            hp=_share(percent, 100),
            base_stats=jnp.asarray(base_stats())[species],
            types=standing(state.types, team.types),
            stages=jnp.where(active[:, None], stages[None], 0),
            burned=status == BURN,
            paralysed=status == PARALYSIS,
            dreams=asleep & ~(active & substitute),
            reflect=active & flags["reflect"],
            light_screen=active & flags["light_screen"],
            hidden=active & flags["hidden"],
        ),
        boosts=_share(boosts, 6),
        volatiles={name: value.astype(jnp.float32) for name, value in volatiles.items()},
        toxic=jnp.minimum(_share(state.toxic, 16), 1),
        disabled=disabled,
        holds=trapping & (lasted == 1),
        may_hold=feint | (trapping & (lasted > 1)),
        trapped_last=any_of(state.last_used, with_flag("traps")),
    )


def _with_traps(sides: _Side) -> _Side:
    """sides: [P, ...]. A trap goes on for a second turn in any case; after it, neither player can
    tell whether it does."""
    both = jax.vmap(at)(sides.alive, sides.slot).all()
    may = sides.may_hold.any() & sides.trapped_last
    trapping = jnp.where(both, jnp.where(sides.holds, 1.0, jnp.where(may, 0.5, 0.0)), 0.0)
    traps = {"trapping": trapping, "trapped": _swap(trapping)}
    return sides._replace(volatiles=sides.volatiles | traps)


def _hits(side: _Side, foe: _Side) -> Array:
    """What every move is worth against the foe that fights, float32 [S, M]."""
    target = jax.tree.map(lambda x: at(x, foe.slot), foe.fighters)
    return jax.vmap(damage, (0, 0, None))(side.fighters, side.codes, target)


def _own(side: _Side, hits: Array) -> Array:
    """A team as its player sees it, float32 [S, R], a row of Pokemon's fields each. hits: of
    `_hits`."""
    present = side.fighters.level > 0
    return _team(side, present, side.hp, side.pp, hits)


def _shown(side: _Side, hits: Array) -> Array:
    """A team as the other player sees it."""
    announced = side.announced.astype(jnp.float32)
    return _team(side, side.came, side.fighters.hp, announced, hits * announced)


def _team(side: _Side, present: Array, hp: Array, pp: Array, hits: Array) -> Array:
    fighters = side.fighters
    view = Pokemon(
        present=present,
        active=side.slot == _SLOTS,
        hp=hp,
        level=_share(fighters.level, 100),
        status=jax.nn.one_hot(side.status - 1, NUM_STATUSES),
        types=jax.nn.one_hot(fighters.types - 1, NUM_TYPES).max(axis=1),
        base_stats=_share(fighters.base_stats, 255),
        pp=pp,
        damage=hits,
    )
    fields = [x.reshape(TEAM_SIZE, -1).astype(jnp.float32) for x in view]
    return jnp.where(present[:, None], jnp.concatenate(fields, axis=1), 0)


def _active(side: _Side, team: Array, known: Array) -> Array:
    """The Pokemon that fights, and its moves. team: [S, R]; known: bool [S, M], of the moves."""
    codes = at(jnp.where(known, side.codes, 0), side.slot)
    parts = [
        at(team, side.slot)[-_width(_ACTIVE[:_NUM_SHARED]) :],
        side.boosts,
        jnp.stack([side.volatiles[name] for name in VOLATILES]),
        side.toxic[None],
        side.disabled & at(known, side.slot),
        jnp.asarray(_move_table())[codes].reshape(-1),
    ]
    return jnp.concatenate([part.astype(jnp.float32) for part in parts])


@functools.cache
def _move_table() -> np.ndarray:
    """Of each move a row of the fields of `Moves`."""
    return np.concatenate([x.reshape(len(x), -1) for x in move_features()], axis=1)

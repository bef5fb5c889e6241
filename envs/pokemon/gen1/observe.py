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
while it is disabled. Showdown does not tell in which slot of its team a foe stands, nor the place
of a move in the set; here both are where they are, so that an entry never changes its meaning.
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
    damage,
    move_features,
)
from .side import at
from .standing import SLOTS, Standing, share, stand, with_traps
from .state import NUM_MOVES, NUM_PLAYERS, TEAM_SIZE, Params, State

VOLATILES = (
    *("confusion", "substitute", "reflect", "light_screen", "mist", "focused", "seeded"),
    *("recharge", "charging", "hidden", "thrashing", "raging", "biding", "trapping", "trapped"),
    "transformed",
)
"""In the order of `Active.volatiles`."""
_NUM_BOOSTS = 7


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
_ACTIVE = (*_POKEMON[-_NUM_SHARED:], _NUM_BOOSTS, len(VOLATILES), 0, NUM_MOVES)
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


def observe(state: State, params: Params) -> Array:
    """float32 [P, OBSERVATION_SIZE], see the module's docstring."""
    of_player = jax.tree.map(lambda x: 0 if x.ndim else None, state)
    sides = with_traps(jax.vmap(stand, (of_player, None))(state, params.teams))
    hits = jax.vmap(_hits)(sides, _swap(sides))
    own, shown = jax.vmap(_own)(sides, hits), jax.vmap(_shown)(sides, hits)
    turn = jnp.minimum(share(state.turn, 1000), 1)
    left = share(sides.alive.sum(axis=1, dtype=jnp.int32), TEAM_SIZE)
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


# -- parts


def _hits(side: Standing, foe: Standing) -> Array:
    """What every move is worth against the foe that fights, float32 [S, M]."""
    target = jax.tree.map(lambda x: at(x, foe.slot), foe.fighters)
    return jax.vmap(damage, (0, 0, None))(side.fighters, side.codes, target)


def _own(side: Standing, hits: Array) -> Array:
    """A team as its player sees it, float32 [S, R], a row of Pokemon's fields each. hits: of
    `_hits`."""
    present = side.fighters.level > 0
    return _team(side, present, side.hp, side.pp, hits)


def _shown(side: Standing, hits: Array) -> Array:
    """A team as the other player sees it."""
    announced = side.announced.astype(jnp.float32)
    return _team(side, side.came, side.fighters.hp, announced, hits * announced)


def _team(side: Standing, present: Array, hp: Array, pp: Array, hits: Array) -> Array:
    fighters = side.fighters
    view = Pokemon(
        present=present,
        active=side.slot == SLOTS,
        hp=hp,
        level=share(fighters.level, 100),
        status=jax.nn.one_hot(side.status - 1, NUM_STATUSES),
        types=jax.nn.one_hot(fighters.types - 1, NUM_TYPES).max(axis=1),
        base_stats=share(fighters.base_stats, 255),
        pp=pp,
        damage=hits,
    )
    fields = [x.reshape(TEAM_SIZE, -1).astype(jnp.float32) for x in view]
    return jnp.where(present[:, None], jnp.concatenate(fields, axis=1), 0)


def _active(side: Standing, team: Array, known: Array) -> Array:
    """The Pokemon that fights, and its moves. team: [S, R]; known: bool [S, M], of the moves."""
    codes = at(jnp.where(known, side.codes, 0), side.slot)
    parts = [
        at(team, side.slot)[-_width(_ACTIVE[:_NUM_SHARED]) :],
        side.boosts,
        jnp.stack([side.flags[name].astype(jnp.float32) for name in VOLATILES]),
        side.toxic[None],
        side.disabled & at(known, side.slot),
        jnp.asarray(_move_table())[codes].reshape(-1),
    ]
    return jnp.concatenate([part.astype(jnp.float32) for part in parts])


@functools.cache
def _move_table() -> np.ndarray:
    """Of each move a row of the fields of `Moves`."""
    return np.concatenate([x.reshape(len(x), -1) for x in move_features()], axis=1)

"""What a player sees of a battle: one flat vector of what Showdown tells that player.

`S` 6 slots of a team as the battle began, `M` 4 moves by their places in the set. Every entry is
float32 in [-1, 1]; the fields below follow each other in this order, each one flattened, and
`unpack` gives them back by name.

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
| `volatiles` | [6] | confusion, substitute, reflect, recharge, charging, transformed |
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
| `boosts` | [M, 5] | chance x stages / 2: attack, defense, special, speed, accuracy; raises are the
  user's, drops the target's |
| `effects` | [M, 19] | of each of `EFFECTS`, its chance |

`damage` is what hits of middling luck and no critical one are expected to take, as a fraction of
the target's full health and times the accuracy: both Pokemon are taken to have statistics that grew
as far as they can, with their boosts, burn and Reflect. So it tells nothing that is hidden.

A Pokemon that transformed shows what it is now. Hidden are: the foe's Pokemon that have not come in
and moves that were not announced, its exact hit points, statistics and PP; and from both players,
as in Showdown, how long sleep and confusion last, what a substitute withstands, and the generator.
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
from .moves import BURN, any_of, with_flag
from .side import CONDITION, FLAGS, SEEN_BITS, at, from_bits
from .state import NUM_MOVES, NUM_PLAYERS, TEAM_SIZE, Params, State
from .teams import member

VOLATILES = ("confusion", "substitute", "reflect", "recharge", "charging", "transformed")
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

_M, _S = NUM_MOVES, TEAM_SIZE


def _shapes() -> View:
    def pokemon(*axes: int) -> dict[str, Any]:
        sizes = {"status": NUM_STATUSES, "types": NUM_TYPES, "base_stats": len(BASE_STATS)}
        sizes |= {"pp": _M, "damage": _M}
        return {"hp": axes, "level": axes, **{name: (*axes, n) for name, n in sizes.items()}}

    moves = Moves(
        known=(_M,),
        types=(_M, NUM_TYPES),
        category=(_M, 2),
        power=(_M,),
        accuracy=(_M,),
        priority=(_M,),
        inflicts=(_M, NUM_STATUSES),
        boosts=(_M, 5),
        effects=(_M, len(EFFECTS)),
    )
    active = Active(**pokemon(), boosts=(7,), volatiles=(len(VOLATILES),), moves=moves)
    team = Pokemon(present=(_S,), active=(_S,), **pokemon(_S))
    return View((), (3,), (2,), active, active, team, team)


def _ends(shapes: Iterable[tuple[int, ...]]) -> list[int]:
    """Where each ends that lies flat behind the one before."""
    ends: list[int] = np.cumsum([int(np.prod(shape)) for shape in shapes]).tolist()
    return ends


_SHAPE = _shapes()
_SHAPES, _TREE = jax.tree.flatten(_SHAPE, is_leaf=lambda x: type(x) is tuple)
_ENDS = _ends(_SHAPES)
_MOVE_ENDS = _ends(shape[1:] for shape in _SHAPE.own_active.moves)[:-1]
OBSERVATION_SIZE: int = _ENDS[-1]


def unpack(observation: Array) -> View:
    """An observation's fields by name. observation: float32 [..., OBSERVATION_SIZE]; every field
    has its leading axes."""
    starts = [0, *_ENDS[:-1]]
    leaves = [
        observation[..., start:end].reshape((*observation.shape[:-1], *shape))
        for start, end, shape in zip(starts, _ENDS, _SHAPES, strict=True)
    ]
    view: View = jax.tree.unflatten(_TREE, leaves)
    return view


def _share(count: Array, of: int) -> Array:
    """float32, a multiple of 1 / of: a product, which compilers leave as it is, where they make one
    of a quotient by a constant."""
    return count.astype(jnp.float32) * np.float32(1 / of)


def observe(state: State, params: Params) -> Array:
    """float32 [P, OBSERVATION_SIZE], see the module's docstring."""
    of_player = jax.tree.map(lambda x: 0 if x.ndim else None, state)
    sides = jax.vmap(_side, (of_player, None))(state, params.teams)
    hits = jax.vmap(_hits)(sides, _swap(sides))
    own, shown = jax.vmap(_own)(sides, hits), jax.vmap(_shown)(sides, hits)
    turn = jnp.minimum(_share(state.turn, 1000), 1)
    left = _share(sides.alive.sum(axis=1, dtype=jnp.int32), TEAM_SIZE)
    view = View(
        turn=jnp.broadcast_to(turn, (NUM_PLAYERS,)),
        request=jax.nn.one_hot(state.request, 3),
        remaining=jnp.stack([left, _swap(left)], axis=1),
        own_active=jax.vmap(_active)(sides, own, sides.codes != 0),
        foe_active=_swap(jax.vmap(_active)(sides, shown, sides.announced)),
        own=own,
        foe=_swap(shown),
    )
    leaves = [leaf.reshape(NUM_PLAYERS, -1) for leaf in jax.tree.leaves(view)]
    return jnp.concatenate(leaves, axis=1)


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
    volatiles: Array  # float32 [6]


def _side(state: State, table: Array) -> _Side:
    """state: of one player, the axis [P] taken away."""
    team = jax.vmap(member)(table[state.team])
    slot = state.order[0].astype(jnp.int32)
    active = slot == _SLOTS

    def standing(value: Array, bench: Array) -> Array:
        """The active Pokemon's own value, and the bench's."""
        value = value.astype(jnp.int32)
        return jnp.where(active.reshape(_S, *[1] * value.ndim), value[None], bench)

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
    boosts = state.boosts.astype(jnp.int32)
    stages = jnp.stack([jnp.zeros_like(boosts[0]), *(boosts[i] for i in (0, 1, 2, 4))])
    volatiles = {
        **{name: flags[name] for name in ("reflect", "recharge", "transformed")},
        "confusion": state.confusion > 0,
        "substitute": state.substitute_hp > 0,
        "charging": any_of(state.lock, with_flag("charges")),
    }
    return _Side(
        slot=slot,
        alive=hp > 0,
        came=active | (seen >> NUM_MOVES > 0),
        announced=announced | (active[:, None] & flags["virtual"][None]),
        hp=hp.astype(jnp.float32) / max_hp.astype(jnp.float32),
        status=status,
        pp=_share(standing(state.pp, base_pp), 63),
        codes=standing(state.moves, team.moves),
        fighters=Fighter(
            level=team.level,
            hp=_share(percent, 100),
            base_stats=jnp.asarray(base_stats())[species],
            types=standing(state.types, team.types),
            stages=jnp.where(active[:, None], stages[None], 0),
            burned=status == BURN,
            reflect=active & flags["reflect"],
        ),
        boosts=_share(boosts, 6),
        volatiles=jnp.stack([volatiles[name] for name in VOLATILES]).astype(jnp.float32),
    )


def _hits(side: _Side, foe: _Side) -> Array:
    """What every move is worth against the foe that fights, float32 [S, M]."""
    target = _at(foe.fighters, foe.slot)
    return jax.vmap(damage, (0, 0, None))(side.fighters, side.codes, target)


def _own(side: _Side, hits: Array) -> Pokemon:
    """A team as its player sees it. hits: of `_hits`."""
    fighters = side.fighters
    present = fighters.level > 0
    view = Pokemon(
        present=present,
        active=side.slot == _SLOTS,
        hp=side.hp,
        level=_share(fighters.level, 100),
        status=jax.nn.one_hot(side.status - 1, NUM_STATUSES),
        types=jax.nn.one_hot(fighters.types - 1, NUM_TYPES).max(axis=1),
        base_stats=_share(fighters.base_stats, 255),
        pp=side.pp,
        damage=hits,
    )
    return _masked(view, present)


def _shown(side: _Side, hits: Array) -> Pokemon:
    """A team as the other player sees it."""
    announced = side.announced.astype(jnp.float32)
    view = _own(side, hits)
    view = view._replace(hp=side.fighters.hp, pp=announced, damage=view.damage * announced)
    return _masked(view, side.came)


def _masked(view: Pokemon, mask: Array) -> Pokemon:
    def keep(x: Array) -> Array:
        return jnp.where(mask.reshape(_S, *[1] * (x.ndim - 1)), x.astype(jnp.float32), 0)

    return Pokemon(*(keep(x) for x in view))


def _active(side: _Side, team: Pokemon, known: Array) -> Active:
    """The Pokemon that fights. known: bool [S, M], of the moves."""
    own = _at(team, side.slot)
    codes = at(jnp.where(known, side.codes, 0), side.slot)
    parts = jnp.split(jnp.asarray(_move_table())[codes], _MOVE_ENDS, axis=1)
    moves = (
        part.reshape(shape) for part, shape in zip(parts, _SHAPE.own_active.moves, strict=True)
    )
    shared = {name: getattr(own, name) for name in Active._fields[:7]}
    return Active(**shared, boosts=side.boosts, volatiles=side.volatiles, moves=Moves(*moves))


@functools.cache
def _move_table() -> np.ndarray:
    """Of each move all that `Moves` tells, so that it is looked up at once."""
    return np.concatenate([x.reshape(len(x), -1) for x in move_features()], axis=1)


def _at(team: Any, slot: Array) -> Any:
    """One Pokemon of a tree of [S, ...]."""
    return jax.tree.map(lambda x: at(x, slot), team)

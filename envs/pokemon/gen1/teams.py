"""Teams as rows of numbers, shared by all battles."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from .moves import data
from .state import NUM_MOVES, TEAM_SIZE

_COLUMNS = (
    *("species", "level", "max_hp", "attack", "defense", "special_attack", "special_defense"),
    *("speed", "type_1", "type_2", "base_speed", "speed_term"),
)
WIDTH = len(_COLUMNS) + 2 * NUM_MOVES
MAX_EV, MAX_IV = 255, 30
PP_UPS = 3


class Member(NamedTuple):
    """One Pokemon of a team, int32 each; species 0 is none."""

    species: Array  # []  number in the National Dex
    level: Array  # []
    max_hp: Array  # []
    stats: Array  # [5]
    types: Array  # [2]
    base_speed: Array  # []  of the species
    speed_term: Array  # []  what individual and effort values add to speed
    moves: Array  # [M]
    pp: Array  # [M]


SHAPES = ((), (), (), (5,), (2,), (), (), (NUM_MOVES,), (NUM_MOVES,))
"""Of a Member's fields."""


def member(row: Array) -> Member:
    """int16 [WIDTH] -> what the row says."""
    row = row.astype(jnp.int32)
    first = len(_COLUMNS)
    return Member(
        species=row[0],
        level=row[1],
        max_hp=row[2],
        stats=row[3:8],
        types=row[8:10],
        base_speed=row[10],
        speed_term=row[11],
        moves=row[first : first + NUM_MOVES],
        pp=row[first + NUM_MOVES :],
    )


def stat(base: Any, term: Any, level: Any) -> Any:
    """A statistic other than hit points; term: individual value and a quarter of the effort value.

    upstream: statModify in sim/battle.ts
    """
    return (2 * base + term) * level // 100 + 5


def rows(
    species: Any, level: Any, moves: Any, evs: Any | None = None, ivs: Any | None = None
) -> np.ndarray:
    """Teams for `Params.teams`, int16 [N, 6, WIDTH].

    species, level: int [N, S] with S up to 6, a species of 0 is none; moves: int [N, S, 4], 0 none;
    evs, ivs: int [N, S, 6] of hp, atk, def, spa, spd, spe, maximal (255 and 30) where they are not
    given. Raises ValueError for a team without Pokemon and a number that is none of the
    generation's. Whether a format allows a team is not looked at.
    """
    species, level, moves = (np.asarray(x, np.int64) for x in (species, level, moves))
    _check(species, level, moves)
    shape = (*species.shape, 6)
    evs = np.full(shape, MAX_EV) if evs is None else np.asarray(evs, np.int64)
    ivs = np.full(shape, MAX_IV) if ivs is None else np.asarray(ivs, np.int64)
    base, types = _species_table()
    term = ivs + evs // 4
    stats = stat(base[species], term, level[..., None])
    hp = (2 * base[species][..., 0] + term[..., 0] + 100) * level // 100 + 10
    fixed = [species, level, hp, *np.moveaxis(stats[..., 1:], -1, 0)]
    fixed += [*np.moveaxis(types[species], -1, 0), base[species][..., 5], term[..., 5]]
    table = np.concatenate([np.stack(fixed, -1), moves, _pp_table()[moves]], -1)
    table = np.where(species[..., None] > 0, table, 0)
    missing = [(0, 0), (0, TEAM_SIZE - species.shape[1]), (0, 0)]
    return np.pad(table, missing).astype(np.int16)


def _check(species: np.ndarray, level: np.ndarray, moves: np.ndarray) -> None:
    names = {move["num"]: move for move in data()["moves"]}
    if species.ndim != 2 or not 1 <= species.shape[1] <= TEAM_SIZE:
        raise ValueError(f"species has shape {species.shape}, expected [N, up to {TEAM_SIZE}]")
    if level.shape != species.shape or moves.shape != (*species.shape, NUM_MOVES):
        raise ValueError(
            f"level and moves have shapes {level.shape} and {moves.shape}, expected "
            f"{species.shape} and {(*species.shape, NUM_MOVES)}"
        )
    if not (species > 0).any(axis=1).all():
        raise ValueError("a team has at least one Pokemon")
    if (species < 0).any() or (species >= len(_species_table()[0])).any():
        raise ValueError(f"species are 1 .. {len(_species_table()[0]) - 1}, and 0 for none")
    if ((level < 1) | (level > 100))[species > 0].any():
        raise ValueError("levels are 1 .. 100")
    for number in np.unique(moves[species > 0]).tolist():
        if number and number not in names:
            raise ValueError(f"{number} is no move of generation 1; moves are 1 .. {max(names)}")


def base_speeds() -> np.ndarray:
    """Of each species by number, int32 [152]."""
    return _species_table()[0][:, 5].astype(np.int32)


@functools.cache
def _species_table() -> tuple[np.ndarray, np.ndarray]:
    """Base statistics [152, 6] and types [152, 2] by number."""
    entries: Sequence[Any] = data()["species"]
    stats, types = (np.zeros((len(entries) + 1, n), np.int64) for n in (6, 2))
    for entry in entries:
        stats[entry["num"]] = entry["stats"]
        types[entry["num"], : len(entry["types"])] = entry["types"]
    return stats, types


@functools.cache
def _pp_table() -> np.ndarray:
    """Of each move what it starts with.  upstream: calculatePP in sim/battle.ts"""
    pp = np.zeros(max(move["num"] for move in data()["moves"]) + 1, np.int64)
    for move in data()["moves"]:
        ups = 0 if move.get("noPPBoosts") else PP_UPS
        # A multiple of 40 would not fit in six bits.
        pp[move["num"]] = move["pp"] * (5 + ups) // 5 - (ups if move["pp"] == 40 else 0)
    return pp

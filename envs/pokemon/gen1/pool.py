"""The teams that come along: those that Showdown's generator made for random battles, and random
ones that its gen1ou allows.

pool.npz and gen1ou.npz are what `python -m simlift.references.pokemon.pool` wrote.
"""

import functools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .moves import NUM_CODES
from .state import TEAM_SIZE
from .teams import WIDTH, base_speeds, member, rows

PATH = Path(__file__).with_name("pool.npz")
OU_PATH = PATH.with_name("gen1ou.npz")
COLUMNS = ("species", "level", "moves", "evs", "ivs")


@functools.cache
def shipped() -> np.ndarray:
    """int16 [16384, 6, WIDTH], read-only; teams 2k and 2k + 1 were made for one battle."""
    return _kept(PATH)


@functools.cache
def gen1ou() -> np.ndarray:
    """int16 [2048, 6, WIDTH], read-only: random species and moves, as far as the format goes."""
    return _kept(OU_PATH)


def _kept(path: Path) -> np.ndarray:
    table = load(path)
    table.flags.writeable = False
    return table


def load(path: Any) -> np.ndarray:
    """The teams of such a file, int16 [N, 6, WIDTH].

    Raises ValueError for a file that is none, and what `teams.rows` raises; OSError.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            columns = {name: file[name] for name in COLUMNS}
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no pool of teams, which has the columns {', '.join(COLUMNS)}; "
            "write one with python -m simlift.references.pokemon.pool"
        ) from error
    return rows(**columns)


def checked(teams: Any) -> np.ndarray:
    """Teams as int16 [N, 6, WIDTH]. Raises ValueError where `teams.rows` did not make them."""
    table = np.asarray(teams)
    wanted = f"teams are int16 [N, {TEAM_SIZE}, {WIDTH}], as teams.rows or pool.load gives"
    if table.dtype.kind not in "iu" or table.shape[1:] != (TEAM_SIZE, WIDTH) or not len(table):
        raise ValueError(f"{wanted}; these are {table.dtype}{list(table.shape)}")
    columns: Any = np.moveaxis(table, -1, 0)
    fields = member(columns)
    bounds = {"species": len(base_speeds()) - 1, "level": 100, "moves": NUM_CODES - 1}
    for name, largest in bounds.items():
        values = getattr(fields, name)
        if (values < 0).any() or (values > largest).any():
            raise ValueError(f"{wanted}; in these a number of {name} is not in 0 .. {largest}")
    if not fields.species[:, 0].all():
        raise ValueError(f"{wanted}; one of these has no Pokemon in its first place")
    return table.astype(np.int16)

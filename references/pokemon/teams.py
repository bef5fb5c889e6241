"""Teams as arrays, made by Showdown or by hand."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from .bridge import Bridge

TEAM_SIZE, NUM_MOVES, NUM_STATS = 6, 4, 6
FORMAT = "gen1randombattle"
MAX_EV, MAX_IV = 255, 30
NUM_SPECIES, LAST_MOVE = 151, 164
_WIDTHS = (1, 1, NUM_MOVES, NUM_STATS, NUM_STATS)  # of a Pokemon's integers on the wire


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teams:
    """`N` teams, by number in the National Dex and in the list of moves; 0 is none, and comes last.

    Statistics: hp, atk, def, spa, spd, spe. Individual values are even: twice generation 1's.
    """

    species: np.ndarray  # int16 [N, 6]
    level: np.ndarray  # int16 [N, 6]
    moves: np.ndarray  # int16 [N, 6, 4]
    evs: np.ndarray  # int16 [N, 6, 6]
    ivs: np.ndarray  # int16 [N, 6, 6]

    def __len__(self) -> int:
        return len(self.species)

    @classmethod
    def of(cls, species: Any, level: Any, moves: Any) -> Self:
        """Teams of these Pokemon, which may be fewer than six, with all values maximal."""
        species, level, moves = (np.asarray(value, np.int16) for value in (species, level, moves))
        present = (species > 0)[..., None]
        evs, ivs = (
            np.where(present, np.full(NUM_STATS, value, np.int16), 0).astype(np.int16)
            for value in (MAX_EV, MAX_IV)
        )
        parts = (species, level, moves, evs, ivs)
        padded = (
            np.pad(part, [(0, 0), (0, TEAM_SIZE - part.shape[1])] + [(0, 0)] * (part.ndim - 2))
            for part in parts
        )
        return cls._of_parts(padded)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Teams that `python -m simlift.references.pokemon.pool` wrote. Raises OSError, ValueError
        and KeyError for a file that is none."""
        with np.load(path, allow_pickle=False) as file:
            return cls._of_parts(file[f.name].astype(np.int16) for f in dataclasses.fields(cls))

    @classmethod
    def random(cls, count: int, seed: int, format: str = FORMAT) -> Self:
        """Teams that Showdown generates, in pairs: the two of a battle share at most one Ditto.

        Raises ReferenceUnavailable, and ValueError for a format without random teams.
        """
        seeds = _team_seeds(count, seed)
        pairs = [seeds[i : i + 2] for i in range(0, count, 2)]
        return cls._asked(format, "generate", teamSeeds=pairs)

    @classmethod
    def legal(cls, count: int, seed: int, format: str = "gen1ou") -> Self:
        """Random teams that Showdown's validator lets into this format: six species at level 100
        with four moves each that they can have at once. Species that cannot have four are left out.

        Raises ReferenceUnavailable.
        """
        return cls._asked(format, "legal", teamSeeds=_team_seeds(count, seed))

    @classmethod
    def wild(cls, count: int, seed: int) -> Self:
        """Random teams of any six species at any level with any four moves but Struggle."""
        generator = np.random.default_rng(seed)
        shape = (count, TEAM_SIZE)
        species = generator.permuted(np.tile(np.arange(NUM_SPECIES), (count, 1)), axis=1) + 1
        moves = generator.permuted(np.tile(np.arange(LAST_MOVE), (*shape, 1)), axis=2) + 1
        level = generator.integers(1, 101, shape)
        return cls.of(species[:, :TEAM_SIZE], level, moves[..., :NUM_MOVES])

    @classmethod
    def unpack(cls, packed: Sequence[str]) -> Self:
        """Teams in Showdown's packed format. Nicknames are lost; blank statistics are maximal."""
        return cls._asked(FORMAT, "unpack", packed=list(packed))

    @classmethod
    def _asked(cls, format: str, verb: str, **given: Any) -> Self:
        bridge = Bridge(format, 0, log=False)
        try:
            bridge.start()
            if verb == "generate" and not bridge.hello["generates"]:
                raise ValueError(f"{format} has no teams of its own")
            rows = np.array(bridge.call(verb, **given)["teams"], np.int16)
        finally:
            bridge.close()
        parts = np.split(rows, np.cumsum(_WIDTHS)[:-1], axis=-1)
        return cls._of_parts([parts[0][..., 0], parts[1][..., 0], *parts[2:]])

    @classmethod
    def _of_parts(cls, parts: Any) -> Self:
        names = (field.name for field in dataclasses.fields(cls))
        return cls(**dict(zip(names, parts, strict=True)))

    def rows(self, index: int) -> list[list[int]]:
        """Team `index` as it travels: the integers of each Pokemon that is there."""
        parts = [getattr(self, field.name)[index] for field in dataclasses.fields(self)]
        rows = np.concatenate([part.reshape(TEAM_SIZE, -1) for part in parts], axis=1)
        present: list[list[int]] = rows[rows[:, 0] > 0].tolist()
        return present


def _team_seeds(count: int, seed: int) -> list[str]:
    words = np.random.SeedSequence(seed).generate_state(count, np.uint64)
    return [f"gen5,{word:016x}" for word in words]

"""A battle as its causes, and what Showdown's log says of it when it is played again."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from .bridge import Bridge, decode
from .install import VERSION
from .reference import NOTHING, NUM_ACTIONS, NUM_PLAYERS
from .teams import FORMAT, MAX_EV, MAX_IV, NUM_MOVES, NUM_STATS, TEAM_SIZE, Teams

KIND, FILE_VERSION = "pokemon battle", 1
_KEYS = {"kind", "version", "showdown", "format", "seed", "teams", "actions"}
_NUM_SPECIES, _STRUGGLE, _MAX_LEVEL = 151, 165, 100
_TEAMS: dict[str, tuple[int, tuple[int, ...]]] = {
    "species": (_NUM_SPECIES, ()),
    "level": (_MAX_LEVEL, ()),
    "moves": (_STRUGGLE, (NUM_MOVES,)),
    "evs": (MAX_EV, (NUM_STATS,)),
    "ivs": (MAX_IV, (NUM_STATS,)),
}
"""Of each column of `Teams` the largest number and the shape for one Pokemon."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class BattleRecord:
    """Everything that a battle follows from; `T` decisions.

    What a player hands in who has nothing to choose counts for nothing. Arrays of any integer type
    are taken, also JAX's. Raises ValueError for what no battle can have; whether an action was
    legal only shows when it is played, see `protocol_log`.
    """

    seed: np.ndarray  # uint32 [2]  the generator's first state, high word first
    teams: Teams  # two: the first player's and the second's
    actions: np.ndarray  # int8 [T, 2]  as `VectorShowdown` takes them
    format: str = FORMAT

    def __post_init__(self) -> None:
        if not isinstance(self.format, str) or not re.fullmatch("[a-z0-9]+", self.format):
            raise ValueError(f"format is {self.format!r}, expected an id such as {FORMAT!r}")
        checked = {
            "seed": _integers("seed", self.seed, (2,), 0, 2**32 - 1).astype(np.uint32),
            "teams": _checked_teams(self.teams),
            "actions": _integers(
                "actions", self.actions, (None, NUM_PLAYERS), NOTHING, NUM_ACTIONS - 1
            ).astype(np.int8),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """The text of a file that `from_json` reads."""
        columns = {name: getattr(self.teams, name).tolist() for name in _TEAMS}
        return json.dumps(
            {
                "kind": KIND,
                "version": FILE_VERSION,
                "showdown": VERSION,
                "format": self.format,
                "seed": self.seed.tolist(),
                "teams": columns,
                "actions": self.actions.tolist(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises ValueError, in one line, for a text that is no record."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"it is not JSON ({error}); write it with to_json") from None
        if not isinstance(data, dict) or data.get("kind") != KIND:
            raise ValueError(f'it does not say "kind": "{KIND}"; write it with to_json')
        for key, ours in (("version", FILE_VERSION), ("showdown", VERSION)):
            if data.get(key) != ours:
                raise ValueError(
                    f"its {key} is {data.get(key)!r}, this simlift plays {ours!r}; record it anew"
                )
        _check_names("the record", data, _KEYS)
        teams = data["teams"]
        if not isinstance(teams, dict):
            raise ValueError(f"teams are an object of {', '.join(_TEAMS)}")
        _check_names("teams", teams, _TEAMS)
        nothing_yet = np.zeros((0, NUM_PLAYERS), np.int8)
        return cls(
            format=data["format"],
            seed=data["seed"],
            teams=Teams(**teams),
            actions=nothing_yet if data["actions"] == [] else data["actions"],
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """The record in a file. Raises ValueError, with its path, and OSError."""
        try:
            return cls.from_json(path.read_text())
        except ValueError as error:
            raise ValueError(f"{path} is no record of a battle: {error}") from None


def record(
    *, seed: Any, teams: Teams, team: Any = (0, 1), actions: Any, format: str = FORMAT
) -> BattleRecord:
    """The record of a battle that was played in JAX.

    seed: uint32 [2] and team: int [2], of the draws of its reset; teams: those that `team` counts
    in; actions: int [T, 2], of its decisions up to the one that ended it. Raises ValueError.
    """
    rows = _integers("team", team, (NUM_PLAYERS,), 0, len(teams) - 1)
    pair = Teams(**{name: np.asarray(getattr(teams, name))[rows] for name in _TEAMS})
    return BattleRecord(format=format, seed=seed, teams=pair, actions=actions)


def protocol_log(battle: BattleRecord) -> list[str]:
    """The battle's log in Showdown's protocol, which Showdown plays it for.

    It is the one that Showdown keeps for its replays, with exact hit points on both sides, but
    without times of day, so that a record has one log. Raises ReferenceUnavailable; ValueError for
    a format that is none of generation 1, for an action that is not legal, and for actions after
    the end.
    """
    teams = [battle.teams.rows(player) for player in range(NUM_PLAYERS)]
    with contextlib.closing(Bridge(battle.format, 1, log=True)) as bridge:
        bridge.start()
        shown = bridge.call("reset", at=[0], seeds=[battle.seed.tolist()], teams=[teams])
        for index, actions in enumerate(battle.actions):
            choices = _choices(shown, actions, index, len(battle.actions))
            shown = bridge.call("step", actions=[choices])
        return list(_for_replays(bridge.call("log", index=0, final=False)["lines"]))


def _choices(shown: Mapping[str, Any], actions: np.ndarray, index: int, total: int) -> list[int]:
    """What both players choose at a decision, given what the battle shows there."""
    if decode(shown["winner"], "i1")[0] >= 0:
        raise ValueError(
            f"the battle ends after {index} of {total} decisions; keep actions[:{index}]"
        )
    asked = decode(shown["request"], "u1") > 0
    legal = decode(shown["legal"], "u1").reshape(NUM_PLAYERS, NUM_ACTIONS) > 0
    for player in np.flatnonzero(asked).tolist():
        action = int(actions[player])
        if action == NOTHING or not legal[player, action]:
            raise ValueError(
                f"actions[{index}, {player}] is {action}, legal are "
                f"{np.flatnonzero(legal[player]).tolist()}; another battle was recorded, or the "
                "seed or the teams are another's"
            )
    return np.where(asked, actions, NOTHING).tolist()


def _for_replays(lines: Iterable[str]) -> Iterator[str]:
    """Of what is told in two ways, the player's own; the other players see percentages."""
    rest = iter(lines)
    for line in rest:
        if line.startswith("|split|"):
            yield next(rest)
            next(rest)
        elif not line.startswith("|t:|"):
            yield line


# -- checks


def _checked_teams(teams: Teams) -> Teams:
    columns = {
        name: _integers(
            f"teams.{name}", getattr(teams, name), (NUM_PLAYERS, TEAM_SIZE, *shape), 0, largest
        ).astype(np.int16)
        for name, (largest, shape) in _TEAMS.items()
    }
    present, moves = columns["species"] > 0, columns["moves"] > 0
    if not present.any(axis=1).all():
        raise ValueError("a team has at least one Pokemon")
    if (present[:, 1:] > present[:, :-1]).any() or (moves[..., 1:] > moves[..., :-1]).any():
        raise ValueError("in teams 0 is none and comes last, among Pokemon and among moves")
    if ((columns["level"] == 0) | ~moves.any(axis=2))[present].any():
        raise ValueError("every Pokemon has a level and a move")
    return Teams(**columns)


def _integers(
    name: str, value: Any, shape: tuple[int | None, ...], low: int, high: int
) -> np.ndarray:
    """`value` as an array of this shape with entries low .. high; None is any length."""
    try:
        array = np.asarray(value)
    except (ValueError, OverflowError):  # lists of different lengths
        array = np.asarray(None)
    fits = len(array.shape) == len(shape) and all(
        expected in (None, length) for expected, length in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype.kind not in "iu":
        sizes = ", ".join("T" if length is None else str(length) for length in shape)
        raise ValueError(f"{name} is not an array of integers, [{sizes}]")
    if ((array < low) | (array > high)).any():
        raise ValueError(f"{name} has numbers outside of {low} .. {high}")
    return array


def _check_names(what: str, given: Iterable[str], expected: Iterable[str]) -> None:
    if wrong := set(given) ^ set(expected):
        raise ValueError(f"{what} has missing or unknown entries {sorted(wrong)}")

"""The teams of the scenarios, and how a scenario begins and is read.

Showdown's `Battle` asks no team what it may bring, so six Pokemon carry most of the moves that the
scenarios need. A move that no set has is placed as Mimic would have brought it.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...references.core import Outcome, Snapshot
from ...references.pokemon import Teams
from ..suite import Scenario, Variant

SCENARIO_VARIANT = Variant("scenarios")
GENGAR, HITMONLEE, DITTO, PIDGEOT, CHARIZARD, BEEDRILL = range(6)
CHANSEY = HITMONLEE
"""Slots of the teams; of the second one Chansey."""


class Roster(NamedTuple):
    """A team, and what Showdown makes of it: each with an entry for every slot."""

    species: tuple[int, ...] = (94, 106, 132, 18, 6, 15)
    level: tuple[int, ...] = (100, 80, 100, 100, 100, 100)
    moves: tuple[tuple[int, ...], ...] = (
        (95, 109, 101, 86),  # Hypnosis, Confuse Ray, Night Shade, Thunder Wave
        (136, 68, 164, 23),  # High Jump Kick, Counter, Substitute, Stomp
        (144, 0, 0, 0),  # Transform
        (143, 119, 38, 102),  # Sky Attack, Mirror Move, Double-Edge, Mimic
        (126, 63, 14, 153),  # Fire Blast, Hyper Beam, Swords Dance, Explosion
        (41, 42, 72, 59),  # Twineedle, Pin Missile, Mega Drain, Blizzard
    )
    pp: tuple[tuple[int, ...], ...] = (
        (32, 16, 24, 32),
        (32, 32, 16, 32),
        (16, 0, 0, 0),
        (8, 32, 24, 16),
        (8, 8, 48, 8),
        (32, 32, 16, 8),
    )
    types: tuple[tuple[int, ...], ...] = ((8, 4), (2, 0), (1, 0), (1, 3), (9, 3), (7, 4))
    max_hp: tuple[int, ...] = (323, 244, 299, 369, 359, 333)
    stats: tuple[tuple[int, ...], ...] = (
        (228, 218, 358, 358, 318),
        (271, 164, 135, 135, 218),
        (194, 194, 194, 194, 194),
        (258, 248, 238, 238, 280),
        (266, 254, 268, 268, 298),
        (258, 178, 188, 188, 248),
    )


_USUAL = Roster()
_PSYWAVE, _SOFTBOILED = (149, 109, 101, 86), (135, 105, 156, 150)
ROSTERS = (
    _USUAL,
    Roster(  # Gengar at level 1, and Chansey, that can miss 511 hit points
        species=(94, 113, *_USUAL.species[2:]),
        level=(1, 100, *_USUAL.level[2:]),
        moves=(_PSYWAVE, _SOFTBOILED, *_USUAL.moves[2:]),
        pp=((24, 16, 24, 32), (16, 32, 16, 61), *_USUAL.pp[2:]),
        types=((8, 4), (1, 0), *_USUAL.types[2:]),
        max_hp=(13, 703, *_USUAL.max_hp[2:]),
        stats=((7, 7, 8, 8, 8), (108, 108, 308, 308, 198), *_USUAL.stats[2:]),
    ),
)
"""The teams, by their numbers."""
ATTACK, DEFENSE, SPECIAL_ATTACK, SPECIAL_DEFENSE, SPEED, ACCURACY = range(6)
SLEEP, POISON, BURN, FREEZE, PARALYSIS = 1, 2, 3, 4, 5

VOLATILE_ORDER = (
    *("bide", "confusion", "defensecurl", "disable", "fakepartiallytrapped", "flinch"),
    *("focusenergy", "invulnerability", "leechseed", "lightscreen", "lockedmove", "minimize"),
    *("mist", "mustrecharge", "partiallytrapped", "partialtrappinglock", "rage", "reflect"),
    *("residualdmg", "substitute", "twoturnmove"),
)
"""Of the reference's field `volatiles`."""

TACKLE, RECOVER, SKY_ATTACK, NO_MOVE = 33, 105, 143, 166
IDLE = {3: RECOVER}
"""A move for the last place that fails at full health."""
STILL = {0: 150}
"""Splash, in the place that is also legal where there is no choice."""
REPLACE = 4
"""Plus a slot: the action that switches."""

_NUMBERS = {
    "substitute": "substitute_hp",
    "confusion": "confusion_time",
    "twoturnmove": "twoturnmove_move",
    "residualdmg": "residualdmg_counter",
}
_BY_FOE, _ASLEEP_FOR = 2, 3
_OF_POKEMON = frozenset(
    [
        *("hp", "max_hp", "status", "fainted", "sleep_time", "sleep_source", "species", "types"),
        *("transformed", "sub_fainted", "stored_stats", "modified_stats", "boosts", "moves", "pp"),
        *("base_pp", "virtual", "pokemon_last_move", "speed"),
    ]
)


def scenario_teams() -> Teams:
    return Teams.of(
        [roster.species for roster in ROSTERS],
        [roster.level for roster in ROSTERS],
        [roster.moves for roster in ROSTERS],
    )


# -- how it begins


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stand:
    """One side: who is active, and what is not as at the start of a battle.

    team: which of ROSTERS; moves, pp: of the active Pokemon by place; boosts, stats (after boosts):
    by statistic; volatiles: with the number that each keeps; bench: slot -> status; side: fields of
    the side.
    """

    slot: int
    team: int = 0
    hp: int | None = None
    status: int = 0
    sleep: int = _ASLEEP_FOR
    moves: Mapping[int, int] = dataclasses.field(default_factory=dict)
    pp: Mapping[int, int] = dataclasses.field(default_factory=dict)
    boosts: Mapping[int, int] = dataclasses.field(default_factory=dict)
    stats: Mapping[int, int] = dataclasses.field(default_factory=dict)
    volatiles: Mapping[str, int] = dataclasses.field(default_factory=dict)
    last_used: int = 0
    transformed: bool = False
    bench: Mapping[int, int] = dataclasses.field(default_factory=dict)
    alone: bool = False
    side: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def on(slot: int, **changes: Any) -> Stand:
    return Stand(slot=slot, **changes)


def placed(seed: int, first: Stand, second: Stand, **battle: int) -> dict[str, Any]:
    """What `Scenario.place` overwrites: the generator begins with words 0 and `seed`."""
    sides = [_side(stand) for stand in (first, second)]
    names = sides[0] | sides[1]
    nothing = {name: np.zeros_like(value) for name, value in names.items()}
    sides = [nothing | side for side in sides]
    both = {name: np.stack([side[name] for side in sides]) for name in names}
    return {**both, **battle, "seed": [0, seed], "episode_seed": 0}


def _side(stand: Stand) -> dict[str, np.ndarray]:
    roster, slot = ROSTERS[stand.team], stand.slot
    size = len(roster.species)
    order = [slot, *(other for other in range(size) if other != slot)]
    hp, status = np.array(roster.max_hp), np.zeros(size, int)
    if stand.alone:
        hp[order[1:]] = 0
    if stand.hp is not None:
        hp[slot] = stand.hp
    for other, code in {**stand.bench, slot: stand.status}.items():
        status[other] = code
    moves, pp, base_pp = np.array(roster.moves), np.array(roster.pp), np.array(roster.pp)
    virtual = np.zeros(moves.shape, bool)
    boosts, stats = np.zeros((size, 7), int), np.array(roster.stats)
    for place, number in stand.moves.items():
        moves[slot, place], virtual[slot, place] = number, True
    for place, left in stand.pp.items():
        pp[slot, place] = base_pp[slot, place] = left
    for index, stage in stand.boosts.items():
        boosts[slot, index] = stage
    for index, value in stand.stats.items():
        stats[slot, index] = value
    for other, code in stand.bench.items():
        if code == BURN:
            stats[other, ATTACK] //= 2  # as a switch leaves it
    there = [name in stand.volatiles for name in VOLATILE_ORDER]
    only = np.arange(size) == slot
    fields = {
        "team_index": stand.team,
        **{f"team_{name}": getattr(roster, name) for name in ("species", "level", "moves")},
        **{name: getattr(roster, name) for name in ("species", "types", "max_hp")},
        **dict.fromkeys(("base_stats", "stored_stats"), roster.stats),
        "speed": [stats[SPEED] for stats in roster.stats],
        "order": order,
        "hp": hp,
        "fainted": hp == 0,
        "pokemon_left": (hp > 0).sum(),
        "total_fainted": (hp == 0).sum(),
        "status": status,
        "sleep_time": np.where(status == SLEEP, np.where(only, stand.sleep, _ASLEEP_FOR), 0),
        "sleep_source": np.where(status == SLEEP, _BY_FOE, 0),
        "moves": moves,
        "pp": pp,
        "base_pp": base_pp,
        "virtual": virtual,
        "transformed": only & stand.transformed,
        "boosts": boosts,
        "modified_stats": stats,
        "pokemon_last_move": np.where(only, stand.last_used, 0),
        "volatiles": there,
        "volatile_order": np.where(there, np.cumsum(there), 0),
        "trapped": bool({"mustrecharge", "twoturnmove"} & stand.volatiles.keys()),
        **{field: stand.volatiles.get(name, 0) for name, field in _NUMBERS.items()},
        **dict.fromkeys(("last_move", "last_enemy_move", "last_selected_move_slot"), 0),
        **dict.fromkeys(("last_selected_move", "last_enemy_selected_move"), NO_MOVE),
        **stand.side,
    }
    return {name: np.asarray(value) for name, value in fields.items()}


# -- how it is read


class Active:
    """The active Pokemon of one player, and its side: the reference's fields by their names."""

    def __init__(self, snapshot: Snapshot, player: int) -> None:
        self._snapshot, self._player = snapshot, player
        self.slot = int(snapshot["order"][player, 0])

    def __getattr__(self, name: str) -> Any:
        value = self._snapshot[name][self._player]
        return value[self.slot] if name in _OF_POKEMON else value

    def has(self, volatile: str) -> bool:
        return bool(self.volatiles[VOLATILE_ORDER.index(volatile)])

    @property
    def lost(self) -> int:
        """Hit points below the maximum."""
        return int(self.max_hp - self.hp)


class Moment(NamedTuple):
    """What the reference showed after one step."""

    snapshot: Snapshot
    outcome: Outcome

    @property
    def first(self) -> Active:
        return Active(self.snapshot, 0)

    @property
    def second(self) -> Active:
        return Active(self.snapshot, 1)

    @property
    def tied(self) -> bool:
        """Whether the battle ended in a tie."""
        return bool(self.outcome.terminated) and not np.any(self.outcome.reward)


Moments = Sequence[Moment]


def scene(
    name: str,
    seed: int,
    first: Stand,
    second: Stand,
    actions: Sequence[tuple[int, int]],
    happened: Callable[[Moments], Any],
    **battle: int,
) -> Scenario:
    """A scenario that begins with `placed`; what happened is asked of the moments after each
    step."""

    def seen(steps: Sequence[tuple[Snapshot, Outcome]]) -> bool:
        return bool(happened([Moment(*step) for step in steps]))

    return Scenario(
        name, SCENARIO_VARIANT, placed(seed, first, second, **battle), list(actions), seen
    )

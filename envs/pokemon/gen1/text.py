"""A battle in words, nothing hidden. Runs on the host."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from .moves import NO_MOVE, STATUSES, STRUGGLE, data, with_flag
from .side import CONDITION, FLAGS, TRAP, from_bits
from .state import NUM_PLAYERS, ONGOING, TEAM_SIZE, TIE, Params, Request, State
from .teams import member

BOOSTS = ("attack", "defense", "sp. attack", "sp. defense", "speed", "accuracy", "evasion")
_REQUESTS = {
    Request.WAIT: "waits",
    Request.CHOOSE: "chooses",
    Request.REPLACE: "replaces a Pokemon that fainted",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Portrait:
    """One Pokemon; of a benched one what the battle keeps of it."""

    slot: int
    active: bool
    species: str
    level: int
    hp: int
    max_hp: int
    status: str  # "" none, else slp, psn, brn, frz, par, tox
    asleep: int  # turns left
    types: tuple[str, ...]
    moves: tuple[tuple[str, int], ...]  # names and PP
    boosts: Mapping[str, int]  # those that are not 0
    volatiles: tuple[str, ...]


def describe(state: State, params: Params) -> str:
    """One state, without batch axes, for people: turn, requests, and both sides.

    Raises ValueError for a batch.
    """
    teams = portraits(state, params)
    lines = [headline(state)]
    for player, team in enumerate(teams):
        lines += ["", f"player {player + 1} {_REQUESTS[int(state.request[player])]}"]
        for pokemon in sorted(team, key=lambda one: not one.active):
            lines += _lines(pokemon)
    return "\n".join(lines)


def headline(state: State) -> str:
    """The turn and, where the battle is over, how it ended."""
    winner = int(state.winner)
    endings = {ONGOING: "", TIE: ", a tie"}
    return f"turn {int(state.turn)}{endings.get(winner, f', player {winner + 1} won')}"


def portraits(state: State, params: Params) -> tuple[tuple[Portrait, ...], ...]:
    """Of both players the Pokemon of their teams, by slot. Raises ValueError for a batch."""
    if np.ndim(state.turn):
        raise ValueError(
            "this shows one battle and got a batch; take one with "
            "jax.tree.map(lambda x: x[0], state)"
        )
    state = jax.device_get(state)
    return tuple(_team(state, player, params) for player in range(NUM_PLAYERS))


def _team(state: State, player: int, params: Params) -> tuple[Portrait, ...]:
    rows = np.asarray(params.teams[state.team[player]])
    packed: Any = np.asarray(state.condition[player], np.int32)
    conditions = from_bits(packed, CONDITION)
    found = []
    for slot in range(TEAM_SIZE):
        own = member(rows[slot])
        if own.species == 0:
            continue
        active = bool(slot == state.order[player, 0])
        moves = state.moves[player] if active else own.moves
        pp = state.pp[player] if active else state.base_pp[player, slot]
        status = int(conditions["status"][slot])
        types = state.types[player] if active else own.types
        hp = int(state.hp[player, slot])
        names = _names()
        found.append(
            Portrait(
                slot=slot,
                active=active,
                species=names["species"][int(state.species[player] if active else own.species)],
                level=int(own.level),
                hp=hp,
                max_hp=int(own.max_hp),
                status=STATUSES[status] if hp else "",
                asleep=int(conditions["sleep_time"][slot]),
                types=tuple(names["types"][code] for code in dict.fromkeys(types.tolist()) if code),
                moves=tuple(
                    (names["moves"][code], left)
                    for code, left in zip(moves.tolist(), pp.tolist(), strict=True)
                    if code
                ),
                boosts=_boosts(state, player) if active else {},
                volatiles=_volatiles(state, player) if active else (),
            )
        )
    return tuple(found)


def _boosts(state: State, player: int) -> Mapping[str, int]:
    stages = state.boosts[player].tolist()
    return {name: stage for name, stage in zip(BOOSTS, stages, strict=True) if stage}


def _volatiles(state: State, player: int) -> tuple[str, ...]:
    packed: Any = np.asarray(state.flags[player], np.int32)
    bits: Any = np.asarray(state.trap[player], np.int32)
    flags = from_bits(packed, FLAGS)
    confusion, substitute = int(state.confusion[player]), int(state.substitute_hp[player])
    lock = int(state.lock[player])
    held = _names()["moves"].get(lock)
    disabled, toxic = int(state.disabled[player]), int(state.toxic[player])
    charges = lock in with_flag("charges")
    words = {
        f"confused for {confusion} turns": confusion > 0,
        f"substitute with {substitute} HP": substitute > 0,
        f"charging {held}": charges,
        f"held to {held}": lock > 0 and not charges,
        "has to recharge": flags["recharge"],
        "trapped": bool(from_bits(bits, TRAP)["trap_time"]),
        f"{_names()['moves'].get(disabled)} disabled": disabled > 0,
        f"Toxic's counter at {toxic - 1}": toxic > 0,
        "out of reach": flags["hidden"],
        "seeded": flags["seeded"],
        "Reflect": flags["reflect"],
        "Light Screen": flags["light_screen"],
        "Mist": flags["mist"],
        "Focus Energy": flags["focused"],
        "flinched": flags["flinch"],
        "transformed": flags["transformed"],
    }
    return tuple(text for text, holds in words.items() if holds)


def _lines(pokemon: Portrait) -> list[str]:
    health = f"{pokemon.hp}/{pokemon.max_hp} HP" if pokemon.hp else "fainted"
    status = f" {pokemon.status}" if pokemon.status else ""
    asleep = f" ({pokemon.asleep} turns left)" if pokemon.asleep else ""
    moves = ", ".join(f"{name} {pp}" for name, pp in pokemon.moves)
    boosts = [f"{name} {stage:+}" for name, stage in pokemon.boosts.items()]
    lines = [
        f"{'>' if pokemon.active else ' '} {pokemon.slot} {pokemon.species} L{pokemon.level} "
        f"({'/'.join(pokemon.types)})  {health}{status}{asleep}",
        f"      {moves}",
    ]
    if boosts or pokemon.volatiles:
        lines.append(f"      {', '.join([*boosts, *pokemon.volatiles])}")
    return lines


@functools.cache
def _names() -> Mapping[str, Mapping[int, str]]:
    """Of moves, species and types, by number."""
    names = {
        kind: {entry["num"]: entry["name"] for entry in data()[kind]}
        for kind in ("moves", "species", "types")
    }
    names["moves"] |= {STRUGGLE: "Struggle", NO_MOVE: "no move"}
    return names

"""Moves as rows of parameters: every move runs through the same code, and neutral parameters do
nothing.

Codes are the references': 0 none, 1..165 by number in the list of moves, 166 "no move", which a
thawed Pokemon uses that never chose one, 167 "cannot move", which one that is trapped selects.
"""

import functools
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

NO_MOVE, CANNOT_MOVE = 166, 167
NUM_CODES = 168
STRUGGLE, COUNTER, MIMIC, MIRROR_MOVE, TRANSFORM = 165, 68, 102, 119, 144
METRONOME, RAGE, BIDE = 118, 99, 117
FISSURE = 90
"""What "no move" is called once it was used."""

STATUSES = ("", "slp", "psn", "brn", "frz", "par", "tox", "fnt")
SLEEP, POISON, BURN, FREEZE, PARALYSIS, TOXIC, FAINTED = 1, 2, 3, 4, 5, 6, 7

STATUS_MOVE, PHYSICAL, SPECIAL = 0, 1, 2
LEVEL_DAMAGE, HALF_HP_DAMAGE, COUNTER_DAMAGE, PSYWAVE, KNOCKS_OUT, TWENTY, FORTY = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
)
TWO_HITS, TWO_TO_FIVE_HITS = 1, 2
HEAL_HALF, REST = 1, 2
NO_BOOST, ATTACK, DEFENSE, SPECIALS, SPEED, ACCURACY, EVASION = 0, 1, 2, 3, 4, 5, 6
DOUBLE, HALF, NONE = 1, 2, 3
"""Effectiveness against one type, 0 is whole."""

# What upstream keeps in a set of names and not with the moves (SKIP_LASTDAMAGE of the mod).
_KEEPS_LAST_DAMAGE = frozenset(
    [
        "confuseray",
        "conversion",
        "counter",
        "focusenergy",
        "glare",
        "haze",
        "leechseed",
        "lightscreen",
        "mimic",
        "mist",
        "poisongas",
        "poisonpowder",
        "recover",
        "reflect",
        "rest",
        "softboiled",
        "splash",
        "stunspore",
        "substitute",
        "supersonic",
        "teleport",
        "thunderwave",
        "toxic",
        "transform",
    ]
)
_BOOSTED = {
    ("atk",): ATTACK,
    ("def",): DEFENSE,
    ("spa", "spd"): SPECIALS,
    ("spe",): SPEED,
    ("accuracy",): ACCURACY,
    ("evasion",): EVASION,
}


class Move(NamedTuple):
    """A row, int32 [] or bool []; chances and accuracies are out of 256."""

    type: Array  # 1..15, 0 is typeless
    category: Array
    power: Array
    accuracy: Array  # 0 always hits
    priority: Array
    effectiveness: Array  # uint32, two bits a type
    multihit: Array
    fixed_damage: Array
    heal: Array
    recoil: Array  # the user loses 1 / (2 ** recoil) of the damage, 0 none
    status: Array  # inflicted
    boosted: Array  # which statistic
    boost: Array  # by how much, -2..2
    second_chance: Array  # of the second effect, 0..256
    second_status: Array
    second_boosted: Array
    second_boost: Array
    second_flinch: Array
    high_critical: Array
    to_self: Array
    keeps_last_damage: Array
    counterable: Array
    ignores_immunity: Array
    drains: Array
    self_destructs: Array
    recharges: Array
    charges: Array
    crashes: Array
    confuses: Array
    reflects: Array
    substitutes: Array
    mimics: Array
    transforms: Array
    mirrors: Array
    calls: Array  # any move at all
    hides: Array  # the user, while it charges
    finds: Array  # a target that hides
    thrashes: Array
    rages: Array
    bides: Array
    traps: Array
    eats_dreams: Array
    seeds: Array
    light_screens: Array
    mists: Array
    focuses: Array
    minimizes: Array
    hazes: Array
    disables: Array
    converts: Array
    curls: Array
    second_confuses: Array


# Of each field: bits, and what is added so that none is negative. Four words of 32 bits.
_LAYOUT: Sequence[Mapping[str, tuple[int, int]]] = (
    {"type": (4, 0), "category": (2, 0), "power": (8, 0), "accuracy": (8, 0), "priority": (2, 1)}
    | dict.fromkeys(("high_critical", "to_self", "keeps_last_damage", "counterable"), (1, 0))
    | dict.fromkeys(("ignores_immunity", "drains", "self_destructs"), (1, 0)),
    {"effectiveness": (32, 0)},
    {"multihit": (2, 0), "fixed_damage": (3, 0), "heal": (2, 0), "recoil": (2, 0)}
    | {"status": (3, 0), "boosted": (3, 0), "boost": (3, 2)}
    | dict.fromkeys(("recharges", "charges", "crashes", "confuses", "reflects"), (1, 0))
    | dict.fromkeys(("substitutes", "mimics", "transforms", "mirrors", "calls"), (1, 0))
    | dict.fromkeys(("hides", "finds", "seeds", "light_screens"), (1, 0)),
    {"second_chance": (9, 0), "second_status": (3, 0), "second_boosted": (3, 0)}
    | {"second_boost": (3, 2), "second_flinch": (1, 0), "second_confuses": (1, 0)}
    | dict.fromkeys(("thrashes", "rages", "bides", "traps", "eats_dreams", "mists"), (1, 0))
    | dict.fromkeys(("focuses", "minimizes", "hazes", "disables", "converts", "curls"), (1, 0)),
)
NUM_WORDS = len(_LAYOUT)


def unpack(words: Array) -> Move:
    """uint32 [NUM_WORDS] -> the row."""
    values = {}
    for word, fields in enumerate(_LAYOUT):
        shift = 0
        for name, (bits, offset) in fields.items():
            raw = words[word] >> np.uint32(shift)
            if bits < 32:
                raw = raw & np.uint32(2**bits - 1)
            shift += bits
            if name == "effectiveness":
                values[name] = raw
            elif bits == 1:
                values[name] = raw != np.uint32(0)
            else:
                values[name] = raw.astype(jnp.int32) - np.int32(offset)
    return Move(**values)


def effectiveness(move: Move, target_type: Array) -> Array:
    """Against one type, int32 []: 0 whole, DOUBLE, HALF, NONE. Type 0 is none."""
    shift = jnp.maximum(target_type - 1, 0).astype(jnp.uint32) * np.uint32(2)
    found = ((move.effectiveness >> shift) & np.uint32(3)).astype(jnp.int32)
    return jnp.where(target_type == 0, np.int32(0), found)


# -- the table


@functools.cache
def data() -> Mapping[str, Any]:
    """tables.json."""
    text = resources.files(__package__).joinpath("tables.json").read_text()
    return json.loads(text)


@functools.cache
def table() -> np.ndarray:
    """The packed rows, uint32 [NUM_CODES, NUM_WORDS]."""
    rows = np.zeros((NUM_CODES, NUM_WORDS), np.uint32)
    for move in data()["moves"]:
        rows[move["num"]] = _packed(_row(move))
    # Showdown's words: base power 102, typeless, special, 81/256 accurate in hundredths.
    rows[NO_MOVE] = _packed({"power": 102, "accuracy": 80, "category": SPECIAL})
    rows[CANNOT_MOVE] = _packed({})
    return rows


@functools.cache
def called() -> tuple[int, ...]:
    """The codes that Metronome chooses among, in its order."""
    return tuple(sorted(move["num"] for move in data()["moves"] if "metronome" in move))


@functools.cache
def with_flag(name: str) -> tuple[int, ...]:
    """The codes of the moves whose row has this flag."""
    return tuple(move["num"] for move in data()["moves"] if _row(move)[name])


def any_of(code: Array, codes: Sequence[int]) -> Array:
    """bool []"""
    found = jnp.zeros((), bool)
    for one in codes:
        found |= code == one
    return found


def _packed(row: Mapping[str, int]) -> list[int]:
    words = []
    for fields in _LAYOUT:
        word = shift = 0
        for name, (bits, offset) in fields.items():
            value = int(row.get(name, 0)) + offset
            assert 0 <= value < 2**bits, (name, value)
            word |= value << shift
            shift += bits
        assert shift <= 32
        words.append(word)
    return words


def _row(move: Mapping[str, Any]) -> dict[str, int]:
    ident, category = move["id"], ["Status", "Physical", "Special"].index(move["category"])
    accuracy, volatile = move["accuracy"], move.get("volatileStatus")
    of_user = move.get("self", {}).get("volatileStatus")
    row = {
        "type": move["type"] if move["type"] <= _NUM_TYPES else 0,
        # What Bide does when it is chosen is no attack.
        "category": STATUS_MOVE if ident == "bide" else category,
        "power": move["basePower"],
        "accuracy": 0 if accuracy is True else accuracy * 255 // 100,
        "priority": move["priority"],
        "effectiveness": _effectiveness_word(move["type"]),
        "multihit": {0: 0, 2: TWO_HITS}.get(_scalar(move.get("multihit", 0)), TWO_TO_FIVE_HITS),
        "fixed_damage": _fixed_damage(move),
        "heal": {"recover": HEAL_HALF, "softboiled": HEAL_HALF, "rest": REST}.get(ident, 0),
        "recoil": _recoil(move),
        "status": STATUSES.index(move.get("status", "")),
        "high_critical": move.get("critRatio", 1) == 2,
        "to_self": move["target"] == "self",
        "keeps_last_damage": ident in _KEEPS_LAST_DAMAGE,
        "counterable": move["type"] in _counterable_types() and move["basePower"] > 0,
        "ignores_immunity": move["ignoreImmunity"],
        "drains": "drain" in move,
        "self_destructs": "selfdestruct" in move,
        "recharges": of_user == "mustrecharge",
        "charges": move.get("charge", False),
        "crashes": ident in ("jumpkick", "highjumpkick"),
        "confuses": volatile == "confusion",
        "reflects": ident == "reflect",
        "substitutes": ident == "substitute",
        "mimics": ident == "mimic",
        "transforms": ident == "transform",
        "mirrors": ident == "mirrormove",
        "calls": ident == "metronome",
        "hides": ident in ("dig", "fly"),
        "finds": ident in ("swift", "transform"),
        "thrashes": of_user == "lockedmove",
        "rages": of_user == "rage",
        "bides": volatile == "bide",
        "traps": of_user == "partialtrappinglock",
        "eats_dreams": ident == "dreameater",
        "seeds": volatile == "leechseed",
        "light_screens": volatile == "lightscreen",
        "mists": volatile == "mist",
        "focuses": volatile == "focusenergy",
        "minimizes": volatile == "minimize",
        "hazes": ident == "haze",
        "disables": volatile == "disable",
        "converts": ident == "conversion",
        "curls": volatile == "defensecurl",
    }
    row["boosted"], row["boost"] = _boost(move.get("boosts"))
    for second in move.get("secondaries", ()):
        confuses = second.get("volatileStatus") == "confusion"
        row["second_confuses"] = confuses
        row["second_chance"] = -(-second["chance"] * 256 // 100) - confuses
        row["second_status"] = STATUSES.index(second.get("status", ""))
        row["second_flinch"] = second.get("volatileStatus") == "flinch"
        row["second_boosted"], row["second_boost"] = _boost(second.get("boosts"))
    return {name: int(value) for name, value in row.items()}


def _scalar(value: Any) -> int:
    return value if isinstance(value, int) else -1


def _fixed_damage(move: Mapping[str, Any]) -> int:
    named = {"superfang": HALF_HP_DAMAGE, "counter": COUNTER_DAMAGE, "psywave": PSYWAVE}
    if move.get("ohko"):
        return KNOCKS_OUT
    return {"level": LEVEL_DAMAGE, 20: TWENTY, 40: FORTY}.get(
        move.get("damage"), named.get(move["id"], 0)
    )


def _recoil(move: Mapping[str, Any]) -> int:
    numerator, denominator = move.get("recoil", (0, 1))
    return {0: 0, 2: 1, 4: 2}[denominator // numerator if numerator else 0]


def _boost(boosts: Mapping[str, int] | None) -> tuple[int, int]:
    if not boosts:
        return NO_BOOST, 0
    (amount,) = set(boosts.values())
    return _BOOSTED[tuple(boosts)], amount


def _counterable_types() -> set[int]:
    return {entry["num"] for entry in data()["types"] if entry["name"] in ("Normal", "Fighting")}


_NUM_TYPES = 15


def _effectiveness_word(move_type: int) -> int:
    word = 0
    for entry in data()["types"]:
        if entry["num"] == move_type:
            for target, found in entry["against"]:
                code = {1: DOUBLE, -1: HALF, None: NONE, 0: 0}[found]
                word |= code << (2 * (target - 1))
    return word

"""What is told of moves, and what they are worth, by hand."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from simlift.envs.pokemon.gen1.features import (
    EFFECTS,
    Fighter,
    base_stats,
    damage,
    move_features,
)
from simlift.envs.pokemon.gen1.moves import STATUSES
from simlift.envs.pokemon.gen1.observe import Moves

from .battles import NAME, NUMBER

CONDITIONS = ("burned", "paralysed", "dreams", "reflect", "light_screen", "hidden")
YES = jnp.ones((), bool)


def fighter(species: str, types: Sequence[str], **changes: Any) -> Fighter:
    """At level 100 and full health."""
    one = Fighter(
        level=jnp.int32(100),
        hp=jnp.float32(1),
        base_stats=jnp.asarray(base_stats()[NUMBER["species"][species]]),
        types=jnp.asarray([NUMBER["types"][name] for name in types], jnp.int32),
        stages=jnp.zeros(5, jnp.int32),
        **dict.fromkeys(CONDITIONS, jnp.zeros((), bool)),
    )
    return one._replace(**changes)


_damage = jax.jit(damage)


def worth(user: Fighter, move: str, target: Fighter) -> float:
    return float(_damage(user, jnp.asarray([NUMBER["moves"][move]], jnp.int32), target)[0])


TAUROS = fighter("Tauros", ["Normal", "Normal"])
STARMIE = fighter("Starmie", ["Water", "Psychic"])
GENGAR = fighter("Gengar", ["Ghost", "Poison"])
SNORLAX = fighter("Snorlax", ["Normal", "Normal"])


def test_damage_by_hand():
    """Tauros: attack 298, special 238; Starmie: 323 hit points, defense 268, special 298."""
    body_slam = (42 * 85 * 298 / 268 / 50 + 2) * 1.5 * (236 / 255) / 323 * 255 / 256
    assert worth(TAUROS, "Body Slam", STARMIE) == pytest.approx(body_slam, rel=1e-5)
    thunderbolt = (42 * 95 * 238 / 298 / 50 + 2) * 2 * (236 / 255) / 323 * 255 / 256
    assert worth(TAUROS, "Thunderbolt", STARMIE) == pytest.approx(thunderbolt, rel=1e-5)
    assert worth(TAUROS, "Body Slam", GENGAR) == 0
    assert worth(STARMIE, "Thunder Wave", TAUROS) == 0
    assert worth(TAUROS, "Counter", STARMIE) == 0
    assert worth(TAUROS, "Night Shade", STARMIE) == pytest.approx(100 / 323 * 255 / 256, rel=1e-5)
    weak = STARMIE._replace(hp=jnp.float32(0.5))
    assert worth(TAUROS, "Super Fang", weak) == pytest.approx(0.25 * 229 / 256, rel=1e-5)


def test_damage_of_moves_that_random_battles_lack():
    """Starmie's base speed is 115, Tauros' 110."""
    assert worth(TAUROS, "Dragon Rage", STARMIE) == pytest.approx(40 / 323 * 255 / 256, rel=1e-5)
    assert worth(TAUROS, "Sonic Boom", GENGAR) == pytest.approx(20 / 323 * 229 / 256, rel=1e-5)
    assert worth(TAUROS, "Psywave", STARMIE) == pytest.approx(75 / 323 * 204 / 256, rel=1e-5)
    assert worth(STARMIE, "Horn Drill", TAUROS) == pytest.approx(76 / 256)
    assert worth(TAUROS, "Horn Drill", STARMIE) == 0
    assert worth(TAUROS, "Horn Drill", STARMIE._replace(paralysed=YES)) == pytest.approx(76 / 256)
    slowed = jnp.asarray([0, 0, 0, 0, -1], jnp.int32)
    assert worth(TAUROS, "Horn Drill", STARMIE._replace(stages=slowed)) == pytest.approx(76 / 256)
    assert worth(TAUROS, "Horn Drill", GENGAR._replace(paralysed=YES)) == 0
    assert worth(GENGAR, "Dream Eater", TAUROS) == 0
    assert worth(GENGAR, "Dream Eater", TAUROS._replace(dreams=YES)) > 0.3
    away = TAUROS._replace(hidden=YES)
    assert worth(STARMIE, "Surf", away) == worth(STARMIE, "Seismic Toss", away) == 0
    assert worth(STARMIE, "Swift", away) == worth(STARMIE, "Swift", TAUROS) > 0
    for move in ("Bide", "Metronome", "Leech Seed", "Splash"):
        assert worth(TAUROS, move, STARMIE) == 0


def test_light_screen_halves_special_damage_alone():
    screened = TAUROS._replace(light_screen=YES)
    assert worth(STARMIE, "Surf", screened) == pytest.approx(
        worth(STARMIE, "Surf", TAUROS) / 2, rel=0.06
    )
    assert worth(STARMIE, "Tackle", screened) == worth(STARMIE, "Tackle", TAUROS)


def test_damage_that_is_more_than_there_is_counts_as_accuracy():
    strong = TAUROS._replace(stages=jnp.asarray([0, 6, 0, 0, 0], jnp.int32))
    assert worth(strong, "Hyper Beam", STARMIE) == pytest.approx(229 / 256, rel=1e-5)


@pytest.mark.parametrize(
    ("user", "target", "factor"),
    [
        ({"stages": jnp.asarray([0, 2, 0, 0, 0], jnp.int32)}, {}, 2),
        ({"burned": jnp.ones((), bool)}, {}, 1 / 2),
        ({}, {"reflect": jnp.ones((), bool)}, 1 / 2),
        ({}, {"stages": jnp.asarray([0, 0, -1, 0, 0], jnp.int32)}, 3 / 2),
    ],
)
def test_boosts_burn_and_reflect_change_damage(user, target, factor):
    plain = worth(SNORLAX, "Body Slam", SNORLAX)
    changed = worth(SNORLAX._replace(**user), "Body Slam", SNORLAX._replace(**target))
    assert changed == pytest.approx(plain * factor, rel=0.06)  # two points are there in any case


STATISTICS = ("attack", "defense", "special", "speed", "hit", "evade")


def told(move: str) -> dict[str, Any]:
    """What an observation tells of a move, but for zeros."""
    row = Moves(*(x[NUMBER["moves"][move]] for x in move_features()))
    named = {
        "type": NAME["types"][int(row.types.argmax()) + 1],
        "category": ["physical", "special"][int(row.category.argmax())]
        if row.category.any()
        else "",
        **{name: float(getattr(row, name)) for name in ("known", "power", "accuracy", "priority")},
        **dict(zip(STATUSES[1:7], row.inflicts.tolist(), strict=True)),
        **dict(zip(STATISTICS, row.boosts.tolist(), strict=True)),
        **dict(zip(EFFECTS, row.effects.tolist(), strict=True)),
    }
    return {name: value for name, value in named.items() if value}


@pytest.mark.parametrize(
    ("move", "expected"),
    [
        ("Body Slam", ("Normal", "physical", 85, 255, {"par": 77 / 256})),
        ("Thunder Wave", ("Electric", "", 0, 255, {"par": 1})),
        ("Psychic", ("Psychic", "special", 90, 255, {"special": -85 / 256 / 2})),
        ("Swords Dance", ("Normal", "", 0, 256, {"attack": 1})),
        ("Hyper Beam", ("Normal", "physical", 150, 229, {"recharges": 1})),
        ("Pin Missile", ("Bug", "physical", 3 * 14, 216, {})),
        ("Quick Attack", ("Normal", "physical", 40, 255, {"priority": 1})),
        ("Sky Attack", ("Flying", "physical", 140, 229, {"charges": 1})),
        ("Stomp", ("Normal", "physical", 65, 255, {"flinches": 77 / 256})),
        ("Confusion", ("Psychic", "special", 50, 255, {"confuses": 25 / 256})),
        ("Dig", ("Ground", "physical", 100, 255, {"charges": 1, "hides": 1})),
        ("Double Team", ("Normal", "", 0, 256, {"evade": 1 / 2})),
        ("Psywave", ("Psychic", "special", 1, 204, {"fixed_damage": 0.75})),
        ("Sonic Boom", ("Normal", "physical", 1, 229, {"fixed_damage": 0.2})),
        ("Fissure", ("Ground", "physical", 0, 76, {"knocks_out": 1})),
        ("Wrap", ("Normal", "physical", 15, 216, {"traps": 1})),
        ("Leech Seed", ("Grass", "", 0, 229, {"seeds": 1})),
        ("Toxic", ("Poison", "", 0, 216, {"tox": 1})),
        ("Splash", ("Normal", "", 0, 256, {})),
    ],
)
def test_what_is_told_of_a_move(move, expected):
    kind, category, power, accuracy, others = expected
    numbers = {"known": 1, "power": power / 256, "accuracy": accuracy / 256} | others
    wanted = {"type": kind, "category": category} | numbers
    found = told(move)
    assert found.keys() == {name for name, value in wanted.items() if value}
    for name, value in found.items():
        assert value == (pytest.approx(wanted[name]) if name in numbers else wanted[name])

"""Observations: the layout that is documented, what a reader of Showdown's log knows, no more."""

import functools
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.game import check_hidden
from simlift.envs.pokemon.gen1 import PokemonGen1, observe, pool
from simlift.envs.pokemon.gen1.features import (
    EFFECTS,
    Fighter,
    base_stats,
    damage,
    move_features,
)
from simlift.envs.pokemon.gen1.moves import SLEEP, STATUSES, data
from simlift.envs.pokemon.gen1.observe import Moves, Pokemon
from simlift.envs.pokemon.gen1.state import ONGOING, Draws, Params, State
from simlift.envs.pokemon.gen1.teams import WIDTH
from simlift.references.pokemon import Teams, VectorShowdown

from .battles import NUM_TEAMS, environment, moved, play

LEVEL, MAX_HP, STATS, MOVES, PP = (
    1,
    2,
    slice(3, 8),
    slice(WIDTH - 8, WIDTH - 4),
    slice(WIDTH - 4, WIDTH),
)
"""Columns of a team's row."""
NUM_BATTLES = 8
CAME_IN, ALL = 1 << 4, (1 << 30) - 1
"""Of the bits of `State.seen`: of one Pokemon, of a team."""
NUMBER = {
    kind: {entry["name"]: entry["num"] for entry in data()[kind]}
    for kind in ("moves", "species", "types")
}
NAME = {kind: {number: name for name, number in names.items()} for kind, names in NUMBER.items()}
FLINCHED = 2
"""Bit of `State.flags`."""


@functools.cache
def observed() -> Any:
    """One state -> float32 [2, N], compiled once."""
    params = environment().default_params
    return jax.jit(lambda state: observe.observe(state, params))


def view(*states: State) -> observe.View:
    """Fields [B, 2, ...] of numpy."""
    return observe.unpack(np.stack([observed()(state) for state in states]))


@pytest.fixture(scope="module")
def states() -> Sequence[State]:
    """Of all ages."""
    return [state for steps in (1, 15, 30) for state in play(NUM_BATTLES, steps)]


# -- the layout


def test_observations_lie_in_their_space(states):
    space = environment().observation_space()
    for state in states:
        assert all(space.contains(one) for one in np.asarray(observed()(state)))


def test_the_tables_of_fields_are_the_layout():
    shapes = observe.unpack(np.zeros((7, observe.OBSERVATION_SIZE), np.float32))
    assert sum(x.size for x in jax.tree.leaves(shapes)) == 7 * observe.OBSERVATION_SIZE
    sizes = {"S": 6, "M": 4}
    tables = re.split(r"\n\n\| `?(\w+)`? \| shape \| \|\n", observe.__doc__)[1:]
    rows = dict(zip(tables[::2], tables[1::2], strict=True))
    parts = {
        "field": shapes,
        "Pokemon": shapes.own,
        "Active": shapes.foe_active,
        "Moves": shapes.own_active.moves,
    }
    assert rows.keys() == parts.keys()
    for title, fields in parts.items():
        names = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (.*?) \|", rows[title], re.M)))
        assert tuple(names) == fields._fields
        shown = re.findall(r"^\| `(\w+)` \| \[(.*?)\] \|", rows[title], re.M)
        for name, text in shown:
            shape = tuple(int(sizes.get(n, n)) for n in re.findall(r"\w+", text))
            assert getattr(fields, name).shape == (7, *shape), (title, name)


def test_the_active_pokemon_is_one_of_the_team(states):
    seen = view(*states)
    for team, active in ((seen.own, seen.own_active), (seen.foe, seen.foe_active)):
        battle, player, slot = np.nonzero(team.active)
        assert len(slot) == 2 * len(states)
        for name in set(team._fields) & set(active._fields):
            np.testing.assert_array_equal(
                getattr(team, name)[battle, player, slot], getattr(active, name)[battle, player]
            )


def test_hit_points_are_exact_for_their_owner_and_in_percent_for_the_foe(states):
    state, teams = states[0], environment().default_params.teams
    slot = int(state.order[0, 0])
    most = int(teams[state.team[0], slot, MAX_HP])
    half = most // 2
    shown = {most: 1.0, most - 1: 0.99, half: -(-100 * half // most) / 100, 1: 0.01}
    for hp, percent in shown.items():
        seen = view(state.replace(hp=state.hp.at[0, slot].set(hp)))
        np.testing.assert_allclose(seen.own.hp[0, 0, slot], hp / most, rtol=1e-6)
        np.testing.assert_allclose(seen.foe.hp[0, 1, slot], percent, rtol=1e-6)
        np.testing.assert_allclose(seen.foe_active.hp[0, 1], percent, rtol=1e-6)


def test_a_pokemon_that_transformed_shows_what_it_is_now(states):
    """Whoever meets its own moves knows all of them."""
    state = states[0]
    params = environment().default_params
    mine, theirs = (int(state.order[player, 0]) for player in range(2))
    copied = {
        name: getattr(state, name).at[0].set(getattr(state, name)[1])
        for name in ("species", "types", "moves", "boosts")
    }
    seen = view(
        state.replace(**copied, pp=state.pp.at[0].set(5), flags=state.flags.at[0].set(0xF1))
    )
    np.testing.assert_array_equal(seen.foe.types[0, 1, mine], seen.own.types[0, 1, theirs])
    np.testing.assert_array_equal(
        seen.foe_active.base_stats[0, 1], seen.own_active.base_stats[0, 1]
    )
    for shown, own in zip(seen.foe_active.moves, seen.own_active.moves, strict=True):
        np.testing.assert_array_equal(shown[0, 1], own[0, 1])
    level = int(params.teams[state.team[0], mine, LEVEL])
    np.testing.assert_allclose(seen.foe_active.level[0, 1], level / 100, rtol=1e-6)


# -- what a move is worth


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


# -- what is hidden


def other_team(row: np.ndarray, seen: int, generator: np.random.Generator) -> np.ndarray:
    """A team that the other player could hold for this one, [6, W]: other Pokemon where none came
    in, other moves where none were announced, and other statistics."""
    row = row.copy()
    strangers = generator.permutation(
        np.asarray(environment().default_params.teams).reshape(-1, WIDTH)
    )
    moves = generator.permutation(np.unique(strangers[:, MOVES]))
    for slot in range(6):
        bits = seen >> (5 * slot)
        if not bits & CAME_IN:
            row[slot] = strangers[slot]
            continue
        row[slot, STATS] += 3
        for place in range(4):
            if not bits >> place & 1:
                row[slot, MOVES][place] = moves[4 * slot + place]
                row[slot, PP][place] = 40
    return row


def disguise(state: State, player: int, row: np.ndarray, index: int) -> State:
    """The state with another team of the foe's, [6, W] at this index, and everything else changed
    that `player` cannot know."""
    foe = 1 - player
    came = (int(state.seen[foe]) >> (5 * np.arange(6))) & CAME_IN > 0
    hp, most = np.asarray(state.hp[foe], int), row[:, MAX_HP].astype(int)
    same = (np.ceil(100 * hp / most) == np.ceil(100 * (hp - 1) / most)) & (hp > 1) & (hp < most)
    virtual = (int(state.flags[foe]) >> 4 >> np.arange(4)) & 1 == 1
    asleep = state.condition & 7 == SLEEP
    changed = {
        "team": index,
        "hp": np.where(came, hp - same, most),
        "moves": np.where(virtual, state.moves[foe], row[int(state.order[foe, 0]), MOVES]),
        "pp": state.pp[foe] // 2 + 1,
        "base_pp": state.base_pp[foe] // 2 + 1,
        "stored_stats": state.stored_stats[foe] + 5,
        "modified_stats": state.modified_stats[foe] + 7,
        "speed": state.speed[foe] + 1,
        "flags": state.flags[foe] ^ FLINCHED,
        "last_selected": state.last_selected[foe] ^ 1,
    }
    arrays = {name: getattr(state, name) for name in changed}
    return state.replace(
        **{name: x.at[foe].set(jnp.asarray(changed[name], x.dtype)) for name, x in arrays.items()},
        seed=state.seed ^ np.uint32(0xABCD),
        last_damage=state.last_damage + 1,
        # Hidden from both players: how long sleep and confusion last, and a substitute's health.
        condition=jnp.where(asleep, state.condition & 0b11000111 | 0b00101000, state.condition),
        confusion=jnp.where(state.confusion > 0, 7, state.confusion),
        substitute_hp=jnp.where(state.substitute_hp > 0, 99, state.substitute_hp),
    )


class Compiled(PokemonGen1):
    observe = jax.jit(PokemonGen1.observe, static_argnums=0)
    legal_actions = jax.jit(PokemonGen1.legal_actions, static_argnums=0)


@pytest.mark.parametrize("player", [0, 1])
def test_a_player_sees_nothing_that_showdown_hides(states, player):
    generator = np.random.default_rng(player)
    afflicted = states[0].replace(
        confusion=jnp.asarray([2, 3], jnp.uint8), substitute_hp=jnp.asarray([20, 30], jnp.uint8)
    )
    chosen = [*states[::3], afflicted]
    table = np.asarray(environment().default_params.teams)
    others = [
        other_team(table[state.team[1 - player]], int(state.seen[1 - player]), generator)
        for state in chosen
    ]
    params = Params(teams=jnp.asarray(np.concatenate([table, others])))
    game = Compiled(table)
    for i, state in enumerate(chosen):
        permute = functools.partial(disguise, player=player, row=others[i], index=NUM_TEAMS + i)
        check_hidden(game, state, permute, player, params)


def test_what_came_in_and_was_announced_is_shown(states):
    """And so it is the record of it that hides the rest."""
    state = states[0]
    hidden, shown = (
        view(state.replace(seen=jnp.full(2, bits, jnp.uint32))).foe for bits in (0, ALL)
    )
    assert (hidden.present == hidden.active).all()
    assert (hidden.pp == 0).all()
    assert (shown.present == 1).all()
    assert (shown.pp == 1).all()
    own = view(state).own
    np.testing.assert_array_equal(shown.types, own.types[:, ::-1])
    np.testing.assert_array_equal(shown.damage, own.damage[:, ::-1])


# -- what Showdown shows


class Reader:
    """What both players know who read the log of each other's teams: Pokemon by name, announced
    moves, percent and status; of those that fight, whether they are confused and so on."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.moves: list[dict[str, set[str]]] = [{}, {}]
        self.condition: list[dict[str, str]] = [{}, {}]
        self.volatiles: list[set[str]] = [set(), set()]
        self.active, self.transformed = ["", ""], [False, False]
        secret = False
        for line in lines:
            if not secret:
                self.read(line.split("|")[1:])
            # The line after |split| is its owner's alone.
            secret = line.startswith("|split|")

    def read(self, words: Sequence[str]) -> None:
        kind, *words = words or [""]
        if not words or not re.match(r"p[12]a: ", words[0]):
            return
        player, name = int(words[0][1]) - 1, words[0][5:]
        match kind:
            case "switch":
                self.active[player], self.volatiles[player] = name, set()
                self.transformed[player] = False
                self.moves[player].setdefault(name, set())
                self.condition[player][name] = words[2]
            case "move" if not self.transformed[player] and not self.called(words):
                self.moves[player][name].add(words[1])
            case "-damage" | "-heal":
                self.condition[player][name] = words[1]
            case "-status":
                percent = self.condition[player][name].split()[0]
                self.condition[player][name] = f"{percent} {words[1]}"
            case "-curestatus":
                self.condition[player][name] = self.condition[player][name].split()[0]
            case "faint":
                self.condition[player][name] = "0 fnt"
                self.volatiles[player] = set()
            case "-transform":
                self.transformed[player] = True
            case "-start":
                self.volatiles[player].add(words[1])
            case "-end":
                self.volatiles[player].discard(words[1])

    @staticmethod
    def called(words: Sequence[str]) -> bool:
        return any(word.startswith("[from]") for word in words)


@pytest.mark.reference
@pytest.mark.node
def test_observations_are_what_a_reader_of_showdowns_log_knows():
    params = environment().default_params
    with np.load(pool.PATH) as file:
        columns = {name: file[name][:NUM_TEAMS].astype(np.int16) for name in pool.COLUMNS}
    generator = np.random.default_rng(0)
    going = np.ones(NUM_BATTLES, bool)
    compared = 0
    with VectorShowdown(NUM_BATTLES, teams=Teams(**columns), log=True, processes=1) as showdown:
        outcome = showdown.reset(seed=3)
        words = showdown.draws().value[:, :4]
        draws = Draws(
            seed=jnp.asarray(words[:, :2], jnp.uint32),
            team=jnp.asarray(showdown.snapshot()["team_index"], jnp.int32),
        )
        states = jax.jit(jax.vmap(environment().initial, (0, None)))(draws, params)
        for step in range(48):
            chances = np.where(outcome.legal, generator.random(outcome.legal.shape), -1)
            actions = np.where(outcome.legal.any(-1), chances.argmax(-1), -1)
            outcome = showdown.step(actions)
            states = moved()(states, jnp.maximum(jnp.asarray(actions, jnp.int32), 0))
            going &= np.asarray(states.winner) == ONGOING
            for i in np.flatnonzero(going).tolist() if step % 6 == 5 else ():
                compare(Reader(showdown.log(i)), jax.tree.map(lambda x, i=i: x[i], states))
                compared += 1
    assert compared > 40


def compare(reader: Reader, state: State) -> None:
    seen = observe.unpack(np.asarray(observed()(state)))
    for player, viewer in ((0, 1), (1, 0)):
        foe = Pokemon(*(x[viewer] for x in seen.foe))
        team = np.asarray(environment().default_params.teams[state.team[player]])
        names = [NAME["species"][number] for number in team[:, 0]]
        known = reader.moves[player]
        assert {names[slot] for slot in np.flatnonzero(foe.present)} == known.keys()
        assert names[int(foe.active.argmax())] == reader.active[player]
        for name, moves in known.items():
            slot = names.index(name)
            health, status = [*reader.condition[player][name].split(), ""][:2]
            assert foe.hp[slot] == pytest.approx(int(health.split("/")[0]) / 100)
            shown = foe.status[slot] > 0
            assert [STATUSES[1 + i] for i in np.flatnonzero(shown)] == [status] * (
                status in STATUSES[1:7]
            )
            if not (reader.transformed[player] and foe.active[slot]):
                own = [NAME["moves"].get(number) for number in team[slot, MOVES]]
                assert [move in moves for move in own] == foe.pp[slot].tolist()
        confused, substitute = seen.foe_active.volatiles[viewer, :2]
        assert confused == ("confusion" in reader.volatiles[player])
        assert substitute == ("Substitute" in reader.volatiles[player])

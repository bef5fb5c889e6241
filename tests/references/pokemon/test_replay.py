"""Records of battles: what they refuse, and that Showdown plays JAX's battles to the same end."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.pokemon.gen1 import PokemonGen1, pool
from simlift.envs.pokemon.gen1.moves import data
from simlift.references.core import ReferenceUnavailable
from simlift.references.pokemon import (
    BattleRecord,
    Story,
    Teams,
    protocol_log,
    read_log,
    record,
)

BATCH, STEPS, ONGOING = 4, 300, -1

TEAMS = Teams.of(
    species=[[25, 143], [112, 94]],  # Pikachu, Snorlax; Rhydon, Gengar
    level=[[80, 70], [75, 76]],
    moves=[[[85, 86, 57, 69], [34, 63, 156, 0]], [[89, 157, 34, 14], [95, 94, 153, 101]]],
)
SHORT = BattleRecord(
    seed=np.array([1, 2]),
    teams=TEAMS,
    actions=np.array([[0, 0], [0, 1]]),
)


# -- files


def test_a_record_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "battle.json"
    path.write_text(SHORT.to_json())
    again = BattleRecord.load(path)
    assert again.to_json() == SHORT.to_json()
    assert (again.seed.dtype, again.actions.dtype) == (np.uint32, np.int8)
    np.testing.assert_array_equal(again.teams.moves, TEAMS.moves)


def test_a_battle_that_has_just_begun_has_no_actions() -> None:
    fresh = dataclasses.replace(SHORT, actions=np.zeros((0, 2), np.int8))
    assert BattleRecord.from_json(fresh.to_json()).actions.shape == (0, 2)


def test_any_integers_are_taken() -> None:
    again = BattleRecord(
        seed=jnp.array([1, 2], jnp.uint32),
        teams=Teams(**{n: getattr(TEAMS, n).astype(np.uint8) for n in TEAMS.__dataclass_fields__}),
        actions=np.array([[0, 0], [0, 1]], np.uint8),
    )
    assert again.to_json() == SHORT.to_json()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "tape"}, 'does not say "kind": "pokemon battle"; write it with to_json'),
        ({"version": 2}, "its version is 2, this simlift plays 1; record it anew"),
        ({"showdown": "0.11.9"}, "its showdown is '0.11.9', this simlift plays '0.11.11'"),
        ({"more": 1}, r"the record has missing or unknown entries \['more'\]"),
        ({"format": "gen1 ou"}, "format is 'gen1 ou', expected an id"),
        ({"format": 1}, "format is 1, expected an id"),
        ({"seed": [1]}, r"seed is not an array of integers, \[2\]"),
        ({"seed": [1, 2**32]}, "seed has numbers outside of 0 .. 4294967295"),
        ({"seed": [1, 2**64]}, "seed is not an array of integers"),
        ({"actions": [[0, 1], [0]]}, r"actions is not an array of integers, \[T, 2\]"),
        ({"actions": [[0, 1.5]]}, "actions is not an array of integers"),
        ({"actions": [[True, False]]}, "actions is not an array of integers"),
        ({"actions": None}, "actions is not an array of integers"),
        ({"actions": [[0, 10]]}, "actions has numbers outside of -1 .. 9"),
        ({"actions": [[0, -2]]}, "actions has numbers outside of -1 .. 9"),
        ({"teams": []}, "teams are an object of species, level, moves, evs, ivs"),
        ({"teams": {"species": []}}, r"teams has missing or unknown entries \['evs'"),
    ],
)
def test_a_file_that_is_wrong_says_how(change: dict[str, Any], said: str) -> None:
    data = json.loads(SHORT.to_json()) | change
    with pytest.raises(ValueError, match=said):
        BattleRecord.from_json(json.dumps(data))


def put(column: str, where: Any, value: int) -> Teams:
    """The teams with another number in a place."""
    changed = getattr(TEAMS, column).copy()
    changed[where] = value
    return dataclasses.replace(TEAMS, **{column: changed})


@pytest.mark.parametrize(
    ("teams", "said"),
    [
        (put("species", (0, 0), 152), "teams.species has numbers outside of 0 .. 151"),
        (put("level", (1, 1), 101), "teams.level has numbers outside of 0 .. 100"),
        (put("moves", (0, 0, 0), 166), "teams.moves has numbers outside of 0 .. 165"),
        (put("evs", (0, 0, 0), 256), "teams.evs has numbers outside of 0 .. 255"),
        (put("ivs", (0, 0, 0), -1), "teams.ivs has numbers outside of 0 .. 30"),
        (put("species", 1, 0), "a team has at least one Pokemon"),
        (put("species", (0, 0), 0), "0 is none and comes last"),
        (put("moves", (0, 0, 1), 0), "0 is none and comes last"),
        (put("level", (0, 1), 0), "every Pokemon has a level and a move"),
        (put("moves", (1, 1), 0), "every Pokemon has a level and a move"),
        (dataclasses.replace(TEAMS, level=TEAMS.level[:1]), r"teams.level .* \[2, 6\]"),
    ],
)
def test_teams_that_no_battle_has_are_refused(teams: Teams, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        dataclasses.replace(SHORT, teams=teams)


@pytest.mark.parametrize("text", ["", "[1", '{"kind": "pokemon battle"', "[" * 100_000])
def test_a_damaged_file_is_one_line_with_its_path(text: str, tmp_path: Path) -> None:
    path = tmp_path / "battle.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"battle\.json is no record of a battle: ") as caught:
        BattleRecord.load(path)
    assert "\n" not in str(caught.value)


def test_a_record_of_a_pool_names_a_team_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"team has numbers outside of 0 .. 1"):
        record(seed=SHORT.seed, teams=TEAMS, team=[0, 2], actions=SHORT.actions)


# -- battles


@dataclasses.dataclass(frozen=True)
class Played:
    """A battle of JAX's: its record, its last state, and Showdown's log of it."""

    record: BattleRecord
    last: dict[str, np.ndarray]
    log: list[str]

    @property
    def story(self) -> Story:
        return read_log(self.log)


@pytest.fixture(scope="module")
def played() -> list[Played]:
    """Battles between teams that come along, by players who choose at random, a move rather than
    a switch."""
    env = PokemonGen1()
    params = env.default_params

    @jax.jit
    def step(key: jax.Array, state: Any) -> Any:
        legal = jax.vmap(env.legal_actions, (0, None))(state, params)
        liking = jnp.where(np.arange(10) < 4, np.float32(1), np.float32(0.2))
        score = jax.random.uniform(key, legal.shape, minval=0.1) * liking[None, None]
        actions = jnp.where(legal, score, np.float32(-1)).argmax(-1).astype(jnp.int32)
        draws = env.sample_draws(key, jax.tree.map(lambda x: x[0], state), actions[0], params)
        advance = jax.vmap(lambda s, a: env.transition(s, a, draws, params)[0])
        return advance(state, actions), actions

    keys = jax.random.split(jax.random.key(1), BATCH)
    draws = jax.vmap(env.sample_reset_draws, (0, None))(keys, params)
    state = jax.jit(jax.vmap(env.initial, (0, None)))(draws, params)
    states, actions = [], []
    while len(states) < STEPS and not (states and (states[-1]["winner"] != ONGOING).all()):
        state, chosen = step(jax.random.fold_in(keys[0], len(states)), state)
        actions.append(np.asarray(chosen))
        states.append({n: np.asarray(getattr(state, n)) for n in ("winner", "hp", "turn")})
    with np.load(pool.PATH) as columns:
        teams = Teams(**columns)
    battles = []
    for i in range(BATCH):
        end = next(t for t, s in enumerate(states) if s["winner"][i] != ONGOING)
        made = record(
            seed=draws.seed[i],
            teams=teams,
            team=draws.team[i],
            actions=np.stack(actions)[: end + 1, i],
        )
        last = {name: value[i] for name, value in states[end].items()}
        battles.append(Played(made, last, protocol_log(made)))
    return battles


SPECIES = {entry["num"]: entry["name"] for entry in data()["species"]}


@pytest.mark.node
@pytest.mark.reference
def test_showdown_plays_our_battles_to_the_same_end(played: list[Played]) -> None:
    for battle in played:
        story = battle.story
        assert story.winner == battle.last["winner"]
        assert story.turns[-1].number == battle.last["turn"]
        assert (battle.record.actions >= 4).any(), "nobody ever switched"
        for player, side in enumerate(story.turns[-1].sides):
            team = battle.record.teams.species[player].tolist()
            hp = dict(zip((SPECIES[n] for n in team), battle.last["hp"][player], strict=True))
            assert {pokemon.name: pokemon.hp for pokemon in side.seen}.items() <= hp.items()
            unseen = hp.keys() - {pokemon.name for pokemon in side.seen}
            assert len(hp) == side.size and all(hp[name] > 0 for name in unseen)
    assert {battle.story.winner for battle in played} >= {0, 1}


POKEMON = r"p[12]a: [^|]+"
HEALTH = r"(\d+/\d+( (par|slp|psn|tox|brn|frz))?|0 fnt)"
GRAMMAR = {
    "player": r"p[12]\|p[12]\|\|",
    "teamsize": r"p[12]\|6",
    "gametype": "singles",
    "gen": "1",
    "tier": r"\[Gen 1\] Random Battle",
    "start": "",
    "upkeep": "",
    "switch": rf"{POKEMON}\|[^|,]+(, L\d+)?\|{HEALTH}",
    "move": rf"{POKEMON}\|[^|]+\|({POKEMON})?(\|\[\w+\][^|]*)*",
    "cant": rf"{POKEMON}\|\w+",
    "faint": POKEMON,
    "turn": r"\d+",
    "win": "p[12]",
    "tie": "",
    "-damage": rf"{POKEMON}\|{HEALTH}(\|\[\w+\][^|]*)*",
    "-heal": rf"{POKEMON}\|{HEALTH}(\|\[\w+\][^|]*)*",
}


@pytest.mark.node
@pytest.mark.reference
def test_the_log_is_one_that_showdowns_clients_read(played: list[Played]) -> None:
    for battle in played:
        log = battle.log
        assert all(re.fullmatch(r"\|([\w-]*(\|[^\n]*)?)?", line) for line in log)
        assert not any(line.startswith(("|split|", "|t:|")) for line in log)
        kinds = [line.split("|")[1] for line in log]
        for kind, line in zip(kinds, log, strict=True):
            if kind in GRAMMAR:
                assert re.fullmatch(GRAMMAR[kind], "|".join(line.split("|")[2:])), line
        for kind, count in {"player": 2, "teamsize": 2, "gen": 1, "tier": 1, "start": 1}.items():
            assert kinds.count(kind) == count
            assert kinds.index(kind) <= kinds.index("start")
        turns = [int(line.split("|")[2]) for line in log if line.startswith("|turn|")]
        assert turns == list(range(1, len(turns) + 1))
        assert kinds[-1] in ("win", "tie") and kinds.count(kinds[-1]) == 1
        assert kinds.index("switch") > kinds.index("start")


@pytest.mark.node
@pytest.mark.reference
def test_a_record_has_one_log(played: list[Played]) -> None:
    again = BattleRecord.from_json(played[0].record.to_json())
    assert protocol_log(again) == played[0].log


@pytest.mark.node
@pytest.mark.reference
def test_what_cannot_be_played_is_told(played: list[Played]) -> None:
    whole = played[0].record
    count = len(whole.actions)
    for actions, said in {
        "more": (
            np.concatenate([whole.actions, whole.actions[:2]]),
            rf"ends after {count} of {count + 2} decisions; keep actions\[:{count}\]",
        ),
        "no choice": (np.full((1, 2), -1), r"actions\[0, 0\] is -1, legal are \[0, 1, 2, 3"),
        "itself": (np.array([[0, 4]]), r"actions\[0, 1\] is 4, legal are \[0, 1, 2, 3, 5"),
    }.values():
        with pytest.raises(ValueError, match=said):
            protocol_log(dataclasses.replace(whole, actions=actions))
    with pytest.raises(ValueError, match="gen4ou is not a singles format of generation 1"):
        protocol_log(dataclasses.replace(whole, format="gen4ou"))


@pytest.mark.node
@pytest.mark.reference
def test_a_battle_may_be_undecided(played: list[Played]) -> None:
    whole = played[0]
    first = dataclasses.replace(whole.record, actions=whole.record.actions[:3])
    log = protocol_log(first)
    assert log == whole.log[: len(log)]
    assert read_log(log).ending == f"undecided in turn {read_log(log).turns[-1].number}"


def test_without_node_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ReferenceUnavailable, match=r"install Node.js 20 or newer"):
        protocol_log(SHORT)

"""The teams that come along, and teams of one's own: Showdown's numbers, in Showdown's pairs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.envs.pokemon.gen1 import PokemonGen1, moves, pool, rows
from simlift.envs.pokemon.gen1.teams import WIDTH, member
from simlift.references.pokemon import VectorShowdown, tables
from simlift.references.pokemon import pool as exported

NUM_TEAMS = 16_384
DITTO, TAUROS = 132, 128
BODY_SLAM, REST, TOXIC = 34, 156, 92
MEWTWO, MEW = 150, 151
BANNED = [91, 19, 104, 107, 12, 32, 90]
"""Of gen1ou: Dig, Fly, Double Team, Minimize, Guillotine, Horn Drill, Fissure."""
TEAM: dict[str, Any] = {
    "species": [[TAUROS]],
    "level": [[74]],
    "moves": [[[BODY_SLAM, REST, 0, 0]]],
}


def fields(teams: np.ndarray) -> Any:
    """Members of all teams, fields [N, 6] or [N, 6, n]."""
    columns: Any = np.moveaxis(teams, -1, 0)
    by_field = member(columns)
    return by_field._replace(
        **{
            name: np.moveaxis(getattr(by_field, name), 0, -1)
            for name in ("stats", "types", "moves", "pp")
        }
    )


# -- what comes along


def test_every_team_is_six_different_pokemon_with_moves() -> None:
    teams = pool.shipped()
    assert (teams.shape, teams.dtype) == ((NUM_TEAMS, 6, WIDTH), np.int16)
    assert not teams.flags.writeable and pool.shipped() is teams
    team = fields(teams)
    assert (np.diff(np.sort(team.species, axis=1), axis=1) > 0).all()
    assert team.species.min() >= 1 and team.species.max() <= 151
    assert (team.moves[..., 0] > 0).all()
    assert ((team.pp > 0) == (team.moves > 0)).all()
    assert len(np.unique(team.species)) == 146 and len(np.unique(team.moves)) == 1 + 67


def test_two_of_a_battle_share_at_most_one_ditto() -> None:
    dittos = (fields(pool.shipped()).species == DITTO).sum(axis=1)
    assert dittos.reshape(-1, 2).sum(axis=1).max() == 1
    assert dittos.reshape(-1, 2).any(axis=0).all()


def test_teams_of_a_pool_are_not_repeated() -> None:
    assert len(np.unique(pool.shipped(), axis=0)) == NUM_TEAMS


@pytest.mark.reference
@pytest.mark.node
@pytest.mark.parametrize(
    "format, shipped", [("gen1randombattle", pool.shipped), ("gen1ou", pool.gen1ou)]
)
def test_pools_are_what_showdown_makes_of_their_seed(
    format: str, shipped: Callable[[], np.ndarray]
) -> None:
    first = exported.pool(num_pairs=2, seed=0, format=format)
    assert all(column.dtype == np.uint8 for column in first.values())
    np.testing.assert_array_equal(rows(**first), shipped()[:4])


@pytest.mark.reference
@pytest.mark.node
def test_an_exported_file_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "pool.npz"
    exported.main([str(path), "--pairs", "1", "--seed", "7"])
    teams = pool.load(path)
    assert teams.shape == (2, 6, WIDTH)
    assert not (teams == pool.shipped()[:2]).all()
    np.testing.assert_array_equal(PokemonGen1(teams).default_params.teams, teams)


@pytest.mark.parametrize("arguments", [["--pairs", "0"], ["--seed", "-1"]])
def test_counts_out_of_range_are_refused(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        exported.main([str(tmp_path / "pool.npz"), *arguments])
    assert f"{arguments[0]} is at least" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# -- the same numbers as Showdown's


@pytest.mark.reference
@pytest.mark.node
def test_tables_are_what_showdown_says_now(repository: Path) -> None:
    path = repository / "envs" / "pokemon" / "gen1" / "tables.json"
    assert path.read_text() == tables.tables(), "write it with simlift.references.pokemon.tables"


@pytest.mark.reference
@pytest.mark.node
def test_a_team_begins_with_the_numbers_of_showdowns() -> None:
    with VectorShowdown(8, processes=1) as reference:
        reference.reset(seed=3)
        theirs = reference.snapshot()
    names = ("species", "level", "moves", "evs", "ivs")
    teams = [rows(*(theirs[f"team_{name}"][:, player] for name in names)) for player in (0, 1)]
    ours = fields(np.stack(teams, axis=1).reshape(-1, 6, WIDTH))
    for name, wanted in (
        ("max_hp", "max_hp"),
        ("max_hp", "hp"),
        ("stats", "base_stats"),
        ("types", "types"),
        ("moves", "moves"),
        ("pp", "pp"),
        ("species", "species"),
    ):
        expected = theirs[wanted].reshape(16, *theirs[wanted].shape[2:])
        np.testing.assert_array_equal(getattr(ours, name), expected, err_msg=wanted)


# -- one's own


def test_teams_of_ones_own_may_be_small_and_are_maximal_unless_told() -> None:
    teams = rows(**TEAM)
    team = fields(teams)
    assert (team.species[0] > 0).tolist() == [True] + 5 * [False]
    evs = np.full((1, 1, 6), 255)
    np.testing.assert_array_equal(teams, rows(**TEAM, evs=evs, ivs=np.full((1, 1, 6), 30)))
    weaker = fields(rows(**TEAM, evs=0 * evs))
    assert weaker.max_hp[0, 0] < team.max_hp[0, 0] and (weaker.stats <= team.stats).all()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.astype(np.float32), r"int16 \[N, 6, 20\].*these are float32\[2, 6, 20\]"),
        (lambda t: t[0], r"these are int16\[6, 20\]"),
        (lambda t: t[..., 1:], r"these are int16\[2, 6, 19\]"),
        (lambda t: t[:0], r"these are int16\[0, 6, 20\]"),
        (lambda t: "ou", r"these are <U2\[\]"),
        (lambda t: np.where(t == TAUROS, 152, t), r"species is not in 0 \.\. 151"),
        (lambda t: np.where(t == 74, 101, t), r"level is not in 0 \.\. 100"),
        (lambda t: np.where(t == BODY_SLAM, -1, t), r"moves is not in 0 \.\. 167"),
        (lambda t: t[:, ::-1], "no Pokemon in its first place"),
    ],
)
def test_what_is_no_array_of_teams_is_told(
    change: Callable[[np.ndarray], Any], complaint: str
) -> None:
    teams = np.concatenate([rows(**TEAM)] * 2)
    with pytest.raises(ValueError, match=complaint):
        PokemonGen1(change(teams))


def test_a_file_that_is_no_pool_is_told(tmp_path: Path) -> None:
    other, text = tmp_path / "other.npz", tmp_path / "text.npz"
    np.savez(other, species=np.zeros(3))
    text.write_text("Tauros")
    for path in (other, text):
        with pytest.raises(ValueError, match=r"is no pool of teams, .*write one with python -m"):
            pool.load(path)
    with pytest.raises(OSError, match="No such file"):
        pool.load(tmp_path / "gone.npz")


def test_gen1ou_has_legal_teams_of_four_moves_each() -> None:
    teams = pool.gen1ou()
    assert (teams.shape, teams.dtype) == ((2048, 6, WIDTH), np.int16)
    team = fields(teams)
    assert not np.isin(team.species, [0, MEWTWO, MEW, DITTO]).any() and (team.level == 100).all()
    assert (np.diff(np.sort(team.moves, axis=-1), axis=-1) > 0).all() and (team.moves > 0).all()
    brought = np.unique(team.moves)
    assert len(brought) == 156 and not np.isin(brought, BANNED).any()


def test_every_move_of_the_pool_is_there() -> None:
    brought = np.unique(fields(pool.shipped()).moves)
    entries = [move for move in moves.data()["moves"] if move["num"] in brought]
    assert len(entries) == 67

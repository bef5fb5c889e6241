"""Observations hold what a reader of Showdown's log knows, and no more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.pokemon.gen1 import observe, pool, rows
from simlift.envs.pokemon.gen1.moves import STATUSES
from simlift.envs.pokemon.gen1.observe import Pokemon
from simlift.envs.pokemon.gen1.state import ONGOING, Draws, Params, State
from simlift.references.pokemon import Teams, VectorShowdown

from .battles import MOVES, NAME, NUM_TEAMS, environment, moved, observed
from .reader import Reader

NUM_BATTLES = 8
RARE = "moves that random battles lack"
HAD = {
    "random battles": {"confusion", "transformed", "reflect", "recharge"},
    RARE: {*observe.VOLATILES} - {"substitute", "reflect", "recharge", "transformed"},
}
"""Volatiles that come up."""


def some_teams(kind: str) -> Teams:
    with np.load(pool.PATH) as file:
        columns = {name: file[name].astype(np.int16) for name in pool.COLUMNS}
    if kind != RARE:
        return Teams(**{name: column[:NUM_TEAMS] for name, column in columns.items()})
    generator = np.random.default_rng(0)
    codes = np.setdiff1d(np.arange(1, 165), columns["moves"])
    species, moves = (
        generator.permuted(np.tile(numbers, (NUM_TEAMS, *axes, 1)), axis=-1)
        for numbers, axes in ((np.arange(1, 152), ()), (codes, (6,)))
    )
    return Teams.of(species[:, :6], np.full((NUM_TEAMS, 6), 100), moves[..., :4])


@pytest.mark.reference
@pytest.mark.node
@pytest.mark.parametrize("kind", ["random battles", RARE])
def test_observations_are_what_a_reader_of_showdowns_log_knows(kind):
    teams = some_teams(kind)
    table = rows(teams.species, teams.level, teams.moves, teams.evs, teams.ivs)
    params = Params(teams=jnp.asarray(table))
    generator = np.random.default_rng(0)
    going = np.ones(NUM_BATTLES, bool)
    compared, had = 0, set()
    format = "gen1ou" if kind == RARE else "gen1randombattle"
    with VectorShowdown(NUM_BATTLES, teams=teams, format=format, log=True, processes=1) as showdown:
        outcome = showdown.reset(seed=3)
        words = showdown.draws().value[:, :4]
        draws = Draws(
            seed=jnp.asarray(words[:, :2], jnp.uint32),
            team=jnp.asarray(showdown.snapshot()["team_index"], jnp.int32),
        )
        states = jax.jit(jax.vmap(environment().initial, (0, None)))(draws, params)
        for step in range(64):
            chances = generator.random(outcome.legal.shape) * np.repeat([1, 0.7], [4, 6])
            actions = np.where(outcome.legal, chances, -1).argmax(-1)
            actions = np.where(outcome.legal.any(-1), actions, -1)
            outcome = showdown.step(actions)
            states = moved()(states, jnp.maximum(jnp.asarray(actions, jnp.int32), 0), params)
            going &= np.asarray(states.winner) == ONGOING
            for i in np.flatnonzero(going).tolist() if step % 2 else ():
                state = jax.tree.map(lambda x, i=i: x[i], states)
                had |= compare(Reader(showdown.log(i)), state, params)
                compared += 1
    assert compared > 100
    assert had >= HAD[kind]


def compare(reader: Reader, state: State, params: Params) -> set[str]:
    """Returns the volatiles that somebody had."""
    had = set()
    seen = observe.unpack(np.asarray(observed()(state, params)))
    for player, viewer in ((0, 1), (1, 0)):
        foe = Pokemon(*(x[viewer] for x in seen.foe))
        team = np.asarray(params.teams[state.team[player]])
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
            if not ("transformed" in reader.volatiles[player] and foe.active[slot]):
                own = [NAME["moves"].get(number) for number in team[slot, MOVES]]
                named = {reader.disabled[player]} if foe.active[slot] else set()
                assert [move in moves | named for move in own] == foe.pp[slot].tolist()
        fights = seen.foe_active
        found = dict(zip(observe.VOLATILES, fights.volatiles[viewer].tolist(), strict=True))
        traps = dict.fromkeys(("trapping", "trapped"), 0.0)
        alive = (seen.own_active.hp > 0).all()
        for title, wraps in zip(traps, (reader.wraps[player], reader.wraps[viewer]), strict=True):
            traps[title] = [0, 1, 0.5, 0.5, 0.5, 0][wraps] * alive
        expected = {name: float(name in reader.volatiles[player]) for name in found} | traps
        assert found == expected
        had |= {name for name, value in found.items() if value}
        assert fights.toxic[viewer] == pytest.approx(min(reader.toxic[player] / 16, 1))
        codes = np.asarray(state.moves[player])[fights.disabled[viewer] > 0]
        assert {NAME["moves"][code] for code in codes.tolist()} == {reader.disabled[player]} - {""}
    return had

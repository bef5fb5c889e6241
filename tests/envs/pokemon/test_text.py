"""A battle in words and as a picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.pokemon.gen1.moves import FAINTED, PARALYSIS, SLEEP, data
from simlift.envs.pokemon.gen1.render import BACKGROUND, HEIGHT, LOW, WIDTH
from simlift.envs.pokemon.gen1.state import TIE, Request, State
from simlift.envs.pokemon.gen1.text import describe, portraits

from .battles import environment

MOVE = {entry["name"]: entry["num"] for entry in data()["moves"]}
TRANSFORMED, RECHARGE, SEEDED, LIGHT_SCREEN = 1, 4, 1 << 8, 1 << 9


@pytest.fixture(scope="module")
def start() -> State:
    return environment().reset(jax.random.key(0))[1]


def words(state: State) -> str:
    return describe(state, environment().default_params)


def test_a_battle_begins(start):
    params = environment().default_params
    text = words(start)
    assert text.startswith("turn 1\n\nplayer 1 chooses\n> 0 ")
    assert "\nplayer 2 chooses\n> 0 " in text
    for player, team in enumerate(portraits(start, params)):
        rows = np.asarray(params.teams[start.team[player]])
        assert [pokemon.level for pokemon in team] == rows[:, 1].tolist()
        assert [pokemon.hp for pokemon in team] == rows[:, 2].tolist()
        for pokemon in team:
            line = f"{pokemon.slot} {pokemon.species} L{pokemon.level}"
            assert line in text
            assert f"{pokemon.hp}/{pokemon.max_hp} HP" in text
            assert ", ".join(f"{name} {pp}" for name, pp in pokemon.moves) in text


def test_what_happened_to_a_pokemon_is_told(start):
    state = start.replace(
        order=start.order.at[0].set(jnp.asarray([2, 1, 0, 3, 4, 5], jnp.uint8)),
        hp=start.hp.at[0, 0].set(0).at[1, 0].set(7),
        condition=start.condition.at[0, 1].set(SLEEP + 8 * 3).at[1, 0].set(PARALYSIS),
        boosts=start.boosts.at[1].set(jnp.asarray([2, 0, -1, -1, 0, 0, 0], jnp.int8)),
        confusion=start.confusion.at[1].set(3),
        substitute_hp=start.substitute_hp.at[1].set(41),
        lock=start.lock.at[1].set(MOVE["Sky Attack"]),
        flags=start.flags.at[1].set(TRANSFORMED | RECHARGE),
    )
    first, second = words(state).split("\nplayer 2")
    assert first.splitlines()[3].startswith("> 2 ")
    assert "fainted" in first.splitlines()[5]
    assert "HP slp (3 turns left)" in first
    assert "  7/" in second
    assert "HP par" in second
    assert "attack +2, sp. attack -1, sp. defense -1, confused for 3 turns" in second
    assert "substitute with 41 HP, charging Sky Attack, has to recharge, transformed" in second


def test_what_only_some_moves_do_is_told(start):
    state = start.replace(
        lock=start.lock.at[0].set(MOVE["Thrash"]),
        toxic=start.toxic.at[0].set(3),
        disabled=start.disabled.at[0].set(MOVE["Surf"]),
        flags=start.flags.at[0].set(SEEDED | LIGHT_SCREEN),
    )
    told = "held to Thrash, Surf disabled, Toxic's counter at 2, seeded, Light Screen"
    assert told in words(state).split("\nplayer 2")[0]


@pytest.mark.parametrize(
    ("winner", "told"), [(0, ", player 1 won"), (1, ", player 2 won"), (TIE, ", a tie")]
)
def test_the_end_is_told(start, winner, told):
    over = start.replace(
        winner=jnp.int8(winner), turn=jnp.int16(33), request=jnp.full(2, Request.WAIT, jnp.uint8)
    )
    assert words(over).splitlines()[0] == f"turn 33{told}"
    assert "player 1 waits" in words(over)


def test_one_battle_at_a_time(start):
    batch = jax.tree.map(lambda x: x[None], start)
    with pytest.raises(ValueError, match=r"take one with jax\.tree\.map"):
        words(batch)
    with pytest.raises(ValueError, match="this shows one battle"):
        environment().render(batch)


def test_a_picture_shows_health(start):
    env = environment()
    picture = env.render(start)
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert picture.dtype == np.uint8
    assert (picture[0, 0] == BACKGROUND).all()
    hurt = env.render(start.replace(hp=start.hp.at[0, 0].set(1)))
    changed = np.argwhere((picture != hurt).any(-1))
    assert (hurt[tuple(changed.T)] == LOW).all(-1).any()
    assert (changed[:, 1] < WIDTH // 2).all()


def test_every_ill_pokemon_can_be_drawn(start):
    pictures = [
        environment().render(start.replace(condition=jnp.full((2, 6), status, jnp.uint8)))
        for status in range(FAINTED)
    ]
    assert len({picture.tobytes() for picture in pictures}) == FAINTED

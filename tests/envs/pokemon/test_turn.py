"""The parts of a turn by themselves: the generator, rows of moves, what the program is made of."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlift.envs.pokemon.gen1 import PokemonGen1, battle, generator, moves
from simlift.envs.pokemon.gen1.damage import scale

WORDS = st.integers(0, 2**32 - 1)


@jax.jit
def rolled(high: Any, low: Any, wanted: Any) -> Any:
    dice, value = generator.draw(generator.start(high, low), "accuracy", 39, wanted)
    return dice.high, dice.low, value, generator.counts(dice)


@given(WORDS, WORDS, st.booleans())
def test_the_generator_is_showdowns(high: int, low: int, wanted: bool) -> None:
    word_high, word_low, value, counts = rolled(np.uint32(high), np.uint32(low), wanted)
    state = (high << 32) | low
    after = (state * 0x5D588B656C078965 + 0x269EC3) % 2**64
    expected = after if wanted else state
    assert (int(word_high) << 32) | int(word_low) == expected
    if wanted:
        assert int(value) == (after >> 32) * 39 // 2**32
    drew = {site: int(n) for site, n in zip(generator.SITES, counts, strict=True) if n}
    assert drew == ({"accuracy": 1} if wanted else {})


def test_rows_say_what_the_table_says() -> None:
    rows = jax.vmap(moves.unpack)(jnp.asarray(moves.table()))
    by_name = {move["id"]: move["num"] for move in moves.data()["moves"]}

    def row(name: str) -> dict[str, Any]:
        return {field: value[by_name[name]].item() for field, value in rows._asdict().items()}

    assert row("blizzard")["power"] == 120
    assert row("blizzard")["accuracy"] == 229  # 90 % of 255
    assert row("blizzard")["second_chance"] == 26  # 10 % of 256, upward
    assert row("counter")["priority"] == -1
    assert row("quickattack")["priority"] == 1
    assert row("psychic")["second_boosted"] == moves.SPECIALS
    assert row("psychic")["second_boost"] == -1
    assert row("swordsdance")["to_self"] and row("swordsdance")["boost"] == 2
    assert row("hyperbeam")["recharges"] and not row("surf")["recharges"]
    assert row("bind")["traps"] and row("bind")["power"] == 15
    assert row("psybeam")["second_confuses"] and row("psybeam")["second_chance"] == 25
    assert row("bide")["category"] == moves.STATUS_MOVE and row("bide")["type"] == 0
    assert [row(name)["fixed_damage"] for name in ("sonicboom", "dragonrage", "fissure")] == [
        *(moves.TWENTY, moves.FORTY, moves.KNOCKS_OUT),
    ]
    assert len(moves.called()) == 163 and moves.METRONOME not in moves.called()


@pytest.mark.parametrize("hit, target, code", [("surf", 9, 1), ("surf", 11, 2), ("bodyslam", 8, 3)])
def test_effectiveness_is_by_type(hit: str, target: int, code: int) -> None:
    number = next(move["num"] for move in moves.data()["moves"] if move["id"] == hit)
    row = moves.unpack(jnp.asarray(moves.table()[number]))
    assert int(moves.effectiveness(row, jnp.int32(target))) == code
    assert int(moves.effectiveness(row, jnp.int32(0))) == 0


def test_stages_round_as_upstreams_floats_do() -> None:
    numerators = [25, 28, 33, 40, 50, 66, 100, 150, 200, 250, 300, 350, 400]
    values = np.arange(1024, dtype=np.int32)
    for stage, numerator in enumerate(numerators, -6):
        ours = scale(jnp.asarray(values), jnp.full(values.shape, stage, jnp.int32))
        np.testing.assert_array_equal(ours, np.floor(values * (numerator / 100)))


def test_a_turn_is_arithmetic_alone() -> None:
    """No place that only the data knows, no branches, nothing wider than 32 bits, no floats."""
    env = PokemonGen1(kernel="jnp")
    state = env.reset(jax.random.key(0))[1]
    found: set[str] = set()
    widths: set[Any] = set()

    def look(jaxpr: Any) -> None:
        for equation in jaxpr.eqns:
            found.add(equation.primitive.name)
            widths.update(value.aval.dtype for value in equation.outvars)
            for inner in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
            ):
                if hasattr(getattr(inner, "jaxpr", inner), "eqns"):
                    look(getattr(inner, "jaxpr", inner))

    state, choices = battle._choose(state, jnp.zeros(2, jnp.int32))
    table = env.default_params.teams
    rows = tuple(battle._look_up(state, p, choices[p].slot, table) for p in (0, 1))
    look(jax.make_jaxpr(battle._turn)(state, choices, rows).jaxpr)
    assert not {name for name in found if "gather" in name or "scatter" in name}
    assert not found & {"cond", "sort", "dynamic_slice", "dynamic_update_slice"}
    assert all(np.dtype(dtype).kind in "biu" and dtype.itemsize <= 4 for dtype in widths)


def test_what_is_not_legal_is_the_first_action_that_is() -> None:
    env = PokemonGen1(auto_reset="none")
    params = env.default_params
    _, states = jax.vmap(env.reset, (0, None))(jax.random.split(jax.random.key(1), 16), params)
    legal = jax.vmap(env.legal_actions, (0, None))(states, params)
    illegal = jnp.argmin(legal, axis=-1).astype(jnp.int32)  # the active Pokemon's own slot
    assert not jnp.take_along_axis(legal, illegal[..., None], -1).any()
    step = jax.jit(jax.vmap(env.transition, (0, 0, None, None)))
    wrong, _ = step(states, illegal, None, params)
    first, _ = step(states, jnp.argmax(legal, axis=-1).astype(jnp.int32), None, params)
    jax.tree.map(np.testing.assert_array_equal, wrong, first)

"""Observations: the layout that is documented, and nothing that Showdown hides."""

import functools
import re
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.game import check_hidden
from simlift.envs.pokemon.gen1 import PokemonGen1, observe
from simlift.envs.pokemon.gen1.moves import SLEEP
from simlift.envs.pokemon.gen1.side import FLAGS, TRAP
from simlift.envs.pokemon.gen1.state import Params, State
from simlift.envs.pokemon.gen1.teams import WIDTH

from .battles import MOVES, NUM_TEAMS, NUMBER, environment, observed, play

LEVEL, MAX_HP, STATS, PP = 1, 2, slice(3, 8), slice(WIDTH - 4, WIDTH)
"""Columns of a team's row."""
NUM_BATTLES = 8
CAME_IN, ALL = 1 << 4, (1 << 30) - 1
"""Of the bits of `State.seen`: of one Pokemon, of a team."""
FLINCHED = 2
"""Bit of `State.flags`."""
DISABLED_PLACE = sum(FLAGS.values()) - FLAGS["disabled_place"]
"""Where it begins among the bits of `State.flags`."""


def view(*states: State) -> observe.View:
    """Fields [B, 2, ...] of numpy."""
    params = environment().default_params
    return observe.unpack(np.stack([observed()(state, params) for state in states]))


@pytest.fixture(scope="module")
def states() -> Sequence[State]:
    """Of all ages."""
    return [state for steps in (1, 15, 30) for state in play(NUM_BATTLES, steps)]


# -- the layout


def test_observations_lie_in_their_space(states):
    space, params = environment().observation_space(), environment().default_params
    for state in states:
        assert all(space.contains(one) for one in np.asarray(observed()(state, params)))


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
        # And how long Thrash, Bide and Disable last, and what Bide has stored.
        lock_time=jnp.where(state.lock > 0, 1, state.lock_time),
        lock_damage=state.lock_damage + 7,
        disable_time=jnp.where(state.disabled > 0, 1, state.disable_time),
    )


def state_slots(state: State) -> list[int]:
    """Of the Pokemon that fight."""
    return np.asarray(state.order[:, 0]).tolist()


class Compiled(PokemonGen1):
    observe = jax.jit(PokemonGen1.observe, static_argnums=0)
    legal_actions = jax.jit(PokemonGen1.legal_actions, static_argnums=0)


@pytest.mark.parametrize("player", [0, 1])
def test_a_player_sees_nothing_that_showdown_hides(states, player):
    generator = np.random.default_rng(player)
    afflicted = states[0].replace(
        confusion=jnp.asarray([2, 3], jnp.uint8), substitute_hp=jnp.asarray([20, 30], jnp.uint8)
    )
    slots = state_slots(afflicted)
    held = afflicted.replace(
        lock=jnp.asarray([NUMBER["moves"][name] for name in ("Thrash", "Bide")], jnp.uint8),
        lock_time=jnp.asarray([2, 3], jnp.uint8),
        disabled=afflicted.moves[:, 0],
        disable_time=jnp.asarray([4, 5], jnp.uint8),
        seen=afflicted.seen | jnp.asarray([1 << 5 * slot for slot in slots], jnp.uint32),
        toxic=jnp.asarray([3, 0], jnp.uint8),
    )
    chosen = [*states[::3], afflicted, held]
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


# -- traps, of which players know less than the battle


@pytest.fixture(scope="module")
def start() -> State:
    """Where both players choose."""
    return environment().reset(jax.random.key(0))[1]


WRAP, BODY_SLAM = NUMBER["moves"]["Wrap"], NUMBER["moves"]["Body Slam"]


def trap(state: State, turns: int, lasted: int) -> State:
    """The first player's Wrap of so many turns, after some of them, as a battle has it then."""
    first, second = state_slots(state)
    left = turns - lasted
    goes_on = dict(zip(TRAP, np.cumsum([0, *TRAP.values()]), strict=False))
    held = (1 << goes_on["trap_time"]) + (first << goes_on["trap_by"])
    held += (lasted > 1) << goes_on["trap_shown"]
    holds = second << goes_on["lock_target"]
    feint = [
        (1 << goes_on["feint_time"]) + (other << goes_on["feint_with"]) for other in (second, first)
    ]
    over = feint if turns < 5 else [0, 0]
    return state.replace(
        lock=jnp.asarray([WRAP if left else 0, 0], jnp.uint8),
        lock_time=jnp.asarray([left + (turns << 4) if left else 0, 0], jnp.uint8),
        trap=jnp.asarray([holds, held] if left else over, jnp.uint16),
        last_used=jnp.asarray([WRAP, BODY_SLAM], jnp.uint8),
    )


@pytest.mark.parametrize("player", [0, 1])
def test_players_cannot_tell_whether_a_trap_goes_on(start, player):
    """As little by what they see as by what they may do."""
    params = environment().default_params
    legal = jax.jit(environment().legal_actions)
    shown = []
    for lasted in (1, 2, 3, 4):
        worlds = [trap(start, turns, lasted) for turns in range(max(lasted, 2), 6)]
        seen = [np.asarray(observed()(world, params))[player] for world in worlds]
        masks = [np.asarray(legal(world, params))[player] for world in worlds]
        for other, mask in zip(seen[1:], masks[1:], strict=True):
            np.testing.assert_array_equal(other, seen[0])
            np.testing.assert_array_equal(mask, masks[0])
        named = observe.unpack(seen[0])
        traps = [TRAPPING, TRAPPED] if player == 0 else [TRAPPED, TRAPPING]
        assert named.foe_active.volatiles[traps[1]] == named.own_active.volatiles[traps[0]]
        assert named.own_active.volatiles[traps[1]] == 0
        shown.append(float(named.own_active.volatiles[traps[0]]))
    assert shown == [1, 0.5, 0.5, 0.5]
    over = view(trap(start, 5, 5))
    assert not over.own_active.volatiles[..., [TRAPPING, TRAPPED]].any()


TRAPPING, TRAPPED = (observe.VOLATILES.index(name) for name in ("trapping", "trapped"))


def test_who_fell_neither_traps_nor_is_trapped(start):
    state = trap(start, 3, 1)
    fallen = state.replace(hp=state.hp.at[1, int(state.order[1, 0])].set(0))
    seen = view(fallen)
    assert not seen.own_active.volatiles[..., [TRAPPING, TRAPPED]].any()


def test_disable_names_a_move(states):
    """Of the foe's it is known as long as it is disabled."""
    state = states[0].replace(seen=jnp.zeros(2, jnp.uint32), flags=jnp.zeros(2, jnp.uint16))
    place, slot = 1, int(state.order[0, 0])
    flags = state.flags.at[0].set(place << DISABLED_PLACE)
    seen = view(
        state.replace(disabled=state.disabled.at[0].set(state.moves[0, place]), flags=flags)
    )
    expected = np.arange(4) == place
    np.testing.assert_array_equal(seen.own_active.disabled[0, 0], expected)
    np.testing.assert_array_equal(seen.foe_active.disabled[0, 1], expected)
    np.testing.assert_array_equal(seen.foe_active.moves.known[0, 1], expected)
    np.testing.assert_array_equal(seen.foe.pp[0, 1, slot], expected)
    assert not seen.own_active.disabled[0, 1].any()
    assert not view(state).foe_active.moves.known[0, 1].any()

"""A decision's consequences: what has to be looked up, then the turn itself as one kernel.

Places that only the data knows (a team, a slot, a move's row) are looked up first, so that the turn
is plain arithmetic on what one battle needs.
"""

import functools
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...kernels import Lifted, lift
from . import generator, moves, teams
from .layout import load, place, store
from .side import Side, at
from .state import NUM_MOVES, NUM_PLAYERS, ONGOING, TEAM_SIZE, Draws, Request, State
from .teams import Member, member
from .turn import Battle, Choice, Team, enter, legal, play, select_move

Kernel = Literal["auto", "jnp", "c", "pallas"]
_GHOST, _TRANSFORM = np.int32(8), np.int32(moves.TRANSFORM)


class Lookup(NamedTuple):
    """What one side's turn needs besides the state."""

    own: Member  # the active Pokemon
    incoming: Member  # whom the choice brings in, if anybody
    team: Team
    chosen_row: Array  # uint32 [K]  of last_selected, after the choice
    used_row: Array  # uint32 [K]  of last_used
    counterable: Array  # bool []  last_enemy_move is what Counter answers
    form_speed: Array  # int32 []  base speed of the active Pokemon's species


def advance(state: State, actions: Array, table: Array, kernel: Kernel) -> tuple[State, Array]:
    """The state after both players chose, and how often each site drew, `generator.counts`.

    actions: int32 [P]; table: `Params.teams`.
    """
    state, choices = _choose(state, actions)
    found = tuple(_look_up(state, player, choices[player].slot, table) for player in (0, 1))
    return _turn_kernel(kernel)(state, choices, found)


def begin(draws: Draws, table: Array) -> State:
    """The first decision of a battle between two teams."""
    found = [jax.vmap(member)(table[draws.team[player]]) for player in range(NUM_PLAYERS)]
    zero = jnp.zeros((), jnp.int32)
    battle = Battle(
        sides=(place(found[0]), place(found[1])),
        dice=generator.start(draws.seed[0], draws.seed[1]),
        last_damage=zero,
        turn=zero,
        winner=jnp.full((), ONGOING, jnp.int32),
        request=jnp.zeros(NUM_PLAYERS, jnp.int32),
    )
    return _stored(enter(battle, (_team(found[0]), _team(found[1]))), draws.team)


def view(state: State, player: int, table: Array) -> Side:
    """One side between turns, to look at: rows of moves are not looked up."""
    own = member(table[state.team[player], state.order[player, 0]])
    return _side(state, player, own, _NOTHING)


# -- choices


def _choose(state: State, actions: Array) -> tuple[State, tuple[Choice, Choice]]:
    """Keep the books of both choices. What is not legal becomes the first action that is."""
    books: dict[str, list[Array]] = {name: [] for name in _BOOKS}
    choices = []
    nobody = Member(*(jnp.zeros(shape, jnp.int32) for shape in teams.SHAPES))
    for player in range(NUM_PLAYERS):
        request = state.request[player].astype(jnp.int32)
        side = _side(state, player, nobody, _NOTHING)
        allowed = legal(side, request)
        first = jnp.argmax(allowed).astype(jnp.int32)
        action = jnp.where(at(allowed, actions[player]), actions[player], first)
        choice = Choice(
            moves=(request == Request.CHOOSE) & (action < NUM_MOVES),
            switches=(request != Request.WAIT) & (action >= NUM_MOVES),
            slot=jnp.clip(action - NUM_MOVES, 0, TEAM_SIZE - 1),
        )
        side = select_move(side, action, choice.moves)
        for name, values in books.items():
            values.append(getattr(side, name).astype(jnp.uint8))
        choices.append(choice)
    kept = {name: jnp.stack(values) for name, values in books.items()}
    return state.replace(**kept), (choices[0], choices[1])


_BOOKS = ("last_selected", "last_selected_slot", "last_enemy_selected", "last_move")


def _look_up(state: State, player: int, slot: Array, table: Array) -> Lookup:
    rows = jnp.asarray(moves.table())
    members: Member = jax.vmap(member)(table[state.team[player]])
    return Lookup(
        own=member(table[state.team[player], state.order[player, 0]]),
        incoming=member(table[state.team[player], slot]),
        team=_team(members),
        chosen_row=rows[state.last_selected[player]],
        used_row=rows[state.last_used[player]],
        counterable=moves.unpack(rows[state.last_enemy_move[player]]).counterable,
        form_speed=jnp.asarray(teams.base_speeds())[state.species[player]],
    )


def _team(members: Member) -> Team:
    only_transform = (members.moves == 0) | (members.moves == _TRANSFORM)
    return Team(
        present=members.species > 0,
        ghost=(members.types == _GHOST).any(axis=1),
        only_transform=only_transform.all(axis=1),
    )


# -- the turn


@functools.cache
def _turn_kernel(backend: Kernel) -> Lifted:
    return lift(_turn, name="pokemon_gen1", backend=backend)


def _turn(
    state: State, choices: tuple[Choice, Choice], found: tuple[Lookup, Lookup]
) -> tuple[State, Array]:
    sides = [_side(state, player, found[player].own, found[player]) for player in (0, 1)]
    battle = Battle(
        sides=(sides[0], sides[1]),
        dice=generator.start(state.seed[0], state.seed[1]),
        last_damage=state.last_damage,
        turn=state.turn.astype(jnp.int32),
        winner=state.winner.astype(jnp.int32),
        request=state.request.astype(jnp.int32),
    )
    incoming = (found[0].incoming, found[1].incoming)
    battle = play(battle, choices, incoming, (found[0].team, found[1].team))
    return _stored(battle, state.team), generator.counts(battle.dice)


def _side(state: State, player: int, own: Member, found: Lookup) -> Side:
    names = ("chosen_row", "used_row", "counterable", "form_speed")
    return load(state, player, own, {name: getattr(found, name) for name in names})


def _stored(battle: Battle, team: Array) -> State:
    return State(
        seed=jnp.stack([battle.dice.high, battle.dice.low]),
        team=team,
        turn=battle.turn.astype(jnp.int16),
        last_damage=battle.last_damage,
        winner=battle.winner.astype(jnp.int8),
        request=battle.request.astype(jnp.uint8),
        **store(battle.sides),
    )


def _nothing() -> Lookup:
    row = np.zeros(moves.NUM_WORDS, np.uint32)
    number = np.int32(0)
    nobody = Member(*(np.zeros(shape, np.int32) for shape in teams.SHAPES))  # type: ignore[arg-type]
    no = np.zeros(TEAM_SIZE, bool)
    return Lookup(nobody, nobody, Team(no, no, no), row, row, np.bool_(False), number)  # type: ignore[arg-type]


_NOTHING = _nothing()

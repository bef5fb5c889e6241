"""Built-in opponents: `adapters.against.Opponent`s, (key, observation, legal_actions) -> action.

They see what a player sees, so they play by the same rules against a battle of Showdown, and they
are pure: `against(PokemonGen1(), max_damage)` makes a one-agent environment, `jax.vmap` a batch.
observation: float32 [1126] of observe.py; legal_actions: bool [10]; action: int32 [], legal
wherever one is.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...adapters.against import Opponent
from ...core import Simulator
from .features import BASE_STATS, EFFECTS, type_chart
from .observe import Active, Pokemon, View, unpack
from .state import NUM_MOVES

_CHARGES = EFFECTS.index("charges")
_SPEED_WEIGHT, _HP_WEIGHT = 0.1, 0.4
_BAD_MATCHUP, _BAD_STAGE = -2.0, -3 / 6
_ATTACK, _SPECIAL, _SPEED = (BASE_STATS.index(name) for name in ("attack", "special", "speed"))
_BOOSTS = np.array([0, 1, 2, 4, 5, 6])
"""Where the boosts of a move's `boosts` stand among a Pokemon's."""
_STAGES = np.array([2, 2, 4, 2, 2, 2], np.float32)
"""Stages of a unit of a move's `boosts`; special counts for attack and defense."""


def random_legal(key: Array, observation: Array, legal_actions: Array) -> Array:
    """Each legal action is equally likely."""
    del observation
    chances = jnp.where(legal_actions, 0.0, -jnp.inf)
    return jax.random.categorical(key, chances).astype(jnp.int32)


def max_damage(key: Array, observation: Array, legal_actions: Array) -> Array:
    """The move that is expected to do most a turn; a switch at random where only switches are
    legal."""
    moves = legal_actions[:NUM_MOVES]
    best = _strongest(unpack(observation), moves)
    return jnp.where(moves.any(), best, random_legal(key, observation, legal_actions))


def simple_heuristics(key: Array, observation: Array, legal_actions: Array) -> Array:
    """poke-env's `SimpleHeuristicsPlayer`, as far as generation 1 goes.

    It leaves when a better match-up stands ready and its own is bad or its statistics are down,
    raises its statistics in a good match-up at full health, and otherwise takes the strongest move.
    """
    del key
    view = unpack(observation)
    moves, switches = legal_actions[:NUM_MOVES], legal_actions[NUM_MOVES:]
    matchups = jax.vmap(_matchup, (0, None))(view.own, view.foe_active)
    matchup = _matchup(view.own_active, view.foe_active)

    leaves = (switches & (matchups > 0)).any() & _in_trouble(view.own_active, matchup)
    attacks = (moves.any() & ~leaves) | ~switches.any()
    raises = moves & _sets_up(view.own_active)
    prepares = raises.any() & (view.own_active.hp == 1) & (matchup > 0)
    first = jnp.argmax(raises).astype(jnp.int32)
    move = jnp.where(prepares, first, _strongest(view, moves))
    switch = NUM_MOVES + jnp.argmax(jnp.where(switches, matchups, -jnp.inf)).astype(jnp.int32)
    return jnp.where(attacks, move, switch)


def on_state(game: Simulator[Any, Any, Any], opponent: Opponent) -> Callable[..., Array]:
    """The opponent as (key, state, params, player) -> action int32 [], for a loop that has states
    and no observations."""

    def act(key: Array, state: Any, params: Any, player: int) -> Array:
        observation = game.observe(state, params)[player]
        return opponent(key, observation, game.legal_actions(state, params)[player])

    return act


# -- what they judge by


def _strongest(view: View, moves: Array) -> Array:
    """Among legal moves, bool [M]; one of no damage is better than one that is not legal."""
    own = view.own_active
    turns = 1 + own.moves.effects[:, _CHARGES]
    return jnp.argmax(jnp.where(moves, own.damage / turns, -1.0)).astype(jnp.int32)


def _matchup(own: Pokemon | Active, foe: Active) -> Array:
    """How well one Pokemon stands against another, float32 [], 0 is even."""
    faster = jnp.sign(own.base_stats[_SPEED] - foe.base_stats[_SPEED])
    types = _threat(own.types, foe.types) - _threat(foe.types, own.types)
    return types + _SPEED_WEIGHT * faster + _HP_WEIGHT * (own.hp - foe.hp)


def _threat(user: Array, target: Array) -> Array:
    """The best that a type of the user's does. user, target: float32 [15], one entry a type."""
    chart = jnp.asarray(type_chart())[1:, 1:]
    against = jnp.where(target[None] > 0, chart, 1.0).prod(axis=1)
    return jnp.where(user > 0, against, 0.0).max()


def _in_trouble(own: Active, matchup: Array) -> Array:
    attack, defense, special, special_defense = (own.boosts[i] for i in range(4))
    physical = own.base_stats[_ATTACK] >= own.base_stats[_SPECIAL]
    magical = own.base_stats[_ATTACK] <= own.base_stats[_SPECIAL]
    weak = (defense <= _BAD_STAGE) | (special_defense <= _BAD_STAGE)
    harmless = (physical & (attack <= _BAD_STAGE)) | (magical & (special <= _BAD_STAGE))
    return weak | harmless | (matchup < _BAD_MATCHUP)


def _sets_up(own: Active) -> Array:
    """Which moves raise statistics by two stages in all that are not at their end, bool [M]."""
    raises = own.moves.boosts > 0
    stages = (own.moves.boosts * _STAGES[None]).sum(axis=1)
    room = jnp.where(raises, own.boosts[_BOOSTS][None], jnp.inf).min(axis=1) < 1
    return (own.moves.category.sum(axis=1) == 0) & (stages >= 2) & room

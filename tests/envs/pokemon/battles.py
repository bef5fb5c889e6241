"""Battles on the way, for tests of what is made of a state."""

import functools
from typing import Any

import jax
import numpy as np

from simlift.envs.pokemon.gen1 import PokemonGen1, observe, pool
from simlift.envs.pokemon.gen1.moves import data
from simlift.envs.pokemon.gen1.opponents import random_legal
from simlift.envs.pokemon.gen1.state import ONGOING, Params, State
from simlift.envs.pokemon.gen1.teams import WIDTH

NUM_TEAMS = 32
"""Of those that ship; few, so that `Params` are small."""
MOVES = slice(WIDTH - 8, WIDTH - 4)
"""Columns of a team's row."""
NUMBER = {
    kind: {entry["name"]: entry["num"] for entry in data()[kind]}
    for kind in ("moves", "species", "types")
}
NAME = {kind: {number: name for name, number in names.items()} for kind, names in NUMBER.items()}


@functools.cache
def environment() -> PokemonGen1:
    return PokemonGen1(pool.shipped()[:NUM_TEAMS], auto_reset="none")


@functools.cache
def moved() -> Any:
    """(states, actions [B, 2], params) -> states, compiled once."""
    env = environment()

    def move(state: State, actions: jax.Array, params: Params) -> State:
        return env.transition(state, actions, None, params)[0]

    return jax.jit(jax.vmap(move, (0, 0, None)))


@functools.cache
def observed() -> Any:
    """(state, params) -> float32 [2, N], compiled once."""
    return jax.jit(observe.observe)


def play(num_battles: int, num_steps: int) -> list[State]:
    """States of random battles after this many steps, those that are not over."""
    env, params = environment(), environment().default_params
    legal_actions = jax.jit(jax.vmap(lambda state: env.legal_actions(state, params)))
    choose = jax.jit(jax.vmap(jax.vmap(random_legal, (0, None, 0)), (0, None, 0)))
    keys = jax.random.split(jax.random.key(0), num_battles)
    _, states = jax.vmap(env.reset, (0, None))(keys, params)
    for i in range(num_steps):
        key = jax.random.split(jax.random.key(i), (num_battles, 2))
        states = moved()(states, choose(key, None, legal_actions(states)), params)
    going = np.flatnonzero(np.asarray(states.winner) == ONGOING)
    return [jax.tree.map(lambda x, i=i: x[i], states) for i in going]

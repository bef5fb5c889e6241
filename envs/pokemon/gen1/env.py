"""Generation 1 battles as a `Game`."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...core import AutoReset, Outcome
from ...game import Game
from ...spaces import Box, Discrete
from .battle import Kernel, advance, begin, view
from .state import NUM_ACTIONS, NUM_PLAYERS, ONGOING, TIE, Draws, Params, Request, State
from .turn import legal


class PokemonGen1(Game[State, Params, Draws]):
    """Pokemon Showdown 0.11.11's generation 1, draw for draw."""

    name = "PokemonGen1-v0"
    version = 0

    def __init__(self, teams: Any = None, *, kernel: Kernel = "auto", auto_reset: AutoReset = "select") -> None:
        super().__init__(kernel, auto_reset=auto_reset)
        self._teams = teams

    @property
    def num_players(self) -> int:
        return NUM_PLAYERS

    @property
    def default_params(self) -> Params:
        return Params(teams=jnp.asarray(self._teams))

    def action_space(self, params: Params | None = None) -> Discrete:
        return Discrete(NUM_ACTIONS)

    def observation_space(self, params: Params | None = None) -> Box:
        return Box(0, 2, (), np.uint8)

    def sample_reset_draws(self, key: Array, params: Params) -> Draws:
        seed, pair = jax.random.split(key)
        words = jax.random.bits(seed, (2,), jnp.uint32)
        team = jax.random.randint(pair, (2,), 0, params.teams.shape[0], jnp.int32)
        return Draws(seed=words, team=team)

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> Draws:
        return Draws(seed=jnp.zeros(2, jnp.uint32), team=jnp.zeros(2, jnp.int32))

    def initial(self, draws: Draws, params: Params) -> State:
        return begin(draws, params.teams)

    def transition(
        self, state: State, action: Array, draws: Draws, params: Params
    ) -> tuple[State, Outcome]:
        del draws
        after, used = advance(state, action, params.teams, self.config)
        winner = after.winner.astype(jnp.int32)
        won = jnp.where(winner == np.arange(NUM_PLAYERS, dtype=np.int32), 1.0, -1.0)
        reward = jnp.where((winner == ONGOING) | (winner == TIE), 0.0, won).astype(jnp.float32)
        return after, Outcome(reward=reward, terminated=winner != ONGOING, draws_used=used)

    def observe(self, state: State, params: Params) -> Array:
        return state.request

    def legal_actions(self, state: State, params: Params) -> Array:
        return jnp.stack(
            [
                legal(view(state, p, params.teams), state.request[p].astype(jnp.int32))
                for p in range(NUM_PLAYERS)
            ]
        )

    def to_act(self, state: State, params: Params) -> Array:
        return state.request != np.uint8(Request.WAIT)

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        raise NotImplementedError

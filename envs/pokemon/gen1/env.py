"""Generation 1 battles as a `Game`."""

import dataclasses
import functools
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...core import AutoReset, Outcome
from ...game import Game
from ...spaces import Box, Discrete
from . import pool
from .battle import Kernel, advance, begin, view
from .generator import by_site
from .observe import OBSERVATION_SIZE, observe
from .render import render
from .state import (
    NUM_ACTIONS,
    NUM_PLAYERS,
    ONGOING,
    TEAM_SIZE,
    TIE,
    Draws,
    Params,
    Request,
    State,
)
from .teams import member
from .turn import legal


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Static choices: they shape the compiled program."""

    kernel: Kernel = "auto"
    """What the turn runs as, see envs/kernels."""
    pairs: bool = True
    """Whether battles are between teams 2k and 2k + 1, else between any two."""
    shaping: float = 0.0
    """Weight of `standing` in the rewards."""

    def __post_init__(self) -> None:
        if self.kernel not in get_args(Kernel):
            raise ValueError(f"kernel={self.kernel!r}: choose one of {get_args(Kernel)}")
        if not 0 <= self.shaping < np.inf:
            raise ValueError(f"shaping={self.shaping!r} must be a number of at least 0")


class PokemonGen1(Game[State, Params, Draws]):
    """Pokemon Showdown 0.11.11's generation 1 between two players, draw for draw.

    Actions: Discrete(10), 0..3 a move by its place in the request, 4..9 a switch to the Pokemon in
    that slot of the team as the battle began. Both players choose at once; after one fainted only
    those replace it who have to (`to_act`), and for a player who waits only action 0 is legal,
    which the step ignores. Observation: float32 [1126], what Showdown tells that player, see
    observe.py. Rewards: +1 and -1 at the end, 0 for both in a tie. Never truncates: turn limit and
    Endless Battle Clause are rules, and end in a tie.
    """

    name = "PokemonGen1-v0"
    version = 0
    config: Config

    def __init__(
        self,
        teams: Any = None,
        *,
        kernel: Kernel = "auto",
        shaping: float = 0.0,
        auto_reset: AutoReset = "select",
    ) -> None:
        """teams: int16 [N, 6, W] of `teams.rows` or `pool.load`; a battle is between any two of
        them, drawn independently. None: those of `pool.shipped`, in the pairs in which Showdown
        made them, of which at most one team has a Ditto.

        shaping: this times what `standing` rises by in a step is added to the reward. It sums to
        zero over a battle, so without discount no policy gains or loses by it (Ng et al. 1999).

        Raises ValueError for other arrays, kernels, weights and policies.
        """
        config = Config(kernel=kernel, pairs=teams is None, shaping=shaping)
        super().__init__(config, auto_reset=auto_reset)
        self._teams = None if teams is None else pool.checked(teams)

    @property
    def num_players(self) -> int:
        return NUM_PLAYERS

    @functools.cached_property
    def default_params(self) -> Params:
        teams = pool.shipped() if self._teams is None else self._teams
        with jax.ensure_compile_time_eval():  # also where it is first asked for under jit
            return Params(teams=jnp.asarray(teams))

    def action_space(self, params: Params | None = None) -> Discrete:
        return Discrete(NUM_ACTIONS)

    def observation_space(self, params: Params | None = None) -> Box:
        return Box(-1.0, 1.0, (OBSERVATION_SIZE,), np.float32)

    def sample_reset_draws(self, key: Array, params: Params) -> Draws:
        """Four words. A remainder favours no team by more than N / 2**32."""
        words = jax.random.bits(key, (4,), jnp.uint32)
        count = np.uint32(len(params.teams))
        if self.config.pairs:
            team = words[2] % (count // 2) * 2 + np.arange(NUM_PLAYERS, dtype=np.uint32)
        else:
            team = words[2:] % count
        return Draws(seed=words[:2], team=team.astype(jnp.int32))

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> Draws:
        return Draws(seed=jnp.zeros(2, jnp.uint32), team=jnp.zeros(2, jnp.int32))

    def sample_step(
        self, key: Array, state: State, action: Array, params: Params
    ) -> tuple[Draws, Draws]:
        return self.sample_draws(key, state, action, params), self.sample_reset_draws(key, params)

    def initial(self, draws: Draws, params: Params) -> State:
        return begin(draws, params.teams)

    def transition(
        self, state: State, action: Array, draws: Draws, params: Params
    ) -> tuple[State, Outcome]:
        del draws
        after, used = advance(state, action, params.teams, self.config.kernel)
        winner = after.winner.astype(jnp.int32)
        won = jnp.where(winner == np.arange(NUM_PLAYERS, dtype=np.int32), 1.0, -1.0)
        reward = jnp.where((winner == ONGOING) | (winner == TIE), 0.0, won).astype(jnp.float32)
        if self.config.shaping:
            rise = standing(after, params) - standing(state, params)
            reward = reward + self.config.shaping * rise
        return after, Outcome(reward=reward, terminated=winner != ONGOING, draws_used=by_site(used))

    def observe(self, state: State, params: Params) -> Array:
        return observe(state, params)

    def legal_actions(self, state: State, params: Params) -> Array:
        masks = [
            legal(view(state, p, params.teams), state.request[p].astype(jnp.int32))
            for p in range(NUM_PLAYERS)
        ]
        only_first = np.arange(NUM_ACTIONS) == 0
        return jnp.where(self.to_act(state, params)[:, None], jnp.stack(masks), only_first[None])

    def to_act(self, state: State, params: Params) -> Array:
        return state.request != np.uint8(Request.WAIT)

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        return render(state, self.default_params if params is None else params)


def standing(state: State, params: Params) -> Array:
    """How far each player is ahead, float32 [P] in [-1, 1]: half of it the health of the team, half
    the Pokemon that have not fainted, each a share of six and less the foe's. The other player's is
    the negative; 0 as a battle begins between teams of one size, and where one is over.
    """
    team = jax.vmap(jax.vmap(member))(params.teams[state.team])
    hp, max_hp = state.hp.astype(jnp.float32), jnp.maximum(team.max_hp, 1).astype(jnp.float32)
    alive = (state.hp > 0).astype(jnp.float32)
    left = (hp / max_hp + alive).sum(axis=1) / np.float32(2 * TEAM_SIZE)
    return jnp.where(state.winner == ONGOING, left - left[::-1], 0.0)

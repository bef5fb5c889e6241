"""A two-player game seen by one of its players, against an opponent that is a function."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..core import Environment, Outcome
from ..game import Game
from ..spaces import Box, Space

Opponent = Callable[[Array, Array, Array], Array]
"""(key, observation, legal_actions bool [A]) -> action int32 []"""


class Against(Environment[Any, Any, Array]):
    """See `against`. State, params, spaces and auto-reset policy are the game's.

    A step's draws are the key from which the opponent and the game draw inside the step: how often
    they do is known only there. To put the dice on the table, step the game itself.
    """

    def __init__(
        self, game: Game, opponent: Opponent, player: int = 0, *, wait_inside: bool = True
    ) -> None:
        if game.num_players != 2:
            raise ValueError(f"{game.name} has {game.num_players} players; against() takes 2")
        if player not in (0, 1):
            raise ValueError(f"player={player!r} is not a player of {game.name}; choose 0 or 1")
        super().__init__((game, opponent, player, wait_inside), auto_reset=game.auto_reset)
        self.game, self.opponent, self.player = game, opponent, player
        self.wait_inside = wait_inside
        self.name = f"{game.name}-against"
        self.version = game.version

    @property
    def default_params(self) -> Any:
        return self.game.default_params

    def action_space(self, params: Any = None) -> Space:
        return self.game.action_space(params)

    def observation_space(self, params: Any = None) -> Box:
        return self.game.observation_space(params)

    def observe(self, state: Any, params: Any) -> Array:
        return self.game.observe(state, params)[self.player]

    def legal_actions(self, state: Any, params: Any) -> Array:
        return self.game.legal_actions(state, params)[self.player]

    def is_truncated(self, state: Any, params: Any) -> Array:
        return self.game.is_truncated(state, params)

    def render(self, state: Any, params: Any = None) -> np.ndarray:
        return self.game.render(state, params)

    def sample_reset_draws(self, key: Array, params: Any) -> Array:
        return key

    def initial(self, draws: Array, params: Any) -> Any:
        """The first state in which the player is to act.

        A game that the opponent could end before that has no such state: wait_inside=False for it.
        """
        key_reset, key_wait = jax.random.split(draws)
        state = self.game.initial(self.game.sample_reset_draws(key_reset, params), params)
        if not self.wait_inside:
            return state
        # The outcome of a step, with nothing in it, is what the loop starts from.
        avals = jax.eval_shape(self._move, key_reset, state, self._no_action, params)[1]
        nothing = jax.tree.map(lambda aval: jnp.zeros(aval.shape, aval.dtype), avals)
        return self._wait(key_wait, state, nothing, params)[0]

    def sample_draws(self, key: Array, state: Any, action: Array, params: Any) -> Array:
        return key

    def transition(
        self, state: Any, action: Array, draws: Array, params: Any
    ) -> tuple[Any, Outcome]:
        """The game's `info` is that of its last step; the reward is summed over its steps."""
        key_move, key_wait = jax.random.split(draws)
        state, outcome = self._move(key_move, state, action, params)
        if self.wait_inside:
            state, outcome = self._wait(key_wait, state, outcome, params)
        return state, outcome

    @property
    def _no_action(self) -> Array:
        """What a player who is not to act hands in."""
        space = self.action_space(self.default_params)
        return jnp.zeros(space.shape, space.dtype)

    def _move(self, key: Array, state: Any, action: Array, params: Any) -> tuple[Any, Outcome]:
        """One step of the game, with the player's share of its rewards."""
        key_opponent, key_game = jax.random.split(key)
        other = 1 - self.player
        answer = self.opponent(
            key_opponent,
            self.game.observe(state, params)[other],
            self.game.legal_actions(state, params)[other],
        )
        answer = jnp.asarray(answer, action.dtype)
        actions = jnp.stack([action, answer] if self.player == 0 else [answer, action])
        draws = self.game.sample_draws(key_game, state, actions, params)
        state, outcome = self.game.transition(state, actions, draws, params)
        return state, outcome.replace(reward=outcome.reward[self.player])  # type: ignore[attr-defined]

    def _wait(self, key: Array, state: Any, outcome: Outcome, params: Any) -> tuple[Any, Outcome]:
        """Moves of the opponent until the player is to act or the game is over."""

        def waiting(carry: tuple[Array, Any, Outcome]) -> Array:
            _, state, outcome = carry
            over = outcome.terminated | self.is_truncated(state, params)
            return ~(over | self.game.to_act(state, params)[self.player])

        def move(carry: tuple[Array, Any, Outcome]) -> tuple[Array, Any, Outcome]:
            key, state, so_far = carry
            key, key_move = jax.random.split(key)
            state, outcome = self._move(key_move, state, self._no_action, params)
            used = jax.tree.map(jnp.add, so_far.draws_used, outcome.draws_used)
            reward = so_far.reward + outcome.reward
            return key, state, outcome.replace(reward=reward, draws_used=used)  # type: ignore[attr-defined]

        _, state, outcome = jax.lax.while_loop(waiting, move, (key, state, outcome))
        return state, outcome

"""The batch that PPO learns from: a row for each environment, or for each player of a game.

`R` rows, `G` games of `P` players: R = G * P, and the players of a game follow each other. One
policy chooses for every row, so in a game it plays against itself.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.core import Environment
from ..envs.game import Game
from ..envs.spaces import Discrete


class Rows:
    """`R` rows of an environment, or of a game; everything has a leading axis [R].

    A player who is not to act has one legal action, 0, which the game ignores. The policy's
    probability of it is 1 whatever its parameters, so such a step teaches what its state is worth
    and nothing about how to choose.
    """

    def __init__(self, env: Environment | Game[Any, Any, Any], params: Any, num_rows: int) -> None:
        """Raises ValueError for a number of rows that the players do not divide, and for a game
        whose actions are not discrete: a player who waits could not be told apart.
        """
        self.env, self.params, self.num_rows = env, params, num_rows
        self.discrete = isinstance(env.action_space(params), Discrete)
        self.num_players = env.num_players if isinstance(env, Game) else 0
        self.num_instances = num_rows
        if isinstance(env, Game):
            if num_rows % env.num_players:
                raise ValueError(
                    f"num_envs={num_rows} must be a multiple of the {env.num_players} players of "
                    f"{env.name}: each of them is one"
                )
            if not self.discrete:
                raise ValueError(f"{env.name}: self-play takes games with discrete actions")
            self.num_instances = num_rows // env.num_players

    def reset(self, key: Array) -> tuple[Array, Any]:
        """(observation, state [G])."""
        keys = jax.random.split(key, self.num_instances)
        observation, state = jax.vmap(self.env.reset, (0, None))(keys, self.params)
        return self._rows(observation), state

    def legal(self, state: Any) -> Array | None:
        """bool [R, A], None where actions are continuous."""
        if not self.discrete:
            return None
        legal = jax.vmap(self.env.legal_actions, (0, None))(state, self.params)
        if isinstance(self.env, Game):
            to_act = jax.vmap(self.env.to_act, (0, None))(state, self.params)
            nothing = np.arange(legal.shape[-1]) == 0
            legal = jnp.where(to_act[..., None], legal, nothing[None, None])
        return self._rows(legal)

    def step(self, key: Array, state: Any, action: Array) -> Any:
        """As the environment's `step`; an end, and what `info` has of a game, is every player's."""
        keys = jax.random.split(key, self.num_instances)
        if self.num_players:
            action = action.reshape(self.num_instances, self.num_players)
        observation, state, reward, terminated, truncated, info = jax.vmap(
            self.env.step, (0, 0, 0, None)
        )(keys, state, action, self.params)
        final = self._rows(info.pop("final_observation"))
        if self.num_players:
            shared = (terminated, truncated, info)
            terminated, truncated, info = jax.tree.map(
                lambda x: jnp.repeat(x, self.num_players, axis=0), shared
            )
        info = {**info, "final_observation": final}
        return self._rows(observation), state, self._rows(reward), terminated, truncated, info

    def _rows(self, x: Array) -> Array:
        """[G, P, ...] as [R, ...]."""
        return x.reshape(self.num_rows, *x.shape[2:]) if self.num_players else x

"""A game with the calls of JaxMARL's MultiAgentEnv, which it does not import."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from ..core import select
from ..game import Game
from ..spaces import Box, Space

Step = tuple[dict[str, Array], Any, dict[str, Array], dict[str, Array], dict[str, Any]]


class JaxMARLView:
    """See `to_jaxmarl`. Agents are ``agent_0`` .. in the order of players; params are bound.

    The auto-reset policy is the game's. ``infos`` is the game's `info` with `final_observation` by
    agent. The action of an agent who is not to act is ignored.
    """

    def __init__(self, game: Game, params: Any = None) -> None:
        self.game = game
        self.params = game.default_params if params is None else params
        self.num_agents = game.num_players
        self.agents = [f"agent_{player}" for player in range(game.num_players)]
        self.observation_spaces: dict[str, Box] = dict.fromkeys(
            self.agents, game.observation_space(self.params)
        )
        self.action_spaces: dict[str, Space] = dict.fromkeys(
            self.agents, game.action_space(self.params)
        )

    @property
    def name(self) -> str:
        return self.game.name

    @property
    def agent_classes(self) -> dict[str, list[str]]:
        return {"player": self.agents}

    def observation_space(self, agent: str) -> Box:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space:
        return self.action_spaces[agent]

    def reset(self, key: Array) -> tuple[dict[str, Array], Any]:
        """Returns (observations by agent, state)."""
        observations, state = self.game.reset(key, self.params)
        return self._by_agent(observations), state

    def step(
        self, key: Array, state: Any, actions: Mapping[str, Any], reset_state: Any = None
    ) -> Step:
        """Returns (observations, state, rewards, dones, infos); dones has ``"__all__"``.

        A game that ends goes on from `reset_state` where one is given. Raises ValueError for a
        missing or unknown agent, and what `Game.step` raises.
        """
        joint = self._joint(actions)
        if reset_state is None:
            observations, state, rewards, terminated, truncated, info = self.game.step(
                key, state, joint, self.params
            )
            done = terminated | truncated
        else:
            final, state, rewards, terminated, info = self.game.step_env(
                key, state, joint, self.params
            )
            done = terminated | self.game.is_truncated(state, self.params)
            state = select(done, reset_state, state)
            observations = self.game.observe(state, self.params)
            info = {**info, "final_observation": final}
        info["final_observation"] = self._by_agent(info["final_observation"])
        return self._by_agent(observations), state, self._by_agent(rewards), self._dones(done), info

    def step_env(self, key: Array, state: Any, actions: Mapping[str, Any]) -> Step:
        """`step` that never resets, and without `final_observation`."""
        observations, state, rewards, terminated, info = self.game.step_env(
            key, state, self._joint(actions), self.params
        )
        done = terminated | self.game.is_truncated(state, self.params)
        return self._by_agent(observations), state, self._by_agent(rewards), self._dones(done), info

    def get_obs(self, state: Any) -> dict[str, Array]:
        """Observations by agent."""
        return self._by_agent(self.game.observe(state, self.params))

    def get_avail_actions(self, state: Any) -> dict[str, Array]:
        """Legal actions by agent, bool [A] each."""
        return self._by_agent(self.game.legal_actions(state, self.params))

    def _joint(self, actions: Mapping[str, Any]) -> Array:
        if wrong := set(self.agents) ^ actions.keys():
            raise ValueError(
                f"{self.name}: actions are a dict of exactly {self.agents}, also of agents who are "
                f"not to act; missing or unknown: {sorted(wrong)}"
            )
        return jnp.stack([jnp.asarray(actions[agent]) for agent in self.agents])

    def _by_agent(self, values: Array) -> dict[str, Array]:
        return {agent: values[player] for player, agent in enumerate(self.agents)}

    def _dones(self, done: Array) -> dict[str, Array]:
        return dict.fromkeys([*self.agents, "__all__"], done)

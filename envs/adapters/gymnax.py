"""A true subclass of gymnax's Environment."""

from typing import Any

import jax
from gymnax.environments import environment, spaces
from jax import Array

from ..core import Environment
from ..spaces import Discrete, Space


class GymnaxEnv(environment.Environment):  # type: ignore[misc]
    """See `to_gymnax`. Instances compare and hash by the environment that they wrap."""

    def __init__(self, env: Environment) -> None:
        self.env = env

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GymnaxEnv) and self.env == other.env

    def __hash__(self) -> int:
        return hash(self.env)

    @property
    def name(self) -> str:
        return self.env.name

    @property
    def num_actions(self) -> int:
        return self.env.num_actions

    @property
    def default_params(self) -> Any:
        return self.env.default_params

    def action_space(self, params: Any = None) -> spaces.Space:
        return _gymnax_space(self.env.action_space(params))

    def observation_space(self, params: Any = None) -> spaces.Space:
        return _gymnax_space(self.env.observation_space(params))

    def reset(self, key: Array, params: Any = None) -> tuple[Array, Any]:
        return self.env.reset(key, params)

    def step(
        self, key: Array, state: Any, action: Any, params: Any = None
    ) -> tuple[Array, Any, Array, Array, Array, dict[str, Any]]:
        """gymnax's six values; ``info`` names `terminated` and `truncated` again, as gymnax's."""
        *result, terminated, truncated, info = self.env.step(key, state, action, params)
        info = {**info, "terminated": terminated, "truncated": truncated}
        return (*result, terminated, truncated, info)

    def step_env(
        self, key: Array, state: Any, action: Any, params: Any = None
    ) -> tuple[Array, Any, Array, Array, dict[str, Any]]:
        return self.env.step_env(key, state, action, params)

    def reset_env(self, key: Array, params: Any = None) -> tuple[Array, Any]:
        return self.env.reset(key, params)

    def observe(self, key: Array, state: Any, action: Any, params: Any) -> Array:
        del key, action
        return self.env.observe(state, params)

    def is_truncated(self, state: Any, params: Any) -> jax.Array:
        return self.env.is_truncated(state, params)


def _gymnax_space(space: Space) -> spaces.Space:
    if isinstance(space, Discrete):
        return spaces.Discrete(space.n)
    return spaces.Box(space.low, space.high, space.shape, space.dtype)

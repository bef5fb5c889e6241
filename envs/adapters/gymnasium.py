"""Environments as Gymnasium's: NumPy in and out, one instance or many."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space
from jax import Array

from ..core import Environment
from ..spaces import Discrete, Space

RENDER_FPS = 30
FINAL = "final_observation"


class GymnasiumEnv(gymnasium.Env):
    """See `to_gymnasium`."""

    def __init__(
        self, env: Environment, params: Any = None, *, seed: int = 0, render_mode: str | None = None
    ) -> None:
        self.metadata = _metadata(render_mode)
        self.render_mode = render_mode
        self.env = env
        self.params = env.default_params if params is None else params
        self.action_space = _gymnasium_space(env.action_space(self.params))
        self.observation_space = _gymnasium_space(env.observation_space(self.params))
        self.state: Any = None
        self._key = _keys_of([seed])[0]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode; `options` are not used. Returns (observation, {})."""
        super().reset(seed=seed)
        if seed is not None:
            self._key = _keys_of([seed])[0]
        self._key, key_reset = jax.random.split(self._key)
        observation, self.state = self.env.reset(key_reset, self.params)
        return np.array(observation), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step; never resets by itself.

        Raises ResetNeeded before the first `reset`, ValueError for an action out of its space.
        """
        if self.state is None:
            raise ResetNeeded(f"{self.env.name}: call reset() before step()")
        self._key, key_step = jax.random.split(self._key)
        observation, self.state, reward, terminated, info = self.env.step_env(
            key_step, self.state, self.env.check_action(action), self.params
        )
        truncated = bool(self.env.is_truncated(self.state, self.params))
        info = {name: _to_host(value) for name, value in info.items()}
        return np.array(observation), float(reward), bool(terminated), truncated, info

    def render(self) -> np.ndarray | None:
        """uint8 [H, W, 3] under render_mode="rgb_array", else None. ResetNeeded as of `step`."""
        if self.render_mode is None:
            return None
        if self.state is None:
            raise ResetNeeded(f"{self.env.name}: call reset() before render()")
        return self.env.render(self.state, self.params)


class GymnasiumVectorEnv(gymnasium.vector.VectorEnv):
    """See `to_gymnasium_vector`."""

    def __init__(
        self,
        env: Environment,
        params: Any = None,
        num_envs: int = 1,
        seed: int = 0,
        *,
        render_mode: str | None = None,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs} must be at least 1")
        self.autoreset = env.auto_reset != "none"
        mode = AutoresetMode.SAME_STEP if self.autoreset else AutoresetMode.DISABLED
        self.metadata = {**_metadata(render_mode), "autoreset_mode": mode}
        self.render_mode = render_mode
        self.env = env
        self.params = env.default_params if params is None else params
        self.num_envs = num_envs
        self.single_action_space = _gymnasium_space(env.action_space(self.params))
        self.single_observation_space = _gymnasium_space(env.observation_space(self.params))
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.state: Any = None
        """The batch of states, on the device."""
        self._keys = _keys_of(range(seed, seed + num_envs))
        self._finished = np.zeros(num_envs, bool)
        self._reset = jax.jit(self._reset_all)
        self._step = jax.jit(self._step_all)

    def _reset_all(self, keys: Array, state: Any, mask: Array, params: Any) -> Any:
        keys, reset_keys = _split(keys)
        _, fresh = jax.vmap(self.env.reset, in_axes=(0, None))(reset_keys, params)
        if state is not None:
            fresh = jax.tree.map(
                lambda new, old: jnp.where(mask.reshape(-1, *[1] * (new.ndim - 1)), new, old),
                fresh,
                state,
            )
        return keys, fresh, jax.vmap(self.env.observe, in_axes=(0, None))(fresh, params)

    def _step_all(self, keys: Array, state: Any, actions: Array, params: Any) -> Any:
        keys, step_keys = _split(keys)
        step = jax.vmap(self.env.step, in_axes=(0, 0, 0, None))
        return keys, step(step_keys, state, actions, params)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode in every instance. Returns (observations [num_envs, ...], {}).

        seed: of the first instance, or one of each; without one the randomness goes on.
        ``options["reset_mask"]``, bool [num_envs]: reset only these instances. Raises ValueError
        for seeds or a mask of another length.
        """
        if seed is not None:
            self._seed(seed)
        mask = self._reset_mask(options)
        state = None if mask.all() else self.state
        self._keys, self.state, observations = self._reset(self._keys, state, mask, self.params)
        self._finished &= ~mask
        return np.array(observations), {}

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Step every instance. actions: [num_envs, ...] of the action space's dtype.

        Returns (observations [num_envs, ...], rewards float32, terminations bool, truncations bool,
        each [num_envs], infos). Where an episode ended, ``infos["final_obs"]`` and
        ``infos["final_info"]`` are as Gymnasium's SAME_STEP has them.
        Raises ResetNeeded before the first `reset` and, where the environment never resets by
        itself, for an episode that is over; ValueError for actions of the wrong dtype, shape or
        range.
        """
        if self.state is None:
            raise ResetNeeded(f"{self.env.name}: call reset() before step()")
        if not self.autoreset and self._finished.any():
            raise ResetNeeded(
                f"{self.env.name}: episodes {np.flatnonzero(self._finished).tolist()} are over; "
                'call reset(options={"reset_mask": finished}) first'
            )
        actions = self.env.check_action(actions, batch=(self.num_envs,))
        self._keys, result = self._step(self._keys, self.state, actions, self.params)
        observations, self.state, *rest, info = result
        rewards, terminations, truncations = (np.array(x) for x in rest)
        self._finished = terminations | truncations
        return np.array(observations), rewards, terminations, truncations, self._infos(info)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each instance under render_mode="rgb_array", else None."""
        if self.render_mode is None:
            return None
        if self.state is None:
            raise ResetNeeded(f"{self.env.name}: call reset() before render()")
        states = jax.device_get(self.state)
        return tuple(
            self.env.render(jax.tree.map(lambda x, i=i: x[i], states), self.params)
            for i in range(self.num_envs)
        )

    def _seed(self, seed: int | Sequence[int | None]) -> None:
        seeds = list(range(seed, seed + self.num_envs)) if isinstance(seed, int) else list(seed)
        if len(seeds) != self.num_envs:
            raise ValueError(f"{len(seeds)} seeds for {self.num_envs} instances; give one of each")
        if seeds[0] is not None:
            super().reset(seed=seeds[0])
        given = np.array([s is not None for s in seeds])
        fresh = _keys_of([0 if s is None else s for s in seeds])
        self._keys = jnp.where(given, fresh, self._keys)

    def _reset_mask(self, options: dict[str, Any] | None) -> np.ndarray:
        everything = np.ones(self.num_envs, bool)
        mask = np.asarray((options or {}).get("reset_mask", everything))
        if mask.shape != everything.shape or mask.dtype != bool or not mask.any():
            raise ValueError(
                f"reset_mask is {mask.dtype}{list(mask.shape)}, expected bool[{self.num_envs}] "
                "with at least one True"
            )
        if self.state is None and not mask.all():
            raise ValueError("the first reset is of all instances; leave out reset_mask")
        return mask

    def _infos(self, info: dict[str, Any]) -> dict[str, Any]:
        """Gymnasium's dicts of arrays, each with a mask of the instances that it speaks of.

        A finished instance's info of this step is in `final_info`; the one of its new episode is
        empty.
        """
        over = self._finished if self.autoreset else np.zeros(self.num_envs, bool)
        step_info = {name: np.array(value) for name, value in info.items() if name != FINAL}
        infos = _masked(step_info, ~over)
        if over.any():
            final_obs = np.full(self.num_envs, None, object)
            for i in np.flatnonzero(over):
                final_obs[i] = np.array(info[FINAL][i])
            infos |= {"final_obs": final_obs, "_final_obs": over.copy()}
            infos |= {"final_info": _masked(step_info, over), "_final_info": over.copy()}
        return infos


def _masked(info: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    if not mask.any():
        return {}
    result: dict[str, Any] = {}
    for name, value in info.items():
        where = mask.reshape(-1, *[1] * (value.ndim - 1))
        result[name] = np.where(where, value, np.zeros((), value.dtype))
        result[f"_{name}"] = mask.copy()
    return result


def _keys_of(seeds: Sequence[int]) -> Array:
    if not all(0 <= seed < 2**32 for seed in seeds):
        raise ValueError("a seed is an integer of 0 .. 2**32 - 1")
    return jax.vmap(jax.random.key)(np.array(seeds, np.uint32))


def _split(keys: Array) -> tuple[Array, Array]:
    pairs = jax.vmap(jax.random.split)(keys)
    return pairs[:, 0], pairs[:, 1]


def _metadata(render_mode: str | None) -> dict[str, Any]:
    if render_mode not in (None, "rgb_array"):
        raise ValueError(f'render_mode={render_mode!r} is not known; choose None or "rgb_array"')
    return {"render_modes": ["rgb_array"], "render_fps": RENDER_FPS}


def _gymnasium_space(space: Space) -> gymnasium.Space:
    if isinstance(space, Discrete):
        return gymnasium.spaces.Discrete(space.n)
    dtype = np.dtype(space.dtype)
    low, high = (
        np.broadcast_to(bound, space.shape).astype(dtype) for bound in (space.low, space.high)
    )
    return gymnasium.spaces.Box(low, high, space.shape, dtype.type)


def _to_host(value: Array) -> Any:
    """An array, or a Python number where there is no axis."""
    return np.array(value) if value.ndim else value.item()

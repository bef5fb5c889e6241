"""A reference in the shape of an environment, so that the very same PPO trains on it."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from jax.custom_batching import custom_vmap
from jax.experimental import io_callback

from ...envs.core import Environment
from ...envs.spaces import Discrete, Space
from ...references.core import Outcome, VectorReference


class ReferenceState(struct.PyTreeNode):
    """What JAX sees of an instance; the rest of its state lives in the reference."""

    legal: Array  # bool [A], [0] where actions are continuous


class ReferenceEnvironment:
    """`reset`, `step` and what else training calls, answered by a `VectorReference` on the host.

    One stateful batch of B = `reference.num_envs`: it works under `jax.vmap` over exactly that
    many, in `jit` and `scan`, and calls happen in the program's order. The reference draws from its
    own generator; the keys of a reset seed it, those of a step are not used.
    """

    auto_reset = "select"

    def __init__(self, like: Environment, params: Any, reference: VectorReference) -> None:
        """like, params: the environment whose spaces the reference shares."""
        self.name, self.version = reference.name, reference.version
        self.reference = reference
        self._action_space = like.action_space(params)
        self._observation_space = like.observation_space(params)
        self._num_legal = like.num_actions if isinstance(self._action_space, Discrete) else 0
        self._reset = self._batched(self._host_reset)
        self._step = self._batched(self._host_step)

    default_params = ()

    def action_space(self, params: Any = None) -> Space:
        return self._action_space

    def observation_space(self, params: Any = None) -> Any:
        return self._observation_space

    def legal_actions(self, state: ReferenceState, params: Any) -> Array:
        return state.legal

    def reset(self, key: Array, params: Any = ()) -> tuple[Array, ReferenceState]:
        shown = self._reset(jax.random.key_data(key))
        return shown["observation"], ReferenceState(legal=shown["legal"])

    def step(
        self, key: Array, state: ReferenceState, action: Array, params: Any = ()
    ) -> tuple[Array, ReferenceState, Array, Array, Array, dict[str, Array]]:
        shown = self._step(action)
        return (
            shown["observation"],
            ReferenceState(legal=shown["legal"]),
            shown["reward"],
            shown["terminated"],
            shown["truncated"],
            {"final_observation": shown["final_observation"]},
        )

    # -- the way to the host

    def _batched(self, host: Any) -> Any:
        """`host`, given an array [B, ...], as a function of one instance that vmap makes one call
        of."""

        @custom_vmap
        def call(argument: Array) -> Any:
            shapes = self._shapes(())
            return io_callback(
                functools.partial(self._single, host), shapes, argument, ordered=True
            )

        @call.def_vmap
        def call_batch(size: int, batched: Any, argument: Array) -> Any:
            del batched  # keys and actions are those of the instances, so always
            shapes = self._shapes((size,))
            shown = io_callback(host, shapes, argument, ordered=True)
            return shown, jax.tree.map(lambda _: True, shapes)

        return call

    def _single(self, host: Any, argument: Array) -> Any:
        return jax.tree.map(lambda x: x[0], host(np.asarray(argument)[None]))

    def _shapes(self, batch: tuple[int, ...]) -> dict[str, jax.ShapeDtypeStruct]:
        space = self._observation_space
        observation = jax.ShapeDtypeStruct((*batch, *space.shape), space.dtype)
        return {
            "observation": observation,
            "final_observation": observation,
            "reward": jax.ShapeDtypeStruct(batch, jnp.float32),
            "terminated": jax.ShapeDtypeStruct(batch, bool),
            "truncated": jax.ShapeDtypeStruct(batch, bool),
            "legal": jax.ShapeDtypeStruct((*batch, self._num_legal), bool),
        }

    def _host_reset(self, keys: Array) -> dict[str, np.ndarray]:
        self._check(len(keys))
        words = np.asarray(keys)[0].tolist()
        seed = int(np.random.SeedSequence(words).generate_state(1)[0])
        return self._shown(self.reference.reset(seed))

    def _host_step(self, actions: Array) -> dict[str, np.ndarray]:
        self._check(len(actions))
        return self._shown(self.reference.step(np.asarray(actions)))

    def _check(self, size: int) -> None:
        if size != self.reference.num_envs:
            raise ValueError(
                f"{self.name}: called for {size} instances, made for {self.reference.num_envs}; "
                "vmap over exactly those"
            )

    def _shown(self, outcome: Outcome) -> dict[str, np.ndarray]:
        final = outcome.final_observation
        if final is None and (outcome.truncated & ~outcome.terminated).any():
            raise ValueError(
                f"{self.name}: an episode was cut off and its last observation is not shown, so "
                "its value cannot be bootstrapped; let the reference give final_observation"
            )
        dtype = self._observation_space.dtype
        shape = (len(outcome.reward), self._num_legal)
        legal = np.ones(shape, bool) if outcome.legal is None else outcome.legal
        return {
            "observation": outcome.observation.astype(dtype),
            "final_observation": (outcome.observation if final is None else final).astype(dtype),
            "reward": outcome.reward.astype(np.float32),
            "terminated": outcome.terminated,
            "truncated": outcome.truncated,
            "legal": legal[:, : self._num_legal],
        }

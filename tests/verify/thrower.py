"""A game whose draws decide how many of them are drawn: a die is thrown until the sum reaches the
target. Written twice, in numpy as what was recorded and in JAX as the translation."""

from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs import Box, Discrete, Environment
from simlift.envs import Outcome as Result
from simlift.envs.spaces import Space
from simlift.references.core import DrawLog, Outcome, ReferenceUnavailable, VectorReference
from simlift.verify.record import Recording
from simlift.verify.suite import Field, Suite, Variant

HIGHEST, FACES = 8, 6
SITES = ("die",)
VARIANT = Variant("plain")

Die = Callable[[Array], Array]
"""key -> int32 [HIGHEST], faces 1 .. 6."""


class State(struct.PyTreeNode):
    target: Array  # int32 [], 1 .. HIGHEST


class Thrower(Environment[State, None, Any]):
    name, version, default_params = "Thrower-v0", 0, None

    def __init__(self, die: Die) -> None:
        super().__init__(die)

    def action_space(self, params: None = None) -> Space:
        return Discrete(1)

    def observation_space(self, params: None = None) -> Box:
        return Box(0.0, float(HIGHEST), (1,), np.float32)

    def sample_reset_draws(self, key: Array, params: None) -> dict[str, Array]:
        return {"die": jnp.zeros(HIGHEST, jnp.int32)}

    def initial(self, draws: Mapping[str, Array], params: None) -> State:
        return State(target=jnp.int32(HIGHEST))

    def sample_draws(
        self, key: Array, state: State, action: Array, params: None
    ) -> dict[str, Array]:
        return {"die": self.config(key)}

    def transition(
        self, state: State, action: Array, draws: Mapping[str, Array], params: None
    ) -> tuple[State, Result]:
        before = jnp.cumsum(draws["die"]) - draws["die"]
        thrown = before < state.target
        last = jnp.sum(draws["die"], where=thrown)
        used = {"die": jnp.sum(thrown, dtype=jnp.int32)}
        return State(target=1 + last % HIGHEST), Result(
            reward=last.astype(jnp.float32), terminated=jnp.bool_(False), draws_used=used
        )

    def observe(self, state: State, params: None) -> Array:
        return state.target.astype(jnp.float32).reshape(1)

    def render(self, state: State, params: None = None) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)


def recorded(seed: int, num_envs: int = 20_000) -> Recording:
    """One step of each instance, from any target."""
    generator = np.random.default_rng(seed)
    target = generator.integers(1, HIGHEST + 1, num_envs).astype(np.int32)
    faces = generator.integers(1, FACES + 1, (num_envs, HIGHEST))
    thrown = np.cumsum(faces, 1) - faces < target[:, None]
    last = np.sum(faces, 1, where=thrown)
    nothing = np.zeros((1, num_envs), bool)
    return Recording(
        snapshots={"target": np.stack([target, 1 + last % HIGHEST]).astype(np.int32)},
        action=np.zeros((1, num_envs), np.int32),
        outcome=Outcome(
            observation=target[None, :, None].astype(np.float32),
            reward=last[None].astype(np.float32),
            terminated=nothing,
            truncated=nothing,
        ),
        draws=DrawLog(
            count=thrown.sum(1)[None].astype(np.int32),
            site=np.zeros((1, num_envs, HIGHEST), np.int16),
            value=faces[None],
        ),
    )


def draws(log: DrawLog) -> tuple[Any, Any]:
    """Throws that were not thrown are 0."""
    size = len(log.count)
    faces = np.zeros((2, size, HIGHEST), np.int32)
    width = log.value.shape[-1]
    held = np.arange(width) < log.count[:, None]
    faces[0, :, :width] = np.where(held, log.value, 0)
    return {"die": faces[0]}, {"die": faces[1]}


def thrower(die: Die) -> Suite:
    """The suite of a translation that throws this die."""
    env = Thrower(die)

    def reference(variant: Variant, num_envs: int) -> VectorReference:
        raise ReferenceUnavailable("it is recorded only")

    return Suite(
        name="thrower",
        package="thrower",
        variants=(VARIANT,),
        environment=lambda variant: (env, None),
        reference=reference,
        fields={"target": Field(lambda t: t.state.target)},
        state=lambda before, params: State(target=before["target"]),
        draws=draws,
        score=lambda snapshot, returns: returns,
        policies=lambda variant: {},
        reference_name="thrower",
        reference_version="1",
    )

"""The lock as a reference, as an environment, and the suite between them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs import Box, Discrete, Environment
from simlift.envs import Outcome as Step
from simlift.references.core import Draw, DrawLog, Outcome, Reference, Snapshot
from simlift.references.vector import EPISODE_SEED, SerialVector
from simlift.verify.coverage import CoveragePlan, Source
from simlift.verify.record import Recording
from simlift.verify.suite import Field, Suite, Variant, ignored

from . import lock_upstream

CODE = (2, 0, 3, 1, 0, 1, 2, 3, 0, 2)
NUM_ACTIONS = 4
PATH = Path(lock_upstream.__file__)


class LockReference(Reference):
    name, version = "lock", "1"

    def __init__(self) -> None:
        self.lock = lock_upstream.Lock()

    def reset(self, seed: int) -> Outcome:
        self.lock = lock_upstream.Lock()
        return self._outcome(False)

    def step(self, action: Any) -> Outcome:
        return self._outcome(self.lock.turn(int(action)))

    def draws(self) -> list[Draw]:
        return []

    def snapshot(self) -> Snapshot:
        return {"wheel": np.array(self.lock.wheel, np.int32)}

    def restore(self, snapshot: Snapshot) -> None:
        self.lock.wheel = int(snapshot["wheel"])

    def _outcome(self, opened: bool) -> Outcome:
        return Outcome(
            observation=np.array([self.lock.wheel], np.float32),
            reward=np.array(opened, np.float32),
            terminated=np.array(opened),
            truncated=np.array(False),
        )


@struct.dataclass(frozen=True, kw_only=True)
class State:
    wheel: Array  # int32 []


@struct.dataclass(frozen=True, kw_only=True)
class Params:
    code: Array = struct.field(default_factory=lambda: jnp.asarray(CODE, jnp.int32))


class LockEnv(Environment[State, Params, Array]):
    """broken: a wheel that any action turns, -1 for none."""

    name, version = "Lock-v0", 0

    def __init__(self, broken: int = -1) -> None:
        super().__init__(broken)

    @property
    def default_params(self) -> Params:
        return Params()

    def action_space(self, params: Params | None = None) -> Discrete:
        return Discrete(NUM_ACTIONS)

    def observation_space(self, params: Params | None = None) -> Box:
        return Box(0.0, float(len(CODE)), (1,), np.float32)

    def sample_reset_draws(self, key: Array, params: Params) -> Array:
        return jnp.zeros((), jnp.int32)

    def initial(self, draws: Array, params: Params) -> State:
        return State(wheel=jnp.zeros((), jnp.int32))

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> Array:
        return jnp.zeros((), jnp.int32)

    def transition(
        self, state: State, action: Array, draws: Array, params: Params
    ) -> tuple[State, Step]:
        right = (action == params.code[state.wheel]) | (state.wheel == self.config)
        wheel = jnp.where(right, state.wheel + 1, 0)
        opened = wheel == len(CODE)
        state = State(wheel=jnp.where(opened, 0, wheel))
        reward = opened.astype(jnp.float32)
        return state, Step(reward=reward, terminated=opened, draws_used={}, info={})

    def observe(self, state: State, params: Params) -> Array:
        return state.wheel.astype(jnp.float32)[None]

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)


def random(generator: np.random.Generator, outcome: Outcome, snapshot: Snapshot) -> np.ndarray:
    return generator.integers(0, NUM_ACTIONS, len(snapshot["wheel"]))


def content(recording: Recording) -> Mapping[str, Mapping[str, int]]:
    counts = {str(a): int((recording.action == a).sum()) for a in range(NUM_ACTIONS)}
    return {"action": counts, "lock": {"opened": int(recording.outcome.terminated.sum())}}


PLAN = CoveragePlan(
    kind="python",
    sources=[
        Source(
            name="lock_upstream.py",
            path=lambda: PATH,
            excluded={"Lock.__init__": "runs at a reset", "Lock.describe": "only for people"},
        )
    ],
)


def _no_draws(log: DrawLog) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(len(log.count), np.int32), np.zeros(len(log.count), np.int32)


def lock_suite(broken: int = -1, plan: CoveragePlan = PLAN) -> Suite:
    def environment(variant: Variant) -> tuple[LockEnv, Params]:
        return LockEnv(broken), Params()

    def reference(variant: Variant, num_envs: int) -> SerialVector:
        return SerialVector(LockReference, num_envs)

    fields = {"wheel": Field(lambda t: t.state.wheel), EPISODE_SEED: Field(None, ignored("none"))}
    return Suite(
        name="lock",
        package="lock",
        variants=(Variant("ten wheels"),),
        environment=environment,
        reference=reference,
        fields=fields,
        state=lambda before, params: State(wheel=before["wheel"]),
        draws=_no_draws,
        reset_draws_used={},
        score=lambda snapshot, returns: returns,
        policies=lambda variant: {"random": random},
        coverage=plan,
        content=content,
        reference_name="lock",
        reference_version="1",
    )

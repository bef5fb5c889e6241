"""A whirl, written twice: two numbers that fold over and over (the logistic map), so that errors
double in each step.

The start is drawn. An action in -1 .. 1 bends the fold a little. A step ends with a square root by
Newton's method, which the reference may stop early. 120 steps at most.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs import Box, Environment
from simlift.envs import Outcome as Result
from simlift.references.core import DrawLog, Outcome, Snapshot, VectorReference
from simlift.verify.floats import Budget, FloatPlan, Twin
from simlift.verify.suite import Compare, Field, Suite, Variant, ignored

SIZE, LIMIT, BOUND = 2, 120, 2**53
FOLD, BEND = 3.9, 0.05
LOOSE = 1e-9


class WhirlReference(VectorReference):
    """tolerance: of the square root; 0 goes on to the end."""

    name, version = "whirl", "1"
    draw_sites = ("start",)
    draw_bounds = (BOUND,)

    def __init__(self, num_envs: int, tolerance: float) -> None:
        self.num_envs, self.tolerance = num_envs, tolerance
        self.place, self.time = np.zeros((num_envs, SIZE)), np.zeros(num_envs, np.int64)
        self.reset(0)

    def reset(self, seed: int) -> Outcome:
        self.seed = np.arange(self.num_envs, dtype=np.uint64) + np.uint64(seed)
        self._begin(np.ones(self.num_envs, bool))
        nothing = np.zeros(self.num_envs, bool)
        return self._outcome(np.zeros(self.num_envs), nothing)

    def step(self, actions: np.ndarray) -> Outcome:
        folded = (FOLD + BEND * actions) * self.place * (1 - self.place)
        root = np.ones_like(folded)
        for _ in range(30):
            better = 0.5 * (root + (0.1 + folded) / root)
            done = abs(better - root) <= self.tolerance
            root = np.where(done, root, better)
        self.place = root * root - 0.1
        self.time = self.time + 1
        truncated = self.time >= LIMIT
        reward = self.place[:, 0].copy()
        self._begin(truncated)
        return self._outcome(reward, truncated)

    def draws(self) -> DrawLog:
        return DrawLog(
            count=self._count.copy(),
            site=np.zeros((self.num_envs, SIZE), np.int16),
            value=self._value.copy(),
        )

    def snapshot(self) -> dict[str, np.ndarray]:
        return {"place": self.place.copy(), "time": self.time.copy(), "seed": self.seed.copy()}

    def restore(self, snapshot: Snapshot) -> None:
        self.place, self.time = np.array(snapshot["place"]), np.array(snapshot["time"])
        self.seed = np.array(snapshot["seed"])

    def _begin(self, which: np.ndarray) -> None:
        self._count = np.where(which, SIZE, 0).astype(np.int32)
        drawn = [np.random.default_rng(seed).integers(BOUND, size=SIZE) for seed in self.seed]
        self._value = np.where(which[:, None], drawn, 0)
        self.seed = self.seed + which.astype(np.uint64) * np.uint64(self.num_envs)
        self.place = np.where(which[:, None], self._value / BOUND, self.place)
        self.time = np.where(which, 0, self.time)

    def _outcome(self, reward: np.ndarray, truncated: np.ndarray) -> Outcome:
        return Outcome(
            observation=self.place.copy(),
            reward=reward.astype(np.float32),
            terminated=np.zeros(self.num_envs, bool),
            truncated=truncated,
        )


class State(struct.PyTreeNode):
    place: Array  # float [2]
    time: Array  # int32 []


class Params(struct.PyTreeNode):
    limit: Array = struct.field(default_factory=lambda: jnp.int32(LIMIT))


@dataclasses.dataclass(frozen=True)
class Fault:
    """fold: added to the fold; noise: relative, of each step."""

    fold: float = 0.0
    noise: float = 0.0


class Whirl(Environment[State, Params, Any]):
    name, version = "Whirl-v0", 0

    @property
    def default_params(self) -> Params:
        return Params()

    def action_space(self, params: Params | None = None) -> Box:
        return Box(-1.0, 1.0, (SIZE,), np.float32)

    def observation_space(self, params: Params | None = None) -> Box:
        return Box(-0.1, 1.0, (SIZE,), jnp.result_type(float))

    def sample_reset_draws(self, key: Array, params: Params) -> dict[str, Array]:
        return {"start": jax.random.uniform(key, (SIZE,))}

    def initial(self, draws: Mapping[str, Array], params: Params) -> State:
        return State(place=draws["start"], time=jnp.int32(0))

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> None:
        return None

    def transition(
        self, state: State, action: Array, draws: None, params: Params
    ) -> tuple[State, Result]:
        fault: Fault = self.config
        bent = FOLD + fault.fold + BEND * action.astype(state.place.dtype)
        place = bent * (state.place - jnp.square(state.place))
        place = place * (1 + fault.noise * jnp.sin(1e5 * place))
        after = State(place=place, time=state.time + 1)
        return after, Result(
            reward=place[0].astype(jnp.float32),
            terminated=jnp.zeros((), bool),
            draws_used={"start": jnp.int32(0)},
            info={"high": (place[0] > 0.9).astype(jnp.int32)},
        )

    def is_truncated(self, state: State, params: Params) -> Array:
        return state.time >= params.limit

    def observe(self, state: State, params: Params) -> Array:
        return state.place

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)


def draws(log: DrawLog) -> tuple[None, dict[str, Array]]:
    return None, {"start": jnp.asarray(log.value / BOUND, jnp.result_type(float))}


def policy(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    return generator.uniform(-1, 1, s["place"].shape).astype(np.float32).astype(np.float64)


def reference(variant: Variant, num_envs: int) -> WhirlReference:
    return WhirlReference(num_envs, 3e-9)


def finished(variant: Variant, num_envs: int) -> WhirlReference:
    return WhirlReference(num_envs, 0.0)


DOUBLE, SINGLE = Variant("float64", x64=True), Variant("float32")
PLAN = FloatPlan(
    variants=(SINGLE,),
    budgets={
        "place": Budget(atol=5e-6, scale=0.1),
        "outcome.observation": Budget(atol=5e-6, scale=0.1),
        "outcome.reward": Budget(atol=5e-6, scale=0.1),
    },
    twin=Twin(
        what="place moved by 1e-7",
        reference=finished,
        nudges={"place": 1e-7},
        fields=("place",),
        steps=20,
    ),
    factor=5,
    why="a toy's",
)
CLOSE = Compare("close", atol=LOOSE)


def whirl(fault: Fault | None = None, **changes: Any) -> Suite:
    """The suite; a fault on our side."""

    def environment(variant: Variant) -> tuple[Environment, Any]:
        env = Whirl(Fault() if fault is None else fault)
        return env, env.default_params

    suite = Suite(
        name="whirl",
        package="simlift.envs.spaces",  # nothing of its own is hashed
        variants=(DOUBLE,),
        environment=environment,
        reference=reference,
        fields={
            "place": Field(lambda t: t.state.place, CLOSE),
            "time": Field(lambda t: t.state.time),
            "seed": Field(None, ignored("its draws are compared instead")),
        },
        outcome={"outcome.observation": CLOSE, "outcome.reward": Compare("close", atol=1e-6)},
        state=lambda before, params: State(
            place=before["place"].astype(jnp.result_type(float)),
            time=before["time"].astype(jnp.int32),
        ),
        draws=draws,
        reset_draws_used={"start": SIZE},
        score=lambda snapshot, returns: returns,
        policies=lambda variant: {"random": policy},
        blind=("random",),
        chaotic="errors double in each step",
        floats=(PLAN,),
        finished=finished,
        recompiled=lambda variant: Compare("close", atol=1e-6),
        tallies={"high": lambda t: t.info["high"]},
        reference_name="whirl",
        reference_version="1",
    )
    return dataclasses.replace(suite, **changes)

"""A stroll along a line, written twice: in numpy as the reference, in JAX as the translation.

Start at 0 .. 3 (a draw), walk to the right end of 0 .. 9. Whoever walks may slip and go the other
way (a draw, one in ten; standing still draws nothing). +1 at the end, -0.02 a step; 30 steps at
most.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs import Box, Discrete, Environment
from simlift.envs import Outcome as Result
from simlift.envs.spaces import Space
from simlift.references.core import DrawLog, Outcome, Snapshot, VectorReference
from simlift.train.config import PPOConfig
from simlift.verify.suite import Field, Suite, Variant
from simlift.verify.transfer import TransferPlan

LENGTH, LIMIT, STARTS, SLIPS = 10, 30, 4, 10
MOVE = np.array([0, 1, -1], np.int32)
PRICE, PRIZE = 0.02, 1.0


class StrollReference(VectorReference):
    name, version = "stroll", "1"
    draw_sites = ("start", "slip")
    draw_bounds = (STARTS, SLIPS)

    def __init__(self, num_envs: int) -> None:
        self.num_envs = num_envs
        self.place, self.time = np.zeros((2, num_envs), np.int32)

    def reset(self, seed: int) -> Outcome:
        self.dice = np.random.default_rng(seed)
        self._logs: list[list[tuple[int, int]]] = [[] for _ in range(self.num_envs)]
        self._begin(np.ones(self.num_envs, bool))
        nothing = np.zeros(self.num_envs, bool)
        return Outcome(
            observation=self._seen(),
            reward=nothing.astype(np.float32),
            terminated=nothing,
            truncated=nothing,
        )

    def step(self, actions: np.ndarray) -> Outcome:
        self._logs = [[] for _ in range(self.num_envs)]
        move = MOVE[actions]
        for i in np.flatnonzero(move):
            value = int(self.dice.integers(SLIPS))
            self._logs[i].append((1, value))
            if value == 0:
                move[i] = -move[i]
        self.place = np.clip(self.place + move, 0, LENGTH - 1).astype(np.int32)
        self.time = self.time + 1
        terminated = self.place == LENGTH - 1
        truncated = self.time >= LIMIT
        final = self._seen()
        reward = (np.float32(PRIZE) * terminated - np.float32(PRICE)).astype(np.float32)
        self._begin(terminated | truncated)
        return Outcome(
            observation=self._seen(),
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            final_observation=final,
        )

    def draws(self) -> DrawLog:
        width = 2
        site, value = np.zeros((2, self.num_envs, width), np.int64)
        for i, log in enumerate(self._logs):
            for k, (where, drawn) in enumerate(log):
                site[i, k], value[i, k] = where, drawn
        count = np.array([len(log) for log in self._logs], np.int32)
        return DrawLog(count=count, site=site.astype(np.int16), value=value)

    def snapshot(self) -> dict[str, np.ndarray]:
        return {"place": self.place.copy(), "time": self.time.copy()}

    def restore(self, snapshot: Snapshot) -> None:
        self.place, self.time = snapshot["place"].copy(), snapshot["time"].copy()

    def _begin(self, which: np.ndarray) -> None:
        for i in np.flatnonzero(which):
            self.place[i], self.time[i] = self.dice.integers(STARTS), 0
            self._logs[i].append((0, int(self.place[i])))

    def _seen(self) -> np.ndarray:
        return np.stack([self.place, self.time], 1).astype(np.float32) / np.float32(LENGTH)


class State(struct.PyTreeNode):
    place: Array  # int32 []
    time: Array  # int32 []


class Params(struct.PyTreeNode):
    limit: Array = struct.field(default_factory=lambda: jnp.int32(LIMIT))
    prize: Array = struct.field(default_factory=lambda: jnp.float32(PRIZE))
    slip: Array = struct.field(default_factory=lambda: jnp.float32(1 / SLIPS))


@dataclasses.dataclass(frozen=True)
class Fault:
    """What a translation may do wrong with its draws; see `Stroll`."""

    starts: int = STARTS
    one_key: bool = False  # the step's and the reset's draws from the same bits
    shared: bool = False  # every second instance repeats its neighbour's draw
    uses: str = "slip"  # the draw that decides whether one slips
    count: int = 1  # how many it says it consumed


class Stroll(Environment[State, Params, Any]):
    name, version = "Stroll-v0", 0

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__(Fault() if fault is None else fault)

    @property
    def default_params(self) -> Params:
        return Params()

    def action_space(self, params: Params | None = None) -> Space:
        return Discrete(3)

    def observation_space(self, params: Params | None = None) -> Box:
        return Box(0.0, 3.1, (2,), np.float32)

    def sample_reset_draws(self, key: Array, params: Params) -> dict[str, Array]:
        start = jax.random.randint(key, (), 0, self.config.starts, jnp.int32)
        return {"start": start, "slip": jnp.int32(0)}

    def initial(self, draws: Mapping[str, Array], params: Params) -> State:
        return State(place=draws["start"], time=jnp.int32(0))

    def sample_draws(
        self, key: Array, state: State, action: Array, params: Params
    ) -> dict[str, Array]:
        uniform = shared(jax.random.uniform(key)) if self.config.shared else jax.random.uniform(key)
        slips = uniform < params.slip
        return {"start": jnp.int32(0), "slip": jnp.where(slips, jnp.int32(0), jnp.int32(1))}

    def sample_step(
        self, key: Array, state: State, action: Array, params: Params
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        if not self.config.one_key:
            return super().sample_step(key, state, action, params)
        word = jax.random.bits(key, (), jnp.uint32)
        slip = (word >= jnp.uint32(2**32 // SLIPS)).astype(jnp.int32)
        start = (word >> 30).astype(jnp.int32)
        return {"start": jnp.int32(0), "slip": slip}, {"start": start, "slip": jnp.int32(0)}

    def transition(
        self, state: State, action: Array, draws: Mapping[str, Array], params: Params
    ) -> tuple[State, Result]:
        move = jnp.asarray(MOVE)[action]
        drawn = {"slip": draws["slip"], "start": draws["start"], "none": jnp.int32(1)}
        signed = jnp.where(drawn[self.config.uses] == 0, -move, move)
        place = jnp.clip(state.place + signed, 0, LENGTH - 1)
        terminated = place == LENGTH - 1
        reward = jnp.where(terminated, params.prize, jnp.float32(0)) - jnp.float32(PRICE)
        consumed = (move != 0).astype(jnp.int32) * self.config.count
        return State(place=place, time=state.time + 1), Result(
            reward=reward,
            terminated=terminated,
            draws_used={"start": jnp.int32(0), "slip": consumed},
        )

    def is_truncated(self, state: State, params: Params) -> Array:
        return state.time >= params.limit

    def observe(self, state: State, params: Params) -> Array:
        seen = jnp.stack([state.place, state.time]).astype(jnp.float32)
        return seen / jnp.where(seen[0] == seen[0], jnp.float32(LENGTH), jnp.float32(1))

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)


@jax.custom_batching.custom_vmap
def shared(x: Array) -> Array:
    return x


@shared.def_vmap
def shared_batch(size: int, batched: Any, x: Array) -> Any:
    return x[jnp.arange(size) // 2 * 2], True


def draws(log: DrawLog) -> tuple[Any, Any]:
    """Each site has at most one draw a call."""
    held = np.arange(log.site.shape[1]) < log.count[:, None]

    def first(site: int) -> np.ndarray:
        here = held & (log.site == site)
        at = np.argmax(here, 1)
        return np.where(here.any(1), log.value[np.arange(len(at)), at], 0).astype(np.int32)

    slip = np.minimum(first(1), 1)
    nothing = np.zeros_like(slip)
    return {"start": nothing, "slip": slip}, {"start": first(0), "slip": nothing}


PLAN = TransferPlan(
    variant=Variant("plain"),
    config=PPOConfig(
        total_steps=24_000,
        num_envs=32,
        num_steps=32,
        learning_rate=3e-3,
        hidden_sizes=(16,),
        gamma=0.98,
    ),
    seeds=2,
    episodes=400,
    margin=0.02,
    own_margin=0.02,
    training_margin=0.3,
    why="a toy's",
    returns=(-0.6, 1.0),
)


def policy(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
    return generator.choice([0, 1, 1, 1, 2], len(s["place"]))


def stroll(fault: Fault | None = None, **params: float) -> Suite:
    """The suite; a fault of the draws, or other params (limit, prize, slip), on our side."""
    env = Stroll(fault)
    defaults = env.default_params
    changed = {k: jnp.asarray(v, getattr(defaults, k).dtype) for k, v in params.items()}
    return Suite(
        name="stroll",
        package="stroll",
        variants=(Variant("plain"),),
        environment=lambda variant: (env, defaults.replace(**changed)),
        reference=lambda variant, num_envs: StrollReference(num_envs),
        fields={name: Field(lambda t, n=name: getattr(t.state, n)) for name in ("place", "time")},
        state=lambda before, params: State(place=before["place"], time=before["time"]),
        draws=draws,
        reset_draws_used={"start": 1},
        score=lambda snapshot, returns: returns,
        policies=lambda variant: {"strolling": policy},
        transfer=PLAN,
        reference_name="stroll",
        reference_version="1",
    )

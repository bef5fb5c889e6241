"""Countdown beside its rules in numpy."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from simlift.references.core import DrawLog, Outcome, Snapshot, VectorReference
from simlift.verify.suite import Field, Property, Scenario, Suite, Variant

SLOW, FAST = Variant("slow", {"fast": False}), Variant("fast", {"fast": True})


class Slow(VectorReference):
    """Draws a coin a step, one at a reset, and resets itself."""

    name, version = "countdown", "1"
    draw_sites, draw_bounds = ("coin",), (2,)

    def __init__(self, num_envs: int, fast: bool) -> None:
        self.num_envs, self.fast = num_envs, fast

    def reset(self, seed: int) -> Outcome:
        self.generator = np.random.default_rng(seed)
        self.left = np.full(self.num_envs, 10, np.int32)
        self.timer = np.zeros(self.num_envs, np.int32)
        self.coins = self.generator.integers(0, 2, (self.num_envs, 2))
        return self._outcome(np.zeros(self.num_envs, bool), np.zeros(self.num_envs, bool))

    def step(self, actions: np.ndarray) -> Outcome:
        self.coins = self.generator.integers(0, 2, (self.num_envs, 2))
        step = (actions + 1) * (1 + self.fast)
        moved = np.maximum(self.left - step, 0)
        self.left = np.where(self.coins[:, 0] == 1, self.left, moved).astype(np.int32)
        self.timer = self.timer + 1
        terminated = self.left == 0
        truncated = ~terminated & (self.timer >= 12)
        done = terminated | truncated
        self.left = np.where(done, 10, self.left).astype(np.int32)
        self.timer = np.where(done, 0, self.timer).astype(np.int32)
        return self._outcome(terminated, truncated)

    def _outcome(self, terminated: np.ndarray, truncated: np.ndarray) -> Outcome:
        return Outcome(
            observation=np.stack([self.left, self.timer], 1).astype(np.float32),
            reward=terminated.astype(np.float32),
            terminated=terminated,
            truncated=truncated,
        )

    def draws(self) -> DrawLog:
        return DrawLog(
            count=np.ones(self.num_envs, np.int32),
            site=np.zeros((self.num_envs, 2), np.int16),
            value=self.coins.astype(np.int64),
        )

    def snapshot(self) -> dict[str, np.ndarray]:
        return {"left": self.left.copy(), "timer": self.timer.copy()}

    def restore(self, snapshot: Snapshot) -> None:
        self.left, self.timer = (snapshot[name].astype(np.int32) for name in ("left", "timer"))


def environment(variant: Variant) -> Any:
    from .env import Countdown

    env = Countdown(variant.config["fast"])
    return env, env.default_params


def properties() -> tuple[Property, ...]:
    from .dynamics import Draws, State

    states = st.builds(
        State,
        left=st.integers(1, 10).map(np.int32),
        timer=st.integers(0, 11).map(np.int32),
    )
    coins = st.integers(0, 1).map(lambda coin: Draws(coin=np.int32(coin)))
    inputs = st.tuples(states, st.integers(0, 2).map(np.int32), coins)

    def never_counts_up(env: Any, params: Any, case: Any) -> Any:
        state, action, draws = case
        after, _ = env.transition(state, action, draws, params)
        return (after.left <= state.left) & (after.left >= 0)

    return (Property("never_counts_up", "advance", SLOW, inputs, never_counts_up),)


def state(before: Any, params: Any) -> Any:
    from .dynamics import State

    return State(left=before["left"], timer=before["timer"])


def draws(log: DrawLog) -> Any:
    from .dynamics import Draws

    return tuple(Draws(coin=jnp.asarray(log.value[:, i], jnp.int32)) for i in range(2))


def policies(variant: Variant) -> dict[str, Any]:
    def random(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        return generator.integers(0, 3, len(s["left"]))

    def first(generator: np.random.Generator, outcome: Outcome, s: Snapshot) -> np.ndarray:
        return np.zeros(len(s["left"]), np.int64)

    return {"random": random, "first": first}


@functools.cache
def suite() -> Suite:
    return Suite(
        name="countdown",
        package="countdown",
        variants=(SLOW, FAST),
        environment=environment,
        reference=lambda variant, num_envs: Slow(num_envs, **variant.config),
        fields={
            "left": Field(lambda t: t.state.left),
            "timer": Field(lambda t: t.state.timer),
        },
        state=state,
        draws=draws,
        reset_draws_used={},
        score=lambda snapshot, returns: returns,
        policies=policies,
        scenarios=(Scenario("the_last_step", SLOW, {"left": 1}, [0, 0], lambda steps: True),),
        properties=properties,
        targets=("countdown.dynamics", "countdown.env"),
        reference_name="countdown",
        reference_version="1",
    )

"""Our side of a comparison: what it says, with no answer of the reference in sight.

A candidate is asked for the value that it gives to every compared field, and is shown only what a
step takes: where it starts, the action, the draws. Comparing is the judge's business (compare.py),
so that the two can live in different processes (isolation.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.core import Environment
from ..references.core import DrawLog
from .record import calls_of
from .suite import Suite, SuiteError, Transition, Variant, tally_name

Fields = dict[str, np.ndarray]


class Candidate(Protocol):
    """What a judge asks. `T` steps, `B` instances; states are opaque to whoever asks.

    inputs: {"action": [T, B], "draws": DrawLog of arrays [T, B, ...]}.
    """

    def start(self, draws: DrawLog) -> tuple[Any, Fields]:
        """States [B] after a reset that consumed `draws` [B], and what they show: every leaf of
        the state and the observation."""

    def restored(self, fields: Mapping[str, np.ndarray]) -> tuple[Any, Fields]:
        """States [B] made out of the reference's fields [B, ...], and what they show."""

    def resynchronised(self, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]) -> Fields:
        """Every compared field [T, B, ...] after each step, each from `before` [T, B, ...]."""

    def free_running(
        self, states: Any, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]
    ) -> tuple[Any, Fields]:
        """The states after T steps on our own from `states` [B], and the fields after each.

        before: the reference's fields [B, ...] where the T steps start.
        """


class Program:
    """The pure functions of one instance that a candidate compiles; mutants vmap over them."""

    def __init__(self, suite: Suite, env: Environment, params: Any, draw_sites: tuple[str, ...]):
        self.suite, self.env, self.params = suite, env, params
        self.draw_sites = draw_sites
        self.fields = suite.compared_fields()

    def values(
        self, state: Any, before: Mapping[str, Array], inputs: Mapping[str, Any]
    ) -> tuple[Any, Any, dict[str, Array]]:
        """One step: (next state, the transition, our value of every compared field).

        inputs: action, draws and reset_draws of one step, as `prepared` makes them.
        """
        transition = self.transition(state, before, inputs)
        used = transition.draws_used
        values = {name: field.ours(transition) for name, field in self.fields.items()}  # type: ignore[misc]
        values |= {f"draws.{site}": used[site] for site in self.draw_sites}
        values |= {tally_name(name): of(transition) for name, of in self.suite.tallies.items()}
        return transition.state, transition, values

    def resynchronised(
        self, before: Mapping[str, Array], inputs: Mapping[str, Any]
    ) -> dict[str, Array]:
        """One step from the reference's own state."""
        return self.values(self.suite.state(before, self.params), before, inputs)[2]

    def free_step(self, carry: Any, inputs: Mapping[str, Any]) -> tuple[Any, dict[str, Array]]:
        """One step on our own. carry: (state, our values of the reference's fields before it)."""
        state, before = carry
        state, _, values = self.values(state, before, inputs)
        after = {name: _like(name, values[name], old) for name, old in before.items()}
        return (state, after), values

    def transition(
        self, state: Any, before: Mapping[str, Array], inputs: Mapping[str, Any]
    ) -> Transition:
        observation, next_state, reward, terminated, truncated, info = self.env.step_with_draws(
            state, inputs["action"], inputs["draws"], inputs["reset_draws"], self.params
        )
        done = terminated | truncated
        result = Transition(
            before=before,
            action=inputs["action"],
            observation=observation,
            state=next_state,
            final_state=info["final_state"],
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            info=info,
            draws_used={
                site: used + done.astype(jnp.int32) * self._by_reset(site, next_state)
                for site, used in info["draws_used"].items()
            },
            legal=self.env.legal_actions(next_state, self.params),
            params=self.params,
        )
        derived = self.suite.derived or (lambda t: None)
        if self.suite.final:
            ended = result._replace(state=result.final_state)
            result = result._replace(ended=ended._replace(derived=derived(ended)))
        return result._replace(derived=derived(result))

    def _by_reset(self, site: str, state: Any) -> Any:
        count = self.suite.reset_draws_used.get(site, 0)
        return count(state) if callable(count) else count

    def prepared(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """What one step takes on our side, leaves [T, B, ...], out of what was recorded."""
        shape = inputs["action"].shape[:2]
        draws, reset_draws = jax.tree.map(
            lambda x: x.reshape(*shape, *x.shape[1:]), self.suite.draws(calls_of(inputs["draws"]))
        )
        action = inputs["action"].astype(self.env.action_space(self.params).dtype)
        return {"action": action, "draws": draws, "reset_draws": reset_draws}

    def used(self, fields: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The fields of a reference that are compared."""
        return {name: value for name, value in fields.items() if name in self.fields}


def _like(name: str, ours: Array, old: Array) -> Array:
    if ours.shape != old.shape:
        raise SuiteError(f"{name}: shapes differ: ours {ours.shape}, the reference's {old.shape}")
    return ours.astype(old.dtype)


class LocalCandidate:
    """A candidate in this process, compiled once for each shape."""

    def __init__(self, suite: Suite, variant: Variant, draw_sites: Sequence[str]) -> None:
        self.x64 = variant.x64
        with jax.enable_x64(self.x64):
            env, params = suite.environment(variant)
        program = self.program = Program(suite, env, params, tuple(draw_sites))
        self._resynchronised = jax.jit(jax.vmap(jax.vmap(program.resynchronised)))
        self._free = jax.jit(
            lambda carry, inputs: jax.lax.scan(jax.vmap(program.free_step), carry, inputs)
        )
        self._traced = jax.jit(jax.vmap(program.free_step))
        self._observe = jax.jit(jax.vmap(env.observe, in_axes=(0, None)))

    def start(self, draws: DrawLog) -> tuple[Any, Fields]:
        with jax.enable_x64(self.x64):
            suite, env, params = self.program.suite, self.program.env, self.program.params
            states = jax.vmap(env.initial, in_axes=(0, None))(suite.draws(draws)[1], params)
            return states, self._shown(states)

    def restored(self, fields: Mapping[str, np.ndarray]) -> tuple[Any, Fields]:
        with jax.enable_x64(self.x64):
            before = jax.tree.map(jnp.asarray, self.program.used(fields))
            make = self.program.suite.state
            states = jax.vmap(make, in_axes=(0, None))(before, self.program.params)
            return states, self._shown(states)

    def resynchronised(self, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]) -> Fields:
        with jax.enable_x64(self.x64):
            program = self.program
            values = self._resynchronised(program.used(before), program.prepared(inputs))
            return jax.device_get(values)

    def free_running(
        self, states: Any, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]
    ) -> tuple[Any, Fields]:
        with jax.enable_x64(self.x64):
            carry = states, jax.tree.map(jnp.asarray, self.program.used(before))
            (states, _), values = self._free(carry, self.program.prepared(inputs))
            return states, jax.device_get(values)

    def traced(
        self, states: Any, before: Mapping[str, np.ndarray], inputs: Mapping[str, Any]
    ) -> tuple[Any, Fields]:
        """`free_running` that keeps every state: (states after each step [T, B, ...], fields)."""
        with jax.enable_x64(self.x64):
            carry: Any = states, jax.tree.map(jnp.asarray, self.program.used(before))
            prepared, rows = self.program.prepared(inputs), []
            for t in range(len(inputs["action"])):  # compiled once, however long
                step = jax.tree.map(lambda x: x[t], prepared)  # noqa: B023
                carry, values = self._traced(carry, step)
                rows.append((carry[0], values))
            return jax.tree.map(lambda *steps: np.stack(steps), *jax.device_get(rows))

    def _shown(self, states: Any) -> Fields:
        leaves = self.program.env.snapshot(states)
        seen = self._observe(states, self.program.params)
        return jax.device_get({**{f"state.{k}": v for k, v in leaves.items()}, "observation": seen})

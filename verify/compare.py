"""The comparison itself, on the JAX side: every recorded transition against our own (L3).

E2 puts our state back to the reference's before each step, so each faulty step shows by itself;
E3 runs free from the reset, auto-resets included, so composition is shown as well.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.core import Environment
from ..references.core import DrawLog, Outcome
from .record import Recording
from .suite import Suite, Transition


@dataclasses.dataclass(frozen=True)
class Difference:
    """Where two sides disagree. bad: bool [T, B]; by_field: number of transitions a field."""

    bad: np.ndarray
    by_field: dict[str, int]

    @property
    def count(self) -> int:
        return int(self.bad.sum())

    def first(self) -> tuple[int, int]:
        """(step, instance) of the earliest difference."""
        step = int(np.argmax(self.bad.any(1)))
        return step, int(np.argmax(self.bad[step]))


class Trace(NamedTuple):
    """Every compared field of a recording on both sides, our side running free.

    reference, ours: field -> [T, B, ...]; differs: field -> bool [T, B]; states: our states after
    each step, leaves [T, B, ...]. All numpy.
    """

    reference: dict[str, np.ndarray]
    ours: dict[str, np.ndarray]
    differs: dict[str, np.ndarray]
    states: Any


class Comparison:
    """Both comparisons of one suite for one variant, compiled once."""

    def __init__(self, suite: Suite, env: Environment, params: Any, draw_sites: tuple[str, ...]):
        self.suite, self.env, self.params = suite, env, params
        self.draw_sites = draw_sites
        self.fields = suite.compared_fields()
        self._resynchronised = jax.jit(self._compare_resynchronised)
        self._free = jax.jit(self._compare_free)
        self._traced = jax.jit(jax.vmap(self._trace_one))

    # -- what callers use

    def resynchronised(self, recording: Recording) -> Difference:
        """E2: every step from the reference's own state."""
        bad, by_field = self._resynchronised(self._inputs(recording))
        return self._difference(bad, by_field)

    def start(self, draws: DrawLog) -> Any:
        """Our states [B] after a reset with the draws that the reference's reset consumed."""
        reset_draws = self.suite.draws(draws)[1]
        return jax.vmap(self.env.initial, in_axes=(0, None))(reset_draws, self.params)

    def synchronised(self, recording: Recording) -> Any:
        """Our states [B], made out of the reference's at the start of a recording."""
        return self.restored({name: value[0] for name, value in recording.snapshots.items()})

    def restored(self, snapshots: Mapping[str, np.ndarray]) -> Any:
        """Our states [B], made out of the reference's fields [B, ...]."""
        before = {name: jnp.asarray(value) for name, value in self._used(snapshots).items()}
        return jax.vmap(self.suite.state, in_axes=(0, None))(before, self.params)

    def free_running(self, states: Any, recording: Recording) -> tuple[Any, Difference]:
        """E3: from `states` [B] on our own. Returns the states after the recording."""
        states, bad, by_field = self._free(states, self._inputs(recording))
        return states, self._difference(bad, by_field)

    def trace(self, states: Any, recording: Recording) -> Trace:
        """E3 from `states` [B], keeping all that both sides said instead of only what differs."""
        inputs, steps = self._inputs(recording), []
        for t in range(recording.num_steps):  # compiled once, however long the recording
            states, shown = self._traced(states, jax.tree.map(lambda x: x[t], inputs))  # noqa: B023
            steps.append(shown)
        *sides, traced = jax.tree.map(lambda *rows: np.stack(rows), *jax.device_get(steps))
        names = [*self.fields, *(f"draws.{site}" for site in self.draw_sites)]  # jit sorts them
        reference, ours, differs = ({name: side[name] for name in names} for side in sides)
        return Trace(reference, ours, differs, traced)

    def reset_difference(self, states: Any, recording: Recording, first: Outcome) -> int:
        """How many instances differ right after the reset, in state or observation."""
        theirs = self.synchronised(recording)
        wrong = jnp.zeros(recording.num_envs, bool)
        for a, b in zip(jax.tree.leaves(states), jax.tree.leaves(theirs), strict=True):
            wrong |= (a != b).reshape(len(a), -1).any(1)
        seen = jax.vmap(self.env.observe, in_axes=(0, None))(states, self.params)
        wrong |= (seen != first.observation).reshape(len(seen), -1).any(1)
        return int(wrong.sum())

    # -- inputs

    def _used(self, snapshots: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.suite.check_total(snapshots)
        ignored = {k for k, f in self.suite.fields.items() if f.compare.kind == "ignored"}
        return {name: value for name, value in snapshots.items() if name not in ignored}

    def _inputs(self, recording: Recording) -> dict[str, Any]:
        """The recording as a pytree of arrays [T, B, ...]."""
        snapshots = self._used(recording.snapshots)
        shape = recording.action.shape
        flat = DrawLog(
            count=recording.draws.count.reshape(-1),
            site=recording.draws.site.reshape(-1, recording.draws.site.shape[-1]),
            value=recording.draws.value.reshape(-1, recording.draws.value.shape[-1]),
        )
        draws, reset_draws = jax.tree.map(
            lambda x: x.reshape(*shape[:2], *x.shape[1:]), self.suite.draws(flat)
        )
        consumed = np.arange(flat.site.shape[-1]) < flat.count[:, None]
        outcome = recording.outcome
        return {
            "before": {k: v[:-1] for k, v in snapshots.items()},
            "after": {k: v[1:] for k, v in snapshots.items()},
            "action": recording.action.astype(self.env.action_space(self.params).dtype),
            "draws": draws,
            "reset_draws": reset_draws,
            "draws_used": {
                site: (consumed & (flat.site == i)).sum(-1, dtype=np.int32).reshape(shape[:2])
                for i, site in enumerate(self.draw_sites)
            },
            "outcome": {
                "outcome.observation": outcome.observation,
                "outcome.reward": outcome.reward,
                "outcome.terminated": outcome.terminated,
                "outcome.truncated": outcome.truncated,
                **({} if outcome.legal is None else {"outcome.legal": outcome.legal}),
            },
        }

    # -- the programs, one instance at heart

    def _transition(self, state: Any, inputs: Mapping[str, Any]) -> Transition:
        observation, next_state, reward, terminated, truncated, info = self.env.step_with_draws(
            state, inputs["action"], inputs["draws"], inputs["reset_draws"], self.params
        )
        done = terminated | truncated
        return Transition(
            before=inputs["before"],
            action=inputs["action"],
            observation=observation,
            state=next_state,
            final_state=info["final_state"],
            reward=reward,
            terminated=terminated,
            truncated=truncated,
            info=info,
            draws_used={
                site: used + done.astype(jnp.int32) * self.suite.reset_draws_used.get(site, 0)
                for site, used in info["draws_used"].items()
            },
            legal=self.env.legal_actions(next_state, self.params),
            params=self.params,
        )

    def _theirs(self, inputs: Mapping[str, Any]) -> dict[str, Array]:
        theirs = {**inputs["after"], **inputs["outcome"]}
        if "outcome.legal" not in theirs:  # the reference has no mask: every action is legal
            actions = self.env.num_actions
            theirs["outcome.legal"] = np.ones(actions, bool)
        return theirs

    def _sides(
        self, transition: Transition, inputs: Mapping[str, Any]
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """(reference's, ours) of every compared field and of the draws used, one instance."""
        theirs, used = self._theirs(inputs), inputs["draws_used"]
        names = {site: f"draws.{site}" for site in self.draw_sites}
        return (
            {name: jnp.asarray(theirs[name]) for name in self.fields}
            | {name: jnp.asarray(used[site]) for site, name in names.items()},
            {name: field.ours(transition) for name, field in self.fields.items()}  # type: ignore[misc]
            | {name: transition.draws_used[site] for site, name in names.items()},
        )

    def _wrong(self, theirs: Mapping[str, Array], ours: Mapping[str, Array]) -> dict[str, Array]:
        """bool [] a field: whether the two sides of `_sides` differ in it."""
        return {
            name: self.fields[name].compare.mismatch(ours[name], theirs[name])
            if name in self.fields
            else ours[name] != theirs[name]  # the number of draws
            for name in theirs
        }

    def _compare_one(self, state: Any, inputs: Mapping[str, Any]) -> tuple[Any, dict[str, Array]]:
        transition = self._transition(state, inputs)
        return transition.state, self._wrong(*self._sides(transition, inputs))

    def _compare_resynchronised(self, inputs: dict[str, Any]) -> Any:
        def one(inputs: Mapping[str, Any]) -> dict[str, Array]:
            state = self.suite.state(inputs["before"], self.params)
            return self._compare_one(state, inputs)[1]

        return _summary(jax.vmap(jax.vmap(one))(inputs))

    def _compare_free(self, states: Any, inputs: dict[str, Any]) -> Any:
        states, wrong = jax.lax.scan(jax.vmap(self._compare_one), states, inputs)
        return states, *_summary(wrong)

    def _trace_one(self, state: Any, inputs: Mapping[str, Any]) -> Any:
        transition = self._transition(state, inputs)
        theirs, ours = self._sides(transition, inputs)
        return transition.state, (theirs, ours, self._wrong(theirs, ours), transition.state)

    def _difference(self, bad: Array, by_field: Mapping[str, Array]) -> Difference:
        return Difference(np.asarray(bad), {k: int(v) for k, v in by_field.items() if v > 0})


def _summary(wrong: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
    """(any field differs [T, B], transitions that differ by field), of bool [T, B] a field."""
    bad = functools.reduce(jnp.logical_or, wrong.values())
    return bad, {name: x.sum() for name, x in wrong.items()}

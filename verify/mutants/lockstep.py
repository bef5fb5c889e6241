"""Recorded transitions of the reference, against all mutants at once (L2 and L3).

`T` steps, `B` instances. One compiled program for each variant plays everything: a switch says
whether our side is put back to the reference's state before each step (E2) or runs free (E3).
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import select
from ...references.core import DrawLog, Outcome
from ..candidate import LocalCandidate, Program
from ..compare import Comparison, inputs_of
from ..record import Recording, record_policy, record_tape
from ..suite import Compare, Scenario, Variant, derive_seed
from .engine import Compiled, Log
from .schemata import Instrumented

Batch = dict[str, Any]
"""start: draws of a reset, [B]; first: the observation after it, [B]; before, inputs, theirs:
[T, B]; counted: bool [T, B]; resets, resynchronised: bool [], see `Lockstep.killed`."""


class Lockstep:
    """One variant: what the reference did, and the program that compares.

    num_steps, num_envs: the shape of a recording of one policy or of several together.
    """

    def __init__(
        self,
        instrumented: Instrumented,
        variant: Variant,
        seed: int,
        num_steps: int,
        num_envs: int,
    ) -> None:
        self.instrumented, self.variant, self.seed = instrumented, variant, seed
        self.num_steps, self.num_envs = num_steps, num_envs
        self.suite = instrumented.suite
        # One that stops short would differ from the translation without any mutant in it.
        self._reference = self.suite.finished or self.suite.reference
        with self._reference(variant, 1) as reference:
            self.sites = reference.draw_sites
        self._compiled: dict[tuple[int, ...], Compiled] = {}

    def killed(
        self, batch: Batch, log: Log, *, free: bool = False, resets: bool = False
    ) -> set[int]:
        """Mutants that differ from the recording somewhere.

        free: run free instead of being re-synchronised; resets: start from our own reset, which is
        compared too, instead of the reference's state.
        """
        batch = {**batch, "resets": np.bool_(resets), "resynchronised": np.bool_(not free)}
        with jax.enable_x64(self.variant.x64):
            shape = batch["counted"].shape
            if shape not in self._compiled:
                self._compiled[shape] = Compiled(self.instrumented, self.differs, (batch,), log)
            transitions = int(batch["counted"].sum())
            return self._compiled[shape].killed(batch, transitions=transitions)

    # -- recordings

    def policies(self, names: Sequence[str]) -> Batch:
        """One batch of all these policies, from their resets on."""
        share, rest = divmod(self.num_envs, len(names))
        sizes = [max(1, share + (i < rest)) for i in range(len(names))]
        parts = [
            self.batch(*self.recorded(name, size)) for name, size in zip(names, sizes, strict=True)
        ]
        return _joined(parts, self.num_envs)

    def recorded(self, policy: str, num_envs: int) -> tuple[Outcome, DrawLog, Recording]:
        """(outcome of the reset, its draws, what one policy then did)."""
        seed = derive_seed(self.seed, self.variant.name, policy)
        act = self.suite.policies(self.variant)[policy]
        with self._reference(self.variant, num_envs) as reference:
            return next(record_policy(self.suite, reference, act, seed, self.num_steps, 1))

    def scenarios(self, scenarios: Sequence[Scenario]) -> Batch:
        """One batch of scenarios of this variant, as large as one of policies."""
        longest = max(len(scenario.actions) for scenario in scenarios)
        parts = []
        with self._reference(self.variant, 1) as reference:
            for scenario in scenarios:
                first = reference.reset(derive_seed(self.seed, scenario.name))
                first_draws, fields = reference.draws(), reference.snapshot()
                for name, value in scenario.place.items():
                    fields[name] = np.full_like(fields[name], value)
                reference.restore(fields)
                idle = longest - len(scenario.actions)
                tape = np.asarray([*scenario.actions, *[scenario.actions[-1]] * idle])
                recording = record_tape(reference, tape[:, None])
                parts.append(self.batch(first, first_draws, recording))
        return _joined(parts, self.num_envs, self.num_steps)

    def batch(self, first: Outcome, first_draws: DrawLog, recording: Recording) -> Batch:
        """first, first_draws: of the reset before it."""
        with jax.enable_x64(self.variant.x64), self.instrumented.active(0):
            candidate = LocalCandidate(self.suite, self.variant, self.sites)
            program = candidate.program
            legal = np.shape(program.env.legal_actions(_any_state(program), program.params))
            judge = Comparison(self.suite, candidate, self.sites)
            theirs = judge.theirs(recording, (*recording.action.shape[:2], *legal))
            before = {name: value[:-1] for name, value in recording.snapshots.items()}
            batch = {
                "start": self.suite.draws(first_draws)[1],
                "first": first.observation,
                "before": program.used(before),
                "inputs": program.prepared(inputs_of(recording)),
                "theirs": theirs,
                "counted": np.ones(recording.action.shape[:2], bool),
            }
            return jax.device_get(jax.tree.map(jnp.asarray, batch))

    # -- the comparison

    def differs(self, batch: Batch) -> Array:
        """bool []: whether anything that is compared differs anywhere."""
        env, params = self.suite.environment(self.variant)
        program = Program(self.suite, self.instrumented.bound(env), params, self.sites)
        states, wrong = jax.vmap(functools.partial(self._begin, program, batch["resets"]))(
            {name: value[0] for name, value in batch["before"].items()},
            batch["start"],
            batch["first"],
        )
        carry = states, {name: value[0] for name, value in batch["before"].items()}
        step = jax.vmap(functools.partial(self._step, program, batch["resynchronised"]))
        names = ("before", "inputs", "theirs", "counted")
        _, bad = jax.lax.scan(step, carry, {name: batch[name] for name in names})
        return wrong.any() | bad.any()

    def _begin(
        self, program: Program, resets: Array, before: Any, draws: Any, observation: Array
    ) -> tuple[Any, Array]:
        """(the state to start from, whether our own reset differs), one instance."""
        theirs = self.suite.state(before, program.params)
        ours = program.env.initial(draws, program.params)
        seen = program.env.observe(ours, program.params)
        wrong = program.fields["outcome.observation"].compare.mismatch(seen, observation)
        leaves = program.env.snapshot(theirs)
        for name, ours_of_it in program.env.snapshot(ours).items():
            wrong |= self.suite.compare_shown(f"state.{name}").mismatch(ours_of_it, leaves[name])
        return select(resets, ours, theirs), resets & wrong

    def _step(
        self, program: Program, resynchronised: Array, carry: Any, step: Mapping[str, Any]
    ) -> tuple[Any, Array]:
        """One step of one instance. Returns (carry, whether anything differs)."""
        theirs = self.suite.state(step["before"], program.params), step["before"]
        carry, ours = program.free_step(select(resynchronised, theirs, carry), step["inputs"])
        exact = Compare("exact")  # the number of draws
        wrong = [
            (program.fields[name].compare if name in program.fields else exact).mismatch(
                ours[name], value
            )
            for name, value in step["theirs"].items()
        ]
        return carry, step["counted"] & jnp.stack(wrong).any()


def _any_state(program: Program) -> Any:
    return program.env.reset(jax.random.key(0), program.params)[1]


def _joined(parts: Iterable[Batch], num_envs: int, num_steps: int | None = None) -> Batch:
    """Batches side by side, filled up with steps and instances that do not count."""
    parts = list(parts)
    steps = num_steps or len(parts[0]["counted"])

    def joined(axis: int, *leaves: np.ndarray) -> np.ndarray:
        x = np.concatenate(leaves, axis)
        widths = [(0, 0)] * x.ndim
        widths[axis] = (0, max(0, num_envs - x.shape[axis]))
        if axis == 1:
            widths[0] = (0, max(0, steps - len(x)))
        return np.pad(x, widths, mode="edge")

    batch = {
        name: jax.tree.map(
            functools.partial(joined, 0 if name in ("start", "first") else 1),
            *(part[name] for part in parts),
        )
        for name in parts[0]
    }
    counted = np.zeros(batch["counted"].shape, bool)
    counted[: len(parts[0]["counted"]), : sum(part["counted"].shape[1] for part in parts)] = True
    return {**batch, "counted": counted}

"""The levels of verification as columns of the matrix: which mutants each of them kills."""

import functools
from collections.abc import Callable
from typing import Any

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import Environment
from ..suite import Property, Scenario, Variant, derive_seed
from .engine import Compiled, Log
from .lockstep import Lockstep
from .schemata import Instrumented

Killer = Callable[[Instrumented, Log], set[int]]
"""(the mutants, what is noted about them) -> the numbers of those that one level kills.

Whatever a level runs on mutants is compiled by `engine.Compiled`, which keeps the log.
"""


def examples(claim: Property, count: int, seed: int) -> Any:
    """`count` inputs of a property as hypothesis draws them, stacked: leaves [count, ...]."""
    drawn: list[Any] = []

    @hypothesis.seed(derive_seed(seed, claim.name))
    @hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(inputs=claim.inputs)
    def draw(inputs: Any) -> None:
        drawn.append(inputs)

    draw()
    # A small domain is exhausted early: repeat what there is.
    rows = [drawn[i % len(drawn)] for i in range(count)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def properties(count: int, seed: int) -> Killer:
    """L1: every property of the suite, each on `count` inputs."""

    def kill(instrumented: Instrumented, log: Log) -> set[int]:
        found: set[int] = set()
        with instrumented.active(0):
            claims = instrumented.suite.properties()
            inputs = [examples(claim, count, seed) for claim in claims]
            made = [_environment(instrumented, claim.variant) for claim in claims]
        for claim, batch, (env, params) in zip(claims, inputs, made, strict=True):
            holds = functools.partial(claim.holds, instrumented.bound(env), params)

            def broken(batch: Any, holds: Any = holds) -> Array:
                return ~jnp.all(jax.vmap(holds)(batch))

            with jax.enable_x64(claim.variant.x64):
                compiled = Compiled(instrumented, broken, (batch,), log)
                found |= compiled.killed(batch, transitions=count)
        return found

    return kill


def _environment(instrumented: Instrumented, variant: Variant) -> Any:
    with jax.enable_x64(variant.x64):
        return instrumented.suite.environment(variant)


def measured(
    variant: Variant,
    measure: Callable[[Environment, Any], Any],
    judge: Callable[[Any], np.ndarray],
    transitions: int,
) -> Killer:
    """A level that measures each mutant, and judges on the host.

    measure(env, params) -> arrays, pure; judge(those of M mutants, leaves [M, ...]) -> bool [M];
    transitions: how many steps of one environment a measurement takes.
    """

    def kill(instrumented: Instrumented, log: Log) -> set[int]:
        def of_one() -> Any:
            env, params = instrumented.suite.environment(variant)
            return measure(instrumented.bound(env), params)

        with jax.enable_x64(variant.x64):
            compiled = Compiled(instrumented, of_one, (), log)
            numbers, values = compiled.values(transitions=transitions)
        return compiled.judged(numbers, np.asarray(judge(values), bool)) | compiled.misfits

    return kill


class Recordings:
    """The reference, played once: what L2 and L3 hold against the mutants.

    num_steps, num_envs: the shape of a recording; a cell of the matrix is one of them a variant.
    """

    def __init__(self, seed: int, num_steps: int, num_envs: int) -> None:
        self.seed, self.num_steps, self.num_envs = seed, num_steps, num_envs
        self._variants: dict[str, Lockstep] = {}

    def scenarios(self, instrumented: Instrumented, log: Log) -> set[int]:
        """L2: every scenario of the suite, running free where it can be."""
        found: set[int] = set()
        by_variant: dict[str, list[Scenario]] = {}
        for scenario in instrumented.suite.scenarios:
            by_variant.setdefault(repr(scenario.variant), []).append(scenario)
        for scenarios in by_variant.values():
            side = self._lockstep(instrumented, scenarios[0].variant)
            free = not instrumented.suite.chaotic
            found |= side.killed(side.scenarios(scenarios), log, free=free)
        return found

    def rollouts(self, wanted: Callable[[str], bool]) -> Killer:
        """L3: the policies whose names are wanted, re-synchronised and, where it can be, free
        running."""

        def kill(instrumented: Instrumented, log: Log) -> set[int]:
            found: set[int] = set()
            for variant in instrumented.suite.variants:
                names = [name for name in instrumented.suite.policies(variant) if wanted(name)]
                if names:
                    side = self._lockstep(instrumented, variant)
                    batch = side.policies(names)
                    found |= side.killed(batch, log)
                    free = not instrumented.suite.chaotic
                    found |= side.killed(batch, log, free=free, resets=True)
            return found

        return kill

    def _lockstep(self, instrumented: Instrumented, variant: Variant) -> Lockstep:
        key = repr(variant)
        if key not in self._variants:
            self._variants[key] = Lockstep(
                instrumented, variant, self.seed, self.num_steps, self.num_envs
            )
        return self._variants[key]


def standard(seed: int, num_examples: int, num_steps: int, num_envs: int) -> dict[str, Killer]:
    """The columns that every suite has."""
    recordings = Recordings(seed, num_steps, num_envs)
    return {
        "L1": properties(num_examples, seed),
        "L2": recordings.scenarios,
        "L3 random": recordings.rollouts(lambda name: name == "random"),
        "L3 targeted": recordings.rollouts(lambda name: name != "random"),
    }

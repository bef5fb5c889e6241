"""Mutants one after the other, each put to the parts of a step until one of them sees it (L1, E2).

Where a step is a long program, one with all mutants in it takes hours to compile, and so do all of
one each. So each is traced alone, and numpy runs what was traced.
"""

import time
from functools import partial

import jax
import numpy as np

from ..suite import Part, SuiteError
from .engine import AlreadyDiffers, Log
from .interpret import EndlessLoop, batched
from .killers import Killer, examples
from .runtime import Active, reason
from .schemata import Instrumented

REMEMBERED = 64
"""Programs that are kept in memory, some megabytes each."""


def by_parts(instrumented: Instrumented, seed: int, num_examples: int) -> dict[str, Killer]:
    """A column for each part of the suite, then L1; one asks about what none before it killed."""
    killed: set[int] = set()
    with instrumented.active(0):
        parts = instrumented.suite.parts()
    columns: dict[str, list[Part]] = {}
    for part in parts:
        columns.setdefault(part.name, []).append(part)
    with instrumented.active(0):
        columns["L1"] = [
            Part(claim.name, claim.variant, partial(examples, claim, num_examples), claim.holds)
            for claim in instrumented.suite.properties()
        ]
    return {name: partial(_killed, some, seed, killed) for name, some in columns.items()}


def _killed(
    parts: list[Part], seed: int, before: set[int], instrumented: Instrumented, log: Log
) -> set[int]:
    found: set[int] = set()
    for part in parts:
        with jax.enable_x64(part.variant.x64):
            found |= _killed_by(part, seed, before | found, instrumented, log)
    before |= found
    return found


def _killed_by(
    part: Part, seed: int, before: set[int], instrumented: Instrumented, log: Log
) -> set[int]:
    with instrumented.active(0):
        cases = part.cases(seed)
    count = len(jax.tree.leaves(cases)[0])
    states: list[Active] = []

    def wrong(number: int) -> bool:
        """Whether some case shows it."""
        # JAX keeps what it traced under a state by its id: forget both together.
        if len(states) == REMEMBERED:
            states.clear()
            jax.clear_caches()
        states.append(Active(number))
        started = time.perf_counter()
        try:
            with instrumented.active(states[-1]):
                env, params = instrumented.suite.environment(part.variant)
                agrees = partial(part.agrees, instrumented.bound(env), params)
                # A function of its own each time: JAX remembers what it traced of one.
                return not np.all(batched(lambda case: agrees(case), cases))
        except (EndlessLoop, SuiteError):  # the latter: of another shape than the reference's
            if not number:
                raise
            return True
        finally:
            log.run_seconds += time.perf_counter() - started
            log.applied |= states[-1].applied
            log.mutant_transitions += count if number else 0

    if wrong(0):
        raise AlreadyDiffers(f"{part.name} already differs with no mutant in it")
    reached = states[0].reached
    log.reached |= reached
    log.transitions += count
    found: set[int] = set()
    for number in sorted(reached - before - log.stillborn.keys()):
        try:
            if wrong(number):
                found.add(number)
        except Exception as error:  # whatever a miswritten expression raises
            log.stillborn[number] = reason(error)
    return found

"""One program, all mutants: which of them a check sees.

A check is a pure function that says whether it noticed something wrong. It is traced once with the
mutant's number as an input, vmapped over chunks of mutants that fit into memory, and compiled. The
mutants that cannot be chosen that way are traced and compiled one by one.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import jax.extend.core as jex
import jax.numpy as jnp
import numpy as np
from jax import Array

from .runtime import Active, reason
from .schemata import Instrumented

Check = Callable[..., Any]
"""(*arguments) -> arrays: for `Compiled.killed` bool [], whether something wrong was seen."""

MEMORY = 1 << 30
"""Bytes that a chunk of mutants may take."""
LIVE = 32
"""Arrays of the largest size that are taken to be alive at once."""


class AlreadyDiffers(RuntimeError):
    """The environment fails a check without any mutant in it."""


@dataclasses.dataclass
class Log:
    """What became of the mutants over several checks.

    reached: by any program; applied: chosen, or compiled alone; stillborn: number -> the error that
    it raises when traced alone; alone: those that had to be.
    """

    reached: set[int] = dataclasses.field(default_factory=set)
    applied: set[int] = dataclasses.field(default_factory=set)
    stillborn: dict[int, str] = dataclasses.field(default_factory=dict)
    alone: dict[int, str] = dataclasses.field(default_factory=dict)
    compile_seconds: float = 0.0
    run_seconds: float = 0.0
    transitions: int = 0
    mutant_transitions: int = 0


class Compiled:
    """A check, compiled for all mutants at once. Call it with arguments of the same shapes."""

    def __init__(
        self, instrumented: Instrumented, check: Check, arguments: Sequence[Any], log: Log
    ) -> None:
        started = time.perf_counter()
        self.instrumented, self.check, self.log = instrumented, check, log
        self.misfits: set[int] = set()
        jaxpr, state = self._settled(arguments)
        log.reached |= state.reached
        log.applied |= state.applied
        self.numbers = np.asarray([0, *sorted(state.applied)], np.int32)
        size = _chunk(jaxpr, len(self.numbers))
        self.padded = np.pad(self.numbers, (0, -len(self.numbers) % size))
        one = jex.jaxpr_as_fun(jaxpr)

        def every(numbers: Array, leaves: Sequence[Array]) -> Any:
            return jax.lax.map(lambda n: one(n, *leaves), numbers, batch_size=size)

        self._every = jax.jit(every).lower(self.padded, jax.tree.leaves(arguments)).compile()
        self._alone = self._each_alone(sorted(state.reached & state.excluded), arguments)
        log.compile_seconds += time.perf_counter() - started

    def killed(self, *arguments: Any, transitions: int) -> set[int]:
        """The mutants for which the check is true. Raises AlreadyDiffers where it is without any.

        transitions: how many steps of one environment the check looks at.
        """
        numbers, seen = self.values(*arguments, transitions=transitions)
        return self.judged(numbers, seen)

    def judged(self, numbers: np.ndarray, seen: np.ndarray) -> set[int]:
        """The numbers [M] that were seen, bool [M]; raises as `killed`."""
        if seen[numbers == 0].any():
            raise AlreadyDiffers(
                f"{self.instrumented.suite.name} already differs with no mutant in it; "
                "run `simlift verify` first"
            )
        return set(numbers[seen].tolist())

    def values(self, *arguments: Any, transitions: int) -> tuple[np.ndarray, Any]:
        """(numbers [M], what the check gives for each, leaves [M, ...]); 0 is the original.

        A mutant that gives arrays of other shapes is none of them, but one of `misfits`.
        """
        started = time.perf_counter()
        count = len(self.numbers)
        rows = [
            leaf[:count]
            for leaf in jax.device_get(self._every(self.padded, jax.tree.leaves(arguments)))
        ]
        fitting = []
        for number, alone in self._alone.items():
            leaves, structure = jax.tree.flatten(jax.device_get(alone(*arguments)))
            shapes = [np.shape(x) for x in leaves]
            if structure != self._structure or shapes != [x.shape[1:] for x in rows]:
                self.misfits.add(number)
                continue
            fitting.append(number)
            rows = [np.concatenate([a, b[None]]) for a, b in zip(rows, leaves, strict=True)]
        numbers = np.asarray([*self.numbers, *fitting], np.int32)
        self.log.run_seconds += time.perf_counter() - started
        self.log.transitions += transitions
        self.log.mutant_transitions += transitions * (len(numbers) - 1)
        return numbers, jax.tree.unflatten(self._structure, rows)

    def _settled(self, arguments: Sequence[Any]) -> tuple[jex.ClosedJaxpr, Active]:
        """The traced program, and the mutants that had to be left out of it."""
        excluded = frozenset(self.log.stillborn.keys() - self.log.applied)
        while True:
            try:
                jaxpr, state = self._trace(excluded, arguments)
            except Exception:
                culprit, why = self._culprit(excluded, arguments)
                self.log.alone[culprit] = why
                excluded |= {culprit}
                continue
            if not state.failed:
                return jaxpr, state
            self.log.alone.update(state.failed)
            excluded |= state.failed.keys()

    def _trace(
        self, excluded: frozenset[int], arguments: Sequence[Any]
    ) -> tuple[jex.ClosedJaxpr, Active]:
        state = Active(0, excluded)

        def chosen(number: Array, *arguments: Any) -> Any:
            state.mutant = number
            with self.instrumented.active(state):
                return self.check(*arguments)

        make = jax.make_jaxpr(chosen, return_shape=True)
        jaxpr, shapes = make(jnp.int32(0), *arguments)
        self._structure: jax.tree_util.PyTreeDef = jax.tree.structure(shapes)
        return jaxpr, state

    def _culprit(self, excluded: frozenset[int], arguments: Sequence[Any]) -> tuple[int, str]:
        """The first mutant whose presence stops the program from being traced, and why.

        Raises what the original raises if it is not a mutant that does.
        """
        everything = [m.number for m in self.instrumented.mutants if m.number not in excluded]
        self._trace(excluded | set(everything), arguments)
        low, high, why = 0, len(everything), ""
        while low < high - 1:  # the first `low` do no harm, the first `high` do
            middle = (low + high) // 2
            try:
                self._trace(excluded | set(everything[middle:]), arguments)
                low = middle
            except Exception as error:
                high, why = middle, reason(error)
        return everything[low], why or "the program cannot be traced with it"

    def _each_alone(
        self, numbers: Iterable[int], arguments: Sequence[Any]
    ) -> dict[int, Callable[..., Any]]:
        """Programs of one mutant each; none for what does not trace, or traces to the original."""
        programs: dict[int, Callable[..., Any]] = {}
        original: str | None = None
        for number in numbers:

            def alone(*arguments: Any, number: int = number) -> Array:
                with self.instrumented.active(number):
                    return self.check(*arguments)

            try:
                jaxpr = jax.make_jaxpr(alone)(*arguments)
            except Exception as error:
                self.log.stillborn[number] = reason(error)
                continue
            self.log.applied.add(number)
            original = original or self.program(0, arguments)
            if str(jaxpr) != original:  # else it is the original, here
                programs[number] = jax.jit(alone)
        return programs

    def program(self, number: int, arguments: Sequence[Any]) -> str:
        """The text of the traced program of one mutant."""

        def alone(*arguments: Any) -> Array:
            with self.instrumented.active(number):
                return self.check(*arguments)

        return str(jax.make_jaxpr(alone)(*arguments))


def _chunk(jaxpr: jex.ClosedJaxpr, count: int) -> int:
    """How many mutants to vmap over at once."""
    size = max(1, min(count, MEMORY // (LIVE * max(1, _largest(jaxpr.jaxpr)))))
    return -(-count // -(-count // size))  # chunks of about the same size


def _largest(jaxpr: Any) -> int:
    """Bytes of the largest array that a program makes."""
    sizes = [
        var.aval.size * var.aval.dtype.itemsize
        for eqn in jaxpr.eqns
        for var in eqn.outvars
        if hasattr(var.aval, "size") and hasattr(var.aval.dtype, "itemsize")
    ]
    sizes += [_largest(inner) for inner in jex.subjaxprs(jaxpr)]
    return max(sizes, default=1)

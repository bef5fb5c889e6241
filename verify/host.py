"""Where a candidate's own code runs: hazards, properties, and the answers to the judge.

`LocalHost` is this process. `isolation.IsolatedHost` has the same calls and serves them from
processes of their own.
"""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

import hypothesis
import jax

from ..envs.core import Environment
from ..references.core import Closing
from . import hazards
from .candidate import Candidate, Fields, LocalCandidate
from .evidence import Progress, gather
from .suite import EXACT, Property, Suite, Variant, derive_seed


@dataclasses.dataclass
class Row:
    """One line of the result. count: transitions for L3, else cases."""

    level: str
    variant: str
    policy: str
    count: int = 0
    mismatches: int = 0
    seconds: float = 0.0
    episodes: int = 0
    sha256: str = ""  # of what the reference did, for L3
    what: list[str] = dataclasses.field(default_factory=list)


class CandidateError(RuntimeError):
    """The candidate broke, by an exception or by dying; the message says how."""


class Host(Protocol):
    """What a verification asks of where the candidate runs."""

    def candidate(self, variant: Variant, draw_sites: Sequence[str]) -> Candidate: ...

    def same_avals(self, variant: Variant) -> Row:
        """Whether `step` takes the states that `reset` and `step` return: else nothing can run."""

    def hazards(self, variant: Variant) -> list[Row]:
        """Every check of L0."""

    def num_properties(self) -> int:
        """How many claims L1 makes."""

    def property(self, index: int, seed: int, examples: int) -> Row:
        """One claim of L1."""

    def evidence(
        self, level: str, seed: int, progress: Progress, process: int
    ) -> dict[str, Any] | None:
        """One level of `evidence.EVIDENCE`; None where the suite declares nothing for it.

        process: 0 or 1, so that two levels can be gathered at the same time.
        """

    def prove(
        self, numbers: Sequence[int], seed: int, bank: Path, progress: Progress, process: int
    ) -> dict[int, tuple[str, str]]:
        """What mutants are that survived every level, see strength.py; process: as above."""

    def policy(self, kind: str, seed: int) -> tuple[dict[str, Any], Fields]:
        """A policy that was trained on our side, see hunters.py."""

    def program(self, variant: Variant) -> str:
        """SHA-256 of the lowered program of `step`."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class LocalHost(Closing):
    """The candidate in this process: for suites at hand, tests and mutants."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self._candidates: dict[str, LocalCandidate] = {}

    def candidate(self, variant: Variant, draw_sites: Sequence[str]) -> LocalCandidate:
        key = json.dumps(dataclasses.asdict(variant), sort_keys=True)
        if key not in self._candidates:
            self._candidates[key] = LocalCandidate(self.suite, variant, draw_sites)
        return self._candidates[key]

    def same_avals(self, variant: Variant) -> Row:
        row = Row("L0", variant.name, "same_avals")
        with jax.enable_x64(variant.x64):
            try:
                row.count, row.what = hazards.same_avals(*self.suite.environment(variant))
            except (TypeError, ValueError) as error:
                row.count, row.what = 1, [" ".join(str(error).split())]
        row.mismatches = len(row.what)
        return row

    def hazards(self, variant: Variant) -> list[Row]:
        rows = []
        with jax.enable_x64(variant.x64):
            env, params = self.suite.environment(variant)
            recompiled = self.suite.recompiled
            played = hazards.play(env, params, EXACT if recompiled is None else recompiled(variant))
            for name, check in hazards.CHECKS.items():
                started = time.perf_counter()
                row = Row("L0", variant.name, name)
                try:
                    row.count, row.what = check(env, params, played)
                except Exception as error:
                    said = " ".join(f"{type(error).__name__}: {error}".split())
                    row.count, row.what = 1, [said[:500]]
                row.mismatches = len(row.what)
                row.seconds = time.perf_counter() - started
                rows.append(row)
        return rows

    def num_properties(self) -> int:
        return len(self.suite.properties())

    def property(self, index: int, seed: int, examples: int) -> Row:
        claim = self.suite.properties()[index]
        row = Row("L1", claim.variant.name, claim.name)
        started = time.perf_counter()
        settings = hypothesis.settings(
            max_examples=examples,
            deadline=None,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
            print_blob=False,
        )
        seeded = hypothesis.seed(derive_seed(seed, claim.name))
        with jax.enable_x64(claim.variant.x64):
            env, params = self.suite.environment(claim.variant)
            try:
                seeded(settings(_given(claim, env, params, row)))()
            except Exception as error:
                row.mismatches = 1
                notes = " ".join(getattr(error, "__notes__", []))
                row.what = [f"{claim.module}: {type(error).__name__}: {error}. {notes}"]
        row.seconds = time.perf_counter() - started
        return row

    def evidence(
        self, level: str, seed: int, progress: Progress, process: int = 0
    ) -> dict[str, Any] | None:
        return gather(level, self.suite, seed, progress)

    def prove(
        self, numbers: Sequence[int], seed: int, bank: Path, progress: Progress, process: int = 0
    ) -> dict[int, tuple[str, str]]:
        from . import strength

        return strength.prove(self.suite, numbers, seed, bank, progress)

    def policy(self, kind: str, seed: int) -> tuple[dict[str, Any], Fields]:
        from . import hunters  # all of training, which no other answer needs

        return hunters.train(self.suite, kind, seed)

    def program(self, variant: Variant) -> str:
        with jax.enable_x64(variant.x64):
            env, params = self.suite.environment(variant)
            key = jax.random.key(0)
            state = jax.eval_shape(env.reset, key, params)[1]
            action = jax.eval_shape(lambda key: hazards.sampled_actions(env, params, key), key)
            text = jax.jit(env.step).lower(key, state, action, params).as_text()
        return hashlib.sha256(text.encode()).hexdigest()


def _given(claim: Property, env: Environment, params: Any, row: Row) -> Callable[[], None]:
    """The property as hypothesis wants it, compiled once, counting its examples."""
    holds = jax.jit(lambda inputs: claim.holds(env, params, inputs))

    @hypothesis.given(inputs=claim.inputs)
    def test(inputs: Any) -> None:
        row.count += 1
        assert holds(inputs), claim.name

    return test

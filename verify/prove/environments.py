"""Whether two environments differ in anything that a user could observe.

That is what `step` returns and says of itself (auto-reset included), the first state, the view and
the mask, the dice being inputs like any other; the dice that a key gives; and what is declared: the
default parameters and the bounds of the spaces.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import Environment
from ..candidate import LocalCandidate
from ..compare import inputs_of
from ..record import Recording
from ..suite import Suite, SuiteError, Variant
from .domain import Between, Inputs, Layout, named, violations
from .equivalence import SAMPLES, Side, Verdict, equivalent

Make = Callable[[Variant], tuple[Environment, Any]]
"""A suite's `environment`, or that of a mutant."""
KeyT = TypeVar("KeyT", bound=Hashable)


def parts(env: Environment, layout: Layout) -> dict[str, Callable[[Mapping[str, Array]], Any]]:
    """All that a user could observe, as functions of the leaves by name."""

    def step(x: dict[str, Any]) -> Any:
        names = ("observation", "state", "reward", "terminated", "truncated", "info")
        taken = x["state"], x["action"], x["draws"], x["reset_draws"], x["params"]
        return dict(zip(names, env.step_with_draws(*taken), strict=True))

    spaces = (vars(space(layout.params)) for space in (env.action_space, env.observation_space))
    bounds = [{k: s[k] for k in ("n", "low", "high") if k in s} for s in spaces]
    declared = env.default_params, layout.params, bounds  # not traced: spaces compute on the host

    observed: dict[str, Callable[[dict[str, Any]], Any]] = {
        "declared": lambda x: declared,
        "initial": lambda x: env.initial(x["reset_draws"], x["params"]),
        "observe": lambda x: env.observe(x["state"], x["params"]),
        "legal_actions": lambda x: env.legal_actions(x["state"], x["params"]),
        "step": step,
    }

    def of_leaves(part: Callable[[dict[str, Any]], Any]) -> Callable[[Mapping[str, Array]], Any]:
        return lambda leaves: part(layout.built(leaves))

    def sampler(call: Callable[..., Any], *groups: str) -> Callable[[Mapping[str, Array]], Any]:
        def sample(leaves: Mapping[str, Array]) -> Any:
            key = jax.random.wrap_key_data(leaves["key"])
            x = layout.built(leaves)
            return call(key, *(x[group] for group in groups))

        return sample

    given = "state", "action", "params"
    return {name: of_leaves(part) for name, part in observed.items()} | {
        "sample_reset_draws": sampler(env.sample_reset_draws, "params"),
        "sample_draws": sampler(env.sample_draws, *given),
        "sample_step": sampler(env.sample_step, *given),
    }


def _with_key(inputs: Inputs) -> Inputs:
    shape = jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))
    ends = np.iinfo(shape.dtype)
    return dataclasses.replace(
        inputs,
        shapes={**inputs.shapes, "key": shape},
        ranges={**inputs.ranges, "key": Between(ends.min, ends.max)},
    )


@dataclasses.dataclass(frozen=True)
class MutantVerdict:
    """Of one mutant in all variants of a suite: `verdict` is the one that decides, in `variant`."""

    verdict: Verdict
    variant: Variant
    seconds: float


class Prover:
    """Compares environments with a suite's own, over the suite's domain."""

    def __init__(self, suite: Suite, *, samples: int = SAMPLES, seed: int = 0) -> None:
        """Raises SuiteError when the suite declares no domain."""
        if suite.domain is None:
            raise SuiteError(f"{suite.name}: nothing can be proved; declare ranges: Suite.domain")
        self.suite, self.samples, self.seed = suite, samples, seed
        self._sides = functools.lru_cache(maxsize=None)(self._original)

    def inputs(self, variant: Variant) -> Inputs:
        """The unknowns of a step in one variant. Raises DomainError."""
        with jax.enable_x64(variant.x64):
            return self._inputs(variant, Layout(*self.suite.environment(variant)))

    def _inputs(self, variant: Variant, layout: Layout) -> Inputs:
        assert self.suite.domain is not None
        return layout.inputs(self.suite.domain(variant))

    def _original(self, index: int) -> dict[str, Side]:
        variant = self.suite.variants[index]
        env, params = self.suite.environment(variant)
        layout = Layout(env, params)
        inputs = self._inputs(variant, layout)
        rolled = _with_key(inputs)
        return {
            name: Side(part, rolled if name.startswith("sample") else inputs)
            for name, part in parts(env, layout).items()
        }

    def compare(self, make: Make, timeout_s: float = 60.0) -> MutantVerdict:
        """The suite's environment against that of `make`, in every variant.

        timeout_s: of CPU time for z3, each part of an environment. The first variant in which it
        is refuted or stays open decides; else, since all is proved or enumerated, the one that took
        most.
        """
        rows: list[tuple[Verdict, Variant]] = []
        for index, variant in enumerate(self.suite.variants):
            with jax.enable_x64(variant.x64):
                rows.append((self._compared(index, make, timeout_s), variant))
            if not rows[-1][0].holds:
                break
        order = ("proved", "enumerated", "open", "refuted")
        verdict, variant = max(rows, key=lambda row: (order.index(row[0].kind), row[0].questions))
        return MutantVerdict(verdict, variant, sum(row[0].seconds for row in rows))

    def _compared(self, index: int, make: Make, timeout_s: float) -> Verdict:
        originals = self._sides(index)
        env, params = make(self.suite.variants[index])
        found: list[Verdict] = []
        try:
            made = parts(env, Layout(env, params))
            others = {name: Side(made[name], originals[name].inputs) for name in originals}
            changed = [n for n, other in others.items() if not originals[n].same_program(other)]
        except Exception as error:  # whatever a mutant raises when it is traced
            what = " ".join(str(error).split())
            return Verdict("refuted", f"cannot be run: {type(error).__name__}: {what}")
        for name in changed:
            verdict = equivalent(
                originals[name], others[name], originals[name].inputs,
                timeout_s=timeout_s, seed=self.seed, samples=self.samples,
            )  # fmt: skip
            output = ".".join(filter(None, [name, verdict.output]))
            found.append(dataclasses.replace(verdict, output=output))
            if verdict.kind == "refuted":
                break
        return _together(found)


def _together(found: list[Verdict]) -> Verdict:
    """Of all parts of an environment: the refuted one, else the open ones, else how the hardest
    was shown."""
    if not found:
        return Verdict("proved", "the same program")
    order = ("proved", "enumerated", "open", "refuted")
    decides = max(found, key=lambda v: (order.index(v.kind), v.questions, v.points))
    opens = [f"{v.output}: {v.reason}" for v in found if v.kind == "open"]
    return dataclasses.replace(
        decides,
        reason="; ".join(opens) if decides.kind == "open" else decides.reason,
        output=decides.output if decides.kind in ("open", "refuted") else "",
        seconds=sum(v.seconds for v in found),
        points=sum(v.points for v in found),
        questions=sum(v.questions for v in found),
    )


def prove_mutants(
    suite: Suite,
    mutants: Mapping[KeyT, Make],
    *,
    timeout_s: float = 60.0,
    samples: int = SAMPLES,
    seed: int = 0,
    progress: Callable[[str, float], None] = lambda what, done: None,
) -> dict[KeyT, MutantVerdict]:
    """What becomes of mutants that survived every level: proved equal, refuted, or open.

    Raises SuiteError when the suite declares no domain, ImportError where z3 is needed and missing.
    """
    prover = Prover(suite, samples=samples, seed=seed)
    verdicts = {}
    for i, (key, make) in enumerate(mutants.items()):
        progress(f"proofs: mutant {key}", i / len(mutants))
        verdicts[key] = prover.compare(make, timeout_s)
    return verdicts


def domain_violations(suite: Suite, variant: Variant, recording: Recording) -> list[str]:
    """What recorded play did outside the declared domain, a line each; empty where it is honest.

    Looked at are the reference's states as ours and our own, running free from the first of them,
    which may hold what the reference's cannot. Raises SuiteError when the suite has no domain.
    """
    inputs = Prover(suite).inputs(variant)
    candidate = LocalCandidate(suite, variant, ())
    with jax.enable_x64(variant.x64):
        before = candidate.program.used(recording.snapshots)
        given = candidate.program.prepared(inputs_of(recording))
        first, _ = candidate.restored(recording.at(0))
        free, _ = candidate.traced(first, recording.at(0), inputs_of(recording))
        make = jax.vmap(jax.vmap(suite.state, in_axes=(0, None)), in_axes=(0, None))
        states = make({k: jnp.asarray(v[:-1]) for k, v in before.items()}, candidate.program.params)
        found = []
        for some in (states, free):
            trees = {**given, "state": some}
            leaves = {n: np.asarray(x) for group in trees for n, x in named(group, trees[group])}
            found += violations(inputs, leaves)
    return list(dict.fromkeys(found))

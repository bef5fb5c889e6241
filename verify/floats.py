"""How rounding is judged, where our side computes in another precision than the reference.

Two questions, and neither has a tolerance that "seems fine":

one step    From the same inputs, rounded to our precision for both sides, how far off is each float
            field? Against a budget that counts the roundings of a step, or that may be exceeded in
            a stated share of all steps. Everything else must agree, unless the reference itself
            says the same as we do when its inputs move within the budgets: a tie at a threshold.
free run    Running free with the same actions and draws, errors grow. So does the reference's own
            when its states are moved by one unit in our last place, or, where they grow so fast
            that no two computations agree for long, that of the plan's twin. Ours must stay
            within a stated factor of that envelope at every step: at two quantiles, of a chaotic
            system in the mean over episodes and a few steps.
"""

import contextlib
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .budgets import Budget, FloatPlan, Setting, Twin
from .compare import Comparison
from .distributions import Late, judge
from .divergence import FreeRun
from .one_step import NUM_NEAR, OneStep
from .record import record_policy
from .suite import Suite, SuiteError, Variant, derive_seed

__all__ = ["Budget", "FloatPlan", "Twin", "measure"]

DISTRIBUTIONS = "late"

Progress = Callable[[str, float], None]


def measure(
    suite: Suite, seed: int, progress: Progress = lambda what, done: None
) -> dict[str, Any]:
    """Judge the rounding of one suite. The result is JSON.

    holds; applies: False where the suite has no plan, since it compares every float bit by bit;
    why: of each plan; count: transitions; mismatches; what: a line for each kind of mismatch;
    tallies: the suite's; variants: one entry each with `variant`, `factor`, the `twin` in words,
    `policies`, see `_judge`, and of a chaotic system `late`, see `distributions.judge`. Raises
    SuiteError for fields that are close but in no plan, and ReferenceUnavailable.
    """
    if not suite.floats:
        close = sorted(n for n, f in suite.compared_fields().items() if f.compare.kind == "close")
        if close:
            raise SuiteError(f"{suite.name}: {close} are compared as close; give a FloatPlan")
        why = "every float field is compared bit by bit"
        nothing: dict[str, Any] = {"count": 0, "mismatches": 0, "what": [], "variants": []}
        return {"holds": True, "applies": False, "why": why, "tallies": {}, **nothing}
    for plan in suite.floats:
        if unknown := plan.budgets.keys() - suite.compared_fields().keys():
            raise SuiteError(f"{suite.name}: budgets for {sorted(unknown)}, which are not compared")
    pairs = [(plan, variant) for plan in suite.floats for variant in plan.variants]
    variants: list[dict[str, Any]] = []
    for i, (plan, variant) in enumerate(pairs):
        comparison = Comparison.local(suite, variant)
        policies, late = [], dict[str, Late]()
        for j, policy in enumerate(suite.policies(variant)):
            share = (i + j / len(suite.policies(variant))) / len(pairs)
            progress(f"floats {variant.name}, {policy}", share)
            policies.append(_judge(suite, plan, comparison, variant, policy, seed, late))
        twin = "" if plan.twin is None else plan.twin.what
        about = {"variant": variant.name, "factor": plan.factor, "twin": twin}
        entry = {**about, "policies": policies}
        variants.append(entry | ({DISTRIBUTIONS: judge(late)} if late else {}))
    cells = [(entry, cell) for entry in variants for cell in entry["policies"]]
    mismatches = sum(cell["mismatches"] for _, cell in cells)
    mismatches += sum(len(_late(entry)["what"]) for entry in variants)
    return {
        "holds": not mismatches,
        "applies": True,
        "why": "; ".join(dict.fromkeys(plan.why for plan in suite.floats)),
        "count": sum(cell["transitions"] for _, cell in cells),
        "mismatches": mismatches,
        "what": [
            f"{entry['variant']}, {cell['policy']}: {line}"
            for entry, cell in cells
            for line in _say(cell)
        ]
        + [f"{entry['variant']}: {line}" for entry in variants for line in _late(entry)["what"]],
        "tallies": {
            name: sum(cell["tallies"][name] for _, cell in cells) for name in suite.tallies
        },
        "variants": variants,
    }


def _judge(
    suite: Suite,
    plan: FloatPlan,
    comparison: Comparison,
    variant: Variant,
    policy: str,
    seed: int,
    late: dict[str, Late],
) -> dict[str, Any]:
    """One policy: `step`, `ties` and `tallies`, see `OneStep`, `free`, see `FreeRun`, and the sum
    of what is wrong. late: filled with what is to be judged by distribution."""
    dtype = np.dtype(np.float64 if variant.x64 else np.float32)
    play_seed = derive_seed(seed, "floats", variant.name, policy)
    setting = Setting(plan, comparison, dtype, np.random.default_rng(play_seed))
    with contextlib.ExitStack() as stack:

        def reference(num_envs: int = plan.num_envs) -> Any:
            return stack.enter_context(suite.reference(variant, num_envs))

        near = functools.cache(functools.partial(reference, NUM_NEAR))
        one_step = OneStep(setting, reference(), near)
        build = suite.reference if plan.twin is None else plan.twin.reference
        once, always = (stack.enter_context(build(variant, plan.num_envs)) for _ in range(2))
        free_run = FreeRun(setting, once, always)
        if plan.steps is None and policy in suite.blind:
            late[policy] = Late(comparison)
        recordings = record_policy(
            suite, reference(), suite.policies(variant)[policy], play_seed, plan.chunk, 1
        )
        played = 0
        for _, first_draws, recording in recordings:
            if plan.steps != 0:
                one_step.add(recording)
            free_run.add(recording, first_draws)
            if policy in late:
                late[policy].add(recording, first_draws)
            played += recording.num_steps
            if plan.last_step is not None and played >= plan.last_step:
                break
    step, ties, free = one_step.fields(), one_step.ties, free_run.curves()
    over = sum(max(1, field["over"]) for field in step.values() if not field["holds"])
    return {
        "policy": policy,
        "mismatches": over + ties["unexplained"] + free["above"],
        "transitions": one_step.transitions or free_run.transitions,
        "step": step,
        "ties": ties,
        "tallies": one_step.tallies,
        "free": free,
    }


def _late(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """What one variant's distributions say, where there are any."""
    found: Mapping[str, Any] = entry.get(DISTRIBUTIONS, {"what": []})
    return found


def _say(cell: Mapping[str, Any]) -> list[str]:
    """A line for each kind of mismatch."""
    lines = [
        f"{name} is over its {field['budget']} in {field['over']} single steps, by up "
        f"to {field['worst']}"
        + (f"; a share of {field['share']:g} may be" if "share" in field else "")
        for name, field in cell["step"].items()
        if not field["holds"]
    ]
    if cell["ties"]["unexplained"]:
        lines.append(f"{cell['ties']['unexplained']} steps differ otherwise, and are no ties")
    if cell["free"]["above"]:
        curves = cell["free"]["fields"].items()
        ratios = ", ".join(f"{name} {field['ratio']['always']}" for name, field in curves)
        lines.append(f"diverges faster than the reference perturbed: {ratios}")
    return lines

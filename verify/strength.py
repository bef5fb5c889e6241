"""How strong the verification is: every mutant, the levels that kill it, and what survivors are.

The columns of the matrix are the levels that verification itself has: L1, L2, L3 (random, and all
other policies), E1 for the samplers, L4 for trained policies' returns. What no level kills is put
to the prover: equal for all inputs in the declared domain, different for one that is shown, or
open with the reason. Of a suite in parts (`Suite.parts`), whose mutants are never compiled, the
columns are the parts and L1, and what no prover can say is argued (`Suite.equivalent`).
"""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from .draws import consumed
from .evidence import Progress
from .mutants import Killer, instrument, matrix, measured, with_verdicts
from .prove.environments import MutantVerdict, prove_mutants
from .prove.tapes import differs_alone, keep
from .record import record_policy
from .samplers import SamplerKiller, gather
from .suite import Equivalent, Suite, Variant, derive_seed
from .transfer import TransferOptions
from .transfer.killer import TransferKiller
from .transfer.level import run

PROOF_TIMEOUT_S = 45.0  # of CPU time, for one part of one mutant
E1_STEPS, E1_ENVS = 4096, 64
L4_EPISODES = 24
L4_OPTIONS = TransferOptions(seeds=2, episodes=48)
L4_SHARE = 2
"""Which part of the plan's training the policies get that mutants are played with."""


def measure(suite: Suite, seed: int, progress: Progress) -> dict[str, Any] | None:
    """The evidence of level "mutants"; None where the suite names no modules to mutate.

    As `mutants.matrix`, survivors not yet put to the prover, and `concluded`; transfer_margin: how
    coarse L4 is here. Raises ReferenceUnavailable.
    """
    if not suite.targets:
        return None
    columns: dict[str, Killer] = {}
    margin = None
    if not suite.parts():
        columns["E1"] = _samplers(suite, seed)
    if suite.transfer is not None and not suite.parts():
        progress("mutants, training for L4", 0.0)
        columns["L4"], margin = _transfer(suite, seed)
    found = matrix(instrument(suite.name), seed=seed, columns=columns, progress=progress)
    verdicts, stale = argued(suite.equivalent, found)
    return concluded({**found, "transfer_margin": margin, "stale": stale}, verdicts)


def argued(
    equivalent: Sequence[Equivalent], found: Mapping[str, Any]
) -> tuple[dict[int, tuple[str, str]], list[str]]:
    """(verdicts on survivors that are equivalent by argument, a line for each stale argument)."""
    verdicts: dict[int, tuple[str, str]] = {}
    stale = []
    for one in equivalent:
        numbers = [
            row["id"]
            for row in found["mutants"]
            if row["status"] == "open"
            and row["module"].rpartition(".")[2] == one.module
            and (row["function"], row["change"]) == (one.function, one.change)
        ]
        if len(numbers) == one.count:
            verdicts |= dict.fromkeys(numbers, ("argued", one.why))
        else:
            where = f"{one.module} {one.function} {one.change}"
            stale.append(f"{where}: {one.count} argued, {len(numbers)} survive: correct or drop it")
    return verdicts, stale


def prove(
    suite: Suite, numbers: Sequence[int], seed: int, bank: Path, progress: Progress
) -> dict[int, tuple[str, str]]:
    """What these survivors are: number -> (status, reason). Raises ImportError without z3.

    A refuted one is killed by the tape that the refutation becomes, which is kept in `bank`.
    Nothing is said of any where the suite declares no domain.
    """
    if suite.domain is None:
        return {}
    instrumented = instrument(suite.name)

    def mutated(number: int) -> Any:
        return lambda variant: instrumented.environment(variant, number)

    proofs = prove_mutants(
        suite,
        {number: mutated(number) for number in numbers},
        timeout_s=PROOF_TIMEOUT_S,
        seed=seed,
        progress=progress,
    )
    return {
        number: _verdict(suite, proof, mutated(number), bank) for number, proof in proofs.items()
    }


def concluded(found: Mapping[str, Any], verdicts: Mapping[int, tuple[str, str]]) -> dict[str, Any]:
    """The matrix with the verdicts on survivors.

    Statuses are killed, proved, enumerated, argued and open; by_status and by_operator count them;
    holds: nothing is open, no argument stale; count: of the mutants; what: a line for each.
    """
    found = with_verdicts(found, verdicts)
    rows = found["mutants"]
    opened = [row for row in rows if row["status"] == "open"]
    stale = found.get("stale", [])
    return {
        **found,
        "holds": not opened and not stale,
        "count": len(rows),
        "what": [
            *(f"{row['module']}:{row['line']} {row['change']}: {row['reason']}" for row in opened),
            *stale,
        ],
        "by_status": dict(Counter(row["status"] for row in rows)),
        "by_operator": _by_operator(rows),
    }


def _verdict(suite: Suite, proof: MutantVerdict, make: Any, bank: Path) -> tuple[str, str]:
    """What becomes of a survivor: a refuted one is open unless the reference shows it as well."""
    verdict = proof.verdict
    if verdict.kind == "refuted":
        kept = keep(suite, proof.variant, verdict, make, "refuted mutant", bank)
        if kept.path is not None:
            return "killed", f"by the tape that the refutation became: {kept.path.name}"
        leaves = verdict.inputs or {}
        shown = {name: x.tolist() for name, x in leaves.items() if not name.startswith("params")}
        return "open", (
            f"differs in {verdict.output or 'running'} of variant {proof.variant.name!r}: "
            f"{verdict.reason} {shown}; no tape: {kept.reason}"
        )
    if verdict.kind == "open" and differs_alone(suite, proof.variant, make):
        return "killed", "by L3 E2, once it is compiled alone: it rounds differently then"
    return verdict.kind, verdict.reason


def _by_operator(rows: list[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """operator -> status -> how many."""
    operators = sorted({row["operator"] for row in rows})
    return {
        operator: dict(Counter(row["status"] for row in rows if row["operator"] == operator))
        for operator in operators
    }


def _samplers(suite: Suite, seed: int) -> Killer:
    """E1 over what the reference drew under the first policy of the first variant."""
    variant = suite.variants[0]
    name, policy = next(iter(suite.policies(variant).items()))
    seed = derive_seed(seed, "mutants", "samplers", name)
    with suite.reference(variant, E1_ENVS) as reference:
        *_, recording = next(record_policy(suite, reference, policy, seed, E1_STEPS, 1))
        sites = reference.draw_sites
    with jax.enable_x64(variant.x64):
        contexts = gather([consumed(suite, recording, sites)], sites)
        killer = SamplerKiller(suite, contexts, jax.random.key(seed))
    return measured(variant, killer.samples, killer.killed, transitions=recording.num_transitions)


def _transfer(suite: Suite, seed: int) -> tuple[Killer, float]:
    """L4 with policies of our side alone, trained for a part of the plan; and its margin."""
    assert suite.transfer is not None
    plan = dataclasses.replace(suite.transfer, train_in_reference=False)
    steps = plan.config.total_steps // L4_SHARE
    options = dataclasses.replace(L4_OPTIONS, total_steps=steps)
    _, stage = run(dataclasses.replace(suite, transfer=plan), seed, options)
    killer = TransferKiller(stage, episodes=L4_EPISODES)
    variant: Variant = plan.variant
    transitions = killer.num_episodes * killer.max_steps
    return measured(variant, killer.returns, killer.killed, transitions=transitions), killer.margin

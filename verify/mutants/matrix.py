"""Mutants by levels: who kills which, who alone does, and what nobody sees."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

from .engine import Log
from .killers import Killer, standard
from .parts import by_parts
from .schemata import Instrumented

Progress = Callable[[str, float], None]
"""Told what is being done, and how far it is: 0 .. 1."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class MatrixOptions:
    """num_examples: inputs of each property; num_steps, num_envs: of one recording, one a variant
    for random play and one for all other policies together."""

    num_examples: int = 200
    num_steps: int = 256
    num_envs: int = 32

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name) < 1:
                raise ValueError(f"{field.name}={getattr(self, field.name)} must be at least 1")


def silent(what: str, done: float) -> None:
    """No progress shown."""


def matrix(
    instrumented: Instrumented,
    *,
    seed: int = 0,
    options: MatrixOptions | None = None,
    columns: Mapping[str, Killer] | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run every level on every mutant.

    columns: levels beside L1, L2, L3 random and L3 targeted, or of a suite in parts beside these
    and L1, of which each kills what none before it did. Returns

    - mutants: a row each: id, module, line, function, operator, change ("before -> after"),
      killed_by (levels, in order), first (of them, or None), status ("killed" or "open"), reason;
    - levels: for each level killed, first (how many it is the first to kill), unique (how many
      nobody else kills), seconds;
    - survivors: the ids of open mutants; stillborn: rows of mutants that cannot even be traced,
      which count neither as mutants nor as killed, their reason the error;
    - count, killed, score (killed / count), transitions, mutant_transitions, mutants_per_s (mutant
      transitions a second of running), compile_seconds, run_seconds, seconds.

    Raises AlreadyDiffers when a level sees a difference without any mutant, ReferenceUnavailable.
    """
    options = options or MatrixOptions()
    started = time.perf_counter()
    log = Log()
    with instrumented.active(0):
        in_parts = bool(instrumented.suite.parts())
    if in_parts:
        killers = by_parts(instrumented, seed, options.num_examples)
    else:
        killers = standard(seed, options.num_examples, options.num_steps, options.num_envs)
    killers |= columns or {}
    killed: dict[str, set[int]] = {}
    seconds: dict[str, float] = {}
    for i, (level, kill) in enumerate(killers.items()):
        progress(f"mutants, {level}", i / len(killers))
        since = time.perf_counter()
        killed[level] = kill(instrumented, log)
        seconds[level] = time.perf_counter() - since
    rows = _rows(instrumented, killed, log)
    born = [row for row in rows if row["status"] != "stillborn"]
    count, dead = len(born), sum(row["status"] == "killed" for row in born)
    return {
        "mutants": born,
        "stillborn": [row for row in rows if row["status"] == "stillborn"],
        "survivors": [row["id"] for row in born if row["status"] == "open"],
        "levels": {
            level: {
                "killed": len(killed[level]),
                "first": sum(row["first"] == level for row in born),
                "unique": sum(row["killed_by"] == [level] for row in born),
                "seconds": seconds[level],
            }
            for level in killers
        },
        "count": count,
        "killed": dead,
        "score": dead / count if count else 0.0,
        "transitions": log.transitions,
        "mutant_transitions": log.mutant_transitions,
        "mutants_per_s": log.mutant_transitions / log.run_seconds if log.run_seconds else 0.0,
        "compile_seconds": log.compile_seconds,
        "run_seconds": log.run_seconds,
        "seconds": time.perf_counter() - started,
    }


def _rows(
    instrumented: Instrumented, killed: Mapping[str, set[int]], log: Log
) -> list[dict[str, Any]]:
    """A row for each mutant that means anything; e.g. a bool has no narrower dtype."""
    rows = []
    for mutant in instrumented.mutants:
        number = mutant.number
        levels = [level for level, numbers in killed.items() if number in numbers]
        reached = number in log.reached
        if levels:
            status, reason = "killed", ""
        elif number in log.stillborn:
            status, reason = "stillborn", log.stillborn[number]
        elif number in log.applied:
            status, reason = "open", "no level sees a difference"
        elif not reached:
            status, reason = "open", "no level reaches it"
        else:
            continue
        rows.append(
            {
                "id": number,
                "module": mutant.module,
                "line": mutant.line,
                "function": mutant.function,
                "operator": mutant.operator,
                "change": mutant.change,
                "killed_by": levels,
                "first": levels[0] if levels else None,
                "status": status,
                "reason": reason,
            }
        )
    return rows


def with_verdicts(
    found: Mapping[str, Any], verdicts: Mapping[int, tuple[str, str]]
) -> dict[str, Any]:
    """The result of `matrix`, its survivors judged.

    verdicts: id -> (status, reason), e.g. ("proved", how) for one that is equivalent, ("killed",
    the input that shows it), ("open", why). Equivalent mutants do not count in the score. Raises
    ValueError for an id that did not survive.
    """
    if wrong := verdicts.keys() - set(found["survivors"]):
        raise ValueError(f"these mutants did not survive: {sorted(wrong)}; judge survivors only")
    rows = []
    for row in found["mutants"]:
        status, reason = verdicts.get(row["id"], (row["status"], row["reason"]))
        rows.append({**row, "status": status, "reason": reason})
    dead = sum(row["status"] == "killed" for row in rows)
    different = sum(row["status"] in ("killed", "open") for row in rows)
    return {
        **found,
        "mutants": rows,
        "survivors": [row["id"] for row in rows if row["status"] == "open"],
        "killed": dead,
        "score": dead / different if different else 0.0,
    }

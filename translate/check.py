"""`simlift translate check`: the verifier's levels L2 and L3 while modules are still missing.

What stands in for a missing module asks the reference, which `simlift verify` refuses. So both
sides run in one process here, and what holds is believed for the moment only: as soon as all
modules are in, everything is verified in processes of their own.
"""

import dataclasses
import functools
import importlib.util
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import tyro

from ..envs.files import write_atomically
from ..references.core import ReferenceUnavailable
from ..verify import runner, verify
from ..verify.coverage import Source
from ..verify.prove.environments import Prover
from ..verify.story import Story
from ..verify.suite import Suite
from ..verify.suites import get_suite
from .phases import SUITE, Rendering, load, variables
from .plan import Plan
from .project import Project

LEVELS = ("L2", "L3")
INSPECTION, PLAN = "inspection.json", "notes/plan.json"


HOLDS, FAILS, CANNOT = 0, 1, 2


@dataclasses.dataclass(frozen=True)
class Options:
    """Check a translation in the current folder while modules are still missing."""

    seed: int = 0
    """Of everything random on both sides."""
    episodes: int = 20
    """Whole episodes for each variant, spread over its policies."""
    out: Path = Path("runs/check")
    """Folder for result.json."""
    bank: Path | None = None
    """Folder for tapes of divergences; OUT/bank by default."""
    outputs: str | None = None
    """Only look whether what this phase has to write is there and fits its schema."""


def check(options: Options) -> dict[str, Any]:
    """Compare both sides of the project in the current folder, and write result.json.

    64-bit types stay switched on where a variant wants them. Returns what `verify` does, and raises
    as it does; ValueError where the suite cannot be loaded, see also `check_declared`.
    """
    suite = get_suite(SUITE)
    if any(variant.x64 for variant in suite.variants):
        jax.config.update("jax_enable_x64", True)  # a callback has a thread of its own
    check_declared(suite)
    result = verify(
        suite,
        runner.Options(
            episodes=options.episodes,
            seed=options.seed,
            levels=LEVELS,
            bank=options.bank or options.out / "bank",
        ),
    )
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out / "result.json", json.dumps(result, indent=1))
    return result


def check_declared(suite: Suite) -> None:
    """Ask the suite for what only later phases need, in which it cannot be mended any more.

    Raises ValueError, in one line, for what cannot be had.
    """
    asked: dict[str, Callable[[], Any]] = {"properties": suite.properties, "parts": suite.parts}
    for target in suite.targets:
        asked[f"target {target}"] = functools.partial(_found, target)
    if suite.coverage is not None:
        for source in suite.coverage.sources:
            asked[f"coverage of {source.name}"] = functools.partial(_readable, source)
    if suite.domain is not None:
        for variant in suite.variants:
            asked[f"domain of {variant.name}"] = functools.partial(Prover(suite).inputs, variant)
    for name, ask in asked.items():
        try:
            ask()
        except Exception as error:  # of whatever kind: the suite's own code runs
            raise ValueError(f"{SUITE}: {name}: {type(error).__name__}: {error}") from error


def _readable(source: Source) -> None:
    source.path().read_bytes()


def _found(target: str) -> None:
    if importlib.util.find_spec(target) is None:
        raise ModuleNotFoundError(f"there is no module {target}")


def check_outputs(rendering: Rendering, project: Project, workspace: Path) -> None:
    """Raises ValueError, in one line, for an output that is not there or does not fit, or a plan
    that does not do what the project demands."""
    rendering.check_outputs(workspace)
    if rendering.phase == "plan":
        Plan.read(workspace / PLAN).check_demands(project.fields, PLAN)


def run(options: Options) -> int:
    """Check, and print what was found. Returns the exit code; raises as `check` does."""
    if options.outputs is not None:
        folder = Path.cwd()
        project = Project.read(folder)
        inspection = json.loads((folder / INSPECTION).read_bytes())
        rendering = load(options.outputs).render(variables(project, inspection))
        check_outputs(rendering, project, folder)
        sys.stdout.write(f"{', '.join(output.path for output in rendering.outputs)}: fits\n")
        return HOLDS
    result = check(options)
    for row in result["levels"]:
        wrong = f", {row['mismatches']} differ: {'; '.join(row['what'])}" if row["what"] else ""
        place = " ".join(filter(None, (row["level"], row["variant"], row["policy"])))
        sys.stdout.write(f"{place}: {row['count']} compared{wrong}\n")
    for story in result["divergences"]:
        sys.stdout.write(Story(**story).text() + "\n")
    return HOLDS if result["holds"] else FAILS


def main(arguments: Sequence[str] | None = None) -> int:
    """`simlift translate check`; returns the exit code, of `simlift` in general."""
    options = tyro.cli(Options, args=arguments, prog="simlift translate check")
    try:
        return run(options)
    except (ReferenceUnavailable, ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"simlift: {' '.join(str(error).split())}\n")
        return CANNOT


if __name__ == "__main__":
    raise SystemExit(main())

"""`simlift verify` and `certificate`."""

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from rich.console import Console
from rich.table import Table

from ..envs.files import write_atomically
from ..verify import certificate, runner
from ..verify.report import write_report_apart
from ..verify.story import Story
from ..verify.suite import Suite
from ..verify.suites import get_suite
from .screen import Environment, Screen


@dataclasses.dataclass(frozen=True)
class Verify:
    """Compare an environment with its reference, level by level, and write a report.

    Example: simlift verify pong --episodes 2000 --seed 12345 --json
    """

    env: Environment
    """An environment with a suite (pong), or module:attribute for a suite of your own."""
    episodes: Annotated[int, tyro.conf.arg(aliases=["--battles"])] = 200
    """Whole games for each variant, spread over its policies."""
    variants: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--variant", "--format"])] = ()
    """Variants of the suite that L3 plays; all of them by default."""
    policies: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--policy"])] = ()
    """Policies of the suite that L3 plays; all of them by default."""
    seed: int | None = None
    """Of everything random on both sides; drawn once the environment's sources are fixed, unless
    given."""
    levels: Annotated[tuple[str, ...], tyro.conf.arg(aliases=["--level"])] = runner.LEVELS
    """Of L0 (hazards), L1 (properties), L2 (scenarios), L3 (rollouts: E2 and E3), targeted (the
    same with trained policies and an explorer), E1 (samplers), floats, coverage, L4 (transfer),
    mutants; or all."""
    out: Path | None = None
    """Folder for report.html, result.json and certificate.json; runs/verify-ENV by default."""
    bank: Path | None = None
    """Folder of the regression bank; by default the package's own."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def _episodes(self, suite: Suite) -> int:
        """So many that those of the policies that were named add up to what was asked for."""
        if not self.policies:
            return self.episodes
        return -(-self.episodes * len(suite.policies(suite.variants[0])) // len(self.policies))

    def run(self, screen: Screen) -> int:
        """Verify, write the files, and show the table of levels."""
        suite = get_suite(self.env)
        out = self.out or Path("runs") / f"verify-{self.env.replace(':', '-')}"
        bank = self.bank or (runner.BANK if writable(runner.BANK) else out / "regressions")
        options = runner.Options(
            episodes=self._episodes(suite),
            seed=self.seed,
            levels=runner.ALL_LEVELS if "all" in self.levels else self.levels,
            bank=bank,
            isolated=True,
            cells=chosen_cells(suite, self.variants, self.policies),
        )
        out.mkdir(parents=True, exist_ok=True)
        with screen.progress() as progress:
            result = runner.verify(suite, options, progress)
            progress("report", 1.0)
            try:
                result["report"] = str(write_report_apart(self.env, result, out / "report.html"))
            finally:  # last: by now nothing of the candidate runs that could write over it
                shown = certificate.statement(result, suite)
                result["certificate"] = str(certificate.write(shown, out / "certificate.json"))
                write_atomically(out / "result.json", json.dumps(result, indent=1))
        if not screen.as_json:
            show_verification(screen.console, result)
        return screen.finish(result, result["holds"])


def chosen_cells(
    suite: Suite, variants: Sequence[str], policies: Sequence[str]
) -> Sequence[tuple[str, str]] | None:
    """(variant, policy) pairs of these names, None where none are named.

    Raises ValueError for a name that the suite does not have.
    """
    if not (variants or policies):
        return None
    there = {variant.name: list(suite.policies(variant)) for variant in suite.variants}
    known = dict.fromkeys(name for names in there.values() for name in names)
    for what, given, names in (("variant", variants, there), ("policy", policies, known)):
        if unknown := [name for name in given if name not in names]:
            raise ValueError(
                f"{suite.name} has no {what} {unknown[0]!r}; it has {', '.join(names)}"
            )
    return [
        (variant, policy)
        for variant in variants or there
        for policy in there[variant]
        if policy in (policies or known)
    ]


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Show what a certificate says, or check that it still stands.

    Checking says what has changed since, and plays a random sample of the rollouts again.

    Example: simlift certificate check pong
    """

    action: Annotated[Literal["check", "show"], tyro.conf.Positional]
    """check or show."""
    name: Annotated[str, tyro.conf.Positional]
    """An environment that has a certificate, or the file of one."""
    share: float = 0.2
    """Of the rollouts that are played again."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Check or show."""
        path = Path(self.name)
        if path.suffix != ".json":
            path = certificate.FOLDER / f"{self.name}.json"
        found = certificate.read(path)
        predicate = found["predicate"]
        if self.action == "show":
            if not screen.as_json:
                show_verification(screen.console, predicate)
            return screen.finish(found, predicate["holds"])
        suite = get_suite(predicate["env"])
        with screen.progress() as progress:
            result = certificate.check(found, suite, share=self.share, progress=progress)
        if not screen.as_json:
            for row in result["stale"]:
                screen.console.print(f"{row['what']}: was {row['then']}, is {row['now']}")
            for line in result["wrong"]:
                screen.console.print(line, markup=False)
            cells = len(result["sampled"])
            verdict = "stands" if result["holds"] else "does not stand: verify again"
            screen.console.print(
                f"{path.name} {verdict}; {cells} rollouts of {result['compared']:,} transitions "
                "played again"
            )
        return screen.finish(result, result["holds"])


def show_verification(console: Console, result: dict[str, Any]) -> None:
    """The rows of each level added up, then every story."""
    table = Table("level", "rows", "compared", "mismatches", "seconds")
    for level in dict.fromkeys(row["level"] for row in result["levels"]):
        rows = [row for row in result["levels"] if row["level"] == level]
        sums = [sum(row[key] for row in rows) for key in ("count", "mismatches", "seconds")]
        table.add_row(level, str(len(rows)), f"{sums[0]:,}", f"{sums[1]:,}", f"{sums[2]:.1f}")
    console.print(table)
    for row in result["levels"]:
        for line in row["what"]:
            console.print(f"{row['level']} {row['variant']} {row['policy']}: {line}", markup=False)
    for story in result.get("divergences", ()):
        console.print(Story(**story).text(), markup=False)
    reference = f"{result['reference']['name']} {result['reference']['version']}"
    if result["holds"]:
        claim = result["claim"]
        bound = claim["mismatch_rate_at_most"]
        said = f"claim {claim['class']}" if claim["class"] else "no claim without L3"
        said += f", at most {bound:.1e} of transitions differ (95 %)" if bound else ""
        console.print(
            f"{result['env']} equals {reference} on {result['compared']:,} transitions: {said}"
        )
    else:
        console.print(f"{result['env']} differs from {reference}")
    for key in ("report", "certificate"):
        if key in result:
            console.print(f"{key}: {result[key]}", soft_wrap=True)


def writable(folder: Path) -> bool:
    """Whether files can be put into `folder`, which may not exist yet."""
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)

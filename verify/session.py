"""What all levels of one verification share: options, rows, stories, and both sides."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..references.core import Outcome
from .compare import Comparison, Difference
from .evidence import EVIDENCE, Progress
from .host import Host, LocalHost, Row
from .program_host import ProgramHost
from .record import Recording
from .story import Story, tell
from .suite import Suite, Variant
from .tape import Player

LEVELS = ("L0", "L1", "L2", "L3")
DISTRIBUTIONS = "L3 distributions"
TARGETED, COVERAGE = "targeted", "coverage"
ALL_LEVELS = (*LEVELS, TARGETED, COVERAGE, *EVIDENCE)
BANK = Path(__file__).parent / "regressions"
EXAMPLES = 200  # of one L1 property
MAX_STORIES = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """episodes: whole games for each variant, spread over its policies; seed: None draws one after
    the sources of the candidate are fixed; isolated: an environment in processes of its own, which
    find the suite by its name, as a program is anyway; cells: (variant, policy) pairs, to roll out
    these alone."""

    episodes: int = 200
    seed: int | None = 0
    isolated: bool = False
    levels: Sequence[str] = LEVELS
    examples: int = EXAMPLES
    bank: Path = BANK
    cells: Sequence[tuple[str, str]] | None = None

    def __post_init__(self) -> None:
        if self.episodes < 1:
            raise ValueError(f"episodes={self.episodes} must be at least 1")
        if self.seed is not None and not 0 <= self.seed < 2**63:
            raise ValueError(f"seed={self.seed} must lie in 0 .. 2**63 - 1")
        if unknown := set(self.levels) - set(ALL_LEVELS):
            raise ValueError(f"unknown levels {sorted(unknown)}; there are {list(ALL_LEVELS)}")


def silent(what: str, done: float) -> None:
    """No progress shown."""


class Session:
    """`rows`, `stories` and `evidence` fill up as the levels run, and so does what rollouts tell:
    tallies, errors (by close field the largest in single steps), and unfinished, see `Difference`.
    """

    def __init__(self, suite: Suite, options: Options, progress: Progress = silent) -> None:
        self.suite, self.options, self.progress = suite, options, progress
        self.rows: list[Row] = []
        self.stories: list[Story] = []
        self.transitions = 0
        self.errors: dict[str, float] = {}
        self.unfinished: dict[str, Any] = {"transitions": 0, "short_by": {}}
        self.tallies = Counter(dict.fromkeys(suite.tallies, 0))
        self.evidence: dict[str, dict[str, Any]] = {}
        self.seed = options.seed or 0
        self.host: Host = LocalHost(suite) if suite.program is None else ProgramHost(suite)
        self._comparisons: dict[str, tuple[Comparison, Player]] = {}

    def row(self, level: str, variant: str = "", policy: str = "") -> Row:
        self.rows.append(Row(level, variant, policy))
        return self.rows[-1]

    def note(self, found: Difference) -> None:
        """What single steps told besides where they differ."""
        self.tallies.update(found.tallies)
        self.unfinished["transitions"] += found.unfinished
        for total, part in (
            (self.errors, found.errors),
            (self.unfinished["short_by"], found.short_by),
        ):
            for name, error in part.items():
                total[name] = max(error, total.get(name, 0.0))

    def sides(self, variant: Variant) -> tuple[Comparison, Player]:
        """Both sides of one variant, compiled once."""
        key = repr(variant)
        if key not in self._comparisons:
            with self.suite.reference(variant, 1) as reference:
                sites = reference.draw_sites
            candidate = self.host.candidate(variant, sites)
            comparison = Comparison(self.suite, candidate, sites, variant)
            self._comparisons[key] = comparison, Player(self.suite, comparison, variant)
        return self._comparisons[key]

    def tell(
        self,
        row: Row,
        variant: Variant,
        recording: Recording,
        found: Difference,
        *,
        seed: int,
        steps_before: int = 0,
    ) -> None:
        """Shrink the first difference of a recording, keep it in the bank, note it in `row`."""
        step, instance = found.first()
        story = tell(
            self.suite,
            self.sides(variant)[1],
            recording,
            self.options.bank,
            level=row.level,
            policy=row.policy,
            seed=seed,
            steps_before=steps_before,
            step=step,
            instance=instance,
            transitions=found.count,
            by_field=found.by_field,
        )
        row.what.append(f"{story.field} at step {story.step}; simlift replay {story.tape}")
        if len(self.stories) < MAX_STORIES:
            self.stories.append(story)


def outcome_at(outcome: Outcome, step: int) -> Outcome:
    """The outcome of one step of instance 0."""
    values = {f.name: getattr(outcome, f.name) for f in dataclasses.fields(outcome)}
    return Outcome(**{k: None if v is None else v[step, 0] for k, v in values.items()})  # type: ignore[arg-type]

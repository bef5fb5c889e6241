"""`simlift transfer`."""

import dataclasses
from typing import Any

from rich.console import Console
from rich.table import Table

from ..verify.suites import get_suite
from .screen import Environment, Screen


@dataclasses.dataclass(frozen=True)
class Transfer:
    """Train policies on both sides, play each on both, and test whether the returns are equivalent.

    Example: simlift transfer pong --seed 1
    """

    env: Environment
    """An environment whose suite says what to train, or module:attribute."""
    seed: int = 0
    """Of training and playing."""
    seeds: int | None = None
    """Policies trained on each side, instead of the plan's."""
    episodes: int | None = None
    """Pairs of episodes, instead of the plan's."""
    total_steps: int | None = None
    """Environment steps of each training run, instead of the plan's."""
    alpha: float = 0.05
    """Of each test."""
    early_stop: bool = False
    """Stop playing as soon as the bets have declared equivalence."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Train, play, and show each comparison with its power."""
        from ..verify.transfer import TransferOptions, transfer
        from ..verify.transfer.level import planned

        options = TransferOptions(
            seeds=self.seeds,
            episodes=self.episodes,
            total_steps=self.total_steps,
            alpha=self.alpha,
            early_stop=self.early_stop,
        )
        suite = get_suite(self.env)
        planned(suite, options)  # says what is wrong before anything is shown
        with screen.progress() as progress:
            result = transfer(suite, self.seed, options, progress)
        if not screen.as_json:
            show_transfer(screen.console, result)
        return screen.finish(result, result["holds"])


def show_transfer(console: Console, result: dict[str, Any]) -> None:
    """Each comparison: the gap, what was tested against, and what would have been seen."""
    columns = (
        "axis",
        "comparison",
        "n",
        "gap",
        "bounds",
        "margin",
        "power",
        "seen from",
        "verdict",
    )
    table = Table(*columns)
    for row in result["rows"]:
        verdict = "equivalent" if row["equivalent"] else "not shown"
        table.add_row(
            *(row["axis"], row["what"], str(row["n"]), f"{row['gap']:.3g}"),
            *(f"{row['low']:.3g} .. {row['high']:.3g}", f"{row['margin']:.3g}"),
            *(f"{row['power']:.3f}", f"{row['smallest_gap']:.3g}"),
            verdict if row["counts"] else f"({verdict}; for comparison)",
        )
    console.print(table)
    console.print(
        f"{result['env']}, {result['variant']}: trained policies earn {result['trained']:.4g}, "
        f"random ones {result['random']:.4g}; margins are parts of that span"
    )
    at = result["bets"]["declared_at"]
    told = f"declare equivalence after {at} pairs" if at else "do not declare equivalence"
    console.print(f"the bets, which may be looked at after every pair, {told}")
    console.print("transfers" if result["holds"] else "does not transfer, or too little was played")

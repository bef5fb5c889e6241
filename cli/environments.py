"""`simlift list`."""

import dataclasses
from typing import Any

from rich.table import Table

from ..envs.registry import list_environments, make
from ..peers import BENCHMARKS
from ..train.presets import PRESETS
from ..verify.suites import get_suite, list_suites
from .screen import Screen


@dataclasses.dataclass(frozen=True)
class List:
    """The environments that there are, and what can be done with each.

    Example: simlift list
    """

    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Print the table."""
        short = short_names()
        rows: list[dict[str, Any]] = [
            {
                "env": short.get(name, name),
                "name": name,
                "version": make(name)[0].version,
                "verify": short.get(name) in list_suites(),
                "presets": {
                    preset: recipe.about
                    for preset, recipe in PRESETS.get(short.get(name, ""), {}).items()
                },
            }
            for name in list_environments()
        ]
        table = Table("env", "make(...)", "version", "verified against", "train presets")
        for row in rows:
            suite = get_suite(row["env"]) if row["verify"] else None
            against = f"{suite.reference_name} {suite.reference_version}" if suite else "-"
            presets = "\n".join(f"{preset}: {about}" for preset, about in row["presets"].items())
            table.add_row(row["env"], row["name"], str(row["version"]), against, presets)
        if not screen.as_json:
            screen.console.print(table)
        return screen.finish({"environments": rows})


def short_names() -> dict[str, str]:
    """The command line's name of every environment that has one, by the name `make` knows."""
    return {benchmark.env: name for name, benchmark in BENCHMARKS.items()}

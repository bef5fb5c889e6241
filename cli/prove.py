"""`simlift prove`."""

import dataclasses
from typing import Annotated

import tyro

from ..verify.suites import get_suite
from .screen import CANNOT, Environment, Screen


@dataclasses.dataclass(frozen=True)
class Prove:
    """Prove that a rewritten function of an environment computes what the old one does, or show
    inputs for which it does not.

    Example: simlift prove pong dynamics move_opponent faster.py:move_opponent
    """

    env: Environment
    """An environment whose suite declares a domain, or module:attribute."""
    module: Annotated[str, tyro.conf.Positional]
    """Module of the environment that holds the function, e.g. dynamics."""
    old: Annotated[str, tyro.conf.Positional]
    """The function as it is: its name, or path.py:function."""
    new: Annotated[str, tyro.conf.Positional]
    """What is to take its place: path.py:function, path.py, or a function of the module."""
    range: tuple[str, ...] = ()
    """name=low:high[:dtype] of arguments that the domain does not know."""
    variant: tuple[str, ...] = ()
    """Variants to prove it for; all of the suite's, unless named."""
    timeout: float = 60.0
    """Seconds for the solver, each variant."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Prove, and show the verdict of each variant."""
        from ..verify.prove.rewrite import prove_rewrite

        result = prove_rewrite(
            get_suite(self.env),
            self.module,
            self.old,
            self.new,
            ranges=self.range,
            variants=self.variant,
            timeout_s=self.timeout,
        )
        if not screen.as_json:
            for row in result["variants"]:
                line = f"{row['variant']}: {row['kind']} in {row['seconds']:.1f} s, {row['reason']}"
                screen.console.print(line, markup=False)
                for name, (dtype, value) in (row["inputs"] or {}).items():
                    screen.console.print(f"  {name} = {value} ({dtype})", markup=False)
        code = screen.finish(result, bool(result["holds"]))
        return CANNOT if result["holds"] is None else code

"""`simlift translate check`."""

import dataclasses

from ...translate import check
from ..screen import Screen


@dataclasses.dataclass(frozen=True)
class Check(check.Options):
    """Compare a translation in which modules are missing with its reference, in one process.

    It is what coders run while modules still ask the reference; nothing is certified by it.

    Example: simlift translate check --episodes 5
    """

    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Check, and print what was found."""
        if screen.as_json and self.outputs is None:
            result = check.check(self)
            return screen.finish(result, result["holds"])
        return check.run(self)

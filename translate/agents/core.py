"""Who writes the code: the contract between the loop and a coder, whatever stands behind it.

An agent changes files in a workspace until it ends or is ended. How it ended and what it says of
its work are for the reader; the judge looks at the files alone.
"""

import abc
import dataclasses
from pathlib import Path
from typing import ClassVar, Literal

from ..budget import Budget
from ..prices import PriceTable
from ..sandbox import Limits, Mode

End = Literal["finished", "time", "stall", "disk", "output", "budget", "failed"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Means:
    """What an agent has for a whole run.

    model: as the agent names it; budget: of the run, which caps all attempts together; sandbox: in
    which the agent runs.
    """

    budget: Budget
    prices: PriceTable
    model: str = ""
    sandbox: Mode = "bubblewrap"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """One attempt at one item of a run.

    readable: what is shown beside the workspace, or read-only inside of it, absolute; imports:
    folders from which Python has to import too (PYTHONPATH); logs: this attempt's folder;
    max_turns: the most calls of a model; budget_usd: the most they may cost.
    """

    item: str
    attempt: int
    prompt: str
    workspace: Path
    readable: tuple[Path, ...]
    logs: Path
    limits: Limits
    max_turns: int
    budget_usd: float
    imports: tuple[Path, ...] = ()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """How an attempt ended; it never decides the verdict.

    ended: "finished" by itself; "time", "stall", "disk" or "output" by that limit; "budget" where a
    cap on turns, tokens or dollars was met; "failed" where it could not work; words: what the agent
    said last, or in one line why it was ended; turns: calls of a model; status: of its process.
    """

    ended: End
    words: str
    seconds: float
    turns: int | None = None
    status: int | None = None


class Agent(abc.ABC):
    """A coder. name: as agent.kind in simlift.toml has it.

    >>> coder = agents.make("claude", Means(model="claude-opus-5-5", budget=budget, prices=prices))
    >>> coder.check()
    >>> coder.work(task).ended
    'finished'
    """

    name: ClassVar[str]

    def __init__(self, means: Means) -> None:
        self.means = means

    @abc.abstractmethod
    def check(self) -> None:
        """Raises ValueError, in one line with the remedy, where this agent cannot work here."""

    def version(self) -> str:
        """Of the program behind it, "" where there is none. Raises ValueError as `check` does."""
        return ""

    @abc.abstractmethod
    def work(self, task: Task) -> Report:
        """Let it work on a task until it ends. Raises OSError where its logs cannot be written."""

"""Coders by name. Another one is a small file here and its entry in AGENTS, or anybody's class,
named in simlift.toml as package.module:Class."""

import pkgutil

from .claude import Claude
from .codex import Codex
from .core import Agent, End, Means, Report, Task
from .gemini import Gemini
from .handoff import Handoff
from .mini import Mini
from .replay import Replay

AGENTS: dict[str, type[Agent]] = {
    agent.name: agent for agent in (Claude, Codex, Gemini, Mini, Handoff, Replay)
}

__all__ = ["AGENTS", "Agent", "End", "Means", "Report", "Task", "make"]


def make(kind: str, means: Means) -> Agent:
    """The agent of that name. Raises ValueError for a name that stands for none."""
    chosen: object = AGENTS.get(kind)
    if chosen is None and ":" in kind:
        try:
            chosen = pkgutil.resolve_name(kind)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"agent.kind = {kind!r} cannot be imported: {error}") from None
    if not (isinstance(chosen, type) and issubclass(chosen, Agent)):
        raise ValueError(
            f"agent.kind = {kind!r} is no agent; choose one of {', '.join(AGENTS)}, or name a "
            "class of your own as package.module:Class"
        )
    return chosen(means)

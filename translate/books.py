"""The books of a run: what is told, what is spent, and who works."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import spending
from .agents import Agent, Means
from .budget import Budget, Caps
from .journal import JUDGED, PASS, STARTED, Event, Journal
from .prices import PriceTable
from .runs import RunFolder
from .sandbox import Mode
from .spending import Standing

Listener = Callable[[Event, Standing], None]
Coder = Callable[[Means], Agent]


class Stop(Exception):
    """The run cannot go on now; the message says why, and what to do."""


class Books:
    """Of one run, while its journal is open. progress: the share of its items that is done.

    Raises ValueError for caps that allow nothing, and a cassette that is damaged.
    """

    def __init__(
        self,
        folder: RunFolder,
        log: Journal,
        *,
        coder: Coder,
        mode: Mode,
        prices: PriceTable,
        listen: Listener,
    ) -> None:
        self.folder, self.log = folder, log
        self.progress: float | None = None
        project = folder.project
        self.models = (project.agent.model, *project.agent.models)
        budget = project.budget
        self._caps = Caps(dollars=budget.usd, tokens=budget.tokens, calls=budget.calls)
        self._budget = Budget(self._caps, spending.total(map(spending.metered, self._logs())))
        self._coder, self._mode, self._prices, self._listen = coder, mode, prices, listen
        self._agents: dict[str, Agent] = {}

    def tell(self, kind: str, **data: Any) -> None:
        """Write an event, and let the listener know."""
        event = self.log.append(kind, **data)
        self._listen(event, self.standing)

    # -- what was told

    @property
    def about(self) -> Mapping[str, Any]:
        """What `run_started` said."""
        return self.log.events[0].data

    @property
    def passed(self) -> list[Event]:
        """The verdicts that let an item pass."""
        return [e for e in self.log.events if e.kind == JUDGED and e.data["verdict"] == PASS]

    def said(self, kind: str, item: str, attempt: int) -> list[Mapping[str, Any]]:
        """What events of one kind said of an attempt."""
        return [
            event.data
            for event in self.log.events
            if event.kind == kind and (event.data["item"], event.data["attempt"]) == (item, attempt)
        ]

    def begun(self, item: str, attempt: int) -> Mapping[str, Any]:
        """What `attempt_started` said of an attempt."""
        return self.said(STARTED, item, attempt)[-1]

    def logs(self, item: str, attempt: int) -> Path:
        """The folder of an attempt."""
        return self.folder.folder / self.begun(item, attempt)["folder"]

    # -- what is spent

    @property
    def standing(self) -> Standing:
        """As of now."""
        told = map(spending.told, self._logs())
        return Standing(
            spent=spending.total([self._budget.spent, *told]),
            caps=self._caps,
            seconds=spending.worked(self.log.events),
            limit=self.folder.project.budget.wall_hours * 3600,
            progress=self.progress,
        )

    def allowed(self) -> Standing:
        """Where the run stands. Raises Stop where a limit of it is met."""
        standing = self.standing
        if standing.met:
            raise Stop(standing.met)
        return standing

    def _logs(self) -> list[Path]:
        return list(self.folder.folder.glob("attempts/*"))

    # -- who works

    def agent(self, model: str) -> Agent:
        """The coder with that model."""
        if model not in self._agents:
            means = Means(budget=self._budget, prices=self._prices, model=model, sandbox=self._mode)
            self._agents[model] = self._coder(means)
        return self._agents[model]

    def terms(self) -> dict[str, Any]:
        """Under which the run goes on from here: who works, for how much at most, at which prices;
        their day is that of the oldest that applies, "" where none does. Raises as Agent.version.
        """
        agent = self.agent(self.models[0])
        listed = [price for price in self._prices if price.model in self.models]
        return {
            "agent": agent.name,
            "agent_version": agent.version(),
            "models": list(self.models),
            "budget": dataclasses.asdict(self.folder.project.budget),
            "prices": min((price.read.isoformat() for price in listed if price.read), default=""),
        }

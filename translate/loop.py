"""A run: prompts go to a coder, the judge says whether what it left is right, until all of it is.

Where a run stands is read off its journal before every step, so that it can be killed anywhere and
resumed. Beside the events that decide this (see the journal) the loop tells

    run_started      run, project, simlift, tree, items (None: all), and what run_resumed says
    run_resumed      agent, agent_version, models, budget, prices
    agent_ended      item, attempt, ended, status, seconds, turns, words
    run_stopped      reason
    run_finished     outputs, certificate

and says more of an attempt: what the coder began from (base), what the item did (origin), the
tactic, the model, the folder; of a verdict its signature, score, seed, cost and commit; of items
that are opened again why.
"""

import dataclasses
import importlib.metadata
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..envs.files import write_atomically
from . import agents, crate, feedback, runs, spending, tactics
from . import judge as judges
from .agents import Report, Task
from .books import Books, Coder, Listener, Stop
from .briefing import brief
from .commits import RunBranch
from .journal import FROZEN, JUDGED, OPENED, STARTED, Journal, Step, next_step
from .phases import Item, Rendering, load, work
from .plan import Plan
from .prices import PriceTable
from .project import Project
from .runs import RunFolder
from .sandbox import Limits, Mode, probe
from .spending import Standing
from .verdict import Finding, Verdict

SCAFFOLD = "scaffold"
COULD_NOT = ("failed", "budget")
"""Ends of a coder that changed nothing, after which another attempt would end the same."""
DISK = 4 << 30  # bytes of a workspace


class Choose(Protocol):
    """As tactics.next_move."""

    def __call__(
        self,
        item: str,
        done: Sequence[tactics.Round],
        *,
        models: Sequence[str],
        flat_rounds: int,
    ) -> tactics.Move | None: ...


class Judge(Protocol):
    """As judge.judge."""

    def __call__(
        self,
        rendering: Rendering,
        project: Project,
        copy: RunBranch,
        *,
        base: str,
        tree: str,
        folder: Path,
        mode: Mode,
        seed: int | None = None,
    ) -> Verdict: ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a run ended. reason: why it stopped, and what to do; "" where it is finished."""

    folder: Path
    finished: bool
    reason: str
    outputs: Sequence[str]
    certificate: str
    standing: Standing


Start = Callable[[RunFolder], Mapping[str, Any]]


def translate(
    project: Project,
    *,
    run: str | None = None,
    resume: bool = False,
    coder: Coder | None = None,
    mode: Mode = "bubblewrap",
    prices: PriceTable | None = None,
    judge: Judge = judges.judge,
    listen: Listener = lambda event, standing: None,
    start: Start | None = None,
    choose: Choose = tactics.next_move,
    again: str | None = None,
    why: str = "",
) -> Outcome:
    """Run a translation until it is finished, or cannot go on.

    run: its name, by default the next number, or of those that can be resumed the newest; coder:
    makes the agent, by default the project's; mode: of the sandboxes; listen: is told every event
    when it is written, may raise Stop; start: what `run_started` says beside the usual; choose:
    the next move at an item; again: with resume, an item to go back to: it and all after it are
    done anew, from what was accepted last; why: what their coders are told of that.

    Raises ValueError for a run that is not there or still open, an agent that cannot work here, a
    plan that is damaged, and an item that was not begun yet; JournalLocked, SandboxUnavailable,
    GitFailed, and OSError. After each of them, and after any kill, the run can be resumed.
    """
    if again and not resume:
        raise ValueError(f"to go back to {again} is to resume a run; add resume")
    name = _name(project, run, resume, finished=again is not None)
    coder = coder or (lambda means: agents.make(project.agent.kind, means))
    folder = RunFolder(project, name)
    with Journal(folder.folder / runs.JOURNAL) as log:
        table = prices or PriceTable.shipped()
        books = Books(folder, log, coder=coder, mode=mode, prices=table, listen=listen)
        return _Loop(books, folder, judge, choose, mode).run(start, again, why)


def _name(project: Project, run: str | None, resume: bool, *, finished: bool) -> str:
    """finished: whether finished runs can be resumed, too."""
    known = runs.known(project)
    left = [name for name, events in known.items() if finished or runs.is_open(events)]
    if resume:
        if run is not None and run not in known:
            there = ", ".join(known) or "none"
            raise ValueError(f"there is no run {run!r} of {project.name}; there are: {there}")
        if run is None and not left:
            raise ValueError(f"{project.name} has no run that could be resumed; start one")
        return run or left[-1]
    if run in known:
        raise ValueError(f"there is a run {run!r} already; resume it, or choose another name")
    if run is None and left:
        raise ValueError(
            f"run {left[-1]} is not finished; resume it (--resume), or give the new one a name"
        )
    return run or f"{len(known) + 1:03d}"


class _Loop:
    def __init__(
        self, books: Books, folder: RunFolder, judge: Judge, choose: Choose, mode: Mode
    ) -> None:
        self.books, self.folder, self.project = books, folder, folder.project
        self.judge, self.choose, self.mode = judge, choose, mode
        self.tell = books.tell
        self.plan: Plan | None = None
        self.renderings: dict[str, Rendering] = {}

    # -- the run

    def run(self, start: Start | None, again: str | None, why: str) -> Outcome:
        if self.mode == "bubblewrap":
            probe()
        self.books.agent(self.books.models[0]).check()
        if self.project.language == "rust":
            crate.cargo()  # what the judge needs is missed before anything is paid
        try:
            self._open(start, again, why)
            while step := self._next():
                match step.do:
                    case "start":
                        self._start(step)
                    case "go_on":
                        self._go_on(step)
                    case "judge":
                        self._judge(step)
            return self._finish()
        except Stop as stop:
            self.tell("run_stopped", reason=str(stop))
            return self._outcome(reason=str(stop))

    def _open(self, start: Start | None, again: str | None, why: str) -> None:
        terms = self.books.terms()
        if self.books.log.events:
            items = self._from(again) if again else []
            if items or runs.is_open(self.books.log.events):
                self.tell(spending.RESUMED, **terms)
            if items:
                self.tell(OPENED, items=items, why=why)
            return
        more = start(self.folder) if start else {"tree": self.folder.fresh(), "items": None}
        self.tell(
            "run_started",
            run=self.folder.name,
            project=self.project.name,
            simlift=importlib.metadata.version("simlift"),
            **terms,
            **more,
        )

    def _from(self, item: str) -> list[str]:
        """The item and all after it."""
        self._next()
        names = list(self.items)
        begun = {e.data["item"] for e in self.books.log.events if e.kind == STARTED}
        if item not in names or item not in begun:
            there = ", ".join(name for name in names if name in begun)
            raise ValueError(f"there is no way back to {item!r}; what was begun: {there}")
        return names[names.index(item) :]

    def _finish(self) -> Outcome:
        last = self.books.log.events[-1]
        if last.kind == "run_finished":
            return self._outcome(**last.data)
        outputs = self.folder.hand_over(runs.accepted(self.books.log.events))
        certificate = self._certificate()
        if certificate:
            shutil.copy(self.folder.folder / certificate, self.project.folder / "certificate.json")
            outputs.append("certificate.json")
        self.tell("run_finished", outputs=outputs, certificate=certificate)
        return self._outcome(outputs=outputs, certificate=certificate)

    def _certificate(self) -> str:
        """Of the last attempt that passed; "" where its phase makes none."""
        last = self.books.passed[-1]
        found = sorted((self.folder.folder / last.data["folder"]).rglob("certificate.json"))
        return str(found[0].relative_to(self.folder.folder)) if found else ""

    def _outcome(
        self, reason: str = "", outputs: Sequence[str] = (), certificate: str = ""
    ) -> Outcome:
        return Outcome(
            folder=self.folder.folder,
            finished=not reason,
            reason=reason,
            outputs=outputs,
            certificate=certificate,
            standing=self.books.standing,
        )

    # -- what is to be done

    def _next(self) -> Step | None:
        """The next step; the judge's copy is then what its item begins from, but done.json."""
        events = self.books.log.events
        self.folder.lay_out(runs.accepted(events))
        only = events[0].data["items"]
        planned = only or any(event.data["item"] == "plan" for event in self.books.passed)
        plan = self.folder.plan() if planned else None
        if plan != self.plan:
            self.plan, self.renderings = plan, {}
        items = [one for one in work(self.project, self.plan) if not only or one.name in only]
        self.items = {item.name: item for item in items}
        self.inputs = {name: self._inputs(item) for name, item in self.items.items()}
        step = next_step(events, self.inputs)
        if self.plan is not None:
            done = list(self.items).index(step.item) if step else len(self.items)
            self.books.progress = done / len(self.items)
        return step

    def _inputs(self, item: Item) -> str:
        self.folder.say_done(self._done(item))
        return self._rendering(item).inputs_hash(self.folder.copy.workspace)

    def _rendering(self, item: Item) -> Rendering:
        """The item's phase, as far as no feedback matters."""
        if item.name not in self.renderings:
            self.renderings[item.name] = self.folder.render(item, self.plan)
        return self.renderings[item.name]

    def _done(self, item: Item) -> list[str] | None:
        """The modules that are translated when an item begins; None before the scaffold."""
        if self.plan is None or item.name not in self.items:
            return None
        whole = [one.name for one in work(self.project, self.plan)]
        here = whole.index(item.name)
        if here < whole.index(SCAFFOLD):
            return None
        swaps = {module: whole.index(f"swap_module:{module}") for module in self.plan.modules}
        return [module for module, there in swaps.items() if there <= here]

    # -- one attempt

    def _start(self, step: Step) -> None:
        item = self.items[step.item]
        self.books.allowed()
        done = tactics.rounds(self.books.log.events, step.item, self.inputs[step.item])
        budget = self.project.budget
        move = self.choose(
            step.item, done, models=self.books.models, flat_rounds=budget.flat_rounds
        )
        if move is None:
            raise Stop(
                f"{step.item}: {len(done)} attempts, and no tactic is left: {done[-1].verdict}; "
                "mend the project (its sources, fields, plan), name further models in "
                "agent.models, or raise budget.flat_rounds, then resume"
            )
        told = brief(self.books, step.item, done, move)
        rendering = self.folder.render(item, self.plan, told)
        origin = self.folder.origin(self._done(item))
        base = origin
        if move.tactic == "repair":
            base = self.folder.go_on_from(move.tree, rendering.forbid_paths)
            logs = self.books.logs(step.item, done[-1].attempt)
            feedback.hand_over(Verdict.read(logs), logs, self.folder.work.workspace)
        else:
            self.folder.work.restore(origin)
        place = 1 + sum(event.kind == STARTED for event in self.books.log.events)
        logs = Path("attempts", f"{place:03d}-{step.item.replace(':', '-')}-{step.attempt}")
        write_atomically(self.folder.folder / logs / "prompt.md", rendering.prompt)
        write_atomically(self.folder.folder / logs / "feedback.md", told)
        agent = self.books.agent(move.model)
        self.tell(
            STARTED,
            item=step.item,
            attempt=step.attempt,
            inputs=self.inputs[step.item],
            template=rendering.template,
            tactic=move.tactic,
            agent=agent.name,
            model=move.model,
            base=base,
            origin=origin,
            folder=str(logs),
        )
        self._work(step)

    def _go_on(self, step: Step) -> None:
        """With an attempt whose coder, or whose record, was interrupted."""
        begun = self.books.begun(step.item, step.attempt)
        if not self.folder.work.workspace.is_dir():
            self.folder.work.restore(begun["base"])
        ended = self.books.said("agent_ended", step.item, step.attempt)
        if ended and ended[-1]["ended"] not in COULD_NOT:
            self._freeze(step, ended[-1]["ended"], ended[-1]["words"])
            return
        self._work(step)

    def _work(self, step: Step) -> None:
        begun = self.books.begun(step.item, step.attempt)
        logs = self.folder.folder / begun["folder"]
        workspace = self.folder.work.workspace
        phase = load(self.items[step.item].phase)
        rendering = self._rendering(self.items[step.item])
        paths = (workspace / name for name in rendering.forbid_paths)
        standing = self.books.allowed()
        report = self.books.agent(begun["model"]).work(
            Task(
                item=step.item,
                attempt=step.attempt,
                prompt=(logs / "prompt.md").read_text(encoding="utf-8"),
                workspace=workspace,
                readable=(
                    *judges.programs(self.project.language),
                    *judges.imported(self.project),
                    *(path for path in paths if path.exists()),
                ),
                imports=self.project.imports,
                logs=logs,
                limits=Limits(
                    seconds=standing.limit - standing.seconds,
                    stall=self.project.budget.stall_minutes * 60,
                    disk=DISK,
                ),
                max_turns=phase.max_turns,
                budget_usd=phase.budget_usd,
            )
        )
        self._told(step, report)
        self._freeze(step, report.ended, report.words)

    def _told(self, step: Step, report: Report) -> None:
        said = dataclasses.asdict(report)
        self.tell("agent_ended", item=step.item, attempt=step.attempt, **said)

    def _freeze(self, step: Step, ended: str, words: str) -> None:
        """Record what the coder left, or where that cannot be, what it began from."""
        base = self.books.begun(step.item, step.attempt)["base"]
        lost = ""
        try:
            tree = runs.record(self.folder.work, DISK)
        except ValueError as error:
            tree, lost = base, self._relative(str(error))
        if tree == base and not lost and ended in COULD_NOT:
            raise Stop(f"{step.item}: the coder could not work: {words}; mend that, then resume")
        self.tell(FROZEN, item=step.item, attempt=step.attempt, tree=tree, lost=lost)

    def _relative(self, words: str) -> str:
        """Without the place where the run lies, which is nobody's business."""
        return words.replace(f"{self.folder.folder}/", "")

    def _judge(self, step: Step) -> None:
        begun = self.books.begun(step.item, step.attempt)
        logs = self.folder.folder / begun["folder"]
        known = {(one.item, one.attempt): one for one in self.folder.work.attempts()}
        if (step.item, step.attempt) in known:  # killed before the journal knew
            found = Verdict.read(logs)
        elif lost := self.books.log.events[-1].data.get("lost"):
            found = Finding(line=lost, signature="lost", score=0.0).verdict(
                secrets.randbits(judges.SEED_BITS), 0.0
            )
            found.write(logs)
        else:
            found = self.judge(
                self._rendering(self.items[step.item]),
                self.project,
                self.folder.copy,
                base=begun["origin"],
                tree=step.tree,
                folder=logs,
                mode=self.mode,
            )
        spent = spending.total([spending.metered(logs), spending.told(logs)])
        commit = self.folder.work.commit(
            step.tree,
            item=step.item,
            attempt=step.attempt,
            cost_usd=spent.dollars,
            verdict=found.line,
        )
        self.tell(
            JUDGED,
            item=step.item,
            attempt=step.attempt,
            verdict=found.line,
            signature=found.signature,
            score=found.score,
            seed=found.seed,
            seconds=found.seconds,
            cost_usd=spent.dollars,
            tokens=spent.tokens,
            commit=commit,
            folder=begun["folder"],
        )

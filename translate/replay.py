"""A recorded run once more: what its coder did is repeated, and judged anew."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import judge as judges
from .agents.replay import Replay
from .books import Listener, Stop
from .journal import JUDGED, PASS, Event
from .loop import Judge, Outcome, translate
from .project import FILE, Project
from .recording import Recording
from .sandbox import Mode
from .spending import Standing
from .tactics import Move, Round
from .verdict import Verdict


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replayed:
    """How a replay ended. agreed: whether every verdict was the recorded one, as far as it went;
    judged: how many attempts of how many that were recorded."""

    outcome: Outcome
    agreed: bool
    judged: int
    recorded: int


def replay(
    recording: Recording,
    target: Path,
    *,
    until: str | None = None,
    resume: bool = False,
    new_seeds: bool = False,
    mode: Mode = "bubblewrap",
    judge: Judge = judges.judge,
    listen: Listener = lambda event, standing: None,
) -> Replayed:
    """Play a recording in a new folder, every attempt judged anew.

    until: the last item that is played; resume: go on with a replay in that folder; new_seeds:
    judge with others than the recorded ones, by which a mutant may stay open that was found. It
    stops where a verdict is not the recorded one, and judges that attempt once more when it goes
    on. Raises ValueError for an item that was not recorded, sources that cannot be had, and a
    target that is not empty; else as `translate`.
    """
    attempts = recording.attempts
    if until is not None and until not in attempts:
        raise ValueError(f"{recording.name} has no {until!r}; it has {', '.join(attempts)}")
    ready = resume and (target / FILE).is_file()
    project = Project.read(target) if ready else recording.prepare(target)
    by_folder = {one.folder: one for known in attempts.values() for one in known}
    agreed, judged = True, 0

    def again(*args: Any, folder: Path, **given: Any) -> Verdict:
        """Another verdict than the recorded one does not come into the journal."""
        nonlocal agreed, judged
        recorded = by_folder[folder.name]
        found = judge(*args, folder=folder, seed=None if new_seeds else recorded.seed, **given)
        if found.passed != (recorded.verdict == PASS):
            agreed, judged = False, judged + 1
            raise Stop(
                f"{recorded.folder}: what was recorded is {recorded.verdict!r}, and what the judge "
                f"says now {found.line!r}; resume to judge it once more"
            )
        return found

    def choose(
        item: str, done: Sequence[Round], *, models: Sequence[str], flat_rounds: int
    ) -> Move:
        """As it was: what is tried next depends on scores, and these on seeds."""
        known = attempts.get(item, ())
        if len(done) >= len(known):
            raise Stop(f"{recording.name}: {item} was given up after {len(known)} attempts")
        tactic = known[len(done)].tactic
        tree = done[-1].tree if tactic == "repair" else ""
        return Move(tactic=tactic, model=known[len(done)].model, tree=tree)

    def compare(event: Event, standing: Standing) -> None:
        nonlocal judged
        listen(event, standing)
        if event.kind != JUDGED:
            return
        judged += 1
        if event.data["item"] == until and event.data["verdict"] == PASS:
            raise Stop(f"played until {until}, as asked")

    outcome = translate(
        project,
        resume=ready,
        coder=lambda means: Replay(dataclasses.replace(means, model=str(recording.folder))),
        mode=mode,
        judge=again,
        listen=compare,
        choose=choose,
    )
    recorded = sum(map(len, attempts.values()))
    return Replayed(outcome=outcome, agreed=agreed, judged=judged, recorded=recorded)

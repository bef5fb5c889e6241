"""handoff: the prompt lies in a file, and whoever reads it is the coder."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from simlift.translate import agents, loop, phases
from simlift.translate.agents import Means, Report, Task, handoff
from simlift.translate.agents.handoff import Handoff
from simlift.translate.budget import Budget, Caps
from simlift.translate.prices import PriceTable
from simlift.translate.sandbox import Limits

from . import projects
from .scripted_coder import Judge

PATIENCE = 30.0  # seconds; only a broken test takes so long


@pytest.fixture
def coder(monkeypatch: pytest.MonkeyPatch) -> Handoff:
    monkeypatch.setattr(handoff, "POLL", 0.01)
    monkeypatch.setattr(handoff, "COMPLETE", 0.01)
    made = agents.make(
        "handoff", Means(budget=Budget(Caps(dollars=1)), prices=PriceTable.shipped())
    )
    assert isinstance(made, Handoff)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "work").mkdir()
    (tmp_path / "attempts").mkdir()
    yield tmp_path


def task(folder: Path, attempt: int = 1, seconds: float = PATIENCE) -> Task:
    return Task(
        item="plan",
        attempt=attempt,
        prompt="Make a plan.\n",
        workspace=folder / "work",
        readable=(),
        logs=folder / "attempts",
        limits=Limits(seconds=seconds),
        max_turns=10,
        budget_usd=1.0,
    )


def answered(coder: Handoff, given: Task, text: str) -> Report:
    """What the coder reports when `done` says this, once the prompt is there."""
    folder = given.workspace.parent / "handoff"

    def person() -> None:
        while not (folder / "prompt.md").exists():
            time.sleep(0.005)
        (folder / "done").write_text(text)

    thread = threading.Thread(target=person)
    thread.start()
    report = coder.work(given)
    thread.join()
    return report


def test_the_prompt_says_where_to_work_and_what_ends_it(coder: Handoff, folder: Path) -> None:
    report = answered(coder, task(folder), "The plan has two modules.\n")
    assert (report.ended, report.words) == ("finished", "The plan has two modules.")
    prompt = (folder / "handoff" / "prompt.md").read_text()
    assert prompt.endswith("Make a plan.\n") and "Attempt 1 at plan" in prompt
    assert str(folder / "work") in prompt and str(folder / "handoff" / "done") in prompt


def test_what_it_cost_is_taken_as_told(coder: Handoff, folder: Path) -> None:
    said = {"words": "made", "cost_usd": 0.25, "tokens": 1200}
    assert answered(coder, task(folder), json.dumps(said)).words == "made"
    told = json.loads((folder / "attempts" / "told.json").read_text())
    assert told == {"cost_usd": 0.25, "tokens": 1200}


@pytest.mark.parametrize(
    "said",
    [
        '{"words": "x", "cost_usd": -1}',
        '{"words": "x", "cost_usd": 1e999}',
        '{"words": "x", "tokens": "many"}',
        "[1]",
        "7",
        '{"cost_usd": 1}',
    ],
)
def test_what_makes_no_sense_is_words(coder: Handoff, folder: Path, said: str) -> None:
    assert answered(coder, task(folder), said).words == said
    told = json.loads((folder / "attempts" / "told.json").read_text())
    assert told == {"cost_usd": 0.0, "tokens": 0}


def test_a_stale_done_does_not_count_and_one_of_this_attempt_does(
    coder: Handoff, folder: Path
) -> None:
    answered(coder, task(folder), "first")
    again = coder.work(task(folder))  # resumed: what was written meanwhile is the answer
    assert again.words == "first"
    late = coder.work(task(folder, attempt=2, seconds=0.05))
    assert late.ended == "time" and "within 0 s" in late.words
    assert not (folder / "handoff" / "done").exists()


def test_a_whole_run_by_handoff(
    coder: Handoff, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "work", lambda *given: phases.work(*given)[:5])
    project = projects.make(tmp_path / "walk")
    run = project.folder / "runs" / "translate" / "001"

    def person() -> None:
        for item, files in list(projects.SOLUTION.items())[:5]:
            prompt, done = run / "handoff" / "prompt.md", run / "handoff" / "done"
            while not (prompt.exists() and f"Attempt 1 at {item}." in prompt.read_text()):
                time.sleep(0.005)
            projects.write(run / "work", files)
            done.write_text(json.dumps({"words": item, "cost_usd": 0.5}))

    thread = threading.Thread(target=person)
    thread.start()
    outcome = loop.translate(project, judge=Judge(), mode="unconfined")
    thread.join()
    assert outcome.finished and outcome.standing.spent.dollars == 2.5
    assert (project.folder / "walk" / "move.py").read_text() == projects.MOVE

"""The loop: items in order, tactics, stops, and a run that goes on wherever it was killed."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simlift.translate import journal, loop, phases, runs
from simlift.translate.agents import Report, Task
from simlift.translate.commits import RunBranch
from simlift.translate.journal import FROZEN, JUDGED, OPENED, STARTED, Event
from simlift.translate.loop import Outcome, translate
from simlift.translate.project import Project
from simlift.translate.runs import RunFolder
from simlift.translate.spending import Standing

from . import projects
from .scripted_coder import BROKEN, Coder, Judge, badly, finished, well

ALL = [
    "survey", "plan", "scaffold", "translate_module:move", "swap_module:move", "compose",
    "lockstep", "mutants", "transfer", "optimise", "certificate",
]  # fmt: skip
ITEMS = ALL[:6]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the first items only: a run's time is git's."""
    monkeypatch.setattr(loop, "work", lambda *given: phases.work(*given)[: len(ITEMS)])
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # takes the disk's time


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return projects.make(tmp_path / "walk")


def run(project: Project, coder: Coder | None = None, **options: Any) -> Outcome:
    options = {"judge": Judge(), "coder": coder or Coder(), "mode": "unconfined"} | options
    return translate(Project.read(project.folder), **options)


def budget(project: Project, **limits: float) -> None:
    """Write a budget into simlift.toml."""
    changed = dataclasses.replace(project.budget, **limits)
    (project.folder / "simlift.toml").write_text(
        dataclasses.replace(project, budget=changed).toml()
    )


def events(outcome: Outcome, kind: str) -> list[Event]:
    return [e for e in journal.read(outcome.folder / "journal.jsonl") if e.kind == kind]


def verdicts(outcome: Outcome) -> list[tuple[str, int, str]]:
    return [(e.data["item"], e.data["attempt"], e.data["verdict"]) for e in events(outcome, JUDGED)]


def branch(outcome: Outcome) -> RunBranch:
    return RunBranch(outcome.folder / "git", outcome.folder / "work", outcome.folder.name)


# -- a whole run


def test_a_run_takes_every_item_in_order_and_hands_its_work_over(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "work", phases.work)
    outcome = run(project)
    assert outcome.finished and outcome.reason == ""
    assert verdicts(outcome) == [(item, 1, "pass") for item in ALL]
    assert outcome.outputs == ["notes", "judge", "walk", "tests", "certificate.json"]
    assert outcome.certificate == "attempts/011-certificate-1/judge/certificate.json"
    assert (project.folder / "certificate.json").read_text() == "{}"
    assert (project.folder / "walk" / "move.py").read_text() == projects.MOVE
    commits = branch(outcome).attempts()
    assert [(one.item, one.verdict) for one in commits] == [(item, "pass") for item in ALL]


def test_done_json_names_the_modules_that_the_proxy_does_not_answer_for(project: Project) -> None:
    judge = Judge()
    run(project, judge=judge)
    assert judge.done == {
        **dict.fromkeys(["survey", "plan"]),
        **{item: [] for item in ("scaffold", "translate_module-move")},
        **{item: ["move"] for item in ("swap_module-move", "compose")},
    }


def test_an_attempt_is_told_whole(project: Project) -> None:
    outcome = run(project)
    [started, *_] = events(outcome, "run_started")
    assert started.data["project"] == "walk" and started.data["agent"] == "scripted"
    begun = events(outcome, STARTED)[3].data
    assert begun["folder"] == "attempts/004-translate_module-move-1"
    assert (begun["tactic"], begun["agent"], begun["model"]) == ("first", "scripted", "")
    prompt = (outcome.folder / begun["folder"] / "prompt.md").read_text()
    assert begun["template"] in prompt and "translate `move`" in prompt
    judged = events(outcome, JUDGED)[3].data
    assert (judged["score"], judged["seed"], judged["signature"]) == (1.0, 123_456_792, "")
    assert judged["commit"] == branch(outcome).attempts()[3].commit
    assert str(project.folder) not in (outcome.folder / "journal.jsonl").read_text()


def test_what_a_phase_must_not_touch_is_shown_read_only_and_judged(project: Project) -> None:
    coder, judge = Coder(), Judge()
    outcome = run(project, coder, judge=judge)
    task = coder.tasks[ITEMS.index("compose")]
    inside = {p.relative_to(task.workspace).as_posix() for p in task.readable
              if p.is_relative_to(task.workspace)}  # fmt: skip
    assert inside == {"simlift.toml", "inspection.json", "reference", "notes", "judge"}
    assert (task.max_turns, task.budget_usd) == (80, 5.0)
    origins = [e.data["origin"] for e in events(outcome, STARTED)]
    assert [base for base, _ in judge.judged] == origins


def test_screen_is_told_what_is_spent_and_how_far_it_is(project: Project) -> None:
    seen: list[tuple[str, Standing]] = []
    run(project, listen=lambda event, standing: seen.append((event.kind, standing)))
    assert [kind for kind, _ in seen[:5]] == [
        "run_started", STARTED, "agent_ended", FROZEN, JUDGED,
    ]  # fmt: skip
    assert seen[0][1].progress is None and seen[-1][1].progress == 1.0
    shares = [s.progress for _, s in seen if s.progress is not None]
    assert shares == sorted(shares)


# -- failures and tactics


def test_a_failed_attempt_is_repaired_with_feedback(project: Project) -> None:
    coder = Coder({("compose", 1): badly(0.5, "at step 3"), ("compose", 2): badly(0.6)})
    outcome = run(project, coder)
    attempts = [e.data for e in events(outcome, STARTED) if e.data["item"] == "compose"]
    assert [a["tactic"] for a in attempts] == ["first", "repair", "repair"]
    second = outcome.folder / attempts[1]["folder"]
    assert "broken at step 3" in (second / "feedback.md").read_text()
    assert "broken at step 3" in (second / "prompt.md").read_text()
    left = [e.data["tree"] for e in events(outcome, FROZEN) if e.data["item"] == "compose"]
    assert [a["base"] for a in attempts[1:]] == left[:2]
    assert verdicts(outcome)[5:8] == [
        ("compose", 1, "broken at step 3"), ("compose", 2, "broken"), ("compose", 3, "pass"),
    ]  # fmt: skip


def test_repair_begins_with_everything_forbidden_as_it_was(project: Project) -> None:
    def cheat(task: Task) -> None:
        badly(0.1)(task)
        (task.workspace / "judge" / "suite.py").write_text("SUITE = None\n")
        (task.workspace / "notes" / "mine.json").write_text("{}")

    seen = []

    def look(task: Task) -> None:
        seen.append((task.workspace / "judge" / "suite.py").read_text())
        seen.append((task.workspace / "notes" / "mine.json").exists())
        well(task)

    outcome = run(project, Coder({("compose", 1): cheat, ("compose", 2): look}))
    assert outcome.finished and seen == [projects.SUITE, False]


def test_without_progress_the_tactic_changes_and_then_the_run_stops(project: Project) -> None:
    agent = dataclasses.replace(project.agent, model="one", models=("two",))
    limits = dataclasses.replace(project.budget, flat_rounds=1)
    changed = dataclasses.replace(project, agent=agent, budget=limits)
    (project.folder / "simlift.toml").write_text(changed.toml())
    coder = Coder({("compose", n): badly(0.0) for n in range(1, 9)})
    outcome = run(project, coder)
    attempts = [e.data for e in events(outcome, STARTED) if e.data["item"] == "compose"]
    assert [(a["tactic"], a["model"]) for a in attempts] == [
        ("first", "one"), ("start_over", "one"), ("next_model", "two"), ("smaller_steps", "two"),
    ]  # fmt: skip
    assert all(a["base"] == a["origin"] for a in attempts)
    last = (outcome.folder / attempts[-1]["folder"] / "prompt.md").read_text()
    assert "take smaller steps" in last
    assert not outcome.finished and "compose: 4 attempts" in outcome.reason
    assert "agent.models" in outcome.reason
    [stopped] = events(outcome, "run_stopped")
    assert stopped.data["reason"] == outcome.reason

    agent = dataclasses.replace(agent, models=("two", "three"))
    changed = dataclasses.replace(changed, agent=agent)
    (project.folder / "simlift.toml").write_text(changed.toml())
    again = Coder()
    assert run(project, again, resume=True).finished
    assert again.models[0] == "three"


def test_a_coder_that_could_not_work_stops_the_run(project: Project) -> None:
    def dead(task: Task) -> Report:
        return Report(ended="failed", words="no answer from the model", seconds=1.0)

    coder = Coder({("plan", 1): dead})
    outcome = run(project, coder)
    assert "plan: the coder could not work: no answer from the model" in outcome.reason
    assert verdicts(outcome) == [("survey", 1, "pass")]
    assert run(project, resume=True).finished


def test_a_coder_that_died_half_way_is_judged_by_what_it_left(project: Project) -> None:
    def dies(task: Task) -> Report:
        well(task)
        return Report(ended="failed", words="died", seconds=1.0)

    outcome = run(project, Coder({("plan", 1): dies}))
    assert verdicts(outcome)[1] == ("plan", 1, "pass")


@pytest.mark.parametrize("deed", ["gone", "emptied", "repository", "too much"])
def test_whatever_the_coder_does_to_the_workspace_the_run_goes_on(
    project: Project, deed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simlift.translate.loop.DISK", 8 << 20)

    def work(task: Task) -> None:
        well(task)
        match deed:
            case "gone":
                shutil.rmtree(task.workspace)
            case "emptied":
                shutil.rmtree(task.workspace)
                task.workspace.mkdir()
                projects.write(task.workspace, {BROKEN: '[0, "empty"]'})
            case "repository":
                projects.write(task.workspace, {"walk/.git/HEAD": "ref: x", ".git": "gitdir: /"})
            case "too much":
                (task.workspace / "walk" / "large.bin").write_bytes(b"x" * (9 << 20))

    outcome = run(project, Coder({("compose", 1): work}))
    assert outcome.finished
    said = {
        "gone": "work is gone; restore the last attempt",
        "emptied": "broken empty",
        "repository": "pass",
        "too much": "the workspace held 0.0 GiB, more than 0.0078125; nothing of this attempt is "
        "kept",
    }
    assert verdicts(outcome)[5] == ("compose", 1, said[deed])
    assert not (project.folder / "walk" / ".git").exists()
    assert not (project.folder / "walk" / "large.bin").exists()


# -- stops and resuming


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("kill", [1, 2, 3, 4, 7, 9, 12])
def test_a_run_killed_after_any_event_goes_on_as_if_it_had_not_been(
    project: Project, kill: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = {("plan", 1): badly(0.5), ("plan", 2): badly(0.7), ("scaffold", 1): badly(0.5)}

    def listen(event: Event, standing: Standing) -> None:
        if event.number == kill:
            raise Killed

    monkeypatch.setattr(loop, "work", lambda *given: phases.work(*given)[:5])
    with pytest.raises(Killed):
        run(project, Coder(script), listen=listen)
    outcome = run(project, Coder(script), resume=True)
    assert outcome.finished
    assert [v[:2] for v in verdicts(outcome)] == [
        ("survey", 1), ("plan", 1), ("plan", 2), ("plan", 3), ("scaffold", 1), ("scaffold", 2),
        *((item, 1) for item in ITEMS[3:5]),
    ]  # fmt: skip
    assert [(a.item, a.attempt) for a in branch(outcome).attempts()] == [
        v[:2] for v in verdicts(outcome)
    ]


@pytest.mark.parametrize("point", ["agent", "judge", "commit", "restore", "freeze"])
def test_a_run_killed_inside_of_a_step_goes_on(
    project: Project, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 6

    def dying(function: Callable[..., Any], *, late: bool) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0 and not late:
                raise Killed
            result = function(*arguments, **options)
            if left == 0:
                raise Killed
            return result

        return call

    coder, judge = Coder(), Judge()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        match point:
            case "agent":
                coder = Coder({(item, 1): dying(well, late=True) for item in ITEMS})
            case "judge":
                patch.setattr(Judge, "__call__", dying(Judge.__call__, late=True))
            case "commit":
                patch.setattr(RunBranch, "commit", dying(RunBranch.commit, late=True))
            case "restore":
                patch.setattr(RunBranch, "restore", dying(RunBranch.restore, late=False))
            case "freeze":
                patch.setattr(RunBranch, "freeze", dying(RunBranch.freeze, late=True))
        run(project, coder, judge=judge)
    outcome = run(project, resume=True)
    assert verdicts(outcome) == [(item, 1, "pass") for item in ITEMS]
    assert len(branch(outcome).attempts()) == len(ITEMS)


def test_an_interrupted_coder_goes_on_in_what_it_left(project: Project) -> None:
    def half(task: Task) -> None:
        (task.workspace / "half.txt").write_text("half")
        raise Killed

    with pytest.raises(Killed):
        run(project, Coder({("compose", 1): half}))
    seen: list[bool] = []

    def rest(task: Task) -> None:
        seen.append((task.workspace / "half.txt").exists())
        well(task)

    assert run(project, Coder({("compose", 1): rest}), resume=True).finished
    assert seen == [True]


def test_a_workspace_deleted_between_two_parts_of_a_run_is_restored(project: Project) -> None:
    def half(task: Task) -> None:
        raise Killed

    with pytest.raises(Killed):
        run(project, Coder({("compose", 1): half}))
    shutil.rmtree(project.folder / "runs" / "translate" / "001" / "work")
    outcome = run(project, resume=True)
    assert verdicts(outcome) == [(item, 1, "pass") for item in ITEMS]


def test_a_full_disk_stops_the_run_which_can_be_resumed(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, count = journal.Journal.append, 0

    def full(log: journal.Journal, kind: str, **data: Any) -> Event:
        nonlocal count
        count += 1
        if count == 12:
            raise OSError("the disk is full; free some space, then resume")
        return append(log, kind, **data)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="free some space"):
        patch.setattr(journal.Journal, "append", full)
        run(project)
    assert run(project, resume=True).finished


def test_an_agent_that_fills_the_disk_is_told_so(project: Project) -> None:
    def fills(task: Task) -> Report:
        assert task.limits.disk == 4 << 30
        return Report(ended="disk", words="ended by its limit on disk", seconds=1.0)

    outcome = run(project, Coder({("compose", 1): fills}))
    assert outcome.finished
    assert [e.data["ended"] for e in events(outcome, "agent_ended")].count("disk") == 1


def tell(dollars: float, tokens: int = 0) -> Callable[[Task], Report]:
    """Work that says what it cost, as a handoff does."""

    def work(task: Task) -> Report:
        well(task)
        told = {"cost_usd": dollars, "tokens": tokens}
        (task.logs / "told.json").write_text(json.dumps(told))
        return finished()

    return work


@pytest.mark.parametrize(
    ("limits", "cost", "reason"),
    [
        ({"usd": 1.0}, (0.75, 10), "1.5 dollars of 1 are spent; raise budget.usd"),
        ({"tokens": 100}, (0.0, 60), "120 tokens of 100 are spent; raise budget.tokens"),
    ],
)
def test_a_run_stops_at_its_caps_and_goes_on_with_higher_ones(
    project: Project, limits: dict[str, float], cost: tuple[float, int], reason: str
) -> None:
    budget(project, **limits)
    outcome = run(project, Coder({(item, 1): tell(*cost) for item in ITEMS}))
    assert not outcome.finished and reason in outcome.reason
    assert len(verdicts(outcome)) == 2
    assert outcome.standing.spent.dollars == pytest.approx(2 * cost[0])
    assert [a.cost_usd for a in branch(outcome).attempts()] == [cost[0]] * 2
    budget(project, usd=100.0, tokens=10_000)
    assert run(project, resume=True).finished


def test_a_run_stops_when_its_time_is_over(project: Project) -> None:
    budget(project, wall_hours=1e-9)
    outcome = run(project)
    assert "raise budget.wall_hours in simlift.toml, then resume" in outcome.reason


def test_calls_that_a_cassette_holds_count_after_a_kill(project: Project) -> None:
    call = {
        "at": "", "seconds": 0.1, "api": "anthropic", "path": "/v1/messages", "request": {},
        "status": 200, "content_type": "", "body": "", "whole": True,
        "usage": {"input": 100, "output": 20}, "dollars": 0.5,
    }  # fmt: skip

    def dies(task: Task) -> None:
        (task.logs / "cassette.jsonl").write_text(json.dumps(call) + "\n")
        raise Killed

    with pytest.raises(Killed):
        run(project, Coder({("plan", 1): dies}))
    budget(project, usd=0.5)
    outcome = run(project, resume=True)
    assert "0.5 dollars of 0.5 are spent" in outcome.reason
    spent = outcome.standing.spent
    assert (spent.dollars, spent.tokens, spent.calls) == (0.5, 120, 1)


# -- changed inputs


def test_a_changed_reference_opens_its_items_again_and_keeps_the_work(project: Project) -> None:
    with pytest.raises(Killed):
        run(project, listen=killing("compose"))
    upstream = project.folder / "reference" / "walk.py"
    upstream.write_text(upstream.read_text().replace(">= 20", ">= 30"))
    coder = Coder()
    outcome = run(project, coder, resume=True)
    assert outcome.finished
    items = [task.item for task in coder.tasks]
    assert items == ITEMS
    first = outcome.folder / events(outcome, STARTED)[6].data["folder"]
    assert first.name == "007-survey-2"
    assert (outcome.folder / "work" / "reference" / "walk.py").read_text() == upstream.read_text()


def killing(item: str, attempt: int = 1) -> Callable[[Event, Standing], None]:
    """Kills a run when an attempt at an item begins."""

    def listen(event: Event, standing: Standing) -> None:
        begun = event.data.get("item"), event.data.get("attempt")
        if event.kind == STARTED and begun == (item, attempt):
            raise Killed

    return listen


def test_a_scaffold_that_changed_opens_what_depends_on_it(project: Project) -> None:
    with pytest.raises(Killed):
        run(project, listen=killing("compose"))
    (project.folder / "inspection.json").write_text('{"version": "2", "attributes": []}')
    coder = Coder()
    assert run(project, coder, resume=True).finished
    # Nothing that survey, plan and scaffold hand in changed, so nothing but compose is left.
    assert [task.item for task in coder.tasks] == ["survey", "plan", "scaffold", "compose"]


def test_budget_and_readme_open_nothing_again(project: Project) -> None:
    with pytest.raises(Killed):
        run(project, listen=killing("compose"))
    budget(project, usd=50.0)
    (project.folder / "README.md").write_text("changed\n")
    coder = Coder()
    assert run(project, coder, resume=True).finished
    assert [task.item for task in coder.tasks] == ["compose"]


# -- the way back


def test_a_run_goes_back_to_an_item_and_does_all_after_it_anew(project: Project) -> None:
    first = Coder({("compose", 1): badly(0.5)})
    with pytest.raises(Killed):
        run(project, first, listen=killing("compose", attempt=2))
    kept: list[bool] = []

    def mend(task: Task) -> None:
        kept.append((task.workspace / "walk" / "move.py").is_file())
        projects.write(task.workspace, {"judge/suite.py": "SUITE = 'mended'\n"})

    coder = Coder({("scaffold", 2): mend})
    outcome = run(project, coder, resume=True, again="scaffold", why="the domain is wrong")
    assert outcome.finished and kept == [True]
    assert [(task.item, task.attempt) for task in coder.tasks] == [
        ("scaffold", 2), ("translate_module:move", 2), ("swap_module:move", 2), ("compose", 3),
    ]  # fmt: skip
    for task in coder.tasks:
        assert "The run went back to scaffold: the domain is wrong." in task.prompt
    assert "broken" not in coder.tasks[-1].prompt  # of what was tried before nothing counts
    assert (project.folder / "judge" / "suite.py").read_text() == "SUITE = 'mended'\n"
    begun = events(outcome, STARTED)
    assert [e.data["tactic"] for e in begun[-4:]] == ["first"] * 4


def test_a_finished_run_goes_back_and_goes_on_after_a_kill(project: Project) -> None:
    run(project)

    def kill(event: Event, standing: Standing) -> None:
        if event.kind == OPENED:
            raise Killed

    with pytest.raises(Killed):
        run(project, resume=True, again="compose", listen=kill)
    coder = Coder()
    outcome = run(project, coder, resume=True)
    assert outcome.finished and outcome.folder.name == "001"
    assert [(task.item, task.attempt) for task in coder.tasks] == [("compose", 2)]


def test_there_is_no_way_back_to_what_was_not_begun(project: Project) -> None:
    with pytest.raises(Killed):
        run(project, listen=killing("plan"))
    before = (project.folder / runs.RUNS / "001" / "journal.jsonl").read_text()
    with pytest.raises(ValueError, match="no way back to 'scaffold'; what was begun: survey, plan"):
        run(project, resume=True, again="scaffold")
    with pytest.raises(ValueError, match="to go back to plan is to resume a run; add resume"):
        run(project, run="other", again="plan")
    assert (project.folder / runs.RUNS / "001" / "journal.jsonl").read_text() == before


# -- names and bad input


def test_a_finished_run_is_not_run_again(project: Project) -> None:
    first = run(project)
    coder = Coder()
    again = run(project, coder, run="001", resume=True)
    assert again.finished and again.outputs == first.outputs and coder.tasks == []
    assert len(events(again, "run_finished")) == 1
    second = run(project)
    assert second.folder.name == "002" and second.finished


def test_a_run_that_is_open_is_not_started_beside(project: Project) -> None:
    with pytest.raises(Killed):
        run(project, listen=killing("plan"))
    with pytest.raises(ValueError, match="run 001 is not finished; resume it"):
        run(project)
    assert run(project, run="other").folder.name == "other"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"resume": True}, "walk has no run that could be resumed"),
        ({"resume": True, "run": "7"}, "there is no run '7' of walk; there are: none"),
        ({"run": "../x"}, "use letters, digits, - and _"),
    ],
)
def test_names_that_stand_for_no_run_are_refused(
    project: Project, options: dict[str, Any], error: str
) -> None:
    with pytest.raises(ValueError, match=error):
        run(project, **options)


def test_a_link_that_the_coder_made_leads_nothing_out(project: Project, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    projects.write(outside, {"done.json": "[9]", "secret.txt": "secret"})

    def work(task: Task) -> None:
        badly(0.1)(task)
        shutil.rmtree(task.workspace / "judge")
        (task.workspace / "judge").symlink_to(outside)

    outcome = run(project, Coder({("scaffold", 1): work}))
    assert outcome.finished
    assert {p.name: p.read_text() for p in outside.iterdir()} == {
        "done.json": "[9]", "secret.txt": "secret",
    }  # fmt: skip


def test_replace_keeps_what_is_there_until_it_is_whole(tmp_path: Path) -> None:
    projects.write(tmp_path, {"a/x": "1", "b/y": "2"})
    runs.replace(tmp_path / "a", tmp_path / "b")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a", "b", "x", "x"]
    runs.replace(tmp_path / "gone", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_a_run_folder_knows_its_project(project: Project) -> None:
    folder = RunFolder(project, "first")
    tree = folder.fresh()
    assert folder.copy.changes(tree, tree) == b""
    assert sorted(p.name for p in (folder.folder / "judged").iterdir()) == [
        "README.md", "inspection.json", "reference", "simlift.toml",
    ]  # fmt: skip


def test_a_run_in_rust_asks_for_cargo_before_a_coder_is_paid(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.crate, "toolchain", lambda: None)
    toml = dataclasses.replace(project, language="rust").toml()
    (project.folder / "simlift.toml").write_text(toml)
    coder = Coder()
    with pytest.raises(FileNotFoundError, match="a project in Rust needs rustc and cargo"):
        run(project, coder)
    assert coder.tasks == []

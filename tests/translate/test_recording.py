"""Recordings: a run, its failures included, is played once more without a model."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from simlift.translate import journal, loop, phases
from simlift.translate.agents import AGENTS, Means, Task
from simlift.translate.budget import Budget, Caps
from simlift.translate.journal import JUDGED, Event
from simlift.translate.loop import Outcome, translate
from simlift.translate.prices import PriceTable
from simlift.translate.project import Project
from simlift.translate.recording import Recording, find, record, shipped
from simlift.translate.replay import Replayed, replay
from simlift.translate.spending import Standing

from . import projects
from .scripted_coder import Coder, Judge, badly, finished, well

ITEMS = ["survey", "plan", "scaffold", "translate_module:move", "swap_module:move"]
PREPARE = """from pathlib import Path
Path("reference").mkdir(exist_ok=True)
Path("reference/walk.py").write_text({source!r})
"""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "work", lambda *given: phases.work(*given)[: len(ITEMS)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Outcome]:
    """A run with two failures: one of work that is repaired, one of a forbidden file."""
    project = projects.make(tmp_path_factory.mktemp("recorded") / "walk")

    def speaks(task: Task) -> Any:
        badly(0.4, "late")(task)
        projects.write(task.workspace, {"walk/données.bin": "\r\n\x00\x01ü", "judge/x.py": "X"})
        return finished(f"I worked in {task.workspace}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "work", lambda *given: phases.work(*given)[: len(ITEMS)])
        coder = Coder({("plan", 1): badly(0.5), ("translate_module:move", 1): speaks})
        outcome = translate(project, coder=coder, judge=Judge(), mode="unconfined")
    assert outcome.finished
    return project, outcome


@pytest.fixture
def recording(run: tuple[Project, Outcome], tmp_path: Path) -> Recording:
    return record(run[0], tmp_path / "recording", coder="a script")


def play(recording: Recording, target: Path, **options: Any) -> Replayed:
    return replay(recording, target, **({"judge": Judge(), "mode": "unconfined"} | options))


def means(model: str) -> Means:
    return Means(budget=Budget(Caps(dollars=1)), prices=PriceTable.shipped(), model=model)


def verdicts(folder: Path) -> list[tuple[str, int, str]]:
    return [
        (e.data["item"], e.data["attempt"], e.data["verdict"])
        for e in journal.read(folder / "journal.jsonl")
        if e.kind == JUDGED
    ]


def test_a_replay_repeats_every_attempt_and_judges_it_anew(
    run: tuple[Project, Outcome], recording: Recording, tmp_path: Path
) -> None:
    judge = Judge()
    played = play(recording, tmp_path / "again", judge=judge)
    assert played.outcome.finished and played.agreed and played.outcome.reason == ""
    assert played.judged == played.recorded == len(judge.judged) == 7
    assert verdicts(played.outcome.folder) == verdicts(run[1].folder)
    for name in ("walk", "judge", "notes", "tests"):
        first, second = (folder / name for folder in (run[0].folder, tmp_path / "again"))
        left = {p.relative_to(first): p.read_bytes() for p in first.rglob("*") if p.is_file()}
        assert left == {
            p.relative_to(second): p.read_bytes() for p in second.rglob("*") if p.is_file()
        }


@pytest.mark.parametrize("new_seeds", [False, True])
def test_attempts_are_judged_with_the_recorded_seeds_unless_others_are_wanted(
    new_seeds: bool, run: tuple[Project, Outcome], recording: Recording, tmp_path: Path
) -> None:
    judge = Judge()
    assert play(recording, tmp_path / "again", judge=judge, new_seeds=new_seeds).agreed
    events = journal.read(run[1].folder / "journal.jsonl")
    recorded = [event.data["seed"] for event in events if event.kind == JUDGED]
    assert len({*recorded}) == 7
    assert judge.seeds == ([None] * 7 if new_seeds else recorded)


def test_a_recording_names_no_place_and_no_key(
    run: tuple[Project, Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "I worked in")
    made = record(run[0], tmp_path / "recording", coder="a script")
    texts = [p.read_text() for p in made.folder.rglob("*") if p.is_file() and p.suffix != ".patch"]
    assert not any(str(run[0].folder) in text or "I worked in" in text for text in texts)
    said = [attempt.words for attempt in made.attempts["translate_module:move"]]
    assert said == ["[key] RUN/work", "done"]


def test_a_recording_keeps_what_was_said_and_the_patch_of_every_attempt(
    recording: Recording,
) -> None:
    names = [a.folder for attempts in recording.attempts.values() for a in attempts]
    assert sorted(p.stem for p in (recording.folder / "patches").iterdir()) == sorted(names)
    kept = {p.name for p in (recording.folder / "attempts" / names[2]).iterdir()}
    assert kept == {"feedback.md", "verdict.json"}
    feedback = recording.folder / "attempts" / names[2] / "feedback.md"
    assert "Verdict: broken" in feedback.read_text()
    assert (recording.coder, recording.run, recording.name) == ("a script", "001", "walk")


def test_a_verdict_that_is_not_the_recorded_one_ends_the_replay(
    recording: Recording, tmp_path: Path
) -> None:
    path = recording.folder / "journal.jsonl"
    recorded = path.read_text()
    lines = recorded.splitlines()
    changed = [
        line.replace('"verdict":"broken"', '"verdict":"pass"') if '"plan"' in line else line
        for line in lines
    ]
    assert changed != lines
    path.write_text("\n".join(changed) + "\n")
    played = play(Recording.read(recording.folder), tmp_path / "again")
    assert not played.agreed and not played.outcome.finished
    assert "recorded is 'pass', and what the judge says now 'broken'" in played.outcome.reason
    path.write_text(recorded)
    played = play(Recording.read(recording.folder), tmp_path / "again", resume=True)
    assert played.agreed and played.outcome.finished


def test_a_replay_can_end_early_and_says_so(recording: Recording, tmp_path: Path) -> None:
    played = play(recording, tmp_path / "again", until="plan")
    assert played.agreed and played.outcome.reason == "played until plan, as asked"
    assert (played.judged, played.recorded) == (3, 7)
    with pytest.raises(ValueError, match=r"has no 'lunch'; it has survey, plan, scaffold"):
        play(recording, tmp_path / "other", until="lunch")


def test_an_interrupted_replay_goes_on(recording: Recording, tmp_path: Path) -> None:
    class Killed(BaseException):
        pass

    def listen(event: Event, standing: Standing) -> None:
        if event.kind == "agent_ended" and event.data["item"] == "scaffold":
            raise Killed

    with pytest.raises(Killed):
        play(recording, tmp_path / "again", listen=listen)
    played = play(recording, tmp_path / "again", resume=True)
    assert played.outcome.finished and played.agreed


@pytest.mark.parametrize("what", ["patch", "project"])
def test_a_recording_that_was_changed_is_not_played(
    recording: Recording, tmp_path: Path, what: str
) -> None:
    if what == "patch":
        shutil.copy(
            recording.folder / "patches" / "001-survey-1.patch",
            recording.folder / "patches" / "004-scaffold-1.patch",
        )
        said = "004-scaffold-1 cannot be repeated"
    else:
        (recording.folder / "project" / "reference" / "walk.py").write_text("other")
        said = "001-survey-1 began from other files than are here now"
    played = play(recording, tmp_path / "again")
    assert not played.outcome.finished and said in played.outcome.reason


def test_a_budget_may_change_while_a_run_goes_on(tmp_path: Path) -> None:
    project = projects.make(tmp_path / "walk")
    toml = project.folder / "simlift.toml"
    toml.write_text(toml.read_text() + "\n[budget]\nusd = 1.0\n")

    def costs(task: Task) -> None:
        well(task)
        (task.logs / "told.json").write_text('{"cost_usd": 2.0, "tokens": 1}')

    options: dict[str, Any] = {"judge": Judge(), "mode": "unconfined"}
    translate(Project.read(project.folder), coder=Coder({("survey", 1): costs}), **options)
    toml.write_text(toml.read_text().replace("1.0", "9.0"))
    again = Project.read(project.folder)
    assert translate(again, coder=Coder(), resume=True, **options).finished
    made = record(again, tmp_path / "recording", coder="a script")
    assert play(made, tmp_path / "again").agreed

    (project.folder / "reference" / "walk.py").write_text("# other\n")
    translate(again, coder=Coder(), run="001", resume=True, **options)
    with pytest.raises(ValueError, match=r"reference/walk\.py changed before attempt"):
        record(again, tmp_path / "second", coder="a script")
    assert not (tmp_path / "second").exists()


def test_what_is_not_ours_is_fetched_and_checked(
    run: tuple[Project, Outcome], tmp_path: Path
) -> None:
    program = tmp_path / "prepare.py"
    program.write_text(PREPARE.format(source=projects.UPSTREAM))
    made = record(
        run[0],
        tmp_path / "recording",
        coder="a script",
        prepare=program,
        fetched=["reference"],
        setup="pip install walk==1",
    )
    assert not (made.folder / "project" / "reference" / "walk.py").exists()
    assert [entry["path"] for entry in made.fetched] == ["reference/walk.py"]
    assert play(made, tmp_path / "again", until="plan").agreed
    assert not (tmp_path / "again" / "prepare.py").exists()

    prepare = made.folder / "project" / "prepare.py"
    prepare.write_text(PREPARE.format(source="other"))
    with pytest.raises(ValueError, match=r"is not what was translated; pip install walk==1"):
        play(made, tmp_path / "other")
    prepare.write_text("raise SystemExit('walk is not installed')")
    with pytest.raises(ValueError, match=r"cannot be had: walk is not installed; pip install"):
        play(made, tmp_path / "other")
    prepare.write_text("")
    with pytest.raises(ValueError, match=r"reference/walk.py is not there; pip install"):
        play(made, tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"run": "7"}, "no such run; there are: 001"),
        ({"fetched": ["reference"]}, "prepare and fetched belong together"),
        ({"name": "No Name"}, "No Name"),
    ],
)
def test_what_cannot_be_recorded_is_said(
    run: tuple[Project, Outcome], tmp_path: Path, options: dict[str, Any], error: str
) -> None:
    with pytest.raises(ValueError, match=error):
        record(run[0], tmp_path / "recording", **({"coder": "a script"} | options))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_went_back_is_not_recorded(tmp_path: Path) -> None:
    project = projects.make(tmp_path / "walk")
    options: dict[str, Any] = {"judge": Judge(), "mode": "unconfined", "coder": Coder()}
    translate(project, **options)
    translate(project, resume=True, again="swap_module:move", **options)
    with pytest.raises(ValueError, match="run 001 went back to an item"):
        record(project, tmp_path / "recording", coder="a script")
    assert not (tmp_path / "recording").exists()


def test_a_target_with_something_in_it_is_left_alone(
    run: tuple[Project, Outcome], recording: Recording, tmp_path: Path
) -> None:
    projects.write(tmp_path, {"full/x": "1"})
    for deed in (
        lambda: record(run[0], tmp_path / "full", coder="a script"),
        lambda: play(recording, tmp_path / "full"),
    ):
        with pytest.raises(ValueError, match="is not empty"):
            deed()
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["x"]


def test_a_recording_is_found_by_name_or_folder(recording: Recording) -> None:
    assert find(str(recording.folder)) == recording
    with pytest.raises(ValueError, match="'nothing' is no recording"):
        find("nothing")
    about = recording.folder / "recording.json"
    about.write_text(about.read_text().replace("003-plan-2", "003-plan-3"))
    with pytest.raises(ValueError, match=r"do not belong together .'003-plan-2'.; restore"):
        AGENTS["replay"](means(str(recording.folder))).check()
    about.write_text(json.dumps({"name": "walk"}))
    with pytest.raises(ValueError, match="'about' is a required property"):
        find(str(recording.folder))
    assert AGENTS["replay"].name == "replay"


@pytest.mark.parametrize("name", sorted(shipped()))
def test_recordings_that_ship_are_whole(name: str) -> None:
    recording = find(name)
    for attempts in recording.attempts.values():
        assert attempts[-1].verdict == journal.PASS
        assert all(
            recording.patch(attempt) or attempt.begun == attempt.left for attempt in attempts
        )

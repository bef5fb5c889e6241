"""--update: what still holds is certified anew, and what does not is told to the next coder."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from simlift.translate import crate, journal
from simlift.translate.journal import STARTED
from simlift.translate.loop import Outcome, translate
from simlift.translate.phases import Rendering
from simlift.translate.project import Project
from simlift.translate.recording import record
from simlift.translate.update import update
from simlift.translate.verdict import Finding, Verdict

from . import projects
from .scripted_coder import Coder, Judge

UPSTREAM = '''"""A walk in the wind."""

import random

__version__ = "1"


class Actions:
    def seed(self, seed):
        self.random = random.Random(seed)

    def sample(self):
        return self.random.randrange(2)


class Walk:
    def __init__(self):
        self.action_space = Actions()

    def reset(self, *, seed):
        self.random, self.position, self.time = random.Random(seed), 4, 0
        return self.position, {}

    def step(self, action):
        gust = self.random.randrange(3) - 1
        self.position = min(max(self.position + (1 if action else -1) + gust, 0), 9)
        self.time += 1
        return self.position, 0.0, self.position == 9, self.time >= 20, {}
'''


class Verifier(Judge):
    """Says of which version the suite is, and whether what there is still holds."""

    def __init__(self, version: str, line: str = "") -> None:
        super().__init__()
        self.version, self.line = version, line

    def __call__(self, rendering: Rendering, *arguments: Any, folder: Path, **more: Any) -> Verdict:
        if folder.name != "update":
            return super().__call__(rendering, *arguments, folder=folder, **more)
        details = {"reference": {"version": self.version}}
        found = Finding(line=self.line, signature=self.line, score=0.5, details=details)
        return found.verdict(123_456_789, 0.1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished run, made once."""
    folder = tmp_path_factory.mktemp("finished")
    projects.write(folder, {"up/walk.py": UPSTREAM})
    project = projects.make(folder / "walk")
    toml = projects.TOML.replace("walk_upstream:Walk", "walk:Walk")
    files = {"simlift.toml": toml + 'import_from = ["../up"]\n', "reference/walk.py": UPSTREAM}
    projects.write(project.folder, files)
    project = Project.read(project.folder)
    assert translate(project, coder=Coder(), judge=Judge(), mode="unconfined").finished
    return folder


@pytest.fixture
def project(finished: Path, tmp_path: Path) -> Project:

    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return Project.read(tmp_path / "walk")


def renew(project: Project, text: str) -> None:
    """Change what is installed."""
    (project.folder.parent / "up" / "walk.py").write_text(text)


def run(project: Project, **options: Any) -> Outcome | None:
    return update(project, **({"coder": Coder(), "mode": "unconfined"} | options))


def begun(outcome: Outcome) -> list[tuple[str, str]]:
    """The items of a run, with what was said in the first prompt of each."""
    events = journal.read(outcome.folder / "journal.jsonl")
    folders = {e.data["item"]: e.data["folder"] for e in events if e.kind == STARTED}
    return [
        (item, (outcome.folder / name / "feedback.md").read_text())
        for item, name in folders.items()
    ]


def test_nothing_is_done_where_nothing_changed(project: Project) -> None:
    assert run(project, judge=Verifier("1")) is None
    assert {path.name for path in (project.folder / "runs" / "translate").iterdir()} == {"001"}


def test_what_still_holds_is_certified_anew(project: Project) -> None:
    renew(project, UPSTREAM + "# a comment\n")
    outcome = run(project, version="2", judge=Verifier("2"))
    assert outcome is not None and outcome.finished
    assert begun(outcome) == [("certificate", "")]
    again = Project.read(project.folder)
    assert again.reference == dataclasses.replace(project.reference, version="2")
    assert (again.folder / "reference" / "walk.py").read_text() == UPSTREAM + "# a comment\n"
    assert (outcome.folder / "work" / "walk" / "move.py").read_text() == projects.MOVE
    [started, *_] = journal.read(outcome.folder / "journal.jsonl")
    assert started.data["updated"] == {"from": "1", "to": "2", "holds": True}
    assert run(again, judge=Verifier("2")) is None


def test_what_diverges_is_told_with_what_changed(project: Project) -> None:
    renew(project, UPSTREAM.replace(">= 20", ">= 30"))
    judge = Verifier("2", "L3 E2: time differs at step 20 (move writes it)")
    outcome = run(project, version="2", judge=judge)
    assert outcome is not None and outcome.finished
    [(item, told), *rest] = begun(outcome)
    assert [item, *(name for name, _ in rest)] == [
        "lockstep", "mutants", "transfer", "certificate",
    ]  # fmt: skip
    assert told.startswith("The reference changed: from version 1 to 2.")
    assert "time differs at step 20" in told
    assert "-        return self.position, 0.0, self.position == 9, self.time >= 20, {}" in told
    assert "+        return self.position, 0.0, self.position == 9, self.time >= 30, {}" in told
    assert all(text == "" for _, text in rest)
    prompt = next((outcome.folder / "attempts").glob("*lockstep*")) / "prompt.md"
    assert "time differs at step 20" in prompt.read_text()


def test_nothing_is_opened_that_a_crate_does_not_have(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crate, "cargo", Path)
    toml = project.folder / "simlift.toml"
    toml.write_text(toml.read_text() + '[target]\nlanguage = "rust"\n')
    renew(project, UPSTREAM.replace(">= 20", ">= 30"))
    judge = Verifier("2", "L3 E2: time differs at step 20 (move writes it)")
    outcome = run(Project.read(project.folder), version="2", judge=judge)
    assert outcome is not None
    [started, *_] = journal.read(outcome.folder / "journal.jsonl")
    assert started.data["items"] == ["lockstep", "certificate"]


def test_a_suite_of_the_old_version_is_opened(project: Project) -> None:
    renew(project, UPSTREAM + "# a comment\n")
    outcome = run(project, version="2", judge=Verifier("1"))
    assert outcome is not None
    [(item, told), (last, _)] = begun(outcome)
    assert (item, last) == ("scaffold", "certificate")
    assert "of the translation and its tests what differs now" in told
    assert "judge/suite.py" in told and "+    # a comment" not in told and "+# a comment" in told


def test_an_update_that_was_interrupted_goes_on(project: Project) -> None:
    renew(project, UPSTREAM + "# a comment\n")

    class Killed(BaseException):
        pass

    def dies(*arguments: Any, **more: Any) -> Verdict:
        raise Killed

    with pytest.raises(Killed):
        run(project, version="2", judge=dies)
    outcome = run(Project.read(project.folder), judge=Verifier("2"))
    assert outcome is not None and [item for item, _ in begun(outcome)] == ["certificate"]


def test_an_update_is_not_recorded(project: Project, tmp_path: Path) -> None:
    renew(project, UPSTREAM + "# a comment\n")
    assert run(project, version="2", judge=Verifier("2")) is not None
    with pytest.raises(ValueError, match="run 002 is an update; record the run that made"):
        record(Project.read(project.folder), tmp_path / "recording", coder="a script")


@pytest.mark.parametrize(
    ("text", "options", "error"),
    [
        (UPSTREAM + "#\n", {}, "the sources changed and the version, 1, did not"),
        (UPSTREAM + "#\n", {"sources": [Path("nowhere.py")]}, "nowhere.py is not there"),
        ("x = 1\n", {}, "has no attribute 'Walk'"),
    ],
)
def test_an_upstream_that_cannot_be_taken_leaves_the_project(
    project: Project, text: str, options: dict[str, Any], error: str
) -> None:
    renew(project, text)
    before = {p: p.read_bytes() for p in project.folder.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=error):
        run(project, judge=Verifier("1"), **options)
    assert before == {p: p.read_bytes() for p in project.folder.rglob("*") if p.is_file()}


def test_only_a_finished_run_is_updated(tmp_path: Path) -> None:
    project = projects.make(tmp_path / "walk")
    with pytest.raises(ValueError, match="walk has no finished run"):
        run(project)


def test_sources_beside_a_class_are_given(project: Project) -> None:
    toml = (project.folder / "simlift.toml").read_text()
    listed = 'sources = ["reference/walk.py"'
    assert listed in toml
    more = {"simlift.toml": toml.replace(listed, f'{listed}, "reference/wind.py"')}
    projects.write(project.folder, {**more, "reference/wind.py": "# still\n"})
    again = Project.read(project.folder)
    with pytest.raises(ValueError, match=r"name the new sources .*: where reference/wind.py came"):
        run(again)
    renew(again, UPSTREAM + "# a comment\n")
    upstream = project.folder.parent / "up"
    given = [upstream / "walk.py", upstream / "wind.py"]
    projects.write(upstream, {"wind.py": "# a gale\n"})
    assert run(again, sources=given, version="2", judge=Verifier("2")) is not None
    assert (project.folder / "reference" / "wind.py").read_text() == "# a gale\n"


def test_sources_without_a_known_place_are_given(tmp_path: Path) -> None:
    projects.write(tmp_path, {"new/walk.py": "# the second edition\n"})
    project = projects.make(tmp_path / "walk")
    toml = 'name = "walk"\n[reference]\nkind = "specification"\nversion = "1"\n'
    projects.write(project.folder, {"simlift.toml": toml + 'sources = ["reference/walk.py"]\n'})
    project = Project.read(project.folder)
    assert translate(project, coder=Coder(), judge=Judge(), mode="unconfined").finished
    with pytest.raises(ValueError, match="name the new sources"):
        run(project)
    given = {"sources": [tmp_path / "new" / "walk.py"], "version": "2"}
    outcome = run(project, judge=Verifier("2"), **given)
    assert outcome is not None and outcome.finished
    assert (project.folder / "reference" / "walk.py").read_text() == "# the second edition\n"

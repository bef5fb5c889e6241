"""The judge: on real attempts at a small project, in the sandbox, and what it makes of results."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from simlift.translate import check, judge, phases, verdict
from simlift.translate.commits import RunBranch
from simlift.translate.feedback import Tried, hand_over, text
from simlift.translate.judge import keep_done
from simlift.translate.phases import Item, Rendering
from simlift.translate.sandbox import Ended, Limits, Mode
from simlift.translate.verdict import Verdict
from simlift.verify import tape

from . import projects

INSPECTION = {"version": "1", "attributes": []}
SEED = 271828182845904
REVEALS = """
import os
import socket
from pathlib import Path

import pytest


def test_nothing_but_the_project_is_there():
    seen = sorted(p.name for p in Path().absolute().parent.iterdir())
    assert seen == ["attempt", "judged"], seen
    assert sorted(p.name for p in Path("../attempt/judge/0").iterdir()) == ["written"]


def test_the_copy_cannot_be_written():
    with pytest.raises(OSError):
        Path("walk/move.py").write_text("")


def test_there_is_no_network():
    with pytest.raises(OSError):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
    assert os.listdir("/sys/class/net") == ["lo"] if Path("/sys/class/net").exists() else True
"""
CHEATING = (
    projects.MOVE
    + """

import socket
from pathlib import Path


def look(what):
    try:
        what()
    except OSError:
        pass


look(lambda: socket.create_connection(("192.0.2.1", 80), timeout=1))
look(lambda: Path("../attempt/judge/0/written/result.json").read_text())
look(lambda: Path("judge/reference.py").read_text())
look(lambda: Path("/proc/self/cmdline").read_bytes())
"""
)

FORGING = (
    projects.MOVE_WRONG
    + """

import sys

frame = sys._getframe()
while frame is not None:  # whoever loads it, and has a result at hand
    result = frame.f_locals.get("result")
    if isinstance(result, dict) and "holds" in result:
        result.update(holds=True, divergences=[])
        for row in result["levels"]:
            row.update(mismatches=0, what=[])
    frame = frame.f_back
"""
)


bubblewrap = pytest.mark.usefixtures("in_bubblewrap")


class Attempt:
    """An attempt at an item, by a coder who leaves `files` (None: not there any more)."""

    def __init__(self, folder: Path, item: str, files: Mapping[str, str | None]) -> None:
        self.folder = folder
        self.phase, _, self.module = item.partition(":")
        self.work = folder / "work"
        self.project = projects.make(self.work)
        items = list(projects.SOLUTION)
        for earlier in items[: items.index(item)]:
            projects.write(self.work, projects.SOLUTION[earlier])
        given = Item(phase=self.phase, module=self.module)
        keep_done(self.work, phases.translated(given, projects.plan()))
        branch = RunBranch(folder / "git", self.work, "run")
        self.base = branch.freeze()
        projects.write(self.work, projects.SOLUTION[item])
        for name, content in files.items():
            if content is None:
                (self.work / name).unlink()
            else:
                projects.write(self.work, {name: content})
        self.tree = branch.freeze()
        self.copy = RunBranch(folder / "git", folder / "judged", "run")

    @property
    def rendering(self) -> Rendering:
        given = phases.variables(self.project, INSPECTION, plan=projects.plan(), module=self.module)
        return phases.load(self.phase).render(given)

    def judged(
        self,
        command: str | None = None,
        limits: Limits | None = None,
        mode: Mode = "bubblewrap",
    ) -> Verdict:
        """The verdict; command: instead of the phase's."""
        rendering = self.rendering
        if command is not None:
            rendering = dataclasses.replace(rendering, success_command=command)
        return judge.judge(
            rendering,
            self.project,
            self.copy,
            base=self.base,
            tree=self.tree,
            folder=self.folder / "attempt",
            mode=mode,
            limits=limits or Limits(seconds=300),
            seed=SEED,
        )


# -- what needs no command


def test_a_phase_whose_outputs_say_all_passes(tmp_path: Path) -> None:
    found = Attempt(tmp_path, "survey", {}).judged()
    assert found.passed and found.line == "pass" and found.signature == "" and found.score == 1
    assert Verdict.read(tmp_path / "attempt") == found


UNPLANNED = json.dumps({**projects.PLAN, "comparators": projects.PLAN["comparators"][:1]})


@pytest.mark.parametrize(
    ("item", "files", "signature", "line"),
    [
        ("survey", {"notes/survey.json": None}, "output", "notes/survey.json is not there"),
        ("survey", {"notes/survey.json": "{"}, "output", "notes/survey.json is not JSON"),
        ("plan", {"notes/plan.json": UNPLANNED}, "output", "only one of them has time"),
        ("plan", {"simlift.toml": ""}, "forbidden", "simlift.toml was changed"),
        ("plan", {"reference/more.py": ""}, "forbidden", "reference/more.py was changed, added"),
        ("plan", {"notes/survey.json": None}, "forbidden", "notes/survey.json was changed"),
        ("swap_module:move", {"judge/done.json": "[]"}, "forbidden", "judge/done.json was"),
        ("compose", {"jax.py": ""}, "shadow", "jax.py stands in the way of what is installed"),
        ("compose", {"sitecustomize.py": ""}, "shadow", "sitecustomize.py stands in the way"),
        ("compose", {"walk/x.py": "import judge.proxy"}, "import", "walk/x.py, line 1: .* judge"),
        ("compose", {"walk/x.py": "from simlift import verify"}, "import", "simlift.verify"),
        ("compose", {"walk/x.py": "def"}, "import", "walk/x.py is no Python"),
    ],
)
def test_files_that_are_not_as_they_have_to_be_fail(
    tmp_path: Path, item: str, files: Mapping[str, str | None], signature: str, line: str
) -> None:
    found = Attempt(tmp_path, item, files).judged()
    assert not found.passed and found.signature == signature and found.score == 0
    assert re.search(line, found.line)
    assert text(found).splitlines() == [f"Verdict: {found.line}"]


def test_a_link_fails(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "survey", {"notes/survey.json": None})
    (attempt.work / "notes" / "survey.json").symlink_to("/etc/hostname")
    attempt.tree = RunBranch(tmp_path / "git", attempt.work, "run").freeze()
    found = attempt.judged()
    assert found.line == "notes/survey.json is a link; write the file itself"


def test_the_seed_is_drawn_after_the_freeze(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "survey", {})
    judged = [
        judge.judge(
            attempt.rendering,
            attempt.project,
            attempt.copy,
            base=attempt.base,
            tree=attempt.tree,
            folder=tmp_path / "attempt",
        )
        for _ in range(2)
    ]
    assert judged[0].seed != judged[1].seed


def test_a_command_that_no_phase_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the judge runs no 'make'"):
        Attempt(tmp_path, "survey", {}).judged("make all")


def test_a_damaged_verdict_is_told(tmp_path: Path) -> None:
    (tmp_path / verdict.FILE).write_text("{")
    with pytest.raises(ValueError, match=r"verdict.json is damaged .* judge the attempt again"):
        Verdict.read(tmp_path)


@pytest.mark.parametrize(
    ("item", "done"),
    [
        ("plan", []),
        ("scaffold", []),
        ("translate_module:move", []),
        ("swap_module:move", ["move"]),
        ("lockstep", ["move"]),
    ],
)
def test_the_proxy_stands_in_until_a_module_is_swapped_in(item: str, done: list[str]) -> None:
    phase, _, module = item.partition(":")
    assert phases.translated(Item(phase=phase, module=module), projects.plan()) == done


# -- pytest


@bubblewrap
def test_tests_run_where_nothing_else_is_to_be_seen(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "translate_module:move", {"tests/test_move.py": REVEALS})
    found = attempt.judged()
    assert found.passed, found.details["output"]
    assert found.details["counts"] == {"passed": 3}


@bubblewrap
def test_a_reference_that_is_not_installed_is_imported_and_no_run_is_seen(tmp_path: Path) -> None:
    game = tmp_path / "games"
    projects.write(game, {"game/__init__.py": "RULES = 3\n", "mine.txt": ""})
    tests = f"""
from pathlib import Path
import game
def test_a():
    assert game.RULES == 3
    seen = sorted(path.name for path in Path({str(game)!r}).iterdir())
    assert seen == ["attempt", "game", "judged"], seen
"""
    attempt = Attempt(game, "translate_module:move", {"tests/test_move.py": tests})
    reference = dataclasses.replace(attempt.project.reference, import_from=("..",))
    attempt.project = dataclasses.replace(attempt.project, reference=reference)
    found = attempt.judged()
    assert found.passed, found.details["output"]


@bubblewrap
@pytest.mark.parametrize("mode", ["bubblewrap", "unconfined"])
def test_failing_tests_are_named_and_counted(tmp_path: Path, mode: Mode) -> None:
    tests = "def test_a(): assert 1 == 2\ndef test_b(): pass\ndef test_c(): pass\n"
    attempt = Attempt(tmp_path, "translate_module:move", {"tests/test_move.py": tests})
    found = attempt.judged(mode=mode)
    assert found.line == "1 of 3 tests fail, the first is tests.test_move::test_a"
    assert found.signature == "pytest: tests.test_move::test_a" and 0.6 < found.score < 0.7
    told = text(found)
    assert "assert 1 == 2" in told and "2 tests pass; these fail" in told
    assert str(tmp_path) not in told


@bubblewrap
@pytest.mark.parametrize(
    ("tests", "line"),
    [
        ("", "pytest ended with status 5; 0 tests passed"),
        ("import os\ndef test_a(): os._exit(0)", "pytest ended with status 0 and no report"),
        ("import time\ndef test_a(): time.sleep(99)", "the judge's command ran longer than it may"),
    ],
)
def test_tests_that_say_nothing_do_not_pass(tmp_path: Path, tests: str, line: str) -> None:
    attempt = Attempt(tmp_path, "translate_module:move", {"tests/test_move.py": tests})
    found = attempt.judged(limits=Limits(seconds=1 if "sleep" in tests else 60))
    assert not found.passed and found.line.startswith(line) and found.score == 0


# -- the verifier


@pytest.fixture(scope="session")
def wrong(
    tmp_path_factory: pytest.TempPathFactory, in_bubblewrap: None
) -> Iterator[tuple[Attempt, Verdict]]:
    """A module that is swapped in, and wrong."""
    folder = tmp_path_factory.mktemp("wrong")
    attempt = Attempt(folder, "swap_module:move", {"walk/move.py": projects.MOVE_WRONG})
    yield attempt, attempt.judged()


def test_a_wrong_translation_fails_with_a_story(wrong: tuple[Attempt, Verdict]) -> None:
    attempt, found = wrong
    assert not found.passed and found.signature == "L2 position move"
    assert found.line.startswith("L2: position differs at step 0 (move writes it)")
    assert 0.2 < found.score < 0.9
    earlier = Tried(attempt=1, files=2, added=10, removed=3, line="L2: it does not happen")
    told = text(found, [earlier])
    assert len(told.splitlines()) <= 60
    assert "position: the reference has 0, we have 1" in told
    assert "- attempt 1: 2 files, +10 -3: L2: it does not happen" in told
    assert "failing comparisons begin so: L3 E2 position, written by move" in told
    assert "What holds: L2 0 of 1, L3 E2" in told
    assert "seed" not in told and str(attempt.folder) not in told


def test_its_tape_is_handed_over_without_the_seed(wrong: tuple[Attempt, Verdict]) -> None:
    attempt, found = wrong
    hand_over(found, attempt.folder / "attempt", attempt.work)
    (path,) = (attempt.work / "runs" / "judge").iterdir()
    assert f"simlift replay runs/judge/{path.name}" in text(found)
    assert "seed" not in tape.load(path).found and tape.load(path).actions.tolist() == [0]


def test_what_is_no_tape_of_the_judge_is_not_handed_over(
    wrong: tuple[Attempt, Verdict], tmp_path: Path
) -> None:
    attempt, found = wrong
    folder, workspace = tmp_path / "attempt", tmp_path / "work"
    kept = attempt.folder / "attempt" / found.details["divergences"][0]["tape"]
    projects.write(tmp_path, {"secret.json": kept.read_text(), "attempt/no.json": "{"})
    for name in ("../secret.json", str(tmp_path / "secret.json"), "no.json", "gone.json"):
        story = {**found.details["divergences"][0], "tape": name}
        forged = dataclasses.replace(found, details={"divergences": [story]})
        hand_over(forged, folder, workspace)
    assert not workspace.exists()


def test_feedback_is_short_whatever_there_is_to_tell(wrong: tuple[Attempt, Verdict]) -> None:
    _, found = wrong
    rows = [
        {**row, "level": "L0", "policy": f"check {n}", "mismatches": 1, "what": [f"{SEED} " * 999]}
        for n, row in enumerate(found.details["levels"] * 20)
    ]
    many = dataclasses.replace(found, details={**found.details, "levels": rows})
    tried = [Tried(attempt=n, files=1, added=1, removed=1, line=f"no {n}") for n in range(50)]
    told = text(many, tried)
    assert len(told.splitlines()) <= 60 and str(SEED) not in told
    assert "- 44 earlier attempts, which failed as well" in told and "no 49" in told


def again(found: tuple[Attempt, Verdict], folder: Path, **changes: Any) -> verdict.Finding:
    """What is made of the result of `found`, changed; status: the exit code."""
    attempt, _ = found
    written = attempt.folder / "attempt" / "judge" / "0" / "written"
    result = json.loads((written / "result.json").read_bytes())
    status = changes.pop("status", 1)
    (folder / "result.json").write_text(json.dumps({**result, **changes}))
    for name in ("stdout.txt", "stderr.txt"):
        (folder / name).write_text("")
    ended = Ended(
        status=status,
        stopped=None,
        seconds=1.0,
        stdout=folder / "stdout.txt",
        stderr=folder / "stderr.txt",
    )
    return verdict.verified(
        ended, folder, wanted=check.LEVELS, seed=SEED, survivors=["move:9 + to -"]
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 0},
        {"holds": True},
        {"status": 0, "holds": True},
        {"seeds": [0]},
        {"levels": []},
        {"options": {"levels": ["L2"]}},
        {"levels": [{"level": 1}]},
        {"divergences": [{"level": "L2"}]},
        {"claim": []},
    ],
)
def test_an_exit_code_alone_never_decides(
    wrong: tuple[Attempt, Verdict], tmp_path: Path, changes: dict[str, Any]
) -> None:
    assert again(wrong, tmp_path).signature == "L2 position move"
    assert again(wrong, tmp_path, **changes).signature == "result.json"


@pytest.mark.parametrize(
    ("what", "line"),
    [("move:9 + to -: open", ""), ("move:1 x: open", "mut"), ("move:9 + to -1: open", "mut")],
)
def test_open_mutants_are_let_pass_if_they_are_listed(
    wrong: tuple[Attempt, Verdict], tmp_path: Path, what: str, line: str
) -> None:
    row = {**wrong[1].details["levels"][0], "level": "mutants", "policy": "", "what": [what]}
    assert again(wrong, tmp_path, levels=[row]).line[:3] == line


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, ""),
        ({"ignored": {"time": "no time"}}, "the suite does not compare time as the plan does"),
        ({"claim": {"within": {"time": "within 5"}}}, "the suite does not compare time as the"),
        ({"levels": [{"level": "L2", "policy": "x"}]}, "the suite has no scenario 'against_the"),
    ],
)
def test_a_suite_has_to_compare_what_is_planned(
    wrong: tuple[Attempt, Verdict], changes: dict[str, Any], line: str
) -> None:
    passing = verdict.Finding(details={**wrong[1].details, **changes})
    found = verdict.as_planned(passing, projects.plan())
    assert found.line.startswith(line) and bool(found.line) == bool(line)


@bubblewrap
@pytest.mark.parametrize(
    ("suite", "line"),
    [
        (("lambda steps: any", "lambda steps: not any"), "L2 against_the_wall: the reference did"),
        (
            ('"stream": Field(', '"rng": Field('),
            "the verification could not be run: judge.suite:SUITE: the table of",
        ),
        (
            ("    properties=properties,", "    properties=properties,\n    domain=state,"),
            "the verification could not be run: judge.suite:SUITE: domain of default: TypeError",
        ),
        (
            ('targets=("walk.move",)', 'targets=("walk.mvoe",)'),
            "the verification could not be run: judge.suite:SUITE: target walk.mvoe",
        ),
    ],
)
def test_a_scaffold_is_judged_while_the_reference_stands_in(
    tmp_path: Path, suite: tuple[str, str], line: str
) -> None:
    assert projects.SUITE.count(suite[0]) == 1
    attempt = Attempt(tmp_path, "scaffold", {"judge/suite.py": projects.SUITE.replace(*suite)})
    found = attempt.judged("simlift translate check --episodes 1")
    assert not found.passed and found.line.startswith(line)


@bubblewrap
@pytest.mark.parametrize("program", [projects.MOVE, CHEATING], ids=["honest", "cheating"])
def test_the_verifier_isolates_a_translation_inside_the_sandbox(
    tmp_path: Path, program: str
) -> None:
    attempt = Attempt(tmp_path, "compose", {"walk/move.py": program})
    found = attempt.judged("simlift verify judge.suite:SUITE --levels L2 --episodes 1")
    conduct = [row for row in found.details["levels"] if row["policy"] == "conduct"]
    told = " ".join(what for row in conduct for what in row["what"])
    assert conduct and found.passed == (program == projects.MOVE) == (told == "")
    if program == CHEATING:
        assert found.signature == "L0 conduct" and "conduct: the environment" in text(found)
        for deed in ("uses the network", "reads judge/0/written", "judge/reference.py", "/proc/"):
            assert deed in told


@bubblewrap
def test_a_translation_cannot_forge_its_result(tmp_path: Path) -> None:
    attempt = Attempt(tmp_path, "compose", {"walk/move.py": FORGING})
    found = attempt.judged("simlift verify judge.suite:SUITE --levels L2 --episodes 1")
    assert found.signature == "L2 position move"


# -- check


def test_outputs_are_checked_by_the_coders_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    projects.make(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert check.main(["--outputs", "survey"]) == check.CANNOT
    assert "simlift: notes/survey.json is not there; this phase" in capsys.readouterr().err
    projects.write(tmp_path, projects.SOLUTION["survey"])
    assert check.main(["--outputs", "survey"]) == check.HOLDS
    assert capsys.readouterr().out == "notes/survey.json: fits\n"
    assert check.main(["--outputs", "survay"]) == check.CANNOT
    assert "there is no phase 'survay'" in capsys.readouterr().err

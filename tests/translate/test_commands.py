"""`simlift translate` as it is typed: its words, its exit codes, one line for bad input."""

import json
import re
import shlex
import shutil
import subprocess
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simlift import cli
from simlift.cli.translate.run import price_table
from simlift.translate import loop, recording, update
from simlift.translate.agents import handoff
from simlift.translate.budget import Caps, Spent
from simlift.translate.prices import UnknownPrice
from simlift.translate.project import Agent, Project
from simlift.translate.spending import Standing

from . import projects

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "translate" / "README.md").read_text()
RULES = "# Ferry\n\nA boat stands at one of two piers.\n"
PURSE = """
import json, sys
purse = 0
for line in sys.stdin:
    asked = json.loads(line)
    answer = {"id": asked["id"]}
    if asked["verb"] == "hello":
        answer |= {"protocol": 1, "name": "purse", "version": "2.1", "action": {"n": 3},
                   "observation": {"shape": [], "dtype": "int32"}, "draw_sites": {},
                   "snapshot_fields": {"purse": "int32"}}
    elif asked["verb"] == "snapshot":
        answer["snapshot"] = {"purse": purse}
    elif asked["verb"] == "restore":
        purse = asked["snapshot"]["purse"]
    else:
        purse = 0 if asked["verb"] == "reset" else purse + asked["action"] + 1
        answer |= {"observation": purse, "terminated": purse > 50}
    print(json.dumps(answer), flush=True)
"""

UNCONFINED = ("--sandbox", "unconfined")  # what is run here needs none
TRANSLATE = ("translate", "--project", "walk", *UNCONFINED)

Simlift = Callable[..., tuple[int, str, str]]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which holds what the README's commands are about."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.md").write_text(RULES)
    (tmp_path / "purse.py").write_text(PURSE)
    return tmp_path


@pytest.fixture
def simlift(capsys: pytest.CaptureFixture[str]) -> Simlift:
    """simlift(words, ...) -> exit code, output, errors."""

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.main(words)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def readme_commands() -> list[str]:
    """Every `simlift ...` that stands in a block of the README, or in backticks."""
    blocks = re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if "simlift " in line[:8]]
    quoted = re.findall(r"`(simlift [^`]+)`", README.replace("\n", " "))
    return list(dict.fromkeys([*lines, *quoted]))


def test_the_readme_shows_commands() -> None:
    assert len(readme_commands()) > 10


@pytest.mark.parametrize("line", readme_commands())
def test_every_command_of_the_readme_is_one(line: str) -> None:
    command = cli.parse(shlex.split(line)[1:])
    assert callable(command.run)


@pytest.mark.parametrize(
    "line", [line for line in readme_commands() if "translate init" in line and "--" in line]
)
def test_the_readme_makes_projects(line: str, here: Path, simlift: Simlift) -> None:
    code, out, err = simlift(*shlex.split(line)[1:])
    assert code == cli.HOLDS, err
    folder = line.rpartition("--folder ")[2]
    assert Project.read(here / folder).name == folder
    assert f"next: read {folder}/simlift.toml, then simlift translate --project {folder}" in out


def test_init_takes_everything_that_a_project_says(here: Path, simlift: Simlift) -> None:
    (here / "walk_upstream.py").write_text(
        "import copy\n\nclass Walk:\n"
        "    def __init__(self, width): self.width, self.place = width, 0\n"
        "    def reset(self, *, seed): self.place = seed % 2; return [self.place], {}\n"
        "    def step(self, action):\n"
        "        self.place += 1\n"
        "        return [self.place], 1.0, self.place > self.width, False, {}\n"
        "    class action_space:\n"
        "        seed = staticmethod(lambda seed: None)\n"
        "        sample = staticmethod(lambda: 0)\n"
    )
    (here / "notes.md").write_text("Mind the wind.")
    code, out, err = simlift(
        *("translate", "init", "python", "walk_upstream:Walk", "--name", "walk", "--version", "3"),
        *("--sources", "walk_upstream.py", "notes.md", "--arguments", '{"width": 5}'),
        *("--build", "true --quick", "--language", "rust"),
        *("--agent", "codex", "--model", "small", "--json"),
    )
    assert code == cli.HOLDS, err
    assert json.loads(out).keys() == {"project", "name", "found"}
    project = Project.read(here / "walk")
    assert project.reference.sources == ("reference/walk_upstream.py", "reference/notes.md")
    assert project.reference.arguments == {"width": 5}
    assert project.reference.build == ("true", "--quick")
    assert (project.reference.version, project.language) == ("3", "rust")
    assert (project.agent.kind, project.agent.model) == ("codex", "small")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("translate", "make a project with simlift translate init"),
        ("translate --resume --project nowhere", "nowhere/simlift.toml is not there"),
        (
            "translate shw",
            "translate has no command 'shw'; it has run, init, check, show, record, rep",
        ),
        ("translate show", "make a project with simlift translate init"),
        ("translate show 007", "'007' is no run, no recording, and no folder of one; there"),
        ("translate init python", "name what is translated"),
        ("translate init python no_such:Game --version 1", "cannot be imported"),
        ("translate init specification", "name what is translated"),
        ("translate init specification no.md --version 1", "no.md is not there"),
        ("translate init specification rules.md", "give one (version)"),
        ("translate init specification rules.md --folder .", "is not empty"),
        ("translate init python a:B --arguments {", "--arguments {: is not JSON"),
        ("translate init python a:B --arguments []", "--arguments []: is not an object"),
        ("translate --sources rules.md", "make a project with simlift translate init"),
        ("translate record made --coder me", "make a project with simlift translate init"),
        ("translate replay nothing", "'nothing' is no recording, and no folder of one; there are"),
        ("translate check", "judge"),
        ("translate check --outputs plan", "make a project with simlift translate init"),
    ],
)
def test_bad_input_is_one_line_that_names_the_remedy(
    line: str, said: str, here: Path, simlift: Simlift
) -> None:
    before = sorted(here.iterdir())
    code, out, err = simlift(*shlex.split(line))
    assert (code, out) == (cli.CANNOT, "")
    assert err.startswith("simlift: ") and said in err and len(err.splitlines()) == 1
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("command", cli.GROUPS["translate"])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["translate", command, "--help"])
    assert stop.value.code == 0
    assert "Example: simlift translate" in " ".join(capsys.readouterr().out.split())


# -- runs


@pytest.fixture
def walk(here: Path) -> Path:
    """A project that a coder can begin with, by hand."""
    return projects.make(here / "walk").folder


class Person:
    """Reads the prompts of a run, while the loop sleeps: forgets to write the survey, mends that,
    and then wants to stop."""

    def __init__(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run = project / "runs" / "translate" / "001"
        self.prompts: list[str] = []
        clock = types.SimpleNamespace(monotonic=time.monotonic, sleep=self.work)
        monkeypatch.setattr(handoff, "time", clock)

    def work(self, seconds: float) -> None:
        """Do what the prompt says, if there is a new one."""
        done = self.run / "handoff" / "done"
        if done.exists():
            return
        self.prompts.append((self.run / "handoff" / "prompt.md").read_text())
        if len(self.prompts) == 3:
            raise KeyboardInterrupt
        if len(self.prompts) == 2:
            projects.write(self.run / "work", projects.SOLUTION["survey"])
        done.write_text(json.dumps({"words": "so be it", "cost_usd": 0.4, "tokens": 90000}))


@pytest.fixture
def person(walk: Path, monkeypatch: pytest.MonkeyPatch) -> Person:
    return Person(walk, monkeypatch)


def budget(project: Path, **caps: float) -> None:
    text = (project / "simlift.toml").read_text()
    lines = [f"{key} = {value}" for key, value in caps.items()]
    (project / "simlift.toml").write_text("\n".join([text, "[budget]", *lines, ""]))


def test_a_run_that_stops_says_why_and_can_be_resumed(
    walk: Path, simlift: Simlift, person: Person
) -> None:
    budget(walk, usd=0.3)
    code, out, err = simlift(*TRANSLATE)
    assert (code, err) == (cli.FAILS, "")
    why = "0.4 dollars of 0.3 are spent; raise budget.usd in simlift.toml, then resume"
    assert f"each prompt lies in {person.run}/handoff/prompt.md;" in out
    assert out.splitlines()[-1].endswith(f"stopped: {why}")

    code, out, err = simlift(*TRANSLATE)
    assert code == cli.CANNOT and "run 001 is not finished; resume it (--resume)" in err
    code, out, err = simlift(*TRANSLATE, "--resume", "--json")
    result = json.loads(out)
    assert code == cli.FAILS and not result["finished"] and result["run"] == str(person.run)
    assert result["reason"] == why and result["spent"]["dollars"] == 0.4
    assert f"each prompt lies in {person.run}/handoff/prompt.md;" in err


def test_what_was_done_by_hand_is_judged_and_ctrl_c_says_how_to_go_on(
    walk: Path, simlift: Simlift, person: Person
) -> None:
    code, out, err = simlift(*TRANSLATE)
    assert code == cli.INTERRUPTED
    assert err == "simlift: interrupted; simlift translate --project walk --resume goes on\n"
    lines = [re.sub(r" \([\d.]+ s\)$", "", line[10:]) for line in out.splitlines()]
    assert "survey 1: ✗ notes/survey.json is not there; this phase has to write it" in lines
    assert "survey 2: repairs; the coder is at work" in lines
    assert "survey 2: ✓ pass" in lines
    sums = "spent $0.80 / cap $20.00 / projected not known yet; 180,000 tokens in 0 calls"
    assert sums in lines
    assert lines[-1] == "plan 1: first; the coder is at work"
    assert "notes/survey.json is not there" in person.prompts[1]


def test_the_agent_can_be_another_than_the_projects(
    walk: Path, simlift: Simlift, monkeypatch: pytest.MonkeyPatch
) -> None:
    (walk / "bin").mkdir()
    (walk / "bin" / "git").symlink_to(shutil.which("git") or "git")
    monkeypatch.setenv("PATH", str(walk / "bin"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "none")
    code, out, err = simlift(*TRANSLATE, "--agent", "claude", "--model", "claude-opus-5-5")
    assert (code, out) == (cli.CANNOT, "") and "npm install -g @anthropic-ai/claude-code" in err
    code, _, err = simlift(*TRANSLATE, "--agent", "nobody")
    assert code == cli.CANNOT and "'nobody' is no agent; choose one of" in err


def test_a_finished_run_exits_with_0(
    walk: Path, simlift: Simlift, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finished(project: Project, **options: Any) -> loop.Outcome:
        assert options["mode"] == "unconfined" and options["run"] == "mine"
        return loop.Outcome(
            folder=project.folder,
            finished=True,
            reason="",
            outputs=["walk"],
            certificate="certificate.json",
            standing=Standing(
                spent=Spent(), caps=Caps(dollars=1.0), seconds=1.0, limit=2.0, progress=1.0
            ),
        )

    monkeypatch.setattr(loop, "translate", finished)
    words = ("--project", "walk", "--run", "mine", "--sandbox", "unconfined", "--json")
    code, out, _ = simlift("translate", "run", *words)
    assert code == cli.HOLDS
    assert json.loads(out)["outputs"] == ["walk"]


def test_an_update_needs_a_finished_run_and_something_new(
    walk: Path, simlift: Simlift, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("translate", "--project", "walk")
    code, _, err = simlift(*line, "--update")
    assert code == cli.CANNOT and "walk has no finished run that could be updated" in err
    code, _, err = simlift(*line, "--version", "2")
    assert code == cli.CANNOT and "--sources and --version are of an update; add --update" in err
    code, _, err = simlift(*line, "--update", "--resume")
    assert code == cli.CANNOT and "resume or update, one at a time" in err
    code, _, err = simlift(*line, "--update", "--again", "plan")
    assert code == cli.CANNOT and "--again goes with --resume" in err
    code, _, err = simlift(*line, "--again", "plan", "--why", "it is too long")
    assert code == cli.CANNOT and "to go back to plan is to resume a run; add resume" in err

    def unchanged(project: Project, **options: Any) -> None:
        assert options["sources"] == (Path("new/walk.py"),) and options["version"] == "2"

    monkeypatch.setattr(update, "update", unchanged)
    code, out, _ = simlift(*line, "--update", "--sources", "new/walk.py", "--version", "2")
    assert (code, out) == (cli.HOLDS, "walk is up to date: 1\n")


def test_a_price_that_the_project_states_is_of_its_model_alone() -> None:
    stated = {"input": 1.5, "output": 6.0, "max_output": 8000}
    table = price_table(Agent(kind="mini", model="home-made", price=stated))
    assert table.of("home-made").rates.output == 6.0
    assert table.of("claude-opus-5-5") == price_table(Agent()).of("claude-opus-5-5")
    with pytest.raises(UnknownPrice, match=r"'other': state it in simlift.toml, as .agent.price"):
        table.of("other")


# -- show


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project, walk, whose run was interrupted in its third attempt."""
    folder = tmp_path_factory.mktemp("made")
    walk = projects.make(folder / "walk").folder
    with pytest.MonkeyPatch.context() as monkeypatch:
        Person(walk, monkeypatch)
        assert (
            cli.main(["translate", "--sandbox", "unconfined", "--project", str(walk)])
            == cli.INTERRUPTED
        )
    return folder


@pytest.fixture
def translated(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Path:
    """The same, as the current folder."""
    monkeypatch.chdir(made)
    capsys.readouterr()
    return made


def test_show_tells_the_last_run_or_a_named_one(translated: Path, simlift: Simlift) -> None:
    code, story, _ = simlift("translate", "show", "--project", "walk")
    assert code == cli.HOLDS
    assert "walk · 001 · handoff" in story
    assert "spent $0.80 / cap $20.00 / projected not known yet; 180,000 tokens" in story
    assert "the coder of plan is at work; `simlift translate --resume` goes on" in story
    assert simlift("translate", "show", "001", "--project", "walk")[1] == story
    assert simlift("translate", "show", "walk/runs/translate/001")[1] == story
    code, _, err = simlift("translate", "show", "second", "--project", "walk")
    assert code == cli.CANNOT and "'second' is no run, no recording, and no" in err
    assert "001" in err


def test_show_tells_one_attempt(translated: Path, simlift: Simlift) -> None:
    show = ("translate", "show", "--project", "walk", "--attempt")
    code, out, _ = simlift(*show, "2")
    assert code == cli.HOLDS
    assert "2. survey, attempt 2 · repairs · handoff · $0.40" in out
    assert "-- prompt" in out and "so be it" in out and "+++ b/notes/survey.json" in out
    code, _, err = simlift(*show, "4")
    assert code == cli.CANNOT and "there is no attempt 4; there are 1 to 3" in err


def test_show_gives_patches_to_git(translated: Path, simlift: Simlift, tmp_path: Path) -> None:
    code, patch, _ = simlift("translate", "show", "--project", "walk", "--patch")
    assert code == cli.HOLDS
    git = ["git", "apply", "--directory=patched", "-"]
    subprocess.run(git, input=patch.encode(), cwd=tmp_path, check=True)
    survey = json.loads((tmp_path / "patched" / "notes" / "survey.json").read_text())
    assert survey == projects.SURVEY


def test_show_writes_the_page(translated: Path, simlift: Simlift) -> None:
    code, out, _ = simlift("translate", "show", "--project", "walk", "--html", "run.html")
    assert (code, out) == (cli.HOLDS, "page: run.html\n")
    page = (translated / "run.html").read_text()
    assert "walk: … Open" in page and page.count('<article class="attempt"') == 3


def test_show_as_json(translated: Path, simlift: Simlift) -> None:
    code, out, _ = simlift("translate", "show", "--project", "walk", "--json")
    told = json.loads(out)
    assert code == cli.HOLDS and told["cost_usd"] == 0.8 and told["tokens"] == 180_000
    items = [(one["item"], one["verdict"] == "pass") for one in told["attempts"]]
    assert items == [("survey", False), ("survey", True), ("plan", False)]


# -- recordings


def test_a_run_is_recorded_listed_shown_and_replayed(
    translated: Path, simlift: Simlift, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "shipped" / "walk"
    code, out, err = simlift(
        *("translate", "record", str(kept), "--project", "walk", "--coder", "a test")
    )
    assert code == cli.HOLDS, err
    assert "2 attempts at 1 items of run 001" in out
    monkeypatch.setattr(recording, "SHIPPED", kept.parent)
    _, out, _ = simlift("translate", "list", "--json")
    (row,) = json.loads(out)["recordings"]
    assert (row["name"], row["coder"], row["attempts"]) == ("walk", "a test", 2)
    assert "a test" in simlift("translate", "list")[1]
    _, out, _ = simlift("translate", "show", "walk", "--attempt", "2")
    assert "2. survey, attempt 2" in out and "+++ b/notes/survey.json" in out

    out_folder = str(tmp_path / "again")
    play = ("translate", "replay", "walk", "--out", out_folder, "--until", "survey", *UNCONFINED)
    code, out, err = simlift(*play)
    assert code == cli.HOLDS, err
    assert "stopped: played until survey, as asked" in out
    verdicts = "2 of 2 recorded attempts were judged anew, each with the recorded verdict"
    assert out.splitlines()[-1] == f"{verdicts}: {out_folder}"


def test_a_replay_with_another_verdict_exits_with_1(
    translated: Path, simlift: Simlift, tmp_path: Path
) -> None:
    kept = tmp_path / "walk"
    simlift("translate", "record", str(kept), "--project", "walk", "--coder", "a test")
    journal = kept / "journal.jsonl"
    text = journal.read_text()
    assert text.count('"verdict":"pass"') == 1
    journal.write_text(text.replace('"verdict":"pass"', '"verdict":"it was wrong"'))
    code, out, _ = simlift(
        "translate", "replay", str(kept), "--out", str(tmp_path / "b"), "--json", *UNCONFINED
    )
    told = json.loads(out)
    assert code == cli.FAILS and not told["agreed"] and told["judged"] == 2
    assert (
        "what was recorded is 'it was wrong', and what the judge says now 'pass'" in told["reason"]
    )

"""What all command-line agents have in common, with small scripts in place of the programs."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from simlift.translate import agents, sandbox
from simlift.translate.agents import AGENTS, Means, Report, Task
from simlift.translate.agents.claude import Claude
from simlift.translate.agents.codex import Codex
from simlift.translate.agents.command_line import CommandLineAgent, _program
from simlift.translate.agents.gemini import Gemini
from simlift.translate.agents.mini import TRAJECTORY, Mini
from simlift.translate.budget import Budget, Caps
from simlift.translate.prices import PriceTable
from simlift.translate.sandbox import Ended, Limits, Mode, SandboxUnavailable, Stop

PRICES = PriceTable.parse({"models": {"m": {"input": 1, "output": 1, "max_output": 9}}}, "test")
KINDS = {kind: one for kind, one in AGENTS.items() if issubclass(one, CommandLineAgent)}
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is first on PATH, in a world in which all keys are set."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", os.pathsep.join([str(folder), "/usr/bin", "/bin"]))
    for key in KEYS:
        monkeypatch.setenv(key, "sk-key")
    for variable in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.delenv(variable, raising=False)
    return folder


def script(path: Path, lines: str, interpreter: str = "/bin/sh") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{interpreter}\n{lines}\n")
    path.chmod(0o755)
    return path


def make(kind: str = "claude", model: str = "m", mode: Mode = "unconfined") -> CommandLineAgent:
    means = Means(budget=Budget(Caps(dollars=1.0)), prices=PRICES, model=model, sandbox=mode)
    agent = agents.make(kind, means)
    assert isinstance(agent, CommandLineAgent)
    return agent


def work(tmp_path: Path, seconds: float = 20.0) -> Report:
    workspace = tmp_path / "work"
    workspace.mkdir()
    task = Task(
        item="survey",
        attempt=1,
        prompt="Survey it.",
        workspace=workspace,
        readable=(),
        logs=tmp_path / "logs",
        limits=Limits(seconds=seconds),
        max_turns=3,
        budget_usd=1.0,
    )
    return make().work(task)


# -- by name


def test_an_agent_that_is_not_known_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"'cursor' is no agent; choose one of claude, codex, .*"):
        make("cursor")


def test_an_agent_of_ones_own_is_named_by_its_import_path() -> None:
    assert isinstance(make("simlift.translate.agents.gemini:Gemini"), Gemini)


@pytest.mark.parametrize("kind", ["nowhere.to:BeFound", "json:JSONDecoder", "json:nothing", ":"])
def test_an_import_path_that_is_no_agent_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=r"agent.kind"):
        make(kind)


# -- check


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_that_is_missing_is_named_with_how_to_get_it(kind: str, programs: Path) -> None:
    with pytest.raises(ValueError, match=f"is not installed: .* install .*{KINDS[kind].tested}"):
        make(kind).check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_key_is_named(kind: str, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KINDS[kind].key)
    with pytest.raises(ValueError, match=f"set {KINDS[kind].key}"):
        make(kind).check()


def test_a_base_url_that_is_none_is_named(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "localhost:8000")
    with pytest.raises(ValueError, match="'localhost:8000' is not a base URL"):
        make("codex").check()


def test_a_missing_model_and_a_missing_price_are_asked_for(programs: Path) -> None:
    with pytest.raises(ValueError, match=r"agent\.model"):
        make(model="").check()
    with pytest.raises(ValueError, match="no price is known for the model 'new'"):
        make(model="new").check()


def test_another_version_is_only_told_of(programs: Path, caplog: pytest.LogCaptureFixture) -> None:
    script(programs / "claude", "echo '9.8.7 (Claude Code)'")
    make().check()
    assert "claude 9.8.7 is there; what is tested is 2.1.197: npm install" in caplog.text


def test_the_tested_version_is_not_told_of(
    programs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    script(programs / "claude", "echo 2.1.197")
    agent = make()
    agent.check()
    assert caplog.text == "" and agent.version() == "2.1.197"


@pytest.mark.parametrize("lines", ["exit 1", "echo unknown"])
def test_a_program_that_does_not_run_is_named(programs: Path, lines: str) -> None:
    script(programs / "claude", lines)
    with pytest.raises(ValueError, match="claude does not tell its version: npm install"):
        make().check()


def test_a_sandbox_that_cannot_be_had_is_told(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise SandboxUnavailable("bubblewrap is missing")

    script(programs / "claude", "echo 2.1.197")
    monkeypatch.setattr(sandbox, "probe", refuse)
    with pytest.raises(ValueError, match="bubblewrap is missing"):
        make(mode="bubblewrap").check()


# -- where a program lies


def test_a_node_program_is_run_by_its_node_and_shows_all_its_packages(programs: Path) -> None:
    root = programs.parent / "prefix" / "node_modules"
    target = script(root / "@a/b/bin/b.js", "", "/usr/bin/env node")
    node = script(programs.parent / "node" / "bin" / "node", "")
    (node.parent.parent / "lib").mkdir()
    (programs / "node").symlink_to(node)
    (programs / "b").symlink_to(target)
    found = _program(programs / "b")
    assert found.words == (str(programs / "node"), str(target))
    assert root in found.folders and node.parent.parent in found.folders


def test_a_python_program_shows_its_environment_and_its_python(programs: Path) -> None:
    home = programs.parent / "venv"
    (home / "lib").mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "bin" / "python").symlink_to(Path(sys.executable).resolve())
    target = script(home / "bin" / "mini", "", str(home / "bin" / "python"))
    found = _program(target)
    assert found.words == (str(home / "bin" / "python"), str(target))
    assert {home, Path(sys.executable).resolve().parent.parent} <= set(found.folders)


def test_a_program_that_stands_alone_shows_itself_alone(programs: Path) -> None:
    target = programs.parent / "bin" / "claude"
    target.parent.mkdir()
    target.write_bytes(b"\x7fELF")
    assert _program(target).folders == (target,)


def test_a_program_without_its_interpreter_is_named(programs: Path) -> None:
    script(programs / "b", "", "/usr/bin/env no-such-node")
    with pytest.raises(ValueError, match="needs no-such-node, which is not installed"):
        _program(programs / "b")


# -- how it ended


def test_without_a_call_of_its_model_it_has_failed(programs: Path, tmp_path: Path) -> None:
    script(programs / "claude", """echo '{"type": "result", "result": "all done"}'""")
    report = work(tmp_path)
    assert (report.ended, report.words) == ("failed", "it never called its model")
    assert (report.turns, report.status) == (0, 0)


def test_a_failing_program_tells_its_last_line(programs: Path, tmp_path: Path) -> None:
    event = '{"type": "result", "result": ""}'
    script(programs / "claude", f"echo '{event}'; echo warning >&2; echo no key >&2; exit 7")
    report = work(tmp_path)
    assert (report.ended, report.status) == ("failed", 7)
    assert report.words == "it ended with status 7: no key"


def test_a_limit_ends_it_whatever_it_says(programs: Path, tmp_path: Path) -> None:
    script(programs / "claude", """echo '{"type": "result", "result": "soon"}'; sleep 60""")
    report = work(tmp_path, seconds=0.3)
    assert (report.ended, report.words) == ("time", "soon")


def test_it_reads_the_prompt_and_finds_this_python(programs: Path, tmp_path: Path) -> None:
    script(programs / "claude", "cat > prompt; command -v python > python; env > environment")
    work(tmp_path)
    folder = tmp_path / "work"
    assert (folder / "prompt").read_text() == "Survey it."
    assert Path((folder / "python").read_text().strip()).parent == Path(sys.executable).parent
    assert "sk-key" not in (folder / "environment").read_text()


def test_forged_output_ends_the_attempt_and_not_the_run(programs: Path, tmp_path: Path) -> None:
    script(programs / "claude", """echo '{"type": "result", "permission_denials": [1]}'""")
    report = work(tmp_path)
    assert report.ended == "failed"
    assert report.words == "what claude told of itself cannot be read"


# -- what each tells


def ended(tmp_path: Path, *events: object, status: int = 0, stopped: Stop | None = None) -> Ended:
    stdout = tmp_path / "stdout.txt"
    stdout.write_text("".join(f"{json.dumps(event)}\n" for event in events) + '{"torn')
    return Ended(status=status, stopped=stopped, seconds=1.0, stdout=stdout, stderr=stdout)


def test_claude_tells_of_tools_that_were_denied(tmp_path: Path) -> None:
    denials = [{"tool_name": "Bash"}, {"tool_name": "Edit"}]
    result = {"type": "result", "result": "fixed", "permission_denials": denials}
    told = make("claude").told(ended(tmp_path, result), tmp_path)
    assert told.words.startswith("fixed") and "Denied to it: Bash, Edit." in told.words


def test_codex_tells_that_all_its_commands_failed(tmp_path: Path) -> None:
    def item(kind: str, **fields: object) -> Mapping[str, object]:
        return {"type": "item.completed", "item": {"type": kind, **fields}}

    said, failed = item("agent_message", text="fixed"), item("command_execution", exit_code=2)
    told = make("codex").told(ended(tmp_path, failed, failed, said), tmp_path)
    assert told.words.startswith("fixed") and "All of its 2 commands failed." in told.words
    worked = item("command_execution", exit_code=0)
    told = make("codex").told(ended(tmp_path, failed, worked, said), tmp_path)
    assert told.words == "fixed"


def test_gemini_tells_that_it_went_round_in_a_loop(tmp_path: Path) -> None:
    loop = {"type": "error", "severity": "warning", "message": "Loop detected"}
    result = {"type": "result", "status": "success"}
    told = make("gemini").told(ended(tmp_path, loop, result), tmp_path)
    assert told.failed == "Loop detected"


@pytest.mark.parametrize(("stopped", "failed"), [(None, "without a trajectory"), ("time", "")])
def test_mini_without_a_trajectory_has_failed_if_it_ended_by_itself(
    tmp_path: Path, stopped: Stop | None, failed: str
) -> None:
    (tmp_path / TRAJECTORY).symlink_to("/etc/passwd")  # which is none of its own
    told = make("mini").told(ended(tmp_path, stopped=stopped), tmp_path)
    assert failed in told.failed and bool(failed) == bool(told.failed)


def test_the_model_is_found_at_the_usual_place_or_where_the_environment_says(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = {kind: make(kind).upstream().base_url for kind in KINDS}
    assert usual == {
        Claude.name: "https://api.anthropic.com",
        Codex.name: "https://api.openai.com",
        Gemini.name: "https://generativelanguage.googleapis.com",
        Mini.name: "https://api.openai.com",
    }
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/compatible/v1/")
    assert make("mini").upstream().base_url == "http://127.0.0.1:9/compatible"

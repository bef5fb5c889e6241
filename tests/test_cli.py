"""The commands: exit codes, one line for bad input, one JSON object for --json."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from simlift import cli
from simlift.verify import certificate

RESULT_KEYS = {"holds", "env", "claim", "compared", "mismatches", "levels", "seeds", "reference"}
ROW_KEYS = {"level", "policy", "count", "mismatches", "seconds"}
BENCH_KEYS = {"env", "what", "batch", "policy", "steps_per_s", "peer", "ratio", "compile_s"}


def simlift(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, as a user starts it."""
    environment = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    start = "from simlift.cli import main; raise SystemExit(main())"
    return subprocess.run(
        [sys.executable, "-c", start, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


def cannot(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that could not be run."""
    assert cli.main(arguments) == cli.CANNOT
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("simlift: ")
    return lines[0]


def test_list_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["list", "--json"]) == cli.HOLDS
    listed = json.loads(capsys.readouterr().out)["environments"]
    pong = next(row for row in listed if row["name"] == "PufferPong-v0")
    assert pong["env"] == "pong" and pong["verify"] and "full" in pong["presets"]


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([command, "--help"])
    assert stop.value.code == 0
    assert f"Example: simlift {command}" in " ".join(capsys.readouterr().out.split())


def test_a_misspelt_flag_is_told_and_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(["verify", "pong", "--episode", "3"])
    assert stop.value.code == cli.CANNOT


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["verify", "pung"], "there is no suite for 'pung'"),
        (["verify", "pong", "--episodes", "0"], "must be at least 1"),
        (["verify", "pong", "--seed", "-1"], "seed=-1"),
        (["verify", "pong", "--levels", "L9"], "unknown levels ['L9']"),
        (["train", "pung"], "did you mean 'pong'?"),
        (["train", "pong", "--preset", "best"], "it has ['continuous', 'demo', 'full', 'gru']"),
        (["train", "pong", "--resume", "nowhere"], "nowhere"),
        (["bench", "pung"], "there is no benchmark for 'pung'"),
        (["bench", "pong", "--batch", "1k"], "not a list of integers"),
        (["bench", "pong", "--peers", "puffer"], "no peer 'puffer'; there are pong.h"),
        (["bench", "half_cheetah", "--frameskip", "4"], "leave --frameskip away"),
        (["replay", "nowhere.json"], "there is no tape at nowhere.json"),
        (["transfer", "pung"], "there is no suite for 'pung'"),
        (["transfer", "pong", "--alpha", "2"], "alpha=2"),
        (["prove", "pong", "dynamics", "nothing", "x.py"], "has no function 'nothing'"),
        (["certificate", "check", "nowhere.json"], "there is no certificate at nowhere.json"),
    ],
)
def test_bad_input_is_one_line_that_names_the_remedy(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert said in cannot(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_tape_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    tape = tmp_path / "tape.json"
    tape.write_text('{"format": 1, "suite": "pong", "var')
    assert "is not a readable tape" in cannot(capsys, "replay", str(tape))


@pytest.mark.reference
def test_verify_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    ran = simlift("verify", "pong", "--episodes", "5", "--seed", "7", "--json", cwd=tmp_path)
    assert ran.returncode == cli.HOLDS, ran.stderr
    result = json.loads(ran.stdout)
    assert result.keys() >= RESULT_KEYS
    assert result["holds"] and result["mismatches"] == 0 and result["seeds"] == [7]
    assert result["claim"]["class"] == "E3"
    assert result["claim"]["mismatch_rate_at_most"] == 3 / result["compared"]
    assert all(row.keys() >= ROW_KEYS for row in result["levels"])
    assert {row["level"] for row in result["levels"]} >= {"L0", "L1", "L2", "L3 E2", "L3 E3"}
    assert result["reference"] == {"name": "pufferlib-pong", "version": "3.0.0"}
    assert Path(tmp_path / result["report"]).is_file()
    assert certificate.read(tmp_path / result["certificate"])["predicate"]["seeds"] == [7]


@pytest.mark.reference
def test_whoever_writes_the_result_never_loads_the_candidate(tmp_path: Path) -> None:
    """Else it could change what is written: a report shows its pictures in a process apart."""
    arguments = ["verify", "pong", "--level", "L2", "--out", str(tmp_path)]
    program = f"""
import sys
from simlift import cli
assert cli.main({arguments!r}) == cli.HOLDS
print([name for name in sys.modules if name.startswith("simlift.envs.pong")])
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr
    assert (tmp_path / "report.html").stat().st_size > 10_000


SHORT_ENV = """
import jax.numpy as jnp

from simlift.envs.pong import Pong


class ShortGame(Pong):
    def transition(self, state, action, draws, params):
        short = params.replace(max_score=params.max_score - jnp.int32(1))
        return super().transition(state, action, draws, short)
"""
SHORT_SUITE = """
import dataclasses

from simlift.verify.suites import get_suite


def environment(variant):
    from short_env import ShortGame

    return ShortGame(**variant.config), pong.environment(variant)[1]


pong = get_suite("pong")
suite = dataclasses.replace(
    pong, package="short_env", environment=environment, variants=pong.variants[:1]
)
"""


@pytest.mark.reference
def test_verify_that_does_not_hold_exits_with_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A game that ends a point too early, as an environment and a suite of one's own."""
    (tmp_path / "short_env.py").write_text(SHORT_ENV)
    (tmp_path / "short_suite.py").write_text(SHORT_SUITE)
    monkeypatch.syspath_prepend(tmp_path)
    where = ["--out", str(tmp_path / "out"), "--bank", str(tmp_path / "bank")]
    name = "short_suite:suite"
    code = cli.main(["verify", name, "--episodes", "5", "--levels", "L3", "--json", *where])
    result = json.loads(capsys.readouterr().out)
    assert code == cli.FAILS and not result["holds"]
    story = result["divergences"][0]
    assert story["field"] == "outcome.terminated" or "terminated" in str(story["by_field"])
    assert len(story["actions"]) <= 20
    assert Path(story["tape"]).is_file() and Path(story["test"]).is_file()

    assert cli.main(["replay", story["tape"], "--json"]) == cli.FAILS
    assert json.loads(capsys.readouterr().out)["mismatches"] == 1


BOUNCES = """
import jax.numpy as jnp

def bounce_off_walls(state, params):
    inside = (state.ball_y >= 0) & (state.ball_y + params.ball_height <= params.height)
    return state.replace(ball_vy=jnp.where(inside, state.ball_vy, -state.ball_vy))

def late(state, params):
    inside = (state.ball_y >= -1) & (state.ball_y + params.ball_height <= params.height)
    return state.replace(ball_vy=jnp.where(inside, state.ball_vy, -state.ball_vy))
"""


@pytest.mark.reference
def test_prove_tells_a_rewrite_from_a_fault(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "bounces.py"
    path.write_text(BOUNCES)
    command = ["prove", "pong", "dynamics", "bounce_off_walls"]
    which = ["--variant", "discrete", "--json"]
    assert cli.main([*command, str(path), *which]) == cli.HOLDS
    assert json.loads(capsys.readouterr().out)["variants"][0]["kind"] in ("proved", "enumerated")
    assert cli.main([*command, f"{path}:late", *which]) == cli.FAILS
    (row,) = json.loads(capsys.readouterr().out)["variants"]
    assert row["kind"] == "refuted" and -1 <= row["inputs"]["state.ball_y"][1] < 0


OWN_SUITE = """
import dataclasses
from simlift.verify.suites import get_suite

def suite():
    pong = get_suite("pong")
    return dataclasses.replace(pong, scenarios=pong.scenarios[:2])

number = 3
"""


@pytest.mark.reference
def test_verify_takes_a_suite_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN_SUITE)
    ran = simlift("verify", "mine:suite", "--levels", "L2", "--json", cwd=tmp_path)
    assert ran.returncode == cli.HOLDS, ran.stderr
    result = json.loads(ran.stdout)
    assert result["env"] == "mine:suite"
    assert [row["level"] for row in result["levels"]] == ["L2", "L2", "L0"]
    for name, said in {
        "mine:nothing": "cannot be loaded",
        "nowhere:suite": "No module named 'nowhere'",
        "mine:number": "is a int, not a simlift.verify.Suite",
    }.items():
        ran = simlift("verify", name, cwd=tmp_path)
        assert ran.returncode == cli.CANNOT and ran.stdout == ""
        assert said in ran.stderr and len(ran.stderr.splitlines()) == 1


@pytest.mark.reference
def test_train_plays_in_the_reference_too(tmp_path: Path) -> None:
    arguments = ["--total-steps", "65536", "--eval-episodes", "4", "--out", "run", "--json"]
    ran = simlift("train", "pong", "--preset", "demo", *arguments, cwd=tmp_path)
    assert ran.returncode == cli.HOLDS, ran.stderr
    result = json.loads(ran.stdout)
    assert result["reference"]["score"]["episodes"] == 4
    assert -21 <= result["reference"]["score"]["mean"] <= 21
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == result


@pytest.mark.reference
def test_train_saves_an_episode_and_goes_on(tmp_path: Path) -> None:
    arguments = ["--eval-episodes", "2", "--json"]
    first = simlift(
        *("train", "pong", "--preset", "gru", "--total-steps", "32768", "--out", "run"),
        *arguments,
        cwd=tmp_path,
    )
    assert first.returncode == cli.HOLDS, first.stderr
    more = simlift(
        *("train", "--resume", "run", "--total-steps", "65536", "--video", "run/episode.gif"),
        *arguments,
        cwd=tmp_path,
    )
    assert more.returncode == cli.HOLDS, more.stderr
    assert json.loads(more.stdout)["steps"] == 32768
    with Image.open(tmp_path / "run" / "episode.gif") as animation:
        assert animation.n_frames > 100  # 21 points at eight frames a step


@pytest.mark.reference
def test_bench_writes_what_it_says(tmp_path: Path) -> None:
    arguments = ["--quick", "--what", "env", "--frameskip", "1", "--out-dir", "results", "--json"]
    ran = simlift("bench", "pong", *arguments, cwd=tmp_path)
    assert ran.returncode == cli.HOLDS, ran.stderr
    result = json.loads(ran.stdout)
    assert result.keys() >= {"machine", "versions", "rows"}
    for row in result["rows"]:
        assert row.keys() >= BENCH_KEYS | {"state_bytes", "peak_bytes"}
        assert row["steps_per_s"] > 0 and row["ratio"] > 0 and "pong.h" in row["peer"]
    assert result["missing_peers"] == {} and "PufferLib" in result["peers"]["pong.h (C, -O2)"]
    (written,) = (tmp_path / "results").glob("pong-*.json")
    assert json.loads(written.read_text()) == result

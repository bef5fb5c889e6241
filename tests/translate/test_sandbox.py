"""The sandbox: what a command cannot reach inside, and which limits end it."""

import http.server
import os
import shlex
import sys
import time
from pathlib import Path

import pytest

from simlift.translate import sandbox
from simlift.translate.budget import Budget, Caps
from simlift.translate.cassette import Call, Player
from simlift.translate.meter import Meter
from simlift.translate.prices import PriceTable
from simlift.translate.sandbox import (
    Ended,
    Limits,
    Mode,
    Sandbox,
    SandboxUnavailable,
    head_and_tail,
)

PYTHON = f"{sys.base_prefix}/bin/python{sys.version_info.major}.{sys.version_info.minor}"
LONG = Limits(seconds=60)


bubblewrap = pytest.mark.usefixtures("in_bubblewrap")


@pytest.fixture(params=["bubblewrap", "unconfined"])
def mode(request: pytest.FixtureRequest) -> Mode:
    if request.param == "bubblewrap":
        request.getfixturevalue("in_bubblewrap")
    chosen: Mode = request.param
    return chosen


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return folder


def shell(box: Sandbox, script: str, limits: Limits = LONG, **settings: object) -> Ended:
    out = box.workspace.parent / "output"
    return box.run(["sh", "-c", script], limits=limits, output=out, **settings)  # type: ignore[arg-type]


# -- what is inside


def test_a_command_reads_its_input_and_writes_the_workspace(workspace: Path, mode: Mode) -> None:
    ended = shell(
        Sandbox(workspace=workspace, mode=mode),
        "cat > seen; echo told; echo wrong >&2; exit 3",
        stdin=b"prompt",
    )
    assert (ended.status, ended.stopped) == (3, None)
    assert (workspace / "seen").read_text() == "prompt"
    assert ended.stdout.read_text() == "told\n" and ended.stderr.read_text() == "wrong\n"


def test_the_environment_is_fresh(
    workspace: Path, mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-the-real-key")
    ended = shell(
        Sandbox(workspace=workspace, mode=mode),
        'env; cat /proc/*/environ; ls -A "$HOME" && cd "$HOME" && touch mine',
        env={"GIVEN": "1"},
    )
    told = ended.stdout.read_text()
    names = {line.partition("=")[0] for line in told.split("\0")[0].splitlines()}
    assert {"GIVEN", "HOME", "LANG", "PATH", "TMPDIR"} <= names
    assert "ANTHROPIC_API_KEY" not in names
    assert ended.status == 0
    if mode == "bubblewrap":
        assert "sk-the-real-key" not in told


@bubblewrap
def test_inside_there_is_no_home_and_no_other_file(workspace: Path) -> None:
    secret = workspace.parent / "hidden-seeds"
    secret.write_text("7")
    ended = shell(
        Sandbox(workspace=workspace),
        f"cat {shlex.quote(str(secret))} ; cat /etc/shadow; ls -A {shlex.quote(str(Path.home()))}",
    )
    assert ended.stdout.read_text() == ""
    assert ended.stderr.read_text().count("No such file") == 3


@bubblewrap
def test_inside_the_reference_is_read_only_also_within_the_workspace(workspace: Path) -> None:
    outside, within = workspace.parent / "reference", workspace / "reference"
    for folder in (outside, within):
        folder.mkdir()
        (folder / "truth").write_text("1")
    ended = shell(
        Sandbox(workspace=workspace, readable=[outside, within]),
        f"for truth in {shlex.quote(str(outside))} reference; do cat $truth/truth; "
        "echo 2 > $truth/truth; touch $truth/new; rm $truth/truth; mv $truth away; done; touch own",
    )
    assert ended.stdout.read_text() == "11"
    assert ended.stderr.read_text().count("Read-only file system") >= 4
    assert (outside / "truth").read_text() == (within / "truth").read_text() == "1"
    assert (workspace / "own").exists()


@bubblewrap
def test_the_workspace_is_written_though_its_parent_is_read_only(workspace: Path) -> None:
    box = Sandbox(workspace=workspace, readable=[workspace.parent])
    assert shell(box, "touch own").status == 0
    assert shell(box, "touch ../other").status != 0


@bubblewrap
def test_inside_nothing_else_can_be_written(workspace: Path) -> None:
    ended = shell(
        Sandbox(workspace=workspace), "for at in / /dev /etc /usr /run; do echo x > $at/x; done"
    )
    assert ended.status != 0
    assert ended.stderr.read_text().count("\n") == 5
    assert shell(Sandbox(workspace=workspace), "echo x > /dev/shm/x; : > /dev/null").status == 0


@bubblewrap
def test_inside_there_is_no_network(workspace: Path) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        port = server.server_address[1]
        program = f"import socket; socket.create_connection(('127.0.0.1', {port}), 5)"
        box = Sandbox(workspace=workspace, readable=[Path(sys.base_prefix)])
        output = workspace.parent / "output"
        ended = box.run([PYTHON, "-I", "-S", "-c", program], limits=LONG, output=output)
    assert "Connection refused" in ended.stderr.read_text()
    assert shell(box, "cat /proc/net/dev").stdout.read_text().count(":") == 1  # lo alone


@bubblewrap
def test_inside_there_is_no_other_process(workspace: Path) -> None:
    told = shell(Sandbox(workspace=workspace), "ls -d /proc/[0-9]*; id -u").stdout.read_text()
    assert told.splitlines()[-1] == "1000"
    assert len(told.splitlines()) < 6


@bubblewrap
def test_the_model_is_reached_through_the_proxy_alone(workspace: Path) -> None:
    call = Call(
        at="", seconds=0, api="chat", path="/v1/chat/completions", request={}, status=200,
        content_type="application/json", body='{"answer": 42}', whole=True, usage=None, dollars=0,
    )  # fmt: skip
    path = workspace.parent / "model.sock"
    prices = PriceTable.shipped()
    budget = Budget(Caps(dollars=1))
    with Meter(Player([call]), budget=budget, prices=prices, socket_path=path) as meter:
        box = Sandbox(workspace=workspace, model=path)
        program = (
            "import urllib.request as r; print(r.urlopen(r.Request("
            f"'{box.base_url}/v1/chat/completions', b'{{\"model\": \"m\"}}', "
            f"{{'Authorization': 'Bearer {meter.token}'}})).read().decode())"
        )
        output = workspace.parent / "output"
        ended = box.run([PYTHON, "-I", "-S", "-c", program], limits=LONG, output=output)
        assert ended.stdout.read_text() == '{"answer": 42}\n', ended.stderr.read_text()
        assert box.run(["sh", "-c", "kill -9 $$"], limits=LONG, output=output).status == 137
        assert box.run(["unheard-of"], limits=LONG, output=output).status == 127


# -- limits


@pytest.mark.parametrize(
    ("script", "limits", "stopped"),
    [
        ("while :; do echo x; sleep 0.05; done", Limits(seconds=0.5), "time"),
        ("sleep 60", Limits(seconds=60, stall=0.4), "stall"),
        ("while :; do head -c 100000 /dev/zero >> big; done", LONG, "disk"),
        ("while :; do head -c 100000 /dev/zero >> $HOME/big; done", LONG, "disk"),
        ("while :; do head -c 100000 /dev/zero >> $TMPDIR/big; done", LONG, "disk"),
        ("while :; do head -c 100000 /dev/zero; done", LONG, "output"),
    ],
)
def test_a_limit_ends_the_command(
    workspace: Path, mode: Mode, script: str, limits: Limits, stopped: str
) -> None:
    tight = Limits(seconds=limits.seconds, stall=limits.stall, disk=3_000_000, output=3_000_000)
    ended = shell(Sandbox(workspace=workspace, mode=mode), script, tight)
    assert ended.stopped == stopped
    assert ended.status > 128


def test_what_changes_files_is_not_stalled(workspace: Path) -> None:
    script = "for i in $(seq 20); do echo x >> log; sleep 0.1; done"
    box = Sandbox(workspace=workspace, mode="unconfined")
    ended = shell(box, script, Limits(seconds=60, stall=1.5))
    assert (ended.status, ended.stopped) == (0, None)


@pytest.mark.parametrize(
    "end", ["exit 0", "trap '' TERM; while :; do head -c 9999 /dev/zero; done"]
)
def test_nothing_goes_on_after_the_end(
    workspace: Path, mode: Mode, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "GRACE", 0.2)
    background = "trap '' TERM; while :; do echo x >> tick; sleep 0.02; done"
    script = f"({background}) & while [ ! -s tick ]; do sleep 0.01; done; {end}"
    shell(Sandbox(workspace=workspace, mode=mode), script, Limits(seconds=60, output=100_000))
    before = (workspace / "tick").stat().st_size
    time.sleep(0.2)
    assert 0 < before == (workspace / "tick").stat().st_size


def test_a_prepared_home_is_kept(workspace: Path) -> None:
    home = workspace.parent / "home"
    home.mkdir()
    (home / "settings").write_text("1")
    box = Sandbox(workspace=workspace, mode="unconfined")
    ended = shell(box, 'cat "$HOME/settings"; touch "$HOME/session"', home=home)
    assert ended.stdout.read_text() == "1"
    assert (home / "session").exists()


# -- where it cannot be had


def test_without_bubblewrap_the_fallback_is_named_not_taken(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SandboxUnavailable, match=r"apt-get install bubblewrap.*unconfined"):
        Sandbox(workspace=workspace)
    assert len(Sandbox(workspace=workspace, mode="unconfined").unprotected) == 4


def test_where_the_kernel_refuses_namespaces_its_reason_is_told(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = workspace.parent / "bin"
    programs.mkdir()
    refuses = programs / "bwrap"
    refuses.write_text("#!/bin/sh\necho 'No permissions to create new namespace' >&2; exit 1\n")
    refuses.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    with pytest.raises(SandboxUnavailable, match=r"No permissions.*unconfined"):
        Sandbox(workspace=workspace)


@bubblewrap
def test_bubblewrap_leaves_nothing_unprotected(workspace: Path) -> None:
    assert Sandbox(workspace=workspace).unprotected == ()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mode": "none"}, "choose bubblewrap or unconfined"),
        ({"workspace": Path("nowhere")}, "no workspace"),
        ({"readable": [Path("nowhere")]}, "is not there"),
        ({"model": Path("nowhere")}, "is not there"),
        ({"model": Path("/dev/null")}, "at its url"),
    ],
)
def test_what_cannot_be_shown_is_named(
    workspace: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        Sandbox(**({"workspace": workspace, "mode": "unconfined"} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["seconds", "stall", "disk", "output"])
def test_a_limit_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"the limit {name} is 0"):
        Limits(**({"seconds": 1.0} | {name: 0}))  # type: ignore[arg-type]


# -- output for a reader


def test_long_output_shows_its_head_and_tail() -> None:
    text = "\n".join(map(str, range(100)))
    assert head_and_tail(text, 5).splitlines() == [
        "0", "1", "[... 96 lines left out ...]", "98", "99",
    ]  # fmt: skip
    assert head_and_tail(text, 100) == text
    assert head_and_tail("long line", width=4) == "long [... 5 characters ...]"
    with pytest.raises(ValueError, match="too few"):
        head_and_tail(text, 2)

"""`simlift replay` of a battle: read in the terminal, written as a page or a log, told when not."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from simlift import cli
from simlift.cli.battle_page import write_page
from simlift.references.pokemon import BattleRecord, Teams, protocol_log, read_log

RECORD = BattleRecord(
    format="gen1ou",
    seed=np.array([7, 11]),
    teams=Teams.of(
        species=[[101, 122], [113, 34]],  # Electrode, Mr. Mime; Chansey, Nidoking
        level=[[100, 90], [60, 88]],
        moves=[[[153, 85, 0, 0], [94, 156, 0, 0]], [[86, 135, 0, 0], [89, 34, 0, 0]]],
    ),
    actions=np.array([[0, 0], [5, 5], [0, 1]]),
)
LOG = [
    "|player|p1|p1||",
    "|player|p2|p2||",
    "|teamsize|p1|2",
    "|teamsize|p2|1",
    "|tier|[Gen 1] <b>OU</b>",
    "|start",
    "|switch|p1a: Mr. Mime|Mr. Mime, L90|237/237",
    "|switch|p2a: Chansey|Chansey|703/703",
    "|turn|1",
    "|move|p2a: Chansey|Seismic Toss|p1a: Mr. Mime",
    "|-damage|p1a: Mr. Mime|137/237 par",
    "|turn|2",
    "|move|p1a: Mr. Mime|Explosion|p2a: Chansey",
    "|faint|p1a: Mr. Mime",
    "|win|p2",
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "battle.json"
    path.write_text(RECORD.to_json())
    return path


def cannot(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that could not be run."""
    assert cli.main(["replay", *arguments]) == cli.CANNOT
    captured = capsys.readouterr()
    assert captured.out == "" and len(captured.err.splitlines()) == 1
    return captured.err


@pytest.mark.node
@pytest.mark.reference
def test_a_battle_is_read_in_the_terminal(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["replay", str(file)]) == cli.HOLDS
    shown = capsys.readouterr().out
    assert "[Gen 1] OU" in shown and "Turn 1" in shown
    assert "p1's Electrode used Explosion" in shown
    assert "  p1's Electrode fainted" in shown
    assert shown.rstrip().endswith(read_log(protocol_log(RECORD)).ending)


@pytest.mark.node
@pytest.mark.reference
def test_page_and_log_are_written(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, log = tmp_path / "out" / "battle.html", tmp_path / "battle.log"
    where = ["--html", str(page), "--log", str(log)]
    assert cli.main(["replay", str(file), *where, "--json"]) == cli.HOLDS
    result = json.loads(capsys.readouterr().out)
    assert log.read_text().splitlines() == protocol_log(RECORD)
    assert (result["page"], result["log"]) == (str(page), str(log))
    assert (result["format"], result["decisions"]) == ("gen1ou", 3)
    assert result["seed"] == "00000007 0000000b"
    assert result["ending"] in page.read_text()
    assert len(re.findall('<article class="turn"', page.read_text())) == result["turns"] + 1


def test_what_is_no_battle_is_one_line(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere, tape, cut = tmp_path / "nowhere.json", tmp_path / "tape.json", tmp_path / "cut.json"
    tape.write_text('{"format": 1, "suite": "pong"}')
    cut.write_text(file.read_text()[:200])
    assert "there is no tape at" in cannot(capsys, str(nowhere))
    assert "is not of a battle; leave --html" in cannot(capsys, str(tape), "--html", "x.html")
    assert "cut.json is no record of a battle" in cannot(capsys, str(cut))


def test_without_node_it_says_what_to_install(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    page = file.with_name("page.html")
    assert "install Node.js 20 or newer" in cannot(capsys, str(file), "--html", str(page))
    assert not page.exists()


# -- the page


@pytest.fixture
def page(tmp_path: Path) -> Path:
    about = {"format": "gen1ou", "turns": 2}
    return write_page(read_log(LOG), tmp_path / "page.html", log=LOG, about=about)


def test_the_page_needs_no_network_and_escapes_what_it_is_told(page: Path) -> None:
    text = page.read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|url\(", text)
    assert text.count("<script>") == 1 and "default-src 'none'" in text
    assert "<b>OU</b>" not in text and "&lt;b&gt;OU&lt;/b&gt;" in text
    assert "p2 won after 2 turns" in text and "|move|p2a: Chansey|Seismic Toss" in text


def test_the_page_shows_how_both_stand_after_each_turn(page: Path) -> None:
    turns = page.read_text().split("<article ")[1:]
    bars = [
        re.findall(r'<meter min="0" max="(\d+)" .* value="(\d+)">([^<]*)', turn) for turn in turns
    ]
    chansey = ("703", "703", "703/703")
    assert bars == [
        [("237", "237", "237/237"), chansey],
        [("237", "137", "137/237 par"), chansey],
        [("237", "0", "fainted"), chansey],
    ]
    assert "Mr. Mime lost 42% (137 of 237)" in turns[1]
    balls = re.findall(r'<span title="([^"]*)">(.)</span>', turns[2])
    assert balls == [
        ("Mr. Mime, fainted", "✕"),
        ("not seen yet", "○"),
        ("Chansey, 703/703", "●"),
    ]


KEYS = """
for (const key of %r) document.dispatchEvent(new KeyboardEvent("keydown", {key}));
"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("fragment", "keys", "turn"),
    [
        ("", [], 0),
        ("#turn-2", [], 2),
        ("", ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"], 1),
        ("", ["p"], 2),
    ],
)
def test_the_page_steps_through_turns(
    chromium: str, page: Path, tmp_path: Path, fragment: str, keys: list[str], turn: int
) -> None:
    script = f"<script>{KEYS % keys}</script></body>"
    page.write_text(page.read_text().replace("</body>", script))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri() + fragment]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.findall(r'<article class="turn shown" id="turn-(\d)"', dom) == [str(turn)]
    assert f"{turn} of 2" in dom

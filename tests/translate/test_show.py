"""The story of a run: whole and in order, whoever wrote what in it."""

import io
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from simlift.translate import show
from simlift.translate.commits import RunBranch
from simlift.translate.history import History
from simlift.translate.journal import Journal
from simlift.translate.page import LONGEST, write_page

HOSTILE = "\x1b]0;owned\x07 done</pre><script>alert(1)</script> \u202eevil"
BUDGET = {"usd": 5.0}


class Run:
    """A run's folder, written as the loop writes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "work").mkdir(parents=True)
        self.branch = RunBranch(folder / "git", folder / "work", "first")
        self.journal = Journal(folder / "journal.jsonl")
        self.count = 0
        self.journal.append(
            "run_started",
            run="first",
            project="ferry",
            simlift="0.1.0",
            agent="codex",
            agent_version="0.169.0",
            models=["small-model"],
            budget=BUDGET,
            prices="",
        )

    def attempt(self, item: str, number: int, verdict: str, **more: Any) -> None:
        """One attempt, from its start to its verdict."""
        self.count += 1
        tactic = "first" if number == 1 else "repair"
        folder = f"attempts/{self.count:03}-{item.replace(':', '-')}-{number}"
        here = {"item": item, "attempt": number}
        who = {"tactic": tactic, "agent": "codex", "model": "small-model", "folder": folder}
        base = self.branch.freeze()
        self.journal.append("attempt_started", **here, inputs="i", template="t", base=base, **who)
        (self.folder / folder).mkdir(parents=True)
        (self.folder / folder / "prompt.md").write_text(f"Do {item}, try {number}.\n")
        if number > 1:
            (self.folder / folder / "feedback.md").write_text("The boat moved too far.\n")
        (self.folder / "work" / "code.py").write_text(more.get("code", f"{item} = {number}\n"))
        words = more.get("words", "I did it.")
        self.journal.append(
            "agent_ended", **here, ended="finished", status=0, seconds=61.0, turns=4, words=words
        )
        tree = self.branch.freeze()
        self.journal.append("attempt_frozen", **here, tree=tree)
        commit = self.branch.commit(tree, item=item, attempt=number, cost_usd=0.25, verdict=verdict)
        self.journal.append(
            "attempt_judged",
            **here,
            verdict=verdict,
            signature="" if verdict == "pass" else "L3 boat",
            score=1.0 if verdict == "pass" else 0.5,
            seed=7,
            seconds=2.5,
            cost_usd=0.25,
            tokens=1000,
            commit=commit,
            folder=folder,
        )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """An item that passed at once, and one that was repaired."""
    run = Run(tmp_path / "run")
    run.attempt("survey", 1, "pass")
    run.attempt("plan", 1, "notes/plan.json is not there", words=HOSTILE)
    run.attempt("plan", 2, "pass", code="plan = '<b>\x1b[2J'\n")
    return run


def shown(what: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=160, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_story_has_every_attempt_its_sums_and_what_comes_next(run: Run) -> None:
    history = History.read(run.folder)
    text = shown(show.story(history))
    assert "ferry · first · codex 0.169.0 with small-model · simlift 0.1.0" in text
    rows = [re.split(r"\s*│\s*", row.strip("│ ")) for row in text.splitlines() if row[:1] == "│"]
    assert rows == [
        ["1", "survey", "1", "first", "pass", "1.00", "1 min 04 s", "0.25", "1,000"],
        ["2", "plan", "1", "first", "notes/plan.json is not there", "0.50", "1 min 04 s", "0.25",
         "1,000"],
        ["3", "plan", "2", "repairs", "pass", "1.00", "1 min 04 s", "0.25", "1,000"],
    ]  # fmt: skip
    assert "2 of 2 known items done in 3 attempts, 3 min 10 s" in text
    assert "spent $0.75 / cap $5.00 / projected not known yet; 3,000 tokens" in text
    assert "`simlift translate --resume` goes on" in text


def test_a_run_says_where_it_stands(run: Run) -> None:
    def standing() -> str:
        return History.read(run.folder).standing

    run.journal.append("attempt_started", item="scaffold", attempt=1, inputs="i")
    assert standing().startswith("the coder of scaffold is at work;")
    run.journal.append("attempt_frozen", item="scaffold", attempt=1, tree="t")
    assert standing().startswith("the coder of scaffold left its work, which is to be judged;")
    run.journal.append("run_stopped", reason="all of $5 is spent; raise budget.usd")
    assert standing() == "stopped: all of $5 is spent; raise budget.usd"
    run.journal.append("attempt_judged", item="scaffold", attempt=1, verdict="the proxies differ")
    assert standing().startswith("scaffold comes next;")
    run.journal.append("run_finished", outputs=["ferry"], certificate="certificate.json")
    assert standing() == "finished; the certificate is certificate.json"
    assert History.read(run.folder).finished
    run.journal.append("items_opened", items=["plan", "scaffold"], why="it sinks")
    assert standing().startswith("plan comes next;")
    assert History.read(run.folder).done == ["survey"]


def test_the_plan_says_how_many_items_there_are(run: Run) -> None:
    workspace = run.folder / "judged"
    workspace.mkdir()
    (workspace / "rules.md").write_text("Boats float.")
    (workspace / "simlift.toml").write_text(
        'name = "ferry"\n[reference]\nkind = "python"\nversion = "1"\n'
        'python = "ferry:Ferry"\nsources = ["rules.md"]\n'
    )
    assert History.read(run.folder).projected_usd is None
    (workspace / "notes").mkdir()
    module = {"name": "sail", "does": "moves", "sources": ["rules.md:1"], "depends_on": [],
              "reads": ["boat"], "writes": ["boat"]}  # fmt: skip
    state = {"name": "boat", "dtype": "int32", "shape": [], "unit": "m", "meaning": "place"}
    plan = {"modules": [module], "state": [state], "draw_sites": [],
            "comparators": [{"field": "boat", "compare": "exact"}], "scenarios": []}  # fmt: skip
    (workspace / "notes" / "plan.json").write_text(json.dumps(plan))
    history = History.read(run.folder)
    assert history.items[:4] == ["survey", "plan", "scaffold", "translate_module:sail"]
    assert history.projected_usd == pytest.approx(0.75 * len(history.items) / 2)
    assert history.standing.startswith("scaffold comes next;")


def test_one_attempt_is_told_in_full(run: Run) -> None:
    history = History.read(run.folder)
    text = shown(show.attempt_story(history, history.attempt(3)))
    parts = [
        "3. plan, attempt 2 · repairs · codex with small-model · $0.25 · 1 min 04 s",
        "The boat moved too far.",
        "Do plan, try 2.",
        "I did it.",
        "-plan = 1",
        "+plan = '<b>\\x1b[2J'",
        "pass",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    with pytest.raises(ValueError, match="there is no attempt 4; there are 1 to 3"):
        history.attempt(4)


def test_what_a_coder_wrote_cannot_steer_the_terminal(run: Run) -> None:
    history = History.read(run.folder)
    texts = [shown(show.attempt_story(history, attempt)) for attempt in history.attempts]
    assert not set("".join(texts)) & {"\x1b", "\x07", "\u202e"}
    assert "\\x1b]0;owned\\x07 done</pre><script>alert(1)</script> \\u202eevil" in texts[1]


def test_every_event_has_its_line(run: Run) -> None:
    run.journal.append("items_opened", items=["plan"], why="")
    run.journal.append("items_opened", items=["survey", "plan"], why="it sinks")
    run.journal.append("run_stopped", reason="no coder\nhelps")
    run.journal.append("noted", more="of another kind")
    events = run.journal.events
    lines = [line.plain.partition("  ")[2] for line in map(show.line, events) if line is not None]
    assert lines[:5] == [
        "ferry, run first: codex 0.169.0 with small-model",
        "survey 1: first; the coder is at work",
        "survey 1: the coder finished after 1 min 01 s, 4 turns: I did it.",
        "survey 1: judging",
        "survey 1: ✓ pass (2.5 s)",
    ]
    assert "plan 1: ✗ notes/plan.json is not there (2.5 s)" in lines
    assert lines[-3:] == [
        "plan: opened again",
        "survey and 1 after it: opened again",
        "stopped: no coder helps",
    ]
    assert len(lines) == len(events) - 1


def test_durations_are_short() -> None:
    assert [show.duration(s) for s in (0.04, 59.94, 245, 7799)] == [
        "0.0 s",
        "59.9 s",
        "4 min 05 s",
        "2 h 09 min",
    ]


def test_a_folder_that_is_no_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="give the folder of a run"):
        History.read(tmp_path)


def test_a_journal_cannot_name_files_outside_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "prompt.md").write_text("a secret")
    with Journal(tmp_path / "run" / "journal.jsonl") as journal:
        journal.append("attempt_started", item="plan", attempt=1, inputs="", folder="..")
    with pytest.raises(ValueError, match=r"names \.\., outside of the run"):
        write_page(History.read(tmp_path / "run"), tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


# -- the page


def test_the_page_needs_no_network_and_escapes_what_coders_wrote(run: Run) -> None:
    page = write_page(History.read(run.folder), run.folder / "page.html").read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:)?//|@import|url\(", page)
    assert page.count("<script>") == 1 and "alert(1)&lt;/script&gt;" in page
    assert not set(page) & {"\x1b", "\x07", "\u202e"}
    assert '<span class="added">+plan = &#39;&lt;b&gt;\\x1b[2J&#39;\n</span>' in page
    assert "2 of 2" in page and "The boat moved too far." in page
    assert re.search(r"<dt>So far</dt><dd>\$0.75, 3,000 tokens, 2 items</dd>", page)


def test_a_recording_is_shown_from_its_patches(run: Run, tmp_path: Path) -> None:
    history = History.read(run.folder)
    patches = [history.patch(attempt) for attempt in history.attempts]
    (run.folder / "patches").mkdir()
    for attempt, patch in zip(history.attempts, patches, strict=True):
        assert patch
        name = Path(attempt.folder).name
        (run.folder / "patches" / f"{name}.patch").write_text(patch)
    (run.folder / "git").rename(tmp_path / "gone")
    again = History.read(run.folder)
    assert [again.patch(attempt) for attempt in again.attempts] == patches
    (run.folder / history.attempts[0].folder / "prompt.md").unlink()
    page = write_page(again, tmp_path / "page.html").read_text()
    assert page.count("recordings leave it out, and a replay renders it again") == 1


def test_long_texts_are_cut_on_the_page_and_say_so(run: Run) -> None:
    run.attempt("scaffold", 1, "pass", code="x = 1\n" * (LONGEST + 100))
    page = write_page(History.read(run.folder), run.folder / "page.html").read_text()
    assert re.search(r"\.\.\. \d+ more lines; `simlift translate show` has them", page)
    assert page.count("+x = 1\n") < LONGEST


def test_the_page_of_a_run_that_just_began(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    page = write_page(History.read(run.folder), tmp_path / "page.html").read_text()
    assert "Nothing was tried yet." in page and "… Open" in page


KEYS = """
for (const key of %r) document.dispatchEvent(new KeyboardEvent("keydown", {key}));
"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("fragment", "keys", "attempt"),
    [
        ("", [], 1),
        ("#attempt-3", [], 3),
        ("", ["ArrowRight", "ArrowRight", "ArrowRight", "ArrowLeft"], 2),
        ("", ["f"], 2),
        ("#attempt-3", ["f"], 2),
    ],
)
def test_the_page_steps_through_attempts(
    chromium: str, run: Run, tmp_path: Path, fragment: str, keys: list[str], attempt: int
) -> None:
    path = write_page(History.read(run.folder), tmp_path / "page.html")
    script = f"<script>{KEYS % keys}</script></body>"
    path.write_text(path.read_text().replace("</body>", script))
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=5000"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri() + fragment]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert re.findall(r'<article class="attempt shown" id="attempt-(\d)"', dom) == [str(attempt)]
    assert f"attempt {attempt} of 3" in dom

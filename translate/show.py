"""The story of a run in a terminal: what was tried, what it cost, and where it stands.

What coders wrote is shown as it is, but never obeyed: no control character reaches the terminal.
"""

import datetime
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from . import history, journal, spending
from .history import Attempt, History
from .journal import Event

LAST_WORDS = 160  # characters of the coder's words in a line
TACTICS = {
    "first": "first",
    "repair": "repairs",
    "start_over": "starts over",
    "next_model": "another model",
    "smaller_steps": "smaller steps",
}
DIFF_STYLES = {"@@": "cyan", "+++": "bold", "---": "bold", "+": "green", "-": "red", "diff": "bold"}
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, and what turns the direction of a line


def harmless(text: str) -> str:
    """The text with every character that a terminal or a reader would not see written out."""
    return "".join(
        c if c in "\n\t" or unicodedata.category(c) not in _UNSEEN
        else c.encode("unicode_escape").decode()
        for c in text
    )  # fmt: skip


def in_one_line(text: str, width: int = LAST_WORDS) -> str:
    """The text without its line breaks, cut to `width` characters."""
    line = harmless(" ".join(text.split()))
    return line if len(line) <= width else f"{line[: width - 1]}…"


def duration(seconds: float) -> str:
    """12.3 s, 4 min 05 s, 2 h 09 min"""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def people(about: Mapping[str, Any]) -> str:
    """Who translates, as `run_started` has it."""
    models = ", ".join(filter(None, about.get("models", ())))
    agent = " ".join(str(about[key]) for key in ("agent", "agent_version") if about.get(key))
    return " with ".join(filter(None, [agent, models]))


def money(spent: float, cap: float | None, projected: float | None) -> str:
    """spent / cap / projected, in dollars; None where nobody knows."""
    words = (
        f"spent ${spent:.2f}",
        f"cap ${cap:.2f}" if cap is not None else "cap not known",
        f"projected ${projected:.2f}" if projected is not None else "projected not known yet",
    )
    return " / ".join(words)


# -- while it happens


def line(event: Event) -> Text | None:
    """What is said of an event as it happens; None for one that says nothing new."""
    data = event.data
    match event.kind:
        case history.RUN_STARTED:
            words = f"{data.get('project')}, run {data.get('run')}: {people(data)}"
            said = Text(harmless(words), "bold")
        case spending.RESUMED:
            said = Text(harmless(f"resumed: {people(data)}"), "bold")
        case journal.STARTED:
            tactic = str(data.get("tactic", ""))
            said = _about(data, f"{TACTICS.get(tactic, tactic)}; the coder is at work")
        case history.ENDED:
            said = _about(data, _end(data))
        case journal.FROZEN:
            said = _about(data, "judging", "dim")
        case journal.JUDGED:
            passed = data["verdict"] == journal.PASS
            took = duration(data.get("seconds") or 0.0)
            words = f"{'✓' if passed else '✗'} {data['verdict']} ({took})"
            said = _about(data, words, "green" if passed else "red")
        case journal.OPENED:
            first, *rest = data["items"]
            more = f" and {len(rest)} after it" if rest else ""
            said = Text(harmless(f"{first}{more}: opened again"), "bold")
        case history.RUN_STOPPED:
            said = Text(f"stopped: {in_one_line(str(data.get('reason')), 1000)}", "bold red")
        case history.RUN_FINISHED:
            said = Text("finished", "bold green")
        case _:
            return None
    return Text(f"{_clock(event.time)}  ", "dim") + said


def _about(data: Mapping[str, Any], words: str, style: str = "") -> Text:
    """What is said of an attempt."""
    return Text(harmless(f"{data['item']} {data['attempt']}: ")) + Text(in_one_line(words), style)


def _end(data: Mapping[str, Any]) -> str:
    """How a coder's work ended."""
    ended = data.get("ended")
    how = "finished" if ended == "finished" else f"was ended ({ended})"
    turns = f", {data['turns']} turns" if data.get("turns") else ""
    words = f": {data['words']}" if data.get("words") else ""
    return f"the coder {how} after {duration(data.get('seconds') or 0.0)}{turns}{words}"


def _clock(time: str) -> str:
    return datetime.datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S")


# -- afterwards


def story(run: History) -> RenderableType:
    """The whole run: a row for each attempt, the sums, and what comes next."""
    about = run.about
    names = [str(about[key]) for key in ("project", "run") if about.get(key)]
    version = f"simlift {about['simlift']}" if about.get("simlift") else ""
    title = " · ".join(filter(None, [*names, people(about), version]))
    table = Table(
        *("#", "item", "attempt", "tactic", "verdict", "score", "time", "$", "tokens"),
        title=harmless(title) or None,
        title_justify="left",
    )
    for column in (0, 2, 5, 6, 7, 8):
        table.columns[column].justify = "right"
    for attempt in run.attempts:
        verdict = in_one_line(attempt.verdict) or ("to be judged" if attempt.tree else "at work")
        table.add_row(
            str(attempt.place),
            harmless(attempt.item),
            str(attempt.number),
            harmless(TACTICS.get(attempt.tactic, attempt.tactic)),
            Text(verdict, "green" if attempt.passed else "red" if attempt.verdict else "yellow"),
            f"{attempt.score:.2f}" if attempt.verdict else "",
            duration(attempt.seconds),
            f"{attempt.cost_usd:.2f}",
            f"{attempt.tokens:,}",
        )
    items = f"{len(run.done)} of {len(run.items)} known items done"
    sums = f"{items} in {len(run.attempts)} attempts, {duration(run.seconds)}"
    spent = money(run.cost_usd, run.cap_usd, run.projected_usd)
    return Group(
        table,
        Text(f"{sums}; {spent}; {run.tokens:,} tokens"),
        Text(harmless(run.standing)),
    )


def attempt_story(run: History, attempt: Attempt) -> RenderableType:
    """One attempt: what the coder was told, what it said and changed, and what the judge said."""
    words = attempt.words or "nothing"
    return Group(
        heading(attempt),
        *_section("told before", run.text(attempt, "feedback.md")),
        *_section("prompt", run.text(attempt, "prompt.md")),
        *_section("the coder's last words", words if attempt.ended else None),
        *_section("patch", run.patch(attempt), diff=True),
        *_section("verdict", attempt.verdict or None),
    )


def heading(attempt: Attempt) -> Text:
    """Which attempt it is, by whom, and how it went."""
    who = " with ".join(filter(None, [attempt.agent, attempt.model]))
    tactic = TACTICS.get(attempt.tactic, attempt.tactic)
    parts = [
        f"{attempt.place}. {attempt.item}, attempt {attempt.number}",
        tactic,
        who,
        f"${attempt.cost_usd:.2f}",
        duration(attempt.seconds),
    ]
    return Text(harmless(" · ".join(filter(None, parts))), "bold")


def _section(title: str, text: str | None, diff: bool = False) -> Iterator[RenderableType]:
    if text is None or not text.strip():
        return
    yield Text(f"\n-- {title}\n", "bold dim")
    yield patch_text(text) if diff else Text(harmless(text.rstrip()))


def patch_text(patch: str) -> Text:
    """A patch, coloured where there are colours."""
    lines = harmless(patch).split("\n")
    return Text("\n").join(Text(line, _diff_style(line)) for line in lines)


def _diff_style(line: str) -> str:
    starts = (start for start in sorted(DIFF_STYLES, key=len, reverse=True))
    return next((DIFF_STYLES[start] for start in starts if line.startswith(start)), "")

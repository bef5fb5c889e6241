"""What the judge says of an attempt, read off what a command of the verifier left behind."""

import dataclasses
import json
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ..envs.files import write_atomically
from ..verify.host import Row
from ..verify.story import Story
from .journal import PASS
from .plan import Plan
from .sandbox import Ended, head_and_tail

FILE = "verdict.json"
BELOW = 0.999  # the best score of what does not pass
LONGEST = 300  # characters of a verdict's line
ERROR = re.compile(r"simlift: |[A-Za-z_][\w.]*(Error|Exception|Unavailable|Warning|Interrupt)\b")
STOPPING = ("broke", "same_avals", "hello")
"""Checks of L0 after which no other level is tried, where they fail."""
STOPS = {
    "time": "ran longer than it may",
    "stall": "showed no sign of life any more",
    "disk": "wrote more than it may",
    "output": "printed more than it may",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Verdict:
    """passed: whether the item is done; line: "pass", or what is wrong in one line; signature: the
    same for failures of one cause, "" of a pass; score: 0 .. 1, how near it is; seed: that the
    judge drew, to be kept from the coder; seconds: of the judge; details: what was found, as JSON.
    """

    passed: bool
    line: str
    signature: str
    score: float
    seed: int
    seconds: float
    details: Mapping[str, Any]

    def write(self, folder: Path) -> Path:
        """Write verdict.json, whole or not at all; its path."""
        path = folder / FILE
        write_atomically(path, json.dumps(dataclasses.asdict(self), indent=1) + "\n")
        return path

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The verdict in that folder. Raises OSError, and ValueError where it is damaged."""
        path = folder / FILE
        try:
            return cls(**json.loads(path.read_bytes()))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is damaged ({error}); remove it and judge the attempt again"
            ) from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found: "" for the line and the signature where nothing is wrong."""

    line: str = ""
    signature: str = ""
    score: float = 1.0
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        line = " ".join(self.line.split())
        object.__setattr__(self, "line", line[:LONGEST] + "..." * (len(line) > LONGEST))

    def told_from(self, *folders: Path) -> Self:
        """With paths relative to these folders, so that a run can be moved."""
        text = json.dumps([self.line, self.details])
        for folder in folders:
            text = text.replace(json.dumps(f"{folder}/")[1:-1], "")
        line, details = json.loads(text)
        return dataclasses.replace(self, line=line, details=details)

    def verdict(self, seed: int, seconds: float) -> Verdict:
        """As the judge's last word."""
        passed = not self.line
        return Verdict(
            passed=passed,
            line=self.line or PASS,
            signature=self.signature,
            score=1.0 if passed else min(self.score, BELOW),
            seed=seed,
            seconds=seconds,
            details=self.details,
        )


# -- what a command left behind


def stopped(ended: Ended) -> Finding | None:
    """Of a command that a limit ended; None of another."""
    if ended.stopped is None:
        return None
    line = f"the judge's command {STOPS[ended.stopped]}, and was ended after {ended.seconds:.0f} s"
    return Finding(
        line=line,
        signature=f"stopped: {ended.stopped}",
        score=0.0,
        details={"kind": "stopped", "output": output(ended)},
    )


def output(ended: Ended) -> str:
    """Head and tail of what a command printed."""
    texts = (path.read_text(errors="replace") for path in (ended.stdout, ended.stderr))
    return head_and_tail("\n".join(text.strip() for text in texts if text.strip()))


def _last_words(printed: str) -> str:
    """The line that says why a program ended: ours, or that of the last exception."""
    lines = printed.splitlines() or ["it said nothing"]
    errors = [line for line in lines if ERROR.match(line)]
    return (errors or lines)[-1].removeprefix("simlift: ")


def verified(
    ended: Ended, out: Path, *, wanted: Sequence[str], seed: int, survivors: Sequence[str] = ()
) -> Finding:
    """Of `simlift verify` and `simlift translate check`: result.json says what holds, and the exit
    code has to agree. wanted: the levels that were asked for; survivors: mutants that the coder
    accounts for, which may be open."""
    printed = output(ended)
    details: dict[str, Any] = {"kind": "verify", "status": ended.status, "output": printed}
    try:
        result = json.loads((out / "result.json").read_bytes())
        rows, stories, holds = result["levels"], result["divergences"], result["holds"]
        failing = [row for row in rows if row["mismatches"]]
        same = [list(result["options"]["levels"]), result["seeds"]] == [list(wanted), [seed]]
        details |= {key: result[key] for key in ("compared", "levels", "divergences", "claim")}
        details |= {"ignored": result["ignored"], "reference": result["reference"]}
        _check_sound(details)
        score = _score(rows, wanted)
    except FileNotFoundError:
        cannot = ended.status == 2
        words = "could not be run" if cannot else f"died with status {ended.status}"
        return Finding(
            line=f"the verification {words}: {_last_words(printed)}",
            signature="cannot run" if cannot else "died",
            score=0.0,
            details=details,
        )
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError) as error:
        return Finding(
            line=f"result.json is not the verifier's ({type(error).__name__}: {error})",
            signature="result.json",
            score=0.0,
            details=details,
        )
    agree = ended.status == (0 if holds is True else 1) and holds == (not failing)
    if not (agree and same and rows):
        return Finding(
            line=f"exit code {ended.status} and result.json do not agree; nothing but the verifier "
            "may write it",
            signature="result.json",
            score=0.0,
            details=details,
        )
    failing = [row for row in failing if not _accounted(row, survivors)]
    if not failing:
        return Finding(details=details)
    story = first_story(stories)
    line, signature = _told(failing[0], story, len(failing))
    return Finding(line=line, signature=signature, score=score, details=details)


def _check_sound(details: Mapping[str, Any]) -> None:
    """Raises an error of some kind for rows and stories that the verifier would not write: while
    modules are missing, the translation runs in the verifier's own process."""
    words = [details["claim"]["within"].values(), details["ignored"].keys()]
    numbers = []
    for row in details["levels"]:
        Row(**row)
        words.append([row["level"], row["variant"], row["policy"], *row["what"]])
        numbers += [row["count"], row["mismatches"]]
    for story in details["divergences"]:
        Story(**story).text()
        words.append([story[name] for name in ("level", "field", "module", "tape")])
        numbers.append(story["step"])
    if not all(isinstance(word, str) for some in words for word in some):
        raise TypeError("a name is no text")
    if not all(type(number) is int and number >= 0 for number in numbers):
        raise TypeError("a count is no number")


def _accounted(row: Mapping[str, Any], survivors: Sequence[str]) -> bool:
    """Whether a row is that of the mutants, and each open one is among the survivors."""
    return row["level"] == "mutants" and all(
        any(what.startswith(f"{name}: ") for name in survivors) for what in row["what"]
    )


def first_story(stories: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The divergence to begin with: of the level that comes first, the earliest step."""
    if not stories:
        return None
    first = [story for story in stories if story["level"] == stories[0]["level"]]
    return min(first, key=lambda story: story["step"])


def _told(row: Mapping[str, Any], story: Mapping[str, Any] | None, failing: int) -> tuple[str, str]:
    """The line and the signature of a verification whose first failing row is `row`."""
    more = f"; {failing - 1} more rows fail" if failing > 1 else ""
    if story is None or story["level"] != row["level"]:
        what = without_paths(row["what"][0]) if row["what"] else f"{row['mismatches']} mismatches"
        place = " ".join(filter(None, (row["level"], row["policy"])))
        return f"{place}: {what}{more}", place
    module = f" ({story['module']} writes it)" if story["module"] else ""
    line = f"{story['level']}: {story['field']} differs at step {story['step']}{module}{more}"
    return line, f"{story['level']} {story['field']} {story['module']}".rstrip()


def without_paths(what: str) -> str:
    """A line of a row, less the command that replays it here."""
    return what.partition("; simlift replay")[0]


def _score(rows: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> float:
    """The mean over levels of the mean over rows of what agrees. A level without rows had nothing
    to compare, or was not reached."""
    by_level: dict[str, list[float]] = {level: [] for level in wanted}
    for row in rows:
        share = 1 - min(1.0, row["mismatches"] / max(row["count"], 1))
        by_level.setdefault(row["level"].split()[0], []).append(share)
    reached = not any(row["policy"] in STOPPING and row["mismatches"] for row in rows)
    shares = [sum(some) / len(some) if some else float(reached) for some in by_level.values()]
    return sum(shares) / max(len(shares), 1)


def as_planned(found: Finding, plan: Plan) -> Finding:
    """Whether the suite, which the coder wrote, compares what the plan compares, and as closely."""
    ignored, within = found.details["ignored"], found.details["claim"]["within"]
    played = {row["policy"] for row in found.details["levels"] if row["level"] == "L2"}
    wrong = [
        f"the suite does not compare {name} as the plan does: {compare.words}"
        for name, compare in plan.comparators.items()
        if compare.kind != "ignored"
        and (name in ignored or within.get(name, compare.words) != compare.words)
    ]
    wrong += [
        f"the suite has no scenario {scenario['name']!r}, which the plan has"
        for scenario in plan.scenarios
        if played and scenario["name"] not in played
    ]
    if not wrong:
        return found
    return Finding(
        line=wrong[0], signature="plan", score=0.5, details={**found.details, "planned": wrong}
    )


def tested(ended: Ended, out: Path) -> Finding:
    """Of pytest: at least one test passes, and none fails."""
    printed = output(ended)
    details: dict[str, Any] = {"kind": "pytest", "status": ended.status, "output": printed}
    counts: Counter[str] = Counter()
    failing: list[str] = []
    try:
        for case in ET.parse(out / "junit.xml").getroot().iter("testcase"):
            kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
            counts[min(kinds, default="passed")] += 1
            if kinds & {"failure", "error"}:
                failing.append(f"{case.get('classname')}::{case.get('name')}")
    except (OSError, ET.ParseError):
        return Finding(
            line=f"pytest ended with status {ended.status} and no report: {_last_words(printed)}",
            signature="pytest: no report",
            score=0.0,
            details=details,
        )
    details |= {"counts": dict(counts), "failing": failing}
    ran = sum(counts.values()) - counts["skipped"]
    score = counts["passed"] / max(ran, 1)
    if failing:
        line = f"{len(failing)} of {ran} tests fail, the first is {failing[0]}"
        signature = f"pytest: {', '.join(sorted(failing))}"[:LONGEST]
        return Finding(line=line, signature=signature, score=score, details=details)
    if ended.status != 0 or not counts["passed"]:
        line = f"pytest ended with status {ended.status}; {counts['passed']} tests passed"
        return Finding(line=line, signature="pytest: status", score=0.0, details=details)
    return Finding(details=details)

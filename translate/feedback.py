"""What a coder is told of a verdict: at most 60 lines, with what was already tried.

It is told where both sides part and by which values, never the judge's seed: that is another one in
each attempt, and so is what it makes the reference do.
"""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..verify.story import Story
from ..verify.tape import TapeFileError, load, save
from .sandbox import head_and_tail
from .verdict import Verdict, first_story, without_paths

LINES, WIDTH = 60, 300
OUTPUT = 26  # lines of what a command printed
STORY = 24
ROWS = 8
TRIED = 6
TAPES = Path("runs/judge")  # in the workspace


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tried:
    """An earlier attempt at the item: how much it changed, and what the judge said."""

    attempt: int
    files: int
    added: int
    removed: int
    line: str


def text(verdict: Verdict, tried: Sequence[Tried] = ()) -> str:
    """At most 60 lines on a verdict. tried: the attempts before that one, oldest first."""
    lines = [f"Verdict: {verdict.line}", *_found(verdict.details)]
    earlier = list(_tried(tried))
    told = head_and_tail("\n".join(lines), LINES - len(earlier), WIDTH)
    whole = "\n".join([told, *(line[:WIDTH] for line in earlier)])
    return whole.replace(str(verdict.seed), "[seed]")


def hand_over(verdict: Verdict, folder: Path, workspace: Path) -> None:
    """Put the tape that `text` names into the workspace, less the judge's seed. folder: that of the
    attempt, in which the judge kept it; what is no tape stays there. Raises OSError."""
    story = first_story(verdict.details.get("divergences", ()))
    if story is None:
        return
    path = (folder / story["tape"]).resolve()
    if not (path.is_file() and path.is_relative_to(folder.resolve())):
        return
    try:
        tape = load(path)
    except TapeFileError:
        return
    found = {name: value for name, value in tape.found.items() if name != "seed"}
    save(dataclasses.replace(tape, found=found), workspace / TAPES / path.name)


def _found(details: Mapping[str, Any]) -> Iterator[str]:
    """What there is to say beyond the verdict's line."""
    if "lines" in details:
        yield from (f"- {line}" for line in details["lines"][1:OUTPUT])  # the first is the verdict
        return
    if "levels" in details:
        yield from _verification(details)
        return
    if "failing" in details:
        yield f"{details['counts'].get('passed', 0)} tests pass; these fail:"
        yield from (f"- {name}" for name in details["failing"][:ROWS])
    if output := details.get("output"):
        yield "What was printed:"
        yield from (f"    {line}" for line in head_and_tail(output, OUTPUT, WIDTH).splitlines())


def _verification(details: Mapping[str, Any]) -> Iterator[str]:
    rows = details["levels"]
    failing = [row for row in rows if row["mismatches"]]
    yield from (f"- {line}" for line in details.get("planned", ())[:ROWS])
    story = first_story(details["divergences"])
    if story is not None:
        yield ""
        yield from _story(story)
        yield from _clusters(failing, details["divergences"])
    plain = [row for row in failing if not _compared(row)]
    if plain:
        yield ""
        for row in plain[:ROWS]:
            what = "; ".join(map(without_paths, row["what"][:3]))
            what = what or f"{row['mismatches']} of {row['count']} differ"
            yield f"- {_name(row)}: {what}"
        if len(plain) > ROWS:
            yield f"- and {len(plain) - ROWS} more"
    yield ""
    yield from _holding(rows)


def _story(story: Mapping[str, Any]) -> Iterator[str]:
    """The divergence to begin with, in the verifier's words, less what only the judge has."""
    told = Story(**story).text().splitlines()[1:-2]
    yield (
        f"{story['level']}, variant {story['variant']}, policy {story['policy']}, "
        f"step {story['step']} of an episode:"
    )
    yield from told[:STORY]
    yield f"  see it again: simlift replay {TAPES / Path(story['tape']).name}"


def _clusters(
    failing: Sequence[Mapping[str, Any]], stories: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """How many comparisons begin to differ in which field."""
    modules = {story["field"]: story["module"] for story in stories}
    fields = [(row["level"], _field(row)) for row in failing if _compared(row)]
    for (level, field), count in Counter(fields).most_common(ROWS):
        module = f", written by {modules[field]}" if modules.get(field) else ""
        yield f"{count} of {len(fields)} failing comparisons begin so: {level} {field}{module}"


def _compared(row: Mapping[str, Any]) -> bool:
    """Whether a row is one of comparisons of both sides, and says in which field they differ."""
    sides = row["level"].startswith(("L2", "L3", "targeted"))
    return sides and any(" at step " in what for what in row["what"])


def _field(row: Mapping[str, Any]) -> str:
    return str(next(what for what in row["what"] if " at step " in what).partition(" at step ")[0])


def _holding(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What must not be broken by the next attempt."""
    counts: dict[str, list[bool]] = {}
    for row in rows:
        counts.setdefault(row["level"], []).append(not row["mismatches"])
    held = [f"{level} {sum(some)} of {len(some)}" for level, some in counts.items()]
    yield f"What holds: {', '.join(held)}." if held else "Nothing was compared."


def _name(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, (row["level"], row["variant"], row["policy"])))


def _tried(tried: Sequence[Tried]) -> Iterator[str]:
    if not tried:
        return
    yield ""
    yield "Already tried:"
    if len(tried) > TRIED:
        yield f"- {len(tried) - TRIED} earlier attempts, which failed as well"
    for one in tried[-TRIED:]:
        yield (
            f"- attempt {one.attempt}: {one.files} files, +{one.added} -{one.removed}: {one.line}"
        )

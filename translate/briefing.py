"""What a coder is told of the attempts before its own."""

import dataclasses
from collections.abc import Sequence

from . import feedback
from .books import Books
from .journal import OPENED
from .tactics import SMALLER_STEPS, Move, Round
from .verdict import Verdict


def brief(books: Books, item: str, done: Sequence[Round], move: Move) -> str:
    """The feedback of an item's next attempt; of the first one, an update and a way back have any.

    Raises ValueError and OSError for a verdict that is damaged or gone.
    """
    if not done:
        return _opened(books, item) or books.about.get("feedback", {}).get(item, "")
    last = Verdict.read(books.logs(item, done[-1].attempt))
    if move.tactic == "repair":
        return feedback.text(last, [_tried(books, one) for one in done[:-1]])
    # A fresh beginning: what was tried, and nothing that leads back to it.
    told = feedback.text(
        dataclasses.replace(last, details={}), [_tried(books, one) for one in done]
    )
    return f"{told}\n\n{SMALLER_STEPS}" if move.tactic == "smaller_steps" else told


def _opened(books: Books, item: str) -> str:
    """What is said of an item that is done anew; "" where it is not."""
    opened = [e.data for e in books.log.events if e.kind == OPENED and item in e.data["items"]]
    if not opened:
        return ""
    first, why = opened[-1]["items"][0], opened[-1]["why"]
    return (
        f"The run went back to {first}{f': {why}' if why else ''}. What was done since is there "
        "still: keep what is right of it, and mend the rest."
    )


def _tried(books: Books, one: Round) -> feedback.Tried:
    lines = books.folder.copy.stat(one.base, one.tree).values()
    return feedback.Tried(
        attempt=one.attempt,
        files=len(lines),
        added=sum(added for added, _ in lines),
        removed=sum(removed for _, removed in lines),
        line=one.verdict,
    )

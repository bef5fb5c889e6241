"""What a coder is told of the attempts before its own."""

import dataclasses
from collections.abc import Sequence

from . import feedback
from .books import Books
from .tactics import SMALLER_STEPS, Move, Round
from .verdict import Verdict


def brief(books: Books, item: str, done: Sequence[Round], move: Move) -> str:
    """The feedback of an item's next attempt; of the first one, only an update has any.

    Raises ValueError and OSError for a verdict that is damaged or gone.
    """
    if not done:
        return books.about.get("feedback", {}).get(item, "")
    last = Verdict.read(books.logs(item, done[-1].attempt))
    if move.tactic == "repair":
        return feedback.text(last, [_tried(books, one) for one in done[:-1]])
    # A fresh beginning: what was tried, and nothing that leads back to it.
    told = feedback.text(
        dataclasses.replace(last, details={}), [_tried(books, one) for one in done]
    )
    return f"{told}\n\n{SMALLER_STEPS}" if move.tactic == "smaller_steps" else told


def _tried(books: Books, one: Round) -> feedback.Tried:
    lines = books.folder.copy.stat(one.base, one.tree).values()
    return feedback.Tried(
        attempt=one.attempt,
        files=len(lines),
        added=sum(added for added, _ in lines),
        removed=sum(removed for _, removed in lines),
        line=one.verdict,
    )

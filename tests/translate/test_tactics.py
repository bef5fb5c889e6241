"""What is tried next: a tactic is kept while it brings something, and each is tried once."""

from collections.abc import Sequence

import pytest

from simlift.translate.journal import FROZEN, JUDGED, OPENED, STARTED, Event
from simlift.translate.tactics import Move, Round, Tactic, next_move, rounds


def play(scores: Sequence[float], models: Sequence[str] = ("one",), flat: int = 3) -> list[Move]:
    """The moves of an item whose attempts score so."""
    done: list[Round] = []
    moves = []
    for number, score in enumerate(scores, 1):
        move = next_move("plan", done, models=models, flat_rounds=flat)
        if move is None:
            break
        moves.append(move)
        done.append(
            Round(
                attempt=number,
                tactic=move.tactic,
                model=move.model,
                base=move.tree or "origin",
                tree=f"tree {number}",
                verdict="3 mismatches",
                score=score,
            )
        )
    return moves


def tactics(moves: Sequence[Move]) -> list[Tactic]:
    return [move.tactic for move in moves]


def test_what_brings_nothing_is_tried_three_times_and_each_tactic_once() -> None:
    moves = play([0.0] * 20)
    assert tactics(moves) == [
        *("first", "repair", "repair"),
        *("start_over", "repair", "repair"),
        *("smaller_steps", "repair", "repair"),
    ]


def test_every_further_model_has_its_turn() -> None:
    moves = play([0.0] * 20, models=("one", "two", "three"), flat=1)
    assert [(move.tactic, move.model) for move in moves] == [
        ("first", "one"),
        ("start_over", "one"),
        ("next_model", "two"),
        ("next_model", "three"),
        ("smaller_steps", "three"),
    ]


def test_a_tactic_that_brings_something_is_kept() -> None:
    assert tactics(play([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == ["first"] + ["repair"] * 5


def test_rounds_are_flat_only_in_a_row_and_the_best_so_far_counts() -> None:
    moves = play([0.5, 0.4, 0.4, 0.6, 0.5, 0.6, 0.6, 0.0])
    assert tactics(moves) == ["first", *["repair"] * 6, "start_over"]


def test_a_new_tactic_is_measured_by_its_own_attempts() -> None:
    moves = play([0.9, 0.9, 0.9, 0.9, 0.1, 0.2, 0.3, 0.4])
    assert tactics(moves) == ["first", *["repair"] * 3, "start_over", *["repair"] * 3]


def test_repair_goes_on_from_what_was_left_and_other_tactics_from_the_beginning() -> None:
    moves = play([0.0] * 5)
    assert [move.tree for move in moves] == ["", "tree 1", "tree 2", "", "tree 4"]


def test_a_model_named_after_all_was_tried_gets_its_turn() -> None:
    stuck = [
        Round(attempt=n, tactic=t, model="one", base="", tree="", verdict="no", score=0.0)
        for n, t in enumerate(("first", "start_over", "smaller_steps"), 1)
    ]
    assert next_move("plan", stuck, models=("one",), flat_rounds=1) is None
    after = next_move("plan", stuck, models=("one", "two"), flat_rounds=1)
    assert after == Move(tactic="next_model", model="two")


def test_rounds_of_other_inputs_do_not_count() -> None:
    def events(attempt: int, inputs: str) -> list[tuple[str, dict[str, object]]]:
        at = {"item": "plan", "attempt": attempt}
        begun = {"inputs": inputs, "tactic": "first", "model": "", "base": "b"}
        return [
            (STARTED, {**at, **begun}),
            (FROZEN, {**at, "tree": f"t{attempt}"}),
            (JUDGED, {**at, "verdict": "no", "score": 0.1}),
        ]

    told = [*events(1, "old"), *events(2, "new"), *events(3, "new")]
    log = [Event(number=n, time="", kind=k, data=d) for n, (k, d) in enumerate(told)]
    assert [one.attempt for one in rounds(log, "plan", "new")] == [2, 3]
    assert rounds(log, "plan", "newer") == rounds(log, "survey", "new") == []
    assert [one.tree for one in rounds(log, "plan", "new")] == ["t2", "t3"]
    opened = [Event(number=9, time="", kind=OPENED, data={"items": ["plan"]})]
    assert rounds([*log, *opened], "plan", "new") == []
    assert len(rounds([*log[:3], *opened, *log[3:]], "plan", "new")) == 2


@pytest.mark.parametrize("flat", [1, 2, 5])
def test_flat_rounds_are_the_projects(flat: int) -> None:
    assert tactics(play([0.0] * 8, flat=flat)).index("start_over") == flat

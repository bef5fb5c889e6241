"""Cassettes: a recorded run is replayed without a model, failures included."""

import http.client
from pathlib import Path

import pytest

from simlift.translate.budget import Budget, Caps, Spent
from simlift.translate.cassette import Player, read
from simlift.translate.meter import Meter

from .scripted_model import PRICES, STREAMS, Model, ask, error, metered, sse


def test_a_recorded_run_is_replayed_without_a_model(model: Model, tmp_path: Path) -> None:
    tape = tmp_path / "tapes" / "tape.jsonl"
    model.answer, model.type = sse(STREAMS["anthropic"]), "text/event-stream"
    with metered(model, cassette=tape) as meter:
        first = ask(meter, "anthropic", stream=True)
        model.status, model.answer, model.type = 429, b'{"error": {}}', "application/json"
        second = ask(meter, "anthropic", stream=True, temperature=1)
    calls = read(tape)
    assert [(call.status, call.whole) for call in calls] == [(200, True), (429, True)]
    assert calls[0].usage == {
        "input": 20, "cache_read": 10, "cache_write": 0, "cache_write_1h": 0, "output": 20
    }  # fmt: skip
    budget = Budget(Caps(dollars=1))
    with Meter(Player(calls), budget=budget, prices=PRICES) as replayed:
        # The second request is found by its text, the first is what is left.
        assert ask(replayed, "anthropic", stream=True, temperature=1, max_tokens=50) == second
        assert ask(replayed, "anthropic", stream=True, metadata={"day": "another"}) == first
        status, answer = ask(replayed, "anthropic", stream=True)
        assert status == 400 and "no further call" in error(answer)
    assert budget.spent == Spent()


def test_death_mid_stream_is_replayed(model: Model, tmp_path: Path) -> None:
    model.answer, model.type, model.dies = sse(STREAMS["chat"][:1]), "text/event-stream", True
    broken = pytest.raises(http.client.IncompleteRead)
    with metered(model, cassette=tmp_path / "tape.jsonl") as meter, broken:
        ask(meter, "chat", stream=True)
    player = Player(read(tmp_path / "tape.jsonl"))
    with Meter(player, budget=meter.budget, prices=PRICES) as replayed, broken as died:
        ask(replayed, "chat", stream=True)
    assert died.value.partial == model.answer


def test_a_torn_last_line_is_survived_and_another_is_named(model: Model, tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    with metered(model, cassette=tape) as meter:
        ask(meter, "chat")
        ask(meter, "chat")
    whole = tape.read_bytes()
    tape.write_bytes(whole[:-10])
    assert len(read(tape)) == 1
    tape.write_bytes(b"{}\n" + whole)
    with pytest.raises(ValueError, match=r"tape\.jsonl:1: is not a call"):
        read(tape)

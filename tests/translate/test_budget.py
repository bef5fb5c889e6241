"""An attempt's share of a run's budget: the caps of both hold, and both are charged."""

import json
from typing import Any

import pytest

from simlift.translate.budget import Budget, Caps, OverCap, Share, Spent
from simlift.translate.wire import Answer, Api, Request

from .scripted_model import ANSWERS, DOLLAR, PRICES, REQUESTS

PRICE = PRICES.of("m")
CHEAP = {"dollars": 1e5, "calls": 100}


def request() -> Request:
    return Request.parse(Api.CHAT, "/v1/chat/completions", json.dumps(REQUESTS["chat"]).encode())


def spend(share: Budget) -> None:
    call = share.reserve(request(), PRICE)
    answer = Answer(Api.CHAT, stream=False)
    answer.feed(json.dumps(ANSWERS["chat"]).encode())
    answer.close()
    share.charge(call, answer)


def test_both_are_charged() -> None:
    whole = Budget(Caps(dollars=1e5), Spent(dollars=7.0, tokens=7, calls=1))
    share = Share(whole, **CHEAP)
    spend(share)
    assert share.spent == Spent(dollars=pytest.approx(50 * DOLLAR), tokens=50, calls=1)
    assert whole.spent == Spent(dollars=pytest.approx(7 + 50 * DOLLAR), tokens=57, calls=2)
    assert share.refusal == ""


def test_a_call_under_way_is_reserved_in_both_and_released_in_both() -> None:
    whole = Budget(Caps(dollars=1e5))
    share = Share(whole, **CHEAP)
    call = share.reserve(request(), PRICE)
    assert share.spent.reserved == whole.spent.reserved > 2000
    share.release(call)
    assert share.spent == whole.spent == Spent(calls=1)


@pytest.mark.parametrize(
    ("caps", "own", "told"),
    [
        (Caps(dollars=1e5), {"dollars": 100.0, "calls": 9}, r"\$100.0000 of \$100 are left"),
        (Caps(dollars=1e5), {"dollars": 1e5, "calls": 1}, "all 1 calls are made"),
        (Caps(dollars=100.0), CHEAP, r"\$100.0000 of \$100 are left"),
        (Caps(dollars=1e5, calls=1), CHEAP, "all 1 calls are made"),
        (Caps(dollars=1e5, tokens=2000), CHEAP, "of 2000 are left"),
    ],
)
def test_neither_reserves_where_one_refuses(caps: Caps, own: dict[str, Any], told: str) -> None:
    whole = Budget(caps)
    share = Share(whole, **own)
    if "calls" in told:
        spend(share)
    before = whole.spent
    with pytest.raises(OverCap, match=told) as refused:
        share.reserve(request(), PRICE)
    assert share.refusal == str(refused.value)
    assert whole.spent == before and share.spent.reserved == 0


def test_what_one_share_learned_of_prompts_is_known_to_the_next() -> None:
    whole = Budget(Caps(dollars=1e5))
    first = Share(whole, **CHEAP)
    unknown = first.reserve(request(), PRICE).prompt
    spend(first)
    assert Share(whole, **CHEAP).reserve(request(), PRICE).prompt < unknown

"""Prices: the shipped table is dated and whole, and no price is guessed."""

import datetime
import itertools

import pytest

from simlift.translate.prices import PriceTable, UnknownPrice, Usage

OWN = {"input": 3.0, "output": 15.0, "max_output": 1000}


def own(**changes: object) -> PriceTable:
    return PriceTable.parse({"models": {"own": OWN | changes}}, "simlift.toml")


def test_every_shipped_price_has_source_and_date() -> None:
    prices = list(PriceTable.shipped())
    assert {name.split("-")[0] for name in (price.model for price in prices)} == {
        "claude",
        "gpt",
        "gemini",
    }
    for price in prices:
        assert price.source.startswith("https://")
        assert price.read is not None and price.read > datetime.date(2026, 1, 1)


def test_shipped_rates_are_in_their_order() -> None:
    for price, long in itertools.product(PriceTable.shipped(), (False, True)):
        rates = price.long if long else price.rates
        assert 0 < rates.cache_read <= rates.input <= rates.cache_write <= rates.cache_write_1h
        assert rates.cache_write_1h <= 2 * rates.input < rates.output


def test_cost_of_each_kind_of_token() -> None:
    table = own(cache_read=0.3, cache_write=3.75, cache_write_1h=6.0)
    usage = Usage(input=1000, cache_read=2000, cache_write=3000, cache_write_1h=4000, output=5000)
    dollars = 1000 * 3 + 2000 * 0.3 + 3000 * 3.75 + 4000 * 6 + 5000 * 15
    assert table.of("own").cost(usage) == pytest.approx(dollars / 1e6)
    assert usage.prompt == 10_000 and usage.total == 15_000


def test_a_long_prompt_is_billed_altogether_at_the_long_rates() -> None:
    price = own(above=100, long={"input": 30.0, "output": 150.0}).of("own")
    assert price.cost(Usage(input=60, cache_read=40)) == pytest.approx(100 * 3 / 1e6)
    assert price.cost(Usage(input=61, cache_read=40, output=1)) == pytest.approx(
        (101 * 30 + 150) / 1e6
    )


def test_an_unstated_cache_rate_is_never_too_low() -> None:
    rates = own(cache_write=4.0).of("own").rates
    assert (rates.cache_read, rates.cache_write_1h) == (3.0, 4.0)


def test_the_worst_case_bounds_every_split_of_a_prompt() -> None:
    price = PriceTable.shipped().of("claude-opus-5-5")
    worst = price.worst(100, 10)
    for read, write in itertools.product((0, 50), (0, 50)):
        usage = Usage(input=100 - read - write, cache_read=read, cache_write=write, output=10)
        assert price.cost(usage) <= worst
    assert price.cost(Usage(cache_write_1h=100, output=10)) > worst
    assert price.cost(Usage(cache_write_1h=100, output=10)) == price.worst(100, 10, hour=True)


@pytest.mark.parametrize(
    "model", ["claude-haiku-4-5-20251001", "gpt-6-sol-2026-09-22", "models/gemini-2.5-pro"]
)
def test_a_snapshot_costs_what_its_family_costs(model: str) -> None:
    assert PriceTable.shipped().of(model).model in model


@pytest.mark.parametrize("model", ["gpt-7", "claude-haiku-4", "gemini-2.5-pro-max", ""])
def test_an_unknown_model_is_asked_for(model: str) -> None:
    with pytest.raises(UnknownPrice, match=r"state it in simlift\.toml"):
        PriceTable.shipped().of(model)


def test_a_price_of_ones_own_wins() -> None:
    table = PriceTable.shipped() | PriceTable.parse({"models": {"gpt-6-sol": OWN}}, "simlift.toml")
    assert table.of("gpt-6-sol").rates.input == 3.0
    assert table.of("gpt-6-sol").source == "simlift.toml"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": -1.0}, "input = -1.0"),
        ({"output": "15"}, "output = '15'"),
        ({"max_output": 0}, "max_output = 0"),
        ({"above": 5}, "above .* and long"),
        ({"inputs": 3.0}, "inputs is not known"),
        ({"source": "nobody"}, "'nobody' is not among"),
        ({"cache_read": True}, "cache_read = True"),
        ({"above": 5, "long": {"input": 1.0}}, "output is missing"),
        ({"above": 5, "long": 2.0}, "not a table"),
    ],
)
def test_a_wrong_entry_is_named(changes: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=rf"simlift\.toml: models\.'own'.*{told}"):
        own(**changes)


@pytest.mark.parametrize("name", OWN)
def test_a_missing_entry_is_named(name: str) -> None:
    entry = {key: value for key, value in OWN.items() if key != name}
    with pytest.raises(ValueError, match=f"{name} is missing"):
        PriceTable.parse({"models": {"own": entry}}, "simlift.toml")


def test_an_entry_that_is_no_table_is_named() -> None:
    with pytest.raises(ValueError, match="not a table of rates"):
        PriceTable.parse({"models": {"own": 3.0}}, "simlift.toml")

"""What a model costs: tokens to dollars, from a dated table (prices.toml) or from the user.

A price is known or it is asked for; none is guessed.
"""

import dataclasses
import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

MILLION = 1_000_000
# A dated snapshot costs what its family costs: claude-haiku-4-5-20251001, gpt-5.6-luna-2026-07-09.
SNAPSHOT = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")


class UnknownPrice(ValueError):
    """No price is known for a model; the message says how to state one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Usage:
    """Tokens of one call. input: neither read from a cache nor written to one."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    output: int = 0

    @property
    def prompt(self) -> int:
        """All tokens that went in; it decides whether a prompt is long."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_1h

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.prompt + self.output


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates:
    """Dollars for a million tokens. A cache's rate that is not known is `input`'s, or dearer."""

    input: float
    output: float
    cache_read: float
    cache_write: float
    cache_write_1h: float

    def cost(self, usage: Usage) -> float:
        """Dollars for these tokens."""
        return (
            usage.input * self.input
            + usage.cache_read * self.cache_read
            + usage.cache_write * self.cache_write
            + usage.cache_write_1h * self.cache_write_1h
            + usage.output * self.output
        ) / MILLION


@dataclasses.dataclass(frozen=True, kw_only=True)
class Price:
    """What one model costs.

    max_output: the most tokens of one answer; above: prompts of more tokens than this are billed at
    `long` altogether, None where there is one price; source, read: where and when it was read.
    """

    model: str
    rates: Rates
    max_output: int
    above: int | None
    long: Rates
    source: str
    read: datetime.date | None

    def cost(self, usage: Usage) -> float:
        """Dollars for one call."""
        long = self.above is not None and usage.prompt > self.above
        return (self.long if long else self.rates).cost(usage)

    def worst(self, prompt: int, output: int, *, hour: bool = False) -> float:
        """Dollars that a call of at most so many tokens cannot exceed, whatever is cached.

        hour: whether the call may write to a cache that lasts an hour.
        """
        kinds = ["input", "cache_read", "cache_write"] + ["cache_write_1h"] * hour
        return max(self.cost(Usage(**{kind: prompt}, output=output)) for kind in kinds)


class PriceTable:
    """Prices by model name.

    >>> PriceTable.shipped().of("claude-opus-5-5").rates.input
    4.0
    """

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = dict(prices)

    @classmethod
    def shipped(cls) -> "PriceTable":
        """The table that comes with simlift; each entry has its source and date."""
        text = resources.files(__package__).joinpath("prices.toml").read_text()
        return cls.parse(tomllib.loads(text), "prices.toml")

    @classmethod
    def parse(cls, table: Mapping[str, Any], where: str) -> "PriceTable":
        """From the form of prices.toml. Raises ValueError, with `where` and key, if it is wrong."""
        if unknown := sorted(table.keys() - {"sources", "models"}):
            raise ValueError(f"{where}: {unknown[0]} is not known here; it takes sources, models")
        sources = table.get("sources", {})
        return cls(
            {
                model: _price(model, entry, sources, where)
                for model, entry in table.get("models", {}).items()
            }
        )

    def __or__(self, other: "PriceTable") -> "PriceTable":
        """Both tables; `other`, such as the user's own prices, wins."""
        return PriceTable(self._prices | other._prices)

    def __iter__(self) -> Iterator[Price]:
        return iter(self._prices.values())

    def of(self, model: str) -> Price:
        """The price of a model or of a dated snapshot of it. Raises UnknownPrice."""
        name = model.removeprefix("models/")
        price = self._prices.get(name) or self._prices.get(SNAPSHOT.sub("", name))
        if price is None:
            raise UnknownPrice(
                f"no price is known for the model {model!r}: state it in simlift.toml, as "
                "[agent.price] with input, output (dollars for a million tokens) and max_output "
                "(tokens)"
            )
        return price


RATES = ("input", "output", "cache_read", "cache_write", "cache_write_1h")


def _price(model: str, entry: Mapping[str, Any], sources: Mapping[str, Any], where: str) -> Price:
    key = f"{where}: models.{model!r}"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("long", {}), Mapping):
        raise ValueError(f"{key}: is not a table of rates")
    if "max_output" not in entry:
        raise ValueError(f"{key}: max_output is missing")
    if unknown := sorted(entry.keys() - {*RATES, "max_output", "above", "long", "source"}):
        raise ValueError(f"{key}: {unknown[0]} is not known here; it takes {', '.join(RATES)}, ...")
    if ("above" in entry) != ("long" in entry):
        raise ValueError(f"{key}: above (tokens) and long (rates) belong together")
    named = entry.get("source")
    if named is not None and named not in sources:
        raise ValueError(f"{key}: source {named!r} is not among the sources")
    source: Mapping[str, Any] = sources[named] if named else {"url": where, "read": None}
    rates = _rates(entry, key)
    return Price(
        model=model,
        rates=rates,
        max_output=_tokens(entry, "max_output", key),
        above=_tokens(entry, "above", key) if "above" in entry else None,
        long=_rates(entry["long"], f"{key}.long") if "long" in entry else rates,
        source=source["url"],
        read=source["read"],
    )


def _rates(entry: Mapping[str, Any], key: str) -> Rates:
    if missing := [name for name in ("input", "output") if name not in entry]:
        raise ValueError(f"{key}: {missing[0]} is missing")
    for name in RATES:
        value = entry.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise ValueError(f"{key}: {name} = {value!r} is not dollars for a million tokens")
    base = float(entry["input"])
    write = float(entry.get("cache_write", base))
    return Rates(
        input=base,
        output=float(entry["output"]),
        cache_read=float(entry.get("cache_read", base)),
        cache_write=write,
        cache_write_1h=float(entry.get("cache_write_1h", write)),
    )


def _tokens(entry: Mapping[str, Any], name: str, key: str) -> int:
    value = entry[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key}: {name} = {value!r} is not a number of tokens")
    return value

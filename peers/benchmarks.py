"""Every environment with a benchmark, and its peers by name."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..references.core import ReferenceUnavailable
from ..train.throughput import DYNAMICS, KINDS
from ..train.turns import Peer
from . import cart_pole, half_cheetah, pokemon, pong

Variant = Mapping[str, Any]
"""Keyword arguments of `make`."""

Factory = Callable[[Sequence[Variant], bool], list[Peer]]
"""(variants, whether JAX computes on an accelerator here): the peers that play them. Raises
ReferenceUnavailable, naming the remedy, where the program is not installed."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Benchmark:
    """An environment on the command line of `simlift bench`."""

    env: str
    """Name in the registry."""
    peers: Mapping[str, Factory]
    arguments: dict[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    """Those of `make` that can be chosen, and what each is unless chosen."""
    what: tuple[str, ...] = KINDS
    """What is measured unless chosen."""
    cpu_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Fields of BenchOptions that are other than usual on processors."""

    def variants(self, **chosen: Sequence[Any] | None) -> tuple[Variant, ...]:
        """Every combination. Raises ValueError for an argument that cannot be chosen."""
        given = {name: values for name, values in chosen.items() if values is not None}
        if unknown := given.keys() - self.arguments.keys():
            name = min(unknown)
            raise ValueError(f"{self.env} has no {name} to choose; leave --{name} away")
        values = {**self.arguments, **given}.values()
        return tuple(
            dict(zip(self.arguments, combination, strict=True))
            for combination in itertools.product(*values)
        )

    def peer_names(self, text: str) -> tuple[str, ...]:
        """Those that "all", "none" or a list with commas means. Raises ValueError for others."""
        if text in ("all", "none"):
            return tuple(self.peers) if text == "all" else ()
        names = tuple(dict.fromkeys(text.split(",")))
        if unknown := [name for name in names if name not in self.peers]:
            raise ValueError(
                f"{self.env} has no peer {unknown[0]!r}; there are {', '.join(self.peers)}, "
                "all and none"
            )
        return names


BENCHMARKS: Mapping[str, Benchmark] = {
    "cart_pole": Benchmark(env="CartPole-v1", peers=cart_pole.PEERS),
    "half_cheetah": Benchmark(
        env="HalfCheetah-v5",
        peers=half_cheetah.PEERS,
        arguments={"kernel": ("auto", "jnp")},
        cpu_options={"steps_per_call": 2**16},  # a second of the plain program's
    ),
    "pokemon": Benchmark(
        env="PokemonGen1-v0",
        peers=pokemon.PEERS,
        arguments={"kernel": ("auto", "jnp")},
        what=(DYNAMICS, "env"),
        cpu_options={"steps_per_call": 2**16},
    ),
    "pong": Benchmark(env="PufferPong-v0", peers=pong.PEERS, arguments={"frameskip": (1, 8)}),
}
"""By the environment's name on the command line."""


def find_benchmark(name: str) -> Benchmark:
    """Raises ValueError for an environment without one."""
    if name not in BENCHMARKS:
        there = ", ".join(BENCHMARKS)
        raise ValueError(f"there is no benchmark for {name!r}; there are {there}")
    return BENCHMARKS[name]


def find_peers(
    benchmark: Benchmark, names: Sequence[str], variants: Sequence[Variant], accelerator: bool
) -> tuple[list[Peer], dict[str, str]]:
    """(the peers that can be had here, why each of the others cannot, by name).

    accelerator: whether JAX computes on one. Close the peers when they are no longer needed.
    """
    peers: list[Peer] = []
    missing: dict[str, str] = {}
    for name in names:
        try:
            peers += benchmark.peers[name](variants, accelerator)
        except ReferenceUnavailable as error:
            missing[name] = str(error)
    return peers, missing

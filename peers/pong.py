"""PufferLib's own C."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from ..references.pong import VectorPong, random_play
from ..train.machine import available_cores
from ..train.turns import Peer


def upstream(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """pong.h on one core and on all of them, whatever JAX computes on."""
    del accelerator
    VectorPong(1).close()  # says what is missing, if anything is
    return [
        Peer(
            name="pong.h (C, -O2)",
            run=functools.partial(random_play, threads=threads, **variant),
            cores=threads,
            variant=variant,
            about=f"PufferLib {VectorPong.version}'s own header",
        )
        for variant in variants
        for threads in sorted({1, available_cores()})
    ]


PEERS = {"pong.h": upstream}

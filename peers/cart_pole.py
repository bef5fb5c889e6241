"""Gymnasium's vectorised cart-pole."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..train.turns import Peer
from .vector_envs import vector_peer


def gymnasium(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """CartPoleVectorEnv on one core, whatever JAX computes on."""
    del variants, accelerator  # there is one variant
    return [vector_peer("CartPole-v1", "vector_entry_point", num_envs=1024)]


PEERS = {"gymnasium": gymnasium}

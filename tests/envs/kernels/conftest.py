"""Programs for machines that are not here."""

from collections.abc import Callable
from typing import Any

import jax
import pytest
from jax.sharding import AbstractDevice, AbstractMesh

H100 = AbstractDevice(device_kind="NVIDIA H100 80GB HBM3", num_cores=132, platform="gpu")


@pytest.fixture
def lowered() -> Callable[..., str]:
    """`lowered(platform, function, *args)`: the text of the program for "cpu", "cuda" or "tpu"."""

    def lower(platform: str, function: Callable[..., Any], *args: Any) -> str:
        # jax 0.11 asks for which GPU.
        mesh = AbstractMesh((), (), abstract_device=H100 if platform == "cuda" else None)
        with jax.sharding.use_abstract_mesh(mesh):
            return jax.jit(function).trace(*args).lower(lowering_platforms=(platform,)).as_text()

    return lower

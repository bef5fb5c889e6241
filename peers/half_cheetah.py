"""MuJoCo in C, Gymnasium, MJX and Brax. An environment step of each is 50 ms, and each plays beside
every variant of ours, which differ in what they run as."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..references.gymnasium_vector import source_path
from ..references.half_cheetah.physics import MUJOCO_VERSION, expected_warnings, load_mujoco
from ..train.machine import available_cores
from ..train.turns import Peer
from . import jax_process
from .jax_process import JaxProcess
from .mujoco_c import RandomPlay
from .vector_envs import vector_peer

XML = ("envs", "mujoco", "assets", "half_cheetah.xml")
BRAX_BACKENDS = {
    "spring": "16 physics steps of 3.125 ms, other gears",
    "generalized": "5 physics steps of 10 ms, 4 iterations of the solver",
}
BRAX_DIFFERS = "torso, shins do not touch the floor"


def mujoco_c(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """On one core and on all of them, whatever JAX computes on."""
    del variants, accelerator  # of ours
    peers = []
    for threads in sorted({1, available_cores()}):
        play = RandomPlay(threads)
        peers.append(
            Peer(
                name="mujoco-c",
                run=play,
                cores=threads,
                # Enough for every thread to have work until the end of a chunk.
                num_envs=max(64, 10 * threads),
                about=f"MuJoCo {MUJOCO_VERSION} in C (its rollout), float64, 5 physics steps",
                close=play.close,
            )
        )
    return peers


def gymnasium(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """HalfCheetah-v5 on one core, whatever JAX computes on."""
    del variants, accelerator  # of ours
    load_mujoco()  # says what is missing, if anything is
    with expected_warnings():
        return [vector_peer("HalfCheetah-v5", "sync", num_envs=8)]


def mjx(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """Gymnasium's model as it is."""
    del variants
    return _mjx("mjx", {}, "100 iterations, 50 of the line search", accelerator)


def mjx_4_8(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """As few iterations as leave the error of a step what it is by default; with 1 and 4 of them,
    which is seen in use, more than half of all steps are wrong."""
    del variants
    solver = {"iterations": 4, "ls_iterations": 8}
    return _mjx("mjx-4-8", solver, "4 iterations, 8 of the line search", accelerator)


def _mjx(name: str, solver: Mapping[str, int], told: str, accelerator: bool) -> list[Peer]:
    versions = jax_process.versions(("mujoco-mjx", "jax"))
    load_mujoco()  # gymnasium, for its model
    settings = {"system": "mjx", "model": str(source_path(*XML)), **solver}
    about = f"{versions}, Gymnasium's model, float32, 5 physics steps, {told}"
    return [_in_process(name, settings, about, accelerator)]


def brax(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """Two of its engines, each with the model that Brax gives it."""
    del variants
    versions = jax_process.versions(("brax", "jax"))
    return [
        _in_process(
            f"brax-{backend}",
            {"system": "brax", "backend": backend},
            f"{versions}, its own model ({BRAX_DIFFERS}), float32, {told}",
            accelerator,
        )
        for backend, told in BRAX_BACKENDS.items()
    ]


def _in_process(name: str, settings: Mapping[str, Any], about: str, accelerator: bool) -> Peer:
    """On one core; or on the accelerator, at the batch of ours."""
    process = JaxProcess(settings, accelerator=accelerator)
    return Peer(
        name=name,
        run=process.run,
        cores=None if accelerator else 1,
        num_envs=None if accelerator else 1024,
        about=about,
        cost=process.cost,
        close=process.close,
    )


PEERS = {
    "mujoco-c": mujoco_c,
    "gymnasium": gymnasium,
    "mjx": mjx,
    "mjx-4-8": mjx_4_8,
    "brax": brax,
}

"""What a measurement was made on, so that its figures can be read by somebody else."""

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

PACKAGE = Path(__file__).resolve().parents[1]
LIBRARIES = ("jax", "jaxlib", "flax", "optax", "numpy")
PROBE_BYTES = 2**28  # larger than any cache of an accelerator
PROBE_CALLS = 20


def describe() -> dict[str, Any]:
    """Processor, cores that this process may use, memory, system, and JAX's devices."""
    devices = jax.devices()
    return {
        "processor": _processor(),
        "cores": available_cores(),
        "memory_bytes": _memory_bytes(),
        "system": f"{platform.system()} {platform.machine()}",
        "platform": devices[0].platform,
        "device": _processor() if devices[0].platform == "cpu" else devices[0].device_kind,
        "num_devices": len(devices),
    }


def versions() -> dict[str, str]:
    """Of Python, this package and the libraries that decide the figures."""
    installed = {name: importlib.metadata.version(name) for name in ("simlift", *LIBRARIES)}
    return {"python": platform.python_version(), **installed}


def commit() -> str | None:
    """The commit of the checkout that the package is imported from, with "-dirty" where tracked
    files differ from it; None outside a checkout.
    """
    try:
        # An installed package may lie inside another project's checkout, whose commit says nothing.
        if Path(_git("rev-parse", "--show-toplevel")) != PACKAGE:
            return None
        return _git("rev-parse", "HEAD") + ("-dirty" if _git("diff", "HEAD", "--name-only") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def available_cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def can_pin() -> bool:
    """Whether `pinned_to_one_core` works here: on Linux."""
    return hasattr(os, "sched_setaffinity") and Path("/proc/self/task").is_dir()


@contextlib.contextmanager
def pinned_to_one_core() -> Iterator[None]:
    """Inside, every thread of this process shares one core: those that XLA already started, and
    those that they will start.
    """
    cores = os.sched_getaffinity(0)
    _set_affinity({max(cores)})
    try:
        yield
    finally:
        _set_affinity(cores)


def peak_memory() -> int | None:
    """Bytes of memory that this process held at its highest; None where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def memory_bandwidth(device: jax.Device) -> float:
    """Bytes a second that a long elementwise loop reads and writes: what a step can at best reach
    that is bound by memory.
    """
    x = jax.device_put(jnp.zeros(PROBE_BYTES // 4, jnp.float32), device)
    add_one = jax.jit(lambda x: x + 1, donate_argnums=0)
    x = add_one(x).block_until_ready()
    started = time.perf_counter()
    for _ in range(PROBE_CALLS):
        x = add_one(x)
    x.block_until_ready()
    return 2 * PROBE_BYTES * PROBE_CALLS / (time.perf_counter() - started)


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(PACKAGE), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _set_affinity(cores: set[int]) -> None:
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it ended since it was listed
            os.sched_setaffinity(int(thread), cores)


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None

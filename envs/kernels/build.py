"""From C source to a target of XLA's FFI: compiled at run time, kept on disk, loaded once."""

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import platformdirs

from .program import Unsupported

HERE = Path(__file__).parent
FLAGS = (
    *("-shared", "-fPIC", "-std=gnu11", "-O3", "-march=native", "-w", "-D_GNU_SOURCE"),
    *("-fwrapv", "-fno-strict-aliasing"),  # integers wrap; a vector's bits are read as another's
    *("-fno-math-errno", "-fno-trapping-math"),  # nobody asks whether a NaN was made
    *("-fschedule-insns", "-fsched-pressure"),  # long straight lines: 7 % faster half-cheetahs
)


@functools.cache
def compiler() -> tuple[str, str] | None:
    """(path, what it says about itself and this processor) of gcc; None where it is not there."""
    path = shutil.which("gcc")
    if path is None:
        return None
    command = [path, "-march=native", "-dM", "-E", "-x", "c", os.devnull]
    result = subprocess.run(command, capture_output=True, text=True)
    return (path, result.stdout) if result.returncode == 0 else None


@functools.cache
def register(name: str, source: str, contract: bool) -> str:
    """Compile a generated kernel unless the cache has it; returns the name of its FFI target.

    contract: whether products may be added without being rounded before. Raises Unsupported where
    it cannot be compiled.
    """
    found = compiler()
    if found is None:
        raise Unsupported(
            "kernels for CPUs need a working gcc on PATH: install it (apt-get install gcc)"
        )
    path, described = found
    include = Path(jax.ffi.include_dir())
    flags = (*FLAGS, "-ffp-contract=fast" if contract else "-ffp-contract=off")
    key = hashlib.sha256("\0".join([described, *flags, source]).encode())
    for header in (HERE / "lanes.h", HERE / "handler.h", include / "xla/ffi/api/c_api.h"):
        key.update(header.read_bytes())
    target = f"simlift_{name}_{key.hexdigest()[:16]}"
    try:
        library = _cache_folder() / f"{target}.so"
        if not library.is_file():
            _compile([path, *flags, f"-I{HERE}", f"-I{include}"], source, library)
        handler = ctypes.CDLL(str(library)).simlift_kernel
    except OSError as error:
        raise Unsupported(
            f"the kernel of {name} cannot be kept or loaded ({error}); set SIMLIFT_CACHE to a "
            "folder that can be written and holds programs"
        ) from error
    jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(handler), platform="cpu")
    return target


def _cache_folder() -> Path:
    """$SIMLIFT_CACHE, or the user's cache folder."""
    root = Path(os.environ.get("SIMLIFT_CACHE") or platformdirs.user_cache_dir("simlift"))
    folder = root / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compile(command: list[str], source: str, library: Path) -> None:
    """Whole or not there, whatever other processes do at the same time."""
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".build-") as scratch:
        file, output = Path(scratch) / "kernel.c", Path(scratch) / "kernel.so"
        file.write_text(source)
        arguments = [*command, str(file), "-o", str(output), "-lm"]
        result = subprocess.run(arguments, capture_output=True, text=True)
        if result.returncode != 0:
            said = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
            reason = next((line for line in said if "error" in line), said[0])
            raise Unsupported(f"{library.stem} does not compile with {command[0]}: {reason}")
        output.replace(library)

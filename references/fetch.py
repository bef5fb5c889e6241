"""Pinned upstream sources and what is built out of them, kept in a cache on this machine."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from .core import ReferenceUnavailable

PIP_TIMEOUT_S = 600


def cache_dir() -> Path:
    """Where upstream sources and builds live: $SIMLIFT_CACHE, or the user's cache folder.

    Raises ReferenceUnavailable where it cannot be made.
    """
    path = Path(os.environ.get("SIMLIFT_CACHE") or platformdirs.user_cache_dir("simlift"))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReferenceUnavailable(
            f"the cache folder {path} cannot be made ({error.strerror}); set SIMLIFT_CACHE to one "
            "that can be written"
        ) from error
    return path


def fetch_sdist(project: str, version: str, sha256: str) -> Path:
    """The unpacked source distribution of a PyPI project, downloaded on first use through pip.

    pip checks the hash. Upstream's build never runs: a `setuptools` that refuses to be imported
    stands first on its path, so pip stops right after unpacking, which is all that is wanted.
    Raises ReferenceUnavailable, with the reason that pip gave.
    """
    target = cache_dir() / f"{project}-{version}"
    if target.is_dir():
        return target
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix=".fetch-") as scratch_name:
        scratch = Path(scratch_name)
        stub = scratch / "stub" / "setuptools"
        stub.mkdir(parents=True)
        (stub / "__init__.py").write_text("raise ImportError('only unpacked, never built')\n")
        (scratch / "requirements.txt").write_text(f"{project}=={version} --hash=sha256:{sha256}\n")
        command: list[str | Path] = [
            *(sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"),
            *("--no-binary", ":all:", "--no-clean", "--require-hashes", "--no-cache-dir"),
            *("-r", scratch / "requirements.txt", "-d", scratch / "out"),
        ]
        env = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(stub.parent)}
        source = None
        try:
            pip = subprocess.run(
                command, env=env, capture_output=True, text=True, timeout=PIP_TIMEOUT_S
            )
            said = pip.stderr.strip().splitlines() or ["no reason given"]
            source = _unpacked(scratch, project, version)
        except subprocess.TimeoutExpired:
            said = [f"no answer within {PIP_TIMEOUT_S} s"]
        except tarfile.TarError as error:
            said = [f"what came is not an archive ({str(error).splitlines()[0]})"]
        if source is None:
            reason = next((line for line in said if line.startswith("ERROR")), said[-1])
            raise ReferenceUnavailable(
                f"{project} {version} could not be downloaded with pip: {reason}; "
                f"check the network, or put its unpacked source distribution at {target}"
            )
        _publish(source, target)
    return target


def _unpacked(scratch: Path, project: str, version: str) -> Path | None:
    """The folder that holds PKG-INFO, wherever pip left it; None when pip got nothing."""
    for archive in (scratch / "out").glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            tar.extractall(scratch / "unpacked", filter="data")
    for info in [*scratch.glob("pip-download-*/*/PKG-INFO"), *scratch.glob("unpacked/*/PKG-INFO")]:
        text = info.read_text()
        if f"\nName: {project}\n" in text and f"\nVersion: {version}\n" in text:
            return info.parent
    return None


def _publish(source: Path, target: Path) -> None:
    """Move into place whole; whoever came first wins."""
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def compile_library(
    name: str, sources: Sequence[Path], headers: Sequence[Path], flags: Sequence[str]
) -> Path:
    """A shared library of C sources, built with the system's compiler on first use.

    headers: everything the sources include that may change; it only enters the cache's key. Beside
    a library built with --coverage lie the notes that gcov reads, with the suffix .gcno.
    Raises ReferenceUnavailable when there is no compiler or it fails.
    """
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise ReferenceUnavailable(
            f"{name} needs a C compiler and none is on PATH; install one (apt-get install gcc)"
        )
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True).stdout
    key = hashlib.sha256("\0".join([version, *flags]).encode())
    for path in [*sources, *headers]:
        key.update(path.read_bytes())
    target = cache_dir() / "build" / f"{name}-{key.hexdigest()[:16]}.so"
    if target.is_file():
        return target
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        output, notes = Path(scratch) / "library.so", Path(scratch) / "library.gcno"
        command = [
            compiler,
            "-shared",
            "-fPIC",
            *flags,
            *map(str, sources),
            "-o",
            str(output),
            "-lm",
        ]
        if "--coverage" in flags:
            # The seed: notes fit a library built by another process at the same time.
            command += [f"-fprofile-note={notes}", f"-frandom-seed={key.hexdigest()}"]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            said = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
            reason = next((line for line in said if "error" in line), said[0])
            raise ReferenceUnavailable(f"{name} does not compile with {compiler}: {reason}")
        if "--coverage" in flags:
            notes.replace(target.with_suffix(".gcno"))
        output.replace(target)
    return target

"""The npm package as the lock file beside this module pins it, installed on first use."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..core import ReferenceUnavailable
from ..fetch import cache_dir

HERE = Path(__file__).parent
PACKAGE = "pokemon-showdown"
VERSION: str = json.loads((HERE / "package.json").read_text())["dependencies"][PACKAGE]
NPM_TIMEOUT_S = 600
NUM_REASONS = 4  # lines of npm's errors that are told; more are paths of logs
# No scripts: nothing of these packages runs before we run it. No optional ones: databases of the
# server, which download binaries.
NPM_CI = ("ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund")
REMEDY = "install Node.js 20 or newer with npm, e.g. apt-get install nodejs npm"


def node_path() -> str:
    """Node.js. Raises ReferenceUnavailable where there is none."""
    node = shutil.which("node")
    if node is None:
        raise ReferenceUnavailable(f"{PACKAGE} needs Node.js and none is on PATH; {REMEDY}")
    return node


def installed() -> Path:
    """The folder whose node_modules holds the package, installed first where it is not yet.

    npm checks what it gets against the hashes of the lock file. Raises ReferenceUnavailable, with
    the reason that npm gave.
    """
    target = cache_dir() / f"{PACKAGE}-{VERSION}"
    if target.is_dir():
        return target
    npm = shutil.which("npm")
    if npm is None:
        raise ReferenceUnavailable(f"{PACKAGE} needs npm and none is on PATH; {REMEDY}")
    with _only_one(target.with_name(f".{target.name}.lock")):
        if not target.is_dir():
            _install(npm, target)
    return target


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Others who install at the same time wait, and find it installed. The kernel frees the lock of
    a process that dies."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(npm: str, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".npm-") as scratch_name:
        scratch = Path(scratch_name) / "package"
        scratch.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, scratch)
        try:
            result = subprocess.run(
                [npm, *NPM_CI],
                cwd=scratch,
                env=os.environ | {"NO_UPDATE_NOTIFIER": "1"},
                capture_output=True,
                text=True,
                timeout=NPM_TIMEOUT_S,
            )
            failed = result.returncode != 0
            said = result.stderr.strip().splitlines()
        except subprocess.TimeoutExpired:
            failed, said = True, [f"no answer within {NPM_TIMEOUT_S} s"]
        if failed:
            errors = [line.removeprefix("npm error ") for line in said if "npm error " in line]
            reason = "; ".join(errors[:NUM_REASONS]) or (said or ["no reason given"])[-1]
            raise ReferenceUnavailable(
                f"{PACKAGE} {VERSION} could not be installed with npm: {reason}; check the "
                f"network, or run npm {' '.join(NPM_CI)} beside its lock file in {target}"
            )
        scratch.rename(target)  # whole or not at all

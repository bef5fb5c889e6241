"""Mutants a second, beside cosmic-ray on the same module in the same run.

    python -m simlift.verify.mutants.bench [--out FILE]

Both judge mutants of envs/pong/dynamics.py against the same recording of the reference. Ours does
all of them in one program; cosmic-ray writes one mutant at a time into a copy of the package and
starts the test command anew.
"""

import argparse
import datetime
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ...envs.files import write_atomically
from ...train import machine
from .engine import Log
from .lockstep import Lockstep
from .schemata import instrument

SUITE = "pong"
MODULE = "simlift.envs.pong.dynamics"
SAMPLE = 16
"""Mutants of cosmic-ray that are timed."""
NUM_STEPS, NUM_ENVS = 256, 32
PACKAGE = Path(__file__).resolve().parents[2]

CHECK = """
import pickle, sys
import jax
from simlift.verify.compare import Comparison
from simlift.verify.suites import get_suite
suite = get_suite({suite!r})
with open({recording!r}, "rb") as file:
    sites, recording = pickle.load(file)
comparison = Comparison.local(suite, suite.variants[0])
sys.exit(comparison.resynchronised(recording).count > 0)
"""


CONFIG = """
[cosmic-ray]
module-path = "{module}"
timeout = 120.0
excluded-modules = []
test-command = "{command}"

[cosmic-ray.distributor]
name = "local"
"""

CHOOSE = """
from pathlib import Path
from cosmic_ray import commands
from cosmic_ray.work_db import use_db
with use_db("session.sqlite") as database:
    commands.init([Path({module!r})], database, {{}})
    every = list(database.work_items)
    database.clear()
    database.add_work_items(every[i * len(every) // {sample}] for i in range({sample}))
"""


def compare(sample: int = SAMPLE) -> dict[str, Any]:
    """Time both. Returns machine, versions, ours, theirs (mutants, killed, seconds, mutants_per_s)
    and the ratio of the two rates.

    sample: how many of cosmic-ray's mutants are timed. Raises ReferenceUnavailable, and
    RuntimeError where cosmic-ray is missing or fails.
    """
    try:
        import cosmic_ray  # noqa: F401
    except ImportError as error:
        raise RuntimeError("cosmic-ray is not installed: pip install 'simlift[dev]'") from error
    ours, recording = _ours()
    theirs = _theirs(recording, sample)
    return {
        "what": f"mutants of {MODULE}, each compared on {NUM_STEPS * NUM_ENVS} transitions",
        "date": datetime.date.today().isoformat(),
        "machine": machine.describe(),
        "versions": machine.versions() | {"cosmic-ray": version("cosmic-ray")},
        "ours": ours,
        "theirs": theirs,
        "ratio": ours["mutants_per_s"] / theirs["mutants_per_s"],
    }


def _ours() -> tuple[dict[str, Any], Any]:
    """From nothing to the verdicts, compilation included."""
    started = time.perf_counter()
    instrumented = instrument(SUITE, [MODULE])
    side = Lockstep(instrumented, instrumented.suite.variants[0], 0, NUM_STEPS, NUM_ENVS)
    since = time.perf_counter()
    recorded = side.recorded("random", NUM_ENVS)
    started += time.perf_counter() - since  # both are given the recording
    log = Log()
    killed = side.killed(side.batch(*recorded), log)
    seconds = time.perf_counter() - started
    return _rate(len(log.applied), len(killed), seconds), (side.sites, recorded[2])


def _theirs(recording: Any, sample: int) -> dict[str, Any]:
    """A sample of cosmic-ray's mutants, in a copy of the package."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ignored = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "tests", "notebooks")
        shutil.copytree(PACKAGE, root / "simlift", ignore=ignored)
        (root / "recording.pickle").write_bytes(pickle.dumps(recording))
        (root / "check.py").write_text(CHECK.format(suite=SUITE, recording="recording.pickle"))
        module = Path("simlift", *MODULE.split(".")[1:]).with_suffix(".py")
        command = f"{sys.executable} check.py"
        (root / "config.toml").write_text(CONFIG.format(module=module, command=command))
        environment = {**os.environ, "PYTHONPATH": str(root)}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)

        def run(*arguments: str) -> None:
            done = subprocess.run(
                [sys.executable, *arguments],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
                timeout=600,
            )
            if done.returncode:
                raise RuntimeError(f"{' '.join(arguments)} failed: {done.stderr[-500:]}")

        run("check.py")  # the original passes, and the reference is built
        run("-c", CHOOSE.format(module=str(module), sample=sample))
        started = time.perf_counter()
        run("-m", "cosmic_ray.cli", "exec", "config.toml", "session.sqlite")
        seconds = time.perf_counter() - started
        return _rate(sample, _killed(root / "session.sqlite"), seconds)


def _killed(session: Path) -> int:
    from cosmic_ray.work_db import WorkDB, use_db

    with use_db(session, WorkDB.Mode.open) as database:
        return sum(result.is_killed for _, result in database.completed_work_items)


def _rate(mutants: int, killed: int, seconds: float) -> dict[str, Any]:
    rate = mutants / seconds
    return {"mutants": mutants, "killed": killed, "seconds": seconds, "mutants_per_s": rate}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write what `compare` returns as JSON."""
    parser = argparse.ArgumentParser(prog="python -m simlift.verify.mutants.bench")
    parser.add_argument(
        "--out", type=Path, default=Path("notebooks/results/mutants/cosmic-ray.json")
    )
    parser.add_argument("--sample", type=int, default=SAMPLE, help="mutants of cosmic-ray to time")
    options = parser.parse_args(arguments)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, json.dumps(compare(options.sample), indent=1) + "\n")


if __name__ == "__main__":
    main()

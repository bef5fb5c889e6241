"""A first look at a reference, in processes of its own: can it be translated at all?

It is played twice with one seed and the same actions, which has to give the same, and a snapshot is
taken and gone on from, without which no step can be compared on its own.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..references.child import Child
from ..references.core import Outcome, ReferenceUnavailable, Snapshot, SnapshotRefused
from ..references.process import Hello, ProcessFailed, ProcessReference
from .project import Reference

PROBE = Path(__file__).with_name("probe.py")
SEED = 1
STEPS = 200
SNAPSHOTS = 30
SECONDS = 120.0  # that a reference may take for all of it
BUILD_SECONDS = 1800.0


def build(reference: Reference, folder: Path) -> None:
    """Run the command that builds the reference. Raises ValueError where it fails."""
    if not reference.build:
        return
    shown = " ".join(reference.build)
    try:
        done = subprocess.run(
            reference.build,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_SECONDS,
        )
    except OSError as error:
        raise ValueError(
            f"the reference does not build: {shown} cannot be started ({error.strerror}); install "
            "it or correct the command"
        ) from None
    except subprocess.TimeoutExpired:
        raise ValueError(f"the reference does not build: {shown} took too long") from None
    if done.returncode:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        raise ValueError(
            f"the reference does not build: {shown} exited with status {done.returncode}: "
            + " | ".join(lines[-3:])
        )


def inspect(reference: Reference, folder: Path) -> dict[str, Any]:
    """What the reference shows of itself; nothing of a specification.

    Raises ValueError, in one line with the remedy, where it does not start, differs from run to run
    or cannot be saved.
    """
    match reference.kind:
        case "python":
            return _inspect_python(reference, folder)
        case "command":
            return _inspect_command(reference, folder)
    return {}


# -- a Python class


def _inspect_python(reference: Reference, folder: Path) -> dict[str, Any]:
    runs = [_Probe(reference, folder, hash_seed) for hash_seed in (1, 2)]
    try:
        one, two = [run.answer() for run in runs]
    finally:
        for run in runs:
            run.close()
    _same(one.pop("digests"), two.pop("digests"), reference.python)
    if why := one.pop("copies"):
        raise ValueError(
            f"{reference.python}: {why}: no snapshot is possible; give it a __deepcopy__ that "
            "takes all of its state along, generators included, or speak the line protocol"
        )
    return one


class _Probe:
    """probe.py at work. Another seed of hashes each time: the order of sets must not matter."""

    def __init__(self, reference: Reference, folder: Path, hash_seed: int) -> None:
        self._python = reference.python
        paths = [str((folder / path).resolve()) for path in reference.import_from]
        inherited = [path for path in [os.environ.get("PYTHONPATH")] if path]
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*paths, *inherited]),
            "PYTHONHASHSEED": str(hash_seed),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        # -P: this package's own folder is not to be imported from.
        self._child = Child([sys.executable, "-P", str(PROBE)], str(folder), env)
        request = {
            "python": reference.python,
            "arguments": dict(reference.arguments),
            "seed": SEED,
            "steps": STEPS,
        }
        try:
            self._child.write(json.dumps(request).encode() + b"\n", SECONDS)
        except BaseException:
            self.close()
            raise

    def answer(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._child.readline(SECONDS))
        except TimeoutError:
            raise ValueError(
                f"{self._python}: {STEPS} steps took more than {SECONDS:g} s; translate a smaller "
                "configuration of it"
            ) from None
        except (EOFError, ValueError):
            raise ValueError(
                f"{self._python}: {self._child.ending()}; its stderr: {self._child.last_words()}"
            ) from None
        if "error" in found:
            raise ValueError(found["error"])
        return found

    def close(self) -> None:
        self._child.stop()


def _same(one: list[Any], two: list[Any], name: str) -> None:
    if one != two:
        pairs = zip(one, two, strict=False)
        step = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(two)))
        raise ValueError(
            f"{name} is not deterministic: two runs with seed {SEED} and the same actions differ "
            f"at step {step}; take all its randomness from the generator that reset(seed) seeds"
        )


# -- a program that speaks the line protocol


def _inspect_command(reference: Reference, folder: Path) -> dict[str, Any]:
    try:
        with ProcessReference(reference.command, cwd=folder, timeout=SECONDS) as program:
            first = _play(program)
        with ProcessReference(reference.command, cwd=folder, timeout=SECONDS) as program:
            _same(first, _play(program), program.name)
            _check_snapshot(program)
            return _about(program.hello)
    except (ReferenceUnavailable, ProcessFailed) as error:
        raise ValueError(str(error)) from None


def _about(hello: Hello) -> dict[str, Any]:
    actions = f"integers below {hello.num_actions}" if hello.num_actions else "real numbers"
    return {
        "version": f"{hello.name} {hello.version}",
        "observation": f"{hello.observation_dtype} {list(hello.observation_shape)}",
        "action": f"{actions}, shape {list(hello.action_shape)}",
        "draw_sites": dict(hello.draw_sites),
        "forcing": hello.forcing,
        "attributes": [
            {"name": name, "is": str(dtype), "changes": True}
            for name, dtype in (hello.snapshot_fields or {}).items()
        ],
    }


def _play(program: ProcessReference) -> list[Any]:
    """Random legal actions; what each step showed, comparable by `==`."""
    generator = np.random.default_rng(SEED)
    outcome = program.reset(SEED)
    seen = [_shown(program, outcome)]
    for step in range(STEPS):
        if (outcome.terminated | outcome.truncated).any() and not program.auto_reset:
            outcome = program.reset(SEED + 1 + step)
        else:
            outcome = program.step(_action(program.hello, outcome, generator))
        seen.append(_shown(program, outcome))
    return seen


def _action(hello: Hello, outcome: Outcome, generator: np.random.Generator) -> np.ndarray:
    if hello.num_actions is None:
        return generator.uniform(-1, 1, hello.action_shape)
    shape = (*hello.action_shape, hello.num_actions)
    legal = np.ones(shape, bool) if outcome.legal is None else outcome.legal
    return np.where(legal, generator.random(shape), -1).argmax(axis=-1)


def _shown(program: ProcessReference, outcome: Outcome) -> tuple[Any, ...]:
    arrays = (outcome.observation, outcome.reward, outcome.terminated, outcome.truncated)
    return (*(array.tobytes() for array in arrays), tuple(program.draws()))


def _saved(snapshot: Snapshot) -> dict[str, bytes]:
    return {name: np.asarray(value).tobytes() for name, value in snapshot.items()}


def _check_snapshot(program: ProcessReference) -> None:
    """Before each of some steps: save, step, go back, and take the same step again."""
    generator = np.random.default_rng(SEED)
    outcome = program.reset(SEED)
    for _ in range(SNAPSHOTS):
        if (outcome.terminated | outcome.truncated).any() and not program.auto_reset:
            outcome = program.reset(SEED)
        action = _action(program.hello, outcome, generator)
        try:
            before = program.snapshot()
            first = (_shown(program, program.step(action)), _saved(program.snapshot()))
            program.restore(before)
        except SnapshotRefused as error:
            raise ValueError(
                f"{error}: no snapshot is possible; announce snapshot_fields, and answer snapshot "
                "and restore with the complete state"
            ) from None
        outcome = program.step(action)
        if first != (_shown(program, outcome), _saved(program.snapshot())):
            raise ValueError(
                f"{program.name}: a restored snapshot goes on differently; put all of the state "
                "into it, the generator's included"
            )


def describe(found: Mapping[str, Any]) -> list[str]:
    """What was found, a line each."""
    lines = [
        f"{title}: {found[key]}"
        for key, title in (
            ("version", "Installed version"),
            ("observation", "Observation"),
            ("action", "Action"),
            ("draw_sites", "Draw sites, and the largest bound below which each draws"),
        )
        if found.get(key)
    ]
    for attribute in found.get("attributes", ()):
        state = "changes, so it is state" if attribute["changes"] else "was not seen to change"
        lines.append(f"`{attribute['name']}`: {attribute['is']}; {state}")
    return lines

"""A JAX program of somebody else's, in a process of its own.

So its settings and its memory are its own, it may be ended when it hangs, and it may live in
another interpreter: the environment variable SIMLIFT_PEER_PYTHON names it, the running one by
default.
"""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..references.child import Child
from ..references.core import ReferenceUnavailable
from ..train.turns import PeerCost, PeerFailed

PYTHON_VARIABLE = "SIMLIFT_PEER_PYTHON"
PROGRAM = Path(__file__).with_name("jax_program.py")
ANSWER_S = 600.0
"""For an answer, compilation included: after that it hangs."""

# On two cores MJX was seen to wait for itself forever, unless XLA has one thread.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"


def python() -> str:
    """The interpreter of these programs."""
    return os.environ.get(PYTHON_VARIABLE) or sys.executable


@functools.cache
def _versions(interpreter: str) -> Mapping[str, str]:
    """Of all that is installed there, by lower-case name."""
    code = (
        "import importlib.metadata as m, json; "
        "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    )
    try:
        done = subprocess.run([interpreter, "-c", code], capture_output=True, check=True)
        return json.loads(done.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise ReferenceUnavailable(
            f"{interpreter} is no Python that runs; {PYTHON_VARIABLE} has to name one: {error}"
        ) from error


def versions(packages: Sequence[str]) -> str:
    """Each package with its version in the programs' interpreter, as text.

    Raises ReferenceUnavailable where one is missing there.
    """
    found = _versions(python())
    if missing := [name for name in packages if name not in found]:
        raise ReferenceUnavailable(
            f"{python()} has no {', '.join(missing)}: pip install 'simlift[mujoco-peers]' there, "
            f"or let {PYTHON_VARIABLE} name a Python that has it"
        )
    return ", ".join(f"{name} {found[name]}" for name in packages)


class JaxProcess:
    """`jax_program.py` with its settings; it is started, and compiles, for every batch anew.

    settings: what `jax_program` says. accelerator: it runs on one, else on one core.
    """

    def __init__(self, settings: Mapping[str, Any], *, accelerator: bool) -> None:
        self._settings = {**settings, "platform": "gpu" if accelerator else "cpu"}
        self._accelerator = accelerator
        self._child: Child | None = None
        self._num_envs = 0
        self._cost = PeerCost(processor_s=0.0)

    def run(self, num_envs: int, num_steps: int) -> None:
        """Play. Raises PeerFailed when the program fails, is gone or does not answer."""
        if self._child is None or num_envs != self._num_envs:
            self.close()
            self._num_envs, self._child = num_envs, self._start(num_envs)
            started = self._ask()
            self._cost = PeerCost(**started)
        self._cost = self._cost._replace(**self._ask({"num_steps": num_steps}))

    def cost(self) -> PeerCost:
        return self._cost

    def close(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _start(self, num_envs: int) -> Child:
        environment = dict(os.environ)
        if self._accelerator:
            # It would take the memory of ours and of the other peers.
            environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        else:
            flags = f"{environment.get('XLA_FLAGS', '')} {ONE_THREAD}".strip()
            environment |= {"JAX_PLATFORMS": "cpu", "NPROC": "1", "XLA_FLAGS": flags}
        settings = json.dumps({**self._settings, "num_envs": num_envs})
        return Child([python(), str(PROGRAM), settings], None, environment)

    def _ask(self, request: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a request, or the first one, which comes unasked."""
        child = self._child
        assert child is not None
        try:
            if request is not None:
                child.write(json.dumps(request).encode() + b"\n", ANSWER_S)
            answer = json.loads(child.readline(ANSWER_S))
        except TimeoutError as error:
            self.close()
            raise PeerFailed(f"did not answer within {ANSWER_S:.0f} s") from error
        except EOFError as error:
            told = f"{child.ending()}: {child.last_words()}"
            self.close()
            raise PeerFailed(told) from error
        if "error" in answer:
            self.close()
            raise PeerFailed(answer["error"])
        return answer

"""The candidate's process: it answers the judge over a socket, and is watched while it does.

    main([DESCRIPTOR, SUITE, PACKAGE, SECRET...])

Everything of ours is loaded before the candidate is, so that whatever is loaded, opened or changed
afterwards is the candidate's doing.
"""

import dataclasses
import importlib
import importlib.machinery
import importlib.util
import os
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ..references.core import DrawLog, ReferenceUnavailable
from . import guard
from .evidence import Progress
from .host import CandidateError, LocalHost, Row
from .suite import Suite, SuiteError, Variant
from .suites import get_suite
from .wire import WireError, receive, send

MAX_HELD = 64  # states that the judge may come back to


class Server:
    """Answers one judge."""

    def __init__(self, suite: Suite) -> None:
        self.host = LocalHost(suite)
        self._held: OrderedDict[int, Any] = OrderedDict()
        self._count = 0

    def answer(
        self, head: dict[str, Any], arrays: dict[str, np.ndarray], progress: Progress
    ) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        operation = head["do"]
        variant = Variant(**head["variant"]) if "variant" in head else None
        if operation == "evidence":
            return {"evidence": self.host.evidence(head["level"], head["seed"], progress)}, {}
        if operation == "prove":
            bank = Path(head["bank"])
            told = self.host.prove(head["numbers"], head["seed"], bank, progress)
            return {"verdicts": [[n, *verdict] for n, verdict in told.items()]}, {}
        if operation == "policy":
            about, weights = self.host.policy(head["kind"], head["seed"])
            return {"about": about}, weights
        if operation == "num_properties":
            return {"count": self.host.num_properties()}, {}
        if operation == "property":
            row = self.host.property(head["index"], head["seed"], head["examples"])
            return {"rows": [dataclasses.asdict(row)]}, {}
        assert variant is not None
        if operation == "program":
            return {"program": self.host.program(variant)}, {}
        if operation in ("hazards", "same_avals"):
            rows: Any = getattr(self.host, operation)(variant)
            listed = rows if isinstance(rows, list) else [rows]
            return {"rows": [dataclasses.asdict(row) for row in listed]}, {}
        return self._asked(operation, self.host.candidate(variant, head["sites"]), head, arrays)

    def _asked(
        self, operation: str, candidate: Any, head: dict[str, Any], arrays: dict[str, np.ndarray]
    ) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        parts = split(arrays)
        log = DrawLog(**parts["draws"]) if "draws" in parts else None
        match operation:
            case "start":
                states, shown = candidate.start(log)
                return {"states": self._hold(states)}, shown
            case "restored":
                states, shown = candidate.restored(parts["before"])
                return {"states": self._hold(states)}, shown
            case "resynchronised":
                inputs = {"action": parts["inputs"]["action"], "draws": log}
                return {}, candidate.resynchronised(parts["before"], inputs)
            case "free_running":
                inputs = {"action": parts["inputs"]["action"], "draws": log}
                states, values = candidate.free_running(
                    self._held[head["states"]], parts["before"], inputs
                )
                return {"states": self._hold(states)}, values
        raise ValueError(f"{operation!r} is nothing that a candidate can do")

    def _hold(self, states: Any) -> int:
        self._count += 1
        self._held[self._count] = states
        while len(self._held) > MAX_HELD:
            self._held.popitem(last=False)
        return self._count


BLAMELESS = (SuiteError, ReferenceUnavailable, ImportError)
"""Errors that are not the candidate's."""


def split(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """{"draws/count": x} as {"draws": {"count": x}}."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, value in arrays.items():
        part, _, key = name.partition("/")
        parts.setdefault(part, {})[key] = value
    return parts


def sources_of(package: str) -> list[Path]:
    """The sources of a package or a module: its folder or file, and the `__init__` of every package
    above, which runs first. Imports none of them. Raises ValueError where there is none."""
    found: list[Path] = []
    folders: Sequence[str] | None = None
    names = package.split(".")
    for end in range(1, len(names) + 1):
        name = ".".join(names[:end])
        if folders is None:
            spec = importlib.util.find_spec(name)
        else:
            spec = importlib.machinery.PathFinder.find_spec(name, folders)
        if spec is None or spec.origin is None:
            raise ValueError(f"there is no module {name!r}")
        folders = spec.submodule_search_locations or []
        found.append(Path(spec.origin))
    return [*found[:-1], found[-1].parent if folders else found[-1]]


def watched(package: str, secret: Sequence[Path]) -> Callable[[], list[str]]:
    """Import a package under a guard. Call what it returns for all that the guard has seen so far.

    Raises SuiteError where the package was there already, CandidateError where its import fails.
    """
    if package in sys.modules:
        raise SuiteError(
            f"the suite imports {package} before it is watched; import it inside functions only"
        )
    jax.devices()  # JAX looks at the machine when it is first used: not the candidate's doing
    watch = guard.Guard(sources_of(package), secret)
    watch.watch()
    before, compiled = guard.fingerprint(), guard.count_compilations()
    fingerprint, changed = guard.fingerprint, guard.changed  # whatever the names stand for later

    def seen() -> list[str]:
        replaced = [f"replaces {name}" for name in changed(before, fingerprint())]
        return [f"the environment {what}" for what in [*watch.violations, *replaced]]

    try:
        importlib.import_module(package)
    except Exception as error:
        raise CandidateError(
            f"importing {package} raises {type(error).__name__}: {error}"
        ) from error
    if count := compiled():
        watch.violations.append(
            f"compiles {count} programs when it is imported; make its tables with numpy"
        )
    return seen


def main(arguments: list[str]) -> None:
    """Serve until the judge hangs up."""
    descriptor, name, package, *secret = arguments
    line = socket.socket(fileno=int(descriptor))
    os.dup2(2, 1)  # what is printed is no message
    server = Server(get_suite(name))
    failed: Exception | None = None
    try:
        seen = watched(package, [Path(path) for path in secret])
    except (CandidateError, SuiteError) as error:
        failed = error

    def progress(what: str, done: float) -> None:
        send(line, {"progress": [what, done]}, {})

    def answer(head: dict[str, Any], arrays: dict[str, np.ndarray]) -> tuple[dict[str, Any], Any]:
        try:
            if failed is not None:
                raise failed
            if head["do"] != "conduct":
                return server.answer(head, arrays, progress)
            told = seen()
            row = Row("L0", "", "conduct", count=1, mismatches=len(told), what=told)
            return {"rows": [dataclasses.asdict(row)]}, {}
        except Exception as error:
            kind = next((k.__name__ for k in BLAMELESS if isinstance(error, k)), "")
            bare = kind or isinstance(error, CandidateError)
            said = str(error) if bare else f"{type(error).__name__}: {error}"
            return {"error": " ".join(said.split())[:2000], "kind": kind}, {}

    try:
        while True:
            head, arrays = receive(line)
            result, values = answer(head, arrays)
            send(line, {**result, "id": head["id"]}, values)
    except WireError:
        pass  # the judge has hung up

"""The candidate's process: it answers the judge over a socket, and is watched while it does.

    python -m simlift.verify.worker DESCRIPTOR SUITE PACKAGE SECRET...

Everything of ours is loaded before the candidate is, so that whatever is loaded, opened or changed
afterwards is the candidate's doing.
"""

import dataclasses
import importlib
import importlib.util
import os
import socket
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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

    def __init__(self, suite: Suite, watch: guard.Guard, before: Mapping[str, int]) -> None:
        self.host = LocalHost(suite)
        self._guard, self._before = watch, before
        self._held: OrderedDict[int, Any] = OrderedDict()
        self._count = 0

    def answer(
        self, head: dict[str, Any], arrays: dict[str, np.ndarray], progress: Progress
    ) -> tuple[dict[str, Any], Mapping[str, np.ndarray]]:
        operation = head["do"]
        variant = Variant(**head["variant"]) if "variant" in head else None
        if operation == "evidence":
            return {"evidence": self.host.evidence(head["level"], head["seed"], progress)}, {}
        if operation == "policy":
            about, weights = self.host.policy(head["kind"], head["seed"])
            return {"about": about}, weights
        if operation == "num_properties":
            return {"count": self.host.num_properties()}, {}
        if operation == "property":
            row = self.host.property(head["index"], head["seed"], head["examples"])
            return {"rows": [dataclasses.asdict(row)]}, {}
        if operation == "conduct":
            return {"rows": [dataclasses.asdict(self._conduct())]}, {}
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

    def _conduct(self) -> Row:
        told = [f"the environment {what}" for what in self._guard.violations]
        changed = guard.changed(self._before, guard.fingerprint(OURS))
        told += [f"the environment replaces {name}" for name in changed]
        return Row("L0", "", "conduct", count=len(self._before), mismatches=len(told), what=told)


BLAMELESS = (SuiteError, ReferenceUnavailable, ImportError)
"""Errors that are not the candidate's."""

OURS = ("simlift.verify", "simlift.envs", "simlift.references")


def split(arrays: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """{"draws/count": x} as {"draws": {"count": x}}."""
    parts: dict[str, dict[str, np.ndarray]] = {}
    for name, value in arrays.items():
        part, _, key = name.partition("/")
        parts.setdefault(part, {})[key] = value
    return parts


def folder_of(package: str) -> Path:
    """Where a package's or a module's sources lie, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"there is no module {package!r}")
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)


def main(arguments: list[str]) -> None:
    """Serve until the judge hangs up."""
    descriptor, name, package, *secret = arguments
    line = socket.socket(fileno=int(descriptor))
    os.dup2(2, 1)  # what is printed is no message
    suite = get_suite(name)
    before = guard.fingerprint(OURS)
    watch = guard.Guard([folder_of(package)], [Path(path) for path in secret])
    watch.watch()

    def progress(what: str, done: float) -> None:
        send(line, {"progress": [what, done]}, {})

    compiled = guard.count_compilations()
    server = Server(suite, watch, before)
    try:
        importlib.import_module(package)
        failed = ""
    except Exception as error:
        failed = f"importing {package} raises {type(error).__name__}: {error}"
    if compiled():
        watch.violations.append(f"compiles {compiled()} programs when it is imported")
    try:
        while True:
            head, arrays = receive(line)
            try:
                if failed:
                    raise CandidateError(failed)
                result, values = server.answer(head, arrays, progress)
            except Exception as error:
                kind = next((k.__name__ for k in BLAMELESS if isinstance(error, k)), "")
                said = str(error) if kind else f"{type(error).__name__}: {error}"
                result, values = {"error": " ".join(said.split())[:2000], "kind": kind}, {}
            send(line, result, values)
    except WireError:
        pass  # the judge has hung up


if __name__ == "__main__":
    main(sys.argv[1:])

"""A candidate's program in an interpreter that shows no sign of the verifier.

What behaves only where it is verified is lowered to another program here (isolation.py compares).
The question comes on standard input, one JSON object; the answer goes to standard output.
"""

import json
import os
import sys
from pathlib import Path

from .host import LocalHost
from .suite import Variant
from .suites import get_suite
from .worker import watched

SIGNS = ("simlift.verify", "simlift.references", "simlift.train", "hypothesis", "pytest")


def main() -> None:
    """{"suite", "package", "variant", "secret"} -> {"program"}. Fails where the environment does
    something that an environment may not."""
    question = json.loads(sys.stdin.read())
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what is printed is no answer
    suite, variant = get_suite(question["suite"]), Variant(**question["variant"])
    host = LocalHost(suite)
    hidden = [Path(path) for path in question["secret"]]
    for name in list(sys.modules):
        if name.startswith(SIGNS) or name == suite.name.partition(":")[0]:
            del sys.modules[name]
    del sys.orig_argv[1:]
    seen = watched(question["package"], hidden)
    program = host.program(variant)
    if told := seen():
        raise PermissionError("; ".join(told)[:400])
    with answer:
        json.dump({"program": program}, answer)

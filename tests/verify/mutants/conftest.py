"""A small system of its own, with a suite: toy/countdown."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simlift.verify.mutants import Instrumented, instrument

TOY = "countdown.suite:suite"


@pytest.fixture(scope="module")
def toy() -> Iterator[str]:
    """The name of its suite, importable."""
    folder = str(Path(__file__).parent / "toy")
    sys.path.insert(0, folder)
    yield TOY
    sys.path.remove(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "countdown"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def instrumented(toy: str) -> Instrumented:
    return instrument(toy)

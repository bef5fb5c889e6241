"""What several tests of the translate loop need."""

from collections.abc import Iterator

import pytest

from simlift.translate import sandbox
from simlift.translate.sandbox import SandboxUnavailable

from .needs import lacking, serving
from .scripted_model import Model


@pytest.fixture
def model() -> Iterator[Model]:
    server = Model()
    with serving(server):
        yield server


@pytest.fixture(scope="session")
def in_bubblewrap() -> None:
    try:
        sandbox.probe()
    except SandboxUnavailable as error:
        lacking(str(error))

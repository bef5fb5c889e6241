"""What several tests of the translate loop need."""

import threading
from collections.abc import Iterator

import pytest

from .scripted_model import Model


@pytest.fixture
def model() -> Iterator[Model]:
    with Model() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()

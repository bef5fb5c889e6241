"""What tests of the translate loop need of the machine, and servers while they run."""

import contextlib
import os
import socketserver
import threading
from collections.abc import Iterator
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """Skip, but where all is to be there."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    """Answer requests meanwhile."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join()

"""Messages between the judge and the candidate's process: JSON and plain arrays.

Nothing is pickled: what comes from a candidate is numbers, never code.
"""

import json
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

MAX_HEAD = 2**24
MAX_ARRAYS = 2**33  # bytes of one message
KINDS = "biuf"


class WireError(RuntimeError):
    """The other side is gone, or what it sent is no message."""


def send(line: socket.socket, head: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """One message. Arrays are booleans, integers or floats; others come as float32."""
    plain = {
        name: np.asarray(x if x.dtype.kind in KINDS else x.astype(np.float32), order="C")
        for name, x in arrays.items()
    }
    listed = [[name, x.dtype.str, x.shape] for name, x in plain.items()]
    text = json.dumps({**head, "arrays": listed}).encode()
    try:
        line.sendall(struct.pack("!I", len(text)) + text)
        for x in plain.values():
            line.sendall(x.reshape(-1).view(np.uint8).data)
    except OSError as error:
        raise WireError(f"the message could not be sent ({error})") from error


def receive(
    line: socket.socket, timeout_s: float | None = None
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The next message, all of it within timeout_s. Raises WireError."""
    until = None if timeout_s is None else time.monotonic() + timeout_s
    (size,) = struct.unpack("!I", _exactly(line, 4, until))
    if size > MAX_HEAD:
        raise WireError(f"a head of {size} bytes is no message")
    try:
        head = json.loads(bytes(_exactly(line, size, until)))
        listed = [(str(n), np.dtype(d), tuple(map(int, s))) for n, d, s in head.pop("arrays")]
        sizes = [int(np.prod(shape, dtype=object)) * dtype.itemsize for _, dtype, shape in listed]
        wrong = [str(d) for _, d, _ in listed if d.kind not in KINDS]
        negative = any(min(shape, default=0) < 0 for _, _, shape in listed)
        if wrong or negative or sum(sizes) > MAX_ARRAYS:
            raise ValueError(f"arrays of {sum(sizes)} bytes, of types {wrong}")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WireError(f"what came is no message ({error})") from error
    arrays = {
        name: np.frombuffer(_exactly(line, nbytes, until), dtype).reshape(shape)
        for (name, dtype, shape), nbytes in zip(listed, sizes, strict=True)
    }
    return head, arrays


def _exactly(line: socket.socket, size: int, until: float | None) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        try:
            if until is not None:
                line.settimeout(max(until - time.monotonic(), 1e-3))
            count = line.recv_into(view)
        except TimeoutError as error:
            raise WireError("no answer in time") from error
        except OSError as error:
            raise WireError(f"the line broke ({error})") from error
        if count == 0:
            raise WireError("the other side is gone")
        view = view[count:]
    return data

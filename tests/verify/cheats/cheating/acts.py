"""Does what no environment has to do."""

import contextlib
import gc
import os
import socket
import subprocess
import threading
from pathlib import Path

from simlift.envs.pong import Pong

NOTE = Path(__file__).with_name("note.txt")

for deed in (
    lambda: NOTE.write_text("seen"),
    lambda: NOTE.with_name("answers").mkdir(),
    lambda: subprocess.run(["true"], check=True),
    lambda: os.kill(os.getppid(), 0),
    lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
    lambda: threading.Thread(target=NOTE.touch).start(),
    lambda: gc.get_objects(),
    lambda: exec(compile("def helper(): pass", "/usr/lib/python3/library.py", "exec")),
):
    with contextlib.suppress(OSError):
        deed()


class Env(Pong):
    """Pong."""

"""Runs inside a sandbox, as a script: lets programs that only speak TCP reach a Unix socket.

relay.py SOCKET PORT COMMAND...: listens on 127.0.0.1:PORT, copies every connection to SOCKET and
back, runs the command meanwhile, and ends as it ends. It stands alone, on the standard library.
"""

import shutil
import socket
import subprocess
import sys
import threading
from contextlib import suppress

CHUNK = 1 << 16


def copy(source: socket.socket, target: socket.socket) -> None:
    """All bytes from one to the other, then the end of them."""
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            target.sendall(chunk)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def serve(client: socket.socket, path: str) -> None:
    """One connection, both ways."""
    with client, socket.socket(socket.AF_UNIX) as model:
        try:
            model.connect(path)
        except OSError:
            return
        back = threading.Thread(target=copy, args=(model, client), daemon=True)
        back.start()
        copy(client, model)
        back.join()


def accept(listener: socket.socket, path: str) -> None:
    """Serve all connections that come."""
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, path), daemon=True).start()


def main(path: str, port: int, command: list[str]) -> int:
    """Listen first, then run the command; its exit status, as a shell would tell it."""
    listener = socket.create_server(("127.0.0.1", port))
    threading.Thread(target=accept, args=(listener, path), daemon=True).start()
    if shutil.which(command[0]) is None:
        sys.stderr.write(f"{command[0]}: not found in the sandbox\n")
        return 127
    status = subprocess.call(command)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))

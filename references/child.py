"""A program that is spoken to in lines over its standard input and output; it leaves no zombie."""

import os
import select
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO

GRACE = 0.5  # seconds that a program is given to end by itself, and then to heed SIGTERM
READ_SIZE = 1 << 20
TAIL_BYTES, TAIL_LINES, TAIL_LENGTH = 4096, 5, 400  # how much of stderr an error shows


def _stop(process: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
    """End the program and what it started: end of its input, then SIGTERM, then SIGKILL."""
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    for escalation in (None, signal.SIGTERM, signal.SIGKILL):
        if escalation is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, escalation)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            break
    stderr.close()


class Child:
    """A running program. It ends with `stop`, with this object, or with the interpreter."""

    def __init__(
        self, command: Sequence[str], cwd: str | None, env: Mapping[str, str] | None
    ) -> None:
        # A file, not a pipe: the program can log as much as it likes and never blocks on us.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed by _stop)
        try:
            self._process = subprocess.Popen(
                command,
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                cwd=cwd,
                env=env,
                start_new_session=True,  # one signal reaches its children too, and Ctrl-C only us
            )
        except BaseException:
            self._stderr.close()
            raise
        self.stop = weakref.finalize(self, _stop, self._process, self._stderr)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._stdin, False)
        self._writable, self._readable = select.poll(), select.poll()
        self._writable.register(self._stdin, select.POLLOUT)
        self._readable.register(self._stdout, select.POLLIN)
        self._buffer = bytearray()

    def write(self, line: bytes, timeout: float) -> None:
        """Raises TimeoutError when the program does not read, EOFError when it is gone."""
        deadline = time.monotonic() + timeout
        while line:
            try:
                line = line[os.write(self._stdin, line) :]
            except BlockingIOError:
                self._wait(self._writable, deadline)
            except BrokenPipeError:
                raise EOFError from None

    def readline(self, timeout: float) -> bytes:
        """Raises TimeoutError when no whole line comes, EOFError when none will."""
        deadline = time.monotonic() + timeout
        while (end := self._buffer.find(b"\n")) < 0:
            self._wait(self._readable, deadline)
            chunk = os.read(self._stdout, READ_SIZE)
            if not chunk:
                raise EOFError
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    @staticmethod
    def _wait(pipe: select.poll, deadline: float) -> None:
        remaining = deadline - time.monotonic()
        if remaining <= 0 or not pipe.poll(remaining * 1000):
            raise TimeoutError

    def ending(self) -> str:
        """How the program ended, in words."""
        try:
            status = self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            return "closed its standard input or output"
        return (
            f"was ended by {signal.Signals(-status).name}"
            if status < 0
            else f"exited with status {status}"
        )

    def last_words(self) -> str:
        """The end of stderr on one line, without the indented lines that make up a stack trace."""
        # pread: the file offset is shared with the program, which goes on writing there.
        size = os.fstat(self._stderr.fileno()).st_size
        text = os.pread(self._stderr.fileno(), TAIL_BYTES, max(0, size - TAIL_BYTES))
        lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
        told = [line for line in lines if not line[0].isspace()] or lines
        return " | ".join(told[-TAIL_LINES:])[-TAIL_LENGTH:] or "(empty)"

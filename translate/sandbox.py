"""A place in which an agent, and what it wrote, can run: the workspace, and little else.

In bubblewrap a command sees the workspace, what it may read, the system's programs and a fresh
home; it has no network but the metering proxy, and no process of ours. "unconfined" is what remains
where the kernel refuses that: it must be asked for, and `unprotected` says what it leaves open.
"""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from . import relay

Mode = Literal["bubblewrap", "unconfined"]
Stop = Literal["time", "stall", "disk", "output"]

HOME = Path("/home/agent")  # inside
MODEL = Path("/run/simlift")  # inside: the proxy's socket, and what forwards to it
PORT = 8080  # inside, where nothing else listens
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt")
SETTINGS = (
    "alternatives", "ca-certificates", "fonts", "group", "ld.so.cache", "ld.so.conf",
    "ld.so.conf.d", "localtime", "nsswitch.conf", "passwd", "ssl",
)  # fmt: skip
USER = "1000"  # some agents refuse to work as root
POLL = 0.05  # seconds
SCANS = 10  # looking at the workspace takes at most a tenth of the time
GRACE = 2.0  # seconds between SIGTERM and SIGKILL
UNPROTECTED = (
    "it can read and write all files that you can",
    "it can use the network",
    "it can see and end your other processes",
    "what it leaves in the background in a session of its own goes on running",
)


class SandboxUnavailable(RuntimeError):
    """The sandbox cannot be had here; the message says what is missing and how to get it."""


def probe() -> None:
    """Raises SandboxUnavailable where bubblewrap is missing or the kernel refuses it."""
    instead = "or say --sandbox unconfined, which protects nothing"
    if shutil.which("bwrap") is None:
        raise SandboxUnavailable(f"bubblewrap is missing: apt-get install bubblewrap, {instead}")
    command = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SandboxUnavailable(
            f"bubblewrap may not make namespaces here ({done.stderr.strip()}): allow them "
            f"(sysctl kernel.unprivileged_userns_clone=1; in a container, --privileged), {instead}"
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """When a command is ended. Raises ValueError for limits that are not above 0.

    seconds: of the clock on the wall; stall: seconds without output and without a changed file;
    disk: bytes in the workspace, the home and /tmp together; output: bytes of output. Disk and
    output are looked at several times a second: a fast writer can pass them by what it writes then.
    Memory and the number of processes have no limit here.
    """

    seconds: float
    stall: float = 900.0
    disk: int = 4 << 30
    output: int = 256 << 20

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not value > 0:
                raise ValueError(f"the limit {name} is {value}: it must be above 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended. status: as a shell tells it; stopped: the limit that ended it, if any;
    stdout, stderr: the files that hold what it printed."""

    status: int
    stopped: Stop | None
    seconds: float
    stdout: Path
    stderr: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sandbox:
    """What a command may see.

    workspace: read and written; readable: read only, also where it lies in the workspace;
    model: the metering proxy's socket, at `base_url` inside; mode: see this module.
    Paths are the same inside as outside. Raises ValueError for a path that is not there, and
    SandboxUnavailable where `mode` cannot be had.

    >>> box = Sandbox(workspace=Path("work"), readable=[Path("reference")], model=meter.socket_path)
    >>> box.run(["claude", "-p"], stdin=prompt, limits=Limits(seconds=600), output=Path("out"))
    """

    workspace: Path
    readable: Sequence[Path] = ()
    model: Path | None = None
    mode: Mode = "bubblewrap"

    def __post_init__(self) -> None:
        if self.mode not in ("bubblewrap", "unconfined"):
            raise ValueError(f"{self.mode!r} is not a sandbox: choose bubblewrap or unconfined")
        if not self.workspace.is_dir():
            raise ValueError(f"{self.workspace}: is not a folder, so no workspace")
        for path in filter(None, (*self.readable, self.model)):
            if not path.exists():
                raise ValueError(f"{path}: is not there, so no sandbox can show it")
        if self.mode == "bubblewrap":
            probe()
        elif self.model is not None:
            raise ValueError("unconfined commands reach the proxy at its url, not at a socket")

    @property
    def base_url(self) -> str:
        """Where a command finds the metering proxy inside."""
        return f"http://127.0.0.1:{PORT}"

    @property
    def unprotected(self) -> tuple[str, ...]:
        """What a command could do nevertheless, in words for the user."""
        return UNPROTECTED if self.mode == "unconfined" else ()

    def run(
        self,
        command: Sequence[str],
        *,
        limits: Limits,
        output: Path,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> Ended:
        """Run a command in the workspace until it ends, or a limit does.

        output: a folder for stdout.txt and stderr.txt; env: all that it has beside PATH, HOME,
        LANG and TMPDIR: nothing of ours is handed on; home: a prepared home, kept; else an empty
        one, thrown away. Raises ValueError for an empty command, and OSError where the output
        cannot be written or the command cannot be started.
        """
        if not command:
            raise ValueError("there is no command to run")
        output.mkdir(parents=True, exist_ok=True)
        stdout, stderr = output / "stdout.txt", output / "stderr.txt"
        with (
            tempfile.TemporaryDirectory(prefix="simlift-", ignore_cleanup_errors=True) as scratch,
            _files(Path(scratch) / "stdin", stdout, stderr, content=stdin) as (given, out, err),
        ):
            temporary = Path(scratch) / "tmp"
            temporary.mkdir()
            home = home or Path(scratch) / "home"
            home.mkdir(parents=True, exist_ok=True)
            started = time.monotonic()
            process = subprocess.Popen(
                self._command(command, home, temporary),
                cwd=self.workspace,
                env=self._environment(env or {}, home, temporary),
                stdin=given,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                folders = [self.workspace, home, temporary]
                stopped = _watch(process, limits, folders, [stdout, stderr], started)
            finally:
                _end(process)
            seconds = time.monotonic() - started
        status = process.returncode
        return Ended(
            status=status if status >= 0 else 128 - status,
            stopped=stopped,
            seconds=seconds,
            stdout=stdout,
            stderr=stderr,
        )

    def _environment(self, given: Mapping[str, str], home: Path, temporary: Path) -> dict[str, str]:
        inside = self.mode == "bubblewrap"
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(HOME if inside else home),
            "TMPDIR": "/tmp" if inside else str(temporary),
            **given,
        }

    def _command(self, command: Sequence[str], home: Path, temporary: Path) -> list[str]:
        if self.mode == "unconfined":
            return list(command)
        words = ["bwrap", "--unshare-all", "--unshare-user", "--uid", USER, "--gid", USER]
        words += ["--die-with-parent", "--hostname", "sandbox"]
        words += ["--proc", "/proc", "--dev", "/dev"]
        for folder in SYSTEM:
            words += ["--ro-bind-try", folder, folder]
        for name in SETTINGS:
            words += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
        words += ["--bind", str(temporary), "/tmp", "--bind", str(home), str(HOME)]
        binds = [(self.workspace.resolve(), "--bind")]
        binds += [(path.resolve(), "--ro-bind") for path in self.readable]
        for path, bind in sorted(binds, key=lambda one: len(one[0].parts)):
            words += [bind, str(path), str(path)]  # what lies deeper comes later, and shows
        shared = temporary / "shm"
        shared.mkdir()
        words += ["--bind", str(shared), "/dev/shm"]  # where it counts as disk
        words += ["--chdir", str(self.workspace.resolve())]
        relayed = self._relayed(words) if self.model is not None else []
        # What remains of / and /dev is in memory, which no limit here would see.
        return [*words, "--remount-ro", "/dev", "--remount-ro", "/", "--", *relayed, *command]

    def _relayed(self, words: list[str]) -> list[str]:
        """What stands before a command that reaches the model; `words` shows it what it needs."""
        assert self.model is not None
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        python = Path(sys.base_prefix, "bin", f"python{version}")
        script, model = MODEL / "relay.py", MODEL / "model.sock"
        words += ["--ro-bind", sys.base_prefix, sys.base_prefix]
        words += ["--ro-bind", str(relay.__file__), str(script)]
        words += ["--bind", str(self.model.resolve()), str(model)]
        return [str(python), "-I", "-S", str(script), str(model), str(PORT)]


@contextmanager
def _files(
    given: Path, stdout: Path, stderr: Path, *, content: bytes
) -> Iterator[tuple[int, int, int]]:
    given.write_bytes(content)
    with given.open("rb") as one, stdout.open("wb") as two, stderr.open("wb") as three:
        yield one.fileno(), two.fileno(), three.fileno()


def _watch(
    process: subprocess.Popen[bytes],
    limits: Limits,
    folders: Sequence[Path],
    outputs: Sequence[Path],
    started: float,
) -> Stop | None:
    """Wait for the end of a process; the limit that it passed, if it did."""
    changed, seen = started, (0, 0, 0, 0)
    next_scan = started
    used = newest = count = 0
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(POLL)
            return None
        now = time.monotonic()
        printed = sum(path.stat().st_size for path in outputs)
        if now >= next_scan:
            used, newest, count = _scan(folders)
            next_scan = now + SCANS * (time.monotonic() - now)
        if (seeing := (printed, used, newest, count)) != seen:
            changed, seen = now, seeing
        if now - started > limits.seconds:
            return "time"
        if now - changed > limits.stall:
            return "stall"
        if used > limits.disk:
            return "disk"
        if printed > limits.output:
            return "output"


def _scan(folders: Sequence[Path]) -> tuple[int, int, int]:
    """Bytes on disk, the newest change in nanoseconds, and the number of files."""
    used = newest = count = 0
    for folder in folders:
        for path, _, names in os.walk(folder):
            for name in (".", *names):
                with suppress(OSError):  # it may be gone by now
                    found = os.lstat(os.path.join(path, name))
                    used += found.st_blocks * 512
                    newest = max(newest, found.st_mtime_ns)
                    count += 1
    return used, newest, count


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all that it started: SIGTERM, then SIGKILL, to their group."""
    for escalation in (signal.SIGTERM, signal.SIGKILL):
        # Also after its own end: what it left in the background is in the group.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, escalation)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def head_and_tail(text: str, lines: int = 60, width: int = 400) -> str:
    """At most so many lines of a text: its beginning and its end, each of at most `width`
    characters, and how much was left out. Raises ValueError for fewer than 3 lines.
    """
    if lines < 3:
        raise ValueError(f"{lines} lines are too few for a head, a tail and what is left out")
    every = text.splitlines()
    if len(every) > lines:
        head = (lines - 1) // 2
        tail = lines - 1 - head
        left_out = f"[... {len(every) - head - tail} lines left out ...]"
        every = [*every[:head], left_out, *every[-tail:]]
    return "\n".join(
        line if len(line) <= width else f"{line[:width]} [... {len(line) - width} characters ...]"
        for line in every
    )

"""What a candidate may not do in its own process: seen by an audit hook, and by looking twice.

A hook of `sys.addaudithook` cannot be taken out again. It blames what happens while code of the
candidate is on the stack; the verifier and its libraries read files as they please.
"""

import os
import sys
import sysconfig
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")
NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo")
LIBRARIES = ("ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle")
FORBIDDEN = {
    **dict.fromkeys(PROCESSES, "starts a process"),
    **dict.fromkeys(NETWORK, "uses the network"),
    **dict.fromkeys(LIBRARIES, "loads a library"),
}
WATCHED = (
    *("builtins", "math", "time", "random", "json", "os", "numpy", "numpy.testing"),
    *("numpy.random", "jax", "jax.numpy", "jax.random", "jax.lax", "jax.tree", "hypothesis"),
)
ENVS = Path(__file__).parents[1] / "envs"
MAX_TOLD = 20


class Guard:
    """Watches a candidate whose sources lie in `folders`. violations: what was seen, in words."""

    def __init__(self, folders: Sequence[Path], secret: Sequence[Path]) -> None:
        """Readable are Python's own folders, our environments' and `folders`, never `secret`."""
        self.violations: list[str] = []
        self._folders = tuple(f"{folder.resolve()}{os.sep}" for folder in folders)
        self._secret = tuple(f"{folder.resolve()}{os.sep}" for folder in secret)
        paths = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *sys.path]
        self._allowed = tuple(
            f"{Path(path).resolve()}{os.sep}"
            for path in (*paths, ENVS, "/proc", "/sys", "/dev")
            if path
        )

    def watch(self) -> None:
        """From now on, until the process ends."""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            what = self._opened(*arguments)
        elif event in FORBIDDEN:
            what = f"{FORBIDDEN[event]}: {event} {str(arguments[:1])[:200]}"
        else:
            return
        if what and self._blamed():
            if len(self.violations) < MAX_TOLD and what not in self.violations:
                self.violations.append(what)
            raise PermissionError(f"an environment {what}")

    def _opened(self, path: Any, mode: Any, flags: Any) -> str:
        if not isinstance(path, str | bytes | os.PathLike):
            return ""  # a descriptor that somebody has opened before
        name = os.path.realpath(os.fsdecode(path))
        if isinstance(flags, int) and flags & WRITING and name != os.devnull:
            return f"writes {name}"
        if name.startswith(self._folders):
            return ""
        if name.startswith(self._secret) or not name.startswith(self._allowed):
            return f"reads {name}"
        return ""

    def _blamed(self) -> bool:
        frame: types.FrameType | None = sys._getframe(2)
        while frame is not None:
            if os.path.realpath(frame.f_code.co_filename).startswith(self._folders):
                return True
            frame = frame.f_back
        return False


def fingerprint(packages: Iterable[str]) -> dict[str, int]:
    """Which object each public name stands for, of WATCHED and of every loaded module of
    `packages`, the members of classes included."""
    prefixes = tuple(f"{package}." for package in packages)
    seen: dict[str, int] = {}
    for name, module in list(sys.modules.items()):
        if not (name in WATCHED or name.startswith(prefixes)):
            continue
        for key, value in list(vars(module).items()):
            if callable(value):
                seen[f"{name}.{key}"] = id(value)
            if isinstance(value, type) and value.__module__ == name:
                members = {k: v for k, v in vars(value).items() if callable(v) or k == "__call__"}
                seen |= {f"{name}.{key}.{k}": id(v) for k, v in members.items()}
    return seen


def changed(before: Mapping[str, int], after: Mapping[str, int]) -> list[str]:
    """The names that stand for another object than before."""
    return sorted(name for name, value in before.items() if after.get(name, value) != value)


def count_compilations() -> Callable[[], int]:
    """Counts XLA's compilations from now on; call what it gives for their number so far."""
    count = 0

    def listen(event: str, duration: float, **details: Any) -> None:
        nonlocal count
        count += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(listen)
    return lambda: count

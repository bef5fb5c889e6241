"""What a candidate may not do in its own process: seen by an audit hook, and by looking twice.

A hook of `sys.addaudithook` cannot be taken out again. It blames what happens while code of the
candidate is on the stack; the verifier and its libraries read files as they please. It sees Python,
not machine code, so a candidate may bring none. README.md says what gets past it.
"""

import _thread
import functools
import os
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
DEEDS = {
    "starts a process": (
        *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"),
        *("os.fork", "os.forkpty", "pty.spawn"),
    ),
    "signals a process": ("os.kill", "os.killpg", "signal.pthread_kill"),
    "starts a thread": ("_thread.start_new_thread",),
    "uses the network": (
        *("socket.__new__", "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"),
        *("socket.getaddrinfo", "socket.gethostbyname"),
    ),
    "loads a library": (
        *("ctypes.dlopen", "ctypes.dlsym", "ctypes.dlsym/handle", "ctypes.cdata"),
        "ctypes.call_function",
    ),
    "changes files": (
        *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink"),
        *("os.truncate", "os.chmod", "os.chown", "os.utime", "sqlite3.connect", "shutil.rmtree"),
    ),
    "looks through the interpreter's objects": (
        *("gc.get_objects", "gc.get_referrers", "gc.get_referents"),
        *("sys._current_frames", "sys.setprofile", "sys.settrace"),
    ),
}
FORBIDDEN = {event: what for what, events in DEEDS.items() for event in events}
MAKES_CODE = ("compile", "exec", "code.__new__")
ENVS = Path(__file__).parents[1] / "envs"
LIFT = os.path.realpath(ENVS / "kernels" / "lift.py")
EXTENSIONS = (".so", ".pyd", ".dylib")
MAX_TOLD = 20


class Guard:
    """Watches a candidate whose sources are `files` and `folders`, see `sources_of`.

    violations: what was seen, in words.
    """

    def __init__(self, sources: Sequence[Path], secret: Sequence[Path]) -> None:
        """Readable are Python's own folders, our environments' and `sources`, never `secret`."""
        self.violations: list[str] = []
        self._sources = _prefixes(sources)
        self._secret = _prefixes(secret)
        installed = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages")]
        paths = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), *installed]
        self._libraries = _prefixes([Path(path) for path in paths])
        self._allowed = (*self._libraries, *_prefixes([ENVS, Path("/dev/urandom")]))

    def watch(self) -> None:
        """From now on, until the process ends."""
        sys.addaudithook(self._hook)
        for module, name in ((_thread, "start_new_thread"), (threading, "_start_new_thread")):
            setattr(module, name, _audited(getattr(module, name, _thread.start_new_thread)))

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            what = self._opened(*arguments)
        elif event == "import":
            what = self._imported(arguments[1])
        elif event == "object.__setattr__":
            what = "replaces the code of a function" if arguments[1] == "__code__" else ""
        elif event in FORBIDDEN:
            what = f"{FORBIDDEN[event]}: {event} {str(arguments[:1])[:200]}"
        elif event in MAKES_CODE:
            what = (
                f"makes code out of text: {event}" if self._is_candidate(sys._getframe(1)) else ""
            )
        else:
            return
        if what and self._blamed():
            if len(self.violations) < MAX_TOLD and what not in self.violations:
                self.violations.append(what)
            raise PermissionError(f"an environment {what}")

    def _opened(self, path: Any, mode: Any, flags: Any) -> str:
        if isinstance(path, int):
            return "opens a descriptor that it was not given"
        name = os.path.realpath(os.fsdecode(path))
        if isinstance(flags, int) and flags & WRITING and name != os.devnull:
            return f"writes {name}"
        if name.startswith(self._sources) or name in map(_source, _frames()):
            return ""  # a traceback or a warning shows the lines of who called
        if name.startswith(self._secret) or not name.startswith(self._allowed):
            return f"reads {name}"
        return ""

    def _imported(self, path: str | None) -> str:
        """Raised with a path for machine code only."""
        if not path or not path.endswith(EXTENSIONS):
            return ""
        name = os.path.realpath(path)
        return "" if name.startswith(self._libraries) else f"loads machine code: {name}"

    def _blamed(self) -> bool:
        """Whether code of the candidate is on the stack, unless what it called is `lift`: to
        compile and keep a kernel is that one's doing."""
        for frame in _frames():
            if self._is_candidate(frame):
                return True
            if _source(frame) == LIFT:
                return False
        return False

    def _is_candidate(self, frame: types.FrameType) -> bool:
        return _source(frame).startswith(self._sources)


def _frames() -> Iterator[types.FrameType]:
    """Everything on the stack."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _source(frame: types.FrameType) -> str:
    return _real(frame.f_code.co_filename)


@functools.cache
def _real(name: str) -> str:
    return os.path.realpath(name)


def _audited(start: Callable[..., Any]) -> Callable[..., Any]:
    """Starts a thread and says so, as Python itself does from 3.12 on."""

    def audited(*arguments: Any, **named: Any) -> Any:
        sys.audit("_thread.start_new_thread", *arguments)
        return start(*arguments, **named)

    return audited


def _prefixes(paths: Iterable[Path]) -> tuple[str, ...]:
    """What the names of these files, and of all files in these folders, begin with."""
    resolved = [path.resolve() for path in paths]
    return tuple(f"{path}{os.sep}" if path.is_dir() else str(path) for path in resolved)


def fingerprint() -> dict[str, Any]:
    """What each name of every loaded module stands for, as far as it is code: functions, classes
    and their members, and what lists and dicts hold."""
    seen: dict[str, Any] = {}
    for name, module in list(sys.modules.items()):
        members = getattr(module, "__dict__", None)
        if not isinstance(members, dict):
            continue
        for key, value in list(members.items()):
            if callable(value):
                seen[f"{name}.{key}"] = value
            if isinstance(value, type) and value.__module__ == name:
                own = list(vars(value).items())
                seen |= {f"{name}.{key}.{k}": v for k, v in own if _is_code(v)}
            if type(value) is dict and name.startswith("simlift."):
                items = list(value.items())
                seen |= {f"{name}.{key}[{k!r}]": v for k, v in items if callable(v)}
    return seen


def _is_code(member: object) -> bool:
    return callable(member) or isinstance(member, classmethod | staticmethod | property)


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names that stand for something else than before, or for nothing."""
    gone = object()
    return sorted(name for name, value in before.items() if after.get(name, gone) is not value)


def count_compilations() -> Callable[[], int]:
    """Counts XLA's compilations from now on; call what it gives for their number so far."""
    count = 0

    def listen(event: str, duration_secs: float, **details: Any) -> None:
        nonlocal count
        count += event.endswith("backend_compile_duration")

    jax.monitoring.register_event_duration_secs_listener(listen)
    return lambda: count

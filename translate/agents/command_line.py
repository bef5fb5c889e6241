"""What coding agents that are command-line programs have in common.

Each attempt has a fresh home, a metering proxy in place of the model, and a sandbox around it all.
How it ended is read off the sandbox and the proxy first: the exit codes of these programs tell
success where nothing worked, and failure where the work is done.
"""

import abc
import dataclasses
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from .. import crate, sandbox
from ..budget import Budget, Share
from ..meter import Meter
from ..sandbox import Ended, Sandbox, SandboxUnavailable
from ..upstream import Upstream
from .core import Agent, End, Report, Task

VERSION = re.compile(r"\d+\.\d+\.\d+")
PATIENCE = 60.0  # seconds for a program to tell its version
LINE = 400  # characters of a reason that is shown
CASSETTE = "cassette.jsonl"
# A coder can forge what its program tells: that must end its attempt, and not the run.
MISREAD = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """What is run. words: the command's first words; folders: what it needs to be shown."""

    words: tuple[str, ...]
    folders: tuple[Path, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
    """Where a program finds things: `home` inside the sandbox, the model at `url`, its `key`."""

    home: Path
    url: str
    key: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """What a program's output tells. words: of the agent, last; failed: why it could not work, in
    one line; out_of_turns: whether it stopped because of its limit on turns."""

    words: str = ""
    failed: str = ""
    out_of_turns: bool = False


class CommandLineAgent(Agent):
    """A program that takes a prompt, asks a model and edits files until it is done.

    program: its name on PATH; tested: the version that it is tested with; install: how to get that;
    key: the environment variable of the model's key; url: that of the model's base URL, and what it
    is by default; retries: of a call that failed, before the program gives up; each is a turn.
    """

    program: ClassVar[str]
    tested: ClassVar[str]
    install: ClassVar[str]
    key: ClassVar[str]
    url: ClassVar[tuple[str, str]]
    retries: ClassVar[int] = 6

    # -- what differs

    @abc.abstractmethod
    def command(self, task: Task, place: Place) -> Sequence[str]:
        """The words after the program's name."""

    @abc.abstractmethod
    def environment(self, place: Place) -> Mapping[str, str]:
        """What it needs beside PATH and HOME."""

    def files(self, task: Task, place: Place) -> Mapping[str, str]:
        """What its fresh home holds."""
        return {}

    def given(self, task: Task) -> str:
        """What it reads from its standard input."""
        return task.prompt

    @abc.abstractmethod
    def told(self, ended: Ended, home: Path) -> Told:
        """What its output, and what it left in its home, tell. Both may be torn or forged: any
        error of reading them is caught."""

    # -- what is the same

    def version(self) -> str:
        """As in Agent. Raises ValueError where the program does not run."""
        words = [*self.located().words, "--version"]
        try:
            done = subprocess.run(
                words, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"{self.program} does not run ({error}): {self.install}") from None
        found = VERSION.search(done.stdout + done.stderr)
        if found is None:
            raise ValueError(f"{self.program} does not tell its version: {self.install}")
        return found[0]

    def check(self) -> None:
        """As in Agent. Another version than the tested one is only told of."""
        self.upstream()
        if not self.means.model:
            raise ValueError(f"name a model for {self.name} (agent.model in simlift.toml)")
        self.means.prices.of(self.means.model)
        if (there := self.version()) != self.tested:
            logger.warning(
                "%s %s is there; what is tested is %s: %s",
                *(self.program, there, self.tested, self.install),
            )
        if self.means.sandbox == "bubblewrap":
            try:
                sandbox.probe()
            except SandboxUnavailable as error:
                raise ValueError(str(error)) from None

    def upstream(self) -> Upstream:
        """The model. Raises ValueError where no key is set, or the base URL is none."""
        key = os.environ.get(self.key, "")
        if not key:
            raise ValueError(f"{self.name} needs a key of the model's provider: set {self.key}")
        return Upstream(self._base.removesuffix("/v1"), key)

    @property
    def _base(self) -> str:
        variable, usual = self.url
        return (os.environ.get(variable) or usual).rstrip("/")

    def located(self) -> Program:
        """The program on PATH. Raises ValueError where it is not there."""
        found = shutil.which(self.program)
        if found is None:
            raise ValueError(f"{self.program} is not installed: {self.install}")
        return _program(Path(found))

    def work(self, task: Task) -> Report:
        """As in Agent. Raises ValueError as `check` does, too."""
        program = self.located()
        share = Share(self.means.budget, dollars=task.budget_usd, calls=task.max_turns)
        task.logs.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(
                dir=task.logs, prefix="home-", ignore_cleanup_errors=True
            ) as home_name,
            self._metered(share, task) as (meter, socket),
        ):
            home = Path(home_name).resolve()
            box = Sandbox(
                workspace=task.workspace,
                readable=[*task.readable, *program.folders],
                model=socket,
                mode=self.means.sandbox,
            )
            place = Place(
                home=sandbox.HOME if socket else home,
                url=(box.base_url if socket else meter.url) + "/v1" * self._base.endswith("/v1"),
                key=meter.token,
            )
            for name, content in self.files(task, place).items():
                path = home / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")
            ended = box.run(
                [*program.words, *self.command(task, place)],
                limits=task.limits,
                output=task.logs,
                stdin=self.given(task).encode(),
                env={
                    "PATH": _path(),
                    "PYTHONPATH": os.pathsep.join(map(str, task.imports)),
                    **self.environment(place),
                },
                home=home,
            )
            try:
                told = self.told(ended, home)
            except MISREAD:
                told = Told(failed=f"what {self.program} told of itself cannot be read")
        turns = share.spent.calls
        end, words = _end(ended, told, share.refusal, turns)
        return Report(
            ended=end, words=words, seconds=ended.seconds, turns=turns, status=ended.status
        )

    @contextmanager
    def _metered(self, share: Budget, task: Task) -> Iterator[tuple[Meter, Path | None]]:
        """The proxy, and its socket where the sandbox has no network."""
        # A socket's path is short, which that of a run's folder may not be.
        with tempfile.TemporaryDirectory(prefix="simlift-") as folder:
            socket = Path(folder, "model") if self.means.sandbox == "bubblewrap" else None
            with Meter(
                self.upstream(),
                budget=share,
                prices=self.means.prices,
                cassette=task.logs / CASSETTE,
                socket_path=socket,
            ) as meter:
                yield meter, socket


def _end(ended: Ended, told: Told, refusal: str, turns: int) -> tuple[End, str]:
    """How an attempt ended and its last words, in the order in which evidence can be trusted."""
    if ended.stopped:
        return ended.stopped, told.words or f"ended by its limit on {ended.stopped}"
    if refusal:
        return "budget", refusal
    if told.out_of_turns:
        return "budget", f"all its turns are used, after {turns} calls of the model"
    if told.failed or ended.status:
        return "failed", told.failed or _last_line(ended)
    if not turns:
        return "failed", "it never called its model"
    return "finished", told.words


def events(output: Path) -> Iterator[Mapping[str, Any]]:
    """The JSON objects among the lines of an output; what else it printed is left out."""
    for line in output.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


def one_line(text: object) -> str:
    """The beginning of a reason, fit for one line."""
    return " ".join(str(text).split())[:LINE]


def _last_line(ended: Ended) -> str:
    outputs = [
        path.read_text(encoding="utf-8", errors="replace").strip()
        for path in (ended.stderr, ended.stdout)
    ]
    said = next((text.splitlines()[-1] for text in outputs if text), "it said nothing")
    return one_line(f"it ended with status {ended.status}: {said}")


def _path() -> str:
    """PATH, first the Python that runs this, which has the checks that a coder is told to make, and
    Rust's own programs instead of rustup's, which look for a home that is not there."""
    rust = crate.toolchain()
    folders = [Path(sys.executable).parent, *([] if rust is None else [rust / "bin"])]
    return os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])


def _program(found: Path) -> Program:
    """How to run a program where PATH may be hidden: by its true path, with its interpreter."""
    path = found.resolve()
    with path.open("rb") as file:
        first = file.readline(256) if file.read(2) == b"#!" else b""
    interpreter = first.decode(errors="replace").split()
    folders = [_installation(path)]
    if not interpreter:
        return Program(words=(str(path),), folders=tuple(folders))
    name = interpreter[1] if Path(interpreter[0]).name == "env" else interpreter[0]
    runner = shutil.which(name)
    if runner is None:
        raise ValueError(f"{found} needs {name}, which is not installed")
    # A Python of a virtual environment is only that under its own name.
    folders += [_installation(Path(runner)), _installation(Path(runner).resolve())]
    return Program(words=(runner, str(path)), folders=tuple(folders))


def _installation(path: Path) -> Path:
    """The folder that holds all that belongs to a program, or the file where it stands alone."""
    packages = [folder for folder in path.parents if folder.name == "node_modules"]
    if packages:
        return packages[-1]
    prefix = path.parent.parent
    if path.parent.name == "bin" and (prefix / "lib").is_dir() and prefix != Path.home():
        return prefix
    return path

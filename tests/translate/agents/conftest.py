"""The real programs, in the versions that simlift is tested with, and a model for them."""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simlift.references.fetch import cache_dir
from simlift.translate.agents import AGENTS
from simlift.translate.agents.command_line import CommandLineAgent

from ..needs import lacking, serving
from .coder import Coder

OFFLINE = re.compile(
    r"ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ENETUNREACH|ETIMEDOUT|Failed to establish a new connection"
    r"|Name or service not known|name resolution|ConnectTimeout|from versions: none"
)
PATIENCE = 500  # seconds


@pytest.fixture
def coder() -> Iterator[Coder]:
    server = Coder()
    with serving(server):
        yield server


@pytest.fixture(scope="session")
def installed() -> Callable[[str], Path]:
    """The folder of an agent's program, which is fetched into the cache on first use."""

    def folder(kind: str) -> Path:
        agent = AGENTS[kind]
        assert issubclass(agent, CommandLineAgent)
        home = cache_dir() / "agents" / f"{agent.program}-{agent.tested}"
        home.mkdir(parents=True, exist_ok=True)
        node = agent.install.startswith("npm")
        programs = home / ("node_modules/.bin" if node else "env/bin")
        with (home / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (home / "complete").exists():
                install(agent, home)
                (home / "complete").touch()
        return programs

    return folder


def install(agent: type[CommandLineAgent], home: Path) -> None:
    """As its own words say, but into `home`."""
    program, _, *packages = (word for word in agent.install.split() if word != "-g")
    if program == "npm":
        if shutil.which("npm") is None:
            lacking("Node.js is not installed")
        commands = [["npm", "install", "--prefix", str(home), "--no-audit", "--no-fund", *packages]]
    else:
        commands = [
            [sys.executable, "-m", "venv", "--clear", str(home / "env")],
            [str(home / "env/bin/python"), "-m", "pip", "install", "--quiet", *packages],
        ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            if OFFLINE.search(said):
                lacking(f"{agent.name} cannot be fetched: there is no network")
            pytest.fail(f"{' '.join(command)}: {said[-2000:]}", pytrace=False)

"""Pokemon Showdown itself, in processes of Node.js that play without recording anything."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..references.child import Child
from ..references.pokemon.install import PACKAGE, VERSION, installed, node_path
from ..train.machine import available_cores
from ..train.turns import Peer, PeerCost, PeerFailed

PROGRAM = Path(__file__).with_name("showdown_play.mjs")
ANSWER_S = 120.0
"""For an answer: a process that takes longer hangs."""


class RandomPlay:
    """Random legal choices in gen1randombattle, a battle at a time in each of `processes`.

    Steps are updates: one answer of everybody who is asked. The processes start when they are first
    needed. Raises ReferenceUnavailable without Node.js or the package.
    """

    def __init__(self, processes: int) -> None:
        self._commands = [
            [node_path(), str(PROGRAM), str(installed()), str(seed)] for seed in range(processes)
        ]
        self._children: list[Child] = []
        self._processor_s = 0.0

    def __call__(self, num_envs: int, num_steps: int) -> int:
        """Play that many updates of each process's battles; returns how many answers of players
        they were. Raises PeerFailed."""
        assert num_envs == len(self._commands), "a process has one battle at a time"
        if not self._children:
            self._children = [Child(command, None, None) for command in self._commands]
            self._answers()  # ready
        line = json.dumps({"updates": num_steps}).encode() + b"\n"
        try:
            for child in self._children:
                child.write(line, ANSWER_S)
        except (EOFError, TimeoutError) as error:
            raise self._failed(child, error) from None
        return self._answers()

    def cost(self) -> PeerCost:
        return PeerCost(self._processor_s)

    def close(self) -> None:
        for child in self._children:
            child.stop()
        self._children = []

    def _answers(self) -> int:
        answers = []
        for child in self._children:
            try:
                answers.append(json.loads(child.readline(ANSWER_S)))
            except (EOFError, TimeoutError) as error:
                raise self._failed(child, error) from None
        self._processor_s = sum(answer["processor_s"] for answer in answers)
        return sum(answer["decisions"] for answer in answers)

    def _failed(self, child: Child, error: Exception) -> PeerFailed:
        silent = isinstance(error, TimeoutError)
        what = f"gave no answer within {ANSWER_S:g} s" if silent else child.ending()
        words = child.last_words()
        self.close()
        return PeerFailed(f"the process {what}; its stderr: {words}")


def showdown(variants: Sequence[Mapping[str, Any]], accelerator: bool) -> list[Peer]:
    """One process, and one on every core, whatever JAX computes on."""
    del variants, accelerator  # of ours
    node = subprocess.run([node_path(), "--version"], capture_output=True, text=True, check=True)
    peers = []
    for processes in sorted({1, available_cores()}):
        play = RandomPlay(processes)
        peers.append(
            Peer(
                name="showdown",
                run=play,
                cores=processes,
                num_envs=processes,
                beside_all=True,
                about=f"{PACKAGE} {VERSION}, its Battle object driven directly, without a log, "
                f"with teams made beforehand; Node.js {node.stdout.strip()}, a process a core",
                cost=play.cost,
                close=play.close,
            )
        )
    return peers


PEERS = {"showdown": showdown}

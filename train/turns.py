"""Our program and its peers, timed in turns."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from .workloads import Program


class PeerFailed(RuntimeError):
    """A peer cannot go on; the message says why."""


class PeerCost(NamedTuple):
    """What a peer has used so far."""

    processor_s: float
    """Processor seconds of its process since that began."""
    compile_s: float | None = None
    peak_bytes: int | None = None
    """Of its compiled program, counted as `Row.peak_bytes` is."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peer:
    """Another program that plays the same environment, timed in turns with ours."""

    name: str
    run: Callable[[int, int], object]
    """(num_envs, num_steps): plays that many random steps of each environment, then returns; the
    first call may also compile. Raises PeerFailed."""
    cores: int | None
    """How many it uses; None: the accelerator that ours uses. With 1, it is compared with our
    program held on one core."""
    beside_all: bool = False
    """Also compared with our program on all cores, or on the accelerator, whatever it uses."""
    num_envs: int | None = 1024
    """The batch at which it runs best; it is not held to ours. None: it is."""
    variant: Mapping[str, Any] | None = None
    """The variant of the options that it plays; None: every one."""
    about: str = ""
    """One line: version, settings, and what it does differently."""
    cost: Callable[[], PeerCost] = lambda: PeerCost(time.process_time())
    """Unless it runs in this process, and does not compile."""
    close: Callable[[], None] = lambda: None
    """Frees what it holds; harmless when called twice."""


class Run(NamedTuple):
    """One timed run."""

    steps: int
    seconds: float
    processor_s: float

    @property
    def speed(self) -> float:
        return self.steps / self.seconds

    @property
    def per_processor_s(self) -> float:
        return self.steps / self.processor_s


def take_turns(
    program: Program,
    peers: Sequence[Peer],
    batch: int,
    *,
    repeats: int,
    seconds: float,
    peer_seconds: float,
) -> tuple[list[Run], list[list[Run] | PeerFailed], Any]:
    """(`repeats` runs of ours, the runs of each peer or why it has none, each of about `seconds`,
    our last carry).

    batch: ours, for the peers that are held to it. A peer whose runs took `peer_seconds` together
    is not run again.
    """
    carry = program.carry

    def play(calls: int) -> Run:
        nonlocal carry
        started, before = time.perf_counter(), time.process_time()
        for _ in range(calls):
            carry = program.call(carry)
        jax.block_until_ready(carry)
        wall_s, processor_s = time.perf_counter() - started, time.process_time() - before
        return Run(calls * program.steps, wall_s, processor_s)

    play(1)  # the first call also allocates
    calls = _long_enough(play, seconds)
    ours: list[Run] = []
    theirs = [_Side(peer, peer.num_envs or batch, seconds) for peer in peers]
    for _ in range(repeats):
        ours.append(play(calls))
        for side in theirs:
            if side.used_s < peer_seconds:
                side.play()
    return ours, [side.failed or side.runs for side in theirs], carry


class _Side:
    """A peer and its runs so far, or why it goes on no more."""

    def __init__(self, peer: Peer, num_envs: int, seconds: float) -> None:
        self.peer, self.num_envs = peer, num_envs
        self.runs: list[Run] = []
        self.failed: PeerFailed | None = None
        with self._noting_failure():
            self.num_steps = _long_enough(self._run, seconds)

    @property
    def used_s(self) -> float:
        return sum(run.seconds for run in self.runs)

    def play(self) -> None:
        if self.failed is None:
            with self._noting_failure():
                self.runs.append(self._run(self.num_steps))

    @contextlib.contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except PeerFailed as error:
            self.failed = error

    def _run(self, num_steps: int) -> Run:
        started, before = time.perf_counter(), self.peer.cost().processor_s
        self.peer.run(self.num_envs, num_steps)
        seconds = time.perf_counter() - started
        return Run(self.num_envs * num_steps, seconds, self.peer.cost().processor_s - before)


def _long_enough(play: Callable[[int], Run], seconds: float) -> int:
    """The number that `play` needs to take about `seconds`."""
    number = 1
    # The better of two, because a hiccup in a short run would be taken for a long run.
    while (taken := min(play(number).seconds, play(number).seconds)) < seconds / 4:
        number *= 4
    return max(1, round(number * seconds / taken))

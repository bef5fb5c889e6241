"""How fast an environment steps: by itself, under a policy, and under PPO, beside a peer.

Every row is one compiled program, `jit(scan(...))` over a batch, whose carry is donated and goes
round. Actions, masks, resets and randomness are inside. Each step writes its observation and its
reward to memory and adds those of the step before to a checksum, so none of it can be optimised
away. A timed run is as many calls as last `seconds`; ours and the peer's runs take turns, and the
figures are medians, so that a machine that slows down slows both.
"""

import dataclasses
import datetime
import gc
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ..envs.core import Environment, state_bytes
from ..envs.files import write_atomically
from ..envs.registry import make
from . import machine
from .equality import compare_devices
from .workloads import POLICIES, Program, Work, compile_work, env_work, ppo_work, rollout_work

KINDS = ("env", "rollout", "ppo")
RANDOM = "random legal"
MAX_SCAN = 128  # steps in one call; more gain nothing

Progress = Callable[[int, int, str], None]
"""Called with (rows done, rows in all, what comes next)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BenchOptions:
    """What to measure. Raises ValueError, naming the field, for what cannot be measured."""

    env: str = "PufferPong-v0"
    """Name in the registry."""
    variants: tuple[Mapping[str, Any], ...] = ({},)
    """Keyword arguments of `make`, one set of rows for each."""
    what: tuple[str, ...] = KINDS
    """Of "env" (random legal actions), "rollout" (a policy acts), "ppo" (it also learns)."""
    batches: tuple[int, ...] = (1024, 4096, 65536)
    """Environments side by side, for "env" and "rollout"."""
    ppo_batches: tuple[int, ...] = (1024,)
    """The same for "ppo"."""
    policies: tuple[str, ...] = tuple(POLICIES)
    """Of `POLICIES`."""
    repeats: int = 5
    """Timed runs of a row."""
    seconds: float = 0.5
    """Least duration of a timed run."""
    steps_per_call: int = 2**22
    """Environment steps of one call of the compiled loop, at most; at least one step each."""
    prng: str = "threefry2x32"
    """JAX's generator."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("what", KINDS), ("policies", tuple(POLICIES))):
            values = getattr(self, name)
            if not values or not set(values) <= set(known):
                raise ValueError(f"{name}={values!r}: choose one or more of {known}")
        for name in ("batches", "ppo_batches"):
            sizes = getattr(self, name)
            if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
                raise ValueError(f"{name}={sizes!r} must hold integers of at least 1")
        for name in ("repeats", "seconds", "steps_per_call"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be above 0")

    @classmethod
    def quick(cls, **changes: Any) -> "BenchOptions":
        """Small enough for a test or a notebook; the figures are rough."""
        small: dict[str, Any] = {"batches": (1024, 16384), "ppo_batches": (256,)}
        small |= {"policies": ("mlp",), "repeats": 3, "seconds": 0.1, "steps_per_call": 2**18}
        return cls(**(small | changes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Peer:
    """Another program that plays the same environment, timed in turns with ours."""

    name: str
    run: Callable[[int, int], object]
    """(num_envs, num_steps): plays that many random steps of each environment, then returns."""
    cores: int
    """How many it uses. With 1, it is compared with our program held on one core."""
    num_envs: int = 1024
    """The batch at which it runs best; it is not held to ours."""
    variant: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The variant of the options that it plays."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. Steps are environment steps, over the whole batch."""

    env: str
    what: str
    variant: Mapping[str, Any]
    frameskip: int
    batch: int
    policy: str
    num_params: int | None = None
    devices: int
    cores: int | None
    """Processor cores that it was allowed; None on an accelerator."""
    repeats: int = 0
    steps_per_s: float | None = None
    min_steps_per_s: float | None = None
    max_steps_per_s: float | None = None
    cores_used: float | None = None
    """Processor seconds per second of wall clock."""
    peer: str | None = None
    peer_cores: int | None = None
    peer_batch: int | None = None
    peer_steps_per_s: float | None = None
    ratio: float | None = None
    """Ours over the peer's: the median over pairs of runs."""
    compile_s: float | None = None
    state_bytes: int | None = None
    """Of one environment."""
    peak_bytes: int | None = None
    """Of the compiled program: arguments, results and temporaries, the whole batch, one device."""
    device_peak_bytes: int | None = None
    """The allocator's high-water mark since the process began, where the device tells it."""
    bytes_per_s: float | None = None
    """State and observation, read and written once a step: the traffic that cannot be avoided."""
    roofline: float | None = None
    """`bytes_per_s` over the measured memory bandwidth; accelerators only."""
    error: str | None = None
    """Why there is no figure."""


def run(
    options: BenchOptions, peers: Sequence[Peer] = (), progress: Progress | None = None
) -> dict[str, Any]:
    """Measure everything that the options name; the result goes to `write`, `table` or `markdown`.

    On processors the environment by itself is timed twice: with the whole process held on one
    core, against the peers that use one, and on all of them, against the others. To use all of
    them, JAX has to see several devices: set `jax_num_cpu_devices` before it first computes.
    An accelerator is compared with the peer that uses the most cores.
    Raises ValueError for an unknown environment or variant, for a batch that the devices cannot
    share evenly, and where JAX was told not to use the processor.
    """
    # First, because figures of a program that computes something else are worth nothing.
    equality = [
        {"variant": dict(variant), **compare_devices(*make(options.env, **variant))}
        for variant in options.variants
    ]
    host = machine.describe()
    accelerator = host["platform"] != "cpu"
    if accelerator:
        host["memory_bytes_per_s"] = machine.memory_bandwidth(jax.devices()[0])
    cases = [case for variant in options.variants for case in _cases(options, variant, peers)]
    rows: list[Row] = []
    for done, case in enumerate(cases):
        if progress:
            progress(done, len(cases), str(case))
        rows.append(_measure(case, options, host))
    if progress:
        progress(len(cases), len(cases), "done")
    return {
        "machine": host,
        "versions": machine.versions(),
        "commit": machine.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "prng": options.prng,
        "equality": equality,
        "rows": [dataclasses.asdict(row) for row in rows],
    }


class Case(NamedTuple):
    """One row to be."""

    env: Environment
    params: Any
    variant: Mapping[str, Any]
    what: str
    batch: int
    policy: str
    devices: Sequence[jax.Device]
    pinned: bool
    peer: Peer | None

    def __str__(self) -> str:
        place = "one core" if self.pinned else f"{len(self.devices)} device(s)"
        return f"{self.env.name} {self.what}, {self.batch} environments, {self.policy}, {place}"

    def work(self, options: BenchOptions) -> Work:
        share = self.batch // len(self.devices)
        length = max(1, min(MAX_SCAN, options.steps_per_call // share))
        match self.what:
            case "env":
                return env_work(self.env, self.params, share, length)
            case "rollout":
                return rollout_work(self.env, self.params, share, length, self.policy)
            case _:
                return ppo_work(self.env, self.params, share, self.policy)


def _cases(
    options: BenchOptions, variant: Mapping[str, Any], peers: Sequence[Peer]
) -> Iterator[Case]:
    env, params = make(options.env, **variant)
    devices = jax.devices()
    on_cpu = devices[0].platform == "cpu"
    peers = [peer for peer in peers if peer.variant == variant]
    most = max((peer.cores for peer in peers), default=0)
    one_core: list[Peer | None] = [peer for peer in peers if peer.cores == 1]
    all_cores: list[Peer | None] = [
        peer for peer in peers if peer.cores == most and (peer.cores > 1 or not on_cpu)
    ]
    for what in options.what:
        for batch in options.ppo_batches if what == "ppo" else options.batches:
            if what == "env":
                if batch % len(devices):
                    raise ValueError(
                        f"a batch of {batch} cannot be shared evenly by {len(devices)} devices"
                    )
                if on_cpu and machine.can_pin():
                    for peer in one_core or [None]:
                        yield Case(
                            env, params, variant, what, batch, RANDOM, devices[:1], True, peer
                        )
                for peer in all_cores or [None]:
                    yield Case(env, params, variant, what, batch, RANDOM, devices, False, peer)
            else:
                for policy in options.policies:
                    yield Case(env, params, variant, what, batch, policy, devices[:1], False, None)


def _measure(case: Case, options: BenchOptions, host: Mapping[str, Any]) -> Row:
    env, on_cpu = case.env, host["platform"] == "cpu"
    _, state = jax.eval_shape(env.reset, jax.random.key(0), case.params)
    space = env.observation_space(case.params)
    observation_bytes = int(np.prod(space.shape)) * np.dtype(space.dtype).itemsize
    row = Row(
        env=env.name,
        what=case.what,
        variant=dict(case.variant),
        frameskip=case.variant.get("frameskip", 1),
        batch=case.batch,
        policy=case.policy,
        devices=len(case.devices),
        cores=(1 if case.pinned else host["cores"]) if on_cpu else None,
        state_bytes=state_bytes(state),
    )
    place: AbstractContextManager[None] = nullcontext()
    if case.pinned:
        place = machine.pinned_to_one_core()
    try:
        with place:
            work = case.work(options)
            key = jax.random.key(options.seed, impl=options.prng)
            program = compile_work(work, case.devices, key)
            ours, theirs, cores_used = _take_turns(program, case.peer, options)
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return dataclasses.replace(row, error=f"out of memory: {str(error).splitlines()[0]}")
    finally:
        gc.collect()  # the next row needs the memory
    speed = statistics.median(ours)
    row = dataclasses.replace(
        row,
        num_params=work.num_params,
        repeats=len(ours),
        steps_per_s=speed,
        min_steps_per_s=min(ours),
        max_steps_per_s=max(ours),
        compile_s=program.compile_s,
        peak_bytes=program.peak_bytes,
        device_peak_bytes=(case.devices[0].memory_stats() or {}).get("peak_bytes_in_use"),
        cores_used=cores_used if on_cpu else None,
    )
    if case.what == "env":
        traffic = speed * 2 * (state_bytes(state) + observation_bytes)
        bandwidth = host.get("memory_bytes_per_s", 0) * len(case.devices)
        roofline = traffic / bandwidth if bandwidth else None
        row = dataclasses.replace(row, bytes_per_s=traffic, roofline=roofline)
    if case.peer is not None:
        row = dataclasses.replace(
            row,
            peer=case.peer.name,
            peer_cores=case.peer.cores,
            peer_batch=case.peer.num_envs,
            peer_steps_per_s=statistics.median(theirs),
            ratio=statistics.median(a / b for a, b in zip(ours, theirs, strict=True)),
        )
    return row


def _take_turns(
    program: Program, peer: Peer | None, options: BenchOptions
) -> tuple[list[float], list[float], float]:
    """(our steps/s, the peer's, our processor seconds a second), by run."""
    carry = program.carry

    def play(calls: int) -> float:
        nonlocal carry
        started = time.perf_counter()
        for _ in range(calls):
            carry = program.call(carry)
        jax.block_until_ready(carry)
        return time.perf_counter() - started

    def play_peer(num_steps: int) -> float:
        assert peer is not None
        started = time.perf_counter()
        peer.run(peer.num_envs, num_steps)
        return time.perf_counter() - started

    play(1)  # the first call also allocates
    calls = _long_enough(play, options.seconds)
    num_steps = _long_enough(play_peer, options.seconds) if peer else 0
    ours, theirs, processor_s, wall_s = [], [], 0.0, 0.0
    for _ in range(options.repeats):
        before = time.process_time()
        seconds = play(calls)
        processor_s += time.process_time() - before
        wall_s += seconds
        ours.append(calls * program.steps / seconds)
        if peer:
            theirs.append(peer.num_envs * num_steps / play_peer(num_steps))
    return ours, theirs, processor_s / wall_s


def _long_enough(play: Callable[[int], float], seconds: float) -> int:
    """The number that `play` needs to take about `seconds`."""
    number = 1
    # The better of two, because a hiccup in a short run would be taken for a long run.
    while (taken := min(play(number), play(number))) < seconds / 4:
        number *= 4
    return max(1, round(number * seconds / taken))


def write(result: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """As JSON; `path` holds either what it held before or the whole result. Raises OSError."""
    write_atomically(Path(path), json.dumps(result, indent=2) + "\n")

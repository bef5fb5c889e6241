"""How fast an environment steps: by itself, under a policy, and under PPO, beside a peer.

Every row is one compiled program, `jit(scan(...))` over a batch, whose carry is donated and goes
round. Actions, masks, resets and randomness are inside. Each step writes its observation and its
reward to memory and adds those of the step before to a checksum, so none of it can be optimised
away. A timed run is as many calls as last `seconds`; ours and the peers' runs take turns, and the
figures are medians, so that a machine that slows down slows all.
"""

import dataclasses
import datetime
import functools
import gc
import itertools
import json
import os
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import jax

from ..envs.core import Environment, state_bytes
from ..envs.files import write_atomically
from ..envs.game import Game
from ..envs.registry import make
from . import machine
from .equality import compare_devices
from .turns import Peer, PeerFailed, Run, take_turns
from .workloads import (
    POLICIES,
    Work,
    answers_per_step,
    compile_work,
    env_work,
    ppo_work,
    rollout_work,
)

KINDS = ("env", "rollout", "ppo")
DYNAMICS = "dynamics"
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
    """Of "env" (random legal actions), "rollout" (a policy acts), "ppo" (it also learns), and
    "dynamics": "env" without observations."""
    batches: tuple[int, ...] = (1024, 4096, 65536)
    """Environments side by side, for all but "ppo"."""
    ppo_batches: tuple[int, ...] = (1024,)
    """The same for "ppo"."""
    policies: tuple[str, ...] = tuple(POLICIES)
    """Of `POLICIES`."""
    repeats: int = 5
    """Timed runs of a row."""
    seconds: float = 0.5
    """Least duration of a timed run."""
    peer_seconds: float = 30.0
    """A peer whose runs of one row took this long together is not run again for it; every peer is
    timed once at least."""
    steps_per_call: int = 2**22
    """Environment steps of one call of the compiled loop, at most; at least one step each."""
    prng: str = "threefry2x32"
    """JAX's generator."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("what", (DYNAMICS, *KINDS)), ("policies", tuple(POLICIES))):
            values = getattr(self, name)
            if not values or not set(values) <= set(known):
                raise ValueError(f"{name}={values!r}: choose one or more of {known}")
        for name in ("batches", "ppo_batches"):
            sizes = getattr(self, name)
            if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
                raise ValueError(f"{name}={sizes!r} must hold integers of at least 1")
        for name in ("repeats", "seconds", "peer_seconds", "steps_per_call"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be above 0")

    @classmethod
    def quick(cls, **changes: Any) -> "BenchOptions":
        """Small enough for a test or a notebook; the figures are rough."""
        small: dict[str, Any] = {"batches": (1024, 16384), "ppo_batches": (256,)}
        small |= {"policies": ("mlp",), "repeats": 3, "seconds": 0.1, "steps_per_call": 2**18}
        small |= {"peer_seconds": 5.0}
        return cls(**(small | changes))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One figure. Steps are environment steps, over the whole batch, unless they are called physics
    steps."""

    env: str
    what: str
    variant: Mapping[str, Any]
    frameskip: int
    """Physics steps, or frames, of one environment step."""
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
    physics_steps_per_s: float | None = None
    decisions_per_s: float | None = None
    """Of a game: answers of players who were asked. A step asks one or more of them."""
    cores_used: float | None = None
    """Processor seconds per second of wall clock."""
    peer: str | None = None
    peer_cores: int | None = None
    """None also where the peer runs on the accelerator."""
    peer_batch: int | None = None
    peer_repeats: int | None = None
    peer_steps_per_s: float | None = None
    ratio: float | None = None
    """Ours over the peer's: the median over pairs of runs."""
    per_core_ratio: float | None = None
    """The same of steps per processor second; processors only."""
    peer_compile_s: float | None = None
    peer_peak_bytes: int | None = None
    peer_error: str | None = None
    """Why there is no figure of the peer."""
    compile_s: float | None = None
    """JAX's and XLA's; not that of a kernel in C, which is kept from process to process."""
    state_bytes: int | None = None
    """Of one environment."""
    peak_bytes: int | None = None
    """Of the compiled program: arguments, results and temporaries, the whole batch, one device."""
    device_peak_bytes: int | None = None
    """The allocator's high-water mark since the process began, where the device tells it."""
    process_peak_bytes: int | None = None
    """Memory of this process at its highest since it began, compilation included."""
    bytes_per_s: float | None = None
    """State, and observation if any, read and written once a step: traffic that none can avoid."""
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
    An accelerator is compared with the peers that use it, and those that use the most cores.
    Raises ValueError for an unknown environment or variant, for what a game cannot do, for a batch
    that the devices cannot share evenly, and where JAX was told not to use the processor.
    """
    cases = list(_cases(options, peers))
    # Before them, because figures of a program that computes something else are worth nothing.
    equality = [
        {"variant": dict(variant), **compare_devices(*make(options.env, **variant))}
        for variant in options.variants
    ]
    host = machine.describe()
    accelerator = host["platform"] != "cpu"
    if accelerator:
        host["memory_bytes_per_s"] = machine.memory_bandwidth(jax.devices()[0])
    rows: list[Row] = []
    for done, case in enumerate(cases):
        if progress:
            progress(done, len(cases), str(case))
        rows += _measure(case, options, host)
    if progress:
        progress(len(cases), len(cases), "done")
    return {
        "machine": host,
        "versions": machine.versions(),
        "commit": machine.commit(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "prng": options.prng,
        "equality": equality,
        "peers": {peer.name: peer.about for peer in peers},
        "rows": [dataclasses.asdict(row) for row in rows],
    }


class Case(NamedTuple):
    """One program of ours, and the peers beside it: a row for each, or one row without any."""

    env: Environment
    params: Any
    variant: Mapping[str, Any]
    what: str
    batch: int
    policy: str
    devices: Sequence[jax.Device]
    pinned: bool
    peers: tuple[Peer, ...] = ()

    def __str__(self) -> str:
        place = "one core" if self.pinned else f"{len(self.devices)} device(s)"
        beside = "".join(f", {peer.name}" for peer in self.peers)
        what = f"{self.env.name} {self.what}, {self.batch} environments, {self.policy}"
        return f"{what}, {place}{beside}"

    def work(self, options: BenchOptions) -> Work:
        share = self.batch // len(self.devices)
        length = max(1, min(MAX_SCAN, options.steps_per_call // share))
        match self.what:
            case "env" | "dynamics":
                observe = self.what != DYNAMICS
                return env_work(self.env, self.params, share, length, observe=observe)
            case "rollout":
                return rollout_work(self.env, self.params, share, length, self.policy)
            case _:
                return ppo_work(self.env, self.params, share, self.policy)


def _cases(options: BenchOptions, peers: Sequence[Peer]) -> Iterator[Case]:
    """Batch by batch: a peer may have to be compiled anew for each."""
    devices = jax.devices()
    on_cpu = devices[0].platform == "cpu"
    made = [(variant, *make(options.env, **variant)) for variant in options.variants]
    alone = {"env", DYNAMICS}
    if not set(options.what) <= alone and (games := [m for m in made if isinstance(m[1], Game)]):
        raise ValueError(
            f"{games[0][1].name} is a game, which is measured by itself: choose of {sorted(alone)}"
        )
    for what in options.what:
        batches = options.ppo_batches if what == "ppo" else options.batches
        for batch, (variant, env, params) in itertools.product(batches, made):
            case = functools.partial(Case, env, params, variant, what, batch)
            if what in alone:
                one_core, everything = _opponents(variant, peers, on_cpu)
                if batch % len(devices):
                    raise ValueError(
                        f"a batch of {batch} cannot be shared evenly by {len(devices)} devices"
                    )
                if on_cpu and machine.can_pin():
                    yield case(RANDOM, devices[:1], True, one_core)
                yield case(RANDOM, devices, False, everything)
            else:
                for policy in options.policies:
                    yield case(policy, devices[:1], False)


def _opponents(
    variant: Mapping[str, Any], peers: Sequence[Peer], on_cpu: bool
) -> tuple[tuple[Peer, ...], tuple[Peer, ...]]:
    """(the peers of a program on one core, those of one that uses all that there is)"""
    able = [peer for peer in peers if peer.variant is None or peer.variant == variant]
    most = max((peer.cores or 0 for peer in able), default=0)
    return (
        tuple(peer for peer in able if peer.cores == 1),
        tuple(
            peer
            for peer in able
            if peer.cores is None
            or (most > int(on_cpu) and (peer.cores == most or peer.beside_all))
        ),
    )


def _measure(case: Case, options: BenchOptions, host: Mapping[str, Any]) -> list[Row]:
    env, on_cpu = case.env, host["platform"] == "cpu"
    observation, state = jax.eval_shape(env.reset, jax.random.key(0), case.params)
    row = Row(
        env=env.name,
        what=case.what,
        variant=dict(case.variant),
        frameskip=physics_steps(env),
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
            ours, theirs, carry = take_turns(
                program,
                case.peers,
                case.batch,
                repeats=options.repeats,
                seconds=options.seconds,
                peer_seconds=options.peer_seconds,
            )
    except jax.errors.JaxRuntimeError as error:
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        return [dataclasses.replace(row, error=f"out of memory: {str(error).splitlines()[0]}")]
    finally:
        gc.collect()  # the next row needs the memory
    speeds = [run.speed for run in ours]
    speed = statistics.median(speeds)
    row = dataclasses.replace(
        row,
        num_params=work.num_params,
        repeats=len(ours),
        steps_per_s=speed,
        min_steps_per_s=min(speeds),
        max_steps_per_s=max(speeds),
        physics_steps_per_s=speed * row.frameskip,
        compile_s=program.compile_s,
        peak_bytes=program.peak_bytes,
        device_peak_bytes=(case.devices[0].memory_stats() or {}).get("peak_bytes_in_use"),
        process_peak_bytes=machine.peak_memory(),
    )
    if on_cpu:
        used = sum(run.processor_s for run in ours) / sum(run.seconds for run in ours)
        row = dataclasses.replace(row, cores_used=used)
    if case.policy == RANDOM:
        answers = answers_per_step(carry)
        if answers is not None:
            row = dataclasses.replace(row, decisions_per_s=speed * answers)
        seen_bytes = state_bytes(observation) if case.what == "env" else 0
        traffic = speed * 2 * (state_bytes(state) + seen_bytes)
        bandwidth = host.get("memory_bytes_per_s", 0) * len(case.devices)
        roofline = traffic / bandwidth if bandwidth else None
        row = dataclasses.replace(row, bytes_per_s=traffic, roofline=roofline)
    beside = zip(case.peers, theirs, strict=True)
    return [_compare(row, ours, peer, runs) for peer, runs in beside] or [row]


def physics_steps(env: Environment) -> int:
    """Physics steps, or frames, of one environment step: what its configuration calls frame_skip,
    or frameskip; 1 without either."""
    names = ("frame_skip", "frameskip")
    return next((getattr(env.config, name) for name in names if hasattr(env.config, name)), 1)


def _compare(row: Row, ours: Sequence[Run], peer: Peer, theirs: list[Run] | PeerFailed) -> Row:
    """The row, and how the peer did beside it."""
    row = dataclasses.replace(
        row,
        peer=peer.name,
        peer_cores=peer.cores,
        peer_batch=peer.num_envs or row.batch,
    )
    if isinstance(theirs, PeerFailed):
        return dataclasses.replace(row, peer_error=str(theirs))
    pairs = list(zip(ours, theirs, strict=False))  # a slow peer has fewer runs
    per_core = None
    if row.cores and peer.cores:
        per_core = statistics.median(a.per_processor_s / b.per_processor_s for a, b in pairs)
    _, compile_s, peak_bytes = peer.cost()
    return dataclasses.replace(
        row,
        peer_repeats=len(theirs),
        peer_steps_per_s=statistics.median(run.speed for run in theirs),
        ratio=statistics.median(a.speed / b.speed for a, b in pairs),
        per_core_ratio=per_core,
        peer_compile_s=compile_s,
        peer_peak_bytes=peak_bytes,
    )


def write(result: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """As JSON; `path` holds either what it held before or the whole result. Raises OSError."""
    write_atomically(Path(path), json.dumps(result, indent=2) + "\n")

"""PufferLib 3.0.0's Pong: the pinned `pong.h`, compiled on first use and driven in-process."""

import ctypes
import functools
import hashlib
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from ..core import (
    DrawLog,
    Outcome,
    ReferenceUnavailable,
    SingleReference,
    Snapshot,
    TapeError,
    VectorReference,
)
from ..fetch import compile_library, fetch_sdist

VERSION = "3.0.0"
SDIST_SHA256 = "7df3a3e3f5f894d78d2a1f5374097890aec01473183e748abefe4f3faa10eaa9"
HEADER = Path("pufferlib/ocean/pong/pong.h")
HEADER_SHA256 = "47c08b8ed9f90c92bb6569cdc0be6999f1586f5abe11cf7777a6b9861a74f669"
HERE = Path(__file__).parent

FLAGS = ("-O2", "-ffp-contract=off")
RAND_BOUND = 2**31
OBSERVATION_SIZE = 8
NUM_ACTIONS = 3
MAX_DRAWS = 4  # shim.c

# The keyword arguments of pong.py and their defaults.
DEFAULTS: dict[str, float] = {
    "width": 500,
    "height": 640,
    "paddle_width": 20,
    "paddle_height": 70,
    "ball_width": 32,
    "ball_height": 32,
    "paddle_speed": 8,
    "ball_initial_speed_x": 10,
    "ball_initial_speed_y": 1,
    "ball_speed_y_increment": 3,
    "ball_max_speed_y": 13,
    "max_score": 21,
    "frameskip": 1,
    "continuous": 0,
}

_C_TYPES = {"float": ctypes.c_float, "int": ctypes.c_int, "unsigned int": ctypes.c_uint}


def header_path() -> Path:
    """The pinned pong.h on this machine. Raises ReferenceUnavailable, also for a changed one."""
    source = fetch_sdist("pufferlib", VERSION, SDIST_SHA256)
    header = source / HEADER
    if not header.is_file() or hashlib.sha256(header.read_bytes()).hexdigest() != HEADER_SHA256:
        raise ReferenceUnavailable(
            f"{header} is not that of pufferlib {VERSION}; delete {source}, and it is fetched again"
        )
    return header


def parse_struct(header: str, name: str, types: dict[str, Any]) -> type[ctypes.Structure]:
    """`struct name` of a C header as a ctypes Structure, so that no field can be forgotten."""
    match = re.search(rf"struct {name} \{{(.*?)\}};", header, re.DOTALL)
    assert match is not None, f"struct {name} is not in the header"
    fields = []
    for declaration in match[1].split(";")[:-1]:
        c_type, field = re.fullmatch(r"\s*(.*?[\s*])(\w+)", declaration).groups()  # type: ignore[union-attr]
        c_type = c_type.strip()
        fields.append((field, ctypes.c_void_p if c_type.endswith("*") else types[c_type]))
    return type(name, (ctypes.Structure,), {"_fields_": fields})


class _Draws(ctypes.Structure):
    _fields_ = (
        ("stream", ctypes.c_uint64),
        ("forced", ctypes.c_int32),
        ("count", ctypes.c_int32),
        ("value", ctypes.c_int64 * MAX_DRAWS),
        ("tape", ctypes.c_int64 * MAX_DRAWS),
    )


@functools.cache
def _load(flags: tuple[str, ...]) -> tuple[ctypes.CDLL, np.dtype]:
    """The compiled shim and the layout of its struct Pong."""
    header = header_path()
    library = ctypes.CDLL(
        str(
            compile_library(
                "pong",
                [HERE / "shim.c"],
                [header, HERE / "stub" / "raylib.h", HERE.parent / "instrument.h"],
                (*flags, f"-I{HERE / 'stub'}", f"-I{header.parent}"),
            )
        )
    )
    text = header.read_text()
    log = parse_struct(text, "Log", _C_TYPES)
    env = parse_struct(text, "Pong", _C_TYPES | {"Log": log})
    for name, structure in (("env", env), ("draws", _Draws)):
        sizeof = getattr(library, f"simlift_sizeof_{name}")
        sizeof.restype = ctypes.c_size_t
        assert sizeof() == ctypes.sizeof(structure), f"the layout of {name} differs from the C one"
    pointer, number = ctypes.c_void_p, ctypes.c_int
    library.simlift_init.argtypes = [pointer, number]
    library.simlift_reset.argtypes = [pointer, pointer, number]
    library.simlift_step.argtypes = [pointer, pointer, number]
    play = library.simlift_random_play
    play.argtypes = [pointer, pointer, number, ctypes.c_long, ctypes.c_uint64]
    play.restype = ctypes.c_float
    return library, np.dtype(env)


class VectorPong(VectorReference):
    """A batch of upstream Pongs. Actions: int [B] in {0, 1, 2}, or float32 [B] when continuous.

    Keyword arguments are upstream's (`DEFAULTS`). `flags` are the C compiler's: the default is the
    reference; other flags may change the rounding and are for benchmarks and instrumented builds
    (instrument.h, in `library`).
    """

    name = "pufferlib-pong"
    version = VERSION
    draw_sites = ("serve",)
    draw_bounds = (RAND_BOUND,)

    def __init__(self, num_envs: int, *, flags: Sequence[str] = FLAGS, **parameters: Any) -> None:
        if unknown := parameters.keys() - DEFAULTS.keys():
            raise ValueError(f"unknown parameters {sorted(unknown)}; there are {sorted(DEFAULTS)}")
        self.num_envs = num_envs
        self.library, layout = _load(tuple(flags))
        self._envs = np.zeros(num_envs, layout)
        self._draws = np.zeros(num_envs, np.dtype(_Draws))
        self._draws["forced"] = -1
        self._buffers: dict[str, np.ndarray] = {
            "observations": np.zeros((num_envs, OBSERVATION_SIZE), np.float32),
            "actions": np.zeros(num_envs, np.float32),
            "rewards": np.zeros(num_envs, np.float32),
            "terminals": np.zeros(num_envs, np.uint8),
        }
        for name, buffer in self._buffers.items():
            self._envs[name] = buffer.ctypes.data + np.arange(num_envs) * buffer.strides[0]
        for name, value in (DEFAULTS | parameters).items():
            self._envs[name] = value
        self.continuous = bool((DEFAULTS | parameters)["continuous"])
        self.library.simlift_init(self._envs.ctypes.data, num_envs)
        self._numbers = [
            (name, kind)
            for name, (kind, *_) in (layout.fields or {}).items()
            if name != "client" and name not in self._buffers
        ]

    def reset(self, seed: int) -> Outcome:
        self._draws["stream"] = np.random.SeedSequence(seed).generate_state(
            self.num_envs, np.uint64
        )
        self._buffers["rewards"][:] = 0
        self._buffers["terminals"][:] = 0
        self._call(self.library.simlift_reset)
        return self._outcome()

    def step(self, actions: np.ndarray) -> Outcome:
        self._buffers["actions"][:] = self._checked(actions)
        self._call(self.library.simlift_step)
        return self._outcome()

    def draws(self) -> DrawLog:
        return DrawLog(
            count=self._draws["count"].copy(),
            site=np.zeros((self.num_envs, MAX_DRAWS), np.int16),
            value=self._draws["value"].copy(),
        )

    def force(self, draws: DrawLog) -> None:
        if draws.count.max(initial=0) > MAX_DRAWS:
            raise TapeError(f"{self.name}: at most {MAX_DRAWS} draws can be forced for one call")
        self._draws["forced"] = draws.count
        width = min(MAX_DRAWS, draws.value.shape[1])
        self._draws["tape"][:, :width] = draws.value[:, :width]

    def snapshot(self) -> dict[str, np.ndarray]:
        """Every number of struct Pong by upstream's name (the log's as log_<name>), the buffers and
        the generator's stream."""
        fields = {}
        for name, kind in self._numbers:
            if kind.fields:
                for part in kind.fields:
                    fields[f"{name}_{part}"] = self._envs[name][part].copy()
            else:
                fields[name] = self._envs[name].copy()
        fields |= {name: buffer.copy() for name, buffer in self._buffers.items()}
        return fields | {"stream": self._draws["stream"].copy()}

    def restore(self, snapshot: Snapshot) -> None:
        """Raises ValueError unless the snapshot has exactly the fields that `snapshot` gives."""
        if wrong := self.snapshot().keys() ^ snapshot.keys():
            raise ValueError(f"{self.name}: missing or unknown snapshot fields {sorted(wrong)}")
        for name, kind in self._numbers:
            if kind.fields:
                for part in kind.fields:
                    self._envs[name][part] = snapshot[f"{name}_{part}"]
            else:
                self._envs[name] = snapshot[name]
        for name, buffer in self._buffers.items():
            buffer[:] = snapshot[name]
        self._draws["stream"] = snapshot["stream"]

    def _call(self, function: Any) -> None:
        function(self._envs.ctypes.data, self._draws.ctypes.data, self.num_envs)
        forced = self._draws["forced"].copy()
        self._draws["forced"] = -1
        wrong = (forced >= 0) & (forced != self._draws["count"])
        if wrong.any():
            i = int(np.argmax(wrong))
            raise TapeError(
                f"{self.name}: instance {i} consumed {self._draws['count'][i]} draws at site "
                f"'serve', the tape holds {forced[i]}"
            )

    def _checked(self, actions: np.ndarray) -> np.ndarray:
        actions = np.asarray(actions)
        wanted = np.floating if self.continuous else np.integer
        if actions.shape != (self.num_envs,) or not np.issubdtype(actions.dtype, wanted):
            raise ValueError(
                f"{self.name}: actions are {actions.dtype}{list(actions.shape)}, expected "
                f"{wanted.__name__}[{self.num_envs}]"
            )
        if self.continuous:
            return np.clip(actions, -1.0, 1.0)  # as pong.py does
        if actions.size and not (actions.min() >= 0 and actions.max() < NUM_ACTIONS):
            raise ValueError(f"{self.name}: actions must be 0 (stay), 1 (up) or 2 (down)")
        return actions

    def _outcome(self) -> Outcome:
        return Outcome(
            observation=self._buffers["observations"].copy(),
            reward=self._buffers["rewards"].copy(),
            terminated=self._buffers["terminals"].astype(bool),
            truncated=np.zeros(self.num_envs, bool),
        )


class PongReference(SingleReference):
    """One upstream Pong."""

    name = VectorPong.name
    version = VectorPong.version

    def __init__(self, **parameters: Any) -> None:
        super().__init__(VectorPong(1, **parameters))


def random_play(
    num_envs: int,
    num_steps: int,
    *,
    threads: int | None = None,
    frameskip: int = 1,
    flags: Sequence[str] = FLAGS,
    seed: int = 0,
) -> float:
    """The benchmark's peer: `num_steps` uniformly random steps of `num_envs` environments in C,
    spread over `threads` (all cores by default). Returns a checksum."""
    threads = min(num_envs, threads or os.cpu_count() or 1)
    shares = [num_envs // threads + (i < num_envs % threads) for i in range(threads)]
    batches = [VectorPong(share, flags=flags, frameskip=frameskip) for share in shares]

    def play(i: int) -> float:
        batch = batches[i]
        batch.reset(seed + i)
        return batch.library.simlift_random_play(
            batch._envs.ctypes.data, batch._draws.ctypes.data, batch.num_envs, num_steps, seed + i
        )

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(play, range(threads)))

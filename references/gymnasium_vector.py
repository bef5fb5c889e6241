"""Gymnasium's environments as installed, driven in-process in batches, each with a generator that
logs in place of its own.

Nothing of them is copied or changed: `gymnasium.make` builds them with their TimeLimit, and
`env.unwrapped.np_random` is a `Dice`.
"""

import abc
import contextlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .core import (
    DrawLog,
    Outcome,
    ReferenceUnavailable,
    Snapshot,
    TapeError,
    VectorReference,
)
from .vector import instance_seed, next_seed

FIRST, BEFORE = (1, 1), (1, 4)
"""The versions of gymnasium whose environments were read: FIRST <= version < BEFORE."""
RANGE = "gymnasium>={}.{},<{}.{}".format(*FIRST, *BEFORE)

BOUNDS = {"uniform": 2**53, "standard_normal": 2**64}
"""The methods of numpy's generator that are logged, and out of how many each draws: the integer
behind a uniform double, and the bits of a normal one, read as int64."""


def installed_version(package: str = "gymnasium") -> str | None:
    """The version of a package on this machine; None without one."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def source_path(*parts: str) -> Path:
    """Where a file of gymnasium's package lies, or would."""
    spec = importlib.util.find_spec("gymnasium")
    root = Path(spec.origin).parent if spec and spec.origin else Path("gymnasium")
    return root.joinpath(*parts)


def check_gymnasium(name: str, remedy: str) -> str:
    """The installed version. Raises ReferenceUnavailable where there is none, or an unknown one."""
    version = installed_version()
    if version is None:
        raise ReferenceUnavailable(f"{name} needs gymnasium: {remedy}")
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if not FIRST <= found < BEFORE:
        raise ReferenceUnavailable(
            f"{name} was read in {RANGE}, and {version} is installed: {remedy}"
        )
    return version


class Dice(np.random.Generator):
    """numpy's own stream, each number logged as an integer, see BOUNDS, beside the name of its
    method. Integers on a tape, where there is one, are dealt instead."""

    def __init__(self, seed: int, tape: Sequence[int] | np.ndarray | None = None) -> None:
        super().__init__(np.random.PCG64(seed))
        self.methods: list[str] = []
        self.log: list[int] = []
        self._tape = tape

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """`low + (high - low) * n / 2**53`, as numpy computes it."""
        own = np.asarray(self.random(size))
        dealt = self._deal("uniform", np.ravel(own * BOUNDS["uniform"]).astype(np.int64))
        return low + (high - low) * (dealt / BOUNDS["uniform"]).reshape(own.shape)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:
        """float64 only, in an array of its own."""
        assert np.dtype(dtype) == np.float64 and out is None, "only doubles are logged"
        own = np.asarray(super().standard_normal(size))
        dealt = self._deal("standard_normal", np.ravel(own).view(np.int64))
        return dealt.view(np.float64).reshape(own.shape)

    def _deal(self, method: str, own: np.ndarray) -> np.ndarray:
        first = len(self.log)
        dealt = own if self._tape is None else np.asarray(self._tape[first : first + own.size])
        self.methods += [method] * own.size
        self.log += dealt.tolist()
        return dealt


class VectorGymnasium(VectorReference):
    """A batch of Gymnasium's environments, each reset in the call in which its episode ends:
    `observation` is the new episode's then, `final_observation` the old one's. Steps draw nothing.

    The seed of an episode follows from that of the one before, as in SerialVector. Subclasses name
    beside `draw_sites`, site by site in the order of a reset, `draw_methods`, the generator's that
    are called there, and `draw_counts`, how many numbers each gives.
    """

    draw_methods: tuple[str, ...]
    draw_counts: tuple[int, ...]

    def __init__(self, num_envs: int, version: str, **options: Any) -> None:
        """options: what `gymnasium.make` is given, see `_make`."""
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}; a batch has at least one instance")
        self.num_envs, self.version = num_envs, version
        with self._expected_warnings():
            self._envs = [self._make(**options) for _ in range(num_envs)]
        self._bare = [env.unwrapped for env in self._envs]
        self._seeds = np.zeros(num_envs, np.uint64)
        self._sites = np.repeat(np.arange(len(self.draw_sites), dtype=np.int16), self.draw_counts)
        self._counts = np.zeros(num_envs, np.int32)
        self._values = np.zeros((num_envs, len(self._sites)), np.int64)
        self._tape: DrawLog | None = None

    @abc.abstractmethod
    def _make(self, **options: Any) -> Any:
        """One environment, TimeLimit outermost."""

    @abc.abstractmethod
    def _checked(self, actions: np.ndarray) -> Sequence[Any]:
        """An action for each environment; ValueError where upstream has no meaning for one."""

    def _expected_warnings(self) -> contextlib.AbstractContextManager[Any]:
        """Silences what upstream is known to warn of and is meant here."""
        return contextlib.nullcontext()

    def reset(self, seed: int) -> Outcome:
        tape = self._begin()
        self._seeds[:] = [instance_seed(seed, i) for i in range(self.num_envs)]
        with self._expected_warnings():
            start = [self._reset_one(i, tape) for i in range(self.num_envs)]
        ended = np.zeros(self.num_envs, bool)
        return Outcome(
            observation=np.stack(start),
            reward=np.zeros(self.num_envs, np.float32),
            terminated=ended,
            truncated=ended.copy(),
        )

    def step(self, actions: np.ndarray) -> Outcome:
        checked = self._checked(np.asarray(actions))
        tape = self._begin()
        with self._expected_warnings():
            rows = [env.step(a) for env, a in zip(self._envs, checked, strict=True)]
            columns = list(zip(*rows, strict=True))
            seen, reward, terminated, truncated = (np.array(column) for column in columns[:4])
            final = seen.copy()
            ended = terminated | truncated
            for i in np.flatnonzero(ended).tolist():
                self._seeds[i] = next_seed(int(self._seeds[i]))
                seen[i] = self._reset_one(i, tape)
        if tape is not None and (left := (tape.count > 0) & ~ended).any():
            i = int(np.argmax(left))
            raise TapeError(
                f"{self.name}: the draw at site {self.draw_sites[tape.site[i, 0]]!r} was not "
                f"consumed: it is for a reset, and the episode of instance {i} goes on"
            )
        return Outcome(
            observation=seen,
            reward=reward.astype(np.float32),
            terminated=terminated,
            truncated=truncated,
            final_observation=final,
        )

    def draws(self) -> DrawLog:
        """Those of resets; a step itself draws nothing."""
        return DrawLog(
            count=self._counts.copy(),
            site=np.tile(self._sites, (self.num_envs, 1)),
            value=self._values.copy(),
            step_count=np.zeros(self.num_envs, np.int32),
        )

    def force(self, draws: DrawLog) -> None:
        self._tape = draws

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _check_fields(self, snapshot: Snapshot, fields: frozenset[str]) -> None:
        if wrong := fields ^ snapshot.keys():
            raise ValueError(f"{self.name}: missing or unknown snapshot fields {sorted(wrong)}")

    def _snapshot_episodes(self) -> dict[str, np.ndarray]:
        """elapsed_steps and max_episode_steps, of TimeLimit: int64 [B]; episode_seed: uint64 [B]"""
        return {
            "elapsed_steps": np.array([env._elapsed_steps for env in self._envs]),
            "max_episode_steps": np.array([env._max_episode_steps for env in self._envs]),
            "episode_seed": self._seeds.copy(),
        }

    def _restore_episodes(self, snapshot: Snapshot) -> None:
        elapsed, limit = (
            np.asarray(snapshot[name]).tolist() for name in ("elapsed_steps", "max_episode_steps")
        )
        for i, env in enumerate(self._envs):
            env._elapsed_steps, env._max_episode_steps = elapsed[i], limit[i]
        self._seeds[:] = snapshot["episode_seed"]

    def _begin(self) -> DrawLog | None:
        """Nothing is drawn yet; the tape that was given for this call."""
        self._counts[:], self._values[:] = 0, 0
        tape, self._tape = self._tape, None
        return tape

    def _reset_one(self, i: int, tape: DrawLog | None) -> np.ndarray:
        forced = None
        if tape is not None:
            forced = tape.value[i, : tape.count[i]]
            self._check_tape(tape.site[i, : tape.count[i]])
        dice = self._bare[i].np_random = Dice(int(self._seeds[i]), forced)
        observation, _ = self._envs[i].reset()
        methods = [self.draw_methods[site] for site in self._sites]
        assert dice.methods == methods, f"a reset of {self.name} draws otherwise: {dice.methods}"
        self._counts[i], self._values[i] = len(dice.log), dice.log
        return observation

    def _check_tape(self, sites: np.ndarray) -> None:
        for index, (site, count) in enumerate(zip(self.draw_sites, self.draw_counts, strict=True)):
            if (held := np.count_nonzero(sites == index)) != count:
                raise TapeError(
                    f"{self.name}: a reset consumes {count} draws at site {site!r}, the tape holds "
                    f"{held}"
                )
        if (wrong := sites != self._sites).any():
            first = int(np.argmax(wrong))
            raise TapeError(
                f"{self.name}: draw {first} of a reset is at site "
                f"{self.draw_sites[self._sites[first]]!r}, on the tape at "
                f"{self.draw_sites[sites[first]]!r}"
            )

"""Gymnasium's CartPole-v1 as installed, driven in-process, its generator replaced by one that logs.

Nothing of it is copied or changed: `gymnasium.make` builds it with its TimeLimit, parameters are
the attributes that its constructor sets, and `env.unwrapped.np_random` is a `Dice`.
"""

import importlib.metadata
import importlib.util
import operator
import re
import warnings
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
from ..vector import instance_seed, next_seed

NAME = "gymnasium-cart-pole"
FIRST, BEFORE = (1, 1), (1, 4)
"""The versions of gymnasium whose CartPole-v1 was read: FIRST <= version < BEFORE."""
RANGE = "gymnasium>={}.{},<{}.{}".format(*FIRST, *BEFORE)
REMEDY = f"pip install 'simlift[evidence]', or '{RANGE}'"

STATE = ("x", "x_dot", "theta", "theta_dot")
NUMBERS = (
    "gravity",
    "masscart",
    "masspole",
    "total_mass",
    "length",
    "polemass_length",
    "force_mag",
    "tau",
    "theta_threshold_radians",
    "x_threshold",
)
INTEGRATORS = ("euler", "semi-implicit euler")
"""Upstream takes whatever is not "euler" for semi-implicit."""
NOT_TERMINATED = -1  # stands for None in `steps_beyond_terminated`
DRAW_BOUND = 2**53
NUM_DRAWS = 4
BEYOND = r".*You are calling 'step\(\)' even though"

_read_numbers = operator.attrgetter(*NUMBERS)
_FIELDS = {
    *STATE,
    *NUMBERS,
    "elapsed_steps",
    "max_episode_steps",
    "steps_beyond_terminated",
    "kinematics_integrator",
    "sutton_barto_reward",
    "episode_seed",
}


def installed_version() -> str | None:
    """The version of gymnasium on this machine; None without one."""
    try:
        return importlib.metadata.version("gymnasium")
    except importlib.metadata.PackageNotFoundError:
        return None


def source_path(*parts: str) -> Path:
    """Where a file of gymnasium's package lies, or would."""
    spec = importlib.util.find_spec("gymnasium")
    root = Path(spec.origin).parent if spec and spec.origin else Path("gymnasium")
    return root.joinpath(*parts)


def _make(**kwargs: Any) -> Any:
    """Upstream's environment. Raises ReferenceUnavailable where it, or a known version, is not."""
    version = installed_version()
    if version is None:
        raise ReferenceUnavailable(f"{NAME} needs gymnasium: {REMEDY}")
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if not FIRST <= found < BEFORE:
        raise ReferenceUnavailable(
            f"{NAME} was read in {RANGE}, and {version} is installed: {REMEDY}"
        )
    import gymnasium

    return gymnasium.make("CartPole-v1", disable_env_checker=True, **kwargs)


class Dice(np.random.Generator):
    """numpy's own stream, each uniform number logged as the 53-bit integer behind the double.

    Integers on a tape, where there is one, are dealt instead.
    """

    def __init__(self, seed: int, tape: np.ndarray | None = None) -> None:
        super().__init__(np.random.PCG64(seed))
        self.log: list[int] = []
        self._tape = tape

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """`low + (high - low) * n / 2**53`, as numpy computes it."""
        doubles = self.random(size)
        if self._tape is not None:
            first, last = len(self.log), len(self.log) + np.size(doubles)
            if last > len(self._tape):
                raise TapeError(
                    f"{NAME}: a reset consumes {last} draws at site 'start', the tape holds "
                    f"{len(self._tape)}"
                )
            doubles = (self._tape[first:last] / DRAW_BOUND).reshape(np.shape(doubles))
        self.log += (np.ravel(doubles) * DRAW_BOUND).astype(np.int64).tolist()
        return low + (high - low) * doubles


class VectorCartPole(VectorReference):
    """A batch of CartPole-v1, each reset in the call in which its episode ends: `observation` is
    the new episode's then, `final_observation` the old one's. Actions: int [B], 0 pushes left, 1
    right.

    sutton_barto_reward and max_episode_steps are those of `gymnasium.make`, kinematics_integrator
    is one of INTEGRATORS, and `numbers` are the attributes NUMBERS. As upstream, total_mass and
    polemass_length are numbers of their own: they do not follow masscart, masspole and length.
    The seed of an episode follows from that of the one before, as in SerialVector.
    """

    name = NAME
    draw_sites = ("start",)
    draw_bounds = (DRAW_BOUND,)

    def __init__(
        self,
        num_envs: int,
        *,
        sutton_barto_reward: bool = False,
        max_episode_steps: int = 500,
        kinematics_integrator: str = "euler",
        **numbers: float,
    ) -> None:
        if unknown := numbers.keys() - set(NUMBERS):
            raise ValueError(f"unknown parameters {sorted(unknown)}; there are {list(NUMBERS)}")
        if kinematics_integrator not in INTEGRATORS:
            raise ValueError(
                f"kinematics_integrator={kinematics_integrator!r} is none of {INTEGRATORS}"
            )
        if num_envs < 1:
            raise ValueError(f"num_envs={num_envs}; a batch has at least one instance")
        self.num_envs = num_envs
        self._envs = [
            _make(sutton_barto_reward=sutton_barto_reward, max_episode_steps=int(max_episode_steps))
            for _ in range(num_envs)
        ]
        self._poles = [env.unwrapped for env in self._envs]
        self.version = installed_version() or ""
        for pole in self._poles:
            pole.kinematics_integrator = kinematics_integrator
            for name, value in numbers.items():
                setattr(pole, name, float(value))
        self._seeds = np.zeros(num_envs, np.uint64)
        self._counts = np.zeros(num_envs, np.int32)
        self._values = np.zeros((num_envs, NUM_DRAWS), np.int64)
        self._tape: DrawLog | None = None
        self.reset(0)  # upstream can be stepped only after a reset, also where `restore` follows

    def reset(self, seed: int) -> Outcome:
        tape = self._take_tape()
        self._counts[:], self._values[:] = 0, 0
        self._seeds[:] = [instance_seed(seed, i) for i in range(self.num_envs)]
        start = [self._reset_one(i, tape) for i in range(self.num_envs)]
        ended = np.zeros(self.num_envs, bool)
        return Outcome(
            observation=np.stack(start),
            reward=np.zeros(self.num_envs, np.float32),
            terminated=ended,
            truncated=ended.copy(),
        )

    def step(self, actions: np.ndarray) -> Outcome:
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(
                f"{NAME}: actions are {actions.dtype}{list(actions.shape)}, expected "
                f"integer[{self.num_envs}]"
            )
        if not (actions.min() >= 0 and actions.max() <= 1):
            raise ValueError(f"{NAME}: actions must be 0 (left) or 1 (right)")
        tape = self._take_tape()
        self._counts[:], self._values[:] = 0, 0
        with warnings.catch_warnings():  # going on after the end is meant here
            warnings.filterwarnings("ignore", BEYOND, UserWarning)
            rows = [env.step(a) for env, a in zip(self._envs, actions.tolist(), strict=True)]
        columns = list(zip(*rows, strict=True))
        seen, reward, terminated, truncated = (np.array(column) for column in columns[:4])
        final = seen.copy()
        ended = terminated | truncated
        for i in np.flatnonzero(ended).tolist():
            self._seeds[i] = next_seed(int(self._seeds[i]))
            seen[i] = self._reset_one(i, tape)
        if tape is not None and (left := (tape.count > 0) & ~ended).any():
            raise TapeError(
                f"{NAME}: the draw at site 'start' was not consumed: it is for a reset, and the "
                f"episode of instance {int(np.argmax(left))} goes on"
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
            site=np.zeros(self._values.shape, np.int16),
            value=self._values.copy(),
            step_count=np.zeros(self.num_envs, np.int32),
        )

    def force(self, draws: DrawLog) -> None:
        self._tape = draws

    def snapshot(self) -> dict[str, np.ndarray]:
        """Everything that a step reads or writes, [B].

        x, x_dot, theta, theta_dot and NUMBERS: float64; elapsed_steps and max_episode_steps, of
        TimeLimit, and steps_beyond_terminated, -1 for None: int64; kinematics_integrator: int64, an
        index of INTEGRATORS; sutton_barto_reward: bool; episode_seed: uint64.
        """
        state = np.array([pole.state for pole in self._poles])
        numbers = np.array([_read_numbers(pole) for pole in self._poles])
        beyond = [pole.steps_beyond_terminated for pole in self._poles]
        integrators = [pole.kinematics_integrator for pole in self._poles]
        return {
            **{name: state[:, i].copy() for i, name in enumerate(STATE)},
            **{name: numbers[:, i].copy() for i, name in enumerate(NUMBERS)},
            "elapsed_steps": np.array([env._elapsed_steps for env in self._envs]),
            "max_episode_steps": np.array([env._max_episode_steps for env in self._envs]),
            "steps_beyond_terminated": np.array(
                [NOT_TERMINATED if n is None else n for n in beyond]
            ),
            "kinematics_integrator": np.array([INTEGRATORS.index(name) for name in integrators]),
            "sutton_barto_reward": np.array([pole._sutton_barto_reward for pole in self._poles]),
            "episode_seed": self._seeds.copy(),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Raises ValueError unless the snapshot has exactly the fields that `snapshot` gives."""
        if wrong := _FIELDS ^ snapshot.keys():
            raise ValueError(f"{NAME}: missing or unknown snapshot fields {sorted(wrong)}")
        state = np.stack([snapshot[name] for name in STATE], axis=1).astype(np.float64)
        lists = {name: np.asarray(value).tolist() for name, value in snapshot.items()}
        for i, (env, pole) in enumerate(zip(self._envs, self._poles, strict=True)):
            pole.state = state[i].copy()
            for name in NUMBERS:
                setattr(pole, name, lists[name][i])
            env._elapsed_steps = lists["elapsed_steps"][i]
            env._max_episode_steps = lists["max_episode_steps"][i]
            beyond = lists["steps_beyond_terminated"][i]
            pole.steps_beyond_terminated = None if beyond == NOT_TERMINATED else beyond
            pole.kinematics_integrator = INTEGRATORS[lists["kinematics_integrator"][i]]
            pole._sutton_barto_reward = lists["sutton_barto_reward"][i]
        self._seeds[:] = snapshot["episode_seed"]

    def close(self) -> None:
        for env in self._envs:
            env.close()

    def _reset_one(self, i: int, tape: DrawLog | None) -> np.ndarray:
        forced = None if tape is None else tape.value[i, : tape.count[i]]
        dice = self._poles[i].np_random = Dice(int(self._seeds[i]), forced)
        observation, _ = self._envs[i].reset()
        if forced is not None and len(dice.log) != len(forced):
            raise TapeError(
                f"{NAME}: a reset consumes {len(dice.log)} draws at site 'start', the tape holds "
                f"{len(forced)}"
            )
        self._counts[i], self._values[i] = len(dice.log), dice.log
        return observation

    def _take_tape(self) -> DrawLog | None:
        tape, self._tape = self._tape, None
        return tape


class CartPoleReference(SingleReference):
    """One CartPole-v1, made with the same keywords; it resets itself."""

    name = NAME
    draw_sites = VectorCartPole.draw_sites
    draw_bounds = VectorCartPole.draw_bounds
    auto_reset = True

    def __init__(self, **parameters: Any) -> None:
        super().__init__(VectorCartPole(1, **parameters))

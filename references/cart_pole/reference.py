"""Gymnasium's CartPole-v1 as installed, driven in-process, its generator replaced by one that logs.

Nothing of it is copied or changed: `gymnasium.make` builds it with its TimeLimit, parameters are
the attributes that its constructor sets, and `env.unwrapped.np_random` is a `Dice`.
"""

import importlib.metadata
import operator
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Draw, Outcome, Reference, ReferenceUnavailable, Snapshot, TapeError
from ..vector import SerialVector

NAME = "gymnasium-cart-pole"
FIRST, BEFORE = (1, 1), (1, 4)
"""The versions of gymnasium whose CartPole-v1 was read: FIRST <= version < BEFORE."""
RANGE = "gymnasium>={}.{},<{}.{}".format(*FIRST, *BEFORE)
REMEDY = f"pip install 'simlift[peers]', or '{RANGE}'"

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


def installed_version() -> str | None:
    """The version of gymnasium on this machine; None without one."""
    try:
        return importlib.metadata.version("gymnasium")
    except importlib.metadata.PackageNotFoundError:
        return None


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

    A tape, where there is one, is dealt instead.
    """

    def __init__(self, seed: int, tape: Sequence[Draw] | None = None) -> None:
        super().__init__(np.random.PCG64(seed))
        self.log: list[int] = []
        self._tape = tape

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
        """`low + (high - low) * n / 2**53`, as numpy computes it."""
        count = int(np.prod(size or 1))
        if self._tape is None:
            doubles = self.random(size)
        elif len(self.log) + count > len(self._tape):
            raise TapeError(
                f"{NAME}: a reset consumes {len(self.log) + count} draws at site 'start', "
                f"the tape holds {len(self._tape)}"
            )
        else:
            dealt = self._tape[len(self.log) : len(self.log) + count]
            values = np.array([draw.value for draw in dealt], np.float64)
            doubles = (values / DRAW_BOUND).reshape(size or ())
        self.log += (np.ravel(doubles) * DRAW_BOUND).astype(np.int64).tolist()
        return low + (high - low) * doubles


class CartPoleReference(Reference):
    """One CartPole-v1. Actions: 0 pushes left, 1 right.

    sutton_barto_reward and max_episode_steps are those of `gymnasium.make`, kinematics_integrator
    is one of INTEGRATORS, and `numbers` are the attributes NUMBERS. As upstream, total_mass and
    polemass_length are numbers of their own: they do not follow masscart, masspole and length.
    """

    name = NAME
    draw_sites = ("start",)
    draw_bounds = (DRAW_BOUND,)

    def __init__(
        self,
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
        self._env = _make(
            sutton_barto_reward=sutton_barto_reward, max_episode_steps=int(max_episode_steps)
        )
        self._pole = self._env.unwrapped
        self.version = installed_version() or ""
        self._pole.kinematics_integrator = kinematics_integrator
        for name, value in numbers.items():
            setattr(self._pole, name, float(value))
        self._tape: Sequence[Draw] | None = None
        self._draws: list[Draw] = []
        self.reset(0)  # upstream can be stepped only after a reset, also where `restore` follows

    def reset(self, seed: int) -> Outcome:
        tape, self._tape = self._tape, None
        dice = self._pole.np_random = Dice(seed, tape)
        observation, _ = self._env.reset()
        if tape is not None and len(dice.log) != len(tape):
            raise TapeError(
                f"{NAME}: a reset consumed {len(dice.log)} draws at site 'start', "
                f"the tape holds {len(tape)}"
            )
        self._draws = [Draw(site="start", bound=DRAW_BOUND, value=n) for n in dice.log]
        return _outcome(observation, 0.0, False, False)

    def step(self, action: Any) -> Outcome:
        tape, self._tape = self._tape, None
        if tape:
            raise TapeError(f"{NAME}: a step consumes no draws, the tape holds {len(tape)}")
        self._draws = []
        try:
            if self._pole.steps_beyond_terminated is None:
                return _outcome(*self._env.step(action)[:4])
            with warnings.catch_warnings():  # going on after the end is meant here
                warnings.filterwarnings("ignore", BEYOND, UserWarning)
                return _outcome(*self._env.step(action)[:4])
        except AssertionError as error:
            raise ValueError(
                f"{NAME}: action {action!r} must be an integer, 0 (left) or 1 (right)"
            ) from error

    def draws(self) -> list[Draw]:
        return self._draws

    def force(self, draws: Sequence[Draw]) -> None:
        self._tape = draws

    def snapshot(self) -> Snapshot:
        """Everything that a step reads or writes.

        x, x_dot, theta, theta_dot and NUMBERS: float64 []; elapsed_steps and max_episode_steps, of
        TimeLimit, and steps_beyond_terminated, -1 for None: int64 []; kinematics_integrator: int64
        [], an index of INTEGRATORS; sutton_barto_reward: bool [].
        """
        beyond = self._pole.steps_beyond_terminated
        values = (
            *self._pole.state,
            *_read_numbers(self._pole),
            self._env._elapsed_steps,
            self._env._max_episode_steps,
            NOT_TERMINATED if beyond is None else beyond,
            0 if self._pole.kinematics_integrator == INTEGRATORS[0] else 1,
            self._pole._sutton_barto_reward,
        )
        return dict(zip(_FIELDS, map(np.asarray, values), strict=True))

    def restore(self, snapshot: Snapshot) -> None:
        """Raises ValueError unless the snapshot has exactly the fields that `snapshot` gives."""
        if wrong := set(_FIELDS) ^ snapshot.keys():
            raise ValueError(f"{NAME}: missing or unknown snapshot fields {sorted(wrong)}")
        self._pole.state = np.array([snapshot[name] for name in STATE], np.float64)
        for name in NUMBERS:
            setattr(self._pole, name, float(snapshot[name]))
        self._env._elapsed_steps = int(snapshot["elapsed_steps"])
        self._env._max_episode_steps = int(snapshot["max_episode_steps"])
        beyond = int(snapshot["steps_beyond_terminated"])
        self._pole.steps_beyond_terminated = None if beyond == NOT_TERMINATED else beyond
        self._pole.kinematics_integrator = INTEGRATORS[int(snapshot["kinematics_integrator"])]
        self._pole._sutton_barto_reward = bool(snapshot["sutton_barto_reward"])

    def close(self) -> None:
        self._env.close()


_FIELDS = (
    *STATE,
    *NUMBERS,
    "elapsed_steps",
    "max_episode_steps",
    "steps_beyond_terminated",
    "kinematics_integrator",
    "sutton_barto_reward",
)


def _outcome(observation: np.ndarray, reward: float, terminated: bool, truncated: bool) -> Outcome:
    return Outcome(
        observation=observation,
        reward=np.float32(reward),
        terminated=np.bool_(terminated),
        truncated=np.bool_(truncated),
    )


class VectorCartPole(SerialVector):
    """A batch of CartPoleReference, made with the same keywords; reset where an episode ends."""

    def __init__(self, num_envs: int, **parameters: Any) -> None:
        super().__init__(lambda: CartPoleReference(**parameters), num_envs)

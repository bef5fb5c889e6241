"""Gymnasium's CartPole-v1 as installed; its parameters are the attributes of its constructor."""

import contextlib
import operator
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..core import SingleReference, Snapshot
from ..gymnasium_vector import BOUNDS, RANGE, VectorGymnasium, check_gymnasium

NAME = "gymnasium-cart-pole"
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
DRAW_BOUND = BOUNDS["uniform"]
NUM_DRAWS = 4
BEYOND = r".*You are calling 'step\(\)' even though"

_read_numbers = operator.attrgetter(*NUMBERS)
_FIELDS = frozenset(
    {
        *STATE,
        *NUMBERS,
        "elapsed_steps",
        "max_episode_steps",
        "steps_beyond_terminated",
        "kinematics_integrator",
        "sutton_barto_reward",
        "episode_seed",
    }
)


class VectorCartPole(VectorGymnasium):
    """A batch of CartPole-v1. Actions: int [B], 0 pushes left, 1 right.

    sutton_barto_reward and max_episode_steps are those of `gymnasium.make`, kinematics_integrator
    is one of INTEGRATORS, and `numbers` are the attributes NUMBERS. As upstream, total_mass and
    polemass_length are numbers of their own: they do not follow masscart, masspole and length.
    """

    name = NAME
    draw_sites = ("start",)
    draw_bounds = (DRAW_BOUND,)
    draw_methods = ("uniform",)
    draw_counts = (NUM_DRAWS,)

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
        super().__init__(
            num_envs,
            check_gymnasium(NAME, REMEDY),
            sutton_barto_reward=sutton_barto_reward,
            max_episode_steps=int(max_episode_steps),
        )
        for pole in self._bare:
            pole.kinematics_integrator = kinematics_integrator
            for name, value in numbers.items():
                setattr(pole, name, float(value))
        self.reset(0)  # upstream can be stepped only after a reset, also where `restore` follows

    def _make(self, **options: Any) -> Any:
        import gymnasium

        return gymnasium.make("CartPole-v1", disable_env_checker=True, **options)

    def _checked(self, actions: np.ndarray) -> Sequence[int]:
        if actions.shape != (self.num_envs,) or not np.issubdtype(actions.dtype, np.integer):
            raise ValueError(
                f"{NAME}: actions are {actions.dtype}{list(actions.shape)}, expected "
                f"integer[{self.num_envs}]"
            )
        if not (actions.min() >= 0 and actions.max() <= 1):
            raise ValueError(f"{NAME}: actions must be 0 (left) or 1 (right)")
        return actions.tolist()

    @contextlib.contextmanager
    def _expected_warnings(self) -> Iterator[None]:
        with warnings.catch_warnings():  # going on after the end is meant here
            warnings.filterwarnings("ignore", BEYOND, UserWarning)
            yield

    def snapshot(self) -> dict[str, np.ndarray]:
        """Everything that a step reads or writes, [B].

        x, x_dot, theta, theta_dot and NUMBERS: float64; elapsed_steps and max_episode_steps, of
        TimeLimit, and steps_beyond_terminated, -1 for None: int64; kinematics_integrator: int64, an
        index of INTEGRATORS; sutton_barto_reward: bool; episode_seed: uint64.
        """
        state = np.array([pole.state for pole in self._bare])
        numbers = np.array([_read_numbers(pole) for pole in self._bare])
        beyond = [pole.steps_beyond_terminated for pole in self._bare]
        integrators = [pole.kinematics_integrator for pole in self._bare]
        return {
            **{name: state[:, i].copy() for i, name in enumerate(STATE)},
            **{name: numbers[:, i].copy() for i, name in enumerate(NUMBERS)},
            **self._snapshot_episodes(),
            "steps_beyond_terminated": np.array(
                [NOT_TERMINATED if n is None else n for n in beyond]
            ),
            "kinematics_integrator": np.array([INTEGRATORS.index(name) for name in integrators]),
            "sutton_barto_reward": np.array([pole._sutton_barto_reward for pole in self._bare]),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Raises ValueError unless the snapshot has exactly the fields that `snapshot` gives."""
        self._check_fields(snapshot, _FIELDS)
        self._restore_episodes(snapshot)
        state = np.stack([snapshot[name] for name in STATE], axis=1).astype(np.float64)
        lists = {name: np.asarray(value).tolist() for name, value in snapshot.items()}
        for i, pole in enumerate(self._bare):
            pole.state = state[i].copy()
            for name in NUMBERS:
                setattr(pole, name, lists[name][i])
            beyond = lists["steps_beyond_terminated"][i]
            pole.steps_beyond_terminated = None if beyond == NOT_TERMINATED else beyond
            pole.kinematics_integrator = INTEGRATORS[lists["kinematics_integrator"][i]]
            pole._sutton_barto_reward = lists["sutton_barto_reward"][i]


class CartPoleReference(SingleReference):
    """One CartPole-v1, made with the same keywords; it resets itself."""

    name = NAME
    draw_sites = VectorCartPole.draw_sites
    draw_bounds = VectorCartPole.draw_bounds
    auto_reset = True

    def __init__(self, **parameters: Any) -> None:
        super().__init__(VectorCartPole(1, **parameters))

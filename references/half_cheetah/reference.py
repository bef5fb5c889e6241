"""Gymnasium's HalfCheetah-v5 as installed, on MuJoCo, in a batch."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import DrawLog, SingleReference, Snapshot
from ..gymnasium_vector import BOUNDS, VectorGymnasium
from .physics import (
    MODULES,
    MUJOCO_VERSION,
    NAME,
    NUM_JOINTS,
    NUM_MOTORS,
    STATE,
    Physics,
    expected_warnings,
    installed,
    load_mujoco,
)

NUMBERS = ("forward_reward_weight", "ctrl_cost_weight", "reset_noise_scale")
"""Arguments of upstream's constructor; each is kept as the attribute of that name after a `_`."""

_KEPT = frozenset(
    {*STATE, *NUMBERS, "frame_skip", "elapsed_steps", "max_episode_steps", "episode_seed"}
)


class VectorHalfCheetah(VectorGymnasium):
    """A batch of HalfCheetah-v5. Actions: float [B, 6], any finite values: MuJoCo clamps them to
    -1 .. 1, the control cost does not, and is computed in the dtype of the actions.

    Observations are float64 [B, 17], or [B, 18] with exclude_current_positions_from_observation
    False. The keywords are those of `gymnasium.make`, but for solver_tolerance, MuJoCo's option:
    the solver stops where another iteration would gain less. Only 1e-8, the model's, is upstream;
    with 0 it goes on to rounding, 100 iterations at most, which is what to hold an exact solver,
    and upstream itself, against. Upstream turns a NaN into no control at all and a reward of NaN;
    here it is refused, as infinities are.
    """

    name = NAME
    draw_sites = ("qpos", "qvel")
    draw_bounds = (BOUNDS["uniform"], BOUNDS["standard_normal"])
    draw_methods = ("uniform", "standard_normal")
    draw_counts = (NUM_JOINTS, NUM_JOINTS)

    def __init__(
        self,
        num_envs: int,
        *,
        frame_skip: int = 5,
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 0.1,
        reset_noise_scale: float = 0.1,
        exclude_current_positions_from_observation: bool = True,
        max_episode_steps: int = 1000,
        solver_tolerance: float = 1e-8,
    ) -> None:
        for name, count in (("frame_skip", frame_skip), ("max_episode_steps", max_episode_steps)):
            if count < 1:
                raise ValueError(f"{name}={count}; at least 1 is needed")
        if not solver_tolerance >= 0:
            raise ValueError(f"solver_tolerance={solver_tolerance}; 0 or a small number is needed")
        load_mujoco()
        super().__init__(
            num_envs,
            installed() or MUJOCO_VERSION,
            frame_skip=int(frame_skip),
            forward_reward_weight=float(forward_reward_weight),
            ctrl_cost_weight=float(ctrl_cost_weight),
            reset_noise_scale=float(reset_noise_scale),
            exclude_current_positions_from_observation=exclude_current_positions_from_observation,
            max_episode_steps=int(max_episode_steps),
        )
        for cheetah in self._bare:
            cheetah.model.opt.tolerance = solver_tolerance
        self._datas = [cheetah.data for cheetah in self._bare]
        self._physics = Physics(self._bare[0].model)
        self.reset(0)  # upstream can be stepped only after a reset, also where `restore` follows

    def _make(self, **options: Any) -> Any:
        import gymnasium

        return gymnasium.make("HalfCheetah-v5", disable_env_checker=True, **options)

    def _checked(self, actions: np.ndarray) -> Sequence[np.ndarray]:
        shape = (self.num_envs, NUM_MOTORS)
        if actions.shape != shape or not np.issubdtype(actions.dtype, np.floating):
            raise ValueError(
                f"{NAME}: actions are {actions.dtype}{list(actions.shape)}, expected "
                f"float{list(shape)}"
            )
        if not np.isfinite(actions).all():
            raise ValueError(f"{NAME}: actions must be finite, -1 .. 1 has an effect")
        return list(actions)

    def _expected_warnings(self) -> contextlib.AbstractContextManager[None]:
        return expected_warnings()

    def snapshot(self) -> dict[str, np.ndarray]:
        """Everything that a step reads or writes, [B, ...]; what it will compute, besides.

        STATE, of MuJoCo, and NUMBERS: float64; frame_skip, and of TimeLimit elapsed_steps and
        max_episode_steps: int64; episode_seed: uint64. MODULES follow from these: `restore` takes
        them and looks at none.
        """
        states = self._physics.read(self._datas)
        numbers = {
            name: np.array([getattr(cheetah, f"_{name}") for cheetah in self._bare])
            for name in NUMBERS
        }
        return {
            **self._physics.unpack(states),
            **numbers,
            "frame_skip": np.array([cheetah.frame_skip for cheetah in self._bare]),
            **self._snapshot_episodes(),
            **self._physics.modules(states),
        }

    def restore(self, snapshot: Snapshot) -> None:
        """Raises ValueError unless the snapshot has exactly the fields that `snapshot` gives;
        MODULES may be left out."""
        kept = {name: value for name, value in snapshot.items() if name not in MODULES}
        self._check_fields(kept, _KEPT)
        self._physics.write(self._datas, self._physics.pack(kept))
        self._restore_episodes(kept)
        for name, attribute in [*((n, f"_{n}") for n in NUMBERS), ("frame_skip", "frame_skip")]:
            for cheetah, value in zip(self._bare, np.asarray(kept[name]).tolist(), strict=True):
                setattr(cheetah, attribute, value)


class HalfCheetahReference(SingleReference):
    """One HalfCheetah-v5, made with the same keywords; it resets itself."""

    name = NAME
    draw_sites = VectorHalfCheetah.draw_sites
    draw_bounds = VectorHalfCheetah.draw_bounds
    auto_reset = True

    def __init__(self, **parameters: Any) -> None:
        super().__init__(VectorHalfCheetah(1, **parameters))


def reset_draws(log: DrawLog) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of resets, float64: (uniform in [0, 1) [..., 9], standard normal [..., 9]); zeros
    where there was none. log: of this reference, its values [..., 18]."""
    uniform, bits = np.split(log.value, [NUM_JOINTS], axis=-1)
    return uniform / BOUNDS["uniform"], np.ascontiguousarray(bits).view(np.float64)

"""HalfCheetah's state and parameters. One instance, no batch axis; metres, seconds, radians.

`float` stands for JAX's default float: float32, or float64 where 64-bit types are switched on
(`jax.enable_x64`), which is what MuJoCo computes in. Joints, in MuJoCo's order: x, z and pitch of
the torso, then the angles of back thigh, shin, foot, front thigh, shin, foot.
"""

import dataclasses
from typing import Literal, get_args

import jax.numpy as jnp
from flax import struct
from jax import Array

Kernel = Literal["auto", "jnp", "c", "pallas"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Static choices: they shape the compiled program."""

    frame_skip: int = 5
    """Physics steps of 0.01 s in one step of the environment."""
    exclude_current_positions_from_observation: bool = True
    """Leaves the torso's x out of the observation."""
    kernel: Kernel = "auto"
    """What the physics runs as, see kernel.py."""

    def __post_init__(self) -> None:
        if not isinstance(self.frame_skip, int) or self.frame_skip < 1:
            raise ValueError(f"frame_skip={self.frame_skip!r} must be an integer of at least 1")
        if self.kernel not in get_args(Kernel):
            raise ValueError(f"kernel={self.kernel!r}: choose one of {get_args(Kernel)}")


def _number(value: float) -> Array:
    """A float [] in the float type of when Params is made."""
    return jnp.asarray(value, jnp.result_type(float))


class Params(struct.PyTreeNode, kw_only=True):
    """Numbers that may be vmapped over; the defaults are those of upstream's constructor."""

    forward_reward_weight: Array = struct.field(default_factory=lambda: _number(1.0))
    ctrl_cost_weight: Array = struct.field(default_factory=lambda: _number(0.1))
    reset_noise_scale: Array = struct.field(default_factory=lambda: _number(0.1))
    max_episode_steps: Array = struct.field(default_factory=lambda: jnp.int32(1000))


class State(struct.PyTreeNode, kw_only=True):
    """Where the cheetah is and how it moves. 112 bytes an instance in float32."""

    qpos: Array  # float [9]  joint positions
    qvel: Array  # float [9]  joint velocities
    qacc_warmstart: Array  # float [9]  the last accelerations: where the solver starts
    elapsed_steps: Array  # int32 []  since the reset


class Draws(struct.PyTreeNode, kw_only=True):
    """The randomness of a reset; a step has none."""

    qpos: Array  # float [9]  uniform in [0, 1)
    qvel: Array  # float [9]  standard normal

"""Cart-pole's state and parameters. One instance, no batch axis; metres, seconds, radians.

`float` stands for JAX's default float: float32, or float64 where 64-bit types are switched on
(`jax.enable_x64`), which is what Gymnasium computes in.
"""

import dataclasses
import math

import jax.numpy as jnp
from flax import struct
from jax import Array

INTEGRATORS = ("euler", "semi-implicit euler")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Static choices: they shape the compiled program."""

    kinematics_integrator: str = "euler"
    """Positions move with the speeds before the step; of "semi-implicit euler", after it."""
    sutton_barto_reward: bool = False
    """0 a step and -1 at the fall, instead of 1 a step."""

    def __post_init__(self) -> None:
        if self.kinematics_integrator not in INTEGRATORS:
            raise ValueError(
                f"kinematics_integrator={self.kinematics_integrator!r} is none of {INTEGRATORS}"
            )


def _number(value: float) -> Array:
    """A float [] in the float type of when Params is made."""
    return jnp.asarray(value, jnp.result_type(float))


class Params(struct.PyTreeNode, kw_only=True):
    """Numbers that may be vmapped over; the defaults are those of upstream's constructor.

    total_mass and polemass_length do not follow masscart, masspole and length: as upstream, they
    are numbers of their own, and masscart itself enters no equation.
    """

    gravity: Array = struct.field(default_factory=lambda: _number(9.8))
    masscart: Array = struct.field(default_factory=lambda: _number(1.0))
    masspole: Array = struct.field(default_factory=lambda: _number(0.1))
    # masspole + masscart
    total_mass: Array = struct.field(default_factory=lambda: _number(0.1 + 1.0))
    length: Array = struct.field(default_factory=lambda: _number(0.5))  # half the pole's
    # masspole * length
    polemass_length: Array = struct.field(default_factory=lambda: _number(0.1 * 0.5))
    force_mag: Array = struct.field(default_factory=lambda: _number(10.0))
    tau: Array = struct.field(default_factory=lambda: _number(0.02))  # of one step
    theta_threshold_radians: Array = struct.field(
        default_factory=lambda: _number(12 * 2 * math.pi / 360)
    )
    x_threshold: Array = struct.field(default_factory=lambda: _number(2.4))
    max_episode_steps: Array = struct.field(default_factory=lambda: jnp.int32(500))


class State(struct.PyTreeNode, kw_only=True):
    """Where the cart and the pole are, and since when. 21 bytes an instance in float32."""

    x: Array  # float []  of the cart, 0 in the middle of the track
    x_dot: Array  # float []
    theta: Array  # float []  of the pole, 0 upright, positive to the right
    theta_dot: Array  # float []
    elapsed_steps: Array  # int32 []  since the reset
    fallen: Array  # bool []  the episode has terminated: only without auto-reset


class Draws(struct.PyTreeNode, kw_only=True):
    """The randomness of a reset; a step has none."""

    start: Array  # float [4]  uniform in [0, 1), for x, x_dot, theta, theta_dot

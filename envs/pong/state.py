"""Puffer Pong's state and parameters. One instance, no batch axis; lengths in pixels, speeds in
pixels per frame.

The y axis points up, (0, 0) is the lower left corner of the court, and a position is that of the
object's lower edge.
"""

import dataclasses

import jax.numpy as jnp
from flax import struct
from jax import Array


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Static choices: they shape the compiled program."""

    frameskip: int = 1
    """Frames simulated for one step, >= 1."""
    continuous: bool = False
    """Actions are a float32 direction in [-1, 1] instead of {0: stay, 1: up, 2: down}."""

    def __post_init__(self) -> None:
        if not isinstance(self.frameskip, int) or self.frameskip < 1:
            raise ValueError(f"frameskip={self.frameskip!r} must be an integer of at least 1")


class Params(struct.PyTreeNode, kw_only=True):
    """Numbers that may be vmapped over; the defaults are those of upstream's pong.py."""

    width: Array = struct.field(default_factory=lambda: jnp.float32(500))
    height: Array = struct.field(default_factory=lambda: jnp.float32(640))
    paddle_height: Array = struct.field(default_factory=lambda: jnp.float32(70))
    ball_width: Array = struct.field(default_factory=lambda: jnp.float32(32))
    ball_height: Array = struct.field(default_factory=lambda: jnp.float32(32))
    paddle_speed: Array = struct.field(default_factory=lambda: jnp.float32(8))
    ball_initial_speed_x: Array = struct.field(default_factory=lambda: jnp.float32(10))
    ball_initial_speed_y: Array = struct.field(default_factory=lambda: jnp.float32(1))
    ball_speed_y_increment: Array = struct.field(default_factory=lambda: jnp.float32(3))
    ball_max_speed_y: Array = struct.field(default_factory=lambda: jnp.float32(13))
    max_score: Array = struct.field(default_factory=lambda: jnp.int32(21))  # at most 32767

    @property
    def min_paddle_y(self) -> Array:
        return -self.paddle_height / 2

    @property
    def max_paddle_y(self) -> Array:
        return self.height - self.paddle_height / 2


class Serve:
    """Values of `State.serve`: what the next step has to do first."""

    NONE = 0  # nothing, a rally is running
    DOWN = 1  # serve, ball_vy = -ball_initial_speed_y
    FLAT = 2  # serve, ball_vy = 0


class State(struct.PyTreeNode, kw_only=True):
    """What the last computed observation shows, and a serve that may be due.

    Upstream serves at once after a point but leaves the old observation standing (quirk 1 in the
    README). Holding the serve back until the next step says both with one byte, and the observation
    stays a function of the state. 37 bytes an instance.
    """

    paddle_yl: Array  # float32 []  left paddle, the opponent's
    paddle_yr: Array  # float32 []  right paddle, the agent's
    ball_x: Array  # float32 []
    ball_y: Array  # float32 []
    ball_vx: Array  # float32 []
    ball_vy: Array  # float32 []
    score_l: Array  # int16 []
    score_r: Array  # int16 []
    tick: Array  # int32 []  steps since the last serve
    n_bounces: Array  # int32 []  paddle hits since the last serve
    serve: Array  # uint8 []  a code of `Serve`


class Draws(struct.PyTreeNode, kw_only=True):
    """The randomness of one step: the coin of upstream's reset_round, `rand() % 2`, if a serve is
    due."""

    serve: Array  # int32 []  0 or 1

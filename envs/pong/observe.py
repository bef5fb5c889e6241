"""What the agent sees of Puffer Pong.  upstream: compute_observations"""

import jax.numpy as jnp
from jax import Array

from .state import Params, State

OBSERVATION_SIZE = 8


def observe(state: State, params: Params) -> Array:
    """float32 [8]: paddle_yl, paddle_yr, ball x, y, vx, vy, each scaled to about [0, 1], and two
    zeros.

    The zeros are the scores: upstream divides them by max_score as integers, which gives 0 until
    the game is over.
    """
    paddle_range = params.max_paddle_y - params.min_paddle_y
    return jnp.stack(
        [
            divide(state.paddle_yl - params.min_paddle_y, paddle_range),
            divide(state.paddle_yr - params.min_paddle_y, paddle_range),
            divide(state.ball_x, params.width),
            divide(state.ball_y, params.height),
            divide(state.ball_vx + params.ball_initial_speed_x, 2 * params.ball_initial_speed_x),
            divide(state.ball_vy + params.ball_max_speed_y, 2 * params.ball_max_speed_y),
            jnp.zeros((), jnp.float32),
            jnp.zeros((), jnp.float32),
        ]
    )


def divide(numerator: Array, denominator: Array) -> Array:
    """The correctly rounded quotient.

    XLA multiplies by the reciprocal where it knows the denominator, which rounds twice. So it is
    kept from knowing: the select changes nothing (NaN divided by anything is NaN) and cannot be
    folded.
    """
    return numerator / jnp.where(numerator == numerator, denominator, numerator)

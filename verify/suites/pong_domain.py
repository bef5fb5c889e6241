"""What play can reach in Pong: the ranges for which proofs about envs/pong hold."""

from collections.abc import Mapping
from typing import Any

from jax import Array

from ..prove import Between, Domain, OneOf

LONGEST = 2**30  # steps; tick and n_bounces would wrap around after twice as many


def domain(env: Any, params: Any) -> Domain:
    """Of one configuration. The ball is where a step left it: a point leaves it as it was."""
    speed_x, speed_y = float(params.ball_initial_speed_x), float(params.ball_max_speed_y)
    paddle = Between(float(params.min_paddle_y), float(params.max_paddle_y))
    points = Between(0, int(params.max_score) - 1)
    return Domain(
        ranges={
            "state.paddle_yl": paddle,
            "state.paddle_yr": paddle,
            "state.ball_x": Between(-speed_x, float(params.width)),
            "state.ball_y": Between(-speed_y, float(params.height)),
            "state.ball_vx": OneOf(-speed_x, speed_x),
            "state.ball_vy": Between(-speed_y, speed_y),
            "state.score_l": points,
            "state.score_r": points,
            "state.tick": Between(0, LONGEST),
            "state.n_bounces": Between(0, LONGEST),
            "state.serve": Between(0, 2),
            "action": Between(-2.0, 2.0) if env.config.continuous else Between(0, 2),
            "draws.serve": Between(0, 1),
        },
        assume=a_point_starts_anew,
    )


def a_point_starts_anew(state: Any, action: Any, draws: Any, params: Any) -> Array:
    return (state.serve == 0) | ((state.tick == 0) & (state.n_bounces == 0))


def place(state: Any, params: Any) -> Mapping[str, Array]:
    """Upstream's fields for one of our states in which no serve is due: it delivers them at once.

    The view goes with them: after a point upstream shows it again.
    """
    from ...envs.pong.observe import observe

    names = ("paddle_yl", "paddle_yr", "ball_x", "ball_y", "ball_vx", "ball_vy")
    counts = ("score_l", "score_r", "tick", "n_bounces")
    fields = {name: getattr(state, name) for name in (*names, *counts)}
    return {**fields, "observations": observe(state, params)}

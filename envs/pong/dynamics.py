"""Puffer Pong's frame, rule by rule in upstream order (pufferlib 3.0.0,
pufferlib/ocean/pong/pong.h: c_step).

One instance, deterministic, and the same floating-point operations as the C program. Products are
passed through `rounded` before they are added: compilers may contract a * b + c into one fused
operation that skips the rounding of the product, which C compiled for plain x86-64 does not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from .state import Params, Serve, State

HORIZONTAL = 0.01  # a ball slower than this vertically is sent up after a hit
WIN_REWARD, LOSE_REWARD, HIT_REWARD = 1.0, -1.0, 0.1


class Frame(NamedTuple):
    """What one frame did. All scalars: reward float32, the rest bool."""

    reward: Array
    won: Array
    lost: Array


def rounded(product: Array, bound: Array) -> Array:
    """`product`, given |product| <= bound: a clip that changes nothing and that no compiler can
    fuse across."""
    return jnp.clip(product, -bound, bound)


def direction(action: Array, continuous: bool) -> Array:
    """The paddle's direction, float32 []. Any discrete action but 1 and 2 stays, as upstream.

    A continuous one beyond [-1, 1] counts as the end of that: `rounded` holds every product with it
    to what it is there.
    """
    if continuous:
        return action
    return (action == 1).astype(jnp.float32) - (action == 2).astype(jnp.float32)


def start(serve: Array, params: Params) -> State:
    """The state of a new game, the ball just served.  upstream: c_reset, reset_round

    serve: int32 [], 0 or 1.
    """
    score = jnp.zeros((), jnp.int16)
    return serve_ball(serve == 1, score, score, params)


def serve_ball(flat: Array, score_l: Array, score_r: Array, params: Params) -> State:
    """Paddles centred, ball at a fifth of the court flying right, level or down.  upstream:
    reset_round
    """
    paddle_y = params.height / 2 - params.paddle_height / 2
    return State(
        paddle_yl=paddle_y,
        paddle_yr=paddle_y,
        ball_x=params.width / 5,
        ball_y=params.height / 2 - params.ball_height / 2,
        ball_vx=params.ball_initial_speed_x,
        ball_vy=jnp.where(flat, jnp.float32(0), -params.ball_initial_speed_y),
        score_l=score_l,
        score_r=score_r,
        tick=jnp.zeros((), jnp.int32),
        n_bounces=jnp.zeros((), jnp.int32),
        serve=jnp.uint8(Serve.NONE),
    )


def deliver_serve(state: State, params: Params) -> State:
    """Serve the ball if the last step ended in a point."""
    served = serve_ball(state.serve == Serve.FLAT, state.score_l, state.score_r, params)
    return jax.tree.map(lambda a, b: jnp.where(state.serve != Serve.NONE, a, b), served, state)


def step_frame(state: State, paddle_dir: Array, params: Params) -> tuple[State, Frame]:
    """One frame. Where it scores, everything stays as it was last observed, for `keep_score`."""
    moved = move_ball(move_opponent(move_agent(state, paddle_dir, params), params))
    bounced = bounce_off_walls(moved, params)
    after_left, missed_left = play_left(bounced, params)
    after_right, hit_right, missed_right = play_right(after_left, paddle_dir, params)

    won = missed_left
    lost = missed_right & ~won
    hit_right = hit_right & ~won
    point = won | lost

    reward = jnp.where(hit_right, jnp.float32(HIT_REWARD), jnp.float32(0))
    reward = jnp.where(won, jnp.float32(WIN_REWARD), reward)
    reward = jnp.where(lost, jnp.float32(LOSE_REWARD), reward)

    state = jax.tree.map(lambda a, b: jnp.where(point, a, b), state, after_right)
    return state, Frame(reward=reward, won=won, lost=lost)


def keep_score(state: State, frame: Frame, serve: Array) -> State:
    """Count the point, if the step ended in one, and let the next step serve.

    Once a step, after its frames: the loop over them then carries only what moves.
    """
    point = frame.won | frame.lost
    due = jnp.where(serve == 0, jnp.uint8(Serve.DOWN), jnp.uint8(Serve.FLAT))
    return state.replace(
        score_l=state.score_l + frame.lost.astype(jnp.int16),
        score_r=state.score_r + frame.won.astype(jnp.int16),
        tick=jnp.where(point, 0, state.tick),
        n_bounces=jnp.where(point, 0, state.n_bounces),
        serve=jnp.where(point, due, state.serve),
    )


def move_agent(state: State, paddle_dir: Array, params: Params) -> State:
    step = rounded(params.paddle_speed * paddle_dir, params.paddle_speed)
    paddle_yr = jnp.clip(state.paddle_yr + step, params.min_paddle_y, params.max_paddle_y)
    return state.replace(paddle_yr=paddle_yr)


def move_opponent(state: State, params: Params) -> State:
    """Toward the ball's lower edge, no faster than the agent; it sees the ball before this frame
    moves it."""
    gap = state.ball_y - (state.paddle_yl + params.paddle_height / 2)
    step = jnp.clip(gap, -params.paddle_speed, params.paddle_speed)
    paddle_yl = jnp.clip(state.paddle_yl + step, params.min_paddle_y, params.max_paddle_y)
    return state.replace(paddle_yl=paddle_yl)


def move_ball(state: State) -> State:
    return state.replace(ball_x=state.ball_x + state.ball_vx, ball_y=state.ball_y + state.ball_vy)


def bounce_off_walls(state: State, params: Params) -> State:
    """Turn the ball at the floor and the ceiling, without putting it back inside."""
    outside = (state.ball_y < 0) | (state.ball_y + params.ball_height > params.height)
    return state.replace(ball_vy=jnp.where(outside, -state.ball_vy, state.ball_vy))


def overlaps(ball_y: Array, paddle_y: Array, params: Params) -> Array:
    return (ball_y + params.ball_height > paddle_y) & (ball_y < paddle_y + params.paddle_height)


def play_left(state: State, params: Params) -> tuple[State, Array]:
    """The opponent's side. A hit turns the ball and does nothing else. Returns (state, missed)."""
    at_edge = state.ball_x < 0
    reached = overlaps(state.ball_y, state.paddle_yl, params)
    hit = at_edge & reached
    state = state.replace(
        ball_vx=jnp.where(hit, -state.ball_vx, state.ball_vx),
        n_bounces=state.n_bounces + hit.astype(jnp.int32),
    )
    return state, at_edge & ~reached


def play_right(state: State, paddle_dir: Array, params: Params) -> tuple[State, Array, Array]:
    """The agent's side. A hit adds spin from the paddle's direction.

    Returns (state, hit, missed).
    """
    at_edge = state.ball_x + params.ball_width > params.width
    reached = overlaps(state.ball_y, state.paddle_yr, params)
    hit = at_edge & reached

    spin = rounded(params.ball_speed_y_increment * paddle_dir, params.ball_speed_y_increment)
    vy = jnp.clip(state.ball_vy + spin, -params.ball_max_speed_y, params.ball_max_speed_y)
    # Upstream compares with 0.01 in double precision, of which the nearest float falls short.
    vy = jnp.where(jnp.abs(vy) <= HORIZONTAL, params.ball_speed_y_increment, vy)

    def put(value: Array, otherwise: Array) -> Array:
        return jnp.where(hit, value, otherwise)

    state = state.replace(
        ball_x=put(jnp.clip(state.ball_x, 0, params.width - params.ball_width), state.ball_x),
        ball_y=put(jnp.clip(state.ball_y, 0, params.height - params.ball_height), state.ball_y),
        ball_vx=put(-state.ball_vx, state.ball_vx),
        ball_vy=put(vy, state.ball_vy),
        n_bounces=state.n_bounces + hit.astype(jnp.int32),
    )
    return state, hit, at_edge & ~reached

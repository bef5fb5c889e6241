"""L1: what each module of envs/pong promises for every input in its range."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import Array

from ...envs.core import Environment
from ...envs.pong import Draws, Params, State, dynamics
from ..suite import Property, Variant

DISCRETE = Variant("discrete", {"frameskip": 1})
CONTINUOUS = Variant("continuous", {"frameskip": 1, "continuous": True})
SKIPPING = Variant("discrete, frameskip 8", {"frameskip": 8})


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    """No subnormals: XLA flushes them to zero on CPUs (README of envs/pong, known differences)."""
    return st.floats(low, high, width=32, allow_subnormal=False)


paddles = st.sampled_from([-35.0, 605.0]) | floats(-35, 605)  # the ends of the court often


@st.composite
def states(draw: st.DrawFn, serve: st.SearchStrategy[int] = st.integers(0, 2)) -> State:  # noqa: B008
    """Any state within the ranges that play can reach on upstream's court."""
    values = {
        "paddle_yl": draw(paddles),
        "paddle_yr": draw(paddles),
        "ball_x": draw(floats(-10, 478)),
        "ball_y": draw(floats(-13, 621)),
        "ball_vx": draw(st.sampled_from([-10.0, 10.0])),
        "ball_vy": draw(floats(-13, 13)),
    }
    return State(
        **{name: jnp.float32(value) for name, value in values.items()},
        score_l=jnp.int16(draw(st.integers(0, 20))),
        score_r=jnp.int16(draw(st.integers(0, 20))),
        tick=jnp.int32(draw(st.integers(0, 2000))),
        n_bounces=jnp.int32(draw(st.integers(0, 200))),
        serve=jnp.uint8(draw(serve)),
    )


discrete_actions = st.integers(0, 2).map(np.int32)
coins = st.integers(0, 1).map(lambda bit: Draws(serve=jnp.int32(bit)))


@functools.lru_cache
def _transition(env: Environment) -> Any:
    return jax.jit(env.transition)


@functools.lru_cache
def _observe(env: Environment) -> Any:
    return jax.jit(env.observe)


def equal(a: Any, b: Any) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def snapshot_is_lossless(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states())
    assert equal(env.restore(env.snapshot(state)), state)


def paddles_stay_on_the_court(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states(st.just(0)))
    after, _ = _transition(env)(state, data.draw(discrete_actions), data.draw(coins), params)
    for paddle in (after.paddle_yl, after.paddle_yr):
        assert params.min_paddle_y <= paddle <= params.max_paddle_y


def paddle_moves_at_most_its_speed(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states(st.just(0)))
    action = data.draw(floats(-1, 1).map(np.float32))
    after, outcome = _transition(env)(state, action, data.draw(coins), params)
    if outcome.draws_used["serve"] or outcome.terminated:
        return  # a point leaves the paddles where they were
    moved = abs(float(after.paddle_yr) - float(state.paddle_yr))
    # Rounding of paddle + step: half a unit in the last place at the end of the court.
    assert moved <= params.paddle_speed * abs(float(action)) + 2**-14


def ball_speed_is_bounded(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states())
    after, _ = _transition(env)(state, data.draw(discrete_actions), data.draw(coins), params)
    assert abs(after.ball_vy) <= params.ball_max_speed_y
    assert abs(after.ball_vx) == params.ball_initial_speed_x


def rewards_are_points_and_hits(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states())
    after, outcome = _transition(env)(state, data.draw(discrete_actions), data.draw(coins), params)
    gained = (int(after.score_l - state.score_l), int(after.score_r - state.score_r))
    expected = {(0, 1): [1.0], (1, 0): [-1.0], (0, 0): [0.0, 0.1]}[gained]
    assert outcome.reward in np.asarray(expected, np.float32)


def a_point_leaves_the_view_standing(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states(st.just(0)))
    after, outcome = _transition(env)(state, data.draw(discrete_actions), data.draw(coins), params)
    if abs(outcome.reward) == 1:
        assert equal(_observe(env)(after, params), _observe(env)(state, params))
        assert after.serve != 0 and after.tick == 0 and after.n_bounces == 0
    else:
        assert after.serve == 0 and after.tick == state.tick + 1


def games_end_at_max_score_only(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states())
    after, outcome = _transition(env)(state, data.draw(discrete_actions), data.draw(coins), params)
    over = max(int(after.score_l), int(after.score_r)) == int(params.max_score)
    assert bool(outcome.terminated) == over


def draws_matter_only_when_used(data: Any, env: Environment, params: Params) -> None:
    state, action = data.draw(states()), data.draw(discrete_actions)
    heads, tails = (
        _transition(env)(state, action, Draws(serve=jnp.int32(bit)), params) for bit in (0, 1)
    )
    point = bool(abs(heads[1].reward) == 1)
    assert equal(heads, tails) == (not point)
    assert bool(heads[1].draws_used["serve"]) == (point and not heads[1].terminated)


def a_due_serve_is_delivered_once(data: Any, env: Environment, params: Params) -> None:
    state = data.draw(states())
    served = dynamics.deliver_serve(state, params)
    assert served.serve == 0
    assert equal(dynamics.deliver_serve(served, params), served)
    if state.serve != 0:
        assert served.ball_x == 100 and served.ball_y == 304 and served.ball_vx == 10
        assert served.ball_vy == (-1 if state.serve == 1 else 0)
        assert served.paddle_yl == served.paddle_yr == 285


def unknown_actions_stay(data: Any, env: Environment, params: Params) -> None:
    action = data.draw(st.integers(-(2**31), 2**31 - 1).filter(lambda a: a not in (1, 2)))
    assert dynamics.direction(jnp.int32(action), continuous=False) == 0


def rounding_guard_changes_nothing(data: Any, env: Environment, params: Params) -> None:
    factor = np.float32(data.draw(floats(0.5, 100)))
    product = factor * np.float32(
        data.draw(floats(-1, 1).filter(lambda d: d == 0 or abs(d) > 2**-99))
    )
    assert _bits(dynamics.rounded(jnp.float32(product), jnp.float32(factor))) == _bits(product)


def views_lie_in_the_declared_space(data: Any, env: Environment, params: Params) -> None:
    view = _observe(env)(data.draw(states()), params)
    assert env.observation_space(params).contains(np.asarray(view))


def _bits(x: Array | np.float32) -> bytes:
    return np.asarray(x, np.float32).tobytes()


PROPERTIES = (
    Property("snapshot_is_lossless", "core.restore", DISCRETE, snapshot_is_lossless),
    Property("paddles_stay_on_the_court", "move_agent", SKIPPING, paddles_stay_on_the_court),
    Property(
        "paddle_moves_at_most_its_speed", "move_agent", CONTINUOUS, paddle_moves_at_most_its_speed
    ),
    Property("ball_speed_is_bounded", "play_right", DISCRETE, ball_speed_is_bounded),
    Property("rewards_are_points_and_hits", "step_frame", SKIPPING, rewards_are_points_and_hits),
    Property(
        "a_point_leaves_the_view_standing", "step_frame", DISCRETE, a_point_leaves_the_view_standing
    ),
    Property("games_end_at_max_score_only", "transition", SKIPPING, games_end_at_max_score_only),
    Property("draws_matter_only_when_used", "transition", DISCRETE, draws_matter_only_when_used),
    Property(
        "a_due_serve_is_delivered_once", "deliver_serve", DISCRETE, a_due_serve_is_delivered_once
    ),
    Property("unknown_actions_stay", "direction", DISCRETE, unknown_actions_stay),
    Property("rounding_guard_changes_nothing", "rounded", DISCRETE, rounding_guard_changes_nothing),
    Property(
        "views_lie_in_the_declared_space", "observe", DISCRETE, views_lie_in_the_declared_space
    ),
)

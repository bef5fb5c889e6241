"""L1: what each module of envs/pong promises for every input in its range."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from jax import Array

from ...envs.core import Environment, Outcome, select
from ...envs.pong import Draws, Params, State, dynamics
from ..suite import Property, Variant

DISCRETE = Variant("discrete", {"frameskip": 1})
CONTINUOUS = Variant("continuous", {"frameskip": 1, "continuous": True})
SKIPPING = Variant("discrete, frameskip 8", {"frameskip": 8})


def floats(low: float, high: float) -> st.SearchStrategy[np.float32]:
    """No subnormals: XLA flushes them to zero on CPUs (README of envs/pong, known differences)."""
    return st.floats(low, high, width=32, allow_subnormal=False).map(np.float32)


ends = [np.float32(-35), np.float32(605)]  # of the court
paddles = st.sampled_from(ends) | floats(-35, 605)  # the ends often


def states(serve: st.SearchStrategy[int] = st.integers(0, 2)) -> st.SearchStrategy[State]:  # noqa: B008
    """Any state within the ranges that play can reach on upstream's court."""
    return st.builds(
        State,
        paddle_yl=paddles,
        paddle_yr=paddles,
        ball_x=floats(-10, 478),
        ball_y=floats(-13, 621),
        ball_vx=st.sampled_from([np.float32(-10), np.float32(10)]),
        ball_vy=floats(-13, 13),
        score_l=st.integers(0, 20).map(np.int16),
        score_r=st.integers(0, 20).map(np.int16),
        tick=st.integers(0, 2000).map(np.int32),
        n_bounces=st.integers(0, 200).map(np.int32),
        serve=serve.map(np.uint8),
    )


class Case(NamedTuple):
    """The inputs of one step."""

    state: State
    action: Array
    draws: Draws


rallies = states(st.just(0))
discrete_actions = st.integers(0, 2).map(np.int32)
coins = st.builds(Draws, serve=st.integers(0, 1).map(np.int32))


def cases(
    states: st.SearchStrategy[State], actions: st.SearchStrategy[Any] = discrete_actions
) -> st.SearchStrategy[Case]:
    return st.builds(Case, state=states, action=actions, draws=coins)


def step(env: Environment, params: Params, case: Case) -> tuple[State, Outcome]:
    return env.transition(case.state, case.action, case.draws, params)


def equal(a: Any, b: Any) -> Array:
    """bool []: whether two pytrees agree in every leaf."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return jnp.stack([jnp.all(x == y) for x, y in pairs]).all()


def snapshot_is_lossless(env: Environment, params: Params, state: State) -> Array:
    return equal(env.restore(env.snapshot(state)), state)


def paddles_stay_on_the_court(env: Environment, params: Params, case: Case) -> Array:
    after, _ = step(env, params, case)
    paddles = jnp.stack([after.paddle_yl, after.paddle_yr])
    return jnp.all((paddles >= params.min_paddle_y) & (paddles <= params.max_paddle_y))


def paddle_moves_at_most_its_speed(env: Environment, params: Params, case: Case) -> Array:
    after, outcome = step(env, params, case)
    point = jnp.abs(outcome.reward) == 1  # leaves the paddles where they were
    moved = jnp.abs(after.paddle_yr - case.state.paddle_yr)
    # Rounding of paddle + step: half a unit in the last place at the end of the court.
    return point | (moved <= params.paddle_speed * jnp.abs(case.action) + 2**-14)


def ball_speed_is_bounded(env: Environment, params: Params, case: Case) -> Array:
    after, _ = step(env, params, case)
    sideways = jnp.abs(after.ball_vx) == params.ball_initial_speed_x
    return sideways & (jnp.abs(after.ball_vy) <= params.ball_max_speed_y)


def rewards_are_points_and_hits(env: Environment, params: Params, case: Case) -> Array:
    after, outcome = step(env, params, case)
    lost, won = after.score_l - case.state.score_l, after.score_r - case.state.score_r
    reward = outcome.reward
    return (
        ((lost == 1) & (won == 0) & (reward == -1))
        | ((lost == 0) & (won == 1) & (reward == 1))
        | ((lost == 0) & (won == 0) & ((reward == 0) | (reward == jnp.float32(0.1))))
    )


def a_point_leaves_the_view_standing(env: Environment, params: Params, case: Case) -> Array:
    before = case.state
    after, outcome = step(env, params, case)
    same_view = equal(env.observe(after, params), env.observe(before, params))
    return jnp.where(
        jnp.abs(outcome.reward) == 1,
        same_view & (after.serve != 0) & (after.tick == 0) & (after.n_bounces == 0),
        (after.serve == 0) & (after.tick == before.tick + 1),
    )


def games_end_at_max_score_only(env: Environment, params: Params, case: Case) -> Array:
    after, outcome = step(env, params, case)
    over = jnp.maximum(after.score_l, after.score_r).astype(jnp.int32) == params.max_score
    return outcome.terminated == over


def draws_matter_only_when_used(env: Environment, params: Params, case: Case) -> Array:
    heads, tails = (
        step(env, params, case._replace(draws=Draws(serve=jnp.int32(bit)))) for bit in (0, 1)
    )
    outcome = heads[1]
    point = jnp.abs(outcome.reward) == 1
    used = outcome.draws_used["serve"] != 0
    return (used == (point & ~outcome.terminated)) & (equal(heads, tails) == ~point)


def a_due_serve_is_delivered_once(env: Environment, params: Params, state: State) -> Array:
    served = dynamics.deliver_serve(state, params)
    fresh = (
        ((served.ball_x == 100) & (served.ball_y == 304) & (served.ball_vx == 10))
        & (served.ball_vy == jnp.where(state.serve == 1, jnp.float32(-1), jnp.float32(0)))
        & ((served.paddle_yl == 285) & (served.paddle_yr == 285))
    )
    once = equal(dynamics.deliver_serve(served, params), served)
    return (served.serve == 0) & once & ((state.serve == 0) | fresh)


def unknown_actions_stay(env: Environment, params: Params, action: Array) -> Array:
    return dynamics.direction(action, continuous=False) == 0


def rounding_guard_changes_nothing(
    env: Environment, params: Params, operands: tuple[Array, Array]
) -> Array:
    product, factor = operands
    return bits(dynamics.rounded(product, factor)) == bits(product)


def views_lie_in_the_declared_space(env: Environment, params: Params, state: State) -> Array:
    view = env.observe(state, params)
    with jax.ensure_compile_time_eval():
        space = env.observation_space(params)
    return jnp.all((view >= space.low) & (view <= space.high))


def info_tells_the_score(env: Environment, params: Params, case: Case) -> Array:
    after, outcome = step(env, params, case)
    told = {name: outcome.info[name] for name in ("score_l", "score_r")}
    return equal(told, {"score_l": after.score_l, "score_r": after.score_r})


def a_new_game_begins_afresh(env: Environment, params: Params, case: Case) -> Array:
    """Nothing of the last game is left, whatever coin either of them is served with."""
    other = Draws(serve=1 - case.draws.serve)
    state, action, draws = case
    _, after, _, terminated, truncated, info = env.step_with_draws(
        state, action, draws, other, params
    )
    fresh = env.initial(other, params)
    expected = select(terminated | truncated, fresh, info["final_state"])
    return equal(after, expected)


class Sampling(NamedTuple):
    """The inputs of a sampler; the coins are independent of all but the seed."""

    seed: Array
    state: State
    action: Array


def coins_are_zero_or_one(env: Environment, params: Params, case: Sampling) -> Array:
    key = jax.random.key(case.seed)
    drawn = [
        *env.sample_step(key, case.state, case.action, params),
        env.sample_reset_draws(key, params),
    ]
    coins = jnp.stack([draws.serve for draws in drawn])
    return jnp.all((coins == 0) | (coins == 1))


def a_step_has_one_coin(env: Environment, params: Params, case: Sampling) -> Array:
    """With or without that of the reset after it."""
    inputs = jax.random.key(case.seed), case.state, case.action, params
    return equal(env.sample_draws(*inputs), env.sample_step(*inputs)[0])


def bits(x: Array) -> Array:
    return jax.lax.bitcast_convert_type(x, jnp.int32)


signed = floats(-1, 1)
samplings = st.builds(
    Sampling,
    seed=st.integers(0, 2**32 - 1).map(np.uint32),
    state=states(),
    action=discrete_actions,
)
last_points = st.builds(
    lambda state, left: state.replace(
        ball_x=np.float32(-5 if left else 470),
        ball_vx=np.float32(-10 if left else 10),
        score_l=np.int16(20),
        score_r=np.int16(20),
    ),
    rallies,
    st.booleans(),
)
unknown_actions = st.integers(-(2**31), 2**31 - 1).filter(lambda a: a not in (1, 2)).map(np.int32)
products = st.tuples(signed.filter(lambda d: d == 0 or abs(d) > 2**-99), floats(0.5, 100)).map(
    lambda operands: (operands[0] * operands[1], operands[1])
)

PROPERTIES = (
    Property("snapshot_is_lossless", "core.restore", DISCRETE, states(), snapshot_is_lossless),
    Property(
        "paddles_stay_on_the_court",
        "move_agent",
        SKIPPING,
        cases(rallies),
        paddles_stay_on_the_court,
    ),
    Property(
        "paddle_moves_at_most_its_speed",
        "move_agent",
        CONTINUOUS,
        cases(rallies, signed),
        paddle_moves_at_most_its_speed,
    ),
    Property(
        "ball_speed_is_bounded", "play_right", DISCRETE, cases(states()), ball_speed_is_bounded
    ),
    Property(
        "rewards_are_points_and_hits",
        "step_frame",
        SKIPPING,
        cases(states()),
        rewards_are_points_and_hits,
    ),
    Property(
        "a_point_leaves_the_view_standing",
        "step_frame",
        DISCRETE,
        cases(rallies),
        a_point_leaves_the_view_standing,
    ),
    Property(
        "games_end_at_max_score_only",
        "transition",
        SKIPPING,
        cases(states()),
        games_end_at_max_score_only,
    ),
    Property(
        "draws_matter_only_when_used",
        "transition",
        DISCRETE,
        cases(states()),
        draws_matter_only_when_used,
    ),
    Property(
        "a_due_serve_is_delivered_once",
        "deliver_serve",
        DISCRETE,
        states(),
        a_due_serve_is_delivered_once,
    ),
    Property("unknown_actions_stay", "direction", DISCRETE, unknown_actions, unknown_actions_stay),
    Property(
        "rounding_guard_changes_nothing",
        "rounded",
        DISCRETE,
        products,
        rounding_guard_changes_nothing,
    ),
    Property(
        "views_lie_in_the_declared_space",
        "observe",
        DISCRETE,
        states(),
        views_lie_in_the_declared_space,
    ),
    Property(
        "info_tells_the_score", "transition", DISCRETE, cases(last_points), info_tells_the_score
    ),
    Property(
        "a_new_game_begins_afresh",
        "core.step_with_draws",
        DISCRETE,
        cases(last_points),
        a_new_game_begins_afresh,
    ),
    Property(
        "coins_are_zero_or_one", "draws.sample_step", DISCRETE, samplings, coins_are_zero_or_one
    ),
    Property("a_step_has_one_coin", "draws.sample_draws", DISCRETE, samplings, a_step_has_one_coin),
)

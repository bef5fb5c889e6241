"""Pong's rules and the quirks that it keeps, one by one; no reference is needed."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.core import Outcome
from simlift.envs.pong import Draws, Params, Pong, State, dynamics

STAY, UP, DOWN = 0, 1, 2
PARAMS = Params()
HEADS = Draws(serve=jnp.int32(1))  # a flat serve
TAILS = Draws(serve=jnp.int32(0))  # a serve downwards


def state(**changes: Any) -> State:
    """The ball in play, in the middle of the court, flying right and level."""
    env = Pong()
    changed = {"ball_x": 250.0, "ball_y": 300.0, "tick": 5, **changes}
    base = env.initial(HEADS, PARAMS)
    return base.replace(**{k: jnp.asarray(v, getattr(base, k).dtype) for k, v in changed.items()})


def step(
    start: State, action: int = STAY, frameskip: int = 1, draws: Draws = HEADS
) -> tuple[State, Outcome]:
    return Pong(frameskip=frameskip).transition(start, jnp.int32(action), draws, PARAMS)


def view(of: State) -> list[float]:
    return Pong().observe(of, PARAMS).tolist()


NEAR_RIGHT = {"ball_x": 460.0, "ball_y": 300.0, "paddle_yr": 285.0}
NEAR_LEFT = {"ball_x": 5.0, "ball_vx": -10.0, "paddle_yl": 285.0}
LOST = {"ball_x": 465.0, "ball_y": 10.0}
WON = {"ball_x": 5.0, "ball_vx": -10.0, "ball_y": 500.0, "paddle_yl": 50.0}


# -- the quirks of upstream, by their number in envs/pong/README.md


def test_quirk_1_a_point_shows_the_old_view() -> None:
    before = state(**LOST, ball_vy=-1)
    after, outcome = step(before)
    assert outcome.reward == -1 and not outcome.terminated
    assert view(after) == view(before)
    served, _ = step(after)
    assert (served.ball_x, served.ball_y, served.paddle_yr) == (110, 304, 285)


def test_quirk_1_a_point_drops_the_remaining_frames() -> None:
    before = state(**(LOST | {"ball_x": 445.0}))
    after, outcome = step(before, UP, frameskip=8)
    assert outcome.reward == -1
    # Two frames were played and shown, the third scored, and five more never happened.
    assert (after.ball_x, after.paddle_yr) == (465, 285 + 2 * 8)


def test_quirk_2_the_end_of_a_game_shows_the_new_one() -> None:
    env = Pong()
    before = state(**LOST, score_l=20)
    seen, after, reward, terminated, *_ = env.step_with_draws(
        before, jnp.int32(STAY), HEADS, TAILS, PARAMS
    )
    fresh = env.initial(TAILS, PARAMS)
    assert terminated and reward == -1
    assert seen.tolist() == view(fresh) != view(before)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(a == b), after, fresh))


@pytest.mark.parametrize(("y", "vy", "becomes"), [(605, 11, 616), (4, -9, -5)])
def test_quirk_3_a_wall_turns_the_ball_where_it_is(y: float, vy: float, becomes: float) -> None:
    after, _ = step(state(ball_y=y, ball_vy=vy))
    assert (after.ball_y, after.ball_vy) == (becomes, -vy)


def test_quirk_3_only_the_agents_hit_puts_the_ball_back() -> None:
    after, outcome = step(state(**(NEAR_RIGHT | {"ball_y": 4, "paddle_yr": -20}), ball_vy=-9))
    assert outcome.reward == np.float32(0.1)
    assert (after.ball_x, after.ball_y) == (468, 0)


def test_quirk_4_the_opponents_hit_turns_the_ball_and_does_nothing_else() -> None:
    after, outcome = step(state(**NEAR_LEFT, ball_vy=2))
    assert (after.ball_x, after.ball_vx, after.ball_vy) == (-5, 10, 2)
    assert outcome.reward == 0 and after.n_bounces == 1


def test_quirk_5_ticks_count_from_the_last_serve() -> None:
    after, outcome = step(state(**WON, tick=41, score_r=20))
    assert outcome.terminated and outcome.info["rally_ticks"] == 42
    after, outcome = step(state(**WON, tick=41))
    assert not outcome.terminated and after.tick == 0 and after.n_bounces == 0


def test_quirk_6_both_sides_can_hit_in_one_frame() -> None:
    narrow = PARAMS.replace(width=jnp.float32(25))
    after, outcome = Pong().transition(state(**NEAR_LEFT), jnp.int32(STAY), HEADS, narrow)
    assert after.n_bounces == 2 and after.ball_vx == -10
    assert after.ball_x == -7 and outcome.reward == np.float32(0.1)


def test_quirk_7_a_direction_holds_for_all_frames() -> None:
    after, _ = step(state(ball_x=200.0), UP, frameskip=8)
    assert after.paddle_yr == 285 + 8 * 8


def test_quirk_8_the_scores_in_the_view_are_zero() -> None:
    assert view(state(score_l=20, score_r=19))[6:] == [0, 0]


# -- the rules


@pytest.mark.parametrize(("action", "vy"), [(UP, 8), (STAY, 5), (DOWN, 2)])
def test_the_paddles_direction_is_added_to_the_ball(action: int, vy: float) -> None:
    after, outcome = step(state(**NEAR_RIGHT, ball_vy=5), action)
    assert (after.ball_vx, after.ball_vy) == (-10, vy)
    assert outcome.reward == np.float32(0.1) and after.n_bounces == 1


@pytest.mark.parametrize(("vy", "action", "clamped"), [(12, UP, 13), (-12, DOWN, -13)])
def test_vertical_speed_is_clamped(vy: float, action: int, clamped: float) -> None:
    assert step(state(**NEAR_RIGHT, ball_vy=vy), action)[0].ball_vy == clamped


def test_a_level_ball_is_sent_up() -> None:
    assert step(state(**NEAR_RIGHT, ball_vy=-3), UP)[0].ball_vy == 3
    assert step(state(**NEAR_RIGHT, ball_vy=0), STAY)[0].ball_vy == 3


@pytest.mark.parametrize(("y", "hit"), [(355, False), (354, True), (253, False), (254, True)])
def test_touching_an_edge_of_the_paddle_is_a_miss(y: float, hit: bool) -> None:
    _, outcome = step(state(**(NEAR_RIGHT | {"ball_y": y})))
    assert outcome.reward == np.float32(0.1 if hit else -1)


def test_the_opponent_aims_its_centre_at_the_balls_lower_edge() -> None:
    assert step(state(ball_y=323, paddle_yl=285))[0].paddle_yl == 288
    assert step(state(ball_y=500, paddle_yl=285))[0].paddle_yl == 293
    assert step(state(ball_y=100, paddle_yl=285))[0].paddle_yl == 277


def test_the_opponent_sees_the_ball_before_it_moves() -> None:
    assert step(state(ball_y=320, ball_vy=5, paddle_yl=285))[0].paddle_yl == 285


@pytest.mark.parametrize(("start", "action", "end"), [(600, UP, 605), (-30, DOWN, -35)])
def test_paddles_stop_at_the_ends(start: float, action: int, end: float) -> None:
    assert step(state(paddle_yr=start), action)[0].paddle_yr == end


@pytest.mark.parametrize(("draws", "vy"), [(TAILS, -1), (HEADS, 0)])
def test_the_coin_decides_the_serve(draws: Draws, vy: float) -> None:
    after, outcome = step(state(**LOST), draws=draws)
    assert outcome.draws_used["serve"] == 1
    served = dynamics.deliver_serve(after, PARAMS)
    assert (served.ball_vx, served.ball_vy, served.serve) == (10, vy, 0)


def test_a_hit_earlier_in_a_step_still_pays() -> None:
    _, outcome = step(state(**NEAR_RIGHT), STAY, frameskip=8)
    assert outcome.reward == np.float32(0.1)


@pytest.mark.parametrize(
    ("place", "scores", "ends"),
    [(WON, (20, 19), False), (WON, (3, 20), True), (LOST, (20, 20), True), (LOST, (19, 20), False)],
)
def test_a_game_ends_when_either_side_has_21(place: Any, scores: Any, ends: bool) -> None:
    before = state(**place, score_l=scores[0], score_r=scores[1])
    after, outcome = step(before)
    assert bool(outcome.terminated) == ends
    assert outcome.draws_used["serve"] == (0 if ends else 1)
    assert int(after.score_l) + int(after.score_r) == sum(scores) + 1


def test_continuous_directions_beyond_the_ends_are_the_ends() -> None:
    env = Pong(continuous=True)
    for start in (state(), state(**NEAR_RIGHT)):  # the paddle moves; it also spins the ball
        for given, used in ((3.0, 1.0), (-7.0, -1.0)):
            after, as_end = (
                env.transition(start, jnp.float32(action), HEADS, PARAMS)[0]
                for action in (given, used)
            )
            assert after == as_end != start


def test_unknown_discrete_actions_stay() -> None:
    for action in (-1, 3, 99):
        assert dynamics.direction(jnp.int32(action), continuous=False) == 0

"""L2: interactions of several modules of Pong, each also played on pong.h.

Every scenario places the ball and the paddles, plays a tape, and says how one sees in the
reference that the interaction happened. A point is never placed within the first frame: upstream
would show what it observed before the placing.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...references.core import Outcome, Snapshot
from ..suite import Scenario, Variant

DISCRETE = Variant("discrete", {"frameskip": 1})
SKIPPING = Variant("discrete, frameskip 8", {"frameskip": 8})
CONTINUOUS = Variant("continuous", {"frameskip": 1, "continuous": True})
NARROW = Variant("narrower than the ball", {"frameskip": 1}, {"width": 25.0})
TINY = Variant("smaller than the ball", {"frameskip": 1}, {"width": 21.0})
LONG = Variant(
    "a long game on an uneven court",
    {"frameskip": 1},
    {"max_score": 400, "height": 640.7, "paddle_height": 70.3, "ball_height": 32.1},
)

STAY, UP, DOWN = 0, 1, 2
Steps = Sequence[tuple[Snapshot, Outcome]]

NEAR_RIGHT = {"ball_x": 460.0, "ball_vx": 10.0, "ball_y": 300.0, "ball_vy": 0.0, "paddle_yr": 285.0}
NEAR_LEFT = {"ball_x": 5.0, "ball_vx": -10.0, "ball_y": 300.0, "ball_vy": 0.0, "paddle_yl": 285.0}


def after(step: int, **expected: Any) -> Callable[[Steps], bool]:
    """Whether the reference's fields, reward, terminated and truncated are so after step `step`."""

    def happened(steps: Steps) -> bool:
        snapshot, outcome = steps[step]
        ends = {"terminated": outcome.terminated, "truncated": outcome.truncated}
        shown = {**snapshot, **ends, "reward": outcome.reward}
        return all(
            np.array_equal(shown[name], np.asarray(value, np.asarray(shown[name]).dtype))
            for name, value in expected.items()
        )

    return happened


def stale_view(steps: Steps) -> bool:
    """The second step scores and shows what the first one showed."""
    first, second = steps[0][1], steps[1][1]
    return abs(second.reward) == 1 and np.array_equal(first.observation, second.observation)


SCENARIOS = (
    Scenario(
        "a_hit_turns_the_ball_and_pays",
        DISCRETE,
        NEAR_RIGHT,
        [STAY] * 3,
        after(0, reward=0.1, ball_vx=-10, ball_vy=3, n_bounces=1, ball_x=468),
    ),
    Scenario(
        "spin_up_is_added_to_the_ball",
        DISCRETE,
        {**NEAR_RIGHT, "ball_vy": 5.0},
        [UP] * 3,
        after(0, ball_vy=8, paddle_yr=293),
    ),
    Scenario(
        "spin_is_clamped_at_full_speed",
        DISCRETE,
        {**NEAR_RIGHT, "ball_vy": -12.0},
        [DOWN] * 3,
        after(0, ball_vy=-13),
    ),
    Scenario(
        "spin_that_flattens_the_ball_sends_it_up",
        DISCRETE,
        {**NEAR_RIGHT, "ball_vy": -3.0},
        [UP] * 2,
        after(0, ball_vy=3),
    ),
    Scenario(
        "almost_flat_counts_as_flat",
        CONTINUOUS,
        {**NEAR_RIGHT, "ball_vy": -1.5},
        [0.499, 0.0],
        after(0, ball_vy=3),
    ),
    Scenario(
        "touching_the_upper_edge_is_a_miss",
        DISCRETE,
        {**NEAR_RIGHT, "ball_x": 450.0, "ball_y": 355.0},
        [STAY] * 3,
        after(1, reward=-1),
    ),
    Scenario(
        "one_pixel_into_the_upper_edge_is_a_hit",
        DISCRETE,
        {**NEAR_RIGHT, "ball_x": 450.0, "ball_y": 354.0},
        [STAY] * 3,
        after(1, reward=0.1),
    ),
    Scenario(
        "touching_the_lower_edge_is_a_miss",
        DISCRETE,
        {**NEAR_RIGHT, "ball_x": 450.0, "ball_y": 253.0},
        [STAY] * 3,
        after(1, reward=-1),
    ),
    Scenario(
        "the_opponent_misses_by_an_edge",
        DISCRETE,
        {**NEAR_LEFT, "ball_x": 15.0, "ball_y": 400.0, "paddle_yl": 317.0, "ball_vy": 2.0},
        [STAY] * 3,
        after(1, paddle_yl=285, reward=1, score_r=1, win=1),
    ),
    Scenario(
        "the_opponent_hits_and_x_stays_outside",
        DISCRETE,
        NEAR_LEFT,
        [STAY] * 3,
        after(0, ball_x=-5, ball_vx=10, ball_vy=0, n_bounces=1, reward=0),
    ),
    Scenario(
        "a_wall_turns_the_ball_without_putting_it_back",
        DISCRETE,
        {"ball_x": 250.0, "ball_y": 605.0, "ball_vy": 11.0},
        [STAY] * 3,
        after(0, ball_y=616, ball_vy=-11),
    ),
    Scenario(
        "floor_and_paddle_in_one_frame",
        DISCRETE,
        {**NEAR_RIGHT, "ball_y": 4.0, "ball_vy": -9.0, "paddle_yr": -20.0},
        [UP] * 3,
        after(0, ball_y=0, ball_vy=12, ball_x=468, reward=0.1),
    ),
    Scenario(
        "paddles_stop_at_both_ends",
        DISCRETE,
        {"paddle_yr": 600.0, "paddle_yl": -33.0, "ball_y": -2.0, "ball_vy": 1.0, "ball_x": 200.0},
        [UP, UP, UP, DOWN],
        after(1, paddle_yr=605, paddle_yl=-35),
    ),
    Scenario(
        "a_point_shows_the_old_view",
        DISCRETE,
        {**NEAR_RIGHT, "ball_x": 450.0, "ball_y": 10.0},
        [STAY] * 4,
        stale_view,
    ),
    Scenario(
        "a_point_drops_the_remaining_frames",
        SKIPPING,
        {**NEAR_RIGHT, "ball_x": 430.0, "ball_y": 10.0},
        [UP, UP, UP],
        after(0, reward=-1, paddle_yr=285, ball_x=100, tick=0, score_l=1),
    ),
    Scenario(
        "a_hit_earlier_in_the_step_still_pays",
        SKIPPING,
        NEAR_RIGHT,
        [STAY] * 2,
        after(0, reward=0.1, ball_x=398),
    ),
    Scenario(
        "a_direction_holds_for_all_frames",
        SKIPPING,
        {"ball_x": 200.0, "ball_vx": 10.0},
        [UP, DOWN],
        after(0, paddle_yr=349),
    ),
    Scenario(
        "the_last_point_at_deuce_ends_the_game",
        DISCRETE,
        {**NEAR_RIGHT, "ball_y": 10.0, "score_l": 20, "score_r": 20},
        [STAY] * 3,
        after(0, terminated=True, score_l=0, score_r=0, reward=-1, log_score=-1),
    ),
    Scenario(
        "the_agent_wins_the_game",
        DISCRETE,
        {**NEAR_LEFT, "ball_y": 500.0, "paddle_yl": 100.0, "score_l": 7, "score_r": 20, "tick": 41},
        [STAY] * 3,
        after(0, terminated=True, reward=1, log_score=14, log_episode_length=42, tick=0),
    ),
    Scenario(
        "a_won_game_inside_a_skipped_step",
        SKIPPING,
        {**NEAR_LEFT, "ball_x": 35.0, "ball_y": 500.0, "paddle_yl": 100.0, "score_r": 20},
        [UP] * 3,
        after(0, terminated=True, reward=1),
    ),
    Scenario(
        "both_sides_in_one_frame",
        NARROW,
        {"ball_x": 5.0, "ball_vx": -10.0, "ball_y": 300.0, "paddle_yl": 285.0, "paddle_yr": 285.0},
        [STAY],
        after(0, n_bounces=2, ball_vx=-10, reward=0.1, ball_x=-7),
    ),
    Scenario(
        "spin_up_is_clamped_at_full_speed",
        DISCRETE,
        {**NEAR_RIGHT, "ball_vy": 12.0},
        [UP] * 3,
        after(0, ball_vy=13),
    ),
    Scenario(
        "at_the_left_edge_is_not_past_it",
        DISCRETE,
        {**NEAR_LEFT, "ball_x": 10.0},
        [STAY] * 3,
        after(0, ball_x=0, ball_vx=-10),
    ),
    Scenario(
        "half_a_pixel_before_the_left_edge_flies_on",
        DISCRETE,
        {**NEAR_LEFT, "ball_x": 10.5},
        [STAY] * 3,
        after(0, ball_x=0.5, ball_vx=-10),
    ),
    Scenario(
        "half_a_pixel_past_the_left_edge_is_hit",
        DISCRETE,
        {**NEAR_LEFT, "ball_x": 9.5},
        [STAY] * 3,
        after(0, ball_x=-0.5, ball_vx=10),
    ),
    Scenario(
        "ceiling_and_paddle_in_one_frame",
        DISCRETE,
        {**NEAR_RIGHT, "ball_y": 604.0, "ball_vy": 9.0, "paddle_yr": 590.0},
        [STAY] * 3,
        after(0, ball_y=608, ball_vy=-9, ball_x=468, reward=0.1),
    ),
    Scenario(
        "the_opponent_stops_at_the_top",
        DISCRETE,
        {"ball_x": 250.0, "ball_y": 660.0, "ball_vy": 0.0, "paddle_yl": 602.0},
        [STAY] * 3,
        after(0, paddle_yl=605),
    ),
    Scenario(
        "the_float_next_to_the_threshold_is_flat",
        DISCRETE,
        {**NEAR_RIGHT, "ball_vy": 0.01},
        [STAY] * 2,
        after(0, ball_vy=3),
    ),
    Scenario(
        "just_flat_enough",
        DISCRETE,
        {**NEAR_RIGHT, "ball_vy": 0.0095},
        [STAY] * 2,
        after(0, ball_vy=3),
    ),
    Scenario(
        "not_quite_flat",
        DISCRETE,
        {**NEAR_RIGHT, "ball_vy": 0.0105},
        [STAY] * 2,
        after(0, ball_vy=0.0105),
    ),
    Scenario(
        "long_rallies_are_counted_in_full",
        DISCRETE,
        {**NEAR_RIGHT, "tick": 70_000, "n_bounces": 70_000},
        [STAY] * 3,
        after(0, tick=70_001, n_bounces=70_001),
    ),
    Scenario(
        "a_long_rally_of_the_opponent_too",
        DISCRETE,
        {**NEAR_LEFT, "n_bounces": 70_000},
        [STAY] * 3,
        after(0, n_bounces=70_001),
    ),
    Scenario(
        "a_long_last_rally_is_logged_in_full",
        DISCRETE,
        {**NEAR_RIGHT, "ball_y": 10.0, "score_l": 20, "tick": 70_000},
        [STAY] * 3,
        after(0, terminated=True, log_episode_length=70_001),
    ),
    Scenario(
        "high_scores_are_counted_in_full",
        LONG,
        {**NEAR_RIGHT, "ball_x": 450.0, "ball_y": 10.0, "score_l": 300, "score_r": 200},
        [STAY] * 3,
        after(1, reward=-1, score_l=301, score_r=200),
    ),
    Scenario(
        "high_scores_of_the_agent_too",
        LONG,
        {
            **NEAR_LEFT,
            **{"ball_x": 15.0, "ball_y": 500.0, "paddle_yl": 100.0},
            **{"score_l": 200, "score_r": 300},
        },
        [STAY] * 3,
        after(1, reward=1, score_l=200, score_r=301),
    ),
    Scenario(
        "a_long_game_ends_at_its_own_score",
        LONG,
        {**NEAR_RIGHT, "ball_y": 10.0, "score_l": 399, "score_r": 200},
        [STAY] * 3,
        after(0, terminated=True, log_score=-200),
    ),
    Scenario(
        "the_opponent_s_miss_counts_first",
        TINY,
        {
            **{"ball_x": -10.0, "ball_vx": -2.0, "ball_y": 287.0, "ball_vy": 13.0},
            **{"paddle_yl": 223.0, "paddle_yr": 500.0},
        },
        [STAY] * 2,
        after(1, reward=1, score_r=1, score_l=0),
    ),
)

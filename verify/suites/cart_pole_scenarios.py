"""L2: every branch of cart-pole's step and what meets in one step, each also played on Gymnasium's.

A scenario places the cart and the pole, plays a tape, and says how one sees in the reference that
it happened. Under the explicit integrator a cart at rest stays where it is for one step, so that
it can be placed exactly at a threshold.
"""

import math
from typing import Any

from ..suite import Scenario, Variant
from .pong_scenarios import after

EULER = Variant("euler", x64=True)
SEMI_IMPLICIT = Variant("semi-implicit", {"kinematics_integrator": "semi-implicit euler"}, x64=True)
LONG = Variant("a long time limit", parameters={"max_episode_steps": 100_000}, x64=True)
SUTTON_BARTO = Variant("sutton-barto", {"sutton_barto_reward": True}, x64=True)

LEFT, RIGHT = 0, 1
EDGE = 2.4
LEAN = 12 * 2 * math.pi / 360
LAST = 499  # steps elapsed before the step that the time limit ends
REST: dict[str, Any] = {"x": 0.0, "x_dot": 0.0, "theta": 0.0, "theta_dot": 0.0}
FALLEN = {**REST, "x": 3.0, "steps_beyond_terminated": 0}


def _beyond(limit: float) -> float:
    return math.nextafter(limit, math.copysign(math.inf, limit))


def _thresholds() -> list[Scenario]:
    """Both ends of both thresholds: at one the episode goes on, one unit beyond it ends."""
    scenarios = []
    for name, field, limit in (("track", "x", EDGE), ("lean", "theta", LEAN)):
        for side, sign in (("left", -1), ("right", 1)):
            at, out = sign * limit, _beyond(sign * limit)
            for where, value, ends in (("at", at, False), ("beyond", out, True)):
                scenarios.append(
                    Scenario(
                        f"{where}_the_{side}_{name}_threshold",
                        EULER,
                        {**REST, field: value},
                        [RIGHT if sign < 0 else LEFT],
                        after(0, terminated=ends, truncated=False, reward=1),
                    )
                )
    return scenarios


SCENARIOS = (
    *_thresholds(),
    Scenario(
        "the_last_step_but_one_goes_on",
        EULER,
        {**REST, "elapsed_steps": LAST - 1},
        [LEFT, RIGHT],
        after(0, truncated=False, terminated=False, elapsed_steps=LAST),
    ),
    Scenario(
        "the_time_limit_truncates_and_starts_anew",
        EULER,
        {**REST, "elapsed_steps": LAST},
        [LEFT, RIGHT],
        after(0, truncated=True, terminated=False, reward=1, elapsed_steps=0),
    ),
    Scenario(
        "steps_are_counted_past_16_bits",
        LONG,
        {**REST, "elapsed_steps": 40_000},
        [LEFT, RIGHT],
        after(0, truncated=False, terminated=False, elapsed_steps=40_001),
    ),
    Scenario(
        "time_runs_out_in_the_step_of_the_fall",
        EULER,
        {**REST, "x": _beyond(EDGE), "elapsed_steps": LAST},
        [LEFT],
        after(0, truncated=True, terminated=True, reward=1, elapsed_steps=0),
    ),
    Scenario(
        "both_thresholds_in_one_step",
        EULER,
        {**REST, "x": _beyond(-EDGE), "theta": _beyond(LEAN)},
        [LEFT],
        after(0, terminated=True),
    ),
    Scenario(
        "a_push_moves_nothing_at_once",
        EULER,
        REST,
        [RIGHT, LEFT],
        after(0, x=0, theta=0),
    ),
    Scenario(
        "a_push_moves_at_once_if_semi_implicit",
        SEMI_IMPLICIT,
        {**REST, "x": EDGE, "theta": -LEAN},
        [RIGHT],
        after(0, terminated=True),
    ),
    Scenario(
        "a_pull_saves_at_once_if_semi_implicit",
        SEMI_IMPLICIT,
        {**REST, "x": _beyond(EDGE)},
        [LEFT, LEFT],
        after(0, terminated=False),
    ),
    Scenario(
        "a_fall_again_pays_nothing",
        EULER,
        FALLEN,
        [LEFT],
        after(0, terminated=True, reward=0),
    ),
    Scenario(
        "a_third_fall_pays_nothing_either",
        EULER,
        {**FALLEN, "steps_beyond_terminated": 1},
        [LEFT],
        after(0, terminated=True, reward=0),
    ),
    Scenario(
        "back_inside_after_a_fall_pays",
        EULER,
        {**FALLEN, "x": EDGE},
        [LEFT, LEFT],
        after(0, terminated=False, reward=1, steps_beyond_terminated=0),
    ),
    Scenario(
        "a_fall_costs_one",
        SUTTON_BARTO,
        {**REST, "theta": _beyond(-LEAN)},
        [RIGHT],
        after(0, terminated=True, reward=-1),
    ),
    Scenario(
        "a_fall_again_costs_one_too",
        SUTTON_BARTO,
        FALLEN,
        [LEFT],
        after(0, terminated=True, reward=-1),
    ),
    Scenario(
        "standing_pays_nothing",
        SUTTON_BARTO,
        REST,
        [RIGHT, LEFT],
        after(1, terminated=False, reward=0),
    ),
    Scenario(
        "the_time_limit_costs_nothing",
        SUTTON_BARTO,
        {**REST, "elapsed_steps": LAST},
        [LEFT],
        after(0, truncated=True, terminated=False, reward=0),
    ),
    Scenario(
        "a_fast_spin_is_felt_by_the_cart",
        EULER,
        {**REST, "theta": 0.2, "theta_dot": -40.0, "x_dot": 2.0},
        [RIGHT] * 4,
        after(0, terminated=True),
    ),
)

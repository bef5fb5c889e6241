"""L2: each sphere on the floor, each limit at each end, and what else meets in one step of the
cheetah, each also played on MuJoCo.

A scenario places joints and their speeds, plays a tape, and says how one sees in the reference that
it happened. Where one physics step is one step of the environment, what was placed is still there
after it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...references.core import Outcome, Snapshot
from ...references.half_cheetah.physics import NUM_EDGES, NUM_LIMITS, NUM_SPHERES
from ..suite import Scenario, Variant
from .half_cheetah_sides import DEFAULT

STEP = Variant("one physics step", {"frame_skip": 1}, x64=True)

Steps = Sequence[tuple[Snapshot, Outcome]]
Seen = Callable[..., Any]
"""(snapshot, outcome) -> whether it was seen."""

REST = np.zeros(6, np.float32)
PUSH = np.array([1.0, -1.0, 0.5, -0.5, 1.0, -0.25], np.float32)
STILL: Mapping[str, Any] = {"qvel": 0.0, "qacc_warmstart": 0.0}
SINKING, BENDING = -1.5, 9.0  # m/s, rad/s: further into the floor, and beyond a limit
HIGH = 5.0
"""Of the torso: nothing touches the floor."""

# z, pitch, and the six joints: poses in which each sphere lies in the floor, found by search. Most
# are there alone, 4 mm deep; 3, 5, 7, 10 and 14 only where other ends, and limits, are as well.
ON_SPHERE = (
    (-0.2034, -2.0, -0.4, -0.6, -0.2, 0.6, -0.4, -0.4),
    (-0.3359, 0.7, 0.4, -0.6, -0.1, 0.6, 0.7, 0.0),
    (0.0356, 2.2, -0.2, -0.6, 0.2, -0.4, 0.7, 0.0),
    (-0.4, 0.7, 0.5, 0.5, 0.1, 0.6, 0.7, 0.4),
    (-0.2017, -0.3, 0.9, 0.4, 0.2, 0.6, -0.1, 0.1),
    (-0.2, -1.4, -0.1, -0.7, 0.2, -0.5, -0.4, 0.4),
    (-0.1501, -1.3, -0.2, -0.6, -0.4, 0.5, -0.1, -0.3),
    (-0.3, -2.5, 1.9, 1.6, -2.1, 0.3, 1.6, -0.5),
    (0.2047, -1.7, 0.9, -0.2, -0.4, -0.7, -0.9, -0.2),
    (0.0709, -1.3, 0.2, -0.6, 0.5, 0.5, -0.6, -0.4),
    (-0.8, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (-0.363, 0.6, -1.8, 2.4, 0.4, 0.4, -2.7, -2.7),
    (-0.2879, 0.2, 0.6, 0.6, 0.6, -0.9, -0.3, -0.1),
    (-0.029, 0.9, -0.1, -0.1, 0.6, -0.8, -1.0, -0.4),
    (-0.8, -0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (-0.011, 1.2, 0.2, -0.6, 0.6, 0.6, -1.0, -0.2),
)
JOINTS = ("back thigh", "back shin", "back foot", "front thigh", "front shin", "front foot")
LIMITS = (
    (-0.52, 1.05),
    (-0.785, 0.785),
    (-0.4, 0.785),
    (-1.0, 0.7),
    (-1.2, 0.87),
    (-0.5, 0.5),
)
"""rad, of JOINTS."""


def _pose(z: float, pitch: float = 0.0, joints: Sequence[float] = (0.0,) * 6) -> dict[str, Any]:
    return {**STILL, "qpos": [0.0, z, pitch, *joints]}


def touching(s: Snapshot) -> np.ndarray:
    return s["contact_dist"] < 0


def limited(s: Snapshot) -> np.ndarray:
    return s["efc_D"][NUM_SPHERES * NUM_EDGES :] > 0


def _seen(at: int, seen: Seen) -> Callable[[Steps], bool]:
    return lambda steps: bool(seen(*steps[at]))


def _spheres() -> list[Scenario]:
    scenarios = []
    for i, (z, pitch, *joints) in enumerate(ON_SPHERE):

        def pushed(s: Snapshot, o: Outcome, i: int = i) -> bool:
            rows = slice(NUM_EDGES * i, NUM_EDGES * (i + 1))
            return bool(touching(s)[i] and s["efc_aref"][rows].any())

        place = {**_pose(z, pitch, joints), "qvel": [0.0, SINKING, *[0.0] * 7]}
        scenarios.append(
            Scenario(f"sphere_{i}_on_the_floor", STEP, place, [PUSH], _seen(0, pushed))
        )
    return scenarios


def _limits() -> list[Scenario]:
    scenarios = []
    for i, (joint, ends) in enumerate(zip(JOINTS, LIMITS, strict=True)):
        for side, end, sign in zip(("lower", "upper"), ends, (-1, 1), strict=True):
            bend = BENDING * sign
            joints = [end + sign * 0.02 if j == i else 0.0 for j in range(NUM_LIMITS)]

            def happened(s: Snapshot, o: Outcome, i: int = i) -> bool:
                alone = np.arange(NUM_LIMITS) == i
                return not touching(s).any() and np.array_equal(limited(s), alone)

            scenarios.append(
                Scenario(
                    f"{side}_limit_of_the_{joint.replace(' ', '_')}",
                    STEP,
                    {
                        **_pose(HIGH, 0.0, joints),
                        "qvel": [0.0] * (3 + i) + [bend] + [0.0] * (5 - i),
                    },
                    [REST, PUSH],
                    _seen(0, happened),
                )
            )
    return scenarios


def _moving(qvel: Any, z: float = HIGH, **pose: Any) -> dict[str, Any]:
    return {**_pose(z, **pose), "qvel": qvel}


def _is_near_rest(s: Snapshot, o: Outcome) -> bool:
    return bool(np.abs(s["qpos"]).max() < 0.1 and np.abs(s["qvel"]).max() < 10)


BENT = [high + 0.1 for _, high in LIMITS]
FLAT, BACK = -0.63, -0.5

SCENARIOS = (
    *_spheres(),
    *_limits(),
    Scenario(
        "nothing_touches_in_free_fall",
        DEFAULT,
        _pose(HIGH),
        [REST, PUSH],
        _seen(1, lambda s, o: not touching(s).any() and not s["efc_force"].any()),
    ),
    Scenario(
        "it_lands_on_its_feet",
        DEFAULT,
        _pose(-0.1),
        [REST] * 2,
        _seen(1, lambda s, o: touching(s).sum() >= 2),
    ),
    Scenario(
        "it_lies_flat",
        STEP,
        {**_pose(FLAT), "qvel": [0.0, SINKING, *[0.0] * 7]},
        [REST, PUSH],
        _seen(0, lambda s, o: touching(s).sum() >= 4),
    ),
    Scenario(
        "it_lies_on_its_back",
        STEP,
        {**_pose(BACK, np.pi), "qvel": [0.0, SINKING, *[0.0] * 7]},
        [PUSH, REST],
        _seen(0, lambda s, o: touching(s)[:4].any() and np.cos(s["qpos"][2]) < -0.9),
    ),
    Scenario(
        "deep_in_the_floor",
        STEP,
        _pose(-1.2),
        [PUSH],
        _seen(0, lambda s, o: touching(s).sum() >= 10),
    ),
    Scenario(
        "all_limits_at_once",
        STEP,
        _pose(HIGH, 0.0, BENT),
        [PUSH],
        _seen(0, lambda s, o: limited(s).all()),
    ),
    Scenario(
        "a_limit_that_is_just_reached_does_not_push",
        STEP,
        {
            **_pose(HIGH, 0.0, [low for low, _ in LIMITS]),
            "qvel": [0.0] * 3 + [-BENDING] * NUM_LIMITS,
        },
        [REST],
        _seen(0, lambda s, o: limited(s).any()),
    ),
    Scenario(
        "limits_and_contacts_at_once",
        STEP,
        _pose(-0.55, 0.3, BENT),
        [PUSH],
        _seen(0, lambda s, o: limited(s).any() and touching(s).any()),
    ),
    *(
        Scenario(
            f"it_slides_{way}",
            STEP,
            _moving([10.0 * sign, SINKING, *[0.0] * 7], z=-0.15),
            [REST, PUSH],
            _seen(0, lambda s, o, sign=sign: touching(s).any() and sign * s["qvel"][0] > 1),
        )
        for way, sign in (("forward", 1), ("backward", -1))
    ),
    Scenario(
        "it_spins_fast",
        DEFAULT,
        _moving([0.0, 0.0, 30.0, 20.0, -20.0, 20.0, -20.0, 20.0, -20.0]),
        [REST, PUSH],
        _seen(0, lambda s, o: abs(s["qvel"][2]) > 5),
    ),
    Scenario(
        "it_hits_the_floor_hard",
        STEP,
        _moving([0.0, -20.0, *[0.0] * 7], z=0.05),
        [REST] * 2,
        _seen(0, lambda s, o: touching(s).any() and s["efc_force"].max() > 1000),
    ),
    Scenario(
        "the_solver_starts_from_far_away",
        STEP,
        {**_pose(-0.2), "qacc_warmstart": [1e4, -1e4] * 4 + [1e4]},
        [PUSH],
        _seen(0, lambda s, o: touching(s).any()),
    ),
    Scenario(
        "motors_take_no_more_than_1",
        DEFAULT,
        _pose(HIGH),
        [3 * PUSH, -5 * PUSH],
        _seen(0, lambda s, o: o.reward < -1),
    ),
    Scenario(
        "far_away",
        DEFAULT,
        {**_pose(0.0), "qpos": [300.0, 0.0, 0.0, *[0.0] * 6]},
        [PUSH, REST],
        _seen(1, lambda s, o: s["qpos"][0] > 299),
    ),
    Scenario(
        "the_last_step_but_one_goes_on",
        DEFAULT,
        {**_pose(0.0), "elapsed_steps": 998},
        [PUSH, PUSH],
        _seen(0, lambda s, o: not o.truncated and s["elapsed_steps"] == 999),
    ),
    Scenario(
        "the_time_limit_truncates_and_starts_anew",
        DEFAULT,
        {**_pose(0.0), "elapsed_steps": 999},
        [PUSH, PUSH],
        _seen(0, lambda s, o: o.truncated and not o.terminated and s["elapsed_steps"] == 0),
    ),
    # MuJoCo's answer to what is no number, or above 1e10: it starts anew at rest, motors off.
    *(
        Scenario(f"it_starts_anew_from_{what}", variant, place, [PUSH], _seen(0, _is_near_rest))
        for variant in (DEFAULT, STEP)
        for what, place in (
            # From x = 3, so that the way back shows in the reward.
            ("an_absurd_place", {**_pose(0.0), "qpos": [3.0, 2e10, *[0.0] * 7]}),
            ("an_absurd_speed", {**_pose(0.0), "qvel": [*[0.0] * 8, -2e10]}),
        )
    ),
    *(
        Scenario(name, STEP, _moving(0.0, pitch=pitch), [REST], _seen(0, seen))
        for name, pitch, seen in (
            ("it_goes_on_from_the_largest_number", 1e10, lambda s, o: s["qpos"][2] == 1e10),
            ("it_starts_anew_from_a_larger_one", 1e10 + 1, _is_near_rest),
        )
    ),
    Scenario(
        "it_starts_anew_from_an_absurd_acceleration",
        STEP,
        {**_pose(HIGH), "qvel": [0.0, 0.0, 0.0, 1e9, *[0.0] * 5]},
        [REST],
        _seen(0, _is_near_rest),
    ),
)

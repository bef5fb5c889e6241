"""HalfCheetah's rules and the quirks that it keeps, one by one; no reference is needed."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.core import Outcome
from simlift.envs.half_cheetah import Draws, HalfCheetah, Params, State
from simlift.envs.half_cheetah.dynamics import rewards
from simlift.envs.half_cheetah.model import GRAVITY, TIMESTEP
from simlift.envs.half_cheetah.observe import observe

PARAMS = Params()
FORWARD, PITCH = 0, 2


def state(qpos: dict[int, float] | None = None, qvel: dict[int, float] | None = None) -> State:
    """At rest in the air, but for some numbers."""
    rest = HalfCheetah().initial(Draws(qpos=jnp.full(9, 0.5), qvel=jnp.zeros(9)), PARAMS)
    position, velocity = np.zeros((2, 9), np.float32)
    for array, numbers in ((position, qpos), (velocity, qvel)):
        for i, number in (numbers or {}).items():
            array[i] = number
    return rest.replace(qpos=jnp.asarray(position), qvel=jnp.asarray(velocity))


@functools.cache
def compiled(**options: Any) -> Any:
    env = HalfCheetah(**options)
    return jax.jit(lambda s, a, p: env.transition(s, a, None, p))


def step(start: State, action: Any = 0.0, params: Params = PARAMS, **options: Any) -> Any:
    actions = jnp.broadcast_to(jnp.asarray(action, jnp.float32), (6,))
    after, outcome = compiled(**options)(start, actions, params)
    assert isinstance(after, State) and isinstance(outcome, Outcome)
    return after, outcome


# -- the quirks of upstream, by their number in envs/half_cheetah/README.md


def test_quirk_1_motors_are_clamped_and_the_cost_is_not() -> None:
    most, outcome = step(state(), 1.0)
    more, dearer = step(state(), 3.0)
    np.testing.assert_array_equal(most.qpos, more.qpos)
    assert abs(outcome.info["reward_ctrl"] + 0.6) < 1e-6
    assert abs(dearer.info["reward_ctrl"] + 5.4) < 1e-6


def test_quirk_2_one_nan_switches_all_motors_off() -> None:
    action = np.array([1, 1, np.nan, 1, 1, 1])
    with jax.debug_nans(False):
        after, outcome = step(state({3: 0.1}), action)
    off, _ = step(state({3: 0.1}), 0.0)
    np.testing.assert_array_equal(after.qpos, off.qpos)
    assert np.isnan(outcome.reward)


def test_quirk_3_a_state_beyond_bounds_begins_anew_with_motors_off() -> None:
    falling, _ = step(state(), 0.0)
    for number in (np.nan, np.inf, 2e10):
        with jax.debug_nans(False):
            after, outcome = step(state(qvel={4: number}), 1.0)
        np.testing.assert_allclose(after.qpos, falling.qpos, atol=1e-6)
        np.testing.assert_allclose(after.qvel, falling.qvel, atol=1e-6)
        assert not outcome.terminated and outcome.info["solver_failures"] == 0


def test_quirk_4_that_moves_it_back_to_the_start_and_is_paid_for() -> None:
    after, outcome = step(state({FORWARD: 10.0}, {4: 2e10}))
    assert abs(after.qpos[FORWARD]) < 1e-6
    assert abs(outcome.info["x_velocity"] + 10 / 0.05) < 1e-3


def test_quirk_5_episodes_never_terminate() -> None:
    after, outcome = step(state({1: -0.4, PITCH: np.pi}))  # on its back
    assert not outcome.terminated and np.isfinite(after.qpos).all()


def test_quirk_6_the_starting_pose_is_not_held_to_the_joints_ranges() -> None:
    env = HalfCheetah()
    params = PARAMS.replace(reset_noise_scale=jnp.float32(3))
    start = env.initial(Draws(qpos=jnp.ones(9), qvel=jnp.full(9, -2.0)), params)
    np.testing.assert_array_equal(start.qpos, np.full(9, 3, np.float32))
    np.testing.assert_array_equal(start.qvel, np.full(9, -6, np.float32))


# -- rules


def test_it_falls_freely_until_it_touches_the_floor() -> None:
    """Five steps of semi-implicit Euler: 1 + 2 + 3 + 4 + 5 = 15 parts of g h^2."""
    after, _ = step(state())
    expected = np.zeros(9)
    expected[1] = -15 * GRAVITY * TIMESTEP**2
    np.testing.assert_allclose(after.qpos, expected, atol=1e-6)
    expected[1] = -5 * GRAVITY * TIMESTEP
    np.testing.assert_allclose(after.qvel, expected, atol=1e-5)
    np.testing.assert_allclose(after.qacc_warmstart[1], -GRAVITY, rtol=1e-5)


def test_frame_skip_is_the_number_of_physics_steps() -> None:
    five, _ = step(state({PITCH: 0.3}), 0.5)
    one = state({PITCH: 0.3})
    for _ in range(5):
        one, outcome = step(one, 0.5, frame_skip=1)
    np.testing.assert_allclose(five.qvel, one.qvel, atol=1e-4)
    assert five.elapsed_steps == 1 and one.elapsed_steps == 5
    moving, outcome = step(state(qvel={FORWARD: 2.0}), frame_skip=1)
    assert abs(outcome.info["x_velocity"] - 2) < 1e-3 and abs(moving.qpos[FORWARD] - 0.02) < 1e-5


def test_nothing_depends_on_where_it_is_along_x() -> None:
    """The reward in float32 keeps its digits 100 km away."""
    near, near_outcome = step(state(qvel={FORWARD: 3.0}), 0.7)
    far, far_outcome = step(state({FORWARD: 1e5}, {FORWARD: 3.0}), 0.7)
    np.testing.assert_array_equal(near.qpos[1:], far.qpos[1:])
    np.testing.assert_array_equal(near.qvel, far.qvel)
    assert near_outcome.reward == far_outcome.reward


def test_the_reward_is_weighted_speed_less_weighted_cost() -> None:
    params = PARAMS.replace(forward_reward_weight=jnp.float32(3), ctrl_cost_weight=jnp.float32(0.5))
    _, outcome = step(state(qvel={FORWARD: 2.0}), 0.5, params)
    info = outcome.info
    assert abs(info["reward_forward"] - 3 * info["x_velocity"]) < 1e-5
    assert abs(info["reward_ctrl"] + 0.5 * 6 * 0.25) < 1e-6
    assert outcome.reward == info["reward_forward"] + info["reward_ctrl"]


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_cost_of_an_action_has_the_precision_of_the_action(precision: type) -> None:
    generator = np.random.default_rng(0)
    actions = generator.normal(size=(2000, 6)).astype(precision)
    theirs = [-(0.1 * np.sum(np.square(action))) for action in actions]  # control_cost
    with jax.enable_x64(True):
        params = Params()
        ours = jax.vmap(lambda a: rewards(jnp.zeros(()), a, 5, params)[2])(jnp.asarray(actions))
        assert ours.dtype == np.float64
    np.testing.assert_array_equal(ours, np.asarray(theirs, np.float64))


def test_the_view_is_positions_then_velocities() -> None:
    seen = state({FORWARD: 7.0, 8: 0.5}, {FORWARD: 1.0, 8: -2.0})
    short, whole = observe(seen, True), observe(seen, False)
    assert short.shape == (17,) and whole.shape == (18,)
    np.testing.assert_array_equal(whole[1:], short)
    assert [float(whole[i]) for i in (0, 8, 9, 17)] == [7.0, 0.5, 1.0, -2.0]


def test_time_runs_out_after_max_episode_steps() -> None:
    env = HalfCheetah()
    for elapsed, over in ((998, False), (999, True)):
        start = state().replace(elapsed_steps=jnp.int32(elapsed))
        result = env.step(jax.random.key(0), start, np.zeros(6, np.float32))
        assert not result[3] and bool(result[4]) == over
        assert int(result[1].elapsed_steps) == (0 if over else elapsed + 1)


def test_the_first_state_spans_the_declared_range() -> None:
    low = HalfCheetah().initial(Draws(qpos=jnp.zeros(9), qvel=jnp.zeros(9)), PARAMS)
    np.testing.assert_array_equal(low.qpos, np.full(9, -0.1, np.float32))
    assert not low.qacc_warmstart.any() and low.elapsed_steps == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"frame_skip": 0}, "frame_skip=0 must be an integer of at least 1"),
        ({"frame_skip": 2.5}, "frame_skip=2.5 must be an integer"),
        ({"kernel": "fast"}, "kernel='fast': choose one of"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HalfCheetah(**options)

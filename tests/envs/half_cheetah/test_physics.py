"""Each module of the physics, and whole steps, against MuJoCo's own numbers."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs.half_cheetah import Config, HalfCheetah, State
from simlift.envs.half_cheetah.kernel import simulate
from simlift.envs.half_cheetah.modules import modules
from simlift.references.half_cheetah.physics import (
    MODULES,
    expected_warnings,
    load_mujoco,
)

from . import mujoco_states
from .mujoco_states import FRAME_SKIP, KINDS, Steps

pytestmark = pytest.mark.reference

# Of the largest entry of its module. Each entry is some hundred operations, rounded to 1.1e-16, so
# 1e-14 or so; the condition of the solver's matrix, of the order of 100, makes that 1e-12.
RELATIVE = 1e-12
# Of a step from the same state: positions and velocities of the order of 10, five times a solution
# as above times 0.01 s. Asked for are 1e-9.
ONE_STEP = 1e-11
# What float32 is asked for, and how often it may be further off. One rounding of the height of a
# foot, 6e-8 m, is 2e-4 m/s^2 in its reference acceleration, and where that decides which rows push,
# more. Play keeps speeds around 10; above, errors grow with the speeds.
FLOAT32, FAST, RARELY = 1e-3, 10.0, 1e-3


@functools.cache
def played(kind: str) -> Steps:
    return mujoco_states.play(kind, 200)


@functools.cache
def ours_and_theirs() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Modules of all KINDS, [N, ...] each."""
    steps = Steps(*map(np.concatenate, zip(*map(played, KINDS), strict=True)))
    with jax.enable_x64(True):
        inputs = steps.qpos, steps.qvel, steps.qacc_warmstart, steps.action
        ours = jax.jit(jax.vmap(modules))(*map(jnp.asarray, inputs))
    return jax.device_get(ours), mujoco_states.modules(steps)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_mujocos(name: str) -> None:
    ours, theirs = (side[name] for side in ours_and_theirs())
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=RELATIVE * np.abs(theirs).max())


def test_the_states_bring_every_sphere_and_limit_into_play() -> None:
    _, theirs = ours_and_theirs()
    assert (theirs["contact_dist"] < 0).any(0).all()
    there, pushing = theirs["efc_D"] > 0, theirs["efc_force"] > 0
    assert (there & ~pushing).any(0).all() and pushing[:, -6:].any(0).all()
    # Rows of ends within the body, far under the floor only with all the others, need not push.
    assert pushing.any(0).sum() > 45
    assert {*(theirs["contact_dist"] < 0).sum(1)} >= {*range(5), 16}


def test_contacts_and_limits_are_there_where_mujoco_has_them() -> None:
    ours, theirs = ours_and_theirs()
    for name in ("contact_dist", "efc_D", "efc_aref"):
        np.testing.assert_array_equal(ours[name] != 0, theirs[name] != 0)


def step(steps: Steps, **options: Any) -> tuple[State, Any]:
    """What our side makes of the same states, in the float type of the day."""
    env = HalfCheetah(frame_skip=FRAME_SKIP, **options)
    number = jnp.result_type(float)
    qpos, qvel, warmstart = (jnp.asarray(x, number) for x in steps[:3])
    elapsed = jnp.zeros(len(qpos), jnp.int32)
    states = State(qpos=qpos, qvel=qvel, qacc_warmstart=warmstart, elapsed_steps=elapsed)
    params, actions = env.default_params, jnp.asarray(steps.action, jnp.float32)
    transition = jax.vmap(lambda s, a: env.transition(s, a, None, params))
    return jax.device_get(jax.jit(transition)(states, actions))


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_in_float64_is_mujocos(kind: str) -> None:
    steps = played(kind)
    with jax.enable_x64(True):
        after, outcome = step(steps)
    np.testing.assert_allclose(after.qpos, steps.next_qpos, rtol=0, atol=ONE_STEP)
    np.testing.assert_allclose(after.qvel, steps.next_qvel, rtol=0, atol=ONE_STEP)
    scale = np.abs(steps.next_warmstart).max()
    difference = after.qacc_warmstart - steps.next_warmstart
    # Accelerations are those of the fifth physics step, whose state is ONE_STEP off; the contacts'
    # damping of 125/s magnifies that.
    assert np.abs(difference).max() <= 125 * ONE_STEP + RELATIVE * scale
    assert not outcome.info["solver_failures"].any()
    x_velocity = (steps.next_qpos[:, 0] - steps.qpos[:, 0]) / 0.05
    np.testing.assert_allclose(outcome.info["x_velocity"], x_velocity, rtol=0, atol=ONE_STEP / 0.05)


@functools.cache
def many() -> Steps:
    """Of all KINDS."""
    played = (mujoco_states.play(kind, 1000, seed=1) for kind in KINDS)
    return Steps(*map(np.concatenate, zip(*played, strict=True)))


@functools.cache
def in_float32(kernel: str) -> tuple[State, Any]:
    return step(many(), kernel=kernel)


@pytest.mark.parametrize("kernel", ["auto", "jnp"])
def test_float32_stays_near(kernel: str) -> None:
    steps, (after, outcome) = many(), in_float32(kernel)
    assert after.qpos.dtype == np.float32
    off = np.abs(np.concatenate([after.qpos - steps.next_qpos, after.qvel - steps.next_qvel], 1))
    bound = FLOAT32 * np.maximum(1, np.abs(steps.next_qvel).max(1) / FAST)
    assert (off.max(1) > bound).mean() <= RARELY
    assert not outcome.info["solver_failures"].any()
    moved = steps.next_qpos[:, 0] - steps.qpos[:, 0]
    assert np.abs(outcome.info["x_velocity"] - moved / 0.05).max() < FLOAT32


def test_the_kernel_and_xla_differ_in_roundings_only() -> None:
    """Half of the velocities by a few units in the last place of 10, hardly any by more than both
    may be off."""
    (kernel, _), (xla, _) = map(in_float32, ("auto", "jnp"))
    difference = np.abs(kernel.qvel - xla.qvel)
    assert np.median(difference) < 4 * np.spacing(np.float32(10))
    assert (difference.max(1) > 2 * FLOAT32).mean() <= 2 * RARELY


# -- states that MuJoCo gives up: (index of qpos, of qvel) -> number, in a cheetah 0.3 m up

ABSURD: dict[str, tuple[dict[int, float], dict[int, float], dict[int, float]]] = {
    "nothing": ({}, {}, {}),
    "a joint is nowhere": ({3: np.nan}, {}, {}),
    "x is nowhere": ({0: np.nan}, {}, {}),
    "a speed is infinite": ({}, {4: -np.inf}, {}),
    "a speed is beyond the bound": ({}, {1: 1.0001e10}, {}),
    "x goes beyond the bound on the way": ({0: 9.99e9}, {0: 9e9}, {}),
    "z is beyond the bound": ({1: -1.0001e10}, {}, {}),
    "accelerations are beyond the bound": ({}, {4: 1e6}, {}),
    "a limit is far exceeded": ({3: 1e9}, {}, {}),
    "a control is NaN": ({3: 0.1}, {4: 0.5}, {1: np.nan}),
    "controls are infinite": ({3: 0.1}, {4: 0.5}, {1: np.inf, 2: -np.inf}),
    "controls are above 1": ({3: 0.1}, {4: 0.5}, {1: 3.0, 2: -1e12}),
}


@functools.cache
def absurd_steps() -> tuple[Steps, list[int]]:
    """(a step from each of ABSURD, how often MuJoCo complained)."""
    model, mujoco = mujoco_states.exact_model(), load_mujoco()
    rows, complaints = [], []
    for qpos, qvel, ctrl in ABSURD.values():
        data, action = mujoco.MjData(model), np.full(6, 0.5)
        data.qpos[1] = 0.3
        for field, numbers in ((data.qpos, qpos), (data.qvel, qvel), (action, ctrl)):
            for i, number in numbers.items():
                field[i] = number
        before = data.qpos.copy(), data.qvel.copy(), data.qacc_warmstart.copy()
        data.ctrl[:] = action
        with expected_warnings():
            mujoco.mj_step(model, data, nstep=FRAME_SKIP)
        rows.append((*before, action, data.qpos, data.qvel, data.qacc_warmstart))
        complaints.append(sum(warning.number for warning in data.warning))
    return Steps(*map(np.stack, zip(*rows, strict=True))), complaints


@functools.cache
def absurd_steps_of_ours() -> tuple[np.ndarray, ...]:
    steps, _ = absurd_steps()
    with jax.enable_x64(True), jax.debug_nans(False):
        run = jax.jit(jax.vmap(functools.partial(simulate, config=Config(frame_skip=FRAME_SKIP))))
        return jax.device_get(run(*map(jnp.asarray, steps[:4])))


@pytest.mark.parametrize("case", ABSURD)
def test_a_bad_state_begins_anew_as_in_mujoco(case: str) -> None:
    i = [*ABSURD].index(case)
    steps, complaints = absurd_steps()
    qpos, qvel, warmstart, advance, failures = (x[i] for x in absurd_steps_of_ours())
    assert complaints[i] > 0 or case in ("nothing", "controls are infinite", "controls are above 1")
    np.testing.assert_allclose(qpos, steps.next_qpos[i], rtol=0, atol=ONE_STEP)
    np.testing.assert_allclose(qvel, steps.next_qvel[i], rtol=0, atol=ONE_STEP)
    np.testing.assert_allclose(warmstart, steps.next_warmstart[i], rtol=0, atol=125 * ONE_STEP)
    expected = steps.next_qpos[i, 0] - steps.qpos[i, 0]
    np.testing.assert_allclose(advance, expected, rtol=1e-15, atol=ONE_STEP)
    assert failures == 0

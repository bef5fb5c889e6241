"""HalfCheetah as a program: what it compiles to, and that batches, params and resets agree."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import Array

from simlift.envs.core import state_bytes
from simlift.envs.half_cheetah import HalfCheetah, Params, dynamics, kernel
from simlift.envs.registry import make

NUM_ENVS = 6


def batch(env: HalfCheetah) -> tuple[Array, Any, Array]:
    """(keys, states, actions) of NUM_ENVS instances."""
    keys = jax.random.split(jax.random.key(0), NUM_ENVS)
    _, states = jax.vmap(env.reset, (0, None))(keys, env.default_params)
    actions = jax.random.uniform(jax.random.key(1), (NUM_ENVS, 6), minval=-1.0)
    return keys, states, actions


def test_compiled_batched_and_single_steps_agree_bit_by_bit() -> None:
    env = HalfCheetah()
    keys, states, actions = batch(env)
    if kernel.speed(env.config, jnp.float32) == "jnp":
        pytest.skip("without a kernel XLA may round a batch and one instance differently")
    batched = jax.jit(jax.vmap(env.step))(keys, states, actions)
    for i in range(NUM_ENVS):
        single = env.step(keys[i], jax.tree.map(lambda x: x[i], states), actions[i])  # noqa: B023
        expected = jax.tree.map(lambda x: x[i], batched)  # noqa: B023
        pairs = zip(jax.tree.leaves(single), jax.tree.leaves(expected), strict=True)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def test_params_can_be_vmapped() -> None:
    env = HalfCheetah()
    params = jax.tree.map(lambda x: jnp.broadcast_to(x, NUM_ENVS), env.default_params)
    weights = jnp.arange(NUM_ENVS, dtype=jnp.float32)
    keys, states, actions = batch(env)
    _, after, reward, *_, info = jax.vmap(env.step)(
        keys, states, actions, params.replace(ctrl_cost_weight=weights)
    )
    cost = weights * (np.asarray(actions) ** 2).sum(1)
    np.testing.assert_allclose(info["reward_forward"] - reward, cost, atol=1e-5)
    assert (after.elapsed_steps == 1).all()


@pytest.mark.parametrize("policy", ["select", "pool"])
def test_when_time_is_over_it_starts_anew(policy: Any) -> None:
    env = HalfCheetah(auto_reset=policy)
    keys, states, actions = batch(env)
    last = states.replace(elapsed_steps=jnp.full(NUM_ENVS, 999))
    last = last.replace(qpos=last.qpos + jnp.float32(5))
    seen, after, _, terminated, truncated, info = jax.vmap(env.step)(keys, last, actions)
    assert truncated.all() and not terminated.any()
    assert not after.elapsed_steps.any() and not after.qacc_warmstart.any()
    assert (jnp.abs(after.qpos) <= 0.1).all() and (jnp.abs(seen[:, :8]) <= 0.1).all()
    assert (info["final_observation"][:, 0] > 2).all()
    assert len({row.tobytes() for row in np.asarray(after.qpos)}) == NUM_ENVS


def test_state_takes_112_bytes_of_explicit_types() -> None:
    for x64, dtype in ((False, np.float32), (True, np.float64)):
        with jax.enable_x64(x64):
            env = HalfCheetah()
            obs, state = jax.eval_shape(env.reset, jax.random.key(0))
            assert (obs.dtype, obs.shape) == (dtype, (17,))
            assert env.observation_space().dtype == dtype
            leaves = jax.tree.leaves(state)
            assert not any(leaf.weak_type for leaf in leaves)
            assert {leaf.dtype for leaf in leaves} == {np.dtype(dtype), np.dtype(np.int32)}
            assert state_bytes(state) == 27 * np.dtype(dtype).itemsize + 4
            step = jax.eval_shape(env.step, jax.random.key(0), state, np.zeros(6, np.float32))
            assert jax.tree.leaves(step[:2]) == [obs, *leaves]
            assert step[2].dtype == np.float32


def test_starts_are_uniform_and_normal_and_independent() -> None:
    env = HalfCheetah()
    keys = jax.random.split(jax.random.key(0), 20_000)
    states = jax.vmap(env.reset, (0, None))(keys, Params())[1]
    qpos, qvel = (np.asarray(x, np.float64) for x in (states.qpos, states.qvel))
    for column in qpos.T:
        assert scipy.stats.kstest(column, "uniform", (-0.1, 0.2)).pvalue > 0.001
    for column in qvel.T:
        assert scipy.stats.kstest(column / 0.1, "norm").pvalue > 0.001
    correlation = np.corrcoef(np.concatenate([qpos, qvel], 1).T) - np.eye(18)
    assert np.abs(correlation).max() < 6 / np.sqrt(len(qpos))


def test_the_solver_settles_in_states_of_violence() -> None:
    """The solver takes full steps without a line search, and settles wherever it is started.

    A row that pushes with nothing may come and go with the rounding of float32: in these states of
    violence, one physics step in a million is not called settled for that.
    """
    generator = np.random.default_rng(0)
    count = 20_000
    qpos = generator.uniform(-1, 1, (count, 9)) * [1, 1, np.pi, 1, 1, 1, 1, 1, 1]
    qvel = generator.standard_normal((count, 9)) * generator.choice([0.1, 3, 30], (count, 1))
    start = generator.standard_normal((count, 9)) * generator.choice([0, 10, 1e4], (count, 1))
    ctrl = generator.uniform(-1, 1, (count, 6))
    env = HalfCheetah()
    inputs = (jnp.asarray(x, jnp.float32) for x in (qpos, qvel, start, ctrl))
    run = jax.jit(jax.vmap(lambda *args: kernel.simulate(*args, env.config)))
    *after, _, failures = jax.device_get(run(*inputs))
    assert failures.sum() <= 1
    assert all(np.isfinite(array).all() for array in after)


@pytest.mark.parametrize("action", [np.full(6, 1.5, np.float32), np.zeros(5, np.float32), [0] * 6])
def test_actions_outside_the_space_are_refused(action: Any) -> None:
    env = HalfCheetah()
    _, state = env.reset(jax.random.key(0))
    with pytest.raises(ValueError, match=r"HalfCheetah-v5: action"):
        env.step(jax.random.key(0), state, action)


def test_the_registry_makes_it() -> None:
    assert make("HalfCheetah-v5", frame_skip=2)[0] == HalfCheetah(frame_skip=2)
    assert make("HalfCheetah-v5")[0] != HalfCheetah(kernel="jnp")


def test_the_physics_has_neither_indexing_nor_sorting() -> None:
    _, states, actions = batch(HalfCheetah())
    text = str(
        jax.make_jaxpr(lambda *args: dynamics.steps(*args, count=5))(
            states.qpos[0], states.qvel[0], states.qacc_warmstart[0], actions[0]
        )
    )
    for name in ("gather", "scatter", "dynamic_slice", "cond", "sort", "dot_general"):
        assert f"{name}[" not in text


# -- pictures

SKIN = (42, 54, 59)  # of the trunk


def trunk(picture: np.ndarray) -> np.ndarray:
    """Rows and columns of the trunk's pixels."""
    return np.argwhere((picture == SKIN).all(-1))


def test_a_picture_follows_the_cheetah_and_shows_its_pitch() -> None:
    env = HalfCheetah()
    _, state = env.reset(jax.random.key(0))
    level = state.replace(qpos=jnp.zeros(9))
    picture = env.render(level)
    assert picture.shape == (300, 600, 3) and picture.dtype == np.uint8
    far = env.render(level.replace(qpos=level.qpos.at[0].set(100)))
    np.testing.assert_array_equal(trunk(far), trunk(picture))
    down = trunk(env.render(level.replace(qpos=level.qpos.at[2].set(0.5))))
    left, right = (down[side, 0].mean() for side in (down[:, 1] < 250, down[:, 1] > 350))
    assert right > left + 20  # positive pitch: the nose is down, rows are counted from the top
    higher = trunk(env.render(level.replace(qpos=level.qpos.at[1].set(0.3))))
    assert higher[:, 0].mean() < trunk(picture)[:, 0].mean() - 40


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e9])
@pytest.mark.parametrize("joint", [0, 1, 5])
def test_a_cheetah_that_is_nowhere_can_be_pictured(joint: int, number: float) -> None:
    env = HalfCheetah()
    _, state = env.reset(jax.random.key(0))
    with jax.debug_nans(False):
        gone = state.replace(qpos=state.qpos.at[joint].set(number))
    picture = env.render(gone)
    assert picture.shape == (300, 600, 3)
    if not np.isfinite(number) or joint == 1:
        assert not trunk(picture).size

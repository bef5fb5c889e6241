"""The contract of environments: reset policies, compilation, snapshots, and clear complaints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from simlift.envs import state_bytes
from simlift.envs.core import POOL_FRACTION

from .toys import STAY, STEP, STOP, Duel, Glide, Walk

NUM_ENVS = 64


def keys_of(seed):
    return jax.random.split(jax.random.key(seed), NUM_ENVS)


def reset_many(env, params, params_axis=None):
    return jax.vmap(env.reset, in_axes=(0, params_axis))(keys_of(0), params)


def step_many(env, params_axis=None):
    return jax.jit(jax.vmap(env.step, in_axes=(0, 0, 0, params_axis)))


def rows(starts):
    """`start` is drawn anew for each episode: as a hashable row it names the episode."""
    return [tuple(row) for row in np.asarray(starts).tolist()]


def equal(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and jax.tree.all(
        jax.tree.map(np.array_equal, a, b)
    )


def never_stops(env):
    return env.default_params.replace(stop_probability=jnp.float32(0))


# Auto-reset


@pytest.mark.parametrize("auto_reset", ["select", "pool"])
@pytest.mark.parametrize("ends", [0, NUM_ENVS // POOL_FRACTION, NUM_ENVS])
def test_every_ended_instance_gets_a_state_of_its_own(auto_reset, ends):
    """Also where more end at once than the pool holds."""
    env = Walk(auto_reset=auto_reset)
    params = never_stops(env)
    _, before = reset_many(env, params)
    over = np.random.default_rng(0).permutation(NUM_ENVS) < ends
    actions = np.where(over, STOP, STEP)
    observation, after, reward, terminated, truncated, info = step_many(env)(
        keys_of(1), before, actions, params
    )
    np.testing.assert_array_equal(terminated, over)
    assert not truncated.any()
    np.testing.assert_array_equal(reward, actions)
    np.testing.assert_array_equal(after.time, ~over)
    fresh = set(rows(after.start[over]))
    assert len(fresh) == ends
    assert not fresh & set(rows(before.start))
    np.testing.assert_array_equal(after.start[~over], before.start[~over])
    np.testing.assert_array_equal(observation[:, :4], after.start)
    final = info["final_observation"]
    np.testing.assert_array_equal(final[:, :4], before.start)
    np.testing.assert_array_equal(final[:, 4], actions == STEP)
    np.testing.assert_array_equal(final[:, 5], 1)


@pytest.mark.parametrize("auto_reset", ["select", "pool"])
def test_fresh_states_are_unbiased(auto_reset):
    """Ends come at the stated rate; starts are uniform and independent, and none is used twice."""
    env, num_steps = Walk(auto_reset=auto_reset), 60
    params = env.default_params
    step = step_many(env)
    _, states = reset_many(env, params)
    starts = []
    for t in range(num_steps):
        actions = np.full(NUM_ENVS, STEP)
        _, states, _, terminated, *_ = step(keys_of(t + 1), states, actions, params)
        starts.append(np.asarray(states.start)[np.asarray(terminated)])
    starts = np.concatenate(starts)
    assert len(set(rows(starts))) == len(starts)
    rate = float(params.stop_probability)
    assert scipy.stats.binomtest(len(starts), NUM_ENVS * num_steps, rate).pvalue > 0.01
    assert scipy.stats.kstest(starts.ravel(), "uniform").pvalue > 0.01
    assert scipy.stats.spearmanr(starts[:-1, 0], starts[1:, 0]).pvalue > 0.01


def test_pool_gives_each_instance_the_state_of_its_own_params():
    env = Walk(auto_reset="pool")
    params = jax.tree.map(lambda x: jnp.broadcast_to(x, (NUM_ENVS,)), never_stops(env))
    params = params.replace(spread=10.0 ** jnp.arange(NUM_ENVS).astype(jnp.float32).clip(0, 8))
    _, states = reset_many(env, params, params_axis=0)
    over = np.arange(NUM_ENVS) % 9 == 8
    _, after, *_ = step_many(env, params_axis=0)(
        keys_of(1), states, np.where(over, STOP, STEP), params
    )
    np.testing.assert_array_equal(after.time, ~over)
    assert len(set(rows(after.start))) == NUM_ENVS
    scale = after.start.max(1) / params.spread
    assert ((scale > 0.05) & (scale < 1)).all()  # the largest of 4 uniform numbers


def test_pool_under_two_batch_axes():
    env = Walk(auto_reset="pool")
    params = never_stops(env)
    keys = jax.random.split(jax.random.key(0), (3, 16))
    reset = jax.vmap(jax.vmap(env.reset, in_axes=(0, None)), in_axes=(0, None))
    _, states = reset(keys, params)
    over = np.random.default_rng(0).random((3, 16)) < 0.3
    step = jax.vmap(jax.vmap(env.step, in_axes=(0, 0, 0, None)), in_axes=(0, 0, 0, None))
    _, after, *_ = jax.jit(step)(keys, states, np.where(over, STOP, STEP), params)
    np.testing.assert_array_equal(after.time, ~over)
    assert len(set(rows(after.start.reshape(-1, 4)))) == 3 * 16


def test_none_leaves_the_final_state():
    env = Walk(auto_reset="none")
    _, state = env.reset(jax.random.key(0))
    observation, after, _, terminated, _, info = env.step(jax.random.key(1), state, STOP)
    assert terminated
    assert after.time == 1
    np.testing.assert_array_equal(observation, info["final_observation"])


def test_time_limit_truncates_without_terminating():
    env = Walk()
    params = never_stops(env).replace(time_limit=jnp.int32(2))
    _, state = env.reset(jax.random.key(0), params)
    _, state, _, terminated, truncated, _ = env.step(jax.random.key(1), state, STEP, params)
    assert (terminated, truncated) == (False, False)
    _, state, _, terminated, truncated, info = env.step(jax.random.key(1), state, STEP, params)
    assert (terminated, truncated) == (False, True)
    assert state.time == 0
    assert info["final_observation"][-1] == 2


def test_step_env_never_resets():
    env = Walk()
    _, state = env.reset(jax.random.key(0))
    observation, after, reward, terminated, info = env.step_env(jax.random.key(1), state, STOP)
    assert (reward, terminated, info["time"]) == (STOP, True, 1)
    np.testing.assert_array_equal(after.start, state.start)
    np.testing.assert_array_equal(observation, env.observe(after, env.default_params))


def test_step_with_draws_is_step_with_the_dice_on_the_table():
    env = Walk()
    params = env.default_params
    key = jax.random.key(5)
    _, state = env.reset(key)
    key_draws, key_reset = jax.random.split(key)
    for action in (STEP, STOP):
        draws = env.sample_draws(key_draws, state, jnp.int32(action), params)
        reset_draws = env.sample_reset_draws(key_reset, params)
        *ours, info = env.step_with_draws(state, jnp.int32(action), draws, reset_draws, params)
        *theirs, step_info = env.step(key, state, action, params)
        assert equal(ours, theirs)
        assert equal({name: info[name] for name in step_info}, step_info)
        assert info["final_state"].time == 1
        assert info["draws_used"] == {"uniform": 1}


# Compilation


@pytest.mark.parametrize("auto_reset", ["select", "pool", "none"])
def test_reset_and_step_have_the_same_strong_types(auto_reset):
    env = Walk(auto_reset=auto_reset)
    observation, state = env.reset(jax.random.key(0))
    result = env.step(jax.random.key(0), state, STEP)
    reset_avals = jax.tree.map(jax.typeof, (observation, state))
    assert reset_avals == jax.tree.map(jax.typeof, result[:2])
    assert not any(x.weak_type for x in jax.tree.leaves(result))


@pytest.mark.parametrize("auto_reset", ["select", "pool", "none"])
def test_step_compiles_once_whatever_integer_the_action_is(auto_reset):
    env = Walk(length=7, auto_reset=auto_reset)
    step = jax.jit(env.step)
    _, state = env.reset(jax.random.key(0))
    Walk._step.clear_cache()
    for action in (STAY, np.int64(STEP), np.uint8(STOP), jnp.int32(STEP)):
        _, state, *_ = env.step(jax.random.key(1), state, action)
        _, state, *_ = step(jax.random.key(1), state, jnp.int32(STEP))
    assert step._cache_size() == 1
    assert Walk._step._cache_size() == 1


def test_environments_compare_by_configuration():
    assert Walk(length=3) == Walk(length=3)
    assert hash(Walk(length=3)) == hash(Walk(length=3))
    assert len({Walk(length=3), Walk(length=4), Walk(length=3, auto_reset="none"), Glide()}) == 4
    assert Walk() != Glide()
    assert Walk() != "Walk-v0"


def test_equal_environments_share_their_compilation():
    _, state = Walk(length=5).reset(jax.random.key(0))
    Walk(length=5).step(jax.random.key(0), state, STEP)
    compiled = Walk._step._cache_size()
    Walk(length=5).step(jax.random.key(0), state, STEP)
    assert Walk._step._cache_size() == compiled
    _, state = Walk(length=6).reset(jax.random.key(0))
    Walk(length=6).step(jax.random.key(0), state, STEP)
    assert Walk._step._cache_size() == compiled + 1


# Snapshots


def test_snapshot_and_restore_are_inverse():
    env = Walk()
    _, state = env.reset(jax.random.key(0))
    snapshot = env.snapshot(state)
    assert snapshot.keys() == {"start", "position", "time"}
    assert equal(env.restore(snapshot), state)
    _, states = reset_many(env, env.default_params)
    as_numpy = {name: np.asarray(value) for name, value in env.snapshot(states).items()}
    assert equal(env.restore(as_numpy), states)


def test_snapshot_names_nested_leaves():
    class Nested(Walk):
        def initial(self, draws, params):
            walk = super().initial(draws, params)
            return walk.replace(position=(walk.position, {"deep": walk.time}))

        def observe(self, state, params):
            return state.start

    env = Nested()
    _, state = env.reset(jax.random.key(0))
    snapshot = env.snapshot(state)
    assert snapshot.keys() == {"start", "position.0", "position.1.deep", "time"}
    assert equal(env.restore(snapshot), state)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda s: s.pop("time"), r"exactly the fields .*missing or unknown: \['time'\]"),
        (lambda s: s.update(speed=jnp.int32(0)), r"missing or unknown: \['speed'\]"),
        (lambda s: s.update(time=jnp.float32(0)), r"field time is float32\[\], expected int32\[\]"),
        (lambda s: s.update(start=jnp.zeros(3)), r"start is float32\[3\], expected float32\[4\]"),
        (lambda s: s.update(start=jnp.float32(0)), r"start is float32\[\], expected float32\[4\]"),
        (lambda s: s.update(time=jnp.zeros(2, jnp.int32)), "same batch axes"),
    ],
)
def test_restore_names_what_is_wrong(change, complaint):
    env = Walk()
    _, state = env.reset(jax.random.key(0))
    snapshot = env.snapshot(state)
    change(snapshot)
    with pytest.raises(ValueError, match=complaint):
        env.restore(snapshot)


# What a caller hands in


@pytest.mark.parametrize(
    ("env", "action", "complaint"),
    [
        (Walk(), 1.0, r"Walk-v0: action has dtype float64, expected int32.*\.astype"),
        (Walk(), True, r"dtype bool, expected int32"),
        (Walk(), "left", r"dtype <U4, expected int32"),
        (Walk(), None, r"dtype object, expected int32"),
        (Walk(), np.zeros(2, int), r"shape \(2,\), expected \(\); .*jax\.vmap"),
        (Walk(), 3, r"action 3 is outside 0 \.\. 2; see action_space"),
        (Walk(), -1, r"outside 0 \.\. 2"),
        (Walk(), np.int64(2**32 + 1), r"outside 0 \.\. 2"),
        (Glide(), np.zeros(2, int), r"dtype int64, expected float32"),
        (Glide(), np.float32(0), r"shape \(\), expected \(2,\)"),
        (Glide(), np.array([0, 2], np.float32), r"outside -1\.0 \.\. 1\.0"),
        (Glide(), np.array([0, np.nan], np.float32), r"outside -1\.0 \.\. 1\.0"),
    ],
)
def test_bad_actions_are_named(env, action, complaint):
    _, state = env.reset(jax.random.key(0))
    for step in (env.step, env.step_env):
        with pytest.raises(ValueError, match=complaint):
            step(jax.random.key(1), state, action)


def test_bad_action_shapes_and_dtypes_are_named_under_jit_too():
    env = Walk()
    _, state = env.reset(jax.random.key(0))
    with pytest.raises(ValueError, match="dtype float32"):
        jax.jit(env.step)(jax.random.key(1), state, jnp.float32(0))
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        jax.jit(env.step)(jax.random.key(1), state, jnp.zeros(3, jnp.int32))


def test_bad_states_are_named():
    env = Walk()
    params = env.default_params
    _, state = env.reset(jax.random.key(0))
    _, states = reset_many(env, params)
    _, other = Duel().reset(jax.random.key(0))
    for bad, complaint in [
        (states, r"state\.start is float32\[64, 4\], expected float32\[4\]; .*jax\.vmap"),
        (state.replace(time=jnp.float32(0)), r"state\.time is float32\[\], expected int32\[\]"),
        (other, "state is a DuelState, expected the WalkState that reset returns"),
        (None, "state is a NoneType"),
    ]:
        with pytest.raises(ValueError, match=complaint):
            env.step(jax.random.key(1), bad, STEP, params)


def test_continuous_actions_and_sizes():
    env = Glide()
    _, state = env.reset(jax.random.key(0))
    _, after, *_ = env.step_env(jax.random.key(1), state, np.array([0.5, -1.0]))
    assert after.position == 1
    assert env.num_actions == 2
    assert state_bytes(state) == 4 * 4 + 4 + 4

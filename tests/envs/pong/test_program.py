"""Pong as a program: what it compiles to, and that batches, params and reset policies agree."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from simlift.envs.core import state_bytes
from simlift.envs.pong import Params, Pong
from simlift.envs.pong.draws import sample_step
from simlift.envs.registry import make

SLOW_ON_ACCELERATORS = {
    "scatter", "gather", "dynamic_slice", "dynamic_update_slice", "cond", "while", "scan", "sort",
}  # fmt: skip
KINDS = pytest.mark.parametrize("continuous", [False, True])
NUM_ENVS = 6


def primitives(jaxpr: Any) -> set[str]:
    """Names of all primitives, inner programs included."""
    names = set()
    for equation in jaxpr.eqns:
        names.add(equation.primitive.name)
        values = jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda x: hasattr(x, "eqns")
        )
        for value in values:
            inner = getattr(value, "jaxpr", value)
            names |= primitives(inner) if hasattr(inner, "eqns") else set()
    return names


def batch(env: Pong, params: Params | None = None) -> tuple[Array, Any, Array]:
    """(keys, states, actions) of NUM_ENVS instances."""
    keys = jax.random.split(jax.random.key(0), NUM_ENVS)
    _, states = jax.vmap(env.reset, (0, None))(keys, params)
    actions = jax.vmap(env.action_space(params).sample)(keys)
    return keys, states, actions


def rollout(env: Pong, steps: int) -> Any:
    """(observation, reward, terminated) [T, B, ...] of random play."""

    def body(states: Any, key: Array) -> tuple[Any, Any]:
        keys = jax.random.split(key, NUM_ENVS)
        actions = jax.vmap(env.action_space().sample)(keys)
        seen, states, reward, terminated, *_ = jax.vmap(env.step)(keys, states, actions)
        return states, (seen, reward, terminated)

    states = batch(env)[1]
    return jax.jit(jax.lax.scan, static_argnums=0)(
        body, states, jax.random.split(jax.random.key(1), steps)
    )[1]


@KINDS
def test_step_has_neither_indexing_nor_control_flow(continuous: bool) -> None:
    env = Pong(continuous=continuous)
    keys, states, actions = batch(env)
    params = env.default_params
    step = jax.vmap(env.step, (0, 0, 0, None))
    found = primitives(jax.make_jaxpr(step)(keys, states, actions, params).jaxpr)
    assert not {name for name in found if any(name.startswith(s) for s in SLOW_ON_ACCELERATORS)}


def test_frameskip_is_one_loop_and_indexes_nothing() -> None:
    env = Pong(frameskip=8)
    keys, states, actions = batch(env)
    step = jax.vmap(env.step, (0, 0, 0, None))
    found = primitives(jax.make_jaxpr(step)(keys, states, actions, env.default_params).jaxpr)
    assert found & {"while", "scan"}
    assert not found & {"scatter", "gather", "dynamic_slice", "dynamic_update_slice", "cond"}


@KINDS
def test_compiled_batched_and_single_steps_agree(continuous: bool) -> None:
    env = Pong(continuous=continuous)
    keys, states, actions = batch(env)
    batched = jax.jit(jax.vmap(env.step))(keys, states, actions)
    for i in range(NUM_ENVS):
        state = jax.tree.map(lambda x: x[i], states)  # noqa: B023
        single = env.step(keys[i], state, actions[i])
        expected = jax.tree.map(lambda x: x[i], batched)  # noqa: B023
        pairs = zip(jax.tree.leaves(single), jax.tree.leaves(expected), strict=True)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def test_both_kinds_of_action_agree_on_whole_directions() -> None:
    discrete, continuous = Pong(), Pong(continuous=True)
    keys, states, _ = batch(discrete)
    for action, direction in ((0, 0.0), (1, 1.0), (2, -1.0)):
        results = [
            jax.vmap(env.step)(keys, states, jnp.full(NUM_ENVS, value, dtype))
            for env, value, dtype in (
                (discrete, action, jnp.int32),
                (continuous, direction, jnp.float32),
            )
        ]
        one, other = (jax.tree.leaves(result) for result in results)
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_params_can_be_vmapped() -> None:
    env = Pong()
    speeds = jnp.arange(NUM_ENVS, dtype=jnp.float32)
    params = jax.tree.map(lambda x: jnp.broadcast_to(x, NUM_ENVS), env.default_params)
    params = params.replace(paddle_speed=speeds)
    keys, states, _ = batch(env)
    up = jnp.ones(NUM_ENVS, jnp.int32)
    after = jax.vmap(env.step)(keys, states, up, params)[1]
    np.testing.assert_array_equal(after.paddle_yr, 285 + speeds)


@pytest.mark.parametrize("frameskip", [1, 4])
def test_pool_and_select_play_alike_until_a_ball_is_served(frameskip: int) -> None:
    steps = 200 // frameskip
    one, other = (
        rollout(Pong(frameskip=frameskip, auto_reset=policy), steps)
        for policy in ("select", "pool")
    )
    points = np.abs(np.asarray(one[1])) == 1
    running = np.cumsum(points, 0) - points == 0  # the coins of later serves differ
    assert points.any()
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(np.asarray(a)[running], np.asarray(b)[running])


@pytest.mark.parametrize("policy", ["select", "pool"])
def test_a_finished_game_starts_anew(policy: Any) -> None:
    env = Pong(auto_reset=policy)
    keys, states, _ = batch(env)
    last = {"ball_x": 465.0, "ball_y": 10.0, "ball_vx": 10.0, "score_l": 20, "tick": 9}
    fields = env.snapshot(states)
    ending = {**fields, **{n: jnp.full(NUM_ENVS, v, fields[n].dtype) for n, v in last.items()}}
    step = jax.jit(jax.vmap(env.step))
    seen, after, reward, terminated, _, info = step(
        keys, env.restore(ending), jnp.zeros(NUM_ENVS, jnp.int32)
    )
    assert terminated.all() and (reward == -1).all()
    assert not after.score_l.any() and not after.tick.any() and (after.ball_x == 100).all()
    np.testing.assert_array_equal(seen, jax.vmap(env.observe, (0, None))(after, Params()))
    # The view of the old game stands as it was, with the last point still unseen.
    assert (info["final_observation"][:, 2] == np.float32(465) / np.float32(500)).all()


def test_state_takes_37_bytes_of_explicit_types() -> None:
    env = Pong()
    obs, state = jax.eval_shape(env.reset, jax.random.key(0))
    assert state_bytes(state) == 37
    assert (obs.dtype, obs.shape) == (jnp.float32, (8,))
    leaves = jax.tree.leaves(state)
    assert not any(leaf.weak_type for leaf in leaves)
    assert {str(leaf.dtype) for leaf in leaves} == {"float32", "int16", "int32", "uint8"}


def test_draws_of_a_step_and_its_reset_are_fair_and_independent() -> None:
    size = 40_000
    step, reset = jax.vmap(sample_step)(jax.random.split(jax.random.key(0), size))
    table = np.zeros((2, 2))
    np.add.at(table, (np.asarray(step.serve), np.asarray(reset.serve)), 1)
    assert table.sum() == size
    # Four equally likely cells, each within 6 standard deviations.
    assert np.abs(table / size - 0.25).max() < 6 * np.sqrt(0.25 * 0.75 / size)


@pytest.mark.parametrize("frameskip", [0, -1, 1.5])
def test_frameskip_below_one_is_refused(frameskip: Any) -> None:
    with pytest.raises(ValueError, match=r"frameskip=.* must be an integer of at least 1"):
        Pong(frameskip=frameskip)


@pytest.mark.parametrize(
    ("continuous", "action"),
    [(False, np.int32(3)), (False, np.float32(1)), (True, np.int32(1)), (True, np.float32(1.5))],
)
def test_actions_outside_the_space_are_refused(continuous: bool, action: Any) -> None:
    env = Pong(continuous=continuous)
    _, state = env.reset(jax.random.key(0))
    with pytest.raises(ValueError, match=r"PufferPong-v0: action"):
        env.step(jax.random.key(0), state, action)


def test_the_registry_makes_it() -> None:
    assert make("PufferPong-v0", frameskip=8)[0] == Pong(frameskip=8)

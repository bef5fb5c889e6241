"""Cart-pole as a program: what it compiles to, and that batches, params and resets agree."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax import Array

from simlift.envs.cart_pole import CartPole, Params
from simlift.envs.core import state_bytes
from simlift.envs.registry import make
from simlift.envs.rounding import divide, rounded

NUM_ENVS = 6


def batch(env: CartPole, params: Params | None = None) -> tuple[Array, Any, Array]:
    """(keys, states, actions) of NUM_ENVS instances."""
    keys = jax.random.split(jax.random.key(0), NUM_ENVS)
    _, states = jax.vmap(env.reset, (0, None))(keys, params)
    return keys, states, jnp.arange(NUM_ENVS, dtype=jnp.int32) % 2


def test_dynamics_have_neither_indexing_nor_control_flow() -> None:
    env = CartPole()
    _, states, actions = batch(env)
    transition = jax.vmap(env.transition, (0, 0, None, None))
    text = str(jax.make_jaxpr(transition)(states, actions, None, env.default_params))
    for name in ("gather", "scatter", "dynamic_slice", "cond", "while", "scan", "sort"):
        assert f"{name}[" not in text


@pytest.mark.parametrize("integrator", ["euler", "semi-implicit euler"])
def test_compiled_batched_and_single_steps_agree(integrator: str) -> None:
    env = CartPole(kinematics_integrator=integrator)
    keys, states, actions = batch(env)
    batched = jax.jit(jax.vmap(env.step))(keys, states, actions)
    for i in range(NUM_ENVS):
        single = env.step(keys[i], jax.tree.map(lambda x: x[i], states), actions[i])  # noqa: B023
        expected = jax.tree.map(lambda x: x[i], batched)  # noqa: B023
        pairs = zip(jax.tree.leaves(single), jax.tree.leaves(expected), strict=True)
        assert all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def test_params_can_be_vmapped() -> None:
    env = CartPole()
    params = jax.tree.map(lambda x: jnp.broadcast_to(x, NUM_ENVS), env.default_params)
    pushes = jnp.arange(NUM_ENVS, dtype=jnp.float32)
    keys, states, _ = batch(env)
    right = jnp.ones(NUM_ENVS, jnp.int32)
    after = jax.vmap(env.step)(keys, states, right, params.replace(force_mag=pushes))[1]
    assert (np.diff(after.x_dot - states.x_dot) > 0.01).all()


@pytest.mark.parametrize("policy", ["select", "pool"])
def test_a_fallen_pole_starts_anew(policy: Any) -> None:
    env = CartPole(auto_reset=policy)
    keys, states, actions = batch(env)
    falling = states.replace(theta=jnp.full(NUM_ENVS, 0.5), elapsed_steps=states.elapsed_steps + 9)
    seen, after, reward, terminated, truncated, info = jax.vmap(env.step)(keys, falling, actions)
    assert terminated.all() and not truncated.any() and (reward == 1).all()
    assert not after.elapsed_steps.any() and not after.fallen.any()
    assert (jnp.abs(seen) <= 0.05).all() and (info["final_observation"][:, 2] > 0.4).all()


def test_without_auto_reset_the_fall_is_remembered() -> None:
    env = CartPole(auto_reset="none")
    keys, states, actions = batch(env)
    step = jax.vmap(env.step)
    _, fallen, reward, *_ = step(keys, states.replace(theta=jnp.full(NUM_ENVS, 0.5)), actions)
    assert (reward == 1).all() and fallen.fallen.all()
    _, _, reward, terminated, *_ = step(keys, fallen, actions)
    assert terminated.all() and not reward.any()


def test_state_takes_21_bytes_of_explicit_types() -> None:
    env = CartPole()
    obs, state = jax.eval_shape(env.reset, jax.random.key(0))
    assert state_bytes(state) == 21
    assert (obs.dtype, obs.shape) == (jnp.float32, (4,))
    leaves = jax.tree.leaves(state)
    assert not any(leaf.weak_type for leaf in leaves)
    assert {str(leaf.dtype) for leaf in leaves} == {"float32", "int32", "bool"}


def test_starts_are_uniform_and_independent() -> None:
    env = CartPole()
    keys = jax.random.split(jax.random.key(0), 20_000)
    seen = np.asarray(jax.vmap(env.reset)(keys)[0], np.float64)
    for column in seen.T:
        assert scipy.stats.kstest(column, "uniform", (-0.05, 0.1)).pvalue > 0.001
    correlation = np.corrcoef(seen.T) - np.eye(4)
    assert np.abs(correlation).max() < 6 / np.sqrt(len(seen))


@pytest.mark.parametrize("x64", [False, True])
def test_sums_of_products_and_quotients_round_as_numpy_does(x64: bool) -> None:
    """Also where the divisor is a constant and a fused multiply-add would be at hand."""
    dtype = np.float64 if x64 else np.float32
    a, b, c = np.random.default_rng(0).uniform(-2, 2, (3, 100_000)).astype(dtype)
    with jax.enable_x64(x64):
        sums = jax.jit(lambda a, b, c: rounded(a * b) + c)(a, b, c)
        divisor = jnp.asarray(1.1, dtype)
        quotients = jax.jit(lambda a: divide(a, divisor))(a)
    np.testing.assert_array_equal(sums, a * b + c)
    np.testing.assert_array_equal(quotients, a / dtype(1.1))


@pytest.mark.parametrize("action", [2, -1, np.float32(1)])
def test_actions_outside_the_space_are_refused(action: Any) -> None:
    env = CartPole()
    _, state = env.reset(jax.random.key(0))
    with pytest.raises(ValueError, match=r"CartPole-v1: action"):
        env.step(jax.random.key(0), state, action)


def test_a_picture_shows_the_pole_lean() -> None:
    env = CartPole()
    _, state = env.reset(jax.random.key(0))
    upright = state.replace(x=jnp.float32(0), theta=jnp.float32(0))
    picture = env.render(upright)
    assert picture.shape == (400, 600, 3) and picture.dtype == np.uint8
    assert np.abs(picture - picture[:, ::-1].astype(int)).mean() < 0.5
    lean = env.render(upright.replace(theta=jnp.float32(0.2)))
    brown = np.argwhere((lean == (202, 152, 101)).all(-1))
    top, bottom = brown[brown[:, 0] < 230], brown[brown[:, 0] > 270]
    assert top[:, 1].mean() > bottom[:, 1].mean() + 5


@pytest.mark.parametrize("changes", [{"x": np.nan}, {"theta": np.inf}, {"x": 1e9}])
def test_a_cart_that_is_nowhere_is_left_out(changes: dict[str, float]) -> None:
    env = CartPole()
    _, state = env.reset(jax.random.key(0))
    gone = state.replace(**{name: np.float32(value) for name, value in changes.items()})
    assert not (env.render(gone) == (202, 152, 101)).all(-1).any()


def test_the_registry_makes_it() -> None:
    assert make("CartPole-v1", sutton_barto_reward=True)[0] == CartPole(sutton_barto_reward=True)

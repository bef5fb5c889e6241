import jax
import jax.numpy as jnp
import numpy as np
import pytest

from simlift.envs import Box, Discrete
from simlift.envs.spaces import Space
from simlift.train.networks import ActorCritic
from simlift.train.policy import Policy

T, B, H = 6, 3, 8


def make_policy(rnn_size: int, space: Space | None = None) -> Policy:
    network = ActorCritic(
        space=space or Discrete(3), hidden_sizes=(16,), activation="tanh", rnn_size=rnn_size
    )
    carry, start = network.initial_carry(B), jnp.ones((1, B), bool)
    params = network.init(jax.random.key(0), carry, jnp.zeros((1, B, 4)), start)
    return Policy(params=params, stats=None, network=network, observation_shape=(4,))


@pytest.fixture
def sequence() -> jax.Array:
    return jax.random.normal(jax.random.key(1), (T, B, 4))


def values(policy: Policy, carry: jax.Array, sequence: jax.Array, start: jax.Array) -> jax.Array:
    return policy.forward(carry, sequence, start, None)[2]


def test_memory_is_wiped_before_the_first_observation_of_an_episode(sequence: jax.Array) -> None:
    """Neither a step late (the old episode leaks in) nor a step early or after (it is lost)."""
    policy = make_policy(H)
    begin = 3
    start = jnp.zeros((T, B), bool).at[begin, 1].set(True)
    full_memory = jnp.ones((B, H))
    with_start = values(policy, full_memory, sequence, start)
    without = values(policy, full_memory, sequence, jnp.zeros((T, B), bool))
    fresh = values(policy, jnp.zeros((B, H)), sequence[begin:], jnp.zeros((T - begin, B), bool))
    np.testing.assert_array_equal(with_start[:begin], without[:begin])
    np.testing.assert_array_equal(with_start[:, ::2], without[:, ::2])
    np.testing.assert_allclose(with_start[begin:, 1], fresh[:, 1], atol=1e-6)
    assert not np.allclose(with_start[begin:, 1], without[begin:, 1])


def test_first_observation_of_an_episode_is_remembered(sequence: jax.Array) -> None:
    policy = make_policy(H)
    start = jnp.zeros((T, B), bool).at[2].set(True)
    other = sequence.at[2].add(1.0)
    carry = policy.initial_carry(B)
    a, b = (values(policy, carry, x, start)[-1] for x in (sequence, other))
    assert not np.allclose(a, b)
    earlier = values(policy, carry, sequence.at[1].add(1.0), start)[-1]
    np.testing.assert_array_equal(a, earlier)


def test_step_by_step_equals_the_whole_sequence(sequence: jax.Array) -> None:
    policy = make_policy(H)
    start = jax.random.bernoulli(jax.random.key(2), 0.3, (T, B))
    whole = values(policy, policy.initial_carry(B), sequence, start)
    carry = policy.initial_carry(B)
    for t in range(T):
        carry, _, value = policy.forward(carry, sequence[t : t + 1], start[t : t + 1], None)
        np.testing.assert_allclose(value[0], whole[t], atol=1e-6)


def test_act_wipes_the_memory_of_the_rows_that_start(sequence: jax.Array) -> None:
    policy = make_policy(H)
    _, memory = policy.act(sequence[0], policy.initial_carry(B), deterministic=True)
    start = np.array([False, True, False])
    _, wiped = policy.act(sequence[1], memory, deterministic=True, start=start)
    _, kept = policy.act(sequence[1], memory, deterministic=True)
    _, fresh = policy.act(sequence[1], policy.initial_carry(B), deterministic=True)
    np.testing.assert_allclose(wiped[1], fresh[1], atol=1e-6)
    np.testing.assert_allclose(wiped[np.array([0, 2])], kept[np.array([0, 2])], atol=1e-6)
    assert not np.allclose(wiped[1], kept[1])


def test_mlp_has_no_memory(sequence: jax.Array) -> None:
    policy = make_policy(0)
    start = jnp.zeros((T, B), bool)
    whole = values(policy, (), sequence, start)
    assert policy.initial_carry(B) == ()
    np.testing.assert_allclose(values(policy, (), sequence[2:3], start[:1])[0], whole[2], atol=1e-6)


def test_policy_starts_almost_uniform_and_weights_are_orthogonal() -> None:
    policy = make_policy(0)
    observation = jax.random.normal(jax.random.key(3), (1, B, 4))
    distribution = policy.forward((), observation, jnp.zeros((1, B), bool), None)[1]
    np.testing.assert_allclose(distribution.entropy(), np.log(3), atol=1e-3)
    kernel = np.asarray(policy.params["params"]["actor"]["Dense_0"]["kernel"])
    np.testing.assert_allclose(kernel @ kernel.T, 2 * np.eye(4), atol=1e-5)


@pytest.mark.parametrize("shape", [(), (2,)])
def test_continuous_actions_have_the_shape_of_the_box(shape: tuple[int, ...]) -> None:
    policy = make_policy(0, Box(-1.0, 1.0, shape, np.float32))
    action, _ = policy.act(np.zeros((B, 4), np.float32), (), jax.random.key(0))
    assert action.shape == (B, *shape)
    assert action.dtype == jnp.float32
    assert jnp.abs(action).max() <= 1.0


def test_act_takes_legal_actions_only() -> None:
    policy = make_policy(0)
    legal = np.array([[True, False, False], [False, True, False], [False, False, True]])
    for deterministic in (False, True):
        observation = np.zeros((B, 4), np.float32)
        action, _ = policy.act(observation, (), jax.random.key(0), deterministic, legal=legal)
        np.testing.assert_array_equal(action, [0, 1, 2])


def test_act_says_what_it_wants() -> None:
    policy = make_policy(0)
    with pytest.raises(ValueError, match=r"shape \(3, 5\).*\[B, 4\]"):
        policy.act(np.zeros((3, 5), np.float32), (), jax.random.key(0))
    with pytest.raises(ValueError, match="needs a key"):
        policy.act(np.zeros((3, 4), np.float32), ())

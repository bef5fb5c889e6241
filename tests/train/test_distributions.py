import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from simlift.envs import Box, Discrete
from simlift.train.distributions import Categorical, Normal, to_environment

LOGITS = np.random.default_rng(0).normal(size=(5, 3, 4)).astype(np.float32) * 3


def test_categorical_agrees_with_scipy() -> None:
    action = np.random.default_rng(1).integers(0, 4, (5, 3)).astype(np.int32)
    expected = scipy.special.log_softmax(LOGITS.astype(np.float64), axis=-1)
    distribution = Categorical(jnp.asarray(LOGITS))
    chosen = np.take_along_axis(expected, action[..., None], axis=-1)[..., 0]
    np.testing.assert_allclose(distribution.log_prob(jnp.asarray(action)), chosen, rtol=1e-5)
    entropy = scipy.stats.entropy(np.exp(expected), axis=-1)
    np.testing.assert_allclose(distribution.entropy(), entropy, rtol=1e-5)
    np.testing.assert_array_equal(distribution.mode(), LOGITS.argmax(axis=-1))


def test_categorical_samples_with_its_probabilities() -> None:
    samples = Categorical(jnp.broadcast_to(LOGITS[0, 0], (20_000, 4))).sample(jax.random.key(0))
    counts = np.bincount(np.asarray(samples), minlength=4)
    expected = scipy.special.softmax(LOGITS[0, 0].astype(np.float64)) * 20_000
    assert scipy.stats.chisquare(counts, expected, sum_check=False).pvalue > 1e-3


@given(
    mask=st.lists(st.booleans(), min_size=4, max_size=4).filter(any),
    favourite=st.integers(0, 3),
    seed=st.integers(0, 2**31),
)
def test_masked_actions_are_never_taken(mask: list[bool], favourite: int, seed: int) -> None:
    legal = jnp.broadcast_to(jnp.asarray(mask), (256, 4))
    logits = jnp.broadcast_to(jax.nn.one_hot(favourite, 4) * 50.0, (256, 4))
    distribution = Categorical.masked(logits, legal)
    for action in (distribution.sample(jax.random.key(seed)), distribution.mode()):
        assert jnp.take_along_axis(legal, action[:, None], axis=1).all()


def test_masked_entropy_counts_legal_actions_only_and_has_a_finite_gradient() -> None:
    legal = jnp.array([True, False, True, False])

    def entropy(logits: jax.Array) -> jax.Array:
        return Categorical.masked(logits, legal).entropy()

    value, gradient = jax.value_and_grad(entropy)(jnp.array([0.0, 5.0, 0.0, -5.0]))
    np.testing.assert_allclose(value, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.zeros(4), atol=1e-6)
    single = Categorical.masked(jnp.zeros(4), jnp.arange(4) == 2)
    assert float(single.entropy()) == 0.0
    assert float(single.log_prob(jnp.int32(2))) == 0.0


def test_normal_agrees_with_scipy() -> None:
    rng = np.random.default_rng(2)
    mean, log_std, action = rng.normal(size=(3, 5, 2)).astype(np.float32)
    expected = scipy.stats.norm(mean, np.exp(log_std))
    for event_ndim, total in ((0, lambda x: x), (1, lambda x: x.sum(axis=-1))):
        distribution = Normal(jnp.asarray(mean), jnp.asarray(log_std), event_ndim)
        log_prob = distribution.log_prob(jnp.asarray(action))
        np.testing.assert_allclose(log_prob, total(expected.logpdf(action)), rtol=1e-4)
        np.testing.assert_allclose(distribution.entropy(), total(expected.entropy()), rtol=1e-4)


def test_normal_samples_have_its_mean_and_deviation() -> None:
    distribution = Normal(jnp.full(50_000, 3.0), jnp.full(50_000, np.log(0.5)))
    samples = distribution.sample(jax.random.key(0))
    assert scipy.stats.kstest(np.asarray(samples), scipy.stats.norm(3, 0.5).cdf).pvalue > 1e-3


def test_actions_are_clipped_and_stretched_onto_the_box() -> None:
    box = Box(np.array([-2.0, 0.0]), np.array([2.0, 1.0]), (2,), np.float32)
    action = jnp.array([[-9.0, -9.0], [0.0, 0.0], [9.0, 9.0]])
    expected = [[-2.0, 0.0], [0.0, 0.5], [2.0, 1.0]]
    np.testing.assert_array_equal(to_environment(action, box), expected)
    np.testing.assert_array_equal(jax.jit(to_environment, static_argnums=1)(action, box), expected)


def test_unbounded_and_discrete_actions_pass_unchanged() -> None:
    action = jnp.array([-9.0, 9.0])
    assert to_environment(action, Box(-np.inf, np.inf, (), np.float32)) is action
    index = jnp.array([0, 2])
    assert to_environment(index, Discrete(3)) is index

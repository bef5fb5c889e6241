import jax.numpy as jnp
import numpy as np

from simlift.train.normalize import CLIP, RunningStats


def test_statistics_do_not_depend_on_how_the_data_is_cut_up() -> None:
    data = np.random.default_rng(0).normal(5.0, 3.0, (1000, 2, 3)).astype(np.float32)
    stats = RunningStats.create((2, 3))
    for part in np.split(data, [1, 17, 600]):
        stats = stats.update(jnp.asarray(part))
    np.testing.assert_allclose(stats.mean, data.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stats.var, data.var(axis=0), rtol=1e-4)
    assert float(stats.count) == 1000


def test_normalized_data_has_mean_zero_and_deviation_one() -> None:
    data = jnp.asarray(np.random.default_rng(1).normal(-2.0, 0.1, (4000, 3)), jnp.float32)
    scaled = RunningStats.create((3,)).update(data).normalize(data)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(scaled.std(axis=0), 1, atol=1e-3)


def test_outliers_and_constant_entries_stay_finite() -> None:
    stats = RunningStats.create((1,)).update(jnp.ones((10, 1)))
    np.testing.assert_array_equal(stats.normalize(jnp.array([[1.0], [7.0]])), [[0.0], [CLIP]])


def test_integer_observations_are_accepted() -> None:
    stats = RunningStats.create((2,)).update(jnp.array([[0, 10], [2, 10]], jnp.int32))
    np.testing.assert_array_equal(stats.mean, [1.0, 10.0])
    assert stats.normalize(jnp.array([[1, 10]], jnp.int32)).dtype == jnp.float32

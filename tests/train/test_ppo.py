import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import simlift
from simlift.envs import Environment
from simlift.train import PPO, PPOConfig, make_train
from simlift.train.ppo import (
    LOG_POINTS,
    LOSSES,
    RunnerState,
    clipped_policy_loss,
    clipped_value_loss,
    generalized_advantages,
)

from .toys import Clock, Masked, Recall, Stay, Target, ToyParams

SMALL = PPOConfig(
    total_steps=20_000,
    num_envs=32,
    num_steps=16,
    num_minibatches=4,
    learning_rate=1e-2,
    gamma=0.9,
    hidden_sizes=(16,),
)


def finished(env: Environment, params: Any = None, **changes: Any) -> tuple[PPO, RunnerState, Any]:
    """A whole run, and the means over its last fifth."""
    ppo = PPO(dataclasses.replace(SMALL, **changes), env, params)
    last = ppo.config.num_updates // 5
    runner = ppo.init(jax.random.key(0))
    runner, _ = ppo.update_chunk(runner, ppo.config.num_updates - last)
    runner, metrics = ppo.update_chunk(runner, last)
    return ppo, runner, metrics.means()


def assert_equal(a: Any, b: Any) -> None:
    """Bit for bit."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        np.testing.assert_array_equal(x, y)


# -- formulas


def test_gae_equals_the_sum_over_each_episode() -> None:
    """Against the definition, sum over k of (gamma lambda)^k delta, cut at the episode's end."""
    rng = np.random.default_rng(0)
    steps, batch, gamma, lam = 20, 5, 0.97, 0.9
    reward, value = rng.normal(size=(2, steps, batch))
    done = rng.random((steps, batch)) < 0.2
    last_value = rng.normal(size=batch)
    expected = np.zeros((steps, batch))
    for b in range(batch):
        for t in range(steps):
            weight = 1.0
            for k in range(t, steps):
                following = last_value[b] if k == steps - 1 else value[k + 1, b]
                delta = reward[k, b] + (0 if done[k, b] else gamma * following) - value[k, b]
                expected[t, b] += weight * delta
                weight *= gamma * lam
                if done[k, b]:
                    break
    actual = generalized_advantages(
        reward=jnp.asarray(reward, jnp.float32),
        value=jnp.asarray(value, jnp.float32),
        done=jnp.asarray(done),
        last_value=jnp.asarray(last_value, jnp.float32),
        gamma=gamma,
        gae_lambda=lam,
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_policy_loss_stops_rewarding_a_ratio_outside_the_clip() -> None:
    ratio = jnp.array([0.5, 0.9, 1.0, 1.1, 2.0])
    for advantage, expected in (
        (1.0, [0.5, 0.9, 1.0, 1.1, 1.2]),  # more of a good action: no further than 1.2
        (-1.0, [-0.8, -0.9, -1.0, -1.1, -2.0]),  # less of a bad one: no further than 0.8
    ):
        loss, fraction = clipped_policy_loss(jnp.log(ratio), jnp.full(5, advantage), 0.2)
        np.testing.assert_allclose(loss, -np.mean(expected), rtol=1e-6)
        np.testing.assert_allclose(fraction, 0.4)
        gradient = jax.grad(lambda x, a: clipped_policy_loss(x, a, 0.2)[0])(
            jnp.log(ratio), jnp.full(5, advantage)
        )
        clipped = [False] * 4 + [True] if advantage > 0 else [True] + [False] * 4
        np.testing.assert_array_equal(gradient == 0, clipped)


def test_value_loss_takes_the_larger_error_when_clipped() -> None:
    value, old, target = (jnp.array([x]) for x in (2.0, 0.0, 3.0))
    np.testing.assert_allclose(clipped_value_loss(value, old, target, None), 0.5)
    np.testing.assert_allclose(clipped_value_loss(value, old, target, 0.5), 0.5 * 2.5**2)
    np.testing.assert_allclose(clipped_value_loss(value, old, -target, 0.5), 0.5 * 5.0**2)


def test_learning_rate_falls_linearly_to_zero() -> None:
    ppo = PPO(SMALL, Stay())
    steps = SMALL.num_epochs * SMALL.num_minibatches
    rates = [float(ppo._learning_rate(jnp.int32(u * steps))) for u in range(SMALL.num_updates + 1)]
    np.testing.assert_allclose(rates, np.linspace(SMALL.learning_rate, 0, len(rates)), atol=1e-8)
    constant = PPO(dataclasses.replace(SMALL, anneal_learning_rate=False), Stay())
    assert constant._learning_rate(jnp.int32(100)) == SMALL.learning_rate


# -- truncation


@pytest.mark.parametrize("rnn_size", [0, 8])
def test_truncation_is_bootstrapped_from_the_final_observation(rnn_size: int) -> None:
    """Not from the first observation of the next episode, and not from zero.

    With a memory: that of the episode that was cut off, including its last observation.
    """
    config = dataclasses.replace(SMALL, rnn_size=rnn_size)
    ppo = PPO(config, Clock(), ToyParams(limit=jnp.int32(3)))
    after = ppo.init(jax.random.key(0))
    policy = ppo.policy(after)
    step = jax.jit(lambda runner: ppo._step(policy, runner, None))
    for time in range(1, 7):
        before = after
        after, (transition, _) = step(before)
        leave = transition.action == 1
        truncated = ~leave & (before.observation[:, 1] == 2)
        carry, *_ = policy.forward(before.carry, before.observation[None], before.start[None], None)
        final = jnp.stack([before.env_state.cue, before.env_state.time + 1], axis=1)
        same_episode = jnp.zeros((1, config.num_envs), bool)
        value = policy.forward(carry, final[None], same_episode, None)[2][0]
        expected = jnp.where(leave, 2.0, 1.0) + jnp.where(truncated, 0.9 * value, 0.0)
        np.testing.assert_allclose(transition.reward, expected, rtol=1e-5)
        np.testing.assert_array_equal(transition.done, leave | truncated)
        assert truncated.any() or time != 3


def test_learner_looks_beyond_a_time_limit() -> None:
    """Staying pays 1 a step, leaving 2 once: only with the bootstrap is staying better."""
    ppo, runner, means = finished(Stay())
    assert means["episode_length"] > 3.9  # of 4: it stays
    value = ppo.policy(runner).forward((), jnp.ones((1, 1, 2)), jnp.zeros((1, 1), bool), None)[2]
    np.testing.assert_allclose(value, 10.0, rtol=0.2)


# -- learning


def test_masked_actions_are_never_played_and_the_best_legal_one_is_learned() -> None:
    ppo = PPO(SMALL, Masked())
    runner, first = ppo.update_chunk(ppo.init(jax.random.key(0)), SMALL.num_updates - 5)
    _, last = ppo.update_chunk(runner, 5)
    assert first.means()["episode_mistakes"] == last.means()["episode_mistakes"] == 0
    assert last.means()["episode_return"] > 3.8  # of 4


def test_gru_remembers_what_the_mlp_cannot() -> None:
    _, _, with_memory = finished(Recall(), rnn_size=16, total_steps=40_000)
    _, _, without = finished(Recall(), total_steps=40_000)
    assert with_memory["episode_return"] > 0.95
    assert 0.4 < without["episode_return"] < 0.6


def test_continuous_actions_are_learned() -> None:
    _, _, means = finished(Target(), total_steps=60_000, entropy_coef=0.0)
    assert means["episode_return"] > -0.05  # standing still in the middle: -0.5
    assert -1.0 <= means["episode_action"] <= 3.0


@pytest.mark.parametrize("rnn_size", [0, 8])
def test_old_and_new_probabilities_agree_before_the_first_gradient_step(rnn_size: int) -> None:
    """The learner sees the rollout as the actor saw it: same memory, scale and masks."""
    config = dataclasses.replace(
        SMALL, num_epochs=1, num_minibatches=1, rnn_size=rnn_size, normalize_observations=True
    )
    ppo = PPO(config, Masked(), ToyParams(limit=jnp.int32(5)))
    runner = ppo.init(jax.random.key(0))
    for _ in range(3):
        runner, metrics = ppo.update_chunk(runner, 1)
        assert metrics.means()["approx_kl"] < 1e-6
        assert metrics.means()["clip_fraction"] == 0


def test_observation_statistics_are_those_of_the_rollouts() -> None:
    config = dataclasses.replace(SMALL, normalize_observations=True)
    ppo = PPO(config, Clock(), ToyParams(limit=jnp.int32(3)))
    runner, _ = ppo.update_chunk(ppo.init(jax.random.key(0)), 3)
    assert float(runner.stats.count) == 3 * config.batch_size
    assert 0 < float(runner.stats.mean[1]) < 2
    plain, _ = (p := PPO(SMALL, Clock())).update_chunk(p.init(jax.random.key(0)), 1)
    assert float(plain.stats.count) == 0


# -- one program


def test_chunks_do_not_change_the_run_and_compile_once() -> None:
    ppo = PPO(dataclasses.replace(SMALL, rnn_size=8), Recall())
    start = ppo.init(jax.random.key(3))
    whole, metrics = ppo.update_chunk(start, 5)
    first, first_metrics = ppo.update_chunk(start, 2)
    second, second_metrics = ppo.update_chunk(first, 3)
    assert_equal(whole, second)
    assert int(whole.update) == 5
    assert int(metrics.episodes) == int(first_metrics.episodes) + int(second_metrics.episodes)
    lowered = [PPO.update_chunk.lower(ppo, start, jnp.int32(n)).as_text() for n in (1, 1000)]
    assert lowered[0] == lowered[1]


def test_seeds_side_by_side_equal_seeds_alone() -> None:
    ppo = PPO(SMALL, Masked())
    keys = jax.vmap(jax.random.key)(jnp.arange(3, dtype=jnp.uint32))
    together, metrics = jax.vmap(ppo.update_chunk, (0, None))(jax.vmap(ppo.init)(keys), 4)
    for seed in range(3):
        alone, alone_metrics = ppo.update_chunk(ppo.init(jax.random.key(seed)), 4)
        ours = jax.tree.map(lambda x, i=seed: x[i], together)
        np.testing.assert_array_equal(ours.observation, alone.observation)
        np.testing.assert_array_equal(ours.episode_length, alone.episode_length)
        for x, y in zip(jax.tree.leaves(ours.params), jax.tree.leaves(alone.params), strict=True):
            np.testing.assert_allclose(x, y, atol=1e-5)
        assert int(metrics.episodes[seed]) == int(alone_metrics.episodes)


def test_make_train_is_the_same_run_in_one_call() -> None:
    train = make_train(SMALL, Masked())
    runner, metrics = jax.jit(train)(jax.random.key(5))
    ppo = PPO(SMALL, Masked())
    expected, _ = ppo.update_chunk(ppo.init(jax.random.key(5)), SMALL.num_updates)
    np.testing.assert_array_equal(runner.observation, expected.observation)
    assert int(metrics.updates.sum()) == SMALL.num_updates


def test_memory_does_not_grow_with_the_length_of_the_run() -> None:
    config = dataclasses.replace(SMALL, total_steps=10**9)
    _, metrics = jax.eval_shape(make_train(config, Masked()), jax.random.key(0))
    assert {x.shape for x in jax.tree.leaves(metrics)} == {(LOG_POINTS,)}


def test_final_observations_are_not_kept() -> None:
    ppo = PPO(SMALL, Clock())
    runner = jax.eval_shape(ppo.init, jax.random.key(0))
    _, (transition, sums) = jax.eval_shape(lambda r: ppo._step(ppo.policy(r), r, None), runner)
    with_features = [x for x in jax.tree.leaves((transition, sums)) if x.shape == (32, 2)]
    assert len(with_features) == 2  # the observation and the mask of two legal actions


def test_metrics_report_whole_episodes() -> None:
    ppo = PPO(SMALL, Masked(), ToyParams(limit=jnp.int32(4)))
    _, metrics = ppo.update_chunk(ppo.init(jax.random.key(0)), 2)
    means = metrics.means()
    assert means["episodes"] == 2 * 32 * 16 / 4
    assert means["episode_length"] == 4
    assert 0 < means["episode_return"] < 4
    assert set(LOSSES) <= means.keys()
    _, none_ended = PPO(SMALL, Masked(), ToyParams(limit=jnp.int32(1000))).update_chunk(
        PPO(SMALL, Masked()).init(jax.random.key(0)), 1
    )
    assert np.isnan(none_ended.means()["episode_return"])


def test_pong_improves_within_seconds() -> None:
    env, params = simlift.make("PufferPong-v0", frameskip=8)
    config = PPOConfig(total_steps=400_000, num_envs=128, learning_rate=2.5e-3)
    ppo = PPO(config, env, params)
    runner, before = ppo.update_chunk(ppo.init(jax.random.key(0)), 5)
    runner, _ = ppo.update_chunk(runner, config.num_updates - 10)
    _, after = ppo.update_chunk(runner, 5)
    assert after.means()["episode_length"] > 1.5 * before.means()["episode_length"]


# -- what is refused


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_envs": 0}, "num_envs=0 must be an integer of at least 1"),
        ({"num_steps": 1.5}, "num_steps=1.5 must be an integer"),
        ({"gamma": 1.1}, "gamma=1.1 must be between 0 and 1"),
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be above 0"),
        ({"entropy_coef": -1}, "entropy_coef=-1 must be at least 0"),
        ({"value_clip_eps": -0.1}, "value_clip_eps=-0.1 must be above 0 or None"),
        ({"hidden_sizes": [64]}, r"hidden_sizes=\[64\] must be a tuple"),
        ({"activation": "sine"}, "activation='sine' must be one of"),
        ({"num_minibatches": 7}, "num_minibatches=7 must divide num_envs \\* num_steps = 512"),
        ({"num_minibatches": 64, "rnn_size": 8}, "must divide num_envs=32: a recurrent"),
    ],
)
def test_config_names_the_field_that_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SMALL, **changes)


def test_config_survives_json_and_refuses_unknown_fields() -> None:
    values = dataclasses.asdict(SMALL) | {"hidden_sizes": [16]}
    assert PPOConfig.from_dict(values) == SMALL
    with pytest.raises(ValueError, match="no field \\['lr'\\]"):
        PPOConfig.from_dict({"lr": 1.0})


def test_environment_has_to_reset_itself() -> None:
    with pytest.raises(ValueError, match="auto_reset='select' or 'pool'"):
        PPO(SMALL, Stay(auto_reset="none"))

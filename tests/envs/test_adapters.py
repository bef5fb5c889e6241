"""Other libraries' forms: each is checked with that library's own checker where it has one."""

import sys
import warnings

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence

from simlift.envs import make
from simlift.envs.adapters import (
    against,
    from_torch,
    legacy_step,
    to_gymnasium,
    to_gymnasium_vector,
    to_gymnax,
    to_jaxmarl,
    to_torch,
)

from .toys import STEP, STOP, Duel, Glide, Nim, Walk

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # gymnax draws with matplotlib, whose import may warn
    from gymnax.environments import environment as gymnax_environment
    from gymnax.wrappers import LegacyStepAPIWrapper, LogWrapper


def equal(a, b):
    return jax.tree.structure(a) == jax.tree.structure(b) and jax.tree.all(
        jax.tree.map(np.array_equal, a, b)
    )


def tame(env, time_limit=5):
    """Params of a `Walk` without randomness."""
    zero = jnp.float32(0)
    return env.default_params.replace(
        stop_probability=zero, spread=zero, time_limit=jnp.int32(time_limit)
    )


# Gymnasium, one instance


@pytest.mark.parametrize("render_mode", [None, "rgb_array"])
@pytest.mark.parametrize(
    ("name", "kwargs"), [("PufferPong-v0", {}), ("PufferPong-v0", {"continuous": True})]
)
def test_gymnasium_checker_finds_nothing(name, kwargs, render_mode):
    env = to_gymnasium(make(name, **kwargs)[0], render_mode=render_mode)
    gymnasium.register("simlift-checked-v0", lambda **k: to_gymnasium(make(name, **kwargs)[0], **k))
    try:
        env.spec = gymnasium.spec("simlift-checked-v0")
        check_env(env)
    finally:
        del gymnasium.registry["simlift-checked-v0"]


def test_gymnasium_ends_and_goes_on_only_by_reset():
    walk = Walk()
    env = to_gymnasium(walk, tame(walk))
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        env.step(0)
    env.reset(seed=1)
    for time in range(1, 5):
        _, reward, terminated, truncated, info = env.step(STEP)
        assert (reward, terminated, truncated, info["time"]) == (1.0, False, False, time)
    observation, _, terminated, truncated, _ = env.step(STEP)
    assert (terminated, truncated) == (False, True)
    np.testing.assert_array_equal(observation[-2:], [5, 5])
    env.reset()
    observation, _, terminated, truncated, _ = env.step(STOP)
    assert (terminated, truncated) == (True, False)


# Gymnasium, many instances


def test_vector_env_replies_as_gymnasiums_own_does():
    walk = Walk()
    single = [lambda: to_gymnasium(walk, tame(walk)) for _ in range(3)]
    theirs = gymnasium.vector.SyncVectorEnv(
        single, autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP
    )
    ours = to_gymnasium_vector(walk, tame(walk), num_envs=3)
    assert ours.metadata["autoreset_mode"] is theirs.metadata["autoreset_mode"]
    for name in ("action_space", "observation_space", "single_action_space"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert data_equivalence(ours.reset(seed=0), theirs.reset(seed=0), exact=True)
    actions = np.random.default_rng(0).choice([0, 1, 1, 2], (30, 3))
    actions[7] = STOP  # all at once
    ends = set()
    for action in actions:
        mine, other = ours.step(action), theirs.step(action)
        assert data_equivalence(mine[0], other[0], exact=True)
        for ours_value, theirs_value in zip(mine[1:4], other[1:4], strict=True):
            np.testing.assert_array_equal(ours_value, theirs_value)
        assert same_infos(mine[4], other[4])
        ends.add(int((mine[2] | mine[3]).sum()))
    assert {0, 1, 3} <= ends


def same_infos(a, b):
    """Equal but for the width of integers: Gymnasium makes arrays of Python's."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_infos(a[k], b[k]) for k in a)
    if a.dtype == object:
        return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    return a.dtype.kind == b.dtype.kind and np.array_equal(a, b)


def test_vector_env_seeds_each_instance_as_gymnasium_does():
    walk = Walk()
    vector = to_gymnasium_vector(walk, num_envs=3)
    observations, _ = vector.reset(seed=10)
    for i in range(3):
        np.testing.assert_array_equal(to_gymnasium(walk).reset(seed=10 + i)[0], observations[i])
    np.testing.assert_array_equal(vector.reset(seed=[12, 11, 10])[0], observations[::-1])
    again, _ = vector.reset(seed=[None, 11, None])
    np.testing.assert_array_equal(again[1], observations[1])
    assert len({tuple(row) for row in np.concatenate([again, observations])}) == 5
    np.testing.assert_array_equal(
        to_gymnasium_vector(walk, num_envs=3, seed=10).reset()[0], observations
    )


def test_vector_env_works_under_gymnasiums_wrappers():
    walk = Walk()
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(
        to_gymnasium_vector(walk, tame(walk, time_limit=3), num_envs=2)
    )
    env.reset(seed=0)
    for _ in range(3):
        *_, infos = env.step(np.array([STEP, STEP]))
    np.testing.assert_array_equal(infos["episode"]["r"], [3, 3])
    np.testing.assert_array_equal(infos["episode"]["l"], [3, 3])


def test_vector_env_without_auto_reset_asks_for_one():
    walk = Walk(auto_reset="none")
    env = to_gymnasium_vector(walk, tame(walk), num_envs=2)
    assert env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.DISABLED
    with pytest.raises(ValueError, match="first reset"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.reset(seed=0)
    observations, _, terminations, _, infos = env.step(np.array([STOP, STEP]))
    np.testing.assert_array_equal(terminations, [True, False])
    assert "final_obs" not in infos
    with pytest.raises(gymnasium.error.ResetNeeded, match=r"\[0\] are over.*reset_mask"):
        env.step(np.array([STEP, STEP]))
    with pytest.raises(ValueError, match="reset_mask is int64"):
        env.reset(options={"reset_mask": np.array([1, 0])})
    after, _ = env.reset(options={"reset_mask": terminations})
    np.testing.assert_array_equal(after[0][-2:], [0, 0])
    np.testing.assert_array_equal(after[1], observations[1])
    env.step(np.array([STEP, STEP]))


@pytest.mark.parametrize(
    ("env", "actions", "complaint"),
    [
        (Walk(), np.zeros(2, np.float32), "dtype float32, expected int32"),
        (Walk(), np.zeros(3, int), r"shape \(3,\), expected \(2,\)"),
        (Walk(), np.array([0, 3]), "outside 0 .. 2"),
        (Walk(), np.array([2**32, 0]), "outside 0 .. 2"),
        (Glide(), np.zeros((2, 3), np.float32), r"shape \(2, 3\), expected \(2, 2\)"),
        (Glide(), np.full((2, 2), 1.5, np.float32), "outside -1.0 .. 1.0"),
        (Glide(), np.full((2, 2), np.nan, np.float32), "outside -1.0 .. 1.0"),
    ],
)
def test_vector_env_names_bad_actions(env, actions, complaint):
    vector = to_gymnasium_vector(env, num_envs=2)
    with pytest.raises(gymnasium.error.ResetNeeded):
        vector.step(actions)
    vector.reset()
    with pytest.raises(ValueError, match=complaint):
        vector.step(actions)


def test_vector_env_pictures_and_bad_arguments():
    walk = Walk()
    env = to_gymnasium_vector(walk, num_envs=2, render_mode="rgb_array")
    env.reset()
    pictures = env.render()
    assert [p.shape for p in pictures] == [(8, 16, 3)] * 2
    assert to_gymnasium_vector(walk, num_envs=2).render() is None
    with pytest.raises(ValueError, match="render_mode='human'"):
        to_gymnasium_vector(walk, num_envs=2, render_mode="human")
    with pytest.raises(ValueError, match="num_envs=0"):
        to_gymnasium_vector(walk, num_envs=0)
    with pytest.raises(ValueError, match="1 seeds for 2"):
        env.reset(seed=[3])
    with pytest.raises(ValueError, match="seed is an integer of 0"):
        env.reset(seed=[3, -1])


# gymnax


def test_gymnax_subclass_steps_as_the_environment():
    walk = Walk()
    env = to_gymnax(walk)
    assert isinstance(env, gymnax_environment.Environment)
    assert env == to_gymnax(Walk())
    assert hash(env) == hash(to_gymnax(Walk()))
    key, params = jax.random.key(0), env.default_params
    assert env.action_space(params).n == 3
    assert env.observation_space(params).shape == (6,)
    assert (env.name, env.num_actions) == ("Walk-v0", 3)
    observation, state = env.reset(key, params)
    ours = walk.step(key, state, STEP, params)
    theirs = env.step(key, state, STEP, params)
    assert equal(ours[:5], theirs[:5])
    assert theirs[5].keys() == ours[5].keys() | {"terminated", "truncated"}
    assert equal(env.step_env(key, state, STEP, params), walk.step_env(key, state, STEP, params))
    assert equal(env.observe(key, state, None, params), observation)
    assert not env.is_truncated(state, params)


def test_gymnax_wrappers_accept_it():
    walk = Walk()
    params = tame(walk, time_limit=3)
    key = jax.random.key(0)
    legacy = LegacyStepAPIWrapper(to_gymnax(walk))
    _, state = legacy.reset(key, params)
    with jax.numpy_dtype_promotion("standard"):  # LogWrapper multiplies floats by bools
        log = LogWrapper(to_gymnax(walk))
        _, log_state = log.reset(key, params)
        for time in range(1, 4):
            *_, done, info = legacy.step(key, state, jnp.int32(STEP), params)
            _, state, _, done, _ = legacy.step(key, state, jnp.int32(STEP), params)
            assert done == (time == 3)
            *_, log_state, _, _, _, log_info = log.step(key, log_state, jnp.int32(STEP), params)
    assert info["truncated"]
    assert log_info["returned_episode"]
    assert log_info["returned_episode_returns"] == 3
    assert log_info["returned_episode_lengths"] == 3


def test_legacy_step_is_one_done():
    walk = Walk()
    step = jax.jit(legacy_step(walk))
    key, params = jax.random.key(0), tame(walk, time_limit=1)
    _, state = walk.reset(key, params)
    _, _, reward, done, info = step(key, state, jnp.int32(STEP), params)
    assert (reward, done) == (1, True)
    assert (info["terminated"], info["truncated"]) == (False, True)
    np.testing.assert_array_equal(info["final_observation"][-2:], [1, 1])


# torch


def test_torch_shares_memory_both_ways():
    torch = pytest.importorskip("torch")
    for dtype in (jnp.float32, jnp.int32, jnp.uint8, jnp.bool_, jnp.bfloat16):
        array = jnp.arange(6).reshape(2, 3).astype(dtype)
        tensor = to_torch(array)
        assert tensor.data_ptr() == array.unsafe_buffer_pointer()
        assert tensor.tolist() == array.tolist()
        back = from_torch(tensor)
        assert back.dtype == array.dtype
        assert back.unsafe_buffer_pointer() == tensor.data_ptr()
    strided = torch.rand(8, requires_grad=True)[::2]
    assert from_torch(strided).tolist() == strided.tolist()
    with pytest.raises(ValueError, match=r"torch.int64 .*\.int\(\)"):
        from_torch(torch.arange(3))


@pytest.mark.parametrize(
    ("call", "package", "extra"),
    [
        (lambda: to_torch(jnp.zeros(2)), "torch", "torch"),
        (lambda: from_torch(None), "torch", "torch"),
        (lambda: to_gymnasium(Walk()), "gymnasium", "peers"),
        (lambda: to_gymnasium_vector(Walk()), "gymnasium", "peers"),
        (lambda: to_gymnax(Walk()), "gymnax", "peers"),
    ],
)
def test_missing_package_names_the_extra(monkeypatch, call, package, extra):
    for name in [n for n in sys.modules if n.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, f"simlift.envs.adapters.{package}", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(package), *sys.meta_path])
    with pytest.raises(ImportError, match=rf"{package} is missing.*simlift\[{extra}\]"):
        call()


class Refusing:
    def __init__(self, package):
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


# JaxMARL


def test_jaxmarl_dicts_hold_what_the_game_says():
    game = Duel()
    env = to_jaxmarl(game)
    assert env.agents == ["agent_0", "agent_1"]
    assert env.num_agents == 2
    assert env.action_space("agent_1").n == 3
    assert env.observation_space("agent_0").shape == (4,)
    key = jax.random.key(0)
    observations, state = env.reset(key)
    assert equal(jnp.stack([observations[a] for a in env.agents]), game.observe(state, None))
    assert equal(env.get_obs(state), observations)
    actions = {"agent_1": jnp.int32(2), "agent_0": jnp.int32(1)}
    step = jax.jit(env.step)
    _, state, rewards, dones, infos = step(key, state, actions)
    assert (rewards["agent_0"], rewards["agent_1"]) == (-1, 1)
    assert {k: bool(v) for k, v in dones.items()} == {
        "agent_0": False,
        "agent_1": False,
        "__all__": False,
    }
    assert infos["final_observation"].keys() == set(env.agents)
    available = env.get_avail_actions(state)
    np.testing.assert_array_equal(available["agent_0"], [1, 0, 1])
    np.testing.assert_array_equal(available["agent_1"], [1, 1, 0])


def test_jaxmarl_resets_by_itself_or_to_a_given_state():
    env = to_jaxmarl(Duel())
    key = jax.random.key(0)
    _, first = env.reset(key)
    actions = dict.fromkeys(env.agents, 1)
    last = first.replace(round=jnp.int32(2))
    observations, state, _, dones, infos = env.step(key, last, actions)
    assert dones["__all__"] and dones["agent_0"]
    assert state.round == 0
    assert infos["final_observation"]["agent_0"][3] == 3
    observations, state, _, dones, infos = env.step(key, last, actions, first)
    assert dones["__all__"]
    assert equal(state, first)
    assert equal(observations, env.get_obs(first))
    assert infos["final_observation"]["agent_1"][3] == 3
    _, state, _, dones, _ = env.step_env(key, last, actions)
    assert dones["__all__"]
    assert state.round == 3


def test_jaxmarl_names_missing_agents():
    env = to_jaxmarl(Duel())
    _, state = env.reset(jax.random.key(0))
    with pytest.raises(ValueError, match=r"exactly \['agent_0', 'agent_1'\].*\['agent_1'\]"):
        env.step(jax.random.key(0), state, {"agent_0": 1})


# One player's view


def best_nim(key, observation, legal_actions):
    """Leave a multiple of 4, else take 1."""
    del key, legal_actions
    rest = observation[0].astype(jnp.int32) % 4
    return jnp.maximum(rest - 1, 0)


def random_legal(key, observation, legal_actions):
    del observation
    return jax.random.categorical(key, jnp.where(legal_actions, 0.0, -jnp.inf)).astype(jnp.int32)


@pytest.mark.parametrize("player", [0, 1])
def test_against_a_perfect_player_in_an_alternating_game(player):
    env = against(Nim(), best_nim, player)
    params = env.default_params
    step = jax.jit(env.step)
    begun = set()
    for seed in range(6):
        key = jax.random.key(seed)
        observation, state = env.reset(key)
        assert state.turn == player
        np.testing.assert_array_equal(observation, [state.heap, 1])
        begun.add(int(state.heap))
        heap = int(state.heap)
        lost = False
        while not lost:
            np.testing.assert_array_equal(env.legal_actions(state, params), np.arange(1, 4) <= heap)
            heap -= 1  # take one, by hand
            heap -= max(heap % 4, 1) if heap else 0
            _, state, reward, terminated, _, info = step(key, state, 0)
            lost = bool(terminated)
            assert lost == (heap == 0)
            assert info["final_observation"][0] == heap
            assert reward == (-1 if lost else 0)
    assert begun == {10, 8}  # the coin decides: all 10, or the opponent took 2 first


def test_against_sees_all_ways_of_a_game_end():
    nim = Nim()
    env = against(nim, best_nim)
    params = nim.default_params.replace(heap=jnp.int32(1))
    state = nim.initial(jnp.int32(0), params)
    _, _, reward, terminated, _, _ = env.step(jax.random.key(0), state, 0, params)
    assert (reward, terminated) == (1, True)  # won before the opponent moves
    limited = nim.default_params.replace(move_limit=jnp.int32(1))
    state = nim.initial(jnp.int32(0), limited)
    _, _, reward, terminated, truncated, info = env.step(jax.random.key(0), state, 0, limited)
    assert (reward, terminated, truncated) == (0, False, True)
    assert info["final_observation"][0] == 9  # the opponent did not move after the limit


def test_against_steps_move_by_move_when_it_does_not_wait():
    env = against(Nim(), best_nim, wait_inside=False)
    params = env.default_params
    state = env.game.initial(jnp.int32(1), params)
    assert env.legal_actions(state, params).all()
    _, state, *_ = env.step(jax.random.key(0), state, 2)  # ignored: the opponent takes 2 of 10
    assert (state.heap, state.turn) == (8, 0)
    _, state, *_ = env.step(jax.random.key(0), state, 2)
    assert (state.heap, state.turn) == (5, 1)


def test_against_in_a_simultaneous_game():
    def lowest_legal(key, observation, legal_actions):
        return jnp.argmax(legal_actions)

    env = against(Duel(), lowest_legal, player=1)
    observation, state = env.reset(jax.random.key(0))
    assert int(observation[0]) == int(state.hands[1])
    rewards = []
    for action in (1, 2, 0):  # the opponent plays 0, 1, 0
        observation, state, reward, terminated, _, _ = env.step(jax.random.key(1), state, action)
        rewards.append(float(reward))
    assert rewards == [1, 1, 0]
    assert terminated


@pytest.mark.parametrize("auto_reset", ["select", "pool"])
def test_against_batches_and_compiles_once(auto_reset):
    game = Nim()
    game.auto_reset = auto_reset
    env = against(game, random_legal)
    assert env == against(game, random_legal)
    assert env != against(game, best_nim)
    params = env.default_params
    states = jax.vmap(env.reset, in_axes=(0, None))(
        jax.random.split(jax.random.key(0), 32), params
    )[1]
    step = jax.jit(jax.vmap(env.step, in_axes=(0, 0, 0, None)))
    outcomes = []
    for t in range(40):
        keys = jax.random.split(jax.random.key(t), 32)
        legal = jax.vmap(env.legal_actions, in_axes=(0, None))(states, params)
        actions = jax.vmap(random_legal)(keys, jnp.zeros(32), legal)
        _, states, rewards, terminated, _, _ = step(keys, states, actions, params)
        assert (states.turn == 0).all()
        np.testing.assert_array_equal(jnp.abs(rewards) == 1, terminated)
        outcomes += rewards[terminated].tolist()
    assert {-1.0, 1.0} == set(outcomes)
    assert step._cache_size() == 1


def test_against_names_bad_arguments():
    with pytest.raises(ValueError, match="player=2"):
        against(Duel(), best_nim, player=2)

    class Trio(Duel):
        num_players = 3

    with pytest.raises(ValueError, match="3 players"):
        against(Trio(), best_nim)

"""Gymnasium's own HalfCheetah-v5 as a reference: complete snapshots, forced draws, clear
refusals."""

import importlib.metadata
import inspect
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.references.core import Draw, DrawLog, ReferenceUnavailable, TapeError
from simlift.references.gymnasium_vector import Dice
from simlift.references.half_cheetah import HalfCheetahReference, VectorHalfCheetah
from simlift.references.half_cheetah.physics import (
    MODULES,
    compiled_model,
    expected_warnings,
    load_mujoco,
)
from simlift.references.half_cheetah.reference import reset_draws
from simlift.references.vector import instance_seed, next_seed

pytestmark = pytest.mark.reference

OTHER_OPTIONS = {
    "frame_skip": 3,
    "forward_reward_weight": 0.7,
    "ctrl_cost_weight": 0.3,
    "reset_noise_scale": 0.2,
    "exclude_current_positions_from_observation": False,
    "max_episode_steps": 17,
}


def actions_of(generator: np.random.Generator, num_envs: int) -> np.ndarray:
    """Full torques, which reach limits and turn the cheetah over."""
    return generator.choice([-1.0, 1.0], (num_envs, 6))


def play(cheetahs: VectorHalfCheetah, generator: np.random.Generator, steps: int) -> list[bytes]:
    """Everything that each step shows, as bytes."""
    seen = []
    for _ in range(steps):
        outcome = cheetahs.step(actions_of(generator, cheetahs.num_envs))
        log = cheetahs.draws()
        shown = [outcome.observation, outcome.reward, outcome.truncated, log.count, log.value]
        seen.append(b"".join(value.tobytes() for value in [*shown, *cheetahs.snapshot().values()]))
    return seen


def placed(num_envs: int = 1, **fields: Any) -> VectorHalfCheetah:
    cheetahs = VectorHalfCheetah(num_envs)
    snapshot = cheetahs.snapshot()
    for name, value in fields.items():
        snapshot[name][:] = value
    cheetahs.restore(snapshot)
    return cheetahs


def about_to_end(num_envs: int = 1) -> VectorHalfCheetah:
    return placed(num_envs, elapsed_steps=999)


def reset_log(cheetahs: VectorHalfCheetah, value: np.ndarray) -> DrawLog:
    log = cheetahs.draws()
    return DrawLog(count=np.full(len(value), value.shape[1], np.int32), site=log.site, value=value)


# -- upstream itself


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{"max_episode_steps": 40}, OTHER_OPTIONS], ids=len)
def test_it_is_what_gymnasium_makes(options: dict[str, Any], dtype: type) -> None:
    """Seeds, bits, rewards and ends, through three episodes."""
    load_mujoco()
    import gymnasium

    with expected_warnings():
        env = gymnasium.make("HalfCheetah-v5", **options)
    single, seed = HalfCheetahReference(**options), 5
    generator = np.random.default_rng(0)
    outcome, episode = single.reset(seed), instance_seed(seed, 0)
    for _ in range(3):
        expected, _ = env.reset(seed=episode)
        assert outcome.observation.tobytes() == expected.tobytes()
        truncated = False
        while not truncated:
            action = generator.uniform(-1.5, 1.5, 6).astype(dtype)
            outcome = single.step(action)
            expected, reward, terminated, truncated, _ = env.step(action)
            assert (outcome.terminated, outcome.truncated) == (terminated, truncated)
            assert outcome.reward == np.float32(reward) and outcome.final_observation is not None
            assert outcome.final_observation.tobytes() == expected.tobytes()
        episode = next_seed(episode)


def test_defaults_are_upstreams() -> None:
    load_mujoco()
    import gymnasium
    from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

    upstream = inspect.signature(HalfCheetahEnv).parameters
    ours = dict(inspect.signature(VectorHalfCheetah).parameters)
    assert ours.pop("num_envs").default is inspect.Parameter.empty
    limit = gymnasium.spec("HalfCheetah-v5").max_episode_steps
    assert ours.pop("max_episode_steps").default == limit
    assert ours.pop("solver_tolerance").default == compiled_model().opt.tolerance
    assert all(upstream[name].default == value.default for name, value in ours.items())


def test_dice_give_numpys_own_numbers() -> None:
    for seed in range(50):
        dice, own = Dice(seed), np.random.Generator(np.random.PCG64(seed))
        assert dice.uniform(-0.1, 0.1, 9).tobytes() == own.uniform(-0.1, 0.1, 9).tobytes()
        normal = own.standard_normal(9)
        assert dice.standard_normal(9).tobytes() == normal.tobytes()
        assert dice.log[9:] == normal.view(np.int64).tolist()


# -- snapshots


def test_restored_play_goes_on_bit_for_bit() -> None:
    options = OTHER_OPTIONS | {"max_episode_steps": 50}
    cheetahs = VectorHalfCheetah(4, **options)
    cheetahs.reset(3)
    play(cheetahs, np.random.default_rng(0), 40)
    saved = cheetahs.snapshot()
    expected = play(cheetahs, np.random.default_rng(1), 40)
    assert len(set(expected)) == 40
    cheetahs.restore(saved)
    assert play(cheetahs, np.random.default_rng(1), 40) == expected
    other = VectorHalfCheetah(4, exclude_current_positions_from_observation=False)
    other.restore({name: value for name, value in saved.items() if name not in MODULES})
    assert play(other, np.random.default_rng(1), 40) == expected


def test_nothing_that_mujoco_integrates_is_missing_from_the_snapshot() -> None:
    mujoco, cheetahs, other = load_mujoco(), VectorHalfCheetah(1), VectorHalfCheetah(1)
    play(cheetahs, np.random.default_rng(0), 30)
    other.restore(cheetahs.snapshot())
    model, kind = cheetahs._bare[0].model, mujoco.mjtState.mjSTATE_INTEGRATION
    states = np.zeros((2, mujoco.mj_stateSize(model, kind)))
    for side, state in zip((cheetahs, other), states, strict=True):
        mujoco.mj_getState(model, side._datas[0], state, kind)
    assert states.any() and states[0].tobytes() == states[1].tobytes()


def test_snapshot_is_a_copy_and_says_the_same_once_restored() -> None:
    cheetahs = VectorHalfCheetah(2)
    play(cheetahs, np.random.default_rng(0), 20)
    saved = cheetahs.snapshot()
    before = {name: value.copy() for name, value in saved.items()}
    cheetahs.step(np.ones((2, 6)))
    cheetahs.restore(saved)
    again = cheetahs.snapshot()
    assert all(again[name].tobytes() == before[name].tobytes() for name in saved)


def test_what_is_computed_cannot_be_placed() -> None:
    cheetahs = placed(**dict.fromkeys(MODULES, 7.0))
    assert all((cheetahs.snapshot()[name] != 7).all() for name in MODULES)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_snapshot_with_other_fields_is_refused(change: str) -> None:
    cheetahs = VectorHalfCheetah(1)
    fields = cheetahs.snapshot()
    name = "qvel" if change == "missing" else "wind"
    if change == "missing":
        del fields[name]
    else:
        fields[name] = fields["time"]
    with pytest.raises(ValueError, match=rf"missing or unknown snapshot fields \['{name}'\]"):
        cheetahs.restore(fields)


# -- draws


def test_an_episode_that_ends_starts_anew_with_logged_draws() -> None:
    cheetahs = about_to_end(3)
    outcome = cheetahs.step(np.zeros((3, 6)))
    assert outcome.truncated.all() and not outcome.terminated.any()
    log, snapshot = cheetahs.draws(), cheetahs.snapshot()
    assert log.count.tolist() == [18] * 3 and not log.step_count.any()  # type: ignore[union-attr]
    assert log.site.tolist() == [[0] * 9 + [1] * 9] * 3
    uniform, normal = reset_draws(log)
    np.testing.assert_array_equal(snapshot["qpos"], -0.1 + (0.1 + 0.1) * uniform)
    np.testing.assert_array_equal(snapshot["qvel"], 0.1 * normal)
    fresh = np.concatenate([snapshot["qpos"][:, 1:], snapshot["qvel"]], 1)
    np.testing.assert_array_equal(outcome.observation, fresh)
    assert not snapshot["qacc_warmstart"].any() and not snapshot["ctrl"].any()
    assert not snapshot["elapsed_steps"].any() and not snapshot["time"].any()
    cheetahs.step(np.zeros((3, 6)))
    assert not cheetahs.draws().count.any()


def test_forced_draws_are_obeyed() -> None:
    cheetahs = about_to_end(2)
    uniform = np.array([[0.0, 0.5, *[0.25] * 7], np.linspace(0, 0.875, 9)])
    normal = np.array([np.linspace(-4, 4, 9), -np.geomspace(1e-9, 9, 9)])
    value = np.concatenate([(uniform * 2**53).astype(np.int64), normal.view(np.int64)], 1)
    cheetahs.force(reset_log(cheetahs, value))
    cheetahs.step(np.zeros((2, 6)))
    assert (cheetahs.draws().value == value).all()
    np.testing.assert_array_equal(cheetahs.snapshot()["qvel"], 0.1 * normal)
    assert cheetahs.snapshot()["qpos"][0, :2].tolist() == [-0.1, 0]
    single = HalfCheetahReference()
    single.reset(1)
    tape = single.draws()
    assert tape[9] == Draw(site="qvel", bound=2**64, value=tape[9].value)
    expected = single.snapshot()
    single.reset(2)
    single.force(tape)
    single.reset(2)
    assert single.draws() == tape
    assert single.snapshot()["qvel"].tobytes() == expected["qvel"].tobytes()


def test_draws_that_do_not_fit_are_named() -> None:
    cheetahs = about_to_end(2)
    value = np.zeros((2, 18), np.int64)
    log = reset_log(cheetahs, value)
    cheetahs.force(DrawLog(count=np.array([18, 17]), site=log.site, value=value))
    with pytest.raises(TapeError, match=r"consumes 9 draws at site 'qvel', the tape holds 8"):
        cheetahs.step(np.zeros((2, 6)))
    cheetahs.force(DrawLog(count=log.count, site=log.site[:, ::-1], value=value))
    with pytest.raises(TapeError, match=r"draw 0 of a reset is at site 'qpos', .* 'qvel'"):
        cheetahs.reset(0)
    cheetahs.reset(0)
    cheetahs.force(DrawLog(count=np.array([0, 18]), site=log.site, value=value))
    with pytest.raises(TapeError, match=r"'qpos' was not consumed.*instance 1 goes on"):
        cheetahs.step(np.zeros((2, 6)))


# -- what MuJoCo does besides


def test_controls_are_clamped_and_their_cost_is_not() -> None:
    far, near = placed(), placed()
    costly, cheap = far.step(np.full((1, 6), 1e11)), near.step(np.ones((1, 6)))
    assert costly.observation.tobytes() == cheap.observation.tobytes()
    moved = (cheap.reward + np.float32(0.6)).item()
    assert costly.reward == np.float32(moved - 0.1 * 6 * 1e22)


def test_a_state_that_is_not_finite_starts_anew_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cheetahs = placed(qpos=[0, 0, 1e11, 0, 0, 0, 0, 0, 0], time=8.0)
    cheetahs.step(np.ones((1, 6)))
    dropped = placed(qpos=0, qvel=0)
    dropped.step(np.zeros((1, 6)))
    ours, expected = cheetahs.snapshot(), dropped.snapshot()
    names = ("qpos", "qvel", "qacc_warmstart", "ctrl", "time")
    assert all(ours[name].tobytes() == expected[name].tobytes() for name in names)
    assert not list(tmp_path.iterdir()), "MuJoCo wrote its log"


def test_without_tolerance_the_solver_goes_on_to_rounding() -> None:
    """With upstream's it stops short in some steps: most are where a cheetah lies and pushes."""
    usual, exact = VectorHalfCheetah(32), VectorHalfCheetah(32, solver_tolerance=0)
    generator, differences = np.random.default_rng(0), []
    held = [actions_of(generator, 32) for _ in range(6)]
    for actions in np.repeat(held, 20, axis=0):
        exact.restore(usual.snapshot())
        usual.step(actions)
        exact.step(actions)
        qvel, exact_qvel = (side.snapshot()["qvel"] for side in (usual, exact))
        differences.append(np.abs(qvel - exact_qvel).max(1))
    assert np.median(differences) < 1e-13
    assert 1e-9 < np.max(differences) < 1e-3


# -- what is refused


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 6)), r"float64\[2, 6\], expected float\[1, 6\]"),
        (np.zeros((1, 5)), r"float64\[1, 5\], expected float\[1, 6\]"),
        (np.zeros((1, 6), int), r"int64\[1, 6\], expected float\[1, 6\]"),
        (np.full((1, 6), np.nan), "must be finite"),
        (np.full((1, 6), np.inf), "must be finite"),
    ],
)
def test_actions_without_a_meaning_are_refused(actions: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorHalfCheetah(1).step(actions)


@pytest.mark.parametrize("name", ["frame_skip", "max_episode_steps", "num_envs"])
def test_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name}=0"):
        VectorHalfCheetah(**{"num_envs": 1, name: 0})


@pytest.mark.parametrize("tolerance", [-1e-9, np.nan])
def test_tolerances_below_zero_are_refused(tolerance: float) -> None:
    with pytest.raises(ValueError, match="solver_tolerance="):
        VectorHalfCheetah(1, solver_tolerance=tolerance)


@pytest.mark.parametrize(
    ("package", "version", "message"),
    [
        ("mujoco", "4.0.0", "held to mujoco 3.17.0, and 4.0.0 is installed"),
        ("mujoco", None, "needs mujoco 3.17.0"),
        ("gymnasium", "1.0.0", "1.0.0 is installed"),
        ("gymnasium", None, "needs gymnasium"),
    ],
)
def test_a_version_that_nobody_read_is_refused(
    package: str, version: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = importlib.metadata.version

    def other(name: str) -> str:
        if name != package:
            return installed(name)
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    monkeypatch.setattr(importlib.metadata, "version", other)
    with pytest.raises(ReferenceUnavailable, match=rf"{message}: pip install 'simlift\[mujoco\]'"):
        VectorHalfCheetah(1)


def test_without_what_gymnasium_imports_the_remedy_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "gymnasium.envs.mujoco.mujoco_rendering", raising=False)
    monkeypatch.setitem(sys.modules, "imageio", None)
    with pytest.raises(ReferenceUnavailable, match=r"imageio.*: pip install 'simlift\[mujoco\]'"):
        VectorHalfCheetah(1)

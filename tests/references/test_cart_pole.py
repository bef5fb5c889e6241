"""Gymnasium's own CartPole-v1 as a reference: complete snapshots, forced draws, clear refusals."""

import importlib.metadata
from typing import Any

import numpy as np
import pytest

from simlift.references import gymnasium_vector
from simlift.references.cart_pole import CartPoleReference, VectorCartPole
from simlift.references.cart_pole.reference import DRAW_BOUND, NUMBERS, STATE
from simlift.references.core import Draw, DrawLog, ReferenceUnavailable, TapeError
from simlift.references.gymnasium_vector import Dice
from simlift.references.vector import instance_seed, next_seed

pytestmark = pytest.mark.reference


def upstream(**kwargs: Any) -> Any:
    """CartPole-v1 as anybody makes it, its checker included."""
    gymnasium = pytest.importorskip("gymnasium")
    return gymnasium.make("CartPole-v1", **kwargs)


def play(poles: VectorCartPole, generator: np.random.Generator, steps: int) -> list[bytes]:
    """Everything that each step shows, as bytes."""
    seen = []
    for _ in range(steps):
        outcome = poles.step(generator.integers(0, 2, poles.num_envs))
        log = poles.draws()
        shown = [outcome.observation, outcome.reward, outcome.terminated, log.count, log.value]
        seen.append(b"".join(value.tobytes() for value in [*shown, *poles.snapshot().values()]))
    return seen


def placed(num_envs: int = 1, **fields: float) -> VectorCartPole:
    poles = VectorCartPole(num_envs)
    snapshot = poles.snapshot()
    for name, value in fields.items():
        snapshot[name][:] = value
    poles.restore(snapshot)
    return poles


def about_to_fall(num_envs: int = 1) -> VectorCartPole:
    return placed(num_envs, theta=0.2, theta_dot=3.0)


def log_of(values: list[list[int]], count: list[int]) -> DrawLog:
    value = np.asarray(values, np.int64)
    return DrawLog(
        count=np.asarray(count, np.int32), site=np.zeros(value.shape, np.int16), value=value
    )


# -- upstream itself


@pytest.mark.parametrize(
    "options", [{}, {"sutton_barto_reward": True}, {"max_episode_steps": 11}], ids=str
)
def test_it_is_what_gymnasium_makes(options: dict[str, Any]) -> None:
    """Seeds, bits, rewards and ends, through four episodes."""
    seed, env, single = 5, upstream(**options), CartPoleReference(**options)
    generator = np.random.default_rng(0)
    outcome, episode = single.reset(seed), instance_seed(seed, 0)
    for _ in range(4):
        expected, _ = env.reset(seed=episode)
        assert outcome.observation.tobytes() == expected.tobytes()
        done = False
        while not done:
            action = int(generator.integers(0, 2))
            outcome = single.step(action)
            expected, reward, terminated, truncated, _ = env.step(action)
            done = terminated or truncated
            assert (outcome.terminated, outcome.truncated) == (terminated, truncated)
            assert outcome.reward == reward and outcome.final_observation is not None
            assert outcome.final_observation.tobytes() == expected.tobytes()
            if not done:
                state = env.unwrapped.state
                assert [single.snapshot()[name] for name in STATE] == state.tolist()
        episode = next_seed(episode)


def test_dice_give_numpys_own_numbers() -> None:
    for seed in range(50):
        dice = Dice(seed)
        own = np.random.Generator(np.random.PCG64(seed))
        assert dice.uniform(-0.05, 0.05, (4,)).tobytes() == own.uniform(-0.05, 0.05, 4).tobytes()
        assert all(0 <= n < DRAW_BOUND for n in dice.log) and len(dice.log) == 4


def test_every_number_of_upstream_is_in_the_snapshot() -> None:
    pole = upstream().unwrapped
    numbers = {name for name, value in vars(pole).items() if type(value) is float}
    assert numbers == set(NUMBERS)
    snapshot = VectorCartPole(1).snapshot()
    assert all(snapshot[name] == getattr(pole, name) for name in NUMBERS)
    assert snapshot["max_episode_steps"] == 500


def test_numbers_are_upstreams_attributes_and_reach_the_step() -> None:
    still = VectorCartPole(1, tau=0.0, kinematics_integrator="semi-implicit euler")
    before = still.snapshot()
    assert before["tau"] == 0 and before["kinematics_integrator"] == 1
    still.step(np.array([1]))
    assert all(still.snapshot()[name] == before[name] for name in STATE)


# -- snapshots


@pytest.mark.parametrize("integrator", ["euler", "semi-implicit euler"])
def test_restored_play_goes_on_bit_for_bit(integrator: str) -> None:
    poles = VectorCartPole(5, kinematics_integrator=integrator)
    poles.reset(3)
    play(poles, np.random.default_rng(0), 60)
    saved = poles.snapshot()
    expected = play(poles, np.random.default_rng(1), 60)
    assert len(set(expected)) == 60
    poles.restore(saved)
    assert play(poles, np.random.default_rng(1), 60) == expected
    other = VectorCartPole(5)
    other.restore(saved)
    assert play(other, np.random.default_rng(1), 60) == expected


def test_snapshot_is_a_copy() -> None:
    poles = VectorCartPole(2)
    saved = poles.snapshot()
    before = {name: value.copy() for name, value in saved.items()}
    poles.step(np.array([0, 1]))
    poles.restore(saved)
    poles.step(np.array([0, 1]))
    assert all(np.array_equal(saved[name], before[name]) for name in saved)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_snapshot_with_other_fields_is_refused(change: str) -> None:
    poles = VectorCartPole(1)
    fields = poles.snapshot()
    name = "tau" if change == "missing" else "wind"
    if change == "missing":
        del fields[name]
    else:
        fields[name] = fields["tau"]
    with pytest.raises(ValueError, match=rf"missing or unknown snapshot fields \['{name}'\]"):
        poles.restore(fields)


def test_going_on_after_a_fall_is_silent_and_pays_nothing() -> None:
    poles = placed(x=3.0, steps_beyond_terminated=0)
    outcome = poles.step(np.array([0]))
    assert outcome.terminated and outcome.reward == 0


# -- draws


def test_an_episode_that_ends_starts_anew_with_logged_draws() -> None:
    poles = about_to_fall(3)
    outcome = poles.step(np.array([0, 1, 0]))
    assert outcome.terminated.all() and outcome.final_observation is not None
    log = poles.draws()
    assert log.count.tolist() == [4, 4, 4] and not log.step_count.any()  # type: ignore[union-attr]
    expected = -0.05 + (0.05 + 0.05) * (log.value / DRAW_BOUND)
    state = np.stack([poles.snapshot()[name] for name in STATE], 1)
    np.testing.assert_array_equal(state, expected)
    np.testing.assert_array_equal(outcome.observation, expected.astype(np.float32))
    assert (outcome.final_observation[:, 2] > 0.2).all()
    poles.step(np.array([0, 1, 0]))
    assert not poles.draws().count.any()


def test_forced_draws_are_obeyed() -> None:
    poles = about_to_fall(2)
    values = [[0, DRAW_BOUND // 2, DRAW_BOUND - 1, 1], [3, 2, 1, 0]]
    poles.force(log_of(values, [4, 4]))
    poles.step(np.array([0, 0]))
    assert poles.draws().value.tolist() == values
    assert poles.snapshot()["x_dot"][0] == 0
    single = CartPoleReference()
    tape = [Draw(site="start", bound=DRAW_BOUND, value=n) for n in (0, 1, 2, 3)]
    single.force(tape)
    single.reset(0)
    assert single.draws() == tape and single.snapshot()["x"] == -0.05


def test_draws_left_over_are_named() -> None:
    poles = placed(2)
    poles.force(log_of([[0] * 4] * 2, [0, 4]))
    with pytest.raises(TapeError, match=r"'start' was not consumed.*instance 1 goes on"):
        poles.step(np.array([0, 0]))
    with pytest.raises(TapeError, match=r"consumes 4 draws at site 'start', the tape holds 5"):
        poles.force(log_of([[0] * 5] * 2, [4, 5]))
        poles.reset(0)


def test_draws_that_the_tape_does_not_hold_are_named() -> None:
    poles = about_to_fall()
    poles.force(log_of([[0] * 4], [2]))
    with pytest.raises(TapeError, match=r"consumes 4 draws at site 'start', the tape holds 2"):
        poles.step(np.array([0]))


# -- what is refused


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([2]), r"0 \(left\) or 1 \(right\)"),
        (np.array([-1]), r"0 \(left\) or 1 \(right\)"),
        (np.array([0, 1]), r"int64\[2\], expected integer\[1\]"),
        (np.array([1.0]), r"float64\[1\], expected integer\[1\]"),
    ],
)
def test_actions_without_a_meaning_are_refused(actions: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorCartPole(1).step(actions)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gravty": 1.0}, r"unknown parameters \['gravty'\].*gravity"),
        ({"kinematics_integrator": "verlet"}, r"'verlet' is none of"),
        ({"num_envs": 0}, r"num_envs=0"),
    ],
)
def test_unknown_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        VectorCartPole(**{"num_envs": 1, **options})


@pytest.mark.parametrize("version", ["0.29.1", "1.9.0", "2.0"])
def test_a_version_that_nobody_read_is_refused(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version)
    with pytest.raises(ReferenceUnavailable, match=rf"{version} is installed: pip install"):
        VectorCartPole(1)


def test_without_gymnasium_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium_vector, "installed_version", lambda: None)
    with pytest.raises(
        ReferenceUnavailable, match=r"needs gymnasium: pip install 'simlift\[evidence"
    ):
        VectorCartPole(1)

"""The cheetah's peers play the cheetah: their steps against MuJoCo's, where they are here."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.peers import BENCHMARKS, jax_process, mujoco_c
from simlift.peers.jax_process import JaxProcess
from simlift.references.core import ReferenceUnavailable
from simlift.train.turns import PeerFailed

BENCHMARK = BENCHMARKS["half_cheetah"]


@pytest.fixture(params=[1, 2])
def play(request: pytest.FixtureRequest) -> Iterator[mujoco_c.RandomPlay]:
    random_play = mujoco_c.RandomPlay(request.param)
    yield random_play
    random_play.close()


@pytest.mark.reference
def test_mujoco_c_steps_as_half_cheetah_does(play: mujoco_c.RandomPlay) -> None:
    """The states after each environment step are those of gymnasium's HalfCheetah-v5."""
    import gymnasium

    from simlift.references.half_cheetah.physics import expected_warnings

    states = play._reset(3)
    actions = np.random.default_rng(1).uniform(-1, 1, (3, 7, 6))
    seen = play._play(states, actions)
    with expected_warnings():
        env: Any = gymnasium.make("HalfCheetah-v5").unwrapped
    for state, row, tape in zip(states, seen, actions, strict=True):
        env.reset(seed=0)
        # As rollout does: the solver starts from nothing.
        env.data.qacc_warmstart[:] = 0
        env.set_state(state[mujoco_c.POSITIONS], state[mujoco_c.VELOCITIES])
        for action, after in zip(tape, row, strict=True):
            env.step(action)
            # Another warm start ends at the same optimum, up to the solver's tolerance.
            np.testing.assert_allclose(after[mujoco_c.POSITIONS], env.data.qpos, atol=1e-9)
    env.close()


@pytest.mark.reference
def test_mujoco_c_goes_on_and_starts_anew_after_an_episode(
    play: mujoco_c.RandomPlay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mujoco_c, "EPISODE_STEPS", 20)
    monkeypatch.setattr(mujoco_c, "CHUNK_STEPS", 8)
    play(2, 13)
    seconds = 5 * 0.01
    np.testing.assert_allclose(play._states[:, 0], 13 * seconds)
    play(2, 7)
    np.testing.assert_allclose(play._states[:, 0], 20 * seconds)
    play(2, 3)
    np.testing.assert_allclose(play._states[:, 0], 3 * seconds)
    play(4, 1)
    assert play._states.shape[0] == 4


@pytest.mark.reference
def test_mujoco_c_and_gymnasium_play_and_say_what_they_are() -> None:
    names = ("mujoco-c", "gymnasium")
    for peer in [peer for name in names for peer in BENCHMARK.peers[name](({},), False)]:
        assert peer.num_envs is not None
        before = peer.cost().processor_s
        peer.run(peer.num_envs, 2)
        assert peer.cost().processor_s > before
        assert "HalfCheetah-v5" in peer.about or "MuJoCo 3.17.0" in peer.about
        peer.close()
        peer.close()


# -- programs in processes of their own


def test_packages_that_are_missing_are_one_line_with_the_remedy() -> None:
    with pytest.raises(ReferenceUnavailable, match=r"no brox: pip install .*mujoco-peers.*there"):
        jax_process.versions(("jax", "brox"))
    assert jax_process.versions(("jax",)).startswith("jax 0.")


def test_a_python_that_does_not_run_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(jax_process.PYTHON_VARIABLE, "/nowhere/python")
    with pytest.raises(ReferenceUnavailable, match="SIMLIFT_PEER_PYTHON has to name one"):
        jax_process.versions(("jax",))


TOY = """
import json, sys, time
settings = json.loads(sys.argv[1])
started = {"processor_s": 1.0, "compile_s": 2.0, "peak_bytes": settings["num_envs"]}
print(json.dumps(started), flush=True)
for line in sys.stdin:
    steps = json.loads(line)["num_steps"]
    if steps == 7:
        print(json.dumps({"error": "seven"}), flush=True)
    elif steps == 8:
        sys.exit("eight")
    elif steps == 9:
        time.sleep(60)
    print(json.dumps({"processor_s": 1.0 + steps}), flush=True)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "toy.py"
    path.write_text(TOY)
    monkeypatch.setattr(jax_process, "PROGRAM", path)
    return path


def test_a_process_lives_as_long_as_its_batch(program: Path) -> None:
    process = JaxProcess({}, accelerator=False)
    assert process.cost().compile_s is None
    process.run(4, 5)
    first = process._child
    assert process.cost() == (6.0, 2.0, 4)
    process.run(4, 6)
    assert process._child is first and process.cost().processor_s == 7.0
    process.run(16, 1)
    assert process._child is not first and process.cost().peak_bytes == 16
    process.close()
    process.close()


@pytest.mark.parametrize(
    ("steps", "said"), [(7, "^seven$"), (8, "exited with status 1: eight"), (9, "within 1 s")]
)
def test_a_process_that_fails_says_why_and_can_start_again(
    program: Path, monkeypatch: pytest.MonkeyPatch, steps: int, said: str
) -> None:
    process = JaxProcess({}, accelerator=False)
    process.run(2, 1)
    monkeypatch.setattr(jax_process, "ANSWER_S", 1.0)
    with pytest.raises(PeerFailed, match=said):
        process.run(2, steps)
    monkeypatch.undo()
    monkeypatch.setattr(jax_process, "PROGRAM", program)
    process.run(2, 1)
    process.close()


def test_the_real_program_answers_an_unknown_backend_in_one_line() -> None:
    process = JaxProcess({"system": "brox"}, accelerator=False)
    with pytest.raises(PeerFailed, match="KeyError: 'brox'"):
        process.run(1, 1)


@pytest.mark.slow
@pytest.mark.reference
@pytest.mark.parametrize("name", ["mjx", "mjx-4-8", "brax"])
def test_mjx_and_brax_play(name: str) -> None:
    peers = BENCHMARK.peers[name](({},), False)
    for peer in peers:
        peer.run(2, 3)
        processor_s, compile_s, peak_bytes = peer.cost()
        assert compile_s and peak_bytes and processor_s > 0
        peer.close()

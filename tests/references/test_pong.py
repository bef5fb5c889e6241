"""Upstream's own Pong as a reference: complete snapshots, forced draws, and clear refusals."""

import re
from pathlib import Path

import numpy as np
import pytest

from simlift.references.core import Draw, DrawLog, ReferenceUnavailable, TapeError
from simlift.references.pong import PongReference, VectorPong
from simlift.references.pong.reference import (
    HEADER,
    MAX_DRAWS,
    RAND_BOUND,
    _load,
    header_path,
)

pytestmark = pytest.mark.reference

BUFFERS = {"observations", "actions", "rewards", "terminals"}


def actions_of(generator: np.random.Generator, num_envs: int) -> np.ndarray:
    return generator.integers(0, 3, num_envs)


def play(pong: VectorPong, generator: np.random.Generator, steps: int) -> list[bytes]:
    """Everything that each step shows, as bytes."""
    seen = []
    for _ in range(steps):
        outcome = pong.step(actions_of(generator, pong.num_envs))
        log = pong.draws()
        shown = [outcome.observation, outcome.reward, outcome.terminated, log.count]
        seen.append(b"".join(value.tobytes() for value in [*shown, *pong.snapshot().values()]))
    return seen


def at_a_point(num_envs: int = 1) -> VectorPong:
    """The next step loses a point in every instance, and upstream serves."""
    pong = VectorPong(num_envs)
    pong.reset(0)
    fields = pong.snapshot()
    fields["ball_x"][:], fields["ball_y"][:], fields["ball_vx"][:] = 465, 10, 10
    pong.restore(fields)
    return pong


def log_of(count: list[int], values: list[list[int]]) -> DrawLog:
    value = np.asarray(values, np.int64)
    return DrawLog(
        count=np.asarray(count, np.int32), site=np.zeros(value.shape, np.int16), value=value
    )


# -- snapshots


def test_snapshot_holds_every_number_of_upstreams_struct() -> None:
    header = header_path().read_text()
    expected = set()
    for struct, prefix in (("Pong", ""), ("Log", "log_")):
        body = re.search(rf"struct {struct} \{{(.*?)\n\}};", header, re.DOTALL)
        assert body is not None
        declarations = re.sub(r"//.*", "", body[1]).split(";")[:-1]
        expected |= {prefix + declaration.split()[-1].lstrip("*") for declaration in declarations}
    expected -= {"log", "client"}  # the log's own numbers are listed; a window is no state
    assert {"log_score", "tick", "win", "ball_max_speed_y"} <= expected
    assert VectorPong(1).snapshot().keys() == expected | BUFFERS | {"stream"}


@pytest.mark.parametrize("frameskip", [1, 8])
def test_restored_play_goes_on_bit_for_bit(frameskip: int) -> None:
    pong = VectorPong(5, frameskip=frameskip)
    pong.reset(3)
    play(pong, np.random.default_rng(0), 400)
    saved = pong.snapshot()
    expected = play(pong, np.random.default_rng(1), 400)
    assert len(set(expected)) > 300
    pong.restore(saved)
    assert play(pong, np.random.default_rng(1), 400) == expected
    other = VectorPong(5, frameskip=frameskip)
    other.restore(saved)
    assert play(other, np.random.default_rng(1), 400) == expected


def test_snapshot_is_a_copy() -> None:
    pong = VectorPong(2)
    pong.reset(0)
    saved = pong.snapshot()
    before = {name: value.copy() for name, value in saved.items()}
    pong.step(np.array([1, 2]))
    assert all(np.array_equal(saved[name], before[name]) for name in saved)


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_snapshot_with_other_fields_is_refused(change: str) -> None:
    pong = VectorPong(1)
    fields = pong.snapshot()
    if change == "missing":
        del fields["tick"]
    else:
        fields["lives"] = fields["tick"]
    name = "tick" if change == "missing" else "lives"
    with pytest.raises(ValueError, match=rf"missing or unknown snapshot fields \['{name}'\]"):
        pong.restore(fields)


# -- draws


@pytest.mark.parametrize(("coin", "speed"), [(0, -1.0), (1, 0.0), (RAND_BOUND - 1, 0.0)])
def test_forced_draws_are_obeyed(coin: int, speed: float) -> None:
    pong = at_a_point(3)
    pong.force(log_of([1, 1, 1], [[coin]] * 3))
    pong.step(np.zeros(3, np.int64))
    assert pong.snapshot()["ball_vy"].tolist() == [speed] * 3
    assert pong.draws().count.tolist() == [1, 1, 1]
    assert pong.draws().value[:, 0].tolist() == [coin] * 3


def test_a_reset_is_forced_too() -> None:
    pong = PongReference()
    for coin, speed in ((0, -1.0), (1, 0.0)):
        pong.force([Draw(site="serve", bound=RAND_BOUND, value=coin)])
        pong.reset(0)
        assert pong.snapshot()["ball_vy"] == speed
        assert pong.draws() == [Draw(site="serve", bound=RAND_BOUND, value=coin)]


def test_draw_that_the_tape_does_not_hold_is_named() -> None:
    pong = at_a_point()
    pong.force(log_of([0], [[0]]))
    with pytest.raises(TapeError, match=r"consumed 1 draws at site 'serve', the tape holds 0"):
        pong.step(np.array([0]))


def test_draw_left_over_is_named_with_its_instance() -> None:
    pong = VectorPong(3)
    pong.reset(0)
    pong.force(log_of([0, 1, 0], [[0], [1], [0]]))
    with pytest.raises(TapeError, match=r"instance 1 consumed 0 draws.*holds 1"):
        pong.step(np.zeros(3, np.int64))


def test_forcing_lasts_for_one_call() -> None:
    pong = at_a_point()
    pong.force(log_of([1], [[1]]))
    pong.step(np.array([0]))
    pong.step(np.array([0]))
    assert pong.draws().count.tolist() == [0]


def test_more_draws_than_a_call_can_take_are_refused() -> None:
    with pytest.raises(TapeError, match=f"at most {MAX_DRAWS}"):
        VectorPong(1).force(log_of([MAX_DRAWS + 1], [[0] * (MAX_DRAWS + 1)]))


def test_draws_are_what_a_fair_generator_gives() -> None:
    coins = []
    for seed in range(40):
        pong = VectorPong(50)
        pong.reset(seed)
        coins.append(pong.draws().value[:, 0] % 2)
    # 2000 fair coins: 7 standard deviations either side of the mean.
    assert abs(np.concatenate(coins).mean() - 0.5) < 7 * 0.5 / np.sqrt(2000)


# -- actions


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.array([3]), r"0 \(stay\), 1 \(up\) or 2 \(down\)"),
        (np.array([-1]), r"0 \(stay\), 1 \(up\) or 2 \(down\)"),
        (np.array([0, 1]), r"int64\[2\], expected integer\[1\]"),
        (np.array([1.0]), r"float64\[1\], expected integer\[1\]"),
    ],
)
def test_actions_without_a_meaning_are_refused(actions: np.ndarray, message: str) -> None:
    pong = VectorPong(1)
    pong.reset(0)
    before = pong.snapshot()
    with pytest.raises(ValueError, match=message):
        pong.step(actions)
    assert all(np.array_equal(before[name], value) for name, value in pong.snapshot().items())


def test_integers_are_no_continuous_actions() -> None:
    with pytest.raises(ValueError, match=r"int64\[1\], expected floating\[1\]"):
        VectorPong(1, continuous=True).step(np.array([1]))


def test_continuous_actions_are_clipped_as_upstream_does() -> None:
    beyond, within = (VectorPong(2, continuous=True) for _ in range(2))
    for pong, actions in ((beyond, [7.5, -1.25]), (within, [1.0, -1.0])):
        pong.reset(0)
        pong.step(np.asarray(actions, np.float32))
    assert beyond.snapshot()["paddle_yr"].tolist() == [293, 277]
    np.testing.assert_array_equal(beyond.snapshot()["paddle_yr"], within.snapshot()["paddle_yr"])


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown parameters \['widht'\].*width"):
        VectorPong(1, widht=3)


# -- seeds, and one instance


def test_the_same_seed_gives_the_same_play() -> None:
    shows = []
    for seed in (7, 7, 8):
        pong = VectorPong(4)
        pong.reset(seed)
        shows.append(play(pong, np.random.default_rng(0), 300))
    assert shows[0] == shows[1] != shows[2]


def test_a_single_instance_is_a_batch_of_one() -> None:
    single, batch = PongReference(frameskip=4), VectorPong(1, frameskip=4)
    for seed in (0, 1):
        single.reset(seed)
        batch.reset(seed)
        for action in np.random.default_rng(seed).integers(0, 3, 400):
            one, many = single.step(int(action)), batch.step(np.array([action]))
            assert one.observation.tobytes() == many.observation[0].tobytes()
            assert (one.reward, one.terminated) == (many.reward[0], many.terminated[0])
            log = batch.draws()
            assert [draw.value for draw in single.draws()] == log.value[0, : log.count[0]].tolist()
    state, states = single.snapshot(), batch.snapshot()
    assert all(np.array_equal(state[name], states[name][0]) for name in states)
    single.restore(state)
    assert all(np.array_equal(state[name], value) for name, value in single.snapshot().items())


# -- what is missing


def test_without_a_compiler_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = header_path().parents[3]
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / source.name).symlink_to(source)
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    _load.cache_clear()
    try:
        with pytest.raises(ReferenceUnavailable, match=r"needs a C compiler.*apt-get install gcc"):
            VectorPong(1)
    finally:
        _load.cache_clear()
    assert not list((tmp_path / "cache").glob("build/*"))


def test_a_changed_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = header_path().parents[3]
    copy = tmp_path / source.name / HEADER
    copy.parent.mkdir(parents=True)
    copy.write_text(header_path().read_text().replace("max_score)", "max_score - 1)"))
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path))
    with pytest.raises(ReferenceUnavailable, match=r"is not that of pufferlib 3\.0\.0; delete"):
        header_path()


def test_without_the_source_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIMLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("simlift.references.fetch.sys.executable", "/bin/false")
    _load.cache_clear()
    try:
        with pytest.raises(ReferenceUnavailable, match=r"pufferlib 3\.0\.0.*check the network"):
            VectorPong(1)
    finally:
        _load.cache_clear()
    assert list((tmp_path / "cache").iterdir()) == []

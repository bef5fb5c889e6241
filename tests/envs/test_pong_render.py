"""Pictures of Pong, and episodes as moving pictures."""

import builtins
import io
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from simlift.envs import files
from simlift.envs.animation import record_episode, save_animation
from simlift.envs.pong import Pong
from simlift.envs.pong.render import BALL, COURT, LEFT, MARGIN, RIGHT
from simlift.envs.pong.state import Serve

ENV = Pong()
PARAMS = ENV.default_params


def state(**changes):
    _, start = ENV.reset(jax.random.key(0))
    return start.replace(**{k: np.asarray(v, getattr(start, k).dtype) for k, v in changes.items()})


def centre(picture, color):
    """(row, column) of the middle of all pixels of one colour."""
    rows, columns = np.nonzero((picture == color).all(-1))
    return float(rows.mean()), float(columns.mean())


def test_a_picture_is_uint8_and_has_the_courts_size():
    picture = ENV.render(state())
    assert picture.dtype == np.uint8
    assert picture.shape == (640, 500 + 2 * MARGIN, 3)


def test_everything_stands_where_the_state_says_with_y_up():
    picture = ENV.render(state(ball_x=100, ball_y=400, paddle_yl=100, paddle_yr=500))
    assert centre(picture, BALL) == pytest.approx((640 - 416 - 0.5, MARGIN + 116 - 0.5))
    assert centre(picture, LEFT) == pytest.approx((640 - 135 - 0.5, MARGIN - 10 - 0.5))
    assert centre(picture, RIGHT) == pytest.approx((640 - 535 - 0.5, MARGIN + 510 - 0.5))
    assert (picture[300, MARGIN + 5] == COURT).all()


def test_a_ball_moves_by_fractions_of_a_pixel():
    whole, fraction = (ENV.render(state(ball_x=x)).astype(int) for x in (100, 100.5))
    moved = np.abs(whole - fraction).sum()
    further = np.abs(whole - ENV.render(state(ball_x=101)).astype(int)).sum()
    assert 0 < moved < further


def test_a_due_serve_is_shown_served():
    after_a_point = state(ball_x=-9, paddle_yl=3, paddle_yr=9, serve=Serve.DOWN, score_r=7)
    np.testing.assert_array_equal(ENV.render(after_a_point), ENV.render(state(score_r=7)))


def test_scores_are_shown():
    scores = ({}, {"score_l": 20}, {"score_r": 21})
    pictures = [ENV.render(state(**score)) for score in scores]
    assert (pictures[0] != pictures[1]).any()
    left, right = ((pictures[0] != other).any((0, 2)).nonzero()[0] for other in pictures[1:])
    assert left.max() < MARGIN + 250 < right.min()


@pytest.mark.parametrize("where", [np.nan, np.inf, -1e6, 1e6])
def test_what_is_nowhere_is_left_out(where):
    picture = ENV.render(state(ball_x=where, paddle_yr=where))
    assert not (picture == BALL).all(-1).any()
    assert not (picture == RIGHT).all(-1).any()
    assert (picture == LEFT).all(-1).any()


def test_a_court_narrower_than_the_ball_is_drawn():
    params = PARAMS.replace(width=jnp.float32(25))
    assert ENV.render(state(), params).shape == (640, 25 + 2 * MARGIN, 3)


# -- animation


def lose(key, observation):
    return jnp.int32(1)


def colours(count=12):
    """Frames [T, 9, 15, 3], each of one colour."""
    tint = np.random.default_rng(0).integers(0, 256, (count, 1, 1, 3), np.uint8)
    return np.broadcast_to(tint, (count, 9, 15, 3))


def test_record_episode_stops_at_max_steps():
    frames = record_episode(ENV, PARAMS, lose, jax.random.key(0), max_steps=5)
    assert frames.shape == (6, 640, 620, 3)
    assert frames.dtype == np.uint8
    assert (frames[0] != frames[5]).any()


def test_record_episode_ends_with_the_episode():
    params = PARAMS.replace(max_score=jnp.int32(1))
    frames = record_episode(ENV, params, lose, jax.random.key(0), max_steps=200)
    scores = ENV.render(state(score_l=1), params)[:100, MARGIN + 100 : -MARGIN - 100]
    assert len(frames) < 100
    np.testing.assert_array_equal(frames[-1][:100, MARGIN + 100 : -MARGIN - 100], scores)


@pytest.mark.parametrize(
    ("fps", "count", "seconds"), [(30, 12, 0.4), (7, 12, 12 / 7), (60, 6, 0.2), (24, 12, 0.5)]
)
def test_a_gif_keeps_frames_colours_and_pace(tmp_path, fps, count, seconds):
    path = save_animation(colours(), tmp_path / "new" / "episode.gif", fps)
    shown, total = [], 0
    with Image.open(path) as image:
        for i in range(image.n_frames):
            image.seek(i)
            shown.append(np.asarray(image.convert("RGB")))
            total += image.info["duration"]
    np.testing.assert_array_equal(shown, colours()[:: 12 // count])
    assert total == pytest.approx(1000 * seconds, abs=10)


def test_a_gif_can_be_enlarged(tmp_path):
    with Image.open(save_animation(colours(), tmp_path / "a.gif", scale=3)) as image:
        assert image.size == (45, 27)


def test_an_mp4_of_odd_size_keeps_frames_and_pace(tmp_path):
    av = pytest.importorskip("av", reason="the extra `video` is not installed")
    path = save_animation(colours(), tmp_path / "a.mp4", fps=25, scale=3)
    with av.open(path) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        assert stream.average_rate == 25
        assert stream.codec_context.name == "h264"
    assert np.shape(frames) == (12, 28, 46, 3)
    # H.264 is lossy, and a neighbour's colour is far off.
    assert np.abs(np.asarray(frames)[:, 13, 22].astype(int) - colours()[:, 4, 7]).max() < 16


def test_without_pyav_one_line_names_the_extra(tmp_path, monkeypatch):
    real = builtins.__import__

    def without_av(name, *args, **kwargs):
        if name == "av":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(ImportError, match=r"simlift\[video\]"):
        save_animation(colours(), tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("frames", "name", "options", "message"),
    [
        (colours(), "a.webm", {}, r"must end in one of"),
        (colours().astype(np.float32), "a.gif", {}, r"float32\[12, 9, 15, 3\], expected uint8"),
        (colours()[0], "a.gif", {}, r"uint8\[9, 15, 3\], expected"),
        (colours()[:0], "a.gif", {}, r"expected uint8"),
        (colours(), "a.gif", {"fps": 0}, r"fps=0 must be positive"),
        (colours(), "a.gif", {"scale": 0}, r"scale=0 at least 1"),
    ],
)
def test_bad_input_is_one_clear_line(tmp_path, frames, name, options, message):
    with pytest.raises(ValueError, match=message):
        save_animation(frames, tmp_path / name, **options)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.gif"
    path.write_bytes(b"old")

    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

        def __exit__(self, *error):
            self.close()

    def open_full(handle, mode):
        os.close(handle)
        return Full()

    monkeypatch.setattr(files.os, "fdopen", open_full)
    with pytest.raises(OSError, match="No space left"):
        save_animation(colours(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]

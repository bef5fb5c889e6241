"""Episodes as moving pictures: GIF with Pillow, MP4 with PyAV (the extra `video`)."""

import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import Array
from PIL import Image

from .core import Environment
from .files import write_atomically

MAX_GIF_FPS = 50  # players show frames that are shorter than 0.02 s at a tenth of a second
PALETTE_FRAMES = 16  # looked at to choose the colours of a GIF


def record_episode(
    env: Environment,
    params: Any,
    policy: Callable[[Array, Array], Any],
    key: Array,
    max_steps: int = 1000,
) -> np.ndarray:
    """Pictures of one episode from its reset, uint8 [T, H, W, 3]: the first state and each after.

    policy(key, observation) -> action. Ends with the episode, or after `max_steps` steps.
    """
    if max_steps < 1:
        raise ValueError(f"max_steps={max_steps} must be at least 1")
    params = env.default_params if params is None else params
    key_reset, key_play = jax.random.split(key)

    @jax.jit
    def keys(step: Any) -> Array:
        return jax.random.split(jax.random.fold_in(key_play, step))

    @jax.jit
    def advance(key: Array, state: Any, action: Array) -> Any:
        observation, state, _, terminated, _ = env.step_env(key, state, action, params)
        return observation, state, terminated | env.is_truncated(state, params)

    observation, state = env.reset(key_reset, params)
    shown_params = jax.device_get(params)  # one array from the device is as slow as all of them
    frames = [env.render(jax.device_get(state), shown_params)]
    for step in range(max_steps):
        key_action, key_step = keys(step)
        action = env.check_action(policy(key_action, observation))
        observation, state, over = advance(key_step, state, action)
        state_shown, over = jax.device_get((state, over))
        frames.append(env.render(state_shown, shown_params))
        if over:
            break
    return np.stack(frames)


def save_animation(
    frames: np.ndarray, path: str | os.PathLike[str], fps: float = 30, scale: int = 1
) -> Path:
    """Write `frames` uint8 [T, H, W, 3] as .gif or .mp4, by the name of `path`, which is returned.

    scale: each pixel becomes scale x scale of them, sharp. A GIF plays at most 50 frames a second:
    above that frames are left out, and the pace is kept. Written whole or not at all. Raises
    ValueError for frames of another shape or dtype, another ending, or a pace or scale that is not
    positive, and ImportError where PyAV is missing.
    """
    path = Path(path)
    writers = {".gif": _gif, ".mp4": _mp4}
    if path.suffix.lower() not in writers:
        raise ValueError(f"{path} must end in one of {list(writers)}")
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size or frames.dtype != np.uint8:
        raise ValueError(
            f"frames are {frames.dtype}{list(frames.shape)}, expected uint8[T, H, W, 3]"
        )
    if not fps > 0 or scale < 1:
        raise ValueError(f"fps={fps} must be positive and scale={scale} at least 1")
    write_atomically(path, writers[path.suffix.lower()](frames, fps, scale))
    return path


def _enlarged(frame: np.ndarray, scale: int) -> np.ndarray:
    return frame.repeat(scale, 0).repeat(scale, 1)


def _gif(frames: np.ndarray, fps: float, scale: int) -> bytes:
    """One palette for all frames, chosen out of some of them, and no dithering."""
    frames = frames[:: int(np.ceil(fps / MAX_GIF_FPS))]
    fps = fps / np.ceil(fps / MAX_GIF_FPS)
    looked_at = frames[np.linspace(0, len(frames) - 1, PALETTE_FRAMES).astype(int)]
    palette = Image.fromarray(np.concatenate(looked_at)).quantize(256, Image.Quantize.MEDIANCUT)
    images = [
        Image.fromarray(_enlarged(frame, scale)).quantize(palette=palette, dither=Image.Dither.NONE)
        for frame in frames
    ]
    # GIF counts in hundredths of a second: round where each frame ends, not how long it lasts.
    ends = np.rint(np.arange(len(images) + 1) * 100 / fps).astype(int)
    file = io.BytesIO()
    images[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=images[1:],
        duration=(10 * np.diff(ends)).tolist(),
        loop=0,
        optimize=False,
    )
    return file.getvalue()


def _mp4(frames: np.ndarray, fps: float, scale: int) -> bytes:
    """H.264 as every browser plays it, which wants even sizes: the edge is repeated."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "an .mp4 needs PyAV: pip install 'simlift[video]', or write a .gif"
        ) from error
    height, width = (size * scale for size in frames.shape[1:3])
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", Fraction(fps).limit_denominator(1000))
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "18", "tune": "animation"}
        for frame in frames:
            pad = ((0, height % 2), (0, width % 2), (0, 0))
            picture = np.pad(_enlarged(frame, scale), pad, "edge")
            video_frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(video_frame))
        container.mux(stream.encode())
    return file.getvalue()

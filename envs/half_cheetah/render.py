"""A picture of a HalfCheetah state, drawn on the host.

The view follows the torso; ticks on the floor are a metre apart.
"""

import math

import numpy as np
from PIL import Image, ImageDraw

from .model import LEGS, OFFSET, PARENT, SPHERES, Point
from .state import State

WIDTH, HEIGHT = 600, 300
SCALE = 170  # pixels a metre
FLOOR_Y = 255  # row of the floor
BACKGROUND, FLOOR, TICK = (250, 249, 246), (60, 60, 60), (170, 168, 160)
BACK_LEG, TRUNK, FRONT_LEG = (129, 132, 203), (42, 54, 59), (202, 152, 101)
COLOURS = (TRUNK, BACK_LEG, BACK_LEG, BACK_LEG, FRONT_LEG, FRONT_LEG, FRONT_LEG)
SMOOTH = 3  # drawn this many times larger, then averaged


def render(state: State) -> np.ndarray:
    """uint8 [300, 600, 3]: the capsules of the links above the floor; front legs last.

    A cheetah that is nowhere (NaN, or far off) is left out.
    """
    qpos = [float(q) for q in state.qpos]
    image = Image.new("RGB", (WIDTH * SMOOTH, HEIGHT * SMOOTH), BACKGROUND)
    draw = ImageDraw.Draw(image)
    x = qpos[0] if abs(qpos[0]) < 1e6 else 0.0
    _draw_floor(draw, x)
    if all(math.isfinite(q) for q in qpos) and abs(qpos[1]) < 100:
        _draw_cheetah(draw, [x, *qpos[1:]], x)
    return np.asarray(image.reduce(SMOOTH))


def _draw_floor(draw: ImageDraw.ImageDraw, x: float) -> None:
    draw.line([_pixel((x - 2, 0), x), _pixel((x + 2, 0), x)], FLOOR, 2 * SMOOTH)
    for metre in range(math.floor(x) - 2, math.ceil(x) + 3):
        draw.line([_pixel((metre, -0.02), x), _pixel((metre, -0.08), x)], TICK, 2 * SMOOTH)


def _draw_cheetah(draw: ImageDraw.ImageDraw, qpos: list[float], view: float) -> None:
    angles = [qpos[2]]
    joints = [(qpos[0], qpos[1] + OFFSET[0][1])]
    for b in LEGS:
        angles.append(angles[PARENT[b]] + qpos[b + 2])
        joints.append(_placed(OFFSET[b], angles[PARENT[b]], joints[PARENT[b]]))
    for first, second in zip(SPHERES[::2], SPHERES[1::2], strict=True):
        b = first.link
        ends = [_pixel(_placed(s.center, angles[b], joints[b]), view) for s in (first, second)]
        radius = first.radius * SCALE * SMOOTH
        draw.line(ends, COLOURS[b], round(2 * radius))
        for column, row in ends:
            draw.ellipse([column - radius, row - radius, column + radius, row + radius], COLOURS[b])


def _placed(point: Point, angle: float, joint: Point) -> Point:
    """A point in a link's axes in the world's."""
    (x, z), cos, sin = point, math.cos(angle), math.sin(angle)
    return joint[0] + x * cos + z * sin, joint[1] + z * cos - x * sin


def _pixel(point: Point, view: float) -> Point:
    """(column, row) with the view centred at x = `view`."""
    column = WIDTH / 2 + (point[0] - view) * SCALE
    return column * SMOOTH, (FLOOR_Y - point[1] * SCALE) * SMOOTH

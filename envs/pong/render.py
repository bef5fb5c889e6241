"""A picture of a Puffer Pong state, drawn on the host.  upstream: c_render (colours and layout)"""

import functools
import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .state import Params, Serve, State

OUTSIDE, COURT, LINE = (3, 14, 14), (6, 24, 24), (14, 54, 54)
LEFT, RIGHT, BALL, SCORE = (255, 0, 0), (0, 255, 255), (241, 241, 241), (0, 187, 187)
PADDLE_WIDTH = 20
MARGIN = 3 * PADDLE_WIDTH  # beside the court, where the paddles stand
CORNER = 5  # radius
DASH, NET_WIDTH = 20, 4
SCORE_SIZE, SCORE_TOP, SCORE_FROM_NET = 56, 24, 56


def render(state: State, params: Params) -> np.ndarray:
    """uint8 [height, width + 2 * 60, 3] of one state.

    After a point the ball and the paddles are shown as served, as upstream does. What lies outside
    the picture, or nowhere (NaN), is left out.
    """
    width, height = int(params.width), int(params.height)
    paddle_height = float(params.paddle_height)
    ball_width, ball_height = float(params.ball_width), float(params.ball_height)
    if state.serve == Serve.NONE:
        left, right = float(state.paddle_yl), float(state.paddle_yr)
        ball_x, ball_y = float(state.ball_x), float(state.ball_y)
    else:
        left = right = height / 2 - paddle_height / 2
        ball_x, ball_y = width / 5, height / 2 - ball_height / 2

    picture = _court(width, height).copy()
    _draw_score(picture, int(state.score_l), MARGIN + width // 2 - SCORE_FROM_NET)
    _draw_score(picture, int(state.score_r), MARGIN + width // 2 + SCORE_FROM_NET)
    for x, y, color in ((-PADDLE_WIDTH, left, LEFT), (width, right, RIGHT)):
        top = height - y - paddle_height  # y points up, rows of pixels go down
        _draw_rounded(picture, x + MARGIN, top, PADDLE_WIDTH, paddle_height, CORNER, color)
    top = height - ball_y - ball_height
    radius = min(ball_width, ball_height) / 2
    _draw_rounded(picture, ball_x + MARGIN, top, ball_width, ball_height, radius, BALL)
    return picture


@functools.lru_cache(maxsize=8)
def _court(width: int, height: int) -> np.ndarray:
    """uint8 [H, W, 3]: the court, walls at its floor and ceiling, and the dashed net."""
    image = Image.new("RGB", (width + 2 * MARGIN, height), OUTSIDE)
    draw = ImageDraw.Draw(image)
    draw.rectangle((MARGIN, 0, MARGIN + width - 1, height), COURT)
    net = MARGIN + (width - NET_WIDTH) // 2
    for y in range(DASH // 2, height, 2 * DASH):
        draw.rectangle((net, y, net + NET_WIDTH - 1, y + DASH - 1), LINE)
    for y in (0, height - 2):
        draw.rectangle((MARGIN, y, MARGIN + width - 1, y + 1), LINE)
    return np.asarray(image)


@functools.lru_cache(maxsize=256)
def _digits(text: str) -> np.ndarray:
    """How much of each pixel the text covers, float32 [h, w, 1] in 0 .. 1."""
    font = ImageFont.load_default(SCORE_SIZE)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    image = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, 255, font)
    return np.asarray(image, np.float32)[..., None] / 255


def _draw_score(picture: np.ndarray, score: int, center: int) -> None:
    digits = _digits(str(score))
    _blend(picture, SCORE_TOP, center - digits.shape[1] // 2, digits, SCORE)


def _draw_rounded(
    picture: np.ndarray,
    left: float,
    top: float,
    width: float,
    height: float,
    radius: float,
    color: tuple[int, int, int],
) -> None:
    """A box with round corners, at fractions of a pixel, its edge smooth."""
    if not (math.isfinite(left) and math.isfinite(top)):
        return
    first_row, first_column = math.floor(top), math.floor(left)
    y = np.arange(first_row, math.ceil(top + height), dtype=np.float32) + np.float32(0.5)
    x = np.arange(first_column, math.ceil(left + width), dtype=np.float32) + np.float32(0.5)
    # The distance of each pixel's centre from the box without its corners' radius.
    dy = np.maximum(np.abs(y - (top + height / 2)) - (height / 2 - radius), 0)[:, None]
    dx = np.maximum(np.abs(x - (left + width / 2)) - (width / 2 - radius), 0)[None, :]
    covered = np.clip(radius + 0.5 - np.sqrt(dx * dx + dy * dy), 0, 1)[..., None]
    _blend(picture, first_row, first_column, covered, color)


def _blend(
    picture: np.ndarray, row: int, column: int, covered: np.ndarray, color: tuple[int, int, int]
) -> None:
    """Paint `color` where `covered` [h, w, 1] says, clipped to the picture [H, W, 3], in place."""
    height, width = picture.shape[:2]
    top, left = max(-row, 0), max(-column, 0)
    covered = covered[top : max(height - row, 0), left : max(width - column, 0)]
    if not covered.size:
        return
    row, column = row + top, column + left
    there = picture[row : row + covered.shape[0], column : column + covered.shape[1]]
    there[:] = np.rint(there + covered * (np.asarray(color, np.float32) - there))

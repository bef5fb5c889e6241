"""A picture of a cart-pole state, drawn on the host.  upstream: render (scale and proportions)"""

import math

import numpy as np
from PIL import Image, ImageDraw

from .state import Params, State

WIDTH, HEIGHT = 600, 400
BACKGROUND, TRACK, LIMIT = (250, 249, 246), (60, 60, 60), (214, 96, 77)
CART, POLE, AXLE = (42, 54, 59), (202, 152, 101), (129, 132, 203)
CART_WIDTH, CART_HEIGHT, POLE_WIDTH = 50, 30, 10
TRACK_Y = 300  # row of the track, through the middle of the cart
LIMIT_HEIGHT = 12
SMOOTH = 3  # drawn this many times larger, then averaged


def render(state: State, params: Params) -> np.ndarray:
    """uint8 [400, 600, 3] of one state: the track with its two limits, the cart and the pole.

    A cart beyond the picture, or nowhere (NaN), is left out.
    """
    image = Image.new("RGB", (WIDTH * SMOOTH, HEIGHT * SMOOTH), BACKGROUND)
    draw = ImageDraw.Draw(image)
    threshold = float(params.x_threshold)
    scale = WIDTH / (2 * threshold)  # pixels a metre; the limits stand at the picture's edges
    draw.line(_scaled((0, TRACK_Y), (WIDTH, TRACK_Y)), TRACK, SMOOTH)
    for edge in (1, WIDTH - 2):
        ends = (edge, TRACK_Y - LIMIT_HEIGHT), (edge, TRACK_Y + LIMIT_HEIGHT)
        draw.line(_scaled(*ends), LIMIT, 3 * SMOOTH)
    x, theta = float(state.x), float(state.theta)
    if math.isfinite(theta) and abs(x) <= 2 * threshold:
        center = WIDTH / 2 + x * scale
        _draw_cart(draw, center)
        _draw_pole(draw, center, TRACK_Y - CART_HEIGHT / 4, theta, 2 * float(params.length) * scale)
    return np.asarray(image.reduce(SMOOTH))


def _draw_cart(draw: ImageDraw.ImageDraw, center: float) -> None:
    half_width, half_height = CART_WIDTH / 2, CART_HEIGHT / 2
    corners = (
        (center - half_width, TRACK_Y - half_height),
        (center + half_width, TRACK_Y + half_height),
    )
    draw.rounded_rectangle(_scaled(*corners), 4 * SMOOTH, CART)


def _draw_pole(draw: ImageDraw.ImageDraw, x: float, y: float, theta: float, length: float) -> None:
    """From its axle at (x, y); positive angles lean right."""
    up = np.array([math.sin(theta), -math.cos(theta)])
    side = np.array([up[1], -up[0]]) * POLE_WIDTH / 2
    foot = np.array([x, y]) - up * POLE_WIDTH / 2
    tip = foot + up * length
    draw.polygon(_scaled(foot - side, foot + side, tip + side, tip - side), POLE)
    radius = POLE_WIDTH / 2
    draw.ellipse(_scaled((x - radius, y - radius), (x + radius, y + radius)), AXLE)


def _scaled(*points: tuple[float, float] | np.ndarray) -> list[tuple[float, float]]:
    return [(float(x) * SMOOTH, float(y) * SMOOTH) for x, y in points]

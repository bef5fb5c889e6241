"""A picture of a Puffer Pong state, drawn on the host.  upstream: c_render (colours and layout)"""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .state import Params, State

BACKGROUND, LEFT, RIGHT, BALL, SCORE = (
    (6, 24, 24),
    (255, 0, 0),
    (0, 255, 255),
    (255, 255, 255),
    (0, 187, 187),
)
PADDLE_WIDTH = 20
MARGIN = 3 * PADDLE_WIDTH


def render(state: State, params: Params) -> np.ndarray:
    """uint8 [height, width + 2 * 60, 3] of one state, as last observed."""
    width, height = int(params.width), int(params.height)
    image = Image.new("RGB", (width + 2 * MARGIN, height), BACKGROUND)
    draw = ImageDraw.Draw(image)

    def box(x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
        """Court coordinates (y up, lower left corner) to image coordinates, corners included."""
        return (x + MARGIN, height - y - h, x + MARGIN + w - 1, height - y - 1)

    paddle = (PADDLE_WIDTH, float(params.paddle_height))
    draw.rectangle(box(-PADDLE_WIDTH, float(state.paddle_yl), *paddle), fill=LEFT)
    draw.rectangle(box(width, float(state.paddle_yr), *paddle), fill=RIGHT)
    draw.ellipse(
        box(
            float(state.ball_x),
            float(state.ball_y),
            float(params.ball_width),
            float(params.ball_height),
        ),
        fill=BALL,
    )
    font = ImageFont.load_default(30)
    for x, score in ((-50, state.score_l), (50, state.score_r)):
        draw.text((MARGIN + width / 2 + x, 10), str(int(score)), SCORE, font, anchor="ma")
    return np.asarray(image)

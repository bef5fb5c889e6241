"""A picture of a battle, drawn on the host; nothing is hidden in it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .state import Params, State
from .text import Portrait, headline, portraits

WIDTH, HEIGHT = 640, 360
MARGIN, CARD_WIDTH = 16, 296
BACKGROUND, CARD, INK, FAINT = (250, 249, 246), (255, 255, 255), (42, 54, 59), (170, 168, 160)
SLOT, HIGH, MIDDLE, LOW = (226, 224, 217), (74, 160, 96), (222, 170, 60), (201, 76, 76)
STATUS_COLOURS = {
    "slp": (140, 136, 140),
    "psn": (160, 64, 160),
    "tox": (120, 40, 140),
    "brn": (224, 112, 48),
    "frz": (88, 168, 190),
    "par": (200, 160, 24),
}
LARGE, SMALL = 15, 11
BENCH_TOP, BENCH_STEP = 200, 24


def render(state: State, params: Params) -> np.ndarray:
    """uint8 [360, 640, 3]: the two Pokemon that fight, and their teams below them; the first
    player's are on the left. Raises ValueError for a batch of states."""
    image = Image.new("RGB", (WIDTH, HEIGHT), BACKGROUND)
    draw = ImageDraw.Draw(image)
    for left, team in zip(
        (MARGIN, WIDTH - MARGIN - CARD_WIDTH), portraits(state, params), strict=True
    ):
        bench = 0
        for pokemon in team:
            if pokemon.active:
                _draw_active(draw, left, pokemon)
            else:
                _draw_bench(draw, left, BENCH_TOP + bench * BENCH_STEP, pokemon)
                bench += 1
    _write(draw, (WIDTH // 2, HEIGHT - 18), headline(state), SMALL, FAINT, anchor="mm")
    return np.asarray(image)


def _draw_active(draw: ImageDraw.ImageDraw, left: int, pokemon: Portrait) -> None:
    right, top = left + CARD_WIDTH, MARGIN
    draw.rounded_rectangle((left, top, right, BENCH_TOP - 16), 8, CARD, SLOT)
    x, y = left + 12, top + 10
    _write(draw, (x, y), f"{pokemon.species}  L{pokemon.level}", LARGE, INK)
    _write(draw, (right - 12, y + 2), "/".join(pokemon.types), SMALL, FAINT, anchor="ra")
    _draw_health(draw, (x, y + 28, right - 12, y + 38), pokemon)
    _write(draw, (x, y + 44), f"{pokemon.hp}/{pokemon.max_hp}", SMALL, INK)
    _draw_status(draw, (right - 12, y + 44), pokemon)
    for i, (name, pp) in enumerate(pokemon.moves):
        _write(draw, (x + i % 2 * 140, y + 70 + i // 2 * 18), f"{name} {pp}", SMALL, INK)
    boosts = [f"{name} {stage:+}" for name, stage in pokemon.boosts.items()]
    words = [*boosts, *pokemon.volatiles]
    for i, text in enumerate(words[:6]):
        _write(draw, (x + i % 2 * 140, y + 112 + i // 2 * 15), text, SMALL, MIDDLE)


def _draw_bench(draw: ImageDraw.ImageDraw, left: int, top: int, pokemon: Portrait) -> None:
    colour = INK if pokemon.hp else FAINT
    _write(draw, (left, top), f"{pokemon.species}  L{pokemon.level}", SMALL, colour)
    _draw_health(draw, (left + 130, top + 3, left + 250, top + 10), pokemon)
    _draw_status(draw, (left + CARD_WIDTH, top), pokemon)


def _draw_health(
    draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], pokemon: Portrait
) -> None:
    left, top, right, bottom = box
    fraction = pokemon.hp / pokemon.max_hp
    draw.rectangle(box, SLOT)
    if pokemon.hp:
        colour = HIGH if fraction > 0.5 else MIDDLE if fraction > 0.2 else LOW
        draw.rectangle((left, top, left + round((right - left) * fraction), bottom), colour)


def _draw_status(draw: ImageDraw.ImageDraw, corner: tuple[int, int], pokemon: Portrait) -> None:
    if pokemon.status:
        _write(draw, corner, pokemon.status, SMALL, STATUS_COLOURS[pokemon.status], anchor="ra")


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: int,
    colour: tuple[int, int, int],
    anchor: str = "la",
) -> None:
    draw.text(place, text, colour, ImageFont.load_default(size), anchor=anchor)

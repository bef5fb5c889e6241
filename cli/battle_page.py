"""A battle as one HTML file that needs no network: step through its turns with keys or buttons."""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from ..envs.files import write_atomically
from ..references.pokemon.story import Pokemon, Side, Story
from ..verify import report

PAGES = Path(__file__).parent / "pages"


def write_page(story: Story, path: Path, *, log: Sequence[str], about: Mapping[str, Any]) -> Path:
    """Write the page of a battle to `path`, which is returned; whole or not at all.

    log: the lines that the story tells, shown below it; about: facts by name, shown above it.
    Raises OSError where the page cannot be written.
    """
    page = _template().render(story=story, log="\n".join(log), about=about)
    write_atomically(path, page)
    return path


def _balls(side: Side) -> list[tuple[str, str]]:
    """Of each Pokemon of a team a sign and what it says, those not seen yet last."""
    seen = [("●" if pokemon.hp else "✕", _in_words(pokemon)) for pokemon in side.seen]
    return seen + [("○", "not seen yet")] * (side.size - len(seen))


def _in_words(pokemon: Pokemon) -> str:
    return f"{pokemon.name}, {pokemon.health}"


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([PAGES, report.TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["balls"] = _balls
    return environment.get_template("battle.html.j2")

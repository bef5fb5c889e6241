"""`simlift replay`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..envs.files import write_atomically
from ..references.pokemon.replay import KIND, BattleRecord, protocol_log
from ..references.pokemon.story import Story, Turn, read_log
from ..verify import runner
from .battle_page import write_page
from .screen import Screen

STYLES = ("cyan", "yellow")
"""Of the two players."""


@dataclasses.dataclass(frozen=True)
class Replay:
    """Play a kept divergence on both sides, step by step; or a recorded battle, turn by turn.

    Example: simlift replay verify/regressions/pong/0123456789ab.json

    Example: simlift replay battle.json --html battle.html
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A tape that `simlift verify` wrote, or the record of a battle."""
    html: Path | None = None
    """Of a battle: write a page on which one can step through its turns."""
    log: Path | None = None
    """Of a battle: write its log in Showdown's protocol, as Showdown's replays have it."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Show what the file holds."""
        if not self.file.is_file():
            raise ValueError(f"there is no tape at {self.file}, and no record of a battle")
        if holds_battle(self.file):
            return self._battle(screen)
        if self.html or self.log:
            raise ValueError(f"{self.file} is not of a battle; leave --html and --log away")
        return self._tape(screen)

    def _battle(self, screen: Screen) -> int:
        """The turns, unless something is to be written."""
        record = BattleRecord.load(self.file)
        lines = protocol_log(record)
        story = read_log(lines)
        about = {
            "format": record.format,
            "turns": story.turns[-1].number,
            "decisions": len(record.actions),
            "seed": "{:08x} {:08x}".format(*record.seed.tolist()),
        }
        if self.log:
            write_atomically(self.log, "".join(f"{line}\n" for line in lines))
        if self.html:
            write_page(story, self.html, log=lines, about=about)
        written = {"log": self.log, "page": self.html}
        if not screen.as_json:
            if not (self.log or self.html):
                show_battle(screen.console, story)
            for what, path in written.items():
                if path:
                    screen.console.print(f"{what}: {path}", markup=False, soft_wrap=True)
        named = {what: path and str(path) for what, path in written.items()}
        return screen.finish({**about, "ending": story.ending, "winner": story.winner, **named})

    def _tape(self, screen: Screen) -> int:
        """Each step's fields, those that differ first."""
        result = runner.replay(self.file)
        if not screen.as_json:
            for step in result["steps"]:
                screen.console.print(step_table(step))
            screen.console.print(f"{result['mismatches']} of {len(result['steps'])} steps differ")
        return screen.finish(result, result["holds"])


def holds_battle(path: Path) -> bool:
    """Whether a file is, or was to be, a battle's: one that is cut off is to be told as such."""
    return f'"{KIND}"'.encode() in path.read_bytes()


def step_table(step: dict[str, Any]) -> Table:
    """Both sides' fields after a step."""
    table = Table("field", "reference", "ours", title=f"step {step['step']}")
    fields = sorted(step["fields"].items(), key=lambda item: not item[1]["differs"])
    for name, value in fields:
        style = "bold red" if value["differs"] else ""
        table.add_row(name, str(value["reference"]), str(value["ours"]), style=style)
    return table


def show_battle(console: Console, story: Story) -> None:
    """Every turn and how it ended."""
    console.print(Text(story.tier, "bold"))
    for turn in story.turns:
        console.print()
        console.print(heading(turn))
        for message in turn.messages:
            style = "dim" if message.is_note else ""
            if message.is_action and message.player is not None:
                style = STYLES[message.player]
            indent = 2 if message.is_action else 4
            console.print(Padding(Text(message.text, style), (0, 0, 0, indent), expand=False))
    console.print()
    console.print(Text(story.ending, "bold"))


def heading(turn: Turn) -> Text:
    """Which turn it is, and how the two Pokemon stand at its end."""
    standing = [
        Text(f"{side.active.name} {side.active.health}", style)
        for side, style in zip(turn.sides, STYLES, strict=True)
        if side.active is not None
    ]
    title = Text(f"Turn {turn.number}" if turn.number else "Start", "bold")
    return Text("   ").join([title, *standing])

"""`simlift translate init`."""

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import tyro

from ...translate.init import init
from ...translate.inspection import describe
from ...translate.project import Agent, Language, ReferenceKind
from ..screen import Screen

NO_NAME = re.compile(r"[^a-z0-9_]+")


@dataclasses.dataclass(frozen=True)
class Init:
    """Make a project: a folder in which a simulator can be translated.

    The simulator is looked at first: it is played twice, and a snapshot is taken and gone on from.

    Example: simlift translate init python gymnasium.envs.toy_text.taxi:TaxiEnv --folder taxi
    """

    kind: Annotated[ReferenceKind, tyro.conf.Positional]
    """python: a class with Gymnasium's API; command: a program that speaks the line protocol;
    specification: documents only."""
    source: Annotated[tuple[str, ...], tyro.conf.Positional]
    """package.module:Class; the command, in quotes if it has options; or the documents."""
    folder: Path | None = None
    """Folder that is made; the name, unless given."""
    name: str | None = None
    """Of the project and of the package that is written; the folder's or the source's."""
    version: str | None = None
    """The upstream version; what is installed, unless given."""
    sources: tuple[Path, ...] = ()
    """Files and folders to translate; the class's own file, unless given."""
    build: str = ""
    """Command that builds the reference, run in the project's folder."""
    arguments: str = "{}"
    """Keyword arguments of the class, as a JSON object."""
    import_from: tuple[Path, ...] = ()
    """Folders to import the class from, beside what is installed."""
    language: Language = "jax"
    """What it becomes."""
    agent: str = Agent.kind
    """Who translates: claude, codex, gemini, mini, handoff, or package.module:Class."""
    model: str = ""
    """The model, as the agent names it."""
    json: bool = False
    """Print one JSON object and nothing else."""

    def run(self, screen: Screen) -> int:
        """Make the project, and say what a first look at the simulator found."""
        words = self.source
        if self.kind == "command" and len(words) == 1:
            words = tuple(shlex.split(words[0]))
        if not words:
            raise ValueError("name what is translated: a class, a command, or documents")
        folder = self.folder or Path(self.name or self._default_name(words))
        project = init(
            self.kind,
            words,
            folder,
            name=self.name,
            version=self.version,
            sources=self.sources,
            build_command=shlex.split(self.build),
            arguments=_object(self.arguments, "--arguments"),
            import_from=self.import_from,
            language=self.language,
            agent=Agent(kind=self.agent, model=self.model),
        )
        found = json.loads((project.folder / "inspection.json").read_bytes())
        console = screen.console
        if not screen.as_json:
            console.print(f"{folder}: {project.reference.words}", markup=False)
            for line in describe(found):
                console.print(f"- {line}", markup=False)
            console.print(
                f"next: read {folder / 'simlift.toml'}, then simlift translate --project {folder}",
                markup=False,
                soft_wrap=True,
            )
        return screen.finish({"project": str(folder), "name": project.name, "found": found})

    def _default_name(self, words: tuple[str, ...]) -> str:
        """After the class, the program's file, or the first document."""
        if self.kind == "python":
            stem = words[0].rpartition(":")[2]
        else:
            stem = Path(next(iter(self.sources), Path(words[-1]))).stem
        return NO_NAME.sub("_", stem.lower())


def _object(text: str, flag: str) -> dict[str, Any]:
    """A JSON object; ValueError says what is wrong."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{flag} {text}: is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise ValueError(f'{flag} {text}: is not an object such as {{"size": 4}}')
    return value

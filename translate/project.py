"""A project: what is translated, into what, by whom, at which price at most. See simlift.toml."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from ..verify.suite import Compare
from . import schema

FILE = "simlift.toml"

ReferenceKind = Literal["python", "command", "specification"]
Language = Literal["jax", "rust"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reference:
    """The slow simulator. Paths are relative to the project's folder.

    python: "package.module:Class" with `arguments`, imported from `import_from` or what is
    installed; command: a program that speaks the line protocol; sources: what is translated, the
    documents of a specification; build: run once before the reference is.
    """

    kind: ReferenceKind
    version: str
    sources: tuple[str, ...]
    python: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    import_from: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    build: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """What it is, in a line of a prompt."""
        match self.kind:
            case "python":
                arguments = ", ".join(f"{k}={v!r}" for k, v in self.arguments.items())
                return f"the Python class `{self.python}({arguments})`, version {self.version}"
            case "command":
                shown = json.dumps(list(self.command))
                return f"the program `{shown}`, version {self.version}"
        return f"a written specification, version {self.version}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Agent:
    """Who translates. models: what is tried, in this order, where `model` makes no progress;
    price: dollars for a million tokens, by kind of token, where it is given."""

    kind: str = "handoff"
    model: str = ""
    models: tuple[str, ...] = ()
    price: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """Where a run stops. stall_minutes: without a sign of life; flat_rounds: attempts in a row
    that brought nothing, after which the tactic changes."""

    usd: float = 20.0
    tokens: int = 20_000_000
    calls: int = 2_000
    wall_hours: float = 24.0
    stall_minutes: float = 15.0
    flat_rounds: int = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Project:
    """All of simlift.toml. fields: comparators that the plan has to take over."""

    folder: Path
    name: str
    reference: Reference
    language: Language = "jax"
    agent: Agent = dataclasses.field(default_factory=Agent)
    budget: Budget = dataclasses.field(default_factory=Budget)
    fields: Mapping[str, Compare] = dataclasses.field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The project in that folder.

        Raises ValueError, in one line with the file and the key, for what is wrong in it, and
        FileNotFoundError where there is none.
        """
        path = folder / FILE
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise FileNotFoundError(
                f"{path} is not there; make a project with simlift translate init"
            ) from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: is not UTF-8 ({error.reason})") from None
        project = cls.parse(text, folder, str(path))
        for source in project.reference.sources:
            if not (folder / source).exists():
                raise ValueError(f"{path}: reference.sources: {source} is not there")
        return project

    @classmethod
    def parse(cls, text: str, folder: Path, place: str = FILE) -> Self:
        """The project that a simlift.toml describes. Raises ValueError that begins with `place`."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{place}: {error}") from None
        schema.check("project", table, place)
        return cls(
            folder=folder,
            name=table["name"],
            reference=Reference(**_tuples(table["reference"])),
            language=table.get("target", {}).get("language", "jax"),
            agent=Agent(**_tuples(table.get("agent", {}))),
            budget=Budget(**table.get("budget", {})),
            fields={
                name: Compare(
                    field["compare"], **{k: v for k, v in field.items() if k != "compare"}
                )
                for name, field in table.get("fields", {}).items()
            },
        )

    @property
    def imports(self) -> tuple[Path, ...]:
        """The folders of `reference.import_from`, absolute."""
        return tuple((self.folder / path).resolve() for path in self.reference.import_from)

    def toml(self) -> str:
        """A simlift.toml that reads as this project, each key explained."""
        reference = given(self.reference)
        tables: dict[str, Mapping[str, Any]] = {
            "reference": reference,
            "target": {"language": self.language},
            "agent": given(self.agent),
            "budget": given(self.budget),
        }
        known = schema.load("project")["properties"]
        lines = [f"# {known['name']['description']}", f"name = {_toml(self.name)}"]
        for title, table in tables.items():
            lines += ["", f"# {known[title]['description']}", f"[{title}]"]
            for key, value in table.items():
                lines += [
                    f"# {known[title]['properties'][key]['description']}",
                    f"{key} = {_toml(value)}",
                ]
        lines += ["", f"# {known['fields']['description']}, e.g. [fields.speed]"]
        for name, compare in self.fields.items():
            how = given(compare, kind="compare")
            lines.append(f"[fields.{_toml(name)}]")
            lines += [f"{key} = {_toml(value)}" for key, value in how.items()]
        return "\n".join(lines) + "\n"


def given(part: Any, **renamed: str) -> dict[str, Any]:
    """The fields of a dataclass that are not empty, some under another name."""
    values = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return {
        renamed.get(key, key): value
        for key, value in values.items()
        if value not in ("", (), {}, 0)
    }


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table whose lists are tuples, which do not change."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _toml(value: Any) -> str:
    """A value as TOML writes it, in one line."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case bool() | int():
            return json.dumps(value)
        case float():
            return repr(value)
        case str():
            return json.dumps(value).replace("\x7f", "\\u007f")
    raise ValueError(f"{value!r} cannot be written to {FILE}; use text, numbers, lists and tables")

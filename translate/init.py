"""`init`: a folder in which a translation can begin, or one line that says why it cannot."""

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..envs.files import write_atomically
from .inspection import build, describe, inspect
from .project import FILE, Agent, Budget, Language, Project, Reference, ReferenceKind

SOURCES = "reference"
INSPECTION = "inspection.json"
IGNORED = "runs/\n__pycache__/\ntarget/\n"  # the last is cargo's


def init(
    kind: ReferenceKind,
    source: str | Sequence[str],
    folder: Path,
    *,
    name: str | None = None,
    version: str | None = None,
    sources: Sequence[Path] = (),
    build_command: Sequence[str] = (),
    arguments: Mapping[str, Any] | None = None,
    import_from: Sequence[Path] = (),
    language: Language = "jax",
    agent: Agent | None = None,
    budget: Budget | None = None,
) -> Project:
    """Make `folder` a project: simlift.toml, README.md, .gitignore, a copy of the sources, and what
    a first look at the reference found.

    source: of kind "python" package.module:Class, of "command" the words of the command, of
    "specification" the documents; name: of the folder, by default; version: what is installed, by
    default; sources: what to translate, by default the file that defines the class. A word of a
    command that is one of the sources becomes the path of its copy. import_from: folders to import
    the class from beside what is installed; the current one is tried too.

    Raises ValueError, in one line with the remedy, where this cannot work: a folder that is not
    empty, a reference that does not build, start or import, that differs from run to run, or of
    which no snapshot can be taken. Nothing is left behind then.
    """
    folder = folder.absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{folder} is not empty; choose a folder that is not there yet")
    words = [source] if isinstance(source, str) else list(source)
    if kind == "specification":
        sources = [*map(Path, words), *sources]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
        stage = Path(temporary, "project")
        stage.mkdir()
        copies = {str(path): _copy(path, stage) for path in sources}
        reference = Reference(
            kind=kind,
            version=version or "unknown",
            sources=tuple(copies.values()),
            python=words[0] if kind == "python" else "",
            arguments=dict(arguments or {}),
            import_from=_import_from(kind, words[0], import_from),
            command=tuple(copies.get(w, w) for w in words) if kind == "command" else (),
            build=tuple(build_command),
        )
        project = Project(
            folder=stage,
            name=name or folder.name.replace("-", "_").lower(),
            reference=reference,
            language=language,
            agent=agent or Agent(),
            budget=budget or Budget(),
        )
        if kind != "python" and not sources:
            raise ValueError("name the files to translate (sources); the coder is shown only them")
        # The reader's own rules, before anything runs; of a class the source file is not known yet.
        Project.parse(_with(project, sources=reference.sources or (SOURCES,)).toml(), folder)
        build(reference, stage)
        found = inspect(reference, stage)
        defined = found.pop("file", None)
        if defined and not sources:
            copies[defined] = _copy(Path(defined), stage)
        version = version or found.get("version")
        if not version:
            raise ValueError(
                "the reference does not say its version; give one (version), it stands in the "
                "certificate"
            )
        project = _with(
            dataclasses.replace(project, folder=folder),
            version=version,
            sources=tuple(copies.values()),
            import_from=tuple(os.path.relpath(path, folder) for path in reference.import_from),
        )
        _write(project, found, stage)
        if folder.exists():
            folder.rmdir()
        os.rename(stage, folder)
    return project


def _with(project: Project, **changes: Any) -> Project:
    return dataclasses.replace(project, reference=dataclasses.replace(project.reference, **changes))


def _import_from(kind: ReferenceKind, python: str, given: Sequence[Path]) -> tuple[str, ...]:
    """What is given, and the current folder if it is needed."""
    if kind != "python":
        return ()
    top = python.partition(":")[0].partition(".")[0]
    here = Path.cwd()
    needed = [here] if (here / top).is_dir() or (here / f"{top}.py").is_file() else []
    return tuple(str(path.absolute()) for path in [*given, *needed])


def _copy(source: Path, stage: Path) -> str:
    """Copy a file or folder into the project; its path there."""
    if not source.exists():
        raise ValueError(f"{source} is not there; name files or folders that are")
    target = stage / SOURCES / source.absolute().name
    if target.exists():
        raise ValueError(f"two sources are called {target.name}; give the folder that holds both")
    target.parent.mkdir(exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".git"))
    else:
        shutil.copy(source, target)
    return f"{SOURCES}/{target.name}"


def _write(project: Project, found: Mapping[str, Any], stage: Path) -> None:
    write_atomically(stage / FILE, project.toml())
    write_atomically(stage / ".gitignore", IGNORED)
    write_atomically(stage / "README.md", _readme(project, found))
    write_atomically(stage / INSPECTION, json.dumps(found, indent=1) + "\n")


def _readme(project: Project, found: Mapping[str, Any]) -> str:
    reference = project.reference
    seen = (
        "\n".join(f"- {line}" for line in describe(found)) or "- Nothing was run: documents only."
    )
    checks = (
        ""
        if reference.kind == "specification"
        else "Two runs with one seed agreed, and a snapshot went on as its original did.\n\n"
    )
    target = "JAX" if project.language == "jax" else "Rust"
    return f"""# {project.name}

To be translated into {target} by simlift: {reference.words}.

## What a first look found

{checks}{seen}

## What to do next

1. Read `{FILE}`: every key is explained there. Set `[agent]` and `[budget]`; where you know how a
   field has to be compared, say so under `[fields]`.
2. See that `{SOURCES}/` holds all that the behaviour depends on: the coder is shown nothing else.
3. `simlift translate` starts, `simlift translate --resume` goes on after any interruption, and
   `simlift translate show` tells what happened.

| file | what it is |
|---|---|
| `{FILE}` | what is translated, by whom, at which price at most |
| `{SOURCES}/` | what is translated; read only |
| `{INSPECTION}` | what a first look found |
| `runs/` | what the commands write; not to be committed |
"""

"""The phases of a translation: one prompt template each, and the work that a run consists of.

A template is a Jinja2 file with TOML between two lines of `+++` on top, whose texts may use the
template's variables too:

    id, version        of the template; the version is raised when its meaning changes
    inputs             files and folders that the phase starts from; a change opens it again, so
                       nothing that later phases change is among them
    outputs            tables {path, schema}: what has to be there afterwards; schema may be left
                       out, where the judge runs the output instead of reading it
    budget_usd         dollars that one attempt may spend
    max_turns          turns that one attempt may take
    success_command    what the judge runs, and the coder may run: `simlift verify`, `simlift
                       translate check`, `python -m pytest` and `cargo test`, joined by &&; empty
                       where the outputs say all
    forbid_paths       what the phase must not change, beside FORBIDDEN
"""

import dataclasses
import functools
import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import meta

from . import schema
from .inspection import describe
from .plan import Plan
from .project import Project, given

TEMPLATES = resources.files(__package__) / "templates"
FENCE = "+++\n"
FORBIDDEN = ("simlift.toml", "inspection.json", "reference")
"""What no phase may change."""
SUITE = "judge.suite:SUITE"

PHASES = (
    "specification_reference",
    "survey",
    "plan",
    "scaffold",
    "translate_module",
    "swap_module",
    "compose",
    "lockstep",
    "mutants",
    "transfer",
    "optimise",
    "certificate",
)
"""In order; the first is for specifications alone, translate_module and swap_module take turns."""

OF_JAX = ("mutants", "transfer")
"""Phases about evidence that is made of an environment in JAX, and not of a program."""

VARIABLES: Mapping[str, str] = {
    "name": "name of the project and of the package that is written",
    "language": "what it becomes: jax or rust",
    "kind": "kind of the reference: python, command or specification",
    "reference": "the reference in words, with its version",
    "sources": "paths of what is translated",
    "inspection": "what a first look at the reference found, a line each",
    "fields": "comparators that the user demands, entries of the plan's, in JSON",
    "suite": "module:attribute of the suite, as `simlift verify` takes it",
    "module": "the module at hand, an entry of the plan's modules; empty in the other phases",
    "draw_sites": "the module's draw sites, entries of the plan's draw_sites",
    "forbid_paths": "what this phase must not change",
    "feedback": "what the judge said of the attempts before; empty in the first",
}
"""Every variable of the templates, and what it means."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Output:
    """A file or folder that a phase leaves. schema: of the JSON in it; "" where it is not JSON."""

    path: str
    schema: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rendering:
    """A phase for one project, and one module. template: hash of the template with all that it
    includes; prompt: the text, with that hash in its last line."""

    phase: str
    version: int
    prompt: str
    template: str
    inputs: Sequence[str]
    outputs: Sequence[Output]
    success_command: str
    forbid_paths: Sequence[str]

    def check_outputs(self, workspace: Path) -> None:
        """Raises ValueError, in one line, for an output that is not there or does not fit."""
        for output in self.outputs:
            path = workspace / output.path
            if not path.exists():
                raise ValueError(f"{output.path} is not there; this phase has to write it")
            if not output.schema:
                continue
            try:
                value = json.loads(path.read_bytes())
            except (OSError, ValueError) as error:
                raise ValueError(f"{output.path} is not JSON: {error}") from None
            if output.schema == "plan":
                Plan.parse(value, output.path)
            else:
                schema.check(output.schema, value, output.path)

    def inputs_hash(self, workspace: Path) -> str:
        """Of the template's version and of all that the phase starts from, as far as it is there.

        Not of the template's text: better words do not undo what is done.
        """
        state = hashlib.sha256(f"{self.phase} {self.version}".encode())
        for name in self.inputs:
            root = workspace / name
            for path in [root] if root.is_file() else sorted(root.rglob("*")):
                if path.is_file() and "__pycache__" not in path.parts:
                    content = path.read_bytes()
                    state.update(f"\0{path.relative_to(workspace)}\0{len(content)}\0".encode())
                    state.update(content)
        return state.hexdigest()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phase:
    """One template. The fields are those of its front matter."""

    id: str
    version: int
    inputs: Sequence[str]
    outputs: Sequence[Mapping[str, str]]
    budget_usd: float
    max_turns: int
    success_command: str
    forbid_paths: Sequence[str]

    @property
    def hash(self) -> str:
        """Of the template and all that it includes."""
        return _hash(f"{self.id}.j2")

    def render(self, variables: Mapping[str, Any]) -> Rendering:
        """The prompt for these variables, see `variables`.

        Raises ValueError where the template uses one that is not given.
        """
        environment = _environment()

        def fill(text: str) -> str:
            return environment.from_string(text).render(variables)

        try:
            forbidden = (*FORBIDDEN, *map(fill, self.forbid_paths))
            template = environment.get_template(f"{self.id}.j2")
            body = template.render({**variables, "forbid_paths": forbidden}).rstrip()
            return Rendering(
                phase=self.id,
                version=self.version,
                prompt=f"{body}\n\n<!-- {self.id}, version {self.version}, {self.hash} -->\n",
                template=self.hash,
                inputs=tuple(map(fill, self.inputs)),
                outputs=tuple(
                    Output(**{key: fill(text) for key, text in output.items()})
                    for output in self.outputs
                ),
                success_command=fill(self.success_command),
                forbid_paths=forbidden,
            )
        except jinja2.UndefinedError as error:
            raise ValueError(f"template {self.id}: {error}; see VARIABLES") from None


@functools.cache
def load(phase: str) -> Phase:
    """The phase of that name, one of PHASES. Raises ValueError for another."""
    if phase not in PHASES:
        raise ValueError(f"there is no phase {phase!r}; there are {', '.join(PHASES)}")
    _, front, _ = _source(f"{phase}.j2").split(FENCE, 2)
    return Phase(**tomllib.loads(front))


def variables(
    project: Project,
    inspection: Mapping[str, Any],
    *,
    plan: Plan | None = None,
    module: str = "",
    feedback: str = "",
) -> dict[str, Any]:
    """What templates are rendered with. Raises ValueError for a module that no plan has."""
    if module and (plan is None or module not in plan.modules):
        raise ValueError(f"the plan has no module {module!r}")
    sites = plan.draw_sites if plan else ()
    return {
        "name": project.name,
        "language": project.language,
        "kind": project.reference.kind,
        "reference": project.reference.words,
        "sources": project.reference.sources,
        "inspection": describe(inspection),
        "fields": [
            json.dumps({"field": name, **given(compare, kind="compare")})
            for name, compare in project.fields.items()
        ],
        "suite": SUITE,
        "module": plan.modules[module] if plan and module else {},
        "draw_sites": [site for site in sites if site["module"] == module],
        "feedback": feedback.strip(),
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
    """A piece of work. module: of the plan; "" where the phase is about all of them."""

    phase: str
    module: str = ""

    @property
    def name(self) -> str:
        """As the journal calls it."""
        return f"{self.phase}:{self.module}" if self.module else self.phase


def work(project: Project, plan: Plan | None) -> list[Item]:
    """All items of a run, in order; up to the plan, as long as there is none."""
    first = PHASES.index("survey") if project.reference.kind != "specification" else 0
    planned = PHASES.index("plan") + 1
    items = [Item(phase=phase) for phase in PHASES[first:planned]]
    if plan is None:
        return items
    for phase in PHASES[planned:]:
        if phase == "translate_module":
            for module in plan.modules:
                items += [Item(phase=each, module=module) for each in (phase, "swap_module")]
        elif phase != "swap_module" and not (project.language == "rust" and phase in OF_JAX):
            items.append(Item(phase=phase))
    return items


def translated(item: Item, plan: Plan) -> list[str]:
    """The modules that the reference does not stand in for any more, while this item is done."""
    modules = list(plan.modules)
    match item.phase:
        case "swap_module":
            return modules[: modules.index(item.module) + 1]
        case "translate_module":
            return modules[: modules.index(item.module)]
    return modules if PHASES.index(item.phase) > PHASES.index("swap_module") else []


# -- templates


def _source(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _body(name: str) -> str | None:
    """A template without its front matter; None where there is none of that name."""
    if not (TEMPLATES / name).is_file():
        return None
    return _source(name).split(FENCE, 2)[-1]


@functools.cache
def _environment() -> jinja2.Environment:
    # What is rendered is Markdown, for a reader who runs what it says: nothing is to be escaped.
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_body),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals["schema"] = lambda name: json.dumps(schema.load(name), indent=1)
    return environment


@functools.cache
def _hash(name: str) -> str:
    state = hashlib.sha256()
    for part in [name, *sorted(includes(name))]:
        state.update(f"{part}\0{_source(part)}\0".encode())
    return state.hexdigest()


def includes(name: str) -> set[str]:
    """All templates that one includes, directly or through others."""
    tree = _environment().parse(_body(name) or "")
    direct = {part for part in meta.find_referenced_templates(tree) if part is not None}
    return direct.union(*map(includes, direct))

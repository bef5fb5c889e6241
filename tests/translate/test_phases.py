"""Phases: prompts are whole for every project, and plans that do not hang together are told."""

import copy
import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import jinja2
import jsonschema
import pytest
from jinja2 import meta

from simlift.translate import phases, schema, update
from simlift.translate.phases import PHASES, TEMPLATES, VARIABLES, Item, load, variables, work
from simlift.translate.plan import Plan
from simlift.translate.project import Project, Reference
from simlift.verify.suite import Compare

GOLDEN = Path(__file__).with_name("golden")
SCHEMAS = sorted(file.name.removesuffix(".json") for file in schema.FOLDER.iterdir())

PLAN: dict[str, Any] = {
    "modules": [
        {
            "name": "blow",
            "does": "Draws the wind of this step.",
            "sources": ["reference/ferry.py:10-20"],
            "depends_on": [],
            "reads": [],
            "writes": ["wind"],
        },
        {
            "name": "sail",
            "does": "Moves the boat by action and wind.",
            "sources": ["reference/ferry.py:21-40", "reference/ferry.py:50"],
            "depends_on": ["blow"],
            "reads": ["boat", "wind"],
            "writes": ["boat"],
        },
    ],
    "state": [
        {"name": "wind", "dtype": "int8", "shape": [], "unit": "-1, 0, 1", "meaning": "east is 1"},
        {"name": "boat", "dtype": "float64", "shape": [2], "unit": "m", "meaning": "position"},
    ],
    "draw_sites": [
        {
            "name": "wind",
            "module": "blow",
            "distribution": "uniform",
            "bound": 3,
            "per_step": 1,
            "call_site": "reference/ferry.py:12",
        }
    ],
    "comparators": [
        {"field": "wind", "compare": "exact"},
        {"field": "boat", "compare": "close", "ulp": 2, "why": "two sums"},
    ],
    "scenarios": [
        {
            "name": "storm_at_the_pier",
            "modules": ["blow", "sail"],
            "place": "boat at 0",
            "actions": "west, west",
            "happens": "boat stays at 0 with wind -1",
        }
    ],
}
INSPECTION = {
    "version": "ferry 1.2",
    "attributes": [{"name": "boat", "is": "float64 [2]", "changes": True}],
}


def project(kind: str = "python", language: str = "jax") -> Project:
    how = {
        "python": {"python": "ferry:Ferry", "arguments": {"docks": 5}},
        "command": {"command": ("node", "reference/ferry.mjs")},
        "specification": {},
    }[kind]
    reference = Reference(
        kind=kind,  # type: ignore[arg-type]
        version="1.2",
        sources=("reference/ferry.py",),
        **how,  # type: ignore[arg-type]
    )
    return Project(
        folder=Path("lake"),
        name="ferry",
        reference=reference,
        language=language,  # type: ignore[arg-type]
        fields={"boat": Compare("close", ulp=2, why="two sums")},
    )


def rendered(phase: str, of: Project, feedback: str = "") -> phases.Rendering:
    per_module = phase in ("translate_module", "swap_module")
    plan = Plan.parse(PLAN, "plan")
    given = variables(
        of, INSPECTION, plan=plan, module="blow" if per_module else "", feedback=feedback
    )
    return load(phase).render(given)


# -- templates


def test_every_template_is_a_phase_or_a_part_of_one() -> None:
    names = {file.name for file in TEMPLATES.iterdir()}
    parts = {part for phase in PHASES for part in phases.includes(f"{phase}.j2")}
    assert names == {f"{phase}.j2" for phase in PHASES} | parts


def test_every_variable_is_documented_and_used() -> None:
    environment = jinja2.Environment()
    used = set()
    for file in TEMPLATES.iterdir():
        used |= meta.find_undeclared_variables(environment.parse(file.read_text()))
    assert used - {"schema"} == VARIABLES.keys()
    given = variables(project(), INSPECTION)
    assert given.keys() | {"forbid_paths"} == VARIABLES.keys()


@pytest.mark.parametrize("phase", PHASES)
def test_front_matter_says_what_the_template_is(phase: str) -> None:
    loaded = load(phase)
    assert loaded.id == phase and loaded.version >= 1
    assert loaded.budget_usd > 0 and loaded.max_turns > 0
    assert loaded.inputs and loaded.outputs
    assert re.fullmatch("[0-9a-f]{64}", loaded.hash)


@pytest.mark.parametrize("language", ["jax", "rust"])
@pytest.mark.parametrize("kind", ["python", "command", "specification"])
@pytest.mark.parametrize("phase", PHASES)
def test_prompts_are_whole_for_every_project(phase: str, kind: str, language: str) -> None:
    told = "field `boat`: the reference has 1, we have 2"
    of = project(kind, language)
    made = rendered(phase, of, feedback=told)
    assert made.prompt.count(told) == 1 and made.template in made.prompt.splitlines()[-1]
    assert "What the judge said" not in rendered(phase, of).prompt
    for left in ("{{", "{%", "\n\n\n", "None", "Undefined"):
        assert left not in made.prompt
    for path in (*(output.path for output in made.outputs), made.success_command):
        assert path in made.prompt
    for path in made.forbid_paths:
        assert f"`{path}`" in made.prompt, "the coder is told what it must not touch"
    for output in made.outputs:
        if output.schema:
            assert json.dumps(schema.load(output.schema), indent=1) in made.prompt
    assert ("jax" in made.prompt.lower()) == (language == "jax")


RUST = ("scaffold", "translate_module", "compose", "optimise")
"""Phases whose prompts are others in Rust than by a word here and there."""


@pytest.mark.parametrize(
    ("phase", "language"), [*((phase, "jax") for phase in PHASES), *((p, "rust") for p in RUST)]
)
def test_prompts_are_those_that_were_read_through(phase: str, language: str) -> None:
    """SIMLIFT_GOLDEN=write writes them anew: read the difference before it is committed."""
    made = rendered(phase, project(language=language), feedback="boat differs at step 3")
    text = made.prompt.replace(made.template, "HASH")
    golden = GOLDEN / f"{phase}{'' if language == 'jax' else '_rust'}.md"
    if os.environ.get("SIMLIFT_GOLDEN") == "write":
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize(
    ("language", "tests"), [("jax", "python -m pytest -q tests"), ("rust", "cargo test --offline")]
)
def test_what_an_update_verifies_includes_the_tests(language: str, tests: str) -> None:
    made = rendered(update.VERIFYING, project(language=language))
    first, _, verified = made.success_command.partition(" && ")
    assert first.startswith(tests)
    assert verified.startswith("simlift verify"), "the last command says of which version it is"


def test_no_certificate_is_made_of_tests_that_changed_after_they_ran() -> None:
    forbidden = {
        language: set(rendered("certificate", project(language=language)).forbid_paths)
        for language in ("jax", "rust")
    }
    assert forbidden["rust"] - forbidden["jax"] == {"ferry/tests"}
    assert forbidden["jax"] - forbidden["rust"] == {"tests"}


def test_a_variable_that_is_not_given_is_an_error() -> None:
    given = variables(project(), INSPECTION)
    with pytest.raises(ValueError, match=r"template translate_module: .* has no attribute 'name'"):
        load("translate_module").render(given)
    del given["name"]
    with pytest.raises(ValueError, match="template survey: 'name' is undefined; see VARIABLES"):
        load("survey").render(given)
    with pytest.raises(ValueError, match="there is no phase 'survay'; there are"):
        load("survay")
    with pytest.raises(ValueError, match="the plan has no module 'sink'"):
        variables(project(), INSPECTION, plan=Plan.parse(PLAN, "plan"), module="sink")


def test_the_hash_follows_every_part_of_a_template(monkeypatch: pytest.MonkeyPatch) -> None:
    before, source = load("survey").hash, phases._source
    hashed = phases._hash.__wrapped__  # what is remembered does not follow
    changed = {"_rules.j2", "survey.j2"}
    for name in sorted(changed):
        monkeypatch.setattr(phases, "_source", lambda n, name=name: source(n) + "!" * (n == name))
        assert hashed("survey.j2") != before
    monkeypatch.setattr(phases, "_source", lambda n: source(n) + "!" * (n == "_speed.j2"))
    assert hashed("survey.j2") == before, "which is no part of it"


# -- schemas


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_valid_closed_and_explained(name: str) -> None:
    loaded = schema.load(name)
    jsonschema.Draft202012Validator.check_schema(loaded)

    def visit(part: dict[str, Any], place: str) -> None:
        assert part.get("description"), place
        if part.get("type") == "object" and name != "project":
            assert part["additionalProperties"] is False, place
        for key, inner in part.get("properties", {}).items():
            visit(inner, f"{place}.{key}")
        if isinstance(items := part.get("items"), dict) and "properties" in items:
            visit(items, f"{place}[]")

    visit(loaded, name)


def test_every_schema_is_that_of_an_output_or_of_a_folder_of_ours() -> None:
    used = {output.get("schema") for phase in PHASES for output in load(phase).outputs}
    assert used - {None} == set(SCHEMAS) - {"project", "recording"}
    with pytest.raises(ValueError, match="there is no schema 'sunk'; there are"):
        schema.load("sunk")


def test_outputs_are_checked(tmp_path: Path) -> None:
    made = rendered("plan", project())
    path = tmp_path / "notes" / "plan.json"
    with pytest.raises(ValueError, match=r"notes/plan.json is not there"):
        made.check_outputs(tmp_path)
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(ValueError, match=r"notes/plan.json is not JSON"):
        made.check_outputs(tmp_path)
    path.write_text("{}")
    with pytest.raises(ValueError, match=r"notes/plan.json: 'modules' is a required property"):
        made.check_outputs(tmp_path)
    path.write_text(json.dumps(PLAN))
    made.check_outputs(tmp_path)


def test_inputs_are_told_apart_by_their_content(tmp_path: Path) -> None:
    made = rendered("survey", project())
    seen = [made.inputs_hash(tmp_path)]
    source = tmp_path / "reference" / "ferry.py"
    source.parent.mkdir()
    for content in ("1", "2"):
        source.write_text(content)
        seen.append(made.inputs_hash(tmp_path))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "survey.json").write_text("an output, not an input")
    assert made.inputs_hash(tmp_path) == seen[-1]
    source.rename(source.with_name("boat.py"))
    seen.append(made.inputs_hash(tmp_path))
    assert len(set(seen)) == 4


# -- plans and work


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(PLAN))
    plan = Plan.read(path)
    assert list(plan.modules) == ["blow", "sail"]
    assert plan.comparators == {
        "wind": Compare("exact"),
        "boat": Compare("close", ulp=2, why="two sums"),
    }
    plan.check_demands({"boat": Compare("close", ulp=2, why="in other words")}, "plan")
    with pytest.raises(ValueError, match=r"comparator of boat is not the one .*: exact"):
        plan.check_demands({"boat": Compare("exact")}, "plan")
    path.write_text("nothing")
    with pytest.raises(ValueError, match="is not JSON"):
        Plan.read(path)


@pytest.mark.parametrize(
    ("where", "value", "told"),
    [
        (("modules", 0, "name"), "sail", "module sail is given more than once"),
        (("modules", 0, "name"), "Blow", "modules.0.name: 'Blow' does not match"),
        (("modules", 0, "depends_on"), ["sail"], "module blow depends on sail, which does not"),
        (("modules", 0, "writes"), ["wind", "boat"], "writer of boat is given more than once"),
        (("modules", 0, "writes"), [], "what the modules write have to be the same; .* wind"),
        (("modules", 0, "tests"), [], "unknown key modules.0.tests; known are name, does"),
        (("state", 0, "name"), "boat", "state field boat is given more than once"),
        (("state", 0, "dtype"), "int", "state.0.dtype: 'int' is not one of"),
        (("comparators", 0, "field"), "fog", "comparators have to be the same; .* has fog"),
        (("comparators", 0, "compare"), "ignored", "comparators.0: 'why' is a required"),
        (("draw_sites", 0, "module"), "gust", "draw_sites: wind names gust, which is no module"),
        (("scenarios", 0, "modules"), ["gust"], "storm_at_the_pier names gust, which is no"),
    ],
)
def test_a_plan_that_does_not_hang_together_is_told(
    where: tuple[str, int, str], value: Any, told: str
) -> None:
    plan = copy.deepcopy(PLAN)
    table, number, key = where
    plan[table][number][key] = value
    with pytest.raises(ValueError, match=f"^plan.json: .*{told}") as caught:
        Plan.parse(plan, "plan.json")
    assert "\n" not in str(caught.value)


def test_modules_are_translated_and_swapped_in_one_by_one() -> None:
    assert [item.name for item in work(project(), None)] == ["survey", "plan"]
    plan = Plan.parse(PLAN, "plan")
    names = [item.name for item in work(project("specification"), plan)]
    assert names == [
        "specification_reference",
        "survey",
        "plan",
        "scaffold",
        "translate_module:blow",
        "swap_module:blow",
        "translate_module:sail",
        "swap_module:sail",
        "compose",
        "lockstep",
        "mutants",
        "transfer",
        "optimise",
        "certificate",
    ]
    assert Item(phase="swap_module", module="sail") in work(project(), plan)


def test_the_schema_of_projects_explains_every_key() -> None:
    written = tomllib.loads(project().toml())
    assert written["fields"]["boat"] == {"compare": "close", "ulp": 2, "why": "two sums"}


def test_no_phase_starts_from_what_a_later_one_changes() -> None:
    """Else an item that is done would be opened again by what comes after it."""
    made = [rendered(phase, project("specification")) for phase in PHASES]
    for number, one in enumerate(made):
        later = {output.path for other in made[number + 1 :] for output in other.outputs}
        assert not later & set(one.inputs)

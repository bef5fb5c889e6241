"""Projects: what is wrong with one is told in one line, and what cannot work leaves nothing."""

import dataclasses
import sys
from pathlib import Path

import pytest

from simlift.translate.init import init
from simlift.translate.project import Agent, Budget, Project, Reference
from simlift.verify.suite import Compare

PRICE = {"input": 3.0, "output": 15.0, "max_output": 64_000}
FULL = Project(
    folder=Path("ferry"),
    name="ferry",
    reference=Reference(
        kind="python",
        version='1.0 "beta"',
        sources=("reference/ferry.py",),
        python="ferry.world:Ferry",
        arguments={"docks": 5, "wind": 0.5, "names": ["a", "ü\\"], "deep": {"storm": True}},
        import_from=("..",),
        build=("make", "-C", "reference"),
    ),
    language="rust",
    agent=Agent(kind="claude", model="some-model", price=PRICE),
    budget=Budget(usd=2.5, tokens=1000, calls=7, wall_hours=0.5, stall_minutes=2.0, flat_rounds=2),
    fields={
        "fog": Compare("ignored", why="cosmetic"),
        "hull.speed": Compare("close", ulp=2, atol=1e-6),
    },
)
SMALL = {
    "name": '"ferry"',
    "reference.kind": '"specification"',
    "reference.version": '"1"',
    "reference.sources": '["rules.md"]',
}


def toml(keys: dict[str, str]) -> str:
    return "\n".join(f"{key} = {value}" for key, value in keys.items())


def test_what_is_written_reads_as_what_was_meant() -> None:
    assert Project.parse(FULL.toml(), FULL.folder) == FULL


def test_what_is_left_out_has_a_default() -> None:
    project = Project.parse(toml(SMALL), Path())
    assert (project.language, project.agent, project.budget) == ("jax", Agent(), Budget())


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("name = ", "Invalid value"),
        ('name = "Ferry 1"', "name: 'Ferry 1' does not match .*lower-case"),
        ('nam = "ferry"', "unknown key nam; known are name, reference"),
        ("budget.usd = 0", "budget.usd: 0 is less than or equal to the minimum of 0 .dollars in"),
        ('budget.usd = "1"', "budget.usd: '1' is not of type 'number'"),
        ("budget.usdd = 1", "unknown key budget.usdd; known are usd, tokens"),
        ('target.language = "c"', "target.language: 'c' is not one of"),
        ('reference.kind = "c"', "reference.kind: 'c' is not one of .*line protocol"),
        ('reference.kind = "command"', "reference: 'command' is a required property"),
        ('reference.kind = "python"', "reference: 'python' is a required property"),
        ('reference.command = ["x"]', "reference.command does not belong to this kind"),
        ("reference.sources = []", "reference.sources: "),
        ("agent.price.input = 3.0", "agent.price: 'output' is a required property"),
        ('fields.fog.compare = "ignored"', "fields.fog: 'why' is a required property"),
        ('fields.fog.compare = "near"', "fields.fog.compare: 'near' is not one of"),
    ],
)
def test_one_line_says_what_is_wrong_and_where(line: str, told: str) -> None:
    key, _, value = line.partition(" = ")
    text = toml(SMALL | {key: value})
    with pytest.raises(ValueError, match=f"simlift.toml: {told}") as caught:
        Project.parse(text, Path())
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_project_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="simlift translate init"):
        Project.read(tmp_path)
    (tmp_path / "simlift.toml").write_text(toml(SMALL))
    with pytest.raises(ValueError, match=r"rules.md is not there"):
        Project.read(tmp_path)
    (tmp_path / "simlift.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="is not UTF-8"):
        Project.read(tmp_path)


# -- init

FERRY = """
import random
import threading

HELD, DRIFT = set("abcdefgh"), [0]


class Space:
    def seed(self, seed):
        self.generator = random.Random(seed)

    def sample(self):
        return self.generator.randrange(3)


class Ferry:
    def __init__(self, flaw=""):
        print("all aboard")  # not an answer
        self.flaw, self.action_space = flaw, Space()
        if flaw == "lock":
            self.lock = threading.Lock()
        if flaw == "constructor":
            raise RuntimeError("no\\nwater")
        if flaw == "dies":
            __import__("os")._exit(3)

    def reset(self, *, seed):
        self.generator, self.boat = random.Random(seed), 0
        return [0] if self.flaw == "old reset" else ([self.boat], {})

    def step(self, action):
        if self.flaw == "step":
            raise IndexError("overboard")
        wind = self.generator.randrange(3)
        if self.flaw == "clock":
            wind = random.SystemRandom().random()
        if self.flaw == "order of a set":
            wind = next(iter(HELD))
        if self.flaw == "state in the module":
            DRIFT[0] += 1
            wind = DRIFT[0]
        self.boat += action
        return [self.boat, wind], float(action), self.boat > 40, False, {}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "ferry.py").write_text(FERRY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_class_becomes_a_project(here: Path) -> None:
    made = init("python", "ferry:Ferry", Path("new/lake-1"), version="7")
    project = Project.read(here / "new" / "lake-1")
    assert project == made
    assert project.name == "lake_1"
    assert project.reference == Reference(
        kind="python",
        version="7",
        sources=("reference/ferry.py",),
        python="ferry:Ferry",
        import_from=("../..",),
    )
    folder = here / "new" / "lake-1"
    assert (folder / "reference" / "ferry.py").read_text() == FERRY
    assert (folder / ".gitignore").read_text().split() == ["runs/", "__pycache__/", "target/"]
    readme = (folder / "README.md").read_text()
    assert "`boat`: int; changes, so it is state" in readme
    assert "`flaw`: str; was not seen to change" in readme
    names = {path.name for path in folder.iterdir()}
    assert names == {".gitignore", "README.md", "inspection.json", "reference", "simlift.toml"}


@pytest.mark.parametrize(
    ("flaw", "told"),
    [
        ("clock", "ferry:Ferry is not deterministic: .* differ at step 1; take all"),
        ("order of a set", "ferry:Ferry is not deterministic"),
        ("lock", "copy.deepcopy fails .TypeError: cannot pickle .*: no snapshot is possible; give"),
        ("state in the module", "a deep copy goes on differently, 1 steps after"),
        ("constructor", "cannot be made with .* .RuntimeError: no water"),
        ("old reset", "reset does not return .observation, info.; wrap it"),
        ("step", r"step.\d. fails .IndexError: overboard"),
        ("dies", "ferry:Ferry: exited with status 3; its stderr: all aboard"),
    ],
)
def test_what_cannot_work_is_refused_and_leaves_nothing(here: Path, flaw: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        init("python", "ferry:Ferry", here / "lake", version="7", arguments={"flaw": flaw})
    assert "\n" not in str(caught.value)
    assert [path.name for path in here.iterdir()] == ["ferry.py"]


def test_bad_calls_are_told_in_one_line(here: Path) -> None:
    lake = here / "lake"
    with pytest.raises(ValueError, match=r"no_such:Ferry cannot be imported .*install it"):
        init("python", "no_such:Ferry", lake, version="7")
    with pytest.raises(ValueError, match="ferry:Boat cannot be imported"):
        init("python", "ferry:Boat", lake, version="7")
    with pytest.raises(ValueError, match=r"reference.python: 'ferry' does not match"):
        init("python", "ferry", lake, version="7")
    with pytest.raises(ValueError, match="ferry:Space has no reset; it needs Gymnasium's API"):
        init("python", "ferry:Space", lake, version="7")
    with pytest.raises(ValueError, match=r"give one .version."):
        init("python", "ferry:Ferry", lake)
    with pytest.raises(ValueError, match="is not empty; choose"):
        init("python", "ferry:Ferry", here, version="7")
    with pytest.raises(ValueError, match="name: '1' does not match"):
        init("python", "ferry:Ferry", lake, version="7", name="1")
    with pytest.raises(ValueError, match="does not build: false exited with status 1"):
        init("python", "ferry:Ferry", lake, version="7", build_command=["false"])
    with pytest.raises(ValueError, match=r"no-such-make cannot be started"):
        init("python", "ferry:Ferry", lake, version="7", build_command=["no-such-make"])
    with pytest.raises(ValueError, match=r"cannot be written to simlift.toml"):
        init("python", "ferry:Ferry", lake, version="7", arguments={"flaw": None})
    with pytest.raises(ValueError, match="nowhere is not there"):
        init("python", "ferry:Ferry", lake, version="7", sources=[Path("nowhere")])
    with pytest.raises(ValueError, match="name the files to translate"):
        init("command", ["cat"], lake, version="7")
    assert [path.name for path in here.iterdir()] == ["ferry.py"]


def test_documents_alone_become_a_project(here: Path) -> None:
    (here / "rules.md").write_text("Boats sail.\n")
    made = init("specification", ["rules.md"], here / "lake", version="second edition")
    assert Project.read(here / "lake") == made
    assert (here / "lake" / "reference" / "rules.md").read_text() == "Boats sail.\n"


PROGRAM = """
import json, os, sys
flaw, purse = sys.argv[1], 0
for line in sys.stdin:
    asked = json.loads(line)
    answer = {"id": asked["id"]}
    if asked["verb"] == "hello":
        answer |= {"protocol": 1, "name": "purse", "version": "2.1", "action": {"n": 3},
                   "observation": {"shape": [], "dtype": "int32"}, "draw_sites": {}}
        if flaw != "unsaved":
            answer["snapshot_fields"] = {"purse": "int32"}
    elif asked["verb"] == "snapshot":
        answer["snapshot"] = {"purse": 0 if flaw == "forgets" else purse}
    elif asked["verb"] == "restore":
        purse = asked["snapshot"]["purse"]
    else:
        purse = 0 if asked["verb"] == "reset" else purse + asked["action"] + 1
        seen = os.getpid() if flaw == "differs" else purse
        answer |= {"observation": seen, "terminated": purse > 50}
    print(json.dumps(answer), flush=True)
"""


def test_a_program_becomes_a_project(here: Path) -> None:
    program = here / "purse.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), "sound"]
    made = init("command", command, here / "lake", sources=[program])
    assert made.reference.command == (sys.executable, "reference/purse.py", "sound")
    assert made.reference.version == "purse 2.1"
    assert Project.read(here / "lake") == dataclasses.replace(made, folder=here / "lake")


@pytest.mark.parametrize(
    ("flaw", "told"),
    [
        ("unsaved", "no snapshot is possible; announce snapshot_fields"),
        ("forgets", "a restored snapshot goes on differently"),
        ("differs", "purse is not deterministic: .* differ at step 0"),
    ],
)
def test_a_program_that_cannot_be_compared_is_refused(here: Path, flaw: str, told: str) -> None:
    program = here / "purse.py"
    program.write_text(PROGRAM)
    with pytest.raises(ValueError, match=told):
        init("command", [sys.executable, str(program), flaw], here / "lake", sources=[program])
    assert not (here / "lake").exists()


def test_a_program_that_is_not_there_is_told(here: Path) -> None:
    with pytest.raises(ValueError, match="no-such-program: cannot be started"):
        init("command", ["no-such-program"], here / "lake", sources=[here / "ferry.py"])

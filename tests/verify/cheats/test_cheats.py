"""The verifier cannot be fooled: each cheat is caught, and by the check that is named here.

A cheat is a module of cheating/, verified as a user would: in processes of its own, by the name of
its suite, and never loaded by the judge.
"""

import importlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.verify import runner
from simlift.verify.host import Row
from simlift.verify.isolation import IsolatedHost
from simlift.verify.record import record_policy
from simlift.verify.rollouts import NUM_STEPS
from simlift.verify.runner import Options, verify
from simlift.verify.session import Session
from simlift.verify.suite import Compare, Suite, derive_seed
from simlift.verify.suites import get_suite

HERE = Path(__file__).parent
ALONE = IsolatedHost._alone
pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of a user, where `import cheat_suites` and `import cheating` find a copy."""
    path = tmp_path_factory.mktemp("user")
    shutil.copytree(HERE / "cheating", path / "cheating")
    shutil.copy(HERE / "cheat_suites.py", path)
    (path / "answers.npy").write_bytes(b"42")
    sys.path.insert(0, str(path))
    importlib.invalidate_caches()
    yield path
    sys.path.remove(str(path))
    for name in [name for name in sys.modules if name.startswith("cheat")]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A divergence is noted by its fields: shrinking it is tested elsewhere. The third process, in
    which nothing is verified, is asked where a test is about it."""

    def tell(self: Session, row: Any, variant: Any, recording: Any, found: Any, **_: Any) -> None:
        row.what += [f"{field} differs" for field in found.by_field]

    monkeypatch.setattr(Session, "tell", tell)
    monkeypatch.setattr(IsolatedHost, "_alone", lambda self, variant, program: [])


@pytest.fixture
def three_processes(short: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IsolatedHost, "_alone", ALONE)


def run(name: str, levels: Sequence[str], **options: Any) -> dict[str, Any]:
    """Verify one cheat. The judge must not have loaded it."""
    suite = get_suite(f"cheat_suites:{name}")
    settings = {"episodes": 2, "seed": 1, "bank": HERE / "no bank", **options}
    result = verify(suite, Options(isolated=True, levels=levels, **settings))
    assert suite.package not in sys.modules
    return result


def findings(result: dict[str, Any]) -> dict[tuple[str, str], str]:
    """(level, check or policy) -> what is wrong, of every row with mismatches."""
    rows = [row for row in result["levels"] if row["mismatches"]]
    assert result["holds"] == (not rows)
    return {(row["level"], row["policy"]): "; ".join(row["what"]) for row in rows}


def test_without_a_cheat_everything_holds(folder: Path, three_processes: None) -> None:
    result = run("honest", ["L0", "L3"])
    assert findings(result) == {}
    assert result["holds"] and result["claim"]["class"] == "E3"
    assert {row["policy"] for row in result["levels"]} >= {"conduct", "refuses_bad_input", "random"}


E2, E3 = ("L3 E2", "random"), ("L3 E3", "random")
BROKE, CONDUCT = ("L0", "broke"), ("L0", "conduct")

WRONG_NUMBERS = {
    # name -> the rows that find it, and a field that differs in the first of them
    "zeros": ([E2, E3], "paddle_yl"),
    "echo": ([E2, E3], "ball_x"),
    "nans": ([E2, E3], "outcome.observation"),
    "batch_of_one": ([E2, E3], "ball_y"),
    "ignores_draws": ([E2, E3], "ball_vy"),
    "falls_back": ([E2, E3], "ball_x"),
    "leaks_at_reset": ([E2, E3], "score_l"),
    "first_steps": ([E3], "outcome.reward"),
}


@pytest.mark.parametrize("name", WRONG_NUMBERS)
def test_wrong_numbers_are_found_by_comparing(name: str, folder: Path) -> None:
    rows, field = WRONG_NUMBERS[name]
    found = findings(run(name, ["L3"]))
    assert list(found) == rows, found
    assert f"{field} differs" in found[rows[0]]


def test_asking_the_reference_through_a_callback_is_a_hazard(folder: Path) -> None:
    found = findings(run("callback", ["L0"]))
    assert list(found) == [("L0", "no_host_callback"), CONDUCT], found
    assert found["L0", "no_host_callback"] == "step calls the host through pure_callback"
    assert "reads " in found[CONDUCT] and "pong.h" in found[CONDUCT]


CARELESS = {
    "memo_on_the_host": ("no_host_callback", "step calls the host through pure_callback"),
    "half_precision": ("outcome_types", "reward is float16"),
    "mutates": ("leaves_inputs_alone", "step writes into what it is handed"),
    "swallows_errors": ("refuses_bad_input", "an action of another type is taken without a word"),
}


def test_each_carelessness_is_a_hazard_of_its_own(folder: Path) -> None:
    """One environment made of all of them: the checks do not get into each other's way."""
    found = findings(run("careless", ["L0"]))
    assert list(found) == [("L0", check) for check, _ in CARELESS.values()], found
    for check, words in CARELESS.values():
        assert words in found["L0", check]


def test_a_memorised_play_holds_for_its_seed_alone(folder: Path) -> None:
    suite = get_suite("cheat_suites:memorised")
    variant = suite.variants[0]
    policy, seed = suite.policies(variant)["random"], derive_seed(0, variant.name, "random")
    with suite.reference(variant, 1) as reference:
        recordings = [r for *_, r in record_policy(suite, reference, policy, seed, NUM_STEPS, 1)]
    names = ("ball_x", "ball_y", "ball_vx", "ball_vy", "paddle_yl", "paddle_yr")
    seen = [np.stack([r.snapshots[name][:, 0] for name in names], -1) for r in recordings]
    np.save(folder / "cheating" / "memorised" / "play.npy", np.concatenate(seen))

    assert findings(run("memorised", ["L3"], episodes=1, seed=0)) == {}
    result = run("memorised", ["L3"], episodes=1, seed=None)
    assert list(findings(result)) == [E2, E3]
    assert result["seed_drawn"] and result["seeds"] != [0]


BREAKS = {
    "traced": "PermissionError: an environment reads",
    "memo": "UnexpectedTracerError",
    "leaves_early": "its process failed (the other side is gone)",
    "garbage": "its process failed (a head of 4294967295 bytes is no message)",
    "forges": "its process failed (what came is no answer to what was asked)",
    "differs_each_time": "two processes that import it make two different programs of it",
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_does_not_hold(name: str, folder: Path) -> None:
    levels = ["L3"] if name in ("leaves_early", "garbage", "memo") else []
    found = findings(run(name, levels))
    # What still answers is asked how it came to that.
    assert list(found) == ([BROKE, CONDUCT] if name == "traced" else [BROKE]), found
    assert BREAKS[name] in found[BROKE]


def test_a_candidate_that_hangs_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Impatient(IsolatedHost):
        def __init__(self, suite: Suite, secret: Sequence[Path]) -> None:
            super().__init__(suite, secret, timeout_s=10)

    monkeypatch.setattr(runner, "IsolatedHost", Impatient)
    found = findings(run("hangs", ["L3"]))
    assert list(found) == [BROKE], found
    assert "its process failed (no answer in time)" in found[BROKE]


CONDUCT_TELLS = {
    "compiles_at_import": ["compiles 2 programs when it is imported"],
    "patches": [
        "replaces numpy.array_equal",
        "replaces numpy.testing.assert_array_equal",
        "replaces time.perf_counter",
        "replaces simlift.verify.suite.Compare.differs",
        "replaces simlift.verify.hazards.CHECKS['same_avals']",
        "replaces the code of a function",
    ],
    "reads": ["/suites/pong.py", "tape.json", "/maps", "answers.npy"],
    "acts": [
        "writes ",
        "changes files: os.mkdir",
        "starts a process: subprocess.Popen",
        "signals a process: os.kill",
        "uses the network: socket.",
        "starts a thread",
        "looks through the interpreter's objects: gc.get_objects",
        "makes code out of text: compile",
    ],
    "parent__env": ["replaces simlift.verify.suite.Compare.differs"],
}


@pytest.mark.parametrize("name", CONDUCT_TELLS)
def test_conduct_tells_what_else_was_done(name: str, folder: Path) -> None:
    found = findings(run(name, []))
    assert list(found) == [CONDUCT], found
    for words in CONDUCT_TELLS[name]:
        assert words in found[CONDUCT]
    assert not (folder / "cheating" / "note.txt").exists()
    assert Compare.differs.__module__ == "simlift.verify.suite"  # the judge's own


def test_good_behaviour_for_the_verifier_alone_is_noticed(
    folder: Path, three_processes: None
) -> None:
    found = findings(run("detects_tests", []))
    assert found == {CONDUCT: "where it is not verified the environment makes another program"}


def test_a_source_that_is_edited_meanwhile_is_noticed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit(self: IsolatedHost) -> Row:
        with (folder / "cheating" / "edited.py").open("a") as source:
            source.write("\nFASTER = True\n")
        return conduct(self)

    conduct = IsolatedHost.conduct
    monkeypatch.setattr(IsolatedHost, "conduct", edit)
    assert list(findings(run("edited", []))) == [("L0", "sources")]


def test_every_cheat_is_tried() -> None:
    tried = {*WRONG_NUMBERS, *CARELESS, *BREAKS, *CONDUCT_TELLS}
    tried |= {"callback", "memorised", "detects_tests", "hangs", "edited"}
    files = {path.stem for path in (HERE / "cheating").rglob("*.py")} - {"__init__", "env"}
    assert files | {"parent__env", "memorised"} == tried | {"honest"}
    assert len(tried) >= 25

"""The verifier cannot be fooled: each cheat is caught, and by the check that is named here.

A cheat is a module of cheating/, verified as a user would: in processes of its own, by the name of
its suite, and never loaded by the judge.
"""

import dataclasses
import importlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.references.pong import VectorPong
from simlift.verify import runner
from simlift.verify.isolation import IsolatedHost
from simlift.verify.record import record_policy
from simlift.verify.rollouts import NUM_STEPS
from simlift.verify.runner import Options, verify
from simlift.verify.session import Session
from simlift.verify.suite import Compare, derive_seed
from simlift.verify.suites import get_suite

HERE = Path(__file__).parent
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
def no_stories(monkeypatch: pytest.MonkeyPatch) -> None:
    """A divergence is noted by its fields; shrinking it is tested elsewhere and takes seconds."""

    def tell(self: Session, row: Any, variant: Any, recording: Any, found: Any, **_: Any) -> None:
        row.what += [f"{field} differs" for field in found.by_field]

    monkeypatch.setattr(Session, "tell", tell)


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


def test_without_a_cheat_everything_holds(folder: Path) -> None:
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
    assert list(found) == rows
    assert f"{field} differs" in found[rows[0]]

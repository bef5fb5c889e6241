"""The level "mutants" as a whole: what becomes of survivors, and the certificates that ship."""

from typing import Any

import pytest

from simlift.verify import certificate
from simlift.verify.strength import argued, concluded
from simlift.verify.suite import Equivalent, SuiteError
from simlift.verify.suites import get_suite


def row(number: int, status: str, operator: str = "constant") -> dict[str, Any]:
    return {
        "id": number,
        "module": "pond.dynamics",
        "line": 7,
        "function": "step",
        "change": f"{number} -> {number + 1}",
        "operator": operator,
        "status": status,
        "reason": "no level sees a difference" if status == "open" else "",
    }


FOUND = {
    "mutants": [row(1, "killed"), row(2, "open"), row(3, "open", "comparison"), row(4, "killed")],
    "survivors": [2, 3],
    "killed": 2,
    "score": 0.5,
}


def test_survivors_that_nobody_judged_are_open() -> None:
    told = concluded(FOUND, {})
    assert not told["holds"] and told["count"] == 4
    assert told["by_status"] == {"killed": 2, "open": 2}
    assert told["what"][0] == "pond.dynamics:7 2 -> 3: no level sees a difference"


def test_proved_and_killed_survivors_leave_nothing_open() -> None:
    told = concluded(FOUND, {2: ("proved", "z3"), 3: ("killed", "by the tape of its refutation")})
    assert told["holds"] and told["what"] == [] and told["survivors"] == []
    assert told["by_status"] == {"killed": 3, "proved": 1}
    assert told["by_operator"] == {
        "comparison": {"killed": 1},
        "constant": {"killed": 2, "proved": 1},
    }


def test_one_that_stays_open_is_told_with_its_reason() -> None:
    told = concluded(FOUND, {2: ("enumerated", "all inputs tried"), 3: ("open", "out of time")})
    assert not told["holds"]
    assert told["what"] == ["pond.dynamics:7 3 -> 4: out of time"]


def test_an_argument_stands_for_the_survivors_it_names() -> None:
    verdicts, stale = argued([Equivalent("dynamics", "step", "2 -> 3", "the same")], FOUND)
    assert verdicts == {2: ("argued", "the same")} and not stale
    told = concluded({**FOUND, "stale": stale}, {**verdicts, 3: ("proved", "z3")})
    assert told["holds"] and told["by_status"] == {"killed": 2, "argued": 1, "proved": 1}


@pytest.mark.parametrize(
    ("argument", "survive"),
    [
        (Equivalent("dynamics", "step", "1 -> 2", "killed meanwhile"), 0),
        (Equivalent("dynamics", "other", "2 -> 3", "moved"), 0),
        (Equivalent("dynamics", "step", "2 -> 3", "two of them", count=2), 1),
    ],
)
def test_a_stale_argument_excuses_nothing(argument: Equivalent, survive: int) -> None:
    verdicts, stale = argued([argument], FOUND)
    assert not verdicts and f"{survive} survive" in stale[0]
    told = concluded({**FOUND, "stale": stale}, {2: ("proved", ""), 3: ("proved", "")})
    assert not told["holds"] and told["what"] == stale


def test_an_argument_has_a_reason() -> None:
    with pytest.raises(SuiteError, match="reason"):
        Equivalent("dynamics", "step", "2 -> 3", "")


CERTIFIED = sorted(path.stem for path in certificate.FOLDER.glob("*.json"))


@pytest.mark.parametrize("name", CERTIFIED)
def test_a_certificate_that_ships_is_of_the_sources_as_they_are(name: str) -> None:
    """`make certificates` makes them anew."""
    made = certificate.read(certificate.FOLDER / f"{name}.json")
    predicate = made["predicate"]
    assert predicate["holds"] and predicate["isolated"] and predicate["seed_drawn"]
    suite = get_suite(name)
    assert predicate["claim"]["class"] == ("E4" if suite.seed_sites else "E3")
    if suite.targets:
        evidence = predicate["evidence"]
        assert evidence["mutants"]["holds"] and evidence["mutants"]["count"] >= 150
        assert evidence["coverage"]["holds"] and evidence["L4"]["holds"]
    changed = {entry["what"] for entry in certificate.stale(made, suite)}
    assert "the environment's sources" not in changed

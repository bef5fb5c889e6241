"""Certificates: what they say, and that checking one notices what no longer holds."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from simlift.verify import certificate
from simlift.verify.runner import Options, verify
from simlift.verify.suite import Suite
from simlift.verify.suites import get_suite

pytestmark = pytest.mark.reference


@pytest.fixture(scope="module")
def suite() -> Suite:
    """Pong with discrete actions and two policies."""
    whole = get_suite("pong")
    return dataclasses.replace(
        whole,
        variants=whole.variants[:1],
        policies=lambda variant: {k: whole.policies(variant)[k] for k in ("random", "held")},
        scenarios=(),
        transfer=None,
    )


@pytest.fixture(scope="module")
def made(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    bank = tmp_path_factory.mktemp("bank")
    result = verify(suite, Options(episodes=2, seed=None, levels=["L3"], bank=bank))
    path = certificate.write(certificate.statement(result, suite), bank / "certificate.json")
    return certificate.read(path)


def checked(made: dict[str, Any], suite: Suite) -> dict[str, Any]:
    return certificate.check(made, suite, share=1.0, isolated=False)


def test_a_certificate_names_what_it_is_about(made: dict[str, Any]) -> None:
    assert made["_type"] == "https://in-toto.io/Statement/v1"
    sources, program = made["subject"]
    assert sources["name"] == "simlift.envs.pong" and len(sources["digest"]["sha256"]) == 64
    assert len(program["digest"]["sha256"]) == 64
    predicate = made["predicate"]
    assert predicate["holds"] and predicate["claim"]["class"] == "E3" and predicate["seed_drawn"]
    rows = {(row["level"], row["policy"]) for row in predicate["levels"]}
    assert rows == {(level, p) for level in ("L3 E2", "L3 E3") for p in ("random", "held")}
    assert all(len(row["sha256"]) == 64 for row in predicate["levels"])


def test_an_unchanged_certificate_stands(made: dict[str, Any], suite: Suite) -> None:
    result = checked(made, suite)
    assert result["holds"], result
    assert result["stale"] == [] and result["wrong"] == []
    assert result["compared"] == made["predicate"]["compared"]
    assert sorted(result["sampled"]) == [["discrete", "held"], ["discrete", "random"]]


@pytest.mark.parametrize(
    ("key", "value"), [("count", 1), ("sha256", "0" * 64), ("mismatches", 3), ("episodes", 10**6)]
)
def test_a_figure_that_was_edited_does_not_repeat_itself(
    made: dict[str, Any], suite: Suite, key: str, value: Any
) -> None:
    edited = copy.deepcopy(made)
    edited["predicate"]["levels"][0][key] = value
    result = checked(edited, suite)
    assert not result["holds"] and result["stale"] == []
    assert len(result["wrong"]) == 1 and f"{key} was {value}" in result["wrong"][0]


def test_what_changed_since_is_named(made: dict[str, Any], suite: Suite) -> None:
    edited = copy.deepcopy(made)
    for subject in edited["subject"]:
        subject["digest"]["sha256"] = "0" * 64
    edited["predicate"]["verifier"]["digest"]["sha256"] = "1" * 64
    edited["predicate"]["reference"]["version"] = "2.0"
    edited["predicate"]["made"]["with"]["numpy"] = "1.0"
    result = checked(edited, suite)
    assert not result["holds"] and result["wrong"] == []
    assert [row["what"] for row in result["stale"]] == [
        "the environment's sources",
        "the verifier's sources",
        "the reference",
        "numpy",
    ]
    edited["predicate"]["made"]["with"] = made["predicate"]["made"]["with"]
    assert "the lowered program" in [row["what"] for row in checked(edited, suite)["stale"]]


def test_a_certificate_of_something_that_did_not_hold_does_not_stand(
    made: dict[str, Any], suite: Suite
) -> None:
    edited = copy.deepcopy(made)
    edited["predicate"]["holds"] = False
    assert not checked(edited, suite)["holds"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"_type": "x", "predicateType": "y"}'])
def test_what_is_no_certificate_is_refused_with_the_remedy(text: str, tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(text)
    with pytest.raises(certificate.CertificateError, match=r"is no certificate .*simlift verify"):
        certificate.read(path)
    with pytest.raises(certificate.CertificateError, match=r"there is no certificate at"):
        certificate.read(tmp_path / "other.json")


def test_another_kind_of_statement_is_told(made: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "certificate.json"
    path.write_text(json.dumps({**made, "predicateType": "urn:other"}))
    with pytest.raises(certificate.CertificateError, match=r"is a urn:other, this simlift reads"):
        certificate.read(path)


def test_nothing_compared_cannot_be_checked(made: dict[str, Any], suite: Suite) -> None:
    edited = copy.deepcopy(made)
    edited["predicate"]["levels"] = []
    with pytest.raises(certificate.CertificateError, match=r"compares no rollouts"):
        checked(edited, suite)
    with pytest.raises(ValueError, match=r"share=0 must lie in"):
        certificate.check(made, suite, share=0)

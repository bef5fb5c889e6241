"""Candidates that are programs: a gambler in Python with and without faults, and one in Rust."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlift.references.core import Outcome, Snapshot
from simlift.references.process import ProcessReference
from simlift.references.vector import SerialVector
from simlift.verify import certificate, program_host, report, rollouts
from simlift.verify.program_host import ProgramHost
from simlift.verify.runner import Options, Run, replay, verify
from simlift.verify.suite import Field, Scenario, Suite, SuiteError, Variant, ignored
from simlift.verify.suites import pong

GAMBLER = Path(__file__).parent / "gambler"
PROTOCOL = Path(report.__file__).parents[1] / "references" / "protocol.rs"
NAME = "gambler_under_test:SUITE"
DEFAULT = Variant("default")
PYTHON = (sys.executable, "-S", "-E")

has_cargo = pytest.mark.skipif(shutil.which("cargo") is None, reason="needs Rust's cargo")


def bold(generator: np.random.Generator, outcome: Outcome, snapshot: Snapshot) -> np.ndarray:
    assert outcome.legal is not None
    weights = outcome.legal * generator.random(outcome.legal.shape)
    return weights.argmax(1)


def careful(generator: np.random.Generator, outcome: Outcome, snapshot: Snapshot) -> np.ndarray:
    assert outcome.legal is not None
    return np.where(generator.random(len(outcome.legal)) < 0.7, 0, outcome.legal[:, 1]).astype(int)


def reference(variant: Variant, num_envs: int) -> SerialVector:
    return SerialVector(lambda: ProcessReference([*PYTHON, GAMBLER / "gambler.py"]), num_envs)


def suite(command: Sequence[str | Path], package: Path, **changes: Any) -> Suite:
    given: dict[str, Any] = {
        "name": NAME,
        "package": str(package),
        "variants": [DEFAULT],
        "program": lambda variant: [str(word) for word in command],
        "reference": reference,
        "fields": {
            "purse": Field(module="toss"),
            "round": Field(module="clock"),
            "luck": Field(module="toss"),
            "fingerprint": Field(module="draw"),
            "generator": Field(compare=ignored("draws are forced")),
            "episode_seed": Field(compare=ignored("of whoever starts the episodes")),
        },
        "score": lambda snapshot, returns: returns,
        "policies": lambda variant: {"bold": bold, "careful": careful},
        "scenarios": [
            Scenario(
                name="all on the last round",
                variant=DEFAULT,
                place={"purse": 3, "round": 29},
                actions=[3, 0],
                happened=lambda steps: bool(steps[0][1].truncated),
            )
        ],
        "reference_name": "gambler",
        "reference_version": "1.0.0",
    }
    return Suite(**{**given, **changes})


def planted(folder: Path, *edits: tuple[str, str]) -> Suite:
    """The suite of a copy of the gambler to which the edits were made."""
    source = (GAMBLER / "gambler.py").read_text()
    for text, becomes in edits:
        assert source.count(text) == 1, f"it holds {text!r} {source.count(text)} times, not 1"
        source = source.replace(text, becomes)
    copy = folder / "candidate"
    copy.mkdir()
    (copy / "gambler.py").write_text(source)
    return suite([*PYTHON, copy / "gambler.py"], copy)


def verified(candidate: Suite, folder: Path, **options: Any) -> dict[str, Any]:
    return verify(candidate, Options(episodes=8, bank=folder / "bank", **options))


def lines(result: dict[str, Any]) -> str:
    return "\n".join(what for row in result["levels"] for what in row["what"])


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings as short as the games."""
    monkeypatch.setattr(rollouts, "NUM_STEPS", 32)


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Gives a suite the name by which `replay` finds it."""

    def give(candidate: Suite) -> None:
        module = types.ModuleType(NAME.partition(":")[0])
        module.SUITE = candidate  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)

    return give


# -- what holds


def test_a_program_that_is_the_same_holds(tmp_path: Path) -> None:
    candidate = planted(tmp_path)
    run = Run(candidate, Options(episodes=8, bank=tmp_path, isolated=True))
    result = run.result()
    assert result["holds"], lines(result)
    assert json.loads(json.dumps(result)) == result
    assert result["claim"]["class"] == "E3" and result["compared"] > 100
    assert result["isolated"] is True
    assert [row["policy"] for row in result["levels"]] == [
        *("hello", "deterministic", "snapshots", "independent", "refuses"),
        *("all on the last round", "bold", "bold", "careful", "careful"),
    ]
    assert all(row["count"] for row in result["levels"])
    page = report.write_report(candidate, result, tmp_path / "report.html").read_text()
    assert "Claim E3" in page and str(candidate.package) not in page


def test_the_certificate_names_the_sources_and_the_program_and_can_be_checked(
    tmp_path: Path,
) -> None:
    candidate = planted(tmp_path)
    levels = ("L3",)
    stated = certificate.statement(verified(candidate, tmp_path, levels=levels), candidate)
    assert [subject["name"] for subject in stated["subject"]] == [
        "candidate",
        "candidate: program",
    ]
    assert certificate.check(stated, candidate, share=0.01)["holds"]
    other = Path(candidate.package) / "gambler.py"
    other.write_text(other.read_text() + "\n")
    again = certificate.check(stated, candidate, share=0.01)
    assert {row["what"] for row in again["stale"]} == {
        "the environment's sources",
        "the lowered program",
    }


def test_evidence_that_needs_an_environment_is_left_out(tmp_path: Path) -> None:
    result = verified(planted(tmp_path), tmp_path, levels=("L2", "targeted", "E1", "L4", "mutants"))
    assert result["holds"] and result["evidence"] == {}
    assert {row["level"] for row in result["levels"]} == {"L2"}


def test_a_program_that_starts_its_episodes_itself_holds(tmp_path: Path) -> None:
    itself = (
        "        return {**shown",
        "        if verb == 'step':\n"
        "            shown |= {'final_observation': shown['observation']}\n"
        "        if verb == 'step' and (shown['terminated'] or shown['truncated']):\n"
        "            fresh = self.reset(0)\n"
        "            shown |= {name: fresh[name] for name in ('observation', 'legal')}\n"
        "        return {**shown",
    )
    says = ('    "forcing": True,', '    "forcing": True, "auto_reset": True,')
    result = verified(planted(tmp_path, itself, says), tmp_path)
    assert result["holds"], lines(result)
    silent = (itself[0], itself[1].replace("'step':", "'none':"))
    with pytest.raises(SuiteError, match=r"'outcome.final_observation'\]; see references"):
        verified(planted(_folder(tmp_path / "silent"), silent, says), tmp_path)


# -- what differs


def test_a_wrong_rule_is_told_as_a_story_whose_tape_replays(tmp_path: Path, named: Any) -> None:
    wrong = planted(
        tmp_path, ('+= self.draw("payout", action) + 1', '+= self.draw("payout", action) or 1')
    )
    named(wrong)
    result = verified(wrong, tmp_path, levels=("L3",))
    assert not result["holds"] and result["claim"]["class"] is None
    story = result["divergences"][0]
    assert (story["level"], story["field"], story["module"]) == ("L3 E2", "purse", "toss")
    assert len(story["actions"]) == 1 and {d["site"] for d in story["draws"]} == {"toss", "payout"}
    again = replay(Path(story["tape"]))
    assert again["mismatches"] == 1 and again["steps"][0]["fields"]["purse"]["differs"]
    page = report.write_report(wrong, result, tmp_path / "report.html").read_text()
    assert f"Both sides step by step: <code>{story['command']}</code>" in page
    assert not verified(wrong, tmp_path, levels=("L2",))["holds"], "its tape is in the bank"


@pytest.mark.parametrize(
    ("edit", "site", "ours"),
    [
        pytest.param(
            (
                "        self.round += 1\n",
                "        self.round += 1\n        self.draw('toss', 100)\n",
            ),
            "toss",
            2,
            id="too many",
        ),
        pytest.param(('self.draw("payout", action) + 1', "1"), "payout", 0, id="too few"),
        pytest.param(
            ('self.draw("payout", action)', 'self.draw("payout", 3)'), "payout", 2, id="bound"
        ),
        pytest.param(
            ('self.draw("toss", 100) <', 'self.draw("payout", 3) <'), "payout", 2, id="site"
        ),
    ],
)
def test_draws_that_are_not_the_references_are_found(
    tmp_path: Path, edit: tuple[str, str], site: str, ours: int, named: Any
) -> None:
    wrong = planted(tmp_path, edit)
    named(wrong)
    result = verified(wrong, tmp_path, levels=("L3",))
    story = result["divergences"][0]
    theirs, said = story["differences"][f"draws.{site}"]
    assert int(said) != int(theirs)
    assert replay(Path(story["tape"]))["mismatches"]


def test_what_is_shown_last_is_compared(tmp_path: Path, named: Any) -> None:
    ends = "self.round >= CLOSING or self.purse in (0, GOAL)"
    wrong = planted(tmp_path, ("self.round / CLOSING,", f"0 if {ends} else self.round / CLOSING,"))
    named(wrong)
    story = verified(wrong, tmp_path, levels=("L3",))["divergences"][0]
    assert set(story["differences"]) == {"outcome.final_observation"}
    assert replay(Path(story["tape"]))["mismatches"]


def test_the_last_state_is_compared_where_the_suite_says_so(tmp_path: Path, named: Any) -> None:
    """What nobody is shown of it, too."""
    ends = "self.round >= CLOSING or self.purse in (0, GOAL)"
    wrong = dataclasses.replace(
        planted(
            tmp_path,
            (
                "        return self.outcome(self.purse - before)",
                f"        if {ends}:\n            self.fingerprint ^= 1\n"
                "        return self.outcome(self.purse - before)",
            ),
        ),
        final=True,
    )
    named(wrong)
    right = dataclasses.replace(planted(_folder(tmp_path / "right")), final=True)
    assert verified(right, tmp_path)["holds"]
    assert verified(dataclasses.replace(wrong, final=False), tmp_path)["holds"]
    story = verified(wrong, tmp_path, levels=("L3",))["divergences"][0]
    assert set(story["differences"]) == {"final.fingerprint"} and story["module"] == "draw"
    assert replay(Path(story["tape"]))["mismatches"]


def test_an_extra_draw_of_a_reset_is_found(tmp_path: Path) -> None:
    twice = (
        'self.purse = 3 + self.draw("purse", 5)',
        'self.purse = 3 + self.draw("purse", 5) * 0 + self.draw("purse", 5)',
    )
    result = verified(planted(tmp_path, twice), tmp_path, levels=("L3",))
    assert not result["holds"]
    assert "a reset with the reference's draws: gambler: site 'purse': the tape ends" in lines(
        result
    )


def test_a_refused_action_that_the_reference_takes_is_a_difference(tmp_path: Path) -> None:
    wrong = planted(tmp_path, ("self.purse + stake <= GOAL", "self.purse + stake < GOAL"))
    story = verified(wrong, tmp_path, levels=("L3",))["divergences"][0]
    assert story["differences"]["outcome.legal"]
    hidden = planted(
        _folder(tmp_path / "hidden"),
        ("self.legal()[action]", "self.legal()[action] and self.purse + action < GOAL"),
    )
    differences = verified(hidden, tmp_path, levels=("L3",))["divergences"][0]["differences"]
    assert differences["outcome.reward"][1] == "nan"
    assert differences["outcome.legal"][1] == "[False False False False]"


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


# -- L0


@pytest.mark.parametrize(
    ("check", "edit", "words"),
    [
        (
            "deterministic",
            ("self.generator = seed % 2**32", "self.generator = id(object()) % 2**32"),
            "seed 0 .* goes otherwise from step 0 on",
        ),
        (
            "snapshots",
            (
                "        self.luck += ",
                "        self.hot = vars(self).get('hot', 0) + won\n"
                "        self.luck += self.hot * 1e-9 + ",
            ),
            "luck depends on what came before the snapshot",
        ),
        (
            "refuses",
            (
                "if not (0 <= action < 4 and self.legal()[action])",
                "action = min(max(action, 0), 3)\n        if not self.legal()[action]",
            ),
            "takes action -1, where there are 0 .. 3",
        ),
        (
            "refuses",
            ("if not (0 <= action < 4 and self.legal()[action])", "if not self.legal()[action]"),
            "on action 4: .* exited with status 1",
        ),
    ],
)
def test_l0_finds_what_is_no_function_of_its_inputs(
    tmp_path: Path, check: str, edit: tuple[str, str], words: str
) -> None:
    result = verified(planted(tmp_path, edit), tmp_path, levels=("L0",))
    (row,) = (row for row in result["levels"] if row["policy"] == check)
    assert row["mismatches"]
    assert any(re.search(words, what) for what in row["what"]), row["what"]


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (('    "luck": "float64",\n', ""), "its snapshot has no field 'luck', which the suite"),
        (('"purse": 5, ', '"purse": 6, '), "draws at 'purse' below 5, the program below 6"),
        (('    "forcing": True,', ""), "it obeys no tape of draws"),
        (
            ('    "round": "int32",\n', '    "round": "int32",\n    "debt": "int32",\n'),
            "its snapshot has the field 'debt', which the reference's has not",
        ),
    ],
)
def test_a_hello_that_does_not_fit_stops_it_all(
    tmp_path: Path, edit: tuple[str, str], words: str
) -> None:
    result = verified(planted(tmp_path, edit), tmp_path)
    (row,) = result["levels"]
    assert (row["level"], row["policy"]) == ("L0", "hello") and words in lines(result)


# -- what breaks

AT_ROUND_5 = "        if self.round == 5:\n            {}\n        self.round += 1\n"


@pytest.mark.parametrize(
    ("does", "words"),
    [
        (
            "sys.exit('no luck today')",
            "on 'step' exited with status 1; .* its stderr: no luck today",
        ),
        ("import time; time.sleep(60)", "on 'step' gave no answer within 1 s"),
        ("print('round five')", "on 'step' printed a line that is not a JSON object: 'round five'"),
        ("self.luck = 'good'", "TypeError|answered what the protocol does not allow"),
    ],
)
def test_a_program_that_breaks_is_told_in_one_line(
    tmp_path: Path, does: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_host.ProgramHost.__init__, "__defaults__", (1.0,))
    broken = planted(tmp_path, ("        self.round += 1\n", AT_ROUND_5.format(does)))
    result = verified(broken, tmp_path, levels=("L3",))
    assert not result["holds"]
    (row,) = (row for row in result["levels"] if row["policy"] == "broke")
    assert re.search(words, row["what"][0]), row["what"]
    assert len(row["what"]) == 1 and "\n" not in row["what"][0]


def test_a_program_that_is_not_there_is_no_result(tmp_path: Path) -> None:
    missing = suite([tmp_path / "gambler"], tmp_path)
    with pytest.raises(SuiteError, match=r"cannot be started .*; build the program, or correct"):
        verified(missing, tmp_path)


# -- suites


def test_a_suite_has_an_environment_or_a_program(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="give `program`, or `environment`, `state`, `draws`"):
        suite([], tmp_path, program=None)
    with pytest.raises(SuiteError, match="has nothing of an environment: leave out state, targets"):
        suite([], tmp_path, state=lambda before, params: before, targets=["gambler"])
    assert pong.suite().program is None
    with pytest.raises(SuiteError, match="a program has no environment"):
        suite([], tmp_path).environment(DEFAULT)


# -- Rust


@has_cargo
def test_a_crate_without_dependencies_holds(tmp_path: Path) -> None:
    crate = tmp_path / "gambler"
    shutil.copytree(GAMBLER / "rust", crate)
    shutil.copy(PROTOCOL, crate / "src")
    for command in ("build", "test"):
        subprocess.run(
            ["cargo", command, "--release", "--offline", "--quiet"],
            cwd=crate,
            env={**os.environ, "CARGO_TARGET_DIR": str(tmp_path / "target")},
            check=True,
        )
    candidate = suite([tmp_path / "target" / "release" / "gambler"], crate)
    result = verify(candidate, Options(episodes=40, bank=tmp_path / "bank"))
    assert result["holds"], lines(result)
    assert result["claim"]["class"] == "E3"
    with ProgramHost(candidate) as host:
        assert len(host.program(DEFAULT)) == 64

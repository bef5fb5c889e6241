"""What a verification showed, in a form that somebody else can check.

An in-toto Statement: its subjects are the candidate's sources and its lowered program, its
predicate is what was compared, how often, with which seeds and what all the evidence was. `check`
says what has changed since, and plays a random sample of the rollouts again.
"""

import datetime
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..envs.files import write_atomically
from ..train import machine
from .evidence import Progress
from .isolation import sources
from .runner import Run
from .session import TARGETED, Options, silent
from .suite import Suite

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:simlift:equivalence:v1"
FOLDER = Path(__file__).parent / "certificates"
REPEATED = ("count", "mismatches", "episodes", "sha256")
"""What a rollout that is played again must repeat."""


ELSEWHERE = ("sources", "divergences", "report")


class CertificateError(ValueError):
    """A file that is no certificate; the message says why and what to do."""


def statement(result: Mapping[str, Any], suite: Suite) -> dict[str, Any]:
    """The certificate of `result`, as `runner.verify` returns it."""
    hashes = result["sources"]
    name, made = suite.package, "step, lowered"
    if suite.program is not None:
        name, made = Path(suite.package).name, "program"
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": hashes["candidate"]}},
            {"name": f"{name}: {made}", "digest": {"sha256": hashes["program"]}},
        ],
        "predicateType": PREDICATE,
        "predicate": {
            **{key: value for key, value in result.items() if key not in ELSEWHERE},
            "verifier": {"name": "simlift.verify", "digest": {"sha256": hashes["verifier"]}},
            "made": {
                "on": machine.describe(),
                "with": machine.versions(),
                "commit": machine.commit(),
                "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            },
        },
    }


def write(certificate: Mapping[str, Any], path: Path) -> Path:
    """Whole or not at all."""
    write_atomically(path, json.dumps(certificate, indent=1) + "\n")
    return path


def read(path: Path) -> dict[str, Any]:
    """Raises CertificateError, with the remedy, for what is missing or no certificate."""
    try:
        data = json.loads(path.read_text())
        kind = data["_type"], data["predicateType"]
        for key in ("env", "levels", "seeds", "options", "reference", "made", "verifier"):
            data["predicate"][key]
    except FileNotFoundError as error:
        raise CertificateError(
            f"there is no certificate at {path}; `simlift verify ENV` writes one"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CertificateError(
            f"{path} is no certificate ({type(error).__name__}: {error}); "
            "`simlift verify ENV` writes one"
        ) from error
    if kind != (STATEMENT, PREDICATE):
        raise CertificateError(f"{path} is a {kind[1]}, this simlift reads {PREDICATE}")
    return data


def stale(certificate: Mapping[str, Any], suite: Suite) -> list[dict[str, str]]:
    """What is no longer as it was: rows of {"what", "then", "now"}. The program is looked at by
    `check`, which has one to compare."""
    predicate, now = certificate["predicate"], sources(suite)
    reference = predicate["reference"]
    made, versions = predicate["made"]["with"], machine.versions()
    pairs = {
        "the environment's sources": (_digest(certificate["subject"][0]), now["candidate"]),
        "the verifier's sources": (_digest(predicate["verifier"]), now["verifier"]),
        "the reference": (
            f"{reference['name']} {reference['version']}",
            f"{suite.reference_name} {suite.reference_version}",
        ),
        **{name: (made[name], versions.get(name, "none")) for name in made},
    }
    return [
        {"what": what, "then": then, "now": later}
        for what, (then, later) in pairs.items()
        if then != later
    ]


def check(
    certificate: Mapping[str, Any],
    suite: Suite,
    *,
    share: float = 0.2,
    isolated: bool = True,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Whether a certificate still stands: nothing of the candidate, the reference or the verifier
    has changed, and a random `share` of its rollouts, at least one, repeats itself bit by bit.

    Returns {"holds", "env", "stale", "sampled", "wrong"}. Raises ReferenceUnavailable.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} must lie in (0, 1]")
    predicate = certificate["predicate"]
    rows = [row for row in predicate["levels"] if row["level"] in ("L3 E2", "L3 E3")]
    cells = sorted({(row["variant"], row["policy"]) for row in rows})
    if not cells:
        raise CertificateError("this certificate compares no rollouts (L3), so it shows nothing")
    generator = np.random.default_rng(secrets.randbits(64))
    count = max(1, round(share * len(cells)))
    sample = [cells[i] for i in sorted(generator.choice(len(cells), count, replace=False))]
    options = Options(
        episodes=predicate["options"]["episodes"],
        seed=predicate["seeds"][0],
        levels=("L2", "L3", TARGETED),
        cells=sample,
        isolated=isolated,
    )
    run = Run(suite, options, progress)
    again = run.result()
    changed = stale(certificate, suite)
    then = _digest(certificate["subject"][1])
    if then != run.program and not any(row["what"] in machine.LIBRARIES for row in changed):
        changed.append({"what": "the lowered program", "then": then, "now": run.program})
    played = {_cell(row): row for row in again["levels"]}
    wrong = [
        f"{row['level']} {row['variant']} {row['policy']}: {key} was {row[key]}, is {now}"
        for row in rows
        if (row["variant"], row["policy"]) in sample
        for key in REPEATED
        if (now := played.get(_cell(row), {}).get(key)) != row[key]
    ]
    wrong += [f"{row['level']}: {line}" for row in again["levels"] for line in row["what"]]
    return {
        "holds": not changed and not wrong and predicate["holds"],
        "env": predicate["env"],
        "stale": changed,
        "sampled": [list(cell) for cell in sample],
        "compared": again["compared"],
        "wrong": wrong,
    }


def _digest(subject: Mapping[str, Any]) -> str:
    return str(subject["digest"]["sha256"])


def _cell(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["level"], row["variant"], row["policy"]

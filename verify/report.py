"""The report of a verification: one HTML file that needs no network.

It shows the verdict and what it claims, every level, every field, each divergence as a story, and,
step by step and side by side, both sides of the divergences and of sample episodes.
"""

import base64
import datetime
import functools
import hashlib
import io
import json
import os
import subprocess
import sys
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jinja2
import numpy as np
from PIL import Image

from ..envs.files import write_atomically
from ..train import machine
from .candidate import LocalCandidate, Program
from .compare import Comparison, inputs_of
from .evidence_tables import HEIGHT, WIDTH, sections
from .record import Recording, record_policy, record_tape
from .suite import Suite, Variant, derive_seed
from .suites import get_suite
from .tape import TapeFileError, load

TEMPLATES = Path(__file__).parent / "templates"
SAMPLE_POLICIES = ("follow", "edge", "scripted", "trained")
"""Whose episodes are worth watching, where a suite has them; its last policy otherwise."""

PICTURE_SIZE = 320  # pixels of the longer side; larger pictures are shrunk
PICTURE_COLORS = 64
MAX_ENTRIES = 64  # of an array that is shown whole
MAX_DIFFERING = 8  # entries shown of a larger array


class ReportFailed(RuntimeError):
    """There is a result, but no report of it; the message says why."""


LEVELS = {
    "bank": ("Regressions", "every difference ever found, played again", "steps"),
    "L0": ("Hazards", "what goes wrong in JAX programs whatever they compute", "cases"),
    "L1": ("Properties", "claims about single modules, tried on generated inputs", "examples"),
    "L2": ("Interactions", "scenarios across modules, played on both sides", "steps"),
    "L3 E2": (
        "Single steps",
        "every step starts from the reference's own state, so each faulty step shows by itself",
        "transitions",
    ),
    "L3 E3": (
        "Whole episodes",
        "running free from the reset on, episode after episode, fed the same random draws",
        "transitions",
    ),
    "L3 distributions": (
        "Late in episodes",
        "returns and observations as distributions, where two courses of a chaotic system part",
        "episodes",
    ),
    "E1": ("Samplers", "our random draws against the reference's, by distribution", "draws"),
    "floats": ("Rounding", "errors in units in the last place, and how they grow", "transitions"),
    "coverage": ("Reach", "what of the reference the compared steps went through", "transitions"),
    "L4": ("Transfer", "policies trained on each side, played on both", "episodes"),
    "mutants": ("Strength", "faults planted in the translation, and who finds them", "mutants"),
}


def write_report_apart(name: str, result: Mapping[str, Any], path: Path) -> Path:
    """`write_report` in a process of its own, of the suite that `get_suite` knows by that name.

    For its pictures a report loads the candidate, which must not be where a result is still to be
    written or shown. Raises ReportFailed.
    """
    program = "import sys; from simlift.verify.report import main; main(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", program, name, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        input=json.dumps(result),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        words = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:500]
        raise ReportFailed(f"the report could not be made: {words}; result.json has everything")
    return path


def main(name: str, path: str) -> None:
    """Write the report of the result on standard input."""
    write_report(get_suite(name), json.load(sys.stdin), path)


def write_report(
    suite: Suite,
    result: Mapping[str, Any],
    path: str | Path,
    *,
    num_samples: int = 2,
    sample_steps: int = 240,
) -> Path:
    """Write the report of `result`, as `runner.verify` returns it, to `path`, which is returned.

    num_samples: how many of the suite's variants are shown side by side, `sample_steps` steps each,
    recorded anew. Written whole or not at all. Raises ReferenceUnavailable.
    """
    if num_samples < 0 or sample_steps < 1:
        raise ValueError(
            f"num_samples={num_samples} must be at least 0, sample_steps={sample_steps} at least 1"
        )
    path = Path(path)
    viewers = _Viewers(suite)
    stories = [
        {**story, "viewer": viewers.divergence(story, f"divergence-{number}")}
        for number, story in enumerate(result["divergences"], start=1)
    ]
    seed = result["seeds"][0]
    shown_variants = suite.variants[:num_samples] if suite.program is None else ()
    samples = [
        viewers.sample(variant, seed, sample_steps, f"sample-{number}")
        for number, variant in enumerate(shown_variants, start=1)
    ]
    shown = [story["viewer"] for story in stories if story["viewer"]] + samples
    page = _template().render(
        result=result,
        levels=_levels(result["levels"]),
        evidence=sections(result["evidence"]),
        titles=LEVELS,
        size=(WIDTH, HEIGHT),
        fields=_fields(suite),
        stories=stories,
        samples=samples,
        of_program=suite.program is not None,
        versions={
            result["reference"]["name"]: result["reference"]["version"],
            **machine.versions(),
            "commit": machine.commit(),
            "processor": machine.describe()["device"],
        },
        written=datetime.datetime.now(datetime.UTC),
        data={
            "pictures": viewers.album.pictures,
            "viewers": {viewer["id"]: viewer for viewer in shown},
        },
    )
    write_atomically(path, page)
    return path


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["thousands"] = lambda number: f"{number:,}"
    return environment.get_template("report.html.j2")


# -- tables


def _levels(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the result, grouped by level, with sums."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        grouped.setdefault(row["level"], []).append(row)
    levels = []
    for level, members in grouped.items():
        title, what, unit = LEVELS[level]
        sums = {
            key: sum(row[key] for row in members)
            for key in ("count", "mismatches", "episodes", "seconds")
        }
        texts = {"level": level, "title": title, "what": what, "unit": unit}
        levels.append({**texts, "rows": members, **sums})
    return levels


def _fields(suite: Suite) -> list[dict[str, str]]:
    """The total table: every field of the reference, and what is compared besides."""
    return [
        {"name": name, "how": field.compare.words, "module": field.module}
        for name, field in suite.compared_fields().items()
    ]


# -- both sides, step by step


class _Viewers:
    """Records what the page shows step by step. A comparison is compiled once for each variant."""

    def __init__(self, suite: Suite) -> None:
        self.suite = suite
        self.album = Album()
        self._candidates: dict[str, LocalCandidate] = {}

    def sample(self, variant: Variant, seed: int, num_steps: int, identity: str) -> dict[str, Any]:
        """The first steps of an episode, our side running free from the reset."""
        policies = self.suite.policies(variant)
        names = [name for name in SAMPLE_POLICIES if name in policies] or list(policies)[-1:]
        name = names[self.suite.variants.index(variant) % len(names)]
        seed = derive_seed(seed, "report", variant.name)
        with self.suite.reference(variant, 1) as reference:
            candidate = self._candidate(variant, reference.draw_sites)
            _, first_draws, recording = next(
                record_policy(self.suite, reference, policies[name], seed, num_steps, 1)
            )
        states, _ = candidate.start(first_draws)
        return self._viewer(
            candidate, states, recording, identity, f"{variant.name}; policy {name}"
        )

    def divergence(self, story: Mapping[str, Any], identity: str) -> dict[str, Any] | None:
        """The shrunk tape of a story, on both sides; None where the tape is no longer there, and
        of a program, which has no pictures: `simlift replay` shows its steps."""
        if self.suite.program is not None:
            return None
        try:
            tape = load(Path(story["tape"]))
        except TapeFileError:
            return None
        with self.suite.reference(tape.variant, 1) as reference:
            candidate = self._candidate(tape.variant, reference.draw_sites)
            reference.restore({name: value[None] for name, value in tape.start.items()})
            recording = record_tape(reference, tape.actions[:, None])
        states, _ = candidate.restored(recording.at(0))
        title = f"the shrunk tape of {story['field']}"
        return self._viewer(candidate, states, recording, identity, title)

    def _candidate(self, variant: Variant, draw_sites: Sequence[str]) -> LocalCandidate:
        key = repr(variant)
        if key not in self._candidates:
            self._candidates[key] = LocalCandidate(self.suite, variant, draw_sites)
        return self._candidates[key]

    def _viewer(
        self,
        candidate: LocalCandidate,
        states: Any,
        recording: Recording,
        identity: str,
        title: str,
    ) -> dict[str, Any]:
        """What the page needs to show a recording with B = 1, our side going on from `states` [1].

        Pictures have an index for the start and one after each step, fields one after each step.
        """
        comparison = Comparison(self.suite, candidate, candidate.program.draw_sites)
        traced, values = candidate.traced(states, recording.at(0), inputs_of(recording))
        trace = comparison.side_by_side(recording, values)
        ours = jax.tree.map(
            lambda first, rest: np.concatenate([first, rest[:, 0]]), jax.device_get(states), traced
        )
        theirs = jax.device_get(
            candidate.restored({k: value[:, 0] for k, value in recording.snapshots.items()})[0]
        )
        fields: list[dict[str, Any]] = []
        constant: list[dict[str, Any]] = []
        for name, differs in trace.differs.items():
            start = recording.snapshots.get(name)
            field = _column(trace.reference[name][:, 0], trace.ours[name][:, 0], differs[:, 0])
            field |= {"name": name, "start": "" if start is None else _text(start[0, 0])}
            changes = len({field["start"] or field["reference"][0], *field["reference"]}) > 1
            (fields if changes or field["ours"] or field["differs"] else constant).append(field)
        return {
            "id": identity,
            "title": title,
            "steps": recording.num_steps,
            "alike": _same_bits(theirs, ours, 0),
            "actions": [_text(action) for action in recording.action[:, 0]],
            "draws": _draws(comparison, recording),
            "fields": fields,
            "constant": [{"name": f["name"], "value": f["reference"][0]} for f in constant],
            "different": np.flatnonzero(np.any(list(trace.differs.values()), (0, 2))).tolist(),
            "pictures": [
                self.album.add_all(candidate.program, side, recording.num_steps + 1)
                for side in (theirs, ours)
            ],
        }


def _same_bits(a: Any, b: Any, index: int) -> bool:
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x[index].tobytes() == y[index].tobytes() for x, y in pairs)


def _column(theirs: np.ndarray, ours: np.ndarray, differs: np.ndarray) -> dict[str, Any]:
    """One field: the reference's values [T, ...] as text, and ours where the text is another."""
    texts = [_texts(*pair) for pair in zip(theirs, ours, differs, strict=True)]
    return {
        "reference": [text for text, _ in texts],
        "ours": {step: our for step, (their, our) in enumerate(texts) if our != their},
        "differs": np.flatnonzero(differs).tolist(),
    }


def _texts(theirs: np.ndarray, ours: np.ndarray, differs: bool) -> tuple[str, str]:
    """Both values as text. Of two large arrays that differ, the entries that do."""
    if differs and theirs.size > MAX_ENTRIES and theirs.shape == ours.shape:
        different = np.argwhere(theirs != ours)[:MAX_DIFFERING]
        if len(different):
            return tuple(  # type: ignore[return-value]
                ", ".join(f"{i.tolist()} {_text(side[tuple(i)])}" for i in different)
                for side in (theirs, ours)
            )
    return _text(theirs), _text(ours)


def _text(value: np.ndarray) -> str:
    """With all digits that tell two float32 apart; a large array as its checksum."""
    value = np.asarray(value)
    if value.ndim == 0:
        return str(value[()])
    if value.size > MAX_ENTRIES:
        checksum = zlib.crc32(np.ascontiguousarray(value).tobytes())
        return f"{value.dtype}{list(value.shape)} #{checksum:08x}"
    return np.array2string(value, floatmode="unique", separator=" ", max_line_width=10_000)


def _draws(comparison: Comparison, recording: Recording) -> list[str]:
    """What the reference consumed in each step."""
    log, sites = recording.draws, comparison.draw_sites
    return [
        ", ".join(
            f"{sites[site]} = {value}"
            for site, value in zip(log.site[t, 0, :count], log.value[t, 0, :count], strict=True)
        )
        for t, count in enumerate(log.count[:, 0])
    ]


class Album:
    """Pictures as data URIs, each kept once."""

    def __init__(self) -> None:
        self.pictures: list[str] = []
        self._known: dict[tuple[tuple[int, ...], bytes], int] = {}  # by shape and digest

    def add_all(self, program: Program, states: Any, count: int) -> list[int] | None:
        """Indexes of the pictures of `states` [count]; None where the environment draws none."""
        try:
            params = jax.device_get(program.params)
            instances = (jax.tree.map(lambda x: x[i], states) for i in range(count))  # noqa: B023
            return [self.add(program.env.render(state, params)) for state in instances]
        except NotImplementedError:
            return None

    def add(self, picture: np.ndarray) -> int:
        """The index of a picture uint8 [H, W, 3] in `pictures`."""
        key = picture.shape, hashlib.sha256(picture.tobytes()).digest()
        if key not in self._known:
            self._known[key] = len(self.pictures)
            self.pictures.append(_data_uri(picture))
        return self._known[key]


def _data_uri(picture: np.ndarray) -> str:
    """A small PNG with a palette."""
    image = Image.fromarray(picture)
    if (factor := -(-max(image.size) // PICTURE_SIZE)) > 1:
        image = image.reduce(factor)
    file = io.BytesIO()
    image.quantize(PICTURE_COLORS, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()

"""Coders written in Python, and a judge that only looks for a file: the loop, without its parts."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from simlift.translate.agents import Agent, Means, Report, Task
from simlift.translate.commits import RunBranch
from simlift.translate.phases import Rendering
from simlift.translate.project import Project
from simlift.translate.sandbox import Limits, Mode
from simlift.translate.verdict import Finding, Verdict

from . import projects

BROKEN = "walk/broken.txt"
Work = Callable[[Task], Report | None]


def finished(words: str = "done") -> Report:
    return Report(ended="finished", words=words, seconds=0.5, turns=3, status=0)


def well(task: Task) -> None:
    """What a good coder leaves."""
    projects.write(task.workspace, projects.SOLUTION.get(task.item, {}))
    (task.workspace / BROKEN).unlink(missing_ok=True)


def badly(score: float, note: str = "") -> Work:
    """Work that the judge does not let pass."""

    def work(task: Task) -> None:
        well(task)
        projects.write(task.workspace, {BROKEN: json.dumps([score, note])})

    return work


class Coder:
    """Makes agents that do what stands in `script`, (item, attempt) -> work; else well."""

    def __init__(self, script: Mapping[tuple[str, int], Work] | None = None) -> None:
        self.script = dict(script or {})
        self.tasks: list[Task] = []
        self.models: list[str] = []

    def __call__(self, means: Means) -> Agent:
        coder = self

        class Scripted(Agent):
            name = "scripted"

            def check(self) -> None:
                pass

            def work(self, task: Task) -> Report:
                coder.tasks.append(task)
                coder.models.append(means.model)
                work = coder.script.get((task.item, task.attempt), well)
                return work(task) or finished()

        return Scripted(means)


class Judge:
    """Lets pass what leaves no broken file; remembers what it was shown."""

    def __init__(self) -> None:
        self.done: dict[str, list[str] | None] = {}
        self.judged: list[tuple[str, str]] = []
        self.seeds: list[int | None] = []

    def __call__(
        self,
        rendering: Rendering,
        project: Project,
        copy: RunBranch,
        *,
        base: str,
        tree: str,
        folder: Path,
        mode: Mode,
        limits: Limits | None = None,
        seed: int | None = None,
    ) -> Verdict:
        copy.restore(tree)
        self.judged.append((base, tree))
        self.seeds.append(seed)
        done = copy.workspace / "judge" / "done.json"
        item = folder.name.split("-", 1)[1].rsplit("-", 1)[0]
        self.done[item] = json.loads(done.read_text()) if done.exists() else None
        broken = copy.workspace / BROKEN
        found = Finding()
        if broken.exists():
            score, note = json.loads(broken.read_text())
            found = Finding(line=f"broken {note}".strip(), signature="broken", score=score)
        verdict = found.verdict(123_456_788 + len(self.judged) if seed is None else seed, 0.25)
        verdict.write(folder)
        if rendering.phase == "certificate":
            projects.write(folder, {"judge/certificate.json": "{}"})
        return verdict

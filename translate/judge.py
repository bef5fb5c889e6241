"""The judge: whether a frozen attempt does what its phase asks for.

It works on a copy of what was frozen, with a seed that was drawn afterwards, and believes what the
verifier wrote rather than how a command ended. The copy cannot be written and has no network.
"""

import ast
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import secrets
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..references.core import ReferenceUnavailable
from ..references.fetch import cache_dir
from ..verify.session import ALL_LEVELS, LEVELS
from . import check, crate, verdict
from .commits import RunBranch
from .phases import PHASES, Rendering
from .plan import Plan
from .project import Language, Project
from .sandbox import Ended, Limits, Mode, Sandbox
from .verdict import Finding, Verdict

__all__ = ["LIMITS", "Verdict", "judge", "keep_done", "programs"]

SEED_BITS = 53  # what every JSON reader takes for an integer
LIMITS = Limits(seconds=7200, stall=7200)  # a verification may compute for long and say nothing
PACKAGE = Path(__file__).parents[1]
SURVIVORS = "notes/survivors.json"
DONE = "judge/done.json"
FOLDERS = ("judge", "notes", "reference", "runs", "tests")
AT_START = {"simlift", "sitecustomize", "usercustomize"}
VERIFY, CHECK = ["simlift", "verify"], ["simlift", "translate", "check"]
PYTEST = ["python", "-m", "pytest"]
BUILD = ["cargo", "build", "--release", "--offline", "--quiet", "--message-format", "short"]
# -P: nothing is imported from the current folder first.
MODULE = (sys.executable, "-P", "-m")


def judge(
    rendering: Rendering,
    project: Project,
    copy: RunBranch,
    *,
    base: str,
    tree: str,
    folder: Path,
    mode: Mode = "bubblewrap",
    limits: Limits = LIMITS,
    seed: int | None = None,
) -> Verdict:
    """Judge a frozen attempt, and write verdict.json into `folder`, the attempt's own.

    copy: the run's branch over the folder of the judge's copy, which becomes `tree`, what is
    judged; base: the tree in which all that the phase may not change is as it has to be: what the
    item began from, before its first attempt; limits: of each command; seed: only to judge once
    more as before, else drawn here, after the freeze.

    Raises GitFailed, SandboxUnavailable, and OSError where something cannot be written.
    """
    started = time.monotonic()
    seed = secrets.randbits(SEED_BITS) if seed is None else seed
    copy.restore(tree)
    found = _refused(rendering, project, copy, copy.stat(base, tree))
    if found is None:
        bench = Bench(
            copy=copy.workspace.resolve(),
            project=project,
            out=folder.resolve() / "judge",
            mode=mode,
            limits=limits,
            seed=seed,
        )
        found = bench.find(rendering.success_command)
    found = found.told_from(folder.resolve(), copy.workspace.resolve())
    judged = found.verdict(seed, time.monotonic() - started)
    judged.write(folder)
    return judged


def keep_done(workspace: Path, modules: Sequence[str]) -> None:
    """Write which modules the proxy does not answer for any more, into a workspace whose proxy
    has not to be asked: before the item begins, so that it is in its base."""
    path = workspace / DONE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(modules)) + "\n")


def programs(language: Language = "jax") -> tuple[Path, ...]:
    """What has to be readable where commands of Python and simlift run: installed libraries, this
    package alone out of its folder, the cache of references, and of Rust its toolchain."""
    found = {Path(sys.prefix), Path(sys.base_prefix)}
    if language == "rust" and (toolchain := crate.toolchain()) is not None:
        found.add(toolchain)
    found |= {Path(entry) for entry in sys.path if Path(entry).name.endswith("-packages")}
    found |= {path for path in PACKAGE.iterdir() if _is_code(path)}
    with contextlib.suppress(ReferenceUnavailable):  # then nothing is in it
        found.add(cache_dir())
    return tuple(sorted(path for path in found if path.exists()))


def imported(project: Project) -> tuple[Path, ...]:
    """What has to be readable for the reference to be imported from where it is not installed: the
    code in those folders, and never the project itself, whose runs are nobody's business."""
    found = (path for folder in project.imports for path in folder.iterdir() if _is_code(path))
    return tuple(sorted(path for path in found if not project.folder.is_relative_to(path)))


def _is_code(path: Path) -> bool:
    return path.suffix in (".py", ".typed") or (path / "__init__.py").is_file()


# -- what needs no command


def _refused(
    rendering: Rendering, project: Project, copy: RunBranch, changes: Mapping[str, Any]
) -> Finding | None:
    """What is wrong with the files; the first that is found."""
    checks: Sequence[tuple[str, Callable[[], Iterator[str]]]] = (
        ("forbidden", lambda: _forbidden(rendering.forbid_paths, changes)),
        ("link", lambda: _links(copy.workspace)),
        ("shadow", lambda: _shadows(copy.workspace, project.name)),
        ("output", lambda: _outputs(rendering, project, copy.workspace)),
        ("import", lambda: _imports(rendering, project, copy.workspace)),
    )
    for kind, look in checks:
        if lines := list(look()):
            more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
            return Finding(
                line=lines[0] + more,
                signature=kind,
                score=0.0,
                details={"kind": "refused", "lines": lines[:100]},
            )
    return None


def _forbidden(paths: Sequence[str], changes: Mapping[str, Any]) -> Iterator[str]:
    for path in sorted(changes):
        if any(path == one or path.startswith(f"{one.rstrip('/')}/") for one in paths):
            yield f"{path} was changed, added or removed, which this phase must not do"


def _links(workspace: Path) -> Iterator[str]:
    for path in sorted(workspace.rglob("*")):
        if path.is_symlink():
            yield f"{path.relative_to(workspace)} is a link; write the file itself"


def _shadows(workspace: Path, name: str) -> Iterator[str]:
    """What Python would import from here instead of from where it is installed."""
    installed = (
        AT_START | sys.stdlib_module_names | importlib.metadata.packages_distributions().keys()
    )
    for path in sorted(workspace.iterdir()):
        stem = path.name.partition(".")[0]
        importable = path.is_dir() or path.suffix in (".py", ".pyc", ".so")
        if importable and stem in installed and path.name not in (*FOLDERS, name):
            yield f"{path.name} stands in the way of what is installed; give it another name"


def _outputs(rendering: Rendering, project: Project, workspace: Path) -> Iterator[str]:
    try:
        check.check_outputs(rendering, project, workspace)
    except (OSError, ValueError) as error:
        yield str(error)


def _imports(rendering: Rendering, project: Project, workspace: Path) -> Iterator[str]:
    """What a translation that is whole imports of the judge, the reference and the verifier. The
    verifier's L0 sees everything else, but not what the suite has already loaded. Of a crate, whose
    processes nothing watches, what its sources say."""
    whole = PHASES.index(rendering.phase) >= PHASES.index("compose")
    if project.language == "rust":
        yield from crate.outside(workspace / project.name, whole=whole)
        return
    if not whole:
        return
    ours = {f"simlift.{path.stem}" for path in PACKAGE.iterdir() if _is_code(path)}
    refused = {"judge", *FOLDERS, *ours} - {"simlift.envs", "simlift.__init__"}
    refused |= {Path(source).stem for source in project.reference.sources}
    refused.add(project.reference.python.partition(":")[0].partition(".")[0])
    for path in sorted((workspace / project.name).rglob("*.py")):
        place = path.relative_to(workspace)
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as error:
            yield f"{place} is no Python: {error}"
            continue
        for line, name in _imported(tree):
            if any(name == one or name.startswith(f"{one}.") for one in refused):
                yield f"{place}, line {line}: a translation must not import {name}"


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of whatever is imported from elsewhere."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


# -- commands


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """Where commands are run on the judge's copy. out: folder for what they write."""

    copy: Path
    project: Project
    out: Path
    mode: Mode
    limits: Limits
    seed: int

    def find(self, success_command: str) -> Finding:
        """What the phase's commands find; the first that does not pass ends it."""
        try:
            return self._find(success_command)
        finally:
            for made in self.out.glob("*/written/target"):  # much, and soon made again
                shutil.rmtree(made)

    def _find(self, success_command: str) -> Finding:
        commands = [shlex.split(part) for part in success_command.split("&&")]
        found = Finding(details={"kind": "outputs"})
        if success_command and self.project.language == "rust" and self._manifest.is_file():
            found = self._run(BUILD, self.out / "build")
            if found.line:
                return found
        for number, words in enumerate(filter(None, commands)):
            found = self._run(words, self.out / str(number))
            if found.line:
                score = (number + found.score) / len(commands)
                return dataclasses.replace(found, score=score)
        return found

    @property
    def _manifest(self) -> Path:
        """Of the crate, where the translation is one."""
        return self.copy / self.project.name / crate.MANIFEST

    @property
    def _built(self) -> Path:
        """Where Cargo puts what it makes of the crate."""
        return self.out / "build" / "written" / "target"

    def _run(self, words: Sequence[str], out: Path) -> Finding:
        if out.exists():  # of a judge that was interrupted
            shutil.rmtree(out)
        written = out / "written"
        written.mkdir(parents=True)
        env = {
            "JAX_PLATFORMS": "cpu",
            "PYTHONDONTWRITEBYTECODE": "1",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(written / "hypothesis"),
            "SIMLIFT_CACHE": str(cache_dir()),
            "PYTHONPATH": os.pathsep.join(map(str, self.project.imports)),
        }
        readable = [*programs(self.project.language), *imported(self.project), self.copy]
        if self.project.language == "rust":
            # A crate that asks its proxy starts "python", which has to be the one that has simlift.
            folders = [crate.cargo().parent, Path(sys.executable).parent]
            env["PATH"] = os.pathsep.join([*map(str, folders), os.environ.get("PATH", os.defpath)])
            env["CARGO_TARGET_DIR"] = str(written / "target")
            env[crate.PROGRAM] = str(self._built / "release" / self.project.name)
            readable += [self._built] if self._built.exists() and words != BUILD else []
        box = Sandbox(workspace=written, readable=readable, mode=self.mode)
        command = ["env", "-C", str(self.copy), *_command(words, written, self.seed)]
        if words == BUILD:
            command += ["--manifest-path", str(self._manifest)]
        ended = box.run(command, limits=self.limits, output=out, env=env)
        if (found := verdict.stopped(ended)) is not None:
            return found
        if words == BUILD:
            return crate.built(ended)
        if words[:2] == crate.TESTS:
            return crate.tested(ended)
        if words[:3] == PYTEST:
            return verdict.tested(ended, written)
        return self._verified(ended, words, written)

    def _verified(self, ended: Ended, words: Sequence[str], written: Path) -> Finding:
        levels = _levels(words)
        survivors = _survivors(self.copy) if "mutants" in levels else []
        found = verdict.verified(ended, written, wanted=levels, seed=self.seed, survivors=survivors)
        if found.line or not (self.copy / check.PLAN).exists():
            return found
        return verdict.as_planned(found, Plan.read(self.copy / check.PLAN))


def _command(words: Sequence[str], out: Path, seed: int) -> list[str]:
    """A success command with our own programs, the hidden seed, and where its result has to be."""
    if words[0] == crate.TESTS[0]:
        return [*words]
    if words[:3] == PYTEST:
        options = ["-p", "no:cacheprovider", "--junitxml", str(out / "junit.xml")]
        return [sys.executable, *words[1:], *options]
    hidden = ["--seed", str(seed), "--out", str(out), "--bank", str(out / "bank")]
    if words[:3] == CHECK:
        return [*MODULE, "simlift.translate.check", *words[3:], *hidden]
    if words[:2] == VERIFY:
        return [*MODULE, "simlift.translate.verification", *words[2:], *hidden]
    raise ValueError(f"the judge runs no {words[0]!r}; see success_command in phases.py")


def _levels(words: Sequence[str]) -> Sequence[str]:
    """The levels that a command of the verifier tries."""
    given: list[str] = []
    if words[:3] == CHECK:
        return check.LEVELS
    for number, word in enumerate(words):
        if word in ("--levels", "--level"):
            for level in words[number + 1 :]:
                if level.startswith("-"):
                    break
                given.append(level)
    return ALL_LEVELS if "all" in given else given or LEVELS


def _survivors(workspace: Path) -> list[str]:
    """The mutants that the coder accounts for; those that are said to be killed are not open. There
    are none where no phase is about mutants."""
    path = workspace / SURVIVORS
    listed = json.loads(path.read_bytes())["survivors"] if path.is_file() else []
    return [survivor["mutant"] for survivor in listed]

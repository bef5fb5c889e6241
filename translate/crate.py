"""A translation that is a crate: what builds it, what it may not hold, and what Cargo says."""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .sandbox import Ended
from .verdict import LONGEST, Finding, output

PROGRAM = "SIMLIFT_PROGRAM"
"""The variable that tells a suite where the program is that was built."""
MANIFEST = "Cargo.toml"
TESTS = ["cargo", "test"]
DEPENDENCIES = ("dependencies", "build-dependencies", "dev-dependencies", "target", "patch")
COMMENT = re.compile(r"//[^\n]*")
STD = r"\bstd\s*(?:::\s*\w+\s*)*::\s*(?:\{[\w:{},\s*]*?)?"  # where a path or a list of them begins
OUTSIDE = re.compile(
    r"\b(?:std|core)\s+as\b|\bunsafe\s*(?:\{|fn|impl|extern)|\bextern\b|\binclude\w*\s*!"
    rf"|{STD}\b(?:fs|net|process|time|os)\b|{STD}\benv\b(?!\s*::\s*args\b)"
)
"""What reaches out of a program, in the words of its sources."""
RAN = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed", re.MULTILINE)
FAILED = re.compile(r"^test (.+) \.\.\. FAILED$", re.MULTILINE)
ERROR = re.compile(r"^(?:\S+: )?error(?:\[\w+\])?: .*", re.MULTILINE)


def toolchain() -> Path | None:
    """The folder of Rust's toolchain, cargo in its `bin`; None where there is none."""
    if shutil.which("rustc") is None:
        return None
    told = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True)
    folder = Path(told.stdout.strip())
    return folder if told.returncode == 0 and (folder / "bin" / "cargo").is_file() else None


def cargo() -> Path:
    """Raises FileNotFoundError, with the remedy, where there is no toolchain."""
    folder = toolchain()
    if folder is None:
        raise FileNotFoundError("a project in Rust needs rustc and cargo: see https://rustup.rs")
    return folder / "bin" / "cargo"


def outside(crate: Path, *, whole: bool) -> Iterator[str]:
    """What a crate holds that it may not. whole: nothing stands in for its modules any more."""
    manifest = crate / MANIFEST
    if not manifest.is_file():
        return
    try:
        told = tomllib.loads(manifest.read_text(encoding="utf-8"))
    except ValueError as error:
        yield f"{crate.name}/{MANIFEST} is no TOML: {error}"
        return
    if not (crate / "Cargo.lock").is_file():
        yield f"{crate.name} has no Cargo.lock: build it once"
    for name in DEPENDENCIES:
        if told.get(name):
            yield f"{crate.name}/{MANIFEST} has {name}: nothing but the standard library is there"
    package: Any = told.get("package")
    if (crate / "build.rs").exists() or (isinstance(package, dict) and package.get("build")):
        yield f"{crate.name} has a build script; write what it makes"
    for path in sorted(crate.rglob("*.rs")) if whole else ():
        place = path.relative_to(crate.parent)
        source = COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
        for found in OUTSIDE.finditer(source):
            line = source.count("\n", 0, found.start()) + 1
            words = " ".join(found.group().split())
            yield f"{place}, line {line}: a translation computes and does nothing else: {words}"


def built(ended: Ended) -> Finding:
    """Of `cargo build`: it ends well, else its first error."""
    printed = output(ended)
    details = {"kind": "cargo", "status": ended.status, "output": printed}
    if ended.status == 0:
        return Finding(details=details)
    error = _first_error(printed)
    return Finding(
        line=f"the crate does not build: {error}",
        signature=f"cargo build: {error}"[:LONGEST],
        score=0.0,
        details=details,
    )


def tested(ended: Ended) -> Finding:
    """Of `cargo test`: at least one test passes, and none fails."""
    said = ended.stdout.read_text(encoding="utf-8", errors="replace")
    printed = output(ended)
    passed, failed = (sum(int(row[i]) for row in RAN.findall(said)) for i in range(2))
    failing = FAILED.findall(said)
    details = {
        "kind": "cargo",
        "status": ended.status,
        "output": printed,
        "counts": {"passed": passed, "failure": failed},
        "failing": failing,
    }
    if ended.status == 0 and passed:
        return Finding(details=details)
    if failing:
        line = f"{failed} of {passed + failed} tests fail, the first is {failing[0]}"
        signature = f"cargo test: {', '.join(sorted(failing))}"[:LONGEST]
        score = passed / (passed + failed)
        return Finding(line=line, signature=signature, score=score, details=details)
    error = "no test ran" if ended.status == 0 else _first_error(printed)
    return Finding(
        line=f"cargo test ended with status {ended.status}: {error}",
        signature=f"cargo test: {error}"[:LONGEST],
        score=0.0,
        details=details,
    )


def _first_error(printed: str) -> str:
    found = ERROR.search(printed)
    lines = printed.splitlines() or ["it said nothing"]
    return found.group() if found else lines[-1]

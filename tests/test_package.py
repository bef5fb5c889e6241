"""The house keeps its shape: packages, arrows between folders, light imports, a running README."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import simlift
from simlift.train import throughput_report

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OUTSIDE = {"tests", "notebooks", "build"}

# What each folder may import besides itself.
ARROWS: dict[str, set[str]] = {
    "references": set(),
    "envs": set(),
    "train": {"envs"},
    "verify": {"envs", "references", "train"},
    "peers": {"references", "train"},
    "translate": {"envs", "references", "train", "verify"},
    "cli": {"envs", "peers", "references", "train", "translate", "verify"},
}
HEAVY = {"gymnasium", "gymnax", "matplotlib", "torch"}


def package_folders(folder: Path = ROOT) -> Iterator[Path]:
    """The folder and all packages below it."""
    yield folder
    for init in sorted(folder.glob("*/__init__.py")):
        if init.parent.name not in OUTSIDE:
            yield from package_folders(init.parent)


def module_name(path: Path) -> str:
    """Dotted name of a module or package folder, e.g. simlift.envs.core."""
    dotted = ".".join(["simlift", *path.relative_to(ROOT).parts])
    return dotted.removesuffix(".py").removesuffix(".__init__")


MODULES = sorted(path for folder in package_folders() for path in folder.glob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Absolute dotted name of everything that a module imports, inside functions too."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(parents if node.level else []), *filter(None, [node.module])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def test_every_package_folder_is_installed() -> None:
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(module_name(folder) for folder in package_folders())


def test_every_data_file_is_installed() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    packages = set(package_folders())
    left_out = []
    for folder in packages - {ROOT}:
        wanted = {
            file
            for file in folder.rglob("*")
            if file.is_file()
            and next(parent for parent in file.parents if parent in packages) == folder
            and file.suffix not in {".py", ".pyc"}
        }
        globs = patterns["*"] + patterns.get(module_name(folder), [])
        left_out += wanted - {file for pattern in globs for file in folder.glob(pattern)}
    assert left_out == [], "no pattern of package-data in pyproject.toml matches"


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent != ROOT], ids=module_name)
def test_imports_follow_the_arrows(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    ours = {name.split(".")[1] for name in imports(path) if name.startswith("simlift.")}
    assert ours <= ARROWS[folder] | {folder}


@pytest.mark.parametrize(
    "path", [path for path in MODULES if ROOT / "references" in path.parents], ids=module_name
)
def test_references_do_not_import_jax(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(path)}.isdisjoint({"jax", "jaxlib", "flax"})


def test_import_is_light() -> None:
    code = f"import simlift, sys; print(*sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_versions_agree() -> None:
    assert simlift.__version__ == PROJECT["project"]["version"]


def readme_blocks() -> Iterator[object]:
    text = (ROOT / "README.md").read_text()
    for match in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        line = text.count("\n", 0, match.start(1))
        yield pytest.param(line, match[1], id=f"line {line + 1}")


@pytest.mark.parametrize(("line", "code"), list(readme_blocks()))
def test_readme_code_runs(
    line: int, code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile("\n" * line + code, "README.md", "exec"), {"__name__": "__main__"})


def test_readme_figures_are_those_of_the_results() -> None:
    _, _, rest = (ROOT / "README.md").read_text().partition(throughput_report.BEGIN)
    shown, _, _ = rest.partition(throughput_report.END)
    made = throughput_report.readme_table(ROOT / "notebooks" / "results")
    assert shown.strip() == made.strip(), "run `make figures`"

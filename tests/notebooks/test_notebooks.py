"""The committed notebooks are their sources, executed. `make test` runs them, in quick form."""

from pathlib import Path

import jupytext
import nbformat
import pytest

MAX_BYTES = 300_000
NOTEBOOKS = ["quickstart", "throughput"]


def folder(repository: Path) -> Path:
    return repository / "notebooks"


def test_these_are_all(repository: Path) -> None:
    for suffix in (".py", ".ipynb"):
        assert sorted(p.stem for p in folder(repository).glob(f"*{suffix}")) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_holds_its_source(repository: Path, name: str) -> None:
    source = jupytext.read(folder(repository) / f"{name}.py")
    notebook = nbformat.read(folder(repository) / f"{name}.ipynb", as_version=4)
    cells = [
        [(cell.cell_type, cell.source.strip()) for cell in book.cells]
        for book in (source, notebook)
    ]
    assert cells[0] == cells[1], f"run `jupytext --sync notebooks/{name}.py`, then execute it"


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_was_executed_in_order_without_errors(repository: Path, name: str) -> None:
    path = folder(repository) / f"{name}.ipynb"
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert outputs
    assert not [output for output in outputs if output.output_type == "error"]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    assert str(repository) not in path.read_text()
    assert path.stat().st_size < MAX_BYTES

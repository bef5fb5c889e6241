import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from simlift.train.logs import CsvLog, LiveTable, TensorBoardLog, read_rows, save_curve

ROW = {"update": 1, "seed": 0, "steps": 100, "return": 1.5, "score": 2.0}


def test_rows_are_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = CsvLog(path, list(ROW))
    log.write(ROW)
    assert read_rows(path) == [ROW]
    log.close()


def test_resumed_log_drops_what_came_after_the_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = CsvLog(path, list(ROW))
    for update in (1, 2, 3):
        log.write(ROW | {"update": update})
    log.close()
    log = CsvLog(path, list(ROW), keep_until=2)
    log.write(ROW | {"update": 3, "score": 9.0})
    log.close()
    assert [(row["update"], row["score"]) for row in read_rows(path)] == [(1, 2), (2, 2), (3, 9)]
    assert [file.name for file in tmp_path.iterdir()] == ["metrics.csv"]


def test_new_log_does_not_continue_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    for _ in range(2):
        log = CsvLog(path, list(ROW))
        log.write(ROW)
        log.close()
    assert len(read_rows(path)) == 1


def test_tensorboard_writes_a_folder_for_each_seed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    log = TensorBoardLog(tmp_path)
    for seed in (3, 4):
        log.write(ROW | {"seed": seed})
    log.close()
    for seed in (3, 4):
        (events,) = (tmp_path / f"seed_{seed}").glob("events*")
        assert b"return" in events.read_bytes()


def test_missing_tensorboard_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match="pip install tensorboardX"):
        TensorBoardLog(tmp_path)


def test_live_table_shows_the_last_rows_and_the_time_left() -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    with LiveTable(console, "PPO on a toy", 1000, rows=2) as table:
        table.start(0)
        for update, score in ((1, -21.0), (2, 3.25), (3, float("nan"))):
            table.write(ROW | {"steps": 100 * update, "score": score, "steps_per_s": 12_345})
    assert isinstance(console.file, io.StringIO)
    last = console.file.getvalue().split("PPO on a toy")[-1]
    assert "3.25" in last
    assert "-21" not in last
    assert "12,345" in last
    assert "300 of 1,000 steps" in last
    assert "s left" in last


def test_curve_is_drawn_where_matplotlib_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [ROW | {"steps": steps, "seed": seed} for steps in (1, 2) for seed in (0, 1)]
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert not save_curve(tmp_path / "curve.png", rows, "score", "score")
    monkeypatch.undo()
    pytest.importorskip("matplotlib")
    assert save_curve(tmp_path / "curve.png", rows, "score", "score")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")

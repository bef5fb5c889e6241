import dataclasses
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

from simlift.train import CheckpointError, PPOConfig, RunOptions, TrainingError, load_policy
from simlift.train import run as runs
from simlift.train.checkpoint import load_checkpoint, read_meta, to_arrays
from simlift.train.logs import CsvLog, read_rows
from simlift.train.presets import PRESETS, find_preset

CONFIG = PPOConfig(
    total_steps=6 * 64,
    num_envs=8,
    num_steps=8,
    num_minibatches=2,
    hidden_sizes=(8,),
    rnn_size=4,
    normalize_observations=True,
    learning_rate=1e-3,
)
OPTIONS = RunOptions(config=CONFIG, eval_episodes=2, seed=3)

RESUME = """
import pathlib, sys
from simlift.train.run import RunOptions, run
run(RunOptions(resume=pathlib.Path(sys.argv[1]), eval_episodes=2))
"""


def run(out: Path, **changes: Any) -> dict[str, Any]:
    return runs.run(dataclasses.replace(OPTIONS, out=out, **changes))


def timeless(path: Path) -> list[list[float | None]]:
    """The rows of a log without their times; NaN, which differs from itself, as None."""
    return [
        [
            v if v == v else None
            for k, v in row.items()
            if not k.startswith(("seconds", "steps_per"))
        ]
        for row in read_rows(path)
    ]


def arrays(run: Path) -> dict[str, np.ndarray]:
    """The runner state of its newest checkpoint, by name."""
    recipe = runs.Recipe.from_meta(read_meta(run))
    template = jax.eval_shape(runs.initial(recipe, recipe.make()))
    return to_arrays(load_checkpoint(run, template))


def interrupt_after(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """As Ctrl-C would, while the row is written."""
    real = CsvLog.write

    def write(self: CsvLog, row: Any) -> None:
        real(self, row)
        if row["update"] == rows:
            raise KeyboardInterrupt

    monkeypatch.setattr(CsvLog, "write", write)


SCREEN = io.StringIO()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; what it showed is in SCREEN."""
    out = tmp_path_factory.mktemp("whole") / "run"
    console = Console(file=SCREEN, width=100)
    runs.run(dataclasses.replace(OPTIONS, out=out), console)
    return out


def test_run_leaves_everything_in_its_folder(whole: Path) -> None:
    summary = json.loads((whole / "summary.json").read_text())
    names = {path.name for path in whole.iterdir()}
    assert {"checkpoints", "config.json", "metrics.csv", "summary.json"} <= names
    assert summary["steps"] == 6 * 64
    assert summary["eval_episodes"] == 2
    assert -21 <= summary["score_mean"] <= 21
    assert summary["seconds"] > 0 and summary["steps_per_s"] > 0 and summary["compile_s"] > 0
    steps = [row["steps"] for row in read_rows(whole / "metrics.csv")]
    assert steps == [64 * i for i in range(1, 7)]
    config = json.loads((whole / "config.json").read_text())
    assert PPOConfig.from_dict(config["config"]) == CONFIG
    assert read_meta(whole)["update"] == 6


def test_live_table_is_shown(whole: Path) -> None:
    assert "PPO on PufferPong-v0, seed 3" in SCREEN.getvalue()
    assert "384 of 384 steps" in SCREEN.getvalue()


def test_resuming_in_a_new_process_is_exact(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """6 updates equal 3, a checkpoint, a new process, and 3 more: every array, bit for bit."""
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        interrupt_after(patch, 3)
        run(tmp_path)
    assert read_meta(tmp_path)["update"] == 3
    subprocess.run([sys.executable, "-c", RESUME, str(tmp_path)], check=True, timeout=300)
    assert read_meta(tmp_path)["update"] == 6
    resumed, expected = arrays(tmp_path), arrays(whole)
    assert resumed.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)
    assert timeless(tmp_path / "metrics.csv") == timeless(whole / "metrics.csv")


def test_several_seeds_are_logged_and_evaluated_each(tmp_path: Path) -> None:
    summary = run(tmp_path / "run", num_seeds=2, total_steps=2 * 64)
    assert summary["seeds"] == [3, 4]
    assert summary["steps"] == 2 * 2 * 64
    assert len(summary["by_seed"]) == 2
    rows = read_rows(tmp_path / "run" / "metrics.csv")
    assert [(row["update"], row["seed"]) for row in rows] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    first, second = (load_policy(tmp_path / "run", seed_index=i) for i in (0, 1))
    kernels = [jax.tree.leaves(policy.params)[-1] for policy in (first, second)]
    assert not np.array_equal(*kernels)
    with pytest.raises(ValueError, match="seed_index=2: the run has 2 seeds"):
        load_policy(tmp_path / "run", seed_index=2)


def test_loaded_policy_plays_numpy_observations(whole: Path) -> None:
    policy = load_policy(whole)
    observation = np.random.default_rng(0).random((5, 8), np.float32)
    carry = policy.initial_carry(5)
    action, carry = policy.act(observation, carry, jax.random.key(0), deterministic=True)
    again, _ = policy.act(observation, policy.initial_carry(5), None, deterministic=True)
    np.testing.assert_array_equal(action, again)
    assert action.shape == (5,) and action.dtype == np.int32
    assert carry.shape == (5, CONFIG.rnn_size)
    assert policy.stats is not None and float(policy.stats.count) == 6 * 64


def test_divergence_stops_the_run_with_a_remedy(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=1e38)
    with (
        jax.debug_nans(False),
        pytest.raises(TrainingError, match=r"no longer finite after .*lower learning_rate"),
    ):
        run(tmp_path, config=config)


def test_a_run_is_not_overwritten(whole: Path) -> None:
    before = read_meta(whole)
    with pytest.raises(ValueError, match="already holds a run: resume its newest checkpoint"):
        run(whole)
    assert read_meta(whole) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": "pongg"}, "unknown environment 'pongg'; did you mean 'pong'"),
        ({"preset": "fast"}, r"pong has no preset 'fast'; it has \['continuous', 'demo'"),
        ({"num_seeds": 0}, "num_seeds=0"),
        ({"seed": -1}, "seed=-1 must be between"),
        ({"total_steps": 0}, "total_steps=0 must be an integer"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_resuming_a_finished_run_only_evaluates(whole: Path) -> None:
    before = read_meta(whole)
    log = (whole / "metrics.csv").read_text()
    summary = runs.run(RunOptions(resume=whole, eval_episodes=1))
    assert summary["steps"] == 0
    assert read_meta(whole) == before
    assert (whole / "metrics.csv").read_text() == log


def test_older_checkpoint_continues_in_another_folder_only(whole: Path, tmp_path: Path) -> None:
    old = tmp_path / "checkpoints" / "update_00000001"
    shutil.copytree(whole / "checkpoints" / "update_00000006", old)
    shutil.copytree(old, old.with_name("update_00000002"))
    with pytest.raises(ValueError, match="resume its newest checkpoint, or choose another folder"):
        runs.run(RunOptions(resume=old))


def test_tensorboard_is_missed_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match="pip install tensorboardX"):
        run(tmp_path / "run", tensorboard=True)
    assert not (tmp_path / "run").exists()


def test_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint in"):
        runs.run(RunOptions(resume=tmp_path))


def test_presets_are_valid_and_any_environment_has_one() -> None:
    for presets in PRESETS.values():
        for preset in presets.values():
            assert preset.config.num_updates > 50
    assert find_preset("PufferPong-v0", "default").config == PPOConfig()

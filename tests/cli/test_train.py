"""What `simlift train` says of a game."""

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from simlift.cli import train
from simlift.cli.screen import Screen
from simlift.train.opponents import tally
from simlift.verify.play import Played
from simlift.verify.suite import Variant

RETURNS = np.array([1.0, 1.0, 0.0, -1.0])
AGAINST = Variant("against somebody", {"opponent": "somebody"})


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Of a run whose policy has yet to play in the reference."""
    suite = SimpleNamespace(
        reference_name="upstream",
        reference_version="1",
        transfer=SimpleNamespace(variant=AGAINST),
    )
    monkeypatch.setattr(train, "get_suite", lambda name: suite)
    monkeypatch.setattr(train, "load_policy", lambda path: None)
    monkeypatch.setattr(
        train, "read_recipe", lambda result: {"env": "PokemonGen1-v0", "env_kwargs": {}}
    )
    against = {"somebody": tally(RETURNS)}
    return {
        "steps": 8,
        "seconds": 1.0,
        "out": "run",
        "checkpoint": "",
        "score_mean": 0.5,
        "by_seed": [{"return": 0.25, "score": 0.5, "against": against}],
    }


def test_a_game_is_played_against_the_plans_opponent(
    monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]
) -> None:
    asked: list[Any] = []

    def play(suite: Any, variant: Variant, policy: Any, episodes: int, seed: int) -> Played:
        asked.append((variant, episodes, seed))
        return Played(RETURNS, RETURNS, np.full(4, 9), np.ones(4, bool))

    monkeypatch.setattr(train, "play_in_reference", play)
    found = train.evaluate_in_reference(result, 4, 7)
    assert asked == [(AGAINST, 4, 7)]
    assert found is not None and found["games"]["wins"] == 2 and found["opponent"] == "somebody"
    console = Console(file=io.StringIO(), width=200)
    train.show_training(console, {**result, "reference": found})
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert "somebody in JAX: 50.0% of 4 games won (15.0% .. 85.0%), 1 tied" in said
    assert "somebody in upstream: 50.0% of 4 games won" in said


def test_a_game_without_a_plan_is_played_in_jax_alone(
    monkeypatch: pytest.MonkeyPatch, result: dict[str, Any]
) -> None:
    monkeypatch.setattr(train, "get_suite", lambda name: SimpleNamespace(transfer=None))
    assert train.evaluate_in_reference(result, 4, 7) is None


def test_a_game_has_no_video(tmp_path: Path) -> None:
    command = train.Train(env="pokemon", out=tmp_path / "run", video=tmp_path / "game.gif")
    with pytest.raises(ValueError, match="pokemon is a game of several"):
        command.run(Screen(as_json=True))
    assert not (tmp_path / "run").exists()

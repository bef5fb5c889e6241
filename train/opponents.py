"""How a policy that learned a game by self-play fares against opponents that are functions."""

import importlib
import math
from statistics import NormalDist
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..envs.adapters import Opponent, against
from ..envs.game import Game
from .evaluate import Actor, evaluate

OPPONENTS: dict[str, dict[str, str]] = {
    "PokemonGen1-v0": {
        name: f"..envs.pokemon.gen1.opponents:{function}"
        for name, function in {
            "max_damage": "max_damage",
            "simple_heuristics": "simple_heuristics",
            "random": "random_legal",
        }.items()
    }
}
"""By the name that `make` knows, "module:function", imported when it is asked for. The first one's
games are what a run calls its score."""
DEVIATIONS = NormalDist().inv_cdf(0.975)
EVEN = 1e-3
"""Returns nearer to zero are a tie's: rewards that sum to zero do so but for rounding."""


def random_legal(key: Array, observation: Array, legal_actions: Array) -> Array:
    """Each legal action is equally likely; int32 []. The opponent in a game that has no others."""
    del observation
    return jax.random.categorical(key, jnp.where(legal_actions, 0.0, -jnp.inf)).astype(jnp.int32)


def find_opponents(game: str) -> dict[str, Opponent]:
    """The opponents of a game, by name; every game has "random"."""
    found: dict[str, Opponent] = {}
    for name, place in OPPONENTS.get(game, {}).items():
        module, _, function = place.partition(":")
        found[name] = getattr(importlib.import_module(module, __package__), function)
    return found or {"random": random_legal}


def first_opponent(game: Game[Any, Any, Any]) -> str:
    """Whom a game's score is won against."""
    return next(iter(find_opponents(game.name)))


def play_opponents(
    policy: Actor,
    game: Game[Any, Any, Any],
    params: Any,
    key: Array,
    num_episodes: int,
    names: tuple[str, ...] | None = None,
) -> dict[str, dict[str, Any]]:
    """`tally` of whole games against each opponent of these names (by default all), as the first
    player and without exploration; the same key means the same games. unfinished: of them.
    """
    found = {}
    for name, opponent in find_opponents(game.name).items():
        if names is None or name in names:
            env = against(game, opponent, wait_inside=False)
            result = evaluate(policy, env, params, key, num_episodes)
            unfinished = int((~result.finished).sum())
            found[name] = {**tally(result.returns), "unfinished": unfinished}
    return found


def tally(returns: np.ndarray) -> dict[str, Any]:
    """Of returns [N]: games, wins, ties, losses; win_rate, of all games; low, high: its interval
    (Wilson's, of 95 %); return: the mean.
    """
    returns = np.asarray(returns, np.float64)
    games = len(returns)
    wins, losses = int((returns > EVEN).sum()), int((returns < -EVEN).sum())
    rate, weight = wins / games, DEVIATIONS**2 / games
    middle = (rate + weight / 2) / (1 + weight)
    half = math.sqrt(rate * (1 - rate) * weight + weight**2 / 4) / (1 + weight)
    return {
        "games": games,
        "wins": wins,
        "ties": games - wins - losses,
        "losses": losses,
        "win_rate": rate,
        "low": middle - half,
        "high": middle + half,
        "return": float(returns.mean()),
    }

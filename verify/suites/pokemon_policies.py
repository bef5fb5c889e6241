"""How both players choose where battles are compared: in several ways, to reach several kinds of
battles."""

from collections.abc import Mapping

import numpy as np

from ...references.core import Outcome, Snapshot
from ..suite import Policy, Variant

NUM_MOVES = 4
NOTHING = -1
Weights = tuple[float, float]
"""Of a move and of a switch."""

STYLES: Mapping[str, Weights] = {"random": (1.0, 1.0), "moves": (1.0, 0.1), "switches": (0.3, 1.0)}


def policies(variant: Variant) -> Mapping[str, Policy]:
    del variant
    return {"mixed": _mixed, **{name: _style(*weights) for name, weights in STYLES.items()}}


def _chosen(weights: np.ndarray, outcome: Outcome, generator: np.random.Generator) -> np.ndarray:
    """Legal actions [B, 2] drawn with these weights [B, 2, A]."""
    legal = outcome.legal
    assert legal is not None
    # The largest of exponential variables over their weights has the weights' distribution.
    race = generator.exponential(size=legal.shape) / weights
    action = np.where(legal, -race, -np.inf).argmax(-1)
    return np.where(legal.any(-1), action, NOTHING)


def _weights(move: np.ndarray, switch: np.ndarray) -> np.ndarray:
    """[B, 2, A] out of [B, 2] each."""
    return np.concatenate(
        [np.repeat(move[..., None], NUM_MOVES, -1), np.repeat(switch[..., None], 6, -1)], -1
    )


def _style(move: float, switch: float) -> Policy:
    def act(generator: np.random.Generator, outcome: Outcome, snapshot: Snapshot) -> np.ndarray:
        shape = snapshot["request"].shape
        return _chosen(_weights(np.full(shape, move), np.full(shape, switch)), outcome, generator)

    return act


def _mixed(generator: np.random.Generator, outcome: Outcome, snapshot: Snapshot) -> np.ndarray:
    """Each player has a style in each battle, and in two battles of three also favours one place of
    the four moves, so that moves are repeated, boosts pile up and PP run out."""
    names = list(STYLES)
    players = np.arange(2, dtype=np.uint64)
    # A battle's own number, and not the generator's: it has to last as long as the battle.
    number = snapshot["episode_seed"][:, None] * np.uint64(2) + players
    mixed = (number * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)
    style = (mixed % np.uint64(len(names))).astype(int)
    table = np.array([STYLES[name] for name in names])
    weights = _weights(table[style, 0], table[style, 1])
    favourite = ((mixed >> np.uint64(8)) % np.uint64(6)).astype(int)  # 4 and 5: none
    places = np.arange(weights.shape[-1])
    weights = np.where(
        places == np.where(favourite < NUM_MOVES, favourite, -1)[..., None], 8, weights
    )
    return _chosen(weights, outcome, generator)

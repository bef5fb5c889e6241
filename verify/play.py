"""A trained policy in the reference itself: whole episodes, and what they scored."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from ..train.evaluate import Actor
from .suite import Suite, Variant, derive_seed


@dataclasses.dataclass(frozen=True)
class Played:
    """`N` whole episodes. returns, scores: float64 [N]; lengths: int64 [N]."""

    returns: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray


def play_in_reference(
    suite: Suite,
    variant: Variant,
    policy: Actor,
    episodes: int,
    seed: int = 0,
    deterministic: bool = True,
    max_steps: int = 100_000,
) -> Played:
    """Every one of `episodes` instances plays one episode from its reset, so that short episodes
    are not favoured.

    Raises ReferenceUnavailable, and RuntimeError when an episode does not end in `max_steps`.
    """
    returns, scores = np.zeros(episodes), np.zeros(episodes)
    lengths = np.zeros(episodes, np.int64)
    running = np.ones(episodes, bool)
    key = jax.random.key(derive_seed(seed, "play", variant.name))
    with suite.reference(variant, episodes) as reference:
        outcome = reference.reset(derive_seed(seed, "reset", variant.name))
        carry: Any = policy.initial_carry(episodes)
        for step in range(max_steps):
            actions, carry = policy.act(
                outcome.observation,
                carry,
                jax.random.fold_in(key, step),
                deterministic,
                start=np.full(episodes, step == 0),
                legal=outcome.legal,
            )
            outcome = reference.step(np.asarray(actions))
            returns += running * outcome.reward
            lengths += running
            ended = running & (outcome.terminated | outcome.truncated)
            if ended.any():
                scores[ended] = suite.score(reference.snapshot(), returns)[ended]
                running &= ~ended
            if not running.any():
                return Played(returns, scores, lengths)
    raise RuntimeError(
        f"{running.sum()} of {episodes} episodes did not end in {max_steps} steps; raise max_steps"
    )


def summary(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Mean, standard error and number of episodes."""
    values = np.asarray(values, np.float64)
    spread = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return {"mean": float(values.mean()), "stderr": float(spread), "episodes": len(values)}

"""Where policies of a plan play: each side, whole episodes, seeds by name."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from ...train.evaluate import Actor
from ..play import DrawTape, Lifted, Played, Recorded, Side, play
from ..suite import Suite, derive_seed
from .plan import TransferPlan


class Dice(NamedTuple):
    """What decides a batch of episodes: the key of the actions and the seed of the side."""

    key: Array
    seed: int


class Pairs(NamedTuple):
    """The same policy, draws and action keys on both sides, `N` pairs.

    theirs, ours: returns float64 [N], clipped to the plan's bounds; tape: the draws; dice: with
    which they were played; longest: steps of the longest episode in the reference.
    """

    theirs: np.ndarray
    ours: np.ndarray
    tape: DrawTape
    dice: Dice
    longest: int

    @property
    def differences(self) -> np.ndarray:
        """float64 [N]: ours minus the reference's."""
        return self.ours - self.theirs


class Arena:
    """Plays the configuration of one plan. unfinished: episodes that were cut off so far."""

    def __init__(self, suite: Suite, plan: TransferPlan, seed: int) -> None:
        self.suite, self.plan, self.seed = suite, plan, seed
        self.env, self.params = suite.environment(plan.variant)
        self.unfinished = 0

    def dice(self, name: str) -> Dice:
        """Not the same for any two names."""
        key = jax.random.key(derive_seed(self.seed, "transfer", name, "actions"))
        return Dice(key, derive_seed(self.seed, "transfer", name, "side"))

    def in_reference(self, actor: Actor, episodes: int, name: str) -> np.ndarray:
        """Returns float64 [episodes] in the reference."""
        with self.suite.reference(self.plan.variant, episodes) as reference:
            side = Recorded(self.suite, reference, self.env, self.params)
            return self._returns(self._play(actor, side, self.dice(name)))

    def in_ours(self, actor: Actor, episodes: int, name: str) -> np.ndarray:
        """Returns float64 [episodes] on our side with draws of its own."""
        side = Lifted(self.env, self.params, episodes)
        return self._returns(self._play(actor, side, self.dice(name)))

    def pairs(self, actor: Actor, episodes: int, name: str) -> Pairs:
        """First the reference, then our side with the draws that it consumed."""
        dice = self.dice(name)
        with self.suite.reference(self.plan.variant, episodes) as reference:
            recorded = Recorded(self.suite, reference, self.env, self.params)
            theirs = self._play(actor, recorded, dice)
        tape = recorded.tape()
        ours = self._play(actor, Lifted(self.env, self.params, episodes, tape), dice)
        return Pairs(
            theirs=self._returns(theirs),
            ours=self._returns(ours),
            tape=tape,
            dice=dice,
            longest=int(theirs.lengths.max()),
        )

    def _play(self, actor: Actor, side: Side, dice: Dice) -> Played:
        played = play(actor, side, dice.key, dice.seed, max_steps=self.plan.max_steps)
        self.unfinished += int((~played.finished).sum())
        return played

    def _returns(self, played: Played) -> np.ndarray:
        return clipped(self.plan, played.returns)


def clipped(plan: TransferPlan, returns: Any) -> np.ndarray:
    """Returns within the plan's bounds, float64."""
    return np.clip(np.asarray(returns, np.float64), *plan.returns)

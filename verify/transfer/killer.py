"""L4's own mutation score: which faults would trained policies' returns show?"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import Environment
from ..play import Lifted
from .arena import clipped
from .equivalence import paired
from .level import Stage

EPISODES = 48
PATIENCE = 1.1
"""How much longer than the reference's longest episode a mutant may play."""

SLACK = 1.05


class TransferKiller:
    """Plays the trained policies in mutants, with the draws of the same episodes in the reference.

    `returns` is a pure function, to be vmapped over the mutants; `killed` judges what it gave. A
    mutant is killed where its returns are not declared equivalent at `margin`: the plan's, or a
    little above the smallest one at which so few episodes can declare the unmutated environment
    equivalent, if that is wider.
    """

    def __init__(self, stage: Stage, episodes: int = EPISODES) -> None:
        """episodes: `N`, rounded up to equal shares of the policies. Plays the reference."""
        self.stage = stage
        share = -(-episodes // stage.team.size) * stage.team.size
        with jax.enable_x64(stage.plan.variant.x64):
            self.pairs = stage.arena.pairs(stage.team, share, "mutants")
        self.num_episodes = share
        self.max_steps = int(self.pairs.longest * PATIENCE) + 1
        rule_of_three = (1 - stage.alpha ** (1 / share)) * stage.largest
        self.margin = max(stage.margin, SLACK * rule_of_three)

    def returns(self, env: Environment, params: Any) -> Array:
        """float32 [N]: one environment's returns."""
        side = Lifted(env, params, self.num_episodes, self.pairs.tape)
        team, dice = self.stage.team, self.pairs.dice

        def advance(loop: Any) -> Any:
            step, carry, memory, seen, returns, running = loop
            actions, memory = team.act(
                seen["observation"],
                memory,
                jax.random.fold_in(dice.key, step),
                False,
                start=jnp.broadcast_to(step == 0, running.shape),
                legal=seen["legal"],
            )
            carry, seen = side.advance(carry, actions)
            returns += jnp.where(running, seen["reward"], 0)
            running &= ~(seen["terminated"] | seen["truncated"])
            return step + 1, carry, memory, seen, returns, running

        def playing(loop: Any) -> Array:
            return (loop[0] < self.max_steps) & loop[-1].any()

        carry, seen = side.begin(jax.random.key(dice.seed))
        loop = (
            jnp.zeros((), jnp.int32),
            carry,
            team.initial_carry(self.num_episodes),
            seen,
            jnp.zeros(self.num_episodes, seen["reward"].dtype),
            jnp.ones(self.num_episodes, bool),
        )
        return jax.lax.while_loop(playing, advance, loop)[-2]

    def killed(self, returns: Any) -> np.ndarray:
        """bool [M] of returns [M, N]. A return that is not a number kills."""
        stage = self.stage
        return np.array(
            [
                not np.isfinite(row).all()
                or not paired(
                    clipped(stage.plan, row) - self.pairs.theirs,
                    self.margin,
                    stage.alpha,
                    stage.largest,
                ).equivalent
                for row in np.asarray(returns)
            ]
        )

"""What L4 trains and plays in generation 1: policies learn by self-play, each side's on that side,
and all of them play against `max_damage` on both.

Showdown tells a player lines of text. What a player has been told is put together here out of
Showdown's snapshots alone, so that policy and opponent see there what `observe` shows.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ...envs.core import Environment
from ...envs.core import Outcome as Result
from ...envs.spaces import Box, Space
from ...references.core import DrawLog, Outcome, Snapshot, SnapshotRefused, VectorReference
from ...references.vector import EPISODE_SEED
from ...train.config import PPOConfig
from ...train.opponents import find_opponents
from ..suite import Suite, Variant
from ..transfer.plan import TransferPlan

SELF_PLAY = Variant("self-play", {"shaping": 1.0})
AGAINST = Variant("against max_damage", {"opponent": "max_damage"})
NUM_PLAYERS, WAITS, NOTHING = 2, 0, -1
SKY_ATTACK = 143

PLAN = TransferPlan(
    variant=AGAINST,
    training=SELF_PLAY,
    config=PPOConfig(
        total_steps=300_000,  # of both players; Showdown plays them as well
        num_envs=256,
        num_steps=32,
        num_epochs=3,
        num_minibatches=8,
        learning_rate=1e-3,
        gamma=1.0,
        hidden_sizes=(128, 64),
        activation="relu",
        normalize_observations=True,
    ),
    seeds=6,
    episodes=4800,
    margin=0.02,
    own_margin=0.2,
    training_margin=0.35,
    why=(
        "With the same seeds two battles are one: what remains is rounding in an observation that "
        "tips a choice, in one game of a hundred at most. A battle's return is 1 or -1, so that "
        "4800 battles a side know their difference to some 4 % of the span, and a fifth is what "
        "they exclude with power. Policies differ by a tenth of the span with their seed alone, "
        "and 400 battles of each tell it to as much. Three of each side, with a power of 0.6, did "
        "not show that neither teaches a third less than the other; there are six."
    ),
    returns=(-1.0, 1.0),
    max_steps=150,  # one battle in a thousand is longer; the others wait for it
)


def with_transfer(make: Callable[[], Suite]) -> Callable[[], Suite]:
    """A suite with its plan for L4, and the two variants that the plan needs."""
    return functools.wraps(make)(lambda: _with_transfer(make()))


def _with_transfer(suite: Suite) -> Suite:
    def environment(variant: Variant) -> tuple[Any, Any]:
        if variant.name != AGAINST.name:
            return suite.environment(variant)
        game, params = suite.environment(suite.variants[0])
        return Duel(game, variant.config["opponent"]), params

    def reference(variant: Variant, num_envs: int) -> VectorReference:
        if variant.name == SELF_PLAY.name:
            battles = suite.reference(suite.variants[0], num_envs // NUM_PLAYERS)
            return Seats(Told(suite, battles), variant.config["shaping"])
        if variant.name == AGAINST.name:
            told = Told(suite, suite.reference(suite.variants[0], num_envs))
            return Challenge(told, variant.config["opponent"])
        return suite.reference(variant, num_envs)

    return dataclasses.replace(suite, environment=environment, reference=reference, transfer=PLAN)


def opponent_of(game: str, name: str) -> Callable[[Array, Array, Array], Array]:
    """(seed uint32 [2] of the battle's generator, observation, legal) -> action, of one battle.

    Both sides hold the battle's generator, so dice made of it are the same on both; no opponent
    sees more of it than what it draws.
    """
    opponent = find_opponents(game)[name]

    def answer(seed: Array, observation: Array, legal: Array) -> Array:
        return opponent(jax.random.wrap_key_data(seed), observation, legal)

    return answer


class Duel(Environment[Any, Any, Any]):
    """The game for player 0, a step for each of the game's; the opponent answers as player 1."""

    def __init__(self, game: Any, opponent: str) -> None:
        super().__init__((game, opponent), auto_reset=game.auto_reset)
        self.game, self.answer = game, opponent_of(game.name, opponent)
        self.name, self.version = f"{game.name} against {opponent}", game.version

    @property
    def default_params(self) -> Any:
        return self.game.default_params

    def action_space(self, params: Any = None) -> Space:
        return self.game.action_space(params)

    def observation_space(self, params: Any = None) -> Box:
        return self.game.observation_space(params)

    def sample_reset_draws(self, key: Array, params: Any) -> Any:
        return self.game.sample_reset_draws(key, params)

    def initial(self, draws: Any, params: Any) -> Any:
        return self.game.initial(draws, params)

    def sample_draws(self, key: Array, state: Any, action: Array, params: Any) -> Any:
        return self.game.sample_draws(key, state, action, params)

    def transition(self, state: Any, action: Array, draws: Any, params: Any) -> tuple[Any, Result]:
        seen = self.game.observe(state, params)[1]
        answer = self.answer(state.seed, seen, self.game.legal_actions(state, params)[1])
        actions = jnp.stack([action, answer])
        state, outcome = self.game.transition(state, actions, draws, params)
        return state, outcome.replace(reward=outcome.reward[0])

    def observe(self, state: Any, params: Any) -> Array:
        return self.game.observe(state, params)[0]

    def legal_actions(self, state: Any, params: Any) -> Array:
        return self.game.legal_actions(state, params)[0]

    def render(self, state: Any, params: Any = None) -> np.ndarray:
        return self.game.render(state, params)


class Told:
    """Battles of Showdown and what both players have been told: `observation`, float32 [G, 2, N];
    `legal`, bool [G, 2, A], of a player who waits the first action alone; `seed`, uint32 [G, 2];
    `standing`, float32 [G, 2], see the environment; all of now.
    """

    def __init__(self, suite: Suite, battles: VectorReference) -> None:
        self.battles = battles
        game, params = suite.environment(suite.variants[0])
        self.game, self.params = game, params

        def view(fields: Any, seen: Array) -> tuple[Array, Array]:
            from ...envs.pokemon.gen1.env import standing

            state = suite.state(fields, params).replace(seen=seen)
            return game.observe(state, params), standing(state, params)

        self._view = jax.jit(jax.vmap(view))

    def reset(self, seed: int) -> None:
        self.outcome = self.battles.reset(seed)
        self._look(np.ones(len(self.outcome.terminated), bool))

    def step(self, actions: np.ndarray) -> None:
        """actions: int [G, 2], of players who wait any."""
        asked = self.request != WAITS
        self.outcome = self.battles.step(np.where(asked, actions, NOTHING))
        self._look(self.outcome.terminated)

    def _look(self, begins: np.ndarray) -> None:
        """begins: bool [G], battles of which nobody has seen anything yet."""
        now = {k: v for k, v in self.battles.snapshot().items() if k != EPISODE_SEED}
        begins = begins[:, None, None]
        active = np.arange(now["hp"].shape[2]) == now["order"][:, :, :1]
        if not hasattr(self, "_full"):
            self._full, self._came = now["base_pp"], np.zeros(active.shape, bool)
            self._announced = np.zeros(self._full.shape, bool)
        self._came = np.where(begins, False, self._came) | active
        self._full = np.where(begins[..., None], now["base_pp"], self._full)
        # What a move costs is paid when it is announced, but of the one that strikes a turn later.
        place = np.arange(self._full.shape[3]) == now["last_selected_move_slot"][..., None]
        last = place & (now["last_enemy_move"] == SKY_ATTACK)[..., None]
        charged = (now["team_moves"] == SKY_ATTACK) & active[..., None] & last[:, :, None]
        paid = now["base_pp"] != self._full
        announced = np.where(begins[..., None], False, self._announced)
        self._announced = announced | charged | paid
        bits = np.concatenate([self._announced, self._came[..., None]], 3)
        bits = bits.reshape(*bits.shape[:2], -1)
        seen = (bits << np.arange(bits.shape[2])).sum(2).astype(np.uint32)
        self.observation, self.standing = jax.device_get(self._view(now, seen))
        self.request, self.seed = now["request"], now["seed"]
        legal = self.outcome.legal
        assert legal is not None
        first = np.arange(legal.shape[2]) == 0
        self.legal = np.where((self.request == WAITS)[..., None], first, legal)


class _OfPlayers(VectorReference):
    """Battles as instances that choose one action each."""

    def __init__(self, told: Told) -> None:
        self.told = told
        battles = told.battles
        self.name, self.version = battles.name, battles.version
        self.draw_sites, self.draw_bounds = battles.draw_sites, battles.draw_bounds

    def draws(self) -> DrawLog:
        return self.told.battles.draws()

    def snapshot(self) -> dict[str, np.ndarray]:
        return self.told.battles.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        raise SnapshotRefused(
            "a snapshot does not hold what the players were told; play from reset"
        )

    def close(self) -> None:
        self.told.battles.close()


class Seats(_OfPlayers):
    """Two instances a battle, its players; rewards are shaped as the environment's are."""

    def __init__(self, told: Told, shaping: float) -> None:
        super().__init__(told)
        self.num_envs, self.shaping = NUM_PLAYERS * told.battles.num_envs, shaping

    def reset(self, seed: int) -> Outcome:
        self.told.reset(seed)
        return self._outcome(np.zeros_like(self.told.standing))

    def step(self, actions: np.ndarray) -> Outcome:
        before = self.told.standing
        self.told.step(actions.reshape(-1, NUM_PLAYERS))
        over = self.told.outcome.terminated[:, None]
        return self._outcome(np.where(over, 0, self.told.standing) - before)

    def _outcome(self, rise: np.ndarray) -> Outcome:
        told = self.told
        observation, legal, reward = (
            x.reshape(self.num_envs, *x.shape[2:])
            for x in (told.observation, told.legal, told.outcome.reward + self.shaping * rise)
        )
        return Outcome(
            observation=observation,
            reward=reward.astype(np.float32),
            terminated=np.repeat(told.outcome.terminated, NUM_PLAYERS),
            truncated=np.repeat(told.outcome.truncated, NUM_PLAYERS),
            legal=legal,
        )


class Challenge(_OfPlayers):
    """An instance a battle, player 0; the opponent answers as player 1."""

    def __init__(self, told: Told, opponent: str) -> None:
        super().__init__(told)
        self.num_envs = told.battles.num_envs
        self._answer = jax.jit(jax.vmap(opponent_of(told.game.name, opponent)))

    def reset(self, seed: int) -> Outcome:
        self.told.reset(seed)
        return self._outcome()

    def step(self, actions: np.ndarray) -> Outcome:
        told = self.told
        answers = self._answer(told.seed, told.observation[:, 1], told.legal[:, 1])
        told.step(np.stack([actions, np.asarray(answers)], 1))
        return self._outcome()

    def _outcome(self) -> Outcome:
        told = self.told
        return Outcome(
            observation=told.observation[:, 0],
            reward=told.outcome.reward[:, 0],
            terminated=told.outcome.terminated,
            truncated=told.outcome.truncated,
            legal=told.legal[:, 0],
        )

"""Toy environments and games: small enough to work out by hand what they must do."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs import Box, Discrete, Environment, Outcome
from simlift.envs.core import AutoReset
from simlift.envs.game import Game

STAY, STEP, STOP = range(3)


@dataclasses.dataclass(frozen=True)
class WalkConfig:
    length: int = 4


@struct.dataclass(frozen=True, kw_only=True)
class WalkParams:
    stop_probability: Array = struct.field(default_factory=lambda: jnp.float32(0.2))
    spread: Array = struct.field(default_factory=lambda: jnp.float32(1))
    time_limit: Array = struct.field(default_factory=lambda: jnp.int32(1000))


@struct.dataclass(frozen=True, kw_only=True)
class WalkState:
    start: Array  # float32 [length]  drawn anew for each episode
    position: Array  # int32 []
    time: Array  # int32 []


@struct.dataclass(frozen=True, kw_only=True)
class WalkDraws:
    uniform: Array  # float32 [length] in [0, 1)


class Walk(Environment[WalkState, WalkParams, WalkDraws]):
    """Ends at random, with STOP, or at a time limit. Observation: start, position, time."""

    name = "Walk-v0"
    version = 0

    def __init__(self, *, length: int = 4, auto_reset: AutoReset = "select") -> None:
        super().__init__(WalkConfig(length), auto_reset=auto_reset)

    @property
    def default_params(self) -> WalkParams:
        return WalkParams()

    def action_space(self, params: WalkParams | None = None) -> Discrete:
        return Discrete(3)

    def observation_space(self, params: WalkParams | None = None) -> Box:
        return Box(0.0, 1000.0, (self.config.length + 2,), np.float32)

    def sample_reset_draws(self, key: Array, params: WalkParams) -> WalkDraws:
        return WalkDraws(uniform=jax.random.uniform(key, (self.config.length,), jnp.float32))

    def initial(self, draws: WalkDraws, params: WalkParams) -> WalkState:
        zero = jnp.zeros((), jnp.int32)
        return WalkState(start=draws.uniform * params.spread, position=zero, time=zero)

    def sample_draws(
        self, key: Array, state: WalkState, action: Array, params: WalkParams
    ) -> WalkDraws:
        return self.sample_reset_draws(key, params)

    def transition(
        self, state: WalkState, action: Array, draws: WalkDraws, params: WalkParams
    ) -> tuple[WalkState, Outcome]:
        moved = (action == STEP).astype(jnp.int32)
        state = state.replace(position=state.position + moved, time=state.time + 1)
        return state, Outcome(
            reward=action.astype(jnp.float32),
            terminated=(draws.uniform[0] < params.stop_probability) | (action == STOP),
            draws_used={"uniform": jnp.ones((), jnp.int32)},
            info={"time": state.time, "moved": moved.astype(bool)},
        )

    def is_truncated(self, state: WalkState, params: WalkParams) -> Array:
        return state.time >= params.time_limit

    def observe(self, state: WalkState, params: WalkParams) -> Array:
        counters = jnp.stack([state.position, state.time]).astype(jnp.float32)
        return jnp.concatenate([state.start, counters])

    def render(self, state: WalkState, params: WalkParams | None = None) -> np.ndarray:
        picture = np.zeros((8, 16, 3), np.uint8)
        picture[:, int(state.position) % 16] = 255
        return picture


class Glide(Walk):
    """`Walk` with a continuous action, float32 [2] in [-1, 1]; positive moves."""

    name = "Glide-v0"

    def action_space(self, params: WalkParams | None = None) -> Any:
        return Box(-1.0, 1.0, (2,), np.float32)

    def transition(
        self, state: WalkState, action: Array, draws: WalkDraws, params: WalkParams
    ) -> tuple[WalkState, Outcome]:
        return super().transition(state, (action[0] > 0).astype(jnp.int32), draws, params)


@struct.dataclass(frozen=True, kw_only=True)
class DuelState:
    hands: Array  # int32 [P]  hidden from the other player
    last: Array  # int32 [P]  last action, -1 before the first
    round: Array  # int32 []


class Duel(Game[DuelState, None, Array]):
    """Simultaneous rock, paper, scissors over 3 rounds; nobody may repeat the last action.

    Each player holds a hand in 0..8 that only its owner sees. Observation: own hand, own last
    action, the other's last action, round. The winner of a round takes 1 from the loser.
    """

    name = "Duel-v0"
    version = 0
    num_players = 2
    default_params = None

    def action_space(self, params: None = None) -> Discrete:
        return Discrete(3)

    def observation_space(self, params: None = None) -> Box:
        return Box(-1.0, 8.0, (4,), np.float32)

    def sample_reset_draws(self, key: Array, params: None) -> Array:
        return jax.random.randint(key, (2,), 0, 9, jnp.int32)

    def initial(self, draws: Array, params: None) -> DuelState:
        return DuelState(
            hands=draws, last=jnp.full(2, -1, jnp.int32), round=jnp.zeros((), jnp.int32)
        )

    def sample_draws(self, key: Array, state: DuelState, action: Array, params: None) -> Array:
        return jnp.zeros((2,), jnp.int32)

    def transition(
        self, state: DuelState, action: Array, draws: Array, params: None
    ) -> tuple[DuelState, Outcome]:
        margin = jnp.array([0, 1, -1], jnp.int32)[(action[0] - action[1]) % 3].astype(jnp.float32)
        state = state.replace(last=action, round=state.round + 1)
        return state, Outcome(
            reward=jnp.stack([margin, -margin]),
            terminated=state.round == 3,
            draws_used={},
            info={"round": state.round},
        )

    def legal_actions(self, state: DuelState, params: None) -> Array:
        return state.last[:, None] != jnp.arange(3, dtype=jnp.int32)[None]

    def observe(self, state: DuelState, params: None) -> Array:
        rounds = jnp.stack([state.round, state.round])
        view = jnp.stack([state.hands, state.last, state.last[::-1], rounds], axis=1)
        return view.astype(jnp.float32)

    def render(self, state: DuelState, params: None = None) -> np.ndarray:
        return np.zeros((8, 16, 3), np.uint8)


class LeakyDuel(Duel):
    """A `Duel` whose players see the other's hand instead of their own."""

    def observe(self, state: DuelState, params: None) -> Array:
        return super().observe(state.replace(hands=state.hands[::-1]), params)


@struct.dataclass(frozen=True, kw_only=True)
class NimParams:
    heap: Array = struct.field(default_factory=lambda: jnp.int32(10))
    move_limit: Array = struct.field(default_factory=lambda: jnp.int32(1000))


@struct.dataclass(frozen=True, kw_only=True)
class NimState:
    heap: Array  # int32 []
    turn: Array  # int32 []  0 or 1
    moves: Array  # int32 []


class Nim(Game[NimState, NimParams, Array]):
    """Alternating: take 1 to 3 (action + 1, no more than there are); who takes the last one wins.

    A coin decides who begins. Observation: heap, whether it is my turn.
    """

    name = "Nim-v0"
    version = 0
    num_players = 2

    @property
    def default_params(self) -> NimParams:
        return NimParams()

    def action_space(self, params: NimParams | None = None) -> Discrete:
        return Discrete(3)

    def observation_space(self, params: NimParams | None = None) -> Box:
        return Box(0.0, 100.0, (2,), np.float32)

    def sample_reset_draws(self, key: Array, params: NimParams) -> Array:
        return jax.random.bernoulli(key).astype(jnp.int32)

    def initial(self, draws: Array, params: NimParams) -> NimState:
        return NimState(heap=params.heap, turn=draws, moves=jnp.zeros((), jnp.int32))

    def sample_draws(self, key: Array, state: NimState, action: Array, params: NimParams) -> Array:
        return jnp.zeros((), jnp.int32)

    def transition(
        self, state: NimState, action: Array, draws: Array, params: NimParams
    ) -> tuple[NimState, Outcome]:
        taken = jnp.minimum(jnp.where(state.turn == 0, action[0], action[1]) + 1, state.heap)
        heap = state.heap - taken
        won = heap == 0
        win = jnp.where(jnp.arange(2) == state.turn, jnp.float32(1), jnp.float32(-1))
        return (
            NimState(heap=heap, turn=1 - state.turn, moves=state.moves + 1),
            Outcome(
                reward=jnp.where(won, win, jnp.float32(0)),
                terminated=won,
                draws_used={},
                info={"taken": taken},
            ),
        )

    def is_truncated(self, state: NimState, params: NimParams) -> Array:
        return state.moves >= params.move_limit

    def to_act(self, state: NimState, params: NimParams) -> Array:
        return jnp.arange(2) == state.turn

    def legal_actions(self, state: NimState, params: NimParams) -> Array:
        enough = jnp.arange(1, 4) <= jnp.maximum(state.heap, 1)
        return enough[None] | ~self.to_act(state, params)[:, None]

    def observe(self, state: NimState, params: NimParams) -> Array:
        heap = jnp.stack([state.heap, state.heap])
        mine = self.to_act(state, params).astype(jnp.int32)
        return jnp.stack([heap, mine], axis=1).astype(jnp.float32)

    def render(self, state: NimState, params: NimParams | None = None) -> np.ndarray:
        return np.zeros((8, 16, 3), np.uint8)

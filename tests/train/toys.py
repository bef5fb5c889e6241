"""Toy environments whose best return is known, each for one thing that training can get wrong."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from simlift.envs import Box, Discrete, Environment, Game, Outcome
from simlift.envs.spaces import Space

NO_DRAWS: dict[str, Array] = {}


@struct.dataclass(frozen=True, kw_only=True)
class ToyState:
    cue: Array  # int32 []
    time: Array  # int32 []
    mistakes: Array  # int32 []


@struct.dataclass(frozen=True, kw_only=True)
class ToyParams:
    limit: Array = struct.field(default_factory=lambda: jnp.int32(4))


class Toy(Environment[ToyState, ToyParams, Array]):
    """A cue drawn for each step, and a clock."""

    version = 0
    num_cues = 2

    @property
    def name(self) -> str:  # type: ignore[override]
        return type(self).__name__

    @property
    def default_params(self) -> ToyParams:
        return ToyParams()

    def action_space(self, params: ToyParams | None = None) -> Space:
        return Discrete(2)

    def observation_space(self, params: ToyParams | None = None) -> Box:
        return Box(-1.0, 4.0, (2,), np.float32)

    def sample_reset_draws(self, key: Array, params: ToyParams) -> Array:
        return jax.random.randint(key, (), 0, self.num_cues, jnp.int32)

    def initial(self, draws: Array, params: ToyParams) -> ToyState:
        return ToyState(cue=draws, time=jnp.int32(0), mistakes=jnp.int32(0))

    def sample_draws(self, key: Array, state: ToyState, action: Array, params: ToyParams) -> Array:
        return self.sample_reset_draws(key, params)

    def render(self, state: ToyState, params: ToyParams | None = None) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)

    def observe(self, state: ToyState, params: ToyParams) -> Array:
        return jnp.stack([state.cue, state.time]).astype(jnp.float32)


def outcome(reward: Array, terminated: Any = False, **info: Array) -> Outcome:
    return Outcome(
        reward=reward.astype(jnp.float32),
        terminated=jnp.asarray(terminated, bool),
        draws_used=NO_DRAWS,
        info=info,
    )


class Recall(Toy):
    """The cue is shown at the start only; the last action should repeat it.

    Worth 1 with a memory and 1/2 without.
    """

    def transition(
        self, state: ToyState, action: Array, draws: Array, params: ToyParams
    ) -> tuple[ToyState, Outcome]:
        time = state.time + 1
        over = time == params.limit
        return state.replace(time=time), outcome(over & (action == state.cue), over)

    def observe(self, state: ToyState, params: ToyParams) -> Array:
        cue = jnp.where(state.time == 0, 2 * state.cue - 1, 0)
        return jnp.stack([cue, state.time]).astype(jnp.float32)


class Stay(Toy):
    """Staying pays 1 and is cut off by a time limit; leaving pays 2 and is the end.

    With discount 0.9 staying is worth 10, but only to those who look beyond the time limit.
    """

    def transition(
        self, state: ToyState, action: Array, draws: Array, params: ToyParams
    ) -> tuple[ToyState, Outcome]:
        leave = action == 1
        return state.replace(time=state.time + 1), outcome(jnp.where(leave, 2, 1), leave)

    def is_truncated(self, state: ToyState, params: ToyParams) -> Array:
        return state.time >= params.limit

    def observe(self, state: ToyState, params: ToyParams) -> Array:
        return jnp.ones(2, jnp.float32)


class Clock(Stay):
    """The same, and the clock is seen: the final observation is unlike any first one."""

    def observe(self, state: ToyState, params: ToyParams) -> Array:
        return Toy.observe(self, state, params)


class Masked(Toy):
    """Of four actions the cue allows two, and the second one pays 1. Counts illegal actions."""

    num_cues = 4

    def action_space(self, params: ToyParams | None = None) -> Space:
        return Discrete(4)

    def legal_actions(self, state: ToyState, params: ToyParams) -> Array:
        return jnp.isin((jnp.arange(4) - state.cue) % 4, jnp.arange(2))

    def transition(
        self, state: ToyState, action: Array, draws: Array, params: ToyParams
    ) -> tuple[ToyState, Outcome]:
        legal = self.legal_actions(state, params)[action]
        paid = action == (state.cue + 1) % 4
        mistakes = state.mistakes + (~legal).astype(jnp.int32)
        state = ToyState(cue=draws, time=state.time + 1, mistakes=mistakes)
        return state, outcome(paid, state.time == params.limit, mistakes=mistakes)


class Target(Toy):
    """One step: the action, -1 .. 3, should be the cue, 0 or 1; costs the squared distance."""

    def action_space(self, params: ToyParams | None = None) -> Space:
        return Box(-1.0, 3.0, (), np.float32)

    def transition(
        self, state: ToyState, action: Array, draws: Array, params: ToyParams
    ) -> tuple[ToyState, Outcome]:
        reward = -jnp.square(action - state.cue.astype(jnp.float32))
        return state.replace(time=state.time + 1), outcome(reward, True, action=action)


class Coin(Toy):
    """An episode lasts 1 step or `limit` steps, evenly; the return is its length."""

    def transition(
        self, state: ToyState, action: Array, draws: Array, params: ToyParams
    ) -> tuple[ToyState, Outcome]:
        time = state.time + 1
        over = (state.cue == 0) | (time == params.limit)
        return state.replace(time=time), outcome(jnp.ones(()), over, cue=state.cue)


@struct.dataclass(frozen=True, kw_only=True)
class BidState:
    cap: Array  # int32 []
    time: Array  # int32 []
    total: Array  # int32 [P]
    mistakes: Array  # int32 []


class Bids(Game[BidState, ToyParams, Array]):
    """Two players bid up to a cap that is drawn for each step: the first alone, the second alone,
    then both. Who bid more in all wins. Counts illegal bids and, of who waits, any but 0."""

    name, version = "Bids-v0", 0

    @property
    def num_players(self) -> int:
        return 2

    @property
    def default_params(self) -> ToyParams:
        return ToyParams()

    def action_space(self, params: ToyParams | None = None) -> Space:
        return Discrete(3)

    def observation_space(self, params: ToyParams | None = None) -> Box:
        return Box(-1.0, 4.0, (2,), np.float32)

    def sample_reset_draws(self, key: Array, params: ToyParams) -> Array:
        return jax.random.randint(key, (), 1, 3, jnp.int32)

    def initial(self, draws: Array, params: ToyParams) -> BidState:
        zero = jnp.int32(0)
        return BidState(cap=draws, time=zero, total=jnp.zeros(2, jnp.int32), mistakes=zero)

    def sample_draws(self, key: Array, state: BidState, action: Array, params: ToyParams) -> Array:
        return self.sample_reset_draws(key, params)

    def transition(
        self, state: BidState, action: Array, draws: Array, params: ToyParams
    ) -> tuple[BidState, Outcome]:
        acts = self.to_act(state, params)
        wrong = jnp.where(acts, action > state.cap, action != 0)
        mistakes = state.mistakes + wrong.sum(dtype=jnp.int32)
        total = state.total + jnp.where(acts, action, 0)
        over = state.time == 2
        lead = jnp.sign(total - total[::-1])
        after = BidState(cap=draws, time=state.time + 1, total=total, mistakes=mistakes)
        return after, outcome(jnp.where(over, lead, 0), over, mistakes=mistakes)

    def to_act(self, state: BidState, params: ToyParams) -> Array:
        return (state.time == np.arange(2)) | (state.time == 2)

    def legal_actions(self, state: BidState, params: ToyParams) -> Array:
        """As if everybody bid: it does not say who waits."""
        return jnp.broadcast_to(jnp.arange(3) <= state.cap, (2, 3))

    def observe(self, state: BidState, params: ToyParams) -> Array:
        cap = jnp.broadcast_to(state.cap, 2)
        return jnp.stack([cap, state.total], axis=1).astype(jnp.float32)

    def render(self, state: BidState, params: ToyParams | None = None) -> np.ndarray:
        return np.zeros((1, 1, 3), np.uint8)


class Stakes(Bids):
    """Real numbers are bid."""

    def action_space(self, params: ToyParams | None = None) -> Space:
        return Box(0.0, 1.0, (), np.float32)

"""Puffer Pong as an `Environment`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..core import AutoReset, Environment, Outcome
from ..spaces import Box, Discrete, Space
from . import draws as draws_module
from . import dynamics
from .observe import OBSERVATION_SIZE, observe
from .render import render
from .state import Config, Draws, Params, State


class Pong(Environment[State, Params, Draws]):
    """PufferLib 3.0.0's Pong, bit for bit. The agent is the right paddle; 21 points end the game.

    Actions: Discrete(3), 0 stay, 1 up, 2 down; or a float32 direction in [-1, 1] with
    `continuous=True`. Observation: float32 [8], see `observe`. Rewards: +1 and -1 a point, +0.1
    when the agent's paddle hits the ball. Never truncates. Source of the mechanics, quirks and
    claim: README.md beside this file.
    """

    name = "PufferPong-v0"
    version = 0
    config: Config

    def __init__(
        self, *, frameskip: int = 1, continuous: bool = False, auto_reset: AutoReset = "select"
    ) -> None:
        super().__init__(Config(frameskip=frameskip, continuous=continuous), auto_reset=auto_reset)

    @property
    def default_params(self) -> Params:
        return Params()

    def action_space(self, params: Params | None = None) -> Space:
        if self.config.continuous:
            return Box(-1.0, 1.0, (), np.float32)
        return Discrete(3)

    def observation_space(self, params: Params | None = None) -> Box:
        """Upstream declares [0, 1]; a ball past a wall or an edge leaves that by one frame's
        movement."""
        p = self.default_params if params is None else params
        low = np.zeros(OBSERVATION_SIZE, np.float32)
        high = np.ones(OBSERVATION_SIZE, np.float32)
        low[2] = -p.ball_initial_speed_x / p.width
        low[3] = -p.ball_max_speed_y / p.height
        return Box(low, high, (OBSERVATION_SIZE,), np.float32)

    def sample_reset_draws(self, key: Array, params: Params) -> Draws:
        return draws_module.sample_draws(key)

    def initial(self, draws: Draws, params: Params) -> State:
        return dynamics.start(draws.serve, params)

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> Draws:
        return draws_module.sample_draws(key)

    def sample_step(
        self, key: Array, state: State, action: Array, params: Params
    ) -> tuple[Draws, Draws]:
        return draws_module.sample_step(key)

    def transition(
        self, state: State, action: Array, draws: Draws, params: Params
    ) -> tuple[State, Outcome]:
        """`frameskip` frames; a point ends the step early.  upstream: c_step

        ``info``: rally_ticks int32 [], steps since the serve, and score_l, score_r int16 [].
        """
        paddle_dir = dynamics.direction(action, self.config.continuous)
        state = dynamics.deliver_serve(state, params)
        tick = state.tick + 1
        state = state.replace(tick=tick)
        step_frame = functools.partial(dynamics.step_frame, paddle_dir=paddle_dir, params=params)
        if self.config.frameskip == 1:
            state, frame = step_frame(state)
        else:
            state, frame = self._step_frames(step_frame, state)
        state = dynamics.keep_score(state, frame, draws.serve)
        point = frame.won | frame.lost
        leading = jnp.maximum(state.score_l, state.score_r).astype(jnp.int32)
        terminated = point & (leading == params.max_score)
        return state, Outcome(
            reward=frame.reward,
            terminated=terminated,
            # A game that is over serves no more: that coin belongs to the reset.
            draws_used={"serve": (point & ~terminated).astype(jnp.int32)},
            info={"rally_ticks": tick, "score_l": state.score_l, "score_r": state.score_r},
        )

    def _step_frames(
        self, step_frame: functools.partial, state: State
    ) -> tuple[State, dynamics.Frame]:
        """A hit's reward stands until a point overwrites it.

        A point leaves the state as it was, so any frames that are left make the same point again:
        that is how they are dropped.
        """
        idle = dynamics.Frame(
            reward=jnp.zeros((), jnp.float32), won=jnp.zeros((), bool), lost=jnp.zeros((), bool)
        )

        def body(_: int, carry: tuple[State, dynamics.Frame]) -> tuple[State, dynamics.Frame]:
            state, so_far = carry
            state, frame = step_frame(state)
            reward = jnp.where(frame.reward != 0, frame.reward, so_far.reward)
            return state, frame._replace(reward=reward)

        return jax.lax.fori_loop(0, self.config.frameskip, body, (state, idle))

    def observe(self, state: State, params: Params) -> Array:
        return observe(state, params)

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        return render(state, self.default_params if params is None else params)

"""HalfCheetah as an `Environment`."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from ..core import AutoReset, Environment, Outcome
from ..spaces import Box
from . import draws as draws_module
from . import dynamics
from .kernel import simulate
from .observe import observe
from .render import render
from .state import Config, Draws, Kernel, Params, State


class HalfCheetah(Environment[State, Params, Any]):
    """Gymnasium's HalfCheetah-v5: a planar cheetah of seven links; run forward.

    Actions: Box(-1, 1, (6,)), torques of the motors as parts of their greatest. Observation: float
    [17], or [18] with the torso's x, see `observe`. Reward: speed forward less a cost of the
    action. Never terminates, truncates after 1000 steps. Source of the mechanics, quirks and
    claim: README.md beside this file.
    """

    name = "HalfCheetah-v5"
    version = 0
    config: Config

    def __init__(
        self,
        *,
        frame_skip: int = 5,
        exclude_current_positions_from_observation: bool = True,
        kernel: Kernel = "auto",
        auto_reset: AutoReset = "select",
    ) -> None:
        config = Config(
            frame_skip=frame_skip,
            exclude_current_positions_from_observation=exclude_current_positions_from_observation,
            kernel=kernel,
        )
        super().__init__(config, auto_reset=auto_reset)

    @property
    def default_params(self) -> Params:
        return Params()

    def action_space(self, params: Params | None = None) -> Box:
        return Box(-1.0, 1.0, (6,), np.float32)

    def observation_space(self, params: Params | None = None) -> Box:
        size = 18 - self.config.exclude_current_positions_from_observation
        return Box(-np.inf, np.inf, (size,), jnp.result_type(float))

    def sample_reset_draws(self, key: Array, params: Params) -> Draws:
        return draws_module.sample_reset_draws(key)

    def initial(self, draws: Draws, params: Params) -> State:
        """upstream: reset_model"""
        scale = params.reset_noise_scale
        return State(
            qpos=(2 * draws.qpos - 1) * scale,
            qvel=scale * draws.qvel,
            qacc_warmstart=jnp.zeros_like(draws.qvel),
            elapsed_steps=jnp.zeros((), jnp.int32),
        )

    def sample_draws(self, key: Array, state: State, action: Array, params: Params) -> None:
        """A step draws nothing."""

    def sample_step(
        self, key: Array, state: State, action: Array, params: Params
    ) -> tuple[None, Draws]:
        return None, draws_module.sample_reset_draws(key)

    def transition(
        self, state: State, action: Array, draws: None, params: Params
    ) -> tuple[State, Outcome]:
        """`frame_skip` physics steps of 0.01 s.  upstream: HalfCheetahEnv.step"""
        ctrl = action.astype(state.qpos.dtype)
        qpos, qvel, qacc, advance, failures = simulate(
            state.qpos, state.qvel, state.qacc_warmstart, ctrl, self.config
        )
        after = State(
            qpos=qpos,
            qvel=qvel,
            qacc_warmstart=qacc,
            elapsed_steps=state.elapsed_steps + 1,
        )
        x_velocity, reward_forward, reward_ctrl = dynamics.rewards(
            advance, action, self.config.frame_skip, params
        )
        return after, Outcome(
            reward=(reward_forward + reward_ctrl).astype(jnp.float32),
            terminated=jnp.zeros((), bool),
            draws_used={site: jnp.zeros((), jnp.int32) for site in draws_module.SITES},
            info={
                "x_position": after.qpos[0],
                "x_velocity": x_velocity,
                "reward_forward": reward_forward,
                "reward_ctrl": reward_ctrl,
                "solver_failures": failures,
            },
        )

    def is_truncated(self, state: State, params: Params) -> Array:
        return state.elapsed_steps >= params.max_episode_steps

    def observe(self, state: State, params: Params) -> Array:
        return observe(state, self.config.exclude_current_positions_from_observation)

    def render(self, state: State, params: Params | None = None) -> np.ndarray:
        return render(state)

"""MuJoCo's C, many cheetahs at once, by MuJoCo's own `rollout`."""

import importlib
from typing import Any

import numpy as np

from ..references.half_cheetah.physics import NUM_JOINTS, NUM_MOTORS, compiled_model, load_mujoco

FRAME_SKIP = 5
EPISODE_STEPS = 1000
NOISE = 0.1
CHUNK_STEPS = 100  # longer ones gain nothing, and their arrays leave the caches
FORWARD_REWARD, CTRL_COST = 1.0, 0.1
X = 1  # column of a state, after the time
POSITIONS = slice(X, X + NUM_JOINTS)
VELOCITIES = slice(POSITIONS.stop, POSITIONS.stop + NUM_JOINTS)


class RandomPlay:
    """Gymnasium's half_cheetah.xml under random actions, on `threads` threads.

    Each environment step is FRAME_SKIP physics steps under one action, uniform in [-1, 1); rewards
    and resets are HalfCheetah-v5's. Actions are drawn and states are kept in numpy, in chunks:
    a few per cent of the time. Raises ReferenceUnavailable without MuJoCo.
    """

    def __init__(self, threads: int) -> None:
        mujoco, model = load_mujoco(), compiled_model()
        self._model, self._datas = model, [mujoco.MjData(model) for _ in range(threads)]
        self._size = mujoco.mj_stateSize(model, int(mujoco.mjtState.mjSTATE_FULLPHYSICS))
        self._timestep = float(model.opt.timestep)
        # The calling thread does all the work where there is one.
        rollout = importlib.import_module("mujoco.rollout")
        self._rollout: Any = rollout.Rollout(nthread=threads if threads > 1 else 0)
        self._random = np.random.default_rng(0)
        self._states, self._elapsed = np.empty((0, self._size)), 0

    def __call__(self, num_envs: int, num_steps: int) -> float:
        """Play that many steps of each environment, going on where the last call stopped; returns
        the sum of their rewards."""
        total = 0.0
        while num_steps:
            if len(self._states) != num_envs or self._elapsed == EPISODE_STEPS:
                self._states, self._elapsed = self._reset(num_envs), 0
            length = min(CHUNK_STEPS, num_steps, EPISODE_STEPS - self._elapsed)
            actions = self._random.uniform(-1, 1, (num_envs, length, NUM_MOTORS))
            seen = self._play(self._states, actions)
            x = np.concatenate([self._states[:, None, X], seen[..., X]], axis=1)
            speed = np.diff(x, axis=1) / (FRAME_SKIP * self._timestep)
            total += FORWARD_REWARD * speed.sum() - CTRL_COST * np.square(actions).sum()
            self._states = seen[:, -1].copy()
            self._elapsed += length
            num_steps -= length
        return float(total)

    def close(self) -> None:
        if self._rollout is not None:
            self._rollout.close()
            self._rollout = None

    def _play(self, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
        """The states after each environment step, [B, T, S]."""
        num_envs, length, _ = actions.shape
        seen, _ = self._rollout.rollout(
            self._model, self._datas, states, np.repeat(actions, FRAME_SKIP, axis=1)
        )
        return seen.reshape(num_envs, length, FRAME_SKIP, self._size)[:, :, -1]

    def _reset(self, num_envs: int) -> np.ndarray:
        states = np.zeros((num_envs, self._size))
        states[:, POSITIONS] = self._random.uniform(-NOISE, NOISE, (num_envs, NUM_JOINTS))
        velocities = self._random.standard_normal((num_envs, NUM_JOINTS))
        states[:, VELOCITIES] = NOISE * velocities
        return states

"""Writes its answer into the arrays that it was handed."""

import jax
import numpy as np

from simlift.envs.pong import Pong


class Env(Pong):
    def step(self, key, state, action, params=None):
        result = super().step(key, state, action, params)
        for given, new in zip(jax.tree.leaves(state), jax.tree.leaves(result[1]), strict=True):
            if isinstance(given, np.ndarray):
                given[...] = new
        return result

"""Takes whatever it is given: a wrong action is no action."""

import numpy as np

from simlift.envs.pong import Pong


class Env(Pong):
    def step(self, key, state, action, params=None):
        try:
            return super().step(key, state, action, params)
        except ValueError:
            return super().step(key, state, np.int32(0), params)

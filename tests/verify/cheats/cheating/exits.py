"""Leaves, with the exit code of success."""

import os

from simlift.envs.pong import Pong


class Env(Pong):
    def legal_actions(self, state, params):
        os._exit(0)

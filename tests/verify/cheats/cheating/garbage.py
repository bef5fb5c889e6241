"""Sends nonsense to the judge."""

import os
import sys

from simlift.envs.pong import Pong


class Env(Pong):
    def legal_actions(self, state, params):
        os.write(int(sys.argv[1]), b"\xff" * 64)
        return super().legal_actions(state, params)

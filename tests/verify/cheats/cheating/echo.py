"""Shows the same view over and over."""

from simlift.envs.pong import Pong


class Env(Pong):
    def transition(self, state, action, draws, params):
        return state, super().transition(state, action, draws, params)[1]

"""No cheat: what the harness finds in the others is theirs."""

from simlift.envs.pong import Pong


class Env(Pong):
    """Pong."""

"""Pong. Its source is edited while it is verified."""

from simlift.envs.pong import Pong


class Env(Pong):
    """Pong."""

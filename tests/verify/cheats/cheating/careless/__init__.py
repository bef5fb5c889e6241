"""Several things at once that a person may do without meaning to cheat."""

from . import half_precision, memo_on_the_host, mutates, swallows_errors


class Env(mutates.Env, swallows_errors.Env, half_precision.Env, memo_on_the_host.Env):
    """Pong, and all of that."""

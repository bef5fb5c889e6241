"""The contract of a fast game: an `Environment` of several players, simultaneous or alternating.

`P` players, `A` actions. A game supplies what an environment does (see core.py), with a leading
player axis on actions (int32 [P]), rewards (float32 [P]), observations ([P, ...]) and legal actions
(bool [P, A]), and says whose turn it is. An episode ends for all players together.
"""

import abc
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from .core import DrawsT, ParamsT, Simulator, StateT


class Game(Simulator[StateT, ParamsT, DrawsT]):
    """Two or more players. Calls, checks, auto-reset policies and snapshots are `Simulator`'s:

        reset(key, params)                -> observations [P, ...], state
        step(key, state, actions, params) -> observations [P, ...], state, rewards float32 [P],
                                             terminated bool [], truncated bool [], info

    Every player hands in an action at every step; that of a player who is not to act is ignored,
    and any action of the action space will do. `action_space` and `observation_space` are one
    player's.
    """

    @property
    @abc.abstractmethod
    def num_players(self) -> int:
        """P."""

    @property
    def leading_axes(self) -> tuple[int, ...]:
        return (self.num_players,)

    def to_act(self, state: StateT, params: ParamsT) -> Array:
        """Whose actions the next step reads, bool [P]; everybody's (simultaneous) by default."""
        del state, params
        return jnp.ones(self.num_players, bool)


def check_hidden(
    game: Game[StateT, Any, Any],
    state: StateT,
    permute: Callable[[StateT], StateT],
    player: int,
    params: Any = None,
) -> None:
    """Show that `player` sees nothing of what `permute` changes, given one state (no batch axis).

    `permute` moves what is hidden from `player` to another state that `player` must hold for the
    same. Observation and legal actions of `player`, and whose turn it is, have to stay bit for bit.
    Raises AssertionError with the entries that leak, ValueError when `permute` changes nothing.
    """
    params = game.default_params if params is None else params
    other = permute(state)
    before, after = game.snapshot(state), game.snapshot(other)
    if all(np.array_equal(_bits(before[name]), _bits(after[name])) for name in before):
        raise ValueError(
            f"{game.name}: permute left the state as it was, which shows nothing; "
            "give a state that hides something from the player"
        )
    for what, seen in _views(game, state, player, params).items():
        leaks = np.argwhere(_bits(seen) != _bits(_views(game, other, player, params)[what]))
        if leaks.size:
            raise AssertionError(
                f"{game.name}: player {player} sees what is hidden, {what} {leaks.tolist()}"
            )


def _views(game: Game[Any, Any, Any], state: Any, player: int, params: Any) -> dict[str, Array]:
    return {
        "observation": game.observe(state, params)[player],
        "legal action": game.legal_actions(state, params)[player],
        "turn": game.to_act(state, params),
    }


def _bits(x: Any) -> np.ndarray:
    """`x` on the host, floats by their bit patterns so that NaN equals itself and -0 is not 0."""
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x = jax.random.key_data(x)
    array = np.asarray(x)
    return array.view(f"u{array.itemsize}") if array.dtype.kind in "fV" else array

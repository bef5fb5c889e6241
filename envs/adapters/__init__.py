"""Environments and games in the forms that other libraries expect.

What a form needs besides simlift is imported only when it is asked for.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from jax import Array

from ..core import Environment
from ..game import Game
from .against import Against, Opponent
from .jaxmarl import JaxMARLView

if TYPE_CHECKING:
    import torch

    from .gymnasium import GymnasiumEnv, GymnasiumVectorEnv
    from .gymnax import GymnaxEnv

__all__ = [
    "Against",
    "JaxMARLView",
    "Opponent",
    "against",
    "from_torch",
    "legacy_step",
    "to_gymnasium",
    "to_gymnasium_vector",
    "to_gymnax",
    "to_jaxmarl",
    "to_torch",
]


@contextlib.contextmanager
def _needs(package: str, extra: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(f"{package} is missing: pip install 'simlift[{extra}]'") from error


def to_gymnasium(
    env: Environment, params: Any = None, *, seed: int = 0, render_mode: str | None = None
) -> "GymnasiumEnv":
    """One instance as a `gymnasium.Env`, which never resets by itself.

    seed: where the randomness starts unless `reset` is given one. Raises ImportError without
    gymnasium, ValueError for a render mode other than None and "rgb_array".
    """
    with _needs("gymnasium", "peers"):
        from .gymnasium import GymnasiumEnv
    return GymnasiumEnv(env, params, seed=seed, render_mode=render_mode)


def to_gymnasium_vector(
    env: Environment,
    params: Any = None,
    num_envs: int = 1,
    seed: int = 0,
    *,
    render_mode: str | None = None,
) -> "GymnasiumVectorEnv":
    """`num_envs` instances as a `gymnasium.vector.VectorEnv`, NumPy in and out.

    ``metadata["autoreset_mode"]`` is SAME_STEP, or DISABLED of an environment made with
    auto_reset="none". Instance i is seeded `seed + i`, as in Gymnasium. Raises ImportError without
    gymnasium, ValueError for num_envs below 1 or a render mode other than None and "rgb_array".
    """
    with _needs("gymnasium", "peers"):
        from .gymnasium import GymnasiumVectorEnv
    return GymnasiumVectorEnv(env, params, num_envs, seed, render_mode=render_mode)


def to_gymnax(env: Environment) -> "GymnaxEnv":
    """A true `gymnax.environments.environment.Environment`, for code that asks `isinstance`.

    Other code for gymnax 1.x takes `env` as it is. Raises ImportError without gymnax.
    """
    with _needs("gymnax", "peers"):
        from .gymnax import GymnaxEnv
    return GymnaxEnv(env)


def legacy_step(env: Environment) -> Callable[..., tuple[Array, Any, Array, Array, dict[str, Any]]]:
    """`env.step` as gymnax 0.x had it: (observation, state, reward, done, info).

    ``info`` keeps `terminated` and `truncated` apart, and `final_observation`.
    """

    def step(
        key: Array, state: Any, action: Any, params: Any = None
    ) -> tuple[Array, Any, Array, Array, dict[str, Any]]:
        observation, state, reward, terminated, truncated, info = env.step(
            key, state, action, params
        )
        info = {**info, "terminated": terminated, "truncated": truncated}
        return observation, state, reward, terminated | truncated, info

    return step


def to_jaxmarl(game: Game, params: Any = None) -> JaxMARLView:
    """A game with JaxMARL's calls: dicts by agent, ``"__all__"``, `get_avail_actions`."""
    return JaxMARLView(game, params)


def against(
    game: Game, opponent: Opponent, player: int = 0, *, wait_inside: bool = True
) -> Against:
    """One player's view of a two-player game as an `Environment`; `opponent` plays the other.

    opponent: (key, observation, legal_actions bool [A]) -> action int32 [], in JAX; it may be a
    closure over a network's weights. wait_inside: play on within the step until `player` is to act;
    otherwise a step is one of the game's, the action is ignored while the opponent alone is to act,
    and no loop runs, which is faster where such turns are few. Raises ValueError unless the game
    has two players and `player` is one of them.
    """
    return Against(game, opponent, player, wait_inside=wait_inside)


def to_torch(array: Array) -> "torch.Tensor":
    """The array as a tensor on the same device, by DLPack, without a copy.

    The memory is shared and JAX takes arrays for immutable: do not write into the tensor, `clone`
    it first. Raises ImportError without torch.
    """
    with _needs("torch", "torch"):
        from .torch import to_torch
    return to_torch(array)


def from_torch(tensor: "torch.Tensor") -> Array:
    """The tensor as an array on the same device, by DLPack, without a copy where torch allows.

    A tensor that is not contiguous is copied. The memory is shared: do not write into the tensor
    afterwards. Raises ImportError without torch, ValueError for a 64-bit tensor while JAX holds
    only 32 bits.
    """
    with _needs("torch", "torch"):
        from .torch import from_torch
    return from_torch(tensor)

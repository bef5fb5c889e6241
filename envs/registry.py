"""Environments by name."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

from .cart_pole import CartPole
from .core import Environment
from .pong import Pong

_FACTORIES: dict[str, Callable[..., Any]] = {}


def register(name: str, factory: Callable[..., Any]) -> None:
    """Make ``factory(**kwargs)`` available as ``make(name, **kwargs)``.

    Raises ValueError for a name already taken.
    """
    if name in _FACTORIES:
        raise ValueError(f"environment {name!r} is already registered; choose another name")
    _FACTORIES[name] = factory


def make(name: str, **kwargs: Any) -> tuple[Environment, Any]:
    """(environment, its default params), as gymnax's make. Keyword arguments are the environment's.

    Raises ValueError for an unknown name or an unknown argument.
    """
    if name not in _FACTORIES:
        near = difflib.get_close_matches(name, _FACTORIES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {list_environments()}"
        raise ValueError(f"unknown environment {name!r}; {hint}")
    try:
        env = _FACTORIES[name](**kwargs)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    return env, env.default_params


def list_environments() -> Sequence[str]:
    """The names that `make` knows, sorted."""
    return sorted(_FACTORIES)


list = list_environments  # so that registry.list() stands beside registry.make()

register(CartPole.name, CartPole)
register(Pong.name, Pong)

"""Environments by name."""

import difflib
import importlib
from collections.abc import Callable, Sequence
from typing import Any

from .core import Environment

_FACTORIES: dict[str, Callable[..., Any] | str] = {}


def register(name: str, factory: Callable[..., Any] | str) -> None:
    """Make ``factory(**kwargs)`` available as ``make(name, **kwargs)``.

    factory: the class or function, or "module:attribute" of it, imported when it is first made (a
    leading dot: a module of this package). Raises ValueError for a name already taken.
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
        env = _factory(name)(**kwargs)
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    return env, env.default_params


def _factory(name: str) -> Callable[..., Any]:
    factory = _FACTORIES[name]
    if isinstance(factory, str):
        module, _, attribute = factory.partition(":")
        factory = _FACTORIES[name] = getattr(
            importlib.import_module(module, __package__), attribute
        )
    return factory


def list_environments() -> Sequence[str]:
    """The names that `make` knows, sorted."""
    return sorted(_FACTORIES)


list = list_environments  # so that registry.list() stands beside registry.make()

# By name: an environment is imported when it is made.
register("CartPole-v1", ".cart_pole:CartPole")
register("HalfCheetah-v5", ".half_cheetah:HalfCheetah")
register("PokemonGen1-v0", ".pokemon.gen1:PokemonGen1")
register("PufferPong-v0", ".pong:Pong")

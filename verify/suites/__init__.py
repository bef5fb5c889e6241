"""One suite for each system, by the name that the command line uses."""

import dataclasses
import importlib
import os
import sys

from ..suite import Suite


def list_suites() -> list[str]:
    """The systems that simlift has a suite for."""
    return ["cart_pole", "half_cheetah", "pokemon", "pong"]


def get_suite(name: str) -> Suite:
    """One of `list_suites`, or `module:attribute` for a suite of one's own.

    The attribute is a Suite, or a function without arguments that returns one; modules are also
    looked for in the current folder. Raises ValueError for what is not there or is no suite.
    """
    if ":" in name:
        return _imported(name)
    match name:
        case "cart_pole":
            from . import cart_pole

            return cart_pole.suite()
        case "half_cheetah":
            from . import half_cheetah

            return half_cheetah.suite()
        case "pokemon":
            from . import pokemon

            return pokemon.suite()
        case "pong":
            from . import pong

            return pong.suite()
        case _:
            raise ValueError(
                f"there is no suite for {name!r}; there are {list_suites()}, and module:attribute "
                "names one of your own"
            )


def _imported(name: str) -> Suite:
    module_name, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name!r} cannot be loaded: {error}") from error
    suite = found() if callable(found) else found
    if not isinstance(suite, Suite):
        raise ValueError(f"{name!r} is a {type(suite).__name__}, not a simlift.verify.Suite")
    return dataclasses.replace(suite, name=name)  # so that its tapes replay by this name

"""One suite for each system, by the name that the command line uses."""

from ..suite import Suite


def get_suite(name: str) -> Suite:
    """Raises ValueError for a system without a suite."""
    match name:
        case "pong":
            from . import pong

            return pong.suite()
        case _:
            raise ValueError(f"there is no suite for {name!r}; there are {list_suites()}")


def list_suites() -> list[str]:
    return ["pong"]

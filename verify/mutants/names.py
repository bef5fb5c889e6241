"""What names say: the other player, a timer, a number known before the program runs."""

import ast
import dataclasses
import numbers
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import jax
import numpy as np

SIDES = (
    ("l", "r"),
    ("left", "right"),
    ("me", "foe"),
    ("my", "their"),
    ("own", "opp"),
    ("us", "them"),
    ("ours", "theirs"),
    ("self", "other"),
    ("agent", "opponent"),
    ("player", "opponent"),
    ("p1", "p2"),
    ("first", "second"),
)
TIMERS = frozenset(
    [
        *("t", "time", "timer", "timers", "tick", "ticks", "turn", "turns", "step", "steps"),
        *("count", "counter", "cooldown", "clock", "age"),
    ]
)


def is_timer(name: str) -> bool:
    """Whether a field or a variable of this name counts time."""
    return not TIMERS.isdisjoint(name.lower().split("_"))


def other_sides(name: str) -> Iterator[str]:
    """Names that differ from `name` only by the side they speak of."""
    words = name.split("_")
    for a, b in (*SIDES, *((b, a) for a, b in SIDES)):
        for i, word in enumerate(words):
            if word == a:
                yield "_".join([*words[:i], b, *words[i + 1 :]])
    for a, b in (("l", "r"), ("r", "l")):  # paddle_yl, paddle_yr
        if name.endswith(a) and len(words[-1]) == 2:
            yield name[:-1] + b


@dataclasses.dataclass(frozen=True)
class Scope:
    """What is known about the names of one module: its own globals as imported, unmutated, and
    every identifier that the translation uses."""

    module: ModuleType
    package: str
    vocabulary: frozenset[str]

    def value(self, node: ast.expr) -> Any:
        """The number, array, class or function that a global name or `Class.NAME` stands for, else
        None."""
        if isinstance(node, ast.Name):
            return vars(self.module).get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.value(node.value)
            if isinstance(base, type | ModuleType):
                return getattr(base, node.attr, None)
        return None

    def number(self, node: ast.expr) -> int | float | None:
        """The value of a constant of the module, of another one or of a class."""
        value = self.value(node)
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            return None
        return int(value) if isinstance(value, numbers.Integral) else float(value)

    def table(self, node: ast.expr) -> np.ndarray | None:
        """The constant array that a name stands for."""
        value = self.value(node)
        if isinstance(value, np.ndarray | jax.Array) and value.ndim and value.dtype.kind in "biuf":
            return np.asarray(value)
        return None

    def is_rule(self, node: ast.expr) -> bool:
        """Whether a call goes to a function of the translation itself."""
        value = self.value(node)
        home = getattr(value, "__module__", None) or ""
        return callable(value) and not isinstance(value, type) and self._within(home)

    def is_class(self, node: ast.expr) -> bool:
        """Whether a call makes a state, a frame or another class of the package."""
        value = self.value(node)
        return isinstance(value, type) and self._within(value.__module__)

    def _within(self, home: str) -> bool:
        return home == self.package or home.startswith(self.package + ".")

    def others(self, name: str, known: Mapping[str, Any] | frozenset[str]) -> list[str]:
        """The names among `known` that are `name` for the other player."""
        return list(dict.fromkeys(n for n in other_sides(name) if n in known and n != name))


def identifiers(tree: ast.AST) -> frozenset[str]:
    """Every field, argument and keyword that a module mentions."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.keyword | ast.arg) and node.arg:
            found.add(node.arg)
    return frozenset(found)

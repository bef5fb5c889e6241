"""What rewritten modules call: the choice between an original and its mutants, and edits that need
more than syntax. They know this module as `_mutants`.

No mutant is active outside `active`, and then every module does as its source says.
"""

import contextlib
import contextvars
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

Thunk = Callable[[], Any]


class NotAMutant(Exception):
    """An edit that has no meaning for this value, e.g. a narrower bool."""


class CannotChoose(Exception):
    """Two values between which no array can choose: they differ in structure, shape or dtype."""


@dataclasses.dataclass
class Active:
    """Which mutant runs, and what came of it.

    mutant: 0 for none; an int is one mutant by itself, a traced int32 [] chooses among all but
    those in `excluded`. failed: why a mutant's value could not be computed beside the original's.
    reached: whose place was come by; applied: those whose values were.
    """

    mutant: int | Array
    excluded: frozenset[int] = frozenset()
    failed: dict[int, str] = dataclasses.field(default_factory=dict)
    reached: set[int] = dataclasses.field(default_factory=set)
    applied: set[int] = dataclasses.field(default_factory=set)


_ACTIVE: contextvars.ContextVar[Active | None] = contextvars.ContextVar("mutant", default=None)
# What `jax.jit` and `jax.lax.scan` traced under one activation must not be met under another.
_TRACED_UNDER = jax.make_user_context(None)


@contextlib.contextmanager
def active(what: Active | None) -> Iterator[None]:
    """Everything that runs or is traced inside is this mutant; None: the original."""
    token = _ACTIVE.set(what)
    try:
        with _TRACED_UNDER(None if what is None else id(what)):
            yield
    finally:
        _ACTIVE.reset(token)


def choose(original: Thunk, *alternatives: tuple[int, Thunk]) -> Any:
    """The value of the active mutant's alternative, else of the original."""
    now = _ACTIVE.get()
    if now is None:
        return original()
    now.reached.update(number for number, _ in alternatives)
    if isinstance(now.mutant, int):
        for number, alternative in alternatives:
            if number == now.mutant:
                with contextlib.suppress(NotAMutant):
                    value = alternative()
                    now.applied.add(number)
                    return value
        return original()
    value = original()
    for number, alternative in alternatives:
        if number not in now.excluded:
            value = _tried(now, number, alternative, value)
    return value


def choose_entry(table: Thunk, first: int, entries: Sequence[int]) -> Any:
    """A constant array with one entry one more (mutants first, first + 2, ...) or one less."""
    now = _ACTIVE.get()
    value = table()
    if now is None:
        return value
    numbers = range(first, first + 2 * len(entries))
    now.reached.update(numbers)
    if isinstance(now.mutant, int):
        if now.mutant not in numbers:
            return value
        now.applied.add(now.mutant)
        which = now.mutant - first
        return _changed(np.asarray(value), entries[which // 2], which % 2)
    if not now.excluded.isdisjoint(numbers):
        return value
    now.applied.update(numbers)
    more, less = (_changed_everywhere(np.asarray(value), down) for down in (0, 1))
    flat = np.full(np.size(value), -2, np.int32)
    flat[list(entries)] = np.arange(first, first + len(numbers), 2, dtype=np.int32)
    owner = flat.reshape(np.shape(value))
    changed = jnp.where(now.mutant == owner, more, jnp.asarray(value))
    return jnp.where(now.mutant == owner + 1, less, changed)


def _changed_everywhere(table: np.ndarray, down: int) -> np.ndarray:
    if table.dtype.kind == "b":
        return ~table
    step = np.where(table == np.round(table), 1, table * 0.1).astype(table.dtype)
    return table - step if down else table + step


def _changed(table: np.ndarray, entry: int, down: int) -> np.ndarray:
    changed = table.copy()
    changed.flat[entry] = _changed_everywhere(table, down).flat[entry]
    return changed


def _tried(now: Active, number: int, alternative: Thunk, value: Any) -> Any:
    try:
        with active(None):
            other = alternative()
        chosen = _selected(jnp.equal(now.mutant, number), other, value)
        now.applied.add(number)
        return chosen
    except NotAMutant:
        return value
    except Exception as error:  # whatever a miswritten expression raises
        now.failed[number] = reason(error)
        return value


def reason(error: Exception) -> str:
    """One line of an exception."""
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _selected(condition: Array, on_true: Any, on_false: Any) -> Any:
    others, structure = jax.tree.flatten(on_true, is_leaf=lambda x: x is None)
    leaves, expected = jax.tree.flatten(on_false, is_leaf=lambda x: x is None)
    if str(structure) != str(expected):
        raise CannotChoose(f"its value is {structure}, not {expected}")
    chosen = [_selected_leaf(condition, a, b) for a, b in zip(others, leaves, strict=True)]
    return jax.tree.unflatten(expected, chosen)


def _selected_leaf(condition: Array, on_true: Any, on_false: Any) -> Any:
    """`jnp.where` that keeps the dtype and the weak type of `on_false`."""
    if on_true is on_false:
        return on_false
    if not _is_number(on_true) or not _is_number(on_false):
        if isinstance(on_true, type(on_false)) and on_true == on_false:
            return on_false
        raise CannotChoose(f"its value is a Python {type(on_true).__name__}")
    numbers = int | float
    if isinstance(on_false, numbers):
        if not isinstance(on_true, numbers):
            raise CannotChoose("an array stands for a Python number")
        kind = float if isinstance(on_true, float) else type(on_false)
        return jnp.where(condition, kind(on_true), kind(on_false))
    if isinstance(on_true, numbers):
        on_true = jnp.full_like(on_false, on_true)
    if on_true.dtype != on_false.dtype or on_true.shape != on_false.shape:
        raise CannotChoose(
            f"its value is {on_true.dtype}{list(on_true.shape)}, "
            f"not {on_false.dtype}{list(on_false.shape)}"
        )
    weak = getattr(jnp.asarray(on_false).aval, "weak_type", False)
    if weak and not jnp.asarray(on_true).aval.weak_type:
        raise CannotChoose("its value has a dtype, the original's takes that of its neighbours")
    return jax.lax.select_n(condition, jnp.asarray(on_false), jnp.asarray(on_true))


def _is_number(x: Any) -> bool:
    kinds = int | float | np.ndarray | np.generic | jax.Array
    return isinstance(x, kinds) and not isinstance(x, bool)


# -- edits that need more than syntax


def narrowed(x: Any, source: Any = None) -> Array:
    """`x` rounded through the next narrower dtype of its kind.

    source: what `x` was cast from; a bool stays the same however narrow.
    """
    if source is not None and jnp.asarray(source).dtype == bool:
        raise NotAMutant
    x = jnp.asarray(x)
    narrower = {
        "int64": jnp.int32,
        "int32": jnp.int16,
        "int16": jnp.int8,
        "uint64": jnp.uint32,
        "uint32": jnp.uint16,
        "uint16": jnp.uint8,
        "float64": jnp.float32,
        "float32": jnp.float16,
    }.get(str(x.dtype))
    if narrower is None:
        raise NotAMutant
    return x.astype(narrower).astype(x.dtype)


def shifted(x: Any, by: int) -> Any:
    """`x + by` in the dtype of `x`."""
    if not _is_number(x):
        raise NotAMutant
    return x + by if isinstance(x, int | float) else x + jnp.asarray(by, x.dtype)


def scaled(x: Any, by: int) -> Any:
    """`x * by` in the dtype of `x`."""
    return x * by if isinstance(x, int | float) else x * jnp.asarray(by, x.dtype)


def never(x: Array) -> Array:
    """All false."""
    return jnp.zeros_like(x)


def reused(keys: Array) -> Array:
    """The first of the keys in place of each."""
    return jnp.broadcast_to(keys[:1], keys.shape)


def ties_reversed(function: Callable[..., Array], x: Array, *args: Any) -> Array:
    """argmax, argmin or argsort that prefers the last among equals; of a plain sort nothing else.

    Raises NotAMutant for an axis other than the last, and for values that need no tie-break.
    """
    name = getattr(function, "__name__", "")
    if args or name not in ("argmax", "argmin", "argsort"):
        raise NotAMutant
    flipped = jnp.flip(x) if name != "argsort" else jnp.flip(x, -1)
    index = function(flipped)
    size = x.size if name != "argsort" else x.shape[-1]
    return jnp.asarray(size - 1, index.dtype) - index

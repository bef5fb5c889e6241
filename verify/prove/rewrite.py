"""Proving an optimisation: one function of a translation, and what is to take its place."""

import dataclasses
import importlib
import importlib.util
import inspect
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ..suite import Suite, SuiteError, Variant
from .domain import Between, Inputs, Layout, Leaves, Range
from .equivalence import Verdict, equivalent


class RewriteError(ValueError):
    """A function that cannot be found, or an argument that nothing is known of; the message says
    what to do."""


def prove_rewrite(
    suite: Suite,
    module: str,
    old: str,
    new: str,
    *,
    ranges: Sequence[str] = (),
    variants: Sequence[str] = (),
    timeout_s: float = 60.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Whether `new` computes what `old` does, for all inputs of the suite's domain.

    module: of the translation, e.g. `dynamics`; old, new: a function of it, or `path.py:function`,
    or `path.py` for the function of old's name there (the file is a changed copy of the module: its
    relative imports are the module's). Both take the same arguments, which are recognised by name:
    `state`, `action`, `draws`, `reset_draws` and `params` as in the domain; any field of these that
    no other shares its name with; what the environment's config holds, which stays as it is.
    Everything else needs a range, `name=low:high` or `name=low:high:dtype`, or the name of a leaf,
    `name=draws.serve`; a field of an argument of a declared class, `frame.won=0:1:bool`. A range
    also goes before that of the domain. variants: all of the suite's, unless named.

    Returns holds (None: open), env, module, old, new, seconds and a row in `variants` for each:
    variant, kind, reason, seconds, output, points, questions, inputs (name -> [dtype, value], of a
    refutation). Raises RewriteError, DomainError, SuiteError; ImportError where z3 is missing.
    """
    if suite.domain is None:
        raise SuiteError(f"{suite.name}: nothing can be proved; declare ranges: Suite.domain")
    home = importlib.import_module(f"{suite.package}.{module}")
    before = _function(home, old)
    after = _function(home, new, old.rpartition(":")[2])
    rows = []
    for variant in _chosen(suite, variants):
        with jax.enable_x64(variant.x64):
            arguments = Arguments(suite, variant, before, ranges)
            verdict = equivalent(
                arguments.bound(before), arguments.bound(after), arguments.inputs,
                timeout_s=timeout_s, seed=seed,
            )  # fmt: skip
        rows.append({"variant": variant.name, **_row(verdict)})
    kinds = {row["kind"] for row in rows}
    holds = False if "refuted" in kinds else None if "open" in kinds else True
    return {
        "holds": holds,
        "env": suite.name,
        "module": module,
        "old": old,
        "new": new,
        "variants": rows,
        "seconds": sum(row["seconds"] for row in rows),
    }


def _row(verdict: Verdict) -> dict[str, Any]:
    inputs: Any = verdict.inputs
    return dataclasses.asdict(verdict) | {
        "inputs": inputs and {k: [str(v.dtype), v.tolist()] for k, v in _arrays(inputs).items()}
    }


def _arrays(leaves: Leaves) -> Leaves:
    return {name: np.asarray(value) for name, value in leaves.items()}


def _chosen(suite: Suite, names: Sequence[str]) -> Sequence[Variant]:
    there = {variant.name: variant for variant in suite.variants}
    if unknown := set(names) - there.keys():
        raise RewriteError(f"{suite.name} has no variants {sorted(unknown)}; it has {list(there)}")
    return [there[name] for name in names] if names else suite.variants


# -- functions


def _function(home: ModuleType, given: str, default: str = "") -> Callable[..., Any]:
    path, _, name = given.rpartition(":")
    if given.endswith(".py"):
        path, name = given, default
    module = _changed_copy(home, Path(path)) if path else home
    function = getattr(module, name, None)
    if not callable(function):
        members = inspect.getmembers(module, inspect.isfunction)
        there = [n for n, member in members if member.__module__ == module.__name__]
        raise RewriteError(f"{path or home.__name__} has no function {name!r}; it has {there}")
    return function


def _changed_copy(home: ModuleType, path: Path) -> ModuleType:
    """A file, imported as if it lay beside `home`."""
    name = f"{home.__name__}__{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise RewriteError(f"there is no Python file {path}; give path.py:function")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise RewriteError(f"{path} cannot be loaded: {type(error).__name__}: {error}") from error
    finally:
        del sys.modules[name]
    return module


# -- arguments


class Arguments:
    """What a function of a translation takes, out of a suite's domain and ranges given by hand."""

    def __init__(
        self, suite: Suite, variant: Variant, function: Callable[..., Any], given: Sequence[str]
    ) -> None:
        env, params = suite.environment(variant)
        assert suite.domain is not None
        self.layout, self.config = Layout(env, params), getattr(env, "config", None)
        self._hints, self._parameters = _hints(function), inspect.signature(function).parameters
        domain = self.layout.inputs(suite.domain(variant))
        self._aliases: dict[str, str] = {}
        shapes, ranges = dict(domain.shapes), dict(domain.ranges)
        for text in given:
            self._take(text, shapes, ranges)
        constants = {n: x for n, x in domain.constants.items() if n not in ranges}
        self.inputs = Inputs(
            shapes=shapes, ranges=ranges, constants=constants, assume=domain.assume
        )
        self._static = {
            name: getattr(self.config, name)
            for name in self._parameters
            if hasattr(self.config, name)
        }

    def bound(self, function: Callable[..., Any]) -> Callable[[Mapping[str, Array]], Any]:
        """The function of the leaves by name that `function` is of its own arguments."""
        parameters = inspect.signature(function).parameters.values()

        def call(leaves: Mapping[str, Array]) -> Any:
            trees = self.layout.built(leaves)
            given = {
                p.name: self._argument(p, leaves, trees)
                for p in parameters
                if p.kind is not p.VAR_KEYWORD and p.kind is not p.VAR_POSITIONAL
            }
            return function(**given)

        return call

    def _argument(
        self, parameter: inspect.Parameter, leaves: Mapping[str, Array], trees: Mapping[str, Any]
    ) -> Any:
        name = parameter.name
        if name in self._aliases:
            return leaves[self._aliases[name]]
        if name in leaves:
            return leaves[name]
        if name in trees:
            return trees[name]
        if name in self._static:
            return self._static[name]
        prefix = f"{name}."
        fields = {n.removeprefix(prefix): x for n, x in leaves.items() if n.startswith(prefix)}
        if fields and name in self._hints:
            return self._hints[name](**fields)
        alike = [n for n in leaves if n.rpartition(".")[2] == name]
        if len(alike) == 1:
            return leaves[alike[0]]
        if parameter.default is not parameter.empty:
            return parameter.default
        several = f"is one of {alike}: say which, --range {name}={alike[0]}" if alike else ""
        unknown = several or f"is unknown: give its range, --range {name}=low:high[:dtype]"
        raise RewriteError(f"the argument {name!r} {unknown}")

    def _take(
        self, text: str, shapes: dict[str, jax.ShapeDtypeStruct], ranges: dict[str, Range]
    ) -> None:
        """One `name=low:high[:dtype]` or `name=leaf`."""
        name, _, value = text.partition("=")
        if name not in shapes and name.partition(".")[0] not in self._parameters:
            raise RewriteError(f"--range {text}: no argument is called {name!r}")
        if value in shapes:
            self._aliases[name] = value
            return
        try:
            low, high, *dtype = value.split(":")
            whole = not any(mark in value for mark in ".e")
            ends = (int(low), int(high)) if whole else (float(low), float(high))
            kind = np.dtype(dtype[0] if dtype else _default_dtype(whole))
        except (ValueError, TypeError) as error:
            raise RewriteError(
                f"--range {text} cannot be read; write name=low:high, name=low:high:dtype or "
                "name=leaf"
            ) from error
        if name in shapes:
            kind = np.dtype(shapes[name].dtype)
        else:
            shapes[name] = jax.ShapeDtypeStruct((), kind)
        ranges[name] = Between(*(np.asarray(end, kind)[()] for end in ends))


def _default_dtype(whole: bool) -> Any:
    return jnp.int32 if whole else jnp.zeros(()).dtype


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except NameError:  # an annotation that only a type checker can see
        return {}

"""Faults outside the translation's own modules: in how an environment is driven."""

import copy
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import jax
from jax import Array

from ...envs.core import Environment, Simulator
from . import runtime
from .rewrite import Mutant

CALLS = (
    "sample_reset_draws",
    "initial",
    "sample_draws",
    "sample_step",
    "transition",
    "observe",
    "legal_actions",
    "is_truncated",
    "reset",
    "step",
    "step_env",
    "step_with_draws",
)
"""The calls of an environment that run code of its own."""


def leaf_names(env: Environment) -> list[str]:
    """The state's leaves."""
    _, state = jax.eval_shape(env.reset, jax.random.key(0), env.default_params)
    return list(env.snapshot(state))


def mutants(env: Environment, first: int) -> list[Mutant]:
    """What `mutated` can do to an environment, numbered from `first` on."""
    where = {
        "module": Simulator.__module__,
        "line": inspect.getsourcelines(Simulator._advance)[1],
        "function": "Simulator._advance",
    }
    rows = [
        ("terminated/truncated", "terminated, truncated", "truncated, terminated"),
        ("stale field", "observe(next_state)", "observe(state)"),
        *(
            ("auto-reset leak", f"next_state.{name}", f"final_state.{name}")
            for name in leaf_names(env)
        ),
    ]
    return [
        Mutant(
            number=first + i,
            operator=operator,
            before=before,
            after=after,
            **where,  # type: ignore[arg-type]
        )
        for i, (operator, before, after) in enumerate(rows)
    ]


def mutated(env: Environment, first: int) -> Environment:
    """The environment with the choice among `mutants(env, first)` in its `_advance`."""
    kind: Any = type(env)

    class Mutated(kind):  # type: ignore[misc]
        def _advance(
            self, state: Any, action: Array, draws: Any, params: Any, restart: Any
        ) -> tuple[Any, dict[str, Any]]:
            def leaky(done: Array, final_state: Any) -> Any:
                next_state = restart(done, final_state)
                leaves, structure = jax.tree.flatten(next_state)
                final = jax.tree.leaves(final_state)
                kept = [
                    runtime.choose(partial(_same, fresh), (first + 2 + i, partial(_same, last)))
                    for i, (fresh, last) in enumerate(zip(leaves, final, strict=True))
                ]
                return jax.tree.unflatten(structure, kept)

            result, verified = super()._advance(state, action, draws, params, leaky)
            observation, next_state, reward, terminated, truncated, info = result
            terminated, truncated = runtime.choose(
                lambda: (terminated, truncated), (first, lambda: (truncated, terminated))
            )
            observation = runtime.choose(
                lambda: observation, (first + 1, lambda: self.observe(state, params))
            )
            return (observation, next_state, reward, terminated, truncated, info), verified

    return _reclassed(env, Mutated)


def _same(x: Any) -> Any:
    return x


def fixed(env: Environment, inside: Callable[[], AbstractContextManager[None]]) -> Environment:
    """The environment, every call of it made inside a context."""
    kind: Any = type(env)

    def bound(name: str) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with inside():
                return getattr(super(Fixed, self), name)(*args, **kwargs)

        return call

    Fixed = type(kind.__name__, (kind,), {name: bound(name) for name in CALLS})  # noqa: N806
    return _reclassed(env, Fixed)


def _reclassed(env: Environment, kind: type) -> Environment:
    changed = copy.copy(env)
    changed.__class__ = kind
    return changed

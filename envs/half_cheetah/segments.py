"""Programs that XLA does not fuse into something larger than they are.

XLA's CPU compiler fuses elementwise operations by repeating a producer in each of its consumers. In
a long program of scalars, where nearly everything is used more than once, that multiplies the work
and the time to compile it. It does not fuse across the border of a conditional, though: so the
program is cut into segments, each of them a branch that is always taken, unknown to the compiler.

    result = once(lambda taken: segmented(function, taken, size)(*args))
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun


def once(function: Callable[[Array], Any]) -> Any:
    """function(taken), taken bool [] being true, which the compiler cannot know: it is the first of
    two trips of a loop, of which the second does nothing."""
    nothing = jax.tree.map(jnp.zeros_like, jax.eval_shape(function, jnp.ones((), bool)))

    def trip(i: Array, result: Any) -> Any:
        return lax.cond(i == 0, lambda: function(i == 0), lambda: result)

    return lax.fori_loop(0, 2, trip, nothing)


def segmented(function: Callable[..., Any], taken: Array, size: int) -> Callable[..., Any]:
    """`function`, in segments of `size` operations; so are the bodies of its while loops.

    taken: bool [], true, not a constant of the compiler's, nor mapped over; see `once`.
    """

    def run(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        out = _run(closed.jaxpr, [*closed.consts, *jax.tree.leaves(args)], taken, size)
        return jax.tree.unflatten(jax.tree.structure(shapes), out)

    return run


def _run(jaxpr: Jaxpr, inputs: Sequence[Any], taken: Array, size: int) -> list[Any]:
    values: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], inputs, strict=True))

    def read(atoms: Sequence[Any]) -> list[Any]:
        return [atom.val if isinstance(atom, Literal) else values[atom] for atom in atoms]

    for segment, needed in _segments(jaxpr, size):
        loop = segment[0]
        if loop.primitive.name == "while":
            out = _run_loop(loop.params, read(loop.invars), taken, size)
            values.update(zip(loop.outvars, out, strict=True))
            continue
        made = {v for eqn in segment for v in eqn.outvars}
        used = dict.fromkeys(
            v for eqn in segment for v in eqn.invars if not isinstance(v, Literal) and v not in made
        )
        part = jaxpr.replace(constvars=[], invars=[*used], outvars=needed, eqns=segment)
        branch = jaxpr_as_fun(ClosedJaxpr(part, []))
        out = lax.cond(taken, branch, functools.partial(_zeros, needed), *read([*used]))
        values.update(zip(needed, out, strict=True))
    return read(jaxpr.outvars)


def _segments(jaxpr: Jaxpr, size: int) -> list[tuple[list[Any], list[Any]]]:
    """(operations, what others need of their results); a loop stands alone."""
    groups: list[list[Any]] = [[]]
    for eqn in jaxpr.eqns:
        loop = eqn.primitive.name == "while"
        if loop or len(groups[-1]) == size:
            groups.append([])
        groups[-1].append(eqn)
        if loop:
            groups.append([])
    later = {v for v in jaxpr.outvars if not isinstance(v, Literal)}
    found = []
    for group in reversed([group for group in groups if group]):
        needed = [v for eqn in group for v in eqn.outvars if v in later]
        later |= {v for eqn in group for v in eqn.invars if not isinstance(v, Literal)}
        found.append((group, needed))
    return found[::-1]


def _run_loop(params: dict[str, Any], inputs: list[Any], taken: Array, size: int) -> list[Any]:
    cond, body = params["cond_jaxpr"], params["body_jaxpr"]
    of_cond, of_body = params["cond_nconsts"], params["cond_nconsts"] + params["body_nconsts"]
    cond_consts, body_consts, start = inputs[:of_cond], inputs[of_cond:of_body], inputs[of_body:]
    return lax.while_loop(
        lambda carry: jaxpr_as_fun(cond)(*cond_consts, *carry)[0],
        lambda carry: _run(body.jaxpr, [*body.consts, *body_consts, *carry], taken, size),
        start,
    )


def _zeros(variables: Sequence[Any], *_: Any) -> list[Array]:
    return [jnp.zeros(v.aval.shape, v.aval.dtype) for v in variables]

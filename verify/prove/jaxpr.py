"""Jaxprs as z3 terms: what a traced function computes, for all of its inputs at once.

An array is a numpy array of terms (terms.py). Loops are unrolled, so their trip counts must not
depend on the inputs; both branches of a `cond` are kept. A primitive that this module does not know
raises `Unsupported`; of those in OPAQUE, and of sums of floats whose order is the compiler's, it
assumes only that equal operands give equal results: enough for a proof, never for a refutation.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.extend import core

from . import arrays
from . import terms as t
from .arrays import Equation, Rule, entrywise, full_name, operation
from .terms import Term, Terms

MAX_TRIPS = 10_000
"""Loops that go on for longer are not unrolled."""
OPAQUE = frozenset(
    (
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh"),
        *("digamma", "erf", "erf_inv", "erfc", "exp", "exp2", "expm1", "lgamma", "log", "log1p"),
        *("logistic", "pow", "rem", "rsqrt", "sin", "sinh", "tan", "tanh"),
    )
)
"""Functions of floats whose last bits are the platform's."""
CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vmap_call": "call",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
"""Primitives that call a program, and the parameter that holds it."""


def evaluate(
    program: Any, inputs: Sequence[Terms], carried: list[Term] | None = None
) -> list[Terms]:
    """The outputs of a closed jaxpr. Raises Unsupported.

    What loops carry from one trip to the next is appended to `carried`.
    """
    constants = [t.constants(c) for c in program.consts]
    return _evaluate(program.jaxpr, constants, inputs, [] if carried is None else carried)


def _evaluate(
    jaxpr: Any, constants: Sequence[Terms], inputs: Sequence[Terms], carried: list[Term]
) -> list[Terms]:
    known: dict[Any, Terms] = {}

    def read(v: Any) -> Terms:
        literal = isinstance(v, core.Literal)
        return t.constants(np.asarray(v.val, v.aval.dtype)) if literal else known[v]

    known.update(zip(jaxpr.constvars, constants, strict=True))
    known.update(zip(jaxpr.invars, inputs, strict=True))
    for eqn in jaxpr.eqns:
        results = _apply(Equation(eqn, [read(v) for v in eqn.invars], carried))
        known.update(zip(eqn.outvars, results, strict=True))
    return [read(v) for v in jaxpr.outvars]


def _apply(e: Equation) -> list[Terms]:
    if e.name in CALLS:
        return _call(e, e.params[CALLS[e.name]], e.operands)
    if e.name in RULES:
        return RULES[e.name](e)
    if function := t.operation(e.name, e.dtypes[0]) if e.dtypes else None:
        return [entrywise(function, *e.operands)]
    if e.name in OPAQUE and e.dtypes[0].kind == "f":
        return [entrywise(lambda *xs: t.opaque(full_name(e), xs, e.dtypes[0]), *e.operands)]
    raise e.unsupported()


# -- programs within programs


def _call(e: Equation, program: Any, operands: Sequence[Terms]) -> list[Terms]:
    if isinstance(program, core.ClosedJaxpr):
        return evaluate(program, operands, e.carried)
    return _evaluate(program, (), operands, e.carried)


def _note(e: Equation, carry: Sequence[Terms]) -> None:
    e.carried += [x for array in carry for x in array.reshape(-1)]


def _cond(e: Equation) -> list[Terms]:
    which, *operands = e.operands
    branches, dtype = e.params["branches"], e.dtypes[0]
    index = which.item()
    if t.is_constant(index):
        last = len(branches) - 1
        return _call(e, branches[min(max(int(t.number(index, dtype)), 0), last)], operands)
    return [
        entrywise(lambda *cases: t.selected(index, cases, dtype), *results)
        for results in zip(*(_call(e, branch, operands) for branch in branches), strict=True)
    ]


def _scan(e: Equation) -> list[Terms]:
    p = e.params
    if p["length"] > MAX_TRIPS:
        raise e.unsupported(f"{p['length']} trips, at most {MAX_TRIPS} are unrolled")
    # Told by their axes, since versions of JAX name them differently: what is scanned over and what
    # is stacked have one more than in the body.
    body = p["jaxpr"].jaxpr
    columns_from = sum(x.ndim == v.aval.ndim for x, v in zip(e.operands, body.invars, strict=True))
    num_carry = sum(x.ndim == v.aval.ndim for x, v in zip(e.results, body.outvars, strict=True))
    num_consts = columns_from - num_carry
    constants = e.operands[:num_consts]
    carry = e.operands[num_consts:columns_from]
    columns = e.operands[columns_from:]
    order = range(p["length"])
    rows: list[list[Terms]] = []
    for i in reversed(order) if p["reverse"] else order:
        results = _call(e, p["jaxpr"], [*constants, *carry, *(x[i, ...] for x in columns)])
        carry = results[:num_carry]
        _note(e, carry)
        rows.append(results[num_carry:])
    if p["reverse"]:
        rows.reverse()
    stacked = [
        t.filled(aval.shape, (x for row in rows for x in row[k].reshape(-1)))
        for k, aval in enumerate(e.results[num_carry:])
    ]
    return [*carry, *stacked]


def _while(e: Equation) -> list[Terms]:
    p = e.params
    cut = p["cond_nconsts"], p["cond_nconsts"] + p["body_nconsts"]
    of_cond, of_body = e.operands[: cut[0]], e.operands[cut[0] : cut[1]]
    carry = e.operands[cut[1] :]
    for _ in range(MAX_TRIPS):
        goes_on = _call(e, p["cond_jaxpr"], [*of_cond, *carry])[0].item()
        if not t.is_constant(goes_on):
            raise e.unsupported("its trip count depends on the inputs")
        if not t.number(goes_on, np.dtype(bool)):
            return carry
        carry = _call(e, p["body_jaxpr"], [*of_body, *carry])
        _note(e, carry)
    raise e.unsupported(f"more than {MAX_TRIPS} trips")


# -- entry by entry, with parameters


def _clamp(e: Equation) -> list[Terms]:
    low, x, high = e.operands
    larger, smaller = (operation(name, e.dtypes[1]) for name in ("max", "min"))
    return [entrywise(lambda a, b, c: smaller(larger(b, a), c), low, x, high)]


def _select_n(e: Equation) -> list[Terms]:
    def select(which: Term, *cases: Term) -> Term:
        return t.selected(which, cases, e.dtypes[0])

    return [entrywise(select, *e.operands)]


def _convert(e: Equation) -> list[Terms]:
    old, new = e.dtypes[0], e.results[0].dtype
    return [entrywise(lambda x: t.converted(x, old, new), e.operands[0])]


def _bitcast(e: Equation) -> list[Terms]:
    old, new = e.dtypes[0], e.results[0].dtype
    if "b" in (old.kind, new.kind) or old.itemsize != new.itemsize:
        raise e.unsupported(f"from {old} to {new}")
    return [entrywise(lambda x: t.bits(x, old, new), e.operands[0])]


def _round(e: Equation) -> list[Terms]:
    method = int(e.params["rounding_method"])
    return [entrywise(lambda x: t.rounded(x, method), e.operands[0])]


def _integer_pow(e: Equation) -> list[Terms]:
    power, dtype = e.params["y"], e.dtypes[0]
    if power < 1 or (dtype.kind == "f" and power > 2):
        return [entrywise(lambda x: t.opaque(full_name(e), [x], dtype), e.operands[0])]
    multiply = operation("mul", dtype)
    return [entrywise(lambda x: functools.reduce(multiply, [x] * power), e.operands[0])]


def _words(e: Equation) -> list[Terms]:
    """A random key is the words that it is made of."""
    return [e.operands[0]]


RULES: Mapping[str, Rule] = {
    **arrays.RULES,
    "bitcast_convert_type": _bitcast,
    "clamp": _clamp,
    "cond": _cond,
    "convert_element_type": _convert,
    "integer_pow": _integer_pow,
    "random_bits": arrays.opaque,
    "random_fold_in": arrays.opaque,
    "random_split": arrays.opaque,
    "random_unwrap": _words,
    "random_wrap": _words,
    "round": _round,
    "scan": _scan,
    "select_n": _select_n,
    "while": _while,
}

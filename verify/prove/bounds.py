"""What ranges decide: bounds of every float term, and comparisons that can only go one way.

IEEE 754 operations are monotone, so the ends of a range, rounded as the operation rounds, bound all
that lies between them.
"""

import dataclasses
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import z3

from .terms import Term, both, choose, either, is_constant, number

_DTYPES: dict[tuple[int, int], np.dtype] = {
    (5, 11): np.dtype(np.float16),
    (8, 24): np.dtype(np.float32),
    (11, 53): np.dtype(np.float64),
}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """low <= x <= high (zeros alike, infinities included), or NaN where `nan` says so."""

    low: Any
    high: Any
    nan: bool = False

    def united(self, other: "Bounds") -> "Bounds":
        return Bounds(min(self.low, other.low), max(self.high, other.high), self.nan or other.nan)

    def __contains__(self, value: float) -> bool:
        return bool(self.low <= value <= self.high)

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.low) and np.isfinite(self.high))


ANYTHING = Bounds(-math.inf, math.inf, nan=True)


def dtype_of(term: Term) -> np.dtype:
    sort = term.sort()
    return _DTYPES[int(sort.ebits()), int(sort.sbits())]


def postorder(term: Term, done: Mapping[int, Any]) -> Iterator[Term]:
    """Every subterm not in `done`, operands first. (Terms may be too deep for recursion.)"""
    stack, seen = [(term, False)], set()
    while stack:
        node, expanded = stack.pop()
        if expanded:
            yield node
        elif node.get_id() not in done and node.get_id() not in seen:
            seen.add(node.get_id())
            stack.append((node, True))
            stack.extend((child, False) for child in node.children())


def rebuilt(term: Term, operands: Sequence[Term]) -> Term:
    """The same operation of other operands, decided where it can be."""
    kind = term.decl().kind()
    if kind == z3.Z3_OP_ITE:
        return choose(*operands)
    if kind in (z3.Z3_OP_AND, z3.Z3_OP_OR):
        return (both if kind == z3.Z3_OP_AND else either)(*operands)
    if all(a.eq(b) for a, b in zip(term.children(), operands, strict=True)):
        return term
    array = (z3.Ast * len(operands))(*(x.as_ast() for x in operands))
    updated = z3.Z3_update_term(term.ctx_ref(), term.as_ast(), len(operands), array)
    result = z3.z3._to_expr_ref(updated, term.ctx)
    return z3.simplify(result) if all(map(is_constant, operands)) else result


class Ranges:
    """Terms seen within declared ranges. variables: the bounds of unknowns, by the term's id."""

    def __init__(self, variables: Mapping[int, Bounds]) -> None:
        self.variables = variables
        self._known: dict[int, tuple[Term, Term, Bounds | None]] = {}  # keeps the terms alive

    def decided(self, term: Term) -> Term:
        """`term`, without the branches that no input within the ranges takes."""
        for node in postorder(term, self._known):
            new = rebuilt(node, [self._known[child.get_id()][1] for child in node.children()])
            if new.get_id() not in self._known:
                self._known[new.get_id()] = (new, *self._looked_at(new))
            self._known[node.get_id()] = (node, *self._known[new.get_id()][1:])
        return self._known[term.get_id()][1]

    def bounds(self, term: Term) -> Bounds | None:
        """Of a float, and of an integer read as signed. None where nothing is known."""
        self.decided(term)
        return self._known[term.get_id()][2]

    def _looked_at(self, term: Term) -> tuple[Term, Bounds | None]:
        known = (self._known.get(child.get_id()) for child in term.children())
        operands = [entry and entry[2] for entry in known]  # nothing is known of True and False
        if term.get_id() in self.variables:
            return term, self.variables[term.get_id()]
        if z3.is_bool(term):
            decision = _decision(term, operands)
            return (term if decision is None else z3.BoolVal(decision)), None
        if z3.is_fp(term):
            return term, _float_bounds(term, operands)
        if z3.is_bv(term):
            return term, _integer_bounds(term, operands)
        return term, None


# -- bounds of a result, out of those of the operands


def _float_bounds(term: Term, operands: list[Bounds | None]) -> Bounds:
    kind, dtype = term.decl().kind(), dtype_of(term)
    if is_constant(term):
        value = number(term, dtype)
        return ANYTHING if np.isnan(value) else Bounds(value, value)
    if kind == z3.Z3_OP_ITE:
        return _of_choice(term, operands)
    numbers = [x for x, child in zip(operands, term.children(), strict=True) if _is_number(child)]
    if kind in _RULES and all(numbers) and not _reads_bits(term):
        with np.errstate(all="ignore"):
            return _RULES[kind](dtype, *numbers)
    return ANYTHING


def _is_number(term: Term) -> bool:
    return not z3.is_fprm(term)


def _reads_bits(term: Term) -> bool:
    return bool(term.decl().kind() == z3.Z3_OP_FPA_TO_FP and term.num_args() == 1)


def _of_choice(term: Term, operands: list[Bounds | None]) -> Bounds:
    """Of `if x > y then x else y` and its like: of the larger one, or of the smaller."""
    condition, on_true, on_false = term.children()
    x, y = operands[1] or ANYTHING, operands[2] or ANYTHING
    kind = condition.decl().kind()
    if kind in _GREATER or kind in _LESS:
        first, second = condition.children()
        straight = first.eq(on_true) and second.eq(on_false)
        crossed = first.eq(on_false) and second.eq(on_true)
        if (straight or crossed) and not (x.nan or y.nan):
            if straight == (kind in _GREATER):
                return Bounds(max(x.low, y.low), max(x.high, y.high))
            return Bounds(min(x.low, y.low), min(x.high, y.high))
    return x.united(y)


def _integer_bounds(term: Term, operands: list[Bounds | None]) -> Bounds | None:
    kind = term.decl().kind()
    if is_constant(term):
        value = term.as_signed_long()
        return Bounds(value, value)
    if kind == z3.Z3_OP_ITE and operands[1] and operands[2]:
        return operands[1].united(operands[2])
    if kind == z3.Z3_OP_SIGN_EXT:
        return operands[0]
    if kind == z3.Z3_OP_ZERO_EXT:
        (bounds,) = operands
        return bounds if bounds and bounds.low >= 0 else Bounds(0, 2 ** term.arg(0).size() - 1)
    return None


def _hull(candidates: Sequence[Any], nan: bool) -> Bounds:
    if any(np.isnan(x) for x in candidates):
        return ANYTHING
    return Bounds(min(candidates), max(candidates), nan)


def _corners(function: Callable[[Any, Any], Any], x: Bounds, y: Bounds) -> list[Any]:
    return [function(a, b) for a in (x.low, x.high) for b in (y.low, y.high)]


def _sum(function: Callable[[Any, Any], Any]) -> Callable[..., Bounds]:
    def bounds(dtype: np.dtype, x: Bounds, y: Bounds) -> Bounds:
        x, y = _cast(x, dtype), _cast(y, dtype)
        if not (x.finite and y.finite):
            return ANYTHING
        return _hull(_corners(function, x, y), x.nan or y.nan)

    return bounds


def _product(dtype: np.dtype, x: Bounds, y: Bounds) -> Bounds:
    x, y = _cast(x, dtype), _cast(y, dtype)
    if not (x.finite and y.finite):
        return ANYTHING
    return _hull(_corners(operator.mul, x, y), x.nan or y.nan)


def _quotient(dtype: np.dtype, x: Bounds, y: Bounds) -> Bounds:
    x, y = _cast(x, dtype), _cast(y, dtype)
    if 0 in y or not (x.finite and y.finite):
        return ANYTHING
    return _hull(_corners(operator.truediv, x, y), x.nan or y.nan)


def _root(dtype: np.dtype, x: Bounds) -> Bounds:
    x = _cast(x, dtype)
    return ANYTHING if x.low < 0 else Bounds(np.sqrt(x.low), np.sqrt(x.high), x.nan)


def _absolute(dtype: np.dtype, x: Bounds) -> Bounds:
    ends = [abs(x.low), abs(x.high), *([dtype.type(0)] if 0 in x else [])]
    return Bounds(min(ends), max(ends), x.nan)


def _whole(dtype: np.dtype, x: Bounds) -> Bounds:
    return Bounds(np.floor(x.low), np.ceil(x.high), x.nan)


def _cast(x: Bounds, dtype: np.dtype) -> Bounds:
    return Bounds(dtype.type(x.low), dtype.type(x.high), x.nan)


_RULES: dict[int, Callable[..., Bounds]] = {
    z3.Z3_OP_FPA_ADD: _sum(operator.add),
    z3.Z3_OP_FPA_SUB: _sum(operator.sub),
    z3.Z3_OP_FPA_MUL: _product,
    z3.Z3_OP_FPA_DIV: _quotient,
    z3.Z3_OP_FPA_NEG: lambda dtype, x: Bounds(-x.high, -x.low, x.nan),
    z3.Z3_OP_FPA_ABS: _absolute,
    z3.Z3_OP_FPA_SQRT: _root,
    z3.Z3_OP_FPA_ROUND_TO_INTEGRAL: _whole,
    z3.Z3_OP_FPA_TO_FP: lambda dtype, x: _cast(x, dtype),
}


# -- comparisons that go one way only


def _less(x: Bounds, y: Bounds) -> bool | None:
    if x.high < y.low and not (x.nan or y.nan):
        return True
    return False if x.low >= y.high else None


def _at_most(x: Bounds, y: Bounds) -> bool | None:
    if x.high <= y.low and not (x.nan or y.nan):
        return True
    return False if x.low > y.high else None


def _equal(x: Bounds, y: Bounds) -> bool | None:
    return False if x.high < y.low or y.high < x.low else None


def _negative(x: Bounds) -> bool | None:
    if x.nan or 0 in x:
        return None
    return True if x.high < 0 else False if x.low > 0 else None


_DECISIONS: dict[int, Callable[..., bool | None]] = {
    z3.Z3_OP_FPA_LT: _less,
    z3.Z3_OP_FPA_GT: lambda x, y: _less(y, x),
    z3.Z3_OP_FPA_LE: _at_most,
    z3.Z3_OP_FPA_GE: lambda x, y: _at_most(y, x),
    z3.Z3_OP_FPA_EQ: _equal,
    z3.Z3_OP_FPA_IS_NAN: lambda x: None if x.nan else False,
    z3.Z3_OP_FPA_IS_INF: lambda x: False if x.finite else None,
    z3.Z3_OP_FPA_IS_ZERO: lambda x: None if 0 in x else False,
    z3.Z3_OP_FPA_IS_NEGATIVE: _negative,
}
_GREATER = (z3.Z3_OP_FPA_GT, z3.Z3_OP_FPA_GE)
_LESS = (z3.Z3_OP_FPA_LT, z3.Z3_OP_FPA_LE)


def _decision(term: Term, operands: list[Bounds | None]) -> bool | None:
    rule = _DECISIONS.get(term.decl().kind())
    if rule is None or any(x is None for x in operands):
        return None
    if term.decl().kind() == z3.Z3_OP_FPA_EQ and term.arg(0).eq(term.arg(1)):
        return None if operands[0] is None or operands[0].nan else True
    return rule(*operands)

"""JAX's numbers as z3 terms, and the primitives that work entry by entry.

bool is a Bool, an integer of n bits a bit-vector of n bits, float32 and float64 are IEEE 754
numbers rounded to nearest even. Integers do as JAX does on a CPU: they wrap around, n / 0 is -1
(all ones), n % 0 is n, shifts by the width or more leave nothing but the sign, conversions from
floats saturate and NaN becomes 0. z3 has one NaN, so all NaNs are one. Subnormal floats are kept,
as IEEE 754 has it; XLA's CPU programs mostly flush them to zero.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

try:
    import z3
except ImportError as error:  # pragma: no cover
    raise ImportError("proofs need z3: pip install 'simlift[evidence]'") from error

Term = Any
"""A z3 expression. z3's stubs leave its operators untyped."""
Terms = np.ndarray
"""An array of terms, dtype object, of the shape that the JAX array has."""

RNE = z3.RNE()
_FLOAT_SORTS = {
    np.dtype(np.float16): z3.Float16(),  # to convert from and to, and no more
    np.dtype(np.float32): z3.Float32(),
    np.dtype(np.float64): z3.Float64(),
}


class Unsupported(Exception):
    """What cannot be turned into a term; the message names the primitive or the type."""


# -- values


def sort(dtype: np.dtype) -> Any:
    """The z3 sort of a JAX dtype. Raises Unsupported for the ones that have none."""
    if isinstance(dtype, np.dtype):  # random keys have types of their own
        if dtype.kind == "b":
            return z3.BoolSort()
        if dtype.kind in "iu":
            return z3.BitVecSort(dtype.itemsize * 8)
        if dtype in _FLOAT_SORTS:
            return _FLOAT_SORTS[dtype]
    raise Unsupported(f"type {dtype}")


def constant(value: Any, dtype: np.dtype) -> Term:
    """One number as a term."""
    if dtype.kind == "b":
        return z3.BoolVal(bool(value))
    if dtype.kind in "iu":
        return z3.BitVecVal(int(value), sort(dtype))
    bits = np.asarray(value, dtype).view(f"u{dtype.itemsize}")
    return z3.simplify(z3.fpBVToFP(z3.BitVecVal(int(bits), dtype.itemsize * 8), sort(dtype)))


def constants(array: Any) -> Terms:
    """An array of numbers as terms."""
    array = np.asarray(array)
    return filled(array.shape, (constant(x, array.dtype) for x in array.reshape(-1)))


def variables(name: str, shape: Sequence[int], dtype: np.dtype) -> Terms:
    """An array of unknowns; entries are called name[0], name[1], ..., a scalar's one just name."""
    size = int(np.prod(shape, dtype=int))
    names = [f"{name}[{i}]" for i in range(size)] if shape else [name]
    return filled(shape, (z3.Const(n, sort(dtype)) for n in names))


def filled(shape: Sequence[int], terms: Any) -> Terms:
    """`terms`, in row-major order, as an array of `shape`."""
    flat = list(terms)
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(tuple(shape))


def is_constant(term: Term) -> bool:
    return bool(
        z3.is_true(term)
        or z3.is_false(term)
        or z3.is_bv_value(term)
        or z3.is_fprm_value(term)
        or z3.is_fp_value(term)
        or (z3.is_fp(term) and term.decl().kind() in _FP_SPECIAL)
    )


_FP_SPECIAL = {
    z3.Z3_OP_FPA_NUM,
    z3.Z3_OP_FPA_NAN,
    z3.Z3_OP_FPA_PLUS_INF,
    z3.Z3_OP_FPA_MINUS_INF,
    z3.Z3_OP_FPA_PLUS_ZERO,
    z3.Z3_OP_FPA_MINUS_ZERO,
}


def number(term: Term, dtype: np.dtype) -> Any:
    """The number that a constant term stands for."""
    if dtype.kind == "b":
        return np.bool_(z3.is_true(term))
    if dtype.kind == "f":
        if z3.is_true(z3.simplify(z3.fpIsNaN(term))):
            return dtype.type(np.nan)
        term = z3.simplify(z3.fpToIEEEBV(term))
        bits = np.asarray(term.as_long(), f"u{dtype.itemsize}")
        return bits.view(dtype)[()]
    return np.asarray(term.as_long(), f"u{dtype.itemsize}").view(dtype)[()]


def numbers(terms: Terms, dtype: np.dtype) -> np.ndarray | None:
    """The array that constant terms stand for; None unless all are constants."""
    if not all(is_constant(t) for t in terms.reshape(-1)):
        return None
    return np.array([number(t, dtype) for t in terms.reshape(-1)], dtype).reshape(terms.shape)


def folded(term: Term) -> Term:
    """`term` as a constant where all of its operands are."""
    if term.num_args() and all(is_constant(child) for child in term.children()):
        return z3.simplify(term)
    return term


def choose(condition: Term, on_true: Term, on_false: Term) -> Term:
    """if-then-else, decided where it can be."""
    if on_true.eq(on_false) or z3.is_true(condition):
        return on_true
    if z3.is_false(condition):
        return on_false
    return z3.If(condition, on_true, on_false)


def both(*terms: Term) -> Term:
    kept = [t for t in terms if not z3.is_true(t)]
    if any(z3.is_false(t) for t in kept):
        return z3.BoolVal(False)
    return z3.And(*kept) if len(kept) > 1 else kept[0] if kept else z3.BoolVal(True)


def either(*terms: Term) -> Term:
    kept = [t for t in terms if not z3.is_false(t)]
    if any(z3.is_true(t) for t in kept):
        return z3.BoolVal(True)
    return z3.Or(*kept) if len(kept) > 1 else kept[0] if kept else z3.BoolVal(False)


def negated(term: Term) -> Term:
    return folded(z3.Not(term))


def is_nan(x: Term) -> Term:
    return folded(z3.fpIsNaN(x))


def is_zero(x: Term) -> Term:
    return folded(z3.fpIsZero(x))


# -- primitives, by the kind of their operands: b bool, i and u integers, f floats


def _extremum(first: Callable[[Term, Term], Term]) -> Callable[[Term, Term], Term]:
    return lambda x, y: choose(folded(first(x, y)), x, y)


def _float_extremum(
    first: Callable[[Term, Term], Term], minus_wins: bool
) -> Callable[[Term, Term], Term]:
    """NaN if either is. Of two zeros -0.0 is the smaller."""

    def extremum(x: Term, y: Term) -> Term:
        negative = (folded(z3.fpIsNegative(v)) for v in (x, y))
        minus = either(*negative) if minus_wins else both(*negative)
        zero = choose(minus, z3.fpMinusZero(x.sort()), z3.fpPlusZero(x.sort()))
        ordered = choose(folded(first(x, y)), x, y)
        ordered = choose(both(is_zero(x), is_zero(y)), zero, ordered)
        return choose(is_nan(x), x, choose(is_nan(y), y, ordered))

    return extremum


_float_max = _float_extremum(operator.gt, minus_wins=False)
_float_min = _float_extremum(operator.lt, minus_wins=True)


def _signed_div(x: Term, y: Term) -> Term:
    return choose(folded(y == 0), z3.BitVecVal(-1, x.size()), folded(x / y))


def _signed_sign(x: Term) -> Term:
    one, minus = (z3.BitVecVal(v, x.size()) for v in (1, -1))
    return choose(folded(x == 0), x, choose(folded(x > 0), one, minus))


def _float_sign(x: Term) -> Term:
    one = z3.FPVal(1.0, x.sort())
    same = either(is_zero(x), is_nan(x))
    return choose(same, x, choose(folded(z3.fpIsNegative(x)), -one, one))


def _popcount(x: Term) -> Term:
    width = x.size()
    return z3.Sum([z3.ZeroExt(width - 1, z3.Extract(i, i, x)) for i in range(width)])


def _is_finite(x: Term) -> Term:
    return z3.Not(z3.Or(z3.fpIsNaN(x), z3.fpIsInf(x)))


_BOOL: dict[str, Callable[..., Term]] = {
    "and": both,
    "or": either,
    "xor": z3.Xor,
    "not": z3.Not,
    "eq": operator.eq,
    "ne": z3.Xor,
    "lt": lambda x, y: both(z3.Not(x), y),
    "le": lambda x, y: either(z3.Not(x), y),
    "gt": lambda x, y: both(x, z3.Not(y)),
    "ge": lambda x, y: either(x, z3.Not(y)),
    "max": either,
    "min": both,
}
_INTEGER: dict[str, Callable[..., Term]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "neg": operator.neg,
    "square": lambda x: x * x,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "not": operator.invert,
    "eq": operator.eq,
    "ne": operator.ne,
    "shift_left": operator.lshift,
    "shift_right_logical": z3.LShR,
    "shift_right_arithmetic": operator.rshift,
    "population_count": _popcount,
}
_SIGNED: dict[str, Callable[..., Term]] = {
    "div": _signed_div,
    "rem": z3.SRem,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "max": _extremum(operator.gt),
    "min": _extremum(operator.lt),
    "abs": lambda x: choose(folded(x < 0), folded(-x), x),
    "sign": _signed_sign,
}
_UNSIGNED: dict[str, Callable[..., Term]] = {
    "div": z3.UDiv,
    "rem": z3.URem,
    "lt": z3.ULT,
    "le": z3.ULE,
    "gt": z3.UGT,
    "ge": z3.UGE,
    "max": _extremum(z3.UGT),
    "min": _extremum(z3.ULT),
    "sign": lambda x: choose(folded(x == 0), x, z3.BitVecVal(1, x.size())),
}
_FLOAT: dict[str, Callable[..., Term]] = {
    "add": lambda x, y: z3.fpAdd(RNE, x, y),
    "sub": lambda x, y: z3.fpSub(RNE, x, y),
    "mul": lambda x, y: z3.fpMul(RNE, x, y),
    "div": lambda x, y: z3.fpDiv(RNE, x, y),
    "neg": z3.fpNeg,
    "abs": z3.fpAbs,
    "sign": _float_sign,
    "square": lambda x: z3.fpMul(RNE, x, x),
    "sqrt": lambda x: z3.fpSqrt(RNE, x),
    "floor": lambda x: z3.fpRoundToIntegral(z3.RTN(), x),
    "ceil": lambda x: z3.fpRoundToIntegral(z3.RTP(), x),
    "is_finite": _is_finite,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": z3.fpEQ,
    "ne": z3.fpNEQ,
    "max": _float_max,
    "min": _float_min,
}
OPERATIONS: Mapping[str, Mapping[str, Callable[..., Term]]] = {
    "b": _BOOL,
    "i": {**_INTEGER, **_SIGNED},
    "u": {**_INTEGER, **_UNSIGNED},
    "f": _FLOAT,
}


def operation(name: str, dtype: np.dtype) -> Callable[..., Term] | None:
    """The function of terms that the primitive `name` is for operands of `dtype`, if it is one."""
    if not isinstance(dtype, np.dtype):  # a random key
        return None
    function = OPERATIONS.get(dtype.kind, {}).get(name)
    if function is None or dtype == np.float16:
        return None

    def apply(*operands: Term) -> Term:
        result = function(*operands)
        return z3.simplify(result) if all(map(is_constant, operands)) else result

    return apply


def less(dtype: np.dtype) -> Callable[[Term, Term], Term]:
    """The order by which arrays are sorted: NaNs last, zeros alike."""
    below = operation("lt", dtype)
    assert below is not None
    if dtype.kind != "f":
        return below
    return lambda x, y: either(below(x, y), both(negated(is_nan(x)), is_nan(y)))


def rounded(x: Term, method: int) -> Term:
    """`lax.round` of a float: method 0 halves away from zero, 1 halves to even."""
    return folded(z3.fpRoundToIntegral(z3.RNA() if method == 0 else RNE, x))


def converted(x: Term, old: np.dtype, new: np.dtype) -> Term:
    """convert_element_type."""
    wanted = sort(new)
    if old == new:
        return x
    if np.float16 in (old, new) and {old.kind, new.kind} != {"f"}:
        raise Unsupported(f"a conversion from {old} to {new}")
    if new.kind == "b":
        return folded(negated(is_zero(x)) if old.kind == "f" else x != 0)
    if old.kind == "b":
        return choose(x, constant(1, new), constant(0, new))
    if old.kind == "f":
        if new.kind == "f":
            return folded(z3.fpFPToFP(RNE, x, wanted))
        return folded(_float_to_integer(x, old, new))
    if new.kind == "f":
        to_float = z3.fpSignedToFP if old.kind == "i" else z3.fpUnsignedToFP
        return folded(to_float(RNE, x, wanted))
    width, wide = x.size(), wanted.size()
    if wide <= width:
        return folded(z3.Extract(wide - 1, 0, x))
    return folded((z3.SignExt if old.kind == "i" else z3.ZeroExt)(wide - width, x))


def _float_to_integer(x: Term, old: np.dtype, new: np.dtype) -> Term:
    """Toward zero; what is out of range becomes the nearest end of it, NaN becomes 0."""
    info = np.iinfo(new)
    # Powers of two: exact as floats. A number above -2**n - 1 rounds toward zero to -2**n.
    low, high = (constant(v, old) for v in (float(info.min), float(info.max + 1)))
    to_integer = z3.fpToSBV if new.kind == "i" else z3.fpToUBV
    inside = to_integer(z3.RTZ(), x, sort(new))
    clipped = choose(folded(x >= high), constant(info.max, new), folded(inside))
    clipped = choose(folded(x <= low), constant(info.min, new), clipped)
    return choose(is_nan(x), constant(0, new), clipped)


def selected(which: Term, cases: Sequence[Term], dtype: np.dtype) -> Term:
    """`lax.select_n` of one entry; beyond either end it is the nearest case."""
    if dtype.kind == "b":
        return choose(which, cases[1], cases[0])
    below = operation("lt", dtype)
    assert below is not None

    def among(first: int, cases: Sequence[Term]) -> Term:
        if len(cases) == 1:
            return cases[0]
        middle = len(cases) // 2
        lower = below(which, constant(first + middle, dtype))
        return choose(lower, among(first, cases[:middle]), among(first + middle, cases[middle:]))

    return among(0, cases)


def opaque(name: str, operands: Sequence[Term], result: np.dtype) -> Term:
    """A number of which nothing is known but that equal operands give it again."""
    if not operands:
        return z3.Const(name, sort(result))
    return z3.Function(name, *(x.sort() for x in operands), sort(result))(*operands)


def bits(x: Term, old: np.dtype, new: np.dtype) -> Term:
    """bitcast_convert_type between types of one width. The bits of a NaN are unknown."""
    if (old.kind == "f") == (new.kind == "f"):
        return x
    if new.kind == "f":
        return folded(z3.fpBVToFP(x, sort(new)))
    unknown = z3.FreshConst(sort(new), "nan")
    return choose(is_nan(x), unknown, folded(z3.fpToIEEEBV(x)))

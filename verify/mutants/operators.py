"""What can go wrong in a simulator's source: the ways one expression is miswritten.

`edits` yields (operator, what the expression becomes) for one node of the syntax tree. The classic
operators of mutation testing come first, then those of simulators. An edit may call the helpers of
runtime.py as `_mutants.name`.
"""

import ast
import copy
from collections.abc import Iterator
from typing import cast

from .names import Scope, is_timer

Edit = tuple[str, ast.expr]

HELPERS = "_mutants"
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
TIES = {(ast.Lt, ast.LtE), (ast.LtE, ast.Lt), (ast.Gt, ast.GtE), (ast.GtE, ast.Gt)}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
LOGIC: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
    ast.BitXor: (ast.BitOr,),
}
RENAMED = {
    "maximum": ("minimum",),
    "minimum": ("maximum",),
    "max": ("min",),
    "min": ("max",),
    "any": ("all",),
    "all": ("any",),
    "logical_and": ("logical_or",),
    "logical_or": ("logical_and",),
    "argmax": ("argmin",),
    "argmin": ("argmax",),
    "zeros": ("ones",),
    "ones": ("zeros",),
    "zeros_like": ("ones_like",),
    "ones_like": ("zeros_like",),
    "floor": ("ceil",),
    "ceil": ("floor",),
    "sin": ("cos",),
    "cos": ("sin",),
}
ENDS = ("terminated", "truncated")
REPLACING = ("replace", "_replace")


def edits(node: ast.expr, scope: Scope, assigned: frozenset[str]) -> Iterator[Edit]:
    """Every edit of this node itself, its children left alone.

    assigned: the local variables that have a value here.
    """
    match node:
        case ast.Constant(value=bool() | str() | bytes() | None):
            return
        case ast.Constant(value=int() | float() as value):
            yield from (("constant", ast.Constant(v)) for v in neighbours(value))
        case ast.Name(ctx=ast.Load()):
            yield from _name(node, scope, assigned)
        case ast.Attribute(ctx=ast.Load()):
            yield from _attribute(node, scope)
        case ast.BinOp():
            yield from _binary(node)
        case ast.UnaryOp(op=ast.USub() | ast.Invert() | ast.Not(), operand=operand):
            if not isinstance(operand, ast.Constant):
                yield ("unary dropped", operand)
        case ast.Compare(ops=[op]):
            for other in COMPARISONS.get(type(op), ()):
                tie = (type(op), other) in TIES
                changed = ast.Compare(node.left, [other()], node.comparators)
                yield ("tie broken the other way" if tie else "comparison", changed)
        case ast.BoolOp(op=op, values=values):
            flipped = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield ("logic", ast.BoolOp(flipped, values))
        case ast.IfExp():
            yield ("branches swapped", ast.IfExp(node.test, node.orelse, node.body))
        case ast.Call():
            yield from _call(node, scope)


def neighbours(value: int | float) -> tuple[int | float, ...]:
    """The numbers next to a constant: one more, one less; a tenth of a fraction."""
    if isinstance(value, int) or value.is_integer():
        return value + 1, value - 1
    return float(f"{value * 1.1:.9g}"), float(f"{value * 0.9:.9g}")


def _name(node: ast.Name, scope: Scope, assigned: frozenset[str]) -> Iterator[Edit]:
    if node.id in assigned:
        for other in scope.others(node.id, assigned):
            yield ("wrong player", ast.Name(other, ast.Load()))
    elif (value := scope.number(node)) is not None:
        yield from (("constant", ast.Constant(v)) for v in neighbours(value))


def _attribute(node: ast.Attribute, scope: Scope) -> Iterator[Edit]:
    if (value := scope.number(node)) is not None:
        yield from (("constant", ast.Constant(v)) for v in neighbours(value))
        return
    if scope.value(node) is not None:  # a function or a class; a call of it has its own edits
        return
    for other in scope.others(node.attr, scope.vocabulary):
        yield ("wrong player", ast.Attribute(node.value, other, ast.Load()))


def _binary(node: ast.BinOp) -> Iterator[Edit]:
    kind = type(node.op)
    if kind in ARITHMETIC:
        counts = isinstance(node.right, ast.Constant) and is_timer(_last_word(node.left))
        operator = "timer off by one" if counts else "arithmetic"
        yield (operator, ast.BinOp(node.left, ARITHMETIC[kind](), node.right))
    for other in LOGIC.get(kind, ()):
        yield ("logic", ast.BinOp(node.left, other(), node.right))
    if kind is ast.BitAnd:
        yield ("mask dropped", node.left)
        yield ("mask dropped", node.right)


def _last_word(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _call(node: ast.Call, scope: Scope) -> Iterator[Edit]:
    name, args = _last_word(node.func), node.args
    plain = not node.keywords and not any(isinstance(a, ast.Starred) for a in args)
    for other in RENAMED.get(name, ()):
        if isinstance(node.func, ast.Attribute) or name in ("max", "min", "any", "all"):
            operator = "constant" if name.startswith(("zeros", "ones")) else "other function"
            yield (operator, _with_function(node, other))
    match name:
        case "where" | "select" if plain and len(args) == 3:
            yield ("branches swapped", ast.Call(node.func, [args[0], args[2], args[1]], []))
            yield ("mask dropped", args[1])
            yield ("mask dropped", args[2])
        case "clip" if plain and len(args) == 3 and isinstance(node.func, ast.Attribute):
            x, low, high = args
            yield ("clip dropped", x)
            yield ("clip dropped", ast.Call(_sibling(node.func, "maximum"), [x, low], []))
            yield ("clip dropped", ast.Call(_sibling(node.func, "minimum"), [x, high], []))
        case "maximum" | "minimum" if plain and len(args) == 2:
            yield ("clip dropped", args[0])
            yield ("clip dropped", args[1])
        case "abs" if plain and len(args) == 1:
            yield ("sign kept", args[0])
        case "argmax" | "argmin" | "sort" | "argsort" if args:
            yield ("tie broken the other way", _helper("ties_reversed", node.func, *args))
        case "split" if _last_word(getattr(node.func, "value", node.func)) == "random":
            yield ("key reused", _helper("reused", node))
        case "fold_in" if args:
            yield ("key reused", args[0])
        case "astype" if isinstance(node.func, ast.Attribute):
            yield ("dtype narrowed", _helper("narrowed", node, node.func.value))
        case "set" | "add" | "multiply" | "min" | "max" if array := _updated(node.func):
            yield ("stale field", array)
    yield from _swapped_fields(node, scope)
    yield from _swapped_phases(node, scope)
    if scope.is_rule(node.func):
        module = vars(scope.module) if isinstance(node.func, ast.Name) else scope.vocabulary
        for other in scope.others(name, frozenset(module)):
            yield ("wrong player", _with_function(node, other))


def field_edits(node: ast.Call, scope: Scope) -> Iterator[tuple[ast.keyword, str, ast.expr]]:
    """(field, operator, what its value becomes) of a record that is made or replaced."""
    if not _makes_record(node, scope):
        return
    for keyword in node.keywords:
        name, value = keyword.arg, keyword.value
        if name is None:
            continue
        if isinstance(node.func, ast.Attribute) and node.func.attr in REPLACING:
            yield keyword, "stale field", ast.Attribute(node.func.value, name, ast.Load())
        if "reward" in name:
            yield keyword, "reward sign", ast.UnaryOp(ast.USub(), value)
            yield keyword, "reward scale", _helper("scaled", value, 2)
        if is_timer(name):
            for by in (1, -1):
                yield keyword, "timer off by one", _helper("shifted", value, by)
        if name in ENDS:
            yield keyword, "terminated/truncated", _helper("never", value)
        if "reward" not in name and name not in ENDS and _may_be_wide(value):
            yield keyword, "dtype narrowed", _helper("narrowed", value)


def _swapped_fields(node: ast.Call, scope: Scope) -> Iterator[Edit]:
    """The values of two fields that differ by their side, exchanged."""
    names = [keyword.arg for keyword in node.keywords] if _makes_record(node, scope) else []
    for i, name in enumerate(names):
        for other in scope.others(name or "", frozenset(n for n in names[i + 1 :] if n)):
            j = names.index(other)
            swapped = _with_field(node, i, node.keywords[j].value)
            yield ("wrong player", _with_field(swapped, j, node.keywords[i].value))


def _makes_record(node: ast.Call, scope: Scope) -> bool:
    name = _last_word(node.func)
    return name in REPLACING or name == "Outcome" or scope.is_class(node.func)


def _may_be_wide(value: ast.expr) -> bool:
    """Whether a narrower dtype may tell: not for zeros and ones, and a cast has its own edit."""
    if isinstance(value, ast.Call):
        return not _last_word(value.func).startswith(("astype", "zeros", "ones"))
    return not isinstance(value, ast.Dict | ast.List | ast.Tuple | ast.Constant)


def _swapped_phases(node: ast.Call, scope: Scope) -> Iterator[Edit]:
    """f(g(x, ...), ...) becomes g(f(x, ...), ...)."""
    match node.args:
        case [ast.Call(args=[_, *_]) as inner, *_]:
            if scope.is_rule(node.func) and scope.is_rule(inner.func):
                first = ast.Call(node.func, [inner.args[0], *node.args[1:]], node.keywords)
                yield ("phases swapped", ast.Call(inner.func, [first, *inner.args[1:]], []))


def _with_field(node: ast.Call, index: int, value: ast.expr) -> ast.Call:
    keywords = list(node.keywords)
    keywords[index] = ast.keyword(keywords[index].arg, value)
    return ast.Call(node.func, node.args, keywords)


def _with_function(node: ast.Call, name: str) -> ast.Call:
    return ast.Call(_sibling(node.func, name), node.args, node.keywords)


def _sibling(function: ast.expr, name: str) -> ast.expr:
    if isinstance(function, ast.Attribute):
        return ast.Attribute(function.value, name, ast.Load())
    return ast.Name(name, ast.Load())


def _updated(function: ast.expr) -> ast.expr | None:
    """The `x` of `x.at[i].set`."""
    match function:
        case ast.Attribute(value=ast.Subscript(value=ast.Attribute(value=array, attr="at"))):
            return array
    return None


def _helper(name: str, *args: ast.expr | int) -> ast.Call:
    given = [copy.deepcopy(a) if isinstance(a, ast.expr) else ast.Constant(a) for a in args]
    return ast.Call(
        ast.Attribute(ast.Name(HELPERS, ast.Load()), name, ast.Load()), cast(list, given), []
    )

"""One module, rewritten once so that a number chooses its mutant.

Every expression that can be miswritten becomes `_mutants.choose(lambda: original, (number, lambda:
alternative), ...)`. Where an array cannot choose (an index of a tuple, the test of an `if`), the
choice moves outward: to the call or the subscript around it, or to the whole function.
"""

import ast
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

from .names import Scope
from .operators import HELPERS, edits, field_edits

MAX_ENTRIES = 64
"""Of a larger table, so many entries, evenly spread, are mutated."""

HOST = frozenset({"render", "action_space", "observation_space", "default_params"})
"""What draws or declares, on the host: no part of the dynamics."""

STATIC_CALLS = frozenset(
    [
        *("range", "arange", "zeros", "ones", "full", "empty", "eye", "reshape", "broadcast_to"),
        *("fori_loop", "scan", "split", "bits"),
    ]
)
"""Calls whose arguments must be known before the program runs."""

FunctionNode = ast.FunctionDef
Site = ast.expr | FunctionNode
NodeT = TypeVar("NodeT", bound=ast.AST)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mutant:
    """One fault. number: from 1, its id in the rewritten modules; before, after: source text."""

    number: int
    module: str
    line: int
    function: str
    operator: str
    before: str
    after: str

    @property
    def change(self) -> str:
        """ "before -> after", what both have in common cut to a few characters."""
        return _shortened(self.before, self.after)


@dataclasses.dataclass
class _Edit:
    site: Site
    line: int
    column: int
    function: str
    operator: str
    before: ast.AST
    after: ast.AST | None  # None: an entry of a table
    entries: tuple[int, ...] = ()
    number: int = 0
    whole: ast.AST | None = None  # the site, edited
    text: str = ""
    field: str = ""  # of a record, whose value this is


@dataclasses.dataclass(frozen=True)
class _Place:
    """Where the walk is: the functions around, what they assign, and where a choice goes."""

    functions: tuple[FunctionNode, ...] = ()
    site: Site | None = None  # None: the expression itself
    runs: bool = False  # whether this is code of a function or a lambda, not of a module or a class

    @property
    def name(self) -> str:
        return ".".join(f.name for f in self.functions) or "<module>"

    def assigned(self, line: int) -> frozenset[str]:
        names: set[str] = set()
        for function in self.functions:
            names |= {a.arg for a in ast.walk(function.args) if isinstance(a, ast.arg)}
            for node in ast.walk(function):
                stored = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
                if stored and cast(ast.Name, node).lineno < line:
                    names.add(cast(ast.Name, node).id)
        return frozenset(names)


def rewrite(
    tree: ast.Module, module: str, scope: Scope, first: int
) -> tuple[ast.Module, list[Mutant]]:
    """The module with a choice at every point, and its mutants, numbered from `first` on."""
    found = sorted(_in_body(tree.body, _Place(), scope), key=lambda e: (e.line, e.column))
    by_site: dict[int, list[_Edit]] = {}
    seen: set[tuple[int, str]] = set()
    mutants: list[Mutant] = []
    for edit in found:
        if edit.after is not None:
            edit.whole = _substituted(edit.site, {id(edit.before): edit.after})
            key = id(edit.site), ast.dump(edit.whole)
            if key in seen or ast.dump(edit.whole) == ast.dump(edit.site):
                continue
            seen.add(key)
        edit.number = first + len(mutants)
        by_site.setdefault(id(edit.site), []).append(edit)
        mutants.extend(_described(edit, module))
    return cast(ast.Module, ast.fix_missing_locations(_Wrap(by_site).visit(tree))), mutants


# -- where edits are


def _in_body(body: Sequence[ast.stmt], place: _Place, scope: Scope) -> Iterator[_Edit]:
    for statement in body:
        yield from _in_statement(statement, place, scope)
    if place.functions:
        for one, two in itertools.pairwise(body):
            yield from _swapped(one, two, place)


def _in_statement(statement: ast.stmt, place: _Place, scope: Scope) -> Iterator[_Edit]:
    match statement:
        case ast.FunctionDef(name=name) if name in HOST or name.startswith("__"):
            return
        case ast.FunctionDef() if not _yields(statement):
            inner = _Place((*place.functions, statement), runs=True)
            yield from _in_body(statement.body, inner, scope)
        case ast.ClassDef():
            yield from _in_body(statement.body, _Place(place.functions), scope)
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            yield from _in_expression(value, place, scope)
        case ast.Return(value=ast.expr() as value) | ast.Expr(value=value):
            yield from _in_expression(value, place, scope)
        case ast.AugAssign() if place.functions:
            as_binary = ast.BinOp(cast(ast.expr, statement.target), statement.op, statement.value)
            for operator, other in edits(as_binary, scope, frozenset()):
                if isinstance(other, ast.BinOp):
                    changed = ast.AugAssign(statement.target, other.op, statement.value)
                    yield _statement_edit(operator, statement, changed, place)
            yield from _in_expression(statement.value, place, scope)
        case ast.If() | ast.While():
            if place.functions:
                negated = ast.UnaryOp(ast.Not(), statement.test)
                yield _edit("condition negated", statement.test, negated, _outermost(place))
            yield from _in_expression(statement.test, _outermost(place), scope)
            yield from _in_body(statement.body, place, scope)
            yield from _in_body(statement.orelse, place, scope)
        case ast.For():
            yield from _in_expression(statement.iter, _outermost(place), scope)
            yield from _in_body(statement.body, place, scope)
        case ast.With() | ast.Try():
            yield from _in_body(statement.body, place, scope)
        case ast.Match():
            for branch in statement.cases:
                yield from _in_body(branch.body, place, scope)


def _in_expression(node: ast.expr, place: _Place, scope: Scope) -> Iterator[_Edit]:
    if place.site is None and place.functions and _needs_its_frame(node):
        place = _outermost(place)
    if place.runs:
        assigned = place.assigned(node.lineno)
        for operator, after in edits(node, scope, assigned):
            yield _edit(operator, node, after, place)
        if (table := scope.table(node)) is not None and getattr(node, "id", "") not in assigned:
            count = min(table.size, MAX_ENTRIES)
            entries = tuple(i * table.size // count for i in range(count))
            yield _edit("table", node, None, dataclasses.replace(place, site=None), entries)
        if isinstance(node, ast.Call):
            for field, operator, after in field_edits(node, scope):
                edit = _edit(operator, field.value, after, place)
                edit.field = cast(str, field.arg)
                edit.text = "not written" if operator == "stale field" else ""
                yield edit
    for child, outside in _children(node):
        inner = place
        if outside and place.site is None:
            inner = dataclasses.replace(place, site=node)
        if isinstance(node, ast.Lambda):
            inner = dataclasses.replace(inner, runs=True)
        yield from _in_expression(child, inner, scope)


def _children(node: ast.expr) -> Iterator[tuple[ast.expr, bool]]:
    """(child, whether a choice in it goes to the node around it)."""
    match node:
        case ast.Call(func=function, args=args, keywords=keywords):
            static = getattr(function, "attr", getattr(function, "id", "")) in STATIC_CALLS
            if isinstance(function, ast.Attribute):
                yield function.value, False
            elif not isinstance(function, ast.Name):
                yield function, False
            for value in [*args, *(keyword.value for keyword in keywords)]:
                yield value, static or _is_literal(value)
        case ast.Subscript(value=value, slice=index):
            yield value, False
            yield index, _is_literal(index)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield test, True
            yield body, False
            yield orelse, False
        case ast.BoolOp(values=values):
            yield from ((value, True) for value in values)
        case ast.Lambda(body=body):
            yield body, False
        case ast.ListComp() | ast.GeneratorExp() | ast.DictComp() | ast.SetComp():
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield child, False
            for generator in node.generators:
                yield generator.iter, True
        case ast.JoinedStr():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    yield child, False


def _is_literal(node: ast.expr) -> bool:
    kinds = (
        ast.Constant,
        ast.UnaryOp,
        ast.Tuple,
        ast.List,
        ast.Slice,
        ast.expr_context,
        ast.unaryop,
    )
    return all(isinstance(inner, kinds) for inner in ast.walk(node))


def _needs_its_frame(node: ast.expr) -> bool:
    """Whether an expression means something else inside a lambda."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.NamedExpr | ast.Await):
            return True
        if isinstance(inner, ast.Call) and ast.unparse(inner) == "super()":
            return True
    return False


def _yields(function: FunctionNode) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))


def _outermost(place: _Place) -> _Place:
    return dataclasses.replace(place, site=place.functions[-1]) if place.functions else place


def _swapped(one: ast.stmt, two: ast.stmt, place: _Place) -> Iterator[_Edit]:
    """x = f(x); x = g(x), the other way round."""
    match one, two:
        case ast.Assign(targets=[ast.Name(id=a)]), ast.Assign(targets=[ast.Name(id=b)]) if a == b:
            edit = _statement_edit("phases swapped", one, two, place)
            function = place.functions[-1]
            edit.whole = _substituted(function, {id(one): two, id(two): one})
            edit.text = f"{ast.unparse(two)}; {ast.unparse(one)}"
            yield edit


def _statement_edit(operator: str, before: ast.stmt, after: ast.stmt, place: _Place) -> _Edit:
    return _Edit(
        place.functions[-1], before.lineno, before.col_offset, place.name, operator, before, after
    )


def _edit(
    operator: str,
    node: ast.expr,
    after: ast.expr | None,
    place: _Place,
    entries: tuple[int, ...] = (),
) -> _Edit:
    site = place.site or node
    where = node.lineno, node.col_offset, place.name
    return _Edit(site, *where, operator, node, after, entries)


def _described(edit: _Edit, module: str) -> Iterator[Mutant]:
    common = {
        "module": module,
        "line": edit.line,
        "function": edit.function,
        "operator": edit.operator,
    }
    if edit.after is None:
        before = ast.unparse(edit.before)
        for i, (entry, by) in enumerate((e, by) for e in edit.entries for by in ("+", "-")):
            number, after = edit.number + i, f"{before} with entry {entry} {by}1"
            yield Mutant(number=number, before=before, after=after, **common)  # type: ignore[arg-type]
        return
    before, after = _texts(edit.before, edit.after)
    if edit.field:
        before, after = f"{edit.field}={before}", f"{edit.field}={after}"
    after = (edit.text or after).replace(f"{HELPERS}.", "")
    yield Mutant(number=edit.number, before=before, after=after, **common)  # type: ignore[arg-type]


def _texts(before: ast.AST, after: ast.AST) -> tuple[str, str]:
    """Source of both; of a record, only the fields that differ."""
    match before, after:
        case ast.Call(keywords=[_, *_] as old), ast.Call(keywords=new):
            one, two = ({k.arg: ast.unparse(k) for k in keywords} for keywords in (old, new))
            differ = [name for name in one if one[name] != two.get(name)]
            if differ and ast.unparse(before.func) == ast.unparse(after.func):
                kept = [two[name] for name in differ if name in two]
                return ", ".join(one[name] for name in differ), ", ".join(kept) or "not written"
    return ast.unparse(before), ast.unparse(after)


# -- the rewriting itself


def _substituted(tree: NodeT, new: dict[int, ast.AST]) -> NodeT:
    """A copy of a tree with some nodes, known by identity, replaced."""

    def copied(value: Any) -> Any:
        if isinstance(value, list):
            return [copied(item) for item in value]
        if not isinstance(value, ast.AST):
            return value
        if id(value) in new:
            return _substituted(new[id(value)], {})
        fields = {name: copied(inner) for name, inner in ast.iter_fields(value)}
        return ast.copy_location(type(value)(**fields), value)

    return copied(tree)


class _Wrap(ast.NodeTransformer):
    """Puts the choices in, from the leaves up."""

    def __init__(self, by_site: dict[int, list[_Edit]]) -> None:
        self.by_site = by_site

    def visit(self, node: ast.AST) -> Any:
        found = self.by_site.get(id(node), [])
        wrapped = super().visit(node)
        if not found:
            return wrapped
        if isinstance(wrapped, ast.FunctionDef):
            return _dispatching(wrapped, found)
        value = wrapped
        alternatives: list[ast.expr] = []
        for edit in found:
            if edit.after is None:
                entries = ast.Tuple([ast.Constant(entry) for entry in edit.entries], ast.Load())
                value = _call("choose_entry", _thunk(value), ast.Constant(edit.number), entries)
            else:
                pair = [ast.Constant(edit.number), _thunk(cast(ast.expr, edit.whole))]
                alternatives.append(ast.Tuple(pair, ast.Load()))
        if alternatives:
            value = _call("choose", _thunk(value), *alternatives)
        return ast.copy_location(value, node)


def _thunk(body: ast.expr) -> ast.Lambda:
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.Lambda(nothing, body)


def _call(name: str, *args: ast.expr) -> ast.Call:
    function = ast.Attribute(ast.Name(HELPERS, ast.Load()), name, ast.Load())
    return ast.Call(function, list(args), [])


def _dispatching(function: FunctionNode, found: list[_Edit]) -> FunctionNode:
    """The function with its mutated bodies inside, each taking the same arguments."""
    versions = [_version(function, function.body, "_original")]
    alternatives: list[ast.expr] = []
    for edit in found:
        name = f"_mutant_{edit.number}"
        versions.append(_version(function, cast(FunctionNode, edit.whole).body, name))
        pair = [ast.Constant(edit.number), _thunk(_forward(function, name))]
        alternatives.append(ast.Tuple(pair, ast.Load()))
    chosen = _call("choose", _thunk(_forward(function, "_original")), *alternatives)
    return ast.copy_location(
        _copy_of(function, [*versions, ast.Return(chosen)], function.decorator_list), function
    )


def _version(function: FunctionNode, body: list[ast.stmt], name: str) -> FunctionNode:
    version = _copy_of(function, body, [])
    version.name, version.returns = name, None
    return version


def _copy_of(
    function: FunctionNode, body: list[ast.stmt], decorators: list[ast.expr]
) -> FunctionNode:
    fields = dict(ast.iter_fields(function))
    return ast.copy_location(
        ast.FunctionDef(**{**fields, "body": body, "decorator_list": decorators}), function
    )


def _forward(function: FunctionNode, name: str) -> ast.Call:
    """name(its arguments, handed on)."""
    a = function.args
    given: list[ast.expr] = [ast.Name(x.arg, ast.Load()) for x in (*a.posonlyargs, *a.args)]
    if a.vararg:
        given.append(ast.Starred(ast.Name(a.vararg.arg, ast.Load()), ast.Load()))
    named = [ast.keyword(x.arg, ast.Name(x.arg, ast.Load())) for x in a.kwonlyargs]
    if a.kwarg:
        named.append(ast.keyword(None, ast.Name(a.kwarg.arg, ast.Load())))
    return ast.Call(ast.Name(name, ast.Load()), given, named)


def _shortened(before: str, after: str, context: int = 24) -> str:
    same = next(
        (i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b),
        min(len(before), len(after)),
    )
    tail = next(
        (
            i
            for i, (a, b) in enumerate(zip(before[same:][::-1], after[same:][::-1], strict=False))
            if a != b
        ),
        min(len(before), len(after)) - same,
    )
    start, stop = max(0, same - context), max(0, tail - context)

    def cut(text: str) -> str:
        text = " ".join(text[start : len(text) - stop].split())
        return ("…" if start else "") + text + ("…" if stop else "")

    return f"{cut(before)} -> {cut(after)}"

"""Whether two terms are equal for all inputs: by shape, by ranges, by parts, and by z3.

A difference between two big terms is usually small and deep inside. So operands are compared before
the operations on them: where every differing part is proved equal, the whole is. A part is first
asked about with the float terms that both sides share taken as any number within their bounds: that
spares z3 the arithmetic, and what holds of any number holds of these. Only then the exact question.
"""

import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import z3

from . import terms as t
from .bounds import Bounds, Ranges, dtype_of, postorder
from .domain import Inputs, Leaves, OneOf, entries
from .terms import Term, Terms

PART_SECONDS = 1.0
"""A part that takes longer is left to the question about the whole."""
TRIP_SECONDS = 10.0
"""The same for a question about one trip of a loop."""
UNITS_A_SECOND = 7_000_000
"""Of z3's resource count, as measured on Pong's proofs. z3's own timeout is one of the clock, and
what is proved must not depend on what else the machine does."""
TRIALS = 12
"""Points at which parts of two terms are compared before z3 is asked about them."""
DEEPEST = 400
"""Parts are not looked for any deeper than this."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """equal: for all inputs, or None where that is not known; model: inputs that may differ."""

    equal: bool | None
    reason: str
    model: Leaves | None = None


class Unknowns:
    """The inputs of a proof as terms, and what is declared of them."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.terms: dict[str, Terms] = {}
        self.declared: dict[int, Term] = {}  # by the id of an unknown
        bounds: dict[int, Bounds] = {}
        for name, shape in inputs.shapes.items():
            if name in inputs.constants:
                self.terms[name] = t.constants(inputs.constants[name])
                continue
            dtype = np.dtype(shape.dtype)
            unknowns = self.terms[name] = t.variables(name, shape.shape, dtype)
            for x, ends in zip(unknowns.reshape(-1), entries(inputs, name), strict=True):
                self.declared[x.get_id()] = _declared(x, inputs.ranges[name], ends, dtype)
                if (known := _bounds(ends, dtype)) is not None:
                    bounds[x.get_id()] = known
        self.ranges = Ranges(bounds)
        self.assumed: list[Term] = []

    def constraints(self, *of: Term) -> list[Term]:
        """What is declared of the unknowns in these terms and in the assumption."""
        found = list(self.assumed)
        for term in (*of, *self.assumed):
            for node in postorder(term, {}):
                if node.get_id() in self.declared:
                    found.append(self.declared[node.get_id()])
        return found

    def assignments(self, points: Leaves, count: int) -> Iterator[list[tuple[Term, Term]]]:
        """Each of the first points [N, ...] as pairs (unknown, its value)."""
        size = min([count, *(len(x) for x in points.values())])
        for i in range(size):
            yield [
                pair
                for name, values in points.items()
                for pair in zip(
                    self.terms[name].reshape(-1), t.constants(values[i]).reshape(-1), strict=True
                )
            ]

    def leaves(self, model: Any) -> Leaves:
        """The unknowns of a model; what it leaves open takes its lowest value."""
        values: Leaves = {}
        for name in self.inputs.ranges:
            shape = self.inputs.shapes[name]
            dtype = np.dtype(shape.dtype)
            flat = [
                low if model[x] is None else t.number(model[x], dtype)
                for x, (low, _) in zip(
                    self.terms[name].reshape(-1), entries(self.inputs, name), strict=True
                )
            ]
            values[name] = np.asarray(flat, dtype).reshape(shape.shape)
        return values


def depth(term: Term) -> int:
    """The longest way down to a leaf."""
    return z3.Z3_get_depth(term.ctx_ref(), term.as_ast())


def _declared(x: Term, declared: Any, ends: tuple[Any, Any], dtype: np.dtype) -> Term:
    if isinstance(declared, OneOf):
        return t.either(*(x == t.constant(value, dtype) for value in declared.values))
    low, high = (t.constant(end, dtype) for end in ends)
    if dtype.kind == "b":
        return t.both(z3.Implies(low, x), z3.Implies(x, high))
    at_most = t.operation("le", dtype)
    assert at_most is not None
    inside = t.both(at_most(low, x), at_most(x, high))
    return t.both(inside, z3.Not(z3.fpIsSubnormal(x))) if dtype.kind == "f" else inside


def _bounds(ends: tuple[Any, Any], dtype: np.dtype) -> Bounds | None:
    low, high = ends
    if dtype.kind == "f":
        return Bounds(low, high)
    if dtype.kind == "b" or int(high) > np.iinfo(f"i{dtype.itemsize}").max:
        return None
    return Bounds(int(low), int(high))


class Comparison:
    """Whether pairs of terms are equal, before a deadline (of `time.process_time`)."""

    def __init__(self, unknowns: Unknowns, points: Leaves, deadline: float) -> None:
        """points: some inputs, leading axis [N]: parts with other values there are not compared."""
        self.unknowns, self.deadline = unknowns, deadline
        self._points = list(unknowns.assignments(points, TRIALS))
        self.questions = 0
        self._merged: list[tuple[Term, Term]] = []  # what stands for what is equal to it
        self._failed: dict[tuple[int, int], tuple[Term, Term]] = {}
        self._carried: dict[int, Term] = {}

    def follow(self, ours: Sequence[Term], theirs: Sequence[Term]) -> None:
        """Compare what the loops of both sides carry, trip by trip: so no question spans two."""
        if len(ours) != len(theirs):
            return
        for a, b in zip(ours, theirs, strict=True):
            if a.sort() != b.sort():
                return
            a, b = self._unified(a, b)
            if not a.eq(b):
                self._shown_across(a, b)
            if z3.is_fp(a) and a.num_args():
                self._carried[a.get_id()] = a

    def compare(self, a: Term, b: Term) -> Answer:
        a, b = self._unified(a, b)
        if a.eq(b):
            return Answer(True, "part by part")
        if self._shown_across(a, b):
            return Answer(True, "z3")
        answer = self._ask(a, b, [], self._left())
        if answer.equal:
            self._merged.append((b, a))
        return answer

    def _unified(self, a: Term, b: Term) -> tuple[Term, Term]:
        """Both within the ranges; in `b`, parts that can be proved equal to parts of `a` are
        these."""
        a, b = (self.unknowns.ranges.decided(x) for x in (a, b))
        for pair in self._merged:
            b = z3.substitute(b, pair)
        while not a.eq(b):
            found = self._provable(a, b, 0) or self._matching(a, b)
            if found is None:
                break
            b = z3.substitute(b, found)
            self._merged.append(found)
        return a, b

    def _matching(self, a: Term, b: Term) -> tuple[Term, Term] | None:
        """As `_provable`, wherever in `a` the part is: one that has the same values at some points.

        Conditions are left out: too many of them are alike by chance.
        """
        ours = {node.get_id(): node for node in postorder(a, {})}
        theirs = [node for node in postorder(b, {}) if node.get_id() not in ours]
        inside = {node.get_id() for node in postorder(b, {})}
        of_a, of_b = (
            [n for n in nodes if n.num_args() and not z3.is_bool(n) and not z3.is_fprm(n)]
            for nodes in ((n for n in ours.values() if n.get_id() not in inside), theirs)
        )
        if not (of_a and of_b and self._points and self._left()):
            return None
        alike: dict[Any, list[Term]] = {}
        for node, values in zip(of_a, self._values(of_a), strict=True):
            alike.setdefault(values, []).append(node)
        for node, values in zip(of_b, self._values(of_b), strict=True):
            for other in alike.get(values, []):
                if (found := self._provable(other, node, 0)) is not None:
                    return found
        return None

    def _values(self, nodes: Sequence[Term]) -> list[tuple[str, ...]]:
        """What each term is at the points."""
        bundle = z3.Function("bundle", *(n.sort() for n in nodes), z3.BoolSort())(*nodes)
        rows = [z3.simplify(z3.substitute(bundle, *at)).children() for at in self._points]
        return [tuple(value.sexpr() for value in values) for values in zip(*rows, strict=True)]

    def _shown_across(self, a: Term, b: Term) -> bool:
        """Whether they are equal whatever the last trips of loops carried, within its bounds."""
        if not (self._carried and self._left()):
            return False
        x, y, facts = _generalised(a, b, self.unknowns.ranges, self._carried)
        equal = self._ask(x, y, facts, min(self._left(), TRIP_SECONDS)).equal is True
        if equal:
            self._merged.append((b, a))
        return equal

    def _left(self) -> float:
        return max(self.deadline - time.process_time(), 0.0)

    def _provable(self, a: Term, b: Term, depth: int) -> tuple[Term, Term] | None:
        """(a part of `b`, the part of `a` that it equals), as deep inside as there is one."""
        key = (a.get_id(), b.get_id())
        if a.eq(b) or a.sort() != b.sort() or key in self._failed or not self._left():
            return None
        if depth < DEEPEST and a.decl().eq(b.decl()) and a.num_args() == b.num_args():
            for x, y in zip(a.children(), b.children(), strict=True):
                if (found := self._provable(x, y, depth + 1)) is not None:
                    return found
        if self._shown(a, b):
            return b, a
        self._failed[key] = a, b
        return None

    def _shown(self, a: Term, b: Term) -> bool:
        """Whether they are equal without the float arithmetic that both share."""
        if a.num_args() == 0 or b.num_args() == 0:
            return False  # nothing is shared: the question is about what holds the two
        x, y, facts = _generalised(a, b, self.unknowns.ranges)
        if z3.simplify(x).eq(z3.simplify(y)):
            return True
        return self._ask(x, y, facts, min(self._left(), PART_SECONDS)).equal is True

    def _ask(self, a: Term, b: Term, facts: Sequence[Term], seconds: float) -> Answer:
        if seconds <= 0:
            return Answer(None, "out of time")
        self.questions += 1
        solver = z3.SolverFor("QF_FPBV") if _without_functions(a, b) else z3.Solver()
        solver.set("rlimit", max(1, int(seconds * UNITS_A_SECOND)))
        solver.add(*self.unknowns.constraints(a, b), *facts, a != b)
        match solver.check():
            case z3.unsat:
                return Answer(True, "z3")
            case z3.sat:
                return Answer(False, "z3", self.unknowns.leaves(solver.model()))
            case _:
                return Answer(None, f"z3: {solver.reason_unknown()}")


def _without_functions(*of: Term) -> bool:
    return not any(
        node.decl().kind() == z3.Z3_OP_UNINTERPRETED and node.num_args() > 0
        for term in of
        for node in postorder(term, {})
    )


def _generalised(
    a: Term, b: Term, ranges: Ranges, only: Mapping[int, Term] | None = None
) -> tuple[Term, Term, list[Term]]:
    """Both terms with the float operations that they share (only these, where given) as fresh
    unknowns, and what is known of them."""
    inside = {node.get_id() for node in postorder(a, {})}
    shared = {
        node.get_id()
        for node in postorder(b, {})
        if node.get_id() in (inside if only is None else only)
        and z3.is_fp(node)
        and node.num_args() > 0
        and not t.is_constant(node)
    }
    # Only the outermost: whatever lies beneath one goes with it.
    outermost: dict[int, Term] = {}
    for term in (a, b):
        stack, seen = [term], set()
        while stack:
            node = stack.pop()
            if node.get_id() in seen:
                continue
            seen.add(node.get_id())
            if node.get_id() in shared:
                outermost[node.get_id()] = node
            else:
                stack.extend(node.children())
    facts, fresh = [], []
    for node in outermost.values():
        unknown = z3.FreshConst(node.sort(), "any")
        fresh.append((node, unknown))
        facts.append(_fact(unknown, ranges.bounds(node)))
    return z3.substitute(a, *fresh), z3.substitute(b, *fresh), facts


def _fact(x: Term, bounds: Bounds | None) -> Term:
    if bounds is None:
        return z3.BoolVal(True)
    dtype = dtype_of(x)
    low, high = (t.constant(end, dtype) for end in (bounds.low, bounds.high))
    inside = z3.And(low <= x, x <= high)
    return z3.Or(z3.fpIsNaN(x), inside) if bounds.nan else inside

"""A program of scalars, which the generators of C and of Pallas kernels read.

`Value`s are shared (equal expressions are one value) and pure; a `Loop` holds what is repeated. A
value belongs to the innermost loop on whose variables it depends, its `scope`, so whatever a loop
body does not change is computed before the loop.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SUPPORTED = tuple(
    np.dtype(name)
    for name in ("bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float32")
)


class Unsupported(ValueError):
    """A function, or a machine, for which no kernel can be generated; the message says why."""


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class Value:
    """One scalar of an instance.

    op: the name of a lax primitive, or one of "constant", "input", "variable" (a loop's), "result"
    (what a variable is after its loop), "select" (predicate, if true, if false), "convert",
    "bitcast", "round_half_even", "round_half_away".
    payload: the number of a constant; (argument, element) of an input; (loop, index) of a variable
    or a result.
    """

    op: str
    args: "tuple[Value, ...]"
    dtype: np.dtype
    number: int
    scope: "Loop | None" = None
    payload: Any = None


@dataclasses.dataclass(eq=False, slots=True)
class Loop:
    """Variables that change together, `trips` times or while `condition` holds."""

    parent: "Loop | None"
    inits: list[Value]
    variables: list[Value] = dataclasses.field(default_factory=list)
    results: list[Value] = dataclasses.field(default_factory=list)
    nexts: list[Value] = dataclasses.field(default_factory=list)
    condition: Value | None = None
    trips: int = 0
    depth: int = 0


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One array of an instance, with its elements in C order."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


@dataclasses.dataclass(frozen=True)
class Body:
    """What a loop, or the program itself, computes, in an order that can be executed.

    head: what a loop's condition needs, before it; steps: the rest. variables: the indexes of the
    loop's variables that matter.
    """

    head: "list[Value | Loop]"
    steps: "list[Value | Loop]"
    variables: list[int]


@dataclasses.dataclass(frozen=True)
class Program:
    """A function of one instance. outputs: the elements of each output."""

    inputs: tuple[Leaf, ...]
    output_leaves: tuple[Leaf, ...]
    outputs: list[list[Value]]
    bodies: dict[Loop | None, Body]
    used_inputs: list[Value]

    @property
    def size(self) -> int:
        """The number of operations, each loop's body counted once."""
        return sum(
            isinstance(item, Value) and item.op not in LEAVES
            for body in self.bodies.values()
            for item in (*body.head, *body.steps)
        )


LEAVES = ("constant", "input", "variable", "result")

Fold = Callable[..., np.generic]
# What numpy rounds, wraps and compares exactly as the operation is defined.
FOLDS: dict[str, Fold] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "neg": np.negative,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "not": np.invert,
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
COMMUTATIVE = {"add", "mul", "and", "or", "xor", "eq", "ne"}


def folded(op: str, args: Sequence[Value], dtype: np.dtype) -> np.generic | None:
    """The constant that an operation on constants is, where that is certain to the last bit."""
    numbers = [arg.payload for arg in args]
    with np.errstate(all="ignore"):
        if op == "div" and dtype == np.float32:
            result = np.divide(*numbers)
        elif op == "convert" and not (args[0].dtype.kind == "f" and dtype.kind in "iu"):
            result = np.asarray(numbers[0]).astype(dtype)[()]
        elif op in FOLDS and not (op == "neg" and dtype.kind == "b"):
            result = FOLDS[op](*numbers)
        else:
            return None
    # Whether subnormal numbers are flushed to zero is for the machine to say.
    subnormal = dtype.kind == "f" and 0 < abs(result) < np.finfo(dtype).tiny
    return None if subnormal else dtype.type(result)


def _is(value: Value, number: float) -> bool:
    """Whether a value is this constant; of zeros, the one with this sign."""
    constant = value.payload
    return (
        value.op == "constant"
        and bool(constant == number)
        and bool(np.signbit(float(constant)) == np.signbit(number))
    )


class Builder:
    """Makes values: shares equal ones and applies the identities that hold for every number."""

    def __init__(self) -> None:
        self.scope: Loop | None = None
        self._number = 0
        self._known: dict[object, Value] = {}

    def constant(self, number: np.generic) -> Value:
        key = ("constant", number.dtype, number.tobytes())
        return self._shared(key, "constant", (), number.dtype, number)

    def input(self, argument: int, element: int, dtype: np.dtype) -> Value:
        payload = (argument, element)
        return self._shared(("input", payload), "input", (), dtype, payload)

    def emit(self, op: str, args: Sequence[Value], dtype: np.dtype) -> Value:
        """The value of an operation."""
        args = tuple(args)
        if all(arg.op == "constant" for arg in args):
            number = folded(op, args, dtype)
            if number is not None:
                return self.constant(number)
        simpler = self._identity(op, args, dtype)
        if simpler is not None:
            return simpler
        if op in COMMUTATIVE:
            args = tuple(sorted(args, key=lambda arg: arg.number))
        key = (op, dtype, *(arg.number for arg in args))
        return self._shared(key, op, args, dtype, None)

    def open_loop(self, inits: Sequence[Value]) -> Loop:
        """A loop inside the current one; what is made until `close_loop` may use its variables."""
        depth = 1 if self.scope is None else self.scope.depth + 1
        loop = Loop(parent=self.scope, inits=list(inits), depth=depth)
        for index, init in enumerate(inits):
            variable = Value("variable", (), init.dtype, self._next(), loop, (loop, index))
            loop.variables.append(variable)
        self.scope = loop
        return loop

    def close_loop(self, loop: Loop, nexts: Sequence[Value]) -> list[Value]:
        """What the variables are after the loop."""
        self.scope = loop.parent
        loop.nexts = list(nexts)
        for index, init in enumerate(loop.inits):
            result = Value("result", (), init.dtype, self._next(), loop.parent, (loop, index))
            loop.results.append(result)
        return loop.results

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _shared(
        self, key: object, op: str, args: tuple[Value, ...], dtype: np.dtype, payload: Any
    ) -> Value:
        value = self._known.get(key)
        if value is None:
            scopes = [arg.scope for arg in args if arg.scope is not None]
            scope = max(scopes, key=lambda loop: loop.depth, default=None)
            value = Value(op, args, dtype, self._next(), scope, payload)
            self._known[key] = value
        return value

    def _identity(self, op: str, args: tuple[Value, ...], dtype: np.dtype) -> Value | None:
        """A simpler value that is the same for all numbers, NaN and both zeros included."""
        first, last = args[0], args[-1]
        kind = dtype.kind
        match op:
            case "select":
                predicate, if_true, if_false = args
                if predicate.op == "constant":
                    return if_true if predicate.payload else if_false
                return if_true if if_true is if_false else None
            case "convert" if first.dtype == dtype:
                return first
            case "add":
                zero = -0.0 if kind == "f" else 0
                return first if _is(last, zero) else last if _is(first, zero) else None
            case "sub" if _is(last, 0):
                return first
            case "mul" if _is(last, 1):
                return first
            case "mul" if _is(first, 1):
                return last
            case "mul" if kind == "f" and _is(last, -1):
                return self.emit("neg", (first,), dtype)
            case "mul" if kind == "f" and _is(first, -1):
                return self.emit("neg", (last,), dtype)
            case "div" if _is(last, 1):
                return first
            case "and" | "or" if kind == "b":
                for this, other in ((first, last), (last, first)):
                    if this.op == "constant":
                        return other if bool(this.payload) == (op == "and") else this
                return first if first is last else None
            case "neg" | "not" if first.op == op:
                return first.args[0]
        return None


def finish(inputs: Sequence[Leaf], outputs: Sequence[tuple[Leaf, list[Value]]]) -> Program:
    """The program of what `outputs` need, and of nothing else."""
    live, used = _live([value for _, values in outputs for value in values])
    inside: dict[Loop | None, list[tuple[int, Value | Loop]]] = {None: []}
    for loop in used:
        inside[loop] = []
    for value in live:
        if value.op not in LEAVES:
            inside[value.scope].append((value.number, value))
    for loop in used:
        # A loop stands where its results were made: after all that it uses.
        inside[loop.parent].append((loop.results[0].number, loop))
    bodies = {}
    for scope, numbered in inside.items():
        items = [item for _, item in sorted(numbered, key=lambda entry: entry[0])]
        first = _needed(scope.condition, used) if scope and scope.condition else set()
        head = [item for item in items if item in first]
        steps = [item for item in items if item not in first]
        bodies[scope] = Body(head, steps, sorted(used[scope]) if scope else [])
    leaves = tuple(leaf for leaf, _ in outputs)
    used_inputs = [value for value in live if value.op == "input"]
    used_inputs.sort(key=lambda value: value.number)
    return Program(tuple(inputs), leaves, [values for _, values in outputs], bodies, used_inputs)


def _live(roots: list[Value]) -> tuple[set[Value], dict[Loop, set[int]]]:
    """(values, the variables of each loop) that the roots need."""
    live: set[Value] = set()
    loops: dict[Loop, set[int]] = {}
    stack = list(roots)
    while stack:
        value = stack.pop()
        if value in live:
            continue
        live.add(value)
        stack.extend(value.args)
        if value.op in ("variable", "result"):
            loop, index = value.payload
            if loop not in loops:
                loops[loop] = set()
                stack.extend([] if loop.condition is None else [loop.condition])
            if index not in loops[loop]:
                loops[loop].add(index)
                stack += [loop.inits[index], loop.nexts[index]]
    return live, loops


def _needed(condition: Value, used: dict[Loop, set[int]]) -> set[Value | Loop]:
    """What is computed to know a condition, the variables being known."""
    needed: set[Value | Loop] = set()
    stack = [condition]
    while stack:
        value = stack.pop()
        if value in needed:
            continue
        needed.add(value)
        stack.extend(value.args)
        if value.op == "result":
            loop, _ = value.payload
            if loop not in needed:
                needed.add(loop)
                stack.extend([] if loop.condition is None else [loop.condition])
                for index in used[loop]:
                    stack += [loop.inits[index], loop.nexts[index]]
    return needed

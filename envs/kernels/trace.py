"""From a jaxpr to a program of scalars.

Arrays become numpy arrays of `Value`s, so what only moves elements (slices, reshapes, gathers at
known places) costs nothing, and the rest is unrolled to scalars.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from .program import SUPPORTED, Builder, Leaf, Program, Unsupported, Value, finish

MAX_ELEMENTS = 1024  # of one array: beyond that unrolling is not what one wants
MAX_UNROLLED = 64  # trips of a scan that reads or writes sequences
MAX_NUMBERS = 8192  # of all arguments and results: a thread's stack holds them for every lane
MAX_OPERATIONS = 30_000  # after which compilers take minutes

Values = np.ndarray  # of dtype object, holding Value


def trace(jaxpr: ClosedJaxpr) -> Program:
    """The program of a traced function of one instance. Raises Unsupported."""
    tracer = _Tracer()
    inputs = [_leaf(var.aval) for var in jaxpr.jaxpr.invars]
    arguments = [
        _array([tracer.builder.input(i, e, leaf.dtype) for e in range(leaf.size)], leaf.shape)
        for i, leaf in enumerate(inputs)
    ]
    results = tracer.run(jaxpr, arguments)
    leaves = [_leaf(var.aval) for var in jaxpr.jaxpr.outvars]
    outputs = [(leaf, list(result.flat)) for leaf, result in zip(leaves, results, strict=True)]
    numbers = sum(leaf.size for leaf in (*inputs, *leaves))
    if numbers > MAX_NUMBERS:
        raise Unsupported(f"{numbers} numbers in and out: kernels take up to {MAX_NUMBERS}")
    program = finish(inputs, outputs)
    if program.size > MAX_OPERATIONS:
        raise Unsupported(f"{program.size} operations: kernels are of up to {MAX_OPERATIONS}")
    return program


def _leaf(aval: Any) -> Leaf:
    leaf = Leaf(aval.shape, aval.dtype)
    if leaf.dtype not in SUPPORTED:
        raise Unsupported(
            f"{leaf.dtype} is not among the dtypes of kernels ({', '.join(map(str, SUPPORTED))})"
        )
    if not 0 < leaf.size <= MAX_ELEMENTS:
        raise Unsupported(
            f"an array of shape {leaf.shape}: kernels take 1 to {MAX_ELEMENTS} numbers"
        )
    return leaf


def _array(values: Sequence[Value], shape: tuple[int, ...]) -> Values:
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


# Primitives by what becomes of them. Elementwise ones keep their name.
ELEMENTWISE = {
    *("add", "sub", "mul", "div", "rem", "neg", "abs", "sign", "max", "min", "pow"),
    *("sqrt", "rsqrt", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2"),
    *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "exp", "exp2", "expm1", "log", "log1p"),
    *("erf", "erfc", "floor", "ceil", "is_finite", "and", "or", "xor", "not"),
    *("eq", "ne", "lt", "le", "gt", "ge"),
    *("shift_left", "shift_right_logical", "shift_right_arithmetic"),
}
OF_BOOL = {"add": "or", "mul": "and", "max": "or", "min": "and", "ne": "xor"}
REDUCTIONS = {
    "reduce_sum": "add",
    "reduce_prod": "mul",
    "reduce_max": "max",
    "reduce_min": "min",
    "reduce_and": "and",
    "reduce_or": "or",
    "reduce_xor": "xor",
}
CALLS = {
    *("jit", "pjit", "closed_call", "core_call", "remat", "checkpoint", "custom_jvp_call"),
    *("custom_vjp_call", "custom_vmap_call"),
}
# What only moves elements: which operands hold elements (None: all). The others say where to.
MOVES: dict[str, tuple[int, ...] | None] = {
    "broadcast_in_dim": (0,),
    "concatenate": None,
    "copy": (0,),
    "dynamic_slice": (0,),
    "dynamic_update_slice": (0, 1),
    "expand_dims": (0,),
    "gather": (0,),
    "pad": (0, 1),
    "reshape": (0,),
    "rev": (0,),
    "scatter": (0, 2),
    "slice": (0,),
    "split": (0,),
    "squeeze": (0,),
    "stack": None,
    "transpose": (0,),
    "unstack": (0,),
}


class _Tracer:
    def __init__(self) -> None:
        self.builder = Builder()

    def run(self, closed: ClosedJaxpr | Jaxpr, args: Sequence[Values]) -> list[Values]:
        jaxpr = getattr(closed, "jaxpr", closed)
        consts = getattr(closed, "consts", ())
        known: dict[Any, Values] = {}

        def read(atom: Any) -> Values:
            if isinstance(atom, Literal):
                return self.constant(np.asarray(atom.val, _leaf(atom.aval).dtype))
            return known[atom]

        known.update(zip(jaxpr.constvars, map(self.constant, consts), strict=True))
        known.update(zip(jaxpr.invars, args, strict=True))
        for eqn in jaxpr.eqns:
            results = self.equation(eqn, [read(atom) for atom in eqn.invars])
            known.update(zip(eqn.outvars, results, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def constant(self, number: Any) -> Values:
        array = np.asarray(number)
        leaf = _leaf(array)
        return _array([self.builder.constant(element) for element in array.flat], leaf.shape)

    def equation(self, eqn: JaxprEqn, args: list[Values]) -> list[Values]:
        name, params = eqn.primitive.name, eqn.params
        leaves = [_leaf(var.aval) for var in eqn.outvars]
        if name in CALLS:
            inner = params.get("jaxpr") or params.get("call_jaxpr") or params["call"]
            return self.run(inner, args)
        if name in MOVES:
            return self.move(eqn, args)
        if name in REDUCTIONS:
            return [self.reduce(REDUCTIONS[name], args[0], params["axes"])]
        control = {"while": self.while_loop, "scan": self.scan, "cond": self.cond}
        if name in control:
            return control[name](eqn, args)
        if name == "optimization_barrier":
            return args
        if name == "platform_index" and None in params["platforms"]:
            # The way for any platform is the one that has no kernel of its own yet.
            return [self.constant(np.int32(params["platforms"].index(None)))]
        if name == "iota":
            index = np.indices(leaves[0].shape)[params["dimension"]]
            return [self.constant(index.astype(leaves[0].dtype))]
        if name == "dot_general":
            return [self.dot(args[0], args[1], params["dimension_numbers"], leaves[0])]
        rule = self.elementwise(name, params, leaves[0].dtype)
        if rule is None:
            raise Unsupported(f"the primitive {name} has no kernel")
        return [_map(rule, leaves[0].shape, *args)]

    def elementwise(
        self, name: str, params: dict[str, Any], dtype: np.dtype
    ) -> Callable[..., Value] | None:
        """The rule for one element, if there is one."""
        emit = self.builder.emit
        match name:
            case "select_n":
                return self.choose
            case "convert_element_type":
                return lambda x: emit("convert", (x,), dtype)
            case "bitcast_convert_type" if dtype.itemsize == 4:
                return lambda x: emit("bitcast", (x,), dtype)
            case "square":
                return lambda x: emit("mul", (x, x), dtype)
            case "integer_pow":
                return lambda x: self.integer_pow(x, params["y"])
            case "clamp":
                return lambda low, x, high: self.op("min", self.op("max", low, x), high)
            case "round":
                way = "round_half_even" if int(params["rounding_method"]) else "round_half_away"
                return lambda x: emit(way, (x,), dtype)
            case _ if name in ELEMENTWISE:
                return lambda *args: self.op(name, *args)
        return None

    def op(self, name: str, *args: Value) -> Value:
        """An elementwise operation whose result's dtype follows from its name."""
        of_bool = args[0].dtype == bool
        if of_bool and name == "eq":
            return self.op("not", self.op("xor", *args))
        if of_bool:
            name = OF_BOOL.get(name, name)
            if name not in ("and", "or", "xor", "not"):
                raise Unsupported(f"the primitive {name} of bool has no kernel")
        to_bool = name in ("eq", "ne", "lt", "le", "gt", "ge", "is_finite")
        return self.builder.emit(name, args, np.dtype(bool) if to_bool else args[0].dtype)

    def choose(self, which: Value, *cases: Value) -> Value:
        """The case of this number; a number beyond the ends counts as the end."""
        result = cases[-1]
        for number, case in reversed(list(enumerate(cases[:-1]))):
            if which.dtype == bool:
                is_later = which
            elif which.op == "convert" and which.args[0].dtype == bool and number == 0:
                is_later = which.args[0]
            else:
                limit = self.builder.constant(which.dtype.type(number))
                is_later = self.op("gt", which, limit)
            result = self.builder.emit("select", (is_later, result, case), case.dtype)
        return result

    def integer_pow(self, x: Value, exponent: int) -> Value:
        """By repeated squaring, as jax.lax does it."""
        one = self.builder.constant(x.dtype.type(1))
        result, power, rest = None, x, abs(exponent)
        while rest:
            if rest & 1:
                result = power if result is None else self.op("mul", result, power)
            rest >>= 1
            power = self.op("mul", power, power) if rest else power
        if result is None:
            return one
        return self.op("div", one, result) if exponent < 0 else result

    def move(self, eqn: JaxprEqn, args: list[Values]) -> list[Values]:
        """Ask jax itself where the elements go: run the primitive on their numbers."""
        name, params = eqn.primitive.name, dict(eqn.params)
        positions = MOVES[name]
        holding = [i for i in range(len(args)) if positions is None or i in positions]
        operands: list[Any] = [
            None if i in holding else _known(args[i], name) for i in range(len(args))
        ]
        elements = np.concatenate([args[i].ravel() for i in holding])
        start = 0
        for i in holding:
            end = start + args[i].size
            operands[i] = np.arange(start, end, dtype=np.int32).reshape(args[i].shape)
            start = end
        if name == "gather":
            params["fill_value"] = -1
        with jax.ensure_compile_time_eval():
            bound = eqn.primitive.bind(*operands, **params)
        results = []
        for moved in bound if eqn.primitive.multiple_results else [bound]:
            numbers = np.asarray(moved)
            if numbers.min() < 0:
                raise Unsupported(f"the primitive {name} reads out of range")
            results.append(elements[numbers.ravel()].reshape(numbers.shape))
        return results

    def reduce(self, op: str, array: Values, axes: Sequence[int]) -> Values:
        """From the first element to the last, one after the other."""
        kept = [axis for axis in range(array.ndim) if axis not in axes]
        shape = tuple(array.shape[axis] for axis in kept)
        rows = array.transpose(*kept, *axes).reshape(int(np.prod(shape)), -1)
        emit = functools.partial(self.op, op)
        return _array([functools.reduce(emit, row) for row in rows], shape)

    def dot(self, left: Values, right: Values, dimensions: Any, leaf: Leaf) -> Values:
        """Sums of products, each from the first product to the last."""
        (left_sum, right_sum), (left_batch, right_batch) = dimensions
        left_free = [i for i in range(left.ndim) if i not in (*left_sum, *left_batch)]
        right_free = [i for i in range(right.ndim) if i not in (*right_sum, *right_batch)]
        batch = int(np.prod([left.shape[i] for i in left_batch]))
        terms = int(np.prod([left.shape[i] for i in left_sum]))
        lefts = left.transpose(*left_batch, *left_free, *left_sum).reshape(batch, -1, terms)
        rights = right.transpose(*right_batch, *right_free, *right_sum).reshape(batch, -1, terms)

        def product(row: Values, column: Values) -> Value:
            products = [self.op("mul", a, b) for a, b in zip(row, column, strict=True)]
            return functools.reduce(functools.partial(self.op, "add"), products)

        values = [
            product(row, column) for i in range(batch) for row in lefts[i] for column in rights[i]
        ]
        return _array(values, leaf.shape)

    def cond(self, eqn: JaxprEqn, args: list[Values]) -> list[Values]:
        """All branches, then a choice, as under vmap; only one where it is known which."""
        which, branches = args[0].item(), eqn.params["branches"]
        if which.op == "constant":
            return self.run(branches[min(max(int(which.payload), 0), len(branches) - 1)], args[1:])
        branches = [self.run(branch, args[1:]) for branch in branches]
        return [
            _map(lambda *cases: self.choose(which, *cases), cases[0].shape, *cases)
            for cases in zip(*branches, strict=True)
        ]

    def while_loop(self, eqn: JaxprEqn, args: list[Values]) -> list[Values]:
        params = eqn.params
        first, second = params["cond_nconsts"], params["body_nconsts"]
        cond_consts, body_consts = args[:first], args[first : first + second]
        condition, body = params["cond_jaxpr"], params["body_jaxpr"]

        def test(carry: list[Values]) -> Value:
            return self.run(condition, [*cond_consts, *carry])[0].item()

        def advance(carry: list[Values]) -> list[Values]:
            return self.run(body, [*body_consts, *carry])

        return self.loop(args[first + second :], advance, test=test)

    def scan(self, eqn: JaxprEqn, args: list[Values]) -> list[Values]:
        params, body, length = eqn.params, eqn.params["jaxpr"], eqn.params["length"]
        # What has one axis more outside than inside is a sequence: how many constants and carried
        # arrays there are, versions of jax say in different ways.
        count = _num_whole(eqn.outvars, body.out_avals)
        first = _num_whole(eqn.invars, body.in_avals) - count
        consts, carry, sequences = args[:first], args[first : first + count], args[first + count :]

        def advance(carry: list[Values]) -> list[Values]:
            return self.run(body, [*consts, *carry])

        if not sequences and count == len(body.out_avals):
            return self.loop(carry, advance, trips=length)
        if length > MAX_UNROLLED:
            raise Unsupported(
                f"a scan of {length} steps over sequences: kernels unroll up to {MAX_UNROLLED}"
            )
        rows = []
        for step in reversed(range(length)) if params["reverse"] else range(length):
            out = advance([*carry, *(_map(_same, s.shape[1:], s[step]) for s in sequences)])
            carry = out[:count]
            rows.append(out[count:])
        rows = rows[::-1] if params["reverse"] else rows
        return [*carry, *(np.stack(row) for row in zip(*rows, strict=True))]

    def loop(
        self,
        carry: list[Values],
        advance: Callable[[list[Values]], list[Values]],
        *,
        test: Callable[[list[Values]], Value] | None = None,
        trips: int = 0,
    ) -> list[Values]:
        """Traced again without the variables that turn out to stay what they are."""
        shapes = [array.shape for array in carry]
        inits = [value for array in carry for value in array.flat]
        changing = list(range(len(inits)))
        while True:
            loop = self.builder.open_loop([inits[i] for i in changing])
            before = list(inits)
            for i, variable in zip(changing, loop.variables, strict=True):
                before[i] = variable
            arrays = _arrays(before, shapes)
            loop.condition = test(arrays) if test else None
            loop.trips = trips
            after = [value for array in advance(arrays) for value in array.flat]
            results = self.builder.close_loop(loop, [after[i] for i in changing])
            still = [i for i in changing if after[i] is not before[i]]
            if still == changing:
                break
            changing = still
        final = list(inits)
        for i, result in zip(changing, results, strict=True):
            final[i] = result
        return _arrays(final, shapes)


def _num_whole(outside: Sequence[Any], inside: Sequence[Any]) -> int:
    """How many of a scan's operands or results are handed on whole, trip by trip."""
    pairs = zip(outside, inside, strict=True)
    return sum(len(atom.aval.shape) == len(aval.shape) for atom, aval in pairs)


def _same(value: Value) -> Value:
    return value


def _map(rule: Callable[..., Value], shape: tuple[int, ...], *args: Values) -> Values:
    """`rule` for each element; arguments of one element count for all."""
    values = [
        rule(*row) for row in zip(*(np.broadcast_to(a, shape).flat for a in args), strict=True)
    ]
    return _array(values, shape)


def _arrays(values: list[Value], shapes: list[tuple[int, ...]]) -> list[Values]:
    arrays, start = [], 0
    for shape in shapes:
        end = start + int(np.prod(shape))
        arrays.append(_array(values[start:end], shape))
        start = end
    return arrays


def _known(array: Values, name: str) -> Any:
    """The numbers of an array of constants."""
    if any(value.op != "constant" for value in array.flat):
        raise Unsupported(
            f"the primitive {name} at a place that is only known when it runs: "
            "select among the elements instead"
        )
    numbers = [value.payload for value in array.flat]
    return np.array(numbers, array.flat[0].dtype).reshape(array.shape)

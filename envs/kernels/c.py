"""From a program of scalars to C: one function for as many instances as a vector holds."""

import math
import re
from pathlib import Path

import numpy as np

from .program import LEAVES, Leaf, Loop, Program, Unsupported, Value

HERE = Path(__file__).parent
LANES_H = (HERE / "lanes.h").read_text()

# What lanes.h defines, each name with its type: sqrt_F, div_I, ...
FUNCTIONS = set(re.findall(r"^INLINE \w (\w+)\(", LANES_H, re.MULTILINE))
FUNCTIONS |= {f"{name}_F" for name in re.findall(r"^EACH_\d\((\w+),", LANES_H, re.MULTILINE)}

COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
BITWISE = {"and": "&", "or": "|", "xor": "^"}
ARITHMETIC = {"add": "+", "sub": "-", "mul": "*"}

OPERATIONS_PER_CHUNK = 20_000
"""A thread takes at least this much at a time, some ten microseconds."""

# enum XLA_FFI_DataType
FFI_TYPES = {
    "bool": "PRED",
    "int8": "S8",
    "int16": "S16",
    "int32": "S32",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "float32": "F32",
}


def generate(program: Program) -> str:
    """The C source of a kernel, which includes lanes.h and handler.h. Raises Unsupported."""
    return "\n".join(_Writer(program).source()) + "\n"


def _kind(dtype: np.dtype) -> str:
    """The vector type in which a dtype is held."""
    return {"float32": "F", "uint32": "U"}.get(dtype.name, "I")


def _leaves(leaves: tuple[Leaf, ...]) -> str:
    return ", ".join(f"{{XLA_FFI_DataType_{FFI_TYPES[x.dtype.name]}, {x.size}}}" for x in leaves)


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.starts = np.cumsum([0, *(leaf.size for leaf in program.inputs)])

    def source(self) -> list[str]:
        program = self.program
        blocks_per_chunk = max(1, OPERATIONS_PER_CHUNK // max(1, program.size))
        self.body(None, "")
        element = 0
        for values in program.outputs:
            for value in values:
                self.lines.append(f"  outputs[{element}] = (I){self.read(value)};")
                element += 1
        return [
            '#include "lanes.h"',
            "static void simlift_block(const I *restrict inputs, I *restrict outputs) {",
            *self.lines,
            "}",
            f"#define NUM_INPUTS {len(program.inputs)}",
            f"#define NUM_OUTPUTS {len(program.outputs)}",
            f"#define INPUT_LEAVES {_leaves(program.inputs)}",
            f"#define OUTPUT_LEAVES {_leaves(program.output_leaves)}",
            f"#define INPUT_ELEMENTS {self.starts[-1]}",
            f"#define OUTPUT_ELEMENTS {element}",
            f"#define CHUNK (LANES * {blocks_per_chunk})",
            '#include "handler.h"',
        ]

    def body(self, scope: Loop | None, active: str) -> None:
        """What a loop, or the program, computes. active: the mask of the loop around, if any."""
        body = self.program.bodies[scope]
        indent = "  " * (1 if scope is None else scope.depth + 1)
        self.items(body.head, indent, active)
        if scope is not None and scope.condition is not None:
            self.lines.append(f"{indent}{active} &= {self.read(scope.condition)};")
            self.lines.append(f"{indent}if (!any({active})) break;")
        self.items(body.steps, indent, active)

    def items(self, items: list[Value | Loop], indent: str, active: str) -> None:
        for item in items:
            if isinstance(item, Loop):
                self.loop(item, indent, active)
            else:
                kind = _kind(item.dtype)
                self.lines.append(f"{indent}const {kind} {self.read(item)} = {self.compute(item)};")

    def loop(self, loop: Loop, indent: str, around: str) -> None:
        """Until the last lane is done; lanes that are keep their variables."""
        used = [
            (loop.variables[i], loop.inits[i], loop.nexts[i])
            for i in self.program.bodies[loop].variables
        ]
        for variable, init, _ in used:
            kind = _kind(variable.dtype)
            self.lines.append(f"{indent}{kind} {self.read(variable)} = {self.read(init)};")
        active = around
        if loop.condition is None:
            trip = f"trip{loop.depth}"
            self.lines.append(f"{indent}for (int {trip} = 0; {trip} < {loop.trips}; {trip}++) {{")
        else:
            active = f"active{loop.depth}"
            self.lines.append(f"{indent}for (I {active} = {around or '~(I){0}'};;) {{")
        self.body(loop, active)
        for variable, _, after in used:  # all are read before the first is written
            name, kind = self.read(variable), _kind(variable.dtype)
            self.lines.append(f"{indent}  const {kind} next_{name} = {self.read(after)};")
        for variable, _, _ in used:
            name = self.read(variable)
            result = f"next_{name}"
            if loop.condition is not None:
                result = f"select_{_kind(variable.dtype)}({active}, {result}, {name})"
            self.lines.append(f"{indent}  {name} = {result};")
        self.lines.append(f"{indent}}}")

    def read(self, value: Value) -> str:
        """A value as an expression of its vector type."""
        match value.op:
            case "constant":
                return _constant(value)
            case "input":
                argument, element = value.payload
                return f"({_kind(value.dtype)})inputs[{self.starts[argument] + element}]"
            case "result":
                loop, index = value.payload
                return self.read(loop.variables[index])
        return f"t{value.number}"

    def compute(self, value: Value) -> str:
        assert value.op not in LEAVES
        kind, source = _kind(value.dtype), _kind(value.args[0].dtype)
        args = [self.read(arg) for arg in value.args]
        op, small = value.op, value.dtype.kind in "iu" and value.dtype.itemsize < 4
        if op == "convert":
            return _convert(args[0], value.args[0].dtype, value.dtype)
        if op == "bitcast":
            return f"({kind}){args[0]}"
        if op == "select":
            return f"select_{kind}({', '.join(args)})"
        if op in BITWISE:
            return f"{args[0]} {BITWISE[op]} {args[1]}"
        if op in COMPARISONS:
            return f"{args[0]} {COMPARISONS[op]} {args[1]}"
        if op in ARITHMETIC:
            result = f"{args[0]} {ARITHMETIC[op]} {args[1]}"
        elif op == "div" and kind == "F":
            return f"{args[0]} / {args[1]}"
        elif op == "not":
            result = f"~{args[0]}"
        elif op == "neg" and kind != "F":
            result = f"-{args[0]}"
        elif small and op.startswith("shift"):
            raise Unsupported(f"{op} of {value.dtype} has no kernel: convert to int32 before")
        else:
            name = f"{op}_{source}"
            if name not in FUNCTIONS:
                raise Unsupported(f"the primitive {op} of {value.args[0].dtype} has no kernel in C")
            if op in ("max", "min") and kind == "F":
                name, args = _limit(name, value.args, args)
            result = f"{name}({', '.join(args)})"
        return f"wrap_{value.dtype}({result})" if small else result


def _constant(value: Value) -> str:
    number = value.payload
    match value.dtype.name:
        case "bool":
            return "INT(-1)" if number else "INT(0)"
        case "float32":
            number = float(number)
            if math.isnan(number):
                return 'FLOAT(__builtin_nanf(""))'
            if math.isinf(number):
                return f"FLOAT({'-' if number < 0 else ''}__builtin_inff())"
            return f"FLOAT({number.hex()}f)"
        case "uint32":
            return f"UINT({number}u)"
    return "INT(INT32_MIN)" if number == -(2**31) else f"INT({number})"


def _limit(name: str, values: tuple[Value, ...], args: list[str]) -> tuple[str, list[str]]:
    """max or min with a constant, which one comparison does."""
    for i, value in enumerate(values):
        number = float(value.payload) if value.op == "constant" else math.nan
        if not math.isnan(number):
            sign = "negative" if math.copysign(1, number) < 0 else "positive"
            return f"{name}_{sign}", [args[1 - i], args[i]]
    return name, args


def _convert(arg: str, old: np.dtype, new: np.dtype) -> str:
    if new.kind == "b":
        return f"{arg} != 0"
    if old.kind == "b":
        return (
            f"select_F({arg}, FLOAT(1.0f), FLOAT(0.0f))"
            if new.kind == "f"
            else (f"({_kind(new)})({arg} & 1)")
        )
    if new.kind == "f":
        return f"float_of_{_kind(old)}({arg})"
    if old.kind == "f":
        if new == np.uint32:
            return f"uint_of_F({arg})"
        limits = np.iinfo(new)
        whole = f"int_of_F({arg})"
        return whole if new == np.int32 else f"clip_I({whole}, {limits.min}, {limits.max})"
    return f"({_kind(new)}){arg}" if new.itemsize == 4 else f"wrap_{new}((I){arg})"

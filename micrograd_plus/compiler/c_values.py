"""Chapter 4, continued: one value in C, its type, its expression, and how a reduction takes it in."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Node

TYPES = {
    "float32": "float",
    "float64": "double",
    "bool": "unsigned char",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long",
}
INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "bitwise_and": "&",
    "bitwise_or": "|",
    "bitwise_xor": "^",
}
CALLS = {
    **{name: name for name in ("expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "tanh", "sqrt", "floor", "ceil")},
    **{
        "exp": "exponential",
        "power": "pow",
        "arctan": "atan",
        "trunc": "trunc",
        "rint": "rint",
        "copysign": "copysign",
        "absolute": "fabs",
    },
    **{name: name for name in ("logistic", "normal_cdf", "sign")},
}
IDENTITY = {"sum": "0", "prod": "1", "all": "1", "any": "0", "max": "-INFINITY", "min": "INFINITY"}
OPERATORS = {"sum": "+", "prod": "*", "max": "max", "min": "min", "all": "&", "any": "|"}

Argument = tuple[Node, bool, int]  # an array that a function is called with, whether it writes it, and the element it begins at
Text = tuple[str, list[Argument]]  # a function of the name NAME, and what it is to be called with


def ctype(node: Node) -> str:
    """The C type of a value in memory."""
    return TYPES[node.dtype.name]


def register(node: Node) -> str:
    """The C type of a value in a register: a bool is an int."""
    return "int" if node.dtype == bool else ctype(node)


def literal(value: Any, dtype: Any) -> str:
    """A number in C."""
    if dtype.kind == "f":
        if math.isnan(value):
            return "NAN"
        if math.isinf(value):
            return "INFINITY" if value > 0 else "-INFINITY"
        text = repr(float(np.float32(value))) if dtype == np.float32 else repr(float(value))
        text = f"{text}f" if dtype == np.float32 else text
        return f"({text})" if text.startswith("-") else text
    text = str(int(value)) if dtype.kind == "b" else f"{int(value)}{'L' if dtype.itemsize == 8 else ''}"
    return f"({text})" if text.startswith("-") else text


def expression(node: Node, inputs: Sequence[str]) -> str:
    """A node's value as an expression of its inputs'."""
    op, x, kind = node.op, node.inputs[0] if node.inputs else node, node.dtype.kind
    if op in ("copy",):
        return inputs[0]
    if op == "cast":
        return f"({inputs[0]} != 0)" if node.dtype == bool else f"({register(node)}){inputs[0]}"
    if op == "where":
        return f"({inputs[0]} ? {inputs[1]} : {inputs[2]})"
    if op == "negative":
        return f"(-{inputs[0]})"
    if op == "square":
        return f"({inputs[0]} * {inputs[0]})"
    if op in ("maximum", "minimum"):
        sign = ">=" if op == "maximum" else "<="
        if kind != "f":
            return f"({inputs[0]} {sign} {inputs[1]} ? {inputs[0]} : {inputs[1]})"
        value = node.inputs[1].attrs[0] if node.inputs[1].op == "constant" else math.nan
        if not math.isnan(value):  # a NaN on the left is neither more nor less
            return f"({inputs[0]} {'<=' if op == 'maximum' else '>='} {inputs[1]} ? {inputs[1]} : {inputs[0]})"
        return f"{op}{'f' if node.dtype == np.float32 else ''}({inputs[0]}, {inputs[1]})"
    if op in INFIX:
        return f"({inputs[0]} {INFIX[op]} {inputs[1]})"
    if op in ("logical_not", "invert") and x.dtype == bool:
        return f"(!{inputs[0]})"
    if op == "invert":
        return f"(~{inputs[0]})"
    if op in ("logical_and", "logical_or"):  # both sides are there already, and branches are no vector instructions
        return f"(({inputs[0]} != 0) {'&' if op == 'logical_and' else '|'} ({inputs[1]} != 0))"
    if op == "logical_xor":
        return f"(!{inputs[0]} != !{inputs[1]})"
    if op == "isnan":
        return f"({inputs[0]} != {inputs[0]})"
    if op == "isinf":
        return f"(fabs({inputs[0]}) == INFINITY)"
    if op == "isfinite":
        return f"(fabs({inputs[0]}) < INFINITY)"
    if op == "signbit":
        return f"(copysign(1.0, {inputs[0]}) < 0)"
    if kind != "f":
        if op == "absolute":
            return f"({inputs[0]} < 0 ? -{inputs[0]} : {inputs[0]})"
        if op == "sign":
            return f"(({inputs[0]} > 0) - ({inputs[0]} < 0))"
        raise NotImplementedError(f"{op} of whole numbers has no form in C")
    suffix = "f" if node.dtype == np.float32 else ""
    return f"{CALLS[op]}{suffix}({', '.join(inputs)})"


def identity_of(node: Node) -> str:
    """What a reduction begins with."""
    kind = node.attrs[0]
    if kind in ("max", "min") and node.dtype.kind != "f":
        info = np.iinfo(node.dtype) if node.dtype != bool else None
        if info is None:
            return "0" if kind == "max" else "1"
        return literal(info.min + (info.min < 0), node.dtype) if kind == "max" else literal(info.max, node.dtype)
    return IDENTITY[kind]


def accumulate(kind: str, name: str, x: str, node: Node) -> list[str]:
    """Take one more element into a reduction in a register."""
    match kind:
        case "sum":
            return [f"{name} += {x};"]
        case "prod":
            return [f"{name} *= {x};"]
        case "all":
            return [f"{name} &= {x} != 0;"]
        case "any":
            return [f"{name} |= {x} != 0;"]
    sign = ">" if kind == "max" else "<"
    lines = [f"{name} = {x} {sign} {name} ? {x} : {name};"]
    return [*lines, f"{name}_nan |= {x} != {x};"] if node.dtype.kind == "f" else lines


def combine(kind: str, place: str, x: str, node: Node) -> list[str]:
    """Take one more value into a reduction in memory."""
    match kind:
        case "sum":
            return [f"{place} += {x};"]
        case "prod":
            return [f"{place} *= {x};"]
        case "all":
            return [f"{place} = {place} && {x};"]
        case "any":
            return [f"{place} = {place} || {x};"]
    sign = ">" if kind == "max" else "<"
    nan = f" || {x} != {x}" if node.dtype.kind == "f" else ""
    return [f"{place} = {x} {sign} {place}{nan} ? {x} : {place};"]

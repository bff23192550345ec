"""Chapter 2, the graph: what a step computes, as a list of nodes.

A trace leaves a *graph*: nodes in the order in which the function computed them. A node names an operation and the nodes that it
reads; its value is an array whose shape and dtype are known, and which is never changed once it is computed. There are few kinds:

    sources       input, constant, array, iota      what is there before (iota is 0, 1, 2, ...)
    elementwise   add, exp, where, cast, copy, ...  inputs of the node's own shape, or constants
    views         reshape, transpose, broadcast,    the same elements seen in another way, which is no work
                  slice, windows
    reduce        sum, max, all, ... over axes      reduced axes stay, of size one
    movement      gather, scatter, place, fold      elements found, or put, by index
    products      matmul, correlate, ...            where most of the time goes
    scan, arg     running sums, positions of extrema

`out = relu(x @ w + b)` of shape (2, 3) becomes

    n0 = input x (2, 4)        n3 = matmul n0 n1 (2, 3)                 n6 = add n3 n5 (2, 3)
    n1 = input w (4, 3)        n4 = reshape n2 (1, 3)                   n7 = constant 0 ()
    n2 = input b (3)           n5 = broadcast n4 (2, 3)                 n8 = maximum n6 n7 (2, 3)

Broadcasting and dtypes are explicit: each of NumPy's conventions has been applied by the time that a node is made, so that the
later chapters need to know none. `evaluate` computes a node with NumPy; the passes and the generated code are tested against it.
"""

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..rules import primitives
from ..rules.convolution import correlate, correlate_input, correlate_weight
from ..rules.windows import add_windows, slide

Shape = tuple[int, ...]

# Each is NumPy's ufunc of that name, or the function beside it. Inputs have been cast to what the ufunc computes in.
ELEMENTWISE: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(np, name)
        for name in (
            *("add", "subtract", "multiply", "divide", "power", "negative", "maximum", "minimum", "absolute", "square", "sqrt"),
            *("exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "arctan", "tanh"),
            *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
            *("logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor", "invert"),
            *("isnan", "isinf", "isfinite", "signbit", "sign", "floor", "ceil", "trunc", "rint", "copysign"),
        )
    },
    "where": np.where,
    "logistic": primitives.logistic,
    "normal_cdf": primitives.normal_cdf,
}
VIEWS = ("reshape", "transpose", "broadcast", "slice", "windows")
REDUCTIONS: dict[str, Callable[..., Any]] = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "all": np.all, "any": np.any}

CORRELATIONS: dict[str, Callable[..., Any]] = {
    "correlate": correlate,
    "correlate_input": correlate_input,
    "correlate_weight": correlate_weight,
}


_creation = itertools.count()


class Node:
    """One value of a graph.

    Attributes:
        op: the operation, see the table above.
        inputs: the nodes that it reads.
        attrs: what else decides its value: axes, a constant, a shape. Hashable.
        shape, dtype: of the value.
        weak: whether it stands for a Python number, whose dtype gives way to that of an array (NumPy's NEP 50).
        line: (file, number) of the user's line that it is from, or None.
        order: nodes are numbered as they are made.
    """

    __slots__ = ("attrs", "dtype", "inputs", "line", "op", "order", "shape", "size", "weak")

    op: str
    inputs: tuple["Node", ...]
    attrs: tuple[Any, ...]
    shape: Shape
    dtype: Any
    size: int
    weak: bool
    line: Any
    order: int

    def __init__(
        self, op: str, inputs: Sequence["Node"], attrs: tuple[Any, ...], shape: Shape, dtype: Any, weak: bool = False, line: Any = None
    ) -> None:
        self.op, self.inputs, self.attrs = op, tuple(inputs), attrs
        self.shape, self.dtype, self.size = shape, np.dtype(dtype), math.prod(shape)
        self.weak, self.line, self.order = weak, line, next(_creation)

    def __repr__(self) -> str:
        return f"{self.op}{list(self.attrs) if self.attrs else ''} {self.dtype} {self.shape}"


def ordered(outputs: Iterable[Node]) -> list[Node]:
    """The outputs and all nodes that they are computed from, in the order in which they were made: each after its inputs."""
    found: set[Node] = set()
    pending = list(outputs)
    while pending:
        node = pending.pop()
        if node not in found:
            found.add(node)
            pending.extend(node.inputs)
    return sorted(found, key=operator.attrgetter("order"))


def constant(value: Any, dtype: Any, weak: bool = False) -> Node:
    """A number."""
    return Node("constant", (), (np.dtype(dtype).type(value).item(),), (), dtype, weak)


def evaluate(node: Node, inputs: Sequence[Any]) -> np.ndarray:
    """The value of a node, computed by NumPy from those of its inputs. Sources have none: theirs are given."""
    with np.errstate(all="ignore"):
        value = np.asarray(_evaluate(node, [np.asarray(x) for x in inputs]))
    return value.astype(node.dtype, copy=False)


def _evaluate(node: Node, inputs: list[np.ndarray]) -> Any:
    op, attrs = node.op, node.attrs
    x = inputs[0] if inputs else None
    if op in ELEMENTWISE:
        return np.broadcast_to(ELEMENTWISE[op](*inputs), node.shape)
    if op in ("cast", "copy"):
        return np.broadcast_to(x, node.shape).astype(node.dtype)  # type: ignore[arg-type]
    if op in VIEWS:
        return view(node, x)
    match op:
        case "constant":
            return np.asarray(attrs[0], node.dtype)
        case "reduce":
            kind, axes = attrs
            return REDUCTIONS[kind](x, axis=axes, keepdims=True)
        case "arg":
            kind, axis = attrs
            return getattr(np, kind)(x, axis=axis, keepdims=True)
        case "scan":
            return np.cumsum(inputs[0], axis=attrs[0])
        case "gather":
            return x[gather_index(node.attrs, node.shape, inputs[1:])]  # type: ignore[index]
        case "scatter":
            out = np.zeros(node.shape, node.dtype)
            np.add.at(out, gather_index(node.attrs, inputs[0].shape, inputs[1:]), inputs[0])
            return out
        case "iota":
            return np.arange(node.size).reshape(node.shape)
        case "place":
            out = np.full(node.shape, 0 if attrs[1] is None else attrs[1], node.dtype)
            for part, triples in zip(inputs, attrs[0], strict=True):
                out[slices(triples)] = part
            return out
        case "fold":
            spatial, stride, dilation = attrs
            w = np.moveaxis(inputs[0], -1, x.ndim - 2 * len(spatial) - 1)  # type: ignore[union-attr]
            return np.moveaxis(add_windows(w, spatial=spatial, stride=stride, dilation=dilation), w.ndim - 2 * len(spatial) - 1, -1)
        case "matmul":
            return np.matmul(*inputs)
        case "correlate" | "correlate_input" | "correlate_weight":
            settings = dict(attrs)
            if op != "correlate_weight":  # its weight is packed into a matrix (size * C / groups, O)
                size = settings.pop("size")
                packed = inputs[1].reshape(*size, -1, inputs[1].shape[-1])
                inputs = [inputs[0], np.moveaxis(packed, (-1, -2), (0, 1))]
            value = CORRELATIONS[op](*inputs, **settings)
            return np.moveaxis(value, 1, -1) if op != "correlate_weight" else np.moveaxis(value, (0, 1), (-1, -2))
    raise NotImplementedError(f"operation {op}")


def view(node: Node, x: Any) -> Any:
    """What a view node makes of an array: always a view of it, or for a reshape, where there is none, a ValueError by `copy=False`."""
    match node.op:
        case "reshape":
            return np.reshape(x, node.shape)
        case "transpose":
            return np.transpose(x, node.attrs[0])
        case "broadcast":
            return np.broadcast_to(x, node.shape)
        case "slice":
            return x[slices(node.attrs[0])]
    size, stride, dilation = node.attrs
    return slide(x, size=size, stride=stride, dilation=dilation)


def slices(attrs: Iterable[tuple[int, int, int]]) -> tuple[slice, ...]:
    """Python's slices of (start, step, count) of each axis; a step may be negative."""
    found = []
    for start, step, count in attrs:
        stop: int | None = start + step * count
        found.append(slice(start, None if stop is not None and stop < 0 else stop, step))
    return tuple(found)


def gather_index(attrs: tuple[Any, ...], shape: Shape, indices: Sequence[Any]) -> tuple[Any, ...]:
    """The index arrays, of the given shape, of gather and scatter: for each axis of the source, where to look.

    attrs: (axes, places): `axes[k]` is the axis that index k counts along; `places[d]` the axis that dimension d of the shape runs
    along itself, or -1.
    """
    axes, places = attrs[0], attrs[1]
    index: dict[int, Any] = dict(zip(axes, indices, strict=False))
    for d, axis in enumerate(places):
        if axis >= 0:
            index[axis] = np.arange(shape[d]).reshape(-1, *(1,) * (len(shape) - d - 1))
    return tuple(np.broadcast_to(index[axis], shape) for axis in range(len(index)))

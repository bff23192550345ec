"""Chapter 1, the trace: a function is run once on *symbols*, and what it does to them is written down.

Rules, layers, losses and optimizers are plain Python over NumPy's functions, so they run on whatever speaks NumPy's protocols. A
`Symbol` does: it has a shape and a dtype but no values, and every operation on it makes a node of the graph (chapter 2) and
returns another symbol.

    >>> trace = Trace()
    >>> x = trace.input("x", (2, 3), np.float32)
    >>> y = np.maximum(x @ np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), 0).sum()
    >>> for node in ordered([y.node]): print(node)
    input['x'] float32 (2, 3)
    array[0] float32 (3, 4)
    matmul float32 (2, 4)
    constant[0.0] float32 ()
    maximum float32 (2, 4)
    reduce['sum', (0, 1)] float32 (1, 1)
    reshape float32 ()

The backward walk needs no symbols of its own: pullbacks are NumPy too. What is not a pure function of arrays goes through
`effects`, and a trace takes the effects' place: a write gives a symbol another node, a random draw is an input, a check is an
output, a learning rate is an input, a number that is read is a symbol, to compute with and to return.

A trace can't see what Python does with values: `if loss > 3` would hold for one batch only. A symbol that is asked for its truth,
its number or its array therefore raises `Untraceable`, which names the user's line.

References: JAX's autodidax and its `make_jaxpr`; NumPy's enhancement proposals 13, 18 (the protocols) and 50 (dtypes).
"""

import functools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from ..explain.lines import user_line
from ..rules import primitives
from ..rules.convolution import correlate, correlate_input, correlate_weight
from ..rules.products import _explicit
from ..rules.rule import PRIMITIVES
from ..rules.selection import add_along
from ..rules.windows import add_windows, slide
from ..tensor import IMPLEMENTATIONS, Tensor, _wrap
from .graph import ELEMENTWISE, VIEWS, Node, Shape, constant, ordered

__all__ = ["NO_SYMBOLIC_FORM", "Symbol", "Trace", "Untraceable", "ordered", "user_line"]

# Functions of NumPy's, and rules of the same names, that stay without one, and why.
NO_SYMBOLIC_FORM = {
    "solve": "linear systems are LAPACK's work, which the generated code does not call",
    "argsort": "there is no node for sorting",
    "sort": "there is no node for sorting",
    "nonzero": "its shape depends on values",
    "argwhere": "its shape depends on values",
    "unique": "its shape depends on values",
}


class Untraceable(RuntimeError):  # noqa: N818 - a word that says what is wrong
    """A function that can't be compiled; the message says what it does, where, and what to do instead."""


def refuse(what: str, advice: str) -> NoReturn:
    """Raise Untraceable, with the user's line."""
    line = user_line()
    where = "" if line is None else f" ({line})"
    raise Untraceable(f"{what}{where}. {advice}")


def _broadcast(node: Node, shape: Shape) -> Node:
    """The node seen in a shape that it broadcasts to. Constants broadcast by themselves."""
    if node.shape == shape or node.op == "constant":
        return node
    if len(node.shape) < len(shape):
        node = Node("reshape", (node,), (), (1,) * (len(shape) - len(node.shape)) + node.shape, node.dtype, line=node.line)
    return node if node.shape == shape else Node("broadcast", (node,), (), shape, node.dtype, line=node.line)


def _cast(node: Node, dtype: Any) -> Node:
    if node.dtype == dtype:
        return node
    if node.op == "constant":
        return constant(node.attrs[0], dtype)
    return Node("cast", (node,), (), node.shape, dtype, line=node.line)


def _reshape(node: Node, shape: Shape) -> Node:
    return node if node.shape == shape else Node("reshape", (node,), (), shape, node.dtype, line=user_line())


@functools.lru_cache(maxsize=4096)
def _resolved(ufunc: np.ufunc, dtypes: tuple[Any, ...], dtype: Any) -> tuple[Any, ...]:
    """The dtypes that a ufunc computes in, and of its result; `float` and `int` among the dtypes are Python's numbers."""
    if dtype is None:
        return ufunc.resolve_dtypes((*dtypes, None))
    return ufunc.resolve_dtypes((*dtypes, None), signature=(dtype,) * (len(dtypes) + 1), casting="same_kind")


class Symbol:
    """An array that stands for another: of a known shape and dtype, without values.

    It has those of ndarray's methods and operators that rules, layers and optimizers use. In-place operations give it another node,
    as they give an array other values.
    """

    __slots__ = ("node", "owned", "trace")
    __hash__ = object.__hash__

    def __init__(self, trace: "Trace", node: Node, owned: bool = False) -> None:
        self.trace, self.node = trace, node
        self.owned = owned  # whether it is surely no view of another symbol, though its node may show another's elements

    def __repr__(self) -> str:
        return f"Symbol({self.node!r})"

    # -- attributes -------------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        return self.node.shape

    @property
    def dtype(self) -> Any:
        return self.node.dtype

    @property
    def ndim(self) -> int:
        return len(self.node.shape)

    @property
    def size(self) -> int:
        return self.node.size

    @property
    def T(self) -> "Symbol":  # noqa: N802 - NumPy's name
        return self.transpose()

    def __len__(self) -> int:
        return self.node.shape[0]

    # -- what needs values ------------------------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        refuse(
            "a compiled function can't branch on a traced value",
            "Use where(), or decide outside of the function; what is the same in every call may be a Python bool",
        )

    def _number(self) -> NoReturn:
        refuse(
            "a compiled function can't make a Python number of a traced value",
            "Return the value, or compute with it by NumPy's functions",
        )

    __float__ = __int__ = __index__ = __complex__ = _number

    def __format__(self, spec: str) -> NoReturn:
        refuse("a compiled function can't print a traced value", "Return the value, and print it outside")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        refuse("a compiled function can't make a plain array of a traced value", "Compute with Tensors and NumPy's functions")

    def tolist(self) -> NoReturn:
        """Refused."""
        self._number()

    def item(self) -> Any:
        """The value of a one-element array, as a number that may be returned and computed with."""
        return self.trace.read(self)

    # -- operators --------------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Any:
        return self.trace.ufunc(np.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return self.trace.ufunc(np.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return self.trace.ufunc(np.subtract, self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.trace.ufunc(np.subtract, other, self)

    def __mul__(self, other: Any) -> Any:
        return self.trace.ufunc(np.multiply, self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.trace.ufunc(np.multiply, other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.trace.ufunc(np.divide, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.trace.ufunc(np.divide, other, self)

    def __pow__(self, other: Any) -> Any:
        return self.trace.ufunc(np.power, self, other)

    def __rpow__(self, other: Any) -> Any:
        return self.trace.ufunc(np.power, other, self)

    def __matmul__(self, other: Any) -> Any:
        return self.trace.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return self.trace.matmul(other, self)

    def __neg__(self) -> Any:
        return self.trace.ufunc(np.negative, self)

    def __abs__(self) -> Any:
        return self.trace.ufunc(np.absolute, self)

    def __invert__(self) -> Any:
        return self.trace.ufunc(np.invert, self)

    def __and__(self, other: Any) -> Any:
        return self.trace.ufunc(np.bitwise_and, self, other)

    __rand__ = __and__

    def __or__(self, other: Any) -> Any:
        return self.trace.ufunc(np.bitwise_or, self, other)

    __ror__ = __or__

    def __xor__(self, other: Any) -> Any:
        return self.trace.ufunc(np.bitwise_xor, self, other)

    __rxor__ = __xor__

    def __eq__(self, other: object) -> Any:
        if other is None:
            return self.trace.broadcast_to(np.False_, self.shape)
        return self.trace.ufunc(np.equal, self, other)

    def __ne__(self, other: object) -> Any:
        if other is None:
            return self.trace.broadcast_to(np.True_, self.shape)
        return self.trace.ufunc(np.not_equal, self, other)

    def __lt__(self, other: Any) -> Any:
        return self.trace.ufunc(np.less, self, other)

    def __le__(self, other: Any) -> Any:
        return self.trace.ufunc(np.less_equal, self, other)

    def __gt__(self, other: Any) -> Any:
        return self.trace.ufunc(np.greater, self, other)

    def __ge__(self, other: Any) -> Any:
        return self.trace.ufunc(np.greater_equal, self, other)

    def _in_place(self, result: Any) -> "Symbol":
        if self.node.weak:
            return result  # type: ignore[no-any-return]
        self.trace.write(self, result)
        return self

    def __iadd__(self, other: Any) -> "Symbol":
        return self._in_place(self + other)

    def __isub__(self, other: Any) -> "Symbol":
        return self._in_place(self - other)

    def __imul__(self, other: Any) -> "Symbol":
        return self._in_place(self * other)

    def __itruediv__(self, other: Any) -> "Symbol":
        return self._in_place(self / other)

    def __ipow__(self, other: Any) -> "Symbol":
        return self._in_place(self**other)

    def __getitem__(self, index: Any) -> "Symbol":
        return self.trace.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.trace.assign(self, value, index)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    # -- methods ----------------------------------------------------------------------------------------------------------

    def astype(self, dtype: Any, copy: bool = True) -> "Symbol":
        return self if not copy and self.dtype == dtype and not self.node.weak else self.trace.cast(self, dtype)

    def copy(self, order: str = "C") -> "Symbol":
        return Symbol(self.trace, self.node, owned=True)

    def reshape(self, *shape: Any) -> "Symbol":
        wanted = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        return self.trace.reshape(self, tuple(operator.index(size) for size in wanted))

    def ravel(self) -> "Symbol":
        return self.reshape(-1)

    flatten = ravel

    def transpose(self, *axes: Any) -> "Symbol":
        if len(axes) == 1 and not isinstance(axes[0], int):
            axes = tuple(axes[0]) if axes[0] is not None else ()
        return self.trace.transpose(self, axes or tuple(range(self.ndim))[::-1])

    def swapaxes(self, first: int, second: int) -> "Symbol":
        axes = list(range(self.ndim))
        axes[first], axes[second] = axes[second], axes[first]
        return self.trace.transpose(self, tuple(axes))

    def squeeze(self, axis: Any = None) -> "Symbol":
        return self.reshape(np.squeeze(_shadow(self.shape), axis).shape)

    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> "Symbol":
        return self.trace.reduce("sum", self._counting() if dtype is None else self.trace.cast(self, dtype), axis, keepdims)

    def _counting(self) -> "Symbol":
        """Whole numbers and bools as NumPy's sums and products count them."""
        return self.trace.cast(self, {"b": np.int64, "i": np.int64, "u": np.uint64}.get(self.dtype.kind, self.dtype))

    def prod(self, axis: Any = None, keepdims: bool = False) -> "Symbol":
        return self.trace.reduce("prod", self._counting(), axis, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False, initial: Any = None) -> "Symbol":
        y = self.trace.reduce("max", self, axis, keepdims)
        return y if initial is None else self.trace.ufunc(np.maximum, y, initial)

    def min(self, axis: Any = None, keepdims: bool = False, initial: Any = None) -> "Symbol":
        y = self.trace.reduce("min", self, axis, keepdims)
        return y if initial is None else self.trace.ufunc(np.minimum, y, initial)

    def all(self, axis: Any = None, keepdims: bool = False) -> "Symbol":
        return self.trace.reduce("all", self != 0 if self.dtype != bool else self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> "Symbol":
        return self.trace.reduce("any", self != 0 if self.dtype != bool else self, axis, keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> "Symbol":
        total = self.sum(axis, keepdims=keepdims)
        return total / (self.size // max(total.size, 1))  # type: ignore[no-any-return]

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> "Symbol":
        return self.trace.arg("argmax", self, axis, keepdims)

    def argmin(self, axis: int | None = None, keepdims: bool = False) -> "Symbol":
        return self.trace.arg("argmin", self, axis, keepdims)

    # -- NumPy's protocols ------------------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, dtype: Any = None, out: Any = None, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            what = f"np.{ufunc.__name__}.{method}" if method != "__call__" else f"{', '.join(sorted(kwargs))}= of np.{ufunc.__name__}"
            refuse(f"{what} can't be traced", "Call it plainly")
        if any(hasattr(x, "_node") for x in inputs):
            return NotImplemented  # a Tensor, which applies its rule
        result = self.trace.matmul(*inputs) if ufunc is np.matmul else self.trace.ufunc(ufunc, *inputs, dtype=dtype)
        if out is None:
            return result
        (target,) = out
        if not isinstance(target, Symbol):
            refuse(f"out= of np.{ufunc.__name__} is a plain array, into which a traced value can't be written", "Leave it out")
        if not np.can_cast(result.dtype, target.dtype, "same_kind") or result.shape != target.shape:
            raise TypeError(f"out= is {target.dtype} {target.shape}, but the result {result.dtype} {result.shape}.")
        self.trace.write(target, result)
        return target

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if any(hasattr(kind, "_node") for kind in types):
            return NotImplemented
        if function in PRIMITIVES:
            for x in args:
                if hasattr(x, "_node"):  # a Tensor, which applies its rule, as in a replay
                    return x.__array_function__(function, types, args, kwargs)
        if function in (np.array2string, np.array_repr, np.array_str):
            format(next(x for x in args if isinstance(x, Symbol)))
        if function not in FUNCTIONS:
            name = function.__name__ if function in PRIMITIVES else f"np.{function.__name__}"
            reason = NO_SYMBOLIC_FORM.get(function.__name__)
            refuse(f"{name} has no symbolic form{f', for {reason}' if reason else ''}", "Compute it outside of the compiled function")
        return FUNCTIONS[function](self.trace, *args, **kwargs)


class Trace:
    """The making of a graph: each method adds nodes and gives a symbol. It also takes the place of the effects.

    Attributes:
        inputs: what the compiled function will be given, by key.
        arrays: plain arrays that met a symbol, which the compiled step reads where they are; `array[k]` is the k-th.
        external: the ids of arrays that are not the function's own and may change between calls.
        draws: random draws, in order: (generator, distribution, args, kwargs) with the input that stands for the result.
        checks: bool nodes of one element that must hold.
        numbers: the Python numbers that `scalar` gave: (owner, name), the input, and the symbol that it is now.
    """

    def __init__(self, external: Sequence[np.ndarray] = ()) -> None:
        self.inputs: dict[Any, Node] = {}
        self.arrays: list[np.ndarray] = []
        self.draws: list[tuple[Any, str, tuple[Any, ...], dict[str, Any], Node]] = []
        self.checks: list[Node] = []
        self.numbers: dict[tuple[int, str], list[Any]] = {}
        self._known: dict[int, Node] = {}
        self._external = {id(base) for array in external for base in _bases(array)}

    # -- making nodes -----------------------------------------------------------------------------------------------------

    def input(self, key: Any, shape: Shape, dtype: Any, weak: bool = False) -> Symbol:
        """A symbol of what the compiled function will be given."""
        self.inputs[key] = node = Node("input", (), (key,), tuple(shape), dtype, weak)
        return Symbol(self, node)

    def make(self, op: str, inputs: Sequence[Node], attrs: tuple[Any, ...], shape: Shape, dtype: Any, weak: bool = False) -> Symbol:
        """A symbol of a new node."""
        return Symbol(self, Node(op, inputs, attrs, tuple(shape), dtype, weak, user_line()))

    def node_of(self, x: Any) -> Node:
        """The node of a symbol, an array or a number."""
        if isinstance(x, Symbol):
            return x.node
        if isinstance(x, (bool, np.bool)):
            return constant(x, bool)
        if isinstance(x, (int, float)) and not isinstance(x, np.generic):
            return constant(x, np.int64 if isinstance(x, int) else np.float64, weak=True)
        if isinstance(x, np.generic):
            return constant(x, x.dtype)
        if not isinstance(x, np.ndarray) and not isinstance(x, (list, tuple)):
            refuse(f"a traced value met a {type(x).__name__}", "Compute with Tensors, arrays and numbers")
        array = np.asarray(x)
        if array.dtype.kind not in "fiub":
            refuse(f"a traced value met an array of dtype {array.dtype}", "Compute with numbers and bools")
        if id(array) in self._known:
            return self._known[id(array)]
        own = not self.may_change(array)
        if own and array.size and array.size <= 1 << 22 and (array == (first := array.reshape(-1)[0])).all():
            node = _spread(constant(first, array.dtype), array.shape)
        elif own and array.dtype == np.int64 and array.size == max(array.shape) and (array.reshape(-1) == np.arange(array.size)).all():
            node = Node("iota", (), (), array.shape, np.int64)
        else:
            node = Node("array", (), (len(self.arrays),), array.shape, array.dtype, line=user_line())
            self.arrays.append(array)
            self._known[id(array)] = node
        return node

    def may_change(self, array: np.ndarray) -> bool:
        """Whether somebody else holds the memory of an array, and may write into it between calls."""
        return any(id(base) in self._external for base in _bases(array))

    def ufunc(self, ufunc: np.ufunc, *inputs: Any, dtype: Any = None) -> Any:
        """An elementwise function, with NumPy's broadcasting and dtypes."""
        if any(hasattr(x, "_node") for x in inputs):
            return NotImplemented  # a Tensor on the right: its own operator does it
        name = ufunc.__name__
        if name not in ELEMENTWISE:
            refuse(f"np.{name} has no symbolic form", "Compute it outside of the compiled function")
        nodes = [self.node_of(x) for x in inputs]
        if name.startswith("logical_"):
            nodes = [_cast(x, bool) for x in nodes]
        kinds = tuple({"f": float, "i": int}[x.dtype.kind] if x.weak else x.dtype for x in nodes)
        *wanted, result = _resolved(ufunc, kinds, None if dtype is None else np.dtype(dtype))
        if np.float16 in (*(x.dtype for x in nodes), *wanted, result):
            given = ", ".join(str(x.dtype) for x in nodes)
            refuse(f"np.{name} of {given} is computed in half precision, which has no symbolic form", "Use float32: .astype(np.float32)")
        if name == "power" and result.kind != "f":
            refuse("a power of whole numbers has no symbolic form", "Use floats, or a product")
        if name in ("floor", "ceil", "trunc") and result.kind != "f":
            return Symbol(self, nodes[0])
        shape = np.broadcast_shapes(*(x.shape for x in nodes))
        operands = [_broadcast(_cast(x, kind), shape) for x, kind in zip(nodes, wanted, strict=True)]
        return self.make(name, operands, (), shape, result, weak=all(x.weak for x in nodes))

    def elementwise(self, op: str, x: Symbol) -> Symbol:
        """A primitive of one argument."""
        return self.make(op, (x.node,), (), x.shape, x.dtype)

    def where(self, condition: Any, x: Any, y: Any) -> Symbol:
        """np.where."""
        nodes = [self.node_of(part) for part in (condition, x, y)]
        like = [np.empty(0, part.dtype) if not part.weak else {"f": 0.0, "i": 0}[part.dtype.kind] for part in nodes[1:]]
        dtype = np.result_type(*like)
        shape = np.broadcast_shapes(*(part.shape for part in nodes))
        operands = [_cast(nodes[0], bool), _cast(nodes[1], dtype), _cast(nodes[2], dtype)]
        return self.make("where", [_broadcast(part, shape) for part in operands], (), shape, dtype)

    def cast(self, x: Any, dtype: Any) -> Symbol:
        """x in another dtype."""
        node = _cast(self.node_of(x), np.dtype(dtype))
        if node.dtype == np.float16:
            refuse("half precision has no symbolic form", "Use float32")
        if node.weak:  # no longer a Python number
            node = Node("reshape", (node,), (), node.shape, node.dtype)
        return Symbol(self, node)

    def reshape(self, x: Any, shape: Shape) -> Symbol:
        """np.reshape, in C order."""
        node = self.node_of(x)
        if -1 in shape:
            rest = -math.prod(shape)
            shape = tuple(node.size // max(rest, 1) if size == -1 else size for size in shape)
        if math.prod(shape) != node.size:
            raise ValueError(f"cannot reshape array of size {node.size} into shape {shape}")
        return Symbol(self, _reshape(node, shape))

    def transpose(self, x: Any, axes: Any = None) -> Symbol:
        """np.transpose."""
        node = self.node_of(x)
        axes = tuple(range(len(node.shape)))[::-1] if axes is None else tuple(axis % len(node.shape) for axis in axes)
        if sorted(axes) != list(range(len(node.shape))):
            raise ValueError("axes don't match array")
        return self.make("transpose", (node,), (axes,), tuple(node.shape[axis] for axis in axes), node.dtype)

    def broadcast_to(self, x: Any, shape: Any) -> Symbol:
        """np.broadcast_to."""
        node = self.node_of(x)
        return Symbol(self, _spread(node, tuple(np.broadcast_to(_shadow(node.shape), shape).shape)))

    def reduce(self, kind: str, x: Any, axis: Any = None, keepdims: bool = False) -> Symbol:
        """A reduction over axes."""
        node = self.node_of(x)
        kept = np.sum(_shadow(node.shape), axis=axis, keepdims=True).shape
        axes = _axes(axis, len(node.shape))
        if not node.size:
            refuse("an array without elements has no symbolic form", "Leave out empty batches")
        y = self.make("reduce", (node,), (kind, axes), kept, node.dtype)
        return y if keepdims else self.reshape(y, tuple(n for i, n in enumerate(kept) if i not in axes))

    def arg(self, kind: str, x: Any, axis: int | None, keepdims: bool = False) -> Symbol:
        """argmax and argmin."""
        symbol = x if isinstance(x, Symbol) else Symbol(self, self.node_of(x))
        if axis is None:
            symbol, axis = symbol.reshape(-1), 0
        axis %= symbol.ndim
        kept = tuple(1 if i == axis else n for i, n in enumerate(symbol.shape))
        y = self.make("arg", (symbol.node,), (kind, axis), kept, np.int64)
        return y if keepdims else self.reshape(y, tuple(n for i, n in enumerate(kept) if i != axis))

    def matmul(self, x: Any, y: Any) -> Any:
        """np.matmul."""
        if any(hasattr(part, "_node") for part in (x, y)):
            return NotImplemented
        a, b = self.node_of(x), self.node_of(y)
        shape = np.matmul(_shadow(a.shape), _shadow(b.shape)).shape
        dtype = np.result_type(a.dtype, b.dtype)
        if dtype.kind != "f":
            refuse("a matrix product of whole numbers has no symbolic form", "Use floats")
        a, b = _cast(a, dtype), _cast(b, dtype)
        a = _reshape(a, (1, *a.shape)) if len(a.shape) == 1 else a
        b = _reshape(b, (*b.shape, 1)) if len(b.shape) == 1 else b
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a, b = _broadcast(a, (*batch, *a.shape[-2:])), _broadcast(b, (*batch, *b.shape[-2:]))
        out = self.make("matmul", (a, b), (), (*batch, a.shape[-2], b.shape[-1]), dtype)
        return self.reshape(out, shape)

    def join(self, parts: Sequence[Any], axis: int = 0) -> Symbol:
        """np.concatenate."""
        nodes = [self.node_of(part) for part in parts]
        dtype = np.result_type(*[np.empty(0, node.dtype) for node in nodes])
        axis %= len(nodes[0].shape)
        shape = np.concatenate([_shadow(node.shape) for node in nodes], axis=axis).shape
        pieces, start = [], 0
        for node in nodes:
            size = node.shape[axis]
            if size:
                whole = [(0, 1, n) for n in shape]
                whole[axis] = (start, 1, size)
                pieces.append((_spread(_cast(node, dtype), (*shape[:axis], size, *shape[axis + 1 :])), tuple(whole)))
            start += size
        return self.place(pieces, shape, dtype)

    def place(self, pieces: Sequence[tuple[Node, Any]], shape: Shape, dtype: Any, fill: Any = None) -> Symbol:
        """Arrays put into the slices of a new one, (start, step, count) of each axis, that is `fill` elsewhere."""
        where = tuple(triples for _, triples in pieces)
        return self.make("place", [node for node, _ in pieces], (where, fill), shape, dtype)

    # -- indexing ---------------------------------------------------------------------------------------------------------

    def getitem(self, x: Symbol, index: Any) -> Symbol:
        """x[index]: ints, slices, None and Ellipsis see a part; integer arrays gather."""
        parts = list(index) if isinstance(index, tuple) else [index]
        parts = [part.item() if isinstance(part, np.integer) else part for part in parts]
        parts = [place for part in parts for place in (self._places(part) if _is_mask(part) else (part,))]
        if not [part for part in parts if _is_array(part)]:
            return self._basic(x, parts)
        given = sum(part is not None and part is not Ellipsis for part in parts)
        if Ellipsis not in [part for part in parts if not _is_array(part)]:
            parts.append(Ellipsis)
        where = next(i for i, part in enumerate(parts) if part is Ellipsis)
        parts[where : where + 1] = [slice(None)] * (x.ndim - given)
        basic = [slice(None) if _is_array(part) or isinstance(part, int) else part for part in parts]
        x = self._basic(x, basic)
        advanced = {d: part for d, part in enumerate(parts) if _is_array(part) or isinstance(part, int)}
        places = sorted(advanced)
        indices = [self._position(advanced[d], x.shape[d]) for d in places]
        shape = np.broadcast_shapes(*(node.shape for node in indices))
        start = places[0] if places == list(range(places[0], places[-1] + 1)) else 0
        rest = [d for d in range(x.ndim) if d not in advanced]
        before, after = rest[:start], rest[start:]
        out = (*(x.shape[d] for d in before), *shape, *(x.shape[d] for d in after))
        runs = (*before, *(-1 for _ in shape), *after)
        spread = [_spread(_reshape(node, (*node.shape, *(1 for _ in after))), out) for node in indices]
        return self._gather(x.node, spread, tuple(places), runs, out)

    def _places(self, mask: Any) -> tuple[np.ndarray, ...]:
        """The index arrays of a mask, of the same elements."""
        if not isinstance(mask, np.ndarray) or not mask.ndim or self.may_change(mask):
            refuse("indexing by a mask has no symbolic form, for its shape depends on values", "Use where()")
        return mask.nonzero()

    def _gather(self, x: Node, indices: Sequence[Node], axes: tuple[int, ...], runs: tuple[int, ...], shape: Shape) -> Symbol:
        for node, axis in zip(indices, axes, strict=True):
            self._require_in_range(node, x.shape[axis])
        return self.make("gather", (x, *indices), (axes, runs), shape, x.dtype)

    def _position(self, part: Any, size: int) -> Node:
        """An index as int64 positions from the front."""
        if isinstance(part, int):
            return constant(part % size, np.int64)
        if isinstance(part, np.ndarray) and part.dtype.kind in "iu" and not self.may_change(part):
            return self.node_of(np.where(part < 0, part + size, part).astype(np.int64))
        node = _cast(self.node_of(part), np.int64)
        negative = self.ufunc(np.less, Symbol(self, node), 0)
        return self.where(negative, self.ufunc(np.add, Symbol(self, node), size), Symbol(self, node)).node

    def _require_in_range(self, node: Node, size: int) -> None:
        """In compiled code, an index out of range would read memory that is somebody else's."""
        while node.op in ("broadcast", "reshape"):
            node = node.inputs[0]
        if (node.op == "iota" and node.size <= size) or (node.op == "constant" and 0 <= node.attrs[0] < size):
            return
        if node.op == "array":
            array = self.arrays[node.attrs[0]]
            if not self.may_change(array) and array.min() >= 0 and array.max() < size:
                return
        index = Symbol(self, node)
        self.require((index >= 0) & (index < size))

    def _basic(self, x: Symbol, parts: list[Any]) -> Symbol:
        shadow = _shadow(x.shape)
        shape = shadow[tuple(parts)].shape
        expanded = [part for part in parts if part is not None]
        if Ellipsis not in expanded:
            expanded.append(Ellipsis)
        where = expanded.index(Ellipsis)
        expanded[where : where + 1] = [slice(None)] * (x.ndim - len(expanded) + 1)
        triples = []
        for part, size in zip(expanded, x.shape, strict=True):
            if isinstance(part, slice):
                start, stop, step = part.indices(size)
                triples.append((start, step, len(range(start, stop, step))))
            else:
                triples.append((operator.index(part) % size, 1, 1))
        if any(count == 0 for _, _, count in triples):
            refuse("an array without elements has no symbolic form", "Leave out empty batches")
        node = x.node
        if [(0, 1, size) for size in x.shape] != triples:
            node = self.make("slice", (node,), (tuple(triples),), tuple(count for _, _, count in triples), node.dtype).node
        return Symbol(self, _reshape(node, shape) if node is not x.node or shape != x.shape else node)

    def scatter(self, values: Symbol, index: Any, shape: Shape) -> Symbol:
        """Zeros with values added at an index: what `getitem` gathers, or a slice shows, put back."""
        shadow = Symbol(self, Node("input", (), ("shadow",), tuple(shape), values.dtype))
        checks = len(self.checks)
        seen = self.getitem(shadow, index).node
        del self.checks[checks:]  # the indices of a pullback are those of its rule, which were checked
        y = self.broadcast_to(values, seen.shape)
        if seen.op == "gather":
            y = self.make("scatter", (y.node, *seen.inputs[1:]), seen.attrs, seen.inputs[0].shape, y.dtype)
            seen = seen.inputs[0]
        while seen is not shadow.node:  # reshaped, and before that sliced
            before = seen.inputs[0].shape
            y = self.reshape(y, before) if seen.op == "reshape" else self.place([(y.node, seen.attrs[0])], before, y.dtype, 0)
            seen = seen.inputs[0]
        return y

    def flip(self, x: Symbol, axis: Any = None) -> Symbol:
        """np.flip."""
        axes = _axes(axis, x.ndim)
        return self._basic(x, [slice(None, None, -1) if i in axes else slice(None) for i in range(x.ndim)])

    def pad(self, x: Symbol, widths: Any, mode: str = "constant", constant_values: Any = 0) -> Symbol:
        """np.pad, by a constant."""
        if mode != "constant":
            refuse(f"np.pad with mode={mode!r} has no symbolic form", "Index with positions instead")
        widths = tuple((int(a), int(b)) for a, b in np.broadcast_to(widths, (x.ndim, 2)).tolist())
        if all(width == (0, 0) for width in widths):
            return Symbol(self, x.node)
        shape = tuple(a + n + b for (a, b), n in zip(widths, x.shape, strict=True))
        inside = tuple((before, 1, n) for (before, _), n in zip(widths, x.shape, strict=True))
        return self.place([(x.node, inside)], shape, x.dtype, x.dtype.type(constant_values).item())

    # -- effects ----------------------------------------------------------------------------------------------------------

    def write(self, target: Symbol, value: Any) -> None:
        """Give a symbol other values, cast and broadcast to what it is."""
        if target.node.op in VIEWS and not target.owned:
            refuse("a write into a view of an array can't be traced", "Write into the array itself")
        target.owned = True
        target.node = _spread(_cast(self.node_of(value), target.dtype), target.shape)

    def assign(self, target: Any, value: Any, index: Any = ...) -> None:
        """effects.assign."""
        if isinstance(target, dict):
            entry = self.numbers.get((id(target), index))
            if entry is None:
                if isinstance(value, Symbol) or target.get(index) != value:
                    refuse(f"a write of {index!r} into a dict can't be traced", "Write outside of the compiled function")
                return
            entry[3] = value if isinstance(value, Symbol) else Symbol(self, self.node_of(value))
        elif isinstance(target, Symbol):
            whole = index is Ellipsis or index == () or (isinstance(index, slice) and index == slice(None))
            if not whole:
                refuse("a write into a part of an array can't be traced", "Build the array with where() or concatenate()")
            self.write(target, value)
        elif isinstance(value, Symbol) or self.may_change(target):
            refuse("a write into an array that is not found can't be traced", "Make the array an attribute of a Module")
        else:
            target[index] = value

    def draw(self, generator: np.random.Generator, distribution: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbol:
        """effects.draw: an input, drawn before each call, in the same order."""
        if [x for x in (*args, *kwargs.values()) if isinstance(x, Symbol)]:
            refuse("a random draw whose settings are traced values can't be compiled", "Draw a standard one, and scale it")
        like = np.asarray(getattr(np.random.default_rng(0), distribution)(*args, **kwargs))
        symbol = self.input(("draw", len(self.draws)), like.shape, like.dtype)
        self.draws.append((generator, distribution, args, kwargs, symbol.node))
        return symbol

    def require(self, condition: Any) -> None:
        """effects.require: an output, which must hold."""
        self.checks.append(self.reduce("all", self.cast(condition, bool)).node)

    def scalar(self, owner: Any, name: str) -> Any:
        """effects.scalar: an input, read before each call."""
        key = (id(owner), name)
        if key not in self.numbers:
            value = owner[name] if isinstance(owner, dict) else getattr(owner, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                return value
            symbol = self.input(("number", len(self.numbers)), (), np.int64 if isinstance(value, int) else np.float64, weak=True)
            self.numbers[key] = [owner, name, symbol.node, symbol]
        return Symbol(self, self.numbers[key][3].node)

    def read(self, array: Any) -> Any:
        """effects.read: a number that may be returned."""
        node = self.node_of(array)
        if node.size != 1:
            raise ValueError(f"read() needs an array of one element, got shape {node.shape}.")
        dtype = np.float64 if node.dtype.kind == "f" else np.int64
        if node.dtype == bool:
            refuse("a compiled function can't make a Python bool of a traced value", "Use where()")
        return Symbol(self, Node("cast", (_reshape(node, ()),), (), (), dtype, weak=True))


def _bases(array: np.ndarray) -> Iterator[Any]:
    """An array and those that it is a view of."""
    base: Any = array
    while base is not None:
        yield base
        base = getattr(base, "base", None)


def _spread(node: Node, shape: Shape) -> Node:
    """Broadcast in earnest: of a constant too, a node of the shape."""
    if node.op == "constant" and shape:
        return Node("broadcast", (Node("reshape", (node,), (), (1,) * len(shape), node.dtype),), (), shape, node.dtype)
    return _broadcast(node, shape)


def _shadow(shape: Shape) -> np.ndarray:
    """An array of that shape that takes no memory, to ask NumPy about shapes."""
    return np.broadcast_to(np.float32(0), shape)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    return tuple(sorted(operator.index(i) % max(ndim, 1) for i in given)) if ndim else ()


def _is_array(part: Any) -> bool:
    return isinstance(part, (np.ndarray, Symbol, list)) or hasattr(part, "_node")


def _is_mask(part: Any) -> bool:
    return isinstance(part, bool) or (hasattr(part, "dtype") and part.dtype.kind == "b")


# -- NumPy's functions of arrays, and the primitives, on symbols ---------------------------------------------------------


def _implementation(name: str) -> Callable[..., Any]:
    """A method of Symbol as a function."""
    return lambda trace, x, *args, **kwargs: getattr(_symbol(trace, x), name)(*args, **kwargs)


def _symbol(trace: Trace, x: Any) -> Symbol:
    return x if isinstance(x, Symbol) else Symbol(trace, trace.node_of(x))


def _expand_dims(trace: Trace, x: Any, axis: Any) -> Symbol:
    symbol = _symbol(trace, x)
    return symbol.reshape(np.expand_dims(_shadow(symbol.shape), axis).shape)


def _moveaxis(trace: Trace, x: Symbol, source: Any, destination: Any) -> Symbol:
    order = np.moveaxis(np.arange(math.prod(range(1, x.ndim + 1)) or 1).reshape(tuple(range(1, x.ndim + 1))), source, destination).shape
    return x.transpose(tuple(n - 1 for n in order))


def _stack(trace: Trace, parts: Sequence[Any], axis: int = 0) -> Symbol:
    symbols = [_symbol(trace, part) for part in parts]
    return trace.join([_expand_dims(trace, x, axis) for x in symbols], axis)


def _unstack(trace: Trace, x: Symbol, *, axis: int = 0) -> tuple[Symbol, ...]:
    axis %= x.ndim
    return tuple(x[(*(slice(None),) * axis, i)] for i in range(x.shape[axis]))


def _like(value: Any) -> Callable[..., Any]:
    def full(trace: Trace, x: Any, *args: Any, dtype: Any = None, **kwargs: Any) -> Symbol:
        fill = args[0] if value is None else value
        return Symbol(trace, _spread(constant(fill, dtype or x.dtype), x.shape))

    return full


def _take_along_axis(trace: Trace, x: Any, indices: Any, axis: int) -> Symbol:
    x = _symbol(trace, x)
    axis %= x.ndim
    position = trace._position(indices, x.shape[axis])
    shape = np.broadcast_shapes(tuple(1 if i == axis else n for i, n in enumerate(x.shape)), position.shape)
    x = trace.broadcast_to(x, tuple(x.shape[axis] if i == axis else n for i, n in enumerate(shape)))
    runs = tuple(-1 if i == axis else i for i in range(x.ndim))
    return trace._gather(x.node, [_spread(position, shape)], (axis,), runs, shape)


def _add_along(trace: Trace, values: Any, indices: Any, *, axis: int, size: int) -> Symbol:
    x, position = _symbol(trace, values), trace._position(indices, size)
    shape = np.broadcast_shapes(x.shape, position.shape)
    axis %= len(shape)
    x = trace.broadcast_to(x, shape)
    runs = tuple(-1 if i == axis else i for i in range(len(shape)))
    out = (*shape[:axis], size, *shape[axis + 1 :])
    return trace.make("scatter", (x.node, _spread(position, shape)), ((axis,), runs), out, x.dtype)


def _scatter_rows(trace: Trace, values: Any, indices: Any, *, count: int) -> Symbol:
    x, rest = _symbol(trace, values), tuple(-1 for _ in values.shape[1:])
    position = trace._position(indices, count)
    runs = (-1, *range(1, x.ndim))
    index = _spread(_reshape(position, (len(x), *(1 for _ in rest))), x.shape)
    return trace.make("scatter", (x.node, index), ((0,), runs), (count, *x.shape[1:]), x.dtype)


def _slide(trace: Trace, x: Symbol, *, size: Shape, stride: Shape, dilation: Shape) -> Symbol:
    shape = slide(_shadow(x.shape), size=size, stride=stride, dilation=dilation).shape
    return trace.make("windows", (x.node,), (size, stride, dilation), shape, x.dtype)


def _add_windows(trace: Trace, w: Symbol, *, spatial: Shape, stride: Shape, dilation: Shape) -> Symbol:
    """In memory the axis before the windows is last, as in eager mode: channels."""
    n = len(spatial)
    lead = w.ndim - 2 * n
    if not lead:
        return _add_windows(trace, w.reshape(1, *w.shape), spatial=spatial, stride=stride, dilation=dilation).reshape(spatial)
    last = w.transpose(*range(lead - 1), *range(lead, w.ndim), lead - 1)
    y = trace.make("fold", (last.node,), (spatial, stride, dilation), (*last.shape[: lead - 1], *spatial, last.shape[-1]), w.dtype)
    return y.transpose(*range(lead - 1), lead - 1 + n, *range(lead - 1, lead - 1 + n))


def _correlation(function: Callable[..., Any]) -> Callable[..., Any]:
    op = function.__name__

    def correlation(trace: Trace, x: Any, y: Any, **settings: Any) -> Symbol:
        a, b = trace.node_of(x), trace.node_of(y)
        dtype = np.result_type(a.dtype, b.dtype)
        n = len(a.shape) - 2
        if op == "correlate":
            spatial = slide(_shadow(a.shape), size=b.shape[2:], stride=settings["stride"], dilation=settings["dilation"]).shape
            shape = (a.shape[0], *spatial[2 : n + 2], b.shape[0])
        elif op == "correlate_input":
            shape = (a.shape[0], *settings["spatial"], b.shape[1] * settings["groups"])
        else:
            shape = (*settings["size"], a.shape[1] // settings["groups"], b.shape[1])
        if op != "correlate_weight":  # the weight as a matrix (size * C / groups, O)
            packed = Symbol(trace, b).transpose(*range(2, n + 2), 1, 0)
            settings["size"] = b.shape[2:]
            b = packed.reshape(-1, b.shape[0]).node
        out = trace.make(op, (_cast(a, dtype), _cast(b, dtype)), tuple(sorted(settings.items())), shape, dtype)
        # In memory the channels are last, as in eager mode.
        return out.transpose(n + 1, n, *range(n)) if op == "correlate_weight" else out.transpose(0, n + 1, *range(1, n + 1))

    return functools.wraps(function)(correlation)


def _einsum(trace: Trace, subscripts: str, *operands: Any, optimize: Any = None) -> Symbol:
    """By pairs: a product with broadcasting along all letters, summed over those that nothing further needs."""
    symbols = [_symbol(trace, x) for x in operands]
    terms, output = _explicit(subscripts, [x.ndim for x in symbols])
    for k, (term, x) in enumerate(zip(terms, symbols, strict=True)):
        while len(set(term)) < len(term):
            axis = next(i for i, letter in enumerate(term) if letter in term[i + 1 :])
            other = term.index(term[axis], axis + 1)
            same = np.expand_dims(np.eye(x.shape[axis], dtype=bool), tuple(i for i in range(x.ndim) if i not in (axis, other)))
            x = trace.where(same, x, 0).sum(other)
            term = term[:other] + term[other + 1 :]
        symbols[k], terms[k] = x, term
    while len(symbols) > 1:
        needed = set(output).union(*terms[2:])
        x, term = _contracted(trace, symbols[0], symbols[1], terms[0], terms[1], needed)
        symbols[:2], terms[:2] = [x], [term]
    x, term = symbols[0], terms[0]
    lost = tuple(i for i, letter in enumerate(term) if letter not in output)
    x = x.sum(lost) if lost else x
    kept = [letter for letter in term if letter in output]
    return x.transpose(tuple(kept.index(letter) for letter in output)) if output else x.reshape(())


def _contracted(trace: Trace, x: Symbol, y: Symbol, a: str, b: str, needed: set[str]) -> tuple[Symbol, str]:
    """The sum over letters that are not needed of the product of two operands: a matrix product of their rearranged axes."""
    for term, other in ((a, b), (b, a)):  # what only one of them has and nobody needs
        lost = tuple(i for i, letter in enumerate(term) if letter not in other and letter not in needed)
        if lost and term is a:
            x, a = x.sum(lost), "".join(letter for i, letter in enumerate(a) if i not in lost)
        elif lost:
            y, b = y.sum(lost), "".join(letter for i, letter in enumerate(b) if i not in lost)
    batch = [letter for letter in a if letter in b and letter in needed]
    summed = [letter for letter in a if letter in b and letter not in needed]
    left, right = [c for c in a if c not in b], [c for c in b if c not in a]
    sizes = {**dict(zip(b, y.shape, strict=True)), **{c: n for c, n in zip(a, x.shape, strict=True) if n != 1 or c not in b}}

    def arranged(symbol: Symbol, term: str, rows: list[str], columns: list[str]) -> Symbol:
        order = [*batch, *rows, *columns]
        symbol = symbol.transpose(tuple(term.index(letter) for letter in order)) if order else symbol
        symbol = trace.broadcast_to(symbol, tuple(sizes[letter] for letter in order))
        return symbol.reshape(*(sizes[c] for c in batch), math.prod(sizes[c] for c in rows), math.prod(sizes[c] for c in columns))

    out = arranged(x, a, left, summed) @ arranged(y, b, summed, right)
    term = "".join([*batch, *left, *right])
    return out.reshape(tuple(sizes[letter] for letter in term)), term


def _clip(trace: Trace, x: Any, low: Any, high: Any) -> Any:
    x = x if low is None else trace.ufunc(np.maximum, x, low)
    return x if high is None else trace.ufunc(np.minimum, x, high)


def _cumsum(trace: Trace, x: Any, axis: int | None = None) -> Symbol:
    x = _symbol(trace, x)._counting()
    x, axis = (x.ravel(), 0) if axis is None else (x, axis % x.ndim)
    return trace.make("scan", (x.node,), (axis,), x.shape, x.dtype)


def _by_tensors(function: Callable[..., Any]) -> Callable[..., Any]:
    """What a function of NumPy's is on Tensors, on symbols: for those that move values and multiply, but compute no other dtype."""

    def wrap(x: Any) -> Any:
        return _wrap(x) if isinstance(x, Symbol) else x  # type: ignore[arg-type]

    def unwrap(x: Any) -> Any:
        return x._data if isinstance(x, Tensor) else x

    def apply(trace: Trace, *args: Any, **kwargs: Any) -> Any:
        given = [[wrap(x) for x in arg] if isinstance(arg, (list, tuple)) else wrap(arg) for arg in args]
        result = IMPLEMENTATIONS[function](*given, **kwargs)
        return [unwrap(x) for x in result] if isinstance(result, list) else unwrap(result)

    return apply


FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    **{getattr(np, name): _implementation(name) for name in ("sum", "prod", "all", "any", "mean", "argmax", "argmin", "squeeze", "ravel")},
    **{getattr(np, name): _implementation("max") for name in ("max", "amax")},
    **{getattr(np, name): _implementation("min") for name in ("min", "amin")},
    **{getattr(np, name): _implementation(name) for name in ("astype", "copy", "swapaxes", "transpose")},
    np.reshape: lambda trace, x, shape: _symbol(trace, x).reshape(*((shape,) if isinstance(shape, int) else (tuple(shape),))),
    np.where: lambda trace, condition, x, y: trace.where(condition, x, y),
    np.clip: _clip,
    np.concatenate: lambda trace, parts, axis=0: trace.join(parts, axis),
    np.stack: _stack,
    np.unstack: _unstack,
    np.expand_dims: _expand_dims,
    np.moveaxis: _moveaxis,
    np.flip: lambda trace, x, axis=None: trace.flip(_symbol(trace, x), axis),
    np.broadcast_to: lambda trace, x, shape: trace.broadcast_to(x, shape),
    np.pad: lambda trace, x, widths, mode="constant", **kwargs: trace.pad(_symbol(trace, x), widths, mode, **kwargs),
    np.cumsum: _cumsum,
    np.take_along_axis: lambda trace, x, indices, axis: _take_along_axis(trace, x, indices, axis),
    np.einsum: _einsum,
    **{function: _by_tensors(function) for function in (np.tril, np.triu, np.roll, np.repeat, np.tile, np.split, np.array_split)},
    **{function: _by_tensors(function) for function in (np.vstack, np.hstack, np.take, np.diag, np.diagonal, np.trace)},
    **{function: _by_tensors(function) for function in (np.dot, np.inner, np.outer, np.tensordot)},
    np.count_nonzero: lambda trace, x, axis=None, keepdims=False: trace.cast(x, bool).sum(axis, keepdims=keepdims),
    np.zeros_like: _like(0),
    np.ones_like: _like(1),
    np.full_like: _like(None),
    np.shape: lambda trace, x: x.shape,
    np.ndim: lambda trace, x: x.ndim,
    np.size: lambda trace, x: x.size,
    np.result_type: lambda trace, *xs: np.result_type(*(np.empty(0, x.dtype) if isinstance(x, (Symbol, np.ndarray)) else x for x in xs)),
    primitives.constant: lambda trace, x: x,
    primitives.logistic: lambda trace, x: trace.elementwise("logistic", x),
    primitives.normal_cdf: lambda trace, x: trace.elementwise("normal_cdf", x),
    primitives.scatter_add: lambda trace, values, *, index, shape: trace.scatter(_symbol(trace, values), index, tuple(shape)),
    primitives.scatter_rows: _scatter_rows,
    add_along: _add_along,
    slide: _slide,
    add_windows: _add_windows,
    correlate: _correlation(correlate),
    correlate_input: _correlation(correlate_input),
    correlate_weight: _correlation(correlate_weight),
}

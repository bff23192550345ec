"""The Tensor, the graph that operations on it record, and the backward walk over that graph.

    apply(rule, *inputs)           runs a rule on the inputs' arrays and records a Node
    gradients(output, inputs)      walks the graph from the newest node to the oldest, pulling cotangents back
    output.backward()              the same walk; writes the result into `.grad`

A node points to its inputs, and only weakly to its output. All arrows point backward in time, so a graph has no
reference cycle and is freed the moment the last Tensor that needs it is.
"""

import contextlib
import functools
import itertools
import operator
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from . import effects, rules
from .rules import LINEAR, PRIMITIVES, Rule

Axis = int | tuple[int, ...] | None

# Every operation makes a new array. glibc hands the memory of large ones back to the system when they are freed, and the next ones
# get pages that must be zeroed, a third of the time of a training step. Once it has freed a block of nearly 32 MB, its limit for such
# blocks, it keeps what is smaller. This one is never touched, and so costs nothing.
np.empty(31 << 20, np.uint8)


class _ThreadState(threading.local):
    recording = True
    default_dtype: np.dtype = np.dtype(np.float32)
    watchers: "tuple[Watcher, ...]" = ()


_state = _ThreadState()
_creation = itertools.count(1)
_watching = False  # whether any thread ever had a watcher: a global is read in no time, a thread's own state is not


class Watcher(Protocol):
    """What follows a thread's operations and backward walks: `explain.debug` and its like."""

    def made(self, out: "Tensor", rule: Rule | None, inputs: Any, options: Any, pullbacks: Any) -> None:
        """Called with every new Tensor, and what made it; of a leaf, the rule is None. Of a rule of several values, with each."""

    def pulling(self, node: "Node", g: Any, edges: "Sequence[Edge | None]", pullbacks: Any) -> Any:
        """Called before a walk pulls a cotangent back through a node; returns the pullbacks, or functions in their place."""


def watch(*watchers: Watcher) -> tuple[Watcher, ...]:
    """Have this thread's operations and walks followed by these watchers alone; returns those that did before."""
    global _watching
    _watching = _watching or bool(watchers)
    before, _state.watchers = _state.watchers, watchers
    return before


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Record nothing within: results need no gradients. A context manager and a decorator; holds for this thread alone."""
    before, _state.recording = _state.recording, False
    try:
        yield
    finally:
        _state.recording = before


@contextlib.contextmanager
def enable_grad() -> Iterator[None]:
    """Record within, also where an outer `no_grad()` says not to. A context manager and a decorator; holds for this thread alone."""
    before, _state.recording = _state.recording, True
    try:
        yield
    finally:
        _state.recording = before


@contextlib.contextmanager
def default_dtype(dtype: Any) -> Iterator[None]:
    """Within, numbers, lists and floating arrays become `dtype` instead of float32; holds for this thread alone."""
    if not np.issubdtype(dtype, np.floating):
        raise TypeError(f"the default dtype must be a floating one, got {np.dtype(dtype)}. Pass np.float32 or np.float64.")
    before, _state.default_dtype = _state.default_dtype, np.dtype(dtype)
    try:
        yield
    finally:
        _state.default_dtype = before


class Node:
    """One recorded operation.

    `inputs` are the rule's inputs, as given, for replay; of a linear rule, whose replay needs no values, only the edges.
    An edge is where a cotangent goes: the node that made an input, or the input itself where it is a leaf.
    `inputs`, `options` and `pullbacks` are None once the node has been freed. `shape` and `dtype` are those of the output.
    `line` is unset; a watcher may set it.
    """

    __slots__ = ("__weakref__", "dtype", "inputs", "line", "options", "order", "output", "pullbacks", "rule", "shape")

    rule: Rule
    inputs: Any
    options: Any
    pullbacks: tuple[rules.Pullback | None, ...] | None
    order: int
    output: "Callable[[], Tensor | None]"
    line: Any
    shape: Any
    dtype: Any

    def edges(self) -> "Sequence[Edge | None]":
        """For each input, where its cotangent goes; `None` if it needs no gradient."""
        if self.inputs is None:
            raise RuntimeError(
                "backward() needs the whole graph, but an earlier backward() through it has freed a part. "
                "Compute the loss anew, or call the earlier one as backward(retain_graph=True)."
            )
        return self.inputs if self.rule in LINEAR else _edges(self.inputs)


class Part:
    """One output of a rule that returns several: number `index` of those of the node `whole`."""

    __slots__ = ("__weakref__", "dtype", "index", "order", "output", "shape", "whole")

    def __init__(self, whole: Node, index: int, output: "Tensor") -> None:
        self.whole, self.index, self.order, self.output = whole, index, next(_creation), weakref.ref(output)
        self.shape, self.dtype = output.shape, output.dtype

    def edges(self) -> "Sequence[Edge | None]":
        """The node of the rule."""
        return (self.whole,)


def _edges(inputs: Sequence[Any]) -> "list[Edge | None]":
    return [x._node or x if isinstance(x, Tensor) and x._requires_grad else None for x in inputs]


class Tensor:
    """An N-dimensional array that records what is computed from it.

    Args:
        data: a number, a nested list, an array or a Tensor; copied (`from_numpy` shares instead).
        requires_grad: whether gradients with respect to this tensor are wanted.
        dtype: `None` makes numbers, lists and floating arrays the default dtype, float32, and keeps that of integer and
            bool arrays.

    Attributes:
        data: the values, a NumPy array.
        grad: d(output)/d(self) of the `backward()` calls since the last `zero_grad()`, a NumPy array that this tensor owns;
            reads as fresh zeros before. `None` where no gradient is required.
        requires_grad: may be set on leaves, tensors that no recorded operation made.

    >>> a = Tensor([2.0], requires_grad=True)
    >>> b = Tensor([3.0], requires_grad=True)
    >>> (a * b + a).sum().backward()
    >>> a.grad, b.grad
    (array([4.], dtype=float32), array([2.], dtype=float32))
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_line", "_node", "_requires_grad")

    _data: np.ndarray
    _grad: np.ndarray | None
    _line: Any  # unset; a watcher may set it
    _node: Node | Part | None
    _requires_grad: bool

    def __init__(self, data: Any, requires_grad: bool = False, dtype: Any = None) -> None:
        self._data = _as_array(data, dtype).copy()
        self._grad = self._node = None
        self.requires_grad = requires_grad
        if _watching:
            _note(self)

    # -- attributes ------------------------------------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        return self._data

    @data.setter
    def data(self, value: Any) -> None:
        array = _array(value).astype(self._data.dtype, copy=False)
        if array.shape != self._data.shape:
            raise ValueError(f"data must keep its shape {self.shape}, got {array.shape}. Make a new Tensor for another shape.")
        self._data = array

    @property
    def grad(self) -> np.ndarray | None:
        if self._grad is None and self._requires_grad:
            return np.zeros_like(self._data)
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            value = _array(value).astype(self._data.dtype)
            if value.shape != self._data.shape:
                raise ValueError(f"grad must have its tensor's shape {self.shape}, got {value.shape}.")
        self._grad = value

    @property
    def requires_grad(self) -> bool:
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and not np.issubdtype(self._data.dtype, np.floating):
            raise TypeError(
                f"only floating tensors can require gradients, got dtype {self._data.dtype}. "
                "Make the tensor with dtype=np.float32, or from floats."
            )
        if self._node is not None and not value:
            raise RuntimeError("requires_grad can be cleared on leaves only; this tensor is the result of an operation. Use .detach().")
        self._requires_grad = bool(value)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self._node is None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._data.shape

    @property
    def ndim(self) -> int:
        return self._data.ndim

    @property
    def size(self) -> int:
        return self._data.size

    @property
    def dtype(self) -> np.dtype:
        return self._data.dtype

    @property
    def T(self) -> "Tensor":  # noqa: N802 - NumPy's name
        """The axes reversed, as in NumPy."""
        return self.transpose()

    # -- gradients -------------------------------------------------------------------------------------------------------

    def backward(self, gradient: Any = None, retain_graph: bool = False) -> None:
        """Write d(self)/d(t) into `t.grad` of every tensor t of the graph that is still held.

        Leaves add it to what `.grad` holds; results of operations get it afresh (PyTorch accumulates there too).

        Args:
            gradient: the cotangent of this tensor, of its shape; by default 1, and then it must have one element.
            retain_graph: keep what a further backward() through this graph needs; by default it is freed on the way.

        Raises:
            RuntimeError: not one element and no `gradient`; or a part of the graph was freed before.
            ValueError: `gradient` of another shape.
        """
        if not self._requires_grad:
            warnings.warn(
                "backward() changed nothing: no tensor that this result was computed from requires a gradient. "
                "Set requires_grad=True on those that should, and compute it outside no_grad().",
                UserWarning,
                stacklevel=2,
            )
            return
        leaves = _walk(self, _seed(self, gradient), release=not retain_graph)
        for leaf in list(leaves):
            g = leaves.pop(leaf)
            if leaf._grad is None:
                sole = g.__class__ is _ndarray and sys.getrefcount(g) == _SOLE_COUNT and g.base is None and g.flags.writeable
                leaf._grad = g if sole else _array(g).copy()
            else:
                leaf._grad = _array(leaf._grad + g)

    def zero_grad(self) -> None:
        """Forget the gradient; `.grad` reads as zeros."""
        self._grad = None

    def detach(self) -> "Tensor":
        """The same array as a leaf that requires no gradient. Writes into one are seen in the other."""
        return _wrap(self._data)

    def clone(self) -> "Tensor":
        """A copy of the values, recorded: gradients flow through it."""
        return apply(rules.cast, self, dtype=self.dtype)

    def item(self) -> float:
        """The value of a one-element tensor as a Python number."""
        if self.size != 1:
            raise ValueError(f"item() needs a tensor of one element, got shape {self.shape}. Reduce or index it first.")
        return effects.read(self._data)

    def numpy(self) -> np.ndarray:
        """A copy of the values."""
        return self._data.copy()

    # -- operators -------------------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> "Tensor":
        return _apply_binary(rules.add, self, other)

    def __radd__(self, other: Any) -> "Tensor":
        return apply(rules.add, other, self)

    def __sub__(self, other: Any) -> "Tensor":
        return _apply_binary(rules.subtract, self, other)

    def __rsub__(self, other: Any) -> "Tensor":
        return apply(rules.subtract, other, self)

    def __mul__(self, other: Any) -> "Tensor":
        return _apply_binary(rules.multiply, self, other)

    def __rmul__(self, other: Any) -> "Tensor":
        return apply(rules.multiply, other, self)

    def __truediv__(self, other: Any) -> "Tensor":
        return _apply_binary(rules.divide, self, other)

    def __rtruediv__(self, other: Any) -> "Tensor":
        return apply(rules.divide, other, self)

    def __pow__(self, other: Any) -> "Tensor":
        return _apply_binary(rules.power, self, other)

    def __rpow__(self, other: Any) -> "Tensor":
        return apply(rules.power, other, self)

    def __matmul__(self, other: Any) -> "Tensor":
        return _apply_binary(rules.matmul, self, other)

    def __rmatmul__(self, other: Any) -> "Tensor":
        return apply(rules.matmul, other, self)

    def __pos__(self) -> "Tensor":
        return self

    def __neg__(self) -> "Tensor":
        return apply(rules.negative, self)

    def __abs__(self) -> "Tensor":
        return self.abs()

    def __getitem__(self, index: Any) -> "Tensor":
        if isinstance(index, tuple):
            index = tuple([_raw(part) for part in index])
        return apply(rules.getitem, self, index=_raw(index))

    def __setitem__(self, index: Any, value: Any) -> None:
        if self._requires_grad and _state.recording:
            raise RuntimeError(
                "an element can't be assigned where the tensor requires a gradient: the graph would not know of it. "
                "Build the tensor with where(), concatenate() or stack(), or assign within no_grad()."
            )
        index = tuple(_raw(part) for part in index) if isinstance(index, tuple) else _raw(index)
        effects.assign(self._data, _raw(value), index)

    def __len__(self) -> int:
        if not self._data.ndim:
            raise TypeError("len() needs a tensor of at least one axis, got shape (). Use .item() for its value.")
        return len(self._data)

    def __iter__(self) -> Iterator["Tensor"]:
        return (self[i] for i in range(len(self)))

    # Comparisons give arrays, and `==` elementwise; a Tensor still hashes by identity, to be found in sets and dicts.
    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Any:
        return self._data == _raw(other)

    def __ne__(self, other: object) -> Any:
        return self._data != _raw(other)

    def __lt__(self, other: Any) -> Any:
        return self._data < _raw(other)

    def __le__(self, other: Any) -> Any:
        return self._data <= _raw(other)

    def __gt__(self, other: Any) -> Any:
        return self._data > _raw(other)

    def __ge__(self, other: Any) -> Any:
        return self._data >= _raw(other)

    def __bool__(self) -> bool:
        return bool(self._data)

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    # -- reductions ------------------------------------------------------------------------------------------------------

    def sum(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """Sum over `axis`, by default all."""
        return apply(rules.sum, self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """Mean over `axis`, by default all."""
        return apply(rules.mean, self, axis=axis, keepdims=keepdims)

    def max(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """Maximum over `axis`; ties share the gradient evenly."""
        return apply(rules.max, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """Minimum over `axis`; ties share the gradient evenly."""
        return apply(rules.min, self, axis=axis, keepdims=keepdims)

    def var(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """Variance over `axis`: mean((x - mean(x))^2), divided by n as in NumPy (PyTorch divides by n - 1)."""
        return apply(rules.square, self - self.mean(axis, keepdims=True)).mean(axis, keepdims)

    def std(self, axis: Axis = None, keepdims: bool = False) -> "Tensor":
        """Standard deviation over `axis`: sqrt(var). Its gradient is not finite where the variance is 0."""
        return self.var(axis, keepdims).sqrt()

    def argmax(self, axis: int | None = None) -> Any:
        """Index of the (first) maximum along `axis`, in the flattened array by default; an int array without gradient."""
        return self._data.argmax(axis)

    def argmin(self, axis: int | None = None) -> Any:
        """Index of the (first) minimum along `axis`, in the flattened array by default; an int array without gradient."""
        return self._data.argmin(axis)

    # -- shapes ----------------------------------------------------------------------------------------------------------

    def reshape(self, *shape: Any) -> "Tensor":
        """The same elements, in C order, in another shape; one size may be -1."""
        return apply(rules.reshape, self, shape=_unpacked(shape))

    def flatten(self) -> "Tensor":
        """All elements along one axis."""
        return self.reshape(-1)

    def transpose(self, *axes: Any) -> "Tensor":
        """Axes permuted as in NumPy: `transpose(1, 0, 2)`; reversed without arguments."""
        axes = _unpacked(axes)
        return apply(rules.transpose, self, axes=None if axes in ((), (None,)) else axes)

    def unsqueeze(self, axis: int | tuple[int, ...]) -> "Tensor":
        """With axes of size one inserted at `axis` of the result (NumPy's expand_dims)."""
        return self.reshape(np.expand_dims(self._data, axis).shape)

    def squeeze(self, axis: Axis = None) -> "Tensor":
        """Without the axes of size one, or those of them in `axis`."""
        return self.reshape(np.squeeze(self._data, axis).shape)

    def astype(self, dtype: Any) -> "Tensor":
        """The values in another dtype; to a floating one, gradients flow through."""
        if not np.issubdtype(dtype, np.floating):
            return from_numpy(self._data.astype(dtype))
        return apply(rules.cast, self, dtype=np.dtype(dtype))

    # -- elementwise functions -------------------------------------------------------------------------------------------

    def exp(self) -> "Tensor":
        """e^x."""
        return apply(rules.exp, self)

    def log(self) -> "Tensor":
        """Natural logarithm."""
        return apply(rules.log, self)

    def sqrt(self) -> "Tensor":
        """Square root; its derivative at 0 is infinite."""
        return apply(rules.sqrt, self)

    def abs(self) -> "Tensor":
        """|x|; its derivative at 0 is 0."""
        return apply(rules.absolute, self)

    def sin(self) -> "Tensor":
        """Sine, of radians."""
        return apply(rules.sin, self)

    def cos(self) -> "Tensor":
        """Cosine, of radians."""
        return apply(rules.cos, self)

    def clip(self, low: float | None = None, high: float | None = None) -> "Tensor":
        """min(max(x, low), high); the gradient passes where low <= x <= high."""
        if any(isinstance(bound, Tensor) for bound in (low, high)):
            raise TypeError("clip: the bounds must be numbers or arrays, got a Tensor. Use maximum() and minimum() for those.")
        return apply(rules.clip, self, low=low, high=high)

    def relu(self) -> "Tensor":
        """max(x, 0); its derivative at 0 is 0."""
        return apply(rules.relu, self)

    def leaky_relu(self, negative_slope: float = 0.01) -> "Tensor":
        """x where x > 0, negative_slope * x elsewhere."""
        return apply(rules.leaky_relu, self, slope=negative_slope)

    def elu(self, alpha: float = 1.0) -> "Tensor":
        """x where x > 0, alpha (e^x - 1) elsewhere."""
        return apply(rules.elu, self, alpha=alpha)

    def gelu(self, approximate: str = "none") -> "Tensor":
        """x Phi(x), Phi the standard normal distribution function; `approximate="tanh"` takes less than half the time, to 5e-4."""
        if approximate not in ("none", "tanh"):
            raise ValueError(f"approximate must be 'none' or 'tanh', got {approximate!r}.")
        return apply(rules.gelu if approximate == "none" else rules.gelu_tanh, self)

    def silu(self) -> "Tensor":
        """x sigmoid(x)."""
        return apply(rules.silu, self)

    def sigmoid(self) -> "Tensor":
        """1 / (1 + e^-x)."""
        return apply(rules.sigmoid, self)

    def tanh(self) -> "Tensor":
        """Hyperbolic tangent."""
        return apply(rules.tanh, self)

    def softplus(self) -> "Tensor":
        """log(1 + e^x)."""
        return apply(rules.softplus, self)

    def softmax(self, axis: int = -1) -> "Tensor":
        """exp(x) / sum(exp(x)) over `axis`, stable at any size of x."""
        return apply(rules.softmax, self, axis=axis)

    def log_softmax(self, axis: int = -1) -> "Tensor":
        """log(softmax(x)) over `axis`, stable at any size of x."""
        return apply(rules.log_softmax, self, axis=axis)

    # -- Python's and NumPy's protocols ----------------------------------------------------------------------------------

    def __repr__(self) -> str:
        values = np.array2string(self._data, separator=", ", prefix="Tensor(")
        dtype = "" if self.dtype == _state.default_dtype else f", dtype={self.dtype}"
        return f"Tensor({values}{dtype}{', requires_grad=True' if self._requires_grad else ''})"

    def __format__(self, spec: str) -> str:
        """The value of a one-element tensor, formatted.

        >>> f"{Tensor(2.5):.2f}"
        '2.50'
        """
        return format(self.item(), spec) if spec else str(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if self._node is not None:
            raise RuntimeError("only leaves can be deep-copied; this tensor is the result of an operation. Copy its .detach().")
        copy = type(self).__new__(type(self))
        copy._data, copy._node, copy._requires_grad = self._data.copy(), None, self._requires_grad
        copy._grad = None if self._grad is None else self._grad.copy()
        return copy

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._requires_grad:
            raise RuntimeError(
                "a tensor that requires a gradient can't silently become an array: the graph would be cut there. "
                "Use .detach() (or .numpy(), .data) if that is meant; stack() and concatenate() join tensors."
            )
        return np.array(self._data, dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs:
            extra = f"np.{ufunc.__name__}.{method}" if method != "__call__" else f"{', '.join(kwargs)}= of np.{ufunc.__name__}"
            raise TypeError(f"only plain calls of NumPy's functions work on Tensors, not {extra}. Write it without.")
        if ufunc in _UFUNCS:
            return apply(_UFUNCS[ufunc], *inputs)
        if ufunc in _CONSTANT_UFUNCS:
            return ufunc(*[_raw(x) for x in inputs])
        raise TypeError(f"np.{ufunc.__name__} has no derivative rule here. Compose it of others, or use .detach() or .data to go without.")

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function in PRIMITIVES:
            rule = PRIMITIVES[function]
            if rule is None:
                return function(*[_raw(x) for x in args], **kwargs)
            return apply(rule, *args, **kwargs)
        name = f"{function.__module__}.{function.__name__}".replace("numpy", "np", 1)
        if function in _CONSTANT_FUNCTIONS:
            return function(*[_raw(x) for x in args], **kwargs)
        if function not in IMPLEMENTATIONS:
            raise TypeError(f"{name} has no derivative rule here. Compose it of others, or use .detach() or .data to go without.")
        try:
            return IMPLEMENTATIONS[function](*args, **kwargs)
        except TypeError as error:
            if "argument" not in str(error):
                raise
            raise TypeError(f"{name} on Tensors takes other arguments than on arrays: {str(error).rpartition('() ')[2]}.") from None


Edge = Node | Part | Tensor

_NO_ARRAY = np.empty(0, object)
_ndarray = np.ndarray
_ref = weakref.ref
_new = object.__new__


def apply(rule: Rule, *inputs: Any, **options: Any) -> Tensor:
    """Run a rule on Tensors, arrays and numbers; record it if an input requires a gradient.

    Arrays, and integer or bool tensors, that meet a floating tensor take its dtype.

    Args:
        rule: see `rules.rule`.
        inputs: the rule's arrays.
        options: the rule's keyword options.

    Returns:
        A Tensor, or a tuple of them where the rule returns several values.

    Raises:
        ValueError, TypeError, IndexError: what NumPy raised, with the rule, the shapes and advice.
    """
    arrays: list[Any] = []
    array = _NO_ARRAY
    required = converted = False
    for x in inputs:
        if x.__class__ is Tensor or isinstance(x, Tensor):
            array = x._data
            arrays.append(array)
            if x._requires_grad:
                required = True
        elif x.__class__ is float or x.__class__ is int:
            arrays.append(x)
        else:
            arrays.append(_constant(x))
            converted = True
    if converted:
        inputs = tuple([x if isinstance(x, Tensor) else array for x, array in zip(inputs, arrays, strict=True)])
    try:
        if required or array.dtype.kind == "f":
            value, pullbacks = rule(*arrays, **options)
        else:
            with np.errstate(all="ignore"):  # of whole numbers it may make floats, and then it runs again, on floats
                value, pullbacks = rule(*arrays, **options)
        if value.__class__ is tuple:
            if any(_array(part).dtype != array.dtype for part in value):
                inputs, arrays, dtype = _harmonised(inputs, arrays, value, pullbacks)
                value, pullbacks = rule(*arrays, **options)
                value = tuple([part.astype(dtype) if part.dtype == np.float64 else part for part in map(_array, value)])
            return _record_parts(rule, inputs, options, value, pullbacks, required and _state.recording)  # type: ignore[return-value]
        if value.__class__ is not _ndarray:
            value = _array(value)
        if value.dtype is not array.dtype and rule is not rules.cast:  # rare: arrays of several dtypes met
            inputs, arrays, dtype = _harmonised(inputs, arrays, (value,), pullbacks)
            value, pullbacks = rule(*arrays, **options)
            value = _array(value)
            if value.dtype == np.float64:
                value = value.astype(dtype)
    except (ValueError, TypeError, IndexError) as error:
        raise _explained(error, rule, inputs, arrays) from error
    return _result(rule, inputs, options, value, pullbacks, required)


def _apply_binary(rule: Rule, x: Tensor, y: Any) -> Tensor:
    """`apply` for an operator's two operands: the common cases without its loop, which saves a third of the overhead."""
    a, b = x._data, y
    if y.__class__ is Tensor:
        b = y._data
        required = x._requires_grad or y._requires_grad
    elif y.__class__ is float or y.__class__ is int:
        required = x._requires_grad
    else:
        return apply(rule, x, y)
    try:
        value, pullbacks = rule(a, b)
    except (ValueError, TypeError):
        return apply(rule, x, y)  # raises again, and explains
    if value.__class__ is not _ndarray:
        value = _array(value)
    if value.dtype is not a.dtype or (b.__class__ is _ndarray and b.dtype is not a.dtype):
        return apply(rule, x, y)
    return _result(rule, (x, y), {}, value, pullbacks, required)


def _result(rule: Rule, inputs: Any, options: dict[str, Any], value: np.ndarray, pullbacks: Any, required: bool) -> Tensor:
    """The Tensor of a rule's value, with the node that records it if a gradient is required."""
    out: Tensor = _new(Tensor)
    out._data = value
    out._grad = None
    if required and _state.recording:
        out._requires_grad = True
        out._node = node = Node()
        node.rule = rule
        node.inputs = _edges(inputs) if rule in LINEAR else inputs
        node.options = options
        node.pullbacks = pullbacks
        node.order = next(_creation)
        node.output = _ref(out)
        node.shape = value.shape
        node.dtype = value.dtype
    else:
        out._requires_grad = False
        out._node = None
    if _watching:
        _note(out, rule, inputs, options, pullbacks)
    return out


def _record_parts(rule: Rule, inputs: Any, options: Any, values: Any, pullbacks: Any, record: bool) -> tuple[Tensor, ...]:
    """The Tensors of a rule's several values."""
    outputs = tuple(_unnoted(_array(value)) for value in values)
    if record:
        whole = Node()
        whole.rule, whole.options, whole.pullbacks, whole.order = rule, options, pullbacks, next(_creation)
        whole.inputs = _edges(inputs) if rule in LINEAR else inputs
        whole.output = lambda: None
        whole.shape, whole.dtype = [out.shape for out in outputs], [out.dtype for out in outputs]
        for index, out in enumerate(outputs):
            out._node, out._requires_grad = Part(whole, index, out), True
    if _watching:
        for out in outputs:
            _note(out, rule, inputs, options, pullbacks)
    return outputs


def _note(out: Tensor, rule: Rule | None = None, inputs: Any = (), options: Any = None, pullbacks: Any = ()) -> None:
    """Tell this thread's watchers of a new Tensor."""
    for watcher in _state.watchers:
        watcher.made(out, rule, inputs, options, pullbacks)


def gradients(output: Tensor, inputs: Sequence[Any] | Tensor, gradient: Any = None, create_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradient of `output` with respect to each of `inputs`; no `.grad` changes, and nothing of the graph is freed.

    Args:
        output: a Tensor of one element, unless `gradient` is given.
        inputs: Tensors that require gradients, leaves or results; zeros where `output` does not depend on one.
        gradient: the cotangent of `output`, of its shape; by default 1.
        create_graph: record the walk itself, so that the result can be differentiated again. The rules are replayed on
            Tensors for it.

    Raises:
        RuntimeError: `output` has not one element and there is no `gradient`; or a part of the graph was freed.
        ValueError: an input requires no gradient; or `gradient` has another shape than `output`.
        TypeError: `output` is no Tensor.

    >>> x = Tensor(3.0, requires_grad=True)
    >>> (slope,) = gradients(x**3, [x], create_graph=True)
    >>> (curvature,) = gradients(slope, [x])
    >>> slope.item(), curvature.item()
    (27.0, 18.0)
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"gradients() needs a Tensor as its output, got {type(output).__name__}. Pass the result itself, not its value.")
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    for i, x in enumerate(inputs):
        if not isinstance(x, Tensor) or not x._requires_grad:
            raise ValueError(
                f"gradients() needs inputs that require gradients, input {i} doesn't: {x!r}. "
                "Set requires_grad=True before computing the output."
            )
    seed = _seed(output, gradient, replay=create_graph)
    found: dict[Edge, Any] = {}
    if output._requires_grad:
        before, _state.recording = _state.recording, create_graph
        try:
            found = _walk(output, seed, targets={x._node or x for x in inputs}, replay=create_graph)
        finally:
            _state.recording = before
    results = [found.get(x._node or x) for x in inputs]
    zeros = (np.zeros_like(x._data) if g is None else g for x, g in zip(inputs, results, strict=True))
    return tuple(g if isinstance(g, Tensor) else _wrap(_array(g).copy()) for g in zeros)


def _walk(
    output: Tensor, seed: Any, targets: set[Edge] | None = None, replay: bool = False, release: bool = False, since: int = 0
) -> dict[Any, Any]:
    """Pull the cotangent of `output` back through the graph, from the newest node to the oldest.

    Creation order is a topological order: a node comes after all that it was computed from, so once all newer nodes are done
    its cotangent is complete.

    Args:
        output: a Tensor that requires a gradient.
        seed: its cotangent, an array, or a Tensor in replay.
        targets: the edges whose cotangents are wanted; by default those of all leaves, and then those of results that
            somebody still holds are written into their `.grad` on the way.
        replay: run each rule again on Tensors, for pullbacks that record.
        release: free every node once it is done.
        since: a creation number; the walk goes no further than nodes created before it.

    Returns:
        The cotangents, by edge.
    """
    root = output._node or output
    cotangents: dict[Any, Any] = {root: seed}
    found: dict[Any, Any] = {}
    edges_of = _graph(root, since)
    nodes = sorted(edges_of, key=operator.attrgetter("order"), reverse=True)
    useful = None if targets is None else _leading_to(targets, nodes, edges_of)
    watchers = _state.watchers
    for node in nodes:
        g = cotangents.pop(node, None)
        if g is None:
            continue
        if targets is None:
            held = node.output()
            if held is not None:
                held._grad = _array(g).copy()
            del held
        elif node in targets:
            found[node] = g
        if node.__class__ is Part:
            cotangents.setdefault(node.whole, {})[node.index] = g
            continue
        pullbacks = node.pullbacks
        if g.__class__ is dict:
            g = tuple([g[i] if i in g else np.zeros(*like) for i, like in enumerate(zip(node.shape, node.dtype, strict=True))])
        if replay and node.rule not in LINEAR:
            pullbacks = node.rule(*node.inputs, **node.options)[1]
        for watcher in watchers:
            pullbacks = watcher.pulling(node, g, edges_of[node], pullbacks)
        if release:
            node.inputs = node.options = node.pullbacks = None
        for edge, pullback in zip(edges_of[node], pullbacks, strict=True):
            if edge is None or pullback is None or (useful is not None and edge not in useful):
                continue
            contribution = pullback(g)
            if contribution.shape != edge.shape or contribution.dtype is not edge.dtype:
                contribution = _unbroadcast(contribution, edge, node)
            previous = cotangents.get(edge)
            cotangents[edge] = contribution if previous is None else previous + contribution
    found.update(cotangents)
    return found


def _graph(root: Any, since: int = 0) -> dict[Any, Sequence[Any]]:
    """The nodes that `root` was computed through, none created before `since`, each with its edges."""
    edges_of: dict[Any, Sequence[Any]] = {}
    pending = [] if isinstance(root, Tensor) else [root]
    while pending:
        node = pending.pop()
        if node not in edges_of:
            edges_of[node] = edges = node.edges()
            pending += [edge for edge in edges if edge is not None and not isinstance(edge, Tensor) and edge.order >= since]
    return edges_of


def _leading_to(targets: set[Edge], nodes: list[Any], edges_of: dict[Any, Sequence[Any]]) -> set[Edge]:
    """The targets, and the nodes through which a cotangent reaches one."""
    useful = set(targets)
    for node in reversed(nodes):
        if any(edge in useful for edge in edges_of[node] if edge is not None):
            useful.add(node)
    return useful


def _unbroadcast(g: Any, edge: Any, node: Node) -> Any:
    """A cotangent in the shape and dtype of its input: summed over the axes along which the input was broadcast.

    The one place that undoes broadcasting. An input of shape (3,) that met (2, 3) was used twice along axis 0, and a
    tensor used several times gets the sum over its uses.
    """
    shape, returned = edge.shape, g.shape
    extra = len(returned) - len(shape)
    if extra > 0:
        g = g.sum(axis=tuple(range(extra)))
    if g.shape != shape:
        stretched = tuple([i for i, (before, after) in enumerate(zip(shape, g.shape, strict=False)) if before != after])
        if extra < 0 or any(shape[i] != 1 for i in stretched):
            raise RuntimeError(
                f"a pullback must return its input's shape, or one that it broadcasts to; one of {_name(node.rule)} "
                f"returned {returned} for an input of shape {shape}. Mend the rule."
            )
        g = g.sum(axis=stretched, keepdims=True)
    return g if g.dtype is edge.dtype else g.astype(edge.dtype)


def _seed(output: Tensor, gradient: Any, replay: bool = False) -> Any:
    """The cotangent that a walk starts with: an array, but in replay a Tensor where one is given, to be differentiated too."""
    if gradient is None:
        if output.size != 1:
            raise RuntimeError(
                f"backward() needs a scalar, got shape {output.shape}. Reduce it first with .mean() or .sum(), or pass gradient=."
            )
        seed: Any = np.ones(output.shape, output.dtype)
    else:
        seed = gradient if replay and isinstance(gradient, Tensor) else _array(gradient).astype(output.dtype, copy=False)
    if seed.shape != output.shape:
        raise ValueError(f"gradient= must have the output's shape {output.shape}, got {seed.shape}.")
    return _as_traced(seed, output)


def _as_traced(g: Any, output: Tensor) -> Any:
    """A cotangent that a walk starts with: of a symbol's, a symbol, for those of traced indices can't be found in an array."""
    if output._data.__class__ is not _ndarray and g.__class__ is _ndarray:
        return g * np.ones_like(output._data)
    return g


def _sole_count() -> int:
    """What sys.getrefcount says of an array that a local variable alone refers to; it differs between Python versions."""
    g = {None: np.empty(1)}.pop(None)
    return sys.getrefcount(g)


_SOLE_COUNT = _sole_count()


# -- dtypes --------------------------------------------------------------------------------------------------------------


def _as_array(data: Any, dtype: Any = None) -> np.ndarray:
    """An array of `data` by the conventions of Tensor's constructor; shares memory where it can."""
    try:
        array = _array(data)
    except ValueError as error:
        raise ValueError(f"a tensor needs rows of equal length, got a ragged list: {error}.") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"a tensor holds real numbers or bools, got {type(data).__name__} of dtype {array.dtype}. Convert it first.")
    if dtype is None:
        keeps = hasattr(data, "__array_function__") and array.dtype.kind != "f"
        dtype = array.dtype.newbyteorder("=") if keeps else _state.default_dtype
    elif np.dtype(dtype).kind not in "fiub":
        raise TypeError(f"a tensor holds real numbers or bools, not dtype {np.dtype(dtype)}. Pass a floating, integer or bool dtype.")
    return array.astype(dtype, copy=False)


def _constant(x: Any) -> Any:
    """What an operation does with an input that is not a Tensor: arrays stay, NumPy scalars act as Python's, lists convert."""
    if isinstance(x, np.generic):
        return x.item()
    if isinstance(x, (int, float)):
        return x
    plain = type(x) is np.ndarray or (hasattr(x, "__array_function__") and not isinstance(x, np.ndarray))
    return x if plain and x.dtype.kind in "fiub" else _as_array(x)


def _raw(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x


def _array(x: Any) -> np.ndarray:
    """The values of a Tensor or of anything else as an array; what speaks `__array_function__`, as a symbol does, is one."""
    x = _raw(x)
    return x if hasattr(x, "__array_function__") else np.asarray(x)


def _harmonised(inputs: Any, arrays: list[Any], values: Any, pullbacks: Any) -> tuple[Any, list[Any], Any]:
    """The inputs and arrays again, cast where a dtype must not decide the result's, and the dtype that floats then have.

    Where the rule makes floats, floating tensors decide, and without one the default dtype. Arrays, and integer or bool tensors,
    take it, but not where an input has no derivative (labels, masks). NumPy would make halves of bytes, and the negative of an
    unsigned number wraps.
    """
    floating = [x.dtype for x in inputs if isinstance(x, Tensor) and x.dtype.kind == "f"]
    dtype = np.result_type(*floating) if floating else _state.default_dtype
    floats = any(_array(value).dtype.kind == "f" for value in values)
    cast_inputs, cast_arrays = list(inputs), list(arrays)
    for i, (x, array, pullback) in enumerate(zip(inputs, arrays, pullbacks, strict=True)):
        decides = isinstance(x, Tensor) and array.dtype.kind == "f"
        if pullback is None or decides or not floats or isinstance(array, (int, float)):
            continue
        cast_inputs[i] = cast_arrays[i] = array.astype(dtype)
    return tuple(cast_inputs), cast_arrays, dtype


def _wrap(array: np.ndarray) -> Tensor:
    """A leaf that shares the array, whatever its dtype."""
    out = _unnoted(array)
    if _watching:
        _note(out)
    return out


def _unnoted(array: np.ndarray) -> Tensor:
    out: Tensor = _new(Tensor)
    out._data, out._grad, out._node, out._requires_grad = array, None, None, False
    return out


# -- errors --------------------------------------------------------------------------------------------------------------


def _name(rule: Rule) -> str:
    return getattr(rule, "__name__", repr(rule))


def _explained(error: Exception, rule: Rule, inputs: Any, arrays: list[Any]) -> Exception:
    """The error that a rule raised, told in terms of the operation: what must hold, what was given, what to do.

    Where a watcher has noted it, also which lines made the inputs.
    """
    shapes = [np.shape(x) for x in arrays]
    given = " and ".join(map(str, shapes)) or "none"
    if rule in (rules.matmul, rules.affine):
        text = (
            "the last axis of the left operand must be as long as the second to last of the right, or its only one; "
            f"got shapes {given}. Transpose or reshape one of them."
        )
    elif ("broadcast" in str(error) and rule in _UFUNCS.values()) or rule is rules.where:
        text = (
            f"shapes must broadcast (from the right, axes must be equal or one of them 1), got {given}. "
            "Reshape one of them, for instance with .unsqueeze(axis)."
        )
    else:
        text = f"{error} (input {'shape' if len(shapes) == 1 else 'shapes'} {given})"
    made = [f"\n  the input of shape {x.shape} was made in {x._line}" for x in inputs if hasattr(x, "_line")]
    kind = next(kind for kind in (IndexError, ValueError, TypeError) if isinstance(error, kind))
    return kind(f"{_name(rule)}: {text}{''.join(made)}")


# -- functions of several tensors ----------------------------------------------------------------------------------------


def concatenate(tensors: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Tensors joined along an axis that they have, their other axes must agree; flattened and joined if it is None."""
    if axis is None:
        tensors, axis = [np.ravel(x) for x in tensors], 0
    return apply(rules.concatenate, *tensors, axis=axis)


def stack(tensors: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""
    return apply(rules.stack, *tensors, axis=axis)


def unstack(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """The slices of a tensor along an axis, without it: what `stack` joins."""
    return tuple(apply(rules.unstack, x, axis=axis))


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """x where the condition holds, y elsewhere, with broadcasting.

    If the branch not taken has an infinite derivative there, the gradient is NaN (0 * inf), as in PyTorch. Give the branch a
    safe argument with a second `where`: `where(x > 0, where(x > 0, x, 1).log(), 0)`.
    """
    return apply(rules.where, condition, x, y)


def maximum(x: Any, y: Any) -> Tensor:
    """max(x, y), elementwise with broadcasting; a tie gives each half of the gradient."""
    return apply(rules.maximum, x, y)


def minimum(x: Any, y: Any) -> Tensor:
    """min(x, y), elementwise with broadcasting; a tie gives each half of the gradient."""
    return apply(rules.minimum, x, y)


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Einstein summation: `einsum("ij,jk->ik", a, b)` is `a @ b`. Subscripts as NumPy's, ellipsis and repeats included."""
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: subscripts must be a string such as 'ij,jk->ik', before the operands, got {type(subscripts).__name__}.")
    return apply(rules.einsum, *operands, subscripts=subscripts)


# -- creation ------------------------------------------------------------------------------------------------------------


def _unpacked(shape: tuple[Any, ...]) -> tuple[Any, ...]:
    """`f(2, 3)` and `f((2, 3))` mean the same."""
    return tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape


def from_numpy(array: np.ndarray, requires_grad: bool = False) -> Tensor:
    """A Tensor that shares the array's memory; a floating array of another than the default dtype is converted instead."""
    out = _wrap(_as_array(array))
    out.requires_grad = requires_grad
    return out


def zeros(*shape: Any, requires_grad: bool = False, dtype: Any = None) -> Tensor:
    """A Tensor of zeros."""
    return full(_unpacked(shape), 0, requires_grad, dtype)


def ones(*shape: Any, requires_grad: bool = False, dtype: Any = None) -> Tensor:
    """A Tensor of ones."""
    return full(_unpacked(shape), 1, requires_grad, dtype)


def full(shape: int | tuple[int, ...], value: float, requires_grad: bool = False, dtype: Any = None) -> Tensor:
    """A Tensor of the given shape, `value` everywhere."""
    return Tensor(np.full(shape, value, dtype or _state.default_dtype), requires_grad, dtype)


def randn(*shape: Any, requires_grad: bool = False, generator: np.random.Generator | None = None) -> Tensor:
    """A Tensor of independent standard normal numbers."""
    return from_numpy(effects.draw(generator, "standard_normal", _unpacked(shape)), requires_grad)


def rand(*shape: Any, requires_grad: bool = False, generator: np.random.Generator | None = None) -> Tensor:
    """A Tensor of independent uniform numbers in [0, 1)."""
    return from_numpy(effects.draw(generator, "random", _unpacked(shape), np.float32), requires_grad)


def arange(*bounds: float, requires_grad: bool = False, dtype: Any = None) -> Tensor:
    """`arange(stop)` or `arange(start, stop, step=1)`, in the default dtype unless `dtype` says otherwise."""
    return Tensor(np.arange(*bounds, dtype=dtype or _state.default_dtype), requires_grad, dtype)


def eye(n: int, m: int | None = None, requires_grad: bool = False, dtype: Any = None) -> Tensor:
    """The (n, m) matrix with ones on its diagonal, square by default."""
    return Tensor(np.eye(n, m, dtype=dtype or _state.default_dtype), requires_grad, dtype)


# -- NumPy's functions on Tensors ----------------------------------------------------------------------------------------

_UFUNCS: dict[np.ufunc, Rule] = {
    np.add: rules.add,
    np.subtract: rules.subtract,
    np.multiply: rules.multiply,
    np.divide: rules.divide,
    np.power: rules.power,
    np.negative: rules.negative,
    np.maximum: rules.maximum,
    np.minimum: rules.minimum,
    np.absolute: rules.absolute,
    np.exp: rules.exp,
    np.expm1: rules.expm1,
    np.log: rules.log,
    np.log1p: rules.log1p,
    np.log2: rules.log2,
    np.log10: rules.log10,
    np.sqrt: rules.sqrt,
    np.square: rules.square,
    np.sin: rules.sin,
    np.cos: rules.cos,
    np.tan: rules.tan,
    np.arctan: rules.arctan,
    np.tanh: rules.tanh,
    np.matmul: rules.matmul,
}

# Without a derivative, or with one that is zero almost everywhere: they compute, and give arrays.
_CONSTANT_UFUNCS = {
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.isnan, np.isinf, np.isfinite, np.signbit),
    *(np.sign, np.floor, np.ceil, np.trunc, np.rint),
}
_CONSTANT_FUNCTIONS = {
    *(np.shape, np.ndim, np.size, np.argmax, np.argmin, np.nonzero, np.count_nonzero, np.any, np.all),
    *(np.zeros_like, np.ones_like, np.array_equal, np.allclose, np.isclose, np.result_type, np.round),
}


def _reduction(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A method as NumPy's function, in which `axis` is followed by other arguments than `keepdims`."""

    @functools.wraps(method)
    def reduction(x: Tensor, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
        return method(x, axis, keepdims)

    return reduction


IMPLEMENTATIONS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.sum: _reduction(Tensor.sum),
    np.mean: _reduction(Tensor.mean),
    np.max: _reduction(Tensor.max),
    np.amax: _reduction(Tensor.max),
    np.min: _reduction(Tensor.min),
    np.amin: _reduction(Tensor.min),
    np.var: _reduction(Tensor.var),
    np.std: _reduction(Tensor.std),
    np.reshape: Tensor.reshape,
    np.ravel: Tensor.flatten,
    np.expand_dims: Tensor.unsqueeze,
    np.squeeze: Tensor.squeeze,
    np.astype: Tensor.astype,
    np.copy: Tensor.clone,
    np.clip: Tensor.clip,
    np.concatenate: concatenate,
    np.stack: stack,
    np.unstack: unstack,
    np.where: where,
    np.einsum: lambda subscripts, *operands, optimize=True: einsum(subscripts, *operands),
    np.transpose: lambda x, axes=None: x.transpose(axes),
    np.swapaxes: lambda x, axis1, axis2: x.transpose(_swapped(x.ndim, axis1, axis2)),
    np.broadcast_to: lambda x, shape: apply(rules.broadcast_to, x, shape=shape),
}


def _swapped(ndim: int, first: int, second: int) -> tuple[int, ...]:
    axes = list(range(ndim))
    first, second = normalize_axis_index(first, ndim), normalize_axis_index(second, ndim)
    axes[first], axes[second] = axes[second], axes[first]
    return tuple(axes)


_F = TypeVar("_F", bound=Callable[..., Any])


def implements(function: Callable[..., Any]) -> Callable[[_F], _F]:
    """Mark a function of Tensors as what a NumPy function does when it is given a Tensor; both take the same arguments.

    Args:
        function: NumPy's, of those that dispatch by `__array_function__`.
    """

    def mark(implementation: _F) -> _F:
        IMPLEMENTATIONS[function] = implementation
        return implementation

    return mark

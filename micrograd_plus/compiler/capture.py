"""Chapter 1, concluded: the trace of a function with all that it can see.

`capture` puts symbols in the place of the arrays of all tensors, buffers and moments that `reach` found, runs the function on symbols
of its arguments, puts everything back, and compares: a symbol that is another node than before has been written to. The result is a
`Capture`, the graph with a name for each of its ends: what each input is, where each output goes.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import effects
from ..tensor import Tensor, _wrap
from .graph import Node
from .state import State, difference
from .trace import Symbol, Trace, Untraceable


@dataclass
class Capture:
    """A graph and its ends.

    Attributes:
        arguments: the inputs that are arguments, by their position among the argument's arrays.
        data: the inputs that are arrays of tensors, by the tensor's number in `state.tensors`, with the node that is there afterwards.
        grads: the same of gradients; None where there is none afterwards.
        arrays: the same of buffers and moments, by their number in `state.arrays`.
        argument_grads: of arguments that require gradients, the node of the gradient that they get.
        result: what the function returned: a tree whose leaves are `Leaf`s and constants.
        leaves: the nodes of the result's leaves.
        trace: draws, checks, numbers and plain arrays.
        state: what the function can see.
    """

    state: State
    trace: Trace
    arguments: list[Node] = field(default_factory=list)
    data: list[tuple[Node, Node]] = field(default_factory=list)
    grads: list[tuple[Node | None, Node | None] | None] = field(default_factory=list)
    arrays: list[tuple[Node, Node]] = field(default_factory=list)
    argument_grads: dict[int, Node] = field(default_factory=dict)
    result: Any = None
    leaves: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Leaf:
    """A place in a result: leaf `index`, as a "tensor", an "array" or a "number"."""

    index: int
    kind: str


@dataclass(frozen=True)
class Seen:
    """A place in a result for one of the tensors that the function can see."""

    tensor: Tensor


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree of what a function makes of the leaves of lists, tuples and dicts."""
    if isinstance(tree, dict):
        return {key: map_tree(function, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        items = [map_tree(function, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return function(tree)


def capture(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: State, no_grads: set[int]) -> Capture:
    """Run a function on symbols.

    Args:
        function: the function.
        args, kwargs: its arguments; arrays and Tensors among them become inputs, all else is constant.
        state: what it can see.
        no_grads: the numbers of tensors that are to have no gradient at the start; others have one, which may not be read.

    Raises:
        Untraceable: it does something that a trace can't see.
    """
    trace = Trace([*state.loose, *(array for _, _, array in state.arrays), *(t._data for t in state.tensors)])
    made = Capture(state, trace)
    tensors: list[tuple[int, Tensor]] = []

    def symbolic(x: Any) -> Any:
        if isinstance(x, Tensor) and not any(x is t for t in state.tensors):
            symbol = trace.input(("argument", len(made.arguments)), x.shape, x.dtype)
            made.arguments.append(symbol.node)
            t = _wrap(symbol)  # type: ignore[arg-type]
            t._requires_grad = x._requires_grad
            tensors.append((len(made.arguments) - 1, t))
            return t
        if type(x) is np.ndarray and x.dtype.kind in "fiub":
            symbol = trace.input(("argument", len(made.arguments)), x.shape, x.dtype)
            made.arguments.append(symbol.node)
            return symbol
        return x

    inputs = map_tree(symbolic, args), map_tree(symbolic, kwargs)
    with _swapped(made, no_grads) as symbols:
        with effects.traced_by(trace):
            result = function(*inputs[0], **inputs[1])
        _collect(made, symbols, result)
    made.argument_grads = {i: _node(t._grad) for i, t in tensors if t._grad is not None}
    return made


@contextlib.contextmanager
def _swapped(made: Capture, no_grads: set[int]) -> Iterator[list[tuple[Symbol, Any]]]:
    """Within, symbols take the place of arrays; then everything is as it was."""
    state, trace = made.state, made.trace
    before = [(t, t._data, t._grad, t._requires_grad) for t in state.tensors]
    symbols: list[tuple[Symbol, Any]] = []
    try:
        for i, t in enumerate(state.tensors):
            if t._node is not None:
                raise Untraceable(
                    "a compiled function can't use a tensor that was computed outside of it with a graph, "
                    f"here one of shape {t.shape}. Compute it inside, or pass it as .detach()."
                )
            data = trace.input(("data", i), t.shape, t.dtype)
            grad = trace.input(("grad", i), t.shape, t.dtype) if t._requires_grad and i not in no_grads else None
            symbols.append((data, grad))
            t._data, t._grad = data, grad  # type: ignore[assignment]
        for k, (owner, key, array) in enumerate(state.arrays):
            symbol = trace.input(("array", k), array.shape, array.dtype)
            symbols.append((symbol, None))
            owner[key] = symbol
        yield symbols
    finally:
        for t, data, grad, required in before:
            t._data, t._grad, t._requires_grad = data, grad, required
            t._node = None
        for owner, key, array in state.arrays:
            owner[key] = array
        lost = _restored(state)
    if lost is not None:
        raise Untraceable(
            f"a compiled function can't change Python's objects, and this one changed {lost}, in the first call only. "
            "Return what is wanted, or keep it in a buffer of a Module."
        )


def _restored(state: State) -> str | None:
    """Put containers back that the traced function changed; the name of one."""
    lost = None
    for container, before in state.snapshots:
        unchanged = len(container) == len(before) and all(
            a is b for a, b in zip(_items(container), _items(before), strict=True)
        )
        if not unchanged:
            lost = lost or difference(container, before)
            if isinstance(container, dict):
                container.clear()
                container.update(before)
            else:
                container[:] = before
    for cell, contents in state.cells:
        if cell.cell_contents is not contents:
            lost, cell.cell_contents = lost or "a variable of an enclosing function", contents
    for names, name, value in state.globals:
        if names.get(name) is not value:
            lost, names[name] = lost or f"the global variable {name}", value
    return lost


def _items(container: Any) -> Sequence[Any]:
    return list(container.values()) if isinstance(container, dict) else container


def _node(x: Any) -> Node:
    if not isinstance(x, Symbol):
        raise Untraceable("a gradient was set to a plain array inside of a compiled function. Set it outside.")
    return x.node


def _collect(made: Capture, symbols: list[tuple[Symbol, Any]], result: Any) -> None:
    """What the symbols have become."""
    state, trace = made.state, made.trace
    count = len(state.tensors)
    for i, (t, (data, grad)) in enumerate(zip(state.tensors, symbols, strict=False)):
        if t._data is not data:
            raise Untraceable(f"a compiled function can't give a tensor of shape {t.shape} another array. Write into the array: t.data[...] =")
        made.data.append((trace.inputs["data", i], data.node))
        if not t._requires_grad:
            made.grads.append(None)
            continue
        first = None if grad is None else trace.inputs["grad", i]
        made.grads.append((first, None if t._grad is None else trace.node_of(t._grad)))
    for k, ((owner, key, array), (symbol, _)) in enumerate(zip(state.arrays, symbols[count:], strict=True)):
        if owner.get(key) is not symbol:
            raise Untraceable(f"a compiled function can't give {key!r} another array of shape {array.shape}. Use effects.assign.")
        made.arrays.append((trace.inputs["array", k], symbol.node))
    numbers = itertools.count()

    def leaf(x: Any) -> Any:
        if isinstance(x, Tensor):
            known = next((t for t in state.tensors if t is x), None)
            if known is not None:
                return Seen(known)
            if not isinstance(x._data, Symbol):
                return x
            made.leaves.append(x._data.node)
            return Leaf(next(numbers), "tensor")
        if isinstance(x, Symbol):
            made.leaves.append(x.node)
            return Leaf(next(numbers), "number" if x.node.weak else "array")
        return x

    made.result = map_tree(leaf, result)


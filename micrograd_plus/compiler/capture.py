"""Chapter 1, concluded: the trace of a function with all that it can see.

`capture` puts symbols in the place of the arrays of all tensors, buffers and moments that `reach` found, runs the function on symbols
of its arguments, puts everything back, and compares: a symbol whose node is another than before has been written to. The result is a
`Capture`, the graph with a name for each of its ends: what each input is, where each output goes.
"""

import contextlib
import copy
import enum
import functools
import gc
import itertools
import random
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import effects
from ..tensor import Tensor, _wrap
from .graph import Node
from .state import NUMBERS, PLAIN, State
from .trace import Symbol, Trace, Untraceable


@dataclass
class Capture:
    """A graph and its ends.

    Attributes:
        arguments: the inputs that are arguments, by their position among the argument's arrays.
        data: the inputs that are arrays of tensors, by the tensor's number in `state.tensors`, with the node that is there afterwards.
        grads: the same of gradients; None where there is none afterwards.
        arrays: the same of buffers and moments, by their number in `state.arrays`.
        argument_grads: of arguments that require gradients, by position, the input and the node of the gradient that they get.
        result: what the function returned: a tree whose leaves are `Leaf`s and constants.
        leaves: the nodes of the result's leaves.
        trace: draws, checks, numbers and plain arrays.
        state: what the function can see.
    """

    state: State
    trace: Trace
    arguments: list[Node] = field(default_factory=list)
    data: list[tuple[Node, Node]] = field(default_factory=list)
    grads: list[tuple[Node | None, Node | None]] = field(default_factory=list)
    arrays: list[tuple[Node, Node]] = field(default_factory=list)
    argument_grads: dict[int, tuple[Node | None, Node | None]] = field(default_factory=dict)
    result: Any = None
    leaves: list[Node] = field(default_factory=list)


@dataclass(frozen=True)
class Leaf:
    """A place in a result: leaf `index`, as a "tensor", an "array" or a "number"."""

    index: int
    kind: str


@dataclass(frozen=True)
class Seen:
    """A place in a result for a Tensor or an array that the function found."""

    x: Any


@dataclass(frozen=True)
class Given:
    """A place in a result for one of the arguments."""

    index: int


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree of what a function makes of the leaves of lists, tuples and dicts."""
    if isinstance(tree, dict):
        items: Any = {key: map_tree(function, value) for key, value in tree.items()}
        if type(tree) is dict:
            return items
        made = copy.copy(tree)
        made.update(items)
        return made
    if isinstance(tree, (list, tuple)):
        items = [map_tree(function, item) for item in tree]
        return type(tree)(*items) if hasattr(tree, "_fields") else type(tree)(items)
    return function(tree)


IMMUTABLE = (*PLAIN, np.generic, np.dtype, type, range, slice, type(Ellipsis), enum.Enum, types.FunctionType, types.BuiltinFunctionType)


def capture(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: State, no_grads: set[int]) -> Capture:
    """Run a function on symbols.

    Tensors that are alive and take part, though `state` lacks them, are added to it.

    Args:
        function: the function.
        args, kwargs: its arguments; arrays and Tensors among them become inputs, all else is constant.
        state: what it can see.
        no_grads: the numbers of tensors that are to have no gradient at the start; others that require one have one.

    Raises:
        Untraceable: it does something that a trace can't see.
    """
    if state.iterators:
        raise Untraceable(
            f"it can see {state.iterators[0]}, which a trace would use up. Take what it gives outside, and pass that as an argument"
        )
    while True:
        made, missed = _captured(function, args, kwargs, state, no_grads)
        if not missed:
            _check_nothing_is_left(made)
            return made
        state.tensors.extend(missed)


def _captured(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: State, no_grads: set[int]
) -> tuple[Capture, list[Tensor]]:
    """What `capture` gives, with the Tensors that took part unseen."""
    found = {id(t) for t in state.tensors}
    alive = [t for t in gc.get_objects() if issubclass(type(t), Tensor) and id(t) not in found]
    others = [(t, t._data, t._grad) for t in alive if not isinstance(t._data, Symbol)]  # those are of a trace that failed
    trace = Trace([array for array, _ in state.fixed])
    made = Capture(state, trace)
    given: dict[int, tuple[Any, Symbol]] = {}
    twice: dict[int, int] = {}  # Tensors that require gradients are one each, however often they are passed

    def symbolic(x: Any) -> Any:
        if (isinstance(x, Tensor) and id(x) in found) or not is_array(x):
            return x
        i = len(made.arguments)
        if id(x) in twice:
            made.arguments.append(made.arguments[twice[id(x)]])
            return given[twice[id(x)]][0]
        symbol = trace.input(("argument", i), x.shape, x.dtype.newbyteorder("="))
        made.arguments.append(symbol.node)
        if not isinstance(x, Tensor):
            given[i] = symbol, symbol
            return symbol
        t = _wrap(symbol)  # type: ignore[arg-type]
        given[i] = t, symbol
        t._requires_grad = x._requires_grad
        if t._requires_grad:
            twice[id(x)] = i
            t._grad = None if x._grad is None else trace.input(("argument grad", i), x.shape, x.dtype)  # type: ignore[assignment]
            if x._node is not None:
                raise Untraceable(f"an argument of shape {x.shape} has a graph, which backward() would go through. Pass it as .detach()")
        return t

    missed: list[Tensor] = []
    inputs = map_tree(symbolic, args), map_tree(symbolic, kwargs)
    try:
        with _swapped(made, no_grads) as swapped:
            with effects.traced_by(trace), _no_other_draws(state):
                result = function(*inputs[0], **inputs[1])
            _collect(made, swapped, given, result)
    finally:
        used = {id(array) for array in trace.arrays}
        for t, data, grad in others:
            if isinstance(t._data, Symbol) or isinstance(t._grad, Symbol):
                t._data, t._grad = data, grad
                missed.append(t)
            elif id(data) in used:
                missed.append(t)
    return made, missed


def is_array(x: Any) -> bool:
    """Whether an argument becomes an input."""
    return isinstance(x, Tensor) or (isinstance(x, np.ndarray) and type(x) in (np.ndarray, np.memmap) and x.dtype.kind in NUMBERS)


@contextlib.contextmanager
def _no_other_draws(state: State) -> Iterator[None]:
    """Within, random numbers must come from `effects.draw`, which leaves generators as they are while a function is traced."""
    generators = [effects.default_generator(), *state.generators]
    before = [_random_state(generator) for generator in (np.random, random, *generators)]
    yield
    changed = False
    for generator, (text, put_back) in zip((np.random, random, *generators), before, strict=True):
        if _random_state(generator)[0] != text:
            put_back()
            changed = True
    if changed:
        raise Untraceable(
            "it draws random numbers by itself, which would be the same in every call. Draw them by a layer, by effects.draw, "
            "or outside, and pass them as an argument"
        )


def _random_state(generator: Any) -> tuple[Any, Callable[[], None]]:
    """The state of a source of random numbers, to be compared, and what puts it back."""
    if isinstance(generator, np.random.Generator):
        state = generator.bit_generator.state
        return repr(state), functools.partial(setattr, generator.bit_generator, "state", state)
    if generator is random or isinstance(generator, random.Random):
        return generator.getstate(), functools.partial(generator.setstate, generator.getstate())
    state = generator.get_state()
    return repr((state[0], state[1].tobytes(), *state[2:])), functools.partial(generator.set_state, state)


@contextlib.contextmanager
def _swapped(made: Capture, no_grads: set[int]) -> Iterator[list[tuple[Any, Any]]]:
    """Within, symbols take the place of arrays; then everything is as it was. One symbol for each array, however often it is held."""
    state, trace = made.state, made.trace
    before: list[tuple[Any, ...]] = [(t, t._data, t._grad, t._requires_grad) for t in state.tensors]
    symbols: list[tuple[Any, Any]] = []
    by_array: dict[int, Symbol] = {}

    def symbol_of(array: np.ndarray, key: Any) -> Symbol:
        symbol = by_array.get(id(array))
        if symbol is None:
            symbol = by_array[id(array)] = trace.input(key, array.shape, array.dtype)
        return symbol

    lost: str | None = None
    try:
        for i, t in enumerate(state.tensors):
            if t._node is not None:
                raise Untraceable(
                    "a compiled function can't use a tensor that was computed outside of it with a graph, "
                    f"here one of shape {t.shape}. Compute it inside, or pass it as .detach()"
                )
            data: Any = symbol_of(t._data, ("data", i))
            has = i not in no_grads and (t._requires_grad or t._grad is not None)
            grad: Any = trace.input(("grad", i), t.shape, t.dtype) if has else None
            symbols.append((data, grad))
            t._data, t._grad = data, grad
        for k, (owner, key, array) in enumerate(state.arrays):
            symbol = symbol_of(array, ("array", k))
            symbols.append((symbol, None))
            owner[key] = symbol
        yield symbols
    finally:
        for t, array, gradient, required in before:
            t._data, t._grad, t._requires_grad, t._node = array, gradient, required, None
        for owner, key, array in state.arrays:
            owner[key] = array
        lost = state.restore()
    if lost is not None:
        raise Untraceable(
            f"it changes Python's objects, which would happen in the first call only: {lost}. "
            "Return what is wanted, or keep it in a buffer of a Module"
        )


def _check_nothing_is_left(made: Capture) -> None:
    """Nobody may keep a symbol: it would stand for a value of the trace only."""

    def left() -> list[Symbol]:
        known = {id(entry[3]) for entry in made.trace.numbers.values()}
        return [x for x in gc.get_objects() if type(x) is Symbol and x.trace is made.trace and id(x) not in known]

    if left():
        gc.collect()
        symbols = left()
        if symbols:
            raise Untraceable(
                f"it keeps a traced value of shape {symbols[0].shape}{_holder(symbols)}. "
                "Return what is wanted, or keep it in a buffer of a Module"
            )


def _holder(symbols: list[Symbol]) -> str:
    """Who keeps a symbol, as far as that can be told."""
    for x in gc.get_referrers(symbols[0]):
        if isinstance(x, Tensor):
            for y in gc.get_referrers(x):
                if not isinstance(y, types.FrameType) and y is not symbols:
                    return f", in a {type(y).__name__}"
        elif not isinstance(x, types.FrameType) and x is not symbols:
            return f", in a {type(x).__name__}"
    return ""


def _node(x: Any) -> Node:
    if not isinstance(x, Symbol):
        raise Untraceable("it sets a gradient to a plain array. Set it outside")
    return x.node


def _collect(made: Capture, symbols: list[tuple[Any, Any]], given: dict[int, tuple[Any, Any]], result: Any) -> None:
    """What the symbols have become."""
    state, trace = made.state, made.trace
    count = len(state.tensors)
    done: set[int] = set()

    def ends(key: Any, symbol: Any) -> tuple[Node, Node]:
        if id(symbol) in done:  # of an array that is held elsewhere too
            return symbol.node, symbol.node
        done.add(id(symbol))
        return trace.inputs[key], symbol.node

    for i, (t, (data, grad)) in enumerate(zip(state.tensors, symbols, strict=False)):
        if t._data is not data:
            raise Untraceable(f"it gives a tensor of shape {t.shape} another array. Write into the array: t.data[...] =")
        made.data.append(ends(("data", i), data))
        first = None if grad is None else trace.inputs["grad", i]
        made.grads.append((first, None if t._grad is None else trace.node_of(t._grad)))
    for k, ((owner, key, array), (symbol, _)) in enumerate(zip(state.arrays, symbols[count:], strict=True)):
        now = owner.get(key) if isinstance(owner, dict) else owner[key] if not isinstance(owner, list) or key < len(owner) else None
        if now is not symbol:
            raise Untraceable(f"it gives {key!r} another array of shape {array.shape}. Write into the array, by effects.assign")
        made.arrays.append(ends(("array", k), symbol))
    for i, (x, symbol) in given.items():
        if symbol.node is not made.arguments[i]:
            raise Untraceable(f"it writes into an argument of shape {symbol.shape}. Return the new values")
        if isinstance(x, Tensor):
            if x._data is not symbol:
                raise Untraceable(f"it gives an argument of shape {symbol.shape} another array. Return the new values")
            before = trace.inputs.get(("argument grad", i))
            after = None if x._grad is None else _node(x._grad)
            if after is not before:
                made.argument_grads[i] = before, after
    held = {id(symbol): array for (_, _, array), (symbol, _) in zip(state.arrays, symbols[count:], strict=True)}
    arguments = {id(x): i for i, (x, _) in given.items()}
    numbers = itertools.count()

    def leaf(x: Any) -> Any:
        if id(x) in arguments:
            return Given(arguments[id(x)])
        if isinstance(x, Tensor):
            if id(x) in state.seen or any(x is t for t in state.tensors):
                return Seen(x)
            if not isinstance(x._data, Symbol):
                return x
            made.leaves.append(x._data.node)
            return Leaf(next(numbers), "tensor")
        if isinstance(x, Symbol):
            if id(x) in held:
                return Seen(held[id(x)])
            made.leaves.append(x.node)
            return Leaf(next(numbers), "number" if x.node.weak else "array")
        if not isinstance(x, (np.ndarray, *IMMUTABLE)) and id(x) not in state.seen:
            raise Untraceable(f"it returns a {type(x).__name__}. Return Tensors, arrays and numbers, alone or in tuples, lists and dicts")
        return x

    made.result = map_tree(leaf, result)

"""The tape of a backward walk: every value of a graph, and every step that a gradient takes through it."""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import rules
from .. import tensor as engine
from ..layers import Module
from ..rules import LINEAR, Rule
from ..tensor import Node, Part, Tensor

FREED = (
    "{} needs the whole graph, but a backward() has freed a part of it. "
    "Do this before backward(), or call that one as backward(retain_graph=True)."
)


@dataclasses.dataclass(eq=False)
class Value:
    """A value of a graph.

    Of a rule of several values, the rule has one Value, whose `shape`, `dtype`, `data` and `gradient` are tuples, and each
    value that was used has another, of kind "part", with that one as its only input.

    Attributes:
        index: its place in `Tape.values`.
        kind: "operation", "part" (one of a rule's several values), "leaf" (requires a gradient) or "constant".
        name: of an operation the rule's, of a part "output 0", of a leaf the parameter's name where the model is known, else
            "leaf"; or "constant".
        rule: of an operation.
        inputs: for each input of the rule, the index of its Value; None where it is a number, or was not kept by the graph (of
            linear rules, what needs no gradient, such as the 1 in x + 1).
        numbers: for each input, the Python number where it is one, else None.
        options: the rule's keyword options.
        part: of a part, which of the rule's values it is.
        shape, dtype: of the value.
        data: the array, not a copy; recomputed where the graph did not keep it; None where that is not possible.
        gradient: d(loss)/d(value), complete; None of constants, and where no gradient arrives.
        origin: what a watcher, such as `debug()`, noted of its making; else None.
        requires_grad: whether a gradient is wanted.
        edge: the engine's own Node, Part, Tensor or array.
    """

    index: int
    kind: str
    name: str
    rule: Rule | None
    inputs: tuple[int | None, ...]
    numbers: tuple[Any, ...]
    options: dict[str, Any]
    part: int | None
    shape: Any
    dtype: Any
    data: Any
    gradient: Any
    origin: Any
    requires_grad: bool
    edge: Any


@dataclasses.dataclass(eq=False)
class Event:
    """One step of a walk: a rule's gradient pulled back to one of its inputs.

    Attributes:
        source: index of the Value whose rule is pulled back through.
        target: index of the input's Value.
        position: which of the rule's inputs it is.
        upstream: the gradient of the source, complete by now; a tuple of a rule of several values.
        contribution: what the pullback returned for it: the upstream gradient times the local derivative.
        reduced: the contribution in the target's shape and dtype, summed over the axes along which the target was broadcast;
            the contribution itself where there is nothing to do.
        axes: the axes of the contribution over which it was summed.
        total: the gradient of the target so far, this step included.
        first: whether this is the first to reach the target.
    """

    source: int
    target: int
    position: int
    upstream: Any
    contribution: Any
    reduced: Any
    axes: tuple[int, ...]
    total: Any
    first: bool


@dataclasses.dataclass(eq=False)
class Tape:
    """The values of a graph in order of creation, leaves and constants just before their first use; the steps of the walk in its order."""

    values: list[Value]
    events: list[Event]
    given: bool = False  # whether the walk began with a gradient that was given

    def value_of(self, tensor: Tensor) -> Value | None:
        """The Value of a Tensor, None where it is not of this graph."""
        return self._by_edge.get(id(tensor._node or tensor))

    @functools.cached_property
    def _by_edge(self) -> dict[int, Value]:
        return {id(value.edge): value for value in self.values}


def record(loss: Tensor, gradient: Any = None, model: Module | None = None, who: str = "record()", takes_gradient: bool = True) -> Tape:
    """Walk the graph of `loss` as `gradients` does, and take note of each step. Nothing is freed, no `.grad` changes.

    Args:
        loss: a Tensor that requires a gradient, of one element unless `gradient` is given, before `backward()` frees its graph.
        gradient: the cotangent of `loss`, of its shape; by default 1.
        model: names the leaves that are its parameters.
        who: what asks for it, for errors.
        takes_gradient: whether that has an argument `gradient`, which errors then offer.

    Raises:
        TypeError: `loss` is no Tensor, or `model` no Module.
        ValueError: it requires no gradient, or `gradient` has another shape.
        RuntimeError: not one element and no `gradient`; or a part of the graph was freed before.
    """
    values = unwalked(loss, model, who).values
    seed = _seed(loss, gradient, who, takes_gradient)
    index = {id(value.edge): value.index for value in values}
    recorder = _Recorder(index, {id(loss._node or loss): seed})
    targets = {value.edge for value in values if value.requires_grad}
    before, recording = engine.watch(recorder), engine._state.recording
    engine._state.recording = False
    try:
        found = engine._walk(loss, seed, targets=targets)
    finally:
        engine._state.recording = recording
        engine.watch(*before)
    for edge, g in found.items():
        value = values[index[id(edge)]]
        value.gradient = tuple(g.get(i) for i in range(len(value.shape))) if isinstance(g, dict) else g
    return Tape(values, recorder.events, gradient is not None)


def unwalked(loss: Tensor, model: Module | None = None, who: str = "unwalked()") -> Tape:
    """The same before the walk: without events and gradients. Of a Tensor of any shape."""
    nodes = graph_of(loss, who)
    if model is not None and not isinstance(model, Module):
        raise TypeError(f"{who} needs a Module as model=, got {type(model).__name__}.")
    return Tape(_values(nodes, loss, {} if model is None else {id(p): name for name, p in model.named_parameters()}), [])


def _seed(loss: Tensor, gradient: Any, who: str, takes_gradient: bool) -> Any:
    """The cotangent that the walk starts with, as the engine has it; what is wrong with it is told in the name of `who`."""
    if gradient is None and loss.size != 1:
        advice = ", or pass gradient=" if takes_gradient else ""
        raise RuntimeError(f"{who} needs a scalar, got shape {loss.shape}. Reduce it first with .mean() or .sum(){advice}.")
    if gradient is not None and (shape := engine._array(gradient).shape) != loss.shape:
        raise ValueError(f"{who} needs a gradient= of the tensor's shape {loss.shape}, got {shape}.")
    return engine._seed(loss, gradient)


def graph_of(loss: Tensor, who: str) -> list[Node | Part]:
    """The nodes of a graph in order of creation, all there; `who` needs them."""
    if not isinstance(loss, Tensor):
        raise TypeError(f"{who} needs a Tensor, the loss itself, got {type(loss).__name__}. Pass it before .item() or .data is taken.")
    if not loss.requires_grad:
        raise ValueError(
            f"{who} needs a graph, which is recorded only for what requires a gradient, got a tensor of shape {loss.shape} that doesn't. "
            "Set requires_grad=True on an input, and compute it outside no_grad()."
        )
    try:
        nodes = engine._graph(loss._node or loss)
    except RuntimeError:
        raise RuntimeError(FREED.format(who)) from None
    return sorted(nodes, key=lambda node: node.order)


class _Recorder:
    """A watcher that takes note of each pullback of the walk."""

    def __init__(self, index: dict[int, int], totals: dict[int, Any]) -> None:
        self.events: list[Event] = []
        self._index, self._totals = index, totals

    def made(self, out: Tensor, rule: Rule | None, inputs: Any, options: Any, pullbacks: Any) -> None:
        """Nothing: the graph is there already."""

    def pulling(self, node: Node, g: Any, edges: Sequence[Any], pullbacks: Any) -> Any:
        """Each pullback, taking note. Of a walk within a pullback, as that of `checkpoint`, the nodes are not the graph's."""
        if id(node) not in self._index:
            return pullbacks
        return [
            pullback and functools.partial(self._pull, node, edge, position, pullback)
            for position, (edge, pullback) in enumerate(zip(edges, pullbacks, strict=True))
        ]

    def _pull(self, node: Node, edge: Any, position: int, pullback: Any, g: Any) -> Any:
        contribution = reduced = pullback(g)
        if contribution.shape != edge.shape or contribution.dtype is not edge.dtype:
            reduced = engine._unbroadcast(contribution, edge, node)
        before = self._totals.get(id(edge))
        total = self._totals[id(edge)] = reduced if before is None else before + reduced
        axes = _summed(contribution.shape, edge.shape)
        source, target = self._index[id(node)], self._index[id(edge)]
        self.events.append(Event(source, target, position, g, contribution, reduced, axes, total, before is None))
        return reduced


def _summed(shape: tuple[int, ...], reduced: tuple[int, ...]) -> tuple[int, ...]:
    """The axes over which un-broadcasting sums."""
    extra = len(shape) - len(reduced)
    return (*range(extra), *(i + extra for i, size in enumerate(reduced) if size != shape[i + extra]))


# -- values --------------------------------------------------------------------------------------------------------------


def _values(nodes: list[Node | Part], loss: Tensor, names: dict[int, str]) -> list[Value]:
    """The values of a graph, without their gradients."""
    values: list[Value] = []
    index: dict[int, int] = {}
    kept = _kept(nodes)

    def add(edge: Any, kind: str, name: str, data: Any, **described: Any) -> int:
        of_node: dict[str, Any] = {
            "rule": None,
            "inputs": (),
            "numbers": (),
            "options": {},
            "part": None,
            "origin": getattr(edge, "_line", None),
        }
        shape, dtype = (tuple(x) if isinstance(x, list) else x for x in (edge.shape, edge.dtype))
        like = {"shape": shape, "dtype": dtype, "gradient": None, "requires_grad": kind != "constant"}
        index[id(edge)] = len(values)
        values.append(Value(len(values), kind, name, data=data, edge=edge, **{**of_node, **like, **described}))
        return len(values) - 1

    def place(x: Any) -> int | None:
        """The index of an input's Value, made where it is none of an operation's."""
        if x is None or isinstance(x, int | float):
            return None
        edge = x._node or x if isinstance(x, Tensor) else x
        if id(edge) in index:
            return index[id(edge)]
        if isinstance(edge, Tensor) and edge.requires_grad:
            return add(edge, "leaf", names.get(id(edge), "leaf"), edge.data)
        return add(edge, "constant", "constant", edge.data if isinstance(edge, Tensor) else edge)

    for node in nodes:
        inputs = node.inputs if isinstance(node, Node) else node.edges()
        places = tuple(place(x) for x in inputs)
        numbers = tuple(x if isinstance(x, int | float) else None for x in inputs)
        data, origin = kept.get(id(node)), getattr(node, "line", None)
        if isinstance(node, Part):
            whole = values[index[id(node.whole)]]
            if data is None and whole.data is not None:
                data = whole.data[node.index]
            more: dict[str, Any] = {"part": node.index, "origin": whole.origin}
            add(node, "part", f"output {node.index}", data, inputs=places, numbers=numbers, **more)
            continue
        if data is None:
            data = getattr(origin, "value", None)
        if data is None:
            data = _recomputed(node, values, places, numbers)
        more = {"rule": node.rule, "options": node.options, "origin": origin}
        add(node, "operation", engine._name(node.rule).strip("_"), data, inputs=places, numbers=numbers, **more)
    if not nodes:
        place(loss)
    return values


def _kept(nodes: list[Node | Part]) -> dict[int, np.ndarray]:
    """The arrays of nodes whose output somebody holds: the caller, or what was computed from it."""
    kept: dict[int, np.ndarray] = {}
    for node in nodes:
        if isinstance(node, Node) and node.rule not in LINEAR:
            kept.update((id(x._node), x._data) for x in node.inputs if isinstance(x, Tensor) and x._node is not None)
        held = node.output()
        if held is not None:
            kept[id(node)] = held._data
    return kept


def _recomputed(node: Node, values: list[Value], places: Sequence[int | None], numbers: Sequence[Any]) -> Any:
    """What a rule gives, run again on its inputs; None where one is not known."""
    arrays = [number if place is None else values[place].data for place, number in zip(places, numbers, strict=True)]
    if any(x is None for x in arrays):
        return None
    with np.errstate(all="ignore"):
        value = node.rule(*arrays, **node.options)[0]
    if isinstance(value, tuple):
        return tuple(np.asarray(part).astype(dtype, copy=False) for part, dtype in zip(value, node.dtype, strict=True))
    return np.asarray(value).astype(node.dtype, copy=False)


def dropped_constant(tape: Tape, value: Value, position: int) -> np.ndarray | None:
    """An input of an addition or subtraction that the graph did not keep, to rounding, from the result and the other input.

    A number where it is the same everywhere. None of other rules, and where the result or the other input is not known.
    """
    if value.rule not in (rules.add, rules.subtract) or value.data is None:
        return None
    other = value.inputs[1 - position]
    if value.inputs[position] is not None or other is None or tape.values[other].data is None:
        return None
    y, x = np.asarray(value.data, np.float64), np.asarray(tape.values[other].data, np.float64)
    if value.rule is rules.add:
        constant = y - x
    else:
        constant = x - y if position else y + x
    scale = float(np.finfo(value.dtype).eps * 4 * max(np.abs(x).max(initial=0), np.abs(y).max(initial=0)))
    first = constant.reshape(-1)[0] if constant.size else math.nan
    if (constant == first).all() or (math.isfinite(scale) and np.ptp(constant) <= scale):
        constant = np.asarray(first)
    return _shortest(constant, scale)


def _shortest(x: np.ndarray, error: float) -> np.ndarray:
    """The roundest numbers within an error of x."""
    if not np.isfinite(error) or not np.isfinite(x).all():
        return x
    for digits in range(12):
        rounded = np.round(x, digits)
        if np.abs(rounded - x).max(initial=0) <= error:
            return rounded
    return x

"""The operations that a value came through, each of which can be run again by itself: what uses an array, and what it makes of it."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..rules import LINEAR
from ..tensor import Edge, Node, Part, Tensor, _graph, _name, _raw, _walk

SEED = 1.7  # the cotangent of what is checked: with 1, a pullback that leaves out its cotangent would go unseen
STEP = 1e-5


class Use(NamedTuple):
    """One use of an array by an operation, or by a function as a whole.

    Attributes:
        name: of the operation.
        x: the array.
        cotangent: of the operation's value.
        value: the operation, as a function of an array in the place of x.
        pull: its pullback to x, by the engine's rule, in the shape of x.
        slot: says which of several inputs x is.
        known: whether the other inputs are.
        linear: whether x, where it is no leaf, is a stand-in.
        edge, node: where the cotangent of x goes, and comes from.
    """

    name: str
    x: np.ndarray
    cotangent: np.ndarray
    value: Callable[[np.ndarray], np.ndarray]
    pull: Callable[[np.ndarray], np.ndarray] = np.asarray
    slot: str = ""
    known: bool = True
    linear: bool = False
    edge: Edge | None = None
    node: Node | None = None

    def projected(self, x: np.ndarray) -> float:
        """The value at x times its cotangent, summed."""
        return float(np.sum(self.cotangent * self.value(x)))

    def contributions(self, index: tuple[int, ...]) -> np.ndarray:
        """What each element of the value contributes to the gradient of the element of x at `index`, by differences."""
        v = np.zeros(self.x.shape)
        v[index] = step = STEP * max(1.0, abs(float(self.x[index])))
        return np.asarray(self.cotangent * (self.value(self.x + v) - self.value(self.x - v)) / (2 * step))

    def largest_term(self) -> float:
        """Of those that the value and the gradient may be made of: what is smaller by 16 digits is lost in rounding."""
        if self.linear and not isinstance(self.edge, Tensor):
            return 0.0
        x, g, pulled = (float(np.abs(array).max(initial=0)) for array in (self.x, self.cotangent, self.pull(self.cotangent)))
        value = 0.0 if self.linear else float(np.abs(self.value(self.x)).max(initial=0))
        return max(g * x, pulled * x, g * value)


def recorded_uses(value: Tensor) -> list[Use]:
    """Every use by an operation that `value` was computed through, in the order of computation."""
    nodes = [node for node in (_graph(value._node) if value._node else ()) if isinstance(node, Node)]
    cotangents = _walk(value, np.full(value.shape, SEED), targets=set(nodes)) if nodes else {}
    nodes = sorted(filter(cotangents.__contains__, nodes), key=lambda node: node.order)
    return [use for node in nodes for use in _uses_by(node, cotangents[node])]


def leading_from(leaf: Tensor, uses: list[Use]) -> list[Use]:
    """The uses through which the gradient of a leaf came."""
    reached: set[Any] = {leaf}
    found = []
    for use in uses:
        if (use.edge.whole if isinstance(use.edge, Part) else use.edge) in reached:
            reached.add(use.node)
            found.append(use)
    return found


def _uses_by(node: Node, cotangent: Any) -> Iterator[Use]:
    edges, inputs, linear = node.edges(), node.inputs, node.rule in LINEAR
    shapes = node.shape if isinstance(node.shape, list) else None
    if linear:  # the node keeps no inputs, but a linear function has the same derivative everywhere
        random = np.random.default_rng(0)
        inputs = [np.zeros(() if shapes else node.shape) if edge is None else random.standard_normal(edge.shape) for edge in edges]
    arrays = [_raw(edge if isinstance(edge, Tensor) else x) for edge, x in zip(edges, inputs, strict=True)]
    if shapes:  # the values of a rule that returns several, end to end
        cotangent = _joined([cotangent.get(i, np.zeros(shape)) for i, shape in enumerate(shapes)])
        ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    for slot, (edge, pullback) in enumerate(zip(edges, node.pullbacks or (), strict=True)):
        if edge is None or pullback is None:
            continue

        def value(x: np.ndarray, slot: int = slot) -> np.ndarray:
            found = node.rule(*arrays[:slot], x, *arrays[slot + 1 :], **node.options)[0]
            return _joined(found) if shapes else np.asarray(found)

        def pull(g: np.ndarray, pullback: Any = pullback, edge: Edge = edge) -> np.ndarray:
            parts = [part.reshape(shape) for part, shape in zip(np.split(SEED * g, ends), shapes, strict=True)] if shapes else []
            return _summed(np.asarray(pullback(tuple(parts) if shapes else SEED * g)), edge.shape) / SEED

        known = not linear or all(edge is not None for edge in edges)
        which = f" to its input {slot}" if len(arrays) > 1 else ""
        yield Use(_name(node.rule), np.asarray(arrays[slot]), cotangent / SEED, value, pull, which, known, linear, edge, node)


def _joined(arrays: Any) -> np.ndarray:
    return np.concatenate([np.ravel(array) for array in arrays])


def _summed(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Summed over the axes along which an input of this shape was broadcast; not by the engine, which may be what is wrong."""
    extra = g.ndim - len(shape)
    axes = tuple(i for i, size in enumerate(g.shape) if i < extra or size != shape[i - extra])
    return np.asarray(g.sum(axis=axes)).reshape(shape)

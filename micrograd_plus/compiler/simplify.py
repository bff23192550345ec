"""Chapter 3, first half: the passes that rewrite the graph.

`simplify` makes the graph anew, node by node, and looks at each through a handful of rules:

    constants        what is computed of constants alone is computed now
    algebra          x * 1, x - 0, x / 2^k, x ** 2, casts to the same dtype, reductions over axes of size one
    views            reshapes of reshapes, transposes of transposes, slices of slices; what changes nothing goes
    transposes sink  f(x.T, y) = f(x, y.T).T, and the same for other permutations of axes: elementwise work is done in the
                     order in which the elements lie in memory, and most transposes meet their inverse and vanish
    common values    a node that is there already, the same operation on the same inputs, is not made again

Dead code falls away by itself: only what the outputs need is made anew. Each rule is exact, down to NaN and infinity; a rewrite
that is true of real numbers alone, such as x + 0 = x (for -0) or x * 0 = 0 (for NaN), is not here.

The gradient of `(x * x).mean()`, of six numbers, shows them at work: a cotangent of ones is spread, scaled, and multiplied by each x.

    n0 = constant 1.0 (); n1 = multiply n0 0.1667 (); n2 = broadcast n1 (6,); n3 = multiply n2 x; n4 = multiply n2 x; n5 = add n3 n4
    ->  n0 = multiply x 0.1667 (6,); n1 = add n0 n0 (6,)

One pass more, `join_products`, makes one matrix product of sums of small ones.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .graph import CORRELATIONS, ELEMENTWISE, Node, Shape, constant, evaluate, ordered

Made = Node | None


def simplify(outputs: Sequence[Node]) -> list[Node]:
    """The same values in the same order, computed with less."""
    return join_products(Simplifier().graph(outputs))


def join_products(outputs: Sequence[Node]) -> list[Node]:
    """Sums of small matrix products, x1 y1 + x2 y2 + ..., as one: [x1 x2 ...] [y1; y2; ...].

    The gradient of a weight that is used at each time of a sequence is such a sum. It is added up in another order than in eager mode.
    """
    nodes, users = ordered(outputs), Counter(outputs)
    for node in nodes:
        users.update(node.inputs)
    summed = {x for node in nodes if node.op == "add" for x in node.inputs if x.op == "add" and users[x] == 1}
    s, new = Simplifier(), dict[Node, Node]()
    for node in nodes:
        made = _joined(s, node, users, summed, new) if node.op == "add" and node not in summed else None
        new[node] = made or s.make(node.op, [new[x] for x in node.inputs], node.attrs, node.shape, node.dtype, node.line)
    return [new[node] for node in outputs]


def _joined(s: "Simplifier", node: Node, users: Counter[Node], summed: set[Node], new: dict[Node, Node]) -> Made:
    """A sum whose products are joined, if there are some, and it costs more to add them than to bring their factors together."""
    products: list[tuple[Node, Node]] = []
    rest: list[Node] = []
    pending = [node]
    while pending:
        x = pending.pop()
        if x is node or x in summed:
            pending += reversed(x.inputs)
        elif x.op == "matmul" and len(x.shape) == 2 and users[x] == 1:
            products.append((new[x.inputs[0]], new[x.inputs[1]]))
        else:
            rest.append(new[x])
    m, n = node.shape if len(node.shape) == 2 else (0, 0)
    depth = sum(x.shape[1] for x, _ in products)
    if len(products) < 3 or depth * (m + n) > 4 * m * n * len(products):
        return None
    sides = []
    for side, axis in ((0, 1), (1, 0)):
        parts, where, start = [pair[side] for pair in products], [], 0
        for x in parts:
            triples = [(0, 1, size) for size in x.shape]
            triples[axis] = (start, 1, x.shape[axis])
            start += x.shape[axis]
            where.append(tuple(triples))
        shape = (m, depth) if side == 0 else (depth, n)
        sides.append(s.make("place", parts, (tuple(where), None), shape, node.dtype, node.line))
    total = s.make("matmul", sides, (), node.shape, node.dtype, node.line)
    for x in rest:
        total = s.make("add", (total, x), (), node.shape, node.dtype, node.line)
    return total


class Simplifier:
    """Makes nodes that are as simple as the rules of this module can tell, and none twice."""

    def __init__(self) -> None:
        self._made: dict[Any, Node] = {}

    def graph(self, outputs: Sequence[Node]) -> list[Node]:
        """New nodes for the outputs."""
        new: dict[Node, Node] = {}
        for node in ordered(outputs):
            new[node] = self.make(node.op, [new[x] for x in node.inputs], node.attrs, node.shape, node.dtype, node.line)
        return [new[node] for node in outputs]

    def make(self, op: str, inputs: Sequence[Node], attrs: tuple[Any, ...], shape: Shape, dtype: Any, line: Any = None) -> Node:
        """A node with this value: a simpler one where a rule knows it, or the one that there is."""
        node = Node(op, inputs, attrs, shape, dtype, line=line)
        for rule in RULES.get(op, ()):
            found = rule(self, node)
            if found is not None:
                return found
        key = (op, tuple(id(x) for x in inputs), _key(attrs), shape, node.dtype)
        return self._made.setdefault(key, node)

    def like(self, node: Node, inputs: Sequence[Node], shape: Shape | None = None, attrs: tuple[Any, ...] | None = None) -> Node:
        """The same operation on other inputs."""
        return self.make(
            node.op, inputs, node.attrs if attrs is None else attrs, node.shape if shape is None else shape, node.dtype, node.line
        )

    def known(self, op: str, node: Node, other: tuple[str, Node, Node]) -> Made:
        """A comparison of another value with node's second input, if that value, (op, x, y), is there already."""
        name, x, y = other
        found = self._made.get((name, (id(x), id(y)), (), x.shape, x.dtype))
        return None if found is None else self.make(op, (found, node.inputs[1]), (), node.shape, node.dtype, node.line)

    def reshape(self, x: Node, shape: Shape) -> Node:
        """x in another shape."""
        return self.make("reshape", (x,), (), shape, x.dtype, x.line)

    def transpose(self, x: Node, axes: Sequence[int]) -> Node:
        """x with its axes permuted."""
        return self.make("transpose", (x,), (tuple(axes),), tuple(x.shape[i] for i in axes), x.dtype, x.line)

    def settled(self, x: Node) -> Node:
        """x, or a copy of it if it is transposed, which stays where it is."""
        return self.make("copy", (x,), (), x.shape, x.dtype, x.line) if x.op == "transpose" else x

    def constant(self, value: Any, dtype: Any) -> Node:
        """A number."""
        made = constant(value, dtype)
        return self.make("constant", (), made.attrs, (), dtype)

    def filled(self, node: Node, value: Any) -> Node:
        """A constant in a node's shape."""
        x = self.constant(value, node.dtype)
        return x if not node.shape else self.make("broadcast", (self.reshape(x, (1,) * len(node.shape)),), (), node.shape, node.dtype)


def _key(attrs: tuple[Any, ...]) -> Any:
    """Attributes to compare by: 0.0 and -0.0, 1 and True differ, and a NaN is one."""
    return tuple(repr(x) if isinstance(x, float) else (type(x), x) for x in attrs)


def value_of(node: Node) -> Any:
    """The number that all elements of a node are, or None where that is not known."""
    while node.op in ("reshape", "broadcast", "transpose", "slice"):
        node = node.inputs[0]
    return node.attrs[0] if node.op == "constant" else None


def _as_constants(s: Simplifier, node: Node) -> Made:
    """Inputs that are one number everywhere become constants; what has no other inputs is computed now."""
    values = [value_of(x) for x in node.inputs]
    if all(value is None for value in values):
        return None
    inputs = [x if value is None else s.constant(value, x.dtype) for x, value in zip(node.inputs, values, strict=True)]
    if None not in values:
        scalar = Node(node.op, inputs, node.attrs, (), node.dtype)
        return s.filled(node, evaluate(scalar, [np.asarray(v, x.dtype) for v, x in zip(values, inputs, strict=True)]).item())
    return None if inputs == list(node.inputs) else s.like(node, inputs)


def _algebra(s: Simplifier, node: Node) -> Made:
    x, y = node.inputs
    value = y.attrs[0] if y.op == "constant" else None
    floats = node.dtype.kind == "f"
    match node.op:
        case "multiply" if floats and x.op == "constant":
            return s.like(node, (y, x))  # the constant goes second
        case "multiply" | "divide" | "power" if floats and value == 1:
            return x
        case "multiply" if floats and value == -1:
            return s.make("negative", (x,), (), node.shape, node.dtype, node.line)
        case "subtract" if floats and value == 0 and not math.copysign(1, value) < 0:
            return x
        case "divide" if floats and value and math.isfinite(value) and abs(math.frexp(value)[0]) == 0.5 and 1e-30 < abs(value) < 1e30:
            return s.make("multiply", (x, s.constant(1 / value, node.dtype)), (), node.shape, node.dtype, node.line)
        case "power" if floats and value in (2, 0.5):  # NumPy does the same
            return s.make("square" if value == 2 else "sqrt", (x,), (), node.shape, node.dtype, node.line)
        case "power" if floats and value == -1:
            return s.make("divide", (s.constant(1, node.dtype), x), (), node.shape, node.dtype, node.line)
    return None


def _greater(s: Simplifier, node: Node) -> Made:
    """x > 0, where relu(x) is there: relu(x) > 0, so that x need not be kept."""
    x, y = node.inputs
    if y.op == "constant" and y.attrs[0] == 0:
        return s.known("greater", node, ("maximum", x, y))
    return None


def _negative(s: Simplifier, node: Node) -> Made:
    (x,) = node.inputs
    return x.inputs[0] if x.op == "negative" else None


def _cast(s: Simplifier, node: Node) -> Made:
    (x,) = node.inputs
    return x if x.dtype == node.dtype else None


def _sink_transposes(s: Simplifier, node: Node) -> Made:
    """Elementwise work on a transposed value is done before the transpose; what was not transposed is read in that order."""
    found = {x.attrs[0] for x in node.inputs if x.op == "transpose"}
    if len(found) != 1 or node.op == "copy":  # with several, each would send the others round
        return None
    axes = found.pop()
    back = tuple(axes.index(i) for i in range(len(axes)))
    inputs = [x if x.op == "constant" else s.settled(s.transpose(x, back)) for x in node.inputs]
    shape = tuple(node.shape[i] for i in back)
    return s.transpose(s.like(node, inputs, shape), axes)


def _reshape(s: Simplifier, node: Node) -> Made:
    (x,) = node.inputs
    if x.shape == node.shape:
        return x
    if x.op == "reshape":
        return s.reshape(x.inputs[0], node.shape)
    if x.op == "broadcast" and x.inputs[0].size == 1:
        inner = s.reshape(x.inputs[0], (1,) * len(node.shape))
        return s.make("broadcast", (inner,), (), node.shape, node.dtype, node.line)
    if x.op == "broadcast":  # axes of size one come and go under a broadcast
        kept = [n for n in x.shape if n != 1]
        if kept == [n for n in node.shape if n != 1]:
            sizes = iter([small for small, n in zip(x.inputs[0].shape, x.shape, strict=True) if n != 1])
            inner = s.reshape(x.inputs[0], tuple(1 if n == 1 else next(sizes) for n in node.shape))
            return s.make("broadcast", (inner,), (), node.shape, node.dtype, node.line)
    if x.op == "transpose" and [n for n in x.shape if n != 1] == [n for n in node.shape if n != 1]:
        # Axes of size one come and go; they go first in what is transposed.
        inner, axes = x.inputs[0], x.attrs[0]
        long = [i for i, n in enumerate(inner.shape) if n != 1]
        units = node.shape.count(1)
        moved, fresh = iter([units + long.index(i) for i in axes if inner.shape[i] != 1]), iter(range(units))
        order = [next(fresh) if n == 1 else next(moved) for n in node.shape]
        return s.transpose(s.reshape(inner, (*(1,) * units, *(inner.shape[i] for i in long))), order)
    return None


def _transpose(s: Simplifier, node: Node) -> Made:
    (x,), (axes,) = node.inputs, node.attrs
    if axes == tuple(range(len(axes))):
        return x
    if [i for i in axes if x.shape[i] != 1] == [i for i in range(len(axes)) if x.shape[i] != 1]:
        return s.reshape(x, node.shape)
    if x.op == "transpose":
        return s.transpose(x.inputs[0], [x.attrs[0][i] for i in axes])
    if x.op == "broadcast" and (inner := s.transpose(x.inputs[0], axes)).op != "transpose":  # else _broadcast would turn it back
        return s.make("broadcast", (inner,), (), node.shape, node.dtype, node.line)
    return None


def _broadcast(s: Simplifier, node: Node) -> Made:
    (x,) = node.inputs
    if x.shape == node.shape:
        return x
    if x.op == "broadcast":
        return s.like(node, x.inputs)
    if x.op == "transpose":
        axes = x.attrs[0]
        back = tuple(axes.index(i) for i in range(len(axes)))
        return s.transpose(s.like(node, x.inputs, tuple(node.shape[i] for i in back)), axes)
    return None


def _slice(s: Simplifier, node: Node) -> Made:
    (x,), (triples,) = node.inputs, node.attrs
    if x.shape == node.shape and all(step > 0 for _, step, _ in triples):
        return x
    if value_of(x) is not None:
        return s.filled(node, value_of(x))
    if x.op == "slice":
        outer = [
            (start + step * first, step * stride, count)
            for (start, step, _), (first, stride, count) in zip(x.attrs[0], triples, strict=True)
        ]
        return s.like(node, x.inputs, attrs=(tuple(outer),))
    if x.op == "transpose":
        axes = x.attrs[0]
        back = tuple(axes.index(i) for i in range(len(axes)))
        inner = s.make("slice", x.inputs, (tuple(triples[i] for i in back),), tuple(node.shape[i] for i in back), node.dtype, node.line)
        return s.transpose(inner, axes)
    if x.op == "reshape":
        inner = _before_reshape(triples, x.inputs[0].shape, x.shape)
        if inner is not None:
            shape = tuple(count for _, _, count in inner)
            return s.reshape(s.make("slice", x.inputs, (inner,), shape, node.dtype, node.line), node.shape)
    if x.op == "windows":  # the same place in every window is a slice of what the windows are of
        size, stride, dilation = x.attrs
        n = len(size)
        lead, positions, places = triples[: -2 * n], triples[-2 * n : -n], triples[-n:]
        if all(count == 1 for _, _, count in places):
            along = [
                (at * stride_ + place * d, step * stride_, count)
                for (at, step, count), (place, _, _), stride_, d in zip(positions, places, stride, dilation, strict=True)
            ]
            shape = tuple(count for _, _, count in (*lead, *along))
            return s.reshape(s.make("slice", x.inputs, ((*lead, *along),), shape, node.dtype, node.line), node.shape)
    if x.op == "place":
        for part, where in zip(x.inputs, x.attrs[0], strict=True):
            inner = _inside(triples, where)
            if inner is not None:
                return s.like(node, (part,), attrs=(inner,))
    return None


def _before_reshape(triples: Any, before: Shape, after: Shape) -> Any:
    """The slice of an array whose elements are those that a slice shows of its reshape, where axes were only split, or None."""
    found, rest = [], list(zip(triples, after, strict=True))
    for n in before:
        start, count, product, ranged = 0, 1, 1, False
        step = 1
        parts = []
        while product < n:
            if not rest:
                return None
            parts.append(rest.pop(0))
            product *= parts[-1][1]
        if product != n:
            return None
        if len(parts) == 1:
            found.append(parts[0][0])
            continue
        for (first, step, length), size in parts:
            whole = (first, step, length) == (0, 1, size)
            if (ranged and not whole) or (not whole and length != 1):
                return None
            ranged = ranged or (whole and size > 1)
            start, count = start * size + (0 if whole else first), count * (size if whole else 1)
        found.append((start, 1, count))
    while rest:
        if rest.pop(0)[1] != 1:
            return None
    return tuple(found)


def _fold(s: Simplifier, node: Node) -> Made:
    """Windows that do not overlap are put beside one another."""
    (x,), (spatial, stride, dilation) = node.inputs, node.attrs
    n = len(spatial)
    lead, positions, size, channels = x.shape[: -2 * n - 1], x.shape[-2 * n - 1 : -n - 1], x.shape[-n - 1 : -1], x.shape[-1]
    if any(step < d * (k - 1) + 1 for step, d, k in zip(stride, dilation, size, strict=True)) or math.prod(size) > PLACES:
        return None
    parts, where = [], []
    whole = tuple((0, 1, m) for m in (*lead, *positions))
    for place in np.ndindex(*size):
        triples = (*whole, *((i, 1, 1) for i in place), (0, 1, channels))
        part = s.make("slice", (x,), (triples,), (*lead, *positions, *(1,) * n, channels), x.dtype, node.line)
        parts.append(s.reshape(part, (*lead, *positions, channels)))
        inner = ((i * d, step, m) for i, d, step, m in zip(place, dilation, stride, positions, strict=True))
        where.append((*((0, 1, m) for m in lead), *inner, (0, 1, channels)))
    return s.make("place", parts, (tuple(where), 0), node.shape, node.dtype, node.line)


def _inside(seen: Any, placed: Any) -> Any:
    """The slice of a part of `place` that shows the same elements as a slice of the whole, if all of them are of that part."""
    inner = []
    for (start, step, count), (at, stride, length) in zip(seen, placed, strict=True):
        first, last = start - at, start + step * (count - 1) - at
        if first % stride or (count > 1 and step % stride) or not (0 <= first // stride < length and 0 <= last // stride < length):
            return None
        inner.append((first // stride, step // stride if count > 1 else 1, count))
    return tuple(inner)


def _reduce(s: Simplifier, node: Node) -> Made:
    (x,), (kind, axes) = node.inputs, node.attrs
    if node.size == x.size:  # over axes of size one
        return s.reshape(x, node.shape) if node.dtype == x.dtype else None
    small = tuple(axis for axis in axes if x.shape[axis] != 1)
    if small != axes:
        return s.like(node, (x,), attrs=(kind, small))
    if x.op == "transpose":
        order = x.attrs[0]
        back = tuple(order.index(i) for i in range(len(order)))
        inner = s.like(node, x.inputs, tuple(node.shape[i] for i in back), (kind, tuple(sorted(order[axis] for axis in axes))))
        return s.transpose(inner, order)
    if kind == "sum" and x.op == "reduce" and x.attrs[0] == "sum":
        return s.like(node, x.inputs, attrs=(kind, tuple(sorted({*x.attrs[1], *axes}))))
    return None


def _matmul(s: Simplifier, node: Node) -> Made:
    """A stack of matrices times one matrix that is the same for all is a single product of all their rows."""
    x, y = node.inputs
    if len(node.shape) > 2 and y.op == "broadcast" and y.inputs[0].size == math.prod(y.shape[-2:]) and x.op != "broadcast":
        rows, columns = math.prod(node.shape[:-1]), node.shape[-1]
        flat = s.make("matmul", (s.reshape(x, (rows, x.shape[-1])), s.reshape(y.inputs[0], y.shape[-2:])), (), (rows, columns), node.dtype)
        return s.reshape(flat, node.shape)
    return None


def _add(s: Simplifier, node: Node) -> Made:
    """The sum of arrays that are 0 but for slices which do not overlap is one array of all these slices."""
    x, y = node.inputs
    if not (x.op == y.op == "place" and x.attrs[1] == y.attrs[1] == 0 and len(x.inputs) + len(y.inputs) <= PARTS):
        return None
    apart = all(_disjoint(a, b) for a in x.attrs[0] for b in y.attrs[0])
    return s.like(x, (*x.inputs, *y.inputs), attrs=((*x.attrs[0], *y.attrs[0]), 0)) if apart else None


def _disjoint(a: Any, b: Any) -> bool:
    """Whether two slices have no element in common, as told by one axis."""
    for (start, step, count), (other, stride, length) in zip(a, b, strict=True):
        if start + step * (count - 1) < other or other + stride * (length - 1) < start:
            return True
        if step == stride and (start - other) % step:
            return True
    return False


def _place(s: Simplifier, node: Node) -> Made:
    (where, fill) = node.attrs
    if fill is not None and sum(x.size for x in node.inputs) == node.size:  # the parts, which do not overlap, are all
        return s.like(node, node.inputs, attrs=(where, None))
    if len(node.inputs) == 1 and node.inputs[0].shape == node.shape and where[0] == tuple((0, 1, n) for n in node.shape):
        return node.inputs[0]
    found = {x.attrs[0] for x in node.inputs if x.op == "transpose"}
    if len(found) == 1:
        axes = found.pop()
        back = tuple(axes.index(i) for i in range(len(axes)))
        inputs = [s.settled(s.transpose(x, back)) for x in node.inputs]
        inner = tuple(tuple(triples[i] for i in back) for triples in where)
        return s.transpose(s.like(node, inputs, tuple(node.shape[i] for i in back), (inner, fill)), axes)
    return None


def _gather(s: Simplifier, node: Node) -> Made:
    """x[arange(n), labels] of few columns: the sum along each row of what stands at the label, which fuses with the row."""
    (x, *indices), (axes, runs) = node.inputs, node.attrs
    if value_of(x) is not None:
        return s.filled(node, value_of(x))
    if axes == (0, 1) and runs == (-1,) and len(x.shape) == 2 and x.shape[1] <= COLUMNS and _counts(indices[0], x.shape[0]):
        columns = s.make("iota", (), (), (1, x.shape[1]), np.int64)
        wide = s.make("broadcast", (columns,), (), x.shape, np.int64)
        label = s.make("broadcast", (s.reshape(indices[1], (x.shape[0], 1)),), (), x.shape, np.int64)
        here = s.make("equal", (label, wide), (), x.shape, bool)
        value = s.make("where", (here, x, s.constant(0, x.dtype)), (), x.shape, x.dtype)
        return s.reshape(s.make("reduce", (value,), ("sum", (1,)), (x.shape[0], 1), x.dtype, node.line), node.shape)
    return None


def _counts(node: Node, n: int) -> bool:
    """Whether a node is 0, 1, ..., n - 1."""
    return node.op == "iota" and node.shape == (n,)


def _in_memory(s: Simplifier, node: Node) -> Made:
    """Products, scatters and the like read arrays, and a number in their place must become one."""
    inputs = [x if value_of(x) is None else s.make("copy", (x,), (), x.shape, x.dtype, x.line) for x in node.inputs]
    return None if inputs == list(node.inputs) else s.like(node, inputs)


COLUMNS = 2048  # up to which a gather along rows is done by looking at all of a row
PLACES = 64  # in windows that are put beside one another
PARTS = 4096  # that one array is made of
ELEMENTS: tuple[Callable[[Simplifier, Node], Made], ...] = (_as_constants, _sink_transposes)
RULES: dict[str, tuple[Callable[[Simplifier, Node], Made], ...]] = {
    **dict.fromkeys(ELEMENTWISE, ELEMENTS),
    **dict.fromkeys(("multiply", "divide", "power", "subtract"), (_as_constants, _algebra, _sink_transposes)),
    "greater": (_as_constants, _sink_transposes, _greater),
    "add": (_as_constants, _sink_transposes, _add),
    "negative": (_as_constants, _negative, _sink_transposes),
    "cast": (_as_constants, _cast, _sink_transposes),
    "reshape": (_reshape,),
    "transpose": (_transpose,),
    "broadcast": (_broadcast,),
    "slice": (_slice,),
    "reduce": (_reduce,),
    "matmul": (_matmul, _in_memory),
    "place": (_place,),
    "fold": (_fold, _in_memory),
    "gather": (_gather,),
    **dict.fromkeys((*CORRELATIONS, "scatter", "scan", "arg"), (_in_memory,)),
}

"""A tensor's graph as one of scalar Values, and the comparison of their gradients."""

import collections
import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import rules
from ..rules import Rule
from ..scalar import Value
from ..tensor import Tensor, _as_array, apply, default_dtype, enable_grad, gradients, watch
from .names import names_of, variables_for
from .numbers import number
from .tape import Tape, dropped_constant, record
from .tape import Value as Entry

MAX_SCALARS = 20_000
ROWS = 12  # of the report's table
TOLERANCE = 1e-9  # of the largest gradient
ROUNDING = 1e5  # units in the last place of the largest gradient

Array = Any  # an object array of Values and floats


@dataclasses.dataclass(eq=False)
class Unrolled:
    """What `unroll` returns; `str` is a report.

    Attributes:
        root: the Value of the loss, after `backward()`.
        leaves: by name, the Values of each leaf of the graph, nested as its axes are; of a leaf of shape (), the Value.
        value_difference: |root - loss|.
        difference: the largest difference between a gradient of the Values, which are double-precision numbers, and that of the same
            operations run again on float64 Tensors.
        rounding: the same with the gradients of the graph itself, in its own dtype.
        equal: whether `difference` is at most 1e-9 of the largest gradient, and `rounding` no more than rounding can make.
        counts: the number of Values, by operation ("" for the numbers that it starts with).
        assumed: how many constants the graph did not keep and nothing tells; they were taken as 0, which changes no gradient.
        report: all this in words.
    """

    root: Value
    leaves: dict[str, Any]
    value_difference: float
    difference: float
    rounding: float
    equal: bool
    counts: dict[str, int]
    assumed: int
    report: str

    def __str__(self) -> str:
        return self.report

    def __repr__(self) -> str:
        return self.report


def unroll(loss: Tensor, names: Mapping[str, Any] | None = None) -> Unrolled:
    """The graph of `loss` as scalar `Value`s, one for each element of each Tensor, and proof that the gradients are equal.

    Each rule is written out in the operators of `Value` (sums, products, powers, relu) and a few functions of one number (exp, log,
    tanh, sin, ...). A maximum is the Value that is the largest, at a tie the mean of those; softmax and its like take their
    maximum as a constant, as the rules do. Then `root.backward()` runs, and its gradients are compared with the walk's: with those of
    the graph, and, beyond its rounding, with those of the same operations run again in float64.

    Nothing is freed and no `.grad` of a Tensor changes.

    Args:
        loss: a Tensor of one element, before `backward()`.
        names: Tensors and Modules, and lists and dicts of them, by name, which name the leaves; by default the variables that the
            caller sees.

    Raises:
        TypeError: `loss` is no Tensor; or a name in `names` is of something else.
        ValueError: it requires no gradient; its graph needs more than 20,000 Values; or it has an operation without a scalar form,
            a rule of one's own or a linear system.
        RuntimeError: not one element, or `backward()` has freed a part of the graph.

    >>> w = Tensor([1.0, -2.0], requires_grad=True)
    >>> scalars = unroll(((w * 3.0).tanh() ** 2).sum())
    >>> scalars.equal, scalars.counts
    (True, {'': 4, '*': 2, '**2': 2, 'tanh': 2, '+': 1})
    """
    tape = record(loss, who="unroll()", takes_gradient=False)
    called = names_of(tape, variables_for(names, "unroll()"))
    _require_small(tape)
    try:
        writer = _Writer(tape)
        root = writer.arrays[len(tape.values) - 1].reshape(-1)[0]
        root = root if isinstance(root, Value) else Value(root)
        root.backward()
    except ArithmeticError as error:
        raise ValueError(
            f"unroll() computes with Python's numbers, which raise an error where NumPy's become inf or NaN: {error.args[-1]}. "
            "See trace_backward() for where that is."
        ) from error
    return _compared(tape, called, writer, root, loss)


def _require_small(tape: Tape) -> None:
    unknown = sorted({entry.name for entry in tape.values if entry.kind == "operation" and entry.rule not in FORMS})
    if unknown:
        raise ValueError(
            f"unroll() knows no scalar form of {', '.join(unknown)}: it writes out the library's own rules, but for linear systems. "
            "Compose the operation of others, or unroll what comes before it."
        )
    count = sum(_scalars(tape, entry) for entry in tape.values)
    if count > MAX_SCALARS:
        raise ValueError(
            f"unroll() makes at most {MAX_SCALARS:,} Values, this graph needs about {count:,}. "
            "Take a smaller model, or a batch of one or two."
        )


def _scalars(tape: Tape, entry: Entry) -> int:
    """About how many Values an operation takes."""
    size = _size(entry)
    inputs = [tape.values[place] for place in entry.inputs if place is not None]
    if entry.rule in (rules.matmul, rules.affine):
        return 2 * size * int(inputs[0].shape[-1])
    if entry.rule in (rules.convolution, rules.convolution_input):
        return 2 * (size if entry.rule is rules.convolution else _size(inputs[0])) * int(np.prod(inputs[1].shape[1:]))
    if entry.rule is rules.convolution_weight:
        return 2 * _size(inputs[1]) * int(np.prod(entry.shape[1:]))
    if entry.rule is rules.einsum:
        return 2 * size * max(map(_size, inputs))
    return max([size, *map(_size, inputs)]) if entry.kind == "operation" else size


def _size(entry: Entry) -> int:
    shapes = entry.shape if isinstance(entry.data, tuple) else (entry.shape,)
    return sum(math.prod(shape) for shape in shapes)


# -- functions of one number ---------------------------------------------------------------------------------------------


def _phi(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


# Name: f(x), and f'(x) from x and f(x).
FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float, float], float]]] = {
    "exp": (np.exp, lambda x, y: y),
    "log": (np.log, lambda x, y: 1 / x),
    "log1p": (np.log1p, lambda x, y: 1 / (1 + x)),
    "expm1": (np.expm1, lambda x, y: y + 1),
    "tanh": (np.tanh, lambda x, y: 1 - y * y),
    "sin": (np.sin, lambda x, y: math.cos(x)),
    "cos": (np.cos, lambda x, y: -math.sin(x)),
    "tan": (np.tan, lambda x, y: 1 + y * y),
    "arctan": (np.arctan, lambda x, y: 1 / (1 + x * x)),
    "Phi": (_phi, lambda x, y: math.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)),
}


def _function(name: str) -> Callable[[Any], Any]:
    """A function of a Value, or of a float, by its name."""
    f, slope = FUNCTIONS[name]

    def of_number(x: Any) -> Any:
        if not isinstance(x, Value):
            return float(f(x))
        at, y = x.data, float(f(x.data))
        return x._result(y, (x,), name, lambda g: (slope(at, y) * g,))

    return of_number


exp, log, log1p, expm1, tanh, phi = (_function(name) for name in ("exp", "log", "log1p", "expm1", "tanh", "Phi"))


def _data(x: Any) -> float:
    return x.data if isinstance(x, Value) else x


def _relu(x: Any) -> Any:
    return x.relu() if isinstance(x, Value) else max(x, 0.0)


def _sigmoid(x: Any) -> Any:
    if _data(x) >= 0:
        return 1 / (1 + exp(-x))
    e = exp(x)
    return e / (1 + e)


def _softplus(x: Any) -> Any:
    return x + log1p(exp(-x)) if _data(x) > 0 else log1p(exp(x))


def _absolute(x: Any) -> Any:
    return x if _data(x) > 0 else -x if _data(x) < 0 else x * 0.0


def _power(x: Any, y: Any) -> Any:
    if not isinstance(y, Value):
        return x * 0.0 + 1.0 if y == 0 else x**y
    if _data(x) > 0:
        return exp(y * log(x))
    if _data(x) == 0 and y.data >= 0:  # the exponent's gradient is 0 there
        return _power(x, y.data)
    raise ValueError(
        f"unroll() writes x ** y, where y requires a gradient, as exp(y log x), which needs x > 0; got x = {number(_data(x))}. "
        "Make the base positive, or the exponent a number."
    )


def _pick(candidates: list[Any], best: float) -> Any:
    """Of several, the one that is the best, or the mean of those that are."""
    winners = [x for x in candidates if _data(x) == best]
    return winners[0] if len(winners) == 1 else sum(winners[1:], winners[0]) * (1 / len(winners))


def _binary_cross_entropy(p: Any, t: Any) -> Any:
    if not 1e-12 < _data(p) * (1 - _data(p)):
        raise ValueError(
            f"unroll() can't write out binary cross-entropy at p = {number(_data(p))}, where the rule bounds its derivative. "
            "Use the loss of logits, BCEWithLogitsLoss."
        )
    return -(t * log(p)) - (1 - t) * log(1 - p)


def _leaky_relu(x: Any, slope: float) -> Any:
    return x if _data(x) > 0 else x * slope


def _elu(x: Any, alpha: float) -> Any:
    return x if _data(x) > 0 else expm1(x) * alpha


def _clip(x: Any, low: float | None, high: float | None) -> Any:
    low, high = -math.inf if low is None else low, math.inf if high is None else high
    return x if low <= _data(x) <= high else float(min(max(_data(x), low), high))


def _gelu_tanh(x: Any) -> Any:
    return x * 0.5 * (tanh(math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x)) + 1)


# -- the rules, on object arrays -----------------------------------------------------------------------------------------


def _array(x: Any, shape: tuple[int, ...] | None = None) -> Array:
    out = np.empty(np.shape(x) if shape is None else shape, object)
    out[...] = x
    return out


def _each(f: Callable[..., Any]) -> Callable[..., Array]:
    """A function of numbers, element by element, with broadcasting."""

    def form(*arrays: Array, **options: Any) -> Array:
        broadcast = np.broadcast(*arrays)
        out = np.empty(broadcast.shape, object)
        out.reshape(-1)[...] = _listed([f(*elements, **options) for elements in broadcast])
        return out

    return form


def _listed(elements: list[Any]) -> Array:
    out = np.empty(len(elements), object)
    for i, element in enumerate(elements):
        out[i] = element
    return out


def _run(rule: Rule) -> Callable[..., Any]:
    """The rule itself: NumPy's functions call the operators of the elements of an object array."""
    return lambda *arrays, **options: rule(*arrays, **options)[0]


def _over(f: Callable[[list[Any]], list[Any]]) -> Callable[..., Array]:
    """A function from the elements along an axis to as many."""

    def form(x: Array, *, axis: int = -1) -> Array:
        moved = np.moveaxis(x, axis, -1)
        out = np.empty(moved.shape, object)
        for index in np.ndindex(moved.shape[:-1]):
            out[index] = _listed(f(list(moved[index])))
        return np.moveaxis(out, -1, axis)

    return form


def _reduce(f: Callable[..., Any]) -> Callable[..., Array]:
    """A function from the elements along axes to one."""

    def form(x: Array, *, axis: Any = None, keepdims: bool = False, **options: Any) -> Array:
        axes = tuple(range(x.ndim)) if axis is None else tuple(i % x.ndim for i in (axis if isinstance(axis, tuple) else (axis,)) if x.ndim)
        kept = tuple(i for i in range(x.ndim) if i not in axes)
        rows = x.transpose(kept + axes).reshape(math.prod(x.shape[i] for i in kept), math.prod(x.shape[i] for i in axes))
        out = _listed([f(list(row), **options) for row in rows])
        return out.reshape([1 if i in axes else size for i, size in enumerate(x.shape)] if keepdims else [x.shape[i] for i in kept])

    return form


def _sum(xs: list[Any]) -> Any:
    return functools.reduce(lambda x, y: x + y, xs) if xs else 0.0


def _shifted(xs: list[Any]) -> tuple[list[Any], float]:
    top = max(map(_data, xs))
    return [x - top for x in xs], top


def _softmax(xs: list[Any]) -> list[Any]:
    exps = [exp(x) for x in _shifted(xs)[0]]
    total = _sum(exps)
    return [e / total for e in exps]


def _log_softmax(xs: list[Any]) -> list[Any]:
    shifted, _ = _shifted(xs)
    total = log(_sum([exp(x) for x in shifted]))
    return [x - total for x in shifted]


def _logsumexp(xs: list[Any]) -> Any:
    if all(_data(x) == -math.inf for x in xs):
        return -math.inf
    shifted, top = _shifted(xs)
    if top == math.inf:
        shifted, top = xs, 0.0
    return log(_sum([exp(x) for x in shifted])) + top


def _norm(xs: list[Any], p: float) -> Any:
    if not any(map(_data, xs)):
        return 0.0
    terms = [x**2 if p == 2 else _absolute(x) ** p for x in xs if _data(x) or p == 2]
    return _sum(terms) ** (1 / p)


def _cross_entropy(logits: Array, labels: Array, weights: Array) -> Array:
    losses = []
    for row, label, weight in zip(logits, labels, weights, strict=True):
        losses.append(-_log_softmax(list(row))[int(_data(label))] * weight if _data(label) >= 0 else 0.0)
    return _listed(losses)


def _standardize(x: Array, *, axis: Any, eps: float) -> tuple[Array, Array, Array]:
    mean_of = functools.partial(FORMS[rules.mean], axis=axis, keepdims=True)
    mean = mean_of(x)
    var = mean_of((x - mean) ** 2)
    return (x - mean) / (var + eps) ** 0.5, mean, var


def _lstm_cell(gates: Array, c: Array) -> tuple[Array, Array]:
    i, f, g, o = np.split(gates, 4, axis=-1)
    new = _each(_sigmoid)(f) * c + _each(_sigmoid)(i) * _each(tanh)(g)
    return _each(_sigmoid)(o) * _each(tanh)(new), new


def _gru_cell(x: Array, u: Array, h: Array) -> Array:
    (x_r, x_z, x_n), (u_r, u_z, u_n) = np.split(x, 3, axis=-1), np.split(u, 3, axis=-1)
    z, n = _each(_sigmoid)(x_z + u_z), _each(tanh)(x_n + _each(_sigmoid)(x_r + u_r) * u_n)
    return (1 - z) * n + z * h


def _window_max(x: Array, *, ndim: int) -> Array:
    rows = x.reshape(*x.shape[: x.ndim - ndim], -1)
    out = np.empty(rows.shape[:-1], object)
    for index in np.ndindex(out.shape):
        out[index] = max(rows[index], key=lambda x: _nan_last(_data(x)))  # the first
    return out


def _scatter(values: Array, *, index: Any, shape: tuple[int, ...]) -> Array:
    out = _array(0.0, shape)
    np.add.at(out, index, values)
    return out


def _gather_rows(values: Array, indices: Array, *, count: int) -> Array:
    return _scatter(values, index=indices.astype(int), shape=(count, *values.shape[1:]))


def _scatter_along(values: Array, indices: Array, *, axis: int, size: int) -> Array:
    shape = np.broadcast_shapes(values.shape, indices.shape)
    axis %= len(shape)
    index = tuple(indices.astype(int) if i == axis else places for i, places in enumerate(np.ix_(*map(np.arange, shape))))
    return _scatter(values, index=index, shape=(*shape[:axis], size, *shape[axis + 1 :]))


def _take_along(x: Array, indices: Array, *, axis: int) -> Array:
    return np.take_along_axis(x, indices.astype(int), axis)


def _einsum(*operands: Array, subscripts: str) -> Array:
    return np.asarray(np.einsum(subscripts, *operands, optimize=False), object)


def _convolution(x: Array, weight: Array, *, stride: Any, dilation: Any, groups: int) -> Array:
    size, count = weight.shape[2:], x.shape[0]
    windows = FORMS[rules.windows](x, size=size, stride=stride, dilation=dilation)
    positions = windows.shape[2 : -len(size)]
    columns = windows.reshape(count, groups, -1, math.prod(positions), math.prod(size)).transpose(0, 1, 3, 2, 4)
    columns = columns.reshape(count, groups, math.prod(positions), -1)
    rows = weight.reshape(groups, len(weight) // groups, -1)
    return (rows @ columns.transpose(0, 1, 3, 2)).reshape(count, len(weight), *positions)


def _convolution_input(g: Array, weight: Array, *, spatial: Any, stride: Any, dilation: Any, groups: int) -> Array:
    size, count, positions = weight.shape[2:], g.shape[0], g.shape[2:]
    of_groups = g.reshape(count, groups, len(weight) // groups, math.prod(positions))
    columns = weight.reshape(groups, len(weight) // groups, -1).transpose(0, 2, 1) @ of_groups
    columns = columns.reshape(count, weight.shape[1] * groups, math.prod(size), -1).transpose(0, 1, 3, 2)
    windows = columns.reshape(count, -1, *positions, *size)
    return FORMS[rules.scatter_windows](windows, spatial=spatial, stride=stride, dilation=dilation)


def _convolution_weight(x: Array, g: Array, *, size: Any, stride: Any, dilation: Any, groups: int) -> Array:
    count, channels = g.shape[:2]
    windows = FORMS[rules.windows](x, size=size, stride=stride, dilation=dilation)
    positions = math.prod(g.shape[2:])
    columns = windows.reshape(count, groups, -1, positions, math.prod(size)).transpose(1, 0, 3, 2, 4).reshape(groups, count * positions, -1)
    rows = g.reshape(count, groups, channels // groups, positions).transpose(1, 2, 0, 3).reshape(groups, channels // groups, -1)
    return (rows @ columns).reshape(channels, x.shape[1] // groups, *size)


_STRUCTURAL = (
    *(rules.add, rules.subtract, rules.multiply, rules.divide, rules.negative, rules.square, rules.reshape),
    *(rules.transpose, rules.broadcast_to, rules.concatenate, rules.stack, rules.unstack, rules.getitem, rules.pad, rules.cumsum),
    *(rules.matmul, rules.affine, rules.windows, rules.scatter_windows),
)

FORMS: dict[Rule, Callable[..., Any]] = {
    **{rule: _run(rule) for rule in _STRUCTURAL},
    **{rule: _each(_function(rule.__name__)) for rule in (rules.exp, rules.log, rules.log1p, rules.expm1, rules.tanh)},
    **{rule: _each(_function(rule.__name__)) for rule in (rules.sin, rules.cos, rules.tan, rules.arctan)},
    rules.cast: lambda x, dtype: x,
    rules.where: lambda condition, x, y: np.where(condition.astype(bool), x, y),
    rules.power: _each(_power),
    rules.maximum: _each(lambda x, y: _pick([x, y], max(_data(x), _data(y)))),
    rules.minimum: _each(lambda x, y: _pick([x, y], min(_data(x), _data(y)))),
    rules.sum: _reduce(_sum),
    rules.mean: _reduce(lambda xs: _sum(xs) * (1 / len(xs))),
    rules.max: _reduce(lambda xs: _pick(xs, max(map(_data, xs)))),
    rules.min: _reduce(lambda xs: _pick(xs, min(map(_data, xs)))),
    rules.clip: _each(_clip),
    rules.absolute: _each(_absolute),
    rules.sqrt: _each(lambda x: x**0.5),
    rules.log2: _each(lambda x: log(x) * (1 / math.log(2))),
    rules.log10: _each(lambda x: log(x) * (1 / math.log(10))),
    rules.relu: _each(_relu),
    rules.leaky_relu: _each(_leaky_relu),
    rules.elu: _each(_elu),
    rules.sigmoid: _each(_sigmoid),
    rules.softplus: _each(_softplus),
    rules.silu: _each(lambda x: x * _sigmoid(x)),
    rules.phi: _each(phi),
    rules.gelu: _each(lambda x: x * phi(x)),
    rules.gelu_tanh: _each(_gelu_tanh),
    rules.binary_cross_entropy: _each(_binary_cross_entropy),
    rules.binary_cross_entropy_with_logits: _each(lambda x, t, w: w * t * _softplus(-x) + (1 - t) * _softplus(x)),
    rules.softmax: _over(_softmax),
    rules.log_softmax: _over(_log_softmax),
    rules.logsumexp: _reduce(_logsumexp),
    rules.norm: _reduce(_norm),
    rules.prod: _reduce(lambda xs: functools.reduce(lambda x, y: x * y, xs) if xs else 1.0),
    rules.cross_entropy: _cross_entropy,
    rules.standardize: _standardize,
    rules.lstm_cell: _lstm_cell,
    rules.gru_cell: _gru_cell,
    rules.window_max: _window_max,
    rules.scatter: _scatter,
    rules.take_rows: lambda x, indices: x[indices.astype(int)],
    rules.gather_rows: _gather_rows,
    rules.take_along: _take_along,
    rules.scatter_along: _scatter_along,
    rules.einsum: _einsum,
    rules.convolution: _convolution,
    rules.convolution_input: _convolution_input,
    rules.convolution_weight: _convolution_weight,
}


# -- the graph -----------------------------------------------------------------------------------------------------------


class _Writer:
    """The object arrays of a tape's values, written in their order."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.assumed = tape, 0
        self.arrays: dict[int, Any] = {}
        self.dropped: dict[tuple[int, int], Any] = {}
        with np.errstate(all="ignore"):
            for entry in tape.values:
                self.arrays[entry.index] = self._written(entry)

    def _written(self, entry: Entry) -> Any:
        if entry.kind == "leaf":
            return _each(Value)(self._constant(entry.data))
        if entry.kind == "constant":
            return self._constant(entry.data)
        if entry.kind == "part":
            return _array(self.arrays[entry.inputs[0]][entry.part], entry.shape)  # type: ignore[index]
        inputs = [self._input(entry, position) for position in range(len(entry.inputs))]
        out = FORMS[entry.rule](*inputs, **entry.options)  # type: ignore[index]
        return out if isinstance(out, tuple) else _array(out, entry.shape)

    def _constant(self, x: Any) -> Array:
        return np.asarray(x, np.float64).astype(object)

    def _input(self, entry: Entry, position: int) -> Array:
        place, x = entry.inputs[position], entry.numbers[position]
        if place is not None:
            array = self.arrays[place]
            return array if entry.edge.pullbacks[position] is not None else _each(_data)(array)
        if x is not None:
            return _array(x)
        dropped = self.dropped[entry.index, position] = self._dropped(entry, position)
        return self._constant(dropped)

    def _dropped(self, entry: Entry, position: int) -> Any:
        """An input that the graph of a linear rule did not keep."""
        pullbacks = entry.edge.pullbacks
        held = _held_by(next(pullback for pullback in pullbacks if pullback is not None))
        if entry.rule is rules.where and position == 0:
            return held.get("condition", _held_by(pullbacks[2]).get("condition"))
        if entry.rule is rules.take_rows:
            table = self.tape.values[entry.inputs[0] or 0]
            return held["flat"].reshape(entry.shape[: len(entry.shape) - len(table.shape) + 1])
        if "indices" in held:
            return held["indices"]
        constant = dropped_constant(self.tape, entry, position)
        if constant is not None:
            return constant
        known = entry.data is not None and entry.rule not in (rules.add, rules.subtract)
        self.assumed += not known
        pullback: Any = pullbacks[position]
        return entry.data if known and entry.rule is rules.where else pullback(entry.data if known else np.zeros(entry.shape, entry.dtype))


def _held_by(function: Any) -> dict[str, Any]:
    """What a function closes over."""
    cells = getattr(function, "__closure__", None) or ()
    return {name: cell.cell_contents for name, cell in zip(function.__code__.co_freevars, cells, strict=True)} if cells else {}


# -- the comparison ------------------------------------------------------------------------------------------------------


def _in_double_precision(tape: Tape, writer: _Writer) -> dict[int, np.ndarray]:
    """The gradients of the leaves, by index, of the same rules run again on float64 Tensors, and walked back by the engine."""
    results: dict[int, Any] = {}

    def given(entry: Entry, position: int) -> Any:
        place, x = entry.inputs[position], entry.numbers[position]
        return results[place] if place is not None else x if x is not None else writer.dropped[entry.index, position]

    before = watch()
    try:
        with default_dtype(np.float64), enable_grad(), np.errstate(all="ignore"):
            for entry in tape.values:
                if entry.kind == "leaf":
                    results[entry.index] = Tensor(entry.data, requires_grad=True)
                elif entry.kind == "constant":
                    results[entry.index] = _as_array(entry.data)
                elif entry.kind == "part":
                    results[entry.index] = results[entry.inputs[0]][entry.part]  # type: ignore[index]
                else:
                    options = {**entry.options, "dtype": np.float64} if entry.rule is rules.cast else entry.options
                    inputs = [given(entry, position) for position in range(len(entry.inputs))]
                    results[entry.index] = apply(entry.rule, *inputs, **options)  # type: ignore[arg-type]
            leaves = [entry.index for entry in tape.values if entry.kind == "leaf"]
            found = gradients(results[len(tape.values) - 1], [results[index] for index in leaves])
    finally:
        watch(*before)
    return {index: g.data for index, g in zip(leaves, found, strict=True)}


def _compared(tape: Tape, names: list[str], writer: _Writer, root: Value, loss: Tensor) -> Unrolled:
    leaves: dict[str, Any] = {}
    rows, scale, difference, rounding = [], 0.0, 0.0, 0.0
    for index, again in _in_double_precision(tape, writer).items():
        entry, name, values = tape.values[index], names[index], writer.arrays[index]
        leaves[name] = values.tolist() if values.ndim else values.item()
        of_tensor = np.zeros(entry.shape) if entry.gradient is None else np.asarray(entry.gradient, np.float64)
        of_values = np.array([value.grad for value in values.reshape(-1)], np.float64).reshape(entry.shape)
        for place in np.ndindex(entry.shape):
            rows.append((f"{name}{''.join(f'[{i}]' for i in place)}", number(of_tensor[place], 6), number(of_values[place], 6)))
        difference = max(difference, _difference(of_values, again), key=_nan_last)
        rounding = max(rounding, _difference(of_values, of_tensor), key=_nan_last)
        scale = float(np.max(np.abs(again), initial=scale, where=np.isfinite(again)))
    eps = max(float(np.finfo(entry.dtype).eps) for entry in tape.values if entry.kind == "leaf")
    found = Unrolled(
        root=root,
        leaves=leaves,
        value_difference=_difference(np.array(root.data), np.array(loss.item())),
        difference=difference,
        rounding=rounding,
        equal=difference <= TOLERANCE * scale and rounding <= ROUNDING * eps * scale,
        counts=_counts(root),
        assumed=writer.assumed,
        report="",
    )
    found.report = _report(found, names[-1], sum(entry.kind == "operation" for entry in tape.values), loss.item(), rows)
    return found


def _difference(x: np.ndarray, y: np.ndarray) -> float:
    """The largest difference; 0 where both are the same infinity or NaN."""
    with np.errstate(invalid="ignore"):
        return float(np.max(np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0, np.abs(x - y)), initial=0))


def _nan_last(x: float) -> tuple[bool, float]:
    return math.isnan(x), x


def _counts(root: Value) -> dict[str, int]:
    graph, pending = {root}, [root]
    while pending:
        for child in pending.pop()._prev:
            if child not in graph:
                graph.add(child)
                pending.append(child)
    counts = collections.Counter(value._op for value in graph)
    return dict(sorted(counts.items(), key=lambda item: (item[0] != "", -item[1], item[0])))


def _report(found: Unrolled, name: str, operations: int, value: float, rows: list[tuple[str, str, str]]) -> str:
    made = ", ".join(f"{count:,} {op}" for op, count in found.counts.items() if op)
    start, every = found.counts.get("", 0), sum(found.counts.values())
    notes = []
    if found.assumed:
        some, were = ("A constant", "was") if found.assumed == 1 else (f"{found.assumed} constants", "were")
        notes = [f"{some} that the graph did not keep {were} taken as 0: no gradient depends on it. Within debug() it would be known."]
    table = [("gradient of", "Tensor", "Values"), *rows[:ROWS]]
    first, second, third = (max(len(row[i]) for row in table) for i in range(3))
    return "\n".join(
        [
            f"{name}, of {operations} operation{'s' * (operations != 1)} on Tensors, is {every:,} scalar Value{'s' * (every != 1)}:",
            f"{start:,} number{'s' * (start != 1)} to begin with{f', {made}' if made else ''}.",
            f"Its value: {value:.6g} of the Tensor, {found.root.data:.6g} of the Values.",
            *notes,
            "",
            *[f"  {a:<{first}}  {b:>{second}}  {c:>{third}}".rstrip() for a, b, c in table],
            *([f"  ... and {len(rows) - ROWS:,} more"] if len(rows) > ROWS else []),
            "",
            _verdict(found, len(rows)),
        ]
    )


def _verdict(found: Unrolled, count: int) -> str:
    again, own = number(found.difference, 2), number(found.rounding, 2)
    if found.equal:
        which = "The gradient is equal: it differs" if count == 1 else f"All {count:,} gradients are equal: they differ"
        return (
            f"{which} by at most {again} where the Tensors are float64,\n"
            f"and by at most {own} from those in their own dtype, which is rounding."
        )
    return (
        f"The gradients DIFFER: by up to {again} where the Tensors are float64, and by up to {own} from those of the graph.\n"
        "A pullback is wrong, or an array of the graph was changed in place since it was used."
    )

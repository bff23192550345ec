"""For every rule: example inputs and a plain formula for its value; and its convention at ties, kinks and limits.

A case holds what the rule is given. Inputs of floating dtype have a pullback, unless their position is among the entry's
`constants`. The inputs of `TABLE` keep away from ties and kinks, so that differences see the derivative; those of `KINKS`
lie on them.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    inputs: tuple[Any, ...]
    options: dict[str, Any]


class Entry(NamedTuple):
    formula: Callable[..., Any]
    cases: list[Case]
    constants: tuple[int, ...] = ()


class Kink(NamedTuple):
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    gradients: tuple[Any, ...]
    value: Any = None
    singular: bool = False  # NumPy warns of a division by zero or the like


def case(*inputs: Any, **options: Any) -> Case:
    return Case(tuple(np.asarray(x) if isinstance(x, list) else x for x in inputs), options)


def at(*inputs: Any, gradients: tuple[Any, ...], value: Any = None, singular: bool = False, **options: Any) -> Kink:
    """At these inputs, the gradients of the sum of the values, and the value where it is worth a look."""
    return Kink(case(*inputs).inputs, options, gradients, value, singular)


_random = np.random.default_rng(20)


def normal(*shape: int) -> np.ndarray:
    return np.asarray(_random.standard_normal(shape))


def small(*shape: int) -> np.ndarray:
    """Normal numbers, so that in sums of hundreds, too, half precision keeps two digits."""
    return normal(*shape) * (1 if math.prod(shape) < 400 else 0.1)


def positive(*shape: int) -> np.ndarray:
    return np.asarray(_random.uniform(0.5, 2, shape))


def nonzero(*shape: int) -> np.ndarray:
    return np.asarray(positive(*shape) * _random.choice([-1, 1], shape))


def between(low: float, high: float, *shape: int) -> np.ndarray:
    return np.asarray(_random.uniform(low, high, shape))


def distinct(*shape: int) -> np.ndarray:
    """No two elements closer than 0.3."""
    count = math.prod(shape)
    return (0.3 * (_random.permutation(count) - count / 2)).reshape(shape)


def between_ties(*shape: int) -> np.ndarray:
    """No element closer than 0.1 to one of `distinct`."""
    return np.asarray(distinct(*shape) + 0.1)


def standardized(x: np.ndarray, axis: Any, eps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean, var = x.mean(axis, keepdims=True), x.var(axis, keepdims=True)
    return (x - mean) / np.sqrt(var + eps), mean, var


def elementwise(f: Callable[..., float]) -> Callable[..., Any]:
    """A function of numbers, applied to each element, with broadcasting and keyword options."""
    return lambda *inputs, **options: np.vectorize(lambda *numbers: f(*numbers, **options), otypes=[float])(*inputs)


def unary(f: Callable[[float], float], values: Callable[..., np.ndarray] = normal) -> Entry:
    return Entry(elementwise(f), [case(values(2, 3)), case(values()), case(values(1)), case(values(2, 1, 2))])


def binary(
    f: Callable[[float, float], float],
    left: Callable[..., np.ndarray] = normal,
    right: Callable[..., np.ndarray] = normal,
    numbers: tuple[float, ...] = (2, 1.5),
) -> Entry:
    shapes = [((2, 3), (2, 3)), ((2, 3), (3,)), ((3,), (2, 3)), ((2, 1), (1, 3)), ((), (2, 3)), ((2, 3), ()), ((1,), (2, 1)), ((), ())]
    cases = [case(left(*x), right(*y)) for x, y in shapes]
    cases += [case(left(4, 1, 2), right(3, 1))]
    cases += [case(left(2, 3), number) for number in numbers] + [case(number, right(2, 3)) for number in numbers]
    return Entry(elementwise(f), cases)


def normal_distribution(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2))


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def matmul_by_sums(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows = x[None, :] if x.ndim == 1 else x
    columns = y[:, None] if y.ndim == 1 else y
    out = (rows[..., :, :, None] * columns[..., None, :, :]).sum(-2)
    out = out[..., 0] if y.ndim == 1 else out
    return out[..., 0, :] if x.ndim == 1 and y.ndim != 1 else out[..., 0] if x.ndim == 1 else out


def softmax_by_division(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def cross_entropy_by_rows(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    rows = zip(logits, labels, weights, strict=True)
    return np.array([-math.log(softmax_by_division(row)[label]) * weight if label >= 0 else 0 for row, label, weight in rows])


def lstm_by_units(gates: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, ...]:
    def unit(i: float, f: float, g: float, o: float, c: float) -> tuple[float, float]:
        c = logistic(f) * c + logistic(i) * math.tanh(g)
        return logistic(o) * math.tanh(c), c

    return np.vectorize(unit, otypes=[float, float])(*of_units(gates, 4), c)


def gru_by_units(x: np.ndarray, u: np.ndarray, h: np.ndarray) -> np.ndarray:
    def unit(x_r: float, x_z: float, x_n: float, u_r: float, u_z: float, u_n: float, h: float) -> float:
        z = logistic(x_z + u_z)
        return (1 - z) * math.tanh(x_n + logistic(x_r + u_r) * u_n) + z * h

    return np.vectorize(unit, otypes=[float])(*of_units(x, 3), *of_units(u, 3), h)


def of_units(gates: np.ndarray, count: int) -> np.ndarray:
    """(..., count hidden) to (count, ..., hidden)."""
    return np.moveaxis(gates.reshape(*gates.shape[:-1], count, -1), -2, 0)


def scattered(values: np.ndarray, *, index: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Through the positions that the same index takes from the numbered elements."""
    taken = np.arange(math.prod(shape)).reshape(shape)[index]
    return np.bincount(taken.ravel(), np.broadcast_to(values, taken.shape).ravel(), math.prod(shape)).reshape(shape)


def joined(*arrays: np.ndarray, axis: int = 0) -> np.ndarray:
    """Concatenation, by writing each array into its place."""
    axis %= arrays[0].ndim
    shape = list(arrays[0].shape)
    shape[axis] = sum(x.shape[axis] for x in arrays)
    out, start = np.empty(shape), 0
    for x in arrays:
        out[(slice(None),) * axis + (slice(start, start + x.shape[axis]),)] = x
        start += x.shape[axis]
    return out


def over_rows(f: Callable[..., Any], axis: int, *arrays: np.ndarray) -> np.ndarray:
    """A function of rows, applied to the rows of the arrays along an axis, the other axes broadcasting."""
    moved = [np.moveaxis(x, axis, -1) for x in arrays]
    rows = np.broadcast_shapes(*(x.shape[:-1] for x in moved))
    spread = [np.broadcast_to(x, (*rows, x.shape[-1])) for x in moved]
    out = np.array([f(*(x[row] for x in spread)) for row in np.ndindex(rows)])
    return np.moveaxis(out.reshape(*rows, -1), -1, axis)


_along_cases = [  # shape, indices, axis
    ((3, 4), [[0, 3, 3], [1, 1, 1], [2, 0, -1]], 1),
    ((3, 4), [[0, 2, -3, 2]], 0),
    ((3, 4), [[0], [-1], [2]], -1),
    ((3, 4), [[1, 1, 3]], -1),
    ((1, 4), [[0, 1], [3, 3]], 1),
    ((3, 4, 2), [[[0, 1], [1, 1]]], 1),
    ((2, 3, 2), [[[0]], [[2]]], -2),
    ((2, 3, 2), [[[1, 0], [0, 0], [1, 1]]], 0),
    ((4,), [3, 3, 0, 3, 1], 0),
    ((1,), [0, 0, -1], 0),
    ((2, 3), np.empty((2, 0), int), 1),
]


def windows_by_places(x: np.ndarray, *, size: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> np.ndarray:
    """The windows along the last axes, element by element."""
    lengths = x.shape[-len(size) :]
    counts = [len(range(0, length - d * (k - 1), s)) for length, k, s, d in zip(lengths, size, stride, dilation, strict=True)]
    out = np.empty((*x.shape[: -len(size)], *counts, *size))
    for position in np.ndindex(*counts):
        for offset in np.ndindex(*size):
            place = [s * i + d * j for i, j, s, d in zip(position, offset, stride, dilation, strict=True)]
            out[(..., *position, *offset)] = x[(..., *place)]
    return out


def windows_added(w: np.ndarray, *, spatial: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]) -> np.ndarray:
    """Windows put back at their places and added, through the places that the numbers of the elements then have."""
    lead, size = w.shape[: -2 * len(spatial)], w.shape[-len(spatial) :]
    numbers = windows_by_places(np.arange(math.prod(spatial)).reshape(spatial), size=size, stride=stride, dilation=dilation)
    rows = [np.bincount(numbers.ravel().astype(int), row, math.prod(spatial)) for row in w.reshape(-1, numbers.size)]
    return np.array(rows).reshape(*lead, *spatial)


def convolution_terms(x: Any, weight: Any, g: Any, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> Iterator[Any]:
    """The indices into x, weight and g, arrays or shapes, of the factors of every term g[:, o] weight[o, c, k] x[:, c, place of k]."""
    (_, channels, *_), (outputs, part, *size), (_, _, *counts) = x, weight, g
    for o, c, *offset in np.ndindex(outputs, part, *size):
        steps = zip(offset, counts, stride, dilation, strict=True)
        place = [slice(k * d, k * d + (count - 1) * s + 1, s) for k, count, s, d in steps]
        yield (slice(None), o * groups // outputs * (channels // groups) + c, *place), (o, c, *offset), (slice(None), o)


def convolved(x: np.ndarray, weight: np.ndarray, *, stride: tuple[int, ...], dilation: tuple[int, ...], groups: int) -> np.ndarray:
    seen = zip(x.shape[2:], weight.shape[2:], stride, dilation, strict=True)
    y = np.zeros((len(x), len(weight), *[len(range(0, length - d * (k - 1), s)) for length, k, s, d in seen]))
    for i, j, k in convolution_terms(x.shape, weight.shape, y.shape, stride, dilation, groups):
        y[k] += x[i] * weight[j]
    return y


def convolution_inputs(g: np.ndarray, weight: np.ndarray, *, spatial: tuple[int, ...], groups: int, **settings: Any) -> np.ndarray:
    x = np.zeros((len(g), weight.shape[1] * groups, *spatial))
    for i, j, k in convolution_terms(x.shape, weight.shape, g.shape, groups=groups, **settings):
        x[i] += g[k] * weight[j]
    return x


def convolution_weights(x: np.ndarray, g: np.ndarray, *, size: tuple[int, ...], groups: int, **settings: Any) -> np.ndarray:
    weight = np.zeros((g.shape[1], x.shape[1] // groups, *size))
    for i, j, k in convolution_terms(x.shape, weight.shape, g.shape, groups=groups, **settings):
        weight[j] = (x[i] * g[k]).sum()
    return weight


def einsum_cases() -> list[Case]:
    a, b, c = normal(2, 3), normal(3, 4), normal(2, 3, 4)
    vector, square = normal(3), normal(3, 3)
    return [
        case(a, b, subscripts="ij,jk->ik"),
        case(a, b, subscripts="ij,jk"),
        case(a, b, subscripts="ij, jk -> ki"),
        case(a, subscripts="ij->ji"),
        case(a, subscripts="ji"),
        case(a, subscripts="ij->"),
        case(a, subscripts="ij->j"),
        case(a, normal(5), subscripts="ij,k->k"),
        case(a, normal(5), subscripts="ij,k->ik"),
        case(a, normal(5), subscripts="ij,k->"),
        case(vector, vector.copy() + 1, subscripts="i,i->"),
        case(vector, vector.copy() - 1, subscripts="i,j->ij"),
        case(square, subscripts="ii->i"),
        case(square, subscripts="ii->"),
        case(square, subscripts="ii"),
        case(normal(2, 2, 3), subscripts="iij->ji"),
        case(normal(2, 2, 2), subscripts="iii->i"),
        case(square, vector, subscripts="ii,i->i"),
        case(square, vector, subscripts="ii,j->j"),
        case(c, normal(2, 4, 2), subscripts="bij,bjk->bik"),
        case(a, b, normal(4, 2), subscripts="ij,jk,ki->"),
        case(a, b, normal(4, 2), subscripts="ij,jk,kl->il"),
        case(c, subscripts="...ij->...ji"),
        case(c, b, subscripts="...ij,kj->...ik"),
        case(c, normal(4, 2), subscripts="...j,jk"),
        case(c, normal(4), subscripts="...,...->..."),
        case(c, normal(5), subscripts="...j,k->...k"),
        case(normal(1, 3), normal(2, 3), subscripts="...j,...j->..."),
        case(normal(2, 3), normal(2, 1), subscripts="ij,ij->i"),
        case(normal(2, 1), normal(2, 3), subscripts="ij,ij->"),
        case(normal(2, 2), subscripts="...i->..."),
        case(normal(5, 2, 2), subscripts="...ii->...i"),
        case(normal(2, 5, 2), subscripts="a...a->..."),
    ]


_index_cases = [
    ((3, 4), 1),
    ((3, 4), -1),
    ((4,), 2),
    ((3, 4), slice(1, 3)),
    ((3, 4), slice(None, None, -2)),
    ((3, 4), (slice(None), 2)),
    ((3, 4), (1, slice(0, 3, 2))),
    ((3, 4), (..., 1)),
    ((3, 4), (None, 1)),
    ((3, 4), ...),
    ((3, 4), ()),
    ((2, 3, 4), (slice(None), None, -1)),
    ((3, 4), np.array([0, 2, 0, 0])),
    ((3, 4), [2, 2, 1]),
    ((3, 4), np.array([[0, 1], [1, 1]])),
    ((3, 4), (np.array([0, 2, 0]), np.array([1, 1, 1]))),
    ((3, 4), (slice(None), np.array([3, 3, 0]))),
    ((3, 4), (np.array([[0], [2]]), np.array([1, 1]))),
    ((2, 3, 4), (np.array([0, 0]), slice(None), np.array([1, 1]))),
    ((3, 4), np.array([True, False, True])),
    ((2, 2), np.array([[True, False], [True, True]])),
    ((3, 4), (np.array([True, False, True]), 0)),
    ((3, 4), np.array(2)),
    ((3, 4), np.int64(1)),
    ((3, 4), (np.int64(1), slice(1, 2))),
    ((3, 4), slice(2, 2)),
]

# shape, size, stride, dilation
_window_cases = [
    ((2, 3, 5, 6), (2, 3), (1, 1), (1, 1)),
    ((2, 3, 6, 5), (3, 2), (2, 3), (1, 1)),
    ((3, 5, 7), (2, 2), (1, 2), (2, 3)),
    ((2, 3, 4, 4), (2, 2), (2, 2), (1, 1)),
    ((2, 4, 3), (1, 1), (3, 2), (2, 1)),
    ((4, 3), (4, 3), (1, 1), (1, 1)),
    ((2, 3, 7), (3,), (2,), (1,)),
    ((2, 8), (2,), (3,), (2,)),
    ((6,), (3,), (1,), (1,)),
    ((2, 2, 3, 4, 3), (2, 2, 1), (1, 2, 2), (1, 1, 3)),
]


# shapes of x and weight, stride, dilation, groups
_convolution_cases = [
    ((2, 3, 5, 6), (4, 3, 2, 3), (1, 1), (1, 1), 1),
    ((2, 4, 7, 6), (6, 2, 3, 2), (2, 3), (1, 2), 2),
    ((2, 3, 4, 4), (3, 1, 2, 2), (1, 2), (1, 1), 3),
    ((1, 2, 3, 3), (1, 2, 3, 3), (1, 1), (1, 1), 1),
    ((2, 3, 3, 2), (2, 3, 1, 1), (2, 1), (1, 1), 1),
    ((2, 3, 8), (4, 3, 3), (2,), (2,), 1),
    ((2, 2, 6), (4, 1, 2), (1,), (3,), 2),
    ((2, 2, 3, 4, 3), (2, 2, 2, 2, 1), (1, 2, 1), (1, 1, 1), 1),
    ((2, 4, 3, 4), (2, 2, 2, 3), (1, 1), (1, 1), 2),
    ((2, 3, 7), (3, 1, 3), (2,), (1,), 3),
    ((3, 1, 900), (1, 1, 450), (1,), (1,), 1),  # windows of two blocks
    ((3, 1, 900), (2, 1, 450), (1,), (1,), 1),
]
_convolution_settings = [
    (x, weight, convolved(np.zeros(x), np.zeros(weight), stride=stride, dilation=dilation, groups=groups).shape, (stride, dilation, groups))
    for x, weight, stride, dilation, groups in _convolution_cases
]

_reduction_cases = [
    ((2, 3), {}),
    ((2, 3), {"axis": None, "keepdims": True}),
    ((2, 3), {"axis": 0}),
    ((2, 3), {"axis": 1, "keepdims": True}),
    ((2, 3), {"axis": -1}),
    ((2, 3), {"axis": -2, "keepdims": False}),
    ((2, 3, 4), {"axis": 1}),
    ((2, 3, 4), {"axis": (0, 2)}),
    ((2, 3, 4), {"axis": (-1, 0)}),
    ((2, 3, 4), {"axis": (0, -1), "keepdims": True}),
    ((2, 1, 3), {"axis": 1}),
    ((1, 1), {}),
    ((4,), {"axis": 0}),
    ((), {}),
    ((2, 3), {"axis": ()}),
    ((3, 2), {"axis": np.int64(1)}),
    ((70, 60), {"axis": 1}),
    ((70, 60), {"axis": (0, 1), "keepdims": True}),
    ((70, 60), {}),
]


def reduction(reduce: Callable[..., Any], values: Callable[..., np.ndarray] = normal) -> Entry:
    return Entry(reduce, [case(values(*shape), **options) for shape, options in _reduction_cases])


def well_conditioned(*shape: int) -> np.ndarray:
    """Square matrices whose diagonal dominates."""
    return np.asarray(between(-1, 1, *shape) + 2 * shape[-1] * np.eye(shape[-1]))


def linspaced(*shape: int) -> np.ndarray:
    return np.linspace(-2, 2, math.prod(shape)).reshape(shape)


TABLE: dict[str, Entry] = {
    # arithmetic
    "add": binary(lambda x, y: x + y),
    "subtract": binary(lambda x, y: x - y),
    "multiply": binary(lambda x, y: x * y),
    "divide": binary(lambda x, y: x / y, right=nonzero),
    "power": Entry(
        elementwise(math.pow),
        [
            *binary(math.pow, left=positive, right=normal, numbers=(3, 0.5, 1)).cases,
            *[case(nonzero(2, 3), number) for number in (0, 1, 2, 3, -1, -2, 2.0, 0.0)],
            case(nonzero(3), 2),
            case(positive(2, 2), [[0.0, 1.0], [2.0, -1.0]]),
        ],
    ),
    "negative": unary(lambda x: -x),
    "maximum": Entry(
        elementwise(lambda x, y: x if x > y else y),
        [
            case(distinct(2, 3), between_ties(2, 3)),
            case(distinct(2, 3), between_ties(3)),
            case(distinct(2, 1), between_ties(1, 3)),
            case(distinct(), between_ties(4)),
            case(distinct(5), 0.1),
            case(0.1, distinct(5)),
        ],
    ),
    "minimum": Entry(
        elementwise(lambda x, y: x if x < y else y),
        [
            case(distinct(2, 3), between_ties(2, 3)),
            case(distinct(2, 3), between_ties(3)),
            case(distinct(2, 1), between_ties(1, 3)),
            case(distinct(), between_ties(4)),
            case(distinct(5), 0.1),
            case(0.1, distinct(5)),
        ],
    ),
    "where": Entry(
        elementwise(lambda c, x, y: x if c else y),
        [
            case([[True, False, True], [False, False, True]], normal(2, 3), normal(2, 3)),
            case([True, False, True], normal(2, 1), normal(2, 3)),
            case([[True], [False]], normal(3), normal()),
            case(np.array(True), normal(2), normal(2)),
            case([1, 0], normal(2), normal(2)),
            case([True, False], normal(2), 0.0),
            case([True, False], 1, normal(2)),
        ],
        constants=(0,),
    ),
    "clip": Entry(
        elementwise(lambda x, low, high: max(-math.inf if low is None else low, min(math.inf if high is None else high, x))),
        [
            case(linspaced(2, 4), low=-1.0, high=1.0),
            case(linspaced(8), low=None, high=0.5),
            case(linspaced(8), low=-0.5, high=None),
            case(normal(3), low=None, high=None),
            case(normal(), low=-10, high=10),
        ],
    ),
    "absolute": unary(math.fabs, nonzero),
    "exp": unary(math.exp),
    "log": unary(math.log, positive),
    "log1p": unary(math.log1p, positive),
    "expm1": unary(math.expm1),
    "sqrt": unary(math.sqrt, positive),
    "square": unary(lambda x: x * x),
    "sin": unary(math.sin),
    "cos": unary(math.cos),
    # activations
    "relu": unary(lambda x: x if x > 0 else 0.0, nonzero),
    "leaky_relu": Entry(
        elementwise(lambda x, slope: x if x > 0 else slope * x),
        [case(nonzero(2, 3), slope=0.01), case(nonzero(4), slope=0.3), case(-positive(), slope=2), case(nonzero(3), slope=-0.5)],
    ),
    "elu": Entry(
        elementwise(lambda x, alpha: x if x > 0 else alpha * (math.exp(x) - 1)),
        [case(nonzero(2, 3), alpha=1.0), case(nonzero(6), alpha=0.4), case(-positive(), alpha=1.5)],
    ),
    "tanh": unary(math.tanh),
    "sigmoid": unary(logistic),
    "softplus": unary(lambda x: math.log(1 + math.exp(x)), nonzero),
    "silu": unary(lambda x: x * logistic(x)),
    "phi": Entry(elementwise(normal_distribution), [*unary(normal_distribution).cases, case(linspaced(130, 130))]),  # more than one block
    "gelu": unary(lambda x: x * normal_distribution(x)),
    "gelu_tanh": unary(lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2),
    # reductions
    "sum": Entry(
        np.sum,
        [
            *reduction(np.sum).cases,
            case(normal(0, 3)),
            case(normal(0, 3), axis=1),
            case(normal(2, 0), axis=1),
            case(np.array(1.5), axis=-1),  # which NumPy and PyTorch take for an axis of a number
        ],
    ),
    "mean": reduction(np.mean),
    "max": reduction(np.max, distinct),
    "min": reduction(np.min, distinct),
    # aggregation
    "prod": Entry(
        lambda x, axis: np.squeeze(over_rows(math.prod, axis, x), axis),
        [
            case(normal(2, 3), axis=0),
            case(normal(2, 3), axis=1),
            case(normal(3, 4), axis=-1),
            case(normal(2, 5, 2), axis=-2),
            case(normal(7), axis=0),
            case(normal(1), axis=0),
            case(normal(2, 0), axis=1),
            case([2.0, 0.0, 3.0, -1.0, 0.5], axis=0),
            case([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.0]], axis=1),
            case([[1.0, 0.0, 0.0, 2.0], [3.0, 0.0, 1.0, 0.0], [-1.0, 2.0, 0.0, 0.0]], axis=0),
        ],
    ),
    "cumsum": Entry(
        lambda x, axis: over_rows(lambda row: [sum(row[: i + 1]) for i in range(len(row))], axis, x),
        [
            case(normal(2, 3), axis=0),
            case(normal(2, 3), axis=1),
            case(normal(2, 3, 4), axis=-2),
            case(normal(5), axis=-1),
            case(normal(1), axis=0),
            case(normal(2, 0), axis=1),
        ],
    ),
    "logsumexp": Entry(
        lambda x, axis=None, keepdims=False: np.log(np.sum(np.exp(x), axis, keepdims=keepdims)),
        [*reduction(np.sum).cases, case([[1, 2], [3, 0]], axis=1)],
    ),
    "norm": Entry(
        lambda x, p, axis=None, keepdims=False: np.sum(np.abs(x) ** p, axis, keepdims=keepdims) ** (1 / p),
        [
            *[case(*c.inputs, p=2, **c.options) for c in reduction(np.sum, nonzero).cases],
            *[case(nonzero(2, 3), p=p, axis=axis, keepdims=p > 1) for p in (1, 1.5, 2.0, 3, 0.5, -1) for axis in (0, -1, None)],
            case([[0.0, 2.0], [3.0, 0.0]], p=2, axis=1),
            case(normal(0, 3), p=2, axis=0),
        ],
    ),
    # linear systems
    "solve": Entry(
        lambda a, b: np.linalg.inv(a) @ b,
        [
            case(well_conditioned(2, 2), normal(2, 3)),
            case(well_conditioned(3, 3), normal(3, 1)),
            case(well_conditioned(1, 1), normal(1, 2)),
            case(well_conditioned(4, 2, 2), normal(4, 2, 1)),
            case(well_conditioned(2, 2), normal(4, 2, 3)),
            case(well_conditioned(4, 2, 2), normal(2, 3)),
            case(well_conditioned(2, 1, 3, 3), normal(4, 3, 2)),
            case(well_conditioned(0, 2, 2), normal(2, 3)),
        ],
    ),
    # elementary functions
    "log2": unary(math.log2, positive),
    "log10": unary(math.log10, positive),
    "tan": unary(math.tan, lambda *shape: between(-1.2, 1.2, *shape)),
    "arctan": unary(math.atan),
    # products
    "matmul": Entry(
        matmul_by_sums,
        [
            case(normal(2, 3), normal(3, 4)),
            case(normal(3), normal(3)),
            case(normal(2, 3), normal(3)),
            case(normal(3), normal(3, 4)),
            case(normal(5, 2, 3), normal(5, 3, 4)),
            case(normal(5, 2, 3), normal(3, 4)),
            case(normal(2, 3), normal(5, 3, 4)),
            case(normal(5, 2, 3), normal(3)),
            case(normal(3), normal(5, 3, 4)),
            case(normal(2, 1, 2, 3), normal(1, 4, 3, 2)),
            case(normal(2, 4, 2, 3), normal(3, 2)),
            case(normal(4, 2, 3), normal(2, 1, 3, 2)),
            case(normal(2, 4, 2, 3), normal(3)),
            case(normal(3), normal(2, 4, 3, 2)),
            case(normal(1, 1), normal(1, 1)),
            case(normal(3, 3), normal(3, 3)),
            case(normal(0, 3), normal(3, 2)),
        ],
    ),
    "affine": Entry(
        lambda x, weight, bias: matmul_by_sums(x, weight) + bias,
        [
            case(normal(2, 3), normal(3, 4), normal(4)),
            case(normal(3), normal(3, 4), normal(4)),
            case(normal(5, 2, 3), normal(3, 2), normal(2)),
            case(normal(1, 1), normal(1, 1), normal(1)),
        ],
    ),
    "einsum": Entry(lambda *operands, subscripts: np.einsum(subscripts, *operands), einsum_cases()),
    # shapes
    "cast": Entry(lambda x, dtype: x, [case(normal(2, 3), dtype=np.float64), case(normal(), dtype=np.float64)]),
    "reshape": Entry(
        lambda x, shape: np.array(x.ravel().tolist()).reshape(shape),
        [case(normal(2, 3), shape=(3, 2)), case(normal(2, 3), shape=(-1,)), case(normal(1), shape=()), case(normal(), shape=(1, 1))],
    ),
    "transpose": Entry(
        lambda x, axes=None: np.einsum(x, range(x.ndim), [i % x.ndim for i in (range(x.ndim)[::-1] if axes is None else axes)]),
        [
            case(normal(2, 3)),
            case(normal(2, 3, 4)),
            case(normal(2, 3, 4), axes=None),
            case(normal(2, 3, 4), axes=(1, 2, 0)),
            case(normal(2, 3, 4), axes=(2, 0, 1)),
            case(normal(2, 3, 4), axes=(-1, 0, -2)),
            case(normal(2, 3, 4, 5), axes=(0, 2, 3, 1)),
            case(normal(3)),
            case(normal()),
        ],
    ),
    "broadcast_to": Entry(
        lambda x, shape: x + np.zeros(shape),
        [
            case(normal(3), shape=(2, 3)),
            case(normal(2, 1), shape=(2, 3)),
            case(normal(), shape=(2, 2)),
            case(normal(1, 3, 1), shape=(4, 2, 3, 5)),
            case(normal(2, 3), shape=(2, 3)),
        ],
    ),
    "concatenate": Entry(
        joined,
        [
            case(normal(2, 3), normal(4, 3)),
            case(normal(2, 3), normal(2, 1), normal(2, 2), axis=1),
            case(normal(2, 3), normal(2, 1), axis=-1),
            case(normal(2, 3, 2), normal(2, 1, 2), axis=-2),
            case(normal(2), normal(3), normal(1), axis=0),
            case(normal(2, 3)),
            case(normal(0, 3), normal(2, 3)),
        ],
    ),
    "stack": Entry(
        lambda *arrays, axis=0: np.moveaxis(np.array([x.tolist() for x in arrays]), 0, axis),
        [
            case(normal(2, 3), normal(2, 3)),
            case(normal(2, 3), normal(2, 3), normal(2, 3), axis=1),
            case(normal(2, 3), normal(2, 3), axis=2),
            case(normal(2, 3), normal(2, 3), axis=-1),
            case(normal(2, 3), normal(2, 3), axis=-2),
            case(normal(), normal(), normal()),
        ],
    ),
    "unstack": Entry(
        lambda x, axis=0: tuple(np.take(x, i, axis) for i in range(x.shape[axis])),
        [
            case(normal(3, 2)),
            case(normal(2, 3, 4), axis=1),
            case(normal(2, 3), axis=-1),
            case(normal(2, 3, 2), axis=-2),
            case(normal(3)),
            case(normal(1, 2)),
        ],
    ),
    "getitem": Entry(lambda x, index: np.array(x)[index], [case(normal(*shape), index=index) for shape, index in _index_cases]),
    "scatter": Entry(
        scattered,
        [case(normal(*np.empty(shape)[index].shape), index=index, shape=shape) for shape, index in _index_cases],
    ),
    "take_rows": Entry(
        lambda x, indices: np.array([x[i] for i in indices.ravel()]).reshape(indices.shape + x.shape[1:]),
        [
            case(normal(5, 2), [0, 4, 0, 0]),
            case(normal(5, 2), [[1, 2, 1], [3, 1, 0]]),
            case(normal(5), [0, 4, 0]),
            case(normal(5, 2, 3), [1, 1]),
            case(normal(5, 2), np.array(3)),
            case(normal(300, 2), [0, 299, 299, 256, 255, 256]),
            case(normal(5, 2), np.zeros((2, 0), int)),
        ],
        constants=(1,),
    ),
    "gather_rows": Entry(
        lambda values, indices, count: np.array(
            [sum((values[n] for n in np.flatnonzero(indices == i)), np.zeros(values.shape[1:])) for i in range(count)]
        ),
        [
            case(normal(4, 2), [0, 4, 0, 0], count=5),
            case(normal(3), [1, 1, 0], count=3),
            case(normal(2, 2, 3), [1, 1], count=2),
            case(normal(6, 2), [0, 299, 299, 256, 255, 256], count=300),
            case(normal(0, 2), np.zeros(0, int), count=3),
            case(normal(0, 2), np.zeros(0, int), count=300),
            case(normal(3), [0, 299, 0], count=300),
        ],
        constants=(1,),
    ),
    # selection
    "take_along": Entry(
        lambda x, indices, axis: over_rows(lambda row, places: row[places], axis, x, indices),
        [case(normal(*shape), indices, axis=axis) for shape, indices, axis in _along_cases],
        constants=(1,),
    ),
    "scatter_along": Entry(
        lambda values, indices, axis, size: over_rows(
            lambda row, places: ((places[:, None] % size == np.arange(size)) * row[:, None]).sum(0), axis, values, indices
        ),
        [
            case(np.take_along_axis(normal(*shape), np.asarray(indices), axis), indices, axis=axis, size=shape[axis])
            for shape, indices, axis in _along_cases
        ]
        + [case(normal(1, 3), [[0, 1, 1], [2, 0, 3]], axis=1, size=4), case(normal(2, 1), [[0, 1, 1], [2, 0, 3]], axis=-1, size=4)],
        constants=(1,),
    ),
    "pad": Entry(
        lambda x, widths, value=0.0: np.pad(x, widths, "constant", constant_values=value),
        [
            case(normal(2, 3), widths=((1, 2), (0, 3))),
            case(normal(2, 3), widths=((0, 0), (2, 0)), value=3.0),
            case(normal(3), widths=((0, 1),), value=-2),
            case(normal(2, 1, 3), widths=((0, 0), (1, 1), (2, 1))),
            case(normal(2, 0), widths=((1, 0), (1, 1))),
            case(normal(2, 3), widths=((0, 0), (0, 0))),
        ],
    ),
    # windows
    "windows": Entry(
        windows_by_places,
        [case(normal(*shape), size=size, stride=stride, dilation=dilation) for shape, size, stride, dilation in _window_cases],
    ),
    "scatter_windows": Entry(
        windows_added,
        [
            case(
                normal(*windows_by_places(np.zeros(shape), size=size, stride=stride, dilation=dilation).shape),
                spatial=shape[-len(size) :],
                stride=stride,
                dilation=dilation,
            )
            for shape, size, stride, dilation in _window_cases
        ],
    ),
    "window_max": Entry(
        lambda x, ndim: np.max(x, tuple(range(x.ndim - ndim, x.ndim))),
        [
            case(distinct(2, 3, 4), ndim=1),
            case(distinct(2, 3, 2, 4), ndim=2),
            case(distinct(2, 3, 4, 2), ndim=1),
            case(distinct(2, 3, 2, 3, 2, 2), ndim=2),
            case(distinct(3, 2, 2, 2), ndim=3),
            case(distinct(3, 4), ndim=2),
            case(distinct(5), ndim=1),
            case(distinct(2, 1), ndim=1),
        ],
    ),
    # convolution
    "convolution": Entry(
        convolved,
        [
            case(small(*x), small(*weight), stride=stride, dilation=dilation, groups=groups)
            for x, weight, _, (stride, dilation, groups) in _convolution_settings
        ],
    ),
    "convolution_input": Entry(
        convolution_inputs,
        [
            case(small(*g), small(*weight), spatial=x[2:], stride=stride, dilation=dilation, groups=groups)
            for x, weight, g, (stride, dilation, groups) in _convolution_settings
        ],
    ),
    "convolution_weight": Entry(
        convolution_weights,
        [
            case(small(*x), small(*g), size=weight[2:], stride=stride, dilation=dilation, groups=groups)
            for x, weight, g, (stride, dilation, groups) in _convolution_settings
        ],
    ),
    # normalisation
    "softmax": Entry(
        softmax_by_division,
        [case(normal(2, 3)), case(normal(2, 3), axis=0), case(normal(2, 3, 4), axis=1), case(normal(3)), case(normal(2, 3), axis=-2)],
    ),
    "log_softmax": Entry(
        lambda x, axis=-1: np.log(softmax_by_division(x, axis)),
        [case(normal(2, 3)), case(normal(2, 3), axis=0), case(normal(2, 3, 4), axis=1), case(normal(3)), case(normal(2, 3), axis=-2)],
    ),
    "standardize": Entry(
        standardized,
        [
            case(normal(4, 3), axis=0, eps=1e-5),
            case(normal(4, 3), axis=-1, eps=0.3),
            case(normal(3, 2, 2, 2), axis=(0, 2, 3), eps=0.1),
            case(normal(2, 3, 4), axis=(-2, -1), eps=0.1),
            case(normal(5), axis=(0,), eps=1.0),
        ],
    ),
    # recurrent
    "lstm_cell": Entry(
        lstm_by_units,
        [
            case(normal(2, 12), normal(2, 3)),
            case(normal(4), normal(1)),
            case(normal(2, 3, 8), normal(2, 3, 2)),
        ],
    ),
    "gru_cell": Entry(
        gru_by_units,
        [
            case(normal(2, 9), normal(2, 9), normal(2, 3)),
            case(normal(3), normal(3), normal(1)),
            case(normal(2, 3, 6), normal(2, 3, 6), normal(2, 3, 2)),
        ],
    ),
    # likelihoods
    "cross_entropy": Entry(
        cross_entropy_by_rows,
        [
            case(normal(4, 3), [0, 2, 2, 1], positive(4)),
            case(normal(1, 5), [4], [True]),
            case(normal(3, 1), [0, 0, 0], [True, True, False]),
            case(normal(3, 3) * 5, [1, -1, 0], positive(3)),
        ],
        constants=(1, 2),
    ),
    "binary_cross_entropy": Entry(
        elementwise(lambda p, t: -t * math.log(p) - (1 - t) * math.log(1 - p)),
        [
            case(between(0.1, 0.9, 2, 3), between(0.1, 0.9, 2, 3)),
            case(between(0.1, 0.9, 4), [0.0, 1.0, 1.0, 0.0]),
            case(between(0.1, 0.9, 2, 1), between(0, 1, 3)),
            case(between(0.1, 0.9), between(0, 1)),
        ],
    ),
    "binary_cross_entropy_with_logits": Entry(
        elementwise(lambda x, t, w: -w * t * math.log(logistic(x)) - (1 - t) * math.log(logistic(-x))),
        [
            case(nonzero(2, 3), between(0, 1, 2, 3), 1.0),
            case(nonzero(2, 3) * 3, [[0.0, 1.0, 1.0], [0.0, 1.0, 0.0]], positive(3)),
            case(nonzero(2, 1), between(0, 1, 3), positive(2, 3)),
            case(nonzero(), between(0, 1), positive()),
        ],
    ),
}

_smallest = 5e-324  # the next double to 0
_below_one = 1 - 2.0**-53

KINKS: dict[str, list[Kink]] = {
    "relu": [at([0.0, -0.0, 1e-300, -1e-300], gradients=([0, 0, 1, 0],))],
    "leaky_relu": [at([0.0, -0.0], slope=0.25, gradients=([0.25, 0.25],))],
    "elu": [at([0.0, -0.0], alpha=0.5, gradients=([0.5, 0.5],)), at([1000.0, -1000.0], alpha=2.0, gradients=([1, 0],), value=[1000, -2])],
    "absolute": [at([0.0, -0.0, 1e-300, -1e-300], gradients=([0, 0, 1, -1],))],
    "maximum": [at([1.0, 2.0, 0.0], [1.0, 1.0, 1.0], gradients=([0.5, 1, 0], [0.5, 0, 1]))],
    "minimum": [at([1.0, 2.0, 0.0], [1.0, 1.0, 1.0], gradients=([0.5, 0, 1], [0.5, 1, 0]))],
    "clip": [
        at([-1.0, 1.0, -1.0001, 1.0001], low=-1.0, high=1.0, gradients=([1, 1, 0, 0],)),
        at([-1.0, 1.0, 1e300], low=-1.0, high=None, gradients=([1, 1, 1],)),
        at([-1.0, 1.0, -1e300], low=None, high=1.0, gradients=([1, 1, 1],)),
        at([-np.inf, np.inf, 0.0], low=None, high=None, gradients=([1, 1, 1],)),
    ],
    "max": [
        at([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0]], axis=1, gradients=([[0.5, 0.5, 0], [0, 0.5, 0.5]],)),
        at([2.0, 2.0, 2.0, 2.0], gradients=([0.25] * 4,)),
    ],
    "min": [
        at([[1.0, 1.0, 0.0], [2.0, 2.0, 3.0]], axis=1, gradients=([[0, 0, 1], [0.5, 0.5, 0]],)),
        at([2.0, 2.0, 2.0, 2.0], gradients=([0.25] * 4,)),
    ],
    "window_max": [
        at([[1.0, 1.0, 0.0], [2.0, 3.0, 3.0], [5.0, 4.0, 5.0]], ndim=1, gradients=([[1, 0, 0], [0, 1, 0], [1, 0, 0]],)),
        at([[[0.0, 2.0], [2.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]], ndim=2, gradients=([[[0, 1], [0, 0]], [[1, 0], [0, 0]]],), value=[2, 1]),
        at([[-np.inf, -np.inf], [-np.inf, 0.0]], ndim=1, gradients=([[1, 0], [0, 1]],), value=[-np.inf, 0]),
        at([[1.0, np.nan, 3.0], [np.nan, 1.0, 1.0]], ndim=1, gradients=([[0, 1, 0], [1, 0, 0]],)),
    ],
    "divide": [at([1e-200, 1e200], [2e-200, 2e200], gradients=([0.5e200, 0.5e-200], [-0.25e200, -0.25e-200]), value=[0.5, 0.5])],
    "power": [
        at([0.0, 0.0, 0.0], [0.0, 1.0, 2.0], gradients=([0, 1, 0], [0, 0, 0])),
        at([0.0, -2.0], 2, gradients=([0, -4], None)),
        at([0.0, -2.0], 0, gradients=([0, 0], None)),
        at([0.0, 3.0], 1, gradients=([1, 1], None)),
        at(0, [2.0, 0.5], gradients=(None, [0, 0])),
        at([0.0], [-1.0], gradients=([-math.inf], [-math.inf]), value=[math.inf], singular=True),
    ],
    "logsumexp": [
        at([1000.0, 1000.0], gradients=([0.5, 0.5],), value=1000 + math.log(2)),
        at([[-1000.0, 0.0], [-np.inf, -1000.0]], axis=1, gradients=([[0, 1], [0, 1]],), value=[0, -1000]),
        at([[-np.inf, -np.inf], [-np.inf, 2.0]], axis=1, gradients=([[0, 0], [0, 1]],), value=[-np.inf, 2]),
        at(np.empty((0, 2)), axis=0, gradients=(np.empty((0, 2)),), value=[-np.inf, -np.inf]),
        at([np.inf, 0.0], gradients=(None,), value=np.inf),
    ],
    "norm": [
        at([[0.0, 0.0], [0.0, 2.0], [3.0, -4.0]], p=2, axis=1, gradients=([[0, 0], [0, 1], [0.6, -0.8]],), value=[0, 2, 5]),
        at([[0.0, 0.0], [0.0, 2.0], [3.0, -4.0]], p=1, axis=1, gradients=([[0, 0], [0, 1], [1, -1]],), value=[0, 2, 7]),
        at([[0.0, 0.0], [0.0, -2.0]], p=3, axis=1, gradients=([[0, 0], [0, -1]],), value=[0, 2]),
        at([[0.0, 0.0], [0.0, -2.0]], p=0.5, axis=1, gradients=([[0, 0], [0, -1]],), value=[0, 2]),
        at([[0.0, 0.0], [0.0, 0.0]], p=2, gradients=([[0, 0], [0, 0]],), value=0),
        at([[np.inf, np.inf], [np.inf, 2.0]], p=-1, axis=1, gradients=([[0, 0], [0, 1]],), value=[np.inf, 2]),
    ],
    "arctan": [at([-np.inf, 0.0, np.inf], gradients=([0, 1, 0],), value=[-math.pi / 2, 0, math.pi / 2])],
    "softplus": [at([0.0, 1000.0, -1000.0], gradients=([0.5, 1, 0],), value=[math.log(2), 1000, 0])],
    "sigmoid": [at([0.0, 1000.0, -1000.0], gradients=([0.25, 0, 0],), value=[0.5, 1, 0])],
    "silu": [at([0.0, 1000.0, -1000.0], gradients=([0.5, 1, 0],), value=[0, 1000, 0])],
    "tanh": [at([0.0, 1000.0, -1000.0], gradients=([1, 0, 0],))],
    "gelu": [at([0.0, 40.0, -40.0], gradients=([0.5, 1, 0],), value=[0, 40, 0])],
    "gelu_tanh": [at([0.0, 40.0, -40.0], gradients=([0.5, 1, 0],), value=[0, 40, 0])],
    "phi": [at([0.0, 40.0, -40.0], gradients=([1 / math.sqrt(2 * math.pi), 0, 0],))],
    "lstm_cell": [
        at([1000.0, -1000.0, 1000.0, 1000.0], [0.5], gradients=([0, 0, 0, 0], [0]), value=([math.tanh(1)], [1])),
        at([-1000.0, 1000.0, 0.0, 1000.0], [0.5], gradients=([0, 0, 0, 0], [2 - math.tanh(0.5) ** 2]), value=([math.tanh(0.5)], [0.5])),
    ],
    "gru_cell": [
        at([1000.0, 1000.0, 0.0], [0.0, 0.0, 0.0], [0.5], gradients=([0, 0, 0], [0, 0, 0], [1]), value=[0.5]),
        at([-1000.0, -1000.0, 0.0], [0.0, 0.0, 9.0], [0.5], gradients=([0, 0, 1], [0, 0, 0], [0]), value=[0]),
    ],
    "softmax": [at([1000.0, 1000.0], gradients=([0, 0],), value=[0.5, 0.5]), at([-1000.0, 1000.0], gradients=([0, 0],), value=[0, 1])],
    "log_softmax": [
        at([1000.0, 1000.0], gradients=([0, 0],), value=[-math.log(2)] * 2),
        at([-1000.0, 1000.0], gradients=([1, -1],), value=[-2000, 0]),
    ],
    "cross_entropy": [
        at([[1e3, -1e3], [1e3, -1e3]], [0, 1], [1.0, 1.0], gradients=([[0, 0], [1, -1]], None, None), value=[0, 2000]),
        at([[0.0, -np.inf], [0.0, -np.inf]], [-1, 0], [1.0, 1.0], gradients=([[0, 0], [0, 0]], None, None), value=[0, 0]),
    ],
    "binary_cross_entropy_with_logits": [
        at(
            [0.0, -0.0],
            [0.25, 1.0],
            2.0,
            gradients=([0.125, -1], [math.log(2), math.log(2)], None),
            value=[1.25 * math.log(2), 2 * math.log(2)],
        ),
        at(
            [1e4, -1e4, 1e4, -1e4],
            [1.0, 1.0, 0.0, 0.0],
            1.0,
            gradients=([0, -1, 1, 0], [-1e4, 1e4, -1e4, 1e4], None),
            value=[0, 1e4, 1e4, 0],
        ),
        at(
            [30.0, -30.0],
            [1.0, 0.0],
            1.0,
            gradients=([-logistic(-30.0), logistic(-30.0)], None, None),
            value=[math.log1p(math.exp(-30))] * 2,
        ),
    ],
    "binary_cross_entropy": [
        at([0.0, 1.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0], gradients=([0, 0, -1e12, 1e12], [100, -100, 100, -100]), value=[0, 0, 100, 100]),
        at([_smallest], [1.0], gradients=([-1e12], [100]), value=[100]),
        at([_below_one], [1.0], gradients=([-(2.0**-53) * 1e12], [math.log(2.0**-53)])),
    ],
}

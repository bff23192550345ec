"""What random programs are made of: for each operation, how to choose its inputs and options, and what it is in both libraries.

`choose(random, pool)` returns (positions of the inputs, options), or None where the pool has no fitting value. `ours` and
`theirs` take the inputs and the options. Arguments are kept where an operation has a finite derivative, by a composition such as
log(x^2 + 1/2), and away from kinks by less than GAP, but for exact zeros and ties: those are conventions, and compared too.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

import micrograd_plus as mg
from micrograd_plus import functional, rules
from micrograd_plus.tensor import apply

F = torch.nn.functional
GAP = 1e-6
LARGEST = 600  # elements of a value


class Operation(NamedTuple):
    choose: Callable[[np.random.Generator, list[np.ndarray]], tuple[tuple[int, ...], dict[str, Any]] | None]
    ours: Callable[..., Any]
    theirs: Callable[..., Any]


OPERATIONS: dict[str, Operation] = {}


def operation(name: str, choose: Any, ours: Any, theirs: Any) -> None:
    assert name not in OPERATIONS
    OPERATIONS[name] = Operation(choose, ours, theirs)


# -- choosing ------------------------------------------------------------------------------------------------------------


def one_of(random, several):
    several = list(several)
    return several[random.integers(len(several))] if several else None


def any_one(condition=lambda x: True, options=lambda random, x: {}):
    """One value for which a condition holds, and options that depend on it (None where there are none)."""

    def choose(random, pool):
        i = one_of(random, [i for i, x in enumerate(pool) if condition(x)])
        if i is None:
            return None
        chosen = options(random, pool[i])
        return None if chosen is None else ((int(i),), chosen)

    return choose


def broadcastable(condition=lambda x, y: True):
    def choose(random, pool):
        def fits(x, y):
            try:
                return math.prod(np.broadcast_shapes(x.shape, y.shape)) <= LARGEST and condition(x, y)
            except ValueError:
                return False

        i = int(random.integers(len(pool)))
        j = one_of(random, [j for j, y in enumerate(pool) if fits(pool[i], y)])
        return None if j is None else ((i, int(j)), {})

    return choose


def clear_of(*kinks):
    """No element near a kink, but for those exactly on it."""
    return lambda x: all(bool(np.all((np.abs(x - kink) > GAP) | (x == kink))) for kink in kinks)


def apart(x, axis=None):
    """No two elements along an axis nearly, but not exactly, equal."""
    steps = np.diff(np.sort(x, axis=axis), axis=-1 if axis is None else axis)
    return bool(np.all((steps > GAP) | (steps == 0)))


def never_close(x, y):
    difference = np.abs(x - y)
    return bool(np.all((difference > GAP) | (difference == 0)))


def an_axis(random, x):
    return {"axis": int(random.integers(-x.ndim, x.ndim))} if x.ndim else None


def some_axes(random, x):
    """None, an axis or several, keepdims or not."""
    kind = random.integers(3)
    if kind == 0 or not x.ndim:
        axis = None
    elif kind == 1:
        axis = int(random.integers(-x.ndim, x.ndim))
    else:
        axis = tuple(int(i) for i in random.permutation(x.ndim)[: random.integers(1, x.ndim + 1)])
    return {"axis": axis, "keepdims": bool(random.integers(2))}


def axes_of(x, axis):
    return tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis


def reduction(function):
    """PyTorch's reduction with NumPy's axis."""
    return lambda x, axis=None, keepdims=False: function(x, axes_of(x, axis), keepdims) if x.ndim else function(x[None], (0,), False)


def apart_along(random, x):
    options = some_axes(random, x)
    axes = axes_of(x, options["axis"])
    rows = np.moveaxis(x, axes, range(len(axes))).reshape(math.prod(x.shape[i] for i in axes), -1) if x.ndim else x.reshape(1, 1)
    return options if apart(rows, 0) else None


# -- arithmetic ----------------------------------------------------------------------------------------------------------

operation("add", broadcastable(), lambda x, y: x + y, lambda x, y: x + y)
operation("subtract", broadcastable(), lambda x, y: x - y, lambda x, y: x - y)
operation("multiply", broadcastable(), lambda x, y: x * y, lambda x, y: x * y)
operation("divide", broadcastable(), lambda x, y: x / (y * y + 0.5), lambda x, y: x / (y * y + 0.5))
operation("power", broadcastable(), lambda x, y: (x * x + 0.5) ** y.tanh(), lambda x, y: (x * x + 0.5) ** y.tanh())
operation("a number", any_one(options=lambda r, x: {"c": one_of(r, [2, -1.5, 0.25])}), lambda x, c: c * x - c, lambda x, c: c * x - c)
operation("number over", any_one(), lambda x: 2 / (x * x + 1), lambda x: 2 / (x * x + 1))
operation("number to the", any_one(), lambda x: 2 ** x.tanh(), lambda x: 2 ** x.tanh())
operation("square by **", any_one(), lambda x: x**2, lambda x: x**2)
operation("cube", any_one(), lambda x: x**3, lambda x: x**3)
operation("negative", any_one(), lambda x: -x, lambda x: -x)
operation("maximum", broadcastable(never_close), mg.maximum, torch.maximum)
operation("minimum", broadcastable(never_close), mg.minimum, torch.minimum)
operation("exp", any_one(lambda x: x.size == 0 or x.max() < 5), lambda x: x.exp(), torch.exp)
operation("log", any_one(), lambda x: (x * x + 0.5).log(), lambda x: (x * x + 0.5).log())
operation("log1p", any_one(), lambda x: np.log1p(x * x), lambda x: torch.log1p(x * x))
operation("expm1", any_one(lambda x: x.size == 0 or x.max() < 5), np.expm1, torch.expm1)
operation("sqrt", any_one(), lambda x: (x * x + 0.5).sqrt(), lambda x: (x * x + 0.5).sqrt())
operation("square", any_one(), np.square, torch.square)
operation("sin", any_one(), lambda x: x.sin(), torch.sin)
operation("cos", any_one(), lambda x: x.cos(), torch.cos)
operation("abs", any_one(clear_of(0)), lambda x: x.abs(), torch.abs)
operation("clip", any_one(clear_of(-0.5, 1)), lambda x: x.clip(-0.5, 1), lambda x: x.clip(-0.5, 1))
operation("where", broadcastable(lambda x, y: clear_of(0)(x)), lambda x, y: mg.where(x > 0, x, y), lambda x, y: torch.where(x > 0, x, y))
operation("same twice", any_one(), lambda x: x * x + x, lambda x: x * x + x)

operation("tan", any_one(), lambda x: np.tan(x.tanh()), lambda x: x.tanh().tan())
operation("arctan", any_one(), np.arctan, torch.arctan)
operation("log2", any_one(), lambda x: np.log2(x * x + 0.5), lambda x: (x * x + 0.5).log2())
operation("log10", any_one(), lambda x: np.log10(x * x + 0.5), lambda x: (x * x + 0.5).log10())

# -- activations ---------------------------------------------------------------------------------------------------------

for _name, _theirs, _kinks in [
    ("relu", torch.relu, (0,)),
    ("leaky_relu", F.leaky_relu, (0,)),
    ("elu", F.elu, (0,)),
    ("gelu", F.gelu, ()),
    ("silu", F.silu, ()),
    ("sigmoid", torch.sigmoid, ()),
    ("tanh", torch.tanh, ()),
    ("softplus", lambda x: torch.logaddexp(x, torch.zeros_like(x)), ()),
]:
    operation(_name, any_one(clear_of(*_kinks)), getattr(mg.Tensor, _name), _theirs)
operation("phi", any_one(), lambda x: apply(rules.phi, x), torch.special.ndtr)
operation(
    "gelu by tanh",
    any_one(),
    lambda x: x.gelu("tanh"),
    lambda x: F.gelu(x, approximate="tanh"),
)

# -- reductions ----------------------------------------------------------------------------------------------------------

full = any_one(lambda x: x.size, some_axes)
operation("sum", any_one(options=some_axes), mg.Tensor.sum, reduction(torch.sum))
operation("mean", full, mg.Tensor.mean, reduction(torch.mean))
operation("max", any_one(lambda x: x.size, apart_along), mg.Tensor.max, reduction(torch.amax))
operation("min", any_one(lambda x: x.size, apart_along), mg.Tensor.min, reduction(torch.amin))
operation("var", full, mg.Tensor.var, reduction(lambda x, axes, keepdims: torch.var(x, axes, correction=0, keepdim=keepdims)))
operation(
    "std of a sum of squares",
    full,
    lambda x, axis, keepdims: (x.var(axis, keepdims) + 0.5).sqrt(),
    lambda x, axis, keepdims: (reduction(lambda x, a, k: torch.var(x, a, correction=0, keepdim=k))(x, axis, keepdims) + 0.5).sqrt(),
)

# -- products ------------------------------------------------------------------------------------------------------------


def multiplicable(random, pool):
    """Two values that `@` takes."""

    def fits(x, y):
        if not (x.ndim and y.ndim and x.shape[-1] == y.shape[max(y.ndim - 2, 0)]):
            return False
        try:
            return (x @ y).size <= LARGEST
        except ValueError:
            return False

    pairs = [(i, j) for i, x in enumerate(pool) for j, y in enumerate(pool) if fits(x, y)]
    pair = one_of(random, pairs)
    return None if pair is None else (pair, {})


def contraction(random, pool):
    """An einsum of one to three values: letters at random, shared where sizes agree."""
    count = int(random.integers(1, 4))
    inputs = tuple(int(i) for i in random.integers(0, len(pool), count))
    sizes: dict[str, int] = {}
    terms = []
    for i in inputs:
        term = ""
        for size in pool[i].shape:
            known = [letter for letter in sizes if sizes[letter] == size]
            fresh = "abcdefghij"[len(sizes)] if len(sizes) < 10 else None
            letter = one_of(random, known) if known and (random.random() < 0.6 or fresh is None) else fresh
            if letter is None:
                return None
            sizes[letter] = size
            term += letter
        terms.append(term)
    kept = [letter for letter in sizes if random.random() < 0.5]
    output = "".join(random.permutation(kept)) if kept else ""
    if math.prod(sizes.values()) > 20_000 or math.prod(sizes[letter] for letter in output) > LARGEST:
        return None
    return inputs, {"subscripts": ",".join(terms) + "->" + output}


def affine_inputs(random, pool):
    xs = [i for i, x in enumerate(pool) if x.ndim >= 1]
    i = one_of(random, xs)
    if i is None:
        return None
    weights = [j for j, w in enumerate(pool) if w.ndim == 2 and w.shape[0] == pool[i].shape[-1]]
    j = one_of(random, weights)
    if j is None or pool[i].ndim < 2:
        return None
    k = one_of(random, [k for k, b in enumerate(pool) if b.shape == pool[j].shape[1:]])
    return None if k is None else ((i, j, k), {})


operation("matmul", multiplicable, lambda x, y: x @ y, torch.matmul)
operation("affine", affine_inputs, functional.linear, lambda x, w, b: x @ w + b)
operation("einsum", contraction, lambda *xs, subscripts: mg.einsum(subscripts, *xs), lambda *xs, subscripts: torch.einsum(subscripts, *xs))
operation("self product", any_one(lambda x: x.ndim == 2), lambda x: x @ x.T, lambda x: x @ x.T)


# -- shapes --------------------------------------------------------------------------------------------------------------


def another_shape(random, x):
    sizes = list(x.shape)
    if 0 in sizes:
        return None
    factors = [p for size in sizes for p in prime_factors(size)]
    random.shuffle(factors)
    shape: list[int] = [1] * int(random.integers(1 if factors else 0, 4))
    for factor in factors:
        shape[random.integers(len(shape))] *= factor
    return {"shape": tuple(int(s) for s in shape)}


def prime_factors(n):
    for p in range(2, n + 1):
        if n % p == 0:
            return [p, *prime_factors(n // p)]
    return []


def a_permutation(random, x):
    return {"axes": tuple(int(i) for i in random.permutation(x.ndim))} if x.ndim else None


def a_larger_shape(random, x):
    shape = tuple(int(random.integers(1, 4)) if size == 1 and random.random() < 0.7 else size for size in x.shape)
    shape = tuple(int(i) for i in random.integers(1, 3, random.integers(0, 2))) + shape
    return {"shape": shape} if math.prod(shape) <= LARGEST and len(shape) <= 5 else None


def a_basic_index(random, x):
    """Ints, slices with steps of either sign, new axes and an ellipsis."""
    index: list[Any] = []
    for size in x.shape:
        kind = random.integers(4)
        if kind == 0 and size:
            index.append(int(random.integers(-size, size)))
        elif kind == 1:
            index.append(slice(None))
        else:
            bounds = [None if random.random() < 0.4 else int(random.integers(-size - 1, size + 2)) for _ in range(2)]
            index.append(slice(*bounds, one_of(random, [None, 1, 2, -1, -2])))
    index = index[: random.integers(0, len(index) + 1)]
    if random.random() < 0.3:
        index.insert(int(random.integers(0, len(index) + 1)), None)
    if random.random() < 0.3:
        index.append(Ellipsis)
    taken = x[tuple(index)]
    return {"index": tuple(index)} if taken.ndim <= 5 else None


def an_advanced_index(random, x):
    """Arrays of positions, which may repeat, or a mask, beside slices."""
    if not x.ndim or 0 in x.shape:
        return None
    axis = int(random.integers(x.ndim))
    before = (slice(None),) * axis
    kind = random.integers(4)
    size = x.shape[axis]
    if kind == 0:
        return {"index": (*before, random.integers(-size, size, random.integers(1, 5)))}
    if kind == 1:
        return {"index": (*before, random.integers(-size, size, (2, int(random.integers(1, 3)))))} if x.ndim < 4 else None
    if kind == 2:
        return {"index": (*before, random.random(size) < 0.6)}
    if x.ndim < 2:
        return None
    length = int(random.integers(1, 4))
    return {"index": (random.integers(0, x.shape[0], length), random.integers(0, x.shape[1], length))}


def theirs_indexed(x, index):
    """PyTorch has no negative steps: by positions in the flattened array."""
    positions = np.arange(x.numel()).reshape(tuple(x.shape))[index]
    return x.reshape(-1)[torch.as_tensor(positions.copy())]


def joinable(random, pool):
    i = one_of(random, [i for i, x in enumerate(pool) if x.ndim])
    if i is None:
        return None
    axis = int(random.integers(pool[i].ndim))

    def rest(x):
        return x.ndim, x.shape[:axis], x.shape[axis + 1 :]

    several = [j for j, x in enumerate(pool) if x.ndim and rest(x) == rest(pool[i])]
    chosen = tuple(int(j) for j in random.choice(several, random.integers(1, 4)))
    return (
        (chosen, {"axis": axis - pool[i].ndim if random.random() < 0.5 else axis}) if sum(pool[j].size for j in chosen) <= LARGEST else None
    )


def stackable(random, pool):
    i = int(random.integers(len(pool)))
    several = [j for j, x in enumerate(pool) if x.shape == pool[i].shape and x.ndim < 5]
    if not several:
        return None
    chosen = tuple(int(j) for j in random.choice(several, random.integers(1, 4)))
    ndim = pool[i].ndim + 1
    return (chosen, {"axis": int(random.integers(-ndim, ndim))}) if sum(pool[j].size for j in chosen) <= LARGEST else None


def rows_to_take(random, x):
    if x.ndim < 1 or not x.shape[0]:
        return None
    shape = tuple(int(i) for i in random.integers(1, 4, random.integers(1, 3)))
    return {"indices": random.integers(0, x.shape[0], shape)} if x.ndim + len(shape) <= 5 else None


operation("reshape", any_one(options=another_shape), lambda x, shape: x.reshape(shape), lambda x, shape: x.reshape(shape))
operation("transpose", any_one(options=a_permutation), lambda x, axes: x.transpose(axes), lambda x, axes: x.permute(axes))
operation("T", any_one(), lambda x: x.T, lambda x: x.permute(tuple(reversed(range(x.ndim)))))
operation("broadcast_to", any_one(options=a_larger_shape), lambda x, shape: np.broadcast_to(x, shape), lambda x, shape: x.expand(shape))
operation("slice", any_one(lambda x: x.ndim, a_basic_index), lambda x, index: x[index], theirs_indexed)
operation("index", any_one(options=an_advanced_index), lambda x, index: x[index], theirs_indexed)
operation("concatenate", joinable, lambda *xs, axis: mg.concatenate(xs, axis), lambda *xs, axis: torch.cat(xs, axis))
operation("stack", stackable, lambda *xs, axis: mg.stack(xs, axis), lambda *xs, axis: torch.stack(xs, axis))
operation("take_rows", any_one(options=rows_to_take), lambda x, indices: apply(rules.take_rows, x, indices), lambda x, indices: x[indices])
operation(
    "unstack",
    any_one(lambda x: x.size and x.ndim, an_axis),
    lambda x, axis: sum(mg.unstack(x, axis)[::2]),
    lambda x, axis: sum(x.unbind(axis)[::2]),
)
operation("clone", any_one(), mg.Tensor.clone, torch.clone)
operation("swapaxes", any_one(lambda x: x.ndim > 1), lambda x: np.swapaxes(x, 0, -1), lambda x: x.swapaxes(0, -1))

# -- softmax, normalisation and losses -----------------------------------------------------------------------------------


def some_trailing_axes(random, x):
    return {"axis": tuple(range(-int(random.integers(1, x.ndim + 1)), 0)), "eps": 0.1} if x.ndim and x.size else None


def labels_of(random, x):
    return {"labels": random.integers(0, x.shape[1], x.shape[0])} if x.ndim == 2 and x.shape[0] and x.shape[1] else None


def standardized(x, axis, eps):
    return (x - x.mean(axis, keepdim=True)) / (x.var(axis, correction=0, keepdim=True) + eps).sqrt()


operation("softmax", any_one(lambda x: x.size, an_axis), mg.Tensor.softmax, lambda x, axis: F.softmax(x, axis))
operation("log_softmax", any_one(lambda x: x.size, an_axis), mg.Tensor.log_softmax, lambda x, axis: F.log_softmax(x, axis))
operation("standardize", any_one(options=some_trailing_axes), lambda x, **o: apply(rules.standardize, x, **o)[0], standardized)
operation(
    "cross_entropy",
    any_one(options=labels_of),
    lambda x, labels: mg.CrossEntropyLoss(reduction="none")(x, labels),
    lambda x, labels: F.cross_entropy(x, torch.as_tensor(labels), reduction="none"),
)
operation(
    "binary_cross_entropy",
    any_one(options=lambda random, x: {"targets": random.random(x.shape)}),
    lambda x, targets: mg.BCELoss(reduction="none")(x.sigmoid() * 0.9 + 0.05, mg.Tensor(targets)),
    lambda x, targets: F.binary_cross_entropy(x.sigmoid() * 0.9 + 0.05, torch.as_tensor(targets), reduction="none"),
)
operation(
    "binary_cross_entropy_with_logits",
    any_one(options=lambda random, x: {"targets": random.random(x.shape)}),
    lambda x, targets: mg.BCEWithLogitsLoss(reduction="none")(x, mg.Tensor(targets)),
    lambda x, targets: F.binary_cross_entropy_with_logits(x, torch.as_tensor(targets), reduction="none"),
)
operation(
    "huber",
    broadcastable(lambda x, y: x.shape == y.shape and clear_of(-1, 1)(x - y)),
    lambda x, y: mg.HuberLoss(reduction="none")(x, y),
    lambda x, y: F.huber_loss(x, y, reduction="none"),
)

# -- selection -----------------------------------------------------------------------------------------------------------


def some_widths(random, x):
    widths = tuple((int(a), int(b)) for a, b in random.integers(0, 3, (x.ndim, 2)))
    larger = math.prod(size + sum(pair) for size, pair in zip(x.shape, widths, strict=True))
    return {"widths": widths, "value": one_of(random, [0.0, 1.5])} if larger <= LARGEST else None


def theirs_padded(x, widths, value):
    return F.pad(x, [width for pair in reversed(widths) for width in pair], value=value)


def positions_along(random, x):
    """Positions along an axis, which may repeat."""
    if not x.ndim or not x.size:
        return None
    axis = int(random.integers(-x.ndim, x.ndim))
    shape = [int(random.integers(1, 5)) if i == axis % x.ndim else size for i, size in enumerate(x.shape)]
    return {"indices": random.integers(0, x.shape[axis], shape), "axis": axis}


operation("pad", any_one(lambda x: x.ndim, some_widths), lambda x, **options: apply(rules.pad, x, **options), theirs_padded)
operation(
    "take_along",
    any_one(options=positions_along),
    lambda x, indices, axis: apply(rules.take_along, x, indices, axis=axis),
    lambda x, indices, axis: torch.gather(x, axis, torch.as_tensor(indices)),
)


# -- NumPy's functions ---------------------------------------------------------------------------------------------------


def keeping(axis_options):
    def options(random, x):
        found = axis_options(random, x)
        return None if found is None else {**found, "keepdims": bool(random.integers(2))}

    return options


def theirs_prod(x, axis, keepdims):
    for i in sorted((i % x.ndim for i in axes_of(x, axis)), reverse=True):
        x = x.prod(i, keepdim=keepdims)
    return x


def apart_on_an_axis(random, x):
    options = an_axis(random, x)
    return options if options and x.size and apart(x, options["axis"]) else None


def a_top(random, x):
    options = apart_on_an_axis(random, x)
    if options is None or not apart_strictly(x, options["axis"]):
        return None
    return {**options, "k": int(random.integers(0, x.shape[options["axis"]] + 1)), "largest": bool(random.integers(2))}


def apart_strictly(x, axis):
    """PyTorch's topk leaves the order of ties open."""
    return bool(np.all(np.diff(np.sort(x, axis=axis), axis=axis) > GAP))


def a_border(random, x):
    if not x.ndim or not x.size:
        return None
    widths = random.integers(0, 4, (x.ndim, 2))
    larger = math.prod(size + int(pair.sum()) for size, pair in zip(x.shape, widths, strict=True))
    return {"pad_width": widths, "mode": one_of(random, ["edge", "reflect", "symmetric", "wrap"])} if larger <= LARGEST else None


def theirs_bordered(x, pad_width, mode):
    positions = np.pad(np.arange(x.numel()).reshape(tuple(x.shape)), pad_width, mode)
    return x.reshape(-1)[torch.as_tensor(positions)]


def some_repeats(random, x):
    if not x.ndim or x.size * 3 > LARGEST:
        return None
    axis = int(random.integers(-x.ndim, x.ndim))
    size = x.shape[axis]
    return {"repeats": int(random.integers(0, 4)) if random.random() < 0.5 else random.integers(0, 3, size), "axis": axis}


def some_copies(random, x):
    reps = tuple(int(n) for n in random.integers(1, 3, random.integers(1, 4)))
    return {"reps": reps} if x.size * math.prod(reps) <= LARGEST and max(x.ndim, len(reps)) <= 4 else None


def a_shift(random, x):
    if not x.ndim:
        return None
    if random.random() < 0.3:
        return {"shift": int(random.integers(-5, 6)), "axis": None}
    axes = tuple(int(i) for i in random.permutation(x.ndim)[: random.integers(1, x.ndim + 1)])
    return {"shift": tuple(int(i) for i in random.integers(-5, 6, len(axes))), "axis": axes}


def a_part(random, x):
    if not x.ndim:
        return None
    axis = int(random.integers(x.ndim))
    parts = int(random.integers(1, 4))
    return {"parts": parts, "axis": axis, "which": int(random.integers(parts))}


def a_diagonal(random, x):
    return {"k": int(random.integers(-2, 3))} if x.ndim >= 2 else None


def contracted(random, pool):
    """Two values and one axis of each, of equal lengths."""
    pairs = [
        (i, j, a, b)
        for i, x in enumerate(pool)
        for j, y in enumerate(pool)
        for a in range(x.ndim)
        for b in range(y.ndim)
        if x.shape[a] == y.shape[b] and x.size * y.size <= LARGEST and x.ndim + y.ndim <= 6
    ]
    pair = one_of(random, pairs)
    return None if pair is None else (pair[:2], {"axes": (pair[2], pair[3])})


def two_small(random, pool):
    i, j = (int(n) for n in random.integers(0, len(pool), 2))
    return ((i, j), {}) if pool[i].size * pool[j].size <= LARGEST else None


def a_system(random, pool):
    """A square matrix, or a stack, and right-hand sides."""
    pairs = [
        (i, j)
        for i, x in enumerate(pool)
        for j, y in enumerate(pool)
        if x.ndim >= 2 and x.shape[-1] == x.shape[-2] >= 1 and y.ndim >= 2 and y.shape[-2] == x.shape[-1] and y.shape[:-2] == x.shape[:-2]
    ]
    pair = one_of(random, pairs)
    return None if pair is None else (pair, {})


def well_conditioned(x, eye):
    """Elements of at most 0.3, and 3 more on the diagonal."""
    return 0.3 * x.tanh() + eye * 3.0


square = any_one(lambda x: x.ndim >= 2 and x.shape[-1] == x.shape[-2] >= 1)
torch_eye = lambda x: torch.eye(x.shape[-1], dtype=torch.float64)  # noqa: E731
our_eye = lambda x: np.eye(x.shape[-1])  # noqa: E731

operation("prod", any_one(lambda x: x.ndim, some_axes), np.prod, theirs_prod)
operation(
    "prod with zeros",
    any_one(lambda x: x.ndim and clear_of(0)(x), some_axes),
    lambda x, **options: np.prod(x.relu(), **options),
    lambda x, **options: theirs_prod(x.relu(), **options),
)
operation("cumsum", any_one(options=an_axis), np.cumsum, lambda x, axis: x.cumsum(axis))
operation("logsumexp", any_one(lambda x: x.size and x.ndim, some_axes), mg.logsumexp, reduction(torch.logsumexp))
operation(
    "norm",
    any_one(lambda x: x.size and x.ndim and np.abs(x).min() > GAP, keeping(an_axis)),
    lambda x, axis, keepdims: np.linalg.norm(x, axis=axis, keepdims=keepdims),
    lambda x, axis, keepdims: torch.linalg.vector_norm(x, dim=axis, keepdim=keepdims),
)
operation(
    "norm of order 3",
    any_one(lambda x: x.size and x.ndim and np.abs(x).min() > GAP, keeping(an_axis)),
    lambda x, axis, keepdims: np.linalg.norm(x, 3, axis, keepdims),
    lambda x, axis, keepdims: torch.linalg.vector_norm(x, 3, dim=axis, keepdim=keepdims),
)
operation("sort", any_one(options=apart_on_an_axis), np.sort, lambda x, axis: torch.sort(x, dim=axis, stable=True).values)
operation(
    "topk",
    any_one(options=a_top),
    lambda x, k, axis, largest: mg.topk(x, k, axis, largest)[0],
    lambda x, k, axis, largest: torch.topk(x, k, axis, largest).values,
)
operation(
    "gather",
    any_one(options=positions_along),
    lambda x, indices, axis: mg.gather(x, axis, indices),
    lambda x, indices, axis: torch.gather(x, axis, torch.as_tensor(indices)),
)
operation("border", any_one(options=a_border), np.pad, theirs_bordered)
operation(
    "repeat",
    any_one(options=some_repeats),
    np.repeat,
    lambda x, repeats, axis: torch.repeat_interleave(x, torch.as_tensor(repeats), axis),
)
operation("tile", any_one(options=some_copies), np.tile, lambda x, reps: torch.tile(x, reps))
operation("roll", any_one(options=a_shift), np.roll, lambda x, shift, axis: torch.roll(x, shift, axis))
operation("flip", any_one(lambda x: x.ndim, an_axis), np.flip, lambda x, axis: torch.flip(x, (axis,)))
operation(
    "part",
    any_one(options=a_part),
    lambda x, parts, axis, which: np.array_split(x, parts, axis)[which],
    lambda x, parts, axis, which: torch.tensor_split(x, parts, axis)[which],
)
operation("tril", any_one(options=a_diagonal), np.tril, lambda x, k: torch.tril(x, k))
operation("triu", any_one(options=a_diagonal), np.triu, lambda x, k: torch.triu(x, k))
operation("diagonal", any_one(options=a_diagonal), lambda x, k: np.diagonal(x, k), lambda x, k: torch.diagonal(x, k))
operation("trace", any_one(lambda x: x.ndim == 2), np.trace, torch.trace)
operation(
    "tensordot",
    contracted,
    lambda x, y, axes: np.tensordot(x, y, axes),
    lambda x, y, axes: torch.tensordot(x, y, ([axes[0]], [axes[1]])),
)
operation("outer", two_small, np.outer, lambda x, y: torch.outer(x.reshape(-1), y.reshape(-1)))
operation(
    "solve",
    a_system,
    lambda a, b: np.linalg.solve(well_conditioned(a, our_eye(a)), b),
    lambda a, b: torch.linalg.solve(well_conditioned(a, torch_eye(a)), b),
)
operation(
    "inv",
    square,
    lambda a: np.linalg.inv(well_conditioned(a, our_eye(a))),
    lambda a: torch.linalg.inv(well_conditioned(a, torch_eye(a))),
)
operation("moveaxis", any_one(lambda x: x.ndim > 1), lambda x: np.moveaxis(x, 0, -1), lambda x: torch.movedim(x, 0, -1))


# -- convolution, pooling and gated cells --------------------------------------------------------------------------------


def a_convolution(n):
    """A kernel cut from the value itself, which is convolved with it."""

    def options(random, x):
        size = tuple(int(k) for k in random.integers(1, 3, n))
        stride = tuple(int(s) for s in random.integers(1, 3, n))
        padding = tuple(int(p) for p in random.integers(0, 3, n))
        dilation = tuple(int(d) for d in random.integers(1, 3, n))
        fits = all(length + 2 * p > d * (k - 1) for length, k, p, d in zip(x.shape[2:], size, padding, dilation, strict=True))
        return {"size": size, "stride": stride, "padding": padding, "dilation": dilation} if fits else None

    return any_one(lambda x: x.ndim == n + 2 and x.size and min(x.shape[2:]) >= 2, options)


def kernel(x, size):
    return x[(slice(2), slice(None), *(slice(k) for k in size))]


def a_pooling(kinks):
    def options(random, x):
        size = int(random.integers(1, 4))
        padding = int(random.integers(0, size // 2 + 1))
        found = {"kernel_size": size, "stride": int(random.integers(1, 4)), "padding": padding}
        return found if x.shape[-1] + 2 * padding >= size and (not kinks or apart(x)) else None

    return any_one(lambda x: x.ndim == 3 and x.size, options)


def their_lstm_cell(gates, c):
    i, f, g, o = gates.chunk(4, 1)
    c_next = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return torch.cat([o.sigmoid() * c_next.tanh(), c_next], 1)


def three_gates(random, x):
    return {} if x.ndim == 2 and x.shape[1] in (3,) and x.shape[0] else None


def their_gru_cell(x):
    u, h = (x * 0.5).sin(), x[:, :1] * 2
    (r_x, z_x, n_x), (r_u, z_u, n_u) = x.chunk(3, 1), u.chunk(3, 1)
    r, z = (r_x + r_u).sigmoid(), (z_x + z_u).sigmoid()
    n = (n_x + r * n_u).tanh()
    return (1 - z) * n + z * h


operation(
    "conv1d",
    a_convolution(1),
    lambda x, size, **options: functional.conv1d(x, kernel(x, size), **options),
    lambda x, size, **options: F.conv1d(x, kernel(x, size), **options),
)
operation(
    "conv2d",
    a_convolution(2),
    lambda x, size, **options: functional.conv2d(x, kernel(x, size), **options),
    lambda x, size, **options: F.conv2d(x, kernel(x, size), **options),
)
operation("max_pool1d", a_pooling(True), functional.max_pool1d, F.max_pool1d)
operation("avg_pool1d", a_pooling(False), functional.avg_pool1d, F.avg_pool1d)
operation(
    "adaptive_avg_pool1d",
    any_one(lambda x: x.ndim == 3 and x.size, lambda random, x: {"output_size": int(random.integers(1, 5))}),
    functional.adaptive_avg_pool1d,
    F.adaptive_avg_pool1d,
)
operation(
    "lstm_cell",
    any_one(lambda x: x.ndim == 2 and x.shape[1] == 4 and x.size),
    lambda x: mg.concatenate(apply(rules.lstm_cell, x, x[:, :1] * 2), 1),
    lambda x: their_lstm_cell(x, x[:, :1] * 2),
)
operation("gru_cell", any_one(options=three_gates), lambda x: apply(rules.gru_cell, x, (x * 0.5).sin(), x[:, :1] * 2), their_gru_cell)
operation(
    "attention",
    any_one(lambda x: x.ndim >= 2 and x.size, lambda random, x: {"is_causal": bool(random.integers(2))}),
    lambda x, is_causal: functional.scaled_dot_product_attention(x, x.sin(), x * 2, is_causal=is_causal),
    lambda x, is_causal: their_attention(x, x.sin(), x * 2, is_causal),
)


def their_attention(query, key, value, is_causal):
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if is_causal:
        scores = scores + torch.triu(torch.full(tuple(scores.shape[-2:]), -math.inf, dtype=torch.float64), 1)
    return scores.softmax(-1) @ value

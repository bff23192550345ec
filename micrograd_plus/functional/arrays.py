"""NumPy's functions of arrays, on Tensors.

Each has NumPy's name, arguments and meaning, and is what NumPy's own does when given a Tensor: `np.prod(t)` is `prod(t)`.
PyTorch's are `topk`, `gather` and `logsumexp`, which NumPy lacks. All take arrays and numbers too, and give Tensors.
"""

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import effects, rules
from ..tensor import Axis, Tensor, _array, apply, concatenate, implements

TensorLike = Tensor | np.ndarray | Sequence[Any] | float

# -- arguments -----------------------------------------------------------------------------------------------------------


def _tensor(x: TensorLike) -> Tensor:
    return x if isinstance(x, Tensor) else Tensor(x)


def _whole(name: str, what: str, value: Any) -> int:
    """A whole number as Python's, which has no size that it could wrap at."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name}: {what} must be a whole number, got {value!r}.") from None


def _axes(name: str, shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """One axis or several, counted from the front; all where `axis` is None."""
    if axis is None:
        return tuple(range(len(shape)))
    given = [_whole(name, "axis", i) for i in (axis if np.ndim(axis) else (axis,))]
    axes = tuple([i + len(shape) if i < 0 else i for i in given])
    if axes and not 0 <= min(axes) <= max(axes) < len(shape):
        raise IndexError(
            f"{name}: axis must be one of the input's {len(shape)}, got {axis} for shape {shape}. Count from 0, or from -1 backwards."
        )
    if len(set(axes)) < len(axes):
        raise ValueError(f"{name}: each axis may occur once, got {axis} for shape {shape}. Drop the repeated one.")
    return axes


def _axis(name: str, shape: tuple[int, ...], axis: Any) -> int:
    """One axis, counted from the front."""
    return _axes(name, shape, _whole(name, "axis", axis))[0]


def _floating(x: TensorLike) -> Tensor:
    """A Tensor of floating dtype, the default one for integers and bools."""
    x = _tensor(x)
    return x if x.dtype.kind == "f" else x * 1.0


def _flat_or_along(name: str, x: TensorLike, axis: int | None) -> tuple[Tensor, int]:
    """The Tensor and its axis; flattened where `axis` is None."""
    x = _tensor(x)
    return (x.flatten(), 0) if axis is None else (x, _axis(name, x.shape, axis))


def _along(axis: int, index: Any) -> tuple[Any, ...]:
    """The index that is applied to one axis."""
    return (*(slice(None),) * axis, index)


def _positions(name: str, indices: Any, low: int, high: int) -> np.ndarray:
    """Indices as an int array, in [low, high)."""
    array = _array(indices)
    if not array.size:
        return array.astype(int)  # an empty list is one of floats
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name}: indices must be whole numbers of an int dtype, got {array.dtype}. Convert them with .astype(int).")
    effects.require(
        (array >= low) & (array < high),
        lambda: f"{name}: indices must be in [{low}, {high}), got {array[(array < low) | (array >= high)][0]}.",
    )
    return array


def _counts(name: str, counts: Any) -> tuple[int, ...]:
    """One count or several, none negative."""
    found = tuple([_whole(name, "a count", count) for count in (counts if np.ndim(counts) else (counts,))])
    if min(found, default=0) < 0:
        raise ValueError(f"{name}: counts must not be negative, got {counts}. Pass 0 or more.")
    return found


# -- reductions and running sums -----------------------------------------------------------------------------------------


@implements(np.prod)
def prod(x: TensorLike, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Product over `axis`, by default all. The gradient is the product of the other elements, also where some are 0."""
    x = _tensor(x)
    axes = _axes("prod", x.shape, axis)
    kept = [i for i in range(x.ndim) if i not in axes]
    count = math.prod([x.shape[i] for i in axes])
    out = apply(rules.prod, x.transpose([*kept, *axes]).reshape(*[x.shape[i] for i in kept], count), axis=-1)
    return out.unsqueeze(axes) if keepdims else out


@implements(np.cumsum)
def cumsum(x: TensorLike, axis: int | None = None) -> Tensor:
    """Running sum along `axis`: of each element and all before it; of the flattened x by default."""
    x, axis = _flat_or_along("cumsum", x, axis)
    return apply(rules.cumsum, x, axis=axis)


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis`, by default all, without overflow.

    Where every x is -inf, or there is none, it is -inf and its gradient 0 (PyTorch's is NaN).
    """
    x = _floating(x)
    return apply(rules.logsumexp, x, axis=_axes("logsumexp", x.shape, axis), keepdims=keepdims)


@implements(np.linalg.norm)
def norm(x: TensorLike, ord: Any = None, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The length of vectors, and Frobenius' norm of matrices.

    (sum |x|^ord)^(1/ord) along one axis, max |x| and min |x| for ord = inf and -inf. Without `ord`, sqrt(sum x^2) over all the
    axes given, by default all. The gradient is 0 where the norm is 0; extrema that tie share it evenly.

    Args:
        x: any shape.
        ord: a number but 0, "fro" over two axes, or None.
        axis: the axis or axes to reduce.
        keepdims: keep the reduced axes, of size one.

    Raises:
        ValueError: `ord` over several axes (the norms of matrices as operators), 0, or of another name; no axis.
    """
    x = _floating(x)
    axes = _axes("norm", x.shape, axis)
    if (ord is None and (axes or axis is None)) or (len(axes) == 2 and ord == "fro"):
        ord = 2
    elif len(axes) != 1 or isinstance(ord, str) or ord == 0:
        raise ValueError(
            "norm: ord must be a number but 0 along one axis, 'fro' over two, or None over any, "
            f"got {ord!r} over axes {axes} of shape {x.shape}. Pass axis= for the norms of vectors."
        )
    if ord == math.inf:
        return x.abs().max(axes, keepdims)
    if ord == -math.inf:
        return x.abs().min(axes, keepdims)
    return apply(rules.norm, x, p=ord, axis=axes, keepdims=keepdims)


# -- ordering and selecting ----------------------------------------------------------------------------------------------


@implements(np.argsort)
def argsort(x: TensorLike, axis: int | None = -1) -> np.ndarray:
    """The positions along `axis` in ascending order of their elements, ties in order of position; an int array without gradient."""
    array = _array(x)
    return np.argsort(array, None if axis is None else _axis("argsort", array.shape, axis), stable=True)


@implements(np.sort)
def sort(x: TensorLike, axis: int | None = -1) -> Tensor:
    """The elements in ascending order along `axis`; of the flattened x if it is None. NaN comes last, ties keep their order."""
    x, axis = _flat_or_along("sort", x, axis)
    return apply(rules.take_along, x, argsort(x, axis), axis=axis)


def topk(x: TensorLike, k: int, axis: int = -1, largest: bool = True, sorted: bool = True) -> tuple[Tensor, np.ndarray]:
    """The k largest elements along `axis`, or smallest, and their positions: PyTorch's topk.

    Args:
        x: (..., n, ...).
        k: in [0, n].
        axis: the axis of length n.
        largest: largest first, NaN being the largest of all; otherwise smallest first.
        sorted: False leaves the order open in PyTorch; here they are always sorted, and of ties the first comes first.

    Returns:
        The values, and their positions along `axis`, an int array.
    """
    x, axis = _flat_or_along("topk", x, axis)
    n = x.shape[axis]
    if not 0 <= _whole("topk", "k", k) <= n:
        raise ValueError(f"topk: k must be in [0, {n}], the length of axis {axis} of shape {x.shape}, got {k}.")
    order = n - 1 - np.flip(argsort(np.flip(x.data, axis), axis), axis) if largest else argsort(x, axis)
    indices = order[_along(axis, slice(k))]
    return apply(rules.take_along, x, indices, axis=axis), indices


def gather(x: TensorLike, axis: int, index: TensorLike) -> Tensor:
    """x[..., index[..., j, ...], ...] along `axis`: PyTorch's gather.

    Args:
        x: any shape.
        axis: the axis that `index` counts along.
        index: int, of as many axes as x, in [0, n) with n the length of x's axis. Along `axis` it has any length, along the others
            at most x's: x is cut there. The result has its shape.

    Raises:
        ValueError: an index out of range, or longer than x along another axis.
    """
    x = _tensor(x)
    axis = _axis("gather", x.shape, axis)
    index = _positions("gather", index, 0, x.shape[axis])
    longer = [i for i, (wanted, size) in enumerate(zip(index.shape, x.shape, strict=False)) if i != axis and wanted > size]
    if index.ndim != x.ndim or longer:
        raise ValueError(
            f"gather: index must have the input's axes, and along all but axis {axis} at most its length, "
            f"got shape {index.shape} for an input of shape {x.shape}. Use take_along_axis to broadcast."
        )
    cut = tuple([slice(None) if i == axis else slice(size) for i, size in enumerate(index.shape)])
    return apply(rules.take_along, x if x.data[cut].shape == x.shape else x[cut], index, axis=axis)


@implements(np.take_along_axis)
def take_along_axis(x: TensorLike, indices: TensorLike, axis: int | None = -1) -> Tensor:
    """The elements of x at `indices` along `axis`; of the flattened x if it is None.

    Args:
        x: (..., n, ...).
        indices: int, in [-n, n), of as many axes as x: of any length along `axis`, the others broadcasting with those of x.
        axis: the axis that `indices` count along.
    """
    x, axis = _flat_or_along("take_along_axis", x, axis)
    n = x.shape[axis]
    return apply(rules.take_along, x, _positions("take_along_axis", indices, -n, n), axis=axis)


@implements(np.take)
def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """The elements, or slices along `axis`, at `indices`, an int array of any shape in [-n, n); of the flattened x by default."""
    x, axis = _flat_or_along("take", x, axis)
    n = x.shape[axis]
    return x[_along(axis, _positions("take", indices, -n, n))]


@implements(np.diagonal)
def diagonal(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """The elements x[..., i, i + offset] of the matrices along two axes; the diagonal is the last axis of the result."""
    return _diagonal("diagonal", x, _whole("diagonal", "offset", offset), (axis1, axis2))


@implements(np.diag)
def diag(x: TensorLike, k: int = 0) -> Tensor:
    """The matrix with x (n,) on its k-th diagonal and 0 elsewhere; or the k-th diagonal of a matrix x."""
    x, k = _tensor(x), _whole("diag", "k", k)
    if x.ndim == 2:
        return _diagonal("diag", x, k, (0, 1))
    if x.ndim != 1:
        raise ValueError(f"diag: the input must have one or two axes, got shape {x.shape}. Use diagonal() for stacks of matrices.")
    n = len(x) + abs(k)
    return apply(rules.scatter, x, index=_diagonal_indices(n, n, k), shape=(n, n))


def _diagonal(name: str, x: TensorLike, offset: int, axes: tuple[int, int]) -> Tensor:
    x = _tensor(x)
    moved = moveaxis(x, _axes(name, x.shape, axes), (-2, -1))
    rows, columns = _diagonal_indices(moved.shape[-2], moved.shape[-1], offset)
    return moved[..., rows, columns]


def _diagonal_indices(rows: int, columns: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
    row = np.arange(max(-offset, 0), max(min(rows, columns - offset), 0))
    return row, row + offset


@implements(np.trace)
def trace(x: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Sum over the diagonal of the matrices along two axes."""
    return _diagonal("trace", x, _whole("trace", "offset", offset), (axis1, axis2)).sum(-1)


@implements(np.tril)
def tril(x: TensorLike, k: int = 0) -> Tensor:
    """The matrices of the last two axes, with 0 above the k-th diagonal."""
    x = _tensor(x)
    return apply(rules.where, _triangle("tril", x, _whole("tril", "k", k)), x, np.zeros((), x.dtype))


@implements(np.triu)
def triu(x: TensorLike, k: int = 0) -> Tensor:
    """The matrices of the last two axes, with 0 below the k-th diagonal."""
    x = _tensor(x)
    return apply(rules.where, _triangle("triu", x, _whole("triu", "k", k) - 1), np.zeros((), x.dtype), x)


def _triangle(name: str, x: Tensor, k: int) -> np.ndarray:
    """Which elements are not above the k-th diagonal."""
    if not x.ndim:
        raise ValueError(f"{name}: the input must have an axis, got shape (). Pass a matrix.")
    return np.tri(x.shape[-2:][0], x.shape[-1], k, dtype=bool)


# -- rearranging ---------------------------------------------------------------------------------------------------------


@implements(np.moveaxis)
def moveaxis(x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """The axes `source` moved to `destination`, the others in their order."""
    x = _tensor(x)
    here, there = _axes("moveaxis", x.shape, source), _axes("moveaxis", x.shape, destination)
    if len(here) != len(there):
        raise ValueError(f"moveaxis: source and destination must name as many axes, got {source} and {destination}.")
    order = [i for i in range(x.ndim) if i not in here]
    for to, axis in sorted(zip(there, here, strict=True)):
        order.insert(to, axis)
    return x.transpose(order)


@implements(np.flip)
def flip(x: TensorLike, axis: Axis = None) -> Tensor:
    """The elements in reverse order along `axis`, by default all."""
    x = _tensor(x)
    axes = _axes("flip", x.shape, axis)
    return x[tuple([slice(None, None, -1 if i in axes else 1) for i in range(x.ndim)])]


@implements(np.roll)
def roll(x: TensorLike, shift: int | tuple[int, ...], axis: int | tuple[int, ...] | None = None) -> Tensor:
    """The elements moved by `shift` places along `axis`, those beyond the end coming in at the start; of the flattened x by default."""
    x = _tensor(x)
    if axis is None:
        return roll(x.flatten(), shift, 0).reshape(x.shape)
    try:
        moves = np.broadcast(shift, axis)
    except ValueError:
        raise ValueError(f"roll: shift must be one number, or one for each axis, got {shift} for axis {axis}.") from None
    for by, i in moves:
        i = _axis("roll", x.shape, i)
        start = -_whole("roll", "shift", by) % max(x.shape[i], 1)
        x = concatenate([x[_along(i, slice(start, None))], x[_along(i, slice(start))]], i)
    return x


@implements(np.repeat)
def repeat(x: TensorLike, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """Each element, or slice along `axis`, repeated in place; of the flattened x by default.

    Args:
        x: any shape (PyTorch calls this repeat_interleave; its repeat is `tile`).
        repeats: how often: one number, or one for each along `axis`.
        axis: the axis to repeat along.
    """
    x, axis = _flat_or_along("repeat", x, axis)
    counts = _counts("repeat", repeats)
    n, shape = x.shape[axis], x.shape
    if len(counts) == 1:  # many times faster than by positions, above all backwards
        spread = x.unsqueeze(axis + 1)
        wide = (*shape[: axis + 1], *counts, *shape[axis + 1 :])
        return apply(rules.broadcast_to, spread, shape=wide).reshape(*shape[:axis], n * counts[0], *shape[axis + 1 :])
    if len(counts) != n:
        raise ValueError(
            f"repeat: repeats must be one number, or one for each of the {n} along axis {axis} of shape {shape}, got {len(counts)}."
        )
    return x[_along(axis, np.repeat(np.arange(n), counts))]


@implements(np.tile)
def tile(x: TensorLike, reps: int | Sequence[int]) -> Tensor:
    """Copies of x side by side, `reps` along each of its last axes; more `reps` than axes add axes in front."""
    x = _tensor(x)
    counts = _counts("tile", reps)
    ndim = max(x.ndim, len(counts))
    counts, shape = (*(1,) * (ndim - len(counts)), *counts), (*(1,) * (ndim - x.ndim), *x.shape)
    pairs = list(zip(counts, shape, strict=True))
    apart = x.reshape([n for size in shape for n in (1, size)])
    wide = apply(rules.broadcast_to, apart, shape=tuple([n for pair in pairs for n in pair]))
    return wide.reshape([count * size for count, size in pairs])


@implements(np.pad)
def pad(x: TensorLike, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """x within a border.

    Args:
        x: any shape.
        pad_width: how wide: one number, (before, after), or such a pair for each axis.
        mode: "constant", "edge", "reflect", "symmetric" or "wrap", as in NumPy.
        constant_values: the number to pad with in mode "constant".
    """
    x = _tensor(x)
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap"):
        raise ValueError(f"pad: mode must be 'constant', 'edge', 'reflect', 'symmetric' or 'wrap', got {mode!r}.")
    if np.ndim(constant_values) or (mode != "constant" and constant_values != 0):
        raise ValueError(f"pad: constant_values must be one number, for mode 'constant' only, got {constant_values} for mode {mode!r}.")
    try:
        widths = tuple([_counts("pad", pair) for pair in np.broadcast_to(pad_width, (x.ndim, 2))])
    except (ValueError, TypeError):
        raise ValueError(
            f"pad: pad_width must be a whole number, (before, after), or such a pair for each axis, none negative, "
            f"got {pad_width} for shape {x.shape}."
        ) from None
    if mode == "constant":
        return apply(rules.pad, x, widths=widths, value=constant_values) if x.ndim else x
    for axis, (size, width) in enumerate(zip(x.shape, widths, strict=True)):
        if width != (0, 0):
            if not size:
                raise ValueError(f"pad: mode {mode!r} needs elements to repeat, got none along axis {axis} (input shape {x.shape}).")
            x = x[_along(axis, np.pad(np.arange(size), width, mode))]  # type: ignore[call-overload]
    return x


# -- splitting and joining -----------------------------------------------------------------------------------------------


@implements(np.split)
def split(x: TensorLike, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """Parts of x along `axis`: as many as given, of equal length, or cut at the positions given.

    PyTorch's split takes the length of the parts instead.

    Raises:
        ValueError: the axis can't be divided into so many.
    """
    x = _tensor(x)
    axis = _axis("split", x.shape, axis)
    n, parts = x.shape[axis], indices_or_sections
    if not np.ndim(parts) and (_whole("split", "the number of parts", parts) < 1 or n % parts):
        raise ValueError(
            f"split: the number of parts must divide the {n} along axis {axis} of shape {x.shape}, got {parts}. "
            "Use array_split for parts of unequal length."
        )
    return array_split(x, parts, axis)


@implements(np.array_split)
def array_split(x: TensorLike, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    """As `split`, but where the number of parts does not divide the axis, the first parts are longer by one."""
    x = _tensor(x)
    axis = _axis("array_split", x.shape, axis)
    n = x.shape[axis]
    if not np.ndim(indices_or_sections):
        parts = _whole("array_split", "the number of parts", indices_or_sections)
        if parts < 1:
            raise ValueError(f"array_split: the number of parts must be at least 1, got {parts}.")
        cuts = [n // parts * i + min(i, n % parts) for i in range(1, parts)]
    else:
        cuts = [_whole("array_split", "where to cut", cut) for cut in indices_or_sections]
    return [x[_along(axis, slice(start, end))] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]


@implements(np.vstack)
def vstack(tensors: Sequence[TensorLike]) -> Tensor:
    """Tensors joined along their first axis; those of one axis are rows."""
    return concatenate([x if np.ndim(x) > 1 else np.reshape(x, (1, -1)) for x in tensors])


@implements(np.hstack)
def hstack(tensors: Sequence[TensorLike]) -> Tensor:
    """Tensors joined along their second axis; those of one axis along that."""
    parts = [x if np.ndim(x) else np.reshape(x, 1) for x in tensors]
    return concatenate(parts, axis=1 if parts and np.ndim(parts[0]) > 1 else 0)


# -- products and linear systems -----------------------------------------------------------------------------------------


@implements(np.tensordot)
def tensordot(a: TensorLike, b: TensorLike, axes: Any = 2) -> Tensor:
    """Sum of products over axes of a and of b: the result has the others of a, then those of b.

    Args:
        a: any shape.
        b: any shape.
        axes: how many of a's last axes meet b's first; or (axes of a, axes of b), each one axis or several.
    """
    shape_a, shape_b = np.shape(a), np.shape(b)
    if isinstance(axes, (int, np.integer)):
        (count,) = _counts("tensordot", axes)
        axes = range(-count, 0), range(count)
    try:
        axes_a, axes_b = axes
    except (TypeError, ValueError):
        raise TypeError(f"tensordot: axes must be a number of axes, or a pair, (axes of a, axes of b), got {axes!r}.") from None
    summed_a, summed_b = _axes("tensordot", shape_a, axes_a), _axes("tensordot", shape_b, axes_b)
    if [shape_a[i] for i in summed_a] != [shape_b[i] for i in summed_b]:
        raise ValueError(
            f"tensordot: the axes that meet must be of equal lengths, got axes {summed_a} of shape {shape_a} "
            f"and {summed_b} of {shape_b}. Name others by axes=."
        )
    kept_a = [i for i in range(len(shape_a)) if i not in summed_a]
    kept_b = [i for i in range(len(shape_b)) if i not in summed_b]
    length = math.prod([shape_a[i] for i in summed_a])
    rows, columns = [shape_a[i] for i in kept_a], [shape_b[i] for i in kept_b]
    left = np.reshape(np.transpose(a, [*kept_a, *summed_a]), (math.prod(rows), length))
    right = np.reshape(np.transpose(b, [*summed_b, *kept_b]), (length, math.prod(columns)))
    return apply(rules.matmul, left, right).reshape(*rows, *columns)


@implements(np.dot)
def dot(a: TensorLike, b: TensorLike) -> Tensor:
    """Sum of products over the last axis of a and the second to last of b, or its only one; the plain product with a number."""
    if not np.ndim(a) or not np.ndim(b):
        return apply(rules.multiply, a, b)
    if np.ndim(b) <= 2:
        return apply(rules.matmul, a, b)
    return tensordot(a, b, (-1, -2))


@implements(np.inner)
def inner(a: TensorLike, b: TensorLike) -> Tensor:
    """Sum of products over the last axis of both; the plain product with a number."""
    if not np.ndim(a) or not np.ndim(b):
        return apply(rules.multiply, a, b)
    return tensordot(a, b, (-1, -1))


@implements(np.outer)
def outer(a: TensorLike, b: TensorLike) -> Tensor:
    """The matrix of the products of each element of a with each of b, both flattened."""
    return apply(rules.multiply, np.reshape(a, (-1, 1)), np.reshape(b, -1))


@implements(np.linalg.solve)
def solve(a: TensorLike, b: TensorLike) -> Tensor:
    """x of a @ x = b.

    Args:
        a: (..., n, n), each of full rank.
        b: (..., n, k); or (n,), one vector for all.

    Raises:
        np.linalg.LinAlgError: a matrix is singular.
        TypeError: a or b is of float16, in which NumPy can't solve.
    """
    shape, given = np.shape(a), np.shape(b)
    _require_square("solve", shape)
    if given[-2:][:1] != shape[-1:]:
        raise ValueError(f"solve: b must be (n,) or (..., n, k) where a is (..., n, n), got shapes {shape} and {given}. Reshape b.")
    return _solved("solve", a, np.expand_dims(b, 1))[..., 0] if len(given) == 1 else _solved("solve", a, b)


@implements(np.linalg.inv)
def inv(a: TensorLike) -> Tensor:
    """The inverse of each matrix of a, (..., n, n). `solve(a, b)` is cheaper and more precise than `inv(a) @ b`.

    Raises:
        np.linalg.LinAlgError: a matrix is singular.
        TypeError: a is of float16, in which NumPy can't invert.
    """
    shape = np.shape(a)
    _require_square("inv", shape)
    return _solved("inv", a, np.eye(shape[-1]))


def _require_square(name: str, shape: tuple[int, ...]) -> None:
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name}: a must hold square matrices (..., n, n), got shape {shape}. Reshape or cut it.")


def _solved(name: str, a: TensorLike, b: TensorLike) -> Tensor:
    """x of a @ x = b, both of matrices."""
    if np.float16 in [getattr(x, "dtype", None) for x in (a, b)]:
        raise TypeError(f"{name}: matrices must be of float32 or float64, got float16. Convert them with .astype(np.float32).")
    try:
        return apply(rules.solve, a, b)
    except ValueError as error:
        if not isinstance(error.__cause__, np.linalg.LinAlgError):
            raise
        raise np.linalg.LinAlgError(
            f"{name}: each matrix must be of full rank, got a singular one (shape {np.shape(a)}). "
            "Remove what depends on the rest, or add a small multiple of eye(n)."
        ) from error

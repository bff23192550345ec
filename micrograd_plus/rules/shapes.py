"""Rearranging, joining and selecting elements. All are linear: they move values and compute none."""

from typing import Any

import numpy as np

from .primitives import scatter_add, scatter_rows
from .rule import Array, Pulled, derivative_of, linear


@linear
def cast(x: Array, *, dtype: Any) -> Pulled:
    """x in another floating dtype. The walk casts a cotangent to its input's dtype, so the pullback need not."""
    return x.astype(dtype), (lambda g: g,)


@linear
def reshape(x: Array, *, shape: tuple[int, ...]) -> Pulled:
    """The same elements, in C order, in another shape."""
    before = x.shape
    return x.reshape(shape), (lambda g: g.reshape(before),)


@linear
def transpose(x: Array, *, axes: tuple[int, ...] | None = None) -> Pulled:
    """Axes permuted, reversed where `axes` is None."""
    inverse = None if axes is None else tuple(sorted(range(len(axes)), key=lambda i: axes[i] % len(axes)))
    return x.transpose(axes), (lambda g: g.transpose(inverse),)


@linear
def broadcast_to(x: Array, *, shape: tuple[int, ...]) -> Pulled:
    """x repeated along new axes and axes of size one. The walk undoes broadcasting, so the pullback need not."""
    return np.broadcast_to(x, shape), (lambda g: g,)


@linear
def concatenate(*arrays: Array, axis: int = 0) -> Pulled:
    """Arrays joined along an axis that they have."""
    value = np.concatenate(arrays, axis=axis)
    before = (slice(None),) * (axis % value.ndim)
    ends = np.cumsum([x.shape[axis] for x in arrays]).tolist()
    parts = [(*before, slice(start, end)) for start, end in zip([0, *ends], ends, strict=False)]
    return value, tuple(lambda g, part=part: g[part] for part in parts)


@linear
def stack(*arrays: Array, axis: int = 0) -> Pulled:
    """Arrays of one shape joined along a new axis."""
    value = np.stack(arrays, axis=axis)
    before = (slice(None),) * (axis % value.ndim)
    return value, tuple(lambda g, i=i: g[(*before, i)] for i in range(len(arrays)))


@linear
def unstack(x: Array, *, axis: int = 0) -> Pulled:
    """The slices along an axis, as so many values. Taken one by one with getitem, each would have a cotangent of all of x's size."""
    return np.unstack(x, axis=axis), (lambda g: np.stack(g, axis=axis),)


@linear
def getitem(x: Array, *, index: Any) -> Pulled:
    """x[index], basic or advanced. An element taken several times gets the sum of its cotangents."""
    shape = x.shape
    return x[index], (lambda g: scatter_add(g, index=index, shape=shape),)


@derivative_of(scatter_add)
@linear
def scatter(values: Array, *, index: Any, shape: tuple[int, ...]) -> Pulled:
    """Zeros of `shape` with `values` added at `index`: the adjoint of getitem."""
    return scatter_add(values, index=index, shape=shape), (lambda g: g[index],)


@linear
def take_rows(x: Array, indices: Array) -> Pulled:
    """x[indices] for x (rows, ...) and an int array of any shape, in [0, rows): an embedding's look-up."""
    rows, rest, flat = x.shape[0], x.shape[1:], indices.reshape(-1)
    return x[indices], (lambda g: scatter_rows(g.reshape(flat.size, *rest), flat, count=rows), None)


@derivative_of(scatter_rows)
@linear
def gather_rows(values: Array, indices: Array, *, count: int) -> Pulled:
    """Rows added up at their indices: the adjoint of take_rows."""
    return scatter_rows(values, indices, count=count), (lambda g: g[indices], None)

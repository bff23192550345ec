"""Selecting along one axis by an array of positions, and setting an array in a border. All are linear."""

import numpy as np

from .rule import Array, Pulled, derivative_of, linear, primitive


@primitive
def add_along(values: Array, indices: Array, *, axis: int, size: int) -> Array:
    """Zeros, of length `size` along `axis`, with each of `values` added at its position there.

    values and indices: of as many axes, and shapes that broadcast; the other axes of the result are theirs. A position that
    occurs several times gets the sum; negative ones count from the end.
    """
    shape = np.broadcast_shapes(values.shape, indices.shape)
    axis %= len(shape)
    index = tuple([indices if i == axis else places for i, places in enumerate(np.ix_(*map(np.arange, shape)))])
    out = np.zeros((*shape[:axis], size, *shape[axis + 1 :]), values.dtype)
    np.add.at(out, index, values)
    return out


@linear
def take_along(x: Array, indices: Array, *, axis: int) -> Pulled:
    """x[..., indices[..., j, ...], ...] along `axis`: np.take_along_axis, indices of as many axes as x, the others broadcast.

    An element taken several times gets the sum of its cotangents.
    """
    size = x.shape[axis]
    return np.take_along_axis(x, indices, axis), (lambda g: add_along(g, indices, axis=axis, size=size), None)


@derivative_of(add_along)
@linear
def scatter_along(values: Array, indices: Array, *, axis: int, size: int) -> Pulled:
    """Zeros with `values` added at their positions along `axis`: the adjoint of take_along."""
    return add_along(values, indices, axis=axis, size=size), (lambda g: np.take_along_axis(g, indices, axis), None)


@linear
def pad(x: Array, *, widths: tuple[tuple[int, int], ...], value: float = 0.0) -> Pulled:
    """x within a border of `value`; widths: (before, after) of each axis, none negative."""
    inside = tuple([slice(before, before + size) for (before, _), size in zip(widths, x.shape, strict=True)])
    return np.pad(x, widths, constant_values=value), (lambda g: g[inside],)

"""The windows that slide along the last axes of an array, their adjoint, and the maximum of each."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from .primitives import constant
from .rule import Array, Pulled, derivative_of, linear, primitive

Sizes = tuple[int, ...]


def places(size: Sizes, positions: Sizes, stride: Sizes, dilation: Sizes) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
    """For each place in a window, in C order, where all windows have it: an index into the axes that they slide along."""
    for place in np.ndindex(size):
        steps = zip(place, positions, stride, dilation, strict=True)
        yield place, tuple([slice(i * d, i * d + count * s, s) for i, count, s, d in steps])


@primitive
def slide(x: Array, *, size: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """The window of x (..., *spatial) at each position: (..., *positions, *size), a view that can't be written to."""
    n = len(size)
    steps = zip(x.shape[-n:], size, stride, dilation, strict=True)
    positions = [(length - d * (k - 1) - 1) // s + 1 for length, k, s, d in steps]
    outer = [step * s for step, s in zip(x.strides[-n:], stride, strict=True)]
    inner = [step * d for step, d in zip(x.strides[-n:], dilation, strict=True)]
    shape, strides = (*x.shape[:-n], *positions, *size), (*x.strides[:-n], *outer, *inner)
    return np.lib.stride_tricks.as_strided(x, shape, strides, writeable=False)


@primitive
def add_windows(w: Array, *, spatial: Sizes, stride: Sizes, dilation: Sizes) -> Array:
    """Zeros (..., *spatial) with each window of w (..., *positions, *size) added at its place; the axis before is last in memory."""
    n = len(spatial)
    lead, positions, size = w.shape[: -2 * n], w.shape[-2 * n : -n], w.shape[-n:]
    out = np.moveaxis(np.zeros((*lead[:-1], *spatial, *lead[-1:]), w.dtype), -1, len(lead) - 1)
    for place, there in places(size, positions, stride, dilation):
        index: Any = (..., *there)
        out[index] += w[(..., *place)]
    return out


@derivative_of(slide)
@linear
def windows(x: Array, *, size: Sizes, stride: Sizes, dilation: Sizes) -> Pulled:
    """The window of x (..., *spatial) at each position: (..., *positions, *size).

    Along an axis of length L, with size k, stride s and dilation d, there are (L - d (k - 1) - 1) // s + 1 positions;
    element j of the window at position i is element s i + d j of x.
    """
    spatial = x.shape[-len(size) :]
    value = slide(x, size=size, stride=stride, dilation=dilation)
    return value, (lambda g: add_windows(g, spatial=spatial, stride=stride, dilation=dilation),)


@derivative_of(add_windows)
@linear
def scatter_windows(w: Array, *, spatial: Sizes, stride: Sizes, dilation: Sizes) -> Pulled:
    """Zeros (..., *spatial) with each window of w (..., *positions, *size) added at its place: the adjoint of windows."""
    size = w.shape[-len(spatial) :]
    value = add_windows(w, spatial=spatial, stride=stride, dilation=dilation)
    return value, (lambda g: slide(g, size=size, stride=stride, dilation=dilation),)


def _elements(x: Array, ndim: int) -> list[Array]:
    """For each place in the last `ndim` axes, in C order, what all windows have there."""
    return [x[(..., *place)] for place in np.ndindex(x.shape[x.ndim - ndim :])]


def _repacked(g: Array, ndim: int) -> Array:
    """g (..., C, *positions), C last in memory as in windows: arithmetic on arrays of different orders is several times slower."""
    c = g.ndim - ndim - 1
    if c < 0:
        return g
    g = g.transpose(*range(c), *range(c + 1, c + ndim + 1), c)
    return g.reshape(-1).reshape(g.shape).transpose(*range(c), c + ndim, *range(c, c + ndim))


def window_max(x: Array, *, ndim: int) -> Pulled:
    """Maximum over the last `ndim` axes, NaN where there is one; the first that equals it, in C order, gets the gradient.

    Element by element of all windows at once: windows are small, and NumPy's reductions slow along short axes.
    """
    value = functools.reduce(np.maximum, _elements(x, ndim))

    def pullback(g: Array) -> Array:
        shares, found, g = [], False, _repacked(g, ndim)
        for element in _elements(constant(x), ndim):
            wins = (element == constant(value)) | np.isnan(element)
            shares.append(g * (wins > found))
            found = wins | found
        axes = range(ndim, ndim + g.ndim)
        return np.stack(shares).reshape(*x.shape[x.ndim - ndim :], *g.shape).transpose(*axes, *range(ndim))

    return value, (pullback,)

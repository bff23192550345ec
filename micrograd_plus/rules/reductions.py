"""Sums and extrema over axes. `axis` is None (all axes), an int or a tuple of ints, as in NumPy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .primitives import constant
from .rule import Array, Pulled, linear

SMALL = 4096  # elements up to which a product with ones is cheaper than np.broadcast_to, which takes 5 µs for any

Axis = int | tuple[int, ...] | None


def _kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape with the reduced axes as axes of size one."""
    if axis is None or not shape:  # NumPy takes 0 and -1 as axes of a number
        return (1,) * len(shape)
    axes = {i % len(shape) for i in (axis if isinstance(axis, tuple) else (axis,))}
    return tuple([1 if i in axes else size for i, size in enumerate(shape)])


def _spread(g: Array, shape: tuple[int, ...], axis: Axis) -> Array:
    """A reduction's cotangent, the same for all elements that were reduced, in the shape that they had."""
    g = g.reshape(_kept(shape, axis))
    if math.prod(shape) <= SMALL:
        return g * np.ones(shape, g.dtype)
    return np.broadcast_to(g, shape)


@linear
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Sum over `axis`."""
    shape = x.shape
    return x.sum(axis=axis, keepdims=keepdims), (lambda g: _spread(g, shape, axis),)


@linear
def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Mean over `axis`; NaN over no elements."""
    shape, total = x.shape, x.sum(axis=axis, keepdims=keepdims)
    share = 1 / (x.size // total.size) if x.size else math.nan
    return total * share, (lambda g: _spread(g * share, shape, axis),)


def _extremum(reduce: Callable[..., Any], x: Array, axis: Axis, keepdims: bool) -> Pulled:
    def pullback(g: Array) -> Array:
        winners = x == reduce(constant(x), axis=axis, keepdims=True)
        share = winners / winners.sum(axis=axis, keepdims=True, dtype=g.dtype)
        return g.reshape(_kept(x.shape, axis)) * share

    return reduce(x, axis=axis, keepdims=keepdims), (pullback,)


def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Maximum over `axis`; tied elements share the gradient evenly."""
    return _extremum(np.max, x, axis, keepdims)


def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Minimum over `axis`; tied elements share the gradient evenly."""
    return _extremum(np.min, x, axis, keepdims)

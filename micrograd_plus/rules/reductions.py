"""Sums and extrema over axes. `axis` is None (all axes), an int or a tuple of ints, as in NumPy."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .primitives import constant
from .rule import Array, Pulled, linear

Axis = int | tuple[int, ...] | None


def _restored(g: Array, axis: Axis, keepdims: bool) -> Array:
    """A reduction's cotangent with the reduced axes back, as axes of size one."""
    return g if axis is None or keepdims else np.expand_dims(g, axis)


@linear
def sum(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Sum over `axis`."""
    shape = x.shape
    return np.sum(x, axis=axis, keepdims=keepdims), (lambda g: np.broadcast_to(_restored(g, axis, keepdims), shape),)


@linear
def mean(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Mean over `axis`."""
    shape, value = x.shape, np.mean(x, axis=axis, keepdims=keepdims)
    count = math.prod(shape) / (math.prod(value.shape) or 1)
    return value, (lambda g: np.broadcast_to(_restored(g / count, axis, keepdims), shape),)


def _extremum(reduce: Callable[..., Any], x: Array, axis: Axis, keepdims: bool) -> Pulled:
    def pullback(g: Array) -> Array:
        winners = x == reduce(constant(x), axis=axis, keepdims=True)
        share = np.astype(winners, g.dtype) / np.sum(winners, axis=axis, keepdims=True, dtype=g.dtype)
        return _restored(g, axis, keepdims) * share

    return reduce(x, axis=axis, keepdims=keepdims), (pullback,)


def max(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Maximum over `axis`; tied elements share the gradient evenly."""
    return _extremum(np.max, x, axis, keepdims)


def min(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """Minimum over `axis`; tied elements share the gradient evenly."""
    return _extremum(np.min, x, axis, keepdims)

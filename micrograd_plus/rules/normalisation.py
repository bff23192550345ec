"""Softmax, its logarithm, and the standardisation that the normalising layers share.

Rules of their own for numerical stability (softmax) and for speed (standardize).
"""

import math

import numpy as np

from .primitives import constant
from .rule import Array, Pulled


def shifted(x: Array, axis: int) -> Array:
    """x less its maximum, so that exp can't overflow; the shift cancels in what follows, so it is a constant."""
    return x - constant(x).max(axis=axis, keepdims=True)


def softmax(x: Array, *, axis: int = -1) -> Pulled:
    """exp(x) / sum(exp(x)) over `axis`."""
    e = np.exp(shifted(x, axis))
    y = e / e.sum(axis=axis, keepdims=True)

    def pullback(g: Array) -> Array:
        gy = g * y
        return gy - y * gy.sum(axis=axis, keepdims=True)

    return y, (pullback,)


def log_softmax(x: Array, *, axis: int = -1) -> Pulled:
    """x - log(sum(exp(x))) over `axis`."""
    z = shifted(x, axis)
    y = z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
    return y, (lambda g: g - np.exp(y) * g.sum(axis=axis, keepdims=True),)


def _mean(x: Array, axis: int | tuple[int, ...]) -> Array:
    if isinstance(axis, tuple) and len(axis) > 1:  # one after another: a sum of thousands of terms in a row rounds more
        total = x.sum(axis=axis[1:], keepdims=True).sum(axis=axis[0], keepdims=True)
    else:
        total = x.sum(axis=axis, keepdims=True)
    return total * _share(total, x)


def _share(reduced: Array, x: Array) -> float:
    """That of one element of x in the one which it was reduced to with others."""
    return reduced.size / x.size if x.size else math.nan


def standardize(x: Array, *, axis: int | tuple[int, ...], eps: float) -> Pulled:
    """((x - mean) / sqrt(var + eps), mean, var) over `axis`, var the biased variance; mean and var keep the axes.

    References: Ioffe and Szegedy, 2015, arXiv:1502.03167, section 3 (the derivative, simplified).
    """
    mean = _mean(x, axis)
    centred = x - mean
    var = _mean(np.square(centred), axis)
    inverse = 1 / np.sqrt(var + eps)
    y, share = centred * inverse, _share(mean, x)

    def pullback(g: tuple[Array, Array, Array]) -> Array:
        g_y, g_mean, g_var = g
        along_ones = _mean(g_y, axis) - g_mean * share / inverse
        along_y = _mean(g_y * y, axis) - g_var * (2 * share) / (inverse * inverse)
        return inverse * (g_y - along_ones - y * along_y)

    return (y, mean, var), (pullback,)

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
    total = x.sum(axis=axis, keepdims=True)
    return total * (total.size / x.size if x.size else math.nan)


def standardize(x: Array, *, axis: int | tuple[int, ...], eps: float) -> Pulled:
    """(x - mean) / sqrt(var + eps) over `axis`, var the biased variance.

    References: Ioffe and Szegedy, 2015, arXiv:1502.03167, section 3 (the derivative, simplified).
    """
    centred = x - _mean(x, axis)
    inverse = 1 / np.sqrt(_mean(np.square(centred), axis) + eps)
    y = centred * inverse

    def pullback(g: Array) -> Array:
        return inverse * (g - _mean(g, axis) - y * _mean(g * y, axis))

    return y, (pullback,)

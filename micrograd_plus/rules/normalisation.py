"""Softmax, its logarithm, and the standardisation that the normalising layers share.

Rules of their own for numerical stability (softmax) and for speed (standardize).
"""

import numpy as np

from .primitives import constant
from .rule import Array, Pulled


def shifted(x: Array, axis: int) -> Array:
    """x less its maximum, so that exp can't overflow; the shift cancels in what follows, so it is a constant."""
    return x - np.max(constant(x), axis=axis, keepdims=True)


def softmax(x: Array, *, axis: int = -1) -> Pulled:
    """exp(x) / sum(exp(x)) over `axis`."""
    e = np.exp(shifted(x, axis))
    y = e / np.sum(e, axis=axis, keepdims=True)

    def pullback(g: Array) -> Array:
        gy = g * y
        return gy - y * np.sum(gy, axis=axis, keepdims=True)

    return y, (pullback,)


def log_softmax(x: Array, *, axis: int = -1) -> Pulled:
    """x - log(sum(exp(x))) over `axis`."""
    z = shifted(x, axis)
    y = z - np.log(np.sum(np.exp(z), axis=axis, keepdims=True))
    return y, (lambda g: g - np.exp(y) * np.sum(g, axis=axis, keepdims=True),)


def standardize(x: Array, *, axis: int | tuple[int, ...], eps: float) -> Pulled:
    """(x - mean) / sqrt(var + eps) over `axis`, var the biased variance.

    References: Ioffe and Szegedy, 2015, arXiv:1502.03167, section 3 (the derivative, simplified).
    """
    centred = x - np.mean(x, axis=axis, keepdims=True)
    inverse = 1 / np.sqrt(np.mean(centred * centred, axis=axis, keepdims=True) + eps)
    y = centred * inverse

    def pullback(g: Array) -> Array:
        return inverse * (g - np.mean(g, axis=axis, keepdims=True) - y * np.mean(g * y, axis=axis, keepdims=True))

    return y, (pullback,)

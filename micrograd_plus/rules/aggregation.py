"""Products, running sums, norms and log-sum-exp over axes."""

import numpy as np

from .primitives import constant
from .reductions import Axis
from .rule import Array, Pulled, linear


def _others(x: Array) -> Array:
    """For each element, the product of the others along the first axis.

    Without a division, so exact where elements are 0. An element's others are its partner, half the axis away, and all other
    pairs.
    """
    n = x.shape[0]
    if n < 2:
        return np.ones(x.shape, x.dtype)
    half = (n + 1) // 2
    left, right = x[:half], x[half:]
    if n % 2:
        right = np.concatenate([right, np.ones((1, *x.shape[1:]), x.dtype)])
    beyond = _others(left * right)
    return np.concatenate([beyond * right, beyond * left])[:n]


def prod(x: Array, *, axis: int) -> Pulled:
    """Product along `axis`; 1 over no elements. The derivative is the product of the other elements, also where some are 0."""

    def pullback(g: Array) -> Array:
        return np.expand_dims(g, axis) * np.moveaxis(_others(np.moveaxis(x, axis, 0)), 0, axis)

    return np.prod(x, axis=axis), (pullback,)


@linear
def cumsum(x: Array, *, axis: int) -> Pulled:
    """Running sum along `axis`: of each element and all before it."""
    return np.cumsum(x, axis=axis), (lambda g: np.flip(np.cumsum(np.flip(g, axis), axis=axis), axis),)


def logsumexp(x: Array, *, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """log(sum(exp(x))) over `axis`, without overflow.

    Where every x is -inf, or there is none, it is -inf and its gradient 0.
    """
    top = np.max(constant(x) * 1.0, axis=axis, keepdims=True, initial=-np.inf)  # whole numbers have no -inf
    e = np.exp(x - np.where(np.isfinite(top), top, 0))
    total = np.sum(e, axis=axis, keepdims=True) + (top == -np.inf)
    value = np.log(total) + top
    return value if keepdims else np.squeeze(value, axis), (lambda g: g.reshape(top.shape) * (e / total),)


def norm(x: Array, *, p: float, axis: Axis = None, keepdims: bool = False) -> Pulled:
    """(sum |x|^p)^(1/p) over `axis`, p finite and not 0; where the sum is 0, and to an element of 0, the gradient is 0."""
    total = np.sum(np.square(x) if p == 2 else np.abs(x) ** p, axis=axis, keepdims=True)
    at_zero = total == 0
    length = np.where(at_zero, 1, total) ** (1 / p)

    def pullback(g: Array) -> Array:
        g = g.reshape(at_zero.shape)
        if p == 2:
            return g / length * x
        return g * np.sign(x) * np.where(x == 0, 1, np.abs(x) / length) ** (p - 1)

    value = np.where(at_zero, 0 if p > 0 else np.inf, length)
    return value if keepdims else np.squeeze(value, axis), (pullback,)

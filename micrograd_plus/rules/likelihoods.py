"""Negative log-likelihoods, as rules of their own for numerical stability."""

import numpy as np

from .normalisation import shifted
from .primitives import logistic
from .rule import Array, Pulled

LOG_BOUND = -100  # of binary cross-entropy's logarithms, as in PyTorch
SLOPE_BOUND = 1e-12  # of p (1 - p) in its derivative, as in PyTorch


def cross_entropy(logits: Array, labels: Array, weights: Array) -> Pulled:
    """-weights[n] log softmax(logits)[n, labels[n]]: logits (N, C), labels (N,) int in [0, C), weights (N,); value (N,).

    A negative label has a loss and a gradient of 0.
    """
    z = shifted(logits, 1)
    e = np.exp(z)
    total = e.sum(axis=1, keepdims=True)
    value = np.log(total[:, 0]) - z[np.arange(logits.shape[0]), labels]
    counted = labels >= 0

    def pullback(g: Array) -> Array:
        one_hot = labels[:, None] == np.arange(logits.shape[1])
        return np.where(counted, g * weights, 0)[:, None] * (e / total - one_hot)

    return np.where(counted, value, 0) * weights, (pullback, None, None)


def binary_cross_entropy(p: Array, t: Array) -> Pulled:
    """-t log p - (1 - t) log(1 - p) for p, t in [0, 1], with each logarithm at least -100.

    dp: (p - t) / max(p (1 - p), 1e-12), finite at p = 0 and p = 1 like the value.
    """
    inside = (p > 0) & (p < 1)
    q = np.where(inside, p, 0.5)
    log_p = np.where(p > 0, np.where(p < 1, np.maximum(np.log(q), LOG_BOUND), 0), LOG_BOUND)
    log_not_p = np.where(p < 1, np.where(p > 0, np.maximum(np.log1p(-q), LOG_BOUND), 0), LOG_BOUND)
    return -(t * log_p + (1 - t) * log_not_p), (
        lambda g: g * (p - t) / np.maximum(p * (1 - p), SLOPE_BOUND),
        lambda g: g * (log_not_p - log_p),
    )


def binary_cross_entropy_with_logits(x: Array, t: Array, pos_weight: Array) -> Pulled:
    """pos_weight t softplus(-x) + (1 - t) softplus(x), precise in both tails; t in [0, 1]."""
    rest = np.log1p(np.exp(-np.abs(x)))
    positive, negative = np.maximum(-x, 0) + rest, np.maximum(x, 0) + rest
    return pos_weight * t * positive + (1 - t) * negative, (
        lambda g: g * ((1 - t) * logistic(x) - pos_weight * t * logistic(-x)),
        lambda g: g * (pos_weight * positive - negative),
        lambda g: g * t * positive,
    )

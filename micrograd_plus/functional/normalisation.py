"""Standardisation of activations over the batch, or over the features of each example."""

import numpy as np

from .. import effects, rules
from ..tensor import Tensor, apply, no_grad


def layer_norm(x: Tensor, ndim: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance over the last `ndim` axes of each example.

    References: Ba et al., 2016, arXiv:1607.06450.
    """
    y = apply(rules.standardize, x, axis=tuple(range(-ndim, 0)), eps=eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def batch_norm(
    x: Tensor,
    running_mean: np.ndarray,
    running_var: np.ndarray,
    weight: Tensor,
    bias: Tensor,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel: x (N, C, ...), the others (C,).

    In training, mean and biased variance are the batch's, and the running ones move towards them:
    running = (1 - momentum) running + momentum batch, with the unbiased variance. Otherwise they are the running ones.

    References: Ioffe and Szegedy, 2015, arXiv:1502.03167.

    Raises:
        ValueError: in training, a channel has one value, whose variance is not defined.
    """
    axis = (0, *range(2, x.ndim))
    channels = (-1, *[1] * (x.ndim - 2))
    if training:
        count = x.size // x.shape[1]
        if count < 2:
            raise ValueError(
                f"batch norm needs more than one value per channel in training, got input of shape {x.shape}. "
                "Use a larger batch, or eval() mode."
            )
        with no_grad():
            mean, var = x.mean(axis).data, x.var(axis).data * (count / (count - 1))
        effects.assign(running_mean, (1 - momentum) * running_mean + momentum * mean)
        effects.assign(running_var, (1 - momentum) * running_var + momentum * var)
        y = apply(rules.standardize, x, axis=axis, eps=eps)
    else:
        y = (x - running_mean.reshape(channels)) / np.sqrt(running_var.reshape(channels) + eps)
    return y * weight.reshape(channels) + bias.reshape(channels)

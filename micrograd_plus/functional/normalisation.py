"""Standardisation of activations over the batch, or over the features of each example."""

from typing import Any

import numpy as np

from .. import effects, rules
from ..tensor import Tensor, apply


def layer_norm(x: Tensor, ndim: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and biased variance over the last `ndim` axes of each example.

    weight and bias have the shape of those axes, or are None.

    References: Ba et al., 2016, arXiv:1607.06450.
    """
    y, _, _ = apply(rules.standardize, x, axis=tuple(range(-ndim, 0)), eps=eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


def batch_norm(
    x: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float | np.ndarray = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel: x (N, C, ...), the others (C,).

    In training, mean and biased variance are the batch's, and the running ones move towards them:
    running = (1 - momentum) running + momentum batch, with the unbiased variance. Otherwise they are the running ones, or
    the batch's where there are none (None).

    References: Ioffe and Szegedy, 2015, arXiv:1502.03167.

    Raises:
        ValueError: the statistics are the batch's, and a channel has one value, whose variance is not defined.
    """
    axis = (0, *range(2, x.ndim))
    tracked = running_mean is not None and running_var is not None
    if training or not tracked:
        count = x.size // x.shape[1]
        if count < 2:
            raise ValueError(
                f"batch norm needs more than one value per channel for the statistics of a batch, got input of shape {x.shape}. "
                "Use a larger batch, or running statistics in eval() mode."
            )
        y, mean, var = apply(rules.standardize, x, axis=axis, eps=eps)
        if tracked:
            follow(running_mean, mean.data, momentum)
            follow(running_var, var.data * (count / (count - 1)), momentum)
    else:
        y = (x - along_channels(running_mean, x)) / np.sqrt(along_channels(running_var, x) + eps)
    return scaled_channels(y, weight, bias)


def follow(running: Any, values: np.ndarray, momentum: float | np.ndarray) -> None:
    """Write (1 - momentum) running + momentum values into running statistics (C,); values: C of them, in any shape."""
    effects.assign(running, (1 - momentum) * running + momentum * values.reshape(running.shape))


def along_channels(values: Any, x: Tensor) -> Any:
    """(C,) values in the shape in which they broadcast over x (N, C, ...)."""
    return values.reshape(-1, *[1] * (x.ndim - 2))


def scaled_channels(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    """x * weight + bias, x (N, C, ...), weight and bias (C,) or None."""
    y = x if weight is None else x * along_channels(weight, x)
    return y if bias is None else y + along_channels(bias, x)

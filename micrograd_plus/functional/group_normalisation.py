"""Standardisation over groups of channels or single channels of each example, and scaling by the root mean square."""

import math
from typing import Any

import numpy as np

from .. import rules
from ..tensor import Tensor, apply
from .normalisation import batch_norm, follow, scaled_channels


def group_norm(x: Tensor, num_groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias: x (N, C, ...), weight and bias (C,), C a multiple of num_groups.

    Mean and biased variance are those of each group of C / num_groups channels of each example.

    References: Wu and He, 2018, arXiv:1803.08494, eq. 1 and 7.

    Raises:
        ValueError: C is no multiple of num_groups; or a group has one value, whose variance is not defined.
    """
    if x.shape[1] % num_groups:
        raise ValueError(f"group norm needs channels in {num_groups} groups of one size, got input of shape {x.shape}.")
    size = math.prod(x.shape[1:]) // num_groups
    if size < 2:
        raise ValueError(
            f"group norm needs more than one value per group, got input of shape {x.shape} and {num_groups} groups. "
            "Use fewer groups, or a larger input."
        )
    y, _, _ = apply(rules.standardize, x.reshape(x.shape[0], num_groups, size), axis=-1, eps=eps)
    return scaled_channels(y.reshape(x.shape), weight, bias)


def instance_norm(
    x: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float | np.ndarray = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """(x - mean) / sqrt(var + eps) * weight + bias, per channel of each example: x (N, C, ...), the others (C,).

    With use_input_stats, mean and biased variance are the input's, and the running ones move towards their mean over the
    batch, with the unbiased variance, as in `batch_norm`. Otherwise they are the running ones, or the input's where there
    are none.

    References: Ulyanov et al., 2016, arXiv:1607.08022, eq. 2.

    Raises:
        ValueError: a channel of an example has one value, whose variance is not defined, and the statistics are the input's.
    """
    tracked = running_mean is not None and running_var is not None
    if tracked and not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, eps=eps)
    axis = tuple(range(2, x.ndim))
    count = math.prod(x.shape[2:])
    if count < 2:
        raise ValueError(
            f"instance norm needs more than one value per channel of an example, got input of shape {x.shape}. "
            "Use larger images, or running statistics in eval() mode."
        )
    y, mean, var = apply(rules.standardize, x, axis=axis, eps=eps)
    if tracked:
        follow(running_mean, mean.data.mean(0), momentum)
        follow(running_var, var.data.mean(0) * (count / (count - 1)), momentum)
    return scaled_channels(y, weight, bias)


def rms_norm(x: Tensor, ndim: int, weight: Tensor | None = None, eps: float | None = None) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, the mean over the last `ndim` axes of each example; eps None is the dtype's machine epsilon.

    The weight has the shape of those axes, or is None. Whole numbers become floats of the default dtype.

    References: Zhang and Sennrich, 2019, arXiv:1910.07467, eq. 4.
    """
    x = x if x.dtype.kind == "f" else x * 1.0  # squares of integers overflow
    eps = np.finfo(x.dtype).eps if eps is None else eps
    y = x * (apply(rules.square, x).mean(tuple(range(-ndim, 0)), keepdims=True) + eps) ** -0.5
    return y if weight is None else y * weight

"""Functions of Tensors that layers are made of, composed of rules."""

import numpy as np

from . import effects, rules
from .rules import Array
from .tensor import Tensor, apply, no_grad


def linear(x: Array, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight + bias: x (..., in), weight (in, out), bias (out,)."""
    return apply(rules.matmul, x, weight) if bias is None else apply(rules.affine, x, weight, bias)


def embedding(indices: Array, weight: Tensor) -> Tensor:
    """weight[indices]: indices of any shape, whole numbers in [0, rows); weight (rows, features).

    Raises:
        ValueError: an index is fractional or out of range.
    """
    return apply(rules.take_rows, weight, whole_numbers(indices, len(weight), "embedding indices"))


def dropout(x: Tensor, p: float, training: bool = True, generator: np.random.Generator | None = None) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p); x itself when not training.

    References: Srivastava et al., 2014, JMLR 15, in the inverted form.
    """
    if not training or p == 0:
        return x
    keep = effects.draw(generator, "random", x.shape, np.float32) >= p
    return x * (np.astype(keep, x.dtype) * (1 / (1 - p) if p < 1 else 0.0))


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


def whole_numbers(values: Array, count: int, what: str) -> np.ndarray:
    """Class indices or positions as an int array, from an array or Tensor of whole numbers in any dtype.

    Raises:
        ValueError: a value is fractional, or not in [0, count).
    """
    array = values.data if isinstance(values, Tensor) else np.asarray(values)
    kind = array.dtype.kind
    if kind not in "iu":
        if kind != "f":
            raise TypeError(f"{what} must be whole numbers, got dtype {array.dtype}. Pass an int array.")
        effects.require(array == np.floor(array), lambda: f"{what} must be whole numbers, got {array[array != np.floor(array)][0]}.")
    effects.require(
        (array >= 0) & (array < count),
        lambda: f"{what} must be in [0, {count}), got {array[(array < 0) | (array >= count)][0]}.",
    )
    return array.astype(np.int64) if kind == "f" else array

"""Layers that standardise activations: over the batch, or over the features of each example."""

import numpy as np

from .. import functional as F
from ..rules import Array
from ..tensor import Tensor
from .module import Module, Parameter, as_tensor


class BatchNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias per channel, x (N, C) or (N, C, H, W).

    In training, mean and variance are the batch's; in eval mode, running averages of those.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: share of the newest batch in the running averages.

    Attributes:
        weight, bias: (C,), ones and zeros at first.
        running_mean, running_var: (C,) buffers, zeros and ones at first; the variance is the unbiased one.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features))
        self.bias = Parameter(np.zeros(num_features))
        self.register_buffer("running_mean", np.zeros_like(self.bias.data))
        self.register_buffer("running_var", np.ones_like(self.bias.data))

    def forward(self, x: Array) -> Tensor:
        x = as_tensor(x)
        if x.ndim not in (2, 4) or x.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm({self.num_features}) needs input of shape (N, {self.num_features}) or (N, {self.num_features}, H, W), "
                f"got {x.shape}. Check the layer before it."
            )
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps)

    running_mean: np.ndarray
    running_var: np.ndarray

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


BatchNorm1d = BatchNorm
BatchNorm2d = BatchNorm


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, over the last axes of each example.

    Args:
        normalized_shape: the sizes of those axes, an int for one.
        eps: added to the variance.

    Attributes:
        weight, bias: of the normalized shape, ones and zeros at first.
    """

    def __init__(self, normalized_shape: int | tuple[int, ...], eps: float = 1e-5) -> None:
        self.normalized_shape: tuple[int, ...] = tuple(np.atleast_1d(normalized_shape).tolist())
        self.eps = eps
        self.weight = Parameter(np.ones(self.normalized_shape))
        self.bias = Parameter(np.zeros(self.normalized_shape))

    def forward(self, x: Array) -> Tensor:
        x, ndim = as_tensor(x), len(self.normalized_shape)
        if x.shape[-ndim:] != self.normalized_shape:
            raise ValueError(
                f"LayerNorm({self.normalized_shape}) needs input whose last axes have sizes {self.normalized_shape}, got shape {x.shape}. "
                "Check the layer before it."
            )
        return F.layer_norm(x, ndim, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}"

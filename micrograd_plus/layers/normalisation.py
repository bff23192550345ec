"""Layers that standardise activations: over the batch, or over the features of each example."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import effects
from .. import functional as F
from ..rules import Array
from ..tensor import Tensor, ones, zeros
from .module import Module, Parameter, as_tensor, check_sizes


class ChannelNorm(Module):
    """What BatchNorm and InstanceNorm2d share.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: share of the newest batch in the running statistics; None makes them the mean over all batches.
        affine: whether there are weight and bias.
        track_running_stats: whether there are running statistics; without them, those of the input are used in eval mode too.

    Attributes:
        weight, bias: (C,), ones and zeros at first; or None.
        running_mean, running_var: (C,) buffers, zeros and ones at first, the variance unbiased; or None.
        num_batches_tracked: buffer, the number of batches that the running statistics have seen; or None.
    """

    function: Callable[..., Tensor]
    running_mean: Any = None
    running_var: Any = None
    num_batches_tracked: Any = None

    def __init__(self, num_features: int, eps: float, momentum: float | None, affine: bool, track_running_stats: bool) -> None:
        check_settings(self, eps, num_features=num_features)
        if momentum is not None and not 0 <= momentum <= 1:
            raise ValueError(f"momentum of {type(self).__name__} must be in [0, 1], or None, got {momentum}.")
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = Parameter(np.ones(num_features)) if affine else None
        self.bias = Parameter(np.zeros(num_features)) if affine else None
        if track_running_stats:
            self.register_buffer("running_mean", zeros(num_features))
            self.register_buffer("running_var", ones(num_features))
            self.register_buffer("num_batches_tracked", 0)

    def normalised(self, x: Tensor) -> Tensor:
        """x standardised; the running statistics, and the count of batches, follow it in training."""
        settings = self.running_mean, self.running_var, self.weight, self.bias, self.training
        if not (self.training and self.track_running_stats):
            return self.function(x, *settings, eps=self.eps)
        count = self.num_batches_tracked + 1
        y = self.function(x, *settings, 1 / count if self.momentum is None else self.momentum, self.eps)
        effects.assign(self.num_batches_tracked, count)
        return y

    def extra_repr(self) -> str:
        names = ("eps", "momentum", "affine", "track_running_stats")
        return ", ".join([str(self.num_features), *(f"{name}={getattr(self, name)}" for name in names)])


class BatchNorm(ChannelNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias per channel, x (N, C) or (N, C, ...).

    In training, mean and variance are the batch's; in eval mode, running averages of those. Arguments and attributes are
    those of `ChannelNorm`.
    """

    function = staticmethod(F.batch_norm)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, x: Array) -> Tensor:
        x = as_tensor(x)
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ValueError(
                f"BatchNorm({self.num_features}) needs input of shape (N, {self.num_features}) or (N, {self.num_features}, ...), "
                f"got {x.shape}. Check the layer before it."
            )
        return self.normalised(x)


BatchNorm1d = BatchNorm
BatchNorm2d = BatchNorm


class LayerNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, over the last axes of each example.

    Args:
        normalized_shape: the sizes of those axes, an int for one.
        eps: added to the variance.
        elementwise_affine: whether there are weight and bias.
        bias: whether there is a bias, beside the weight.

    Attributes:
        weight, bias: of the normalized shape, ones and zeros at first; or None.
    """

    def __init__(
        self, normalized_shape: int | Iterable[int], eps: float = 1e-5, elementwise_affine: bool = True, bias: bool = True
    ) -> None:
        self.normalized_shape, self.eps = axis_sizes(self, normalized_shape), eps
        check_settings(self, eps)
        self.weight = Parameter(np.ones(self.normalized_shape)) if elementwise_affine else None
        self.bias = Parameter(np.zeros(self.normalized_shape)) if elementwise_affine and bias else None

    def forward(self, x: Array) -> Tensor:
        return F.layer_norm(with_last_axes(self, x), len(self.normalized_shape), self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}, bias={self.bias is not None}"


def check_settings(layer: Module, eps: float | None = None, **sizes: int) -> None:
    """Raise unless eps is not negative, and each size is an int of at least 1."""
    check_sizes(layer, **sizes)
    if eps is not None and not eps >= 0:
        raise ValueError(f"eps of {type(layer).__name__} must not be negative, got {eps}.")


def axis_sizes(layer: Module, normalized_shape: int | Iterable[int]) -> tuple[int, ...]:
    """A normalized shape as a tuple, which has at least one axis."""
    sizes: tuple[Any, ...] = tuple(normalized_shape) if isinstance(normalized_shape, Iterable) else (normalized_shape,)
    if not sizes or [size for size in sizes if not isinstance(size, (int, np.integer)) or size < 1]:
        raise ValueError(f"normalized_shape of {type(layer).__name__} must be one or more positive ints, got {normalized_shape!r}.")
    return tuple(map(int, sizes))


def with_last_axes(layer: Any, x: Array) -> Tensor:
    """x as a Tensor whose last axes have the sizes that a layer normalises over."""
    tensor, sizes = as_tensor(x), layer.normalized_shape
    if tensor.shape[-len(sizes) :] != sizes:
        raise ValueError(
            f"{type(layer).__name__}({sizes}) needs input whose last axes have sizes {sizes}, got shape {tensor.shape}. "
            "Check the layer before it."
        )
    return tensor

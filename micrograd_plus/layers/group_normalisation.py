"""Layers that standardise each example over groups of channels or single channels, or scale it by its root mean square."""

from collections.abc import Iterable

import numpy as np

from .. import functional as F
from ..rules import Array
from ..tensor import Tensor
from .module import Module, Parameter, as_tensor
from .normalisation import ChannelNorm, axis_sizes, check_settings, with_last_axes


class GroupNorm(Module):
    """(x - mean) / sqrt(var + eps) * weight + bias, mean and variance over each group of channels of an example, x (N, C, ...).

    Args:
        num_groups: into which the channels are divided, in order; 1 normalises each example as a whole.
        num_channels: C, a multiple of num_groups.
        eps: added to the variance.
        affine: whether there are weight and bias.

    Attributes:
        weight, bias: (C,), ones and zeros at first; or None.
    """

    def __init__(self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True) -> None:
        check_settings(self, eps, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ValueError(f"num_channels of GroupNorm must be a multiple of num_groups={num_groups}, got {num_channels}.")
        self.num_groups, self.num_channels, self.eps, self.affine = num_groups, num_channels, eps, affine
        self.weight = Parameter(np.ones(num_channels)) if affine else None
        self.bias = Parameter(np.zeros(num_channels)) if affine else None

    def forward(self, x: Array) -> Tensor:
        x = as_tensor(x)
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ValueError(
                f"GroupNorm({self.num_groups}, {self.num_channels}) needs input of shape (N, {self.num_channels}, ...), got {x.shape}. "
                "Check the layer before it."
            )
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class InstanceNorm2d(ChannelNorm):
    """(x - mean) / sqrt(var + eps) * weight + bias per channel of each example, x (N, C, H, W).

    Mean and variance are the example's. With track_running_stats, in eval mode they are running averages of those, and of
    their mean over the batch. Arguments and attributes are those of `ChannelNorm`. PyTorch does not count the batches, and
    with momentum None leaves the running statistics as they were.
    """

    function = staticmethod(F.instance_norm)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, x: Array) -> Tensor:
        x = as_tensor(x)
        if x.ndim != 4 or x.shape[1] != self.num_features:
            raise ValueError(
                f"InstanceNorm2d({self.num_features}) needs input of shape (N, {self.num_features}, H, W), got {x.shape}. "
                "Check the layer before it."
            )
        return self.normalised(x)


class RMSNorm(Module):
    """x / sqrt(mean(x^2) + eps) * weight, the mean over the last axes of each example.

    Args:
        normalized_shape: the sizes of those axes, an int for one.
        eps: added to the mean; None is the machine epsilon of the dtype of x.
        elementwise_affine: whether there is a weight.

    Attributes:
        weight: of the normalized shape, ones at first; or None.
    """

    def __init__(self, normalized_shape: int | Iterable[int], eps: float | None = None, elementwise_affine: bool = True) -> None:
        self.normalized_shape, self.eps = axis_sizes(self, normalized_shape), eps
        check_settings(self, eps)
        self.weight = Parameter(np.ones(self.normalized_shape)) if elementwise_affine else None

    def forward(self, x: Array) -> Tensor:
        return F.rms_norm(with_last_axes(self, x), len(self.normalized_shape), self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.weight is not None}"

"""Conv1d and Conv2d."""

import math
from collections.abc import Callable

import numpy as np

from .. import functional as F
from .. import init
from ..functional.convolution import Size, padding_widths, sizes
from ..rules import Array
from ..tensor import Tensor
from .module import Module, Parameter, as_tensor, check_sizes


class Convolution(Module):
    """What Conv1d and Conv2d share.

    Args:
        in_channels: channels of x, a multiple of groups.
        out_channels: channels of y, a multiple of groups.
        kernel_size: an int, or one for each axis.
        stride, padding, dilation, groups: as of `functional.conv2d`; the padding also "same" or "valid".
        bias: whether to add a bias.
        generator: what weight and bias are drawn from: U(-a, a), a = 1 / sqrt(fan_in), as in PyTorch, for each output is a
            sum of fan_in = in_channels / groups * (the kernel's size) products.

    Attributes:
        weight: (out_channels, in_channels / groups, *kernel_size).
        bias: (out_channels,), or None.
    """

    axes: int
    function: Callable[..., Tensor]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        (self.groups,) = sizes(groups, 1, "groups")
        check_sizes(self, in_channels=in_channels, out_channels=out_channels)
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % self.groups:
                raise ValueError(f"{name} of {type(self).__name__} must be a multiple of groups={self.groups}, got {channels}.")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = sizes(kernel_size, self.axes, "kernel_size")
        self.stride, self.dilation = sizes(stride, self.axes, "stride"), sizes(dilation, self.axes, "dilation")
        padding_widths(padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else sizes(padding, self.axes, "padding", 0)
        shape = (out_channels, in_channels // self.groups, *self.kernel_size)
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = Parameter(init.uniform(shape, bound, generator))
        self.bias = Parameter(init.uniform((out_channels,), bound, generator)) if bias else None

    def forward(self, x: Array) -> Tensor:
        return type(self).function(as_tensor(x), self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        defaults = {"padding": (0,) * self.axes, "dilation": (1,) * self.axes, "groups": 1}
        others = [f", {name}={getattr(self, name)}" for name, default in defaults.items() if getattr(self, name) != default]
        bias = ", bias=False" if self.bias is None else ""
        return f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}{''.join(others)}{bias}"


class Conv1d(Convolution):
    """y = weight * x + bias, a cross-correlation along one axis: x (N, C, L) or (C, L); see `Convolution`."""

    axes, function = 1, staticmethod(F.conv1d)


class Conv2d(Convolution):
    """y = weight * x + bias, a cross-correlation along two axes: x (N, C, H, W) or (C, H, W); see `Convolution`."""

    axes, function = 2, staticmethod(F.conv2d)

"""Max, average and adaptive average pooling, over one axis and two."""

from collections.abc import Callable

from .. import functional as F
from ..functional.convolution import Size, sizes
from ..functional.pooling import pooling_sizes
from ..rules import Array
from ..tensor import Tensor
from .module import Module, as_tensor


class MaxPool(Module):
    """What MaxPool1d and MaxPool2d share: the maximum of each window; of several, the first gets the gradient.

    Args:
        kernel_size, stride, padding, dilation, ceil_mode: as of `functional.max_pool2d`.
    """

    axes: int
    function: Callable[..., Tensor]

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, *, ceil_mode: bool = False
    ) -> None:
        pooling_sizes(self.axes, kernel_size, stride, padding, dilation)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation, self.ceil_mode = padding, dilation, ceil_mode

    def forward(self, x: Array) -> Tensor:
        return type(self).function(as_tensor(x), self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(MaxPool):
    """The maximum of each window: x (N, C, L) or (C, L); see `MaxPool`."""

    axes, function = 1, staticmethod(F.max_pool1d)


class MaxPool2d(MaxPool):
    """The maximum of each window: x (N, C, H, W) or (C, H, W); see `MaxPool`."""

    axes, function = 2, staticmethod(F.max_pool2d)


class AvgPool(Module):
    """What AvgPool1d and AvgPool2d share: the mean of each window.

    Args:
        kernel_size, stride, padding, ceil_mode, count_include_pad: as of `functional.avg_pool2d`.
    """

    axes: int
    function: Callable[..., Tensor]

    def __init__(
        self, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:
        pooling_sizes(self.axes, kernel_size, stride, padding)
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode, self.count_include_pad = padding, ceil_mode, count_include_pad

    def forward(self, x: Array) -> Tensor:
        return type(self).function(as_tensor(x), self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(AvgPool):
    """The mean of each window: x (N, C, L) or (C, L); see `AvgPool`."""

    axes, function = 1, staticmethod(F.avg_pool1d)


class AvgPool2d(AvgPool):
    """The mean of each window: x (N, C, H, W) or (C, H, W); see `AvgPool`."""

    axes, function = 2, staticmethod(F.avg_pool2d)


class AdaptiveAvgPool(Module):
    """What AdaptiveAvgPool1d and AdaptiveAvgPool2d share: the mean of each of `output_size` parts.

    Args:
        output_size: as of `functional.adaptive_avg_pool2d`.
    """

    axes: int
    function: Callable[..., Tensor]

    def __init__(self, output_size: int | tuple[int | None, ...] | None) -> None:
        sizes(output_size, self.axes, "output_size", optional=True)
        self.output_size = output_size

    def forward(self, x: Array) -> Tensor:
        return type(self).function(as_tensor(x), self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool):
    """The mean of each part: x (N, C, L) or (C, L) to (N, C, output_size), or without N; see `AdaptiveAvgPool`."""

    axes, function = 1, staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(AdaptiveAvgPool):
    """The mean of each part: x (N, C, H, W) or (C, H, W) to (N, C, *output_size), or without N; see `AdaptiveAvgPool`."""

    axes, function = 2, staticmethod(F.adaptive_avg_pool2d)

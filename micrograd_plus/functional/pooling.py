"""Pooling: the maximum or mean of each window along the last one or two axes. Shapes and settings are PyTorch's."""

import functools
import math

import numpy as np

from .. import rules
from ..tensor import Tensor, apply, stack
from .convolution import Size, Sizes, Widths, axes, of_channels, padded, sizes


def max_pool1d(
    x: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False
) -> Tensor:
    """The maximum of each window: x (N, C, L) or (C, L); else as `max_pool2d`."""
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, 1)


def max_pool2d(
    x: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, dilation: Size = 1, ceil_mode: bool = False
) -> Tensor:
    """The maximum of each window: x (N, C, H, W) or (C, H, W).

    Of several maxima, the first in C order gets the gradient. A window with a NaN gives NaN, and the first NaN gets the gradient
    (in PyTorch the last). Whole numbers keep their dtype.

    Args:
        x: the input.
        kernel_size: k, an int or one for each axis.
        stride: s, by default the kernel's size.
        padding: p <= k / 2, minus infinity (of whole numbers, the least) on both sides of each axis.
        dilation: d, the distance between the elements of a window.
        ceil_mode: whether a last window may hang over the end, if it starts within the input or the padding before it.

    Returns:
        (N, C, (H + 2 p - d (k - 1) - 1) // s + 1, the same of W), or without N; with `ceil_mode`, the quotient is rounded up.

    Raises:
        ValueError: a setting or shape that does not fit, or a kernel that exceeds the padded input.
    """
    return _max_pool(x, kernel_size, stride, padding, dilation, ceil_mode, 2)


def _max_pool(x: Tensor, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size, ceil_mode: bool, n: int) -> Tensor:
    kernel, stride, padding, dilation = pooling_sizes(n, kernel_size, stride, padding, dilation)
    widths = _widths(x, kernel, stride, padding, dilation, ceil_mode)
    if widths != ((0, 0),) * n:
        x = padded(x, widths, _least(x.dtype))
    return apply(rules.window_max, apply(rules.windows, x, size=kernel, stride=stride, dilation=dilation), ndim=n)


def _least(dtype: np.dtype) -> float:
    """What no value of a dtype is less than."""
    if dtype.kind == "f":
        return -math.inf
    return False if dtype.kind == "b" else np.iinfo(dtype).min


def avg_pool1d(
    x: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window: x (N, C, L) or (C, L); else as `avg_pool2d`."""
    return _avg_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad, 1)


def avg_pool2d(
    x: Tensor, kernel_size: Size, stride: Size | None = None, padding: Size = 0, ceil_mode: bool = False, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window: x (N, C, H, W) or (C, H, W).

    Args:
        x: the input.
        kernel_size, stride, ceil_mode: as of `max_pool2d`.
        padding: p <= k / 2, zeros on both sides of each axis.
        count_include_pad: whether the zeros of the padding count in the number that a window's sum is divided by. What hangs
            over the end in `ceil_mode` never does.

    Returns:
        (N, C, (H + 2 p - k) // s + 1, the same of W), or without N; with `ceil_mode`, the quotient is rounded up.

    Raises:
        ValueError: a setting or shape that does not fit, or a kernel that exceeds the padded input.
    """
    return _avg_pool(x, kernel_size, stride, padding, ceil_mode, count_include_pad, 2)


def _avg_pool(x: Tensor, kernel_size: Size, stride: Size | None, padding: Size, ceil_mode: bool, count_include_pad: bool, n: int) -> Tensor:
    kernel, stride, padding, dilation = pooling_sizes(n, kernel_size, stride, padding)
    widths = _widths(x, kernel, stride, padding, dilation, ceil_mode)
    # Padded also by nothing: over windows, sums are fast where the channels are last in memory.
    seen = apply(rules.windows, padded(x, widths), size=kernel, stride=stride, dilation=dilation)
    counts = []
    for length, positions, k, s, p in zip(x.shape[-n:], seen.shape[-2 * n : -n], kernel, stride, padding, strict=True):
        start, margin = np.arange(positions) * s - p, p if count_include_pad else 0
        counts.append(np.minimum(start + k, length + margin) - np.maximum(start, -margin))
    return seen.sum(tuple(range(-n, 0))) / functools.reduce(np.multiply.outer, counts)


def adaptive_avg_pool1d(x: Tensor, output_size: int | tuple[int | None, ...] | None) -> Tensor:
    """The mean of each of `output_size` parts: x (N, C, L) or (C, L); else as `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool(x, output_size, 1)


def adaptive_avg_pool2d(x: Tensor, output_size: int | tuple[int | None, ...] | None) -> Tensor:
    """The mean of each of `output_size` parts: x (N, C, H, W) or (C, H, W) to (N, C, *output_size), or without N.

    Of an axis of length L, part i of m is elements floor(i L / m) to ceil((i + 1) L / m); neighbours overlap where m does not
    divide L.

    Args:
        x: the input.
        output_size: m, an int or one for each axis; `None` leaves the axis as it is.

    Raises:
        ValueError: an output size below 1, or an input of other axes.
    """
    return _adaptive_avg_pool(x, output_size, 2)


def _adaptive_avg_pool(x: Tensor, output_size: int | tuple[int | None, ...] | None, n: int) -> Tensor:
    wanted = sizes(output_size, n, "output_size", optional=True)
    _check_axes(x, n)
    for axis, m in zip(range(x.ndim - n, x.ndim), wanted, strict=True):
        length = x.shape[axis]
        if m not in (None, length):
            parts = [(slice(None),) * axis + (slice(i * length // m, -(-(i + 1) * length // m)),) for i in range(m)]
            x = stack([x[part].mean(axis) for part in parts], axis)
    return x


def _check_axes(x: Tensor, n: int) -> None:
    if x.ndim not in (n + 1, n + 2):
        raise ValueError(f"pooling over {axes(n)} needs input {of_channels('C', n)}, got shape {x.shape}. Check the layer before it.")


def _widths(x: Tensor, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes, ceil_mode: bool) -> Widths:
    """How far each axis of x must be padded, (before, after), so that every window is whole.

    Raises:
        ValueError: an input of other axes, or one that is too small for a window.
    """
    _check_axes(x, len(kernel))
    widths = []
    for length, k, s, p, d in zip(x.shape[-len(kernel) :], kernel, stride, padding, dilation, strict=True):
        span = d * (k - 1) + 1
        room = length + 2 * p - span
        over = -room % s if ceil_mode else 0
        if room + over >= length + p:  # such a window would start in the padding at the end
            over = 0
        if room + over < 0:
            raise ValueError(
                f"a window must fit into the padded input, got one of {span} for {length + 2 * p}. Add padding or use a smaller kernel."
            )
        widths.append((p, p + over))
    return tuple(widths)


def pooling_sizes(n: int, kernel_size: Size, stride: Size | None, padding: Size, dilation: Size = 1) -> tuple[Sizes, Sizes, Sizes, Sizes]:
    """The settings of a pooling over `n` axes, each as n ints.

    Raises:
        ValueError: one that is no int or too small, or padding above half the kernel.
    """
    kernel, padding = sizes(kernel_size, n, "kernel_size"), sizes(padding, n, "padding", 0)
    if [k for k, p in zip(kernel, padding, strict=True) if 2 * p > k]:
        raise ValueError(f"padding must be at most half of kernel_size={kernel}, got {padding}: a window would see nothing else.")
    return kernel, kernel if stride is None else sizes(stride, n, "stride"), padding, sizes(dilation, n, "dilation")

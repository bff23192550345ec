"""Convolution: a matrix product with the windows that slide along the last one or two axes.

Shapes are PyTorch's, (N, C, L) and (N, C, H, W). In memory, results have their channels last: a row of a window is then one
run of memory, and windows are copied, multiplied and added back at its speed.
"""

from typing import Any

import numpy as np

from .. import rules
from ..tensor import Tensor, apply

Size = int | tuple[int, ...]
Sizes = tuple[int, ...]
Widths = tuple[tuple[int, int], ...]


def conv1d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1
) -> Tensor:
    """y[n, o, i] = bias[o] + sum over c, k of weight[o, c, k] x[n, c, stride i + dilation k - padding]; else as `conv2d`.

    Args:
        x: (N, C, L) or (C, L).
        weight: (O, C / groups, K).
        bias: (O,).
        stride, padding, dilation, groups: as of `conv2d`.

    Returns:
        (N, O, (L + 2 padding - dilation (K - 1) - 1) // stride + 1), or without N.
    """
    return _convolution(x, weight, bias, stride, padding, dilation, groups, 1)


def conv2d(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Size = 1, padding: Size | str = 0, dilation: Size = 1, groups: int = 1
) -> Tensor:
    """y[n, o, i, j] = bias[o] + sum over c, k, l of weight[o, c, k, l] x[n, c, s i + d k - p, s j + d l - p], x zero outside.

    A cross-correlation, as in PyTorch: the kernel is not flipped. With groups, the channels fall into so many parts, and
    those of y see only those of x in the same part.

    Args:
        x: (N, C, H, W) or (C, H, W).
        weight: (O, C / groups, K, L).
        bias: (O,).
        stride: s, an int or one for each axis.
        padding: p, zeros on both sides of each axis; "valid" is 0, "same" so many that y is as large as x (for stride 1; of an
            odd number, the far side gets one more).
        dilation: d, the distance between the elements of x that a kernel sees.
        groups: divides C and O.

    Returns:
        (N, O, (H + 2 p - d (K - 1) - 1) // s + 1, the same of W and L), or without N.

    Raises:
        ValueError: a setting or shape that does not fit, or a kernel that exceeds the padded input.

    References: Dumoulin and Visin, 2016, arXiv:1603.07285, for the settings.
    """
    return _convolution(x, weight, bias, stride, padding, dilation, groups, 2)


def _convolution(
    x: Tensor, weight: Tensor, bias: Tensor | None, stride: Size, padding: Size | str, dilation: Size, groups: int, n: int
) -> Tensor:
    stride, dilation, (groups,) = sizes(stride, n, "stride"), sizes(dilation, n, "dilation"), sizes(groups, 1, "groups")
    if weight.ndim != n + 2 or len(weight) % groups:
        raise ValueError(
            f"the weight of a convolution over {axes(n)} must be of shape (O, C / groups, kernel) with groups dividing O, "
            f"got {weight.shape} and groups={groups}."
        )
    kernel, channels = weight.shape[2:], weight.shape[1] * groups
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"the bias of a convolution must have an element per output channel, shape {weight.shape[:1]}, got {bias.shape}.")
    if x.ndim not in (n + 1, n + 2) or x.shape[-n - 1] != channels:
        raise ValueError(
            f"a convolution with weight of shape {weight.shape} and groups={groups} needs input {of_channels(channels, n)}, got {x.shape}. "
            + _advice(x.shape, channels, n)
        )
    widths = padding_widths(padding, kernel, stride, dilation)
    spans = tuple([d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)])
    room = tuple([size + before + after for size, (before, after) in zip(x.shape[-n:], widths, strict=True)])
    if [size for size, span in zip(room, spans, strict=True) if size < span]:
        raise ValueError(
            f"a kernel must fit into the padded input, got one that spans {spans} for {room}. Add padding or use a smaller kernel."
        )
    batch = padded(x if x.ndim == n + 2 else x.reshape(1, *x.shape), widths)
    y = apply(rules.convolution, batch, weight, stride=stride, dilation=dilation, groups=groups)
    y = y if bias is None else y + bias.reshape(-1, *(1,) * n)
    return y if x.ndim == n + 2 else y.squeeze(0)


def _advice(shape: Sizes, channels: int, n: int) -> str:
    """How an input of this shape may become one with so many channels."""
    if len(shape) == n + 2 and shape[-1] == channels:
        return f"The channels go before {axes(n)}: np.moveaxis(x, -1, 1)."
    if len(shape) in (n, n + 1) and channels == 1:
        return f"Add the axis of the one channel: x[..., None{', :' * n}]."
    return "Check the layer before it."


def padded(x: Tensor, widths: Widths, value: float = 0.0) -> Tensor:
    """x (..., C, *spatial) within a border along the spatial axes, in new memory that has the channels last."""
    c = x.ndim - len(widths) - 1
    y = x.transpose(*range(c), *range(c + 1, x.ndim), c)
    y = apply(rules.pad, y, widths=((0, 0),) * c + widths + ((0, 0),), value=value)
    return y.transpose(*range(c), x.ndim - 1, *range(c, x.ndim - 1))


def axes(n: int) -> str:
    """The names of the last n axes."""
    return "L" if n == 1 else "H, W"


def of_channels(channels: int | str, n: int) -> str:
    """What an error says of the shape that an input must have."""
    return f"(N, {channels}, {axes(n)}) or ({channels}, {axes(n)})"


def sizes(value: Any, n: int, name: str, least: int = 1, optional: bool = False) -> Sizes:
    """A setting of `n` axes, an int or n of them, as n ints; where it is optional, any may be None.

    Raises:
        ValueError: another number of them, or one that is no int or below `least`.
    """
    values: tuple[Any, ...] = tuple(value) if isinstance(value, (tuple, list)) else (value,) * n
    given = [x for x in values if not optional or x is not None]
    if len(values) != n or [x for x in given if not isinstance(x, (int, np.integer)) or x < least]:
        raise ValueError(f"{name} must be {f'{n} ints or ' * (n > 1)}an int of at least {least}{', or None' * optional}, got {value!r}.")
    return values


def padding_widths(padding: Size | str, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Widths:
    """The padding of a convolution, (before, after) of each axis.

    Raises:
        ValueError: "same" with a stride, or a padding that is neither "same" nor "valid" nor whole numbers from 0 on.
    """
    if padding == "same":
        if max(stride) > 1:
            raise ValueError(f"padding 'same' needs stride 1, got {stride}. Give the padding as a number.")
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple([(total // 2, total - total // 2) for total in totals])
    whole = 0 if padding == "valid" else padding
    return tuple([(p, p) for p in sizes(whole, len(kernel), "padding other than 'same' and 'valid'", 0)])

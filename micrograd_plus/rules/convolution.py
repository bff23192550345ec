"""Convolution in the sense of neural networks, the cross-correlation of x with a weight.

    y[n, o, i, ...] = sum over c, k, ... of weight[o, c, k, ...] x[n, c, stride i + dilation k, ...]

The sum of g y, for a cotangent g, is linear in each of x, weight and g. Its gradients with respect to g, x and weight are the
three operations here, and each has the other two as its pullbacks.

They are matrix products. The matrix of all windows is many times as large as x; it is made for a block of examples at a time,
which stays in the cache, and never kept. (`windows` and a product, composed, give the same, and keep it; the tests compare.)
In memory, results have their channels last: a row of a window then is one run. With one channel in each group (a depthwise
convolution), they would be products of single columns; such are done elementwise.

References: Chellapilla et al., 2006, High performance convolutional neural networks for document processing, for the product.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .rule import Array, Pulled, derivative_of, primitive
from .windows import Sizes, places, slide

BLOCK = 1 << 19  # elements of the matrices that are made at once, which then stay in the cache


def _depthwise(weight_shape: Sizes, groups: int) -> bool:
    """Whether each channel of y is made of one of x, and of another one each."""
    return weight_shape[:2] == (groups, 1)


def _groups(weight_shape: Sizes, groups: int) -> Iterator[tuple[slice, slice]]:
    """The channels of x and of y in each group; all of a depthwise convolution, which are taken at once."""
    count = 1 if _depthwise(weight_shape, groups) else groups
    out, part = weight_shape[0] // count, weight_shape[1] * groups // count
    for i in range(count):
        yield slice(i * part, (i + 1) * part), slice(i * out, (i + 1) * out)


def _blocks(x: Array, shape: Sizes, stride: Sizes, dilation: Sizes) -> Iterator[tuple[slice, Array]]:
    """The windows of some examples of x (N, C, *spatial) at a time, as rows (their N * positions, size * C), channels last.

    shape: of the weight.
    """
    windows = slide(x, size=shape[2:], stride=stride, dilation=dilation)
    windows = windows.transpose(0, *range(2, windows.ndim), 1)
    length = math.prod(windows.shape[x.ndim - 1 :])
    step = _examples(math.prod(windows.shape[1 : x.ndim - 1]), length + shape[0])
    for start in range(0, len(x), step):
        block = slice(start, start + step)
        yield block, windows[block].reshape(-1, length)


def _examples(positions: int, width: int) -> int:
    """How many examples, of so many rows each, make a block."""
    return max(1, BLOCK // (positions * width))


def _last(x: Array) -> Array:
    """x (N, C, ...) as (N, ..., C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def _second(x: Array) -> Array:
    """x (N, ..., C) as (N, C, ...)."""
    return x.transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def _each(subscripts: str, rows: Array, columns: Array) -> Array:
    """The product of each channel of rows (n, size * C) with its own of columns (..., C); half precision is added up in single."""
    by_place = rows.reshape(len(rows), -1, columns.shape[1])
    return np.einsum(subscripts, by_place, columns, dtype=np.result_type(rows, columns, np.float32))


@primitive
def correlate(x: Array, weight: Array, *, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    """The cross-correlation of x (N, C, *spatial) and weight (O, C / groups, *size): (N, O, *positions)."""
    positions = slide(x, size=weight.shape[2:], stride=stride, dilation=dilation).shape[2 : x.ndim]
    out = np.empty((len(x), *positions, len(weight)), np.result_type(x, weight))
    depthwise = _depthwise(weight.shape, groups)
    for inside, outside in _groups(weight.shape, groups):
        by_place = np.ascontiguousarray(weight[outside].transpose(*range(2, weight.ndim), 1, 0))
        columns = by_place.reshape(math.prod(weight.shape[1:]), -1)
        for block, rows in _blocks(x[:, inside], weight.shape, stride, dilation):
            y = _each("nkc,kc->nc", rows, columns) if depthwise else rows @ columns
            out[block, ..., outside] = y.reshape(out[block, ..., outside].shape)
    return _second(out)


@primitive
def correlate_input(g: Array, weight: Array, *, spatial: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    """The gradient with respect to x, (N, C, *spatial), of the sum of g (N, O, *positions) times the cross-correlation."""
    positions = g.shape[2:]
    out = np.zeros((len(g), *spatial, weight.shape[1] * groups), np.result_type(g, weight))
    depthwise = _depthwise(weight.shape, groups)
    for inside, outside in _groups(weight.shape, groups):
        rows = _last(g[:, outside])
        rows = rows.reshape(-1, rows.shape[-1])
        matrices = np.ascontiguousarray(weight[outside].transpose(*range(2, weight.ndim), 0, 1))
        for place, there in places(weight.shape[2:], positions, stride, dilation):
            x = rows * matrices[place].T if depthwise else rows @ matrices[place]
            out[(slice(None), *there, inside)] += x.reshape(len(g), *positions, x.shape[-1])
    return _second(out)


@primitive
def correlate_weight(x: Array, g: Array, *, size: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Array:
    """The gradient with respect to the weight, (O, C / groups, *size), of the sum of g (N, O, *positions) times the cross-correlation."""
    shape = (g.shape[1], x.shape[1] // groups, *size)
    out, depthwise = np.zeros((*size, shape[1], shape[0]), np.result_type(x, g)), _depthwise(shape, groups)
    for inside, outside in _groups(shape, groups):
        for block, rows in _blocks(x[:, inside], shape, stride, dilation):
            columns = _last(g[block, outside]).reshape(len(rows), -1)
            products = _each("nkc,nc->kc", rows, columns) if depthwise else rows.T @ columns
            out[..., outside] += products.reshape(out[..., outside].shape)
    return out.transpose(-1, -2, *range(len(size)))


@derivative_of(correlate)
def convolution(x: Array, weight: Array, *, stride: Sizes, dilation: Sizes, groups: int) -> Pulled:
    """x (N, C, *spatial) and weight (O, C / groups, *size) to y (N, O, *positions)."""
    spatial, size = x.shape[2:], weight.shape[2:]
    settings: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    return correlate(x, weight, **settings), (
        lambda g: correlate_input(g, weight, spatial=spatial, **settings),
        lambda g: correlate_weight(x, g, size=size, **settings),
    )


@derivative_of(correlate_input)
def convolution_input(g: Array, weight: Array, *, spatial: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Pulled:
    """g (N, O, *positions) and weight (O, C / groups, *size) to the cotangent of x, (N, C, *spatial)."""
    size = weight.shape[2:]
    settings: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    return correlate_input(g, weight, spatial=spatial, **settings), (
        lambda x: correlate(x, weight, **settings),
        lambda x: correlate_weight(x, g, size=size, **settings),
    )


@derivative_of(correlate_weight)
def convolution_weight(x: Array, g: Array, *, size: Sizes, stride: Sizes, dilation: Sizes, groups: int) -> Pulled:
    """x (N, C, *spatial) and g (N, O, *positions) to the cotangent of the weight, (O, C / groups, *size)."""
    spatial = x.shape[2:]
    settings: dict[str, Any] = {"stride": stride, "dilation": dilation, "groups": groups}
    return correlate_weight(x, g, size=size, **settings), (
        lambda weight: correlate_input(g, weight, spatial=spatial, **settings),
        lambda weight: correlate(x, weight, **settings),
    )

"""The affine map, look-up in a table, and dropout."""

import numpy as np

from .. import effects, rules
from ..rules import Array
from ..tensor import Tensor, _array, apply, where


def linear(x: Array, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x @ weight + bias: x (..., in), weight (in, out), bias (out,)."""
    return apply(rules.matmul, x, weight) if bias is None else apply(rules.affine, x, weight, bias)


def embedding(indices: Array, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """weight[indices]: indices of any shape, whole numbers in [0, rows); weight (rows, features).

    Args:
        padding_idx: a row that gets no gradient, in [-rows, rows), from the end where negative.

    Raises:
        ValueError: an index is fractional or out of range, or the padding_idx is out of range.
    """
    positions = whole_numbers(indices, len(weight), "embedding indices")
    taken = apply(rules.take_rows, weight, positions)
    if padding_idx is None:
        return taken
    return where((positions == padding_row(padding_idx, len(weight)))[..., None], taken.detach(), taken)


def padding_row(padding_idx: int, rows: int) -> int:
    """The row of an embedding that is meant, counted from 0.

    Raises:
        ValueError: it is not in [-rows, rows).
    """
    if not -rows <= padding_idx < rows:
        raise ValueError(f"padding_idx of an embedding with {rows} rows must be in [{-rows}, {rows}), got {padding_idx}.")
    return padding_idx % rows


def dropout(x: Tensor, p: float, training: bool = True, generator: np.random.Generator | None = None) -> Tensor:
    """Zero each element with probability p and scale the others by 1 / (1 - p); x itself when not training.

    Raises:
        ValueError: in training, p is not in [0, 1].

    References: Srivastava et al., 2014, JMLR 15, in the inverted form.
    """
    return x * _dropout_mask(x.shape, p, x.dtype, generator) if training and p else x


def dropout2d(x: Tensor, p: float, training: bool = True, generator: np.random.Generator | None = None) -> Tensor:
    """Zero each channel of x (N, C, H, W) with probability p and scale the others by 1 / (1 - p); x itself when not training.

    Raises:
        ValueError: x has other axes; or in training, p is not in [0, 1].

    References: Tompson et al., 2015, arXiv:1411.4280, section 3.2.
    """
    if x.ndim != 4:
        raise ValueError(f"dropout2d needs input of shape (N, C, H, W), got {x.shape}. Use dropout for single elements.")
    return x * _dropout_mask((*x.shape[:2], 1, 1), p, x.dtype, generator) if training and p else x


def _dropout_mask(shape: tuple[int, ...], p: float, dtype: np.dtype, generator: np.random.Generator | None) -> np.ndarray:
    """Zeros with probability p, else 1 / (1 - p), independently."""
    if not 0 <= p <= 1:
        raise ValueError(f"the probability p of dropout must be in [0, 1], got {p}.")
    keep = effects.draw(generator, "random", shape, np.float32) >= p
    return np.astype(keep, dtype) * (1 / (1 - p) if p < 1 else 0.0)


def whole_numbers(values: Array, count: int, what: str) -> np.ndarray:
    """Class indices or positions as an int array, from an array or Tensor of whole numbers in any dtype.

    Raises:
        ValueError: a value is fractional, or not in [0, count).
    """
    array = _array(values)
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

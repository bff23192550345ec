"""The affine map, look-up in a table, and dropout."""

import numpy as np

from .. import effects, rules
from ..rules import Array
from ..tensor import Tensor, apply


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

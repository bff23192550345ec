"""Positions added to a sequence."""

import numpy as np

from .. import functional as F
from ..rules import Array
from ..tensor import Tensor
from .feedforward import Dropout
from .module import Module, as_tensor


class SinusoidalPositions(Module):
    """dropout(x + sinusoidal_positions(L, dim)) for x of shape (..., L, dim).

    Args:
        dim: size of the last axis.
        max_len: the longest sequence.
        dropout: probability with which an element of the sum is dropped, in training.
        generator: what dropout draws from.

    Attributes:
        table: (max_len, dim), a buffer.

    References: Vaswani et al., 2017, arXiv:1706.03762, sections 3.5 and 5.4.
    """

    table: np.ndarray

    def __init__(self, dim: int, max_len: int, dropout: float = 0.0, generator: np.random.Generator | None = None) -> None:
        self.register_buffer("table", F.sinusoidal_positions(max_len, dim))
        self.dropout = Dropout(dropout, generator)

    def forward(self, x: Array) -> Tensor:
        """x (..., L, dim), L at most max_len, to the same shape."""
        x, (max_len, dim) = as_tensor(x), self.table.shape
        if x.ndim < 2 or x.shape[-1] != dim or x.shape[-2] > max_len:
            raise ValueError(
                f"SinusoidalPositions({dim}, {max_len}) needs input of shape (..., L, {dim}) with L at most {max_len}, got {x.shape}. "
                "Put the sequence on the axis before the last, or raise max_len."
            )
        moved: Tensor = self.dropout(x + self.table[: x.shape[-2]])
        return moved

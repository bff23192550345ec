"""Positions in a sequence: sinusoids to add to it, and rotations of queries and keys."""

import numpy as np

from ..rules import Array
from ..tensor import Tensor, stack, unstack


def sinusoidal_positions(length: int, dim: int) -> Tensor:
    """A table (length, dim) of positions: column 2i is sin(t / 10000^(2i / dim)) at position t, column 2i + 1 the cosine of the same.

    References: Vaswani et al., 2017, arXiv:1706.03762, section 3.5.

    >>> sinusoidal_positions(2, 2)
    Tensor([[0.        , 1.        ],
            [0.84147096, 0.5403023 ]])
    """
    for name, size in (("length", length), ("dim", dim)):
        if size < 1:
            raise ValueError(f"{name} of sinusoidal positions must be at least 1, got {size}.")
    column = np.arange(dim)
    angles = np.arange(length)[:, None] * 10000.0 ** (-2 * (column // 2) / dim)
    return Tensor(np.where(column % 2, np.cos(angles), np.sin(angles)))


def rotary(x: Array, base: float = 10000.0, offset: int = 0) -> Tensor:
    """Each pair of features (2i, 2i + 1) rotated by the angle t base^(-2i / D), t the position: x (..., L, D) to the same shape.

    The product of a query rotated for position s and a key rotated for position t depends on s and t through t - s alone. Pairs
    are neighbours, as in the paper; code that pairs i with i + D / 2 (Llama's, in Hugging Face) orders the features in another way.

    Args:
        x: queries or keys, one head: D must be even.
        base: of the geometric series of frequencies.
        offset: the position of the first row.

    References: Su et al., 2021, arXiv:2104.09864, eq. 15 and 34.
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.ndim < 2 or x.shape[-1] % 2:
        raise ValueError(f"rotary positions need x of shape (..., L, D) with D even, got {x.shape}. They rotate pairs of features.")
    length, dim = x.shape[-2:]
    angles = np.arange(offset, offset + length)[:, None] * base ** (-np.arange(0, dim, 2) / dim)
    cos, sin = np.cos(angles), np.sin(angles)
    even, odd = unstack(x.reshape(*x.shape[:-1], dim // 2, 2), axis=-1)
    return stack([even * cos - odd * sin, even * sin + odd * cos], axis=-1).reshape(x.shape)

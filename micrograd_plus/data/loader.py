"""Batches for a training loop."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import effects
from ..tensor import Tensor


class DataLoader:
    """Cut examples and their targets into batches, in a new random order in every epoch.

    Each iteration over the loader is one epoch and yields `(X_batch, y_batch)`, two arrays of the same length: `batch_size`,
    or what remains, for the last. `len(loader)` is the number of batches, ceil(N / batch_size).

    Args:
        X: (N, ...) examples, an array, a Tensor or nested lists.
        y: (N, ...) targets, likewise.
        batch_size: at least 1.
        shuffle: whether to draw a new order for every epoch; otherwise the given order is kept.
        generator: a `numpy.random.Generator` to draw the orders from; None is the library's own, which `set_seed` seeds.

    Raises:
        ValueError: X and y differ in length or are empty, or `batch_size` is below 1.

    >>> loader = DataLoader(np.arange(10).reshape(5, 2), [0, 1, 0, 1, 0], batch_size=2, shuffle=False)
    >>> [X.shape for X, y in loader]
    [(2, 2), (2, 2), (1, 2)]
    """

    def __init__(
        self,
        X: ArrayLike | Tensor,
        y: ArrayLike | Tensor,
        batch_size: int = 32,
        shuffle: bool = True,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.X = _array(X, "X")
        self.y = _array(y, "y")
        if len(self.X) != len(self.y):
            raise ValueError(f"DataLoader needs one target per example, got {len(self.X)} examples in X and {len(self.y)} targets in y.")
        if len(self.X) == 0:
            raise ValueError("DataLoader needs at least one example, got none.")
        size: Any = batch_size
        if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1:
            raise ValueError(f"batch_size must be an int of at least 1, got {batch_size!r}.")
        self.batch_size = int(size)
        self.shuffle = shuffle
        self.generator = generator

    def __len__(self) -> int:
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        count = len(self.X)
        if self.shuffle:
            order = effects.draw(self.generator, "permutation", count)
        else:
            order = np.arange(count)
        for start in range(0, count, self.batch_size):
            batch = order[start : start + self.batch_size]
            yield self.X[batch], self.y[batch]


def _array(values: ArrayLike | Tensor, name: str) -> NDArray[Any]:
    array = values.data if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim == 0:
        raise ValueError(f"{name} must have a first axis of examples, got a single {array.dtype} number.")
    return array

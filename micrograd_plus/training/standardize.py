"""The layer that the others of a training run are built on."""

from typing import Any

import numpy as np

from ..layers import Module
from ..tensor import Tensor


class Standardize(Module):
    """y = (x - mean) / std, two numbers, so that over all pixels of the training images y has mean 0 and standard deviation 1.

    Args:
        images: the training images. Only their mean and standard deviation are kept, as buffers, saved with the model.
    """

    mean: np.ndarray[Any, np.dtype[np.float32]]
    std: np.ndarray[Any, np.dtype[np.float32]]

    def __init__(self, images: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        self.register_buffer("mean", np.float32(images.mean(dtype=np.float64)))
        self.register_buffer("std", np.float32(images.std(dtype=np.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """Standardize images x of any shape."""
        return (x - self.mean) / self.std

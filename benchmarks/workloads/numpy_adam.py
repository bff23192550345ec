"""Adam by hand in NumPy, for the libraries that have none."""

from typing import Any

import numpy as np

from .problems import LR


class Adam:
    """Adam that writes into arrays, with PyTorch's defaults."""

    def __init__(self, arrays: list[np.ndarray]) -> None:
        self.arrays, self.lr, self.t = arrays, LR, 0
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in arrays]

    def step(self, gradients: list[Any]) -> None:
        """One update by gradients in the order of the arrays."""
        self.t += 1
        rate, root = self.lr / (1 - 0.9**self.t), (1 - 0.999**self.t) ** 0.5
        for p, (m, v), g in zip(self.arrays, self.moments, gradients, strict=True):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * np.square(g)
            p -= rate * m / (np.sqrt(v) / root + 1e-8)

"""Initial values of weights. Each takes a shape (fan_in, fan_out) and a NumPy generator, and returns an array of the default dtype.

The scale keeps the variance of activations (fan_in) and of gradients (fan_out) about the same from layer to layer.
"""

import math

import numpy as np

from . import effects
from .tensor import Tensor

Shape = tuple[int, int]


def xavier_normal(shape: Shape, generator: np.random.Generator | None = None) -> np.ndarray:
    """N(0, 2 / (fan_in + fan_out)).

    References: Glorot and Bengio, 2010, AISTATS, eq. 12, for a normal distribution.
    """
    return normal(shape, math.sqrt(2 / sum(shape)), generator)


def xavier_uniform(shape: Shape, generator: np.random.Generator | None = None) -> np.ndarray:
    """U(-a, a), a = sqrt(6 / (fan_in + fan_out)).

    References: Glorot and Bengio, 2010, AISTATS, eq. 16.
    """
    return uniform(shape, math.sqrt(6 / sum(shape)), generator)


def kaiming_normal(shape: Shape, generator: np.random.Generator | None = None) -> np.ndarray:
    """N(0, 2 / fan_in), for layers followed by ReLU.

    References: He et al., 2015, arXiv:1502.01852, eq. 10.
    """
    return normal(shape, math.sqrt(2 / shape[0]), generator)


def kaiming_uniform(shape: Shape, generator: np.random.Generator | None = None) -> np.ndarray:
    """U(-a, a), a = sqrt(6 / fan_in), for layers followed by ReLU.

    References: He et al., 2015, arXiv:1502.01852, eq. 10.
    """
    return uniform(shape, math.sqrt(6 / shape[0]), generator)


def normal(shape: tuple[int, ...], std: float = 1.0, generator: np.random.Generator | None = None) -> np.ndarray:
    """N(0, std^2)."""
    return Tensor(effects.draw(generator, "normal", 0.0, std, shape)).data


def uniform(shape: tuple[int, ...], bound: float = 1.0, generator: np.random.Generator | None = None) -> np.ndarray:
    """U(-bound, bound)."""
    return Tensor(effects.draw(generator, "uniform", -bound, bound, shape)).data

"""Initial values of weights. Each takes a shape and a NumPy generator, and returns an array of the default dtype.

The scale keeps the variance of activations (fan_in) and of gradients (fan_out) about the same from layer to layer.
Settings are keywords, so that `functools.partial` makes an initialiser for a layer; but of `normal` and `uniform`, which
take their scale second.

>>> from functools import partial
>>> from micrograd_plus import Linear
>>> layer = Linear(3, 4, initializer=partial(xavier_uniform, gain=calculate_gain("tanh")))
>>> layer = Linear(3, 4, initializer=lambda shape, generator: normal(shape, 0.02, generator))
"""

import math

import numpy as np

from . import effects
from .tensor import Tensor

Shape = tuple[int, ...]
Generator = np.random.Generator | None

_GAINS = {
    **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid"), 1.0),
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which weights before a nonlinearity are scaled, PyTorch's table.

    1 for "linear", "sigmoid" and the names of convolutions; 5/3 for "tanh"; sqrt(2) for "relu"; 3/4 for "selu";
    sqrt(2 / (1 + slope^2)) for "leaky_relu", whose slope is `param`, 0.01 by default.

    References: He et al., 2015, arXiv:1502.01852, eq. 14, for relu and leaky_relu.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"nonlinearity must be one of {[*_GAINS, 'leaky_relu']}, got {nonlinearity!r}. Choose the one closest to it.")
    return _GAINS[nonlinearity]


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs an output sums, and how many outputs an input reaches.

    Two axes are a linear map's (fan_in, fan_out). More are a convolution's (out, in / groups, *kernel): fan_in is
    in / groups times the size of the kernel, fan_out is out times it, as in PyTorch.
    """
    if not isinstance(shape, (tuple, list)):
        raise TypeError(
            f"an initialiser takes a shape, a tuple of ints, got {type(shape).__name__}. "
            "It changes nothing, but returns values: weight.data[...] = xavier_normal(weight.shape)."
        )
    if len(shape) < 2:
        raise ValueError(f"fans need a shape of two axes, or of a convolution's three or more, got {shape}. Use zeros, ones or uniform.")
    first, second, *kernel = shape
    return (second * math.prod(kernel), first * math.prod(kernel)) if kernel else (first, second)


def xavier_normal(shape: Shape, generator: Generator = None, *, gain: float = 1.0) -> np.ndarray:
    """N(0, gain^2 * 2 / (fan_in + fan_out)).

    References: Glorot and Bengio, 2010, AISTATS, eq. 12, for a normal distribution.
    """
    return normal(shape, gain * math.sqrt(2 / sum(fans(shape))), generator)


def xavier_uniform(shape: Shape, generator: Generator = None, *, gain: float = 1.0) -> np.ndarray:
    """U(-a, a), a = gain * sqrt(6 / (fan_in + fan_out)).

    References: Glorot and Bengio, 2010, AISTATS, eq. 16.
    """
    return uniform(shape, gain * math.sqrt(6 / sum(fans(shape))), generator)


def kaiming_normal(
    shape: Shape, generator: Generator = None, *, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> np.ndarray:
    """N(0, gain^2 / fan), for layers followed by ReLU, or by a leaky ReLU of slope `a`.

    Args:
        shape: of the weight, see `fans`.
        generator: what the values are drawn from.
        a: the slope of the leaky ReLU.
        mode: "fan_in" keeps the variance of activations, "fan_out" that of gradients.
        nonlinearity: whose gain to use, see `calculate_gain`.

    References: He et al., 2015, arXiv:1502.01852, eq. 10 and 14.
    """
    return normal(shape, _kaiming_std(shape, a, mode, nonlinearity), generator)


def kaiming_uniform(
    shape: Shape, generator: Generator = None, *, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu"
) -> np.ndarray:
    """U(-bound, bound), bound = gain * sqrt(3 / fan); arguments and reference as for `kaiming_normal`."""
    return uniform(shape, math.sqrt(3) * _kaiming_std(shape, a, mode, nonlinearity), generator)


def _kaiming_std(shape: Shape, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}.")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(shape)[mode == "fan_out"])


def orthogonal(shape: Shape, generator: Generator = None, *, gain: float = 1.0) -> np.ndarray:
    """`gain` times a matrix with orthonormal rows or columns, whichever are fewer, uniform over all of those.

    The rows are the first axis, the columns the others together.

    References: Saxe et al., 2014, arXiv:1312.6120; Mezzadri, 2007, arXiv:math-ph/0609050, section 5 (the signs).
    """
    if len(shape) < 2:
        raise ValueError(f"orthogonal needs a shape of two axes or more, got {shape}. Use normal.")
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(effects.draw(generator, "standard_normal", (max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diagonal(r))  # without it, the distribution would not be uniform
    return Tensor(gain * (q if rows >= columns else q.T).reshape(shape)).data


def trunc_normal(
    shape: Shape, generator: Generator = None, *, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> np.ndarray:
    """N(mean, std^2) given that a <= value <= b, by inversion of its distribution function."""
    from statistics import NormalDist  # would be a part of the package's import time

    if not std > 0:
        raise ValueError(f"std of trunc_normal must be positive, got {std}.")
    distribution = NormalDist(mean, std)
    low, high = distribution.cdf(a), distribution.cdf(b)
    if not low < high:
        raise ValueError(f"trunc_normal needs bounds a < b between which N({mean}, {std}^2) has values, got {a} and {b}.")
    limits = np.finfo(float)
    share = np.clip(effects.draw(generator, "uniform", low, high, shape), limits.tiny, 1 - limits.epsneg)  # 0 and 1 have no inverse
    return Tensor(np.clip(np.vectorize(distribution.inv_cdf, otypes=[float])(share), a, b)).data


def normal(shape: Shape, std: float = 1.0, generator: Generator = None) -> np.ndarray:
    """N(0, std^2)."""
    return Tensor(effects.draw(generator, "normal", 0.0, std, shape)).data


def uniform(shape: Shape, bound: float = 1.0, generator: Generator = None) -> np.ndarray:
    """U(-bound, bound)."""
    return Tensor(effects.draw(generator, "uniform", -bound, bound, shape)).data


def zeros(shape: Shape, generator: Generator = None) -> np.ndarray:
    """Zeros, for the last layer of a branch that starts as nothing."""
    return Tensor(np.zeros(shape)).data


def ones(shape: Shape, generator: Generator = None) -> np.ndarray:
    """Ones, for a scale."""
    return Tensor(np.ones(shape)).data

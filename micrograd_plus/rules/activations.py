"""Activation functions, elementwise."""

import math

import numpy as np

from .primitives import logistic, normal_cdf
from .rule import Array, Pulled, derivative_of


def relu(x: Array) -> Pulled:
    """max(x, 0); its derivative at 0 is 0."""
    return np.maximum(x, 0), (lambda g: g * (x > 0),)


def leaky_relu(x: Array, *, slope: float) -> Pulled:
    """x where x > 0, slope * x elsewhere; its derivative at 0 is the slope."""
    value = np.maximum(x, 0) + slope * np.minimum(x, 0)
    return value, (lambda g: g * (x > 0) + slope * g * (x <= 0),)


def elu(x: Array, *, alpha: float) -> Pulled:
    """x where x > 0, alpha (e^x - 1) elsewhere; its derivative at 0 is alpha.

    References: Clevert et al., 2016, arXiv:1511.07289, eq. 15.
    """
    below = np.minimum(x, 0)
    value = np.maximum(x, 0) + alpha * np.expm1(below)
    return value, (lambda g: g * (x > 0) + g * (alpha * np.exp(below)) * (x <= 0),)


def tanh(x: Array) -> Pulled:
    """Hyperbolic tangent."""
    y = np.tanh(x)
    return y, (lambda g: g * (1 - y * y),)


@derivative_of(logistic)
def sigmoid(x: Array) -> Pulled:
    """1 / (1 + e^-x)."""
    y = logistic(x)
    return y, (lambda g: g * (y * (1 - y)),)


def softplus(x: Array) -> Pulled:
    """log(1 + e^x), without overflow."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), (lambda g: g * logistic(x),)


def silu(x: Array) -> Pulled:
    """x sigmoid(x).

    References: Elfwing et al., 2018, arXiv:1702.03118.
    """
    s = logistic(x)
    return x * s, (lambda g: g * (s * (1 + x * (1 - s))),)


def _normal_pdf(x: Array) -> Array:
    return np.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))


@derivative_of(normal_cdf)
def phi(x: Array) -> Pulled:
    """The standard normal distribution function, P(Z <= x)."""
    return normal_cdf(x), (lambda g: g * _normal_pdf(x),)


def gelu(x: Array) -> Pulled:
    """x Phi(x), Phi the standard normal distribution function (not its tanh approximation).

    References: Hendrycks and Gimpel, 2016, arXiv:1606.08415.
    """
    cdf = normal_cdf(x)
    return x * cdf, (lambda g: g * (cdf + x * _normal_pdf(x)),)


def gelu_tanh(x: Array) -> Pulled:
    """x (1 + tanh(z)) / 2, z = sqrt(2 / pi) (x + 0.044715 x^3), which is gelu to 5e-4.

    A rule of its own for speed: with its pullback it takes half the time of the composition, and less than half of that of gelu.

    References: Hendrycks and Gimpel, 2016, arXiv:1606.08415, section 2.
    """
    cube, scale = 0.044715, math.sqrt(2 / math.pi)
    t = np.tanh(scale * x * (1 + cube * x * x))

    def pullback(g: Array) -> Array:
        slope = scale * (1 + 3 * cube * x * x)
        return g * (0.5 * (1 + t + x * (1 - t * t) * slope))

    return 0.5 * x * (1 + t), (pullback,)

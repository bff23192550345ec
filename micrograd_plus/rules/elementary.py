"""Elementary functions beyond those of arithmetic."""

import math

import numpy as np

from .rule import Array, Pulled


def log2(x: Array) -> Pulled:
    """Logarithm to base 2."""
    return np.log2(x), (lambda g: g / (x * math.log(2)),)


def log10(x: Array) -> Pulled:
    """Logarithm to base 10."""
    return np.log10(x), (lambda g: g / (x * math.log(10)),)


def tan(x: Array) -> Pulled:
    """Tangent of an angle in radians."""
    y = np.tan(x)
    return y, (lambda g: g * (1 + y * y),)


def arctan(x: Array) -> Pulled:
    """The angle in [-pi/2, pi/2] whose tangent is x."""
    return np.arctan(x), (lambda g: g / (1 + x * x),)

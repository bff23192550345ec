"""Elementwise arithmetic and elementary functions, with broadcasting."""

import math

import numpy as np

from .rule import Array, Pulled, linear


@linear
def add(x: Array, y: Array) -> Pulled:
    """x + y."""
    return x + y, (lambda g: g, lambda g: g)


@linear
def subtract(x: Array, y: Array) -> Pulled:
    """x - y."""
    return x - y, (lambda g: g, lambda g: -g)


def multiply(x: Array, y: Array) -> Pulled:
    """x * y."""
    return x * y, (lambda g: g * y, lambda g: g * x)


def divide(x: Array, y: Array) -> Pulled:
    """x / y."""
    return x / y, (lambda g: g / y, lambda g: -g * (x / y) / y)  # y * y might be 0, or infinite


def power(x: Array, y: Array) -> Pulled:
    """x ** y.

    dx: y x^(y-1), 0 where y = 0. dy: x^y log x, 0 where x = 0 and y >= 0 (its limit from the right).
    """
    value = x**y

    def pullback_x(g: Array) -> Array:
        if isinstance(y, (int, float)):
            return g * (y * x ** (y - 1)) if y != 0 else g * 0
        at_zero = (x == 0) & (y == 0)
        return g * (y * x ** (np.where(at_zero, 1.0, y) - 1))  # y may be unsigned, so y - 1 would wrap

    def pullback_y(g: Array) -> Array:
        if isinstance(x, (int, float)) and x > 0:
            return g * (value * math.log(x))
        at_limit = (x == 0) & (y >= 0)
        return g * np.where(at_limit, 0, value * np.log(np.where(at_limit, 1, x)))

    return value, (pullback_x, pullback_y)


@linear
def negative(x: Array) -> Pulled:
    """-x."""
    return -x, (lambda g: -g,)


def maximum(x: Array, y: Array) -> Pulled:
    """max(x, y), elementwise; a tie gives each half of the gradient."""
    return np.maximum(x, y), (
        lambda g: g * (x > y) + g * 0.5 * (x == y),
        lambda g: g * (y > x) + g * 0.5 * (x == y),
    )


def minimum(x: Array, y: Array) -> Pulled:
    """min(x, y), elementwise; a tie gives each half of the gradient."""
    return np.minimum(x, y), (
        lambda g: g * (x < y) + g * 0.5 * (x == y),
        lambda g: g * (y < x) + g * 0.5 * (x == y),
    )


@linear
def where(condition: Array, x: Array, y: Array) -> Pulled:
    """x where the condition holds, y elsewhere.

    The branch not taken gets a zero cotangent, but what lies before it may turn 0 into NaN (0 * inf): choose a safe
    argument with a second `where` inside that branch.
    """
    return np.where(condition, x, y), (None, lambda g: np.where(condition, g, 0), lambda g: np.where(condition, 0, g))


def clip(x: Array, *, low: float | None, high: float | None) -> Pulled:
    """min(max(x, low), high); `None` leaves a side open. The gradient passes where low <= x <= high, bounds included."""
    low, high = -np.inf if low is None else low, np.inf if high is None else high
    return np.clip(x, low, high), (lambda g: g * ((x >= low) & (x <= high)),)


def absolute(x: Array) -> Pulled:
    """|x|; its derivative at 0 is 0."""
    return np.abs(x), (lambda g: g * np.sign(x),)


def exp(x: Array) -> Pulled:
    """e^x."""
    y = np.exp(x)
    return y, (lambda g: g * y,)


def log(x: Array) -> Pulled:
    """Natural logarithm."""
    return np.log(x), (lambda g: g / x,)


def log1p(x: Array) -> Pulled:
    """log(1 + x), precise near 0."""
    return np.log1p(x), (lambda g: g / (1 + x),)


def expm1(x: Array) -> Pulled:
    """e^x - 1, precise near 0."""
    return np.expm1(x), (lambda g: g * np.exp(x),)


def sqrt(x: Array) -> Pulled:
    """Square root; its derivative at 0 is infinite."""
    y = np.sqrt(x)
    return y, (lambda g: g * 0.5 / y,)


def square(x: Array) -> Pulled:
    """x^2."""
    return np.square(x), (lambda g: g * 2 * x,)


def sin(x: Array) -> Pulled:
    """Sine of an angle in radians."""
    return np.sin(x), (lambda g: g * np.cos(x),)


def cos(x: Array) -> Pulled:
    """Cosine of an angle in radians."""
    return np.cos(x), (lambda g: -g * np.sin(x),)

"""Array functions that NumPy lacks, or can only do in place. Rules call them; none mutates its arguments."""

import math
from typing import Any

import numpy as np

from .rule import Array, primitive

ONE_HOT_LIMIT = 256  # rows of a table up to which a one-hot product beats np.add.at


@primitive
def constant(x: Array) -> Array:
    """x itself, as a constant: nothing is differentiated through it."""
    return x


@primitive
def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), to full relative precision in both tails, without overflow."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


# Chebyshev coefficients in s = 4t - 2 of log(erfc(u) / t) + u^2, where t = 2 / (2 + u), u >= 0; computed with 50 digits.
# fmt: off
_LOG_ERFC = (
    -1.3026537197817094342, 0.6419697923564902603, 0.019476473204185836312, -0.0095615147868086316419,
    -0.0009465953444820368663, 0.00036683949785276145187, 0.000042523324806907771645, -0.000020278578112534243154,
    -1.6242900046470255135e-6, 1.3036558355805232018e-6, 1.5626441722066143178e-8, -8.5238095914926542525e-8,
    6.5290544390988514964e-9, 5.0593434955514689418e-9, -9.9136415649303308674e-10, -2.2736512229318358557e-10,
    9.646791102015526802e-11, 2.3940380830391147447e-12, -6.8860275264975533984e-12, 8.9448792730907257167e-13,
    3.1309213993429580783e-13, -1.1270822361367252366e-13, 3.8109052551892320552e-16, 7.1060976136092369878e-15,
    -1.5230282014571043043e-15, -9.4574945712912340005e-17, 1.2102371892242789923e-16, -2.8166630877471769718e-17,
)
# fmt: on
_FLOAT32_TERMS = 13


@primitive
def normal_cdf(x: Array) -> Array:
    """Phi(x) = P(Z <= x), Z standard normal, as erfc(u) / 2 in the tail, u = |x| / sqrt(2), to rounding in float32 and float64.

    References: W. H. Press et al., Numerical Recipes, 3rd ed., section 6.2.2, for the form t exp(-u^2 + P(t)) of erfc.
    """
    terms = _LOG_ERFC if x.dtype.itemsize > 4 else _LOG_ERFC[:_FLOAT32_TERMS]
    u = np.abs(x) * (1 / math.sqrt(2))
    t = 2 / (2 + u)
    s = 4 * t - 2
    b, b_next = np.zeros_like(u), np.zeros_like(u)
    for coefficient in terms[:0:-1]:  # Clenshaw's recurrence
        b, b_next = s * b - b_next + coefficient, b
    tail = 0.5 * t * np.exp(0.5 * (terms[0] + s * b) - b_next - u * u)
    return ~np.signbit(x) - np.copysign(tail, x)  # 1 - tail or tail; np.where is ten times slower on mixed signs


@primitive
def scatter_add(values: Array, *, index: Any, shape: tuple[int, ...]) -> Array:
    """Zeros of `shape` with `values` added at `index`; a position that occurs several times gets the sum."""
    out = np.zeros(shape, values.dtype)
    parts = index if isinstance(index, tuple) else (index,)
    if all(part is None or part is Ellipsis or isinstance(part, (int, slice, np.integer)) for part in parts):
        out[index] = values  # basic indexing: no position occurs twice
    else:
        np.add.at(out, index, values)
    return out


@primitive
def scatter_rows(values: Array, indices: Array, *, count: int) -> Array:
    """(count, ...) zeros with values[n] added to row indices[n]: values (N, ...), indices (N,) int in [0, count)."""
    table = values.reshape(len(indices), -1)
    if count <= ONE_HOT_LIMIT:
        out = (np.arange(count)[:, None] == indices).astype(values.dtype) @ table
    else:
        out = np.zeros((count, table.shape[1]), values.dtype)
        np.add.at(out, indices, table)
    return out.reshape(count, *values.shape[1:])

"""Array functions that NumPy lacks, or can only do in place. Rules call them; none mutates its arguments."""

import math
from typing import Any

import numpy as np

from .rule import Array, primitive

CDF_BLOCK = 16_384  # elements: the many intermediate results of a block stay in the cache, and cost no fresh pages of memory
ONE_HOT_LIMIT = 256  # rows of a table up to which a one-hot product beats np.add.at


@primitive
def constant(x: Array) -> Array:
    """x itself, as a constant: nothing is differentiated through it."""
    return x


@primitive
def logistic(x: Array) -> Array:
    """1 / (1 + exp(-x)), to full relative precision in both tails, without overflow."""
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


# log(erfc(u) / t) + u^2 as a polynomial in 2t - 1, where t = 2 / (2 + u), u >= 0; the highest power first. It is the Chebyshev
# series, computed with 50 digits, up to degree 11 for float32 and 27 for float64.
# fmt: off
_LOG_ERFC_32 = (
    -8.72838102169e-5, 8.0007381617e-6, 0.000573766372005, -0.000227910965999, -0.00228876523859, 0.00179406624974,
    0.00880882536939, -0.00988001932402, -0.04689364056, 0.047343887613, 0.672643154775, -0.671794091681,
)
_LOG_ERFC_64 = (
    -1.8902306008944536578e-9, 4.0608821469697202196e-9, 1.1172352263623757873e-8, -3.9171820510271858251e-8,
    1.4448658046252675468e-9, 1.5334345920908176839e-7, -2.4958327617196670135e-7, -1.6849800720653297471e-7,
    1.2500276612569753517e-6, -1.27231190486886998e-6, -2.9479868769982592501e-6, 8.562623420121285649e-6,
    1.3772664134464418373e-7, -3.0187884551394244299e-5, 3.1745179749437403868e-5, 7.14010141275703064e-5,
    -0.00017430294720307621998, -9.3735031170981704879e-5, 0.00067367879558023495912, -0.00014624686337800336423,
    -0.0023458125004828533503, 0.0017589335577990160867, 0.0088249385570606231709, -0.0098726893663899585729,
    -0.046895610231175296479, 0.04734330684190442832, 0.67264322397765672763, -0.67179408405669226601,
)
# fmt: on


@primitive
def normal_cdf(x: Array) -> Array:
    """Phi(x) = P(Z <= x), Z standard normal, as erfc(u) / 2 in the tail, u = |x| / sqrt(2), to rounding in float32 and float64.

    References: W. H. Press et al., Numerical Recipes, 3rd ed., section 6.2.2, for the form t exp(-u^2 + P(t)) of erfc.
    """
    if x.size <= CDF_BLOCK:
        return _normal_cdf(x)
    flat = x.reshape(-1)
    return np.concatenate([_normal_cdf(flat[i : i + CDF_BLOCK]) for i in range(0, x.size, CDF_BLOCK)]).reshape(x.shape)


def _normal_cdf(x: Array) -> Array:
    u = np.abs(x) * (1 / math.sqrt(2))
    t = 2 / (2 + u)
    s = 2 * t - 1
    highest, *others = _LOG_ERFC_64 if x.dtype.itemsize > 4 else _LOG_ERFC_32
    exponent = np.full_like(s, highest)
    for coefficient in others:
        exponent *= s
        exponent += coefficient
    tail = 0.5 * t * np.exp(exponent - u * u)
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
    table = values.reshape(len(indices), math.prod(values.shape[1:]))  # and not -1, which has no meaning where there are no indices
    if count <= ONE_HOT_LIMIT:
        out = (np.arange(count)[:, None] == indices).astype(values.dtype) @ table
    else:
        out = np.zeros((count, table.shape[1]), values.dtype)
        np.add.at(out, indices, table)
    return out.reshape(count, *values.shape[1:])

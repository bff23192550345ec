"""Slopes by finite differences. One step is right for no function: truncation grows with it, rounding shrinks with it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..rules import Array
from ..tensor import Tensor, default_dtype

RATIO = 8.0
STEPS = RATIO ** -np.arange(1, 13)  # from 0.1 to 1e-11
QUICK = STEPS[2:4]  # those whose extrapolation is right to about 1e-11 where the function is tame
SAFETY = 10  # an error that was estimated from few differences may be this much larger
KINK = 1e-5  # slopes to the left and right that differ by less, as a share of the larger, are one


def numerical_gradient(f: Callable[[np.ndarray], Any], x: Array, eps: float = 1e-5) -> np.ndarray:
    """Central differences (f(x + eps e_i) - f(x - eps e_i)) / (2 eps), element by element; their error is O(eps^2).

    Args:
        f: takes a float64 array, returns a number or a Tensor of one element; Tensors that it makes inside are float64.
        x: where; not changed.
        eps: half the distance between the two points.

    Returns:
        A float64 array of the shape of x.
    """
    point = np.array(x.data if isinstance(x, Tensor) else x, np.float64)
    gradient = np.zeros_like(point)
    with default_dtype(np.float64):
        for index in np.ndindex(point.shape):
            above, below = point.copy(), point.copy()
            above[index] += eps
            below[index] -= eps
            gradient[index] = (float(f(above)) - float(f(below))) / (above[index] - below[index])
    return gradient


class Slope(NamedTuple):
    """A derivative by differences.

    Attributes:
        value: the central one; at the edge of where the function is defined, that of the side that is.
        uncertainty: how far off it may be; infinite where no steps agree.
        sides: the slopes to the left and to the right, where they differ: at a kink.
    """

    value: float
    uncertainty: float
    sides: tuple[float, float] | None = None

    def distance(self, slope: float) -> float:
        """How far another slope is from this one; from the interval between the two sides at a kink."""
        sides = self.sides or (self.value,)
        return max(min(sides) - slope, slope - max(sides), 0.0)


@np.errstate(all="ignore")
def slope(phi: Callable[[float], float], guess: float, enough: float, term: float = 0.0) -> Slope:
    """phi'(0), by a ladder of steps: what is believed is the extrapolation that those beside it agree with best.

    Args:
        phi: may return NaN where it is not defined.
        guess, enough: if the first, cheap difference is as near as `enough` to `guess`, and there is no kink, it is taken.
        term: the largest that phi is made of; it is rounded too.

    References: C. J. F. Ridders, Accurate computation of F'(x) and F'(x)F''(x), 1982, for extrapolation with an error estimate.
    """
    here = phi(0.0)
    above, below = (np.array([phi(sign * h) for h in QUICK]) for sign in (1, -1))
    quick = _extrapolated((above - below) / (2 * QUICK), 2)[0]
    jump = _extrapolated((above - 2 * here + below) / QUICK, 1)[0]  # of the slope
    if max(abs(quick - guess), abs(jump)) <= enough:
        return Slope(float(quick), 0.0)
    above, below = (np.array([phi(sign * h) for h in STEPS]) for sign in (1, -1))
    # Of a staircase (a value rounded to a coarse grid), steps that are too small to leave the tread say nothing.
    flat = (above == here) & (below == here)
    first = int(flat.argmax())
    beyond = STEPS[first - 1] + STEPS[min(first + 2, len(STEPS) - 1)]
    if first and above[first - 1] == phi(beyond) and below[first - 1] == phi(-beyond):
        above, below = np.where(flat, np.nan, above), np.where(flat, np.nan, below)
    # Of the values, of the points (which counts as much as the slope is steep), and on the way.
    size, change = (np.nan_to_num(np.abs(part), posinf=0).sum(0) for part in ([above, below], [above - here, below - here]))
    rounding = np.finfo(np.float64).eps * (size + change / STEPS + term) / STEPS
    (left, _), (right, _) = sides = _believed((here - below) / STEPS, 1, rounding), _believed((above - here) / STEPS, 1, rounding)
    central = _believed((above - below) / (2 * STEPS), 2, rounding)
    if abs(left.value - right.value) > left.uncertainty + right.uncertainty + KINK * max(abs(left.value), abs(right.value)):
        return central[0]._replace(sides=(left.value, right.value))
    defined = [side for side, values in zip(sides, (below, above), strict=True) if not np.isnan(values).all()]
    found, diverges = defined[0] if len(defined) == 1 else central
    return found._replace(uncertainty=math.inf) if diverges else found


def _extrapolated(estimates: np.ndarray, order: int) -> np.ndarray:
    """Richardson's extrapolation of estimates whose error is O(step^order), from each two successive steps."""
    return np.asarray((RATIO**order * estimates[1:] - estimates[:-1]) / (RATIO**order - 1))


def _believed(estimates: np.ndarray, order: int, rounding: np.ndarray) -> tuple[Slope, bool]:
    """Of the extrapolations, that which the two beside it agree with best; and whether they rather grow without end.

    A larger step is believed only within what smaller ones leave open: a function may be smooth from afar and not here.
    """
    found = _extrapolated(estimates, order)
    gaps = np.abs(np.diff(found))
    found, smaller, errors = found[1:-1], found[2:], np.maximum(gaps[:-1], gaps[1:]) + rounding[2:-1]
    errors = np.where(np.isfinite(errors), errors, np.inf)
    best = len(errors) - 1
    for k in reversed(range(best)):
        if errors[k] < errors[best] and not abs(found[k] - found[best]) > SAFETY * errors[best]:
            best = k
    grows = abs(smaller[best]) > 2 * abs(found[best]) and errors[best] > 100 * rounding[best + 2]
    return Slope(float(found[best]), SAFETY * float(errors[best])), bool(grows)

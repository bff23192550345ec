"""The analytic gradient of one argument beside differences: along random directions first, by element where one disagrees."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .differences import Slope, slope

TOLERANCE = 1e-5  # of an error, relative
SMALL = 1e-3  # elements whose gradient is smaller, as a share of the largest, get a direction of their own; and numbers near 0
MATCH = 1e-4  # numbers that differ by less, relatively, are taken for the same
MOST = 100  # elements that are looked at one by one


class Element(NamedTuple):
    """One element of an argument's gradient.

    Attributes:
        name: of the argument or parameter.
        position: its index there.
        analytic, numerical: its gradient by the engine and by differences.
        error: their distance as a share of the larger; at a kink, that from the slopes between those to the left and right. If
            differences can't resolve it here, no more than the tolerance.
        kink: the slopes to the left and to the right, where they differ.
    """

    name: str
    position: tuple[int, ...]
    analytic: float
    numerical: float
    error: float
    kink: tuple[float, float] | None = None


class Comparison:
    """The analytic gradient of a function of one array, to be compared with differences.

    Args:
        name: the array's.
        x: where, float64.
        analytic: the gradient there.
        function: of an array like x, to a number, NaN where it is not defined.
        tolerance: the largest error that passes.
        largest: tells the largest term that the function is made of; asked only where a direction disagrees.
    """

    def __init__(
        self,
        name: str,
        x: np.ndarray,
        analytic: np.ndarray,
        function: Callable[[np.ndarray], float],
        tolerance: float,
        largest: Callable[[], float],
    ) -> None:
        self.name, self.x, self.analytic, self.function, self.tolerance = name, x, analytic, function, tolerance
        self.unit = np.maximum(1.0, np.abs(x))  # what counts as a large step
        self.largest, self.term = largest, 0.0
        self.scale = max(abs(function(x)), float(np.abs(analytic * self.unit).max(initial=0)))
        self.unseen = 0.0  # the largest error that differences could not have seen
        self.random = np.random.default_rng(0)

    def run(self) -> tuple[float, list[Element]]:
        """The largest error, and the elements that were looked at one by one: none where random directions agree."""
        every = np.arange(self.x.size)
        sizes = np.abs(self.analytic * self.unit).ravel()
        small = np.flatnonzero(sizes < SMALL * sizes.max(initial=0))
        errors = [self.error_along(part) for part in (every, small if small.size else every)]
        if max(errors) <= self.tolerance:
            return max(errors), []
        self.term = self.largest()
        self.scale = max(self.scale, self.term)
        suspects = self.random.permutation(every)
        for _ in range(math.ceil(math.log2(max(1, suspects.size / MOST)))):
            half, rest = np.array_split(suspects, 2)
            suspects = half if self.error_along(half) > self.tolerance else rest
        elements = [self.element(np.unravel_index(i, self.x.shape)) for i in sorted(suspects)]
        return max(element.error for element in elements), elements

    def error_along(self, part: np.ndarray) -> float:
        """The error along a random direction in these elements; infinite where that can't tell, and the elements must."""
        direction = np.zeros(self.x.size)
        direction[part] = self.random.standard_normal(part.size) / np.sqrt(max(1, part.size))
        v = direction.reshape(self.x.shape) * self.unit
        error, found = self._compared(v, float(np.abs(self.analytic * v).max(initial=0)))
        return math.inf if found.sides or self._coarse(found) else error

    def element(self, position: Sequence[Any]) -> Element:
        """One element, by itself."""
        place = tuple(map(int, position))
        v, unit = np.zeros(self.x.shape), float(self.unit[place])
        v[place] = unit
        error, found = self._compared(v, 0.0)
        # Near 0, a function may change over shorter distances.
        if (error > self.tolerance or self._coarse(found)) and 0 < abs(self.x[place]) < SMALL:
            v[place] = abs(self.x[place])
            closer = self._compared(v, 0.0)
            if closer[1].uncertainty <= MATCH * abs(closer[1].value):
                unit, (error, found) = float(v[place]), closer
        if self._coarse(found):
            self.unseen = max(self.unseen, found.uncertainty / unit)
        numbers = (float(self.analytic[place]), found.value / unit, *(side / unit for side in found.sides or ()))
        analytic, numerical, *sides = (number + 0.0 for number in numbers)  # no -0
        return Element(self.name, place, analytic, numerical, error, (sides[0], sides[1]) if sides else None)

    def _coarse(self, found: Slope) -> bool:
        return found.uncertainty > self.tolerance * (self.scale or 1.0)

    def _compared(self, v: np.ndarray, size: float) -> tuple[float, Slope]:
        """The error along v, as a share of `size`, 0 standing for that of the slopes; and the slope by differences."""
        analytic = float((self.analytic * v).sum())
        found = slope(lambda t: self.function(self.x + t * v), analytic, self.tolerance * (size or abs(analytic)), self.term)
        distance = found.distance(analytic)
        if not distance or math.isnan(distance):
            return 0.0, found
        error = distance / (size or max(abs(analytic), abs(found.value)))
        return error if distance > found.uncertainty else min(error, self.tolerance * distance / found.uncertainty), found

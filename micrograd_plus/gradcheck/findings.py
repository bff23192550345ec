"""The gradient of a function by each array that it reads: compared with differences, and told in words."""

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Tensor, gradients
from .comparison import Comparison, Element
from .diagnosis import LISTED, diagnosed, listed
from .uses import SEED, Use, leading_from, recorded_uses


class Finding(NamedTuple):
    """What was found of one array: its size, the largest error, what disagrees, the kinks, and the words for them."""

    size: int
    max_error: float
    mismatches: list[Element]
    kinks: list[Element]
    text: str


def findings(
    outputs: Callable[[], Any], leaves: Mapping[str, Tensor], tolerance: float, shapes: Mapping[str, tuple[int, ...]] | None = None
) -> Iterator[Finding]:
    """A finding for each leaf.

    Args:
        outputs: reads the leaves where they are; returns a Tensor, or a tuple of them.
        leaves: by name.
        tolerance: the largest error that passes.
        shapes: those of other arrays, by name; a constant factor may come from one.
    """

    def displaced(leaf: Tensor, compute: Callable[[], Any], x: np.ndarray) -> Any:
        before, leaf._data = leaf._data, x
        try:
            return compute()
        finally:
            leaf._data = before

    def number() -> float:
        try:
            return projected(outputs).item()
        except ValueError:  # not defined there
            return math.nan

    for name, leaf in leaves.items():
        _require_finite(leaf.data, name)
    value, again = projected(outputs), projected(outputs).item()
    if value.item() != again:
        raise ValueError(
            f"a gradient check needs a function that gives the same value at the same point, got {value.item()} and then {again}. "
            "Draw random numbers from the library's generator, or outside of the function, and keep no state in it."
        )
    values, uses = _checked(outputs), functools.cache(lambda: recorded_uses(value))
    largest = functools.cache(lambda: max((use.largest_term() for use in uses()), default=0.0))
    sizes = _sizes({**(shapes or {}), **{name: leaf.shape for name, leaf in leaves.items()}, "the value": values[0].shape})
    found = gradients(value, list(leaves.values()), gradient=SEED)
    for (name, leaf), gradient in zip(leaves.items(), found, strict=True):
        analytic = gradient.data / SEED
        _require_finite(analytic, f"the gradient of {name}")
        comparison = Comparison(name, leaf.data, analytic, functools.partial(displaced, leaf, number), tolerance, largest)
        max_error, elements = comparison.run()
        mismatches = worst_first(element for element in elements if element.error > tolerance)
        kinks = [element for element in elements if element.kink]
        text = [_told(mismatches, len(elements), leaf.size)] if mismatches else []
        if any(not element.kink for element in mismatches):
            compute = functools.partial(displaced, leaf, lambda: _checked(outputs)[0].data)
            whole = [Use("the function", leaf.data, _cotangents(values)[0], compute)] if len(values) == 1 else []
            text.append(diagnosed(comparison, elements, leading_from(leaf, uses()), whole, sizes))
        text += _notes(name, kinks, tolerance, comparison.unseen)
        yield Finding(leaf.size, max_error, mismatches, kinks, " ".join(text))


def worst_first(elements: Iterable[Element]) -> list[Element]:
    """By error, but for what rounding may decide."""
    return sorted(elements, key=lambda element: -round(element.error, 6))


def projected(outputs: Callable[[], Any]) -> Tensor:
    """A number: the function's value, if it is one; the sum of its values times random numbers, the same at every call."""
    values = _checked(outputs)
    return functools.reduce(operator.add, [(value * g).sum() for value, g in zip(values, _cotangents(values), strict=True)])


def _checked(outputs: Callable[[], Any]) -> tuple[Tensor, ...]:
    values = outputs()
    values = values if isinstance(values, tuple) else (values,)
    for value in values:
        if not isinstance(value, Tensor):
            raise TypeError(f"a gradient check needs a function that returns a Tensor, got {type(value).__name__}.")
        _require_finite(value.data, "the value of the function")
    return values


def _cotangents(values: tuple[Tensor, ...]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [np.ones(value.shape) if len(values) == value.size == 1 else random.standard_normal(value.shape) for value in values]


def _require_finite(array: np.ndarray, what: str) -> None:
    for index in map(tuple, np.argwhere(~np.isfinite(array)).tolist()):
        raise ValueError(
            f"a gradient check needs finite numbers, {what} is {array[index]}{f' at index {index}' if index else ''}. "
            "Check at another point, or mend what divides by 0 or overflows there."
        )


def _sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[int, str]:
    """Every size that a constant factor may come from, and whose it is."""
    sizes: dict[int, str] = {}
    for name, shape in shapes.items():
        for axis, size in enumerate(shape):
            sizes.setdefault(size, f"the size of axis {axis} of {name}")
    for name, shape in shapes.items():
        sizes.setdefault(math.prod(shape), f"the number of elements of {name}")
    return sizes


def _told(mismatches: list[Element], looked_at: int, size: int) -> str:
    """Which elements disagree, and how far."""
    worst, count = mismatches[0], len(mismatches)
    places = f" ({listed(sorted(element.position for element in mismatches))})" if count < looked_at else ""
    at = f"disagrees, at index {worst.position}" if count == 1 else f"disagree{places}, the worst at index {worst.position}"
    part = f" ({looked_at} of its {size} were looked at)" if looked_at < size else ""
    return (
        f"{count} of {looked_at} elements of {worst.name} {at}: "
        f"analytic {worst.analytic:.6g}, numerical {worst.numerical:.6g}, relative error {worst.error:.2g}{part}."
    )


def _notes(name: str, kinks: list[Element], tolerance: float, unseen: float) -> Iterator[str]:
    """The kinks; and how far differences can tell, where that is not as far as the tolerance."""
    for element in worst_first(kinks)[:LISTED]:
        lies = "lies between" if element.error <= tolerance else "does not lie between"
        yield (
            f"A kink at index {element.position} of {name}: "
            + "the slope is {:.6g} to the left and {:.6g} to the right, ".format(*element.kink or ())
            + f"analytic {element.analytic:.6g} {lies}."
        )
    if len(kinks) > LISTED:
        yield f"{len(kinks) - LISTED} more kinks."
    if unseen:
        coarse = f"are uncertain by up to {unseen:.1g}" if math.isfinite(unseen) else "with steps of different sizes never agree"
        yield f"For {name}, differences {coarse}: they may not see an error."

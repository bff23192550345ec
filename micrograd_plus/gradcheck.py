"""Gradients by finite differences, and checks of the engine's gradients against them.

All is computed in float64, whatever the dtype of what is given: in float32 a central difference is right to about two digits.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from . import effects
from .layers import Module
from .rules import Array
from .tensor import Tensor, default_dtype, gradients

TOLERANCE = 1e-5  # of |analytic - numerical| / max(1, |analytic|, |numerical|)


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


class Mismatch(NamedTuple):
    """An element whose two gradients disagree."""

    argument: int
    position: tuple[int, ...]
    analytic: float
    numerical: float


class GradientCheck(tuple[bool, float]):
    """The result of `gradient_check`: unpacks to (passed, max_error), is true if passed, and carries the diagnosis.

    Attributes:
        passed: whether all elements agree.
        max_error: the largest |analytic - numerical| / max(1, |analytic|, |numerical|).
        mismatches: the elements that disagree, worst first.
        diagnosis: what was found, in words.
    """

    passed: bool
    max_error: float
    mismatches: list[Mismatch]
    diagnosis: str

    def __new__(cls, max_error: float, mismatches: list[Mismatch], diagnosis: str) -> "GradientCheck":
        self = super().__new__(cls, (not mismatches, max_error))
        self.passed, self.max_error = self
        self.mismatches, self.diagnosis = mismatches, diagnosis
        return self

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"GradientCheck(passed={self.passed}, max_error={self.max_error:.2g}): {self.diagnosis}"


def gradient_check(f: Callable[..., Tensor], x: Any, eps: float = 1e-5, tolerance: float = TOLERANCE) -> GradientCheck:
    """Compare the engine's gradient of f with central differences, element by element, in float64.

    Args:
        f: a function of Tensors that returns a Tensor; if that has several elements, a random projection of it is checked.
            What it draws from the library's generator is the same at every call.
        x: a Tensor or array for a function of one, or a tuple of them.
        eps: half the distance of the difference.
        tolerance: the largest error |analytic - numerical| / max(1, |analytic|, |numerical|) that passes.

    Raises:
        TypeError: f returns no Tensor.
        ValueError: the result is not finite.

    >>> passed, max_error = gradient_check(lambda t: (t**3).sum(), [1.0, 2.0])
    >>> passed
    True
    """
    arguments = x if isinstance(x, tuple) else (x,)
    with default_dtype(np.float64), _repeatable([]) as rewind:
        tensors = [Tensor(argument, requires_grad=True, dtype=np.float64) for argument in arguments]

        def evaluate() -> Tensor:
            rewind()
            output = f(*tensors)
            if not isinstance(output, Tensor):
                raise TypeError(f"gradient_check needs a function that returns a Tensor, got {type(output).__name__}.")
            if not np.isfinite(output.data).all():
                raise ValueError("gradient_check needs finite values, the function returns inf or NaN here. Check at another point.")
            if output.size == 1:
                return output.reshape(())
            return (output * np.random.default_rng(0).standard_normal(output.shape)).sum()

        return _compared(*_both_gradients(evaluate, tensors, eps), tolerance)


def check_all_gradients(
    model: Module,
    loss_fn: Callable[..., Tensor],
    sample_input: Array,
    sample_target: Array,
    eps: float = 1e-5,
    tolerance: float = TOLERANCE,
) -> list[tuple[str, bool, float]]:
    """Check the gradient of the loss with respect to every parameter that is not frozen, on a float64 copy of the model.

    Args:
        model: in the mode that it is in; neither it nor its running statistics change.
        loss_fn: (predictions, targets) to a scalar.
        sample_input, sample_target: one small batch.
        eps, tolerance: as for gradient_check.

    Returns:
        (name, passed, max_error) for each parameter.
    """
    attributes = [value for _, module in model.named_modules() for value in vars(module).values()]
    # Results of operations, such as self.hidden, can't be copied, and need not be: the twin's forward() makes its own.
    twin = copy.deepcopy(model, {id(value): value for value in attributes if isinstance(value, Tensor) and not value.is_leaf})
    for parameter in twin.parameters():
        parameter._data, parameter._grad = parameter._data.astype(np.float64), None
    own = [value for _, module in twin.named_modules() for value in vars(module).values() if isinstance(value, np.random.Generator)]
    trained = {name: parameter for name, parameter in twin.named_parameters() if parameter.requires_grad}
    with default_dtype(np.float64), _repeatable(own) as rewind:
        x = Tensor(sample_input)

        def evaluate() -> Tensor:
            rewind()
            return loss_fn(twin(x), sample_target)

        pairs = zip(*_both_gradients(evaluate, list(trained.values()), eps), strict=True)
        return [(name, *_compared([a], [n], tolerance)) for name, (a, n) in zip(trained, pairs, strict=True)]


@contextmanager
def _repeatable(generators: list[np.random.Generator]) -> Iterator[Callable[[], None]]:
    """A function that rewinds these generators and the library's, so that every evaluation draws the same; then all go back."""
    bits = [generator.bit_generator for generator in (effects.default_generator(), *generators)]
    states = [bit.state for bit in bits]

    def rewind() -> None:
        for bit, state in zip(bits, states, strict=True):
            bit.state = state

    try:
        yield rewind
    finally:
        rewind()


def _both_gradients(evaluate: Callable[[], Tensor], tensors: list[Tensor], eps: float) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The gradients of `evaluate()` with respect to leaves that it reads: the engine's, and central differences."""

    def evaluated_at(tensor: Tensor, value: np.ndarray) -> float:
        before, tensor._data = tensor._data, value
        try:
            return evaluate().item()
        finally:
            tensor._data = before

    analytic = [g.data for g in gradients(evaluate(), tensors)]
    numerical = [numerical_gradient(functools.partial(evaluated_at, tensor), tensor, eps) for tensor in tensors]
    return analytic, numerical


def _compared(analytic: list[np.ndarray], numerical: list[np.ndarray], tolerance: float) -> GradientCheck:
    """What the two gradients, one of each per argument, say of each other."""
    errors = [np.abs(a - n) / np.maximum(1, np.maximum(np.abs(a), np.abs(n))) for a, n in zip(analytic, numerical, strict=True)]
    found = [
        (float(e[index]), Mismatch(i, index, float(a[index]), float(n[index])))
        for i, (a, n, e) in enumerate(zip(analytic, numerical, errors, strict=True))
        for index in np.ndindex(a.shape)
        if not e[index] <= tolerance
    ]
    mismatches = [mismatch for _, mismatch in sorted(found, key=lambda pair: -pair[0])]
    max_error = max((float(e.max()) for e in errors if e.size), default=0.0)
    count = sum(a.size for a in analytic)
    if not mismatches:
        return GradientCheck(max_error, [], f"all {count} elements agree, the worst to {max_error:.2g}.")
    worst = mismatches[0]
    diagnosis = (
        f"{len(mismatches)} of {count} elements disagree, the worst at argument {worst.argument}, index {worst.position}: "
        f"analytic {worst.analytic:.6g}, numerical {worst.numerical:.6g}."
    )
    return GradientCheck(max_error, mismatches, diagnosis)

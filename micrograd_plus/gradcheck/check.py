"""Checks of a function's gradient, and of all gradients of a model."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from .. import effects
from ..layers import Module
from ..rules import Array
from ..tensor import Tensor, default_dtype, gradients
from .comparison import TOLERANCE, Element
from .findings import Finding, findings, projected, worst_first


class GradientCheck(tuple[Any, ...]):
    """The result of a check: unpacks to (passed, max_error), that of a parameter to (name, passed, max_error); true if passed.

    Attributes:
        passed: whether the gradients agree.
        max_error: the largest relative error.
        mismatches: the elements that disagree, of those that were looked at, worst first.
        kinks: elements where the slopes to the left and to the right differ.
        diagnosis: what was found, in words.
    """

    passed: bool
    max_error: float
    mismatches: list[Element]
    kinks: list[Element]
    diagnosis: str

    def __new__(cls, found: list[Finding], *name: str) -> "GradientCheck":
        mismatches = worst_first(element for finding in found for element in finding.mismatches)
        max_error = max((finding.max_error for finding in found), default=0.0)
        self = super().__new__(cls, (*name, not mismatches, max_error))
        self.passed, self.max_error, self.mismatches = not mismatches, max_error, mismatches
        self.kinks = [element for finding in found for element in finding.kinks]
        agree = f"all {sum(finding.size for finding in found)} elements agree, the worst to {max_error:.2g}."
        self.diagnosis = " ".join(([] if mismatches else [agree]) + [finding.text for finding in found if finding.text])
        return self

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        name = "".join(f"{part!r}, " for part in self[:-2])
        return f"GradientCheck({name}passed={self.passed}, max_error={self.max_error:.2g}): {self.diagnosis}"


def gradient_check(f: Callable[..., Any], x: Any, order: int = 1, tolerance: float = TOLERANCE) -> GradientCheck:
    """Compare the engine's gradient of f with differences, in float64.

    First along random directions, which costs a few evaluations for each argument, whatever its size; element by element where
    a direction disagrees. Steps of several sizes tell how far differences can be trusted. At a kink (relu at 0, a tie of max)
    any slope from that to the left to that to the right passes, and the kink is reported.

    Args:
        f: a function of Tensors that returns a Tensor or a tuple of them; if they have several elements, a random projection of
            them is checked. What it draws from the library's generator is the same at every call.
        x: a Tensor or array for a function of one, or a tuple of them.
        order: 2 checks the gradient's own gradient too.
        tolerance: the largest error that passes: |analytic - numerical| / max(|analytic|, |numerical|), where differences can
            resolve so much.

    Raises:
        TypeError: f returns no Tensor; an argument is an array of integers or bools.
        ValueError: a value or a gradient is not finite; f gives two values at the same point; order is neither 1 nor 2.

    >>> passed, max_error = gradient_check(lambda t: (t**3).sum(), [1.0, 2.0])
    >>> passed
    True
    >>> from micrograd_plus import apply
    >>> def half_a_square(x):
    ...     return x * x, (lambda g: g * x,)
    >>> print(gradient_check(lambda t: apply(half_a_square, t).sum(), [1.0, 2.0, 3.0]).diagnosis)  # doctest: +NORMALIZE_WHITESPACE
    3 of 3 elements of argument 0 disagree, the worst at index (0,): analytic 1, numerical 2, relative error 0.5.
    Likely a constant factor: analytic = numerical / 2 there, as if a factor 2 were missing.
    The pullback of half_a_square does not fit the value of half_a_square.
    """
    if order not in (1, 2):
        raise ValueError(f"order must be 1 or 2, got {order}.")
    arguments = x if isinstance(x, tuple) else (x,)
    for i, argument in enumerate(arguments):
        dtype = argument.dtype if isinstance(argument, (np.ndarray, Tensor)) else np.float64
        if not np.issubdtype(dtype, np.floating):
            raise TypeError(
                f"a gradient check needs floating arguments, argument {i} has dtype {dtype}. "
                "Convert it, or use it inside of the function: lambda x: f(x, indices)."
            )
    with default_dtype(np.float64), _repeatable([]) as rewind:
        leaves = {f"argument {i}": Tensor(argument, requires_grad=True, dtype=np.float64) for i, argument in enumerate(arguments)}

        def outputs() -> Any:
            rewind()
            return f(*leaves.values())

        def first_gradient() -> Any:
            return gradients(projected(outputs), list(leaves.values()), create_graph=True)

        found = list(findings(outputs, leaves, tolerance))
        if order == 2 and not any(finding.mismatches for finding in found):
            found += findings(first_gradient, {f"the gradient's gradient by {name}": leaf for name, leaf in leaves.items()}, tolerance)
        return GradientCheck(found)


def check_all_gradients(
    model: Module, loss_fn: Callable[..., Tensor], sample_input: Array, sample_target: Array, tolerance: float = TOLERANCE
) -> list[GradientCheck]:
    """Check the gradient of the loss with respect to every parameter that is not frozen, on a float64 copy of the model.

    Args:
        model: in the mode that it is in; neither it nor its running statistics change.
        loss_fn: (predictions, targets) to a scalar.
        sample_input, sample_target: one small batch.
        tolerance: as for gradient_check.

    Returns:
        (name, passed, max_error) for each parameter, with the diagnosis.
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

        def outputs() -> Any:
            rewind()
            return loss_fn(twin(x), sample_target)

        found = findings(outputs, trained, tolerance, {"the input": x.shape})
        return [GradientCheck([finding], name) for name, finding in zip(trained, found, strict=True)]


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

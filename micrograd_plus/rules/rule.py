"""What a rule is, and the marks that a rule or an array function can carry.

A *rule* is a differentiable operation written once: a plain function of arrays that returns its value and,
for each array it was given, a *pullback*, the map from the output's cotangent to that input's:

    rule:      (x, y, ...; options) -> value, (pullback_x, pullback_y, ...)
    pullback:  cotangent of the value -> cotangent of the input

Arrays are positional, options are keywords. `None` in place of a pullback says that the input has no
derivative (labels, indices, masks). A rule may return a tuple of values; each pullback then takes a tuple
of cotangents. Broadcasting is not a rule's business: a pullback may return the broadcast shape, and the
backward walk reduces it.

Rules use NumPy functions and operators alone, never write into an array and never draw a random number, so
whatever speaks NumPy's protocols can run them: arrays compute, Tensors record (which gives derivatives of
derivatives), symbols trace.
"""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np

P = ParamSpec("P")

Array = Any  # what a rule is run on: an ndarray, a Tensor, a symbol, or a number
Pullback = Callable[[Any], Any]
Pulled = tuple[Any, tuple[Pullback | None, ...]]
Rule = Callable[..., Pulled]

LINEAR: set[Rule] = set()
PRIMITIVES: dict[Callable[..., Any], Rule | None] = {}


def linear(rule: Rule) -> Rule:
    """Mark a rule whose pullbacks need no input values, so that the graph need not keep the inputs.

    Its pullbacks must not close over an input that has a pullback, only over shapes and options.
    """
    LINEAR.add(rule)
    return rule


def primitive(function: Callable[P, Any]) -> Callable[P, Any]:
    """Make an ndarray function opaque: given anything else that speaks `__array_function__`, it hands itself over by name.

    For what NumPy lacks or can only do in place. `derivative_of` says which rule differentiates it; a primitive without
    one is a constant to differentiation.
    """

    @functools.wraps(function)
    def dispatch(*args: P.args, **kwargs: P.kwargs) -> Any:
        for x in args:
            if type(x) is not np.ndarray and hasattr(x, "__array_function__"):
                return x.__array_function__(dispatch, (type(x),), args, kwargs)
        return function(*args, **kwargs)

    PRIMITIVES[dispatch] = None
    return dispatch


def derivative_of(function: Callable[..., Any]) -> Callable[[Rule], Rule]:
    """Mark a rule as that of a primitive: the primitive, given a Tensor, applies this rule."""

    def mark(rule: Rule) -> Rule:
        PRIMITIVES[function] = rule
        return rule

    return mark

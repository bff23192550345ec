"""Why a result or a gradient is not finite: what arithmetic says of the values there, and what to do."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from .. import rules, transforms
from ..rules import Rule
from ..tensor import Node, Tensor, _name

SAFE_LOG = "Keep its argument above 0: (x + 1e-8).log(), or in a branch of where(): where(x > 0, x, 1).log()."
SAFE_ROOT = "Add a small number under the root: (x + 1e-12).sqrt()."
DOUBLE_WHERE = (
    "Give the function a safe argument where its branch is not taken, with a second where() inside: "
    "where(x > 0, where(x > 0, x, 1).{0}(), 0), not where(x > 0, x.{0}(), 0)."
)

# What an operation calls its operands, where that says more than its rule's names.
OPERANDS: dict[Rule, tuple[str, ...]] = {
    **dict.fromkeys(
        (rules.add, rules.subtract, rules.multiply, rules.matmul, rules.maximum, rules.minimum), ("left operand", "right operand")
    ),
    rules.divide: ("numerator", "denominator"),
    rules.power: ("base", "exponent"),
    rules.cross_entropy: ("logits", "labels", "weights of the labels"),
    rules.affine: ("input", "weight", "bias"),
}

NAMES = {"_recomputed": "checkpoint", "absolute": "abs", "affine": "affine (x @ weight + bias)"}

ELEMENTWISE = {
    *(rules.add, rules.subtract, rules.multiply, rules.divide, rules.power, rules.maximum, rules.minimum),
    *(rules.clip, rules.absolute, rules.exp, rules.log, rules.log1p, rules.expm1, rules.sqrt, rules.square, rules.sin, rules.cos),
    *(rules.tan, rules.arctan, rules.log2, rules.log10, rules.relu, rules.leaky_relu, rules.elu, rules.tanh, rules.sigmoid),
    *(rules.softplus, rules.silu, rules.gelu, rules.gelu_tanh, rules.phi, rules.cast),
    *(rules.binary_cross_entropy, rules.binary_cross_entropy_with_logits),
}

# They move values, or choose among them, and compute none.
MOVING = {
    *(rules.reshape, rules.transpose, rules.getitem, rules.concatenate, rules.stack, rules.unstack, rules.broadcast_to, rules.where),
    *(rules.pad, rules.take_rows, rules.take_along, rules.windows, rules.negative),
}

# An infinite element of an operand spoils theirs; elsewhere, -inf may be meant, as in a mask before softmax.
PRODUCTS = {rules.matmul, rules.affine, rules.einsum, rules.convolution, rules.convolution_input, rules.convolution_weight}


def name_of(rule: Rule) -> str:
    """What an operation is called."""
    name = _name(rule)
    return "the results of a transform" if joins(rule) else NAMES.get(name, name)


def joins(rule: Rule) -> bool:
    """Whether it is no operation, but what a transform joins the results of a function by, to walk back from them."""
    return _name(rule) == "<lambda>" and rule.__module__ == transforms.__name__


def operand(rule: Rule, k: int) -> str:
    """What an operation calls its input k."""
    names = OPERANDS.get(rule, ())
    if k < len(names):
        return names[k]
    try:
        parameters = list(inspect.signature(rule).parameters.values())
    except (TypeError, ValueError):
        return "input"
    positional = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return "input" if len(positional) == 1 else positional[k] if k < len(positional) else f"input {k}"


class Cause(NamedTuple):
    """What arithmetic says, and what to do about it; and whether values that have grown, as parameters may, explain it."""

    fact: str
    advice: str
    grows: bool = False


@dataclass
class Failure:
    """An element that is not finite: of an operation's result, or of the gradient with respect to its input `position`.

    Attributes:
        rule: the operation.
        inputs: what it was given: Tensors, arrays and numbers.
        options: its settings.
        value: the result or gradient, which has elements that are not finite.
        index: the first of them.
        position: of a gradient, which input it belongs to.
        g: of a gradient, the one that arrives at the operation, there; None where it has another shape.
        mask: of a gradient that arrives as 0, the operation that made it 0.
    """

    rule: Rule
    inputs: tuple[Any, ...]
    options: dict[str, Any]
    value: np.ndarray
    index: tuple[int, ...]
    position: int | None = None
    g: float | None = None
    mask: str = ""
    arrays: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.arrays = [x.data if isinstance(x, Tensor) else x for x in self.inputs]

    def at(self, k: int) -> float | None:
        """The value of input k at the index, where it broadcasts to the result."""
        if k >= len(self.arrays):
            return None
        try:
            return float(np.broadcast_to(self.arrays[k], self.value.shape)[self.index])
        except (ValueError, TypeError):
            return None

    def makers(self, k: int = 0) -> list[Rule]:
        """The operation that made input k, where it was noted, and those before it, as far as the graph has them."""
        if k >= len(self.inputs):
            return []
        noted = getattr(getattr(self.inputs[k], "_line", None), "rule", None)
        return rules_below(self.inputs[k]) or ([noted] if noted else [])

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def overflow(self) -> Cause:
        """That the result is too large."""
        what = "the gradient" if self.position is not None else "the result"
        fact = f"{what} is larger than {self.dtype} can hold, {largest(self.dtype)}"
        if self.position is None:
            return Cause(f"{fact}.", "", grows=True)
        advice = "Make the weights smaller at first, or normalise between layers. clip_grad_norm() comes too late for it."
        return Cause(f"{fact}: gradients have grown on their way back.", advice, grows=True)


def rules_below(x: Any) -> list[Rule]:
    """The operation that made a Tensor, that which made its first input, and so on, three at most, as far as the graph has them."""
    found: list[Rule] = []
    node = getattr(x, "_node", None)
    while isinstance(node, Node) and len(found) < 3:
        found.append(node.rule)
        edges = node.edges() if node.inputs is not None else ()
        node = next((edge for edge in edges if isinstance(edge, Node)), None)
    return found


def largest(dtype: np.dtype) -> str:
    """The largest number of a floating dtype."""
    return f"{np.finfo(dtype).max:.3g}"


# -- results -------------------------------------------------------------------------------------------------------------


def of_result(f: Failure) -> Cause:
    """Why a result is not finite."""
    found = _RESULTS[f.rule](f) if f.rule in _RESULTS else None
    return found or _combined(f) or f.overflow


def _combined(f: Failure) -> Cause | None:
    """What makes NaN of infinities, whatever the operation."""
    if not np.isnan(f.value[f.index]):
        return None
    if any(np.isinf(x).any() for x in f.arrays):
        return Cause("an input is infinite, and inf - inf, 0 * inf and inf / inf are not numbers.", "")
    return Cause(
        f"numbers larger than {f.dtype} can hold, {largest(f.dtype)}, are infinite on the way, and inf - inf and 0 * inf are not numbers.",
        "",
        grows=True,
    )


def _of_log(f: Failure, bound: float = 0.0) -> Cause | None:
    x = f.at(0)
    if x is None or x > bound:
        return None
    if x < bound:
        of = f"1 + x = {1 + x:.6g}" if bound else f"{x:.6g}"
        return Cause(f"the logarithm of {of} is not a number: it is negative.", SAFE_LOG)
    advice = {
        rules.softmax: "softmax has rounded a probability to 0 or 1. Use log_softmax() of the logits in place of both, "
        "or CrossEntropyLoss, which takes logits.",
        rules.sigmoid: "sigmoid has rounded a probability to 0 or 1. BCEWithLogitsLoss takes logits, and needs no logarithm.",
        rules.relu: f"relu makes all negative numbers 0. {SAFE_LOG}",
    }
    maker = next((rule for rule in f.makers() if rule in advice), None)
    return Cause("the logarithm of 0 is -inf.", advice[maker] if maker else SAFE_LOG, grows=maker is not None)


def _of_divide(f: Failure) -> Cause | None:
    x, y = f.at(0), f.at(1)
    if x is None or y is None:
        return None
    advice = "Add a small number to the denominator, or keep it away from 0."
    if y == 0:
        if set(f.makers(1)[:1]) & {rules.sqrt, rules.norm}:
            advice = "The denominator is a norm or a standard deviation; add a small number to it: x / (s + 1e-8)."
        return Cause("0 / 0 is not a number." if x == 0 else "division by 0.", advice)
    if np.isinf(x) and np.isinf(y):
        return Cause("inf / inf is not a number.", "")
    return Cause(f"{x:.3g} / {y:.3g} is larger than {f.dtype} can hold, {largest(f.dtype)}.", advice)


def _of_power(f: Failure) -> Cause | None:
    x, y = f.at(0), f.at(1)
    if x is None or y is None:
        return None
    if x == 0 and y < 0:
        return Cause(f"0 ** {y:.6g} is a division by 0.", "Keep the base away from 0, for instance by .clip(1e-8, None).")
    if x < 0 and y != round(y):
        return Cause(f"a negative number, {x:.6g}, has no real power {y:.6g}.", "Keep the base at 0 or above.")
    return Cause(f"{x:.6g} ** {y:.6g} is larger than {f.dtype} can hold, {largest(f.dtype)}.", "", grows=True)


def _of_sqrt(f: Failure) -> Cause | None:
    x = f.at(0)
    if x is None or x >= 0:
        return None
    advice = "Keep the argument at 0 or above; where rounding makes it negative, limit it by .clip(1e-12, None)."
    return Cause(f"the square root of a negative number, {x:.6g}, is not a number.", advice)


def _of_exp(f: Failure) -> Cause | None:
    x = f.at(0)
    if x is None:
        return None
    limit = float(np.log(np.finfo(f.dtype).max))
    return Cause(
        f"e^x is larger than {f.dtype} can hold where x is over {limit:.4g}.",
        "Subtract the maximum first: softmax(), log_softmax() and logsumexp() do, and losses that take logits.",
        grows=True,
    )


def _of_softmax(f: Failure) -> Cause | None:
    axis = f.options.get("axis", 1 if f.rule is rules.cross_entropy else -1)
    x = f.arrays[0]
    if f.rule is rules.cross_entropy:
        row = x[f.index[0]]
    elif isinstance(axis, int):
        row = np.moveaxis(x, axis, -1)[tuple(np.delete(f.index, axis % x.ndim)) if len(f.index) == x.ndim else f.index]
    else:
        return None
    if (row == -np.inf).all():
        return Cause(
            "all elements that it is taken over are -inf, so there is nothing to choose from.",
            "A mask hides all of them; leave at least one, or mask with a large negative number such as -1e9.",
        )
    return Cause("an element that it is taken over is inf.", "", grows=True) if np.isinf(row).any() else None


def _of_mean(f: Failure) -> Cause | None:
    if f.arrays[0].size:
        return None
    return Cause(f"the mean of no elements is not a number: the input has shape {f.arrays[0].shape}.", "Check what was selected.")


def _of_standardize(f: Failure) -> Cause | None:
    if f.options.get("eps") == 0 and np.isfinite(f.arrays[0]).all():
        return Cause("all values that are standardised are equal, so their variance is 0, and eps is 0.", "Give a positive eps.")
    return _of_mean(f)


def _of_multiply(f: Failure) -> Cause | None:
    x, y = f.at(0), f.at(1)
    if x is None or y is None:
        return None
    if np.isnan(f.value[f.index]):
        return Cause(
            "0 * inf is not a number.",
            "To mask, choose with where(mask, x, -inf) or add -1e9, in place of a product with inf.",
        )
    return Cause(f"{x:.3g} * {y:.3g} is larger than {f.dtype} can hold, {largest(f.dtype)}.", "", grows=True)


def _of_square(f: Failure) -> Cause | None:
    x = f.at(0)
    return None if x is None else Cause(f"the square of {x:.3g} is larger than {f.dtype} can hold, {largest(f.dtype)}.", "", grows=True)


_RESULTS: dict[Rule, Callable[[Failure], Cause | None]] = {
    **dict.fromkeys((rules.log, rules.log2, rules.log10), _of_log),
    rules.log1p: lambda f: _of_log(f, -1.0),
    rules.divide: _of_divide,
    rules.power: _of_power,
    rules.sqrt: _of_sqrt,
    rules.exp: _of_exp,
    rules.expm1: _of_exp,
    rules.multiply: _of_multiply,
    rules.square: _of_square,
    rules.mean: _of_mean,
    rules.standardize: _of_standardize,
    **dict.fromkeys((rules.softmax, rules.log_softmax, rules.logsumexp, rules.cross_entropy), _of_softmax),
}


# -- gradients -----------------------------------------------------------------------------------------------------------


def of_gradient(f: Failure) -> Cause:
    """Why a gradient is not finite."""
    found = _GRADIENTS[f.rule](f) if f.rule in _GRADIENTS else None
    if found is None:
        return f.overflow if np.isinf(f.value[f.index]) else Cause("0 * inf or inf - inf, which are not numbers.", "")
    if f.g == 0 and np.isnan(f.value[f.index]):
        if not f.mask:
            return Cause(f"{found.fact[:-1]}, and the gradient that arrives is 0: 0 * inf is not a number.", found.advice)
        advice = DOUBLE_WHERE.format(getattr(f.rule, "__name__", "f"))
        return Cause(f"{found.fact[:-1]}; {f.mask}, so the gradient that arrives is 0, and 0 * inf is not a number.", advice)
    return found


def _gradient_of_sqrt(f: Failure) -> Cause | None:
    if f.at(0) != 0:
        return None
    inner = f.makers()
    if inner[:1] == [rules.sum] and inner[1:2] and inner[1] in (rules.square, rules.multiply, rules.power):
        return Cause(
            "the norm of a vector of zeros has an infinite derivative: that of sqrt at 0.",
            "Use norm(x), whose gradient there is 0, or add a small number under the root: ((x * x).sum() + 1e-12).sqrt().",
        )
    if inner[:1] == [rules.mean] and inner[1:2] == [rules.square]:
        return Cause(
            "the standard deviation of equal values has an infinite derivative: that of sqrt at 0.",
            "Add a small number under the root: (x.var() + 1e-5).sqrt().",
        )
    return Cause("the derivative of sqrt at 0 is infinite.", SAFE_ROOT)


def _gradient_of_power(f: Failure) -> Cause | None:
    x, y = f.at(0), f.at(1)
    if x is None or y is None:
        return None
    if f.position == 0 and x == 0 and y < 1:
        return Cause(f"the derivative of x ** {y:.6g} at 0 is infinite.", "Keep the base above 0: (x + 1e-12) ** y.")
    if f.position == 0 and x < 0 and y != round(y):
        return Cause(f"a negative number, {x:.6g}, has no real power {y:.6g}.", "Keep the base at 0 or above.")
    if f.position == 1 and x < 0:
        return Cause(
            f"the derivative with respect to the exponent is x ** y * log(x), and the base is negative, {x:.6g}.",
            "Give the exponent as a number, or as a tensor that requires no gradient.",
        )
    return None


def _gradient_of_log(f: Failure, bound: float = 0.0) -> Cause | None:
    x = f.at(0)
    if x is None:
        return None
    shown = f"1 / {x:.3g}" if not bound else f"1 / (1 + {x:.6g})"
    if x == bound:
        return Cause("the derivative of the logarithm at 0 is infinite.", SAFE_LOG)
    return Cause(f"the derivative of the logarithm, {shown}, is so large that the gradient overflows.", SAFE_LOG)


def _gradient_of_divide(f: Failure) -> Cause | None:
    y = f.at(1)
    if y is None:
        return None
    return Cause(
        f"the derivative of a quotient grows as the denominator, {y:.3g}, comes near 0.",
        "Add a small number to the denominator, or keep it away from 0.",
    )


_GRADIENTS: dict[Rule, Callable[[Failure], Cause | None]] = {
    rules.sqrt: _gradient_of_sqrt,
    rules.power: _gradient_of_power,
    **dict.fromkeys((rules.log, rules.log2, rules.log10), _gradient_of_log),
    rules.log1p: lambda f: _gradient_of_log(f, -1.0),
    rules.divide: _gradient_of_divide,
}

"""What the losses share: the reduction, and the checks that predictions, targets and weights fit together."""

from typing import Any

import numpy as np

from ..layers import Module
from ..rules import Array
from ..tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The mean or sum over all elements, or the loss as it is. The mean of no elements is NaN."""
    require_reduction(reduction)
    return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss


def require_reduction(reduction: Any, known: tuple[str, ...] = REDUCTIONS) -> None:
    """Refuse what is no reduction."""
    if not isinstance(reduction, str) or reduction not in known:
        advice = "" if isinstance(reduction, str | None) else " Give other settings by name, such as weight=."
        raise ValueError(f"reduction must be one of {known}, got {reduction!r}.{advice}")


def pair(predictions: Array, targets: Array) -> tuple[Tensor, Tensor]:
    """Predictions and targets as Tensors of one shape."""
    p = predictions if isinstance(predictions, Tensor) else Tensor(predictions)
    t = targets if isinstance(targets, Tensor) else Tensor(targets)
    if p.shape != t.shape:
        raise ValueError(
            f"predictions and targets must have the same shape, got {p.shape} and {t.shape}. "
            "Reshape one, for instance targets.reshape(-1, 1): broadcasting would compare every prediction with every target."
        )
    return p, t


def weighted(loss: Tensor, weight: Array | None) -> Tensor:
    """Each element of the loss times its weight."""
    require_fit(weight, loss, "weight")
    return loss if weight is None else loss * weight


def require_fit(weight: Array | None, x: Tensor, name: str) -> None:
    """Refuse weights that can't be broadcast to the shape of x, or would widen it."""
    if weight is None:
        return
    try:
        fits = np.broadcast_shapes(np.shape(weight), x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{name} must broadcast to the predictions' shape {x.shape}, got {np.shape(weight)}. Reshape it.")


class Loss(Module):
    """A loss with its settings: `loss_fn(predictions, targets)`.

    Args:
        reduction: "mean" or "sum" over all elements, or "none".
        weights: arrays among the settings, kept as buffers; None where there is none.
    """

    reductions: tuple[str, ...] = REDUCTIONS

    def __init__(self, reduction: str = "mean", **weights: Array | None) -> None:
        require_reduction(reduction, self.reductions)
        self.reduction = reduction
        for name, array in weights.items():
            if array is None:
                setattr(self, name, None)
            else:
                self.register_buffer(name, array)

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"

"""What the losses share: the reduction, and the check that predictions and targets have one shape."""

from ..layers import Module
from ..rules import Array
from ..tensor import Tensor

REDUCTIONS = ("mean", "sum", "none")


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """The mean or sum over all elements, or the loss as it is."""
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}.")


def pair(predictions: Array, targets: Array) -> tuple[Tensor, Tensor]:
    """Predictions and targets as Tensors of one shape and dtype."""
    p = predictions if isinstance(predictions, Tensor) else Tensor(predictions)
    t = targets if isinstance(targets, Tensor) else Tensor(targets)
    if p.shape != t.shape:
        raise ValueError(
            f"predictions and targets must have the same shape, got {p.shape} and {t.shape}. "
            "Reshape one, for instance targets.reshape(-1, 1): broadcasting would compare every prediction with every target."
        )
    return p, t


class Loss(Module):
    """A loss with its settings: `loss_fn(predictions, targets)`.

    Args:
        reduction: "mean" or "sum" over all elements, or "none".
    """

    def __init__(self, reduction: str = "mean") -> None:
        if reduction not in REDUCTIONS:
            raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}.")
        self.reduction = reduction

    def extra_repr(self) -> str:
        return f"reduction={self.reduction!r}"

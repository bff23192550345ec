"""Losses of real-valued targets."""

from .. import rules
from ..rules import Array
from ..tensor import Tensor, apply
from .reduction import Loss, pair, reduced


def mse_loss(predictions: Array, targets: Array, reduction: str = "mean") -> Tensor:
    """(p - t)^2."""
    p, t = pair(predictions, targets)
    return reduced(apply(rules.square, p - t), reduction)


def l1_loss(predictions: Array, targets: Array, reduction: str = "mean") -> Tensor:
    """|p - t|; its derivative at 0 is 0."""
    p, t = pair(predictions, targets)
    return reduced((p - t).abs(), reduction)


def huber_loss(predictions: Array, targets: Array, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere, d = p - t.

    References: Huber, 1964, Annals of Mathematical Statistics 35, 73-101.
    """
    if not delta > 0:
        raise ValueError(f"delta of the Huber loss must be positive, got {delta}.")
    p, t = pair(predictions, targets)
    difference = p - t
    inner = difference.clip(-delta, delta)
    return reduced(inner * (difference - 0.5 * inner), reduction)


def smooth_l1_loss(predictions: Array, targets: Array, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """d^2 / (2 beta) where |d| <= beta, |d| - beta / 2 elsewhere, d = p - t: the Huber loss of delta = beta, divided by beta.

    With beta = 0 it is |d|.

    References: Girshick, 2015, arXiv:1504.08083, eq. 3.
    """
    _require_beta(beta)
    return huber_loss(predictions, targets, beta, reduction) / beta if beta else l1_loss(predictions, targets, reduction)


def _require_beta(beta: float) -> None:
    if not beta >= 0:
        raise ValueError(f"beta of the smooth L1 loss must not be negative, got {beta}.")


class MSELoss(Loss):
    """Squared error, (p - t)^2."""

    def forward(self, predictions: Array, targets: Array) -> Tensor:
        return mse_loss(predictions, targets, self.reduction)


class L1Loss(Loss):
    """Absolute error, |p - t|."""

    def forward(self, predictions: Array, targets: Array) -> Tensor:
        return l1_loss(predictions, targets, self.reduction)


class HuberLoss(Loss):
    """d^2 / 2 where |d| = |p - t| <= delta, delta (|d| - delta / 2) elsewhere."""

    def __init__(self, delta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        if not delta > 0:
            raise ValueError(f"delta of the Huber loss must be positive, got {delta}.")
        self.delta = delta

    def forward(self, predictions: Array, targets: Array) -> Tensor:
        return huber_loss(predictions, targets, self.delta, self.reduction)


class SmoothL1Loss(Loss):
    """d^2 / (2 beta) where |d| = |p - t| <= beta, |d| - beta / 2 elsewhere."""

    def __init__(self, beta: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        _require_beta(beta)
        self.beta = beta

    def forward(self, predictions: Array, targets: Array) -> Tensor:
        return smooth_l1_loss(predictions, targets, self.beta, self.reduction)

"""Loss functions, and modules that hold their settings.

Each is called with predictions and targets (Tensors or arrays) and reduced by `reduction`: "mean" or "sum" over all elements,
or "none". Where both have the same meaning they must have the same shape: (N, 1) against (N,) would broadcast to (N, N).
"""

import numpy as np

from . import effects, rules
from . import functional as F
from .layers import Module
from .rules import Array
from .tensor import Tensor, apply

REDUCTIONS = ("mean", "sum", "none")


def _reduced(loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction == "none":
        return loss
    raise ValueError(f"reduction must be one of {REDUCTIONS}, got {reduction!r}.")


def _pair(predictions: Array, targets: Array) -> tuple[Tensor, Tensor]:
    """Predictions and targets as Tensors of one shape and dtype."""
    p = predictions if isinstance(predictions, Tensor) else Tensor(predictions)
    t = targets if isinstance(targets, Tensor) else Tensor(targets)
    if p.shape != t.shape:
        raise ValueError(
            f"predictions and targets must have the same shape, got {p.shape} and {t.shape}. "
            "Reshape one, for instance targets.reshape(-1, 1): broadcasting would compare every prediction with every target."
        )
    return p, t


def mse_loss(predictions: Array, targets: Array, reduction: str = "mean") -> Tensor:
    """(p - t)^2."""
    p, t = _pair(predictions, targets)
    return _reduced(apply(rules.square, p - t), reduction)


def l1_loss(predictions: Array, targets: Array, reduction: str = "mean") -> Tensor:
    """|p - t|; its derivative at 0 is 0."""
    p, t = _pair(predictions, targets)
    return _reduced((p - t).abs(), reduction)


def huber_loss(predictions: Array, targets: Array, delta: float = 1.0, reduction: str = "mean") -> Tensor:
    """d^2 / 2 where |d| <= delta, delta (|d| - delta / 2) elsewhere, d = p - t.

    References: Huber, 1964, Annals of Mathematical Statistics 35, 73-101.
    """
    if not delta > 0:
        raise ValueError(f"delta of the Huber loss must be positive, got {delta}.")
    p, t = _pair(predictions, targets)
    difference = p - t
    inner = difference.clip(-delta, delta)
    return _reduced(inner * (difference - 0.5 * inner), reduction)


def cross_entropy(logits: Array, labels: Array, reduction: str = "mean") -> Tensor:
    """-log softmax(logits)[label]: logits (N, C), labels (N,) whole numbers in [0, C). Stable at any size of logit.

    Raises:
        ValueError: wrong shapes; a label fractional or out of range.
    """
    logits, labels = _classes(logits, labels, "cross-entropy", "logits")
    return _reduced(apply(rules.cross_entropy, logits, labels), reduction)


def nll_loss(log_probabilities: Array, labels: Array, reduction: str = "mean") -> Tensor:
    """-log_probabilities[label]: (N, C), labels (N,) whole numbers in [0, C). Takes what log_softmax gives."""
    scores, labels = _classes(log_probabilities, labels, "the NLL loss", "log-probabilities")
    return _reduced(-scores[np.arange(len(scores)), labels], reduction)


def _classes(scores: Array, labels: Array, what: str, name: str) -> tuple[Tensor, np.ndarray]:
    scores = scores if isinstance(scores, Tensor) else Tensor(scores)
    shape = np.shape(labels)
    if scores.ndim != 2 or shape != scores.shape[:1]:
        advice = (
            "One-hot labels become indices by .argmax(1)."
            if shape == scores.shape and scores.ndim == 2
            else "Give one class index per example."
        )
        raise ValueError(f"{what} needs {name} of shape (N, C) and labels of shape (N,), got {scores.shape} and {shape}. {advice}")
    return scores, F.whole_numbers(labels, scores.shape[1], "labels")


def binary_cross_entropy(probabilities: Array, targets: Array, reduction: str = "mean") -> Tensor:
    """-t log p - (1 - t) log(1 - p), each logarithm at least -100; p and t in [0, 1].

    The bound keeps p = 0 and p = 1 finite, as in PyTorch. `binary_cross_entropy_with_logits` needs none and loses nothing.
    """
    p, t = _pair(probabilities, targets)
    effects.require(
        (p.data >= 0) & (p.data <= 1),
        lambda: (
            f"binary cross-entropy needs probabilities in [0, 1], got {p.data.min()} to {p.data.max()}. "
            "Apply a sigmoid, or use BCEWithLogitsLoss on logits."
        ),
    )
    _require_probabilities(t)
    return _reduced(apply(rules.binary_cross_entropy, p, t), reduction)


def binary_cross_entropy_with_logits(logits: Array, targets: Array, reduction: str = "mean") -> Tensor:
    """softplus(x) - t x, which is binary_cross_entropy(sigmoid(x), t), stable at any size of logit; t in [0, 1]."""
    x, t = _pair(logits, targets)
    _require_probabilities(t)
    return _reduced(x.softplus() - t * x, reduction)


def _require_probabilities(t: Tensor) -> None:
    effects.require(
        (t.data >= 0) & (t.data <= 1), lambda: f"targets of a binary loss must be in [0, 1], got {t.data.min()} to {t.data.max()}."
    )


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


class CrossEntropyLoss(Loss):
    """-log softmax(logits)[label]: raw logits (N, C), class indices (N,)."""

    def forward(self, logits: Array, labels: Array) -> Tensor:
        return cross_entropy(logits, labels, self.reduction)


class NLLLoss(Loss):
    """-log_probabilities[label]: log-probabilities (N, C), class indices (N,)."""

    def forward(self, log_probabilities: Array, labels: Array) -> Tensor:
        return nll_loss(log_probabilities, labels, self.reduction)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities in [0, 1]."""

    def forward(self, probabilities: Array, targets: Array) -> Tensor:
        return binary_cross_entropy(probabilities, targets, self.reduction)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of raw logits."""

    def forward(self, logits: Array, targets: Array) -> Tensor:
        return binary_cross_entropy_with_logits(logits, targets, self.reduction)

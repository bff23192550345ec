"""Losses of classes: negative log-likelihoods of one class among several, and of yes or no."""

import numpy as np

from .. import effects, rules
from .. import functional as F
from ..rules import Array
from ..tensor import Tensor, apply
from .reduction import Loss, pair, reduced


def cross_entropy(logits: Array, labels: Array, reduction: str = "mean") -> Tensor:
    """-log softmax(logits)[label]: logits (N, C), labels (N,) whole numbers in [0, C). Stable at any size of logit.

    Raises:
        ValueError: wrong shapes; a label fractional or out of range.
    """
    logits, labels = _classes(logits, labels, "cross-entropy", "logits")
    return reduced(apply(rules.cross_entropy, logits, labels), reduction)


def nll_loss(log_probabilities: Array, labels: Array, reduction: str = "mean") -> Tensor:
    """-log_probabilities[label]: (N, C), labels (N,) whole numbers in [0, C). Takes what log_softmax gives."""
    scores, labels = _classes(log_probabilities, labels, "the NLL loss", "log-probabilities")
    return reduced(-scores[np.arange(len(scores)), labels], reduction)


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
    p, t = pair(probabilities, targets)
    effects.require(
        (p.data >= 0) & (p.data <= 1),
        lambda: (
            f"binary cross-entropy needs probabilities in [0, 1], got {p.data.min()} to {p.data.max()}. "
            "Apply a sigmoid, or use BCEWithLogitsLoss on logits."
        ),
    )
    _require_probabilities(t)
    return reduced(apply(rules.binary_cross_entropy, p, t), reduction)


def binary_cross_entropy_with_logits(logits: Array, targets: Array, reduction: str = "mean") -> Tensor:
    """softplus(x) - t x, which is binary_cross_entropy(sigmoid(x), t), stable at any size of logit; t in [0, 1]."""
    x, t = pair(logits, targets)
    _require_probabilities(t)
    return reduced(x.softplus() - t * x, reduction)


def _require_probabilities(t: Tensor) -> None:
    effects.require(
        (t.data >= 0) & (t.data <= 1), lambda: f"targets of a binary loss must be in [0, 1], got {t.data.min()} to {t.data.max()}."
    )


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

"""Losses of classes: negative log-likelihoods of one class among several, and of yes or no."""

import numpy as np

from .. import effects, rules
from .. import functional as F
from ..rules import Array
from ..tensor import Tensor, _array, apply, where
from .reduction import Loss, pair, reduced, require_fit, weighted


def cross_entropy(
    logits: Array,
    labels: Array,
    reduction: str = "mean",
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """-w[label] log softmax(logits)[label], w = 1 without `weight`. Stable at any size of logit.

    With label smoothing s: -sum_c q_c w_c log softmax(logits)_c, where q = (1 - s) one_hot(label) + s / C.
    The mean is the sum divided by that of w[label] over the labels that are not ignored. It is NaN, as in PyTorch, where that
    is 0: of an empty batch, or where all labels are ignored (then all gradients are 0).

    Args:
        logits: (N, C), or (N, C, d1, ...) with the classes on axis 1.
        labels: (N,), or (N, d1, ...): whole numbers in [0, C), in any dtype.
        reduction: "mean", "sum", or "none", which has the labels' shape.
        weight: (C,), of the classes.
        ignore_index: this label's loss and gradient are 0; it need not be in [0, C).
        label_smoothing: in [0, 1].

    Raises:
        ValueError: wrong shapes; a label fractional or out of range; a smoothing out of range.

    References: Szegedy et al., 2016, arXiv:1512.00567, section 7 (label smoothing).
    """
    _require_smoothing(label_smoothing)
    rows, classes = labelled(logits, labels, ignore_index, "cross-entropy", "logits")
    w = _class_weights(weight, rows)
    shares = _shares(classes, w, rows.dtype, reduction)
    if label_smoothing:
        one_hot = np.astype(classes[:, None] == np.arange(rows.shape[1]), rows.dtype)
        q = (1 - label_smoothing) * one_hot + label_smoothing / rows.shape[1]
        losses = where(classes >= 0, -(rows.log_softmax(1) * (q if w is None else q * w)).sum(1), 0.0) * shares
    else:
        losses = apply(rules.cross_entropy, rows, classes, shares if w is None else shares * w[classes])
    return _over_labels(losses, labels, reduction)


def nll_loss(
    log_probabilities: Array, labels: Array, reduction: str = "mean", *, weight: Array | None = None, ignore_index: int = -100
) -> Tensor:
    """-w[label] log_probabilities[label], of what log_softmax gives; otherwise as cross_entropy."""
    rows, classes = labelled(log_probabilities, labels, ignore_index, "the NLL loss", "log-probabilities")
    w = _class_weights(weight, rows)
    shares = _shares(classes, w, rows.dtype, reduction)
    losses = where(classes >= 0, -rows[np.arange(len(rows)), classes], 0.0) * (shares if w is None else shares * w[classes])
    return _over_labels(losses, labels, reduction)


def labelled(scores: Array, labels: Array, ignored: int | None, what: str, name: str) -> tuple[Tensor, np.ndarray]:
    """Scores (M, C), a row for each label, and the labels (M,), checked; those that are to be ignored have become -1."""
    scores = scores if isinstance(scores, Tensor) else Tensor(scores)
    shape = np.shape(labels)
    if scores.ndim < 2 or shape != (len(scores), *scores.shape[2:]):
        places = "(N, C) and labels of shape (N,)" if scores.ndim <= 2 else "(N, C, d1, ...) and labels of shape (N, d1, ...)"
        advice = "Give one class index per example."
        if scores.ndim > 1 and shape == scores.shape:
            advice = "One-hot labels become indices by .argmax(1)."
        elif scores.ndim > 2 and shape == scores.shape[:-1]:
            advice = "Classes on the last axis: reshape to logits.reshape(-1, C) and labels.reshape(-1)."
        raise ValueError(f"{what} needs {name} of shape {places}, got {scores.shape} and {shape}. {advice}")
    values = _array(labels).reshape(-1)
    counted = values != ignored
    classes = F.whole_numbers(np.where(counted, values, values.dtype.type(0)), scores.shape[1], "labels")
    if scores.dtype.kind != "f":
        scores = scores * 1.0
    if scores.ndim > 2:
        scores = scores.transpose(0, *range(2, scores.ndim), 1).reshape(len(classes), scores.shape[1])
    return scores, np.where(counted, classes.astype(np.int64, copy=False), -1)


def _class_weights(weight: Array | None, rows: Tensor) -> np.ndarray | None:
    if weight is None:
        return None
    if np.shape(weight) != rows.shape[1:]:
        raise ValueError(f"weight must hold one number per class, shape {rows.shape[1:]}, got {np.shape(weight)}.")
    array: np.ndarray = _array(weight).astype(rows.dtype, copy=False)
    return array


def _shares(classes: np.ndarray, w: np.ndarray | None, dtype: np.dtype, reduction: str) -> Array:
    """What each of the M labels counts: 0 where ignored, 1 elsewhere, but for the mean M / (sum of weights), as it divides by M."""
    counted = classes >= 0
    if reduction != "mean":
        return counted
    total = (counted if w is None else counted * w[classes]).sum(dtype=dtype)
    with np.errstate(divide="ignore", invalid="ignore"):  # the mean of nothing
        return counted * (len(classes) / total)


def _over_labels(losses: Tensor, labels: Array, reduction: str) -> Tensor:
    shape = np.shape(labels)
    return reduced(losses if len(shape) == 1 else losses.reshape(shape), reduction)


def _require_smoothing(label_smoothing: float) -> None:
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing must be in [0, 1], got {label_smoothing}.")


def binary_cross_entropy(probabilities: Array, targets: Array, reduction: str = "mean", *, weight: Array | None = None) -> Tensor:
    """-t log p - (1 - t) log(1 - p), each logarithm at least -100; p and t in [0, 1].

    The bound keeps p = 0 and p = 1 finite, as in PyTorch. `binary_cross_entropy_with_logits` needs none and loses nothing.

    Args:
        probabilities: of any shape.
        targets: of the same shape.
        reduction: "mean" over all elements (also where they are weighted), "sum" or "none".
        weight: of the elements, broadcast to their shape.
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
    return reduced(weighted(apply(rules.binary_cross_entropy, p, t), weight), reduction)


def binary_cross_entropy_with_logits(
    logits: Array, targets: Array, reduction: str = "mean", *, weight: Array | None = None, pos_weight: Array | None = None
) -> Tensor:
    """t softplus(-x) + (1 - t) softplus(x), which is binary_cross_entropy(sigmoid(x), t), precise at any size of logit; t in [0, 1].

    Args:
        logits: x, of any shape.
        targets: t, of the same shape.
        reduction: "mean" over all elements (also where they are weighted), "sum" or "none".
        weight: of the elements, broadcast to their shape.
        pos_weight: multiplies the first term, broadcast to its shape: for instance (C,), negatives per positive of each class.
    """
    x, t = pair(logits, targets)
    _require_probabilities(t)
    require_fit(pos_weight, x, "pos_weight")
    loss = apply(rules.binary_cross_entropy_with_logits, x, t, 1.0 if pos_weight is None else pos_weight)
    return reduced(weighted(loss, weight), reduction)


def _require_probabilities(t: Tensor) -> None:
    effects.require(
        (t.data >= 0) & (t.data <= 1), lambda: f"targets of a binary loss must be in [0, 1], got {t.data.min()} to {t.data.max()}."
    )


class CrossEntropyLoss(Loss):
    """-log softmax(logits)[label]: raw logits (N, C), class indices (N,). The settings are those of `cross_entropy`."""

    weight: np.ndarray | None

    def __init__(
        self, reduction: str = "mean", *, weight: Array | None = None, ignore_index: int = -100, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction, weight=weight)
        _require_smoothing(label_smoothing)
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, logits: Array, labels: Array) -> Tensor:
        return cross_entropy(
            logits,
            labels,
            self.reduction,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Loss):
    """-log_probabilities[label]: log-probabilities (N, C), class indices (N,). The settings are those of `nll_loss`."""

    weight: np.ndarray | None

    def __init__(self, reduction: str = "mean", *, weight: Array | None = None, ignore_index: int = -100) -> None:
        super().__init__(reduction, weight=weight)
        self.ignore_index = ignore_index

    def forward(self, log_probabilities: Array, labels: Array) -> Tensor:
        return nll_loss(log_probabilities, labels, self.reduction, weight=self.weight, ignore_index=self.ignore_index)


class BCELoss(Loss):
    """Binary cross-entropy of probabilities in [0, 1]. The settings are those of `binary_cross_entropy`."""

    weight: np.ndarray | None

    def __init__(self, reduction: str = "mean", *, weight: Array | None = None) -> None:
        super().__init__(reduction, weight=weight)

    def forward(self, probabilities: Array, targets: Array) -> Tensor:
        return binary_cross_entropy(probabilities, targets, self.reduction, weight=self.weight)


class BCEWithLogitsLoss(Loss):
    """Binary cross-entropy of raw logits. The settings are those of `binary_cross_entropy_with_logits`."""

    weight: np.ndarray | None
    pos_weight: np.ndarray | None

    def __init__(self, reduction: str = "mean", *, weight: Array | None = None, pos_weight: Array | None = None) -> None:
        super().__init__(reduction, weight=weight, pos_weight=pos_weight)

    def forward(self, logits: Array, targets: Array) -> Tensor:
        return binary_cross_entropy_with_logits(logits, targets, self.reduction, weight=self.weight, pos_weight=self.pos_weight)

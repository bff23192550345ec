"""Losses that are 0 once a score or a distance is right by a margin."""

import math

import numpy as np

from .. import effects
from ..rules import Array
from ..tensor import Tensor, minimum, where
from .classification import labelled
from .reduction import Loss, pair, reduced

SQUARED_NORM_EPS = 1e-12  # of the cosine, as in PyTorch


def hinge_loss(scores: Array, targets: Array, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """max(0, margin - t s), for scores s and targets t = 1 or -1 of one shape; its derivative where margin = t s is -t.

    PyTorch's HingeEmbeddingLoss, which is for distances, gives this for t = 1 under the label -1. For classes see
    `multi_margin_loss`.

    Raises:
        ValueError: shapes differ; a target is neither 1 nor -1.

    References: Cortes and Vapnik, 1995, Machine Learning 20, 273-297 (the slack of the soft margin).
    """
    s, t = pair(scores, targets)
    _require_signs(t)
    return reduced((margin - t * s).clip(0), reduction)


def multi_margin_loss(scores: Array, labels: Array, p: int = 1, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """sum_j max(0, margin - s[label] + s_j)^p / C over the classes j other than the label: the hinge loss of several classes.

    The derivative at the kink is 0.

    Args:
        scores: s (N, C).
        labels: (N,), whole numbers in [0, C).
        p: 1 or 2.
        margin: by which the label's score is to exceed the others.
        reduction: "mean", "sum", or "none", which has shape (N,).

    Raises:
        ValueError: wrong shapes; a label fractional or out of range; another p.

    References: Weston and Watkins, 1999, ESANN, 219-224, here divided by C, as in PyTorch.
    """
    _require_power(p)
    s, classes = labelled(scores, labels, None, "the multi-class margin loss", "scores")
    own = classes[:, None] == np.arange(s.shape[1])
    excess = where(own, 0.0, margin - s[np.arange(len(s)), classes].unsqueeze(1) + s).relu()
    return reduced((excess if p == 1 else excess * excess).sum(1) * (1 / s.shape[1]), reduction)


def cosine_embedding_loss(x1: Array, x2: Array, targets: Array, margin: float = 0.0, reduction: str = "mean") -> Tensor:
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    cos = x1.x2 / (sqrt(|x1|^2 + 1e-12) sqrt(|x2|^2 + 1e-12)), of the last axis. Where cos = margin, the derivative is that of cos.

    Args:
        x1: (..., D).
        x2: of the same shape.
        targets: (...), 1 for vectors to be alike, -1 for others.
        margin: in [-1, 1].
        reduction: "mean", "sum", or "none", which has the targets' shape.

    Raises:
        ValueError: shapes differ; a target is neither 1 nor -1; the margin is out of range.
    """
    _require_cosine(margin)
    x1, x2 = pair(x1, x2)
    t = targets if isinstance(targets, Tensor) else Tensor(targets)
    if not x1.ndim or t.shape != x1.shape[:-1]:
        raise ValueError(f"the cosine loss needs vectors (..., D) and one target for each, got {x1.shape} and {t.shape}.")
    _require_signs(t)
    length1, length2 = (((x * x).sum(-1) + SQUARED_NORM_EPS).sqrt() for x in (x1, x2))
    cosine = (x1 * x2).sum(-1) / length1 / length2
    return reduced(where(t > 0, 1 - cosine, (cosine - margin).clip(0)), reduction)


def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d(x, y) = |x - y + eps|_p over the last axis.

    At the kink, the derivative is that of d(anchor, positive) - d(anchor, negative). That of a distance of 0 is 0.

    Args:
        anchor: (..., D).
        positive: of the same shape, to be near.
        negative: of the same shape, to be farther by the margin.
        margin: positive.
        p: of the norm, at least 1; math.inf for the largest difference.
        eps: added to every difference.
        swap: take the smaller of d(anchor, negative) and d(positive, negative) for the second; a tie gives each half of the gradient.
        reduction: "mean", "sum", or "none", which has shape (...).

    Raises:
        ValueError: shapes differ; a setting is out of range.

    References: Schroff et al., 2015, arXiv:1503.03832, section 3.1, there with squared distances; Balntas et al., 2016, BMVC
        (the swap).
    """
    _require_triplet(margin, p)
    a, b = pair(anchor, positive)
    a, c = pair(a, negative)
    if not a.ndim:
        raise ValueError("the triplet loss needs vectors (..., D), got numbers, of shape (). Reshape them to (1,).")
    far = _distance(a, c, p, eps)
    if swap:
        far = minimum(far, _distance(b, c, p, eps))
    return reduced((_distance(a, b, p, eps) - far + margin).clip(0), reduction)


def _distance(x: Tensor, y: Tensor, p: float, eps: float) -> Tensor:
    difference = x - y + eps
    if p == math.inf:
        return difference.abs().max(-1)
    total = (difference * difference if p == 2 else difference.abs() ** p).sum(-1)
    return where(total > 0, where(total > 0, total, 1.0) ** (1 / p), 0.0)


def _require_signs(t: Tensor) -> None:
    effects.require(
        (t.data == 1) | (t.data == -1),
        lambda: (
            f"targets of a margin loss must be 1 or -1, got {t.data[(t.data != 1) & (t.data != -1)][0]}. Classes 0 and 1 become 2 t - 1."
        ),
    )


def _require_power(p: int) -> None:
    if p not in (1, 2):
        raise ValueError(f"p of the multi-class margin loss must be 1 or 2, got {p}.")


def _require_cosine(margin: float) -> None:
    if not -1 <= margin <= 1:
        raise ValueError(f"margin of the cosine loss must be in [-1, 1], got {margin}.")


def _require_triplet(margin: float, p: float) -> None:
    if not margin > 0:
        raise ValueError(f"margin of the triplet loss must be positive, got {margin}.")
    if not p >= 1:
        raise ValueError(f"p of the triplet loss must be at least 1, for a norm, got {p}.")


class HingeLoss(Loss):
    """max(0, margin - t s): scores s, targets t = 1 or -1, of one shape."""

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, scores: Array, targets: Array) -> Tensor:
        return hinge_loss(scores, targets, self.margin, self.reduction)


class MultiMarginLoss(Loss):
    """The hinge loss of several classes: scores (N, C), class indices (N,). The settings are those of `multi_margin_loss`."""

    def __init__(self, p: int = 1, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        _require_power(p)
        self.p, self.margin = p, margin

    def forward(self, scores: Array, labels: Array) -> Tensor:
        return multi_margin_loss(scores, labels, self.p, self.margin, self.reduction)


class CosineEmbeddingLoss(Loss):
    """1 - cosine for pairs of vectors to be alike (target 1), max(0, cosine - margin) for others (-1): (..., D), (..., D), (...)."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        _require_cosine(margin)
        self.margin = margin

    def forward(self, x1: Array, x2: Array, targets: Array) -> Tensor:
        return cosine_embedding_loss(x1, x2, targets, self.margin, self.reduction)


class TripletMarginLoss(Loss):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin). The settings are those of `triplet_margin_loss`."""

    def __init__(self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean") -> None:
        super().__init__(reduction)
        _require_triplet(margin, p)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Array, positive: Array, negative: Array) -> Tensor:
        return triplet_margin_loss(anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction)

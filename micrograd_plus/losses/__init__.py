"""Loss functions, and modules that hold their settings.

Each is called with predictions and targets (Tensors or arrays) and reduced by `reduction`: "mean" or "sum" over all elements,
or "none". Where both have the same meaning they must have the same shape: (N, 1) against (N,) would broadcast to (N, N).
The mean of no elements is NaN.
"""

from .classification import (
    BCELoss,
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    NLLLoss,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    nll_loss,
)
from .divergence import KLDivLoss, kl_div
from .margin import (
    CosineEmbeddingLoss,
    HingeLoss,
    MultiMarginLoss,
    TripletMarginLoss,
    cosine_embedding_loss,
    hinge_loss,
    multi_margin_loss,
    triplet_margin_loss,
)
from .reduction import REDUCTIONS, Loss
from .regression import HuberLoss, L1Loss, MSELoss, SmoothL1Loss, huber_loss, l1_loss, mse_loss, smooth_l1_loss

__all__ = [
    "REDUCTIONS",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CrossEntropyLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "MultiMarginLoss",
    "NLLLoss",
    "SmoothL1Loss",
    "TripletMarginLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "multi_margin_loss",
    "nll_loss",
    "smooth_l1_loss",
    "triplet_margin_loss",
]

"""Loss functions, and modules that hold their settings.

Each is called with predictions and targets (Tensors or arrays) and reduced by `reduction`: "mean" or "sum" over all elements,
or "none". Where both have the same meaning they must have the same shape: (N, 1) against (N,) would broadcast to (N, N).
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
from .reduction import REDUCTIONS, Loss
from .regression import HuberLoss, L1Loss, MSELoss, huber_loss, l1_loss, mse_loss

__all__ = [
    "REDUCTIONS",
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "L1Loss",
    "Loss",
    "MSELoss",
    "NLLLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "nll_loss",
]

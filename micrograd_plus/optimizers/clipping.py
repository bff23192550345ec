"""Limits on gradients, between backward() and step()."""

from collections.abc import Iterable

import numpy as np

from .. import effects
from ..tensor import Tensor
from .updates import listed


def clip_grad_norm(params: Iterable[Tensor], max_norm: float) -> float:
    """Scale all gradients by one factor so that their joint Euclidean norm is at most `max_norm`; return the norm before.

    The factor is max_norm / (norm + 1e-6), at most 1, as in PyTorch. A parameter without a gradient is left alone.

    References: Pascanu et al., 2013, arXiv:1211.5063, algorithm 1.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm must be positive, got {max_norm}.")
    grads = _gradients(params)
    norm = np.sqrt(sum(np.sum(np.square(g, dtype=np.float64)) for g in grads)) if grads else np.float64(0)
    factor = np.minimum(max_norm / (norm + 1e-6), np.float64(1))
    for g in grads:
        effects.assign(g, g * factor.astype(g.dtype))
    return effects.read(norm)


def clip_grad_value(params: Iterable[Tensor], clip_value: float) -> None:
    """Limit every element of every gradient to [-clip_value, clip_value]."""
    if not clip_value > 0:
        raise ValueError(f"clip_value must be positive, got {clip_value}.")
    for g in _gradients(params):
        effects.assign(g, np.clip(g, -clip_value, clip_value))


def _gradients(params: Iterable[Tensor]) -> list[np.ndarray]:
    return [p._grad for p in listed(params) if p._grad is not None]

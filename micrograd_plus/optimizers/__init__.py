"""Optimizers, gradient clipping and learning-rate schedules."""

from .clipping import clip_grad_norm, clip_grad_value
from .schedules import CosineAnnealingLR, ExponentialLR, LinearWarmup, Schedule, StepLR
from .updates import SGD, Adam, AdamW, Optimizer, RMSprop

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "CosineAnnealingLR",
    "ExponentialLR",
    "LinearWarmup",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
]

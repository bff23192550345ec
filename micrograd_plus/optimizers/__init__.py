"""Optimizers, gradient clipping, learning-rate schedules and averages of weights."""

from .averaging import ExponentialMovingAverage
from .chaining import ChainedScheduler, SequentialLR
from .clipping import clip_grad_norm, clip_grad_value
from .cycles import CosineAnnealingWarmRestarts, OneCycleLR
from .plateau import ReduceLROnPlateau
from .schedules import CosineAnnealingLR, ExponentialLR, LambdaLR, LinearWarmup, PolynomialLR, Schedule, StepLR
from .updates import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "ChainedScheduler",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "ExponentialMovingAverage",
    "LambdaLR",
    "LinearWarmup",
    "OneCycleLR",
    "Optimizer",
    "PolynomialLR",
    "RMSprop",
    "ReduceLROnPlateau",
    "Schedule",
    "SequentialLR",
    "StepLR",
    "clip_grad_norm",
    "clip_grad_value",
]

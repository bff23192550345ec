"""Functions of Tensors that layers are made of, composed of rules."""

from .arrays import take_along_axis
from .feedforward import dropout, embedding, linear, whole_numbers
from .normalisation import batch_norm, layer_norm

__all__ = [
    "batch_norm",
    "dropout",
    "embedding",
    "layer_norm",
    "linear",
    "take_along_axis",
    "whole_numbers",
]

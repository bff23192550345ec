"""Linear, Embedding, Flatten, Dropout and Dropout2d."""

import math
from collections.abc import Callable

import numpy as np

from .. import effects, init
from .. import functional as F
from ..rules import Array
from ..tensor import Tensor
from .module import Module, Parameter, as_tensor, check_sizes


class Linear(Module):
    """y = x @ weight + bias.

    Args:
        in_features: size of the last axis of x.
        out_features: size of the last axis of y.
        bias: whether to add a bias.
        initializer: makes the weight; Xavier normal by default, scale sqrt(2 / (in + out)). The bias starts at zero.
        generator: what the weight is drawn from.

    Attributes:
        weight: (in_features, out_features).
        bias: (out_features,), or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        initializer: Callable[..., np.ndarray] = init.xavier_normal,
        generator: np.random.Generator | None = None,
    ) -> None:
        check_sizes(self, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(initializer((in_features, out_features), generator))
        if self.weight.shape != (in_features, out_features):
            raise ValueError(f"initializer of Linear must make an array of shape {(in_features, out_features)}, got {self.weight.shape}.")
        self.bias = Parameter(np.zeros(out_features)) if bias else None

    def forward(self, x: Array) -> Tensor:
        """x (..., in_features) to y (..., out_features)."""
        x = as_tensor(x)
        if x.shape[-1:] != (self.in_features,):
            raise ValueError(
                f"Linear({self.in_features}, {self.out_features}) needs input of shape (..., {self.in_features}), got {x.shape}. "
                "Check the layer before it, or flatten the input."
            )
        return F.linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}" + (", bias=False" if self.bias is None else "")


class Embedding(Module):
    """weight[indices]: a learned vector for each of `num_embeddings` symbols.

    Args:
        num_embeddings: rows of the table.
        embedding_dim: size of a vector.
        padding_idx: a symbol whose vector starts at zero and gets no gradient, in [-num_embeddings, num_embeddings), from the
            end where negative. What is written into its row is looked up all the same.
        generator: what the table is drawn from, N(0, 1).

    Attributes:
        weight: (num_embeddings, embedding_dim).
        padding_idx: counted from 0, or None.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        check_sizes(self, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else F.padding_row(padding_idx, num_embeddings)
        self.weight = Parameter(init.normal((num_embeddings, embedding_dim), 1.0, generator))
        if self.padding_idx is not None:
            effects.assign(self.weight.data, 0, self.padding_idx)

    def forward(self, indices: Array) -> Tensor:
        """Indices of any shape, whole numbers in [0, num_embeddings), to vectors (*shape, embedding_dim)."""
        return F.embedding(indices, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Flatten(Module):
    """The axes from `start_dim` on made one: (N, C, H, W) to (N, C H W) by default; from the end where it is negative."""

    def __init__(self, start_dim: int = 1) -> None:
        self.start_dim = start_dim

    def forward(self, x: Array) -> Tensor:
        tensor = as_tensor(x)
        shape = tensor.shape
        if not -len(shape) <= self.start_dim < len(shape):
            raise ValueError(f"{self!r} needs input that has this axis, got shape {shape}. An example alone is a batch as x[None].")
        return tensor.reshape(*shape[: self.start_dim], math.prod(shape[self.start_dim :]))

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}"


class Dropout(Module):
    """In training, zero each element with probability p and scale the others by 1 / (1 - p); the identity in eval mode."""

    def __init__(self, p: float = 0.5, generator: np.random.Generator | None = None) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"the probability p of {type(self).__name__} must be in [0, 1], got {p}.")
        self.p, self.generator = p, generator

    def forward(self, x: Array) -> Tensor:
        return F.dropout(as_tensor(x), self.p, self.training, self.generator)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout2d(Dropout):
    """In training, zero each channel of x (N, C, H, W) with probability p and scale the others by 1 / (1 - p).

    For convolutions, the neighbouring values of whose outputs are alike: dropping single ones would take little away.
    """

    def forward(self, x: Array) -> Tensor:
        return F.dropout2d(as_tensor(x), self.p, self.training, self.generator)

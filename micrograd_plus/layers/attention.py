"""Multi-head attention."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import functional as F
from .. import init
from ..rules import Array
from ..tensor import Tensor, unstack
from .feedforward import Linear
from .module import Module, Parameter, as_tensor, check_sizes

# (batch axes, batch_first): the transposition from a sequence cut into heads to (N, num_heads, L, size of a head), and back
_AXES = {
    (0, False): ((1, 0, 2), (1, 0, 2)),
    (0, True): ((1, 0, 2), (1, 0, 2)),
    (1, False): ((1, 2, 0, 3), (2, 0, 1, 3)),
    (1, True): ((0, 2, 1, 3), (0, 2, 1, 3)),
}


class MultiheadAttention(Module):
    """Several attentions side by side, each on a share of the features, and a linear map of what they give.

        head_h = softmax(q_h k_h^T / sqrt(embed_dim / num_heads) + mask) v_h,    output = out_proj(head_1, head_2, ...)

    q, k and v are linear in query, key and value; head h has features h embed_dim / num_heads onwards of each.

    In boolean masks, True is LEFT OUT of attention, as in PyTorch's layer; in `scaled_dot_product_attention`, PyTorch's too, True
    takes part. A query with every key left out gets weights of zero, where PyTorch's layer gives NaN unless need_weights=False.

    Args:
        embed_dim: size of query and output.
        num_heads: how many heads; must divide embed_dim.
        dropout: probability with which a weight is dropped, in training.
        bias: whether the projections have biases.
        kdim, vdim: sizes of key and value, embed_dim by default.
        batch_first: batched inputs are (N, L, size) rather than (L, N, size).
        generator: what weights and dropout draw from.

    Attributes:
        in_proj_weight: (embed_dim, 3 embed_dim), for q, k and v in turn, where the three sizes agree; None otherwise.
        q_proj_weight, k_proj_weight, v_proj_weight: (embed_dim, embed_dim), (kdim, embed_dim), (vdim, embed_dim) where not; or None.
        in_proj_bias: (3 embed_dim,), zeros at first, or None. The weights start Xavier uniform, with the fans of their shapes.
        out_proj: Linear(embed_dim, embed_dim).

    References: Vaswani et al., 2017, arXiv:1706.03762, section 3.2.2.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        *,  # PyTorch has two more settings here, which a positional kdim would be taken for
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        generator: np.random.Generator | None = None,
    ) -> None:
        kdim, vdim = embed_dim if kdim is None else kdim, embed_dim if vdim is None else vdim
        check_sizes(self, embed_dim=embed_dim, num_heads=num_heads, kdim=kdim, vdim=vdim)
        if embed_dim % num_heads:
            raise ValueError(f"num_heads of MultiheadAttention must divide embed_dim = {embed_dim}, got {num_heads}. Change one of them.")
        if not 0 <= dropout <= 1:
            raise ValueError(f"dropout of MultiheadAttention must be in [0, 1], got {dropout}.")
        self.embed_dim, self.num_heads, self.kdim, self.vdim = embed_dim, num_heads, kdim, vdim
        self.dropout, self.batch_first, self.generator = dropout, batch_first, generator
        self.in_proj_weight: Parameter | None = None
        self.q_proj_weight = self.k_proj_weight = self.v_proj_weight = None
        if kdim == vdim == embed_dim:
            self.in_proj_weight = Parameter(init.xavier_uniform((embed_dim, 3 * embed_dim), generator))
        else:
            self.q_proj_weight, self.k_proj_weight, self.v_proj_weight = (
                Parameter(init.xavier_uniform((size, embed_dim), generator)) for size in (embed_dim, kdim, vdim)
            )
        self.in_proj_bias = Parameter(np.zeros(3 * embed_dim)) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, generator=generator)

    def forward(
        self,
        query: Array,
        key: Array,
        value: Array,
        key_padding_mask: Array | None = None,
        need_weights: bool = True,
        attn_mask: Array | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """(output, weights): what each query gathers from the values, and with which weights.

        Args:
            query: (L, N, embed_dim), with batch_first (N, L, embed_dim), or unbatched (L, embed_dim); so is the output.
            key: (S, N, kdim), (N, S, kdim) or (S, kdim).
            value: (S, N, vdim), (N, S, vdim) or (S, vdim).
            key_padding_mask: (N, S), or (S,) unbatched. Boolean: True keys are LEFT OUT. Floating: added to the scores.
            need_weights: return the weights, else None in their place.
            attn_mask: (L, S), or (N num_heads, L, S), one for each example and head. Boolean: True is LEFT OUT. Floating: added.
            average_attn_weights: weights (N, L, S), the mean over the heads, else (N, num_heads, L, S); without N if unbatched.
            is_causal: leave out the keys after t from query t, besides what the masks leave out. PyTorch, where it is a hint that
                attn_mask is causal, requires that mask along with it.

        The weights are those after dropout, as PyTorch's.
        """
        alike = query is key is value
        query, key, value = as_tensor(query), as_tensor(key), as_tensor(value)
        batch, length, keys = self._sizes(query.shape, key.shape, value.shape)
        bias = self._bias(attn_mask, key_padding_mask, (*batch, self.num_heads, length, keys), query.dtype)
        to_heads, back = _AXES[len(batch), self.batch_first]
        q, k, v = (x.transpose(to_heads) for x in self._projected(query, key, value, alike))
        weights = F.dropout(F.attention_weights(q, k, bias, is_causal), self.dropout, self.training, self.generator)
        output = self.out_proj((weights @ v).transpose(back).reshape(query.shape))
        if not need_weights:
            return output, None
        return output, weights.mean(axis=-3) if average_attn_weights else weights

    def _sizes(self, *shapes: tuple[int, ...]) -> tuple[tuple[int, ...], int, int]:
        """The batch's shape, (N,) or (), and the numbers of queries and of keys."""
        features = tuple(shape[-1:] for shape in shapes)
        if features == ((self.embed_dim,), (self.kdim,), (self.vdim,)) and set(map(len, shapes)) in ({2}, {3}):
            batched = len(shapes[0]) == 3
            sequence = 1 if batched and self.batch_first else 0
            batches = {(shape[1 - sequence],) if batched else () for shape in shapes}
            length, keys, values = (shape[sequence] for shape in shapes)
            if len(batches) == 1 and keys == values:
                return batches.pop(), length, keys
        axes = "N, {}" if self.batch_first else "{}, N"
        needed = [f"({axes.format(axis)}, {size})" for axis, size in (("L", self.embed_dim), ("S", self.kdim), ("S", self.vdim))]
        raise ValueError(
            f"MultiheadAttention with batch_first={self.batch_first} needs query {needed[0]}, key {needed[1]} and value {needed[2]}, "
            f"all without N if unbatched, got shapes {', '.join(map(str, shapes))}. Transpose them, or set batch_first."
        )

    def _bias(self, attn_mask: Array | None, key_padding_mask: Array | None, scores: tuple[int, ...], dtype: Any) -> Array | None:
        """Both masks as one that is added to the scores, (N, num_heads, L, S), without N if unbatched."""
        *batch, heads, length, keys = scores
        bias = None
        if attn_mask is not None:
            bias = F.attention_bias(attn_mask, "attn_mask", dtype, true_is_left_out=True)
            shapes = (length, keys), (math.prod(batch) * heads, length, keys)
            if bias.shape not in shapes:
                raise ValueError(f"attn_mask must have shape (L, S) = {shapes[0]} or (N num_heads, L, S) = {shapes[1]}, got {bias.shape}.")
            bias = bias if bias.ndim == 2 else bias.reshape(scores)
        if key_padding_mask is not None:
            padding = F.attention_bias(key_padding_mask, "key_padding_mask", dtype, true_is_left_out=True)
            if padding.shape != (*batch, keys):
                needed = f"(N, S) = {(*batch, keys)}" if batch else f"(S,) = {(keys,)}, for the input has no batch"
                raise ValueError(f"key_padding_mask must have shape {needed}, got {padding.shape}.")
            padding = padding.reshape((*batch, 1, 1, keys))
            bias = padding if bias is None else bias + padding
        return bias

    def _projected(self, query: Tensor, key: Tensor, value: Tensor, alike: bool) -> Iterable[Tensor]:
        """q, k and v, their last axis as heads: (..., num_heads, embed_dim / num_heads)."""
        dim, split = self.embed_dim, (self.num_heads, self.embed_dim // self.num_heads)
        weights: Any
        if self.in_proj_weight is None:
            weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        elif alike:  # one product in the place of three
            together = F.linear(query, self.in_proj_weight, self.in_proj_bias)
            return unstack(together.reshape(*query.shape[:-1], 3, *split), axis=-3)
        else:
            weights = unstack(self.in_proj_weight.reshape(dim, 3, dim), axis=1)
        biases: Any = (None,) * 3 if self.in_proj_bias is None else unstack(self.in_proj_bias.reshape(3, dim))
        parts = (F.linear(x, weight, bias) for x, weight, bias in zip((query, key, value), weights, biases, strict=True))
        return [x.reshape(*x.shape[:-1], *split) for x in parts]

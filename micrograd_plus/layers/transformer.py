"""A block of a transformer: attention and a feed-forward net, each with a residual connection and a layer norm."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..rules import Array
from ..tensor import Tensor
from .attention import MultiheadAttention
from .feedforward import Dropout, Linear
from .module import Module, as_tensor
from .normalisation import LayerNorm

ACTIVATIONS = {"relu": Tensor.relu, "gelu": Tensor.gelu}


class TransformerEncoderLayer(Module):
    """Self-attention and a feed-forward net, on x of shape (L, N, d_model), with batch_first (N, L, d_model), or (L, d_model).

        x = norm1(x + dropout1(self_attn(x))),    x = norm2(x + dropout2(linear2(dropout(activation(linear1(x))))))

    With norm_first, x = x + dropout1(self_attn(norm1(x))), and so on. With a causal mask it is also a GPT's block.

    Args:
        d_model: size of input and output.
        nhead: heads of the attention; must divide d_model.
        dim_feedforward: hidden units of the feed-forward net.
        dropout: probability of the three dropouts and of that of the attention's weights.
        activation: "relu", "gelu", a function or a Module.
        layer_norm_eps: eps of both layer norms.
        batch_first: see above.
        norm_first: normalise what enters a sublayer, rather than the sum after it.
        bias: whether projections, linear maps and layer norms have biases.
        generator: what weights and dropout draw from.

    References: Vaswani et al., 2017, arXiv:1706.03762, section 3.1; Xiong et al., 2020, arXiv:2002.04745, figure 1, for norm_first.
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Tensor], Tensor] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        generator: np.random.Generator | None = None,
    ) -> None:
        if isinstance(activation, type) or not (callable(activation) or activation in ACTIVATIONS):
            raise ValueError(
                f"activation of TransformerEncoderLayer must be one of {tuple(ACTIVATIONS)}, a function or a Module, got {activation!r}."
            )
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, generator=generator)
        self.linear1 = Linear(d_model, dim_feedforward, bias, generator=generator)
        self.dropout = Dropout(dropout, generator)
        self.linear2 = Linear(dim_feedforward, d_model, bias, generator=generator)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias)
        self.dropout1 = Dropout(dropout, generator)
        self.dropout2 = Dropout(dropout, generator)
        self.activation = activation if callable(activation) else ACTIVATIONS[activation]

    def forward(
        self, src: Array, src_mask: Array | None = None, src_key_padding_mask: Array | None = None, is_causal: bool = False
    ) -> Tensor:
        """src to the same shape; the masks and is_causal are those of MultiheadAttention, in whose boolean masks True is LEFT OUT."""

        def attended(x: Tensor) -> Any:
            output, _ = self.self_attn(x, x, x, src_key_padding_mask, need_weights=False, attn_mask=src_mask, is_causal=is_causal)
            return self.dropout1(output)

        def transformed(x: Tensor) -> Any:
            return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))

        x: Tensor = as_tensor(src)
        if self.norm_first:
            x = x + attended(self.norm1(x))
            x = x + transformed(self.norm2(x))
        else:
            x = self.norm1(x + attended(x))
            x = self.norm2(x + transformed(x))
        return x

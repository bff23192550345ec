"""Scaled dot-product attention, its weights, and its masks."""

import math
from typing import Any

import numpy as np

from ..rules import Array
from ..tensor import Tensor, _array, _raw
from .feedforward import dropout


def scaled_dot_product_attention(
    query: Array,
    key: Array,
    value: Array,
    attn_mask: Array | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """softmax(scale query key^T + mask) value: for each query a mean of the values, weighted by the query's products with the keys.

    A query that may attend to no key gets zeros, and passes no gradient on, as in PyTorch.

    Args:
        query: (..., L, E).
        key: (..., S, E).
        value: (..., S, V). The leading axes of the three broadcast.
        attn_mask: broadcasts to (..., L, S). Boolean: True takes part (the opposite of MultiheadAttention, where True is
            left OUT). Floating: added before the softmax; a Tensor that requires a gradient gets one.
        dropout_p: each weight is dropped with this probability, in every mode: pass 0.0 in evaluation.
        is_causal: query t attends to the keys 0 to t, also where L and S differ. Not together with `attn_mask`.
        scale: 1 / sqrt(E) by default.
        generator: what dropout draws from.

    Returns:
        (..., L, V).

    Raises:
        ValueError: shapes do not fit, `attn_mask` and `is_causal` are both given, or `dropout_p` is not in [0, 1].
        TypeError: the mask is neither boolean nor floating.

    References: Vaswani et al., 2017, arXiv:1706.03762, eq. 1.

    >>> keys, values = Tensor([[1.0, 0.0], [0.0, 1.0]]), Tensor([[10.0], [20.0]])
    >>> scaled_dot_product_attention(Tensor([[0.0, 0.0], [0.0, 99.0]]), keys, values)
    Tensor([[15.],
            [20.]])
    """
    q, k, v = (x if isinstance(x, Tensor) else Tensor(x) for x in (query, key, value))
    shape = _shape_of_scores(q.shape, k.shape, v.shape)
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"dropout_p of attention must be in [0, 1], got {dropout_p}.")
    if attn_mask is not None:
        if is_causal:
            raise ValueError(
                "attention takes attn_mask or is_causal=True, got both. Put the causal mask into attn_mask: np.tri(L, S, dtype=bool)."
            )
        attn_mask = attention_bias(attn_mask, "attn_mask", q.dtype)
        if not _broadcasts_to(attn_mask.shape, shape):
            raise ValueError(f"attn_mask must broadcast to (..., L, S), here {shape}, got shape {attn_mask.shape}. Reshape it.")
    return dropout(attention_weights(q, k, attn_mask, is_causal, scale), dropout_p, generator=generator) @ v


def attention_weights(query: Tensor, key: Tensor, bias: Array | None = None, is_causal: bool = False, scale: float | None = None) -> Tensor:
    """softmax(scale query key^T + bias) over the keys: query (..., L, E), key (..., S, E), bias broadcasting to (..., L, S).

    The weights of a query whose bias is -inf for every key are zero. `is_causal` leaves out the keys after t from query t.
    """
    length, size = query.shape[-2:]
    scores: Tensor = (query * (1 / math.sqrt(size) if scale is None else scale)) @ np.swapaxes(key, -1, -2)
    if not scores.size:
        return scores
    if is_causal:
        causal = attention_bias(np.tri(length, key.shape[-2], dtype=bool), "the causal mask", query.dtype)
        if bias is None:  # every query has the first key
            scores = scores + causal
            return scores.softmax()
        bias = bias + causal
    if bias is None:
        return scores.softmax()
    # The softmax of nothing but -inf is NaN: such rows are taken without their bias, and multiplied by zero.
    has_key = _raw(bias).max(axis=-1, keepdims=True, initial=-np.inf) > -np.inf
    scores = scores + np.where(has_key, bias, 0)
    weights: Tensor = scores.softmax() * has_key
    return weights


def attention_bias(mask: Array, name: str, dtype: Any, true_is_left_out: bool = False) -> Array:
    """What is added to the scores for a mask: for a boolean one 0 where True and -inf where False, a floating one as it is.

    Args:
        mask: an array or Tensor.
        name: what an error calls it.
        dtype: of the result.
        true_is_left_out: -inf where a boolean mask is True, 0 where False.
    """
    mask = mask if isinstance(mask, Tensor) else _array(mask)
    if mask.dtype.kind not in "bf":
        raise TypeError(f"{name} must be boolean or floating, got dtype {mask.dtype}. Zeros and ones become a mask by .astype(bool).")
    if mask.dtype.kind == "f":
        return mask.astype(dtype)
    zero, left_out = np.zeros((), dtype), np.full((), -np.inf, dtype)
    return np.where(_raw(mask), left_out, zero) if true_is_left_out else np.where(_raw(mask), zero, left_out)


def _shape_of_scores(query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...]) -> tuple[int, ...]:
    try:
        leading = np.broadcast_shapes(query[:-2], key[:-2], value[:-2])
        (length, size), (keys, key_size), (values, _) = query[-2:], key[-2:], value[-2:]
        if size == key_size and keys == values:
            return (*leading, length, keys)
    except ValueError:  # leading axes that do not broadcast, or fewer than two axes
        pass
    raise ValueError(
        "attention needs query (..., L, E), key (..., S, E) and value (..., S, V) whose leading axes broadcast, "
        f"got shapes {query}, {key} and {value}. Reshape or transpose them."
    )


def _broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False

"""Attention, the encoder layer of a transformer, and positions: closed forms, what must not change, masks, messages."""

import math

import numpy as np
import pytest

from micrograd_plus import Tensor, effects, functional, gradient_check, gradients, layers
from micrograd_plus.tensor import default_dtype

from ..raising import unreached

RNG = np.random.default_rng(11)


def normal(*shape):
    return RNG.standard_normal(shape)


def tensor(x, requires_grad=False):
    return Tensor(x, requires_grad, dtype=np.float64)


def close(found, expected, atol=1e-12):
    found = found.data if isinstance(found, Tensor) else found
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def attended(query, key, value, bias=0.0, scale=None):
    """The output and the weights of attention, row by row."""
    size = query.shape[-1]
    scores = (query @ np.swapaxes(key, -1, -2)) * (1 / math.sqrt(size) if scale is None else scale) + bias
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    return weights @ value, weights


def additive(taking_part):
    return np.where(taking_part, 0.0, -np.inf)


# -- scaled dot-product attention ----------------------------------------------------------------------------------------

L, S, E, V = 3, 4, 5, 2
Q, K, U = normal(2, 3, L, E), normal(2, 3, S, E), normal(2, 3, S, V)


def sdpa(query=Q, key=K, value=U, **settings):
    return functional.scaled_dot_product_attention(tensor(query), tensor(key), tensor(value), **settings)


def test_two_keys():
    keys, values = tensor([[1.0], [0.0]]), tensor([[1.0], [0.0]])
    out = functional.scaled_dot_product_attention(tensor([[0.0], [2.0], [-math.log(3)]]), keys, values)
    close(out, [[0.5], [1 / (1 + math.exp(-2))], [0.25]])


@pytest.mark.parametrize("scale", [None, 0.3, -1.0])
def test_attention_is_its_formula(scale):
    close(sdpa(scale=scale), attended(Q, K, U, scale=scale)[0])


def test_leading_axes_broadcast_and_may_be_absent():
    close(sdpa(Q[0, 0], K[0, 0], U[0, 0]), attended(Q[0, 0], K[0, 0], U[0, 0])[0])
    close(sdpa(Q, K[:, :1], U[0]), attended(Q, K[:, :1], U[0])[0])
    close(sdpa(Q[0, 0], K[0, 0], U), attended(Q[0, 0], K[0, 0], U)[0])
    close(sdpa(Q[0, 0], K, U[0, 0]), attended(Q[0, 0], K, U[0, 0])[0])


MASK = np.array([[True, False, True, True], [False, True, False, False], [True, True, True, False]])


@pytest.mark.parametrize(
    "mask",
    [MASK, MASK[0], MASK[2:], np.stack([MASK, MASK[::-1], MASK | True]), np.array(True), np.ones((L, 1), bool)],
    ids=lambda mask: str(mask.shape),
)
def test_true_takes_part_in_a_boolean_mask(mask):
    expected = attended(Q, K, U, additive(mask))[0]
    close(sdpa(attn_mask=mask), expected)
    close(sdpa(attn_mask=Tensor(mask)), expected)
    close(sdpa(attn_mask=mask.tolist()), expected)


@pytest.mark.parametrize("shape", [(L, S), (S,), (L, 1), (3, 1, S), (2, 1, L, S), ()])
def test_a_floating_mask_is_added(shape):
    mask = normal(*shape)
    close(sdpa(attn_mask=mask), attended(Q, K, U, mask)[0])


def test_a_floating_mask_that_requires_a_gradient_gets_one():
    weight = normal(2, 3, L, V)
    with default_dtype(np.float64):
        assert gradient_check(lambda mask: (sdpa(attn_mask=mask) * weight).sum(), normal(L, S)).passed
        assert gradient_check(lambda mask: (sdpa(attn_mask=mask) * weight).sum(), normal(S)).passed


def test_derivatives_agree_with_differences_to_the_second_order():
    def attention(q, k, v):
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    def slopes(q, k, v):
        return gradients((attention(q, k, v) ** 2).sum(), [q, k, v], create_graph=True)[1]

    points = normal(2, L, E), normal(2, S, E), normal(2, S, V)
    assert gradient_check(attention, points).passed
    assert gradient_check(slopes, points).passed


@pytest.mark.parametrize("kind", [bool, float])
def test_a_query_without_keys_gets_zeros_and_passes_no_gradient_on(kind):
    mask = np.array([[True] * S, [False] * S, [True, False, False, False]])
    q, k, v = (tensor(x[0, 0], requires_grad=True) for x in (Q, K, U))
    out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask if kind is bool else additive(mask))
    close(out[1], np.zeros(V))
    close(out[2], U[0, 0, 0])
    close(out[0], attended(Q[0, 0, :1], K[0, 0], U[0, 0])[0][0])
    g = normal(L, V)
    found = gradients(out, [q, k, v], gradient=g)
    close(found[0][1], np.zeros(E))
    g[1] = 99.0  # whatever comes back to the row of zeros
    for a, b in zip(found, gradients(out, [q, k, v], gradient=g), strict=True):
        assert np.isfinite(a.data).all()
        close(a, b.data)


@pytest.mark.parametrize("settings", [{}, {"is_causal": True}, {"attn_mask": np.ones((L, 0), bool)}], ids=str)
def test_of_no_keys_at_all_there_is_nothing_to_gather(settings):
    q, k, v = (tensor(x, requires_grad=True) for x in (Q, K[..., :0, :], U[..., :0, :]))
    out = functional.scaled_dot_product_attention(q, k, v, **settings)
    close(out, np.zeros((2, 3, L, V)))
    close(gradients(out, [q], gradient=np.ones(out.shape))[0], np.zeros(Q.shape))
    assert functional.scaled_dot_product_attention(q[..., :0, :], tensor(K), tensor(U)).shape == (2, 3, 0, V)


def test_a_row_of_large_negative_numbers_is_no_row_without_keys():
    mask = np.zeros((L, S))
    mask[1] = -1e30
    close(sdpa(attn_mask=mask)[..., 1, :], np.broadcast_to(U.mean(-2), (2, 3, V)), atol=1e-6)


@pytest.mark.parametrize(("queries", "keys"), [(4, 4), (3, 5), (5, 3), (1, 4), (4, 1)])
def test_causal_attention_is_that_under_a_lower_triangle(queries, keys):
    q, k, v = normal(2, queries, E), normal(2, keys, E), normal(2, keys, V)
    close(sdpa(q, k, v, is_causal=True), attended(q, k, v, additive(np.tri(queries, keys, dtype=bool)))[0])


def test_causal_attention_does_not_see_later_inputs():
    q, k, v = normal(6, E), normal(6, E), normal(6, V)
    before = sdpa(q, k, v, is_causal=True).data
    for t in range(6):
        later = [x.copy() for x in (q, k, v)]
        for x in later:
            x[t + 1 :] = normal(*x[t + 1 :].shape)
        close(sdpa(*later, is_causal=True)[: t + 1], before[: t + 1])
    k[2] += 1.0
    assert (np.abs(sdpa(q, k, v, is_causal=True).data - before)[2:] > 1e-6).all()


def test_the_order_of_the_keys_does_not_matter_and_that_of_the_queries_is_kept():
    keys, queries = RNG.permutation(S), RNG.permutation(L)
    close(sdpa(Q[..., queries, :], K[..., keys, :], U[..., keys, :]), sdpa().data[..., queries, :])


def test_dropout_drops_weights_whatever_the_mode():
    kept = np.random.default_rng(3).random((2, 3, L, S), np.float32) >= 0.4
    found = sdpa(dropout_p=0.4, generator=np.random.default_rng(3))
    close(found, (attended(Q, K, U)[1] * kept / 0.6) @ U)
    close(sdpa(dropout_p=1.0), np.zeros((2, 3, L, V)))
    effects.set_seed(3)
    close(sdpa(dropout_p=0.4), found.data)


def test_attention_keeps_float32_and_takes_arrays_and_lists():
    q, k, v = (Tensor(x) for x in (Q, K, U))
    for mask in (None, MASK, additive(MASK), tensor(additive(MASK))):
        out = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        assert out.dtype == np.float32
    np.testing.assert_array_equal(functional.scaled_dot_product_attention(Q, K, U, MASK).data, out.data)
    assert functional.scaled_dot_product_attention([[1.0]], [[2.0]], [[3.0, 4.0]]).data.tolist() == [[3.0, 4.0]]
    with np.errstate(under="ignore"):
        large = functional.scaled_dot_product_attention(q * 1e4, k * 1e4, v)
    assert np.isfinite(large.data).all()


def test_weights_under_a_bias_and_a_causal_mask_together():
    q, k, bias = tensor(Q), tensor(K), normal(L, S)
    close(functional.attention_weights(q, k), attended(Q, K, U)[1])
    close(functional.attention_weights(q, k, bias, scale=0.2), attended(Q, K, U, bias, 0.2)[1])
    causal = additive(np.tri(L, S, dtype=bool))
    close(functional.attention_weights(q, k, bias, is_causal=True), attended(Q, K, U, bias + causal)[1])
    close(functional.attention_weights(q, k, tensor(bias), True, 0.2), attended(Q, K, U, bias + causal, 0.2)[1])
    bias[2, :3] = -np.inf  # of the keys that the third query sees, none is left
    weights = functional.attention_weights(q, k, bias, is_causal=True)
    close(weights[..., 2, :], np.zeros((2, 3, S)))
    close(weights[..., :2, :], attended(Q[..., :2, :], K, U, (bias + causal)[:2])[1])


def test_a_mask_as_a_bias():
    for dtype in (np.float32, np.float64):
        bias = functional.attention_bias([True, False], "mask", dtype)
        assert bias.tolist() == [0.0, -np.inf]
        assert bias.dtype == dtype
        assert functional.attention_bias(Tensor(np.array([True, False])), "mask", dtype, true_is_left_out=True).tolist() == [-np.inf, 0.0]
        for mask in (np.array([0.5, 1.0]), tensor([0.5, 1.0], requires_grad=True)):
            for left_out in (False, True):
                bias = functional.attention_bias(mask, "mask", dtype, left_out)
                assert bias.dtype == dtype
                np.testing.assert_array_equal(bias.data if isinstance(mask, Tensor) else bias, [0.5, 1.0])


# -- multi-head attention ------------------------------------------------------------------------------------------------

DIM, HEADS, N = 6, 3, 2
X = normal(L, N, DIM)  # (L, N, embed_dim)


def multihead(seed=0, **settings):
    """A layer in float64 with biases that are not zero."""
    with default_dtype(np.float64):
        layer = layers.MultiheadAttention(DIM, HEADS, generator=np.random.default_rng(seed), **settings)
        for name, parameter in layer.named_parameters():
            if name.endswith("bias"):
                parameter.data = np.random.default_rng(seed + 1).standard_normal(parameter.shape)
    return layer


def by_heads(layer, query, key, value, bias=0.0):
    """Output (L, embed_dim) and weights (num_heads, L, S) of one example, head by head."""
    if layer.in_proj_weight is None:
        weights = [layer.q_proj_weight.data, layer.k_proj_weight.data, layer.v_proj_weight.data]
    else:
        weights = [layer.in_proj_weight.data[:, i * DIM : (i + 1) * DIM] for i in range(3)]
    biases = [0, 0, 0] if layer.in_proj_bias is None else [layer.in_proj_bias.data[i * DIM : (i + 1) * DIM] for i in range(3)]
    q, k, v = (x @ w + b for x, w, b in zip((query, key, value), weights, biases, strict=True))
    size = DIM // HEADS
    columns = [slice(h * size, (h + 1) * size) for h in range(HEADS)]
    bias = np.broadcast_to(bias, (HEADS, len(query), len(key)))
    pairs = [attended(q[:, c], k[:, c], v[:, c], bias[h]) for h, c in enumerate(columns)]
    out = np.concatenate([out for out, _ in pairs], -1) @ layer.out_proj.weight.data
    return out + (0 if layer.out_proj.bias is None else layer.out_proj.bias.data), np.stack([w for _, w in pairs])


def by_examples(layer, query, key, value, biases=None):
    """As `by_heads` of a batch (L, N, ...): output (L, N, embed_dim), weights (N, num_heads, L, S)."""
    biases = [0.0] * query.shape[1] if biases is None else biases
    pairs = [by_heads(layer, query[:, n], key[:, n], value[:, n], biases[n]) for n in range(query.shape[1])]
    return np.stack([out for out, _ in pairs], 1), np.stack([w for _, w in pairs])


def agrees(found, expected):
    close(found[0], expected[0])
    close(found[1], expected[1])


SETTINGS = [{}, {"bias": False}, {"kdim": 4, "vdim": 5}, {"kdim": 4}, {"vdim": 5, "bias": False}, {"kdim": DIM, "vdim": DIM}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_multihead_attention_is_attention_head_by_head(settings):
    layer = multihead(**settings)
    key, value = normal(S, N, layer.kdim), normal(S, N, layer.vdim)
    expected = by_examples(layer, X, key, value)
    agrees(layer(tensor(X), tensor(key), tensor(value), average_attn_weights=False), expected)
    out, weights = layer(tensor(X), tensor(key), tensor(value))
    close(out, expected[0])
    close(weights, expected[1].mean(1))
    close(weights.data.sum(-1), np.ones((N, L)))
    without = layer(tensor(X), tensor(key), tensor(value), need_weights=False)
    close(without[0], expected[0])
    assert without[1] is None
    # one example, without its axis
    out, weights = layer(tensor(X[:, 0]), tensor(key[:, 0]), tensor(value[:, 0]), average_attn_weights=False)
    close(out, expected[0][:, 0])
    close(weights, expected[1][0])
    close(layer(tensor(X[:, 0]), tensor(key[:, 0]), tensor(value[:, 0]))[1], expected[1][0].mean(0))


@pytest.mark.parametrize("settings", SETTINGS[:3], ids=str)
def test_batch_first_exchanges_the_first_two_axes_of_batched_inputs(settings):
    layer, other = multihead(**settings), multihead(batch_first=True, **settings)
    arrays = [X, normal(S, N, layer.kdim), normal(S, N, layer.vdim)]
    out, weights = layer(*map(tensor, arrays))
    turned, same = other(*[tensor(x.swapaxes(0, 1)) for x in arrays])
    close(turned, out.data.swapaxes(0, 1))
    close(same, weights.data)
    close(other(*[tensor(x[:, 1]) for x in arrays])[0], out.data[:, 1])


@pytest.mark.parametrize("batch_first", [False, True])
def test_self_attention_s_one_product_gives_what_three_give(batch_first):
    layer, g, h = multihead(batch_first=batch_first), normal(L, N, DIM), normal(*((L, N, N) if batch_first else (N, L, L)))
    found = []
    for inputs in ((tensor(X, True),) * 3, tuple(tensor(X, True) for _ in range(3))):
        layer.zero_grad()
        out, weights = layer(*inputs)
        ((out * g).sum() + (weights * h).sum()).backward()
        of_input = inputs[0].grad if inputs[0] is inputs[1] else sum(x.grad for x in inputs)
        found.append([out.data, weights.data, of_input, *(p.grad for p in layer.parameters())])
    for a, b in zip(*found, strict=True):
        close(a, b)
    with default_dtype(np.float64):
        close(layer(X, X, X)[0], found[0][0])


def test_self_attention_is_of_three_times_the_same_tensor():
    layer, key = multihead(), normal(L, N, DIM)
    x, k = tensor(X), tensor(key)
    for query, keys, values in ((x, x, k), (x, k, x), (k, x, x), (x, k, k), (k, k, x)):
        close(layer(query, keys, values)[0], by_examples(layer, query.data, keys.data, values.data)[0])


def test_one_feature_one_head_and_every_weight_dropped():
    layer = layers.MultiheadAttention(1, 1, 1.0, kdim=1, vdim=1)
    x = Tensor([[2.0], [3.0]])
    assert layer(x, x, x)[0].data.tolist() == [[0.0], [0.0]]
    assert layer.eval()(x, x, x)[1].shape == (2, 2)


def test_true_is_left_out_of_multihead_attention():
    layer = multihead()
    key = normal(S, N, DIM)
    q, k = tensor(X), tensor(key)
    expected = by_examples(layer, X, key, key, [additive(~MASK)] * N)
    agrees(layer(q, k, k, attn_mask=MASK, average_attn_weights=False), expected)
    agrees(layer(q, k, k, attn_mask=Tensor(MASK), average_attn_weights=False), expected)
    agrees(layer(q, k, k, attn_mask=additive(~MASK), average_attn_weights=False), expected)
    several = RNG.random((N * HEADS, L, S)) < 0.4
    several[..., 0] = False
    biases = [additive(~several[n * HEADS : (n + 1) * HEADS]) for n in range(N)]
    agrees(layer(q, k, k, attn_mask=several, average_attn_weights=False), by_examples(layer, X, key, key, biases))
    one = layer(tensor(X[:, 1]), tensor(key[:, 1]), tensor(key[:, 1]), attn_mask=several[HEADS:], average_attn_weights=False)
    agrees(one, by_heads(layer, X[:, 1], key[:, 1], key[:, 1], biases[1]))


PADDING = np.array([[False, False, True, True], [False, True, False, False]])


def test_padding_and_mask_add_up():
    layer, key = multihead(), normal(S, N, DIM)
    q, k = tensor(X), tensor(key)
    expected = by_examples(layer, X, key, key, [additive(~row)[None] for row in PADDING])
    agrees(layer(q, k, k, PADDING, average_attn_weights=False), expected)
    agrees(layer(q, k, k, Tensor(PADDING), average_attn_weights=False), expected)
    agrees(layer(tensor(X[:, 1]), tensor(key[:, 1]), tensor(key[:, 1]), PADDING[1]), (expected[0][:, 1], expected[1][1].mean(0)))
    floating = normal(N, S), normal(L, S)
    expected = by_examples(layer, X, key, key, [row + floating[1] for row in floating[0]])
    agrees(layer(q, k, k, floating[0], attn_mask=floating[1], average_attn_weights=False), expected)
    several = np.zeros((N * HEADS, L, S), bool)
    several[4, 1, 2] = True  # the second head of the second example
    biases = [additive(~PADDING[n])[None] + additive(~several[n * HEADS : (n + 1) * HEADS]) for n in range(N)]
    agrees(layer(q, k, k, PADDING, attn_mask=several, average_attn_weights=False), by_examples(layer, X, key, key, biases))


def test_the_masks_of_attention_and_of_the_layer_are_opposites():
    layer = multihead(bias=False)
    for weight in (layer.in_proj_weight, layer.out_proj.weight):
        weight.data = np.tile(np.eye(DIM), weight.shape[1] // DIM)
    q, k = X[:, 0], normal(S, DIM)
    heads = [tensor(x.reshape(-1, HEADS, DIM // HEADS).swapaxes(0, 1)) for x in (q, k, k)]
    out = functional.scaled_dot_product_attention(*heads, attn_mask=MASK).data.swapaxes(0, 1).reshape(L, DIM)
    close(layer(tensor(q), tensor(k), tensor(k), attn_mask=~MASK)[0], out)


def test_is_causal_leaves_out_later_keys_with_and_without_a_mask():
    layer = multihead()
    x = tensor(X)
    later = np.triu(np.ones((L, L), bool), 1)
    expected = layer(x, x, x, attn_mask=later)
    agrees(layer(x, x, x, is_causal=True), [part.data for part in expected])
    agrees(layer(x, x, x, attn_mask=later, is_causal=True), [part.data for part in expected])
    padding = np.array([[False, True, False], [False, False, False]])
    expected = layer(x, x, x, padding, attn_mask=later)
    agrees(layer(x, x, x, padding, is_causal=True), [part.data for part in expected])
    mask = normal(L, L)
    expected = layer(x, x, x, attn_mask=mask + additive(~later))
    agrees(layer(x, x, x, attn_mask=mask, is_causal=True), [part.data for part in expected])


def test_a_query_with_every_key_left_out_has_weights_of_zero():
    layer = multihead()
    x = tensor(X, requires_grad=True)
    out, weights = layer(x, x, x, np.array([[True] * L, [False] * L]))
    close(weights.data[0], np.zeros((L, L)))
    close(out.data[:, 0], np.tile(layer.out_proj.bias.data, (L, 1)))
    close(out.data[:, 1], layer(x, x, x)[0].data[:, 1])
    (out.sum() + (weights * normal(N, L, L)).sum()).backward()
    assert np.isfinite(x.grad).all()
    close(x.grad[:, 0], np.zeros((L, DIM)))
    # padding on the left, under a causal mask: the first query has no key
    _, weights = layer(x, x, x, np.array([[True, False, False]] * N), is_causal=True)
    close(weights.data[:, :2], np.broadcast_to([[0.0, 0, 0], [0, 1, 0]], (N, 2, L)))


def test_self_attention_is_equivariant_to_permutations_and_a_causal_one_is_not():
    layer, order = multihead(), np.array([2, 0, 1])
    x, permuted = tensor(X), tensor(X[order])
    out, weights = layer(x, x, x)
    agrees(layer(permuted, permuted, permuted), (out.data[order], weights.data[:, order][:, :, order]))
    out, _ = layer(x, x, x, is_causal=True)
    assert np.abs(layer(permuted, permuted, permuted, is_causal=True)[0].data - out.data[order]).max() > 0.01


def test_weights_are_dropped_in_training_alone_and_returned_as_dropped():
    layer = multihead(dropout=0.5)
    x = tensor(X)
    plain = layer.eval()(x, x, x, average_attn_weights=False)
    agrees(plain, by_examples(layer, X, X, X))
    layer.train().generator = np.random.default_rng(5)
    out, weights = layer(x, x, x, average_attn_weights=False)
    kept = np.random.default_rng(5).random((N, HEADS, L, L), np.float32) >= 0.5
    close(weights, plain[1].data * kept / 0.5)
    v = (X @ layer.in_proj_weight.data[:, 2 * DIM :] + layer.in_proj_bias.data[2 * DIM :]).reshape(L, N, HEADS, -1)
    gathered = np.einsum("nhls,snhd->lnhd", weights.data, v).reshape(L, N, DIM)
    close(out, gathered @ layer.out_proj.weight.data + layer.out_proj.bias.data)


def test_projections_start_xavier_uniform_with_the_fans_of_their_shapes():
    layer = layers.MultiheadAttention(40, 4, generator=np.random.default_rng(0))
    bound = math.sqrt(6 / (40 + 120))
    assert layer.in_proj_weight.shape == (40, 120)
    assert 0.99 * bound < np.abs(layer.in_proj_weight.data).max() <= bound
    assert layer.in_proj_weight.data.std() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert (layer.in_proj_bias.data == 0).all()
    assert layer.in_proj_bias.shape == (120,)
    assert (layer.out_proj.bias.data == 0).all()
    assert layer.q_proj_weight is layer.k_proj_weight is layer.v_proj_weight is None
    layer = layers.MultiheadAttention(40, 4, kdim=20, vdim=80, generator=np.random.default_rng(0))
    assert layer.in_proj_weight is None
    for weight, shape in ((layer.q_proj_weight, (40, 40)), (layer.k_proj_weight, (20, 40)), (layer.v_proj_weight, (80, 40))):
        assert weight.shape == shape
        assert 0.98 * math.sqrt(6 / sum(shape)) < np.abs(weight.data).max() <= math.sqrt(6 / sum(shape))
    same = layers.MultiheadAttention(40, 4, kdim=20, vdim=80, generator=np.random.default_rng(0))
    for a, b in zip(layer.parameters(), same.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_names_of_the_parameters_are_pytorch_s():
    names = [name for name, _ in layers.MultiheadAttention(4, 2).named_parameters()]
    assert names == ["in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"]
    names = [name for name, _ in layers.MultiheadAttention(4, 2, bias=False, kdim=3).named_parameters()]
    assert names == ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]


def test_settings_beyond_the_biases_are_given_by_name():
    with pytest.raises(TypeError):
        layers.MultiheadAttention(4, 2, 0.0, True, False)


def test_multihead_attention_keeps_float32():
    layer = layers.MultiheadAttention(DIM, HEADS, dropout=0.5)
    x = Tensor(X)
    for settings in ({}, {"attn_mask": np.zeros((L, L))}, {"key_padding_mask": np.zeros((N, L), bool), "is_causal": True}):
        out, weights = layer(x, x, x, **settings)
        assert out.dtype == weights.dtype == np.float32


# -- the encoder layer ---------------------------------------------------------------------------------------------------


def encoder(**settings):
    with default_dtype(np.float64):
        layer = layers.TransformerEncoderLayer(DIM, HEADS, 8, generator=np.random.default_rng(2), **{"dropout": 0.0} | settings)
        for parameter in layer.parameters():
            if parameter.ndim == 1:
                parameter.data = np.random.default_rng(3).standard_normal(parameter.shape)
    return layer


def normed(x, norm):
    centred = x - x.mean(-1, keepdims=True)
    y = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + norm.eps) * norm.weight.data
    return y if norm.bias is None else y + norm.bias.data


def mapped(x, linear):
    return x @ linear.weight.data + (0 if linear.bias is None else linear.bias.data)


ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_layer_is_its_formula(activation, norm_first, bias):
    layer = encoder(activation=activation, norm_first=norm_first, bias=bias, layer_norm_eps=0.1)
    assert {parameter.ndim for parameter in layer.parameters()} == {1, 2}

    def attention(x):
        return by_examples(layer.self_attn, x, x, x)[0]

    def feed_forward(x):
        return mapped(ACTIVATIONS[activation](mapped(x, layer.linear1)), layer.linear2)

    if norm_first:
        y = X + attention(normed(X, layer.norm1))
        y = y + feed_forward(normed(y, layer.norm2))
    else:
        y = normed(X + attention(X), layer.norm1)
        y = normed(y + feed_forward(y), layer.norm2)
    close(layer(tensor(X)), y)
    close(layer(tensor(X[:, 0])), y[:, 0])


@pytest.mark.parametrize("bias", [True, False])
def test_names_of_an_encoder_layer_s_parameters_are_pytorch_s(bias):
    names = [name for name, _ in layers.TransformerEncoderLayer(4, 2, 8, bias=bias).named_parameters()]
    weights = [
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        *(f"{part}.weight" for part in ("linear1", "linear2", "norm1", "norm2")),
    ]
    biases = [name.replace("weight", "bias") for name in weights]
    assert sorted(names) == sorted(weights + biases if bias else weights)
    layer = layers.TransformerEncoderLayer(4, 2)
    assert layer.linear1.weight.shape == (4, 2048)
    assert layer.norm1.eps == 1e-5
    assert layer.dropout.p == layer.dropout1.p == layer.dropout2.p == layer.self_attn.dropout == 0.1


def test_activations_may_be_functions_and_modules():
    x = tensor(X)
    relu = encoder()(x).data
    close(encoder(activation=Tensor.relu)(x), relu)
    layer = encoder(activation=layers.ReLU())
    close(layer(x), relu)
    assert ("activation", layer.activation) in list(layer.named_modules())
    close(encoder(activation=lambda x: x.clip(0, None))(x), relu)


def test_masks_reach_the_attention_of_an_encoder_layer():
    layer, turned = encoder(), encoder(batch_first=True)
    x, mask = tensor(X), np.array([[False, True, False]] * 3)
    padding = np.array([[False, False, True], [False] * 3])
    seen = []
    layer.self_attn.forward = lambda *args, **settings: seen.append((args, settings)) or (args[0], None)
    layer(x, mask, padding, is_causal=True)
    (args, settings), *_ = seen
    assert args[3] is padding
    assert settings == {"need_weights": False, "attn_mask": mask, "is_causal": True}
    layer = encoder()
    out = layer(x, mask, padding).data
    close(turned(tensor(X.swapaxes(0, 1)), mask, padding), out.swapaxes(0, 1))
    moved = X.copy()
    moved[2, 0] += 1.0
    close(layer(tensor(moved), mask, padding)[:2], out[:2])
    moved[1, 1] += 1.0
    close(layer(tensor(moved), mask, padding)[0], out[0])


def test_a_causal_encoder_layer_does_not_see_later_inputs():
    for norm_first in (False, True):
        layer = encoder(norm_first=norm_first)
        before = layer(tensor(X), is_causal=True).data
        later = X.copy()
        later[2] += normal(N, DIM)
        after = layer(tensor(later), is_causal=True).data
        close(after[:2], before[:2])
        assert np.abs(after[2] - before[2]).max() > 0.01
        later[1] += normal(N, DIM)
        assert np.abs(layer(tensor(later), is_causal=True).data[2] - after[2]).max() > 1e-3


def test_an_encoder_layer_drops_in_four_places_in_training_alone():
    layer = encoder(dropout=0.25)
    x = tensor(X)
    close(layer.eval()(x), encoder()(x).data)
    layer.train()
    generator = np.random.default_rng(7)
    for part in (layer.self_attn, layer.dropout, layer.dropout1, layer.dropout2):
        part.generator = generator
    found = layer(x)
    generator = np.random.default_rng(7)

    def kept(*shape):
        return (generator.random(shape, np.float32) >= 0.25) / 0.75

    _, weights = by_examples(layer.self_attn, X, X, X)
    v = (X @ layer.self_attn.in_proj_weight.data[:, 2 * DIM :] + layer.self_attn.in_proj_bias.data[2 * DIM :]).reshape(L, N, HEADS, -1)
    gathered = np.einsum("nhls,snhd->lnhd", weights * kept(N, HEADS, L, L), v).reshape(L, N, DIM)
    y = normed(X + mapped(gathered, layer.self_attn.out_proj) * kept(L, N, DIM), layer.norm1)
    hidden = np.maximum(mapped(y, layer.linear1), 0) * kept(L, N, 8)
    close(found, normed(y + mapped(hidden, layer.linear2) * kept(L, N, DIM), layer.norm2))


def test_one_generator_determines_an_encoder_layer():
    pair = [layers.TransformerEncoderLayer(4, 2, 8, 0.5, generator=np.random.default_rng(1)) for _ in range(2)]
    x = Tensor(normal(5, 4))
    for _ in range(2):
        np.testing.assert_array_equal(pair[0](x).data, pair[1](x).data)
    generators = {id(part.generator) for _, part in pair[0].named_modules() if hasattr(part, "generator")}
    assert len(generators) == 1


# -- positions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [1, 2, 5, 6])
def test_sinusoidal_positions_are_their_formula(dim):
    with default_dtype(np.float64):
        table = functional.sinusoidal_positions(4, dim)
    for t in range(4):
        for i in range(0, dim, 2):
            angle = t / 10000 ** (i / dim)
            close(table.data[t, i : i + 2], np.array([math.sin(angle), math.cos(angle)])[: dim - i])


def test_sinusoidal_positions_are_of_the_default_dtype_and_a_shift_rotates_them():
    assert functional.sinusoidal_positions(2, 4).dtype == np.float32
    with default_dtype(np.float64):
        pairs = functional.sinusoidal_positions(9, 4).data.reshape(9, 2, 2)
    sines, cosines = pairs[..., 0], pairs[..., 1]
    close(sines[1:], sines[:-1] * cosines[1] + cosines[:-1] * sines[1])
    close((pairs**2).sum(-1), np.ones((9, 2)))


def test_sinusoidal_positions_are_added_and_not_trained():
    layer = layers.SinusoidalPositions(6, 4)
    table = functional.sinusoidal_positions(4, 6).data
    assert not layer.parameters()
    np.testing.assert_array_equal(layer.state_dict()["table"], table)
    for shape in ((2, 3, 6), (4, 6), (1, 6), (2, 2, 4, 6)):
        x = Tensor(normal(*shape))
        np.testing.assert_array_equal(layer(x).data, x.data + table[: shape[-2]])
    x = np.zeros((2, 6), np.float32)
    np.testing.assert_array_equal(layer(x).data, table[:2])
    out = layers.SinusoidalPositions(6, 4, 0.5, np.random.default_rng(1))
    kept = np.random.default_rng(1).random((2, 6), np.float32) >= 0.5
    np.testing.assert_array_equal(out(x).data, table[:2] * kept * 2)
    np.testing.assert_array_equal(out.eval()(x).data, table[:2])


def test_rotary_positions_rotate_pairs_of_neighbours():
    x = normal(2, 3, 4)
    found = functional.rotary(tensor(x), base=100.0, offset=2)
    for t in range(3):
        for pair, frequency in ((0, 1.0), (2, 0.1)):
            angle = (t + 2) * frequency
            rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
            close(found.data[:, t, pair : pair + 2], x[:, t, pair : pair + 2] @ rotation.T)
    close(functional.rotary(tensor(x)), functional.rotary(tensor(x), 10000.0, 0).data)
    close(functional.rotary(tensor(x[:, :1])), x[:, :1])
    np.testing.assert_allclose(functional.rotary(Tensor(x)).data, functional.rotary(tensor(x)).data, atol=1e-6)
    assert functional.rotary(x).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_rotary_positions_rotate_whole_numbers_too(dtype):
    x = np.array([[1, 2], [3, 4]], dtype)
    found = functional.rotary(Tensor(x))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.data, functional.rotary(Tensor(x.tolist())).data)


def test_rotary_positions_keep_the_norm_of_each_pair():
    x = normal(2, 7, 6)
    found = functional.rotary(tensor(x), offset=100).data
    close((found.reshape(2, 7, 3, 2) ** 2).sum(-1), (x.reshape(2, 7, 3, 2) ** 2).sum(-1))


@pytest.mark.parametrize("seed", range(5))
def test_products_of_rotated_queries_and_keys_depend_on_the_distance_alone(seed):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((2, 1, 8))
    at_0 = rng.integers(0, 500)
    distance = rng.integers(-at_0, 500)
    products = [
        (functional.rotary(tensor(q), offset=at_0 + s).data @ functional.rotary(tensor(k), offset=at_0 + distance + s).data.T).item()
        for s in (0, 1, 77, 1000)
    ]
    close(np.array(products), np.full(4, products[0]), atol=1e-10)
    nearer = functional.rotary(tensor(q), offset=at_0).data @ functional.rotary(tensor(k), offset=at_0 + distance + 1).data.T
    assert abs(nearer.item() - products[0]) > 1e-6


def test_rotary_positions_derive_to_the_rotation_back():
    x, g = tensor(normal(2, 3, 4), requires_grad=True), normal(2, 3, 4)
    (found,) = gradients(functional.rotary(x, offset=5), [x], gradient=g)
    close(functional.rotary(found, offset=5), g)


# -- messages ------------------------------------------------------------------------------------------------------------


def attention_of(query, key, value, **settings):
    return lambda: functional.scaled_dot_product_attention(np.ones(query), np.ones(key), np.ones(value), **settings)


def multihead_of(query, key, value, layer=None, **settings):
    layer = layers.MultiheadAttention(4, 2) if layer is None else layer
    return lambda: layer(np.ones(query), np.ones(key), np.ones(value), **settings)


SHAPES = "attention needs query (..., L, E), key (..., S, E) and value (..., S, V) whose leading axes broadcast, got shapes {}, {} and {}. "
SHAPES += "Reshape or transpose them."
SIZES = "MultiheadAttention with batch_first={} needs query {}, key {} and value {}, all without N if unbatched, got shapes {}. "
SIZES += "Transpose them, or set batch_first."
KIND = "{} must be boolean or floating, got dtype int64. Zeros and ones become a mask by .astype(bool)."
POSITIONS = "SinusoidalPositions(6, 4) needs input of shape (..., L, 6) with L at most 4, got {}. "
POSITIONS += "Put the sequence on the axis before the last, or raise max_len."

MESSAGES = [
    (attention_of((3, 4), (5, 6), (5, 2)), ValueError, SHAPES.format((3, 4), (5, 6), (5, 2))),
    (attention_of((3, 4), (5, 4), (6, 2)), ValueError, SHAPES.format((3, 4), (5, 4), (6, 2))),
    (attention_of((2, 3, 4), (3, 5, 4), (5, 2)), ValueError, SHAPES.format((2, 3, 4), (3, 5, 4), (5, 2))),
    (attention_of((2, 3, 4), (5, 4), (3, 5, 2)), ValueError, SHAPES.format((2, 3, 4), (5, 4), (3, 5, 2))),
    (attention_of((4,), (5, 4), (5, 2)), ValueError, SHAPES.format((4,), (5, 4), (5, 2))),
    (attention_of((3, 4), (5, 4), (5,)), ValueError, SHAPES.format((3, 4), (5, 4), (5,))),
    (attention_of((3, 4), (5, 4), (5, 2), dropout_p=1.5), ValueError, "dropout_p of attention must be in [0, 1], got 1.5."),
    (attention_of((3, 4), (5, 4), (5, 2), dropout_p=-0.5), ValueError, "dropout_p of attention must be in [0, 1], got -0.5."),
    (attention_of((3, 4), (5, 4), (5, 2), dropout_p=np.nan), ValueError, "dropout_p of attention must be in [0, 1], got nan."),
    (
        attention_of((3, 4), (5, 4), (5, 2), attn_mask=np.ones((3, 5), bool), is_causal=True),
        ValueError,
        "attention takes attn_mask or is_causal=True, got both. Put the causal mask into attn_mask: np.tri(L, S, dtype=bool).",
    ),
    (
        attention_of((3, 4), (5, 4), (5, 2), attn_mask=np.ones((5, 3), bool)),
        ValueError,
        "attn_mask must broadcast to (..., L, S), here (3, 5), got shape (5, 3). Reshape it.",
    ),
    (
        attention_of((3, 4), (5, 4), (5, 2), attn_mask=np.ones((2, 3, 5))),
        ValueError,
        "attn_mask must broadcast to (..., L, S), here (3, 5), got shape (2, 3, 5). Reshape it.",
    ),
    (
        attention_of((2, 3, 4), (5, 4), (2, 5, 2), attn_mask=np.ones((3, 3, 5))),
        ValueError,
        "attn_mask must broadcast to (..., L, S), here (2, 3, 5), got shape (3, 3, 5). Reshape it.",
    ),
    (
        attention_of((3, 4), (5, 4), (5, 2), attn_mask=np.ones((3, 1, 5))),
        ValueError,
        "attn_mask must broadcast to (..., L, S), here (3, 5), got shape (3, 1, 5). Reshape it.",
    ),
    (attention_of((3, 4), (5, 4), (5, 2), attn_mask=np.ones((3, 5), int)), TypeError, KIND.format("attn_mask")),
    (multihead_of((3, 4), (3, 4), (3, 4), attn_mask=np.ones((3, 3), int)), TypeError, KIND.format("attn_mask")),
    (multihead_of((3, 4), (3, 4), (3, 4), key_padding_mask=np.ones(3, int)), TypeError, KIND.format("key_padding_mask")),
    (lambda: functional.sinusoidal_positions(0, 4), ValueError, "length of sinusoidal positions must be at least 1, got 0."),
    (lambda: functional.sinusoidal_positions(3, -1), ValueError, "dim of sinusoidal positions must be at least 1, got -1."),
    (
        lambda: functional.rotary(np.ones((2, 3, 5))),
        ValueError,
        "rotary positions need x of shape (..., L, D) with D even, got (2, 3, 5). They rotate pairs of features.",
    ),
    (
        lambda: functional.rotary(np.ones(4)),
        ValueError,
        "rotary positions need x of shape (..., L, D) with D even, got (4,). They rotate pairs of features.",
    ),
    (lambda: layers.MultiheadAttention(0, 1), ValueError, "embed_dim of MultiheadAttention must be an int of at least 1, got 0."),
    (lambda: layers.MultiheadAttention(4, 0), ValueError, "num_heads of MultiheadAttention must be an int of at least 1, got 0."),
    (lambda: layers.MultiheadAttention(4, 2, kdim=0), ValueError, "kdim of MultiheadAttention must be an int of at least 1, got 0."),
    (lambda: layers.MultiheadAttention(4, 2, vdim=-3), ValueError, "vdim of MultiheadAttention must be an int of at least 1, got -3."),
    (
        lambda: layers.MultiheadAttention(6, 4),
        ValueError,
        "num_heads of MultiheadAttention must divide embed_dim = 6, got 4. Change one of them.",
    ),
    (lambda: layers.MultiheadAttention(4, 2, 1.5), ValueError, "dropout of MultiheadAttention must be in [0, 1], got 1.5."),
    (lambda: layers.MultiheadAttention(4, 2, -0.5), ValueError, "dropout of MultiheadAttention must be in [0, 1], got -0.5."),
    (
        multihead_of((3, 2, 5), (3, 2, 4), (3, 2, 4)),
        ValueError,
        SIZES.format(False, "(L, N, 4)", "(S, N, 4)", "(S, N, 4)", "(3, 2, 5), (3, 2, 4), (3, 2, 4)"),
    ),
    (
        multihead_of((3, 2, 4), (3, 2, 6), (3, 2, 4), layers.MultiheadAttention(4, 2, kdim=5, vdim=6, batch_first=True)),
        ValueError,
        SIZES.format(True, "(N, L, 4)", "(N, S, 5)", "(N, S, 6)", "(3, 2, 4), (3, 2, 6), (3, 2, 4)"),
    ),
    (
        multihead_of((3, 2, 4), (3, 2, 5), (3, 2, 5), layers.MultiheadAttention(4, 2, kdim=5, vdim=6, batch_first=True)),
        ValueError,
        SIZES.format(True, "(N, L, 4)", "(N, S, 5)", "(N, S, 6)", "(3, 2, 4), (3, 2, 5), (3, 2, 5)"),
    ),
    (
        multihead_of((3, 4), (3, 1, 4), (3, 1, 4)),
        ValueError,
        SIZES.format(False, "(L, N, 4)", "(S, N, 4)", "(S, N, 4)", "(3, 4), (3, 1, 4), (3, 1, 4)"),
    ),
    (
        multihead_of((1, 3, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4)),
        ValueError,
        SIZES.format(False, "(L, N, 4)", "(S, N, 4)", "(S, N, 4)", "(1, 3, 2, 4), (1, 3, 2, 4), (1, 3, 2, 4)"),
    ),
    (
        multihead_of((4,), (4,), (4,)),
        ValueError,
        SIZES.format(False, "(L, N, 4)", "(S, N, 4)", "(S, N, 4)", "(4,), (4,), (4,)"),
    ),
    (
        multihead_of((3, 2, 4), (3, 1, 4), (3, 1, 4)),
        ValueError,
        SIZES.format(False, "(L, N, 4)", "(S, N, 4)", "(S, N, 4)", "(3, 2, 4), (3, 1, 4), (3, 1, 4)"),
    ),
    (
        multihead_of((3, 2, 4), (5, 2, 4), (6, 2, 4)),
        ValueError,
        SIZES.format(False, "(L, N, 4)", "(S, N, 4)", "(S, N, 4)", "(3, 2, 4), (5, 2, 4), (6, 2, 4)"),
    ),
    (
        multihead_of((3, 2, 4), (3, 2, 4), (3, 2, 4), attn_mask=np.ones((2, 3), bool)),
        ValueError,
        "attn_mask must have shape (L, S) = (3, 3) or (N num_heads, L, S) = (4, 3, 3), got (2, 3).",
    ),
    (
        multihead_of((3, 4), (3, 4), (3, 4), attn_mask=np.ones((1, 3, 3), bool)),
        ValueError,
        "attn_mask must have shape (L, S) = (3, 3) or (N num_heads, L, S) = (2, 3, 3), got (1, 3, 3).",
    ),
    (
        multihead_of((3, 2, 4), (5, 2, 4), (5, 2, 4), key_padding_mask=np.ones((5, 2), bool)),
        ValueError,
        "key_padding_mask must have shape (N, S) = (2, 5), got (5, 2).",
    ),
    (
        multihead_of((3, 4), (5, 4), (5, 4), key_padding_mask=np.ones((1, 5), bool)),
        ValueError,
        "key_padding_mask must have shape (S,) = (5,), for the input has no batch, got (1, 5).",
    ),
    (
        lambda: layers.TransformerEncoderLayer(4, 2, activation="tanh"),
        ValueError,
        "activation of TransformerEncoderLayer must be one of ('relu', 'gelu'), a function or a Module, got 'tanh'.",
    ),
    (
        lambda: layers.TransformerEncoderLayer(4, 2, activation=layers.ReLU),
        ValueError,
        "activation of TransformerEncoderLayer must be one of ('relu', 'gelu'), a function or a Module, "
        "got <class 'micrograd_plus.layers.activations.ReLU'>.",
    ),
    (lambda: layers.SinusoidalPositions(6, 4)(np.ones((5, 6))), ValueError, POSITIONS.format((5, 6))),
    (lambda: layers.SinusoidalPositions(6, 4)(np.ones((2, 3, 4))), ValueError, POSITIONS.format((2, 3, 4))),
    (lambda: layers.SinusoidalPositions(6, 4)(np.ones(6)), ValueError, POSITIONS.format((6,))),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_message(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind
    assert str(error.value) == text


def test_every_error_has_an_entry():
    for module in (functional.attention, functional.positions, layers.attention, layers.transformer, layers.positions):
        assert not unreached(module, MESSAGES)

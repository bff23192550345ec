"""Attention and the encoder layer beside PyTorch's: outputs, weights, gradients and second order in float64, over a grid of settings."""

import functools
import itertools

import numpy as np
import pytest

from micrograd_plus import Tensor, functional, gradients, layers, no_grad
from micrograd_plus.tensor import default_dtype

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = pytest.mark.oracle

L, S, N, DIM, HEADS = 3, 4, 2, 6, 2


@pytest.fixture(autouse=True)
def backend_with_second_derivatives():
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def close(found, expected, rtol=1e-10, atol=1e-12):
    found, expected = (
        x.detach().numpy() if isinstance(x, torch.Tensor) else x.data if isinstance(x, Tensor) else x for x in (found, expected)
    )
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol, atol)


def flip(array):
    """A matrix of parameters in the other's order."""
    return array.T if array.ndim == 2 else array


def twins(name, *args, seed=1, **settings):
    """Our module and PyTorch's with the same random parameters, in float64."""
    with default_dtype(np.float64):
        ours = getattr(layers, name)(*args, **settings)
    theirs = getattr(torch.nn, name)(*args, **settings).double()
    random, there = np.random.default_rng(seed), dict(theirs.named_parameters())
    assert set(there) == {key for key, _ in ours.named_parameters()}
    for key, parameter in ours.named_parameters():
        parameter.data = random.standard_normal(parameter.shape)
        with torch.no_grad():
            there[key].copy_(torch.tensor(flip(parameter.data)))
    return ours, theirs


def compared(ours, theirs, arrays, parameters=((), ())):
    """Outputs, gradients of their projection on random cotangents, and gradients of a projection of those, here and there.

    Args:
        ours, theirs: functions of Tensors, and of torch tensors, that return a tuple of them.
        arrays: their inputs.
        parameters: of ours and theirs, each a list in the same order.
    """
    random = np.random.default_rng(3)
    with default_dtype(np.float64):
        inputs = [Tensor(x, requires_grad=True) for x in arrays]
        outputs = ours(*inputs)
        wanted = [*inputs, *parameters[0]]
        cotangents = [random.standard_normal(y.shape) for y in outputs]
        directions = [random.standard_normal(x.shape) for x in wanted]
        slopes = gradients(sum((y * g).sum() for y, g in zip(outputs, cotangents, strict=True)), wanted, create_graph=True)
        curvatures = gradients(sum((slope * v).sum() for slope, v in zip(slopes, directions, strict=True)), wanted)
    count = len(arrays)
    inputs = [torch.tensor(x, requires_grad=True) for x in arrays]
    expected = theirs(*inputs)
    wanted = [*inputs, *parameters[1]]
    loss = sum((y * torch.tensor(g)).sum() for y, g in zip(expected, cotangents, strict=True))
    slopes_there = torch.autograd.grad(loss, wanted, create_graph=True)
    turned = [torch.tensor(v if i < count else flip(v)) for i, v in enumerate(directions)]
    projected = sum((slope * v).sum() for slope, v in zip(slopes_there, turned, strict=True))
    curvatures_there = torch.autograd.grad(projected, wanted, materialize_grads=True)
    for found, there in zip(outputs, expected, strict=True):
        close(found, there)
    for found_here, found_there in ((slopes, slopes_there), (curvatures, curvatures_there)):
        for i, (found, there) in enumerate(zip(found_here, found_there, strict=True)):
            close(found if i < count else flip(found.data), there, 1e-9, 1e-10)


def parameters_of(ours, theirs):
    there = dict(theirs.named_parameters())
    return [parameter for _, parameter in ours.named_parameters()], [there[key] for key, _ in ours.named_parameters()]


# -- scaled dot-product attention ----------------------------------------------------------------------------------------

KEEP = normal(L, S) < 0.5
MASKS = {
    "none": None,
    "boolean": KEEP,
    "boolean, one for each example": normal(2, 1, L, S) < 0.5,
    "boolean, a query without keys": KEEP & np.array([[True], [False], [True]]),
    "floating": normal(L, S),
    "floating, one for each head": normal(3, 1, S),
    "floating, -inf": np.where(KEEP, normal(L, S), -np.inf),
    "floating, a query without keys": np.where([[True], [False], [True]], normal(L, S), -np.inf),
    "floating, of large negative numbers": np.full((L, S), -1e30),
}


@pytest.mark.parametrize("scale", [None, 0.7])
@pytest.mark.parametrize("mask", MASKS)
def test_scaled_dot_product_attention(mask, scale):
    mask = MASKS[mask]
    arrays = normal(2, 3, L, DIM), normal(2, 3, S, DIM, seed=1), normal(2, 3, S, 5)
    there = None if mask is None else torch.tensor(mask)
    compared(
        lambda q, k, v: (functional.scaled_dot_product_attention(q, k, v, mask, scale=scale),),
        lambda q, k, v: (torch.nn.functional.scaled_dot_product_attention(q, k, v, there, scale=scale),),
        arrays,
    )


@pytest.mark.parametrize("sizes", [(3, 3), (3, 5), (5, 3), (1, 4)], ids=str)
def test_causal_attention(sizes):
    queries, keys = sizes
    arrays = normal(2, queries, DIM), normal(2, keys, DIM), normal(2, keys, 5)
    compared(
        lambda q, k, v: (functional.scaled_dot_product_attention(q, k, v, is_causal=True),),
        lambda q, k, v: (torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),),
        arrays,
    )


@pytest.mark.parametrize("shape", [(L, S), (3, L, S), (2, 1, L, S), (L, 1)], ids=str)
def test_attention_with_a_trained_mask(shape):
    compared(
        lambda q, k, v, mask: (functional.scaled_dot_product_attention(q, k, v, mask),),
        lambda q, k, v, mask: (torch.nn.functional.scaled_dot_product_attention(q, k, v, mask),),
        (normal(2, 3, L, DIM), normal(2, 3, S, DIM), normal(2, 3, S, 5), normal(*shape)),
    )


@pytest.mark.parametrize(
    "shapes", [((L, DIM), (S, DIM), (S, 5)), ((2, 1, L, DIM), (3, S, DIM), (1, S, 5)), ((L, DIM), (2, S, DIM), (S, 5))], ids=str
)
def test_attention_with_broadcasting(shapes):
    compared(
        lambda q, k, v: (functional.scaled_dot_product_attention(q, k, v),),
        lambda q, k, v: (torch.nn.functional.scaled_dot_product_attention(q, k, v),),
        [normal(*shape) for shape in shapes],
    )


# Of large negative numbers PyTorch's kernel keeps no more than the sum with log(S), and has gradients S times too large.
@pytest.mark.parametrize("mask", [mask for mask in MASKS if mask != "floating, of large negative numbers"])
def test_values_and_first_derivatives_agree_with_the_fused_kernels_in_float32(mask):
    mask = MASKS[mask]
    arrays = [x.astype(np.float32) for x in (normal(2, 3, L, DIM), normal(2, 3, S, DIM, seed=1), normal(2, 3, S, DIM))]
    q, k, v = (Tensor(x, requires_grad=True) for x in arrays)
    out = functional.scaled_dot_product_attention(q, k, v, mask)
    theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
    there = None if mask is None else torch.tensor(mask if mask.dtype == bool else mask.astype(np.float32))
    with torch.nn.attention.sdpa_kernel([torch.nn.attention.SDPBackend.FLASH_ATTENTION, torch.nn.attention.SDPBackend.MATH]):
        expected = torch.nn.functional.scaled_dot_product_attention(*theirs, there)
        g = normal(2, 3, L, DIM).astype(np.float32)
        expected.backward(torch.tensor(g))
    out.backward(g)
    close(out, expected, 1e-5, 1e-6)
    for x, y in zip((q, k, v), theirs, strict=True):
        assert np.isfinite(x.grad).all()
        close(x.grad, y.grad, 1e-4, 1e-5)


# -- multi-head attention ------------------------------------------------------------------------------------------------

LATER = np.triu(np.ones((L, S), bool), 1)
PADDING = np.array([[False, False, True, True], [False, True, False, False]])
OUT = normal(N * HEADS, L, S) > 0.7
OUT[..., 0] = False
LEFT_OUT = {  # attn_mask, key_padding_mask
    "none": (None, None),
    "later keys": (LATER, None),
    "one for each head": (OUT, None),
    "padding": (None, PADDING),
    "both": (LATER, PADDING),
    "padding, one for each head": (OUT, PADDING),
    "floating": (normal(L, S), None),
    "floating, both": (normal(N * HEADS, L, S), normal(N, S)),
}


def as_there(x):
    return torch.tensor(x) if isinstance(x, np.ndarray) else x


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"kdim": 3, "vdim": 5}, {"vdim": 5, "bias": False}], ids=str)
@pytest.mark.parametrize("masks", LEFT_OUT)
@pytest.mark.parametrize("need_weights", [True, False])
def test_multihead_attention(settings, masks, batch_first, need_weights):
    ours, theirs = twins("MultiheadAttention", DIM, HEADS, batch_first=batch_first, **settings)
    mask, padding = LEFT_OUT[masks]
    arrays = normal(L, N, DIM), normal(S, N, ours.kdim), normal(S, N, ours.vdim)
    arrays = [x.swapaxes(0, 1) for x in arrays] if batch_first else arrays
    count = 1 + need_weights
    compared(
        lambda q, k, v: ours(q, k, v, padding, need_weights, mask)[:count],
        lambda q, k, v: theirs(q, k, v, as_there(padding), need_weights, as_there(mask))[:count],
        arrays,
        parameters_of(ours, theirs),
    )


@pytest.mark.parametrize("average", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("mask", [None, "later keys", "one for each head"])
def test_self_attention(batched, average, mask):
    ours, theirs = twins("MultiheadAttention", DIM, HEADS)
    mask = {None: None, "later keys": LATER[:, :L], "one for each head": OUT[: N * HEADS if batched else HEADS, :, :L]}[mask]
    there = as_there(mask)
    compared(
        lambda x: ours(x, x, x, attn_mask=mask, average_attn_weights=average),
        lambda x: theirs(x, x, x, attn_mask=there, average_attn_weights=average),
        [normal(L, N, DIM) if batched else normal(L, DIM)],
        parameters_of(ours, theirs),
    )


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("padding", [None, PADDING])
def test_the_causal_hint(need_weights, padding):
    ours, theirs = twins("MultiheadAttention", DIM, HEADS)
    count = 1 + need_weights
    x = normal(S, N, DIM)
    later = np.triu(np.ones((S, S), bool), 1)
    for mask in (None, later):
        compared(
            lambda x, mask=mask: ours(x, x, x, padding, need_weights, mask, is_causal=True)[:count],
            lambda x: theirs(x, x, x, as_there(padding), need_weights, torch.tensor(later), is_causal=True)[:count],
            [x],
            parameters_of(ours, theirs),
        )


@pytest.mark.parametrize("training", [True, False])
def test_dropout_of_nothing_in_training_and_of_half_in_evaluation(training):
    ours, theirs = twins("MultiheadAttention", DIM, HEADS, 0.0 if training else 0.5)
    ours.train(training)
    theirs.train(training)
    compared(lambda x: ours(x, x, x), lambda x: theirs(x, x, x), [normal(L, N, DIM)], parameters_of(ours, theirs))


def test_a_query_without_keys_as_without_weights_in_pytorch():
    ours, theirs = twins("MultiheadAttention", DIM, HEADS)
    padding = np.array([[True] * S, [False] * S])
    compared(
        lambda x: ours(x, x, x, padding)[:1],
        lambda x: theirs(x, x, x, torch.tensor(padding), need_weights=False)[:1],
        [normal(S, N, DIM)],
        parameters_of(ours, theirs),
    )


@pytest.mark.parametrize("settings", [{}, {"kdim": 10, "vdim": 40}], ids=str)
def test_projections_start_with_pytorch_s_spread(settings):
    ours, theirs = layers.MultiheadAttention(60, 4, **settings), torch.nn.MultiheadAttention(60, 4, **settings)
    there = dict(theirs.named_parameters())
    for key, parameter in ours.named_parameters():
        if key.endswith("proj_weight"):
            assert np.std(parameter.data) == pytest.approx(there[key].std().item(), rel=0.1)
        elif key.endswith("bias"):
            np.testing.assert_array_equal(parameter.data, there[key].detach())


# -- the encoder layer ---------------------------------------------------------------------------------------------------

SETTINGS = [
    dict(zip(("norm_first", "batch_first", "bias", "activation"), values, strict=True))
    for values in itertools.product([False, True], [False, True], [True, False], ["relu", "gelu"])
]
HIDDEN = 5


@pytest.mark.parametrize("mask", [None, "boolean", "floating"])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "-".join(map(str, settings.values())))
def test_encoder_layer(settings, mask):
    ours, theirs = twins("TransformerEncoderLayer", DIM, HEADS, HIDDEN, 0.0, **settings)
    later = np.triu(np.ones((S, S), bool), 1)
    mask = {None: None, "boolean": later, "floating": np.where(later, -np.inf, normal(S, S))}[mask]
    padding = None if mask is None or mask.dtype != bool else PADDING
    arrays = [normal(N, S, DIM) if settings["batch_first"] else normal(S, N, DIM)]
    compared(
        lambda x: (ours(x, mask, padding),),
        lambda x: (theirs(x, as_there(mask), as_there(padding)),),
        arrays,
        parameters_of(ours, theirs),
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm_first", [False, True])
def test_a_causal_encoder_layer(norm_first, training):
    ours, theirs = twins("TransformerEncoderLayer", DIM, HEADS, HIDDEN, 0.0 if training else 0.3, norm_first=norm_first, layer_norm_eps=0.1)
    ours.train(training)
    theirs.train(training)
    later = torch.nn.Transformer.generate_square_subsequent_mask(S, dtype=torch.float64)
    compared(
        lambda x: (ours(x, is_causal=True),),
        lambda x: (theirs(x, later, is_causal=True),),
        [normal(S, N, DIM)],
        parameters_of(ours, theirs),
    )


def test_encoder_layer_of_one_sequence_and_with_a_function_as_activation():
    ours, theirs = twins("TransformerEncoderLayer", DIM, HEADS, HIDDEN, 0.0)
    ours.activation, theirs.activation = Tensor.tanh, torch.tanh
    compared(lambda x: (ours(x),), lambda x: (theirs(x),), [normal(S, DIM)], parameters_of(ours, theirs))


@pytest.mark.parametrize("padding", [None, PADDING])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_evaluation_agrees_with_pytorch_s_fast_path(activation, norm_first, padding):
    settings = {"activation": activation, "batch_first": True, "norm_first": norm_first}
    ours, theirs = twins("TransformerEncoderLayer", DIM, HEADS, HIDDEN, 0.5, **settings)
    ours.eval()
    theirs.eval()
    x = normal(N, S, DIM)
    with no_grad(), torch.no_grad(), default_dtype(np.float64):
        found, expected = ours(Tensor(x), None, padding), theirs(torch.tensor(x), None, as_there(padding))
        close(found, expected)


def test_weights_carry_over_to_a_stack_of_layers():
    pairs = [twins("TransformerEncoderLayer", DIM, HEADS, HIDDEN, 0.0, seed=i, norm_first=True) for i in range(3)]
    ours, theirs = ([pair[i] for pair in pairs] for i in (0, 1))
    mine, yours = [], []
    for pair in pairs:
        here, there = parameters_of(*pair)
        mine, yours = mine + here, yours + there
    compared(
        lambda x: (functools.reduce(lambda y, layer: layer(y, is_causal=True), ours, x),),
        lambda x: (functools.reduce(lambda y, layer: layer(y, torch.tensor(np.triu(np.ones((S, S), bool), 1))), theirs, x),),
        [normal(S, N, DIM)],
        (mine, yours),
    )

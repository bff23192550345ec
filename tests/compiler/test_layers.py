"""Every layer, over the grids of the tests beside PyTorch: steps of training, compiled, leave what eager ones do.

The layers of one test are one step: forward, backward of a random projection, SGD. What they return, all gradients, of the
inputs too, all parameters and all buffers must agree after each of several steps, in training and in evaluation.
"""

import inspect
import itertools

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import functional, layers

from .checks import check_training, native

pytestmark = native

STEPS = 4


def grid(name, *args, **choices):
    """(layer's name, arguments, settings) of every combination."""
    return [(name, args, dict(zip(choices, values, strict=True))) for values in itertools.product(*choices.values())]


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def made(name, args, settings, seed):
    layer = getattr(layers, name)
    if "generator" in inspect.signature(layer).parameters:
        settings = {**settings, "generator": np.random.default_rng(seed)}
    return layer(*args, **settings)


def check_layers(cases, arrays, call=lambda layer, *inputs: layer(*inputs), training=True, dtype=np.float64):
    """Those layers, each called on the same inputs, trained together."""
    arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in arrays]

    def build():
        modules = [made(*case, seed) for seed, case in enumerate(cases)]
        for module in modules:
            module.train(training)
        parameters = [p for module in modules for p in module.parameters()]
        optimizer = mg.SGD(parameters, lr=0.05, momentum=0.9) if parameters else None

        def step(*inputs):
            if optimizer is not None:
                optimizer.zero_grad()
            outputs = [call(module, *inputs) for module in modules]
            loss = 0.0
            for output in flat(outputs):
                weights = normal(*output.shape).astype(dtype)
                loss = loss + (output * weights).sum() + (output * output).mean()
            if loss.requires_grad:
                loss.backward()
            if optimizer is not None:
                optimizer.step()
            return outputs

        return modules, optimizer, step

    with mg.default_dtype(dtype):
        batches = [[x + 0.1 * i if x.dtype.kind == "f" else x for x in arrays] for i in range(STEPS)]
        check_training(build, batches, 1e-9 if dtype is np.float64 else 1e-3)


def flat(results):
    """The tensors of nested tuples and lists."""
    if isinstance(results, (tuple, list)):
        return [part for result in results for part in flat(result)]
    return [] if results is None else [results]


IMAGES, SEQUENCES = normal(2, 4, 7, 8), normal(2, 4, 9)

CONV2D = [
    case
    for case in grid(
        "Conv2d", 4, 8, kernel_size=[3, 1, (2, 3)], stride=[1, (2, 3)], padding=[0, (2, 1), "same"], dilation=[1, (2, 1)], groups=[1, 2, 4]
    )
    if case[2]["padding"] != "same" or case[2]["stride"] == 1
]
CONV1D = [
    case
    for case in grid("Conv1d", 4, 6, kernel_size=[3, 4], stride=[1, 3], padding=[0, 2, "same"], dilation=[1, 2], groups=[1, 2])
    if case[2]["padding"] != "same" or case[2]["stride"] == 1
]
DEPTHWISE = grid("Conv2d", 4, 4, (3, 2), stride=[1, 2], padding=[0, (0, 1)], dilation=[1, (2, 3)], bias=[True, False], groups=[4])


@pytest.mark.parametrize(
    ("cases", "x", "dtype"),
    [
        (CONV2D[::9], IMAGES, np.float64),
        (CONV2D[2::17], IMAGES, np.float32),
        ([*CONV1D[::6], *grid("Conv1d", 4, 4, 2, stride=[1, 3], dilation=[1, 4], groups=[4])], SEQUENCES, np.float64),
        (DEPTHWISE[::4], IMAGES, np.float64),
        (CONV2D[1:4:2], IMAGES[0], np.float64),
    ],
    ids=["2d", "2d, float32", "1d", "depthwise", "no batch"],
)
def test_convolution(cases, x, dtype):
    check_layers(cases, [x], dtype=dtype)


POOL2D = [
    *grid("MaxPool2d", kernel_size=[2, (3, 2)], stride=[None, 1, (2, 3)], padding=[0, 1], ceil_mode=[True, False])[::2],
    *grid("MaxPool2d", 2, stride=[1, 2], dilation=[2, (1, 3)]),
    *grid("AvgPool2d", (3, 2), stride=[None, (2, 3)], padding=[1], ceil_mode=[True, False], count_include_pad=[True, False]),
    *grid("AvgPool2d", 2),
    *grid("AdaptiveAvgPool2d", output_size=[1, (3, 5), (None, 2)]),
]
POOL1D = [
    *grid("MaxPool1d", kernel_size=[3], stride=[None, 1], padding=[0, 1], dilation=[1, 2]),
    *grid("AvgPool1d", kernel_size=[3], stride=[None, 1], padding=[0, 1], ceil_mode=[True, False]),
    *grid("AdaptiveAvgPool1d", output_size=[1, 4, None]),
]


@pytest.mark.parametrize(("cases", "x"), [(POOL2D, IMAGES), (POOL1D, SEQUENCES), (POOL1D[::3], SEQUENCES[0])], ids=["2d", "1d", "no batch"])
def test_pooling(cases, x):
    check_layers(cases, [x])


STATISTICS = {"eps": [1e-5, 0.5], "momentum": [0.1, None], "affine": [True, False], "track_running_stats": [True, False]}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("cases", "x", "dtype"),
    [
        (grid("BatchNorm1d", 4, **STATISTICS), normal(5, 4), np.float64),
        (grid("BatchNorm1d", 4, **STATISTICS)[::3], normal(3, 4, 6), np.float64),
        (grid("BatchNorm2d", 4, **STATISTICS)[::2], normal(3, 4, 2, 5), np.float64),
        (grid("BatchNorm2d", 4, affine=[True, False]), normal(3, 4, 2, 5), np.float32),
        (grid("InstanceNorm2d", 4, **{**STATISTICS, "momentum": [0.1, 0.7]})[::2], normal(3, 4, 2, 5), np.float64),
        (
            [
                *grid("GroupNorm", num_groups=[1, 2, 4], num_channels=[4], eps=[1e-5, 0.5], affine=[True, False]),
                *grid("LayerNorm", normalized_shape=[5, (2, 5)], elementwise_affine=[True, False], bias=[True, False]),
                *grid("RMSNorm", normalized_shape=[5, (2, 5)], eps=[None, 0.5], elementwise_affine=[True, False]),
            ],
            normal(3, 4, 2, 5),
            np.float64,
        ),
    ],
    ids=["batch", "batch of sequences", "batch of images", "float32", "instance", "group, layer, rms"],
)
def test_normalisation(cases, x, dtype, training):
    check_layers(cases, [1 + 2 * x], training=training, dtype=dtype)


RECURRENT = [
    case
    for name, settings in (("RNN", {}), ("RNN", {"nonlinearity": ["relu"]}), ("LSTM", {}), ("GRU", {}))
    for case in grid(name, 3, 4, num_layers=[1, 2], bidirectional=[False, True], bias=[True, False], **settings)
]


@pytest.mark.parametrize("part", range(2))
def test_recurrent_layers(part):
    check_layers(RECURRENT[part::8], [normal(5, 2, 3)])


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_recurrent_layers_with_states_batch_first_and_dropout(name):
    cases = grid(name, 3, 4, 2, batch_first=[True], dropout=[0.0, 0.5])
    states = [normal(2, 2, 4, seed=i) for i in range(2 if name == "LSTM" else 1)]
    check_layers(cases, [normal(2, 5, 3), *states], lambda layer, x, *h: layer(x, h if len(h) > 1 else h[0]))


def test_recurrent_cells():
    cases = [*grid("RNNCell", 3, 4, bias=[True, False]), *grid("GRUCell", 3, 4, bias=[True, False])]
    check_layers(cases, [normal(2, 3), normal(2, 4)])
    check_layers(grid("LSTMCell", 3, 4, bias=[True, False]), [normal(2, 3), normal(2, 4), normal(2, 4, seed=1)], lambda c, x, *h: c(x, h))


KEEP = normal(3, 4) < 0.5
MASKS = {
    "boolean": KEEP,
    "boolean, one for each example": normal(2, 1, 3, 4) < 0.5,
    "boolean, a query without keys": KEEP & np.array([[True], [False], [True]]),
    "floating": normal(3, 4),
    "floating, -inf": np.where(KEEP, normal(3, 4), -np.inf),
}


@pytest.mark.parametrize("mask", MASKS)
def test_scaled_dot_product_attention(mask):

    def call(dropout, q, k, v, mask):
        q, k, v = (dropout(x) for x in (q, k, v))
        attention = functional.scaled_dot_product_attention
        results = [attention(q, k, v, mask, scale=0.7), attention(q, k, v, is_causal=True)]
        return [*results, attention(q, k, v, dropout_p=0.5, generator=dropout.generator)]

    arrays = [normal(2, 3, 3, 6), normal(2, 3, 4, 6, seed=1), normal(2, 3, 4, 5)]
    check_layers(grid("Dropout", p=[0.1]), [*arrays, MASKS[mask]], call)


@pytest.mark.parametrize("training", [True, False])
def test_multihead_attention(training):
    settings = {"bias": [True, False], "batch_first": [False, True], "dropout": [0.0, 0.3]}
    padding, mask = np.array([[False, False, True], [False, True, True], [False, False, False]]), normal(3, 3) > 0.7
    np.fill_diagonal(mask, False)

    def call(layer, x, y):
        return [
            layer(x, x, x),
            layer(x, y, y, need_weights=False, is_causal=True),
            layer(x, y, x, key_padding_mask=padding, attn_mask=mask, average_attn_weights=False),
        ]

    x = normal(3, 3, 6)
    check_layers(grid("MultiheadAttention", 6, 2, **settings)[::3], [x, normal(3, 3, 6, seed=1)], call, training)


def test_multihead_attention_of_other_sizes():
    check_layers(grid("MultiheadAttention", 6, 3, kdim=[5], vdim=[4]), [normal(2, 3, 6), normal(4, 3, 5), normal(4, 3, 4)])


@pytest.mark.parametrize("training", [True, False])
def test_transformer_encoder_layers(training):
    cases = grid("TransformerEncoderLayer", 6, 2, 8, dropout=[0.0, 0.2], activation=["relu", "gelu"], norm_first=[True, False])
    check_layers(cases[::3], [normal(4, 2, 6)], lambda layer, x: layer(x, is_causal=True), training)
    check_layers(cases[1:3], [normal(4, 2, 6).astype(np.float32)], training=training, dtype=np.float32)


def test_embeddings_with_padding_and_without():
    cases = [*grid("Embedding", 7, 3, padding_idx=[None, 0, -1]), *grid("Embedding", 300, 2, padding_idx=[None, 4])]
    indices = np.random.default_rng(0).integers(0, 7, (4, 5))
    check_layers(cases, [indices])
    check_layers(cases, [indices.astype(np.int32)[0]])


@pytest.mark.parametrize("training", [True, False])
def test_what_is_left(training):
    """Linear, activations, dropout, and the layers that hold others."""
    names = ["ELU", "GELU", "LeakyReLU", "LogSoftmax", "ReLU", "SiLU", "Sigmoid", "Softmax", "Softplus", "Tanh", "Identity", "Flatten"]
    cases = [case for name in names for case in grid(name)]
    cases += [*grid("GELU", approximate=["tanh"]), *grid("ELU", alpha=[0.4]), *grid("LeakyReLU", negative_slope=[0.3])]
    cases += [*grid("Dropout", p=[0.0, 0.3, 1.0]), *grid("Linear", 6, 4, bias=[True, False]), *grid("SinusoidalPositions", 6, 5)]
    check_layers(cases, [normal(2, 5, 6)], training=training)
    check_layers(grid("Dropout2d", p=[0.4]), [normal(2, 3, 4, 5)], training=training)


def test_a_compiled_run_draws_the_numbers_of_an_eager_one_in_the_same_order():
    """From the library's own generator too, between other draws."""

    def run(compiling):
        mg.set_seed(3)
        dropout, other = layers.Dropout(0.5), layers.Dropout(0.5, np.random.default_rng(1))

        def step(x):
            return dropout(x) + mg.randn(4, 3) * other(x) + mg.rand(3)

        step = mg.compile(step, strict=True) if compiling else step
        found = []
        for _ in range(6):
            found += [step(mg.Tensor(np.ones((4, 3)))).data, mg.randn(2).data]
        return found

    for ours, eager in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(ours, eager, rtol=1e-6)

"""Convolution over one and two axes: the function against sums written out, and the layers."""

import importlib
import inspect
import tracemalloc

import numpy as np
import pytest

from micrograd_plus import Tensor, functional, gradient_check, gradients, layers, rules
from micrograd_plus.tensor import apply, default_dtype

from ..raising import unreached

RNG = np.random.default_rng(23)


def convolved(x, weight, stride, widths, dilation, groups):
    """The sums of products, an element of the weight at a time."""
    x = np.pad(x, ((0, 0), (0, 0), *widths))
    spans = [d * (k - 1) + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    counts = [(length - span) // s + 1 for length, span, s in zip(x.shape[2:], spans, stride, strict=True)]
    y = np.zeros((len(x), len(weight), *counts))
    for o, c, *offset in np.ndindex(*weight.shape):
        steps = zip(offset, counts, stride, dilation, strict=True)
        place = [slice(k * d, k * d + (count - 1) * s + 1, s) for k, count, s, d in steps]
        group = o // (len(weight) // groups)
        y[:, o] += weight[(o, c, *offset)] * x[(slice(None), group * weight.shape[1] + c, *place)]
    return y


# shapes of x and weight; settings; the padding before and after each axis, and the others, that they mean
CASES = [
    ((2, 3, 5, 6), (4, 3, 3, 2), {}, [(0, 0), (0, 0)], {}),
    ((2, 3, 5, 6), (4, 3, 2, 3), {"padding": 1}, [(1, 1), (1, 1)], {}),
    ((2, 4, 6, 5), (6, 2, 3, 3), {"stride": 2, "padding": (2, 0), "groups": 2}, [(2, 2), (0, 0)], {"stride": (2, 2)}),
    ((1, 3, 7, 6), (3, 1, 2, 2), {"stride": (1, 3), "dilation": [2, 1], "groups": 3}, [(0, 0), (0, 0)], {}),
    ((2, 2, 4, 5), (3, 2, 4, 3), {"padding": "same", "dilation": (1, 2)}, [(1, 2), (2, 2)], {}),
    ((2, 2, 4, 5), (3, 2, 3, 2), {"padding": "valid"}, [(0, 0), (0, 0)], {}),
    ((2, 2, 3, 3), (3, 2, 1, 1), {"stride": np.int64(2)}, [(0, 0), (0, 0)], {"stride": (2, 2)}),
    ((2, 2, 3, 3), (3, 2, 3, 3), {}, [(0, 0), (0, 0)], {}),
    ((2, 3, 8), (4, 3, 3), {"stride": (2,), "padding": 1}, [(1, 1)], {}),
    ((2, 4, 8), (2, 2, 2), {"padding": "same", "dilation": 3, "groups": 2}, [(1, 2)], {"dilation": (3,)}),
]


@pytest.mark.parametrize(("shape", "weight_shape", "settings", "widths", "meant"), CASES)
@pytest.mark.parametrize("biased", [True, False])
def test_a_convolution_is_its_sums_and_its_gradients_their_transposes(shape, weight_shape, settings, widths, meant, biased):
    n = len(shape) - 2
    convolve = getattr(functional, f"conv{n}d")
    meant = {"stride": (1,) * n, "dilation": (1,) * n, "groups": 1} | settings | meant
    meant.pop("padding", None)
    x, weight, bias = RNG.normal(size=shape), RNG.normal(size=weight_shape), RNG.normal(size=weight_shape[:1]) * biased
    with default_dtype(np.float64):
        X, W, B = (Tensor(array, requires_grad=True) for array in (x, weight, bias))
        y = convolve(X, W, B if biased else None, **settings)
    column = bias.reshape(-1, *[1] * n)
    np.testing.assert_allclose(y.data, convolved(x, weight, widths=widths, **meant) + column, rtol=1e-12, atol=1e-12)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    for _ in range(2):
        v, w = RNG.normal(size=shape), RNG.normal(size=weight_shape)
        np.testing.assert_allclose((X.grad * v).sum(), (g * convolved(v, weight, widths=widths, **meant)).sum(), rtol=1e-9)
        np.testing.assert_allclose((W.grad * w).sum(), (g * convolved(x, w, widths=widths, **meant)).sum(), rtol=1e-9)
    np.testing.assert_allclose(B.grad, g.sum((0, *range(2, n + 2))) * biased, rtol=1e-12)


def test_the_kernel_is_not_flipped():
    x = Tensor([[[1.0, 2.0, 4.0, 8.0]]])
    np.testing.assert_array_equal(functional.conv1d(x, Tensor([[[1.0, 10.0, 100.0]]])).data, [[[421, 842]]])


@pytest.mark.parametrize("groups", [1, 2])
def test_second_derivatives(groups):
    shapes = (2, 4, 4, 3), (4, 4 // groups, 2, 2), (4,)
    c, d = RNG.normal(size=(2, 2, 4, 2, 3))

    def slope(x, weight, bias):
        y = functional.conv2d(x, weight, bias, (2, 1), (1, 1), 2, groups)
        each = gradients((y * c + y * y * d).sum(), [x, weight, bias], create_graph=True)
        return sum((part * part).sum() for part in each)

    assert gradient_check(slope, tuple(RNG.normal(size=shape) for shape in shapes)).passed


@pytest.mark.parametrize(("convolve", "shape"), [(functional.conv1d, (3, 6)), (functional.conv2d, (3, 5, 6))])
def test_a_convolution_without_a_batch_is_that_of_a_batch_of_one(convolve, shape):
    x, weight, bias = RNG.normal(size=shape), RNG.normal(size=(4, 3, *[2] * (len(shape) - 1))), RNG.normal(size=4)
    one, batch = Tensor(x, requires_grad=True), Tensor(x[None], requires_grad=True)
    y = convolve(one, Tensor(weight), Tensor(bias), padding=1)
    z = convolve(batch, Tensor(weight), Tensor(bias), padding=1)
    np.testing.assert_array_equal(y.data, z.data[0])
    (y * y).sum().backward()
    (z * z).sum().backward()
    np.testing.assert_array_equal(one.grad, batch.grad[0])


def test_an_empty_batch_gives_an_empty_batch_and_a_gradient_of_zeros():
    layer = layers.Conv2d(2, 3, 3, padding=1)
    y = layer(np.zeros((0, 2, 4, 5)))
    assert y.shape == (0, 3, 4, 5)
    y.sum().backward()
    np.testing.assert_array_equal(layer.weight.grad, np.zeros((3, 2, 3, 3)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32])
def test_images_of_whole_numbers_are_taken_and_give_float32(dtype):
    x, weight = RNG.integers(0, 255, (2, 1, 4, 4)), RNG.normal(size=(2, 1, 3, 3)).astype(np.float32)
    W = Tensor(weight, requires_grad=True)
    y = functional.conv2d(Tensor(x.astype(dtype)), W, padding=1)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, convolved(x, weight, (1, 1), [(1, 1), (1, 1)], (1, 1), 1), rtol=1e-4, atol=1e-3)
    y.sum().backward()
    assert W.grad.dtype == np.float32


def test_results_have_their_channels_last_in_memory():
    x = Tensor(RNG.normal(size=(2, 3, 4, 5)), requires_grad=True)
    y = functional.conv2d(x, Tensor(RNG.normal(size=(4, 3, 3, 3))), Tensor(np.ones(4)), padding=1)
    assert y.data.transpose(0, 2, 3, 1).flags.c_contiguous


def test_the_graph_holds_no_matrix_of_windows():
    x = Tensor(np.zeros((8, 4, 40, 40)), requires_grad=True)
    weight = Tensor(np.zeros((4, 4, 7, 7)), requires_grad=True)
    functional.conv2d(x, weight, padding=3)
    tracemalloc.start()
    try:
        y = functional.conv2d(x, weight, padding=3)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 3 * y.data.nbytes  # the padded input and the output; the matrix would be 49 times the input


def test_no_gradient_is_computed_for_an_input_that_needs_none(monkeypatch):
    rule = importlib.import_module("micrograd_plus.rules.convolution")
    monkeypatch.setattr(rule, "correlate_input", None)
    weight = Tensor(RNG.normal(size=(2, 1, 2, 2)), requires_grad=True)
    functional.conv2d(Tensor(np.ones((1, 1, 3, 3))), weight).sum().backward()
    np.testing.assert_allclose(weight.grad, np.full((2, 1, 2, 2), 4.0))


def test_defaults_of_the_functions():
    for function in (functional.conv1d, functional.conv2d):
        found = {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}
        assert found == {"bias": None, "stride": 1, "padding": 0, "dilation": 1, "groups": 1}


def test_the_advice_for_images_without_channels_or_with_channels_last_holds():
    gray, colour = np.ones((6, 5, 4)), Tensor(np.ones((6, 5, 4, 3)))
    assert layers.Conv2d(1, 2, 3)(gray[..., None, :, :]).shape == (6, 2, 3, 2)
    assert layers.Conv2d(1, 2, 3)(Tensor(gray[0])[..., None, :, :]).shape == (2, 3, 2)
    assert layers.Conv1d(1, 2, 3)(gray[0][..., None, :]).shape == (5, 2, 2)
    assert layers.Conv2d(3, 2, 3)(np.moveaxis(colour, -1, 1)).shape == (6, 2, 3, 2)


def test_a_function_takes_an_array_without_a_batch():
    x, weight = RNG.normal(size=(2, 5, 4)).astype(np.float32), Tensor(RNG.normal(size=(3, 2, 2, 2)))
    np.testing.assert_array_equal(functional.conv2d(x, weight).data, functional.conv2d(Tensor(x), weight).data)


# -- layers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "function", "settings"),
    [
        (layers.Conv1d, functional.conv1d, {}),
        (layers.Conv1d, functional.conv1d, {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}),
        (layers.Conv2d, functional.conv2d, {"bias": False}),
        (layers.Conv2d, functional.conv2d, {"stride": (2, 1), "padding": (0, 1), "dilation": (1, 2), "groups": 2}),
        (layers.Conv2d, functional.conv2d, {"padding": "same"}),
        (layers.Conv2d, functional.conv2d, {"padding": "valid", "stride": 2}),
    ],
)
def test_a_layer_is_its_function_in_training_and_in_evaluation(layer, function, settings):
    n = 1 if layer is layers.Conv1d else 2
    x = RNG.normal(size=(2, 4, 6, 7)[: n + 2]).astype(np.float32)
    module = layer(4, 6, 3, **settings)
    passed = {name: value for name, value in settings.items() if name != "bias"}
    expected = function(Tensor(x), module.weight, module.bias, **passed).data
    np.testing.assert_array_equal(module(x).data, expected)
    np.testing.assert_array_equal(module(Tensor(x)).data, expected)
    np.testing.assert_array_equal(module.eval()(x).data, expected)
    np.testing.assert_allclose(module(x[0]).data, expected[0], rtol=1e-4, atol=1e-5)


def test_parameters_have_pytorchs_names_and_shapes():
    def shapes(layer):
        return {name: array.shape for name, array in layer.state_dict().items()}

    assert shapes(layers.Conv2d(4, 6, (3, 2), groups=2)) == {"weight": (6, 2, 3, 2), "bias": (6,)}
    assert shapes(layers.Conv1d(4, 6, 5)) == {"weight": (6, 4, 5), "bias": (6,)}
    plain = layers.Conv2d(1, 1, 1, bias=False)
    assert shapes(plain) == {"weight": (1, 1, 1, 1)}
    assert plain.bias is None
    assert layers.Conv2d(4, 6, 3).weight.dtype == np.float32


def test_settings_are_kept_as_pytorch_keeps_them():
    layer = layers.Conv2d(4, 6, 3, 2, 1, (1, 2), 2)
    assert (layer.in_channels, layer.out_channels, layer.groups, layer.bias is None) == (4, 6, 2, False)
    assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation) == ((3, 3), (2, 2), (1, 1), (1, 2))
    assert layers.Conv1d(1, 1, 3, padding="same").padding == "same"


def test_initial_values_are_uniform_within_one_over_the_root_of_the_inputs_of_an_output():
    layer = layers.Conv2d(8, 4000, (3, 2), groups=4, generator=np.random.default_rng(0))
    bound = 1 / np.sqrt(2 * 3 * 2)
    for values in (layer.weight.data, layer.bias.data):
        assert 0.99 * bound < np.abs(values).max() <= bound
        np.testing.assert_allclose(values.std(), bound / np.sqrt(3), rtol=0.05)
        assert abs(values.mean()) < 0.05 * bound


def test_initial_values_come_from_the_generator():
    first, second = (layers.Conv1d(2, 3, 4, generator=np.random.default_rng(5)) for _ in range(2))
    random = np.random.default_rng(5)
    bound = 1 / np.sqrt(8)
    np.testing.assert_allclose(first.weight.data, random.uniform(-bound, bound, (3, 2, 4)), rtol=1e-6)
    np.testing.assert_allclose(first.bias.data, random.uniform(-bound, bound, 3), rtol=1e-6)
    np.testing.assert_array_equal(first.weight.data, second.weight.data)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (lambda: layers.Conv2d(1, 8, 3), "Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1))"),
        (lambda: layers.Conv1d(1, 8, 3, 2, 1), "Conv1d(1, 8, kernel_size=(3,), stride=(2,), padding=(1,))"),
        (
            lambda: layers.Conv2d(4, 8, 3, padding="same", dilation=2, groups=4, bias=False),
            "Conv2d(4, 8, kernel_size=(3, 3), stride=(1, 1), padding=same, dilation=(2, 2), groups=4, bias=False)",
        ),
    ],
)
def test_repr(layer, text):
    assert repr(layer()) == text


def test_defaults_of_the_layers():
    for layer in (layers.Conv1d, layers.Conv2d):
        found = {name: p.default for name, p in inspect.signature(layer).parameters.items() if p.default is not p.empty}
        assert found == {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True, "generator": None}


# -- errors --------------------------------------------------------------------------------------------------------------


def tensor(*shape):
    return Tensor(np.ones(shape))


def conv2d(x=(1, 2, 5, 5), weight=(4, 2, 3, 3), bias=None, **settings):
    return functional.conv2d(tensor(*x), tensor(*weight), bias if bias is None else tensor(*bias), **settings)


WEIGHT = "the weight of a convolution over {} must be of shape (O, C / groups, kernel) with groups dividing O, got {} and groups={}."
INPUT = "a convolution with weight of shape {} and groups={} needs input {}, got {}. Check the layer before it."
CHANNELS_LAST = INPUT.replace("Check the layer before it.", "The channels go before {}: np.moveaxis(x, -1, 1).")
NO_CHANNELS = INPUT.replace("groups={}", "groups=1").replace(
    "Check the layer before it.", "Add the axis of the one channel: x[..., None, {}]."
)
FIT = "a kernel must fit into the padded input, got one that spans {} for {}. Add padding or use a smaller kernel."
PAIR = "{} must be 2 ints or an int of at least {}, got {}."
PADDING = "padding other than 'same' and 'valid'"

MESSAGES = [
    (lambda: conv2d(weight=(4, 2, 3)), ValueError, WEIGHT.format("H, W", (4, 2, 3), 1)),
    (lambda: conv2d(x=(1, 6, 5, 5), groups=3), ValueError, WEIGHT.format("H, W", (4, 2, 3, 3), 3)),
    (lambda: functional.conv1d(tensor(1, 2, 5), tensor(4, 2, 3, 3)), ValueError, WEIGHT.format("L", (4, 2, 3, 3), 1)),
    (
        lambda: conv2d(bias=(1,)),
        ValueError,
        "the bias of a convolution must have an element per output channel, shape (4,), got (1,).",
    ),
    (lambda: conv2d(x=(1, 3, 5, 5)), ValueError, INPUT.format((4, 2, 3, 3), 1, "(N, 2, H, W) or (2, H, W)", (1, 3, 5, 5))),
    (lambda: conv2d(x=(5, 2)), ValueError, INPUT.format((4, 2, 3, 3), 1, "(N, 2, H, W) or (2, H, W)", (5, 2))),
    (lambda: conv2d(x=(2, 5)), ValueError, INPUT.format((4, 2, 3, 3), 1, "(N, 2, H, W) or (2, H, W)", (2, 5))),
    (lambda: conv2d(x=(1, 1, 2, 5, 5)), ValueError, INPUT.format((4, 2, 3, 3), 1, "(N, 2, H, W) or (2, H, W)", (1, 1, 2, 5, 5))),
    (lambda: conv2d(groups=2), ValueError, INPUT.format((4, 2, 3, 3), 2, "(N, 4, H, W) or (4, H, W)", (1, 2, 5, 5))),
    (lambda: layers.Conv1d(2, 4, 3)(np.ones((1, 3, 5))), ValueError, INPUT.format((4, 2, 3), 1, "(N, 2, L) or (2, L)", (1, 3, 5))),
    (lambda: conv2d(x=(1, 2, 5, 2)), ValueError, FIT.format((3, 3), (5, 2))),
    (lambda: conv2d(x=(2, 2, 5), padding=(0, 1), dilation=(2, 3)), ValueError, FIT.format((5, 7), (2, 7))),
    (lambda: layers.Conv2d(2, 4, 5, padding=1)(np.ones((1, 2, 3, 2))), ValueError, FIT.format((5, 5), (5, 4))),
    (lambda: conv2d(stride=0), ValueError, PAIR.format("stride", 1, 0)),
    (lambda: conv2d(stride=(1, 1, 1)), ValueError, PAIR.format("stride", 1, (1, 1, 1))),
    (lambda: conv2d(dilation=1.5), ValueError, PAIR.format("dilation", 1, 1.5)),
    (lambda: conv2d(stride=None), ValueError, PAIR.format("stride", 1, None)),
    (lambda: conv2d(groups=0), ValueError, "groups must be an int of at least 1, got 0."),
    (lambda: conv2d(padding=-1), ValueError, PAIR.format(PADDING, 0, -1)),
    (lambda: conv2d(padding=(1, -1)), ValueError, PAIR.format(PADDING, 0, (1, -1))),
    (lambda: conv2d(padding="full"), ValueError, PAIR.format(PADDING, 0, "'full'")),
    (
        lambda: conv2d(padding="same", stride=(1, 2)),
        ValueError,
        "padding 'same' needs stride 1, got (1, 2). Give the padding as a number.",
    ),
    (
        lambda: layers.Conv1d(2, 4, 3, 2, "same"),
        ValueError,
        "padding 'same' needs stride 1, got (2,). Give the padding as a number.",
    ),
    (lambda: layers.Conv2d(2, 4, 3, padding="half"), ValueError, PAIR.format(PADDING, 0, "'half'")),
    (lambda: layers.Conv2d(2, 4, 0), ValueError, PAIR.format("kernel_size", 1, 0)),
    (lambda: layers.Conv2d(2, 4, 3, stride=(1, 0)), ValueError, PAIR.format("stride", 1, (1, 0))),
    (lambda: layers.Conv2d(2, 4, 3, dilation=0), ValueError, PAIR.format("dilation", 1, 0)),
    (lambda: layers.Conv1d(2, 4, (3, 3)), ValueError, "kernel_size must be an int of at least 1, got (3, 3)."),
    (lambda: layers.Conv2d(2, 4, 3, groups=-1), ValueError, "groups must be an int of at least 1, got -1."),
    (lambda: layers.Conv2d(3, 4, 3, groups=2), ValueError, "in_channels of Conv2d must be a multiple of groups=2, got 3."),
    (lambda: layers.Conv1d(4, 3, 3, groups=2), ValueError, "out_channels of Conv1d must be a multiple of groups=2, got 3."),
    (lambda: layers.Conv2d(0, 4, 3), ValueError, "in_channels of Conv2d must be an int of at least 1, got 0."),
    (lambda: layers.Conv1d(4, 4.0, 3), ValueError, "out_channels of Conv1d must be an int of at least 1, got 4.0."),
    (lambda: layers.Conv2d(4, 3, 3, groups=(2,)), ValueError, "out_channels of Conv2d must be a multiple of groups=2, got 3."),
    (lambda: conv2d(x=(2, 5, 4, 2)), ValueError, CHANNELS_LAST.format((4, 2, 3, 3), 1, "(N, 2, H, W) or (2, H, W)", (2, 5, 4, 2), "H, W")),
    (
        lambda: functional.conv1d(tensor(3, 5, 2), tensor(4, 2, 3)),
        ValueError,
        CHANNELS_LAST.format((4, 2, 3), 1, "(N, 2, L) or (2, L)", (3, 5, 2), "L"),
    ),
    (
        lambda: conv2d(x=(6, 5, 5), weight=(4, 1, 3, 3)),
        ValueError,
        NO_CHANNELS.format((4, 1, 3, 3), "(N, 1, H, W) or (1, H, W)", (6, 5, 5), ":, :"),
    ),
    (
        lambda: conv2d(x=(5, 5), weight=(4, 1, 3, 3)),
        ValueError,
        NO_CHANNELS.format((4, 1, 3, 3), "(N, 1, H, W) or (1, H, W)", (5, 5), ":, :"),
    ),
    (lambda: conv2d(x=(25,), weight=(4, 1, 3, 3)), ValueError, INPUT.format((4, 1, 3, 3), 1, "(N, 1, H, W) or (1, H, W)", (25,))),
    (
        lambda: functional.conv1d(tensor(6, 5), tensor(4, 1, 3)),
        ValueError,
        NO_CHANNELS.format((4, 1, 3), "(N, 1, L) or (1, L)", (6, 5), ":"),
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES, ids=[text[:60] for _, _, text in MESSAGES])
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
    assert type(error.value) is kind


def test_every_error_has_an_entry():
    missing = [place for module in (functional.convolution, layers.convolution) for place in unreached(module, MESSAGES)]
    assert not missing, f"no entry reaches: {missing}"


# -- the composition that the rule replaces ------------------------------------------------------------------------------


def as_windows_and_product(x, weight, stride, dilation, groups):
    """The convolution of two rules that are each other's pullback, windows and their scatter, and a matrix product."""
    n, size = x.ndim - 2, weight.shape[2:]
    w = apply(rules.windows, x, size=size, stride=(stride,) * n, dilation=(dilation,) * n)
    positions = w.shape[2 : 2 + n]
    rows = w.reshape(len(x), groups, -1, *positions, *size).transpose(1, 0, *range(3, 3 + n), 2, *range(3 + n, 3 + 2 * n))
    rows = rows.reshape(groups, len(x) * int(np.prod(positions)), -1)
    columns = weight.reshape(groups, len(weight) // groups, -1).transpose(0, 2, 1)
    y = (rows @ columns).reshape(groups, len(x), *positions, -1)
    return y.transpose(1, 0, y.ndim - 1, *range(2, 2 + n)).reshape(len(x), len(weight), *positions)


@pytest.mark.parametrize(("shape", "kernel"), [((2, 4, 7), (6, 3)), ((2, 4, 5, 6), (6, 3, 2)), ((3, 4, 5, 5), (4, 1, 1))])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_it_is_the_product_of_windows_in_value_and_derivatives(shape, kernel, stride, dilation, groups):
    out, *size = kernel
    out = 4 if groups == 4 else out
    random = np.random.default_rng(0)
    x, w = random.standard_normal(shape), random.standard_normal((out, 4 // groups, *size))
    function = functional.conv1d if len(size) == 1 else functional.conv2d
    results = []
    with default_dtype(np.float64):
        for composed in (False, True):
            a, b = Tensor(x, requires_grad=True), Tensor(w, requires_grad=True)
            settings = {"stride": stride, "dilation": dilation, "groups": groups}
            y = as_windows_and_product(a, b, **settings) if composed else function(a, b, **settings)
            slopes = gradients((y * y.sin()).sum(), [a, b], create_graph=True)
            curvatures = gradients(sum((slope * slope).sum() for slope in slopes), [a, b])
            results.append([y.data, *(t.data for t in (*slopes, *curvatures))])
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)

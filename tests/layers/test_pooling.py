"""Pooling over one and two axes: the functions against loops over windows, and the layers."""

import functools
import inspect
import math

import numpy as np
import pytest

from micrograd_plus import Tensor, functional, gradients, layers
from micrograd_plus.tensor import default_dtype

from ..raising import unreached

RNG = np.random.default_rng(29)


def starts(length, k, s, p, d, ceil):
    """Where the windows along an axis start, the input beginning at 0."""
    last = length + p - (d * (k - 1) + 1)
    found = list(range(-p, last + 1, s))
    following = found[-1] + s if found else -p
    return [*found, following] if ceil and found[-1:] != [last] and following < length else found


def windows(x, n, kernel, stride, padding, dilation, ceil):
    """For each position of a window, the elements of the input that it holds, and how many it has with the padding, without overhang."""
    settings = list(zip(x.shape[-n:], kernel, stride, padding, dilation, strict=True))
    found = [starts(length, k, s, p, d, ceil) for length, k, s, p, d in settings]
    for position in np.ndindex(*map(len, found)):
        index, count = (), 1
        for start, (length, k, _, p, d) in zip([axis[i] for axis, i in zip(found, position, strict=True)], settings, strict=True):
            places = [start + d * j for j in range(k)]
            count *= sum(place < length + p for place in places)
            index += ([place for place in places if 0 <= place < length],)
        yield position, np.ix_(*map(range, x.shape[:-n]), *index), count


# shape; settings; what they mean for each axis
CASES = [
    ((2, 3, 6, 4), {"kernel_size": 2}, {}),
    ((2, 3, 5, 6), {"kernel_size": (3, 2), "stride": 1}, {"stride": (1, 1)}),
    ((2, 3, 5, 7), {"kernel_size": 3, "stride": (2, 3), "padding": (0, 1)}, {}),
    ((2, 3, 5, 7), {"kernel_size": (2, 4), "stride": 2, "padding": [1, 2]}, {"stride": (2, 2)}),
    ((1, 2, 7, 6), {"kernel_size": 2, "padding": 1, "ceil_mode": True}, {"padding": (1, 1)}),
    ((1, 2, 7, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True}, {"stride": (2, 2)}),
    ((1, 2, 4, 3), {"kernel_size": 2, "stride": 3, "ceil_mode": True}, {"stride": (3, 3)}),
    ((1, 2, 3, 1), {"kernel_size": (3, 2), "ceil_mode": True}, {}),
    ((1, 2, 5, 5), {"kernel_size": 2, "stride": 4, "padding": 1, "ceil_mode": True}, {"stride": (4, 4), "padding": (1, 1)}),
    ((3, 6, 4), {"kernel_size": 2}, {}),
    ((2, 3, 9), {"kernel_size": 3}, {}),
    ((2, 3, 8), {"kernel_size": (4,), "stride": 3, "padding": 2, "ceil_mode": True}, {"stride": (3,), "padding": (2,)}),
    ((3, 9), {"kernel_size": 2, "stride": (3,)}, {}),
]
DILATED = [
    ((2, 3, 7, 8), {"kernel_size": 2, "dilation": 3}, {"dilation": (3, 3)}),
    ((2, 3, 7, 8), {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": (1, 2), "ceil_mode": True}, {}),
    ((2, 3, 9), {"kernel_size": 2, "stride": 1, "dilation": 4}, {}),
]


def axes_of(shape, settings):
    """How many axes a case pools: two, where the kernel or the shape says so."""
    return 1 if len(shape) == 2 or (len(shape) == 3 and shape[-1] > 7) else 2


def meaning(n, settings, meant):
    every = {"padding": 0, "dilation": 1, "ceil_mode": False, "stride": settings["kernel_size"]} | settings | meant
    ceil = every.pop("ceil_mode")
    return {name: np.broadcast_to(value, n).tolist() for name, value in every.items()} | {"ceil": ceil}


def pooled(x, n, reduce, kernel_size, stride, padding, dilation, ceil):
    parts = {position: reduce(x[index], count) for position, index, count in windows(x, n, kernel_size, stride, padding, dilation, ceil)}
    last = max(parts)
    out = np.empty((*x.shape[:-n], *[i + 1 for i in last]))
    for position, value in parts.items():
        out[(..., *position)] = value
    return out


@pytest.mark.parametrize(("shape", "settings", "meant"), CASES + DILATED)
def test_max_pooling_takes_the_maximum_of_each_window(shape, settings, meant):
    n = axes_of(shape, settings)
    function = getattr(functional, f"max_pool{n}d")
    last = tuple(range(-n, 0))
    x = RNG.permutation(math.prod(shape)).reshape(shape) - math.prod(shape)  # all below zero
    with default_dtype(np.float64):
        X = Tensor(x.astype(float), requires_grad=True)
        y = function(X, **settings)
    expected = pooled(x, n, lambda part, count: part.max(last), **meaning(n, settings, meant))
    np.testing.assert_array_equal(y.data, expected)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    places = np.zeros(x.size)
    np.add.at(places, np.argsort(x, axis=None)[(y.data + x.size).astype(int)], g)
    np.testing.assert_allclose(X.grad, places.reshape(shape), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "settings", "meant"), CASES)
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_average_pooling_takes_the_mean_of_each_window(shape, settings, meant, count_include_pad):
    n = axes_of(shape, settings)
    function = functools.partial(getattr(functional, f"avg_pool{n}d"), **settings, count_include_pad=count_include_pad)
    last = tuple(range(-n, 0))

    def mean(part, count):
        return part.sum(last) / (count if count_include_pad else math.prod(part.shape[-n:]))

    x = RNG.normal(size=shape)
    with default_dtype(np.float64):
        X = Tensor(x, requires_grad=True)
        y = function(X)
    expected = pooled(x, n, mean, **meaning(n, settings, meant))
    np.testing.assert_allclose(y.data, expected, rtol=1e-12, atol=1e-12)
    g, v = RNG.normal(size=y.shape), RNG.normal(size=shape)
    y.backward(g)
    np.testing.assert_allclose((X.grad * v).sum(), (g * pooled(v, n, mean, **meaning(n, settings, meant))).sum(), rtol=1e-9)


def test_the_first_of_tied_elements_gets_the_gradient():
    x = Tensor([[[[1.0, 1.0, 3.0, 0.0], [1.0, 1.0, 3.0, 3.0]]]], requires_grad=True)
    functional.max_pool2d(x, 2).backward(np.array([[[[5.0, 7.0]]]]))
    np.testing.assert_array_equal(x.grad, [[[[5, 0, 7, 0], [0, 0, 0, 0]]]])
    x = Tensor([[2.0, 2.0, 2.0]], requires_grad=True)
    functional.max_pool1d(x, 2, 1).backward(np.array([[5.0, 7.0]]))
    np.testing.assert_array_equal(x.grad, [[5, 7, 0]])


def test_padding_never_wins_against_an_element_and_takes_no_gradient():
    x = Tensor(np.full((1, 1, 2, 2), -np.inf), requires_grad=True)
    y = functional.max_pool2d(x, 2, 2, 1)
    np.testing.assert_array_equal(y.data, np.full((1, 1, 2, 2), -np.inf))
    assert functional.max_pool2d(Tensor(np.full((1, 1, 2, 2), -9.0)), 2, 2, 1).data.max() == -9


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_element_that_is_not_finite_reaches_the_windows_that_hold_it_alone(value):
    x = np.zeros((1, 1, 4, 6))
    x[0, 0, 1, 2] = value
    where = np.array([[[[0, 1, 0], [0, 0, 0]]]], bool)
    for pool in (functools.partial(functional.max_pool2d, kernel_size=2), functools.partial(functional.avg_pool2d, kernel_size=2)):
        np.testing.assert_array_equal(pool(Tensor(x)).data, np.where(where, value, 0))
    np.testing.assert_array_equal(functional.adaptive_avg_pool2d(Tensor(x), (2, 3)).data, np.where(where, value, 0))


def test_the_first_nan_of_a_window_gets_the_gradient():
    x = Tensor([[1.0, np.nan, 3.0, np.nan]], requires_grad=True)
    functional.max_pool1d(x, 4).backward(np.array([[2.0]]))
    np.testing.assert_array_equal(x.grad, [[0, 2, 0, 0]])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 8])
def test_adaptive_pooling_takes_the_mean_of_each_part(size):
    x = RNG.normal(size=(2, 3, 6))
    with default_dtype(np.float64):
        X = Tensor(x, requires_grad=True)
        y = functional.adaptive_avg_pool1d(X, size)
    parts = [slice(math.floor(i * 6 / size), math.ceil((i + 1) * 6 / size)) for i in range(size)]
    np.testing.assert_allclose(y.data, np.stack([x[..., part].mean(-1) for part in parts], -1), rtol=1e-12, atol=1e-12)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    expected = np.zeros_like(x)
    for i, part in enumerate(parts):
        expected[..., part] += g[..., i, None] / (part.stop - part.start)
    np.testing.assert_allclose(X.grad, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "rows", "columns"), [(2, 2, 2), ((3, 2), 3, 2), ([1, 4], 1, 4), ((None, 3), 5, 3), ((4, None), 4, 6), (None, 5, 6), (1, 1, 1)]
)
def test_adaptive_pooling_of_images_pools_each_axis(size, rows, columns):
    x = RNG.normal(size=(2, 3, 5, 6))
    y = functional.adaptive_avg_pool2d(Tensor(x), size)
    by_rows = functional.adaptive_avg_pool1d(Tensor(x.transpose(0, 1, 3, 2).reshape(2, 18, 5)), rows).data.reshape(2, 3, 6, rows)
    expected = functional.adaptive_avg_pool1d(Tensor(by_rows.transpose(0, 1, 3, 2).reshape(2, 3 * rows, 6)), columns).data
    np.testing.assert_allclose(y.data, expected.reshape(2, 3, rows, columns), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(functional.adaptive_avg_pool2d(Tensor(x[0]), size).data, y.data[0], rtol=1e-5, atol=1e-6)


def test_an_axis_that_has_the_wanted_size_is_left_alone():
    x = Tensor(RNG.normal(size=(2, 3, 5)))
    assert functional.adaptive_avg_pool1d(x, 5) is functional.adaptive_avg_pool1d(x, None) is x


def test_second_derivatives_of_a_maximum_and_a_mean_squared():
    x = Tensor(RNG.permutation(36).reshape(1, 1, 6, 6), requires_grad=True, dtype=np.float64)
    for pool, expected in (
        (lambda t: functional.max_pool2d(t, 2), lambda v: 2 * v * (functional.max_pool2d(x, 2).data.repeat(2, 2).repeat(2, 3) == x.data)),
        (lambda t: functional.avg_pool2d(t, 2), lambda v: 2 * functional.avg_pool2d(Tensor(v), 2).data.repeat(2, 2).repeat(2, 3) / 4),
    ):
        y = pool(x)
        (slope,) = gradients((y * y).sum(), [x], create_graph=True)
        v = RNG.normal(size=x.shape).astype(np.float32)
        (product,) = gradients((slope * v).sum(), [x])
        np.testing.assert_allclose(product.data, expected(v), rtol=1e-5, atol=1e-6)


def test_pooling_gives_the_gradient_in_the_order_of_memory_that_it_got_the_input_in():
    x = Tensor(RNG.normal(size=(2, 3, 4, 4)), requires_grad=True)
    (slope,) = gradients(functional.max_pool2d(x * 1.0, 2).reshape(2, -1).sum(), [x])
    assert slope.shape == x.shape


@pytest.mark.parametrize("pool", [functional.max_pool2d, functional.avg_pool2d])
def test_an_empty_batch_and_float32_stay(pool):
    assert pool(Tensor(np.zeros((0, 3, 4, 4))), 2).shape == (0, 3, 2, 2)
    assert pool(Tensor(np.zeros((1, 3, 4, 4))), 2, 2, 1).dtype == np.float32


def test_defaults_of_the_functions():
    def defaults(function):
        return {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}

    every = {"stride": None, "padding": 0, "ceil_mode": False}
    assert defaults(functional.max_pool1d) == defaults(functional.max_pool2d) == every | {"dilation": 1}
    assert defaults(functional.avg_pool1d) == defaults(functional.avg_pool2d) == every | {"count_include_pad": True}


@pytest.mark.parametrize(("dtype", "least"), [(np.uint8, 0), (np.int64, -(2**63)), (np.int8, -128), (bool, False)])
def test_the_maximum_of_whole_numbers_keeps_its_dtype_and_sees_no_padding(dtype, least):
    x = np.array([[[least, least, least, least], [least, 1, 0, 1]]], dtype)
    y = functional.max_pool1d(Tensor(x), 2, padding=1)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.data, [[[least, least, least], [least, 1, 1]]])
    np.testing.assert_array_equal(functional.max_pool1d(Tensor(x), 2).data, [[[least, least], [1, 1]]])


def test_the_mean_of_whole_numbers_does_not_overflow():
    x = Tensor(np.full((1, 1, 4, 4), 200, np.uint8))
    for y in (functional.avg_pool2d(x, 2), functional.adaptive_avg_pool2d(x, 2)):
        assert y.dtype == np.float32
        np.testing.assert_array_equal(y.data, np.full((1, 1, 2, 2), 200))


# -- layers --------------------------------------------------------------------------------------------------------------

MAX = {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 2, "ceil_mode": True}
AVG = {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}


@pytest.mark.parametrize("settings", [{"kernel_size": 2}, MAX, AVG, {"output_size": 3}, {"output_size": (None,)}])
@pytest.mark.parametrize("n", [1, 2])
def test_a_layer_is_its_function_in_training_and_in_evaluation(n, settings):
    x = RNG.normal(size=(2, 3, 7, 8)[: n + 2]).astype(np.float32)
    settings = settings | ({"output_size": (None, 2)} if n == 2 and settings.get("output_size") == (None,) else {})
    kinds = ["Max", "Avg"] if settings == {"kernel_size": 2} else ["Max"] if settings == MAX else ["Avg"]
    for kind in kinds:
        name = ("adaptive_" if "output_size" in settings else "") + f"{kind.lower()}_pool{n}d"
        module = getattr(layers, ("Adaptive" if "output_size" in settings else "") + f"{kind}Pool{n}d")(**settings)
        expected = getattr(functional, name)(Tensor(x), **settings).data
        np.testing.assert_array_equal(module(x).data, expected)
        np.testing.assert_array_equal(module.eval()(Tensor(x)).data, expected)
        assert module.parameters() == []


def test_repr_and_settings():
    layer = layers.MaxPool2d(2)
    assert (layer.kernel_size, layer.stride, layer.padding, layer.dilation, layer.ceil_mode) == (2, 2, 0, 1, False)
    assert repr(layer) == "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"
    assert repr(layers.MaxPool1d(3, 1, 1, 2)) == "MaxPool1d(kernel_size=3, stride=1, padding=1, dilation=2, ceil_mode=False)"
    layer = layers.AvgPool1d(2)
    assert (layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode, layer.count_include_pad) == (2, 2, 0, False, True)
    assert repr(layers.AvgPool2d((2, 3), 1, 1)) == "AvgPool2d(kernel_size=(2, 3), stride=1, padding=1)"
    assert repr(layers.AdaptiveAvgPool2d((None, 3))) == "AdaptiveAvgPool2d(output_size=(None, 3))"


def test_defaults_of_the_layers():
    def defaults(layer):
        return {name: p.default for name, p in inspect.signature(layer).parameters.items() if p.default is not p.empty}

    every = {"stride": None, "padding": 0, "ceil_mode": False}
    assert defaults(layers.MaxPool1d) == defaults(layers.MaxPool2d) == every | {"dilation": 1}
    assert defaults(layers.AvgPool1d) == defaults(layers.AvgPool2d) == every | {"count_include_pad": True}
    assert defaults(layers.AdaptiveAvgPool2d) == {}


# -- errors --------------------------------------------------------------------------------------------------------------

IMAGE, SEQUENCE = np.ones((1, 2, 5, 5)), np.ones((1, 2, 5))
PAIR = "{} must be 2 ints or an int of at least {}, got {}."
OPTIONAL = "output_size must be 2 ints or an int of at least 1, or None, got {}."
AXES = "pooling over {} needs input (N, C, {}) or (C, {}), got shape {}. Check the layer before it."
HALF = "padding must be at most half of kernel_size={}, got {}: a window would see nothing else."
FIT = "a window must fit into the padded input, got one of {} for {}. Add padding or use a smaller kernel."


def max_pool2d(*settings, x=IMAGE, **more):
    return functional.max_pool2d(Tensor(x), *settings, **more)


MESSAGES = [
    (lambda: max_pool2d(2, x=np.ones((5, 5))), ValueError, AXES.format("H, W", "H, W", "H, W", (5, 5))),
    (lambda: max_pool2d(2, x=np.ones((1, 1, 1, 5, 5))), ValueError, AXES.format("H, W", "H, W", "H, W", (1, 1, 1, 5, 5))),
    (lambda: functional.avg_pool1d(Tensor(IMAGE), 2), ValueError, AXES.format("L", "L", "L", (1, 2, 5, 5))),
    (lambda: functional.adaptive_avg_pool2d(Tensor(np.ones((5, 5))), 2), ValueError, AXES.format("H, W", "H, W", "H, W", (5, 5))),
    (lambda: functional.adaptive_avg_pool1d(Tensor(IMAGE), 2), ValueError, AXES.format("L", "L", "L", (1, 2, 5, 5))),
    (lambda: max_pool2d(6), ValueError, FIT.format(6, 5)),
    (lambda: max_pool2d((1, 3), dilation=3), ValueError, FIT.format(7, 5)),
    (lambda: max_pool2d((1, 9), padding=(0, 1)), ValueError, FIT.format(9, 7)),
    (lambda: max_pool2d(8, 2, ceil_mode=True), ValueError, FIT.format(8, 5)),
    (lambda: layers.AvgPool1d(6)(SEQUENCE), ValueError, FIT.format(6, 5)),
    (lambda: max_pool2d(3, padding=2), ValueError, HALF.format((3, 3), (2, 2))),
    (lambda: max_pool2d((4, 3), padding=(2, 2)), ValueError, HALF.format((4, 3), (2, 2))),
    (lambda: layers.AvgPool1d(1, 1, 1), ValueError, HALF.format((1,), (1,))),
    (lambda: layers.MaxPool2d((2, 3), padding=(1, 2)), ValueError, HALF.format((2, 3), (1, 2))),
    (lambda: max_pool2d(0), ValueError, PAIR.format("kernel_size", 1, 0)),
    (lambda: max_pool2d(2, 0), ValueError, PAIR.format("stride", 1, 0)),
    (lambda: max_pool2d(2, padding=-1), ValueError, PAIR.format("padding", 0, -1)),
    (lambda: max_pool2d(2, dilation=0), ValueError, PAIR.format("dilation", 1, 0)),
    (lambda: layers.MaxPool2d(2, dilation=(1, 0)), ValueError, PAIR.format("dilation", 1, (1, 0))),
    (lambda: layers.MaxPool1d((2, 2)), ValueError, "kernel_size must be an int of at least 1, got (2, 2)."),
    (lambda: layers.AvgPool2d(2, (1, 0)), ValueError, PAIR.format("stride", 1, (1, 0))),
    (lambda: layers.AdaptiveAvgPool2d(0), ValueError, OPTIONAL.format(0)),
    (lambda: layers.AdaptiveAvgPool2d((2, None, 2)), ValueError, OPTIONAL.format((2, None, 2))),
    (lambda: functional.adaptive_avg_pool2d(Tensor(IMAGE), (None, 0)), ValueError, OPTIONAL.format((None, 0))),
    (lambda: layers.AdaptiveAvgPool1d(1.5), ValueError, "output_size must be an int of at least 1, or None, got 1.5."),
    (lambda: layers.MaxPool2d(None), ValueError, PAIR.format("kernel_size", 1, None)),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES, ids=[text[:60] for _, _, text in MESSAGES])
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text
    assert type(error.value) is kind


def test_every_error_has_an_entry():
    missing = [place for module in (functional.pooling, layers.pooling) for place in unreached(module, MESSAGES)]
    assert not missing, f"no entry reaches: {missing}"

"""Convolution and pooling beside PyTorch's, over a grid of their settings: values, gradients and second order in float64."""

import itertools

import numpy as np
import pytest

from micrograd_plus import Tensor, gradients, layers
from micrograd_plus.tensor import default_dtype

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")]

RNG = np.random.default_rng(11)
IMAGES, SEQUENCES = RNG.normal(size=(2, 4, 7, 8)), RNG.normal(size=(2, 4, 9))


def grid(**choices):
    """Every combination of the settings."""
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def text(settings):
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def twins(name, args, settings):
    """Our layer and PyTorch's, with the same random parameters, in float64."""
    with default_dtype(np.float64):
        ours = getattr(layers, name)(*args, **settings)
    theirs = getattr(torch.nn, name)(*args, **settings).double()
    with torch.no_grad():
        for key, parameter in theirs.named_parameters():
            parameter.copy_(torch.tensor(getattr(ours, key).data))
    return ours, theirs


def compare(ours, theirs, x):
    """Output, gradients of its projection plus one of its square, and the gradients of a projection of those."""
    names = [key for key, _ in theirs.named_parameters()]
    assert [key for key, _ in ours.named_parameters()] == names
    with default_dtype(np.float64):
        inputs = [Tensor(x, requires_grad=True), *(getattr(ours, key) for key in names)]
        y = ours(inputs[0])
        random = np.random.default_rng(y.size)
        g, h = random.standard_normal((2, *y.shape))
        directions = [random.standard_normal(t.shape) for t in inputs]
        slopes = gradients((y * g).sum() + (y * y * h).sum(), inputs, create_graph=True)
        curvatures = gradients(sum((slope * v).sum() for slope, v in zip(slopes, directions, strict=True)), inputs)
    theirs_in = [torch.tensor(x, requires_grad=True), *(getattr(theirs, key) for key in names)]
    z = theirs(theirs_in[0])
    np.testing.assert_allclose(y.data, z.detach(), rtol=1e-10, atol=1e-12)
    total = (z * torch.tensor(g)).sum() + (z * z * torch.tensor(h)).sum()
    slopes_there = torch.autograd.grad(total, theirs_in, create_graph=True)
    projected = sum((slope * torch.tensor(v)).sum() for slope, v in zip(slopes_there, directions, strict=True))
    curvatures_there = torch.autograd.grad(projected, theirs_in)
    for found, expected in zip([*slopes, *curvatures], [*slopes_there, *curvatures_there], strict=True):
        np.testing.assert_allclose(found.data, expected.detach(), rtol=1e-9, atol=1e-10)


def check(name, args, settings, x):
    compare(*twins(name, args, settings), x)


# -- convolution ---------------------------------------------------------------------------------------------------------

CONV2D = [
    settings
    for settings in grid(
        kernel_size=[3, 1, (2, 3)], stride=[1, (2, 3)], padding=[0, (2, 1), "same", "valid"], dilation=[1, (2, 1)], groups=[1, 2, 4]
    )
    if settings["padding"] != "same" or settings["stride"] == 1
]
CONV1D = [
    settings
    for settings in grid(kernel_size=[3, (4,)], stride=[1, (3,)], padding=[0, (2,), "same", "valid"], dilation=[1, 2], groups=[1, 2])
    if settings["padding"] != "same" or settings["stride"] == 1
]


@pytest.mark.parametrize("settings", CONV2D, ids=text)
def test_conv2d(settings):
    check("Conv2d", (4, 8), settings, IMAGES)


@pytest.mark.parametrize("settings", CONV1D, ids=text)
def test_conv1d(settings):
    check("Conv1d", (4, 6), settings, SEQUENCES)


@pytest.mark.parametrize("settings", grid(stride=[1, 2, 5], padding=[0, 2, (0, 1)], dilation=[1, (2, 3)], bias=[True, False]), ids=text)
def test_depthwise_conv2d(settings):
    check("Conv2d", (4, 4, (3, 2)), settings | {"groups": 4}, IMAGES)


@pytest.mark.parametrize("settings", grid(stride=[1, 3], padding=[0, "valid"], dilation=[1, 4]), ids=text)
def test_depthwise_conv1d(settings):
    check("Conv1d", (4, 4, 2), settings | {"groups": 4}, SEQUENCES)
    check("Conv1d", (4, 4, 2), settings | {"groups": 4}, SEQUENCES[0])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("name", "args", "settings"),
    [
        ("Conv2d", (4, 8, 3), {"bias": False}),
        ("Conv2d", (4, 8, 3, 1, "same", 2, 2), {}),
        ("MaxPool2d", (3, 2, 1, 2), {}),
        ("AvgPool2d", (3, 2, 1, True, False), {}),
        ("AdaptiveAvgPool2d", (3,), {}),
    ],
)
def test_training_and_evaluation_with_settings_by_position(name, args, settings, training):
    ours, theirs = twins(name, args, settings)
    compare(ours.train(training), theirs.train(training), IMAGES)


@pytest.mark.parametrize(("name", "x"), [("Conv2d", IMAGES), ("Conv1d", SEQUENCES)])
def test_a_convolution_without_a_batch_and_with_an_empty_one(name, x):
    check(name, (4, 6, 3), {"padding": 1}, x[0])
    check(name, (4, 6, 3), {}, x[:0])


@pytest.mark.parametrize("name", ["Conv1d", "Conv2d"])
def test_initial_values_have_pytorchs_distribution(name):
    ours, theirs = getattr(layers, name)(8, 2000, 3, groups=2), getattr(torch.nn, name)(8, 2000, 3, groups=2)
    for key in ("weight", "bias"):
        found, expected = getattr(ours, key).data, getattr(theirs, key).detach().numpy()
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(np.abs(found).max(), np.abs(expected).max(), rtol=0.02)
        np.testing.assert_allclose(found.std(), expected.std(), rtol=0.1)
        assert abs(found.mean()) < 0.1 * expected.std()


def test_reprs():
    for name, args, settings in [
        ("Conv2d", (4, 8, 3), {}),
        ("Conv2d", (4, 8, (3, 2)), {"padding": "same", "dilation": (1, 2), "groups": 4, "bias": False}),
        ("Conv1d", (4, 8, 3), {"dilation": 2, "stride": 3, "padding": (1,)}),
        ("MaxPool2d", (2,), {}),
        ("MaxPool1d", (3, 1), {"padding": 1, "dilation": 2, "ceil_mode": True}),
        ("AvgPool2d", (2,), {}),
        ("AvgPool2d", ((2, 3), 1, 1), {}),
        ("AdaptiveAvgPool2d", ((None, 3),), {}),
        ("AdaptiveAvgPool1d", (2,), {}),
    ]:
        assert repr(getattr(layers, name)(*args, **settings)) == repr(getattr(torch.nn, name)(*args, **settings))


# -- pooling -------------------------------------------------------------------------------------------------------------


def fits(settings):
    kernel, padding = np.broadcast_arrays(settings["kernel_size"], settings["padding"])
    return (2 * padding <= kernel).all()


KERNELS, STRIDES, PADDINGS = [2, 3, (3, 1), (2, 4)], [None, 1, (3, 2)], [0, 1, (1, 0)]
POOL1D = {"kernel_size": [2, 3, (4,)], "stride": [None, 1, (3,)], "padding": [0, 1, (2,)], "ceil_mode": [False, True]}
POOL2D = {"kernel_size": KERNELS, "stride": STRIDES, "padding": PADDINGS, "ceil_mode": [False, True]}
MAX_POOL1D, MAX_POOL2D = ([s for s in grid(**pool, dilation=[1, 2]) if fits(s)] for pool in (POOL1D, POOL2D))
AVG_POOL1D, AVG_POOL2D = ([s for s in grid(**pool, count_include_pad=[True, False]) if fits(s)] for pool in (POOL1D, POOL2D))


@pytest.mark.parametrize("settings", MAX_POOL2D, ids=text)
def test_max_pool2d(settings):
    check("MaxPool2d", (), settings, IMAGES)


@pytest.mark.parametrize("settings", MAX_POOL1D, ids=text)
def test_max_pool1d(settings):
    check("MaxPool1d", (), settings, SEQUENCES)


@pytest.mark.parametrize("settings", AVG_POOL2D, ids=text)
def test_avg_pool2d(settings):
    check("AvgPool2d", (), settings, IMAGES)


@pytest.mark.parametrize("settings", AVG_POOL1D, ids=text)
def test_avg_pool1d(settings):
    check("AvgPool1d", (), settings, SEQUENCES)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 9, (3, 8), (None, 3), (7, None), (None, None), (1, 8), [2, 3]])
def test_adaptive_avg_pool2d(size):
    check("AdaptiveAvgPool2d", (size,), {}, IMAGES)


@pytest.mark.parametrize("size", [1, 2, 4, 9, 11, (3,)])
def test_adaptive_avg_pool1d(size):
    check("AdaptiveAvgPool1d", (size,), {}, SEQUENCES)


@pytest.mark.parametrize(
    ("name", "args"), [("MaxPool2d", (3, 2, 1)), ("AvgPool2d", (3, 2, 1)), ("AdaptiveAvgPool2d", (3,)), ("AdaptiveAvgPool2d", (1,))]
)
def test_pooling_of_images_without_a_batch_and_with_an_empty_one(name, args):
    check(name, args, {}, IMAGES[0])
    if name != "AdaptiveAvgPool2d":  # PyTorch's has no derivative of no images
        check(name, args, {}, IMAGES[:0])


@pytest.mark.parametrize(("name", "args"), [("MaxPool1d", (3, 2, 1)), ("AvgPool1d", (3, 2, 1)), ("AdaptiveAvgPool1d", (3,))])
def test_pooling_of_sequences_without_a_batch(name, args):
    check(name, args, {}, SEQUENCES[0])


@pytest.mark.parametrize("settings", grid(kernel_size=[2, 3], stride=[1, 2], padding=[0, 1], ceil_mode=[False, True]), ids=text)
def test_max_pool_gives_the_gradient_to_the_same_of_tied_elements(settings):
    ours, theirs = twins("MaxPool2d", (), settings)
    x = RNG.integers(0, 2, size=(2, 3, 6, 7)).astype(float)
    a, b = Tensor(x, requires_grad=True, dtype=np.float64), torch.tensor(x, requires_grad=True)
    y, z = ours(a), theirs(b)
    g = RNG.normal(size=y.shape)
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_array_equal(y.data, z.detach())
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("name", "args"),
    [("MaxPool2d", (2,)), ("MaxPool2d", (3, 2, 1)), ("AvgPool2d", (2,)), ("AvgPool2d", (3, 1, 1)), ("AdaptiveAvgPool2d", (3,))],
)
def test_an_element_that_is_not_finite_reaches_the_windows_that_hold_it_alone(name, args, value):
    ours, theirs = twins(name, args, {})
    x = IMAGES.copy()
    x[0, 1, 3, 4] = x[1, 2, 0, 0] = x[1, 3, 0, :] = value
    np.testing.assert_allclose(ours(Tensor(x, dtype=np.float64)).data, theirs(torch.tensor(x)), rtol=1e-12)

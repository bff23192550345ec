"""Layers and losses on arrays of odd layout, byte order and dtype: the right result, in the parameters' dtype."""

import numpy as np
import pytest

from micrograd_plus import Tensor, layers, losses, no_grad

from ..rules.test_odd_inputs import FORMS

IMAGES, SEQUENCES, ROWS = (2, 4, 6, 6), (5, 3, 4), (6, 4)

# layer: the shape of its input
LAYERS = {
    "Linear": (lambda: layers.Linear(4, 3), ROWS),
    "Conv1d": (lambda: layers.Conv1d(3, 2, 3, padding=1), SEQUENCES),
    "Conv2d": (lambda: layers.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), IMAGES),
    "Conv2d, depthwise": (lambda: layers.Conv2d(4, 4, 3, groups=4), IMAGES),
    "MaxPool2d": (lambda: layers.MaxPool2d(2), IMAGES),
    "MaxPool2d, overlapping": (lambda: layers.MaxPool2d(3, 2, 1), IMAGES),
    "AvgPool2d": (lambda: layers.AvgPool2d(2), IMAGES),
    "AdaptiveAvgPool2d": (lambda: layers.AdaptiveAvgPool2d((2, 4)), IMAGES),
    "BatchNorm2d": (lambda: layers.BatchNorm2d(4), IMAGES),
    "GroupNorm": (lambda: layers.GroupNorm(2, 4), IMAGES),
    "InstanceNorm2d": (lambda: layers.InstanceNorm2d(4), IMAGES),
    "RMSNorm": (lambda: layers.RMSNorm(4), ROWS),
    "LayerNorm": (lambda: layers.LayerNorm((3, 4)), SEQUENCES),
    "RNN": (lambda: layers.RNN(4, 3), SEQUENCES),
    "LSTM": (lambda: layers.LSTM(4, 3, num_layers=2, bidirectional=True), SEQUENCES),
    "GRU": (lambda: layers.GRU(4, 3, batch_first=True), SEQUENCES),
    "TransformerEncoderLayer": (lambda: layers.TransformerEncoderLayer(4, 2, 8, dropout=0.0), SEQUENCES),
    "GELU": (layers.GELU, ROWS),
}


def outputs(layer, x):
    """The (first) result on an array, and the gradient of a projection of it with respect to that array's values."""
    t = Tensor(x, requires_grad=True)
    y = layer(t)
    y = y[0] if isinstance(y, tuple) else y
    (y * np.random.default_rng(1).standard_normal(y.shape)).sum().backward()
    return y.data, t.grad


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", LAYERS)
def test_layout_and_byte_order_change_no_result(name, form):
    make, shape = LAYERS[name]
    layer, x = make(), np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    for found, plain in zip(outputs(layer, FORMS[form](x)), outputs(layer, x), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-5)
    with no_grad():
        y, z = layer(FORMS[form](x)), layer(x)  # arrays, which a layer shares instead of copying
    y, z = (part[0] if isinstance(part, tuple) else part for part in (y, z))
    np.testing.assert_allclose(y.data, z.data, rtol=1e-4, atol=1e-5)
    assert y.data.dtype.isnative


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.float16, np.float64, bool])
@pytest.mark.parametrize("name", LAYERS)
def test_other_dtypes_are_computed_in_that_of_the_parameters(name, dtype):
    make, shape = LAYERS[name]
    layer, x = make(), np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    with no_grad():
        found, plain = layer(x), layer(x.astype(np.float32))
    found, plain = (part[0] if isinstance(part, tuple) else part for part in (found, plain))
    if name.startswith("MaxPool"):  # selects, and so keeps whole numbers
        assert found.dtype in (np.dtype(dtype), np.dtype(np.float32))
    else:
        assert found.dtype == np.float32
    np.testing.assert_allclose(found.data.astype(np.float32), plain.data, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ["MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "BCEWithLogitsLoss", "KLDivLoss"])
def test_losses_of_arrays_of_odd_form(name, form):
    random = np.random.default_rng(0)
    x, t = random.standard_normal((4, 3)).astype(np.float32), random.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
    loss = getattr(losses, name)()
    np.testing.assert_allclose(loss(FORMS[form](x), FORMS[form](t)).item(), loss(x, t).item(), rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint8, np.float16, np.float64, ">i4"])
@pytest.mark.parametrize("form", FORMS)
def test_labels_of_any_dtype_and_form(dtype, form):
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    labels = np.array([0, 2, 1, 2])
    expected = losses.CrossEntropyLoss()(x, labels).item()
    assert losses.CrossEntropyLoss()(FORMS[form](x), FORMS[form](labels.astype(dtype))).item() == pytest.approx(expected)

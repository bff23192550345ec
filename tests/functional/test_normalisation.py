"""Normalising functions against formulas written in NumPy, in float64: values, gradients, running statistics."""

import inspect

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, effects, functional, gradients

from ..raising import unreached

RNG = np.random.default_rng(7)
SHAPES = [(6, 4), (5, 4, 3), (3, 4, 2, 5), (2, 4, 2, 1, 3)]
close = np.testing.assert_allclose


def tensors(*arrays):
    with default_dtype(np.float64):
        return [None if a is None else Tensor(a, requires_grad=True) for a in arrays]


def channels(values, x):
    return values.reshape(-1, *[1] * (x.ndim - 2))


def normalised(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def normalised_gradient(g, x, axes, eps):
    """The gradient of x through normalised()."""
    z, scale = normalised(x, axes, eps), np.sqrt(x.var(axes, keepdims=True) + eps)
    return (g - g.mean(axes, keepdims=True) - z * (g * z).mean(axes, keepdims=True)) / scale


def check(function, x, w, b, plain, pulled, **settings):
    """Value and gradients of x * weight + bias after a normalisation, which `plain` computes and `pulled` differentiates."""
    X, W, B = tensors(x, w, b)
    y = function(X, W, B, **settings)
    g = RNG.normal(size=x.shape)
    y.backward(g)
    z, scale = plain(x), 1 if w is None else channels(w, x)
    others = (0, *range(2, x.ndim))
    close(y.data, z * scale + (0 if b is None else channels(b, x)), rtol=1e-12, atol=1e-12)
    close(X.grad, pulled(g * scale, x), rtol=1e-11, atol=1e-12)
    if w is not None:
        close(W.grad, (g * z).sum(others), rtol=1e-11, atol=1e-12)
    if b is not None:
        close(B.grad, g.sum(others), rtol=1e-11, atol=1e-12)


AFFINE = [(True, True), (True, False), (False, True), (False, False)]


def weights(weight, bias):
    return RNG.normal(size=4) if weight else None, RNG.normal(size=4) if bias else None


# -- batch norm ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", AFFINE)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_without_running_statistics_uses_those_of_the_batch(shape, affine, training):
    x, axes = RNG.normal(1, 2, shape), (0, *range(2, len(shape)))
    check(
        lambda x, w, b, **settings: functional.batch_norm(x, weight=w, bias=b, training=training, **settings),
        x,
        *weights(*affine),
        lambda x: normalised(x, axes, 0.3),
        lambda g, x: normalised_gradient(g, x, axes, 0.3),
        eps=0.3,
    )


@pytest.mark.parametrize("affine", AFFINE)
@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_evaluation_uses_running_statistics(shape, affine):
    mean, var = RNG.normal(size=4), RNG.uniform(1, 2, 4)
    before = mean.copy(), var.copy()
    x = RNG.normal(1, 2, shape)
    scale = np.sqrt(channels(var, x) + 0.3)
    check(
        lambda x, w, b, **settings: functional.batch_norm(x, mean, var, w, b, **settings),
        x,
        *weights(*affine),
        lambda x: (x - channels(mean, x)) / scale,
        lambda g, x: g / scale,
        eps=0.3,
    )
    np.testing.assert_array_equal([mean, var], before)


@pytest.mark.parametrize("missing", [0, 1])
def test_batch_norm_needs_both_running_statistics(missing):
    x = RNG.normal(size=(5, 4))
    statistics = [np.zeros(4), np.ones(4)]
    statistics[missing] = None
    (X,) = tensors(x)
    close(functional.batch_norm(X, *statistics, eps=0.0).data, normalised(x, 0, 0.0), atol=1e-12)
    functional.batch_norm(X, *statistics, training=True)
    np.testing.assert_array_equal(statistics[1 - missing], [1, 0][missing])


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_moves_running_statistics_towards_the_batch(shape):
    x, mean, var = RNG.normal(1, 2, shape), np.full(4, 3.0), np.full(4, 5.0)
    (X,) = tensors(x)
    functional.batch_norm(X, mean, var, training=True, momentum=0.3)
    axes = (0, *range(2, x.ndim))
    close(mean, 0.7 * 3 + 0.3 * x.mean(axes))
    close(var, 0.7 * 5 + 0.3 * x.var(axes, ddof=1))


# -- group norm ----------------------------------------------------------------------------------------------------------


def grouped(f, groups):
    return lambda *arrays: f(*[a.reshape(len(a), groups, -1) for a in arrays], 2, 0.3).reshape(arrays[0].shape)


@pytest.mark.parametrize("affine", AFFINE)
@pytest.mark.parametrize("shape", [*SHAPES, (1, 4, 1, 1), (1, 4, 3)])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_group_norm_normalises_groups_of_channels_of_each_example(shape, affine, groups):
    if np.prod(shape[1:]) == groups:
        return
    check(
        lambda x, w, b, **settings: functional.group_norm(x, groups, w, b, **settings),
        RNG.normal(1, 2, shape),
        *weights(*affine),
        grouped(normalised, groups),
        grouped(normalised_gradient, groups),
        eps=0.3,
    )


def test_group_norm_takes_an_empty_batch():
    assert functional.group_norm(Tensor(np.ones((0, 4, 3))), 2).shape == (0, 4, 3)


def test_group_norm_of_one_group_is_layer_norm_and_of_single_channels_instance_norm():
    (x,) = tensors(RNG.normal(size=(3, 4, 2, 5)))
    close(functional.group_norm(x, 1).data, functional.layer_norm(x, 3).data)
    close(functional.group_norm(x, 4).data, functional.instance_norm(x).data)


# -- instance norm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("affine", AFFINE)
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize("use_input_stats", [True, False])
def test_instance_norm_normalises_each_channel_of_each_example(shape, affine, use_input_stats):
    axes = tuple(range(2, len(shape)))
    check(
        lambda x, w, b, **settings: functional.instance_norm(x, weight=w, bias=b, use_input_stats=use_input_stats, **settings),
        RNG.normal(1, 2, shape),
        *weights(*affine),
        lambda x: normalised(x, axes, 0.3),
        lambda g, x: normalised_gradient(g, x, axes, 0.3),
        eps=0.3,
    )


@pytest.mark.parametrize("shape", SHAPES[1:])
def test_instance_norm_moves_running_statistics_towards_the_mean_over_the_batch(shape):
    x, mean, var = RNG.normal(1, 2, shape), np.full(4, 3.0), np.full(4, 5.0)
    (X,) = tensors(x)
    axes = tuple(range(2, x.ndim))
    y = functional.instance_norm(X, mean, var, momentum=0.3, eps=0.3)
    close(y.data, normalised(x, axes, 0.3))
    close(mean, 0.7 * 3 + 0.3 * x.mean(axes).mean(0))
    close(var, 0.7 * 5 + 0.3 * x.var(axes, ddof=1).mean(0))


def test_instance_norm_with_running_statistics_alone_is_batch_norm_in_evaluation():
    x, w, b = tensors(RNG.normal(size=(3, 4, 2, 5)), RNG.normal(size=4), RNG.normal(size=4))
    mean, var = RNG.normal(size=4), RNG.uniform(1, 2, 4)
    y = functional.instance_norm(x, mean, var, w, b, use_input_stats=False, eps=0.3)
    np.testing.assert_array_equal(y.data, functional.batch_norm(x, mean, var, w, b, eps=0.3).data)
    close(y.data, (x.data - channels(mean, x)) / np.sqrt(channels(var, x) + 0.3) * channels(w.data, x) + channels(b.data, x))


@pytest.mark.parametrize("missing", [0, 1])
def test_instance_norm_needs_both_running_statistics(missing):
    x = RNG.normal(size=(5, 4, 3))
    statistics = [np.zeros(4), np.ones(4)]
    statistics[missing] = None
    (X,) = tensors(x)
    for use_input_stats in (True, False):
        y = functional.instance_norm(X, *statistics, use_input_stats=use_input_stats, eps=0.0)
        close(y.data, normalised(x, 2, 0.0), atol=1e-12)
    np.testing.assert_array_equal(statistics[1 - missing], [1, 0][missing])


# -- root mean square ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("scale", [True, False])
def test_rms_norm_divides_the_last_axes_by_their_root_mean_square(ndim, scale):
    x, g = RNG.normal(1, 2, (2, 3, 4)), RNG.normal(size=(2, 3, 4))
    axes = tuple(range(3 - ndim, 3))
    w = RNG.normal(size=x.shape[3 - ndim :]) if scale else None
    X, W = tensors(x, w)
    y = functional.rms_norm(X, ndim, W, eps=0.3)
    y.backward(g)
    root = np.sqrt((x * x).mean(axes, keepdims=True) + 0.3)
    gz = g if w is None else g * w
    close(y.data, x / root * (1 if w is None else w), rtol=1e-12)
    close(X.grad, (gz - x / root**2 * (gz * x).mean(axes, keepdims=True)) / root, rtol=1e-10, atol=1e-12)
    if w is not None:
        close(W.grad, (g * x / root).sum(tuple(range(3 - ndim))), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rms_norm_adds_the_machine_epsilon_of_the_dtype_by_default(dtype):
    eps = np.finfo(dtype).eps
    x = Tensor(np.full(3, np.sqrt(eps)), dtype=dtype)
    y = functional.rms_norm(x, 1)
    assert y.dtype == dtype
    close(y.data, np.full(3, np.sqrt(0.5)), rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64])
def test_rms_norm_of_whole_numbers_is_that_of_floats(dtype):
    x = np.array([[200, 100, 3]], dtype)
    y = functional.rms_norm(Tensor(x), 1)
    assert y.dtype == np.float32
    close(y.data, x / np.sqrt((x.astype(float) ** 2).mean()), rtol=1e-6)
    close(functional.rms_norm(Tensor(np.array([[1, 2, 2]], dtype)), 1, eps=6.0).data, [[1 / 3, 2 / 3, 2 / 3]], rtol=1e-6)


def test_rms_norm_of_zeros_is_zero_with_a_finite_gradient():
    (x,) = tensors(np.zeros((2, 3)))
    y = functional.rms_norm(x, 1, eps=0.25)
    y.backward(np.ones((2, 3)))
    np.testing.assert_array_equal(y.data, np.zeros((2, 3)))
    close(x.grad, np.full((2, 3), 2.0))


# -- all of them ---------------------------------------------------------------------------------------------------------

FUNCTIONS = {
    "batch norm": lambda x: functional.batch_norm(x, training=True),
    "batch norm, running statistics": lambda x: functional.batch_norm(x, np.zeros(4), np.ones(4)),
    "group norm": lambda x: functional.group_norm(x, 2),
    "instance norm": lambda x: functional.instance_norm(x),
    "layer norm": lambda x: functional.layer_norm(x, 2),
    "rms norm": lambda x: functional.rms_norm(x, 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_constant_input_has_a_finite_value_and_gradient(name):
    x = Tensor(np.full((3, 4, 2, 2), 7.0), requires_grad=True)
    y = FUNCTIONS[name](x)
    y.backward(RNG.normal(size=y.shape))
    assert np.isfinite(y.data).all()
    assert np.isfinite(x.grad).all()
    if name != "rms norm" and "running" not in name:
        np.testing.assert_array_equal(y.data, np.zeros(x.shape))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_stays_float32(name):
    x = Tensor(RNG.normal(size=(3, 4, 2, 2)), requires_grad=True)
    y = FUNCTIONS[name](x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_agree_with_differences_of_the_first(name):
    x, c, d = RNG.normal(size=(3, 3, 4, 2, 2))

    def slope(values, create_graph=False):
        (t,) = tensors(values)
        return t, gradients(FUNCTIONS[name](t), [t], gradient=c, create_graph=create_graph)[0]

    t, s = slope(x, create_graph=True)
    step = 1e-5
    expected = (slope(x + step * d)[1].data - slope(x - step * d)[1].data) / (2 * step)
    found = gradients(s, [t], gradient=d)[0].data if s.requires_grad else np.zeros_like(x)
    close(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["batch_norm", "instance_norm"])
def test_running_statistics_are_written_through_effects_and_record_nothing(name, monkeypatch):
    written = []
    assign = effects.assign
    monkeypatch.setattr(effects, "assign", lambda target, value: written.append(type(value)) or assign(target, value))
    mean, var = np.zeros(4, np.float32), np.ones(4, np.float32)
    settings = {"training": True} if name == "batch_norm" else {}
    x = Tensor(RNG.normal(size=(3, 4, 2, 2)), requires_grad=True)
    getattr(functional, name)(x, mean, var, **settings)
    assert written == [np.ndarray, np.ndarray]
    assert mean.any()


def test_defaults():
    def defaults(function):
        return {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}

    none = dict.fromkeys(["running_mean", "running_var", "weight", "bias"])
    assert defaults(functional.batch_norm) == {**none, "training": False, "momentum": 0.1, "eps": 1e-5}
    assert defaults(functional.instance_norm) == {**none, "use_input_stats": True, "momentum": 0.1, "eps": 1e-5}
    assert defaults(functional.group_norm) == {"weight": None, "bias": None, "eps": 1e-5}
    assert defaults(functional.rms_norm) == {"weight": None, "eps": None}


# -- errors --------------------------------------------------------------------------------------------------------------

BATCH = "batch norm needs more than one value per channel for the statistics of a batch, got input of shape {}. "
BATCH += "Use a larger batch, or running statistics in eval() mode."
INSTANCE = "instance norm needs more than one value per channel of an example, got input of shape {}. "
INSTANCE += "Use larger images, or running statistics in eval() mode."
GROUP = "group norm needs more than one value per group, got input of shape {} and {} groups. Use fewer groups, or a larger input."


def ones(*shape):
    return Tensor(np.ones(shape))


MESSAGES = [
    (lambda: functional.batch_norm(ones(1, 4), training=True), ValueError, BATCH.format((1, 4))),
    (lambda: functional.batch_norm(ones(1, 4, 1, 1)), ValueError, BATCH.format((1, 4, 1, 1))),
    (lambda: functional.batch_norm(ones(0, 4), np.zeros(4), np.ones(4), training=True), ValueError, BATCH.format((0, 4))),
    (lambda: functional.instance_norm(ones(3, 4, 1, 1)), ValueError, INSTANCE.format((3, 4, 1, 1))),
    (lambda: functional.instance_norm(ones(3, 4), use_input_stats=False), ValueError, INSTANCE.format((3, 4))),
    (lambda: functional.group_norm(ones(3, 4), 4), ValueError, GROUP.format((3, 4), 4)),
    (
        lambda: functional.group_norm(ones(3, 6, 4), 4),
        ValueError,
        "group norm needs channels in 4 groups of one size, got input of shape (3, 6, 4).",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES, ids=[text[:50] for _, _, text in MESSAGES])
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_every_error_has_an_entry():
    assert not unreached(functional.normalisation, MESSAGES) + unreached(functional.group_normalisation, MESSAGES)


def test_what_has_one_value_more_is_normalised():
    assert functional.batch_norm(ones(1, 4, 2), training=True).shape == (1, 4, 2)
    assert functional.instance_norm(ones(1, 4, 1, 2)).shape == (1, 4, 1, 2)
    assert functional.group_norm(ones(1, 4), 2).shape == (1, 4)


def test_running_statistics_stay_as_they_were_where_the_input_is_refused():
    mean, var = np.zeros(4), np.ones(4)
    for call in (
        lambda: functional.batch_norm(ones(1, 4), mean, var, training=True),
        lambda: functional.instance_norm(ones(1, 4, 1, 1), mean, var),
    ):
        with pytest.raises(ValueError, match="more than one value"):
            call()
    np.testing.assert_array_equal([mean, var], [np.zeros(4), np.ones(4)])
    assert functional.batch_norm(ones(1, 4), mean, var).shape == (1, 4)
    assert functional.instance_norm(ones(1, 4, 1, 1), mean, var, use_input_stats=False).shape == (1, 4, 1, 1)

"""The functions that layers are made of, against formulas written in NumPy in float64."""

import inspect

import numpy as np
import pytest

from micrograd_plus import Tensor, functional

RNG = np.random.default_rng(3)


def test_linear_is_a_product_and_a_sum():
    x, w, b = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2)
    X, W, B = (Tensor(a, requires_grad=True) for a in (x, w, b))
    y = functional.linear(X, W, B)
    g = RNG.normal(size=(5, 2))
    y.backward(g)
    np.testing.assert_allclose(y.data, x @ w + b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(X.grad, g @ w.T, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(W.grad, x.T @ g, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(B.grad, g.sum(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(functional.linear(x, W).data, x @ w, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("lead", [(), (4,), (2, 4), (2, 3, 4)])
def test_linear_takes_any_leading_axes(lead):
    x, w, b = RNG.normal(size=(*lead, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=2)
    W = Tensor(w, requires_grad=True)
    y = functional.linear(x, W, Tensor(b))
    y.sum().backward()
    np.testing.assert_allclose(y.data, x @ w + b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(W.grad, np.repeat(x.reshape(-1, 3).sum(0)[:, None], 2, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rows", [4, 300])
def test_embedding_takes_rows_and_adds_up_their_gradients(rows):
    table = RNG.normal(size=(rows, 2))
    weight = Tensor(table, requires_grad=True)
    indices = np.array([[1, 3, 1], [0, 1, rows - 1]])
    g = RNG.normal(size=(2, 3, 2))
    y = functional.embedding(indices, weight)
    y.backward(g)
    expected = np.zeros((rows, 2))
    np.add.at(expected, indices, g)
    np.testing.assert_allclose(y.data, table[indices], rtol=1e-6)
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(functional.embedding(Tensor(indices.astype(np.float32)), weight).data, y.data)


@pytest.mark.parametrize("padding_idx", [0, 1, 3, -1, -4])
def test_embedding_gives_no_gradient_to_the_row_of_the_padding(padding_idx):
    table, indices = RNG.normal(size=(4, 2)), np.array([[1, 3, 1], [0, 1, 3]])
    weight, plain = Tensor(table, requires_grad=True), Tensor(table, requires_grad=True)
    g = RNG.normal(size=(2, 3, 2))
    y = functional.embedding(indices, weight, padding_idx)
    y.backward(g)
    functional.embedding(indices, plain).backward(g)
    np.testing.assert_allclose(y.data, table[indices], rtol=1e-6)
    expected = plain.grad.copy()
    expected[padding_idx] = 0
    np.testing.assert_array_equal(weight.grad, expected)
    assert [functional.padding_row(i, 4) for i in (0, 3, -1, -4)] == [0, 3, 3, 0]


@pytest.mark.parametrize("p", [0.2, 0.5, 0.9])
def test_dropout_zeroes_a_share_of_p_and_scales_the_rest(p):
    x = Tensor(np.full((100, 200), 3.0), requires_grad=True)
    y = functional.dropout(x, p, generator=np.random.default_rng(0))
    y.sum().backward()
    kept = y.data != 0
    assert abs(kept.mean() - (1 - p)) < 0.02
    np.testing.assert_allclose(y.data[kept], 3 / (1 - p), rtol=1e-6)
    np.testing.assert_allclose(x.grad, kept / (1 - p), rtol=1e-6)


def test_dropout_is_the_identity_in_evaluation_and_at_p_zero():
    x = Tensor([1.0, 2.0])
    assert functional.dropout(x, 0.5, training=False) is x
    assert functional.dropout(x, 0.0) is x
    assert functional.dropout(x, 0.0, training=True) is x


def test_dropout_of_everything_is_zero_with_a_zero_gradient():
    x = Tensor([1.0, -2.0], requires_grad=True)
    y = functional.dropout(x, 1.0)
    y.sum().backward()
    np.testing.assert_array_equal([y.data, x.grad], np.zeros((2, 2)))


def test_dropout_keeps_an_element_whose_number_is_p():
    p = float(np.random.default_rng(5).random(1, np.float32)[0])
    assert functional.dropout(Tensor([1.0]), p, generator=np.random.default_rng(5)).data == np.float32(1 / (1 - p))


def test_dropout_draws_from_the_generator_it_is_given():
    x = Tensor(np.ones(64))
    first, second = (functional.dropout(x, 0.5, generator=np.random.default_rng(5)).data for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first != 0, np.random.default_rng(5).random(64, np.float32) >= 0.5)


@pytest.mark.parametrize("p", [0.2, 0.7])
def test_dropout2d_zeroes_whole_channels_and_scales_the_rest(p):
    x = Tensor(RNG.normal(size=(60, 50, 2, 3)), requires_grad=True)
    y = functional.dropout2d(x, p, generator=np.random.default_rng(0))
    y.sum().backward()
    kept = np.random.default_rng(0).random((60, 50), np.float32) >= p
    assert abs(kept.mean() - (1 - p)) < 0.03
    factor = np.broadcast_to((kept / (1 - p))[..., None, None], x.shape)
    np.testing.assert_allclose(y.data, x.data * factor, rtol=1e-6)
    np.testing.assert_allclose(x.grad, factor, rtol=1e-6)


def test_dropout2d_is_the_identity_in_evaluation_and_at_p_zero():
    x = Tensor(np.ones((2, 3, 1, 1)))
    assert functional.dropout2d(x, 0.5, training=False) is x
    assert functional.dropout2d(x, 0.0) is x
    np.testing.assert_array_equal(functional.dropout2d(x, 1.0).data, np.zeros((2, 3, 1, 1)))
    assert functional.dropout2d(x, 0.5).dtype == np.float32


@pytest.mark.parametrize("ndim", [1, 2])
def test_layer_norm_standardises_the_last_axes(ndim):
    x = RNG.normal(2, 3, (4, 5, 6))
    axes = tuple(range(3 - ndim, 3))
    w, b, g = RNG.normal(size=x.shape[3 - ndim :]), RNG.normal(size=x.shape[3 - ndim :]), RNG.normal(size=x.shape)
    X, W, B = (Tensor(a, requires_grad=True) for a in (x, w, b))
    y = functional.layer_norm(X, ndim, W, B, eps=0.5)
    y.backward(g)
    scale = np.sqrt(x.var(axes, keepdims=True) + 0.5)
    z = (x - x.mean(axes, keepdims=True)) / scale
    gz = g * w
    lead = tuple(range(3 - ndim))
    np.testing.assert_allclose(y.data, z * w + b, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(W.grad, (g * z).sum(lead), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(B.grad, g.sum(lead), rtol=1e-4, atol=1e-5)
    expected = (gz - gz.mean(axes, keepdims=True) - z * (gz * z).mean(axes, keepdims=True)) / scale
    np.testing.assert_allclose(X.grad, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(functional.layer_norm(Tensor(x), ndim, eps=0.5).data, z, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(functional.layer_norm(Tensor(x), ndim, Tensor(w), eps=0.5).data, z * w, rtol=1e-4, atol=1e-5)


def test_layer_norm_of_constant_rows_is_the_bias_with_a_finite_gradient():
    x = Tensor(np.full((2, 4), 7.0), requires_grad=True)
    y = functional.layer_norm(x, 1, Tensor(np.full(4, 3.0)), Tensor(np.full(4, 0.5)))
    y.backward(RNG.normal(size=(2, 4)))
    np.testing.assert_array_equal(y.data, np.full((2, 4), 0.5))
    assert np.isfinite(x.grad).all()


def normalised(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 2, 5)])
def test_batch_norm_in_training_uses_the_batch_and_moves_the_running_statistics(shape):
    x, g = RNG.normal(1, 2, shape), RNG.normal(size=shape)
    w, b = RNG.normal(size=3), RNG.normal(size=3)
    mean, var = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    X, W, B = (Tensor(a, requires_grad=True) for a in (x, w, b))
    before = mean.copy(), var.copy()
    y = functional.batch_norm(X, mean, var, W, B, training=True, momentum=0.3, eps=0.5)
    y.backward(g)
    axes, channel = (0, *range(2, x.ndim)), (slice(None), *[None] * (x.ndim - 2))
    z = normalised(x, axes, 0.5)
    gz = g * w[channel]
    scale = np.sqrt(x.var(axes, keepdims=True) + 0.5)
    np.testing.assert_allclose(y.data, z * w[channel] + b[channel], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mean, 0.7 * before[0] + 0.3 * x.mean(axes), rtol=1e-5)
    np.testing.assert_allclose(var, 0.7 * before[1] + 0.3 * x.var(axes, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(W.grad, (g * z).sum(axes), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(B.grad, g.sum(axes), rtol=1e-4, atol=1e-5)
    expected = (gz - gz.mean(axes, keepdims=True) - z * (gz * z).mean(axes, keepdims=True)) / scale
    np.testing.assert_allclose(X.grad, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(6, 3), (1, 3), (4, 3, 2, 5)])
def test_batch_norm_in_evaluation_is_affine_and_leaves_the_running_statistics(shape):
    x, g = RNG.normal(1, 2, shape), RNG.normal(size=shape)
    w, b = RNG.normal(size=3), RNG.normal(size=3)
    mean, var = np.float32([1, 2, 3]), np.float32([4, 5, 6])
    X, W, B = (Tensor(a, requires_grad=True) for a in (x, w, b))
    y = functional.batch_norm(X, mean, var, W, B, training=False, eps=0.5)
    y.backward(g)
    axes, channel = (0, *range(2, x.ndim)), (slice(None), *[None] * (x.ndim - 2))
    z = (x - mean[channel]) / np.sqrt(var[channel] + 0.5)
    np.testing.assert_allclose(y.data, z * w[channel] + b[channel], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(X.grad, g * w[channel] / np.sqrt(var[channel] + 0.5), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(W.grad, (g * z).sum(axes), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(B.grad, g.sum(axes), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal([mean, var], [[1, 2, 3], [4, 5, 6]])


def test_batch_norm_in_training_takes_two_values_of_a_channel_and_not_one():
    statistics = np.zeros(3, np.float32), np.ones(3, np.float32)
    w, b = Tensor(np.ones(3)), Tensor(np.zeros(3))
    two = np.float32([[0, 0, 0], [2, 4, 6]])
    y = functional.batch_norm(Tensor(two), *statistics, w, b, training=True)
    np.testing.assert_allclose(y.data, [[-1, -1, -1], [1, 1, 1]], rtol=1e-4)
    one = Tensor(RNG.normal(size=(1, 3, 1, 2)))
    assert functional.batch_norm(one, *statistics, w, b, training=True).shape == one.shape
    kept = [array.copy() for array in statistics]
    with pytest.raises(ValueError, match="more than one value per channel"):
        functional.batch_norm(Tensor(two[:1]), *statistics, w, b, training=True)
    np.testing.assert_array_equal(statistics, kept)


@pytest.mark.parametrize("values", [[0, 2, 1], [0.0, 2.0, 1.0], np.uint8([0, 2, 1]), Tensor([0.0, 2.0, 1.0])])
def test_whole_numbers_come_back_as_an_int_array(values):
    array = functional.whole_numbers(values, 3, "labels")
    assert array.dtype.kind in "iu"
    np.testing.assert_array_equal(array, [0, 2, 1])


@pytest.mark.parametrize("wrong", [-1, 3, 0.5, -0.5, np.nan, np.inf, -np.inf, 1e30])
def test_whole_numbers_refuses_what_is_no_index(wrong):
    with pytest.raises(ValueError, match=r"^labels must be (whole numbers|in \[0, 3\)), got "):
        functional.whole_numbers([0, wrong], 3, "labels")


def test_whole_numbers_names_the_first_wrong_value():
    with pytest.raises(ValueError, match=r"^labels must be in \[0, 3\), got inf\.$"):
        functional.whole_numbers([0, np.inf], 3, "labels")
    with pytest.raises(ValueError, match=r"^labels must be whole numbers, got 0\.5\.$"):
        functional.whole_numbers([0, 0.5, 7], 3, "labels")


def test_defaults():
    def defaults(function):
        return {name: p.default for name, p in inspect.signature(function).parameters.items() if p.default is not p.empty}

    assert defaults(functional.dropout) == defaults(functional.dropout2d) == {"training": True, "generator": None}
    assert defaults(functional.layer_norm) == {"weight": None, "bias": None, "eps": 1e-5}

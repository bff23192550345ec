"""The Kullback-Leibler divergence against its formula in float64, and where a probability is 0."""

import inspect
import math

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, gradient_check, gradients, losses

from ..raising import unreached

RNG = np.random.default_rng(5)


def distribution(*shape):
    p = RNG.uniform(0.1, 1, shape)
    return p / p.sum(-1, keepdims=True)


SHAPES = [(4, 3), (2, 3, 4), (3,), ()]
REDUCED = {
    "mean": np.mean,
    "sum": np.sum,
    "none": np.asarray,
    "batchmean": lambda x: x.sum() / (len(x) if x.ndim else 1),
}


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("reduction", REDUCED)
@pytest.mark.parametrize("shape", SHAPES)
def test_value_and_gradients(shape, reduction, log_target):
    x, p = np.log(distribution(*shape, 3)[..., 0]), distribution(*shape, 3)[..., 0]
    values = p * (np.log(p) - x)
    scale = {"mean": 1 / max(values.size, 1), "batchmean": 1 / (len(x) if x.ndim else 1)}.get(reduction, 1)
    for loss_fn in (
        losses.KLDivLoss(reduction, log_target=log_target),
        lambda x, t: losses.kl_div(x, t, reduction, log_target),
    ):
        with default_dtype(np.float64):
            a, b = Tensor(x, requires_grad=True), Tensor(np.log(p) if log_target else p, requires_grad=True)
            loss = loss_fn(a, b)
            loss.backward(np.ones(loss.shape))
        np.testing.assert_allclose(loss.data, REDUCED[reduction](values), rtol=1e-12)
        np.testing.assert_allclose(a.grad, -p * scale, rtol=1e-12)
        np.testing.assert_allclose(b.grad, (np.log(p) + 1 - x) * (p if log_target else 1) * scale, rtol=1e-12)


@pytest.mark.parametrize("log_target", [False, True])
def test_second_derivatives_and_float32(log_target):
    x, p = np.log(distribution(3, 4)), distribution(3, 4)
    loss_fn = losses.KLDivLoss("batchmean", log_target)

    def squared_slopes(x, t):
        return sum((slope * slope).sum() for slope in gradients(loss_fn(x, t), [x, t], create_graph=True))

    assert gradient_check(squared_slopes, (x, np.log(p) if log_target else p))
    a = Tensor(x, requires_grad=True)
    loss = loss_fn(a, np.log(p) if log_target else p)
    loss.backward()
    assert loss.dtype == a.grad.dtype == np.float32
    np.testing.assert_allclose(loss.data, (p * (np.log(p) - x)).sum() / 3, rtol=1e-5)


@pytest.mark.parametrize("log_target", [False, True])
@pytest.mark.parametrize("x", [0.0, -2.0, -np.inf, -1e30])
def test_a_probability_of_zero_costs_nothing(x, log_target):
    a = Tensor([x, -0.5], requires_grad=True)
    t = Tensor([-np.inf, 0.0] if log_target else [0.0, 1.0], requires_grad=True)
    with np.errstate(all="raise"):
        loss = losses.kl_div(a, t, "none", log_target)
        loss.backward(np.ones(2))
    np.testing.assert_array_equal(loss.data, [0, 0.5])
    np.testing.assert_array_equal(a.grad, [0, -1])
    np.testing.assert_allclose(t.grad, [0, 1.5])


def test_a_class_that_the_model_rules_out_costs_infinitely_much():
    assert losses.kl_div([-np.inf], [0.5]).item() == math.inf
    assert losses.kl_div([-np.inf], [-0.5], log_target=True).item() == math.inf


def test_whole_numbers_are_targets_too():
    np.testing.assert_array_equal(losses.kl_div([-1.0, -2.0], np.array([1, 0]), "none").data, [1, 0])


def test_the_divergence_from_itself_is_zero_and_the_batch_mean_is_that_of_the_examples():
    p, q = distribution(3, 5), distribution(3, 5)
    log_p = Tensor(np.log(p), dtype=np.float64)
    assert losses.kl_div(log_p, Tensor(p, dtype=np.float64), "sum").item() == pytest.approx(0, abs=1e-14)
    each = [losses.kl_div(np.log(p[i]), q[i], "sum").item() for i in range(3)]
    assert losses.kl_div(np.log(p), q, "batchmean").item() == pytest.approx(np.mean(each), rel=1e-6)


def test_an_empty_batch_has_no_mean():
    assert math.isnan(losses.kl_div(np.zeros((0, 3)), np.zeros((0, 3)), "batchmean").item())


def test_defaults_are_those_of_pytorch():
    for function in (losses.KLDivLoss, losses.kl_div):
        settings = [p.default for p in inspect.signature(function).parameters.values() if p.default is not p.empty]
        assert settings == ["mean", False]


MESSAGES = [
    (
        lambda: losses.kl_div([0.0, 0.0], [-0.5, 1.0]),
        ValueError,
        "targets of kl_div must be probabilities, got -0.5. Logarithms need log_target=True.",
    ),
    (
        lambda: losses.kl_div([0.0], [np.nan]),
        ValueError,
        "targets of kl_div must be probabilities, got nan. Logarithms need log_target=True.",
    ),
    (
        lambda: losses.KLDivLoss("average"),
        ValueError,
        "reduction must be one of ('mean', 'sum', 'none', 'batchmean'), got 'average'.",
    ),
    (
        lambda: losses.kl_div([0.0], [0.0], "average"),
        ValueError,
        "reduction must be one of ('mean', 'sum', 'none', 'batchmean'), got 'average'.",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="predictions and targets must have the same shape"):
        losses.kl_div(np.zeros((2, 3)), np.zeros((1, 3)))


def test_every_error_has_an_entry():
    assert not unreached(losses.divergence, MESSAGES)

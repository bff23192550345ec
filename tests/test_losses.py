"""Losses against formulas written in NumPy in float64."""

import inspect
import math
import warnings

import numpy as np
import pytest

from micrograd_plus import Tensor, losses

RNG = np.random.default_rng(7)
P = RNG.normal(size=(4, 3)).astype(np.float32)
T = RNG.normal(size=(4, 3)).astype(np.float32)
PROBABILITIES = RNG.uniform(0.05, 0.95, (4, 3)).astype(np.float32)
SHARES = RNG.uniform(0, 1, (4, 3)).astype(np.float32)
LOGITS = RNG.normal(size=(5, 4)).astype(np.float32)
LABELS = np.array([0, 3, 1, 1, 2])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def picked(x):
    return x[np.arange(len(x)), LABELS]


def huber(p, t, delta):
    d = np.abs(p - t)
    return np.where(d <= delta, d**2 / 2, delta * (d - delta / 2))


def huber_slope(p, t, delta):
    return np.clip(p - t, -delta, delta)


ONE_HOT = np.eye(4)[LABELS]

# name: the loss module, its predictions and targets, the loss of each element, the derivative with respect to predictions
CASES = {
    "mse": (lambda r: losses.MSELoss(reduction=r), P, T, lambda p, t: (p - t) ** 2, lambda p, t: 2 * (p - t)),
    "l1": (lambda r: losses.L1Loss(reduction=r), P, T, lambda p, t: np.abs(p - t), lambda p, t: np.sign(p - t)),
    "huber": (lambda r: losses.HuberLoss(reduction=r), P, T, lambda p, t: huber(p, t, 1.0), lambda p, t: huber_slope(p, t, 1.0)),
    "huber, delta 0.3": (
        lambda r: losses.HuberLoss(delta=0.3, reduction=r),
        P,
        T,
        lambda p, t: huber(p, t, 0.3),
        lambda p, t: huber_slope(p, t, 0.3),
    ),
    "huber, delta 2": (
        lambda r: losses.HuberLoss(2.0, r),
        P,
        3 * T,
        lambda p, t: huber(p, t, 2.0),
        lambda p, t: huber_slope(p, t, 2.0),
    ),
    "smooth l1": (
        lambda r: losses.SmoothL1Loss(reduction=r),
        P,
        2 * T,
        lambda p, t: huber(p, t, 1.0),
        lambda p, t: huber_slope(p, t, 1.0),
    ),
    "smooth l1, beta 0.3": (
        lambda r: losses.SmoothL1Loss(0.3, r),
        P,
        T,
        lambda p, t: huber(p, t, 0.3) / 0.3,
        lambda p, t: huber_slope(p, t, 0.3) / 0.3,
    ),
    "smooth l1, beta 0": (
        lambda r: losses.SmoothL1Loss(beta=0, reduction=r),
        P,
        T,
        lambda p, t: np.abs(p - t),
        lambda p, t: np.sign(p - t),
    ),
    "bce": (
        lambda r: losses.BCELoss(reduction=r),
        PROBABILITIES,
        SHARES,
        lambda p, t: -t * np.log(p) - (1 - t) * np.log(1 - p),
        lambda p, t: (p - t) / (p * (1 - p)),
    ),
    "bce with logits": (
        lambda r: losses.BCEWithLogitsLoss(reduction=r),
        P,
        SHARES,
        lambda x, t: -t * np.log(sigmoid(x)) - (1 - t) * np.log(1 - sigmoid(x)),
        lambda x, t: sigmoid(x) - t,
    ),
}
CLASSES = {
    "cross-entropy": (
        lambda r: losses.CrossEntropyLoss(reduction=r),
        LOGITS,
        lambda x: -picked(np.log(softmax(x))),
        lambda x: softmax(x) - ONE_HOT,
    ),
    "nll": (lambda r: losses.NLLLoss(reduction=r), np.log(softmax(LOGITS)), lambda x: -picked(x), lambda x: -ONE_HOT),
}
REDUCED = {"mean": np.mean, "sum": np.sum, "none": lambda x: x}


def value_and_gradient(loss_fn, predictions, targets, cotangent):
    p = Tensor(predictions, requires_grad=True)
    loss = loss_fn(p, targets)
    loss.backward(cotangent if loss.ndim else None)
    return loss.data, p.grad


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_of_a_loss_between_equal_shapes(name, reduction):
    make, predictions, targets, formula, slope = CASES[name]
    cotangent = RNG.normal(size=predictions.shape) if reduction == "none" else {"mean": 1 / predictions.size, "sum": 1.0}[reduction]
    value, gradient = value_and_gradient(make(reduction), predictions, targets, cotangent)
    p, t = predictions.astype(np.float64), targets.astype(np.float64)
    np.testing.assert_allclose(value, REDUCED[reduction](formula(p, t)), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, slope(p, t) * cotangent, rtol=2e-5, atol=1e-6)
    assert value.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CLASSES)
def test_value_and_gradient_of_a_loss_of_classes(name, reduction):
    make, scores, formula, slope = CLASSES[name]
    cotangent = RNG.normal(size=5) if reduction == "none" else np.full(5, {"mean": 1 / 5, "sum": 1.0}[reduction])
    value, gradient = value_and_gradient(make(reduction), scores, LABELS, cotangent)
    x = scores.astype(np.float64)
    np.testing.assert_allclose(value, REDUCED[reduction](formula(x)), rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(gradient, slope(x) * cotangent[:, None], rtol=2e-5, atol=1e-6)
    assert value.dtype == gradient.dtype == np.float32


@pytest.mark.parametrize("name", CASES)
def test_targets_get_their_gradient_too(name):
    make, predictions, targets, formula, _ = CASES[name]
    t = Tensor(targets, requires_grad=True)
    make("sum")(predictions, t).backward()
    p, at, eps = predictions.astype(np.float64), targets.astype(np.float64), 1e-6
    expected = (formula(p, at + eps) - formula(p, at - eps)) / (2 * eps)
    np.testing.assert_allclose(t.grad, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_functions_and_modules_give_the_same(name):
    functions = {
        "mse": losses.mse_loss,
        "l1": losses.l1_loss,
        "huber": losses.huber_loss,
        "huber, delta 0.3": lambda p, t: losses.huber_loss(p, t, 0.3),
        "huber, delta 2": lambda p, t: losses.huber_loss(p, t, delta=2.0),
        "smooth l1": losses.smooth_l1_loss,
        "smooth l1, beta 0.3": lambda p, t: losses.smooth_l1_loss(p, t, 0.3),
        "smooth l1, beta 0": lambda p, t: losses.smooth_l1_loss(p, t, beta=0),
        "bce": losses.binary_cross_entropy,
        "bce with logits": losses.binary_cross_entropy_with_logits,
    }
    make, predictions, targets, formula, _ = CASES[name]
    assert functions[name](predictions, targets).data == make("mean")(predictions, targets).data
    np.testing.assert_allclose(
        functions[name](Tensor(predictions), Tensor(targets)).data,
        formula(predictions.astype(np.float64), targets.astype(np.float64)).mean(),
        rtol=2e-5,
    )


def test_functions_of_classes_and_modules_give_the_same():
    scores = np.log(softmax(LOGITS))
    assert losses.cross_entropy(LOGITS, LABELS).data == losses.CrossEntropyLoss()(LOGITS, LABELS).data
    assert losses.nll_loss(scores, LABELS).data == losses.NLLLoss()(scores, LABELS).data
    np.testing.assert_allclose(losses.nll_loss(scores, LABELS).data, losses.cross_entropy(LOGITS, LABELS).data, rtol=1e-6)


def test_defaults_are_those_of_the_contract():
    for loss in (losses.MSELoss, losses.L1Loss, losses.CrossEntropyLoss, losses.NLLLoss, losses.BCELoss, losses.BCEWithLogitsLoss):
        assert str(inspect.signature(loss).parameters["reduction"].default) == "mean"
    assert [p.default for p in inspect.signature(losses.HuberLoss).parameters.values()] == [1.0, "mean"]
    assert [p.default for p in inspect.signature(losses.SmoothL1Loss).parameters.values()] == [1.0, "mean"]
    assert [p.default for p in list(inspect.signature(losses.smooth_l1_loss).parameters.values())[2:]] == [1.0, "mean"]
    assert [p.default for p in list(inspect.signature(losses.huber_loss).parameters.values())[2:]] == [1.0, "mean"]


def test_huber_applies_delta_once_on_either_side_of_the_kink():
    value, gradient = value_and_gradient(losses.HuberLoss(2.0, "none"), [1.0, 2.0, 5.0, -5.0], np.zeros(4, np.float32), np.ones(4))
    np.testing.assert_array_equal(value, [0.5, 2.0, 8.0, 8.0])
    np.testing.assert_array_equal(gradient, [1.0, 2.0, 2.0, -2.0])


def test_derivative_of_the_absolute_error_at_zero_is_zero():
    _, gradient = value_and_gradient(losses.L1Loss(), [1.0, 2.0], np.array([1.0, 1.0], np.float32), None)
    np.testing.assert_array_equal(gradient, [0.0, 0.5])


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.float32, np.float64])
def test_labels_are_whole_numbers_in_any_dtype(dtype):
    expected = losses.cross_entropy(LOGITS, LABELS).data
    assert losses.cross_entropy(LOGITS, LABELS.astype(dtype)).data == expected
    assert losses.cross_entropy(LOGITS, Tensor(LABELS.astype(dtype))).data == expected
    assert losses.cross_entropy(LOGITS, LABELS.tolist()).data == expected


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.float64])
def test_targets_of_any_dtype_leave_the_loss_in_the_dtype_of_the_predictions(dtype):
    targets = np.array([[0, 1, 1], [1, 0, 1], [0, 0, 1], [1, 1, 1]], dtype)
    for name in CASES:
        make, predictions, _, formula, slope = CASES[name]
        value, gradient = value_and_gradient(make("mean"), predictions, targets, None)
        p, t = predictions.astype(np.float64), targets.astype(np.float64)
        assert value.dtype == gradient.dtype == np.float32
        np.testing.assert_allclose(value, formula(p, t).mean(), rtol=2e-5)
        np.testing.assert_allclose(gradient, slope(p, t) / p.size, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("size", [1e4, -1e4, 88.0, 1e30])
def test_cross_entropy_is_exact_at_any_size_of_logit(size):
    logits = np.array([[size, 0.0], [0.0, size]])
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        value, gradient = value_and_gradient(losses.CrossEntropyLoss("none"), logits, np.array([0, 0]), np.ones(2))
    high = max(size, 0.0)
    np.testing.assert_allclose(value, np.float32([high - size, high]), rtol=1e-6)
    first = 1.0 if size > 0 else 0.0
    np.testing.assert_allclose(gradient, [[first - 1, 1 - first], [-first, first]], atol=1e-37)


@pytest.mark.parametrize("x", [1e4, -1e4, 1e30, -1e30, 0.0])
@pytest.mark.parametrize("t", [0.0, 1.0, 0.25])
def test_binary_cross_entropy_with_logits_is_exact_at_any_size_of_logit(x, t):
    with np.errstate(all="raise", under="ignore"):
        value, gradient = value_and_gradient(losses.BCEWithLogitsLoss(), [x], np.array([t], np.float32), None)
    np.testing.assert_allclose(value, max(x, 0) - t * x + math.log1p(math.exp(-abs(x))), rtol=1e-6)
    np.testing.assert_allclose(gradient, [(0.5 if x == 0 else float(x > 0)) - t], atol=1e-37)


def test_probabilities_of_zero_and_one_have_a_finite_loss_and_gradient():
    with np.errstate(all="raise"):
        value, gradient = value_and_gradient(losses.BCELoss("none"), [0.0, 1.0, 0.0, 1.0], np.float32([0, 1, 1, 0]), np.ones(4))
    np.testing.assert_array_equal(value, [0, 0, 100, 100])
    np.testing.assert_allclose(gradient, [0, 0, -1e12, 1e12], rtol=1e-6)


def test_nothing_of_a_loss_is_written_into_its_arguments():
    p, t = P.copy(), T.copy()
    for array in (p, t):
        array.flags.writeable = False
    losses.HuberLoss()(Tensor(p, requires_grad=True), t).backward()
    np.testing.assert_array_equal(p, P)


def test_repr_says_the_settings():
    assert repr(losses.MSELoss()) == "MSELoss(reduction='mean')"
    assert repr(losses.CrossEntropyLoss("sum")) == "CrossEntropyLoss(reduction='sum')"

"""Class weights, ignored labels, label smoothing and further axes, against loops over the labels in float64."""

import itertools
import math

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, gradient_check, gradients, losses

RNG = np.random.default_rng(3)
WEIGHT = np.array([0.5, 2.0, 1.0, 3.0])
# name: scores, labels; -100 is ignored by default
BATCHES = {
    "(5, 4)": (RNG.normal(size=(5, 4)) * 2, np.array([0, 3, 1, 1, 2])),
    "(5, 4), one ignored": (RNG.normal(size=(5, 4)) * 2, np.array([0, -100, 1, 3, 2])),
    "(2, 4, 3)": (RNG.normal(size=(2, 4, 3)), np.array([[0, 3, 1], [-100, 2, 2]])),
    "(2, 4, 3, 2)": (RNG.normal(size=(2, 4, 3, 2)), RNG.integers(0, 4, (2, 3, 2))),
    "(0, 4)": (np.zeros((0, 4)), np.zeros(0, int)),
}
SETTINGS = [
    {},
    {"weight": WEIGHT},
    {"ignore_index": 1},
    {"weight": WEIGHT, "ignore_index": 3},
    {"label_smoothing": 0.1},
    {"label_smoothing": 1.0},
    {"label_smoothing": 0.3, "weight": WEIGHT, "ignore_index": 2},
]


def log_softmax(x):
    x = x - x.max()
    return x - math.log(np.exp(x).sum())


def expected(scores, labels, reduction, weight=None, ignore_index=-100, label_smoothing=0.0, of_logits=True):
    """The loss, and its gradient for cotangents 1, by a loop over the positions of the labels."""
    weight = np.ones(scores.shape[1]) if weight is None else weight
    values, slopes, total = np.zeros(labels.shape), np.zeros(scores.shape), 0.0
    for place in np.ndindex(labels.shape):
        label = labels[place]
        if label in (ignore_index, -100):
            continue
        row = (place[0], slice(None), *place[1:])
        q = np.full(scores.shape[1], label_smoothing / scores.shape[1])
        q[label] += 1 - label_smoothing
        q = q * weight
        log_p = log_softmax(scores[row]) if of_logits else scores[row]
        values[place] = -(q * log_p).sum()
        slopes[row] = np.exp(log_p) * q.sum() - q if of_logits else -q
        total += weight[label]
    if reduction == "none":
        return values, slopes
    scale = 1 if reduction == "sum" else 1 / total if total else math.nan
    return values.sum() * scale, slopes * (scale if total else 0)


def value_and_gradient(loss_fn, scores, labels, dtype=np.float64):
    with default_dtype(dtype):
        x = Tensor(scores, requires_grad=True)
        loss = loss_fn(x, labels)
        loss.backward(np.ones(loss.shape))
    assert loss.dtype == x.grad.dtype == dtype
    return loss.data, x.grad


def usable(labels, settings):
    """-100 is no class where another label is ignored."""
    return np.where(labels == -100, settings.get("ignore_index", -100), labels)


CASES = list(itertools.product(BATCHES, range(len(SETTINGS)), ["mean", "sum", "none"]))


@pytest.mark.parametrize(("batch", "setting", "reduction"), CASES)
def test_cross_entropy(batch, setting, reduction):
    (scores, labels), settings = BATCHES[batch], SETTINGS[setting]
    labels = usable(labels, settings)
    value, slopes = expected(scores, labels, reduction, **settings)
    for loss_fn in (losses.CrossEntropyLoss(reduction, **settings), lambda x, t: losses.cross_entropy(x, t, reduction, **settings)):
        found, gradient = value_and_gradient(loss_fn, scores, labels)
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("batch", "setting", "reduction"), [case for case in CASES if "label_smoothing" not in SETTINGS[case[1]]])
def test_nll(batch, setting, reduction):
    (scores, labels), settings = BATCHES[batch], SETTINGS[setting]
    labels = usable(labels, settings)
    value, slopes = expected(scores, labels, reduction, **settings, of_logits=False)
    for loss_fn in (losses.NLLLoss(reduction, **settings), lambda x, t: losses.nll_loss(x, t, reduction, **settings)):
        found, gradient = value_and_gradient(loss_fn, scores, labels)
        np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("setting", range(len(SETTINGS)))
def test_second_derivatives_and_float32(setting):
    (scores, labels), settings = BATCHES["(2, 4, 3)"], SETTINGS[setting]
    labels = usable(labels, settings)

    def squared_slope(x):
        (slope,) = gradients(losses.cross_entropy(x, labels, **settings), [x], create_graph=True)
        return (slope * slope).sum()

    assert gradient_check(squared_slope, scores)
    value, gradient = value_and_gradient(losses.CrossEntropyLoss(**settings), scores, labels, np.float32)
    wanted, slopes = expected(scores, labels, "mean", **settings)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-4, atol=1e-6)


IGNORING = {
    "cross-entropy": lambda reduction: losses.CrossEntropyLoss(reduction),
    "smoothed": lambda reduction: losses.CrossEntropyLoss(reduction, label_smoothing=0.2),
    "weighted": lambda reduction: losses.CrossEntropyLoss(reduction, weight=[1.0, 2.0, 3.0]),
    "nll": lambda reduction: losses.NLLLoss(reduction),
    "weighted nll": lambda reduction: losses.NLLLoss(reduction, weight=[1.0, 2.0, 3.0]),
}


@pytest.mark.parametrize("name", IGNORING)
def test_an_ignored_row_has_a_loss_and_gradient_of_exactly_zero_even_of_infinite_loss(name):
    scores = np.array([[-np.inf, 1.0, -np.inf], [0.5, 1.0, 2.0]])
    value, gradient = value_and_gradient(IGNORING[name]("none"), scores, np.array([-100, 1]))
    assert value[0] == 0
    assert value[1] > 0 if "nll" not in name else value[1] < 0
    np.testing.assert_array_equal(gradient[0], [0, 0, 0])
    assert np.any(gradient[1] != 0)


@pytest.mark.parametrize("name", IGNORING)
def test_where_all_labels_are_ignored_the_mean_is_nan_and_the_gradients_are_zero(name):
    value, gradient = value_and_gradient(IGNORING[name]("mean"), np.ones((2, 3)), np.array([-100, -100]))
    assert math.isnan(value)
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))
    value, gradient = value_and_gradient(IGNORING[name]("sum"), np.ones((2, 3)), np.array([-100, -100]))
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.uint64, np.float32, np.float64])
def test_labels_of_any_dtype_may_be_ignored(dtype):
    scores = RNG.normal(size=(3, 4))
    settings = {"ignore_index": 200 if np.dtype(dtype).kind == "u" else -100}
    labels = np.array([1, settings["ignore_index"], 3]).astype(dtype)
    value, _ = value_and_gradient(losses.CrossEntropyLoss(**settings), scores, labels)
    np.testing.assert_allclose(value, expected(scores[[0, 2]], np.array([1, 3]), "mean")[0])
    value, _ = value_and_gradient(losses.NLLLoss(**settings), scores, Tensor(labels))
    np.testing.assert_allclose(value, -(scores[0, 1] + scores[2, 3]) / 2)


def test_the_only_class_may_be_ignored():
    assert losses.cross_entropy([[2.0]], [-100], "sum").item() == 0


def test_whole_numbers_are_scores_too():
    assert losses.cross_entropy(np.array([[0, 0]]), [1], weight=[0.5, 0.25], reduction="sum").item() == pytest.approx(math.log(2) / 4)
    assert losses.nll_loss(np.array([[-3, -1]]), [0]).item() == 3


def test_weights_may_be_lists_arrays_or_tensors_and_are_buffers():
    loss_fn = losses.CrossEntropyLoss(weight=Tensor([1.0, 2.0]))
    assert [name for name, _ in loss_fn.named_buffers()] == ["weight"]
    assert losses.CrossEntropyLoss().weight is None
    scores, labels = np.array([[1.0, 0.0], [0.0, 3.0]]), [0, 1]
    assert losses.CrossEntropyLoss(weight=[1, 2])(scores, labels).data == loss_fn(scores, labels).data
    assert losses.cross_entropy(scores, labels, weight=np.array([1, 2])).data == loss_fn(scores, labels).data
    assert losses.cross_entropy(scores, labels, weight=Tensor([1.0, 2.0])).data == loss_fn(scores, labels).data
    loss_fn.load_state_dict({"weight": np.array([1.0, 1.0])})
    assert loss_fn(scores, labels).data == losses.cross_entropy(scores, labels).data
    bce = losses.BCEWithLogitsLoss(weight=[1.0], pos_weight=[2.0])
    assert [name for name, _ in bce.named_buffers()] == ["weight", "pos_weight"]


# -- yes or no -----------------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


X, SHARES = RNG.normal(size=(3, 2)) * 2, RNG.uniform(size=(3, 2))
ELEMENTS = {
    "(3, 2)": RNG.uniform(0, 2, (3, 2)),
    "(2,)": np.array([0.5, 3.0]),
    "(3, 1)": np.array([[1.0], [0.0], [2.0]]),
    "()": np.array(0.5),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, *ELEMENTS])
@pytest.mark.parametrize("pos_weight", [None, *ELEMENTS])
def test_binary_cross_entropy_with_logits(weight, pos_weight, reduction):
    w, pos = (None if name is None else ELEMENTS[name] for name in (weight, pos_weight))
    p, scale = sigmoid(X), 1 if w is None else w
    factor = 1 if pos is None else pos
    value = scale * (-factor * SHARES * np.log(p) - (1 - SHARES) * np.log(1 - p))
    slopes = scale * ((1 - SHARES) * p - factor * SHARES * (1 - p)) / (value.size if reduction == "mean" else 1)
    value = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](value)
    settings = {"weight": w, "pos_weight": pos}
    for loss_fn in (
        losses.BCEWithLogitsLoss(reduction, **settings),
        lambda x, t: losses.binary_cross_entropy_with_logits(x, t, reduction, **settings),
    ):
        found, gradient = value_and_gradient(loss_fn, X, Tensor(SHARES, dtype=np.float64))
        np.testing.assert_allclose(found, value, rtol=1e-12)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-11)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", ELEMENTS)
def test_binary_cross_entropy_with_weights(weight, reduction):
    p, w = sigmoid(X), ELEMENTS[weight]
    value = w * (-SHARES * np.log(p) - (1 - SHARES) * np.log(1 - p))
    slopes = w * (p - SHARES) / (p * (1 - p)) / (value.size if reduction == "mean" else 1)
    value = {"mean": np.mean, "sum": np.sum, "none": np.asarray}[reduction](value)
    for loss_fn in (losses.BCELoss(reduction, weight=w), lambda x, t: losses.binary_cross_entropy(x, t, reduction, weight=w)):
        found, gradient = value_and_gradient(loss_fn, p, Tensor(SHARES, dtype=np.float64))
        np.testing.assert_allclose(found, value, rtol=1e-12)
        np.testing.assert_allclose(gradient, slopes, rtol=1e-11)


def test_confident_and_right_logits_keep_their_digits():
    value, gradient = value_and_gradient(losses.BCEWithLogitsLoss("none"), [20.0, -20.0], np.float32([1, 0]), np.float32)
    np.testing.assert_allclose(value, [math.log1p(math.exp(-20))] * 2, rtol=1e-6)
    np.testing.assert_allclose(gradient, [-math.exp(-20), math.exp(-20)], rtol=1e-6)


def test_targets_of_a_weighted_loss_get_their_gradient():
    t = Tensor([0.25, 1.0], requires_grad=True)
    losses.binary_cross_entropy_with_logits([1.0, -2.0], t, "sum", pos_weight=3.0).backward()
    softplus = np.log1p(np.exp([1.0, -2.0]))
    np.testing.assert_allclose(t.grad, 3 * (softplus - [1.0, -2.0]) - softplus, rtol=1e-6)


@pytest.mark.parametrize(
    "loss_fn", [losses.MSELoss(), losses.BCELoss(), losses.BCEWithLogitsLoss(), losses.SmoothL1Loss(), losses.KLDivLoss()]
)
def test_the_mean_over_no_elements_is_nan(loss_fn):
    value, gradient = value_and_gradient(loss_fn, np.zeros((0, 3)), np.zeros((0, 3)))
    assert math.isnan(value)
    assert gradient.shape == (0, 3)


# -- messages ------------------------------------------------------------------------------------------------------------

SCORES = np.zeros((2, 3, 4))
SHAPES = "needs {} of shape (N, C, d1, ...) and labels of shape (N, d1, ...), got {} and {}. "
WEIGHT_SHAPE = "weight must hold one number per class, shape (3,), got {}."
FIT = "{} must broadcast to the predictions' shape (2, 3), got {}. Reshape it."
MESSAGES = [
    (
        lambda: losses.cross_entropy(SCORES, np.zeros((2, 3), int)),
        ValueError,
        "cross-entropy " + SHAPES.format("logits", (2, 3, 4), (2, 3)) + "Classes on the last axis: reshape to logits.reshape(-1, C) "
        "and labels.reshape(-1).",
    ),
    (
        lambda: losses.nll_loss(SCORES, np.zeros((2, 5), int)),
        ValueError,
        "the NLL loss " + SHAPES.format("log-probabilities", (2, 3, 4), (2, 5)) + "Give one class index per example.",
    ),
    (
        lambda: losses.cross_entropy(SCORES, SCORES),
        ValueError,
        "cross-entropy " + SHAPES.format("logits", (2, 3, 4), (2, 3, 4)) + "One-hot labels become indices by .argmax(1).",
    ),
    (
        lambda: losses.cross_entropy(SCORES[0, 0], 3),
        ValueError,
        "cross-entropy needs logits of shape (N, C) and labels of shape (N,), got (4,) and (). Give one class index per example.",
    ),
    (lambda: losses.cross_entropy(SCORES[0], [0, -100, 3], ignore_index=0), ValueError, "labels must be in [0, 4), got -100."),
    (lambda: losses.nll_loss(SCORES[0], [0.5, -100, 3]), ValueError, "labels must be whole numbers, got 0.5."),
    (
        lambda: losses.cross_entropy(SCORES[0], [True, False, True]),
        TypeError,
        "labels must be whole numbers, got dtype bool. Pass an int array.",
    ),
    (lambda: losses.cross_entropy(np.zeros((2, 3)), [0, 1], weight=[1.0, 2.0]), ValueError, WEIGHT_SHAPE.format((2,))),
    (lambda: losses.NLLLoss(weight=[[1.0, 2.0, 3.0]])(np.zeros((2, 3)), [0, 1]), ValueError, WEIGHT_SHAPE.format((1, 3))),
    (lambda: losses.CrossEntropyLoss(label_smoothing=1.5), ValueError, "label_smoothing must be in [0, 1], got 1.5."),
    (lambda: losses.CrossEntropyLoss(label_smoothing=np.nan), ValueError, "label_smoothing must be in [0, 1], got nan."),
    (
        lambda: losses.cross_entropy(np.zeros((2, 3)), [0, 1], label_smoothing=-0.1),
        ValueError,
        "label_smoothing must be in [0, 1], got -0.1.",
    ),
    (
        lambda: losses.CrossEntropyLoss(np.array([1.0, 2.0])),
        ValueError,
        "reduction must be one of ('mean', 'sum', 'none'), got array([1., 2.]). Give other settings by name, such as weight=.",
    ),
    (
        lambda: losses.cross_entropy(np.zeros((2, 3)), [0, 1], "batchmean"),
        ValueError,
        "reduction must be one of ('mean', 'sum', 'none'), got 'batchmean'.",
    ),
    (lambda: losses.BCELoss(weight=np.ones((2, 2, 3)))(np.zeros((2, 3)), np.zeros((2, 3))), ValueError, FIT.format("weight", (2, 2, 3))),
    (lambda: losses.BCELoss(weight=np.ones(2))(np.zeros((2, 3)), np.zeros((2, 3))), ValueError, FIT.format("weight", (2,))),
    (
        lambda: losses.BCEWithLogitsLoss(pos_weight=np.ones(4))(np.zeros((2, 3)), np.zeros((2, 3))),
        ValueError,
        FIT.format("pos_weight", (4,)),
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text

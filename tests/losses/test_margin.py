"""Hinge, multi-class margin, cosine and triplet losses against formulas in float64."""

import inspect
import math

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, gradient_check, gradients, losses

from ..raising import unreached

RNG = np.random.default_rng(11)
SCORES, SIGNS = RNG.normal(size=(3, 4)), RNG.choice([-1.0, 1.0], (3, 4))
LABELS = np.array([2, 0, 3])
A, B, C = RNG.normal(size=(3, 4, 5))
REDUCED = {"mean": np.mean, "sum": np.sum, "none": np.asarray}


def hinge(s, t, margin=1.0):
    return np.maximum(0, margin - t * s)


def multi_margin(s, labels, p=1, margin=1.0):
    rows = [(row, label) for row, label in zip(s, labels, strict=True)]
    return np.array([sum(max(0, margin - row[i] + x) ** p for j, x in enumerate(row) if j != i) / len(row) for row, i in rows])


def cosine(x, y, t, margin=0.0):
    cos = (x * y).sum(-1) / np.sqrt((x * x).sum(-1) + 1e-12) / np.sqrt((y * y).sum(-1) + 1e-12)
    return np.where(t == 1, 1 - cos, np.maximum(0, cos - margin))


def distance(x, y, p, eps):
    return np.linalg.norm(x - y + eps, ord=p, axis=-1)


def triplet(a, b, c, margin=1.0, p=2.0, eps=1e-6, swap=False):
    far = distance(a, c, p, eps)
    if swap:
        far = np.minimum(far, distance(b, c, p, eps))
    return np.maximum(0, distance(a, b, p, eps) - far + margin)


# name: module, function, formula, what it is given (arrays of floats take a gradient), settings
CASES = [
    ("HingeLoss", "hinge_loss", hinge, (SCORES, SIGNS), {}),
    ("HingeLoss", "hinge_loss", hinge, (SCORES, SIGNS), {"margin": 0.3}),
    ("HingeLoss", "hinge_loss", hinge, (SCORES[0], SIGNS[0].astype(int)), {}),
    ("MultiMarginLoss", "multi_margin_loss", multi_margin, (SCORES, LABELS), {}),
    ("MultiMarginLoss", "multi_margin_loss", multi_margin, (SCORES, LABELS), {"p": 2}),
    ("MultiMarginLoss", "multi_margin_loss", multi_margin, (SCORES, LABELS), {"p": 2, "margin": 0.4}),
    ("CosineEmbeddingLoss", "cosine_embedding_loss", cosine, (A, B, np.array([1, -1, -1, 1])), {}),
    ("CosineEmbeddingLoss", "cosine_embedding_loss", cosine, (A, A + B, np.array([1.0, -1, -1, 1])), {"margin": 0.5}),
    ("CosineEmbeddingLoss", "cosine_embedding_loss", cosine, (A, A + B, -np.ones(4, int)), {"margin": -0.5}),
    ("CosineEmbeddingLoss", "cosine_embedding_loss", cosine, (A[0], -B[0], np.array(1)), {}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A, B, C), {}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A, B, C), {"margin": 3.0, "swap": True}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A, B, C), {"margin": 3.0, "p": 1}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A, B, C), {"margin": 3.0, "p": 3.5, "eps": 0.1}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A, B, C), {"margin": 3.0, "p": math.inf, "swap": True}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A[0], B[0], C[0]), {"margin": 5.0}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A[0], B[0], C[0]), {"margin": 5.0, "p": math.inf}),
    ("TripletMarginLoss", "triplet_margin_loss", triplet, (A.reshape(2, 2, 5), B.reshape(2, 2, 5), C.reshape(2, 2, 5)), {}),
]
IDS = [f"{module} {settings}" for module, _, _, _, settings in CASES]


def leaves(inputs):
    """What is trained: all but the targets."""
    return inputs if len(inputs) == 3 and inputs[2].shape == inputs[0].shape else inputs[: len(inputs) - 1]


def differences(formula, inputs, settings):
    """The gradient of the sum, of every leaf, by central differences."""
    found = []
    for i, x in enumerate(leaves(inputs)):
        slope = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            moved = [x.copy(), x.copy()]
            moved[0][place] += 1e-6
            moved[1][place] -= 1e-6
            high, low = (formula(*inputs[:i], m, *inputs[i + 1 :], **settings).sum() for m in moved)
            slope[place] = (high - low) / 2e-6
        found.append(slope)
    return found


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("module", "function", "formula", "inputs", "settings"), CASES, ids=IDS)
def test_value_and_gradients(module, function, formula, inputs, settings, reduction):
    values = formula(*inputs, **settings)
    slopes = differences(formula, inputs, settings)
    for loss_fn in (
        getattr(losses, module)(**settings, reduction=reduction),
        lambda *given: getattr(losses, function)(*given, **settings, reduction=reduction),
    ):
        with default_dtype(np.float64):
            tensors = [Tensor(x, requires_grad=True) for x in leaves(inputs)]
            loss = loss_fn(*tensors, *inputs[len(tensors) :])
            loss.backward(np.ones(loss.shape))
        np.testing.assert_allclose(loss.data, REDUCED[reduction](values), rtol=1e-12)
        for tensor, slope in zip(tensors, slopes, strict=True):
            np.testing.assert_allclose(tensor.grad, slope / (values.size if reduction == "mean" else 1), atol=1e-8)


@pytest.mark.parametrize(("module", "function", "formula", "inputs", "settings"), CASES, ids=IDS)
def test_second_derivatives_and_float32(module, function, formula, inputs, settings):
    loss_fn, count = getattr(losses, module)(**settings), len(leaves(inputs))

    def squared_slopes(*tensors):
        tensors = [t if t.requires_grad else Tensor(t, requires_grad=True) for t in tensors]
        loss = loss_fn(*tensors, *inputs[count:])
        return sum((slope * slope).sum() for slope in gradients(loss * loss, tensors, create_graph=True))

    assert gradient_check(squared_slopes, tuple(leaves(inputs)))
    tensors = [Tensor(x, requires_grad=True) for x in leaves(inputs)]
    loss = loss_fn(*tensors, *inputs[count:])
    loss.backward()
    assert loss.dtype == tensors[0].grad.dtype == np.float32
    np.testing.assert_allclose(loss.data, formula(*inputs, **settings).mean(), rtol=1e-5)


def test_targets_of_any_dtype():
    expected = losses.hinge_loss(SCORES, SIGNS).data
    assert losses.hinge_loss(SCORES, SIGNS.astype(np.int8)).data == expected
    assert losses.hinge_loss(SCORES, SIGNS.tolist()).data == expected
    assert losses.multi_margin_loss(SCORES, LABELS.astype(np.float32)).data == losses.multi_margin_loss(SCORES, LABELS).data
    signs = Tensor(np.array([1, -1, -1, 1]))
    assert losses.cosine_embedding_loss(A, B, signs).data == losses.cosine_embedding_loss(A, B, [1.0, -1.0, -1.0, 1.0]).data


def test_defaults_are_those_of_pytorch():
    def defaults(name):
        return {k: p.default for k, p in inspect.signature(getattr(losses, name)).parameters.items() if p.default is not p.empty}

    assert defaults("HingeLoss") == defaults("hinge_loss") == {"margin": 1.0, "reduction": "mean"}
    assert defaults("MultiMarginLoss") == defaults("multi_margin_loss") == {"p": 1, "margin": 1.0, "reduction": "mean"}
    assert defaults("CosineEmbeddingLoss") == defaults("cosine_embedding_loss") == {"margin": 0.0, "reduction": "mean"}
    triplets = {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False, "reduction": "mean"}
    assert defaults("TripletMarginLoss") == defaults("triplet_margin_loss") == triplets


# -- kinks and limits ----------------------------------------------------------------------------------------------------


def test_the_derivative_at_a_kink_is_pytorchs():
    s = Tensor([1.0, 0.5, 2.0, -1.0], requires_grad=True)
    losses.hinge_loss(s, [1, 1, 1, -1], reduction="sum").backward()
    np.testing.assert_array_equal(s.grad, [-1, -1, 0, 1])
    s = Tensor([[2.0, 1.0]], requires_grad=True)
    losses.multi_margin_loss(s, [0]).backward()
    np.testing.assert_array_equal(s.grad, [[0, 0]])
    x = Tensor([[1.0, 0.0]], requires_grad=True)
    losses.cosine_embedding_loss(x, [[0.0, 2.0]], [-1]).backward()
    np.testing.assert_allclose(x.grad, [[0, 1]])
    a = Tensor([[1.0]], requires_grad=True)
    losses.triplet_margin_loss(a, [[0.0]], [[3.0]], margin=1.0, eps=0.0).backward()
    np.testing.assert_array_equal(a.grad, [[2]])


def test_the_label_s_own_class_counts_for_nothing():
    s = Tensor([[3.0, 1.0, 2.5]], requires_grad=True)
    loss = losses.multi_margin_loss(s, [0], reduction="sum")
    loss.backward()
    assert loss.item() == pytest.approx(0.5 / 3)
    np.testing.assert_allclose(s.grad, [[-1 / 3, 0, 1 / 3]])


def test_vectors_of_zeros_have_a_finite_cosine_and_gradient():
    x, y = Tensor(np.zeros((1, 3)), requires_grad=True), Tensor(np.ones((1, 3)), requires_grad=True)
    loss = losses.cosine_embedding_loss(x, y, [1])
    loss.backward()
    assert loss.item() == 1
    np.testing.assert_allclose(x.grad, np.full((1, 3), -1e6 / math.sqrt(3)), rtol=1e-5)
    np.testing.assert_array_equal(y.grad, np.zeros((1, 3)))


def test_the_cosine_of_long_vectors_does_not_overflow():
    x = np.float32([[1e15, 0], [1e15, 1e15]])
    np.testing.assert_allclose(losses.cosine_embedding_loss(x, x, [1, 1], reduction="none").data, [0, 0], atol=1e-6)


@pytest.mark.parametrize("p", [1, 2, 3, math.inf])
def test_a_distance_of_zero_has_a_gradient_of_zero(p):
    a, b = Tensor([[1.0, 2.0]], requires_grad=True), Tensor([[1.0, 2.0]], requires_grad=True)
    with np.errstate(all="raise"):
        loss = losses.triplet_margin_loss(a, b, [[1.0, 2.0]], p=p, eps=0.0)
        loss.backward()
    assert loss.item() == 1
    np.testing.assert_array_equal(a.grad, [[0, 0]])
    np.testing.assert_array_equal(b.grad, [[0, 0]])


def test_a_distance_of_zero_is_zero():
    loss = losses.triplet_margin_loss([[1.0, 2.0]], [[1.0, 2.0]], [[1.0, 2.5]], eps=0.0)
    assert loss.item() == 0.5


def test_the_euclidean_distance_is_curved_along_an_axis_of_no_difference():
    a = Tensor([[3.0, 1.0]], requires_grad=True)
    (slope,) = gradients(losses.triplet_margin_loss(a, [[1.0, 1.0]], [[3.0, 1.0]], eps=0.0), [a], create_graph=True)
    (curvature,) = gradients(slope[0, 1], [a])
    np.testing.assert_allclose(curvature.data, [[0, 0.5]])


def test_the_cosine_s_margin_may_be_the_largest_and_the_smallest():
    assert losses.CosineEmbeddingLoss(-1)(A, A, -np.ones(4)).item() == pytest.approx(2)
    assert losses.CosineEmbeddingLoss(1)(A, A, -np.ones(4)).item() == pytest.approx(0, abs=1e-6)


def test_equal_distances_share_the_gradient_of_a_swap():
    a, b, c = Tensor([[1.0]]), Tensor([[1.0]], requires_grad=True), Tensor([[0.0]], requires_grad=True)
    losses.triplet_margin_loss(a, b, c, margin=2.0, eps=0.0, swap=True).backward()
    np.testing.assert_array_equal(b.grad, [[-0.5]])
    np.testing.assert_array_equal(c.grad, [[1.0]])


def test_infinite_scores_on_the_right_side_cost_nothing():
    np.testing.assert_array_equal(losses.hinge_loss([1e30, -1e30], [1, -1], reduction="none").data, [0, 0])


# -- messages ------------------------------------------------------------------------------------------------------------

SHAPES = "predictions and targets must have the same shape, got {} and {}. Reshape one, for instance targets.reshape(-1, 1): "
SHAPES += "broadcasting would compare every prediction with every target."
MESSAGES = [
    (lambda: losses.HingeLoss()(np.ones(3), np.ones((3, 1))), ValueError, SHAPES.format((3,), (3, 1))),
    (
        lambda: losses.HingeLoss()(np.ones(2), [0, 1]),
        ValueError,
        "targets of a margin loss must be 1 or -1, got 0.0. Classes 0 and 1 become 2 t - 1.",
    ),
    (
        lambda: losses.MultiMarginLoss()(np.ones((2, 3)), np.ones((2, 3))),
        ValueError,
        "the multi-class margin loss needs scores of shape (N, C) and labels of shape (N,), got (2, 3) and (2, 3). "
        "One-hot labels become indices by .argmax(1).",
    ),
    (lambda: losses.multi_margin_loss(np.ones((2, 3)), [0, -100]), ValueError, "labels must be in [0, 3), got -100."),
    (lambda: losses.MultiMarginLoss(p=3), ValueError, "p of the multi-class margin loss must be 1 or 2, got 3."),
    (lambda: losses.multi_margin_loss(SCORES, LABELS, 0), ValueError, "p of the multi-class margin loss must be 1 or 2, got 0."),
    (lambda: losses.CosineEmbeddingLoss(1.5), ValueError, "margin of the cosine loss must be in [-1, 1], got 1.5."),
    (lambda: losses.cosine_embedding_loss(A, B, np.ones(4), -2), ValueError, "margin of the cosine loss must be in [-1, 1], got -2."),
    (
        lambda: losses.cosine_embedding_loss(A, B, np.ones((4, 1))),
        ValueError,
        "the cosine loss needs vectors (..., D) and one target for each, got (4, 5) and (4, 1).",
    ),
    (
        lambda: losses.cosine_embedding_loss(1.0, 2.0, 1),
        ValueError,
        "the cosine loss needs vectors (..., D) and one target for each, got () and ().",
    ),
    (lambda: losses.cosine_embedding_loss(A, B[0], np.ones(4)), ValueError, SHAPES.format((4, 5), (5,))),
    (
        lambda: losses.cosine_embedding_loss(A, B, [1, -1, 0.5, 1]),
        ValueError,
        "targets of a margin loss must be 1 or -1, got 0.5. Classes 0 and 1 become 2 t - 1.",
    ),
    (lambda: losses.TripletMarginLoss(margin=0), ValueError, "margin of the triplet loss must be positive, got 0."),
    (lambda: losses.triplet_margin_loss(A, B, C, np.nan), ValueError, "margin of the triplet loss must be positive, got nan."),
    (lambda: losses.TripletMarginLoss(p=0.5), ValueError, "p of the triplet loss must be at least 1, for a norm, got 0.5."),
    (lambda: losses.triplet_margin_loss(A, B, C[:2]), ValueError, SHAPES.format((4, 5), (2, 5))),
    (lambda: losses.triplet_margin_loss(A, B[:, :4], C), ValueError, SHAPES.format((4, 5), (4, 4))),
    (
        lambda: losses.triplet_margin_loss(1.0, 2.0, 3.0),
        ValueError,
        "the triplet loss needs vectors (..., D), got numbers, of shape (). Reshape them to (1,).",
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_text_of_the_error(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value) == text


@pytest.mark.parametrize("loss", ["HingeLoss", "MultiMarginLoss", "CosineEmbeddingLoss", "TripletMarginLoss"])
def test_an_unknown_reduction_is_refused_when_the_loss_is_made(loss):
    with pytest.raises(ValueError, match=r"reduction must be one of \('mean', 'sum', 'none'\), got 'average'\."):
        getattr(losses, loss)(reduction="average")


def test_every_error_has_an_entry():
    assert not unreached(losses.margin, MESSAGES)

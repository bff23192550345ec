"""Losses beside PyTorch's: every option, all gradients, second derivatives."""

import math
import warnings

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, gradients, losses

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(21)
ROWS, IMAGES = RNG.normal(size=(7, 5)) * 3, RNG.normal(size=(2, 5, 3, 2))
LABELS, PIXELS = RNG.integers(0, 5, 7), RNG.integers(0, 5, (2, 3, 2))
IGNORED, IGNORED_PIXELS = np.where(np.arange(7) % 3, LABELS, -100), np.where(PIXELS == 1, -100, PIXELS)
WEIGHT = RNG.uniform(0, 2, 5)
X, T, SHARES = RNG.normal(size=(4, 3)) * 2, RNG.normal(size=(4, 3)), RNG.uniform(size=(4, 3))
LOG_P, Q = np.log(RNG.dirichlet(np.ones(3), 4)), RNG.dirichlet(np.ones(3), 4)
A, B, C = RNG.normal(size=(3, 6, 4))
SIGNS = RNG.choice([-1, 1], 6)
ZEROS = np.zeros((2, 3))
ZEROS_AND_ONES = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 0.0, 1.0, 1.0])

# our class, PyTorch's, settings, what is differentiated, the rest
CASES = []
for scores, labels in ((ROWS, LABELS), (ROWS, IGNORED), (IMAGES, PIXELS), (IMAGES, IGNORED_PIXELS), (ROWS[:0], LABELS[:0])):
    for settings in ({}, {"weight": WEIGHT}, {"ignore_index": 2}, {"weight": WEIGHT, "ignore_index": -100}):
        if settings.get("ignore_index") != 2 or (labels >= 0).all():
            CASES.append(("NLLLoss", "NLLLoss", settings, (scores,), (labels,)))
            for smoothing in ({}, {"label_smoothing": 0.1}, {"label_smoothing": 1.0}):
                CASES.append(("CrossEntropyLoss", "CrossEntropyLoss", settings | smoothing, (scores,), (labels,)))
CASES += [
    ("CrossEntropyLoss", "CrossEntropyLoss", {}, (ROWS * 1e4,), (LABELS,)),
    ("CrossEntropyLoss", "CrossEntropyLoss", {"label_smoothing": 0.1}, (ROWS * 1e4,), (LABELS,)),
    ("BCELoss", "BCELoss", {"weight": SHARES}, (SHARES[::-1].copy(), SHARES), ()),
    ("BCELoss", "BCELoss", {"weight": np.array([0.0, 1, 3])}, (SHARES[::-1].copy(),), (SHARES,)),
    ("BCELoss", "BCELoss", {"weight": np.array([0.0, 1, 2, 3])}, ZEROS_AND_ONES[:1], ZEROS_AND_ONES[1:]),
]
for weight in (None, SHARES, np.array([0.0, 1, 3])):
    for pos_weight in (None, np.array(2.0), np.array([0.0, 1, 3]), SHARES):
        settings = {"weight": weight, "pos_weight": pos_weight}
        CASES.append(("BCEWithLogitsLoss", "BCEWithLogitsLoss", settings, (X, SHARES), ()))
        CASES.append(("BCEWithLogitsLoss", "BCEWithLogitsLoss", settings, (X * 1e4,), (np.round(SHARES),)))
CASES += [
    *(("SmoothL1Loss", "SmoothL1Loss", {"beta": beta}, (X, T), ()) for beta in (0.0, 0.2, 1.0, 3.0)),
    *(("KLDivLoss", "KLDivLoss", {"log_target": log}, (LOG_P, np.log(Q) if log else Q), ()) for log in (False, True)),
    *(("CosineEmbeddingLoss", "CosineEmbeddingLoss", {"margin": m}, (A, B), (SIGNS,)) for m in (0.0, -0.4, 0.2)),
    ("CosineEmbeddingLoss", "CosineEmbeddingLoss", {}, (ZEROS, ZEROS + 1), (np.array([1, -1]),)),
    ("CosineEmbeddingLoss", "CosineEmbeddingLoss", {}, (A[0], B[0]), (np.array(1),)),
    *(("TripletMarginLoss", "TripletMarginLoss", {"p": p, "swap": s}, (A, B, C), ()) for p in (1, 2, 3.5, math.inf) for s in (False, True)),
    ("TripletMarginLoss", "TripletMarginLoss", {"margin": 3.0, "eps": 0.1, "swap": True}, (A, B, C), ()),
    ("TripletMarginLoss", "TripletMarginLoss", {"eps": 0.0}, (A, A, C), ()),
    ("TripletMarginLoss", "TripletMarginLoss", {}, (A[0], B[0], C[0]), ()),
    *(("MultiMarginLoss", "MultiMarginLoss", {"p": p, "margin": m}, (ROWS,), (LABELS,)) for p in (1, 2) for m in (1.0, 0.3)),
]
REDUCTIONS = ["mean", "sum", "none"]


def both(ours, theirs, settings, trained, rest, reduction, g=None):
    """(loss, gradients, second derivatives of their squares) of our loss and of PyTorch's."""
    with default_dtype(np.float64):
        a = [Tensor(x, requires_grad=True) for x in trained]
        loss = getattr(losses, ours)(**settings, reduction=reduction)(*a, *rest)
        slopes = gradients(loss, a, np.ones(loss.shape) if g is None else g, create_graph=True)
        if theirs == "MultiMarginLoss":  # PyTorch has no second derivative of it
            slopes = [slope.detach() for slope in slopes]
        square = sum((slope * slope).sum() for slope in slopes)
        curvatures = gradients(square, a) if square.requires_grad else [np.zeros(x.shape) for x in trained]
    settings = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()}
    b = [torch.tensor(x, requires_grad=True) for x in trained]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the mean of a divergence
        expected = getattr(torch.nn, theirs)(**settings, reduction=reduction)(*b, *map(torch.tensor, rest))
    wanted = torch.autograd.grad(
        expected, b, torch.ones_like(expected) if g is None else torch.tensor(g), create_graph=theirs != "MultiMarginLoss"
    )
    square = sum((slope * slope).sum() for slope in wanted)
    curved = torch.autograd.grad(square, b, allow_unused=True) if square.requires_grad else [None] * len(b)
    curved = [torch.zeros_like(x) if c is None else c for x, c in zip(b, curved, strict=True)]
    return [
        (found.data if isinstance(found, Tensor) else found, value.numpy(force=True))
        for found, value in zip([loss, *slopes, *curvatures], [expected, *wanted, *curved], strict=True)
    ]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("ours", "theirs", "settings", "trained", "rest"), CASES)
def test_value_gradients_and_second_derivatives(ours, theirs, settings, trained, rest, reduction):
    g = None
    if reduction == "none":
        with default_dtype(np.float64):
            g = RNG.normal(size=getattr(losses, ours)(**settings, reduction=reduction)(*trained, *rest).shape)
    # PyTorch writes bounds of 1e-12 in single precision. There, and at a distance of 0, second derivatives are noise or NaN.
    limit = any(x is ZEROS or x is ZEROS_AND_ONES[0] for x in trained) or (len(trained) == 3 and trained[0] is trained[1])
    results = both(ours, theirs, settings, trained, rest, reduction, g)
    for found, wanted in results[: 1 + len(trained)] if limit else results:
        np.testing.assert_allclose(found, wanted, rtol=1e-8 if limit else 1e-9, atol=1e-11)


def test_the_batch_mean_of_the_divergence():
    for found, wanted in both("KLDivLoss", "KLDivLoss", {}, (LOG_P, Q), (), "batchmean"):
        np.testing.assert_allclose(found, wanted, rtol=1e-10)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_all_labels_ignored(smoothing, weight):
    nothing = np.full(7, -100)
    settings = {"label_smoothing": smoothing, "weight": weight}
    for found, wanted in both("CrossEntropyLoss", "CrossEntropyLoss", settings, (ROWS,), (nothing,), "mean")[:2]:
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("target", [1, -1])
def test_the_hinge_where_it_coincides_with_pytorchs(target):
    """HingeEmbeddingLoss of the label -1 is that of the target 1; that of 1, of the scores reversed."""
    a, b = Tensor(X, requires_grad=True, dtype=np.float64), torch.tensor(X, requires_grad=True)
    loss = losses.hinge_loss(a, np.full(X.shape, target), margin=0.7)
    expected = torch.nn.HingeEmbeddingLoss(margin=0.7)(b * target, -torch.ones(X.shape))
    loss.backward()
    expected.backward()
    np.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-12)
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-12)


def test_gradient_of_weights_for_positives():
    with default_dtype(np.float64):
        a = Tensor([2.0, 0.5, 1.0], requires_grad=True)
        losses.binary_cross_entropy_with_logits(X, SHARES, pos_weight=a).backward()
    b = torch.tensor(a.data, requires_grad=True)
    (-b * torch.tensor(SHARES) * torch.nn.functional.logsigmoid(torch.tensor(X))).mean().backward()
    np.testing.assert_allclose(a.grad, b.grad, rtol=1e-10)

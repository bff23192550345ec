"""Every loss with its options, compiled: values, gradients and second derivatives, and the checks of labels."""

import math

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import losses, tensor

from .checks import check_graph, check_native, native

RNG = np.random.default_rng(21)
ROWS, IMAGES = RNG.normal(size=(7, 5)) * 3, RNG.normal(size=(2, 5, 3, 2))
LABELS, PIXELS = RNG.integers(0, 5, 7), RNG.integers(0, 5, (2, 3, 2))
IGNORED, IGNORED_PIXELS = np.where(np.arange(7) % 3, LABELS, -100), np.where(PIXELS == 1, -100, PIXELS)
WEIGHT = RNG.uniform(0, 2, 5)
X, T, SHARES = RNG.normal(size=(4, 3)) * 2, RNG.normal(size=(4, 3)), RNG.uniform(0.05, 0.95, size=(4, 3))
LOG_P, Q = np.log(RNG.dirichlet(np.ones(3), 4)), RNG.dirichlet(np.ones(3), 4)
A, B, C = RNG.normal(size=(3, 6, 4))
SIGNS = RNG.choice([-1, 1], 6)

# class, settings, what is differentiated, the rest
CASES = []
for scores, labels in ((ROWS, LABELS), (ROWS, IGNORED), (IMAGES, PIXELS), (IMAGES, IGNORED_PIXELS)):
    for settings in ({}, {"weight": WEIGHT}, {"ignore_index": 2}, {"weight": WEIGHT, "ignore_index": -100}):
        if settings.get("ignore_index") != 2 or (labels >= 0).all():
            CASES.append(("NLLLoss", settings, (scores,), (labels,)))
            for smoothing in ({}, {"label_smoothing": 0.1}):
                CASES.append(("CrossEntropyLoss", settings | smoothing, (scores,), (labels,)))
CASES += [("CrossEntropyLoss", {}, (ROWS * 1e3,), (LABELS,)), ("CrossEntropyLoss", {}, (ROWS,), (np.full(7, -100),))]
CASES += [("BCELoss", {"weight": weight}, (SHARES[::-1].copy(), SHARES), ()) for weight in (None, SHARES, np.array([0.0, 1, 3]))]
for weight in (None, SHARES):
    for pos_weight in (None, np.array(2.0), np.array([0.0, 1, 3])):
        CASES.append(("BCEWithLogitsLoss", {"weight": weight, "pos_weight": pos_weight}, (X, SHARES), ()))
CASES += [
    *(("MSELoss", {}, (X, T), ()), ("L1Loss", {}, (X, T), ())),
    *(("HuberLoss", {"delta": delta}, (X, T), ()) for delta in (0.5, 2.0)),
    *(("SmoothL1Loss", {"beta": beta}, (X, T), ()) for beta in (0.0, 0.2, 1.0)),
    *(("KLDivLoss", {"log_target": log}, (LOG_P, np.log(Q) if log else Q), ()) for log in (False, True)),
    *(("HingeLoss", {"margin": margin}, (X,), (np.sign(T),)) for margin in (1.0, 0.7)),
    *(("CosineEmbeddingLoss", {"margin": margin}, (A, B), (SIGNS,)) for margin in (0.0, 0.2)),
    *(("TripletMarginLoss", {"p": p, "swap": swap}, (A, B, C), ()) for p in (1, 2, 3.5, math.inf) for swap in (False, True)),
    *(("MultiMarginLoss", {"p": p, "margin": margin}, (ROWS,), (LABELS,)) for p in (1, 2) for margin in (1.0, 0.3)),
]


def program(name, settings, count, reduction, second=True):
    """The loss, its gradients, and those of the sum of their squares."""
    loss_fn = getattr(losses, name)(**settings, reduction=reduction)

    def run(*arrays):
        given = [tensor._wrap(x) for x in arrays]
        for x in given[:count]:
            x.requires_grad = True
        loss = loss_fn(*given[:count], *arrays[count:])
        slopes = tensor.gradients((loss * loss).sum(), given[:count], create_graph=True)
        square = sum((slope * slope).sum() for slope in slopes)
        return [loss, slopes, tensor.gradients(square, given[:count]) if second and square.requires_grad else []]

    return run


def cast(arrays, dtype):
    return [x.astype(dtype) if x.dtype.kind == "f" else x for x in arrays]


def test_every_loss_is_among_the_cases():
    kinds = {name for name, x in vars(losses).items() if isinstance(x, type) and issubclass(x, losses.Loss)} - {"Loss"}
    assert kinds == {name for name, *_ in CASES}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", sorted({name for name, *_ in CASES}))
def test_the_graph_of_a_loss(name, reduction):
    """With all settings, in one graph."""
    with mg.default_dtype(np.float64), np.errstate(all="ignore"):
        several = [case for case in CASES if case[0] == name]
        programs = [program(name, settings, len(trained), reduction) for _, settings, trained, _ in several]
        given = [[*trained, *rest] for _, _, trained, rest in several]
        check_graph(lambda *args: [run(*arrays) for run, arrays in zip(programs, args, strict=True)], given, name)


@native
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("part", range(2))
def test_losses_in_native_code(part, dtype):
    """Half of the cases in one step; reductions in turn."""
    with mg.default_dtype(dtype), np.errstate(all="ignore"):
        programs, given = [], []
        for i, (name, settings, trained, rest) in enumerate(CASES[part :: 2 if dtype is np.float64 else 4]):
            programs.append(program(name, settings, len(trained), ["mean", "sum", "none"][i % 3], second=i % 2 == 0))
            given.append(cast([*trained, *rest], dtype))
        check_native(
            lambda *args: [run(*arrays) for run, arrays in zip(programs, args, strict=True)], given, 1e-9 if dtype is np.float64 else 2e-4
        )


@native
@pytest.mark.parametrize(
    ("loss", "scores", "right", "wrong"),
    [
        (losses.CrossEntropyLoss(), ROWS, LABELS, np.full(7, 5)),
        (losses.CrossEntropyLoss(), ROWS, LABELS, np.full(7, -1)),
        (losses.NLLLoss(), ROWS, LABELS, np.full(7, 5)),
        (losses.MultiMarginLoss(), ROWS, LABELS, np.full(7, 5)),
        (losses.BCELoss(), SHARES, SHARES, SHARES + 1),
        (losses.HingeLoss(), X, np.sign(T), T),
    ],
)
def test_labels_that_do_not_fit_are_told_by_the_compiled_loss_as_by_the_eager_one(loss, scores, right, wrong):
    scores, right, wrong = cast([scores, right, wrong], np.float32)
    compiled = mg.compile(lambda scores, labels: loss(scores, labels), strict=True)
    for _ in range(5):
        compiled(scores, right)
    with pytest.raises(ValueError, match=r".") as eager:
        loss(scores, wrong)
    with pytest.raises(ValueError, match=r".") as found:
        compiled(scores, wrong)
    assert str(found.value) == str(eager.value)
    assert compiled(scores, right).item() == pytest.approx(loss(scores, right).item(), rel=1e-5)

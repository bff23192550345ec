"""Layers, losses, optimizers and schedules beside PyTorch's."""

import warnings

import numpy as np
import pytest

from micrograd_plus import layers, losses, optimizers
from micrograd_plus.tensor import Tensor

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(9)
X = RNG.normal(size=(6, 4)).astype(np.float32)
IMAGES = RNG.normal(size=(3, 4, 2, 5)).astype(np.float32)
SEQUENCES = RNG.normal(size=(2, 3, 4)).astype(np.float32)


def close(found, expected, rtol=2e-5, atol=2e-6):
    np.testing.assert_allclose(found, expected.detach().numpy() if isinstance(expected, torch.Tensor) else expected, rtol, atol)


# -- layers --------------------------------------------------------------------------------------------------------------

# name: ours, PyTorch's, the input
LAYERS = {
    "Linear": (lambda: layers.Linear(4, 3), lambda: torch.nn.Linear(4, 3), X),
    "Linear of sequences": (lambda: layers.Linear(4, 3), lambda: torch.nn.Linear(4, 3), SEQUENCES),
    "Linear without bias": (lambda: layers.Linear(4, 3, bias=False), lambda: torch.nn.Linear(4, 3, bias=False), X),
    "ReLU": (layers.ReLU, torch.nn.ReLU, X),
    "LeakyReLU": (layers.LeakyReLU, torch.nn.LeakyReLU, X),
    "LeakyReLU(0.3)": (lambda: layers.LeakyReLU(0.3), lambda: torch.nn.LeakyReLU(0.3), X),
    "ELU": (layers.ELU, torch.nn.ELU, X),
    "ELU(0.3)": (lambda: layers.ELU(0.3), lambda: torch.nn.ELU(0.3), X),
    "GELU": (layers.GELU, torch.nn.GELU, X),
    "GELU by tanh": (lambda: layers.GELU("tanh"), lambda: torch.nn.GELU("tanh"), X),
    "SiLU": (layers.SiLU, torch.nn.SiLU, X),
    "Sigmoid": (layers.Sigmoid, torch.nn.Sigmoid, X),
    "Tanh": (layers.Tanh, torch.nn.Tanh, X),
    "Softplus": (layers.Softplus, torch.nn.Softplus, X),
    "Softmax": (layers.Softmax, lambda: torch.nn.Softmax(-1), X),
    "Softmax(0)": (lambda: layers.Softmax(0), lambda: torch.nn.Softmax(0), SEQUENCES),
    "LogSoftmax": (layers.LogSoftmax, lambda: torch.nn.LogSoftmax(-1), X),
    "LogSoftmax(1)": (lambda: layers.LogSoftmax(1), lambda: torch.nn.LogSoftmax(1), SEQUENCES),
    "BatchNorm1d": (lambda: layers.BatchNorm1d(4), lambda: torch.nn.BatchNorm1d(4), X),
    "BatchNorm2d": (lambda: layers.BatchNorm2d(4), lambda: torch.nn.BatchNorm2d(4), IMAGES),
    "BatchNorm, other settings": (lambda: layers.BatchNorm(4, 0.1, 0.7), lambda: torch.nn.BatchNorm2d(4, 0.1, 0.7), IMAGES),
    "LayerNorm": (lambda: layers.LayerNorm(4), lambda: torch.nn.LayerNorm(4), SEQUENCES),
    "LayerNorm of two axes": (lambda: layers.LayerNorm((3, 4), 0.1), lambda: torch.nn.LayerNorm((3, 4), 0.1), SEQUENCES),
    "Embedding": (lambda: layers.Embedding(6, 3), lambda: torch.nn.Embedding(6, 3), np.array([[1, 5, 1], [0, 1, 2]])),
    "Flatten": (layers.Flatten, torch.nn.Flatten, IMAGES),
    "Flatten(2)": (lambda: layers.Flatten(2), lambda: torch.nn.Flatten(2), IMAGES),
    "Dropout(0)": (lambda: layers.Dropout(0.0), lambda: torch.nn.Dropout(0.0), X),
}


def twins(name):
    """Our layer and PyTorch's, with the same random weights, and the input."""
    make, make_theirs, x = LAYERS[name]
    ours, theirs = make(), make_theirs()
    for parameter in ours.parameters():
        parameter.data[...] = RNG.normal(size=parameter.shape)
    transposed = isinstance(ours, layers.Linear)
    with torch.no_grad():
        for key, parameter in ours.named_parameters():
            values = torch.tensor(parameter.data)
            getattr(theirs, key).copy_(values.T if transposed and values.ndim == 2 else values)
    return ours, theirs, x


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name, training):
    ours, theirs, x = twins(name)
    for _ in range(2):  # so that evaluation has running statistics to use
        ours.train()(x)
        theirs.train()(torch.tensor(x))
    ours.train(training)
    theirs.train(training)
    floating = x.dtype.kind == "f"
    a, b = Tensor(x, requires_grad=floating), torch.tensor(x, requires_grad=floating)
    y, z = ours(a), theirs(b)
    close(y.data, z)
    if not y.requires_grad:
        return
    g = RNG.normal(size=y.shape).astype(np.float32)
    y.backward(g)
    z.backward(torch.tensor(g))
    if floating:
        close(a.grad, b.grad)
    for key, parameter in ours.named_parameters():
        grad = getattr(theirs, key).grad
        close(parameter.grad, grad.T if isinstance(ours, layers.Linear) and grad.ndim == 2 else grad)
    for key, array in ours.named_buffers():
        close(array, getattr(theirs, key))


def test_dropout_in_evaluation_and_its_mean_in_training():
    x = np.ones(20_000, np.float32)
    ours, theirs = layers.Dropout(0.3, generator=np.random.default_rng(0)), torch.nn.Dropout(0.3)
    close(np.unique(ours(x).data), theirs(torch.tensor(x)).unique())
    close(ours.eval()(x).data, theirs.eval()(torch.tensor(x)))


# -- losses --------------------------------------------------------------------------------------------------------------

P = RNG.normal(size=(6, 4)).astype(np.float32) * 2
TARGETS = RNG.normal(size=(6, 4)).astype(np.float32)
SHARES = RNG.uniform(size=(6, 4)).astype(np.float32)
LABELS = RNG.integers(0, 4, 6)

LOSSES = {
    "MSELoss": ({}, torch.nn.MSELoss, P, TARGETS),
    "L1Loss": ({}, torch.nn.L1Loss, P, TARGETS),
    "HuberLoss": ({}, torch.nn.HuberLoss, P, TARGETS),
    "HuberLoss, delta 0.4": ({"delta": 0.4}, torch.nn.HuberLoss, P, TARGETS),
    "CrossEntropyLoss": ({}, torch.nn.CrossEntropyLoss, P, LABELS),
    "CrossEntropyLoss of large logits": ({}, torch.nn.CrossEntropyLoss, P * 5000, LABELS),
    "NLLLoss": ({}, torch.nn.NLLLoss, P, LABELS),
    "BCELoss": ({}, torch.nn.BCELoss, SHARES, (TARGETS > 0).astype(np.float32)),
    "BCELoss of shares": ({}, torch.nn.BCELoss, SHARES, SHARES[::-1].copy()),
    "BCELoss at 0 and 1": ({}, torch.nn.BCELoss, np.float32([0, 1, 0, 1]), np.float32([0, 0, 1, 1])),
    "BCEWithLogitsLoss": ({}, torch.nn.BCEWithLogitsLoss, P, SHARES),
    "BCEWithLogitsLoss of large logits": ({}, torch.nn.BCEWithLogitsLoss, P * 5000, SHARES),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_loss(name, reduction):
    settings, theirs, predictions, targets = LOSSES[name]
    p, q = Tensor(predictions, requires_grad=True), torch.tensor(predictions, requires_grad=True)
    loss = getattr(losses, name.split(" ")[0].rstrip(","))(reduction=reduction, **settings)(p, targets)
    expected = theirs(reduction=reduction, **settings)(q, torch.tensor(targets))
    close(loss.data, expected)
    g = RNG.normal(size=loss.shape).astype(np.float32)
    loss.backward(g)
    expected.backward(torch.tensor(g))
    close(p.grad, q.grad)


# -- optimizers ----------------------------------------------------------------------------------------------------------

STEPS = 200
OPTIMIZERS = [
    ("SGD", {}),
    ("SGD", {"weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("SGD", {"momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {}),
    ("Adam", {"betas": (0.7, 0.9)}),
    ("Adam", {"eps": 0.01}),
    ("Adam", {"weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.3}),
    ("AdamW", {"betas": (0.7, 0.9), "eps": 0.01, "weight_decay": 0.0}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.8}),
    ("RMSprop", {"eps": 0.01}),
    ("RMSprop", {"weight_decay": 0.1}),
    ("RMSprop", {"momentum": 0.9}),
    ("RMSprop", {"momentum": 0.5, "alpha": 0.8, "weight_decay": 0.1}),
]
START = RNG.normal(size=(2, 5, 7)).astype(np.float32)
GRADIENTS = RNG.normal(size=(STEPS, 2, 5, 7)).astype(np.float32)


def stepped(ours, theirs, p, q):
    for grads in GRADIENTS:
        for parameter, twin, g in zip(p, q, grads, strict=True):
            parameter.grad = g
            twin.grad = torch.tensor(g)
        ours.step()
        theirs.step()


def parameters():
    return [Tensor(a, requires_grad=True) for a in START], [torch.tensor(a, requires_grad=True) for a in START]


@pytest.mark.parametrize(("name", "settings"), OPTIMIZERS)
@pytest.mark.parametrize("lr", [0.01, 0.05])
def test_200_steps_of_an_optimizer(name, settings, lr):
    p, q = parameters()
    stepped(getattr(optimizers, name)(p, lr=lr, **settings), getattr(torch.optim, name)(q, lr=lr, **settings), p, q)
    for parameter, twin in zip(p, q, strict=True):
        close(parameter.data, twin, rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_200_steps_with_groups_a_schedule_and_clipping(name):
    p, q = parameters()
    ours = getattr(optimizers, name)([{"params": p[:1], "lr": 0.02}, {"params": p[1:], "weight_decay": 0.2}], lr=0.05)
    theirs = getattr(torch.optim, name)([{"params": q[:1], "lr": 0.02}, {"params": q[1:], "weight_decay": 0.2}], lr=0.05)
    schedule, twin_schedule = optimizers.StepLR(ours, 30, 0.7), torch.optim.lr_scheduler.StepLR(theirs, 30, 0.7)
    for i, grads in enumerate(GRADIENTS):
        for parameter, twin, g in zip(p, q, grads, strict=True):
            parameter.grad = g
            twin.grad = torch.tensor(g)
        if i % 2:
            norm, expected = optimizers.clip_grad_norm(p, 3.0), torch.nn.utils.clip_grad_norm_(q, 3.0)
            assert norm == pytest.approx(expected.item(), rel=1e-5)
        else:
            optimizers.clip_grad_value(p, 0.5)
            torch.nn.utils.clip_grad_value_(q, 0.5)
        ours.step()
        theirs.step()
        schedule.step()
        twin_schedule.step()
    for parameter, twin in zip(p, q, strict=True):
        close(parameter.data, twin, rtol=2e-5, atol=5e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop"])
def test_a_parameter_whose_gradient_comes_and_goes(name):
    p, q = parameters()
    ours, theirs = getattr(optimizers, name)(p, lr=0.05), getattr(torch.optim, name)(q, lr=0.05)
    for i, grads in enumerate(GRADIENTS[:60]):
        ours.zero_grad()
        theirs.zero_grad()
        for k in range(2):
            if (i + k) % 3:
                p[k].grad, q[k].grad = grads[k], torch.tensor(grads[k])
        ours.step()
        theirs.step()
    for parameter, twin in zip(p, q, strict=True):
        close(parameter.data, twin, atol=5e-6)


SCHEDULES = {
    "StepLR": ((7, 0.3), 40),
    "ExponentialLR": ((0.9,), 40),
    "CosineAnnealingLR": ((40, 0.01), 40),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name):
    arguments, steps = SCHEDULES[name]
    p, q = parameters()
    ours, theirs = optimizers.SGD(p, lr=0.8), torch.optim.SGD(q, lr=0.8)
    schedule = getattr(optimizers, name)(ours, *arguments)
    twin = getattr(torch.optim.lr_scheduler, name)(theirs, *arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # PyTorch wants optimizer.step() to come first
        for _ in range(steps):
            assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-9, abs=1e-12)
            schedule.step()
            twin.step()


def test_linear_warmup():
    p, q = parameters()
    ours, theirs = optimizers.SGD(p, lr=0.8), torch.optim.SGD(q, lr=0.8)
    schedule = optimizers.LinearWarmup(ours, 8)
    twin = torch.optim.lr_scheduler.LambdaLR(theirs, lambda t: min((t + 1) / 8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for _ in range(20):
            assert ours.lr == pytest.approx(theirs.param_groups[0]["lr"])
            schedule.step()
            twin.step()

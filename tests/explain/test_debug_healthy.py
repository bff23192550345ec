"""Healthy programs run in debug mode without a complaint, and give what they give without it."""

import contextlib
import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, debug

EXAMPLES = Path(__file__).parents[2] / "examples"

# script: the arguments of a run of a second or less, and the shared data that it reads
RUNS = {
    "char_gpt": (["--steps", "1", "--width", "16", "--layers", "1", "--characters", "2"], "tinyshakespeare.txt"),
    "heat_equation": (["--steps", "10"], None),
    "lenet": (["--epochs", "1", "--limit", "200"], ""),
    "names_lstm": (["--steps", "3", "--width", "8"], "names.txt"),
    "newton": (["--steps", "3", "--descent-steps", "3"], None),
    "residual_cnn": (["--epochs", "1", "--width", "4", "--blocks", "1"], None),
    "vae": (["--epochs", "1"], None),
}


def test_all_examples_are_run_here():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(RUNS)


@pytest.mark.parametrize("name", RUNS)
def test_an_example_gives_the_same(name, monkeypatch, request):
    arguments, data = RUNS[name]
    if data is not None:
        folder = request.getfixturevalue("shared_data")
        arguments = [*arguments, *(["--data", str(folder / data)] if data else ["--data-dir", str(folder)])]
    monkeypatch.setattr("sys.argv", [f"{name}.py", *arguments])
    results = []
    for on in (False, True):
        spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
        example = importlib.util.module_from_spec(spec)
        with debug(on), contextlib.redirect_stdout(io.StringIO()):
            spec.loader.exec_module(example)
            results.append(example.main())
    assert results[0] == results[1]


def parameters_of(*models):
    return [p.data.copy() for model in models for p in model.parameters()]


def adversaries():
    """Each network's loss is computed anew after the other's step."""
    g, d = mg.Linear(2, 2), mg.Sequential(mg.Linear(2, 4), mg.ReLU(), mg.Linear(4, 1))
    g_optimizer, d_optimizer, loss_fn = mg.Adam(g.parameters()), mg.Adam(d.parameters()), mg.BCEWithLogitsLoss()
    for _ in range(3):
        real, fake = mg.randn(8, 2), g(mg.randn(8, 2))
        d_optimizer.zero_grad()
        (loss_fn(d(real), np.ones((8, 1))) + loss_fn(d(fake.detach()), np.zeros((8, 1)))).backward()
        d_optimizer.step()
        g_optimizer.zero_grad()
        loss_fn(d(fake), np.ones((8, 1))).backward()
        g_optimizer.step()
    return parameters_of(g, d)


def accumulated():
    model = mg.Sequential(mg.Linear(3, 4), mg.BatchNorm(4), mg.Dropout(0.3), mg.GELU(), mg.Linear(4, 2))
    optimizer = mg.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = mg.DataLoader(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2, batch_size=5)
    average = mg.ExponentialMovingAverage(model)
    for _ in range(2):
        mg.train_epoch(model, loader, mg.CrossEntropyLoss(), optimizer, accumulate=2)
        average.update()
    mg.evaluate(model, loader, mg.CrossEntropyLoss(), [mg.accuracy])
    return parameters_of(model)


def in_pieces():
    """Truncated backpropagation through time, detached between the pieces; gradients clipped."""
    cell, head = mg.LSTM(2, 4), mg.Linear(4, 1)
    optimizer, state = mg.Adam([*cell.parameters(), *head.parameters()], lr=0.01), None
    for _ in range(3):
        y, state = cell(mg.randn(5, 3, 2)) if state is None else cell(mg.randn(5, 3, 2), state)
        loss = (head(y) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        mg.clip_grad_norm([*cell.parameters(), *head.parameters()], 0.1)
        optimizer.step()
        state = tuple(s.detach() for s in state)
    return parameters_of(cell, head)


def attention():
    """With a causal mask of -inf, checkpointed, of a tied embedding."""
    table = mg.Embedding(7, 8)
    block = mg.TransformerEncoderLayer(8, 2, 16)
    tokens = np.arange(12).reshape(2, 6) % 7
    for _ in range(2):
        h = mg.checkpoint(block, table(tokens))
        mask = np.where(np.tri(6, dtype=bool), 0.0, -np.inf)
        weights = (h @ h.transpose(0, 2, 1) + mask).softmax()
        loss = mg.CrossEntropyLoss()(((weights @ h) @ table.weight.T).reshape(-1, 7), tokens.reshape(-1))
        loss.backward()
        for p in [*table.parameters(), *block.parameters()]:
            p.data -= 0.1 * p.grad
            p.zero_grad()
    return parameters_of(table, block)


def penalty():
    """The norm of a gradient as a loss, and weights that are written after backward()."""
    critic = mg.Sequential(mg.Linear(3, 8), mg.Tanh(), mg.Linear(8, 1))
    optimizer = mg.SGD(critic.parameters(), lr=0.1)
    for _ in range(2):
        x = mg.randn(5, 3, requires_grad=True)
        (slope,) = mg.gradients(critic(x).sum(), [x], create_graph=True)
        ((mg.norm(slope, axis=1) - 1) ** 2).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
        critic[0].weight.data[...] = np.clip(critic[0].weight.data, -0.5, 0.5)
    return parameters_of(critic)


def derivatives():
    x = Tensor([0.5, -1.0, 2.0])
    f = mg.custom_rule(lambda x: (x**3, (lambda g: 3 * g * x**2,)))
    checked = mg.gradient_check(lambda x: (x.sigmoid() * x).sum(), np.array([0.3, -2.0]))
    return [mg.grad(lambda x: f(x).sum())(x).data, mg.hessian(lambda x: f(x).sum())(x).data, np.array(checked.passed)]


def convolutions():
    model = mg.Sequential(mg.Conv2d(1, 2, 3, padding=1), mg.ReLU(), mg.MaxPool2d(2, padding=1), mg.Flatten(), mg.Linear(2 * 25, 2))
    optimizer = mg.RMSprop(model.parameters(), lr=0.01)

    @mg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = mg.CrossEntropyLoss()(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(2):
        step(mg.randn(4, 1, 8, 8), np.array([0, 1, 1, 0]))
    return parameters_of(model)


@pytest.mark.parametrize("program", [adversaries, accumulated, in_pieces, attention, penalty, derivatives])
def test_a_program_gives_the_same(program):
    results = []
    for on in (False, True):
        mg.set_seed(3)
        with debug(on):
            results.append(program())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_program_that_compiles_gives_the_same_but_for_rounding():
    mg.set_seed(3)
    expected = convolutions()
    mg.set_seed(3)
    with debug():
        found = convolutions()
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)

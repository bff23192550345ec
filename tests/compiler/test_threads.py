"""Threads: any number of them gives what one gives, and where there is no barrier the order in which they come does not matter.

The second is tested without luck: the calls between two barriers are run for one thread after the other, in both orders. If a
thread read what another one had still to write, or wrote what another had still to read, one of the orders would show it.
"""

import ctypes
import re

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus.compiler import build, run, schedule
from micrograd_plus.losses import cross_entropy, mse_loss

from .checks import native

pytestmark = native


@pytest.fixture(autouse=True)
def all_parallel(monkeypatch):
    """Every kernel is shared out, however small."""
    monkeypatch.setattr(run, "SMALL", 0)
    monkeypatch.setattr(schedule, "SERIAL", 0)


class Attention(mg.Module):
    def __init__(self):
        self.embedding = mg.Embedding(11, 16)
        self.layer = mg.TransformerEncoderLayer(16, 2, 24, dropout=0.0, batch_first=True, norm_first=True)
        self.head = mg.Linear(16, 11)

    def forward(self, x):
        return self.head(self.layer(self.embedding(x), is_causal=True)).reshape(-1, 11)


class Recurrent(mg.Module):
    def __init__(self):
        self.lstm, self.gru, self.head = mg.LSTM(5, 8, batch_first=True), mg.GRU(8, 6, batch_first=True), mg.Linear(6, 3)

    def forward(self, x):
        return self.head(self.gru(self.lstm(x)[0])[0][:, -1])


def convolutional():
    return mg.Sequential(
        *(mg.Conv2d(2, 6, 3, padding=1, bias=False), mg.BatchNorm2d(6), mg.ReLU(), mg.MaxPool2d(2)),
        *(mg.Conv2d(6, 4, 3, stride=2, groups=2), mg.GroupNorm(2, 4), mg.GELU(), mg.AvgPool2d(2), mg.Flatten(), mg.Linear(4, 3)),
    )


def problem(name):
    """A training step, its arrays, and all that it changes."""
    rng = np.random.default_rng(0)
    mg.set_seed(0)
    x = {
        "mlp": rng.standard_normal((23, 7), np.float32),
        "cnn": rng.standard_normal((5, 2, 11, 11), np.float32),
        "attention": rng.integers(0, 11, (3, 9)),
        "recurrent": rng.standard_normal((7, 4, 5), np.float32),
    }[name]
    model = {
        "mlp": lambda: mg.Sequential(
            mg.Linear(7, 19), mg.LayerNorm(19), mg.Tanh(), mg.Linear(19, 10, bias=False), mg.BatchNorm1d(10), mg.Softplus()
        ),
        "cnn": convolutional,
        "attention": Attention,
        "recurrent": Recurrent,
    }[name]()
    rows = 27 if name == "attention" else len(x)
    y = rng.standard_normal((23, 10), np.float32) if name == "mlp" else rng.integers(0, 3, rows)
    optimizer = mg.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step(x, y):
        optimizer.zero_grad()
        loss = (mse_loss if name == "mlp" else cross_entropy)(model(x), y)
        loss.backward()
        norm = mg.clip_grad_norm(model.parameters(), 0.5)
        optimizer.step()
        return loss, norm

    return model, step, (x, y)


NAMES = ["mlp", "cnn", "attention", "recurrent"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_agree_with_one(name, threads):
    states = []
    for count in (1, threads):
        model, step, arrays = problem(name)
        compiled = mg.compile(step, threads=count, strict=True)
        losses = [compiled(*arrays)[0].item() for _ in range(8)]
        assert compiled.step.threads == count
        states.append((losses, model.state_dict()))
    np.testing.assert_allclose(states[1][0], states[0][0], rtol=1e-4)
    for key, value in states[0][1].items():
        np.testing.assert_allclose(states[1][1][key], value, rtol=5e-3, atol=5e-4, err_msg=key)


def in_order(step, backwards, barriers=True):
    """The step's library, in which the calls between barriers are run for one thread after another."""
    source = step.source
    head, _, rest = source.partition("CALLS run(")
    body = rest.partition("{\n")[2].partition("\n}\n")[0]
    order = "for (int t = THREADS - 1; t >= 0; t--)" if backwards else "for (int t = 0; t < THREADS; t++)"
    segments, calls = [], []
    for line in [line.strip() for line in body.split("\n")]:
        if line.startswith("BARRIER") and barriers:
            segments.append(calls)
            calls = []
        elif re.match(r"k\d+_", line):
            calls.append(line)
    segments.append(calls)
    text = head + "int step(char *const *p, char *m, double *times) {\n    int flag = 0, *failed = &flag;\n"
    for calls in segments:
        text += f"    {order} {{\n        " + "\n        ".join(calls) + "\n    }\n    if (flag) return 1;\n"
    return build.load(build.build(text + "    return 0;\n}\n"))


def left_by(function, step, before, arrays):
    """Copies of all that a library's step leaves, from a state, with its arena filled with NaN."""
    step.restore(before)
    kept, step._step = step._step, function
    step._arena[...] = 255
    try:
        _, failed = step.run(arrays)
    finally:
        step._step = kept
    assert not failed
    data, grads, buffers, _ = step.saved(arrays)
    return [x for x in (*data, *(g for _, g in grads), *buffers) if x is not None]


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_threads_between_barriers_does_not_matter(name):
    _, step, arrays = problem(name)
    compiled = mg.compile(step, threads=3, strict=True)
    for _ in range(5):
        compiled(*arrays)
    native_step = compiled.step
    before = native_step.saved(list(arrays))
    forward, backward = (left_by(in_order(native_step, way), native_step, before, list(arrays)) for way in (False, True))
    together = left_by(native_step._step, native_step, before, list(arrays))
    for a, b, c in zip(forward, backward, together, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)


def test_without_barriers_the_order_would_matter():
    _, step, arrays = problem("mlp")
    compiled = mg.compile(step, threads=3, strict=True)
    for _ in range(5):
        compiled(*arrays)
    before = compiled.step.saved(list(arrays))
    forward, backward = (
        left_by(in_order(compiled.step, way, barriers=False), compiled.step, before, list(arrays)) for way in (False, True)
    )
    assert not all(np.array_equal(a, b) for a, b in zip(forward, backward, strict=True))


def test_small_steps_use_one_thread(monkeypatch):
    monkeypatch.setattr(run, "SMALL", 400_000)
    compiled = mg.compile(lambda x: (x * 2).sum(), threads=2, strict=True)
    compiled(mg.Tensor([1.0, 2.0]))
    assert compiled.step.threads == 1
    assert isinstance(compiled.step._addresses[0], int)
    assert ctypes.sizeof(compiled.step._pointers) > 0

"""Whole training runs: compiled, they end where eager ones do."""

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus.data import load_digits
from micrograd_plus.losses import cross_entropy

from .checks import native

pytestmark = native

STEPS, RUNS = 1000, 10


def digits_run(seed, compiled):
    """Mean loss over the last 100 of 1,000 steps on the UCI digits, with dropout, a schedule and clipping."""
    mg.set_seed(seed)
    digits = load_digits()
    images, labels = digits.train_images.reshape(-1, 64), digits.train_labels
    model = mg.Sequential(mg.Linear(64, 48), mg.BatchNorm1d(48), mg.GELU(), mg.Dropout(0.2), mg.Linear(48, 10))
    optimizer = mg.AdamW(model.parameters(), lr=0.003)
    schedule = mg.CosineAnnealingLR(optimizer, STEPS)

    def step(x, y):
        optimizer.zero_grad()
        loss = cross_entropy(model(x), y)
        loss.backward()
        mg.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        return loss

    step = mg.compile(step, strict=True) if compiled else step
    batches = np.random.default_rng(seed)
    losses = []
    for _ in range(STEPS):
        rows = batches.integers(0, len(images), 32)
        losses.append(step(images[rows], labels[rows]).item())
        schedule.step()
    return np.mean(losses[:100]), np.mean(losses[-100:])


def test_ten_runs_of_a_thousand_steps_end_where_eager_ones_do():
    eager, compiled = (np.array([digits_run(seed, way) for seed in range(RUNS)]) for way in (False, True))
    assert (eager[:, 1] < eager[:, 0] / 3).all()  # they learn
    noise = eager[:, 1].std(ddof=1)
    np.testing.assert_allclose(compiled[:, 0], eager[:, 0], rtol=2e-3)  # at first the same steps, to rounding
    assert abs(compiled[:, 1].mean() - eager[:, 1].mean()) < noise / 2
    assert (np.abs(compiled[:, 1] - eager[:, 1]) < 3 * noise).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_compiled_run_is_the_same_each_time(threads):
    def run():
        mg.set_seed(3)
        model = mg.Sequential(mg.Linear(64, 256), mg.ReLU(), mg.Dropout(0.5), mg.Linear(256, 10))
        optimizer = mg.SGD(model.parameters(), lr=0.1, momentum=0.9)
        digits = load_digits()
        x, y = digits.train_images.reshape(-1, 64)[:512], digits.train_labels[:512]

        @mg.compile(threads=threads, strict=True)
        def step(x, y):
            optimizer.zero_grad()
            loss = cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        for _ in range(30):
            step(x, y)
        return model.state_dict()

    first, second = run(), run()
    for name, value in first.items():
        np.testing.assert_array_equal(second[name], value)

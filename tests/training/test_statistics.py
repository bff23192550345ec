import json
from dataclasses import replace

import numpy as np
import pytest

from micrograd_plus import SGD, BatchNorm, CrossEntropyLoss, Dropout, Linear, ReLU, Sequential, Tanh, Tensor, effects, set_seed
from micrograd_plus.data import DataLoader
from micrograd_plus.training import Callback, Configuration, Trainer, prepare, statistics
from micrograd_plus.training import run as run_module
from micrograd_plus.training.recording import Recording
from micrograd_plus.training.statistics import (
    Statistics,
    choose_samples,
    count_dead,
    find_layers,
    gradient_histogram,
    weight_histogram,
)

QUICK = Configuration(hidden=(32, 16), dropout=0.3, epochs=4, batch_size=64)


@pytest.fixture
def always(monkeypatch):
    """Measure whenever there is something to be measured."""
    monkeypatch.setattr(statistics, "SHARE", 1e9)
    monkeypatch.setattr(statistics, "POINT_SECONDS", 0.0)


class Blind(Callback):
    """In the place of `Statistics`: measures nothing."""

    def __init__(self, *arguments):
        measuring = Statistics(*arguments)
        self.layers, self.images, self.labels, self.probe = measuring.layers, measuring.images, measuring.labels, measuring.probe

    def training_finished(self, epochs):
        pass


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_run_is_the_same_bit_for_bit_with_and_without(compiled, always, monkeypatch):
    if compiled:
        pytest.importorskip("scipy", reason="compile() needs SciPy, of the extra 'compile'")
    configuration = replace(QUICK, compile=compiled)
    recording, seen, unseen = Recording(), prepare(configuration), prepare(configuration)
    history, gain = run_module._fit(seen, [], recording)
    monkeypatch.setattr(run_module, "Statistics", Blind)
    other_history, _ = run_module._fit(unseen, [], Recording())
    assert len(record_of(recording)["snapshots"]) > 20 and (gain is not None) == compiled
    ours, theirs = seen.model.state_dict(), unseen.model.state_dict()
    assert [array.tobytes() for array in ours.values()] == [array.tobytes() for array in theirs.values()]
    assert [replace(m, seconds=0) for m in history] == [replace(m, seconds=0) for m in other_history]


def blobs(count=60):
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return generator.normal(size=(count, 2)).astype(np.float32) + 3 * np.eye(3, 2, dtype=np.float32)[labels], labels


def measuring(model, batch_size=16, lr=0.1):
    X, y = blobs()
    recording, loss_fn, optimizer = Recording(), CrossEntropyLoss(), SGD(model.parameters(), lr=lr)
    training, validation = DataLoader(X, y, batch_size=batch_size), DataLoader(X, y, shuffle=False)
    watching = Statistics(recording, model, loss_fn, optimizer, training, validation)
    return recording, watching, Trainer(model, loss_fn, optimizer, callbacks=[watching]), training, validation


def record_of(recording):
    return json.loads(recording.to_json())


def test_a_snapshot_changes_nothing():
    set_seed(0)
    model = Sequential(Linear(2, 8), BatchNorm(8), ReLU(), Dropout(0.5), Linear(8, 3))
    recording, watching, trainer, training, validation = measuring(model)
    trainer.fit(training, validation, 1)
    model.train()
    model[1].eval()  # modes of one's own stay too

    def state():
        arrays = [*model.state_dict().values(), *(p.grad for p in model.parameters())]
        modes = [module.training for _, module in model.named_modules()]
        generators = repr(effects.default_generator().bit_generator.state), repr(np.random.get_state())
        return [array.tobytes() for array in arrays], modes, generators

    before = state()
    watching.training_finished(1)
    assert state() == before
    assert record_of(recording)["snapshots"][-1]["x"] == 1


def test_a_snapshot_says_what_is_there():
    set_seed(0)
    model = Sequential(Linear(2, 4), ReLU(), Dropout(0.9), Linear(4, 3))
    model[0].weight.data[:, 1] = 0
    model[0].bias.data[:] = [0.5, -1, 5, 0.5]  # the second unit's input is -1 for every example
    recording, watching, *_ = measuring(model)
    watching.training_finished(3)
    [snapshot] = record_of(recording)["snapshots"]
    assert (snapshot["x"], snapshot["step"]) == (3, 12)
    X, y = blobs()
    model.eval()
    logits = model(Tensor(X))
    CrossEntropyLoss()(logits, y).backward()
    for layer, place in zip(snapshot["layers"], (0, 3), strict=True):
        weight, slope = model[place].weight.data, model[place].weight.grad
        largest, deviation, counts = layer["weights"]
        assert largest == pytest.approx(np.abs(weight).max(), rel=1e-4) and deviation == pytest.approx(weight.std(), rel=1e-4)
        assert counts == np.histogram(weight, 40, (-largest * 1.0001, largest * 1.0001))[0].tolist()
        size, tiny, counts = layer["gradients"]
        assert size == pytest.approx(np.sqrt(np.mean(slope**2)), rel=1e-4)
        assert tiny == pytest.approx(np.mean(slope == 0), rel=1e-4)
        assert sum(counts) == np.count_nonzero(slope)
    assert [layer["dead"] for layer in snapshot["layers"]] == [1, None]
    shares = logits.softmax().data[choose_samples(y, 12)]
    np.testing.assert_allclose(np.array(snapshot["samples"]) / 1000, shares, atol=0.0006)


@pytest.mark.parametrize(("batch_size", "epochs", "steps"), [(16, 2, [2, 4, 6, 8]), (20, 3, [2, 4, 6, 9]), (30, 1, [2])])
def test_the_change_of_a_step_is_that_of_the_last_one(batch_size, epochs, steps, always):
    set_seed(0)
    model = Sequential(Linear(2, 3))
    recording, watching, trainer, training, validation = measuring(model, batch_size, lr=0.1)
    weights = [model[0].weight.data.copy()]

    class Copy(Callback):
        def batch_finished(self, metrics):
            weights.append(model[0].weight.data.copy())

    trainer.callbacks = [Copy(), *trainer.callbacks]
    trainer.fit(training, validation, epochs)
    watching.training_finished(epochs)
    snapshots = record_of(recording)["snapshots"]
    assert [snapshot["step"] for snapshot in snapshots] == steps
    for snapshot in snapshots:
        before, after = weights[snapshot["step"] - 1], weights[snapshot["step"]]
        assert snapshot["layers"][0]["ratio"] == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-3)


def test_points_are_means_over_the_batches_since_the_one_before(always):
    set_seed(0)
    model = Sequential(Linear(2, 3))
    recording, _, trainer, training, validation = measuring(model)  # batches of 16, 16, 16 and 12
    losses = []
    step = trainer._step
    trainer._step = lambda *arguments: (lambda result: (losses.append(result[1].item()), result)[1])(step(*arguments))
    trainer.fit(training, validation, 2)
    points = record_of(recording)["points"]
    assert [point[0] for point in points] == [0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
    np.testing.assert_allclose([point[1] for point in points], losses, rtol=1e-3)
    assert {point[3] for point in points} == {0.1}


def test_snapshots_stay_within_their_share_of_the_time(monkeypatch):
    """With a clock that only snapshots and steps move: a step takes 1, a snapshot 2. The thread has a third of its processor."""
    now = [100.0]
    monkeypatch.setattr(statistics.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(statistics.time, "thread_time", lambda: now[0] / 3)
    _, watching, *_ = measuring(Sequential(Linear(2, 3)))
    taken = []

    def take(epoch, batch):
        now[0] += 2
        taken.append(now[0])

    monkeypatch.setattr(watching, "_add_snapshot", take)
    watching.training_started(1000, 4)
    for step in range(4000):
        now[0] += 1
        watching.batch_finished(statistics.BatchMetrics(step // 4 + 1, step % 4 + 1, 1.0, 0.5))
    assert 2 * len(taken) <= 1.05 * statistics.SHARE * (now[0] - 100) + 2
    assert 2 * len(taken) >= 0.95 * statistics.SHARE * (now[0] - 100)


def test_layers_are_those_with_a_weight_and_know_their_activation():
    model = Sequential(Linear(2, 4), Dropout(0.5), Tanh(), Linear(4, 5), Linear(5, 3), ReLU(), BatchNorm(3))
    assert [(layer.index, layer.name, layer.activation) for layer in find_layers(model)] == [
        (0, "2 → 4", 2),
        (3, "4 → 5", None),
        (4, "5 → 3", 5),
    ]
    model[3].weight.requires_grad = False
    assert [layer.index for layer in find_layers(model)] == [0, 4]


def test_of_a_large_layer_every_column_is_picked():
    [layer] = find_layers(Sequential(Linear(800, 200)))
    assert layer.weight.size / statistics.ENTRIES == 40 < layer.step
    columns = layer.picked(np.arange(800 * 200).reshape(800, 200)) % 200
    assert len(np.unique(columns)) == 200


def test_samples_are_of_every_class_in_turn():
    labels = np.array([2, 2, 0, 1, 0, 1, 1, 2])
    assert choose_samples(labels, 5).tolist() == [2, 3, 0, 4, 5]
    assert choose_samples(labels[:2], 5).tolist() == [0, 1]


def test_dead_units_and_channels():
    outputs = np.array([[0.0, 0.0, 1.0], [0.0, 2.0, 1.0]])
    assert count_dead(outputs) == 2
    images = np.zeros((2, 3, 4, 4))
    images[1, 2, 3, 0] = 1
    assert count_dead(images) == 2


def test_histograms_of_extreme_values():
    assert weight_histogram(np.array([np.nan, 1.0])) == [None, None, [0] * 40]
    assert sum(weight_histogram(np.zeros(7))[2]) == 7
    slope = np.array([np.nan, np.inf, 0.0, 1e-30, 1e-12, 1.0, 1e30], np.float32)
    with np.errstate(all="ignore"):
        size, tiny, counts = gradient_histogram(slope, slope)
    assert size is None and tiny == pytest.approx(2 / 7, rel=1e-4)
    assert (counts[0], counts[36], counts[-1], sum(counts)) == (1, 1, 2, 4)

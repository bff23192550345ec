import numpy as np
import pytest

from micrograd_plus import SGD, CrossEntropyLoss, Dropout, Linear, Sequential, Tensor, set_seed
from micrograd_plus.data import DataLoader
from micrograd_plus.training import BatchMetrics, Callback, Trainer


class Record(Callback):
    def __init__(self):
        self.events = []

    def training_started(self, epochs, batches):
        self.events.append(("started", epochs, batches))

    def batch_finished(self, metrics):
        self.events.append(metrics)

    def epoch_finished(self, metrics):
        self.events.append(metrics)


def blobs(count=60):
    generator = np.random.default_rng(0)
    labels = np.arange(count) % 3
    return generator.normal(size=(count, 2)).astype(np.float32) + 3 * np.eye(3, 2, dtype=np.float32)[labels], labels


def fit(model, lr=0.1, epochs=3, callbacks=(), **options):
    X, y = blobs()
    trainer = Trainer(model, CrossEntropyLoss(), SGD(model.parameters(), lr=lr), callbacks=callbacks, **options)
    return trainer.fit(DataLoader(X, y, batch_size=16), DataLoader(X, y, shuffle=False), epochs)


def test_it_is_the_plain_loop():
    set_seed(0)
    model = Sequential(Linear(2, 3))
    fit(model)

    set_seed(0)
    expected = Sequential(Linear(2, 3))
    X, y = blobs()
    loader, loss_fn, optimizer = DataLoader(X, y, batch_size=16), CrossEntropyLoss(), SGD(expected.parameters(), lr=0.1)
    for _ in range(3):
        for X_batch, y_batch in loader:
            optimizer.zero_grad()
            loss_fn(expected(Tensor(X_batch)), y_batch).backward()
            optimizer.step()
    for ours, theirs in zip(model.parameters(), expected.parameters(), strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)


def test_callbacks_are_told_in_order():
    record = Record()
    history = fit(Sequential(Linear(2, 3)), epochs=2, callbacks=[record])
    assert record.events[0] == ("started", 2, 4)
    kinds = [type(event).__name__ for event in record.events[1:]]
    assert kinds == (["BatchMetrics"] * 4 + ["EpochMetrics"]) * 2
    assert [event for event in record.events if type(event).__name__ == "EpochMetrics"] == history
    assert [(event.epoch, event.batch) for event in record.events if isinstance(event, BatchMetrics)][:5] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 1),
    ]


def test_metrics_are_means_over_examples():
    class Batches(Callback):
        last = None

        def batch_finished(self, metrics):
            self.last = metrics

    batches = Batches()
    X, y = blobs()
    model = Sequential(Linear(2, 3))
    (metrics,) = fit(model, lr=1e-12, epochs=1, callbacks=[batches])  # batches of 16, 16, 16 and 12 count by their size
    logits = model(Tensor(X))
    loss = CrossEntropyLoss()(logits, y).item()
    accuracy = float((logits.numpy().argmax(1) == y).mean())
    assert metrics.loss == pytest.approx(loss, rel=1e-5)
    assert metrics.validation_loss == pytest.approx(loss, rel=1e-5)
    assert metrics.accuracy == metrics.validation_accuracy == pytest.approx(accuracy)
    assert (batches.last.loss, batches.last.accuracy) == (metrics.loss, metrics.accuracy)
    assert (metrics.epoch, metrics.lr) == (1, 1e-12)
    assert metrics.seconds > 0


def test_trains_in_training_mode_and_ends_in_eval_mode():
    class Modes(Callback):
        seen = ()

        def batch_finished(self, metrics):
            self.seen = (*self.seen, model.training)

    modes = Modes()
    model = Sequential(Dropout(0.5), Linear(2, 3))
    model.eval()
    fit(model, epochs=2, callbacks=[modes])
    assert modes.seen == (True,) * 8
    assert not model.training


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_a_loss_that_is_not_finite(broken):
    model = Sequential(Linear(2, 3))
    model.layers[0].weight.data[0, 0] = broken
    with pytest.raises(
        FloatingPointError, match=r"must stay finite; it became (nan|inf) in epoch 1, batch 1\. Lower the learning rate, now 0\.1"
    ):
        fit(model)


def test_a_last_step_that_ruins_the_weights_is_noticed():
    class Ruin(Callback):
        def batch_finished(self, metrics):
            if metrics.batch == 4:
                model.layers[0].weight.data[:] = np.nan

    model = Sequential(Linear(2, 3))
    with pytest.raises(FloatingPointError, match="became nan on the validation examples after epoch 1"):
        fit(model, callbacks=[Ruin()])

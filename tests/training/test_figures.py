import numpy as np
import pytest

from micrograd_plus.training import EpochMetrics, Evaluation
from micrograd_plus.training.figures import draw_confusion, draw_curves


def metrics(epoch):
    return EpochMetrics(
        epoch=epoch, loss=1 / epoch, accuracy=0.9, validation_loss=2 / epoch, validation_accuracy=0.8, lr=0.001, seconds=1.0
    )


@pytest.mark.parametrize("epochs", [1, 5])
def test_curves(tmp_path, epochs):
    figure = draw_curves([metrics(epoch) for epoch in range(1, epochs + 1)])
    loss, accuracy = figure.axes
    training, validation = loss.lines
    np.testing.assert_array_equal(training.get_xdata(), range(1, epochs + 1))
    np.testing.assert_allclose(training.get_ydata(), 1 / np.arange(1, epochs + 1))
    np.testing.assert_allclose(validation.get_ydata(), 2 / np.arange(1, epochs + 1))
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), 0.8)
    figure.savefig(tmp_path / "curves.png")


@pytest.mark.parametrize(
    ("wrong", "title"),
    [(0, "0 mistakes in 40 test images"), (1, "1 mistake in 40 test images"), (12, "12 mistakes in"), (20, "the surest 12 of 20 mistakes")],
)
def test_confusion(tmp_path, wrong, title):
    labels = np.arange(40) % 10
    predictions = labels.copy()
    predictions[:wrong] = (labels[:wrong] + 1) % 10
    probabilities = np.full((40, 10), 0.01)
    probabilities[np.arange(40), predictions] = np.linspace(0.5, 0.9, 40)
    evaluation = Evaluation(0.1, labels, probabilities)
    figure = draw_confusion(evaluation, np.random.default_rng(0).random((40, 8, 8), np.float32), tuple("0123456789"))
    assert title in figure.subfigs[1].get_suptitle()
    assert len(figure.subfigs[1].axes) == min(wrong, 12)
    if wrong:
        surest = evaluation.mistakes[0]
        assert (
            figure.subfigs[1].axes[0].get_title()
            == f"true {labels[surest]}, predicted {predictions[surest]}\n{probabilities[surest].max():.1%} sure"
        )
    figure.savefig(tmp_path / "confusion.png")

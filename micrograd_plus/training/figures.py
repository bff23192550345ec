"""The figures of a training run. Imports matplotlib, so import this late."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from .evaluation import Evaluation
from .trainer import EpochMetrics

TRAINING_COLOUR, VALIDATION_COLOUR = "#1f6fb4", "#d95f02"
ROWS, COLUMNS = 3, 4


def draw_curves(history: Sequence[EpochMetrics]) -> Figure:
    """Loss (logarithmic) and accuracy over the epochs, for the training and the validation examples."""
    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    epochs = [metrics.epoch for metrics in history]
    marker = "o" if len(history) == 1 else ""  # a line through one point is invisible
    for axes, training, validation in (
        (loss_axes, [m.loss for m in history], [m.validation_loss for m in history]),
        (accuracy_axes, [m.accuracy for m in history], [m.validation_accuracy for m in history]),
    ):
        axes.plot(epochs, training, color=TRAINING_COLOUR, marker=marker, label="training")
        axes.plot(epochs, validation, color=VALIDATION_COLOUR, marker=marker, label="validation")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    loss_axes.set_yscale("log")
    loss_axes.set_title("cross-entropy loss")
    accuracy_axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    accuracy_axes.set_title("accuracy")
    return figure


def draw_confusion(test: Evaluation, images: NDArray[np.float32], class_names: Sequence[str]) -> Figure:
    """How often each class was taken for which, beside the mistakes that the model was surest of.

    Args:
        test: of M examples.
        images: (M, H, W) in [0, 1], of the same examples.
        class_names: of the C classes.
    """
    figure = Figure(figsize=(13, 6.4), dpi=120, layout="constrained")
    halves = figure.add_gridspec(1, 2, width_ratios=(1.1, 1))
    left, right = figure.add_subfigure(halves[0]), figure.add_subfigure(halves[1])
    left.suptitle(f"test accuracy {test.accuracy:.2%}")
    _draw_matrix(left.subplots(), test.confusion, class_names)
    mistakes, predictions, confidences = test.mistakes, test.predictions, test.confidences
    shown = mistakes[: ROWS * COLUMNS]
    number = f"{len(mistakes):,} mistake{'s' * (len(mistakes) != 1)} in {len(images):,} test images"
    right.suptitle(number if len(shown) == len(mistakes) else f"the surest {len(shown)} of {number}")
    for position, index in enumerate(shown, start=1):
        axes = right.add_subplot(ROWS, COLUMNS, position)
        axes.set_axis_off()
        axes.imshow(images[index], cmap="gray_r", vmin=0, vmax=1)
        true, predicted = class_names[test.labels[index]], class_names[predictions[index]]
        axes.set_title(f"true {true}, predicted {predicted}\n{confidences[index]:.1%} sure", fontsize=9)
    return figure


def _draw_matrix(axes: Axes, counts: NDArray[np.int64], class_names: Sequence[str]) -> None:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    diagonal = np.eye(len(counts), dtype=bool)
    # Two colour maps: beside the diagonal's shares near 1, those of the mistakes would all look like 0.
    axes.imshow(np.where(diagonal, shares, np.nan), cmap="Blues", vmin=0, vmax=1.4)
    mistakes = np.where(diagonal | (counts == 0), np.nan, shares)
    axes.imshow(mistakes, cmap="Oranges", vmin=0, vmax=1.6 * shares[~diagonal].max(initial=0.01))
    for (row, column), count in np.ndenumerate(counts):
        axes.text(column, row, str(count) if count else "", ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(class_names)), class_names)
    axes.set_yticks(range(len(class_names)), class_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")

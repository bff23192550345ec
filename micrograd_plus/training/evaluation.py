"""What a trained classifier makes of the test images."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..layers import Module
from ..losses import CrossEntropyLoss
from ..tensor import Tensor, concatenate, no_grad


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The predictions of a classifier for M labelled examples of C classes.

    Attributes:
        loss: the mean cross-entropy.
        labels: (M,) int.
        probabilities: (M, C), the softmax of the model's logits.
    """

    loss: float
    labels: NDArray[np.int64]
    probabilities: NDArray[np.floating[Any]]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """(M,), the likeliest class of each example."""
        return cast("NDArray[np.int64]", self.probabilities.argmax(axis=1))

    @property
    def confidences(self) -> NDArray[np.floating[Any]]:
        """(M,), the probability of the likeliest class."""
        return cast("NDArray[np.floating[Any]]", self.probabilities.max(axis=1))

    @property
    def correct(self) -> int:
        """The number of predictions that are the label."""
        return int(np.sum(self.predictions == self.labels))

    @property
    def accuracy(self) -> float:
        """The share of predictions that are the label, in [0, 1]."""
        return self.correct / len(self.labels)

    @property
    def mistakes(self) -> NDArray[np.int64]:
        """The indices of the examples that are predicted wrongly, the most confident predictions first."""
        wrong = np.flatnonzero(self.predictions != self.labels)
        return wrong[np.argsort(-self.confidences[wrong], kind="stable")]

    @property
    def confusion(self) -> NDArray[np.int64]:
        """(C, C) counts: row the label, column the prediction."""
        classes = self.probabilities.shape[1]
        return np.bincount(self.labels * classes + self.predictions, minlength=classes * classes).reshape(classes, classes)


def evaluate_classifier(model: Module, inputs: NDArray[Any], labels: NDArray[np.int64], batch_size: int = 1024) -> Evaluation:
    """Let a model that maps inputs (M, ...) to logits (M, C) classify labelled examples; leaves it in eval mode."""
    model.eval()
    with no_grad():
        starts = range(0, len(inputs), batch_size)
        logits = concatenate([model(Tensor(inputs[start : start + batch_size])) for start in starts])
        return Evaluation(CrossEntropyLoss()(logits, labels).item(), labels, logits.softmax().numpy())

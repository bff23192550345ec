import numpy as np
import pytest

from micrograd_plus import CrossEntropyLoss, Dropout, Flatten, Linear, Sequential, Tensor
from micrograd_plus.training.evaluation import Evaluation, evaluate_classifier

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.1, 0.6], [0.9, 0.05, 0.05]])


def test_measures():
    evaluation = Evaluation(loss=1.0, labels=np.array([0, 0, 1, 2]), probabilities=PROBABILITIES)
    np.testing.assert_array_equal(evaluation.predictions, [0, 1, 2, 0])
    np.testing.assert_array_equal(evaluation.confidences, [0.7, 0.8, 0.6, 0.9])
    assert evaluation.correct == 1
    assert evaluation.accuracy == 0.25
    np.testing.assert_array_equal(evaluation.mistakes, [3, 1, 2])
    np.testing.assert_array_equal(evaluation.confusion, [[1, 1, 0], [0, 0, 1], [1, 0, 0]])


def test_batches_make_no_difference():
    model = Sequential(Flatten(), Linear(4, 3), Dropout(0.9))
    generator = np.random.default_rng(0)
    images, labels = generator.normal(size=(10, 2, 2)).astype(np.float32), np.arange(10) % 3
    whole, parts = evaluate_classifier(model, images, labels), evaluate_classifier(model, images, labels, batch_size=3)
    np.testing.assert_allclose(whole.probabilities, parts.probabilities, rtol=1e-5)
    np.testing.assert_allclose(whole.probabilities.sum(axis=1), 1, rtol=1e-5)
    assert whole.loss == pytest.approx(CrossEntropyLoss()(model(Tensor(images)), labels).item(), rel=1e-5)

"""Training runs: what the command line does, for use from Python.

>>> from micrograd_plus.training import Configuration, prepare
>>> run = prepare(Configuration(data="digits", hidden=(32,), dropout=0.0))
>>> len(run.model)
4
"""

from .configuration import Configuration
from .evaluation import Evaluation
from .run import Run, TrainingResult, evaluate_test, load, prepare, train
from .trainer import BatchMetrics, Callback, EpochMetrics, Trainer

__all__ = [
    "BatchMetrics",
    "Callback",
    "Configuration",
    "EpochMetrics",
    "Evaluation",
    "Run",
    "Trainer",
    "TrainingResult",
    "evaluate_test",
    "load",
    "prepare",
    "train",
]

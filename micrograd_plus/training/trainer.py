"""The training loop."""

import functools
import math
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data import DataLoader
from ..layers import Module
from ..nn import accuracy, evaluate
from ..optimizers import Optimizer, Schedule
from ..tensor import Tensor


@dataclass(frozen=True)
class BatchMetrics:
    """Where an epoch stands after a batch.

    Attributes:
        epoch: from 1.
        batch: from 1.
        loss: the mean over the examples of this epoch so far.
        accuracy: likewise, in [0, 1].
    """

    epoch: int
    batch: int
    loss: float
    accuracy: float


@dataclass(frozen=True)
class EpochMetrics:
    """What an epoch came to.

    Attributes:
        epoch: from 1.
        loss: the mean over the training examples, each taken before the step that its batch led to, in training mode.
        accuracy: likewise, in [0, 1].
        validation_loss: the mean over the validation examples after the epoch, in eval mode.
        validation_accuracy: likewise, in [0, 1].
        lr: the learning rate of the epoch's last step.
        seconds: the time it took.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    lr: float
    seconds: float


@dataclass(frozen=True)
class Gain:
    """What compiling the training step gained.

    Attributes:
        eager: seconds of a step before it was compiled, the median of the first ones.
        compiled: seconds of a compiled step, the median.
        building: seconds of the step that built it and of those that checked it, beyond what eager ones would have taken.
    """

    eager: float
    compiled: float
    building: float


EAGER = 20  # steps that are measured before compiling, after as many that aren't, as a step takes longer at first
CHECKED = 4  # the step that builds the native one, and those that are checked


class Callback:
    """Told by a `Trainer`, and by `train`, how training goes. Every method may be left as it is, doing nothing."""

    def training_started(self, epochs: int, batches: int) -> None:
        """Called once, with the number of epochs to come and of batches in each."""

    def batch_finished(self, metrics: BatchMetrics) -> None:
        """Called after each step."""

    def epoch_finished(self, metrics: EpochMetrics) -> None:
        """Called after each epoch and its validation."""

    def compiling_failed(self, reason: str) -> None:
        """Called if steps should be compiled and can't be; training goes on without."""

    def file_written(self, path: Path) -> None:
        """Called by `train` after each file of the run folder, but `metrics.jsonl`."""


class Trainer:
    """Fit a classifier to labelled examples.

    Args:
        model: maps inputs (N, ...) to logits (N, C).
        loss_fn: maps logits (N, C) and labels (N,) to their mean loss.
        optimizer: steps the model's parameters.
        schedule: sets the learning rate after each step, not after each epoch; None keeps it.
        callbacks: told of each batch and epoch, in this order.
        compile_threads: compile the training step for so many threads, after its first steps; None does not. Batches of another
            size, at the end of epochs, run eagerly.
    """

    def __init__(
        self,
        model: Module,
        loss_fn: Callable[..., Tensor],
        optimizer: Optimizer,
        schedule: Schedule | None = None,
        callbacks: Sequence[Callback] = (),
        compile_threads: int | None = None,
    ) -> None:
        self.model = model
        self.loss_fn = loss_fn
        self.optimizer = optimizer
        self.schedule = schedule
        self.callbacks = callbacks
        self.compile_threads = compile_threads
        self._eager: list[float] = []
        self._compiled: list[float] = []
        self._native: Any = None

    @property
    def gain(self) -> Gain | None:
        """What compiling gained, if there were enough steps to tell."""
        eager, compiled = self._eager[EAGER:], self._compiled[CHECKED:]
        if not eager or not compiled or self._native.fallback:
            return None
        median = statistics.median(eager)
        return Gain(median, statistics.median(compiled), max(sum(self._compiled[:CHECKED]) - CHECKED * median, 0.0))

    def fit(self, training: DataLoader, validation: DataLoader, epochs: int) -> list[EpochMetrics]:
        """Train for `epochs` passes over `training`; leaves the model in eval mode.

        Raises:
            FloatingPointError: the loss became infinite or NaN.
        """
        for callback in self.callbacks:
            callback.training_started(epochs, len(training))
        # Overflow on the way to a loss that isn't finite is reported once, by that loss.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return [self._run_epoch(epoch, training, validation) for epoch in range(1, epochs + 1)]

    def _run_epoch(self, epoch: int, training: DataLoader, validation: DataLoader) -> EpochMetrics:
        started = time.perf_counter()
        self.model.train()
        total_loss = total_accuracy = 0.0
        examples = 0
        lr = self.optimizer.lr
        for batch, (inputs, labels) in enumerate(training, start=1):
            lr = self.optimizer.lr
            logits, loss = self._step(Tensor(inputs), labels, len(labels) == training.batch_size)
            self._require_finite(loss.item(), f"in epoch {epoch}, batch {batch}")
            if self.schedule is not None:
                self.schedule.step()
            total_loss += loss.item() * len(labels)
            total_accuracy += accuracy(logits, labels) * len(labels)
            examples += len(labels)
            for callback in self.callbacks:
                callback.batch_finished(BatchMetrics(epoch, batch, total_loss / examples, total_accuracy / examples))
        self.model.eval()
        validation_loss, measures = evaluate(self.model, validation, self.loss_fn, metrics={"accuracy": accuracy})
        self._require_finite(validation_loss, f"on the validation examples after epoch {epoch}")
        metrics = EpochMetrics(
            epoch=epoch,
            loss=total_loss / examples,
            accuracy=total_accuracy / examples,
            validation_loss=validation_loss,
            validation_accuracy=measures["accuracy"],
            lr=lr,
            seconds=time.perf_counter() - started,
        )
        for callback in self.callbacks:
            callback.epoch_finished(metrics)
        return metrics

    def _step(self, inputs: Tensor, labels: Any, whole: bool) -> tuple[Tensor, Tensor]:
        """A step of the training, compiled if it should and can be."""
        if self.compile_threads is None or not whole:
            return _train_step(self.model, self.loss_fn, self.optimizer, inputs, labels)
        started = time.perf_counter()
        result: tuple[Tensor, Tensor]
        if len(self._eager) < 2 * EAGER:
            result = _train_step(self.model, self.loss_fn, self.optimizer, inputs, labels)
            self._eager.append(time.perf_counter() - started)
            return result
        if self._native is None:
            from ..compiler import compile

            self._native = compile(functools.partial(_train_step, self.model, self.loss_fn, self.optimizer), threads=self.compile_threads)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "compile: ", RuntimeWarning)
                result = self._native(inputs, labels)
            if self._native.fallback:
                for callback in self.callbacks:
                    callback.compiling_failed(self._native.fallback)
        else:
            result = self._native(inputs, labels)
        self._compiled.append(time.perf_counter() - started)
        return result

    def _require_finite(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss must stay finite; it became {loss} {where}. Lower the learning rate, now {self.optimizer.lr:g}, or warm it up."
            )


def _train_step(model: Module, loss_fn: Callable[..., Tensor], optimizer: Optimizer, inputs: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
    """One step of the training: the logits and the loss that it started from."""
    optimizer.zero_grad()
    logits = model(inputs)
    loss = loss_fn(logits, labels)
    loss.backward()
    optimizer.step()
    return logits, loss

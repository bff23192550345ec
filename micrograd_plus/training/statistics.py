"""What is measured of a network while it trains."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ..data import DataLoader
from ..layers import Module
from ..nn import Sequential
from ..optimizers import Optimizer
from ..tensor import Tensor, gradients, no_grad
from .configuration import ACTIVATIONS
from .recording import Recording, rounded
from .trainer import BatchMetrics, Callback, EpochMetrics

SHARE = 0.007  # of the training thread's time, for snapshots
POINT_SECONDS = 0.2  # between points of the curves, at least
PROBE = 64  # training images that gradients and dead units are measured on
SAMPLES = 12  # validation images whose predictions are shown
ENTRIES = 4_000  # of an array, at most, that its histogram is made of
BINS = 40  # of a histogram of weights, from -max|w| to max|w|
PER_DECADE, LOWEST, HIGHEST = 3, -12, 2  # bins of a histogram of gradients, which is of log10|g|


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer with a weight that is trained.

    Attributes:
        index: its place in the model.
        weight: its weight.
        step: the histogram and the update are of every so many elements of the weight.
        activation: the place of the activation that follows, before the next such layer; None where there is none.
    """

    index: int
    weight: Tensor
    step: int
    activation: int | None

    @property
    def name(self) -> str:
        """The weight's shape: "64 → 512"."""
        return " → ".join(str(size) for size in self.weight.shape)

    def picked(self, array: NDArray[Any]) -> NDArray[Any]:
        """The elements of an array of the weight's shape that stand for all."""
        return array.reshape(-1)[:: self.step]


class Statistics(Callback):
    """Measures a network while it trains, and records it; changes nothing: no weight, mode, gradient or random number is another for it.

    Points of the curves come from what the trainer tells. A snapshot, whenever all of them together have taken under 0.7 % of the
    thread's time so far, and one at the end, is an object of

    - `x`, the epochs done, `step`, the steps done, and `seconds` since the start;
    - `layers`, for each layer with a weight: `weights`, `[max |w|, standard deviation, counts]` of a histogram from -max |w| to max |w|;
      `gradients`, `[root mean square, share of those under 1e-12, counts]` of a histogram of log10 |g| with 3 bins to a power of ten
      from -12 to 2;
      `ratio`, the norm of the last step's change of the weights, divided by that of the weights; `dead`, how many units of the
      activation that follows give the same output for all images of the sample, null where none follows;
    - `samples`: the predicted probabilities of some validation images, in thousandths.

    Gradients and dead units are those of one sample of training images, the same throughout, in eval mode. Histograms and changes are of
    up to 4,000 of a layer's weights, evenly spaced, without biases.

    Args:
        recording: is written to.
        model: whose layers are looked at.
        loss_fn: maps logits and labels to their mean loss.
        optimizer: whose learning rate is recorded.
        training: the examples trained on.
        validation: those held out.

    Attributes:
        layers: those with a weight that is trained.
        probe: the sample of training images, and their labels.
        images, labels: of the samples.
    """

    def __init__(
        self,
        recording: Recording,
        model: Sequential,
        loss_fn: Callable[..., Tensor],
        optimizer: Optimizer,
        training: DataLoader,
        validation: DataLoader,
    ) -> None:
        self.layers = find_layers(model)
        samples = choose_samples(validation.y, SAMPLES)
        self.images, self.labels = Tensor(validation.X[samples]), validation.y[samples]
        self._recording, self._model, self._loss_fn, self._optimizer = recording, model, loss_fn, optimizer
        self._modules = [module for _, module in model.named_modules()]  # listing them takes as long as half a step of a small network
        self._batch_size, self._examples, self._batches = training.batch_size, len(training.X), len(training)
        every = max(self._examples // PROBE, 1)
        self.probe = Tensor(training.X[::every][:PROBE]), training.y[::every][:PROBE]
        self._started = self._thread_started = self._spent = 0.0
        self._due = self._point_due = self._snapshot_due = 0.0
        self._steps = 0  # of the whole training
        self._before: list[NDArray[Any]] | None = None
        self._sums = (1, 0, 0.0, 0.0)  # the epoch, and the examples of it so far with the sums of their losses and accuracies
        self._ratios: list[float | None] = [None] * len(self.layers)

    def training_started(self, epochs: int, batches: int) -> None:
        """Start the clocks."""
        self._started, self._thread_started = time.perf_counter(), time.thread_time()
        self._steps = epochs * batches

    def batch_finished(self, metrics: BatchMetrics) -> None:
        """Measure what is due."""
        now = time.perf_counter()
        left = self._steps - (metrics.epoch - 1) * self._batches - metrics.batch
        if left <= 1:  # the last snapshot is to have the last step's change
            if self._before is not None:
                self._measure_step()
            if left:
                self._before = self._weights()
        elif now < self._due:
            return
        if now >= self._point_due:
            self._add_point(metrics, now)
            self._point_due = now + POINT_SECONDS
        if now >= self._snapshot_due and left > 1:
            self._measure(metrics)
        self._due = 0.0 if self._before is not None else min(self._point_due, self._snapshot_due)

    def epoch_finished(self, metrics: EpochMetrics) -> None:
        """Record the epoch."""
        self._recording.add_epoch(metrics)

    def training_finished(self, epochs: int) -> None:
        """Take the last snapshot, of the trained network."""
        self._add_snapshot(epochs, self._batches)

    def _measure(self, metrics: BatchMetrics) -> None:
        """Look at the weights at one step, and take a snapshot at the next one, when it is known how they change."""
        began = time.thread_time()  # a snapshot is not charged for what else the machine does meanwhile
        if self._before is None:
            self._before = self._weights()
            self._spent += time.thread_time() - began
            return
        self._measure_step()
        self._add_snapshot(metrics.epoch, metrics.batch)
        ended, now = time.thread_time(), time.perf_counter()
        self._spent += ended - began
        used = max(ended - self._thread_started, 1e-6)
        self._snapshot_due = now + max(self._spent / SHARE - used, 0.0) * (now - self._started) / used

    def _add_point(self, metrics: BatchMetrics, now: float) -> None:
        count = min(metrics.batch * self._batch_size, self._examples)
        loss, right = metrics.loss * count, metrics.accuracy * count
        epoch, count0, loss0, right0 = self._sums
        if epoch != metrics.epoch or count == count0:
            count0, loss0, right0 = 0, 0.0, 0.0
        self._sums = (metrics.epoch, count, loss, right)
        new = count - count0
        values = ((loss - loss0) / new, (right - right0) / new, self._optimizer.lr)
        self._recording.add_point(self._x(metrics.epoch, metrics.batch), *map(rounded, values), round(now - self._started, 3))

    def _x(self, epoch: int, batch: int) -> float:
        return round(epoch - 1 + batch / self._batches, 6)

    def _weights(self) -> list[NDArray[Any]]:
        return [layer.picked(layer.weight.data).copy() for layer in self.layers]

    def _measure_step(self) -> None:
        ratios = []
        for layer, before in zip(self.layers, self._before or (), strict=True):
            size = float(np.linalg.norm(before))
            change = float(np.linalg.norm(layer.picked(layer.weight.data) - before))
            ratios.append(rounded(change / size) if size else None)
        self._ratios, self._before = ratios, None

    def _add_snapshot(self, epoch: int, batch: int) -> None:
        with np.errstate(all="ignore"), evaluating(self._modules):
            slopes, dead = self._walk()
            with no_grad():
                probabilities = self._model(self.images).softmax().data
        layers = [
            {"weights": weight_histogram(layer.picked(layer.weight.data)), "gradients": gradient_histogram(slope, layer.picked(slope)),
             "ratio": ratio, "dead": count}
            for layer, slope, ratio, count in zip(self.layers, slopes, self._ratios, dead, strict=True)
        ]  # fmt: skip
        self._recording.add_snapshot(
            {
                "x": self._x(epoch, batch),
                "step": (epoch - 1) * self._batches + batch,
                "seconds": round(time.perf_counter() - self._started, 3),
                "layers": layers,
                "samples": np.rint(1000 * np.nan_to_num(probabilities)).astype(int).tolist(),
            }
        )

    def _walk(self) -> tuple[list[NDArray[Any]], list[int | None]]:
        """The gradients of the layers' weights, and the numbers of dead units after them."""
        x, labels = self.probe
        activations = {layer.activation: i for i, layer in enumerate(self.layers) if layer.activation is not None}
        dead: list[int | None] = [None] * len(self.layers)
        for index, module in enumerate(self._model):
            x = module(x)
            if index in activations:
                dead[activations[index]] = count_dead(x.data)
        slopes = gradients(self._loss_fn(x, labels), [layer.weight for layer in self.layers])
        return [slope.data for slope in slopes], dead


def find_layers(model: Sequential) -> list[Layer]:
    """The layers of a model that have a weight matrix, or kernel, that is trained."""
    found: list[Layer] = []
    places = [i for i, module in enumerate(model) if _weight(module) is not None]
    for place, end in zip(places, [*places[1:], len(model)], strict=True):
        weight = cast(Tensor, _weight(model[place]))
        step = -(-weight.size // ENTRIES)
        while math.gcd(step, weight.shape[-1]) > 1:  # or some columns would never be picked
            step += 1
        kinds = tuple(ACTIVATIONS.values())
        activation = next((i for i in range(place + 1, end) if isinstance(model[i], kinds)), None)
        found.append(Layer(place, weight, step, activation))
    return found


def choose_samples(labels: NDArray[Any], count: int) -> NDArray[np.intp]:
    """The indices of the first examples of each class, then of the second ones, up to `count`: (count,) int."""
    order = np.argsort(labels, kind="stable")
    _, starts, counts = np.unique(labels[order], return_index=True, return_counts=True)
    rank = np.arange(len(labels)) - np.repeat(starts, counts)  # how many of its class come before it
    return order[np.lexsort((labels[order], rank))[:count]]


def count_dead(outputs: NDArray[Any]) -> int:
    """How many units (N, units), or channels (N, channels, ...), give the same output for every example, everywhere."""
    axes = tuple(axis for axis in range(outputs.ndim) if axis != 1)
    return int(np.sum(outputs.max(axes) == outputs.min(axes)))


def weight_histogram(weights: NDArray[Any]) -> list[Any]:
    """[max |w|, standard deviation, counts]."""
    largest = float(np.abs(weights).max())
    if not math.isfinite(largest):
        return [None, None, [0] * BINS]
    width = 2 * largest / BINS or 1.0
    bins = np.minimum(((weights + largest) / width).astype(np.intp), BINS - 1)
    return [rounded(largest), rounded(float(weights.std())), np.bincount(bins, minlength=BINS).tolist()]


def gradient_histogram(slope: NDArray[Any], picked: NDArray[Any]) -> list[Any]:
    """[root mean square of all, share under 10**LOWEST, counts of log10 |g|], the latter two of those picked."""
    sizes = np.abs(picked)
    tiny = float(np.mean(sizes < 10.0**LOWEST))
    sizes = sizes[sizes >= 10.0**LOWEST]  # NaN is dropped too
    count = (HIGHEST - LOWEST) * PER_DECADE
    bins = np.minimum((np.log10(sizes) - LOWEST) * PER_DECADE, count - 1).astype(np.intp)
    flat = slope.reshape(-1)
    mean_square = float(flat @ flat) / flat.size
    return [rounded(math.sqrt(mean_square)), rounded(tiny), np.bincount(bins, minlength=count).tolist()]


@contextmanager
def evaluating(modules: Sequence[Module]) -> Iterator[None]:
    """Within, the modules are in eval mode; then each is in the mode that it was in."""
    modes = [module.training for module in modules]
    try:
        for module in modules:
            object.__setattr__(module, "training", False)
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            object.__setattr__(module, "training", mode)


def _weight(module: Any) -> Tensor | None:
    weight = getattr(module, "weight", None)
    return weight if isinstance(weight, Tensor) and weight.ndim > 1 and weight.requires_grad else None

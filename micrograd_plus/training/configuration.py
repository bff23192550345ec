"""What defines a training run, checked, and the objects it stands for."""

import json
import math
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

from .. import layers, optimizers
from ..data import ImageDataset, load_digits, load_mnist
from ..layers import Module, Parameter
from ..nn import Sequential

ACTIVATIONS: dict[str, type[Module]] = {
    "relu": layers.ReLU,
    "leaky_relu": layers.LeakyReLU,
    "elu": layers.ELU,
    "gelu": layers.GELU,
    "silu": layers.SiLU,
    "sigmoid": layers.Sigmoid,
    "tanh": layers.Tanh,
    "softplus": layers.Softplus,
}
MOMENTUM = 0.9
OPTIMIZERS: dict[str, Callable[..., optimizers.Optimizer]] = {
    "sgd": lambda parameters, **options: optimizers.SGD(parameters, momentum=MOMENTUM, **options),
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
    "rmsprop": optimizers.RMSprop,
}
DEFAULT_LR = {"sgd": 0.05, "adam": 0.003, "adamw": 0.003, "rmsprop": 0.001}
SCHEDULES = ("constant", "cosine", "step", "exponential")
DATA = ("digits", "mnist")
DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"hidden": (512, 256), "dropout": 0.4, "batch_size": 32, "epochs": 40},
    "mnist": {"hidden": (256, 128), "dropout": 0.2, "batch_size": 64, "epochs": 15},
}


@dataclass(frozen=True)
class Configuration:
    """What defines a training run of a multilayer perceptron on labelled images.

    Attributes:
        data: "digits" or "mnist".
        data_dir: the folder of MNIST's files; None for the digits, which come with the package.
        hidden: the number of units of each hidden layer.
        activation: a name in `ACTIVATIONS`, after each hidden layer.
        dropout: the probability in [0, 1) of zeroing each hidden unit in training.
        optimizer: a name in `OPTIMIZERS`; "sgd" has momentum 0.9.
        lr: the learning rate, after the warm-up and before the schedule lowers it.
        weight_decay: added to the gradient as weight_decay * w (L2), for "adamw" decoupled from it.
        schedule: "constant"; "cosine", down to 0; "step", to a tenth after each third of the steps; "exponential", to a hundredth
            at the end.
        warmup: the number of epochs, at the start, over which the learning rate rises linearly.
        batch_size: examples per step.
        epochs: passes over the training images.
        validation: the share in (0, 1) of the training images that is held out to watch the training by.
        threads: of BLAS and of compiled steps. One is fastest for small networks, and makes the weights independent of the number of cores.
        compile: compile the training step into native code, after its first steps, for `threads` threads.
        seed: seeds the initial weights, the split, the order of the examples and dropout.

    Raises:
        ValueError: a value is out of its range, or not of its type.
    """

    data: str = "digits"
    data_dir: str | None = None
    hidden: tuple[int, ...] = (512, 256)
    activation: str = "relu"
    dropout: float = 0.4
    optimizer: str = "adam"
    lr: float = 0.003
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup: int = 0
    batch_size: int = 32
    epochs: int = 40
    validation: float = 0.1
    threads: int = 1
    compile: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        sizes: Any = self.hidden
        for name, holds, expected in (
            ("data", _among(self.data, DATA), f"one of {', '.join(DATA)}"),
            ("data_dir", self.data_dir is None or isinstance(self.data_dir, str), "the path of a folder"),
            ("data_dir", self.data != "mnist" or self.data_dir is not None, "the folder of MNIST's files where data is mnist"),
            ("data_dir", self.data != "digits" or self.data_dir is None, "left out for the digits, which come with the package"),
            ("hidden", isinstance(sizes, tuple) and all(_whole(size) and size >= 1 for size in sizes), "whole numbers of at least 1"),
            ("activation", _among(self.activation, ACTIVATIONS), f"one of {', '.join(ACTIVATIONS)}"),
            ("dropout", _real(self.dropout) and 0 <= self.dropout < 1, "at least 0 and below 1"),
            ("optimizer", _among(self.optimizer, OPTIMIZERS), f"one of {', '.join(OPTIMIZERS)}"),
            ("lr", _real(self.lr) and self.lr > 0, "a finite number above 0"),
            ("weight_decay", _real(self.weight_decay) and self.weight_decay >= 0, "a finite number of at least 0"),
            ("schedule", _among(self.schedule, SCHEDULES), f"one of {', '.join(SCHEDULES)}"),
            ("epochs", _whole(self.epochs) and self.epochs >= 1, "a whole number of at least 1"),
            (
                "warmup",
                _whole(self.warmup) and _whole(self.epochs) and 0 <= self.warmup < self.epochs,
                f"at least 0 and below epochs ({self.epochs})",
            ),
            ("batch_size", _whole(self.batch_size) and self.batch_size >= 1, "a whole number of at least 1"),
            ("validation", _real(self.validation) and 0 < self.validation < 1, "above 0 and below 1"),
            ("threads", _whole(self.threads) and self.threads >= 1, "a whole number of at least 1"),
            ("compile", isinstance(self.compile, bool), "true or false"),
            ("seed", _whole(self.seed) and 0 <= self.seed < 2**32, "a whole number from 0 to 2**32 - 1"),
        ):
            if not holds:
                raise ValueError(f"{name} must be {expected}, got {getattr(self, name)!r}.")

    def to_json(self) -> str:
        """The configuration as a JSON object."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Configuration":
        """Read what `to_json` wrote. What the file lacks, having been written before there was such an option, gets its default.

        Raises:
            ValueError: the file is damaged; the message names it and says how.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{str(path)!r} must be a JSON file, but it is damaged ({error}).") from error
        if not isinstance(values, dict):
            raise ValueError(f"{str(path)!r} must hold a JSON object, the options of a training run, got {type(values).__name__}.")
        unknown = sorted(values.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"{str(path)!r} must hold options of a training run, got unknown ones: {', '.join(unknown)}.")
        if isinstance(values.get("hidden"), list):
            values["hidden"] = tuple(values["hidden"])
        try:
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{str(path)!r}: {error}") from error

    def load_data(self) -> ImageDataset:
        """The data set that `data` and `data_dir` name."""
        if self.data_dir is None:
            return load_digits()
        return load_mnist(self.data_dir)

    def build_model(self, dataset: ImageDataset) -> Sequential:
        """A multilayer perceptron from images to one logit per class: (N, H, W) -> (N, C)."""
        height, width = dataset.image_shape
        sizes = (height * width, *self.hidden)
        model = Sequential(layers.Flatten())
        for in_features, out_features in pairwise(sizes):
            model.add(layers.Linear(in_features, out_features))
            model.add(ACTIVATIONS[self.activation]())
            if self.dropout > 0:
                model.add(layers.Dropout(self.dropout))
        model.add(layers.Linear(sizes[-1], len(dataset.class_names)))
        return model

    def build_optimizer(self, parameters: list[Parameter]) -> optimizers.Optimizer:
        """The optimizer of `parameters`."""
        return OPTIMIZERS[self.optimizer](parameters, lr=self.lr, weight_decay=self.weight_decay)

    def build_schedule(self, optimizer: optimizers.Optimizer, batches: int) -> optimizers.Schedule | None:
        """The schedule of the optimizer's learning rate, to be stepped after every batch; None keeps the rate.

        Args:
            optimizer: of the model.
            batches: the number of batches in an epoch.
        """
        warmup_steps = self.warmup * batches
        steps = self.epochs * batches - warmup_steps
        schedule: optimizers.Schedule | None = None
        if self.schedule == "cosine":
            schedule = optimizers.CosineAnnealingLR(optimizer, T_max=steps)
        elif self.schedule == "step":
            schedule = optimizers.StepLR(optimizer, step_size=math.ceil(steps / 3))
        elif self.schedule == "exponential":
            schedule = optimizers.ExponentialLR(optimizer, gamma=0.01 ** (1 / steps))
        return optimizers.LinearWarmup(optimizer, warmup_steps, schedule) if warmup_steps else schedule


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _among(value: Any, choices: Collection[str]) -> bool:
    return isinstance(value, str) and value in choices

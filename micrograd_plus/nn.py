"""Sequential, the training loop in two functions, and models on disk."""

import itertools
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from . import effects, progress
from .files import replacing
from .layers import Module
from .optimizers import Optimizer
from .rules import Array
from .tensor import Tensor, no_grad


class Sequential(Module):
    """Layers applied one after the other.

    >>> from micrograd_plus import Linear, ReLU
    >>> model = Sequential(Linear(2, 8), ReLU(), Linear(8, 1))
    >>> len(model), model[0].weight.shape
    (3, (2, 8))
    """

    def __init__(self, *layers: Callable[..., Any]) -> None:
        self.layers: list[Any] = []
        for layer in layers:
            self.add(layer)

    def add(self, layer: Any) -> "Sequential":
        """Append a layer, a Module or a function of a Tensor; returns the model."""
        if not callable(layer) or isinstance(layer, type):
            raise TypeError(f"a layer must be a Module or a function, got {layer!r}. Pass an instance, such as ReLU().")
        self.layers.append(layer)
        return self

    def forward(self, x: Array) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def __getitem__(self, index: Any) -> Any:
        return Sequential(*self.layers[index]) if isinstance(index, slice) else self.layers[index]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    @reprlib.recursive_repr()
    def __repr__(self) -> str:
        lines = [line for i, layer in enumerate(self.layers) for line in f"{i}: {layer!r}".split("\n")]
        return "Sequential(\n  " + "\n  ".join(lines) + "\n)" if lines else "Sequential()"


def train_epoch(
    model: Module,
    dataloader: Iterable[tuple[Any, Any]],
    loss_fn: Callable[..., Tensor],
    optimizer: Optimizer,
    verbose: bool = False,
    accumulate: int = 1,
) -> float:
    """Train on every batch once, in training mode.

    With `accumulate`, an update uses the gradients of so many batches, weighted by their numbers of examples: for a loss that is a mean
    over examples, those of one large batch, in the memory of a small one. (Class weights and ignored labels weight a mean within its
    batch, and batch norm sees the small batches.) The last update uses what is left.

    Args:
        model: maps a batch of inputs to predictions; left in training mode.
        dataloader: yields (inputs, targets).
        loss_fn: (predictions, targets) to a scalar, the mean over a batch.
        optimizer: of the model's parameters.
        verbose: show a progress bar (needs the extra `train`).
        accumulate: batches per update.

    Returns:
        The mean loss over the examples, each batch's taken before its own update.
    """
    if accumulate < 1:
        raise ValueError(f"accumulate must be at least 1, got {accumulate}.")
    model.train()
    total = count = 0.0
    batches = iter(progress.ProgressBar(dataloader, description="training") if verbose else dataloader)
    while group := list(itertools.islice(batches, accumulate)):
        examples = sum(len(x) for x, _ in group)
        optimizer.zero_grad()
        for x, y in group:
            loss = loss_fn(model(Tensor(x)), y)
            (loss * (len(x) / examples)).backward()
            total += effects.read(loss.data) * len(x)
        optimizer.step()
        count += examples
    return _mean(total, count)


def evaluate(
    model: Module,
    dataloader: Iterable[tuple[Any, Any]],
    loss_fn: Callable[..., Tensor],
    metrics: Mapping[str, Callable[..., float]] | Iterable[Callable[..., float]] | None = None,
) -> tuple[float, dict[str, float]]:
    """The mean loss, and the mean of each metric, over all examples, in eval mode; leaves modes as they were.

    Args:
        model: maps a batch of inputs to predictions.
        dataloader: yields (inputs, targets).
        loss_fn: (predictions, targets) to a scalar, the mean over a batch.
        metrics: functions of (predictions, targets) that return the mean over a batch, by name, or a list of them.

    Returns:
        (loss, {name: metric}).
    """
    functions = dict(metrics) if isinstance(metrics, Mapping) else {f.__name__: f for f in metrics or ()}
    modes = [(module, module.training) for _, module in model.named_modules()]
    totals = dict.fromkeys(functions, 0.0)
    total_loss, count = 0.0, 0
    model.eval()
    try:
        with no_grad():
            for x, y in dataloader:
                predictions = model(Tensor(x))
                total_loss += effects.read(loss_fn(predictions, y).data) * len(x)
                for name, function in functions.items():
                    totals[name] += float(function(predictions, y)) * len(x)
                count += len(x)
    finally:
        for module, mode in modes:
            module.training = mode
    return _mean(total_loss, count), {name: _mean(total, count) for name, total in totals.items()}


def _mean(total: float, count: float) -> float:
    if not count:
        raise ValueError("a data loader must yield at least one batch, got none. An iterator can be used once only: pass a DataLoader.")
    return total / count


def accuracy(predictions: Array, targets: Array) -> float:
    """The share of right answers.

    Args:
        predictions: scores (N, C), of which the largest counts, or class indices (N,).
        targets: class indices (N,).
    """
    p, t = np.asarray(_data(predictions)), np.asarray(_data(targets))
    classes = p.argmax(1) if p.ndim == 2 and p.shape[1] > 1 else p
    if classes.shape != t.shape or t.ndim != 1 or not t.size:
        raise ValueError(
            f"accuracy needs scores (N, C > 1) or classes (N,), and targets (N,), got {p.shape} and {t.shape}. "
            "Turn one-hot targets into classes by .argmax(1), binary scores (N, 1) by (scores > 0).reshape(-1)."
        )
    return effects.read(np.mean(classes == t))


def _data(x: Array) -> Any:
    return x.data if isinstance(x, Tensor) else x


def count_parameters(model: Module) -> int:
    """How many numbers the model trains: the elements of all parameters that are not frozen."""
    return sum(p.size for p in model.parameters() if p.requires_grad)


def save_model(model: Module, path: str | os.PathLike[str]) -> None:
    """Write parameters and buffers to a `.npz` or `.safetensors` file, which appears whole or not at all.

    Raises:
        ValueError: another suffix.
        OSError: the file can't be written.
    """
    state = {name: np.require(array, requirements="C") for name, array in model.state_dict().items()}
    if _suffix(path) == ".npz":
        import zipfile  # takes a fifth of the package's import time

        # np.savez would take the names for keywords, and `file` is one of its own
        with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, array in state.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array, allow_pickle=False)
        return
    encoded = _safetensors().save(state, {"format": "micrograd_plus"})
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)


def load_model(model: Module, path: str | os.PathLike[str]) -> None:
    """Read parameters and buffers that `save_model` wrote into a model of the same structure.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is damaged, or its names or shapes are not the model's; the model is then unchanged.
    """
    suffix, content = _suffix(path), Path(path)
    safetensors: Any = _safetensors() if suffix == ".safetensors" else None
    try:
        if suffix == ".npz":
            with content.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
        else:
            state = safetensors.load(content.read_bytes())
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as error:  # whatever a damaged file makes a reader raise
        raise ValueError(f"{path} must be a model in {suffix} format, but can't be read: {error}. Save it again.") from error
    model.load_state_dict(state)


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix
    if suffix not in (".npz", ".safetensors"):
        raise ValueError(f"a model's file must end in .npz or .safetensors, got {str(path)!r}.")
    return suffix


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        raise ImportError('safetensors files need the extra "train": pip install "micrograd-plus[train]". Or use .npz.') from None
    return safetensors.numpy

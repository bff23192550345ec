"""Seeds, small helpers for data, memory, progress and pictures; the gradient checks, under the names users know."""

import importlib
from typing import Any

import numpy as np

from . import effects
from .effects import set_seed
from .gradcheck import check_all_gradients, gradient_check, numerical_gradient
from .progress import ProgressBar
from .rules import Array
from .tensor import Tensor

__all__ = [
    "DataLoader",  # noqa: F822 - see __getattr__
    "ProgressBar",
    "check_all_gradients",
    "get_memory_usage",
    "gradient_check",
    "normalize",
    "numerical_gradient",
    "one_hot",
    "plot_training_history",  # noqa: F822 - see __getattr__
    "set_seed",
    "train_test_split",
    "visualize_computation_graph",  # noqa: F822 - see __getattr__
]

# Offered here, defined further down the list of modules, and imported when first asked for.
_ELSEWHERE = {
    "DataLoader": "data",
    "plot_training_history": "plots",
    "visualize_computation_graph": "plots",
}


def __getattr__(name: str) -> Any:
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"micrograd_plus.{_ELSEWHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def one_hot(labels: Array, num_classes: int) -> np.ndarray:
    """Rows of zeros with a one at the label: labels of any shape, whole numbers in [0, num_classes); (*shape, num_classes) float.

    Raises:
        ValueError: a label is fractional or out of range.
    """
    array = np.asarray(labels.data if isinstance(labels, Tensor) else labels)
    wrong = array[(array != np.floor(array)) | (array < 0) | (array >= num_classes)]
    effects.require(wrong.size == 0, lambda: f"labels must be whole numbers in [0, {num_classes}), got {wrong[0]}.")
    return Tensor(np.eye(num_classes)[array.astype(np.int64)]).data


def normalize(X: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """((X - mean) / std, mean, std), by column: X (N, ...). A constant column is only centred, its std returned as 1.

    Use the training data's mean and std for the test data: `(X_test - mean) / std`.
    """
    array = Tensor(X, dtype=Tensor(X).dtype if Tensor(X).dtype.kind == "f" else np.float32).data
    mean, std = array.mean(0), array.std(0)
    std = np.where(std > 0, std, std.dtype.type(1))
    return (array - mean) / std, mean, std


def train_test_split(
    X: Any, y: Any, test_size: float = 0.2, generator: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """X_train, X_test, y_train, y_test: a random share `test_size` of the examples set apart, at least one on either side."""
    X, y = (np.asarray(a.data if isinstance(a, Tensor) else a) for a in (X, y))
    if len(X) != len(y):
        raise ValueError(f"X and y must have the same number of examples, got {len(X)} and {len(y)}.")
    if not 0 < test_size < 1 or len(X) < 2:
        raise ValueError(f"a split needs two examples and 0 < test_size < 1, got {len(X)} and {test_size}.")
    order = effects.draw(generator, "permutation", len(X))
    count = min(max(round(len(X) * test_size), 1), len(X) - 1)
    test, train = order[:count], order[count:]
    return X[train], X[test], y[train], y[test]


def get_memory_usage() -> dict[str, float]:
    """The memory of this process: {"rss": resident MB, "vms": virtual MB, "percent": resident share of the machine's}.

    A MB is 10^6 bytes. Needs the extra `memory`.
    """
    try:
        import psutil
    except ImportError:
        raise ImportError('get_memory_usage needs the extra "memory": pip install "micrograd-plus[memory]".') from None
    process = psutil.Process()
    memory = process.memory_info()
    return {"rss": memory.rss / 1e6, "vms": memory.vms / 1e6, "percent": process.memory_percent()}

"""What is measured: the same training steps, written for each library. Run by `compare.py`, each library in a process of its own.

A worker prints one line of JSON when it is ready. For each line that it then reads, the number of seconds to run, it prints
{"median": microseconds per step, "steps": count}; at the end of input, it stops.
"""

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

THREADS = 2
CHECKED_STEPS = 20  # after so many steps from the same weights on the same data, the libraries must agree on the loss
# Afterwards, while time is taken, steps are this small: at the usual rate the one batch would be learnt to the last bit, and
# arithmetic on the denormal numbers that gradients then become is slow.
TIMED_LR = 1e-6

Workload = tuple[Callable[[], float], list[dict[str, Any]]]  # a step, which returns the loss, and its optimizer's groups

# name: (layer sizes, batch size, loss)
MODELS = {
    "tiny": ([2, 16, 16, 1], 32, "mse"),
    "mlp": ([784, 256, 128, 10], 64, "cross-entropy"),
}


def data(sizes: list[int], batch: int, loss: str) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Inputs, targets and initial weights (in, out), the same for every library."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, sizes[0]), np.float32)
    y = rng.standard_normal((batch, 1), np.float32) if loss == "mse" else rng.integers(0, sizes[-1], batch)
    weights = [(rng.standard_normal((m, n)) * np.sqrt(2 / (m + n))).astype(np.float32) for m, n in itertools.pairwise(sizes)]
    return x, y, weights


def micrograd_plus_step(sizes: list[int], batch: int, loss: str) -> Workload:
    """A training step in MicroGrad+, eager."""
    import micrograd_plus as mg

    x, y, weights = data(sizes, batch, loss)
    model = mg.Sequential()
    for i, weight in enumerate(weights):
        linear = mg.Linear(*weight.shape)
        linear.weight.data = weight
        model.add(linear)
        if i < len(weights) - 1:
            model.add(mg.ReLU())
    optimizer = mg.Adam(model.parameters())
    loss_fn = mg.MSELoss() if loss == "mse" else mg.CrossEntropyLoss()
    inputs = mg.Tensor(x)

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, optimizer.param_groups


def pytorch_step(sizes: list[int], batch: int, loss: str) -> Workload:
    """The same step in PyTorch, eager, with its fused Adam."""
    import torch

    torch.set_num_threads(THREADS)
    x, y, weights = data(sizes, batch, loss)
    layers: list[torch.nn.Module] = []
    for i, weight in enumerate(weights):
        linear = torch.nn.Linear(*weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.zero_()
        layers += [linear, torch.nn.ReLU()] if i < len(weights) - 1 else [linear]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    loss_fn = torch.nn.MSELoss() if loss == "mse" else torch.nn.CrossEntropyLoss()
    inputs, targets = torch.from_numpy(x), torch.from_numpy(y)

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step, optimizer.param_groups


LIBRARIES = {"micrograd_plus": micrograd_plus_step, "pytorch": pytorch_step}


def timed(step: Callable[[], float], seconds: float) -> tuple[float, int]:
    """The median time of a step in microseconds, and how many were run."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 10:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6, len(times)


def main() -> None:
    """Serve one library and one model: `workloads.py LIBRARY MODEL`."""
    library, model = sys.argv[1:]
    step, groups = LIBRARIES[library](*MODELS[model])
    losses = [step() for _ in range(CHECKED_STEPS)]
    print(json.dumps({"losses": losses}), flush=True)
    groups[0]["lr"] = TIMED_LR
    for line in sys.stdin:
        median, steps = timed(step, float(line))
        print(json.dumps({"median": median, "steps": steps}), flush=True)


if __name__ == "__main__":
    main()

"""Training steps and the cost of recording, side by side in one run: `python benchmarks/compare.py`.

Each library runs in a process of its own, in turn, several times, so that neither thread pools nor noise favour one. The
ratios are medians over the rounds. The run fails where the libraries' losses disagree; never because of a time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from workloads import CHECKED_STEPS, LIBRARIES, MODELS, THREADS, timed

ENVIRONMENT = {**os.environ, **{f"{library}_NUM_THREADS": str(THREADS) for library in ("OMP", "OPENBLAS", "MKL")}}


class Worker:
    """A library with a workload, in a process of its own."""

    def __init__(self, library: str, model: str) -> None:
        command = [sys.executable, str(Path(__file__).with_name("workloads.py")), library, model]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        self.losses = self._answer()["losses"]

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            sys.exit("a benchmark's process stopped early; its error is above.")
        return json.loads(line)

    def run(self, seconds: float) -> float:
        """The median time of a step, in microseconds."""
        self.process.stdin.write(f"{seconds}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self._answer()["median"]

    def stop(self) -> None:
        self.process.communicate()


def compare_steps(model: str, rounds: int, seconds: float) -> dict[str, Any]:
    """Median step times of all libraries for one workload, and the ratio of ours to PyTorch's."""
    workers = {library: Worker(library, model) for library in LIBRARIES}
    losses = np.array([worker.losses for worker in workers.values()])
    if not np.allclose(losses, losses[0], rtol=1e-3, atol=1e-6):
        sys.exit(f"{model}: the losses of {list(workers)} disagree after {CHECKED_STEPS} steps: {losses[:, -1].tolist()}")
    times: dict[str, list[float]] = {library: [] for library in workers}
    for _ in range(rounds):
        for library, worker in workers.items():
            times[library].append(worker.run(seconds))
    for worker in workers.values():
        worker.stop()
    ratios = [ours / theirs for ours, theirs in zip(times["micrograd_plus"], times["pytorch"], strict=True)]
    return {
        **{library: statistics.median(values) for library, values in times.items()},
        "ratio": statistics.median(ratios),
        "loss": float(losses[0, -1]),
    }


def measure_recording(rounds: int, seconds: float) -> dict[str, float]:
    """What a recorded multiplication of (32, 16) tensors costs beyond NumPy's own, in microseconds."""
    import micrograd_plus as mg

    x, y = mg.randn(32, 16, requires_grad=True), mg.randn(32, 16, requires_grad=True)
    a, b = x.data, y.data
    repeat = range(100)

    def recorded() -> None:
        for _ in repeat:
            x * y

    def plain() -> None:
        for _ in repeat:
            a * b

    pairs = [(timed(recorded, seconds)[0] / 100, timed(plain, seconds)[0] / 100) for _ in range(rounds)]
    return {
        "recorded": statistics.median(p[0] for p in pairs),
        "numpy": statistics.median(p[1] for p in pairs),
        "overhead": statistics.median(p[0] - p[1] for p in pairs),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few and short rounds: checks that all runs and agrees")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    rounds, seconds = (2, 0.2) if options.quick else (9, 1.0)
    results: dict[str, Any] = {"recording": measure_recording(rounds, seconds / 2)}
    recording = results["recording"]
    print(f"a recorded multiplication of (32, 16): {recording['recorded']:.2f} µs, NumPy's {recording['numpy']:.2f} µs,")
    print(f"  so recording costs {recording['overhead']:.2f} µs\n")
    print(f"one training step (forward, backward, Adam), {THREADS} threads, median of {rounds} rounds in turn")
    print(f"{'model':<32}{'micrograd_plus':>16}{'pytorch':>12}{'ratio':>8}")
    for model, (sizes, batch, _) in MODELS.items():
        results[model] = figures = compare_steps(model, rounds, seconds)
        name = f"{model}: MLP {'-'.join(map(str, sizes))} [{batch}]"
        print(f"{name:<32}{figures['micrograd_plus']:>13.0f} µs{figures['pytorch']:>9.0f} µs{figures['ratio']:>8.2f}")
    print(f"\nratio: micrograd_plus / pytorch (fused Adam), below 1 is faster; the losses agree after {CHECKED_STEPS} steps")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()

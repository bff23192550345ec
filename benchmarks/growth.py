"""How the time of a step grows with depth, width and batch: `python benchmarks/growth.py`.

Multilayer perceptrons in MicroGrad+, eager and compiled, each in a process of its own, with the share of the machine's
matrix-product peak that a step reaches.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from compare import environment
from machine import machine
from worker import LIBRARIES, timed, use_cores
from workloads.problems import THREADS, TIMED_LR, Training, made

HERE = Path(__file__).parent
COMPARED = {"micrograd_plus": "#edae9f", "micrograd_plus.compile": "#d1495b"}
PEAK_SIZE = 2048
CHECKED = 4  # steps: the first ones of a native step are compared with eager ones
PATIENCE = 60.0  # seconds: where a start took longer, the axis is followed no further

# axis: (its values, those of a quick run, the layers' sizes and the batch for a value, what the title says of the others)
Sizes = tuple[list[int], int]
AXES: dict[str, tuple[list[int], list[int], Callable[[int], Sizes], str]] = {
    "depth": ([1, 3, 10, 30, 100, 300, 1000], [1, 10], lambda n: ([64] * (n + 1), 64), "layers of width 64, batch 64"),
    "width": ([64, 128, 256, 512, 1024, 2048, 4096], [64, 256], lambda n: ([n] * 3, 256), "two layers, batch 256"),
    "batch": ([1, 4, 16, 64, 256, 1024, 4096], [1, 64], lambda n: ([256] * 4, n), "three layers of width 256"),
}


def operations(sizes: list[int], batch: int) -> int:
    """Additions and multiplications in a step's matrix products: forward, and two backward but for the input's gradient."""
    products = [2 * batch * inputs * outputs for inputs, outputs in itertools.pairwise(sizes)]
    return 3 * sum(products) - products[0]


def peak() -> float:
    """Operations per second of a matrix product of float32 in NumPy: the best of several, as neighbours on the machine disturb it."""
    x = np.random.default_rng(0).standard_normal((PEAK_SIZE, PEAK_SIZE), np.float32)
    best = min(timed(lambda: x @ x, 0.2) for _ in range(10))
    return 2 * PEAK_SIZE**3 / (best * 1e-6)


def serve(library: str, quick: bool, seconds: float) -> None:
    """Print a line of JSON for each point: {"axis", "value", "step_us", "start_s", "operations"}; for "peak" one number."""
    use_cores(THREADS)
    if library == "peak":
        print(peak())
        return
    from workloads.micrograd_plus import training

    for axis, (values, few, sizes_at, _) in AXES.items():
        for value in few if quick else values:
            sizes, batch = sizes_at(value)
            problem = made("mlp", {"sizes": sizes, "loss": "cross-entropy", "batch": batch})
            for name, weight in problem.weights.items():
                if name.endswith("weight"):
                    weight *= np.float32(2**0.5)  # as He et al. do, or what passes a thousand ReLUs would vanish
            started = time.perf_counter()
            trained: Training = training(problem, **LIBRARIES[library][2])
            trained.set_lr(TIMED_LR)
            trained.step()
            point = {"axis": axis, "value": value, "start_s": time.perf_counter() - started, "operations": operations(sizes, batch)}
            for _ in range(CHECKED):
                trained.step()
            print(json.dumps({**point, "step_us": timed(trained.step, seconds)}), flush=True)
            if point["start_s"] > PATIENCE:
                print(f"{library}: {axis} ends at {value}, whose start took {point['start_s']:.0f} s", file=sys.stderr)
                break


def measured(library: str, options: argparse.Namespace) -> list[Any]:
    """The lines that a process of its own prints for a library."""
    with tempfile.TemporaryDirectory(prefix="micrograd-plus-bench-") as caches:
        command = [sys.executable, __file__, "--serve", library, "--seconds", str(options.seconds), *(["--quick"] if options.quick else [])]
        run = subprocess.run(command, env=environment(caches), stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode:
        sys.exit(f"{library}: the process failed; its error is above.")
    return [json.loads(line) for line in run.stdout.splitlines()]


def draw(document: dict[str, Any], path: Path) -> None:
    """Time against each axis, both logarithmic, and the time that the products would take at the machine's peak."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len(AXES), figsize=(11, 3.8), dpi=150, layout="constrained")
    for (axis, (*_, title)), panel in zip(AXES.items(), panels, strict=True):
        for library, points in document["libraries"].items():
            here = [point for point in points if point["axis"] == axis]
            values, times = [p["value"] for p in here], [p["step_us"] / 1e3 for p in here]
            panel.plot(values, times, "o-", color=COMPARED[library], markersize=4, label=library)
        floor = [point["operations"] / document["peak"] * 1e3 for point in here]
        panel.plot(values, floor, "--", color="#808080", linewidth=1, label="matrix products at peak")
        panel.set(xscale="log", yscale="log", xlabel=axis)
        panel.set_title(title, fontsize=9)
        panel.grid(color="#e6e6e6")
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("ms per step")
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"A training step as it grows ({document['machine']['processor']}, {THREADS} threads)", fontsize=10)
    figure.savefig(path)
    plt.close(figure)


def main() -> None:
    """Measure, print, and write growth.json and growth.png."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few points, nothing written")
    parser.add_argument("--seconds", type=float, default=1.0, help="at each point")
    parser.add_argument("--libraries", help=f"some of {','.join(COMPARED)}")
    parser.add_argument("--output", type=Path, help="folder of growth.json and growth.png; by default this one, unless --quick")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.quick, options.seconds)
        return
    libraries = options.libraries.split(",") if options.libraries else list(COMPARED)
    peaks, points = measured("peak", options), {}
    for library in libraries:  # the peak again and again, as others who use the machine can only lower it
        points[library] = measured(library, options)
        peaks += measured("peak", options)
    best = max(peaks)
    print(f"peak of matrix products: {best / 1e9:.0f} GFLOP/s ({PEAK_SIZE}³ in NumPy, {THREADS} threads)")
    for library in libraries:
        print(f"\n{library:<24}{'':>8}{'step':>12}{'start':>10}{'of peak':>10}")
        for point in points[library]:
            share = point["operations"] / (point["step_us"] * 1e-6) / best
            print(f"  {point['axis']:<22}{point['value']:>8}{point['step_us'] / 1e3:>9.3f} ms{point['start_s']:>8.2f} s{share:>10.1%}")
    document = {"machine": machine(), "peak": best, "libraries": points}
    output = options.output or (None if options.quick else HERE)
    if output:
        (output / "growth.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        draw(document, output / "growth.png")
        print(f"\nwritten: {output / 'growth.json'}, {output / 'growth.png'}")


if __name__ == "__main__":
    main()

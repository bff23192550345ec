"""Training steps of MicroGrad+ and its peers side by side in one run: `python benchmarks/compare.py`.

Each library runs in a process of its own, in turn, several times, so that neither thread pools nor noise favour one. Ratios are
medians over the rounds. The run fails where the libraries' losses disagree; never because of a time.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from chart import draw
from machine import machine
from recording import measure_recording
from worker import LIBRARIES
from workloads.problems import CHECKED_STEPS, FULL, QUICK, THREADS, described

HERE = Path(__file__).parent
Figures = dict[str, Any]


def environment(caches: str) -> dict[str, str]:
    """That of a worker: so many threads, whichever pool, and empty caches, or a start would not be measured."""
    pools = {f"{pool}_NUM_THREADS": str(THREADS) for pool in ("OMP", "OPENBLAS", "MKL")}
    return {**os.environ, **pools, "XDG_CACHE_HOME": caches, "TORCHINDUCTOR_CACHE_DIR": f"{caches}/inductor"}


class Failure(Exception):  # noqa: N818, a result that is no good
    """A library stopped, or its losses are not those of the others; the text says which."""


class Worker:
    """A library with a workload, in a process of its own; see `worker.py`."""

    def __init__(self, library: str, workload: str, quick: bool) -> None:
        self.name = f"{library} on {workload}"
        self.caches = tempfile.TemporaryDirectory(prefix="micrograd-plus-bench-")
        command = [sys.executable, str(HERE / "worker.py"), library, workload, *(["--quick"] if quick else [])]
        pipes: Figures = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment(self.caches.name), **pipes)
        self.first: Figures = {}

    def begin(self) -> None:
        """Wait for the first steps, or for why there are none."""
        self.first = self._answer()

    def _answer(self) -> Figures:
        line = self.process.stdout.readline()  # type: ignore[union-attr]
        if not line:
            raise Failure(f"the process of {self.name} stopped early; its error is above.")
        return json.loads(line)

    def run(self, seconds: float) -> float:
        """The median time of a step, in microseconds."""
        self.process.stdin.write(f"{seconds}\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return self._answer()["median"]

    def stop(self) -> None:
        """End the process, and forget its caches."""
        self.process.communicate()
        self.caches.cleanup()


def compare(workload: str, libraries: list[str], rounds: int, seconds: float, quick: bool) -> Figures:
    """Times of a step, starts and memory of the libraries for one workload, and why some have none."""
    workers: dict[str, Worker] = {}
    with contextlib.ExitStack() as stack:
        for library in libraries:
            workers[library] = worker = Worker(library, workload, quick)
            stack.callback(worker.stop)
            worker.begin()
        skipped = {library: worker.first["skipped"] for library, worker in workers.items() if "skipped" in worker.first}
        workers = {library: worker for library, worker in workers.items() if library not in skipped}
        require_agreement(workload, {library: worker.first["losses"] for library, worker in workers.items()})
        times: dict[str, list[float]] = {library: [] for library in workers}
        for _ in range(rounds):
            for library, worker in workers.items():
                times[library].append(worker.run(seconds))
    peers = [library for library in workers if not library.startswith("micrograd_plus")]
    fastest = min(peers, key=lambda library: statistics.median(times[library]), default=None)
    figures = {
        library: {
            "step_us": statistics.median(times[library]),
            "relative_to_fastest_peer": ratio(times[library], times[fastest]) if fastest else None,
            "relative_to_pytorch": ratio(times[library], times["pytorch"]) if "pytorch" in times else None,
            "start_s": worker.first["start"],
            "memory_mib": worker.first["memory"],
            "loss": worker.first["losses"][-1],
        }
        for library, worker in workers.items()
    }
    return {"fastest_peer": fastest, "libraries": figures, "skipped": skipped}


def require_agreement(workload: str, losses: dict[str, list[float]]) -> None:
    """Fail unless all libraries had the same losses, whatever they compiled, fused or left out."""
    values = np.array(list(losses.values()))
    agree = len(values) == 0 or np.allclose(values, values[0], rtol=1e-3, atol=1e-6)
    if not agree:
        last = {library: found[-1] for library, found in losses.items()}
        raise Failure(f"{workload}: the losses of the first {CHECKED_STEPS} steps disagree; the last are {last}")


def ratio(times: list[float], others: list[float]) -> float:
    """The median over the rounds of one time to another of the same round."""
    return statistics.median(one / other for one, other in zip(times, others, strict=True))


def show(workload: str, title: str, figures: Figures) -> None:
    """Print the comparison of one workload."""
    fastest = figures["fastest_peer"]
    print(f"\n{workload}: {title}\n  {'':<24}{'step':>12}{f'time / {fastest}':>28}{'start':>10}{'memory':>12}")
    for library, row in figures["libraries"].items():
        step = f"{row['step_us']:,.0f} µs" if row["step_us"] < 1e4 else f"{row['step_us'] / 1e3:,.1f} ms"
        relative = f"{row['relative_to_fastest_peer']:.2f}" if fastest else "–"
        memory = f"{row['memory_mib']:,.0f} MiB" if row["memory_mib"] is not None else "–"
        print(f"  {library:<24}{step:>12}{relative:>28}{row['start_s']:>8.2f} s{memory:>12}")
    for library, reason in figures["skipped"].items():
        print(f"  {library:<24}skipped: {reason}")


def installed(libraries: list[str]) -> list[str]:
    """Those of the libraries whose packages are there; says which are not."""
    there = []
    for library in libraries:
        package = LIBRARIES[library][0]
        if importlib.util.find_spec(package):
            there.append(library)
        else:
            print(f"{library} is left out: {package} is not installed")
    return there


def chosen(text: str | None, names: list[str], option: str) -> list[str]:
    """The names that an option lists, or all."""
    wanted = text.split(",") if text else names
    unknown = set(wanted) - set(names)
    if unknown:
        sys.exit(f"{option} must list some of {', '.join(names)}; got {', '.join(sorted(unknown))}.")
    return wanted


def main() -> None:
    """Measure, print, and write figures and chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="reduced models, short rounds: checks that all runs and agrees")
    parser.add_argument("--only", metavar="WORKLOADS", help=f"some of {','.join(FULL)}")
    parser.add_argument("--libraries", metavar="LIBRARIES", help=f"some of {','.join(LIBRARIES)}")
    parser.add_argument("--rounds", type=int, help="how often each library has its turn, 9 by default")
    parser.add_argument("--output", type=Path, help="folder of results.json and chart.png; by default this one, if all was run")
    options = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a run takes minutes: show what there is
    rounds, seconds = options.rounds or (2 if options.quick else 9), 0.1 if options.quick else 1.0
    workloads = chosen(options.only, list(QUICK if options.quick else FULL), "--only")
    libraries = installed(chosen(options.libraries, list(LIBRARIES), "--libraries"))

    recording = measure_recording(rounds, seconds / 2)
    print(f"a recorded multiplication of (32, 16): {recording['recorded_us']:.2f} µs, NumPy's {recording['numpy_us']:.2f} µs")
    print(f"one training step (forward, backward, Adam), {THREADS} threads, median of {rounds} rounds in turn")
    results: dict[str, Figures] = {}
    failures: list[str] = []
    for workload in workloads:
        try:
            results[workload] = compare(workload, libraries, rounds, seconds, options.quick)
        except Failure as failure:
            print(f"\n{failure}", flush=True)
            failures.append(str(failure))
        else:
            show(workload, "reduced" if options.quick else described(workload), results[workload])
    if failures:
        sys.exit("\n".join(["\nfailed, so nothing is written:", *failures]))
    print(f"\ntime / peer: below 1 is faster. All losses of {CHECKED_STEPS} steps agree.")

    output = options.output
    if output is None and not (options.quick or options.only or options.libraries):
        output = HERE
    if output:
        settings = {"threads": THREADS, "rounds": rounds, "seconds": seconds, "quick": options.quick}
        document = {"machine": machine(), "settings": settings, "recording": recording, "workloads": results}
        (output / "results.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        draw(document, output / "chart.png")
        print(f"written: {output / 'results.json'}, {output / 'chart.png'}")


if __name__ == "__main__":
    main()

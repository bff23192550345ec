"""One library with one workload, in a process of its own: `worker.py LIBRARY WORKLOAD [--quick]`, started by `compare.py`.

It prints one line of JSON when it is ready: {"losses": [...], "start": seconds, "memory": MiB}, or {"skipped": why}. For each
line that it then reads, the number of seconds to run, it prints {"median": microseconds per step}; at the end of input, it stops.
"""

import contextlib
import importlib
import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from workloads.problems import CHECKED_STEPS, THREADS, TIMED_LR, Unsupported, problem

# name: (the package that it needs, the module in workloads/, settings of its `training`)
LIBRARIES: dict[str, tuple[str, str, dict[str, object]]] = {
    "micrograd_plus": ("micrograd_plus", "micrograd_plus", {}),
    "micrograd_plus.compile": ("micrograd_plus", "micrograd_plus", {"compiled": True}),
    "pytorch": ("torch", "pytorch", {}),
    "torch.compile": ("torch", "pytorch", {"compiled": "loss"}),
    "torch.compile step": ("torch", "pytorch", {"compiled": "step"}),
    "jax.jit": ("jax", "jax", {}),
    "mygrad": ("mygrad", "mygrad", {}),
    "autograd": ("autograd", "autograd", {}),
}


def timed(step: Callable[[], object], seconds: float) -> float:
    """The median time of a step in microseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def use_cores(count: int) -> None:
    """Keep this process on so many cores, of different physical ones where there are enough: some libraries can't be told a number."""
    if not hasattr(os, "sched_setaffinity"):
        return
    allowed = sorted(os.sched_getaffinity(0))
    physical = {_siblings(cpu): cpu for cpu in reversed(allowed)}
    chosen = sorted(physical.values())[:count]
    os.sched_setaffinity(0, (chosen + [cpu for cpu in allowed if cpu not in chosen])[:count])


def _siblings(cpu: int) -> str:
    """What names the physical core of a logical one."""
    with contextlib.suppress(OSError):
        return Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text().strip()
    return str(cpu)


def memory(name: str) -> float | None:
    """VmRSS, the memory that this process has now, or VmHWM, the most since `forget_peak`, in MiB; None where there is no /proc."""
    with contextlib.suppress(OSError):
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
        return int(found[1]) / 1024 if found else None
    return None


def forget_peak() -> None:
    """Make the peak what the process has now."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Serve."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    library, workload, *rest = sys.argv[1:]
    use_cores(THREADS)
    _, module, settings = LIBRARIES[library]
    training = importlib.import_module(f"workloads.{module}").training
    given = problem(workload, quick="--quick" in rest)
    before = memory("VmRSS")
    started = time.perf_counter()
    try:
        step, set_lr = training(given, **settings)
    except Unsupported as reason:
        answers.write(json.dumps({"skipped": str(reason)}) + "\n")
        return
    losses = [step()]
    start = time.perf_counter() - started
    losses += [step() for _ in range(CHECKED_STEPS - 1)]
    set_lr(TIMED_LR)
    forget_peak()
    for _ in range(3):
        step()
    peak = memory("VmHWM")
    used = None if before is None or peak is None else peak - before
    answers.write(json.dumps({"losses": losses, "start": start, "memory": used}) + "\n")
    for line in sys.stdin:
        answers.write(json.dumps({"median": timed(step, float(line))}) + "\n")


if __name__ == "__main__":
    main()

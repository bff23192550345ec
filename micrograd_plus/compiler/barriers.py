"""Chapter 4, concluded: where threads wait for one another.

Of each array that a call touches, the elements that each thread touches are known as a run, from the first to the last, by the strides
that the kernel has along the axes that are shared out. Two calls need a barrier between them where one writes what, in the other,
another thread reads or writes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .c_loop import Loop
from .c_single import product_split
from .c_values import Argument
from .graph import Node
from .schedule import Kernel, Place, Schedule, contiguous, offset


@dataclass
class Call:
    """A call of a function by all threads: for which kernel, on what, and whether all wait before it."""

    kernel: Kernel
    name: str
    arrays: list[Argument]
    barrier: bool = False


Ranges = tuple[tuple[int, int], ...]  # the elements that each thread touches


@dataclass
class Touch:
    """An array that a call reads or writes: its memory, and the elements that each thread touches."""

    memory: Any
    begin: int
    end: int
    ranges: Ranges
    written: bool

    @property
    def where(self) -> Place | None:
        """The place, None for the arena."""
        return self.memory if isinstance(self.memory, Place) else None


def barriers(plan: Schedule, calls: Sequence[Call]) -> None:
    """Let all threads wait before a call that touches what another thread may still be writing or reading."""
    if plan.threads == 1:
        return
    alone, shared = Touches(), Touches()  # since the last barrier, by kernels of the first thread alone, and by all threads
    for call in calls:
        touches, parallel = _touches(plan, call), call.kernel.parallel
        call.barrier = any(shared.conflict(touch) or (parallel and alone.conflict(touch)) for touch in touches)
        if call.barrier or call.kernel.kind == "check":
            alone, shared = Touches(), Touches()
        if call.kernel.kind != "check":
            (shared if parallel else alone).add(touches)


class Touches:
    """Touches by where they are, and whether they write: two that read never conflict, nor two of different memory."""

    def __init__(self) -> None:
        self.found: dict[tuple[Any, bool], list[Touch]] = {}

    def add(self, touches: Sequence[Touch]) -> None:
        for touch in touches:
            self.found.setdefault((touch.where, touch.written), []).append(touch)

    def conflict(self, touch: Touch) -> bool:
        others = self.found.get((touch.where, True), [])
        if touch.written:
            others = others + self.found.get((touch.where, False), [])
        return any(_conflict(touch, other) for other in others)


def _conflict(a: Touch, b: Touch) -> bool:
    """Whether a thread touches what another one does, in memory of the same place, or of the arena, that one of them writes."""
    if a.where is None and (a.begin >= b.end or b.begin >= a.end):
        return False
    if a.memory != b.memory or len(a.ranges) == 0:
        return any(s[0] < s[1] and u[0] < u[1] for i, s in enumerate(a.ranges) for k, u in enumerate(b.ranges) if i != k)
    return any(max(s[0], u[0]) < min(s[1], u[1]) for i, s in enumerate(a.ranges) for k, u in enumerate(b.ranges) if i != k)


def part(n: int, t: int, threads: int, step: int = 1) -> int:
    """Where thread t's share of n begins; the C functions part and parts."""
    return min(n, -(-(n * t // threads) // step) * step)


def _touches(plan: Schedule, call: Call) -> list[Touch]:
    kernel, threads = call.kernel, plan.threads
    found = []
    loop = Loop(plan, kernel) if kernel.kind == "loop" and kernel.parallel else None
    for node, written, _ in call.arrays:
        where = plan.memory[node]
        begin = 0 if isinstance(where, Place) else where
        end = begin + node.size * node.dtype.itemsize
        everything = ((0, node.size),) * threads
        if not kernel.parallel:
            ranges: Ranges = ((0, node.size), *((0, 0) for _ in range(threads - 1)))
        elif node.op == "partial" and written:
            size = node.size // threads
            ranges = tuple((t * size, (t + 1) * size) for t in range(threads))
        else:
            ranges = _ranges(plan, call, loop, node, written) or everything
        found.append(Touch(where, begin, end, ranges, written))
    return found


def _ranges(plan: Schedule, call: Call, loop: Loop | None, node: Node, written: bool) -> Ranges | None:
    """For each thread, a run of elements that holds all that it touches of an array; None where that is all of it."""
    kernel, threads = call.kernel, plan.threads
    if call.arrays[0][0].op == "partial" and not call.arrays[0][1]:  # a combination
        return tuple((part(node.size, t, threads), part(node.size, t + 1, threads)) for t in range(threads)) if written else None
    if kernel.kind == "fill":
        return tuple((part(node.size, t, threads, 16), part(node.size, t + 1, threads, 16)) for t in range(threads))
    if loop is not None:
        memory = plan.memory[node]
        outer, step = (loop.dims[: loop.outer], 1) if loop.outer else (loop.dims, 16)
        every = []
        for access in loop.accesses.values():
            if access.node.op != "iota" and plan.memory[access.node] == memory:
                inner = list(zip(loop.dims[len(outer) :], access.strides[len(outer) :], strict=True))
                every.append(_run(outer, access.strides[: len(outer)], access.start, inner, threads, step))
        return _hull(every)
    if kernel.kind in ("matmul", "correlate", "correlate_input"):
        return _product_ranges(plan, kernel, node, written)
    return None


def _product_ranges(plan: Schedule, kernel: Kernel, node: Node, written: bool) -> Ranges | None:
    """Those of products: by batch, by rows, or by examples, of the result and of what is read in the same order."""
    single = kernel.nodes[0]
    split = "examples" if single.op != "matmul" else product_split(plan, kernel, single)
    if split not in ("rows", "batch", "examples"):
        return None
    every = []
    views = (
        [contiguous(single)]
        if written
        else [strided for base, strided in map(plan.fuser.seen, plan.fuser.operands[single]) if plan.memory.get(base) == plan.memory[node]]
    )
    last = plan.fuser.seen(plan.fuser.operands[single][1])[0]  # what rows and examples are all multiplied by
    if not written and split != "batch" and plan.memory.get(last) == plan.memory[node]:
        return None
    for strided in views:
        axes = {"rows": strided.ndim - 1, "batch": strided.ndim - 2, "examples": 1}[split]
        if split == "rows" and strided.ndim > 2:
            return None
        strides = [s // strided.itemsize for s in strided.strides]
        inner = list(zip(strided.shape[axes:], strides[axes:], strict=True))
        every.append(_run(strided.shape[:axes], strides[:axes], offset(strided), inner, plan.threads, 1))
    return _hull(every)


def _hull(every: Sequence[Ranges | None]) -> Ranges | None:
    known = [ranges for ranges in every if ranges is not None]
    if not every or len(known) < len(every):
        return None
    return tuple((min(a for a, _ in each), max(b for _, b in each)) for each in zip(*known, strict=True))


def _run(
    outer: Sequence[int], strides: Sequence[int], start: int, inner: Sequence[tuple[int, int]], threads: int, step: int
) -> Ranges | None:
    """The elements from the first to the last that each thread touches, where it takes its share of the outer axes in C order."""
    if any(s < 0 for s in strides) or any(s < 0 for _, s in inner):
        return None
    for (n, s), before in zip(list(zip(outer, strides, strict=True))[1:], strides, strict=False):
        if before < s * (n - 1):  # not in the order of memory
            return None
    width = sum((n - 1) * s for n, s in inner) + 1
    total, found = math.prod(outer), []
    for t in range(threads):
        lo, hi = part(total, t, threads, step), part(total, t + 1, threads, step)
        if lo >= hi:
            found.append((0, 0))
            continue
        first, last = (sum(i * s for i, s in zip(np.unravel_index(at, outer), strides, strict=True)) for at in (lo, hi - 1))
        found.append((start + int(first), start + int(last) + width))
    return tuple(found)

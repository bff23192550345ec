"""What became of a function: the passes, the kernels, their time and memory, as text and as a page.

`Compiled.explain()` makes an `Explanation` of the newest native step. Its times are of two kinds.

*Measured*: the step is run some dozen times on copies of all that it reads, in memory of its own, so that nothing of the user's
changes: no parameter, no gradient, no generator. Each kernel notes when it is done; all threads then wait for one another, which they
do not always have to otherwise, so the kernels together may take longer than the step. A time is the least of all runs: what other
programs take from it in between is not counted.

*Estimated*: a kernel takes as long as the slowest of three things would take alone:

    memory       bytes read and written / those that a copy of as many moves per second
    products     floating-point operations of matrix products and convolutions / those per second of one product
    arithmetic   elementwise operations, divisions and roots weighed four times, exp and its like ten times / those per second

The speeds are measured once in a process, in about 50 ms, on one thread (`speeds`). All are multiplied by the number of threads, but for
copies too big for any cache. What is measured well above its estimate is worth a look: its loop is not a vector loop, or its threads wait.
"""

import copy
import ctypes
import functools
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..explain.lines import Line
from ..files import replacing
from ..tensor import Tensor
from . import build
from .barriers import Call
from .c import program
from .graph import ELEMENTWISE, VIEWS, Node
from .memory import address, aligned
from .run import Compiled, Step, _key
from .schedule import CHEAP, SOURCES, Fuser, Kernel, Place, Schedule, _room, cost

SIZES = tuple(1 << i for i in (18, 20, 22, 24, 26))  # bytes that the copies move whose speed is measured
BUDGET = 1.0  # seconds that a step is measured for
RUNS = 3, 101  # at least, at most
BUSY = "\nThe machine is busy: in their best runs, the kernels below took much less than the step did."
SHOWN = 40  # rows of the table of kernels in a terminal

KINDS: dict[str, tuple[str, ...]] = {
    "sources": SOURCES,
    "elementwise": (*ELEMENTWISE, "cast", "copy"),
    "views": VIEWS,
    "reductions": ("reduce", "scan", "arg"),
    "movement": ("gather", "scatter", "place", "fold"),
    "products": ("matmul", "correlate", "correlate_input", "correlate_weight"),
}
KIND = {op: kind for kind, ops in KINDS.items() for op in ops}


@dataclass(frozen=True)
class Speeds:
    """What one thread of this machine does in a second.

    Attributes:
        copies: bytes moved, for copies that move as many as `SIZES` says: the small ones in the cache, the last one in memory.
        product: floating-point operations of a matrix product.
        simple: elementwise operations.
    """

    copies: tuple[float, ...]
    product: float
    simple: float


@dataclass(frozen=True)
class KernelReport:
    """One kernel.

    Attributes:
        index: its place in the order of running.
        name: of the C function that computes it; equal kernels share one.
        kind: "products", "loops" or "other".
        operations: what it computes, in order.
        inputs: of a product, the shapes of its operands.
        shape: that it runs over.
        lines: of the user's, that its operations are from.
        read, written: bytes of arrays in memory.
        flops: floating-point operations of a product.
        estimated, measured: seconds.
        bound: what the estimate is of: "memory", "products" or "arithmetic".
        waits: whether all threads wait for one another before it.
        parallel: whether all threads take part in it.
        source: its C functions.
    """

    index: int
    name: str
    kind: str
    operations: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    shape: tuple[int, ...]
    lines: tuple[Line, ...]
    read: int
    written: int
    flops: int
    estimated: float
    measured: float
    bound: str
    waits: bool
    parallel: bool
    source: str

    def __str__(self) -> str:
        return self.name.partition("_")[2] or self.name


@dataclass(frozen=True)
class Buffer:
    """A value in the arena: which, its place in bytes, and the kernels between which it is needed."""

    name: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Explanation:
    """What became of a function. Prints as a table; in a notebook, shows as a page.

    Attributes:
        function: its name.
        threads: that the step runs on.
        traced, simplified: how many nodes of each kind the graph has, as traced and after `simplify`.
        kernels: in the order of running.
        buffers: the values in the arena.
        arena: its bytes.
        values: bytes of all that the simplified graph computes: what would be stored without fusing.
        outside: bytes of the parameters, gradients, moments, arguments and results, which lie outside of the arena.
        seconds: of the phases "trace", "passes" and "C".
        cached: whether the C compiler's work was found in the cache folder.
        measured: seconds of the native step.
        entry: seconds of it for the call from Python and the start of the threads.
        speeds: of this machine, for the estimates.
    """

    function: str
    threads: int
    traced: dict[str, int]
    simplified: dict[str, int]
    kernels: tuple[KernelReport, ...]
    buffers: tuple[Buffer, ...]
    arena: int
    values: int
    outside: int
    seconds: dict[str, float]
    cached: bool
    measured: float
    entry: float
    speeds: Speeds

    @property
    def stored(self) -> int:
        """Bytes of all values in the arena, had each a place of its own."""
        return sum(buffer.size for buffer in self.buffers)

    @property
    def busy(self) -> bool:
        """Whether the step took much longer than its kernels in their best runs, for other programs kept its threads from running."""
        return self.measured > 2e-5 + 1.5 * sum(kernel.measured for kernel in self.kernels)

    @property
    def barriers(self) -> int:
        """How often all threads wait for one another."""
        return sum(kernel.waits for kernel in self.kernels)

    def __str__(self) -> str:
        return text(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        from .page import page

        return f'<iframe srcdoc="{escape(page(self))}" style="width: 100%; height: 44rem; border: 0" title="explain()"></iframe>'


def explain(compiled: Compiled, html: str | os.PathLike[str] | None = None) -> Explanation:
    """Explain the newest native step of a compiled function; see `Compiled.explain`."""
    step = compiled.step
    kernels = _kernels(step)
    seconds = dict(zip(("trace", "passes", "C"), step.seconds, strict=True))
    places = {place.index: _bytes(node) for node, place in step.plan.memory.items() if isinstance(place, Place)}
    times, measured, entry = measure(step)
    speed = speeds()
    reports = []
    for number, (kernel, calls) in enumerate(kernels):
        reports.append(_report(step, speed, number, kernel, calls, sum(times[i] for i, _ in calls)))
    found = Explanation(
        function=getattr(compiled, "__name__", type(compiled).__name__),
        threads=step.threads,
        traced=_counts(step.before),
        simplified=_counts(step.nodes),
        kernels=tuple(reports),
        buffers=_buffers(step.plan),
        arena=step.plan.arena,
        values=sum(_bytes(node) for node in step.nodes if KIND[node.op] not in ("sources", "views")),
        outside=sum(places.values()),
        seconds=seconds,
        cached=step.cached,
        measured=measured,
        entry=entry,
        speeds=speed,
    )
    if html is not None:
        from .page import page

        with replacing(html) as path:
            path.write_text(page(found), encoding="utf-8")
    return found


def listing(nodes: Iterable[Node]) -> str:
    """The nodes of a graph, numbered, one a line, as chapter 2 writes them.

    >>> from .trace import Trace, ordered
    >>> trace = Trace()
    >>> x = trace.input("x", (2, 3), np.float32)
    >>> print(listing(ordered([np.exp(x).sum(axis=1).node])))
    n0 = input x                 float32 (2, 3)
    n1 = exp n0                  float32 (2, 3)
    n2 = reduce n1 sum (1,)      float32 (2, 1)
    n3 = reshape n2              float32 (2,)
    """
    numbers: dict[Node, str] = {}
    rows = []
    for node in nodes:
        numbers[node] = f"n{len(numbers)}"
        words = [node.op, *(numbers[x] for x in node.inputs)]
        for part in node.attrs:
            words.append(" ".join(str(x) for x in part) if isinstance(part, tuple) and part and isinstance(part[0], str) else _short(part))
        rows.append((numbers[node], " ".join(words), f"{node.dtype} {node.shape}"))
    first, second = (max(len(row[i]) for row in rows) for i in (0, 1))
    return "\n".join(f"{name:{first}} = {what:{max(second, 22)}}  {kind}" for name, what, kind in rows)


def _short(x: Any) -> str:
    return f"{x:.6g}" if isinstance(x, float) else str(x)


# -- what is in a plan ---------------------------------------------------------------------------------------------------


def _counts(nodes: Sequence[Node]) -> dict[str, int]:
    counts = dict.fromkeys(KINDS, 0)
    for node in nodes:
        counts[KIND[node.op]] += 1
    return counts


def _kernels(step: Step) -> list[tuple[Kernel, list[tuple[int, Call]]]]:
    """Each kernel with its calls, and their numbers: a kernel whose threads add up arrays of their own has one more for each."""
    found: list[tuple[Kernel, list[tuple[int, Call]]]] = []
    for i, call in enumerate(step.calls):
        if not found or found[-1][0] is not call.kernel:
            found.append((call.kernel, []))
        found[-1][1].append((i, call))
    return found


def _report(step: Step, speed: Speeds, index: int, kernel: Kernel, calls: list[tuple[int, Call]], measured: float) -> KernelReport:
    plan = step.plan
    read, written, flops = _read(plan, kernel), _written(kernel), _flops(kernel)
    estimated, bound = _estimate(speed, read + written, flops, _arithmetic(kernel), plan.threads if kernel.parallel else 1)
    lines = dict.fromkeys(node.line for node in kernel.nodes if node.line)
    biggest = max(kernel.nodes, key=lambda node: max((node.size, *(x.size for x in node.inputs))), default=None)
    shape: tuple[int, ...] = ()
    if biggest is not None:
        shape = biggest.inputs[0].shape if biggest.op == "reduce" else biggest.shape
    return KernelReport(
        index=index,
        name=calls[0][1].name,
        kind="products" if kernel.kind in KINDS["products"] else "loops" if kernel.kind == "loop" else "other",
        operations=tuple(node.attrs[0] if node.op == "reduce" else node.op for node in kernel.nodes) or (kernel.kind,),
        inputs=tuple(x.shape for x in kernel.nodes[0].inputs) if kernel.kind in KINDS["products"] else (),
        shape=shape,
        lines=tuple(lines),
        read=read,
        written=written,
        flops=flops,
        estimated=estimated,
        measured=measured,
        bound=bound,
        waits=any(call.barrier for _, call in calls),
        parallel=kernel.parallel,
        source="\n".join(dict.fromkeys(_function(step.source, call.name) for _, call in calls)),
    )


def _function(source: str, name: str) -> str:
    """A function of a C file, without its comment."""
    start = source.rindex("\n", 0, source.index(f" {name}(const int t")) + 1
    return source[start : source.index("\n}\n", start) + 3]


def _read(plan: Schedule, kernel: Kernel) -> int:
    """Bytes of the elements that a kernel reads from memory, each once."""
    touched: dict[Node, int] = {}
    for node in kernel.nodes:
        for position, x in enumerate(plan.fuser.operands.get(node, node.inputs)):
            base, strided = plan.fuser.seen(x)
            if base not in plan.memory or plan.fuser.home.get(base) is kernel:
                continue
            seen = math.prod(n for n, s in zip(strided.shape, strided.strides, strict=True) if s)
            if node.op == "gather" and position == 0:
                seen = node.size
            touched[base] = min(touched.get(base, 0) + seen, base.size)
    for base in kernel.reads if not kernel.nodes else ():
        touched[base] = base.size
    return int(sum(count * base.dtype.itemsize for base, count in touched.items())) + _partial(kernel)


def _written(kernel: Kernel) -> int:
    stored = [(store.target if kernel.kind == "fill" else store.node) for store in kernel.stores]
    return sum(_bytes(node) for node in stored) + _partial(kernel)


def _partial(kernel: Kernel) -> int:
    """Bytes of the arrays in which the threads add up, each its own: they are written, then read."""
    return sum(_bytes(node) for node in kernel.partial.values())


def _bytes(node: Node) -> int:
    return int(node.size * node.dtype.itemsize)


def _flops(kernel: Kernel) -> int:
    """Multiplications and additions of a product."""
    if kernel.kind not in KINDS["products"]:
        return 0
    (node,) = kernel.nodes
    x, y = node.inputs
    match node.op:
        case "matmul":
            return 2 * node.size * x.shape[-1]
        case "correlate":
            return 2 * node.size * y.shape[0]
        case "correlate_input":
            return 2 * x.size * y.shape[0]
    return 2 * y.size * math.prod(node.shape[:-1])


def _arithmetic(kernel: Kernel) -> float:
    """Elementwise operations, in simple ones."""
    if kernel.kind != "loop":
        return cost(kernel)
    total = 0.0
    for node in kernel.nodes:
        weight = 4 if node.op in ("divide", "sqrt", "gather") else 1 if node.op in CHEAP or node.op == "reduce" else 10
        total += weight * max([node.size, *(x.size for x in node.inputs if node.op == "reduce")])
    return total


def _estimate(speed: Speeds, moved: int, flops: int, operations: float, threads: int) -> tuple[float, str]:
    level = next((i for i, most in enumerate(SIZES) if moved <= most), len(SIZES) - 1)
    bandwidth = speed.copies[level] * (threads if level < len(SIZES) - 1 else 1)
    parts = {"memory": moved / bandwidth, "products": flops / (speed.product * threads)}
    if not flops:
        parts["arithmetic"] = operations / (speed.simple * threads)
    bound = max(parts, key=lambda name: parts[name])
    return parts[bound], bound


def _buffers(plan: Schedule) -> tuple[Buffer, ...]:
    """The values in the arena, by the kernels that write and read them."""
    times: dict[Node, list[int]] = {}
    for time_, kernel in enumerate(plan.kernels):
        for node in (*kernel.partial.values(), *(store.target for store in kernel.stores), *kernel.reads):
            times.setdefault(node, []).append(time_)
    found = []
    for node, where in plan.memory.items():
        if not isinstance(where, Place):
            name = node.attrs[0] if node.op == "reduce" else node.op
            found.append(Buffer(f"{name} {node.shape} {node.dtype}", where, _room(node), min(times[node]), max(times[node])))
    return tuple(sorted(found, key=lambda buffer: (buffer.first, buffer.offset)))


# -- times ---------------------------------------------------------------------------------------------------------------


def measure(step: Step) -> tuple[list[float], float, float]:
    """Seconds of each call of a step, of the whole step, and of a step without kernels, on copies of the first call's arguments.

    Raises:
        RuntimeError: a check on values fails, for an argument has been overwritten since.
    """
    native = build.load(build.build(step.source))
    places = _copies(step)
    table, arena = (ctypes.c_void_p * max(step.size, 1))(), aligned(step.plan.arena)
    for place, array in places.items():
        table[place] = address(array)
    marks = np.zeros(max(len(step.calls), 1))
    arguments = ctypes.addressof(table), address(arena)
    empty, _ = program(Schedule([], {}, 0, Fuser(), step.plan.threads, {}))
    nothing = build.load(build.build(empty))
    entry = min(_repeated(lambda: _timed(nothing, (*arguments, None), None)))
    wholes = _repeated(lambda: _timed(native, (*arguments, None), None))
    runs = _repeated(lambda: _timed(native, (*arguments, address(marks)), marks[: len(step.calls)]))
    times = [max(min(column), 0.0) for column in zip(*runs, strict=True)]
    if times:
        times[0] = max(times[0] - entry, 0.0)
    return times, min(wholes), entry


def _timed(native: Callable[..., int], arguments: tuple[Any, ...], marks: Any) -> Any:
    """Seconds of a call, or, from the times that it notes, of each of its parts."""
    start = time.clock_gettime(time.CLOCK_MONOTONIC)  # the clock of the marks
    failed = native(*arguments)
    seconds = time.clock_gettime(time.CLOCK_MONOTONIC) - start
    if failed:
        raise RuntimeError(
            "explain() runs the step on the arguments of the call that it was traced in, and on these a check on values fails: "
            "they have been overwritten. Call the compiled function with other shapes, or compile it anew, and explain it then."
            if failed == 1
            else f"OpenMP gives fewer threads than the step was made for (error {failed}). Pass threads=1 to compile()."
        )
    return seconds if marks is None else np.diff(marks, prepend=start).tolist()


def _repeated(run: Callable[[], Any]) -> list[Any]:
    """Results of some runs, after one that brings everything into the caches."""
    run()
    found: list[Any] = []
    stop = time.perf_counter() + BUDGET / 2
    while len(found) < RUNS[0] or (len(found) < RUNS[1] and time.perf_counter() < stop):
        found.append(run())
    return found


def _copies(step: Step) -> dict[int, np.ndarray]:
    """Arrays for the table of pointers: copies of all inputs, and room for the outputs."""
    state, trace = step.state, step.captured.trace
    leaves: list[Any] = []
    for part in step.kept:
        _key(part, leaves)
    generators: dict[int, Any] = {}
    drawn = []
    for generator, distribution, args, kwargs, _ in trace.draws:
        twin = generators.setdefault(id(generator), copy.deepcopy(generator))
        drawn.append(np.asarray(getattr(twin, distribution)(*args, **kwargs)))
    entries = list(trace.numbers.values())
    places = {step.places[kind, i]: np.zeros(node.shape, node.dtype) for kind, i, node, _ in step.wanted}
    for node in step.sources:
        if node.op == "array":
            places[step.places["source", node.attrs]] = np.array(trace.arrays[node.attrs[0]], order="C")
            continue
        kind, i = node.attrs[0]
        match kind:
            case "argument":
                x = leaves[step.known[i]]
                value: Any = x._data if isinstance(x, Tensor) else x
            case "data":
                value = state.tensors[i]._data
            case "grad":
                value = state.tensors[i].grad
            case "argument grad":
                value = leaves[step.known[i]].grad
            case "array":
                value = state.arrays[i][2]
            case "number":
                owner, name = entries[i][:2]
                value = owner[name] if isinstance(owner, dict) else getattr(owner, name)
            case "draw":
                value = drawn[i]
        places[step.places["source", node.attrs]] = np.array(value, node.dtype, order="C")
    return places


@functools.cache
def speeds() -> Speeds:
    """What one thread of this machine does in a second, the best of some tries."""
    from scipy.linalg import blas

    build.products()  # holds SciPy's products to one thread
    source, target = np.ones((2, SIZES[-1] // 8), np.float32)
    square = np.ones((384, 384), np.float32, order="F")
    some, out = source[: 1 << 15], target[: 1 << 15]

    def best(run: Callable[[], Any], times: int) -> float:
        found = []
        for _ in range(times):
            start = time.perf_counter()
            run()
            found.append(time.perf_counter() - start)
        return min(found)

    def copied(count: int) -> float:
        a, b = target[: count // 8], source[: count // 8]
        return count / best(lambda: np.copyto(a, b), 3 + 50 * (count <= SIZES[1]))

    return Speeds(
        copies=tuple(copied(count) for count in SIZES),
        product=2 * 384**3 / best(lambda: blas.sgemm(1.0, square, square), 5),
        simple=10 * out.size / best(lambda: np.exp(some, out=out), 20),
    )


# -- as text -------------------------------------------------------------------------------------------------------------


def text(e: Explanation) -> str:
    """An explanation for a terminal."""
    build_ = f"C {duration(e.seconds['C'])}{', from the cache' if e.cached else ', with the C compiler'}"
    rows = [["", "kernel", "shape", "line", "read", "written", "estimated", "measured", ""]]
    slowest = sorted(e.kernels, key=lambda kernel: -kernel.measured)[:SHOWN]
    total = sum(kernel.measured for kernel in e.kernels) or 1.0
    for kernel in e.kernels:
        if kernel in slowest:
            where = str(kernel.lines[0]) if kernel.lines else ""
            times = duration(kernel.estimated), duration(kernel.measured), f"{kernel.measured / total:.0%}"
            rows.append([str(kernel.index), str(kernel), str(kernel.shape), where, size(kernel.read), size(kernel.written), *times])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    left = (1, 2, 3)
    table = ["  ".join(f"{x:{w}}" if i in left else f"{x:>{w}}" for i, (x, w) in enumerate(zip(row, widths, strict=True))) for row in rows]
    others = len(e.kernels) - len(slowest)
    if others:
        rest = total - sum(kernel.measured for kernel in slowest)
        table.append(f"and {others} more kernels, {duration(rest)} together")
    threads = f"{e.threads} thread{'s' if e.threads > 1 else ''}"
    waits = f", which wait for one another {e.barriers} times" if e.threads > 1 else ""
    return "\n".join(
        [
            f"{e.function}: a native step of {duration(e.measured)} on {threads}{waits}{BUSY if e.busy else ''}",
            "",
            f"  trace   {sum(e.traced.values()):6} operations  {counted(e.traced)}",
            f"  passes  {sum(e.simplified.values()):6} operations  {counted(e.simplified)}",
            f"          {len(e.kernels):6} kernels     of {len({kernel.name for kernel in e.kernels})} C functions",
            f"  memory  {size(e.arena)} in the arena for {len(e.buffers)} values of {size(e.stored)}; "
            f"unfused, all values are {size(e.values)}; {size(e.outside)} lie outside",
            f"  built   trace {duration(e.seconds['trace'])}, passes {duration(e.seconds['passes'])}, {build_}",
            "",
            *table,
            "",
            f"Estimates by the speed of one thread here: {spoken(e.speeds)}.",
        ]
    )


def spoken(speed: Speeds) -> str:
    """Speeds in words."""
    return (
        f"copies {size(speed.copies[0])}/s in the cache to {size(speed.copies[-1])}/s in memory,\n"
        f"products {speed.product / 1e9:.0f} Gflop/s, {speed.simple / 1e9:.1f} billion elementwise operations a second"
    )


def counted(counts: dict[str, int]) -> str:
    """Counts of kinds in words."""
    return ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)


def duration(seconds: float) -> str:
    """Seconds with a unit that fits."""
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.3g} {unit}" if seconds * scale < 1000 else f"{seconds * scale:.0f} {unit}"
    if seconds < 1e-6:
        return f"{seconds * 1e6:.2f} µs"
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-4 else f"{seconds * 1e6:.0f} µs"


def size(count: float) -> str:
    """Bytes with a unit that fits."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}" if count < 1000 * scale else f"{count / scale:.0f} {unit}"
    return f"{count:.0f} B"

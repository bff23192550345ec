"""Chapter 3, second half: which nodes are computed together, in which order, and where their values lie.

A *kernel* is one piece of work for all threads. Products, scatters and the like are kernels of their own. All else is in *loops*: a
loop kernel runs over the elements of one shape, and computes many nodes for an element while it is in a register. What is read by
nobody else is never stored.

A loop kernel may reduce over the last axes of its shape: then it runs over rows, and in each row in *phases*. In the first it
computes the maximum of the row, say, in the second the exponentials and their sum, in the third the quotients. A softmax, a layer
norm, a cross-entropy are so one kernel, whose rows stay in the first-level cache:

    for each row r:
        phase 0: for each column c: v1 = max(v1, x[r, c])
        phase 1: for each column c: v2 = exp(x[r, c] - v1); v3 += v2
        phase 2: for each column c: y[r, c] = v2 / v3

Reductions over other axes, such as the sum over a batch for the gradient of a bias, add up in an array of each thread's own; what
reads them is in another kernel.

A `Fuser` gives each node to a kernel. A node joins the newest kernel that computes one of its inputs, or reads it, if

    - both run over as many elements, in the same order;
    - each input is computed in this kernel for the same element or row, or else is in memory before the kernel starts;
    - no kernel would have to wait for itself: for each kernel, a set of all those before it is kept.

Where a node needs values of two kernels that could have been one, they are made one. A value that is cheap to compute again, from what lies
in memory in any case, is computed again in each kernel that needs it, rather than stored: the mask of a ReLU, the half of a sum.

`order` puts the kernels in a row; `allocate` gives each value that must lie in memory a place in one arena, where places are used
again once all that reads them is done. Outputs are computed where they are wanted: a gradient in `p.grad`, a parameter in
`p.data`, after all that reads its old value.

References: tinygrad's scheduler, for kernels as fused expressions between the values that are stored; TVM's and inductor's, for
loops with reductions.
"""

import heapq
import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .graph import ELEMENTWISE, VIEWS, Node, ordered, view

SOURCES = ("input", "array", "constant", "iota")
CHEAP = {
    *("add", "subtract", "multiply", "negative", "maximum", "minimum", "absolute", "square", "cast", "where", "copy"),
    *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and", "logical_or", "logical_not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "invert"),
}
SMALL = 64  # elements of a loop that is run as early as it can be
LONGEST = 200  # nodes of a loop: more take the C compiler too long
SERIAL = 20_000  # operations that one thread does in the time that it takes to bring others in
ALIGNMENT = 64  # bytes: of a cache line, and of the widest vectors


@dataclass(frozen=True)
class Place:
    """Where a value lies that is not in the arena: entry `index` of the table of pointers that the step is called with."""

    index: int


@dataclass
class Store:
    """A value written by a kernel: into the memory of `target`, or into slices of it."""

    node: Node
    target: Node
    slices: Any = None


class Kernel:
    """Work for all threads.

    Attributes:
        kind: "loop", "fill", "check", or the operation of its only node.
        nodes: what it computes, in order.
        size: of a loop, the number of elements that it runs over.
        inner: of a loop with reductions over its last axes, the number of elements in a row; else None.
        bounds: of a loop, the products of the last 1, 2, ... axes' sizes: all shapes that it must know.
        stores: what it writes.
        reads: what it reads from memory, and how it is seen.
        parallel: whether it is worth all threads.
        partial: of each reduction that adds up in arrays of the threads' own, these arrays.
        before: a set of kernels, as bits, that must be done.
    """

    def __init__(self, index: int, kind: str, size: int = 0) -> None:
        self.index, self.kind, self.size = index, kind, size
        self.nodes: list[Node] = []
        self.inner: int | None = None
        self.bounds: set[int] = {1, size}
        self.stores: list[Store] = []
        self.before = 0
        self.reads: dict[Node, list[Any]] = {}
        self.fill: Any = None
        self.parallel = True
        self.partial: dict[Node, Node] = {}

    def __repr__(self) -> str:
        return f"kernel {self.index} {self.kind}: {', '.join(node.op for node in self.nodes)}"


@dataclass
class Schedule:
    """What is run.

    Attributes:
        kernels: in the order in which they are run.
        memory: of each value that lies in memory, a Place, or its offset in the arena, in bytes.
        arena: the arena's size in bytes.
        fuser: what knows of views, and of each node of a loop the level at which it is computed: "full" (for each element), "row", or
            "sum" (a reduction over other than the last axes).
        threads: that all kernels are made for.
        origins: the nodes of the graph that nodes here are copies of.
    """

    kernels: list[Kernel]
    memory: dict[Node, Place | int]
    arena: int
    fuser: "Fuser"
    threads: int
    origins: dict[Node, Node]


class Fuser:
    """Gives each node to a kernel."""

    def __init__(self) -> None:
        self.kernels: list[Kernel] = []
        self.home: dict[Node, Kernel] = {}  # the kernel that computes a node
        self.makers: dict[Node, int] = {}  # the kernels, as bits, after which it lies in memory
        self.level: dict[Node, str] = {}
        self.stored: set[Node] = set()  # the nodes that lie in memory
        self.readers: dict[Node, list[Kernel]] = {}
        self._seen: dict[Node, tuple[Node, np.ndarray]] = {}
        self._of_numbers: list[Kernel] = []
        self._awaited = 0  # the kernels, as bits, that some other one waits for
        self._checks: list[tuple[int, int]] = []  # the order of each check, and its kernel as a bit
        self._copies: dict[Node, Node] = {}
        self.operands: dict[Node, tuple[Node, ...]] = {}  # of a product, its inputs, or copies of them

    # -- views --------------------------------------------------------------------------------------------------------------

    def seen(self, node: Node) -> tuple[Node, np.ndarray]:
        """The value that a node is a view of, and a strided array, of no memory, that says where its elements are."""
        found = self._seen.get(node)
        if found is None:
            if node.op in VIEWS:
                base, strided = self.seen(node.inputs[0])
                if node.op != "reshape":
                    found = base, view(node, strided)
                else:
                    try:
                        found = base, np.reshape(strided, node.shape, copy=False)
                    except ValueError:  # NumPy would copy, and so must we
                        copy = self._copied(node.inputs[0])
                        found = copy, np.reshape(contiguous(copy), node.shape)
            else:
                found = node, contiguous(node)
            self._seen[node] = found
        return found

    def _copied(self, x: Node) -> Node:
        """A node that has the values of another one in C order."""
        copy = self._copies.get(x)
        if copy is None:
            self._copies[x] = copy = Node("copy", (x,), (), x.shape, x.dtype, line=x.line)
            copy.order = x.order
            self.loop(copy)
        return copy

    # -- kernels ------------------------------------------------------------------------------------------------------------

    def run(self, nodes: Iterable[Node], checks: set[Node]) -> None:
        """Give nodes, each after its inputs, to kernels."""
        for node in nodes:
            if node.op in SOURCES:
                self.makers[node] = 0
                self.stored.add(node)
            elif node.op in VIEWS:
                self.seen(node)
            elif node.op == "place":
                self._place(node)
            elif node.op in ELEMENTWISE or node.op in ("cast", "copy", "gather", "reduce"):
                self.loop(node)
            else:
                self.single(node, node.op)
            if node in checks:
                kernel = self.single(node, "check")
                self._checks.append((node.order, 1 << kernel.index))

    def _new(self, kind: str, size: int = 0) -> Kernel:
        kernel = Kernel(len(self.kernels), kind, size)
        self.kernels.append(kernel)
        return kernel

    def single(self, node: Node, kind: str) -> Kernel:
        """A kernel for one node, all of whose inputs lie in memory; a check is of a node."""
        inputs = (node,) if kind == "check" else node.inputs
        if kind in ("matmul", "correlate", "correlate_input"):
            matrices = inputs if kind == "matmul" else inputs[1:]
            self.operands[node] = inputs = tuple(x if x not in matrices or _in_runs(self.seen(x)[1]) else self._copied(x) for x in inputs)
        kernel = self._new(kind)
        for x in inputs:
            self._read(kernel, x)
        if node.op == "scatter":
            self._after_checks(kernel, node)
        if kind != "check":
            kernel.nodes.append(node)
            self._made(kernel, node)
            kernel.stores.append(Store(node, node))
            self.stored.add(node)
        return kernel

    def _made(self, kernel: Kernel, node: Node) -> None:
        self.home[node], self.makers[node] = kernel, 1 << kernel.index

    def _read(self, kernel: Kernel, x: Node) -> None:
        """Note that a kernel reads a value from memory."""
        base, strided = self.seen(x)
        if base.op in ("constant", "iota"):
            return
        self.stored.add(base)
        if base not in kernel.reads:
            kernel.reads[base] = []
            self.readers.setdefault(base, []).append(kernel)
        kernel.reads[base].append(strided)
        self.wait(kernel, self.makers[base])

    def wait(self, kernel: Kernel, kernels: int) -> None:
        """Run a kernel after others, given as bits."""
        every = kernels
        for i in _bits(kernels):
            every |= self.kernels[i].before
        if every & ~kernel.before:
            kernel.before |= every
            self._awaited |= every
            bit = 1 << kernel.index
            if self._awaited & bit:
                for other in self.kernels:
                    if other.before & bit:
                        other.before |= every

    def waits(self, kernels: int, kernel: Kernel) -> bool:
        """Whether one of some kernels is, or comes after, this one."""
        bit = 1 << kernel.index
        return bool(kernels & bit) or any(self.kernels[i].before & bit for i in _bits(kernels))

    def _after_checks(self, kernel: Kernel, node: Node) -> None:
        """Indices are used once they have been checked."""
        for order, bit in self._checks:
            if order < node.order:
                self.wait(kernel, bit)

    # -- loops --------------------------------------------------------------------------------------------------------------

    def loop(self, node: Node) -> Kernel:
        """Give an elementwise node or a reduction to a loop kernel: one that there is, or a new one."""
        size = node.inputs[0].size if node.op == "reduce" else node.size
        inputs = [self.seen(x) for x in node.inputs]
        homes = {self.home[base]: None for base, _ in inputs if base in self.home}
        self._merged([kernel for kernel in homes if kernel.kind == "loop" and kernel.size == size])
        for kernel in self._candidates(node, inputs, size):
            level = self._fits(kernel, node, inputs, size)
            if level is not None:
                return self._join(kernel, node, inputs, level)
        kernel = self._new("loop", size)
        if size == 1:
            self._of_numbers.append(kernel)
        return self._join(kernel, node, inputs, self._fits(kernel, node, inputs, size) or "full")

    def _candidates(self, node: Node, inputs: list[tuple[Node, np.ndarray]], size: int) -> list[Kernel]:
        found: dict[Kernel, None] = {}
        for base, strided in inputs:
            if base in self.home:
                found[self.home[base]] = None
            if strided.size == size and base.op not in ("constant", "iota"):
                found.update(dict.fromkeys(self.readers.get(base, [])[-3:]))
        if size == 1:  # numbers are computed together
            found.update(dict.fromkeys(self._of_numbers[-2:]))
        loops = [kernel for kernel in found if kernel.kind == "loop" and len(kernel.nodes) < LONGEST]
        return sorted(loops, key=lambda kernel: kernel.index, reverse=True)[:6]

    def _fits(self, kernel: Kernel, node: Node, inputs: list[tuple[Node, np.ndarray]], size: int) -> str | None:
        """The level at which a node can join a kernel, or None."""
        inner = kernel.inner
        if size == kernel.size:
            level = "full"
        elif inner and size == kernel.size // inner:
            level = "row"
        else:
            return None
        length = _row(node) if node.op == "reduce" and level == "full" else None
        if length is not None:
            if inner not in (None, length):
                return None
            inner = length
        bounds = kernel.bounds | {inner or 1}
        scale = 1 if level == "full" else inner or 1
        if not _chain(bounds | _bounds((node.inputs[0] if node.op == "reduce" else node).shape, scale)):
            return None
        for position, (base, strided) in enumerate(inputs):
            if base.op in ("constant", "iota"):
                if strided.size == size and not _chain(bounds | _bounds(strided.shape, scale)):
                    return None
                continue
            if self.makers[base] >> kernel.index & 1:
                if node.op == "gather" and position == 0:
                    return None
                known = self.level.get(base)
                if base not in self.home or known in ("sum", None) or not self._same(kernel, strided, level, known):
                    return None
            elif self.waits(self.makers[base], kernel) or (strided.size == size and not _chain(bounds | _bounds(strided.shape, scale))):
                return None
        if node.op == "gather":
            for order, bit in self._checks:
                if order < node.order and self.waits(bit, kernel):
                    return None
        if node.op == "reduce":
            return "rows" if length is not None else "sum"
        return level

    def _merged(self, kernels: list[Kernel]) -> None:
        """Make one kernel of several that run over as many elements, where a node needs values of them all."""
        kernels.sort(key=lambda kernel: kernel.index)
        while len(kernels) > 1:
            young, old = kernels.pop(), kernels[-1]
            if self._can_merge(old, young):
                self._merge(old, young)

    def _can_merge(self, a: Kernel, b: Kernel) -> bool:
        if a.inner is not None and b.inner is not None and a.inner != b.inner:
            return False
        if len(a.nodes) + len(b.nodes) > LONGEST:
            return False
        if not _chain(a.bounds | b.bounds):
            return False
        both = 1 << a.index | 1 << b.index
        for i in _bits((a.before | b.before) & ~both):
            if self.kernels[i].before & both:
                return False  # between them
        for reader, maker in ((a, b), (b, a)):
            for base, views in reader.reads.items():
                if not self.makers[base] & both:
                    continue
                if self.home.get(base) is not maker or self.level.get(base) not in ("full", "row"):
                    return False
                level = self.level[base]
                if level == "row" and maker.inner is None:
                    return False
                for strided in views:
                    size = maker.size if level == "full" else maker.size // (maker.inner or 1)
                    if strided.size == size:
                        if not strided.flags.c_contiguous:
                            return False
                    elif not self._same(maker, strided, "full", level):
                        return False
            if reader.fill is not None or any(
                store.slices is not None and self.makers[store.target] & both & ~(1 << reader.index) for store in reader.stores
            ):
                return False
        gathered = [x for kernel in (a, b) for node in kernel.nodes if node.op == "gather" for x in (self.seen(node.inputs[0])[0],)]
        return not any(self.makers[x] & both for x in gathered)

    def _merge(self, a: Kernel, b: Kernel) -> None:
        """Have the older kernel do the younger one's work."""
        gone, here = 1 << b.index, 1 << a.index
        a.nodes = sorted([*a.nodes, *b.nodes], key=lambda node: node.order)
        a.bounds |= b.bounds
        a.inner = a.inner or b.inner
        a.stores += b.stores
        for node in b.nodes:
            self.home[node] = a
        for node in (*b.nodes, *(store.target for store in b.stores)):
            self.makers[node] = self.makers[node] & ~gone | here
        for base, views in b.reads.items():
            a.reads.setdefault(base, []).extend(views)
            readers = self.readers[base]
            readers.remove(b)
            if a not in readers:
                readers.append(a)
        for base in [base for base in a.reads if self.makers[base] & here]:
            del a.reads[base]
            self.readers[base].remove(a)
        before = (a.before | b.before) & ~(gone | here)
        a.before = before
        if self._awaited & (gone | here):
            self._awaited |= here
            for kernel in self.kernels:
                if kernel is not a and kernel.before & (gone | here):
                    kernel.before = kernel.before & ~gone | here | before
        b.kind, b.nodes, b.stores, b.reads, b.before = "gone", [], [], {}, 0
        if b in self._of_numbers:
            self._of_numbers.remove(b)

    def _same(self, kernel: Kernel, strided: np.ndarray, level: str, known: str) -> bool:
        """Whether a value of this kernel is seen for the element, or the row, that it is computed for."""
        if strided.size not in (kernel.size, kernel.size // (kernel.inner or 1)):
            return False
        contiguous = strided.flags.c_contiguous and strided.size == (kernel.size if known == "full" else kernel.size // (kernel.inner or 1))
        if (known == "full") == (level == "full"):
            return contiguous
        if known == "full" or kernel.inner is None:
            return False
        try:
            both = np.reshape(strided, (kernel.size // kernel.inner, kernel.inner), copy=False)
        except ValueError:
            return False
        return (both.strides[0] == strided.itemsize or both.shape[0] == 1) and (both.strides[1] == 0 or both.shape[1] == 1)

    def _again(self, kernel: Kernel, node: Node, inputs: list[tuple[Node, np.ndarray]], level: str) -> list[tuple[Node, np.ndarray]]:
        """Have cheap values of another kernel, which need not lie in memory otherwise, computed again in this one."""
        if level != "full":
            return inputs
        found = list(inputs)
        for i, (x, (base, _)) in enumerate(zip(node.inputs, inputs, strict=True)):
            home = self.home.get(base)
            if node.op == "gather" and i == 0:  # its elements are found by index, in memory
                continue
            if x is not base or home in (None, kernel) or base in self.stored or not self._is_cheap(base, set(), 3):
                continue
            copy = self._clone(base, kernel)
            if copy is not None:
                node.inputs = (*node.inputs[:i], copy, *node.inputs[i + 1 :])
                found[i] = self.seen(copy)
        return found

    def _is_cheap(self, base: Node, whole: set[Node], depth: int) -> bool:
        """Whether a value costs no more to compute than to load: some operations on one array in memory, and on smaller ones."""
        if base.op not in CHEAP or not depth or self.level.get(base) != "full" or base.op == "copy":
            return False
        if base.op == "cast" and base.inputs[0].dtype.itemsize < base.dtype.itemsize and self.seen(base.inputs[0])[0] is base.inputs[0]:
            return True
        for x in base.inputs:
            source, strided = self.seen(x)
            if source.op == "constant" or strided.size < base.size or source.size * 8 <= base.size:
                continue
            lies = source in self.stored or source.op not in CHEAP  # what is dear to compute is stored anyway
            if lies and source is x and strided.flags.c_contiguous:
                whole.add(source)
            elif x is not source or not self._is_cheap(source, whole, depth - 1):
                return False
        return len(whole) <= 1

    def _clone(self, base: Node, kernel: Kernel) -> Node | None:
        copy = Node(base.op, base.inputs, base.attrs, base.shape, base.dtype, line=base.line)
        copy.order = base.order
        for i, x in enumerate(copy.inputs):
            source = self.seen(x)[0]
            known = source is not x or source in self.stored or source not in self.home or source.size != base.size
            if not known and self.home[source] is not kernel and self._is_cheap(source, set(), 3):
                inner = self._clone(source, kernel)
                if inner is None:
                    return None
                copy.inputs = (*copy.inputs[:i], inner, *copy.inputs[i + 1 :])
        inputs = [self.seen(x) for x in copy.inputs]
        if self._fits(kernel, copy, inputs, copy.size) != "full":
            return None
        self._join(kernel, copy, inputs, "full")
        return copy

    def _join(self, kernel: Kernel, node: Node, inputs: list[tuple[Node, np.ndarray]], level: str) -> Kernel:
        inputs = self._again(kernel, node, inputs, "full" if level in ("rows", "sum") and node.inputs[0].size == kernel.size else level)
        reduced = node.op == "reduce"
        if level == "rows":
            kernel.inner = _row(node)
            kernel.bounds.add(kernel.inner)  # type: ignore[arg-type]
        size = node.inputs[0].size if reduced else node.size
        scale = kernel.size // size
        kernel.bounds |= _bounds((node.inputs[0] if reduced else node).shape, scale)
        kernel.nodes.append(node)
        self.level[node] = "row" if level == "rows" else level
        for position, (x, (base, strided)) in enumerate(zip(node.inputs, inputs, strict=True)):
            if base.op not in ("constant", "iota") and not self.makers[base] >> kernel.index & 1:
                self._read(kernel, x)
            if strided.size == size and not (node.op == "gather" and position == 0):
                kernel.bounds |= _bounds(strided.shape, scale)
        if node.op == "gather":
            self._after_checks(kernel, node)
        self._made(kernel, node)
        if self.level[node] == "sum":
            self.stored.add(node)
        return kernel

    # -- what is written where ----------------------------------------------------------------------------------------------

    def _place(self, node: Node) -> None:
        """Each part is written into its slice by the kernel that computes it, or by one that copies it."""
        self.makers[node] = 0
        self.stored.add(node)
        where, fill = node.attrs
        filler = None
        if fill is not None:
            filler = self._new("fill")
            filler.nodes.append(node)
            filler.fill = fill
            filler.stores.append(Store(node, node))
            self.makers[node] |= 1 << filler.index
        for x, triples in zip(node.inputs, where, strict=True):
            kernel = self.write(x, node, triples, filler)
            self.makers[node] |= 1 << kernel.index

    def write(self, x: Node, target: Node, triples: Any = None, after: Kernel | None = None) -> Kernel:
        """Have x written into a target, by the kernel that computes it where that is possible."""
        base, strided = self.seen(x)
        home = self.home.get(base)
        if home is not None and not self._writes_itself(home, base, strided, after):
            home = None
        if home is None:
            copy = Node("copy", (x,), (), x.shape, x.dtype, line=x.line)
            home = self._new("loop", x.size)
            self._join(home, copy, [(base, strided)], "full")
            base = copy
        else:
            home.bounds |= _bounds(strided.shape, home.size // strided.size)
        shaped = base if base.shape == x.shape else Node("reshape", (base,), (), x.shape, x.dtype)
        home.stores.append(Store(shaped, target, triples))
        self._seen.setdefault(shaped, (base, contiguous(shaped)))
        if after is not None:
            self.wait(home, 1 << after.index)
        return home

    def _writes_itself(self, home: Kernel, base: Node, strided: np.ndarray, after: Kernel | None) -> bool:
        """Whether the kernel that computes a value can write it elsewhere too, after another kernel."""
        if home.kind != "loop" or self.level[base] not in ("full", "row") or not strided.flags.c_contiguous or strided.size != base.size:
            return False
        fits = _chain(home.bounds | _bounds(strided.shape, home.size // base.size))
        return fits and not (after is not None and self.waits(1 << after.index, home))

    def check_bits(self) -> int:
        """The kernels that check values."""
        bits = 0
        for _, bit in self._checks:
            bits |= bit
        return bits


def contiguous(node: Node) -> np.ndarray:
    """A strided array of a node's shape, contiguous, that takes no memory."""
    strides, step = [], node.dtype.itemsize
    for n in reversed(node.shape):
        strides.append(step)
        step *= n
    return np.lib.stride_tricks.as_strided(_ORIGIN.view(node.dtype)[:1], node.shape, strides[::-1], writeable=False)


_ORIGIN = np.zeros(16, np.uint8)


def offset(strided: np.ndarray) -> int:
    """Where a strided array of no memory begins, in elements from the beginning of what it is a view of."""
    return (strided.__array_interface__["data"][0] - _ORIGIN.__array_interface__["data"][0]) // strided.itemsize  # type: ignore[no-any-return]


def _in_runs(strided: np.ndarray) -> bool:
    """Whether the rows or the columns of each matrix are runs of memory, as BLAS needs them."""
    (m, n), (row, column), item = strided.shape[-2:], strided.strides[-2:], strided.itemsize
    by_rows = (n == 1 or column == item) and (m == 1 or row >= n * item)
    return bool(by_rows or ((m == 1 or row == item) and (n == 1 or column >= m * item)))


def _bits(bits: int) -> Iterable[int]:
    while bits:
        low = bits & -bits
        yield low.bit_length() - 1
        bits ^= low


def _bounds(shape: tuple[int, ...], scale: int = 1) -> set[int]:
    """The products of the last 0, 1, 2, ... sizes, times a scale."""
    found, product = {scale}, scale
    for n in reversed(shape):
        product *= n
        found.add(product)
    return found


def _chain(bounds: set[int]) -> bool:
    """Whether each of the products divides the next, so that one list of axes has them all."""
    row = sorted(bounds)
    return all(b % a == 0 for a, b in itertools.pairwise(row))


def _row(node: Node) -> int | None:
    """The length of the rows that a reduction reduces, if it is over the last axes and there are other ones."""
    x, axes = node.inputs[0], node.attrs[1]
    kept = [i for i, n in enumerate(x.shape) if n != 1 and i not in axes]
    if not kept or max(kept) > min(i for i in axes if x.shape[i] != 1):
        return None
    length: int = math.prod([x.shape[i] for i in axes])
    return length


# -- outputs, order and memory -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Output:
    """A value that is wanted in memory of the caller's.

    Attributes:
        node: the value.
        place: the memory.
        replaces: the input that lies in that memory before, if any: written once all that reads it is done, and all checks.
    """

    node: Node
    place: Place
    replaces: Node | None = None


def schedule(outputs: Sequence[Output], checks: Sequence[Node], sources: dict[Node, Place], threads: int, reuse: bool = True) -> Schedule:
    """Kernels in their order, and the place of every value that lies in memory.

    Args:
        outputs: what is wanted.
        checks: bool nodes of one element.
        sources: the memory of inputs and arrays.
        threads: how many there are.
        reuse: whether memory is used again.
    """
    fuser = Fuser()
    copies: dict[Node, Node] = {}  # what is computed again gets other inputs, which is nobody else's business
    for node in ordered([*(output.node for output in outputs), *checks]):
        copies[node] = copy = Node(node.op, [copies[x] for x in node.inputs], node.attrs, node.shape, node.dtype, line=node.line)
        copy.order = node.order
    outputs = [Output(copies[x.node], x.place, copies.get(x.replaces) if x.replaces else None) for x in outputs]
    fuser.run(copies.values(), {copies[node] for node in checks})
    fuser.readers = {base: list(dict.fromkeys(readers)) for base, readers in fuser.readers.items()}
    memory: dict[Node, Place | int] = {copies[node]: place for node, place in sources.items()}
    replaced = {output.replaces for output in outputs if output.replaces is not None}
    kept = {}  # outputs that are an input which another output takes the place of
    for output in outputs:
        if fuser.seen(output.node)[0] in replaced:
            kept[output.node] = fuser._copied(output.node)
    for output in outputs:
        _bind(fuser, Output(kept.get(output.node, output.node), output.place, output.replaces), memory)
    for kernel in fuser.kernels:
        if kernel.kind == "loop":
            kernel.stores += [Store(node, node) for node in kernel.nodes if node in fuser.stored]
    fuser.kernels = [kernel for kernel in fuser.kernels if kernel.kind != "gone"]
    for kernel in fuser.kernels:
        kernel.parallel = threads > 1 and kernel.size != 1 and cost(kernel) > SERIAL
        for node in kernel.nodes if kernel.parallel else ():
            if fuser.level.get(node) == "sum" or node.op == "correlate_weight":
                kernel.partial[node] = Node("partial", (), (), (threads, node.size), node.dtype)
    plan = Schedule(order(fuser), memory, 0, fuser, threads, {copy: node for node, copy in copies.items()})
    allocate(plan, reuse)
    return plan


def _bind(fuser: Fuser, output: Output, memory: dict[Node, Place | int]) -> None:
    """Have an output computed where it is wanted, or copied there."""
    base, strided = fuser.seen(output.node)
    home = fuser.home.get(base)
    plain = base.op not in SOURCES and base not in memory and strided.flags.c_contiguous and strided.size == base.size
    plain = plain and (home is not None or output.replaces is None)
    if plain and home is not None and output.replaces is not None:
        others = [kernel for kernel in fuser.readers.get(output.replaces, []) if kernel is not home]
        own = home.reads.get(output.replaces, [])
        after = fuser.check_bits()
        for kernel in others:
            after |= 1 << kernel.index
        plain = home.kind == "loop" and home.inner is None and not fuser.waits(after, home)
        plain = plain and all(x.flags.c_contiguous and x.size == home.size for x in own) and fuser.level[base] == "full"
        if plain:
            fuser.wait(home, after)
    if plain:
        memory[base] = output.place
        fuser.stored.add(base)
        return
    target = Node("output", (), (), output.node.shape, output.node.dtype)
    memory[target] = output.place
    if output.replaces is None:
        kernel = fuser.write(output.node, target)
    else:
        copy = Node("copy", (output.node,), (), output.node.shape, output.node.dtype)
        kernel = fuser._new("loop", output.node.size)
        if home is not None:
            fuser.stored.add(base)
        fuser._join(kernel, copy, [(base, strided)], "full")
        kernel.stores.append(Store(copy, target))
        after = fuser.check_bits()
        for other in fuser.readers.get(output.replaces, []):
            if other is not kernel:
                after |= 1 << other.index
        fuser.wait(kernel, after)
    fuser.makers[target] = 1 << kernel.index


def cost(kernel: Kernel) -> float:
    """About how many simple operations a kernel takes."""
    if kernel.kind == "loop":
        return kernel.size * sum(1 if node.op in CHEAP else 10 for node in kernel.nodes)
    if kernel.kind == "check":
        return 0
    node = kernel.nodes[0]
    if kernel.kind == "matmul":
        return 2 * node.size * node.inputs[0].shape[-1] / 16
    if kernel.kind.startswith("correlate"):
        return max(x.size for x in (node, *node.inputs)) * 20
    return max(x.size for x in (node, *node.inputs)) * 2


def order(fuser: Fuser) -> list[Kernel]:
    """The kernels in a row, each after those that it waits for, else by age; small ones as soon as they can."""
    by_index = {kernel.index: kernel for kernel in fuser.kernels}

    def age(kernel: Kernel) -> int:
        small = kernel.kind == "check" or (kernel.kind == "loop" and kernel.size <= SMALL)
        return -1 if small else min(node.order for node in kernel.nodes)

    queue = [(age(kernel), kernel.index) for kernel in fuser.kernels]
    heapq.heapify(queue)
    asleep: dict[int, list[tuple[int, int]]] = {}  # by the last of those that they wait for
    row, done = [], 0
    while queue:
        entry = heapq.heappop(queue)
        missing = by_index[entry[1]].before & ~done
        if missing:
            asleep.setdefault(missing.bit_length() - 1, []).append(entry)
            continue
        row.append(by_index[entry[1]])
        done |= 1 << entry[1]
        for sleeper in asleep.pop(entry[1], ()):
            heapq.heappush(queue, sleeper)
    if len(row) < len(fuser.kernels):
        raise AssertionError("kernels wait for one another")
    return row


def allocate(plan: Schedule, reuse: bool) -> None:
    """Places in the arena: first fit, by the kernels between the first that writes a value and the last that reads it."""
    memory = plan.memory
    first: dict[Node, int] = {}
    last: dict[Node, int] = {}
    for time, kernel in enumerate(plan.kernels):
        for node in kernel.partial.values():
            first[node] = last[node] = time
        for store in kernel.stores:
            first.setdefault(store.target, time)
            last[store.target] = time
        for node in kernel.reads:
            last[node] = max(time, last.get(node, 0))
    ends: dict[int, list[Node]] = {}
    starts: dict[int, list[Node]] = {}
    for node, time in first.items():
        if node not in memory:
            starts.setdefault(time, []).append(node)
            ends.setdefault(last[node], []).append(node)
    free: list[tuple[int, int]] = [(0, 1 << 62)]
    offsets: dict[Node, int] = {}
    for time in range(len(plan.kernels)):
        for node in starts.get(time, ()):
            size = _room(node)
            i = next(i for i, (a, b) in enumerate(free) if b - a >= size)
            begin, end = free[i]
            memory[node] = offsets[node] = begin
            free[i : i + 1] = [(begin + size, end)] if end - begin > size else []
            plan.arena = max(plan.arena, begin + size)
        if reuse:
            for node in ends.get(time, ()):
                free = _united([*free, (offsets[node], offsets[node] + _room(node))])


def _room(node: Node) -> int:
    lines: int = -(-node.size * node.dtype.itemsize // ALIGNMENT)
    return lines * ALIGNMENT


def _united(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if out and out[-1][1] == begin:
            out[-1] = (out[-1][0], end)
        else:
            out.append((begin, end))
    return out

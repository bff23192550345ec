"""What a graph holds in memory, and who keeps it alive."""

import collections
import dataclasses
import functools
import gc
import sys
import threading
import types
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..layers import Module
from ..tensor import Node, Part, Tensor, _graph, _name
from .lines import PACKAGE
from .names import variables_of
from .tape import graph_of

LINES, HOLDERS = 12, 12  # that the text of a report lists
MAX_DEPTH, MAX_OBJECTS = 4, 20_000  # of containers in containers, and of all that a variable leads to
ATOMS = (type(None), bool, int, float, complex, str, bytes, type, types.ModuleType, types.BuiltinFunctionType, np.dtype, np.generic)


class Held(NamedTuple):
    """The arrays that were made in one place.

    Attributes:
        place: a line of the user's code, where `debug()` noted it, or an operation's name.
        bytes: of the arrays, each counted once.
        arrays: how many they are.
        operations: the names of the operations that made them.
    """

    place: str
    bytes: int
    arrays: int
    operations: tuple[str, ...]


@dataclasses.dataclass
class MemoryReport:
    """What `memory_report` returns; `str` is the report.

    Attributes:
        leaves: bytes of the leaves that require gradients, such as parameters: they exist without the graph too.
        constants: of the arrays that need no gradient: inputs, labels, masks. They stay where others hold them.
        results: of the results of operations and what their pullbacks keep of their own: they go with the graph.
        operations: how many operations it has.
        by_place: the results by what made them, the largest first.
        lines: whether that are lines, as `debug()` notes them; else operations.
        holders: what refers to results of the graph and so keeps it alive, such as "loss, a variable of train.py".
    """

    leaves: int
    constants: int
    operations: int
    by_place: list[Held]
    lines: bool
    holders: list[str]

    @property
    def results(self) -> int:
        return sum(held.bytes for held in self.by_place)

    @property
    def total(self) -> int:
        """Bytes of all arrays that the graph refers to."""
        return self.leaves + self.constants + self.results

    def __str__(self) -> str:
        rows = [(held.place, size(held.bytes), f"{held.arrays:,}", _few(held.operations) if self.lines else "") for held in self.by_place]
        if len(rows) > LINES:
            rest = self.by_place[LINES:]
            rows[LINES:] = [(f"... and {len(rest)} more", size(sum(h.bytes for h in rest)), f"{sum(h.arrays for h in rest):,}", "")]
        table = [("made in" if self.lines else "made by", "bytes", "arrays", ""), *rows]
        first, second, third = (max(len(row[i]) for row in table) for i in range(3))
        holders = self.holders[:HOLDERS] or ["nothing that was found"]
        more = [f"... and {len(self.holders) - HOLDERS} more"] if len(self.holders) > HOLDERS else []
        return "\n".join(
            [
                f"A graph of {self.operations:,} operation{'s' * (self.operations != 1)} that refers to {size(self.total)} of arrays:",
                f"  {size(self.results)} of results, which are freed with it,",
                f"  {size(self.constants)} of inputs and constants, freed unless others hold them,",
                f"  {size(self.leaves)} of leaves that require gradients, such as parameters, which stay.",
                "",
                "Results, by what made them:",
                *[f"  {a:<{first}}  {b:>{second}}  {c:>{third}}  {d}".rstrip() for a, b, c, d in table],
                "",
                "The graph is kept alive by:",
                *[f"  {holder}" for holder in holders + more],
            ]
        )

    def __repr__(self) -> str:
        return str(self)


def memory_report(loss: Tensor) -> MemoryReport:
    """What the graph of `loss` holds, in bytes, by line or operation, and who keeps it alive.

    Counted are the arrays that the graph refers to: those of its inputs and results, and what pullbacks keep of their own. Each
    array counts once; a view counts as all of the array that it is a view of. Within `debug()`, arrays are listed by the line of
    the user's that made them, else by operation. `debug()` itself keeps every result, which is not counted where the graph does
    not keep it.

    A graph lives as long as somebody refers to one of its results: a variable, a list, an attribute. Those are looked for in
    the variables of the functions that run, and by the garbage collector; one that only a C extension refers to is not found.

    Args:
        loss: a Tensor that requires a gradient, before `backward()` frees its graph.

    Raises:
        TypeError: `loss` is no Tensor.
        ValueError: it requires no gradient.
        RuntimeError: `backward()` has freed a part of the graph.

    >>> x = Tensor(np.ones((100, 100)), requires_grad=True)
    >>> loss = (x.exp() * x).sum()
    >>> report = memory_report(loss)
    >>> report.leaves, [(held.place, held.bytes) for held in report.by_place]
    (40000, [('exp', 40000), ('sum', 4)])
    """
    nodes = graph_of(loss, "memory_report()")
    ledger = _Ledger()
    for node in nodes:
        ledger.note(node)
    if not nodes:
        ledger.leaves = loss._data.nbytes
    operations = sum(isinstance(node, Node) for node in nodes)
    return MemoryReport(ledger.leaves, ledger.constants, operations, ledger.by_place(), ledger.lines, list(_holders(nodes)))


def size(count: int) -> str:
    """A number of bytes.

    >>> size(312), size(40_000), size(12_500_000)
    ('312 B', '40.0 kB', '12.5 MB')
    """
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


# -- arrays --------------------------------------------------------------------------------------------------------------


class _Ledger:
    """The arrays of a graph, each under the place that made it."""

    def __init__(self) -> None:
        self.leaves = self.constants = 0
        self.lines = False
        self._seen: set[int] = set()
        self._places: dict[str, list[tuple[int, str]]] = {}

    def note(self, node: Node | Part) -> None:
        """Take what a node keeps. Nodes come in order of creation, so that an array is met at the operation that made it first."""
        if isinstance(node, Part):
            self._take_output(node, node.whole)
            return
        for x in node.inputs:
            if isinstance(x, Tensor) and x._node is None:
                self.take(x._data, leaf=x._requires_grad)
            elif isinstance(x, np.ndarray):
                self.take(x)
        for array in _arrays((node.pullbacks, node.options)):
            self.take(array, node)
        self._take_output(node, node)

    def _take_output(self, node: Node | Part, maker: Node) -> None:
        """The value of a node, where it is alive: somebody holds it, the graph itself perhaps."""
        held = node.output()
        if held is not None:
            self.take(held._data, maker)

    def take(self, array: np.ndarray, maker: Node | None = None, leaf: bool = False) -> None:
        """Count the memory of an array: under the place of the node that made it, or as a leaf's, or a constant's."""
        base = array
        while isinstance(base.base, np.ndarray):
            base = base.base
        if id(base) in self._seen:
            return
        self._seen.add(id(base))
        if maker is None:
            self.leaves += base.nbytes * leaf
            self.constants += base.nbytes * (not leaf)
            return
        line = getattr(getattr(maker, "line", None), "line", None)
        name = _name(maker.rule).strip("_")
        self.lines = self.lines or line is not None
        place = name if line is None else f"{line}: {line.text}" if line.text else str(line)
        self._places.setdefault(place, []).append((base.nbytes, name))

    def by_place(self) -> list[Held]:
        """The places, the largest first."""
        held = [
            Held(place, sum(count for count, _ in found), len(found), tuple(dict.fromkeys(name for _, name in found)))
            for place, found in self._places.items()
        ]
        return sorted(held, key=lambda h: (-h.bytes, h.place))


def _arrays(x: Any) -> Iterator[np.ndarray]:
    """The arrays that pullbacks refer to: in what functions close over, defaults, tuples, lists, dicts and objects."""
    pending, seen = [x], set()
    while pending:
        x = pending.pop()
        if isinstance(x, ATOMS) or id(x) in seen:
            continue
        seen.add(id(x))
        if isinstance(x, np.ndarray):
            yield x
        elif isinstance(x, Tensor):
            yield x._data
        elif isinstance(x, types.FunctionType):
            pending += [*_contents(x.__closure__ or ()), *(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
        elif isinstance(x, functools.partial):
            pending += [x.func, *x.args, *x.keywords.values()]
        elif isinstance(x, types.MethodType):
            pending += [x.__self__, x.__func__]
        elif isinstance(x, tuple | list | set | frozenset):
            pending += x
        elif isinstance(x, dict):
            pending += x.values()
        elif not isinstance(x, Module | Node | Part) and hasattr(x, "__dict__"):
            pending += vars(x).values()


def _contents(cells: Iterable[Any]) -> Iterator[Any]:
    for cell in cells:
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


# -- holders -------------------------------------------------------------------------------------------------------------


class _Found(NamedTuple):
    """A path from a variable to a Tensor that keeps the graph alive; `within`: the Tensor's own graph contains this one."""

    path: str
    tensor: Tensor
    within: bool


def _holders(nodes: list[Node | Part]) -> Iterator[str]:
    """Who refers to a result of these nodes, other than the nodes themselves."""
    results = {id(tensor): tensor for tensor in [node.output() for node in nodes] if tensor is not None}
    inside = {id(node): node for node in nodes}
    frames = list(_frames())
    shared = {id(frame.f_globals) for frame in frames}  # each is searched once, by itself
    named: set[int] = set()
    told: dict[str, None] = {}
    for where, variables in _namespaces(frames):
        for name, x in variables.items():
            found = list(_search(name, x, results, inside, shared))
            named.update(id(item.tensor) for item in found)
            if len(found) > 3:
                told[f"{name}, {where}, in {len(found)} places, the first of them {found[0].path}"] = None
            else:
                for path, _, within in found:
                    told[f"{path}, {where}{', whose graph contains this one' if within else ''}"] = None
    frames.clear()
    yield from told
    inputs = [node.inputs for node in nodes if isinstance(node, Node)]
    uses = collections.Counter(id(x) for each in inputs for x in each)
    others = _held_otherwise([tensor for key, tensor in results.items() if key not in named], uses)
    if others:
        yield from _others(others, {id(results), *map(id, inputs)})


def _frames() -> Iterator[Any]:
    """Those of all threads that are not of this package, the innermost first."""
    current = sys._current_frames()
    del current[threading.get_ident()]
    for top in (sys._getframe(1), *current.values()):
        frame: Any = top
        while frame is not None:
            if not frame.f_code.co_filename.startswith(PACKAGE):
                yield frame
            frame = frame.f_back


def _namespaces(frames: list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The variables of the functions that run, and those of their modules."""
    modules: set[int] = set()
    for frame in frames:
        variables = frame.f_globals
        if frame.f_locals is not variables:
            yield f"a variable of {frame.f_code.co_name}()", variables_of(frame)
        if id(variables) not in modules:
            modules.add(id(variables))
            file = Path(str(variables.get("__file__", ""))).name
            yield f"a variable of {file or variables.get('__name__', 'a module')}", dict(variables)


def _search(name: str, x: Any, results: dict[int, Tensor], inside: dict[int, Any], without: set[int]) -> Iterator[_Found]:
    """The paths from a variable to results of a graph, through lists, tuples, dicts and attributes, but through none of `without`."""
    seen = set(without)
    pending = [(name, x, 0)]
    while pending:
        path, x, depth = pending.pop()
        if isinstance(x, ATOMS) or id(x) in seen or len(seen) > MAX_OBJECTS:
            continue
        seen.add(id(x))
        if isinstance(x, Tensor):
            if id(x) in results:
                yield _Found(path, x, False)
            elif x._node is not None and id(x._node) not in inside and _contains(x, inside):
                yield _Found(path, x, True)
        elif depth == MAX_DEPTH:
            continue
        elif isinstance(x, list | tuple):
            pending += [(f"{path}[{i}]", item, depth + 1) for i, item in reversed(list(enumerate(x)))]
        elif isinstance(x, dict):
            pending += [(f"{path}[{key!r}]", item, depth + 1) for key, item in reversed(list(x.items())) if isinstance(key, str | int)]
        elif hasattr(x, "__dict__") and not isinstance(x, Node | Part) and not callable(x) | isinstance(x, Module):
            pending += [(f"{path}.{key}", item, depth + 1) for key, item in reversed(list(vars(x).items()))]


def _contains(tensor: Tensor, inside: dict[int, Any]) -> bool:
    """Whether the graph of a Tensor contains some of these nodes."""
    try:
        return any(id(node) in inside for node in _graph(tensor._node))
    except RuntimeError:  # freed
        return False


def _held_otherwise(tensors: list[Tensor], uses: collections.Counter[int]) -> list[Tensor]:
    """Those of the results of a graph that more refers to than the graph, by their counts of references."""
    alone = Tensor(0.0)  # one to which nothing refers but a variable here, as the caller's dict refers to each
    tensors.append(alone)
    counts = [sys.getrefcount(tensor) for tensor in tensors]
    least = counts.pop()
    tensors.pop()
    return [tensor for tensor, count in zip(tensors, counts, strict=True) if count > least + uses[id(tensor)]]


def _others(tensors: list[Tensor], own: set[int]) -> Iterator[str]:
    """What refers to Tensors that no variable led to: told by its type."""
    own |= {id(tensors)}
    kinds: dict[str, int] = {}
    for referrer in gc.get_referrers(*tensors):
        if id(referrer) not in own and not isinstance(referrer, types.FrameType):
            name = "a closure" if isinstance(referrer, types.CellType) else f"a {type(referrer).__name__}"
            kinds[name] = kinds.get(name, 0) + 1
    for name, count in kinds.items():
        yield f"{name} that no variable seen from here leads to{f' ({count} of them)' if count > 1 else ''}"

"""Chapter 5, second part: `compile`, and what happens in a call.

    first call      runs the function eagerly, which gives the result; then traces it, plans and builds a native step
    the next three  run the step, then wind everything back and run the function eagerly; the two must agree
    later calls     fill the table of pointers, call the step, and hand out what it made

A call looks first whether a trace holds: the arguments' shapes and dtypes, the arrays of all tensors, which are the same objects, and
the snapshots of all Python numbers and flags (see `state`). If none does, it is a first call again.

Everything that the step needs besides is done in Python before and after: random numbers are drawn in the order of the trace from
the same generators, learning rates and step counts are read, step counts are written back.
"""

import bisect
import ctypes
import functools
import inspect
import itertools
import operator
import os
import sys
import threading
import time
import types
import warnings
from collections import OrderedDict
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any

import numpy as np

from ..effects import is_traced
from ..tensor import Tensor, _state, _wrap
from . import build
from .c import program
from .capture import Given, Leaf, Seen, capture, is_array, map_tree
from .checking import cause, compare
from .graph import Node, ordered
from .memory import address, aligned, give_back
from .schedule import ALIGNMENT, Output, Place, Schedule, cost, schedule
from .simplify import simplify
from .state import NUMBERS, PLAIN, reach
from .trace import Untraceable

if TYPE_CHECKING:
    from .explain import Explanation

CHECKED = 3  # calls of each trace that are compared with eager ones
KEPT = 8  # traces
SHARES = 3  # the step's answer where an argument is in the memory of something that it writes: the order of reads and writes matters then
SMALL = 400_000  # simple operations, below which a step is faster on one thread

_lock = threading.RLock()  # of the one pool of threads, and of all that a trace swaps for symbols
_forks = 0  # how often this process and its ancestors were forked off

get_data, get_required = operator.attrgetter("_data"), operator.attrgetter("_requires_grad")


def _forked() -> None:
    global _forks
    _forks += 1
    _lock.release()


if hasattr(os, "register_at_fork"):  # no process is forked off in the middle of another thread's step
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forked)


class Disagreement(RuntimeError):  # noqa: N818 - what it says is not that something failed, but that two things differ
    """A compiled step that gives something else than the function itself."""


def compile(function: Callable[..., Any] | None = None, *, threads: int | None = None, strict: bool = False) -> Any:
    """A function that does what `function` does, by native code.

    A training step (forward, backward, update), a forward pass, or any function of Tensors and arrays, `value_and_grad` included.
    Parameters, gradients, moments, running statistics and learning rates are found in what the function refers to. Traces are made
    for the shapes and dtypes of the arguments; other arguments than arrays and Tensors are constants, and another value is another trace.

    Results are detached: `backward()` belongs inside. Given a Tensor that was computed with a graph, as within `grad`, the function runs
    eagerly, as a part of that graph. Gradients are written into the same arrays in every call, unless somebody
    else holds them. A function that can't be traced, for it branches on values, changes Python's objects or uses an operation
    without a symbolic form, runs eagerly, with one warning that says why; so does everything where there is no C compiler or no SciPy.

    Args:
        function: what to compile; without it, a decorator.
        threads: how many to use; by default $OMP_NUM_THREADS, or the number of cores. Small steps use one.
        strict: raise `Untraceable` or `BuildError` instead of running eagerly.

    Raises:
        Disagreement: in one of the first three calls of a trace, where it does not give what the function gives.

    A training step, whose model and optimizer are found by themselves:

        @compile
        def train_step(x, y):
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            return loss
    """
    if function is None:
        return functools.partial(compile, threads=threads, strict=strict)
    if not callable(function):
        raise TypeError(f"compile() needs a function, got {type(function).__name__}. Use it as a decorator, or as compile(f).")
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        raise TypeError(f"compile() needs a function that returns what it computes; {_name(function)} yields or awaits. Return a list.")
    given: Any = threads
    if given is not None and not (isinstance(given, int) and given >= 1):
        raise ValueError(f"threads must be an int of at least 1, got {threads!r}.")
    return Compiled(function, threads, strict)


class Compiled:
    """What `compile` returns: called as the function is."""

    _is_compiled = True

    def __init__(self, function: Callable[..., Any], threads: int | None, strict: bool) -> None:
        functools.update_wrapper(self, function, updated=())
        self._function, self._given_threads, self._strict = function, threads, strict
        self._threads = threads or _default_threads()
        self._traces: OrderedDict[int, Step] = OrderedDict()
        self._by_key: dict[Any, list[Step]] = {}
        self._count = 0
        self._last: Step | None = None
        self._reason: str | None = None  # why the last trace did not hold
        self._eager = ""  # why, if it runs eagerly

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        return self if owner is None else types.MethodType(self, owner)

    def __reduce__(self) -> Any:
        return type(self), (self._function, self._given_threads, self._strict)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._eager or is_traced():
            return map_tree(_detached, self._function(*args, **kwargs))
        if _state.watchers:  # of native code they would see nothing
            return self._function(*args, **kwargs)
        leaves: list[Any] = []
        key = (_keys(args, leaves), _key(kwargs, leaves) if kwargs else None, _state.recording, _state.default_dtype)
        if _state.recording and [x for x in leaves if isinstance(x, Tensor) and x._node is not None]:
            return self._function(*args, **kwargs)  # a part of that graph, through which gradients must flow
        with _lock:
            for step in self._by_key.get(key, ()):
                if step.holds(leaves):
                    if step is not self._last:
                        self._traces.move_to_end(step.number)
                        self._last = step
                    if step.unchecked:
                        return self._checked(step, args, kwargs, leaves)
                    draws = step.generators() if step.may_fail else ()
                    result, failed = step.run(leaves)
                    return self._failed(step, failed, draws, args, kwargs, leaves) if failed else result
                self._reason = step.reason
            return self._first(key, args, kwargs)

    def _first(self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An eager call, and a trace."""
        had = _gradients(self._function, args, kwargs)
        before: list[tuple[Tensor, Any]] = []
        map_tree(lambda x: before.append((x, x._grad)) if isinstance(x, Tensor) else None, (args, kwargs))
        result = self._function(*args, **kwargs)
        after = [(x, x._grad) for x, _ in before]
        try:
            build.compiler(), build.products()
            build.hold_products()
            for x, grad in before:  # the trace, as the key, is of arguments as they were given
                x._grad = grad
            self._keep(key, Step(self, args, kwargs, had))
        except (Untraceable, build.BuildError) as error:
            self._give_up(error)
        except Exception as error:  # what the compiler does not know must not stop its user
            self._give_up(Untraceable(f"the compiler failed, with {type(error).__name__}: {error}. Please report it"))
        finally:
            for x, grad in after:
                x._grad = grad
        return map_tree(_detached, result)

    def _keep(self, key: Any, step: "Step") -> None:
        self._by_key.setdefault(key, []).insert(0, step)
        self._count += 1
        self._traces[self._count] = self._last = step
        step.key, step.number = key, self._count
        while len(self._traces) > KEPT:
            _, old = self._traces.popitem(last=False)
            self._by_key[old.key].remove(old)
            if not self._by_key[old.key]:
                del self._by_key[old.key]
        if self._count == 4 * KEPT:
            warnings.warn(
                f"compile: {_name(self._function)} has been traced {self._count} times, for something that it refers to changes from "
                f"call to call: {self._reason or 'shapes, or arguments that are no arrays'}. Pass what changes as an array.",
                RuntimeWarning,
                stacklevel=_outside(),
            )

    def _checked(self, step: "Step", args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]) -> Any:
        """Run the step and the function on the same state, and compare what they leave."""
        before, draws = step.saved(leaves), step.generators()
        try:
            result, failed = step.run(leaves)
            ours = step.saved(leaves)
        finally:
            step.restore(before)
            _wind_back(draws)
        if failed:
            return self._failed(step, failed, draws, args, kwargs, leaves)
        expected = self._function(*args, **kwargs)
        changed = step.moved()
        if changed is not None:
            self._give_up(Untraceable(f"it changes Python's objects: {changed}. Return what is wanted, or keep it in a buffer of a Module"))
            return map_tree(_detached, expected)
        returned = [leaves_of(result), leaves_of(expected)]
        wrong = compare(step, before, ours, step.present(leaves), *returned)
        if wrong is not None:
            theirs = step.saved(leaves)
            step.restore(before)
            _wind_back(draws)
            reason = cause(step, leaves, theirs, returned[1])
            if reason is not None:
                raise Disagreement(f"the compiled {_name(self._function)} does not agree with the function itself in {wrong}. {reason}")
            step.restore(theirs)
        step.unchecked -= 1
        if not step.unchecked:
            give_back()
        return result

    def _failed(self, step: "Step", failed: int, draws: Any, args: tuple[Any, ...], kwargs: dict[str, Any], leaves: list[Any]) -> Any:
        """A check on values failed, before anything was written: the function itself says which."""
        _wind_back(draws)
        if failed == SHARES:
            return map_tree(_detached, self._function(*args, **kwargs))
        if failed == 2:  # OpenMP gives fewer threads than it was asked for
            step.use_one_thread()
            result, failed = step.run(leaves)
            if not failed:
                return result
            _wind_back(draws)
        self._function(*args, **kwargs)
        raise IndexError(
            f"an index was out of range in the compiled {_name(self._function)}, or a check on values failed that passes eagerly. "
            "This is an error of the compiler: please report it."
        )

    def _give_up(self, error: Exception) -> None:
        if self._strict:
            raise error
        self._eager = str(error)
        self._traces.clear()
        self._by_key.clear()
        self._last = None
        text = self._eager.rstrip(".")
        warnings.warn(f"compile: {_name(self._function)} runs eagerly, for {text}.", RuntimeWarning, stacklevel=_outside())

    @property
    def step(self) -> "Step":
        """The newest native step.

        Raises:
            RuntimeError: there is none yet.
        """
        if not self._traces:
            why = f"it runs eagerly, for {self._eager}" if self._eager else "it has not been called yet"
            raise RuntimeError(f"the compiled {_name(self._function)} has no native step: {why.rstrip('.')}.")
        return self._traces[next(reversed(self._traces))]

    @property
    def fallback(self) -> str | None:
        """Why the function runs eagerly, or None."""
        return self._eager or None

    def source(self) -> str:
        """The C code of the newest step."""
        return self.step.source

    def explain(self, html: "str | os.PathLike[str] | None" = None) -> "Explanation":
        """What became of the function in the newest step: passes, kernels, their time and memory. Nothing of the user's changes.

        Args:
            html: a file to write as a page of its own.

        Raises:
            RuntimeError: there is no native step.
        """
        from .explain import explain

        with _lock:
            return explain(self, html)


def _name(function: Any) -> str:
    inner = getattr(function, "func", function)  # of a partial
    return str(getattr(inner, "__name__", type(function).__name__))


def _outside() -> int:
    """The stack level, as `warnings.warn` counts, of the caller of the compiled function."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        level, frame = level + 1, frame.f_back
    return level


def _detached(x: Any) -> Any:
    return x.detach() if isinstance(x, Tensor) and not x.is_leaf else x


def _gradients(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[int, bool]:
    """Which of the tensors in sight have a gradient before a call, by id."""
    return {id(t): t._grad is not None for t in reach(_roots(function, args, kwargs)).tensors}


def _roots(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Where to look for what a function can see: itself, and its arguments that become no inputs."""
    roots = [function]
    map_tree(lambda x: None if is_array(x) else roots.append(x), (args, kwargs))
    return roots


def _default_threads() -> int:
    text = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]
    if text.isdecimal() and int(text):
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _keys(trees: Sequence[Any], leaves: list[Any]) -> tuple[Any, ...]:
    return tuple([_key(tree, leaves) for tree in trees])


def _key(tree: Any, leaves: list[Any]) -> Any:
    """What a trace is made for, and the arrays among the arguments."""
    kind = type(tree)
    if kind is Tensor:
        leaves.append(tree)
        data = tree._data
        if not tree._requires_grad:
            return data.shape, data.dtype
        first = next(i for i, x in enumerate(leaves) if x is tree)  # the same one twice gets the sum of two gradients
        return data.shape, data.dtype, first, tree._grad is None, tree._node is None
    if kind is np.ndarray:
        if tree.dtype.kind in NUMBERS:
            leaves.append(tree)
            return tree.shape, tree.dtype, kind
        return kind, id(tree)
    if isinstance(tree, PLAIN):
        return kind, repr(tree) if kind is float else tree
    if isinstance(tree, (list, tuple)):
        return kind, _keys(tree, leaves)
    if isinstance(tree, dict):
        return kind, tuple(tree), _keys(list(tree.values()), leaves)
    if isinstance(tree, Tensor):
        leaves.append(tree)
        return kind, tree._data.shape, tree._data.dtype, tree._requires_grad, tree._grad is None, id(tree)
    if isinstance(tree, np.generic):
        return kind, tree.tobytes()
    if is_array(tree):
        leaves.append(tree)
        return tree.shape, tree.dtype, kind
    return kind, id(tree)


def leaves_of(tree: Any) -> list[Any]:
    """The leaves of lists, tuples and dicts."""
    found: list[Any] = []
    map_tree(found.append, tree)
    return found


def _wind_back(draws: Any) -> None:
    for generator, state in draws:
        generator.bit_generator.state = state


class Step:
    """A native step: a trace, built, with the memory that it works in."""

    def __init__(self, owner: Compiled, args: tuple[Any, ...], kwargs: dict[str, Any], had: dict[int, bool]) -> None:
        self.owner, self.number = owner, 0
        self.key: Any = None
        self.reason: str | None = None  # why it did not hold
        self.unchecked = CHECKED
        self.kept = (args, kwargs)  # objects among the arguments are known by their identity, so they must live on
        self.state = reach(_roots(owner._function, args, kwargs))
        arguments: list[Any] = []
        _key(args, arguments), _key(kwargs, arguments)
        began, marks = time.time(), [time.perf_counter()]
        for phase in (functools.partial(self._capture, args, kwargs, arguments, had), self._build):
            phase()
            marks.append(time.perf_counter())
        self.seconds = (marks[1] - marks[0] - self._passes, self._passes, marks[2] - marks[1])  # of trace, passes and C
        self.cached = self.library.stat().st_mtime < began

    # -- making it ----------------------------------------------------------------------------------------------------------

    def _capture(self, args: tuple[Any, ...], kwargs: dict[str, Any], arguments: list[Any], had: dict[int, bool]) -> None:
        """The trace, and the passes.

        It is first taken as if each tensor had a gradient. Where that fails, or the graph reads one that was not there before the call,
        it is taken again without it, for what has no gradient takes another way: nothing is added to it, and optimizers skip it.
        """
        missing: set[int] = set()
        while True:
            all_absent = {i for i, t in enumerate(self.state.tensors) if t._requires_grad and not had.get(id(t), False)}
            try:
                self.captured = capture(self.owner._function, args, kwargs, self.state, missing)
            except Exception as error:
                if all_absent - missing:
                    missing |= all_absent
                    continue
                if isinstance(error, Untraceable):
                    raise
                raise Untraceable(f"its trace failed: {type(error).__name__}: {error}") from error
            began = time.perf_counter()
            self._plan()
            self._passes = time.perf_counter() - began
            read = {node.attrs[0][1] for node in self.nodes if node.op == "input" and node.attrs[0][0] == "grad"}
            absent = {i for i in read if not had.get(id(self.state.tensors[i]), False)}
            if not absent:
                break
            missing |= absent
        self._absent = [self.state.tensors[i] for i in missing]
        self.state.prepare()
        ids = {id(t) for t in self.state.tensors}
        self._ids = ids
        self._identities = [(i, x) for i, x in enumerate(arguments) if id(x) in ids]
        self._strangers = [i for i, x in enumerate(arguments) if isinstance(x, Tensor) and id(x) not in ids]
        self.known = [i for i, x in enumerate(arguments) if id(x) not in ids]

    def _plan(self) -> None:
        made, trace = self.captured, self.captured.trace
        wanted: list[tuple[str, int, Node, Node | None]] = []  # what is written: kind, number, node, the input in its place
        wanted += [("leaf", i, node, None) for i, node in enumerate(made.leaves)]
        wanted += [("data", i, now, first) for i, (first, now) in enumerate(made.data) if now is not first]
        for i, pair in enumerate(made.grads):
            if pair[1] is not None and pair[1] is not pair[0]:
                wanted.append(("grad", i, pair[1], pair[0]))
        wanted += [("array", i, now, first) for i, (first, now) in enumerate(made.arrays) if now is not first]
        wanted += [("argument grad", i, node, None) for i, (_, node) in made.argument_grads.items() if node is not None]
        self.counts = [entry for entry in trace.numbers.values() if entry[3].node is not entry[2]]
        wanted += [("number", i, entry[3].node, None) for i, entry in enumerate(self.counts)]
        outputs = [node for _, _, node, _ in wanted]
        firsts = [first for _, _, _, first in wanted if first is not None]
        self.before = ordered([*outputs, *trace.checks])
        if [node for node in self.before if not node.size]:
            raise Untraceable("an array without elements has no symbolic form. Leave out empty batches")
        self.traced = [(kind, i, node) for kind, i, node, _ in wanted]
        new = simplify([*outputs, *trace.checks, *firsts])
        self.outputs, self.checks = new[: len(outputs)], new[len(outputs) : len(outputs) + len(trace.checks)]
        replaced = dict(zip(firsts, new[len(outputs) + len(trace.checks) :], strict=True))
        self.wanted = [(kind, i, node, replaced.get(first)) for (kind, i, _, first), node in zip(wanted, self.outputs, strict=True)]  # type: ignore[arg-type]
        self.nodes = ordered([*self.outputs, *self.checks])
        self._table()
        self.threads = self.owner._threads
        self.plan = self.schedule(self.threads)
        if self.threads > 1 and sum(cost(kernel) for kernel in self.plan.kernels) < SMALL:
            self.threads = 1
            self.plan = self.schedule(1)

    def schedule(self, threads: int, reuse: bool = True) -> Schedule:
        """The kernels and their memory."""
        read = set(self.sources)
        wanted = [
            Output(node, Place(self.places[kind, i]), replaces if replaces in read else None) for kind, i, node, replaces in self.wanted
        ]
        sources = {node: Place(self.places["source", node.attrs]) for node in self.sources}
        return schedule(wanted, self.checks, sources, threads, reuse)

    def _table(self) -> None:
        """A number in the table of pointers for each input and output; in-place ones share it."""
        self.places: dict[Any, int] = {}
        self.sources = [node for node in self.nodes if node.op in ("input", "array")]
        for node in self.sources:
            self.places["source", node.attrs] = len(self.places)
        known = {node.attrs: node for node in self.sources if node.op == "input"}
        count = len(self.places)
        for kind, i, _, replaces in self.wanted:
            if replaces is not None and replaces.attrs in known:
                self.places[kind, i] = self.places["source", replaces.attrs]
            else:
                self.places[kind, i] = count
                count += 1
        self.size = count

    def _build(self) -> None:
        self.source, self.calls = program(self.plan)
        self.library = build.build(self.source)
        self._step = build.load(self.library)
        self._forks = _forks
        self._memory()

    def _memory(self) -> None:
        """The table of pointers, and all that it points to for good."""
        state, trace = self.state, self.captured.trace
        self._held: list[np.ndarray] = []
        self._arena = aligned(self.plan.arena)
        self._pointers = (ctypes.c_void_p * max(self.size, 1))()
        self._addresses = (ctypes.addressof(self._pointers), address(self._arena), None)
        entries = list(trace.numbers.values())
        self._numbers: Any = (ctypes.c_double * max(len(entries), 1))(), (ctypes.c_int64 * max(len(entries), 1))()
        self._inputs: list[tuple[int, int]] = []  # place, argument
        self._numbers_in: list[tuple[Any, int, Any, str]] = []
        self._draws: list[tuple[int, Any]] = []
        self._copied: list[tuple[np.ndarray, np.ndarray]] = []  # arrays that the step can't read where they are
        self._argument_grads_in: list[tuple[int, int]] = []
        for node in self.sources:
            if node.op == "array":
                array = trace.arrays[node.attrs[0]]
                if not _is_plain(array):
                    self._copied.append((array, np.array(array, array.dtype.newbyteorder("="), order="C")))
                    array = self._copied[-1][1]
                self._point(self.places["source", node.attrs], array)
                continue
            kind, i = node.attrs[0]
            place = self.places["source", node.attrs]
            if kind == "argument":
                self._inputs.append((place, self.known[i]))
            elif kind == "argument grad":
                self._argument_grads_in.append((place, i))
            elif kind == "data":
                self._point(place, _whole(state.tensors[i]._data))
            elif kind == "array":
                self._point(place, _whole(state.arrays[i][2]))
            elif kind == "number":
                owner, name, first, _ = entries[i]
                numbers = self._numbers[0 if first.dtype.kind == "f" else 1]
                self._numbers_in.append((numbers, i, owner, name))
                self._pointers[place] = ctypes.addressof(numbers) + 8 * i
            elif kind == "draw":
                self._draws.append((place, i))
        self._grads_in = {
            self.places["source", node.attrs]: state.tensors[node.attrs[0][1]]
            for node in self.sources
            if node.op == "input" and node.attrs[0][0] == "grad"
        }
        self._counted: list[tuple[Any, str, bool, dict[str, Any] | None, Any, int]] = []
        self._outputs()
        self._guards()

    def _point(self, place: int, array: np.ndarray) -> None:
        self._held.append(array)
        self._pointers[place] = address(array)

    def _outputs(self) -> None:
        state, made = self.state, self.captured
        self._grads_out: list[list[Any]] = []  # [array, tensor, place, whether the gradient is added to what is there]
        self._fresh: list[tuple[int, int, Any, Any]] = []  # leaves, made anew in each call
        self._small: dict[int, np.ndarray] = {}  # leaves that are copied out
        self._argument_grads: list[tuple[int, int, Any, Any]] = []
        self._written: list[np.ndarray] = []
        self._counts: Any = (ctypes.c_double * max(len(self.counts), 1))(), (ctypes.c_int64 * max(len(self.counts), 1))()
        for kind, i, node, _ in self.wanted:
            place = self.places[kind, i]
            if kind == "leaf":
                if node.size <= 4096:
                    self._small[i] = np.empty(node.shape, node.dtype)
                    self._point(place, self._small[i])
                else:
                    self._fresh.append((place, i, node.shape, node.dtype))
            elif kind in ("data", "array"):
                array = state.tensors[i]._data if kind == "data" else state.arrays[i][2]
                if not array.flags.writeable:
                    raise Untraceable(f"it writes into an array of shape {array.shape} that is read-only. Make a copy of it")
                self._written.append(array)
                self._point(place, _whole(array))
            elif kind == "grad":
                t = state.tensors[i]
                array = np.empty(t.shape, t.dtype)
                self._grads_out.append([array, t, place, place in self._grads_in])
                self._pointers[place] = address(array)
                self._grads_in.pop(place, None)
            elif kind == "argument grad":
                self._argument_grads.append((place, i, node.shape, node.dtype))
            elif kind == "number":
                self._pointers[place] = ctypes.addressof(self._counts[node.dtype.kind != "f"]) + 8 * i
        self._cleared = [state.tensors[i] for i, (first, now) in enumerate(made.grads) if first is not None and now is None]
        self._cleared_arguments = [i for i, (_, now) in made.argument_grads.items() if now is None]
        spans = sorted((address(array), address(array) + array.nbytes) for array in self._written if array.nbytes)
        self._starts, self._ends = [start for start, _ in spans], [end for _, end in spans]
        self._refuse_overlaps(spans)

    def _refuse_overlaps(self, spans: list[tuple[int, int]]) -> None:
        """Arrays that share memory with one that is written would change in the middle of the step."""
        state = self.state
        others = {id(a): a for a in (*(t._data for t in state.tensors), *(a for _, _, a in state.arrays), *self.captured.trace.arrays)}
        for array in self._written:
            others.pop(id(array), None)
        if any(end > start for (_, end), (start, _) in itertools.pairwise(spans)) or any(
            self._overlaps(*_span(a)) for a in others.values()
        ):
            raise Untraceable("it writes into an array that shares memory with another one that it can see. Make one of them a copy")

    def _overlaps(self, start: int, size: int) -> bool:
        """Whether bytes may belong to an array that the step writes."""
        i = bisect.bisect_left(self._starts, start + size)
        return i > 0 and self._ends[i - 1] > start

    def _guards(self) -> None:
        state, trace = self.state, self.captured.trace
        self._tensors = state.tensors
        self._data, self._required = [t._data for t in state.tensors], [t._requires_grad for t in state.tensors]
        self._needed = [*self._grads_in.values(), *(t for _, t, _, adds in self._grads_out if adds)]
        self.moving = [(owner, name) for owner, name, _, _ in trace.numbers.values()]
        by_id = {id(container): before for container, before in state.containers}
        self._moving = [
            (names, name, by_id[id(names)])
            for owner, name in self.moving
            if id(names := owner if isinstance(owner, dict) else vars(owner)) in by_id
        ]
        befores = {(id(owner), name): before for owner, name, before in self._moving}
        places = {(id(owner), name): (numbers, i) for numbers, i, owner, name in self._numbers_in}
        for owner, name, _, symbol in self.counts:
            before = befores.get((id(owner), name), {} if isinstance(owner, dict) else None)
            numbers, k = places.get((id(owner), name), (None, 0))
            self._counted.append((owner, name, symbol.node.dtype.kind == "f", before, numbers, k))
        self._generators = list({id(generator): generator for generator, *_ in trace.draws}.values())
        for generator in self._generators:
            if not hasattr(generator, "bit_generator"):
                raise Untraceable(f"it draws from a {type(generator).__name__}. Use np.random.default_rng(seed)")
        self._stale = True  # whether the numbers have changed since they were last read
        self.may_fail = bool(self.checks) or self.threads > 1

    # -- calling it ---------------------------------------------------------------------------------------------------------

    def holds(self, leaves: Sequence[Any]) -> bool:
        """Whether all is as the trace found it."""
        if not self.state.holds():
            self.reason = self.moved()
            if self.reason is not None:
                return False
        if not all(map(operator.is_, map(get_data, self._tensors), self._data)):
            self.reason = "the array of a tensor"
            return False
        if list(map(get_required, self._tensors)) != self._required:
            self.reason = "whether a tensor requires a gradient"
            return False
        for t in self._needed:
            if t._grad is None:
                self.reason = f"a tensor of shape {t.shape} has no gradient"
                return False
        for t in self._absent:
            if t._grad is not None:
                self.reason = f"a tensor of shape {t.shape} has a gradient"
                return False
        for i, t in self._identities:
            if leaves[i] is not t:
                self.reason = "another tensor is an argument"
                return False
        for i in self._strangers:
            if id(leaves[i]) in self._ids:
                self.reason = "a tensor that the function knows is an argument"
                return False
        return True

    def moved(self) -> str | None:
        """Take note of numbers that may change; the name of what may not, and did, or None."""
        self._stale = True
        for owner, name, before in self._moving:
            now, was = owner.get(name), before[name]
            if type(now) is not type(was) or bool(now) is not bool(was):
                return repr(name)
            before[name] = now
        return None if self.state.holds() else self.state.difference()

    def generators(self) -> list[tuple[Any, Any]]:
        """The generators that the step draws from, and their states."""
        return [(generator, generator.bit_generator.state) for generator in self._generators]

    def run(self, leaves: Sequence[Any]) -> tuple[Any, int]:
        """Call the step on the arguments' arrays: its result, and whether a check failed."""
        pointers, held = self._pointers, []
        if self._forks != _forks and self.threads > 1:
            self.use_one_thread()  # of a forked process' other threads, for which OpenMP would wait for ever
        for place, i in self._inputs:
            x = leaves[i]
            array = x._data if isinstance(x, Tensor) else x
            where = address(array)
            if self._starts and self._overlaps(*(where, array.nbytes) if array.flags.c_contiguous else _span(array)):
                return None, SHARES
            if not _is_plain(array):
                array = np.array(array, array.dtype.newbyteorder("="), order="C")
                held.append(array)
                where = address(array)
            pointers[place] = where
        for array, copy in self._copied:
            copy[...] = array
        if self._stale:
            for numbers, i, owner, name in self._numbers_in:
                numbers[i] = owner[name] if isinstance(owner, dict) else getattr(owner, name)
            self._stale = False
        for place, i in self._draws:
            generator, distribution, args, kwargs, node = self.captured.trace.draws[i]
            array = np.ascontiguousarray(getattr(generator, distribution)(*args, **kwargs), node.dtype)
            held.append(array)
            pointers[place] = address(array)
        for place, t in self._grads_in.items():
            array = t._grad if _is_plain(t._grad) else np.array(t._grad, order="C")
            held.append(array)
            pointers[place] = address(array)
        for box in self._grads_out:
            t = box[1]
            if getrefcount(box[0]) > ALONE + (t._grad is box[0]):  # somebody keeps the gradient of an earlier call
                box[0] = np.empty(t.shape, t.dtype)
                pointers[box[2]] = address(box[0])
            if box[3] and t._grad is not box[0]:
                box[0][...] = t._grad
        fresh: dict[int, np.ndarray] = {}
        for place, i, shape, dtype in self._fresh:
            fresh[i] = array = np.empty(shape, dtype)
            pointers[place] = address(array)
        own = []
        for place, i in self._argument_grads_in:
            array = np.array(leaves[self.known[i]]._grad, order="C")
            held.append(array)
            pointers[place] = address(array)
        for place, i, shape, dtype in self._argument_grads:
            array = np.empty(shape, dtype)
            own.append((leaves[self.known[i]], array))
            pointers[place] = address(array)
        failed = self._step(*self._addresses)
        if failed:
            return None, failed
        for box in self._grads_out:
            box[1]._grad = box[0]
        for t in self._cleared:
            t._grad = None
        for t, array in own:
            t._grad = array
        for i in self._cleared_arguments:
            leaves[self.known[i]]._grad = None
        if self._counted:
            self._count()
        return self._result(leaves, fresh), 0

    def _count(self) -> None:
        """Write step counts back, where they are kept, where they are compared and where the step reads them."""
        floats, whole = self._counts
        for i, (owner, name, is_float, before, numbers, k) in enumerate(self._counted):
            value = floats[i] if is_float else whole[i]
            if before is None:
                setattr(owner, name, value)
            else:
                owner[name] = before[name] = value
            if numbers is not None:
                numbers[k] = value

    def _result(self, leaves: Sequence[Any], fresh: dict[int, np.ndarray]) -> Any:
        tree, small = self.captured.result, self._small
        if type(tree) is Leaf and tree.kind == "tensor" and tree.index in small:
            return _wrap(small[tree.index].copy())

        def filled(leaf: Any) -> Any:
            if isinstance(leaf, Leaf):
                array = fresh[leaf.index] if leaf.index in fresh else small[leaf.index].copy()
                return _wrap(array) if leaf.kind == "tensor" else array if leaf.kind == "array" else array.item()
            if isinstance(leaf, Given):
                return leaves[self.known[leaf.index]]
            return leaf.x if isinstance(leaf, Seen) else leaf.copy() if isinstance(leaf, np.ndarray) else leaf

        return map_tree(filled, tree)

    def use_one_thread(self) -> None:
        """Build it for one thread."""
        self.threads, self.plan = 1, self.schedule(1)
        self.source, self.calls = program(self.plan)
        self._step = build.load(build.build(self.source))
        self._arena = aligned(self.plan.arena)
        self._addresses, self._forks = (self._addresses[0], address(self._arena), None), _forks

    # -- checking it --------------------------------------------------------------------------------------------------------

    def present(self, leaves: Sequence[Any], copies: Callable[[np.ndarray], np.ndarray] = lambda array: array) -> Any:
        """All that the step may write: the tensors' arrays, their gradients, other arrays, and numbers."""
        state = self.state
        mine = [leaves[self.known[i]] for i in self.captured.argument_grads]
        return (
            [copies(t._data) for t in state.tensors],
            [(t, None if t._grad is None else copies(t._grad)) for t in (*state.tensors, *mine)],
            [copies(array) for _, _, array in state.arrays],
            [(owner, name, owner[name] if isinstance(owner, dict) else getattr(owner, name)) for owner, name in self.moving],
        )

    def saved(self, leaves: Sequence[Any]) -> Any:
        """Copies of all that the step may write, in one block of memory, which the system gets back when they are freed."""
        data, grads, arrays, _ = self.present(leaves)
        every = [x for x in (*data, *(g for _, g in grads), *arrays) if x is not None]
        block, start = aligned(sum(x.nbytes + -x.nbytes % ALIGNMENT for x in every)), 0

        def copied(array: np.ndarray) -> np.ndarray:
            nonlocal start
            copy = block[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
            copy[...] = array
            start += array.nbytes + -array.nbytes % ALIGNMENT
            return copy

        return self.present(leaves, copied)

    def restore(self, saved: Any) -> None:
        """Put copies back."""
        state = self.state
        for t, data in zip(state.tensors, saved[0], strict=True):
            if t._data.flags.writeable:
                t._data[...] = data
        for t, grad in saved[1]:
            t._grad = None if grad is None else grad.copy()
        for (_, _, array), before in zip(state.arrays, saved[2], strict=True):
            if array.flags.writeable:
                array[...] = before
        for owner, name, value in saved[3]:
            if isinstance(owner, dict):
                owner[name] = value
            else:
                setattr(owner, name, value)
        self._stale = True


def _is_plain(array: Any) -> bool:
    """Whether the step can read an array where it is."""
    return array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative  # type: ignore[no-any-return]


def _whole(array: Any) -> np.ndarray:
    if not _is_plain(array):
        raise Untraceable(f"it uses an array of shape {array.shape} that is not contiguous in memory. Copy it: np.ascontiguousarray")
    return array  # type: ignore[no-any-return]


def _span(array: np.ndarray) -> tuple[int, int]:
    """Where an array's memory begins, and over how many bytes it is spread."""
    low, high = np.lib.array_utils.byte_bounds(array)
    return low, high - low


ALONE = next(getrefcount(box[0]) for box in [[object()]])  # the references to what only its box holds

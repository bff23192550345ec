"""Chapter 5, third part: whether a native step does what the function does.

`compare` holds what a step leaves against what the function leaves, beside each other. Where they differ by more than rounding, it may
still be rounding: a gradient that is zero but for it, of which Adam makes a whole step; a maximum that two values nearly share. So
`cause` looks closer. It computes the traced graph with NumPy, whose every operation is the function's own, and then each value that the
step stores from the values which the step itself computed it from. If the graph gives what the function gives, and each value
is right by itself, all is well; else it says where it begins.
"""

import ctypes
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..tensor import Tensor
from . import build
from .c import program
from .graph import VIEWS, Node, evaluate, ordered
from .memory import address, aligned
from .schedule import Place

if TYPE_CHECKING:
    from .run import Step

MOVED = ("place", "gather", "scatter", "fold", "scan", "matmul", "correlate", "correlate_input", "correlate_weight")
OUTLIERS = 0.005  # share of the elements of a value that may differ, for a comparison on which they depend was a tie but for rounding
ROUNDING = {np.dtype(np.float32): 3e-5, np.dtype(np.float64): 1e-12}  # relative to the sum of the sizes of what was added up


def compare(step: "Step", before: Any, ours: Any, theirs: Any, result: Any, expected: Any) -> str | None:
    """What differs by more than rounding between the states that a step and its function leave, or None.

    Args:
        step: the step.
        before, ours, theirs: the states before, after the step and after the function, by `Step.saved`.
        result, expected: the leaves of what the step and the function returned.
    """
    for i, (a, b) in enumerate(zip(result, expected, strict=True)):
        if isinstance(b, (Tensor, np.ndarray)) and _kind(a) != _kind(b):
            return f"what it returns, leaf {i}: {_kind(a)} instead of {_kind(b)}"
        if isinstance(b, (Tensor, np.ndarray, float, int)) and not close(values_of(a), values_of(b)):
            return f"what it returns, leaf {i}: {values_of(a).reshape(-1)[:3]} instead of {values_of(b).reshape(-1)[:3]}"
    exact: dict[int, np.ndarray] = {}  # of tensors, where their gradients are more than rounding
    for (t, a), (_, b) in zip(ours[1], theirs[1], strict=True):
        if (a is None) is not (b is None):
            return f"whether a tensor of shape {t.shape} has a gradient"
        if a is not None:
            if not close(a, b):
                return f"the gradient of a tensor of shape {t.shape}"
            exact[id(t)] = np.abs(a - b) <= 1e-3 * np.abs(b)
    for i, t in enumerate(step.state.tensors):
        if not close(ours[0][i], theirs[0][i], before[0][i], exact.get(id(t))):
            return f"the new values of a tensor of shape {t.shape}"
    for k, (_, key, array) in enumerate(step.state.arrays):
        if not close(ours[2][k], theirs[2][k], before[2][k]):
            return f"the array {key!r} of shape {array.shape}"
    for (_, name, a), (_, _, b) in zip(ours[3], theirs[3], strict=True):
        if a != b:
            return f"the number {name!r}: {a} instead of {b}"
    return None


def close(a: Any, b: Any, before: Any = None, where: Any = None) -> bool:
    """Whether two arrays agree to rounding: relative to each value, the largest, and, of what was updated, the largest change.

    With `where`, a bool array, only there.
    """
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool((a == b).all())
    with np.errstate(all="ignore"):
        finite = np.isfinite(b)
        scale = float(np.abs(b[finite]).max()) if finite.any() else 0.0
        change = 0.0
        if before is not None and before.shape == b.shape and finite.any():
            change = float(np.abs(b - before)[finite].max())
        tolerance = 1e-3 * np.abs(b) + 2e-5 * scale + 1e-2 * change
        near = np.isfinite(a) & finite & (np.abs(a - b) <= tolerance)
        good = near | (a == b) | (np.isnan(a) & np.isnan(b))
        return bool((good if where is None else good[where]).all())


def cause(step: "Step", leaves: Sequence[Any], theirs: Any, expected: Sequence[Any]) -> str | None:
    """Where a difference begins, or None if it is rounding alone. The state must be that before the call; draws are made again.

    Args:
        step: the step.
        leaves: the arrays among the arguments.
        theirs: the state that the function leaves.
        expected: the leaves of what it returns.
    """
    needed = {node for _, _, node in step.traced}
    values = evaluated(step, ordered([*needed, *step.captured.trace.checks]), leaves, needed)
    numeric = [x for x in expected if isinstance(x, (Tensor, np.ndarray, float, int))]
    wanted = {
        "data": theirs[0],
        "grad": [g for _, g in theirs[1]],
        "array": theirs[2],
        "leaf": [values_of(x) for x in numeric],
    }
    for kind, i, node in step.traced:
        if kind in wanted and len(wanted[kind]) > i and wanted[kind][i] is not None:
            there = np.asarray(wanted[kind][i])
            other = kind == "leaf" and isinstance(numeric[i], (Tensor, np.ndarray)) and there.dtype != node.dtype
            if there.shape == values[node].shape and (other or not close(values[node].astype(there.dtype), there)):
                return (
                    "The trace is not what the function does: if it depends on something that changes from call to call, "
                    "pass that as an argument."
                )
    wrong = _wrong_value(step, values)
    if wrong is None:
        return None
    node, kernel = wrong
    line = f" (line {node.line[1]} of {node.line[0]})" if node.line else ""
    return f"It begins in {node!r}{line}, in {kernel!r}. This is an error of the compiler: please report it."


def _wrong_value(step: "Step", traced: dict[Node, np.ndarray]) -> tuple[Node, Any] | None:
    """The first value of a step that is not what the values make it that the step computed before, with its kernel."""
    plan = step.schedule(step.threads, reuse=False)
    function, arena = build.load(build.build(program(plan)[0])), aligned(plan.arena)
    by_input = {node.attrs: value for node, value in traced.items() if node.op in ("input", "array")}
    places = {step.places[kind, i]: np.empty(node.shape, node.dtype) for kind, i, node, _ in step.wanted}
    given = {}
    for node in step.sources:
        given[node] = by_input[node.attrs]
        place = step.places["source", node.attrs]
        places[place] = np.array(given[node], node.dtype, order="C")
    table = (ctypes.c_void_p * max(step.size, 1))()
    for place, array in places.items():
        table[place] = address(array)
    function(ctypes.addressof(table), address(arena), None)
    stored = {}
    for copy, where in plan.memory.items():
        if copy in plan.origins and copy.op not in ("input", "array"):
            if isinstance(where, Place):
                value = places[where.index]
            else:
                value = arena[where : where + copy.size * copy.dtype.itemsize].view(copy.dtype)
            stored[plan.origins[copy]] = value.reshape(copy.shape), plan.fuser.home.get(copy)
    values: dict[Node, np.ndarray] = {}
    sizes: dict[Node, np.ndarray] = {}
    last = _last_uses(step.nodes)
    for time, node in enumerate(step.nodes):
        if node in given:
            values[node] = np.asarray(given[node], node.dtype)
        else:
            values[node] = evaluate(node, [values[x] for x in node.inputs])
        sizes[node] = _size(node, values, sizes)
        if node in stored:
            found, kernel = stored[node]
            if not _agrees(found, values[node], sizes[node]):
                return node, kernel
            values[node], sizes[node] = found, _absolute(found)
        for x in last[time]:
            values.pop(x, None), sizes.pop(x, None)
    return None


def _last_uses(nodes: Sequence[Node]) -> list[list[Node]]:
    """For each node of a list, those that no later one reads."""
    last = {x: time for time, node in enumerate(nodes) for x in (node, *node.inputs)}
    done: list[list[Node]] = [[] for _ in nodes]
    for x, time in last.items():
        done[time].append(x)
    return done


def _agrees(found: np.ndarray, wanted: np.ndarray, size: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        if wanted.dtype.kind == "f":
            allowed = ROUNDING[wanted.dtype] * (size + np.abs(wanted))
            near = np.isfinite(found) & np.isfinite(wanted) & (np.abs(found - wanted) <= allowed)
            good = near | (found == wanted) | (np.isnan(found) & np.isnan(wanted))
        else:
            good = found == wanted
    return bool(np.count_nonzero(~good) <= OUTLIERS * good.size)


def _absolute(x: np.ndarray) -> np.ndarray:
    """|x| as floats; 0 where it is not finite."""
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(x), np.abs(x.astype(np.float64)), 0.0)


def _size(node: Node, values: dict[Node, np.ndarray], sizes: dict[Node, np.ndarray]) -> np.ndarray:
    """How large what a value was added up of is, relative to which it is exact: of a sum, that of the sizes of its terms."""
    own, given = _absolute(values[node]), [sizes[x] for x in node.inputs]
    if not given or node.dtype.kind != "f":
        return own
    with np.errstate(all="ignore"):
        if node.op in (*VIEWS, *MOVED, "add", "subtract", "cast", "reduce"):
            indices = [values[x] for x in node.inputs[1:]] if node.op in ("gather", "scatter") else given[1:]
            op, attrs = ("add", ()) if node.op == "subtract" else (node.op, node.attrs)
            if node.op == "reduce" and attrs[0] == "min":
                attrs = ("max", *attrs[1:])
            size = evaluate(Node(op, node.inputs, attrs, node.shape, np.float64), [given[0], *indices])
        elif node.op in ("multiply", "divide", "exp"):  # the relative errors of factors add up
            errors = [
                size if node.op == "exp" else np.where(there > 0, size / np.where(there > 0, there, 1), 1)
                for x, size in zip(node.inputs, given, strict=True)
                for there in (_absolute(values[x]),)
            ]
            size = own * (1 + sum(errors, np.zeros(())))
        else:
            size = sum(given, np.zeros(()))
        return np.asarray(np.maximum(own, np.broadcast_to(size, node.shape)))


def evaluated(step: "Step", nodes: Sequence[Node], leaves: Sequence[Any], needed: Container[Node]) -> dict[Node, np.ndarray]:
    """The needed nodes of a graph, and its sources, computed by NumPy from what is there now; random draws are made."""
    state, trace = step.state, step.captured.trace
    entries = list(trace.numbers.values())
    drawn = [np.asarray(getattr(g, name)(*args, **kwargs)) for g, name, args, kwargs, _ in trace.draws]
    values: dict[Node, np.ndarray] = {}
    last = _last_uses(nodes)
    for time, node in enumerate(nodes):
        if node.op == "array":
            values[node] = trace.arrays[node.attrs[0]]
        elif node.op != "input":
            values[node] = evaluate(node, [values[x] for x in node.inputs])
        else:
            kind, i = node.attrs[0]
            match kind:
                case "argument":
                    values[node] = values_of(leaves[step.known[i]])
                case "data":
                    values[node] = state.tensors[i]._data
                case "grad":
                    values[node] = np.asarray(state.tensors[i].grad)
                case "argument grad":
                    values[node] = leaves[step.known[i]]._grad
                case "array":
                    values[node] = state.arrays[i][2]
                case "number":
                    owner, name = entries[i][:2]
                    values[node] = np.asarray(owner[name] if isinstance(owner, dict) else getattr(owner, name))
                case "draw":
                    values[node] = drawn[i]
        for x in last[time]:
            if x not in needed and x.op not in ("input", "array"):
                del values[x]
    return values


def _kind(x: Any) -> str:
    return f"{x.dtype} of shape {x.shape}"


def values_of(x: Any) -> np.ndarray:
    """A Tensor's, an array's or a number's values."""
    return np.asarray(x._data if isinstance(x, Tensor) else x)

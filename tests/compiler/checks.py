"""What a compiled function must give: what it gives eagerly. By NumPy, from the graph of its trace, or by native code."""

import importlib.util
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus.compiler.capture import Leaf, capture, map_tree
from micrograd_plus.compiler.graph import evaluate, ordered
from micrograd_plus.compiler.simplify import simplify
from micrograd_plus.compiler.state import reach

TOLERANCES = {np.dtype(np.float32): 3e-5, np.dtype(np.float64): 1e-11}  # relative to the largest element, at least 1

native = pytest.mark.skipif(
    importlib.util.find_spec("scipy") is None or shutil.which("cc") is None, reason="native code needs SciPy and a C compiler"
)


def leaves(tree: Any) -> list[Any]:
    """The arrays and numbers of lists, tuples and dicts."""
    found: list[Any] = []
    map_tree(lambda x: found.append(x.data if isinstance(x, mg.Tensor) else x), tree)
    return found


def by_graph(function: Callable[..., Any], args: Sequence[Any]) -> dict[str, list[Any]]:
    """What a function that changes nothing gives, computed from its trace node by node, as it is and simplified."""
    state = reach([function])
    made = capture(function, tuple(args), {}, state, {i for i, t in enumerate(state.tensors) if t._grad is None})
    given = {
        "argument": [x for x in leaves(args) if isinstance(x, np.ndarray)],
        "data": [t.data for t in state.tensors],
        "array": [array for _, _, array in state.arrays],
    }
    results = {}
    traced = [*made.leaves, *made.trace.checks]
    for which, outputs in (("the trace", traced), ("the simplified graph", simplify(traced))):
        values: dict[Any, Any] = {}
        for node in ordered(outputs):
            if node.op == "input":
                kind, i = node.attrs[0]
                values[node] = given[kind][i]
            elif node.op == "array":
                values[node] = made.trace.arrays[node.attrs[0]]
            else:
                values[node] = evaluate(node, [values[x] for x in node.inputs])
        found = [values[node] for node in outputs]
        assert all(check.all() for check in found[len(made.leaves) :]), "a check on values fails"
        results[which] = leaves(map_tree(lambda x, found=found: found[x.index] if isinstance(x, Leaf) else x, made.result))
    return results


def differences(found: Sequence[Any], expected: Sequence[Any], tolerance: float | None = None) -> list[str]:
    """Where two lists of arrays and numbers are not the same up to rounding, in words."""
    wrong = [] if len(found) == len(expected) else [f"{len(found)} results instead of {len(expected)}"]
    for i, (ours, wanted) in enumerate(zip(found, expected, strict=False)):
        a, b = np.asarray(ours), np.asarray(wanted)
        if a.shape != b.shape or (a.dtype != b.dtype and not isinstance(wanted, (int, float))):
            wrong.append(f"result {i} is {a.dtype} {a.shape}, not {b.dtype} {b.shape}")
            continue
        if b.dtype.kind != "f":
            close = a == b
        else:
            finite = b[np.isfinite(b)]
            allowed = (TOLERANCES[b.dtype] if tolerance is None else tolerance) * max(1.0, float(np.abs(finite).max(initial=0)))
            with np.errstate(invalid="ignore"):
                close = (np.abs(a - b) <= allowed) | (a == b) | (np.isnan(a) & np.isnan(b))
        if not np.all(close):
            place = tuple(int(n) for n in np.argwhere(~close)[0])
            wrong.append(f"result {i} is {a[place]} at {place} of {b.shape}, not {b[place]}")
    return wrong


def check_graph(function: Callable[..., Any], args: Sequence[Any], what: str = "") -> None:
    """By NumPy, the trace and the simplified graph give what the function gives."""
    with np.errstate(all="ignore"):
        expected = leaves(function(*args))
    for which, found in by_graph(function, args).items():
        wrong = differences(found, expected)
        assert not wrong, f"{which} {what}: {'; '.join(wrong)}"


def check_native(function: Callable[..., Any], args: Sequence[Any], tolerance: float | None = None, threads: int = 1) -> Any:
    """Compiled, a function gives what it gives eagerly; the compiled function."""
    compiled = mg.compile(function, strict=True, threads=threads)
    with np.errstate(all="ignore"):
        expected = leaves(compiled(*args))  # the first call is an eager one
        found = leaves(compiled(*args))
    wrong = differences(found, expected, tolerance)
    assert not wrong, "; ".join(wrong)
    return compiled


def state_of(modules: Sequence[mg.Module], optimizer: Any = None) -> list[Any]:
    """All that a training step changes: parameters, gradients, buffers, and an optimizer's moments and settings."""
    found: list[Any] = []
    for module in modules:
        found += [p.data.copy() for p in module.parameters()] + [p.grad.copy() for p in module.parameters() if p.requires_grad]
        found += [np.array(x) for x in module.state_dict().values()]
    if optimizer is not None:
        map_tree(lambda x: found.append(np.array(x)) if isinstance(x, (int, float, np.ndarray)) else None, optimizer.state_dict())
    return found


def check_training(build: Callable[[], tuple[Any, Any, Callable[..., Any]]], batches: Sequence[Sequence[Any]], tolerance: float) -> Any:
    """Steps of training, compiled, return and leave what eager ones do.

    Args:
        build: makes (modules, optimizer, step), the same each time.
        batches: the arguments of each step: arrays, of which those of floats become Tensors that require gradients.
        tolerance: of each value, relative to the largest in its array, at least 1.
    """
    results = []
    for compiling in (False, True):
        modules, optimizer, step = build()
        if compiling:
            step = compiled = mg.compile(step, strict=True, threads=1)
        for i, batch in enumerate(batches):
            args = [mg.Tensor(x, requires_grad=True, dtype=x.dtype) if x.dtype.kind == "f" else x for x in batch]
            result = leaves(step(*args))
            found = [*result, *(x.grad for x in args if isinstance(x, mg.Tensor)), *state_of(modules, optimizer)]
            if compiling:
                wrong = differences(found, results[i], tolerance)
                assert not wrong, f"step {i}: {'; '.join(wrong)}"
            else:
                results.append(found)
    assert len(compiled._traces) == 1, "it was traced again"
    return compiled

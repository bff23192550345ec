"""Chapter 1, continued: what a function can see.

A training step is a closure: the model, the optimizer and the loss are neither arguments nor results. `reach` walks from a function
through its closure, the globals that its code names, bound objects, attributes, lists and dicts, and finds

    tensors      whose arrays and gradients the step reads and writes
    arrays       buffers and moments, each with the dict that holds it
    snapshots    all else: numbers, flags, names, which object is where

The first two become inputs and outputs of the compiled step. The snapshots are what a trace rests on: it holds as long as they
are as they were, and the call after a change traces anew.
"""

import functools
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..tensor import Tensor

PLAIN = (int, float, bool, str, bytes, complex, type(None))
LIMIT = 200_000  # objects that are looked at


class State:
    """What was found.

    Attributes:
        tensors: each once.
        arrays: (dict, key, array), the dict of an object's attributes, or one of its own.
        loose: arrays that are held otherwise, which can be read but not be written to.
        snapshots: (container, copy): dicts and lists, to be compared with what they were.
        fixed: (a function that looks a thing up, the thing): cells of closures and globals.
    """

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.arrays: list[tuple[dict[Any, Any], Any, np.ndarray]] = []
        self.loose: list[np.ndarray] = []
        self.snapshots: list[tuple[Any, Any]] = []
        self.cells: list[tuple[Any, Any]] = []
        self.globals: list[tuple[dict[str, Any], str, Any]] = []

    def changed(self, moving: Iterable[tuple[dict[Any, Any], Any]] = ()) -> str | None:
        """What is no longer as it was found, or None; `moving` are entries of dicts that may change."""
        for owner, name in moving:
            for container, before in self.snapshots:
                if container is owner:
                    before[name] = owner[name]
        for container, before in self.snapshots:
            if not _same(container, before):
                return difference(container, before)
        for cell, before in self.cells:
            now = cell.cell_contents
            if now is not before and not (type(now) is type(before) and isinstance(now, PLAIN) and now == before):
                return "a variable of an enclosing function"
        for names, name, before in self.globals:
            now = names.get(name)
            if now is not before and not (type(now) is type(before) and isinstance(now, PLAIN) and now == before):
                return f"the global variable {name}"
        return None


def _same(container: Any, before: Any) -> bool:
    """Whether a dict or list is as it was; objects are compared by identity where equality is not plain."""
    try:
        return bool(container == before)
    except (ValueError, TypeError, RuntimeError):  # arrays and Tensors that are others
        return False


def difference(container: Any, before: Any) -> str:
    if isinstance(container, dict):
        for key in {**before, **container}:
            if container.get(key) is not before.get(key) and not _same([container.get(key)], [before.get(key)]):
                return repr(key)
    return f"a {type(container).__name__}"


def reach(roots: Iterable[Any]) -> State:
    """All that functions and objects hold."""
    state = State()
    seen: dict[int, Any] = {}
    pending = list(roots)[::-1]
    while pending and len(seen) < LIMIT:
        x = pending.pop()
        if isinstance(x, PLAIN) or id(x) in seen:
            continue
        seen[id(x)] = x
        if isinstance(x, Tensor):
            state.tensors.append(x)
        elif isinstance(x, np.ndarray):
            state.loose.append(x)
        elif isinstance(x, (list, tuple, set, frozenset)):
            if isinstance(x, list):
                state.snapshots.append((x, list(x)))
            pending.extend(reversed(list(x)))
        elif isinstance(x, dict):
            _hold(state, x, pending)
        else:
            _object(state, x, pending)
    return state


def _hold(state: State, x: dict[Any, Any], pending: list[Any]) -> None:
    state.snapshots.append((x, dict(x)))
    for key, value in x.items():
        if isinstance(value, np.ndarray):
            state.arrays.append((x, key, value))
    pending.extend(value for value in reversed(list(x.values())) if not isinstance(value, np.ndarray))
    pending.extend(key for key in x if isinstance(key, Tensor))


def _object(state: State, x: Any, pending: list[Any]) -> None:
    if isinstance(x, types.FunctionType):
        if _is_ours(x.__module__):
            names = x.__code__.co_names if _is_users(x) else ()
            _function(state, x, names, pending)
    elif isinstance(x, types.MethodType):
        pending += [x.__func__, x.__self__]
    elif isinstance(x, functools.partial):
        pending += [x.func, x.args, x.keywords]
    elif isinstance(x, (type, types.ModuleType, types.BuiltinFunctionType, np.random.Generator, np.generic, np.dtype)):
        return
    elif hasattr(x, "__dict__") and not _is_library(type(x).__module__):
        _hold(state, vars(x), pending)
        for name in ("__call__", "forward"):
            method = getattr(type(x), name, None)
            if isinstance(method, types.FunctionType):
                pending.append(method)
    elif isinstance(getattr(x, "__wrapped__", None), Callable):  # type: ignore[arg-type]
        pending.append(x.__wrapped__)


def _function(state: State, x: types.FunctionType, names: Iterable[str], pending: list[Any]) -> None:
    """A function's closure, defaults, and the globals that its code, or the code of functions in it, names."""
    for cell in x.__closure__ or ():
        try:
            contents = cell.cell_contents
        except ValueError:  # not bound yet
            continue
        state.cells.append((cell, contents))
        pending.append(contents)
    codes, found = [x.__code__], set(names)
    while codes:
        code = codes.pop()
        found.update(code.co_names if names else ())
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    for name in sorted(found):
        if name in x.__globals__:
            value = x.__globals__[name]
            state.globals.append((x.__globals__, name, value))
            pending.append(value)
    pending.extend(x.__defaults__ or ())
    pending.extend((x.__kwdefaults__ or {}).values())
    if getattr(x, "__wrapped__", None) is not None:
        pending.append(x.__wrapped__)


def _is_users(x: types.FunctionType) -> bool:
    """Whether a function is the user's: of the library's own, globals hold no state."""
    return not (x.__module__ or "").startswith("micrograd_plus.") and not _is_library(x.__module__)


def _is_ours(module: str | None) -> bool:
    return not _is_library(module)


@functools.cache
def _is_library(module: str | None) -> bool:
    """Whether a module is Python's own, or installed beside NumPy: none of these holds parameters."""
    root = (module or "").partition(".")[0]
    if root in ("micrograd_plus", "__main__", ""):
        return False
    if root in sys.stdlib_module_names:
        return True
    where = getattr(sys.modules.get(root), "__file__", None) or ""
    return "site-packages" in where

"""Chapter 1, continued: what a function can see.

A training step is a closure: the model, the optimizer and the loss are neither arguments nor results. `reach` walks from a function
through its closure, the globals that its code names, bound objects, their classes, attributes, lists and dicts, and finds

    tensors      whose arrays and gradients the step reads and writes
    arrays       buffers and moments, each with what holds it
    snapshots    all else: numbers, flags, names, which object is where

The first two become inputs and outputs of the compiled step. The snapshots are what a trace rests on: it holds as long as they
are as they were, and the call after a change traces anew.

Comparing snapshots is a large part of the time of a call of a small step, so it is done by few comparisons of long lists. Python
compares the members of lists and dicts by identity first, and only then by `==`, which raises for arrays and Tensors of several
elements; those of one element are wrapped in `Same`. `State.difference` then finds out the truth at leisure.
"""

import collections
import dis
import functools
import operator
import random
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..tensor import Tensor

PLAIN = (int, float, bool, str, bytes, complex, type(None))
LIMIT = 200_000  # objects that are looked at
NUMBERS = "fiub"  # kinds of dtypes that can be compiled
MISSING = type("Missing", (), {"__repr__": lambda self: "nothing"})()


class Cell:
    """A variable of an enclosing function, with `[]` like a dict."""

    __slots__ = ("cell",)

    def __init__(self, cell: Any) -> None:
        self.cell = cell

    def __getitem__(self, key: Any) -> Any:
        try:
            return self.cell.cell_contents
        except ValueError:  # not bound
            return MISSING

    def __setitem__(self, key: Any, value: Any) -> None:
        if value is MISSING:
            del self.cell.cell_contents
        else:
            self.cell.cell_contents = value


class Attributes:
    """The attributes of a class, or those in an object's `__slots__`, with `[]` like a dict."""

    __slots__ = ("owner",)

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __getitem__(self, name: str) -> Any:
        return vars(self.owner).get(name, MISSING) if isinstance(self.owner, type) else getattr(self.owner, name, MISSING)

    def __setitem__(self, name: str, value: Any) -> None:
        if value is MISSING:
            delattr(self.owner, name)
        else:
            setattr(self.owner, name, value)


class Same:
    """Equal to one object and to nothing else; a Tensor's own `==` lets its array ask."""

    __slots__ = ("array", "x")
    __array_ufunc__ = None  # an array on the left leaves the comparison to this class
    __hash__ = object.__hash__

    def __init__(self, x: Any) -> None:
        self.x = x
        self.array = x._data if isinstance(x, Tensor) else x

    def __eq__(self, other: object) -> bool:
        return other is self.x or other is self.array


def kept(x: Any) -> Any:
    """What to compare with later in the place of x."""
    return Same(x) if isinstance(x, (Tensor, np.ndarray)) and x.size == 1 else x


class State:
    """What was found.

    Attributes:
        tensors: each once.
        arrays: (owner, key, array): `owner[key]` is the array.
        fixed: (array, copy) of arrays in tuples and sets, where no symbol can take their place: their values must stay.
        containers: the dicts, lists, sets and classes' dicts, and copies of them as they were found.
        single: (owner, key, value) of all else that holds something: cells, globals, slots.
        generators: sources of random numbers.
        iterators: what gives other values each time, by its type's name.
        seen, places: all objects by their ids, and the keys of `single`, while the function is traced.
    """

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.arrays: list[tuple[Any, Any, np.ndarray]] = []
        self.fixed: list[tuple[np.ndarray, np.ndarray]] = []
        self.containers: list[tuple[Any, Any]] = []
        self.single: list[tuple[Any, Any, Any]] = []
        self.generators: list[Any] = []
        self.iterators: list[str] = []
        self.seen: dict[int, Any] = {}
        self.places: set[tuple[int, Any]] = set()

    # -- comparing ---------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make the long lists that `holds` compares."""
        self.seen.clear()
        self.places.clear()
        self._containers = [container for container, _ in self.containers]
        self._before = [before for _, before in self.containers]
        cells = [(owner.cell, value) for owner, _, value in self.single if isinstance(owner, Cell) and value is not MISSING]
        self._cells, self._contents = [cell for cell, _ in cells], [kept(value) for _, value in cells]
        by_dict: dict[int, tuple[dict[str, Any], list[tuple[str, Any]]]] = {}
        for owner, key, value in self.single:
            if isinstance(owner, dict) and value is not MISSING:
                by_dict.setdefault(id(owner), (owner, []))[1].append((key, kept(value)))
        self._globals = [
            (operator.itemgetter(*[key for key, _ in found]), owner, tuple(value for _, value in found) if len(found) > 1 else found[0][1])
            for owner, found in by_dict.values()
        ]
        self._rest = [(owner, key, value) for owner, key, value in self.single if value is MISSING or not isinstance(owner, (Cell, dict))]

    def holds(self) -> bool:
        """Whether all is as it was found. What can't be told quickly counts as changed."""
        try:
            return (
                self._before == self._containers
                and self._contents == [cell.cell_contents for cell in self._cells]
                and not [1 for get, owner, before in self._globals if before != get(owner)]
                and (not self._rest or not [1 for owner, key, before in self._rest if _now(owner, key) is not before])
                and (not self.fixed or not [1 for array, copy in self.fixed if not _equal(array, copy)])
            )
        except Exception:  # whatever `==` of somebody's objects raises
            return False

    def difference(self) -> str | None:
        """What is no longer as it was found, or None."""
        for container, before in self.containers:
            found = _differing(container, before)
            if found is not None:
                return found
        for owner, key, before in self.single:
            if not _same(_now(owner, key), before):
                return named(owner, key)
        for array, copy in self.fixed:
            if not _equal(array, copy):
                return f"the values of an array of shape {array.shape} in a tuple or a set"
        return None

    def restore(self) -> str | None:
        """Put back what a traced function changed; the name of a thing that it did."""
        lost = None
        for container, before in self.containers:
            found = _differing(container, before)
            if found is not None:
                lost = lost or found
                _put_back(container, before)
        for owner, key, before in self.single:
            if not _same(_now(owner, key), before):
                lost = lost or named(owner, key)
                owner[key] = before
        return lost


def named(owner: Any, key: Any) -> str:
    """What an entry is called in messages."""
    if isinstance(owner, Cell):
        return f"the variable {key!r} of an enclosing function"
    return f"the global variable {key!r}" if isinstance(owner, dict) and "__name__" in owner else f"{key!r}"


def _now(owner: Any, key: Any) -> Any:
    return owner.get(key, MISSING) if isinstance(owner, dict) else owner[key]


def _same(now: Any, before: Any) -> bool:
    """Whether two things are one object, or equal numbers or texts."""
    if isinstance(before, Same):
        before = before.x
    return now is before or (type(now) is type(before) and isinstance(now, (*PLAIN, tuple, np.generic)) and _plainly_equal(now, before))


def _plainly_equal(now: Any, before: Any) -> bool:
    if isinstance(now, tuple):
        return len(now) == len(before) and all(map(_same, now, before))
    return bool(now == before) or bool(now != now and before != before)


def _equal(array: np.ndarray, copy: np.ndarray) -> bool:
    return bool(np.array_equal(array, copy, equal_nan=array.dtype.kind in "fc"))


def _differing(container: Any, before: Any) -> str | None:
    """The name of an entry that is another, or None."""
    if isinstance(before, dict):
        if container.keys() != before.keys():
            return repr(next(key for key in (*before, *container) if (key in container) is not (key in before)))
        return next((repr(key) for key in before if not _same(container[key], before[key])), None)
    if isinstance(before, (set, frozenset)):
        return None if container == before else "a set"
    if len(container) != len(before):
        return f"the length of a {type(container).__name__}"
    wrong = [i for i, pair in enumerate(zip(container, before, strict=True)) if not _same(*pair)]
    return f"entry {wrong[0]} of a {type(container).__name__}" if wrong else None


def _put_back(container: Any, before: Any) -> None:
    if isinstance(container, types.MappingProxyType):
        owner = before["__dict__"].__objclass__ if "__dict__" in before else None
        for key in {**before, **container} if owner is not None else ():
            if not _same(container.get(key, MISSING), before.get(key, MISSING)):
                Attributes(owner)[key] = _plain(before.get(key, MISSING))
    else:
        container.clear()
        if isinstance(container, (dict, set)):
            container.update({key: _plain(value) for key, value in before.items()} if isinstance(before, dict) else before)
        else:
            container.extend(map(_plain, before))


def _plain(x: Any) -> Any:
    return x.x if isinstance(x, Same) else x


# -- finding -----------------------------------------------------------------------------------------------------------------


def reach(roots: Iterable[Any]) -> State:
    """All that functions and objects hold."""
    state = State()
    seen = state.seen
    pending = list(roots)[::-1]
    while pending and len(seen) < LIMIT:
        x = pending.pop()
        if isinstance(x, PLAIN) or id(x) in seen:
            continue
        seen[id(x)] = x
        if isinstance(x, Tensor):
            state.tensors.append(x)
        elif isinstance(x, np.ndarray):
            state.fixed.append((x, x.copy()))
        elif isinstance(x, (list, collections.deque)):
            _list(state, x, pending)
        elif isinstance(x, (tuple, set, frozenset)):
            if isinstance(x, set):
                state.containers.append((x, set(x)))
            pending.extend(reversed(list(x)))
        elif isinstance(x, dict):
            _dict(state, x, pending)
        else:
            _object(state, x, pending)
    if pending:
        state.iterators.append(f"more than {LIMIT:,} objects")
    return state


def _list(state: State, x: Any, pending: list[Any]) -> None:
    state.containers.append((x, type(x)(map(kept, x))))
    state.arrays.extend((x, i, value) for i, value in enumerate(x) if _compilable(value))
    pending.extend(value for value in reversed(x) if not _compilable(value))


def _dict(state: State, x: dict[Any, Any], pending: list[Any]) -> None:
    state.containers.append((x, {key: kept(value) for key, value in x.items()}))
    state.arrays.extend((x, key, value) for key, value in x.items() if _compilable(value))
    pending.extend(value for value in reversed(list(x.values())) if not _compilable(value))
    pending.extend(key for key in x if not isinstance(key, PLAIN))


def _hold(state: State, owner: Any, key: Any, value: Any, pending: list[Any]) -> None:
    """One thing that is held by itself."""
    place = id(owner.cell if isinstance(owner, Cell) else owner), key
    if place in state.places:
        return
    state.places.add(place)
    state.single.append((owner, key, value))
    if _compilable(value):
        state.arrays.append((owner, key, value))
    else:
        pending.append(value)


def _compilable(x: Any) -> bool:
    """Whether a symbol can take an array's place."""
    return type(x) is np.ndarray and x.dtype.kind in NUMBERS and x.dtype.isnative


def _object(state: State, x: Any, pending: list[Any]) -> None:
    kind = type(x)
    if isinstance(x, types.FunctionType):
        _function(state, x, pending)
    elif isinstance(x, types.MethodType):
        pending += [x.__func__, x.__self__]
    elif isinstance(x, functools.partial):
        pending += [x.func, x.args, x.keywords]
    elif isinstance(x, (np.random.Generator, np.random.RandomState, random.Random)):
        state.generators.append(x)
    elif isinstance(x, (staticmethod, classmethod)):
        pending.append(x.__func__)
    elif isinstance(x, property):
        pending += [f for f in (x.fget, x.fset) if f is not None]
    elif isinstance(x, type):
        if not _is_library(x.__module__) and not _is_package(x.__module__):
            _class(state, x, pending)
    elif isinstance(x, (types.ModuleType, types.BuiltinFunctionType, np.generic, np.dtype, range, slice)):
        return
    elif hasattr(kind, "__next__"):
        state.iterators.append(f"an iterator, a {kind.__name__}")
    elif getattr(kind, "_is_compiled", False):
        pending.append(x._function)
    elif not _is_library(kind.__module__) or any(_is_package(base.__module__) for base in kind.__mro__):
        pending.append(kind)
        if hasattr(x, "__dict__"):
            _dict(state, vars(x), pending)
        for base in kind.__mro__:
            names = vars(base).get("__slots__", ())
            for name in (names,) if isinstance(names, str) else names:
                if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                    _hold(state, Attributes(x), name, getattr(x, name), pending)
    elif isinstance(getattr(x, "__wrapped__", None), Callable):  # type: ignore[arg-type]
        pending.append(x.__wrapped__)


def _class(state: State, x: type, pending: list[Any]) -> None:
    """A class of the user's: its functions may name globals, its attributes may be changed."""
    attributes = vars(x)
    plain = {name: value for name, value in attributes.items() if not _compilable(value)}
    state.containers.append((attributes, {name: kept(value) for name, value in attributes.items()}))
    for name, value in attributes.items():
        if _compilable(value):
            state.arrays.append((Attributes(x), name, value))
    pending.extend(value for name, value in plain.items() if name not in ("__dict__", "__weakref__", "__doc__", "__module__"))
    pending.extend(x.__bases__)


def _function(state: State, x: types.FunctionType, pending: list[Any]) -> None:
    """A function's closure, defaults, and the globals that its code, or the code of functions in it, names."""
    for name, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=False):
        if name == "__class__":
            continue
        owner = Cell(cell)
        _hold(state, owner, name, owner[name], pending)
    pending.extend(x.__defaults__ or ())
    pending.extend((x.__kwdefaults__ or {}).values())
    pending.append(getattr(x, "__wrapped__", None))
    if _is_package(x.__module__) or _is_library(x.__module__):
        return  # globals of libraries hold no state
    loaded, stored, attributes = _names(x.__code__)
    for name in sorted(loaded):
        if name in x.__globals__:
            _global(state, x.__globals__, name, attributes, pending)
    for name in sorted(stored - set(x.__globals__)):
        _hold(state, x.__globals__, name, MISSING, pending)


def _global(state: State, names: dict[str, Any], name: str, attributes: Iterable[str], pending: list[Any]) -> None:
    """A global variable; of a module of the user's, the attributes that are named."""
    value = names[name]
    if (id(names), name) in state.places:
        return
    _hold(state, names, name, value, pending)
    if isinstance(value, types.ModuleType) and not _is_library(value.__name__) and not _is_package(value.__name__):
        for attribute in sorted(attributes):
            if attribute in vars(value):
                _global(state, vars(value), attribute, attributes, pending)


def _names(code: types.CodeType) -> tuple[set[str], set[str], set[str]]:
    """The globals that code loads and stores, and the attributes that it looks up."""
    loaded, stored, attributes = set[str](), set[str](), set[str]()
    codes = [code]
    while codes:
        code = codes.pop()
        for instruction in dis.get_instructions(code):
            name = instruction.opname
            if name in ("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
                (loaded if name.startswith("LOAD") else stored).add(instruction.argval)
            elif name.startswith(("LOAD_ATTR", "LOAD_METHOD")):
                attributes.add(instruction.argval)
        codes.extend(constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return loaded | stored, stored, attributes


def _is_package(module: str | None) -> bool:
    return (module or "").partition(".")[0] == "micrograd_plus"


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

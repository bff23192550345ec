"""Which arrays a pullback holds, whether they have changed, and whether that matters to what it returns."""

import functools
from collections.abc import Callable, Iterator
from types import CellType, FunctionType
from typing import Any

import numpy as np

from ..rules import Rule
from ..tensor import Tensor

DEPTH = 8  # functions and tuples inside one another that are looked into


def fingerprint(array: np.ndarray) -> int:
    """A number that an array, changed in place, has no more: of its bytes, in the order of its memory where that is simple."""
    if not array.size:
        return 0
    if 0 in array.strides:
        array = array[tuple([0 if step == 0 else slice(None) for step in array.strides])]
    return hash(array.tobytes("A"))


def held_arrays(held: Any, name: str = "", depth: int = DEPTH) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that a function can reach through its closure and defaults, with the names of their variables, always in one order."""
    if isinstance(held, np.ndarray):
        if held.dtype.kind in "fiub":
            yield name, held
    elif isinstance(held, Tensor):
        yield from held_arrays(held.data, name, 1)
    elif depth:
        for label, part in _parts(held):
            yield from held_arrays(part, label or name, depth - 1)


def _parts(held: Any) -> Iterator[tuple[str, Any]]:
    """What is directly inside of a function or a collection, named where it is a variable."""
    if isinstance(held, FunctionType):
        yield from zip(held.__code__.co_freevars, map(_content, held.__closure__ or ()), strict=True)
        yield from (("", default) for default in (*(held.__defaults__ or ()), *(held.__kwdefaults__ or {}).values()))
    elif isinstance(held, functools.partial):
        yield from (("", part) for part in (held.func, *held.args, *held.keywords.values()))
    elif isinstance(held, tuple | list):
        yield from (("", part) for part in held)
    elif isinstance(held, dict):
        yield from ((key if isinstance(key, str) else "", part) for key, part in held.items())


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been put into it yet
        return None


def depends_on(pullback: Callable[[Any], Any], g: Any, array: np.ndarray) -> bool:
    """Whether what a pullback returns depends on the values of an array that it holds, not only on its shape.

    It is called with others in the array's place: the rule of a matrix product, for instance, holds both factors, for their
    numbers of axes, and needs the values of one.
    """

    def returned(replacement: np.ndarray) -> Any:
        return np.asarray(_with(pullback, {id(array): replacement}, DEPTH)(g))

    return _differ(returned, array)


def rule_depends_on(rule: Rule, arrays: list[Any], options: dict[str, Any], position: int, k: int, g: Any) -> bool:
    """The same of a rule that a walk runs again, on inputs of which the array k has changed, for the gradient at `position`."""

    def returned(replacement: np.ndarray) -> Any:
        others = [replacement if i == k else x for i, x in enumerate(arrays)]
        pullbacks: Any = rule(*others, **options)[1]
        return np.asarray(pullbacks[position](g))

    return _differ(returned, arrays[k])


def _differ(returned: Callable[[np.ndarray], Any], array: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        expected = returned(array)
        for other in _others(array):
            try:
                if not np.array_equal(returned(other), expected, equal_nan=True):
                    return True
            except Exception:  # of values that it can't take, an index out of range for instance, it makes use
                return True
    return False


def _others(array: np.ndarray) -> list[np.ndarray]:
    """Arrays of other values in every place, of both signs."""
    if array.dtype.kind == "b":
        return [~array]
    others = [np.abs(array) + 1, np.zeros_like(array) if array.dtype.kind == "u" else -np.abs(array) - 1]
    return [*others, np.full_like(array, np.nan)] if array.dtype.kind == "f" else others


def _with(held: Any, replaced: dict[int, Any], depth: int) -> Any:
    """A function or collection with other arrays inside; itself where it holds none of those that are replaced."""
    if isinstance(held, np.ndarray):
        return replaced.get(id(held), held)
    if not depth:
        return held
    if isinstance(held, FunctionType):
        return _function_with(held, replaced, depth - 1)
    if isinstance(held, functools.partial):
        func, *args = [_with(part, replaced, depth - 1) for part in (held.func, *held.args)]
        return functools.partial(func, *args, **_with(held.keywords, replaced, depth - 1))
    if isinstance(held, dict):
        return {key: _with(part, replaced, depth - 1) for key, part in held.items()}
    if type(held) in (tuple, list):
        return type(held)([_with(part, replaced, depth - 1) for part in held])
    return held


def _function_with(function: FunctionType, replaced: dict[int, Any], depth: int) -> FunctionType:
    cells = tuple([CellType(_with(_content(cell), replaced, depth)) for cell in function.__closure__ or ()])
    defaults = _with(function.__defaults__, replaced, depth)
    other = FunctionType(function.__code__, function.__globals__, function.__name__, defaults, cells)
    other.__kwdefaults__ = _with(function.__kwdefaults__, replaced, depth)
    return other

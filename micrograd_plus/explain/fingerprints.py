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
    """Whether a pullback reads the values of an array that it holds, and not only its shape.

    The rule of a matrix product, for instance, holds both factors for their numbers of axes, and the pullback of each needs the
    values of the other. It is called with a `Traced` array in the place of this one; and with NaN, for what makes a plain array of it.
    """
    if array.dtype.kind != "f":  # as an index, an array is read without a word
        return True
    note = _Note(armed=True)
    traced = _with(pullback, {id(array): _traced(array, note)}, note, DEPTH)
    if not note.placed or _reads(traced, g, note):
        return True
    spoilt = _with(pullback, {id(array): np.full_like(array, np.nan)}, note, DEPTH)
    with np.errstate(all="ignore"):
        return not np.array_equal(pullback(g), spoilt(g), equal_nan=True)


def rule_depends_on(rule: Rule, arrays: list[Any], options: dict[str, Any], position: int, k: int, g: Any) -> bool:
    """The same of input k of a rule that is run again, and of the pullback at `position` that it then gives."""
    note = _Note(armed=False)
    with np.errstate(all="ignore"):
        pullbacks: Any = rule(*[_traced(x, note) if i == k else x for i, x in enumerate(arrays)], **options)[1]
    note.armed = True
    return _reads(pullbacks[position], g, note)


def _reads(pullback: Callable[[Any], Any], g: Any, note: "_Note") -> bool:
    with np.errstate(all="ignore"):
        result = pullback(g)
    return note.read or isinstance(result, Traced)


class _Note:
    """Whether an array was put in the place of another, and whether its values were read while that was looked for (`armed`)."""

    def __init__(self, armed: bool) -> None:
        self.armed, self.placed, self.read = armed, False, False


class Traced(np.ndarray):
    """An array that notes when functions of NumPy and of this package read its values; what they make of it is one too."""

    note: _Note | None

    def __array_finalize__(self, source: Any) -> None:
        self.note = getattr(source, "note", None)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return self._noted(getattr(ufunc, method), inputs, options)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, options: Any) -> Any:
        if function in (np.shape, np.ndim, np.size):
            return function(*_plain(args), **options)
        return self._noted(function, args, options)

    def _noted(self, function: Callable[..., Any], args: Any, options: Any) -> Any:
        note = next(note for x in _each((args, options, self)) if isinstance(x, Traced) and (note := x.note) is not None)
        note.read = note.read or note.armed
        return _traced(function(*_plain(args), **_plain(options)), note)


def _traced(x: Any, note: _Note) -> Any:
    """An array, or those of a tuple, traced."""
    if isinstance(x, tuple):
        return tuple([_traced(part, note) for part in x])
    traced = np.asarray(x).view(Traced)
    traced.note = note
    return traced


def _plain(x: Any) -> Any:
    """The same without tracing."""
    if isinstance(x, Traced):
        return x.view(np.ndarray)
    if isinstance(x, dict):
        return {key: _plain(part) for key, part in x.items()}
    return type(x)([_plain(part) for part in x]) if type(x) in (tuple, list) else x


def _each(x: Any) -> Iterator[Any]:
    if isinstance(x, tuple | list | dict):
        for part in x.values() if isinstance(x, dict) else x:
            yield from _each(part)
    else:
        yield x


def _with(held: Any, replaced: dict[int, Any], note: _Note, depth: int) -> Any:
    """A function or collection with other arrays in the places of some."""
    if isinstance(held, np.ndarray):
        note.placed = note.placed or id(held) in replaced
        return replaced.get(id(held), held)
    if not depth:
        return held
    if isinstance(held, FunctionType):
        return _function_with(held, replaced, note, depth - 1)
    if isinstance(held, functools.partial):
        func, *args = [_with(part, replaced, note, depth - 1) for part in (held.func, *held.args)]
        return functools.partial(func, *args, **_with(held.keywords, replaced, note, depth - 1))
    if isinstance(held, dict):
        return {key: _with(part, replaced, note, depth - 1) for key, part in held.items()}
    if type(held) in (tuple, list):
        return type(held)([_with(part, replaced, note, depth - 1) for part in held])
    return held


def _function_with(function: FunctionType, replaced: dict[int, Any], note: _Note, depth: int) -> FunctionType:
    cells = tuple([CellType(_with(_content(cell), replaced, note, depth)) for cell in function.__closure__ or ()])
    defaults = _with(function.__defaults__, replaced, note, depth)
    other = FunctionType(function.__code__, function.__globals__, function.__name__, defaults, cells)
    other.__kwdefaults__ = _with(function.__kwdefaults__, replaced, note, depth)
    return other

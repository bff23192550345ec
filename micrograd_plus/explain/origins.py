"""Where values come from: the user's line that made one, and the modules in which it was made."""

import sys
import weakref
from typing import Any

import numpy as np

from ..layers import Module
from ..rules import Rule
from ..tensor import Tensor, from_numpy
from .lines import Line, is_users

_MODULE = sys.modules[Module.__module__].__file__  # and not the code of Module.__call__, in whose place another may stand
_MAKERS = {Tensor.__init__.__code__: "data", from_numpy.__code__: "array"}  # what makes leaves, and of which argument
_paths: "dict[tuple[int, int], tuple[weakref.ref[Module], weakref.ref[Module], str]]" = {}  # of a module in another, by their ids


class Origin:
    """What `debug()` notes of a value; `str` gives its line.

    Attributes:
        line: the user's line, None where no frame is the user's.
        modules: the Modules that were being called, the outermost first: of that one its class, of each other its path in the
            one before, such as ("Sequential", "layers.0").
        value: the array; a tuple of them for a node of a rule of several values.
        rule: what made it, None of a leaf.
        users: of a leaf, whether the user's line called for a Tensor; a layer makes one of an array that it is given.
        number: of a leaf, how many tensors that place of the code had made by then.
        source: of a value with NaN or infinite elements that it got from its inputs, the Origin of where they were first.
        prints: of a node, the fingerprints of the arrays that its gradient needs; see `changes`.
    """

    __slots__ = ("_given", "line", "modules", "number", "prints", "rule", "source", "users", "value")

    def __init__(self, line: Line | None, modules: tuple[str, ...], value: Any, rule: Rule | None = None) -> None:
        self.line, self.modules, self.value, self.rule = line, modules, value, rule
        self.source: Origin | None = None
        self.users, self.number = True, 0
        self.prints: Any = None
        self._given: Any = None

    def __str__(self) -> str:
        return "an unknown line" if self.line is None else str(self.line)

    @property
    def given(self) -> np.ndarray | None:
        """Of a leaf, the array that it was made of, while that is alive."""
        given: np.ndarray | None = self._given() if isinstance(self._given, weakref.ref) else self._given
        return given

    def note_given(self) -> None:
        """Note what a leaf is made of, while it is being made: not so that it stays alive, unless elements are not finite."""
        frame: Any = sys._getframe(1)
        while frame is not None and frame.f_code not in _MAKERS:
            frame = frame.f_back
            if frame is not None and is_users(frame.f_code.co_filename):
                return
        if frame is None:
            return
        self.users = is_users(frame.f_back.f_code.co_filename)
        array = frame.f_locals[_MAKERS[frame.f_code]]
        if isinstance(array, np.ndarray):
            self._given = weakref.ref(array) if self.source is None else array

    @property
    def place(self) -> str:
        """The line, and the module that was being called: "train.py, line 12, in layers.0 of Sequential"."""
        outer, *path = self.modules or ("",)
        inside = f"{'.'.join(path)} of {outer}" if path else outer
        return f"{self}, in {inside}" if inside else str(self)

    @property
    def shown(self) -> str:
        """The place, and below it what stands there."""
        text = self.line.text if self.line else ""
        return f"{self.place}:\n    {text}" if text else self.place


def origin(value: Any, rule: Rule | None = None) -> Origin:
    """The Origin of a value that is being made."""
    frame: Any = sys._getframe(1)
    line: Line | None = None
    called: list[Module] = []
    while frame is not None:
        code = frame.f_code
        if code.co_name == "__call__" and code.co_filename == _MODULE:
            called.append(frame.f_locals["self"])
        elif line is None and is_users(code.co_filename):
            line = Line(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return Origin(line, _named(called[::-1]), value, rule)


def _named(modules: list[Module]) -> tuple[str, ...]:
    names = []
    for i, module in enumerate(modules):
        names.append(_path(modules[i - 1], module) if i else type(module).__name__)
    return tuple(names)


def _path(parent: Module, child: Module) -> str:
    """The path of a module in one that calls it; its class where it is not found there."""
    key = id(parent), id(child)
    known = _paths.get(key)
    if known is None or known[0]() is not parent or known[1]() is not child:
        path = next((name for name, module in parent.named_modules() if module is child), type(child).__name__)
        known = _paths[key] = weakref.ref(parent), weakref.ref(child), path
    return known[2]

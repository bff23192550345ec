"""Where values come from: the user's line that made one, and the modules in which it was made."""

import sys
import weakref
from typing import Any

from ..layers import Module
from .lines import Line, is_users

_CALL = Module.__call__.__code__
_paths: "weakref.WeakKeyDictionary[Module, dict[int, str]]" = weakref.WeakKeyDictionary()


class Origin:
    """What `debug()` notes of a value; `str` gives its line.

    Attributes:
        line: the user's line, None where no frame is the user's.
        modules: the Modules that were being called, the outermost first: of that one its class, of each other its path in the
            one before, such as ("Sequential", "layers.0").
        value: the array; a tuple of them for a node of a rule of several values.
    """

    __slots__ = ("line", "modules", "value")

    def __init__(self, line: Line | None, modules: tuple[str, ...], value: Any) -> None:
        self.line, self.modules, self.value = line, modules, value

    def __str__(self) -> str:
        return "an unknown line" if self.line is None else str(self.line)


def origin(value: Any) -> Origin:
    """The Origin of a value that is being made."""
    frame: Any = sys._getframe(1)
    line: Line | None = None
    called: list[Module] = []
    while frame is not None:
        code = frame.f_code
        if code is _CALL:
            called.append(frame.f_locals["self"])
        elif line is None and is_users(code.co_filename):
            line = Line(code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return Origin(line, _named(called[::-1]), value)


def _named(modules: list[Module]) -> tuple[str, ...]:
    names = []
    for i, module in enumerate(modules):
        names.append(_path(modules[i - 1], module) if i else type(module).__name__)
    return tuple(names)


def _path(parent: Module, child: Module) -> str:
    """The path of a module in one that calls it; its class where it is not found there."""
    known = _paths.setdefault(parent, {})
    if id(child) not in known:
        known.update({id(module): name for name, module in parent.named_modules()})
    return known.setdefault(id(child), type(child).__name__)

"""`debug()`: every operation remembers the line that it was called from."""

import threading
from collections.abc import Sequence
from typing import Any, Self

from ..rules import Rule
from ..tensor import Node, Part, Tensor, _state, watch
from .origins import Origin, origin


class debug:  # noqa: N801 - a context manager, as no_grad
    """Every operation of this thread remembers the user's line: within `with debug(): ...`, or from `debug()` to `debug(False)`."""

    def __init__(self, on: bool = True) -> None:
        self._on, self._before = on, _switch(on)

    def __enter__(self) -> Self:
        _switch(self._on)
        return self

    def __exit__(self, *error: object) -> None:
        _switch(self._before)


class _Thread(threading.local):
    debugger: "Debugger | None" = None


_thread = _Thread()


def _switch(on: bool) -> bool:
    """Have this thread's operations followed, or not; returns whether they were. Other watchers go on."""
    was = _thread.debugger is not None
    if on != was:
        others = [watcher for watcher in _state.watchers if not isinstance(watcher, Debugger)]
        _thread.debugger = Debugger() if on else None
        watch(*([_thread.debugger] if _thread.debugger else []), *others)
    return was


class Debugger:
    """The watcher of one thread's debug mode."""

    def made(self, out: Tensor, rule: Rule | None, inputs: Any, options: Any, pullbacks: Any) -> None:
        """Note where a new Tensor, and the node that recorded it, come from."""
        out._line = found = origin(out._data)
        node = out._node
        if isinstance(node, Node):
            node.line = found
        elif isinstance(node, Part):
            if node.index == 0:
                node.whole.line = Origin(found.line, found.modules, ())
            node.whole.line.value += (out._data,)

    def pulling(self, node: Node, g: Any, edges: Sequence[Any], pullbacks: Any) -> Any:
        """Nothing yet."""
        return pullbacks

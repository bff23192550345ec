"""`debug()`: errors that name the user's lines, and a stop at the first value or gradient that is not finite, or not what it was."""

import functools
import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import numpy as np

from .. import effects
from ..layers import Module
from ..rules import Rule
from ..tensor import Node, Part, Tensor, _state, watch
from .changes import ChangedInPlaceError, Changes
from .finite import Finiteness, NotFiniteError, Writes
from .operands import explain_shapes
from .origins import Origin, origin

__all__ = ["ChangedInPlaceError", "NotFiniteError", "debug"]


class debug:  # noqa: N801 - a context manager, as no_grad
    """Debug mode, of this thread: within `with debug(): ...`, or from `debug()` to `debug(False)`.

    Every operation remembers the user's line that called for it. Then

    - an error of shapes names the lines that made what an operation or a layer was given;
    - NaN or inf stops at the operation that first made it, in the forward pass or in backward(), with its line, the index of the
      first such element, the inputs there, and the likely cause;
    - an array that was changed in place, though the graph needs it as it was, stops backward() before it is used.

    A training step takes two to four times as long, and a graph keeps the results of all its operations. Off, it costs nothing.
    It nests, and compiled functions run eagerly in it. docs/debugging.md shows messages.

    Args:
        on: whether debug mode is to be on; `with debug(False):` leaves it for a while.

    Raises:
        NotFiniteError: by operations, backward() and step(); a FloatingPointError.
        ChangedInPlaceError: by backward(), gradients() and transforms; a RuntimeError.

    >>> from micrograd_plus import Tensor, debug
    >>> x = Tensor([1.0, 0.0], requires_grad=True)
    >>> try:
    ...     with debug(), np.errstate(divide="ignore"):
    ...         x.log()
    ... except FloatingPointError as error:
    ...     print(error.operation, error.index, error.cause)
    log (1,) the logarithm of 0 is -inf.
    """

    def __init__(self, on: bool = True) -> None:
        debugger = _thread.debugger
        self._on, self._before = on, _switch(on)
        if debugger is not None and not on:
            debugger.finite.check_updates()

    def __enter__(self) -> Self:
        _switch(self._on)
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: TracebackType | None) -> None:
        debugger = _thread.debugger
        _switch(self._before)
        if error is not None:
            explain_shapes(error)
        elif debugger is not None:
            debugger.finite.check_updates()

    def __repr__(self) -> str:
        return f"debug({self._on})"


class _Thread(threading.local):
    debugger: "Debugger | None" = None


_thread = _Thread()
_lock = threading.Lock()
_count = 0  # of the threads that are in debug mode


def _switch(on: bool) -> bool:
    """Have this thread's operations followed, or not; returns whether they were. Other watchers go on."""
    global _count, _hook
    was = _thread.debugger is not None
    if on != was:
        _thread.debugger = debugger = Debugger() if on else None
        watch(*([debugger] if debugger else []), *[watcher for watcher in _state.watchers if not isinstance(watcher, Debugger)])
        runs = [run for run in effects._state.runs if not isinstance(run, Writes)]
        effects._state.runs = (*runs, Writes(debugger.writes)) if debugger else tuple(runs)
        with _lock:
            _count += 1 if on else -1
            Module._forward_hooks = _explaining if _count else None  # type: ignore[assignment]
            if _count and _hook is None:
                _hook, sys.excepthook = sys.excepthook, _excepthook
            elif not _count and sys.excepthook is _excepthook:
                _hook, sys.excepthook = None, _hook
    return was


class _Explaining:
    """What stands for the hooks of every Module without any, while a thread is in debug mode. False, so that a Module makes its own."""

    def __bool__(self) -> bool:
        return False

    def run(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """module.forward(*args, **kwargs), whose errors of shapes are explained."""
        try:
            return module.forward(*args, **kwargs)
        except (ValueError, TypeError, IndexError) as error:
            if _thread.debugger is not None:
                explain_shapes(error)
            raise


_explaining = _Explaining()
_hook: Any = None  # sys.excepthook, while this module's stands in its place


def _excepthook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Explain an error that ends the program, before it is shown."""
    if _thread.debugger is not None:
        explain_shapes(error)
    (_hook or sys.__excepthook__)(kind, error, trace)


class Debugger:
    """The watcher of one thread's debug mode."""

    def __init__(self) -> None:
        self.changes = Changes()
        self.finite = Finiteness(self.changes.written)
        self._replaying = 0  # pullbacks that are being recorded: what they return is checked

    def made(self, out: Tensor, rule: Rule | None, inputs: Any, options: Any, pullbacks: Any) -> None:
        """Note where a new Tensor, and the node that recorded it, come from; check the values."""
        if out._data.__class__ is not np.ndarray:  # a symbol
            return
        out._line = found = origin(out._data, rule)
        if rule is None:
            self.finite.leaf(out, found)
            return
        node = out._node
        if isinstance(node, Part):
            if node.index == 0:
                node.whole.line = Origin(found.line, found.modules, (), rule)
            node.whole.line.value += (out._data,)
        elif node is not None:
            node.line = found
        if not self._replaying:
            self.finite.made(out, rule, inputs, options, found)
        if isinstance(node, Node):
            found.prints = self.changes.recorded(rule, inputs, options, pullbacks)
        elif node is not None and node.index == 0:
            node.whole.line.prints = self.changes.recorded(rule, inputs, options, pullbacks)

    def pulling(self, node: Node, g: Any, edges: Sequence[Any], pullbacks: Any) -> Any:
        """Check a gradient that is complete; and have the pullbacks checked, what they need before, what they return after."""
        if _symbolic(g):
            return pullbacks
        found = getattr(node, "line", None)
        self.finite.pulling(node, g, edges, pullbacks, found)
        kept = node.inputs, node.options, pullbacks, pullbacks is not node.pullbacks
        return [
            pullback and functools.partial(self._pull, node, found, kept, position, edge, pullback)
            for position, (edge, pullback) in enumerate(zip(edges, pullbacks, strict=True))
        ]

    def _pull(self, node: Node, found: Origin | None, kept: Any, position: int, edge: Any, pullback: Any, g: Any) -> Any:
        inputs, options, pullbacks, replayed = kept
        if found is not None and found.prints is not None:
            self.changes.compare(node, found, inputs, options, pullbacks, position, g, replayed)
        self._replaying += replayed
        try:
            contribution = pullback(g)
        finally:
            self._replaying -= replayed
        return self.finite.pulled(node, inputs, options, position, edge, g, contribution)

    def writes(self, target: Any) -> None:
        """What `effects` tells of a write, before it."""
        if isinstance(target, np.ndarray):
            self.changes.writes(target)
            self.finite.writes(target)


def _symbolic(g: Any) -> bool:
    parts = g if isinstance(g, tuple) else (g,)
    return any(not isinstance(part._data if isinstance(part, Tensor) else part, np.ndarray | np.generic) for part in parts)

"""Arrays changed in place while a graph still needs them, caught before a gradient is computed from them.

When an operation is recorded, the arrays are fingerprinted that its pullbacks hold, of those inputs that require gradients.
When a walk calls such a pullback, they are compared. Where one differs, the pullback is called to see whether it reads its values.
"""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..rules import LINEAR, Rule
from ..tensor import Node, Tensor, _creation
from ..transforms import _Jointly
from .causes import name_of, operand
from .fingerprints import depends_on, fingerprint, held_arrays, rule_depends_on
from .lines import Line, user_frames, user_line, write_to
from .operands import root_of, sharing
from .origins import Origin

NAMED = 3  # variables that share the memory of an array that are named at most


class ChangedInPlaceError(RuntimeError):
    """Under `debug()`: a backward walk needs an array that has been changed since the operation that needs it ran.

    Attributes:
        operation: the name of the rule that needs it.
        line: the user's line that called it.
        made: the line that made the array, None where it is not known.
    """

    def __init__(self, text: str, operation: str, line: Line | None, made: Line | None) -> None:
        super().__init__(text)
        self.operation, self.line, self.made = operation, line, made


class Prints:
    """The fingerprints of what a node needs: by position of an input, of what its pullback holds; and of the inputs, for replay."""

    __slots__ = ("held", "inputs")

    def __init__(self, held: dict[int, list[int]], inputs: dict[int, int]) -> None:
        self.held, self.inputs = held, inputs


class Changes:
    """What one thread's debug mode knows of writes into arrays."""

    def __init__(self) -> None:
        self._written: dict[int, tuple[weakref.ref[np.ndarray], Line | None, int]] = {}  # by id of the array whose memory it is

    def writes(self, target: np.ndarray) -> None:
        """Note the line of a write that goes through the library: an optimizer's step, a running mean."""
        root = root_of(target)
        self._written[id(root)] = weakref.ref(root), user_line(), next(_creation)

    def written(self, array: np.ndarray, since: int = 0) -> Line | None:
        """The line of the last such write into an array, or another view of its memory, since a node of that number was made."""
        ref, line, order = self._written.get(id(root_of(array)), (None, None, 0))
        return line if ref is not None and ref() is root_of(array) and order > since else None

    def recorded(self, rule: Rule, inputs: Any, options: Any, pullbacks: Any) -> Prints:
        """The fingerprints of what a node that is being recorded needs."""
        known: dict[int, int] = {}

        def of(array: np.ndarray) -> int:
            if id(array) not in known:
                known[id(array)] = fingerprint(array)
            return known[id(array)]

        wanted = [isinstance(x, Tensor) and x._requires_grad for x in inputs]
        held = {i: [of(array) for _, array in _held(pullbacks, i, inputs, options)] for i, needed in enumerate(wanted) if needed}
        linear = rule in LINEAR
        return Prints(held, {} if linear else {i: of(array) for i, x in enumerate(inputs) if (array := _values(x)) is not None})

    def compare(self, node: Node, found: Origin, inputs: Any, options: Any, pullbacks: Any, position: int, g: Any, replayed: bool) -> None:
        """Stop where what the pullback of an input needs has changed.

        Raises:
            ChangedInPlaceError: with the line that made it, the line that needs it, and the one that changed it where it is known.
        """
        prints: Prints = found.prints
        if position not in prints.held:
            return
        if replayed and node.rule not in LINEAR:
            for k, before in prints.inputs.items():
                array = _values(inputs[k])
                if array is not None and fingerprint(array) != before:
                    cotangent = g._data if isinstance(g, Tensor) else g
                    if rule_depends_on(node.rule, [_plain(x) for x in inputs], options, position, k, cotangent):
                        self._stop(node, found, inputs, array, "")
            return
        for (name, array), before in zip(_held(pullbacks, position, inputs, options), prints.held[position], strict=True):
            if fingerprint(array) != before and (isinstance(pullbacks, _Jointly) or depends_on(pullbacks[position], g, array)):
                self._stop(node, found, inputs, array, name)

    def _stop(self, node: Node, found: Origin, inputs: Any, array: np.ndarray, name: str) -> None:
        rule = name_of(node.rule)
        what, made = _described(node, found, inputs, array, name)
        lines = [f"backward() needs an array as it was when {rule} was computed, but it has been changed in place since"]
        lines.append(f"the array: {what}, shape {array.shape}{f', made in {made.shown}' if made else ''}")
        frames = list(user_frames())
        shared = sharing(array, frames)
        if shared:
            lines.append(f"its memory is that of {', '.join(list(shared)[:NAMED])}")
        lines.append(f"needed by: {rule} in {found.shown}")
        line = self.written(array, node.order)
        if line is not None:
            lines.append(f"last changed by: {Origin(line, (), None).shown}")
            lines.append("what to do: call backward() before the update, or compute the loss anew after it.")
        else:
            line = write_to(shared.values(), frames, found.line)
            how = "a write into .data, or into a NumPy array that shares its memory"
            lines.append(f"changed by: {how}" + (f", it seems in {Origin(line, (), None).shown}" if line else ""))
            advice = "write after backward(), or compute a new tensor, such as x = x + 1, or write into a copy, x.numpy()."
            lines.append(f"what to do: {advice}")
        raise ChangedInPlaceError("\n  ".join(lines), rule, found.line, made.line if made else None)


def _described(node: Node, found: Origin, inputs: Any, array: np.ndarray, name: str) -> tuple[str, Origin | None]:
    """What an array is to an operation, and where it was made."""
    rule = name_of(node.rule)
    for k, x in enumerate(inputs or ()):
        values = _values(x)
        if values is not None and np.may_share_memory(values, array):
            return f"the {operand(node.rule, k)} of {rule}", getattr(x, "_line", None)
    outputs = found.value if isinstance(found.value, tuple) else (found.value,)
    if any(np.may_share_memory(value, array) for value in outputs):
        return f"the result of {rule}", found
    return f"`{name}` of {rule}" if name else f"an array that {rule} was given", None


def _held(pullbacks: Any, position: int, inputs: Any, options: Any) -> Iterable[tuple[str, np.ndarray]]:
    """The arrays that the pullback of an input needs. That of a checkpoint runs its function again, on its inputs and arguments."""
    if isinstance(pullbacks, _Jointly):
        return held_arrays([*[_values(x) for x in inputs], _arguments(options["again"])])
    return held_arrays(pullbacks[position])


def _arguments(again: Callable[..., Any]) -> list[Any]:
    """What a checkpoint runs its function on again."""
    closure = dict(zip(again.__code__.co_freevars, again.__closure__ or (), strict=True))
    return [closure[name].cell_contents for name in ("args", "kwargs")]


def _values(x: Any) -> np.ndarray | None:
    x = _plain(x)
    return x if isinstance(x, np.ndarray) else None


def _plain(x: Any) -> Any:
    return x._data if isinstance(x, Tensor) else x

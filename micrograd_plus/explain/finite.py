"""Stopping at the operation that first made NaN or inf, forward or backward, and saying why."""

import dataclasses
import math
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

from .. import rules
from .. import tensor as engine
from ..effects import Run
from ..layers import Parameter
from ..optimizers import Optimizer
from ..rules import Rule
from ..tensor import Node, Part, Tensor, _name
from .causes import ELEMENTWISE, MOVING, PRODUCTS, Cause, Failure, joins, name_of, of_gradient, of_result, operand
from .lines import PACKAGE, Line, user_frames, user_line, variable_of
from .operands import batch_of, first_row, parameter_name
from .origins import Origin

TIMES = 30  # a parameter that has grown so many times over is taken for the cause of what overflows

_GRADCHECK = str(Path(PACKAGE) / "gradcheck")
_OPTIMIZER = sys.modules[Optimizer.__module__].__file__  # and not the code of Optimizer.step, in whose place another may stand


class NotFiniteError(FloatingPointError):
    """Under `debug()`: an operation made NaN or inf, or got it from the data or from a parameter.

    Attributes:
        operation: the name of the operation's rule; "update" where a parameter became so.
        backward: whether it is a gradient that is not finite.
        line: the user's line.
        index: of the first such element in the operation's result, gradient or input.
        cause: the likely cause, a sentence.
    """

    def __init__(self, text: str, operation: str, backward: bool, line: Line | None, index: tuple[int, ...], cause: str) -> None:
        super().__init__(text)
        self.operation, self.backward, self.line, self.index, self.cause = operation, backward, line, index, cause


@dataclasses.dataclass
class Update:
    """The last update of a parameter by an optimizer: the line, the optimizer's class, the learning rate, and how many there were."""

    parameter: "weakref.ref[Tensor]"
    line: Line | None
    optimizer: str
    lr: float
    count: int

    def __str__(self) -> str:
        return f"{self.optimizer} with lr = {self.lr:g} in {self.line or 'an unknown line'}"


class Finiteness:
    """What one thread's debug mode knows of values that are not finite, and of what could make them."""

    def __init__(self, written: Callable[[np.ndarray], Line | None]) -> None:
        self._written = written  # the line of the library's last write into an array
        self._first: dict[int, tuple[weakref.ref[Tensor], float]] = {}  # by id, the size of a parameter when it was first used
        self._updates: dict[int, Update] = {}
        self._unchecked: list[Update] = []
        self._leaves: dict[tuple[CodeType, int], int] = {}  # how many leaves were made by each place of the user's code
        # Of nodes that walks came through: what read their results, and as which input. A dict, for walks may come often.
        self._readers: weakref.WeakKeyDictionary[Any, dict[tuple[weakref.ref[Node], int], None]] = weakref.WeakKeyDictionary()
        self._conditions: weakref.WeakKeyDictionary[Node, np.ndarray] = weakref.WeakKeyDictionary()

    # -- forward -------------------------------------------------------------------------------------------------------

    def leaf(self, out: Tensor, found: Origin) -> None:
        """Note whether a leaf holds NaN or inf, and which of those that its line made it is."""
        if out.dtype.kind == "f" and not np.isfinite(out._data).all():
            found.source = found
        found.note_given()
        frame = next(user_frames(sys._getframe(1)), None)
        if frame is not None:
            key = frame.f_code, frame.f_lasti
            self._leaves[key] = found.number = self._leaves.get(key, 0) + 1

    def made(self, out: Tensor, rule: Rule, inputs: Any, options: Any, found: Origin) -> None:
        """Stop where a result holds NaN or inf that its inputs did not, or that is no good to anyone.

        Raises:
            NotFiniteError: with the line, the first such element, the inputs there, and the likely cause.
        """
        self.check_updates()
        for x in inputs:
            if isinstance(x, Tensor) and x._requires_grad and x._node is None:
                known = self._first.get(id(x))
                if known is None or known[0]() is not x:
                    self._first[id(x)] = weakref.ref(x), _size(x._data)
        value = out._data
        if value.dtype.kind != "f":
            return
        finite = np.isfinite(value)
        if finite.all() or _probed():
            return
        arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
        odd = [not np.isfinite(x).all() for x in arrays]
        found.source = next((source for x, bad in zip(inputs, odd, strict=True) if bad and (source := _source(x))), None)
        for k, (x, array) in enumerate(zip(inputs, arrays, strict=True)):
            if odd[k] and (self._spoilt(x) or (rule not in MOVING and (np.isnan(array).any() or rule in PRODUCTS))):
                self._came_in(rule, k, x, found)
        if rule in MOVING:
            return
        new = _made_here(rule, value, ~finite, arrays, odd)
        if new.any():
            index = _first_of(new)
            failure = Failure(rule, tuple(inputs), options or {}, value, index)
            self._stop(failure, of_result(failure), found, int(new.sum()))

    def _stop(self, f: Failure, cause: Cause, found: Origin | None, count: int) -> None:
        """Raise for a failure of an operation or of its gradient."""
        name, frames = name_of(f.rule), list(user_frames())
        backward, bad = f.position is not None, _shown(f.value[f.index])
        what = f"the gradient of {name}" if backward else f"the result of {name}"
        lines = [f"{what} is {bad}, in {found.shown if found else 'an operation that was recorded while debug() was off'}"]
        of = f"the gradient with respect to its {operand(f.rule, f.position or 0)}" if backward else "its result"
        lines.append(_elements(of, f.index, f.value.shape, count))
        lines += _inputs_there(f)
        if f.g is not None:
            lines.append(f"the gradient that arrives there is {_shown(f.g)}")
        growth = self._growth(frames) if cause.grows else ""
        if growth:
            lines += [f"likely cause: a learning rate that is too high. {growth}", f"here: {cause.fact}"]
            advice = "try a tenth of the learning rate, or limit the gradients by clip_grad_norm()."
        else:
            lines.append(f"likely cause: {cause.fact}")
            advice = cause.advice
        if advice:
            lines.append(f"what to do: {advice[0].lower()}{advice[1:]}")
        raise NotFiniteError("\n  ".join(lines), _name(f.rule), backward, _line_of(found), f.index, growth or cause.fact)

    def _came_in(self, rule: Rule, k: int, x: Any, found: Origin) -> None:
        """Raise for an input that was not finite before: a parameter's, the data's."""
        frames, name = list(user_frames()), name_of(rule)
        array = x._data if isinstance(x, Tensor) else x
        if isinstance(x, Tensor) and (self._spoilt(x) or isinstance(x, Parameter)):
            index = _first_of(~np.isfinite(array))
            lines = [f"{name} got a parameter that is not finite, in {found.shown}"]
            lines.append(_elements(f"{parameter_name(x, frames)} holds {_shown(array[index])}", index, array.shape, _bad(array)))
            lines += [f"it was made in {x._line.place}"] if hasattr(x, "_line") else []
            wrote = self._written(array)
            last = f" The library last wrote into it in {wrote}." if wrote else ""
            cause = f"it was made, or loaded, with such numbers.{last}"
            if self._spoilt(x):
                cause = f"it was finite when it was first used, and has been written into since.{last}"
            lines.append(f"likely cause: {cause}")
            raise NotFiniteError("\n  ".join(lines), _name(rule), False, found.line, index, cause)
        source = _source(x)
        data = np.asarray(array if source is None else source.value)
        wrong = np.isnan(data) if np.isnan(data).any() else ~np.isfinite(data)
        index = _first_of(wrong)
        bad = _shown(data[index])
        lines = [f"{name} got {bad} from its {operand(rule, k)}, in {found.shown}"]
        lines += self._whence(data, source, x, index, int(wrong.sum()) - 1, frames)
        cause = f"{bad} in the data. No operation on a Tensor made it: it was read so, or NumPy computed it."
        if not isinstance(x, Tensor) and _within({"cross_entropy", "nll_loss"}):
            cause = "the mean over no labels: the batch is empty, all labels are ignored, or their weights are 0."
            lines = [lines[0], f"likely cause: {cause}"]
        elif data.ndim:
            if np.isnan(data).any() and np.isinf(data).any():
                cause += " It holds inf too, and 0 * inf and inf - inf are not numbers."
            lines.append(f"likely cause: {cause}")
            nameless = not isinstance(x, Tensor) and variable_of(x, frames) is None
            rows = "~np.isfinite(data).reshape(len(data), -1).all(axis=1)"
            advice = f"find such rows by {rows}, and drop or mend them before training."
            lines.append(f"what to do: {'mend the NumPy expression in that line.' if nameless else advice}")
        else:
            cause = f"the number {bad} is an operand."
            lines.append(f"likely cause: {cause}")
        raise NotFiniteError("\n  ".join(lines), _name(rule), False, found.line, index, cause)

    def _spoilt(self, x: Any) -> bool:
        """Whether an input is a leaf, trained presumably, that was finite when it was first used."""
        known = self._first.get(id(x))
        return isinstance(x, Tensor) and known is not None and known[0]() is x and bool(np.isfinite(known[1]))

    def _whence(
        self, data: np.ndarray, source: Origin | None, x: Any, index: tuple[int, ...], others: int, frames: Sequence[FrameType]
    ) -> list[str]:
        """Where the data came from: variable, batch, row and column."""
        if not data.ndim:
            return []
        row, rest = index[0], index[1:]
        columns = f", column {rest[0]}" if len(rest) == 1 else f", element {list(rest)}" if rest else ""
        given = source.given if source else x
        variable = variable_of(given, frames) if given is not None else None
        if variable is not None:
            which = f"the array `{variable.name}`" + (f", assigned in {variable.line}" if variable.line else "")
        elif source is not None:
            which = f"the tensor that was made in {source.place}"
        else:
            which = "a NumPy array"
        more = f", and in {others} more {'place' if others == 1 else 'places'}" if others else ""
        lines = [f"it is in row {row}{columns} of {which}, shape {data.shape}{more}"]
        batch = batch_of(data)
        begin = first_row(given) if given is not None else None
        if batch is not None:
            number, examples = batch
            same = len(examples) == len(data)
            lines.append(
                f"that is batch {number} of the DataLoader" + (f", and row {row} is example {examples[row]} of its data" if same else "")
            )
        elif given is not None and begin is not None:
            whole = variable_of(given.base, frames)
            lines.append(f"that is row {begin + row} of {f'`{whole.name}`' if whole else 'the array that it is a slice of'}")
        if batch is None and source is not None and source.number > 1:
            lines.append(f"this line has made {source.number} tensors so far, so it is batch {source.number - 1} of them")
        return [*lines[:-1], f"{lines[-1]} (counted from 0)"]

    # -- backward ------------------------------------------------------------------------------------------------------

    def pulling(self, node: Node, g: Any, edges: Sequence[Any], pullbacks: Any, found: Origin | None) -> None:
        """Note who reads what, and stop where the gradients of several uses add up to inf, or backward() was given NaN."""
        for position, edge in enumerate(edges):
            if edge is not None and not isinstance(edge, Tensor):
                below = edge.whole if isinstance(edge, Part) else edge
                self._readers.setdefault(below, {})[weakref.ref(node), position] = None
        if node.rule is rules.where:
            self._conditions[node] = pullbacks[1].__closure__[0].cell_contents
        for part in g if isinstance(g, tuple) else (g,):
            array = part._data if isinstance(part, Tensor) else part
            if not np.isfinite(array).all() and not _probed():
                index = _first_of(~np.isfinite(array))
                if node not in self._readers:
                    self._seeded(node, array, found)
                cause = f"each is finite, but their sum is larger than {array.dtype} can hold."
                place = found.shown if found else "an unknown line"
                lines = [f"the gradients of the uses of a value add up to {_shown(array[index])}, at {name_of(node.rule)} in {place}"]
                lines += [_elements("the gradient", index, array.shape, _bad(array)), f"likely cause: {cause}"]
                raise NotFiniteError("\n  ".join(lines), _name(node.rule), True, _line_of(found), index, cause)

    def _seeded(self, node: Node, array: np.ndarray, found: Origin | None) -> None:
        """Raise for what a walk was given to start with."""
        index = _first_of(~np.isfinite(array))
        cause = "the gradient= that backward() or gradients() was given, or the cotangent of a transform."
        place = found.shown if found else "an unknown line"
        lines = [f"the gradient that the backward walk starts with is {_shown(array[index])}, at {name_of(node.rule)} in {place}"]
        lines += [_elements("the gradient", index, array.shape, _bad(array)), f"likely cause: {cause}"]
        raise NotFiniteError("\n  ".join(lines), _name(node.rule), True, _line_of(found), index, cause)

    def pulled(self, node: Node, inputs: Any, options: Any, position: int, edge: Any, g: Any, contribution: Any) -> Any:
        """A contribution to a gradient, in its input's shape; stop where it is not finite though all before it was."""
        reduced = contribution
        if contribution.shape != edge.shape or contribution.dtype is not edge.dtype:
            reduced = engine._unbroadcast(contribution, edge, node)
        for array in (contribution,) if reduced is contribution else (contribution, reduced):
            value = array._data if isinstance(array, Tensor) else array
            bad = ~np.isfinite(value)
            if bad.any() and not _probed():
                if joins(node.rule):
                    self._seeded(node, value, getattr(node, "line", None))
                index = _first_of(bad)
                failure = Failure(node.rule, _given_to(node.rule, inputs), options or {}, value, index, position)
                arrived = g._data if isinstance(g, Tensor) else g
                if isinstance(arrived, np.ndarray) and arrived.shape == value.shape:
                    failure.g = float(arrived[index])
                    failure.mask = self._hidden_by(node, index, value.shape) if failure.g == 0 else ""
                self._stop(failure, of_gradient(failure), getattr(node, "line", None), int(bad.sum()))
        return reduced

    def _hidden_by(self, node: Node, index: tuple[int, ...], shape: tuple[int, ...]) -> str:
        """What made the gradient 0 that arrives at a node: "where() in line 5 did not take this branch there"."""
        pending, seen = [node], {node}
        for reader in pending:
            for ref, position in self._readers.get(reader, ()):
                above = ref()
                if above is None or above in seen:
                    continue
                seen.add(above)
                if above.rule is rules.where and self._not_taken(above, position, index, shape):
                    place = f"in {above.line.place}" if hasattr(above, "line") else "after it"
                    return f"where() {place} does not take this branch there"
                pending.append(above)
        return ""

    def _not_taken(self, node: Node, position: int, index: tuple[int, ...], shape: tuple[int, ...]) -> bool:
        if node.shape != shape:
            return True
        taken = bool(np.broadcast_to(self._conditions[node], shape)[index])
        return taken == (position == 2)

    # -- updates -------------------------------------------------------------------------------------------------------

    def writes(self, target: Any) -> None:
        """Note an optimizer's update of a parameter, before it; stop where its gradient is not finite."""
        frame: Any = sys._getframe(1)
        while frame is not None and not (frame.f_code.co_name == "step" and frame.f_code.co_filename == _OPTIMIZER):
            frame = frame.f_back
        if frame is None:
            return
        p, group, optimizer = (frame.f_locals.get(name) for name in ("p", "group", "self"))
        if p is None or target is not p._data:
            return
        before = self._updates.get(id(p))
        count = before.count if before is not None and before.parameter() is p else 0
        kind, lr = type(optimizer).__name__, float(group["lr"])
        self._updates[id(p)] = update = Update(weakref.ref(p), user_line(), kind, lr, count + 1)
        if not np.isfinite(p._grad).all():
            index = _first_of(~np.isfinite(p._grad))
            cause = "backward() under debug() makes no such gradient, so it was written since, or was made while debug() was off."
            name = parameter_name(p, list(user_frames()))
            lines = [f"{kind} got a gradient that is not finite, in {_shown_line(update.line)}"]
            lines.append(_elements(f".grad of {name} holds {_shown(p._grad[index])}", index, p.shape, _bad(p._grad)))
            lines.append(f"likely cause: {cause}")
            lines.append("what to do: look at what writes into .grad before step(). A division by a norm of 0, for instance, gives nan.")
            raise NotFiniteError("\n  ".join(lines), "update", True, update.line, index, cause)
        self._unchecked.append(update)

    def check_updates(self) -> None:
        """Stop where an update that was noted has made a parameter NaN or inf."""
        updates, self._unchecked = self._unchecked, []
        for update in updates:
            p = update.parameter()
            if p is None or np.isfinite(p._data).all():
                continue
            index = _first_of(~np.isfinite(p._data))
            cause = f"a learning rate that is too high, lr = {update.lr:g}."
            lines = [f"an update of {update.optimizer} has made a parameter {_shown(p._data[index])}, in {_shown_line(update.line)}"]
            name = parameter_name(p, list(user_frames()))
            after = f"after {update.count} updates, " if update.count > 1 else ""
            lines.append(_elements(f"{after}{name}", index, p.shape, _bad(p._data)))
            if p._grad is not None:
                lines.append(f"its gradient is at most {_size(p._grad):.3g} in size")
            lines += [f"likely cause: {cause}", "what to do: try a tenth of it, or limit the gradients by clip_grad_norm()."]
            raise NotFiniteError("\n  ".join(lines), "update", False, update.line, index, cause)

    def _growth(self, frames: Sequence[FrameType]) -> str:
        """Which parameter has grown most since it was first used, if one has by much; "" otherwise."""
        grown: list[tuple[float, float, float, Tensor]] = []
        for ref, first in self._first.values():
            p = ref()
            if p is not None:
                now = _size(p._data)
                grown.append((now / max(first, 0.3), first, now, p))
        if not grown:
            return ""
        times, first, now, p = max(grown, key=lambda entry: entry[0])
        if not times > TIMES:
            return ""
        update = self._updates.get(id(p))
        by = f", in {update.count} update{'s' * (update.count > 1)} by {update}" if update and update.parameter() is p else ""
        return f"{parameter_name(p, frames)} has grown from {'at most ' * bool(first)}{first:.3g} to {now:.3g}{by}."


class Writes(Run):
    """What is told of writes and draws by `effects`, and hands the writes on."""

    def __init__(self, told: Any) -> None:
        super().__init__()
        self.told = told

    def note_draw(self, generator: np.random.Generator) -> None:
        """Nothing."""

    def note_write(self, target: Any, index: Any = ...) -> None:
        """Hand it on."""
        self.told(target)


# -- elements ------------------------------------------------------------------------------------------------------------


def _made_here(rule: Rule, value: np.ndarray, bad: np.ndarray, arrays: list[Any], odd: list[bool]) -> np.ndarray:
    """Which elements that are not finite an operation has made itself."""
    if not any(odd):
        return bad
    if rule in ELEMENTWISE:
        try:
            inherited: Any = np.zeros(value.shape, bool)
            for x, infinite in zip(arrays, odd, strict=True):
                if infinite:
                    inherited |= ~np.isfinite(np.broadcast_to(x, value.shape))
            return np.asarray((bad & ~inherited) | np.isnan(value))
        except ValueError:
            pass
    return np.asarray(np.isnan(value))  # of infinite elements; those of NaN have been refused


def _source(x: Any) -> Origin | None:
    """Where the elements of an input that are not finite were first."""
    return getattr(getattr(x, "_line", None), "source", None)


def _given_to(rule: Rule, inputs: Any) -> tuple[Any, ...]:
    """The inputs of a node, as far as it keeps them."""
    return tuple(inputs or ()) if rule not in rules.LINEAR else ()


def _first_of(mask: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape)) if mask.shape else ()


def _bad(array: np.ndarray) -> int:
    return int((~np.isfinite(array)).sum())


def _size(array: np.ndarray) -> float:
    """The largest absolute value; inf where an element is not finite."""
    if not array.size:
        return 0.0
    largest = float(np.abs(array).max())
    return largest if np.isfinite(largest) else np.inf


# -- words ---------------------------------------------------------------------------------------------------------------


def _inputs_there(f: Failure) -> list[str]:
    """The values of the inputs at the element, and what made them."""
    values = [f.at(k) if f.rule in ELEMENTWISE else None for k in range(len(f.arrays))]
    lines = []
    for k, (x, value) in enumerate(zip(f.inputs, values, strict=True)):
        name, array = operand(f.rule, k), f.arrays[k]
        noted = getattr(x, "_line", None)
        made = ""
        if noted is not None:
            made = f", made by {name_of(noted.rule)} in {noted.place}" if noted.rule else f", made in {noted.place}"
        if value is not None:
            lines.append(f"there its {name} is {_shown(value)}{made}")
        elif isinstance(array, np.ndarray) and array.dtype.kind == "f" and array.size:
            lines.append(f"its {name}, shape {array.shape}, holds values from {_shown(array.min())} to {_shown(array.max())}{made}")
    return lines


def _probed() -> bool:
    """Whether a gradient check evaluates a function here and there, beyond where it is defined too."""
    frame: Any = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(_GRADCHECK):
        frame = frame.f_back
    return frame is not None


def _within(functions: set[str]) -> bool:
    """Whether one of these functions of the package's losses is being called."""
    frame: Any = sys._getframe(1)
    while frame is not None and not (frame.f_code.co_name in functions and "losses" in frame.f_code.co_filename):
        frame = frame.f_back
    return frame is not None


def _line_of(found: Origin | None) -> Line | None:
    return None if found is None else found.line


def _shown(x: Any) -> str:
    return f"{float(x):.6g}"


def _shown_line(line: Line | None) -> str:
    return Origin(line, (), None).shown


def _elements(what: str, index: tuple[int, ...], shape: tuple[int, ...], count: int) -> str:
    """Which elements of an array are meant: "its result, shape (3,): at [1] alone"."""
    size = math.prod(shape)
    if size == 1:
        return f"{what} is a single number, shape {shape}"
    others = "alone" if count == 1 else "and everywhere else" if count == size else f"first, and at {count - 1} more of {size} places"
    return f"{what}, shape {shape}: at {list(index)} {others}"

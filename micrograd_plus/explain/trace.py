"""The tape of a backward walk as text, for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Tensor
from .formulas import Term, filled, formula_of
from .names import names_of, variables_for
from .numbers import MAX_SHOWN, number, shortened
from .tape import Event, Tape, Value, dropped_constant, record

ENDS = 10  # steps that the repr of a long trace shows at its beginning, and at its end


class Step(NamedTuple):
    """A rule through which the gradient is pulled back to its inputs: that of `value`, its `events`, and its `text`, which `str` gives."""

    value: Value
    events: list[Event]
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


class Trace:
    """What `trace_backward` returns. `print` shows all of it; `len`, indexing and iteration are over its steps.

    Attributes:
        tape: the values and events.
        names: of the values, in order.
        steps: in the order of the walk.
    """

    def __init__(self, tape: Tape, names: list[str]) -> None:
        self.tape, self.names = tape, names
        groups: dict[int, list[Event]] = {}
        for event in tape.events:
            groups.setdefault(event.source, []).append(event)
        described = _Described(tape, names)
        self.steps = [
            Step(tape.values[source], events, described.step(i, tape.values[source], events))
            for i, (source, events) in enumerate(groups.items(), start=1)
        ]

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, i: int) -> Step:
        return self.steps[i]

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __str__(self) -> str:
        return self._shown(self.steps, [])

    def __repr__(self) -> str:
        many = len(self.steps) > 2 * ENDS
        return self._shown(self.steps[:ENDS], self.steps[-ENDS:]) if many else str(self)

    def _shown(self, first: list[Step], last: list[Step]) -> str:
        root = self.tape.values[-1]
        name, left = self.names[root.index], len(self.steps) - len(first) - len(last)
        total = differentiated(self.tape, self.names)
        by = f"g = d({total})/d({name}) = {shortened(root.gradient)}"
        start = f"the gradient given: {by}, where {total} is the sum of {name} times it" if self.tape.given else by
        between = [f"... {left} steps between; print() shows all ..."] if last else []
        leaves = [value for value in self.tape.values if value.kind == "leaf"]
        width = max(len(self.names[value.index]) for value in leaves)
        results = [f"    {self.names[value.index]:{width}}  {_gradient(value)}" for value in leaves]
        count = f"{len(self.steps)} step{'s' * (len(self.steps) != 1)}"
        begin = f"Backward from {name} = {_known(root)} in {count}, beginning with {start}."
        return "\n\n".join([begin, *map(str, first), *between, *map(str, last), "\n".join(["Gradients of the leaves:", *results])])


def trace_backward(loss: Tensor, gradient: Any = None, names: Mapping[str, Any] | None = None) -> Trace:
    """The backward walk from `loss`, step by step, as text: `print(trace_backward(loss))`.

    For each step, the newest operation first: the upstream gradient g; for each input the local derivative and its product with g,
    or what the pullback makes of g where the operation is not elementwise; the sum where the input was broadcast, and where
    another path has brought a gradient before; and within `debug()` the line that made the value. With `gradient`, the gradients
    are those of L, the sum of `loss` times it.

    Nothing is freed and no `.grad` changes: `backward()` can follow.

    Args:
        loss: a Tensor of one element, unless `gradient` is given, before `backward()`.
        gradient: the cotangent of `loss`, of its shape; by default 1.
        names: Tensors and Modules, and lists and dicts of them, by name; by default the variables that the caller sees. What
            has no name is called x1 (a leaf), c1 (a constant), v1 (a result).

    Raises:
        TypeError: `loss` is no Tensor; or a name in `names` is of something else.
        ValueError: it requires no gradient, or `gradient` has another shape.
        RuntimeError: not one element and no `gradient`; or `backward()` has freed a part of the graph.

    >>> a = Tensor(2.0, requires_grad=True)
    >>> b = Tensor([1.0, 3.0], requires_grad=True)
    >>> loss = (a * b).sum()
    >>> print(trace_backward(loss)[1])
    step 2: v1 = a * b = [2, 6]
        upstream gradient g = d(loss)/d(v1) = [1, 1]
        a: local derivative b = [1, 3]
           g * local derivative = [1, 3]
           a was broadcast; summed over axis 0: 4
        b: local derivative a = 2
           g * local derivative = [2, 2]
    """
    tape = record(loss, gradient, who="trace_backward()")
    return Trace(tape, names_of(tape, variables_for(names, "trace_backward()")))


def differentiated(tape: Tape, names: list[str]) -> str:
    """The name of what the gradients are of: the last value, or, where a gradient was given, the sum of it times that."""
    if not tape.given:
        return names[-1]
    return next(name for name in ("L", *(f"L{i}" for i in range(1, len(names) + 1))) if name not in names)


def _known(value: Value) -> str:
    return "?" if value.data is None else shortened(value.data)


def _gradient(value: Value) -> str:
    return "none" if value.gradient is None else shortened(value.gradient)


class _Described:
    """The text of the steps, in their order."""

    def __init__(self, tape: Tape, names: list[str]) -> None:
        self._tape, self._names = tape, names
        self._totals: dict[int, Any] = {}  # of values that a gradient has reached

    def step(self, i: int, value: Value, events: list[Event]) -> str:
        """What a step does."""
        formula, name, root = formula_of(self._tape, value), self._names[value.index], differentiated(self._tape, self._names)
        lines = [f"step {i}: {name} = {written(self._tape, self._names, value, formula.text)} = {_known(value)}"]
        line = getattr(value.origin, "line", None)
        if line is not None:
            lines.append(f"    made in {line}{f': {line.text}' if line.text else ''}")
        lines.append(f"    upstream gradient g = d({root})/d({name}) = {shortened(events[0].upstream)}")
        for event in events:
            lead = f"    {self._names[event.target]}: "
            told = self._told(value, formula.terms[event.position], event)
            lines += [(lead if j == 0 else " " * len(lead)) + line for j, line in enumerate(told)]
        return "\n".join(lines)

    def _told(self, value: Value, term: Term, event: Event) -> list[str]:
        """What happens on the way to one input."""
        text, target = written(self._tape, self._names, value, term.text), self._names[event.target]
        if term.local:
            local = shortened(local_derivative(value, event))
            lines = [f"local derivative {text}" + (f" = {local}" if local != text else "")]
            lines.append(f"g * local derivative = {shortened(event.contribution)}")
        else:
            lines = [f"{text}{':' if ', ' in text else ' ='} {shortened(event.contribution)}"]
        if event.axes:
            axes = f"ax{'e' if len(event.axes) > 1 else 'i'}s {', '.join(map(str, event.axes))}"
            lines.append(f"{target} was broadcast; summed over {axes}: {shortened(event.reduced)}")
        if not event.first:
            few = event.total.size <= MAX_SHOWN
            summed = f"{shortened(self._totals[event.target])} + {shortened(event.reduced)} = " if few else "with what came before, "
            lines.append(f"paths meet: {summed}{shortened(event.total)}")
        self._totals[event.target] = event.total
        return lines


def local_derivative(value: Value, event: Event) -> Any:
    """d(value)/d(input) of an elementwise rule: what its pullback makes of ones; a number where it is the same everywhere."""
    with np.errstate(all="ignore"):
        local = np.asarray(value.edge.pullbacks[event.position](np.ones(value.shape, value.dtype)))
    return local.reshape(-1)[0] if local.size and (local == local.reshape(-1)[0]).all() else local


def written(tape: Tape, names: list[str], value: Value, formula: str) -> str:
    """A formula with the names and numbers of a value's inputs in it."""

    def given(key: str) -> str:
        if key.isdigit():
            return input_name(tape, names, value, int(key))
        return {"y": names[value.index], "g": "g", "n": str(share(tape, value))}.get(key) or option(value.options.get(key))

    return filled(formula, given)


def input_name(tape: Tape, names: list[str], value: Value, position: int) -> str:
    """The name of an input, or the number that it is; "constant" where the graph did not keep it."""
    place, x = value.inputs[position], value.numbers[position]
    if place is not None:
        return names[place]
    if x is None:
        x = dropped_constant(tape, value, position)
    if x is None or np.ndim(x):
        return "constant"
    return f"({number(x)})" if x < 0 else number(x)


def share(tape: Tape, value: Value) -> int:
    """How many elements of the input an element of a mean is the mean of."""
    (place,) = value.inputs[:1]
    size = 1 if place is None else int(np.prod(tape.values[place].shape))
    return size // max(1, int(np.prod(value.shape)))


def option(x: Any) -> str:
    """An option of a rule, in few characters."""
    if isinstance(x, slice):
        return ":".join("" if part is None else str(part) for part in ((x.start, x.stop) if x.step is None else (x.start, x.stop, x.step)))
    if isinstance(x, tuple) and any(isinstance(part, slice | np.ndarray) for part in x):
        return ", ".join(map(option, x))
    if isinstance(x, np.ndarray):
        return shortened(x)
    return "..." if x is Ellipsis else str(x)

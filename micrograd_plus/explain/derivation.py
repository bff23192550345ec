"""The chain rule of one graph, written out with its numbers, in text and LaTeX."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..tensor import Tensor
from .formulas import filled, formula_of
from .names import latex_name, names_of, variables_for
from .numbers import latex_array, latex_number, nested
from .tape import Event, Tape, Value, record
from .trace import differentiated, input_name, local_derivative, option, share

MAX_VALUES, MAX_ELEMENTS = 60, 36
TWICE = re.compile(r"\((\([^()]*\))\)|(?<=\\left[(|])\\left\(([^()]*)\\right\)(?=\\right[)|])")  # brackets in brackets


class Derivation:
    """What `derivation` returns; `str` is the text, and Jupyter shows the LaTeX.

    Attributes:
        text: the values in the order of the forward pass, then the gradients in that of the backward pass.
        latex: the same, an `aligned` environment to be put between dollar signs.
    """

    def __init__(self, text: str, latex: str) -> None:
        self.text, self.latex = text, latex

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex}\n$$"


def derivation(loss: Tensor, gradient: Any = None, names: Mapping[str, Any] | None = None) -> Derivation:
    r"""The chain rule of the graph of `loss`, with the numbers in.

    For each value, how it was computed; then for each, from the loss back to the leaves, its gradient: the sum, over what was
    computed from it, of the gradient of that times the local derivative. Of operations on arrays that are not elementwise, such as a
    matrix product, what the pullback computes stands for the product. `*` (in LaTeX, \odot) is elementwise; a condition in
    brackets is 1 where it holds, else 0. With `gradient`, the gradients are those of L, the sum of `loss` times it.

    Nothing is freed and no `.grad` changes: `backward()` can follow.

    Args:
        loss: a Tensor of one element, unless `gradient` is given, before `backward()`.
        gradient: the cotangent of `loss`, of its shape; by default 1.
        names: Tensors and Modules, and lists and dicts of them, by name; by default the variables that the caller sees. What
            has no name is called x1 (a leaf), c1 (a constant), v1 (a result).

    Raises:
        TypeError: `loss` is no Tensor; or a name in `names` is of something else.
        ValueError: it requires no gradient; `gradient` has another shape; the graph has more than 60 values, or an array of more than
            36 elements.
        RuntimeError: not one element and no `gradient`; or `backward()` has freed a part of the graph.

    >>> a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    >>> c = a * b + a
    >>> print(derivation(c))
    Values
      a = 2
      b = 3
      v1 = a * b
         = 2 * 3
         = 6
      c = v1 + a
        = 6 + 2
        = 8
    <BLANKLINE>
    Gradients
      d(c)/d(c) = 1
      d(c)/d(v1) = d(c)/d(c) * d(c)/d(v1)
                 = d(c)/d(c) * 1
                 = 1 * 1
                 = 1
      d(c)/d(b) = d(c)/d(v1) * d(v1)/d(b)
                = d(c)/d(v1) * a
                = 1 * 2
                = 2
      d(c)/d(a) = d(c)/d(c) * d(c)/d(a) + d(c)/d(v1) * d(v1)/d(a)
                = d(c)/d(c) * 1 + d(c)/d(v1) * b
                = 1 * 1 + 1 * 3
                = 4
    """
    tape = record(loss, gradient, who="derivation()")
    _require_small(tape)
    called = names_of(tape, variables_for(names, "derivation()"))
    text, latex = (_Writer(tape, called, style) for style in (TEXT, LATEX))
    return Derivation(_text(text), _latex(latex))


def _require_small(tape: Tape) -> None:
    advice = "Take a smaller model or batch, or an intermediate result; trace_backward() shows graphs of any size."
    if len(tape.values) > MAX_VALUES:
        raise ValueError(f"derivation() writes out graphs of at most {MAX_VALUES} values, this one has {len(tape.values):,}. {advice}")
    for value in tape.values:
        shapes = value.shape if value.shape and isinstance(value.shape[0], tuple) else [value.shape]
        if any(np.prod(shape) > MAX_ELEMENTS for shape in shapes):
            raise ValueError(
                f"derivation() writes out arrays of at most {MAX_ELEMENTS} elements, this graph has one of shape {value.shape}. {advice}"
            )


# -- text and LaTeX ------------------------------------------------------------------------------------------------------


class _Style(NamedTuple):
    """How things are written."""

    name: Callable[[str], str]
    array: Callable[[Any], str]
    partial: str  # of {0} by {1}
    times: tuple[str, str]  # of numbers, and of arrays
    summed: str  # {0} over axes {1}
    unknown: str
    option: Callable[[Any], str]
    outer: tuple[str, str]  # brackets
    given: str  # the gradient that the walk begins with
    total: str  # the sum of {0}


TEXT = _Style(
    name=str,
    array=lambda x: nested(np.asarray(x)),
    partial="d({0})/d({1})",
    times=(" * ", " * "),
    summed="sum({0}, axis {1})",
    unknown="?",
    option=option,
    outer=("(", ")"),
    given="the gradient given",
    total="sum({0})",
)
LATEX = _Style(
    name=latex_name,
    array=latex_array,
    partial=r"\frac{{\partial {0}}}{{\partial {1}}}",
    times=(r" \cdot ", r" \odot "),
    summed=r"\mathrm{{sum}}_{{\mathrm{{axis}}\ {1}}}\left({0}\right)",
    unknown="?",
    option=lambda x: rf"\text{{{option(x)}}}" if not isinstance(x, float) else latex_number(x),
    outer=(r"\left(", r"\right)"),
    given=r"\text{the gradient given}",
    total=r"\mathrm{{sum}}\left({0}\right)",
)


def _bracketed(factor: str, style: _Style) -> str:
    """A factor of a product, in brackets where it is a sum, a quotient or negative."""
    inner = factor.startswith("-") or _has(factor, " + ", " - ", " / ")
    return f"{style.outer[0]}{factor}{style.outer[1]}" if inner else factor


def _has(formula: str, *signs: str) -> bool:
    """Whether one of these is in a formula, outside of brackets."""
    depth = 0
    for i, character in enumerate(formula):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and formula.startswith(signs, i):
            return True
    return False


class _Writer:
    """The equations of a tape, each a left side and the expressions that it equals, in text or LaTeX."""

    def __init__(self, tape: Tape, names: list[str], style: _Style) -> None:
        self.tape, self.style = tape, style
        self.plain, self.names = names, [style.name(name) for name in names]
        self.differentiated = style.name(differentiated(tape, names))

    def values(self) -> list[tuple[str, list[str]]]:
        """How each value was computed."""
        equations = []
        for value in self.tape.values:
            known = self.known(value)
            if value.kind in ("leaf", "constant"):
                sides = [known]
            elif value.kind == "part":
                sides = [f"{self.names[value.inputs[0] or 0]}[{value.part}]", known]
            else:
                formula = formula_of(self.tape, value)
                written = formula.text if self.style is TEXT else formula.latex
                numbers = self.fill(value, written, numbers=True) if self.is_scalar(value) else known
                sides = [self.fill(value, written), numbers, known]
            equations.append((self.names[value.index], _different(sides)))
        return equations

    def gradients(self) -> list[tuple[str, list[str]]]:
        """The gradient of each value, from the last to the first."""
        arriving: dict[int, list[Event]] = {}
        for event in self.tape.events:
            arriving.setdefault(event.target, []).append(event)
        equations = []
        if self.tape.given:
            root = self.tape.values[-1]
            product = self.names[-1] + self.style.times[bool(root.shape)] + self.style.given
            equations.append((self.differentiated, [self.style.total.format(product) if root.shape else product]))
        for value in reversed(self.tape.values):
            if value.gradient is None:
                continue
            result = self.numbers(value.gradient)
            parts = [x for x in self.tape.values if x.kind == "part" and x.inputs == (value.index,)]
            events = arriving.get(value.index, [])
            if parts:
                sides = [", ".join(self.partial(x.index) for x in parts), result]
            elif events:
                products = [self.product(event, first=i == 0) for i, event in enumerate(events)]
                sides = [self.added(events, self.rule), self.added(events, self.term), " + ".join(products), result]
            else:
                sides = [self.style.given, result] if self.tape.given else [result]
            equations.append((self.partial(value.index), _different(sides)))
        return equations

    def added(self, events: Sequence[Event], written: Callable[[Event], str]) -> str:
        """The terms of a sum, in brackets where they are told in words ("g, at the maximum") or are negative."""
        terms = []
        for i, event in enumerate(events):
            term = written(event)
            formula = formula_of(self.tape, self.tape.values[event.source]).terms[event.position].text
            bracketed = not event.axes and ((len(events) > 1 and _has(formula, ", ")) or (i > 0 and term.startswith("-")))
            terms.append(f"{self.style.outer[0]}{term}{self.style.outer[1]}" if bracketed else term)
        return " + ".join(terms)

    def rule(self, event: Event) -> str:
        """The chain rule: gradient times derivative; of what is not elementwise, what the pullback computes."""
        term = formula_of(self.tape, self.tape.values[event.source]).terms[event.position]
        if not term.local:
            return self.term(event)
        product = (
            self.partial(event.source) + self.times(event) + self.style.partial.format(self.names[event.source], self.names[event.target])
        )
        return self.summed(event, product)

    def term(self, event: Event) -> str:
        """The same with the formula of the local derivative."""
        value = self.tape.values[event.source]
        term = formula_of(self.tape, value).terms[event.position]
        written = self.fill(value, term.text if self.style is TEXT else term.latex)
        if term.local:
            written = self.partial(event.source) + self.times(event) + _bracketed(written, self.style)
        return self.summed(event, written)

    def product(self, event: Event, first: bool) -> str:
        """The same with numbers."""
        value = self.tape.values[event.source]
        term = formula_of(self.tape, value).terms[event.position]
        if not term.local:
            pulled = self.style.array(event.contribution)
            return self.summed(event, pulled if first or event.axes else _bracketed(pulled, self.style))
        upstream, local = self.style.array(event.upstream), self.style.array(local_derivative(value, event))
        if not first and not event.axes:
            upstream = _bracketed(upstream, self.style)
        return self.summed(event, upstream + self.times(event) + _bracketed(local, self.style))

    def summed(self, event: Event, product: str) -> str:
        """With the sum that undoes broadcasting."""
        return self.style.summed.format(product, ", ".join(map(str, event.axes))) if event.axes else product

    def times(self, event: Event) -> str:
        """The sign of multiplication: of numbers, or of elements."""
        return self.style.times[bool(self.tape.values[event.source].shape)]

    def partial(self, index: int) -> str:
        """The gradient of a value."""
        return self.style.partial.format(self.differentiated, self.names[index])

    def known(self, value: Value) -> str:
        """A value's numbers."""
        return self.style.unknown if value.data is None else self.numbers(value.data)

    def numbers(self, x: Any) -> str:
        """A number or array, or several."""
        return ", ".join("0" if part is None else self.style.array(part) for part in x) if isinstance(x, tuple) else self.style.array(x)

    def is_scalar(self, value: Value) -> bool:
        """Whether a value and all its inputs are numbers."""
        return value.shape == () and all(place is None or self.tape.values[place].shape == () for place in value.inputs)

    def fill(self, value: Value, formula: str, numbers: bool = False) -> str:
        """A formula with the names, or the numbers, of a value's inputs."""

        def given(key: str) -> str:
            if key == "g":
                return self.partial(value.index)
            if key == "y":
                return self.names[value.index]
            if key == "n":
                return str(share(self.tape, value))
            if not key.isdigit():
                return self.style.option(value.options.get(key))
            place = value.inputs[int(key)]
            if place is None:
                name = input_name(self.tape, self.plain, value, int(key))
                return name if self.style is TEXT or name != "constant" else r"\text{constant}"
            if not numbers:
                return self.names[place]
            return _bracketed(self.known(self.tape.values[place]), self.style)

        written = TWICE.sub(lambda found: found[1] or found[2], filled(formula, given))
        return written.replace(r" \odot ", r" \cdot ") if self.is_scalar(value) else written


def _different(sides: Sequence[str]) -> list[str]:
    """Without those that repeat the one before."""
    return [side for i, side in enumerate(sides) if i == 0 or side != sides[i - 1]]


def _text(writer: _Writer) -> str:
    lines = []
    for title, equations in (("Values", writer.values()), ("Gradients", writer.gradients())):
        lines += ["", title]
        for left, sides in equations:
            lines.append(f"  {left} = {sides[0]}")
            lines += [f"  {' ' * len(left)} = {side}" for side in sides[1:]]
    return "\n".join(lines[1:])


def _latex(writer: _Writer) -> str:
    rows = []
    for equations in (writer.values(), writer.gradients()):
        rows += [f"{left if i == 0 else ''} &= {side}" for left, sides in equations for i, side in enumerate(sides)]
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])

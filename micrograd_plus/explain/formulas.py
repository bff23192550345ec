r"""The rules as formulas, in text and LaTeX: what each computes, and what each pullback does.

In a formula, <0>, <1>, ... stand for the inputs, <y> for the value, <g> for the gradient of the value and <name> for an option.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import rules
from ..rules import Rule
from .tape import Tape, Value


class Term(NamedTuple):
    """What a pullback makes of the gradient g of the value.

    Attributes:
        text, latex: of an elementwise rule the local derivative, which g is multiplied by; else all of it, with g in it.
        local: which of the two.
    """

    text: str
    latex: str
    local: bool = True


class Formula(NamedTuple):
    """A rule's value, and a Term for each input."""

    text: str
    latex: str
    terms: tuple[Term, ...]


def _term(formula: str | tuple[str, str]) -> Term:
    text, latex = formula if isinstance(formula, tuple) else (formula, formula)
    return Term(text, latex, "<g>" not in text)


def _formula(text: str, latex: str, *terms: str | tuple[str, str]) -> Formula:
    return Formula(text, latex, tuple(map(_term, terms)))


def _said(words: str) -> tuple[str, str]:
    """A term that is told in words: "<g>, ..."."""
    parts = re.split(r"(<\w+>)", words)
    return words, "".join(part if i % 2 else rf"\text{{{part}}}" for i, part in enumerate(parts) if part)


def _indicated(condition: str, latex: str) -> tuple[str, str]:
    """1 where a condition holds, else 0."""
    return f"[{condition}]", rf"\left[{latex}\right]"


_TIE = "[<{0}> {2} <{1}>] + [<{0}> = <{1}>] / 2"
_TIE_LATEX = r"\left[<{0}> {2} <{1}>\right] + \frac{{1}}{{2}} \left[<{0}> = <{1}>\right]"
_ALL_OF = _said("<g>, the same for each element")
_AT = _said("<g>, at the places that were taken, else 0")
_WINNER = "<g>, at the {}, shared evenly at a tie, else 0"


def _call(name: str, count: int = 1, options: str = "") -> tuple[str, str]:
    """A function of that name, applied to the inputs."""
    inputs = ", ".join(f"<{i}>" for i in range(count))
    upright = name.replace("_", r"\_")
    return f"{name}({inputs}{options})", rf"\mathrm{{{upright}}}\left({inputs}\right)"


FORMULAS: dict[Rule, Formula] = {
    rules.add: _formula("<0> + <1>", "<0> + <1>", "1", "1"),
    rules.subtract: _formula("<0> - <1>", "<0> - <1>", "1", "-1"),
    rules.multiply: _formula("<0> * <1>", r"<0> \odot <1>", "<1>", "<0>"),
    rules.divide: _formula(
        "<0> / <1>", r"\frac{<0>}{<1>}", ("1 / <1>", r"\frac{1}{<1>}"), ("-<0> / <1>^2", r"\left(-\frac{<0>}{<1>^{2}}\right)")
    ),
    rules.negative: _formula("-<0>", "-<0>", "-1"),
    rules.maximum: _formula(
        "max(<0>, <1>)",
        r"\max\left(<0>, <1>\right)",
        (_TIE.format(0, 1, ">"), _TIE_LATEX.format(0, 1, ">")),
        (_TIE.format(1, 0, ">"), _TIE_LATEX.format(1, 0, ">")),
    ),
    rules.minimum: _formula(
        "min(<0>, <1>)",
        r"\min\left(<0>, <1>\right)",
        (_TIE.format(0, 1, "<"), _TIE_LATEX.format(0, 1, "<")),
        (_TIE.format(1, 0, "<"), _TIE_LATEX.format(1, 0, "<")),
    ),
    rules.where: _formula(
        "where(<0>, <1>, <2>)",
        r"\mathrm{where}\left(<0>, <1>, <2>\right)",
        "0",
        _indicated("condition", r"\text{condition}"),
        _indicated("not condition", r"\text{not condition}"),
    ),
    rules.clip: _formula(*_call("clip", 1, ", <low>, <high>"), _indicated("low <= <0> <= high", r"\text{low} \leq <0> \leq \text{high}")),
    rules.absolute: _formula("abs(<0>)", r"\left|<0>\right|", ("sign(<0>)", r"\mathrm{sign}\left(<0>\right)")),
    rules.exp: _formula("exp(<0>)", "e^{<0>}", ("exp(<0>)", "e^{<0>}")),
    rules.log: _formula("log(<0>)", r"\log <0>", ("1 / <0>", r"\frac{1}{<0>}")),
    rules.log1p: _formula("log(1 + <0>)", r"\log\left(1 + <0>\right)", ("1 / (1 + <0>)", r"\frac{1}{1 + <0>}")),
    rules.log2: _formula("log2(<0>)", r"\log_{2} <0>", ("1 / (<0> log 2)", r"\frac{1}{<0> \log 2}")),
    rules.log10: _formula("log10(<0>)", r"\log_{10} <0>", ("1 / (<0> log 10)", r"\frac{1}{<0> \log 10}")),
    rules.expm1: _formula("exp(<0>) - 1", "e^{<0>} - 1", ("exp(<0>)", "e^{<0>}")),
    rules.sqrt: _formula("sqrt(<0>)", r"\sqrt{<0>}", ("1 / (2 sqrt(<0>))", r"\frac{1}{2 \sqrt{<0>}}")),
    rules.square: _formula("<0>^2", "<0>^{2}", ("2 <0>", "2 <0>")),
    rules.sin: _formula("sin(<0>)", r"\sin <0>", ("cos(<0>)", r"\cos <0>")),
    rules.cos: _formula("cos(<0>)", r"\cos <0>", ("-sin(<0>)", r"\left(-\sin <0>\right)")),
    rules.tan: _formula("tan(<0>)", r"\tan <0>", ("1 + tan(<0>)^2", r"\left(1 + \tan^{2} <0>\right)")),
    rules.arctan: _formula("arctan(<0>)", r"\arctan <0>", ("1 / (1 + <0>^2)", r"\frac{1}{1 + <0>^{2}}")),
    rules.relu: _formula("relu(<0>)", r"\mathrm{relu}\left(<0>\right)", _indicated("<0> > 0", "<0> > 0")),
    rules.leaky_relu: _formula(
        *_call("leaky_relu"), ("[<0> > 0] + <slope> [<0> <= 0]", r"\left(\left[<0> > 0\right] + <slope> \left[<0> \leq 0\right]\right)")
    ),
    rules.elu: _formula(
        *_call("elu"),
        ("[<0> > 0] + <alpha> exp(<0>) [<0> <= 0]", r"\left(\left[<0> > 0\right] + <alpha> e^{<0>} \left[<0> \leq 0\right]\right)"),
    ),
    rules.tanh: _formula("tanh(<0>)", r"\tanh <0>", ("1 - tanh(<0>)^2", r"\left(1 - \tanh^{2} <0>\right)")),
    rules.sigmoid: _formula("sigmoid(<0>)", r"\sigma\left(<0>\right)", ("<y> (1 - <y>)", r"<y> \left(1 - <y>\right)")),
    rules.softplus: _formula("log(1 + exp(<0>))", r"\log\left(1 + e^{<0>}\right)", ("sigmoid(<0>)", r"\sigma\left(<0>\right)")),
    rules.silu: _formula(
        "<0> sigmoid(<0>)",
        r"<0> \, \sigma\left(<0>\right)",
        ("sigmoid(<0>) (1 + <0> - <y>)", r"\sigma\left(<0>\right) \left(1 + <0> - <y>\right)"),
    ),
    rules.phi: _formula("Phi(<0>)", r"\Phi\left(<0>\right)", ("phi(<0>)", r"\varphi\left(<0>\right)")),
    rules.gelu: _formula(
        "<0> Phi(<0>)",
        r"<0> \, \Phi\left(<0>\right)",
        ("Phi(<0>) + <0> phi(<0>)", r"\left(\Phi\left(<0>\right) + <0> \, \varphi\left(<0>\right)\right)"),
    ),
    rules.gelu_tanh: _formula(*_call("gelu_tanh"), ("gelu_tanh'(<0>)", r"\mathrm{gelu\_tanh}'\left(<0>\right)")),
    rules.binary_cross_entropy: _formula(
        "-<1> log(<0>) - (1 - <1>) log(1 - <0>)",
        r"-<1> \log <0> - \left(1 - <1>\right) \log\left(1 - <0>\right)",
        ("(<0> - <1>) / (<0> (1 - <0>))", r"\frac{<0> - <1>}{<0> \left(1 - <0>\right)}"),
        ("log(1 - <0>) - log(<0>)", r"\left(\log\left(1 - <0>\right) - \log <0>\right)"),
    ),
    rules.binary_cross_entropy_with_logits: _formula(
        "<2> <1> softplus(-<0>) + (1 - <1>) softplus(<0>)",
        r"<2> <1> \log\left(1 + e^{-<0>}\right) + \left(1 - <1>\right) \log\left(1 + e^{<0>}\right)",
        (
            "(1 - <1>) sigmoid(<0>) - <2> <1> sigmoid(-<0>)",
            r"\left(\left(1 - <1>\right) \sigma\left(<0>\right) - <2> <1> \sigma\left(-<0>\right)\right)",
        ),
        (
            "<2> softplus(-<0>) - softplus(<0>)",
            r"\left(<2> \log\left(1 + e^{-<0>}\right) - \log\left(1 + e^{<0>}\right)\right)",
        ),
        ("<1> softplus(-<0>)", r"<1> \log\left(1 + e^{-<0>}\right)"),
    ),
    rules.cast: _formula("<0>", "<0>", "1"),
    # -- and those of which an element of the value depends on several of an input
    rules.sum: _formula("sum(<0>)", r"\mathrm{sum}\left(<0>\right)", _ALL_OF),
    rules.mean: _formula(
        "mean(<0>)",
        r"\mathrm{mean}\left(<0>\right)",
        ("<g> / <n>, the same for each element", r"\frac{1}{<n>} <g>\text{, the same for each element}"),
    ),
    rules.max: _formula(*_call("max"), _said(_WINNER.format("maximum"))),
    rules.min: _formula(*_call("min"), _said(_WINNER.format("minimum"))),
    rules.matmul: _formula("<0> @ <1>", r"<0> \, <1>", ("<g> @ <1>.T", r"<g> \, <1>^{\top}"), ("<0>.T @ <g>", r"<0>^{\top} <g>")),
    rules.affine: _formula(
        "<0> @ <1> + <2>", r"<0> \, <1> + <2>", ("<g> @ <1>.T", r"<g> \, <1>^{\top}"), ("<0>.T @ <g>", r"<0>^{\top} <g>"), "<g>"
    ),
    rules.reshape: _formula(*_call("reshape", 1, ", <shape>"), _said("<g>, in the shape of <0>")),
    rules.transpose: _formula("<0>.T", r"<0>^{\top}", ("<g>.T", r"\left(<g>\right)^{\top}")),
    rules.broadcast_to: _formula(*_call("broadcast_to", 1, ", <shape>"), "<g>"),
    rules.unstack: _formula(*_call("unstack"), _said("<g>, joined along the axis")),
    rules.getitem: _formula("<0>[<index>]", r"<0>\left[<index>\right]", _AT),
    rules.scatter: _formula(*_call("scatter"), _said("<g>, at the places that were written")),
    rules.take_rows: _formula("<0>[<1>]", r"<0>\left[<1>\right]", _said("<g>, each row added to the row that it was taken from"), "0"),
    rules.gather_rows: _formula(*_call("gather_rows", 2), _said("<g>, the row that each was added to"), "0"),
    rules.take_along: _formula(*_call("take_along", 2), _AT, "0"),
    rules.scatter_along: _formula(*_call("scatter_along", 2), _said("<g>, at the places that were added to"), "0"),
    rules.pad: _formula(*_call("pad"), _said("<g>, without the border")),
    rules.cumsum: _formula(*_call("cumsum"), _said("<g>, added up from each place to the end")),
    rules.prod: _formula(*_call("prod"), ("<g> * product of the other elements", r"<g> \cdot \text{product of the other elements}")),
    rules.logsumexp: _formula(*_call("logsumexp"), ("<g> * softmax(<0>)", r"<g> \odot \mathrm{softmax}\left(<0>\right)")),
    rules.norm: _formula(
        "(sum abs(<0>)^<p>)^(1/<p>)",
        r"\left\Vert <0> \right\Vert_{<p>}",
        (
            "<g> * sign(<0>) * (abs(<0>) / <y>)^(<p> - 1)",
            r"<g> \odot \mathrm{sign}\left(<0>\right) \left(\frac{\left|<0>\right|}{<y>}\right)^{<p> - 1}",
        ),
    ),
    rules.softmax: _formula(
        *_call("softmax"), ("<y> * (<g> - sum(<g> * <y>))", r"<y> \odot \left(<g> - \mathrm{sum}\left(<g> \odot <y>\right)\right)")
    ),
    rules.log_softmax: _formula(*_call("log_softmax"), ("<g> - exp(<y>) * sum(<g>)", r"<g> - e^{<y>} \odot \mathrm{sum}\left(<g>\right)")),
    rules.standardize: _formula(
        "(<0> - mean(<0>)) / sqrt(var(<0>) + <eps>)",
        r"\frac{<0> - \mathrm{mean}\left(<0>\right)}{\sqrt{\mathrm{var}\left(<0>\right) + <eps>}}",
        _said("<g>, without its mean and its part along the value, divided by the standard deviation"),
    ),
    rules.cross_entropy: _formula(
        "-<2> * log_softmax(<0>)[labels <1>]",
        r"-<2> \odot \mathrm{log\_softmax}\left(<0>\right)\left[\text{labels } <1>\right]",
        (
            "<g> * <2> * (softmax(<0>) - one_hot(<1>))",
            r"<g> \odot <2> \odot \left(\mathrm{softmax}\left(<0>\right) - \mathrm{one\_hot}\left(<1>\right)\right)",
        ),
        "0",
        "0",
    ),
    rules.solve: _formula(
        "solve(<0>, <1>)",
        r"<0>^{-1} <1>",
        ("-solve(<0>.T, <g>) @ <y>.T", r"-<0>^{-\top} <g> \, <y>^{\top}"),
        ("solve(<0>.T, <g>)", r"<0>^{-\top} <g>"),
    ),
    rules.convolution: _formula(
        *_call("convolution", 2),
        _said("<g>, spread over each window by <1>"),
        _said("<g>, times the windows of <0>, summed over all positions"),
    ),
    rules.convolution_input: _formula(
        *_call("convolution_input", 2),
        ("convolution(<g>, <1>)", r"\mathrm{convolution}\left(<g>, <1>\right)"),
        _said("<g>, times the windows of <0>, summed"),
    ),
    rules.convolution_weight: _formula(
        *_call("convolution_weight", 2),
        _said("<g>, spread over each window by <1>"),
        ("convolution(<0>, <g>)", r"\mathrm{convolution}\left(<0>, <g>\right)"),
    ),
    rules.windows: _formula(*_call("windows"), _said("<g>, each window added at its place")),
    rules.scatter_windows: _formula(*_call("scatter_windows"), _said("<g>, the window at each place")),
    rules.window_max: _formula(*_call("window_max"), _said("<g>, at the first maximum of each window, else 0")),
    rules.lstm_cell: _formula(
        *_call("lstm_cell", 2), _said("<g>, times the derivatives of the gates"), _said("<g>, times the forget gate")
    ),
    rules.gru_cell: _formula(
        *_call("gru_cell", 3),
        _said("<g>, times the derivatives of the gates"),
        _said("<g>, times the derivatives of the gates"),
        _said("<g>, times the update gate"),
    ),
}


def formula_of(tape: Tape, value: Value) -> Formula:
    """The formula of the operation that made a value; of a rule that is not the library's, a call of its name."""
    rule, count = value.rule, len(value.inputs)
    if rule is rules.power:
        return _power(value.numbers[1])
    if rule in (rules.concatenate, rules.stack):
        return _formula(*_call(value.name, count), *[_said(f"<g>, the part that is <{i}>") for i in range(count)])
    if rule is rules.einsum:
        return _formula(*_call("einsum", count, ", <subscripts>"), *[_said("<g>, times the other operands, summed")] * count)
    if rule is rules.transpose and (len(value.shape) != 2 or value.options.get("axes") == (0, 1)):
        return _formula(*_call("transpose", 1, ", <axes>"), _said("<g>, with its axes put back"))
    if rule is rules.matmul:
        x, y = (tape.values[place].shape if place is not None else () for place in value.inputs)
        if len(x) < 2 or len(y) < 2:
            return _product_with_vector(x, y)
        if len(x) > 2 or len(y) > 2:
            return _formula("<0> @ <1>", r"<0> \, <1>", ("<g> @ <1>.mT", r"<g> \, <1>^{\top}"), ("<0>.mT @ <g>", r"<0>^{\top} <g>"))
    if rule in FORMULAS:
        return FORMULAS[rule]
    return _formula(*_call(value.name, count), *[_said(f"<g>, pulled back by {value.name} to its input {i}") for i in range(count)])


def _product_with_vector(x: tuple[int, ...], y: tuple[int, ...]) -> Formula:
    if len(x) == len(y) == 1:
        return _formula("<0> @ <1>", r"<0> \cdot <1>", ("<g> * <1>", "<g> <1>"), ("<g> * <0>", "<g> <0>"))
    if len(y) == 1:
        return _formula("<0> @ <1>", r"<0> \, <1>", ("outer(<g>, <1>)", r"<g> \otimes <1>"), ("<0>.T @ <g>", r"<0>^{\top} <g>"))
    return _formula("<0> @ <1>", r"<0> \, <1>", ("<1> @ <g>", r"<1> \, <g>"), ("outer(<0>, <g>)", r"<0> \otimes <g>"))


def _power(exponent: Any) -> Formula:
    to_base = ("<0>^<1> log(<0>)", r"<0>^{<1>} \log <0>")
    if exponent is None:
        return _formula("<0>^<1>", "<0>^{<1>}", ("<1> <0>^(<1> - 1)", "<1> <0>^{<1> - 1}"), to_base)
    less = f"{exponent - 1:.4g}"
    raised = (
        ("<0>", "<0>") if exponent == 2 else (f"<0>^{less}", f"<0>^{{{less}}}") if exponent >= 1 else (f"<0>^({less})", f"<0>^{{{less}}}")
    )
    return _formula("<0>^<1>", "<0>^{<1>}", (f"<1> {raised[0]}", f"<1> {raised[1]}"), to_base)


def filled(formula: str, given: Callable[[str], str]) -> str:
    """A formula with what `given` says in place of <0>, <y>, ..."""
    return re.sub(r"<(\w+)>", lambda match: given(match[1]), formula)

"""derivation: the chain rule of one graph, in text and LaTeX."""

import re

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, apply, derivation, rules
from micrograd_plus.explain.derivation import MAX_ELEMENTS, MAX_VALUES
from micrograd_plus.explain.names import latex_name
from micrograd_plus.explain.numbers import latex_array, latex_number, nested
from micrograd_plus.explain.tape import record

from ..rules.table import TABLE
from .graphs import GRAPHS


def equations(text):
    """The sides of each equation of a text, by its left one."""
    found = {}
    for line in text.splitlines():
        left, sign, right = line.partition(" = ")
        if sign:
            if left.strip():
                sides = found[left.strip()] = []
            sides.append(right)
    return found


def rows(latex):
    body = latex.removeprefix("\\begin{aligned}\n").removesuffix("\n\\end{aligned}")
    assert body != latex
    return [row.split(" &= ") for row in body.split(" \\\\\n")]


def test_the_whole_of_a_scalar_graph():
    x, w = Tensor(2.0, requires_grad=True), Tensor(-3.0, requires_grad=True)
    y = (x * w).exp() / x
    d = derivation(y)
    assert (
        d.text
        == """\
Values
  x = 2
  w = -3
  v1 = x * w
     = 2 * (-3)
     = -6
  v2 = exp(v1)
     = exp(-6)
     = 0.002479
  y = v2 / x
    = 0.002479 / 2
    = 0.001239

Gradients
  d(y)/d(y) = 1
  d(y)/d(v2) = d(y)/d(y) * d(y)/d(v2)
             = d(y)/d(y) * (1 / x)
             = 1 * 0.5
             = 0.5
  d(y)/d(v1) = d(y)/d(v2) * d(v2)/d(v1)
             = d(y)/d(v2) * exp(v1)
             = 0.5 * 0.002479
             = 0.001239
  d(y)/d(w) = d(y)/d(v1) * d(v1)/d(w)
            = d(y)/d(v1) * x
            = 0.001239 * 2
            = 0.002479
  d(y)/d(x) = d(y)/d(y) * d(y)/d(x) + d(y)/d(v1) * d(v1)/d(x)
            = d(y)/d(y) * (-v2 / x^2) + d(y)/d(v1) * w
            = 1 * (-0.0006197) + 0.001239 * (-3)
            = -0.004338"""
    )
    assert str(d) == repr(d) == d.text and d._repr_latex_() == f"$$\n{d.latex}\n$$"
    right = next(row[1] for row in rows(d.latex) if row[0] == r"\frac{\partial y}{\partial x}")
    assert right == (
        r"\frac{\partial y}{\partial y} \cdot \frac{\partial y}{\partial x} + "
        r"\frac{\partial y}{\partial v_{1}} \cdot \frac{\partial v_{1}}{\partial x}"
    )
    assert ["", r"1 \cdot \left(-0.0006197\right) + 0.001239 \cdot \left(-3\right)"] in rows(d.latex)
    assert ["v_{1}", r"x \cdot w"] in rows(d.latex)
    assert x._grad is None


def test_arrays_are_in_matrix_form():
    x, weight = Tensor([[1.0, 2.0]]), Tensor([[0.5], [-1.0]], requires_grad=True)
    bias = Tensor([0.25], requires_grad=True)
    loss = (x @ weight + bias).sum()
    d = derivation(loss)
    found = equations(d.text)
    assert found["d(loss)/d(weight)"] == ["x.T @ d(loss)/d(v1)", "[[1], [2]]"]
    assert found["d(loss)/d(bias)"][0] == "sum(d(loss)/d(v2) * d(v2)/d(bias), axis 0)"
    assert [r"\mathrm{weight}", r"\begin{bmatrix} 0.5 \\ -1 \end{bmatrix}"] in rows(d.latex)
    left = r"\frac{\partial \mathrm{loss}}{\partial \mathrm{weight}}"
    assert [left, r"x^{\top} \frac{\partial \mathrm{loss}}{\partial v_{1}}"] in rows(d.latex)


@pytest.mark.parametrize("name", GRAPHS)
def test_values_and_gradients_are_those_of_the_tape(name):
    loss = GRAPHS[name]()
    tape = record(loss)
    arrays = [part for v in tape.values for part in (v.data if isinstance(v.data, tuple) else [v.data])]
    if len(tape.values) > MAX_VALUES or max(map(np.size, arrays)) > MAX_ELEMENTS:
        with pytest.raises(ValueError, match=r"derivation\(\) writes out"):
            derivation(loss)
        return
    found = list(equations(derivation(loss, names={}).text).values())
    walked = [v for v in reversed(tape.values) if v.gradient is not None]
    expected = ["?" if v.data is None else told(v.data) for v in tape.values] + [told(v.gradient) for v in walked]
    assert [sides[-1] for sides in found] == expected


def told(x):
    parts = x if isinstance(x, tuple) else (x,)
    return ", ".join("0" if part is None else nested(np.asarray(part)) for part in parts)


def test_the_numbers_of_a_product_give_the_result():
    a, b = Tensor(0.7, requires_grad=True), Tensor(-1.3, requires_grad=True)
    loss = (a * b + b**3).tanh() * a - (a - 2.0).abs() / (b * b)
    checked = 0
    for left, sides in equations(derivation(loss).text).items():
        if left.startswith("d(") and len(sides) == 4:
            checked += 1
            np.testing.assert_allclose(eval(sides[2]), float(sides[3]), rtol=5e-3)
    assert checked >= 8
    text = derivation(a * b - b * 2.0 + (b * -3.0).exp() / -4.0).text
    assert not re.search(r" [+*] -|\(\(", text) and " + (-1) * 2" in text


def test_terms_of_a_sum_that_are_told_in_words_are_in_brackets():
    x = Tensor([1.0, 3.0], requires_grad=True)
    y = x[0] * x[1] + x.max()
    d = derivation(y)
    found = equations(d.text)
    ways = (
        "(d(y)/d(v4), at the maximum, shared evenly at a tie, else 0)",
        *(f"(d(y)/d({v}), at the places that were taken, else 0)" for v in ("v1", "v2")),
    )
    assert sorted(found["d(y)/d(x)"][0].replace(") + (", ")\n(").split("\n")) == sorted(ways)
    assert found["d(y)/d(x)"][-1] == "[3, 2]"
    assert r"\left(\frac{\partial y}{\partial v_{4}}\text{, at the maximum, shared evenly at a tie, else 0}\right)" in d.latex
    alone = equations(derivation(x.max()).text)
    assert alone["d(loss)/d(x)"][0] == "d(loss)/d(loss), at the maximum, shared evenly at a tie, else 0"


def test_numbers_that_are_added_are_in_brackets_where_they_are_negative():
    x = Tensor(2.0, requires_grad=True)
    total = x.sum()
    y = x * 3.0 - total
    assert equations(derivation(y).text)["d(y)/d(x)"][-2:] == ["1 * 3 + (-1)", "2"]


def test_a_quotient_is_in_brackets_as_a_factor():
    x = Tensor(4.0, requires_grad=True)
    y = (x.log() * 2.0).log()
    found = equations(derivation(y).text)
    assert found["d(y)/d(v2)"][1] == "d(y)/d(y) * (1 / v2)" and found["d(y)/d(x)"][1] == "d(y)/d(v1) * (1 / x)"
    assert r"\frac{\partial y}{\partial y} \cdot \frac{1}{v_{2}}" in derivation(y).latex


def test_a_gradient_that_is_given_is_no_derivative_of_the_result_by_itself():
    x = Tensor([3.0, 5.0], requires_grad=True)
    y = x * 2.0
    d = derivation(y, gradient=[1.0, 2.0])
    found = equations(d.text.partition("Gradients")[2])
    assert found == {
        "L": ["sum(y * the gradient given)"],
        "d(L)/d(y)": ["the gradient given", "[1, 2]"],
        "d(L)/d(x)": ["d(L)/d(y) * d(y)/d(x)", "d(L)/d(y) * 2", "[1, 2] * 2", "[2, 4]"],
    }
    assert ["L", r"\mathrm{sum}\left(y \odot \text{the gradient given}\right)"] in rows(d.latex)
    assert "d(y)/d(y)" not in d.text
    compiles(d)
    L = y
    assert equations(derivation(L, gradient=[1.0, 2.0], names={"L": L}).text)["d(L1)/d(L)"] == ["the gradient given", "[1, 2]"]
    assert equations(derivation(x.sum(), gradient=7.0, names={}).text)["L"] == ["loss * the gradient given"]


def test_several_values_of_a_rule():
    x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = mg.unstack(x)
    found = equations(derivation((first * second).sum()).text)
    assert found["first"] == ["v1[0]", "[1, 2]"] and found["d(loss)/d(v1)"] == ["d(loss)/d(first), d(loss)/d(second)", "[3, 4], [1, 2]"]


def test_names_may_be_given():
    a = Tensor(2.0, requires_grad=True)
    assert list(equations(derivation(a * a, names={"alpha_1": a}).text)) == ["alpha_1", "loss", "d(loss)/d(loss)", "d(loss)/d(alpha_1)"]


# -- LaTeX ---------------------------------------------------------------------------------------------------------------


def test_names_and_numbers_in_latex():
    assert [latex_name(name) for name in ("x", "v12", "w_1", "loss", "xs[0]", "model.0.weight_hh", "p['a$b']")] == [
        *("x", "v_{12}", "w_{1}", r"\mathrm{loss}", r"\mathrm{xs[0]}", r"\mathrm{model.0.weight\_hh}"),
        r"\mathrm{p[{'}a?b{'}]}",
    ]
    assert latex_number(-2.5e-8) == r"-2.5 \times 10^{-8}"
    assert latex_array(np.array([1.0, 2.0])) == r"\begin{bmatrix} 1 & 2 \end{bmatrix}"
    assert latex_array(np.ones((1, 1, 2))) == r"\left[\begin{bmatrix} 1 & 1 \end{bmatrix}\right]"


NUMBER = r"-?(?:[\d.]+(?: \\times 10\^\{-?\d+\})?|\\infty|\\mathrm\{NaN\})"
MATRIX = re.compile(rf"\\begin\{{bmatrix\}} {NUMBER}(?: (?:&|\\\\) {NUMBER})* \\end\{{bmatrix\}}")


def compiles(d, done=set()):  # noqa: B006 - each expression once, in all tests together
    """Every side of every equation, with M for a matrix of numbers, which matplotlib's mathtext lacks."""
    mathtext = pytest.importorskip("matplotlib.mathtext").MathTextParser("path")
    for row in rows(d.latex):
        for side in {MATRIX.sub("M", side) for side in row} - done - {""}:
            assert "bmatrix" not in side
            mathtext.parse(f"${side}$")
            done.add(side)


@pytest.mark.parametrize("name", ["mlp", "parts", "second_order"])
def test_the_latex_of_a_graph_compiles(name):
    compiles(derivation(GRAPHS[name]()))


TOO_LARGE = {"convolution_input", "lstm_cell"}  # of which the table has no small case


@pytest.mark.parametrize("name", TABLE)
def test_the_latex_of_every_rule_compiles(name):
    entry, done = TABLE[name], False
    for case in entry.cases:
        inputs = [
            Tensor(x, requires_grad=True) if isinstance(x, np.ndarray) and x.dtype.kind == "f" and i not in entry.constants else x
            for i, x in enumerate(case.inputs)
        ]
        if done or sum(np.size(x) for x in inputs) > MAX_ELEMENTS or not any(isinstance(x, Tensor) for x in inputs):
            continue
        outputs = apply(getattr(rules, name), *inputs, **case.options)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if sum(output.size for output in outputs) > MAX_ELEMENTS:
            continue
        compiles(derivation(sum((output.sum() for output in outputs), Tensor(0.0))))
        done = True
    assert done or name in TOO_LARGE


def test_the_check_of_latex_sees_what_is_wrong():
    wrong = derivation(Tensor(1.0, requires_grad=True) * 2.0)
    wrong.latex = wrong.latex.replace(r"\partial", r"\party")
    with pytest.raises(ValueError, match="Unknown symbol"):
        compiles(wrong)


# -- errors --------------------------------------------------------------------------------------------------------------


def test_what_is_too_large_is_an_error_that_says_the_limit():
    x = Tensor(0.5, requires_grad=True)
    y = x
    for _ in range(MAX_VALUES):
        y = y.tanh()
    with pytest.raises(ValueError, match=rf"graphs of at most {MAX_VALUES} values, this one has {MAX_VALUES + 1}\. Take a smaller model"):
        derivation(y)
    wide = Tensor(np.ones((MAX_ELEMENTS + 1, 1)), requires_grad=True)
    with pytest.raises(ValueError, match=rf"arrays of at most {MAX_ELEMENTS} elements, this graph has one of shape \(37, 1\)\. Take"):
        derivation(wide.sum())
    rows_ = mg.unstack(Tensor(np.ones((2, MAX_ELEMENTS + 1)), requires_grad=True)[:, :3])
    with pytest.raises(ValueError, match="at most"):
        derivation(rows_[0].sum())


def test_errors_name_the_function():
    with pytest.raises(TypeError, match=r"^derivation\(\) needs a Tensor"):
        derivation(3.0)
    with pytest.raises(ValueError, match=r"^derivation\(\) needs a graph"):
        derivation(Tensor(3.0))
    vector = Tensor([1.0, 2.0], requires_grad=True) * 2.0
    with pytest.raises(
        RuntimeError,
        match=r"^derivation\(\) needs a scalar, got shape \(2,\)\. Reduce it first with \.mean\(\) or \.sum\(\), or pass gradient=\.$",
    ):
        derivation(vector)
    with pytest.raises(ValueError, match=r"^derivation\(\) needs a gradient= of the tensor's shape \(2,\), got \(3,\)\.$"):
        derivation(vector, gradient=[1.0, 2.0, 3.0])

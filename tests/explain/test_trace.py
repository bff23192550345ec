"""trace_backward: the tape in the terminal."""

import re
import sys
import weakref

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, debug, rules, trace_backward
from micrograd_plus.explain.formulas import FORMULAS, filled, formula_of
from micrograd_plus.explain.numbers import number, shortened
from micrograd_plus.explain.tape import record
from micrograd_plus.explain.trace import ENDS, local_derivative

from .graphs import GRAPHS

every_graph = pytest.mark.parametrize("name", GRAPHS)


def test_a_whole_trace():
    a, b = Tensor(2.0, requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    c = a * b + a
    loss = (c**2 + 1).mean()
    text = """\
Backward from loss = 27 in 5 steps, beginning with g = d(loss)/d(loss) = 1.

step 1: loss = mean(v3) = 27
    upstream gradient g = d(loss)/d(loss) = 1
    v3: g / 2, the same for each element: [0.5, 0.5]

step 2: v3 = v2 + constant = ?
    upstream gradient g = d(loss)/d(v3) = [0.5, 0.5]
    v2: local derivative 1
        g * local derivative = [0.5, 0.5]

step 3: v2 = c^2 = [16, 36]
    upstream gradient g = d(loss)/d(v2) = [0.5, 0.5]
    c: local derivative 2 c = [8, 12]
       g * local derivative = [4, 6]

step 4: c = v1 + a = [4, 6]
    upstream gradient g = d(loss)/d(c) = [4, 6]
    v1: local derivative 1
        g * local derivative = [4, 6]
    a: local derivative 1
       g * local derivative = [4, 6]
       a was broadcast; summed over axis 0: 10

step 5: v1 = a * b = [2, 4]
    upstream gradient g = d(loss)/d(v1) = [4, 6]
    a: local derivative b = [1, 2]
       g * local derivative = [4, 12]
       a was broadcast; summed over axis 0: 16
       paths meet: 10 + 16 = 26
    b: local derivative a = 2
       g * local derivative = [8, 12]

Gradients of the leaves:
    a  26
    b  [8, 12]"""
    trace = trace_backward(loss)
    assert str(trace) == repr(trace) == text
    assert len(trace) == 5 and str(trace[2]) == repr(trace[2]) == trace[2].text and trace[2].text in text
    assert [step.value.name for step in trace] == ["mean", "add", "power", "add", "multiply"]
    assert a._grad is None


def test_lines_and_constants_within_debug():
    with debug():
        x = Tensor([1.0, 2.0], requires_grad=True)
        y = (x + 1.5).sum()
    assert "step 2: v1 = x + 1.5 = [2.5, 3.5]\n    made in test_trace.py, line " in str(trace_backward(y))
    assert ": y = (x + 1.5).sum()\n    upstream" in str(trace_backward(y))


@every_graph
def test_every_number_is_that_of_the_tape(name):
    loss = GRAPHS[name]()
    trace = trace_backward(loss)
    for step in trace:
        name, root = trace.names[step.value.index], trace.names[-1]
        assert f"upstream gradient g = d({root})/d({name}) = {shortened(step.events[0].upstream)}\n" in step.text
        for event in step.events:
            told = step.text.partition(f"    {trace.names[event.target]}: ")[2]
            assert shortened(event.contribution) in told
            assert (f"summed over ax{'e' if len(event.axes) > 1 else 'i'}s {', '.join(map(str, event.axes))}: " in told) >= bool(event.axes)
            assert ("paths meet" in told) >= (not event.first)
    for value in trace.tape.values:
        if value.kind == "leaf":
            row = rf"^    {re.escape(trace.names[value.index])} +{re.escape(shortened(value.gradient))}$"
            assert re.search(row, str(trace), re.MULTILINE)
    assert len(set(trace.names)) == len(trace.names)


@every_graph
def test_the_local_derivative_times_the_gradient_is_the_contribution(name):
    tape = record(GRAPHS[name]())
    for event in tape.events:
        value = tape.values[event.source]
        if formula_of(tape, value).terms[event.position].local:
            np.testing.assert_allclose(event.upstream * local_derivative(value, event), event.contribution, rtol=1e-5)


# What stands in a formula, in Python.
MEANING = {
    **{name: getattr(np, name) for name in ("exp", "log", "log2", "log10", "sqrt", "sin", "cos", "tan", "arctan", "sign", "tanh", "abs")},
    "max": np.maximum,
    "min": np.minimum,
    "holds": lambda condition: np.asarray(condition, float),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "Phi": lambda x: rules.phi(x)[0],
    "phi": lambda x: np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi),
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.1 * x),
    "elu": lambda x: np.where(x > 0, x, 0.7 * np.expm1(x)),
    "clip": np.clip,
}
OPTIONS = {"leaky_relu": {"slope": 0.1}, "elu": {"alpha": 0.7}, "clip": {"low": -0.5, "high": 0.6}}
WITHOUT_ONE = (rules.where, rules.cast, rules.gelu_tanh)  # whose formula is told in words, or is that of add
ELEMENTWISE = {
    rule.__name__: formula for rule, formula in FORMULAS.items() if all(t.local for t in formula.terms) and rule not in WITHOUT_ONE
}


def meaning(formula, variables):
    """What a formula of the table computes: its text, read as Python."""
    text = filled(formula, lambda key: f"x{key}" if key.isdigit() else key)
    text = text.replace("low <= x0 <= high", "(low <= x0) & (x0 <= high)").replace("log 2", "log(2)").replace("log 10", "log(10)")
    text = re.sub(r"\[([^\]]+)\]", lambda found: f"holds({found[1].replace(' = ', ' == ')})", text).replace("^", "**")
    text = re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", text)  # a product without a sign
    return eval(text, {**MEANING, **variables})


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_formulas_of_elementwise_rules_are_what_the_rules_compute(name):
    rule, formula, options = getattr(rules, name), ELEMENTWISE[name], OPTIONS.get(name, {})
    random = np.random.default_rng(0)
    arrays = [random.uniform(0.2, 0.8, 6) for _ in formula.terms]
    if name in ("maximum", "minimum"):
        arrays[0][0] = arrays[1][0]
    if len(arrays) == 1 and "log" not in name and name != "sqrt":
        arrays[0][:2] *= -1
    value, pullbacks = rule(*arrays, **options)
    variables = {f"x{i}": x for i, x in enumerate(arrays)} | {"y": value} | options
    np.testing.assert_allclose(meaning(formula.text, variables), value, rtol=1e-10)
    for term, pullback in zip(formula.terms, pullbacks, strict=True):
        np.testing.assert_allclose(meaning(term.text, variables) * np.ones(6), pullback(np.ones(6)) * np.ones(6), rtol=1e-10)


def test_every_rule_has_a_formula():
    special = {"power", "concatenate", "stack", "einsum"}
    named = {name for name in rules.__all__ if callable(getattr(rules, name)) and name.islower()} - {"linear", "primitive"}
    assert named - {rule.__name__ for rule in FORMULAS} == special


def test_arrays_are_shortened_sensibly():
    assert shortened(np.arange(8.0)) == "[0, 1, 2, 3, 4, 5, 6, 7]"
    assert shortened(np.arange(9.0)) == "(9,), from 0 to 8, norm 14.28"
    assert shortened(np.array([[1e-9, 123456789.0]])) == "[[1e-09, 1.235e+08]]"
    many = np.ones((3, 4))
    many[1, 2] = np.nan
    assert shortened(many) == "(3, 4), 1 of 12 elements NaN or inf" and shortened(many[:1]) == "[[1, 1, 1, 1]]"
    assert shortened((np.ones(2), None)) == "([1, 1]; none)"
    assert number(0.1 + 0.2) == "0.3" and number(1e6) == "1e+06" and number(float("inf")) == "inf"


def test_a_long_trace_is_shown_by_its_ends():
    x = Tensor(0.5, requires_grad=True)
    y = x
    for _ in range(50):
        y = y.tanh()
    trace = trace_backward(y)
    assert len(trace) == 50 and str(trace).count("step ") == 50
    shown = repr(trace)
    assert shown.count("\nstep ") == 2 * ENDS and f"... {50 - 2 * ENDS} steps between; print() shows all ..." in shown
    assert shown.endswith(str(trace)[-40:])


# -- names ---------------------------------------------------------------------------------------------------------------


def test_names_are_those_of_the_callers_variables():
    model = mg.Sequential(mg.Linear(2, 1))
    xs = [Tensor([[1.0, 2.0]], requires_grad=True)]
    scales = {"a": Tensor(2.0, requires_grad=True)}
    v1 = 3  # the name is taken

    def of_function():
        prediction = model(xs[0]) * scales["a"] + 1.0
        return trace_backward(prediction.tanh().sum()), v1

    names = of_function()[0].names
    given = {"xs[0]", "model.layers.0.weight", "model.layers.0.bias", "scales['a']", "prediction"}
    assert set(names) == given | {"v2", "v3", "v4", "loss"}


class Owner:
    """A learner's own class, with what it learns in attributes."""

    def __init__(self):
        self.net, self.layers, self.hist = mg.Linear(2, 3), [mg.Linear(3, 1)], []

    def step(self, x):
        self.hist.append(self.net(x))
        loss = self.layers[0](self.hist[0]).sum()
        return trace_backward(loss)


class OwnModule(mg.Module):
    def __init__(self):
        super().__init__()
        self.net = mg.Linear(2, 1)

    def forward(self, x):
        self.hist = [self.net(x)]
        return trace_backward(self.hist[0].sum())


def test_attributes_of_self_name_what_they_hold():
    names = Owner().step(np.ones((1, 2))).names
    assert set(names) - {"v1"} == {
        *("self.net.weight", "self.net.bias", "self.layers[0].weight", "self.layers[0].bias", "self.hist[0]", "c1", "loss")
    }
    assert set(OwnModule()(np.ones((1, 2))).names) == {"self.net.weight", "self.net.bias", "c1", "self.hist[0]", "loss"}


@pytest.mark.parametrize(
    ("names", "got"),
    [
        ({"x": 3}, "int for 'x'"),
        ({"xs": [3]}, "int for 'xs'"),
        ({"xs": {"a": np.ones(2)}}, "ndarray for 'xs'"),
        ({1: Tensor(2.0)}, "the name 1"),
        ([Tensor(2.0)], "list"),
    ],
)
def test_names_of_something_else_are_refused(names, got, tmp_path):
    loss = Tensor(2.0, requires_grad=True) * 3.0
    for tool in (trace_backward, mg.derivation, mg.unroll):
        with pytest.raises(TypeError, match=rf"^{tool.__name__}\(\) needs names= as a dict of Tensors and Modules.* by name, got {got}\.$"):
            tool(loss, names=names)
    with pytest.raises(TypeError, match=rf"^visualize_computation_graph\(\) needs names= .*, got {got}\.$"):
        mg.visualize_computation_graph(loss, tmp_path / "graph.dot", names=names)


def test_names_may_be_given():
    a, b = Tensor(2.0, requires_grad=True), Tensor(3.0, requires_grad=True)
    trace = trace_backward(a * b, names={"height": a})
    assert trace.names == ["height", "x1", "loss"]
    assert "height: local derivative x1 = 3" in str(trace)


def test_a_trace_keeps_no_graph_alive_by_the_callers_variables():
    def run():
        w = Tensor(2.0, requires_grad=True)
        loss = w * w
        str(trace_backward(loss))
        found = weakref.ref(loss)
        loss = None
        return found()

    assert run() is None


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="locals() is a copy")
def test_the_callers_own_locals_stay_as_they_are():
    x = Tensor(2.0, requires_grad=True)
    seen = locals()
    trace_backward(x * 2.0)
    assert seen["x"] is x


def test_a_gradient_that_is_given_is_no_derivative_of_the_result_by_itself():
    x = Tensor([3.0, 5.0], requires_grad=True)
    y = x * 2.0
    lines = str(trace_backward(y, gradient=[1.0, 2.0])).splitlines()
    assert lines[0] == (
        "Backward from y = [6, 10] in 1 step, beginning with the gradient given: g = d(L)/d(y) = [1, 2], where L is the sum of y times it."
    )
    assert "    upstream gradient g = d(L)/d(y) = [1, 2]" in lines


# -- errors --------------------------------------------------------------------------------------------------------------


def test_errors_name_the_function():
    with pytest.raises(TypeError, match=r"^trace_backward\(\) needs a Tensor"):
        trace_backward(3.0)
    with pytest.raises(ValueError, match=r"^trace_backward\(\) needs a graph"):
        trace_backward(Tensor(3.0))
    vector = Tensor([1.0, 2.0], requires_grad=True) * 2.0
    with pytest.raises(
        RuntimeError,
        match=r"^trace_backward\(\) needs a scalar, got shape \(2,\)\. Reduce it first with \.mean\(\) or \.sum\(\), or pass gradient=\.$",
    ):
        trace_backward(vector)
    with pytest.raises(ValueError, match=r"^trace_backward\(\) needs a gradient= of the tensor's shape \(2,\), got \(3,\)\.$"):
        trace_backward(vector, gradient=[1.0, 2.0, 3.0])
    loss = GRAPHS["mlp"]()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"^trace_backward\(\) needs the whole graph"):
        trace_backward(loss)

"""unroll: a tensor's graph as scalar Values, whose gradients are the same."""

import functools
import math

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, Value, apply, debug, rules, unroll
from micrograd_plus import tensor as engine
from micrograd_plus.explain import unrolling
from micrograd_plus.explain.unrolling import FORMS, FUNCTIONS, MAX_SCALARS

from ..rules.checks import difference
from ..rules.table import KINKS, TABLE
from .graphs import GRAPHS, UNROLLED, in_float64


def flat(values):
    return [value for part in values for value in flat(part)] if isinstance(values, list) else [values]


# -- by hand -------------------------------------------------------------------------------------------------------------


def test_a_small_expression():
    w, b = Tensor([1.0, -2.0], requires_grad=True), Tensor(0.5, requires_grad=True)
    loss = ((w * 3.0 + b).relu() ** 2).sum()
    scalars = unroll(loss)
    assert isinstance(scalars.root, Value) and scalars.root.data == 3.5**2
    assert [value.data for value in scalars.leaves["w"]] == [1, -2] and scalars.leaves["b"].data == 0.5
    assert [value.grad for value in scalars.leaves["w"]] == [2 * 3.5 * 3, 0] and scalars.leaves["b"].grad == 7
    assert scalars.counts == {"": 5, "*": 2, "**2": 2, "+": 3, "ReLU": 2} and list(scalars.counts)[1] == "+"
    assert (scalars.difference, scalars.rounding, scalars.value_difference, scalars.equal, scalars.assumed) == (0, 0, 0, True, 0)
    assert w._grad is None
    scalars.root.backward()  # they are Values like others: gradients add up
    assert scalars.leaves["b"].grad > 7


def test_the_report():
    w, b = Tensor([1.0, -2.0], requires_grad=True), Tensor(0.5, requires_grad=True)
    loss = ((w * 3.0 + b).relu() ** 2).sum()
    assert (
        str(unroll(loss))
        == repr(unroll(loss))
        == unroll(loss).report
        == (
            """\
loss, of 5 operations on Tensors, is 14 scalar Values:
5 numbers to begin with, 3 +, 2 *, 2 **2, 2 ReLU.
Its value: 12.25 of the Tensor, 12.25 of the Values.

  gradient of  Tensor  Values
  w[0]             21      21
  w[1]              0       0
  b                 7       7

All 3 gradients are equal: they differ by at most 0 where the Tensors are float64,
and by at most 0 from those in their own dtype, which is rounding."""
        )
    )
    assert "  ... and 38 more\n" in str(unroll((Tensor(np.ones((5, 10)), requires_grad=True) * 2.0).sum()))


def test_leaves_are_nested_as_their_axes_are():
    x = Tensor(np.arange(6.0).reshape(1, 2, 3), requires_grad=True)
    scalars = unroll((x * x).sum(), names={"cube": x})
    assert [[[value.data for value in row] for row in rows] for rows in scalars.leaves["cube"]] == x.data.tolist()
    assert scalars.leaves["cube"][0][1][2].grad == 10


def test_a_constant_that_the_graph_did_not_keep():
    x = Tensor([1.0, 2.0], requires_grad=True)
    scalars = unroll((x.exp() + 3.0).sum())
    assert scalars.assumed == 1 and scalars.equal and scalars.value_difference == pytest.approx(6)
    assert "\nA constant that the graph did not keep was taken as 0: no gradient depends on it." in str(scalars)
    with debug():
        loss = (x.exp() + 3.0).sum()
    scalars = unroll(loss)
    assert scalars.assumed == 0 and scalars.value_difference < 1e-6
    scalars = unroll((x.exp() + 3.0).log().sum())  # the logarithm keeps it
    assert scalars.assumed == 0 and scalars.value_difference < 1e-6


# -- every rule ----------------------------------------------------------------------------------------------------------


def cases(table):
    return [pytest.param(name, case, id=f"{name}-{i}") for name, several in table.items() for i, case in enumerate(several)]


LARGE = {(130, 130), (3, 1, 900), (3, 1, 451), (3, 2, 451)}  # of the first input
BOUNDED = "Python's numbers|at p = |needs x > 0"  # what can't be written out is an error


def loss_of(name, case, constants=()):
    inputs = [
        Tensor(x, requires_grad=True) if isinstance(x, np.ndarray) and x.dtype.kind == "f" and i not in constants else x
        for i, x in enumerate(case.inputs)
    ]
    outputs = apply(getattr(rules, name), *inputs, **case.options)
    random = np.random.default_rng(0)
    terms = [(y * random.standard_normal(y.shape)).sum() for y in (outputs if isinstance(outputs, tuple) else (outputs,))]
    return functools.reduce(lambda x, y: x + y, terms)


def floats_of(case):
    return [x for x in case.inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f"]


TABLED = {name: [case for case in entry.cases if floats_of(case)] for name, entry in TABLE.items() if name != "solve"}
LIMITS = {name: [case for case in entry if floats_of(case)] for name, entry in KINKS.items() if name != "solve"}


@pytest.mark.parametrize(("name", "case"), cases(TABLED))
def test_every_rule_unrolled_has_the_same_value_and_gradients(name, case):
    with mg.default_dtype(np.float64), np.errstate(all="ignore"):
        loss = loss_of(name, case, TABLE[name].constants)
        if np.shape(case.inputs[0]) in LARGE:
            with pytest.raises(ValueError, match="makes at most 20,000 Values"):
                unroll(loss)
            return
        scalars = unroll(loss)
    assert scalars.equal and scalars.assumed == 0
    assert scalars.value_difference <= 1e-9 * max(1, abs(loss.item()))
    assert scalars.rounding <= 1e-9 * max([1, *(abs(v.grad) for v in flat(list(scalars.leaves.values())))])


@pytest.mark.parametrize(("name", "case"), cases(LIMITS))
def test_ties_kinks_and_limits_are_those_of_the_rules(name, case):
    with mg.default_dtype(np.float64), np.errstate(all="ignore"):
        loss = loss_of(name, case)
        try:
            scalars = unroll(loss)
        except ValueError as error:
            assert any(part in str(error) for part in BOUNDED.split("|"))
            assert name in ("divide", "power", "norm", "binary_cross_entropy")
            return
    assert scalars.equal and scalars.rounding == pytest.approx(0, abs=1e-9 * max(1, scalars.difference))


def test_powers_of_which_the_exponent_requires_a_gradient():
    x, y = Tensor([2.0, 0.0, 0.0], requires_grad=True), Tensor([3.0, 2.0, 0.0], requires_grad=True)
    scalars = unroll((x**y).sum())
    assert scalars.equal and [v.grad for v in scalars.leaves["y"]] == pytest.approx([8 * math.log(2), 0, 0])
    assert [v.grad for v in scalars.leaves["x"]] == pytest.approx([12, 0, 0]) and scalars.root.data == pytest.approx(9)


def test_every_rule_has_a_scalar_form_but_linear_systems():
    assert {getattr(rules, name) for name in TABLE} - set(FORMS) == {rules.solve}
    with pytest.raises(ValueError, match=r"^unroll\(\) knows no scalar form of solve: it writes out the library's own rules, but for"):
        unroll(mg.solve(Tensor(np.eye(2), requires_grad=True), np.ones((2, 1))).sum())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_slopes_of_the_functions_of_one_number(name):
    f, slope = FUNCTIONS[name]
    x = 0.7
    assert slope(x, float(f(x))) == pytest.approx(difference(lambda step: float(f(x + step))), rel=1e-6)


# -- whole graphs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNROLLED)
def test_graphs_of_all_kinds(name):
    loss = in_float64(GRAPHS[name])
    scalars = unroll(loss)
    assert scalars.equal and scalars.rounding <= 1e-9 * max(abs(v.grad) for v in flat(list(scalars.leaves.values())))
    assert scalars.value_difference <= 1e-9 or scalars.assumed
    loss.backward()
    found = sorted(v.grad for v in flat(list(scalars.leaves.values())))
    leaves = {id(x): x for x in leaves_of(GRAPHS[name]())}
    assert len(found) == sum(x.size for x in leaves.values())
    single = unroll(GRAPHS[name]())  # in float32
    assert single.equal and single.difference <= 1e-9 * max(map(abs, found))


def leaves_of(loss):
    found, pending, seen = [], [loss._node or loss], set()
    while pending:
        edge = pending.pop()
        if id(edge) in seen:
            continue
        seen.add(id(edge))
        if isinstance(edge, Tensor):
            found.append(edge)
        else:
            pending += [x for x in edge.edges() if x is not None]
    return found


def test_a_wrong_pullback_is_found(monkeypatch):
    def wrong(x):
        y = np.tanh(x)
        return y, (lambda g: g * (1 - y),)

    monkeypatch.setattr(engine.rules, "tanh", wrong)
    monkeypatch.setitem(FORMS, wrong, FORMS[rules.tanh] if rules.tanh in FORMS else unrolling._each(unrolling.tanh))
    scalars = unroll(Tensor([0.5, 0.1], requires_grad=True).tanh().sum())
    y = math.tanh(0.5)
    assert not scalars.equal and scalars.difference == pytest.approx(abs((1 - y) - (1 - y * y)))
    assert "\nThe gradients DIFFER: by up to 0.25 where the Tensors are float64" in str(scalars)


def test_an_array_that_was_changed_in_place_is_found():
    x = Tensor([0.5, 1.0], requires_grad=True)
    loss = (x * x).exp().sum()
    x.data[...] = 3.0
    scalars = unroll(loss)
    assert not scalars.equal and "or an array of the graph was changed in place since it was used." in str(scalars)


# -- errors --------------------------------------------------------------------------------------------------------------


def test_what_is_too_large_is_an_error_that_says_the_limit():
    assert MAX_SCALARS == 20_000
    x = Tensor(np.ones((20, 30)), requires_grad=True)
    with pytest.raises(ValueError, match=r"^unroll\(\) makes at most 20,000 Values, this graph needs about 25,600\. Take a smaller model"):
        unroll((x @ np.ones((30, 20), np.float32)).sum())


def test_a_rule_of_ones_own_is_an_error():
    with pytest.raises(ValueError, match=r"no scalar form of cube: .*Compose the operation of others, or unroll what comes before it\."):
        unroll(GRAPHS["own_rule"]())


def test_errors_name_the_function():
    with pytest.raises(TypeError, match=r"^unroll\(\) needs a Tensor"):
        unroll(3.0)
    with pytest.raises(ValueError, match=r"^unroll\(\) needs a graph"):
        unroll(Tensor(3.0))
    with pytest.raises(
        RuntimeError, match=r"^unroll\(\) needs a scalar, got shape \(2,\)\. Reduce it first with \.mean\(\) or \.sum\(\)\.$"
    ):
        unroll(Tensor([1.0, 2.0], requires_grad=True) * 2.0)
    with (
        np.errstate(all="ignore"),
        pytest.raises(ValueError, match=r"^unroll\(\) computes with Python's numbers, .* See trace_"),
    ):
        unroll((Tensor([1e-40], requires_grad=True, dtype=np.float64) ** -8).sum())

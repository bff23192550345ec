"""The marks that rules and array functions carry: `linear`, `primitive`, `derivative_of`."""

import tracemalloc
from types import CellType, FunctionType

import numpy as np
import pytest

from micrograd_plus import Tensor, rules
from micrograd_plus.rules.convolution import correlate, correlate_input, correlate_weight
from micrograd_plus.rules.primitives import constant, logistic, normal_cdf, scatter_add, scatter_rows
from micrograd_plus.rules.windows import add_windows, slide

from .checks import differentiable
from .table import TABLE

linear_cases = [
    pytest.param(name, case, id=f"{name}-{i}")
    for name, entry in TABLE.items()
    if getattr(rules, name) in rules.LINEAR
    for i, case in enumerate(entry.cases)
]


def arrays_held_by(x, seen=None):
    """The arrays that a function's closure and defaults lead to."""
    seen = {} if seen is None else seen
    if id(x) in seen:
        return []
    seen[id(x)] = x
    if isinstance(x, np.ndarray):
        return [x]
    if isinstance(x, FunctionType):
        parts = [*(x.__closure__ or ()), *(x.__defaults__ or ()), *(x.__kwdefaults__ or {}).values()]
    elif isinstance(x, CellType):
        parts = [x.cell_contents]
    elif isinstance(x, (tuple, list, set)):
        parts = list(x)
    elif isinstance(x, dict):
        parts = list(x.values())
    else:
        parts = []
    return [array for part in parts for array in arrays_held_by(part, seen)]


def holds_an_input(rule, case, constants):
    _, pullbacks = rule(*case.inputs, **case.options)
    inputs = [case.inputs[i] for i in differentiable(case, constants)]
    return any(np.shares_memory(held, x) for held in arrays_held_by(pullbacks) for x in inputs)


@pytest.mark.parametrize(("name", "case"), linear_cases)
def test_pullbacks_of_a_linear_rule_hold_none_of_the_inputs_that_they_differentiate(name, case):
    assert not holds_an_input(getattr(rules, name), case, TABLE[name].constants)


def test_the_search_for_held_inputs_sees_those_of_a_product():
    assert holds_an_input(rules.multiply, TABLE["multiply"].cases[0], ())


def test_rules_that_move_or_add_values_are_marked_linear():
    assert {rule.__name__ for rule in rules.LINEAR} == {
        *("add", "subtract", "negative", "where", "sum", "mean", "cast", "reshape", "transpose", "broadcast_to"),
        *("concatenate", "stack", "getitem", "scatter", "take_rows", "gather_rows"),
        *("unstack", "take_along", "scatter_along", "pad", "cumsum", "windows", "scatter_windows"),
    }


@pytest.mark.parametrize(
    "step",
    [
        pytest.param(lambda x: x + 1.0, id="add a number"),
        pytest.param(lambda x: x - x, id="subtract itself"),
        pytest.param(lambda x: -x, id="negate"),
        pytest.param(lambda x: x[::-1], id="reverse"),
    ],
)
def test_300_chained_linear_operations_on_1_mb_hold_a_few_mb(step):
    tracemalloc.start()
    try:
        x = y = Tensor(np.zeros(250_000, np.float32), requires_grad=True)
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            y = step(y)
        held = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    assert held < 4e6
    y.sum().backward()
    assert x.grad.shape == x.shape


def test_300_chained_products_show_what_linear_rules_save():
    tracemalloc.start()
    try:
        y = Tensor(np.zeros(250_000, np.float32), requires_grad=True)
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(300):
            y = y * y
        assert tracemalloc.get_traced_memory()[0] - start > 290e6
    finally:
        tracemalloc.stop()


# -- primitives ----------------------------------------------------------------------------------------------------------


class Foreign:
    """Speaks NumPy's protocol, and notes what it is asked for."""

    def __array_function__(self, function, types, args, kwargs):
        return function.__name__, types, args, kwargs


@pytest.mark.parametrize("primitive", [constant, logistic, normal_cdf, scatter_add, scatter_rows, slide, add_windows])
def test_a_primitive_hands_itself_to_whatever_speaks_the_protocol(primitive):
    foreign = Foreign()
    assert primitive(foreign, count=3) == (primitive.__name__, (Foreign,), (foreign,), {"count": 3})
    array = np.ones(2)
    name, _, args, _ = primitive(array, foreign)
    assert (name, args[0] is array, args[1]) == (primitive.__name__, True, foreign)


@pytest.mark.parametrize(
    ("primitive", "rule"),
    [
        (logistic, rules.sigmoid),
        (normal_cdf, rules.phi),
        (scatter_add, rules.scatter),
        (scatter_rows, rules.gather_rows),
        (slide, rules.windows),
        (add_windows, rules.scatter_windows),
        (correlate, rules.convolution),
        (correlate_input, rules.convolution_input),
        (correlate_weight, rules.convolution_weight),
        (constant, None),
    ],
)
def test_each_primitive_knows_its_rule(primitive, rule):
    assert rules.PRIMITIVES[primitive] is rule


def test_every_primitive_but_constant_has_a_rule():
    assert [primitive.__name__ for primitive, rule in rules.PRIMITIVES.items() if rule is None] == ["constant"]


def test_a_primitive_on_a_tensor_records_its_rule():
    x = Tensor([0.0], requires_grad=True)
    logistic(x).backward()
    np.testing.assert_array_equal(x.grad, [0.25])


def test_nothing_is_differentiated_through_constant():
    x = Tensor([2.0], requires_grad=True)
    assert constant(x) is x.data
    (x * constant(x)).backward()
    np.testing.assert_array_equal(x.grad, [2.0])


def test_scatter_add_sums_what_falls_on_one_position():
    out = scatter_add(np.array([1.0, 2.0, 4.0]), index=np.array([1, 1, 0]), shape=(3,))
    np.testing.assert_array_equal(out, [4, 3, 0])


def test_scatter_add_writes_what_basic_indices_take():
    out = scatter_add(np.array([[1.0], [2.0]]), index=(slice(None), None, 1), shape=(2, 3))
    np.testing.assert_array_equal(out, [[0, 1, 0], [0, 2, 0]])


def test_windows_are_a_view_that_cannot_be_written_to():
    x = np.arange(6.0)
    view = slide(x, size=(3,), stride=(1,), dilation=(1,))
    assert np.shares_memory(view, x)
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1


def test_windows_added_back_have_the_axis_before_them_last_in_memory():
    out = add_windows(np.ones((2, 3, 4, 5, 2, 2)), spatial=(5, 6), stride=(1, 1), dilation=(1, 1))
    assert out.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize("count", [256, 257])
def test_scatter_rows_gives_the_same_by_either_way(count):
    values, indices = np.arange(8.0, dtype=np.float32).reshape(4, 2), np.array([0, 3, 3, 255])
    out = scatter_rows(values, indices, count=count)
    expected = np.zeros((count, 2), np.float32)
    np.add.at(expected, indices, values)
    np.testing.assert_array_equal(out, expected)
    assert out.dtype == np.float32

"""The tape of a walk, held against the engine's own numbers and against finite differences."""

import numpy as np
import pytest

import micrograd_plus as mg
from micrograd_plus import Tensor, debug, gradients, rules
from micrograd_plus import tensor as engine
from micrograd_plus.explain.tape import dropped_constant, record, unwalked

from .graphs import GRAPHS, leaf

every_graph = pytest.mark.parametrize("name", GRAPHS)


def only(values, name):
    (found,) = (value for value in values if value.name == name)
    return found


# -- by hand -------------------------------------------------------------------------------------------------------------


def test_values_and_events_of_a_small_graph():
    a, b = Tensor(2.0, requires_grad=True), Tensor([1.0, 3.0], requires_grad=True)
    c = a * b + a
    tape = record((c**2).sum())
    assert [(v.index, v.kind, v.name, v.inputs, v.numbers) for v in tape.values] == [
        (0, "leaf", "leaf", (), ()),
        (1, "leaf", "leaf", (), ()),
        (2, "operation", "multiply", (0, 1), (None, None)),
        (3, "operation", "add", (2, 0), (None, None)),
        (4, "operation", "power", (3, None), (None, 2)),
        (5, "operation", "sum", (4,), (None,)),
    ]
    assert [v.shape for v in tape.values] == [(), (2,), (2,), (2,), (2,), ()]
    assert [np.asarray(v.data).tolist() for v in tape.values] == [2, [1, 3], [2, 6], [4, 8], [16, 64], 80]
    assert [np.asarray(v.gradient).tolist() for v in tape.values] == [24 + 56, [16, 32], [8, 16], [8, 16], [1, 1], 1]
    assert tape.values[0].edge is a and tape.value_of(c) is tape.values[3] and tape.value_of(Tensor(1.0)) is None
    told = [(e.source, e.target, e.position, e.axes, e.first) for e in tape.events]
    assert told == [
        (5, 4, 0, (), True),
        (4, 3, 0, (), True),
        (3, 2, 0, (), True),
        (3, 0, 1, (0,), True),
        (2, 0, 0, (0,), False),
        (2, 1, 0 + 1, (), True),
    ]
    by_sum, by_product = tape.events[3], tape.events[4]
    assert by_sum.contribution.tolist() == [8, 16] and by_sum.reduced == 24 and by_sum.total == 24
    assert by_product.upstream.tolist() == [8, 16] and by_product.contribution.tolist() == [8, 48]
    assert by_product.reduced == 56 and by_product.total == 80


def test_constants_and_what_a_linear_rule_does_not_keep():
    x, y, mask = Tensor([1.0, 2.0], requires_grad=True), Tensor([3.0, 4.0]), np.array([2.0, 0.0], np.float32)
    tape = record(((x + 1.0) * y * mask * 5).sum())
    add, first, second, third, _ = (v for v in tape.values if v.kind == "operation")
    assert add.inputs == (0, None) and add.numbers == (None, None)
    constants = [v for v in tape.values if v.kind == "constant"]
    assert [v.edge is x for v, x in zip(constants, (y, mask), strict=True)] == [True, True]
    assert all(v.gradient is None and not v.requires_grad for v in constants)
    assert first.inputs == (add.index, constants[0].index) and second.inputs == (first.index, constants[1].index)
    assert third.inputs == (second.index, None) and third.numbers == (None, 5)
    assert add.data.tolist() == [2, 3]  # the multiplication keeps it
    assert dropped_constant(tape, add, 1) == 1.0 and dropped_constant(tape, add, 0) is None


def test_names_of_parameters():
    model = mg.Sequential(mg.Linear(2, 1))
    tape = record(model(np.ones((1, 2))).sum(), model=model)
    assert [v.name for v in tape.values if v.kind == "leaf"] == ["layers.0.weight", "layers.0.bias"]


def test_several_values_of_a_rule():
    x = Tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    first, _, last = mg.unstack(x)
    tape = record((first * last).sum())
    whole, a, b = tape.values[1:4]
    assert (whole.kind, whole.name, whole.shape) == ("operation", "unstack", ((2,), (2,), (2,)))
    assert [part.tolist() for part in whole.data] == x.data.tolist()
    assert [None if part is None else part.tolist() for part in whole.gradient] == [[5, 6], None, [1, 2]]
    assert [(v.kind, v.name, v.part, v.inputs) for v in (a, b)] == [("part", "output 0", 0, (1,)), ("part", "output 2", 2, (1,))]
    event = tape.events[-1]
    assert event.source == 1 and [g.tolist() for g in event.upstream] == [[5, 6], [0, 0], [1, 2]]


def test_where_values_come_from_within_debug():
    with debug():
        x = Tensor(1.0, requires_grad=True)
        y = x * 2.0 + 1.0
    tape = record(y)
    assert [str(v.origin).rpartition(", ")[0] for v in tape.values] == ["test_tape.py"] * 3
    assert tape.values[1].origin.line.text == "y = x * 2.0 + 1.0"
    assert [v.data for v in tape.values] == [1, 2, 3]


def test_a_gradient_may_be_given():
    x = Tensor([1.0, 2.0], requires_grad=True)
    tape = record(x * 3.0, np.array([1.0, 10.0]))
    assert tape.values[-1].gradient.tolist() == [1, 10] and tape.values[0].gradient.tolist() == [3, 30]


# -- against the engine --------------------------------------------------------------------------------------------------


@every_graph
def test_gradients_are_those_of_the_engine(name):
    loss = GRAPHS[name]()
    tape = record(loss)
    held = [v for v in tape.values if v.requires_grad and isinstance(v.edge, Tensor)]
    assert held
    for value, g in zip(held, gradients(loss, [v.edge for v in held]), strict=True):
        np.testing.assert_array_equal(value.gradient, g.data)
    kept = [v for v in tape.values if v.kind != "leaf" and v.requires_grad and v.edge.output() is not None]
    for value, g in zip(kept, gradients(loss, [v.edge.output() for v in kept]), strict=True):
        np.testing.assert_array_equal(value.gradient, g.data)


@every_graph
def test_events_add_up_to_the_gradients(name):
    tape = record(GRAPHS[name]())
    totals = {}
    for event in tape.events:
        source, target = tape.values[event.source], tape.values[event.target]
        assert event.target == source.inputs[event.position] and event.source > event.target
        if isinstance(event.upstream, tuple):
            for g, known, like in zip(event.upstream, source.gradient, source.data, strict=True):
                np.testing.assert_array_equal(g, np.zeros_like(like) if known is None else known)
        else:
            np.testing.assert_array_equal(event.upstream, source.gradient)
        assert event.reduced.shape == target.shape and event.reduced.dtype == target.dtype
        summed = event.contribution.sum(axis=event.axes) if event.axes else event.contribution
        np.testing.assert_allclose(summed.reshape(target.shape), event.reduced, rtol=1e-6, atol=1e-6)
        assert event.first == (event.target not in totals)
        totals[event.target] = event.reduced if event.first else totals[event.target] + event.reduced
        np.testing.assert_array_equal(event.total, totals[event.target])
    for value in tape.values[:-1]:
        if value.requires_grad and value.kind != "part" and not any(v.kind == "part" and v.inputs == (value.index,) for v in tape.values):
            np.testing.assert_array_equal(totals[value.index], value.gradient)
    order = [tape.values[event.source].edge.order for event in tape.events]
    assert order == sorted(order, reverse=True)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (x * x + x).sum() / x.mean(),
        lambda x: (mg.unstack(x)[0] * mg.unstack(x)[1]).tanh().sum(),
        lambda x: ((x.sum(0, keepdims=True) - x) ** 2).mean() + x.softmax().log().sum(),
        lambda x: mg.gradients((x**3).sum(), [x], create_graph=True)[0].exp().sum(),
    ],
)
def test_gradients_are_slopes(f):
    x = np.random.default_rng(0).uniform(0.5, 1, (2, 3))
    with mg.default_dtype(np.float64):
        tensor = Tensor(x, requires_grad=True)
        found = record(f(tensor)).value_of(tensor).gradient
        slopes = mg.numerical_gradient(lambda array: f(Tensor(array, requires_grad=True)).item(), x)
    np.testing.assert_allclose(found, slopes, rtol=1e-5)


@every_graph
def test_data_is_that_of_the_forward_pass(name):
    with debug():
        loss = GRAPHS[name]()
    made = {id(value.edge): value.origin.value for value in unwalked(loss).values if value.kind == "operation"}
    for value in _forgotten(unwalked(loss)).values:
        if value.kind == "operation" and value.data is not None:
            for x, y in zip(*(x if isinstance(x, tuple) else (x,) for x in (value.data, made[id(value.edge)])), strict=True):
                np.testing.assert_array_equal(x, y)
                assert x.dtype == y.dtype


def _forgotten(tape):
    """The values of the same graph without what debug() noted."""
    nodes = [value.edge for value in tape.values if isinstance(value.edge, engine.Node)]
    for node in nodes:
        del node.line
    last = tape.values[-1].edge
    return unwalked(last.output() if isinstance(last, engine.Node | engine.Part) else last)


@every_graph
def test_nothing_changes(name):
    loss = GRAPHS[name]()
    before = engine.watch()
    tape = record(loss)
    assert engine.watch(*before) == ()
    assert all(value.edge._grad is None for value in tape.values if isinstance(value.edge, Tensor))
    again = record(loss)
    for first, second in zip(tape.values, again.values, strict=True):
        if first.kind == "leaf":
            np.testing.assert_array_equal(first.gradient, second.gradient)
    loss.backward()
    for value in tape.values:
        if value.kind == "leaf":
            np.testing.assert_array_equal(value.edge.grad, value.gradient)


def test_watchers_and_recording_come_back_after_an_error():
    def failing(x):
        def pullback(g):
            raise ZeroDivisionError("in the pullback")

        return x * 1.0, (pullback,)

    loss = engine.apply(failing, Tensor(1.0, requires_grad=True))
    other = object()
    before = engine.watch(other)
    try:
        with pytest.raises(ZeroDivisionError, match="in the pullback"):
            record(loss)
        assert engine._state.watchers == (other,) and engine._state.recording
    finally:
        engine.watch(*before)


def test_nothing_is_recorded_in_pullbacks():
    seen = []

    def noting(x):
        return x * 1.0, (lambda g: (seen.append(engine._state.recording), g)[1],)

    record(engine.apply(noting, Tensor(1.0, requires_grad=True)))
    assert seen == [False] and engine._state.recording


# -- what the graph dropped ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "constant", "position"),
    [
        (lambda x: x + 0.1, 0.1, 1),
        (lambda x: x - 0.3, 0.3, 1),
        (lambda x: 0.7 - x, 0.7, 0),
        (lambda x: x + np.array([1.5, -2.0], np.float32), [1.5, -2.0], 1),
        (lambda x: np.array([1.0, -np.inf], np.float32) + x, [1.0, -np.inf], 0),
    ],
)
def test_the_constant_of_an_addition_is_found_again(operation, constant, position):
    tape = record((operation(Tensor([1.25, 3.1], requires_grad=True)).exp() * 2).sum())
    (value,) = (v for v in tape.values if v.rule in (rules.add, rules.subtract))
    np.testing.assert_array_equal(dropped_constant(tape, value, position), constant)


def test_a_constant_that_nothing_tells():
    tape = record((Tensor([1.0], requires_grad=True) + 1.0).sum())
    add = only(tape.values, "add")
    assert add.data is None and dropped_constant(tape, add, 1) is None and dropped_constant(tape, tape.values[-1], 0) is None


# -- errors --------------------------------------------------------------------------------------------------------------


def test_what_is_no_tensor_or_has_no_graph_is_an_error():
    with pytest.raises(TypeError, match=r"^record\(\) needs a Tensor, the loss itself, got float\. Pass it before \.item\(\)"):
        record(1.0)
    with pytest.raises(ValueError, match=r"^record\(\) needs a graph, .*got a tensor of shape \(2,\) that doesn't\. Set "):
        record(Tensor([1.0, 2.0]))
    with pytest.raises(RuntimeError, match=r"needs a scalar, got shape \(2,\)"):
        record(leaf(2) * 2.0)


def test_a_freed_graph_is_an_error():
    loss = GRAPHS["mlp"]()
    loss.backward()
    with pytest.raises(RuntimeError, match=r"^record\(\) needs the whole graph, but a backward\(\) has freed a part of it\. Do "):
        record(loss)

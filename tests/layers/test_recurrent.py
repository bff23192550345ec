"""Recurrent cells and layers against a loop in NumPy, and the fused steps against their composition."""

import copy
import gc
import inspect
import math
import sys
import warnings
import weakref

import numpy as np
import pytest

from micrograd_plus import Tensor, concatenate, functional, gradients, layers, no_grad, set_seed
from micrograd_plus.tensor import default_dtype

from ..raising import unreached

KINDS = ["tanh", "relu", "lstm", "gru"]
GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
N, IN, HIDDEN, TIMES = 2, 3, 4, 5


def make(kind, *args, **kwargs):
    """A layer, or with cell=True a cell, of a kind."""
    suffix = "Cell" if kwargs.pop("cell", False) else ""
    if kind in ("lstm", "gru"):
        return getattr(layers, kind.upper() + suffix)(*args, **kwargs)
    return getattr(layers, f"RNN{suffix}")(*args, nonlinearity=kind, **kwargs)


def names(module):
    return [name for name, _ in module.named_parameters()]


# -- by hand -------------------------------------------------------------------------------------------------------------


def logistic(x):
    return 1 / (1 + np.exp(-x))


def step(kind, x, state, w, u, b, d):
    """The next state, one example after the other, one hidden unit after the other."""
    after = [np.empty_like(part) for part in state]
    for n in range(len(x)):
        h = state[0][n]
        of_input, of_state = x[n] @ w + b, h @ u + d
        for k in range(len(h)):
            at = [gate * len(h) + k for gate in range(GATES[kind])]
            p, q = of_input[at], of_state[at]
            if kind == "tanh":
                after[0][n, k] = math.tanh(p[0] + q[0])
            elif kind == "relu":
                after[0][n, k] = max(p[0] + q[0], 0)
            elif kind == "lstm":
                i, f, g, o = p + q
                after[1][n, k] = logistic(f) * state[1][n, k] + logistic(i) * math.tanh(g)
                after[0][n, k] = logistic(o) * math.tanh(after[1][n, k])
            else:
                r, z = logistic(p[0] + q[0]), logistic(p[1] + q[1])
                after[0][n, k] = (1 - z) * math.tanh(p[2] + r * q[2]) + z * h[k]
    return tuple(after)


def by_hand(kind, x, state, arrays, reverse=False):
    """The h of all times, and the last state."""
    w, u, b, d = arrays if len(arrays) == 4 else (*arrays, *np.zeros((2, arrays[0].shape[1])))
    outputs = [None] * len(x)
    for t in reversed(range(len(x))) if reverse else range(len(x)):
        state = step(kind, x[t], state, w, u, b, d)
        outputs[t] = state[0]
    return np.array(outputs), state


def example(kind, bias=True, seed=0):
    """x, a state, and weights, in float64."""
    random = np.random.default_rng(seed)
    shapes = [(IN, GATES[kind] * HIDDEN), (HIDDEN, GATES[kind] * HIDDEN), *[(GATES[kind] * HIDDEN,)] * (2 if bias else 0)]
    x, *state = random.standard_normal((TIMES, N, IN)), *random.standard_normal((2 if kind == "lstm" else 1, N, HIDDEN))
    return x, tuple(state), [random.standard_normal(shape) for shape in shapes]


def leaves(*arrays):
    return [Tensor(array, requires_grad=True, dtype=np.float64) for array in arrays]


def close(found, expected, rtol=1e-10, atol=1e-12):
    np.testing.assert_allclose(found.data if isinstance(found, Tensor) else found, expected, rtol, atol)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_sequence_equals_a_loop_over_its_times_and_units(kind, bias, reverse):
    x, state, arrays = example(kind, bias)
    expected, last = by_hand(kind, x, state, arrays, reverse)
    weights = functional.CellWeights(*leaves(*arrays))
    output, found = functional.recurrent_layer(kind, *leaves(x), tuple(leaves(*state)), weights, reverse=reverse)
    close(output, expected)
    assert len(found) == len(last)
    for part, wanted in zip(found, last, strict=True):
        close(part, wanted)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("absent", [2, 3])
def test_either_bias_may_be_absent_alone(kind, absent):
    x, state, arrays = example(kind)
    arrays[absent] = 0 * arrays[absent]
    given = [None if i == absent else weight for i, weight in enumerate(leaves(*arrays))]
    output, _ = functional.recurrent_layer(kind, *leaves(x), tuple(leaves(*state)), functional.CellWeights(*given))
    close(output, by_hand(kind, x, state, arrays)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_sequence_is_read_forwards_by_default(kind):
    x, state, arrays = example(kind)
    output, _ = functional.recurrent_layer(kind, *leaves(x), tuple(leaves(*state)), functional.CellWeights(*leaves(*arrays)))
    close(output, by_hand(kind, x, state, arrays)[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_is_one_time_of_the_loop(kind, bias):
    x, state, arrays = example(kind, bias)
    found = functional.recurrent_cell(kind, *leaves(x[0]), tuple(leaves(*state)), functional.CellWeights(*leaves(*arrays)))
    expected = by_hand(kind, x[:1], state, arrays)[1]
    assert len(found) == len(expected) == functional.CELLS[kind].states
    for part, wanted in zip(found, expected, strict=True):
        close(part, wanted)


# -- the fused steps, beside the rules that they are made of ---------------------------------------------------------------


def composed(kind, x, state, weights):
    """The same loop with a rule for each operation."""
    w, u, b, d = weights
    outputs = []
    for t in range(len(x)):
        h = state[0]
        p, q = x[t] @ w + b, h @ u + d
        p, q = ([part[..., k * HIDDEN : (k + 1) * HIDDEN] for k in range(GATES[kind])] for part in (p, q))
        if kind == "lstm":
            i, f, g, o = (a + b for a, b in zip(p, q, strict=True))
            c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
            state = o.sigmoid() * c.tanh(), c
        elif kind == "gru":
            r, z = (p[0] + q[0]).sigmoid(), (p[1] + q[1]).sigmoid()
            state = ((1 - z) * (p[2] + r * q[2]).tanh() + z * h,)
        else:
            state = (getattr(p[0] + q[0], kind)(),)
        outputs.append(state[0])
    return outputs, state


@pytest.mark.parametrize("kind", KINDS)
def test_fused_steps_equal_their_composition_to_second_order(kind):
    x, state, arrays = example(kind)
    random = np.random.default_rng(1)
    c, d = random.standard_normal((TIMES, N, HIDDEN)), random.standard_normal((len(state), N, HIDDEN))
    along = [random.standard_normal(array.shape) for array in (x, *state, *arrays)]
    results = []
    for fused in (True, False):
        with default_dtype(np.float64):
            inputs = leaves(x, *state, *arrays)
            before, weights = tuple(inputs[1 : 1 + len(state)]), functional.CellWeights(*inputs[1 + len(state) :])
            function = functional.recurrent_layer if fused else composed
            outputs, last = function(kind, inputs[0], before, weights)
            values = [(outputs[t] * c[t]).sum() for t in range(TIMES)] + [(part * d[k]).sum() for k, part in enumerate(last)]
            slopes = gradients(sum(values), inputs, create_graph=True)
            curvatures = gradients(sum((slope * v).sum() for slope, v in zip(slopes, along, strict=True)), inputs)
        results.append([values, slopes, curvatures])
    for found, expected in zip(*results, strict=True):
        for a, b in zip(found, expected, strict=True):
            close(a, b.data)


@pytest.mark.parametrize(("kind", "rule"), [("lstm", "lstm_cell"), ("gru", "gru_cell"), ("tanh", "tanh"), ("relu", "relu")])
def test_the_input_s_part_of_all_times_is_one_product(kind, rule):
    x, state, arrays = example(kind)
    weights = functional.CellWeights(*leaves(*arrays))
    output, _ = functional.recurrent_layer(kind, *leaves(x), tuple(leaves(*state)), weights)
    nodes = nodes_of(output)
    rules = [node.rule.__name__ for node in nodes]
    products = [node for node in nodes if node.rule.__name__ == "affine"]
    assert sum(node.edges()[1] is weights.weight_ih for node in products) == 1
    assert sum(node.edges()[1] is weights.weight_hh for node in products) == TIMES
    assert len(products) == TIMES + 1
    assert rules.count(rule) == TIMES
    assert rules.count("unstack") == rules.count("stack") == 1
    assert set(rules) == {"add", "affine", rule, "stack", "unstack"} - ({"add"} if kind == "gru" else set())


def nodes_of(*outputs):
    """The operations that results were computed by."""
    found, pending = {}, [output._node for output in outputs]
    while pending:
        node = pending.pop()
        if node is not None and not isinstance(node, Tensor) and id(node) not in found:
            found[id(node)] = node
            pending += node.edges()
    return [node for node in found.values() if hasattr(node, "rule")]


# -- layers --------------------------------------------------------------------------------------------------------------


def weights_of(module, suffix):
    return [getattr(module, name + suffix).data.astype(float) for name in functional.CellWeights._fields if hasattr(module, name + suffix)]


def expected_of(kind, module, x, state):
    """A module's outputs by hand: x (L, N, in), each state (layers * directions, N, hidden)."""
    last, k = [], 0
    for layer in range(module.num_layers):
        outputs = []
        for suffix in ("", "_reverse") if module.bidirectional else ("",):
            arrays = weights_of(module, f"_l{layer}{suffix}")
            output, after = by_hand(kind, x, tuple(part[k] for part in state), arrays, reverse=bool(suffix))
            outputs.append(output)
            last.append(after)
            k += 1
        x = np.concatenate(outputs, -1)
    return x, [np.array(parts) for parts in zip(*last, strict=True)]


def called(kind, module, x, state=None):
    """(output, states as a list) of a module."""
    hx = None if state is None else tuple(state) if kind == "lstm" else state[0]
    output, last = module(x, hx)
    return output, list(last) if kind == "lstm" else [last]


def sequences(random, kind, directions=1, num_layers=1):
    """x and a state, in float64."""
    x = random.standard_normal((TIMES, N, IN))
    return x, random.standard_normal((2 if kind == "lstm" else 1, directions * num_layers, N, HIDDEN))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_a_layer_equals_a_loop_over_layers_directions_and_times(kind, num_layers, bidirectional, bias, given):
    with default_dtype(np.float64):
        module = make(kind, IN, HIDDEN, num_layers, bias=bias, bidirectional=bidirectional, generator=np.random.default_rng(3))
        x, state = sequences(np.random.default_rng(0), kind, 1 + bidirectional, num_layers)
        output, last = called(kind, module, x, state if given else None)
    expected, wanted = expected_of(kind, module, x, state if given else 0 * state)
    close(output, expected)
    assert output.shape == (TIMES, N, (1 + bidirectional) * HIDDEN)
    for part, after in zip(last, wanted, strict=True):
        assert part.shape == ((1 + bidirectional) * num_layers, N, HIDDEN)
        close(part, after)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_batch_first_transposes_input_and_output_and_no_state(kind, bidirectional):
    module = make(kind, IN, HIDDEN, 2, bidirectional=bidirectional)
    twin = make(kind, IN, HIDDEN, 2, bidirectional=bidirectional, batch_first=True)
    twin.load_state_dict(module.state_dict())
    x, state = sequences(np.random.default_rng(0), kind, 1 + bidirectional, 2)
    X, Y = Tensor(x, requires_grad=True), Tensor(x.transpose(1, 0, 2), requires_grad=True)
    (output, last), (swapped, same) = called(kind, module, X, state), called(kind, twin, Y, state)
    np.testing.assert_array_equal(swapped.data, output.data.transpose(1, 0, 2))
    np.testing.assert_array_equal([part.data for part in same], [part.data for part in last])
    g = np.random.default_rng(1).standard_normal(output.shape)
    output.backward(g)
    swapped.backward(g.transpose(1, 0, 2))
    np.testing.assert_array_equal(Y.grad, X.grad.transpose(1, 0, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_are_two_runs_one_over_the_reversed_sequence(kind):
    both, forwards, backwards = make(kind, IN, HIDDEN, bidirectional=True), make(kind, IN, HIDDEN), make(kind, IN, HIDDEN)
    arrays = both.state_dict()
    forwards.load_state_dict({name: arrays[name] for name in names(forwards)})
    backwards.load_state_dict({name: arrays[f"{name}_reverse"] for name in names(backwards)})
    x, state = sequences(np.random.default_rng(0), kind, 2)
    output, last = called(kind, both, x, state)
    one, one_last = called(kind, forwards, x, state[:, :1])
    two, two_last = called(kind, backwards, x[::-1], state[:, 1:])
    np.testing.assert_allclose(output.data, np.concatenate([one.data, two.data[::-1]], -1), rtol=1e-6)
    for part, a, b in zip(last, one_last, two_last, strict=True):
        np.testing.assert_allclose(part.data, np.concatenate([a.data, b.data]), rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_two_layers_are_one_after_the_other(kind):
    both, first, second = make(kind, IN, HIDDEN, 2), make(kind, IN, HIDDEN), make(kind, HIDDEN, HIDDEN)
    arrays = both.state_dict()
    first.load_state_dict({name: arrays[name] for name in names(first)})
    second.load_state_dict({name: arrays[name.replace("_l0", "_l1")] for name in names(second)})
    x, state = sequences(np.random.default_rng(0), kind, 1, 2)
    output, last = called(kind, both, x, state)
    middle, first_last = called(kind, first, x, state[:, :1])
    expected, second_last = called(kind, second, middle, state[:, 1:])
    np.testing.assert_array_equal(output.data, expected.data)
    for part, a, b in zip(last, first_last, second_last, strict=True):
        np.testing.assert_array_equal(part.data, np.concatenate([a.data, b.data]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_one_sequence_needs_no_axis_for_the_batch(kind, batch_first, given):
    module = make(kind, IN, HIDDEN, 2, bidirectional=True, batch_first=batch_first)
    x, state = sequences(np.random.default_rng(0), kind, 2, 2)
    output, last = called(kind, module, x[:, 0], state[:, :, 0] if given else None)
    batch = x[:, :1].transpose(1, 0, 2) if batch_first else x[:, :1]
    expected, wanted = called(kind, module, batch, state[:, :, :1] if given else None)
    assert output.shape == (TIMES, 2 * HIDDEN)
    np.testing.assert_allclose(output.data, expected.data[0] if batch_first else expected.data[:, 0], rtol=1e-5, atol=1e-6)
    for part, after in zip(last, wanted, strict=True):
        assert part.shape == (4, HIDDEN)
        np.testing.assert_allclose(part.data, after.data[:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_over_the_times_gives_what_the_layer_gives(kind):
    module, cell = make(kind, IN, HIDDEN), make(kind, IN, HIDDEN, cell=True)
    cell.load_state_dict({name.removesuffix("_l0"): array for name, array in module.state_dict().items()})
    x, _ = sequences(np.random.default_rng(0), kind)
    output, last = called(kind, module, x)
    hx, outputs = None, []
    for t in range(TIMES):
        hx = cell(x[t], hx)
        outputs.append(hx[0].data if kind == "lstm" else hx.data)
    np.testing.assert_allclose(output.data, outputs, rtol=1e-5, atol=1e-6)
    for part, after in zip(last, hx if kind == "lstm" else [hx], strict=True):
        np.testing.assert_allclose(part.data[0], after.data, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_cell_of_a_module_equals_one_time_by_hand_with_and_without_a_batch(kind, bias):
    with default_dtype(np.float64):
        cell = make(kind, IN, HIDDEN, bias=bias, cell=True)
        x, state, _ = example(kind, seed=4)
        expected = by_hand(kind, x[:1], state, weights_of(cell, ""))[1]
        for lead in (slice(None), 0):
            given = tuple(part[lead] for part in state)
            found = cell(x[0, lead], given if kind == "lstm" else given[0])
            for part, wanted in zip(found if kind == "lstm" else [found], expected, strict=True):
                close(part, wanted[lead])
        expected = by_hand(kind, x[:1], tuple(0 * part for part in state), weights_of(cell, ""))[1]
        found = cell(x[0])
        close(found[0] if kind == "lstm" else found, expected[0])


# -- parameters ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_have_pytorch_s_names_and_order_and_our_shapes(kind):
    module = make(kind, IN, HIDDEN, 2, bidirectional=True)
    suffixes = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    assert names(module) == [name + suffix for suffix in suffixes for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    gates = GATES[kind] * HIDDEN
    for suffix, size in zip(suffixes, [IN, IN, 2 * HIDDEN, 2 * HIDDEN], strict=True):
        found = [array.shape for array in weights_of(module, suffix)]
        assert found == [(size, gates), (HIDDEN, gates), (gates,), (gates,)]
    assert [p.shape for p in make(kind, IN, HIDDEN, 2).parameters()][4] == (HIDDEN, gates)
    assert names(make(kind, IN, HIDDEN, bias=False)) == ["weight_ih_l0", "weight_hh_l0"]
    assert names(make(kind, IN, HIDDEN, cell=True)) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    assert [array.shape for array in weights_of(make(kind, IN, HIDDEN, cell=True), "")] == [
        (IN, gates),
        (HIDDEN, gates),
        (gates,),
        (gates,),
    ]
    assert names(make(kind, IN, HIDDEN, bias=False, cell=True)) == ["weight_ih", "weight_hh"]


@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_parameters_start_uniform_by_the_hidden_size(kind, cell):
    module = make(kind, 40, 25, cell=cell, generator=np.random.default_rng(0))
    for parameter in module.parameters():
        assert parameter.dtype == np.float32
        assert 0.19 < parameter.data.max() <= 0.2 if parameter.ndim > 1 else 0.12 < parameter.data.max() <= 0.2
        assert -0.2 <= parameter.data.min() < -0.12
        assert abs(parameter.data.mean()) < 0.06
    twin = make(kind, 40, 25, cell=cell, generator=np.random.default_rng(0))
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], array)
    set_seed(1)
    first = make(kind, 2, 3, cell=cell).state_dict()
    set_seed(1)
    assert all(np.array_equal(array, first[name]) for name, array in make(kind, 2, 3, cell=cell).state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_deep_copy_computes_the_same_with_parameters_of_its_own(kind):
    module = make(kind, IN, HIDDEN, 2)
    twin, x = copy.deepcopy(module), np.ones((TIMES, N, IN))
    np.testing.assert_array_equal(twin(x)[0].data, module(x)[0].data)
    twin.weight_ih_l0.data[...] = 0
    assert module.weight_ih_l0.data.any()


@pytest.mark.parametrize(
    ("module", "text"),
    [
        (lambda: layers.LSTM(3, 5), "LSTM(3, 5)"),
        (lambda: layers.GRU(3, 5, 2, bias=False, batch_first=True), "GRU(3, 5, num_layers=2, bias=False, batch_first=True)"),
        (lambda: layers.LSTM(3, 5, 2, dropout=0.5, bidirectional=True), "LSTM(3, 5, num_layers=2, dropout=0.5, bidirectional=True)"),
        (lambda: layers.RNN(3, 5, 2, "relu"), "RNN(3, 5, num_layers=2, nonlinearity='relu')"),
        (lambda: layers.RNN(3, 5), "RNN(3, 5)"),
        (lambda: layers.RNNCell(3, 5, False, "relu"), "RNNCell(3, 5, nonlinearity='relu', bias=False)"),
        (lambda: layers.LSTMCell(3, 5), "LSTMCell(3, 5)"),
        (lambda: layers.GRUCell(3, 5, bias=False), "GRUCell(3, 5, bias=False)"),
    ],
)
def test_repr_says_the_sizes_and_what_differs_from_the_defaults(module, text):
    assert repr(module()) == text


def test_arguments_have_pytorch_s_order_and_defaults():
    def arguments(layer):
        parameters = inspect.signature(layer).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty and p.kind is p.POSITIONAL_OR_KEYWORD}

    shared = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
    assert list(arguments(layers.LSTM).items()) == list(arguments(layers.GRU).items()) == list(shared.items())
    plain = {"num_layers": 1, "nonlinearity": "tanh", **{name: value for name, value in shared.items() if name != "num_layers"}}
    assert list(arguments(layers.RNN).items()) == list(plain.items())
    assert arguments(layers.LSTMCell) == arguments(layers.GRUCell) == {"bias": True}
    assert list(arguments(layers.RNNCell).items()) == [("bias", True), ("nonlinearity", "tanh")]


def test_arguments_may_be_given_by_position():
    module = layers.LSTM(3, 5, 2, False, True, 0.25, True)
    settings = module.num_layers, module.bias, module.batch_first, module.dropout, module.bidirectional
    assert settings == (2, False, True, 0.25, True)
    module = layers.RNN(3, 5, 2, "relu", False, True, 0.25, True)
    settings = module.num_layers, module.nonlinearity, module.bias, module.batch_first, module.dropout, module.bidirectional
    assert settings == (2, "relu", False, True, 0.25, True)


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_may_be_one(kind):
    output, last = called(kind, make(kind, 1, 1), np.ones((1, 1, 1)))
    assert output.shape == last[0].shape == (1, 1, 1)
    assert called(kind, make(kind, 1, 1), np.ones((3, 0, 1)))[0].shape == (3, 0, 1)


# -- dropout between layers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_on_the_output_of_each_layer_but_the_last(kind):
    module = make(kind, IN, HIDDEN, 3, dropout=0.5, generator=np.random.default_rng(5))
    x, _ = sequences(np.random.default_rng(0), kind)
    module.generator = np.random.default_rng(6)
    output, last = called(kind, module, x)
    random, expected, wanted = np.random.default_rng(6), x, []
    for layer in range(3):
        if layer:
            expected = expected * (random.random(expected.shape, np.float32) >= 0.5) * 2
        start = tuple(np.zeros((2 if kind == "lstm" else 1, N, HIDDEN)))
        expected, after = by_hand(kind, expected, start, weights_of(module, f"_l{layer}"))
        wanted.append(after[0])
    np.testing.assert_allclose(output.data, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(last[0].data, wanted, rtol=1e-4, atol=1e-5)
    module.eval()
    expected, _ = expected_of(kind, module, x, np.zeros((2 if kind == "lstm" else 1, 3, N, HIDDEN)))
    np.testing.assert_allclose(module(x)[0].data, expected, rtol=1e-4, atol=1e-5)


def test_dropout_follows_the_generator_of_the_layer_or_the_seed():
    x = np.ones((TIMES, N, IN))
    first, second = (layers.GRU(IN, HIDDEN, 2, dropout=0.5, generator=np.random.default_rng(1))(x)[0].data for _ in range(2))
    np.testing.assert_array_equal(first, second)
    module, results = layers.GRU(IN, HIDDEN, 2, dropout=0.5), []
    for _ in range(2):
        set_seed(2)
        results.append(module(x)[0].data)
    np.testing.assert_array_equal(*results)
    assert not np.array_equal(module(x)[0].data, results[0])


@pytest.mark.parametrize("dropout", [0, 1])
def test_dropout_of_nothing_and_of_everything(dropout):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = layers.LSTM(IN, HIDDEN, 2, dropout=dropout)
    x = np.random.default_rng(0).standard_normal((TIMES, N, IN))
    output = module(x)[0].data
    twin = layers.LSTM(HIDDEN, HIDDEN)
    twin.load_state_dict({name.replace("_l1", "_l0"): array for name, array in module.state_dict().items() if "_l1" in name})
    if dropout:
        np.testing.assert_allclose(output, twin(np.zeros((TIMES, N, HIDDEN)))[0].data, rtol=1e-6)
    else:
        np.testing.assert_array_equal(output, module.eval()(x)[0].data)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_dropout_with_one_layer_warns_that_it_drops_nothing(name):
    with pytest.warns(UserWarning) as caught:
        module = getattr(layers, name)(IN, HIDDEN, dropout=0.25)
    assert [str(warning.message) for warning in caught] == [
        f"dropout of {name} acts between layers, so one layer drops nothing, got dropout=0.25. "
        "Set num_layers=2 or more, or put a Dropout behind it."
    ]
    here = test_dropout_with_one_layer_warns_that_it_drops_nothing.__code__.co_filename
    assert [warning.filename for warning in caught] == [here]
    x = np.ones((TIMES, N, IN))
    np.testing.assert_array_equal(module(x)[0].data, module.eval()(x)[0].data)


# -- dtypes, recording, length -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_dtypes_stay(kind, dtype, cell):
    with default_dtype(dtype):
        module = make(kind, IN, HIDDEN, cell=cell)
        x = Tensor(np.ones((N, IN) if cell else (TIMES, N, IN)), requires_grad=True)
    results = module(x)
    if not cell:
        results = (results[0], *(results[1] if kind == "lstm" else results[1:]))
    for part in results if isinstance(results, tuple) else [results]:
        assert part.dtype == dtype
    (results[0] if isinstance(results, tuple) else results).sum().backward()
    assert all(p.grad.dtype == dtype for p in (x, *module.parameters()))


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_lists_and_whole_numbers_are_taken_too(kind):
    module, x = make(kind, 2, HIDDEN), [[[1, 2]], [[3, 4]]]
    expected, wanted = called(kind, module, Tensor(np.float32(x)))
    for given in (x, np.array(x), np.float64(x), Tensor(np.array(x))):
        output, last = called(kind, module, given)
        assert output.dtype == np.float32
        np.testing.assert_array_equal(output.data, expected.data)
        np.testing.assert_array_equal(last[0].data, wanted[0].data)


def test_nothing_is_recorded_within_no_grad_nor_for_frozen_parameters():
    module = layers.LSTM(IN, HIDDEN)
    with no_grad():
        assert not module(np.ones((TIMES, N, IN)))[0].requires_grad
    for parameter in module.parameters():
        parameter.requires_grad = False
    output, (h, c) = module(np.ones((TIMES, N, IN)))
    assert not output.requires_grad
    assert not h.requires_grad
    assert not c.requires_grad


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_first_time_from_any_result(kind):
    module = make(kind, IN, HIDDEN, 2, bidirectional=True)
    for k in range(3 if kind == "lstm" else 2):
        x, state = sequences(np.random.default_rng(0), kind, 2, 2)
        X, states = Tensor(x, requires_grad=True), [Tensor(part, requires_grad=True) for part in state]
        output, last = called(kind, module, X, states)
        [output, *last][k].sum().backward()
        assert (X.grad != 0).any(-1).all()
        assert all((part.grad != 0).any() for part in states)


def test_a_state_carried_on_is_the_same_as_one_long_sequence():
    module = layers.LSTM(IN, HIDDEN, 2)
    x = np.random.default_rng(0).standard_normal((TIMES, N, IN))
    output, (h, c) = module(x)
    first, state = module(x[:2])
    second, (h_n, c_n) = module(x[2:], state)
    np.testing.assert_allclose(concatenate([first, second]).data, output.data, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h_n.data, h.data, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(c_n.data, c.data, rtol=1e-5, atol=1e-6)


# -- long sequences ------------------------------------------------------------------------------------------------------

LONG = 2000


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_sequence_has_a_graph_of_linear_size_and_no_recursion(kind):
    module = make(kind, 1, 2, generator=np.random.default_rng(0))
    x = Tensor(np.random.default_rng(1).standard_normal((LONG, 1, 1)), requires_grad=True)
    depth = len(inspect.stack())
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + 100)
    try:
        output, _ = module(x)
        nodes = nodes_of(output)
        # A slice whose cotangent has the size of the whole would make the backward walk quadratic.
        assert "getitem" not in {node.rule.__name__ for node in nodes}
        assert len(nodes) < 3 * LONG + 10
        del nodes
        output[-1].sum().backward()
        slopes = x.grad
        x.zero_grad()
        del output
        output, _ = module(x)
        output.sum().backward()
    finally:
        sys.setrecursionlimit(limit)
    assert slopes[-1].all()
    assert (x.grad != 0).mean() > 0.3
    assert np.isfinite(module.weight_hh_l0.grad).all()


@pytest.mark.parametrize("walked", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_long_sequence_s_graph_is_freed_without_the_collector(kind, walked):
    module = make(kind, 1, 2, 2, bidirectional=True)
    gc.collect()
    gc.disable()
    try:
        output, last = called(kind, module, np.ones((LONG, 1, 1)))
        loss = (output * output).sum()
        references = [weakref.ref(node) for node in nodes_of(loss, *last)]
        assert len(references) > 8 * LONG
        if walked:
            loss.backward()
        del output, last, loss
        assert not [reference for reference in references if reference() is not None]
        assert gc.collect() == 0
    finally:
        gc.enable()


# -- errors --------------------------------------------------------------------------------------------------------------

X = np.ones((TIMES, N, IN))
H = np.zeros((2, N, HIDDEN))
STATE = "hx of {} must be {}, got {}. Of (output, state), what a layer returns, pass the state."

MESSAGES = [
    (lambda: layers.LSTM(0, 2), ValueError, "input_size of LSTM must be an int of at least 1, got 0."),
    (lambda: layers.GRU(2, -1), ValueError, "hidden_size of GRU must be an int of at least 1, got -1."),
    (lambda: layers.RNN(2, 3, 0), ValueError, "num_layers of RNN must be an int of at least 1, got 0."),
    (lambda: layers.LSTMCell(2, 0), ValueError, "hidden_size of LSTMCell must be an int of at least 1, got 0."),
    (lambda: layers.GRUCell(0, 2), ValueError, "input_size of GRUCell must be an int of at least 1, got 0."),
    (lambda: layers.RNN(2, 3.0), ValueError, "hidden_size of RNN must be an int of at least 1, got 3.0."),
    (lambda: layers.GRU(2, 3, 2, dropout=1.5), ValueError, "dropout of GRU must be in [0, 1], got 1.5."),
    (lambda: layers.RNN(2, 3, dropout=-0.5), ValueError, "dropout of RNN must be in [0, 1], got -0.5."),
    (lambda: layers.RNN(2, 3, nonlinearity="gelu"), ValueError, "nonlinearity of RNN must be 'tanh' or 'relu', got 'gelu'."),
    (lambda: layers.RNNCell(2, 3, nonlinearity="lstm"), ValueError, "nonlinearity of RNNCell must be 'tanh' or 'relu', got 'lstm'."),
    (
        lambda: layers.LSTM(2, 4)(X),
        ValueError,
        "LSTM(2, 4) needs input of shape (L, N, 2), or (L, 2) for one sequence, got (5, 2, 3). Check the layer before it.",
    ),
    (
        lambda: layers.GRU(3, 4, batch_first=True)(X[0, 0]),
        ValueError,
        "GRU(3, 4) needs input of shape (N, L, 3), or (L, 3) for one sequence, got (3,). Check the layer before it.",
    ),
    (
        lambda: layers.RNN(3, 4)(X[None]),
        ValueError,
        "RNN(3, 4) needs input of shape (L, N, 3), or (L, 3) for one sequence, got (1, 5, 2, 3). Check the layer before it.",
    ),
    (
        lambda: layers.RNNCell(3, 4)(X),
        ValueError,
        "RNNCell(3, 4) needs input of shape (N, 3), or (3,), got (5, 2, 3). Check the layer before it.",
    ),
    (
        lambda: layers.LSTMCell(3, 4)(np.ones((2, 5))),
        ValueError,
        "LSTMCell(3, 4) needs input of shape (N, 3), or (3,), got (2, 5). Check the layer before it.",
    ),
    (
        lambda: layers.GRUCell(1, 4)(Tensor(1.0)),
        ValueError,
        "GRUCell(1, 4) needs input of shape (N, 1), or (1,), got (). Check the layer before it.",
    ),
    (
        lambda: layers.LSTM(3, 4)(X[:0]),
        ValueError,
        "LSTM(3, 4) needs sequences of at least one time, got input of shape (0, 2, 3). Leave empty ones out.",
    ),
    (
        lambda: layers.GRU(3, 4, batch_first=True)(X[:, :0]),
        ValueError,
        "GRU(3, 4) needs sequences of at least one time, got input of shape (5, 0, 3). Leave empty ones out.",
    ),
    (
        lambda: layers.GRU(3, 4, batch_first=True)(X[:0, 0]),
        ValueError,
        "GRU(3, 4) needs sequences of at least one time, got input of shape (0, 3). Leave empty ones out.",
    ),
    (
        lambda: layers.GRU(3, 4)(X, H),
        ValueError,
        "h_0 of GRU(3, 4) must have shape (1, 2, 4), that is (num_layers * directions, N, hidden_size), got (2, 2, 4). "
        "Leave hx out to start from zeros.",
    ),
    (
        lambda: layers.LSTM(3, 4, 2)(X, (H, H[:, :1])),
        ValueError,
        "c_0 of LSTM(3, 4) must have shape (2, 2, 4), that is (num_layers * directions, N, hidden_size), got (2, 1, 4). "
        "Leave hx out to start from zeros.",
    ),
    (
        lambda: layers.RNN(3, 4, bidirectional=True, batch_first=True)(X, H),
        ValueError,
        "h_0 of RNN(3, 4) must have shape (2, 5, 4), that is (num_layers * directions, N, hidden_size) even with batch_first, "
        "got (2, 2, 4). Leave hx out to start from zeros.",
    ),
    (
        lambda: layers.RNN(3, 4, batch_first=True)(X[0], H),
        ValueError,
        "h_0 of RNN(3, 4) must have shape (1, 4), that is (num_layers * directions, hidden_size), got (2, 2, 4). "
        "Leave hx out to start from zeros.",
    ),
    (
        lambda: layers.LSTMCell(3, 4)(X[0], (H[0], H)),
        ValueError,
        "c_0 of LSTMCell(3, 4) must have shape (2, 4), that is (N, hidden_size), got (2, 2, 4). Leave hx out to start from zeros.",
    ),
    (
        lambda: layers.GRUCell(3, 4)(X[0, 0], H[0]),
        ValueError,
        "h_0 of GRUCell(3, 4) must have shape (4,), that is (hidden_size,), got (2, 4). Leave hx out to start from zeros.",
    ),
    (lambda: layers.LSTM(3, 4, 2)(X, H), TypeError, STATE.format("LSTM", "a tuple (h_0, c_0)", "ndarray")),
    (lambda: layers.LSTM(3, 4, 2)(X, [H, H]), TypeError, STATE.format("LSTM", "a tuple (h_0, c_0)", "list")),
    (lambda: layers.LSTMCell(3, 4)(X[0], Tensor(H[0])), TypeError, STATE.format("LSTMCell", "a tuple (h_0, c_0)", "Tensor")),
    (lambda: layers.GRU(3, 4, 2)(X, (H, H)), TypeError, STATE.format("GRU", "h_0 alone", "a tuple of ndarray and ndarray")),
    (
        lambda: layers.LSTM(3, 4)(X, layers.LSTM(3, 4)(X)),
        TypeError,
        STATE.format("LSTM", "a tuple (h_0, c_0)", "a tuple of Tensor and tuple"),
    ),
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_message(call, kind, text):
    with pytest.raises(kind) as error:
        call()
    assert type(error.value) is kind
    assert str(error.value) == text


def test_every_error_has_an_entry():
    assert not unreached(layers.recurrent, MESSAGES)
    assert not unreached(functional.recurrent, MESSAGES)

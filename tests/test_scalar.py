"""The scalar engine: micrograd's names and results, its demo, and agreement with the Tensor engine."""

import gc
import inspect
import math
import random

import numpy as np
import pytest

from micrograd_plus import Tensor, scalar


def test_the_example_of_micrograd_s_readme():
    a, b = scalar.Value(-4.0), scalar.Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert f"{g.data:.4f}" == "24.7041"
    assert f"{a.grad:.4f}" == "138.8338"
    assert f"{b.grad:.4f}" == "645.5773"


OPERATIONS = {
    "add": lambda x, y: x + y,
    "add a number": lambda x, y: x + 2 + 0 * y,
    "add to a number": lambda x, y: 2 + x + 0 * y,
    "multiply": lambda x, y: x * y,
    "multiply by a number": lambda x, y: x * 3 + y,
    "number times": lambda x, y: 3 * x + y,
    "subtract": lambda x, y: x - y,
    "subtract a number": lambda x, y: x - 2 + y,
    "subtract from a number": lambda x, y: 2 - x * y,
    "divide": lambda x, y: x / y,
    "divide by a number": lambda x, y: x / 4 + y,
    "number over": lambda x, y: 3 / x + y,
    "negative": lambda x, y: -x * y,
    "power": lambda x, y: x**3 + y**2,
    "inverse power": lambda x, y: x**-2 * y,
    "root": lambda x, y: (x * x) ** 0.5 + y,
    "relu": lambda x, y: (x * y).relu() + (x + y).relu() + (-x).relu() * y,
    "used often": lambda x, y: x * x * x + x * y + y * y * x,
    "all": lambda x, y: ((x - y) ** 2 / (x * x + 1) + (x * y).relu()) * (2 - y) / 3,
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("x", "y"), [(1.5, -0.7), (-2.0, -3.0), (0.3, 4.0)])
def test_values_and_gradients_are_those_of_the_tensor_engine(name, x, y):
    a, b = scalar.Value(x), scalar.Value(y)
    c = OPERATIONS[name](a, b)
    c.backward()
    s, t = (Tensor(value, requires_grad=True, dtype=np.float64) for value in (x, y))
    u = OPERATIONS[name](s, t)
    u.backward()
    np.testing.assert_allclose([c.data, a.grad, b.grad], [u.item(), s.grad, t.grad], rtol=1e-12)


def test_names_of_the_graph():
    a, b = scalar.Value(2.0), scalar.Value(3.0)
    c = a * b
    assert c._prev == (a, b)
    assert [x._op for x in (a, a + b, c, a**2, a.relu())] == ["", "+", "*", "**2", "ReLU"]
    assert a._prev == ()
    assert [x._op for x in (-a)._prev] == ["", ""]
    assert repr(a) == "Value(data=2.0, grad=0.0)"
    assert (a.data, a.grad) == (2.0, 0.0)


def test_the_derivative_of_relu_at_zero_is_zero():
    x = scalar.Value(0.0)
    x.relu().backward()
    assert x.grad == 0


def test_gradients_accumulate_over_backward_calls():
    x = scalar.Value(3.0)
    (x * 2).backward()
    (x * 5).backward()
    assert x.grad == 7


def test_a_second_backward_starts_with_one():
    x = scalar.Value(3.0)
    y = x * x
    y.backward()
    y.backward()
    assert y.grad == 1
    assert x.grad == 12


def test_a_chain_of_100_000_values():
    x = scalar.Value(1.0)
    y = x
    for i in range(50_000):
        y = y + 1e-5 if i % 2 else y * 1.00001
    y = y * 1
    for _ in range(50_000):
        y = y - 1e-5
    y.backward()
    assert x.grad == pytest.approx(1.00001**25_000)
    del y


def test_a_graph_is_freed_without_the_collector():
    class Watched(scalar.Value):
        freed = 0

        def __del__(self):
            Watched.freed += 1

    gc.disable()
    try:
        x = Watched(2.0)
        y = ((x * 3 + 1) / x).relu() ** 2
        y.backward()
        del x, y
        assert Watched.freed == 1
    finally:
        gc.enable()


def test_a_power_needs_a_number():
    with pytest.raises(TypeError) as error:
        scalar.Value(2.0) ** scalar.Value(2.0)
    assert str(error.value) == "a Value's exponent must be a number, got Value."


@pytest.mark.parametrize("length", [1, 3])
def test_a_neuron_needs_as_many_inputs_as_weights(length):
    with pytest.raises(ValueError):
        scalar.Neuron(2)([1.0] * length)
    with pytest.raises(ValueError):
        scalar.MLP(2, [3, 1])([1.0] * length)


@pytest.mark.parametrize("other", ["2", None, [1.0]])
def test_what_is_no_number_is_refused(other):
    with pytest.raises(TypeError):
        scalar.Value(1.0) + other
    with pytest.raises(TypeError):
        other * scalar.Value(1.0)


# -- networks ------------------------------------------------------------------------------------------------------------


def test_a_neuron_is_relu_of_a_weighted_sum():
    neuron = scalar.Neuron(2)
    weights = [w.data for w in scalar.Neuron(2000).w]
    assert -1 <= min(weights) < -0.98
    assert 0.98 < max(weights) <= 1
    assert neuron.b.data == 0
    neuron.w[0].data, neuron.w[1].data, neuron.b.data = 2.0, -1.0, 0.5
    assert neuron([1.0, 3.0]).data == 0
    assert neuron([3.0, 1.0]).data == 5.5
    assert scalar.Neuron(2, nonlin=False).nonlin is False
    neuron.nonlin = False
    assert neuron([1.0, 3.0]).data == -0.5
    assert inspect.signature(scalar.Neuron).parameters["nonlin"].default is True


def test_layers_and_networks_have_micrograd_s_shape():
    random.seed(0)
    model = scalar.MLP(2, [3, 1])
    assert len(model.parameters()) == 3 * 3 + 4
    assert all(isinstance(p, scalar.Value) for p in model.parameters())
    assert isinstance(model([1.0, 2.0]), scalar.Value)
    assert len(scalar.Layer(2, 3)([1.0, 2.0])) == 3
    assert [layer.neurons[0].nonlin for layer in model.layers] == [True, False]
    assert repr(model) == ("MLP of [Layer of [ReLUNeuron(2), ReLUNeuron(2), ReLUNeuron(2)], Layer of [LinearNeuron(3)]]")


def test_zero_grad_of_a_network():
    model = scalar.MLP(2, [2, 1])
    model([1.0, 2.0]).backward()
    model.layers[-1].neurons[0].b.grad += 1
    model.zero_grad()
    assert all(p.grad == 0 for p in model.parameters())
    assert scalar.Module().parameters() == []


def test_a_network_is_that_of_the_tensor_engine():
    random.seed(1)
    model = scalar.MLP(2, [4, 3, 1])
    weights = [
        (
            Tensor([[w.data for w in n.w] for n in layer.neurons], requires_grad=True, dtype=np.float64),
            Tensor([n.b.data for n in layer.neurons], requires_grad=True, dtype=np.float64),
        )
        for layer in model.layers
    ]
    y = model([0.3, -0.8])
    y.backward()
    h = Tensor([0.3, -0.8], dtype=np.float64)
    for i, (w, b) in enumerate(weights):
        h = w @ h + b
        h = h.relu() if i < 2 else h
    h.backward()
    assert y.data == pytest.approx(h.item(), rel=1e-12)
    for (w, b), layer in zip(weights, model.layers, strict=True):
        np.testing.assert_allclose([[v.grad for v in n.w] for n in layer.neurons], w.grad, rtol=1e-10, atol=1e-14)
        np.testing.assert_allclose([n.b.grad for n in layer.neurons], b.grad, rtol=1e-10, atol=1e-14)


def two_moons(count):
    angle = np.pi * np.array([random.random() for _ in range(count)])
    y = np.arange(count) % 2
    X = np.where(y[:, None] == 0, np.stack([np.cos(angle), np.sin(angle)], 1), np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1))
    return X + 0.1 * np.array([[random.gauss(0, 1), random.gauss(0, 1)] for _ in range(count)]), y * 2 - 1


def test_micrograd_s_demo_runs_and_learns():
    np.random.seed(1337)
    random.seed(1337)
    X, y = two_moons(24)
    model = scalar.MLP(2, [16, 16, 1])
    assert len(model.parameters()) == 337

    def loss(batch_size=None):
        if batch_size is None:
            Xb, yb = X, y
        else:
            ri = np.random.permutation(X.shape[0])[:batch_size]
            Xb, yb = X[ri], y[ri]
        inputs = [list(map(scalar.Value, xrow)) for xrow in Xb]
        scores = list(map(model, inputs))
        losses = [(1 + -yi * scorei).relu() for yi, scorei in zip(yb, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        alpha = 1e-4
        reg_loss = alpha * sum(p * p for p in model.parameters())
        total_loss = data_loss + reg_loss
        accuracy = [(yi > 0) == (scorei.data > 0) for yi, scorei in zip(yb, scores, strict=True)]
        return total_loss, sum(accuracy) / len(accuracy)

    history = []
    for k in range(20):
        total_loss, acc = loss()
        model.zero_grad()
        total_loss.backward()
        learning_rate = 1.0 - 0.9 * k / 100
        for p in model.parameters():
            p.data -= learning_rate * p.grad
        history.append(total_loss.data)
    assert history[-1] < 0.5 * history[0]
    assert acc > 0.85
    assert math.isfinite(loss(batch_size=10)[0].data)


def test_the_engine_is_about_a_hundred_lines_of_code():
    code = (
        inspect.getsource(scalar.Value) + inspect.getsource(scalar.Neuron) + inspect.getsource(scalar.Layer) + inspect.getsource(scalar.MLP)
    )
    lines = [line for line in code.splitlines() if line.strip() and not line.strip().startswith(("#", '"""'))]
    assert len(lines) < 120

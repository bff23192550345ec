"""The transforms, compiled: gradients of functions, products with Jacobians and Hessians, recomputation, rules of the user's own."""

import numpy as np
import pytest

import micrograd_plus as mg

from .checks import check_graph, check_native, native

W, X, V = (np.random.default_rng(i).standard_normal((3, 3)) for i in range(3))


def f(w, x):
    return ((w @ x).tanh() * x).sum()


def g(x):
    return mg.stack([(x * x).sum(), x[0] * x[1], x.exp()[2]])


def block(x, w):
    return (x @ w).tanh() @ w


def checkpointed(w, x):
    return mg.value_and_grad(lambda w: mg.checkpoint(block, mg.checkpoint(block, x, w), w).sum())(w)


def indexed(w, i, v):
    """Cotangents that are plain arrays meet indices that are traced."""
    i = getattr(i, "data", i)
    value, slope = mg.value_and_grad(lambda w: (w[i] * w[np.arange(2), i][:, None]).sum() + mg.take(w, i, 1).sum())(w)
    return value, slope, mg.hvp(lambda w: (w[i] ** 2).sum(), (w,), (v,))


@mg.custom_rule
def cube(x):
    return x**3, (lambda g: g * 3 * x**2,)


@mg.custom_rule
def straight_through(x):
    return np.floor(x), (lambda g: g,)


PROGRAMS = {
    "value_and_grad": (lambda w, x: mg.value_and_grad(f, argnums=(0, 1))(w, x), (W, X)),
    "value_and_grad of a dict": (lambda w, x: mg.value_and_grad(lambda p: f(p["w"], p["x"]))({"w": w, "x": x}), (W, X)),
    "grad of grad": (lambda w, x: mg.grad(lambda w: (mg.grad(f)(w, x) ** 2).sum())(w), (W, X)),
    "vjp": (lambda w, x: mg.vjp(block, w, x)[1](w), (W, X)),
    "jvp": (lambda w, x, v: mg.jvp(f, (w, x), (v, v)), (W, X, V)),
    "hvp": (lambda w, x, v: mg.hvp(lambda w: f(w, x), (w,), (v,)), (W, X, V)),
    "hvp through traced indices": (indexed, (W, np.array([2, 0]), V)),
    "jacobian": (lambda x: mg.jacobian(g)(x), (X[0],)),
    "hessian": (lambda x: mg.hessian(lambda x: (x**3).prod() if hasattr(x, "prod") else (x**3).sum() * x[0])(x), (X[0],)),
    "stop_gradient": (lambda w, x: mg.grad(lambda w: f(w, mg.stop_gradient(w) * x))(w), (W, X)),
    "checkpoint": (checkpointed, (W, X)),
    "custom_rule": (lambda x: mg.grad(lambda x: (cube(x) * straight_through(x)).sum())(x), (X,)),
    "custom_rule, twice": (lambda x: mg.grad(lambda x: (mg.grad(lambda x: cube(x).sum())(x) ** 2).sum())(x), (X,)),
}


@pytest.fixture(autouse=True)
def double():
    with mg.default_dtype(np.float64):
        yield


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_graph_of_a_transform(name):
    function, args = PROGRAMS[name]
    check_graph(lambda *arrays: function(*(mg.tensor._wrap(x) for x in arrays)), args, name)


@native
def test_transforms_in_native_code():
    """All in one step."""
    several = list(PROGRAMS.values())
    check_native(
        lambda *given: [function(*args) for (function, _), args in zip(several, given, strict=True)],
        [tuple(mg.Tensor(x) for x in args) for _, args in several],
    )


@native
def test_value_and_grad_of_a_dict_of_parameters():
    model = mg.Sequential(mg.Linear(3, 4), mg.Tanh(), mg.Linear(4, 1))
    names = [name for name, _ in model.named_parameters()]

    def loss(parameters, x):
        w, b, u, c = (parameters[name] for name in names)
        return (((x @ w + b).tanh() @ u + c) ** 2).mean()

    parameters = {name: mg.Tensor(p.data) for name, p in model.named_parameters()}
    check_native(lambda p, x: mg.value_and_grad(loss)(p, x), (parameters, mg.Tensor(X)))


@native
def test_checkpoint_with_dropout_recomputes_the_same_numbers():
    """In a training step, from a seeded generator: the numbers are drawn once, as eagerly."""

    def run(compiling):
        weight = mg.Parameter(W.copy())
        dropout = mg.Dropout(0.5, np.random.default_rng(0))
        optimizer = mg.SGD([weight], lr=0.1)

        def step(x):
            optimizer.zero_grad()
            loss = mg.checkpoint(lambda x: dropout((x @ weight).tanh()), x).sum()
            loss.backward()
            optimizer.step()
            return loss

        step = mg.compile(step, strict=True) if compiling else step
        return [(step(mg.Tensor(X)).item(), weight.data.copy()) for _ in range(6)]

    for (ours, weight), (eager, expected) in zip(run(True), run(False), strict=True):
        assert ours == pytest.approx(eager)
        np.testing.assert_allclose(weight, expected, rtol=1e-12)


def test_gradients_flow_through_a_compiled_function_that_is_part_of_a_graph():
    cubed = mg.compile(lambda x: (x**3).sum(), strict=True)
    x = mg.Tensor([1.0, 2.0])
    for _ in range(6):
        cubed(x)
    np.testing.assert_allclose(mg.grad(cubed)(x).data, [3, 12])
    y = mg.Tensor([1.0, 2.0], requires_grad=True)
    cubed(y * 2).backward()
    np.testing.assert_allclose(y.grad, [24, 96])
    assert not cubed(x).requires_grad

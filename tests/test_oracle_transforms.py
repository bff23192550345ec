"""Transforms beside those of torch.func: values, nested combinations, models, and checkpoint."""

import numpy as np
import pytest

from micrograd_plus import Tensor, default_dtype, layers, nn, no_grad, transforms
from micrograd_plus.tensor import where

torch = pytest.importorskip("torch", reason="PyTorch is not installed: make oracle, or the extra bench, brings it")
pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning"),
]

RNG = np.random.default_rng(12)
X, Y, V, U = (RNG.standard_normal(4) for _ in range(4))
A, B = RNG.standard_normal((4, 4)), RNG.standard_normal((4, 3))
G = RNG.standard_normal((2, 4))


@pytest.fixture(autouse=True)
def in_float64():
    with default_dtype(np.float64):
        yield


def theirs(x):
    if isinstance(x, dict):
        return {key: theirs(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(theirs(item) for item in x)
    return torch.tensor(x)


def ours(x):
    if isinstance(x, dict):
        return {key: ours(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(ours(item) for item in x)
    return Tensor(x)


def same(found, expected, tolerance=1e-10):
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            same(found[key], expected[key], tolerance)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            same(a, b, tolerance)
    else:
        assert found.shape == tuple(expected.shape)
        np.testing.assert_allclose(found.data, expected.detach().numpy(), tolerance, tolerance)


class Ours:
    """The functions that the two libraries name differently, and the transforms."""

    array, where = staticmethod(Tensor), staticmethod(where)
    grad, jacobian, hessian = transforms.grad, transforms.jacobian, transforms.hessian
    vjp, jvp, value_and_grad = transforms.vjp, transforms.jvp, transforms.value_and_grad
    hvp = staticmethod(lambda f, x, v: transforms.hvp(f, (x,), (v,))[0])


class Theirs:
    array, where = staticmethod(torch.tensor), staticmethod(torch.where)
    grad, jacobian, hessian = torch.func.grad, torch.func.jacrev, torch.func.hessian
    vjp, jvp = torch.func.vjp, torch.func.jvp
    value_and_grad = staticmethod(lambda f, argnums=0: lambda *args: torch.func.grad_and_value(f, argnums)(*args)[::-1])
    hvp = staticmethod(lambda f, x, v: torch.func.jvp(torch.func.grad(f), (x,), (v,))[1])


# functions from 4 elements to several, written in what both libraries have
FUNCTIONS = {
    "products": lambda lib, x: (x @ lib.array(A)) * x,
    "matrix": lambda lib, x: (lib.array(A) * x).tanh() @ lib.array(B),
    "exponential": lambda lib, x: (x * x[:1]).exp() / (1 + x**2),
    "softmax": lambda lib, x: x.softmax(-1) * x.sum(),
    "scalar": lambda lib, x: (x.sin() * x.sum()).sum(),
    "branches": lambda lib, x: lib.where(x.detach().data > 0 if lib is Ours else x > 0, x.exp(), x**3).cos(),
    "reshaped": lambda lib, x: (x.reshape(2, 2) @ x.reshape(2, 2)).sigmoid(),
    "roots": lambda lib, x: ((x**2).sum() + 1).sqrt() * (x**2 + 0.1).log(),
}
EVERY = pytest.mark.parametrize("name", FUNCTIONS)


def both(compute, *arguments):
    """compute(lib, *arguments) agrees."""
    same(compute(Ours, *map(ours, arguments)), compute(Theirs, *map(theirs, arguments)))


def scalar(lib, name):
    return lambda x: (FUNCTIONS[name](lib, x) ** 2).sum()


@EVERY
def test_vjp(name):
    random = np.random.default_rng(0)

    def compute(lib, x, g):
        value, pullback = lib.vjp(lambda x: FUNCTIONS[name](lib, x), x)
        return value, pullback(g)

    both(compute, X, random.standard_normal(FUNCTIONS[name](Ours, Tensor(X)).shape))


@EVERY
def test_jvp(name):
    both(lambda lib, x, v: lib.jvp(lambda x: FUNCTIONS[name](lib, x), (x,), (v,)), X, V)


@EVERY
def test_grad_and_value(name):
    both(lambda lib, x: lib.value_and_grad(scalar(lib, name))(x), X)


@EVERY
def test_jacobian(name):
    both(lambda lib, x: lib.jacobian(lambda x: FUNCTIONS[name](lib, x))(x), X)


@EVERY
def test_hessian(name):
    both(lambda lib, x: lib.hessian(scalar(lib, name))(x), X)
    both(lambda lib, x: lib.hessian(lambda x: FUNCTIONS[name](lib, x))(x), X)


@EVERY
def test_hvp(name):
    both(lambda lib, x, v: lib.hvp(scalar(lib, name), x, v), X, V)


@EVERY
def test_nested(name):
    """A penalty on a gradient, along a direction of a Hessian-vector product, with a function that closes over the outer argument."""

    def penalty(lib):
        return lambda y: lambda x: (lib.grad(lambda z: (FUNCTIONS[name](lib, z * y) ** 2).sum())(x) ** 2).sum()

    both(lambda lib, x, y: lib.grad(lambda y: penalty(lib)(y)(x))(y), X, Y)
    both(lambda lib, x, y, v: lib.jvp(lib.grad(lambda y: penalty(lib)(y)(x)), (y,), (v,)), X, Y, V)
    both(lambda lib, x, v: lib.grad(lambda x: lib.jvp(scalar(lib, name), (x,), (v * x,))[1])(x), X, V)
    both(lambda lib, x, v: lib.jacobian(lambda x: lib.hvp(scalar(lib, name), x, v * x))(x), X, V)
    both(lambda lib, x, v: lib.jacobian(lambda v: lib.vjp(scalar(lib, name), x * v)[1](v.sum())[0])(v), X, V)


def test_argnums_and_trees():
    def f(x, p):
        return ((x @ p["w"][0] + p["b"]).tanh() * p["w"][1]).sum()

    arguments = X, {"w": [B, RNG.standard_normal(3)], "b": RNG.standard_normal(3)}
    both(lambda lib, x, p: lib.grad(f, 1)(x, p), *arguments)
    both(lambda lib, x, p: lib.grad(f, (1, 0))(x, p), *arguments)
    both(lambda lib, x, p: lib.jacobian(lambda x, p: {"y": x @ p["w"][0], "z": (p["b"],)}, (0, 1))(x, p), *arguments)
    both(lambda lib, x, p: lib.hessian(f, (0, 1))(x, p), *arguments)


def models():
    """The same network in both, in float64."""
    own = nn.Sequential(layers.Linear(4, 5), layers.Tanh(), layers.LayerNorm(5), layers.Linear(5, 1))
    peer = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.LayerNorm(5), torch.nn.Linear(5, 1)).double()
    with torch.no_grad():
        for p, q in zip(own.parameters(), peer.parameters(), strict=True):
            p.data = RNG.standard_normal(p.shape)
            q.copy_(torch.tensor(p.data.T if p.ndim == 2 else p.data))
    return own, peer


def of_parameters(own, peer):
    for p, q in zip(own.parameters(), peer.parameters(), strict=True):
        grad = np.zeros(tuple(q.shape)) if q.grad is None else q.grad.numpy()
        np.testing.assert_allclose(p.grad, grad.T if p.ndim == 2 else grad, 1e-9, 1e-10)


def test_a_gradient_penalty_on_the_parameters_of_a_model():
    own, peer = models()
    (transforms.grad(lambda x: own(x).sum())(Tensor(G)) ** 2).sum().backward()
    x = torch.tensor(G, requires_grad=True)
    (torch.autograd.grad(peer(x).sum(), x, create_graph=True)[0] ** 2).sum().backward()
    of_parameters(own, peer)


def test_derivatives_of_a_model_with_respect_to_its_input():
    own, peer = models()
    same(transforms.jacobian(own)(Tensor(G)), torch.func.jacrev(peer)(torch.tensor(G)))
    same(transforms.hessian(lambda x: own(x).sum())(Tensor(G)), torch.func.hessian(lambda x: peer(x).sum())(torch.tensor(G)))
    same(transforms.jvp(own, (Tensor(G),), (G[::-1].copy(),)), torch.func.jvp(peer, (torch.tensor(G),), (torch.tensor(G[::-1].copy()),)))


def test_checkpoint_and_its_second_derivative():
    from torch.utils.checkpoint import checkpoint

    own, peer = models()

    def of(model, check, x):
        return check(lambda x: check(model[:2] if model is peer else lambda x: model[1](model[0](x)), x).sin() * x.sum(), x)

    y = of(own, transforms.checkpoint, Tensor(G))
    z = of(peer, lambda f, *args: checkpoint(f, *args, use_reentrant=False), torch.tensor(G))
    same(y, z)
    (y**2).sum().backward()
    (z**2).sum().backward()
    of_parameters(own, peer)
    found = transforms.hessian(lambda x: of(own, transforms.checkpoint, x).sum())(Tensor(G))
    same(found, torch.func.hessian(lambda x: of(peer, lambda f, *args: f(*args), x).sum())(torch.tensor(G)))


def test_within_no_grad_as_torch_func_does():
    """An outer no_grad() does not stop a transform; an inner one does."""
    with torch.no_grad():
        expected = torch.func.grad(lambda x: (x**3).sum())(torch.tensor(X))
    with no_grad():
        found = transforms.grad(lambda x: (x**3).sum())(Tensor(X))
    same(found, expected)

    def stopped(x, no_grad):
        with no_grad():
            y = x**2
        return (x * y).sum()

    same(transforms.grad(lambda x: stopped(x, no_grad))(Tensor(X)), torch.func.grad(lambda x: stopped(x, torch.no_grad))(torch.tensor(X)))

"""NumPy's functions and operators on Tensors: they work and differentiate, compute constants, or raise with advice."""

import numpy as np
import pytest

from micrograd_plus import Tensor, gradients, rules, tensor
from micrograd_plus.rules.primitives import constant, logistic
from micrograd_plus.tensor import apply, default_dtype

X = np.array([[0.5, 1.5, 1.0], [0.25, 0.75, 2.0]])
V = np.array([0.4, 2.0, 3.0])

_functions = {
    "exp": (np.exp, rules.exp),
    "expm1": (np.expm1, rules.expm1),
    "log": (np.log, rules.log),
    "log1p": (np.log1p, rules.log1p),
    "sqrt": (np.sqrt, rules.sqrt),
    "square": (np.square, rules.square),
    "sin": (np.sin, rules.sin),
    "cos": (np.cos, rules.cos),
    "tan": (np.tan, rules.tan),
    "arctan": (np.arctan, rules.arctan),
    "log2": (np.log2, rules.log2),
    "log10": (np.log10, rules.log10),
    "tanh": (np.tanh, rules.tanh),
    "negative": (np.negative, rules.negative),
    "absolute": (np.absolute, rules.absolute),
}


def leaf(array=X):
    return Tensor(array, requires_grad=True, dtype=np.float64)


@pytest.mark.parametrize(("function", "rule"), _functions.values(), ids=_functions)
def test_unary_ufuncs_differentiate(function, rule):
    x = leaf()
    y = function(x)
    assert type(y) is Tensor
    np.testing.assert_array_equal(y.data, function(X))
    y.backward(np.full(X.shape, 3.0))
    np.testing.assert_array_equal(x.grad, rule(X)[1][0](np.full(X.shape, 3.0)))


@pytest.mark.parametrize(
    "function", [np.add, np.subtract, np.multiply, np.divide, np.power, np.maximum, np.minimum], ids=lambda function: function.__name__
)
def test_binary_ufuncs_differentiate_with_tensors_and_arrays_on_either_side(function):
    for left, right in [(leaf(), leaf(V)), (leaf(), V), (X, leaf(V)), (leaf(), 2.0), (2.0, leaf())]:
        y = function(left, right)
        assert type(y) is Tensor
        a, b = (side.data if isinstance(side, Tensor) else side for side in (left, right))
        np.testing.assert_array_equal(y.data, function(a, b))
        y.sum().backward()
        for side in (left, right):
            if isinstance(side, Tensor):
                assert np.any(side.grad != 0)


@pytest.mark.parametrize("operate", [lambda a, t: a + t, lambda a, t: a - t, lambda a, t: a * t, lambda a, t: a / t, lambda a, t: a**t])
def test_an_array_on_the_left_gives_one_tensor_not_an_array_of_tensors(operate):
    t = leaf(V)
    y = operate(V, t)
    assert type(y) is Tensor
    np.testing.assert_array_equal(y.data, operate(V, V))
    y.sum().backward()
    assert t.grad.shape == (3,)


def test_matmul_from_either_side():
    t = leaf()
    for y in (np.matmul(t, V), t @ V, np.matmul(V[:2], t), V[:2] @ t):
        assert type(y) is Tensor
        assert y.requires_grad


def test_augmented_assignment_of_a_tensor_to_an_array_does_not_write_into_it():
    a, t = V.copy(), leaf(V)
    with pytest.raises(TypeError, match=r"out= of np\.add"):
        a += t
    np.testing.assert_array_equal(a, V)


_reductions = {
    "sum": lambda t: np.sum(t, axis=1),
    "mean": lambda t: np.mean(t, axis=0, keepdims=True),
    "max": lambda t: np.max(t, 1),
    "amax": lambda t: np.amax(t),
    "min": lambda t: np.min(t, axis=(0, 1)),
    "amin": lambda t: np.amin(t, 0),
    "var": lambda t: np.var(t, axis=1),
    "std": lambda t: np.std(t),
    "reshape": lambda t: np.reshape(t, (3, 2)),
    "ravel": np.ravel,
    "expand_dims": lambda t: np.expand_dims(t, (0, 2)),
    "squeeze": lambda t: np.squeeze(np.expand_dims(t, 1), axis=1),
    "copy": np.copy,
    "clip": lambda t: np.clip(t, 0.3, 1.2),
    "concatenate": lambda t: np.concatenate([t, X], axis=1),
    "concatenate array first": lambda t: np.concatenate([X, t]),
    "stack": lambda t: np.stack([t, X], axis=-1),
    "unstack": lambda t: np.multiply(*np.unstack(t)),
    "unstack axis": lambda t: np.unstack(t, axis=-1)[1],
    "where": lambda t: np.where(X > 1, t, 0.0),
    "where array first": lambda t: np.where(X > 1, X, t),
    "einsum": lambda t: np.einsum("ij,kj->ik", t, X),
    "einsum optimized": lambda t: np.einsum("ij,j->i", t, V, optimize=True),
    "transpose": np.transpose,
    "transpose axes": lambda t: np.transpose(t, (1, 0)),
    "swapaxes": lambda t: np.swapaxes(t, 0, -1),
    "broadcast_to": lambda t: np.broadcast_to(t, (4, 2, 3)),
    "astype": lambda t: np.astype(t, np.float64),
}


@pytest.mark.parametrize("function", _reductions.values(), ids=_reductions)
def test_array_functions_give_what_numpy_gives_and_differentiate(function):
    x = leaf()
    y = function(x)
    assert type(y) is Tensor
    np.testing.assert_allclose(y.data, function(X), rtol=1e-14)
    g, v = np.random.default_rng(0).standard_normal(y.shape), np.random.default_rng(1).standard_normal(X.shape)
    y.backward(g)
    h = 1e-6
    np.testing.assert_allclose(np.sum(x.grad * v), np.sum(g * (function(X + h * v) - function(X - h * v))) / (2 * h), rtol=1e-6, atol=1e-9)


_constant = [
    *(np.isnan, np.isinf, np.isfinite, np.signbit, np.sign, np.floor, np.ceil, np.trunc, np.rint, np.logical_not),
    *(np.shape, np.ndim, np.size, np.argmax, np.argmin, np.nonzero, np.count_nonzero, np.any, np.all, np.round),
    *(np.zeros_like, np.ones_like, np.result_type),
]
_comparing = [
    *(np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal),
    *(np.logical_and, np.logical_or, np.logical_xor, np.array_equal, np.allclose, np.isclose),
]


@pytest.mark.parametrize("function", _constant, ids=lambda function: function.__name__)
def test_functions_without_a_derivative_just_compute(function):
    found, expected = function(leaf()), function(X)
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("function", _comparing, ids=lambda function: function.__name__)
def test_comparing_functions_give_bools(function):
    for found in (function(leaf(), X), function(X, leaf()), function(leaf(), leaf())):
        assert not isinstance(found, Tensor)
        np.testing.assert_array_equal(found, function(X, X))


def test_a_constant_function_takes_keywords():
    np.testing.assert_array_equal(np.argmax(leaf(), axis=1), [1, 2])
    np.testing.assert_array_equal(np.zeros_like(leaf(), dtype=int), np.zeros((2, 3), int))


def test_numpy_functions_record_for_higher_orders():
    x = leaf(np.array(0.5))
    (slope,) = gradients(np.sin(x) * np.exp(x), [x], create_graph=True)
    (curvature,) = gradients(slope, [x])
    np.testing.assert_allclose(curvature.data, 2 * np.exp(0.5) * np.cos(0.5))


def test_array_functions_of_the_rules_record_theirs_or_compute():
    x = leaf(np.array([0.0]))
    y = logistic(x)
    y.backward()
    np.testing.assert_array_equal(x.grad, [0.25])
    assert constant(x) is x.data


# -- becoming an array ---------------------------------------------------------------------------------------------------


def test_a_tensor_that_needs_no_gradient_becomes_an_array():
    t = Tensor([1.0, 2.0])
    assert type(np.asarray(t)) is np.ndarray
    assert np.asarray(t).dtype == np.float32
    assert np.asarray(t, np.float64).dtype == np.float64
    np.testing.assert_array_equal(t, [1, 2])
    assert np.array([t, t]).shape == (2, 2)


def test_asarray_shares_and_array_copies():
    t = Tensor([1.0, 2.0])
    assert np.shares_memory(np.asarray(t), t.data)
    assert not np.shares_memory(np.array(t), t.data)


def test_a_tensor_that_needs_a_gradient_does_not_become_an_array():
    t = Tensor([1.0, 2.0], requires_grad=True)
    for convert in (np.asarray, np.array, lambda t: np.array([t]), lambda t: np.zeros(2).dot(t)):
        with pytest.raises((RuntimeError, TypeError), match="detach"):
            convert(t)
    np.testing.assert_array_equal(np.asarray(t.detach()), [1, 2])


# -- what rules see on Tensors is what the engine records ----------------------------------------------------------------


@pytest.mark.parametrize("function", sorted(tensor._UFUNCS, key=lambda f: f.__name__), ids=lambda f: f.__name__)
def test_each_ufunc_has_the_rule_of_its_values(function):
    with default_dtype(np.float64):
        arrays = [np.full((2, 2), 0.5), np.full((2, 2), 0.75)][: function.nin]
        np.testing.assert_array_equal(apply(tensor._UFUNCS[function], *arrays).data, function(*arrays))


def test_the_tables_do_not_overlap():
    assert not set(tensor._UFUNCS) & set(tensor._CONSTANT_UFUNCS)
    assert not set(tensor.IMPLEMENTATIONS) & set(tensor._CONSTANT_FUNCTIONS)


def test_a_function_can_be_marked_as_what_numpys_does_on_tensors():
    before = dict(tensor.IMPLEMENTATIONS)

    def cumprod(x, axis=None):
        return f"of {x.shape} along {axis}"

    try:
        assert tensor.implements(np.cumprod)(cumprod) is cumprod
        assert np.cumprod(tensor.Tensor([1.0, 2.0]), axis=0) == "of (2,) along 0"
        np.testing.assert_array_equal(np.cumprod(np.array([1.0, 2.0])), [1.0, 2.0])
    finally:
        tensor.IMPLEMENTATIONS.clear()
        tensor.IMPLEMENTATIONS.update(before)

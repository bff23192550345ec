"""Every rule against its entry in the table."""

import inspect
import itertools
import math
from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest

from micrograd_plus import rules, tensor

from .checks import check_dtype, check_engine, check_kink, check_pullbacks, check_second_order, check_value, differentiable
from .table import KINKS, TABLE


def named(cases):
    """Parameters of a test: the rule's name, and which of its cases."""
    return [pytest.param(name, case, id=f"{name}-{i}") for name, several in cases for i, case in enumerate(several)]


every_case = pytest.mark.parametrize(("name", "case"), named((name, entry.cases) for name, entry in TABLE.items()))


def all_rules():
    modules = [import_module(f"micrograd_plus.rules.{module.name}") for module in iter_modules(rules.__path__)]
    return {
        name: function
        for module in modules
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__annotations__.get("return") is rules.Pulled and not name.startswith("_")
    }


def test_every_rule_is_exported_and_has_an_entry():
    found = all_rules()
    assert len(found) > 40
    assert set(found) == set(TABLE)
    assert set(found) <= set(rules.__all__)


def test_every_entry_has_several_cases_with_a_gradient():
    few = [name for name, entry in TABLE.items() if sum(bool(differentiable(case, entry.constants)) for case in entry.cases) < 2]
    assert not few


@every_case
def test_value(name, case):
    check_value(getattr(rules, name), TABLE[name].formula, case)


@every_case
def test_pullbacks(name, case):
    check_pullbacks(getattr(rules, name), case, TABLE[name].constants)


@every_case
def test_float32_stays_float32(name, case):
    check_dtype(getattr(rules, name), case, TABLE[name].constants)


@every_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_through_the_engine(name, case, dtype):
    check_engine(tensor, getattr(rules, name), case, TABLE[name].constants, dtype)


@every_case
def test_second_order_by_replay(name, case):
    check_second_order(tensor, getattr(rules, name), case, TABLE[name].constants)


@pytest.mark.parametrize(("name", "kink"), named(KINKS.items()))
def test_convention_at_ties_and_limits(name, kink):
    check_kink(getattr(rules, name), kink)


# -- higher orders -------------------------------------------------------------------------------------------------------

_density = 1 / math.sqrt(2 * math.pi)


@pytest.mark.parametrize(
    ("name", "derivatives_at_0"),
    [
        ("sigmoid", [1 / 2, 1 / 4, 0, -1 / 8, 0]),
        ("tanh", [0, 1, 0, -2, 0]),
        ("softplus", [math.log(2), 1 / 2, 1 / 4, 0, -1 / 8]),
        ("silu", [0, 1 / 2, 1 / 2, 0, -1 / 2]),
        ("phi", [1 / 2, _density, 0, -_density, 0]),
        ("gelu", [0, 1 / 2, 2 * _density, 0, -4 * _density]),
        ("exp", [1, 1, 1, 1, 1]),
        ("expm1", [0, 1, 1, 1, 1]),
        ("log1p", [0, 1, -1, 2, -6]),
        ("sin", [0, 1, 0, -1, 0]),
        ("cos", [1, 0, -1, 0, 1]),
        ("square", [0, 0, 2, 0, 0]),
        ("relu", [0, 0, 0, 0, 0]),
    ],
)
def test_derivatives_to_fourth_order_at_0(name, derivatives_at_0):
    with tensor.default_dtype(np.float64):
        x = tensor.Tensor(0.0, requires_grad=True)
        y = tensor.apply(getattr(rules, name), x)
        found = [y.item()]
        for _ in range(4):
            if y.requires_grad:
                (y,) = tensor.gradients(y, [x], create_graph=True)
            else:  # the last one was constant
                y = tensor.zeros(())
            found.append(y.item())
    np.testing.assert_allclose(found, derivatives_at_0, atol=1e-12)


@pytest.mark.parametrize("exponent", [2, 3, 2.0])
def test_derivatives_of_a_power_at_0(exponent):
    x = tensor.Tensor([0.0, 2.0], requires_grad=True)
    (slope,) = tensor.gradients((x**exponent).sum(), [x], create_graph=True)
    (curvature,) = tensor.gradients(slope.sum(), [x])
    np.testing.assert_allclose(curvature.data, exponent * (exponent - 1) * np.array([0.0, 2.0]) ** (exponent - 2))


# -- precision and stability ---------------------------------------------------------------------------------------------


def test_logistic_keeps_its_relative_precision_in_both_tails():
    x = np.array([-700.0, -100.0, -20.0, -1.0, 0.0, 1.0, 40.0, 800.0])
    expected = [math.exp(v) / (1 + math.exp(v)) if v < 0 else 1 / (1 + math.exp(-v)) for v in x]
    np.testing.assert_allclose(rules.sigmoid(x)[0], expected, rtol=1e-15)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 2e-14)])
def test_normal_distribution_keeps_its_relative_precision_in_both_tails(dtype, rtol):
    x = np.linspace(-8, 8, 321).astype(dtype)
    expected = [0.5 * math.erfc(-float(v) / math.sqrt(2)) for v in x]
    np.testing.assert_allclose(rules.phi(x)[0], expected, rtol=rtol)


def test_softplus_and_elu_neither_overflow_nor_underflow_early():
    x = np.array([-1000.0, -30.0, 30.0, 1000.0])
    np.testing.assert_allclose(rules.softplus(x)[0], [0, math.exp(-30), 30, 1000], rtol=1e-12)
    np.testing.assert_allclose(rules.elu(np.array([-1e-12, 1e4]), alpha=1.0)[0], [-1e-12, 1e4], rtol=1e-11)


def test_softmax_and_its_logarithm_at_extreme_logits():
    x = np.array([[1e4, 0.0, -1e4], [3e38, 3e38, 3e38]], np.float32)
    np.testing.assert_allclose(rules.softmax(x)[0], [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_allclose(rules.log_softmax(x)[0], [[0, -1e4, -2e4], [-math.log(3)] * 3], rtol=1e-6)


def test_cross_entropy_at_extreme_logits():
    value, _ = rules.cross_entropy(np.array([[1e4, 0.0], [1e4, 0.0]]), np.array([0, 1]), np.ones(2))
    np.testing.assert_array_equal(value, [0, 1e4])


def test_binary_cross_entropy_bounds_its_logarithms():
    p, t = np.array([0.0, 1.0, 0.0, 1.0, 5e-324]), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    np.testing.assert_array_equal(rules.binary_cross_entropy(p, t)[0], [0, 0, 100, 100, 100])


def test_statistics_of_many_float32_elements_are_right_in_any_order_of_memory():
    for order in itertools.permutations(range(4)):
        x = (np.random.default_rng(0).standard_normal((64, 4, 28, 28)) * 2 + 1).astype(np.float32)
        x = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
        (_, mean, var), _ = rules.standardize(x, axis=(0, 2, 3), eps=1e-5)
        np.testing.assert_allclose(mean, x.astype(np.float64).mean((0, 2, 3), keepdims=True), rtol=1e-6)
        np.testing.assert_allclose(var, x.astype(np.float64).var((0, 2, 3), keepdims=True), rtol=1e-6)


def test_standardized_values_have_mean_zero_and_variance_one_also_far_from_zero():
    (y, _, _), _ = rules.standardize(1e6 + np.random.default_rng(0).standard_normal((64, 3)), axis=0, eps=0)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(y.var(0), 1, rtol=1e-9)


def test_mean_over_no_elements_is_nan():
    assert math.isnan(rules.mean(np.empty((0,)))[0])

"""What is right passes, however ill-conditioned; what is wrong by little fails, whatever the rule and the shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from micrograd_plus import Tensor, apply, gradcheck, layers, losses, rules

from ..rules.checks import differentiable
from ..rules.table import TABLE

RNG = np.random.default_rng(3)
CASES = [pytest.param(name, i, id=f"{name}-{i}") for name, entry in TABLE.items() for i in range(len(entry.cases))]
FIRST = [name for name, entry in TABLE.items() if differentiable(entry.cases[0], entry.constants)]


def checked(rule, name, number, order=1):
    """The check of a rule, as a function of its differentiable inputs, for one case of the table."""
    entry = TABLE[name]
    case = entry.cases[number]
    positions = differentiable(case, entry.constants)

    def f(*tensors):
        inputs = list(case.inputs)
        for i, x in zip(positions, tensors, strict=True):
            inputs[i] = x
        return apply(rule, *inputs, **case.options)

    return gradcheck.gradient_check(f, tuple(case.inputs[i] for i in positions), order=order)


@pytest.mark.parametrize(("name", "number"), CASES)
def test_every_rule_passes(name, number):
    result = checked(getattr(rules, name), name, number, order=1 if number else 2)
    assert result, result
    assert result.max_error < 1e-6
    assert not result.kinks
    assert "differences" not in result.diagnosis


def times(factor, name):
    """The rule with its first pullback multiplied."""

    def wrong(*inputs, **options):
        value, pullbacks = getattr(rules, name)(*inputs, **options)
        first = differentiable(TABLE[name].cases[0], TABLE[name].constants)[0]
        return value, tuple((lambda g, p=p: p(g) * factor) if i == first else p for i, p in enumerate(pullbacks))

    return wrong


@pytest.mark.parametrize("name", FIRST)
def test_an_error_of_a_thousandth_is_seen_in_every_rule(name):
    assert not checked(times(1.001, name), name, 0)


@pytest.mark.parametrize("name", FIRST[::4])
def test_a_wrong_sign_is_named_whatever_the_rule(name):
    result = checked(times(-1, name), name, 0)
    assert not result
    assert "Likely a wrong sign: analytic = -numerical there." in result.diagnosis
    assert "does not fit the value of wrong." in result.diagnosis


def deep_net(t):
    for _ in range(60):
        t = t.tanh() * 1.1 + t * 0.01
    return t.sum()


def fixed_point(t):
    """After 50 steps, what is left of the gradient is 1e-15, of terms of size 10."""
    for _ in range(50):
        t = (t * 1.5).sin() + t
    return t.sum()


TAME = {
    "large numbers": (lambda t: (t * t).sum(), RNG.normal(size=5) * 1e8),
    "huge numbers": (lambda t: (t * t).sum(), RNG.normal(size=5) * 1e140),
    "small numbers": (lambda t: (t * t).sum() * 1e10, RNG.normal(size=5) * 1e-8),
    "tiny numbers": (lambda t: (t * t).sum(), RNG.normal(size=5) * 1e-150),
    "numbers of all sizes": (lambda t: (t**3).sum(), np.array([1e-6, 1e6, 1.0])),
    "a tiny value": (lambda t: (t.sin() * 1e-200).sum(), RNG.normal(size=5)),
    "tiny gradients": (lambda t: (t.sin() * 1e-12).mean(), RNG.normal(size=50)),
    "matrices of opposite sizes": (lambda a, b: (a @ b).sum(), (RNG.normal(size=(3, 3)) * 1e9, RNG.normal(size=(3, 2)) * 1e-9)),
    "exp": (lambda t: t.exp().sum(), np.array([-700.0, -20.0, 0.0, 20.0, 300.0])),
    "steep exp": (lambda t: (t * 50).exp(), np.array([-7.0, -2.0, 0.0, 2.0, 3.0])),
    "1/x": (lambda t: 1 / t, np.array([1e-3, 1.0, -1e-3])),
    "1/x nearer to 0": (lambda t: 1 / t, np.array([1e-6, 1.0])),
    "1/x at 1e-12": (lambda t: (1 / t).sum(), np.array([1e-12])),
    "log and sqrt near 0": (lambda t: (t.log() + t.sqrt()).sum(), np.array([1e-9, 1e-3, 1.0])),
    "powers": (lambda t: t**10.5, np.array([1e-3, 1.0, 20.0])),
    "a deep network": (deep_net, RNG.normal(size=4)),
    "a fast sine": (lambda t: (t * 1e5).sin(), RNG.normal(size=4)),
    "saturated": (lambda t: t.sigmoid().log().sum(), np.array([-300.0, -30.0, 0.0, 30.0])),
    "far from 0": (lambda t: ((t - t.mean()) ** 2).mean().log(), 1e6 + RNG.normal(size=8)),
    "normalised, of small variance": (lambda t: (t - t.mean()) / (t.var() + 1e-5).sqrt(), 1e3 + 1e-3 * RNG.normal(size=8)),
    "float32": (lambda t: (t.tanh() * t).sum(), RNG.normal(size=4).astype(np.float32)),
    "a wide network": (
        lambda x, w, v: ((x @ w).relu() @ v).relu().sum(),
        (RNG.normal(size=(16, 20)), RNG.normal(size=(20, 100)), RNG.normal(size=(100, 5))),
    ),
    "a hinge nearby": (lambda t: t.relu(), np.array([1e-3, -1e-3, 1e-6, -1e-6])),
    "a tie nearby": (lambda t: t.max(), np.array([1.0, 1 + 1e-7, 1 - 1e-4])),
    "probabilities near 0 and 1": (lambda p: losses.BCELoss()(p, np.array([0.0, 1, 1, 0])), np.array([1e-7, 1 - 1e-7, 0.5, 0.3])),
}
NOTHING_LEFT = {
    "a sum of probabilities": lambda t: t.softmax().sum(),
    "a sum of probabilities, less 1": lambda t: t.softmax().sum() - 1,
    "a sum of centred numbers": lambda t: (t - t.mean()).sum(),
    "a sum of normalised numbers": lambda t: (layers.LayerNorm(t.size)(t) * 1e3).sum(),
    "batch norm, summed": lambda t: layers.BatchNorm(2)(t.reshape(-1, 2)).sum(),
    "sin^2 + cos^2": lambda t: (t.sin() ** 2 + t.cos() ** 2).sum() - t.size,
    "log of exp": lambda t: (t.exp().log() - t).sum(),
    "thrice, less three times": lambda t: (t * 3 - t - t - t).sum(),
    "a fixed point": fixed_point,
    "a certain class": lambda t: losses.CrossEntropyLoss()(t.reshape(2, -1) * 3 + np.array([[90, 0, 0], [0, 40, 0]]), [0, 1]),
}
COARSE = {
    "a distance of 1e8": lambda t: ((t + 1e8) - 1e8).sum(),
    "a distance of 1e12": lambda t: ((t + 1e12) - 1e12).sum(),
    "a curve at a distance of 1e12": lambda t: ((t.sin() + 1e12) - 1e12).sum(),
    "a distance of 1e15": lambda t: ((t + 1e15) - 1e15).sum(),
    "a result in float32": lambda t: (t.tanh() * t).astype(np.float32).sum(),
}


@pytest.mark.parametrize("name", TAME)
def test_what_is_right_passes_in_both_orders(name):
    result = gradcheck.gradient_check(*TAME[name], order=2)
    assert result, result
    assert result.max_error < 2e-6


@pytest.mark.parametrize("name", NOTHING_LEFT)
def test_a_gradient_of_roundings_alone_passes(name):
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=6)
        assert gradcheck.gradient_check(NOTHING_LEFT[name], x, order=2)


@pytest.mark.parametrize("name", COARSE)
def test_where_differences_are_coarse_what_is_right_passes_and_that_is_said(name):
    result = gradcheck.gradient_check(COARSE[name], RNG.normal(size=4))
    assert result, result
    assert "For argument 0, differences " in result.diagnosis
    assert result.diagnosis.endswith(": they may not see an error.")


def test_a_gradient_that_should_be_nothing_and_is_not_is_seen():
    def wrong(t):
        return np.array(1.0), (lambda g: g * np.full(t.shape, 1e-6),)

    assert not gradcheck.gradient_check(lambda t: apply(wrong, t).sum(), RNG.normal(size=4))


@given(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), st.integers(0, 2**32 - 1), st.sampled_from([1, 2]))
@settings(max_examples=30)
def test_any_shape_passes_and_a_planted_factor_is_named(shape, seed, order):
    x = np.random.default_rng(seed).uniform(0.5, 2, shape)
    assert gradcheck.gradient_check(lambda t: (t.exp() * t.T.sum() + t.log().tanh()).flatten(), x, order=order)

    def wrong(x):
        return np.sin(x), (lambda g: -g * np.cos(x),)

    result = gradcheck.gradient_check(lambda t: apply(wrong, t * t.sum()), x)
    assert bool(result) == (x.size == 0)
    assert x.size == 0 or "wrong" in result.diagnosis


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=1, max_dims=3, max_side=3), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_any_shapes_that_broadcast_pass(broadcast, seed):
    random = np.random.default_rng(seed)
    a, b = (random.uniform(0.5, 2, shape) for shape in broadcast.input_shapes)
    assert gradcheck.gradient_check(lambda a, b: a * b.log() - Tensor(a.data) / b, (a, b)) == (False, pytest.approx(0, abs=10))
    assert gradcheck.gradient_check(lambda a, b: a * b.log() - a / b, (a, b), order=2)

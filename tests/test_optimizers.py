"""Update rules, schedules and clipping against loops written in NumPy in float64."""

import inspect
import math
import re

import numpy as np
import pytest

from micrograd_plus import Tensor, optimizers

STEPS = 60
RNG = np.random.default_rng(2)
START = RNG.normal(size=(3, 4))
GRADIENTS = RNG.normal(size=(STEPS, 3, 4))


def sgd(p, grads, lr=0.01, momentum=0.0, weight_decay=0.0, nesterov=False):
    v = np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p
        v = momentum * v + g
        p = p - lr * (g + momentum * v if nesterov else v)
    return p


def adam(p, grads, lr=0.001, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for t, g in enumerate(grads, 1):
        if decoupled:
            p = p - lr * weight_decay * p
        else:
            g = g + weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        p = p - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return p


def adamw(p, grads, weight_decay=0.01, **settings):
    return adam(p, grads, weight_decay=weight_decay, decoupled=True, **settings)


def rmsprop(p, grads, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
    v, b = np.zeros_like(p), np.zeros_like(p)
    for g in grads:
        g = g + weight_decay * p
        v = alpha * v + (1 - alpha) * g * g
        b = momentum * b + g / (np.sqrt(v) + eps)
        p = p - lr * b
    return p


def adagrad(p, grads, lr=0.01, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10):
    s = np.full_like(p, initial_accumulator_value)
    for t, g in enumerate(grads):
        g = g + weight_decay * p
        s = s + g * g
        p = p - lr / (1 + t * lr_decay) * g / (np.sqrt(s) + eps)
    return p


FORMULAS = {"SGD": sgd, "Adam": adam, "AdamW": adamw, "RMSprop": rmsprop, "Adagrad": adagrad}

SETTINGS = [
    ("SGD", {}),
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.8}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "nesterov": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.3, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.7)}),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.0), "eps": 0.5}),
    ("Adam", {"lr": 0.1, "eps": 0.5}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.3}),
    ("AdamW", {}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.1, "betas": (0.5, 0.7), "eps": 0.5, "weight_decay": 0.3}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.0}),
    ("RMSprop", {}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.6}),
    ("RMSprop", {"lr": 0.1, "eps": 0.5}),
    ("RMSprop", {"lr": 0.1, "weight_decay": 0.3}),
    ("RMSprop", {"lr": 0.1, "momentum": 0.8}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.6, "eps": 0.5, "weight_decay": 0.3, "momentum": 0.8}),
    ("Adagrad", {}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.2}),
    ("Adagrad", {"lr": 0.1, "weight_decay": 0.3, "initial_accumulator_value": 0.5}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "weight_decay": 0.3, "initial_accumulator_value": 0.1, "eps": 0.5}),
]


def trained(optimizer, p, grads):
    for g in grads:
        p.grad = g
        optimizer.step()
    return p.data


def parameter(value=START, dtype=np.float64):
    return Tensor(value, requires_grad=True, dtype=dtype)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
@pytest.mark.parametrize("steps", [1, STEPS])
def test_update_rule(name, settings, steps):
    p = parameter()
    result = trained(getattr(optimizers, name)([p], **settings), p, GRADIENTS[:steps])
    np.testing.assert_allclose(result, FORMULAS[name](START, GRADIENTS[:steps], **settings), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_update_rule_in_float32(name, settings):
    p = parameter(dtype=np.float32)
    result = trained(getattr(optimizers, name)([p], **settings), p, GRADIENTS)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, FORMULAS[name](START, GRADIENTS, **settings), rtol=1e-4, atol=2e-5)


def test_defaults_are_those_of_the_contract():
    def defaults(name):
        return {k: p.default for k, p in inspect.signature(getattr(optimizers, name)).parameters.items() if k != "params"}

    assert defaults("SGD") == {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0, "nesterov": False}
    assert defaults("Adam") == {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
    assert defaults("AdamW") == {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}
    assert defaults("RMSprop") == {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0}
    assert defaults("Adagrad") == {"lr": 0.01, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10}
    assert inspect.signature(optimizers.StepLR).parameters["gamma"].default == 0.1
    assert inspect.signature(optimizers.CosineAnnealingLR).parameters["eta_min"].default == 0


EVERY = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad"]


@pytest.mark.parametrize("name", EVERY)
def test_a_large_parameter_is_updated_like_a_small_one(name):
    start, grads = RNG.normal(size=100_000), RNG.normal(size=(3, 100_000))
    p = parameter(start)
    settings = {"lr": 0.1, "weight_decay": 0.1, **({"momentum": 0.9} if name in ("SGD", "RMSprop") else {})}
    result = trained(getattr(optimizers, name)([p], **settings), p, grads)
    np.testing.assert_allclose(result, FORMULAS[name](start, grads, **settings), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", EVERY)
def test_the_data_stays_the_same_array(name):
    p = parameter()
    held = p.data
    trained(getattr(optimizers, name)([p], lr=0.1), p, GRADIENTS[:3])
    assert p.data is held
    assert not np.array_equal(held, START)


@pytest.mark.parametrize("name", EVERY)
def test_data_and_gradients_of_any_layout(name):
    p = parameter()
    p.data = np.asfortranarray(START)
    held = p.data
    grads = [np.asfortranarray(g) for g in GRADIENTS[:5]]
    settings = {"lr": 0.1, "weight_decay": 0.1}
    trained(getattr(optimizers, name)([p], **settings), p, grads)
    assert p.data is held
    np.testing.assert_allclose(held, FORMULAS[name](START, GRADIENTS[:5], **settings), rtol=1e-9)
    strided = parameter()
    strided.data = np.repeat(START, 2, axis=1)[:, ::2]
    assert not strided.data.flags.c_contiguous
    trained(getattr(optimizers, name)([strided], **settings), strided, grads)
    np.testing.assert_allclose(strided.data, held, rtol=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_the_gradient_is_not_changed_by_a_step(name):
    p = parameter()
    p.grad = GRADIENTS[0]
    getattr(optimizers, name)([p], lr=0.1, weight_decay=0.5).step()
    np.testing.assert_array_equal(p.grad, GRADIENTS[0])


@pytest.mark.parametrize("name", EVERY)
def test_a_parameter_without_a_gradient_is_skipped(name):
    with_gradient, without = parameter(), parameter()
    optimizer = getattr(optimizers, name)([without, with_gradient], lr=0.1, weight_decay=0.5)
    trained(optimizer, with_gradient, GRADIENTS[:3])
    np.testing.assert_array_equal(without.data, START)
    assert not np.array_equal(with_gradient.data, START)
    trained(optimizer, without, GRADIENTS[:1])  # its own first step, though the other has taken three
    np.testing.assert_allclose(without.data, FORMULAS[name](START, GRADIENTS[:1], lr=0.1, weight_decay=0.5), rtol=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_after_zero_grad_a_step_changes_nothing_and_gradients_read_as_zeros(name):
    p = parameter()
    optimizer = getattr(optimizers, name)([p], lr=0.1)
    trained(optimizer, p, GRADIENTS[:3])
    before = p.data.copy()
    optimizer.zero_grad()
    np.testing.assert_array_equal(p.grad, np.zeros_like(START))
    optimizer.step()
    np.testing.assert_array_equal(p.data, before)


def test_reading_the_gradient_stores_nothing():
    p = parameter()
    p.grad[...] = 1
    optimizers.SGD([p], lr=0.1).step()
    np.testing.assert_array_equal(p.data, START)


def test_zeros_assigned_by_hand_are_a_gradient():
    p = parameter()
    optimizer = optimizers.SGD([p], lr=0.1, momentum=0.5)
    trained(optimizer, p, [GRADIENTS[0], np.zeros_like(START)])
    np.testing.assert_allclose(p.data, START - 0.1 * 1.5 * GRADIENTS[0])


def test_a_frozen_parameter_is_skipped_though_it_has_a_gradient():
    p = parameter()
    p.grad = GRADIENTS[0]
    p.requires_grad = False
    optimizers.SGD([p], lr=0.1).step()
    np.testing.assert_array_equal(p.data, START)


def test_gradients_of_a_backward_walk_are_used():
    p = parameter([1.0, 2.0])
    (p * Tensor([3.0, 4.0])).sum().backward()
    optimizers.SGD([p], lr=0.5).step()
    np.testing.assert_allclose(p.data, [-0.5, 0.0])


# -- groups and learning rates -------------------------------------------------------------------------------------------


def test_groups_have_settings_of_their_own():
    first, second = parameter(), parameter()
    optimizer = optimizers.SGD([{"params": [first], "lr": 0.5}, {"params": [second], "weight_decay": 0.3}], lr=0.1)
    first.grad = second.grad = GRADIENTS[0]
    optimizer.step()
    np.testing.assert_allclose(first.data, sgd(START, GRADIENTS[:1], lr=0.5))
    np.testing.assert_allclose(second.data, sgd(START, GRADIENTS[:1], lr=0.1, weight_decay=0.3))
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.1]
    assert optimizer.param_groups[0]["params"] == [first]


@pytest.mark.parametrize("params", [len, 3])
def test_parameters_must_be_listed(params):
    with pytest.raises(TypeError, match=r"parameters must be Tensors in a list, got \w+\. Call model\.parameters\(\)\."):
        optimizers.SGD(params)


def test_a_group_may_hold_one_tensor_and_the_parameters_may_be_any_iterable():
    p, q = parameter(), parameter()
    assert optimizers.SGD([{"params": p}]).param_groups[0]["params"] == [p]
    assert optimizers.SGD({"params": [p, q]}).param_groups[0]["params"] == [p, q]
    assert optimizers.SGD(p).param_groups[0]["params"] == [p]
    assert optimizers.SGD(t for t in (p, q)).param_groups[0]["params"] == [p, q]


def test_settings_of_a_group_may_be_changed_between_steps():
    p = parameter()
    optimizer = optimizers.SGD([p], lr=0.1)
    trained(optimizer, p, GRADIENTS[:1])
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.param_groups[0]["weight_decay"] = 0.2
    after = p.data.copy()
    trained(optimizer, p, GRADIENTS[1:2])
    np.testing.assert_allclose(p.data, sgd(after, GRADIENTS[1:2], lr=0.5, weight_decay=0.2))


@pytest.mark.parametrize("name", ["SGD", "RMSprop"])
def test_momentum_may_be_turned_on_between_steps(name):
    p = parameter()
    optimizer = getattr(optimizers, name)([p], lr=0.1)
    trained(optimizer, p, GRADIENTS[:1])
    optimizer.param_groups[0]["momentum"] = 0.9
    trained(optimizer, p, GRADIENTS[1:3])
    assert np.isfinite(p.data).all()
    if name == "SGD":
        after = sgd(START, GRADIENTS[:1], lr=0.1)
        np.testing.assert_allclose(p.data, sgd(after, GRADIENTS[1:3], lr=0.1, momentum=0.9))


@pytest.mark.parametrize("kind", [tuple, list])
def test_betas_may_be_changed_between_steps(kind):
    """The moments then go on as they are, though they are kept without their factors; also those of a parameter that was skipped."""
    steady, skipping = parameter(), parameter()
    optimizer = optimizers.Adam([steady, skipping], lr=0.1)
    expected = {p: [START, np.zeros_like(START), np.zeros_like(START), 0] for p in (steady, skipping)}
    for t, g in enumerate(GRADIENTS[:12]):
        beta1, beta2 = 0.9 - 0.05 * (t % 5), 0.99 - 0.1 * (t // 6)
        optimizer.param_groups[0]["betas"] = kind([beta1, beta2])
        for p in (steady, skipping):
            p.grad = g if p is steady or t % 3 else None
            if p._grad is not None:
                value, m, v, count = expected[p]
                m, v, count = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g, count + 1
                value = value - 0.1 * (m / (1 - beta1**count)) / (np.sqrt(v / (1 - beta2**count)) + 1e-8)
                expected[p] = [value, m, v, count]
        optimizer.step()
    for p, (value, m, v, count) in expected.items():
        np.testing.assert_allclose(p.data, value, rtol=1e-9)
        np.testing.assert_allclose(optimizer.state[p]["m"] * (1 - beta1), m, rtol=1e-9)
        np.testing.assert_allclose(optimizer.state[p]["v"] * (1 - beta2), v, rtol=1e-9)
        assert (optimizer.state[p]["step"], optimizer.state[p]["betas"]) == (count, (beta1, beta2))


def test_moments_stay_the_same_arrays_when_betas_change():
    p = parameter(dtype=np.float32)
    optimizer = optimizers.Adam([p])
    trained(optimizer, p, GRADIENTS[:1])
    m, v = optimizer.state[p]["m"], optimizer.state[p]["v"]
    optimizer.param_groups[0]["betas"] = (0.5, 0.5)
    trained(optimizer, p, GRADIENTS[1:2])
    assert optimizer.state[p]["m"] is m
    assert optimizer.state[p]["v"] is v
    assert m.dtype == v.dtype == np.float32


def test_lr_is_that_of_the_first_group_and_sets_all():
    p, q = parameter(), parameter()
    optimizer = optimizers.Adam([{"params": [p], "lr": 0.5}, {"params": [q]}])
    assert optimizer.lr == 0.5
    optimizer.lr = 0.25
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.25]
    trained(optimizer, p, GRADIENTS[:2])
    np.testing.assert_allclose(p.data, adam(START, GRADIENTS[:2], lr=0.25))


@pytest.mark.parametrize("name", EVERY)
def test_changing_the_learning_rate_between_steps(name):
    p = parameter()
    optimizer = getattr(optimizers, name)([p], lr=0.1)
    trained(optimizer, p, GRADIENTS[:1])
    optimizer.lr = 0.0
    before = p.data.copy()
    trained(optimizer, p, GRADIENTS[1:2])
    np.testing.assert_array_equal(p.data, before)


def test_each_optimizer_keeps_its_own_state():
    p, q = parameter(), parameter()
    one, two = optimizers.Adam([p]), optimizers.Adam([q])
    trained(one, p, GRADIENTS[:5])
    trained(two, q, GRADIENTS[:5])
    np.testing.assert_array_equal(p.data, q.data)


# -- clipping ------------------------------------------------------------------------------------------------------------


def test_clip_grad_norm_scales_all_gradients_by_one_factor():
    p, q, without = parameter(np.zeros(2)), parameter(np.zeros((1, 1))), parameter(np.zeros(3))
    p.grad, q.grad = np.array([3.0, 4.0]), np.array([[12.0]])
    assert optimizers.clip_grad_norm([p, q, without], 2.0) == pytest.approx(13.0)
    factor = 2 / (13 + 1e-6)
    np.testing.assert_allclose(p.grad, np.array([3, 4]) * factor, rtol=1e-12)
    np.testing.assert_allclose(q.grad, [[12 * factor]], rtol=1e-12)
    optimizers.SGD([without], lr=1.0).step()
    np.testing.assert_array_equal(without.data, np.zeros(3))


def test_clip_grad_norm_guards_against_a_tiny_norm_as_pytorch_does():
    p = parameter(np.zeros(1))
    p.grad = np.array([1e-6])
    assert optimizers.clip_grad_norm([p], 1e-6) == pytest.approx(1e-6)
    np.testing.assert_allclose(p.grad, [0.5e-6])


@pytest.mark.parametrize("max_norm", [5.1, 100.0, math.inf])
def test_clip_grad_norm_leaves_smaller_gradients(max_norm):
    p = parameter(np.zeros(2), np.float32)
    p.grad = np.array([3.0, 4.0])
    norm = optimizers.clip_grad_norm(p, max_norm)
    assert type(norm) is float
    assert norm == 5.0
    np.testing.assert_array_equal(p.grad, [3, 4])
    assert p.grad.dtype == np.float32


def test_clip_grad_norm_of_nothing_is_zero():
    assert optimizers.clip_grad_norm([], 1.0) == 0
    assert optimizers.clip_grad_norm([parameter()], 1.0) == 0


def test_clip_grad_norm_of_large_float32_gradients_does_not_overflow():
    p = parameter(np.zeros(2), np.float32)
    p.grad = np.float32([1e18, 1e18])
    assert optimizers.clip_grad_norm((t for t in [p]), 1.0) == pytest.approx(math.sqrt(2) * 1e18)
    np.testing.assert_allclose(p.grad, [math.sqrt(0.5)] * 2, rtol=1e-5)
    p.grad = np.float32([1e25, 0])
    assert optimizers.clip_grad_norm([p], 1.0) == pytest.approx(1e25)
    np.testing.assert_allclose(p.grad, [1, 0], rtol=1e-5)


def test_clip_grad_value_limits_each_element():
    p = parameter(np.zeros(4))
    p.grad = np.array([-3.0, -0.5, 0.5, 3.0])
    held = p.grad
    assert optimizers.clip_grad_value([p, parameter()], 1.0) is None
    assert p.grad is held
    np.testing.assert_array_equal(held, [-1, -0.5, 0.5, 1])


# -- schedules -----------------------------------------------------------------------------------------------------------


def rates(schedule, steps=30):
    found = []
    for _ in range(steps):
        found.append(schedule.optimizer.lr)
        schedule.step()
    return found


def sgd_at(lr):
    return optimizers.SGD([parameter()], lr=lr)


SCHEDULES = {
    "StepLR": (lambda o: optimizers.StepLR(o, 4, gamma=0.5), lambda t: 0.8 * 0.5 ** (t // 4)),
    "StepLR, defaults": (lambda o: optimizers.StepLR(o, step_size=1), lambda t: 0.8 * 0.1**t),
    "ExponentialLR": (lambda o: optimizers.ExponentialLR(o, 0.9), lambda t: 0.8 * 0.9**t),
    "CosineAnnealingLR": (
        lambda o: optimizers.CosineAnnealingLR(o, 20, eta_min=0.2),
        lambda t: 0.2 + 0.3 * (1 + math.cos(math.pi * t / 20)) if t <= 20 else 0.2,
    ),
    "CosineAnnealingLR, to zero": (
        lambda o: optimizers.CosineAnnealingLR(o, T_max=30),
        lambda t: 0.4 * (1 + math.cos(math.pi * t / 30)),
    ),
    "LinearWarmup": (lambda o: optimizers.LinearWarmup(o, 5), lambda t: 0.8 * min((t + 1) / 5, 1)),
    "PolynomialLR": (lambda o: optimizers.PolynomialLR(o, 20, power=2.0), lambda t: 0.8 * (1 - min(t, 20) / 20) ** 2),
    "PolynomialLR, defaults": (lambda o: optimizers.PolynomialLR(o), lambda t: 0.8 * max(1 - t / 5, 0)),
    "PolynomialLR, of one step": (lambda o: optimizers.PolynomialLR(o, 1), lambda t: 0.0 if t else 0.8),
    "LambdaLR": (lambda o: optimizers.LambdaLR(o, lambda t: 1 / (1 + t)), lambda t: 0.8 / (1 + t)),
    "CosineAnnealingLR, of one step": (lambda o: optimizers.CosineAnnealingLR(o, 1), lambda t: 0.0 if t else 0.8),
    "LinearWarmup, of one step": (lambda o: optimizers.LinearWarmup(o, 1), lambda t: 0.8),
    "LinearWarmup, then another": (
        lambda o: optimizers.LinearWarmup(o, 2, optimizers.LinearWarmup(o, 4)),
        lambda t: 0.8 * (t + 1) / 2 if t < 2 else 0.8 * min((t - 1) / 4, 1),
    ),
    "LinearWarmup, then StepLR": (
        lambda o: optimizers.LinearWarmup(o, 5, optimizers.StepLR(o, 3, 0.5)),
        lambda t: 0.8 * (t + 1) / 5 if t < 5 else 0.8 * 0.5 ** ((t - 5) // 3),
    ),
    "LinearWarmup, then CosineAnnealingLR": (
        lambda o: optimizers.LinearWarmup(o, warmup_steps=4, after=optimizers.CosineAnnealingLR(o, 10)),
        lambda t: 0.8 * (t + 1) / 4 if t < 4 else 0.4 * (1 + math.cos(math.pi * min(t - 4, 10) / 10)),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_over_30_steps(name):
    make, formula = SCHEDULES[name]
    np.testing.assert_allclose(rates(make(sgd_at(0.8))), [formula(t) for t in range(30)], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_multiplies_each_group_s_own_rate(name):
    make, formula = SCHEDULES[name]
    optimizer = optimizers.SGD([{"params": [parameter()], "lr": 0.8}, {"params": [parameter()], "lr": 0.8}])
    twin = make(optimizer)
    for t in range(1, 8):
        twin.step()
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([formula(t)] * 2)
    assert twin.steps == 7


def test_a_schedule_starts_each_group_from_its_own_rate():
    optimizer = optimizers.SGD([{"params": [parameter()], "lr": 0.8}, {"params": [parameter()], "lr": 0.2}])
    schedule = optimizers.ExponentialLR(optimizer, 0.5)
    schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == [0.4, 0.1]
    assert schedule.initial_lrs == [0.8, 0.2]


def test_a_group_that_the_schedule_does_not_know_is_not_passed_over():
    optimizer = sgd_at(0.8)
    schedule = optimizers.ExponentialLR(optimizer, 0.5)
    optimizer.add_param_group({"params": [parameter()], "lr": 0.2})
    text = (
        "the optimizer must have the 1 groups that it had when the schedule was made, it has 2. Make the schedule after add_param_group()."
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        schedule.step()


def test_cosine_annealing_stays_at_its_end():
    schedule = optimizers.CosineAnnealingLR(sgd_at(1.0), 3, eta_min=0.25)
    assert rates(schedule, 10)[3:] == pytest.approx([0.25] * 7)


def test_a_step_uses_the_rate_that_the_schedule_set():
    p = parameter()
    optimizer = optimizers.SGD([p], lr=1.0)
    schedule = optimizers.StepLR(optimizer, 1, 0.5)
    expected = START
    for t, g in enumerate(GRADIENTS[:4]):
        trained(optimizer, p, [g])
        expected = expected - 0.5**t * g
        schedule.step()
    np.testing.assert_allclose(p.data, expected)

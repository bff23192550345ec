"""The checks of gradients: they pass what is right, find what is planted, and change nothing."""

import re

import numpy as np
import pytest

from micrograd_plus import Tensor, apply, gradcheck, layers, losses, nn, randn, rules, set_seed
from micrograd_plus.effects import default_generator

RNG = np.random.default_rng(5)


def wrong_square(x):
    """x * x with the derivative of x * x / 2."""
    return x * x, (lambda g: g * x,)


def wrong_in_one_element(x):
    """x * x with a wrong derivative at the last element."""
    return x * x, (lambda g: g * 2 * x * np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, 1.5, 1),)


def half_a_percent_more(x):
    """x * x with a derivative that is larger by a two-hundredth."""
    return x * x, (lambda g: g * 2.01 * x,)


# -- numerical_gradient --------------------------------------------------------------------------------------------------


def test_numerical_gradient_of_a_function_of_arrays():
    x = RNG.normal(size=(2, 3))
    found = gradcheck.numerical_gradient(lambda a: (a**3).sum(), x)
    np.testing.assert_allclose(found, 3 * x**2, rtol=1e-8, atol=1e-9)
    assert found.dtype == np.float64


@pytest.mark.parametrize("x", [np.float32([1, 2]), np.array([1, 2]), [1, 2], Tensor([1.0, 2.0], requires_grad=True)])
def test_numerical_gradient_works_in_float64_whatever_it_is_given(x):
    dtypes = set()

    def f(a):
        t = Tensor(a)
        dtypes.update([a.dtype, t.dtype, (t * 2.0).dtype, randn(1).dtype])
        return (t**2).sum()

    np.testing.assert_allclose(gradcheck.numerical_gradient(f, x), [2, 4], rtol=1e-9)
    assert dtypes == {np.dtype(np.float64)}
    assert Tensor([1.0]).dtype == np.float32


def test_numerical_gradient_at_a_number_and_with_another_step():
    assert gradcheck.numerical_gradient(lambda a: float(a) ** 2, 3.0) == pytest.approx(6)
    coarse = gradcheck.numerical_gradient(lambda a: (a**3).sum(), np.array([1.0]), eps=0.1)
    np.testing.assert_allclose(coarse, [3 + 0.1**2])


def test_numerical_gradient_leaves_its_argument():
    x = np.array([1.0, 2.0])
    x.flags.writeable = False
    seen = []
    gradcheck.numerical_gradient(lambda a: seen.append(a.copy()) or a.sum(), x, eps=0.5)
    np.testing.assert_array_equal(seen, [[1.5, 2], [0.5, 2], [1, 2.5], [1, 1.5]])


# -- gradient_check ------------------------------------------------------------------------------------------------------


def test_a_right_gradient_passes_and_the_result_unpacks():
    result = gradcheck.gradient_check(lambda t: (t.tanh() * t).sum(), RNG.normal(size=(3, 2)))
    passed, max_error = result
    assert passed is True
    assert type(max_error) is float
    assert 0 < max_error < 1e-8
    assert (result.passed, result.max_error, result.mismatches, result.kinks) == (True, max_error, [], [])
    assert bool(result)
    assert result.diagnosis == f"all 6 elements agree, the worst to {max_error:.2g}."
    assert repr(result) == f"GradientCheck(passed=True, max_error={max_error:.2g}): {result.diagnosis}"


def test_a_wrong_gradient_fails_and_the_diagnosis_says_where():
    result = gradcheck.gradient_check(lambda t: apply(wrong_in_one_element, t).sum(), [[1.0, 2.0], [3.0, 4.0]])
    passed, max_error = result
    assert not passed
    assert not result
    assert max_error == pytest.approx(4 / 12)
    assert len(result.mismatches) == 1
    worst = result.mismatches[0]
    assert (worst.name, worst.position, worst.kink) == ("argument 0", (1, 1), None)
    assert (worst.analytic, worst.numerical, worst.error) == (pytest.approx(12), pytest.approx(8), max_error)
    assert result.diagnosis == (
        "1 of 4 elements of argument 0 disagrees, at index (1, 1): analytic 12, numerical 8, relative error 0.33. "
        "It fits no known bug; what agrees: (0, 0), (0, 1), (1, 0). "
        "The pullback of wrong_in_one_element does not fit the value of wrong_in_one_element."
    )
    assert repr(result) == f"GradientCheck(passed=False, max_error=0.33): {result.diagnosis}"


def test_mismatches_come_worst_first():
    def wrong(x):
        return x * x, (lambda g: g * 2 * x * np.array([1.1, 1.5, 1.0, 1.2]),)

    result = gradcheck.gradient_check(lambda t: apply(wrong, t).sum(), [0.1, 5.0, 1.0, 0.3])
    assert [element.position for element in result.mismatches] == [(1,), (3,), (0,)]
    assert "3 of 4 elements of argument 0 disagree ((0,), (1,), (3,)), the worst at index (1,): analytic 15" in result.diagnosis


@pytest.mark.parametrize("size", [1e-10, 1e-5, 1.0, 1e5, 1e100])
def test_an_error_is_relative_at_any_size(size):
    result = gradcheck.gradient_check(lambda t: (apply(wrong_square, t) * size).sum(), [0.5, 2.0])
    assert not result
    assert result.max_error == pytest.approx(0.5)
    result = gradcheck.gradient_check(lambda t: apply(wrong_square, t).sum(), [0.5 * size, 2.0 * size])
    assert not result
    assert result.max_error == pytest.approx(0.5, rel=1e-3)


def test_the_tolerance_decides():
    def f(t):
        return apply(wrong_square, t).sum()

    assert not gradcheck.gradient_check(f, [0.01])
    assert not gradcheck.gradient_check(f, [0.01], tolerance=0.49)
    assert gradcheck.gradient_check(f, [0.01], tolerance=0.51)
    assert not gradcheck.gradient_check(lambda t: apply(half_a_percent_more, t).sum(), [1.0, 2.0], tolerance=4e-3)
    assert gradcheck.gradient_check(lambda t: apply(half_a_percent_more, t).sum(), [1.0, 2.0], tolerance=6e-3)
    assert gradcheck.TOLERANCE == 1e-5


def test_functions_of_several_arguments():
    result = gradcheck.gradient_check(lambda a, b: (a @ b).sum(), (RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2))))
    assert result.passed
    assert "all 12 elements agree" in result.diagnosis
    wrong = gradcheck.gradient_check(lambda a, b: (a * apply(wrong_square, b)).sum(), (np.ones(2), np.full(2, 3.0)))
    assert {element.name for element in wrong.mismatches} == {"argument 1"}
    both = gradcheck.gradient_check(lambda a, b: (apply(wrong_square, a) * apply(half_a_percent_more, b)).sum(), (np.ones(2), np.ones(2)))
    assert [element.name for element in both.mismatches] == ["argument 0"] * 2 + ["argument 1"] * 2
    assert both.max_error == pytest.approx(0.5)
    assert "2 of 2 elements of argument 0 disagree" in both.diagnosis
    assert "2 of 2 elements of argument 1 disagree" in both.diagnosis


def test_functions_of_several_results_are_checked_along_a_random_direction():
    assert gradcheck.gradient_check(lambda t: t * t, RNG.normal(size=4))
    assert not gradcheck.gradient_check(lambda t: apply(wrong_square, t), RNG.normal(size=4))
    assert gradcheck.gradient_check(lambda t: (t * t).sum().reshape(1, 1), RNG.normal(size=4))
    assert gradcheck.gradient_check(lambda t: (t * t, t.exp().sum()), RNG.normal(size=4))
    assert not gradcheck.gradient_check(lambda t: (t * t, apply(wrong_square, t).sum()), RNG.normal(size=4))
    assert not gradcheck.gradient_check(lambda t: (apply(wrong_square, t).sum(), t.sum()), RNG.normal(size=4))


def test_a_transpose_is_seen_that_ones_cannot_see():
    def wrong(x):
        return x.T, (lambda g: g,)

    assert not gradcheck.gradient_check(lambda t: apply(wrong, t), RNG.normal(size=(3, 3)))


def test_a_bug_that_random_numbers_of_one_sign_would_hide_is_seen():
    """The errors of the two elements add up to nothing along (1, 1)."""

    def wrong(x):
        return x * 1.0, (lambda g: g + np.array([0.1, -0.1]),)

    assert not gradcheck.gradient_check(lambda t: apply(wrong, t).sum(), [1.0, 2.0])


def test_a_function_that_draws_is_checked_with_the_same_numbers_and_the_generator_goes_back():
    set_seed(0)
    before = default_generator().bit_generator.state
    dropout = layers.Dropout(0.5)
    assert gradcheck.gradient_check(lambda t: dropout(t).sum() + (randn(4) * t).sum(), RNG.normal(size=4), order=2)
    assert default_generator().bit_generator.state == before


@pytest.mark.parametrize("x", [[1, 2], 3, np.float32([1, 2]), Tensor([1.0, 2.0])])
def test_points_in_any_dtype(x):
    seen = set()

    def f(t):
        seen.add(t.dtype)
        return (t**3).sum()

    assert gradcheck.gradient_check(f, x).max_error < 1e-9
    assert seen == {np.dtype(np.float64)}
    assert Tensor([1.0]).dtype == np.float32


def test_the_point_stays():
    x = RNG.normal(size=(2, 2))
    before = x.copy()
    gradcheck.gradient_check(lambda t: apply(wrong_square, t), x)
    np.testing.assert_array_equal(x, before)


def test_a_function_of_nothing_and_an_empty_argument():
    assert gradcheck.gradient_check(lambda t: Tensor(3.0), [1.0])
    assert gradcheck.gradient_check(lambda t: Tensor(3.0), [1.0], order=2)
    assert gradcheck.gradient_check(lambda t: (t * t).sum(), np.zeros((0, 2))) == (True, 0.0)
    assert gradcheck.gradient_check(lambda: Tensor(3.0), ()) == (True, 0.0)


def test_a_failing_function_leaves_the_generator_and_the_default_dtype():
    set_seed(0)
    before = default_generator().bit_generator.state

    def f(t):
        randn(3)
        raise KeyError("a failing function")

    with pytest.raises(KeyError):
        gradcheck.gradient_check(f, [1.0])
    assert default_generator().bit_generator.state == before
    assert Tensor([1.0]).dtype == np.float32


# -- cost ----------------------------------------------------------------------------------------------------------------


def evaluations(f, *arguments, **options):
    count = [0]

    def counted(*tensors):
        count[0] += 1
        return f(*tensors)

    return gradcheck.gradient_check(counted, arguments, **options), count[0]


def test_a_right_gradient_costs_a_few_evaluations_whatever_its_size():
    for size in (1, 10, 10_000):
        result, count = evaluations(lambda a, b: (a * b).tanh().sum(), RNG.normal(size=size), RNG.normal(size=size))
        assert result
        assert count <= 3 + 2 * 12


def test_one_wrong_element_of_many_is_found_by_halving():
    def wrong(x):
        return x * 1.0, (lambda g: np.where(np.arange(x.size).reshape(x.shape) == 4321, 3.0, 1.0) * g,)

    result, count = evaluations(lambda t: apply(wrong, t).sum(), RNG.normal(size=(100, 100)))
    assert [element.position for element in result.mismatches] == [(43, 21)]
    assert count < 2000
    assert result.diagnosis.startswith(
        "1 of 78 elements of argument 0 disagrees, at index (43, 21): analytic 3, numerical 1, relative error 0.67 "
        "(78 of its 10000 were looked at). "
    )


def test_a_small_gradient_is_seen_beside_large_ones():
    def wrong(x):
        return x * np.array([1e6, 1.0, 1e-1]), (lambda g: g * np.array([1e6, 1.0, 1.1e-1]),)

    result = gradcheck.gradient_check(lambda t: apply(wrong, t).sum(), [1.0, 2.0, 3.0])
    assert [element.position for element in result.mismatches] == [(2,)]


# -- kinks ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "x", "kinks"),
    [
        (lambda t: t.relu(), [0.0, 1.0], {(0,): (0, 1, 0)}),
        (lambda t: (-t).relu(), [0.0, 1.0], {(0,): (-1, 0, 0)}),
        (lambda t: t.abs(), [1.0, 0.0], {(1,): (-1, 1, 0)}),
        (lambda t: -t.abs(), [1.0, 0.0], {(1,): (1, -1, 0)}),
        (lambda t: t.clip(-1.0, 1.0), [-1.0, 0.0, 1.0], {(0,): (0, 1, 1), (2,): (1, 0, 1)}),
        (lambda t: t.max(), [2.0, 2.0, 1.0], {(0,): (0, 1, 0.5), (1,): (0, 1, 0.5)}),
        (lambda t: t.leaky_relu(0.25), 0.0, {(): (0.25, 1, 0.25)}),
        (lambda t: (t * 3 - 6).abs(), [2.0], {(0,): (-3, 3, 0)}),
        (lambda t: t.abs(), np.zeros(4), {(i,): (-1, 1, 0) for i in range(4)}),
        (lambda t: t.relu(), np.zeros((20, 20)), None),
    ],
)
def test_a_kink_passes_with_any_slope_from_left_to_right_and_is_reported(f, x, kinks):
    result = gradcheck.gradient_check(lambda t: f(t).sum(), x)
    assert result
    assert result.max_error < 1e-8
    if kinks is None:
        assert len(result.kinks) == 100
        assert "96 more kinks." in result.diagnosis
        return
    assert {k.position: (*k.kink, k.analytic) for k in result.kinks} == {place: pytest.approx(v) for place, v in kinks.items()}
    for place, (left, right, analytic) in kinks.items():
        told = f"A kink at index {place} of argument 0: the slope is {left} to the left and {right} to the right, analytic {analytic} "
        assert told + "lies between." in result.diagnosis
    assert "more kinks" not in result.diagnosis


@pytest.mark.parametrize("slope", [-0.5, 1.5, 2.0])
def test_at_a_kink_another_slope_fails(slope):
    def wrong(x):
        return np.maximum(x, 0), (lambda g: g * np.where(x == 0, slope, x > 0),)

    result = gradcheck.gradient_check(lambda t: apply(wrong, t).sum(), [1.0, 0.0, -1.0, 0.0])
    assert not result
    assert [element.position for element in result.mismatches] == [(1,), (3,)]
    assert result.max_error == pytest.approx(min(abs(slope), abs(slope - 1)) / max(abs(slope), 0.5))
    assert result.diagnosis.endswith(
        f"A kink at index (3,) of argument 0: the slope is 0 to the left and 1 to the right, analytic {slope:.6g} does not lie between."
    )
    assert "Likely" not in result.diagnosis


def test_wrong_kinks_are_told_first():
    def wrong(x):
        return np.abs(x), (lambda g: g * np.where(np.arange(6) == 5, 3, np.sign(x)),)

    result = gradcheck.gradient_check(lambda t: apply(wrong, t).sum(), np.zeros(6))
    assert result.diagnosis.startswith(
        "1 of 6 elements of argument 0 disagrees, at index (5,): analytic 3, numerical 0, relative error 0.67. A kink at index (5,)"
    )
    assert result.diagnosis.endswith("2 more kinks.")


def test_beside_a_kink_there_is_none():
    result = gradcheck.gradient_check(lambda t: t.relu().sum(), [1e-3, -1e-3, 1e-6, -1e-6])
    assert result
    assert not result.kinks


def test_a_kink_in_a_direction_that_no_element_shows_passes():
    """min(x, y) at 0, cut at 0: flat along either axis, yet not along (1, 1)."""
    assert gradcheck.gradient_check(lambda t: (t.min() + 0.0).relu(), np.zeros(2))


# -- what differences can't tell -------------------------------------------------------------------------------------------


def test_how_far_differences_can_tell_is_said_where_that_is_not_far():
    result = gradcheck.gradient_check(lambda t: ((t.sin() + 1e10) - 1e10).sum(), [0.3, 0.7])
    assert result
    assert re.fullmatch(
        r"all 2 elements agree, the worst to \S+\. For argument 0, differences are uncertain by up to 0\.0\d+: they may not see an error\.",
        result.diagnosis,
    )
    result = gradcheck.gradient_check(lambda t: (t * 1e-6).sum() + t.detach().sum() * 0, [0.3, 0.7])
    assert "differences" not in result.diagnosis


def test_where_there_is_no_slope_that_is_said():
    """The gradient of relu jumps at 0."""
    result = gradcheck.gradient_check(lambda t: (t.relu() ** 2 + t * t.relu()).sum() + t.relu().sum(), [0.0, 1.0], order=2)
    assert result
    assert result.diagnosis.endswith(
        "For the gradient's gradient by argument 0, differences with steps of different sizes never agree: they may not see an error."
    )


def test_near_0_the_steps_are_smaller_still():
    def wrong(x):
        return 1 / x, (lambda g: -1.001 * g / x**2,)

    assert gradcheck.gradient_check(lambda t: (1 / t).sum(), [1e-12, 1.0])
    assert not gradcheck.gradient_check(lambda t: apply(wrong, t).sum(), [1e-12])


# -- second order --------------------------------------------------------------------------------------------------------


def first_derivative_only(x):
    """x**3, whose pullback can't be differentiated again."""
    return x**3, (lambda g: g * 3 * rules.primitives.constant(x) ** 2,)


def half_of_the_second(x):
    """x**3, whose pullback forgets one of the two factors when it is differentiated."""
    return x**3, (lambda g: g * 3 * x * rules.primitives.constant(x),)


def test_second_order_is_checked_on_request():
    x = RNG.normal(size=(2, 2))
    result = gradcheck.gradient_check(lambda t: (t**3).exp().sum() + t.T @ t @ t, x, order=2)
    assert result
    assert "all 8 elements agree" in result.diagnosis
    for rule in (first_derivative_only, half_of_the_second):
        assert gradcheck.gradient_check(lambda t, rule=rule: apply(rule, t).sum(), x)
        assert not gradcheck.gradient_check(lambda t, rule=rule: apply(rule, t).sum(), x, order=2)


def test_the_diagnosis_tells_the_order():
    result = gradcheck.gradient_check(lambda t: apply(first_derivative_only, t).sum(), [1.0, 2.0], order=2)
    assert result.diagnosis.startswith("2 of 2 elements of the gradient's gradient by argument 0 disagree, the worst at index ")
    assert "Likely cut off from the graph" in result.diagnosis
    result = gradcheck.gradient_check(lambda t: apply(half_of_the_second, t).sum(), [1.0, 2.0], order=2)
    assert "Likely a constant factor: analytic = numerical / 2 there" in result.diagnosis
    assert result.diagnosis.endswith(
        "The pullback of every operation fits its value: look at how gradients are added up, and at what is not recorded."
    )


def test_a_wrong_first_derivative_is_told_as_such():
    result = gradcheck.gradient_check(lambda t: apply(wrong_square, t).sum(), [1.0, 2.0], order=2)
    assert [element.name for element in result.mismatches] == ["argument 0"] * 2


def test_second_order_across_arguments():
    def wrong_in_y(x, y):
        return x * y * y, (lambda g: g * y * rules.primitives.constant(y), lambda g: g * 2 * x * y)

    arguments = RNG.normal(size=3), RNG.normal(size=3)
    assert gradcheck.gradient_check(lambda x, y: x * y * y, arguments, order=2)
    result = gradcheck.gradient_check(lambda x, y: apply(wrong_in_y, x, y), arguments, order=2)
    assert {element.name for element in result.mismatches} == {"the gradient's gradient by argument 1"}


# -- check_all_gradients -------------------------------------------------------------------------------------------------


class Wrong(layers.Module):
    def __init__(self):
        self.good, self.bad = Tensor(RNG.normal(size=(3, 2)), requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)

    def forward(self, x):
        return x @ self.good + apply(wrong_square, self.bad)


def full_model():
    return nn.Sequential(
        layers.Linear(3, 4),
        layers.BatchNorm(4),
        layers.GELU(),
        layers.Dropout(0.3),
        layers.LayerNorm(4),
        layers.Dropout(0.3, generator=np.random.default_rng(1)),
        layers.Linear(4, 3),
    )


@pytest.mark.parametrize("training", [True, False])
def test_all_gradients_of_a_model_pass_and_nothing_of_it_changes(training):
    set_seed(0)
    model = full_model().train(training)
    model[0].bias.requires_grad = False
    model[0].weight.grad = RNG.normal(size=(3, 4))
    own = model[5].generator
    x, y = RNG.normal(size=(6, 3)).astype(np.float32), RNG.integers(0, 3, 6)
    state, grad = model.state_dict(), model[0].weight.grad.copy()
    random = default_generator().bit_generator.state, own.bit_generator.state, np.random.get_state()[1].copy()
    results = gradcheck.check_all_gradients(model, losses.CrossEntropyLoss(), x, y)
    assert [name for name, _, _ in results] == [name for name, p in model.named_parameters() if p.requires_grad]
    for name, passed, max_error in results:
        assert passed, name
        assert max_error < 1e-6
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, state[name], strict=True)
    np.testing.assert_array_equal(model[0].weight.grad, grad)
    assert (default_generator().bit_generator.state, own.bit_generator.state) == random[:2]
    np.testing.assert_array_equal(np.random.get_state()[1], random[2])
    assert all(module.training is training for _, module in model.named_modules())
    assert model[5].generator is own
    assert Tensor([1.0]).dtype == np.float32


def test_a_model_is_checked_in_float64():
    model, dtypes = layers.Linear(3, 2), set()

    def loss_fn(p, t):
        dtypes.add(p.dtype)
        return losses.mse_loss(p, t)

    results = gradcheck.check_all_gradients(model, loss_fn, RNG.normal(size=(4, 3)), np.zeros((4, 2)))
    assert max(max_error for _, _, max_error in results) < 1e-9
    assert dtypes == {np.dtype(np.float64)}
    assert model.weight.dtype == np.float32


def test_a_wrong_gradient_of_one_parameter_is_found_by_name():
    results = gradcheck.check_all_gradients(Wrong(), losses.MSELoss(), RNG.normal(size=(4, 3)), np.zeros((4, 2)))
    assert [(name, passed) for name, passed, _ in results] == [("good", True), ("bad", False)]
    good, bad = results
    assert good
    assert not bad
    assert (bad.passed, bad.max_error, bad[2]) == (False, pytest.approx(0.5), bad.max_error)
    assert good.diagnosis == f"all 6 elements agree, the worst to {good.max_error:.2g}."
    assert bad.diagnosis.startswith("2 of 2 elements of bad disagree, the worst at index (")
    assert "Likely a constant factor: analytic = numerical / 2 there" in bad.diagnosis
    assert repr(bad) == f"GradientCheck('bad', passed=False, max_error=0.5): {bad.diagnosis}"
    assert gradcheck.check_all_gradients(Wrong(), losses.MSELoss(), np.ones((4, 3)), np.zeros((4, 2)), tolerance=0.6)[1]


def test_a_wrong_mean_is_named_after_the_batch():
    class Mean(layers.Module):
        def __init__(self):
            self.bias = Tensor([0.5, -1.0, 2.0], requires_grad=True)

        def forward(self, x):
            return apply(lambda x, b: (x + b, (lambda g: g, lambda g: g.mean(0))), x, self.bias)

    [result] = gradcheck.check_all_gradients(Mean(), lambda p, y: (p**3).sum(), RNG.normal(size=(7, 3)), None)
    assert "analytic = numerical / 7 there, and 7 is the size of axis 0 of the input, as if a mean" in result.diagnosis


def test_a_model_costs_a_few_evaluations_for_each_parameter():
    set_seed(1)  # elsewhere a direction may meet a kink of relu, and elements be looked at one by one
    model, count = nn.Sequential(layers.Linear(60, 50), layers.ReLU(), layers.Linear(50, 10)), [0]

    def loss_fn(p, y):
        count[0] += 1
        return losses.CrossEntropyLoss()(p, y)

    x = np.random.default_rng(1).normal(size=(4, 60))
    results = gradcheck.check_all_gradients(model, loss_fn, x, np.array([0, 3, 5, 9]))
    assert all(results)
    assert count[0] <= 3 + 12 * len(results)


def test_a_model_without_parameters_has_none_to_check():
    assert gradcheck.check_all_gradients(layers.ReLU(), losses.MSELoss(), np.ones((2, 3)), np.zeros((2, 3))) == []


def test_a_tied_weight_is_checked_once():
    class Tied(layers.Module):
        def __init__(self):
            self.a = layers.Linear(3, 3)
            self.b = layers.Linear(3, 3, bias=False)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.a(x).tanh())

    results = gradcheck.check_all_gradients(Tied(), losses.MSELoss(), RNG.normal(size=(4, 3)), np.zeros((4, 3)))
    assert [(name, passed) for name, passed, _ in results] == [("a.weight", True), ("a.bias", True)]


def test_an_embedding_is_checked_with_integer_inputs():
    model = nn.Sequential(layers.Embedding(5, 2), layers.Linear(2, 3))
    results = gradcheck.check_all_gradients(model, losses.CrossEntropyLoss(), np.array([1, 4, 1]), np.array([0, 1, 2]))
    assert all(passed for _, passed, _ in results)


def test_a_model_that_keeps_intermediate_results_is_checked():
    class Keeps(layers.Module):
        def __init__(self):
            self.fc = layers.Linear(3, 2)

        def forward(self, x):
            self.hidden = self.fc(x).tanh()
            return self.hidden

    model = Keeps()
    model(RNG.normal(size=(4, 3)))
    hidden = model.hidden
    results = gradcheck.check_all_gradients(model, losses.MSELoss(), RNG.normal(size=(4, 3)), np.zeros((4, 2)))
    assert all(passed for _, passed, _ in results)
    assert model.hidden is hidden


def test_everything_is_restored_where_the_loss_fails():
    set_seed(0)
    before = default_generator().bit_generator.state

    def loss_fn(p, t):
        raise KeyError("a failing loss")

    with pytest.raises(KeyError):
        gradcheck.check_all_gradients(full_model().eval(), loss_fn, np.ones((2, 3)), None)
    set_seed(0)
    assert default_generator().bit_generator.state == before
    assert Tensor([1.0]).dtype == np.float32

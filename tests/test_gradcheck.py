"""The checks of gradients: they pass what is right, find what is planted, and change nothing."""

import numpy as np
import pytest

from micrograd_plus import Tensor, apply, gradcheck, layers, losses, nn, randn, set_seed
from micrograd_plus.effects import default_generator

RNG = np.random.default_rng(5)


def wrong_square(x):
    """x * x with the derivative of x * x / 2."""
    return x * x, (lambda g: g * x,)


def wrong_in_one_element(x):
    """x * x with a wrong derivative at the last element."""
    return x * x, (lambda g: g * 2 * x * np.where(np.arange(x.size).reshape(x.shape) == x.size - 1, 1.5, 1),)


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
    assert max_error < 1e-8
    assert (result.passed, result.max_error, result.mismatches) == (True, max_error, [])
    assert bool(result)
    assert result.diagnosis == f"all 6 elements agree, the worst to {max_error:.2g}."


def test_a_wrong_gradient_fails_and_the_diagnosis_says_where():
    result = gradcheck.gradient_check(lambda t: apply(wrong_in_one_element, t).sum(), [[1.0, 2.0], [3.0, 4.0]])
    passed, max_error = result
    assert not passed
    assert not result
    assert max_error == pytest.approx(4 / 12)
    assert len(result.mismatches) == 1
    worst = result.mismatches[0]
    assert (worst.argument, worst.position) == (0, (1, 1))
    assert (worst.analytic, worst.numerical) == (pytest.approx(12), pytest.approx(8))
    assert result.diagnosis == "1 of 4 elements disagree, the worst at argument 0, index (1, 1): analytic 12, numerical 8."
    assert "1 of 4 elements disagree" in repr(result)
    assert "passed=False" in repr(result)


def test_mismatches_come_worst_first():
    result = gradcheck.gradient_check(lambda t: apply(wrong_square, t).sum(), [0.1, 5.0, 0.3])
    assert [m.position for m in result.mismatches] == [(1,), (2,), (0,)]


def test_an_error_is_relative_above_one_and_absolute_below():
    def check(x):
        return gradcheck.gradient_check(lambda t: apply(wrong_square, t).sum(), x).max_error

    assert check([100.0]) == pytest.approx(0.5)
    assert check([0.01]) == pytest.approx(0.01)


def test_the_tolerance_decides():
    def f(t):
        return apply(wrong_square, t).sum()

    assert not gradcheck.gradient_check(f, [0.01])
    assert gradcheck.gradient_check(f, [0.01], tolerance=0.02)
    error = gradcheck.gradient_check(f, [0.01]).max_error
    assert gradcheck.gradient_check(f, [0.01], tolerance=error)


def test_functions_of_several_arguments():
    result = gradcheck.gradient_check(lambda a, b: (a @ b).sum(), (RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2))))
    assert result.passed
    wrong = gradcheck.gradient_check(lambda a, b: (a * apply(wrong_square, b)).sum(), (np.ones(2), np.full(2, 3.0)))
    assert {m.argument for m in wrong.mismatches} == {1}


def test_functions_of_several_results_are_checked_along_a_random_direction():
    assert gradcheck.gradient_check(lambda t: t * t, RNG.normal(size=4))
    assert not gradcheck.gradient_check(lambda t: apply(wrong_square, t), RNG.normal(size=4))
    assert gradcheck.gradient_check(lambda t: (t * t).sum().reshape(1, 1), RNG.normal(size=4))


def test_a_transpose_is_seen_that_ones_cannot_see():
    def wrong(x):
        return x.T, (lambda g: g,)

    assert not gradcheck.gradient_check(lambda t: apply(wrong, t), RNG.normal(size=(3, 3)))


def test_a_function_that_draws_is_checked_with_the_same_numbers_and_the_generator_goes_back():
    set_seed(0)
    before = default_generator().bit_generator.state
    dropout = layers.Dropout(0.5)
    assert gradcheck.gradient_check(lambda t: dropout(t).sum() + (randn(4) * t).sum(), RNG.normal(size=4))
    assert default_generator().bit_generator.state == before


@pytest.mark.parametrize("x", [[1, 2], np.array([1, 2]), np.float32([1, 2]), Tensor([1.0, 2.0])])
def test_points_in_any_dtype(x):
    assert gradcheck.gradient_check(lambda t: (t**3).sum(), x)


def test_a_function_of_nothing_and_an_empty_argument():
    assert gradcheck.gradient_check(lambda t: Tensor(3.0), [1.0])
    assert gradcheck.gradient_check(lambda t: (t * t).sum(), np.zeros((0, 2))) == (True, 0.0)


def test_a_nan_in_the_gradient_fails():
    def not_a_number(x):
        return x * x, (lambda g: g * np.nan,)

    assert not gradcheck.gradient_check(lambda t: apply(not_a_number, t).sum(), [1.0])


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

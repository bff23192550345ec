"""Bugs planted in rules of a user's and in the engine: each is named, with where, how far and the evidence."""

import inspect

import numpy as np
import pytest

from micrograd_plus import Tensor, apply, gradcheck, layers, losses, rules, tensor

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])
SQUARE = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75], [3.0, -2.0, 0.1]])
ROW = np.array([1.0, -2.0, 0.5])


def diagnosis(f, *arguments, **options):
    result = gradcheck.gradient_check(f, arguments, **options)
    assert not result
    return result.diagnosis


def with_pullback(value, pullback):
    """A rule of one input that has this pullback: (g, x) to a cotangent."""

    def rule(x):
        return value(x), (lambda g: pullback(g, x),)

    return rule


def culprit(name, slot=""):
    return f" The pullback of {name}{slot} does not fit the value of {name}."


# -- a multiple ----------------------------------------------------------------------------------------------------------


def test_counted_twice():
    assert diagnosis(lambda x: apply(with_pullback(np.sin, lambda g, x: 2 * g * np.cos(x)), x).sum(), SQUARE) == (
        "9 of 9 elements of argument 0 disagree, the worst at index (0, 0): analytic 1.75517, numerical 0.877583, relative error 0.5. "
        "Likely counted twice: analytic = 2 x numerical there." + culprit("rule")
    )


def test_counted_twice_in_some_elements():
    twice = with_pullback(np.sin, lambda g, x: np.where(x > 1, 2, 1) * g * np.cos(x))
    assert diagnosis(lambda x: apply(twice, x).sum(), SQUARE) == (
        "3 of 9 elements of argument 0 disagree ((0, 2), (1, 0), (2, 0)), the worst at index (0, 2): "
        "analytic -0.832294, numerical -0.416147, relative error 0.5. "
        "Likely counted twice: analytic = 2 x numerical there." + culprit("rule")
    )


def test_counted_twice_may_also_be_a_size():
    text = diagnosis(lambda x: apply(with_pullback(np.sin, lambda g, x: 2 * g * np.cos(x)), x).sum(), X)
    assert (
        "Likely counted twice: analytic = 2 x numerical there. It would also fit a constant factor: analytic = 2 x numerical there, "
        in text
    )
    assert "there, and 2 is the size of axis 0 of argument 0, as if a mean's division were missing." in text


@pytest.mark.parametrize(
    ("value", "pullback", "likely"),
    [
        (
            lambda x: x.mean(0),
            lambda g, x: g * np.ones_like(x),
            "analytic = 3 x numerical there, and 3 is the size of axis 0 of argument 0, as if a mean's division were missing.",
        ),
        (
            lambda x: x.mean(),
            lambda g, x: g * np.ones_like(x),
            "analytic = 9 x numerical there, and 9 is the number of elements of argument 0, as if a mean's division were missing.",
        ),
        (
            lambda x: x.sum(1),
            lambda g, x: g[:, None] * np.ones_like(x) / 3,
            "analytic = numerical / 3 there, and 3 is the size of axis 0 of argument 0, as if a mean were taken in place of a sum.",
        ),
        (
            lambda x: np.outer(np.ones(4), x[0]),
            lambda g, x: np.stack([g.mean(0), 0 * g[0], 0 * g[0]]),
            "analytic = numerical / 4 there, and 4 is the size of axis 0 of the value, as if a mean were taken in place of a sum.",
        ),
        (lambda x: x * x, lambda g, x: g * x, "analytic = numerical / 2 there, as if a factor 2 were missing."),
        (np.exp, lambda g, x: 0.7 * g * np.exp(x), "analytic = 0.7 x numerical there."),
        (np.exp, lambda g, x: -5 * g * np.exp(x), "analytic = -5 x numerical there."),
        (np.exp, lambda g, x: 1.01 * g * np.exp(x), "analytic = 1.01 x numerical there."),
    ],
)
def test_a_constant_factor_is_told_and_named_after_a_size(value, pullback, likely):
    text = diagnosis(lambda x: apply(with_pullback(value, pullback), x), SQUARE)
    assert text.partition("Likely ")[2] == "a constant factor: " + likely + culprit("rule")


def test_one_element_alone_shows_no_unnamed_factor():
    text = diagnosis(lambda x: apply(with_pullback(np.exp, lambda g, x: 0.7 * g * np.exp(x)), x), 1.0)
    assert text.partition("relative error 0.3. ")[2] == "It fits no known bug; nothing agrees." + culprit("rule")


def test_factors_that_differ_are_none():
    text = diagnosis(lambda x: apply(with_pullback(np.exp, lambda g, x: g * np.exp(x) * np.array([1, 2, 3.0])), x).sum(), ROW)
    assert "2 of 3 elements of argument 0 disagree ((1,), (2,)), the worst at index (2,): analytic 4.94616, numerical 1.64872" in text
    assert text.endswith("It fits no known bug; what agrees: (0,)." + culprit("rule"))


def test_two_elements_show_a_factor():
    text = diagnosis(lambda x: apply(with_pullback(np.exp, lambda g, x: 0.7 * g * np.exp(x)), x), ROW[:2])
    assert "Likely a constant factor: analytic = 0.7 x numerical there." in text


@pytest.mark.parametrize(("scale", "small"), [(1e-7, 1e-2), (1.0, 1e-5), (1e12, 1e-5)])
def test_a_small_element_counts_as_much_as_a_large_one(scale, small):
    """All but the last are doubled; that is tripled."""
    steps = np.array([1.0, 0.5, small])
    wrong = with_pullback(lambda x: x * steps, lambda g, x: g * steps * [2, 2, 3])
    text = diagnosis(lambda x: (apply(wrong, x) * scale).sum(), ROW)
    assert text.startswith("3 of 3 elements of argument 0 disagree")
    assert "It fits no known bug; nothing agrees." in text


def test_exactly_four_places_are_listed_as_they_are():
    wrong = with_pullback(np.exp, lambda g, x: g * np.exp(x) * np.where(x > 1.9, x, 1))
    text = diagnosis(lambda x: apply(wrong, x).sum(), np.array([2.0, 0.5, 1.0, 0.25, 0.75, 3.0]))
    assert "It fits no known bug; what agrees: (1,), (2,), (3,), (4,). The pullback" in text


def test_what_agrees_is_listed_up_to_four():
    wrong = with_pullback(np.exp, lambda g, x: g * np.where(x == 3, 17, np.where(x == 2, 9, np.exp(x))))
    assert "what agrees: (0, 0), (0, 1), (1, 0), (1, 1), ...." in diagnosis(lambda x: apply(wrong, x).sum(), SQUARE)


def test_a_wrong_sign():
    assert diagnosis(lambda x: apply(with_pullback(np.sin, lambda g, x: -g * np.cos(x)), x).sum(), ROW) == (
        "3 of 3 elements of argument 0 disagree, the worst at index (0,): analytic -0.540302, numerical 0.540302, relative error 2. "
        "Likely a wrong sign: analytic = -numerical there." + culprit("rule")
    )


def test_a_wrong_sign_in_some_elements():
    text = diagnosis(lambda x: apply(with_pullback(np.abs, lambda g, x: g), x).sum(), ROW)
    assert text == (
        "1 of 3 elements of argument 0 disagrees, at index (1,): analytic 1, numerical -1, relative error 2. "
        "Likely a wrong sign: analytic = -numerical there." + culprit("rule")
    )


def test_a_cotangent_that_is_left_out():
    text = diagnosis(lambda x: apply(with_pullback(np.sin, lambda g, x: np.cos(x)), x).sum(), ROW)
    assert text.endswith("Likely a cotangent g left out: the pullback of rule is not linear in it." + culprit("rule"))
    text = diagnosis(lambda x: apply(with_pullback(np.sin, lambda g, x: g * g * np.cos(x)), x), ROW)
    assert text.endswith("Likely a cotangent g left out: the pullback of rule is not linear in it." + culprit("rule"))


# -- places --------------------------------------------------------------------------------------------------------------


def test_a_transpose():
    text = diagnosis(lambda x: apply(with_pullback(np.transpose, lambda g, x: g), x), SQUARE)
    assert text.startswith("6 of 9 elements of argument 0 disagree ((0, 1), (0, 2), (1, 0), (1, 2), ...), the worst at index (")
    assert text.endswith("Likely a transpose: analytic is numerical with axes 0 and 1 swapped." + culprit("rule"))


def test_a_transpose_of_later_axes():
    text = diagnosis(lambda x: apply(with_pullback(lambda x: x.swapaxes(1, 2), lambda g, x: g), x), np.stack([SQUARE, SQUARE + 1]))
    assert "Likely a transpose: analytic is numerical with axes 1 and 2 swapped." in text


def test_a_reshape_in_place_of_a_transpose():
    text = diagnosis(lambda x: apply(with_pullback(np.transpose, lambda g, x: g.reshape(x.shape)), x), X)
    assert "Likely a transpose: analytic is numerical with axes 0 and 1 swapped, as by a reshape in place of a transpose." in text


def test_a_wrong_order():
    text = diagnosis(lambda x: apply(with_pullback(lambda x: x[::-1], lambda g, x: g), x), ROW)
    assert text.endswith("Likely a wrong order: analytic has the numbers of numerical, in other places." + culprit("rule"))


def test_a_symmetric_gradient_shows_no_transpose():
    """All elements but two are 1, whichever way they are turned."""
    wrong = with_pullback(lambda x: x * 1.0, lambda g, x: g + np.where((x == 2) | (x == 1.5), [[3, 4, 5]], 0))
    assert "transpose" not in diagnosis(lambda x: apply(wrong, x).sum(), SQUARE)


# -- parts ---------------------------------------------------------------------------------------------------------------


def add_bias(pullback):
    def add_bias(x, bias):
        return x + bias, (lambda g: g, pullback)

    return add_bias


@pytest.mark.parametrize("slice_", [0, -1])
def test_a_missing_sum_takes_one_slice(slice_):
    text = diagnosis(lambda x, b: (apply(add_bias(lambda g: g[slice_]), x, b) ** 2).sum(), SQUARE, ROW)
    assert text.startswith("3 of 3 elements of argument 1 disagree, the worst at index (")
    assert text.partition("Likely ")[2] == (
        f"a missing sum over axis 0 of the value of add_bias, of size 3: analytic is what slice {slice_ % 3} contributes alone."
        + culprit("add_bias", " to its input 1")
    )


def test_a_missing_sum_along_a_stretched_axis():
    def stretch(x, b):
        return x * b, (lambda g: g * b, lambda g: (g * x)[:, 1:2])

    text = diagnosis(lambda x, b: apply(stretch, x, b), X, np.array([[2.0], [3.0]]))
    assert "Likely a missing sum over axis 1 of the value of stretch, of size 3: analytic is what slice 1 contributes alone." in text
    assert text.count("a missing sum") == 1


def test_a_missing_sum_in_a_stack_of_products():
    def products(x, w):
        return x @ w, (lambda g: g @ w.T, lambda g: (x.swapaxes(1, 2) @ g)[1])

    text = diagnosis(lambda x, w: apply(products, x, w).tanh(), np.stack([SQUARE, SQUARE.T / 2]), SQUARE)
    assert "Likely a missing sum over axis 0 of the value of products, of size 2: analytic is what slice 1 contributes alone." in text


def planted(monkeypatch, function, old, new):
    """A function of the engine with one piece of its source replaced."""
    source = inspect.getsource(getattr(tensor, function))
    assert source.count(old) == 1
    made = {}
    exec(source.replace(old, new), vars(tensor), made)
    monkeypatch.setattr(tensor, function, made[function])


def test_an_engine_that_takes_one_slice_where_it_should_sum(monkeypatch):
    planted(monkeypatch, "_unbroadcast", "g = g.sum(axis=tuple(range(extra)))", "g = g[0]")
    assert diagnosis(lambda x, b: ((x + b) ** 2).sum(), X, ROW) == (
        "3 of 3 elements of argument 1 disagree, the worst at index (0,): analytic 3, numerical 8, relative error 0.62. "
        "Likely a missing sum over axis 0 of the value of add, of size 2: analytic is what slice 0 contributes alone. "
        "The pullback of every operation fits its value: look at how gradients are added up, and at what is not recorded."
    )


def test_the_other_input_of_an_addition_need_not_be_known(monkeypatch):
    planted(monkeypatch, "_unbroadcast", "g = g.sum(axis=tuple(range(extra)))", "g = g[0]")
    text = diagnosis(lambda b: ((X + b) ** 2).sum(), ROW)
    assert text.endswith("Likely a missing sum over axis 0 of the value of add, of size 2: analytic is what slice 0 contributes alone.")


def test_an_engine_that_takes_a_mean_where_it_should_sum(monkeypatch):
    planted(monkeypatch, "_unbroadcast", "g = g.sum(axis=tuple(range(extra)))", "g = g.mean(axis=tuple(range(extra)))")
    text = diagnosis(lambda x, b: ((x + b) ** 2).sum(), SQUARE, ROW)
    assert "analytic = numerical / 3 there, and 3 is the size of axis 0 of argument 0, as if a mean were taken in place of a sum." in text


def test_an_engine_that_overwrites_where_it_should_accumulate(monkeypatch):
    planted(monkeypatch, "_walk", "contribution if previous is None else previous + contribution", "contribution")
    assert diagnosis(lambda x: (x.exp() + x.sin()).sum(), ROW) == (
        "3 of 3 elements of argument 0 disagree, the worst at index (1,): analytic 0.135335, numerical -0.280812, relative error 1.5. "
        "Likely overwritten instead of accumulated: the argument is used 2 times, and analytic is what the use by exp contributes alone. "
        "The pullback of every operation fits its value: look at how gradients are added up, and at what is not recorded."
    )
    text = diagnosis(lambda x: (x * x).sum(), ROW)
    assert "and analytic is what the use by multiply to its input 0 contributes alone." in text


def test_an_engine_that_counts_the_second_use_twice(monkeypatch):
    planted(monkeypatch, "_walk", "previous + contribution", "previous + contribution + contribution")
    text = diagnosis(lambda x: (x.exp() + x.sin()).sum(), ROW)
    assert "It fits no known bug; nothing agrees. The pullback of every operation fits its value" in text


def overwriting(values, *, index, shape):
    out = np.zeros(shape)
    out[index] = values
    return out


REPEATED = (
    "overwritten instead of accumulated: elements that {} takes once agree, "
    "and of those that it takes several times, analytic is what one of the times contributes alone."
)


def test_a_scatter_that_overwrites(monkeypatch):
    monkeypatch.setattr(rules.shapes, "scatter_add", overwriting)
    assert diagnosis(lambda x: (x[np.array([0, 2, 0])] ** 2 * np.array([1.0, 2.0, 3.0])).sum(), ROW) == (
        "1 of 3 elements of argument 0 disagrees, at index (0,): analytic 6, numerical 8, relative error 0.25. "
        "Likely " + REPEATED.format("getitem") + culprit("getitem")
    )


def test_an_embedding_that_overwrites(monkeypatch):
    def overwriting_rows(values, indices, *, count):
        return overwriting(values, index=indices, shape=(count, *values.shape[1:]))

    monkeypatch.setattr(rules.shapes, "scatter_rows", overwriting_rows)
    embedding = layers.Embedding(3, 2)
    text = diagnosis(lambda w: apply(rules.take_rows, w, np.array([0, 2, 0])).exp(), embedding.weight)
    assert "2 of 6 elements of argument 0 disagree ((0, 0), (0, 1)), " in text
    assert text.endswith("Likely " + REPEATED.format("the function"))


def test_a_rule_of_a_user_that_overwrites():
    def take(x, *, index):
        return x[index], (lambda g: overwriting(g, index=index, shape=x.shape),)

    text = diagnosis(lambda x: (apply(take, x, index=np.array([0, 2, 0])) ** 2).sum(axis=1), SQUARE)
    assert "3 of 9 elements of argument 0 disagree ((0, 0), (0, 1), (0, 2)), " in text
    assert "Likely " + REPEATED.format("take") in text
    assert text.endswith(culprit("take"))


def test_all_elements_taken_several_times_may_be_a_missing_sum():
    def take(x, *, index):
        return x[index], (lambda g: overwriting(g, index=index, shape=x.shape),)

    text = diagnosis(lambda x: apply(take, x, index=np.array([0, 0])), ROW[:1])
    assert "Likely a missing sum over axis 0 of the value of take, of size 2: analytic is what slice 1 contributes alone." in text


def test_cut_off_from_the_graph():
    told = "Likely cut off from the graph: the gradient is 0 everywhere. Look for .detach(), .data, or a pullback that is None."
    assert diagnosis(lambda x: x.detach() * 2, ROW).endswith(told)
    assert diagnosis(lambda x, y: Tensor(x.data) * y, ROW, ROW + 1) == (
        "3 of 3 elements of argument 0 disagree, the worst at index (0,): analytic 0, numerical 0.25146, relative error 1. " + told
    )

    def constant_in_y(x, y):
        return x * y, (lambda g: g * y, None)

    assert diagnosis(lambda x, y: apply(constant_in_y, x, y).sum(), ROW, ROW + 1).endswith(told)


def test_cut_off_in_some_elements():
    text = diagnosis(lambda x: (x[:2] ** 2).sum() + (x[2:].detach() ** 2).sum(), ROW)
    assert text == (
        "1 of 3 elements of argument 0 disagrees, at index (2,): analytic 0, numerical 1, relative error 1. "
        "Likely cut off from the graph: the gradient is 0 there. Look for .detach(), .data, or a pullback that is None."
    )


def test_a_gradient_where_there_should_be_none():
    text = diagnosis(lambda x: apply(with_pullback(np.round, lambda g, x: g), x).sum(), ROW + 0.2)
    assert text == (
        "3 of 3 elements of argument 0 disagree, the worst at index (0,): analytic 1, numerical 0, relative error 1. "
        "It fits no known bug; nothing agrees." + culprit("rule")
    )


def test_cut_off_as_one_of_two_factors():
    text = diagnosis(lambda x: (x * x.detach()).sum(), ROW)
    assert "Likely a constant factor: analytic = numerical / 2 there, as if a factor 2 were missing." in text
    assert text.endswith("look at how gradients are added up, and at what is not recorded.")


def test_a_slice_is_no_overwriting_where_right_elements_are_used_several_times():
    """What the rows of the second column contribute adds up to what the first one does."""
    weights = np.array([[1.0, 5.0, 3.0], [2.0, 1.0, 4.0], [3.0, -1.0, 5.0]])
    text = diagnosis(lambda x, b: (apply(add_bias(lambda g: g[0]), x, b) * weights).sum(), SQUARE, ROW)
    assert "2 of 3 elements of argument 1 disagree ((0,), (2,)), " in text
    assert "Likely a missing sum over axis 0 of the value of add_bias, of size 3: analytic is what slice 0 contributes alone." in text


def test_a_slice_is_no_overwriting_where_both_rows_of_a_right_element_count():
    text = diagnosis(lambda x, b: apply(add_bias(lambda g: np.array([g[0, 0], g[:, 1].sum(), g[0, 2]])), x, b).exp(), X, ROW)
    assert "2 of 3 elements of argument 1 disagree ((0,), (2,)), " in text
    assert "Likely a missing sum over axis 0 of the value of add_bias, of size 2: analytic is what slice 0 contributes alone." in text


def test_a_wrong_slope_at_a_kink_hides_no_pattern():
    def wrong(x):
        return np.abs(x), (lambda g: g * np.where(x == 0, 3, 2 * np.sign(x)),)

    text = diagnosis(lambda x: apply(wrong, x).sum(), np.array([0.0, 1.0, -2.0]))
    assert "Likely counted twice: analytic = 2 x numerical there." in text
    assert text.endswith(
        "A kink at index (0,) of argument 0: the slope is -1 to the left and 1 to the right, analytic 3 does not lie between."
    )


def test_a_wrong_slope_at_a_kink_on_the_way_is_no_cut():
    def hinge(x):
        return np.maximum(x, 0), (lambda g: g * np.where(x == 0, 3, x > 0),)

    wrong = with_pullback(np.exp, lambda g, x: g * (1 + x))
    text = diagnosis(lambda x: apply(wrong, apply(hinge, x)).sum(), np.array([0.0, 1.0, 2.0]))
    assert "It fits no known bug; nothing agrees. The pullback of hinge does not fit the value of hinge." in text


def test_where_a_part_was_looked_at_no_order_is_told():
    x = np.random.default_rng(0).normal(size=400)
    text = diagnosis(lambda x: apply(with_pullback(lambda x: x[::-1], lambda g, x: g), x), x)
    assert text.startswith("100 of 100 elements of argument 0 disagree, the worst at index ")
    assert text.endswith(" (100 of its 400 were looked at). It fits no known bug; nothing agrees." + culprit("rule"))


# -- the culprit ---------------------------------------------------------------------------------------------------------


def test_the_operation_is_found_wherever_it_is_and_its_pattern_told():
    def product(x, w):
        return x @ w, (lambda g: g @ w.T, lambda g: (x.T @ g).T)

    text = diagnosis(lambda w: apply(product, SQUARE, w.tanh() * 2 + 1).sin().sum(axis=0), SQUARE / 2)
    assert "Likely a transpose: analytic is numerical with axes 0 and 1 swapped, in the pullback of product to its input 1." in text
    assert text.endswith(culprit("product", " to its input 1"))


def test_what_is_right_on_the_way_is_no_culprit():
    """Broadcast along new axes and stretched ones, and of all kinds of numbers."""
    wrong = with_pullback(np.sin, lambda g, x: g * np.cos(x) * 3)

    def f(x, column, row):
        return apply(wrong, (x * column + row) / (1 + column * column).mean(axis=0, keepdims=True) - 2.0)

    result = gradcheck.gradient_check(f, (X, np.array([[2.0], [3.0]]), ROW))
    assert result.diagnosis.count(culprit("rule")) == 3
    assert result.diagnosis.count("The pullback of") == 3


def test_a_rule_of_three_values():
    def right(x):
        return (np.sin(x), x.sum(), x.T), (lambda g: g[0] * np.cos(x) + g[1] + g[2].T,)

    wrong = with_pullback(np.exp, lambda g, x: g)
    wrong.__name__ = "wrong"
    assert diagnosis(lambda x: apply(right, apply(wrong, x))[2], X).endswith(culprit("wrong"))
    assert diagnosis(lambda x: apply(wrong, apply(right, x)[1]), X).endswith(culprit("wrong"))


def test_the_largest_term_counts_what_cancels():
    """What is left of a gradient may be the rounding of terms that are not seen in the end."""

    def largest(f, x):
        leaf = Tensor(x, requires_grad=True, dtype=np.float64)
        with tensor.default_dtype(np.float64):
            uses = gradcheck.uses.recorded_uses((f(leaf) * 1.0).sum())
        return max(use.largest_term() for use in uses)

    assert largest(lambda x: x * 3 - x - x - x, [5.0, 2.0]) == 15
    assert largest(lambda x: x - x.mean(), [5.0, 4.0]) == 10  # the mean counts twice
    assert largest(lambda x: x.exp(), [5.0, 2.0]) == pytest.approx(5 * np.exp(5))
    assert largest(lambda x: x.sum(), [-5.0, 2.0]) == 5


def test_contributions_of_large_numbers():
    def take(x, *, index):
        return x[index] ** 2, (lambda g: overwriting(g * 2 * x[index], index=index, shape=x.shape),)

    text = diagnosis(lambda x: apply(take, x, index=np.array([0, 0, 1])), np.array([1e6, 2e7]))
    assert "Likely " + REPEATED.format("take") in text


def test_an_operation_beside_the_way_is_none():
    """Both are wrong, each for another argument."""

    def wrong_in_both(x, y):
        return x * y, (lambda g: 3 * g * y, lambda g: 5 * g * x)

    result = gradcheck.gradient_check(lambda x, y: apply(wrong_in_both, x.exp(), y), (ROW, ROW + 1))
    first, second = result.diagnosis.split(" 3 of 3 elements of argument 1")
    assert "to its input 0" in first and "to its input 1" not in first
    assert "to its input 1" in second and "to its input 0" not in second


def test_the_first_wrong_operation_on_the_way_is_named():
    wrong = with_pullback(np.sin, lambda g, x: g)
    other = with_pullback(np.exp, lambda g, x: g)
    other.__name__ = "other"
    assert diagnosis(lambda x: apply(other, apply(wrong, x)).sum(), ROW).endswith(culprit("rule"))
    assert diagnosis(lambda x: apply(wrong, apply(other, x)).sum(), ROW).endswith(culprit("other"))


def test_a_rule_of_several_values():
    def both(x):
        return (np.sin(x), x.sum()), (lambda g: g[0] * np.sin(x) + g[1],)

    for f in (lambda x: apply(both, x)[0].sum(), lambda x: apply(both, x), lambda x: apply(both, x * 2)[0] ** 2):
        assert diagnosis(f, X).endswith(culprit("both"))
    right = with_pullback(lambda x: (np.sin(x), x.sum()), lambda g, x: g[0] * np.cos(x) + g[1])
    wrong = with_pullback(np.exp, lambda g, x: g)
    wrong.__name__ = "wrong"
    for f in (
        lambda x: apply(wrong, apply(right, x)[0]),
        lambda x: apply(wrong, apply(right, x)[1]),
        lambda x: apply(right, apply(wrong, x))[1],
    ):
        assert diagnosis(f, X).endswith(culprit("wrong"))


def test_where_an_operation_can_t_be_run_again_nothing_is_said_of_all():
    """take_rows keeps no indices: whether its pullback fits is not known."""
    wrong = rules.rule.linear(lambda x, i: (x[i], (lambda g: overwriting(2 * g, index=i, shape=x.shape), None)))
    try:
        text = diagnosis(lambda x: apply(wrong, x, np.array([2, 1])).sum(), ROW)
    finally:
        rules.LINEAR.discard(wrong)
    assert text.endswith("Likely counted twice: analytic = 2 x numerical there.")


def test_the_pullbacks_of_linear_rules_are_checked_too():
    @rules.rule.linear
    def third(x):
        return x / 3, (lambda g: g / 4,)

    try:
        text = diagnosis(lambda x: apply(third, x.exp()).exp(), ROW)
    finally:
        rules.LINEAR.discard(third)
    assert text.endswith(culprit("third"))


def test_a_parameter_of_a_model_by_name():
    class Model(layers.Module):
        def __init__(self):
            self.scale, self.shift = Tensor([0.5, 2.0, -1.0], requires_grad=True), Tensor(ROW, requires_grad=True)

        def forward(self, x):
            return apply(add_bias(lambda g: -g.sum(0)), x * self.scale, self.shift)

    scale, shift = gradcheck.check_all_gradients(Model(), losses.MSELoss(), X, np.zeros((2, 3)))
    assert scale
    assert shift.diagnosis == (
        "3 of 3 elements of shift disagree, the worst at index (0,): analytic -1, numerical 1, relative error 2. "
        "Likely a wrong sign: analytic = -numerical there." + culprit("add_bias", " to its input 1")
    )


def test_a_wrong_first_derivative_is_reported_alone_and_the_second_not_looked_at():
    def wrong(x):
        return x * x, (lambda g: g * x,)

    calls = {1: 0, 2: 0}

    def diagnosed(order):
        def f(t):
            calls[order] += 1
            return apply(wrong, t)

        return str(gradcheck.gradient_check(f, [1.0, 2.0], order=order))

    assert diagnosed(1) == diagnosed(2)
    assert calls[1] == calls[2]

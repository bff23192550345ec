"""The graph and the walk: accumulation, reuse, intermediate results, freeing, higher orders, rules of several values."""

import threading
import warnings
import weakref

import numpy as np
import pytest

from micrograd_plus import Tensor, gradients, no_grad, ones, rules, tensor, zeros
from micrograd_plus.tensor import apply, default_dtype


def leaf(*values):
    return Tensor(list(values), requires_grad=True)


# -- the contract's examples ---------------------------------------------------------------------------------------------


def test_product_plus_factor():
    a, b = leaf(2.0), leaf(3.0)
    c = a * b + a
    c.sum().backward()
    np.testing.assert_array_equal(a.grad, [4.0])
    np.testing.assert_array_equal(b.grad, [2.0])


def test_broadcast_sum():
    a, b = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones(3), requires_grad=True)
    c = a + b
    c.sum().backward()
    assert c.grad.shape == (2, 3)
    np.testing.assert_array_equal(b.grad, [2, 2, 2])


# -- accumulation --------------------------------------------------------------------------------------------------------


def test_a_tensor_used_several_times_gets_the_sum_over_its_uses():
    a = leaf(3.0)
    b = a + a
    c = b + b
    c.backward()
    np.testing.assert_array_equal(a.grad, [4.0])
    np.testing.assert_array_equal(b.grad, [2.0])
    np.testing.assert_array_equal(c.grad, [1.0])


def test_both_operands_the_same_tensor():
    a = leaf(3.0)
    (a * a).backward()
    np.testing.assert_array_equal(a.grad, [6.0])


def test_a_diamond_reaches_its_root_once_both_sides_are_done():
    a = leaf(2.0)
    b = a * 3
    c = b * b
    d = b + c
    (c * d).backward()  # c d = b^2 (b + b^2), b = 3 a: d/da = 3 (3 b^2 + 4 b^3)
    np.testing.assert_array_equal(a.grad, [3 * (3 * 36 + 4 * 216)])


def test_leaves_accumulate_over_calls_until_zeroed():
    a = leaf(2.0)
    for _ in range(3):
        (a * 5).backward()
    np.testing.assert_array_equal(a.grad, [15.0])
    a.zero_grad()
    np.testing.assert_array_equal(a.grad, [0.0])
    (a * 5).backward()
    np.testing.assert_array_equal(a.grad, [5.0])


def test_a_gradient_held_from_an_earlier_call_does_not_change_under_its_holder():
    a = leaf(2.0)
    (a * 5).backward()
    held = a.grad
    (a * 5).backward()
    np.testing.assert_array_equal(held, [5.0])
    np.testing.assert_array_equal(a.grad, [10.0])


def test_a_gradient_assigned_by_hand_is_added_to():
    a = leaf(2.0)
    a.grad = np.array([100.0])
    (a * 5).backward()
    np.testing.assert_array_equal(a.grad, [105.0])


def test_backward_on_a_leaf_writes_its_own_gradient():
    a = leaf(2.0)
    a.backward()
    a.backward(np.array([3.0]))
    np.testing.assert_array_equal(a.grad, [4.0])


def test_leaves_that_need_no_gradient_get_none():
    a, b = leaf(2.0), Tensor([3.0])
    (a * b).backward()
    assert b.grad is None


def test_only_the_pullbacks_whose_input_needs_a_gradient_run():
    def half_open(x, y):
        def forbidden(g):
            raise AssertionError("this pullback was not needed")

        return x * y, (lambda g: g * y, forbidden)

    a = leaf(2.0)
    apply(half_open, a, Tensor([3.0])).backward()
    apply(half_open, a, 3.0).backward()
    np.testing.assert_array_equal(a.grad, [6.0])
    b = leaf(3.0)
    gradients(apply(half_open, a, b), [a])


# -- intermediate results ------------------------------------------------------------------------------------------------


def test_intermediate_results_that_are_held_get_their_gradients():
    a = leaf(2.0)
    b = a * 3
    c = b * b
    d = c.sum()
    d.backward()
    np.testing.assert_array_equal(d.grad, 1.0)
    np.testing.assert_array_equal(c.grad, [1.0])
    np.testing.assert_array_equal(b.grad, [12.0])


def test_intermediate_results_are_overwritten_not_accumulated():
    a = leaf(2.0)
    b = a * 3
    for _ in range(3):
        (b * b).sum().backward(retain_graph=True)
        np.testing.assert_array_equal(b.grad, [12.0])
    np.testing.assert_array_equal(a.grad, [108.0])


def test_the_gradient_of_an_intermediate_result_is_complete():
    b = leaf(2.0) * 1
    (b * 2 + b * 3 + b).backward()
    np.testing.assert_array_equal(b.grad, [6.0])


def test_an_intermediate_result_reads_as_zeros_before_any_backward():
    b = leaf(2.0) * 1
    np.testing.assert_array_equal(b.grad, [0.0])


def test_results_outside_the_walk_keep_their_gradients():
    a = leaf(2.0)
    b, c = a * 3, a * 4
    b.backward()
    np.testing.assert_array_equal(c.grad, [0.0])


# -- .grad is the tensor's own -------------------------------------------------------------------------------------------


def shares_no_memory(*arrays):
    return not any(np.shares_memory(x, y) for i, x in enumerate(arrays) for y in arrays[:i])


def test_two_leaves_of_a_sum_do_not_share_their_gradients():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    c = a + b
    d = c * 1
    d.backward(np.ones(2))
    assert shares_no_memory(a.grad, b.grad, c.grad, d.grad)
    a.grad[0] = 9
    np.testing.assert_array_equal(b.grad, [1, 1])


def test_the_gradient_under_a_sum_can_be_written():
    a = Tensor(np.ones((2, 3)), requires_grad=True)
    a.sum().backward()
    a.grad[0, 0] = 5
    np.testing.assert_array_equal(a.grad, [[5, 1, 1], [1, 1, 1]])


def test_views_of_one_cotangent_become_gradients_of_their_own():
    a, b = Tensor(np.ones((2, 3)), requires_grad=True), Tensor(np.ones(6), requires_grad=True)
    (a.reshape(6) + b).backward(np.arange(6.0))
    assert shares_no_memory(a.grad, b.grad)
    c = Tensor(np.ones((2, 3)), requires_grad=True)
    c.T.backward(np.ones((3, 2)))
    assert c.grad.flags.owndata


def test_the_cotangent_that_was_passed_stays_the_callers():
    given = np.ones(2, np.float32)
    a = leaf(1.0, 2.0)
    a.backward(given)
    (a + 1).backward(given)
    a.grad[0] = 7
    np.testing.assert_array_equal(given, [1, 1])
    b = leaf(1.0, 2.0)
    c = b + 0
    c.backward(given)
    b.grad[0] = c.grad[1] = 7
    np.testing.assert_array_equal(given, [1, 1])


def test_an_array_that_a_pullback_keeps_is_not_given_away():
    mine = np.full(2, 3.0, np.float32)

    def kept(x):
        return x * 1, (lambda g: mine,)

    a = leaf(1.0, 2.0)
    apply(kept, a).backward(np.ones(2))
    a.grad[0] = 7
    np.testing.assert_array_equal(mine, [3, 3])


def test_a_read_only_cotangent_becomes_a_gradient_that_can_be_written():
    def sealed(x):
        def pullback(g):
            out = g * 2
            out.flags.writeable = False
            return out

        return x * 2, (pullback,)

    a = leaf(1.0, 2.0)
    apply(sealed, a).backward(np.ones(2))
    a.grad[0] = 7
    np.testing.assert_array_equal(a.grad, [7, 2])


def test_gradients_of_scalars_are_arrays():
    a = Tensor(2.0, requires_grad=True)
    for _ in range(2):
        (a * 3).backward()
        assert type(a.grad) is np.ndarray
    assert a.grad == 6


def test_an_assigned_gradient_is_copied():
    given = np.ones(2, np.float32)
    a = leaf(1.0, 2.0)
    a.grad = given
    given[0] = 7
    np.testing.assert_array_equal(a.grad, [1, 1])
    a.grad = Tensor([2.0, 3.0])
    np.testing.assert_array_equal(a.grad, [2, 3])
    a.grad = None
    np.testing.assert_array_equal(a.grad, [0, 0])


def test_reading_zeros_stores_nothing():
    a = leaf(1.0, 2.0)
    a.grad[0] = 5
    np.testing.assert_array_equal(a.grad, [0, 0])
    assert a._grad is None


def test_grad_is_none_where_no_gradient_is_required():
    assert Tensor([1.0]).grad is None


# -- backward's arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_backward_needs_no_gradient_where_there_is_one_element(shape):
    a = Tensor(np.full(shape, 3.0), requires_grad=True)
    (a * a).backward()
    np.testing.assert_array_equal(a.grad, np.full(shape, 6.0))


@pytest.mark.parametrize("given", [[1.0, 10.0], np.array([1, 10]), Tensor([1.0, 10.0]), Tensor([1.0, 10.0], dtype=np.float64)])
def test_backward_takes_a_cotangent_as_array_list_or_tensor(given):
    a = leaf(2.0, 3.0)
    b = a * 2
    (b * b).backward(given)
    np.testing.assert_array_equal(a.grad, [16.0, 240.0])
    assert type(a._grad) is type(b._grad) is np.ndarray
    assert a.grad.dtype == b.grad.dtype == np.float32


def test_a_cotangent_that_requires_a_gradient_is_taken_by_value():
    a, v = leaf(2.0), leaf(10.0)
    (a * a).backward(v)
    np.testing.assert_array_equal(a.grad, [40.0])
    np.testing.assert_array_equal(v.grad, [0.0])


def test_backward_where_nothing_requires_a_gradient_changes_nothing_and_says_so():
    a = Tensor([2.0])
    b = a * 3
    with pytest.warns(UserWarning, match=r"^backward\(\) changed nothing: no tensor that this result was computed from"):
        b.backward()
    assert a.grad is None
    assert b.grad is None
    with pytest.warns(UserWarning, match="changed nothing"):
        zeros(3).backward()  # nor does it ask for a scalar


def test_the_warning_points_to_the_callers_line():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Tensor([1.0]).backward()
    assert caught[0].filename == __file__


# -- freeing -------------------------------------------------------------------------------------------------------------

_freed = (
    r"^backward\(\) needs the whole graph, but an earlier backward\(\) through it has freed a part\. "
    r"Compute the loss anew, or call the earlier one as backward\(retain_graph=True\)\.$"
)


def test_a_second_backward_through_a_freed_graph_raises():
    a = leaf(2.0)
    b = (a * a).sum()
    b.backward()
    with pytest.raises(RuntimeError, match=_freed):
        b.backward()
    np.testing.assert_array_equal(a.grad, [4.0])


def test_a_graph_of_which_a_part_was_freed_raises_before_anything_is_written():
    a, b = leaf(2.0), leaf(3.0)
    shared = a * a
    shared.backward()
    loss = (shared * b + b).sum()
    with pytest.raises(RuntimeError, match=_freed):
        loss.backward()
    with pytest.raises(RuntimeError, match=_freed):
        gradients(loss, [a])
    np.testing.assert_array_equal(b.grad, [0.0])


def test_a_freed_node_keeps_no_options():
    def scaled(x, factors):
        return x * factors, (lambda g: g * factors,)

    class Factors(np.ndarray):
        """An array that can be referred to weakly."""

    factors = np.ones(1, np.float32).view(Factors)
    reference = weakref.ref(factors)
    b = apply(scaled, leaf(2.0), factors=factors)
    del factors
    b.backward(retain_graph=True)
    assert reference() is not None
    b.backward()
    assert reference() is None


def test_a_walk_goes_no_further_than_a_creation_number():
    a = leaf(2.0)
    b = a * a
    number = next(tensor._creation)
    c = b * a
    d = c + b
    assert list(tensor._graph(d._node, number)) == [d._node, c._node]
    assert list(tensor._graph(d._node, c._node.order)) == [d._node, c._node]
    assert set(tensor._graph(d._node)) == {b._node, c._node, d._node}
    b.backward()  # what is freed there doesn't matter
    found = tensor._walk(d, np.ones(1, np.float32), targets={b._node, a}, since=number)
    np.testing.assert_array_equal([found[b._node], found[a]], [[3], [4]])
    with pytest.raises(RuntimeError, match=_freed):
        tensor._walk(d, np.ones(1, np.float32), targets={b._node})


def test_linear_operations_are_freed_like_the_others():
    a = leaf(2.0)
    b = a + 1
    b.backward()
    with pytest.raises(RuntimeError, match=_freed):
        b.backward()


def test_a_retained_graph_can_be_walked_again():
    a = leaf(2.0)
    b = (a * a).sum()
    b.backward(retain_graph=True)
    b.backward(retain_graph=True)
    b.backward()
    np.testing.assert_array_equal(a.grad, [12.0])


def test_gradients_frees_nothing():
    a = leaf(2.0)
    b = (a * a).sum()
    for _ in range(2):
        (slope,) = gradients(b, [a])
        assert slope.item() == 4
    b.backward()
    np.testing.assert_array_equal(a.grad, [4.0])


# -- no_grad and requires_grad -------------------------------------------------------------------------------------------


def test_nothing_is_recorded_within_no_grad():
    a = leaf(2.0)
    with no_grad():
        b = a * 2
        assert not b.requires_grad
        assert b.is_leaf
    assert (a * 2).requires_grad


def test_no_grad_is_a_decorator():
    @no_grad()
    def doubled(x):
        return x * 2

    a = leaf(2.0)
    assert not doubled(a).requires_grad
    assert not doubled(a).requires_grad
    assert (a * 2).requires_grad


def test_no_grad_nests_and_ends_with_an_exception():
    a = leaf(2.0)
    with no_grad():
        with no_grad():
            pass
        assert not (a * 2).requires_grad
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert (a * 2).requires_grad


def test_no_grad_holds_for_its_own_thread():
    a = leaf(2.0)
    recorded = []
    with no_grad():
        thread = threading.Thread(target=lambda: recorded.append((a * 2).requires_grad))
        thread.start()
        thread.join()
        assert not (a * 2).requires_grad
    assert recorded == [True]


def test_enable_grad_records_within_no_grad_and_ends_with_it():
    a = leaf(2.0)

    @tensor.enable_grad()
    def doubled(x):
        return x * 2

    with no_grad():
        with tensor.enable_grad():
            assert (a * 2).requires_grad
            with no_grad():
                assert not (a * 2).requires_grad
        assert not (a * 2).requires_grad
        assert doubled(a).requires_grad
        with pytest.raises(KeyError), tensor.enable_grad():
            raise KeyError
        assert not (a * 2).requires_grad
    with tensor.enable_grad():
        pass
    assert (a * 2).requires_grad


def test_backward_works_within_no_grad():
    a = leaf(2.0)
    b = a * a
    with no_grad():
        b.backward()
    np.testing.assert_array_equal(a.grad, [4.0])


def test_a_result_requires_a_gradient_if_an_input_does():
    a, b = leaf(1.0), Tensor([1.0])
    assert (a + b).requires_grad
    assert (b + a).requires_grad
    assert not (b + b).requires_grad
    assert (a + b).is_leaf is False
    assert (b + b).is_leaf


def test_a_detached_tensor_shares_its_values_and_cuts_the_graph():
    a = leaf(2.0)
    d = (a * 1).detach()
    assert not d.requires_grad
    assert d.is_leaf
    e = a.detach()
    e.data[0] = 5
    assert a.item() == 5
    (a * e).backward()
    np.testing.assert_array_equal(a.grad, [5.0])


def test_gradients_flow_through_a_clone_which_has_values_of_its_own():
    a = leaf(2.0)
    b = a.clone()
    b.data[0] = 7
    assert a.item() == 2
    (b * 3).backward()
    np.testing.assert_array_equal(a.grad, [3.0])


def test_in_place_operators_give_new_tensors():
    a = leaf(2.0)
    b = a
    b += 1
    b *= 3
    assert a.item() == 2
    b.backward()
    np.testing.assert_array_equal(a.grad, [3.0])


# -- gradients() ---------------------------------------------------------------------------------------------------------


def test_gradients_gives_tensors_and_touches_no_grad():
    a, b = leaf(2.0), leaf(5.0)
    c = a * b
    found = gradients(c * c, [a, b, c])
    assert [g.item() for g in found] == [100.0, 40.0, 20.0]
    assert all(isinstance(g, Tensor) and not g.requires_grad for g in found)
    assert a._grad is b._grad is c._grad is None


def test_gradients_takes_one_tensor_too():
    a = leaf(2.0)
    (slope,) = gradients(a * a, a)
    assert slope.item() == 4


def test_gradients_is_zero_where_the_output_does_not_depend_on_an_input():
    a, b = leaf(2.0), Tensor(np.ones((2, 3)), requires_grad=True)
    slopes = gradients(a * a, [b, a])
    np.testing.assert_array_equal(slopes[0].data, np.zeros((2, 3)))
    assert slopes[1].item() == 4
    (slope,) = gradients(Tensor([1.0]), [a])
    assert slope.item() == 0


def test_gradients_of_a_tensor_with_respect_to_itself_is_its_cotangent():
    a = leaf(2.0)
    b = a * 1
    assert gradients(b, [b, a])[0].item() == 1
    assert gradients(a, [a], gradient=[3.0])[0].item() == 3


def test_gradients_takes_an_input_twice():
    a = leaf(2.0)
    assert [g.item() for g in gradients(a * a, [a, a])] == [4, 4]


def test_gradients_results_share_nothing():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    x, y = gradients((a + b).sum(), [a, b])
    x.data[0] = 9
    np.testing.assert_array_equal(y.data, [1, 1])


def test_gradients_with_a_cotangent():
    a = leaf(2.0, 3.0)
    for given in (np.array([1.0, 10.0]), Tensor([1.0, 10.0], dtype=np.float64)):
        (slope,) = gradients(a * a, [a], gradient=given)
        np.testing.assert_array_equal(slope.data, [4, 60])
        assert slope.dtype == np.float32


def test_gradients_with_a_list_as_cotangent_to_be_differentiated_again():
    a = leaf(2.0, 3.0)
    (slope,) = gradients(a * a, [a], gradient=[1.0, 10.0], create_graph=True)
    np.testing.assert_array_equal(slope.data, [4, 60])
    (curvature,) = gradients(slope.sum(), [a])
    np.testing.assert_array_equal(curvature.data, [2, 20])


def test_second_order_with_a_list_as_operand():
    x = Tensor([[1.0, 2.0]], requires_grad=True)
    y = x @ [[1.0, 2.0], [3.0, 4.0]]
    (slope,) = gradients((y * y).sum(), [x], create_graph=True)
    (curvature,) = gradients(slope.sum(), [x])
    np.testing.assert_array_equal(curvature.data, [[2 * (5 + 11), 2 * (11 + 25)]])


def test_gradients_can_be_differentiated_in_the_cotangent():
    a, v = leaf(2.0), leaf(10.0)
    (slope,) = gradients(a * a, [a], gradient=v, create_graph=True)
    (back,) = gradients(slope, [v])
    assert back.item() == 4  # the derivative itself: slope = v 2 a


def test_second_derivatives_of_a_product_through_every_path():
    a, b = leaf(2.0), leaf(5.0)
    y = a * a * b * b * b
    da, db = gradients(y, [a, b], create_graph=True)
    daa, dab = gradients(da, [a, b])
    dba, dbb = gradients(db, [a, b])
    assert [daa.item(), dab.item(), dba.item(), dbb.item()] == [250.0, 300.0, 300.0, 120.0]


def test_a_cube_has_three_derivatives():
    x = leaf(2.0)
    y = x * x * x
    found = []
    for _ in range(4):
        (y,) = gradients(y, [x], create_graph=True)
        found.append(y.item())
        if not y.requires_grad:
            break
    assert found == [12, 12, 6]


def test_create_graph_within_no_grad_records_all_the_same():
    x = leaf(2.0)
    y = x * x * x
    with no_grad():
        (slope,) = gradients(y, [x], create_graph=True)
        assert not (x * 2).requires_grad
    assert gradients(slope, [x])[0].item() == 12


def test_gradients_without_create_graph_records_nothing():
    x = leaf(2.0)
    (slope,) = gradients(x * x * x, [x])
    assert not slope.requires_grad
    assert (x * 2).requires_grad


def test_backward_through_a_gradient():
    """A gradient penalty: the loss holds a gradient."""
    with default_dtype(np.float64):
        w, x = leaf(2.0), leaf(3.0)
        (slope,) = gradients(w * w * x * x, [x], create_graph=True)
        (slope * slope).backward()  # (2 w^2 x)^2
    np.testing.assert_allclose(w.grad, [16 * 8 * 9])
    np.testing.assert_allclose(x.grad, [8 * 16 * 3])


def test_second_order_through_broadcasting():
    with default_dtype(np.float64):
        a, b = Tensor([[1.0], [2.0]], requires_grad=True), Tensor([3.0, 4.0, 5.0], requires_grad=True)
        (slope,) = gradients((a * a * b * b).sum(), [b], create_graph=True)  # 2 b sum(a^2)
        da, db = gradients(slope.sum(), [a, b])
    np.testing.assert_allclose(da.data, [[2 * 2 * 12], [2 * 2 * 2 * 12]])
    np.testing.assert_allclose(db.data, [10, 10, 10])


# -- rules with several values -------------------------------------------------------------------------------------------


def sine_and_cosine(x):
    s, c = np.sin(x), np.cos(x)
    return (s, c), (lambda g: g[0] * c - g[1] * s,)


def polar(x, y):
    """Radius and angle's tangent: of two inputs, and of different shapes in a batch."""
    r2 = x * x + y * y
    return (np.sqrt(r2), y / x), (
        lambda g: g[0] * x / np.sqrt(r2) - g[1] * y / (x * x),
        lambda g: g[0] * y / np.sqrt(r2) + g[1] / x,
    )


def halves(x):
    """Linear, its values of different shapes."""
    n = x.shape[0] // 3
    return (x[:n], x[n:]), (lambda g: np.concatenate([g[0], g[1]]),)


def test_each_value_of_a_rule_is_a_tensor():
    x = leaf(0.5, 1.0)
    s, c = apply(sine_and_cosine, x)
    np.testing.assert_allclose(s.data, np.sin(x.data))
    np.testing.assert_allclose(c.data, np.cos(x.data))
    assert s.requires_grad
    assert not s.is_leaf


def test_values_of_a_rule_that_nothing_requires_are_leaves():
    s, c = apply(sine_and_cosine, Tensor([0.5]))
    assert s.is_leaf
    assert not c.requires_grad
    with no_grad():
        assert apply(sine_and_cosine, leaf(1.0))[0].is_leaf


@pytest.mark.parametrize(
    ("combine", "derivative"),
    [
        (lambda s, c: s, np.cos),
        (lambda s, c: c, lambda x: -np.sin(x)),
        (lambda s, c: s + c * 2, lambda x: np.cos(x) - 2 * np.sin(x)),
        (lambda s, c: s * c, lambda x: np.cos(2 * x)),
        (lambda s, c: s * s * c + s, lambda x: 2 * np.sin(x) * np.cos(x) ** 2 - np.sin(x) ** 3 + np.cos(x)),
    ],
)
def test_one_or_all_values_may_be_used_once_or_more(combine, derivative):
    with default_dtype(np.float64):
        x = leaf(0.5, 1.0)
        combine(*apply(sine_and_cosine, x)).sum().backward()
    np.testing.assert_allclose(x.grad, derivative(x.data))


def test_second_order_through_a_rule_of_several_values():
    with default_dtype(np.float64):
        x = leaf(0.5)
        s, c = apply(sine_and_cosine, x)
        (slope,) = gradients(s * c, [x], create_graph=True)
        (curvature,) = gradients(slope, [x], create_graph=True)
        (third,) = gradients(curvature, [x])
        (alone,) = gradients(s, [x], create_graph=True)
        (curvature_alone,) = gradients(alone, [x])
    np.testing.assert_allclose(slope.item(), np.cos(1.0))
    np.testing.assert_allclose(curvature.item(), -2 * np.sin(1.0))
    np.testing.assert_allclose(third.item(), -4 * np.cos(1.0))
    np.testing.assert_allclose(curvature_alone.item(), -np.sin(0.5))


def test_a_rule_of_several_inputs_and_values():
    with default_dtype(np.float64):
        x, y = leaf(3.0), leaf(4.0)
        r, t = apply(polar, x, y)
        dx, dy = gradients(r * t, [x, y])  # sqrt(x^2 + y^2) y / x
    np.testing.assert_allclose(dx.item(), 4 / 5 - 5 * 4 / 9)
    np.testing.assert_allclose(dy.item(), 4 / 5 * 4 / 3 + 5 / 3)


@pytest.mark.parametrize("linear", [False, True])
def test_a_value_that_is_not_used_gets_a_zero_cotangent_of_its_shape(linear):
    if linear:
        rules.linear(halves)
    try:
        for used, expected in ((0, [1, 1, 0, 0, 0, 0]), (1, [0, 0, 1, 1, 1, 1])):
            x = leaf(*range(6))
            apply(halves, x * 1)[used].sum().backward()
            np.testing.assert_array_equal(x.grad, expected)
            assert x.grad.dtype == np.float32
    finally:
        rules.LINEAR.discard(halves)


def test_values_that_are_held_get_their_gradients():
    x = leaf(0.5)
    s, c = apply(sine_and_cosine, x)
    (s * 3 + c * 5).backward()
    np.testing.assert_array_equal(s.grad, [3.0])
    np.testing.assert_array_equal(c.grad, [5.0])


def test_gradients_with_respect_to_one_value_of_a_rule():
    s, c = apply(sine_and_cosine, leaf(0.5))
    assert [g.item() for g in gradients(s * 3 + c * c, [s])] == [3.0]


def test_a_value_can_be_the_root_and_the_graph_is_freed_for_its_siblings():
    x = leaf(0.0)
    s, c = apply(sine_and_cosine, x)
    s.backward()
    np.testing.assert_array_equal(x.grad, [1.0])
    with pytest.raises(RuntimeError, match=_freed):
        c.backward()


def sum_and_product(x, y):
    return (x + y, x * y), (lambda g: g[0] + g[1] * y, lambda g: g[0] + g[1] * x)


def test_values_of_a_rule_of_integers_and_a_floating_array_have_the_default_dtype():
    s, p = apply(sum_and_product, Tensor(np.array([2])), np.array([0.5]))
    assert s.dtype == p.dtype == np.float32


def test_values_of_a_rule_may_be_numbers():
    def doubled_and_count(x):
        return (x * 2, 3.0), (lambda g: g[0] * 2,)

    doubled, count = apply(doubled_and_count, leaf(1.0))
    assert type(count.data) is np.ndarray
    assert count.item() == 3
    assert doubled.dtype == np.float32
    s, c = apply(sine_and_cosine, Tensor(0.5, requires_grad=True))
    assert type(s.data) is type(c.data) is np.ndarray


@pytest.mark.parametrize("other", [np.array([3.0]), np.array([3]), Tensor(np.array([3])), [3.0], 3], ids=repr)
def test_values_of_a_rule_keep_the_tensors_dtype_whatever_it_meets(other):
    x = leaf(2.0)
    s, p = apply(sum_and_product, x, other)
    assert s.dtype == p.dtype == np.float32
    (s + p).backward()
    np.testing.assert_array_equal(x.grad, [4.0])
    assert x.grad.dtype == np.float32


# -- a user's own rule ---------------------------------------------------------------------------------------------------


def test_a_rule_of_ones_own():
    def cubed(x):
        return x * x * x, (lambda g: g * 3 * x * x,)

    x = leaf(2.0)
    y = apply(cubed, x)
    (slope,) = gradients(y, [x], create_graph=True)
    assert (slope.item(), gradients(slope, [x])[0].item()) == (12, 12)


def test_a_cotangent_is_cast_to_its_inputs_dtype():
    def weighted(x):
        mask = np.array([True, False])
        return x * mask, (lambda g: g * (mask / np.int64(2)),)

    x = leaf(2.0, 3.0)
    y = x * 1
    apply(weighted, y).sum().backward()
    assert x.grad.dtype == y.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("returned", "shape"),
    [
        pytest.param(lambda g: g[0], (3,), id="too few axes"),
        pytest.param(lambda g: np.concatenate([g, g]), (2, 3), id="an axis too long"),
        pytest.param(lambda g: g.T, (2, 3), id="a transpose missing"),
        pytest.param(lambda g: g.sum(axis=0, keepdims=True), (2, 3), id="summed too much"),
    ],
)
def test_a_pullback_of_a_wrong_shape_raises_and_names_the_rule(returned, shape):
    def mistaken(x):
        return x * 1, (returned,)

    x = Tensor(np.ones(shape), requires_grad=True)
    wrong = returned(np.ones(shape)).shape if len(shape) == 2 else ()
    with pytest.raises(RuntimeError) as error:
        apply(mistaken, x).backward(np.ones(shape))
    assert str(error.value) == (
        "a pullback must return its input's shape, or one that it broadcasts to; one of mistaken "
        f"returned {wrong} for an input of shape {shape}. Mend the rule."
    )


def test_a_pullback_may_return_the_broadcast_shape():
    def doubled(x):
        return x * 2, (lambda g: np.ones((4, 2, 3)) * g,)

    x = Tensor(np.ones((2, 1)), requires_grad=True)
    apply(doubled, x).backward(np.ones((2, 1)))
    np.testing.assert_array_equal(x.grad, [[12], [12]])


# -- where, and branches that are not taken ------------------------------------------------------------------------------


def test_an_infinite_derivative_in_the_branch_not_taken_gives_nan():
    x = leaf(0.0, 4.0)
    with np.errstate(all="ignore"):
        tensor.where(x > 0, x.log(), 0.0).sum().backward()
    assert np.isnan(x.grad[0])
    assert x.grad[1] == 0.25


def test_a_second_where_inside_the_branch_cures_it():
    x = leaf(0.0, 4.0)
    tensor.where(x > 0, tensor.where(x > 0, x, 1).log(), 0.0).sum().backward()
    np.testing.assert_array_equal(x.grad, [0, 0.25])


def test_what_serves_as_a_condition_gets_no_gradient():
    c, x, y = leaf(1.0, 0.0), leaf(2.0, 3.0), leaf(4.0, 5.0)
    condition = c * 1
    chosen = tensor.where(condition, x * 2, y * 3)
    chosen.sum().backward()
    np.testing.assert_array_equal(x.grad, [2, 0])
    np.testing.assert_array_equal(y.grad, [0, 3])
    assert c._grad is condition._grad is None


# -- order ---------------------------------------------------------------------------------------------------------------


def test_the_walk_goes_by_creation_whatever_the_order_of_use():
    a = leaf(2.0)
    b = a * 2
    c = b * 3
    d = a * 5
    (d * c * b).backward()  # 5 a 6 a 2 a = 60 a^3
    np.testing.assert_array_equal(a.grad, [180 * 4])


def test_a_graph_may_be_walked_by_another_thread_than_recorded_it():
    a = leaf(2.0)
    loss = (a * a).sum()
    thread = threading.Thread(target=loss.backward)
    thread.start()
    thread.join()
    np.testing.assert_array_equal(a.grad, [4.0])


def test_sums_over_many_uses_are_exact():
    a = ones(3, requires_grad=True)
    total = a * 0
    for i in range(100):
        total = total + a * i
    total.sum().backward()
    np.testing.assert_array_equal(a.grad, [4950] * 3)


def test_a_cotangent_takes_the_dtype_of_the_output():
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    y.backward(np.ones(2, np.float64))
    assert y.grad.dtype == x.grad.dtype == np.float32

"""NumPy's functions of arrays on Tensors: their values are NumPy's, by either name, and they differentiate."""

import itertools
import math
import re

import numpy as np
import pytest

import micrograd_plus
from micrograd_plus import Tensor, default_dtype, functional, gradients, tensor

from ..raising import unreached

inf = math.inf


def spread(*shape):
    """Elements that differ by at least 0.2, of both signs, in random order."""
    count = math.prod(shape)
    return 0.2 * (np.random.default_rng(count + len(shape)).permutation(count) - count // 3).reshape(shape) + 0.05


def regular(*shape):
    """Square matrices whose diagonal dominates."""
    return spread(*shape) / 3 + 2 * shape[-1] * np.eye(shape[-1])


# NumPy's function: (shapes of the tensors, further arguments) of the calls
CALLS = {
    np.prod: [
        *[((2, 3), a) for a in [{}, {"axis": 0}, {"axis": 1, "keepdims": True}, {"axis": -1}, {"keepdims": True}, {"axis": (0, 1)}]],
        *[((2, 3, 2), a) for a in [{"axis": (0, 2)}, {"axis": (-1, 1), "keepdims": True}, {"axis": (1,)}, {"axis": ()}]],
        *[
            ((), {}),
            ((1,), {}),
            ((5, 1), {"axis": 1}),
            ((0, 3), {"axis": 0}),
            ((0, 3), {"axis": 1}),
            ((0,), {}),
            ((9,), {"axis": np.int64(0)}),
        ],
    ],
    np.cumsum: [
        *[((2, 3), a) for a in [{}, {"axis": 0}, {"axis": 1}, {"axis": -2}, {"axis": None}]],
        *[((2, 3, 2), {"axis": 1}), ((), {}), ((1,), {}), ((0, 3), {"axis": 0}), ((2, 0), {"axis": 1}), ((0,), {})],
    ],
    np.linalg.norm: [
        *[((2, 3), a) for a in [{}, {"keepdims": True}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}, {"ord": "fro"}]],
        *[((2, 3), {"ord": p, "axis": axis}) for p in (1, 2, 3, 1.5, 0.5, inf, -inf, -1, np.float64(2)) for axis in (0, -1)],
        *[((4,), {"ord": p, "keepdims": p > 2}) for p in (1, 2, 2.5, inf, -inf)],
        *[((2, 3, 2), {}), ((2, 3, 2), {"axis": (0, 2)}), ((2, 3, 2), {"ord": "fro", "axis": (-1, 0), "keepdims": True})],
        *[((), {}), ((1, 1), {}), ((2, 0), {"axis": 1}), ((0,), {})],
    ],
    np.sort: [
        *[((3, 4), a) for a in [{}, {"axis": 0}, {"axis": -2}, {"axis": None}]],
        *[((2, 3, 2), {"axis": 1}), ((5,), {}), ((1,), {}), ((2, 0), {}), ((), {"axis": None})],
    ],
    np.take_along_axis: [
        ((3, 4), {"indices": np.array([[0, 3, 3], [1, -1, 1], [2, 0, -4]]), "axis": 1}),
        ((3, 4), {"indices": np.array([[0, 2, -3, 2]]), "axis": 0}),
        ((3, 4), {"indices": np.array([[0], [1], [2]])}),
        ((3, 4), {"indices": np.array([0, 11, 11, -12]), "axis": None}),
        ((1, 4), {"indices": np.array([[0, 1], [3, 3]]), "axis": -1}),
        ((2, 3), {"indices": np.empty((2, 0), int), "axis": 1}),
        ((3,), {"indices": np.array([2, 0], np.uint8)}),
        ((2, 1, 3), {"indices": np.array([[[2, 0]]])}),
    ],
    np.take: [
        *[((3, 4), {"indices": i}) for i in (5, -12, [0, 11, 0], np.array([[1, 2], [2, 2]]), np.uint8([3]))],
        *[((3, 4), {"indices": i, "axis": axis}) for i in (2, [0, -1, 2, 2], np.array([[1, 2], [2, 0]])) for axis in (0, 1, -2)],
        *[((2, 3, 2), {"indices": [2, 0], "axis": 1}), ((3, 4), {"indices": np.empty(0, int), "axis": 0}), ((), {"indices": [0, 0]})],
    ],
    np.diagonal: [
        *[((3, 4), {"offset": k}) for k in (0, 1, 3, 4, 5, -1, -2, -3)],
        *[((3, 4), {"axis1": 1, "axis2": 0}), ((2, 3, 4), {}), ((2, 3, 4), {"axis1": -1, "axis2": 1}), ((4, 2), {})],
        *[((2, 3, 4), {"offset": -1, "axis1": 0, "axis2": -1}), ((0, 3), {})],
    ],
    np.diag: [*[((3,), {"k": k}) for k in (0, 1, -2)], *[((3, 4), {"k": k}) for k in (0, 2, -1)], ((0,), {}), ((1,), {"k": 1})],
    np.trace: [((3, 4), {}), ((3, 4), {"offset": 1}), ((3, 4), {"offset": -1}), ((2, 3, 4), {"axis1": 1, "axis2": -1}), ((2, 3, 4), {})],
    np.tril: [*[((3, 4), {"k": k}) for k in (0, 1, 5, -1, -3)], ((2, 4, 3), {}), ((3,), {}), ((0, 2), {})],
    np.triu: [*[((3, 4), {"k": k}) for k in (0, 1, 5, -1, -3)], ((2, 4, 3), {}), ((3,), {}), ((0, 2), {})],
    np.moveaxis: [
        ((2, 3, 4), {"source": 0, "destination": -1}),
        ((2, 3, 4), {"source": -1, "destination": 0}),
        ((2, 3, 4), {"source": (0, 1), "destination": (-1, -2)}),
        ((2, 3, 4), {"source": [2, 0], "destination": [0, 1]}),
        ((2, 3, 4, 1), {"source": (3, 1), "destination": (0, 2)}),
        ((3,), {"source": 0, "destination": 0}),
    ],
    np.flip: [*[((2, 3, 4), {"axis": a}) for a in (None, 0, -1, (0, 2), (1,), ())], ((), {}), ((0, 2), {})],
    np.roll: [
        *[((3, 4), {"shift": s}) for s in (0, 1, -1, 5, 12, -13)],
        *[((3, 4), {"shift": s, "axis": a}) for s in (0, 1, -2, 4, -5) for a in (0, -1)],
        *[((3, 4), {"shift": s, "axis": a}) for s, a in [((1, -1), (0, 1)), (2, (0, 1)), ((1, 1), 0), ((1, 2), (1, -1))]],
        *[((), {"shift": 1}), ((0, 3), {"shift": 1, "axis": 0}), ((0,), {"shift": 2})],
    ],
    np.repeat: [
        *[((2, 3), {"repeats": r}) for r in (0, 1, 2, [3], [0, 1, 2, 0, 1, 1])],
        *[((2, 3), {"repeats": r, "axis": -1}) for r in (2, [2], [0, 1, 3], np.array([1, 1, 1]), np.int64(2))],
        *[
            ((2, 3, 2), {"repeats": 3, "axis": 1}),
            ((2, 3, 2), {"repeats": [2, 1], "axis": 0}),
            ((), {"repeats": 3}),
            ((0, 2), {"repeats": 2}),
        ],
    ],
    np.tile: [
        *[((2, 3), {"reps": r}) for r in (0, 1, 2, (2,), (2, 1), (3, 2), (2, 1, 2), [1, 0], np.int64(2), ())],
        *[((3,), {"reps": 2}), ((3,), {"reps": (2, 2)}), ((), {"reps": 3}), ((2, 1, 3), {"reps": 2}), ((0,), {"reps": 2})],
    ],
    np.pad: [
        *[((2, 3), {"pad_width": w}) for w in (0, 2, (1, 2), [(1, 2)], ((1, 0), (2, 3)), ((2,), (1,)), np.array([[1, 1], [0, 2]]))],
        *[((2, 3), {"pad_width": ((0, 1), (2, 0)), "constant_values": c}) for c in (0, 2, -3)],
        *[
            ((3, 4), {"pad_width": w, "mode": mode})
            for mode in ("edge", "reflect", "symmetric", "wrap")
            for w in (1, ((0, 0), (2, 3)), ((7, 5), (1, 0)), 0)
        ],
        *[((1,), {"pad_width": 2, "mode": "reflect"}), ((3,), {"pad_width": (2, 1), "mode": "edge"}), ((2, 0), {"pad_width": 1})],
        *[((), {"pad_width": 2}), ((), {"pad_width": 2, "mode": "edge"}), ((0, 2), {"pad_width": ((0, 0), (1, 1)), "mode": "wrap"})],
    ],
    np.split: [
        *[((6, 4), {"indices_or_sections": s}) for s in (1, 2, 6, [2], [1, 3], [2, 2], [4, 1], [0, 9], [-1], [], np.array([2, 5]))],
        *[((6, 4), {"indices_or_sections": s, "axis": a}) for s, a in [(2, 1), (4, -1), ([1, 3], -1), (3, -2), (np.int64(2), 1)]],
        *[((2, 3, 4), {"indices_or_sections": 3, "axis": 1}), ((0, 2), {"indices_or_sections": 3})],
    ],
    np.array_split: [
        *[((7, 2), {"indices_or_sections": s}) for s in (1, 2, 3, 5, 7, 9, [2], [5, 2])],
        *[((2, 7), {"indices_or_sections": s, "axis": -1}) for s in (3, 4, [1, 6])],
        ((0,), {"indices_or_sections": 2}),
    ],
    np.outer: [
        *[((3,), (2,), {}), ((2, 2), (3,), {}), ((3,), (2, 2), {}), ((), (3,), {}), ((2, 1), (1, 2), {}), ((0,), (3,), {})],
    ],
    np.dot: [
        *[((3,), (3,), {}), ((2, 3), (3,), {}), ((3,), (3, 2), {}), ((2, 3), (3, 4), {}), ((), (2, 3), {}), ((2, 3), (), {}), ((), (), {})],
        *[((2, 3), (4, 3, 2), {}), ((2, 2, 3), (4, 3, 2), {}), ((2, 2, 3), (3,), {}), ((2, 2, 3), (3, 4), {}), ((3,), (4, 3, 2), {})],
    ],
    np.inner: [
        *[((3,), (3,), {}), ((2, 3), (3,), {}), ((2, 3), (4, 3), {}), ((), (2, 3), {}), ((2,), (), {}), ((2, 2, 3), (4, 3), {})],
    ],
    np.tensordot: [
        *[((2, 3), (2, 3), {}), ((2, 3), (3, 4), {"axes": 1}), ((2, 3), (4,), {"axes": 0}), ((2, 3, 4), (3, 4, 2), {"axes": 2})],
        *[((2, 3, 4), (4, 3, 5), {"axes": a}) for a in [((2, 1), (0, 1)), ([1, 2], [1, 0]), (2, 0), ((-1,), (0,)), ([1], 1)]],
        *[((2, 3), (2, 3), {"axes": ((), ())}), ((3,), (3,), {"axes": 1}), ((), (), {"axes": 0}), ((2, 3), (), {"axes": 0})],
        *[((2, 0), (0, 3), {"axes": 1}), ((0, 2), (2, 3), {"axes": np.int64(1)}), ((2, 3, 2), (2, 2), {"axes": ((0, 2), (1, 0))})],
    ],
}
JOINS = {
    np.vstack: [[(2, 3), (1, 3)], [(3,), (3,)], [(3,), (2, 3)], [(), ()], [(2, 1, 3), (1, 1, 3)], [(0, 3), (3,)], [(2,)]],
    np.hstack: [[(2, 3), (2, 1)], [(3,), (2,)], [(), (2,)], [(), ()], [(2, 1, 3), (2, 2, 3)], [(2, 0), (2, 3)], [(2,)]],
}
SYSTEMS = {
    np.linalg.solve: [
        *[(regular(2, 2), (2,)), (regular(3, 3), (3, 2)), (regular(1, 1), (1,)), (regular(4, 2, 2), (2,)), (regular(4, 2, 2), (4, 2, 1))],
        *[(regular(2, 2), (4, 2, 3)), (regular(4, 2, 2), (2, 3)), (regular(2, 1, 3, 3), (4, 3, 2)), (regular(2, 2), (2, 2))],
        *[(np.empty((0, 0)), (0,)), (np.empty((0, 2, 2)), (2, 1))],
    ],
    np.linalg.inv: [
        (regular(2, 2),),
        (regular(1, 1),),
        (regular(3, 2, 2),),
        (regular(2, 1, 3, 3),),
        (np.empty((0, 0)),),
        (np.empty((0, 2, 2)),),
    ],
}


def calls_of(function):
    """(the arrays, a function that makes the call: of NumPy's function or ours, and the arrays or Tensors) of every call."""
    for *shapes, arguments in CALLS.get(function, ()):
        yield [spread(*shape) for shape in shapes], lambda f, arrays, arguments=arguments: f(*arrays, **arguments)
    for shapes in JOINS.get(function, ()):
        yield [spread(*shape) for shape in shapes], lambda f, arrays: f(arrays)
    for matrices, *right in SYSTEMS.get(function, ()):
        yield [matrices, *(spread(*shape) for shape in right)], lambda f, arrays: f(*arrays)


def ours(function):
    return getattr(functional, function.__name__)


def listed(result):
    return result if isinstance(result, list) else [result]


every_function = pytest.mark.parametrize("function", [*CALLS, *JOINS, *SYSTEMS], ids=lambda function: function.__name__)


def test_every_function_is_public_and_has_calls():
    tested = {function.__name__ for function in [*CALLS, *JOINS, *SYSTEMS]} | {"argsort", "topk", "gather", "logsumexp"}
    public = {name for name, f in vars(functional.arrays).items() if getattr(f, "__module__", "") == functional.arrays.__name__}
    assert tested == {name for name in public if not name.startswith("_")}
    for name in tested:
        assert name in micrograd_plus.__all__
        assert name in functional.__all__
        implemented = getattr(np, name, getattr(np.linalg, name, None))
        assert implemented is None or tensor.IMPLEMENTATIONS[implemented] is getattr(functional, name)


@every_function
def test_both_names_give_what_numpy_gives(function):
    for arrays, call in calls_of(function):
        expected = listed(call(function, arrays))
        with default_dtype(np.float64):
            tensors = [Tensor(x) for x in arrays]
            ways = [(function, tensors), (function, [*arrays[:-1], tensors[-1]]), (ours(function), tensors), (ours(function), arrays)]
            for f, given in ways:
                found = call(f, given)
                assert type(found) is (list if function in (np.split, np.array_split) else Tensor)
                for y, z in zip(listed(found), expected, strict=True):
                    assert type(y) is Tensor
                    assert not y.requires_grad
                    assert y.shape == np.shape(z)
                    assert y.dtype == np.float64
                    np.testing.assert_allclose(y.data, z, rtol=1e-12, atol=1e-12)


@every_function
def test_both_names_differentiate(function):
    random = np.random.default_rng(1)
    for arrays, call in calls_of(function):
        weights = [random.standard_normal(np.shape(y)) for y in listed(call(function, arrays))]
        directions = [random.standard_normal(x.shape) for x in arrays]

        def projected(h, arrays=arrays, call=call, weights=weights, directions=directions):
            outputs = listed(call(function, [x + h * v for x, v in zip(arrays, directions, strict=True)]))
            return sum(np.sum(y * w) for y, w in zip(outputs, weights, strict=True))

        h = 1e-5
        expected = (projected(h) - projected(-h)) / (2 * h)
        for f in (function, ours(function)):
            inputs = [Tensor(x, requires_grad=True, dtype=np.float64) for x in arrays]
            sum((y * w).sum() for y, w in zip(listed(call(f, inputs)), weights, strict=True)).backward()
            assert [x.grad.shape for x in inputs] == [x.shape for x in arrays]
            found = sum(np.sum(x.grad * v) for x, v in zip(inputs, directions, strict=True))
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


@every_function
def test_float32_stays_float32_among_arrays_of_other_dtypes(function):
    for arrays, call in calls_of(function):
        inputs = [Tensor(arrays[0], requires_grad=True), *arrays[1:]]
        outputs = listed(call(function, inputs))
        assert [y.dtype for y in outputs] == [np.float32] * len(outputs)
        sum(y.sum() for y in outputs).backward()
        assert inputs[0].grad.dtype == np.float32


@pytest.mark.parametrize("function", [*CALLS, *JOINS], ids=lambda function: function.__name__)
def test_whole_numbers_and_bools_give_what_numpy_gives(function):
    for (arrays, call), dtype in itertools.product(calls_of(function), (np.int64, np.int8, np.uint8, bool)):
        whole = [np.asarray(np.abs(np.round(x)), dtype) for x in arrays]
        with np.errstate(divide="ignore"):
            expected = [np.asarray(y) for y in listed(call(function, whole))]
            found = listed(call(function, [Tensor(x) for x in whole]))
        for y, z in zip(found, expected, strict=True):
            assert not y.requires_grad
            if function is np.linalg.norm:
                assert y.dtype == np.float32
                np.testing.assert_allclose(y.data, z, rtol=1e-5)
            else:
                assert y.dtype == z.dtype
                np.testing.assert_array_equal(y.data, z)


def test_systems_of_whole_numbers_are_solved_in_the_default_dtype():
    a, b = np.array([[2, 0], [0, 4]]), np.array([1, 1])
    for x in (functional.solve(Tensor(a), Tensor(b)), functional.solve(a, b), functional.solve([[2.0, 0.0], [0.0, 4.0]], [1.0, 1.0])):
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x.data, [0.5, 0.25])
    np.testing.assert_array_equal(functional.inv(Tensor(a)).data, [[0.5, 0], [0, 0.25]])


# -- products with zeros -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "gradient", "curvature"),
    [
        ([2.0, 0.0, 3.0], [0, 6, 0], [3, 5, 2]),
        ([0.0, 0.0, 3.0], [0, 0, 0], [3, 3, 0]),
        ([0.0, 0.0, 0.0], [0, 0, 0], [0, 0, 0]),
        ([1.0, 2.0, 3.0], [6, 3, 2], [5, 4, 3]),
        ([0.0, 2.0], [2, 0], [1, 1]),
        ([5.0], [1], None),
    ],
)
def test_a_product_with_zeros_has_an_exact_gradient_of_every_order(x, gradient, curvature):
    x = Tensor(x, requires_grad=True)
    (slope,) = gradients(functional.prod(x), [x], create_graph=True)
    np.testing.assert_array_equal(slope.data, gradient)
    if curvature is not None:
        np.testing.assert_array_equal(gradients(slope.sum(), [x])[0].data, curvature)


# -- norms ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ord", [None, 1, 2, 3, 1.5, 0.5, inf, -inf])
def test_the_gradient_of_a_norm_is_zero_where_the_norm_is(ord):
    x = Tensor(np.zeros((2, 3)), requires_grad=True)
    y = functional.norm(x, ord, axis=1)
    y.sum().backward()
    np.testing.assert_array_equal(y.data, [0, 0])
    np.testing.assert_array_equal(x.grad, np.zeros((2, 3)))


def test_extrema_share_the_gradient_of_a_norm():
    x = Tensor([3.0, -3.0, 1.0], requires_grad=True)
    functional.norm(x, inf).backward()
    np.testing.assert_array_equal(x.grad, [0.5, -0.5, 0])


def test_the_norm_of_a_negative_order_of_infinities_or_nothing_is_infinite():
    np.testing.assert_array_equal(functional.norm(Tensor([[inf, inf], [inf, 2.0]]), -1, axis=1).data, [inf, 2])
    assert functional.norm(Tensor(np.empty(0)), -2).item() == inf


def test_the_norm_of_small_whole_numbers_does_not_overflow():
    assert functional.norm(Tensor(np.int8([100, 100]))).item() == pytest.approx(math.hypot(100, 100))


# -- log-sum-exp ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "arguments"),
    [
        *[((2, 3), a) for a in [{}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": (0, 1)}, {"keepdims": True}, {"axis": ()}]],
        *[((2, 3, 2), {"axis": (-1, 0)}), ((), {}), ((1,), {}), ((3, 1), {"axis": 1})],
    ],
)
def test_log_sum_exp_is_what_it_says(shape, arguments):
    x = spread(*shape)
    for given in (Tensor(x, dtype=np.float64), Tensor(np.round(x).astype(int))):
        y = functional.logsumexp(given, **arguments)
        assert y.dtype == (np.float64 if given.dtype == np.float64 else np.float32)
        np.testing.assert_allclose(y.data, np.log(np.sum(np.exp(given.data), **arguments)), rtol=1e-6)


def test_log_sum_exp_at_infinities_and_of_nothing():
    x = Tensor([[-inf, -inf], [-inf, 1.0], [1000.0, 1000.0]], requires_grad=True)
    y = functional.logsumexp(x, axis=1)
    y.sum().backward()
    np.testing.assert_allclose(y.data, [-inf, 1, 1000 + math.log(2)])
    np.testing.assert_array_equal(x.grad, [[0, 0], [0, 1], [0.5, 0.5]])
    assert functional.logsumexp(Tensor([inf, 0.0])).item() == inf
    assert math.isnan(functional.logsumexp(Tensor([math.nan, 0.0])).item())
    np.testing.assert_array_equal(functional.logsumexp(Tensor(np.empty((0, 2))), axis=0).data, [-inf, -inf])


# -- ordering and selecting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "shape"), [(-1, (40,)), (0, (40, 2)), (1, (2, 40)), (None, (5, 8))])
def test_ties_are_ordered_by_position(axis, shape):
    x = np.random.default_rng(0).integers(0, 3, shape).astype(np.float64)
    expected = np.argsort(x, axis, kind="stable")
    for found in (functional.argsort(Tensor(x), axis), np.argsort(Tensor(x, requires_grad=True), axis), functional.argsort(x, axis)):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, expected)
    weights = np.arange(float(x.size)).reshape(expected.shape)
    t = Tensor(x, requires_grad=True)
    functional.sort(t, axis).backward(weights)
    np.testing.assert_array_equal(np.take_along_axis(t.grad, expected, axis), weights)


def test_argsort_goes_by_the_last_axis_and_by_all_digits():
    x = np.array([[1 + 1e-12, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(functional.argsort(x), [[1, 0], [0, 1]])
    np.testing.assert_array_equal(functional.argsort([3, 1, 2]), [1, 2, 0])


def test_nan_is_sorted_last():
    np.testing.assert_array_equal(functional.sort(Tensor([2.0, math.nan, 1.0])).data, [1, 2, math.nan])


TOP = np.array([[3.0, 1.0, 3.0, 2.0], [0.0, 5.0, -1.0, 5.0]])


@pytest.mark.parametrize(
    ("k", "arguments", "indices"),
    [
        (2, {}, [[0, 2], [1, 3]]),
        (3, {"largest": False}, [[1, 3, 0], [2, 0, 1]]),
        (4, {}, [[0, 2, 3, 1], [1, 3, 0, 2]]),
        (1, {"axis": 0}, [[0, 1, 0, 1]]),
        (1, {"axis": -2, "largest": False}, [[1, 0, 1, 0]]),
        (0, {}, [[], []]),
        (np.int64(1), {"axis": 1, "sorted": False}, [[0], [1]]),
    ],
)
def test_topk_gives_the_first_of_ties_first_and_differentiates(k, arguments, indices):
    x = Tensor(TOP, requires_grad=True)
    values, places = functional.topk(x, k, **arguments)
    axis = arguments.get("axis", -1)
    assert type(places) is np.ndarray
    assert places.dtype.kind == "i"
    np.testing.assert_array_equal(places, indices)
    np.testing.assert_array_equal(values.data, np.take_along_axis(TOP, places, axis))
    values.backward(np.full(values.shape, 2.0))
    taken = np.zeros(TOP.shape)
    np.put_along_axis(taken, places, 2.0, axis)
    np.testing.assert_array_equal(x.grad, taken)


def test_topk_of_unsigned_numbers_of_nan_and_of_arrays():
    np.testing.assert_array_equal(functional.topk(Tensor(np.uint8([0, 200, 3])), 2)[1], [1, 2])
    np.testing.assert_array_equal(functional.topk(Tensor([1.0, math.nan, 2.0]), 2)[1], [1, 2])
    np.testing.assert_array_equal(functional.topk(Tensor([1.0, math.nan, 2.0]), 1, largest=False)[1], [0])
    values, places = functional.topk(np.array([1.0, 3.0, 2.0]), 1)
    assert type(values) is Tensor
    assert places.tolist() == [1]


@pytest.mark.parametrize(
    ("shape", "axis", "index"),
    [
        ((3, 4), 1, [[0], [3], [1]]),
        ((3, 4), -1, [[0, 0, 3, 1, 2]]),
        ((3, 4), 0, [[2, 0], [2, 1], [0, 0], [1, 1]]),
        ((2, 3, 2), 1, [[[2], [0]]]),
        ((3,), 0, [2, 2, 0]),
        ((3, 4), 1, np.empty((2, 0), int)),
    ],
)
def test_gather_takes_by_pytorchs_definition(shape, axis, index):
    x, index = spread(*shape), np.asarray(index)
    expected, counts = np.empty(index.shape), np.zeros(shape)
    for place in np.ndindex(index.shape):
        source = list(place)
        source[axis] = index[place]
        expected[place] = x[tuple(source)]
        counts[tuple(source)] += 1
    for given in (index, index.tolist(), Tensor(index)):
        if index.size or given is index:
            t = Tensor(x, requires_grad=True, dtype=np.float64)
            y = functional.gather(t, axis, given)
            np.testing.assert_array_equal(y.data, expected)
            y.sum().backward()
            np.testing.assert_array_equal(t.grad, counts)


def test_gather_of_whole_rows_cuts_nothing():
    x = Tensor(spread(2, 3), requires_grad=True)
    y = functional.gather(x, 1, [[0], [1]])
    assert y._node.inputs[0] is x


def test_indices_may_be_lists_and_int_tensors():
    x = Tensor(spread(3, 4))
    for f, indices in ((functional.take, [0, 2]), (lambda x, i: functional.take_along_axis(x, i, 1), [[0], [1], [2]])):
        np.testing.assert_array_equal(f(x, indices).data, f(x, Tensor(np.array(indices))).data)


def test_an_empty_list_holds_no_index():
    for f, arguments in (
        (functional.take, ([], 1)),
        (functional.take_along_axis, ([[], []], 1)),
        (lambda *a: functional.gather(a[0], a[2], a[1]), ([[], []], 1)),
    ):
        assert f(Tensor(spread(2, 3)), *arguments).shape == (2, 0)
    assert functional.take(Tensor(np.empty((0, 3))), [], 0).shape == (0, 3)


@pytest.mark.parametrize("one", [np.uint8(1), np.int8(1), np.array(1, np.uint16)])
def test_counts_of_small_unsigned_dtypes_do_not_wrap(one):
    x = spread(3, 3)
    for f in (
        lambda x, n: np.roll(x, n),
        lambda x, n: np.roll(x, (n, n), (0, 1)),
        lambda x, n: np.triu(x, n - n),
        lambda x, n: np.tril(x, n),
        lambda x, n: np.diagonal(x, n),
        lambda x, n: np.trace(x, n),
        lambda x, n: np.diag(x, n),
        lambda x, n: np.diag(x[0], n),
        lambda x, n: np.split(x, n)[0],
        lambda x, n: np.split(x, [n])[1],
        lambda x, n: np.cumsum(x, n),
    ):
        np.testing.assert_array_equal(f(Tensor(x, dtype=np.float64), one).data, f(x, int(one)))


def test_what_lies_outside_of_a_triangle_may_be_infinite():
    x = Tensor([[1.0, inf], [math.nan, 2.0]], requires_grad=True)
    y = functional.triu(functional.tril(x), 0)
    y.sum().backward()
    np.testing.assert_array_equal(y.data, [[1, 0], [0, 2]])
    np.testing.assert_array_equal(x.grad, np.eye(2))


# -- defaults and second order -------------------------------------------------------------------------------------------


def test_second_derivatives_go_through():
    x = Tensor(spread(3, 3) + 3 * np.eye(3), requires_grad=True, dtype=np.float64)
    for f in (
        lambda x: functional.cumsum(functional.sort(x), 1),
        lambda x: functional.pad(functional.roll(x, 1, 0), 1, "reflect"),
        lambda x: functional.inv(x),
        lambda x: functional.tensordot(x, functional.tile(x, 2), 1),
        lambda x: functional.norm(x, axis=1) * functional.prod(x, axis=0),
        lambda x: functional.logsumexp(functional.gather(x, 1, [[2, 0], [1, 1]]), axis=0),
    ):

        def slope(array, f=f):
            t = Tensor(array, requires_grad=True, dtype=np.float64)
            (s,) = gradients((f(t) ** 2).sum(), [t], create_graph=True)
            return t, s

        v, w = np.random.default_rng(3).standard_normal((2, 3, 3))
        t, s = slope(x.data)
        (curvature,) = gradients((s * w).sum(), [t])
        h = 1e-5
        expected = np.sum(w * (slope(x.data + h * v)[1].data - slope(x.data - h * v)[1].data)) / (2 * h)
        np.testing.assert_allclose(np.sum(curvature.data * v), expected, rtol=1e-6)


def test_what_numpy_takes_besides_is_refused_and_not_ignored():
    t = Tensor(np.ones((2, 2)))
    for call, name in (
        (lambda: np.prod(t, dtype=np.float64), "np.prod"),
        (lambda: np.prod(t, initial=2), "np.prod"),
        (lambda: np.prod(t, 0, np.float64), "np.prod"),
        (lambda: np.cumsum(t, dtype=int), "np.cumsum"),
        (lambda: np.sort(t, kind="stable"), "np.sort"),
        (lambda: np.take(t, [0], mode="wrap"), "np.take"),
        (lambda: np.pad(t, 1, mode="reflect", reflect_type="odd"), "np.pad"),
        (lambda: np.vstack([t, t], dtype=int), "np.vstack"),
        (lambda: np.trace(t, dtype=int), "np.trace"),
    ):
        with pytest.raises(TypeError, match=rf"^{re.escape(name)} on Tensors takes other arguments than on arrays"):
            call()


# -- errors --------------------------------------------------------------------------------------------------------------

X = Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
V = Tensor([1.0, 2.0])
SCALAR = Tensor(1.0)
HALF = Tensor(np.eye(2), dtype=np.float16)
F = functional
_count = "Count from 0, or from -1 backwards."
_once = "Drop the repeated one."
MESSAGES = [
    (lambda: F.prod(X, 2), IndexError, f"prod: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (lambda: F.prod(X, (0, -2)), ValueError, f"prod: each axis may occur once, got (0, -2) for shape (2, 3). {_once}"),
    (lambda: F.cumsum(X, -3), IndexError, f"cumsum: axis must be one of the input's 2, got -3 for shape (2, 3). {_count}"),
    (lambda: F.logsumexp(X, 5), IndexError, f"logsumexp: axis must be one of the input's 2, got 5 for shape (2, 3). {_count}"),
    *[
        (call, TypeError, f"{text}.")
        for call, text in (
            (lambda: F.prod(X, 0.0), "prod: axis must be a whole number, got 0.0"),
            (lambda: F.prod(X, (0, "1")), "prod: axis must be a whole number, got '1'"),
            (lambda: F.cumsum(X, (0, 1)), "cumsum: axis must be a whole number, got (0, 1)"),
            (lambda: F.sort(X, [1]), "sort: axis must be a whole number, got [1]"),
            (lambda: F.argsort(X, (0, 1)), "argsort: axis must be a whole number, got (0, 1)"),
            (lambda: F.gather(X, None, [[0]]), "gather: axis must be a whole number, got None"),
            (lambda: F.split(V, 2, None), "split: axis must be a whole number, got None"),
            (lambda: F.array_split(V, 2, (0,)), "array_split: axis must be a whole number, got (0,)"),
            (lambda: F.repeat(X, 2, (1, 0)), "repeat: axis must be a whole number, got (1, 0)"),
            (lambda: F.topk(X, 1.0), "topk: k must be a whole number, got 1.0"),
            (lambda: F.diagonal(X, 1.5), "diagonal: offset must be a whole number, got 1.5"),
            (lambda: F.trace(X, 1.5), "trace: offset must be a whole number, got 1.5"),
            (lambda: F.diag(V, "1"), "diag: k must be a whole number, got '1'"),
            (lambda: F.tril(X, None), "tril: k must be a whole number, got None"),
            (lambda: F.triu(X, 0.5), "triu: k must be a whole number, got 0.5"),
            (lambda: F.roll(X, 1.5), "roll: shift must be a whole number, got np.float64(1.5)"),
            (lambda: F.repeat(X, 1.5), "repeat: a count must be a whole number, got 1.5"),
            (lambda: F.tile(X, (1, 0.5)), "tile: a count must be a whole number, got 0.5"),
            (lambda: F.split(X, 2.0), "split: the number of parts must be a whole number, got 2.0"),
            (lambda: F.array_split(X, "2"), "array_split: the number of parts must be a whole number, got '2'"),
            (lambda: F.split(X, [0.5]), "array_split: where to cut must be a whole number, got 0.5"),
        )
    ],
    (lambda: F.norm(V, axis=1), IndexError, f"norm: axis must be one of the input's 1, got 1 for shape (2,). {_count}"),
    (
        lambda: F.norm(X, 2),
        ValueError,
        "norm: ord must be a number but 0 along one axis, 'fro' over two, or None over any, got 2 over axes (0, 1) of shape (2, 3). "
        "Pass axis= for the norms of vectors.",
    ),
    (
        lambda: F.norm(V, 0),
        ValueError,
        "norm: ord must be a number but 0 along one axis, 'fro' over two, or None over any, got 0 over axes (0,) of shape (2,). "
        "Pass axis= for the norms of vectors.",
    ),
    (
        lambda: F.norm(V, "fro"),
        ValueError,
        "norm: ord must be a number but 0 along one axis, 'fro' over two, or None over any, got 'fro' over axes (0,) of shape (2,). "
        "Pass axis= for the norms of vectors.",
    ),
    (
        lambda: F.norm(X, "nuc"),
        ValueError,
        "norm: ord must be a number but 0 along one axis, 'fro' over two, or None over any, got 'nuc' over axes (0, 1) of shape (2, 3). "
        "Pass axis= for the norms of vectors.",
    ),
    (
        lambda: F.norm(X, axis=()),
        ValueError,
        "norm: ord must be a number but 0 along one axis, 'fro' over two, or None over any, got None over axes () of shape (2, 3). "
        "Pass axis= for the norms of vectors.",
    ),
    (lambda: F.argsort(X, 2), IndexError, f"argsort: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (lambda: F.sort(SCALAR), IndexError, f"sort: axis must be one of the input's 0, got -1 for shape (). {_count}"),
    (lambda: F.topk(X, 4), ValueError, "topk: k must be in [0, 3], the length of axis 1 of shape (2, 3), got 4."),
    (lambda: F.topk(X, -1, 0), ValueError, "topk: k must be in [0, 2], the length of axis 0 of shape (2, 3), got -1."),
    (lambda: F.topk(X, 1, 2), IndexError, f"topk: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (lambda: F.gather(X, 2, [[0]]), IndexError, f"gather: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (lambda: F.gather(X, 1, [[0, 3]]), ValueError, "gather: indices must be in [0, 3), got 3."),
    (lambda: F.gather(X, 1, [[-1]]), ValueError, "gather: indices must be in [0, 3), got -1."),
    (
        lambda: F.gather(X, 1, [[0.0]]),
        TypeError,
        "gather: indices must be whole numbers of an int dtype, got float64. Convert them with .astype(int).",
    ),
    (
        lambda: F.gather(X, 1, [[0], [0], [0]]),
        ValueError,
        "gather: index must have the input's axes, and along all but axis 1 at most its length, "
        "got shape (3, 1) for an input of shape (2, 3). Use take_along_axis to broadcast.",
    ),
    (
        lambda: F.gather(X, 1, [0]),
        ValueError,
        "gather: index must have the input's axes, and along all but axis 1 at most its length, "
        "got shape (1,) for an input of shape (2, 3). Use take_along_axis to broadcast.",
    ),
    (lambda: F.take_along_axis(X, [[0], [3]], 1), ValueError, "take_along_axis: indices must be in [-3, 3), got 3."),
    (lambda: F.take_along_axis(X, [[-4]], 1), ValueError, "take_along_axis: indices must be in [-3, 3), got -4."),
    (lambda: F.take(X, [0, 6]), ValueError, "take: indices must be in [-6, 6), got 6."),
    (lambda: F.take(X, -3, 0), ValueError, "take: indices must be in [-2, 2), got -3."),
    (
        lambda: F.take(X, [True]),
        TypeError,
        "take: indices must be whole numbers of an int dtype, got bool. Convert them with .astype(int).",
    ),
    (lambda: F.diagonal(V), IndexError, f"diagonal: axis must be one of the input's 1, got (0, 1) for shape (2,). {_count}"),
    (lambda: F.trace(V), IndexError, f"trace: axis must be one of the input's 1, got (0, 1) for shape (2,). {_count}"),
    (lambda: F.trace(X, 0, 1, -1), ValueError, f"trace: each axis may occur once, got (1, -1) for shape (2, 3). {_once}"),
    (
        lambda: F.diag(SCALAR),
        ValueError,
        "diag: the input must have one or two axes, got shape (). Use diagonal() for stacks of matrices.",
    ),
    (lambda: F.tril(SCALAR), ValueError, "tril: the input must have an axis, got shape (). Pass a matrix."),
    (lambda: F.triu(SCALAR), ValueError, "triu: the input must have an axis, got shape (). Pass a matrix."),
    (
        lambda: F.moveaxis(X, (0, 1), 0),
        ValueError,
        "moveaxis: source and destination must name as many axes, got (0, 1) and 0.",
    ),
    (lambda: F.moveaxis(X, 0, 2), IndexError, f"moveaxis: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (lambda: F.flip(X, 2), IndexError, f"flip: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (lambda: F.roll(X, 1, 2), IndexError, f"roll: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (
        lambda: F.roll(X, (1, 2), (0, 1, 0)),
        ValueError,
        "roll: shift must be one number, or one for each axis, got (1, 2) for axis (0, 1, 0).",
    ),
    (lambda: F.repeat(X, -1), ValueError, "repeat: counts must not be negative, got -1. Pass 0 or more."),
    (
        lambda: F.repeat(X, [1, 2], 1),
        ValueError,
        "repeat: repeats must be one number, or one for each of the 3 along axis 1 of shape (2, 3), got 2.",
    ),
    (lambda: F.tile(X, (2, -1)), ValueError, "tile: counts must not be negative, got (2, -1). Pass 0 or more."),
    (
        lambda: F.pad(X, 1, "mean"),
        ValueError,
        "pad: mode must be 'constant', 'edge', 'reflect', 'symmetric' or 'wrap', got 'mean'.",
    ),
    (
        lambda: F.pad(X, 1, "edge", constant_values=1),
        ValueError,
        "pad: constant_values must be one number, for mode 'constant' only, got 1 for mode 'edge'.",
    ),
    (
        lambda: F.pad(X, 1, constant_values=(1, 2)),
        ValueError,
        "pad: constant_values must be one number, for mode 'constant' only, got (1, 2) for mode 'constant'.",
    ),
    *[
        (
            lambda width=width: F.pad(X, width),
            ValueError,
            "pad: pad_width must be a whole number, (before, after), or such a pair for each axis, none negative, "
            f"got {width} for shape (2, 3).",
        )
        for width in (-1, 0.5, (1, 2, 3), ((1, 1), (1, -1)), ((1, 2), (1, 2), (1, 2)))
    ],
    (
        lambda: F.pad(Tensor(np.empty((2, 0))), ((0, 0), (0, 1)), "edge"),
        ValueError,
        "pad: mode 'edge' needs elements to repeat, got none along axis 1 (input shape (2, 0)).",
    ),
    (
        lambda: F.split(X, 2, 1),
        ValueError,
        "split: the number of parts must divide the 3 along axis 1 of shape (2, 3), got 2. Use array_split for parts of unequal length.",
    ),
    (
        lambda: F.split(X, 0),
        ValueError,
        "split: the number of parts must divide the 2 along axis 0 of shape (2, 3), got 0. Use array_split for parts of unequal length.",
    ),
    (lambda: F.split(SCALAR, 1), IndexError, f"split: axis must be one of the input's 0, got 0 for shape (). {_count}"),
    (lambda: F.array_split(X, 0), ValueError, "array_split: the number of parts must be at least 1, got 0."),
    (lambda: F.array_split(X, 1, 2), IndexError, f"array_split: axis must be one of the input's 2, got 2 for shape (2, 3). {_count}"),
    (
        lambda: F.tensordot(X, X, 1),
        ValueError,
        "tensordot: the axes that meet must be of equal lengths, got axes (1,) of shape (2, 3) and (0,) of (2, 3). Name others by axes=.",
    ),
    (
        lambda: F.tensordot(X, X, ((0, 1), (0,))),
        ValueError,
        "tensordot: the axes that meet must be of equal lengths, got axes (0, 1) of shape (2, 3) and (0,) of (2, 3). Name others by axes=.",
    ),
    (lambda: F.tensordot(V, X, 2), IndexError, f"tensordot: axis must be one of the input's 1, got range(-2, 0) for shape (2,). {_count}"),
    (lambda: F.tensordot(X, X, -1), ValueError, "tensordot: counts must not be negative, got -1. Pass 0 or more."),
    *[
        (
            lambda axes=axes: F.tensordot(X, X, axes),
            TypeError,
            f"tensordot: axes must be a number of axes, or a pair, (axes of a, axes of b), got {axes}.",
        )
        for axes in (1.0, (0,), (0, 0, 0), None)
    ],
    *[
        (call, TypeError, f"{name}: matrices must be of float32 or float64, got float16. Convert them with .astype(np.float32).")
        for name, call in (
            ("solve", lambda: np.linalg.solve(HALF, np.ones((2, 1)))),
            ("solve", lambda: np.linalg.solve(np.eye(2), HALF)),
            ("inv", lambda: np.linalg.inv(HALF)),
        )
    ],
    (lambda: F.solve(X, V), ValueError, "solve: a must hold square matrices (..., n, n), got shape (2, 3). Reshape or cut it."),
    (
        lambda: F.solve(np.eye(2), np.ones((3, 1))),
        ValueError,
        "solve: b must be (n,) or (..., n, k) where a is (..., n, n), got shapes (2, 2) and (3, 1). Reshape b.",
    ),
    (
        lambda: F.solve(np.eye(2), 1.0),
        ValueError,
        "solve: b must be (n,) or (..., n, k) where a is (..., n, n), got shapes (2, 2) and (). Reshape b.",
    ),
    (lambda: F.inv(V), ValueError, "inv: a must hold square matrices (..., n, n), got shape (2,). Reshape or cut it."),
    (lambda: F.inv(SCALAR), ValueError, "inv: a must hold square matrices (..., n, n), got shape (). Reshape or cut it."),
    *[
        (
            call,
            np.linalg.LinAlgError,
            f"{name}: each matrix must be of full rank, got a singular one (shape {shape}). "
            "Remove what depends on the rest, or add a small multiple of eye(n).",
        )
        for name, shape, call in (
            ("solve", (2, 2), lambda: np.linalg.solve(Tensor(np.ones((2, 2))), V)),
            ("inv", (3, 2, 2), lambda: np.linalg.inv(Tensor(np.zeros((3, 2, 2))))),
        )
    ],
]


@pytest.mark.parametrize(("call", "kind", "text"), MESSAGES)
def test_the_text_of_each_error(call, kind, text):
    with pytest.raises(kind) as raised:
        call()
    assert type(raised.value) is kind
    assert str(raised.value) == text


@pytest.mark.parametrize("join", ["vstack", "hstack"])
def test_nothing_can_not_be_joined(join):
    with pytest.raises(ValueError, match=r"^concatenate: need at least one array to concatenate"):
        getattr(F, join)([])


def test_stacks_of_matrices_that_do_not_broadcast_are_told_of_both():
    with pytest.raises(ValueError, match=r"^solve: .*\(input shapes \(2, 2, 2\) and \(3, 2, 1\)\)$") as raised:
        F.solve(np.ones((2, 2, 2)) + np.eye(2), np.ones((3, 2, 1)))
    assert not isinstance(raised.value, np.linalg.LinAlgError)


def test_every_error_has_an_entry():
    assert not unreached(functional.arrays, MESSAGES)

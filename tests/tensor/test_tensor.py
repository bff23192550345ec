"""What a Tensor is and offers: construction, attributes, operators, methods, creation, copies."""

import copy
import math
import pickle

import numpy as np
import pytest

from micrograd_plus import (
    Tensor,
    arange,
    concatenate,
    einsum,
    eye,
    from_numpy,
    full,
    maximum,
    minimum,
    no_grad,
    ones,
    rand,
    randn,
    set_seed,
    stack,
    unstack,
    where,
    zeros,
)

A = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]], np.float32)


def same(t, expected, dtype=np.float32):
    assert type(t) is Tensor
    assert t.dtype == dtype
    np.testing.assert_allclose(t.data, expected, rtol=1e-6, atol=1e-6)
    assert t.shape == np.shape(expected)


# -- construction and attributes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [2, 2.5, True, [1, 2], [[1.0], [2.0]], (1, 2), np.float64(3), np.float32(3), np.int64(3), [], np.ones(2)])
def test_numbers_lists_and_floating_arrays_become_float32(data):
    same(Tensor(data), data)


def test_a_tensor_is_made_of_tensors_too():
    same(Tensor(Tensor([1.0, 2.0])), [1, 2])
    same(Tensor([Tensor(1.0), Tensor(2.0)]), [1, 2])


def test_construction_copies():
    array = np.ones(2, np.float32)
    t = Tensor(array)
    array[0] = 5
    same(t, [1, 1])
    u = Tensor(t)
    u.data[0] = 7
    same(t, [1, 1])


def test_construction_makes_c_order():
    assert Tensor(np.asfortranarray(A)).data.flags.c_contiguous


def test_attributes():
    t = Tensor(A, requires_grad=True)
    assert (t.shape, t.ndim, t.size, t.dtype, t.requires_grad, t.is_leaf) == ((2, 3), 2, 6, np.float32, True, True)
    assert type(t.data) is type(t.grad) is np.ndarray
    same(t.T, A.T)
    assert Tensor(1.0).shape == ()
    assert Tensor(1.0).T.shape == ()


def test_requires_grad_can_be_set_and_cleared_on_leaves():
    t = Tensor([1.0])
    t.requires_grad = True
    (t * 2).backward()
    np.testing.assert_array_equal(t.grad, [2.0])
    t.requires_grad = False
    assert not (t * 2).requires_grad


def test_a_result_already_requires_a_gradient():
    t = Tensor([1.0], requires_grad=True) * 2
    t.requires_grad = True
    t.backward()
    np.testing.assert_array_equal(t.grad, [1.0])


def test_subclasses_are_tensors():
    class Weight(Tensor):
        pass

    w = Weight([2.0], requires_grad=True)
    for y in (w * 3, 3 * w, w.exp(), np.sin(w), concatenate([w, w]), Tensor([3.0]) * w):
        assert type(y) is Tensor
        assert y.requires_grad
    (w * w).backward()
    np.testing.assert_array_equal(w.grad, [4.0])
    assert type(copy.deepcopy(w)) is Weight


def test_data_can_be_replaced_by_values_of_its_shape():
    t = Tensor([1.0, 2.0])
    t.data = [3, 4]
    same(t, [3, 4])
    array = np.array([5, 6], np.float32)
    t.data = array
    assert t.data is array


def test_there_is_no_room_for_mistyped_attributes():
    with pytest.raises(AttributeError):
        Tensor([1.0]).require_grad = True


# -- operators -----------------------------------------------------------------------------------------------------------

_operators = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "truediv": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
}


@pytest.mark.parametrize("operate", _operators.values(), ids=_operators)
@pytest.mark.parametrize("other", [2, 0.5, np.float64(0.5), np.int64(2), np.array([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0], np.array(2.0), True])
def test_arithmetic_with_numbers_arrays_and_lists_on_either_side(operate, other):
    a = np.abs(A)
    plain = np.asarray(other, np.float32)
    same(operate(Tensor(a), other), operate(a, plain))
    same(operate(other, Tensor(a)), operate(plain, a))
    same(operate(Tensor(a), Tensor(other)), operate(a, plain))


@pytest.mark.parametrize("operate", _operators.values(), ids=_operators)
def test_gradients_of_operators_on_either_side(operate):
    for left, right in [(2.0, 3.0), (3.0, 0.5)]:
        for make in (float, np.array):
            x, y = Tensor(left, requires_grad=True), Tensor(right, requires_grad=True)
            operate(x, make(right)).backward()
            operate(make(left), y).backward()
            h = 1e-6
            np.testing.assert_allclose(x.grad, (operate(left + h, right) - operate(left - h, right)) / (2 * h), rtol=1e-5)
            np.testing.assert_allclose(y.grad, (operate(left, right + h) - operate(left, right - h)) / (2 * h), rtol=1e-5)


def test_matmul_on_either_side():
    same(Tensor(A) @ A.T, A @ A.T)
    same(A @ Tensor(A.T), A @ A.T)
    same(Tensor(A) @ Tensor(A.T), A @ A.T)
    same(Tensor(A) @ [1.0, 0.0, 0.0], [1, -4])
    same([1.0, 0.0] @ Tensor(A), A[0])


def test_unary_operators():
    same(-Tensor(A), -A)
    same(+Tensor(A), A)
    same(abs(Tensor(A)), abs(A))


def test_length_and_iteration():
    t = Tensor(A)
    assert len(t) == 2
    rows = list(t)
    same(rows[1], A[1])
    first, second = t
    same(first + second, A[0] + A[1])


# -- comparisons and hashing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [Tensor([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0]), [1.0, 2.0, 3.0], 2, 2.0, Tensor(2.0)])
def test_comparisons_give_bool_arrays(other):
    t = Tensor([1.0, 3.0, 2.0])
    plain = np.asarray(other.data if isinstance(other, Tensor) else other)
    for found, expected in [
        (t == other, t.data == plain),
        (t != other, t.data != plain),
        (t < other, t.data < plain),
        (t <= other, t.data <= plain),
        (t > other, t.data > plain),
        (t >= other, t.data >= plain),
    ]:
        assert type(found) is np.ndarray
        assert found.dtype == bool
        np.testing.assert_array_equal(found, expected)


def test_comparisons_work_where_a_gradient_is_required_and_on_either_side():
    t = Tensor([1.0, 3.0], requires_grad=True)
    np.testing.assert_array_equal(t > 2, [False, True])
    np.testing.assert_array_equal(2 > t, [True, False])
    np.testing.assert_array_equal(np.array([1.0, 1.0]) == t, [True, False])
    np.testing.assert_array_equal(t == t, [True, True])


def test_tensors_hash_by_identity_though_they_compare_by_elements():
    a, b = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0], requires_grad=True)
    assert len({a, b, a}) == 2
    names = {a: "a", b: "b"}
    assert (names[a], names[b]) == ("a", "b")
    assert a in {a}
    assert b not in {a}
    assert hash(a) == hash(a)


def test_tensors_of_equal_hash_are_told_apart():
    many = {Tensor([float(i)]): i for i in range(1000)}
    assert all(many[t] == t.item() for t in list(many))


def test_truth_of_one_element():
    assert Tensor([2.0])
    assert not Tensor(0.0)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Tensor([1.0, 2.0]))


# -- values out ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [2.5, [2.5], [[2.5]]])
def test_item_is_a_python_number(data):
    t = Tensor(data, requires_grad=True)
    assert t.item() == 2.5
    assert type(t.item()) is float
    assert float(t) == 2.5
    assert int(t) == 2


def test_item_of_an_integer_tensor_is_an_int():
    assert type(Tensor(np.array([3])).item()) is int


def test_numpy_is_a_copy():
    t = Tensor([1.0, 2.0], requires_grad=True)
    t.numpy()[0] = 5
    same(t, [1, 2])


def test_values_of_no_axes_are_arrays_too():
    t = Tensor(2.0, requires_grad=True)
    results = [t * 2, t * t, t.exp(), t.sum(), t * np.array(2.0), t * Tensor(np.array(2)), t[...], Tensor([1.0, 2.0]).sum(), t**2, t / 3]
    assert all(type(y.data) is np.ndarray for y in results)
    for y in results[:3]:
        y.backward()
        assert type(y._grad) is type(t._grad) is np.ndarray


def test_format():
    assert f"{Tensor(2.5, requires_grad=True):.2f}" == "2.50"
    assert f"{Tensor([1.0, 2.0])}" == "Tensor([1., 2.])"


def test_repr():
    assert repr(Tensor([1.0, 2.0])) == "Tensor([1., 2.])"
    assert repr(Tensor(2.0, requires_grad=True)) == "Tensor(2., requires_grad=True)"
    assert repr(Tensor([[1.0], [2.0]], dtype=np.float64)) == "Tensor([[1.],\n        [2.]], dtype=float64)"
    assert repr(Tensor(np.array([1, 2]))) == "Tensor([1, 2], dtype=int64)"
    assert repr(Tensor([1.0], requires_grad=True) * 2) == "Tensor([2.], requires_grad=True)"


# -- reductions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_are_numpys(name, axis, keepdims):
    same(getattr(Tensor(A), name)(axis=axis, keepdims=keepdims), getattr(A, name)(axis=axis, keepdims=keepdims))
    same(getattr(Tensor(A), name)(axis, keepdims), getattr(A, name)(axis=axis, keepdims=keepdims))


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "var", "std"])
def test_reductions_drop_all_axes_unless_told_otherwise(name):
    same(getattr(Tensor(A), name)(), getattr(A, name)())
    same(getattr(Tensor(A), name)(0), getattr(A, name)(0))


def test_variance_divides_by_n():
    assert Tensor([1.0, 3.0]).var().item() == 1
    assert Tensor([1.0, 3.0]).std().item() == 1


def test_gradients_of_variance_and_standard_deviation():
    x = Tensor(A, requires_grad=True)
    x.var(axis=1).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * (A - A.mean(1, keepdims=True)) / 3, rtol=1e-6)
    x.zero_grad()
    x.std().backward()
    np.testing.assert_allclose(x.grad, (A - A.mean()) / (6 * A.std()), rtol=1e-5)


def test_argmax_and_argmin_give_integers():
    t = Tensor(A, requires_grad=True)
    assert t.argmax() == 4
    assert t.argmin() == 5
    np.testing.assert_array_equal(t.argmax(axis=1), [2, 1])
    np.testing.assert_array_equal(t.argmin(axis=0), [1, 0, 1])
    assert t.argmax(axis=1).dtype.kind == "i"


# -- shapes --------------------------------------------------------------------------------------------------------------

B = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_reshape_takes_sizes_or_a_tuple():
    for t in (Tensor(B).reshape(4, 6), Tensor(B).reshape((4, 6)), Tensor(B).reshape([4, -1])):
        same(t, B.reshape(4, 6))
    same(Tensor(B).reshape(-1), B.ravel())
    same(Tensor([1.0]).reshape(()), 1.0)
    same(Tensor([1.0]).reshape(), 1.0)


def test_flatten():
    same(Tensor(B).flatten(), B.ravel())


def test_transpose_takes_axes_a_tuple_or_nothing():
    for t in (Tensor(B).transpose(1, 2, 0), Tensor(B).transpose((1, 2, 0)), Tensor(B).transpose(1, -1, 0)):
        same(t, B.transpose(1, 2, 0))
    for t in (Tensor(B).transpose(), Tensor(B).transpose(None), Tensor(B).T):
        same(t, B.T)


def test_unsqueeze_and_squeeze():
    same(Tensor(A).unsqueeze(0), A[None])
    same(Tensor(A).unsqueeze(-1), A[..., None])
    same(Tensor(A).unsqueeze((0, 2)), A[None, :, None])
    same(Tensor(A[None, :, None]).squeeze(), A)
    same(Tensor(A[None, :, None]).squeeze(2), A[None])
    same(Tensor(A[None, :, None]).squeeze((0, 2)), A)


@pytest.mark.parametrize(
    "rearrange",
    [
        lambda t: t.reshape(4, 6),
        lambda t: t.flatten(),
        lambda t: t.transpose(1, 2, 0),
        lambda t: t.T,
        lambda t: t.unsqueeze(1),
        lambda t: t.unsqueeze(1).squeeze(1),
        lambda t: t[:, ::-1],
        lambda t: t.clone(),
    ],
)
def test_rearrangements_carry_each_cotangent_to_its_element(rearrange):
    x = Tensor(B, requires_grad=True)
    (rearrange(x) * rearrange(Tensor(B * 2))).sum().backward()
    np.testing.assert_array_equal(x.grad, B * 2)


# -- indexing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [0, -1, slice(1), (0, 1), (slice(None), None, 1), ..., [0, 0, 1], np.array([1, 0]), (slice(None), [2, 2]), B > 5, (0, B[0] > 5)],
    ids=repr,
)
def test_indexing_is_numpys(index):
    same(Tensor(B)[index], B[index])


def test_tensors_serve_as_indices():
    same(Tensor(B)[Tensor(np.array([1, 1]))], B[[1, 1]])
    same(Tensor(B)[:, Tensor(np.array([1, 1]))], B[:, [1, 1]])
    same(Tensor(B)[Tensor(B > 5)], B[B > 5])


def test_elements_taken_several_times_add_up_their_cotangents():
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[[0, 0, 2, 0]].backward(np.array([1.0, 10.0, 100.0, 1000.0]))
    np.testing.assert_array_equal(x.grad, [1011, 0, 100])


def test_elements_can_be_assigned_where_no_gradient_is_required():
    t = Tensor(np.zeros((2, 3)))
    t[0] = 1
    t[1, Tensor(np.array([0, 2]))] = Tensor([5.0, 6.0])
    same(t, [[1, 1, 1], [5, 0, 6]])
    w = Tensor([1.0, 2.0], requires_grad=True)
    with no_grad():
        w[0] = 9
    same(w, [9, 2])


# -- elementwise functions -----------------------------------------------------------------------------------------------

_functions = {
    "relu": lambda x: max(x, 0),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "elu": lambda x: x if x > 0 else math.exp(x) - 1,
    "gelu": lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2)),
    "silu": lambda x: x / (1 + math.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "tanh": math.tanh,
    "softplus": lambda x: math.log(1 + math.exp(x)),
    "exp": math.exp,
    "abs": abs,
    "sin": math.sin,
    "cos": math.cos,
}


@pytest.mark.parametrize("name", _functions)
def test_elementwise_functions(name):
    f = _functions[name]
    x = Tensor(A, requires_grad=True)
    y = getattr(x, name)()
    same(y, np.vectorize(f)(A.astype(float)))
    y.backward(np.ones(A.shape))
    h = 1e-6
    np.testing.assert_allclose(x.grad, [[(f(v + h) - f(v - h)) / (2 * h) for v in row] for row in A.tolist()], rtol=1e-4, atol=1e-6)


def test_functions_with_options_and_domains():
    a = np.abs(A)
    same(Tensor(a).log(), np.log(a))
    same(Tensor(a).sqrt(), np.sqrt(a))
    same(Tensor(A).clip(-1, 2), A.clip(-1, 2))
    same(Tensor(A).clip(low=0), A.clip(0, None))
    same(Tensor(A).clip(high=0), A.clip(None, 0))
    same(Tensor([-2.0, 2.0]).leaky_relu(0.5), [-1, 2])
    same(Tensor([-2.0, 2.0]).leaky_relu(negative_slope=0.5), [-1, 2])
    same(Tensor([-2.0, 2.0]).elu(alpha=3), [3 * math.expm1(-2), 2])
    same(Tensor(A).gelu("none"), Tensor(A).gelu().data)
    same(Tensor(A).gelu(approximate="tanh"), A / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (A + 0.044715 * A**3))))


def test_softmax_is_over_the_last_axis():
    b = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(Tensor(b).softmax().sum(axis=2).data, np.ones((2, 3)), rtol=1e-6)
    same(Tensor(b).log_softmax().exp(), Tensor(b).softmax().data)


def test_softmax_and_its_logarithm():
    e = np.exp(A)
    same(Tensor(A).softmax(), e / e.sum(-1, keepdims=True))
    same(Tensor(A).softmax(axis=0), e / e.sum(0, keepdims=True))
    same(Tensor(A).log_softmax(), A - np.log(e.sum(-1, keepdims=True)))
    same(Tensor(A).log_softmax(axis=0), A - np.log(e.sum(0, keepdims=True)))


# -- several tensors -----------------------------------------------------------------------------------------------------


def test_joining():
    t = Tensor(A)
    same(concatenate([t, A]), np.concatenate([A, A]))
    same(concatenate((t, t), axis=1), np.concatenate([A, A], 1))
    same(concatenate([t, 2.0, A], axis=None), np.concatenate([A, 2.0, A], axis=None))
    same(stack([t, A]), np.stack([A, A]))
    same(stack([t, t], axis=-1), np.stack([A, A], -1))
    same(stack([Tensor(1.0), 2.0]), [1, 2])


def test_parting():
    for axis, parts in ((0, unstack(Tensor(A))), (1, unstack(A, 1)), (-1, unstack(Tensor(A), axis=-1))):
        assert type(parts) is tuple
        assert len(parts) == A.shape[axis]
        for i, part in enumerate(parts):
            same(part, A.take(i, axis))
    assert unstack(zeros(0, 3)) == ()


def test_choosing():
    t = Tensor(A)
    same(where(t > 0, t, 0), np.where(A > 0, A, 0))
    same(where(A > 0, 1.0, t), np.where(A > 0, 1, A))
    same(maximum(t, 0.5), np.maximum(A, 0.5))
    same(minimum([0.0, 1.0, 2.0], t), np.minimum([0, 1, 2], A))


def test_einsum():
    same(einsum("ij,kj->ik", Tensor(A), A), A @ A.T)
    same(einsum("ij->", Tensor(A)), A.sum())


# -- creation ------------------------------------------------------------------------------------------------------------


def test_creation_functions():
    same(zeros(2, 3), np.zeros((2, 3)))
    same(zeros((2, 3)), np.zeros((2, 3)))
    same(zeros(()), 0.0)
    same(ones(3), np.ones(3))
    same(full((2, 2), 7), np.full((2, 2), 7))
    same(full(2, 0.5), [0.5, 0.5])
    same(arange(3), [0, 1, 2])
    same(arange(1, 2, 0.5), [1, 1.5])
    same(eye(2), np.eye(2))
    same(eye(2, 3), np.eye(2, 3))
    assert randn(2, 3).shape == randn((2, 3)).shape == rand(2, 3).shape == rand((2, 3)).shape == (2, 3)
    assert randn().shape == rand().shape == ()


@pytest.mark.parametrize(
    "create",
    [
        lambda **o: zeros(2, **o),
        lambda **o: ones(2, **o),
        lambda **o: full(2, 3, **o),
        lambda **o: randn(2, **o),
        lambda **o: rand(2, **o),
        lambda **o: arange(2, **o),
        lambda **o: eye(2, **o),
        lambda **o: from_numpy(np.ones(2, np.float32), **o),
    ],
)
def test_creation_functions_take_requires_grad(create):
    assert create(requires_grad=True).requires_grad
    assert not create().requires_grad
    assert create().dtype == np.float32


def test_creation_functions_take_a_dtype():
    for t in (
        zeros(2, dtype=np.int64),
        ones(2, dtype=np.int64),
        full(2, 3, dtype=np.int64),
        arange(2, dtype=np.int64),
        eye(2, dtype=np.int64),
    ):
        assert t.dtype == np.int64


def test_large_integers_are_made_exactly():
    large = 2**24 + 1  # float32 has no such number
    assert full(1, large, dtype=np.int64).item() == large
    assert arange(large, large + 1, dtype=np.int64).item() == large


def test_random_tensors_follow_the_seed_or_the_generator_given():
    for create in (randn, rand):
        set_seed(3)
        first = create(4).data
        set_seed(3)
        np.testing.assert_array_equal(create(4).data, first)
        own = create(4, generator=np.random.default_rng(5)).data
        np.testing.assert_array_equal(create(4, generator=np.random.default_rng(5)).data, own)
        assert not np.array_equal(own, first)


def test_random_tensors_are_distributed_as_named():
    generator = np.random.default_rng(0)
    normal, uniform = randn(20_000, generator=generator).data, rand(20_000, generator=generator).data
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    assert uniform.min() >= 0
    assert uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01


def test_from_numpy_shares_memory():
    array = np.zeros(2, np.float32)
    t = from_numpy(array, requires_grad=True)
    array[0] = 5
    same(t, [5, 0])
    assert t.requires_grad


def test_from_numpy_converts_another_floating_dtype():
    array = np.zeros(2)
    t = from_numpy(array)
    array[0] = 5
    same(t, [0, 0])


# -- copies --------------------------------------------------------------------------------------------------------------


def test_deep_copies_share_nothing():
    t = Tensor([1.0, 2.0], requires_grad=True)
    t.grad = np.array([3.0, 4.0])
    twin = copy.deepcopy(t)
    twin.data[0] = 7
    twin.grad[0] = 8
    same(t, [1, 2])
    np.testing.assert_array_equal(t.grad, [3, 4])
    assert twin.requires_grad


def test_deep_copies_keep_who_is_who():
    t = Tensor([1.0])
    pair = copy.deepcopy([t, t])
    assert pair[0] is pair[1]
    assert copy.deepcopy(Tensor([1.0], requires_grad=True))._grad is None


def test_leaves_can_be_pickled():
    t = pickle.loads(pickle.dumps(Tensor([1.0, 2.0], requires_grad=True)))
    same(t, [1, 2])
    assert t.requires_grad
    (t * t).sum().backward()
    np.testing.assert_array_equal(t.grad, [2, 4])

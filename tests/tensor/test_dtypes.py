"""Which dtype a result has: nothing becomes float64 in silence."""

import operator
import threading

import numpy as np
import pytest

from micrograd_plus import Tensor, concatenate, einsum, eye, full, gradients, maximum, ones, rand, randn, rules, stack, where, zeros
from micrograd_plus.tensor import apply, default_dtype

F32 = Tensor([1.0, 2.0])
F64 = Tensor([1.0, 2.0], dtype=np.float64)
INT = Tensor(np.array([1, 2]))
BOOL = Tensor(np.array([True, True]))

arithmetic = pytest.mark.parametrize(
    "operate",
    [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, maximum, lambda x, y: where([True, False], x, y)],
    ids=["+", "-", "*", "/", "**", "maximum", "where"],
)


@arithmetic
@pytest.mark.parametrize(
    "other",
    [
        *(2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2), np.bool_(True)),
        *(np.array([1, 2]), np.array([1.0, 2.0]), np.array([True, True]), np.array([1, 2], np.uint8), np.array([1.0, 2.0], np.float16)),
        *(INT, BOOL, Tensor(np.array([1, 2], np.int8))),
    ],
    ids=repr,
)
def test_whatever_meets_a_float32_tensor_takes_its_dtype(operate, other):
    for t in (F32, Tensor([1.0, 2.0], requires_grad=True)):
        left, right = operate(t, other), operate(other, t)
        assert left.dtype == right.dtype == np.float32
        if t.requires_grad:
            left.sum().backward()
            right.sum().backward()
            assert t.grad.dtype == left.grad.dtype == np.float32


@arithmetic
def test_a_float64_tensor_decides_over_a_float32_tensor(operate):
    x, y = Tensor([1.0, 2.0], requires_grad=True), Tensor([1.0, 2.0], dtype=np.float64, requires_grad=True)
    for first, second in ((x, y), (y, x)):
        z = operate(first, second)
        assert z.dtype == np.float64
        z.sum().backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


@arithmetic
def test_a_float64_tensor_stays_so_with_numbers_and_arrays(operate):
    for other in (np.array([1, 2]), np.array([1.0, 2.0], np.float32), INT, BOOL):
        assert operate(F64, other).dtype == operate(other, F64).dtype == np.float64


def test_scaling_by_a_numpy_scalar_stays_float32():
    x = Tensor(np.ones((2, 2)), requires_grad=True)
    y = (x / np.sqrt(64)) * np.pi + np.float64(1) - np.sqrt(2)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32
    assert (np.sqrt(64) * x).dtype == (np.float64(2) ** x).dtype == np.float32


def test_float64_tensors_meet_float64_arrays_at_full_precision():
    third = np.array([1 / 3, 1 / 3])
    np.testing.assert_array_equal((F64 * third).data, np.array([1 / 3, 2 / 3]))
    np.testing.assert_array_equal((third * F64).data, np.array([1 / 3, 2 / 3]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, bool, np.float16])
def test_exponents_of_small_dtypes_do_not_wrap(dtype):
    for exponent in (np.array([0, 1], dtype), Tensor(np.array([0, 1], dtype))):
        x = Tensor([3.0, 10.0], requires_grad=True)
        (x**exponent).sum().backward()
        np.testing.assert_array_equal(x.grad, [0, 1])


def test_integers_among_themselves_keep_theirs():
    assert (INT + INT).dtype == (INT * 2).dtype == (INT - np.array([1, 1])).dtype == np.int64
    assert (INT + True).dtype == (True + INT).dtype == np.int64
    assert (INT + BOOL).dtype == INT.sum().dtype == np.int64
    assert concatenate([INT, INT]).dtype == INT.reshape(2, 1).dtype == np.int64
    assert INT[0].dtype == np.int64
    assert BOOL.max().dtype == bool


@pytest.mark.parametrize(
    "operate",
    [
        lambda: INT / 2,
        lambda: INT / INT,
        lambda: INT * 2.5,
        lambda: INT + np.array([0.5, 0.5]),
        lambda: INT.mean(),
        lambda: INT.exp(),
        lambda: BOOL.mean(),
        lambda: np.array([0.5, 0.5]) * INT,
        lambda: INT.softmax(),
        lambda: INT.var(),
        lambda: INT**-1.0,
    ],
)
def test_where_integers_make_floats_they_are_float32(operate):
    assert operate().dtype == np.float32


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.uint64, np.int64])
@pytest.mark.parametrize(
    "name", ["exp", "sqrt", "sin", "sigmoid", "silu", "gelu", "tanh", "softplus", "softmax", "log_softmax", "mean", "std"]
)
def test_of_whole_numbers_is_made_what_is_made_of_floats(name, dtype):
    """NumPy makes halves of bytes, and the negative of an unsigned number wraps."""
    values = np.array([1, 0, 30, 3])
    for default in (np.float32, np.float64):
        with default_dtype(default):
            found, expected = getattr(Tensor(values.astype(dtype)), name)(), getattr(Tensor(values.astype(float)), name)()
        assert found.dtype == expected.dtype == default
        np.testing.assert_array_equal(found.data, expected.data)


def test_several_values_have_their_tensors_dtype_too():
    def several(x):
        return (0.5, np.sin(x), x * np.ones(1), np.size(x)), (lambda g: g[1] * np.cos(x) + g[2],)

    for x in (Tensor([3.0]), Tensor([3.0], requires_grad=True), Tensor(np.array([3], np.uint8))):
        half, sine, same, count = apply(several, x)
        assert [part.dtype for part in (half, sine, same, count)] == [np.float32, np.float32, np.float32, np.int64]
        np.testing.assert_array_equal(sine.data, np.sin(np.float32([3])))
        assert (same.item(), count.item(), half.item()) == (3, 1, 0.5)


@pytest.mark.parametrize("x", [Tensor([0.0]), Tensor([0.0], requires_grad=True), Tensor(np.array([0])), Tensor(np.array([0], np.uint8))])
def test_nothing_is_warned_of_twice_or_not_at_all(x):
    with pytest.warns(RuntimeWarning, match="divide by zero") as warned:
        assert x.log().item() == -np.inf
    assert len(warned) == 1


def test_a_float32_tensor_that_meets_a_float64_one_keeps_its_gradient():
    x = Tensor([2.0], requires_grad=True)
    (x * F64[:1]).sum().backward()
    np.testing.assert_array_equal(x.grad, [1])


@pytest.mark.parametrize(
    ("rule", "inputs", "options"),
    [
        (rules.matmul, (np.ones((2, 2)), Tensor(np.ones((2, 2)))), {}),
        (rules.affine, (np.ones((2, 2)), Tensor(np.ones((2, 2))), Tensor(np.ones(2))), {}),
        (rules.affine, (np.ones((2, 2), np.int64), Tensor(np.ones((2, 2))), Tensor(np.ones(2))), {}),
        (rules.where, (np.array([1.0, 0.0]), Tensor(np.ones(2)), np.ones(2)), {}),
        (rules.concatenate, (np.ones(2), Tensor(np.ones(2))), {}),
        (rules.einsum, (np.ones((2, 2)), Tensor(np.ones((2, 2)))), {"subscripts": "ij,jk->ik"}),
        (rules.binary_cross_entropy, (Tensor(np.full(2, 0.5)), np.ones(2)), {}),
        (rules.take_rows, (Tensor(np.ones((3, 2))), np.array([0, 1])), {}),
        (rules.cross_entropy, (Tensor(np.ones((2, 3))), np.array([0, 1]), np.ones(2)), {}),
        (rules.binary_cross_entropy_with_logits, (Tensor(np.ones(2)), np.ones(2), np.ones(2)), {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_rules_of_several_inputs_meeting_float64_arrays(rule, inputs, options):
    for x in inputs:
        if isinstance(x, Tensor):
            x.requires_grad = True
    y = apply(rule, *inputs, **options)
    assert y.dtype == np.float32
    y.sum().backward()
    assert all(x.grad.dtype == np.float32 for x in inputs if isinstance(x, Tensor))


@pytest.mark.parametrize(
    ("other", "tensor", "expected"),
    [
        (np.array([1.0, 2.0]), F32, (np.float32, np.float32)),
        (np.array([1, 2]), F32, (np.float32, np.float32)),
        (INT, F32, (np.float32, np.float32)),
        (F64, F32, (np.float64, np.float32)),
        (np.array([1.0, 2.0]), INT, (np.float32, np.float32)),
        (np.array([1, 2]), INT, (np.int64, np.int64)),
    ],
    ids=repr,
)
def test_a_rule_is_given_arrays_of_the_tensors_dtype_not_wider_ones(other, tensor, expected):
    """Else large arrays would be computed with in float64, at half the speed, only to be cast in the end."""
    seen = []

    def spied(x, y):
        seen.append((x.dtype, y.dtype))
        return x * y, (lambda g: g * y, lambda g: g * x)

    for operands in ((other, tensor), (tensor, other)):
        apply(spied, *operands)
        assert seen[-1] == (expected if operands[0] is other else expected[::-1])


def test_labels_and_masks_are_not_cast():
    """They would be no indices then."""
    x = Tensor(np.ones((3, 2)), requires_grad=True)
    assert apply(rules.take_rows, x, np.array([2, 2], np.uint8)).dtype == np.float32
    assert apply(rules.cross_entropy, x, Tensor(np.array([0, 1, 1])), np.array([True, False, True])).dtype == np.float32


def test_higher_orders_keep_float32():
    x = Tensor([2.0], requires_grad=True)
    (slope,) = gradients(x**3 * np.array([2.0]), [x], create_graph=True)
    (curvature,) = gradients(slope, [x])
    assert slope.dtype == curvature.dtype == np.float32
    assert (slope.item(), curvature.item()) == (24, 24)


# -- casting -------------------------------------------------------------------------------------------------------------


def test_astype_to_a_floating_dtype_is_differentiable():
    x = Tensor([2.0], requires_grad=True)
    y = x.astype(np.float64)
    assert y.dtype == np.float64
    (y * y).backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64
    np.testing.assert_array_equal(x.grad, [4])


def test_astype_to_an_integer_dtype_gives_a_constant():
    y = Tensor([2.7], requires_grad=True).astype(np.int64)
    assert (y.item(), y.requires_grad, y.dtype) == (2, False, np.int64)


def test_a_clone_keeps_its_dtype():
    assert F64.clone().dtype == np.float64
    assert INT.clone().dtype == np.int64


def test_detached_tensors_keep_their_dtype():
    assert Tensor([1.0], dtype=np.float64).detach().dtype == np.float64


# -- construction --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, bool])
def test_integer_and_bool_arrays_keep_their_dtype(dtype):
    assert Tensor(np.ones(2, dtype)).dtype == dtype


def test_an_explicit_dtype_wins():
    assert Tensor([1, 2], dtype=np.int64).dtype == np.int64
    assert Tensor(np.array([1, 2]), dtype=np.float32, requires_grad=True).dtype == np.float32
    assert Tensor([1.0], dtype=np.float64).dtype == np.float64
    assert Tensor([1.0], dtype="float64").dtype == np.float64
    assert Tensor([0, 1], dtype=bool).dtype == bool


def test_a_foreign_byte_order_becomes_native():
    for code in (">f4", ">f8", ">i4"):
        t = Tensor(np.array([1, 2], code))
        assert t.dtype.isnative
        np.testing.assert_array_equal(t.data, [1, 2])


def test_gradients_assigned_are_cast():
    x = Tensor([1.0], requires_grad=True)
    x.grad = np.array([2], np.int64)
    assert x.grad.dtype == np.float32


# -- the default dtype ---------------------------------------------------------------------------------------------------


def test_default_dtype_governs_what_is_made_within():
    with default_dtype(np.float64):
        made = [Tensor(1.0), Tensor([1]), Tensor(np.ones(2, np.float32)), zeros(2), ones(2), full(2, 1), eye(2), rand(2), randn(2), INT / 2]
        assert {t.dtype for t in made} == {np.dtype(np.float64)}
        assert Tensor(np.array([1])).dtype == np.int64
    assert Tensor(1.0).dtype == np.float32


def test_default_dtype_nests_and_ends_with_an_exception():
    with pytest.raises(KeyError), default_dtype(np.float64):
        with default_dtype(np.float32):
            assert Tensor(1.0).dtype == np.float32
        assert Tensor(1.0).dtype == np.float64
        raise KeyError
    assert Tensor(1.0).dtype == np.float32


def test_default_dtype_holds_for_its_own_thread():
    made = []
    with default_dtype(np.float64):
        thread = threading.Thread(target=lambda: made.append(Tensor(1.0)))
        thread.start()
        thread.join()
    assert made[0].dtype == np.float32


def test_float32_tensors_met_within_a_float64_default_stay_float32():
    with default_dtype(np.float64):
        assert (F32 * 2).dtype == (F32 + np.ones(2)).dtype == np.float32


@pytest.mark.parametrize("join", [stack, concatenate])
@pytest.mark.parametrize("other", [np.array([1.0, 2.0]), np.array([1, 2]), INT, BOOL], ids=repr)
def test_what_is_joined_to_float32_becomes_float32(join, other):
    assert join([F32, other]).dtype == join([other, F32]).dtype == np.float32


def test_einsum_keeps_float32_with_an_integer_operand():
    assert einsum("i,i->", F32, np.array([1, 2])).dtype == np.float32
